//! MCP servers that the gateway runs: a process a tenant, what it may do wrong, and how it ends.

use crate::support::{ACME, Answer, GLOBEX, Gateway};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    path::Path,
    thread,
    time::{Duration, Instant},
};

const TENANTS: &str = r#"
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    tools: [{ allow: "*" }]
  globex:
    keys: [{ id: prod, sha256: @GLOBEX@ }]
    tools: [{ allow: "*" }]
"#;

const TOKEN: &str = "correct-horse-battery";

/// An entry below `upstreams`: our server, which speaks this era.
fn entry(name: &str, era: &str, more: &str) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mcp_stdio_server.py");
    format!(
        "  {name}: {{ kind: mcp, command: [python3, {script}, {era}, {name}.log], env: {{ TOKEN: {TOKEN}, MODE: plain }}{more} }}\n"
    )
}

fn gateway(upstreams: &str) -> Gateway {
    Gateway::with_mock(TENANTS, |_| upstreams.to_owned())
}

fn modern() -> Gateway {
    gateway(&entry("run", "modern", ""))
}

/// A request of 2026-07-28 to `/mcp/SERVER`.
fn request(server: &str, key: &str, method: &str, params: &Value, more: &str) -> String {
    let mut params = params.clone();
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    let name = params["name"].as_str().map(|name| format!("mcp-name: {name}\r\n")).unwrap_or_default();
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }).to_string();
    format!(
        "POST /mcp/{server} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\n{name}{more}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn call_at(gateway: &Gateway, server: &str, key: &str, tool: &str, arguments: &Value) -> Answer {
    gateway.raw(&request(server, key, "tools/call", &json!({ "name": tool, "arguments": arguments }), ""))
}

fn call(gateway: &Gateway, key: &str, tool: &str) -> Answer {
    call_at(gateway, "run", key, tool, &json!({}))
}

fn text(answer: &Answer) -> String {
    answer.json()["result"]["content"][0]["text"].as_str().unwrap().to_owned()
}

fn error(answer: &Answer) -> String {
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (200, &json!(-32603)), "{answer:?}");
    answer.json()["error"]["message"].as_str().unwrap().to_owned()
}

fn stderr(gateway: &Gateway) -> String {
    fs::read_to_string(gateway.dir.path().join("serve.err")).unwrap()
}

fn log(gateway: &Gateway, server: &str) -> String {
    fs::read_to_string(gateway.dir.path().join(format!("{server}.log"))).unwrap_or_default()
}

fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// Whether there is such a process, even one that ended and that nobody took note of.
fn is_listed(pid: &str) -> bool {
    Path::new("/proc").join(pid).exists()
}

#[test]
fn every_era_is_listed_and_called() {
    let eras = ["modern", "legacy", "rude"];
    let upstreams: String = eras.iter().map(|era| entry(era, era, "")).collect();
    let gateway = gateway(&upstreams);
    for era in eras {
        let listed = gateway.raw(&request(era, ACME, "tools/list", &json!({}), ""));
        assert_eq!(listed.json()["result"]["tools"].as_array().map(Vec::len), Some(15), "{era} {listed:?}");
        let answer = call_at(&gateway, era, ACME, "echo", &json!({ "text": "line\nbreak \u{2028} é" }));
        assert_eq!(text(&answer), "line\nbreak \u{2028} é", "{era}");
    }
    // What ends of a question that it does not know is started once more, and asked it no more.
    assert_eq!(log(&gateway, "rude").lines().filter(|line| line.starts_with("started")).count(), 2);
    assert_eq!(log(&gateway, "legacy").lines().count(), 1);
    let again = call_at(&gateway, "rude", GLOBEX, "echo", &json!({ "text": "x" }));
    assert_eq!(text(&again), "x");
    assert_eq!(log(&gateway, "rude").lines().filter(|line| line.starts_with("started")).count(), 3);
}

