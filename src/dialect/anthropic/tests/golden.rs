//! The golden streams of Messages: what leaves of them, how they are read, and what a cut does.

use super::{GOLDEN, Keys, Run, client, only_released, script};
use crate::dialect::{
    Api,
    tests::{
        golden::{events, no_byte_takes_a_wrong_path, regular},
        script::Script,
    },
};
use serde_json::Value;

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
    let near = 3;
    assert!(events[near].starts_with(b"event: content_block_delta\n"));
    no_byte_takes_a_wrong_path(Api::Messages, &events, near);
}

/// Whether what left ends as the dialect ends a stream: by its last event or by its error event.
#[track_caller]
fn ends(run: &Run, what: &str) {
    let seen = client::read_stream(&run.out, Keys::Exact);
    assert!(seen.done || seen.error.is_some(), "{what} ends as if it were whole: {run:?}");
    assert_eq!(run.failed.is_some(), seen.error.is_some(), "{what}");
    assert!(!run.text().contains("[DONE]"), "{what}");
}

#[test]
fn a_stream_that_stops_anywhere_releases_nothing_unjudged_and_ends_in_an_error() {
    for golden in GOLDEN.all() {
        let mut before = None;
        for at in golden.places() {
            let run = golden.cut(at);
            if before.replace(run.clone()).as_ref() == Some(&run) {
                continue;
            }
            only_released(&run);
            ends(&run, &format!("{} cut at {at}", golden.name));
        }
    }
}

/// What marks the inside of calls that no client may see.
#[test]
fn nothing_of_a_denied_call_leaves() {
    for golden in GOLDEN.all() {
        assert!(!golden.run().text().contains("canary"), "{}", golden.name);
    }
    let with = GOLDEN.all().iter().filter(|golden| golden.input.windows(6).any(|at| at == b"canary")).count();
    assert!(with > 15, "{with} streams have something to hide");
}

#[test]
fn any_of_parallel_calls_can_be_taken_out() {
    let input = String::from_utf8(GOLDEN.named("three_calls").input).unwrap().replace("delete_b", "get_b");
    let all = [
        ("get_a", "toolu_get_a", "aaa1"),
        ("get_b", "toolu_get_b", "bbb1"),
        ("get_c", "toolu_get_c", "ccc1"),
    ];
    for subset in 0..8_usize {
        let removed: Vec<usize> = (0..3).filter(|at| subset & (1 << at) != 0).collect();
        let names: Vec<&str> = removed.iter().map(|&at| all[at].0).collect();
        let script = Script::removing(&names);
        let run = script::run(Api::Messages, [input.as_bytes()], script, script::Reading::Plain);
        let seen = client::read_stream(&run.out, Keys::Exact);
        assert_eq!(seen.blocks.len(), 3);
        for (at, (name, id, canary)) in all.into_iter().enumerate() {
            let block = &seen.blocks[at];
            if removed.contains(&at) {
                let notice =
                    serde_json::json!({ "type": "text", "text": crate::dialect::notice(name, "not here") });
                assert_eq!(block.value, notice, "without {names:?}");
                assert!(!run.text().contains(id) && !run.text().contains(canary), "{name} is in {run:?}");
            } else {
                let expected = serde_json::json!({ "type": "tool_use", "id": id, "name": name, "input": {} });
                assert_eq!(block.value, expected, "without {names:?}");
                assert_eq!(block.json, format!(r#"{{"v":"{canary}"}}"#), "without {names:?}");
            }
        }
        let stop = if removed.len() == 3 { "end_turn" } else { "tool_use" };
        assert_eq!(seen.stop.as_deref(), Some(stop), "without {names:?}");
    }
}

/// Streams of which a whole answer does not say everything: a block that did not stop, an input told twice.
const SAYS_MORE: [&str; 2] = ["input_twice", "max_tokens_without_block_stop"];

#[test]
fn a_stream_put_together_is_the_whole_answer_judged() {
    let mut compared = 0;
    for golden in GOLDEN.all() {
        let streamed = golden.run();
        if streamed.failed.is_some() || SAYS_MORE.contains(&&*golden.name) {
            continue;
        }
        // What a client without a gateway puts together is the whole answer.
        let Some(mut upstream) = from_upstream(&golden.input) else { continue };
        upstream["id"] = "msg_1".into();
        let whole = script::whole(Api::Messages, upstream.to_string().as_bytes(), golden.script.clone());
        assert_eq!(whole.failed, None, "{}", golden.name);
        let (whole_seen, seen) =
            (client::read_whole(&whole.out), client::read_stream(&streamed.out, Keys::Exact));
        assert_eq!(seen.whole(), whole_seen.whole(), "{}", golden.name);
        assert_eq!(streamed.usage, whole.usage, "{}", golden.name);
        // A block is judged when it stops, in a whole answer one after the other.
        let verdicts = |run: &Run| {
            let mut found: Vec<String> =
                run.log.iter().map(|ruling| format!("{} {:?}", ruling.tool, ruling.verdict)).collect();
            found.sort();
            found
        };
        assert_eq!(verdicts(&streamed), verdicts(&whole), "{}", golden.name);
        compared += 1;
    }
    assert!(compared > 20, "{compared} streams were compared");
}

/// The message that a client holds of a stream as it came; nothing where that is no message.
pub(super) fn from_upstream(input: &[u8]) -> Option<Value> {
    let stream = regular(input, "message_stop")?;
    let seen = client::read_stream(stream.as_bytes(), Keys::Exact);
    let whole = seen.whole();
    (seen.done && whole["content"].is_array()).then_some(whole)
}
