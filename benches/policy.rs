//! One decision of a tenant's policy with few and many rules, beside trying every glob of every rule.
//! Goals: under 1 µs with 1,000 rules, under 5 µs where the tool's rule has a CEL condition.
#![expect(clippy::unwrap_used, reason = "a bench ends where its own input is wrong")]

use divan::{Bencher, black_box, counter::ItemsCount};
use std::fmt;
use tollgate::{
    call::{Arguments, Place},
    json,
    policy::{
        Caller, Effect, Mode, Outcome, Policy, Question, Rule, Source,
        condition::Condition,
        glob::{Glob, Globs},
        matcher::{Matcher, Test},
        path::Path,
    },
};

fn main() {
    divan::main();
}

const SERVERS: [&str; 10] =
    ["crm", "kb", "billing", "mail", "calendar", "warehouse", "hr", "search", "tickets", "ci"];
const VERBS: [&str; 10] =
    ["get", "list", "create", "update", "archive", "send", "export", "approve", "move", "find"];
const THINGS: [&str; 10] =
    ["invoice", "user", "order", "message", "event", "file", "customer", "lead", "contract", "note"];
const ARGS: &str = r#"{"to":["ada@acme.example"],"amount":99.5,"currency":"EUR","note":"as agreed"}"#;
const NOW: i64 = 1_800_000_000;

/// A tool that is asked about, under so many rules.
struct Case {
    what: &'static str,
    tool: &'static str,
    rules: usize,
    expected: Outcome,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>4} rules, {}", self.rules, self.what)
    }
}

fn cases() -> impl Iterator<Item = Case> {
    let tools = [
        ("exact name", "crm__get_invoice_0", Outcome::Allow),
        ("prefix", "read_anything", Outcome::Allow),
        ("suffix", "files__purge", Outcome::Deny),
        ("no rule", "unheard__of_tool_of_some_length", Outcome::Deny),
        ("arguments", "transfer", Outcome::Allow),
        ("CEL", "send_email", Outcome::Allow),
    ];
    [10, 100, 1000]
        .into_iter()
        .flat_map(move |rules| tools.map(|(what, tool, expected)| Case { what, tool, rules, expected }))
}

fn rule(effect: Effect, glob: &str) -> Rule {
    Rule {
        effect,
        tools: Globs::from_iter([Glob::new(glob)]),
        args: Vec::new(),
        when: None,
        set: Vec::new(),
        reason: None,
        mode: Mode::Enforce,
        limit: None,
        within: std::time::Duration::from_secs(600),
        source: Source::new("tenants/acme.yaml", 1),
        layer: 0,
    }
}

/// Seven rules that the cases meet, and around them seven exact names in ten, two prefixes, one suffix.
fn rules(count: usize) -> Vec<Rule> {
    let at = |path: &str, tests: Vec<Test>| Matcher { path: Path::new(path).unwrap(), tests };
    let mail = r#"args.to.all(a, a.endsWith("@acme.example"))"#;
    let mut rules = vec![
        Rule { when: Some(Condition::compile(mail).unwrap()), ..rule(Effect::Allow, "send_email") },
        Rule {
            args: vec![
                at("amount", vec![Test::Min("0".to_owned()), Test::Max("100".to_owned())]),
                at("currency", vec![Test::Is(json::Value::string("EUR"))]),
            ],
            ..rule(Effect::Allow, "transfer")
        },
        rule(Effect::Allow, "read_*"),
        rule(Effect::Deny, "*__purge"),
        rule(Effect::Deny, "*__delete_*"),
        rule(Effect::Ask, "billing__*_refund_?"),
        rule(Effect::Allow, "crm__get_invoice_0"),
    ];
    for number in rules.len()..count {
        let pick =
            |words: [&'static str; 10], step: usize| words.into_iter().nth(number / step % 10).unwrap();
        let (server, verb, thing) = (pick(SERVERS, 1), pick(VERBS, 7), pick(THINGS, 3));
        rules.push(match number % 10 {
            0 => rule(Effect::Allow, &format!("{server}{number}__*")),
            1 => rule(Effect::Allow, &format!("{server}__{verb}_{thing}_{number}*")),
            2 => rule(Effect::Deny, &format!("*_{verb}_{thing}_{number}")),
            _ => rule(Effect::Allow, &format!("{server}__{verb}_{thing}_{number}")),
        });
    }
    rules
}

#[divan::bench(args = cases())]
fn decide(bencher: Bencher<'_, '_>, case: &Case) {
    let policy = Policy::new(rules(case.rules));
    let caller = Caller::new("acme", "prod", &[("plan", "pro")]);
    let args = Arguments::Known(json::parse(ARGS.as_bytes(), 64).unwrap());
    let question = Question {
        caller: &caller,
        key_tools: None,
        tool: case.tool,
        args: &args,
        place: Place::Emitted,
        now: NOW,
    };
    assert_eq!(policy.decide(&question).outcome, case.expected);
    bencher.counter(ItemsCount::new(1_usize)).bench(|| policy.decide(black_box(&question)).outcome);
}

/// The globs alone, without conditions: what the index saves.
#[divan::bench(args = cases())]
fn every_glob(bencher: Bencher<'_, '_>, case: &Case) {
    let rules = rules(case.rules);
    bencher.counter(ItemsCount::new(1_usize)).bench(|| {
        let tool = black_box(case.tool);
        rules.iter().filter(|rule| rule.tools.matches(tool)).map(|rule| rule.effect).min()
    });
}
