//! What Qdrant answers, verified: every point shows the tenant's name in its payload, or it is taken out.

use super::id;
use crate::{
    json::{self, Value},
    refusal::Refusal,
    retrieval::Fence,
};
use bytes::Bytes;
use std::borrow::Cow;

const NESTING_MAX: usize = 64;

pub(super) fn unreadable() -> Refusal {
    Refusal::UpstreamError { message: "the store's answer cannot be read, so it cannot be verified" }
}

pub(super) fn parse(body: &[u8]) -> Result<Value<'_>, Refusal> {
    json::parse_answer_with_vectors(body, NESTING_MAX).map_err(|_| unreadable())
}

pub(super) fn written(value: &Value<'_>) -> Bytes {
    let mut out = Vec::new();
    json::write(value, &mut out);
    out.into()
}

/// What a client sees of payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    All,
    /// All that it asked for, without the tenant's field.
    AllButField,
    Nothing,
}

/// Where points stand in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `result` is a list of points.
    List,
    /// `result.points`.
    Points,
    /// `result.points`, and the store's own word for where they go on, which is not believed.
    Page,
    /// `result.groups[].hits`.
    Groups,
}

/// Sees to it that the tenant's field comes back in payloads. What the client asked to see of them.
pub(super) fn ask_for_payload(
    fence: &Fence,
    request: &mut Value<'_>,
    otherwise: bool,
) -> Result<Shows, Refusal> {
    let Some(field) = fence.field.as_deref() else { return Ok(Shows::All) };
    let name = "with_payload";
    let only = || Value::object([("include", Value::Array(vec![Value::string(field.to_owned())]))]);
    let bad = || {
        let text = "`with_payload` is no boolean, no list of strings and no `include` or `exclude` of one";
        Refusal::invalid(text, Some(name))
    };
    let is_field = |item: &Value<'_>| item.as_str() == Some(field);
    let mut wanted = request.present(name).cloned().unwrap_or(Value::Bool(otherwise));
    let shows = match &mut wanted {
        Value::Bool(true) => Shows::All,
        Value::Bool(false) => {
            wanted = only();
            Shows::Nothing
        }
        Value::Array(items) if items.iter().all(|item| item.as_str().is_some()) => add(items, field),
        Value::Object(members) => match members.as_mut_slice() {
            [(kind, Value::Array(items))] if items.iter().all(|item| item.as_str().is_some()) => {
                match kind.as_ref() {
                    "include" => add(items, field),
                    "exclude" if items.iter().any(is_field) => {
                        items.retain(|item| !is_field(item));
                        Shows::AllButField
                    }
                    "exclude" => Shows::All,
                    _ => return Err(bad()),
                }
            }
            _ => return Err(bad()),
        },
        _ => return Err(bad()),
    };
    request.set(name, wanted.into_owned());
    Ok(shows)
}

fn add(items: &mut Vec<Value<'_>>, field: &str) -> Shows {
    if items.iter().any(|item| item.as_str() == Some(field)) {
        return Shows::All;
    }
    items.push(Value::string(field.to_owned()));
    Shows::AllButField
}

/// How answers are verified.
#[derive(Debug, Clone)]
pub(super) struct Verifier {
    pub(super) fence: Fence,
    pub(super) shape: Shape,
    /// One answer each, where `result` is a list of them; else one for all.
    pub(super) batch: bool,
    pub(super) shows: Vec<Shows>,
    /// Points by id have no filter: another's among them is what the client named, and no fault of the store's.
    pub(super) by_id: bool,
    /// A page that has more points than this goes on with the first that is too many.
    pub(super) page: Option<usize>,
}

impl Verifier {
    /// The answer as the client sees it, and how many points were taken out.
    pub(super) fn verify(&self, body: &Bytes) -> Result<(Bytes, u64), Refusal> {
        if self.fence.field.is_none() {
            return Ok((body.clone(), 0));
        }
        let mut answer = parse(body)?;
        let (mut foreign, mut changed) = (0, false);
        let result = answer.get_mut("result").ok_or_else(unreadable)?;
        let mut shows = self.shows.iter().copied();
        if self.batch {
            let results = result.items_mut().filter(|results| results.len() == self.shows.len());
            for result in results.ok_or_else(unreadable)? {
                let shows = shows.next().unwrap_or(Shows::Nothing);
                self.result(result, shows, &mut foreign, &mut changed)?;
            }
        } else {
            self.result(result, shows.next().unwrap_or(Shows::Nothing), &mut foreign, &mut changed)?;
        }
        if !changed {
            return Ok((body.clone(), 0));
        }
        Ok((written(&answer), if self.by_id { 0 } else { foreign }))
    }

