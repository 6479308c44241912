//! Filters: what is known of them.

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
const BOTH: [&str; 2] = ["$and", "$or"];

/// Checks a filter: clauses that all hold, each of a field or of filters.
pub(super) fn check(asking: &Asking<'_>, value: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    let clauses = value.members().ok_or_else(|| place.wrong("an object", value))?;
    if clauses.is_empty() {
        return Err(place.bad("is empty"));
    }
    for (name, clause) in clauses {
        let here = place.member(name);
        match name.as_ref() {
            name if BOTH.contains(&name) => {
                members::each(clause, &here, |item, place| check(asking, item, place))?;
            }
            name if name.starts_with('$') => return Err(here.no_operator()),
            "" => return Err(asking.unknown(place)),
            _ => field(clause, &here)?,
        }
    }
    Ok(())
}

/// What has to hold of a field: a value, or operators.
fn field(clause: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    let Some(operators) = clause.members() else { return members::scalar(clause, place) };
    if operators.is_empty() {
        return Err(place.bad("is empty"));
    }
    for (operator, operand) in operators {
        let here = place.member(operator);
        match operator.as_ref() {
            operator if COMPARE.contains(&operator) => members::scalar(operand, &here)?,
            operator if AMONG.contains(&operator) => members::each(operand, &here, members::scalar)?,
            "$exists" if operand.as_bool().is_some() => {}
            "$exists" => return Err(here.wrong("a boolean", operand)),
            _ => return Err(here.no_operator()),
        }
    }
    Ok(())
}
