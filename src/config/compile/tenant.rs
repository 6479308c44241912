//! A tenant as it was written to a tenant that runs.

use super::{Compiler, limits::model_globs, rule::names};
use crate::{
    config::{
        At, Mark, Problem,
        lineage::{self, Effective, Held},
        raw, values,
    },
    identity::{Directory, KeyDigest},
    names::{KeyId, TenantId},
    policy::{
        Caller, Policy, Rule,
        glob::Globs,
        path::Path,
        placeholder::{self, BadPlaceholder},
    },
    quota::{Limits, Quota, Rate, fair::Priority},
    records::{Content, Journal},
    redact::{Allow, Detectors, Pattern, PatternError, Redactor},
    tenant::{Key, Offered, OnDeny, Tenant, Wire},
};
use std::{borrow::Cow, collections::HashMap, num::NonZeroU32, sync::Arc};

/// Where the digest of each key stands first.
type Owners = HashMap<[u8; 32], Mark>;

/// Rules that several tenants have, by where they stand: compiled once, and what is wrong with them is said once.
type Shared = HashMap<Mark, Rule>;

/// A pattern could have it.
const ANY_NAME: &str = "A";

impl Compiler<'_> {
    /// Every key of every tenant, and how many tenants there are.
    pub(super) fn tenants(&mut self, all: &[Held<'_>]) -> (Directory, usize) {
        let mut directory = Directory::default();
        let (mut owners, mut shared) = (Owners::new(), Shared::new());
        let mut count = 0;
        for held in all {
            let Some(tenant) = self.tenant(held, &mut shared) else { continue };
            let (tenant, raw) = (Arc::new(tenant), held.raw);
            directory.enter(&tenant);
            if tenant.is_abstract {
                if let Some(key) = raw.keys.first() {
                    let message =
                        "a tenant with `abstract: true` cannot have keys: nobody can be this tenant";
                    self.error("keys-of-abstract", key.id.at, message);
                }
                continue;
            }
            count += 1;
            let mut ids: HashMap<&str, Mark> = HashMap::new();
            for raw_key in &raw.keys {
                let id = &raw_key.id;
                if let Some(first) = ids.get(id.value.as_str()) {
                    let message = format!("two keys of this tenant have the id `{}`", id.value);
                    let problem =
                        Problem::error("duplicate-key-id", id.at, message).see("the first is here", *first);
                    self.say(problem.hint("give each an id of its own: records and usage name keys by it"));
                } else {
                    ids.insert(&id.value, id.at);
                }
                if let Some((digest, key)) = self.key(raw_key, &tenant, &mut owners) {
                    directory.add(digest, &tenant, key);
                }
            }
            if !raw.has_keys && !self.is_known_otherwise(&raw.tenant.value) {
                let problem = Problem::warning(
                    "no-keys",
                    raw.tenant.at,
                    "the tenant has no keys: nobody can be this tenant",
                );
                let tenant = &raw.tenant.value;
                self.say(problem.hint(format!(
                    "`tollgate key new --tenant {tenant}` prints a key and the lines to paste"
                )));
            }
        }
        (directory, count)
    }

    /// Whether callers can be this tenant without a key.
    fn is_known_otherwise(&self, tenant: &str) -> bool {
        let identity = self.loaded.gateway.as_ref().and_then(|gateway| gateway.identity.as_ref());
        identity.is_some_and(|identity| {
            let fixed = identity.fixed.as_ref().is_some_and(|fixed| fixed.value == tenant);
            fixed || !identity.jwt.is_empty() || identity.mtls.is_some()
        })
    }

    fn key(&mut self, raw: &raw::Key, tenant: &Tenant, owners: &mut Owners) -> Option<(KeyDigest, Key)> {
        let digest = raw.sha256.value.0;
        if let Some(first) = owners.insert(digest, raw.sha256.at) {
            let message = "this key is used twice; a key has one owner";
            let problem = Problem::error("shared-key", raw.sha256.at, message);
            self.problems.push(problem.see("it is first used here", first));
            return None;
        }
        let Ok(id) = KeyId::try_from(raw.id.value.as_str()) else {
            let message = "a key's id may hold only letters, digits, dot, underscore and dash";
            self.error("bad-name", raw.id.at, message);
            return None;
        };
        if let Some(expires) = raw.expires.as_ref().filter(|at| at.value.end_unix_s() <= self.context.now) {
            self.warn("expired-key", expires.at, "the key has expired");
        }
        let key = Key {
            caller: tenant.caller.with_key(id.as_str()),
            id,
            expires: raw.expires.as_ref().map(|at| at.value.end_unix_s()),
            models: raw.models.as_deref().map(names),
            tools: raw.tools.as_deref().map(names),
            quota: raw.limits.as_ref().map(|limits| self.quota_of_key(tenant, &raw.id.value, limits)),
            priority: match raw.priority.as_ref().map(|at| at.value) {
                Some(raw::Priority::Batch) => Priority::Batch,
                Some(raw::Priority::Normal) | None => Priority::Interactive,
            },
            offered: Offered::default(),
        };
        Some((KeyDigest::from_bytes(digest), key))
    }

    fn tenant(&mut self, held: &Held<'_>, shared: &mut Shared) -> Option<Tenant> {
        let (raw, effective) = (held.raw, &held.effective);
        let Ok(id) = TenantId::try_from(raw.tenant.value.as_str()) else {
            self.error("bad-name", raw.tenant.at, "a tenant's name may hold only a-z, 0-9 and -");
            // What else is wrong is told all the same.
            drop((self.policy(held, shared), self.detectors(effective), self.patterns(effective)));
            return None;
        };
        let tenant = Tenant {
            quota: self.quota(&id, effective),
            weight: effective.weight.map_or(1, |at| u32::try_from(at.value).unwrap_or(u32::MAX)),
            model_limits: model_globs(effective),
            journal: self.journal(&id, effective),
            id,
            is_abstract: held.is_abstract(),
            caller: caller(raw, effective),
            policy: self.policy(held, shared),
            models: models(effective),
            cache: effective.cache.map(|at| at.value).filter(|ttl| !ttl.is_zero()),
            on_deny: match effective.on_deny.map(|at| at.value) {
                Some(raw::OnDeny::Error) => OnDeny::Error,
                Some(raw::OnDeny::Notice) | None => OnDeny::Notice,
            },
            wire: match effective.wire.map(|at| at.value) {
                Some(raw::Wire::Block) => Wire::Block,
                Some(raw::Wire::Mask) => Wire::Mask,
                Some(raw::Wire::Off) | None => Wire::Off,
            },
        };
        tenant.quota.expect(&tenant.policy.limits());
        Some(tenant)
    }

    fn policy(&mut self, held: &Held<'_>, shared: &mut Shared) -> Policy {
        let effective = &held.effective;
        let caller = caller(held.raw, effective);
        let mut rules: Vec<Rule> = Vec::new();
        for layer in &effective.tools {
            for raw in layer.rules {
                let mut rule = match shared.get(&raw.at) {
                    Some(rule) => rule.clone(),
                    None => {
                        let rule = self.rule(raw, layer.number);
                        if layer.shared {
                            shared.insert(raw.at, rule.clone());
                        }
                        rule
                    }
                };
                self.fill(&mut rule, raw, (&caller, held.is_abstract()));
                rules.push(rule);
            }
        }
        number_equals(&mut rules);
        let empty = effective.tools.iter().filter(|layer| layer.rules.is_empty());
        Policy::of_layers(rules, &empty.map(|layer| layer.number).collect::<Vec<_>>())
    }

    /// Fills the tenant's own into what a rule forces. A tenant that is only there to be extended has no labels yet.
    fn fill(&mut self, rule: &mut Rule, raw: &raw::Rule, (caller, is_abstract): (&Caller, bool)) {
        for (path, value) in &mut rule.set {
            match placeholder::fill(value, caller) {
                Ok(()) => {}
                Err(BadPlaceholder::NoLabel(_)) if is_abstract => {}
                Err(bad) => {
                    let written =
                        raw.set.0.iter().find(|(known, _)| Path::new(&known.value).as_ref() == Some(path));
                    let at = written.map_or(raw.at, |(_, value)| value.at);
                    self.error("bad-placeholder", at, bad.to_string());
                }
            }
        }
    }

    fn quota(&mut self, id: &TenantId, effective: &Effective<'_>) -> Arc<Quota> {
        let requests = effective.limits.requests.and_then(|at| self.rate(&at));
        let in_flight = effective.limits.concurrency.map(|at| u32::try_from(at.value).unwrap_or(u32::MAX));
        let limits = self.limits(effective);
        self.kept_quota(id.shared(), requests, in_flight, limits)
    }

    /// The limits of a key. A tenant's name has no slash.
    fn quota_of_key(&mut self, tenant: &Tenant, id: &str, raw: &raw::Quota) -> Arc<Quota> {
        let requests = raw.requests.and_then(|at| self.rate(&at));
        let in_flight = raw.concurrency.map(|at| u32::try_from(at.value).unwrap_or(u32::MAX));
        let limits = Limits { tokens: raw.tokens.and_then(|at| self.rate(&at)), ..Limits::default() };
        self.kept_quota(format!("{}/{id}", tenant.id.as_str()).into(), requests, in_flight, limits)
    }

    /// Limits that go on with what is used of those before.
    fn kept_quota(
        &mut self,
        name: Arc<str>,
        requests: Option<Rate>,
        in_flight: Option<u32>,
        limits: Limits,
    ) -> Arc<Quota> {
        let known = self.context.quotas.get(&name).map(|known| Arc::clone(&known));
        let quota = match known {
            Some(known) if known.is(requests, in_flight, &limits) => return known,
            Some(known) => Arc::new(Quota::new(requests, in_flight).limited(limits).after(&known)),
            None => Arc::new(Quota::new(requests, in_flight).limited(limits)),
        };
        self.context.quotas.insert(name, Arc::clone(&quota));
        quota
    }

    pub(super) fn rate(&mut self, at: &At<values::Rate>) -> Option<Rate> {
        let whole = |count: u64| u32::try_from(count).ok().and_then(NonZeroU32::new);
        let count = whole(at.value.count.get());
        let burst = whole(at.value.burst.unwrap_or(at.value.count).get());
        let rate = count.zip(burst).map(|(count, burst)| Rate { count, per: at.value.per.duration(), burst });
        if rate.is_none() {
            self.error("bad-rate", at.at, "a rate counts to at most 4294967295");
        }
        rate
    }

    fn journal(&mut self, id: &TenantId, effective: &Effective<'_>) -> Arc<Journal> {
        let gateway = self.loaded.gateway.as_ref().and_then(|gateway| gateway.records.as_ref());
        let everyone = gateway.and_then(|records| records.content.as_ref());
        let content = match effective.content.or(everyone).map(|at| at.value) {
            Some(raw::Content::None) => Content::None,
            Some(raw::Content::Redacted) | None => Content::Redacted,
        };
        let secret = self.context.secrets.of(id.as_str());
        let detectors = self.detectors(effective);
        let patterns = self.patterns(effective);
        let allow = self.allow(effective);
        let analyst = effective.analyzer.and_then(|analyzer| self.analyzer(analyzer));
        let tokens = effective.epoch.map_or_else(|| secret.clone(), |epoch| secret.of_epoch(&epoch.value));
        Arc::new(Journal {
            tenant: id.shared(),
            redactor: Arc::new(Redactor::new(tokens, detectors, patterns).allowing(&allow)),
            analyst,
            secret: Arc::new(secret),
            content,
            queued: Arc::default(),
            turns: Arc::default(),
        })
    }

    fn detectors(&mut self, effective: &Effective<'_>) -> Detectors {
        let Some(lineage::Detectors::List(listed)) = &effective.detectors else { return Detectors::all() };
        let mut known = Vec::new();
        for name in listed {
            match Detectors::only(&[&name.value]) {
                Ok(_) => known.push(name.value.as_str()),
                Err(unknown) => {
                    let message = format!("no entity is named so; the nearest is `{}`", unknown.nearest);
                    self.error("unknown-entity", name.at, message);
                }
            }
        }
        Detectors::only(&known).unwrap_or_else(|_| Detectors::all())
    }

    fn patterns(&mut self, effective: &Effective<'_>) -> Vec<Pattern> {
        let mut patterns = Vec::new();
        for (name, regex) in effective.patterns.iter().flatten() {
            match Pattern::new(&name.value, &regex.value) {
                Ok(pattern) => patterns.push(pattern),
                Err(bad @ (PatternError::Name | PatternError::Taken(_))) => {
                    self.error("bad-pattern", name.at, bad.to_string());
                    if let Err(also) = Pattern::new(ANY_NAME, &regex.value) {
                        self.error("bad-pattern", regex.at, also.to_string());
                    }
                }
                Err(bad) => self.error("bad-pattern", regex.at, bad.to_string()),
            }
        }
        patterns
    }

    fn allow(&mut self, effective: &Effective<'_>) -> Vec<Allow> {
        let mut allow = Vec::new();
        for entry in effective.allow.iter().flatten() {
            match Allow::new(&entry.value) {
                Ok(one) => allow.push(one),
                Err(bad) => self.error("bad-allow", entry.at, bad.to_string()),
            }
        }
        allow
    }
}

