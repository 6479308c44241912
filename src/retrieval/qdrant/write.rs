//! What is written to points and deleted from them. Whatever names ids is sent so that it holds for the tenant's alone.

use super::{
    filter, id,
    talk::{Named, Talk},
};
use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        Operation,
        endpoint::{Asking, Begun},
        members::{self, Place},
    },
};
use http::Method;

type Ids = Vec<Value<'static>>;

const WRITES: [&str; 3] = ["wait", "ordering", "timeout"];
const UPSERT: [&str; 5] = ["points", "batch", "shard_key", "update_filter", "update_mode"];
const SELECT: [&str; 3] = ["points", "filter", "shard_key"];
const PAYLOAD: [&str; 5] = ["payload", "points", "filter", "shard_key", "key"];
/// Without `key`, which Qdrant does not heed where a payload is overwritten.
const OVERWRITE: [&str; 4] = ["payload", "points", "filter", "shard_key"];
const KEYS: [&str; 4] = ["keys", "points", "filter", "shard_key"];
const VECTORS: [&str; 3] = ["points", "shard_key", "update_filter"];
const NAMES: [&str; 4] = ["vector", "points", "filter", "shard_key"];

/// One change, as it is sent, and the ids that it names.
type Scoped<'v> = Result<Value<'v>, Refusal>;

fn alone(
    asking: &Asking<'_>,
    known: &[&str],
    scope: impl Fn(&Value<'_>, &Place<'_>, &mut Ids) -> Scoped<'static>,
) -> Result<Talk, Refusal> {
    members::parameters(asking, &WRITES)?;
    let body = members::body(asking, known)?;
    let mut ids = Ids::new();
    let scoped = scope(body, &Place::Body, &mut ids)?;
    Ok(Talk::new(asking, Some(&scoped)).naming(Named::Written, ids))
}

pub(super) fn upsert(asking: &Asking<'_>) -> Begun {
    Ok(alone(asking, &UPSERT, |body, place, ids| upserted(asking, body, place, ids))?.boxed())
}

pub(super) fn delete(asking: &Asking<'_>) -> Begun {
    Ok(alone(asking, &SELECT, |body, place, ids| selected(asking, body, place, ids))?.boxed())
}

pub(super) fn set_payload(asking: &Asking<'_>) -> Begun {
    Ok(alone(asking, &PAYLOAD, |body, place, ids| payload(asking, body, place, ids))?.boxed())
}

pub(super) fn overwrite_payload(asking: &Asking<'_>) -> Begun {
    Ok(alone(asking, &OVERWRITE, |body, place, ids| payload(asking, body, place, ids))?.boxed())
}

pub(super) fn delete_payload(asking: &Asking<'_>) -> Begun {
    Ok(alone(asking, &KEYS, |body, place, ids| keys(asking, body, place, ids))?.boxed())
}

/// Payloads keep the tenant's field: they are overwritten with it alone.
pub(super) fn clear_payload(asking: &Asking<'_>) -> Begun {
    let talk = alone(asking, &SELECT, |body, place, ids| cleared(asking, body, place, ids))?;
    Ok(if asking.fence.field.is_some() { talk.to(Method::PUT, "/points/payload") } else { talk }.boxed())
}

pub(super) fn update_vectors(asking: &Asking<'_>) -> Begun {
    Ok(alone(asking, &VECTORS, |body, place, ids| vectors(asking, body, place, ids))?.boxed())
}

pub(super) fn delete_vectors(asking: &Asking<'_>) -> Begun {
    Ok(alone(asking, &NAMES, |body, place, ids| named_vectors(asking, body, place, ids))?.boxed())
}

