//! The laws of decisions, and tables of single rules.

mod layers;

use super::{
    condition::Condition,
    glob::Glob,
    matcher::{Matcher, Test},
    *,
};
use crate::{
    json::parse,
    quota::{CallLimit, Rate},
};
use proptest::prelude::*;

fn rule(effect: Effect, glob: &str) -> Rule {
    Rule::plain(effect, [Glob::new(glob)].into_iter().collect(), Source::new("tenants/acme.yaml", 1))
}

fn decide<'p>(policy: &'p Policy, tool: &str, args: &Arguments<'_>) -> Decision<'p> {
    let caller = Caller::new("acme", "prod", &[]);
    policy.decide(&Question { caller: &caller, key_tools: None, tool, args, place: Place::Emitted, now: 0 })
}

fn known(text: &str) -> Arguments<'_> {
    Arguments::Known(parse(text.as_bytes(), 16).unwrap())
}

fn set(path: &str, value: &'static str) -> (Path, Value<'static>) {
    (Path::new(path).unwrap(), Value::string(value))
}

#[test]
fn deny_wins_then_ask_then_allow_then_nothing() {
    let policy = Policy::new(vec![
        rule(Effect::Allow, "*"),
        rule(Effect::Ask, "crm__*"),
        rule(Effect::Deny, "*__delete_*"),
    ]);
    let check =
        |tool: &str, expected| assert_eq!(decide(&policy, tool, &known("{}")).outcome, expected, "{tool}");
    check("get_weather", Outcome::Allow);
    check("crm__create_ticket", Outcome::Ask);
    check("crm__delete_ticket", Outcome::Deny);
    check(&"a".repeat(300), Outcome::Deny);
    check("", Outcome::Deny);
    assert_eq!(decide(&Policy::default(), "x", &known("{}")).outcome, Outcome::Deny);
}

