//! Pieces as a Messages answer, whole or event by event, in the order that Anthropic's clients rely on: one block
//! after the other, indexes dense, an `event:` line before every event.

use super::super::{
    answer::About,
    made_up,
    piece::{Piece, Stop, Tokens},
    whole::{Block, Whole},
};
use crate::json::{self, Value};

/// Writes the events of one stream.
#[derive(Debug)]
pub(in crate::translate) struct Writer {
    about: About,
    id: String,
    open: Option<Kind>,
    /// The index of the open block, or of the next.
    index: u64,
    calls: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Call {
        /// Whether argument text was sent.
        fed: bool,
    },
    /// Text, apart from what was said before.
    Refusal,
    Text,
    Thinking,
}

impl Writer {
    /// Writes a stream.
    pub(in crate::translate) fn new(about: About) -> Self {
        Self { about, id: String::new(), open: None, index: 0, calls: 0 }
    }

    /// Appends the next piece.
    pub(in crate::translate) fn put(&mut self, piece: &Piece<'_>, out: &mut Vec<u8>) {
        match piece {
            Piece::Start { id, model } => {
                self.id = answer_id(id, &self.about);
                let message = message(&self.id, model, Vec::new(), None, None);
                event("message_start", [("message", message)], out);
            }
            Piece::Text(text) => self.say(Kind::Text, text, out),
            Piece::Refusal(text) => self.say(Kind::Refusal, text, out),
            Piece::Thinking(text) => {
                self.open(Kind::Thinking, out);
                self.delta(b"thinking_delta\",\"thinking\":", text, out);
            }
            Piece::Call { id, name } => {
                self.close(out);
                let id = made_up("toolu", id, &self.id, self.calls);
                self.calls += 1;
                self.start(Kind::Call { fed: false }, call(id, name, Value::Object(Vec::new())), out);
            }
            Piece::Arguments(text) => self.arguments(text, out),
            Piece::CallEnd => self.close(out),
            Piece::End { stop, tokens } => {
                self.close(out);
                let (reason, sequence) = stop_reason(stop);
                let delta = Value::object([("stop_reason", reason), ("stop_sequence", sequence)]);
                let usage = usage(tokens.unwrap_or_default());
                event("message_delta", [("delta", delta), ("usage", usage)], out);
                event("message_stop", [], out);
            }
        }
    }

    fn say(&mut self, kind: Kind, text: &str, out: &mut Vec<u8>) {
        self.open(kind, out);
        self.delta(b"text_delta\",\"text\":", text, out);
    }

    /// Makes sure that a block of text or thinking is open.
    fn open(&mut self, kind: Kind, out: &mut Vec<u8>) {
        if self.open == Some(kind) {
            return;
        }
        self.close(out);
        let block = match kind {
            Kind::Thinking => thinking(String::new()),
            Kind::Call { .. } | Kind::Refusal | Kind::Text => text(String::new()),
        };
        self.start(kind, block, out);
    }

    fn start(&mut self, kind: Kind, block: Value<'_>, out: &mut Vec<u8>) {
        event("content_block_start", [("index", Value::integer(self.index)), ("content_block", block)], out);
        self.open = Some(kind);
    }

    fn arguments(&mut self, text: &str, out: &mut Vec<u8>) {
        self.delta(b"input_json_delta\",\"partial_json\":", text, out);
        self.open = Some(Kind::Call { fed: true });
    }

    fn delta(&self, member: &[u8], text: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":",
        );
        out.extend_from_slice(self.index.to_string().as_bytes());
        out.extend_from_slice(b",\"delta\":{\"type\":\"");
        out.extend_from_slice(member);
        json::write_string(text, out);
        out.extend_from_slice(b"}}\n\n");
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open == Some(Kind::Call { fed: false }) {
            self.arguments("{}", out);
        }
        if self.open.take().is_some() {
            event("content_block_stop", [("index", Value::integer(self.index))], out);
            self.index += 1;
        }
    }
}

