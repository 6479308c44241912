//! Streams as providers send them, in `golden/NAME`, and what leaves of them. With UPDATE=1 `expected.sse` is
//! written anew. Every stream also obeys the laws of reading: split anywhere, with and without the fast path.

use super::{
    client,
    script::{Reading, Run, Script, once, run},
};
use crate::{dialect::Verdict, sse};
use std::{fs, path::Path};

const GOLDEN: &str = "src/dialect/openai/tests/golden";

/// Every golden stream with its name.
pub(super) fn streams() -> Vec<(String, Vec<u8>)> {
    let mut streams: Vec<_> = fs::read_dir(GOLDEN)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(path.join("input.sse")).unwrap())
        })
        .collect();
    streams.sort();
    assert!(streams.len() > 40, "the golden streams are not where they are looked for");
    streams
}

#[track_caller]
fn check(path: &Path, found: &[u8]) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, found).unwrap();
    }
    let expected = fs::read(path).unwrap_or_default();
    let found_text = String::from_utf8_lossy(found);
    assert!(expected == found, "{} differs; it should be:\n{found_text}", path.display());
}

#[test]
fn golden_streams_leave_as_expected() {
    for (name, input) in streams() {
        check(&Path::new(GOLDEN).join(&name).join("expected.sse"), &once(&input).out);
    }
}

#[test]
fn every_split_reads_the_same() {
    for (name, input) in streams() {
        let whole = once(&input);
        for at in 0..=input.len() {
            let (first, second) = input.split_at(at);
            let split = run([first, second], Script::default(), Reading::Plain);
            assert_eq!(split, whole, "{name} split at {at}");
        }
        let bytes = run(input.chunks(1), Script::default(), Reading::Plain);
        assert_eq!(bytes, whole, "{name} byte by byte");
    }
}

/// The events of a stream, each with its blank line, and what is left.
pub(super) fn events(input: &[u8]) -> Vec<&[u8]> {
    let mut events = Vec::new();
    let mut rest = input;
    while let Some(sse::Boundary { end }) = sse::boundary(rest) {
        let (event, after) = rest.split_at(end);
        events.push(event);
        rest = after;
    }
    events.push(rest);
    events
}

/// The same stream read with and without what it learns of its events.
pub(super) fn both_ways(input: &[u8]) -> [Run; 2] {
    [Reading::Plain, Reading::Forgetful].map(|reading| run(events(input), Script::default(), reading))
}

#[test]
fn the_fast_path_reads_what_the_slow_one_reads() {
    for (name, input) in streams() {
        let [fast, slow] = both_ways(&input);
        assert_eq!(fast, slow, "{name}");
        assert_eq!(fast, once(&input), "{name} in one piece");
    }
}

#[test]
fn events_that_almost_look_the_same_take_no_wrong_path() {
    let (_, text) = streams().into_iter().find(|(name, _)| name == "text").unwrap();
    let events = events(&text);
    let (learnt, near) = (events[1], events[2]);
    for at in 0..near.len() {
        for byte in [b'"', b'\\', b'}', b'{', b',', b'x', b'\n', b'\r', b' ', b'1', 0, 0x80] {
            let mut changed = near.to_vec();
            changed[at] = byte;
            let input = [events[0], learnt, &changed, events[3], events[5], events[6]].concat();
            let [fast, slow] = both_ways(&input);
            assert_eq!(fast, slow, "byte {byte:#x} at {at}: {}", String::from_utf8_lossy(&changed));
            assert_eq!(fast, once(&input), "byte {byte:#x} at {at}, in one piece");
        }
    }
}

#[test]
fn a_stream_that_stops_anywhere_releases_nothing_unjudged_and_ends_in_an_error() {
    for (name, input) in streams() {
        for at in 0..input.len() {
            let run = once(&input[..at]);
            let seen = client::read_stream(&run.out);
            super::mutations::only_released_calls(&run, &seen);
            let finished =
                !seen.messages.is_empty() && seen.messages.values().all(|message| message.finish.is_some());
            assert!(
                seen.done || seen.error.is_some() || finished,
                "{name} cut at {at} ends as if it were whole: {}",
                String::from_utf8_lossy(&run.out)
            );
            assert_eq!(run.failed.is_some(), seen.error.is_some(), "{name} cut at {at}");
        }
    }
}

#[test]
fn any_of_parallel_calls_can_be_taken_out() {
    let (_, input) = streams().into_iter().find(|(name, _)| name == "three_calls").unwrap();
    let input = String::from_utf8(input).unwrap().replace("delete_b", "get_b").into_bytes();
    let all = [("get_a", "call_a", "aaa1"), ("get_b", "call_b", "bbb1"), ("get_c", "call_c", "ccc1")];
    for subset in 0..8_usize {
        let is_removed = |at: &usize| subset & (1 << at) != 0;
        let (removed, kept): (Vec<usize>, Vec<usize>) = (0..3).partition(is_removed);
        let names: Vec<&str> = removed.iter().map(|&at| all[at].0).collect();
        let run = run([&*input], Script::removing(&names), Reading::Plain);
        let text = String::from_utf8(run.out.clone()).unwrap();
        let seen = client::read_stream(&run.out);
        let message = &seen.messages[&0];
        let expected: Vec<_> = kept
            .iter()
            .map(|&at| (all[at].0, format!(r#"{{"v":"{}"}}"#, all[at].2), Some(all[at].1.to_owned())))
            .collect();
        let found: Vec<_> =
            message.calls.iter().map(|call| (&*call.name, call.input.clone(), call.id.clone())).collect();
        assert_eq!(found, expected, "without {names:?}");
        for at in removed {
            let (name, id, canary) = all[at];
            assert!(!text.contains(id) && !text.contains(canary), "{name} is in {text}");
            assert!(message.content.contains(&format!("`{name}`")), "{name} is not told of");
        }
        let finish = if kept.is_empty() { "stop" } else { "tool_calls" };
        assert_eq!(message.finish.as_deref(), Some(finish), "without {names:?}");
        assert!(run.log.iter().all(|ruling| ruling.verdict.is_some()));
        assert!(!run.log.iter().any(|ruling| matches!(ruling.verdict, Some(Verdict::Abort(_)))));
    }
}
