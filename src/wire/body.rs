//! Where a request's content stands. Everything is content that is not known to be something else: the words by which
//! a dialect is structured (`type`, `role`, ids, names of tools), the numbers of its parameters, and what is no text
//! (pictures, signatures, encrypted reasoning).
//!
//! A dialect's own objects are frames: messages, parts, items, tools. What hangs below a member that no dialect knows,
//! and arguments, schemas and metadata, is free: there nothing is structure.

use crate::{json::Value, redact::Unstable};
use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use std::borrow::Cow;

/// What is done with each text, key and number that is content. `None`: it stays.
pub(super) trait Pen {
    fn text(&mut self, text: &str, key: &str) -> Result<Option<String>, Unstable>;

    fn number(&mut self, digits: &str, key: &str) -> Result<Option<String>, Unstable>;
}

/// What a member of a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    /// A frame, or a list of them, or a text.
    Frame,
    /// Content at any depth.
    Free,
    /// Bytes in base64, or what only the provider reads.
    Opaque,
    /// A number of the dialect's; anything else is content.
    Parameter,
    /// A word of the dialect's, an id, a name.
    Word,
}

const FRAMES: &[&str] = &[
    "allowed_tools",
    "annotations",
    "audio",
    "cache_control",
    "citations",
    "content",
    "custom",
    "environment",
    "extra_content",
    "file",
    "format",
    "function",
    "function_call",
    "functions",
    "google",
    "image_url",
    "input",
    "input_audio",
    "json_schema",
    "mcp_servers",
    "messages",
    "output",
    "prediction",
    "prompt",
    "reasoning",
    "reasoning_details",
    "response_format",
    "results",
    "source",
    "stream_options",
    "summary",
    "system",
    "text",
    "thinking",
    "tool_calls",
    "tool_choice",
    "tools",
];
const WORDS: &[&str] = &[
    "call_id",
    "connector_id",
    "container",
    "container_id",
    "conversation",
    "detail",
    "encoding_format",
    "file_id",
    "file_ids",
    "id",
    "item_id",
    "media_type",
    "mime_type",
    "model",
    "name",
    "object",
    "phase",
    "previous_response_id",
    "response_id",
    "role",
    "server_label",
    "server_name",
    "skill_id",
    "status",
    "tool_call_id",
    "tool_name",
    "tool_use_id",
    "type",
    "vector_store_ids",
];
const PARAMETERS: &[&str] = &[
    "best_of",
    "budget_tokens",
    "compact_threshold",
    "completed_at",
    "content_index",
    "created",
    "created_at",
    "dimensions",
    "display_height_px",
    "display_width_px",
    "end_index",
    "expires_at",
    "frequency_penalty",
    "index",
    "max_completion_tokens",
    "max_content_tokens",
    "max_num_results",
    "max_output_length",
    "max_output_tokens",
    "max_tokens",
    "max_tool_calls",
    "max_uses",
    "n",
    "output_index",
    "presence_penalty",
    "score",
    "seed",
    "sequence_number",
    "start_index",
    "summary_index",
    "temperature",
    "thinking_budget",
    "timeout_ms",
    "top_k",
    "top_logprobs",
    "top_p",
];
const OPAQUE: &[&str] =
    &["b64_json", "encrypted_content", "encrypted_index", "file_data", "signature", "thought_signature"];
/// Types of objects whose `data` is no text.
const OPAQUE_DATA: &[&str] = &["base64", "reasoning.encrypted", "redacted_thinking"];
/// A longer word is none.
const WORD_BYTES_MAX: usize = 256;
/// A number of fewer characters holds nothing.
const NUMBER_BYTES_MIN: usize = 4;
/// What stands before the base64 of a data URL is no longer.
const DATA_HEAD_MAX: usize = 256;

/// The dialects' own keys, by which a body is read.
pub fn keys() -> impl Iterator<Item = &'static str> {
    FRAMES.iter().chain(WORDS).chain(PARAMETERS).copied()
}

