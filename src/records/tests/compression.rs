//! Days that are over become `.gz`: nothing that reads records can tell, wherever a crash stopped it.

use super::{
    super::{
        compress::{Compressor, aside, put_in_place, remove_plain, write_aside},
        day_file::compressed,
        stamp::Day,
    },
    *,
};
use proptest::prelude::*;
use std::ops::ControlFlow;

const TENANT: &str = "audit/acme";

fn day(days: u64) -> Day {
    Day::of(time(days))
}

fn file(dir: &Dir, kind: &str, days: u64) -> PathBuf {
    dir.0.join(kind).join(format!("{}.jsonl", day(days)))
}

/// Compresses everything before a day, as the gateway does.
pub(super) fn compress_before(dir: &Dir, sink: &mut Sink, days: u64) -> Option<Warning> {
    sink.close_days(day(days));
    let mut compressor = Compressor::start(sink.dirs()).unwrap();
    compressor.begin(day(days));
    loop {
        if let Some(outcome) = compressor.outcome() {
            return outcome;
        }
        assert!(dir.0.is_dir());
        std::thread::yield_now();
    }
}

/// What a reader finds of a tenant, line by line.
fn read(dir: &Dir) -> Vec<u8> {
    let mut found = Vec::new();
    for file in audit_files(&dir.0).unwrap() {
        each_line(&file, &mut |line| {
            found.extend_from_slice(line);
            found.push(b'\n');
            ControlFlow::Continue(())
        })
        .unwrap();
    }
    found
}

#[test]
fn a_day_that_is_over_is_compressed_and_the_chain_goes_on() {
    let dir = Dir::new();
    let mut sink = sink(&dir);
    write(&mut sink, [0, 0, 1, 2].map(|day| decided("acme", day, 0)));
    write(&mut sink, [answered("acme")]);
    sync(&mut sink);
    let before = read(&dir);
    assert_eq!(compress_before(&dir, &mut sink, 2), None);
    let names = |kind: &str| -> Vec<String> {
        let files = files(&dir.0.join(kind));
        files.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(TENANT), ["2026-11-25.jsonl.gz", "2026-11-26.jsonl.gz", "2026-11-27.jsonl"]);
    assert_eq!(names("log/acme"), ["2026-11-25.jsonl.gz"]);
    assert_eq!(read(&dir), before);
    // Late records of a day that is closed go into a file that is open, by the same gateway and by the next one.
    write(&mut sink, [decided("acme", 1, 7), answered("acme")]);
    sync(&mut sink);
    drop(sink);
    let mut again = self::sink(&dir);
    assert!(again.warnings.is_empty(), "{:?}", again.warnings);
    write(&mut again, [decided("acme", 1, 8), answered("acme")]);
    sync(&mut again);
    assert_eq!(names(TENANT), ["2026-11-25.jsonl.gz", "2026-11-26.jsonl.gz", "2026-11-27.jsonl"]);
    assert_eq!(names("log/acme"), ["2026-11-25.jsonl.gz", "2026-11-26.jsonl", "2026-11-27.jsonl"]);
    let found = report(&dir);
    assert!(found.finding.is_none(), "{found:?}");
    assert_eq!((found.records, found.unsealed), (6, 0));
}

#[test]
fn stock_tools_open_it_and_it_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = Dir::new();
    let mut sink = sink(&dir);
    write(&mut sink, (0..500).map(|id| decided("acme", 0, id)));
    sync(&mut sink);
    let before = fs::read(file(&dir, TENANT, 0)).unwrap();
    assert_eq!(compress_before(&dir, &mut sink, 1), None);
    let path = compressed(&file(&dir, TENANT, 0));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::metadata(&path).unwrap().len() < before.len() as u64 / 2);
    if let Ok(told) = std::process::Command::new("gzip").arg("-dc").arg(&path).output() {
        assert!(told.status.success() && told.stdout == before);
    }
}

