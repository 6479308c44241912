//! Records of an index that makes the vectors itself: their members stand beside their text.

use super::{
    filter,
    namespace::{self, own_only},
    write::SHARED,
};
use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        Sending,
        chain::Chain,
        clause,
        endpoint::{Asking, Begun},
        members::{self, Place},
        wire,
    },
    tool_api::Request,
};

const QUERY: &[&str] = &["top_k", "inputs", "vector", "id", "filter", "match_terms"];
const RERANK: &[&str] = &["model", "rank_fields", "top_n", "parameters", "query"];

/// The request with the store's name of the tenant's namespace, without its body.
fn outside(asking: &Asking<'_>) -> Request<'static> {
    let mut path = asking.request.path.clone();
    if let [_, _, name, ..] = path.as_mut_slice() {
        *name = namespace::outer(asking.fence, name);
    }
    Request { method: asking.request.method.clone(), path, query: Vec::new(), body: None }
}

pub(super) fn search(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    let body = members::body(asking, &["query", "fields", "rerank"])?;
    let place = Place::Body.member("query");
    let query = body.get("query").ok_or_else(|| place.bad("is missing"))?;
    members::object(asking, query, &place, QUERY)?;
    members::count(query, "top_k", &place)?;
    if members::text(query, "id", &place)?.is_some() {
        own_only(asking, "whose record an id names cannot be known here; search by text or vector")?;
    }
    if let Some(rerank) = body.present("rerank") {
        members::object(asking, rerank, &Place::Body.member("rerank"), RERANK)?;
    }
    let given = query.present("filter");
    if let Some(given) = given {
        filter::check(asking, given, &place.member("filter"))?;
    }
    let mut scoped = body.clone();
    if let Some(forced) = clause::forced(asking.fence, given)
        && let Some(query) = scoped.get_mut("query")
    {
        query.set("filter", forced);
    }
    let shows = ask_for_field(asking, &mut scoped)?;
    let sending = Sending { body: wire::written(&scoped), ..Sending::of(&outside(asking)) };
    let fence = asking.fence.clone();
    Ok(Chain::once(asking, sending, move |reply| {
        let mut answer = wire::parse(&reply.body)?;
        wire::only(&answer, &["result", "usage"])?;
        let result = answer.get_mut("result").ok_or_else(wire::unreadable)?;
        wire::only(result, &["hits"])?;
        let hits = result.get_mut("hits").and_then(Value::items_mut).ok_or_else(wire::unreadable)?;
        let before = hits.len();
        hits.retain(|hit| fence.owns(hit.get("fields")));
        let foreign = before - hits.len();
        if let (false, Some(field)) = (shows, &fence.field) {
            let fields = hits.iter_mut().filter_map(|hit| hit.get_mut("fields"));
            fields.for_each(|fields| drop(fields.remove(field)));
        }
        Ok((wire::written(&answer), u64::try_from(foreign).unwrap_or(u64::MAX)))
    }))
}

/// Sees to it that the tenant's field comes back. Whether the client asked for it.
fn ask_for_field(asking: &Asking<'_>, body: &mut Value<'_>) -> Result<bool, Refusal> {
    let place = Place::Body.member("fields");
    let Some(fields) = members::items(body, "fields", &Place::Body)? else { return Ok(true) };
    if let Some((at, name)) = fields.iter().enumerate().find(|(_, name)| name.as_str().is_none()) {
        return Err(place.item(at).wrong("a string", name));
    }
    let Some(field) = asking.fence.field.as_deref() else { return Ok(true) };
    if fields.iter().any(|name| name.as_str() == Some(field) || name.as_str() == Some("*")) {
        return Ok(true);
    }
    let mut fields = fields.to_vec();
    fields.push(Value::string(field.to_owned()));
    body.set("fields", Value::Array(fields.into_iter().map(Value::into_owned).collect()));
    Ok(false)
}

pub(super) fn upsert(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    own_only(asking, SHARED)?;
    let lines = asking.request.body.as_ref().and_then(Value::items).unwrap_or_default();
    let mut records = lines.to_vec();
    for (at, record) in records.iter_mut().enumerate() {
        let here = Place::Body.item(at);
        if record.members().is_none() {
            return Err(here.wrong("an object", record));
        }
        let id = record.get("_id").or_else(|| record.get("id")).and_then(Value::as_str);
        id.ok_or_else(|| here.bad("has no `_id`"))?;
        asking.fence.stamp(record);
    }
    if records.is_empty() {
        return Err(Place::Body.bad("is empty; send a record a line"));
    }
    let sending = Sending::of_lines(&outside(asking), &records);
    Ok(Chain::once(asking, sending, |reply| Ok((reply.body.clone(), 0))))
}
