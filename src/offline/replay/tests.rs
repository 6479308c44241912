//! What was decided is decided so again, and what was redacted is never guessed.

use super::*;
use crate::{offline::Call, policy::Outcome};
use proptest::prelude::*;

const TIME: &str = "2027-01-15T08:00:00.000Z";
const NOW: i64 = 1_800_000_000;

fn configuration(tools: &str) -> Configuration {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "upstreams: {{}}\nmodels: {{}}\ntenants:\n  acme:\n    keys: [{{ id: k, sha256: \"{}\", tools: [\"a*\"] }}, {{ id: all, sha256: \"{}\" }}]\n    tools: {tools}\n",
        "a".repeat(64),
        "b".repeat(64)
    );
    let path = dir.path().join("tollgate.yaml");
    std::fs::write(&path, text).unwrap();
    Configuration::read(&path, NOW).unwrap_or_else(|unfit| panic!("{:?}", unfit.problems))
}

fn record(
    tool: &str,
    args: &serde_json::Value,
    decided: (&str, Option<&str>, &str),
    key: &str,
    place: &str,
) -> String {
    let (decision, rule, reason) = decided;
    serde_json::json!({
        "time": TIME, "tenant": "acme", "key": key, "place": place, "tool": tool, "args": args, "args_hmac": "00",
        "decision": decision, "rule": rule, "reason": reason, "mode": "enforce", "by": null,
    })
    .to_string()
}

fn replayed(configuration: &Configuration, line: &str) -> (Totals, Vec<Change>) {
    let (mut totals, mut changes) = (Totals::default(), Vec::new());
    Decider::new(configuration).line(line.as_bytes(), &mut totals, &mut changes);
    (totals, changes)
}

