//! `redact.wire` on the real binary: what the upstream received, byte by byte, and what the client got back.

use crate::support::{ACME, Answer, GLOBEX, Gateway};
use serde_json::{Value, json};

const EMAIL: &str = "jane.roe@example.com";
const CARD: &str = "4111 1111 1111 1111";
const TENANTS: &str = r#"
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    models: ["*"]
    tools:
      - allow: get_mail
        args: { to: { like: "*@example.com" } }
      - allow: get_other
      - ask: refund
        within: 60s
    redact: { wire: mask }
  globex:
    keys: [{ id: prod, sha256: @GLOBEX@ }]
    models: ["*"]
    redact: { wire: block }
"#;

/// What the mock is told to say: everything in it is what it was sent.
fn script() -> String {
    format!(
        "!reasoning think of {EMAIL}\n!say write to {EMAIL} today, [EMAIL_ADDRESS:abcdefghijklmnop] and [1]\n!call get_mail {{\"to\":\"{EMAIL}\",\"cc\":[\"{CARD}\"]}}\n!chunks 60\n!arg-chunk 3"
    )
}

/// Each API, a model, and a request of this text.
fn requests(text: &str) -> Vec<(&'static str, Value)> {
    let text = Value::from(text);
    let chat = json!({ "model": "gpt-5", "messages": [{ "role": "user", "content": text }], "tools": [{ "type": "function", "function": { "name": "get_mail" } }] });
    let messages = json!({ "model": "claude", "max_tokens": 500, "messages": [{ "role": "user", "content": [{ "type": "text", "text": text }] }], "tools": [{ "name": "get_mail", "input_schema": { "type": "object" } }] });
    let responses = json!({ "model": "gpt-5", "input": [{ "role": "user", "content": [{ "type": "input_text", "text": text }] }], "tools": [{ "type": "function", "name": "get_mail", "parameters": {} }] });
    let with = |body: &Value, model: &str| {
        let mut body = body.clone();
        body["model"] = model.into();
        body
    };
    vec![
        ("/v1/chat/completions", with(&chat, "claude")),
        ("/v1/messages", with(&messages, "gpt-5")),
        ("/v1/responses", with(&responses, "claude")),
        ("/v1/chat/completions", chat),
        ("/v1/messages", messages),
        ("/v1/responses", responses),
    ]
}

fn sent(gateway: &Gateway) -> Vec<String> {
    let seen = gateway.seen();
    let requests = seen.as_array().or_else(|| seen["requests"].as_array()).unwrap();
    requests.iter().map(|request| request["body"].as_str().unwrap().to_owned()).collect()
}

fn holds_value(text: &str) -> bool {
    ["jane.roe", "4111 1111", "4111111111111111"].into_iter().any(|value| text.contains(value))
}

/// Texts, reasoning and arguments of an answer, streamed or not, each joined.
fn said(answer: &Answer) -> [String; 3] {
    let mut said = [const { String::new() }; 3];
    let mut add = |at: usize, value: &Value| said[at].push_str(value.as_str().unwrap_or_default());
    let streamed = answer
        .body
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    for event in streamed {
        let delta = if event["choices"][0]["delta"].is_object() {
            &event["choices"][0]["delta"]
        } else {
            &event["delta"]
        };
        match event["type"].as_str().unwrap_or_default() {
            "response.output_text.delta" => add(0, delta),
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => add(1, delta),
            "response.function_call_arguments.delta" => add(2, delta),
            kind if kind.starts_with("response.") => {}
            _ => {
                add(0, &delta["content"]);
                add(0, &delta["text"]);
                add(1, &delta["reasoning_content"]);
                add(1, &delta["thinking"]);
                add(2, &delta["tool_calls"][0]["function"]["arguments"]);
                add(2, &delta["partial_json"]);
            }
        }
    }
    let Ok(whole) = serde_json::from_str::<Value>(&answer.body) else { return said };
    let message = &whole["choices"][0]["message"];
    add(0, &message["content"]);
    add(1, &message["reasoning_content"]);
    add(2, &message["tool_calls"][0]["function"]["arguments"]);
    for item in whole["output"].as_array().into_iter().chain(whole["content"].as_array()).flatten() {
        add(0, &item["text"]);
        add(0, &item["content"][0]["text"]);
        add(1, &item["thinking"]);
        add(1, &item["summary"][0]["text"]);
        add(2, &item["arguments"]);
        if item["input"].is_object() {
            add(2, &item["input"].to_string().into());
        }
    }
    said
}