/// Several changes, in their order. Rules tell deletes from writes, so a batch holds one kind of them.
pub(super) fn batch(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &WRITES)?;
    let body = members::body(asking, &["operations"])?;
    let place = Place::Body.member("operations");
    let operations =
        members::items(body, "operations", &Place::Body)?.ok_or_else(|| place.bad("is missing"))?;
    let (mut ids, mut each, mut deletes) = (Ids::new(), Vec::new(), 0_usize);
    for (at, operation) in operations.iter().enumerate() {
        let here = place.item(at);
        let [(name, change)] = operation.members().ok_or_else(|| here.wrong("an object", operation))? else {
            return Err(here.bad("has to have one member"));
        };
        let there = here.member(name);
        let known = |known: &[&str]| members::object(asking, change, &there, known).map(drop);
        let mut renamed = name.to_string();
        let scoped = match name.as_ref() {
            "upsert" => known(&UPSERT).and_then(|()| upserted(asking, change, &there, &mut ids))?,
            "delete" => {
                deletes += 1;
                known(&SELECT).and_then(|()| selected(asking, change, &there, &mut ids))?
            }
            "set_payload" => known(&PAYLOAD).and_then(|()| payload(asking, change, &there, &mut ids))?,
            "overwrite_payload" => {
                known(&OVERWRITE).and_then(|()| payload(asking, change, &there, &mut ids))?
            }
            "delete_payload" => known(&KEYS).and_then(|()| keys(asking, change, &there, &mut ids))?,
            "clear_payload" => {
                if asking.fence.field.is_some() {
                    "overwrite_payload".clone_into(&mut renamed);
                }
                known(&SELECT).and_then(|()| cleared(asking, change, &there, &mut ids))?
            }
            "update_vectors" => known(&VECTORS).and_then(|()| vectors(asking, change, &there, &mut ids))?,
            "delete_vectors" => {
                known(&NAMES).and_then(|()| named_vectors(asking, change, &there, &mut ids))?
            }
            _ => return Err(asking.refuse(format!("`{here}` is an operation that is not known here"))),
        };
        each.push(Value::Object(vec![(renamed.into(), scoped)]));
    }
    if deletes > 0 && deletes < each.len() {
        return Err(asking.refuse("deletes and writes are allowed apart from each other: send two batches"));
    }
    let kind = if deletes > 0 { Operation::Delete } else { Operation::Write };
    let scoped = Value::object([("operations", Value::Array(each))]);
    let talk = Talk::new(asking, Some(&scoped)).of_operation(kind);
    Ok(talk.naming(Named::Written, ids).boxed())
}

/// Points or a filter, as a filter with the tenant's clause.
fn select(
    asking: &Asking<'_>,
    change: &mut Value<'static>,
    place: &Place<'_>,
    ids: &mut Ids,
) -> Result<(), Refusal> {
    let points = change.remove("points").filter(|points| !points.is_null());
    let given = change.remove("filter").filter(|filter| !filter.is_null());
    match (points, given) {
        (Some(points), None) => {
            ids.extend(id::check_all(&points, &place.member("points"))?.iter().cloned());
            if asking.fence.field.is_none() {
                change.set("points", points);
            } else if let Some(forced) = filter::beside(asking.fence, [Value::object([("has_id", points)])]) {
                change.set("filter", forced);
            }
            Ok(())
        }
        (None, Some(given)) => {
            filter::check(asking, &given, &place.member("filter"))?;
            // Whoever names an id means that point, in a filter too.
            let mut named = Vec::new();
            filter::ids(&given, &mut named);
            ids.extend(named);
            change.set("filter", filter::forced(asking.fence, Some(&given)).unwrap_or(given));
            Ok(())
        }
        (Some(_), Some(_)) => Err(place.bad("has `points` and `filter`; give one of them")),
        (None, None) => Err(place.bad("has neither `points` nor `filter`")),
    }
}

