//! What a client makes of a response: a small model of how the official clients put its events together.
//!
//! Like the helpers of openai-node and openai-python: an item that begins is appended; a piece goes to the place that
//! its `output_index` names, or, in another client, to the item that its `item_id` names; an item that ends, and the
//! response that does, say all of it again. Every copy of a call is kept, so that they can be held against each other.

use crate::dialect::tests::wire::{self, Keys, text};
use serde_json::{Value, json};

/// By what a client finds the item that an event belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Id,
    Index,
}

/// A response as a client holds it in the end.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Seen {
    /// As pieces make them, by their index.
    pub(super) pieces: Vec<(u64, Value)>,
    /// As they ended, by their index.
    pub(super) ended: Vec<(u64, Value)>,
    /// What the events say of arguments when these are complete: the item's place, and they.
    pub(super) arguments: Vec<(Option<usize>, String)>,
    /// The response that ended the stream.
    pub(super) last: Option<Value>,
    pub(super) error: Option<Value>,
    /// The numbers of the events, where they have any.
    pub(super) numbers: Vec<Option<u64>>,
}

/// Reads what the gateway sent.
#[track_caller]
pub(super) fn read_stream(out: &[u8], keys: Keys, by: By) -> Seen {
    let mut seen = Seen::default();
    for event in wire::events(out, keys) {
        assert!(seen.last.is_none() && seen.error.is_none(), "something behind the end: {event}");
        seen.take(&event, by);
    }
    seen
}

impl Seen {
    fn take(&mut self, event: &Value, by: By) {
        self.numbers.push(event.get("sequence_number").and_then(Value::as_u64));
        match text(event, "type") {
            "response.output_item.added" => {
                let index = event["output_index"].as_u64().unwrap();
                // Clients that append items find the same as those that look for the index, or nothing at all.
                assert!(self.pieces.last().is_none_or(|(last, _)| *last < index), "out of order: {event}");
                self.pieces.push((index, event["item"].clone()));
            }
            "response.output_item.done" => {
                let index = event["output_index"].as_u64().unwrap();
                self.ended.retain(|(ended, _)| *ended != index);
                self.ended.push((index, event["item"].clone()));
            }
            "response.content_part.added" => {
                if let Some(parts) = self.item(event, by).and_then(|item| item["content"].as_array_mut()) {
                    parts.push(event["part"].clone());
                }
            }
            "response.output_text.delta" | "response.refusal.delta" => {
                let part = event["content_index"].as_u64().and_then(|at| usize::try_from(at).ok());
                let item = self.item(event, by);
                if let Some(part) = part.and_then(|at| item?.get_mut("content")?.get_mut(at)?.as_object_mut())
                {
                    let key =
                        if text(event, "type") == "response.refusal.delta" { "refusal" } else { "text" };
                    let so_far = part.get(key).and_then(Value::as_str).unwrap_or_default();
                    let text = json!(format!("{so_far}{}", text(event, "delta")));
                    part.insert(key.to_owned(), text);
                }
            }
            "response.function_call_arguments.delta" => self.piece(event, by, "function_call", "arguments"),
            "response.custom_tool_call_input.delta" => self.piece(event, by, "custom_tool_call", "input"),
            "response.function_call_arguments.done" => self.complete(event, by, "arguments"),
            "response.custom_tool_call_input.done" => self.complete(event, by, "input"),
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.last = Some(event["response"].clone());
            }
            "error" => self.error = Some(event["error"].clone()),
            _ => {}
        }
    }

    fn place(&self, event: &Value, by: By) -> Option<usize> {
        match by {
            By::Id => {
                let id = event["item_id"].as_str()?;
                self.pieces.iter().position(|(_, item)| item["id"] == id)
            }
            By::Index => {
                let index = event["output_index"].as_u64()?;
                self.pieces.iter().position(|(at, _)| *at == index)
            }
        }
    }

    fn item(&mut self, event: &Value, by: By) -> Option<&mut Value> {
        let at = self.place(event, by)?;
        self.pieces.get_mut(at).map(|(_, item)| item)
    }

    fn piece(&mut self, event: &Value, by: By, kind: &str, member: &str) {
        if let Some(item) = self.item(event, by).filter(|item| text(item, "type") == kind) {
            item[member] = json!(format!("{}{}", text(item, member), text(event, "delta")));
        }
    }

    fn complete(&mut self, event: &Value, by: By, member: &str) {
        self.arguments.push((self.place(event, by), text(event, member).to_owned()));
    }

    /// The items of the response that ended the stream.
    pub(super) fn output(&self) -> &[Value] {
        let output = self.last.as_ref().and_then(|last| last.get("output"));
        output.and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The items as they ended.
    pub(super) fn items(&self) -> Vec<Value> {
        self.ended.iter().map(|(_, item)| item.clone()).collect()
    }
}

/// The call that an item is, as rules know it: the tool, and the arguments' text where the client is to run it.
pub(super) fn call(item: &Value) -> Option<(String, Option<String>)> {
    let kind = text(item, "type");
    let here = item["environment"].is_null() || text(&item["environment"], "type") == "local";
    let json = |member: &str| {
        let value = &item[member];
        match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    };
    let object =
        |member: &str| if item[member].is_null() { "{}".to_owned() } else { item[member].to_string() };
    Some(match kind {
        "function_call" => (text(item, "name").to_owned(), Some(json("arguments"))),
        "custom_tool_call" => (text(item, "name").to_owned(), Some(json("input"))),
        "mcp_approval_request" => ("builtin__mcp".to_owned(), Some(json("arguments"))),
        "apply_patch_call" => ("apply_patch".to_owned(), Some(object("operation"))),
        "computer_call" if item["actions"].is_null() => ("computer".to_owned(), Some(object("action"))),
        "computer_call" => {
            let mut both = json!({ "actions": item["actions"] });
            if !item["action"].is_null() {
                both["action"] = item["action"].clone();
            }
            ("computer".to_owned(), Some(both.to_string()))
        }
        "local_shell_call" => ("local_shell".to_owned(), Some(object("action"))),
        "shell_call" if here => ("shell".to_owned(), Some(object("action"))),
        "mcp_call" | "mcp_list_tools" => ("builtin__mcp".to_owned(), None),
        "program" => ("builtin__programmatic_tool_calling".to_owned(), None),
        _ => (format!("builtin__{}", kind.strip_suffix("_call")?), None),
    })
}
