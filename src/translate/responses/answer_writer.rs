//! Pieces as a Responses answer, event by event or as the response that the last event holds. Apart from `output`,
//! which puts the items together, because it alone knows the order of events that OpenAI's clients rely on.

use super::{
    super::{
        answer::About,
        made_up,
        piece::{Piece, Stop, Tokens},
        whole::Whole,
    },
    output::{Open, Output, Part},
};
use crate::json::{self, Value};

/// Writes one answer.
#[derive(Debug)]
pub(in crate::translate) struct Writer {
    about: About,
    id: String,
    model: String,
    /// The number of the next event.
    number: u64,
    calls: u64,
    output: Output,
    /// The response as it is in the end.
    response: Option<Value<'static>>,
}

impl Writer {
    /// Writes an answer.
    pub(in crate::translate) fn new(about: About) -> Self {
        Self {
            about,
            id: String::new(),
            model: String::new(),
            number: 0,
            calls: 0,
            output: Output::default(),
            response: None,
        }
    }

    /// How much is held: the last event says everything again.
    pub(in crate::translate) fn bytes_held(&self) -> usize {
        self.output.bytes
    }

    /// Appends the next piece.
    pub(in crate::translate) fn put(&mut self, piece: &Piece<'_>, out: &mut Vec<u8>) {
        match piece {
            Piece::Start { id, model } => {
                self.id = plain(id);
                self.model = model.to_string();
                for kind in ["response.created", "response.in_progress"] {
                    let response = self.response("in_progress", Value::Null, Value::Null);
                    self.event(kind, [("response", response)], out);
                }
            }
            Piece::Text(text) => self.say(Part::Text, text, out),
            Piece::Refusal(text) => self.say(Part::Refusal, text, out),
            Piece::Thinking(text) => self.think(text, out),
            Piece::Call { id, name } => {
                self.close(out);
                let call_id = made_up("call", id, &self.id, self.calls);
                self.calls += 1;
                self.open(Open::Call { call_id, name: name.to_string(), text: String::new() }, out);
            }
            Piece::Arguments(text) => self.arguments(text, out),
            Piece::CallEnd => self.close(out),
            Piece::End { stop, tokens } => {
                self.close(out);
                self.end(stop, *tokens, out);
            }
        }
    }

    /// An item begins.
    fn open(&mut self, open: Open, out: &mut Vec<u8>) {
        let id = self.item_id(&open);
        let item = open.item(&id, "in_progress");
        self.output.open(open);
        let index = self.output.index();
        self.event("response.output_item.added", [("output_index", index), ("item", item)], out);
    }

    fn item_id(&self, open: &Open) -> String {
        format!("{}_{}_{}", open.prefix(), self.id, self.output.done.len())
    }

    /// Says text or a refusal in the message that is open, or in a new one.
    fn say(&mut self, part: Part, text: &str, out: &mut Vec<u8>) {
        if !matches!(self.output.current, Some(Open::Message { .. })) {
            self.close(out);
            self.open(Open::Message { parts: Vec::new(), part: None }, out);
        }
        if self.output.part() != Some(part) {
            self.close_part(out);
            self.output.open_part(part);
            let empty = part.written("");
            self.event_in_part("response.content_part.added", [("part", empty)], out);
        }
        self.output.add(text);
        let delta = ("delta", Value::string(text.to_owned()));
        match part {
            Part::Text => {
                let none = ("logprobs", Value::Array(Vec::new()));
                self.event_in_part("response.output_text.delta", [delta, none], out);
            }
            Part::Refusal => self.event_in_part("response.refusal.delta", [delta], out),
        }
    }

    /// Ends the part that is open.
    fn close_part(&mut self, out: &mut Vec<u8>) {
        let Some((part, text)) = self.output.text_of_part() else { return };
        let (said, written) = (Value::string(text.clone()), part.written(&text));
        match part {
            Part::Text => {
                let none = ("logprobs", Value::Array(Vec::new()));
                self.event_in_part("response.output_text.done", [("text", said), none], out);
            }
            Part::Refusal => self.event_in_part("response.refusal.done", [("refusal", said)], out),
        }
        self.event_in_part("response.content_part.done", [("part", written)], out);
        self.output.close_part();
    }

    fn think(&mut self, text: &str, out: &mut Vec<u8>) {
        if !matches!(self.output.current, Some(Open::Reasoning(_))) {
            self.close(out);
            self.open(Open::Reasoning(String::new()), out);
            let part = summary("");
            self.event_in_summary("response.reasoning_summary_part.added", [("part", part)], out);
        }
        self.output.add(text);
        let delta = ("delta", Value::string(text.to_owned()));
        self.event_in_summary("response.reasoning_summary_text.delta", [delta], out);
    }

    fn arguments(&mut self, text: &str, out: &mut Vec<u8>) {
        self.output.add(text);
        let delta = ("delta", Value::string(text.to_owned()));
        self.event_in_item("response.function_call_arguments.delta", [delta], out);
    }

