//! Results of calls that were denied though the rules let them through, results in places that are none, and answers in
//! a form that nobody asked for: on the real binary, in every dialect.

use crate::{
    fault::{Upstream, whole},
    support::{ACME, Answer, GLOBEX, Gateway, chat, read_answer},
};
use serde_json::{Value, json};
use std::{io::Write, net::TcpStream, thread};

const TENANTS: &str = r#"
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    models: ["*"]
    tools:
      - allow: ["get_*"]
      - allow: rare
        limit: 1/day
      - ask: refund
  globex:
    keys: [{ id: prod, sha256: @GLOBEX@ }]
    models: ["*"]
    tools: [{ allow: "*" }]
"#;
const PATHS: [&str; 3] = ["/v1/chat/completions", "/v1/messages", "/v1/responses"];
const STREAMED: [&str; 2] = ["", r#","stream":true"#];

/// A request whose user says this.
fn says(path: &str, text: &str, more: &str) -> String {
    let said = Value::from(text);
    match path {
        "/v1/responses" => format!(r#"{{"model":"gpt-5","input":{said}{more}}}"#),
        "/v1/messages" => {
            format!(
                r#"{{"model":"claude","max_tokens":9,"messages":[{{"role":"user","content":{said}}}]{more}}}"#
            )
        }
        _ => chat(text, more),
    }
}

/// A request that brings the result of a call.
pub(crate) fn brings(path: &str, (id, tool, args): (&str, &str, &str)) -> String {
    let parsed: Value = serde_json::from_str(args).unwrap();
    let body = match path {
        "/v1/responses" => json!({ "model": "gpt-5", "input": [
            { "type": "message", "role": "user", "content": "go on" },
            { "type": "function_call", "call_id": id, "name": tool, "arguments": args },
            { "type": "function_call_output", "call_id": id, "output": "done" },
        ] }),
        "/v1/messages" => json!({ "model": "claude", "max_tokens": 9, "messages": [
            { "role": "user", "content": "go on" },
            { "role": "assistant", "content": [{ "type": "tool_use", "id": id, "name": tool, "input": parsed }] },
            { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": id, "content": "done" }] },
        ] }),
        _ => json!({ "model": "gpt-5", "messages": [
            { "role": "user", "content": "go on" },
            { "role": "assistant", "tool_calls": [
                { "id": id, "type": "function", "function": { "name": tool, "arguments": args } },
            ] },
            { "role": "tool", "tool_call_id": id, "content": "done" },
        ] }),
    };
    body.to_string()
}

/// The id of the call that a model makes of a message: the mock makes the same each time.
fn id_of(gateway: &Gateway, path: &str, text: &str) -> String {
    let body = says(path, text, "");
    let mut socket = TcpStream::connect(("127.0.0.1", gateway.mock)).unwrap();
    write!(
        socket,
        "POST {path} HTTP/1.1\r\nhost: mock\r\nauthorization: Bearer x\r\nx-api-key: x\r\nanthropic-version: 2023-06-01\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let answer = read_answer(socket).unwrap().json();
    let id = match path {
        "/v1/responses" => &answer["output"][0]["call_id"],
        "/v1/messages" => &answer["content"][0]["id"],
        _ => &answer["choices"][0]["message"]["tool_calls"][0]["id"],
    };
    assert!(id.is_string(), "{answer}");
    id.as_str().unwrap().to_owned()
}

#[track_caller]
fn refused(answer: &Answer) {
    assert!(answer.status == 403 && answer.body.contains("was denied; go on without it"), "{answer:?}");
}

#[track_caller]
fn served(answer: &Answer) {
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn a_result_of_a_call_beyond_a_limit_is_refused_and_one_of_a_call_that_left_is_not() {
    let gateway = Gateway::with(TENANTS, "");
    let first = r#"{"n":0}"#;
    let left = id_of(&gateway, PATHS[0], &format!("!call rare {first}"));
    let answer = gateway.post(PATHS[0], ACME, &says(PATHS[0], &format!("!call rare {first}"), ""));
    assert!(answer.body.contains(&left), "{answer:?}");
    let mut number = 0;
    for path in PATHS {
        for more in STREAMED {
            number += 1;
            let args = format!(r#"{{"n":{number}}}"#);
            let text = format!("!call rare {args}");
            let id = id_of(&gateway, path, &text);
            let bring = |id: &str, args: &str| gateway.post(path, ACME, &brings(path, (id, "rare", args)));
            // One that was let in before is of a call that left before.
            served(&bring("of before", &args));
            let answer = gateway.post(path, ACME, &says(path, &text, more));
            assert!(answer.body.contains("its limit of"), "{path}{more}: {answer:?}");
            served(&bring("of before", &args));
            for id in [id.as_str(), "made up"] {
                refused(&bring(id, &args));
                refused(&bring(id, &format!(r#"{{ "n" : {number}.0 }}"#)));
            }
            served(&bring("made up", r#"{"n":1000}"#));
            served(&bring(&left, first));
            served(&bring("of another conversation", first));
            let foreign = gateway.post(path, GLOBEX, &brings(path, (&id, "rare", &args)));
            served(&foreign);
        }
    }
}

/// What was denied stays denied, and what left stays good, when the gateway is started again or is killed.
#[test]
fn what_became_of_calls_is_known_after_a_restart() {
    let mut gateway = Gateway::with(TENANTS, "");
    let left = id_of(&gateway, PATHS[0], r#"!call rare {"n":0}"#);
    let answer = gateway.post(PATHS[0], ACME, &says(PATHS[0], r#"!call rare {"n":0}"#, ""));
    assert!(answer.body.contains(&left), "{answer:?}");
    let denied: Vec<(&str, String, String)> = PATHS
        .into_iter()
        .zip(1..)
        .map(|(path, number)| {
            let args = format!(r#"{{"n":{number}}}"#);
            let text = format!("!call rare {args}");
            let id = id_of(&gateway, path, &text);
            let answer = gateway.post(path, ACME, &says(path, &text, ""));
            assert!(answer.body.contains("its limit of"), "{answer:?}");
            (path, id, args)
        })
        .collect();
    for kill in [false, true] {
        if kill {
            // What was answered is on the disk so much later (docs/dialects.md).
            thread::sleep(std::time::Duration::from_secs(1));
            gateway.signal("KILL");
            gateway.exit_status();
            gateway.start_again();
        } else {
            gateway.restart();
        }
        for (path, id, args) in &denied {
            let bring = |id: &str, args: &str| gateway.post(path, ACME, &brings(path, (id, "rare", args)));
            refused(&bring(id, args));
            refused(&bring("made up", args));
            served(&bring(&left, r#"{"n":0}"#));
            served(&gateway.post(path, GLOBEX, &brings(path, (id, "rare", args))));
        }
    }
}

/// What is asked for, and decided by a person: the id of the call.
pub(crate) fn asked(gateway: &Gateway, (path, more): (&str, &str), args: &str, approve: bool) -> String {
    let text = format!("!call refund {args}");
    let id = id_of(gateway, path, &text);
    let answer = thread::scope(|scope| {
        let answer = scope.spawn(|| gateway.post(path, ACME, &says(path, &text, more)));
        gateway.wait("a call that waits", |gateway| {
            gateway.admin_get("/admin/approvals").json().as_array().unwrap().len() == 1
        });
        let waits = gateway.admin_get("/admin/approvals").json();
        let decision = json!({ "approve": approve, "by": "ada" }).to_string();
        let decide = format!("/admin/approvals/{}", waits[0]["id"].as_str().unwrap());
        assert_eq!(gateway.admin_post(&decide, &decision).status, 200);
        answer.join().unwrap()
    });
    assert_eq!(answer.body.contains(&id), approve, "{path}{more}: {answer:?}");
    id
}

#[test]
fn a_result_of_a_call_that_a_person_denied_is_refused() {
    let gateway = Gateway::with(TENANTS, "");
    let mut number = 0;
    for path in PATHS {
        for more in STREAMED {
            number += 2;
            let (no, yes) = (format!(r#"{{"n":{number}}}"#), format!(r#"{{"n":{}}}"#, number + 1));
            let bring = |id: &str, args: &str| gateway.post(path, ACME, &brings(path, (id, "refund", args)));
            let denied = asked(&gateway, (path, more), &no, false);
            refused(&bring(&denied, &no));
            refused(&bring("made up", &no));
            let approved = asked(&gateway, (path, more), &yes, true);
            served(&bring(&approved, &yes));
        }
    }
    gateway.wait("the refusals on record", |gateway| {
        let lines = gateway.lines("audit", "acme", 1);
        let refused = lines.iter().filter(|line| {
            let reason = line["reason"].as_str().unwrap_or_default();
            line["decision"] == "deny" && reason.contains("brings a result for a call that was denied")
        });
        refused.count() == 12
    });
}

#[test]
fn an_agent_that_asks_again_and_is_let_through_brings_its_result() {
    let gateway = Gateway::with(TENANTS, "");
    let file = gateway.dir.path().join("tollgate.yaml");
    let strict = std::fs::read_to_string(&file).unwrap();
    for path in PATHS {
        for more in STREAMED {
            std::fs::write(&file, &strict).unwrap();
            assert_eq!(gateway.reload().status, 200);
            let args = format!("{{\"v\":\"{path} {}\"}}", more.len());
            let text = |words: &str| format!("{words}\n!call rare {args}");
            let bring = |id: &str| gateway.post(path, ACME, &brings(path, (id, "rare", &args)));
            // The first takes what there is of the limit.
            gateway.post(path, ACME, &says(path, "!call rare {\"v\":0}", more));
            let answer = gateway.post(path, ACME, &says(path, &text("please"), more));
            assert!(answer.body.contains("its limit of"), "{path}{more}: {answer:?}");
            let denied = id_of(&gateway, path, &text("please"));
            refused(&bring(&denied));
            std::fs::write(&file, strict.replace("limit: 1/day", "limit: 100000/s")).unwrap();
            assert_eq!(gateway.reload().status, 200);
            let again = id_of(&gateway, path, &text("now"));
            gateway.wait("another call", |gateway| {
                gateway.post(path, ACME, &says(path, &text("now"), more)).body.contains(&again)
            });
            served(&bring(&again));
            refused(&bring(&denied));
        }
    }
}

/// A history whose call has arguments as they stand here, character for character.
fn brings_as_it_stands(path: &str, id: &str, args: &str) -> String {
    let body = brings(path, (id, "rare", r#"{"in":"its place"}"#));
    let (stands, args) = match path {
        // Arguments that are JSON of the body itself.
        "/v1/messages" => (r#"{"in":"its place"}"#.to_owned(), args.to_owned()),
        _ => (Value::from(r#"{"in":"its place"}"#).to_string(), Value::from(args).to_string()),
    };
    assert!(body.contains(&stands), "{body}");
    body.replace(&stands, &args)
}

/// One reader takes the first of two keys, another the last: both are what a denied call said, and neither is known.
#[test]
fn a_result_of_a_call_whose_arguments_cannot_be_read_is_refused_unless_it_left() {
    let gateway = Gateway::with(TENANTS, "");
    for path in PATHS {
        // Messages has them in the body, where a key that stands twice is no JSON.
        let twice = if path == PATHS[1] { r#"{"n":1,"N":1}"# } else { r#"{"n":1,"n":1}"# };
        let mut unreadable = vec![twice];
        if path != PATHS[1] {
            unreadable.extend([r#"{"n":1"#, "n = 1", r#"{"n":1,"N":1}"#]);
        }
        for args in unreadable {
            let bring = |id: &str| gateway.post(path, ACME, &brings_as_it_stands(path, id, args));
            // Nothing was ever denied, and afterwards something was.
            for _ in 0..2 {
                let answer = bring("made up");
                assert!(answer.status == 403 && answer.body.contains("cannot be read"), "{path}: {answer:?}");
                assert_eq!(gateway.post(path, ACME, &says(path, "!call rare {\"n\":1}", "")).status, 200);
                assert_eq!(gateway.post(path, ACME, &says(path, "!call rare {\"n\":1}", "")).status, 200);
            }
            // A tool without a limit and nobody to ask: it could not be denied.
            let free = brings_as_it_stands(path, "made up", args).replace("rare", "get_a");
            served(&gateway.post(path, ACME, &free));
            served(&gateway.post(path, GLOBEX, &brings_as_it_stands(path, "made up", args)));
        }
    }
}

/// A result that names a tool and no call says nothing of what was asked for.
#[test]
fn a_result_by_name_alone_is_refused_where_a_limit_or_a_person_could_deny_the_call() {
    let gateway = Gateway::with(TENANTS, "");
    let by_name = |tool: &str, called: bool| {
        let call = json!({ "role": "assistant", "content": null, "function_call": { "name": tool, "arguments": "{}" } });
        let result = json!({ "role": "function", "name": tool, "content": "done" });
        let mut messages = vec![json!({ "role": "user", "content": "go on" })];
        messages.extend(called.then_some(call));
        messages.push(result);
        json!({ "model": "gpt-5", "messages": messages }).to_string()
    };
    for tool in ["rare", "refund"] {
        let answer = gateway.post(PATHS[0], ACME, &by_name(tool, false));
        assert!(answer.status == 403 && answer.body.contains("does not stand in it"), "{answer:?}");
        served(&gateway.post(PATHS[0], ACME, &by_name(tool, true)));
    }
    for called in [false, true] {
        served(&gateway.post(PATHS[0], ACME, &by_name("get_a", called)));
        served(&gateway.post(PATHS[0], GLOBEX, &by_name("rare", called)));
    }
}

#[test]
fn a_call_that_left_with_arguments_that_cannot_be_read_brings_its_result() {
    let gateway = Gateway::with(&TENANTS.replace("limit: 1/day", "limit: 1000/day"), "");
    for path in PATHS {
        for more in STREAMED {
            let args = if path == PATHS[1] { r#"{"n":1,"N":1}"# } else { r#"{"n":1,"n":1}"# };
            let text = format!("!call rare {args}");
            let id = id_of(&gateway, path, &text);
            let answer = gateway.post(path, ACME, &says(path, &text, more));
            // Messages has no such calls: what is no JSON object never leaves.
            let left = path != PATHS[1];
            assert_eq!(answer.body.contains(&id), left, "{path}{more}: {answer:?}");
            let brought = gateway.post(path, ACME, &brings_as_it_stands(path, &id, args));
            assert_eq!(brought.status, if left { 200 } else { 403 }, "{path}{more}: {brought:?}");
            let other = gateway.post(path, ACME, &brings_as_it_stands(path, "made up", args));
            assert!(other.status == 403 && other.body.contains("cannot be read"), "{path}: {other:?}");
        }
    }
}

#[test]
fn a_result_in_a_place_that_is_none_is_refused() {
    let gateway = Gateway::with(TENANTS, "");
    let result = json!({ "type": "tool_result", "tool_use_id": "a", "content": "done" });
    let output = json!({ "type": "function_call_output", "call_id": "a", "output": "done" });
    let message = |role: &str, content: Value| json!({ "messages": [{ "role": role, "content": content }] });
    let document = |content: Value| {
        message("user", json!([{ "type": "document", "source": { "type": "content", "content": content } }]))
    };
    let mut cases = Vec::new();
    for hidden in [
        &result,
        &output,
        &json!({ "TYPE": "Tool_Result", "content": "x" }),
        &json!({ "type": "text", "text": "x", "tool_use_id": "a" }),
    ] {
        let list = json!([hidden]);
        cases.push((PATHS[1], "messages", document(list.clone())));
        cases.push((
            PATHS[1],
            "messages",
            message(
                "user",
                json!([{ "type": "search_result", "source": "s", "title": "t", "content": list }]),
            ),
        ));
        cases.push((
            PATHS[1],
            "messages",
            message("user", json!([{ "type": "tool_result", "tool_use_id": "b", "content": list }])),
        ));
        let mut with_system = message("user", json!("hi"));
        with_system["system"] = list.clone();
        cases.push((PATHS[1], "system", with_system));
        for role in ["user", "assistant", "system", "developer"] {
            cases.push((PATHS[0], "messages", message(role, list.clone())));
        }
        cases.push((
            PATHS[0],
            "messages",
            message("user", json!([{ "type": "text", "text": "x", "more": list }])),
        ));
        let item = |role: &str, content: &Value| json!({ "input": [{ "type": "message", "role": role, "content": content }] });
        for role in ["user", "assistant"] {
            cases.push((
                PATHS[2],
                "input",
                item(role, &json!([{ "type": "input_text", "text": "x", "more": list }])),
            ));
        }
        cases.push((
            PATHS[2],
            "input",
            json!({ "input": [{ "type": "function_call_output", "call_id": "b", "output": list }] }),
        ));
    }
    cases.push((PATHS[0], "tool_results", json!({ "messages": [], "tool_results": [{ "call": "a" }] })));
    for (path, place, mut body) in cases {
        body["model"] = if path == PATHS[1] { "claude".into() } else { "gpt-5".into() };
        body["max_tokens"] = 9.into();
        if path == PATHS[2] {
            body.as_object_mut().unwrap().remove("max_tokens");
        }
        let answer = gateway.post(path, ACME, &body.to_string());
        assert!(
            answer.status == 400 && answer.body.contains(&format!("`{place}`")),
            "{path} {body}: {answer:?}"
        );
    }
    assert_eq!(gateway.seen().as_array().map(Vec::len), Some(0), "nothing of it was sent");
}

/// An answer with a call, in each dialect's form: whole, and as a stream.
fn calling(path: &str) -> (String, String) {
    let call = json!({ "id": "a", "type": "function", "function": { "name": "get_x", "arguments": "{}" } });
    match path {
        "/v1/responses" => {
            let item = json!({ "id": "f", "type": "function_call", "call_id": "a", "name": "get_x", "arguments": "{}", "status": "completed" });
            let whole =
                json!({ "id": "resp_1", "object": "response", "status": "completed", "output": [item] });
            (
                whole.to_string(),
                format!(
                    "event: response.completed\ndata: {}\n\n",
                    json!({ "type": "response.completed", "response": whole })
                ),
            )
        }
        "/v1/messages" => {
            let block = json!({ "type": "tool_use", "id": "a", "name": "get_x", "input": {} });
            let whole = json!({ "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [block], "stop_reason": "tool_use", "usage": { "input_tokens": 1, "output_tokens": 1 } });
            let started = json!({ "type": "message_start", "message": { "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": { "input_tokens": 1, "output_tokens": 1 } } });
            let events = [
                started,
                json!({ "type": "content_block_start", "index": 0, "content_block": block }),
                json!({ "type": "content_block_stop", "index": 0 }),
                json!({ "type": "message_stop" }),
            ];
            let events =
                events.map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()));
            (whole.to_string(), events.concat())
        }
        _ => {
            let whole = json!({ "id": "c", "object": "chat.completion", "choices": [{ "index": 0, "message": { "role": "assistant", "tool_calls": [call] }, "finish_reason": "tool_calls" }] });
            let mut delta = call;
            delta["index"] = 0.into();
            let chunk = json!({ "id": "c", "object": "chat.completion.chunk", "choices": [{ "index": 0, "delta": { "tool_calls": [delta] }, "finish_reason": "tool_calls" }] });
            (whole.to_string(), format!("data: {chunk}\n\ndata: [DONE]\n\n"))
        }
    }
}

#[test]
fn an_answer_in_a_form_that_nobody_asked_for_is_none() {
    for path in PATHS {
        let (answer, events) = calling(path);
        let streams = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{events}",
            events.len()
        );
        let answers = [whole(200, &answer), streams];
        // As asked for, and the other way.
        for (crossed, status) in [(false, 200), (true, 502)] {
            let answers = answers.clone();
            let upstream = Upstream::reading(move |text, socket| {
                let streams = text.contains(r#""stream":true"#) != crossed;
                socket.write_all(answers[usize::from(streams)].as_bytes()).is_ok()
            });
            let kind = if path == PATHS[1] { "anthropic" } else { "openai" };
            let yaml = upstream.yaml("made", ", retry: { attempts: 0 }").replace("openai", kind);
            let gateway = Gateway::with_all(TENANTS, &|_| yaml.clone(), "  made: { upstream: made }\n", &[]);
            for more in STREAMED {
                let body = says(path, "hi", more).replace("gpt-5", "made").replace("claude", "made");
                let answer = gateway.post(path, ACME, &body);
                assert_eq!(answer.status, status, "{path}{more} {crossed}: {answer:?}");
                assert_eq!(answer.body.contains("get_x"), !crossed, "{path}{more} {crossed}: {answer:?}");
                if crossed {
                    let kind = if path == PATHS[1] { "api_error" } else { "upstream_error" };
                    assert!(answer.body.contains(kind) && answer.body.contains("asked for"), "{answer:?}");
                }
            }
        }
    }
}
