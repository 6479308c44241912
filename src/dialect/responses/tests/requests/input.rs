//! What the input of a request names of what the provider keeps, and which calls it answers.

use super::{input, refused, with};
use serde_json::{Value, json};

/// What names a stored item is looked up before anything is decided.
#[test]
fn an_item_that_does_not_say_all_is_looked_up() {
    for item in [
        json!({ "type": "item_reference", "id": "x" }),
        json!({ "id": "x" }),
        json!({ "type": "reasoning", "id": "x", "summary": [] }),
        json!({ "type": "reasoning", "id": "x", "content": [{}] }),
        json!({ "type": "reasoning", "id": "x", "encrypted_content": true }),
        json!({ "type": "image_generation_call", "id": "x" }),
        json!({ "type": "image_generation_call", "id": "x", "result": "" }),
        json!({ "type": "web_search_call", "id": "x", "status": "completed", "action": { "type": "search" } }),
        json!({ "type": "file_search_call", "id": "x", "queries": ["q"] }),
        json!({ "type": "mcp_call", "id": "x", "name": "n", "arguments": "{}", "output": "o" }),
        json!({ "type": "mcp_list_tools", "id": "x", "server_label": "s", "tools": [] }),
        json!({ "type": "compaction", "id": "x" }),
        json!({ "type": "mcp_approval_response", "approval_request_id": "x", "approve": true }),
        json!({ "type": "message", "role": "assistant", "id": "x", "content": [] }),
        json!({ "role": "x", "id": "x" }),
        json!({ "type": "function_call", "id": "x", "call_id": "c", "name": "get" }),
        json!({ "type": "function_call_output", "id": "x", "call_id": "c" }),
        json!({ "type": "", "id": "x", "output": "o" }),
        json!({ "type": "reasoning", "id": "x", "encrypted_content": " " }),
        json!({ "type": "message", "role": "assistant", "id": "x", "content": [{ "type": "output_text" }] }),
        json!({ "type": "message", "role": "assistant", "id": "x", "content": [{ "type": "input_image" }] }),
        json!({ "type": "function_call", "id": "x", "call_id": "c", "name": "get", "arguments": null }),
        json!({ "type": "custom_tool_call", "id": "x", "call_id": "c", "name": "get", "input": null }),
        json!({ "type": "computer_call", "id": "x", "call_id": "c", "action": {} }),
        json!({ "type": "computer_call", "id": "x", "call_id": "c", "actions": [] }),
        json!({ "type": "apply_patch_call", "id": "x", "call_id": "c", "operation": {} }),
        json!({ "type": "computer_call_output", "id": "x", "call_id": "c", "output": {} }),
        json!({ "type": "function_call_output", "id": "x", "call_id": "c", "output": [{ "type": "input_text" }] }),
        json!({ "type": "tool_search_output", "id": "x" }),
        json!({ "type": "additional_tools", "id": "x" }),
        json!({ "type": "mcp_approval_response", "id": "x", "approval_request_id": null }),
    ] {
        with(&input(&item), |request| assert_eq!(request.unwrap().references, ["x"], "{item}"));
    }
    for whole in [
        json!({ "type": "reasoning", "id": "x", "summary": [], "encrypted_content": "e" }),
        json!({ "type": "reasoning", "id": "x", "content": [{ "type": "reasoning_text", "text": "t" }] }),
        json!({ "type": "image_generation_call", "id": "x", "result": "aGk=" }),
        json!({ "type": "compaction", "id": "x", "encrypted_content": "e" }),
        json!({ "type": "message", "role": "assistant", "id": "x", "content": [{ "type": "output_text", "text": "" }] }),
        json!({ "role": "user", "id": "x", "content": "hi" }),
        json!({ "type": "function_call", "id": "x", "call_id": "c", "name": "get", "arguments": "" }),
        json!({ "type": "function_call_output", "id": "x", "call_id": "c", "output": "o" }),
        json!({ "type": "computer_call", "id": "x", "call_id": "c", "action": { "type": "click" } }),
        json!({ "type": "computer_call", "id": "x", "call_id": "c", "action": null, "actions": [{ "type": "click" }] }),
        json!({ "type": "tool_search_call", "id": "x", "call_id": "c", "execution": "client", "arguments": {} }),
        json!({ "type": "tool_search_output", "id": "x", "call_id": "c", "tools": [] }),
        json!({ "type": "function_call_output", "id": "x", "call_id": "c", "output": [{ "type": "input_image", "image_url": "data:" }] }),
    ] {
        with(&input(&whole), |request| assert!(request.unwrap().references.is_empty(), "{whole}"));
    }
}

