//! Day files from before what retention kept: none is a record any more, whatever it holds.

use super::{compression::compress_before, *};
use proptest::prelude::*;
use std::io::Write as _;

/// What somebody puts in the place of a day that was removed.
#[derive(Debug, Clone)]
enum Put {
    /// The very file that was there.
    Back,
    /// That file, with a record changed.
    Changed,
    Bytes(Vec<u8>),
}

fn put() -> impl Strategy<Value = Put> {
    prop_oneof![
        Just(Put::Back),
        Just(Put::Changed),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Put::Bytes),
    ]
}

fn day_file(dir: &Dir, day: u64) -> PathBuf {
    dir.0.join(format!("audit/acme/{}.jsonl", Day::of(time(day))))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Days 0 to 5, a record each, and what was in the files of the first four.
fn six_days(dir: &Dir) -> Vec<Vec<u8>> {
    chain(dir, &[0, 1, 2, 3, 4, 5]);
    (0..4).map(|day| fs::read(day_file(dir, day)).unwrap()).collect()
}

/// The warnings of a start and its retention.
fn started(dir: &Dir, day: u64) -> Vec<Warning> {
    let mut sink = sink(dir);
    drop(sink.prune(time(day), Day::of(time(day))));
    let warnings = std::mem::take(&mut sink.warnings).into_iter();
    warnings.filter(|warning| !matches!(warning, Warning::Removed { .. })).collect()
}

fn shown(dir: &Dir) -> usize {
    audit_files(&dir.0).unwrap().len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_lies_before_the_first_day_kept_is_found_shown_nowhere_and_left_alone(put in put(), day in 0_u64..4, packed: bool) {
        let dir = Dir::new();
        let was = six_days(&dir);
        prop_assert_eq!(started(&dir, 369), vec![]);
        prop_assert!(report(&dir).finding.is_none());
        prop_assert_eq!(shown(&dir), 2);
        let text = match put {
            Put::Back => was[usize::try_from(day).unwrap()].clone(),
            Put::Changed => String::from_utf8(was[usize::try_from(day).unwrap()].clone()).unwrap().replace("deny", "allow").into(),
            Put::Bytes(bytes) => bytes,
        };
        let (file, bytes) = if packed {
            (day_file::compressed(&day_file(&dir, day)), gzip(&text))
        } else {
            (day_file(&dir, day), text)
        };
        fs::write(&file, &bytes).unwrap();
        for retain_day in [369, 100] {
            let found = report(&dir).finding.unwrap();
            prop_assert!(matches!(found.fault, Fault::Stranger), "{found}");
            prop_assert_eq!(found.place, Some((file.clone(), 1)));
            let without = verified(&dir.0, false).unwrap();
            prop_assert!(!without.is_whole());
            // The records that are kept, and no other; also for a person who looks at them.
            prop_assert_eq!(shown(&dir), 2);
            prop_assert!(!audit_files(&dir.0).unwrap().contains(&file));
            let warned = started(&dir, retain_day);
            prop_assert_eq!(warned, vec![Warning::Stranger { tenant: "acme".into(), file: file.clone() }]);
            let mut sink = sink(&dir);
            prop_assert_eq!(compress_before(&dir, &mut sink, 3), None);
            prop_assert_eq!(&fs::read(&file).unwrap(), &bytes);
        }
        // Retention goes on, and still leaves it.
        started(&dir, 370);
        prop_assert_eq!(&fs::read(&file).unwrap(), &bytes);
        prop_assert!(report(&dir).finding.is_some());
        fs::remove_file(&file).unwrap();
        let found = report(&dir);
        prop_assert!(found.finding.is_none());
        prop_assert_eq!((found.removed, found.records), (5, 1));
    }

    /// A removal that stops at any day is no break: what is left is the chain's, and nothing else is.
    #[test]
    fn a_removal_that_was_interrupted_is_whole_and_goes_on(stuck in 0_u64..4, packed in 0_u64..4, put in put(), at in 0_u64..4) {
        let dir = Dir::new();
        six_days(&dir);
        let mut sink = sink(&dir);
        compress_before(&dir, &mut sink, packed);
        drop(sink);
        // It cannot be removed as a file can.
        let beside = day_file(&dir, stuck).with_extension("jsonl.beside");
        fs::create_dir(&beside).unwrap();
        started(&dir, 369);
        let found = report(&dir);
        let left = usize::try_from(4 - stuck).unwrap();
        prop_assert!(found.finding.is_none(), "{:?}", found);
        prop_assert_eq!((found.removed, found.records, found.left), (4, 2, left));
        prop_assert_eq!(shown(&dir), 2);
        // Of days that are left or gone, what is put there now is not.
        let file = there(&dir, at);
        let before = fs::read(&file).ok();
        let forged = match put {
            Put::Back | Put::Changed => b"{\"decision\":\"allow\"}\n".to_vec(),
            Put::Bytes(bytes) => [bytes, b"x\n".to_vec()].concat(),
        };
        fs::write(&file, forged).unwrap();
        let found = report(&dir).finding.unwrap();
        prop_assert!(matches!(found.fault, Fault::Stranger), "{found}");
        match before {
            Some(bytes) => fs::write(&file, bytes).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        fs::remove_dir(&beside).unwrap();
        prop_assert_eq!(started(&dir, 369), vec![]);
        let found = report(&dir);
        prop_assert!(found.finding.is_none(), "{:?}", found);
        prop_assert_eq!((found.removed, found.records, found.left), (4, 2, 0));
        prop_assert_eq!(files(&dir.0.join("audit/acme")).len(), 2);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Retention went by a clock that was ahead, and the clock was set right: what is written from then on is the chain's,
    /// with a restart or without.
    #[test]
    fn what_is_written_on_days_before_the_base_is_whole(ahead in 366_u64..400, days in prop::collection::vec((0..40_u64, any::<bool>()), 1..6)) {
        let dir = Dir::new();
        six_days(&dir);
        let mut open = sink(&dir);
        open.prune(time(ahead), Day::of(time(ahead))).unwrap();
        let kept = report(&dir).records;
        for (id, (day, is_start)) in days.iter().enumerate() {
            if *is_start {
                drop(open);
                open = sink(&dir);
            }
            write(&mut open, [decided("acme", *day, 10 + id)]);
            sync(&mut open);
            let found = report(&dir);
            prop_assert!(found.finding.is_none(), "{:?}", found);
            prop_assert_eq!(found.records, kept + id as u64 + 1);
        }
    }
}

fn there(dir: &Dir, day: u64) -> PathBuf {
    let plain = day_file(dir, day);
    let packed = day_file::compressed(&plain);
    if packed.exists() { packed } else { plain }
}

#[test]
fn a_person_who_looks_does_not_see_it() {
    let dir = Dir::new();
    let was = six_days(&dir);
    started(&dir, 369);
    fs::write(day_file(&dir, 1), &was[1]).unwrap();
    let tenant = crate::names::TenantId::try_from("acme").unwrap();
    let recent = recent::Recent::new(&dir.0, &tenant, &[recent::Kind::Audit]);
    let mut seen = 0;
    let bounds = recent::Bounds { lines: 100, taken_bytes: 1 << 20, read_bytes: 1 << 20 };
    let mut judge = |_: recent::Kind, _: &[u8]| {
        seen += 1;
        recent::Verdict::Take
    };
    recent.older(None, bounds, &mut judge).unwrap();
    assert_eq!(seen, 2);
}
