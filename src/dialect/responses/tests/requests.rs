//! What a request of Responses offers, forces, lists and answers, what is refused, and what is left when offers are
//! denied.

use crate::dialect::{Api, Kept, Request, restrict, understand};
use crate::{call::Arguments, json, refusal::Refusal};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Understands a request of these members beside its model.
fn with<T>(members: &Value, read: impl FnOnce(Result<Request<'_>, Refusal>) -> T) -> T {
    let mut body = json!({ "model": "gpt-5" });
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let text = body.to_string();
    read(understand(Api::Responses, &json::parse(text.as_bytes(), 32).unwrap()))
}

fn offered(members: &Value) -> Vec<(String, Option<Value>)> {
    with(members, |request| {
        let args = |args: &Arguments<'_>| match args {
            Arguments::Known(args) => Some(serde_json::from_str(&args.to_string()).unwrap()),
            Arguments::Open => None,
            Arguments::Unreadable => panic!("what is offered is readable"),
        };
        request.unwrap().offers.iter().map(|offer| (offer.tool.to_string(), args(&offer.args))).collect()
    })
}

#[track_caller]
fn offers(members: &Value, expected: &[(&str, Option<Value>)]) {
    let expected: Vec<_> = expected.iter().map(|(tool, args)| ((*tool).to_owned(), args.clone())).collect();
    assert_eq!(offered(members), expected, "{members}");
}

fn function(name: &str) -> Value {
    json!({ "type": "function", "name": name, "parameters": { "type": "object" } })
}

fn server(label: &str) -> Value {
    json!({ "type": "mcp", "server_label": label, "server_url": format!("https://{label}"), "require_approval": "never" })
}

fn namespace(tools: &Value) -> Value {
    json!({ "type": "namespace", "name": "shop", "tools": tools })
}

#[test]
fn offers_are_found_wherever_they_stand() {
    offers(&json!({}), &[]);
    offers(&json!({ "tools": null }), &[]);
    offers(&json!({ "tools": [] }), &[]);
    let custom = json!({ "type": "custom", "name": "sql" });
    offers(&json!({ "tools": [function("get"), custom] }), &[("get", None), ("sql", None)]);
    offers(
        &json!({ "tools": [namespace(&json!([function("a"), custom, server("crm")])), function("b")] }),
        &[("a", None), ("sql", None), ("builtin__mcp", Some(server("crm"))), ("b", None)],
    );
    offers(&json!({ "tools": [namespace(&json!([]))] }), &[]);
    let check = |tool: Value, expected: &str| {
        // What the client runs has its arguments when it is called.
        let args = expected.starts_with("builtin__").then(|| tool.clone());
        offers(&json!({ "tools": [tool] }), &[(expected, args)]);
    };
    check(
        json!({ "type": "file_search", "vector_store_ids": ["vs_1"], "filters": { "a": 1 } }),
        "builtin__file_search",
    );
    check(json!({ "type": "web_search_preview_2025_03_11" }), "builtin__web_search_preview");
    check(
        json!({ "type": "code_interpreter", "container": { "type": "auto" } }),
        "builtin__code_interpreter",
    );
    check(json!({ "type": "image_generation" }), "builtin__image_generation");
    check(json!({ "type": "tool_search" }), "builtin__tool_search");
    check(json!({ "type": "unheard_of", "x": 1 }), "builtin__unheard_of");
    check(json!({ "type": "computer_use_preview", "display_width": 5 }), "computer_use_preview");
    check(json!({ "type": "computer" }), "computer");
    check(json!({ "type": "local_shell" }), "local_shell");
    check(json!({ "type": "apply_patch" }), "apply_patch");
    check(
        json!({ "type": "shell_2025_11_11", "environment": { "type": "container_auto" } }),
        "builtin__shell",
    );
    check(json!({ "type": "tool_search", "execution": "client" }), "tool_search");
    check(json!({ "type": "apply_patch", "name": "apply_patch" }), "apply_patch");
    check(json!({ "type": "shell" }), "shell");
    check(json!({ "type": "shell", "environment": { "type": "local" } }), "shell");
    check(json!({ "type": "shell", "environment": { "type": "container_auto" } }), "builtin__shell");
}

#[test]
fn a_parameter_has_one_name_in_every_dialect_and_a_credential_none() {
    let mut secret = server("crm");
    secret["authorization"] = json!("token");
    secret["headers"] = json!({ "x": "token" });
    let mut seen = secret.clone();
    seen["authorization"] = json!("[CREDENTIAL]");
    seen["headers"] = json!("[CREDENTIAL]");
    offers(&json!({ "tools": [secret] }), &[("builtin__mcp", Some(seen))]);
    let search = json!({ "type": "web_search", "filters": { "allowed_domains": ["a"] } });
    let mut seen = search.clone();
    seen["allowed_domains"] = json!(["a"]);
    offers(&json!({ "tools": [search] }), &[("builtin__web_search", Some(seen))]);
}

