//! The laws of `extends`: a layer only narrows those above it, whatever it says and in whatever order.

use super::*;

fn on(layer: u8, rule: Rule) -> Rule {
    Rule { layer, ..rule }
}

#[test]
fn a_child_narrows_and_nothing_else() {
    let parent =
        || vec![rule(Effect::Allow, "get_*"), rule(Effect::Ask, "pay"), rule(Effect::Deny, "get_secret")];
    let check = |own: Vec<Rule>, expected: [Outcome; 4]| {
        let shown = format!("{own:?}");
        let policy =
            Policy::new(parent().into_iter().chain(own.into_iter().map(|rule| on(1, rule))).collect());
        let tools = ["get_x", "pay", "get_secret", "send"];
        assert_eq!(tools.map(|tool| decide(&policy, tool, &known("{}")).outcome), expected, "{shown}");
    };
    let (allow, ask, deny) = (Outcome::Allow, Outcome::Ask, Outcome::Deny);
    check(vec![], [allow, ask, deny, deny]);
    check(vec![rule(Effect::Allow, "*")], [allow, ask, deny, deny]);
    check(vec![rule(Effect::Allow, "get_y")], [deny, deny, deny, deny]);
    check(vec![rule(Effect::Allow, "pay")], [deny, ask, deny, deny]);
    check(vec![rule(Effect::Ask, "*")], [ask, ask, deny, deny]);
    check(vec![rule(Effect::Deny, "pay")], [allow, deny, deny, deny]);
    let shadow = Rule { mode: Mode::Shadow, ..rule(Effect::Allow, "get_y") };
    check(vec![shadow], [allow, ask, deny, deny]);
    let nothing = Policy::new(vec![on(1, rule(Effect::Allow, "*"))]);
    assert_eq!(decide(&nothing, "get_x", &known("{}")).outcome, Outcome::Deny);
}

#[test]
fn the_rule_that_decides_is_named_by_its_own_place() {
    let placed = |layer, effect, glob: &str, file: &str| Rule {
        layer,
        source: Source::new(file, 7),
        ..rule(effect, glob)
    };
    let policy = Policy::new(vec![
        placed(0, Effect::Allow, "*", "tenants/base.yaml"),
        placed(0, Effect::Deny, "rm", "tenants/base.yaml"),
        placed(1, Effect::Deny, "send", "tenants/acme.yaml"),
    ]);
    let check = |tool: &str, expected: &str| {
        let decision = decide(&policy, tool, &known("{}"));
        assert_eq!(decision.source().unwrap().to_string(), expected, "{tool}");
    };
    check("rm", "tenants/base.yaml:7");
    check("send", "tenants/acme.yaml:7");
    check("get", "tenants/base.yaml:7");
}

