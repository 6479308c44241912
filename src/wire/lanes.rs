//! Texts of a streamed answer that come in pieces, by dialect: where a piece stands in its event, which text it goes on
//! with, and which texts an event ends.

use super::restore::Spelling;
use crate::{dialect::Api, json::Value};
use std::borrow::Cow;

/// A text that comes in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lane {
    /// The choice, block or item that it belongs to.
    pub(super) group: u64,
    /// Which of its texts.
    pub(super) path: String,
}

/// A piece of a lane, in its event.
pub(super) struct Piece<'e, 'v> {
    pub(super) lane: Lane,
    pub(super) text: &'e mut Cow<'v, str>,
    pub(super) spelling: Spelling,
    /// Whether nothing of the text comes behind this piece.
    pub(super) last: bool,
}

/// Texts that come in pieces within a delta of Anthropic's.
pub(super) const IN_A_DELTA: [&str; 3] = ["partial_json", "text", "thinking"];
/// Members of a delta that are no text, or a call's: that is restored when it is judged.
const NO_TEXT: &[&str] =
    &["role", "type", "id", "name", "index", "format", "signature", "data", "tool_calls", "function_call"];
/// Pieces of calls that are held until they are judged.
const CALLS: &[&str] = &["response.function_call_arguments.", "response.custom_tool_call_input."];

/// What an event is to the texts that come in pieces.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) all: bool,
    /// Of these choices, blocks or items, all texts end before this event.
    pub(super) groups: Vec<u64>,
}

/// The texts that end before an event, whatever pieces it has.
pub(super) fn ends(api: Api, event: &Value<'_>) -> Ends {
    let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
    let group = |key: &str| event.get(key).and_then(Value::as_u64).into_iter().collect();
    match api {
        Api::CountTokens | Api::Messages => match kind {
            "ping" => Ends::default(),
            "content_block_delta" if !is_signature(event) => Ends::default(),
            "content_block_delta" | "content_block_start" | "content_block_stop" => {
                Ends { all: false, groups: group("index") }
            }
            _ => Ends { all: true, groups: Vec::new() },
        },
        Api::ResponseItems | Api::Responses => match kind {
            "response.completed" | "response.incomplete" | "response.failed" | "error" => {
                Ends { all: true, groups: Vec::new() }
            }
            _ if is_delta(event) => Ends::default(),
            _ => Ends { all: false, groups: group("output_index") },
        },
        Api::Chat | Api::Completions | Api::Embeddings | Api::Moderations => Ends::default(),
    }
}

/// Whether the event is a piece of a text that comes in pieces.
fn is_delta(event: &Value<'_>) -> bool {
    let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
    kind.ends_with(".delta") && event.get("delta").is_some_and(|delta| delta.as_str().is_some())
}

fn index_of(choice: &Value<'_>) -> u64 {
    choice.get("index").and_then(Value::as_u64).unwrap_or(0)
}

/// A block's signature comes behind its text.
fn is_signature(event: &Value<'_>) -> bool {
    event.get("delta").is_some_and(|delta| delta.get("signature").is_some())
}

/// The choices that end with an event, or go over to calls: texts that do not go on in it are at their end.
pub(super) fn finished(api: Api, event: &Value<'_>) -> Vec<u64> {
    if !matches!(api, Api::Chat | Api::Completions | Api::Embeddings | Api::Moderations) {
        return Vec::new();
    }
    let choices = event.get("choices").and_then(Value::items).unwrap_or_default();
    let ends = |choice: &&Value<'_>| {
        let calls = |key: &&str| choice.get("delta").is_some_and(|delta| delta.present(key).is_some());
        choice.present("finish_reason").is_some() || ["tool_calls", "function_call"].iter().any(calls)
    };
    choices.iter().filter(ends).map(index_of).collect()
}

/// Whether a piece of a call's arguments: it is restored with the whole call.
pub(super) fn is_of_a_held_call(api: Api, event: &Value<'_>) -> bool {
    let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
    matches!(api, Api::Responses | Api::ResponseItems) && CALLS.iter().any(|call| kind.starts_with(call))
}

