//! A request's texts as one text, for the record: who said what, calls and results, files summarised.
//! Taken from the body that was parsed anyway, and only where records keep content.

use super::call_parts::{self, Emitted};
use crate::{
    dialect::transcript::{call, content},
    json::Value,
};

/// The prompt of a request body of about so many bytes. Empty where there is none.
pub fn prompt(body: &Value<'_>, bytes: usize) -> String {
    let mut out = String::with_capacity(bytes);
    for message in body.get("messages").and_then(Value::items).unwrap_or_default() {
        out.push_str(message.get("role").and_then(Value::as_str).unwrap_or("?"));
        out.push_str(": ");
        content(message.get("content").unwrap_or(&Value::Null), &mut out);
        let calls = message.get("tool_calls").and_then(Value::items).unwrap_or_default();
        for Emitted { tool, text, .. } in calls.iter().map(call_parts::emitted) {
            out.push_str(&call(&tool, &text));
        }
        if let Some(Emitted { tool, text, .. }) = message.present("function_call").map(call_parts::function) {
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
