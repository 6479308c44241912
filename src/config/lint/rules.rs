//! Rules that can have no effect, or too much: contradictions, rules behind others, an allow of everything.

use super::{Found, View, globs, is_enforced, is_unconditional};
use crate::{
    config::{At, Mark, Problem, compile::test_of, raw},
    policy::{
        TOOL_NAME_BYTES_MAX, Truth,
        glob::Glob,
        matcher::{Matcher, Test},
        path::Path,
    },
};
use std::{cmp::Ordering, collections::HashSet};

pub(super) fn lint(view: &View<'_>, found: &mut Found) {
    let mut seen: HashSet<Mark> = HashSet::new();
    for held in &view.tenants {
        let layers = held.effective.tools.iter();
        let rules = layers.flat_map(|layer| layer.rules.iter().map(|raw| Compared::new(raw, layer.number)));
        let rules: Vec<Compared<'_>> = rules.collect();
        for rule in &rules {
            if seen.insert(rule.raw.at) {
                never_matches(rule, found);
                empty(rule, found);
                allow_everything(rule, found);
            }
            hidden(rule, &rules, found);
        }
    }
}

/// A rule with its globs.
struct Compared<'l> {
    raw: &'l raw::Rule,
    layer: u8,
    globs: Vec<Glob>,
    /// Whether it hides what it covers: it is enforced and has no condition.
    hides: bool,
}

impl<'l> Compared<'l> {
    fn new(raw: &'l raw::Rule, layer: u8) -> Self {
        let globs = globs(raw).iter().map(|glob| Glob::new(&glob.value)).collect();
        Self { raw, layer, globs, hides: is_enforced(raw) && is_unconditional(raw) }
    }

    fn covers(&self, other: &Self) -> bool {
        other.globs.iter().all(|glob| self.globs.iter().any(|mine| mine.covers(glob)))
    }
}

fn empty(rule: &Compared<'_>, found: &mut Found) {
    if rule.globs.is_empty() {
        let (word, means) = match rule.raw.effect {
            raw::Effect::Allow(_) => ("allow", "allows"),
            raw::Effect::Ask(_) => ("ask", "asks for"),
            raw::Effect::Deny(_) => ("deny", "denies"),
        };
        let message = format!("`{word}: []` {means} nothing");
        let problem = Problem::warning("empty-rule", rule.raw.at, message);
        found.push(problem.hint("name the tools, or remove the rule"));
    }
}

fn allow_everything(rule: &Compared<'_>, found: &mut Found) {
    if !rule.hides || !matches!(rule.raw.effect, raw::Effect::Allow(_)) {
        return;
    }
    for glob in globs(rule.raw).iter().filter(|glob| Glob::new(&glob.value).covers(&Glob::new("*"))) {
        let problem =
            Problem::warning("allow-everything", glob.at, "this allows every tool, also those to come");
        found.push(problem.hint("name the tools, or those of a server: `crm__*`"));
    }
}

/// Rules behind others: what is denied anyway, what another of the same effect does as well.
fn hidden(rule: &Compared<'_>, all: &[Compared<'_>], found: &mut Found) {
    if !is_enforced(rule.raw) || rule.globs.is_empty() {
        return;
    }
    let hides = |other: &&Compared<'_>| {
        // A child's rule narrows what its parent says; what the parent allows is a ceiling, below which an allow narrows.
        let narrows = other.layer != rule.layer && matches!(other.raw.effect, raw::Effect::Allow(_));
        let is_other = other.raw.at != rule.raw.at && other.layer <= rule.layer;
        other.hides && is_other && !narrows && says_as_much(other.raw, rule.raw) && other.covers(rule)
    };
    // Of two rules that hide each other the later one is told.
    let earlier = |other: &&Compared<'_>| {
        let mutual = rule.hides && says_as_much(rule.raw, other.raw) && rule.covers(other);
        !mutual || (other.layer, other.raw.at) < (rule.layer, rule.raw.at)
    };
    // Of several the one that tells most is named: a deny.
    let denies = |other: &&Compared<'_>| !matches!(other.raw.effect, raw::Effect::Deny(_));
    let Some(other) = all.iter().filter(hides).filter(earlier).min_by_key(denies) else { return };
    let (message, help) = match (&other.raw.effect, &rule.raw.effect) {
        (raw::Effect::Deny(_), raw::Effect::Allow(_) | raw::Effect::Ask(_)) => {
            ("this rule has no effect: another denies all of it", "narrow the deny, or remove this rule")
        }
        _ if rule.hides => {
            ("this rule has no effect: another says the same of all of it", "remove one of both")
        }
        _ => (
            "this rule's condition has no effect: another says the same of all of it, without a condition",
            "narrow the other rule, or remove this one",
        ),
    };
    let problem =
        Problem::warning("hidden-rule", rule.raw.at, message).see("the other is here", other.raw.at);
    found.push(problem.hint(help));
}

