//! Whatever an upstream sends, and however broken it is: no panic, and no client puts a call together that the judge
//! did not release, nor sees anything of one.

use super::{GOLDEN, Run, client, golden::from_upstream, only_released, script, were_released};
use crate::dialect::{
    Api,
    tests::{
        golden::{Golden, both_ways},
        mutate::{apply, changes, place},
        script::Script,
        twist::{HIDDEN, Twist, Words, twist, twist_whole, twists},
        wire::folded,
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;

static STREAMS: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| GOLDEN.all().into_iter().map(|golden| golden.input).collect());

/// The messages that a client holds of the streams.
static BODIES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let whole = |golden: Golden| from_upstream(&golden.input).map(|message| message.to_string());
    GOLDEN.all().into_iter().filter(|golden| golden.run().failed.is_none()).filter_map(whole).collect()
});

const WORDS: Words = Words {
    kinds: &[
        "text",
        "thinking",
        "tool_use",
        "server_tool_use",
        "mcp_tool_use",
        "web_search_tool_result",
        "tool_result",
        "text_delta",
        "input_json_delta",
        "thinking_delta",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_start",
        "message_delta",
        "message_stop",
        "ping",
        "error",
        "new_tool_use",
        "note",
    ],
    call: r#"{"type":"tool_use","id":"hidden7","name":"delete_hidden","input":{"v":"hidden7"}}"#,
};

/// What was hidden leaves only in what was released.
#[track_caller]
pub(super) fn hidden_stays(run: &Run) {
    let told = run.log.iter().any(|ruling| ruling.released().is_some_and(|text| text.contains(HIDDEN)));
    assert!(told || !run.text().contains(HIDDEN), "{run:?}");
}

#[track_caller]
fn check(input: &[u8]) {
    let run = script::once(Api::Messages, input);
    only_released(&run);
    let [fast, slow] = both_ways(Api::Messages, input, &Script::default());
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
    fn a_twisted_stream_releases_nothing_unjudged(
        stream in any::<usize>(), twists in prop::collection::vec(twists(), 1..5), change in prop::option::of(changes())
    ) {
        let mut input = STREAMS[place(stream, STREAMS.len())].clone();
        let mut twists = twists;
        twists.sort_by_key(Twist::rank);
        for each in &twists {
            twist(&mut input, each, WORDS);
        }
        hidden_stays(&script::once(Api::Messages, &input));
        if let Some(change) = &change {
            apply(&mut input, change, &STREAMS);
        }
        check(&input);
    }

    #[test]
    fn a_twisted_whole_answer_releases_nothing_unjudged(
        stream in any::<usize>(), twists in prop::collection::vec(twists(), 1..5)
    ) {
        let mut body = BODIES[place(stream, BODIES.len())].clone();
        let mut twists = twists;
        twists.sort_by_key(Twist::rank);
        for each in &twists {
            twist_whole(&mut body, each, WORDS);
        }
        let run = script::whole(Api::Messages, body.as_bytes(), Script::default());
        hidden_stays(&run);
        if run.failed.is_none() {
            let left: Value = serde_json::from_slice(&run.out).unwrap();
            for left in [left.clone(), folded(left)] {
                were_released(&client::read_whole(left.to_string().as_bytes()), &run);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&bytes);
    }

    #[test]
    fn arbitrary_events_do_no_harm(events in prop::collection::vec(event(), 1..14)) {
        check(stream(&events).as_bytes());
    }
}

fn stream(events: &[Value]) -> String {
    let named = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    events.iter().map(named).collect()
}

/// An event of any block, in any order.
fn event() -> impl Strategy<Value = Value> {
    let block = prop::sample::select(vec![
        json!({ "type": "text", "text": "" }),
        json!({ "type": "tool_use", "id": "a", "name": "get_a", "input": {} }),
        json!({ "type": "tool_use", "id": "b", "name": "delete_b", "input": {} }),
        json!({ "type": "tool_use", "id": "c", "name": "set_c", "input": { "v": 1 } }),
        json!({ "type": "tool_use", "id": "d", "input": {} }),
        json!({ "type": "server_tool_use", "id": "e", "name": "web_search", "input": {} }),
        json!({ "type": "server_tool_use", "id": "f", "name": "delete_f", "input": {} }),
        json!({ "type": "web_search_tool_result", "tool_use_id": "f", "content": [] }),
        json!({ "type": "thinking", "thinking": "" }),
    ]);
    let delta = prop::sample::select(vec![
        json!({ "type": "text_delta", "text": "t" }),
        json!({ "type": "input_json_delta", "partial_json": "{\"v\":" }),
        json!({ "type": "input_json_delta", "partial_json": "1}" }),
        json!({ "type": "input_json_delta", "partial_json": "" }),
        json!({ "type": "thinking_delta", "thinking": "t" }),
    ]);
    let at = || 0..4_u64;
    prop_oneof![
        5 => (at(), block).prop_map(|(index, block)| json!({ "type": "content_block_start", "index": index, "content_block": block })),
        5 => (at(), delta).prop_map(|(index, delta)| json!({ "type": "content_block_delta", "index": index, "delta": delta })),
        4 => at().prop_map(|index| json!({ "type": "content_block_stop", "index": index })),
        1 => Just(json!({ "type": "message_start", "message": { "content": [], "usage": { "input_tokens": 1 } } })),
        1 => Just(json!({ "type": "message_delta", "delta": { "stop_reason": "tool_use" }, "usage": { "output_tokens": 1 } })),
        1 => Just(json!({ "type": "message_stop" })),
        1 => Just(json!({ "type": "ping" })),
    ]
}
