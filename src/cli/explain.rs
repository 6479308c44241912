//! `tollgate explain`: one call, what is decided, and all that led to it.

use super::{Config, Format, Status, print};
use crate::{
    call::{self, Place},
    clock,
    config::{Colour, values},
    json::{self, Value},
    offline::{
        Call, Configuration,
        explain::{PLACES, Told},
    },
    policy::{
        Decision, Mode, Outcome, Truth,
        explain::{Answer, Checked, Explanation, Role, Seen, Weighed, one_line},
        glob::Glob,
    },
};
use clap::ValueEnum;
use std::io::stdout;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: Config,
    /// Who calls
    #[arg(long, short)]
    tenant: String,
    /// The tool's name
    #[arg(long, value_name = "NAME")]
    tool: String,
    /// The call's arguments; without them they are not known, as where a tool is only offered
    #[arg(long, value_name = "JSON")]
    args: Option<String>,
    /// The key that the call comes with, by its id; without it, none narrows it
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// Where the call meets the gateway: emitted, or offered where no arguments are given
    #[arg(long, value_enum)]
    place: Option<At>,
    /// What time it is for conditions, such as 2027-06-30T12:00:00Z; without it, it is now
    #[arg(long, value_name = "TIME")]
    now: Option<String>,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// A place of a call, as it is named on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum At {
    Offered,
    Emitted,
    Mcp,
    Http,
}

