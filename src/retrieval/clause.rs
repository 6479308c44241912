//! Filters of stores that write them as MongoDB does: `{ field: { $eq: value } }`, joined by `$and`.

use super::Fence;
use crate::json::Value;
use std::borrow::Cow;

/// A clause: this field has this value.
pub(super) fn equals<'v>(field: &str, value: &str) -> Value<'v> {
    let is = Value::object([("$eq", Value::string(value.to_owned()))]);
    Value::Object(vec![(Cow::Owned(field.to_owned()), is)])
}

/// The caller's whole filter and the tenant's clause, as siblings.
pub(super) fn forced<'v>(fence: &Fence, filter: Option<&Value<'v>>) -> Option<Value<'v>> {
    let own = fence.field.as_deref().map(|field| equals(field, &fence.tenant));
    match (own, filter) {
        (Some(own), Some(filter)) => Some(Value::object([("$and", Value::Array(vec![own, filter.clone()]))])),
        (Some(own), None) => Some(own),
        (None, filter) => filter.cloned(),
    }
}
