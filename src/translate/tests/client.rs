//! What a client makes of an answer: a small model of how the official clients put each dialect together, with
//! another JSON reader than the translator's.

use super::Client;
use serde_json::{Value, json};

/// An answer as a client holds it in the end, in neither dialect.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Seen {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) text: String,
    pub(super) refusal: String,
    pub(super) thinking: String,
    pub(super) calls: Vec<Call>,
    pub(super) stop: Option<String>,
    pub(super) stop_sequence: Option<String>,
    pub(super) usage: Option<Value>,
    /// Whether the answer's last event came.
    pub(super) done: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    /// As JSON; text that is none as a string.
    pub(super) input: Value,
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Argument text, as a value.
fn input(text: &str) -> Value {
    serde_json::from_str(text).ok().filter(Value::is_object).unwrap_or_else(|| json!(text))
}

/// The events of a stream: name and data. Every event must be in the one form that all clients read alike.
fn events(out: &[u8], named: bool) -> Vec<(String, String)> {
    let mut rest = std::str::from_utf8(out).expect("UTF-8 leaves");
    let mut events = Vec::new();
    while !rest.is_empty() {
        let (event, after) = rest.split_once("\n\n").unwrap_or_else(|| panic!("half an event: {rest:?}"));
        rest = after;
        if event == ":" {
            continue;
        }
        let (name, data) = match (named, event.split_once('\n')) {
            (true, Some((name, data))) => (name.strip_prefix("event: ").unwrap(), data),
            (false, None) => ("", event),
            other => panic!("not normalised: {other:?}"),
        };
        let data = data.strip_prefix("data: ").unwrap_or_else(|| panic!("not normalised: {event:?}"));
        assert!(!data.contains(['\n', '\r']), "not one line: {event:?}");
        events.push((name.to_owned(), data.to_owned()));
    }
    events
}

/// Reads what the translator sent to a client of this dialect.
pub(super) fn read_stream(client: Client, out: &[u8]) -> Seen {
    match client {
        Client::Chat => chat_stream(out),
        Client::Messages => messages_stream(out),
        Client::Responses => responses_stream(out),
    }
}

/// Reads a whole answer for a client of this dialect.
pub(super) fn read_whole(client: Client, body: &[u8]) -> Seen {
    let body: Value = serde_json::from_slice(body).expect("JSON leaves");
    match client {
        Client::Chat => chat_whole(&body),
        Client::Messages => messages_whole(&body),
        Client::Responses => responses_whole(&body),
    }
}

fn chat_stream(out: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let mut calls: Vec<(String, String, String)> = Vec::new();
    for (at, (_, data)) in events(out, false).into_iter().enumerate() {
        assert!(!seen.done, "something behind the end: {data}");
        if data == "[DONE]" {
            seen.done = true;
            continue;
        }
        let chunk: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(chunk["object"], "chat.completion.chunk");
        (seen.id, seen.model) = (string(&chunk["id"]), string(&chunk["model"]));
        if let Some(usage) = chunk.get("usage") {
            assert!(seen.stop.is_some() && chunk["choices"] == json!([]), "usage comes last: {data}");
            seen.usage = Some(usage.clone());
            continue;
        }
        let choice = &chunk["choices"][0];
        assert!(seen.stop.is_none(), "something behind the finish: {data}");
        assert_eq!(choice["index"], 0);
        let delta = &choice["delta"];
        assert_eq!(at == 0, delta.get("role").is_some(), "the first chunk has the role: {data}");
        seen.text.push_str(&string(&delta["content"]));
        seen.refusal.push_str(&string(&delta["refusal"]));
        seen.thinking.push_str(&string(&delta["reasoning_content"]));
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            if index == calls.len() {
                assert_eq!(call["type"], "function");
                calls.push((string(&call["id"]), string(&call["function"]["name"]), String::new()));
            }
            assert_eq!(index + 1, calls.len(), "calls come one after the other: {data}");
            calls[index].2.push_str(&string(&call["function"]["arguments"]));
        }
        seen.stop = choice["finish_reason"].as_str().map(ToOwned::to_owned);
    }
    seen.calls = calls.into_iter().map(|(id, name, text)| Call { id, name, input: input(&text) }).collect();
    seen
}

