//! One rule of a tenant's file, compiled, and the caller that conditions speak of.

use super::{Decision, Outcome, condition::Condition, glob::Globs, matcher::Matcher, path::Path};
use crate::{json::Value, quota::CallLimit};
use std::{borrow::Cow, cmp::Ordering, fmt, sync::Arc, time::Duration};

/// What a rule does to a call that matches. In the order in which they win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    Deny,
    Ask,
    Allow,
}

impl Effect {
    /// The key that a rule with this effect has.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

/// Whether a rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Enforce,
    /// Recorded where it would have changed a decision, not enforced.
    Shadow,
}

/// Where a rule stands: `tenants/acme.yaml:14`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source(Arc<str>);

impl Source {
    /// A place in a file.
    pub fn new(file: &str, line: u32) -> Self {
        Self(format!("{file}:{line}").into())
    }

    /// Orders places as a reader does: line 9 before line 10.
    pub fn natural_order(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }

    fn parts(&self) -> (&str, u32) {
        let (file, line) = self.0.rsplit_once(':').unwrap_or((&self.0, ""));
        (file, line.parse().unwrap_or(0))
    }

    /// The place as shared text, for records.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A rule, ready to decide.
#[derive(Debug, Clone)]
pub struct Rule {
    pub effect: Effect,
    pub tools: Globs,
    pub args: Vec<Matcher>,
    pub when: Option<Condition>,
    /// Values to force into the arguments of a call that this rule allows.
    pub set: Vec<(Path, Value<'static>)>,
    /// Told to the agent.
    pub reason: Option<Arc<str>>,
    pub mode: Mode,
    /// How often it lets a call through, or asks a person about one.
    pub limit: Option<CallLimit>,
    /// How long a call that asks may wait for a person.
    pub within: Duration,
    pub source: Source,
    /// Which file of a chain of `extends` it stands in: 0 is the topmost, and the only one of most tenants.
    pub layer: u8,
}

/// How long a call that asks may wait, where its rule does not say.
const WITHIN: Duration = Duration::from_secs(600);

impl Rule {
    /// A rule that asks nothing of a call but its name.
    pub fn plain(effect: Effect, tools: Globs, source: Source) -> Self {
        Self {
            effect,
            tools,
            args: Vec::new(),
            when: None,
            set: Vec::new(),
            reason: None,
            mode: Mode::Enforce,
            limit: None,
            within: WITHIN,
            source,
            layer: 0,
        }
    }

    /// Which of several rules of one effect is named: one with a reason, then the most specific, then by text,
    /// then by place, so that the order in which they come plays no part.
    pub(super) fn rank(&self) -> (bool, usize, String) {
        let specific = self.tools.iter().map(super::glob::Glob::literal_len).max().unwrap_or(0);
        let text: Vec<&str> = self.tools.iter().map(super::glob::Glob::as_str).collect();
        (
            self.reason.is_some(),
            specific,
            format!("{text:?} {:?} {:?} {}", self.when, self.reason, self.source),
        )
    }

    pub(super) fn decision<'r>(&'r self, outcome: Outcome, otherwise: &'r str) -> Decision<'r> {
        let reason = Cow::Borrowed(self.reason.as_deref().unwrap_or(otherwise));
        Decision {
            outcome,
            rule: Some(self),
            reason,
            rewritten: None,
            within: None,
            limits: Vec::new(),
            shadow: None,
        }
    }
}

/// Who makes a call, as conditions see it: `tenant.name`, `tenant.labels.plan`, `key.id`.
#[derive(Clone)]
pub struct Caller {
    tenant: Arc<Value<'static>>,
    key: Arc<Value<'static>>,
}

impl Caller {
    /// A caller; the labels are the tenant's.
    pub fn new(tenant: &str, key: &str, labels: &[(&str, &str)]) -> Self {
        let label =
            |&(name, value): &(&str, &str)| (Cow::Owned(name.to_owned()), Value::string(value.to_owned()));
        let labels = Value::Object(labels.iter().map(label).collect());
        let tenant = Value::object([("name", Value::string(tenant.to_owned())), ("labels", labels)]);
        Self { tenant: Arc::new(tenant), key: key_map(key) }
    }

    /// The same tenant with another key; what is known of the tenant is shared.
    pub fn with_key(&self, key: &str) -> Self {
        Self { tenant: Arc::clone(&self.tenant), key: key_map(key) }
    }

    pub(super) fn tenant(&self) -> &Value<'static> {
        &self.tenant
    }

    pub(super) fn key(&self) -> &Value<'static> {
        &self.key
    }
}

fn key_map(key: &str) -> Arc<Value<'static>> {
    Arc::new(Value::object([("id", Value::string(key.to_owned()))]))
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Caller")
    }
}
