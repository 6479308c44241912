//! How long an answer may be at most, by what its request says.

use super::Api;
use crate::json::{self, Value};

/// More than any model writes: what is held for one answer stays within reason.
pub const OUTPUT_MAX: u64 = 10_000_000;

/// Tokens that all answers to a request may have together; `None` where it does not say.
pub fn output_max(api: Api, body: &Value<'_>) -> Option<u64> {
    if matches!(api, Api::CountTokens | Api::Embeddings | Api::Moderations | Api::ResponseItems) {
        // They answer with no text.
        return Some(0);
    }
    Some(answer_max(api, body)?.saturating_mul(answers(api, body)).min(OUTPUT_MAX))
}

/// Tokens that one answer may have; `None` where the request does not say.
pub fn answer_max(api: Api, body: &Value<'_>) -> Option<u64> {
    let number = |key: &str| body.present(key).and_then(whole);
    match api {
        Api::CountTokens | Api::Embeddings | Api::Moderations | Api::ResponseItems => None,
        // Some providers know the one, some the other.
        Api::Chat => number("max_completion_tokens").max(number("max_tokens")),
        Api::Completions | Api::Messages => number("max_tokens"),
        Api::Responses => number("max_output_tokens"),
    }
}

/// How many answers are asked for.
pub fn answers(api: Api, body: &Value<'_>) -> u64 {
    let number = |key: &str| body.present(key).and_then(whole);
    let times = match api {
        Api::Chat => number("n"),
        Api::Completions => Some(completions(body)),
        Api::CountTokens
        | Api::Embeddings
        | Api::Messages
        | Api::Moderations
        | Api::ResponseItems
        | Api::Responses => None,
    };
    times.unwrap_or(1).clamp(1, OUTPUT_MAX)
}

/// How many completions are asked for: so many of each prompt.
fn completions(body: &Value<'_>) -> u64 {
    let number = |key: &str| body.present(key).and_then(whole);
    let each = number("best_of").max(number("n")).unwrap_or(1).max(1);
    let prompts = match body.present("prompt") {
        // Numbers alone are the tokens of one.
        Some(Value::Array(prompts)) if !prompts.iter().all(|prompt| matches!(prompt, Value::Number(_))) => {
            u64::try_from(prompts.len()).unwrap_or(u64::MAX)
        }
        _ => 1,
    };
    each.saturating_mul(prompts)
}

/// A number of tokens, whichever way it is written: `100`, `1e2`, `100.0`.
fn whole(value: &Value<'_>) -> Option<u64> {
    if let Some(text) = value.as_str() {
        // Some providers read numbers that are written as texts.
        return json::parse(text.trim().as_bytes(), 1)
            .ok()
            .filter(|value| value.digits().is_some())
            .as_ref()
            .and_then(whole);
    }
    if let Some(whole) = value.as_u64() {
        return Some(whole);
    }
    let number = value.as_f64().filter(|number| *number >= 0.0)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and held to a bound that fits"
    )]
    let whole = number.min(1e7).ceil() as u64;
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_answer_is_what_the_request_says() {
        let check = |api, body: &str, expected| {
            let parsed = json::parse(body.as_bytes(), 8).unwrap();
            assert_eq!(output_max(api, &parsed), expected, "{body}");
        };
        check(Api::Chat, r#"{"max_tokens":5}"#, Some(5));
        check(Api::Chat, r#"{"max_tokens":5,"max_completion_tokens":7,"n":3}"#, Some(21));
        check(Api::Chat, r#"{"max_tokens":9000,"max_completion_tokens":1}"#, Some(9000));
        check(Api::Chat, r#"{"max_tokens":" 9000 ","n":"2"}"#, Some(18_000));
        check(Api::Chat, r#"{"max_tokens":"many"}"#, None);
        check(Api::Chat, r#"{"max_tokens":null,"n":3}"#, None);
        check(Api::Chat, r#"{"max_tokens":-5}"#, None);
        check(Api::Chat, r#"{"max_tokens":1e2}"#, Some(100));
        check(Api::Chat, r#"{"max_tokens":18446744073709551615,"n":9}"#, Some(OUTPUT_MAX));
        check(Api::Completions, r#"{"max_tokens":5,"n":2,"best_of":4}"#, Some(20));
        check(Api::Completions, r#"{"max_tokens":5,"n":2,"prompt":["a","b","c"]}"#, Some(30));
        check(Api::Completions, r#"{"max_tokens":5,"prompt":[[1,2],[3]]}"#, Some(10));
        check(Api::Completions, r#"{"max_tokens":5,"prompt":[1,2,3]}"#, Some(5));
        check(Api::Completions, r#"{"max_tokens":5,"prompt":[]}"#, Some(5));
        check(Api::Messages, r#"{"max_tokens":9}"#, Some(9));
        check(Api::Responses, r#"{"max_output_tokens":9,"max_tokens":1}"#, Some(9));
        check(Api::Embeddings, r#"{"max_tokens":9}"#, Some(0));
    }

    #[test]
    fn each_prompt_is_answered() {
        let check = |api, body: &str, expected| {
            let parsed = json::parse(body.as_bytes(), 8).unwrap();
            assert_eq!(answers(api, &parsed), expected, "{body}");
        };
        check(Api::Completions, r#"{"prompt":["a","b"],"n":3}"#, 6);
        check(Api::Completions, r#"{"prompt":"a"}"#, 1);
        check(Api::Chat, r#"{"n":3}"#, 3);
    }
}
