//! One decision of a tenant's policy with few and many rules, beside trying every glob of every rule.
//! Goals: under 1 µs with 1,000 rules, under 5 µs where the tool's rule has a CEL condition; the most work that a
//! condition or an expression can be made to do stays within a few milliseconds.
#![expect(clippy::unwrap_used, reason = "a bench ends where its own input is wrong")]

use divan::{Bencher, black_box, counter::ItemsCount};
use std::fmt;
use tollgate::{
    call::{Arguments, Place},
    json,
    policy::{
        Caller, Effect, Outcome, Policy, Question, Rule, Source, Truth,
        budget::STEPS_MAX,
        condition::{Condition, Facts},
        glob::{Glob, Globs},
        matcher::{Matcher, Test},
        path::Path,
    },
};

/// The one that the gateway runs with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
        ("CEL of six terms", "book", Outcome::Allow),
        ("CEL with matches", "open_ticket", Outcome::Allow),
    ];
    [10, 100, 1000]
        .into_iter()
        .flat_map(move |rules| tools.map(|(what, tool, expected)| Case { what, tool, rules, expected }))
}

fn rule(effect: Effect, glob: &str) -> Rule {
    Rule::plain(effect, Globs::from_iter([Glob::new(glob)]), Source::new("tenants/acme.yaml", 1))
}

/// Nine rules that the cases meet, and around them seven exact names in ten, two prefixes, one suffix.
fn rules(count: usize) -> Vec<Rule> {
    let at = |path: &str, tests: Vec<Test>| Matcher { path: Path::new(path).unwrap(), tests };
    let mail = r#"args.to.all(a, a.endsWith("@acme.example"))"#;
    let book = r#"tenant.labels.plan == "pro" && key.id == "prod" && place == "emitted"
        && args.amount <= 100.0 && args.currency in ["EUR", "CHF"] && now > timestamp("2020-01-01T00:00:00Z")"#;
    let ticket = r#"args.note.matches("^[a-z ]{1,80}$")"#;
    let when = |source: &str| Some(Condition::compile(source).unwrap());
    let mut rules = vec![
        Rule { when: when(mail), ..rule(Effect::Allow, "send_email") },
        Rule { when: when(book), ..rule(Effect::Allow, "book") },
        Rule { when: when(ticket), ..rule(Effect::Allow, "open_ticket") },
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

/// What a caller chooses to be the most work, in 256 KiB of arguments.
#[divan::bench(args = ["items", "text", "states"], sample_count = 20, sample_size = 1)]
fn most_work(bencher: Bencher<'_, '_>, what: &str) {
    let mut noise = 12_345_u64;
    let mut letter = |_| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if noise >> 40 & 1 == 1 { 'a' } else { 'b' }
    };
    let (source, args) = match what {
        "items" => (
            "args.a.all(x, args.a.all(y, args.a.all(z, x == y)))",
            format!(r#"{{"a":[{}]}}"#, vec!["1"; 128 << 10].join(",")),
        ),
        "text" => (
            "[args.a].map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x)[0] == ''",
            format!(r#"{{"a":"{}"}}"#, "a".repeat(256 << 10)),
        ),
        _ => (
            r#"args.l.all(i, args.a.all(t, !t.matches("[ab]*a[ab]{200}y")))"#,
            format!(
                r#"{{"l":[{}],"a":[{}]}}"#,
                vec!["1"; 64].join(","),
                vec![format!("\"{}\"", (0..400).map(&mut letter).collect::<String>()); 500].join(",")
            ),
        ),
    };
    let condition = Condition::compile(source).unwrap();
    let caller = Caller::new("acme", "prod", &[]);
    let facts = Facts { caller: &caller, tool: "send_email", place: Place::Emitted, now: NOW };
    let args = json::parse(args.as_bytes(), 64).unwrap();
    assert_eq!(condition.weigh(&facts, Some(&args)), (Truth::Unknown, STEPS_MAX));
    bencher.counter(ItemsCount::new(STEPS_MAX)).bench(|| condition.holds(&facts, black_box(Some(&args))));
}
