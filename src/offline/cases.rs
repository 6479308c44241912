//! Policy tests: cases out of a `*.test.yaml` file, what is decided of them, and which rules that reaches.

use super::{Asker, Call, Configuration};
use crate::{
    call::{Arguments, Place},
    config::{Mark, Problem, check_tests, compile::value_of, raw},
    json::Value,
    policy::{Outcome, Rule, matcher},
};
use std::{borrow::Cow, collections::HashSet, ptr};

/// Where a call is decided that a case names no place for. Being offered is no call: a rule with conditions leaves the
/// tool there, and denies it everywhere else.
const PLACES: [Place; 3] = [Place::Emitted, Place::Mcp, Place::Http];

/// One case, ready to be decided.
#[derive(Debug)]
pub struct Case<'c> {
    pub at: Mark,
    pub asker: Asker<'c>,
    pub what: What,
    /// Seconds since 1970, UTC.
    pub now: i64,
    pub expect: Outcome,
    /// The reason that should be given.
    pub because: Option<String>,
}

/// What a case asks about.
#[derive(Debug)]
pub enum What {
    Call {
        tool: String,
        /// `None` where the case gives none: then the call has none, and an offer leaves them open.
        args: Option<Value<'static>>,
        /// Where it is decided; the case holds in all of them.
        places: Vec<Place>,
        /// The arguments that should go on.
        becomes: Option<Value<'static>>,
    },
    Model(String),
}

/// What came of a case.
#[derive(Debug)]
pub struct Verdict<'c> {
    /// One where all places agree.
    pub answers: Vec<Answer<'c>>,
    /// The rules that decided or took part.
    pub reached: Vec<&'c Rule>,
}

/// What was decided, in one or several places.
#[derive(Debug)]
pub struct Answer<'c> {
    /// Empty for a model.
    pub places: Vec<Place>,
    pub outcome: Outcome,
    pub rule: Option<&'c Rule>,
    pub reason: Cow<'c, str>,
    /// What is not as it should be.
    pub wrong: Vec<Wrong>,
}

/// Why a case fails.
#[derive(Debug, Clone, PartialEq)]
pub enum Wrong {
    Decision,
    Reason,
    /// Other arguments go on.
    Arguments(Vec<Difference>),
}

/// A place where two values differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Dotted; empty for the whole.
    pub path: String,
    pub expected: Option<Value<'static>>,
    pub got: Option<Value<'static>>,
}

/// The cases of a file, and what is wrong with it. `now` is the time of cases that give none.
pub fn read<'c>(
    configuration: &'c Configuration,
    tests: &raw::Tests,
    now: i64,
) -> (Vec<Case<'c>>, Vec<Problem>) {
    let problems = check_tests(&configuration.loaded, tests);
    let tenant = tests.tenant.value.as_str();
    let cases = tests.cases.iter().filter_map(|raw| case(configuration, tenant, raw, now)).collect();
    (cases, problems)
}

/// None where `check_tests` said what is wrong with it.
fn case<'c>(configuration: &'c Configuration, tenant: &str, raw: &raw::Case, now: i64) -> Option<Case<'c>> {
    let key = raw.key.as_ref();
    let asker = configuration.asker(tenant, key.map(|key| key.value.as_str())).ok()?;
    let what = match (&raw.model, &raw.call) {
        (Some(model), _) => What::Model(model.value.clone()),
        (None, Some(call)) => what_of_call(&call.value, raw),
        // A case about nothing was reported when the file was read.
        (None, None) => return None,
    };
    let expect = match raw.expect.value {
        raw::Expect::Allow => Outcome::Allow,
        raw::Expect::Ask => Outcome::Ask,
        raw::Expect::Deny => Outcome::Deny,
    };
    let now = raw.now.as_ref().map_or(now, |now| now.value.start_unix_s());
    let because = raw.because.as_ref().map(|because| because.value.clone());
    Some(Case { at: raw.at, asker, what, now, expect, because })
}

fn what_of_call(tool: &str, raw: &raw::Case) -> What {
    let places = match raw.place.as_ref().map(|place| place.value) {
        Some(raw::Place::Emitted) => vec![Place::Emitted],
        Some(raw::Place::Http) => vec![Place::Http],
        Some(raw::Place::Mcp) => vec![Place::Mcp],
        Some(raw::Place::Offered) => vec![Place::Offered],
        None => PLACES.to_vec(),
    };
    let value = |at: &crate::config::At<serde_json::Value>| value_of(&at.value);
    What::Call {
        tool: tool.to_owned(),
        args: raw.args.as_ref().map(value),
        places,
        becomes: raw.becomes.as_ref().map(value),
    }
}