impl From<At> for Place {
    fn from(at: At) -> Self {
        match at {
            At::Emitted => Self::Emitted,
            At::Http => Self::Http,
            At::Mcp => Self::Mcp,
            At::Offered => Self::Offered,
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Status {
    let args = match arguments.args.as_deref().map(read_args).transpose() {
        Ok(args) => args.map_or(call::Arguments::Open, call::Arguments::of),
        Err(message) => return usage(&message),
    };
    let clock = clock::unix_seconds(clock::wall());
    let now = match arguments.now.as_deref().map(values::when).transpose() {
        Ok(now) => now.map_or(clock, values::When::start_unix_s),
        Err(bad) => return usage(&format!("--now is no time: {bad}; write it like 2027-06-30T12:00:00Z")),
    };
    let configuration = match Configuration::read(&arguments.config.config, clock) {
        Ok(configuration) => configuration,
        Err(unfit) => return print::unfit(&unfit, arguments.format),
    };
    let asker = match configuration.asker(&arguments.tenant, arguments.key.as_deref()) {
        Ok(asker) => asker,
        Err(unknown) => return print::failed(&unknown.to_string()),
    };
    let otherwise = if args == call::Arguments::Open { Place::Offered } else { Place::Emitted };
    let place = arguments.place.map_or(otherwise, Place::from);
    let call = Call { tool: &arguments.tool, args: &args, place, now };
    let elsewhere = if arguments.place.is_some() { &[][..] } else { &PLACES };
    let told = Told::of(asker, &call, elsewhere);
    match arguments.format {
        Format::Json => print::line(&told.json().to_string()),
        Format::Text => print::text(&Page::of(&told, print::colour(&stdout()))),
    }
    Status::Fine
}

fn usage(message: &str) -> Status {
    print::error(message);
    Status::Usage
}

fn read_args(text: &str) -> Result<Value<'static>, String> {
    let value = json::parse(text.as_bytes(), json::NESTING_MAX);
    value.map(Value::into_owned).map_err(|error| format!("--args is not JSON: {error}"))
}

/// The explanation as text, while it is written.
struct Page {
    out: String,
    colour: Colour,
}

impl Page {
    fn of(told: &Told<'_>, colour: Colour) -> String {
        let mut page = Self { out: String::new(), colour };
        page.call(told);
        page.decision(told);
        page.rules(&told.explanation);
        page.set(told);
        page.elsewhere(&told.elsewhere);
        page.out
    }

    fn line(&mut self, text: &str) {
        self.out.push_str(print::tame_lines(text).trim_end());
        self.out.push('\n');
    }

    fn call(&mut self, told: &Told<'_>) {
        let key = told.key().map_or_else(|| "no key".to_owned(), |key| format!("key {key}"));
        let args = match told.call.args {
            call::Arguments::Known(args) => args.to_string(),
            call::Arguments::Open | call::Arguments::Unreadable => "arguments not known yet".to_owned(),
        };
        let place = told.call.place.as_str();
        self.line(&format!("{} {args}", told.call.tool));
        self.line(&format!("tenant {}, {key}, {place}", told.asker.tenant.id));
        if told.asker.tenant.is_abstract {
            self.line("The tenant is abstract: nobody can be it.");
        }
        if told.asker.key.is_some_and(|key| key.expires.is_some_and(|expires| told.call.now >= expires)) {
            self.line("The key has expired: nobody can use it.");
        }
    }

    fn decision(&mut self, told: &Told<'_>) {
        let decision = &told.explanation.decision;
        let by = decision.source().map_or_else(|| "no rule".to_owned(), ToString::to_string);
        self.out.push_str(&outcome(decision.outcome, self.colour));
        self.line(&format!(", by {by}"));
        if !decision.reason.is_empty() {
            self.line(&format!("  {}", decision.reason));
        }
        if let (Some(globs), Some(without)) = (told.key_tools(), &told.explanation.with_any_key) {
            let globs: Vec<&str> = globs.iter().map(Glob::as_str).collect();
            let globs = if globs.is_empty() { "no tool at all".to_owned() } else { globs.join(", ") };
            let otherwise = without.outcome.as_str();
            self.line(&format!("  the key is narrowed to {globs}; without that it would be {otherwise}"));
        }
        if let Some((outcome, rule)) = decision.shadow {
            let outcome = outcome.as_str();
            self.line(&format!("  it would be {outcome} if shadow rules counted, by {}", rule.source));
        }
    }

    fn rules(&mut self, explanation: &Explanation<'_>) {
        match explanation.rules.as_slice() {
            [] => self.line("\nNo rule matches the name."),
            [_] => self.line("\n1 rule matches the name:"),
            more => self.line(&format!(
                "\n{} rules match the name, in the order in which they are tried:",
                more.len()
            )),
        }
        for weighed in &explanation.rules {
            let rule = weighed.rule;
            let globs: Vec<&str> = rule.tools.iter().map(Glob::as_str).collect();
            let shadow = if rule.mode == Mode::Shadow { " (shadow)" } else { "" };
            self.line(&format!("\n  {}  {} {}{shadow}", rule.source, rule.effect.as_str(), globs.join(", ")));
            self.conditions(&weighed.conditions);
            for (path, value) in &rule.set {
                self.line(&format!("    set {path}: {value}"));
            }
            if let Some(limit) = &rule.limit {
                self.line(&format!("    limit {}", limit.rate));
            }
            self.line(&format!("    => {}", role(weighed, &explanation.decision)));
        }
    }

    fn conditions(&mut self, conditions: &[Checked<'_>]) {
        let mut before = None;
        for condition in conditions {
            match condition {
                Checked::Argument { path, test, seen, truth } => {
                    if before.replace(path) != Some(path) {
                        self.line(&format!("    args.{path} = {seen}"));
                    }
                    let why = match (seen, truth) {
                        (Seen::Value(value), Truth::Unknown) => format!(", it is {}", value.type_name()),
                        _ => String::new(),
                    };
                    self.line(&format!("      {test}: {}{why}", word(*truth)));
                }
                Checked::When { source, reads, answer } => {
                    let why = match answer {
                        Answer::Unknown(why) => format!(", {why}"),
                        Answer::Is(_) | Answer::Open => String::new(),
                    };
                    self.line(&format!("    when {}: {}{why}", one_line(source), word(condition.truth())));
                    for (path, seen) in reads {
                        self.line(&format!("      {path} = {seen}"));
                    }
                }
            }
        }
    }

    fn set(&mut self, told: &Told<'_>) {
        if let Some((before, after)) = told.set() {
            self.line("\n`set` changes the arguments:");
            self.line(&format!("  before {before}"));
            self.line(&format!("  after  {after}"));
        }
    }

    fn elsewhere(&mut self, elsewhere: &[(Place, Decision<'_>)]) {
        if elsewhere.is_empty() {
            return;
        }
        self.line("\nIn other places it is decided otherwise:");
        for (place, decision) in elsewhere {
            let by = decision.source().map_or_else(|| "no rule".to_owned(), ToString::to_string);
            self.line(&format!("  {:<8}{}, by {by}", place.as_str(), decision.outcome.as_str()));
        }
    }
}

fn outcome(outcome: Outcome, colour: Colour) -> String {
    let code = match outcome {
        Outcome::Allow => "1;32",
        Outcome::Ask => "1;33",
        Outcome::Deny => "1;31",
    };
    colour.paint(code, outcome.as_str())
}

fn word(truth: Truth) -> &'static str {
    match truth {
        Truth::False => "no",
        Truth::Open => "open",
        Truth::True => "yes",
        Truth::Unknown => "cannot be evaluated",
    }
}

/// What became of a rule, and why.
fn role(weighed: &Weighed<'_>, decision: &Decision<'_>) -> String {
    let closed = match (weighed.role, weighed.truth) {
        (Role::None, _) | (_, Truth::False | Truth::True) => "",
        (_, Truth::Open) => "; some arguments could pass",
        (_, Truth::Unknown) => "; what cannot be evaluated counts as true here",
    };
    let role = match weighed.role {
        Role::Decided => "decides".to_owned(),
        Role::Joined if weighed.rule.set.is_empty() => "allows it too".to_owned(),
        Role::Joined => "allows it too, and its `set` counts".to_owned(),
        Role::Overruled => "holds, but is overruled".to_owned(),
        Role::None if weighed.truth == Truth::Open => "does not count: some arguments could pass".to_owned(),
        Role::None => "does not hold".to_owned(),
        Role::WouldDecide(outcome) => format!("holds, and would make it {} if it counted", outcome.as_str()),
        Role::WouldApply => match decision.shadow {
            Some((_, first)) => format!("holds, but {} would decide before it", first.source),
            None => "holds, and would not change the decision".to_owned(),
        },
    };
    format!("{role}{closed}")
}
