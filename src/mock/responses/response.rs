//! The response object: what was asked, repeated, and what came of it.

use serde_json::{Value, json};

use super::{
    super::{
        chat::CREATED,
        directions::{Finish, Usage},
        write::{list, object, text},
    },
    Turn,
};

/// At the beginning of a stream.
pub(super) fn begun(turn: &Turn<'_>) -> String {
    response(turn, "in_progress", "null".to_owned(), &[], "null".to_owned())
}

/// At the end, or whole.
pub(super) fn ended(turn: &Turn<'_>, output: &[Value]) -> String {
    let details = match reason(turn.plan.finish) {
        Some(reason) => json!({ "reason": reason }).to_string(),
        None => "null".to_owned(),
    };
    let usage = turn.plan.usage.map_or_else(|| "null".to_owned(), usage);
    response(turn, word(turn.plan.finish), details, output, usage)
}

/// The status in the end: that of the response, and the last word of its last event.
pub(super) fn word(finish: Finish) -> &'static str {
    if reason(finish).is_some() { "incomplete" } else { "completed" }
}

fn reason(finish: Finish) -> Option<&'static str> {
    match finish {
        Finish::Length => Some("max_output_tokens"),
        Finish::ContentFilter => Some("content_filter"),
        Finish::Stop | Finish::ToolCalls | Finish::FunctionCall => None,
    }
}

fn response(turn: &Turn<'_>, status: &str, incomplete: String, output: &[Value], usage: String) -> String {
    let said = |key: &str, otherwise: Value| {
        let said = turn.body.get(key).filter(|said| !said.is_null());
        said.unwrap_or(&otherwise).to_string()
    };
    let completed_at = if status == "completed" { CREATED.to_string() } else { "null".to_owned() };
    object([
        ("id", text(&turn.id)),
        ("object", text("response")),
        ("created_at", CREATED.to_string()),
        ("status", text(status)),
        ("background", "false".to_owned()),
        ("completed_at", completed_at),
        ("error", "null".to_owned()),
        ("incomplete_details", incomplete),
        ("instructions", said("instructions", Value::Null)),
        ("max_output_tokens", said("max_output_tokens", Value::Null)),
        ("max_tool_calls", said("max_tool_calls", Value::Null)),
        ("model", text(&turn.plan.model)),
        ("output", list(output.iter().map(Value::to_string))),
        ("parallel_tool_calls", said("parallel_tool_calls", true.into())),
        ("previous_response_id", said("previous_response_id", Value::Null)),
        ("prompt_cache_key", said("prompt_cache_key", Value::Null)),
        ("reasoning", said("reasoning", json!({ "effort": null, "summary": null }))),
        ("safety_identifier", said("safety_identifier", Value::Null)),
        ("service_tier", text("default")),
        ("store", said("store", true.into())),
        ("temperature", said("temperature", json!(1.0))),
        ("text", said("text", json!({ "format": { "type": "text" } }))),
        ("tool_choice", said("tool_choice", "auto".into())),
        ("tools", said("tools", json!([]))),
        ("top_logprobs", said("top_logprobs", 0.into())),
        ("top_p", said("top_p", json!(1.0))),
        ("truncation", said("truncation", "disabled".into())),
        ("usage", usage),
        ("user", said("user", Value::Null)),
        ("metadata", said("metadata", json!({}))),
    ])
}

fn usage(Usage { input, output, cached, reasoning }: Usage) -> String {
    object([
        ("input_tokens", input.to_string()),
        ("input_tokens_details", json!({ "cached_tokens": cached, "cache_write_tokens": 0 }).to_string()),
        ("output_tokens", output.to_string()),
        ("output_tokens_details", json!({ "reasoning_tokens": reasoning }).to_string()),
        ("total_tokens", input.saturating_add(output).to_string()),
    ])
}
