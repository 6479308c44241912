//! One call explained, as the command and the admin port tell it: what is decided, all that led to it, and where it
//! would be decided otherwise.

use super::{Asker, Call};
use crate::{
    call::{self, Place},
    json::Value,
    policy::{
        Decision, Mode, Truth,
        explain::{Answer, Checked, Explanation, Role, Seen, Weighed},
        glob::Globs,
    },
};

/// The places that a call may meet the gateway in.
pub const PLACES: [Place; 4] = [Place::Offered, Place::Emitted, Place::Mcp, Place::Http];

/// An explanation with the call that it is of.
#[derive(Debug)]
pub struct Told<'t> {
    pub asker: Asker<'t>,
    pub call: Call<'t>,
    pub explanation: Explanation<'t>,
    /// The same call in other places, where it is decided otherwise.
    pub elsewhere: Vec<(Place, Decision<'t>)>,
}

impl<'t> Told<'t> {
    /// Explains a call, and looks what would become of it in these places.
    pub fn of(asker: Asker<'t>, call: &Call<'t>, places: &[Place]) -> Self {
        let explanation = asker.explain(call);
        let same = |decision: &Decision<'_>| {
            decision.outcome == explanation.decision.outcome
                && decision.rewritten == explanation.decision.rewritten
        };
        let elsewhere = places
            .iter()
            .map(|&place| (place, asker.decide(&Call { place, ..*call })))
            .filter(|(_, decision)| !same(decision))
            .collect();
        Self { asker, call: *call, explanation, elsewhere }
    }

    /// The id of the key that it comes with.
    pub fn key(&self) -> Option<&'t str> {
        self.asker.key.map(|key| key.id.as_str())
    }

    /// The tools that this key is narrowed to.
    pub fn key_tools(&self) -> Option<&'t Globs> {
        self.asker.key.and_then(|key| key.tools.as_ref())
    }

    /// Before and after, where a rule's `set` changed the arguments.
    pub fn set(&self) -> Option<(&Value<'t>, &Value<'static>)> {
        match (self.call.args, &self.explanation.decision.rewritten) {
            (call::Arguments::Known(before), Some(after)) => Some((before, after)),
            _ => None,
        }
    }

    /// As `tollgate explain --format json` tells it.
    pub fn json(&self) -> Value<'static> {
        let decision = &self.explanation.decision;
        let text = |text: &str| Value::string(text.to_owned());
        let args = match self.call.args {
            call::Arguments::Known(args) => args.clone().into_owned(),
            call::Arguments::Open | call::Arguments::Unreadable => Value::Null,
        };
        let elsewhere = self.elsewhere.iter().map(|(place, decision)| {
            Value::object([
                ("place", text(place.as_str())),
                ("decision", text(decision.outcome.as_str())),
                ("rule", source(decision)),
            ])
        });
        Value::object([
            ("tenant", text(self.asker.tenant.id.as_str())),
            ("key", self.key().map_or(Value::Null, text)),
            ("tool", text(self.call.tool)),
            ("place", text(self.call.place.as_str())),
            ("args", args),
            ("decision", text(decision.outcome.as_str())),
            ("rule", source(decision)),
            ("reason", text(&decision.reason)),
            ("rules", Value::Array(self.explanation.rules.iter().map(rule_json).collect())),
            ("key_narrows", self.narrowing_json()),
            ("shadow", shadow_json(decision)),
            (
                "set",
                self.set().map_or(Value::Null, |(before, after)| {
                    Value::object([("before", before.clone().into_owned()), ("after", after.clone())])
                }),
            ),
            ("elsewhere", Value::Array(elsewhere.collect())),
        ])
    }

    fn narrowing_json(&self) -> Value<'static> {
        let (Some(globs), Some(without)) = (self.key_tools(), &self.explanation.with_any_key) else {
            return Value::Null;
        };
        Value::object([
            (
                "tools",
                Value::Array(globs.iter().map(|glob| Value::string(glob.as_str().to_owned())).collect()),
            ),
            ("matches", Value::Bool(globs.matches(self.call.tool))),
            ("otherwise", Value::string(without.outcome.as_str())),
        ])
    }
}

fn source(decision: &Decision<'_>) -> Value<'static> {
    decision.source().map_or(Value::Null, |source| Value::string(source.to_string()))
}

fn shadow_json(decision: &Decision<'_>) -> Value<'static> {
    decision.shadow.map_or(Value::Null, |(outcome, rule)| {
        Value::object([
            ("decision", Value::string(outcome.as_str())),
            ("rule", Value::string(rule.source.to_string())),
        ])
    })
}

fn rule_json(weighed: &Weighed<'_>) -> Value<'static> {
    let rule = weighed.rule;
    let tools = rule.tools.iter().map(|glob| Value::string(glob.as_str().to_owned())).collect();
    Value::object([
        ("rule", Value::string(rule.source.to_string())),
        ("effect", Value::string(rule.effect.as_str())),
        ("tools", Value::Array(tools)),
        ("limit", rule.limit.as_ref().map_or(Value::Null, |limit| Value::string(limit.rate.to_string()))),
        ("mode", Value::string(if rule.mode == Mode::Shadow { "shadow" } else { "enforce" })),
        ("reason", rule.reason.as_ref().map_or(Value::Null, |reason| Value::string(reason.to_string()))),
        ("holds", truth_json(weighed.truth)),
        ("role", Value::string(role_name(weighed.role))),
        ("conditions", Value::Array(weighed.conditions.iter().map(condition_json).collect())),
    ])
}

/// What became of a rule, as JSON names it.
fn role_name(role: Role) -> &'static str {
    match role {
        Role::Decided => "decided",
        Role::Joined => "allows_too",
        Role::Overruled => "overruled",
        Role::None => "does_not_hold",
        Role::WouldDecide(_) => "would_decide",
        Role::WouldApply => "would_apply",
    }
}

fn truth_json(truth: Truth) -> Value<'static> {
    Value::string(match truth {
        Truth::False => "no",
        Truth::Open => "open",
        Truth::True => "yes",
        Truth::Unknown => "unknown",
    })
}

fn condition_json(condition: &Checked<'_>) -> Value<'static> {
    match condition {
        Checked::Argument { path, test, seen, truth } => Value::object([
            ("path", Value::string(format!("args.{path}"))),
            ("test", Value::string(test.to_string())),
            ("found", found_json(seen)),
            ("value", value_json(seen)),
            ("holds", truth_json(*truth)),
        ]),
        Checked::When { source, reads, answer } => {
            let reads = reads.iter().map(|(path, seen)| {
                Value::object([
                    ("path", Value::string(path.clone())),
                    ("found", found_json(seen)),
                    ("value", value_json(seen)),
                ])
            });
            let error = match answer {
                Answer::Unknown(why) => Value::string(why.clone()),
                Answer::Is(_) | Answer::Open => Value::Null,
            };
            Value::object([
                ("when", Value::string((*source).to_owned())),
                ("reads", Value::Array(reads.collect())),
                ("holds", truth_json(condition.truth())),
                ("error", error),
            ])
        }
    }
}

fn found_json(seen: &Seen) -> Value<'static> {
    Value::string(match seen {
        Seen::Missing | Seen::Unreachable => "missing",
        Seen::Open => "open",
        Seen::Unreadable => "unreadable",
        Seen::Value(_) => "value",
    })
}

fn value_json(seen: &Seen) -> Value<'static> {
    match seen {
        Seen::Value(value) => value.clone(),
        Seen::Missing | Seen::Open | Seen::Unreachable | Seen::Unreadable => Value::Null,
    }
}