#[test]
fn what_conditions_read_decides_whether_it_can_be_told() {
    let check = |tools: &str, args: serde_json::Value, expected: &str| {
        let line = record("a", &args, ("ask", Some("x.yaml:1"), ""), "all", "emitted");
        let (totals, changes) = replayed(&configuration(tools), &line);
        let found = match changes.first() {
            Some(change) => change.now.as_str(),
            None if totals.all().untold == 1 => "cannot tell",
            None => "ask",
        };
        assert_eq!(found, expected, "{tools} {args}");
    };
    let mail = "[EMAIL_ADDRESS:abcdefghijklmnop]";
    let args = |json: &str| serde_json::from_str(&json.replace('@', mail)).unwrap();
    let like = "[{ allow: a, args: { to: { like: \"x*\" }, n: { max: 3 } } }]";
    check(like, args(r#"{"to":"x1","n":1,"other":"@"}"#), "allow");
    check(like, args(r#"{"to":"@","n":1}"#), "cannot tell");
    check(like, args(r#"{"to":"a @ b","n":1}"#), "cannot tell");
    // Another condition fails already.
    check(like, args(r#"{"to":"@","n":5}"#), "deny");
    // A name that was redacted may have been the one that is looked for.
    check(like, args(r#"{"@":"x","n":1}"#), "cannot tell");
    let when = "[{ allow: a, when: 'args.to.all(t, t.endsWith(\"x\"))' }]";
    check(when, args(r#"{"to":["x"],"cc":["@"]}"#), "allow");
    check(when, args(r#"{"to":["x","@"]}"#), "cannot tell");
    check("[{ allow: a, args: { to: { absent: true } } }]", args(r#"{"to":"@"}"#), "deny");
    // Whatever stood there, it is the same.
    check("[{ allow: a }, { deny: a }, { ask: a, args: { to: { is: x } } }]", args(r#"{"to":"@"}"#), "deny");
    check("[{ allow: a }, { deny: a, args: { to: { is: x } } }]", args(r#"{"to":"@"}"#), "cannot tell");
    check("[{ allow: a, set: { to: x } }]", args(r#"{"to":"@"}"#), "allow");
    check("[{ ask: a }]", args(r#"{"to":"@"}"#), "ask");
}

#[test]
fn what_is_skipped() {
    let configuration = configuration("[{ allow: a }]");
    let count = |line: &str| {
        let (totals, _) = replayed(&configuration, line);
        [totals.shadow, totals.by_person, totals.by_no_rule, totals.unreadable, totals.all().decided]
    };
    let line = record("a", &serde_json::json!({}), ("deny", None, "no rule allows it"), "all", "http");
    assert_eq!(count(&line), [0, 0, 0, 0, 1]);
    assert_eq!(count(&line.replace("enforce", "shadow")), [1, 0, 0, 0, 0]);
    assert_eq!(count(&line.replace("\"by\":null", "\"by\":\"ann\"")), [0, 1, 0, 0, 0]);
    let asked = line.replace("no rule allows it", "no person approved this call within 10 minutes");
    assert_eq!(count(&asked), [0, 1, 0, 0, 0]);
    let limited = record(
        "a",
        &serde_json::json!({}),
        ("deny", Some("x:1"), "its limit of 2/hour is used up; there is another call in 1 s"),
        "all",
        "http",
    );
    assert_eq!(count(&limited), [0, 0, 1, 0, 0]);
    assert_eq!(count(&line.replace("no rule allows it", "something else")), [0, 0, 1, 0, 0]);
    for broken in ["", "{", "[]", "{}", &line.replace("deny", "maybe"), &line.replace("http", "htpp")] {
        assert_eq!(count(broken), [0, 0, 0, 1, 0], "{broken}");
    }
}

fn rule() -> impl Strategy<Value = String> {
    let effect = proptest::sample::select(vec!["allow", "ask", "deny"]);
    let more = proptest::sample::select(vec![
        "",
        ", when: args.n == 1",
        ", when: 'place == \"mcp\" && key.id == \"k\"'",
        ", when: 'now > timestamp(\"2030-01-01T00:00:00Z\")'",
        ", args: { n: { max: 3 } }",
        ", args: { s: { like: \"a*\" } }",
        ", mode: shadow",
    ]);
    (effect, "[ab*?]{1,3}", more).prop_map(|(effect, glob, more)| format!("{{ {effect}: \"{glob}\"{more} }}"))
}

fn args() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "{}",
        r#"{"n":1,"s":"ab"}"#,
        r#"{"n":9,"s":"b"}"#,
        r#"{"n":"x"}"#,
        "[]",
        "7",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_was_decided_is_decided_so_again(
        rules in proptest::collection::vec(rule(), 0..5), tool in "[ab]{1,3}", args in args(),
        key in proptest::sample::select(vec!["k", "all"]), place in proptest::sample::select(vec![Place::Mcp, Place::Emitted]),
    ) {
        let configuration = configuration(&format!("[{}]", rules.join(", ")));
        let value = json::parse(args.as_bytes(), 8).unwrap();
        let call = Call { tool: &tool, args: &Arguments::Known(value), place, now: NOW };
        let asker = configuration.asker("acme", Some(key)).unwrap();
        let decision = asker.decide(&call);
        let rule = decision.source().map(ToString::to_string);
        let decided = (decision.outcome.as_str(), rule.as_deref(), &*decision.reason);
        let line = record(&tool, &serde_json::from_str(args).unwrap(), decided, key, place.as_str());
        let (totals, changes) = replayed(&configuration, &line);
        prop_assert_eq!((totals.all(), changes), (Counts { decided: 1, changed: 0, untold: 0 }, Vec::new()));
        prop_assert_eq!(totals.by_no_rule + totals.unreadable, 0);
    }

    #[test]
    fn what_is_told_of_redacted_arguments_is_so_whatever_stood_there(
        rules in proptest::collection::vec(rule(), 0..5), tool in "[ab]{1,2}",
        s in proptest::sample::select(vec!["ab", "b", "", "a"]), n in 0..5_u8,
    ) {
        let configuration = configuration(&format!("[{}]", rules.join(", ")));
        let decided = {
            let value = json::parse(format!(r#"{{"n":{n},"s":"{s}"}}"#).as_bytes(), 8).unwrap().into_owned();
            let call = Call { tool: &tool, args: &Arguments::Known(value), place: Place::Http, now: NOW };
            configuration.asker("acme", Some("all")).unwrap().decide(&call).outcome
        };
        let redacted = serde_json::json!({ "n": n, "s": "[US_SSN:abcdefghijklmnop]" });
        for was in [Outcome::Allow, Outcome::Ask, Outcome::Deny] {
            let line = record(&tool, &redacted, (was.as_str(), Some("x.yaml:1"), ""), "all", "http");
            let (totals, changes) = replayed(&configuration, &line);
            if totals.all().untold == 0 {
                prop_assert_eq!(changes.first().map_or(was, |change| change.now), decided);
            }
        }
    }
}
