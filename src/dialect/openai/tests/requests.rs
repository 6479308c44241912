//! What a request offers, forces and answers, and what is left of it when offers are denied.

use super::{Api, restrict, understand};
use crate::{
    dialect::{
        Request,
        tests::request::{self, are, kept},
    },
    json,
    refusal::Refusal,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Understands a chat request of these members beside its model.
fn with<T>(members: &Value, read: impl FnOnce(Result<Request<'_>, Refusal>) -> T) -> T {
    request::with(Api::Chat, &json!({ "model": "gpt-5" }), members, read)
}

#[track_caller]
fn offers(members: &Value, expected: &[(&str, Option<Value>)]) {
    are(&with(members, |request| request::offered(&request.unwrap())), expected, members);
}

fn function(name: &str) -> Value {
    json!({ "type": "function", "function": { "name": name, "parameters": { "n": 1.50 } } })
}

#[test]
fn offers_are_found_wherever_they_stand() {
    offers(&json!({}), &[]);
    offers(&json!({ "tools": null, "functions": null, "web_search_options": null }), &[]);
    offers(&json!({ "tools": [] }), &[]);
    let custom = json!({ "type": "custom", "custom": { "name": "sql" } });
    offers(&json!({ "tools": [function("get"), custom] }), &[("get", None), ("sql", None)]);
    offers(
        &json!({ "web_search_options": { "user_location": null }, "functions": [{ "name": "old" }], "tools": [function("new")] }),
        &[("new", None), ("old", None), ("builtin__web_search", Some(json!({ "user_location": null })))],
    );
}

#[test]
fn tools_of_the_provider_go_by_their_type_without_a_date() {
    let check = |kind: &str, expected: &str| {
        let tool = json!({ "type": kind, "options": { "tenant": "acme" } });
        // What the client runs has its arguments when it is called.
        let args = expected.starts_with("builtin__").then(|| tool.clone());
        offers(&json!({ "tools": [tool] }), &[(expected, args)]);
    };
    check("file_search", "builtin__file_search");
    check("code_interpreter", "builtin__code_interpreter");
    check("web_search_20250305", "builtin__web_search");
    check("web_search_2025_08_26", "builtin__web_search");
    check("web_search_preview", "builtin__web_search_preview");
    check("web_search_preview_2025_03_11", "builtin__web_search_preview");
    check("web-search-2025-08-26", "builtin__web-search");
    check("v2_search_12", "builtin__v2_search_12");
    check("unheard_of", "builtin__unheard_of");
    check("Function", "builtin__Function");
    check("bash", "bash");
    check("local_shell", "local_shell");
    check("computer", "computer");
    check("computer_20250124", "computer");
    check("shell", "shell");
    let container = json!({ "type": "shell", "environment": { "type": "container_auto" } });
    offers(&json!({ "tools": [container] }), &[("builtin__shell", Some(container))]);
    let server = json!({ "type": "mcp", "server_url": "https://crm.example/mcp" });
    offers(&json!({ "tools": [server] }), &[("builtin__mcp", Some(server))]);
    let refused =
        |tool: Value| with(&json!({ "tools": [tool] }), |request| assert!(request.is_err(), "{tool}"));
    refused(
        json!({ "type": "mcp", "server_url": "https://crm.example/mcp", "base_url": "https://b.example" }),
    );
    for kind in ["apply_patch", "bash_20250124", "computer", "local_shell", "shell", "tool_search"] {
        refused(json!({ "type": kind, "name": "get_weather" }));
    }
    refused(
        json!({ "type": "shell", "environment": { "type": "container_reference", "container_id": "c" } }),
    );
    refused(json!({ "type": "namespace", "name": "n", "tools": [function("delete")] }));
    let mut inner = function("get");
    inner["tools"] = json!([function("delete")]);
    refused(inner);
}

#[test]
fn a_search_has_only_what_this_api_reads() {
    let search = |options: Value| json!({ "web_search_options": options });
    for key in ["allowed_domains", "external_web_access", "filters"] {
        with(&search(json!({ key: false })), |request| assert!(request.is_err(), "{key}"));
        with(&search(json!({ key: null })), |request| assert!(request.is_ok(), "null is nothing: {key}"));
    }
}

#[test]
fn a_message_brings_no_tools() {
    let message = |more: Value| json!({ "messages": [{ "role": "system", "content": "x", "tools": more }] });
    with(&message(json!([function("delete")])), |request| assert!(request.is_err()));
    with(&message(json!(null)), |request| assert!(request.is_ok()));
    let arguments = json!({ "tools": [{ "name": "x" }] });
    let call =
        json!({ "id": "a", "type": "function", "function": { "name": "get", "arguments": arguments } });
    with(&json!({ "messages": [{ "role": "assistant", "tool_calls": [call] }] }), |request| {
        assert!(request.is_ok(), "what a call carries is its own");
    });
}

/// Members by which some providers and proxies are told what nobody here decides on: in every API, and as others may read them.
#[test]
fn what_leads_elsewhere_is_refused_in_every_api() {
    let apis = [
        (Api::Chat, json!({ "model": "gpt-5", "messages": [{ "role": "user", "content": "hi" }] })),
        (Api::Completions, json!({ "model": "gpt-5", "prompt": "hi" })),
        (Api::Embeddings, json!({ "model": "gpt-5", "input": "hi" })),
        (Api::Moderations, json!({ "model": "gpt-5", "input": "hi" })),
    ];
    let tool = json!([{ "type": "function", "function": { "name": "bad" } }]);
    let refused = [
        json!({ "extra_body": { "tools": tool } }),
        json!({ "litellm_params": {} }),
        json!({ "fallbacks": [{ "model": "forbidden" }] }),
        json!({ "model_list": [] }),
        json!({ "api_base": "http://169.254.169.254" }),
        json!({ "base_url": "http://169.254.169.254" }),
        json!({ "Api_Base": "http://169.254.169.254" }),
        json!({ "data_sources": [{ "type": "azure_search" }] }),
        json!({ "vector_store_ids": ["vs_1"] }),
        json!({ "file_ids": ["file_1"] }),
        json!({ "unheard_of": { "file_ids": ["file_1"] } }),
        json!({ "unheard_of": [{ "tools": tool }] }),
        json!({ "enable_search": true }),
    ];
    for (api, base) in &apis {
        for members in &refused {
            let status = request::with(*api, base, members, |request| request.unwrap_err().status());
            assert_eq!(status, 400, "{api:?} {members}");
        }
        for members in
            [json!({ "unheard_of": { "tools": 3 } }), json!({ "metadata": { "file": "a" }, "user": "u" })]
        {
            assert!(request::with(*api, base, &members, |request| request.is_ok()), "{api:?} {members}");
        }
    }
    let choice = json!({ "type": "allowed_tools", "allowed_tools": { "mode": "auto", "tools": [{ "type": "function", "function": { "name": "get" } }] } });
    let schema = json!({ "type": "json_schema", "json_schema": { "name": "x", "schema": { "properties": { "tools": [{}] } } } });
    let members = json!({ "tools": [function("get")], "tool_choice": choice, "response_format": schema });
    assert!(with(&members, |request| request.is_ok()));
    assert_eq!(with(&json!({ "prompt": { "id": "pmpt_1" } }), |request| request.unwrap_err().status()), 400);
}

#[test]
fn a_choice_means_one_of_several_servers() {
    let server = |label: &str| json!({ "type": "mcp", "server_label": label, "server_url": "https://a" });
    let members =
        json!({ "tools": [server("a"), server("b")], "tool_choice": { "type": "mcp", "server_label": "b" } });
    with(&members, |request| {
        let request = request.unwrap();
        let is: Vec<bool> = request.offers.iter().map(|offer| request.forced[0].is(offer)).collect();
        assert_eq!(is, [false, true]);
    });
    let choice = json!({ "type": "mcp", "server_label": 5 });
    with(&json!({ "tool_choice": choice }), |request| assert!(request.is_err()));
    let listed = json!([{ "type": "mcp", "server_label": "a" }, { "type": "mcp", "server_label": "b" }]);
    let choice = |tools: Value| json!({ "type": "allowed_tools", "allowed_tools": { "mode": "auto", "tools": tools } });
    restricts(
        &json!({ "tools": [server("a"), server("b")], "tool_choice": choice(listed.clone()) }),
        &[true, false],
        &json!({ "tools": [server("a")], "tool_choice": choice(json!([listed[0]])) }),
    );
}

#[test]
fn what_a_choice_forces() {
    let check = |members: Value, expected: &[&str]| {
        let forced: Vec<String> = with(&members, |request| {
            request.unwrap().forced.iter().map(|forced| forced.tool.to_string()).collect()
        });
        assert_eq!(forced, expected, "{members}");
    };
    for free in ["none", "auto", "required"] {
        check(json!({ "tool_choice": free, "function_call": free }), &[]);
    }
    check(json!({ "tool_choice": null, "function_call": null }), &[]);
    check(json!({ "tool_choice": { "type": "function", "function": { "name": "pay" } } }), &["pay"]);
    check(json!({ "tool_choice": { "type": "custom", "custom": { "name": "sql" } } }), &["sql"]);
    check(json!({ "tool_choice": { "type": "file_search" } }), &["builtin__file_search"]);
    check(json!({ "tool_choice": { "type": "web_search_2025_08_26" } }), &["builtin__web_search"]);
    check(json!({ "function_call": { "name": "pay" } }), &["pay"]);
    let allowed = json!({ "type": "allowed_tools", "allowed_tools": { "mode": "required", "tools": [function("pay")] } });
    check(json!({ "tool_choice": allowed }), &[]);
}

#[test]
fn wrong_types_are_refused_by_name() {
    let check = |members: Value, param: Option<&str>| {
        with(&members, |request| match request.unwrap_err() {
            Refusal::Invalid { param: found, .. } => assert_eq!(found.as_deref(), param, "{members}"),
            other => panic!("{other:?} for {members}"),
        });
    };
    for model in [json!(null), json!(5), json!(["gpt-5"])] {
        check(json!({ "model": model }), Some("model"));
    }
    check(json!({ "stream": "yes" }), Some("stream"));
    for tools in [json!({}), json!("get"), json!([5]), json!([{}]), json!([{ "type": 5 }])] {
        check(json!({ "tools": tools }), Some("tools"));
    }
    for inner in [json!(null), json!({}), json!({ "name": null }), json!({ "name": ["a"] }), json!("pay")] {
        check(json!({ "tools": [{ "type": "function", "function": inner }] }), Some("tools"));
        check(json!({ "tools": [{ "type": "custom", "custom": inner }] }), Some("tools"));
        check(json!({ "tool_choice": { "type": "function", "function": inner } }), Some("tool_choice"));
        check(json!({ "functions": [inner] }), Some("functions"));
    }
    check(json!({ "tools": [{ "type": "function", "name": "pay" }] }), Some("tools"));
    for choice in [json!(5), json!([]), json!({}), json!({ "type": 1 }), json!({ "type": "allowed_tools" })] {
        check(json!({ "tool_choice": choice }), Some("tool_choice"));
    }
    let allowed = |tools: Value| json!({ "type": "allowed_tools", "allowed_tools": { "tools": tools } });
    check(json!({ "tool_choice": allowed(json!([{ "type": "function" }])) }), Some("tool_choice"));
    check(json!({ "function_call": 5 }), Some("function_call"));
    check(json!({ "function_call": { "name": 5 } }), Some("function_call"));
    check(json!({ "messages": {} }), Some("messages"));
    let result = json!({ "role": "tool", "tool_call_id": "a" });
    check(json!({ "messages": [{ "tool_calls": "x" }, result] }), Some("tool_calls"));
    let text = "[]";
    let refused = understand(Api::Chat, &json::parse(text.as_bytes(), 2).unwrap()).unwrap_err();
    assert_eq!((refused.status(), refused.param()), (400, None));
}

#[test]
fn calls_that_a_request_brings_results_for() {
    let check = |messages: Value, expected: &[(&str, &str)]| {
        let members = json!({ "messages": messages });
        let found: Vec<(String, String)> = with(&members, |request| {
            let answered = request.unwrap().answered;
            answered.iter().map(|call| (call.tool.to_string(), call.text.to_string())).collect()
        });
        let found: Vec<(&str, &str)> = found.iter().map(|(tool, text)| (&**tool, &**text)).collect();
        assert_eq!(found, expected, "{messages}");
    };
    let call = |id: Value, name: &str| json!({ "id": id, "type": "function", "function": { "name": name, "arguments": "{}" } });
    let said = |calls: Vec<Value>| json!({ "role": "assistant", "tool_calls": calls });
    let result = |id: Value| json!({ "role": "tool", "tool_call_id": id, "content": "ok" });
    check(json!([{ "role": "user", "content": "hi" }]), &[]);
    check(json!([said(vec![call(json!("a"), "pay")])]), &[]);
    check(
        json!([said(vec![call(json!("a"), "pay"), call(json!("b"), "get")]), result(json!("b"))]),
        &[("get", "{}")],
    );
    // The result may stand before its call; a decision must not depend on the order.
    check(json!([result(json!("a")), said(vec![call(json!("a"), "pay")])]), &[("pay", "{}")]);
    check(json!([said(vec![call(json!(7), "pay")]), result(json!(7))]), &[("pay", "{}")]);
    check(
        json!([said(vec![call(json!(null), "pay")]), { "role": "tool", "content": "ok" }]),
        &[("pay", "{}")],
    );
    // A result that names no call may be the result of any.
    check(
        json!([said(vec![call(json!("a"), "pay")]), { "role": "tool", "content": "ok" }]),
        &[("pay", "{}")],
    );
    let custom = json!({ "id": "c", "type": "custom", "custom": { "name": "sql", "input": "DROP" } });
    check(json!([said(vec![custom]), result(json!("c"))]), &[("sql", "DROP")]);
    let old = json!({ "role": "assistant", "function_call": { "name": "pay", "arguments": "{\"a\":1}" } });
    check(json!([old, { "role": "function", "name": "pay", "content": "ok" }]), &[("pay", "{\"a\":1}")]);
    // A result that names no call of the request may be the result of any, and is judged by its own name too.
    check(
        json!([old, { "role": "function", "name": "get", "content": "ok" }]),
        &[("pay", "{\"a\":1}"), ("get", "?")],
    );
    check(json!([old, result(json!("zz"))]), &[("pay", "{\"a\":1}")]);
    let new = said(vec![call(json!("a"), "pay")]);
    check(json!([new, result(json!("b"))]), &[("pay", "{}")]);
    check(json!([new, { "role": "function", "name": "pay", "content": "ok" }]), &[("pay", "{}")]);
    check(json!([{ "role": "function", "name": "pay", "content": "ok" }]), &[("pay", "?")]);
    // Beside the id of a call, a name is a participant's.
    check(
        json!([new, { "role": "tool", "tool_call_id": "a", "name": "get", "content": "ok" }]),
        &[("pay", "{}")],
    );
    check(
        json!([new, { "role": "tool", "tool_call_id": "a", "name": "pay", "content": "ok" }]),
        &[("pay", "{}")],
    );
    // Whoever speaks: what names a call is a result.
    check(json!([new, { "role": "ipython", "tool_call_id": "a", "content": "ok" }]), &[("pay", "{}")]);
    check(json!([new, { "role": "assistant", "name": "helper", "tool_call_id": "", "content": "ok" }]), &[]);
}

#[test]
fn a_role_that_looks_like_another_is_refused() {
    for role in ["Tool", "TOOL", "tool ", "Function", "Assistant", "U\u{17f}er"] {
        let members = json!({ "messages": [{ "role": role, "tool_call_id": "a", "content": "ok" }] });
        with(&members, |request| {
            let refusal = request.unwrap_err();
            assert_eq!(refusal.status(), 400, "{role}: {refusal:?}");
        });
    }
    with(&json!({ "messages": [{ "role": 7, "content": "ok" }] }), |request| assert!(request.is_err()));
}

#[track_caller]
fn restricts(body: &Value, keep: &[bool], expected: &Value) {
    let text = body.to_string();
    let parsed = json::parse(text.as_bytes(), 32).unwrap();
    let left = restrict(&parsed, &kept(keep)).to_string();
    assert_eq!(&serde_json::from_str::<Value>(&left).unwrap(), expected, "{body} {keep:?}");
}

#[test]
fn what_is_denied_is_taken_out() {
    let tools = json!([function("a"), function("b")]);
    let body = json!({ "tools": tools, "tool_choice": "auto", "parallel_tool_calls": true, "seed": 1.50 });
    restricts(&body, &[true, true], &body);
    let left =
        json!({ "tools": [function("b")], "tool_choice": "auto", "parallel_tool_calls": true, "seed": 1.50 });
    restricts(&body, &[false, true], &left);
    restricts(&body, &[false, false], &json!({ "seed": 1.50 }));
    // An offer without a decision is not kept.
    restricts(&body, &[], &json!({ "seed": 1.50 }));
    let legacy = json!({ "functions": [{ "name": "a" }, { "name": "b" }], "function_call": "auto" });
    restricts(&legacy, &[true, false], &json!({ "functions": [{ "name": "a" }], "function_call": "auto" }));
    restricts(&legacy, &[false, false], &json!({}));
    let search =
        json!({ "tools": [function("a")], "functions": [{ "name": "b" }], "web_search_options": {} });
    restricts(
        &search,
        &[true, true, false],
        &json!({ "tools": [function("a")], "functions": [{ "name": "b" }] }),
    );
    restricts(&search, &[false, false, true], &json!({ "web_search_options": {} }));
    let null = json!({ "tools": [function("a"), function("b")], "web_search_options": null });
    restricts(&null, &[true, false], &json!({ "tools": [function("a")], "web_search_options": null }));
}

#[test]
fn allowed_tools_name_only_what_is_left() {
    let body = |tools: Value, allowed: Value| {
        let choice =
            json!({ "type": "allowed_tools", "allowed_tools": { "mode": "required", "tools": allowed } });
        json!({ "tools": tools, "tool_choice": choice })
    };
    let named = |name: &str| json!({ "type": "function", "function": { "name": name } });
    let both = json!([named("a"), named("b")]);
    let all = body(json!([function("a"), function("b"), function("c")]), both.clone());
    restricts(&all, &[true, true, false], &body(json!([function("a"), function("b")]), both));
    restricts(&all, &[false, true, true], &body(json!([function("b"), function("c")]), json!([named("b")])));
    let none = json!({ "tools": [function("c")], "tool_choice": "none" });
    restricts(&all, &[false, false, true], &none);
    restricts(&all, &[false, false, false], &json!({}));
}

/// Members with a random selection of offers, and others that no decision concerns.
fn bodies() -> impl Strategy<Value = Value> {
    let name = || prop::sample::select(vec!["a", "b", "c", "d"]);
    let kind = prop::sample::select(vec!["file_search", "web_search_20250305", "bash"]);
    let tool = prop_oneof![
        3 => name().prop_map(function),
        1 => name().prop_map(|name| json!({ "type": "custom", "custom": { "name": name } })),
        1 => kind.prop_map(|kind| json!({ "type": kind, "options": { "n": 1 } })),
    ];
    let choice = prop_oneof![
        prop::sample::select(vec![json!("auto"), json!("required"), json!(null)]),
        prop::collection::vec(name(), 0..3).prop_map(|names| {
            let tools: Vec<Value> = names.into_iter().map(function).collect();
            json!({ "type": "allowed_tools", "allowed_tools": { "mode": "auto", "tools": tools } })
        }),
    ];
    let functions = prop::collection::vec(name().prop_map(|name| json!({ "name": name })), 1..4);
    (
        prop::option::of(prop::collection::vec(tool, 1..5)),
        prop::option::of(functions),
        prop::option::of(Just(json!({ "search_context_size": "low" }))),
        prop::option::of(choice),
        any::<u32>(),
    )
        .prop_map(|(tools, functions, search, choice, seed)| {
            let mut body =
                json!({ "model": "m", "messages": [{ "role": "user", "content": "é\u{1}" }], "seed": seed });
            let members = [
                ("tools", tools.map(Value::from)),
                ("functions", functions.map(Value::from)),
                ("web_search_options", search),
                ("tool_choice", choice),
            ];
            for (key, value) in members {
                if let Some(value) = value {
                    body[key] = value;
                }
            }
            body
        })
}

proptest! {
    #[test]
    fn what_is_left_offers_what_was_kept_and_nothing_else_changes(body in bodies(), keep in prop::collection::vec(any::<bool>(), 10)) {
        let text = body.to_string();
        let parsed = json::parse(text.as_bytes(), 32).unwrap();
        let offered: Vec<String> =
            understand(Api::Chat, &parsed).unwrap().offers.iter().map(|offer| format!("{offer:?}")).collect();
        let keep = &keep[..offered.len()];
        let left = restrict(&parsed, &kept(keep)).to_string();
        let reread = json::parse(left.as_bytes(), 32).unwrap();
        let found: Vec<String> =
            understand(Api::Chat, &reread).unwrap().offers.iter().map(|offer| format!("{offer:?}")).collect();
        let kept: Vec<String> = offered.iter().zip(keep).filter(|(_, keep)| **keep).map(|(offer, _)| offer.clone()).collect();
        prop_assert_eq!(found, kept);
        let (mut before, mut after) = (body, serde_json::from_str::<Value>(&left).unwrap());
        for key in ["tools", "functions", "web_search_options", "tool_choice"] {
            before.as_object_mut().unwrap().remove(key);
            after.as_object_mut().unwrap().remove(key);
        }
        prop_assert_eq!(before, after);
        if keep.iter().all(|keep| *keep) && parsed.get("tools").is_some() && parsed.get("tool_choice").is_none() {
            prop_assert_eq!(left, text);
        }
    }
}

#[test]
fn what_another_reader_could_take_for_a_decided_member_is_refused() {
    let refused = |members: Value| with(&members, |request| assert!(request.is_err(), "{members}"));
    refused(json!({ "Model": "gpt-4" }));
    refused(json!({ "Tools": [function("delete")] }));
    refused(json!({ "tool\u{17f}": [function("delete")] }));
    refused(json!({ "models": ["gpt-4"] }));
    refused(json!({ "mcp_servers": [{ "url": "http://x" }] }));
    refused(json!({ "tools": [{ "type": "function", "function": { "name": "get", "Name": "delete" } }] }));
    refused(
        json!({ "tools": [{ "type": "function", "function": { "name": "get" }, "Function": { "name": "delete" } }] }),
    );
    refused(
        json!({ "tools": [{ "type": "function", "function": { "name": "get" }, "custom": { "name": "delete" } }] }),
    );
    refused(json!({ "tools": [{ "type": "function", "function": { "name": "get" }, "name": "delete" }] }));
    refused(json!({ "tools": [function("get")], "tool_choice": "delete" }));
    let text = json!({ "model": "m", "prompt": "x", "tools": [function("get")] }).to_string();
    assert!(understand(Api::Completions, &json::parse(text.as_bytes(), 32).unwrap()).is_err());
}
