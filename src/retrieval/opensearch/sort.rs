//! The order of what is found: by fields and scores. Scripts, and what would look beyond the record, are refused.

use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        endpoint::Asking,
        members::{self, Place},
    },
};

const OPTIONS: [&str; 6] = ["order", "mode", "missing", "unmapped_type", "numeric_type", "format"];

pub(super) fn check(asking: &Asking<'_>, value: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    match value {
        Value::Array(items) => {
            items.iter().enumerate().try_for_each(|(at, item)| one(asking, item, &place.item(at)))
        }
        _ => one(asking, value, place),
    }
}

fn one(asking: &Asking<'_>, value: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    let known =
        |field: &str| !field.starts_with('_') || ["_score", "_doc", "_shard_doc", "_id"].contains(&field);
    let unknown = || asking.refuse(format!("`{place}` orders by what is not known here"));
    if let Some(field) = value.as_str() {
        return if known(field) { Ok(()) } else { Err(unknown()) };
    }
    for (field, order) in value.members().ok_or_else(|| place.wrong("a string or an object", value))? {
        if !known(field) {
            return Err(unknown());
        }
        let here = place.member(field);
        if order.members().is_none() {
            members::scalar(order, &here)?;
            continue;
        }
        for (option, value) in members::object(asking, order, &here, &OPTIONS)? {
            members::scalar(value, &here.member(option))?;
        }
    }
    Ok(())
}
