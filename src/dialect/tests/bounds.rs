//! What a stream may hold: whatever comes without end, it fails before much of it is kept.

use super::script::{LIMITS, Script};
use crate::dialect::{Api, Progress, Stream, Transcript};
use serde_json::{Value, json};

/// A MiB for what waits, and as much as 128 calls may have for their arguments.
const ROOM: usize = (1 << 20) + 128 * LIMITS.tool_arguments;

/// Feeds a stream that never ends. It fails in time, and until then holds no more than it may.
#[track_caller]
fn fails_in_time(api: Api, what: &str, begin: &[Value], next: &dyn Fn(u64) -> Vec<Value>) {
    let mut stream = Stream::new(api, LIMITS, Transcript::keeping(0));
    let (mut script, mut fed) = (Script::default(), 0);
    let mut read = |events: &[Value]| {
        let text: String = events
            .iter()
            .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()))
            .collect();
        fed += text.len();
        assert!(fed < 3 * ROOM, "{what}: {fed} bytes were taken in");
        let progress = stream.read(text.as_bytes(), &mut script, &mut Vec::new());
        assert!(stream.bytes_held() < 2 * ROOM, "{what}: {} bytes held", stream.bytes_held());
        matches!(progress, Progress::Failed(_))
    };
    assert!(!read(begin), "{what}");
    let failed = (0..100_000).any(|number| read(&next(number)));
    assert!(failed, "{what}");
}

#[test]
fn messages() {
    let big = "a".repeat(3000);
    let start = |index: u64, block: Value| json!({ "type": "content_block_start", "index": index, "content_block": block });
    let delta =
        |index: u64, delta: Value| json!({ "type": "content_block_delta", "index": index, "delta": delta });
    let stop = |index: u64| json!({ "type": "content_block_stop", "index": index });
    let call = json!({ "type": "tool_use", "id": "a", "name": "get_a", "input": {} });
    let check = |what: &str, begin: &[Value], next: &dyn Fn(u64) -> Vec<Value>| {
        fails_in_time(Api::Messages, what, begin, next);
    };
    check("what calls begin with", &[], &|n| {
        vec![start(
            n,
            json!({ "type": "tool_use", "id": "a", "name": "get_a", "input": {}, "extra": big.repeat(10) }),
        )]
    });
    check("inputs of many calls", &[], &|n| {
        vec![start(n, call.clone()), delta(n, json!({ "type": "input_json_delta", "partial_json": big }))]
    });
    check(
        "a text behind a call",
        &[start(0, call.clone()), start(1, json!({ "type": "text", "text": "" }))],
        &|_| vec![delta(1, json!({ "type": "text_delta", "text": big }))],
    );
    check("ids of calls that were denied", &[], &|n| {
        let block =
            json!({ "type": "server_tool_use", "id": format!("{n}{big}"), "name": "delete_a", "input": {} });
        vec![start(n, block), stop(n)]
    });
    check("unknown events behind a call", &[start(0, call)], &|_| {
        vec![json!({ "type": "note", "note": big })]
    });
}

#[test]
fn responses() {
    let big = "a".repeat(3000);
    let item = |kind: &str, index: u64, item: Value| json!({ "type": format!("response.output_item.{kind}"), "output_index": index, "item": item });
    let call = |id: String, arguments: &str| json!({ "type": "function_call", "id": id, "call_id": id, "name": "get_a", "arguments": arguments });
    let check = |what: &str, begin: &[Value], next: &dyn Fn(u64) -> Vec<Value>| {
        fails_in_time(Api::Responses, what, begin, next);
    };
    check("what calls begin with", &[], &|n| {
        let mut call = call(n.to_string(), "");
        call["extra"] = json!(big.repeat(10));
        vec![item("added", n, call)]
    });
    check("calls that were judged", &[], &|n| {
        vec![item("done", n, call(n.to_string(), &format!("\"{big}\"")))]
    });
    check("arguments of many calls", &[], &|n| {
        vec![
            item("added", n, call(n.to_string(), "")),
            json!({ "type": "response.function_call_arguments.delta", "output_index": n, "delta": big }),
        ]
    });
    check(
        "a text behind a call",
        &[item("added", 0, call("a".into(), "")), item("added", 1, json!({ "type": "message" }))],
        &|_| vec![json!({ "type": "response.output_text.delta", "output_index": 1, "delta": big })],
    );
    check("ids of calls that were denied", &[], &|n| {
        vec![item("added", n, json!({ "type": "delete_call", "id": format!("{n}{big}") }))]
    });
    check("unknown events behind a call", &[item("added", 0, call("a".into(), ""))], &|_| {
        vec![json!({ "type": "note", "note": big })]
    });
}

#[test]
fn an_event_without_end_is_not_held_for_ever() {
    for api in [Api::Messages, Api::Responses] {
        let mut stream = Stream::new(api, LIMITS, Transcript::keeping(0));
        let piece = "data: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".repeat(100);
        let failed = (0..3000).any(|_| {
            let progress = stream.read(piece.as_bytes(), &mut Script::default(), &mut Vec::new());
            assert!(stream.bytes_pending() < 2 * ROOM);
            matches!(progress, Progress::Failed(_))
        });
        assert!(failed);
    }
}
