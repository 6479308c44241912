//! What a request of Responses may not say: what nobody could decide on, or what could be read in two ways.

use super::{function, input, namespace, refused, with};
use crate::{
    dialect::{Api, understand},
    json,
};
use serde_json::{Value, json};

#[test]
fn a_name_does_not_hide_a_type() {
    for kind in ["shell", "local_shell", "computer", "computer_use_preview", "apply_patch", "tool_search"] {
        refused(&json!({ "tools": [{ "type": kind, "name": "get_weather" }] }), "tools");
        refused(&json!({ "tool_choice": { "type": kind, "name": "get_weather" } }), "tool_choice");
        refused(
            &json!({ "tools": [{ "type": format!("{kind}_20250101"), "name": "get_weather" }] }),
            "tools",
        );
    }
    for (kind, name) in [("bash_20250124", "get"), ("memory_20250818", "get"), ("text_editor", "bash")] {
        refused(&json!({ "tools": [{ "type": kind, "name": name }] }), "tools");
    }
}

#[test]
fn a_tool_can_be_read_in_one_way() {
    let place = |environment: Value| json!({ "tools": [{ "type": "shell", "environment": environment }] });
    for environment in [
        json!("local"),
        json!([{ "type": "container_auto" }]),
        json!({ "container_id": "c" }),
        json!({ "type": null }),
        json!({ "type": "local", "Type": "container_auto" }),
        json!({ "type": "local", "container_id": "c" }),
        json!({ "type": "container_reference", "container_id": "c" }),
    ] {
        refused(&place(environment), "tools");
    }
    for tool in [
        json!({ "type": "local_shell", "environment": { "type": "container_auto" } }),
        json!({ "type": "tool_search", "execution": "client", "Execution": "server" }),
        json!({ "type": "computer", "file_id": "f" }),
        json!({ "type": "toolbox", "tools": [function("delete")] }),
        json!({ "type": "toolbox", "more": { "tools": [function("delete")] } }),
        json!({ "type": "namespace_20250101", "name": "n", "tools": [function("delete")] }),
        json!({ "type": "function", "name": "get", "tools": [function("delete")] }),
        json!({ "type": "mcp", "server_label": "a", "server_url": "https://a", "name": "b" }),
        json!({ "type": "web_search_preview", "external_web_access": false }),
        json!({ "type": "web_search", "allowed_domains": ["a"] }),
    ] {
        refused(&json!({ "tools": [tool] }), "tools");
    }
    let nothing = json!({ "type": "web_search", "allowed_domains": null });
    with(&json!({ "tools": [nothing] }), |request| assert!(request.is_ok()));
    refused(&json!({ "tool_choice": { "type": "mcp", "server_label": ["a"] } }), "tool_choice");
}

#[test]
fn members_that_say_how_to_answer_bring_nothing() {
    for value in [json!([{ "type": "item_reference", "id": "x" }]), json!({}), json!(5)] {
        refused(&json!({ "instructions": value }), "instructions");
    }
    for member in ["context_management", "image", "include", "reasoning", "text", "user"] {
        for brought in [
            json!({ "file_id": "f" }),
            json!([{ "container_id": "c" }]),
            json!({ "x": { "response_id": "r" } }),
            json!({ "Comparison_response_id": "r" }),
            json!({ "tools": [function("delete")] }),
        ] {
            refused(&json!({ member: brought }), member);
            refused(&json!({ "metadata": { "x": brought } }), "metadata");
        }
    }
    let schema = json!({ "properties": { "file_id": { "type": "string" }, "tools": { "type": "array" } }, "required": ["file_id"] });
    let format = json!({ "format": { "type": "json_schema", "name": "x", "schema": schema } });
    // The names of metadata are the client's.
    let members =
        json!({ "text": format, "instructions": "x", "metadata": { "file_id": "f", "response_id": "r" } });
    with(&members, |request| assert!(request.is_ok(), "{members}"));
}

/// A property of a schema is no file, wherever a client replays the schema.
#[test]
fn a_schema_may_describe_a_stored_thing() {
    let properties = json!({ "file_id": { "type": "string" }, "container_id": { "type": "string", "default": "x" },
        "tools": { "type": "array" }, "function_call": { "type": "string" }, "tool_calls": { "type": "array" } });
    let schema = json!({ "type": "object", "properties": properties, "examples": [{ "file_id": "x" }] });
    let tool = json!({ "type": "function", "name": "read", "parameters": schema });
    for item in [
        json!({ "type": "mcp_list_tools", "server_label": "s", "tools": [{ "name": "read", "input_schema": schema }] }),
        json!({ "type": "tool_search_output", "call_id": "c", "tools": [tool] }),
        json!({ "type": "additional_tools", "tools": [tool] }),
    ] {
        with(&input(&item), |request| assert!(request.is_ok(), "{item}"));
    }
    with(&json!({ "tools": [tool] }), |request| assert!(request.is_ok()));
}

