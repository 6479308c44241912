//! What may stand behind a head that does not say that it ends: what a crash leaves, and no more.

use super::*;
use proptest::prelude::*;

fn at(seconds: u64) -> SystemTime {
    time(0) + Duration::from_secs(seconds)
}

fn made(seconds: u64) -> Entry {
    Entry::Decision(Box::new(DecisionEntry { time: at(seconds), ..decision("acme", Content::Redacted) }))
}

/// Whoever has kept a head that was not the last one, and puts it back, has so much room, and no more.
#[test]
fn records_come_behind_a_head_for_five_minutes_at_most() {
    for (seconds, is_found) in [(0, false), (299, false), (300, false), (301, true), (3600, true)] {
        let dir = Dir::new();
        chain(&dir, &[0, 0]);
        let file = dir.0.join("audit/acme/2026-11-25.jsonl");
        fs::write(&file, planted_at(&file, Some(at(seconds)))).unwrap();
        fs::write(&file, planted_at(&file, Some(at(seconds + 2000)))).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        if !is_found {
            let lines: Vec<&str> = text.lines().take(3).collect();
            fs::write(&file, lines.join("\n") + "\n").unwrap();
        }
        let found = report(&dir);
        assert_eq!(found.finding.is_some(), is_found, "{seconds}: {found:?}");
        if is_found {
            check_finding(
                &dir,
                "acme: DIR/audit/acme/2026-11-25.jsonl:3: this record came later than its head allows: records were put there behind an old head. 2 records stand behind the head",
            );
        } else {
            assert_eq!(found.unsealed, 1);
        }
        let mut again = sink(&dir);
        assert_eq!(
            matches!(again.warnings[..], [Warning::Tampered { .. }]),
            is_found,
            "{:?}",
            again.warnings
        );
        for _ in 0..2 {
            write(&mut again, [made(seconds + 4000)]);
            end(&mut again);
            assert_eq!(report(&dir).finding.is_some(), is_found, "for ever");
        }
    }
}

/// What the page says of whoever has kept an old state: it fits, whatever key or secret is asked, and a hash that was kept
/// elsewhere tells; of an old head alone, or old records alone, the rest tells.
#[test]
fn what_was_put_back_whole_is_told_by_a_hash_that_was_kept() {
    let dir = Dir::new();
    let signer = || Some(Arc::new(super::super::signing::tests::pair(1).0));
    let (old, keys) = (Dir::new(), [super::super::signing::tests::pair(1).1]);
    let open = || Sink::open(&dir.0, secrets(), signer(), YEAR, time(0)).unwrap();
    let copy = |from: &Dir, what: &str, to: &Dir| {
        let (from, to) = (from.0.join(what), to.0.join(what));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    };
    let (records, head) = ("audit/acme/2026-11-25.jsonl", "audit/.heads/acme.json");
    let (signed, roll) = ("audit/acme/checkpoints/2026-11-25.jsonl", "audit/.heads/roll");
    let all = [records, head, signed, roll];
    let mut sink = open();
    let go_on = |sink: &mut Sink, seconds: u64| {
        write(sink, [made(seconds)]);
        assert!(sync_round(sink.sync_round(at(seconds), Sign::All)).is_empty());
    };
    go_on(&mut sink, 0);
    go_on(&mut sink, 1);
    all.into_iter().for_each(|what| copy(&dir, what, &old));
    (2..5).for_each(|seconds| go_on(&mut sink, seconds));
    drop(sink);
    let found = |with: &[PublicKey]| {
        let secrets = secrets();
        let means = Means { secrets: Some(&*secrets), keys: with };
        verify(&dir.0, means, 1, &mut |_| {}).unwrap().tenants.remove(0)
    };
    let is_there = |hash: &Digest| fs::read_to_string(dir.0.join(records)).unwrap().contains(hash.as_str());
    let kept = found(&keys);
    assert!(kept.finding.is_none() && kept.records == 5 && is_there(&kept.last));
    let now = Dir::new();
    all.into_iter().for_each(|what| copy(&dir, what, &now));
    for (put_back, is_told) in [
        (&[records][..], true),
        (&[signed], true),
        (&[records, head], true),
        (&[records, signed], true),
        // Behind an old head five minutes may stand: these did.
        (&[head], false),
        (&all, false),
    ] {
        all.into_iter().for_each(|what| copy(&now, what, &dir));
        put_back.iter().for_each(|what| copy(&old, what, &dir));
        assert_eq!(found(&keys).finding.is_some(), is_told, "{put_back:?}");
    }
    // It goes on, and counts as many as before; the hash is missing all the same.
    let mut again = open();
    assert!(again.warnings.is_empty(), "{:?}", again.warnings);
    (6..12).for_each(|seconds| go_on(&mut again, seconds));
    let later = found(&keys);
    assert!(later.finding.is_none() && later.records > kept.records);
    assert!(is_there(&later.last) && !is_there(&kept.last));
}

