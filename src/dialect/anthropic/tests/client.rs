//! What a client makes of a message: a small model of how the official clients put its events together.
//!
//! Like anthropic-python's `accumulate_event`: a block that begins is appended, whatever its index; a delta goes to
//! the place that its index names, and counts where the block is of its kind.

use crate::dialect::tests::wire::{self, Keys, text};
use serde_json::{Value, json};

/// A message as a client holds it in the end.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Seen {
    pub(super) blocks: Vec<Block>,
    pub(super) stop: Option<String>,
    pub(super) done: bool,
    pub(super) error: Option<Value>,
    pub(super) usage: Option<Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block {
    /// As it began, with what came to it.
    pub(super) value: Value,
    /// The input of a call, as it came in pieces.
    pub(super) json: String,
    stopped: bool,
}

/// Reads what the gateway sent.
#[track_caller]
pub(super) fn read_stream(out: &[u8], keys: Keys) -> Seen {
    let mut seen = Seen::default();
    for event in wire::events(out, keys) {
        assert!(!seen.done && seen.error.is_none(), "something behind the end: {event}");
        seen.take(&event);
    }
    seen
}

/// Reads an unstreamed message.
pub(super) fn read_whole(body: &[u8]) -> Seen {
    let body: Value = serde_json::from_slice(body).expect("JSON leaves");
    let block =
        |value: &Value| Block { value: value.clone(), json: input(value).unwrap_or_default(), stopped: true };
    Seen {
        blocks: body["content"].as_array().unwrap().iter().map(block).collect(),
        stop: body["stop_reason"].as_str().map(ToOwned::to_owned),
        done: true,
        error: None,
        usage: body.get("usage").cloned(),
    }
}

/// A call's input, where it is one that stands in its block.
fn input(block: &Value) -> Option<String> {
    let input = block.get("input")?;
    (*input != json!({})).then(|| input.to_string())
}

impl Seen {
    fn take(&mut self, event: &Value) {
        let at = event.get("index").and_then(Value::as_u64).and_then(|at| usize::try_from(at).ok());
        match text(event, "type") {
            "content_block_start" => {
                assert_eq!(at, Some(self.blocks.len()), "the blocks are not dense: {event}");
                let value = event["content_block"].clone();
                self.blocks.push(Block { value, json: String::new(), stopped: false });
            }
            "content_block_delta" => self.block(at, event).take(&event["delta"]),
            "content_block_stop" => self.block(at, event).stop(),
            "message_start" => self.usage = event["message"].get("usage").cloned(),
            "message_delta" => {
                self.stop = event["delta"]["stop_reason"].as_str().map(ToOwned::to_owned);
                if let (Some(Value::Object(usage)), Some(Value::Object(more))) =
                    (&mut self.usage, event.get("usage"))
                {
                    usage.extend(more.clone());
                }
            }
            "message_stop" => self.done = true,
            "error" => self.error = event.get("error").cloned(),
            _ => {}
        }
    }

    fn block(&mut self, at: Option<usize>, event: &Value) -> &mut Block {
        let block = at.and_then(|at| self.blocks.get_mut(at));
        let block = block.unwrap_or_else(|| panic!("an event of no block: {event}"));
        assert!(!block.stopped, "an event behind its block: {event}");
        block
    }

    /// Every call that the client is to run: name and input, as its text.
    pub(super) fn calls(&self) -> Vec<(&str, &str)> {
        let calls = self.blocks.iter().filter(|block| text(&block.value, "type") == "tool_use");
        calls.map(|block| (text(&block.value, "name"), &*block.json)).collect()
    }

    /// The names of the calls that the provider ran.
    pub(super) fn hosted(&self) -> Vec<String> {
        let hosted = |block: &Block| match text(&block.value, "type") {
            "mcp_tool_use" => Some("builtin__mcp".to_owned()),
            "server_tool_use" => {
                let name = text(&block.value, "name");
                let name = if name.ends_with("code_execution") { "code_execution" } else { name };
                Some(format!("builtin__{name}"))
            }
            _ => None,
        };
        self.blocks.iter().filter_map(hosted).collect()
    }

    /// The message as one body.
    pub(super) fn whole(&self) -> Value {
        let block = |block: &Block| {
            let mut value = block.value.clone();
            if !block.json.is_empty() {
                value["input"] = serde_json::from_str(&block.json).ok()?;
            }
            Some(value)
        };
        let content: Option<Vec<Value>> = self.blocks.iter().map(block).collect();
        json!({ "type": "message", "role": "assistant", "content": content, "stop_reason": self.stop, "usage": self.usage })
    }
}

impl Block {
    fn take(&mut self, delta: &Value) {
        let of = text(&self.value, "type").to_owned();
        let key = match (text(delta, "type"), &*of) {
            ("text_delta", "text") => "text",
            ("thinking_delta", "thinking") => "thinking",
            ("signature_delta", "thinking") => "signature",
            ("input_json_delta", "tool_use" | "server_tool_use" | "mcp_tool_use") => {
                self.json.push_str(text(delta, "partial_json"));
                return;
            }
            _ => return,
        };
        let so_far = if key == "signature" { "" } else { text(&self.value, key) };
        self.value[key] = json!(format!("{so_far}{}", text(delta, key)));
    }

    fn stop(&mut self) {
        self.stopped = true;
        if self.json.is_empty() {
            self.json = input(&self.value).unwrap_or_default();
        }
    }
}
