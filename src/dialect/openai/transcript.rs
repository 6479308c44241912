//! A request's texts as one text, for the record: who said what, calls and results, files summarised.
//! Taken from the body that was parsed anyway, and only where records keep content.

use super::call_parts::{self, Emitted};
use crate::json::{self, Value};
use std::borrow::Cow;

/// The prompt of a request body of about so many bytes. Empty where there is none.
pub fn prompt(body: &Value<'_>, bytes: usize) -> String {
    let mut out = String::with_capacity(bytes);
    for message in body.get("messages").and_then(Value::items).unwrap_or_default() {
        out.push_str(message.get("role").and_then(Value::as_str).unwrap_or("?"));
        out.push_str(": ");
        content(message.get("content").unwrap_or(&Value::Null), &mut out);
        let calls = message.get("tool_calls").and_then(Value::items).unwrap_or_default();
        for Emitted { tool, text } in calls.iter().map(call_parts::emitted) {
            out.push_str(&call(&tool, &text));
        }
        if let Some(Emitted { tool, text }) = message.present("function_call").map(call_parts::function) {
            out.push_str(&call(&tool, &text));
        }
        out.push('\n');
    }
    for key in ["prompt", "input"] {
        if let Some(value) = body.present(key) {
            content(value, &mut out);
            out.push('\n');
        }
    }
    out.truncate(out.trim_end().len());
    out
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
fn content(value: &Value<'_>, out: &mut String) {
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
