//! The items of a Responses answer as they grow. Apart from the writer of events because the last event says all of
//! them again, and what it says must be what was said.

use crate::json::Value;

/// About what an item or a part takes beside its text.
const PART_BYTES: usize = 512;

/// What was said so far.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// Items that are complete.
    pub(super) done: Vec<Value<'static>>,
    pub(super) current: Option<Open>,
    /// Bytes of all texts, and about what items and parts take beside.
    pub(super) bytes: usize,
    /// Whether any of it is a refusal.
    pub(super) refused: bool,
}

/// The item that is being said.
#[derive(Debug)]
pub(super) enum Open {
    Call { call_id: String, name: String, text: String },
    Message { parts: Vec<Value<'static>>, part: Option<(Part, String)> },
    Reasoning(String),
}

/// A kind of part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Refusal,
    Text,
}

impl Part {
    /// A part that says this.
    pub(super) fn written(self, text: &str) -> Value<'static> {
        let text = Value::string(text.to_owned());
        match self {
            Self::Refusal => Value::object([("type", Value::string("refusal")), ("refusal", text)]),
            Self::Text => Value::object([
                ("type", Value::string("output_text")),
                ("text", text),
                ("annotations", Value::Array(Vec::new())),
                ("logprobs", Value::Array(Vec::new())),
            ]),
        }
    }
}

impl Open {
    /// What its id begins with.
    pub(super) fn prefix(&self) -> &'static str {
        match self {
            Self::Call { .. } => "fc",
            Self::Message { .. } => "msg",
            Self::Reasoning(_) => "rs",
        }
    }

    /// The item as it is now.
    pub(super) fn item(&self, id: &str, status: &'static str) -> Value<'static> {
        let id = ("id", Value::string(id.to_owned()));
        match self {
            Self::Call { call_id, name, text } => Value::object([
                ("type", Value::string("function_call")),
                id,
                ("call_id", Value::string(call_id.clone())),
                ("name", Value::string(name.clone())),
                ("arguments", Value::string(text.clone())),
                ("status", Value::string(status)),
            ]),
            Self::Message { parts, part: _ } => Value::object([
                ("type", Value::string("message")),
                id,
                ("role", Value::string("assistant")),
                ("status", Value::string(status)),
                ("content", Value::Array(parts.clone())),
            ]),
            Self::Reasoning(text) => {
                let part = Value::object([
                    ("type", Value::string("summary_text")),
                    ("text", Value::string(text.clone())),
                ]);
                let summary = if text.is_empty() { Vec::new() } else { vec![part] };
                Value::object([("type", Value::string("reasoning")), id, ("summary", Value::Array(summary))])
            }
        }
    }
}

impl Output {
    /// The index of the open item, or of the next.
    pub(super) fn index(&self) -> Value<'static> {
        Value::integer(u64::try_from(self.done.len()).unwrap_or(u64::MAX))
    }

    /// An item begins.
    pub(super) fn open(&mut self, open: Open) {
        self.bytes += PART_BYTES;
        if let Open::Call { call_id, name, .. } = &open {
            self.bytes += call_id.len() + name.len();
        }
        self.current = Some(open);
    }

    /// Adds text to what is open.
    pub(super) fn add(&mut self, more: &str) {
        self.bytes += more.len();
        match &mut self.current {
            Some(
                Open::Message { part: Some((_, text)), .. } | Open::Reasoning(text) | Open::Call { text, .. },
            ) => {
                text.push_str(more);
            }
            Some(Open::Message { part: None, .. }) | None => {}
        }
    }

    /// The argument text of the open call.
    pub(super) fn arguments(&self) -> String {
        match &self.current {
            Some(Open::Call { text, .. }) => text.clone(),
            Some(Open::Message { .. } | Open::Reasoning(_)) | None => String::new(),
        }
    }

    /// The kind of the part that is open.
    pub(super) fn part(&self) -> Option<Part> {
        self.text_and_part().map(|(part, _)| *part)
    }

    /// The part that is open, with its text.
    pub(super) fn text_of_part(&self) -> Option<(Part, String)> {
        self.text_and_part().cloned()
    }

    fn text_and_part(&self) -> Option<&(Part, String)> {
        match &self.current {
            Some(Open::Message { part, .. }) => part.as_ref(),
            Some(Open::Call { .. } | Open::Reasoning(_)) | None => None,
        }
    }

    /// The index of the open part within its message, or of the next.
    pub(super) fn part_index(&self) -> u64 {
        match &self.current {
            Some(Open::Message { parts, .. }) => u64::try_from(parts.len()).unwrap_or(u64::MAX),
            Some(Open::Call { .. } | Open::Reasoning(_)) | None => 0,
        }
    }

    /// A part begins in the open message.
    pub(super) fn open_part(&mut self, kind: Part) {
        self.bytes += PART_BYTES;
        self.refused |= kind == Part::Refusal;
        if let Some(Open::Message { part, .. }) = &mut self.current {
            *part = Some((kind, String::new()));
        }
    }

    /// The open part is complete.
    pub(super) fn close_part(&mut self) {
        if let Some(Open::Message { parts, part }) = &mut self.current
            && let Some((kind, text)) = part.take()
        {
            parts.push(kind.written(&text));
        }
    }
}
