//! What is answered, verified: every record shows the tenant's name in its source, or it is taken out.

use super::source::{Shows, list};
use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        Fence,
        members::{self, Place},
        wire::unreadable,
    },
};

const ANSWER: [&str; 11] = [
    "took",
    "timed_out",
    "terminated_early",
    "num_reduce_phases",
    "_shards",
    "hits",
    "aggregations",
    "_scroll_id",
    "pit_id",
    "status",
    "error",
];
const HIT: [&str; 12] = [
    "_index",
    "_id",
    "_score",
    "_source",
    "_version",
    "_seq_no",
    "_primary_term",
    "_ignored",
    "fields",
    "highlight",
    "matched_queries",
    "sort",
];
const SHARDS: [&str; 4] = ["total", "successful", "skipped", "failed"];

fn keep(value: &mut Value<'_>, known: &[&str]) {
    if let Some(members) = value.members_mut() {
        members.retain(|(name, _)| known.contains(&name.as_ref()));
    }
}

/// Makes a source what the client asked for.
fn show(fence: &Fence, record: &mut Value<'_>, shows: Shows) {
    match (shows, &fence.field) {
        (Shows::Nothing, _) => drop(record.remove("_source")),
        (Shows::AllButField, Some(field)) => {
            drop(record.get_mut("_source").and_then(|source| source.remove(field)));
        }
        (Shows::All | Shows::AllButField, _) => {}
    }
}

/// The client's name of the index of a record; a record of another's has none.
fn rename(fence: &Fence, record: &mut Value<'_>) -> bool {
    let Some(name) = record.get("_index") else { return true };
    let inner = name.as_str().and_then(|name| fence.inner(name)).map(ToOwned::to_owned);
    inner.map(|inner| record.set("_index", Value::string(inner))).is_some()
}

/// Verifies what a search answered. How many records were taken out.
pub(super) fn verify(fence: &Fence, answer: &mut Value<'_>, shows: Shows) -> Result<u64, Refusal> {
    keep(answer, &ANSWER);
    if answer.get("error").is_some() {
        hush(answer);
        return Ok(0);
    }
    if let Some(shards) = answer.get_mut("_shards") {
        keep(shards, &SHARDS);
    }
    let hits = answer.get_mut("hits").ok_or_else(unreadable)?;
    keep(hits, &["total", "max_score", "hits"]);
    let found = hits.get_mut("hits").and_then(Value::items_mut).ok_or_else(unreadable)?;
    let before = found.len();
    found.retain_mut(|hit| fence.owns(hit.get("_source")) && rename(fence, hit));
    let foreign = before - found.len();
    for hit in found.iter_mut() {
        keep(hit, &HIT);
        show(fence, hit, shows);
    }
    let left = u64::try_from(found.len()).unwrap_or(u64::MAX);
    if foreign > 0 {
        // It counted the others, too.
        let total = hits.get_mut("total");
        match total {
            Some(total) if total.members().is_some() => total.set("value", Value::integer(left)),
            Some(total) => *total = Value::integer(left),
            None => {}
        }
        hits.set("max_score", Value::Null);
        answer.remove("aggregations");
    }
    Ok(u64::try_from(foreign).unwrap_or(u64::MAX))
}

/// An error in an answer, by its kind alone: its text may be of anybody's records.
pub(super) fn hush(holder: &mut Value<'_>) {
    let Some(error) = holder.get_mut("error") else { return };
    let kind = error.get("type").and_then(Value::as_str).filter(|kind| is_word(kind)).map(ToOwned::to_owned);
    *error = Value::object([
        ("type", Value::string(kind.unwrap_or_else(|| "exception".to_owned()))),
        ("reason", Value::string("the store refused it")),
    ]);
}

pub(super) fn is_word(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A record that was looked up: as the client sees it, or as one that is not there.
pub(super) fn document(fence: &Fence, mut record: Value<'_>, shows: Shows) -> Value<'static> {
    const KNOWN: [&str; 8] =
        ["_index", "_id", "_version", "_seq_no", "_primary_term", "found", "_source", "fields"];
    let is_there = record.get("found").and_then(Value::as_bool) == Some(true);
    let is_own = rename(fence, &mut record) && is_there && fence.owns(record.get("_source"));
    keep(&mut record, &KNOWN);
    if is_own {
        show(fence, &mut record, shows);
    } else {
        keep(&mut record, &["_index", "_id"]);
        record.set("found", Value::Bool(false));
    }
    record.into_owned()
}

/// How many records an answer to `_count` counts.
pub(super) fn counted(answer: &Value<'_>) -> Result<u64, Refusal> {
    answer.get("count").and_then(Value::as_u64).ok_or_else(unreadable)
}

/// Checks a list of names of fields, or of `{ field, format }`.
pub(super) fn check_fields(value: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    for (at, item) in list(value, place)?.iter().enumerate() {
        let here = place.item(at);
        if let Some(parts) = item.members() {
            parts.iter().try_for_each(|(name, part)| members::scalar(part, &here.member(name)))?;
        } else if item.as_str().is_none() {
            return Err(here.wrong("a string or an object", item));
        }
    }
    Ok(())
}
