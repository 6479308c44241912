//! Whole answers in odd shapes, limits, and the forms that only a hostile upstream would send.

use super::{
    Api, Script, Stream, client, once, run,
    script::{FORCED, LIMITS},
};
use crate::{
    dialect::{Told, Transcript},
    refusal::Refusal,
};
use serde_json::{Value, json};

fn whole(api: Api, body: &Value, script: &mut Script) -> Result<Option<Value>, Refusal> {
    let mut told = Told { completion: Transcript::keeping(1 << 20), ..Told::default() };
    let text = body.to_string();
    let left = super::whole(api, text.as_bytes(), LIMITS, &mut told, script)?;
    Ok(left.map(|left| serde_json::from_slice(&left).unwrap()))
}

fn answer(message: &Value, finish: &str) -> Value {
    json!({ "choices": [{ "index": 0, "message": message, "finish_reason": finish }], "usage": { "prompt_tokens": 1 } })
}

/// What becomes of a message; `None` where the answer leaves as it came.
#[track_caller]
fn check(message: &Value, finish: &str, expected: Option<(Value, &str)>) {
    let left = whole(Api::Chat, &answer(message, finish), &mut Script::default()).unwrap();
    let expected = expected.map(|(message, finish)| answer(&message, finish));
    assert_eq!(left, expected, "{message}");
}

fn call(name: &str) -> Value {
    json!({ "id": format!("call_{name}"), "type": "function", "function": { "name": name, "arguments": "{\"x\": 1.0}" } })
}

fn notice(name: &str) -> String {
    super::notice(name, "not here")
}

#[test]
fn whole_answers() {
    check(&json!({ "content": "hi" }), "stop", None);
    check(&json!({ "content": "hi", "tool_calls": null, "function_call": null }), "stop", None);
    check(&json!({ "content": null, "tool_calls": [] }), "stop", None);
    check(&json!({ "content": null, "tool_calls": [call("get"), call("get")] }), "tool_calls", None);
    let one_left = json!({ "content": notice("delete"), "tool_calls": [call("get")] });
    check(
        &json!({ "content": null, "tool_calls": [call("delete"), call("get")] }),
        "tool_calls",
        Some((one_left, "tool_calls")),
    );
    let none_left = json!({ "content": format!("Hm\n\n{}\n{}", notice("delete"), notice("delete_b")) });
    check(
        &json!({ "content": "Hm", "tool_calls": [call("delete"), call("delete_b")] }),
        "tool_calls",
        Some((none_left.clone(), "stop")),
    );
    check(
        &json!({ "content": "Hm", "tool_calls": [call("delete"), call("delete_b")] }),
        "stop",
        Some((none_left, "stop")),
    );
    let old = json!({ "name": "delete", "arguments": "{}" });
    check(
        &json!({ "function_call": old }),
        "function_call",
        Some((json!({ "content": notice("delete") }), "stop")),
    );
    let mut set = call("set");
    set["function"]["arguments"] = json!(FORCED);
    check(
        &json!({ "tool_calls": [call("set")] }),
        "tool_calls",
        Some((json!({ "tool_calls": [set] }), "tool_calls")),
    );
    let object =
        json!({ "id": "a", "type": "function", "function": { "name": "get", "arguments": { "x": 1 } } });
    check(&json!({ "tool_calls": [object] }), "tool_calls", None);
}

#[test]
fn parts_of_a_text_stay_beside_a_notice() {
    let part = json!({ "type": "text", "text": "Hm" });
    let told = json!({ "type": "text", "text": notice("delete") });
    check(
        &json!({ "content": [part], "tool_calls": [call("delete")] }),
        "tool_calls",
        Some((json!({ "content": [part, told] }), "stop")),
    );
}

#[test]
fn one_call_cannot_be_two() {
    // A client that goes by the type would read `function` where the judge was shown `custom`.
    let two = json!({ "id": "a", "type": "function", "function": { "name": "delete", "arguments": "{}" }, "custom": { "name": "get", "input": "x" } });
    let left =
        whole(Api::Chat, &answer(&json!({ "tool_calls": [two] }), "tool_calls"), &mut Script::default());
    if let Ok(left) = left {
        let text = left.expect("it cannot leave as it came").to_string();
        assert!(!text.contains("delete") || text.contains("was denied"), "{text}");
        assert!(!text.contains("\"type\":\"function\""), "{text}");
    }
    let chunk = json!({ "choices": [{ "index": 0, "delta": { "tool_calls": [two] }, "finish_reason": "tool_calls" }] });
    let found = once(format!("data: {chunk}\n\ndata: [DONE]\n\n").as_bytes());
    assert!(!String::from_utf8(found.out).unwrap().contains("delete"));
}

