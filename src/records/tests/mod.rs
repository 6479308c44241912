//! Records as a whole: on a real disk, through the thread where it matters and through the sink where a clock would.

mod before_base;
mod behind;
mod compression;
pub(super) mod fixture;
mod master;
mod recovery;
mod signing;
mod studied;
mod verification;
mod writing;

use super::{
    sink::{Sign, Sink},
    sync::sync_round,
    *,
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use fixture::{Dir, Ear, MASTER, decision, request, time};

const YEAR: Duration = Duration::from_secs(365 * 86_400);

fn options(dir: &Dir, on_failure: OnFailure, ear: &Arc<Ear>) -> Options {
    let observer: Arc<Ear> = Arc::clone(ear);
    Options {
        data_dir: dir.0.clone(),
        secrets: secrets(),
        on_failure,
        queue_bytes_max: 1 << 20,
        retain: 100 * YEAR,
        compress: false,
        signer: None,
        observer,
    }
}

fn open(dir: &Dir, on_failure: OnFailure) -> Records {
    Records::open(options(dir, on_failure, &Arc::default())).unwrap()
}

fn denied(tenant: &str) -> Entry {
    Entry::Decision(Box::new(decision(tenant, Content::Redacted)))
}

fn decided(tenant: &str, day: u64, id: usize) -> Entry {
    let request_id = format!("req-{id}").into();
    Entry::Decision(Box::new(DecisionEntry {
        time: time(day),
        request_id,
        ..decision(tenant, Content::Redacted)
    }))
}

fn answered(tenant: &str) -> Entry {
    Entry::Request(Box::new(request(tenant, Content::Redacted, "hi")))
}

fn secrets() -> Arc<TenantSecrets> {
    Arc::new(TenantSecrets::of_master(MASTER))
}

struct Deaf;
impl line::Notice for Deaf {
    fn redacted(&self, _: &str, _: &str, _: u32) {}
    fn redactor_failed(&self) {}
    fn made(&self, _: &Arc<str>, _: Kind, _: &[u8], _: Option<Traced>) {}
    fn left_out(&self, _: &str) {}
}

fn sink(dir: &Dir) -> Sink {
    Sink::open(&dir.0, secrets(), None, YEAR, time(0)).unwrap()
}

fn write(sink: &mut Sink, entries: impl IntoIterator<Item = Entry>) -> u64 {
    for entry in entries {
        assert!(sink.render(entry, &Deaf).is_ok());
    }
    let mut records = 0;
    sink.write(&mut records).unwrap();
    records
}

fn sync(sink: &mut Sink) {
    assert!(sync_round(sink.sync_round(time(0), Sign::Due)).is_empty());
}

/// A synced chain of one record a given day.
fn chain(dir: &Dir, days: &[u64]) {
    let mut sink = sink(dir);
    write(&mut sink, days.iter().enumerate().map(|(id, day)| decided("acme", *day, id)));
    sync(&mut sink);
}

/// Verifies, with the secrets or without.
fn verified(path: &Path, with_secrets: bool) -> Result<Report, VerifyError> {
    let secrets = secrets();
    let means = Means { secrets: with_secrets.then_some(&*secrets), keys: &[] };
    verify(path, means, 2, &mut |_| {})
}

fn report(dir: &Dir) -> TenantReport {
    let mut report = verified(&dir.0, true).unwrap();
    assert_eq!(report.tenants.len(), 1);
    report.tenants.remove(0)
}

#[track_caller]
fn check_finding(dir: &Dir, expected: &str) {
    let found =
        report(dir).finding.map(|finding| finding.to_string().replace(&dir.0.display().to_string(), "DIR"));
    assert_eq!(found.as_deref(), Some(expected));
}

fn files(path: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Ends as a gateway does.
fn end(sink: &mut Sink) {
    sync(sink);
    assert!(sync_round(sink.end()).is_empty());
}

/// A line of somebody's own behind a chain.
fn planted(file: &Path) -> Vec<u8> {
    planted_at(file, None)
}

/// The same, made at a time.
fn planted_at(file: &Path, time: Option<SystemTime>) -> Vec<u8> {
    let text = fs::read_to_string(file).unwrap();
    let (_, last) = chain::links(text.lines().last().unwrap().as_bytes()).unwrap();
    let mut out = text.clone().into_bytes();
    let body = text.lines().last().unwrap().split_once(",\"prev\"").unwrap().0;
    let at = time.map(|time| body.replacen(body.get(9..33).unwrap(), &rfc3339(time), 1));
    let body = at.as_deref().unwrap_or(body);
    out.extend_from_slice(body.as_bytes());
    let start = text.len();
    chain::seal(&mut out, start, &last);
    out
}
