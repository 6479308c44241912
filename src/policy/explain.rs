//! Why a call was decided as it was: every rule that matches its name, what each of their conditions saw, and which
//! of them decided. The decision is [`Policy::decide`]'s own, and conditions are asked through the same functions;
//! laws hold that what is told agrees with it.

use super::{
    Decision, Effect, Mode, Outcome, Policy, Question, Rule, Truth,
    condition::{Condition, Facts, Read, Unanswered},
    facts, holds,
    matcher::{self, Test},
    path::{Found, Path},
};
use crate::{call::Arguments, json::Value};
use std::{fmt, ptr};

/// A decision with everything that led to it.
#[derive(Debug)]
pub struct Explanation<'p> {
    pub decision: Decision<'p>,
    /// What would be decided if the key were not narrowed to some tools, where it is.
    pub with_any_key: Option<Decision<'p>>,
    /// The rules that match the name, in the order in which they are tried.
    pub rules: Vec<Weighed<'p>>,
}

/// A rule that matches the name of a call.
#[derive(Debug)]
pub struct Weighed<'p> {
    pub rule: &'p Rule,
    /// All of them have to hold.
    pub conditions: Vec<Checked<'p>>,
    pub truth: Truth,
    pub role: Role,
}

/// What a rule had to do with a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It decided.
    Decided,
    /// It allows too: what it forces into the arguments counts.
    Joined,
    /// Its conditions hold, and another rule decided, or the key.
    Overruled,
    /// Its conditions do not hold.
    None,
    /// A shadow rule that would have decided, and otherwise.
    WouldDecide(Outcome),
    /// A shadow rule that applies and would change no outcome by itself.
    WouldApply,
}

/// A condition of a rule and what it saw.
#[derive(Debug)]
pub enum Checked<'p> {
    Argument { path: &'p Path, test: &'p Test, seen: Seen, truth: Truth },
    When { source: &'p str, reads: Vec<(String, Seen)>, answer: Answer },
}

/// What stood at a path.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    Missing,
    /// The arguments are not known yet.
    Open,
    /// Something on the way is neither object nor array.
    Unreachable,
    /// The arguments are not JSON.
    Unreadable,
    Value(Value<'static>),
}

/// What a CEL expression answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Is(bool),
    /// It reads arguments that are not known yet.
    Open,
    /// It cannot be evaluated; why.
    Unknown(String),
}

impl Policy {
    /// Decides a call, and tells why.
    pub fn explain(&self, question: &Question<'_>) -> Explanation<'_> {
        let decision = self.decide(question);
        let with_any_key =
            question.key_tools.map(|_| self.decide(&Question { key_tools: None, ..*question }));
        let rules = self.matching(question.tool);
        let rules = rules.into_iter().map(|rule| weighed(rule, question, &decision)).collect();
        Explanation { decision, with_any_key, rules }
    }
}

impl Checked<'_> {
    /// Whether it holds.
    pub fn truth(&self) -> Truth {
        match self {
            Self::Argument { truth, .. } => *truth,
            Self::When { answer: Answer::Is(truth), .. } => Truth::from(*truth),
            Self::When { answer: Answer::Open, .. } => Truth::Open,
            Self::When { answer: Answer::Unknown(_), .. } => Truth::Unknown,
        }
    }
}

impl Weighed<'_> {
    /// Whether the rule applies: its conditions allow, or guard.
    pub fn applies(&self) -> bool {
        applies(self.rule, self.truth)
    }

    /// Whether the decision reached the rule: it decided or joined with a condition that was really met, or it is a
    /// shadow rule that would have.
    pub fn is_reached(&self) -> bool {
        match self.role {
            Role::Decided | Role::Joined | Role::WouldApply | Role::WouldDecide(_) => {
                self.truth != Truth::Open
            }
            Role::None | Role::Overruled => false,
        }
    }
}

fn weighed<'p>(rule: &'p Rule, question: &Question<'_>, decision: &Decision<'p>) -> Weighed<'p> {
    let when = rule.when.iter().map(|condition| when(condition, question));
    let arguments = rule
        .args
        .iter()
        .flat_map(|matcher| matcher.tests.iter().map(|test| argument(&matcher.path, test, question.args)));
    let conditions = when.chain(arguments).collect();
    let truth = holds(rule, question);
    Weighed { rule, conditions, truth, role: role(rule, truth, decision) }
}

