//! A tenant as it was written to a tenant that runs.

use super::{Compiler, rule::names};
use crate::{
    config::{At, Mark, Problem, raw, values},
    identity::{Directory, KeyDigest},
    names::{KeyId, TenantId},
    policy::{Caller, Policy, Rule},
    quota::{Quota, Rate},
    records::{Content, Journal},
    redact::{Detectors, Pattern, Redactor, TenantSecret},
    tenant::{Key, Offered, OnDeny, Tenant},
};
use std::{borrow::Cow, collections::HashMap, num::NonZeroU32, sync::Arc};

/// Where the digest of each key stands first.
type Owners = HashMap<[u8; 32], Mark>;

impl Compiler<'_> {
    /// Every key of every tenant, and how many tenants there are.
    pub(super) fn tenants(&mut self, gateway: &raw::Gateway) -> (Directory, usize) {
        let loaded = self.loaded;
        let mut directory = Directory::default();
        let mut owners = Owners::new();
        let mut count = 0;
        let defaults = gateway.defaults.as_ref();
        for raw in &loaded.tenants {
            let Some(tenant) = self.tenant(raw, defaults) else { continue };
            let tenant = Arc::new(tenant);
            directory.enter(&tenant);
            if tenant.is_abstract {
                if let Some(key) = raw.keys.first() {
                    let message = "the tenant is abstract: nobody can be it, and its keys open nothing";
                    self.warn("abstract-with-keys", key.id.at, message);
                }
                continue;
            }
            count += 1;
            for raw_key in &raw.keys {
                if let Some((digest, key)) = self.key(raw_key, &tenant.caller, &mut owners) {
                    directory.add(digest, &tenant, key);
                }
            }
            if raw.keys.is_empty() {
                self.warn("no-keys", raw.tenant.at, "the tenant has no keys: nobody can be this tenant");
            }
        }
        (directory, count)
    }

    fn key(&mut self, raw: &raw::Key, anyone: &Caller, owners: &mut Owners) -> Option<(KeyDigest, Key)> {
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
            caller: anyone.with_key(id.as_str()),
            id,
            expires: raw.expires.as_ref().map(|at| at.value.end_unix_s()),
            models: raw.models.as_deref().map(names),
            tools: raw.tools.as_deref().map(names),
            offered: Offered::default(),
        };
        Some((KeyDigest::from_bytes(digest), key))
    }

    fn tenant(&mut self, raw: &raw::Tenant, defaults: Option<&raw::Settings>) -> Option<Tenant> {
        let own = &raw.settings;
        let Ok(id) = TenantId::try_from(raw.tenant.value.as_str()) else {
            self.error("bad-name", raw.tenant.at, "a tenant's name may hold only a-z, 0-9 and -");
            return None;
        };
        if let Some(extends) =
            own.extends.as_ref().or_else(|| defaults.and_then(|defaults| defaults.extends.as_ref()))
        {
            self.error("not-supported-yet", extends.at, "`extends` is not supported by this version yet");
        }
        let tools = own.tools.as_ref().or_else(|| defaults.and_then(|defaults| defaults.tools.as_ref()));
        let rules: Vec<Rule> = tools.into_iter().flatten().map(|rule| self.rule(rule)).collect();
        let models =
            own.models.as_deref().or_else(|| defaults.and_then(|defaults| defaults.models.as_deref()));
        let on_deny =
            own.on_deny.as_ref().or_else(|| defaults.and_then(|defaults| defaults.on_deny.as_ref()));
        self.tenant_not_yet(own);
        Some(Tenant {
            quota: self.quota(&id, own, defaults),
            journal: self.journal(&id, own, defaults),
            id,
            is_abstract: raw.is_abstract.as_ref().is_some_and(|at| at.value),
            caller: caller(raw),
            policy: Policy::new(rules),
            models: names(models.unwrap_or_default()),
            on_deny: match on_deny.map(|at| at.value) {
                Some(raw::OnDeny::Error) => OnDeny::Error,
                Some(raw::OnDeny::Notice) | None => OnDeny::Notice,
            },
        })
    }

    fn quota(&mut self, id: &TenantId, own: &raw::Settings, defaults: Option<&raw::Settings>) -> Arc<Quota> {
        let (own, defaults) = (own.limits.as_ref(), defaults.and_then(|defaults| defaults.limits.as_ref()));
        let either = |pick: fn(&raw::TenantLimits) -> Option<&At<values::Rate>>| {
            own.and_then(pick).or_else(|| defaults.and_then(pick)).copied()
        };
        let concurrency = own
            .and_then(|limits| limits.concurrency.as_ref())
            .or_else(|| defaults.and_then(|limits| limits.concurrency.as_ref()));
        if let Some(tokens) = either(|limits| limits.tokens.as_ref()) {
            self.warn("not-enforced-yet", tokens.at, "`limits.tokens` is not enforced by this version yet");
        }
        let requests = either(|limits| limits.requests.as_ref()).and_then(|at| self.rate(&at));
        let in_flight = concurrency.map(|at| u32::try_from(at.value).unwrap_or(u32::MAX));
        let known = self.context.quotas.get(id.as_str()).map(|known| Arc::clone(&known));
        if let Some(known) = known.filter(|known| known.is(requests, in_flight)) {
            return known;
        }
        let quota = Arc::new(Quota::new(requests, in_flight));
        self.context.quotas.insert(id.shared(), Arc::clone(&quota));
        quota
    }

    fn rate(&mut self, at: &At<values::Rate>) -> Option<Rate> {
        let whole = |count: u64| u32::try_from(count).ok().and_then(NonZeroU32::new);
        let count = whole(at.value.count.get());
        let burst = whole(at.value.burst.unwrap_or(at.value.count).get());
        let rate = count.zip(burst).map(|(count, burst)| Rate { count, per: at.value.per.duration(), burst });
        if rate.is_none() {
            self.error("bad-rate", at.at, "a rate counts to at most 4294967295");
        }
        rate
    }

    fn journal(
        &mut self,
        id: &TenantId,
        own: &raw::Settings,
        defaults: Option<&raw::Settings>,
    ) -> Arc<Journal> {
        let content = |settings: &raw::Settings| {
            settings.records.as_ref().and_then(|records| records.content.as_ref()).map(|at| at.value)
        };
        let gateway = self.loaded.gateway.as_ref().and_then(|gateway| gateway.records.as_ref());
        let everyone = gateway.and_then(|records| records.content.as_ref()).map(|at| at.value);
        let content = match content(own).or_else(|| defaults.and_then(content)).or(everyone) {
            Some(raw::Content::None) => Content::None,
            Some(raw::Content::Redacted) | None => Content::Redacted,
        };
        let secret = TenantSecret::derive(self.context.master, id.as_str());
        let detectors = self.detectors(own, defaults);
        let patterns = self.patterns(own, defaults);
        Arc::new(Journal {
            tenant: id.shared(),
            redactor: Arc::new(Redactor::new(secret.clone(), detectors, patterns)),
            secret: Arc::new(secret),
            content,
            queued: std::sync::atomic::AtomicUsize::new(0),
        })
    }

    fn detectors(&mut self, own: &raw::Settings, defaults: Option<&raw::Settings>) -> Detectors {
        let of = |settings: &'_ raw::Settings| {
            settings.redact.as_ref().and_then(|redact| redact.detectors.clone())
        };
        let Some(raw::Detectors::List(listed)) = of(own).or_else(|| defaults.and_then(of)) else {
            return Detectors::all();
        };
        let mut known = Vec::new();
        for name in &listed {
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

    fn patterns(&mut self, own: &raw::Settings, defaults: Option<&raw::Settings>) -> Vec<Pattern> {
        let of =
            |settings: &'_ raw::Settings| settings.redact.as_ref().and_then(|redact| redact.patterns.clone());
        let mut patterns = Vec::new();
        for (name, regex) in of(own).or_else(|| defaults.and_then(of)).unwrap_or_default().0 {
            match Pattern::new(&name.value, &regex.value) {
                Ok(pattern) => patterns.push(pattern),
                Err(bad) => self.error("bad-pattern", regex.at, bad.to_string()),
            }
        }
        patterns
    }

    fn tenant_not_yet(&mut self, own: &raw::Settings) {
        if let Some(budget) = &own.budget {
            self.warn("not-enforced-yet", budget.at, "`budget` is not enforced by this version yet");
        }
        if let Some((model, _)) = own.model_limits.as_ref().and_then(|limits| limits.0.first()) {
            self.warn("not-enforced-yet", model.at, "`model_limits` are not enforced by this version yet");
        }
        if let Some(wire) = own.redact.as_ref().and_then(|redact| redact.wire.as_ref()) {
            match wire.value {
                raw::Wire::Off => {}
                raw::Wire::Block | raw::Wire::Mask => {
                    let message = "`wire: mask` and `wire: block` are not supported by this version yet";
                    self.error("not-supported-yet", wire.at, message);
                }
            }
        }
    }
}

/// The tenant as conditions see it, before one of its keys is known.
fn caller(raw: &raw::Tenant) -> Caller {
    let labels = raw.settings.labels.as_ref().map(|labels| labels.0.as_slice()).unwrap_or_default();
    let labels: Vec<(&str, Cow<'_, str>)> = labels
        .iter()
        .map(|(name, value)| {
            let text = value.value.as_str().map_or_else(|| value.value.to_string().into(), Cow::Borrowed);
            (name.value.as_str(), text)
        })
        .collect();
    let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (*name, value.as_ref())).collect();
    Caller::new(&raw.tenant.value, "", &labels)
}
