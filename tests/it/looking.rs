//! Commands that look at a configuration, by the real binary: what they say of it, and what they need for that.

use crate::support::run;
use std::fs;

const SHA: &str = "000000000000000000000000000000000000000000000000000000000000000a";

/// A configuration whose models cost this, with a key that has these members more.
fn written(price: &str, key: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "upstreams:\n  a: {{ kind: openai, url: \"https://a.example/v1\", auth: {{ bearer: {{ env: NOT_SET_HERE }} }} }}\n  crm: {{ kind: mcp, url: \"https://crm.example/mcp\", pin: enforce }}\nmodels: {{ \"gpt-*\": {{ upstream: a, price: {{ input: {price}, output: 1 }} }} }}\nrecords: {{ secret: {{ file: not-here }} }}\ntenants:\n  acme:\n    keys: [{{ id: k, sha256: {SHA}{key} }}]\n    limits: {{ requests: 600/min }}\n    models: [\"gpt-*\"]\n    tools: [{{ allow: \"crm__*\" }}]\n"
    );
    fs::write(dir.path().join("tollgate.yaml"), text).unwrap();
    dir
}

#[test]
fn a_configuration_is_checked_without_its_secrets() {
    let dir = written("1", "");
    let (status, out, _) = run(&["check", "--config", "tollgate.yaml"], dir.path(), "");
    assert!(status == 1 && out.contains("NOT_SET_HERE") && out.contains("--without-secrets"), "{out}");
    let command = ["check", "--strict", "--without-secrets", "--config", "tollgate.yaml"];
    let (status, out, error) = run(&command, dir.path(), "");
    assert!(status == 0 && out.starts_with("ok: 1 tenant, 0 warnings"), "{out} {error}");
    // Whatever else is wrong is told as ever.
    let file = dir.path().join("tollgate.yaml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("upstream: a,", "upstream: b,")).unwrap();
    let (status, out, _) = run(&command, dir.path(), "");
    assert!(status == 1 && out.contains("tollgate.yaml:4"), "{out}");
}

#[test]
fn a_change_of_prices_is_told() {
    let (old, new) = (written("1", ""), written("2.5", ""));
    let paths = [&old, &new].map(|dir| dir.path().to_str().unwrap().to_owned());
    let (status, out, _) = run(&["diff", &paths[0], &paths[1], "--exit-code"], old.path(), "");
    assert_eq!(status, 1, "{out}");
    let said = "the model gpt-* costs 2.5 for input, 1 for output (USD a million tokens), not 1 for input, 1 for output";
    assert!(out.contains(said), "{out}");
    assert_eq!(run(&["diff", &paths[0], &paths[0], "--exit-code"], old.path(), "").0, 0);
}

#[test]
fn a_key_of_few_names_is_not_told_to_reach_all_of_them() {
    let dir = written("1", ", models: [\"gpt-?\"], tools: [\"crm__??\"]");
    let (status, out, _) = run(&["access", "--config", "tollgate.yaml", "--format", "json"], dir.path(), "");
    assert_eq!(status, 0, "{out}");
    let said: serde_json::Value = serde_json::from_str(&out).unwrap();
    let row = said.as_array().map_or(&said["access"][0], |rows| &rows[0]);
    let reach = |list: &str, name: &str| {
        let entry = row[list].as_array().unwrap().iter().find(|entry| entry["name"] == name).unwrap();
        entry["access"].as_str().unwrap().to_owned()
    };
    assert_eq!((reach("models", "gpt-*"), reach("tools", "crm__*")), ("if".into(), "no".into()), "{out}");
    assert_eq!(reach("tools", "crm__??"), "yes");
}

#[test]
fn the_schema_refuses_what_loading_refuses_of_a_rule() {
    let (status, schema, _) = run(&["schema"], std::path::Path::new("."), "");
    assert_eq!(status, 0);
    let validator = jsonschema::draft202012::new(&serde_json::from_str(&schema).unwrap()).unwrap();
    let check = |rule: serde_json::Value, fits: bool| {
        let tenant = serde_json::json!({ "tenants": { "acme": { "tools": [rule] } } });
        assert_eq!(validator.is_valid(&tenant), fits, "{rule}");
    };
    check(serde_json::json!({ "allow": "x", "limit": "1/day", "set": { "a": 1 } }), true);
    check(serde_json::json!({ "ask": "x", "limit": "1/day" }), true);
    check(serde_json::json!({ "deny": "x" }), true);
    check(serde_json::json!({ "deny": "x", "limit": "1/day" }), false);
    check(serde_json::json!({ "deny": "x", "set": { "a": 1 } }), false);
    check(serde_json::json!({ "ask": "x", "set": { "a": 1 } }), false);
}
