//! MCP beside tools, on the real binary: prompts, resources, templates and suggestions, and what the gateway says of itself.

use crate::{
    mcp::{Session, modern},
    support::{ACME, Answer, GLOBEX, Gateway},
};
use serde_json::{Value, json};
use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

const TENANTS: &str = r#"
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    tools:
      - allow: ["*__get_weather", "old__prompt__*", "new__prompt__*", "old__resource__*", "new__resource__*"]
      - allow: ["crm__resource__note://*", "dead__*"]
      - allow: crm__prompt__greet
        args: { name: { like: "A*" } }
      - deny: ["*__prompt__fire", "*__resource__note://secret"]
        reason: Ask support.
      - allow: limited__resource__*
        when: args.uri != "note://tickets/9"
        limit: 1/hour
      - allow: forced__prompt__greet
        set: { name: forced }
      - allow: forced__resource__*
        set: { uri: "note://secret" }
      - ask: ["asks__prompt__greet", "asks__resource__*"]
        within: 1s
  globex:
    keys: [{ id: prod, sha256: @GLOBEX@ }]
    tools: [{ allow: ["crm__get_weather", "crm__resource__note://welcome", "crm__resource__note://tickets/1*"] }]
    limits: { requests: 12/min }
"#;

fn gateway() -> Gateway {
    Gateway::with_mock(TENANTS, |mock| {
        let server = |name: &str, path: &str| {
            format!("  {name}: {{ kind: mcp, url: \"http://127.0.0.1:{mock}/mcp{path}\" }}\n")
        };
        [
            server("crm", ""),
            server("old", "/legacy"),
            server("new", "/modern"),
            server("plain", "/tools"),
            server("limited", ""),
            server("forced", ""),
            server("asks", ""),
            "  dead: { kind: mcp, url: \"http://127.0.0.1:1/mcp\" }\n".to_owned(),
        ]
        .concat()
    })
}

fn names(answer: &Answer, list: &str, key: &str) -> Vec<String> {
    let answer = answer.json();
    let all = answer["result"][list].as_array().unwrap();
    all.iter().map(|each| each[key].as_str().unwrap().to_owned()).collect()
}

fn error(answer: &Answer) -> (u16, i64, String) {
    let error = &answer.json()["error"];
    (answer.status, error["code"].as_i64().unwrap(), error["message"].as_str().unwrap().to_owned())
}

fn greet(name: &str) -> Value {
    json!({ "name": name, "arguments": { "name": "Ada" } })
}

/// What 2026-07-28 has in each result, and in what lasts.
#[track_caller]
fn check_fields(answer: &Answer, is_modern: bool, lasts: bool) {
    let result = &answer.json()["result"];
    assert_eq!(result.get("resultType"), is_modern.then_some(json!("complete")).as_ref(), "{answer:?}");
    assert_eq!(result.get("cacheScope"), lasts.then_some(json!("private")).as_ref(), "{answer:?}");
    assert_eq!(result.get("ttlMs"), lasts.then_some(json!(0)).as_ref(), "{answer:?}");
}

#[test]
fn both_eras_on_both_sides() {
    let gateway = gateway();
    let complete = |reference: Value| json!({ "ref": reference, "argument": { "name": "x", "value": "A" } });
    for path in ["/mcp/crm", "/mcp/old", "/mcp/new"] {
        let session = Session::open(&gateway, path, ACME, "2025-06-18");
        for is_modern in [false, true] {
            let ask = |method: &str, params: Value| match is_modern {
                true => modern(&gateway, path, ACME, method, params),
                false => session.ask(method, &params),
            };
            let check_kept = |answer: &Answer, kept: bool| check_fields(answer, is_modern, is_modern && kept);
            let prompts = ask("prompts/list", json!({}));
            assert_eq!(names(&prompts, "prompts", "name"), ["greet"], "{path}");
            assert_eq!(prompts.json()["result"]["prompts"][0]["arguments"][0]["name"], "name");
            check_kept(&prompts, true);
            let resources = ask("resources/list", json!({}));
            assert_eq!(names(&resources, "resources", "uri"), ["note://welcome"], "{path}");
            check_kept(&resources, true);
            let templates = ask("resources/templates/list", json!({}));
            assert_eq!(names(&templates, "resourceTemplates", "uriTemplate"), ["note://tickets/{id}"]);
            check_kept(&templates, true);
            let prompt = ask("prompts/get", greet("greet"));
            assert_eq!(prompt.json()["result"]["messages"][0]["content"]["text"], "Greet Ada.", "{prompt:?}");
            check_kept(&prompt, false);
            for (uri, text) in [
                ("note://welcome", "Welcome to the desk."),
                ("note://tickets/7", "Ticket 7: the printer is on fire."),
            ] {
                let read = ask("resources/read", json!({ "uri": uri }));
                assert_eq!(read.json()["result"]["contents"][0]["text"], text, "{read:?}");
                check_kept(&read, true);
            }
            let by_prompt =
                ask("completion/complete", complete(json!({ "type": "ref/prompt", "name": "greet" })));
            assert_eq!(
                by_prompt.json()["result"]["completion"]["values"],
                json!(["Ada", "Alan"]),
                "{by_prompt:?}"
            );
            check_kept(&by_prompt, false);
            let mut wanted = complete(json!({ "type": "ref/resource", "uri": "note://tickets/{id}" }));
            wanted["argument"]["value"] = json!("10");
            let by_template = ask("completion/complete", wanted);
            assert_eq!(
                by_template.json()["result"]["completion"]["values"],
                json!(["1001", "1002"]),
                "{by_template:?}"
            );
            let hidden =
                ask("completion/complete", complete(json!({ "type": "ref/prompt", "name": "fire" })));
            assert_eq!(error(&hidden), (200, -32602, "Unknown prompt: fire".into()));
        }
    }
}