/// Shows every piece of the event, in their order.
pub(super) fn pieces<'v, E>(
    api: Api,
    event: &mut Value<'v>,
    held_blocks: &[u64],
    see: &mut dyn FnMut(Piece<'_, 'v>) -> Result<(), E>,
) -> Result<(), E> {
    match api {
        Api::CountTokens | Api::Messages => {
            let group = event.get("index").and_then(Value::as_u64).unwrap_or(0);
            let is_delta = event.get("type").and_then(Value::as_str) == Some("content_block_delta");
            let Some(delta) = event.get_mut("delta").filter(|_| is_delta) else { return Ok(()) };
            for key in IN_A_DELTA {
                let of_a_call = key == "partial_json";
                if of_a_call && held_blocks.contains(&group) {
                    continue;
                }
                let spelling = if of_a_call { Spelling::Escaped } else { Spelling::Plain };
                if let Some(Value::String(text)) = delta.get_mut(key) {
                    let lane = Lane { group, path: key.to_owned() };
                    see(Piece { lane, text, spelling, last: false })?;
                }
            }
            Ok(())
        }
        Api::ResponseItems | Api::Responses => {
            if !is_delta(event) || is_of_a_held_call(api, event) {
                return Ok(());
            }
            let number = |key: &str| event.get(key).and_then(Value::as_u64);
            let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
            let place = number("content_index").or_else(|| number("summary_index")).unwrap_or(0);
            let lane =
                Lane { group: number("output_index").unwrap_or(u64::MAX), path: format!("{kind} {place}") };
            let spelling = if kind.contains("arguments") { Spelling::Escaped } else { Spelling::Plain };
            match event.get_mut("delta") {
                Some(Value::String(text)) => see(Piece { lane, text, spelling, last: false }),
                _ => Ok(()),
            }
        }
        Api::Chat | Api::Completions | Api::Embeddings | Api::Moderations => {
            for choice in event.get_mut("choices").and_then(Value::items_mut).into_iter().flatten() {
                let group = index_of(choice);
                let last = choice.present("finish_reason").is_some();
                let mut see = |path: &str, text: &mut Cow<'v, str>| {
                    let lane = Lane { group, path: path.to_owned() };
                    see(Piece { lane, text, spelling: Spelling::Plain, last })
                };
                if let Some(delta) = choice.get_mut("delta") {
                    texts(delta, &mut String::from("delta"), &mut see)?;
                }
                if let Some(Value::String(text)) = choice.get_mut("text") {
                    see("text", text)?;
                }
            }
            Ok(())
        }
    }
}

/// Sees a text, with its path.
type See<'s, 'v, E> = dyn FnMut(&str, &mut Cow<'v, str>) -> Result<(), E> + 's;

/// Every text of a delta, with its path.
fn texts<'v, E>(value: &mut Value<'v>, path: &mut String, see: &mut See<'_, 'v, E>) -> Result<(), E> {
    let length = path.len();
    match value {
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                path.push_str(&format!(".{at}"));
                texts(item, path, see)?;
                path.truncate(length);
            }
        }
        Value::Bool(_) | Value::Null | Value::Number(_) => {}
        Value::Object(members) => {
            for (name, member) in members {
                if !NO_TEXT.contains(&name.as_ref()) {
                    path.push('.');
                    path.push_str(name);
                    texts(member, path, see)?;
                    path.truncate(length);
                }
            }
        }
        Value::String(text) => see(path, text)?,
    }
    Ok(())
}

/// The same event with nothing in it but the texts of one choice, block or item: what is held of one leaves in it.
pub(super) fn emptied(api: Api, event: &Value<'_>, group: u64) -> Value<'static> {
    let mut event = event.clone().into_owned();
    if matches!(api, Api::Chat | Api::Completions | Api::Embeddings | Api::Moderations) {
        event.remove("usage");
        if let Some(Value::Array(choices)) = event.get_mut("choices") {
            choices.retain(|choice| index_of(choice) == group);
            for choice in choices {
                for key in ["finish_reason", "logprobs"] {
                    if choice.get(key).is_some() {
                        choice.set(key, Value::Null);
                    }
                }
                if let Some(delta) = choice.get_mut("delta") {
                    for key in ["role", "tool_calls", "function_call"] {
                        delta.remove(key);
                    }
                }
            }
        }
    }
    event
}
