//! Laws of comparing: nothing passes for no change, and the order of rules is none.

use super::*;
use crate::{
    call::{Arguments, Place},
    json::parse,
    offline::Call,
};
use proptest::prelude::*;

const NOW: i64 = 1_800_000_000;

fn configuration(tenant: &str) -> Configuration {
    let dir = tempfile::tempdir().unwrap();
    let gateway = "tenants: tenants/\nupstreams: { a: { kind: openai, url: \"https://a.example\" } }\nmodels: { m: { upstream: a }, \"n*\": { upstream: a } }\n";
    std::fs::create_dir(dir.path().join("tenants")).unwrap();
    std::fs::write(dir.path().join("tollgate.yaml"), gateway).unwrap();
    std::fs::write(dir.path().join("tenants/acme.yaml"), format!("tenant: acme\n{tenant}")).unwrap();
    Configuration::read(&dir.path().join("tollgate.yaml"), NOW).unwrap()
}

fn texts(old: &str, new: &str) -> Vec<String> {
    let changes = diff(&configuration(old), &configuration(new), [Vec::new(), Vec::new()]);
    changes.into_iter().map(|change| format!("{}: {}", change.direction.as_str(), change.text)).collect()
}

#[track_caller]
fn check(old: &str, new: &str, expected: &[&str]) {
    assert_eq!(texts(old, new), expected, "{old}\n->\n{new}");
}

#[test]
fn prices() {
    let priced = |price: &str| {
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "upstreams: {{ a: {{ kind: openai, url: \"https://a.example\" }} }}\nmodels: {{ m: {{ upstream: a{price} }} }}\ntenants: {{ acme: {{}} }}\n"
        );
        std::fs::write(dir.path().join("tollgate.yaml"), text).unwrap();
        Configuration::read(&dir.path().join("tollgate.yaml"), NOW).unwrap()
    };
    let texts = |old: &str, new: &str| {
        let changes = diff(&priced(old), &priced(new), [Vec::new(), Vec::new()]);
        changes
            .into_iter()
            .map(|change| format!("{}: {}", change.direction.as_str(), change.text))
            .collect::<Vec<_>>()
    };
    let (none, one) = ("", ", price: { input: 1.25, output: 10 }");
    let dearer = ", price: { input: 1.25, output: 20.5 }";
    let said = "1.25 for input, 10 for output (USD a million tokens)";
    assert!(texts(one, one).is_empty() && texts(none, none).is_empty());
    assert_eq!(texts(none, one), [format!("changes: the model m costs {said}, not nothing")]);
    assert_eq!(texts(one, none), [format!("changes: the model m costs nothing, not {said}")]);
    assert_eq!(
        texts(one, dearer),
        [format!(
            "changes: the model m costs 1.25 for input, 20.5 for output (USD a million tokens), not {said}"
        )]
    );
}

#[test]
fn a_rule_that_is_widened_is_not_lost_and_one_that_is_narrowed_not_gained() {
    let gains = |name: &str| format!("gains: acme gains {name} through tenants/acme.yaml:2");
    for (wide, name) in [("[\"get_*\", new]", "new"), ("\"g*\"", "g*"), ("\"*\"", "*")] {
        let (narrow, wide) = ("tools: [{ allow: \"get_*\" }]", format!("tools: [{{ allow: {wide} }}]"));
        assert_eq!(texts(narrow, &wide), [gains(name)], "{wide}");
        let lost = texts(&wide, narrow);
        assert!(lost.len() == 1 && lost[0].starts_with(&format!("loses: acme loses {name}, ")), "{lost:?}");
    }
}

#[test]
fn tools() {
    check("tools: [{ allow: a }]", "tools: [{ allow: a }]", &[]);
    check("tools: [{ allow: a }, { deny: b }]", "tools: [{ deny: b }, { allow: a }]", &[]);
    check("", "tools: [{ allow: a }]", &["gains: acme gains a through tenants/acme.yaml:2"]);
    check(
        "tools: [{ allow: \"crm__*\" }]",
        "tools: [{ allow: \"crm__*\" }, { deny: \"*__delete_*\" }]",
        &[
            "loses: acme loses names like both *__delete_* and crm__*, which tenants/acme.yaml:2 gave; now tenants/acme.yaml:2 denies it",
        ],
    );
    // The same in other words: the rules are told where nothing shows.
    check(
        "tools: [{ allow: a }, { deny: b }]",
        "tools: [{ allow: a }]",
        &["changes: acme loses the rule at tenants/acme.yaml:2: deny b"],
    );
    check(
        "tools: [{ allow: a }, { deny: \"*\", mode: shadow }]",
        "tools: [{ allow: a }]",
        &["changes: acme loses the rule at tenants/acme.yaml:2: deny *, mode shadow"],
    );
    check(
        "tools: [{ allow: a, when: args.n == 1 }]",
        "tools: [{ allow: a, when: args.n == 2 }]",
        &[
            "changes: acme: a is allowed under other conditions: was when args.n == 1, now when args.n == 2 (tenants/acme.yaml:2)",
        ],
    );
    check(
        "labels: { plan: free }\ntools: [{ allow: a, when: tenant.labels.plan == \"pro\" }]",
        "labels: { plan: pro }\ntools: [{ allow: a, when: tenant.labels.plan == \"pro\" }]",
        &[
            "gains: acme gains a through tenants/acme.yaml:3",
            "changes: acme: labels.plan is \"pro\" now, was \"free\"",
        ],
    );
}