    /// Ends the item that is open.
    fn close(&mut self, out: &mut Vec<u8>) {
        match &self.output.current {
            None => return,
            Some(Open::Message { .. }) => self.close_part(out),
            Some(Open::Reasoning(text)) => {
                let (said, part) = (Value::string(text.clone()), summary(text));
                self.event_in_summary("response.reasoning_summary_text.done", [("text", said)], out);
                self.event_in_summary("response.reasoning_summary_part.done", [("part", part)], out);
            }
            Some(Open::Call { text, name, .. }) => {
                let (empty, name) = (text.is_empty(), Value::string(name.clone()));
                if empty {
                    self.arguments("{}", out);
                }
                let said = self.output.arguments();
                let members = [("name", name), ("arguments", Value::string(said))];
                self.event_in_item("response.function_call_arguments.done", members, out);
            }
        }
        let index = self.output.index();
        let Some(open) = self.output.current.take() else { return };
        let id = self.item_id(&open);
        let item = open.item(&id, "completed");
        self.output.done.push(item.clone());
        self.event("response.output_item.done", [("output_index", index), ("item", item)], out);
    }

    fn end(&mut self, stop: &Stop, tokens: Option<Tokens>, out: &mut Vec<u8>) {
        let incomplete = match stop {
            Stop::Calls | Stop::End | Stop::Sequence(_) => None,
            Stop::Length => Some("max_output_tokens"),
            // A refusal in words is a complete answer.
            Stop::Refusal => (!self.output.refused).then_some("content_filter"),
        };
        let (kind, status, details) = match incomplete {
            None => ("response.completed", "completed", Value::Null),
            Some(reason) => {
                let details = Value::object([("reason", Value::string(reason))]);
                ("response.incomplete", "incomplete", details)
            }
        };
        let response = self.response(status, details, tokens.map_or(Value::Null, usage));
        self.response = Some(response.clone());
        self.event(kind, [("response", response)], out);
    }

    /// The response as it is now. What the request asked for is not repeated in it.
    fn response(
        &self,
        status: &'static str,
        incomplete: Value<'static>,
        usage: Value<'static>,
    ) -> Value<'static> {
        Value::object([
            ("id", Value::string(format!("resp_{}", self.id))),
            ("object", Value::string("response")),
            ("created_at", Value::integer(self.about.created)),
            ("status", Value::string(status)),
            ("error", Value::Null),
            ("incomplete_details", incomplete),
            ("instructions", Value::Null),
            ("metadata", Value::Object(Vec::new())),
            ("model", Value::string(self.model.clone())),
            ("output", Value::Array(self.output.done.clone())),
            ("parallel_tool_calls", Value::Bool(true)),
            ("previous_response_id", Value::Null),
            ("store", Value::Bool(false)),
            ("tool_choice", Value::string("auto")),
            ("tools", Value::Array(Vec::new())),
            ("usage", usage),
        ])
    }

    fn event_in_part<const N: usize>(&mut self, kind: &'static str, rest: [Member; N], out: &mut Vec<u8>) {
        let index = Value::integer(self.output.part_index());
        let members = [("content_index", index)].into_iter().chain(rest);
        self.event_in_item(kind, members, out);
    }

    fn event_in_summary<const N: usize>(&mut self, kind: &'static str, rest: [Member; N], out: &mut Vec<u8>) {
        let members = [("summary_index", Value::integer(0))].into_iter().chain(rest);
        self.event_in_item(kind, members, out);
    }

    fn event_in_item(
        &mut self,
        kind: &'static str,
        members: impl IntoIterator<Item = Member>,
        out: &mut Vec<u8>,
    ) {
        let id = self.output.current.as_ref().map(|open| self.item_id(open)).unwrap_or_default();
        let place = [("item_id", Value::string(id)), ("output_index", self.output.index())];
        self.event(kind, place.into_iter().chain(members), out);
    }

    fn event(&mut self, kind: &'static str, members: impl IntoIterator<Item = Member>, out: &mut Vec<u8>) {
        let head = [("type", Value::string(kind)), ("sequence_number", Value::integer(self.number))];
        self.number += 1;
        let members = head.into_iter().chain(members).map(|(key, value)| (key.into(), value));
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        json::write(&Value::Object(members.collect()), out);
        out.extend_from_slice(b"\n\n");
    }
}

/// A whole answer: the response that ends a stream which says the same. `None` if the answer has no end.
pub(in crate::translate) fn whole(answer: Whole, about: About) -> Option<Value<'static>> {
    let mut writer = Writer::new(about);
    let mut unsent = Vec::new();
    for piece in answer.into_pieces() {
        unsent.clear();
        writer.put(&piece, &mut unsent);
    }
    writer.response
}

type Member = (&'static str, Value<'static>);

/// What can stand within an id of OpenAI's.
fn plain(id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    id.chars().map(plain).collect()
}

fn summary(text: &str) -> Value<'static> {
    Value::object([("type", Value::string("summary_text")), ("text", Value::string(text.to_owned()))])
}

/// What was cached is part of the input.
fn usage(tokens: Tokens) -> Value<'static> {
    let input = Value::object([
        ("cached_tokens", Value::integer(tokens.cache_read)),
        ("cache_write_tokens", Value::integer(tokens.cache_written)),
    ]);
    let output = Value::object([("reasoning_tokens", Value::integer(tokens.thinking.unwrap_or(0)))]);
    Value::object([
        ("input_tokens", Value::integer(tokens.input())),
        ("input_tokens_details", input),
        ("output_tokens", Value::integer(tokens.output)),
        ("output_tokens_details", output),
        ("total_tokens", Value::integer(tokens.input().saturating_add(tokens.output))),
    ])
}
