//! A request's texts as one text, for the record: who said what, calls and results, files summarised.
//! Taken from the body that was parsed anyway, and only where records keep content.

use super::call_parts::{self, Emitted};
use crate::{dialect::transcript::content, json::Value, records::Said};

/// The prompt of a request body of about so many bytes. Empty where there is none.
pub fn prompt(body: &Value<'_>, bytes: usize) -> Said {
    let mut out = Said::with_capacity(bytes);
    for message in body.get("messages").and_then(Value::items).unwrap_or_default() {
        out.note(message.get("role").and_then(Value::as_str).unwrap_or("?"));
        out.note(": ");
        content(message.get("content").unwrap_or(&Value::Null), &mut out);
        let calls = message.get("tool_calls").and_then(Value::items).unwrap_or_default();
        for Emitted { tool, text, .. } in calls.iter().map(call_parts::emitted) {
            out.call(&tool, &text);
        }
        if let Some(Emitted { tool, text, .. }) = message.present("function_call").map(call_parts::function) {
            out.call(&tool, &text);
        }
        out.note("\n");
    }
    for key in ["prompt", "input"] {
        if let Some(value) = body.present(key) {
            content(value, &mut out);
            out.note("\n");
        }
    }
    out.trim_end();
    out
}
