//! Items of tools that are no functions: those that the provider ran itself, and those that the client is to run.

use serde_json::{Map, Value, json};

use super::{
    super::{plan::Plan, write::text},
    item::{Happening, Item, with},
};

/// A tool of this type that the provider ran; of a type that is not known, no more than that.
pub(super) fn ran(plan: &Plan, kind: &str, at: usize) -> Item {
    let (prefix, members, steps): (&str, Value, &[&str]) = match kind {
        "web_search_call" => (
            "ws",
            json!({ "action": { "type": "search", "query": "tollgate" } }),
            &["in_progress", "searching", "completed"],
        ),
        "file_search_call" => (
            "fs",
            json!({ "queries": ["tollgate"], "results": null }),
            &["in_progress", "searching", "completed"],
        ),
        "code_interpreter_call" => (
            "ci",
            json!({ "code": "print(1)", "container_id": "cntr_mock", "outputs": null }),
            &["in_progress", "interpreting", "completed"],
        ),
        "image_generation_call" => {
            ("ig", json!({ "result": "bW9jaw==" }), &["in_progress", "generating", "completed"])
        }
        "mcp_call" => (
            "mcp",
            json!({
                "server_label": "mock", "name": "get_weather", "arguments": r#"{"city":"Bern"}"#,
                "output": "sunny", "error": null, "approval_request_id": null,
            }),
            &["in_progress", "completed"],
        ),
        "mcp_list_tools" => {
            ("mcpl", json!({ "server_label": "mock", "tools": [] }), &["in_progress", "completed"])
        }
        _ => ("item", json!({}), &[]),
    };
    let id = plan.id(prefix, &format!("{kind}\0{at}"));
    let added = with(&json!({ "id": id, "type": kind, "status": "in_progress" }), members);
    let mut between: Vec<Happening> =
        steps.iter().map(|step| Happening::new(format!("{kind}.{step}"), Vec::new())).collect();
    if let ("mcp_call", Some(arguments)) = (kind, added.get("arguments").and_then(Value::as_str)) {
        between.insert(1, Happening::new("mcp_call_arguments.delta", vec![("delta", text(arguments))]));
        between.insert(2, Happening::new("mcp_call_arguments.done", vec![("arguments", text(arguments))]));
    }
    Item { done: with(&added, json!({ "status": "completed" })), added, between, is_call: false }
}

/// An item of any type with any members, over those that such an item has.
pub(super) fn to_run(plan: &Plan, kind: &str, members: &Map<String, Value>, at: usize) -> Item {
    let (prefix, usual) = match kind {
        "computer_call" => ("cu", json!({ "action": { "type": "screenshot" }, "pending_safety_checks": [] })),
        "local_shell_call" => ("lsh", json!({ "action": { "type": "exec", "command": ["ls"], "env": {} } })),
        "shell_call" => {
            ("sh", json!({ "action": { "commands": ["ls"], "timeout_ms": null, "max_output_length": null } }))
        }
        "apply_patch_call" => {
            let operation = json!({ "type": "create_file", "path": "a.txt", "diff": "+a\n" });
            ("apc", json!({ "operation": operation }))
        }
        "mcp_approval_request" => {
            ("mcpr", json!({ "server_label": "mock", "name": "get_weather", "arguments": "{}" }))
        }
        _ => ("item", json!({})),
    };
    let what = format!("{kind}\0{members:?}\0{at}");
    let head = json!({ "id": plan.id(prefix, &what), "type": kind });
    let run = match kind {
        "mcp_approval_request" => json!({}),
        _ => json!({ "call_id": plan.id("call", &what), "status": "completed" }),
    };
    let done = with(&with(&with(&head, run), usual), members.clone().into());
    let added = match done.get("status") {
        Some(_) => with(&done, json!({ "status": "in_progress" })),
        None => done.clone(),
    };
    Item { done, added, between: Vec::new(), is_call: false }
}
