//! Whatever an upstream sends, and however broken it is: no panic, and a client never puts a call together that
//! the judge did not release.

use super::{
    client::{self, Seen},
    golden,
    script::{Run, once},
};
use proptest::prelude::*;
use std::sync::LazyLock;

static STREAMS: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(golden::streams);

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
    let [fast, slow] = golden::both_ways(input);
    assert_eq!(fast, slow);
    assert_eq!(fast, run);
}

/// One change of a stream.
#[derive(Debug, Clone)]
enum Change {
    Byte {
        at: usize,
        byte: u8,
    },
    Cut {
        at: usize,
        len: usize,
    },
    /// A run of another stream is put in.
    Splice {
        at: usize,
        stream: usize,
        from: usize,
        len: usize,
    },
    /// A whole event comes again somewhere else.
    Event {
        at: usize,
        from: usize,
    },
    /// A whole event of another stream comes in between.
    Foreign {
        at: usize,
        stream: usize,
        from: usize,
    },
}

fn changes() -> impl Strategy<Value = Change> {
    let anywhere = || any::<usize>();
    let byte = prop_oneof![prop::sample::select(&b"\"\\{}[]:,0 \n\rn"[..]), any::<u8>()];
    prop_oneof![
        3 => (anywhere(), byte).prop_map(|(at, byte)| Change::Byte { at, byte }),
        1 => (anywhere(), 0..40_usize).prop_map(|(at, len)| Change::Cut { at, len }),
        1 => (anywhere(), anywhere(), anywhere(), 0..80_usize)
            .prop_map(|(at, stream, from, len)| Change::Splice { at, stream, from, len }),
        4 => (anywhere(), anywhere()).prop_map(|(at, from)| Change::Event { at, from }),
        4 => (anywhere(), anywhere(), anywhere()).prop_map(|(at, stream, from)| Change::Foreign { at, stream, from }),
    ]
}

fn place(any: usize, len: usize) -> usize {
    any % len.max(1)
}

fn apply(input: &mut Vec<u8>, change: &Change) {
    match *change {
        Change::Byte { at, byte } => {
            let at = place(at, input.len());
            if let Some(old) = input.get_mut(at) {
                *old = byte;
            }
        }
        Change::Cut { at, len } => {
            let at = place(at, input.len());
            input.drain(at..(at + len).min(input.len()));
        }
        Change::Splice { at, stream, from, len } => {
            let other = &STREAMS[place(stream, STREAMS.len())].1;
            let from = place(from, other.len());
            let at = place(at, input.len());
            input.splice(at..at, other[from..(from + len).min(other.len())].iter().copied());
        }
        Change::Event { at, from } => {
            let own = input.clone();
            insert(input, at, &own, from);
        }
        Change::Foreign { at, stream, from } => {
            insert(input, at, &STREAMS[place(stream, STREAMS.len())].1, from);
        }
    }
}

/// Puts an event of `other` between two events.
fn insert(input: &mut Vec<u8>, at: usize, other: &[u8], from: usize) {
    let theirs = golden::events(other);
    let event = theirs[place(from, theirs.len())];
    let own = golden::events(input);
    let start = own.iter().take(place(at, own.len())).map(|event| event.len()).sum::<usize>();
    input.splice(start..start, event.iter().copied());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_changed_stream_releases_nothing_unjudged(
        stream in any::<usize>(), changes in prop::collection::vec(changes(), 1..6)
    ) {
        let mut input = STREAMS[place(stream, STREAMS.len())].1.clone();
        for change in &changes {
            apply(&mut input, change);
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
