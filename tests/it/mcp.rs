//! MCP on the real binary: both eras to both sides, what tenants see, what they may call, and what is on record.

use crate::support::{ACME, Answer, GLOBEX, Gateway};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    thread,
    time::Duration,
};

const TENANTS: &str = r#"
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    tools:
      - allow: ["crm__get_*", "old__get_*", "new__get_*", "pages__*", "live__*", "dead__*", "silent__*", "curious__*"]
      - allow: ["crm__create_ticket", "old__create_ticket", "new__create_ticket"]
        args: { title: { like: "ok*" } }
        set: { body: forced }
      - deny: "*__delete_*"
        reason: Deletions go through support.
      - ask: live__create_ticket
        within: 20s
      - ask: pages__create_ticket
        within: 1s
      - allow: limited__get_weather
        limit: 1/hour
  globex:
    keys: [{ id: prod, sha256: @GLOBEX@ }]
    tools: [{ allow: crm__get_weather }]
    limits: { requests: 12/min }
"#;

fn gateway() -> Gateway {
    Gateway::with_mock(TENANTS, |mock| {
        let server = |name: &str, path: &str| {
            format!(
                "  {name}: {{ kind: mcp, url: \"http://127.0.0.1:{mock}/mcp{path}\", auth: {{ bearer: sk-mcp-secret }} }}\n"
            )
        };
        [
            server("crm", ""),
            server("old", "/legacy"),
            server("new", "/modern"),
            server("pages", "/pages"),
            server("live", "/events"),
            server("curious", "/curious"),
            server("silent", "/silent"),
            server("limited", ""),
            "  dead: { kind: mcp, url: \"http://127.0.0.1:1/mcp\" }\n".to_owned(),
        ]
        .concat()
    })
}

const META: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}"#;

/// A request with these headers.
pub(crate) fn ask(gateway: &Gateway, path: &str, key: &str, headers: &str, body: &str) -> Answer {
    gateway.raw(&request(path, key, headers, body))
}

fn request(path: &str, key: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// A request of 2026-07-28.
pub(crate) fn modern(gateway: &Gateway, path: &str, key: &str, method: &str, params: Value) -> Answer {
    let (headers, body) = modern_parts(method, params);
    ask(gateway, path, key, &headers, &body)
}

fn modern_parts(method: &str, mut params: Value) -> (String, String) {
    let mut meta: Value = serde_json::from_str(&format!("{{{META}}}")).unwrap();
    if let Some(more) = params["_meta"].as_object() {
        meta.as_object_mut().unwrap().extend(more.clone());
    }
    params["_meta"] = meta;
    let name = params["name"]
        .as_str()
        .or_else(|| params["uri"].as_str())
        .map(|name| format!("mcp-name: {name}\r\n"))
        .unwrap_or_default();
    let headers = format!("mcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\n{name}");
    (headers, json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }).to_string())
}

/// A session of an older revision.
pub(crate) struct Session<'g> {
    gateway: &'g Gateway,
    path: &'static str,
    key: &'static str,
    id: String,
}

impl<'g> Session<'g> {
    pub(crate) fn open(gateway: &'g Gateway, path: &'static str, key: &'static str, revision: &str) -> Self {
        let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": revision, "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } } });
        let answer = ask(gateway, path, key, "", &body.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["result"]["protocolVersion"], revision);
        let id = answer.header("mcp-session-id").unwrap().to_owned();
        assert_eq!(id.len(), 32);
        let session = Self { gateway, path, key, id };
        let said = session.send("", r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        assert_eq!((said.status, said.body.as_str()), (202, ""));
        session
    }

    fn send(&self, headers: &str, body: &str) -> Answer {
        let headers = format!("mcp-session-id: {}\r\n{headers}", self.id);
        ask(self.gateway, self.path, self.key, &headers, body)
    }

    pub(crate) fn ask(&self, method: &str, params: &Value) -> Answer {
        let body = json!({ "jsonrpc": "2.0", "id": "a", "method": method, "params": params });
        self.send("", &body.to_string())
    }

    fn call(&self, name: &str, arguments: &Value) -> Answer {
        self.ask("tools/call", &json!({ "name": name, "arguments": arguments }))
    }
}

