//! What cannot be carried over is a 400 that names the parameter and says what to do.

use super::{Client, Refusal, Upstream, translated};
use serde_json::{Value, json};

/// The least that a request of each dialect must say.
fn least(from: Client) -> Value {
    match from {
        Client::Chat => json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }] }),
        Client::Responses => json!({ "model": "m", "input": "x" }),
        Client::Messages => {
            json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "x" }] })
        }
    }
}

/// A change of the least request is refused, and the refusal names the parameter and says it in words.
#[track_caller]
fn refused(from: Client, to: Upstream, changes: &Value, param: &str) {
    let mut body = least(from);
    for (key, value) in changes.as_object().unwrap() {
        body[key] = value.clone();
    }
    let refusal = translated(from, to, body.to_string().as_bytes()).expect_err(&body.to_string());
    let Refusal::Invalid { message, param: named } = &refusal else { panic!("{refusal:?}") };
    assert_eq!(named.as_deref(), Some(param), "{message}");
    assert!(message.starts_with(&format!("`{param}` ")), "{message}");
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "a table of literals reads better")]
fn chat(changes: Value, param: &str) {
    refused(Client::Chat, Upstream::Messages, &changes, param);
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "a table of literals reads better")]
fn messages(changes: Value, param: &str) {
    refused(Client::Messages, Upstream::Chat, &changes, param);
}

#[test]
fn settings_that_messages_does_not_know_are_refused_by_name() {
    let check = chat;
    for (key, value) in [
        ("n", json!(2)),
        ("seed", json!(1)),
        ("logprobs", json!(true)),
        ("top_logprobs", json!(2)),
        ("presence_penalty", json!(0.5)),
        ("frequency_penalty", json!(-1)),
        ("logit_bias", json!({ "1": 5 })),
        ("prediction", json!({ "type": "content", "content": "x" })),
        ("audio", json!({ "voice": "alloy", "format": "wav" })),
        ("modalities", json!(["text", "audio"])),
        ("metadata", json!({ "a": "b" })),
        ("store", json!(true)),
        ("web_search_options", json!({})),
        ("moderation", json!({ "model": "x" })),
        ("service_tier", json!("priority")),
        ("verbosity", json!("low")),
        ("functions", json!([])),
        ("function_call", json!("auto")),
        ("temperature", json!(1.01)),
        ("temperature", json!("hot")),
        ("top_p", json!(true)),
        ("max_tokens", json!(0)),
        ("max_completion_tokens", json!(1.5)),
        ("reasoning_effort", json!("hard")),
        ("stop", json!(["\n"])),
        ("stop", json!(5)),
        ("stream", json!("yes")),
        ("top_k", json!(5)),
        ("Model", json!("other")),
        ("tool_choice", json!("required")),
        ("tool_choice", json!("any")),
        ("messages", json!("x")),
        ("messages", Value::Null),
    ] {
        check(json!({ key: value }), key);
    }
}

#[test]
fn parts_of_settings_that_messages_does_not_know_are_refused_by_name() {
    let check = chat;
    check(json!({ "max_tokens": 5, "max_completion_tokens": 6 }), "max_tokens");
    check(json!({ "stop": ["a", 5] }), "stop[1]");
    check(json!({ "stream_options": { "other": 1 } }), "stream_options.other");
    check(json!({ "response_format": { "type": "json_object" } }), "response_format");
    check(json!({ "response_format": { "type": "grammar" } }), "response_format.type");
    check(
        json!({ "response_format": { "type": "json_schema", "json_schema": { "name": "x" } } }),
        "response_format.json_schema.schema",
    );
    check(json!({ "tools": [{ "type": "custom", "custom": { "name": "x" } }] }), "tools[0].type");
    check(
        json!({ "tools": [{ "type": "function", "function": { "name": "x", "other": 1 } }] }),
        "tools[0].function.other",
    );
    check(json!({ "tools": [{ "type": "function", "function": {} }] }), "tools[0].function.name");
    check(json!({ "tool_choice": { "type": "custom", "custom": { "name": "x" } } }), "tool_choice.type");
    check(
        json!({ "tool_choice": { "type": "allowed_tools", "allowed_tools": { "mode": "auto", "tools": [{ "type": "function", "function": { "name": "x" } }] } } }),
        "tool_choice.allowed_tools.tools[0]",
    );
}