/// Each rule counts for itself, also one that says the same as another.
fn number_equals(rules: &mut [Rule]) {
    let mut seen: HashMap<Arc<str>, usize> = HashMap::new();
    for rule in rules {
        let Some(limit) = &mut rule.limit else { continue };
        let name: Arc<str> = format!("{} {}", rule.layer, limit.rule).into();
        let number = seen.entry(Arc::clone(&name)).or_default();
        *number += 1;
        limit.rule = format!("{name} {number}").into();
    }
}

/// What may be asked for: what every file of the chain has.
fn models(effective: &Effective<'_>) -> Globs {
    let mut lists = effective.models.iter().rev().map(|list| names(list));
    let own = lists.next().unwrap_or_default();
    lists.fold(own, Globs::within)
}

/// The tenant as conditions see it, before one of its keys is known.
fn caller(raw: &raw::Tenant, effective: &Effective<'_>) -> Caller {
    let labels: Vec<(&str, Cow<'_, str>)> = effective
        .labels
        .iter()
        .flatten()
        .map(|(name, value)| {
            let text = value.value.as_str().map_or_else(|| value.value.to_string().into(), Cow::Borrowed);
            (*name, text)
        })
        .collect();
    let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (*name, value.as_ref())).collect();
    Caller::new(&raw.tenant.value, "", &labels)
}