#[test]
fn what_is_extended_counts() {
    let inline = |parent: &str, child: &str| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tollgate.yaml");
        let text = format!(
            "upstreams: {{}}\nmodels: {{}}\ntenants:\n  base:\n    abstract: true\n{parent}  acme:\n    extends: base\n{child}"
        );
        std::fs::write(&path, text).unwrap();
        Configuration::read(&path, NOW).unwrap_or_else(|unfit| panic!("{:?}", unfit.problems))
    };
    let texts = |old: (&str, &str), new: (&str, &str)| -> Vec<String> {
        let (old, new) = (inline(old.0, old.1), inline(new.0, new.1));
        diff(&old, &new, [Vec::new(), Vec::new()]).into_iter().map(|change| change.text).collect()
    };
    let all = "    tools: [{ allow: \"*\" }]\n";
    // The first rule of a tenant's own that allows something takes all else away.
    assert_eq!(
        texts((all, ""), (all, "    tools: [{ allow: a }]\n")),
        [
            "acme loses *, which tollgate.yaml:6 gave; now no rule allows it",
            "acme gains the rule at tollgate.yaml:9: allow a",
        ]
    );
    assert_eq!(
        texts(
            ("    limits: { requests: 60/min }\n", "    limits: { requests: 30/min }\n"),
            ("    limits: { requests: 10/min }\n", "")
        ),
        ["acme: limits.requests is lowered to 10/min, was 30/min"]
    );
}

#[test]
fn models_keys_and_settings() {
    check(
        "models: [m]",
        "models: [\"n*\"]",
        &[
            "loses: acme loses the model m, which tenants/acme.yaml:2 gave; now the model is not among the tenant's",
            "gains: acme gains the model n* through tenants/acme.yaml:2",
        ],
    );
    let sha = |digit: char| digit.to_string().repeat(64);
    let key = |more: &str| format!("keys: [{{ id: k, sha256: \"{}\"{more} }}]", sha('a'));
    check(
        &key(""),
        &format!("keys: [{{ id: k, sha256: \"{}\" }}]", sha('b')),
        &["changes: acme: the key k is another credential now"],
    );
    check(&key(""), &key(", tools: []"), &["loses: acme: the key k is narrowed to the tools none now"]);
    check(&key(", tools: [b, a]"), &key(", tools: [a, b]"), &[]);
    check(
        &key(", tools: [a]"),
        &key(", tools: [\"a*\"]"),
        &["gains: acme: the key k is widened: it gains the tools a*"],
    );
    check(
        &key(", expires: 2030-01-01"),
        &key(", expires: 2031-01-01T06:00:00Z"),
        &["gains: acme: the key k expires later: at 2031-01-01T06:00:00Z, was after 2030-01-01"],
    );
    check(
        "limits: { requests: 60/min }",
        "limits: { requests: 1/s }",
        &["loses: acme: limits.requests is lowered to 1/s, was 60/min"],
    );
    check("", "budget: 12.50 USD/day", &["loses: acme: budget is 12.5 USD/day now, was not set"]);
    check("", "on_deny: notice\nredact: { detectors: all, wire: off }\nweight: 1", &[]);
}

fn rule() -> impl Strategy<Value = String> {
    let glob = "[ab*?]{1,3}";
    let effect = proptest::sample::select(vec!["allow", "ask", "deny"]);
    let more = proptest::sample::select(vec![
        "",
        ", when: args.n == 1",
        ", when: place == \"mcp\"",
        ", args: { n: { max: 3 } }",
        ", mode: shadow",
        ", reason: Because.",
    ]);
    (effect, glob, more).prop_map(|(effect, glob, more)| format!("{{ {effect}: \"{glob}\"{more} }}"))
}

fn rules() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(rule(), 0..5)
}

fn written(rules: &[String]) -> String {
    format!("tools: [{}]", rules.join(", "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_call_that_is_decided_otherwise_is_never_no_change(
        old in rules(), new in rules(), tool in "[ab]{1,3}",
        args in proptest::sample::select(vec!["{}", r#"{"n":1}"#, r#"{"n":9}"#]), mcp in any::<bool>(),
    ) {
        let (before, after) = (configuration(&written(&old)), configuration(&written(&new)));
        let args = Arguments::Known(parse(args.as_bytes(), 8).unwrap().into_owned());
        let call = Call { tool: &tool, args: &args, place: if mcp { Place::Mcp } else { Place::Http }, now: NOW };
        let decided = |configuration: &Configuration| {
            let decision = configuration.asker("acme", None).unwrap().decide(&call);
            (decision.outcome, decision.rule.map(|rule| rule.reason.clone()))
        };
        let changes = diff(&before, &after, [Vec::new(), Vec::new()]);
        prop_assert!(decided(&before) == decided(&after) || !changes.is_empty());
    }

    #[test]
    fn the_order_of_rules_is_no_change(rules in rules(), turn in 0..5_usize) {
        let mut turned = rules.clone();
        turned.reverse();
        turned.rotate_left(turn.min(rules.len()));
        prop_assert_eq!(texts(&written(&rules), &written(&turned)), Vec::<String>::new());
    }

    #[test]
    fn what_is_gained_one_way_is_lost_the_other(old in rules(), new in rules()) {
        let (old, new) = (configuration(&written(&old)), configuration(&written(&new)));
        let told = |from: &Configuration, to: &Configuration, direction| -> BTreeSet<String> {
            let changes = diff(from, to, [Vec::new(), Vec::new()]);
            let wanted = changes.into_iter().filter(|change| change.kind == Kind::Tool && change.direction == direction);
            wanted.map(|change| change.name).collect()
        };
        prop_assert_eq!(told(&old, &new, Direction::Gains), told(&new, &old, Direction::Loses));
    }
}
