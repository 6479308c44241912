//! What the other files of hostile clients and failing surroundings do not hold of the list in `docs/hostile.md`: each test
//! begins with the id that it holds.

use crate::{
    collector::Collector,
    mcp::ask as ask_mcp,
    reload::{swap, two_generations, while_clients_ask},
    support::{ACME, Answer, GLOBEX, Gateway, TENANTS, chat, read_answer, run, tools, with_digests},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::Path,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

/// What an answer says, without what differs from request to request.
fn said(answer: &Answer) -> (u16, String, Vec<String>) {
    let id = answer.header("x-request-id").unwrap_or("none").to_owned();
    let changing = ["date:", "x-request-id:", "request-id:", "x-ratelimit"];
    let headers = answer.headers.lines().filter(|line| !changing.iter().any(|name| line.starts_with(name)));
    (answer.status, answer.body.replace(&id, "ID"), headers.map(ToOwned::to_owned).collect())
}

/// The bodies that the mock upstream was sent.
pub(crate) fn bodies(gateway: &Gateway) -> Vec<String> {
    let seen = gateway.seen();
    seen.as_array().unwrap().iter().map(|request| request["body"].as_str().unwrap().to_owned()).collect()
}

/// All that is written below a directory.
fn written(dir: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            all.extend(written(&entry.path()));
        } else {
            all.push(String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned());
        }
    }
    all
}

#[test]
fn j6_nothing_behind_a_padding_goes_uninspected() {
    let gateway = Gateway::with(TENANTS, "limits: { tool_arguments: 4KiB, body: 64KiB }\n").watched();
    let body = chat(&"x".repeat(60_000), &tools(&["get_a", "delete_x"]));
    assert_eq!(gateway.chat(ACME, &body).status, 200);
    let sent = bodies(&gateway).pop().unwrap();
    assert!(sent.contains("get_a") && !sent.contains("delete_x"), "{}", &sent[60_000..]);
    // What is longer than a body may be is refused, not read in part, wherever the padding stands.
    let before = bodies(&gateway).len();
    let request = chat("x", &tools(&["delete_x"]));
    let spaces = " ".repeat(70_000);
    for body in [
        format!("{spaces}{request}"),
        format!("{request}{spaces}"),
        request.replacen('{', &format!("{{{spaces}"), 1),
        chat(&"x".repeat(70_000), &tools(&["delete_x"])),
    ] {
        assert_eq!(gateway.chat(ACME, &body).status, 413);
    }
    assert_eq!(bodies(&gateway).len(), before);
    // Of a call whose arguments are longer than what is looked at, nothing passes.
    for (length, passes) in [(3000, true), (5000, false), (50_000, false)] {
        for more in ["", r#","stream":true"#] {
            let call = format!("!call get_a {{\"p\":\"{}\"}}", "y".repeat(length));
            let answer = gateway.chat(ACME, &chat(&call, &(tools(&["get_a"]) + more)));
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.body.contains("yyyy"), passes, "{length} {more} {answer:?}");
        }
    }
}

