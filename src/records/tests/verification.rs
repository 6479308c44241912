//! Whatever is done to a chain is found, and what was rightly removed is not missed.

use super::*;
use proptest::prelude::*;
use std::iter;

#[test]
fn what_was_put_behind_a_day_that_is_over_is_found() {
    let dir = Dir::new();
    chain(&dir, &[0, 0, 1]);
    let file = dir.0.join("audit/acme/2026-11-25.jsonl");
    fs::write(&file, [fs::read(&file).unwrap(), b"{}".to_vec()].concat()).unwrap();
    assert!(report(&dir).finding.is_some());
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
    sink.prune(time(364), Day::of(time(364))).unwrap();
    assert_eq!(files(&dir.0.join("audit/acme")).len(), 3);
    sink.prune(time(366), Day::of(time(366))).unwrap();
    assert_eq!(files(&dir.0.join("audit/acme")).len(), 2);
    assert!(files(&dir.0.join("log/acme")).is_empty());
    let found = report(&dir);
    assert!(found.finding.is_none(), "{found:?}");
    assert_eq!((found.removed, found.records), (2, 2));
    sink.prune(time(900), Day::of(time(900))).unwrap();
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
        prop_assert!(verified(&dir.0, false).unwrap().findings().count() == 1);
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

/// A chain that ended has no more records, whoever computed them; one that a crash cut may have.
#[test]
fn what_is_put_behind_the_end_of_a_chain_is_found() {
    for is_ended in [true, false] {
        let dir = Dir::new();
        let mut first = sink(&dir);
        write(&mut first, [0, 0].map(|day| decided("acme", day, 0)));
        sync(&mut first);
        if is_ended {
            end(&mut first);
        }
        drop(first);
        let file = dir.0.join("audit/acme/2026-11-25.jsonl");
        fs::write(&file, planted(&file)).unwrap();
        assert_eq!(report(&dir).finding.is_some(), is_ended);
        let mut again = sink(&dir);
        assert!(matches!(
            (&again.warnings[..], is_ended),
            ([Warning::Tampered { .. }], true) | ([Warning::Unsealed { .. }], false)
        ));
        write(&mut again, [decided("acme", 0, 9)]);
        end(&mut again);
        drop(again);
        assert_eq!(report(&dir).finding.is_some(), is_ended, "for ever");
    }
}

#[test]
fn a_chain_that_ended_goes_on_and_may_end_by_a_crash() {
    let dir = Dir::new();
    for round in 0..4 {
        let mut sink = sink(&dir);
        let told = usize::from(round == 3);
        assert_eq!(sink.warnings.len(), told, "{:?}", sink.warnings);
        write(&mut sink, [decided("acme", 0, round)]);
        // The third one crashes before anything is synced.
        if round != 2 {
            end(&mut sink);
        }
        assert!(report(&dir).finding.is_none());
    }
}

/// A chain and its head, both gone.
#[test]
fn a_chain_that_was_removed_is_found_and_still_so_when_it_went_on() {
    for gone in ["acme", "_operator"] {
        let dir = Dir::new();
        let mut first = sink(&dir);
        write(&mut first, ["acme", "globex", "_operator"].map(|tenant| decided(tenant, 0, 0)));
        end(&mut first);
        drop(first);
        assert!(verified(&dir.0, true).unwrap().is_whole());
        fs::remove_dir_all(dir.0.join("audit").join(gone)).unwrap();
        fs::remove_file(dir.0.join(format!("audit/.heads/{gone}.json"))).unwrap();
        for with_secrets in [true, false] {
            let report = verified(&dir.0, with_secrets).unwrap();
            let found: Vec<String> = report.findings().map(ToString::to_string).collect();
            assert_eq!(
                found,
                [format!(
                    "{gone}: its chain and its head are gone, but it is on the roll of chains: it was removed"
                )]
            );
        }
        let roll = fs::read_to_string(dir.0.join("audit/.heads/roll")).unwrap();
        // Struck off, and the whole roll gone.
        for text in
            [Some(roll.replace(&format!("\"{gone}\","), "").replace(&format!(",\"{gone}\""), "")), None]
        {
            let path = dir.0.join("audit/.heads/roll");
            match text {
                Some(text) => fs::write(&path, text).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            assert!(!verified(&dir.0, true).unwrap().is_whole());
            fs::write(&path, &roll).unwrap();
        }
        let mut again = sink(&dir);
        assert!(matches!(&again.warnings[..], [Warning::Tampered { tenant, .. }] if tenant == gone));
        write(&mut again, [decided(gone, 0, 0)]);
        end(&mut again);
        drop(again);
        assert!(!verified(&dir.0, true).unwrap().is_whole());
    }
}

/// Whatever number a forged head counts from.
#[test]
fn a_head_of_any_numbers_is_no_panic() {
    let dir = Dir::new();
    chain(&dir, &[0, 0, 1]);
    let head = dir.0.join("audit/.heads/acme.json");
    let text = fs::read_to_string(&head).unwrap();
    for number in ["18446744073709551615", "18446744073709551614", "9223372036854775807", "1"] {
        for (from, to) in [
            ("\"records\":0}", format!("\"records\":{number}}}")),
            ("\"records\":3", format!("\"records\":{number}")),
            ("\"bytes\":", format!("\"bytes\":{number}, \"x\":")),
        ] {
            assert!(text.contains(from));
            fs::write(&head, text.replace(from, &to)).unwrap();
            assert!(!verified(&dir.0, false).unwrap().is_whole(), "{from} {number}");
        }
    }
}

#[test]
fn a_days_file_under_another_name_is_found() {
    let dir = Dir::new();
    chain(&dir, &[0, 0]);
    let day = |day: &str| dir.0.join(format!("audit/acme/2026-11-{day}.jsonl"));
    fs::rename(day("25"), day("26")).unwrap();
    check_finding(
        &dir,
        "acme: DIR/audit/acme/2026-11-26.jsonl:1: this record is of the day before, of which there is no file, and its head does not say that it came late: a day's file was renamed",
    );
}

/// Also where no head and no checkpoint stands for its day.
#[test]
fn a_days_file_that_was_moved_to_an_empty_day_is_found() {
    for (days, moved, to) in [([0, 2, 4], "25", "26"), ([0, 2, 4], "27", "28"), ([0, 1, 3], "26", "27")] {
        let dir = Dir::new();
        chain(&dir, &days);
        assert!(report(&dir).finding.is_none());
        let day = |day: &str| dir.0.join(format!("audit/acme/2026-11-{day}.jsonl"));
        fs::rename(day(moved), day(to)).unwrap();
        check_finding(
            &dir,
            &format!(
                "acme: DIR/audit/acme/2026-11-{to}.jsonl:1: this record is of the day before, of which there is no file, and its head does not say that it came late: a day's file was renamed"
            ),
        );
    }
}

/// What comes late for a day that is closed is no file of another name, with and without a file of that day.
#[test]
fn a_record_that_came_late_is_found_in_order() {
    for first in [None, Some(0), Some(2)] {
        let dir = Dir::new();
        let mut sink = sink(&dir);
        write(&mut sink, first.map(|day| decided("acme", day, 0)));
        sink.close_days(Day::of(time(3)));
        write(&mut sink, [decided("acme", 2, 1), decided("acme", 3, 2)]);
        end(&mut sink);
        drop(sink);
        assert!(report(&dir).finding.is_none(), "{first:?}: {:?}", report(&dir).finding);
        // Also once it was taken up again.
        let mut again = super::sink(&dir);
        write(&mut again, [decided("acme", 5, 3)]);
        end(&mut again);
        assert!(report(&dir).finding.is_none(), "{first:?}");
    }
}

#[test]
fn a_compressed_file_beside_the_plain_one_holds_the_same() {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;
    let dir = Dir::new();
    chain(&dir, &[0, 0, 1]);
    let file = dir.0.join("audit/acme/2026-11-25.jsonl");
    let text = fs::read(&file).unwrap();
    for (bytes, is_same) in
        [(&text[..], true), (&text[..text.len() - 1], false), (b"", false), (b"{}\n", false)]
    {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(bytes).unwrap();
        fs::write(file.with_extension("jsonl.gz"), packed.finish().unwrap()).unwrap();
        assert_eq!(report(&dir).finding.is_none(), is_same);
    }
    fs::write(file.with_extension("jsonl.gz"), "no gzip").unwrap();
    assert!(report(&dir).finding.is_some());
}

/// All chains, the heads and the roll, everything that says that there was one.
#[test]
fn chains_that_are_all_gone_are_missed() {
    let dir = Dir::new();
    // Nobody asked anything yet.
    drop(sink(&dir));
    assert!(verified(&dir.0, true).unwrap().is_whole());
    let audit = dir.0.join("audit");
    let empty = || {
        fs::remove_dir_all(&audit).unwrap();
        fs::create_dir(&audit).unwrap();
    };
    empty();
    drop(sink(&dir));
    let mut first = sink(&dir);
    assert!(first.warnings.is_empty());
    write(&mut first, [answered("acme"), decided("acme", 0, 0)]);
    end(&mut first);
    drop(first);
    empty();
    for path in [&dir.0, &audit] {
        assert!(!verified(path, true).unwrap().is_whole(), "{path:?}");
    }
    let again = sink(&dir);
    assert!(matches!(&again.warnings[..], [Warning::Tampered { .. }]), "{:?}", again.warnings);
    drop(again);
    // The roll in its place says so, at every start and whatever is recorded since, until somebody has looked into it.
    for _ in 0..3 {
        let mut later = sink(&dir);
        assert!(later.warnings.is_empty(), "{:?}", later.warnings);
        write(&mut later, [decided("acme", 0, 1)]);
        end(&mut later);
        drop(later);
        for with_secrets in [true, false] {
            let found: Vec<String> =
                verified(&dir.0, with_secrets).unwrap().findings().map(ToString::to_string).collect();
            assert_eq!(found.len(), 1, "{found:?}");
            let text = "the gateway found: the roll of chains (audit/.heads/roll) is missing: it was removed";
            assert!(found[0].contains("at 2026-11-25T10:00:00.000Z") && found[0].contains(text), "{found:?}");
        }
    }
    let lock = DataDirLock::take(&dir.0).unwrap();
    let lost = acknowledge(&dir.0, ("ada", time(1)), &secrets(), None, &lock).unwrap().unwrap();
    assert_eq!(lost.seen, "2026-11-25T10:00:00.000Z");
    assert_eq!(acknowledge(&dir.0, ("ada", time(1)), &secrets(), None, &lock).unwrap(), None);
    assert!(verified(&dir.0, true).unwrap().is_whole());
    let said = fs::read_to_string(audit.join("_operator/2026-11-26.jsonl")).unwrap();
    let said: Value = serde_json::from_str(said.trim()).unwrap();
    assert_eq!((&said["event"], &said["by"]), (&"loss_acknowledged".into(), &"ada".into()));
    assert_eq!(said["what"]["seen"], "2026-11-25T10:00:00.000Z");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Bytes that no newline closes: what a crash leaves, and never what a chain that had ended does.
    #[test]
    fn a_tail_without_its_end_is_no_break_after_a_crash_alone(
        bytes in prop::collection::vec(any::<u8>().prop_filter("no newline", |byte| *byte != b'\n'), 1..200),
        forged: bool, has_ended: bool, packed: bool,
    ) {
        let dir = Dir::new();
        let mut sink = sink(&dir);
        write(&mut sink, (0..3).map(|day| decided("acme", day, 0)));
        if has_ended { end(&mut sink) } else { sync(&mut sink) }
        if packed {
            compression::compress_before(&dir, &mut sink, 2);
        }
        drop(sink);
        let file = dir.0.join(format!("audit/acme/{}.jsonl", Day::of(time(2))));
        let whole = fs::read(&file).unwrap();
        let tail = if forged { let line = planted(&file); line[whole.len()..line.len() - 1].to_vec() } else { bytes };
        fs::write(&file, [&whole[..], &tail].concat()).unwrap();
        let found = report(&dir);
        let length = tail.len() as u64;
        match found.finding {
            Some(Finding { fault: Fault::PlantedBytes(bytes), place, .. }) if has_ended => {
                prop_assert_eq!((bytes, place), (length, Some((file.clone(), 2))));
            }
            None if !has_ended => prop_assert_eq!(found.torn, length),
            other => prop_assert!(false, "{other:?}"),
        }
        let again = self::sink(&dir);
        let expected = if has_ended {
            Warning::Planted { file: file.clone(), bytes: length }
        } else {
            Warning::Torn { file: file.clone(), bytes: length }
        };
        prop_assert_eq!(&again.warnings, &[expected]);
        prop_assert_eq!(fs::read(&file).unwrap(), whole);
        prop_assert_eq!(fs::read(file.with_extension("jsonl.torn")).unwrap(), tail);
        prop_assert!(report(&dir).finding.is_none());
    }
}