/// One of a version that did not say so: what is behind it is of one crash.
#[test]
fn behind_a_head_that_does_not_say_it_the_first_record_counts() {
    for (between, is_found) in [(300, false), (301, true)] {
        let dir = Dir::new();
        chain(&dir, &[0, 0]);
        let path = dir.0.join("audit/.heads/acme.json");
        let secret = secrets().of("acme");
        let text = fs::read_to_string(&path).unwrap();
        let mut head = head::Head::parse(&text, "acme", Some(&secret)).unwrap();
        assert!(head.until.take().is_some());
        fs::write(&path, head.render("acme", &secret)).unwrap();
        let file = dir.0.join("audit/acme/2026-11-25.jsonl");
        for seconds in [7200, 7200 + between] {
            fs::write(&file, planted_at(&file, Some(at(seconds)))).unwrap();
        }
        assert_eq!(report(&dir).finding.is_some(), is_found, "{between}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// So many seconds pass, or the clock is set back by them, and records come.
    Come(i64),
    /// A sync round begins.
    Begin,
    /// It is over.
    Done,
    Crash,
    End,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let seconds = prop_oneof![0..3_i64, 290..310_i64, -400..0_i64, 3000..90_000_i64, -90_000..-3000_i64];
    let step = prop_oneof![
        5 => seconds.prop_map(Step::Come),
        3 => Just(Step::Begin),
        3 => Just(Step::Done),
        1 => Just(Step::Crash),
        1 => Just(Step::End),
    ];
    prop::collection::vec(step, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    /// Whatever pauses, jumps of the clock, slow syncs and crashes there are, no record stands where its head does not
    /// allow it.
    #[test]
    fn what_a_gateway_leaves_is_never_found(steps in steps()) {
        let dir = Dir::new();
        let (mut sink, mut under_way, mut now) = (sink(&dir), None, 500_000_i64);
        for step in steps {
            match step {
                Step::Come(seconds) => {
                    now = (now + seconds).max(0);
                    let first = u64::try_from(now).unwrap();
                    for seconds in [first, first + 1] {
                        prop_assert!(sink.render(made(seconds), &Deaf).is_ok());
                    }
                    // As the writer does.
                    if sink.waits_for_round() && under_way.is_some() {
                        under_way.take().map(sync_round);
                        sink.settle();
                    }
                    sink.write(&mut 0).unwrap();
                }
                Step::Begin if under_way.is_none() => under_way = Some(sink.sync_round(at(0), Sign::Due)),
                Step::Done if under_way.is_some() => {
                    under_way.take().map(sync_round);
                    sink.settle();
                }
                Step::Crash => {
                    // What was under way may have got to its end.
                    if now % 2 == 0 {
                        under_way.take().map(sync_round);
                    }
                    under_way = None;
                    drop(sink);
                    let found = report_of_all(&dir);
                    prop_assert!(found.is_none(), "before the start: {:?}", found);
                    sink = self::sink(&dir);
                }
                Step::End => {
                    under_way.take().map(sync_round);
                    end(&mut sink);
                    drop(sink);
                    sink = self::sink(&dir);
                }
                Step::Begin | Step::Done => {}
            }
            let found = report_of_all(&dir);
            prop_assert!(found.is_none(), "{:?}", found);
            let is_told = sink.warnings.iter().any(|warning| matches!(warning, Warning::Tampered { .. }));
            prop_assert!(!is_told, "{:?}", sink.warnings);
        }
    }
}

/// The first finding, if there are chains at all.
fn report_of_all(dir: &Dir) -> Option<String> {
    let report = verified(&dir.0, true).unwrap();
    report.findings().next().map(ToString::to_string)
}
