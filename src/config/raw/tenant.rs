//! A tenant's file as it was written: its keys, what it may do, and how much.

use std::{path::PathBuf, time::Duration};

use super::{
    super::{
        files::{At, Mark},
        read::{Entries, Field, Leaf, Many, Read, part, record, words},
        secret::SecretRef,
        values::{Budget, NumberText, Percent, Rate, Sha256Hex, When},
        yaml::{Node, Value},
    },
    gateway::{Auth, JsonAt},
};

/// A tenant.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Where it begins.
    pub at: Mark,
    pub tenant: At<String>,
    /// Only there to be extended.
    pub is_abstract: Option<At<bool>>,
    pub keys: Vec<Key>,
    /// Whether keys are written, be it that none of them could be read.
    pub has_keys: bool,
    /// What is shown to upstreams instead of the gateway's own, by their names.
    pub credentials: Entries<Auth>,
    pub settings: Settings,
}

part! {
    /// The keys of a tenant that are not among [`Settings`].
    TenantKeys {
        tenant: Option<At<String>> = "tenant",
        is_abstract: Option<At<bool>> = "abstract",
        keys: Vec<Key> = "keys",
        credentials: Entries<Auth> = "credentials",
    }
}

impl Tenant {
    /// A tenant that stands under its name in `tollgate.yaml`.
    pub(super) fn inline(name: &Node<'_>, body: &Node<'_>) -> Option<Self> {
        Self::named(<At<String>>::read(name)?, TenantKeys::read(body)?, body)
    }

    fn named(tenant: At<String>, keys: TenantKeys, body: &Node<'_>) -> Option<Self> {
        let settings = Settings::read(body)?;
        let TenantKeys { is_abstract, keys, credentials, .. } = keys;
        let has_keys = body.get("keys").is_some_and(|keys| keys.list().is_none_or(|keys| !keys.is_empty()));
        Some(Self { at: body.at, tenant, is_abstract, keys, has_keys, credentials, settings })
    }
}

impl Read for Tenant {
    fn read(node: &Node<'_>) -> Option<Self> {
        let mut keys = TenantKeys::read(node)?;
        Self::named(keys.tenant.take()?, keys, node)
    }
}

record! {
    /// What `defaults` may hold too. An absent list is None: not the same as an empty one.
    Settings {
        weight: Option<At<u64>> = "weight",
        labels: Option<Entries<JsonAt>> = "labels",
        extends: Option<At<String>> = "extends",
        models: Option<Vec<At<String>>> = "models",
        tools: Option<Vec<Rule>> = "tools",
        on_deny: Option<At<OnDeny>> = "on_deny",
        cache: Option<At<Duration>> = "cache",
        limits: Option<TenantLimits> = "limits",
        model_limits: Option<Entries<Quota>> = "model_limits",
        budget: Option<At<Budget>> = "budget",
        warn: Option<At<Percent>> = "warn",
        redact: Option<Redact> = "redact",
        records: Option<TenantRecords> = "records",
        approvals: Option<Approvals> = "approvals",
    }
}

words! {
    /// Which of a tenant's requests wait first.
    Priority {
        Batch = "batch", "Waits while the tenant's other requests are served.";
        Normal = "normal", "Served in turn.";
    }
}

record! {
    /// A credential of a tenant. Its lists only narrow the tenant's.
    Key {
        id: At<String> = "id",
        sha256: At<Sha256Hex> = "sha256",
        expires: Option<At<When>> = "expires",
        priority: Option<At<Priority>> = "priority",
        models: Option<Vec<At<String>>> = "models",
        tools: Option<Vec<At<String>>> = "tools",
        limits: Option<Quota> = "limits",
    }
}

words! {
    /// Whether a rule counts.
    Mode {
        Enforce = "enforce", "The rule decides.";
        Shadow = "shadow", "The rule is recorded, but does not decide.";
    }
}

/// What a rule says of the calls that match its globs, of which one is enough.
#[derive(Debug, Clone)]
pub enum Effect {
    Allow(Vec<At<String>>),
    Ask(Vec<At<String>>),
    Deny(Vec<At<String>>),
}

/// A rule over tool calls.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Where the rule begins: its line is what records name.
    pub at: Mark,
    pub effect: Effect,
    /// A condition in CEL.
    pub when: Option<At<String>>,
    /// By the dotted path of an argument.
    pub args: Entries<Matcher>,
    pub limit: Option<At<Rate>>,
    /// By the dotted path of an argument.
    pub set: Entries<JsonAt>,
    pub reason: Option<At<String>>,
    pub mode: Option<At<Mode>>,
    pub within: Option<At<Duration>>,
}

