//! What a request of Messages offers, forces and answers, what is refused, and what is left when offers are denied.

use crate::{
    dialect::{
        Api, Kept, Request,
        tests::request::{self, are},
        understand,
    },
    json,
    refusal::Refusal,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Understands a request of these members beside its model.
fn with<T>(members: &Value, read: impl FnOnce(Result<Request<'_>, Refusal>) -> T) -> T {
    let beside = json!({ "model": "claude", "max_tokens": 5 });
    // The count of a message's tokens is asked for in the same words.
    let shown =
        |request: Result<Request<'_>, Refusal>| request.ok().map(|request| format!("{:?}", request.offers));
    let [counted, message] =
        [Api::CountTokens, Api::Messages].map(|api| request::with(api, &beside, members, shown));
    assert_eq!(counted, message);
    request::with(Api::Messages, &beside, members, read)
}

fn offered(members: &Value) -> Vec<(String, Option<Value>)> {
    with(members, |request| request::offered(&request.unwrap()))
}

#[track_caller]
fn offers(members: &Value, expected: &[(&str, Option<Value>)]) {
    are(&offered(members), expected, members);
}

fn tool(name: &str) -> Value {
    json!({ "name": name, "input_schema": { "type": "object" } })
}

fn server(name: &str) -> Value {
    json!({ "type": "url", "url": format!("https://{name}"), "name": name, "authorization_token": "secret" })
}

/// A server's parameters by the names that rules know.
fn seen(name: &str, more: &Value) -> Value {
    let mut seen = server(name);
    seen["authorization_token"] = json!("[CREDENTIAL]");
    seen["server_url"] = json!(format!("https://{name}"));
    seen["server_label"] = json!(name);
    seen.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    seen
}

fn toolset(server: &str) -> Value {
    json!({ "type": "mcp_toolset", "mcp_server_name": server })
}

#[test]
fn offers_are_found_wherever_they_stand() {
    offers(&json!({}), &[]);
    offers(&json!({ "tools": null, "mcp_servers": null }), &[]);
    offers(&json!({ "tools": [], "mcp_servers": [] }), &[]);
    let custom = json!({ "type": "custom", "name": "sql", "input_schema": {} });
    let untyped = json!({ "type": null, "name": "old", "input_schema": {} });
    offers(
        &json!({ "tools": [tool("get"), custom, untyped] }),
        &[("get", None), ("sql", None), ("old", None)],
    );
    let search = json!({ "type": "web_search_20250305", "name": "web_search", "max_uses": 5 });
    let fetch = json!({ "type": "web_fetch_20250910", "name": "web_fetch" });
    let bash = json!({ "type": "bash_20250124", "name": "bash" });
    let editor = json!({ "type": "text_editor_20250728", "name": "str_replace_based_edit_tool" });
    offers(
        &json!({ "mcp_servers": [server("crm")], "tools": [search, fetch, bash, editor, { "type": "moon_20300101" }] }),
        &[
            ("builtin__web_search", Some(search)),
            ("builtin__web_fetch", Some(fetch)),
            ("bash", None),
            ("str_replace_based_edit_tool", None),
            ("builtin__moon", Some(json!({ "type": "moon_20300101" }))),
            ("builtin__mcp", Some(seen("crm", &json!({})))),
        ],
    );
}

#[test]
fn a_server_shows_the_tools_that_it_is_narrowed_to() {
    let mut narrow = toolset("crm");
    narrow["default_config"] = json!({ "enabled": false });
    narrow["configs"] = json!({ "a": { "enabled": true }, "b": { "enabled": false }, "c": {} });
    let narrowed = json!({ "allowed_tools": ["a"] });
    offers(
        &json!({ "mcp_servers": [server("crm"), server("hr")], "tools": [narrow, toolset("hr")] }),
        &[("builtin__mcp", Some(seen("crm", &narrowed))), ("builtin__mcp", Some(seen("hr", &json!({}))))],
    );
    let mut configured = server("crm");
    configured["tool_configuration"] = json!({ "enabled": true, "allowed_tools": ["x"] });
    let more = json!({ "tool_configuration": configured["tool_configuration"], "allowed_tools": ["x"] });
    offers(&json!({ "mcp_servers": [configured] }), &[("builtin__mcp", Some(seen("crm", &more)))]);
}

#[test]
fn a_server_is_narrowed_in_one_place_that_can_be_read_in_one_way() {
    let refused = |members: Value, what: &str| with(&members, |request| assert!(request.is_err(), "{what}"));
    let mut configured = server("crm");
    configured["tool_configuration"] = json!({ "allowed_tools": ["x"] });
    refused(json!({ "mcp_servers": [configured], "tools": [toolset("crm")] }), "both");
    for (key, value) in [
        ("Default_config", json!({ "enabled": true })),
        ("Configs", json!({})),
        ("default_config", json!({ "enabled": false, "Enabled": true })),
        ("default_config", json!({ "Enabled": false })),
        ("default_config", json!({ "enabled": "false" })),
        ("configs", json!({ "x": { "Enabled": true } })),
        ("configs", json!({ "x": { "enabled": 1 } })),
    ] {
        let mut set = toolset("crm");
        set[key] = value;
        refused(json!({ "mcp_servers": [server("crm")], "tools": [set] }), key);
    }
    // Everything is on, and one tool besides.
    let mut set = toolset("crm");
    set["configs"] = json!({ "x": { "enabled": true } });
    offers(
        &json!({ "mcp_servers": [server("crm")], "tools": [set] }),
        &[("builtin__mcp", Some(seen("crm", &json!({}))))],
    );
    for key in
        ["authorization", "base_url", "connector_id", "headers", "require_approval", "server", "server_label"]
    {
        let mut foreign = server("crm");
        foreign[key] = json!("x");
        refused(json!({ "mcp_servers": [foreign] }), key);
    }
    let mut inner = server("crm");
    inner["tools"] = json!([tool("delete")]);
    refused(json!({ "mcp_servers": [inner] }), "tools");
}

#[test]
fn a_tool_of_the_providers_has_the_name_that_it_has() {
    let refused =
        |tool: Value| with(&json!({ "tools": [tool] }), |request| assert!(request.is_err(), "{tool}"));
    for (kind, name) in [
        ("bash_20250124", "bash"),
        ("computer_20250124", "computer"),
        ("memory_20250818", "memory"),
        ("text_editor_20250124", "str_replace_editor"),
        ("text_editor_20250728", "str_replace_based_edit_tool"),
    ] {
        offers(&json!({ "tools": [{ "type": kind, "name": name }] }), &[(name, None)]);
        refused(json!({ "type": kind, "name": "get_weather" }));
        refused(json!({ "type": kind, "name": 5 }));
    }
    refused(json!({ "type": "web_search_20250305", "name": "web_search", "external_web_access": false }));
    refused(
        json!({ "type": "code_execution_20250825", "name": "code_execution", "container": { "id": "c" } }),
    );
    refused(json!({ "type": "namespace", "name": "n", "tools": [tool("delete")] }));
    refused(json!({ "name": "get", "input_schema": {}, "tools": [tool("delete")] }));
}

#[test]
fn nothing_but_tools_brings_tools_or_files() {
    let check =
        |members: Value, ok: bool| with(&members, |request| assert_eq!(request.is_ok(), ok, "{members}"));
    let said = |block: Value| json!({ "messages": [{ "role": "user", "content": [block] }] });
    for (key, value) in
        [("tools", json!([tool("delete")])), ("tool_changes", json!([])), ("file_id", json!("f"))]
    {
        check(json!({ "messages": [{ "role": "user", "content": "hi", key: value }] }), false);
        for member in ["cache_control", "metadata", "output_format", "prefill", "service_tier", "thinking"] {
            check(json!({ member: { key: value } }), false);
        }
        check(said(json!({ "type": "text", "text": "x", "input": { key: value } })), false);
        let own = json!({ "type": "tool_use", "id": "t", "name": "get", "input": { key: value } });
        check(said(own), true);
    }
    let listing = json!({ "type": "mcp_tool_listing", "mcp_server_name": "x", "tools": [{ "name": "a", "input_schema": { "properties": { "file_id": {} }, "examples": [{ "file_id": "x" }] } }] });
    check(said(listing.clone()), true);
    check(json!({ "system": [listing] }), false);
    check(said(json!({ "type": "tool_result", "tool_use_id": "a", "content": [listing] })), false);
    let file = json!({ "type": "document", "source": { "type": "file", "file_id": "f" } });
    check(said(json!({ "type": "document", "citations": [file] })), false);
    check(said(json!({ "type": "document", "action": file })), false);
    check(
        said(
            json!({ "type": "text", "text": "x", "citations": [{ "type": "char_location", "file_id": "f" }] }),
        ),
        true,
    );
    let ran = |content: Value| {
        said(json!({ "type": "bash_code_execution_tool_result", "tool_use_id": "a", "content": content }))
    };
    check(ran(json!({ "content": [{ "type": "bash_code_execution_output", "file_id": "f" }] })), true);
    check(ran(json!([file])), false);
    check(ran(json!([{ "type": "container_upload" }])), false);
    let schema = json!({ "type": "object", "properties": { "file_id": {}, "container_id": {}, "tools": { "type": "array" }, "tool_changes": { "type": "array" } } });
    check(json!({ "output_config": { "format": { "type": "json_schema", "schema": schema } } }), true);
    check(json!({ "output_format": { "type": "json_schema", "schema": schema } }), true);
}

#[test]
fn what_a_choice_forces() {
    let check = |choice: Value, expected: &[&str]| {
        let search = json!({ "type": "web_search_20250305", "name": "search" });
        let members = json!({ "tools": [tool("pay"), search], "tool_choice": choice });
        let forced: Vec<String> = with(&members, |request| {
            request.unwrap().forced.iter().map(|forced| forced.tool.to_string()).collect()
        });
        assert_eq!(forced, expected, "{members}");
    };
    check(json!(null), &[]);
    for free in ["auto", "any", "none"] {
        check(json!({ "type": free, "disable_parallel_tool_use": true }), &[]);
    }
    check(json!({ "type": "tool", "name": "pay" }), &["pay"]);
    check(json!({ "type": "tool", "name": "unheard_of" }), &["unheard_of"]);
    check(json!({ "type": "tool", "name": "search" }), &["builtin__web_search"]);
}

#[test]
fn what_cannot_be_decided_on_is_refused_by_name() {
    let check = |members: Value, param: &str| {
        with(&members, |request| match request.unwrap_err() {
            Refusal::Invalid { param: found, .. } => assert_eq!(found.as_deref(), Some(param), "{members}"),
            other => panic!("{other:?} for {members}"),
        });
    };
    for model in [json!(null), json!(5), json!(["claude"])] {
        check(json!({ "model": model }), "model");
    }
    check(json!({ "stream": "yes" }), "stream");
    check(json!({ "container": "container_1" }), "container");
    check(json!({ "container": { "skills": [] } }), "container");
    for tools in [json!({}), json!("get"), json!([5]), json!([{}]), json!([{ "name": 5 }])] {
        check(json!({ "tools": tools }), "tools");
    }
    check(json!({ "tools": [{ "type": 5, "name": "get" }] }), "tools.type");
    check(json!({ "tools": [{ "type": "custom" }] }), "tools");
    check(json!({ "tools": [{ "type": "mcp_toolset" }] }), "tools");
    check(json!({ "mcp_servers": [server("crm")], "tools": [toolset("crm"), toolset("crm")] }), "tools");
    for servers in [json!({}), json!([5]), json!([{ "name": "crm" }]), json!([{ "url": 5 }])] {
        check(json!({ "mcp_servers": servers }), "mcp_servers");
    }
    for choice in [json!("auto"), json!([]), json!({}), json!({ "type": "some" }), json!({ "type": "tool" })]
    {
        check(json!({ "tool_choice": choice }), "tool_choice");
    }
    check(json!({ "messages": {} }), "messages");
    let document = json!({ "type": "document", "source": { "type": "file", "file_id": "file_1" } });
    let upload = json!({ "type": "container_upload", "file_id": "file_1" });
    let said = |blocks: Value| json!({ "messages": [{ "role": "user", "content": blocks }] });
    check(said(json!([document])), "messages");
    check(said(json!([{ "type": "text", "text": "hi" }, upload])), "messages");
    check(said(json!([{ "type": "tool_result", "tool_use_id": "a", "content": [document] }])), "messages");
    let text = "[]";
    let refused = understand(Api::Messages, &json::parse(text.as_bytes(), 2).unwrap()).unwrap_err();
    assert_eq!((refused.status(), refused.param()), (400, None));
}

#[test]
fn what_another_reader_could_take_for_a_decided_member_is_refused() {
    let refused = |members: &Value| with(members, |request| assert!(request.is_err(), "{members}"));
    let upper = |key: &str| {
        let (first, rest) = key.split_at(1);
        format!("{}{rest}", first.to_uppercase())
    };
    for key in ["container", "mcp_servers", "messages", "model", "stream", "system", "tool_choice", "tools"] {
        refused(&json!({ upper(key): null }));
        refused(&json!({ key.to_uppercase(): null }));
    }
    refused(&json!({ "tool\u{17f}": [tool("delete")] }));
    for key in ["type", "name", "input_schema", "mcp_server_name"] {
        let mut twin = tool("get");
        twin[upper(key)] = json!("delete");
        refused(&json!({ "tools": [twin] }));
    }
    for key in ["url", "name", "type", "tool_configuration"] {
        let mut twin = server("crm");
        twin[upper(key)] = json!("https://evil");
        refused(&json!({ "mcp_servers": [twin] }));
    }
    for key in ["type", "name"] {
        refused(&json!({ "tool_choice": { "type": "auto", upper(key): "delete" } }));
    }
    for key in ["type", "id", "name", "input", "tool_use_id"] {
        refused(
            &json!({ "messages": [{ "role": "user", "content": [{ "type": "text", "text": "", upper(key): "x" }] }] }),
        );
    }
}

#[test]
fn calls_that_a_request_brings_results_for() {
    let check = |blocks: Value, expected: &[(&str, &str)]| {
        let members = json!({ "messages": [{ "role": "user", "content": "hi" }, { "role": "assistant", "content": blocks }] });
        let found: Vec<(String, String)> = with(&members, |request| {
            let answered = request.unwrap().answered;
            answered.iter().map(|call| (call.tool.to_string(), call.text.to_string())).collect()
        });
        let found: Vec<(&str, &str)> = found.iter().map(|(tool, text)| (&**tool, &**text)).collect();
        assert_eq!(found, expected, "{blocks}");
    };
    let call =
        |id: &str, name: &str| json!({ "type": "tool_use", "id": id, "name": name, "input": { "v": 1 } });
    let result = |id: &str| json!({ "type": "tool_result", "tool_use_id": id, "content": "ok" });
    check(json!([]), &[]);
    check(json!([call("a", "pay")]), &[]);
    check(json!([call("a", "pay"), call("b", "get"), result("b")]), &[("get", "{\"v\":1}")]);
    // The result may stand before its call; a decision must not depend on the order.
    check(json!([result("a"), call("a", "pay")]), &[("pay", "{\"v\":1}")]);
    // A result that names no call may be the result of any.
    check(json!([call("a", "pay"), { "type": "tool_result" }]), &[("pay", "{\"v\":1}")]);
    check(
        json!([{ "type": "tool_use", "name": "pay", "input": {} }, { "type": "tool_result" }]),
        &[("pay", "{}")],
    );
    // A result in the form of what a provider found is one all the same.
    for kind in ["mcp_tool_result", "web_search_tool_result", "search_result"] {
        check(
            json!([call("a", "pay"), { "type": kind, "tool_use_id": "a", "content": [] }]),
            &[("pay", "{\"v\":1}")],
        );
    }
    let nameless = json!([{ "type": "tool_use", "id": "a", "input": {} }, result("a")]);
    with(&json!({ "messages": [{ "role": "assistant", "content": nameless }] }), |request| {
        assert!(request.is_err());
    });
    // A result that names a call that is not there may be the result of any, too.
    check(json!([call("a", "pay"), result("b")]), &[("pay", "{\"v\":1}")]);
}

#[test]
fn what_the_provider_ran_is_judged_like_what_the_client_ran() {
    let check = |messages: Value, expected: &[&str]| {
        with(&json!({ "messages": messages }), |request| {
            let answered = request.unwrap().answered;
            let tools: Vec<&str> = answered.iter().map(|call| &*call.tool).collect();
            assert_eq!(tools, expected, "{messages}");
            // No condition of a rule can be shown to hold: the parameters were those of the offer.
            assert!(answered.iter().all(|call| call.text == "{}"), "{messages}");
        });
    };
    let said = |role: &str, blocks: Value| json!({ "role": role, "content": blocks });
    for (call, name, result, tool) in [
        ("server_tool_use", "web_search", "web_search_tool_result", "builtin__web_search"),
        ("server_tool_use", "web_fetch", "web_fetch_tool_result", "builtin__web_fetch"),
        ("server_tool_use", "code_execution", "code_execution_tool_result", "builtin__code_execution"),
        (
            "server_tool_use",
            "bash_code_execution",
            "bash_code_execution_tool_result",
            "builtin__code_execution",
        ),
        ("mcp_tool_use", "del", "mcp_tool_result", "builtin__mcp"),
    ] {
        let call = json!({ "type": call, "id": "s", "name": name, "input": { "q": 1 }, "server_name": "x" });
        let result = json!({ "type": result, "tool_use_id": "s", "content": [] });
        check(json!([said("assistant", json!([call]))]), &[]);
        check(json!([said("assistant", json!([call, result]))]), &[tool]);
        check(json!([said("assistant", json!([call])), said("user", json!([result]))]), &[tool]);
        check(json!([said("user", json!([result])), said("assistant", json!([call]))]), &[tool]);
        // Without its call, by what it says it is.
        check(json!([said("user", json!([result, result]))]), &[tool]);
    }
}

fn restricted(body: &Value, kept: &[Kept]) -> Value {
    request::restricted(Api::Messages, body, kept)
}

#[test]
fn what_is_denied_is_taken_out() {
    let body = json!({ "model": "m", "tools": [tool("a"), toolset("crm"), tool("b")], "mcp_servers": [server("crm")], "tool_choice": { "type": "any" } });
    let check = |kept: [Kept; 3], expected: Value| assert_eq!(restricted(&body, &kept), expected, "{kept:?}");
    check([Kept::AsIs, Kept::AsIs, Kept::AsIs], body.clone());
    // The set of tools goes with its server.
    check(
        [Kept::Out, Kept::AsIs, Kept::Out],
        json!({ "model": "m", "tools": [tool("b")], "tool_choice": { "type": "any" } }),
    );
    check(
        [Kept::Out, Kept::Out, Kept::AsIs],
        json!({ "model": "m", "tools": [toolset("crm")], "mcp_servers": [server("crm")], "tool_choice": { "type": "any" } }),
    );
    check([Kept::Out, Kept::Out, Kept::Out], json!({ "model": "m" }));
    // An offer without a decision is not kept.
    assert_eq!(restricted(&body, &[]), json!({ "model": "m" }));
    let stray = json!({ "tools": [toolset("unheard_of")] });
    assert_eq!(restricted(&stray, &[]), json!({}));
}

#[test]
fn what_a_rule_forces_into_a_server_narrows_its_tools() {
    let body = json!({ "tools": [toolset("crm")], "mcp_servers": [server("crm")] });
    let forced = seen("crm", &json!({ "allowed_tools": ["x"] })).to_string();
    let kept = Kept::As(json::parse(forced.as_bytes(), 32).unwrap().into_owned());
    let left = restricted(&body, std::slice::from_ref(&kept));
    assert_eq!(left["tools"][0]["configs"], json!({ "x": { "enabled": true } }));
    assert_eq!(left["tools"][0]["default_config"], json!({ "enabled": false }));
    assert_eq!(
        left["mcp_servers"],
        json!([server("crm")]),
        "narrowed in one place; its credential is its own, its names are Anthropic's"
    );
    with(&left, |request| assert!(request.is_ok(), "what is sent could have been asked for"));
    let alone = restricted(&json!({ "model": "m", "mcp_servers": [server("crm")] }), &[kept]);
    let mut narrowed = server("crm");
    narrowed["tool_configuration"] = json!({ "allowed_tools": ["x"] });
    assert_eq!(alone["mcp_servers"], json!([narrowed]));
    // What cannot be said in the set of tools is not left out: the server is.
    for cannot in [json!({ "allowed_tools": "x" }), json!({ "tool_configuration": { "enabled": false } })] {
        let forced = seen("crm", &cannot).to_string();
        let kept = Kept::As(json::parse(forced.as_bytes(), 32).unwrap().into_owned());
        let left = restricted(&body, &[kept]);
        assert!(left.get("mcp_servers").is_none() && left.get("tools").is_none(), "{left}");
    }
    let moved = seen("crm", &json!({ "server_url": "https://b" })).to_string();
    let kept = Kept::As(json::parse(moved.as_bytes(), 32).unwrap().into_owned());
    let mut elsewhere = server("crm");
    elsewhere["url"] = json!("https://b");
    assert_eq!(restricted(&body, &[kept])["mcp_servers"], json!([elsewhere]));
}

/// Members with a random selection of offers, and others that no decision concerns.
fn bodies() -> impl Strategy<Value = Value> {
    let name = || prop::sample::select(vec!["a", "b", "c", "d"]);
    let kind =
        prop::sample::select(vec!["web_search_20250305", "web_fetch_20250910", "code_execution_20250825"]);
    let offer = prop_oneof![
        4 => name().prop_map(tool),
        1 => kind.prop_map(|kind| json!({ "type": kind, "name": "x", "max_uses": 1 })),
    ];
    let servers = prop::sample::subsequence(vec!["crm", "hr", "it"], 0..=3);
    let sets = prop::sample::subsequence(vec!["crm", "hr", "it"], 0..=3);
    let choice = prop::sample::select(vec![json!({ "type": "auto" }), json!({ "type": "any" }), json!(null)]);
    (prop::collection::vec(offer, 0..5), servers, sets, prop::option::of(choice), any::<u32>()).prop_map(
        |(mut tools, servers, sets, choice, seed)| {
            for (at, set) in sets.into_iter().enumerate() {
                tools.insert((at * 2).min(tools.len()), toolset(set));
            }
            let servers: Vec<Value> = servers.into_iter().map(server).collect();
            let mut body =
                json!({ "model": "m", "messages": [{ "role": "user", "content": "é\u{1}" }], "top_p": seed });
            for (key, value) in
                [("tools", json!(tools)), ("mcp_servers", json!(servers)), ("tool_choice", json!(choice))]
            {
                if value != json!([]) && !value.is_null() {
                    body[key] = value;
                }
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
        let kept = request::kept(keep);
        let left = restricted(&body, &kept);
        let expected: Vec<_> = offered_before.into_iter().zip(keep).filter(|(_, keep)| **keep).map(|(offer, _)| offer).collect();
        prop_assert_eq!(&offered(&left), &expected);
        // Nothing is left over that speaks of what was taken out.
        let items = |key: &str| left.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let servers = items("mcp_servers");
        for tool in items("tools").iter().filter(|tool| tool["type"] == "mcp_toolset") {
            prop_assert!(servers.iter().any(|server| server["name"] == tool["mcp_server_name"]), "{}", left);
        }
        prop_assert!(left.get("tools") != Some(&json!([])) && left.get("mcp_servers") != Some(&json!([])));
        prop_assert!(!expected.is_empty() || left.get("tool_choice").is_none());
        let (mut before, mut after) = (body, left);
        for key in ["tools", "mcp_servers", "tool_choice"] {
            before.as_object_mut().unwrap().remove(key);
            after.as_object_mut().unwrap().remove(key);
        }
        prop_assert_eq!(before, after);
    }
}
