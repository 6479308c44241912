//! The same rules and the same questions, decided by Tollgate, by Cedar (`cedar-policy`) and by Rego (`regorus`).
//!
//! Run: `cargo run --release --manifest-path benches/peers/Cargo.toml --target-dir target/peers`. A crate of its own,
//! so that what the peers depend on stays out of Tollgate's lock file and builds.
//!
//! **The rules** are those of a tenant's tools: seven exact names in ten, two prefixes, one suffix that is denied, and
//! one that looks at arguments. Each becomes one Cedar policy (`resource == Tool::"…"` for a name, `context.tool like
//! "…"` for a glob) and one clause of Rego (`==`, `startswith`, `endswith`, `contains`). Rego has a second form, as who
//! knows it would write many names: the names in its data, to look up, and clauses for the rest.
//!
//! **What is counted.** First the decision alone: policies are parsed and compiled, and the request is there in the form
//! that each takes (our JSON value, Cedar's `Request`, Rego's `Value`). Then from the text of the arguments: reading it,
//! making that form of it, deciding. Rego runs in its interpreter and in its virtual machine, each kept from question to
//! question. All three answer every question alike, or nothing is timed. One thread, the allocator of the gateway for
//! all; the quickest of fifteen runs. Cedar evaluates every policy of its set: whoever has thousands may choose a slice of
//! them by the resource first, which is not measured.

