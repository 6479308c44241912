//! `where` and `where_document`: what is known of them, and the tenant's clause beside them.

use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{endpoint::Asking, members::Place},
};
use std::borrow::Cow;

const COMPARE: [&str; 6] = ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"];
const AMONG: [&str; 2] = ["$in", "$nin"];
const CONTAIN: [&str; 2] = ["$contains", "$not_contains"];
const TEXTS: [&str; 4] = ["$contains", "$not_contains", "$regex", "$not_regex"];
const BOTH: [&str; 2] = ["$and", "$or"];

/// The caller's whole filter and the tenant's clause, as siblings.
pub(super) fn forced<'v>(asking: &Asking<'v>, filter: Option<&'v Value<'v>>) -> Option<Value<'v>> {
    let own = asking.fence.field.as_deref().map(|field| equals(field, &asking.fence.tenant));
    match (own, filter) {
        (Some(own), Some(filter)) => Some(Value::object([("$and", Value::Array(vec![own, filter.clone()]))])),
        (Some(own), None) => Some(own),
        (None, filter) => filter.cloned(),
    }
}

/// A clause: this field has this value.
pub(super) fn equals<'v>(field: &str, value: &str) -> Value<'v> {
    let is = Value::object([("$eq", Value::string(value.to_owned()))]);
    Value::Object(vec![(Cow::Owned(field.to_owned()), is)])
}

/// The only member of a clause.
fn only<'v, 'r>(value: &'v Value<'r>, place: &Place<'_>) -> Result<(&'v str, &'v Value<'r>), Refusal> {
    let members = value.members().ok_or_else(|| place.wrong("an object", value))?;
    match members {
        [(name, clause)] => Ok((name, clause)),
        _ => Err(place.bad("has to have one member; join clauses with `$and`")),
    }
}

fn unknown(asking: &Asking<'_>, place: &Place<'_>) -> Refusal {
    asking.refuse(format!("`{place}` has a clause that is not known here, and nothing unknown is forwarded"))
}

/// Checks `where`.
pub(super) fn check(asking: &Asking<'_>, value: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    let (name, clause) = only(value, place)?;
    let here = place.member(name);
    match name {
        _ if BOTH.contains(&name) => each(clause, &here, |item, place| check(asking, item, place)),
        "#document" => match only(clause, &here)? {
            (operator, text) if TEXTS.contains(&operator) => is_text(text, &here),
            _ => Err(unknown(asking, place)),
        },
        _ if name.starts_with(['$', '#']) || name.is_empty() => Err(unknown(asking, place)),
        _ if clause.members().is_some() => {
            let (operator, operand) = only(clause, &here)?;
            let there = here.member(operator);
            if COMPARE.contains(&operator) || CONTAIN.contains(&operator) {
                is_scalar(operand, &there)
            } else if AMONG.contains(&operator) {
                each(operand, &there, is_scalar)
            } else {
                Err(unknown(asking, &here))
            }
        }
        _ => is_scalar(clause, &here),
    }
}

/// Checks `where_document`.
pub(super) fn check_document(
    asking: &Asking<'_>,
    value: &Value<'_>,
    place: &Place<'_>,
) -> Result<(), Refusal> {
    let (name, clause) = only(value, place)?;
    let here = place.member(name);
    if BOTH.contains(&name) {
        each(clause, &here, |item, place| check_document(asking, item, place))
    } else if TEXTS.contains(&name) {
        is_text(clause, &here)
    } else {
        Err(unknown(asking, place))
    }
}

fn each(
    value: &Value<'_>,
    place: &Place<'_>,
    check: impl Fn(&Value<'_>, &Place<'_>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let items = value.items().ok_or_else(|| place.wrong("an array", value))?;
    if items.is_empty() {
        return Err(place.bad("is empty"));
    }
    items.iter().enumerate().try_for_each(|(at, item)| check(item, &place.item(at)))
}

fn is_scalar(value: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    match value {
        Value::Bool(_) | Value::String(_) => Ok(()),
        Value::Number(_) if value.vector().is_none() => Ok(()),
        Value::Array(_) | Value::Null | Value::Number(_) | Value::Object(_) => {
            Err(place.wrong("a string, a number or a boolean", value))
        }
    }
}

fn is_text(value: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    value.as_str().map(drop).ok_or_else(|| place.wrong("a string", value))
}