#[test]
fn conditions_fail_closed_and_offers_stay_if_some_arguments_could_pass() {
    let conditional =
        |effect| Rule { when: Some(Condition::compile("args.amount < 10").unwrap()), ..rule(effect, "pay") };
    let allow = Policy::new(vec![conditional(Effect::Allow)]);
    let deny = Policy::new(vec![rule(Effect::Allow, "*"), conditional(Effect::Deny)]);
    let ask = Policy::new(vec![rule(Effect::Allow, "*"), conditional(Effect::Ask)]);
    let check = |args: Arguments<'_>, expected: [Outcome; 3]| {
        let found = [&allow, &deny, &ask].map(|policy| decide(policy, "pay", &args).outcome);
        assert_eq!(found, expected, "{args:?}");
    };
    check(known(r#"{"amount":5}"#), [Outcome::Allow, Outcome::Deny, Outcome::Ask]);
    check(known(r#"{"amount":50}"#), [Outcome::Deny, Outcome::Allow, Outcome::Allow]);
    check(known("{}"), [Outcome::Deny, Outcome::Deny, Outcome::Ask]);
    check(Arguments::Unreadable, [Outcome::Deny, Outcome::Deny, Outcome::Ask]);
    check(Arguments::Open, [Outcome::Allow, Outcome::Allow, Outcome::Allow]);
}

#[test]
fn of_several_rules_that_ask_all_count() {
    let limit = |rule: &str| {
        let one = std::num::NonZeroU32::MIN;
        Some(CallLimit {
            rate: Rate { count: one, per: Duration::from_secs(60), burst: one },
            rule: rule.into(),
            names: std::sync::Arc::new([]),
        })
    };
    let parent = Rule { within: Duration::from_secs(5), limit: limit("a"), ..rule(Effect::Ask, "pay") };
    let reason = Some("Routine.".into());
    let child = Rule {
        within: Duration::from_secs(900),
        limit: limit("b"),
        reason,
        layer: 1,
        ..rule(Effect::Ask, "pa*")
    };
    for rules in [vec![parent.clone(), child.clone()], vec![child, parent]] {
        let policy = Policy::new([rules, vec![rule(Effect::Allow, "*")]].concat());
        let decision = decide(&policy, "pay", &known("{}"));
        assert_eq!((decision.outcome, decision.within), (Outcome::Ask, Some(Duration::from_secs(5))));
        assert_eq!((decision.limits.len(), decision.rule.unwrap().layer), (2, 0));
    }
}

#[test]
fn what_some_arguments_would_be_asked_about_is_offered() {
    let matcher = Matcher { path: Path::new("amount").unwrap(), tests: vec![Test::Min("100".into())] };
    let ask = Rule { args: vec![matcher], ..rule(Effect::Ask, "pay") };
    let check = |rules: Vec<Rule>, expected: [Outcome; 3]| {
        let policy = Policy::new(rules);
        let args = [Arguments::Open, known(r#"{"amount":100}"#), known(r#"{"amount":99}"#)];
        assert_eq!(args.map(|args| decide(&policy, "pay", &args).outcome), expected, "{policy:?}");
    };
    check(vec![ask.clone()], [Outcome::Ask, Outcome::Ask, Outcome::Deny]);
    check(vec![ask.clone(), rule(Effect::Allow, "*")], [Outcome::Allow, Outcome::Ask, Outcome::Allow]);
    check(vec![ask.clone(), rule(Effect::Deny, "*")], [Outcome::Deny; 3]);
    // A layer that must let the call through is one in which some arguments are asked about.
    let child = Rule { layer: 1, ..rule(Effect::Allow, "*") };
    check(vec![ask, child], [Outcome::Ask, Outcome::Ask, Outcome::Deny]);
}

#[test]
fn what_no_arguments_could_pass_is_not_offered() {
    let check = |effect: Effect, when: &str, expected: Outcome| {
        let conditional = Rule { when: Some(Condition::compile(when).unwrap()), ..rule(effect, "pay") };
        let rules = if effect == Effect::Allow {
            vec![conditional]
        } else {
            vec![rule(Effect::Allow, "*"), conditional]
        };
        assert_eq!(
            decide(&Policy::new(rules), "pay", &Arguments::Open).outcome,
            expected,
            "{effect:?} {when}"
        );
    };
    for when in [
        "tenant.name == 'other' && args.x == 1",
        "args.x == 1 && tenant.name == 'other'",
        "args.x == 1 && false",
    ] {
        check(Effect::Allow, when, Outcome::Deny);
        check(Effect::Deny, when, Outcome::Allow);
        check(Effect::Ask, when, Outcome::Allow);
    }
    check(Effect::Deny, "tool == 'pay' || args.x == 1", Outcome::Deny);
    check(Effect::Ask, "args.x == 1 || tool == 'pay'", Outcome::Ask);
    check(Effect::Allow, "tool == 'pay' && args.x == 1", Outcome::Allow);
    check(Effect::Allow, "args.x == 1 ? true : false", Outcome::Allow);
    check(Effect::Allow, "has(args.x)", Outcome::Allow);
}

#[test]
fn no_key_beside_the_one_that_is_decided_on_passes_for_it() {
    let matcher = |test: Test| Matcher { path: Path::new("amount").unwrap(), tests: vec![test] };
    let allow =
        |test: Test| Policy::new(vec![Rule { args: vec![matcher(test)], ..rule(Effect::Allow, "pay") }]);
    let when = |source: &str| {
        let when = Some(Condition::compile(source).unwrap());
        Policy::new(vec![Rule { when, ..rule(Effect::Allow, "pay") }])
    };
    let forced = Policy::new(vec![Rule { set: vec![set("amount", "1")], ..rule(Effect::Allow, "pay") }]);
    let outcome = |policy: &Policy, text: &str| decide(policy, "pay", &Arguments::read(text, 8)).outcome;
    let twins = r#"{"amount":1,"Amount":999}"#;
    let policies = [
        allow(Test::Max("100".into())),
        when("args.amount <= 100"),
        forced,
        allow(Test::Absent(true)),
        when("!has(args.amount)"),
    ];
    for policy in &policies {
        assert_eq!(outcome(policy, twins), Outcome::Deny, "{policy:?}");
        assert_eq!(outcome(policy, r#"{"Amount":999}"#), Outcome::Deny, "{policy:?}");
    }
    for (policy, text) in policies.iter().zip([r#"{"amount":1}"#, r#"{"amount":1}"#, "{}", "{}", "{}"]) {
        assert_eq!(outcome(policy, text), Outcome::Allow, "{policy:?}");
    }
    // What no condition looks at may be named as it likes.
    assert_eq!(outcome(&Policy::new(vec![rule(Effect::Allow, "pay")]), twins), Outcome::Allow);
}

#[test]
fn matchers_are_conditions_too() {
    let matcher = Matcher { path: Path::new("amount").unwrap(), tests: vec![Test::Max("100".into())] };
    let policy = Policy::new(vec![Rule { args: vec![matcher], ..rule(Effect::Allow, "pay") }]);
    assert_eq!(decide(&policy, "pay", &known(r#"{"amount":100}"#)).outcome, Outcome::Allow);
    assert_eq!(decide(&policy, "pay", &known(r#"{"amount":101}"#)).outcome, Outcome::Deny);
    assert_eq!(decide(&policy, "pay", &Arguments::Unreadable).outcome, Outcome::Deny);
    assert_eq!(decide(&policy, "pay", &Arguments::Open).outcome, Outcome::Allow);
}

#[test]
fn every_matching_allow_forces_its_values() {
    let policy = Policy::new(vec![
        rule(Effect::Allow, "kb__*"),
        Rule { set: vec![set("filter.tenant", "acme")], ..rule(Effect::Allow, "kb__search") },
    ]);
    let decision = decide(&policy, "kb__search", &known(r#"{"q":"x","filter":{"tenant":"globex"}}"#));
    assert_eq!(decision.rewritten.unwrap().to_string(), r#"{"q":"x","filter":{"tenant":"acme"}}"#);
    let same = decide(&policy, "kb__search", &known(r#"{"filter":{"tenant":"acme"}}"#));
    assert_eq!((same.outcome, same.rewritten), (Outcome::Allow, None));
    for args in [Arguments::Unreadable, known("[]"), known("null")] {
        assert_eq!(decide(&policy, "kb__search", &args).outcome, Outcome::Deny);
    }
    let conflict = Policy::new(vec![
        Rule { set: vec![set("t", "a")], ..rule(Effect::Allow, "x") },
        Rule { set: vec![set("t", "b")], ..rule(Effect::Allow, "*") },
    ]);
    assert_eq!(decide(&conflict, "x", &known("{}")).outcome, Outcome::Deny);
}

#[test]
fn what_a_person_approves_is_forced_too() {
    let policy = Policy::new(vec![
        rule(Effect::Ask, "pay"),
        Rule { set: vec![set("tenant", "acme")], ..rule(Effect::Allow, "*") },
    ]);
    let decision = decide(&policy, "pay", &known(r#"{"tenant":"globex"}"#));
    let rewritten = decision.rewritten.map(|value| value.to_string());
    assert_eq!((decision.outcome, rewritten.as_deref()), (Outcome::Ask, Some(r#"{"tenant":"acme"}"#)));
    assert_eq!(decide(&policy, "pay", &Arguments::Unreadable).outcome, Outcome::Deny);
}

#[test]
fn shadow_rules_tell_and_do_not_act() {
    let policy = Policy::new(vec![
        rule(Effect::Allow, "*"),
        Rule { mode: Mode::Shadow, ..rule(Effect::Deny, "shell") },
    ]);
    let decision = decide(&policy, "shell", &known("{}"));
    assert_eq!(decision.outcome, Outcome::Allow);
    assert_eq!(decision.shadow.unwrap().0, Outcome::Deny);
    assert!(decide(&policy, "other", &known("{}")).shadow.is_none());
}

#[test]
fn a_key_only_narrows() {
    let policy = Policy::new(vec![rule(Effect::Allow, "get_*")]);
    let caller = Caller::new("acme", "batch", &[]);
    let check = |globs: &[&str], tool: &str, expected| {
        let globs: Globs = globs.iter().map(|glob| Glob::new(glob)).collect();
        let question = Question {
            caller: &caller,
            key_tools: Some(&globs),
            tool,
            args: &known("{}"),
            place: Place::Emitted,
            now: 0,
        };
        assert_eq!(policy.decide(&question).outcome, expected);
    };
    check(&[], "get_x", Outcome::Deny);
    check(&["*"], "get_x", Outcome::Allow);
    check(&["*"], "send", Outcome::Deny);
    check(&["get_y"], "get_x", Outcome::Deny);
}

fn rules() -> impl Strategy<Value = Vec<(u8, String, bool, u8)>> {
    proptest::collection::vec((0..3u8, "[ab*?]{1,3}", any::<bool>(), 0..3u8), 0..10)
}

fn compile(specs: &[(u8, String, bool, u8)]) -> Policy {
    let effect = |n: u8| [Effect::Deny, Effect::Ask, Effect::Allow][usize::from(n)];
    let when = |n: u8| match n {
        0 => None,
        1 => Some(Condition::compile("args.n > 5").unwrap()),
        _ => Some(Condition::compile("place == 'emitted'").unwrap()),
    };
    Policy::new(
        specs
            .iter()
            .map(|(e, glob, shadow, w)| Rule {
                mode: if *shadow { Mode::Shadow } else { Mode::Enforce },
                when: when(*w),
                ..rule(effect(*e), glob)
            })
            .collect(),
    )
}

proptest! {
    #[test]
    fn order_plays_no_part(specs in rules(), seed in any::<u64>(), tool in "[ab]{1,3}", n in 0..10) {
        let mut shuffled = specs.clone();
        let mut state = seed;
        for at in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(at, usize::try_from(state >> 33).unwrap() % (at + 1));
        }
        let text = format!(r#"{{"n":{n}}}"#);
        let (policy, other) = (compile(&specs), compile(&shuffled));
        let a = decide(&policy, &tool, &known(&text));
        let b = decide(&other, &tool, &known(&text));
        prop_assert_eq!(a.outcome, b.outcome);
        prop_assert_eq!(a.shadow.map(|s| s.0), b.shadow.map(|s| s.0));
    }

    #[test]
    fn without_a_matching_allow_nothing_passes(specs in rules(), tool in "[ab]{1,3}", args in any::<bool>()) {
        let allowed = specs.iter()
            .any(|(effect, glob, shadow, _)| *effect == 2 && !shadow && Glob::new(glob).matches(&tool));
        let args = if args { known("{}") } else { Arguments::Unreadable };
        let policy = compile(&specs);
        if !allowed {
            prop_assert_ne!(decide(&policy, &tool, &args).outcome, Outcome::Allow);
        }
    }

    #[test]
    fn what_passes_with_arguments_was_offered(specs in rules(), tool in "[ab]{1,3}", n in 0..10) {
        let text = format!(r#"{{"n":{n}}}"#);
        let policy = compile(&specs);
        if decide(&policy, &tool, &known(&text)).outcome == Outcome::Allow {
            prop_assert_ne!(decide(&policy, &tool, &Arguments::Open).outcome, Outcome::Deny);
        }
    }
}
