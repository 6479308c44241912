//! A request's texts as one text, for the record: who said what, calls and results, files summarised.

use crate::{dialect::transcript::content, json::Value, records::Said};

/// The prompt of a request body of about so many bytes. Empty where there is none.
pub fn prompt(body: &Value<'_>, bytes: usize) -> Said {
    let mut out = Said::with_capacity(bytes);
    if let Some(system) = body.present("system") {
        out.note("system: ");
        blocks(system, &mut out);
        out.note("\n");
    }
    for message in body.get("messages").and_then(Value::items).unwrap_or_default() {
        out.note(message.get("role").and_then(Value::as_str).unwrap_or("?"));
        out.note(": ");
        blocks(message.get("content").unwrap_or(&Value::Null), &mut out);
        out.note("\n");
    }
    out.trim_end();
    out
}

fn blocks(value: &Value<'_>, out: &mut Said) {
    let Some(items) = value.items() else { return content(value, out) };
    for (at, block) in items.iter().enumerate() {
        if at > 0 {
            out.note("\n");
        }
        match block.get("type").and_then(Value::as_str) {
            Some("text") => content(block.get("text").unwrap_or(&Value::Null), out),
            Some("tool_use" | "server_tool_use" | "mcp_tool_use") => {
                let name = block.get("name").and_then(Value::as_str).unwrap_or_default();
                let input = block.get("input").unwrap_or(&Value::Null);
                out.call(name, &input.to_string());
            }
            Some("tool_result") => blocks(block.get("content").unwrap_or(&Value::Null), out),
            Some("thinking") => content(block.get("thinking").unwrap_or(&Value::Null), out),
            Some("redacted_thinking") => out.note("[redacted thinking]"),
            Some("image" | "document") if is_encoded(block) => out.note("[file]"),
            Some(_) | None => content(block, out),
        }
    }
}

/// Whether a block carries the bytes of a file.
fn is_encoded(block: &Value<'_>) -> bool {
    let source = block.get("source").and_then(|source| source.get("type")).and_then(Value::as_str);
    source == Some("base64")
}
