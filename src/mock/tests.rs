//! The mock is what other tests trust, so: each directive shows on the wire, every form of a call reads back to the
//! same call. What goes over a real socket is in `socket_tests`.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    chat,
    dialect::{Dialect, Event},
    directions::{Directions, End, Fate, PlannedCall, Transport},
    directive::BadDirective,
    fixed, mcp,
    plan::{BadRequest, Plan},
    schema,
    script::Step,
    seen::{Outcome, Seen},
    sse,
};

fn request(message: &str) -> Value {
    json!({ "model": "m", "stream": true, "messages": [{ "role": "user", "content": message }] })
}

fn plan(message: &str) -> Plan {
    Plan::chat(&request(message)).unwrap()
}

/// The deltas of a message's stream, `FINISH` after the one that ends a choice; ids in the order of their coming.
fn deltas(message: &str) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    let mut lines = Vec::new();
    for chunk in chat::chunks(&plan(message), 1) {
        let chunk: Value = serde_json::from_str(&chunk).unwrap();
        let choice = &chunk["choices"][0];
        let mut delta = choice["delta"].clone();
        for call in delta["tool_calls"].as_array_mut().into_iter().flatten() {
            if let Some(id) = call["id"].as_str().map(str::to_owned) {
                let at = ids.iter().position(|known| *known == id).unwrap_or(ids.len());
                ids.push(id);
                call["id"] = at.into();
            }
        }
        if delta["tool_calls"].is_null() {
            delta.as_object_mut().unwrap().remove("tool_calls");
        }
        let finish = choice["finish_reason"].as_str().map_or_else(String::new, |word| format!(" {word}"));
        lines.push(format!("{delta}{finish}"));
    }
    lines
}

#[track_caller]
fn check_stream(message: &str, expected: &[&str]) {
    assert_eq!(deltas(message), expected, "{message}");
}

