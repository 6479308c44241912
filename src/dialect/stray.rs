//! Calls in places that nobody judges. After the known places of an answer were emptied, a call that is still
//! found in it could reach a client unjudged: then nothing of the answer is sent.

use super::keys::reads_as;
use crate::json::Value;

const CALLS: [&str; 3] = ["tool_calls", "tool_call", "function_call"];
/// Types of content parts that are calls in other dialects.
const CALL_PARTS: [&str; 11] = [
    "apply_patch_call",
    "computer_call",
    "custom_tool_call",
    "function_call",
    "local_shell_call",
    "mcp_approval_request",
    "mcp_call",
    "mcp_tool_use",
    "server_tool_use",
    "shell_call",
    "tool_use",
];

/// What calls carry, by the names of one dialect or another: an item or block of a type that is not known here has
/// none of them.
pub(super) const PARTS_OF_CALLS: [&str; 8] =
    ["args", "arguments", "function", "input", "parameters", "partial_json", "tool_input", "tool_use_id"];

/// Whether an object has a member that someone reads as one of these.
pub(super) fn has_one_of(object: &Value<'_>, names: &[&str]) -> bool {
    let members = object.members().unwrap_or_default();
    members.iter().any(|(key, _)| names.iter().any(|name| reads_as(key, name)))
}

/// Whether a call stands anywhere in a value: after the known places were emptied, a place that nobody judges.
pub(crate) fn stray_call(value: &Value<'_>) -> bool {
    match value {
        Value::Array(items) => items.iter().any(stray_call),
        Value::Object(_) => stray_beside(value, &[]),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => false,
    }
}

/// Whether a call stands in a member of an object, beside those of these names.
pub(super) fn stray_beside(object: &Value<'_>, known: &[&str]) -> bool {
    object.members().unwrap_or_default().iter().filter(|(key, _)| !known.contains(&key.as_ref())).any(
        |(key, value)| {
            let call = CALLS.iter().any(|call| reads_as(key, call));
            let part = reads_as(key, "type") && value.as_str().is_some_and(|kind| CALL_PARTS.contains(&kind));
            (call && !is_nothing(value)) || part || stray_call(value)
        },
    )
}

/// Whether no call stands in the place of some.
pub(crate) fn is_nothing(calls: &Value<'_>) -> bool {
    calls.is_null() || calls.items().is_some_and(<[_]>::is_empty)
}
