//! Records as Chroma answers with them: a list of ids, and lists beside it in the same order.

use crate::{
    json::{self, Value},
    refusal::Refusal,
    retrieval::Fence,
};
use bytes::Bytes;

/// Lists that stand beside the ids, where they are asked for.
const BESIDE: [&str; 5] = ["embeddings", "documents", "uris", "metadatas", "distances"];
const NESTING_MAX: usize = 64;

pub(super) fn unreadable() -> Refusal {
    Refusal::UpstreamError { message: "the store's answer cannot be read, so it cannot be verified" }
}

pub(super) fn parse(body: &[u8]) -> Result<Value<'_>, Refusal> {
    json::parse_answer_with_vectors(body, NESTING_MAX).map_err(|_| unreadable())
}

/// How the records of an answer are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lists {
    One,
    /// One for each query.
    EachQuery,
}

/// An answer that was verified.
pub(super) struct Verified {
    pub(super) body: Bytes,
    pub(super) foreign: u64,
}

/// Verifies every record of an answer, and takes out what the client did not ask for: its metadata, unless `shows`.
pub(super) fn verify(fence: &Fence, lists: Lists, shows: bool, body: &Bytes) -> Result<Verified, Refusal> {
    let mut answer = parse(body)?;
    let members = answer.members().ok_or_else(unreadable)?;
    let known = |name: &str| name == "ids" || name == "include" || BESIDE.contains(&name);
    let odd = members.iter().any(|(name, _)| !known(name));
    let keep = keep(fence, lists, &answer)?;
    let foreign = keep.iter().flatten().filter(|own| !**own).count();
    if foreign == 0 && shows && !odd {
        return Ok(Verified { body: body.clone(), foreign: 0 });
    }
    if let Value::Object(members) = &mut answer {
        members.retain(|(name, _)| known(name));
        for (name, value) in members.iter_mut().filter(|(name, _)| name != "include") {
            retain(value, lists, &keep)?;
            if name == "metadatas" && !shows {
                *value = Value::Null;
            }
        }
    }
    if let Some(include) = answer.get_mut("include").and_then(Value::items_mut)
        && !shows
    {
        include.retain(|name| name.as_str() != Some("metadatas"));
    }
    let mut out = Vec::with_capacity(body.len());
    json::write(&answer, &mut out);
    Ok(Verified { body: out.into(), foreign: u64::try_from(foreign).unwrap_or(u64::MAX) })
}

/// Which records are the tenant's, list by list.
fn keep(fence: &Fence, lists: Lists, answer: &Value<'_>) -> Result<Vec<Vec<bool>>, Refusal> {
    let ids = answer.get("ids").ok_or_else(unreadable)?;
    let metadatas = answer.present("metadatas");
    match lists {
        Lists::One => Ok(vec![keep_of(fence, ids, metadatas)?]),
        Lists::EachQuery => {
            let ids = ids.items().ok_or_else(unreadable)?;
            let metadatas =
                metadatas.map(|metadatas| metadatas.items().ok_or_else(unreadable)).transpose()?;
            if metadatas.is_some_and(|metadatas| metadatas.len() != ids.len()) {
                return Err(unreadable());
            }
            let each = ids.iter().enumerate();
            each.map(|(at, ids)| keep_of(fence, ids, metadatas.and_then(|metadatas| metadatas.get(at))))
                .collect()
        }
    }
}

fn keep_of(fence: &Fence, ids: &Value<'_>, metadatas: Option<&Value<'_>>) -> Result<Vec<bool>, Refusal> {
    let ids = ids.items().ok_or_else(unreadable)?;
    if ids.iter().any(|id| id.as_str().is_none()) {
        return Err(unreadable());
    }
    let metadatas = metadatas.map(|metadatas| metadatas.items().ok_or_else(unreadable)).transpose()?;
    if metadatas.is_some_and(|metadatas| metadatas.len() != ids.len()) {
        return Err(unreadable());
    }
    Ok((0..ids.len()).map(|at| fence.owns(metadatas.and_then(|metadatas| metadatas.get(at)))).collect())
}

fn retain(value: &mut Value<'_>, lists: Lists, keep: &[Vec<bool>]) -> Result<(), Refusal> {
    if value.is_null() {
        return Ok(());
    }
    let retain_in = |value: &mut Value<'_>, keep: &[bool]| {
        // A list of numbers alone: distances.
        if let Some(text) = value.vector() {
            let inner = text.trim_start_matches('[').trim_end_matches(']');
            let items = inner.split(',').map(|part| Value::Number(part.trim().to_owned().into()));
            *value = Value::Array(items.collect());
        }
        let items = value.items_mut().filter(|items| items.len() == keep.len()).ok_or_else(unreadable)?;
        let mut keep = keep.iter();
        items.retain(|_| keep.next().is_some_and(|own| *own));
        Ok(())
    };
    match lists {
        Lists::One => retain_in(value, keep.first().ok_or_else(unreadable)?),
        Lists::EachQuery => {
            let items = value.items_mut().filter(|items| items.len() == keep.len()).ok_or_else(unreadable)?;
            items
                .iter_mut()
                .zip(keep)
                .filter(|(item, _)| !item.is_null())
                .try_for_each(|(item, keep)| retain_in(item, keep))
        }
    }
}

/// The ids of an answer, each with whether its record is the tenant's.
pub(super) fn owners(fence: &Fence, body: &[u8]) -> Result<Vec<(String, bool)>, Refusal> {
    let answer = parse(body)?;
    let ids = answer.get("ids").ok_or_else(unreadable)?;
    let keep = keep_of(fence, ids, answer.present("metadatas"))?;
    let ids = ids.items().unwrap_or_default().iter().filter_map(|id| Some(id.as_str()?.to_owned()));
    Ok(ids.zip(keep).collect())
}
