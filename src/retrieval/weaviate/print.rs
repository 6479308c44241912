//! Questions, written anew from the form in which they were read. What cannot stand in one is not written.

use super::graphql::{FORM, WORDS, is_name};
use crate::json::Value;
use std::fmt::Write;

/// Writes a question. `None` where something in it cannot be written.
pub(super) fn print(form: &Value<'_>) -> Option<String> {
    let mut out = String::from("{");
    for part in ["root", "class"] {
        out.push_str(form.get(part)?.as_str().filter(|name| is_name(name))?);
        out.push_str(if part == "root" { "{" } else { "" });
    }
    let arguments =
        form.members()?.iter().filter(|(name, value)| !FORM.contains(&name.as_ref()) && !value.is_null());
    let mut begin = '(';
    for (name, value) in arguments {
        out.push(std::mem::replace(&mut begin, ','));
        print_member(name, value, &mut out)?;
    }
    if begin == ',' {
        out.push(')');
    }
    print_fields(form.get("fields")?, &mut out)?;
    out.push_str("}}");
    Some(out)
}

fn print_fields(fields: &Value<'_>, out: &mut String) -> Option<()> {
    let mut begin = '{';
    for field in fields.items()? {
        out.push(std::mem::replace(&mut begin, ' '));
        let name = field.as_str().or_else(|| field.get("name")?.as_str());
        out.push_str(name.filter(|name| is_name(name))?);
        if let Some(inner) = field.get("fields") {
            print_fields(inner, out)?;
        }
    }
    out.push('}');
    (begin == ' ').then_some(())
}

fn print_member(name: &str, value: &Value<'_>, out: &mut String) -> Option<()> {
    out.push_str(Some(name).filter(|name| is_name(name))?);
    out.push(':');
    print_value(name, value, out)
}

fn print_value(of: &str, value: &Value<'_>, out: &mut String) -> Option<()> {
    match value {
        Value::Null => return None,
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Number(digits) => out.push_str(digits),
        Value::String(word) if WORDS.contains(&of) => {
            let is_word = is_name(word) && !["true", "false", "null"].contains(&word.as_ref());
            out.push_str(Some(word).filter(|_| is_word)?);
        }
        Value::String(text) => print_text(text, out)?,
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                print_value(of, item, out)?;
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (at, (name, value)) in members.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                print_member(name, value, out)?;
            }
            out.push('}');
        }
    }
    Some(())
}

fn print_text(text: &str, out: &mut String) -> Option<()> {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            // Some take these for the end of a line, or for nothing.
            c if c.is_control() || ['\u{2028}', '\u{2029}', '\u{feff}'].contains(&c) => {
                write!(out, "\\u{:04x}", u32::from(c)).ok()?;
            }
            c => out.push(c),
        }
    }
    out.push('"');
    Some(())
}