part! {
    /// The keys of a rule.
    RuleKeys {
        allow: Option<Many<At<String>>> = "allow",
        ask: Option<Many<At<String>>> = "ask",
        deny: Option<Many<At<String>>> = "deny",
        when: Option<At<String>> = "when",
        args: Entries<Matcher> = "args",
        limit: Option<At<Rate>> = "limit",
        set: Entries<JsonAt> = "set",
        reason: Option<At<String>> = "reason",
        mode: Option<At<Mode>> = "mode",
        within: Option<At<Duration>> = "within",
    }
}

impl Read for Rule {
    fn read(node: &Node<'_>) -> Option<Self> {
        let keys = RuleKeys::read(node)?;
        let effect = match (keys.allow, keys.ask, keys.deny) {
            (Some(globs), None, None) => Effect::Allow(globs.0),
            (None, Some(globs), None) => Effect::Ask(globs.0),
            (None, None, Some(globs)) => Effect::Deny(globs.0),
            _ => return None,
        };
        let RuleKeys { when, args, limit, set, reason, mode, within, .. } = keys;
        Some(Self { at: node.at, effect, when, args, limit, set, reason, mode, within })
    }
}

record! {
    /// What an argument must be; all that is given must hold.
    Matcher {
        is: Option<JsonAt> = "is",
        any_of: Option<Vec<JsonAt>> = "in",
        like: Option<At<String>> = "like",
        regex: Option<At<String>> = "regex",
        min: Option<At<NumberText>> = "min",
        max: Option<At<NumberText>> = "max",
        absent: Option<At<bool>> = "absent",
    }
}

words! {
    /// What becomes of an answer that holds a denied call.
    OnDeny {
        Error = "error", "The answer is 403, in a stream the error event.";
        Notice = "notice", "The call is taken out, and a text says so.";
    }
}

record! {
    /// How much a tenant may do.
    TenantLimits {
        requests: Option<At<Rate>> = "requests",
        tokens: Option<At<Rate>> = "tokens",
        concurrency: Option<At<u64>> = "concurrency",
        output_estimate: Option<At<u64>> = "output_estimate",
    }
}

record! {
    /// How much a tenant may do with the models that match, or with a key.
    Quota {
        requests: Option<At<Rate>> = "requests",
        tokens: Option<At<Rate>> = "tokens",
        concurrency: Option<At<u64>> = "concurrency",
    }
}

words! {
    /// What the provider gets to see of a detected value.
    Wire {
        Block = "block", "Nothing: the request is refused.";
        Mask = "mask", "A pseudonym, which is turned back in the answer.";
        Off = "off", "The value itself.";
    }
}

/// What is detected besides credentials, which always are.
#[derive(Debug, Clone)]
pub enum Detectors {
    All,
    List(Vec<At<String>>),
}

impl Read for Detectors {
    fn read(node: &Node<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar(_) => Some(Self::All),
            Value::Broken | Value::List(_) | Value::Map(_) => <Vec<At<String>>>::read(node).map(Self::List),
        }
    }
}

record! {
    /// Who finds names and the like in what is recorded.
    Analyzer {
        url: At<String> = "url",
        ca: Option<At<PathBuf>> = "ca",
        timeout: Option<At<Duration>> = "timeout",
        language: Option<At<String>> = "language",
        entities: Option<Vec<At<String>>> = "entities",
        threshold: Option<At<Percent>> = "threshold",
    }
}

record! {
    /// What is redacted, and from what.
    Redact {
        allow: Option<Vec<At<String>>> = "allow",
        analyzer: Option<Analyzer> = "analyzer",
        detectors: Option<Detectors> = "detectors",
        epoch: Option<At<String>> = "epoch",
        /// Regular expressions by the entity that they find.
        patterns: Option<Entries<At<String>>> = "patterns",
        wire: Option<At<Wire>> = "wire",
    }
}

words! {
    /// What records hold of prompts and answers.
    Content {
        None = "none", "Nothing.";
        Redacted = "redacted", "The text, redacted.";
    }
}

record! {
    /// What a tenant's records hold.
    TenantRecords {
        content: Option<At<Content>> = "content",
    }
}

record! {
    /// Who is told of calls that wait for a person.
    Approvals {
        webhook: Option<At<SecretRef>> = "webhook",
    }
}
