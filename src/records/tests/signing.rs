//! Signed checkpoints: made when they are due, whole after every crash, and whatever is done to them or to what they
//! count is found with the public key alone.

use super::{
    super::{
        checkpoint::Checkpoint,
        signing::tests::pair,
        stamp::Day,
        trail::{self, path_of},
    },
    *,
};
use proptest::prelude::*;

fn seconds(seconds: u64) -> SystemTime {
    time(0) + Duration::from_secs(seconds)
}

fn signed_by(dir: &Dir, seed: u8) -> Sink {
    Sink::open(&dir.0, secrets(), Some(Arc::new(pair(seed).0)), YEAR, time(0)).unwrap()
}

fn sink(dir: &Dir) -> Sink {
    signed_by(dir, 1)
}

fn round(sink: &mut Sink, now: SystemTime, sign: Sign) {
    assert!(sync_round(sink.sync_round(now, sign)).is_empty());
}

/// Records of days, a checkpoint behind each.
fn signed(dir: &Dir, days: &[u64]) {
    let mut sink = sink(dir);
    for (id, day) in days.iter().enumerate() {
        write(&mut sink, [decided("acme", *day, id)]);
        round(&mut sink, time(*day), Sign::All);
    }
}

fn public(seeds: &[u8]) -> Vec<PublicKey> {
    seeds.iter().map(|seed| pair(*seed).1).collect()
}

/// What somebody finds who has public keys, and no secret.
fn audited(dir: &Dir, seeds: &[u8]) -> TenantReport {
    let keys = public(seeds);
    let means = Means { secrets: None, keys: &keys };
    verify(&dir.0, means, 1, &mut |_| {}).unwrap().tenants.remove(0)
}

#[track_caller]
fn check_audited(dir: &Dir, seeds: &[u8], expected: &str) {
    let finding = audited(dir, seeds).finding.map(|finding| finding.to_string());
    assert_eq!(
        finding.map(|text| text.replace(&dir.0.display().to_string(), "DIR")).as_deref(),
        Some(expected)
    );
}

fn checkpoints(dir: &Dir, day: u64) -> PathBuf {
    path_of(&dir.0.join("audit/acme"), Day::of(time(day)))
}

fn told(dir: &Dir, seeds: &[u8]) -> (u64, u64, u64) {
    let report = audited(dir, seeds);
    assert!(report.finding.is_none(), "{report:?}");
    let attested = report.attested.unwrap();
    assert!(attested.is_checked);
    (attested.number, attested.records, report.removed + report.records - attested.records)
}

#[test]
fn one_is_made_at_once_then_every_minute_while_records_come_and_at_the_end() {
    let dir = Dir::new();
    let mut sink = sink(&dir);
    let mut step = |at: u64, records: usize, sign: Sign| {
        write(&mut sink, (0..records).map(|id| decided("acme", 0, id)));
        round(&mut sink, seconds(at), sign);
        told(&dir, &[1])
    };
    assert_eq!(step(0, 2, Sign::Due), (2, 2, 0), "the first one came before the first record");
    assert_eq!(step(1, 1, Sign::Due), (2, 2, 1));
    assert_eq!(step(59, 1, Sign::Due), (2, 2, 2));
    assert_eq!(step(60, 0, Sign::Due), (3, 4, 0), "due though nothing came");
    assert_eq!(step(500, 0, Sign::Due), (3, 4, 0), "nothing new, nothing to sign");
    assert_eq!(step(501, 1, Sign::Due), (4, 5, 0));
    assert_eq!(step(502, 1, Sign::All), (5, 6, 0));
    assert_eq!(step(502, 0, Sign::All), (5, 6, 0));
    // A clock that was put back does not put checkpoints off.
    assert_eq!(step(0, 1, Sign::Due), (6, 7, 0));
    assert!(report(&dir).finding.is_none());
}