fn member(name: &str) -> Member {
    match name {
        _ if FRAMES.contains(&name) => Member::Frame,
        _ if WORDS.contains(&name) => Member::Word,
        _ if PARAMETERS.contains(&name) => Member::Parameter,
        _ if OPAQUE.contains(&name) => Member::Opaque,
        _ => Member::Free,
    }
}

/// A walk over a body's content.
pub(super) struct Walk<'p> {
    pen: &'p mut dyn Pen,
    /// Where something was found first, the innermost step first.
    place: Option<Vec<String>>,
}

impl<'p> Walk<'p> {
    pub(super) fn new(pen: &'p mut dyn Pen) -> Self {
        Self { pen, place: None }
    }

    /// Where the first text stands that changed, as `messages[2].content`; empty where it is the body itself.
    pub(super) fn place(self) -> Option<String> {
        let mut steps = self.place?;
        steps.reverse();
        Some(steps.concat().trim_start_matches('.').to_owned())
    }

    pub(super) fn body(&mut self, body: &mut Value<'_>) -> Result<(), Unstable> {
        self.frame(body, "")
    }

    fn frame(&mut self, value: &mut Value<'_>, key: &str) -> Result<(), Unstable> {
        match value {
            Value::Array(items) => self.each(items, |walk, item| walk.frame(item, key)),
            Value::Bool(_) | Value::Null => Ok(()),
            // Tokens, where a text could stand.
            Value::Number(_) if matches!(key, "input" | "prompt") => Ok(()),
            Value::Number(_) | Value::String(_) => self.free(value, key),
            Value::Object(members) => {
                let kind = members.iter().find(|(name, _)| name == "type");
                let kind = kind.and_then(|(_, kind)| kind.as_str()).unwrap_or_default();
                let opaque_data = OPAQUE_DATA.contains(&kind) || key == "input_audio";
                for (name, value) in members {
                    let was_found = self.place.is_some();
                    self.member(name, value, opaque_data)?;
                    let named = self.key(name)?;
                    if !was_found && let Some(place) = &mut self.place {
                        place.push(if named { format!(".{name}") } else { String::new() });
                    }
                }
                Ok(())
            }
        }
    }

