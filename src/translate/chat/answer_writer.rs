//! Pieces as a Chat Completions answer, whole or chunk by chunk, in the one form that all clients read alike.

use super::super::{
    made_up,
    piece::{Piece, Stop, Tokens},
    whole::{Block, Whole},
};
use crate::json::{self, Value};

/// Writes the chunks of one stream.
#[derive(Debug)]
pub(in crate::translate) struct Writer {
    /// Seconds since 1970.
    created: u64,
    id: String,
    /// The chunk up to its delta.
    head: Vec<u8>,
    /// Calls so far; the open one is the last.
    calls: u64,
    /// Whether the open call has argument text.
    fed: bool,
}

/// The chunk behind its delta, where the choice goes on.
const TAIL: &[u8] = b",\"logprobs\":null,\"finish_reason\":null}]}\n\n";

impl Writer {
    /// Writes a stream; `created` are seconds since 1970.
    pub(in crate::translate) fn new(created: u64) -> Self {
        Self { created, id: String::new(), head: Vec::new(), calls: 0, fed: false }
    }

    /// Appends the next piece.
    pub(in crate::translate) fn put(&mut self, piece: &Piece<'_>, out: &mut Vec<u8>) {
        match piece {
            Piece::Start { id, model } => {
                self.id = id.to_string();
                self.head = b"data: {\"id\":".to_vec();
                json::write_string(id, &mut self.head);
                self.head.extend_from_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
                self.head.extend_from_slice(self.created.to_string().as_bytes());
                self.head.extend_from_slice(b",\"model\":");
                json::write_string(model, &mut self.head);
                self.head.extend_from_slice(b",\"choices\":[{\"index\":0,\"delta\":");
                self.delta(&Value::object([("role", Value::string("assistant"))]), out);
            }
            Piece::Text(text) => self.text(b"{\"content\":", text, out),
            Piece::Thinking(text) => self.text(b"{\"reasoning_content\":", text, out),
            Piece::Refusal(text) => self.text(b"{\"refusal\":", text, out),
            Piece::Call { id, name } => {
                let id = made_up("call", id, &self.id, self.calls);
                let function =
                    Value::object([("name", Value::string(&**name)), ("arguments", Value::string(""))]);
                let call = Value::object([
                    ("index", Value::integer(self.calls)),
                    ("id", Value::string(id)),
                    ("type", Value::string("function")),
                    ("function", function),
                ]);
                self.delta(&Value::object([("tool_calls", Value::Array(vec![call]))]), out);
                self.calls += 1;
                self.fed = false;
            }
            Piece::Arguments(text) => self.arguments(text, out),
            Piece::CallEnd if self.fed => {}
            Piece::CallEnd => self.arguments("{}", out),
            Piece::End { stop, tokens } => self.end(stop, *tokens, out),
        }
    }

    fn text(&self, member: &[u8], text: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(member);
        json::write_string(text, out);
        out.push(b'}');
        out.extend_from_slice(TAIL);
    }

    fn delta(&self, delta: &Value<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        json::write(delta, out);
        out.extend_from_slice(TAIL);
    }

    fn arguments(&mut self, text: &str, out: &mut Vec<u8>) {
        let call = Value::object([
            ("index", Value::integer(self.calls.saturating_sub(1))),
            ("function", Value::object([("arguments", Value::string(text))])),
        ]);
        self.delta(&Value::object([("tool_calls", Value::Array(vec![call]))]), out);
        self.fed = true;
    }

    fn end(&self, stop: &Stop, tokens: Option<Tokens>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"{},\"logprobs\":null,\"finish_reason\":");
        json::write_string(finish_reason(stop), out);
        out.extend_from_slice(b"}]}\n\n");
        if let Some(tokens) = tokens {
            let upto = self.head.len().saturating_sub(b"{\"index\":0,\"delta\":".len());
            out.extend_from_slice(self.head.get(..upto).unwrap_or_default());
            out.extend_from_slice(b"],\"usage\":");
            json::write(&usage(tokens), out);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

/// A whole answer.
pub(in crate::translate) fn whole(answer: &Whole, created: u64) -> Value<'static> {
    let (mut content, mut thinking, mut refusal) = (String::new(), String::new(), String::new());
    let mut calls = Vec::new();
    for block in &answer.blocks {
        match block {
            Block::Text(text) => content.push_str(text),
            Block::Thinking(text) => thinking.push_str(text),
            Block::Refusal(text) => refusal.push_str(text),
            Block::Call { id, name, arguments } => {
                let count = u64::try_from(calls.len()).unwrap_or(u64::MAX);
                let id = made_up("call", id, &answer.id, count);
                let arguments = if arguments.is_empty() { "{}" } else { arguments };
                let function = Value::object([
                    ("name", Value::string(name.clone())),
                    ("arguments", Value::string(arguments.to_owned())),
                ]);
                calls.push(Value::object([
                    ("id", Value::string(id)),
                    ("type", Value::string("function")),
                    ("function", function),
                ]));
            }
        }
    }
    let or_null = |text: String| if text.is_empty() { Value::Null } else { Value::string(text) };
    let mut message = Value::object([
        ("role", Value::string("assistant")),
        ("content", or_null(content)),
        ("refusal", or_null(refusal)),
    ]);
    if !thinking.is_empty() {
        message.set("reasoning_content", Value::string(thinking));
    }
    if !calls.is_empty() {
        message.set("tool_calls", Value::Array(calls));
    }
    let finish = answer.stop.as_ref().map(finish_reason);
    let finish: Value<'static> = finish.map_or(Value::Null, Value::string);
    let choice = Value::object([
        ("index", Value::integer(0)),
        ("message", message),
        ("logprobs", Value::Null),
        ("finish_reason", finish),
    ]);
    let mut body = Value::object([
        ("id", Value::string(answer.id.clone())),
        ("object", Value::string("chat.completion")),
        ("created", Value::integer(created)),
        ("model", Value::string(answer.model.clone())),
        ("choices", Value::Array(vec![choice])),
    ]);
    if let Some(tokens) = answer.tokens {
        body.set("usage", usage(tokens));
    }
    body
}

fn finish_reason(stop: &Stop) -> &'static str {
    match stop {
        Stop::Calls => "tool_calls",
        Stop::End | Stop::Sequence(_) => "stop",
        Stop::Length => "length",
        Stop::Refusal => "content_filter",
    }
}

/// What was cached is part of the prompt.
fn usage(tokens: Tokens) -> Value<'static> {
    let mut details = Value::object([("cached_tokens", Value::integer(tokens.cache_read))]);
    if tokens.cache_written > 0 {
        details.set("cache_write_tokens", Value::integer(tokens.cache_written));
    }
    let mut usage = Value::object([
        ("prompt_tokens", Value::integer(tokens.input())),
        ("completion_tokens", Value::integer(tokens.output)),
        ("total_tokens", Value::integer(tokens.input().saturating_add(tokens.output))),
        ("prompt_tokens_details", details),
    ]);
    if let Some(thinking) = tokens.thinking {
        let details = Value::object([("reasoning_tokens", Value::integer(thinking))]);
        usage.set("completion_tokens_details", details);
    }
    usage
}
