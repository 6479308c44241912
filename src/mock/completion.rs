//! A [`Plan`] as an answer of `POST /v1/completions`: text alone, so calls and their forms play no part.

use serde_json::Value;

use super::{
    chat::{self, CREATED},
    directions::Speech,
    layout,
    plan::{Delivery, Plan},
};

/// The whole body, as JSON text.
pub(super) fn whole(plan: &Plan, number: u64) -> String {
    let choices: Vec<String> = (0..plan.choices)
        .map(|choice| element(choice, &text(plan, choice), Some(plan.finish.word())))
        .collect();
    let usage =
        plan.usage.map_or_else(String::new, |usage| format!(r#","usage":{}"#, chat::usage_json(usage)));
    format!(r#"{{{},"choices":[{}]{usage}}}"#, head(plan, number), choices.join(","))
}

/// The payloads of the stream, without `[DONE]`.
pub(super) fn chunks(plan: &Plan, number: u64) -> Vec<String> {
    let head = head(plan, number);
    let chunk = |element: String| format!(r#"{{{head},"choices":[{element}]}}"#);
    let mut chunks = Vec::new();
    for choice in 0..plan.choices {
        let pieces = layout::pieces(&text(plan, choice), &plan.form);
        chunks.extend(pieces.iter().map(|piece| chunk(element(choice, piece, None))));
        chunks.push(chunk(element(choice, "", Some(plan.finish.word()))));
    }
    if let (Delivery::StreamWithUsage, Some(usage)) = (plan.delivery, plan.usage) {
        chunks.push(format!(r#"{{{head},"choices":[],"usage":{}}}"#, chat::usage_json(usage)));
    }
    chunks
}

fn head(plan: &Plan, number: u64) -> String {
    let model = Value::from(plan.model.as_str());
    format!(r#""id":"cmpl-mock{number:08}","object":"text_completion","created":{CREATED},"model":{model}"#)
}

fn element(choice: usize, text: &str, finish: Option<&str>) -> String {
    let (text, finish) = (Value::from(text), Value::from(finish));
    format!(r#"{{"text":{text},"index":{choice},"logprobs":null,"finish_reason":{finish}}}"#)
}

fn text(plan: &Plan, choice: usize) -> String {
    match &plan.speech {
        Some(Speech::Text(text) | Speech::Refusal(text)) => chat::text_of(plan, choice, text),
        None => String::new(),
    }
}