#[test]
fn messages_that_messages_does_not_know_are_refused_by_name() {
    let check = chat;
    let user = |content: Value| json!({ "messages": [{ "role": "user", "content": content }] });
    let message = |message: Value| json!({ "messages": [message] });
    check(user(json!([{ "type": "input_audio", "input_audio": {} }])), "messages[0].content[0].type");
    check(user(json!([{ "type": "text", "text": "x" }, { "type": "video" }])), "messages[0].content[1].type");
    check(
        user(json!([{ "type": "file", "file": { "file_id": "f" } }])),
        "messages[0].content[0].file.file_id",
    );
    check(
        user(json!([{ "type": "file", "file": { "file_data": "data:text/plain;base64,AA" } }])),
        "messages[0].content[0].file.file_data",
    );
    check(
        user(json!([{ "type": "image_url", "image_url": { "url": "ftp://x" } }])),
        "messages[0].content[0].image_url.url",
    );
    check(
        user(json!([{ "type": "image_url", "image_url": { "url": "data:image/png,x" } }])),
        "messages[0].content[0].image_url.url",
    );
    check(user(json!(5)), "messages[0].content");
    check(message(json!({ "role": "user", "content": "x", "name": "Ann" })), "messages[0].name");
    check(message(json!({ "role": "user" })), "messages[0].content");
    check(message(json!({ "role": "function", "name": "x", "content": "y" })), "messages[0].role");
    check(message(json!({ "role": "critic", "content": "y" })), "messages[0].role");
    check(message(json!({ "role": "tool", "content": "y" })), "messages[0].tool_call_id");
    check(message(json!({ "role": "assistant", "function_call": {} })), "messages[0].function_call");
    check(message(json!({ "role": "assistant", "audio": { "id": "a" } })), "messages[0].audio");
    let call = |call: Value| message(json!({ "role": "assistant", "tool_calls": [call] }));
    check(call(json!({ "id": "a", "type": "custom", "custom": {} })), "messages[0].tool_calls[0].type");
    for arguments in ["[]", "{", "{\"a\":1,\"a\":2}", "5"] {
        let function = json!({ "name": "x", "arguments": arguments });
        check(
            call(json!({ "id": "a", "type": "function", "function": function })),
            "messages[0].tool_calls[0].function.arguments",
        );
    }
}

#[test]
fn settings_that_chat_does_not_know_are_refused_by_name() {
    let check = messages;
    for (key, value) in [
        ("max_tokens", Value::Null),
        ("max_tokens", json!(0)),
        ("top_k", json!(5)),
        ("mcp_servers", json!([{ "type": "url", "url": "https://x", "name": "x" }])),
        ("container", json!("c")),
        ("speed", json!("fast")),
        ("inference_geo", json!("eu")),
        ("diagnostics", json!({})),
        ("service_tier", json!("priority")),
        ("stop_sequences", json!(["a", "b", "c", "d", "e"])),
        ("fallbacks", json!([])),
        ("tool_choice", json!({ "type": "any" })),
    ] {
        check(json!({ key: value }), key);
    }
    check(json!({ "stop_sequences": [1] }), "stop_sequences[0]");
    check(json!({ "metadata": { "team": "x" } }), "metadata.team");
    check(json!({ "thinking": { "type": "enabled" } }), "thinking.budget_tokens");
    check(json!({ "thinking": { "type": "deep" } }), "thinking.type");
    check(json!({ "output_config": { "effort": "hard" } }), "output_config.effort");
    check(json!({ "output_config": { "task_budget": {} } }), "output_config.task_budget");
    check(json!({ "output_config": { "format": { "type": "regex" } } }), "output_config.format.type");
    check(
        json!({ "context_management": { "edits": [{ "type": "clear_tool_uses_20250919" }] } }),
        "context_management.edits[0].type",
    );
    check(json!({ "system": [{ "type": "image" }] }), "system[0].type");
    for kind in ["bash_20250124", "web_search_20250305", "computer_toolset_20260801", "mcp_toolset"] {
        check(json!({ "tools": [{ "type": kind, "name": "x" }] }), "tools[0].type");
    }
    let tool =
        |key: &str, value: Value| json!({ "tools": [{ "name": "x", "input_schema": {}, key: value }] });
    check(tool("defer_loading", json!(true)), "tools[0].defer_loading");
    check(tool("allowed_callers", json!(["code_execution_20260120"])), "tools[0].allowed_callers");
    check(tool("input_examples", json!([{}])), "tools[0].input_examples");
    check(tool("other", json!(1)), "tools[0].other");
    check(json!({ "tools": [{ "name": "x" }] }), "tools[0].input_schema");
    check(json!({ "tool_choice": { "type": "some" } }), "tool_choice.type");
}

