//! Tokens, money and the ledger on the real binary: what is held, what is settled, what is told, what stays.

use crate::{
    before::before,
    fault::{Upstream, answer, stream, whole},
    support::{ACME, Answer, GLOBEX, Gateway, chat, read_answer, run},
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Write},
    thread,
    time::Duration,
};

/// acme has no limits but these.
fn with(limits: &str) -> Gateway {
    Gateway::with(
        &format!(
            "\n  acme:\n    keys: [{{ id: prod, sha256: @ACME@ }}, {{ id: other, sha256: @GLOBEX@ }}]\n    models: [\"gpt-*\", claude]\n    tools: [{{ deny: \"delete_*\", reason: no }}, {{ allow: \"*\" }}]\n{limits}"
        ),
        "",
    )
}

#[track_caller]
fn check(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{answer:?}");
}

#[track_caller]
fn number(answer: &Answer, header: &str) -> u64 {
    answer.header(header).and_then(|found| found.parse().ok()).unwrap_or_else(|| {
        assert_eq!(answer.header(header), None, "no number in {header}");
        assert!(answer.header(header).is_some(), "no {header}: {answer:?}");
        0
    })
}

fn usage(gateway: &Gateway, more: &[&str]) -> Vec<Value> {
    let args = [&["usage", "--config", "tollgate.yaml", "--format", "json"], more].concat();
    let (status, out, err) = run(&args, gateway.dir.path(), "");
    assert_eq!(status, 0, "{err}");
    serde_json::from_str(&out).unwrap()
}

#[test]
fn tokens_are_held_settled_and_told_and_who_waits_gets_through() {
    let gateway = with("    limits: { tokens: 600/min, output_estimate: 100 }\n");
    let first = gateway.chat(ACME, &chat("!say hi\n!usage 100 50", ""));
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!(number(&first, "x-ratelimit-limit-tokens"), 600);
    // What the answer may use is held while its head is sent.
    let remaining = number(&first, "x-ratelimit-remaining-tokens");
    assert!((400..=500).contains(&remaining), "{remaining}");
    assert!(first.header("x-ratelimit-reset-tokens").unwrap().ends_with('s'));
    // 150 of 600 are used; 10 come back a second.
    let second = gateway.get("/v1/models", ACME);
    assert!((450..=480).contains(&number(&second, "x-ratelimit-remaining-tokens")), "{second:?}");
    // An overrun is a debt.
    assert_eq!(gateway.chat(ACME, &chat("!usage 400 80", "")).status, 200);
    let third = gateway.chat(ACME, &chat("hi", ""));
    check(&third, 429, "rate_limit_exceeded");
    assert!(
        third.header("x-should-retry").is_none()
            && third.json()["error"]["message"].as_str().unwrap().contains("tokens")
    );
    let (seconds, millis) = (number(&third, "retry-after"), number(&third, "retry-after-ms"));
    assert!(seconds * 1000 >= millis && millis > 0 && millis < 5000, "{third:?}");
    thread::sleep(Duration::from_millis(millis));
    assert_eq!(gateway.chat(ACME, &chat("!usage 1 1", "")).status, 200);
    let metrics = gateway.admin_get("/metrics").body;
    assert!(
        metrics.contains("tollgate_limit_rejections_total{tenant=\"acme\",limit=\"tokens\"} 1"),
        "{metrics}"
    );
}

