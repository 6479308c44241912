//! Records that are written and deleted several at once.

use super::{class, filter, look, object, outside};
use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        Fence, Sending,
        chain::{Chain, Then},
        endpoint::{Asking, Begun},
        members::{self, Place},
        wire,
    },
};

/// As many ids are looked at in one question.
const RECORDS_MAX: usize = 1000;
const CONSISTENCY: &str = "consistency_level";

pub(super) fn write(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[CONSISTENCY])?;
    let body = members::body(asking, &["fields", "objects"])?;
    let place = Place::Body.member("objects");
    let given = members::items(body, "objects", &Place::Body)?.unwrap_or_default();
    if given.is_empty() || given.len() > RECORDS_MAX {
        return Err(place.bad("holds no record, or more than 1,000; send several batches"));
    }
    let (mut records, mut asked, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for (at, record) in given.iter().enumerate() {
        let (record, id) = object::stamped(asking, record, &place.item(at))?;
        records.push(record);
        ids.extend(id.clone());
        asked.push(id);
    }
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() != ids.len() {
        return Err(place.bad("names an id twice; send two batches"));
    }
    let mut request = outside(asking, &["v1", "batch", "objects"])?;
    request.query.retain(|(name, _)| name != "tenant");
    let body = Value::object([("objects", Value::Array(records))]);
    let makes_ids = asked.iter().any(Option::is_none);
    let sending = Sending { body: wire::written(&body), ..Sending::of(&request) }.only(makes_ids);
    let (fence, class) = (asking.fence.clone(), class(asking)?.to_owned());
    let claims = object::claims(asking, &ids);
    let main = Then::send(sending, move |reply| {
        let mut answer = wire::parse(&reply.body)?;
        let told =
            answer.items_mut().filter(|told| told.len() == asked.len()).ok_or_else(wire::unreadable)?;
        for (record, id) in told.iter_mut().zip(&asked) {
            retold(&fence, record, (&class, id.as_deref()))?;
        }
        Ok(Then::tell(reply.status, wire::written(&answer), 0))
    });
    let looked = look::exactly(asking, look::none_foreign(asking, ids, main)?)?;
    Ok(Chain::new(asking, looked).claiming(claims).boxed())
}

/// What the client is told of one record: itself, and what became of it.
fn retold(fence: &Fence, record: &mut Value<'_>, named: (&str, Option<&str>)) -> Result<(), Refusal> {
    let result = record.get("result").cloned();
    object::written(fence, record, named)?;
    if let Some(mut result) = result {
        hush(&mut result);
        record.set("result", result);
    }
    Ok(())
}

/// What became of something, without the store's words: they may be of anybody's records, or of an account.
fn hush(result: &mut Value<'_>) {
    if let Some(found) = result.members_mut() {
        found.retain(|(name, _)| ["status", "errors", "id"].contains(&name.as_ref()));
    }
    if result.present("errors").is_some() {
        let error = Value::object([("message", Value::string("the store refused it"))]);
        result.set("errors", Value::object([("error", Value::Array(vec![error]))]));
    }
}

/// Deletes what a filter finds. None of it is shown before: that the class tells tenants apart exactly and that the store
/// keeps to filters is seen first.
pub(super) fn delete(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[CONSISTENCY, "tenant"])?;
    let body = members::body(asking, &["match", "output", "dryRun"])?;
    let place = Place::Body.member("match");
    let given = body.present("match").ok_or_else(|| place.bad("is missing"))?;
    members::object(asking, given, &place, &["class", "where"])?;
    class(asking)?;
    members::flag(body, "dryRun", &Place::Body)?;
    members::text(body, "output", &Place::Body)?;
    // A filter that is forgotten is not meant for all.
    let there = place.member("where");
    let wanted = given.present("where").ok_or_else(|| there.bad("is missing"))?;
    filter::check(asking, wanted, &there)?;
    let mut scoped = body.clone().into_owned();
    if let Some(forced) = filter::forced(asking.fence, Some(wanted))
        && let Some(found) = scoped.get_mut("match")
    {
        found.set("where", forced.into_owned());
    }
    let request = outside(asking, &["v1", "batch", "objects"])?;
    let sending = Sending { body: wire::written(&scoped), ..Sending::of(&request) };
    let given = given.clone().into_owned();
    let main = Then::send(sending, move |reply| {
        let mut answer = wire::parse(&reply.body)?;
        let members = answer.members_mut().ok_or_else(wire::unreadable)?;
        members.retain(|(name, _)| ["match", "output", "dryRun", "results"].contains(&name.as_ref()));
        answer.set("match", given);
        let results = answer.get_mut("results").ok_or_else(wire::unreadable)?;
        let members = results.members_mut().ok_or_else(wire::unreadable)?;
        let known = ["matches", "limit", "successful", "failed", "objects"];
        members.retain(|(name, _)| known.contains(&name.as_ref()));
        let objects = results.get_mut("objects").and_then(Value::items_mut);
        objects.into_iter().flatten().for_each(hush);
        Ok(Then::tell(reply.status, wire::written(&answer), 0))
    });
    Ok(Chain::new(asking, look::exactly(asking, look::filtered(asking, main)?)?).boxed())
}
