//! Calls in places that nobody judges. After the known places of an answer were emptied, a call that is still
//! found in it could reach a client unjudged: then nothing of the answer is sent.

use super::keys::{fold, reads_as};
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

/// What calls carry, by the names of one dialect or another: an item, a block, a part or an event of a type that is not
/// known here has none of them, at any depth.
const PARTS_OF_CALLS: [&str; 8] =
    ["args", "arguments", "function", "input", "parameters", "partial_json", "tool_input", "tool_use_id"];
/// What describes the arguments of a listed tool: the names in it are a schema's.
const SCHEMAS: [&str; 2] = ["input_schema", "parameters"];

/// Whether an object has a member that someone reads as one of these.
pub(super) fn has_one_of(object: &Value<'_>, names: &[&str]) -> bool {
    let members = object.members().unwrap_or_default();
    members.iter().any(|(key, _)| names.iter().any(|name| reads_as(key, name)))
}

/// Whether a type that is not known here says that it is a call's.
pub(super) fn is_calls_type(kind: &str) -> bool {
    let kind = fold(kind);
    kind.contains("call") || kind.contains("tool")
}

/// Whether a part of one of these members, which are lists, says that it is a call.
pub(super) fn has_call_part(object: &Value<'_>, lists: &[&str]) -> bool {
    let parts = lists.iter().filter_map(|list| object.get(list)?.items()).flatten();
    let mut kinds = parts.filter_map(|part| part.get("type")?.as_str());
    kinds.any(is_calls_type)
}

/// Whether a call stands anywhere in a value: after the known places were emptied, a place that nobody judges.
pub(crate) fn stray_call(value: &Value<'_>) -> bool {
    anywhere(value, is_call)
}

/// Whether a call stands in a member of an object, beside those of these names.
pub(super) fn stray_beside(object: &Value<'_>, known: &[&str]) -> bool {
    beside(object, known, is_call)
}

/// Whether something anywhere in a value has what only a call has.
pub(super) fn parts_of_a_call(value: &Value<'_>) -> bool {
    anywhere(value, is_part)
}

/// Whether an object has what only a call has, in or as a member beside those of these names.
pub(super) fn parts_beside(object: &Value<'_>, known: &[&str]) -> bool {
    beside(object, known, is_part)
}

/// Whether no call stands in the place of some.
pub(crate) fn is_nothing(calls: &Value<'_>) -> bool {
    calls.is_null() || calls.items().is_some_and(<[_]>::is_empty)
}

/// By what a call is known.
type Sign = fn(&str, &Value<'_>) -> bool;

fn is_call(key: &str, value: &Value<'_>) -> bool {
    let call = CALLS.iter().any(|call| reads_as(key, call));
    (call && !is_nothing(value)) || has_calls_type(key, value)
}

fn has_calls_type(key: &str, value: &Value<'_>) -> bool {
    reads_as(key, "type") && value.as_str().is_some_and(|kind| CALL_PARTS.contains(&kind))
}

fn is_part(key: &str, value: &Value<'_>) -> bool {
    let carries = !matches!(value, Value::Bool(_) | Value::Null | Value::Number(_));
    carries && PARTS_OF_CALLS.iter().any(|part| reads_as(key, part))
}

fn anywhere(value: &Value<'_>, sign: Sign) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| anywhere(item, sign)),
        Value::Object(_) => beside(value, &[], sign),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => false,
    }
}

fn beside(object: &Value<'_>, known: &[&str], sign: Sign) -> bool {
    let members = object.members().unwrap_or_default().iter();
    let mut members = members.filter(|(key, _)| !known.contains(&key.as_ref()));
    members.any(|(key, value)| sign(key, value) || inside(object, key, value, sign))
}

/// Whether there is a sign in a member. A schema, of a listed tool or of an answer, may name its properties as it likes.
fn inside(object: &Value<'_>, key: &str, value: &Value<'_>, sign: Sign) -> bool {
    match (key, value) {
        ("tools", Value::Array(tools)) => tools.iter().any(|tool| match tool {
            Value::Object(_) => {
                let mut schemas = SCHEMAS.iter().filter_map(|schema| tool.get(schema));
                beside(tool, &SCHEMAS, sign) || schemas.any(|schema| anywhere(schema, has_calls_type))
            }
            other => anywhere(other, sign),
        }),
        ("schema", _) if object.get("type").and_then(Value::as_str) == Some("json_schema") => {
            anywhere(value, has_calls_type)
        }
        _ => anywhere(value, sign),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn a_schema_of_a_listed_tool_is_no_call_and_all_else_is_looked_into() {
        let found = |text: &str| {
            let value = json::parse(text.as_bytes(), 32).unwrap();
            (stray_call(&value), parts_of_a_call(&value))
        };
        let call = r#"{"function_call":{"arguments":"{}"}}"#;
        for schema in [
            format!(r#"{{"tools":[{{"name":"x","input_schema":{call}}}]}}"#),
            format!(r#"{{"tools":[{{"type":"namespace","tools":[{{"name":"x","parameters":{call}}}]}}]}}"#),
            format!(r#"{{"format":{{"type":"json_schema","schema":{call}}}}}"#),
        ] {
            assert_eq!(found(&schema), (false, false), "{schema}");
        }
        for call in [
            format!(r#"{{"tools":[{{"name":"x","other":{call}}}]}}"#),
            format!(r#"{{"tools":{{"input_schema":{call}}}}}"#),
            r#"{"tools":[{"parameters":{"x":{"Type":"tool_use","Arguments":""}},"args":[]}]}"#.to_owned(),
            format!(r#"{{"x":[[{{"schema":{call}}}]]}}"#),
        ] {
            assert_eq!(found(&call), (true, true), "{call}");
        }
        assert_eq!(found(r#"{"a":{"Arguments":""}}"#), (false, true));
        assert_eq!(found(r#"{"usage":{"input":5},"args":null,"function":false}"#), (false, false));
    }
}
