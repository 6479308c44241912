//! What has the parts of a call ends an answer, wherever it stands and in whatever it hides; what only looks a little like
//! one leaves as it came.

use super::script::{Script, once, whole};
use crate::dialect::Api;
use serde_json::{Value, json};

/// What a hidden call carries.
const CANARY: &str = "canary";

fn wire(events: &[Value]) -> String {
    let line = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    events.iter().map(line).collect()
}

#[track_caller]
fn streams(api: Api, events: &[Value], ends: bool) {
    let run = once(api, wire(events).as_bytes());
    assert_eq!(run.failed.is_some(), ends, "{run:?}");
    assert!(!ends || !run.text().contains(CANARY), "{run:?}");
    assert!(ends || run.text() == wire(events), "{run:?}");
}

#[track_caller]
fn answers(api: Api, body: &Value, ends: bool) {
    let body = body.to_string();
    let run = whole(api, body.as_bytes(), Script::default());
    assert_eq!(run.failed.is_some(), ends, "{run:?}");
    assert!(ends || run.text() == body, "{run:?}");
}

#[track_caller]
fn item(item: &Value, ends: bool) {
    answers(Api::Responses, &json!({ "id": "resp_1", "status": "completed", "output": [item] }), ends);
    let mut events = begun();
    events.push(json!({ "type": "response.output_item.added", "output_index": 0, "item": item }));
    events.push(json!({ "type": "response.output_item.done", "output_index": 0, "item": item }));
    events.push(completed(&json!([item])));
    // A call is written anew, in more events than it came in.
    let is_call = item["type"] == "function_call" && !ends;
    if !is_call {
        streams(Api::Responses, &events, ends);
    }
}

fn begun() -> Vec<Value> {
    vec![json!({ "type": "response.created", "response": { "id": "resp_1", "output": [] } })]
}

fn completed(output: &Value) -> Value {
    json!({ "type": "response.completed", "response": { "id": "resp_1", "output": output } })
}

#[test]
fn of_an_item() {
    let call = json!({ "name": "delete", "arguments": CANARY });
    for hidden in [
        json!({ "type": "message", "content": [], "name": "delete", "arguments": CANARY }),
        json!({ "type": "message", "Type": "function_call", "content": [], "name": "delete" }),
        json!({ "type": "reasoning", "summary": [], "arguments": CANARY }),
        json!({ "type": "tool", "name": "delete", "params": CANARY }),
        json!({ "type": "Tool_invocation", "name": "delete", "payload": CANARY }),
        json!({ "type": "note", "tool": call }),
        json!({ "type": "note", "content": [call] }),
        json!({ "type": "note", "deep": [{ "deeper": { "Args": CANARY } }] }),
        json!({ "type": "mcp_list_tools", "server_label": "a", "tools": [], "arguments": CANARY }),
        json!({ "type": "web_search_call", "operation": { "path": CANARY } }),
        json!({ "type": "x_call_output", "call_id": "c", "name": "delete", "arguments": CANARY }),
        json!({ "type": "function_call", "call_id": "c", "name": "get", "arguments": "{}", "function": call }),
        json!({ "type": "function_call", "call_id": "c", "name": "get", "arguments": "{}", "args": CANARY }),
    ] {
        item(&hidden, true);
    }
    for part in ["tool", "tool_call", "call", "tool_search_call", "ToolUse"] {
        item(
            &json!({ "type": "message", "content": [{ "type": part, "name": "delete", "x": CANARY }] }),
            true,
        );
    }
    let schema = json!({ "type": "object", "properties": { "function_call": { "type": "string" }, "arguments": { "type": "array" }, "tool_calls": { "type": "array" } } });
    for plain in [
        json!({ "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": "x", "logprobs": [],
            "annotations": [{ "type": "container_file_citation", "file_id": "f" }] }] }),
        json!({ "type": "note", "usage": { "input": 5 }, "name": "x" }),
        json!({ "type": "mcp_list_tools", "id": "m", "server_label": "a", "tools": [{ "name": "x", "input_schema": schema }] }),
        json!({ "type": "web_search_call", "id": "w", "action": { "type": "search", "sources": [{ "type": "api", "name": "x" }] } }),
        json!({ "type": "function_call", "id": "f", "call_id": "c", "name": "get", "arguments": "{}", "caller": { "type": "program", "caller_id": "p" } }),
    ] {
        item(&plain, false);
    }
}

#[test]
fn of_an_event_of_a_response() {
    let search = json!({ "type": "web_search_call", "id": "w", "status": "in_progress" });
    let among = |event: &Value, of_search: bool| {
        let mut events = begun();
        if of_search {
            events.push(json!({ "type": "response.output_item.added", "output_index": 0, "item": search }));
        }
        events.push(event.clone());
        if of_search {
            events.push(json!({ "type": "response.output_item.done", "output_index": 0, "item": search }));
        }
        events.push(completed(&if of_search { json!([search]) } else { json!([]) }));
        events
    };
    for hidden in [
        json!({ "type": "response.note", "name": "delete", "arguments": CANARY }),
        json!({ "type": "response.note", "note": [{ "input": CANARY }] }),
        json!({ "type": "response.tool.delta", "name": "delete", "delta": CANARY }),
        json!({ "type": "response.content_part.added", "part": { "type": "tool", "name": CANARY } }),
        json!({ "type": "response.content_part.added", "part": { "type": "x", "name": "delete", "arguments": CANARY } }),
    ] {
        streams(Api::Responses, &among(&hidden, false), true);
    }
    for hidden in [
        json!({ "type": "response.web_search_call.x", "output_index": 0, "item": { "arguments": CANARY } }),
        json!({ "type": "response.web_search_call_arguments.delta", "output_index": 0, "delta": CANARY }),
        json!({ "type": "response.web_search_call.delta", "output_index": 0, "name": "delete", "delta": CANARY }),
    ] {
        streams(Api::Responses, &among(&hidden, true), true);
    }
    let plain = json!({ "type": "response.note", "name": "x", "delta": "y", "obfuscation": "z", "usage": { "input": 5 } });
    streams(Api::Responses, &among(&plain, false), false);
    let searching =
        json!({ "type": "response.web_search_call.searching", "output_index": 0, "item_id": "w" });
    streams(Api::Responses, &among(&searching, true), false);
}