#[test]
fn text_is_one_delta_a_word_or_as_many_as_asked() {
    let first = r#"{"content":"","role":"assistant"}"#;
    let end = "{} stop";
    check_stream("!say to you", &[first, r#"{"content":"to "}"#, r#"{"content":"you"}"#, end]);
    check_stream("!say añb\n!chunks 2", &[first, r#"{"content":"a"}"#, r#"{"content":"ñb"}"#, end]);
    check_stream("!say ab\n!chunks 9", &[first, r#"{"content":"a"}"#, r#"{"content":"b"}"#, end]);
    check_stream("!say a\n!say b\n!finish length", &[first, r#"{"content":"a\nb"}"#, "{} length"]);
    check_stream("!refusal no", &[first, r#"{"refusal":"no"}"#, end]);
    check_stream("!say ", &[first, end]);
}

const NO_TEXT: &str = r#"{"content":null,"role":"assistant"}"#;

#[test]
fn calls_come_as_openai_writes_them() {
    check_stream(
        "!say x\n!call f {\"a\": 1}\n!call g oops\n!arg-chunk 5",
        &[
            r#"{"content":"","role":"assistant"}"#,
            r#"{"content":"x"}"#,
            r#"{"tool_calls":[{"function":{"arguments":"","name":"f"},"id":0,"index":0,"type":"function"}]}"#,
            r#"{"tool_calls":[{"function":{"arguments":"{\"a\":"},"index":0}]}"#,
            r#"{"tool_calls":[{"function":{"arguments":" 1}"},"index":0}]}"#,
            r#"{"tool_calls":[{"function":{"arguments":"","name":"g"},"id":1,"index":1,"type":"function"}]}"#,
            r#"{"tool_calls":[{"function":{"arguments":"oops"},"index":1}]}"#,
            "{} tool_calls",
        ],
    );
}

#[test]
fn calls_come_in_odd_forms() {
    check_stream(
        "!call f a\n!call g b\n!interleave\n!no-index\n!repeat-id",
        &[
            NO_TEXT,
            r#"{"tool_calls":[{"function":{"arguments":"","name":"f"},"id":0,"type":"function"}]}"#,
            r#"{"tool_calls":[{"function":{"arguments":"","name":"g"},"id":1,"type":"function"}]}"#,
            r#"{"tool_calls":[{"function":{"arguments":"a"},"id":0,"type":"function"}]}"#,
            r#"{"tool_calls":[{"function":{"arguments":"b"},"id":1,"type":"function"}]}"#,
            "{} tool_calls",
        ],
    );
    check_stream(
        "!call f {}\n!call g {}\n!whole\n!same-index\n!finish stop",
        &[
            NO_TEXT,
            concat!(
                r#"{"tool_calls":[{"function":{"arguments":"{}","name":"f"},"id":0,"index":0,"type":"function"},"#,
                r#"{"function":{"arguments":"{}","name":"g"},"id":1,"index":0,"type":"function"}]} stop"#
            ),
        ],
    );
    check_stream(
        "!call send {\"a\":1}\n!object-args",
        &[
            NO_TEXT,
            r#"{"tool_calls":[{"function":{"arguments":{"a":1},"name":"send"},"id":0,"index":0,"type":"function"}]}"#,
            "{} tool_calls",
        ],
    );
    check_stream(
        "!call send\n!name-split",
        &[
            NO_TEXT,
            r#"{"tool_calls":[{"function":{"arguments":"","name":"se"},"id":0,"index":0,"type":"function"}]}"#,
            r#"{"tool_calls":[{"function":{"name":"nd"},"index":0}]}"#,
            "{} tool_calls",
        ],
    );
}

#[test]
fn calls_come_in_the_legacy_and_the_custom_form() {
    check_stream(
        "!call f {}\n!function-call",
        &[
            NO_TEXT,
            r#"{"function_call":{"arguments":"","name":"f"}}"#,
            r#"{"function_call":{"arguments":"{}"}}"#,
            "{} function_call",
        ],
    );
    check_stream(
        "!call f SELECT 1\n!custom",
        &[
            NO_TEXT,
            r#"{"tool_calls":[{"custom":{"input":"","name":"f"},"id":0,"index":0,"type":"custom"}]}"#,
            r#"{"tool_calls":[{"custom":{"input":"SELECT 1"},"index":0}]}"#,
            "{} tool_calls",
        ],
    );
    let message = whole_message("!call f {}\n!function-call");
    assert_eq!(message["function_call"], json!({ "name": "f", "arguments": "{}" }));
    assert_eq!(message.get("tool_calls"), None);
}

fn whole_message(message: &str) -> Value {
    let body: Value = serde_json::from_str(&chat::whole(&plan(message), 1)).unwrap();
    body["choices"][0]["message"].clone()
}

/// Reads a stream as a client does that keys calls by index, and by id where the index cannot tell.
fn reassemble(message: &str) -> Vec<(String, String, String)> {
    let mut calls: BTreeMap<String, (usize, [String; 3])> = BTreeMap::new();
    let mut last = String::new();
    for chunk in chat::chunks(&plan(message), 1) {
        let chunk: Value = serde_json::from_str(&chunk).unwrap();
        for entry in chunk["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let id = entry["id"].as_str().map(str::to_owned);
            let key = match (entry["index"].as_u64(), message.contains("same-index")) {
                (Some(index), false) => index.to_string(),
                _ => id.clone().unwrap_or_else(|| last.clone()),
            };
            last.clone_from(&key);
            let place = calls.len();
            let (_, [known_id, name, arguments]) =
                calls.entry(key).or_insert_with(|| (place, Default::default()));
            *known_id = id.unwrap_or_else(|| known_id.clone());
            name.push_str(entry["function"]["name"].as_str().unwrap_or_default());
            match &entry["function"]["arguments"] {
                Value::String(fragment) => arguments.push_str(fragment),
                Value::Null => {}
                object => arguments.push_str(&object.to_string()),
            }
        }
    }
    let mut ordered: Vec<_> = calls.into_values().collect();
    ordered.sort();
    ordered.into_iter().map(|(_, [id, name, arguments])| (id, name, arguments)).collect()
}

proptest! {
    /// However a stream is laid out, it says what the whole body says.
    #[test]
    fn every_form_reads_back_to_the_same_calls(
        arguments in prop::collection::vec(r#"\{"k":"[a-zé ☃]{0,12}"\}"#, 1..5),
        fragment in 1_usize..9,
        index in prop::sample::select(vec!["", "\n!no-index", "\n!same-index"]),
        rest in prop::sample::select(vec!["", "\n!whole", "\n!name-split", "\n!interleave\n!repeat-id", "\n!object-args"]),
    ) {
        let lines: Vec<String> =
            arguments.iter().enumerate().map(|(at, arguments)| format!("!call tool_{at} {arguments}")).collect();
        let message = format!("{}\n!arg-chunk {fragment}{index}{rest}", lines.join("\n"));
        let read = reassemble(&message);
        let whole = whole_message(&message);
        let whole: Vec<(String, String, String)> = whole["tool_calls"].as_array().unwrap().iter().map(|call| {
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (text(&call["id"]), text(&call["function"]["name"]), text(&call["function"]["arguments"]))
        }).collect();
        prop_assert_eq!(&read, &whole);
        let sent: Vec<&String> = read.iter().map(|(_, _, arguments)| arguments).collect();
        prop_assert_eq!(sent, arguments.iter().collect::<Vec<_>>());
    }

    #[test]
    fn no_message_makes_it_panic(text in "(![a-z-]{0,12}( [ -~]{0,12})?\n){0,4}", stream: bool) {
        let mut body = request(&text);
        body["stream"] = stream.into();
        if let Ok(plan) = Plan::chat(&body) {
            let chunks = chat::chunks(&plan, 1);
            prop_assert!(chunks.iter().all(|chunk| serde_json::from_str::<Value>(chunk).is_ok()));
            prop_assert!(serde_json::from_str::<Value>(&chat::whole(&plan, 1)).is_ok());
        }
    }
}

#[test]
fn every_choice_gets_the_answer_and_they_take_turns() {
    let mut body = request("!say hi\n!call f {}");
    body["n"] = 2.into();
    body["stream_options"] = json!({ "include_usage": true });
    let chunks = chat::chunks(&Plan::chat(&body).unwrap(), 1);
    let chunks: Vec<Value> = chunks.iter().map(|chunk| serde_json::from_str(chunk).unwrap()).collect();
    let turns: Vec<Option<u64>> = chunks.iter().map(|chunk| chunk["choices"][0]["index"].as_u64()).collect();
    assert_eq!(turns[..4], [Some(0), Some(1), Some(0), Some(1)]);
    assert_eq!(chunks.last().unwrap()["choices"], json!([]));
    assert!(chunks.last().unwrap()["usage"]["total_tokens"].is_u64());
    let ids: std::collections::BTreeSet<&str> = chunks
        .iter()
        .filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls/0/id")?.as_str())
        .collect();
    assert_eq!(ids.len(), 2, "each choice has ids of its own");
}

#[track_caller]
fn check_bad(message: &str, expected: &str) {
    assert_eq!(Plan::chat(&request(message)).unwrap_err().to_string(), expected);
}

#[test]
fn what_is_not_understood_is_said() {
    check_bad("!wat 1", "unknown directive `!wat`");
    check_bad("!chunks many", "`!chunks`: expected a number");
    check_bad("!delay 5", "`!delay`: expected a duration like 5ms or 2s");
    check_bad("!status 200", "`!status`: expected CODE [retry-after S]");
    check_bad("!call", "`!call`: expected the name of a tool");
    check_bad("!call a\n!call b\n!function-call", "the legacy `function_call` holds one call");
    assert_eq!(Plan::chat(&json!({ "model": "m" })), Err(BadRequest::Field("messages")));
    assert_eq!(Plan::chat(&json!({ "messages": [] })), Err(BadRequest::Field("model")));
    assert_eq!(Directions::read("!"), Err(BadDirective::Unknown(String::new())));
}

#[test]
fn faults_are_read() {
    let fate = |message: &str| Directions::read(message).unwrap().transport.fate;
    let fail = |status, retry_after_s, times| Fate::Fail { status, retry_after_s, times };
    assert_eq!(fate("!status 503"), fail(503, None, None));
    assert_eq!(fate("!status 429 retry-after 2"), fail(429, Some(2), None));
    assert_eq!(fate("!status-times 2 502"), fail(502, None, Some(2)));
    assert_eq!(fate("!hang"), Fate::Hang);
}

fn with_tools(message: &str, choice: Value) -> Value {
    let schema = json!({ "type": "object", "properties": {
        "city": { "type": "string" }, "days": { "type": "integer", "minimum": 3 }, "unit": { "enum": ["C", "F"] },
    } });
    let tool = |name: &str| json!({ "type": "function", "function": { "name": name, "parameters": schema } });
    let mut body = request(message);
    body["tools"] =
        json!([tool("get_weather"), tool("get"), { "type": "custom", "custom": { "name": "sql" } }]);
    body["tool_choice"] = choice;
    body
}

#[track_caller]
fn check_called(message: &str, choice: Value, expected: &[&str]) {
    let plan = Plan::chat(&with_tools(message, choice)).unwrap();
    assert_eq!(plan.calls().map(|call| call.name.as_str()).collect::<Vec<_>>(), expected, "{message}");
}

#[test]
fn tools_on_offer_are_called_when_named() {
    check_called("please get_weather", Value::Null, &["get_weather"]);
    check_called("first get, then `get_weather`.", json!("auto"), &["get", "get_weather"]);
    check_called("forget it, get-go, get_out", Value::Null, &[]);
    check_called("get", json!("none"), &[]);
    check_called("anything", json!("required"), &["get_weather"]);
    check_called("x", json!({ "type": "function", "function": { "name": "get" } }), &["get"]);
    check_called("x", json!({ "type": "function", "function": { "name": "gone" } }), &[]);
    check_called("get\n!say only this", Value::Null, &[]);
    check_called("get\n!call other {}", Value::Null, &["other"]);
    let plan = Plan::chat(&with_tools("get_weather", Value::Null)).unwrap();
    assert_eq!(plan.calls().next().unwrap().arguments, r#"{"city":"Bern","days":3,"unit":"C"}"#);
}

#[test]
fn a_tool_result_is_answered_with_text() {
    let mut body = with_tools("get_weather\n!call get_weather {}", Value::Null);
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({ "role": "assistant", "tool_calls": [] }));
    messages.push(json!({ "role": "tool", "tool_call_id": "c", "content": "sunny" }));
    let plan = Plan::chat(&body).unwrap();
    assert_eq!(plan.calls().collect::<Vec<_>>(), Vec::<&PlannedCall>::new());
    assert!(chat::whole(&plan, 1).contains("The tool answered: sunny"));
}

#[test]
fn a_deep_schema_is_cut_short() {
    let mut schema = json!({ "type": "string" });
    for _ in 0..100 {
        schema = json!({ "type": "object", "properties": { "a": schema } });
    }
    let arguments = schema::arguments(Some(&schema));
    assert!(arguments.starts_with(r#"{"a":{"a":"#) && arguments.contains("null"), "{arguments}");
    assert_eq!(schema::arguments(None), "{}");
}

#[track_caller]
fn check_end(end: End, expected: &[&str], last: Option<&Step>) {
    let transport = Transport { end, ..Transport::default() };
    let reply = sse::stream(Dialect::OpenAi, ["1", "2"].map(unnamed).into(), &transport);
    let written: Vec<&str> = reply.steps.iter().filter_map(written).collect();
    assert_eq!(written, expected, "{end:?}");
    assert_eq!(reply.steps.last().filter(|step| written_is_none(step)), last, "{end:?}");
}

fn unnamed(data: &str) -> Event {
    Event { name: None, data: data.to_owned() }
}

fn written(step: &Step) -> Option<&str> {
    match step {
        Step::Write(bytes) => std::str::from_utf8(bytes).ok(),
        Step::Wait(_) | Step::Stall | Step::Abort => None,
    }
}

fn written_is_none(step: &Step) -> bool {
    written(step).is_none()
}

#[test]
fn streams_end_as_asked() {
    let [one, two] = ["data: 1\n\n", "data: 2\n\n"];
    check_end(End::Done, &[one, two, "data: [DONE]\n\n"], None);
    check_end(End::NoDone, &[one, two], None);
    check_end(End::Cut(1), &[one], Some(&Step::Abort));
    check_end(End::Cut(0), &[], Some(&Step::Abort));
    check_end(End::Stall(1), &[one], Some(&Step::Stall));
    let transport = Transport { end: End::Error(1), crlf: true, ..Transport::default() };
    let reply = sse::stream(Dialect::OpenAi, ["1", "2"].map(unnamed).into(), &transport);
    assert_eq!(written(&reply.steps[0]), Some("data: 1\r\n\r\n"));
    assert!(written(&reply.steps[1]).unwrap().starts_with(r#"data: {"error":"#));
    assert_eq!(reply.steps.len(), 2);
}

#[test]
fn embeddings_are_the_same_for_the_same_input_in_both_encodings() {
    let ask = |input: Value, encoding: &str| {
        let body = json!({ "model": "e", "input": input, "dimensions": 2, "encoding_format": encoding });
        fixed::embeddings(&body).unwrap()["data"].clone()
    };
    let floats = ask(json!(["a", "b"]), "float");
    assert_eq!(floats.as_array().unwrap().len(), 2);
    assert_ne!(floats[0]["embedding"], floats[1]["embedding"]);
    assert_eq!(floats[0]["embedding"], ask(json!("a"), "float")[0]["embedding"]);
    assert_eq!(ask(json!([1, 2]), "float").as_array().unwrap().len(), 1, "tokens are one input");
    let base64 = ask(json!("a"), "base64")[0]["embedding"].as_str().unwrap().to_owned();
    assert_eq!(base64.len(), 12, "8 bytes in three groups: {base64}");
    assert!(base64.ends_with('='));
}

#[track_caller]
fn check_mcp(body: &Value, pointer: &str, expected: &str) {
    let mcp::Answer::Message { body: answer, .. } = mcp::answer(body.to_string().as_bytes()) else {
        panic!("{body} is not answered");
    };
    assert_eq!(answer.pointer(pointer).unwrap_or(&Value::Null).to_string(), expected, "{answer}");
}

#[test]
fn mcp_lists_and_calls() {
    let ask = |method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
    let call =
        |name: &str, arguments: Value| ask("tools/call", json!({ "name": name, "arguments": arguments }));
    let initialize = |params: Value| ask("initialize", params);
    let version = "/result/protocolVersion";
    check_mcp(&initialize(json!({ "protocolVersion": "2025-06-18" })), version, r#""2025-06-18""#);
    check_mcp(&initialize(json!({})), version, r#""2025-11-25""#);
    check_mcp(&ask("tools/list", json!({})), "/result/tools/1/name", r#""create_ticket""#);
    let weather = call("get_weather", json!({ "city": "Bern" }));
    check_mcp(&weather, "/result/content/0/text", r#""Sunny and 21 degrees in Bern.""#);
    check_mcp(&call("get_weather", json!({})), "/result/isError", "true");
    check_mcp(&call("nope", json!({})), "/error/code", "-32602");
    check_mcp(&ask("nope", json!({})), "/error/code", "-32601");
    let meta = |version: &str| json!({ "_meta": { "io.modelcontextprotocol/protocolVersion": version } });
    check_mcp(&ask("tools/list", meta("2026-07-28")), "/result/cacheScope", r#""private""#);
    check_mcp(&ask("tools/list", meta("2030-01-01")), "/error/data/requested", r#""2030-01-01""#);
    let notification = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    assert_eq!(mcp::answer(notification), mcp::Answer::Accepted);
    assert!(matches!(mcp::answer(b"[]"), mcp::Answer::Message { status: 400, .. }));
}

#[test]
fn requests_are_forgotten_in_order_and_failures_counted() {
    let seen = Seen::default();
    for _ in 0..300 {
        drop(seen.note("GET", "/", Vec::new(), b""));
    }
    let numbers: Vec<u64> = seen.requests().iter().map(|request| request.number).collect();
    assert_eq!((numbers.len(), numbers[0], numbers[255]), (256, 45, 300));
    assert_eq!(seen.requests()[0].outcome, Outcome::ClientGone);
    let fails: Vec<bool> = (0..6).map(|_| seen.still_fails("m", 2)).collect();
    assert_eq!(fails, [true, true, false, true, true, false]);
}
