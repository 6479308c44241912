//! Whatever an upstream sends, and however broken it is: no panic, and no client puts a call together that the judge
//! did not release, nor sees anything of one.

use super::{GOLDEN, Run, only_released, script, were_released};
use crate::dialect::{
    Api,
    tests::{
        golden::regular,
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

/// The responses that end the streams.
static BODIES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let last = |input: &Vec<u8>| {
        let regular = regular(input, "response.completed")?;
        let last = serde_json::from_str::<Value>(regular.rsplit("data: ").next()?).ok()?;
        last.get("response").map(Value::to_string)
    };
    STREAMS.iter().filter_map(last).collect()
});

const WORDS: Words = Words {
    kinds: &[
        "message",
        "reasoning",
        "function_call",
        "custom_tool_call",
        "computer_call",
        "local_shell_call",
        "shell_call",
        "apply_patch_call",
        "mcp_approval_request",
        "mcp_call",
        "web_search_call",
        "delete_call",
        "shell_call_output",
        "function_call_output",
        "output_text",
        "response.output_item.added",
        "response.output_item.done",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.custom_tool_call_input.delta",
        "response.output_text.delta",
        "response.content_part.added",
        "response.created",
        "response.completed",
        "response.incomplete",
        "response.failed",
        "error",
        "note",
    ],
    call: r#"{"type":"function_call","id":"hidden7","call_id":"hidden7","name":"delete_hidden","arguments":"{\"v\":\"hidden7\"}"}"#,
};

/// What was hidden leaves only in what was released.
#[track_caller]
fn hidden_stays(run: &Run) {
    let told = run.log.iter().any(|ruling| ruling.released().is_some_and(|text| text.contains(HIDDEN)));
    assert!(told || !run.text().contains(HIDDEN), "{run:?}");
}

#[track_caller]
fn check(input: &[u8]) {
    let run = script::once(Api::Responses, input);
    only_released(&run);
    let slowly = script::run(Api::Responses, input.chunks(11), Script::default(), script::Reading::Plain);
    assert_eq!(slowly, run);
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
        hidden_stays(&script::once(Api::Responses, &input));
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
        let run = script::whole(Api::Responses, body.as_bytes(), Script::default());
        hidden_stays(&run);
        if run.failed.is_none() {
            let left: Value = serde_json::from_slice(&run.out).unwrap();
            for left in [left.clone(), folded(left)] {
                were_released(left["output"].as_array().unwrap(), &run);
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

fn item() -> impl Strategy<Value = Value> {
    let call = |name: &str, id: &str, arguments: &str| json!({ "type": "function_call", "id": format!("fc_{id}"), "call_id": id, "name": name, "arguments": arguments });
    prop::sample::select(vec![
        json!({ "type": "message", "id": "m", "role": "assistant", "content": [] }),
        call("get_a", "a", ""),
        call("get_a", "a", "{\"v\":1}"),
        call("get_b", "a", "{\"v\":2}"),
        call("delete_b", "b", "{\"v\":3}"),
        call("delete_b", "a", "{\"v\":4}"),
        call("set_c", "c", "{\"v\":5}"),
        json!({ "type": "custom_tool_call", "id": "ct_a", "call_id": "a", "name": "get_a", "input": "{\"v\":6}" }),
        json!({ "type": "computer_call", "call_id": "a", "action": { "v": 7 } }),
        json!({ "type": "web_search_call", "id": "w" }),
        json!({ "type": "delete_call", "id": "w" }),
        json!({ "type": "web_search_call_output", "call_id": "w" }),
        json!({ "type": "function_call", "id": "x" }),
    ])
}

/// An event of any item, in any order.
fn event() -> impl Strategy<Value = Value> {
    let at = || 0..4_u64;
    let text = || prop::sample::select(vec!["{\"v\":", "1}", "", "{\"v\":9}"]);
    let id = || prop::sample::select(vec!["fc_a", "fc_b", "ct_a", "w", "m"]);
    let families = || {
        prop::sample::select(vec![
            ("response.function_call_arguments", "arguments"),
            ("response.custom_tool_call_input", "input"),
            ("response.web_search_call", "x"),
            ("response.output_text", "text"),
        ])
    };
    prop_oneof![
        4 => (at(), item()).prop_map(|(index, item)| json!({ "type": "response.output_item.added", "output_index": index, "item": item })),
        5 => (at(), item()).prop_map(|(index, item)| json!({ "type": "response.output_item.done", "output_index": index, "item": item })),
        3 => (at(), text(), id(), families()).prop_map(|(index, text, id, (family, _))| {
            json!({ "type": format!("{family}.delta"), "output_index": index, "item_id": id, "delta": text, "content_index": 0 })
        }),
        2 => (at(), text(), id(), families()).prop_map(|(index, text, id, (family, member))| {
            json!({ "type": format!("{family}.done"), "output_index": index, "item_id": id, member: text })
        }),
        1 => prop::collection::vec(item(), 0..4).prop_map(|output| {
            json!({ "type": "response.completed", "response": { "id": "resp_1", "output": output } })
        }),
        1 => Just(json!({ "type": "response.created", "response": { "id": "resp_1", "output": [] } })),
        1 => Just(json!({ "type": "response.incomplete", "response": { "id": "resp_1", "output": null } })),
        1 => Just(json!({ "type": "ping" })),
    ]
}
