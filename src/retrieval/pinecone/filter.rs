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
                each(clause, &here, |item, place| check(asking, item, place))?;
            }
            name if name.starts_with('$') || name.is_empty() => return Err(unknown(asking, place)),
            _ => field(asking, clause, &here)?,
        }
    }
    Ok(())
}

/// What has to hold of a field: a value, or operators.
fn field(asking: &Asking<'_>, clause: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    let Some(operators) = clause.members() else { return members::scalar(clause, place) };
    if operators.is_empty() {
        return Err(place.bad("is empty"));
    }
    for (operator, operand) in operators {
        let here = place.member(operator);
        match operator.as_ref() {
            operator if COMPARE.contains(&operator) => members::scalar(operand, &here)?,
            operator if AMONG.contains(&operator) => each(operand, &here, members::scalar)?,
            "$exists" if operand.as_bool().is_some() => {}
            "$exists" => return Err(here.wrong("a boolean", operand)),
            _ => return Err(unknown(asking, place)),
        }
    }
    Ok(())
}

fn unknown(asking: &Asking<'_>, place: &Place<'_>) -> Refusal {
    asking.refuse(format!("`{place}` has a clause that is not known here, and nothing unknown is forwarded"))
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
