//! The settings that hold for one tenant, borrowed from the files that say so.

use crate::config::{
    At, raw,
    secret::SecretRef,
    values::{Budget, Percent, Rate},
};

/// The rules of one file of a chain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layer<'l> {
    /// 0 is the topmost that has any.
    pub(crate) number: u8,
    pub(crate) rules: &'l [raw::Rule],
    /// Whether other tenants have them too.
    pub(crate) shared: bool,
}

/// Which detectors are on.
#[derive(Debug, Clone)]
pub(crate) enum Detectors<'l> {
    All,
    List(Vec<&'l At<String>>),
}

/// How much a tenant may do, or may do with a model.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    pub(crate) requests: Option<At<Rate>>,
    pub(crate) tokens: Option<At<Rate>>,
    pub(crate) concurrency: Option<At<u64>>,
    pub(crate) output_estimate: Option<At<u64>>,
}

/// What holds for a tenant. What is None or empty was said nowhere.
#[derive(Debug, Clone)]
pub(crate) struct Effective<'l> {
    /// How many files are above it.
    pub(crate) depth: u8,
    /// The topmost first; each counts.
    pub(crate) tools: Vec<Layer<'l>>,
    /// The topmost first; each must match.
    pub(crate) models: Vec<&'l [At<String>]>,
    pub(crate) labels: Option<Vec<(&'l str, &'l At<serde_json::Value>)>>,
    pub(crate) on_deny: Option<&'l At<raw::OnDeny>>,
    pub(crate) limits: Limits,
    pub(crate) model_limits: Option<Vec<(&'l At<String>, Limits)>>,
    /// Each counts: of a budget a day and one a month neither is the smaller.
    pub(crate) budgets: Vec<&'l At<Budget>>,
    pub(crate) detectors: Option<Detectors<'l>>,
    /// From which share of a budget on it is told.
    pub(crate) warn: Option<&'l At<Percent>>,
    /// Entities and their regular expressions.
    pub(crate) patterns: Option<Vec<(&'l At<String>, &'l At<String>)>>,
    pub(crate) wire: Option<&'l At<raw::Wire>>,
    /// What is let through.
    pub(crate) allow: Option<Vec<&'l At<String>>>,
    pub(crate) epoch: Option<&'l At<String>>,
    pub(crate) analyzer: Option<&'l raw::Analyzer>,
    pub(crate) content: Option<&'l At<raw::Content>>,
    pub(crate) webhook: Option<&'l At<SecretRef>>,
    pub(crate) weight: Option<&'l At<u64>>,
}

impl<'l> Effective<'l> {
    /// What a file says that extends nothing; `shared` if others have it too.
    pub(super) fn topmost(own: &'l raw::Settings, shared: bool) -> Self {
        let redact = own.redact.as_ref();
        let layer = |rules| Layer { number: 0, rules, shared };
        Self {
            depth: 0,
            tools: own.tools.as_deref().map(layer).into_iter().collect(),
            models: own.models.as_deref().into_iter().collect(),
            labels: own.labels.as_ref().map(labels),
            on_deny: own.on_deny.as_ref(),
            limits: own.limits.as_ref().map(limits).unwrap_or_default(),
            model_limits: own.model_limits.as_ref().map(model_limits),
            budgets: own.budget.iter().collect(),
            warn: own.warn.as_ref(),
            detectors: redact.and_then(|redact| redact.detectors.as_ref()).map(detectors),
            patterns: redact.and_then(|redact| redact.patterns.as_ref()).map(patterns),
            wire: redact.and_then(|redact| redact.wire.as_ref()),
            allow: redact.and_then(|redact| redact.allow.as_ref()).map(|list| list.iter().collect()),
            epoch: redact.and_then(|redact| redact.epoch.as_ref()),
            analyzer: redact.and_then(|redact| redact.analyzer.as_ref()),
            content: own.records.as_ref().and_then(|records| records.content.as_ref()),
            webhook: own.approvals.as_ref().and_then(|approvals| approvals.webhook.as_ref()),
            weight: own.weight.as_ref(),
        }
    }

    /// Takes from the defaults what no file of the chain says: maps of a known form key by key, all else as a whole.
    pub(super) fn fill_from(&mut self, defaults: &'l raw::Settings) {
        let other = Self::topmost(defaults, true);
        if self.tools.is_empty() {
            self.tools = other.tools;
        }
        if self.models.is_empty() {
            self.models = other.models;
        }
        self.labels = self.labels.take().or(other.labels);
        self.on_deny = self.on_deny.or(other.on_deny);
        self.limits = Limits {
            requests: self.limits.requests.or(other.limits.requests),
            tokens: self.limits.tokens.or(other.limits.tokens),
            concurrency: self.limits.concurrency.or(other.limits.concurrency),
            output_estimate: self.limits.output_estimate.or(other.limits.output_estimate),
        };
        self.model_limits = self.model_limits.take().or(other.model_limits);
        if self.budgets.is_empty() {
            self.budgets = other.budgets;
        }
        self.warn = self.warn.or(other.warn);
        self.detectors = self.detectors.take().or(other.detectors);
        self.patterns = self.patterns.take().or(other.patterns);
        self.wire = self.wire.or(other.wire);
        self.allow = self.allow.take().or(other.allow);
        self.epoch = self.epoch.or(other.epoch);
        self.analyzer = self.analyzer.or(other.analyzer);
        self.content = self.content.or(other.content);
        self.webhook = self.webhook.or(other.webhook);
        self.weight = self.weight.or(other.weight);
    }
}

fn labels(raw: &raw::Entries<At<serde_json::Value>>) -> Vec<(&str, &At<serde_json::Value>)> {
    raw.0.iter().map(|(name, value)| (name.value.as_str(), value)).collect()
}

fn limits(raw: &raw::TenantLimits) -> Limits {
    Limits {
        requests: raw.requests,
        tokens: raw.tokens,
        concurrency: raw.concurrency,
        output_estimate: raw.output_estimate,
    }
}

fn model_limits(raw: &raw::Entries<raw::Quota>) -> Vec<(&At<String>, Limits)> {
    let limits = |quota: &raw::Quota| Limits {
        requests: quota.requests,
        tokens: quota.tokens,
        concurrency: quota.concurrency,
        output_estimate: None,
    };
    raw.0.iter().map(|(name, quota)| (name, limits(quota))).collect()
}

fn detectors(raw: &raw::Detectors) -> Detectors<'_> {
    match raw {
        raw::Detectors::All => Detectors::All,
        raw::Detectors::List(names) => Detectors::List(names.iter().collect()),
    }
}

fn patterns(raw: &raw::Entries<At<String>>) -> Vec<(&At<String>, &At<String>)> {
    raw.0.iter().map(|(name, regex)| (name, regex)).collect()
}