#[test]
fn no_file_is_two_tenants_and_all_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = Dir::new();
    let mut sink = sink(&dir);
    write(&mut sink, ["acme", "globex"].map(|tenant| decided(tenant, 0, 0)));
    round(&mut sink, time(0), Sign::Due);
    for tenant in ["acme", "globex"] {
        let path = path_of(&dir.0.join("audit").join(tenant), Day::of(time(0)));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(lines(&path).iter().all(|line| line["tenant"] == tenant));
    }
    // A tenant's checkpoints are no other's.
    fs::copy(path_of(&dir.0.join("audit/globex"), Day::of(time(0))), checkpoints(&dir, 0)).unwrap();
    check_audited(
        &dir,
        &[1],
        "acme: DIR/audit/acme/checkpoints/2026-11-25.jsonl:1: this checkpoint does not follow the one before it (one was removed, moved, repeated or put in, or it is another tenant's)",
    );
}

#[test]
fn a_chain_that_was_never_signed_is_told_and_signed_at_the_next_start() {
    let dir = Dir::new();
    chain(&dir, &[0, 0]);
    check_audited(
        &dir,
        &[1],
        "acme: DIR/audit/acme/2026-11-25.jsonl:2: it has records, but no checkpoint that a given key has signed",
    );
    round(&mut sink(&dir), time(0), Sign::Due);
    assert_eq!(told(&dir, &[1]), (1, 2, 0));
    // Without the key nothing more is made, and what is there stays as good as it is.
    chain(&dir, &[0]);
    assert_eq!(told(&dir, &[1]), (1, 2, 1));
}

#[test]
fn a_new_key_vouches_for_what_the_old_one_signed() {
    let dir = Dir::new();
    signed(&dir, &[0, 0]);
    let mut second = signed_by(&dir, 2);
    write(&mut second, [decided("acme", 0, 2)]);
    let stranger = |line: u8, seed: u8| {
        format!(
            "acme: DIR/audit/acme/checkpoints/2026-11-25.jsonl:{line}: this checkpoint is of the key {}, which is not among those given: nothing vouches for it",
            pair(seed).1.id()
        )
    };
    check_audited(&dir, &[2], &stranger(1, 1));
    round(&mut second, time(0), Sign::All);
    assert_eq!(told(&dir, &[2]), (4, 3, 0));
    assert_eq!(told(&dir, &[1, 2]), (4, 3, 0));
    // Who has the old key alone cannot tell the new one's from forged ones.
    check_audited(&dir, &[1], &stranger(4, 2));
}

#[test]
fn whoever_can_write_the_files_but_has_not_the_key_changes_nothing_unseen() {
    let dir = Dir::new();
    signed(&dir, &[0, 0, 0]);
    // All of the chain anew, another decision in it, with head and checkpoints to match.
    let forged = Dir::new();
    let mut forger = signed_by(&forged, 9);
    write(&mut forger, (0..3).map(|id| decided("acme", 0, id + 7)));
    round(&mut forger, time(0), Sign::All);
    for file in ["audit/acme/2026-11-25.jsonl", "audit/.heads/acme.json"] {
        fs::copy(forged.0.join(file), dir.0.join(file)).unwrap();
    }
    check_audited(
        &dir,
        &[1],
        "acme: DIR/audit/acme/checkpoints/2026-11-25.jsonl:2: this checkpoint was made for another chain: records were changed or replaced",
    );
    fs::copy(checkpoints(&forged, 0), checkpoints(&dir, 0)).unwrap();
    check_audited(
        &dir,
        &[1],
        &format!(
            "acme: DIR/audit/acme/checkpoints/2026-11-25.jsonl:1: this checkpoint is of the key {}, which is not among those given: nothing vouches for it",
            pair(9).1.id()
        ),
    );
    fs::remove_file(checkpoints(&dir, 0)).unwrap();
    let head = dir.0.join("audit/.heads/acme.json");
    let mut text: Value = serde_json::from_str(&fs::read_to_string(&head).unwrap()).unwrap();
    text.as_object_mut().unwrap().remove("signed");
    fs::write(&head, text.to_string()).unwrap();
    check_audited(
        &dir,
        &[1],
        "acme: DIR/audit/acme/2026-11-25.jsonl:3: it has records, but no checkpoint that a given key has signed",
    );
}

