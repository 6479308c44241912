//! A request of a made-up tenant, for the tests of the stages that it passes through.

use super::Asked;
use crate::{
    clock,
    identity::{Directory, KeyDigest},
    json::Value,
    names::{KeyId, TenantId},
    policy::{
        Caller, Effect, Policy, Rule, Source,
        condition::Condition,
        glob::{Glob, Globs},
        path::Path,
    },
    quota::{Admission, CallLimit, Quota, Rate},
    records::{Content, Entry, Journal},
    redact::{Detectors, Redactor, TenantSecret},
    tenant::{Key, OnDeny, Tenant},
};
use http::{HeaderMap, HeaderValue};
use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, SystemTime},
};

pub(crate) const TENANT: &str = "acme";

fn rule(effect: Effect, glob: &str) -> Rule {
    Rule::plain(effect, [Glob::new(glob)].into_iter().collect(), Source::new("tenants/acme.yaml", 1))
}

fn twice_an_hour() -> CallLimit {
    let two = NonZeroU32::MIN.saturating_add(1);
    CallLimit {
        rate: Rate { count: two, per: Duration::from_secs(3600), burst: two },
        rule: "mail".into(),
        names: Arc::new([]),
    }
}

/// Allows `get*`, `mail` twice an hour and a shell of the provider's; denies `delete*`, asks for `pay*`, forces a tenant into `kb__*`, and
/// lets a search of the provider's only into one store.
fn policy() -> Policy {
    let tenant = (Path::new("tenant").unwrap(), Value::string(TENANT));
    let store = Condition::compile("args.store == \"acme\"").unwrap();
    Policy::new(vec![
        rule(Effect::Allow, "get*"),
        rule(Effect::Allow, "pay*"),
        Rule { reason: Some("Ask support.".into()), ..rule(Effect::Deny, "delete*") },
        rule(Effect::Ask, "pay*"),
        Rule { limit: Some(twice_an_hour()), ..rule(Effect::Allow, "mail") },
        Rule { set: vec![tenant], ..rule(Effect::Allow, "kb__*") },
        Rule { when: Some(store), ..rule(Effect::Allow, "builtin__file_search") },
        rule(Effect::Allow, "builtin__shell"),
    ])
}

/// A request that was let in.
pub(crate) fn asked(on_deny: OnDeny) -> Asked {
    let secret = || TenantSecret::derive(b"fixture", TENANT);
    let tenant = Tenant {
        id: TenantId::try_from(TENANT).unwrap(),
        is_abstract: false,
        caller: Caller::new(TENANT, "", &[]),
        policy: policy(),
        models: Globs::default(),
        on_deny,
        cache: None,
        wire: crate::tenant::Wire::Off,
        quota: Arc::new(Quota::new(None, None)),
        weight: 1,
        model_limits: Vec::new(),
        journal: Arc::new(Journal {
            tenant: TENANT.into(),
            redactor: Arc::new(Redactor::new(secret(), Detectors::all(), Vec::new())),
            secret: Arc::new(secret()),
            analyst: None,
            content: Content::Redacted,
            queued: Arc::default(),
            turns: Arc::default(),
        }),
    };
    let key = Key {
        id: KeyId::try_from("prod").unwrap(),
        expires: None,
        models: None,
        tools: None,
        quota: None,
        priority: crate::quota::fair::Priority::default(),
        caller: Caller::new(TENANT, "prod", &[]),
        offered: crate::tenant::Offered::default(),
    };
    let mut directory = Directory::default();
    directory.add(KeyDigest::of(b"secret"), &Arc::new(tenant), key);
    let headers = HeaderMap::from_iter([("x-api-key".parse().unwrap(), HeaderValue::from_static("secret"))]);
    Asked {
        identity: directory.identify(&headers, 0).unwrap().clone(),
        request_id: "req-1".into(),
        dialect: "openai.chat",
        config: "hash".into(),
        started: clock::now(),
        time: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_600_800),
        model: None,
        tool: None,
        upstream: None,
        prompt: None,
        standing: None,
        slot: Admission::refused(None).slot,
        hold: None,
        queued: None,
        cached: false,
        trace: None,
        knowing: None,
    }
}

/// The decisions on record, in order: where, and how.
pub(crate) fn decisions(entries: &[Entry]) -> Vec<(&'static str, &'static str)> {
    entries
        .iter()
        .map(|entry| match entry {
            Entry::Decision(line) => (line.place, line.decision),
            Entry::Request(_) => panic!("a decision was expected"),
        })
        .collect()
}
