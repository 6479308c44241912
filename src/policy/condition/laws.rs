//! The laws of conditions: they answer what the `cel` crate answers, or nothing where they hold values of two types against
//! each other, and no condition on no arguments costs more than
//! the budget, or says yes once it is spent.

use super::*;
use crate::json::parse as json;
use cel::{Context, Value as Cel, objects::Key};
use proptest::prelude::*;
use std::{collections::HashMap, sync::Arc};

const ARGS: [&str; 4] = [
    r#"{"n":5,"d":1.5,"s":"abc","t":"","l":[1,2,3],"w":["a","abc"],"m":{"a":1,"b":null},"x":true}"#,
    r#"{"n":-1,"d":2.0,"s":"b","t":"é","l":[],"w":[],"m":{},"x":false}"#,
    r#"{"n":18446744073709551615,"d":5,"s":5,"l":[1.0,"1",null],"w":[[1]],"m":{"a":{"b":2}}}"#,
    "{}",
];

/// The whole expression, evaluated by the crate: without a bound.
fn reference(source: &str, args: &Value<'_>) -> Truth {
    let mut context = Context::default();
    context.add_variable_from_value("args", to_cel(args));
    context.add_variable_from_value("tool", "send_email");
    match Cel::resolve(&parse(source).unwrap(), &context) {
        Ok(Cel::Bool(truth)) => Truth::from(truth),
        Ok(_) | Err(_) => Truth::Unknown,
    }
}