#[test]
fn a_chain_whose_last_day_is_compressed_is_taken_up() {
    let dir = Dir::new();
    let mut sink = sink(&dir);
    write(&mut sink, [0, 0, 1].map(|day| decided("acme", day, 0)));
    sync(&mut sink);
    assert_eq!(compress_before(&dir, &mut sink, 5), None);
    drop(sink);
    let mut again = self::sink(&dir);
    assert!(again.warnings.is_empty(), "{:?}", again.warnings);
    assert!(report(&dir).finding.is_none());
    write(&mut again, [decided("acme", 5, 1)]);
    sync(&mut again);
    let found = report(&dir);
    assert!(found.finding.is_none() && found.records == 4, "{found:?}");
}

#[test]
fn a_file_that_is_changed_cut_or_gone_is_found() {
    let whole = || {
        let dir = Dir::new();
        let mut sink = sink(&dir);
        write(&mut sink, (0..3).flat_map(|day| (0..5).map(move |id| decided("acme", day, id))));
        sync(&mut sink);
        assert_eq!(compress_before(&dir, &mut sink, 2), None);
        dir
    };
    let path = |dir: &Dir| compressed(&file(dir, TENANT, 0));
    let dir = whole();
    fs::remove_file(path(&dir)).unwrap();
    check_finding(
        &dir,
        "acme: DIR/audit/acme/2026-11-26.jsonl.gz:1: this record is not the chain's first record (earlier ones were removed, or it is another tenant's)",
    );
    let dir = whole();
    let bytes = fs::read(path(&dir)).unwrap();
    for length in [0, 1, 9, bytes.len() / 2, bytes.len() - 1] {
        fs::write(path(&dir), bytes.get(..length).unwrap()).unwrap();
        assert!(report(&dir).finding.is_some(), "cut to {length}");
    }
    for at in 10..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(path(&dir), &changed).unwrap();
        assert!(report(&dir).finding.is_some(), "byte {at}");
    }
}

#[test]
fn a_damaged_file_stops_no_gateway_and_stays_found() {
    for cut in [1, 9, 30] {
        let dir = Dir::new();
        let mut sink = sink(&dir);
        write(&mut sink, (0..2).flat_map(|day| (0..5).map(move |id| decided("acme", day, id))));
        sync(&mut sink);
        assert_eq!(compress_before(&dir, &mut sink, 3), None);
        drop(sink);
        let path = compressed(&file(&dir, TENANT, 1));
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, bytes.get(..bytes.len() - cut).unwrap()).unwrap();
        assert!(report(&dir).finding.is_some());
        let mut again = self::sink(&dir);
        write(&mut again, [decided("acme", 3, 1)]);
        sync(&mut again);
        again.prune(time(366), Day::of(time(366))).unwrap();
        drop(again);
        assert!(report(&dir).finding.is_some(), "{cut}");
    }
}

#[test]
fn retention_removes_it_too_and_what_a_crash_left_beside() {
    let dir = Dir::new();
    let mut sink = sink(&dir);
    write(&mut sink, [0, 0, 1, 2].map(|day| decided("acme", day, 0)));
    write(&mut sink, [answered("acme")]);
    sync(&mut sink);
    assert_eq!(compress_before(&dir, &mut sink, 2), None);
    for beside in [".torn", ".gz.tmp"] {
        let mut name = file(&dir, TENANT, 0).into_os_string();
        name.push(beside);
        fs::write(name, "x").unwrap();
    }
    sink.prune(time(366), Day::of(time(366))).unwrap();
    assert!(files(&dir.0.join("log/acme")).is_empty());
    assert_eq!(files(&dir.0.join(TENANT)).len(), 2);
    let found = report(&dir);
    assert!(found.finding.is_none(), "{found:?}");
    assert_eq!((found.removed, found.records), (2, 2));
}

