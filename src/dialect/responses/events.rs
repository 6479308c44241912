//! Events of a streamed response as we write them: those that tell of a call or of a message, and their numbers.

use super::item::{Call, text_part};
use crate::json::{self, Value};

/// The numbers that events carry.
#[derive(Debug, Clone, Default)]
pub(super) struct Numbers {
    pub(super) last: Option<u64>,
    /// The first event had none, so none has.
    none: bool,
}

impl Numbers {
    /// Appends an event under the next number; as it came, where `raw` is and fits.
    pub(super) fn write(&mut self, event: Value<'_>, raw: Option<&[u8]>, out: &mut Vec<u8>) {
        let mut event = event;
        let given = event.get("sequence_number").and_then(Value::as_u64);
        self.none |= given.is_none() && self.last.is_none();
        let number = match self.last {
            _ if self.none => None,
            Some(last) => Some(last.saturating_add(1)),
            None => given,
        };
        self.last = number;
        match raw {
            Some(raw) if number == given || self.none => out.extend_from_slice(raw),
            Some(_) | None => {
                match number {
                    Some(number) => event.set("sequence_number", Value::integer(number)),
                    None => drop(event.remove("sequence_number")),
                }
                out.extend_from_slice(b"event: ");
                let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
                out.extend_from_slice(kind.as_bytes());
                out.extend_from_slice(b"\ndata: ");
                json::write(&event, out);
                out.extend_from_slice(b"\n\n");
            }
        }
    }
}

fn item_event(kind: &'static str, index: u64, item: Value<'static>) -> Value<'static> {
    Value::object([
        ("type", Value::string(kind)),
        ("sequence_number", Value::Null),
        ("output_index", Value::integer(index)),
        ("item", item),
    ])
}

/// The events that tell of a call: it begins without its arguments, has them at once, and is complete.
pub(super) fn call_events(index: u64, call: Call, item: &Value<'static>) -> Vec<Value<'static>> {
    let mut start = item.clone();
    if start.get("status").is_some() {
        start.set("status", Value::string("in_progress"));
    }
    let (family, member) = match call {
        Call::Function => ("response.function_call_arguments", "arguments"),
        Call::Custom => ("response.custom_tool_call_input", "input"),
        Call::Action { .. } | Call::Approval => ("", ""),
    };
    if !member.is_empty() {
        start.set(member, Value::string(""));
    }
    let mut events = vec![item_event("response.output_item.added", index, start)];
    let text = item.get(member).and_then(Value::as_str).unwrap_or_default();
    let mut piece = |kind: &str, member: &'static str| {
        let mut event = Value::object([
            ("type", Value::string(format!("{family}.{kind}"))),
            ("sequence_number", Value::Null),
            ("item_id", item.get("id").cloned().unwrap_or(Value::Null)),
            ("output_index", Value::integer(index)),
            (member, Value::string(text.to_owned())),
        ]);
        if let (Some(name), "done", Call::Function) = (item.get("name"), kind, call) {
            event.set("name", name.clone());
        }
        events.push(event);
    };
    if !member.is_empty() {
        if !text.is_empty() {
            piece("delta", "delta");
        }
        piece("done", member);
    }
    events.push(item_event("response.output_item.done", index, item.clone()));
    events
}

/// The events that tell of a message of one text.
pub(super) fn message_events(index: u64, item: &Value<'static>, text: &str) -> Vec<Value<'static>> {
    let mut start = item.clone();
    start.set("status", Value::string("in_progress"));
    start.set("content", Value::Array(Vec::new()));
    let part = |kind: &'static str, more: Vec<(&'static str, Value<'static>)>| {
        let mut event = Value::object([
            ("type", Value::string(kind)),
            ("sequence_number", Value::Null),
            ("item_id", item.get("id").cloned().unwrap_or(Value::Null)),
            ("output_index", Value::integer(index)),
            ("content_index", Value::integer(0)),
        ]);
        for (key, value) in more {
            event.set(key, value);
        }
        event
    };
    let logprobs = || ("logprobs", Value::Array(Vec::new()));
    vec![
        item_event("response.output_item.added", index, start),
        part("response.content_part.added", vec![("part", text_part(String::new()))]),
        part("response.output_text.delta", vec![("delta", Value::string(text.to_owned())), logprobs()]),
        part("response.output_text.done", vec![("text", Value::string(text.to_owned())), logprobs()]),
        part("response.content_part.done", vec![("part", text_part(text.to_owned()))]),
        item_event("response.output_item.done", index, item.clone()),
    ]
}
