//! Conditions, expressions and globs of any text over arguments of any text: compiled or refused, and answered within
//! their budget. The first line is the text, the rest are the arguments.
#![no_main]
use tollgate::{
    call::Place,
    json,
    policy::{
        Caller,
        condition::{Condition, Facts},
        expression::Expression,
        glob::{Glob, Index},
        placeholder,
    },
};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (source, args) = text.split_once('\n').unwrap_or((text, "{}"));
    let args = json::parse(args.as_bytes(), 64).ok();
    let caller = Caller::new("acme", "prod", &[("plan", "gold")]);
    let facts = Facts { caller: &caller, tool: "crm__get", place: Place::Http, now: 1_800_000_000 };
    if let Ok(condition) = Condition::compile(source) {
        let known = condition.holds(&facts, args.as_ref());
        assert_eq!(known, condition.holds(&facts, args.as_ref()), "the same is answered alike");
        let _ = condition.holds_open(&facts);
        let _ = condition.reads(&facts, args.as_ref());
    }
    if let Ok(expression) = Expression::whole(source) {
        assert!(expression.as_str().contains(source));
    }
    let glob = Glob::new(source);
    let mut index = Index::default();
    index.add(&glob, 7);
    for name in ["crm__get", "", source] {
        assert_eq!(glob.matches(name), index.find(name).contains(&7), "the index finds what matches");
    }
    let _ = placeholder::fill(&mut json::Value::string(source.to_owned()), &caller);
});
