//! Whatever an upstream sends, and however broken it is: no panic, and a client never puts a call together that
//! the judge did not release.

use super::{
    GOLDEN, Run,
    client::{self, Seen},
    fast_and_slow, once,
};
use crate::dialect::tests::mutate::{apply, changes, place};
use proptest::prelude::*;
use std::sync::LazyLock;

static STREAMS: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| GOLDEN.all().into_iter().map(|golden| golden.input).collect());

/// Every call that the client sees was released by the judge, with this name and this text, and as often.
#[track_caller]
pub(super) fn only_released_calls(run: &Run, seen: &Seen) {
    let mut released: Vec<(&str, &str)> =
        run.log.iter().filter_map(|ruling| Some((&*ruling.tool, ruling.released()?))).collect();
    for (name, text) in seen.calls() {
        let same = |&(tool, arguments): &(&str, &str)| tool == name && (arguments == text || is_input(text));
        let at = released.iter().position(same);
        let at = at.unwrap_or_else(|| panic!("{name} {text} was not released: {:#?}", run.log));
        released.remove(at);
    }
}

/// A rewritten custom call carries the forced `input` alone.
fn is_input(text: &str) -> bool {
    text == "forced"
}

#[track_caller]
fn check(input: &[u8]) {
    let run = once(input);
    let seen = client::read_stream(&run.out);
    only_released_calls(&run, &seen);
    let [fast, slow] = fast_and_slow(input);
    assert_eq!(fast, slow);
    assert_eq!(fast, run);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_changed_stream_releases_nothing_unjudged(
        stream in any::<usize>(), changes in prop::collection::vec(changes(), 1..6)
    ) {
        let mut input = STREAMS[place(stream, STREAMS.len())].clone();
        for change in &changes {
            apply(&mut input, change, &STREAMS);
        }
        check(&input);
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&bytes);
    }

    #[test]
    fn arbitrary_events_do_no_harm(
        deltas in prop::collection::vec(delta(), 1..8), finish in prop::option::of("[a-z_]{1,4}")
    ) {
        let last = finish.map(|finish| {
            format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"{finish}\"}}]}}\n\n")
        });
        let events: String = deltas.iter().map(|delta| format!("data: {delta}\n\n")).chain(last).collect();
        check(events.as_bytes());
    }
}

/// A chunk with a call of any mixture of members, of any type.
fn delta() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::{Value, json};
    let text = || prop_oneof![Just(""), Just("get_a"), Just("delete_b"), Just("{\"x\":1}"), Just("{")];
    let odd = || {
        prop_oneof![
            6 => text().prop_map(|text| json!(text)),
            1 => Just(Value::Null),
            1 => (0..3_u64).prop_map(|number| json!(number)),
            1 => Just(json!({ "name": "get_c" })),
            1 => Just(json!([])),
        ]
    };
    let part = (odd(), odd(), odd())
        .prop_map(|(name, text, input)| json!({ "name": name, "arguments": text, "input": input }));
    let part = prop_oneof![5 => part, 1 => odd()];
    let key = |key: &'static str| Just(key.to_owned());
    let call = prop::collection::btree_map(
        prop_oneof![
            3 => key("index"), 2 => key("id"), 1 => key("type"), 6 => key("function"), 1 => key("custom"),
            1 => key("extra"),
        ],
        prop_oneof![3 => part, 2 => (0..3_u64).prop_map(|index| json!(index)), 1 => odd()],
        0..5,
    )
    .prop_map(|members| json!(members));
    let calls =
        prop_oneof![4 => prop::collection::vec(call.clone(), 0..3).prop_map(|calls| json!(calls)), 1 => call];
    let finish =
        prop_oneof![4 => Just(Value::Null), 1 => Just(json!("tool_calls")), 1 => Just(json!("stop"))];
    let place = prop_oneof![8 => key("tool_calls"), 3 => key("function_call"), 3 => key("content"), 1 => key("Tool_calls")];
    (prop::collection::btree_map(place, prop_oneof![4 => calls, 1 => odd()], 1..3), finish, 0..3_u64).prop_map(
        |(delta, finish, index)| {
            json!({ "choices": [{ "index": index / 2, "delta": delta, "finish_reason": finish }] })
        },
    )
}