impl<'c> Case<'c> {
    /// Decides it.
    pub fn run(&self) -> Verdict<'c> {
        match &self.what {
            What::Model(model) => Verdict { answers: vec![self.model(model)], reached: Vec::new() },
            What::Call { tool, args, places, becomes } => {
                let mut verdict = Verdict { answers: Vec::new(), reached: Vec::new() };
                for &place in places {
                    let args = match args {
                        Some(args) => Arguments::of(args.clone()),
                        None if place == Place::Offered => Arguments::Open,
                        None => Arguments::Known(Value::Object(Vec::new())),
                    };
                    let call = Call { tool, args: &args, place, now: self.now };
                    self.call(&call, becomes.as_ref(), &mut verdict);
                }
                verdict
            }
        }
    }

    fn model(&self, model: &str) -> Answer<'c> {
        let (outcome, reason) = match self.asker.why_not(model) {
            None => (Outcome::Allow, ""),
            Some(reason) => (Outcome::Deny, reason),
        };
        let reason = Cow::Borrowed(reason);
        Answer { places: Vec::new(), outcome, rule: None, wrong: self.wrong(outcome, &reason), reason }
    }

    fn call(&self, call: &Call<'_>, becomes: Option<&Value<'static>>, verdict: &mut Verdict<'c>) {
        let explanation = self.asker.explain(call);
        let reached = explanation.rules.iter().filter(|weighed| weighed.is_reached());
        verdict.reached.extend(reached.map(|weighed| weighed.rule));
        let decision = explanation.decision;
        let mut wrong = self.wrong(decision.outcome, &decision.reason);
        if let (Some(expected), Arguments::Known(args)) = (becomes, call.args)
            && decision.outcome != Outcome::Deny
        {
            let found = differences(expected, decision.rewritten.as_ref().unwrap_or(args));
            if !found.is_empty() {
                wrong.push(Wrong::Arguments(found));
            }
        }
        let (outcome, rule, reason) = (decision.outcome, decision.rule, decision.reason);
        let same = |answer: &&mut Answer<'c>| {
            answer.outcome == outcome
                && answer.rule.map(ptr::from_ref) == rule.map(ptr::from_ref)
                && answer.reason == reason
                && answer.wrong == wrong
        };
        match verdict.answers.iter_mut().find(same) {
            Some(answer) => answer.places.push(call.place),
            None => verdict.answers.push(Answer { places: vec![call.place], outcome, rule, reason, wrong }),
        }
    }

    fn wrong(&self, outcome: Outcome, reason: &str) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        if outcome != self.expect {
            wrong.push(Wrong::Decision);
        }
        if self.because.as_deref().is_some_and(|because| because != reason) {
            wrong.push(Wrong::Reason);
        }
        wrong
    }
}

impl Verdict<'_> {
    /// Whether all is as the case says.
    pub fn is_passed(&self) -> bool {
        self.answers.iter().all(|answer| answer.wrong.is_empty())
    }
}

/// Where two values differ, in the order of the first; none where they are the same.
pub fn differences(expected: &Value<'_>, got: &Value<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    differ("", Some(expected), Some(got), &mut found);
    found
}

fn differ(path: &str, expected: Option<&Value<'_>>, got: Option<&Value<'_>>, found: &mut Vec<Difference>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match (expected, got) {
        (Some(expected), Some(got)) if matcher::same(expected, got) => {}
        (Some(Value::Object(expected)), Some(Value::Object(members))) => {
            let got = got.unwrap_or(&Value::Null);
            for (name, value) in expected {
                differ(&below(name), Some(value), got.get(name), found);
            }
            let more = members.iter().filter(|(name, _)| !expected.iter().any(|(known, _)| known == name));
            for (name, value) in more {
                differ(&below(name), None, Some(value), found);
            }
        }
        (Some(Value::Array(expected)), Some(Value::Array(got))) => {
            for at in 0..expected.len().max(got.len()) {
                differ(&below(&at.to_string()), expected.get(at), got.get(at), found);
            }
        }
        _ => {
            let owned = |value: Option<&Value<'_>>| value.map(|value| value.clone().into_owned());
            found.push(Difference { path: path.to_owned(), expected: owned(expected), got: owned(got) });
        }
    }
}

/// Which rules cases reached.
#[derive(Debug, Default)]
pub struct Coverage<'c> {
    reached: HashSet<*const Rule>,
    tested: HashSet<&'c str>,
}

/// A tenant's rules, as far as tests reach them.
#[derive(Debug)]
pub struct Covered<'c> {
    pub tenant: &'c str,
    pub is_tested: bool,
    pub rules: usize,
    /// In the order of their places.
    pub unreached: Vec<&'c Rule>,
}

impl<'c> Coverage<'c> {
    /// Counts what a case reached.
    pub fn add(&mut self, case: &Case<'c>, verdict: &Verdict<'c>) {
        self.tested.insert(case.asker.tenant.id.as_str());
        self.reached.extend(verdict.reached.iter().map(|&rule| ptr::from_ref(rule)));
    }

    /// All tenants, by name; an abstract one only where it is tested.
    pub fn of(&self, configuration: &'c Configuration) -> Vec<Covered<'c>> {
        let tenants = configuration.tenants().map(crate::identity::Member::tenant);
        tenants
            .filter_map(|tenant| {
                let is_tested = self.tested.contains(tenant.id.as_str());
                let rules = tenant.policy.rules();
                let missed = |rule: &&Rule| !self.reached.contains(&ptr::from_ref(*rule));
                let mut unreached: Vec<&Rule> = rules.iter().filter(missed).collect();
                unreached.sort_by(|a, b| a.source.natural_order(&b.source));
                (is_tested || !tenant.is_abstract).then(|| Covered {
                    tenant: tenant.id.as_str(),
                    is_tested,
                    rules: rules.len(),
                    unreached,
                })
            })
            .collect()
    }
}

impl Covered<'_> {
    /// Whole percent, rounded down: 100 only where all rules are reached.
    pub fn percent(&self) -> usize {
        let reached = self.rules.saturating_sub(self.unreached.len());
        (reached * 100).checked_div(self.rules).unwrap_or(100)
    }
}

#[cfg(test)]
mod tests;
