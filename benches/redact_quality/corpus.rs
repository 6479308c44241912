//! Labelled prompts in a file, and out of one: places are code points there, and bytes here.

use std::ops::Range;

use serde_json::{Value, json};

use super::prompts::{Group, Prompt, Sensitive};

const PERSONAL: &[&str] = super::personal::ENTITIES;

pub(crate) fn line(prompt: &Prompt) -> String {
    let point = |byte: usize| prompt.text.get(..byte).map_or(0, |head| head.chars().count());
    let spans: Vec<Value> = prompt
        .sensitive
        .iter()
        .map(|one| json!({ "start": point(one.range.start), "end": point(one.range.end), "entity": one.entity, "value": one.value }))
        .collect();
    let negatives: Vec<Value> = prompt
        .look_alikes
        .iter()
        .map(|(range, kind)| json!({ "start": point(range.start), "end": point(range.end), "type": kind }))
        .collect();
    json!({ "id": prompt.id, "kind": prompt.kind, "shape": prompt.shape, "text": prompt.text, "spans": spans, "negatives": negatives }).to_string()
}

/// Prompts of a file; what is labelled `"tier": "ner"` needs a model, and is no value here.
pub(crate) fn read(text: &str) -> Vec<Prompt> {
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter_map(|value: Value| prompt(&value))
        .collect()
}

fn prompt(value: &Value) -> Option<Prompt> {
    let word =
        |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let text = word(value, "text");
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let range = |span: &Value| -> Option<Range<usize>> {
        let place = |name| places.get(usize::try_from(span.get(name)?.as_u64()?).ok()?).copied();
        Some(place("start")?..place("end")?)
    };
    let list = |name: &str| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let is_disguised = word(value, "kind").starts_with("evasion") || word(value, "kind") == "disguised";
    let group = |entity: &str| match entity {
        _ if is_disguised => Group::Disguised,
        "PASSWORD" => Group::Told,
        _ if PERSONAL.contains(&entity) => Group::Personal,
        _ => Group::Credential,
    };
    let spans = list("spans");
    let sensitive = spans
        .iter()
        .filter(|span| word(span, "tier") != "ner")
        .filter_map(|span| {
            let entity = word(span, "entity");
            Some(Sensitive { range: range(span)?, value: word(span, "value"), group: group(&entity), entity })
        })
        .collect();
    let look_alikes =
        list("negatives").iter().filter_map(|span| Some((range(span)?, word(span, "type")))).collect();
    let shape = "file";
    Some(Prompt { id: word(value, "id"), kind: word(value, "kind"), shape, text, sensitive, look_alikes })
}