#[test]
fn what_cannot_be_compressed_stays_and_costs_no_record() {
    let dir = Dir::new();
    let mut sink = sink(&dir);
    write(&mut sink, [0, 1].map(|day| decided("acme", day, 0)));
    sync(&mut sink);
    // A directory in its place: that stops even root, as a full disk would.
    fs::create_dir(aside(&file(&dir, TENANT, 0))).unwrap();
    let warned = compress_before(&dir, &mut sink, 1).unwrap().to_string();
    assert!(warned.contains("2026-11-25.jsonl could not be compressed"), "{warned}");
    assert!(file(&dir, TENANT, 0).exists());
    write(&mut sink, [decided("acme", 1, 2)]);
    sync(&mut sink);
    assert!(report(&dir).finding.is_none());
    fs::remove_dir(aside(&file(&dir, TENANT, 0))).unwrap();
    assert_eq!(compress_before(&dir, &mut sink, 1), None);
    assert!(!file(&dir, TENANT, 0).exists() && report(&dir).finding.is_none());
}

#[test]
fn the_gateway_does_it_by_itself_and_goes_on_where_it_cannot() {
    for on_failure in [OnFailure::Fail, OnFailure::Drop] {
        let (dir, other) = (Dir::new(), Dir::new());
        chain(&dir, &[0, 0]);
        chain(&other, &[0]);
        let ear: Arc<Ear> = Arc::default();
        let records = Records::open(Options { compress: true, ..options(&dir, on_failure, &ear) }).unwrap();
        while file(&dir, TENANT, 0).exists() {
            std::thread::yield_now();
        }
        records.close().unwrap();
        let found = report(&dir);
        assert!(found.finding.is_none() && found.records == 2, "{found:?}");
        assert!(ear.0.lock().unwrap().is_empty());

        fs::create_dir(aside(&file(&other, TENANT, 0))).unwrap();
        let records = Records::open(Options { compress: true, ..options(&other, on_failure, &ear) }).unwrap();
        while ear.0.lock().unwrap().is_empty() {
            std::thread::yield_now();
        }
        assert!(records.accepts() && !records.is_failing());
        records.push(answered("acme")).unwrap();
        records.close().unwrap();
        assert_eq!(records_of(&other), 1);
    }
}

fn records_of(dir: &Dir) -> u64 {
    report(dir).records
}

/// Where a crash stops it.
#[derive(Debug, Clone, Copy)]
enum Crash {
    /// Only so much of the file beside is there.
    HalfWritten(prop::sample::Index),
    Written,
    Renamed,
    Removed,
}

fn crash() -> impl Strategy<Value = Crash> {
    prop_oneof![
        any::<prop::sample::Index>().prop_map(Crash::HalfWritten),
        Just(Crash::Written),
        Just(Crash::Renamed),
        Just(Crash::Removed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn wherever_it_is_stopped_all_is_there_and_the_next_one_gets_it_done(
        count in 1_usize..40, crash in crash()
    ) {
        let dir = Dir::new();
        let mut sink = sink(&dir);
        write(&mut sink, (0..count).map(|id| decided("acme", 0, id)));
        sync(&mut sink);
        drop(sink);
        let before = read(&dir);
        let plain = file(&dir, TENANT, 0);
        let beside = aside(&plain);
        write_aside(&plain, &beside, &AtomicBool::new(false)).unwrap();
        match crash {
            Crash::HalfWritten(at) => {
                let bytes = fs::read(&beside).unwrap();
                fs::write(&beside, &bytes[..at.index(bytes.len())]).unwrap();
            }
            Crash::Written => {}
            Crash::Renamed => put_in_place(&plain, &beside).unwrap(),
            Crash::Removed => {
                put_in_place(&plain, &beside).unwrap();
                remove_plain(&plain).unwrap();
            }
        }
        prop_assert_eq!(&read(&dir), &before);
        prop_assert!(report(&dir).finding.is_none());
        let mut again = self::sink(&dir);
        prop_assert!(again.warnings.is_empty(), "{:?}", again.warnings);
        prop_assert_eq!(compress_before(&dir, &mut again, 1), None);
        prop_assert_eq!(files(&dir.0.join(TENANT)), [compressed(&plain)]);
        prop_assert_eq!(read(&dir), before);
        write(&mut again, [decided("acme", 1, 99)]);
        sync(&mut again);
        let found = report(&dir);
        prop_assert!(found.finding.is_none() && found.records == count as u64 + 1, "{:?}", found);
    }
}
