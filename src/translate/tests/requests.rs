//! Laws over requests: what one dialect can say and the other too comes back as it was, in turns as Anthropic wants
//! them, and no body does harm.

use super::{Client, Upstream, translated};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn text() -> impl Strategy<Value = String> {
    // No text without a visible character: Anthropic refuses them, and they are left out.
    ".{0,10}[a-z\"é]"
}

fn object() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![any::<i64>().prop_map(|n| json!(n)), ".{0,8}".prop_map(|s| json!(s))];
    prop::collection::btree_map("[a-z]{1,6}", leaf, 0..4).prop_map(|map| json!(map))
}

/// A tool whose parameters are an object with properties.
fn tool() -> impl Strategy<Value = (String, Option<String>, Value, bool)> {
    let parameters = object().prop_map(|properties| json!({ "type": "object", "properties": properties }));
    ("[a-z_]{1,10}", prop::option::of(text()), parameters, any::<bool>())
}

fn chat_tool((name, description, parameters, strict): (String, Option<String>, Value, bool)) -> Value {
    let mut function = json!({ "name": name, "parameters": parameters });
    if let Some(description) = description {
        function["description"] = json!(description);
    }
    if strict {
        function["strict"] = json!(true);
    }
    json!({ "type": "function", "function": function })
}

fn user() -> impl Strategy<Value = Value> {
    let part = prop_oneof![
        text().prop_map(|text| json!({ "type": "text", "text": text })),
        "[A-Za-z0-9+/]{1,8}".prop_map(|data| {
            json!({ "type": "image_url", "image_url": { "url": format!("data:image/png;base64,{data}") } })
        }),
        "[a-z]{1,8}".prop_map(|path| json!({ "type": "image_url", "image_url": { "url": format!("https://x/{path}") } })),
        ("[a-z]{1,8}", "[A-Za-z0-9+/]{1,8}").prop_map(|(name, data)| {
            json!({ "type": "file", "file": { "filename": name, "file_data": format!("data:application/pdf;base64,{data}") } })
        }),
    ];
    let image = "[a-z]{1,8}"
        .prop_map(|path| json!({ "type": "image_url", "image_url": { "url": format!("https://x/{path}") } }));
    prop_oneof![
        text().prop_map(|text| json!({ "role": "user", "content": text })),
        // Never a single text, which is written as a string.
        (prop::collection::vec(part, 1..4), image).prop_map(|(mut parts, image)| {
            parts.push(image);
            json!({ "role": "user", "content": parts })
        }),
    ]
}

/// A turn of the assistant with its calls, the results, and the user's next turn.
fn round() -> impl Strategy<Value = Vec<Value>> {
    let call = ("[a-z]{1,6}", object(), text());
    let calls = prop::collection::vec(call, 0..3);
    (text(), any::<bool>(), calls, user()).prop_map(|(said, silent, calls, user)| {
        let mut message = json!({ "role": "assistant", "content": said });
        let id = |at: usize| format!("call_{at}");
        let written: Vec<Value> = calls
            .iter()
            .enumerate()
            .map(|(at, (name, input, _))| {
                json!({ "id": id(at), "type": "function", "function": { "name": name, "arguments": input.to_string() } })
            })
            .collect();
        if !written.is_empty() {
            message["tool_calls"] = json!(written);
            if silent {
                message["content"] = Value::Null;
            }
        }
        let mut turns = vec![message];
        for (at, (_, _, result)) in calls.iter().enumerate() {
            turns.push(json!({ "role": "tool", "tool_call_id": id(at), "content": result }));
        }
        turns.push(user);
        turns
    })
}

fn settings() -> impl Strategy<Value = Map<String, Value>> {
    fn maybe(
        key: &'static str,
        value: impl Strategy<Value = Value>,
    ) -> impl Strategy<Value = Option<(String, Value)>> {
        prop::option::of(value.prop_map(move |value| (key.to_owned(), value)))
    }
    let effort = prop::sample::select(&["low", "medium", "high", "xhigh", "max"][..]);
    let format = object().prop_map(|schema| {
        json!({ "type": "json_schema", "json_schema": { "name": "answer", "schema": schema, "strict": true } })
    });
    (
        (1..100_000_u32).prop_map(|tokens| json!(tokens)),
        maybe("temperature", (0..=100_u8).prop_map(|degree| json!(f64::from(degree) / 100.0))),
        maybe("top_p", (0..=100_u8).prop_map(|degree| json!(f64::from(degree) / 100.0))),
        maybe("stop", prop::collection::vec(text(), 1..5).prop_map(|texts| json!(texts))),
        maybe("user", text().prop_map(|text| json!(text))),
        maybe("reasoning_effort", effort.prop_map(|effort| json!(effort))),
        maybe("response_format", format),
        any::<bool>(),
    )
        .prop_map(|(tokens, a, b, c, d, e, f, stream)| {
            let mut settings: Map<String, Value> = [a, b, c, d, e, f].into_iter().flatten().collect();
            settings.insert("max_completion_tokens".into(), tokens);
            if stream {
                settings.insert("stream".into(), json!(true));
                settings.insert("stream_options".into(), json!({ "include_usage": true }));
            }
            settings
        })
}