#[test]
fn one_that_says_nothing_to_what_it_does_not_know_is_spoken_to_all_the_same() {
    let gateway = gateway(&entry("run", "mute", ", timeout: { first_byte: 3s }"));
    assert_eq!(text(&call_at(&gateway, "run", ACME, "echo", &json!({ "text": "x" }))), "x");
}

#[test]
fn one_that_never_answers_opens_no_session() {
    let gateway = gateway(&entry("run", "never", ", timeout: { first_byte: 1s }"));
    assert_eq!(error(&call(&gateway, ACME, "pid")), "the upstream did not answer in time");
    // What is known of it is kept for a moment: nobody waits for it again.
    let start = Instant::now();
    assert_eq!(error(&call(&gateway, ACME, "pid")), "the upstream did not answer in time");
    assert!(start.elapsed() < Duration::from_secs(1));
    gateway.wait("its end", |gateway| log(gateway, "run").contains("ended"));
}

#[test]
fn each_tenant_has_a_process_of_its_own_with_nothing_of_the_gateways() {
    let gateway = modern();
    let pids = [ACME, GLOBEX, ACME, GLOBEX].map(|key| text(&call(&gateway, key, "pid")));
    assert_eq!((&pids[0], &pids[1]), (&pids[2], &pids[3]));
    assert_ne!(pids[0], pids[1]);
    let told = text(&call(&gateway, ACME, "environment"));
    let told: Value = serde_json::from_str(&told).unwrap();
    let names: BTreeSet<&str> = told["names"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    // The gateway has these of the test's runner.
    let of_the_runner = |name: &str| name.starts_with("CARGO");
    assert!(std::env::vars().any(|(name, _)| of_the_runner(&name)));
    assert!(names.is_superset(&["HOME", "MODE", "PATH", "TOKEN"].into()), "{names:?}");
    assert!(!names.iter().any(|name| of_the_runner(name)), "{names:?}");
    // It was given; what it repeats of it is concealed.
    assert_eq!(told["token"], "[API_KEY]");
    assert_eq!(Path::new(told["cwd"].as_str().unwrap()), gateway.dir.path().canonicalize().unwrap());
    assert!(!stderr(&gateway).contains("not served"), "{}", stderr(&gateway));
}

#[test]
fn many_calls_at_once_get_their_own_answers() {
    let gateway = modern();
    thread::scope(|scope| {
        for at in 0..24 {
            let gateway = &gateway;
            scope.spawn(move || {
                let key = if at % 2 == 0 { ACME } else { GLOBEX };
                let said = format!("{at} of {key}");
                let answer = call_at(gateway, "run", key, "echo", &json!({ "text": said }));
                assert_eq!(text(&answer), said);
            });
        }
    });
    assert_eq!(log(&gateway, "run").lines().count(), 2, "{}", log(&gateway, "run"));
    // A slow one does not keep the others waiting.
    thread::scope(|scope| {
        let slow = scope.spawn(|| call_at(&gateway, "run", ACME, "slow", &json!({ "seconds": 2 })));
        thread::sleep(Duration::from_millis(300));
        let start = Instant::now();
        assert_eq!(text(&call_at(&gateway, "run", ACME, "echo", &json!({ "text": "quick" }))), "quick");
        assert!(start.elapsed() < Duration::from_secs(1) && !slow.is_finished());
        assert_eq!(text(&slow.join().unwrap()), "slow");
    });
}

#[test]
fn a_crash_fails_what_was_asked_and_the_next_use_starts_it_again() {
    let gateway = modern();
    let others = text(&call(&gateway, GLOBEX, "pid"));
    let first = text(&call(&gateway, ACME, "pid"));
    thread::scope(|scope| {
        let slow = scope.spawn(|| call_at(&gateway, "run", ACME, "slow", &json!({ "seconds": 20 })));
        thread::sleep(Duration::from_millis(300));
        let crashed = error(&call(&gateway, ACME, "crash"));
        assert!(crashed.contains("the MCP server `run` ended"), "{crashed}");
        assert_eq!(error(&slow.join().unwrap()), crashed);
    });
    let mut refused = 0;
    let second = loop {
        let answer = call(&gateway, ACME, "pid");
        if answer.json()["result"].is_object() {
            break text(&answer);
        }
        assert!(error(&answer).contains("`run`"), "{answer:?}");
        refused += 1;
        thread::sleep(Duration::from_millis(5));
    };
    assert_ne!(first, second);
    assert!(!is_listed(&first));
    assert!(refused < 200, "{refused}");
    // The wait is longer each time, and calls are refused at once meanwhile.
    for _ in 0..3 {
        gateway.wait("the process", |gateway| call(gateway, ACME, "pid").json()["result"].is_object());
        error(&call(&gateway, ACME, "crash"));
    }
    let start = Instant::now();
    assert!(error(&call(&gateway, ACME, "pid")).contains("try again in"));
    assert!(start.elapsed() < Duration::from_millis(300), "{:?}", start.elapsed());
    assert_eq!(text(&call(&gateway, GLOBEX, "pid")), others);
    let stderr = stderr(&gateway);
    assert!(stderr.contains("exit status: 3"), "{stderr}");
    assert_eq!(stderr.matches("an answer to what nobody asked").count(), 4, "{stderr}");
}

#[test]
fn what_cannot_be_started_is_refused_by_its_name() {
    let missing =
        "  run: { kind: mcp, command: [./is-not-there] }\n  ends: { kind: mcp, command: [\"true\"] }\n";
    let gateway = gateway(missing);
    for server in ["run", "ends"] {
        let told = error(&call_at(&gateway, server, ACME, "pid", &json!({})));
        assert!(told.contains(&format!("the MCP server `{server}` ended or could not be started")), "{told}");
    }
    assert!(stderr(&gateway).contains("cannot be started"), "{}", stderr(&gateway));
    assert_eq!(gateway.admin_get("/readyz").status, 200);
}

#[test]
fn what_nobody_asked_for_is_left_out() {
    let gateway = modern();
    assert_eq!(text(&call(&gateway, ACME, "twice")), "first");
    assert_eq!(text(&call(&gateway, ACME, "twice")), "first");
    assert_eq!(text(&call(&gateway, ACME, "noise")), "after noise");
    // Its requests are declined, and it goes on.
    assert_eq!(text(&call(&gateway, ACME, "ask")), "[-32601]");
    let stderr = stderr(&gateway);
    assert_eq!(stderr.matches("an answer to what nobody asked, or a second one").count(), 1, "{stderr}");
    assert_eq!(stderr.matches("a line that is no message").count(), 1, "{stderr}");
    assert!(!stderr.contains("Server started"), "{stderr}");
}

#[test]
fn half_a_line_and_silence_are_timed_out_and_cancelled() {
    let gateway = gateway(&entry("run", "modern", ", timeout: { first_byte: 1s }"));
    for tool in ["silent", "half"] {
        let start = Instant::now();
        assert_eq!(error(&call(&gateway, ACME, tool)), "the upstream did not answer in time");
        assert!((1..5).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    }
    gateway.wait("the cancellations", |gateway| log(gateway, "run").matches("cancelled").count() == 2);
    // The other tenant's goes on.
    assert_eq!(text(&call(&gateway, GLOBEX, "twice")), "first");
}

#[test]
fn a_client_that_leaves_cancels() {
    let gateway = modern();
    assert_eq!(text(&call(&gateway, ACME, "twice")), "first");
    let mut socket = gateway.connect();
    let silent = request("run", ACME, "tools/call", &json!({ "name": "silent", "arguments": {} }), "");
    socket.write_all(silent.as_bytes()).unwrap();
    thread::sleep(Duration::from_millis(300));
    drop(socket);
    gateway.wait("the cancellation", |gateway| log(gateway, "run").contains("cancelled"));
}

#[test]
fn a_line_that_is_too_long_is_refused_and_the_process_goes_on() {
    let gateway = modern();
    let pid = text(&call(&gateway, ACME, "pid"));
    assert_eq!(error(&call(&gateway, ACME, "long")), "the upstream's answer is too large to be inspected");
    assert_eq!(text(&call(&gateway, ACME, "pid")), pid);
}

#[test]
fn progress_and_messages_reach_who_asked() {
    let gateway = modern();
    let params = json!({ "name": "progress", "arguments": {}, "_meta": { "progressToken": "mine", "io.modelcontextprotocol/logLevel": "info" } });
    let mut socket = gateway.connect();
    let streamed =
        request("run", ACME, "tools/call", &params, "accept: application/json, text/event-stream\r\n");
    socket.write_all(streamed.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let at = |text: &str| answer.find(text).unwrap();
    assert!(at("\"progressToken\":\"mine\"") < at("\"working\"") && at("\"working\"") < at("\"done\""));
}

#[test]
fn its_stderr_is_the_operators_redacted_and_not_too_much() {
    let gateway = modern();
    let secret = format!("ghp_{}", "a1B2c3D4e5F6".repeat(3));
    let arguments = json!({ "text": format!("{secret} for ada@acme.example") });
    assert_eq!(text(&call_at(&gateway, "run", ACME, "complain", &arguments)), "complained");
    gateway.wait("the line", |gateway| stderr(gateway).contains("cannot log in with"));
    let told = stderr(&gateway);
    assert!(told.contains("the MCP server run of the tenant acme: cannot log in with ["), "{told}");
    assert!(!told.contains(&secret) && !told.contains("ada@") && !told.contains(TOKEN), "{told}");
    assert_eq!(text(&call(&gateway, ACME, "flood")), "flooded");
    gateway.wait("the last line", |gateway| stderr(gateway).contains("line 48"));
    thread::sleep(Duration::from_millis(300));
    assert!(!stderr(&gateway).contains("line 60"), "{}", stderr(&gateway));
}

#[test]
fn a_reload_keeps_the_process_of_a_server_that_stays_as_it_is() {
    let gateway = gateway(&[entry("run", "modern", ""), entry("other", "modern", "")].concat());
    let pid_of = |server: &str| text(&call_at(&gateway, server, ACME, "pid", &json!({})));
    let (run, other) = (pid_of("run"), pid_of("other"));
    let path = gateway.dir.path().join("tollgate.yaml");
    let yaml = fs::read_to_string(&path).unwrap();
    let (head, tail) = yaml.split_once("  other:").unwrap();
    let changed = format!("{head}  other:{}", tail.replacen("MODE: plain", "MODE: changed", 1));
    thread::scope(|scope| {
        let slow = scope.spawn(|| call_at(&gateway, "other", ACME, "slow", &json!({ "seconds": 2 })));
        thread::sleep(Duration::from_millis(300));
        fs::write(&path, changed).unwrap();
        assert_eq!(gateway.reload().status, 200);
        // What was asked before is answered.
        assert_ne!(pid_of("other"), other);
        assert_eq!(text(&slow.join().unwrap()), "slow");
    });
    assert_eq!(pid_of("run"), run);
    gateway.wait("the end of the old one", |_| !is_listed(&other));
}

#[test]
fn no_process_outlives_the_gateway() {
    for signal in ["TERM", "KILL"] {
        let mut gateway = modern();
        let pids = [ACME, GLOBEX].map(|key| text(&call(&gateway, key, "pid")));
        assert!(pids.iter().all(|pid| runs(pid)));
        gateway.signal(signal);
        gateway.exit_status();
        // At SIGTERM it waits for them.
        assert!(signal == "KILL" || !pids.iter().any(|pid| is_listed(pid)));
        gateway.wait("the end of the processes", |_| !pids.iter().any(|pid| runs(pid)));
    }
}