fn to_cel(value: &Value<'_>) -> Cel {
    match value {
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Object(members) => {
            let member = |(key, value): &(_, Value<'_>)| (Key::from(format!("{key}")), to_cel(value));
            Cel::from(members.iter().map(member).collect::<HashMap<Key, Cel>>())
        }
        single => Datum::of(single).to_cel().unwrap(),
    }
}

/// The answer before the arguments are known.
fn open(condition: &Condition) -> Truth {
    let caller = Caller::new("acme", "prod", &[]);
    condition.holds_open(&Facts { caller: &caller, tool: "send_email", place: Place::Emitted, now: 0 })
}

fn ask(condition: &Condition, args: &str) -> (Truth, usize) {
    let caller = Caller::new("acme", "prod", &[]);
    let facts = Facts { caller: &caller, tool: "send_email", place: Place::Emitted, now: 0 };
    let args = json(args.as_bytes(), 64).unwrap();
    let (truth, steps) = condition.weigh(&facts, Some(&args));
    // An explanation answers as the decision does.
    assert_eq!(condition.evaluate(&facts, Some(&args)).map_or(Truth::Unknown, Truth::from), truth);
    (truth, steps)
}

/// A value of any type, of an expression so deep.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "1",
        "2u",
        "1.5",
        "-3",
        "'abc'",
        "'a'",
        "true",
        "false",
        "null",
        "args.n",
        "args.d",
        "args.s",
        "args.t",
        "args.l",
        "args.w",
        "args.m",
        "args.x",
        "args.none",
        "tool",
        "[1, 2]",
        "['a', 'abc']",
        "{'a': 1}",
        "i",
        "duration('1h')",
        "timestamp(0)",
        "9223372036854775807",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 3, |inner| {
        let two = (inner.clone(), inner.clone());
        let operator = prop::sample::select(vec![
            "&&", "||", "==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "in",
        ]);
        prop_oneof![
            4 => (two.clone(), operator).prop_map(|((a, b), o)| format!("({a} {o} {b})")),
            1 => inner.clone().prop_map(|a| format!("!({a})")),
            1 => inner.clone().prop_map(|a| format!("-({a})")),
            1 => (two.clone(), inner.clone()).prop_map(|((a, b), c)| format!("({a} ? {b} : {c})")),
            1 => (two.clone(), prop::sample::select(vec!["contains", "startsWith", "endsWith"]))
                .prop_map(|((a, b), f)| format!("({a}).{f}({b})")),
            1 => (inner.clone(), prop::sample::select(vec!["size", "string", "int", "uint", "double", "bool", "type"]))
                .prop_map(|(a, f)| format!("{f}({a})")),
            1 => inner.clone().prop_map(|a| format!("({a}).matches('^a.c?$')")),
            1 => two.clone().prop_map(|(a, b)| format!("({a})[{b}]")),
            1 => inner.clone().prop_map(|a| format!("({a}).a")),
            1 => inner.clone().prop_map(|a| format!("has(({a}).a)")),
            4 => (two, prop::sample::select(vec!["all", "exists", "exists_one", "map", "filter"]))
                .prop_map(|((a, b), f)| format!("({a}).{f}(i, {b})")),
            1 => (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a}).map(i, {b}, {c})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn an_answer_is_the_crate_s(source in value(), args in prop::sample::select(ARGS.to_vec())) {
        // A name outside of its loop is refused, and so is what is constant and cannot be computed.
        // The crate holds a large int against a double as doubles, which makes it another number.
        let is_rounded = source.contains("9223372036854775807") && source.contains("double(");
        if let Some(condition) = Condition::compile(&source).ok().filter(|_| !is_rounded) {
            let expected = reference(&source, &json(args.as_bytes(), 64).unwrap());
            let answer = ask(&condition, args).0;
            let compares = ["==", "!=", " in "].iter().any(|operator| source.contains(operator));
            prop_assert!(answer == expected || compares && answer == Truth::Unknown, "{} {}: {:?}, not {:?}", source, args, answer, expected);
        }
    }

    /// What is said before the arguments are known holds for all: unless it is open, no arguments make it another.
    #[test]
    fn what_is_not_open_holds_for_all_arguments(source in value(), args in prop::sample::select(ARGS.to_vec())) {
        if let Ok(condition) = Condition::compile(&source) {
            let before = open(&condition);
            let after = ask(&condition, args).0;
            prop_assert!(before == Truth::Open || before == after, "{} {}: {:?}, then {:?}", source, args, before, after);
        }
    }

    #[test]
    fn whatever_is_accepted_stays_in_the_budget(source in value(), n in 0..2000_usize) {
        let items = vec!["\"abc\""; n].join(",");
        let args = format!(r#"{{"n":1,"d":1.5,"s":"abc","t":"","l":[{items}],"w":[{items}],"m":{{}},"x":true}}"#);
        if let Ok(condition) = Condition::compile(&source) {
            prop_assert!(ask(&condition, &args).1 <= STEPS_MAX);
        }
    }
}

/// 256 KiB of arguments, as a caller may choose them to be the most work.
fn worst_arguments() -> [String; 4] {
    let members: Vec<String> = (0..20_000).map(|n| format!(r#""k{n:05}":1"#)).collect();
    [
        format!(r#"{{"a":[{}]}}"#, vec!["1"; 128 << 10].join(",")),
        format!(r#"{{"a":["{}"]}}"#, "a".repeat(256 << 10)),
        format!(r#"{{"a":[{}]}}"#, vec![format!("\"{}\"", "a".repeat(1000)); 256].join(",")),
        format!(r#"{{"a":{{{}}}}}"#, members.join(",")),
    ]
}

#[test]
fn the_most_work_ends_with_the_budget_and_is_no_answer() {
    let nested = |macros: &str| {
        let opened: String = "abcdefgh".chars().map(|name| format!("args.a.{macros}({name}, ")).collect();
        format!("{opened}true{}", ")".repeat(8))
    };
    let doubled = |start: &str| format!("{start}{}.size() > 0", ".map(x, x + x)".repeat(30));
    let sources = [
        nested("all"),
        format!("!({})", nested("exists").replace("true", "false")),
        nested("map") + ".size() >= 0",
        "args.a.all(x, args.a.all(y, args.a.all(z, x == y || true)))".to_owned(),
        "args.a.all(x, args.a.all(y, args.a == args.a))".to_owned(),
        "args.a.all(x, args.a.all(y, !(y in args.a) || true))".to_owned(),
        "args.a.all(x, args.a.all(y, has(args.a.none) || true))".to_owned(),
        "args.a.all(x, args.a.all(y, args.a.all(z, size(string(x)) >= 0)))".to_owned(),
        "args.a.all(x, args.a.all(y, args.a.all(z, string(x).matches('(a*)*b') || true)))".to_owned(),
        "args.a.all(x, args.a.all(y, args.a.all(z, string(x).contains(string(y) + 'b') || true)))".to_owned(),
        doubled("args.a"),
        doubled("[args.a]"),
        doubled("[string(args.a[0])]"),
        doubled("[[args.a]]"),
    ];
    let arguments = worst_arguments();
    for source in &sources {
        let condition = Condition::compile(source).unwrap_or_else(|bad| panic!("{source}: {bad}"));
        let spent = arguments.iter().map(|args| ask(&condition, args));
        let spent: Vec<(Truth, usize)> = spent.filter(|(_, steps)| *steps >= STEPS_MAX).collect();
        assert!(!spent.is_empty(), "{source} is no hard case");
        assert!(spent.iter().all(|spent| *spent == (Truth::Unknown, STEPS_MAX)), "{source}: {spent:?}");
        assert!(spent.iter().all(|(truth, _)| !truth.permits() && truth.guards()));
    }
    // What is left of the expression makes no answer of it.
    let absorbed = Condition::compile("args.a.all(x, args.a.all(y, true)) || true").unwrap();
    assert_eq!(ask(&absorbed, &arguments[0]).0, Truth::Unknown);
}

#[test]
fn a_look_at_each_item_is_within_the_budget() {
    let addresses = vec![r#""someone@acme.example""#; 11_000].join(",");
    let args = format!(r#"{{"to":[{addresses}]}}"#);
    assert!(args.len() > 240 << 10);
    for source in [
        r#"args.to.all(a, a.endsWith("@acme.example"))"#,
        r#"args.to.all(a, a.matches("^[a-z]+@acme[.]example$"))"#,
        r#"args.to.all(a, a.startsWith("s") && a.contains("@") && !a.contains(","))"#,
        r#"!args.to.exists(a, a in ["x@evil.example", "y@evil.example"])"#,
    ] {
        assert_eq!(ask(&Condition::compile(source).unwrap(), &args).0, Truth::True, "{source}");
    }
}

#[test]
fn what_cannot_be_bounded_is_refused_where_it_is_written() {
    let check = |source: &str, message: &str, column: usize| {
        let bad = Condition::compile(source).unwrap_err();
        assert!(bad.message.contains(message), "{source}: {bad}");
        assert_eq!((bad.line, bad.column), (1, column), "{source}: {bad}");
    };
    check("args.s.matches(args.t)", "must be a literal", 8);
    check("args.s.matches('(')", "unclosed group", 8);
    check(r"args.s.matches('(\\w{100}){100}')", "larger than 1 MiB", 8);
    check("true && frobnicate(args.s)", "unknown function `frobnicate`", 9);
    check("args.s.size(1)", "not called like this", 8);
    check("args.t == timestamp('yesterday')", "cannot be computed", 11);
    check("args.n > 1 / 0", "cannot be computed", 1);
    check("args.l.all(x, y == 1)", "unknown name `y`", 15);
    check("args.l.all(x, true) && x == 1", "unknown name `x`", 24);
    check("args.s == b'a'", "bytes are not supported", 1);
    check(&format!("args.n == {}1", "1 + args.n + ".repeat(40)), "nested too deeply", 1);
}