#[test]
fn what_brings_in_what_nobody_sees_is_refused() {
    for member in [
        "background_options",
        "conversation",
        "mcp_servers",
        "models",
        "plugins",
        "prompt",
        "search_parameters",
        "tool_resources",
    ] {
        refused(&json!({ member: { "id": "x" } }), member);
        with(&json!({ member: null }), |request| assert!(request.is_ok(), "{member}"));
    }
    refused(&json!({ "background": true }), "background");
    with(&json!({ "background": false }), |request| assert!(request.is_ok()));
    refused(
        &json!({ "prompt_cache_options": { "comparison_response_id": "resp_1" } }),
        "prompt_cache_options",
    );
    let input = |item: Value| json!({ "input": [{ "role": "user", "content": "hi" }, item] });
    for kind in ["additional_tools", "tool_search_output"] {
        let brought = input(json!({ "type": kind, "tools": [function("delete")] }));
        with(&brought, |request| assert_eq!(request.unwrap().offers.len(), 1, "{kind}"));
    }
    for kind in ["unheard_of", "unheard_of_output", "function_call_output", "item_reference", "function_call"]
    {
        refused(&input(json!({ "type": kind, "id": "x", "tools": [function("delete")] })), "input");
    }
    refused(&input(json!({ "role": "assistant", "content": "", "tool_calls": [] })), "input");
    refused(&input(json!({ "role": "tool", "content": "done" })), "input");
    refused(&input(json!({ "role": "user", "content": [{ "type": "tool_result" }] })), "input");
    for part in [
        json!({ "type": "input_file", "file_id": "file_1" }),
        json!({ "type": "input_image", "file_id": "file_1" }),
        json!({ "type": "container_upload" }),
    ] {
        refused(&input(json!({ "role": "user", "content": [part] })), "input");
        refused(&input(json!({ "type": "function_call_output", "call_id": "a", "output": [part] })), "input");
        // A screenshot is one part, not a list of them.
        refused(&input(json!({ "type": "computer_call_output", "call_id": "a", "output": part })), "input");
    }
    let shot = json!({ "type": "computer_call_output", "call_id": "a", "output": { "type": "computer_screenshot", "image_url": "data:" } });
    with(&input(shot), |request| assert!(request.is_ok()));
}

#[test]
fn wrong_types_are_refused_by_name() {
    for model in [json!(null), json!(5), json!(["gpt-5"])] {
        refused(&json!({ "model": model }), "model");
    }
    for (member, value) in [
        ("stream", json!("yes")),
        ("background", json!(1)),
        ("store", json!("no")),
        ("previous_response_id", json!(["a"])),
    ] {
        refused(&json!({ member: value }), member);
    }
    for tools in [
        json!({}),
        json!("get"),
        json!([5]),
        json!([{}]),
        json!([{ "type": 5 }]),
        json!([{ "type": "function" }]),
    ] {
        refused(&json!({ "tools": tools }), "tools");
        refused(&json!({ "tools": [namespace(&tools)] }), "tools");
    }
    refused(&json!({ "tools": [namespace(&json!([namespace(&json!([function("a")]))]))] }), "tools");
    for choice in [
        json!(5),
        json!([]),
        json!({}),
        json!("delete"),
        json!({ "type": 1 }),
        json!({ "type": "function" }),
        json!({ "type": "allowed_tools", "tools": [] }),
    ] {
        refused(&json!({ "tool_choice": choice }), "tool_choice");
    }
    let listed =
        |tools: Value| json!({ "tool_choice": { "type": "allowed_tools", "mode": "auto", "tools": tools } });
    refused(&listed(json!([{ "type": "function" }])), "tool_choice");
    refused(&listed(json!({})), "tools");
    refused(&json!({ "input": 5 }), "input");
    refused(&json!({ "input": [{ "type": 5 }] }), "input.type");
    let text = "[]";
    let refusal = understand(Api::Responses, &json::parse(text.as_bytes(), 2).unwrap()).unwrap_err();
    assert_eq!((refusal.status(), refusal.param()), (400, None));
}

#[test]
fn what_another_reader_could_take_for_a_decided_member_is_refused() {
    let refused = |members: &Value| with(members, |request| assert!(request.is_err(), "{members}"));
    let upper = |key: &str| {
        let (first, rest) = key.split_at(1);
        format!("{}{rest}", first.to_uppercase())
    };
    for key in [
        "background",
        "conversation",
        "input",
        "mcp_servers",
        "model",
        "models",
        "parallel_tool_calls",
        "plugins",
        "previous_response_id",
        "prompt",
        "store",
        "stream",
        "tool_choice",
        "tools",
    ] {
        refused(&json!({ upper(key): null }));
        refused(&json!({ key.to_uppercase(): null }));
    }
    refused(&json!({ "\u{17f}tore": true }));
    for key in ["type", "name", "environment", "tools", "function", "custom"] {
        let mut twin = function("get");
        twin[upper(key)] = json!("delete");
        refused(&json!({ "tools": [twin] }));
        refused(&json!({ "tools": [namespace(&json!([twin]))] }));
        refused(&json!({ "tool_choice": { "type": "function", "name": "get", upper(key): "delete" } }));
    }
    // Chat's form beside that of Responses: another reader could read the other.
    for part in ["function", "custom"] {
        let mut two = function("get");
        two[part] = json!({ "name": "delete" });
        refused(&json!({ "tools": [two] }));
        refused(&json!({ "tool_choice": { "type": "function", "name": "get", part: { "name": "delete" } } }));
    }
    for key in ["type", "id", "call_id", "name", "arguments", "input", "role", "tools"] {
        refused(&json!({ "input": [{ "role": "user", "content": "", upper(key): "x" }] }));
    }
}