#[test]
fn what_a_choice_forces_or_lists() {
    let check = |choice: Value, forced: &[&str], listed: &[&str], required: bool| {
        let shell = json!({ "type": "shell", "environment": { "type": "container_auto" } });
        let members = json!({ "tools": [function("pay"), shell], "tool_choice": choice });
        with(&members, |request| {
            let request = request.unwrap();
            let forces: Vec<&str> = request.forced.iter().map(|forced| forced.tool.as_ref()).collect();
            assert_eq!(forces, forced, "{members}");
            let lists: Vec<&str> = request.listed.tools.iter().map(|listed| listed.tool.as_ref()).collect();
            assert_eq!(lists, listed, "{members}");
            assert_eq!(request.listed.required, required, "{members}");
        });
    };
    for free in [json!(null), json!("none"), json!("auto"), json!("required")] {
        check(free, &[], &[], false);
    }
    check(json!({ "type": "function", "name": "pay" }), &["pay"], &[], false);
    check(json!({ "type": "custom", "name": "sql" }), &["sql"], &[], false);
    check(json!({ "type": "file_search" }), &["builtin__file_search"], &[], false);
    check(json!({ "type": "web_search_preview_2025_03_11" }), &["builtin__web_search_preview"], &[], false);
    check(json!({ "type": "mcp", "server_label": "crm", "name": "x" }), &["builtin__mcp"], &[], false);
    check(json!({ "type": "apply_patch" }), &["apply_patch"], &[], false);
    // Where a shell runs is told by the offer.
    check(json!({ "type": "shell" }), &["builtin__shell"], &[], false);
    let listed = json!([{ "type": "function", "name": "pay" }, { "type": "shell" }, { "type": "mcp", "server_label": "crm" }]);
    for (mode, required) in [("auto", false), ("required", true)] {
        let choice = json!({ "type": "allowed_tools", "mode": mode, "tools": listed });
        check(choice, &[], &["pay", "builtin__shell", "builtin__mcp"], required);
    }
}

#[track_caller]
fn refused(members: &Value, param: &str) {
    with(members, |request| match request.unwrap_err() {
        refusal @ Refusal::Invalid { .. } => {
            assert_eq!((refusal.status(), refusal.param()), (400, Some(param)), "{members}");
        }
        other => panic!("{other:?} for {members}"),
    });
}

/// An input of a message and this item.
fn input(item: &Value) -> Value {
    json!({ "input": [{ "role": "user", "content": "hi" }, item] })
}

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

fn restricted(body: &Value, kept: &[Kept]) -> Value {
    let text = body.to_string();
    let parsed = json::parse(text.as_bytes(), 32).unwrap();
    serde_json::from_str(&restrict(Api::Responses, &parsed, kept).to_string()).unwrap()
}

#[track_caller]
fn restricts(body: &Value, keep: &[bool], expected: &Value) {
    let kept: Vec<Kept> = keep.iter().map(|keep| if *keep { Kept::AsIs } else { Kept::Out }).collect();
    assert_eq!(&restricted(body, &kept), expected, "{body} {keep:?}");
}

#[test]
fn what_is_denied_is_taken_out() {
    let rest = json!({ "tool_choice": "auto", "parallel_tool_calls": true, "top_p": 0.5 });
    let body = |tools: Value| {
        let mut body = rest.clone();
        body["tools"] = tools;
        body
    };
    let both = body(json!([function("a"), namespace(&json!([function("b"), function("c")]))]));
    restricts(&both, &[true, true, true], &both);
    restricts(&both, &[false, false, true], &body(json!([namespace(&json!([function("c")]))])));
    restricts(&both, &[true, false, false], &body(json!([function("a")])));
    restricts(&both, &[false, false, false], &json!({ "top_p": 0.5 }));
    // An offer without a decision is not kept.
    restricts(&both, &[], &json!({ "top_p": 0.5 }));
    let search = json!({ "tools": [{ "type": "web_search", "filters": { "allowed_domains": ["a"] } }] });
    let forced =
        json!({ "type": "web_search", "filters": { "allowed_domains": ["a"] }, "allowed_domains": ["b"] });
    let kept = Kept::As(json::parse(forced.to_string().as_bytes(), 32).unwrap().into_owned());
    let left = json!({ "tools": [{ "type": "web_search", "filters": { "allowed_domains": ["b"] } }] });
    assert_eq!(restricted(&search, &[kept]), left);
}

