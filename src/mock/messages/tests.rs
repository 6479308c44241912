//! Messages on the wire: the order of events, that a stream says what the whole body says, what is refused.

use hyper::HeaderMap;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    super::{dialect::Dialect, script::Step},
    count_tokens, create,
};

fn request(message: &str) -> Value {
    json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": message }] })
}

fn headers() -> HeaderMap {
    let pairs = [("x-api-key", "k"), ("anthropic-version", "2023-06-01")];
    pairs.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

fn written(body: &Value) -> String {
    let (reply, _) = create(&headers(), body, 7).unwrap();
    let bytes = reply.steps.iter().filter_map(|step| match step {
        Step::Write(bytes) => Some(bytes.to_vec()),
        Step::Wait(_) | Step::Stall | Step::Abort => None,
    });
    String::from_utf8(bytes.flatten().collect()).unwrap()
}

fn whole(message: &str) -> Value {
    serde_json::from_str(&written(&request(message))).unwrap()
}

/// The events of a stream, whose names are checked.
fn events(message: &str) -> Vec<Value> {
    let mut body = request(message);
    body["stream"] = true.into();
    let text = written(&body);
    let events = text.split_terminator("\n\n").map(|event| {
        let (name, data) = event.split_once("\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap()));
        data
    });
    events.collect()
}

#[track_caller]
fn check_order(message: &str, expected: &[&str]) {
    let of = |event: &Value| {
        let name = event["type"].as_str().unwrap().trim_start_matches("content_block_");
        let what = event["delta"]["type"].as_str().or_else(|| event["content_block"]["type"].as_str());
        let place = event["index"].as_u64().map(|place| format!("{place} ")).unwrap_or_default();
        format!("{place}{name}{}", what.map(|what| format!(" {what}")).unwrap_or_default())
    };
    let names: Vec<String> = events(message).iter().map(of).collect();
    assert_eq!(names, expected, "{message}");
}

#[test]
fn events_come_in_anthropics_order() {
    check_order(
        "!reasoning hm\n!say a b\n!call f {}\n!call g",
        &[
            "message_start",
            "ping",
            "0 start thinking",
            "0 delta thinking_delta",
            "0 delta signature_delta",
            "0 stop",
            "1 start text",
            "1 delta text_delta",
            "1 delta text_delta",
            "1 stop",
            "2 start tool_use",
            "2 delta input_json_delta",
            "2 delta input_json_delta",
            "2 stop",
            "3 start tool_use",
            "3 delta input_json_delta",
            "3 stop",
            "message_delta",
            "message_stop",
        ],
    );
    check_order(
        "!hosted web_search_call\n!call f {}\n!object-args\n!interleave",
        &[
            "message_start",
            "ping",
            "0 start server_tool_use",
            "1 start web_search_tool_result",
            "2 start tool_use",
            "0 stop",
            "1 stop",
            "2 stop",
            "message_delta",
            "message_stop",
        ],
    );
}

#[test]
fn an_answer_ends_as_asked() {
    let stop = |message: &str| whole(message)["stop_reason"].as_str().unwrap().to_owned();
    assert_eq!(stop("hi"), "end_turn");
    assert_eq!(stop("!call f {}"), "tool_use");
    assert_eq!(stop("!say a\n!finish length"), "max_tokens");
    assert_eq!(stop("!refusal"), "refusal");
    assert_eq!(whole("!usage 9 5 4")["usage"]["input_tokens"], 5);
    assert_eq!(whole("!usage 9 5 4")["usage"]["cache_read_input_tokens"], 4);
    let stream = events("!usage 9 5 4 2");
    assert_eq!(stream[0]["message"]["usage"]["input_tokens"], 5);
    assert_eq!(stream[stream.len() - 2]["usage"]["output_tokens_details"]["thinking_tokens"], 2);
    let failed = events("!say a b c\n!error 3");
    assert_eq!(failed[3]["error"]["type"], "overloaded_error");
    assert_eq!(events("!say a\n!no-done").last().unwrap()["type"], "message_delta");
}

#[test]
fn arguments_go_out_verbatim_if_they_are_json() {
    assert!(written(&request(r#"!call f {"a": 1.0, "a": 2}"#)).contains(r#""input":{"a": 1.0, "a": 2}"#));
    assert_eq!(whole("!call f {\"a")["content"][0]["input"], json!({ "INVALID_JSON": "{\"a" }));
    assert_eq!(whole("!call f")["content"][0]["input"], json!({}));
}

/// Puts a stream together as the SDKs do.
fn reassemble(events: &[Value]) -> Value {
    let mut message = events[0]["message"].clone();
    let mut inputs: Vec<String> = Vec::new();
    for event in events {
        let at = usize::try_from(event["index"].as_u64().unwrap_or(0)).unwrap();
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                message["content"].as_array_mut().unwrap().push(event["content_block"].clone());
                inputs.push(String::new());
            }
            "content_block_delta" => {
                let block = &mut message["content"][at];
                for key in ["text", "thinking", "signature"] {
                    if let Some(more) = event["delta"][key].as_str() {
                        block[key] = format!("{}{more}", block[key].as_str().unwrap()).into();
                    }
                }
                inputs[at].push_str(event["delta"]["partial_json"].as_str().unwrap_or_default());
            }
            "content_block_stop" if !inputs[at].is_empty() => {
                message["content"][at]["input"] = serde_json::from_str(&inputs[at]).unwrap();
            }
            "message_delta" => {
                message["stop_reason"] = event["delta"]["stop_reason"].clone();
                message["usage"] = event["usage"].clone();
            }
            _ => {}
        }
    }
    message
}

proptest! {
    /// However a stream is laid out, it says what the whole body says.
    #[test]
    fn every_form_reads_back_to_the_same_blocks(
        arguments in prop::collection::vec(r#"\{"k":"[a-zé ☃]{0,12}"\}"#, 1..5),
        fragment in 1_usize..9,
        form in prop::sample::select(vec!["", "\n!whole", "\n!interleave", "\n!object-args", "\n!hosted web_search"]),
        talk in prop::sample::select(vec!["", "\n!say hi there", "\n!reasoning oh well\n!say hi"]),
    ) {
        let lines: Vec<String> =
            arguments.iter().enumerate().map(|(at, arguments)| format!("!call tool_{at} {arguments}")).collect();
        let message = format!("{}\n!arg-chunk {fragment}{form}{talk}", lines.join("\n"));
        prop_assert_eq!(reassemble(&events(&message)), whole(&message));
    }

    #[test]
    fn no_message_makes_it_panic(text in "(![a-z-]{0,18}( [ -~]{0,12})?\n){0,4}", stream: bool) {
        let mut body = request(&text);
        body["stream"] = stream.into();
        let _answer = create(&headers(), &body, 1);
    }
}

#[track_caller]
fn check_refused(change: impl Fn(&mut Value), expected: &str) {
    let mut body = request("hi");
    change(&mut body);
    let fault = create(&headers(), &body, 1).unwrap_err();
    assert!(fault.message.contains(expected), "{}", fault.message);
    assert_eq!(fault.status, 400);
}

#[test]
fn what_anthropic_refuses_is_refused() {
    check_refused(|body| body["max_tokens"] = Value::Null, "max_tokens: Field required");
    check_refused(|body| body["n"] = 2.into(), "n: Extra inputs are not permitted");
    check_refused(|body| body["messages"][0]["role"] = "system".into(), "Unexpected role \"system\"");
    let empty = "text content blocks must be non-empty";
    check_refused(|body| body["messages"][0]["content"] = json!([{ "type": "text", "text": "" }]), empty);
    check_refused(|body| body["system"] = json!([{ "type": "text", "text": "" }]), empty);
    check_refused(|body| body["messages"][0]["content"] = "".into(), "must have non-empty content");
    check_refused(|body| body["tools"] = json!([{ "name": "f" }]), "tools.0.custom.input_schema");
    check_refused(|body| body["tool_choice"] = json!({ "type": "any" }), "while providing tools");
    let without = |name: &str| {
        let mut headers = headers();
        headers.remove(name);
        create(&headers, &request("hi"), 1).unwrap_err()
    };
    assert_eq!(without("anthropic-version").status, 400);
    let fault = without("x-api-key");
    assert_eq!(fault.status, 401);
    let error: Value = serde_json::from_str(&Dialect::Anthropic.error(&fault, 7)).unwrap();
    assert_eq!(error["error"]["type"], "authentication_error");
    assert_eq!((&error["type"], &error["request_id"]), (&json!("error"), &json!("req_mock00000007")));
}

#[test]
fn calls_and_results_belong_together() {
    let call = json!({ "role": "assistant", "content": [{ "type": "tool_use", "id": "t", "name": "f", "input": {} }] });
    let result = json!({ "type": "tool_result", "tool_use_id": "t", "content": [{ "type": "text", "text": "sunny" }] });
    let text = json!({ "type": "text", "text": "well?" });
    let history = |last: Value| json!([{ "role": "user", "content": "!call f {}" }, call, { "role": "user", "content": last }]);
    let mut body = request("");
    body["messages"] = history(json!([result]));
    assert!(written(&body).contains("The tool answered: sunny"));
    body["messages"] = history(json!([result, text]));
    assert!(written(&body).contains("You said: well?"));
    let open = "ids were found without `tool_result` blocks immediately after: t.";
    check_refused(|body| body["messages"] = history(json!([text])), open);
    check_refused(|body| body["messages"] = history(json!([text, result])), open);
    let alone = json!([{ "role": "user", "content": [result] }]);
    check_refused(|body| body["messages"] = alone.clone(), "unexpected `tool_use_id` found");
}

#[test]
fn tools_on_offer_are_called_when_named_and_tokens_are_counted() {
    let mut body = request("f and g");
    body["tools"] =
        json!(["f", "g"].map(|name| json!({ "name": name, "input_schema": { "type": "object" } })));
    let names = |body: &Value| {
        let answer: Value = serde_json::from_str(&written(body)).unwrap();
        let blocks = answer["content"].as_array().unwrap().clone();
        blocks.iter().filter_map(|block| block["name"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(names(&body), ["f", "g"]);
    body["tool_choice"] = json!({ "type": "tool", "name": "g" });
    assert_eq!(names(&body), ["g"]);
    body["tool_choice"] = json!({ "type": "any" });
    assert_eq!(names(&body), ["f"]);
    body["tool_choice"] = json!({ "type": "none" });
    assert!(names(&body).is_empty());
    let (reply, _) = count_tokens(&headers(), &request("four bytes a token")).unwrap();
    assert_eq!(reply.steps, [Step::Write(r#"{"input_tokens":5}"#.into())]);
}
