//! What an answer says of itself, for the span of its call: the model that answers, and why it stopped. A provider's words
//! go into a span only from a list, a name only where it looks like one.

use super::Told;
use crate::{json::Value, trace::Reply};

/// So many answers of one call are told.
const ANSWERS_MAX: usize = 16;
/// A longer name is none.
const MODEL_BYTES_MAX: usize = 128;
/// The reasons that providers know, in their words.
const REASONS: &[&str] = &[
    "cancelled",
    "completed",
    "content_filter",
    "end_turn",
    "failed",
    "function_call",
    "incomplete",
    "length",
    "max_output_tokens",
    "max_tokens",
    "model_context_window_exceeded",
    "pause_turn",
    "refusal",
    "stop",
    "stop_sequence",
    "tool_calls",
    "tool_use",
];
/// Any other.
const OTHER: &str = "_OTHER";

impl Told {
    /// Reads what an answer, or an event of one, says of itself; nothing where nobody wants to know.
    pub(super) fn reply(&mut self, told: &Value<'_>) {
        if let Some(reply) = &mut self.reply {
            read(reply, told);
        }
    }
}

fn read(reply: &mut Reply, told: &Value<'_>) {
    // A stream of Anthropic's begins with a message; one of OpenAI's Responses ends with a response.
    let whole = told.get("message").or_else(|| told.get("response")).unwrap_or(told);
    if reply.model.is_none() {
        let model = whole.get("model").and_then(Value::as_str).filter(|model| is_name(model));
        reply.model = model.map(ToOwned::to_owned);
    }
    for choice in told.get("choices").and_then(Value::items).unwrap_or_default() {
        let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
        note(reply, index, choice.get("finish_reason"));
    }
    note(reply, 0, told.get("delta").unwrap_or(whole).get("stop_reason"));
    let is_open = |status: &Value<'_>| matches!(status.as_str(), Some("in_progress" | "queued"));
    if let Some(status) = whole.get("status").filter(|status| !is_open(status)) {
        let why = whole.present("incomplete_details").and_then(|details| details.present("reason"));
        note(reply, 0, Some(why.unwrap_or(status)));
    }
}

/// Keeps why one of the answers stopped.
fn note(reply: &mut Reply, index: u64, reason: Option<&Value<'_>>) {
    let Some(reason) = reason.and_then(Value::as_str).filter(|reason| !reason.is_empty()) else { return };
    let known = REASONS.iter().find(|known| **known == reason).unwrap_or(&OTHER);
    if let Some(noted) = reply.reasons.iter_mut().find(|(noted, _)| *noted == index) {
        noted.1 = known;
    } else if reply.reasons.len() < ANSWERS_MAX {
        let at = reply.reasons.partition_point(|(noted, _)| *noted < index);
        reply.reasons.insert(at, (index, known));
    }
}

fn is_name(model: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/@+".contains(&byte);
    !model.is_empty() && model.len() <= MODEL_BYTES_MAX && model.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use proptest::prelude::*;

    fn of(events: &[&str]) -> (Option<String>, Vec<&'static str>) {
        let mut told = Told { reply: Some(Reply::default()), ..Told::default() };
        for event in events {
            told.reply(&json::parse(event.as_bytes(), 9).unwrap());
        }
        let reply = told.reply.unwrap_or_default();
        (reply.model, reply.reasons.into_iter().map(|(_, reason)| reason).collect())
    }

    #[test]
    fn each_dialect_says_it_in_a_place_of_its_own() {
        let check = |events: &[&str], model: &str, reasons: &[&str]| {
            assert_eq!(of(events), (Some(model.to_owned()), reasons.to_vec()), "{events:?}");
        };
        check(
            &[
                r#"{"model":"gpt-5-2025-08-07","choices":[{"index":1,"finish_reason":"length"},{"index":0,"finish_reason":"tool_calls"}]}"#,
            ],
            "gpt-5-2025-08-07",
            &["tool_calls", "length"],
        );
        check(
            &[
                r#"{"model":"m","choices":[{"index":0,"delta":{},"finish_reason":null}]}"#,
                r#"{"model":"m","choices":[{"index":0,"delta":{},"finish_reason":""}]}"#,
                r#"{"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
                r#"{"model":"m","choices":[]}"#,
            ],
            "m",
            &["stop"],
        );
        check(&[r#"{"type":"message","model":"claude","stop_reason":"end_turn"}"#], "claude", &["end_turn"]);
        check(
            &[
                r#"{"type":"message_start","message":{"model":"claude","stop_reason":null}}"#,
                r#"{"type":"message_delta","delta":{"stop_reason":"max_tokens"}}"#,
            ],
            "claude",
            &["max_tokens"],
        );
        check(&[r#"{"model":"o","status":"completed","incomplete_details":null}"#], "o", &["completed"]);
        check(
            &[
                r#"{"type":"response.created","response":{"model":"o","status":"in_progress"}}"#,
                r#"{"type":"response.incomplete","response":{"model":"o","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}}"#,
            ],
            "o",
            &["max_output_tokens"],
        );
    }

    #[test]
    fn nothing_is_read_where_nobody_wants_to_know() {
        let mut told = Told::default();
        told.reply(&json::parse(br#"{"model":"m","stop_reason":"end_turn"}"#, 9).unwrap());
        assert_eq!(told.reply, None);
    }

    proptest! {
        #[test]
        fn a_provider_s_text_is_a_name_or_from_the_list(model in "\\PC{0,200}", reason in "\\PC{0,40}", times in 0..40_u64) {
            let choices: Vec<serde_json::Value> = (0..times)
                .map(|index| serde_json::json!({ "index": index, "finish_reason": reason }))
                .collect();
            let body = serde_json::json!({ "model": model, "choices": choices }).to_string();
            let (told, reasons) = of(&[&body]);
            prop_assert_eq!(told, is_name(&model).then_some(model));
            prop_assert!(reasons.len() <= ANSWERS_MAX);
            prop_assert!(reasons.iter().all(|told| *told == OTHER || REASONS.contains(told)));
        }
    }
}