fn chat_whole(body: &Value) -> Seen {
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["choices"].as_array().unwrap().len(), 1);
    let choice = &body["choices"][0];
    let message = &choice["message"];
    let call = |call: &Value| Call {
        id: string(&call["id"]),
        name: string(&call["function"]["name"]),
        input: input(call["function"]["arguments"].as_str().unwrap()),
    };
    Seen {
        id: string(&body["id"]),
        model: string(&body["model"]),
        text: string(&message["content"]),
        refusal: string(&message["refusal"]),
        thinking: string(&message["reasoning_content"]),
        calls: message["tool_calls"].as_array().into_iter().flatten().map(call).collect(),
        stop: choice["finish_reason"].as_str().map(ToOwned::to_owned),
        stop_sequence: None,
        usage: body.get("usage").cloned(),
        done: true,
    }
}

fn messages_stream(out: &[u8]) -> Seen {
    let mut message = Value::Null;
    let mut open: Option<String> = None;
    let mut done = false;
    for (name, data) in events(out, true) {
        assert!(!done, "something behind the end: {data}");
        let event: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(event["type"], name.as_str());
        if name == "message_start" {
            assert!(message.is_null());
            message = event["message"].clone();
            assert!(message["content"] == json!([]) && message["stop_reason"].is_null());
            continue;
        }
        let content = message["content"].as_array_mut().expect("message_start comes first");
        match name.as_str() {
            "content_block_start" => {
                assert!(open.is_none() && event["index"] == content.len(), "a gap or an overlap: {data}");
                content.push(event["content_block"].clone());
                open = Some(String::new());
            }
            "content_block_delta" => {
                assert_eq!(event["index"], content.len() - 1);
                let (kind, key) = match event["delta"]["type"].as_str().unwrap() {
                    "text_delta" => ("text", "text"),
                    "thinking_delta" => ("thinking", "thinking"),
                    "input_json_delta" => ("tool_use", "partial_json"),
                    other => panic!("{other}"),
                };
                assert_eq!(content.last().unwrap()["type"], kind, "{data}");
                open.as_mut().unwrap().push_str(event["delta"][key].as_str().unwrap());
            }
            "content_block_stop" => {
                assert_eq!(event["index"], content.len() - 1);
                let said = open.take().unwrap();
                let block = content.last_mut().unwrap();
                match block["type"].as_str().unwrap() {
                    "text" => block["text"] = json!(said),
                    "thinking" => block["thinking"] = json!(said),
                    _ => {
                        assert_eq!(block["input"], json!({}));
                        block["input"] = input(&said);
                    }
                }
            }
            "message_delta" => {
                assert!(open.is_none());
                for key in ["stop_reason", "stop_sequence"] {
                    message[key] = event["delta"][key].clone();
                }
                message["usage"] = event["usage"].clone();
            }
            "message_stop" => done = true,
            other => panic!("{other}"),
        }
    }
    if message.is_null() { Seen::default() } else { Seen { done, ..messages_whole(&message) } }
}

fn messages_whole(message: &Value) -> Seen {
    assert_eq!((&message["type"], &message["role"]), (&json!("message"), &json!("assistant")));
    let mut seen = Seen {
        id: string(&message["id"]),
        model: string(&message["model"]),
        stop: message["stop_reason"].as_str().map(ToOwned::to_owned),
        stop_sequence: message["stop_sequence"].as_str().map(ToOwned::to_owned),
        usage: message.get("usage").cloned(),
        done: true,
        ..Seen::default()
    };
    for block in message["content"].as_array().unwrap() {
        match block["type"].as_str().unwrap() {
            "text" => seen.text.push_str(&string(&block["text"])),
            "thinking" => seen.thinking.push_str(&string(&block["thinking"])),
            "tool_use" => seen.calls.push(Call {
                id: string(&block["id"]),
                name: string(&block["name"]),
                input: block["input"].clone(),
            }),
            other => panic!("{other}"),
        }
    }
    seen
}

