//! What is left of a request of Responses when offers are denied.

use super::{function, namespace, offered, server};
use crate::{
    dialect::{Api, Kept, tests::request},
    json,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn restricted(body: &Value, kept: &[Kept]) -> Value {
    request::restricted(Api::Responses, body, kept)
}

#[track_caller]
fn restricts(body: &Value, keep: &[bool], expected: &Value) {
    assert_eq!(&restricted(body, &request::kept(keep)), expected, "{body} {keep:?}");
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
        let kept = request::kept(keep);
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
