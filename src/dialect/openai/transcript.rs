//! A request's texts as one text, for the record: who said what, calls and results, files summarised.
//! Taken from the body that was parsed anyway, and only where records keep content.

use super::call_parts::{self, Emitted};
use crate::json::{self, Value};

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
    let decoded = text.contains('\\').then(|| json::parse(text.as_bytes(), json::NESTING_MAX).ok()).flatten();
    match decoded {
        Some(args) => format!("[call {tool} {args}]"),
        None => format!("[call {tool} {text}]"),
    }
}

/// Strings as they are, text parts by their text, anything else as JSON.
fn content(value: &Value<'_>, out: &mut String) {
    match value {
        Value::Null => {}
        Value::String(text) => out.push_str(text),
        Value::Array(parts)
            if parts.iter().any(|part| matches!(part, Value::String(_) | Value::Object(_))) =>
        {
            for (at, part) in parts.iter().enumerate() {
                if at > 0 {
                    out.push('\n');
                }
                match part.get("text").and_then(Value::as_str) {
                    Some(text) => out.push_str(text),
                    None => content(part, out),
                }
            }
        }
        Value::Array(tokens) => out.push_str(&format!("[{} tokens]", tokens.len())),
        Value::Object(_) | Value::Number(_) | Value::Bool(_) => out.push_str(&value.to_string()),
    }
}
