//! The golden streams of Chat Completions: what leaves of them, how they are read, and what a cut does.

use super::{GOLDEN, Script, client, run};
use crate::dialect::{
    Api, Verdict,
    tests::golden::{events, no_byte_takes_a_wrong_path},
};

#[test]
fn golden_streams_leave_as_expected() {
    GOLDEN.leave_as_expected();
}

#[test]
fn every_split_reads_the_same() {
    GOLDEN.read_the_same_however_they_are_split();
}

#[test]
fn the_fast_path_reads_what_the_slow_one_reads() {
    GOLDEN.read_the_same_fast_and_slow();
}

#[test]
fn events_that_almost_look_the_same_take_no_wrong_path() {
    let text = GOLDEN.named("text").input;
    let events = events(&text);
    let input = [events[0], events[1], events[2], events[3], events[5], events[6]];
    no_byte_takes_a_wrong_path(Api::Chat, &input, 2);
}

#[test]
fn a_stream_that_stops_anywhere_releases_nothing_unjudged_and_ends_in_an_error() {
    for golden in GOLDEN.all() {
        let name = &golden.name;
        for at in 0..golden.input.len() {
            let run = golden.cut(at);
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
    let input = String::from_utf8(GOLDEN.named("three_calls").input)
        .unwrap()
        .replace("delete_b", "get_b")
        .into_bytes();
    let all = [("get_a", "call_a", "aaa1"), ("get_b", "call_b", "bbb1"), ("get_c", "call_c", "ccc1")];
    for subset in 0..8_usize {
        let is_removed = |at: &usize| subset & (1 << at) != 0;
        let (removed, kept): (Vec<usize>, Vec<usize>) = (0..3).partition(is_removed);
        let names: Vec<&str> = removed.iter().map(|&at| all[at].0).collect();
        let run = run([&*input], Script::removing(&names));
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
