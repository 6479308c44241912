//! The laws of explanations: what is told agrees with what is decided.

use super::*;
use crate::{
    call::Place,
    json::parse,
    policy::{
        Caller, Source,
        glob::{Glob, Globs},
        matcher::Matcher,
    },
};
use proptest::prelude::*;

const WHENS: [&str; 5] =
    ["args.n > 5", "place == 'mcp'", "args.to.all(a, a == 'x')", "args.n", "tenant.labels.plan == 'pro'"];

/// Effect, glob, shadow, number of a condition, kinds of tests, value to force.
type Spec = (u8, String, bool, usize, Vec<u8>, Option<u8>);

fn specs() -> impl Strategy<Value = Vec<Spec>> {
    let tests = proptest::collection::vec(0..8u8, 0..3);
    let rule =
        (0..3u8, "[ab*?]{1,3}", any::<bool>(), 0..WHENS.len() + 2, tests, proptest::option::of(0..2u8));
    proptest::collection::vec(rule, 0..8)
}

fn arguments() -> impl Strategy<Value = Option<&'static str>> {
    proptest::sample::select(vec![
        None,
        Some("not JSON"),
        Some("{}"),
        Some("[]"),
        Some(r#"{"n":7}"#),
        Some(r#"{"n":"7","to":["x"]}"#),
        Some(r#"{"n":3.5,"to":["x","y"],"s":{"t":"a"}}"#),
        Some(r#"{"n":6,"to":"x","s":1}"#),
    ])
}

fn test(kind: u8) -> Test {
    let value = |text: &str| parse(text.as_bytes(), 8).unwrap().into_owned();
    match kind {
        0 => Test::Absent(true),
        1 => Test::Absent(false),
        2 => Test::In(vec![value("7"), value("\"7\"")]),
        3 => Test::Is(value("6")),
        4 => Test::Like(Glob::new("7*")),
        5 => Test::Max("5".to_owned()),
        6 => Test::Min("5".to_owned()),
        _ => Test::regex("[0-9]").unwrap(),
    }
}

fn policy(specs: &[Spec]) -> Policy {
    let path = |text: &str| Path::new(text).unwrap();
    let rule = |(line, (effect, glob, shadow, when, tests, set)): (u32, &Spec)| Rule {
        effect: [Effect::Deny, Effect::Ask, Effect::Allow][usize::from(*effect)],
        tools: [Glob::new(glob)].into_iter().collect(),
        args: match tests.as_slice() {
            [] => Vec::new(),
            tests => vec![Matcher { path: path("n"), tests: tests.iter().map(|kind| test(*kind)).collect() }],
        },
        when: WHENS.get(*when).map(|source| Condition::compile(source).unwrap()),
        set: set.iter().map(|kind| (path("s.t"), Value::string(["a", "b"][usize::from(*kind)]))).collect(),
        reason: None,
        mode: if *shadow { Mode::Shadow } else { Mode::Enforce },
        limit: None,
        within: std::time::Duration::from_secs(600),
        source: Source::new("tenants/acme.yaml", line),
        layer: 0,
    };
    Policy::new((1..).zip(specs).map(rule).collect())
}

/// What a decision comes to, to be compared.
fn told(decision: &Decision<'_>) -> String {
    let shadow = decision.shadow.map(|(outcome, rule)| (outcome, rule.source.to_string()));
    let source = decision.source().map(ToString::to_string);
    format!("{:?} {source:?} {} {:?} {shadow:?}", decision.outcome, decision.reason, decision.rewritten)
}

/// What the listed rules say must be what was decided.
fn agrees(explanation: &Explanation<'_>, narrowed: bool) {
    for rule in &explanation.rules {
        let conditions = Truth::all(rule.conditions.iter().map(Checked::truth));
        assert_eq!(conditions, rule.truth, "{rule:?}");
        // An ask may decide that only some arguments would meet.
        let asks_openly =
            rule.rule.effect == Effect::Ask && rule.truth == Truth::Open && rule.role != Role::None;
        assert!(asks_openly || (rule.role == Role::None) != rule.applies(), "{rule:?}");
    }
    let enforced = || explanation.rules.iter().filter(|rule| rule.rule.mode == Mode::Enforce);
    let applies = |effect| enforced().any(|rule| rule.rule.effect == effect && rule.applies());
    let decision = &explanation.decision;
    let decided: Vec<&Rule> =
        enforced().filter(|rule| rule.role == Role::Decided).map(|rule| rule.rule).collect();
    match decision.rule {
        Some(rule) => assert!(decided.len() == 1 && ptr::eq(decided[0], rule), "{explanation:?}"),
        None => assert!(decided.is_empty(), "{explanation:?}"),
    }
    match (decision.outcome, decision.rule) {
        (Outcome::Allow, _) => {
            assert!(applies(Effect::Allow) && !applies(Effect::Deny) && !applies(Effect::Ask));
        }
        (Outcome::Ask, rule) => {
            assert!(rule.is_some_and(|rule| rule.effect == Effect::Ask) && !applies(Effect::Deny));
        }
        (Outcome::Deny, Some(rule)) => assert!(rule.effect == Effect::Deny || rule.effect == Effect::Allow),
        (Outcome::Deny, None) => assert!(narrowed || !applies(Effect::Deny) && !applies(Effect::Allow)),
    }
    let shadow = explanation.rules.iter().filter(|rule| matches!(rule.role, Role::WouldDecide(_)));
    let by_shadow_rule = decision.shadow.is_some_and(|(_, rule)| rule.mode == Mode::Shadow);
    assert_eq!(shadow.count(), usize::from(by_shadow_rule), "{explanation:?}");
}

proptest! {
    #[test]
    fn what_is_told_is_what_is_decided(
        specs in specs(), tool in "[ab]{0,3}", args in arguments(),
        place in proptest::sample::select(vec![Place::Emitted, Place::Http, Place::Mcp, Place::Offered]),
        key in proptest::option::of("[ab*]{1,2}"),
    ) {
        let policy = policy(&specs);
        let caller = Caller::new("acme", "prod", &[("plan", "pro")]);
        let globs: Option<Globs> = key.map(|glob| [Glob::new(&glob)].into_iter().collect());
        let args = args.map_or(Arguments::Open, |text| Arguments::read(text, 8));
        let question = Question {
            caller: &caller, key_tools: globs.as_ref(), tool: &tool, args: &args, place, now: 0,
        };
        let explanation = policy.explain(&question);
        prop_assert_eq!(told(&explanation.decision), told(&policy.decide(&question)));
        let narrowed = tool.is_empty() || globs.as_ref().is_some_and(|globs| !globs.matches(&tool));
        agrees(&explanation, narrowed);
    }
}

#[test]
fn roles() {
    let rule = |effect, glob: &str, line| {
        Rule::plain(effect, [Glob::new(glob)].into_iter().collect(), Source::new("a.yaml", line))
    };
    let shadow = |rule| Rule { mode: Mode::Shadow, ..rule };
    let check = |rules: Vec<Rule>, args: &Arguments<'_>, expected: &[(&str, Role, bool)]| {
        let policy = Policy::new(rules);
        let caller = Caller::new("acme", "", &[]);
        let question =
            Question { caller: &caller, key_tools: None, tool: "get_x", args, place: Place::Emitted, now: 0 };
        let explanation = policy.explain(&question);
        let found: Vec<(String, Role, bool)> = explanation
            .rules
            .iter()
            .map(|rule| (rule.rule.source.to_string(), rule.role, rule.is_reached()))
            .collect();
        let expected: Vec<(String, Role, bool)> =
            expected.iter().map(|(source, role, reached)| ((*source).to_owned(), *role, *reached)).collect();
        assert_eq!(found, expected);
    };
    let none = Arguments::read("{}", 8);
    check(
        vec![rule(Effect::Allow, "*", 1), rule(Effect::Allow, "get_*", 2), rule(Effect::Deny, "b", 3)],
        &none,
        &[("a.yaml:2", Role::Decided, true), ("a.yaml:1", Role::Joined, true)],
    );
    check(
        vec![rule(Effect::Allow, "*", 1), rule(Effect::Deny, "get_*", 2), rule(Effect::Deny, "*_x", 3)],
        &none,
        &[
            ("a.yaml:2", Role::Decided, true),
            ("a.yaml:3", Role::Overruled, false),
            ("a.yaml:1", Role::Overruled, false),
        ],
    );
    check(
        vec![
            rule(Effect::Allow, "*", 1),
            shadow(rule(Effect::Deny, "get_*", 2)),
            shadow(rule(Effect::Allow, "*x", 3)),
        ],
        &none,
        &[
            ("a.yaml:2", Role::WouldDecide(Outcome::Deny), true),
            ("a.yaml:3", Role::WouldApply, true),
            ("a.yaml:1", Role::Decided, true),
        ],
    );
    let conditional =
        Rule { when: Some(Condition::compile("args.n > 5").unwrap()), ..rule(Effect::Allow, "*", 1) };
    check(vec![conditional], &Arguments::Open, &[("a.yaml:1", Role::Decided, false)]);
}