#[test]
fn j8_every_form_of_a_request_is_redacted_and_decided_alike() {
    const SECRET: &str = "jane.j8@example.com";
    let tenants = TENANTS.replace("fast]", "fast, claude]");
    let gateway = Gateway::with(&tenants, "").watched();
    let nested = json!({ "q": json!({ "deep": SECRET }).to_string() }).to_string();
    let forms = [
        (
            "/v1/chat/completions",
            json!({ "model": "gpt-5", "messages": [{ "role": "user", "content": SECRET }] }),
        ),
        (
            "/v1/chat/completions",
            json!({ "model": "gpt-5", "messages": [{ "role": "user", "content": [{ "type": "text", "text": SECRET }, { "type": "text", "text": "x" }] }] }),
        ),
        (
            "/v1/chat/completions",
            json!({ "model": "gpt-5", "messages": [{ "role": "user", "content": "hi" }, { "role": "assistant", "tool_calls": [{ "id": "c", "type": "function", "function": { "name": "get_a", "arguments": nested } }] }, { "role": "tool", "tool_call_id": "c", "content": SECRET }] }),
        ),
        ("/v1/embeddings", json!({ "model": "gpt-5", "input": SECRET })),
        ("/v1/embeddings", json!({ "model": "gpt-5", "input": ["x", SECRET] })),
        ("/v1/responses", json!({ "model": "gpt-5", "input": SECRET })),
        (
            "/v1/responses",
            json!({ "model": "gpt-5", "input": [{ "role": "user", "content": [{ "type": "input_text", "text": SECRET }] }] }),
        ),
        ("/v1/responses", json!({ "model": "gpt-5", "instructions": SECRET, "input": "x" })),
        (
            "/v1/messages",
            json!({ "model": "claude", "max_tokens": 9, "messages": [{ "role": "user", "content": SECRET }] }),
        ),
        (
            "/v1/messages",
            json!({ "model": "claude", "max_tokens": 9, "system": [{ "type": "text", "text": SECRET }], "messages": [{ "role": "user", "content": [{ "type": "text", "text": "x" }] }] }),
        ),
    ];
    for (at, (path, body)) in forms.iter().enumerate() {
        let answer = gateway.post(path, ACME, &body.to_string());
        assert_eq!(answer.status, 200, "{path} {body} {answer:?}");
        let lines = gateway.lines("log", "acme", at + 1);
        assert!(lines[at].to_string().contains("[EMAIL"), "{path} {body}: {}", lines[at]);
    }
    // A list of requests is no way around it: there is none.
    let batch =
        json!({ "input_file_id": "f", "endpoint": "/v1/chat/completions", "completion_window": "24h" });
    assert_eq!(gateway.post("/v1/batches", ACME, &batch.to_string()).status, 404);
    for kind in ["log", "audit"] {
        for text in written(&gateway.dir.path().join("data").join(kind)) {
            assert!(!text.contains(SECRET), "{text}");
        }
    }
    // A tool, in every form in which one is offered.
    let offers = |name: &str| {
        let user = json!([{ "role": "user", "content": "hi" }]);
        [
            (
                "/v1/chat/completions",
                json!({ "model": "gpt-5", "messages": user, "tools": [{ "type": "function", "function": { "name": name } }] }),
            ),
            (
                "/v1/chat/completions",
                json!({ "model": "gpt-5", "messages": user, "functions": [{ "name": name }] }),
            ),
            (
                "/v1/chat/completions",
                json!({ "model": "gpt-5", "messages": user, "tools": [{ "type": "custom", "custom": { "name": name } }] }),
            ),
            (
                "/v1/responses",
                json!({ "model": "gpt-5", "input": "hi", "tools": [{ "type": "function", "name": name }] }),
            ),
            (
                "/v1/messages",
                json!({ "model": "claude", "max_tokens": 9, "messages": user, "tools": [{ "name": name, "input_schema": { "type": "object" } }] }),
            ),
        ]
    };
    for (name, passes) in [("get_a", true), ("delete_x", false)] {
        for (path, body) in offers(name) {
            let answer = gateway.post(path, ACME, &body.to_string());
            assert_eq!(answer.status, 200, "{path} {body} {answer:?}");
            let sent = bodies(&gateway).pop().unwrap();
            assert_eq!(sent.contains(name), passes, "{path} {body}: {sent}");
        }
    }
    gateway.wait("every denial", |gateway| {
        let lines = gateway.lines("audit", "acme", 1);
        lines.iter().filter(|line| line["tool"] == "delete_x" && line["decision"] == "deny").count() == 5
    });
}

#[test]
fn t2_the_host_that_a_client_names_decides_nothing() {
    let gateway =
        Gateway::with(&TENANTS.replace("    limits: { requests: 2/min, concurrency: 1 }\n", ""), "")
            .watched();
    for (credential, status) in [(Some(ACME), 200), (Some(GLOBEX), 200), (Some("unknown"), 401), (None, 401)]
    {
        let mut answers = BTreeSet::new();
        for host in ["localhost", "evil.example", "localhost:99", "127.0.0.1", "globex", "[::1]"] {
            for target in ["/v1/models".to_owned(), format!("http://{host}/v1/models")] {
                let shown =
                    credential.map_or(String::new(), |key| format!("authorization: Bearer {key}\r\n"));
                let answer = gateway.raw(&format!(
                    "GET {target} HTTP/1.1\r\nhost: {host}\r\n{shown}connection: close\r\n\r\n"
                ));
                answers.insert(said(&answer));
            }
        }
        assert_eq!(answers.len(), 1, "{credential:?}: {answers:?}");
        assert_eq!(answers.first().unwrap().0, status, "{answers:?}");
    }
    assert_ne!(gateway.get("/v1/models", ACME).body, gateway.get("/v1/models", GLOBEX).body);
}