use anyhow::{Context as _, Result, ensure};
use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request};
use regorus::{
    Engine, Rc,
    languages::rego::compiler::Compiler,
    rvm::vm::{ExecutionMode, RegoVM},
};
use std::{
    fmt::Write as _,
    hint::black_box,
    time::{Duration, Instant},
};
use tollgate::{
    call::{Arguments, Place},
    json,
    policy::{
        Caller, Effect, Mode, Outcome, Policy, Question, Rule, Source,
        glob::{Glob, Globs},
        matcher::{Matcher, Test},
        path::Path,
    },
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ARGS: &str = r#"{"to":["ada@acme.example"],"amount":99,"currency":"EUR","note":"as agreed"}"#;
const TOOLS: [(&str, &str); 6] = [
    ("exact name", "crm__get_invoice"),
    ("prefix", "read_anything"),
    ("denied by suffix", "files__purge"),
    ("denied by middle", "crm__delete_ticket"),
    ("no rule", "unheard__of_tool_of_some_length"),
    ("arguments", "transfer"),
];

/// A rule, before it is written in three languages.
struct Plain {
    allow: bool,
    glob: String,
    /// Whether `amount` must be 0 to 100 and `currency` EUR or CHF.
    asks: bool,
}

fn rules(count: usize) -> Vec<Plain> {
    let plain = |allow, glob: &str| Plain { allow, glob: glob.to_owned(), asks: false };
    let words = ["get", "list", "create", "update", "archive", "send", "export", "approve", "move", "find"];
    let mut rules = vec![
        plain(true, "crm__get_invoice"),
        plain(true, "read_*"),
        plain(false, "*__purge"),
        plain(false, "*__delete_*"),
        Plain { asks: true, ..plain(true, "transfer") },
    ];
    for number in rules.len()..count {
        let word = words.iter().cycle().nth(number * 7).copied().unwrap_or_default();
        rules.push(match number % 10 {
            0 => plain(true, &format!("server{number}__*")),
            1 => plain(true, &format!("kb__{word}_{number}*")),
            2 => plain(false, &format!("*_{word}_{number}")),
            _ => plain(true, &format!("crm__{word}_{number}")),
        });
    }
    rules
}

fn ours(rules: &[Plain]) -> Result<Policy> {
    let asked = || -> Result<Vec<Matcher>> {
        let at = |path: &str, tests: Vec<Test>| -> Result<Matcher> {
            Ok(Matcher { path: Path::new(path).context("a path")?, tests })
        };
        let currencies = ["EUR", "CHF"].map(json::Value::string).to_vec();
        Ok(vec![
            at("amount", vec![Test::Min("0".to_owned()), Test::Max("100".to_owned())])?,
            at("currency", vec![Test::In(currencies)])?,
        ])
    };
    let rule = |plain: &Plain| -> Result<Rule> {
        Ok(Rule {
            effect: if plain.allow { Effect::Allow } else { Effect::Deny },
            tools: Globs::from_iter([Glob::new(&plain.glob)]),
            args: if plain.asks { asked()? } else { Vec::new() },
            when: None,
            set: Vec::new(),
            reason: None,
            mode: Mode::Enforce,
            limit: None,
            within: Duration::from_secs(600),
            layer: 0,
            source: Source::new("tenants/acme.yaml", 1),
        })
    };
    Ok(Policy::new(rules.iter().map(rule).collect::<Result<_>>()?))
}

fn cedar(rules: &[Plain]) -> Result<PolicySet> {
    let mut text = String::new();
    for rule in rules {
        let effect = if rule.allow { "permit" } else { "forbid" };
        let name = &rule.glob;
        let mut conditions = Vec::new();
        let resource = if name.contains('*') {
            conditions.push(format!("context.tool like \"{name}\""));
            "resource".to_owned()
        } else {
            format!("resource == Tool::\"{name}\"")
        };
        if rule.asks {
            conditions.push("context.args.amount >= 0 && context.args.amount <= 100".to_owned());
            conditions.push(r#"["EUR", "CHF"].contains(context.args.currency)"#.to_owned());
        }
        let when = if conditions.is_empty() {
            String::new()
        } else {
            format!("when {{ {} }}", conditions.join(" && "))
        };
        writeln!(text, "{effect}(principal, action == Action::\"call\", {resource}) {when};")?;
    }
    Ok(text.parse()?)
}

/// How many exact names are written.
#[derive(Clone, Copy, PartialEq)]
enum Names {
    Clauses,
    Set,
}

/// The policy, and its data.
fn rego(rules: &[Plain], names: Names) -> (String, String) {
    let mut text = String::from(
        "package tools\nimport rego.v1\ndefault allow := false\nallow if { permitted; not denied }\ndefault denied := false\n",
    );
    let mut set = Vec::new();
    for rule in rules {
        let head = if rule.allow { "permitted" } else { "denied" };
        let name = rule.glob.as_str();
        let middle = name.strip_prefix('*').and_then(|rest| rest.strip_suffix('*'));
        let tests = match (middle, name.strip_suffix('*'), name.strip_prefix('*')) {
            (Some(middle), _, _) => format!("contains(input.tool, \"{middle}\")"),
            (None, Some(prefix), _) => format!("startswith(input.tool, \"{prefix}\")"),
            (None, None, Some(suffix)) => format!("endswith(input.tool, \"{suffix}\")"),
            (None, None, None) if names == Names::Set && rule.allow && !rule.asks => {
                set.push(format!("\"{name}\": true"));
                continue;
            }
            (None, None, None) => format!("input.tool == \"{name}\""),
        };
        let asks = if rule.asks {
            "; input.args.amount >= 0; input.args.amount <= 100; input.args.currency in {\"EUR\", \"CHF\"}"
        } else {
            ""
        };
        text.push_str(&format!("{head} if {{ {tests}{asks} }}\n"));
    }
    if names == Names::Set {
        text.push_str("permitted if data.names[input.tool]\n");
    }
    (text, format!("{{\"names\": {{ {} }} }}", set.join(", ")))
}

const ALLOW: &str = "data.tools.allow";

fn interpreter((text, data): &(String, String)) -> Result<Engine> {
    let mut engine = Engine::new();
    engine.add_policy("tools.rego".to_owned(), text.clone())?;
    engine.add_data_json(data)?;
    Ok(engine)
}

fn machine(policy: &(String, String)) -> Result<RegoVM> {
    let entry: Rc<str> = ALLOW.into();
    let compiled = interpreter(policy)?.compile_with_entrypoint(&entry)?;
    let mut machine = RegoVM::new();
    machine.set_execution_mode(ExecutionMode::RunToCompletion);
    let program = Compiler::compile_from_policy(&compiled, &[ALLOW]);
    machine.load_program(program.map_err(|error| anyhow::anyhow!("{error}"))?);
    let data = regorus::Value::from_json_str(&policy.1)?;
    machine.set_data(data).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(machine)
}

/// Everything that is made once.
struct Deciders {
    policy: Policy,
    caller: Caller,
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    principal: EntityUid,
    action: EntityUid,
    interpreter: Engine,
    machine: RegoVM,
    machine_with_set: RegoVM,
}

impl Deciders {
    fn new(count: usize) -> Result<Self> {
        let rules = rules(count);
        let (clauses, set) = (rego(&rules, Names::Clauses), rego(&rules, Names::Set));
        Ok(Self {
            policy: ours(&rules)?,
            caller: Caller::new("acme", "prod", &[]),
            authorizer: Authorizer::new(),
            policies: cedar(&rules)?,
            entities: Entities::empty(),
            principal: r#"Tenant::"acme""#.parse()?,
            action: r#"Action::"call""#.parse()?,
            interpreter: interpreter(&clauses)?,
            machine: machine(&clauses)?,
            machine_with_set: machine(&set)?,
        })
    }

    fn ours(&self, tool: &str, args: &Arguments<'_>) -> bool {
        let question =
            Question { caller: &self.caller, key_tools: None, tool, args, place: Place::Emitted, now: 0 };
        self.policy.decide(&question).outcome == Outcome::Allow
    }

    fn cedar(&self, request: &Request) -> bool {
        self.authorizer.is_authorized(request, &self.policies, &self.entities).decision() == Decision::Allow
    }

    fn request(&self, tool: &str, args: &str) -> Result<Request> {
        let context = Context::from_json_str(&format!(r#"{{"tool":"{tool}","args":{args}}}"#), None)?;
        let resource = EntityUid::from_type_name_and_id("Tool".parse()?, cedar_policy::EntityId::new(tool));
        Ok(Request::new(self.principal.clone(), self.action.clone(), resource, context, None)?)
    }
}

fn input(tool: &str, args: &str) -> Result<regorus::Value> {
    regorus::Value::from_json_str(&format!(r#"{{"tool":"{tool}","args":{args}}}"#))
}

fn interpret(engine: &mut Engine, input: regorus::Value) -> Result<bool> {
    engine.set_input(input);
    Ok(engine.eval_rule(ALLOW.to_owned())? == regorus::Value::from(true))
}

fn execute(machine: &mut RegoVM, input: regorus::Value) -> Result<bool> {
    machine.set_input(input);
    let answer = machine.execute().map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(answer == regorus::Value::from(true))
}

/// Microseconds a call: the quickest of fifteen runs, which the rest of the machine disturbed least.
fn time(mut call: impl FnMut() -> bool) -> f64 {
    let mut run = |times: u32| {
        let start = Instant::now();
        for _ in 0..times {
            black_box(call());
        }
        start.elapsed()
    };
    let mut times = 1;
    while run(times) < Duration::from_millis(15) {
        times *= 2;
    }
    (0..15).map(|_| run(times).as_secs_f64() * 1e6 / f64::from(times)).fold(f64::INFINITY, f64::min)
}

/// All answers to one question, which must be one.
fn answer(deciders: &mut Deciders, tool: &str, args: &str) -> Result<bool> {
    let parsed = Arguments::read(args, 64);
    let ours = deciders.ours(tool, &parsed);
    let request = deciders.request(tool, args)?;
    let others = [
        deciders.cedar(&request),
        interpret(&mut deciders.interpreter, input(tool, args)?)?,
        execute(&mut deciders.machine, input(tool, args)?)?,
        execute(&mut deciders.machine_with_set, input(tool, args)?)?,
    ];
    ensure!(others == [ours; 4], "{tool} {args}: we say {ours}, the others {others:?}");
    Ok(ours)
}

fn agree(deciders: &mut Deciders, count: usize) -> Result<()> {
    let arguments = [ARGS, r#"{"amount":101,"currency":"EUR"}"#, r#"{"amount":1,"currency":"USD"}"#];
    let names: Vec<String> = rules(count).into_iter().map(|rule| rule.glob.replace('*', "x_1")).collect();
    let mut allowed = 0;
    for tool in names.iter().map(String::as_str).chain(TOOLS.map(|(_, tool)| tool)) {
        for args in arguments {
            allowed += usize::from(answer(deciders, tool, args)?);
        }
    }
    ensure!(allowed > 0 && allowed < names.len() * arguments.len(), "the questions are of no use");
    Ok(())
}

fn row(what: &str, count: usize, found: [f64; 5]) {
    let [ours, others @ ..] = found;
    print!("| {count} | {what} | {ours:.2} |");
    for other in others {
        print!(" {other:.1} ({:.0}x) |", other / ours);
    }
    println!();
}

fn heading(text: &str) {
    println!("\n{text}, µs a decision (times Tollgate's):\n");
    println!("| rules | question | Tollgate | Cedar | Rego interpreter | Rego VM | Rego VM, names in data |");
    println!("|---|---|---|---|---|---|---|");
}

fn main() -> Result<()> {
    let mut all = Vec::new();
    for count in [10, 100, 1000] {
        let mut deciders = Deciders::new(count)?;
        agree(&mut deciders, count)?;
        all.push((count, deciders));
    }
    heading("The decision alone");
    for (count, deciders) in &mut all {
        for (what, tool) in TOOLS {
            let (args, request) = (Arguments::read(ARGS, 64), deciders.request(tool, ARGS)?);
            let value = input(tool, ARGS)?;
            let found = [
                time(|| deciders.ours(black_box(tool), &args)),
                time(|| deciders.cedar(black_box(&request))),
                time(|| interpret(&mut deciders.interpreter, black_box(&value).clone()).unwrap_or_default()),
                time(|| execute(&mut deciders.machine, black_box(&value).clone()).unwrap_or_default()),
                time(|| {
                    execute(&mut deciders.machine_with_set, black_box(&value).clone()).unwrap_or_default()
                }),
            ];
            row(what, *count, found);
        }
    }
    heading("From the text of the arguments");
    for (count, deciders) in &mut all {
        for (what, tool) in TOOLS {
            let read = |args: &str| input(tool, args).unwrap_or(regorus::Value::Undefined);
            let found = [
                time(|| deciders.ours(tool, &Arguments::read(black_box(ARGS), 64))),
                time(|| {
                    deciders.request(tool, black_box(ARGS)).is_ok_and(|request| deciders.cedar(&request))
                }),
                time(|| interpret(&mut deciders.interpreter, read(black_box(ARGS))).unwrap_or_default()),
                time(|| execute(&mut deciders.machine, read(black_box(ARGS))).unwrap_or_default()),
                time(|| execute(&mut deciders.machine_with_set, read(black_box(ARGS))).unwrap_or_default()),
            ];
            row(what, *count, found);
        }
    }
    Ok(())
}