#[test]
fn what_is_masked_upstream_is_restored_in_every_dialect_and_its_streams() {
    let gateway = Gateway::with(TENANTS, "");
    for stream in [false, true] {
        for (path, mut body) in requests(&script()) {
            body["stream"] = stream.into();
            let answer = gateway.post(path, ACME, &body.to_string());
            let what = format!("{path} {} {stream}: {answer:?}", body["model"]);
            assert_eq!(answer.status, 200, "{what}");
            let [text, reasoning, args] = said(&answer);
            assert!(
                text.contains(&format!("write to {EMAIL} today, [EMAIL_ADDRESS:abcdefghijklmnop] and [1]")),
                "{what}"
            );
            assert!(reasoning.is_empty() || reasoning == format!("think of {EMAIL}"), "{what}");
            assert!(!reasoning.is_empty() || answer.body.matches("think of").count() == 0, "{what}");
            let args: Value = serde_json::from_str(&args).unwrap_or_else(|_| panic!("{what}"));
            assert_eq!(args, json!({ "to": EMAIL, "cc": [CARD] }), "{what}");
            let own = sent(&gateway).pop().unwrap();
            assert!(!holds_value(&own) && own.contains("[EMAIL_ADDRESS:"), "{own}");
        }
    }
    let lines = gateway.lines("log", "acme", 12);
    assert!(lines.iter().all(|line| !holds_value(&line.to_string())), "{lines:?}");
    assert!(
        lines.iter().all(|line| line["completion"].as_str().unwrap().contains("write to [EMAIL_ADDRESS:"))
    );
    let audit = gateway.lines("audit", "acme", 12);
    assert!(audit.iter().all(|line| !holds_value(&line.to_string())));
    let emitted =
        audit.iter().filter(|line| line["place"] == "emitted" && line["decision"] == "allow").count();
    assert_eq!(emitted, 12, "rules saw the values: {audit:?}");
}

#[test]
fn everything_that_goes_to_a_provider_is_masked() {
    let gateway = Gateway::with(TENANTS, "");
    for (path, body) in [
        ("/v1/completions", json!({ "model": "gpt-5", "prompt": [format!("!say to {EMAIL}")] })),
        ("/v1/embeddings", json!({ "model": "gpt-5", "input": [EMAIL, "x"] })),
        ("/v1/moderations", json!({ "model": "gpt-5", "input": EMAIL })),
        (
            "/v1/messages/count_tokens",
            json!({ "model": "claude", "messages": [{ "role": "user", "content": EMAIL }] }),
        ),
        (
            "/v1/messages",
            json!({ "model": "claude", "max_tokens": 9, "messages": [{ "role": "user", "content": "hi" }, { "role": "assistant", "content": [{ "type": "tool_use", "id": "toolu_1", "name": "get_mail", "input": { "to": EMAIL } }] }, { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "toolu_1", "content": format!("sent to {EMAIL}") }] }] }),
        ),
    ] {
        let before = sent(&gateway).len();
        let answer = gateway.post(path, ACME, &body.to_string());
        assert_eq!(answer.status, 200, "{path} {answer:?}");
        assert!(!answer.body.contains("[EMAIL_ADDRESS:"), "{answer:?}");
        let sent = sent(&gateway);
        assert!(
            sent.len() > before
                && sent[before..].iter().all(|body| !holds_value(body) && body.contains("[EMAIL_ADDRESS:")),
            "{path} {sent:?}"
        );
    }
}

