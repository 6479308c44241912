//! Requests to the real binary: the table of errors, records, limits, upstream failures, reload and drain.

use crate::support::{ACME, Answer, GLOBEX, Gateway, chat, read_answer, run, tools};
use std::io::{Read, Write};

#[track_caller]
fn check(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{answer:?}");
    assert!(answer.header("x-request-id").is_some(), "{answer:?}");
    let retry = answer.header("x-should-retry");
    assert_eq!(retry, (status < 429 && status != 408).then_some("false"), "{answer:?}");
    for member in ["message", "type", "param", "code"] {
        assert!(answer.json()["error"].get(member).is_some(), "{answer:?}");
    }
}

#[test]
fn every_refusal_has_its_row() {
    let gateway = Gateway::start();
    let key = ACME;
    check(&gateway.chat(key, "{"), 400, "invalid_request");
    check(&gateway.chat(key, r#"{"model":"gpt-5","mode\u006c":"x"}"#), 400, "invalid_request");
    check(
        &gateway.chat(key, &format!(r#"{{"model":"gpt-5","x":{}1{}}}"#, "[".repeat(70), "]".repeat(70))),
        400,
        "invalid_request",
    );
    check(&gateway.chat(key, r#"{"model":5}"#), 400, "invalid_request");
    check(&gateway.chat(key, r#"{"model":"gpt-5","messages":[],"stream":"yes"}"#), 400, "invalid_request");
    check(&gateway.chat(key, "{\"model\":\"gpt-5\",\"x\":1e999}"), 400, "invalid_request");
    check(&gateway.chat("unknown", &chat("hi", "")), 401, "invalid_api_key");
    check(
        &gateway.raw("GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"),
        401,
        "invalid_api_key",
    );
    let two = format!(
        "GET /v1/models HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ACME}\r\nx-api-key: {GLOBEX}\r\nconnection: close\r\n\r\n"
    );
    check(&gateway.raw(&two), 401, "invalid_api_key");
    let forced =
        tools(&["delete_x"]) + r#","tool_choice":{"type":"function","function":{"name":"delete_x"}}"#;
    check(&gateway.chat(key, &chat("hi", &forced)), 403, "tool_not_allowed");
    check(&gateway.get("/v1/nothing", key), 404, "not_found");
    check(&gateway.get("/v1/chat/completions", key), 405, "method_not_allowed");
    let type_xml = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nx-api-key: {ACME}\r\ncontent-type: text/xml\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    check(&gateway.raw(&type_xml), 415, "unsupported_media_type");
    let large = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nx-api-key: {ACME}\r\nconnection: close\r\ncontent-length: 99999999\r\n\r\n"
    );
    check(&gateway.raw(&large), 413, "request_too_large");
    check(&gateway.chat(key, &chat("hi", "").replace("gpt-5", "gpt-gone")), 502, "upstream_error");
    // Until the operator gives another credential, no retry helps.
    let refused = gateway.chat(key, &chat("!status 401", ""));
    assert_eq!((refused.status, refused.code().as_str()), (502, "upstream_error"), "{refused:?}");
    assert_eq!(refused.header("x-should-retry"), Some("false"), "{refused:?}");
    check(&gateway.chat(key, &chat("!status 500", "")), 502, "upstream_error");
    check(&gateway.chat(key, &chat("!status 422", "")), 422, "upstream_error");
    check(&gateway.chat(key, &chat("!garbage", r#","stream":false"#)), 502, "upstream_error");
}

#[test]
fn a_hidden_model_is_an_unknown_model() {
    let gateway = Gateway::start();
    let ask = |model: &str| gateway.chat(GLOBEX, &chat("hi", "").replace("gpt-5", model));
    let (hidden, unknown) = (ask("fast"), ask("none"));
    check(&hidden, 404, "model_not_found");
    assert_eq!(hidden.body.replace("fast", "none"), unknown.body);
}

#[test]
fn limits_come_back_and_say_when() {
    let gateway = Gateway::start();
    let first = gateway.get("/v1/models", GLOBEX);
    assert_eq!((first.status, first.header("x-ratelimit-limit-requests")), (200, Some("2")));
    assert_eq!(first.header("x-ratelimit-remaining-requests"), Some("1"));
    assert!(first.header("x-ratelimit-reset-requests").unwrap().ends_with('s'));
    assert_eq!(gateway.get("/v1/models", GLOBEX).status, 200);
    let third = gateway.get("/v1/models", GLOBEX);
    assert_eq!((third.status, third.code().as_str()), (429, "rate_limit_exceeded"));
    assert!(third.header("retry-after").is_some() && third.header("retry-after-ms").is_some(), "{third:?}");
    // Another tenant is not concerned.
    assert_eq!(gateway.get("/v1/models", ACME).status, 200);
}

#[test]
fn what_was_asked_is_recorded_redacted_and_chained() {
    let gateway = Gateway::start();
    let message = "!say Mail jane.doe@example.com\n!call get_weather {\"who\":\"jane.doe@example.com\"}\n!call delete_x {\"card\":\"4111 1111 1111 1111\"}";
    let answer = gateway.chat(ACME, &chat(message, &tools(&["get_weather", "delete_x", "get_shadow"])));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer.body.contains("get_weather") && answer.body.contains("Deletions go through support."),
        "{answer:?}"
    );
    assert!(!answer.body.contains("4111"), "{answer:?}");
    let audit = gateway.lines("audit", "acme", 6);
    let told = |place: &str, tool: &str, mode: &str| {
        let line =
            audit.iter().find(|line| line["place"] == place && line["tool"] == tool && line["mode"] == mode);
        line.unwrap_or_else(|| panic!("no line for {place} {tool} {mode}: {audit:#?}")).clone()
    };
    assert_eq!(told("offered", "delete_x", "enforce")["decision"], "deny");
    assert_eq!(told("offered", "get_weather", "enforce")["decision"], "allow");
    assert_eq!(told("offered", "get_shadow", "shadow")["decision"], "deny");
    let denied = told("emitted", "delete_x", "enforce");
    assert_eq!(
        (&denied["decision"], &denied["reason"]),
        (&"deny".into(), &"Deletions go through support.".into())
    );
    assert!(denied["rule"].as_str().unwrap().starts_with("tollgate.yaml:"), "{denied}");
    assert!(denied["args"]["card"].as_str().unwrap().starts_with("[CREDIT_CARD:"), "{denied}");
    let log = gateway.lines("log", "acme", 1);
    assert!(log[0]["prompt"].as_str().unwrap().contains("[EMAIL_ADDRESS:"), "{}", log[0]);
    assert_eq!(
        (&log[0]["model"], &log[0]["upstream"], &log[0]["status"]),
        (&"gpt-5".into(), &"mock".into(), &200.into())
    );
    assert_eq!(log[0]["tools_denied"], serde_json::json!(["delete_x"]));
    let (status, out, _) = run(&["audit", "verify", "data"], gateway.dir.path(), "");
    assert_eq!(status, 0, "{out}");
    for line in gateway.lines("audit", "acme", 6).iter().chain(&log) {
        assert!(!line.to_string().contains("jane.doe"), "{line}");
    }
}

#[test]
fn content_none_keeps_no_text() {
    let gateway = Gateway::start();
    assert_eq!(gateway.chat(GLOBEX, &chat("my secret question", &tools(&["x"]))).status, 200);
    let log = gateway.lines("log", "globex", 1);
    assert!(log[0].get("prompt").is_none() && log[0].get("completion").is_none(), "{}", log[0]);
    let audit = gateway.lines("audit", "globex", 1);
    assert!(audit[0].get("args").is_none(), "{}", audit[0]);
}

#[test]
fn the_upstream_sees_its_own_credential_and_what_was_decided() {
    let gateway = Gateway::start();
    let body = chat(
        "hi",
        &(tools(&["get_a", "delete_b"]) + r#","seed":123456789012345678901234567890,"temperature":0.70"#),
    );
    assert_eq!(gateway.chat(ACME, &body).status, 200);
    let seen = gateway.seen().to_string();
    assert!(seen.contains("Bearer sk-upstream-secret") && !seen.contains(ACME), "{seen}");
    assert!(seen.contains("get_a") && !seen.contains("delete_b"), "{seen}");
    assert!(seen.contains("123456789012345678901234567890") && seen.contains("0.70"), "{seen}");
}

#[test]
fn an_alias_falls_back_to_the_upstream_that_answers() {
    let gateway = Gateway::start();
    let answer = gateway.chat(ACME, &chat("hi", "").replace("gpt-5", "fast"));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(gateway.seen().to_string().contains("llama"));
}

#[test]
fn a_client_that_leaves_gives_its_place_back() {
    let gateway = Gateway::start();
    let body = chat("!chunks 50\n!delay 100ms", r#","stream":true"#);
    let mut socket = gateway.begin("/v1/chat/completions", GLOBEX, &body);
    socket.read_exact(&mut [0; 64]).unwrap();
    let second = gateway.chat(GLOBEX, &chat("hi", ""));
    assert_eq!((second.status, second.code().as_str()), (429, "rate_limit_exceeded"));
    drop(socket);
    gateway.in_flight(0);
    gateway.wait("the upstream's end", |gateway| gateway.seen().to_string().contains("client_gone"));
    let log = gateway.lines("log", "globex", 2);
    assert!(log.iter().any(|line| line["error"] == "client_gone"), "{log:?}");
}

#[test]
fn a_bad_reload_changes_nothing_and_a_good_one_does() {
    let gateway = Gateway::start();
    let file = gateway.dir.path().join("tollgate.yaml");
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, good.replace("models: [gpt-5]", "modles: [gpt-5]")).unwrap();
    let refused = gateway.reload();
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("modles") && refused.body.contains("models"), "{refused:?}");
    assert_eq!(gateway.admin_get("/readyz").status, 200);
    assert_eq!(gateway.chat(ACME, &chat("hi", "")).status, 200);
    std::fs::write(&file, good.replace("\"gpt-*\", fast", "fast")).unwrap();
    assert_eq!(gateway.reload().status, 200);
    check(&gateway.chat(ACME, &chat("hi", "")), 404, "model_not_found");
}

#[test]
fn a_changed_file_is_reloaded_by_itself() {
    let gateway = Gateway::start();
    let file = gateway.dir.path().join("tollgate.yaml");
    let yaml = std::fs::read_to_string(&file).unwrap().replace("\"gpt-*\", fast", "fast");
    std::fs::write(&file, yaml).unwrap();
    gateway.wait("the reload", |gateway| gateway.chat(ACME, &chat("hi", "")).status == 404);
}

#[test]
fn a_client_that_is_refused_while_it_sends_reads_why() {
    let gateway = Gateway::start();
    let body = "x".repeat(12 << 20);
    let large = gateway.post("/v1/chat/completions", ACME, &body);
    assert_eq!(large.status, 413);
    assert_eq!(gateway.post("/v1/chat/completions", "unknown", &body).status, 401);
    assert_eq!(gateway.post("/v1/nothing", ACME, &body).status, 404);
}

#[test]
fn a_forced_value_reaches_a_tool_that_the_provider_runs() {
    let tenants = crate::support::TENANTS.replace(
        "- allow: [\"get_*\"]",
        "- allow: [\"get_*\"]\n      - allow: builtin__web_search\n        set: { search_context_size: low }",
    );
    let gateway = Gateway::with(&tenants, "");
    let more = r#","web_search_options":{"search_context_size":"high"}"#;
    assert_eq!(gateway.chat(ACME, &chat("hi", more)).status, 200);
    let seen = gateway.seen().to_string();
    assert!(seen.contains("low") && !seen.contains("high"), "{seen}");
}

#[test]
fn a_choice_narrows_to_what_is_allowed() {
    let gateway = Gateway::start();
    let choice = |mode: &str, names: &[&str]| {
        let tool = |name: &&str| format!(r#"{{"type":"function","function":{{"name":"{name}"}}}}"#);
        let names: Vec<String> = names.iter().map(tool).collect();
        let choice = format!(
            r#"{{"type":"allowed_tools","allowed_tools":{{"mode":"{mode}","tools":[{}]}}}}"#,
            names.join(",")
        );
        format!(r#"{},"tool_choice":{choice}"#, tools(&["get_a", "delete_b"]))
    };
    check(&gateway.chat(ACME, &chat("hi", &choice("required", &["delete_b"]))), 403, "tool_not_allowed");
    assert_eq!(gateway.chat(ACME, &chat("hi", &choice("auto", &["get_a", "delete_b"]))).status, 200);
    let seen = gateway.seen().to_string();
    assert!(seen.contains("get_a") && !seen.contains("delete_b"), "{seen}");
}

#[test]
fn an_upstream_s_error_does_not_tell_the_gateway_s_credential() {
    let gateway = Gateway::start();
    let answer = gateway.chat(ACME, &chat("!status 400", ""));
    assert_eq!(answer.status, 400);
    assert!(!answer.body.contains("sk-"), "{answer:?}");
}

#[test]
fn a_connection_that_says_nothing_is_closed_in_time() {
    let gateway = Gateway::start();
    let mut silent = [gateway.connect(), gateway.connect(), gateway.connect()];
    silent[1].write_all(b"P").unwrap();
    silent[2].write_all(b"PRI * HTTP/2.0\r\n").unwrap();
    for socket in &mut silent {
        assert_eq!(socket.read(&mut [0; 16]).unwrap_or(0), 0);
    }
}

#[test]
fn escapes_hide_nothing_from_the_log() {
    let gateway = Gateway::start();
    let result = r#"{"phone":"\u002B14155550123","m":"jane\u0040corp-example.com","t":"call\n+14155550124"}"#;
    assert_eq!(gateway.chat(ACME, &chat(result, "")).status, 200);
    let log = gateway.lines("log", "acme", 1)[0]["prompt"].to_string();
    for raw in ["4155550123", "4155550124", "corp-example"] {
        assert!(!log.contains(raw), "{log}");
    }
}

/// Over either HTTP a head that is too long is told so in words; over HTTP/2, one of up to twice as much as it may be.
#[test]
fn a_head_that_is_too_long_is_told_why() {
    let gateway = Gateway::start();
    let url = format!("http://127.0.0.1:{}/v1/models", gateway.port);
    let curl = |version: &str, bytes: usize| {
        let (key, long) = (format!("x-api-key: {ACME}"), format!("x-long: {}", "x".repeat(bytes)));
        let args = ["-s", version, "-w", "\n%{http_version} %{http_code}", "-H", &key, "-H", &long, &url];
        let output = std::process::Command::new("curl").args(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        for (bytes, status) in [(30 << 10, "200"), (32 << 10, "431"), (60 << 10, "431")] {
            let told = curl(version, bytes);
            assert!(told.ends_with(status), "{version} {bytes}: {told}");
            assert!(status == "200" || told.contains("limits.header"), "{version} {bytes}: {told}");
        }
    }
}

#[test]
fn http_2_with_and_without_tls() {
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let gateway = Gateway::start_with_files(&[
        ("cert.crt", pair.cert.pem().as_str()),
        ("key.key", pair.signing_key.serialize_pem().as_str()),
    ]);
    let body = chat("!chunks 3", r#","stream":true"#);
    let curl = |version: &str, url: &str| {
        let output = std::process::Command::new("curl")
            .args([
                "-s",
                "-k",
                version,
                "-w",
                "%{http_version} %{http_code}",
                "-H",
                &format!("x-api-key: {ACME}"),
            ])
            .args([
                "-H",
                "content-type: application/json",
                "-d",
                &body,
                &format!("{url}/v1/chat/completions"),
            ])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let plain = format!("http://127.0.0.1:{}", gateway.port);
    let secure = format!("https://localhost:{}", gateway.tls);
    for (version, url, told) in [
        ("--http1.1", &plain, "1.1 200"),
        ("--http2-prior-knowledge", &plain, "2 200"),
        ("--http1.1", &secure, "1.1 200"),
        ("--http2", &secure, "2 200"),
    ] {
        let answer = curl(version, url);
        assert!(answer.contains("data: [DONE]") && answer.ends_with(told), "{version} {url} {answer}");
    }
}

#[test]
fn sigterm_lets_streams_end() {
    let mut gateway = Gateway::with(crate::support::TENANTS, "limits: { drain: 10s }\n");
    let body = chat("!chunks 10\n!delay 50ms", r#","stream":true"#);
    let socket = gateway.begin("/v1/chat/completions", ACME, &body);
    gateway.in_flight(1);
    gateway.signal("TERM");
    gateway.wait("the drain", |gateway| gateway.admin_get("/readyz").status == 503);
    let answer = read_answer(socket).unwrap();
    assert!(answer.body.ends_with("data: [DONE]\n\n"), "{answer:?}");
    assert_eq!(gateway.exit_status(), Some(0));
}

#[test]
fn streams_that_outlive_the_drain_end_in_an_error_event() {
    let mut gateway = Gateway::with(crate::support::TENANTS, "limits: { drain: 1s }\n");
    let body = chat("!chunks 100\n!delay 200ms", r#","stream":true"#);
    let socket = gateway.begin("/v1/chat/completions", ACME, &body);
    gateway.in_flight(1);
    gateway.signal("TERM");
    let answer = read_answer(socket).unwrap();
    assert!(
        answer.body.contains(r#""code":"upstream_error""#) && !answer.body.contains("[DONE]"),
        "{answer:?}"
    );
    assert_eq!(gateway.exit_status(), Some(0));
}

#[test]
fn a_second_gateway_on_the_same_data_refuses() {
    let gateway = Gateway::start();
    let file = gateway.dir.path().join("tollgate.yaml");
    let yaml = std::fs::read_to_string(&file).unwrap();
    let other = yaml.replace(&gateway.port.to_string(), "0").replace(&gateway.admin.to_string(), "0");
    std::fs::write(gateway.dir.path().join("other.yaml"), other).unwrap();
    let (status, _, err) = run(&["serve", "--config", "other.yaml"], gateway.dir.path(), "");
    assert_eq!(status, 1);
    assert!(err.contains("in use by another gateway"), "{err}");
}