/// Whether the other rule adds nothing where this one matches.
fn says_as_much(this: &raw::Rule, other: &raw::Rule) -> bool {
    match (&this.effect, &other.effect) {
        (raw::Effect::Deny(_), raw::Effect::Deny(_)) => {
            other.reason.is_none() || same_text(&this.reason, &other.reason)
        }
        (raw::Effect::Deny(_), _) => true,
        (raw::Effect::Ask(_), raw::Effect::Ask(_)) => other.reason.is_none(),
        (raw::Effect::Allow(_), raw::Effect::Allow(_)) => {
            other.set.0.is_empty() && other.limit.is_none() && this.limit.is_none()
        }
        _ => false,
    }
}

fn same_text(a: &Option<At<String>>, b: &Option<At<String>>) -> bool {
    a.as_ref().map(|at| &at.value) == b.as_ref().map(|at| &at.value)
}

fn never_matches(rule: &Compared<'_>, found: &mut Found) {
    for glob in globs(rule.raw) {
        let literal: usize = glob.value.chars().filter(|c| !matches!(c, '*' | '?')).map(char::len_utf8).sum();
        if literal > TOOL_NAME_BYTES_MAX {
            let message =
                format!("a tool's name has at most {TOOL_NAME_BYTES_MAX} bytes: nothing matches this");
            found.warn("never-matches", glob.at, message);
        }
    }
    for (path, matcher) in &rule.raw.args.0 {
        if let Some(why) = contradiction(path, matcher) {
            let message = format!("no argument can be all of this: {why}");
            let problem = Problem::warning("never-matches", path.at, message);
            found.push(problem.hint("all tests of an argument must hold; use a rule each for alternatives"));
        }
        let absent = matcher.absent.as_ref().is_some_and(|absent| absent.value);
        let inside = |other: &&(At<String>, raw::Matcher)| {
            let within = other.0.value.strip_prefix(&path.value).is_some_and(|rest| rest.starts_with('.'));
            absent && within && !other.1.absent.as_ref().is_some_and(|absent| absent.value)
        };
        if let Some((other, _)) = rule.raw.args.0.iter().find(inside) {
            let message =
                format!("`{}` is to be absent, and something is asked of what is in it", path.value);
            found.push(Problem::warning("never-matches", path.at, message).see("here", other.at));
        }
    }
}

/// Why no value can pass all tests of a matcher.
fn contradiction(path: &At<String>, raw: &raw::Matcher) -> Option<&'static str> {
    let is_text = raw.like.is_some() || raw.regex.is_some();
    let is_number = raw.min.is_some() || raw.max.is_some();
    let is_there = raw.is.is_some() || raw.any_of.is_some() || is_text || is_number;
    if raw.absent.as_ref().is_some_and(|absent| absent.value) && is_there {
        return Some("it is to be absent, and to have a value");
    }
    if raw.any_of.as_ref().is_some_and(Vec::is_empty) {
        return Some("`in` is empty");
    }
    if is_text && is_number {
        return Some("`like` and `regex` ask for a text, `min` and `max` for a number");
    }
    if let (Some(min), Some(max)) = (&raw.min, &raw.max)
        && crate::policy::compare_numbers(&min.value.0, &max.value.0) == Ordering::Greater
    {
        return Some("`min` is more than `max`");
    }
    let path = Path::new(&path.value)?;
    let tests: Vec<Test> = test_of(raw).into_iter().filter_map(Result::ok).collect();
    let values = raw.is.iter().chain(raw.any_of.iter().flatten());
    let matcher = Matcher { path, tests };
    let passes = |value: &serde_json::Value| {
        let args = nested(&matcher.path.to_string(), value);
        matcher.holds(&crate::config::compile::value_of(&args)) == Truth::True
    };
    let mut values = values.map(|at| &at.value).peekable();
    (values.peek().is_some() && !values.any(passes))
        .then_some("no value of `is` or `in` passes the other tests")
}

/// The value at a dotted path of an object.
fn nested(path: &str, value: &serde_json::Value) -> serde_json::Value {
    path.rsplit('.').fold(value.clone(), |inner, part| serde_json::json!({ part: inner }))
}
