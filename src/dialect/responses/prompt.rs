//! A request's texts as one text, for the record: who said what, calls and results, files summarised.

use super::item::{Kind, Shell};
use crate::{
    dialect::{parameters::hidden, transcript::content},
    json::Value,
    records::Said,
};

/// The prompt of a request body of about so many bytes. Empty where there is none.
pub fn prompt(body: &Value<'_>, bytes: usize) -> Said {
    let mut out = Said::with_capacity(bytes);
    if let Some(instructions) = body.present("instructions") {
        out.note("system: ");
        content(instructions, &mut out);
        out.note("\n");
    }
    match body.present("input") {
        Some(Value::Array(items)) => items.iter().for_each(|item| line(item, &mut out)),
        Some(text) => content(text, &mut out),
        None => {}
    }
    out.trim_end();
    out
}

fn line(item: &Value<'_>, out: &mut Said) {
    let is_message = item.get("role").is_some();
    match Kind::of(item, Shell::Here) {
        Ok(Kind::Call(found)) if !is_message => {
            let tool = found.tool(item).unwrap_or_default();
            out.call(&tool, &found.text(item));
        }
        _ if is_message => {
            out.note(item.get("role").and_then(Value::as_str).unwrap_or("?"));
            out.note(": ");
            content(item.get("content").unwrap_or(&Value::Null), out);
        }
        _ => match item.present("output") {
            Some(output) => {
                out.note("tool: ");
                content(output, out);
            }
            // It may bring tools with the credentials of their servers.
            None => content(&hidden(item), out),
        },
    }
    out.note("\n");
}
