//! Filters: what is known of them, and the tenant's clause beside them.

use super::id;
use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        Fence,
        endpoint::Asking,
        members::{self, Place},
    },
};

const FILTER: [&str; 4] = ["must", "must_not", "should", "min_should"];
const FIELD: [&str; 9] = [
    "key",
    "match",
    "range",
    "geo_bounding_box",
    "geo_radius",
    "geo_polygon",
    "values_count",
    "is_empty",
    "is_null",
];
const MATCHES: [&str; 8] = ["value", "text", "text_any", "phrase", "prefix", "substring", "any", "except"];
const RANGE: [&str; 4] = ["lt", "lte", "gt", "gte"];
const GEO: [&str; 7] = ["top_left", "bottom_right", "center", "radius", "exterior", "interiors", "points"];

/// A clause: this field has this value.
pub(super) fn has<'v>(field: &str, value: &str) -> Value<'v> {
    let is = Value::object([("value", Value::string(value.to_owned()))]);
    Value::object([("key", Value::string(field.to_owned())), ("match", is)])
}

/// The tenant's clause beside other conditions, each whole. A list that holds the tenant's name among others' would match,
/// so no other value may be there.
pub(super) fn beside<'v>(fence: &Fence, others: impl IntoIterator<Item = Value<'v>>) -> Option<Value<'v>> {
    let field = fence.field.as_deref()?;
    let mut all = vec![has(field, &fence.tenant)];
    all.extend(others);
    let name = Value::string(fence.tenant.to_string());
    let other = Value::object([("except", Value::Array(vec![name]))]);
    let has_other = Value::object([("key", Value::string(field.to_owned())), ("match", other)]);
    Some(Value::object([("must", Value::Array(all)), ("must_not", Value::Array(vec![has_other]))]))
}

/// The caller's whole filter and the tenant's clause, as siblings.
pub(super) fn forced<'v>(fence: &Fence, filter: Option<&Value<'v>>) -> Option<Value<'v>> {
    let caller = filter.filter(|filter| filter.members().is_some_and(|members| !members.is_empty()));
    match &fence.field {
        Some(_) => beside(fence, caller.cloned()),
        None => filter.cloned(),
    }
}

/// The ids that a filter names, wherever it does.
pub(super) fn ids(filter: &Value<'_>, found: &mut Vec<Value<'static>>) {
    for (name, member) in filter.members().unwrap_or_default() {
        if name == "has_id" {
            found.extend(member.items().unwrap_or_default().iter().map(|id| id.clone().into_owned()));
        }
        ids(member, found);
    }
    filter.items().unwrap_or_default().iter().for_each(|item| ids(item, found));
}

/// Checks a filter.
pub(super) fn check(asking: &Asking<'_>, value: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    for (name, clause) in members::object(asking, value, place, &FILTER)? {
        let here = place.member(name);
        match name.as_ref() {
            _ if clause.is_null() => {}
            "min_should" => {
                members::object(asking, clause, &here, &["conditions", "min_count"])?;
                let conditions = clause.get("conditions").unwrap_or(&Value::Null);
                conditions_in(asking, conditions, &here.member("conditions"))?;
                members::count(clause, "min_count", &here)?;
            }
            _ => conditions_in(asking, clause, &here)?,
        }
    }
    Ok(())
}

fn conditions_in(asking: &Asking<'_>, value: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    match value {
        Value::Array(items) => {
            items.iter().enumerate().try_for_each(|(at, item)| condition(asking, item, &place.item(at)))
        }
        Value::Object(_) => condition(asking, value, place),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {
            Err(place.wrong("a condition or an array of conditions", value))
        }
    }
}

fn condition(asking: &Asking<'_>, value: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    let found = value.members().ok_or_else(|| place.wrong("an object", value))?;
    if value.get("key").is_some() {
        return field(asking, value, place);
    }
    if found.iter().any(|(name, _)| FILTER.contains(&name.as_ref())) {
        return check(asking, value, place);
    }
    let [(name, operand)] = found else { return Err(place.bad("is no condition")) };
    let here = place.member(name);
    match name.as_ref() {
        "has_id" => id::check_all(operand, &here).map(drop),
        "has_vector" => operand.as_str().map(drop).ok_or_else(|| here.wrong("a string", operand)),
        "is_empty" | "is_null" => {
            members::object(asking, operand, &here, &["key"])?;
            members::text(operand, "key", &here)?.map(drop).ok_or_else(|| here.bad("has no `key`"))
        }
        "nested" => {
            members::object(asking, operand, &here, &["key", "filter"])?;
            members::text(operand, "key", &here)?;
            check(asking, operand.get("filter").unwrap_or(&Value::Null), &here.member("filter"))
        }
        "slice" => {
            members::object(asking, operand, &here, &["total", "index"])?;
            members::count(operand, "total", &here)?;
            members::count(operand, "index", &here).map(drop)
        }
        _ => members::object(
            asking,
            value,
            place,
            &["has_id", "has_vector", "is_empty", "is_null", "nested", "slice"],
        )
        .map(drop),
    }
}

/// The operators of a condition: these alone.
fn operators<'v, 'r>(
    value: &'v Value<'r>,
    place: &Place<'_>,
    known: &[&str],
) -> Result<members::Members<'v, 'r>, Refusal> {
    let found = value.members().ok_or_else(|| place.wrong("an object", value))?;
    match found.iter().find(|(name, _)| !known.contains(&name.as_ref())) {
        Some((name, _)) => Err(place.member(name).no_operator()),
        None => Ok(found),
    }
}

/// A condition on a field.
fn field(asking: &Asking<'_>, value: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    members::object(asking, value, place, &FIELD)?;
    members::text(value, "key", place)?.ok_or_else(|| place.bad("has no `key`"))?;
    if let Some(matches) = value.present("match") {
        let here = place.member("match");
        for (name, operand) in operators(matches, &here, &MATCHES)? {
            let there = here.member(name);
            match (name.as_ref(), operand) {
                ("any" | "except", Value::Array(items)) => {
                    items
                        .iter()
                        .enumerate()
                        .try_for_each(|(at, item)| members::scalar(item, &there.item(at)))?;
                }
                ("any" | "except", _) => return Err(there.wrong("an array", operand)),
                _ => members::scalar(operand, &there)?,
            }
        }
    }
    for name in ["range", "values_count"] {
        if let Some(range) = value.present(name) {
            let here = place.member(name);
            for (name, operand) in operators(range, &here, &RANGE)? {
                if !operand.is_null() {
                    members::scalar(operand, &here.member(name))?;
                }
            }
        }
    }
    for name in ["geo_bounding_box", "geo_radius", "geo_polygon"] {
        if let Some(shape) = value.present(name) {
            members::object(asking, shape, &place.member(name), &GEO)?;
        }
    }
    members::flag(value, "is_empty", place)?;
    members::flag(value, "is_null", place).map(drop)
}
