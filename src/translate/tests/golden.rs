//! Requests and answers as they come and as they leave, in `golden`. With UPDATE=1 what leaves is written anew.

use super::{Client, NESTING, Upstream, json, run::once, translated};
use crate::json::Value;
use std::{fs, path::Path};

const GOLDEN: &str = "src/translate/tests/golden";

/// The files of this name below a folder of golden pairs, with the name of the pair.
pub(super) fn inputs(folder: &str, file: &str) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> = fs::read_dir(Path::new(GOLDEN).join(folder))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(path.join(file)).unwrap())
        })
        .collect();
    found.sort();
    assert!(found.len() > 5, "the golden pairs are not where they are looked for");
    found
}

#[track_caller]
pub(super) fn check(folder: &str, name: &str, file: &str, found: &str) {
    let path = Path::new(GOLDEN).join(folder).join(name).join(file);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == found, "{} differs; it should be:\n{found}", path.display());
}

/// JSON as a person reads it, members in their order, numbers as they are.
fn pretty(value: &Value<'_>, indent: usize, out: &mut String) {
    let line = |out: &mut String, indent: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(indent));
    };
    match value {
        Value::Array(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                out.push(if at == 0 { '[' } else { ',' });
                line(out, indent + 1);
                pretty(item, indent + 1, out);
            }
            line(out, indent);
            out.push(']');
        }
        Value::Object(members) if !members.is_empty() => {
            for (at, (key, value)) in members.iter().enumerate() {
                out.push(if at == 0 { '{' } else { ',' });
                line(out, indent + 1);
                out.push_str(&format!("{}: ", Value::string(&**key)));
                pretty(value, indent + 1, out);
            }
            line(out, indent);
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
}

pub(super) fn readable(json: &str) -> String {
    let mut out = String::new();
    pretty(&json::parse(json.as_bytes(), NESTING).unwrap(), 0, &mut out);
    out + "\n"
}

#[test]
fn requests_leave_as_expected() {
    for (folder, from, to) in [
        ("requests/chat_to_messages", Client::Chat, Upstream::Messages),
        ("requests/messages_to_chat", Client::Messages, Upstream::Chat),
        ("requests/responses_to_chat", Client::Responses, Upstream::Chat),
        ("requests/responses_to_messages", Client::Responses, Upstream::Messages),
    ] {
        for (name, input) in inputs(folder, "input.json") {
            let found = translated(from, to, &input).unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
            check(folder, &name, "expected.json", &readable(&found));
        }
    }
}

/// The golden streams of each upstream.
pub(super) fn streams() -> Vec<(Upstream, String, Vec<u8>)> {
    [(Upstream::Chat, "answers/chat"), (Upstream::Messages, "answers/messages")]
        .into_iter()
        .flat_map(|(upstream, folder)| {
            let found = inputs(folder, "input.sse").into_iter();
            found.map(move |(name, input)| (upstream, name, input))
        })
        .collect()
}

/// Streams that are also written for a Responses client.
const FOR_RESPONSES: [&str; 12] = [
    "text",
    "call",
    "parallel_calls",
    "text_between_calls",
    "thinking",
    "length",
    "refusal",
    "breaks_off_in_call",
    "text_then_refusal",
    "three_calls",
    "thinking_then_text",
    "content_filter",
];

#[test]
fn answers_leave_as_expected() {
    for (upstream, name, input) in streams() {
        let (folder, client) = match upstream {
            Upstream::Chat => ("answers/chat", Client::Messages),
            Upstream::Messages => ("answers/messages", Client::Chat),
        };
        check(folder, &name, "expected.sse", &once((upstream, client), &input).text());
        if FOR_RESPONSES.contains(&name.as_str()) {
            check(folder, &name, "responses.sse", &once((upstream, Client::Responses), &input).text());
        }
    }
}