/// What a response says, whose items were told one by one in a stream.
fn responses_stream(out: &[u8]) -> Seen {
    let mut response = Value::Null;
    // Items as their events told them, in place of what the response says of them.
    let mut output: Vec<Value> = Vec::new();
    for (number, (name, data)) in events(out, true).into_iter().enumerate() {
        let event: Value = serde_json::from_str(&data).unwrap();
        assert_eq!((&event["type"], &event["sequence_number"]), (&json!(name), &json!(number)));
        assert!(
            matches!(response["status"].as_str(), None | Some("in_progress")),
            "something behind the end: {data}"
        );
        if let Some(told) = event.get("response") {
            let begins = ["response.created", "response.in_progress"].get(number);
            assert!(begins.is_none_or(|begins| *begins == name), "{data}");
            assert_eq!(told["output"], json!(output), "the response says what its items said");
            response = told.clone();
            continue;
        }
        let kind = name.strip_prefix("response.").unwrap();
        let index = usize::try_from(event["output_index"].as_u64().unwrap()).unwrap();
        if kind == "output_item.added" {
            assert_eq!(index, output.len(), "a gap or an overlap: {data}");
            output.push(event["item"].clone());
            continue;
        }
        assert_eq!(index + 1, output.len(), "items come one after the other: {data}");
        let item = output.last_mut().unwrap();
        if kind == "output_item.done" {
            let mut done = item.clone();
            if done.get("status").is_some() {
                done["status"] = json!("completed");
            }
            assert_eq!(event["item"], done, "an item is done as it was told");
            *item = done;
            continue;
        }
        assert_eq!(event["item_id"], item["id"]);
        tell(kind, &event, item);
    }
    if response.is_null() { Seen::default() } else { responses_whole(&response) }
}

/// Adds what an event says to its item.
fn tell(kind: &str, event: &Value, item: &mut Value) {
    let (list, key, place) = match item["type"].as_str().unwrap() {
        "message" => ("content", "text", "content_index"),
        "reasoning" => ("summary", "text", "summary_index"),
        _ => {
            match kind {
                "function_call_arguments.delta" => append(&mut item["arguments"], &event["delta"]),
                "function_call_arguments.done" => {
                    assert_eq!((&event["arguments"], &event["name"]), (&item["arguments"], &item["name"]));
                }
                other => panic!("{other} of a call"),
            }
            return;
        }
    };
    let parts = item[list].as_array_mut().unwrap();
    let index = usize::try_from(event[place].as_u64().unwrap()).unwrap();
    if kind.ends_with("part.added") {
        assert_eq!(index, parts.len());
        parts.push(event["part"].clone());
        return;
    }
    assert_eq!(index + 1, parts.len());
    let part = parts.last_mut().unwrap();
    let key = if part["type"] == "refusal" { "refusal" } else { key };
    match kind {
        "output_text.delta" | "refusal.delta" | "reasoning_summary_text.delta" => {
            assert_eq!(kind == "refusal.delta", key == "refusal");
            append(&mut part[key], &event["delta"]);
        }
        "output_text.done" | "refusal.done" | "reasoning_summary_text.done" => {
            assert_eq!(event[key], part[key]);
        }
        "content_part.done" | "reasoning_summary_part.done" => assert_eq!(event["part"], *part),
        other => panic!("{other}"),
    }
}

fn append(text: &mut Value, more: &Value) {
    *text = json!(string(text) + more.as_str().unwrap());
}

fn responses_whole(response: &Value) -> Seen {
    assert_eq!(response["object"], "response");
    let status = response["status"].as_str().unwrap();
    let reason = response["incomplete_details"]["reason"].as_str();
    assert_eq!(status == "incomplete", reason.is_some());
    let mut seen = Seen {
        id: string(&response["id"]),
        model: string(&response["model"]),
        stop: (status != "in_progress").then(|| reason.unwrap_or(status).to_owned()),
        usage: response.get("usage").filter(|usage| !usage.is_null()).cloned(),
        done: status != "in_progress",
        ..Seen::default()
    };
    for item in response["output"].as_array().unwrap() {
        let of = |list: &str, kind: &str, key: &str| -> String {
            let parts = item[list].as_array().into_iter().flatten();
            parts.filter(|part| part["type"] == kind).map(|part| string(&part[key])).collect()
        };
        match item["type"].as_str().unwrap() {
            "message" => {
                seen.text.push_str(&of("content", "output_text", "text"));
                seen.refusal.push_str(&of("content", "refusal", "refusal"));
            }
            "reasoning" => seen.thinking.push_str(&of("summary", "summary_text", "text")),
            "function_call" => seen.calls.push(Call {
                id: string(&item["call_id"]),
                name: string(&item["name"]),
                input: input(item["arguments"].as_str().unwrap()),
            }),
            other => panic!("{other}"),
        }
    }
    seen
}
