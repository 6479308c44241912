//! How streams end that break off late: where every word is there, and only the end is missing.

use crate::{
    before::{NO_RETRY, before, behind},
    fault::Upstream,
    support::{ACME, Answer, Gateway},
};
use serde_json::{Value, json};
use std::{
    io::Write,
    sync::{Arc, Mutex},
};

/// How a stream's body ends: as its framing says, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Clean,
    Cut,
}

/// An upstream that says what it is told to say.
struct Script {
    upstream: Upstream,
    says: Arc<Mutex<(String, Option<End>)>>,
}

impl Script {
    fn new() -> Self {
        let says: Arc<Mutex<(String, Option<End>)>> = Arc::default();
        let said = Arc::clone(&says);
        let upstream = Upstream::acting(move |_, socket| {
            let (body, end) = said.lock().unwrap().clone();
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            let end = if end == Some(End::Clean) { "0\r\n\r\n" } else { "" };
            let all = format!("{head}{:x}\r\n{body}\r\n{end}", body.len());
            socket.write_all(all.as_bytes()).is_ok() && !end.is_empty()
        });
        Self { upstream, says }
    }

    fn says(&self, events: &[String], end: End) {
        *self.says.lock().unwrap() = (events.concat(), Some(end));
    }
}

fn chunk(index: u64, delta: &Value, finish: Option<&str>) -> String {
    let choice = json!({ "index": index, "delta": delta, "finish_reason": finish });
    let chunk = json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice] });
    format!("data: {chunk}\n\n")
}

fn said(index: u64, text: &str) -> String {
    chunk(index, &json!({ "role": "assistant", "content": text }), None)
}

fn stops(index: u64) -> String {
    chunk(index, &json!({}), Some("stop"))
}

fn usage(output: u64) -> String {
    let usage = json!({ "prompt_tokens": 11, "completion_tokens": output, "total_tokens": 11 + output });
    let chunk = json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": usage });
    format!("data: {chunk}\n\n")
}

/// Text that is taken for 100 tokens, where nobody counts.
fn long() -> String {
    "four".repeat(100)
}