#[test]
fn t5_what_is_not_allowed_cannot_be_told_from_what_is_not_there() {
    let tenants = "\n  acme:\n    keys: [{ id: prod, sha256: @ACME@ }]\n    models: [gpt-5]\n";
    let gateway = Gateway::with(tenants, "  secret-model: { upstream: mock }\n").watched();
    let [hidden, unknown] = ["secret-model", "absent-model"].map(|model| {
        let user = json!([{ "role": "user", "content": "x" }]);
        let mut answers: Vec<Answer> = [
            ("/v1/chat/completions", json!({ "model": model, "messages": user })),
            ("/v1/messages", json!({ "model": model, "max_tokens": 5, "messages": user })),
            ("/v1/responses", json!({ "model": model, "input": "x" })),
            ("/v1/embeddings", json!({ "model": model, "input": "x" })),
        ]
        .iter()
        .map(|(path, body)| gateway.post(path, ACME, &body.to_string()))
        .collect();
        answers.push(gateway.get(&format!("/v1/models/{model}"), ACME));
        let without = |answer: &Answer| {
            let (status, body, headers) = said(answer);
            assert_eq!(status, 404, "{answer:?}");
            (body.replace(model, "MODEL"), headers)
        };
        answers.iter().map(without).collect::<Vec<_>>()
    });
    assert_eq!(hidden, unknown);
    assert!(bodies(&gateway).is_empty());
    assert!(!gateway.get("/v1/models", ACME).body.contains("secret-model"));
}

#[test]
fn t8_what_one_request_says_of_its_trace_is_of_no_other() {
    let collector = Collector::start();
    let mut gateway =
        Gateway::with(TENANTS, &format!("telemetry: {{ otlp: \"http://127.0.0.1:{}\" }}\n", collector.port))
            .watched();
    let socket = gateway.connect();
    let mut expected = BTreeMap::new();
    for n in 0..20 {
        let trace = format!("{:032x}", 0x00a0_0001 + n);
        // Every other one says nothing, on the same connection.
        let headers = if n % 2 == 0 {
            format!(
                "traceparent: 00-{trace}-b7ad6b7169203331-01\r\ntracestate: a=leak{n}\r\nbaggage: b=leak{n}\r\n"
            )
        } else {
            String::new()
        };
        let body = chat("hi", "");
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ACME}\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        (&socket).write_all(request.as_bytes()).unwrap();
        let answer = read_answer(socket.try_clone().unwrap()).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let id = answer.header("x-request-id").unwrap().to_owned();
        expected.insert(id, (n % 2 == 0).then_some(trace));
    }
    // The upstream is told of the same trace, by a span of the gateway's, and of nothing else.
    let seen = gateway.seen();
    let mut sent = BTreeSet::new();
    for (n, request) in seen.as_array().unwrap().iter().enumerate() {
        let header = |name: &str| {
            let mut headers = request["headers"].as_array().unwrap().iter();
            headers.find(|header| header[0] == name).map(|header| header[1].as_str().unwrap().to_owned())
        };
        assert_eq!((header("tracestate"), header("baggage")), (None, None), "{request}");
        let parent = header("traceparent").unwrap();
        assert!(!parent.contains("b7ad6b7169203331"), "{parent}");
        let trace = parent.split('-').nth(1).unwrap().to_owned();
        assert_eq!(trace.starts_with("00000000"), n % 2 == 0, "{n}: {parent}");
        assert!(sent.insert(trace), "{n}: {parent}");
    }
    assert_eq!(sent.len(), 20);
    drop(socket);
    gateway.stop();
    let spans = collector.spans();
    let mut traces = BTreeSet::new();
    for (id, given) in &expected {
        let server = spans.iter().find(|span| span.kind == 2 && span.attributes["request_id"] == id.as_str());
        let server = server.unwrap();
        match given {
            Some(trace) => assert_eq!(server.trace, *trace),
            None => assert_eq!(server.parent.trim_matches('0'), "", "{server:?}"),
        }
        assert!(traces.insert(&server.trace), "a trace for two requests: {server:?}");
    }
    assert!(!format!("{spans:?}").contains("leak"));
}

