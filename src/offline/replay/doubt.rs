//! Whether a rule's answer hangs on what was redacted.

use crate::{
    json::Value,
    policy::{
        Question, Rule, Truth,
        condition::{Condition, Facts},
        matcher::{Matcher, Test},
        path::Found,
    },
    redact::holds_placeholder,
};

/// Whether a rule reads arguments at all.
pub(super) fn reads_arguments(rule: &Rule) -> bool {
    !rule.args.is_empty() || rule.when.as_ref().is_some_and(Condition::reads_args)
}

/// Whether a rule's answer hangs on a value that was redacted: a condition reads one, and none of the others, which
/// read what is there, fails already.
pub(super) fn reads_redacted(rule: &Rule, question: &Question<'_>, args: &Value<'_>) -> bool {
    let facts =
        Facts { caller: question.caller, tool: question.tool, place: question.place, now: question.now };
    let mut doubts = false;
    for matcher in &rule.args {
        if is_redacted_at(matcher, args) {
            doubts = true;
        } else if matcher.holds(args) == Truth::False {
            return false;
        }
    }
    if let Some(when) = &rule.when {
        if when.reads_args() && reads_one(when, &facts, args) {
            doubts = true;
        } else if when.holds(&facts, Some(args)) == Truth::False {
            return false;
        }
    }
    doubts
}

fn is_redacted_at(matcher: &Matcher, args: &Value<'_>) -> bool {
    match matcher.path.find(args) {
        Found::Here(value) => {
            let asks_for_more = |test: &Test| !matches!(test, Test::Absent(_));
            matcher.tests.iter().any(asks_for_more) && is_redacted(value)
        }
        // What is missing may be there under a name that was redacted.
        Found::Missing => has_redacted_name(args),
        Found::Unreachable => false,
    }
}

fn reads_one(when: &Condition, facts: &Facts<'_>, args: &Value<'_>) -> bool {
    let reads = when.reads(facts, Some(args));
    reads.iter().filter(|read| read.is_argument()).any(|read| match &read.value {
        Some(value) => is_redacted(value),
        None => has_redacted_name(args),
    })
}

/// Whether something was taken out of a value, names included.
fn is_redacted(value: &Value<'_>) -> bool {
    match value {
        Value::Array(items) => items.iter().any(is_redacted),
        Value::Object(members) => {
            members.iter().any(|(name, value)| holds_placeholder(name.as_bytes()) || is_redacted(value))
        }
        Value::String(text) => holds_placeholder(text.as_bytes()),
        Value::Bool(_) | Value::Null | Value::Number(_) => false,
    }
}

fn has_redacted_name(value: &Value<'_>) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_redacted_name),
        Value::Object(members) => {
            members.iter().any(|(name, value)| holds_placeholder(name.as_bytes()) || has_redacted_name(value))
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => false,
    }
}