#[test]
fn the_first_days_cannot_be_taken_away_as_if_retention_had() {
    let dir = Dir::new();
    signed(&dir, &[0, 0, 1, 2]);
    let (honest, forged) = (Dir::new(), Dir::new());
    for target in [&honest, &forged] {
        signed(target, &[0, 0, 1, 2]);
    }
    // Retention says what it does.
    let mut sink = sink(&honest);
    sink.prune(time(366), Day::of(time(366))).unwrap();
    drop(sink);
    assert_eq!(files(&honest.0.join("audit/acme")).len(), 3, "two days and the checkpoints");
    assert_eq!(files(&honest.0.join("audit/acme/checkpoints")).len(), 3, "theirs, and today's");
    let report = audited(&honest, &[1]);
    assert!(report.finding.is_none(), "{report:?}");
    assert_eq!((report.removed, report.records), (2, 2));
    // The same without the key: no checkpoint says so.
    let mut sink = Sink::open(&forged.0, secrets(), None, YEAR, time(0)).unwrap();
    sink.prune(time(366), Day::of(time(366))).unwrap();
    check_audited(
        &forged,
        &[1],
        "acme: DIR/audit/acme/checkpoints/2026-11-27.jsonl:2: this checkpoint says that 0 records were removed by retention, but 2 are gone",
    );
    // Their checkpoints alone.
    fs::remove_file(checkpoints(&dir, 0)).unwrap();
    check_audited(
        &dir,
        &[1],
        "acme: DIR/audit/acme/checkpoints/2026-11-26.jsonl:1: this checkpoint is the first one, but those before it were not removed by retention",
    );
}

#[test]
fn retention_goes_on_for_years_and_the_newest_checkpoint_stays() {
    let dir = Dir::new();
    let mut sink = sink(&dir);
    for year in 0..4 {
        let day = year * 500;
        write(&mut sink, [decided("acme", day, 0), decided("acme", day + 1, 1)]);
        round(&mut sink, time(day + 1), Sign::All);
        sink.prune(time(day + 400), Day::of(time(day + 400))).unwrap();
        sink.prune(time(day + 401), Day::of(time(day + 401))).unwrap();
        assert!(audited(&dir, &[1]).finding.is_none(), "{:?}", audited(&dir, &[1]));
        assert!(report(&dir).finding.is_none());
        drop(sink);
        sink = self::sink(&dir);
        assert!(sink.warnings.is_empty(), "{:?}", sink.warnings);
    }
    for left in ["audit/acme", "audit/acme/checkpoints"].map(|kept| files(&dir.0.join(kept))) {
        assert!(left.len() <= 3, "{left:?}");
    }
}

#[test]
fn the_last_ones_cannot_be_taken_away_where_the_head_is_checked() {
    let dir = Dir::new();
    signed(&dir, &[0, 0, 0]);
    let path = checkpoints(&dir, 0);
    let text = fs::read_to_string(&path).unwrap();
    let kept: String = text.split_inclusive('\n').take(2).collect();
    fs::write(&path, &kept).unwrap();
    let cut = "acme: DIR/audit/acme/2026-11-25.jsonl:3: its head counts 4 signed checkpoints, but there are 2: the last ones were removed";
    check_finding(&dir, cut);
    check_audited(&dir, &[1], cut);
    // Going on hides nothing.
    let mut sink = sink(&dir);
    assert!(matches!(sink.warnings[..], [Warning::Tampered { .. }]), "{:?}", sink.warnings);
    write(&mut sink, [decided("acme", 0, 9)]);
    round(&mut sink, time(0), Sign::All);
    assert!(audited(&dir, &[1]).finding.is_some() && report(&dir).finding.is_some());
}

#[test]
fn a_torn_checkpoint_is_moved_aside_and_the_next_ones_follow() {
    let dir = Dir::new();
    signed(&dir, &[0, 0]);
    let path = checkpoints(&dir, 0);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&whole[..], b"{\"kind\":\"toll"].concat()).unwrap();
    assert_eq!(told(&dir, &[1]), (3, 2, 0));
    let mut sink = sink(&dir);
    assert!(matches!(sink.warnings[..], [Warning::Torn { bytes: 13, .. }]), "{:?}", sink.warnings);
    write(&mut sink, [decided("acme", 0, 2)]);
    round(&mut sink, time(0), Sign::All);
    assert_eq!(told(&dir, &[1]), (4, 3, 0));
}