#[test]
fn a_placeholder_of_another_request_is_not_restored() {
    let gateway = Gateway::with(TENANTS, "");
    let say = |text: &str| {
        let body =
            json!({ "model": "gpt-5", "messages": [{ "role": "user", "content": format!("!say {text}") }] });
        gateway.chat(ACME, &body.to_string()).json()["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(say(EMAIL), EMAIL);
    let masked: Value = serde_json::from_str(&sent(&gateway).pop().unwrap()).unwrap();
    let placeholder =
        masked["messages"][0]["content"].as_str().unwrap().trim_start_matches("!say ").to_owned();
    assert!(placeholder.starts_with("[EMAIL_ADDRESS:"));
    for text in [
        placeholder.clone(),
        format!("{placeholder} and john@example.org"),
        format!("{} john@example.org", placeholder.split_at(20).0),
    ] {
        assert_eq!(say(&text), text);
    }
}

#[test]
fn what_is_blocked_is_told_in_the_dialects_words_and_recorded() {
    let gateway = Gateway::with(TENANTS, "");
    let before = sent(&gateway).len();
    let requests = requests(&format!("write to {EMAIL}, card {CARD}"));
    for (path, body) in &requests {
        let answer = gateway.post(path, GLOBEX, &body.to_string());
        assert_eq!((answer.status, answer.header("x-should-retry")), (400, Some("false")), "{answer:?}");
        let error = answer.json()["error"].clone();
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("CREDIT_CARD, EMAIL_ADDRESS") && !holds_value(&answer.body), "{message}");
        assert!(
            message.contains("messages[0].content") || message.contains("input[0].content[0].text"),
            "{message}"
        );
        if *path == "/v1/messages" {
            assert_eq!(answer.json()["type"], "error");
        } else {
            assert_eq!(error["code"], "content_blocked");
        }
    }
    assert_eq!(sent(&gateway).len(), before, "nothing left");
    let lines = gateway.lines("log", "globex", requests.len());
    for line in &lines {
        assert_eq!((&line["error"], &line["status"]), (&"content_blocked".into(), &400.into()), "{line}");
        assert!(
            line["prompt"].as_str().unwrap().contains("[EMAIL_ADDRESS:") && !holds_value(&line.to_string())
        );
    }
    let clean = gateway.chat(GLOBEX, r#"{"model":"gpt-5","messages":[{"role":"user","content":"hello"}]}"#);
    assert_eq!(clean.status, 200);
}

/// A password is told by the words before it: where it stands without them, in what a model answers, calls and waits for, records
/// and the person who is asked see a placeholder all the same.
#[test]
fn what_was_masked_stands_in_no_record() {
    const VALUE: &str = "Zebra!4711";
    let gateway = Gateway::with(TENANTS, "");
    let text = format!(
        "the password is {VALUE}\nso {VALUE} it is\n!reasoning think of {VALUE}\n!say ok {VALUE}\n!call get_other {{\"note\":\"about {VALUE}\",\"to\":[\"{VALUE}\"]}}"
    );
    let mut count = 0;
    for (path, mut body) in requests(&text) {
        for stream in [false, true] {
            body["stream"] = stream.into();
            let answer = gateway.post(path, ACME, &body.to_string());
            let [words, _, args] = said(&answer);
            assert!(words.contains(VALUE) && args.contains(VALUE), "{path} {stream}: {answer:?}");
            count += 1;
        }
    }
    let refund = format!("the password is {VALUE}\n!call refund {{\"note\":\"{VALUE}\"}}");
    let (path, mut body) = requests(&refund).remove(3);
    body["stream"] = false.into();
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| gateway.post(path, ACME, &body.to_string()));
        gateway.wait("a call that waits", |gateway| {
            gateway.admin_get("/admin/approvals").body.contains("refund")
        });
        let waits = gateway.admin_get("/admin/approvals");
        assert!(waits.body.contains("[PASSWORD:") && !waits.body.contains("Zebra"), "{waits:?}");
        let id = waits.json()[0]["id"].as_str().unwrap().to_owned();
        gateway.admin_post(&format!("/admin/approvals/{id}"), r#"{"approve":true,"by":"ada"}"#);
        let [_, _, args] = said(&answer.join().unwrap());
        assert!(args.contains(VALUE), "{args}");
    });
    for (kind, least) in [("log", count + 1), ("audit", count + 2)] {
        let lines = gateway.lines(kind, "acme", least);
        for line in &lines {
            assert!(!line.to_string().contains("Zebra"), "{line}");
        }
        let told = |member: &str| {
            lines.iter().filter(|line| line[member].to_string().contains("[PASSWORD:")).count()
        };
        let members: &[&str] = if kind == "log" { &["prompt", "completion"] } else { &["args"] };
        for member in members {
            assert!(told(member) >= count, "{member}: {lines:?}");
        }
    }
}