#[test]
fn blocks_that_chat_does_not_know_are_refused_by_name() {
    let check = messages;
    let user = |block: Value| json!({ "messages": [{ "role": "user", "content": [block] }] });
    let assistant = |block: Value| json!({ "messages": [{ "role": "assistant", "content": [block] }] });
    for kind in ["search_result", "container_upload", "web_search_tool_result", "server_tool_use"] {
        check(user(json!({ "type": kind })), "messages[0].content[0].type");
        check(assistant(json!({ "type": kind })), "messages[0].content[0].type");
    }
    check(user(json!({ "type": "text" })), "messages[0].content[0].text");
    check(
        user(json!({ "type": "image", "source": { "type": "file", "file_id": "f" } })),
        "messages[0].content[0].source.type",
    );
    check(
        user(json!({ "type": "image", "source": { "type": "url", "url": "x" }, "transformations": {} })),
        "messages[0].content[0].transformations",
    );
    check(
        user(json!({ "type": "document", "source": { "type": "url", "url": "https://x" } })),
        "messages[0].content[0].source",
    );
    check(
        user(json!({ "type": "document", "source": { "type": "file", "file_id": "f" } })),
        "messages[0].content[0].source.type",
    );
    check(
        user(json!({ "type": "document", "citations": { "enabled": true }, "source": {} })),
        "messages[0].content[0].citations.enabled",
    );
    check(user(json!({ "type": "tool_result" })), "messages[0].content[0].tool_use_id");
    check(
        user(json!({ "type": "tool_result", "tool_use_id": "x", "content": [{ "type": "tool_reference" }] })),
        "messages[0].content[0].content[0].type",
    );
    check(
        user(json!({ "type": "tool_result", "tool_use_id": "x", "toolset_name": "t" })),
        "messages[0].content[0].toolset_name",
    );
    check(
        assistant(
            json!({ "type": "tool_use", "id": "x", "name": "y", "input": {}, "caller": { "type": "code_execution_20250825", "tool_id": "z" } }),
        ),
        "messages[0].content[0].caller",
    );
    check(assistant(json!({ "type": "image" })), "messages[0].content[0].type");
    check(json!({ "messages": [{ "role": "tool", "content": "x" }] }), "messages[0].role");
    check(json!({ "messages": [{ "role": "user", "content": "x", "name": "y" }] }), "messages[0].name");
    check(json!({ "messages": [{ "role": "user" }] }), "messages[0].content");
    check(json!({ "messages": ["x"] }), "messages[0]");
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "a table of literals reads better")]
fn responses(changes: Value, param: &str) {
    refused(Client::Responses, Upstream::Chat, &changes, param);
    refused(Client::Responses, Upstream::Messages, &changes, param);
}

#[test]
fn what_the_others_do_not_know_of_responses_is_refused_by_name() {
    let check = responses;
    for (key, value) in [
        ("previous_response_id", json!("resp_1")),
        ("conversation", json!("conv_1")),
        ("prompt", json!({ "id": "p" })),
        ("background", json!(true)),
        ("store", json!(true)),
        ("truncation", json!("auto")),
        ("metadata", json!({ "a": "b" })),
        ("service_tier", json!("flex")),
        ("top_logprobs", json!(3)),
        ("context_management", json!([])),
        ("moderation", json!({})),
        ("messages", json!([])),
        ("tool_choice", json!("required")),
        ("input", Value::Null),
        ("input", json!(5)),
        ("max_output_tokens", json!(0)),
    ] {
        check(json!({ key: value }), key);
    }
    check(json!({ "include": ["message.output_text.logprobs"] }), "include[0]");
    check(json!({ "reasoning": { "mode": "pro" } }), "reasoning.mode");
    check(json!({ "text": { "verbosity": "low" } }), "text.verbosity");
    for kind in ["web_search", "file_search", "mcp", "code_interpreter", "custom", "shell"] {
        check(json!({ "tools": [{ "type": kind, "name": "x" }] }), "tools[0].type");
    }
    check(
        json!({ "tools": [{ "type": "function", "name": "x", "output_schema": {} }] }),
        "tools[0].output_schema",
    );
    check(json!({ "tool_choice": { "type": "mcp", "server_label": "x" } }), "tool_choice.type");
    for kind in ["item_reference", "custom_tool_call", "mcp_call", "computer_call_output", "compaction"] {
        check(json!({ "input": [{ "type": kind, "id": "x" }] }), "input[0].type");
    }
    let user = |part: Value| json!({ "input": [{ "role": "user", "content": [part] }] });
    check(user(json!({ "type": "input_audio" })), "input[0].content[0].type");
    check(user(json!({ "type": "input_image", "file_id": "f" })), "input[0].content[0].file_id");
    check(user(json!({ "type": "input_file", "file_id": "f" })), "input[0].content[0].file_id");
    check(user(json!({ "type": "input_file", "file_data": "AAAA" })), "input[0].content[0].file_data");
    check(
        json!({ "input": [{ "type": "function_call", "call_id": "a", "name": "b", "namespace": "c" }] }),
        "input[0].namespace",
    );
    check(json!({ "input": [{ "type": "function_call_output", "output": "x" }] }), "input[0].call_id");
    refused(
        Client::Responses,
        Upstream::Messages,
        &json!({ "text": { "format": { "type": "json_object" } } }),
        "text.format",
    );
    refused(
        Client::Responses,
        Upstream::Chat,
        &user(json!({ "type": "input_file", "file_url": "https://x/a.pdf" })),
        "input[0].content[0].file_url",
    );
}