#[test]
fn t10_mcp_runs_no_command_and_its_sessions_are_their_owners() {
    let tenants = "
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    tools: [{ allow: \"crm__*\" }]
  globex:
    keys: [{ id: prod, sha256: @GLOBEX@ }]
    tools: [{ allow: \"crm__*\" }]
";
    let gateway = Gateway::with_mock(tenants, |mock| {
        format!(
            "  crm: {{ kind: mcp, url: \"http://127.0.0.1:{mock}/mcp\", auth: {{ bearer: sk-mcp-secret }} }}\n"
        )
    }).watched();
    let pwned = gateway.dir.path().join("pwned");
    let initialize = |more: Value| {
        let mut params = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
        ask_mcp(&gateway, "/mcp", ACME, "", &body.to_string())
    };
    // Sessions: 128 bits each, of which no two are alike and no half repeats or counts up.
    let ids: Vec<String> =
        (0..40).map(|_| initialize(json!({})).header("mcp-session-id").unwrap().to_owned()).collect();
    for id in &ids {
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }
    for half in [0..16, 16..32] {
        let mut halves: Vec<u64> =
            ids.iter().map(|id| u64::from_str_radix(&id[half.clone()], 16).unwrap()).collect();
        halves.sort_unstable();
        assert!(halves.windows(2).all(|two| two[1] - two[0] > 1 << 16), "{ids:?}");
    }
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let of = |key: &str, more: &str| {
        ask_mcp(&gateway, "/mcp", key, &format!("mcp-session-id: {}\r\n{more}", ids[0]), ping)
    };
    assert_eq!(of(ACME, "").status, 200);
    assert_eq!(of(GLOBEX, "").status, 404);
    assert_eq!(of("unknown", "").status, 401);
    assert_eq!(of(ACME, "origin: https://evil.example\r\n").status, 403);
    let deleted = gateway.raw(&format!("DELETE /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {GLOBEX}\r\nmcp-session-id: {}\r\nconnection: close\r\n\r\n", ids[0]));
    assert_eq!(deleted.status, 404);
    assert_eq!(of(ACME, "").status, 200);
    // A command in a body is a member like any other: nothing is run.
    let command = json!({ "command": "touch", "args": [pwned], "transport": "stdio" });
    assert_eq!(initialize(command.clone()).status, 200);
    initialize(
        json!({ "_meta": command, "clientInfo": { "name": "t", "version": "1", "command": "touch" } }),
    );
    let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": { "name": "crm__get_weather", "arguments": { "city": "Bern" } } });
    let called =
        ask_mcp(&gateway, "/mcp", ACME, &format!("mcp-session-id: {}\r\n", ids[0]), &call.to_string());
    assert!(called.status == 200 && called.body.contains("in Bern"), "{called:?}");
    std::thread::sleep(Duration::from_millis(300));
    assert!(!pwned.exists());
    // Upstream goes the gateway's credential, and neither a client's nor its session.
    let seen = gateway.seen().to_string();
    assert!(seen.contains("sk-mcp-secret"), "{seen}");
    assert!(!seen.contains(ACME) && !seen.contains(GLOBEX), "{seen}");
    assert!(ids.iter().all(|id| !seen.contains(id.as_str())), "{seen}");
}

#[test]
fn o1_ten_reloads_a_second_of_which_a_third_is_broken_fail_no_request() {
    const RELOADS: u32 = 45;
    let gateway = two_generations();
    let tenants = gateway.dir.path().join("tenants");
    fs::create_dir(tenants.join("..3")).unwrap();
    for name in ["acme.yaml", "globex.yaml"] {
        let good = fs::read_to_string(tenants.join("..1").join(name)).unwrap();
        fs::write(tenants.join("..3").join(name), with_digests(&good) + "nonsense: [\n").unwrap();
    }
    let seen = while_clients_ask(
        &gateway,
        || (),
        |_| {
            let started = Instant::now();
            for round in 0..RELOADS {
                let (generation, status) = [("..2", 200), ("..3", 422), ("..1", 200)][(round % 3) as usize];
                swap(&tenants, generation);
                assert_eq!(gateway.reload().status, status, "{generation}");
                let due = Duration::from_millis(100) * (round + 1);
                std::thread::sleep(due.saturating_sub(started.elapsed()));
            }
            assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
        },
    );
    let [olds, news] = [seen.olds, seen.news].map(|count| count.load(Ordering::Relaxed));
    assert!(olds >= 20 && news >= 20, "{olds} of the old one, {news} of the new one");
}

/// The disk is full as far as the gateway can tell: no file of it can grow. That needs no rights, and leaves nothing behind.
#[test]
fn o4_records_that_cannot_be_written_stop_requests_or_are_counted_and_come_back() {
    for (on_failure, fails) in [("fail", true), ("drop", false)] {
        let mut gateway =
            Gateway::with(TENANTS, &format!("records: {{ on_failure: {on_failure} }}\n")).watched();
        gateway.stop();
        gateway.start_again_without_signals_of_files();
        let ask = |gateway: &Gateway| gateway.chat(ACME, &chat("hi", &tools(&["get_x", "delete_x"])));
        assert_eq!(ask(&gateway).status, 200);
        gateway.lines("audit", "acme", 2);
        assert!(gateway.limit("--fsize=1:unlimited"));
        let answers: Vec<Answer> = (0..30)
            .map(|_| {
                std::thread::sleep(Duration::from_millis(30));
                ask(&gateway)
            })
            .collect();
        let refused = answers.iter().filter(|answer| answer.status == 503).count();
        if fails {
            assert!(refused >= 15, "{refused} of 30 are refused");
            let last = answers.last().unwrap();
            assert_eq!((last.status, last.code().as_str()), (503, "records_unavailable"), "{last:?}");
        } else {
            assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
        }
        let count = |gateway: &Gateway, name: &str| {
            let metrics = gateway.admin_get("/metrics").body;
            let values = metrics.lines().filter_map(|line| line.strip_prefix(name)?.rsplit(' ').next());
            values.map(|value| value.parse::<usize>().unwrap()).sum::<usize>()
        };
        for path in ["/v1/models", "/v1/models/gpt-5", "/v1/usage"] {
            assert_eq!(gateway.get(path, ACME).status, if fails { 503 } else { 200 }, "{on_failure} {path}");
        }
        assert!(count(&gateway, "tollgate_record_write_failures_total") > 0, "{on_failure}");
        assert_eq!(count(&gateway, "tollgate_records_writable"), 0, "{on_failure}");
        // It comes back by itself.
        assert!(gateway.limit("--fsize=unlimited:unlimited"));
        gateway.wait("its end", |gateway| {
            count(gateway, "tollgate_records_writable") == 1 && ask(gateway).status == 200
        });
        // Each that was served is on record or counted as what is not; and the chain is in order either way.
        let served = 2 + answers.iter().filter(|answer| answer.status == 200).count();
        gateway.wait("the records", |gateway| {
            let dropped = count(gateway, "tollgate_dropped_records_total");
            gateway.lines("log", "acme", 1).len() + dropped >= served
        });
        assert!(fails || count(&gateway, "tollgate_dropped_records_total") > 0);
        gateway.stop();
        let (status, out, err) = run(&["audit", "verify", "data"], gateway.dir.path(), "");
        assert_eq!(status, 0, "{on_failure}: {out}{err}");
    }
}

#[test]
fn o12_what_clients_write_forges_no_line() {
    let bad = "a\r\nFORGED{\"time\":1}\u{1b}[31m\u{2028}\u{2029}\u{202e}\u{85}\0\u{7f}z";
    let gateway = Gateway::start().watched();
    let asked = [
        json!({ "model": format!("gpt-5{bad}"), "messages": [] }),
        json!({ "model": "gpt-5", "messages": [{ "role": "user", "content": bad }], "tools": [{ "type": "function", "function": { "name": format!("delete_{bad}") } }] }),
        json!({ "model": "gpt-5", "user": bad, "metadata": { bad: bad }, "messages": [{ "role": "user", "content": format!("!call delete_x {}", json!({ bad: bad })) }], "tools": [{ "type": "function", "function": { "name": "delete_x" } }] }),
    ];
    for body in &asked {
        gateway.chat(ACME, &body.to_string());
    }
    gateway.get("/v1/models/x%0d%0aFORGED%1b", ACME);
    gateway.post("/mcp", ACME, &json!({ "jsonrpc": "2.0", "id": bad, "method": bad }).to_string());
    gateway.lines("log", "acme", 2);
    gateway.lines("audit", "acme", 2);
    let mut texts: Vec<String> = ["log", "audit"]
        .iter()
        .flat_map(|kind| written(&gateway.dir.path().join("data").join(kind)))
        .collect();
    assert!(texts.iter().any(|text| text.contains("FORGED")), "it is on record: {texts:?}");
    for line in texts.iter().flat_map(|text| text.lines()).filter(|line| !line.is_empty()) {
        assert!(line.starts_with('{') && serde_json::from_str::<Value>(line).is_ok(), "{line:?}");
    }
    let metrics = gateway.admin_get("/metrics").body;
    assert!(!metrics.contains("FORGED"), "{metrics}");
    let usage = || run(&["usage", "--config", "tollgate.yaml"], gateway.dir.path(), "").1;
    gateway.wait("what was used", |_| usage().contains("FORGED"));
    texts.extend([gateway.stderr(), metrics, usage()]);
    for text in texts {
        let raw: Vec<char> =
            text.chars().filter(|c| "\r\u{1b}\0\u{7f}\u{85}\u{2028}\u{2029}\u{202e}".contains(*c)).collect();
        assert!(raw.is_empty(), "{raw:?} in {text:?}");
    }
}
