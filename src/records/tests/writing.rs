//! What is written, where, and what happens while the disk does not take it.

use super::*;
use std::sync::mpsc;

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
    assert!(verified(&dir.0.join("audit"), false).unwrap().is_whole());
    assert!(matches!(verified(&dir.0.join("log"), false), Err(VerifyError::NoAudit { .. })));
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
    assert!(verified(&dir.0, true).unwrap().is_whole());
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
    let report = verified(&dir.0, true).unwrap();
    assert!(report.is_whole());
    assert_eq!(report.tenants.iter().map(|tenant| tenant.records).sum::<u64>(), 900);
}

#[test]
fn a_log_that_its_operator_rotates_goes_on_and_a_chain_that_is_emptied_fails() {
    let dir = Dir::new();
    let records = open(&dir, OnFailure::Fail);
    let log = dir.0.join("log/acme/2026-11-25.jsonl");
    let rotations: [&dyn Fn(); 3] = [
        &|| File::options().write(true).open(&log).unwrap().set_len(0).unwrap(),
        &|| fs::rename(&log, log.with_extension("1")).unwrap(),
        &|| fs::remove_file(&log).unwrap(),
    ];
    for rotate in rotations {
        records.push(answered("acme")).unwrap();
        records.push(answered("acme")).unwrap();
        records.flush().unwrap();
        rotate();
        records.push(answered("acme")).unwrap();
        records.flush().unwrap();
        assert_eq!(lines(&log).len(), 1);
        assert!(records.accepts());
        fs::remove_file(&log).unwrap();
    }
    records.push(denied("acme")).unwrap();
    records.push(denied("acme")).unwrap();
    records.flush().unwrap();
    let chain = dir.0.join("audit/acme/2026-11-25.jsonl");
    File::options().write(true).open(chain).unwrap().set_len(0).unwrap();
    records.push(denied("acme")).unwrap();
    assert!(records.flush().is_err());
}