fn names(answer: &Answer) -> Vec<String> {
    let answer = answer.json();
    let tools = answer["result"]["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

/// The text of a result, and whether it is an error.
fn told(answer: &Answer) -> (String, bool) {
    let answer = answer.json();
    let result = &answer["result"];
    let text = result["content"][0]["text"].as_str().unwrap().to_owned();
    (text, result["isError"].as_bool().unwrap_or_default())
}

#[test]
fn both_eras_on_both_sides() {
    let gateway = gateway();
    for (server, tool) in [("crm", "get_weather"), ("old", "get_weather"), ("new", "get_weather")] {
        let path: &'static str = Box::leak(format!("/mcp/{server}").into_boxed_str());
        let session = Session::open(&gateway, path, ACME, "2025-06-18");
        let listed = session.ask("tools/list", &json!({}));
        assert_eq!(names(&listed), ["create_ticket", "get_weather"], "{server}");
        assert!(!listed.body.contains("cacheScope"), "{listed:?}");
        let answer = session.call(tool, &json!({ "city": "Bern" }));
        assert_eq!(told(&answer), ("Sunny and 21 degrees in Bern.".into(), false), "{server}");
        assert_eq!((&answer.json()["id"], answer.json()["result"].get("resultType")), (&json!("a"), None));
        let listed = modern(&gateway, path, ACME, "tools/list", json!({}));
        assert_eq!(names(&listed), ["create_ticket", "get_weather"], "{server}");
        let listed = listed.json();
        assert_eq!(
            (&listed["result"]["cacheScope"], &listed["result"]["ttlMs"]),
            (&json!("private"), &json!(0))
        );
        let call = json!({ "name": tool, "arguments": { "city": "Bern" } });
        let answer = modern(&gateway, path, ACME, "tools/call", call);
        assert_eq!(told(&answer), ("Sunny and 21 degrees in Bern.".into(), false), "{server}");
        assert_eq!(answer.json()["result"]["resultType"], "complete");
    }
    let discovered = modern(&gateway, "/mcp", ACME, "server/discover", json!({})).json();
    assert_eq!(discovered["result"]["supportedVersions"][0], "2026-07-28");
    assert_eq!(discovered["result"]["capabilities"]["tools"], json!({ "listChanged": true }));
    // The upstream's credential goes there, the tenant's does not.
    let seen = gateway.seen().to_string();
    assert!(seen.contains("sk-mcp-secret") && !seen.contains(ACME));
}

#[test]
fn a_list_is_what_the_tenant_may_call_of_all_servers_that_answer() {
    let gateway = gateway();
    let session = Session::open(&gateway, "/mcp", ACME, "2025-11-25");
    let listed = names(&session.ask("tools/list", &json!({})));
    let expected = [
        "crm__create_ticket",
        "crm__get_weather",
        "curious__create_ticket",
        "curious__get_weather",
        "limited__get_weather",
        "live__create_ticket",
        "live__get_weather",
        "new__create_ticket",
        "new__get_weather",
        "old__create_ticket",
        "old__get_weather",
        "pages__create_ticket",
        "pages__get_weather",
        "silent__create_ticket",
        "silent__get_weather",
    ];
    assert_eq!(listed, expected);
    let globex = modern(&gateway, "/mcp", GLOBEX, "tools/list", json!({}));
    assert_eq!(names(&globex), ["crm__get_weather"]);
    let paged = session.ask("tools/list", &json!({ "cursor": "" }));
    assert_eq!((paged.status, &paged.json()["error"]["code"]), (200, &json!(-32602)));
    // A server of which a tenant may call nothing is one that does not exist.
    let old = modern(&gateway, "/mcp/old", GLOBEX, "tools/list", json!({}));
    let none = modern(&gateway, "/mcp/none", GLOBEX, "tools/list", json!({}));
    assert_eq!((old.status, old.body), (404, none.body));
    let dead = session.call("dead__get_x", &json!({}));
    assert_eq!((dead.status, &dead.json()["error"]["code"]), (200, &json!(-32603)), "{dead:?}");
    assert_eq!(gateway.admin_get("/readyz").status, 200);
}

#[test]
fn what_is_denied_is_told_as_what_it_is() {
    let gateway = gateway();
    let session = Session::open(&gateway, "/mcp", ACME, "2025-11-25");
    let unknown = |name: &str| {
        let answer = session.call(name, &json!({ "title": "secret@acme.example" }));
        (answer.status, answer.body.replace(name, "X"))
    };
    let expected = r#"{"jsonrpc":"2.0","id":"a","error":{"code":-32602,"message":"Unknown tool: X"}}"#;
    // Hidden by a rule; not there at all; of no server; of a server that is not reached.
    for name in ["crm__delete_ticket", "crm__get_nothing", "nothing", "none__get_weather"] {
        assert_eq!(unknown(name), (200, expected.to_owned()), "{name}");
    }
    for (path, title, expected, is_error) in [
        ("/mcp", "bad", "Denied: no rule allows it with these arguments", true),
        ("/mcp", "ok 1", "Opened ticket T-1001: ok 1", false),
    ] {
        let call = json!({ "name": "crm__create_ticket", "arguments": { "title": title, "body": "mine" } });
        let answer = modern(&gateway, path, ACME, "tools/call", call);
        assert_eq!(told(&answer), (expected.into(), is_error));
        assert_eq!((answer.status, &answer.json()["result"]["resultType"]), (200, &json!("complete")));
    }
    let seen = gateway.seen().to_string();
    assert!(seen.contains("forced") && !seen.contains("mine") && !seen.contains("bad"), "{seen}");
    assert!(!told(&session.call("limited__get_weather", &json!({ "city": "a" }))).1);
    let (text, is_error) = told(&session.call("limited__get_weather", &json!({ "city": "a" })));
    assert!(is_error && text.starts_with("Denied: its limit of 1/hour is used up"), "{text}");
    let long = json!({ "city": "a".repeat(300 << 10) });
    let denied = ("Denied: its arguments are too long".to_owned(), true);
    assert_eq!(told(&session.call("crm__get_weather", &long)), denied);
    let list = session.call("crm__get_weather", &json!([]));
    assert_eq!(list.json()["error"]["code"], -32602);
    let audit = gateway.lines("audit", "acme", 9);
    let lines: Vec<_> = audit
        .iter()
        .map(|line| {
            assert_eq!(line["place"], "mcp");
            (line["tool"].as_str().unwrap(), line["decision"].as_str().unwrap())
        })
        .collect();
    let expected = [
        ("crm__delete_ticket", "deny"),
        ("crm__get_nothing", "deny"),
        ("nothing", "deny"),
        ("none__get_weather", "deny"),
        ("crm__create_ticket", "deny"),
        ("crm__create_ticket", "allow"),
        ("limited__get_weather", "allow"),
        ("limited__get_weather", "deny"),
        ("crm__get_weather", "deny"),
    ];
    assert_eq!(lines, expected);
    assert!(audit[0]["args"]["title"].as_str().unwrap().starts_with("[EMAIL_ADDRESS:"), "{}", audit[0]);
    assert_eq!(audit[0]["reason"], "Deletions go through support.");
    let log = gateway.lines("log", "acme", 12);
    let call = log.iter().find(|line| line["completion"] == "Opened ticket T-1001: ok 1").unwrap();
    assert_eq!((&call["dialect"], &call["upstream"]), (&json!("mcp"), &json!("crm")));
    let denied = log.iter().find(|line| line["tools_denied"] == json!(["crm__delete_ticket"]));
    assert!(denied.is_some(), "{log:?}");
}

#[test]
fn a_person_decides_and_the_client_hears_of_it() {
    let gateway = gateway();
    let waiting = || {
        gateway
            .wait("a call that waits", |gateway| gateway.admin_get("/admin/approvals").json()[0].is_object());
        gateway.admin_get("/admin/approvals").json()[0]["id"].as_str().unwrap().to_owned()
    };
    let decide = |id: &str, approve: bool| {
        let body = json!({ "approve": approve, "by": "ada" }).to_string();
        assert_eq!(gateway.admin_post(&format!("/admin/approvals/{id}"), &body).status, 200);
    };
    let call = |title: &str| json!({ "name": "create_ticket", "arguments": { "title": title } });
    for (title, approve, expected) in [
        ("one", true, ("Opened ticket T-1001: one", false)),
        ("two", false, ("Denied: a person denied this call", true)),
    ] {
        thread::scope(|scope| {
            let asked = scope.spawn(|| modern(&gateway, "/mcp/live", ACME, "tools/call", call(title)));
            decide(&waiting(), approve);
            assert_eq!(told(&asked.join().unwrap()), (expected.0.to_owned(), expected.1));
        });
    }
    let expired = modern(&gateway, "/mcp/pages", ACME, "tools/call", call("three"));
    assert_eq!(told(&expired), ("Denied: no person approved this call within 1s".into(), true));
    // Whoever left finds the approval when the same call comes again.
    let (headers, body) = modern_parts("tools/call", call("four"));
    let mut socket = gateway.connect();
    socket.write_all(request("/mcp/live", ACME, &headers, &body).as_bytes()).unwrap();
    let id = waiting();
    drop(socket);
    gateway.wait("the end of it", |gateway| {
        gateway.lines("log", "acme", 1).iter().any(|line| line["error"] == "client_gone")
    });
    decide(&id, true);
    let again = modern(&gateway, "/mcp/live", ACME, "tools/call", call("four"));
    assert_eq!(told(&again), ("Opened ticket T-1001: four".into(), false));
    let audit = gateway.lines("audit", "acme", 10);
    let told: Vec<_> = audit.iter().map(|line| line["decision"].as_str().unwrap()).collect();
    assert_eq!(told, ["ask", "allow", "ask", "deny", "ask", "deny", "ask", "allow", "ask", "allow"]);
    assert_eq!(audit[1]["by"], "ada");
}

#[test]
fn a_stream_of_events_is_passed_on_to_those_who_take_it() {
    let gateway = gateway();
    let call = |meta: Value| json!({ "name": "get_weather", "arguments": { "city": "Bern" }, "_meta": meta });
    let session = Session::open(&gateway, "/mcp/live", ACME, "2025-11-25");
    let body = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": call(json!({ "progressToken": "mine" })) });
    let answer = session.send("accept: application/json, text/event-stream\r\n", &body.to_string());
    assert!(answer.header("content-type").unwrap().starts_with("text/event-stream"), "{answer:?}");
    let events: Vec<Value> = answer
        .body
        .split("\n\n")
        .filter_map(|event| serde_json::from_str(event.split_once("event: message\ndata: ")?.1).ok())
        .collect();
    let methods: Vec<_> = events.iter().map(|event| event["method"].as_str().unwrap_or("-")).collect();
    assert_eq!(methods, ["notifications/message", "notifications/progress", "-"], "{answer:?}");
    assert_eq!(events[1]["params"]["progressToken"], "mine");
    assert_eq!(events[2]["id"], 9);
    assert_eq!(events[2]["result"]["content"][0]["text"], "Sunny and 21 degrees in Bern.");
    // A client of the newer era hears of what it asked for; one that takes no events gets the answer alone.
    let (headers, body) = modern_parts("tools/call", call(json!({})));
    let answer = ask(
        &gateway,
        "/mcp/live",
        ACME,
        &format!("accept: application/json, text/event-stream\r\n{headers}"),
        &body,
    );
    assert_eq!(told(&answer).0, "Sunny and 21 degrees in Bern.");
    assert_eq!(
        told(&session.call("get_weather", &json!({ "city": "Bern" }))).0,
        "Sunny and 21 degrees in Bern."
    );
    let curious = modern(&gateway, "/mcp/curious", ACME, "tools/call", call(json!({})));
    assert_eq!(curious.json()["result"]["resultType"], "input_required", "{curious:?}");
}

#[test]
fn a_client_that_leaves_cancels_the_upstream() {
    let gateway = gateway();
    let (headers, body) = modern_parts("tools/call", json!({ "name": "get_weather", "arguments": {} }));
    let mut socket = gateway.connect();
    socket.write_all(request("/mcp/silent", ACME, &headers, &body).as_bytes()).unwrap();
    gateway.wait("the call", |gateway| gateway.seen().to_string().contains("/mcp/silent"));
    thread::sleep(Duration::from_millis(300));
    drop(socket);
    gateway.wait("a record", |gateway| {
        gateway.lines("log", "acme", 1).iter().any(|line| line["error"] == "client_gone")
    });
    assert_eq!(gateway.lines("audit", "acme", 1)[0]["decision"], "allow");
}

#[test]
fn a_server_that_forgets_its_sessions_is_asked_for_another() {
    let tenants =
        "\n  acme:\n    keys: [{ id: prod, sha256: @ACME@ }]\n    tools: [{ allow: \"forgetful__*\" }]\n";
    let gateway = Gateway::with_mock(tenants, |mock| {
        format!("  forgetful: {{ kind: mcp, url: \"http://127.0.0.1:{mock}/mcp/forgetful\" }}\n")
    });
    let session = Session::open(&gateway, "/mcp/forgetful", ACME, "2025-11-25");
    for _ in 0..9 {
        let answer = session.call("get_weather", &json!({ "city": "Bern" }));
        assert_eq!(told(&answer).0, "Sunny and 21 degrees in Bern.");
    }
    let seen = gateway.seen();
    let opened = seen.as_array().unwrap().iter().filter(|hit| hit.to_string().contains("initialize\\\""));
    assert!(opened.count() > 2, "{seen}");
}

#[test]
fn what_is_no_message_is_refused() {
    let gateway = gateway();
    let check = |headers: &str, body: &str, status: u16, code: i64| {
        let answer = ask(&gateway, "/mcp", ACME, headers, body);
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (status, &json!(code)),
            "{body} {answer:?}"
        );
        assert!(answer.header("x-request-id").is_some());
    };
    check("", "{", 400, -32700);
    check("", r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#, 400, -32700);
    check("", "[]", 400, -32600);
    check("", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#, 400, -32600);
    check("mcp-session-id: 0\r\n", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#, 404, -32600);
    check(
        "mcp-session-id: 0\r\nmcp-session-id: 0\r\n",
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
        400,
        -32020,
    );
    check(
        "mcp-protocol-version: 2026-07-28\r\n",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
        400,
        -32602,
    );
    check("mcp-protocol-version: 2026-07-28\r\n", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, 400, -32600);
    let (headers, body) = modern_parts("tools/call", json!({ "name": "crm__get_weather", "arguments": {} }));
    check(&headers.replace("crm__get_weather", "crm__other"), &body, 400, -32020);
    check(&headers.replace("tools/call", "tools/list"), &body, 400, -32020);
    check("", &body, 400, -32020);
    let (headers, body) = modern_parts("ping", json!({}));
    check(&headers, &body, 404, -32601);
    check(
        &headers.replace("2026-07-28", "2030-01-01"),
        &body.replace("2026-07-28", "2030-01-01"),
        400,
        -32022,
    );
    let get = gateway.get("/mcp", ACME);
    assert_eq!((get.status, get.header("allow")), (405, Some("GET, POST, DELETE")));
    let foreign = ask(&gateway, "/mcp", ACME, "origin: https://evil.example\r\n", &body);
    assert_eq!(
        (foreign.status, foreign.json()["error"]["data"]["code"].clone()),
        (403, json!("origin_not_allowed"))
    );
    assert_eq!(ask(&gateway, "/mcp", "wrong", &headers, &body).status, 401);
    assert_eq!(ask(&gateway, "/mcp/none", ACME, &headers, &body).status, 404);
    assert_eq!(gateway.lines("audit", "acme", 0).len(), 0);
}

#[test]
fn a_session_is_its_owners_and_has_batches_where_its_revision_has() {
    let gateway = gateway();
    let session = Session::open(&gateway, "/mcp", ACME, "2025-03-26");
    let of = |key: &'static str, path: &'static str, id: &str| Session {
        gateway: &gateway,
        path,
        key,
        id: id.into(),
    };
    let missing = of(ACME, "/mcp", &"0".repeat(32)).ask("ping", &json!({}));
    for other in [of(GLOBEX, "/mcp", &session.id), of(ACME, "/mcp/crm", &session.id)] {
        let answer = other.ask("ping", &json!({}));
        assert_eq!((answer.status, &answer.body), (404, &missing.body));
    }
    assert_eq!(session.ask("ping", &json!({})).json()["result"], json!({}));
    assert_eq!(session.ask("nothing/list", &json!({})).json()["error"]["code"], -32601);
    let call = |name: &str| json!({ "jsonrpc": "2.0", "id": name, "method": "tools/call", "params": { "name": name, "arguments": { "city": "Bern" } } });
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled" });
    let batch = json!([call("crm__get_weather"), note, call("crm__delete_ticket"), 7]);
    let answer = session.send("", &batch.to_string());
    let answers = answer.json();
    assert_eq!(answers.as_array().unwrap().len(), 3, "{answer:?}");
    assert_eq!(answers[0]["result"]["content"][0]["text"], "Sunny and 21 degrees in Bern.");
    assert_eq!(answers[1]["error"]["message"], "Unknown tool: crm__delete_ticket");
    assert_eq!(answers[2]["error"]["code"], -32600);
    assert_eq!(session.send("", &json!([note]).to_string()).status, 202);
    let many = Value::Array(vec![note.clone(); 101]);
    assert_eq!(session.send("", &many.to_string()).status, 400);
    let later = Session::open(&gateway, "/mcp", ACME, "2025-06-18");
    assert_eq!(later.send("", &json!([note]).to_string()).status, 400);
    let delete = |id: &str| {
        gateway.raw(&format!("DELETE /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ACME}\r\nmcp-session-id: {id}\r\nconnection: close\r\n\r\n"))
    };
    assert_eq!(delete(&session.id).status, 204);
    assert_eq!(delete(&session.id).status, 404);
    assert_eq!(session.ask("ping", &json!({})).status, 404);
    assert_eq!(gateway.delete("/mcp", ACME).status, 405);
}

#[test]
fn a_batch_counts_for_as_many_requests_as_it_holds() {
    let gateway = gateway();
    // Of twelve a minute this is the first, and the batch's own request the second.
    let session = Session::open(&gateway, "/mcp/crm", GLOBEX, "2025-03-26");
    let call = |at: usize| json!({ "jsonrpc": "2.0", "id": at, "method": "tools/call", "params": { "name": "get_weather", "arguments": { "city": "Bern" } } });
    let batch = Value::Array((0..30).map(call).collect());
    let answers = session.send("", &batch.to_string()).json();
    let answers = answers.as_array().unwrap();
    let went = answers.iter().filter(|answer| answer["result"]["isError"] == false).count();
    let refused = answers.iter().filter(|answer| answer["result"]["isError"] == true).count();
    assert!(
        (8..=11).contains(&went) && went + refused == 30,
        "{went} went, {refused} were refused: {answers:?}"
    );
}

#[test]
fn a_limit_of_the_tenants_is_told_within_the_protocol() {
    let gateway = gateway();
    let call = || {
        modern(
            &gateway,
            "/mcp",
            GLOBEX,
            "tools/call",
            json!({ "name": "crm__get_weather", "arguments": { "city": "a" } }),
        )
    };
    let answers: Vec<Answer> = (0..13).map(|_| call()).collect();
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let (text, is_error) = told(answers.last().unwrap());
    assert!(is_error && text.starts_with("Denied: too many requests"), "{text}");
    let listed = modern(&gateway, "/mcp", GLOBEX, "tools/list", json!({}));
    assert_eq!(
        (listed.status, &listed.json()["error"]["data"]["code"]),
        (200, &json!("rate_limit_exceeded"))
    );
    let log = gateway.lines("log", "globex", 14);
    assert_eq!(log[13]["error"], "rate_limit_exceeded");
    let mut socket = gateway.connect();
    socket.write_all(b"GET /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 401"), "{text}");
}

/// A key that a reader who folds case takes for one that is decided on is refused, as in every other dialect.
#[test]
fn keys_in_another_case_are_refused() {
    let gateway = gateway();
    let params = json!({ "name": "crm__get_weather", "arguments": { "city": "Bern" } });
    let (headers, body) = modern_parts("tools/call", params.clone());
    let told = ask(&gateway, "/mcp", ACME, &headers, &body);
    assert_eq!(told.status, 200, "{told:?}");
    let seen = gateway.seen().to_string().matches("tools/call").count();
    assert!(seen > 0);
    let variants = [
        (r#""method":"#, r#""Method":"tools/list","method":"#),
        (r#""params":"#, r#""PARAMS":{"name":"crm__delete_user"},"params":"#),
        (r#""name":"#, r#""Name":"crm__delete_user","name":"#),
        (r#""arguments":"#, r#""Arguments":{"city":"Basel"},"arguments":"#),
        (r#""arguments":"#, "\"argument\u{17f}\":{},\"arguments\":"),
        (r#""id":"#, r#""ID":8,"id":"#),
    ];
    let session = Session::open(&gateway, "/mcp", ACME, "2025-06-18");
    let old = json!({ "jsonrpc": "2.0", "id": "a", "method": "tools/call", "params": params }).to_string();
    for (plain, twin) in variants {
        assert!(body.contains(plain) && old.contains(plain), "{plain}");
        for told in [
            ask(&gateway, "/mcp", ACME, &headers, &body.replacen(plain, twin, 1)),
            session.send("", &old.replacen(plain, twin, 1)),
        ] {
            assert_eq!(told.status, 400, "{twin}: {told:?}");
            assert!(told.body.contains("a key could be read as"), "{twin}: {told:?}");
        }
    }
    let all = gateway.seen().to_string();
    assert_eq!(all.matches("tools/call").count(), seen, "nothing of it went on: {all}");
}
