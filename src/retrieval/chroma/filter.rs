//! `where` and `where_document`: what is known of them, and the tenant's clause beside them.

use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        endpoint::Asking,
        members::{self, Place},
    },
};

const COMPARE: [&str; 6] = ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"];
const AMONG: [&str; 2] = ["$in", "$nin"];
const CONTAIN: [&str; 2] = ["$contains", "$not_contains"];
const TEXTS: [&str; 4] = ["$contains", "$not_contains", "$regex", "$not_regex"];
const BOTH: [&str; 2] = ["$and", "$or"];

/// The only member of a clause.
fn only<'v, 'r>(value: &'v Value<'r>, place: &Place<'_>) -> Result<(&'v str, &'v Value<'r>), Refusal> {
    let members = value.members().ok_or_else(|| place.wrong("an object", value))?;
    match members {
        [(name, clause)] => Ok((name, clause)),
        _ => Err(place.bad("has to have one member; join clauses with `$and`")),
    }
}

/// Checks `where`.
pub(super) fn check(asking: &Asking<'_>, value: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    let (name, clause) = only(value, place)?;
    let here = place.member(name);
    match name {
        _ if BOTH.contains(&name) => members::each(clause, &here, |item, place| check(asking, item, place)),
        "#document" => match only(clause, &here)? {
            (operator, text) if TEXTS.contains(&operator) => is_text(text, &here),
            (operator, _) => Err(here.member(operator).no_operator()),
        },
        _ if name.starts_with('$') => Err(here.no_operator()),
        _ if name.starts_with('#') || name.is_empty() => Err(asking.unknown(place)),
        _ if clause.members().is_some() => {
            let (operator, operand) = only(clause, &here)?;
            let there = here.member(operator);
            if COMPARE.contains(&operator) || CONTAIN.contains(&operator) {
                members::scalar(operand, &there)
            } else if AMONG.contains(&operator) {
                members::each(operand, &there, members::scalar)
            } else {
                Err(there.no_operator())
            }
        }
        _ => members::scalar(clause, &here),
    }
}

/// Checks `where_document`.
pub(super) fn check_document(value: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    let (name, clause) = only(value, place)?;
    let here = place.member(name);
    if BOTH.contains(&name) {
        members::each(clause, &here, check_document)
    } else if TEXTS.contains(&name) {
        is_text(clause, &here)
    } else {
        Err(here.no_operator())
    }
}

fn is_text(value: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    value.as_str().map(drop).ok_or_else(|| place.wrong("a string", value))
}
