//! Overviews agree with decisions.

use super::*;
use crate::{
    call::Arguments,
    json::{Value, parse},
    policy::{Outcome, Question, Source, condition::Condition, glob::Glob, matcher, path::Path},
};
use proptest::prelude::*;

fn rule(effect: Effect, glob: &str, when: &str, max: Option<u8>, shadow: bool) -> Rule {
    layered(effect, glob, when, max, (shadow, 0, None))
}

fn layered(
    effect: Effect,
    glob: &str,
    when: &str,
    max: Option<u8>,
    (shadow, layer, set): (bool, u8, Option<u8>),
) -> Rule {
    Rule {
        effect,
        tools: [Glob::new(glob)].into_iter().collect(),
        args: max
            .map(|max| matcher::Matcher {
                path: Path::new("n").unwrap(),
                tests: vec![matcher::Test::Max(max.to_string())],
            })
            .into_iter()
            .collect(),
        when: (!when.is_empty()).then(|| Condition::compile(when).unwrap()),
        set: set
            .filter(|_| effect == Effect::Allow)
            .map(|value| (Path::new("forced").unwrap(), Value::integer(value.into())))
            .into_iter()
            .collect(),
        reason: None,
        mode: if shadow { Mode::Shadow } else { Mode::Enforce },
        limit: None,
        within: std::time::Duration::from_secs(600),
        layer,
        source: Source::new("a.yaml", 1),
    }
}

fn whose(caller: &Caller) -> Whose<'_> {
    Whose { caller, key_is_known: true }
}

#[test]
fn table() {
    use Effect::{Allow, Ask, Deny};
    let check = |rules: &[(Effect, &str)], reach: Reach, conditions: &str| {
        let policy = Policy::new(rules.iter().map(|(e, when)| rule(*e, "t", when, None, false)).collect());
        let caller = Caller::new("acme", "prod", &[("plan", "pro")]);
        let found = policy.reach("t", whose(&caller));
        assert_eq!((found.reach, found.conditions().as_str()), (reach, conditions), "{rules:?}");
    };
    check(&[], Reach::No, "");
    check(&[(Allow, "")], Reach::Yes, "");
    check(&[(Allow, "args.n == 1")], Reach::If, "when args.n == 1");
    check(
        &[(Allow, "args.n == 2"), (Allow, "args.n == 1")],
        Reach::If,
        "when args.n == 1 or when args.n == 2",
    );
    check(&[(Allow, ""), (Deny, "args.n == 1")], Reach::If, "never when args.n == 1");
    check(&[(Allow, ""), (Ask, "place == 'mcp'")], Reach::If, "asks when place == 'mcp'");
    check(&[(Allow, ""), (Ask, "")], Reach::Asks, "");
    check(&[(Ask, "args.n == 1")], Reach::Asks, "asks when args.n == 1");
    check(&[(Allow, ""), (Deny, "")], Reach::No, "");
    // What depends on the tenant alone is settled.
    check(&[(Allow, "tenant.labels.plan == 'pro'")], Reach::Yes, "when tenant.labels.plan == 'pro'");
    check(&[(Allow, "tenant.labels.plan == 'free'")], Reach::No, "");
    check(&[(Allow, ""), (Deny, "tenant.labels.tier == 1")], Reach::No, "");
    check(&[(Allow, "key.id == 'prod'")], Reach::Yes, "when key.id == 'prod'");
}

proptest! {
    #[test]
    fn a_reach_agrees_with_every_decision(
        rules in proptest::collection::vec((0..3_u8, "[ab*]{1,2}", 0..5_usize, proptest::option::of(0..3_u8), (any::<bool>(), 0..3_u8, proptest::option::of(0..2_u8))), 0..6),
        tool in "[ab]{1,2}", args in proptest::sample::select(vec!["{}", r#"{"n":0}"#, r#"{"n":2}"#, r#"{"n":"x"}"#]),
        now in 0..2_i64, mcp in any::<bool>(),
    ) {
        const WHEN: [&str; 5] = ["", "args.n == 0", "place == 'mcp'", "now > timestamp('1970-01-01T00:00:00Z')", "tenant.name == 'acme'"];
        let effects = [Effect::Deny, Effect::Ask, Effect::Allow];
        let policy = Policy::new(rules.iter().map(|(effect, glob, when, max, more)| {
            layered(effects[usize::from(*effect)], glob, WHEN[*when], *max, *more)
        }).collect());
        let caller = Caller::new("acme", "prod", &[]);
        let reached = policy.reach(&tool, whose(&caller));
        let args: Value<'static> = parse(args.as_bytes(), 8).unwrap().into_owned();
        let args = Arguments::Known(args);
        let place = if mcp { Place::Mcp } else { Place::Http };
        let question = Question { caller: &caller, key_tools: None, tool: &tool, args: &args, place, now };
        let outcome = policy.decide(&question).outcome;
        let fits = match reached.reach {
            Reach::No => outcome == Outcome::Deny,
            Reach::Asks => outcome != Outcome::Allow,
            Reach::If => true,
            Reach::Yes => outcome == Outcome::Allow,
        };
        prop_assert!(fits, "{:?} {outcome:?}", reached.reach);
    }
}
