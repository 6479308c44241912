//! What was asked and answered as text, for the record: who said what, calls and results, files summarised.
//! Apart from the dialects, because a record reads the same in all of them.

use crate::json::{self, Value};
use std::borrow::Cow;

/// Text for a record: JSON string pieces (escaped, without quotes) of each choice, bounded.
#[derive(Debug, Clone, Default)]
pub struct Transcript {
    choices: Vec<(u64, Vec<u8>)>,
    bytes_left: usize,
}

/// How much a transcript said at a moment.
#[derive(Debug)]
pub(super) struct Mark {
    /// Of each choice, in their order.
    lens: Vec<usize>,
    bytes_left: usize,
}

impl Transcript {
    /// A transcript that keeps at most so many bytes; 0 keeps none.
    pub fn keeping(bytes_max: usize) -> Self {
        Self { choices: Vec::new(), bytes_left: bytes_max }
    }

    /// Adds a piece of a JSON string to a choice.
    pub fn add_escaped(&mut self, choice: u64, escaped: &[u8]) {
        // A piece that does not fit is left out whole: a cut escape could not be read back.
        if self.bytes_left < escaped.len() || escaped.is_empty() {
            self.bytes_left = if escaped.is_empty() { self.bytes_left } else { 0 };
            return;
        }
        self.bytes_left -= escaped.len();
        match self.choices.iter_mut().find(|(index, _)| *index == choice) {
            Some((_, text)) => text.extend_from_slice(escaped),
            None => self.choices.push((choice, escaped.to_vec())),
        }
    }

    /// Adds plain text to a choice.
    pub fn add(&mut self, choice: u64, text: &str) {
        if self.bytes_left == 0 {
            return;
        }
        let mut escaped = Vec::with_capacity(text.len() + 2);
        json::write_string(text, &mut escaped);
        let inner = escaped.get(1..escaped.len().saturating_sub(1)).unwrap_or_default();
        self.add_escaped(choice, inner);
    }

    /// How much it says now.
    pub(super) fn mark(&self) -> Mark {
        Mark { lens: self.choices.iter().map(|(_, text)| text.len()).collect(), bytes_left: self.bytes_left }
    }

    /// Forgets what was added since.
    pub(super) fn rewind(&mut self, mark: &Mark) {
        self.choices.truncate(mark.lens.len());
        for ((_, text), len) in self.choices.iter_mut().zip(&mark.lens) {
            text.truncate(*len);
        }
        self.bytes_left = mark.bytes_left;
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.choices.is_empty()
    }

    /// How much is kept, in bytes.
    pub fn len(&self) -> usize {
        self.choices.iter().map(|(_, text)| text.len()).sum()
    }

    /// The text, unescaped; several choices one below the other.
    pub fn into_text(self) -> String {
        let several = self.choices.len() > 1;
        let mut out = String::new();
        for (index, escaped) in self.choices {
            let quoted = [b"\"", escaped.as_slice(), b"\""].concat();
            let text = json::parse(&quoted, 1).ok();
            let text = text.as_ref().and_then(|value| value.as_str()).unwrap_or_default();
            if several {
                out.push_str(&format!("choice {index}: "));
            }
            out.push_str(text);
            if several {
                out.push('\n');
            }
        }
        out
    }
}

/// A call as text. Escapes in its arguments are undone, so that nothing hides from the redactor behind them.
pub(super) fn call(tool: &str, text: &str) -> String {
    format!("[call {tool} {}]", readable(text))
}

/// A text that is JSON with escapes in it, as a person reads it.
fn readable(text: &str) -> Cow<'_, str> {
    let json = text.contains('\\') && text.trim_start().starts_with(['{', '[', '"']);
    match json.then(|| json::parse(text.as_bytes(), json::NESTING_MAX).ok()).flatten() {
        Some(value) => {
            let mut out = String::with_capacity(text.len());
            plain(&value, &mut out);
            Cow::Owned(out)
        }
        None => Cow::Borrowed(text),
    }
}

/// JSON with its strings as they are, nothing in them escaped: for reading, and for the redactor.
fn plain(value: &Value<'_>, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                plain(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (at, (key, member)) in members.iter().enumerate() {
                out.push_str(if at > 0 { ", \"" } else { "\"" });
                out.push_str(key);
                out.push_str("\": ");
                plain(member, out);
            }
            out.push('}');
        }
        Value::String(text) => {
            out.push('"');
            out.push_str(text);
            out.push('"');
        }
        Value::Bool(_) | Value::Null | Value::Number(_) => out.push_str(&value.to_string()),
    }
}

/// Strings as they are, text parts by their text, anything else as JSON.
pub(super) fn content(value: &Value<'_>, out: &mut String) {
    match value {
        Value::Null => {}
        Value::String(text) => out.push_str(&readable(text)),
        Value::Array(parts)
            if parts.iter().any(|part| matches!(part, Value::String(_) | Value::Object(_))) =>
        {
            for (at, part) in parts.iter().enumerate() {
                if at > 0 {
                    out.push('\n');
                }
                match part.get("text").and_then(Value::as_str) {
                    Some(text) => out.push_str(&readable(text)),
                    None => content(part, out),
                }
            }
        }
        Value::Array(tokens) => out.push_str(&format!("[{} tokens]", tokens.len())),
        Value::Object(_) | Value::Number(_) | Value::Bool(_) => plain(value, out),
    }
}
