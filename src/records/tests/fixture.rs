//! Entries and directories to test with.
use super::super::*;
use crate::redact::{Detectors, Redactor, TenantSecret};
use std::{
    fs,
    path::PathBuf,
    sync::{Mutex, atomic::AtomicU32},
    time::{SystemTime, UNIX_EPOCH},
};

pub(in crate::records) const MASTER: [u8; 32] = [7; 32];
/// 2026-11-25T10:00:00Z.
const TEN: u64 = 1_795_600_800;

/// A time on 2026-11-25, or `days` later.
pub(in crate::records) fn time(days: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(TEN + days * 86_400)
}

pub(in crate::records) fn journal(tenant: &str, content: Content) -> Arc<Journal> {
    let secret = TenantSecret::derive(&MASTER, tenant);
    let redactor = Arc::new(Redactor::new(secret.clone(), Detectors::all(), Vec::new()));
    Arc::new(Journal {
        tenant: tenant.into(),
        redactor,
        analyst: None,
        secret: Arc::new(secret),
        content,
        queued: Arc::default(),
        turns: Arc::default(),
    })
}

pub(in crate::records) fn request(tenant: &str, content: Content, prompt: &str) -> RequestEntry {
    RequestEntry {
        journal: journal(tenant, content),
        time: time(0),
        key: "prod".into(),
        request_id: "req-1".into(),
        dialect: "openai",
        model: None,
        upstream: None,
        status: 200,
        error: None,
        latency: Duration::from_micros(12_345),
        ttft: None,
        queued: None,
        input_tokens: None,
        output_tokens: None,
        usage_estimated: false,
        cost_micro_usd: None,
        tools_denied: Vec::new(),
        prompt: Some(Raw::text(prompt)),
        completion: None,
        trace: None,
    }
}

pub(in crate::records) fn decision(tenant: &str, content: Content) -> DecisionEntry {
    DecisionEntry {
        journal: journal(tenant, content),
        time: time(0),
        key: "prod".into(),
        request_id: "req-1".into(),
        place: "mcp",
        tool: Raw::text("crm__create"),
        args: None,
        decision: "deny",
        rule: Some("tenants/acme.yaml:14".into()),
        reason: None,
        config: "c0ffee".into(),
        mode: "enforce",
        by: None,
        trace: None,
    }
}

/// A directory that goes with the test.
pub(in crate::records) struct Dir(pub(in crate::records) PathBuf);

impl Dir {
    pub(in crate::records) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("records-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Keeps what it hears.
#[derive(Default)]
pub(in crate::records) struct Ear(pub(in crate::records) Mutex<Vec<String>>);

impl Observer for Ear {
    fn redacted(&self, tenant: &str, entity: &str, count: u32) {
        self.0.lock().unwrap().push(format!("{tenant} {entity} {count}"));
    }
    fn left_out(&self, tenant: &str) {
        self.0.lock().unwrap().push(format!("{tenant} left out"));
    }
    fn warned(&self, warning: &Warning) {
        self.0.lock().unwrap().push(warning.to_string());
    }
    fn failed(&self, _: &io::Error) {}
}