#[test]
fn a_choice_names_only_what_is_left() {
    let body = |tools: Value, allowed: Value| json!({ "tools": tools, "tool_choice": { "type": "allowed_tools", "mode": "auto", "tools": allowed } });
    let named = |name: &str| json!({ "type": "function", "name": name });
    let labelled = |label: &str| json!({ "type": "mcp", "server_label": label });
    let all = body(
        json!([function("a"), namespace(&json!([function("b")])), server("crm"), server("hr")]),
        json!([named("a"), named("b"), labelled("crm"), labelled("hr")]),
    );
    restricts(&all, &[true, true, true, true], &all);
    let inside = body(json!([namespace(&json!([server("crm")]))]), json!([labelled("crm")]));
    restricts(&inside, &[true], &inside);
    let left =
        body(json!([namespace(&json!([function("b")])), server("hr")]), json!([named("b"), labelled("hr")]));
    restricts(&all, &[false, true, false, true], &left);
    let few = body(json!([function("a"), function("b")]), json!([named("a")]));
    restricts(&few, &[false, true], &json!({ "tools": [function("b")], "tool_choice": "none" }));
    restricts(&few, &[false, false], &json!({}));
}

/// Members with a random selection of offers, and others that no decision concerns.
fn bodies() -> impl Strategy<Value = Value> {
    let name = || prop::sample::select(vec!["a", "b", "c", "d"]);
    let kind = prop::sample::select(vec!["file_search", "web_search_2025_08_26", "local_shell", "shell"]);
    let label = prop::sample::select(vec!["crm", "hr"]);
    let plain = prop_oneof![
        3 => name().prop_map(function),
        1 => name().prop_map(|name| json!({ "type": "custom", "name": name })),
        1 => kind.prop_map(|kind| json!({ "type": kind, "filters": { "n": 1 } })),
        1 => label.prop_map(server),
    ];
    let inner =
        prop::collection::vec(name().prop_map(function), 1..3).prop_map(|tools| namespace(&json!(tools)));
    let tool = prop_oneof![4 => plain, 1 => inner];
    let choice = prop_oneof![
        prop::sample::select(vec![json!("auto"), json!("required"), json!(null)]),
        prop::collection::vec(name(), 0..3).prop_map(|names| {
            let tools: Vec<Value> =
                names.into_iter().map(|name| json!({ "type": "function", "name": name })).collect();
            json!({ "type": "allowed_tools", "mode": "auto", "tools": tools })
        }),
    ];
    (prop::collection::vec(tool, 0..5), prop::option::of(choice), any::<u32>()).prop_map(
        |(tools, choice, seed)| {
            let mut body = json!({ "model": "m", "input": "é\u{1}", "top_logprobs": seed });
            if !tools.is_empty() {
                body["tools"] = json!(tools);
            }
            if let Some(choice) = choice {
                body["tool_choice"] = choice;
            }
            body
        },
    )
}

proptest! {
    #[test]
    fn what_is_left_offers_what_was_kept_and_nothing_else_changes(body in bodies(), keep in prop::collection::vec(any::<bool>(), 12)) {
        let offered_before = offered(&body);
        let keep = &keep[..offered_before.len()];
        let kept: Vec<Kept> = keep.iter().map(|keep| if *keep { Kept::AsIs } else { Kept::Out }).collect();
        let left = restricted(&body, &kept);
        let expected: Vec<_> = offered_before.into_iter().zip(keep).filter(|(_, keep)| **keep).map(|(offer, _)| offer).collect();
        prop_assert_eq!(&offered(&left), &expected);
        let tools = left.get("tools").and_then(Value::as_array).cloned();
        prop_assert!(tools.iter().flatten().all(|tool| tool.get("tools") != Some(&json!([]))), "{}", left);
        prop_assert!(tools != Some(Vec::new()) && (tools.is_some() || left.get("tool_choice").is_none()));
        let listed = left.get("tool_choice").and_then(|choice| choice.get("tools")).and_then(Value::as_array);
        for tool in listed.into_iter().flatten() {
            prop_assert!(expected.iter().any(|(name, _)| tool["name"] == **name), "{}", left);
        }
        let (mut before, mut after) = (body, left);
        for key in ["tools", "tool_choice"] {
            before.as_object_mut().unwrap().remove(key);
            after.as_object_mut().unwrap().remove(key);
        }
        prop_assert_eq!(before, after);
    }
}
