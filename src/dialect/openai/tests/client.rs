//! What a client makes of an answer: a small model of how the official clients put deltas together.
//!
//! Like openai-python's `accumulate_delta`: strings are concatenated, `index` and `type` replaced, objects merged,
//! list entries merged by their `index`. It is lenient where those raise, so that nothing hides behind an error.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// An answer as a client holds it in the end.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Seen {
    pub(super) messages: BTreeMap<u64, Message>,
    pub(super) done: bool,
    pub(super) error: Option<Value>,
    pub(super) usage: Option<Value>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Message {
    pub(super) content: String,
    pub(super) calls: Vec<Call>,
    pub(super) function_call: Option<(String, String)>,
    /// The last `finish_reason`.
    pub(super) finish: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Call {
    pub(super) id: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) name: String,
    pub(super) input: String,
}

/// Reads what the gateway sent. Every event must be in the one form that all clients read alike.
pub(super) fn read_stream(out: &[u8]) -> Seen {
    let text = std::str::from_utf8(out).expect("UTF-8 leaves");
    let mut seen = Seen::default();
    let mut accumulated: BTreeMap<u64, Map<String, Value>> = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (event, after) = rest.split_once("\n\n").unwrap_or_else(|| panic!("half an event: {rest:?}"));
        rest = after;
        if event == ":" {
            continue;
        }
        let data = event.strip_prefix("data: ").unwrap_or_else(|| panic!("not normalised: {event:?}"));
        assert!(!data.contains(['\n', '\r']), "not one line: {event:?}");
        assert!(!seen.done && seen.error.is_none(), "something behind the end: {event:?}");
        if data.trim() == "[DONE]" {
            seen.done = true;
            continue;
        }
        let chunk: Value = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"));
        seen.error = chunk.get("error").filter(|error| !error.is_null()).cloned();
        seen.usage = chunk.get("usage").filter(|usage| !usage.is_null()).cloned().or(seen.usage);
        for choice in chunk.get("choices").and_then(Value::as_array).into_iter().flatten() {
            let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
            let message = seen.messages.entry(index).or_default();
            if let Some(finish) = choice.get("finish_reason").and_then(Value::as_str) {
                message.finish = Some(finish.to_owned());
            }
            let known = accumulated.entry(index).or_default();
            if let Some(Value::Object(delta)) = choice.get("delta") {
                accumulate(known, delta);
            }
            if let Some(text) = choice.get("text") {
                accumulate(known, &Map::from_iter([("content".to_owned(), text.clone())]));
            }
        }
    }
    for (index, delta) in accumulated {
        fill(seen.messages.entry(index).or_default(), &Value::Object(delta));
    }
    seen
}

/// Reads an unstreamed answer.
pub(super) fn read_whole(body: &[u8]) -> Seen {
    let body: Value = serde_json::from_slice(body).expect("JSON leaves");
    let mut seen = Seen { usage: body.get("usage").cloned(), ..Seen::default() };
    for choice in body["choices"].as_array().into_iter().flatten() {
        let mut message = Message::default();
        fill(&mut message, &choice["message"]);
        message.finish = choice["finish_reason"].as_str().map(ToOwned::to_owned);
        seen.messages.insert(choice["index"].as_u64().unwrap_or(0), message);
    }
    seen
}

fn accumulate(known: &mut Map<String, Value>, delta: &Map<String, Value>) {
    for (key, value) in delta {
        match (known.get_mut(key), value) {
            (Some(Value::Array(old)), Value::Array(new)) => {
                new.iter().for_each(|entry| merge(key, old, entry));
            }
            (None | Some(Value::Null), Value::Array(new)) => {
                let mut entries = Vec::new();
                new.iter().for_each(|entry| merge(key, &mut entries, entry));
                known.insert(key.clone(), Value::Array(entries));
            }
            (Some(Value::Object(old)), Value::Object(new)) => accumulate(old, new),
            (Some(Value::String(old)), Value::String(new)) if key != "type" => old.push_str(new),
            (None | Some(Value::Null), _) => drop(known.insert(key.clone(), value.clone())),
            (Some(_), Value::Null) => {}
            (Some(old), _) => *old = value.clone(),
        }
    }
}

/// A list entry goes to the place that its `index` names; those of calls must be dense.
fn merge(key: &str, entries: &mut Vec<Value>, entry: &Value) {
    let at = entry.get("index").and_then(Value::as_u64).map_or(entries.len(), |at| at.try_into().unwrap());
    assert!(key != "tool_calls" || at <= entries.len(), "a gap before index {at}");
    match (entries.get_mut(at), entry) {
        (Some(Value::Object(old)), Value::Object(new)) => accumulate(old, new),
        (Some(old), _) => *old = entry.clone(),
        (None, _) => entries.push(entry.clone()),
    }
}

fn fill(message: &mut Message, value: &Value) {
    message.content = text(value.get("content"));
    for call in value.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
        let kind = call.get("type").and_then(Value::as_str).map(ToOwned::to_owned);
        // A client looks where the type sends it.
        let (part, input) = match kind.as_deref() {
            Some("custom") => (call.get("custom"), "input"),
            _ => (call.get("function"), "arguments"),
        };
        let id = call.get("id").and_then(Value::as_str).map(ToOwned::to_owned);
        let name = text(part.and_then(|part| part.get("name")));
        message.calls.push(Call { id, kind, name, input: text(part.and_then(|part| part.get(input))) });
    }
    let none = |call: &Value| call.is_null() || call.as_array().is_some_and(Vec::is_empty);
    if let Some(call) = value.get("function_call").filter(|call| !none(call)) {
        message.function_call = Some((text(call.get("name")), text(call.get("arguments"))));
    }
}

/// Text as it is, anything else as JSON, nothing for nothing.
fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

impl Seen {
    /// Every call of every choice, name and argument text, tool calls before a legacy one.
    pub(super) fn calls(&self) -> Vec<(&str, &str)> {
        let mut calls = Vec::new();
        for message in self.messages.values() {
            calls.extend(message.calls.iter().map(|call| (&*call.name, &*call.input)));
            calls.extend(message.function_call.iter().map(|(name, text)| (&**name, &**text)));
        }
        calls
    }
}
