//! The places of a streamed response's output, and what is kept of the item at each until it has left.

use super::item::Call;
use crate::{dialect::input::string, json::Value};

/// A place in the response's output.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) index: u64,
    /// The item's id, under which its pieces come.
    pub(super) id: Option<String>,
    pub(super) state: State,
}

#[derive(Debug, Clone)]
pub(super) enum State {
    /// A call whose item is not complete.
    Held(Box<Held>),
    /// It flows: an item of this type and id, judged if the provider ran it.
    Open { hosted: bool, kind: String, id: String },
    /// It left as this item: the call of this id, judged, or what stands for it.
    Settled { call_id: String, item: Value<'static> },
}

#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) call: Call,
    pub(super) start: Value<'static>,
    /// Arguments as they came in pieces.
    pub(super) text: String,
    pub(super) too_long: bool,
}

/// Events that wait for a held call before them.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue {
    pub(super) events: Vec<(u64, Value<'static>)>,
    pub(super) bytes: usize,
}

impl State {
    pub(super) fn open(item: &Value<'_>, hosted: bool) -> Self {
        let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self::Open { hosted, kind: text("type"), id: text("id") }
    }

    /// Whether it is this item that flows: of the same type, under the same id.
    pub(super) fn is_of(&self, item: &Value<'_>) -> bool {
        match self {
            Self::Open { kind, id, .. } => {
                let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default();
                text("type") == kind && text("id") == id
            }
            Self::Held(_) | Self::Settled { .. } => false,
        }
    }
}

/// What has to be known of a call before it is complete.
pub(super) fn start_of(item: &Value<'_>) -> Value<'static> {
    let mut start = Value::Object(Vec::new());
    for key in ["type", "id", "call_id", "name", "environment", "execution"] {
        if let Some(value) =
            item.get(key).filter(|value| value.as_str().is_some_and(|text| text.len() <= 1024))
        {
            start.set(key, value.clone().into_owned());
        }
    }
    start
}

impl Held {
    /// Takes in a piece of the arguments, or all of them; other events of the call are told by its end.
    pub(super) fn absorb(&mut self, kind: &str, event: &Value<'_>, bytes_max: usize) {
        let (member, whole) = match kind {
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                ("delta", false)
            }
            "response.function_call_arguments.done" => ("arguments", true),
            "response.custom_tool_call_input.done" => ("input", true),
            _ => return,
        };
        let piece = event.get(member).and_then(Value::as_str).unwrap_or_default();
        let before = if whole { 0 } else { self.text.len() };
        self.too_long |= before + piece.len() > bytes_max;
        if self.too_long {
            self.text.clear();
        } else if whole {
            if !piece.is_empty() {
                piece.clone_into(&mut self.text);
            }
        } else {
            self.text.push_str(piece);
        }
    }

    /// An item that ends without arguments has those that came before. Whether these are all known.
    pub(super) fn complete(&self, call: Call, item: &mut Value<'_>) -> bool {
        let member = match call {
            Call::Function => "arguments",
            Call::Custom => "input",
            Call::Action { .. } | Call::Approval => return true,
        };
        if string(item.get(member)).is_empty() {
            item.set(member, Value::string(self.text.clone()));
            return !self.too_long;
        }
        true
    }
}

pub(super) fn id_of(item: &Value<'_>) -> Option<String> {
    item.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()).map(ToOwned::to_owned)
}
