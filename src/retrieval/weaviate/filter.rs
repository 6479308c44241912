//! Filters: what is known of them, and the tenant's clause beside them. GraphQL and REST write them alike.

use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        Fence,
        endpoint::Asking,
        members::{self, Place},
    },
};

const COMPARE: [&str; 11] = [
    "ContainsAll",
    "ContainsAny",
    "ContainsNone",
    "Equal",
    "GreaterThan",
    "GreaterThanEqual",
    "IsNull",
    "LessThan",
    "LessThanEqual",
    "Like",
    "NotEqual",
];
const JOIN: [&str; 3] = ["And", "Not", "Or"];
const NEAR: &str = "WithinGeoRange";
const AREA: &str = "valueGeoRange";
const VALUES: [&str; 13] = [
    "valueBoolean",
    "valueBooleanArray",
    "valueDate",
    "valueDateArray",
    "valueInt",
    "valueIntArray",
    "valueNumber",
    "valueNumberArray",
    "valueString",
    "valueStringArray",
    "valueText",
    "valueTextArray",
    AREA,
];

/// A clause: this property has this value.
pub(super) fn equals(property: &str, value: &str) -> Value<'static> {
    Value::object([
        ("path", Value::Array(vec![Value::string(property.to_owned())])),
        ("operator", Value::string("Equal")),
        ("valueText", Value::string(value.to_owned())),
    ])
}

fn all(operands: Vec<Value<'_>>) -> Value<'_> {
    Value::object([("operator", Value::string("And")), ("operands", Value::Array(operands))])
}

/// The caller's whole filter and a clause that names a tenant, as siblings.
pub(super) fn forced_to<'v>(fence: &Fence, tenant: &str, filter: Option<&Value<'v>>) -> Option<Value<'v>> {
    let own = fence.field.as_deref().map(|field| equals(field, tenant));
    match (own, filter) {
        (Some(own), Some(filter)) => Some(all(vec![own, filter.clone()])),
        (Some(own), None) => Some(own),
        (None, filter) => filter.cloned(),
    }
}

/// The caller's whole filter and the tenant's clause, as siblings.
pub(super) fn forced<'v>(fence: &Fence, filter: Option<&Value<'v>>) -> Option<Value<'v>> {
    forced_to(fence, &fence.tenant, filter)
}

/// Records that have one of these ids.
pub(super) fn among(ids: &[String]) -> Value<'static> {
    let mut each: Vec<Value<'_>> = ids.iter().map(|id| equals("id", id)).collect();
    match each.pop() {
        Some(one) if each.is_empty() => one,
        Some(last) => {
            each.push(last);
            Value::object([("operator", Value::string("Or")), ("operands", Value::Array(each))])
        }
        None => Value::Null,
    }
}

/// Checks a filter: filters that are joined, or what has to hold of one property.
pub(super) fn check(asking: &Asking<'_>, value: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    let found = value.members().ok_or_else(|| place.wrong("an object", value))?;
    let there = place.member("operator");
    let operator = value.present("operator").ok_or_else(|| place.bad("has no `operator`"))?;
    let operator = operator.as_str().ok_or_else(|| there.wrong("a word", operator))?;
    if JOIN.contains(&operator) {
        members::object(asking, value, place, &["operator", "operands"])?;
        let operands = place.member("operands");
        return match value.present("operands") {
            Some(Value::Array(each)) if !each.is_empty() => each
                .iter()
                .enumerate()
                .try_for_each(|(at, operand)| check(asking, operand, &operands.item(at))),
            // One stands there without a list, too.
            Some(one @ Value::Object(_)) => check(asking, one, &operands),
            Some(other) => Err(operands.wrong("a list of filters", other)),
            None => Err(place.bad("has no `operands`")),
        };
    }
    if operator != NEAR && !COMPARE.contains(&operator) {
        return Err(there.no_operator());
    }
    members::object(asking, value, place, &[&["operator", "path"], &VALUES[..]].concat())?;
    path(asking, value.get("path"), &place.member("path"))?;
    let mut values = found.iter().filter(|(name, _)| VALUES.contains(&name.as_ref()));
    let (Some((name, operand)), None) = (values.next(), values.next()) else {
        return Err(place.bad("has to have one `value…`"));
    };
    let here = place.member(name);
    match operand {
        Value::Object(_) if name == AREA && operator == NEAR => area(asking, operand, &here),
        Value::Array(items) if name != AREA => {
            items.iter().enumerate().try_for_each(|(at, item)| members::scalar(item, &here.item(at)))
        }
        one if name != AREA => members::scalar(one, &here),
        other => Err(here.wrong("what the operator takes", other)),
    }
}

/// One property. What leads on to records of other classes is not read: nothing keeps those to the tenant.
pub(super) fn path(asking: &Asking<'_>, value: Option<&Value<'_>>, place: &Place<'_>) -> Result<(), Refusal> {
    match value.and_then(Value::items) {
        Some([one]) if one.as_str().is_some() => Ok(()),
        Some([_, _, ..]) => {
            Err(asking.refuse(format!("`{place}` leads through a reference to other records")))
        }
        _ => Err(place.bad("is not a list of one name of a property")),
    }
}

fn area(asking: &Asking<'_>, value: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    for (name, inner) in members::object(asking, value, place, &["distance", "geoCoordinates"])? {
        let here = place.member(name);
        let known: &[&str] = if name == "distance" { &["max"] } else { &["latitude", "longitude"] };
        for (part, number) in members::object(asking, inner, &here, known)? {
            members::scalar(number, &here.member(part))?;
        }
    }
    Ok(())
}