#[test]
fn a_tenant_sees_its_own_of_all_servers() {
    let gateway = gateway();
    let session = Session::open(&gateway, "/mcp", ACME, "2025-11-25");
    let prompts = session.ask("prompts/list", &json!({}));
    let expected = ["asks__greet", "crm__greet", "forced__greet", "new__greet", "old__greet"];
    assert_eq!(names(&prompts, "prompts", "name"), expected);
    let prompt = session.ask("prompts/get", &greet("old__greet"));
    assert_eq!(prompt.json()["result"]["messages"][0]["content"]["text"], "Greet Ada.");
    // What several servers list is no one's; who sees it of one server alone reads it there.
    assert_eq!(names(&session.ask("resources/list", &json!({})), "resources", "uri"), [""; 0]);
    let shared = session.ask("resources/read", &json!({ "uri": "note://welcome" }));
    assert_eq!(error(&shared), (200, -32002, "Resource not found: note://welcome".into()));
    let shared = session.ask("resources/read", &json!({ "uri": "note://tickets/1" }));
    assert_eq!(error(&shared).1, -32002);
    let globex = |method: &str, params: Value| modern(&gateway, "/mcp", GLOBEX, method, params);
    assert_eq!(names(&globex("prompts/list", json!({})), "prompts", "name"), [""; 0]);
    assert_eq!(names(&globex("resources/list", json!({})), "resources", "uri"), ["note://welcome"]);
    let templates = globex("resources/templates/list", json!({}));
    assert_eq!(names(&templates, "resourceTemplates", "uriTemplate"), ["note://tickets/{id}"]);
    for (uri, found) in [("note://welcome", true), ("note://tickets/12", true), ("note://tickets/2", false)] {
        let read = globex("resources/read", json!({ "uri": uri })).json();
        assert_eq!(read["result"]["contents"][0]["uri"].as_str() == Some(uri), found, "{read}");
    }
    let paged = session.ask("prompts/list", &json!({ "cursor": "" }));
    assert_eq!(error(&paged), (200, -32602, "Invalid cursor".into()));
}

