//! What Chat Completions makes of the directives that are there for the other dialects too, and how each dialect puts
//! a refusal.

use serde_json::{Value, json};

use super::{
    chat,
    dialect::{Dialect, Fault},
    plan::{BadRequest, Plan},
};

fn plan(message: &str) -> Result<Plan, BadRequest> {
    Plan::chat(&json!({ "model": "m", "messages": [{ "role": "user", "content": message }] }))
}

fn whole(message: &str) -> Value {
    serde_json::from_str(&chat::whole(&plan(message).unwrap(), 1)).unwrap()
}

#[test]
fn reasoning_comes_before_the_text() {
    let message = "!reasoning oh well\n!say hi";
    assert_eq!(whole(message)["choices"][0]["message"]["reasoning_content"], "oh well");
    let chunks = chat::chunks(&plan(message).unwrap(), 1);
    let delta = |chunk: &String| {
        let chunk: Value = serde_json::from_str(chunk).unwrap();
        chunk["choices"][0]["delta"].to_string()
    };
    let deltas: Vec<String> = chunks.iter().map(delta).collect();
    let [thought, more] = [r#"{"reasoning_content":"oh "}"#, r#"{"reasoning_content":"well"}"#];
    assert_eq!(deltas[1..4], [thought, more, r#"{"content":"hi"}"#]);
}

#[test]
fn usage_has_details_where_there_are_any() {
    let usage = |message: &str| whole(message)["usage"].clone();
    let plain = json!({ "prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14 });
    assert_eq!(usage("!usage 9 5"), plain);
    let detailed = usage("!usage 9 5 4 2");
    assert_eq!(detailed["prompt_tokens_details"]["cached_tokens"], 4);
    assert_eq!(detailed["completion_tokens_details"]["reasoning_tokens"], 2);
    assert!(plan("!usage 9").is_err() && plan("!usage 1 2 3 4 5").is_err());
}

#[test]
fn what_has_no_form_in_chat_is_refused() {
    for message in ["!hosted web_search_call", "!call f\n!item shell_call {}"] {
        assert_eq!(plan(message), Err(BadRequest::Foreign), "{message}");
    }
    assert!(plan("!item shell_call [1]").is_err() && plan("!hosted").is_err());
    assert!(plan("!call f {}\n!done-only\n!completed-differs").is_ok());
}

#[test]
fn each_dialect_has_its_own_error() {
    let error = |dialect: Dialect| dialect.error(&Fault::new(429, "slow"), 3);
    assert_eq!(
        error(Dialect::OpenAi),
        r#"{"error":{"code":"rate_limit_exceeded","message":"slow","param":null,"type":"requests"}}"#
    );
    assert_eq!(error(Dialect::Responses), error(Dialect::OpenAi));
    assert_eq!(
        error(Dialect::Anthropic),
        r#"{"error":{"message":"slow","type":"rate_limit_error"},"request_id":"req_mock00000003","type":"error"}"#
    );
    let paths = ["/v1/messages/count_tokens", "/v1/responses/resp_1", "/v1/chat/completions"];
    assert_eq!(paths.map(Dialect::of), [Dialect::Anthropic, Dialect::Responses, Dialect::OpenAi]);
}