fn messages(stop: Option<&str>) -> Vec<String> {
    let event = |kind: &str, mut data: Value| {
        data["type"] = kind.into();
        format!("event: {kind}\ndata: {data}\n\n")
    };
    let message = json!({ "id": "m", "type": "message", "role": "assistant", "model": "m", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": { "input_tokens": 11, "output_tokens": 1 } });
    let delta = json!({ "stop_reason": stop, "stop_sequence": null });
    vec![
        event("message_start", json!({ "message": message })),
        event("content_block_start", json!({ "index": 0, "content_block": { "type": "text", "text": "" } })),
        event(
            "content_block_delta",
            json!({ "index": 0, "delta": { "type": "text_delta", "text": long() } }),
        ),
        event("content_block_stop", json!({ "index": 0 })),
        event("message_delta", json!({ "delta": delta, "usage": { "output_tokens": 50 } })),
    ]
}

const DONE: &str = "data: [DONE]\n\n";

fn ask(gateway: &Gateway, path: &str, model: &str, more: &Value) -> Answer {
    let mut body = json!({ "model": model, "stream": true, "max_tokens": 500 });
    match path {
        "/v1/completions" => body["prompt"] = "hi".into(),
        _ => body["messages"] = json!([{ "role": "user", "content": "hi" }]),
    }
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    if path == "/v1/messages" {
        gateway.messages(path, ACME, &body.to_string())
    } else {
        gateway.post(path, ACME, &body.to_string())
    }
}

fn broke_off(told: &Answer) -> bool {
    assert_eq!(told.status, 200, "{told:?}");
    told.body.contains("broke off") || told.body.contains("upstream_error")
}

/// Without `[DONE]`, a stream is complete once every choice that was asked for is.
#[test]
fn a_choice_that_never_began_is_missed() {
    let script = Script::new();
    let gateway = before(&[("chat", &script.upstream, NO_RETRY)], "");
    let check = |path: &str, more: Value, events: &[String], is_cut: bool| {
        script.says(events, End::Clean);
        let told = ask(&gateway, path, "chat", &more);
        assert_eq!(broke_off(&told), is_cut, "{path} {more} {told:?}");
    };
    let one = [said(0, "a"), stops(0)];
    let two = [said(0, "a"), said(1, "b"), stops(1), stops(0)];
    let done = [said(0, "a"), stops(0), DONE.to_owned()];
    let (chat, completions) = ("/v1/chat/completions", "/v1/completions");
    check(chat, json!({}), &one, false);
    check(chat, json!({ "n": null }), &one, false);
    check(chat, json!({ "n": 2 }), &one, true);
    check(chat, json!({ "n": 2 }), &two[..3], true);
    check(chat, json!({ "n": 2 }), &two, false);
    check(chat, json!({ "n": 3 }), &two, true);
    check(chat, json!({ "n": 2 }), &done, false);
    // Of completions, each prompt has choices of its own.
    check(completions, json!({ "prompt": [1, 2, 3] }), &one, false);
    check(completions, json!({ "prompt": ["a", "b"] }), &one, true);
    check(completions, json!({ "prompt": [[1], [2]] }), &one, true);
    check(completions, json!({ "prompt": ["a", "b"] }), &two, false);
    check(completions, json!({ "prompt": ["a", "b"], "n": 2 }), &two, true);
}

/// What a provider said in the end was used is what is metered, though the stream broke off behind it; what it said before
/// that is less than what was used, perhaps.
#[test]
fn usage_that_was_told_in_the_end_stands_though_the_stream_breaks_off() {
    let (chat, anthropic) = (Script::new(), Script::new());
    let port = anthropic.upstream.port;
    let yaml = chat.upstream.yaml("chat", NO_RETRY)
        + &format!("  claudes: {{ kind: anthropic, url: \"http://127.0.0.1:{port}/v1\"{NO_RETRY} }}\n");
    let counted = vec![said(0, &long()), stops(0), usage(50)];
    let so_far = vec![said(0, ""), usage(50), said(0, &long()), stops(0)];
    let unfinished = vec![said(0, &long()), usage(50)];
    let cases = [
        ("chat", &chat, counted, (50, false)),
        ("chat", &chat, so_far, (100, true)),
        ("chat", &chat, unfinished, (100, true)),
        ("claudes", &anthropic, messages(Some("end_turn")), (50, false)),
        ("claudes", &anthropic, messages(None), (100, true)),
    ];
    for (model, script, events, expected) in cases {
        // Streams that are cut open circuits.
        let gateway = behind(&yaml, &["chat", "claudes"], "");
        let mut asked = 0;
        for path in ["/v1/chat/completions", "/v1/messages"] {
            script.says(&events, End::Cut);
            let told = ask(&gateway, path, model, &json!({}));
            assert!(broke_off(&told), "{path} {model} {told:?}");
            asked += 1;
            let line = gateway.lines("log", "acme", asked).pop().unwrap();
            let is_estimated = line["usage_estimated"] == true;
            let metered = (line["output_tokens"].as_u64().unwrap(), is_estimated);
            assert_eq!((metered, &line["input_tokens"]), (expected, &json!(11)), "{path} {model} {line}");
        }
    }
}

/// A client of another dialect reads no end that the upstream's stream did not have.
#[test]
fn a_stream_that_breaks_off_behind_its_last_word_does_not_end_well() {
    let script = Script::new();
    let gateway = before(&[("chat", &script.upstream, NO_RETRY)], "");
    let told = [said(0, "a"), stops(0), usage(1)];
    let done = [told.concat(), DONE.to_owned()];
    let mut asked = 0;
    for (events, end, is_cut) in [
        (&told[..], End::Cut, true),
        (&told[..2], End::Cut, true),
        (&told[..], End::Clean, false),
        (&told[..2], End::Clean, false),
        (&done[..], End::Clean, false),
        (&done[..], End::Cut, false),
    ] {
        for (path, last) in [("/v1/messages", "message_stop"), ("/v1/chat/completions", "[DONE]")] {
            script.says(events, end);
            let told = ask(&gateway, path, "chat", &json!({}));
            let name = format!("{path} {events:?} {end:?} {told:?}");
            assert_eq!(broke_off(&told), is_cut, "{name}");
            // What is not there is made up for no client of the upstream's own dialect.
            let has_last =
                !is_cut && (path == "/v1/messages" || events.len() == done.len() && events[1] == DONE);
            assert_eq!(told.body.contains(last), has_last, "{name}");
            asked += 1;
            let line = gateway.lines("log", "acme", asked).pop().unwrap();
            assert_eq!(line["error"].is_null(), !is_cut, "{name} {line}");
        }
    }
}