#[test]
fn what_cannot_be_inspected_does_not_leave() {
    let refused = |body: Value| {
        let result = whole(Api::Chat, &body, &mut Script::default());
        assert!(matches!(result, Err(Refusal::UpstreamError { .. })), "{body} {result:?}");
    };
    refused(json!({ "choices": [{ "message": { "tool_calls": call("get") } }] }));
    refused(json!({ "choices": [{ "message": { "tool_calls": "get" } }] }));
    refused(json!({ "choices": [{ "delta": { "tool_calls": [call("get")] } }] }));
    refused(json!({ "choices": [{ "message": { "inner": { "FUNCTION_CALL": { "name": "get" } } } }] }));
    refused(json!({ "choices": { "message": { "tool_calls": [call("get")] } } }));
    refused(json!({ "tool_calls": [call("get")] }));
    refused(json!({ "choices": [{ "message": { "tool_call": call("get") } }] }));
    refused(json!({ "choices": [{ "message": { "tool_call\u{17f}": [call("get")] } }] }));
    refused(
        json!({ "choices": [{ "message": { "content": [{ "type": "tool_use", "name": "get", "input": {} }] } }] }),
    );
    let nested = json!({ "id": "a", "type": "function", "function": { "name": "get", "arguments": "{}" }, "tool_calls": [call("delete")] });
    refused(answer(&json!({ "tool_calls": [nested] }), "tool_calls"));
    // An error with a status of 200 is an error: its text does not leave.
    refused(json!({ "error": { "message": "key sk-1" } }));
    refused(json!({ "choices": [{ "error": { "message": "key sk-1" } }] }));
    refused(json!({ "detail": "key sk-1" }));
    let mut told = Told::default();
    for text in ["{", "", "<html>", r#"{"choices":[],"choices":[]}"#] {
        for api in [Api::Chat, Api::Completions, Api::Embeddings, Api::Moderations] {
            assert!(
                super::whole(api, text.as_bytes(), LIMITS, &mut told, &mut Script::default()).is_err(),
                "{text}"
            );
        }
    }
    let aborted = answer(&json!({ "tool_calls": [call("abort"), call("get")] }), "tool_calls");
    assert_eq!(whole(Api::Chat, &aborted, &mut Script::default()), Err(Refusal::NotFound));
}

#[test]
fn a_kept_call_is_what_was_judged_and_nothing_beside() {
    let odd = json!({ "id": "a", "type": "function", "name": "delete", "arguments": "{}", "Function": { "name": "delete" },
        "function": { "name": "get", "arguments": "{}", "Name": "delete" }, "extra_content": { "signature": "s" } });
    let left =
        whole(Api::Chat, &answer(&json!({ "tool_calls": [odd] }), "tool_calls"), &mut Script::default());
    let kept = json!({ "id": "a", "type": "function", "function": { "name": "get", "arguments": "{}" }, "extra_content": { "signature": "s" } });
    assert_eq!(left, Ok(Some(answer(&json!({ "tool_calls": [kept] }), "tool_calls"))));
    let chunk = json!({ "choices": [{ "index": 0, "delta": { "tool_calls": [odd] }, "finish_reason": "tool_calls" }] });
    let found = once(format!("data: {chunk}\n\ndata: [DONE]\n\n").as_bytes());
    assert!(!String::from_utf8(found.out).unwrap().contains("delete"));
}

#[test]
fn an_empty_finish_is_none_and_errors_in_chunks_do_not_leave() {
    let chunk = |arguments: &str, finish: &str| {
        let call = json!({ "index": 0, "function": { "name": "get", "arguments": arguments } });
        let chunk = json!({ "choices": [{ "index": 0, "delta": { "tool_calls": [call] }, "finish_reason": finish }] });
        format!("data: {chunk}\n\n")
    };
    let text = chunk("", "") + &chunk("{\"q\":1}", "tool_calls") + "data: [DONE]\n\n";
    let found = once(text.as_bytes());
    assert_eq!(found.log.len(), 1);
    assert_eq!(found.log[0].text, "{\"q\":1}");
    let silent = once(b"data: {\"message\":\"key sk-1\",\"code\":401}\n\ndata: [DONE]\n\n");
    assert_eq!(String::from_utf8(silent.out).unwrap(), "data: [DONE]\n\n");
    let failed = once(b"data: {\"choices\":[{\"index\":0,\"error\":{\"message\":\"sk-1\"}}]}\n\n");
    assert!(failed.failed.is_some() && !String::from_utf8(failed.out).unwrap().contains("sk-1"));
}