fn selected(asking: &Asking<'_>, change: &Value<'_>, place: &Place<'_>, ids: &mut Ids) -> Scoped<'static> {
    let mut change = change.clone().into_owned();
    select(asking, &mut change, place, ids)?;
    Ok(change)
}

fn stamp(asking: &Asking<'_>, payload: &mut Value<'static>, place: &Place<'_>) -> Result<(), Refusal> {
    match payload {
        Value::Object(_) => {}
        Value::Null => *payload = Value::Object(Vec::new()),
        _ => return Err(place.wrong("an object", payload)),
    }
    asking.fence.stamp(payload);
    Ok(())
}

/// The tenant's clause beside the caller's condition for what may be changed.
fn update_filter(asking: &Asking<'_>, change: &mut Value<'static>, place: &Place<'_>) -> Result<(), Refusal> {
    let given = change.present("update_filter").cloned();
    if let Some(given) = &given {
        filter::check(asking, given, &place.member("update_filter"))?;
    }
    if let Some(forced) = filter::forced(asking.fence, given.as_ref()) {
        change.set("update_filter", forced);
    }
    Ok(())
}

fn upserted(asking: &Asking<'_>, change: &Value<'_>, place: &Place<'_>, ids: &mut Ids) -> Scoped<'static> {
    let mut change = change.clone().into_owned();
    update_filter(asking, &mut change, place)?;
    match (change.present("points").is_some(), change.present("batch").is_some()) {
        (true, false) => {
            let here = place.member("points");
            let points = change.get_mut("points").and_then(Value::items_mut);
            for (at, point) in
                points.ok_or_else(|| here.bad("is not an array of points"))?.iter_mut().enumerate()
            {
                let there = here.item(at);
                members::object(asking, point, &there, &["id", "vector", "payload"])?;
                let id = point.get("id").cloned().unwrap_or(Value::Null);
                id::check(&id, &there.member("id"))?;
                ids.push(id);
                let mut payload = point.remove("payload").unwrap_or(Value::Null);
                stamp(asking, &mut payload, &there.member("payload"))?;
                point.set("payload", payload);
            }
        }
        (false, true) => {
            let here = place.member("batch");
            let batch = change.get_mut("batch").unwrap_or(&mut Value::Null).clone();
            members::object(asking, &batch, &here, &["ids", "vectors", "payloads"])?;
            let named =
                id::check_all(batch.get("ids").unwrap_or(&Value::Null), &here.member("ids"))?.to_vec();
            let there = here.member("payloads");
            let mut payloads = match members::items(&batch, "payloads", &here)? {
                Some(payloads) if payloads.len() == named.len() => payloads.to_vec(),
                Some(_) => return Err(there.bad("is not as long as `ids`")),
                None => vec![Value::Null; named.len()],
            };
            for (at, payload) in payloads.iter_mut().enumerate() {
                stamp(asking, payload, &there.item(at))?;
            }
            ids.extend(named);
            if let Some(batch) = change.get_mut("batch") {
                batch.set("payloads", Value::Array(payloads));
            }
        }
        _ => return Err(place.bad("has to have `points` or `batch`")),
    }
    Ok(change)
}

fn payload(asking: &Asking<'_>, change: &Value<'_>, place: &Place<'_>, ids: &mut Ids) -> Scoped<'static> {
    let mut change = change.clone().into_owned();
    select(asking, &mut change, place, ids)?;
    let here = place.member("payload");
    match members::text(&change, "key", place)?.map(ToOwned::to_owned) {
        Some(key) => {
            is_own_key(asking, &key, &place.member("key"))?;
            let given = change.get("payload").unwrap_or(&Value::Null);
            given.members().ok_or_else(|| here.wrong("an object", given))?;
        }
        None => {
            let mut given = change.remove("payload").unwrap_or(Value::Null);
            stamp(asking, &mut given, &here)?;
            change.set("payload", given);
        }
    }
    Ok(change)
}

/// The tenant's field is not the client's to change: a path that might lead to it is refused.
fn is_own_key(asking: &Asking<'_>, key: &str, place: &Place<'_>) -> Result<(), Refusal> {
    let Some(field) = &asking.fence.field else { return Ok(()) };
    let first = key.split(['.', '[']).next().unwrap_or_default();
    let plain =
        !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if !plain || first == &**field {
        let place = place.to_string();
        return Err(asking.refuse(format!("`{place}` may lead to the field that holds the tenant")));
    }
    Ok(())
}

fn keys(asking: &Asking<'_>, change: &Value<'_>, place: &Place<'_>, ids: &mut Ids) -> Scoped<'static> {
    let mut change = change.clone().into_owned();
    select(asking, &mut change, place, ids)?;
    let here = place.member("keys");
    let keys = members::items(&change, "keys", place)?.ok_or_else(|| here.bad("is missing"))?;
    for (at, key) in keys.iter().enumerate() {
        let text = key.as_str().ok_or_else(|| here.item(at).wrong("a string", key))?;
        is_own_key(asking, text, &here.item(at))?;
    }
    Ok(change)
}

fn cleared(asking: &Asking<'_>, change: &Value<'_>, place: &Place<'_>, ids: &mut Ids) -> Scoped<'static> {
    let mut change = selected(asking, change, place, ids)?;
    if asking.fence.field.is_some() {
        let mut payload = Value::Null;
        stamp(asking, &mut payload, place)?;
        change.set("payload", payload);
    }
    Ok(change)
}

fn vectors(asking: &Asking<'_>, change: &Value<'_>, place: &Place<'_>, ids: &mut Ids) -> Scoped<'static> {
    let mut change = change.clone().into_owned();
    update_filter(asking, &mut change, place)?;
    let here = place.member("points");
    let points = members::items(&change, "points", place)?.ok_or_else(|| here.bad("is missing"))?;
    for (at, point) in points.iter().enumerate() {
        let there = here.item(at);
        members::object(asking, point, &there, &["id", "vector"])?;
        let id = point.get("id").unwrap_or(&Value::Null);
        id::check(id, &there.member("id"))?;
        ids.push(id.clone());
    }
    Ok(change)
}

fn named_vectors(
    asking: &Asking<'_>,
    change: &Value<'_>,
    place: &Place<'_>,
    ids: &mut Ids,
) -> Scoped<'static> {
    let mut change = change.clone().into_owned();
    // The names of vectors, not one: read before the points are.
    let here = place.member("vector");
    let names = members::items(&change, "vector", place)?.ok_or_else(|| here.bad("is missing"))?;
    if names.iter().any(|name| name.as_str().is_none()) {
        return Err(here.bad("is not a list of names"));
    }
    select(asking, &mut change, place, ids)?;
    Ok(change)
}