#[test]
fn a_child_cannot_force_what_its_parent_would_not_allow() {
    let most = Matcher { path: Path::new("n").unwrap(), tests: vec![Test::Max("100".into())] };
    let check = |parent: Vec<Rule>, forced: (Path, Value<'static>), args: &str, expected: Option<&str>| {
        let child = on(1, Rule { set: vec![forced], ..rule(Effect::Allow, "pay") });
        let shown = format!("{parent:?} {child:?} {args}");
        let policy = Policy::new(parent.into_iter().chain([child]).collect());
        let args = known(args);
        let decision = decide(&policy, "pay", &args);
        let rewritten = (decision.outcome == Outcome::Allow).then(|| decision.rewritten.unwrap().to_string());
        assert_eq!(rewritten.as_deref(), expected, "{shown}");
    };
    let number = |path: &str, value: &str| {
        (Path::new(path).unwrap(), parse(value.as_bytes(), 4).unwrap().into_owned())
    };
    let limited = || Rule { args: vec![most.clone()], ..rule(Effect::Allow, "pay") };
    check(vec![limited()], number("n", "50"), r#"{"n":1}"#, Some(r#"{"n":50}"#));
    check(vec![limited()], number("n", "500"), r#"{"n":1}"#, None);
    let own = || Rule { set: vec![set("filter.tenant", "acme")], ..rule(Effect::Allow, "*") };
    check(vec![own()], number("q", "1"), "{}", Some(r#"{"q":1,"filter":{"tenant":"acme"}}"#));
    check(vec![own()], set("filter.tenant", "globex"), "{}", None);
    check(vec![own()], set("filter.tenant.x", "globex"), "{}", None);
    check(vec![own()], number("filter", "{}"), "{}", Some(r#"{"filter":{"tenant":"acme"}}"#));
    let denied =
        || Rule { when: Some(Condition::compile("args.n == 7").unwrap()), ..rule(Effect::Deny, "pay") };
    check(vec![rule(Effect::Allow, "*"), denied()], number("n", "7"), r#"{"n":1}"#, None);
    check(vec![rule(Effect::Allow, "*"), denied()], number("n", "8"), r#"{"n":1}"#, Some(r#"{"n":8}"#));
}

/// How permissive an outcome is.
fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Deny => 0,
        Outcome::Ask => 1,
        Outcome::Allow => 2,
    }
}

/// Effect, glob, whether shadow, condition, what is forced, layer.
type Spec = (u8, String, bool, u8, u8, u8);

fn specs(layers: u8) -> impl Strategy<Value = Vec<Spec>> {
    proptest::collection::vec((0..3u8, "[ab*?]{1,2}", any::<bool>(), 0..4u8, 0..5u8, 0..layers), 0..12)
}

fn layered<'s>(specs: impl IntoIterator<Item = &'s Spec>) -> Policy {
    let rule = |(effect, glob, shadow, when, forced, layer): &Spec| {
        let effect = [Effect::Deny, Effect::Ask, Effect::Allow][usize::from(*effect)];
        let when = [None, Some("args.n > 5"), Some("place == 'emitted'"), Some("args.m.x == 'p'")]
            [usize::from(*when)];
        let forced = match forced {
            0 => vec![(Path::new("n").unwrap(), parse(b"9", 4).unwrap().into_owned())],
            1 => vec![set("m.x", "p")],
            2 => vec![set("m", "q")],
            _ => Vec::new(),
        };
        Rule {
            mode: if *shadow { Mode::Shadow } else { Mode::Enforce },
            when: when.map(|source| Condition::compile(source).unwrap()),
            set: if effect == Effect::Allow { forced } else { Vec::new() },
            layer: *layer,
            ..rule(effect, glob)
        }
    };
    Policy::new(specs.into_iter().map(rule).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn never_more_than_those_above_alone(
        specs in specs(4), tool in "[ab]{1,2}", n in 0..10, kind in 0..3
    ) {
        let text = format!(r#"{{"n":{n}}}"#);
        let args = match kind {
            0 => Arguments::Open,
            1 => Arguments::Unreadable,
            _ => known(&text),
        };
        let all = layered(&specs);
        let found = decide(&all, &tool, &args);
        for above in 1..4 {
            let policy = layered(specs.iter().filter(|spec| spec.5 < above));
            let alone = decide(&policy, &tool, &args);
            prop_assert!(rank(found.outcome) <= rank(alone.outcome), "{:?} {:?} {:?}", above, found, alone);
            // What the layers below made of the arguments is what those above would let out as it is.
            if let (Outcome::Allow, Some(out)) = (found.outcome, &found.rewritten) && found.rewritten != alone.rewritten {
                let again = decide(&policy, &tool, &Arguments::Known(out.clone()));
                prop_assert_eq!((again.outcome, again.rewritten), (Outcome::Allow, None), "{:?}", above);
            }
        }
    }

    #[test]
    fn order_plays_no_part_in_layers(specs in specs(3).prop_shuffle(), tool in "[ab]{1,2}", n in 0..10) {
        let text = format!(r#"{{"n":{n}}}"#);
        let (policy, other) = (layered(&specs), layered(specs.iter().rev()));
        let a = decide(&policy, &tool, &known(&text));
        let b = decide(&other, &tool, &known(&text));
        prop_assert_eq!((a.outcome, &a.reason, &a.rewritten), (b.outcome, &b.reason, &b.rewritten));
        prop_assert_eq!(a.shadow.map(|shadow| shadow.0), b.shadow.map(|shadow| shadow.0));
        prop_assert_eq!(a.source().map(ToString::to_string), b.source().map(ToString::to_string));
    }

    #[test]
    fn an_offer_stays_where_some_arguments_pass_in_layers(specs in specs(3), tool in "[ab]{1,2}", n in 0..10) {
        let text = format!(r#"{{"n":{n}}}"#);
        let policy = layered(&specs);
        if decide(&policy, &tool, &known(&text)).outcome == Outcome::Allow {
            prop_assert_ne!(decide(&policy, &tool, &Arguments::Open).outcome, Outcome::Deny);
        }
    }
}