#[test]
fn of_what_went_into_a_response() {
    let list = |item: Value, ends: bool| answers(Api::ResponseItems, &json!({ "data": [item] }), ends);
    for hidden in [
        json!({ "type": "note_output", "call_id": "c", "name": "delete", "arguments": CANARY }),
        json!({ "type": "shell_call_output", "call_id": "c", "action": { "commands": [CANARY] } }),
        json!({ "type": "additional_tools", "tools": [], "arguments": CANARY }),
    ] {
        list(hidden, true);
    }
    let tools = json!([{ "type": "function", "name": "x", "parameters": { "arguments": {} } }]);
    list(json!({ "type": "additional_tools", "role": "developer", "tools": tools }), false);
    list(json!({ "type": "tool_search_output", "call_id": "c", "tools": tools }), false);
    list(
        json!({ "type": "function_call_output", "call_id": "c", "output": [{ "type": "input_text", "text": "x" }] }),
        false,
    );
    list(json!({ "type": "mcp_approval_response", "approval_request_id": "m", "approve": true }), false);
}

fn message(middle: &[Value]) -> Vec<Value> {
    let mut events = vec![json!({ "type": "message_start", "message": { "content": [] } })];
    events.extend_from_slice(middle);
    events.push(json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" } }));
    events.push(json!({ "type": "message_stop" }));
    events
}

#[test]
fn of_a_block() {
    let block = |block: Value, ends: bool| {
        answers(Api::Messages, &json!({ "content": [block], "stop_reason": "end_turn" }), ends);
        let begin = json!({ "type": "content_block_start", "index": 0, "content_block": block });
        let events = message(&[begin, json!({ "type": "content_block_stop", "index": 0 })]);
        streams(Api::Messages, &events, ends);
    };
    for hidden in [
        json!({ "type": "text", "text": "x", "name": "delete", "input": { "v": CANARY } }),
        json!({ "type": "text", "Type": "tool_use", "text": CANARY }),
        json!({ "type": "tool", "name": "delete", "params": CANARY }),
        json!({ "type": "note", "content": [{ "type": "x", "name": "delete", "input": { "v": CANARY } }] }),
        json!({ "type": "x_tool_result", "tool_use_id": "t", "name": "delete", "input": { "v": CANARY } }),
        json!({ "type": "tool_use", "id": "t", "name": "get", "input": {}, "function": { "name": "delete", "x": CANARY } }),
        json!({ "type": "server_tool_use", "id": "t", "name": "web_search", "input": {}, "args": CANARY }),
    ] {
        block(hidden, true);
    }
    for plain in [
        json!({ "type": "text", "text": "x", "citations": [{ "type": "char_location", "cited_text": "y" }] }),
        json!({ "type": "note", "name": "x", "usage": { "input": 5 } }),
        json!({ "type": "mcp_tool_listing", "mcp_server_name": "x", "tools": [{ "name": "a", "input_schema": { "arguments": {} } }] }),
        json!({ "type": "web_search_tool_result", "tool_use_id": "t", "content": [{ "type": "web_search_result", "title": "x" }] }),
    ] {
        block(plain, false);
    }
}

#[test]
fn of_a_delta() {
    let delta = |begun: Value, delta: Value, ends: bool| {
        let events = message(&[
            json!({ "type": "content_block_start", "index": 0, "content_block": begun }),
            json!({ "type": "content_block_delta", "index": 0, "delta": delta }),
            json!({ "type": "content_block_stop", "index": 0 }),
        ]);
        streams(Api::Messages, &events, ends);
    };
    let text = || json!({ "type": "text", "text": "" });
    let search = || json!({ "type": "server_tool_use", "id": "t", "name": "web_search", "input": {} });
    for hidden in [
        json!({ "type": "text_delta", "text": "x", "name": "delete", "input": { "v": CANARY } }),
        json!({ "type": "tool_delta", "name": "delete", "arguments": CANARY }),
        json!({ "type": "input_json_delta", "Partial_json": CANARY }),
        json!({ "type": "note", "deep": [{ "args": CANARY }] }),
    ] {
        delta(text(), hidden.clone(), true);
        delta(search(), hidden, true);
    }
    delta(
        text(),
        json!({ "type": "citations_delta", "citation": { "type": "x", "cited_text": "y" } }),
        false,
    );
    delta(search(), json!({ "type": "input_json_delta", "partial_json": "{\"query\":1}" }), false);
    let note = |more: Value| message(&[json!({ "type": "note", "more": more })]);
    streams(Api::Messages, &note(json!({ "name": "delete", "arguments": CANARY })), true);
    streams(Api::Messages, &note(json!({ "name": "x", "y": 5 })), false);
}
