//! Reading back: whatever the files, the bounds and the filter, every wanted line once and in its order.

use super::*;
use proptest::prelude::*;
use std::{fs, io::Write};

fn line(time: u32, id: u32, padding: usize) -> String {
    let (minutes, seconds) = (time / 60 % 60, time % 60);
    let padding = "x".repeat(padding);
    format!("{{\"time\":\"2026-11-25T10:{minutes:02}:{seconds:02}.000Z\",\"id\":{id},\"pad\":\"{padding}\"}}")
}

fn id(text: &[u8]) -> u64 {
    serde_json::from_slice::<serde_json::Value>(text).unwrap()["id"].as_u64().unwrap()
}

fn recent(dir: &Path) -> Recent {
    Recent::new(dir, &"acme".try_into().unwrap(), &Kind::ALL)
}

fn write(dir: &Path, kind: Kind, day: usize, text: &str) {
    let dir = dir.join(kind.as_str()).join("acme");
    fs::create_dir_all(&dir).unwrap();
    let path = dir.join(format!("2026-11-{:02}.jsonl", 20 + day));
    let before = fs::read_to_string(&path).unwrap_or_default();
    fs::write(path, before + text).unwrap();
}

/// Compresses the days that are over, or all.
fn compress(dir: &Path, all: bool) {
    for kind in Kind::ALL {
        let dir = dir.join(kind.as_str()).join("acme");
        let mut plain: Vec<_> =
            fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
        plain.sort();
        plain.truncate(if all { plain.len() } else { plain.len().saturating_sub(1) });
        for path in plain.iter().filter(|path| path.extension().unwrap() == "jsonl") {
            let file = File::create(path.with_extension("jsonl.gz")).unwrap();
            let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
            encoder.write_all(&fs::read(path).unwrap()).unwrap();
            encoder.finish().unwrap();
            fs::remove_file(path).unwrap();
        }
    }
}

/// What one stream has, by day: times that only grow, paddings.
type Days = Vec<Vec<(u32, usize)>>;

fn days_of_lines() -> impl Strategy<Value = Days> {
    let padding = prop_oneof![9 => 0..200_usize, 1 => Just(70_000), 1 => 65_400..65_700_usize];
    prop::collection::vec(prop::collection::vec((0..3600_u32, padding), 0..12), 0..4)
}