#[test]
fn a_container_is_looked_up_and_a_file_is_refused() {
    let ran = json!({ "type": "code_interpreter_call", "id": "x", "container_id": "cntr_1", "code": "1" });
    with(&input(&ran), |request| assert_eq!(request.unwrap().containers, ["cntr_1"]));
    let place = json!({ "type": "container_reference", "container_id": "cntr_1" });
    let ran = json!({ "type": "shell_call", "call_id": "c", "action": {}, "environment": place });
    with(&input(&ran), |request| assert_eq!(request.unwrap().containers, ["cntr_1"]));
    // Which of the two a reader takes is its business.
    let both = json!({ "type": "code_interpreter_call", "container_id": "a", "environment": { "container_id": "b" } });
    with(&input(&both), |request| assert_eq!(request.unwrap().containers, ["a", "b"]));
    for place in [json!([{ "container_id": "b" }]), json!({ "x": { "container_id": "b" } })] {
        let hidden =
            json!({ "type": "shell_call", "call_id": "c", "container_id": "a", "environment": place });
        refused(&input(&hidden), "input");
    }
    refused(&input(&json!({ "type": "code_interpreter_call", "container_id": ["a"] })), "input");
    let made = json!({ "type": "image", "file_id": "f" });
    refused(
        &input(&json!({ "type": "code_interpreter_call", "container_id": "c", "outputs": [made] })),
        "input",
    );
    refused(
        &input(&json!({ "type": "message", "role": "user", "content": "x", "container_id": "c" })),
        "input",
    );
}

#[test]
fn an_item_that_no_answer_could_have_had_is_refused() {
    let long = "c".repeat(1100);
    for key in ["id", "call_id", "name"] {
        let mut call =
            json!({ "type": "function_call", "call_id": "c", "name": "delete", "arguments": "{}" });
        call[key] = json!(long);
        refused(&input(&call), "input");
    }
    refused(&input(&json!({ "type": "function_call_output", "call_id": long, "output": "x" })), "input");
    for item in [
        json!({ "type": "bash_call", "call_id": "c", "action": { "commands": ["ls"] } }),
        json!({ "type": "function_call_result", "call_id": "c", "output": "x" }),
        json!({ "type": "note", "tool": { "name": "delete", "arguments": "{}" } }),
    ] {
        refused(&input(&item), "input");
    }
    for content in [json!({ "type": "input_file" }), json!(5), json!(true)] {
        let message = json!({ "input": [{ "role": "user", "content": content }] });
        refused(&message, "input.content");
    }
    let reference = json!({ "type": "item_reference", "id": "x" });
    refused(&input(&json!({ "role": "user", "content": [reference] })), "input");
    refused(
        &input(&json!({ "type": "function_call_output", "call_id": "c", "output": [reference] })),
        "input",
    );
}

#[test]
fn calls_that_a_request_brings_results_for() {
    let check = |input: Value, expected: &[(&str, &str)], results: &[&str]| {
        let members = json!({ "input": input, "previous_response_id": "resp_1" });
        with(&members, |request| {
            let request = request.unwrap();
            let found: Vec<(&str, &str)> =
                request.answered.iter().map(|call| (&*call.tool, &*call.text)).collect();
            assert_eq!(found, expected, "{members}");
            assert_eq!(request.results, results, "{members}");
            assert_eq!(request.previous, Some("resp_1"));
        });
    };
    let call = |id: &str, name: &str| json!({ "type": "function_call", "call_id": id, "name": name, "arguments": "{}" });
    let result = |id: &str| json!({ "type": "function_call_output", "call_id": id, "output": "ok" });
    check(json!("hi"), &[], &[]);
    check(json!([{ "role": "user", "content": "hi" }]), &[], &[]);
    check(json!([call("a", "pay")]), &[], &[]);
    check(json!([call("a", "pay"), call("b", "get"), result("b")]), &[("get", "{}")], &["b"]);
    // The result may stand before its call; a decision must not depend on the order.
    check(json!([result("a"), call("a", "pay")]), &[("pay", "{}")], &["a"]);
    // What the provider keeps is named by its id alone.
    check(json!([result("a")]), &[], &["a"]);
    let custom = json!({ "type": "custom_tool_call", "call_id": "c", "name": "sql", "input": "DROP" });
    check(
        json!([custom, { "type": "custom_tool_call_output", "call_id": "c", "output": "ok" }]),
        &[("sql", "DROP")],
        &["c"],
    );
    let click = json!({ "type": "computer_call", "call_id": "k", "action": { "type": "click" } });
    check(
        json!([click, { "type": "computer_call_output", "call_id": "k", "output": {} }]),
        &[("computer", r#"{"type":"click"}"#)],
        &["k"],
    );
    let patch = json!({ "type": "apply_patch_call", "call_id": "p", "operation": { "path": "a" } });
    check(
        json!([patch, { "type": "apply_patch_call_output", "call_id": "p", "status": "completed" }]),
        &[("apply_patch", r#"{"path":"a"}"#)],
        &["p"],
    );
    let shell = json!({ "type": "shell_call", "call_id": "s", "action": { "commands": ["ls"] } });
    check(
        json!([shell, { "type": "shell_call_output", "call_id": "s", "output": [] }]),
        &[("shell", r#"{"commands":["ls"]}"#)],
        &["s"],
    );
    let local = json!({ "type": "local_shell_call", "id": "l", "action": { "command": ["ls"] } });
    check(
        json!([local, { "type": "local_shell_call_output", "id": "l", "output": "ok" }]),
        &[("local_shell", r#"{"command":["ls"]}"#)],
        &["l"],
    );
    let asked = json!({ "type": "mcp_approval_request", "id": "m", "name": "x", "arguments": "{}" });
    check(
        json!([asked, { "type": "mcp_approval_response", "approval_request_id": "m", "approve": true }]),
        &[("builtin__mcp", "{}")],
        &["m"],
    );
    let nameless =
        json!({ "input": [{ "type": "function_call", "call_id": "a", "arguments": "" }, result("a")] });
    with(&nameless, |request| assert!(request.is_err()));
}