#[test]
fn openais_models_are_held_for_the_tokens_of_their_vocabulary_and_others_for_their_bytes() {
    let gateway = with("    limits: { tokens: 1000000/day, output_estimate: 1 }\n");
    let held = |answer: &Answer| 1_000_000 - number(answer, "x-ratelimit-remaining-tokens");
    // Three for the message and three for the answer, one for its role; the text stands twenty times.
    let text = "hello world ".repeat(20);
    let answer = gateway.chat(ACME, &chat(text.trim(), r#","max_tokens":1"#));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!((47..=49).contains(&held(&answer)), "{answer:?}");
    let spent = held(&gateway.get("/v1/models", ACME));
    let body = format!(
        r#"{{"model":"claude","max_tokens":1,"messages":[{{"role":"user","content":"{}"}}]}}"#,
        text.trim()
    );
    let answer = gateway.messages("/v1/messages", ACME, &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    let remaining = 1_000_000 - number(&answer, "anthropic-ratelimit-tokens-remaining");
    let estimate = u64::try_from(body.len()).unwrap().div_ceil(4) + 1;
    assert!((estimate - 20..=estimate).contains(&(remaining - spent)), "{estimate}: {answer:?}");
}

#[test]
fn anthropics_clients_are_told_in_its_words() {
    let gateway = with("    limits: { tokens: 600/min }\n");
    let body = r#"{"model":"claude","max_tokens":50,"messages":[{"role":"user","content":"!usage 700 1"}]}"#;
    let first = gateway.messages("/v1/messages", ACME, body);
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!(number(&first, "anthropic-ratelimit-tokens-limit"), 600);
    assert!(first.header("anthropic-ratelimit-tokens-reset").unwrap().ends_with('Z'));
    let second = gateway.messages("/v1/messages", ACME, body);
    assert_eq!((second.status, second.json()["error"]["type"].as_str()), (429, Some("rate_limit_error")));
    assert!(number(&second, "retry-after-ms") > 10_000);
}

#[test]
fn a_model_has_limits_of_its_own() {
    let gateway =
        with("    model_limits: { gpt-5: { requests: 2/hour }, \"gpt-*\": { tokens: 1000/hour } }\n");
    for _ in 0..2 {
        assert_eq!(gateway.chat(ACME, &chat("!usage 1 1", "")).status, 200);
    }
    check(&gateway.chat(ACME, &chat("hi", "")), 429, "rate_limit_exceeded");
    let body = r#"{"model":"claude","max_tokens":50,"messages":[{"role":"user","content":"!usage 2000 1"}]}"#;
    for _ in 0..3 {
        assert_eq!(gateway.messages("/v1/messages", ACME, body).status, 200);
    }
}

#[test]
fn who_runs_into_two_limits_waits_for_the_longer() {
    let gateway = with(
        "    limits: { tokens: 60000/hour, output_estimate: 1 }\n    model_limits: { gpt-5: { tokens: 600/hour }, \"gpt-*\": { tokens: 6000/hour } }\n",
    );
    // 500 beyond the one limit, which is 50 minutes; beyond the others nothing.
    assert_eq!(gateway.chat(ACME, &chat("!usage 1000 100", "")).status, 200);
    let refused = gateway.chat(ACME, &chat("hi", ""));
    check(&refused, 429, "rate_limit_exceeded");
    assert!((2900..3100).contains(&number(&refused, "retry-after")), "{refused:?}");
    // 7,000 beyond the tenant's, which is seven minutes.
    assert_eq!(
        gateway
            .messages(
                "/v1/messages",
                ACME,
                r#"{"model":"claude","max_tokens":5,"messages":[{"role":"user","content":"!usage 66000 1"}]}"#
            )
            .status,
        200
    );
    let refused = gateway.chat(ACME, &chat("hi", ""));
    assert!((2900..3100).contains(&number(&refused, "retry-after")), "{refused:?}");
}

#[test]
fn a_batch_of_prompts_is_held_as_so_many_answers() {
    let gateway = with("    limits: { tokens: 1000000/day }\n");
    let body = r#"{"model":"gpt-5","prompt":["hi","ho","hu"],"max_tokens":1000,"n":2}"#;
    let answer = gateway.post("/v1/completions", ACME, body);
    assert_eq!(answer.status, 200, "{answer:?}");
    let held = 1_000_000 - number(&answer, "x-ratelimit-remaining-tokens");
    assert!((6003..6010).contains(&held), "{held}");
}

#[test]
fn a_key_has_limits_within_its_tenants() {
    let gateway = Gateway::with(
        "\n  acme:\n    keys: [{ id: batch, sha256: @ACME@, limits: { tokens: 1000/hour, requests: 4/hour } }, { id: prod, sha256: @GLOBEX@ }]\n    models: [gpt-5]\n    limits: { requests: 100/hour, tokens: 5000/hour }\n",
        "",
    );
    let first = gateway.chat(ACME, &chat("!usage 1100 1", ""));
    assert_eq!((first.status, first.header("x-ratelimit-limit-requests")), (200, Some("4")));
    let second = gateway.chat(ACME, &chat("hi", ""));
    check(&second, 429, "rate_limit_exceeded");
    assert!(number(&second, "retry-after") > 300, "{second:?}");
    assert_eq!(number(&second, "x-ratelimit-remaining-tokens"), 0);
    // The other key is not concerned, and both count for the tenant.
    let other = gateway.chat(GLOBEX, &chat("!usage 1 1", r#","max_tokens":100"#));
    assert_eq!((other.status, other.header("x-ratelimit-limit-requests")), (200, Some("100")));
    assert!((3700..3899).contains(&number(&other, "x-ratelimit-remaining-tokens")), "{other:?}");
    // A reload keeps what is used.
    let file = gateway.dir.path().join("tollgate.yaml");
    let yaml = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, yaml.replace("tokens: 1000/hour", "tokens: 1050/hour")).unwrap();
    assert_eq!(gateway.reload().status, 200);
    check(&gateway.chat(ACME, &chat("hi", "")), 429, "rate_limit_exceeded");
    std::fs::write(&file, yaml.replace("tokens: 1000/hour", "tokens: 3000/hour")).unwrap();
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(gateway.chat(ACME, &chat("!usage 1 1", "")).status, 200);
}

// gpt-5 costs one dollar a million tokens in, ten out.
#[test]
fn a_spent_budget_is_told_and_survives_a_restart() {
    let mut gateway = with("    budget: 0.0002 USD/month\n    warn: 50%\n");
    let first = gateway.chat(ACME, &chat("!usage 100 5", ""));
    assert_eq!((first.status, first.header("x-tollgate-budget-used")), (200, None));
    let second = gateway.chat(ACME, &chat("!usage 40 1", ""));
    assert_eq!(second.header("x-tollgate-budget-used"), Some("75% of 0.0002 USD/month"), "{second:?}");
    let third = gateway.chat(ACME, &chat("!usage 10 0", ""));
    check(&third, 429, "insufficient_quota");
    assert_eq!(third.header("x-should-retry"), Some("false"));
    assert!(third.header("retry-after").is_none(), "{third:?}");
    // Killed, not stopped: what was acknowledged is on disk.
    thread::sleep(Duration::from_millis(100));
    gateway.signal("KILL");
    gateway.exit_status();
    gateway.start_again();
    check(&gateway.chat(GLOBEX, &chat("!usage 10 0", "")), 429, "insufficient_quota");
    // Looking is free.
    let told = gateway.get("/v1/usage", ACME);
    assert_eq!(told.status, 200, "{told:?}");
    let told = told.json();
    assert_eq!(told["budgets"][0]["spent_usd"], json!(0.0002));
    assert_eq!(told["budgets"][0]["budget"], "0.0002 USD/month");
    let row = &told["data"].as_array().unwrap().iter().find(|row| row["key"] == "prod").unwrap().clone();
    let expected = json!({
        "tenant": "acme", "key": "prod", "model": "gpt-5", "tool": null, "requests": 3, "input_tokens": 140,
        "output_tokens": 6, "cost_usd": 0.0002, "denied": 1
    });
    assert_eq!(*row, expected);
    // A larger budget goes on from what was spent.
    let file = gateway.dir.path().join("tollgate.yaml");
    let yaml = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, yaml.replace("0.0002 USD/month", "0.00021 USD/day")).unwrap();
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(gateway.chat(ACME, &chat("!usage 10 0", "")).status, 200);
    check(&gateway.chat(ACME, &chat("hi", "")), 429, "insufficient_quota");
}

#[test]
fn a_burst_exceeds_a_budget_by_one_request_at_most() {
    let gateway = with("    budget: 0.001 USD/day\n");
    // Each may cost 0.0005 dollars and a little more.
    let body = chat("!slow-head 500ms\n!usage 20 50", r#","max_tokens":50"#);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let tasks: Vec<_> = (0..20).map(|_| scope.spawn(|| gateway.chat(ACME, &body).status)).collect();
        tasks.into_iter().map(|task| task.join().unwrap()).collect()
    });
    let admitted = statuses.iter().filter(|status| **status == 200).count();
    assert!((1..=3).contains(&admitted), "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
    let read = |gateway: &Gateway| usage(gateway, &["--tenant", "acme"]);
    // The last ones may be on their way to the disk still.
    gateway.wait("all of them in the ledger", |gateway| read(gateway)[0]["requests"] == json!(20));
    let rows = read(&gateway);
    assert!(rows[0]["cost_usd"].as_f64().unwrap() <= 0.0016, "{rows:?}");
    assert_eq!((&rows[0]["requests"], &rows[0]["denied"]), (&json!(20), &json!(20 - admitted)));
}

#[test]
fn a_failed_call_gives_back_and_a_cut_stream_pays_for_what_was_seen() {
    let gateway = with("    limits: { tokens: 1000/hour, output_estimate: 500 }\n");
    for _ in 0..4 {
        check(&gateway.chat(ACME, &chat("!status 500", "")), 502, "upstream_error");
    }
    let left = number(&gateway.get("/v1/models", ACME), "x-ratelimit-remaining-tokens");
    assert_eq!(left, 1000);
    // The client leaves a stream that stalls.
    let body = chat("!big 1\n!stall 40", r#","stream":true"#);
    let mut socket = BufReader::new(gateway.begin("/v1/chat/completions", ACME, &body));
    let mut line = String::new();
    while !line.contains("data:") {
        line.clear();
        socket.read_line(&mut line).unwrap();
    }
    let left = number(&gateway.get("/v1/models", ACME), "x-ratelimit-remaining-tokens");
    assert!(left < 500, "{left} of 1000 are left while 500 are held");
    drop(socket);
    gateway.in_flight(0);
    let left = number(&gateway.get("/v1/models", ACME), "x-ratelimit-remaining-tokens");
    assert!((600..=990).contains(&left), "{left}");
    let rows = usage(&gateway, &[]);
    let row = rows.iter().find(|row| row["model"] == "gpt-5").unwrap();
    let used = row["input_tokens"].as_u64().unwrap() + row["output_tokens"].as_u64().unwrap();
    assert!(used.abs_diff(1000 - left) <= 1, "{used} {left}");
    assert!(
        gateway
            .admin_get("/metrics")
            .body
            .contains("tollgate_usage_estimates_total{tenant=\"acme\",model=\"gpt-5\",upstream=\"mock\"} 1")
    );
}

#[test]
fn usage_that_cannot_be_true_is_estimated() {
    let gateway = with("    limits: { tokens: 1000/hour }\n");
    let message = |usage: &str| chat(&format!("!say Hello there, world.\n!{usage}"), "");
    // No output, no input, more input than can be, nothing.
    for told in ["usage 10 0", "usage 0 10", "usage 99000000 1", "usage-none"] {
        assert_eq!(gateway.chat(ACME, &message(told)).status, 200);
    }
    let rows = usage(&gateway, &[]);
    assert!(rows[0]["output_tokens"].as_u64().unwrap() >= 10, "{rows:?}");
    assert!(
        gateway
            .admin_get("/metrics")
            .body
            .contains("tollgate_usage_estimates_total{tenant=\"acme\",model=\"gpt-5\",upstream=\"mock\"} 4")
    );
}

#[test]
fn the_ledger_is_told_to_operators_and_to_its_tenant_alone() {
    let gateway = Gateway::with(
        "\n  acme:\n    keys: [{ id: prod, sha256: @ACME@ }]\n    models: [\"gpt-*\"]\n    tools: [{ allow: \"get_*\" }]\n  globex:\n    keys: [{ id: prod, sha256: @GLOBEX@ }]\n    models: [gpt-5]\n",
        "",
    );
    let tools = crate::support::tools(&["get_a"]);
    assert_eq!(gateway.chat(ACME, &chat("!call delete_a\n!usage 3 4", &tools)).status, 200);
    assert_eq!(gateway.chat(GLOBEX, &chat("!usage 5 6", "")).status, 200);
    let own = gateway.get("/v1/usage", GLOBEX).json();
    let tenants: Vec<&str> =
        own["data"].as_array().unwrap().iter().map(|row| row["tenant"].as_str().unwrap()).collect();
    assert_eq!(tenants, ["globex"], "{own}");
    let everybody = gateway.admin_get("/admin/usage").json();
    let of = |tool: &Value, tenant: &str| {
        let rows = everybody.as_array().unwrap().iter();
        let mut rows = rows.filter(|row| {
            row["tenant"] == tenant && row["tool"] == *tool && row["model"] != Value::Null
                || row["tool"] == *tool && *tool != Value::Null
        });
        rows.next().unwrap_or_else(|| panic!("{tool} of {tenant}: {everybody}")).clone()
    };
    assert_eq!(of(&Value::Null, "acme")["input_tokens"], 3);
    assert_eq!(of(&json!("delete_a"), "acme")["denied"], 1);
    assert_eq!(gateway.admin_get("/admin/usage?tenant=acme&since=1d").json().as_array().unwrap().len(), 2);
    assert_eq!(gateway.admin_get("/admin/usage?since=2999-01-01").json(), json!([]));
    assert_eq!(gateway.admin_get("/admin/usage?since=never").status, 400);
    check(&gateway.get("/v1/usage?since=never", ACME), 400, "invalid_request");
    let (status, csv, _) =
        run(&["usage", "--config", "tollgate.yaml", "--format", "csv"], gateway.dir.path(), "");
    assert_eq!(status, 0);
    assert!(
        csv.starts_with("tenant,key,model,tool,requests,input_tokens,output_tokens,cost_usd,denied\r\n"),
        "{csv}"
    );
    assert!(csv.contains("acme,prod,gpt-5,,1,3,4,0.000043,0\r\n"), "{csv}");
    let (_, text, _) =
        run(&["usage", "--config", "tollgate.yaml", "--tenant", "globex"], gateway.dir.path(), "");
    assert!(text.contains("globex") && !text.contains("acme") && text.contains("total"), "{text}");
    assert_eq!(run(&["usage", "--since", "soon"], gateway.dir.path(), "").0, 2);
}

#[test]
fn a_spent_budget_is_told_within_mcp() {
    let gateway = Gateway::with_mock(
        "\n  acme:\n    keys: [{ id: prod, sha256: @ACME@ }]\n    models: [gpt-5]\n    tools: [{ allow: \"crm__get_*\" }]\n    budget: 0.0001 USD/hour\n",
        |mock| format!("  crm: {{ kind: mcp, url: \"http://127.0.0.1:{mock}/mcp\" }}\n"),
    );
    let meta = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}"#;
    let call = || {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"crm__get_weather","arguments":{{"city":"Bern"}},"_meta":{{{meta}}}}}}}"#
        );
        let length = body.len();
        gateway.raw(&format!(
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ACME}\r\naccept: application/json, text/event-stream\r\ncontent-type: application/json\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: crm__get_weather\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
    };
    let before = call();
    assert!(before.status == 200 && !before.body.contains(r#""isError":true"#), "{before:?}");
    assert_eq!(gateway.chat(ACME, &chat("!usage 200 1", "")).status, 200);
    let after = call();
    assert!(
        after.status == 200 && after.body.contains(r#""isError":true"#) && after.body.contains("budget"),
        "{after:?}"
    );
    let rows = usage(&gateway, &[]);
    let row = rows.iter().find(|row| row["tool"] == "crm__get_weather").unwrap_or_else(|| panic!("{rows:?}"));
    assert_eq!(row["requests"], 1, "{rows:?}");
}

#[test]
fn a_ledger_that_cannot_be_written_stops_requests_or_is_counted() {
    for (on_failure, expected) in [("fail", 503), ("drop", 200)] {
        let gateway = Gateway::with(
            "\n  acme:\n    keys: [{ id: prod, sha256: @ACME@ }]\n    models: [gpt-5]\n",
            &format!("records: {{ on_failure: {on_failure} }}\n"),
        );
        let other = rusqlite::Connection::open(gateway.dir.path().join("data/usage.sqlite")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert_eq!(gateway.chat(ACME, &chat("hi", "")).status, 200);
        gateway.wait("a failure", |gateway| gateway.stderr().contains("usage.sqlite cannot be written"));
        assert_eq!(gateway.chat(ACME, &chat("hi", "")).status, expected, "{on_failure}");
        other.execute_batch("ROLLBACK").unwrap();
        gateway.wait("its end", |gateway| gateway.chat(ACME, &chat("hi", "")).status == 200);
        // Nothing was lost.
        let rows = gateway.admin_get("/admin/usage").json();
        let requests = rows.as_array().unwrap().iter().map(|row| row["requests"].as_u64().unwrap());
        assert!(requests.sum::<u64>() >= 3, "{rows}");
    }
}

#[test]
fn a_stream_tells_what_is_left_and_settles() {
    let gateway = with("    limits: { tokens: 1000/hour }\n");
    let body = chat("!say hi\n!usage 20 30", r#","stream":true,"max_tokens":100"#);
    let answer = read_answer(gateway.begin("/v1/chat/completions", ACME, &body)).unwrap();
    assert_eq!(answer.status, 200);
    assert!((800..900).contains(&number(&answer, "x-ratelimit-remaining-tokens")), "{answer:?}");
    gateway.in_flight(0);
    assert_eq!(number(&gateway.get("/v1/models", ACME), "x-ratelimit-remaining-tokens"), 950);
}

#[test]
fn a_failed_call_tells_what_is_left_without_it() {
    let tenants = "\n  acme:\n    keys: [{ id: prod, sha256: @ACME@ }]\n    models: [\"*\"]\n    limits: { tokens: 2000/day, output_estimate: 1000 }\n    model_limits: { limited: { tokens: 1500/day } }\n";
    let upstreams = |mock| {
        format!(
            "  patient: {{ kind: openai, url: \"http://127.0.0.1:{mock}/v1\", retry: {{ attempts: 0 }}, timeout: {{ first_byte: 300ms }} }}\n  full: {{ kind: openai, url: \"http://127.0.0.1:{mock}/v1\", max_in_flight: 1, queue: {{ wait: 100ms }} }}\n"
        )
    };
    let models =
        "  late: { upstream: patient }\n  full: { upstream: full }\n  limited: { upstream: patient }\n";
    let gateway = Gateway::with_all(tenants, &upstreams, models, &[]);
    let left = |answer: &Answer| number(answer, "x-ratelimit-remaining-tokens");
    assert_eq!(gateway.chat(ACME, &chat("!usage 40 10", "")).status, 200);
    let held = gateway.begin(
        "/v1/chat/completions",
        ACME,
        &chat("!stall 1", r#","stream":true"#).replace("gpt-5", "full"),
    );
    gateway.in_flight(1);
    for (model, text, status) in [
        ("gpt-5", "!status 500", 502),
        ("gpt-5", "!status 503", 502),
        ("gpt-5", "!status 429", 429),
        ("gpt-5", "!status 400", 400),
        ("gpt-5", "!status 401", 502),
        ("gpt-5", "!garbage", 502),
        ("gpt-5", "!cut 0", 502),
        ("gpt-gone", "hi", 502),
        ("late", "!hang", 504),
        ("full", "hi", 503),
    ] {
        for more in ["", r#","stream":true"#] {
            // What breaks off behind the head of a stream is told in the stream.
            if !more.is_empty() && ["!garbage", "!cut 0"].contains(&text) {
                continue;
            }
            let failed = gateway.chat(ACME, &chat(text, more).replace("gpt-5", model));
            assert_eq!(failed.status, status, "{model} {text}{more}: {failed:?}");
            let next = gateway.get("/v1/models", ACME);
            // A moment brings a part of a token back.
            assert!(left(&next) - left(&failed) <= 1, "{model} {text}{more}: {failed:?} {next:?}");
            assert!(left(&next) > 500, "{next:?}");
            // No upstream is left alone for having failed too often.
            assert_eq!(gateway.chat(ACME, &chat("!usage 1 1", "")).status, 200);
        }
    }
    drop(held);
    gateway.in_flight(0);
    // Of several limits the tightest is told, when a call fails and when one is refused.
    let limited = |text: &str| gateway.chat(ACME, &chat(text, "").replace("gpt-5", "limited"));
    assert_eq!(left(&limited("!status 500")), 1500);
    assert_eq!(limited("!usage 1500 1").status, 200);
    let refused = limited("hi");
    check(&refused, 429, "rate_limit_exceeded");
    assert_eq!(left(&refused), 0, "{refused:?}");
    assert!(left(&gateway.get("/v1/models", ACME)) > 0);
}

#[test]
fn who_runs_into_its_keys_limit_and_its_tenants_waits_for_the_longer() {
    let gateway = Gateway::with(
        "\n  acme:\n    keys: [{ id: batch, sha256: @ACME@, limits: { tokens: 1000/hour } }, { id: prod, sha256: @GLOBEX@ }]\n    models: [gpt-5, claude]\n    limits: { tokens: 600/hour, output_estimate: 1 }\n    model_limits: { gpt-5: { requests: 3/day } }\n",
        "",
    );
    // 100 beyond the key's, which is six minutes, and 500 beyond the tenant's, which is fifty.
    assert_eq!(gateway.chat(ACME, &chat("!usage 1000 100", "")).status, 200);
    let refused = gateway.chat(ACME, &chat("hi", ""));
    check(&refused, 429, "rate_limit_exceeded");
    assert!((2900..3100).contains(&number(&refused, "retry-after")), "{refused:?}");
    // What a key's limit refuses uses up nothing of the model's requests.
    let file = gateway.dir.path().join("tollgate.yaml");
    let yaml = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, yaml.replace("tokens: 600/hour", "tokens: 60000/hour")).unwrap();
    assert_eq!(gateway.reload().status, 200);
    for _ in 0..3 {
        check(&gateway.chat(ACME, &chat("hi", "")), 429, "rate_limit_exceeded");
    }
    let of_prod = [(); 3].map(|()| gateway.chat(GLOBEX, &chat("!usage 1 1", "")).status);
    assert_eq!(of_prod, [200, 200, 429], "one of the three was the first");
}

/// A turn of a conversation that the provider keeps.
fn turn(text: &str, previous: Option<&str>, stream: bool) -> String {
    let mut body = json!({ "model": "gpt-5", "input": text, "max_output_tokens": 10, "stream": stream });
    if let Some(previous) = previous {
        body["previous_response_id"] = previous.into();
    }
    body.to_string()
}

/// The id of an answer, whole or a stream.
fn id_of(answer: &Answer) -> String {
    let (_, behind) = answer.body.split_once("\"resp_").unwrap();
    format!("resp_{}", behind.split('"').next().unwrap())
}

/// How many of six that go on from an answer are let in while those before them are there.
fn let_in(gateway: &Gateway, previous: &str) -> usize {
    let mut inside = Vec::new();
    for _ in 0..6 {
        let mut socket =
            BufReader::new(gateway.begin("/v1/responses", ACME, &turn("!stall 1", Some(previous), true)));
        let mut line = String::new();
        socket.read_line(&mut line).unwrap();
        if !line.starts_with("HTTP/1.1 200") {
            assert!(line.starts_with("HTTP/1.1 429"), "{line}");
            break;
        }
        inside.push(socket);
    }
    let count = inside.len();
    drop(inside);
    gateway.in_flight(0);
    count
}

/// A turn is billed with all turns before it: that is held, of tokens and money, of the tenant, its key and the model,
/// before a restart and after it.
#[test]
fn what_a_provider_keeps_of_a_conversation_is_held_with_the_next_turn() {
    // The first turn uses 800 and 10: 810 tokens, 0.0009 dollars. Each that goes on from it may use as much and a little.
    for (limits, before, after) in [
        ("    limits: { tokens: 1700/day }\n", 2, 3),
        ("    model_limits: { gpt-5: { tokens: 1700/day } }\n", 2, 3),
        ("    budget: 0.002 USD/day\n", 2, 2),
    ] {
        for stream in [false, true] {
            for restarts in [false, true] {
                let mut gateway = with(limits);
                let first = gateway.post("/v1/responses", ACME, &turn("!usage 800 10", None, stream));
                assert_eq!(first.status, 200, "{first:?}");
                if restarts {
                    gateway.in_flight(0);
                    gateway.restart();
                }
                let expected = if restarts { after } else { before };
                let count = let_in(&gateway, &id_of(&first));
                assert_eq!(count, expected, "{limits} stream: {stream}, restarts: {restarts}");
            }
        }
    }
}

/// A chain grows: its third turn holds what its second one was billed for. What was kept before tokens were known goes on
/// as it did.
#[test]
fn each_turn_holds_what_the_one_before_it_used() {
    let mut gateway = with("    limits: { tokens: 100000/day, output_estimate: 1 }\n");
    let held = |gateway: &Gateway, previous: &str| {
        let free = number(&gateway.get("/v1/models", ACME), "x-ratelimit-remaining-tokens");
        let answer = gateway.post("/v1/responses", ACME, &turn("!usage 3000 7", Some(previous), false));
        assert_eq!(answer.status, 200, "{answer:?}");
        (free - number(&answer, "x-ratelimit-remaining-tokens"), id_of(&answer))
    };
    let first = id_of(&gateway.post("/v1/responses", ACME, &turn("!usage 400 100", None, false)));
    let (second, id) = held(&gateway, &first);
    assert!((500..540).contains(&second), "{second}");
    let (third, _) = held(&gateway, &id);
    assert!((3007..3047).contains(&third), "{third}");
    // The estimate stands where the provider tells no usage, and it is that of the whole conversation.
    let told_none = gateway.post("/v1/responses", ACME, &turn("!usage-none", Some(&id), false));
    let (fourth, _) = held(&gateway, &id_of(&told_none));
    assert!((3030..3120).contains(&fourth), "{fourth}");
    gateway.stop();
    let shelf = rusqlite::Connection::open(gateway.dir.path().join("data/stored.sqlite")).unwrap();
    shelf.execute_batch("ALTER TABLE stored DROP COLUMN tokens").unwrap();
    drop(shelf);
    gateway.start_again();
    let (unknown, id) = held(&gateway, &first);
    assert!(unknown < 40, "{unknown}");
    let (known, _) = held(&gateway, &id);
    assert!((3007..3047).contains(&known), "{known}");
}

/// What is told as an upstream's failure costs nothing, in whatever way its answer cannot be understood; what was read
/// costs what its provider counted, and a stream what came of it.
/// What finds no room is paid as it was held: the provider has answered.
#[test]
fn an_answer_that_finds_no_room_is_paid() {
    let upstream =
        Upstream::acting(|_, socket| socket.write_all(answer(&"x".repeat(9 << 20)).as_bytes()).is_ok());
    let gateway = before(&[("probe", &upstream, "")], "limits: { answers: 16MiB }\n");
    let body = chat("hi", r#","max_tokens":50"#).replace("gpt-5", "probe");
    let refused = gateway.chat(ACME, &body);
    assert_eq!(refused.status, 502);
    assert!(refused.body.contains("limits.answers"), "{refused:?}");
    gateway.wait("it in the ledger", |gateway| !usage(gateway, &[]).is_empty());
    let rows = usage(&gateway, &[]);
    assert!(rows[0]["output_tokens"] == json!(50) && rows[0]["input_tokens"].as_u64() > Some(0), "{rows:?}");
}

#[test]
fn an_answer_that_cannot_be_understood_is_given_back() {
    let counted = r#""usage":{"prompt_tokens":20,"completion_tokens":7,"total_tokens":27}"#;
    let message = r#"{"role":"assistant","content":"hi"}"#;
    let of = |choice: &str, more: &str| {
        format!(
            r#"{{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{message},"finish_reason":"stop"{choice}}}],{counted}{more}}}"#
        )
    };
    let good = of("", "");
    let cut = whole(200, &good).replace("content-length: ", "content-length: 9");
    let json = "content-type: application/json\r\n";
    // The answer, and the tokens that are paid for it.
    let answers: Vec<(&str, String, u16, Option<u64>)> = vec![
        ("good", whole(200, &good), 200, Some(27)),
        ("empty", "HTTP/1.1 204 X\r\n\r\n".to_owned(), 502, None),
        ("text", whole(200, "it works"), 502, None),
        ("nothing", whole(200, ""), 502, None),
        ("twice", whole(200, &of("", r#","model":"n""#)), 502, None),
        ("error", whole(200, r#"{"error":{"message":"no"}}"#), 502, None),
        ("other", whole(200, r#"{"result":1}"#), 502, None),
        ("short", cut, 502, None),
        ("chunk", format!("HTTP/1.1 200 X\r\n{json}transfer-encoding: chunked\r\n\r\nff\r\n{{"), 502, None),
        ("gzip", whole(200, &good).replace(json, &format!("{json}content-encoding: gzip\r\n")), 502, None),
        ("status", whole(500, &good), 502, None),
        // Read, and refused for what stands in it.
        (
            "stray",
            whole(
                200,
                &of(
                    r#","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]"#,
                    "",
                ),
            ),
            502,
            Some(27),
        ),
    ];
    let sent = answers.clone();
    let upstream = Upstream::reading(move |request, socket| {
        let found = sent.iter().find(|(name, ..)| request.contains(&format!(r#""model":"m-{name}""#)));
        let text = found.map_or_else(|| stream(3), |(_, text, ..)| text.clone());
        drop(socket.write_all(text.as_bytes()));
        false
    });
    let yaml = upstream.yaml("faulty", ", retry: { attempts: 0 }");
    let names = answers.iter().map(|(name, ..)| *name).chain(["streamed"]);
    let models: String = names
        .map(|name| {
            format!("  m-{name}: {{ upstream: faulty, price: {{ input: 1000000, output: 1000000 }} }}\n")
        })
        .collect();
    let tenants = "\n  acme:\n    keys: [{ id: prod, sha256: @ACME@ }]\n    models: [\"*\"]\n    tools: [{ allow: \"*\" }]\n    budget: 100000 USD/day\n    limits: { tokens: 1000000/day }\n";
    let gateway = Gateway::with_all(tenants, &|_| yaml.clone(), &models, &[]);
    let mut paid = 0_u64;
    for (name, _, status, tokens) in &answers {
        let told = gateway.chat(ACME, &chat("hi", "").replace("gpt-5", &format!("m-{name}")));
        assert_eq!(told.status, *status, "{name}: {told:?}");
        gateway.in_flight(0);
        paid += tokens.unwrap_or(0);
        let rows = gateway.get("/v1/usage", ACME).json();
        let cost = rows["budgets"][0]["spent_usd"].as_f64().unwrap();
        let expected = f64::from(u32::try_from(paid).unwrap());
        assert!((cost - expected).abs() < 0.5, "{name}: {cost} USD, not {paid}: {rows}");
        let left = number(&gateway.get("/v1/models", ACME), "x-ratelimit-remaining-tokens");
        // Some come back meanwhile.
        assert!(left >= 1_000_000 - paid && left <= 1_000_000 - paid + 600, "{name}: {left}, {paid} used");
    }
    // A stream that breaks off is paid for as far as it came.
    let told = gateway.chat(ACME, &chat("hi", r#","stream":true"#).replace("gpt-5", "m-streamed"));
    assert!(told.status == 200 && told.body.contains("w2"), "{told:?}");
    gateway.in_flight(0);
    let left = number(&gateway.get("/v1/models", ACME), "x-ratelimit-remaining-tokens");
    assert!(left < 1_000_000 - paid, "{left}");
}