/// A Chat request that says nothing which Messages cannot say.
fn conversation() -> impl Strategy<Value = Value> {
    let tools = prop::collection::vec(tool(), 0..3);
    let choice = prop::option::of(0..4_u8);
    let rounds = prop::collection::vec(round(), 0..3);
    (settings(), prop::option::of(text()), user(), rounds, (tools, choice, any::<bool>())).prop_map(
        |(settings, system, user, rounds, (tools, choice, one_call))| {
            let mut messages: Vec<Value> =
                system.into_iter().map(|text| json!({ "role": "system", "content": text })).collect();
            messages.push(user);
            messages.extend(rounds.into_iter().flatten());
            let mut body = Value::Object(settings);
            body["model"] = json!("m");
            body["messages"] = json!(messages);
            if let Some((name, ..)) = tools.first().cloned() {
                body["tools"] = tools.into_iter().map(chat_tool).collect();
                let choices = [
                    json!("auto"),
                    json!("none"),
                    json!("required"),
                    json!({ "type": "function", "function": { "name": name } }),
                ];
                let choice = choice.map(|at| choices[usize::from(at)].clone());
                // A choice of none has no place for it, and one without a choice is written as `auto`.
                if one_call && choice.as_ref().is_some_and(|choice| *choice != "none") {
                    body["parallel_tool_calls"] = json!(false);
                }
                choice.into_iter().for_each(|choice| body["tool_choice"] = choice);
            }
            body
        },
    )
}

#[test]
fn a_long_label_of_a_user_is_sent_as_its_digest() {
    let sent = |user: &str| {
        let body = json!({ "model": "m", "max_tokens": 1, "metadata": { "user_id": user }, "messages": [] });
        let there = translated(Client::Messages, Upstream::Chat, body.to_string().as_bytes()).unwrap();
        serde_json::from_str::<Value>(&there).unwrap()["user"].as_str().unwrap().to_owned()
    };
    let (short, long) = ("u".repeat(64), "u".repeat(65));
    assert_eq!(sent(&short), short);
    assert_eq!((sent(&long).len(), sent(&long) == sent(&"v".repeat(65))), (64, false));
}

proptest! {
    #[test]
    fn a_request_comes_back_as_it_was(body in conversation()) {
        let there = translated(Client::Chat, Upstream::Messages, body.to_string().as_bytes()).unwrap();
        let back = translated(Client::Messages, Upstream::Chat, there.as_bytes()).unwrap();
        let mut expected = body;
        if expected.get("tools").is_some() {
            // An effort beside tools goes to no provider of Chat Completions.
            expected.as_object_mut().unwrap().remove("reasoning_effort");
        }
        prop_assert_eq!(serde_json::from_str::<Value>(&back).unwrap(), expected, "{}", there);
    }

    #[test]
    fn anthropics_rules_for_turns_are_kept(body in conversation()) {
        let there = translated(Client::Chat, Upstream::Messages, body.to_string().as_bytes()).unwrap();
        let there: Value = serde_json::from_str(&there).unwrap();
        let mut waiting: Vec<Value> = Vec::new();
        for message in there["messages"].as_array().unwrap() {
            let content = message["content"].as_array().unwrap();
            prop_assert!(!content.is_empty());
            let of = |kind: &str, key: &str| -> Vec<Value> {
                content.iter().filter(|block| block["type"] == kind).map(|block| block[key].clone()).collect()
            };
            // Every call is answered in the very next turn, before anything else is said.
            prop_assert_eq!(of("tool_result", "tool_use_id"), std::mem::take(&mut waiting));
            let results = content.iter().take_while(|block| block["type"] == "tool_result").count();
            prop_assert_eq!(results, of("tool_result", "type").len());
            prop_assert!(content.iter().all(|block| block["type"] != "text" || !block["text"].as_str().unwrap().trim().is_empty()));
            waiting = of("tool_use", "id");
        }
        prop_assert!(waiting.is_empty());
    }

    #[test]
    fn arbitrary_bodies_do_no_harm(body in json_value()) {
        for (from, to) in [
            (Client::Chat, Upstream::Messages),
            (Client::Messages, Upstream::Chat),
            (Client::Responses, Upstream::Chat),
            (Client::Responses, Upstream::Messages),
        ] {
            if let Err(refusal) = translated(from, to, body.to_string().as_bytes()) {
                prop_assert_eq!(refusal.status(), 400);
            }
        }
    }
}

/// JSON that often uses words of the dialects.
fn json_value() -> impl Strategy<Value = Value> {
    const WORDS: [&str; 20] = [
        "model",
        "messages",
        "role",
        "content",
        "type",
        "text",
        "user",
        "assistant",
        "tools",
        "function",
        "name",
        "tool_use",
        "tool_result",
        "input",
        "image_url",
        "source",
        "tool_calls",
        "arguments",
        "thinking",
        "system",
    ];
    let word = || prop::sample::select(&WORDS[..]).prop_map(ToOwned::to_owned);
    let leaf = prop_oneof![
        word().prop_map(|word| json!(word)),
        any::<u8>().prop_map(|n| json!(n)),
        Just(Value::Null)
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map(word(), inner, 0..6).prop_map(|map| json!(map)),
        ]
    })
}
