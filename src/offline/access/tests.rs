//! The matrix of a configuration that runs, without its files.

use super::*;

fn configuration(tenants: &str) -> Configuration {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tollgate.yaml");
    let gateway = "upstreams:\n  a: { kind: openai, url: \"https://a.example\" }\nmodels: { m: { upstream: a }, \"n-*\": { upstream: a } }\ntenants:\n";
    std::fs::write(&path, format!("{gateway}{tenants}")).unwrap();
    Configuration::read(&path, 0).unwrap_or_else(|unfit| panic!("{:?}", unfit.problems))
}

#[test]
fn entries() {
    let check = |tenant: &str, key: &str, expected: &[&str]| {
        let sha = "a".repeat(64);
        let text = format!("  acme:\n    keys: [{{ id: k, sha256: \"{sha}\"{key} }}]\n{tenant}");
        let configuration = configuration(&text);
        let looked = Looked { snapshot: &configuration.snapshot, configuration: None, now: 0 };
        let rows = looked.matrix(&Universe::of_snapshot(&configuration.snapshot), None);
        let row = rows.first().unwrap();
        let all = row.models.iter().chain(&row.tools).chain(&row.upstreams);
        let found: Vec<String> =
            all.map(|entry| format!("{} {} {}", entry.name, entry.reach.as_str(), entry.about)).collect();
        assert_eq!(found, expected, "{tenant} {key}");
    };
    check("", "", &["m no a", "n-* no a", "a no "]);
    check("    models: [n-1]\n", "", &["m no a", "n-* if a; only n-1", "a if "]);
    check("    models: [\"*\"]\n", ", models: [m]", &["m yes a", "n-* no a", "a yes "]);
    // A key that may ask for some of a glob's names may not ask for all of them, however few letters tell.
    check("    models: [\"n-*\"]\n", ", models: [\"n-?\"]", &["m no a", "n-* if a; only n-?", "a if "]);
    check(
        "    tools: [{ allow: \"crm__*\" }]\n",
        ", tools: [\"crm__??\"]",
        &["m no a", "n-* no a", "crm__* no ", "crm__?? yes ", "a no "],
    );
    // What a key's list and a rule have in common is named by neither.
    check(
        "    tools: [{ allow: \"crm__*\" }]\n",
        ", tools: [\"*__read\"]",
        &["m no a", "n-* no a", "crm__* no ", "names like both crm__* and *__read yes ", "a no "],
    );
    check(
        "    tools: [{ allow: x, when: key.id == \"k\" }, { allow: y, when: key.id == \"other\" }]\n",
        "",
        &["m no a", "n-* no a", "x yes when key.id == \"k\"", "y no ", "a no "],
    );
}

#[test]
fn who_can_is_what_the_matrix_says() {
    let sha = |digit: &str| digit.repeat(64);
    let tenants = format!(
        "  a:\n    keys: [{{ id: k, sha256: \"{}\" }}, {{ id: none, sha256: \"{}\", tools: [] }}]\n    tools: [{{ allow: x }}]\n  b:\n    tools: [{{ ask: \"*\" }}]\n  c:\n    tools: [{{ deny: x }}]\n",
        sha("a"),
        sha("b")
    );
    let configuration = configuration(&tenants);
    let said = json(&configuration.snapshot, 0, None, Some("x")).to_string();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let who: Vec<String> = said["who"]
        .as_array()
        .unwrap()
        .iter()
        .map(|who| format!("{} {} {}", who["tenant"], who["key"], who["access"]))
        .collect();
    assert_eq!(who, [r#""a" "k" "yes""#, r#""b" null "asks""#]);
}
