//! What a request of Responses offers, forces and lists.

use super::{function, namespace, offered, server, with};
use crate::dialect::tests::request::are;
use serde_json::{Value, json};

#[track_caller]
fn offers(members: &Value, expected: &[(&str, Option<Value>)]) {
    are(&offered(members), expected, members);
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
fn nothing_that_is_not_known_goes_with_a_server() {
    for (key, value) in [
        ("server", json!({ "url": "https://elsewhere.example/mcp" })),
        ("base_url", json!("https://elsewhere.example/mcp")),
        ("endpoint", json!("https://elsewhere.example/mcp")),
        ("servers", json!(["https://elsewhere.example/mcp"])),
        ("x", json!(1)),
    ] {
        let mut tool = server("crm");
        tool[key] = value;
        with(&json!({ "tools": [tool] }), |request| {
            let refusal = request.unwrap_err();
            assert_eq!(refusal.status(), 400);
            assert!(refusal.message().contains(&format!("`{key}`")), "{}", refusal.message());
        });
        // One that is null says nothing.
        tool[key] = json!(null);
        with(&json!({ "tools": [tool] }), |request| assert!(request.is_ok(), "{key}"));
    }
    let mut tool = server("crm");
    tool["server_description"] = json!("what it is for");
    tool["defer_loading"] = json!(true);
    tool["require_approval"] = json!("never");
    tool["allowed_tools"] = json!({ "read_only": true });
    with(&json!({ "tools": [tool] }), |request| assert!(request.is_ok()));
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