#[test]
fn what_is_not_seen_is_not_there() {
    let gateway = gateway();
    for path in ["/mcp", "/mcp/crm"] {
        let session = Session::open(&gateway, path, ACME, "2025-11-25");
        let prefix = if path == "/mcp" { "crm__" } else { "" };
        let prompt = |name: &str| {
            let answer = session.ask("prompts/get", &greet(&format!("{prefix}{name}")));
            (answer.status, answer.body.replace(name, "X"))
        };
        assert_eq!(prompt("fire"), prompt("none"));
        assert!(
            prompt("fire").1.contains(&format!("\"code\":-32602,\"message\":\"Unknown prompt: {prefix}X\""))
        );
        let legacy = |uri: &str| {
            let answer = session.ask("resources/read", &json!({ "uri": uri }));
            (answer.status, answer.body.replace(uri, "X"))
        };
        let new = |uri: &str| {
            let answer = modern(&gateway, path, ACME, "resources/read", json!({ "uri": uri }));
            (answer.status, answer.body.replace(uri, "X"))
        };
        // Hidden by a rule; not there; a resource that a template leads to and the server does not know.
        for uri in ["note://none", "other://x", "note://tickets/x"] {
            assert_eq!(
                (legacy("note://secret"), new("note://secret")),
                (legacy(uri), new(uri)),
                "{path} {uri}"
            );
        }
        assert!(legacy("note://secret").1.contains(r#""code":-32002,"message":"Resource not found: X""#));
        assert!(new("note://secret").1.contains(r#""code":-32602,"message":"Resource not found: X""#));
    }
    assert_eq!(session_free(&gateway, "prompts/get", json!({ "arguments": {} })).1, -32602);
    assert_eq!(session_free(&gateway, "resources/read", json!({ "uri": 7 })).1, -32602);
    let audit = gateway.lines("audit", "acme", 24);
    let has = |tool: &str, reason: &str| {
        audit.iter().any(|line| line["tool"] == tool && line["reason"] == reason && line["place"] == "mcp")
    };
    assert!(has("crm__prompt__fire", "Ask support."));
    // A server may have more than it lists: of one that is named, the rules decide on it.
    let decided = |line: &&Value| line["tool"] == "crm__resource__note://none";
    assert!(audit.iter().filter(decided).any(|line| line["decision"] == "allow"), "{audit:?}");
    let nowhere = |line: &&Value| line["reason"] == "there is no such resource";
    assert!(audit.iter().any(|line| nowhere(&line)), "{audit:?}");
    assert!(has("crm__resource__note://secret", "Ask support."), "{audit:?}");
    let seen = gateway.seen().to_string();
    assert!(!seen.contains("fire\\\"") && !seen.contains("note://secret"), "{seen}");
}

fn session_free(gateway: &Gateway, method: &str, params: Value) -> (u16, i64, String) {
    let answer = modern(gateway, "/mcp/crm", ACME, method, params);
    error(&answer)
}

#[test]
fn what_is_seen_is_decided_by_its_arguments_and_limits() {
    let gateway = gateway();
    let ask = |path: &str, method: &str, params: Value| modern(&gateway, path, ACME, method, params);
    let denied = |answer: &Answer| {
        let (status, code, message) = error(answer);
        assert_eq!(
            (status, code, &answer.json()["error"]["data"]["code"]),
            (200, -32602, &json!("tool_not_allowed"))
        );
        message
    };
    let bob = json!({ "name": "greet", "arguments": { "name": "Bob" } });
    let answer = ask("/mcp/crm", "prompts/get", bob);
    assert_eq!(denied(&answer), "Denied: no rule allows it with these arguments");
    for arguments in [json!([]), json!({ "name": 7 })] {
        let answer = ask("/mcp/crm", "prompts/get", json!({ "name": "greet", "arguments": arguments }));
        assert_eq!(error(&answer).2, "`arguments` is not an object of strings");
    }
    let forced = ask("/mcp/forced", "prompts/get", greet("greet"));
    assert_eq!(forced.json()["result"]["messages"][0]["content"]["text"], "Greet forced.");
    let welcome = || json!({ "uri": "note://welcome" });
    let answer = ask("/mcp/forced", "resources/read", welcome());
    assert_eq!(denied(&answer), "Denied: a rule sets its arguments, and a resource takes none");
    let answer = ask("/mcp/limited", "resources/read", json!({ "uri": "note://tickets/9" }));
    assert_eq!(denied(&answer), "Denied: no rule allows it with these arguments");
    assert!(ask("/mcp/limited", "resources/read", welcome()).json()["result"].is_object());
    let answer = ask("/mcp/limited", "resources/read", welcome());
    assert!(denied(&answer).starts_with("Denied: its limit of 1/hour is used up"), "{answer:?}");
    for (method, params) in [("prompts/get", greet("greet")), ("resources/read", welcome())] {
        let answer = ask("/mcp/asks", method, params);
        assert_eq!(denied(&answer), "Denied: no person approved this call within 1s");
    }
    let lines = gateway.lines("audit", "acme", 10);
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line["tool"].as_str().unwrap(), line["decision"].as_str().unwrap()))
        .collect();
    let expected = [
        ("crm__prompt__greet", "deny"),
        ("forced__prompt__greet", "allow"),
        ("forced__resource__note://welcome", "deny"),
        ("limited__resource__note://tickets/9", "deny"),
        ("limited__resource__note://welcome", "allow"),
        ("limited__resource__note://welcome", "deny"),
        ("asks__prompt__greet", "ask"),
        ("asks__prompt__greet", "deny"),
        ("asks__resource__note://welcome", "ask"),
        ("asks__resource__note://welcome", "deny"),
    ];
    assert_eq!(told, expected);
    let log = gateway.lines("log", "acme", 10);
    let read = log.iter().find(|line| line["completion"] == "Welcome to the desk.").unwrap();
    assert_eq!((&read["dialect"], &read["upstream"]), (&json!("mcp"), &json!("limited")));
}

#[test]
fn a_limit_of_the_tenants_denies_what_is_decided() {
    let gateway = gateway();
    for _ in 0..12 {
        modern(&gateway, "/mcp", GLOBEX, "server/discover", json!({}));
    }
    let answer = modern(&gateway, "/mcp", GLOBEX, "resources/read", json!({ "uri": "note://welcome" }));
    let (status, code, message) = error(&answer);
    assert!(
        (status, code) == (200, -32602) && message.starts_with("Denied: too many requests"),
        "{answer:?}"
    );
    assert_eq!(answer.json()["error"]["data"]["code"], "rate_limit_exceeded");
}

#[test]
fn the_gateway_says_what_its_servers_do() {
    let gateway = gateway();
    let about = |path: &str, key: &str| {
        let discovered = modern(&gateway, path, key, "server/discover", json!({})).json();
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": { "protocolVersion": "2025-06-18" } });
        let opened = crate::mcp::ask(&gateway, path, key, "", &body.to_string()).json();
        let result = discovered["result"].clone();
        for member in ["capabilities", "instructions", "serverInfo"] {
            assert_eq!(result.get(member), opened["result"].get(member), "{path} {member}");
        }
        assert_eq!(result["serverInfo"]["name"], "tollgate");
        assert_eq!(result["supportedVersions"].as_array().unwrap().len(), 4);
        (result["capabilities"].clone(), result["instructions"].as_str().map(ToOwned::to_owned))
    };
    let changing = json!({ "listChanged": true });
    let all = json!({ "completions": {}, "prompts": changing, "resources": changing, "tools": changing });
    let text = "Tickets are opened with create_ticket.";
    for path in ["/mcp/crm", "/mcp/old", "/mcp/new"] {
        assert_eq!(about(path, ACME), (all.clone(), Some(text.to_owned())), "{path}");
    }
    // A server that is not there takes away its own, and one without prompts has none.
    for path in ["/mcp/dead", "/mcp/plain"] {
        assert_eq!(about(path, ACME), (json!({ "tools": changing }), None), "{path}");
        let session = Session::open(&gateway, path, ACME, "2025-11-25");
        if path == "/mcp/plain" {
            assert_eq!(names(&session.ask("prompts/list", &json!({})), "prompts", "name"), [""; 0]);
        }
    }
    let (merged, instructions) = about("/mcp", ACME);
    assert_eq!(merged, all);
    let headings: Vec<_> =
        ["asks", "crm", "forced", "limited", "new", "old"].map(|name| format!("# {name}\n\n{text}")).into();
    assert_eq!(instructions, Some(headings.join("\n\n")));
    // Of what a tenant may not ask for nothing is said.
    let (globex, _) = about("/mcp", GLOBEX);
    assert_eq!(globex, json!({ "completions": {}, "resources": changing, "tools": changing }));
    let seen = gateway.seen();
    let plain =
        seen.as_array().unwrap().iter().map(ToString::to_string).filter(|hit| hit.contains("/mcp/tools"));
    assert!(plain.clone().count() > 0 && !plain.clone().any(|hit| hit.contains("prompts/list")), "{seen}");
}

#[test]
fn a_server_that_never_answers_takes_away_its_own() {
    // Connections are taken, and nothing is ever said.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let tenants = "\n  acme:\n    keys: [{ id: prod, sha256: @ACME@ }]\n    tools: [{ allow: \"*\" }]\n";
    let gateway = Gateway::with_mock(tenants, |mock| {
        format!(
            "  crm: {{ kind: mcp, url: \"http://127.0.0.1:{mock}/mcp\" }}\n  mute: {{ kind: mcp, url: \"http://127.0.0.1:{port}/mcp\" }}\n"
        )
    });
    let started = Instant::now();
    let about = modern(&gateway, "/mcp", ACME, "server/discover", json!({})).json();
    let took = started.elapsed();
    assert!(took > Duration::from_secs(4) && took < Duration::from_secs(9), "{took:?}");
    assert_eq!(about["result"]["instructions"], "# crm\n\nTickets are opened with create_ticket.");
    assert!(about["result"]["capabilities"]["resources"].is_object());
    // For a moment it is not asked again.
    let started = Instant::now();
    let about = modern(&gateway, "/mcp/mute", ACME, "server/discover", json!({})).json();
    assert_eq!(about["result"]["capabilities"], json!({ "tools": { "listChanged": true } }));
    assert!(started.elapsed() < Duration::from_secs(3));
}
