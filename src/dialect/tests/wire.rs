//! A stream as it leaves, read as the official clients read it: named events, each in one form.

use crate::dialect::keys::reads_as;
use serde_json::{Map, Value};

/// How a client reads the keys of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dialect) enum Keys {
    Exact,
    /// Without regard to case, as Go's encoding/json does: the last of several counts.
    Folded,
}

/// The events that left, in order. Every one must be in the one form that all clients read alike.
#[track_caller]
pub(in crate::dialect) fn events(out: &[u8], keys: Keys) -> Vec<Value> {
    let text = std::str::from_utf8(out).expect("UTF-8 leaves");
    let mut events = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (event, after) = rest.split_once("\n\n").unwrap_or_else(|| panic!("half an event: {rest:?}"));
        rest = after;
        if event == ":" {
            continue;
        }
        let named = event.strip_prefix("event: ").and_then(|event| event.split_once("\ndata: "));
        let (name, data) = named.unwrap_or_else(|| panic!("not normalised: {event:?}"));
        assert!(!format!("{name}{data}").contains(['\n', '\r']), "not two lines: {event:?}");
        let value: Value = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"));
        assert_eq!(value["type"], name, "an event goes by two names: {event}");
        events.push(if keys == Keys::Folded { folded(value) } else { value });
    }
    events
}

/// The names that clients look for.
const NAMES: [&str; 30] = [
    "action",
    "actions",
    "arguments",
    "call_id",
    "content",
    "content_block",
    "content_index",
    "data",
    "delta",
    "environment",
    "error",
    "id",
    "index",
    "input",
    "item",
    "item_id",
    "message",
    "name",
    "operation",
    "output",
    "output_index",
    "part",
    "partial_json",
    "response",
    "sequence_number",
    "stop_reason",
    "text",
    "thinking",
    "tool_use_id",
    "type",
];

/// A value as a reader finds it that folds the case of keys.
pub(in crate::dialect) fn folded(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(folded).collect(),
        Value::Object(members) => {
            let mut found = Map::new();
            for (key, value) in members {
                let name = NAMES.iter().find(|name| reads_as(&key, name));
                found.insert(name.map_or(key, |name| (*name).to_owned()), folded(value));
            }
            Value::Object(found)
        }
        other => other,
    }
}

/// A member that is a text; empty where it is none.
pub(in crate::dialect) fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