#[test]
fn two_allowed_pieces_do_not_join_to_a_denied_call() {
    let chunk = |id: &str, name: &str, arguments: &str| {
        let call = json!({ "index": 0, "id": id, "function": { "name": name, "arguments": arguments } });
        let chunk = json!({ "choices": [{ "index": 0, "delta": { "tool_calls": [call] }, "finish_reason": "tool_calls" }] });
        format!("data: {chunk}\n\n")
    };
    let text = chunk("c1", "ge", "") + &chunk("", "t", "{}") + "data: [DONE]\n\n";
    let found = String::from_utf8(once(text.as_bytes()).out).unwrap();
    let indexes: Vec<&str> = found
        .match_indices("\"tool_calls\":[{\"index\":")
        .filter_map(|(at, tag)| found.get(at + tag.len()..=at + tag.len()))
        .collect();
    assert!(indexes.windows(2).all(|pair| pair[0] != pair[1]), "{found}");
}

#[test]
fn usage_and_texts_are_told() {
    let mut told = Told { completion: Transcript::keeping(100), ..Told::default() };
    let body = json!({ "choices": [{ "text": "a\"é", "index": 0 }], "usage": { "prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": { "cached_tokens": 3, "cache_write_tokens": 6 } } });
    let left = super::whole(
        Api::Completions,
        body.to_string().as_bytes(),
        LIMITS,
        &mut told,
        &mut Script::default(),
    );
    assert_eq!(left, Ok(None));
    let usage = told.usage.unwrap();
    assert_eq!((usage.input, usage.cached_input, usage.cache_write, usage.output), (9, 3, 6, 4));
    assert_eq!(told.completion.into_said().as_str(), "a\"é");
}

