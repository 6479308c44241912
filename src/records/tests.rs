//! Records as a whole: on a real disk, through the thread where it matters and through the sink where a clock would.

use std::{
    fs, iter,
    path::{Path, PathBuf},
    sync::{Mutex, mpsc},
    time::{SystemTime, UNIX_EPOCH},
};

use proptest::prelude::*;
use serde_json::Value;

use super::{sink::Sink, sync::sync_round, *};
use crate::redact::{Detectors, Redactor, TenantSecret};

pub(super) mod fixture {
    //! Entries and directories to test with.
    use super::*;
    use std::sync::atomic::AtomicU32;

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
            secret: Arc::new(secret),
            content,
            queued: AtomicUsize::new(0),
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
            input_tokens: None,
            output_tokens: None,
            usage_estimated: false,
            cost_micro_usd: None,
            tools_denied: Vec::new(),
            prompt: Some(Raw::text(prompt)),
            completion: None,
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
        fn warned(&self, warning: &Warning) {
            self.0.lock().unwrap().push(warning.to_string());
        }
        fn failed(&self, _: &io::Error) {}
    }
}

use fixture::{Dir, Ear, MASTER, decision, request, time};

const YEAR: Duration = Duration::from_secs(365 * 86_400);

fn options(dir: &Dir, on_failure: OnFailure, ear: &Arc<Ear>) -> Options {
    let observer: Arc<Ear> = Arc::clone(ear);
    Options {
        data_dir: dir.0.clone(),
        master: MASTER.to_vec(),
        on_failure,
        queue_bytes_max: 1 << 20,
        retain: 100 * YEAR,
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

struct Deaf;
impl line::Notice for Deaf {
    fn redacted(&self, _: &str, _: &str, _: u32) {}
    fn redactor_failed(&self) {}
}

fn sink(dir: &Dir) -> Sink {
    Sink::open(&dir.0, MASTER.to_vec(), YEAR).unwrap()
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
    assert!(sync_round(sink.sync_round()).is_empty());
}

/// A synced chain of one record a given day.
fn chain(dir: &Dir, days: &[u64]) {
    let mut sink = sink(dir);
    write(&mut sink, days.iter().enumerate().map(|(id, day)| decided("acme", *day, id)));
    sync(&mut sink);
}

fn report(dir: &Dir) -> TenantReport {
    let mut report = verify(&dir.0, Some(&MASTER)).unwrap();
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

#[test]
fn records_reach_the_disk_and_verify() {
    let dir = Dir::new();
    let ear = Arc::default();
    let records = Records::open(options(&dir, OnFailure::Fail, &ear)).unwrap();
    for _ in 0..10 {
        records.push(denied("acme")).unwrap();
        records.push(answered("acme")).unwrap();
    }
    records.push(Entry::Request(Box::new(request("acme", Content::Redacted, "jane@example.com")))).unwrap();
    records.flush().unwrap();
    assert_eq!(records.counters().written.load(Relaxed), 21);
    assert_eq!(lines(&dir.0.join("log/acme/2026-11-25.jsonl")).len(), 11);
    let report = report(&dir);
    assert!(report.finding.is_none(), "{report:?}");
    assert_eq!((report.records, report.unsealed), (10, 0));
    records.close().unwrap();
    assert_eq!(*ear.0.lock().unwrap(), ["acme EMAIL_ADDRESS 1"]);
    assert!(verify(&dir.0.join("audit"), None).unwrap().is_whole());
    assert!(matches!(verify(&dir.0.join("log"), None), Err(VerifyError::NoAudit { .. })));
}

#[cfg(unix)]
#[test]
fn all_is_private_and_no_file_is_two_tenants() {
    use std::os::unix::fs::PermissionsExt;
    let dir = Dir::new();
    let records = open(&dir, OnFailure::Fail);
    for _ in 0..3 {
        for tenant in ["acme", "globex"] {
            records.push(denied(tenant)).unwrap();
            records.push(answered(tenant)).unwrap();
        }
    }
    records.close().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for tenant in ["acme", "globex"] {
        for kind in ["audit", "log"] {
            let path = dir.0.join(kind).join(tenant);
            assert_eq!(mode(&path), 0o700);
            let file = path.join("2026-11-25.jsonl");
            assert_eq!(mode(&file), 0o600);
            let lines = lines(&file);
            assert_eq!(lines.len(), 3);
            assert!(lines.iter().all(|line| line["tenant"] == tenant));
        }
    }
    assert_eq!(mode(&dir.0.join("audit/.heads/acme.json")), 0o600);
    assert_eq!(mode(&dir.0.join("audit/.heads")), 0o700);
}

#[test]
fn a_second_gateway_is_refused_until_the_first_is_gone() {
    let dir = Dir::new();
    let first = open(&dir, OnFailure::Fail);
    let second = Records::open(options(&dir, OnFailure::Fail, &Arc::default()));
    assert!(matches!(second, Err(OpenError::InUse { .. })));
    drop(first);
    open(&dir, OnFailure::Fail).close().unwrap();
}

#[test]
fn a_sink_that_fails_stops_admission_and_loses_nothing() {
    let dir = Dir::new();
    let records = open(&dir, OnFailure::Fail);
    records.push(denied("acme")).unwrap();
    records.flush().unwrap();
    assert!(records.accepts());
    // A directory of a new tenant's name cannot be made where a file stands: that stops even root.
    for kind in ["audit", "log"] {
        fs::write(dir.0.join(kind).join("globex"), "in the way").unwrap();
    }
    records.push(denied("globex")).unwrap();
    assert_eq!(records.flush(), Err(Unrecorded::Failing));
    assert!(!records.accepts());
    assert_eq!(records.push(answered("globex")), Err(Unrecorded::Failing));
    assert_eq!(records.push(denied("acme")), Err(Unrecorded::Failing));
    assert_eq!(records.flush(), Err(Unrecorded::Failing));
    assert!(records.counters().write_failures.load(Relaxed) >= 2);
    for kind in ["audit", "log"] {
        fs::remove_file(dir.0.join(kind).join("globex")).unwrap();
    }
    records.flush().unwrap();
    assert!(records.accepts());
    records.push(denied("globex")).unwrap();
    records.close().unwrap();
    assert_eq!(lines(&dir.0.join("audit/globex/2026-11-25.jsonl")).len(), 2);
    assert_eq!(lines(&dir.0.join("log/globex/2026-11-25.jsonl")).len(), 1);
    assert_eq!(lines(&dir.0.join("audit/acme/2026-11-25.jsonl")).len(), 2);
    assert!(verify(&dir.0, Some(&MASTER)).unwrap().is_whole());
}

#[test]
fn it_recovers_by_itself_too() {
    let dir = Dir::new();
    let records = open(&dir, OnFailure::Fail);
    fs::write(dir.0.join("log/acme"), "in the way").unwrap();
    records.push(answered("acme")).unwrap();
    assert_eq!(records.flush(), Err(Unrecorded::Failing));
    fs::remove_file(dir.0.join("log/acme")).unwrap();
    while !records.accepts() {
        std::thread::yield_now();
    }
    assert_eq!(lines(&dir.0.join("log/acme/2026-11-25.jsonl")).len(), 1);
}

#[test]
fn with_drop_it_goes_on_and_counts() {
    let dir = Dir::new();
    let records = open(&dir, OnFailure::Drop);
    records.push(denied("acme")).unwrap();
    records.flush().unwrap();
    fs::write(dir.0.join("log/acme"), "in the way").unwrap();
    records.push(answered("acme")).unwrap();
    records.flush().ok();
    assert!(records.accepts());
    assert_eq!(records.counters().dropped.load(Relaxed), 1);
    fs::remove_file(dir.0.join("log/acme")).unwrap();
    records.push(answered("acme")).unwrap();
    records.push(denied("acme")).unwrap();
    records.close().unwrap();
    assert_eq!(lines(&dir.0.join("log/acme/2026-11-25.jsonl")).len(), 1);
    assert!(report(&dir).finding.is_none());
}

#[test]
fn a_chain_goes_on_from_what_is_written_when_lines_are_dropped() {
    let dir = Dir::new();
    let mut sink = sink(&dir);
    write(&mut sink, [decided("acme", 0, 1)]);
    assert!(sink.render(decided("acme", 0, 2), &Deaf).is_ok());
    assert_eq!(sink.discard(), 1);
    write(&mut sink, [decided("acme", 0, 3)]);
    sync(&mut sink);
    let report = report(&dir);
    assert!(report.finding.is_none(), "{report:?}");
    assert_eq!(report.records, 2);
}

#[test]
fn files_removed_from_under_the_writer_are_noticed_and_stay_found() {
    let dir = Dir::new();
    let records = open(&dir, OnFailure::Fail);
    records.push(denied("acme")).unwrap();
    records.flush().unwrap();
    fs::remove_dir_all(dir.0.join("audit/acme")).unwrap();
    records.push(denied("acme")).unwrap();
    assert_eq!(records.flush(), Err(Unrecorded::Failing));
    records.flush().unwrap();
    records.push(denied("acme")).unwrap();
    records.close().unwrap();
    check_finding(
        &dir,
        "acme: DIR/audit/acme/2026-11-25.jsonl:1: this record is not the chain's first record (earlier ones were removed, or it is another tenant's)",
    );
}

#[test]
fn push_waits_for_no_stuck_writer_and_what_waits_is_bounded() {
    let dir = Dir::new();
    let records = open(&dir, OnFailure::Fail);
    let (release, gate) = mpsc::channel::<()>();
    let (began, reached) = mpsc::channel::<()>();
    let stuck = move || {
        began.send(()).unwrap();
        gate.recv().ok();
        String::from("free")
    };
    let prompt = Some(Raw::lazy(Box::new(stuck), 1));
    records
        .push(Entry::Request(Box::new(RequestEntry { prompt, ..request("acme", Content::Redacted, "") })))
        .unwrap();
    reached.recv().unwrap();
    let mut pushed = 1;
    while records.push(answered("acme")).is_ok() {
        pushed += 1;
        assert!(pushed < 2000, "nothing bounds the queue");
    }
    assert!(pushed > 900, "{pushed}");
    assert_eq!(records.push(answered("acme")), Err(Unrecorded::Full));
    assert!(!records.accepts());
    drop(release);
    records.flush().unwrap();
    records.push(answered("acme")).unwrap();
    records.close().unwrap();
    assert_eq!(lines(&dir.0.join("log/acme/2026-11-25.jsonl")).len(), pushed + 1);
}

#[test]
fn a_name_that_is_no_directory_is_not_recorded() {
    let dir = Dir::new();
    let records = open(&dir, OnFailure::Fail);
    assert_eq!(records.push(denied("../acme")), Err(Unrecorded::Name));
    assert_eq!(records.push(denied(".heads")), Err(Unrecorded::Name));
    assert_eq!(records.counters().dropped.load(Relaxed), 2);
}

#[test]
fn a_new_day_is_a_new_file_and_a_late_record_does_not_go_back() {
    let dir = Dir::new();
    let mut sink = sink(&dir);
    assert_eq!(write(&mut sink, [0, 0, 1, 0, 1].map(|day| decided("acme", day, 0))), 5);
    sync(&mut sink);
    let counts: Vec<usize> = files(&dir.0.join("audit/acme")).iter().map(|file| lines(file).len()).collect();
    assert_eq!(counts, [2, 3]);
    assert!(report(&dir).finding.is_none());
}

#[test]
fn more_tenants_than_open_files_are_fine() {
    let dir = Dir::new();
    let mut sink = sink(&dir);
    for round in 0..3 {
        write(&mut sink, (0..300).map(|tenant| decided(&format!("t{tenant}"), 0, round)));
    }
    sync(&mut sink);
    let report = verify(&dir.0, Some(&MASTER)).unwrap();
    assert!(report.is_whole());
    assert_eq!(report.tenants.iter().map(|tenant| tenant.records).sum::<u64>(), 900);
}

#[test]
fn a_torn_tail_is_moved_aside_and_the_chain_goes_on() {
    let dir = Dir::new();
    chain(&dir, &[0, 0]);
    let file = dir.0.join("audit/acme/2026-11-25.jsonl");
    let mut bytes = fs::read(&file).unwrap();
    bytes.extend_from_slice(b"{\"time\":\"2026");
    fs::write(&file, bytes).unwrap();
    let found = report(&dir);
    assert!(found.finding.is_none() && found.torn == 13, "{found:?}");
    let ear = Arc::default();
    let records = Records::open(options(&dir, OnFailure::Fail, &ear)).unwrap();
    assert!(ear.0.lock().unwrap()[0].contains("13 bytes were moved"), "{:?}", ear.0);
    records.push(denied("acme")).unwrap();
    records.close().unwrap();
    assert_eq!(fs::read(dir.0.join("audit/acme/2026-11-25.jsonl.torn")).unwrap(), b"{\"time\":\"2026");
    let found = report(&dir);
    assert!(found.finding.is_none() && found.records == 3, "{found:?}");
}

#[test]
fn what_was_put_behind_a_day_that_is_over_is_found() {
    let dir = Dir::new();
    chain(&dir, &[0, 0, 1]);
    let file = dir.0.join("audit/acme/2026-11-25.jsonl");
    fs::write(&file, [fs::read(&file).unwrap(), b"{}".to_vec()].concat()).unwrap();
    assert!(report(&dir).finding.is_some());
}

#[test]
fn a_write_that_failed_half_way_is_done_anew() {
    let dir = Dir::new();
    let mut sink = sink(&dir);
    write(&mut sink, [decided("acme", 0, 1)]);
    let file = dir.0.join("audit/acme/2026-11-25.jsonl");
    let line = fs::read(&file).unwrap();
    fs::write(&file, [&line[..], &line[..], b"{\"time\""].concat()).unwrap();
    let round = sink.sync_round();
    sink.sync_failed(round).unwrap();
    write(&mut sink, [decided("acme", 0, 2)]);
    sync(&mut sink);
    let found = report(&dir);
    assert!(found.finding.is_none(), "{found:?}");
    assert_eq!((found.records, found.torn), (2, 0));
}

#[test]
fn a_file_cut_under_the_writer_fails_the_sync() {
    let dir = Dir::new();
    let mut sink = sink(&dir);
    write(&mut sink, [decided("acme", 0, 1)]);
    fs::write(dir.0.join("audit/acme/2026-11-25.jsonl"), "").unwrap();
    let failed = sync_round(sink.sync_round());
    assert_eq!(failed.len(), 1);
    sink.sync_failed(failed).unwrap();
    sync(&mut sink);
    assert!(report(&dir).finding.is_some());
}

#[test]
fn a_log_is_mended_too() {
    let dir = Dir::new();
    fs::create_dir_all(dir.0.join("log/acme")).unwrap();
    let file = dir.0.join("log/acme/2026-11-25.jsonl");
    fs::write(&file, format!("{{}}\n{}", "x".repeat(10_000))).unwrap();
    write(&mut sink(&dir), [answered("acme")]);
    assert_eq!(lines(&file).len(), 2);
    assert_eq!(fs::read(file.with_extension("jsonl.torn")).unwrap().len(), 10_000);
}

#[test]
fn what_a_crash_left_behind_the_head_is_taken_over() {
    let dir = Dir::new();
    chain(&dir, &[0, 0]);
    write(&mut sink(&dir), [decided("acme", 0, 7), decided("acme", 1, 8)]);
    assert_eq!(report(&dir).unsealed, 2);
    let mut again = sink(&dir);
    assert_eq!(again.warnings, [Warning::Unsealed { tenant: "acme".into(), records: 2 }]);
    write(&mut again, [decided("acme", 1, 9)]);
    sync(&mut again);
    let found = report(&dir);
    assert!(found.finding.is_none(), "{found:?}");
    assert_eq!((found.records, found.unsealed), (5, 0));
}

/// What is done to the files while the gateway is down is found, and is still found after the gateway went on.
#[track_caller]
fn check_evidence(tamper: impl Fn(&Path), before: &str, after: &str) {
    let dir = Dir::new();
    chain(&dir, &[0, 0, 0, 1]);
    tamper(&dir.0.join("audit"));
    check_finding(&dir, before);
    let mut sink = sink(&dir);
    assert!(matches!(sink.warnings[..], [Warning::Tampered { .. }]), "{:?}", sink.warnings);
    write(&mut sink, (0..9).map(|id| decided("acme", 1, id)));
    sync(&mut sink);
    drop(sink);
    check_finding(&dir, after);
    chain(&dir, &[1]);
    check_finding(&dir, after);
}

const PREV: &str =
    "this record does not follow the record before it (one was removed, moved, repeated or put in)";

#[test]
fn going_on_hides_nothing() {
    let second = "acme/2026-11-26.jsonl";
    check_evidence(
        |audit| fs::remove_file(audit.join(second)).unwrap(),
        "acme: DIR/audit/acme/2026-11-25.jsonl:3: the chain ends after 3 records, but its head counts 4: the last ones were removed",
        &format!("acme: DIR/audit/acme/2026-11-26.jsonl:1: {PREV}"),
    );
    check_evidence(
        |audit| fs::remove_dir_all(audit.join("acme")).unwrap(),
        "acme: the chain ends after 0 records, but its head counts 4: the last ones were removed",
        "acme: DIR/audit/acme/2026-11-26.jsonl:1: this record is not the chain's first record (earlier ones were removed, or it is another tenant's)",
    );
    check_evidence(
        |audit| fs::remove_file(audit.join(".heads/acme.json")).unwrap(),
        "acme: DIR/audit/acme/2026-11-26.jsonl:1: the chain has no head (audit/.heads/acme.json): it was removed",
        &format!("acme: DIR/audit/acme/2026-11-26.jsonl:2: {PREV}"),
    );
    check_evidence(
        |audit| {
            let head = audit.join(".heads/acme.json");
            let text = fs::read_to_string(&head).unwrap().replace("\"records\":4", "\"records\":3");
            fs::write(head, text).unwrap();
        },
        "acme: DIR/audit/acme/2026-11-26.jsonl:1: the chain's head was not made with this secret: it was changed, or the secret was",
        &format!("acme: DIR/audit/acme/2026-11-26.jsonl:2: {PREV}"),
    );
}

#[test]
fn a_chain_computed_anew_is_found_by_its_head() {
    let (dir, other) = (Dir::new(), Dir::new());
    chain(&dir, &[0, 0, 0]);
    chain(&other, &[0, 0, 0, 0, 0]);
    let mut forged = sink(&other);
    write(&mut forged, [denied("acme")]);
    let file = "audit/acme/2026-11-25.jsonl";
    let text = fs::read_to_string(other.0.join(file)).unwrap().replace("\"deny\"", "\"allow\"");
    let mut prev = genesis("acme");
    let mut anew = Vec::new();
    for line in text.lines() {
        let start = anew.len();
        anew.extend_from_slice(line.split_once(",\"prev\"").unwrap().0.as_bytes());
        prev = chain::seal(&mut anew, start, &prev);
    }
    fs::write(dir.0.join(file), anew).unwrap();
    check_finding(
        &dir,
        "acme: DIR/audit/acme/2026-11-25.jsonl:3: the chain is not the one that its head was made for: records were replaced",
    );
}

#[test]
fn retention_removes_days_and_the_rest_still_verifies() {
    let dir = Dir::new();
    let mut sink = sink(&dir);
    write(&mut sink, [0, 0, 1, 2].map(|day| decided("acme", day, 0)));
    write(&mut sink, [answered("acme")]);
    sync(&mut sink);
    sink.prune(time(364)).unwrap();
    assert_eq!(files(&dir.0.join("audit/acme")).len(), 3);
    sink.prune(time(366)).unwrap();
    assert_eq!(files(&dir.0.join("audit/acme")).len(), 2);
    assert!(files(&dir.0.join("log/acme")).is_empty());
    let found = report(&dir);
    assert!(found.finding.is_none(), "{found:?}");
    assert_eq!((found.removed, found.records), (2, 2));
    sink.prune(time(900)).unwrap();
    drop(sink);
    let mut again = self::sink(&dir);
    assert!(again.warnings.is_empty(), "{:?}", again.warnings);
    write(&mut again, [decided("acme", 900, 5)]);
    sync(&mut again);
    let found = report(&dir);
    assert!(found.finding.is_none(), "{found:?}");
    assert_eq!((found.removed, found.records), (4, 1));
    fs::remove_file(&files(&dir.0.join("audit/acme"))[0]).unwrap();
    assert!(report(&dir).finding.is_some());
}

#[test]
fn a_secret_is_made_once_and_never_replaced() {
    let dir = Dir::new();
    let inner = Dir(dir.0.join("data"));
    assert!(secret::existing(&inner.0).unwrap().is_none());
    let made = secret::master(&inner.0, None).unwrap();
    assert!(made.len() >= secret::BYTES_MIN && made.iter().any(|byte| *byte != 0));
    assert_eq!(secret::master(&inner.0, None).unwrap(), made);
    assert_eq!(secret::existing(&inner.0).unwrap(), Some(made));
    assert_eq!(files(&inner.0), [inner.0.join("secret")]);
    assert_eq!(secret::master(&inner.0, Some(vec![1; 32])).unwrap(), [1; 32]);
    assert!(matches!(
        secret::master(&inner.0, Some(vec![1; 31])),
        Err(secret::SecretError::GivenTooShort(31))
    ));
    fs::write(inner.0.join("secret"), "short").unwrap();
    assert!(matches!(
        secret::master(&inner.0, None),
        Err(secret::SecretError::FoundTooShort { found: 5, .. })
    ));
    assert_eq!(fs::read(inner.0.join("secret")).unwrap(), b"short");
    fs::remove_file(inner.0.join("secret")).unwrap();
    fs::create_dir(inner.0.join("secret")).unwrap();
    assert!(matches!(secret::master(&inner.0, None), Err(secret::SecretError::Read { .. })));
}

#[derive(Debug, Clone)]
enum Tamper {
    Flip(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    RemoveFrom(prop::sample::Index),
    RemoveFile(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Repeat(prop::sample::Index, prop::sample::Index),
}

fn tamper() -> impl Strategy<Value = Tamper> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => (index(), 0_u8..8).prop_map(|(at, bit)| Tamper::Flip(at, bit)),
        1 => index().prop_map(Tamper::Remove),
        1 => index().prop_map(Tamper::RemoveFrom),
        1 => index().prop_map(Tamper::RemoveFile),
        1 => (index(), index()).prop_map(|(a, b)| Tamper::Swap(a, b)),
        1 => (index(), index()).prop_map(|(a, b)| Tamper::Repeat(a, b)),
    ]
}

/// Does it to files given as their lines, newlines included. False if that changed nothing.
fn apply(tamper: &Tamper, files: &mut Vec<Vec<Vec<u8>>>) -> bool {
    let places: Vec<(usize, usize)> = files
        .iter()
        .enumerate()
        .flat_map(|(file, lines)| (0..lines.len()).map(move |line| (file, line)))
        .collect();
    match tamper {
        Tamper::Flip(at, bit) => {
            let mut bytes: Vec<&mut u8> = files.iter_mut().flatten().flatten().collect();
            let at = at.index(bytes.len());
            *bytes[at] ^= 1 << bit;
        }
        Tamper::Remove(at) => {
            let (file, line) = places[at.index(places.len())];
            files[file].remove(line);
        }
        Tamper::RemoveFrom(at) => {
            let (file, line) = places[at.index(places.len())];
            files[file].truncate(line);
            files.truncate(file + 1);
        }
        Tamper::RemoveFile(at) => {
            let at = at.index(files.len());
            files[at].clear();
        }
        Tamper::Swap(a, b) => {
            let (a, b) = (places[a.index(places.len())], places[b.index(places.len())]);
            let kept = files[a.0][a.1].clone();
            files[a.0][a.1] = std::mem::replace(&mut files[b.0][b.1], kept);
            return a != b;
        }
        Tamper::Repeat(from, to) => {
            let (from, to) = (places[from.index(places.len())], places[to.index(places.len())]);
            let line = files[from.0][from.1].clone();
            files[to.0].insert(to.1 + 1, line);
        }
    }
    true
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_done_to_a_chain_is_found(counts in prop::collection::vec(1_usize..5, 1..4), tamper in tamper()) {
        let dir = Dir::new();
        let days: Vec<u64> =
            counts.iter().enumerate().flat_map(|(day, count)| iter::repeat_n(day as u64, *count)).collect();
        chain(&dir, &days);
        let whole = report(&dir);
        prop_assert!(whole.finding.is_none(), "{:?}", whole);
        prop_assert_eq!(whole.records, days.len() as u64);

        let paths = files(&dir.0.join("audit/acme"));
        let split = |path: &PathBuf| -> Vec<Vec<u8>> {
            fs::read(path).unwrap().split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
        };
        let mut contents: Vec<Vec<Vec<u8>>> = paths.iter().map(split).collect();
        prop_assume!(apply(&tamper, &mut contents));
        for (at, path) in paths.iter().enumerate() {
            match contents.get(at).filter(|lines| !lines.is_empty()) {
                Some(lines) => fs::write(path, lines.concat()).unwrap(),
                None => fs::remove_file(path).unwrap(),
            }
        }
        prop_assert!(report(&dir).finding.is_some());
        prop_assert!(verify(&dir.0, None).unwrap().findings().count() == 1);
    }

    #[test]
    fn however_it_is_stopped_and_started_a_chain_is_whole(steps in prop::collection::vec((0_u64..3, 0_u8..4), 1..12)) {
        let dir = Dir::new();
        let mut sink = sink(&dir);
        for (id, (day, step)) in steps.iter().enumerate() {
            write(&mut sink, [decided("acme", (id as u64 / 4) + day / 2, id)]);
            match step {
                0 => sync(&mut sink),
                1 => {
                    drop(sink);
                    sink = self::sink(&dir);
                }
                _ => {}
            }
        }
        drop(sink);
        let found = report(&dir);
        prop_assert!(found.finding.is_none(), "{:?}", found);
        prop_assert_eq!(found.records, steps.len() as u64);
    }
}