#[test]
fn a_checkpoint_that_cannot_be_written_is_owed() {
    let dir = Dir::new();
    let mut sink = sink(&dir);
    write(&mut sink, [decided("acme", 0, 0)]);
    // A directory in its place: that stops even root, as a full disk would.
    let (path, aside) = (checkpoints(&dir, 0), dir.0.join("aside"));
    fs::rename(&path, &aside).unwrap();
    fs::create_dir(&path).unwrap();
    let failed = sync_round(sink.sync_round(time(0), Sign::Due));
    assert_eq!(failed.len(), 1);
    sink.sync_failed(failed).unwrap();
    assert!(sink.is_owing() && sink.is_sign_due(time(0)));
    fs::remove_dir(&path).unwrap();
    fs::rename(&aside, &path).unwrap();
    round(&mut sink, time(0), Sign::Due);
    assert!(!sink.is_owing());
    // Half of a line is on the disk when it fails.
    write(&mut sink, [decided("acme", 0, 1)]);
    let lost = sink.sync_round(seconds(60), Sign::Due);
    let half = lost[0].2.checkpoint.clone().unwrap();
    trail::append(&trail::Append { line: half.line[..20].to_vec(), ..half }).unwrap();
    sink.sync_failed(lost).unwrap();
    round(&mut sink, seconds(61), Sign::Due);
    assert_eq!(told(&dir, &[1]), (3, 2, 0));
}

#[expect(clippy::disallowed_methods, reason = "the writer's thread goes by the calendar, too")]
fn today() -> Day {
    Day::of(SystemTime::now())
}