fn role(rule: &Rule, truth: Truth, decision: &Decision<'_>) -> Role {
    let by_shadow = decision.shadow.as_ref().filter(|(_, by)| ptr::eq(*by, rule));
    // A call that a person approves runs with what allows force into it.
    let joins = decision.rule.is_some_and(|by| match by.effect {
        Effect::Allow => true,
        Effect::Ask => !rule.set.is_empty(),
        Effect::Deny => false,
    });
    match (rule.mode, by_shadow) {
        (Mode::Enforce, _) if decision.rule.is_some_and(|by| ptr::eq(by, rule)) => Role::Decided,
        (Mode::Shadow, Some((outcome, _))) => Role::WouldDecide(*outcome),
        _ if !applies(rule, truth) => Role::None,
        (Mode::Shadow, None) => Role::WouldApply,
        (Mode::Enforce, _) if joins && rule.effect == Effect::Allow => Role::Joined,
        (Mode::Enforce, _) => Role::Overruled,
    }
}

fn applies(rule: &Rule, truth: Truth) -> bool {
    match rule.effect {
        Effect::Allow => truth.permits(),
        Effect::Ask | Effect::Deny => truth.guards(),
    }
}

fn argument<'p>(path: &'p Path, test: &'p Test, args: &Arguments<'_>) -> Checked<'p> {
    let (seen, truth) = match args {
        Arguments::Known(args) => {
            let found = path.find(args);
            (Seen::from(&found), matcher::holds(test, &found))
        }
        Arguments::Open => (Seen::Open, Truth::Open),
        Arguments::Unreadable => (Seen::Unreadable, Truth::Unknown),
    };
    Checked::Argument { path, test, seen, truth }
}

fn when<'p>(condition: &'p Condition, question: &Question<'_>) -> Checked<'p> {
    let facts = facts(question);
    let (args, absent) = match question.args {
        Arguments::Known(args) => (Some(args), Seen::Missing),
        Arguments::Open => (None, Seen::Open),
        Arguments::Unreadable => (None, Seen::Unreadable),
    };
    let seen = |read: Read| {
        let nothing = if read.is_argument() { absent.clone() } else { Seen::Missing };
        (read.path, read.value.map_or(nothing, Seen::Value))
    };
    let reads = condition.reads(&facts, args).into_iter().map(seen).collect();
    Checked::When { source: condition.source(), reads, answer: answer(condition, &facts, question.args) }
}

fn answer(condition: &Condition, facts: &Facts<'_>, args: &Arguments<'_>) -> Answer {
    let unknown = |why: Unanswered| Answer::Unknown(why.to_string());
    match args {
        Arguments::Open if condition.holds_open(facts) == Truth::Open => Answer::Open,
        Arguments::Open if condition.reads_args() => Answer::Is(condition.holds_open(facts) == Truth::True),
        Arguments::Known(args) => condition.evaluate(facts, Some(args)).map_or_else(unknown, Answer::Is),
        Arguments::Open | Arguments::Unreadable => {
            condition.evaluate(facts, None).map_or_else(unknown, Answer::Is)
        }
    }
}

impl From<&Found<'_, '_>> for Seen {
    fn from(found: &Found<'_, '_>) -> Self {
        match found {
            Found::Here(value) => Self::Value((*value).clone().into_owned()),
            Found::Missing => Self::Missing,
            Found::Unreachable => Self::Unreachable,
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Open => f.write_str("not known yet"),
            Self::Unreachable => f.write_str("missing, since what should hold it is no object or array"),
            Self::Unreadable => {
                f.write_str("not readable, since the arguments are not JSON that can be read in one way")
            }
            Self::Value(value) => write!(f, "{value}"),
        }
    }
}

impl fmt::Display for Rule {
    /// In one line: `allow transfer, args amount max 100, set currency "EUR"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tools: Vec<&str> = self.tools.iter().map(super::glob::Glob::as_str).collect();
        write!(f, "{} {}", self.effect.as_str(), tools.join(" "))?;
        if let Some(when) = &self.when {
            write!(f, ", when {}", one_line(when.source()))?;
        }
        for matcher in &self.args {
            for test in &matcher.tests {
                write!(f, ", args {} {test}", matcher.path)?;
            }
        }
        for (path, value) in &self.set {
            write!(f, ", set {path} {value}")?;
        }
        if let Some(limit) = &self.limit {
            write!(f, ", limit {}", limit.rate)?;
        }
        match self.mode {
            Mode::Enforce => Ok(()),
            Mode::Shadow => f.write_str(", mode shadow"),
        }
    }
}

/// An expression that may go over several lines, in one.
pub fn one_line(source: &str) -> String {
    source.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