/// Writes both streams, and gives each line's number in the order that its stream has.
fn lay(dir: &Path, streams: &[Days; 2], torn: bool) -> [Vec<u64>; 2] {
    let mut numbers = 0;
    let mut laid = [Vec::new(), Vec::new()];
    for ((kind, days), laid) in Kind::ALL.into_iter().zip(streams).zip(&mut laid) {
        for (day, lines) in days.iter().enumerate() {
            let mut text = String::new();
            for (time, padding) in lines {
                text += &line(*time, numbers, *padding);
                text.push('\n');
                laid.push(u64::from(numbers));
                numbers += 1;
            }
            if torn {
                text += "{\"time\":\"2026";
            }
            write(dir, kind, day, &text);
        }
    }
    laid
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn pages_hold_every_wanted_line_once_and_in_order(
        audit in days_of_lines(), log in days_of_lines(), lines in 1..7_usize, taken in 1..100_000_usize,
        read in 1..200_000_u64, every in 1..4_u64, torn: bool, packed in 0..3_u8
    ) {
        let dir = tempfile::tempdir().unwrap();
        let laid = lay(dir.path(), &[audit, log], torn && packed == 0);
        if packed > 0 {
            compress(dir.path(), packed == 2);
        }
        let bounds = Bounds { lines, taken_bytes: taken, read_bytes: read };
        let mut judge = |_: Kind, text: &[u8]| if id(text).is_multiple_of(every) { Verdict::Take } else { Verdict::Skip };
        let (mut from, mut found, mut pages) = (None, [Vec::new(), Vec::new()], 0);
        loop {
            let part = recent(dir.path()).older(from, bounds, &mut judge).unwrap();
            prop_assert!(part.lines.len() <= lines);
            for line in &part.lines {
                let at = usize::from(line.kind == Kind::Log);
                found[at].push(id(&line.text));
                let again = recent(dir.path()).line(line.kind, line.at).unwrap();
                prop_assert_eq!(again.as_deref(), Some(line.text.as_slice()));
            }
            let Some(older) = part.older else { break };
            prop_assert_eq!(Cursor::parse(&older.to_string()), Some(older));
            prop_assert_ne!(Some(older), from, "no step further");
            from = Some(older);
            pages += 1;
            prop_assert!(pages < 500);
        }
        for (found, mut laid) in found.into_iter().zip(laid) {
            laid.reverse();
            laid.retain(|id| id % every == 0);
            prop_assert_eq!(found, laid);
        }
    }

    #[test]
    fn what_came_since_is_all_that_came_since(
        before in days_of_lines(), after in days_of_lines(), lines in 1..7_usize, read in 1..200_000_u64, packed in 0..3_u8
    ) {
        let dir = tempfile::tempdir().unwrap();
        lay(dir.path(), &[before.clone(), before], false);
        if packed > 0 {
            compress(dir.path(), packed == 2);
        }
        let mut from = recent(dir.path()).end().unwrap();
        // Later days, and more of the last one.
        for kind in Kind::ALL {
            for (day, lines) in after.iter().enumerate() {
                for (number, (time, padding)) in lines.iter().enumerate() {
                    let number = 1_000 + u32::try_from(100 * day + number).unwrap();
                    write(dir.path(), kind, 3 + day, &(line(*time, number, *padding) + "\n"));
                }
            }
        }
        if packed > 0 {
            compress(dir.path(), packed == 2);
        }
        let bounds = Bounds { lines, taken_bytes: usize::MAX, read_bytes: read };
        let mut found = [Vec::new(), Vec::new()];
        for _ in 0..200 {
            let part = recent(dir.path()).newer(from, bounds, &mut |_, _| Verdict::Take).unwrap();
            for line in part.lines.iter().rev() {
                found[usize::from(line.kind == Kind::Log)].push(id(&line.text));
            }
            if part.newer == from {
                break;
            }
            from = part.newer;
        }
        let mut expected: Vec<u64> = Vec::new();
        for (day, lines) in after.iter().enumerate() {
            expected.extend((0..lines.len()).map(|number| u64::try_from(1_000 + 100 * day + number).unwrap()));
        }
        for mut found in found {
            found.sort_unstable();
            prop_assert_eq!(&found, &expected);
        }
    }

    #[test]
    fn no_text_and_no_place_is_a_panic(text: String, offset: u64, day in 0..4_u32) {
        prop_assert!(Cursor::parse(&text).is_none_or(|cursor| cursor.to_string() == text));
        let dir = tempfile::tempdir().unwrap();
        lay(dir.path(), &[vec![vec![(1, 3), (2, 70_000)]], vec![vec![(1, 0)]]], true);
        let day = Day::parse(&format!("2026-11-{:02}", 20 + day)).unwrap();
        let place = Position { day, offset: offset % 80_000 };
        let at = Some(place);
        let bounds = Bounds { lines: 9, taken_bytes: usize::MAX, read_bytes: u64::MAX };
        let from = Cursor { audit: at, log: at };
        let recent = recent(dir.path());
        drop(recent.older(Some(from), bounds, &mut |_, _| Verdict::Take).unwrap());
        drop(recent.newer(from, bounds, &mut |_, _| Verdict::Take).unwrap());
        drop(recent.line(Kind::Audit, place).unwrap());
    }
}

#[test]
fn streams_are_merged_by_time_and_end_where_they_are_told_to() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), Kind::Audit, 0, &format!("{}\n{}\n", line(1, 1, 0), line(30, 2, 0)));
    write(dir.path(), Kind::Log, 0, &format!("{}\n{}\n", line(20, 3, 0), line(40, 4, 0)));
    let bounds = Bounds { lines: 9, taken_bytes: usize::MAX, read_bytes: u64::MAX };
    let ids = |judge: &mut Judge<'_>| {
        let part = recent(dir.path()).older(None, bounds, judge).unwrap();
        assert_eq!(part.older, None);
        part.lines.iter().map(|line| id(&line.text)).collect::<Vec<_>>()
    };
    assert_eq!(ids(&mut |_, _| Verdict::Take), [4, 2, 3, 1]);
    let since = b"2026-11-25T10:00:20.000Z".as_slice();
    let mut judge = |_: Kind, text: &[u8]| if time_of(text) < since { Verdict::End } else { Verdict::Take };
    assert_eq!(ids(&mut judge), [4, 2, 3]);
    let none = Recent::new(dir.path(), &"globex".try_into().unwrap(), &Kind::ALL);
    assert_eq!(none.older(None, bounds, &mut |_, _| Verdict::Take).unwrap(), Part::default());
}

#[test]
fn a_place_that_is_none_is_refused() {
    for text in [
        "",
        "_",
        "-_",
        "2026-11-25.1",
        "2026-11-25.1_x",
        "2026-11-25._-",
        "2026-11-25.+1_-",
        "2026-13-25.1_-",
        "../x.1_-",
    ] {
        assert_eq!(Cursor::parse(text), None, "{text}");
    }
    assert_eq!(Cursor::parse("-_-"), Some(Cursor::default()));
}