#[test]
fn what_becomes_of_requests_then_is_what_on_failure_says() {
    for on_failure in [OnFailure::Fail, OnFailure::Drop] {
        let dir = Dir::new();
        let signer = Some(Arc::new(pair(1).0));
        let records =
            Records::open(Options { signer, ..options(&dir, on_failure, &Arc::default()) }).unwrap();
        records.push(denied("acme")).unwrap();
        records.flush().unwrap();
        let path = path_of(&dir.0.join("audit/acme"), today());
        let aside = path.with_extension("aside");
        fs::rename(&path, &aside).unwrap();
        fs::create_dir(&path).unwrap();
        records.push(denied("acme")).unwrap();
        assert_eq!(records.flush(), Err(Unrecorded::Failing));
        assert_eq!(records.accepts(), on_failure == OnFailure::Drop);
        std::thread::sleep(Duration::from_millis(150));
        assert_eq!(records.accepts(), on_failure == OnFailure::Drop, "it is not over as long as it is owed");
        fs::remove_dir(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
        let mut tries = 0;
        while records.flush().is_err() || !records.accepts() {
            tries += 1;
            assert!(tries < 100);
        }
        records.close().unwrap();
        assert_eq!(told(&dir, &[1]), (3, 2, 0));
    }
}

#[test]
fn closing_signs_what_is_left() {
    let dir = Dir::new();
    let signer = Some(Arc::new(pair(1).0));
    let records =
        Records::open(Options { signer, ..options(&dir, OnFailure::Fail, &Arc::default()) }).unwrap();
    for _ in 0..5 {
        records.push(denied("acme")).unwrap();
    }
    records.close().unwrap();
    assert_eq!(told(&dir, &[1]).1, 5);
}

#[test]
fn a_chain_whose_days_are_compressed_is_signed_too_and_a_failed_checkpoint_reopens_no_closed_day() {
    let dir = Dir::new();
    let mut sink = sink(&dir);
    write(&mut sink, [0, 0, 1].map(|day| decided("acme", day, 0)));
    round(&mut sink, time(1), Sign::All);
    assert_eq!(compression::compress_before(&dir, &mut sink, 2), None);
    assert_eq!(told(&dir, &[1]), (2, 3, 0));
    drop(sink);
    fs::remove_file(checkpoints(&dir, 1)).unwrap();
    let head = dir.0.join("audit/.heads/acme.json");
    fs::remove_file(&head).unwrap();
    let mut again = signed_by(&dir, 1);
    let failed = again.sync_round(time(2), Sign::All);
    assert!(failed.iter().any(|(_, _, job)| job.checkpoint.is_some()));
    again.sync_failed(failed).unwrap();
    assert!(!dir.0.join("audit/acme/2026-11-26.jsonl").exists());
}

#[derive(Debug, Clone)]
enum Tamper {
    Flip(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Repeat(prop::sample::Index, prop::sample::Index),
    /// Forged with another key, to fit.
    Forge(prop::sample::Index),
}

fn tamper() -> impl Strategy<Value = Tamper> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        3 => (index(), 0_u8..8).prop_map(|(at, bit)| Tamper::Flip(at, bit)),
        1 => index().prop_map(Tamper::Remove),
        1 => (index(), index()).prop_map(|(a, b)| Tamper::Swap(a, b)),
        1 => (index(), index()).prop_map(|(a, b)| Tamper::Repeat(a, b)),
        1 => index().prop_map(Tamper::Forge),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_done_to_checkpoints_is_found(count in 2_usize..6, tamper in tamper()) {
        let dir = Dir::new();
        signed(&dir, &vec![0; count]);
        prop_assert_eq!(told(&dir, &[1]), (count as u64 + 1, count as u64, 0));
        let path = checkpoints(&dir, 0);
        let bytes = fs::read(&path).unwrap();
        let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        match tamper {
            Tamper::Flip(at, bit) => {
                let mut all: Vec<&mut u8> = lines.iter_mut().flatten().collect();
                let at = at.index(all.len());
                *all[at] ^= 1 << bit;
            }
            Tamper::Remove(at) => {
                lines.remove(at.index(count + 1));
            }
            Tamper::Swap(a, b) => {
                prop_assume!(a.index(count + 1) != b.index(count + 1));
                lines.swap(a.index(count + 1), b.index(count + 1));
            }
            Tamper::Repeat(from, to) => {
                let line = lines[from.index(count + 1)].clone();
                lines.insert(to.index(count + 1) + 1, line);
            }
            Tamper::Forge(at) => {
                let at = at.index(count + 1);
                let read = Checkpoint::parse(lines[at].strip_suffix(b"\n").unwrap()).unwrap();
                let forger = pair(9).0;
                let forged = Checkpoint { key: forger.id().clone(), ..read.checkpoint };
                lines[at] = forged.sign(&forger).unwrap().0;
            }
        }
        fs::write(&path, lines.concat()).unwrap();
        prop_assert!(audited(&dir, &[1]).finding.is_some());
        prop_assert!(report(&dir).finding.is_some() || audited(&dir, &[1]).finding.is_some());
    }

    #[test]
    fn however_it_is_stopped_and_started_the_checkpoints_are_whole(
        steps in prop::collection::vec((0_u64..90, 0_u8..5), 1..14)
    ) {
        let dir = Dir::new();
        let mut sink = sink(&dir);
        let mut now = 0;
        for (id, (later, step)) in steps.iter().enumerate() {
            now += later * 300;
            write(&mut sink, [Entry::Decision(Box::new(DecisionEntry {
                time: seconds(now),
                request_id: format!("req-{id}").into(),
                ..decision("acme", Content::Redacted)
            }))]);
            match step {
                0 => round(&mut sink, seconds(now), Sign::Due),
                1 => round(&mut sink, seconds(now), Sign::All),
                2 => {
                    drop(sink);
                    sink = self::sink(&dir);
                }
                // A round that was on its way when it failed, whole, or before its checkpoint.
                3 => {
                    let lost = sink.sync_round(seconds(now), Sign::Due);
                    sink.sync_failed(lost).unwrap();
                }
                _ => {}
            }
            // Whoever looks now, or after a crash here, is told of nothing.
            let found = audited(&dir, &[1]);
            prop_assert!(found.finding.is_none(), "{:?}", found);
        }
        round(&mut sink, seconds(now), Sign::All);
        let (_, records, behind) = told(&dir, &[1]);
        prop_assert_eq!((records, behind), (steps.len() as u64, 0));
        prop_assert!(report(&dir).finding.is_none());
    }
}

/// A pause is no reason to be told of forgery: until the next checkpoint, and after a crash before it.
#[test]
fn after_a_pause_the_chain_is_signed_before_it_goes_on() {
    let dir = Dir::new();
    let record = |at: u64| {
        Entry::Decision(Box::new(DecisionEntry { time: seconds(at), ..decision("acme", Content::Redacted) }))
    };
    let mut sink = sink(&dir);
    write(&mut sink, [record(0)]);
    assert_eq!(told(&dir, &[1]), (1, 0, 1), "before its first record");
    round(&mut sink, seconds(0), Sign::Due);
    write(&mut sink, [record(300)]);
    assert_eq!(told(&dir, &[1]), (2, 1, 1));
    write(&mut sink, [record(301)]);
    assert_eq!(told(&dir, &[1]), (3, 2, 1));
    // What came is signed at once, not a minute after that.
    round(&mut sink, seconds(302), Sign::Due);
    assert_eq!(told(&dir, &[1]), (4, 3, 0));
    // A round that is on its way has signed nothing yet.
    write(&mut sink, [record(600)]);
    let under_way = sink.sync_round(seconds(600), Sign::All);
    assert!(sink.render(record(603), &Deaf).is_ok() && sink.waits_for_round());
    assert!(sync_round(under_way).is_empty());
    sink.settle();
    assert!(!sink.waits_for_round());
    sink.write(&mut 0).unwrap();
    assert_eq!(told(&dir, &[1]), (5, 4, 1));
    // Each process finds out by itself when the last one was made.
    drop(sink);
    let mut again = signed_by(&dir, 1);
    write(&mut again, [record(899)]);
    assert_eq!(told(&dir, &[1]), (5, 4, 2));
    write(&mut again, [record(5000)]);
    assert_eq!(told(&dir, &[1]), (6, 6, 1));
    assert!(report(&dir).finding.is_none());
}

/// Records that anybody can compute, and a head that anybody can write.
#[test]
fn no_chain_without_checkpoints_is_whole_whatever_its_head_says() {
    let dir = Dir::new();
    signed(&dir, &[0, 0, 1]);
    fs::remove_dir_all(dir.0.join("audit/acme/checkpoints")).unwrap();
    let path = dir.0.join("audit/.heads/acme.json");
    let genesis = genesis("acme");
    let forged = format!(
        r#"{{"tenant":"acme","records":0,"last":"{0}","file":null,"bytes":0,"base":{{"file":null,"prev":"{0}","records":0}},"until":"2027-01-01T00:00:00.000Z","mac":"{1}"}}"#,
        genesis.as_str(),
        "0".repeat(64)
    );
    fs::write(&path, forged).unwrap();
    check_audited(
        &dir,
        &[1],
        "acme: DIR/audit/acme/2026-11-26.jsonl:1: it has records, but no checkpoint that a given key has signed",
    );
}

/// A gateway that runs signs every minute.
#[test]
fn records_that_no_checkpoint_counts_are_young() {
    for (late, is_found) in [(1, false), (299, false), (301, true), (100_000, true)] {
        let dir = Dir::new();
        signed(&dir, &[0, 0]);
        let late = Entry::Decision(Box::new(DecisionEntry {
            time: seconds(late),
            ..decision("acme", Content::Redacted)
        }));
        // Of a gateway that does not sign, as a forger does not.
        let mut sink = super::sink(&dir);
        write(&mut sink, [late]);
        drop(sink);
        assert_eq!(audited(&dir, &[1]).finding.is_some(), is_found);
    }
}

#[test]
fn a_checkpoint_knows_which_days_file_it_counts() {
    let dir = Dir::new();
    signed(&dir, &[0, 0, 2]);
    let day = |day: &str| dir.0.join(format!("audit/acme/2026-11-{day}.jsonl"));
    fs::rename(day("25"), day("26")).unwrap();
    // The head knows it too, where it is to be had.
    assert!(
        audited(&dir, &[1]).finding.unwrap().to_string().contains("its head does not say that it came late")
    );
    fs::remove_file(dir.0.join("audit/.heads/acme.json")).unwrap();
    let finding = audited(&dir, &[1]).finding.unwrap().to_string();
    assert!(
        finding.ends_with("names another file for the record that it counts last: a day's file was renamed"),
        "{finding}"
    );
}