    fn each(
        &mut self,
        items: &mut [Value<'_>],
        mut act: impl FnMut(&mut Self, &mut Value<'_>) -> Result<(), Unstable>,
    ) -> Result<(), Unstable> {
        for (at, item) in items.iter_mut().enumerate() {
            let was_found = self.place.is_some();
            act(self, item)?;
            if !was_found && let Some(place) = &mut self.place {
                place.push(format!("[{at}]"));
            }
        }
        Ok(())
    }

    fn member(&mut self, name: &str, value: &mut Value<'_>, opaque_data: bool) -> Result<(), Unstable> {
        let kind = if name == "data" && opaque_data { Member::Opaque } else { member(name) };
        match (kind, value) {
            // What a call is made with.
            (Member::Frame, value @ Value::Object(_)) if name == "input" => self.free(value, name),
            (Member::Frame, value) => self.frame(value, name),
            (Member::Parameter, Value::Number(_)) => Ok(()),
            (Member::Word, value) => self.word(value, name),
            (Member::Opaque, value @ Value::String(_)) => self.opaque(value, name),
            (Member::Free | Member::Opaque | Member::Parameter, value) => self.free(value, name),
        }
    }

    fn word(&mut self, value: &mut Value<'_>, name: &str) -> Result<(), Unstable> {
        match value {
            Value::String(text) if is_word(text) => Ok(()),
            Value::Array(items) => self.each(items, |walk, item| walk.word(item, name)),
            Value::Bool(_) | Value::Null => Ok(()),
            Value::Number(_) | Value::Object(_) | Value::String(_) => self.frame(value, name),
        }
    }

    /// Free content, of which no place is told: its keys are the client's words.
    fn free(&mut self, value: &mut Value<'_>, key: &str) -> Result<(), Unstable> {
        match value {
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.free(item, key)),
            Value::Bool(_) | Value::Null => Ok(()),
            Value::Number(digits) => {
                if digits.len() >= NUMBER_BYTES_MIN
                    && let Some(masked) = self.pen.number(digits, key)?
                {
                    self.found();
                    *value = Value::string(masked);
                }
                Ok(())
            }
            Value::Object(members) => {
                for (name, member) in members {
                    self.key(name)?;
                    // The masked key is what its value stands under, as in a record.
                    self.free(member, name)?;
                }
                Ok(())
            }
            Value::String(text) => {
                if let Some(masked) = self.text(text, key)? {
                    self.found();
                    *text = Cow::Owned(masked);
                }
                Ok(())
            }
        }
    }

    /// Whether the key says where something stands: it is a word that holds nothing.
    fn key(&mut self, name: &mut Cow<'_, str>) -> Result<bool, Unstable> {
        if let Some(masked) = self.pen.text(name, "")? {
            self.found();
            *name = Cow::Owned(masked);
            return Ok(false);
        }
        Ok(is_word(name))
    }

    fn text(&mut self, text: &str, key: &str) -> Result<Option<String>, Unstable> {
        let Some((head, base64)) = data_url(text) else { return self.pen.text(text, key) };
        let Some(bytes) = self.bytes(base64, key)? else { return self.pen.text(text, key) };
        // Its type and parameters are the client's words.
        match (self.pen.text(head, key)?, bytes) {
            (None, Bytes::AsTheyAre) => Ok(None),
            (head, Bytes::AsTheyAre) => Ok(head.map(|head| format!("{head}{base64}"))),
            (masked, Bytes::Masked(bytes)) => {
                Ok(Some(format!("{}{bytes}", masked.as_deref().unwrap_or(head))))
            }
        }
    }

    fn opaque(&mut self, value: &mut Value<'_>, name: &str) -> Result<(), Unstable> {
        let Value::String(text) = value else { return Ok(()) };
        let sealed = !matches!(name, "b64_json" | "data" | "file_data");
        if sealed && is_sealed(text) {
            return Ok(());
        }
        match self.bytes(text, name)? {
            Some(Bytes::AsTheyAre) => Ok(()),
            Some(Bytes::Masked(masked)) => {
                self.found();
                *text = Cow::Owned(masked);
                Ok(())
            }
            None => self.free(value, name),
        }
    }

    /// Bytes in base64. What is no text stays; a text is masked, and written as base64 again. `None`: it is no base64.
    fn bytes(&mut self, base64: &str, key: &str) -> Result<Option<Bytes>, Unstable> {
        let Some((engine, bytes)) = decode(base64) else { return Ok(None) };
        let Ok(text) = std::str::from_utf8(&bytes) else { return Ok(Some(Bytes::AsTheyAre)) };
        let masked = self.pen.text(text, key)?;
        Ok(Some(masked.map_or(Bytes::AsTheyAre, |masked| Bytes::Masked(engine.encode(masked)))))
    }

    fn found(&mut self) {
        self.place.get_or_insert_default();
    }
}

enum Bytes {
    AsTheyAre,
    Masked(String),
}

fn decode(text: &str) -> Option<(&'static GeneralPurpose, Vec<u8>)> {
    let engines = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD];
    engines.into_iter().find_map(|engine| Some((engine, engine.decode(text).ok()?)))
}

/// What stands before the base64 of a data URL, and the base64. A placeholder may stand in it.
fn data_url(text: &str) -> Option<(&str, &str)> {
    let scheme = text.get(..5)?;
    if !scheme.eq_ignore_ascii_case("data:") {
        return None;
    }
    let comma = text.get(..text.floor_char_boundary(DATA_HEAD_MAX))?.find(',')?;
    let (head, base64) = text.split_at_checked(comma + 1)?;
    let is_head = |byte: u8| byte.is_ascii_alphanumeric() || b":/;=+-._,[]".contains(&byte);
    (head.ends_with(";base64,") && head.bytes().all(is_head)).then_some((head, base64))
}

/// A word of a dialect's, an id or a name: no blank, no `@`, nothing beyond ASCII.
fn is_word(text: &str) -> bool {
    text.len() <= WORD_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte))
}

/// What only the provider reads: base64, or several joined.
fn is_sealed(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=_-.:|~".contains(&byte))
}