    fn result(
        &self,
        result: &mut Value<'_>,
        shows: Shows,
        foreign: &mut u64,
        changed: &mut bool,
    ) -> Result<(), Refusal> {
        match self.shape {
            Shape::List => self.points(Some(result), shows, foreign, changed),
            Shape::Points => {
                only(result, &["points"])?;
                self.points(result.get_mut("points"), shows, foreign, changed)
            }
            Shape::Page => {
                only(result, &["points", "next_page_offset"])?;
                self.points(result.get_mut("points"), shows, foreign, changed)?;
                self.page(result, changed)
            }
            Shape::Groups => {
                only(result, &["groups"])?;
                let groups = result.get_mut("groups").and_then(Value::items_mut).ok_or_else(unreadable)?;
                let before = groups.len();
                for group in groups.iter_mut() {
                    only(group, &["hits", "id"])?;
                    self.points(group.get_mut("hits"), shows, foreign, changed)?;
                }
                // What is in a group of nobody's is not told by its id either.
                groups.retain(|group| {
                    group.get("hits").and_then(Value::items).is_some_and(|hits| !hits.is_empty())
                });
                *changed |= groups.len() != before;
                Ok(())
            }
        }
    }

    fn points(
        &self,
        points: Option<&mut Value<'_>>,
        shows: Shows,
        foreign: &mut u64,
        changed: &mut bool,
    ) -> Result<(), Refusal> {
        let points = points.and_then(Value::items_mut).ok_or_else(unreadable)?;
        let before = points.len();
        points.retain(|point| self.fence.owns(point.get("payload")));
        let removed = before - points.len();
        *foreign = foreign.saturating_add(u64::try_from(removed).unwrap_or(u64::MAX));
        *changed |= removed > 0 || (shows != Shows::All && before > 0);
        for point in points.iter_mut() {
            match (shows, &self.fence.field) {
                (Shows::Nothing, _) => drop(point.remove("payload")),
                (Shows::AllButField, Some(field)) => {
                    drop(point.get_mut("payload").and_then(|payload| payload.remove(field)));
                }
                (Shows::All | Shows::AllButField, _) => {}
            }
        }
        Ok(())
    }

    /// Where a page goes on is told by a point that was verified.
    fn page(&self, result: &mut Value<'_>, changed: &mut bool) -> Result<(), Refusal> {
        let points = result.get_mut("points").and_then(Value::items_mut).ok_or_else(unreadable)?;
        let next = match self.page {
            Some(limit) if points.len() > limit => {
                let next = points.get(limit).and_then(|point| point.get("id")).cloned();
                points.truncate(limit);
                next.unwrap_or(Value::Null)
            }
            _ => Value::Null,
        };
        if result.get("next_page_offset").unwrap_or(&Value::Null) != &next || !next.is_null() {
            *changed = true;
            result.set("next_page_offset", next);
        }
        Ok(())
    }
}

/// No other members than these, but for empty ones: what is not known cannot be verified.
fn only(value: &Value<'_>, known: &[&str]) -> Result<(), Refusal> {
    let members = value.members().ok_or_else(unreadable)?;
    let is_known =
        |(name, member): &(Cow<'_, str>, Value<'_>)| member.is_null() || known.contains(&name.as_ref());
    if members.iter().all(is_known) { Ok(()) } else { Err(unreadable()) }
}

/// The ids of points that were looked up, each with whether it is the tenant's.
pub(super) fn owners(fence: &Fence, body: &[u8]) -> Result<Vec<(String, bool)>, Refusal> {
    let answer = parse(body)?;
    let points = answer.get("result").and_then(Value::items).ok_or_else(unreadable)?;
    let each = points.iter().map(|point| {
        let key = point.get("id").and_then(id::key).ok_or_else(unreadable)?;
        Ok((key, fence.owns(point.get("payload"))))
    });
    each.collect()
}
