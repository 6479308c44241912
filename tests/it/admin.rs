//! The admin API that people's tools ask: records, tenants at a glance, rules in their own words, explained calls.

use crate::support::{ACME, Answer, GLOBEX, Gateway, chat, run, tools};
use serde_json::Value;

const ACME_FILE: &str = r#"tenant: acme
keys: [{ id: prod, sha256: @ACME@ }]
models: ["gpt-*", fast]
tools:
  - allow: ["get_*"]
  # Why not.
  - deny: "delete_*"
    reason: Deletions go through support.
  - allow: fetch
    set: { api_key: hunter2-secret, region: eu }
  - allow: pay
    args: { amount: { max: 10 } }
"#;
const GLOBEX_FILE: &str = "tenant: globex
keys: [{ id: prod, sha256: @GLOBEX@ }]
models: [gpt-5]
tools:
  - allow: [\"get_*\"]
budget: 5 USD/day
";
const FILES: [(&str, &str); 2] = [("tenants/acme.yaml", ACME_FILE), ("tenants/globex.yaml", GLOBEX_FILE)];

fn records(gateway: &Gateway, query: &str) -> (Vec<Value>, Value) {
    let answer = gateway.admin_get(&format!("/admin/records?{query}"));
    assert_eq!(answer.status, 200, "{query}: {}", answer.body);
    let told = answer.json();
    (told["records"].as_array().unwrap().clone(), told)
}

fn explain(gateway: &Gateway, body: &str) -> Answer {
    gateway.admin_post("/admin/explain", body)
}

#[test]
fn records_are_paged_filtered_followed_and_each_tenants_own() {
    let gateway = Gateway::with_tenants_in(&FILES);
    for number in 0..7 {
        gateway.chat(ACME, &chat(&format!("!call delete_it {{\"n\":{number}}}"), ""));
    }
    gateway.chat(ACME, &chat("!call get_it {}", ""));
    gateway.chat(GLOBEX, &chat("!call get_secret {\"of\":\"globex\"}", ""));
    gateway.lines("audit", "acme", 8);
    gateway.lines("log", "acme", 8);
    let (all, _) = records(&gateway, "tenant=acme");
    assert_eq!(all.len(), 16);
    assert!(all.iter().all(|one| one["record"]["tenant"] == "acme"));
    let times: Vec<&str> = all.iter().map(|one| one["record"]["time"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    // Page by page the same, whatever the pages' size.
    for limit in [1, 3, 100] {
        let (mut paged, mut cursor) = (Vec::new(), String::new());
        loop {
            let (part, told) = records(&gateway, &format!("tenant=acme&limit={limit}&cursor={cursor}"));
            paged.extend(part);
            let Some(older) = told["older"].as_str() else { break };
            cursor = older.to_owned();
        }
        assert_eq!(paged, all, "{limit}");
    }
    let (denied, told) = records(&gateway, "tenant=acme&tool=delete_%2A&decision=deny");
    assert_eq!(denied.len(), 7);
    // One of them whole, as it stands in the file.
    let (whole, _) = records(&gateway, &format!("tenant=acme&at={}", denied[0]["at"].as_str().unwrap()));
    let lines = gateway.lines("audit", "acme", 8);
    assert!(lines.contains(&whole[0]["record"]));
    // What comes since, and nothing of what was there before.
    let newer = told["newer"].as_str().unwrap();
    assert_eq!(records(&gateway, &format!("tenant=acme&after={newer}")).0.len(), 0);
    gateway.chat(ACME, &chat("!call delete_it {\"n\":99}", ""));
    gateway.lines("audit", "acme", 9);
    gateway.lines("log", "acme", 9);
    let (fresh, _) = records(&gateway, &format!("tenant=acme&kind=audit&after={newer}"));
    assert_eq!(fresh.len(), 1);
    // A place in another tenant's file is none of this one's.
    let (other, _) = records(&gateway, "tenant=globex&kind=audit");
    assert_eq!(other.len(), 1);
    for tenant in ["..", "acme/../globex", "%2e%2e/globex", "_operator", "ACME", ""] {
        assert_eq!(gateway.admin_get(&format!("/admin/records?tenant={tenant}")).status, 400, "{tenant}");
    }
    assert_eq!(gateway.admin_get("/admin/records?tenant=nobody").status, 404);
}

#[test]
fn tenants_and_series_tell_what_the_ledger_does() {
    let gateway = Gateway::with_tenants_in(&FILES);
    for _ in 0..3 {
        gateway.chat(ACME, &chat("Hello", ""));
    }
    gateway.chat(ACME, &chat("!call delete_it {}", ""));
    gateway.chat(GLOBEX, &chat("Hello", ""));
    let usage: Vec<Value> = serde_json::from_value(gateway.admin_get("/admin/usage").json()).unwrap();
    let sum = |tenant: &str, name: &str| -> f64 {
        let own = usage.iter().filter(|row| row["tenant"] == tenant);
        own.map(|row| row[name].as_f64().unwrap()).sum()
    };
    for since in ["24h", "1h"] {
        let told = gateway.admin_get(&format!("/admin/tenants?since={since}")).json();
        assert_eq!(told["count"], 2);
        for row in told["tenants"].as_array().unwrap() {
            let tenant = row["tenant"].as_str().unwrap();
            for name in ["requests", "denied", "input_tokens", "output_tokens", "cost_usd"] {
                let (found, expected) = (row[name].as_f64().unwrap(), sum(tenant, name));
                assert!((found - expected).abs() < 1e-9, "{since} {tenant} {name}: {found} {expected}");
            }
            assert!(
                row["p99_ms"].as_f64().unwrap() > 0.0 && row["per_second"].as_f64().unwrap() > 0.0,
                "{row}"
            );
        }
        assert_eq!(told["all"]["requests"], 5);
    }
    let one = gateway.admin_get("/admin/tenants?tenant=globex").json();
    assert_eq!(
        (one["count"].as_u64(), one["tenants"][0]["budgets"][0]["limit_usd"].as_u64()),
        (Some(1), Some(5))
    );
    for step in ["hour", "minute"] {
        let told = gateway.admin_get(&format!("/admin/series?tenant=acme&step={step}")).json();
        let points = told["points"].as_array().unwrap();
        let requests: u64 = points.iter().map(|point| point["requests"].as_u64().unwrap()).sum();
        assert_eq!(requests, 4, "{step}: {told}");
    }
    for bad in ["tenants?limit=0", "tenants?since=x", "tenants?x=1", "series?step=x", "series?tenant=.."] {
        assert_eq!(gateway.admin_get(&format!("/admin/{bad}")).status, 400, "{bad}");
    }
}

#[test]
fn a_call_is_explained_as_the_command_explains_it_and_with_its_rules_words() {
    let gateway = Gateway::with_tenants_in(&FILES);
    let cases = [
        ("get_it", None, None),
        ("delete_it", Some(r#"{"id":12345678901234567890}"#), None),
        ("pay", Some(r#"{"amount":11}"#), Some("mcp")),
        ("pay", Some(r#"{"amount":1e1}"#), Some("http")),
        ("fetch", Some("{}"), None),
        ("unknown", Some("null"), None),
    ];
    for (tool, args, place) in cases {
        let mut command = vec![
            "explain",
            "--config",
            "tollgate.yaml",
            "--tenant",
            "acme",
            "--key",
            "prod",
            "--tool",
            tool,
            "--format",
            "json",
        ];
        let mut body = format!(r#"{{"tenant":"acme","key":"prod","tool":"{tool}""#);
        if let Some(args) = args {
            command.extend(["--args", args]);
            body += &format!(r#","args":{args}"#);
        }
        if let Some(place) = place {
            command.extend(["--place", place]);
            body += &format!(r#","place":"{place}""#);
        }
        let (status, out, err) = run(&command, gateway.dir.path(), "");
        assert_eq!(status, 0, "{err}");
        let mut expected: Value = serde_json::from_str(&out).unwrap();
        let answer = explain(&gateway, &format!("{body}}}"));
        assert_eq!(answer.status, 200, "{}", answer.body);
        let mut told = answer.json();
        assert!(
            !answer.body.contains("hunter2") || answer.body.contains("\"after\""),
            "only `set` itself tells what it sets"
        );
        for rule in told["rules"].as_array_mut().unwrap() {
            let yaml = rule.as_object_mut().unwrap().remove("yaml").unwrap();
            let text = yaml["lines"].to_string();
            assert!(text.contains(tool.split('_').next().unwrap()) && !text.contains("hunter2"), "{text}");
        }
        for object in [&mut told, &mut expected] {
            object.as_object_mut().unwrap().remove("config");
            // The command looks elsewhere only where no place is given.
            object.as_object_mut().unwrap().remove("elsewhere");
        }
        assert_eq!(told, expected, "{tool}");
    }
    for (body, status) in [
        ("", 400),
        ("[]", 400),
        (r#"{"tool":"x"}"#, 400),
        (r#"{"tenant":"acme","tool":"x","place":"there"}"#, 400),
        (r#"{"tenant":"acme","tool":"x","extra":1}"#, 400),
        (r#"{"tenant":"acne","tool":"x"}"#, 404),
        (r#"{"tenant":"acme","key":"prd","tool":"x"}"#, 404),
    ] {
        let answer = explain(&gateway, body);
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
    }
    assert!(explain(&gateway, r#"{"tenant":"acne","tool":"x"}"#).body.contains("did you mean `acme`?"));
    // Nothing of it is recorded.
    assert!(!gateway.dir.path().join("data/audit/acme").exists());
}

#[test]
fn a_rule_is_shown_as_it_was_loaded_to_whom_it_belongs() {
    let gateway = Gateway::with_tenants_in(&FILES);
    let rule =
        |tenant: &str, place: &str| gateway.admin_get(&format!("/admin/rule?tenant={tenant}&rule={place}"));
    let told = rule("acme", "tenants/acme.yaml:7").json();
    let lines = ["  - deny: \"delete_*\"", "    reason: Deletions go through support."];
    assert_eq!((&told["yaml"]["first"], &told["yaml"]["lines"]), (&7.into(), &serde_json::json!(lines)));
    assert!(!rule("acme", "tenants/acme.yaml:9").body.contains("hunter2"));
    // Another's rule, a line that is none, another file: all of it is not there.
    for (tenant, place) in [
        ("globex", "tenants/acme.yaml:7"),
        ("acme", "tenants/acme.yaml:2"),
        ("acme", "tollgate.yaml:1"),
        ("acme", "../../etc/passwd:1"),
        ("nobody", "tenants/acme.yaml:7"),
    ] {
        assert_eq!(rule(tenant, place).status, 404, "{tenant} {place}");
    }
    // What stands on disk and was not loaded is not shown.
    let path = gateway.dir.path().join("tenants/acme.yaml");
    let before = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, before.replace("Deletions", "Changes") + "nonsense: 1\n").unwrap();
    assert_eq!(gateway.reload().status, 422);
    assert!(rule("acme", "tenants/acme.yaml:7").body.contains("Deletions"));
    std::fs::write(&path, before.replace("Deletions", "Changes")).unwrap();
    assert_eq!(gateway.reload().status, 200);
    assert!(rule("acme", "tenants/acme.yaml:7").body.contains("Changes"));
}

#[test]
fn the_page_and_all_that_it_asks_for_is_for_those_who_may() {
    let files: Vec<(&str, &str)> = FILES.to_vec();
    let gateway =
        Gateway::with_all(" tenants/", &|_| String::new(), "admin_token: the-admin-token\n", &files);
    let page = gateway.admin_get("/");
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-security-policy")
            .unwrap()
            .starts_with("default-src 'none'; script-src 'sha256-")
    );
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let paths = [
        "records?tenant=acme",
        "tenants",
        "series",
        "rule?tenant=acme&rule=tenants/acme.yaml:7",
        "status",
        "approvals",
        "access",
    ];
    for path in paths {
        let ask = |more: &str| {
            let request =
                format!("GET /admin/{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{more}\r\n");
            gateway.raw_to(gateway.admin, &request).status
        };
        let token = "authorization: Bearer the-admin-token\r\n";
        assert_eq!((ask(&token.repeat(2)), ask(&token.replace("Bearer", "bearer"))), (401, 200), "{path}");
        assert_eq!((ask(""), ask("authorization: Bearer other\r\n"), ask(token)), (401, 401, 200), "{path}");
        assert_eq!(ask(&format!("{token}origin: http://evil.example\r\n")), 403, "{path}");
        assert_eq!(gateway.get(&format!("/admin/{path}"), ACME).status, 404, "never on the agents' port");
    }
    assert_eq!(gateway.get("/", ACME).status, 404);
    let foreign = "GET / HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    assert_eq!(gateway.raw_to(gateway.admin, foreign).status, 403);
    for path in ["/metrics", "/readyz", "/livez"] {
        let ask = |host: &str| {
            gateway
                .raw_to(
                    gateway.admin,
                    &format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"),
                )
                .status
        };
        // A page that has its name point here reads no tenant's name.
        assert_eq!((ask("evil.example"), ask("localhost"), ask("127.0.0.1")), (403, 200, 200), "{path}");
    }
    gateway.chat(ACME, &chat("hi", &tools(&["get_it"])));
    let address = format!("http://127.0.0.1:{}", gateway.admin);
    let (status, _, err) = run(&["top", "--admin", &address], gateway.dir.path(), "");
    assert!(status == 1 && err.contains("token"), "{err}");
    let (status, out, err) = run(&["top", "--config", "tollgate.yaml", "--once"], gateway.dir.path(), "");
    assert!(status == 0 && out.contains("acme") && out.contains("TENANT"), "{out}{err}");
}

/// Upstreams that are called as tools are among what a key reaches, on the admin port as in the command.
#[test]
fn who_reaches_what_is_told_alike_by_the_port_and_the_command() {
    let gateway = Gateway::with_mock(
        "\n  acme:\n    keys: [{ id: prod, sha256: @ACME@ }]\n    models: [gpt-5]\n    tools: [{ allow: [\"crm__*\", billing__refund, docs__query] }]\n  globex:\n    keys: [{ id: prod, sha256: @GLOBEX@ }]\n    models: [gpt-5]\n    tools: [{ allow: billing__void }]\n",
        |mock| {
            format!(
                "  crm: {{ kind: mcp, url: \"http://127.0.0.1:{mock}/mcp\" }}\n  billing: {{ kind: http, url: \"http://127.0.0.1:{mock}/api\", operations: {{ refund: \"POST /refunds\", void: \"POST /voids\" }} }}\n  docs: {{ kind: chroma, url: \"http://127.0.0.1:{mock}\", scope: field, tenant_field: tenant }}\n"
            )
        },
    );
    for (tenant, reached) in [("acme", vec!["billing", "crm", "docs"]), ("globex", vec!["billing"])] {
        let (status, out, err) = run(
            &["access", "--config", "tollgate.yaml", "--tenant", tenant, "--format", "json"],
            gateway.dir.path(),
            "",
        );
        assert_eq!(status, 0, "{err}");
        let command: Value = serde_json::from_str(&out).unwrap();
        let port = gateway.admin_get(&format!("/admin/access?tenant={tenant}")).json();
        // The command also knows in which line a model is allowed.
        for part in ["tools", "upstreams"] {
            assert_eq!(port["access"][0][part], command["access"][0][part]);
        }
        let upstreams = port["access"][0]["upstreams"].as_array().unwrap().iter();
        let called: Vec<&str> = upstreams
            .filter(|upstream| upstream["access"] != "no")
            .filter_map(|upstream| upstream["name"].as_str())
            .filter(|name| ["billing", "crm", "docs"].contains(name))
            .collect();
        assert_eq!(called, reached, "{port}");
    }
}