#[test]
fn usage_that_contradicts_itself_is_none() {
    let found = |usage: Value| {
        let chunk = json!({ "choices": [], "usage": usage });
        once(format!("data: {chunk}\n\n").as_bytes()).usage.is_some_and(|usage| usage.is_plausible(3, 1))
    };
    let usage = |details: Value, output: Value| json!({ "prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, "prompt_tokens_details": details, "completion_tokens_details": output });
    assert!(found(usage(json!({ "cached_tokens": 9 }), json!({ "reasoning_tokens": 4 }))));
    assert!(!found(usage(json!({ "cached_tokens": 10 }), json!({}))));
    assert!(!found(usage(json!({ "cached_tokens": 5, "cache_write_tokens": 5 }), json!({}))));
    assert!(!found(usage(json!({}), json!({ "reasoning_tokens": 5 }))));
}

#[test]
fn the_last_usage_counts() {
    let chunk = |tokens: u64| {
        let usage = json!({ "prompt_tokens": 3, "completion_tokens": tokens });
        let choice = json!({ "index": 0, "delta": { "content": "a" }, "finish_reason": "stop" });
        format!("data: {}\n\n", json!({ "choices": [choice], "usage": usage }))
    };
    let found = once([chunk(1), chunk(2)].concat().as_bytes());
    assert_eq!(found.usage.map(|usage| usage.output), Some(2));
    // What cannot be a count is no report.
    let found = once([chunk(1), chunk(u64::MAX)].concat().replace("3", "-3").as_bytes());
    assert_eq!(found.usage, None);
}

fn event(choice: u64, delta: &Value, finish: Option<&str>) -> String {
    format!(
        "data: {}\n\n",
        json!({ "choices": [{ "index": choice, "delta": delta, "finish_reason": finish }] })
    )
}

#[test]
fn arguments_beyond_the_limit_are_denied_in_a_stream_and_whole() {
    for (len, allowed) in [(LIMITS.tool_arguments, true), (LIMITS.tool_arguments + 1, false)] {
        let mut call = call("get");
        call["function"]["arguments"] = json!("a".repeat(len));
        let (first, second) = ("a".repeat(len - 5), "aaaaa");
        let input = [
            event(
                0,
                &json!({ "tool_calls": [{ "index": 0, "function": { "name": "get", "arguments": first } }] }),
                None,
            ),
            event(0, &json!({ "tool_calls": [{ "index": 0, "function": { "arguments": second } }] }), None),
            event(0, &json!({}), Some("tool_calls")),
        ];
        let found = once(input.concat().as_bytes());
        let streamed = client::read_stream(&found.out);
        let mut script = Script::default();
        let left =
            whole(Api::Chat, &answer(&json!({ "tool_calls": [call] }), "tool_calls"), &mut script).unwrap();
        assert_eq!(left.is_none(), allowed, "{len}");
        assert_eq!(streamed.messages[&0].calls.len(), usize::from(allowed), "{len}");
        for log in [&found.log, &script.log] {
            assert_eq!(log.len(), 1);
            assert_eq!(log[0].verdict.is_some(), allowed, "{len}");
        }
        if let Some(left) = left {
            assert_eq!(left["choices"][0]["message"]["content"], json!(streamed.messages[&0].content));
            assert!(!left.to_string().contains("aaaaa"));
        }
    }
}

/// Feeds a stream without end and tells how much was held at most, until it failed.
fn held_at_most(mut next: impl FnMut(u64) -> String) -> usize {
    let mut stream = Stream::new(Api::Chat, LIMITS, Transcript::keeping(0));
    let (mut script, mut most) = (Script::default(), 0);
    for number in 0..3000 {
        let mut out = Vec::new();
        let progress = stream.read(next(number).as_bytes(), &mut script, &mut out);
        most = most.max(stream.bytes_held());
        if progress != super::Progress::Continue {
            break;
        }
    }
    most
}

#[test]
fn what_is_held_is_bounded() {
    let big = "a".repeat(3000);
    let call = |id: String, members: Value| {
        let mut call = json!({ "index": 0, "id": id, "function": { "name": "get", "arguments": "" } });
        call.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        json!({ "tool_calls": [call] })
    };
    // 128 calls with arguments of 4 KiB, and as much again for what else a call carries.
    let bound = 128 * 3 * LIMITS.tool_arguments;
    let check = |what: &str, next: &dyn Fn(u64) -> String| {
        let most = held_at_most(next);
        assert!(most <= bound, "{what}: {most} bytes held");
    };
    check("arguments", &|n| {
        event(0, &call(n.to_string(), json!({ "function": { "name": "get", "arguments": big } })), None)
    });
    check("choices", &|n| {
        event(n % 100, &call(n.to_string(), json!({ "function": { "name": "get", "arguments": big } })), None)
    });
    check("one call", &|_| event(0, &call("a".into(), json!({ "function": { "arguments": big } })), None));
    check("a name", &|_| {
        event(0, &call("a".into(), json!({ "function": { "name": format!("{big}b") } })), None)
    });
    check("ids", &|n| event(0, &call(format!("{n}{}", big.repeat(10)), json!({})), None));
    check("names", &|n| {
        event(0, &call(n.to_string(), json!({ "function": { "name": big.repeat(10) } })), None)
    });
    check("further members", &|n| {
        event(0, &call((n / 8).to_string(), json!({ format!("m{n}"): big })), None)
    });
    check("names of members", &|n| {
        event(0, &call((n / 8).to_string(), json!({ format!("{big}{n}"): 1 })), None)
    });
}

#[test]
fn an_event_without_end_is_not_held_for_ever() {
    let most = held_at_most(|_| "data: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".repeat(100));
    assert!(most < 2 << 20, "{most}");
    // Too large is too large, in pieces or whole.
    let large = event(0, &json!({ "content": "a".repeat(2 << 20) }), None);
    let at_once = once(large.as_bytes());
    let in_pieces = run(large.as_bytes().chunks(1 << 16), Script::default());
    assert!(at_once.failed.is_some());
    assert_eq!(at_once, in_pieces);
}

#[test]
fn a_second_legacy_call_is_not_joined_to_the_first() {
    let call = |name: &str| json!({ "function_call": { "name": name, "arguments": "{}" } });
    let input =
        [event(0, &call("get"), Some("function_call")), event(0, &call("get_more"), Some("function_call"))];
    let found = once(input.concat().as_bytes());
    let seen = client::read_stream(&found.out);
    super::mutations::only_released_calls(&found, &seen);
}

#[test]
fn every_call_of_an_aborted_stream_is_on_record() {
    let names = ["get_a", "abort_b", "get_c", "get_d"];
    let calls: Vec<Value> = (0_u64..)
        .zip(names)
        .map(|(index, name)| {
            let mut call = call(name);
            call["index"] = json!(index);
            call
        })
        .collect();
    let found = once(event(0, &json!({ "tool_calls": calls }), Some("tool_calls")).as_bytes());
    let judged: Vec<&str> = found.log.iter().map(|ruling| &*ruling.tool).collect();
    assert_eq!(judged, names);
    assert!(found.log[2..].iter().all(|ruling| ruling.verdict.is_none()));
    assert_eq!(found.failed, Some(Refusal::NotFound));
    assert!(
        !found.completion.contains("get_a"),
        "what did not leave is not in the record: {}",
        found.completion
    );
}

#[test]
fn a_call_without_an_id_ends_where_another_name_begins() {
    let part = |id: &str, name: &str| json!({ "tool_calls": [{ "index": 0, "id": id, "function": { "name": name, "arguments": "{}" } }] });
    let input = [
        event(0, &part("", "get_a"), None),
        event(0, &part("b", "delete_b"), None),
        event(0, &json!({}), Some("tool_calls")),
    ];
    let found = once(input.concat().as_bytes());
    let judged: Vec<(&str, &str)> = found.log.iter().map(|ruling| (&*ruling.tool, &*ruling.text)).collect();
    assert_eq!(judged, [("get_a", "{}"), ("delete_b", "{}")]);
}