fn event<const N: usize>(kind: &'static str, members: [(&'static str, Value<'_>); N], out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    let mut data = Value::object([("type", Value::string(kind))]);
    for (key, value) in members {
        data.set(key, value);
    }
    json::write(&data, out);
    out.extend_from_slice(b"\n\n");
}

/// A whole answer.
pub(in crate::translate) fn whole(answer: &Whole, about: &About) -> Value<'static> {
    let id = answer_id(&answer.id, about);
    let mut content = Vec::with_capacity(answer.blocks.len());
    let mut calls = 0;
    for block in &answer.blocks {
        match block {
            Block::Text(said) | Block::Refusal(said) => content.push(text(said.clone())),
            Block::Thinking(said) => content.push(thinking(said.clone())),
            Block::Call { id: call_id, name, arguments } => {
                let call_id = made_up("toolu", call_id, &id, calls);
                calls += 1;
                content.push(call(call_id, name, input(arguments, about)));
            }
        }
    }
    message(&id, &answer.model, content, answer.stop.as_ref(), answer.tokens)
}

/// The arguments as a value. Text that is no JSON object has no place in a whole answer; it stands there as a
/// string, and whoever judges the call sees that it is none.
fn input(arguments: &str, about: &About) -> Value<'static> {
    if arguments.is_empty() {
        return Value::Object(Vec::new());
    }
    json::parse(arguments.as_bytes(), about.limits.nesting)
        .ok()
        .filter(|input| input.members().is_some())
        .map_or_else(|| Value::string(arguments.to_owned()), Value::into_owned)
}

fn message(
    id: &str,
    model: &str,
    content: Vec<Value<'static>>,
    stop: Option<&Stop>,
    tokens: Option<Tokens>,
) -> Value<'static> {
    let (reason, sequence) = stop.map_or((Value::Null, Value::Null), stop_reason);
    Value::object([
        ("id", Value::string(id.to_owned())),
        ("type", Value::string("message")),
        ("role", Value::string("assistant")),
        ("model", Value::string(model.to_owned())),
        ("content", Value::Array(content)),
        ("stop_reason", reason),
        ("stop_sequence", sequence),
        ("usage", usage(tokens.unwrap_or_default())),
    ])
}

/// Anthropic's clients demand an id.
fn answer_id(id: &str, about: &About) -> String {
    if id.is_empty() { format!("msg_{}", about.created) } else { id.to_owned() }
}

fn text(text: String) -> Value<'static> {
    Value::object([("type", Value::string("text")), ("text", Value::string(text))])
}

/// Thinking without a seal: no other provider has Anthropic's.
fn thinking(thinking: String) -> Value<'static> {
    Value::object([
        ("type", Value::string("thinking")),
        ("thinking", Value::string(thinking)),
        ("signature", Value::string("")),
    ])
}

fn call(id: String, name: &str, input: Value<'static>) -> Value<'static> {
    Value::object([
        ("type", Value::string("tool_use")),
        ("id", Value::string(id)),
        ("name", Value::string(name.to_owned())),
        ("input", input),
    ])
}

fn stop_reason(stop: &Stop) -> (Value<'static>, Value<'static>) {
    let reason = match stop {
        Stop::Calls => "tool_use",
        Stop::End => "end_turn",
        Stop::Length => "max_tokens",
        Stop::Refusal => "refusal",
        Stop::Sequence(_) => "stop_sequence",
    };
    let sequence = match stop {
        Stop::Sequence(Some(sequence)) => Value::string(sequence.clone()),
        Stop::Calls | Stop::End | Stop::Length | Stop::Refusal | Stop::Sequence(None) => Value::Null,
    };
    (Value::string(reason), sequence)
}

fn usage(tokens: Tokens) -> Value<'static> {
    let mut usage = Value::object([
        ("input_tokens", Value::integer(tokens.fresh)),
        ("cache_creation_input_tokens", Value::integer(tokens.cache_written)),
        ("cache_read_input_tokens", Value::integer(tokens.cache_read)),
        ("output_tokens", Value::integer(tokens.output)),
    ]);
    if let Some(thinking) = tokens.thinking {
        usage.set("output_tokens_details", Value::object([("thinking_tokens", Value::integer(thinking))]));
    }
    usage
}
