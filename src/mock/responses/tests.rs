//! Responses on the wire: the order of events, that a stream says what the whole body says, what is stored, what is
//! refused.

use hyper::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    super::{
        dialect::{Dialect, Fault},
        script::Step,
    },
    Stored, create, of_stored,
};

fn request(message: &str) -> Value {
    json!({ "model": "m", "input": message })
}

fn written(body: &Value, stored: &Stored) -> String {
    let (reply, _) = create(body, stored, 7).unwrap();
    let bytes = reply.steps.iter().filter_map(|step| match step {
        Step::Write(bytes) => Some(bytes.to_vec()),
        Step::Wait(_) | Step::Stall | Step::Abort => None,
    });
    String::from_utf8(bytes.flatten().collect()).unwrap()
}

fn whole(message: &str) -> Value {
    serde_json::from_str(&written(&request(message), &Stored::default())).unwrap()
}

/// The events of a stream, whose names and numbers are checked.
fn events(message: &str) -> Vec<Value> {
    let mut body = request(message);
    body["stream"] = true.into();
    let text = written(&body, &Stored::default());
    let events = text.split_terminator("\n\n").enumerate().map(|(at, event)| {
        let (name, data) = event.split_once("\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap()));
        assert_eq!(data["sequence_number"], at);
        data
    });
    events.collect()
}

#[track_caller]
fn check_order(message: &str, expected: &[&str]) {
    let events = events(message);
    let of = |event: &Value| {
        let name = event["type"].as_str().unwrap().trim_start_matches("response.").to_owned();
        let place = event["output_index"].as_u64();
        place.map_or_else(|| name.clone(), |place| format!("{place} {name}"))
    };
    let names: Vec<String> = events.iter().map(of).collect();
    assert_eq!(names[..2], ["created", "in_progress"]);
    assert_eq!(names[2..], *expected, "{message}");
}

#[test]
fn events_come_in_openais_order() {
    check_order(
        "!say a b\n!call f {}",
        &[
            "0 output_item.added",
            "0 content_part.added",
            "0 output_text.delta",
            "0 output_text.delta",
            "0 output_text.done",
            "0 content_part.done",
            "0 output_item.done",
            "1 output_item.added",
            "1 function_call_arguments.delta",
            "1 function_call_arguments.done",
            "1 output_item.done",
            "completed",
        ],
    );
    check_order(
        "!call f {}\n!call g x\n!interleave\n!custom",
        &[
            "0 output_item.added",
            "1 output_item.added",
            "0 custom_tool_call_input.delta",
            "1 custom_tool_call_input.delta",
            "0 custom_tool_call_input.done",
            "1 custom_tool_call_input.done",
            "0 output_item.done",
            "1 output_item.done",
            "completed",
        ],
    );
}

#[test]
fn reasoning_refusals_and_other_items_have_events_of_their_own() {
    check_order(
        "!reasoning hm\n!refusal no",
        &[
            "0 output_item.added",
            "0 reasoning_summary_part.added",
            "0 reasoning_summary_text.delta",
            "0 reasoning_summary_text.done",
            "0 reasoning_summary_part.done",
            "0 output_item.done",
            "1 output_item.added",
            "1 content_part.added",
            "1 refusal.delta",
            "1 refusal.done",
            "1 content_part.done",
            "1 output_item.done",
            "completed",
        ],
    );
    check_order(
        "!hosted web_search_call\n!item shell_call",
        &[
            "0 output_item.added",
            "0 web_search_call.in_progress",
            "0 web_search_call.searching",
            "0 web_search_call.completed",
            "0 output_item.done",
            "1 output_item.added",
            "1 output_item.done",
            "completed",
        ],
    );
}

#[test]
fn arguments_come_late_or_only_in_the_end() {
    let both = ["0 output_item.added", "0 function_call_arguments.done", "0 output_item.done", "completed"];
    check_order("!call f {}\n!done-only", &both);
    check_order("!call f {}\n!item-only", &["0 output_item.added", "0 output_item.done", "completed"]);
    check_order("!call f {}\n!completed-only", &["completed"]);
    let last = |message: &str| events(message).last().unwrap()["response"]["output"].clone();
    assert_eq!(last("!call f {}\n!completed-only")[0]["name"], "f");
    assert_eq!(last("!call f {}\n!completed-differs {\"b\": 2}")[0]["arguments"], "{\"b\": 2}");
    assert_eq!(last("!call f x\n!custom\n!completed-differs")[0]["input"], "{\"differs\":true}");
    let announced = events("!call f {\"a\":1}").into_iter().find(|event| event["item"].is_object()).unwrap();
    assert_eq!(announced["item"]["arguments"], "");
    assert_eq!(announced["item"]["status"], "in_progress");
    assert_eq!(whole("!call f {\"a\":1}\n!object-args")["output"][0]["arguments"], json!({ "a": 1 }));
}

#[test]
fn an_answer_ends_as_asked() {
    let cut = whole("!say half\n!finish length\n!usage 9 5 4 2");
    assert_eq!((&cut["status"], &cut["output"][0]["status"]), (&json!("incomplete"), &json!("incomplete")));
    assert_eq!(cut["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(cut["usage"]["input_tokens_details"]["cached_tokens"], 4);
    assert_eq!(cut["usage"]["output_tokens_details"]["reasoning_tokens"], 2);
    assert_eq!(cut["usage"]["total_tokens"], 14);
    assert_eq!(events("!say half\n!finish length").last().unwrap()["type"], "response.incomplete");
    let failed = events("!say a b c\n!error 3");
    assert_eq!(failed.len(), 4);
    assert_eq!(failed[3]["error"]["code"], "server_error");
    assert_eq!(events("!say a\n!no-done").last().unwrap()["type"], "response.output_item.done");
}

/// What the items of a stream amount to: deltas where there are any, or else what came later.
fn reassemble(events: &[Value]) -> Vec<Value> {
    let mut said: Vec<(String, String)> = Vec::new();
    let mut done = Vec::new();
    for event in events {
        match event["type"].as_str().unwrap() {
            "response.output_item.added" => {
                said.push((event["item"]["id"].as_str().unwrap().to_owned(), String::new()));
            }
            "response.output_item.done" => done.push(event["item"].clone()),
            name if name.ends_with(".delta") => {
                let known = said.iter_mut().find(|(id, _)| *id == event["item_id"].as_str().unwrap());
                known.unwrap().1.push_str(event["delta"].as_str().unwrap());
            }
            _ => {}
        }
    }
    for (id, text) in &said {
        let item = done.iter().find(|item| item["id"] == **id).unwrap();
        let whole = ["/arguments", "/input", "/content/0/text", "/summary/0/text"];
        let whole = whole.iter().find_map(|path| item.pointer(path)?.as_str()).unwrap();
        assert!(text.is_empty() || text == whole, "{text} is not {whole}");
    }
    done.sort_by_key(|item| said.iter().position(|(id, _)| item["id"] == **id));
    done
}

proptest! {
    /// However a stream is laid out, its items and its last event say what the whole body says.
    #[test]
    fn every_form_reads_back_to_the_same_items(
        arguments in prop::collection::vec(r#"\{"k":"[a-zé ☃]{0,12}"\}"#, 1..5),
        fragment in 1_usize..9,
        form in prop::sample::select(vec!["", "\n!done-only", "\n!item-only", "\n!whole", "\n!interleave", "\n!custom"]),
        talk in prop::sample::select(vec!["", "\n!say hi there", "\n!reasoning oh well\n!say hi"]),
    ) {
        let lines: Vec<String> =
            arguments.iter().enumerate().map(|(at, arguments)| format!("!call tool_{at} {arguments}")).collect();
        let message = format!("{}\n!arg-chunk {fragment}{form}{talk}", lines.join("\n"));
        let (events, whole) = (events(&message), whole(&message));
        let read = reassemble(&events);
        prop_assert_eq!(&read, whole["output"].as_array().unwrap());
        let last = &events.last().unwrap()["response"];
        prop_assert_eq!(&last["output"], &whole["output"]);
        prop_assert_eq!(&last["usage"], &whole["usage"]);
    }

    #[test]
    fn no_message_makes_it_panic(text in "(![a-z-]{0,18}( [ -~]{0,12})?\n){0,4}", stream: bool) {
        let mut body = request(&text);
        body["stream"] = stream.into();
        let _answer = create(&body, &Stored::default(), 1);
    }
}

fn refused(body: &Value, stored: &Stored) -> Fault {
    create(body, stored, 1).unwrap_err()
}

#[test]
fn calls_and_outputs_belong_together() {
    let stored = Stored::default();
    let first: Value = serde_json::from_str(&written(&request("!call f {}\n!call g x"), &stored)).unwrap();
    let ids: Vec<&str> =
        first["output"].as_array().unwrap().iter().map(|item| item["call_id"].as_str().unwrap()).collect();
    let output = |id: &str| json!({ "type": "function_call_output", "call_id": id, "output": "sunny" });
    let next = |input: Value| json!({ "model": "m", "previous_response_id": first["id"], "input": input });
    let open = refused(&next(json!([output(ids[0])])), &stored);
    assert_eq!(
        (open.status, open.message),
        (400, format!("No tool output found for function call {}.", ids[1]))
    );
    let text = written(&next(json!([output(ids[0]), output(ids[1])])), &stored);
    assert!(text.contains("The tool answered: sunny"), "{text}");
    let stray = refused(&json!({ "model": "m", "input": [output("call_x")] }), &stored);
    assert_eq!(stray.message, "No tool call found for function call output with call_id call_x.");
    let shell: Value = serde_json::from_str(&written(&request("!item local_shell_call"), &stored)).unwrap();
    let mut next_to_shell = json!({ "model": "m", "previous_response_id": shell["id"], "input": "hi" });
    assert!(
        refused(&next_to_shell, &stored)
            .message
            .starts_with("No tool output found for local shell call call_")
    );
    let ran = shell["output"][0]["call_id"].clone();
    next_to_shell["input"] = json!([{ "type": "local_shell_call_output", "id": ran, "output": "" }]);
    assert!(create(&next_to_shell, &stored, 1).is_ok());
    let mut own = first["output"].as_array().unwrap().clone();
    own.extend([output(ids[0]), output(ids[1])]);
    assert!(create(&json!({ "model": "m", "input": own }), &stored, 1).is_ok());
    let reference = json!({ "type": "item_reference", "id": first["output"][0]["id"] });
    let referring = json!({ "model": "m", "input": [reference, output(ids[0])] });
    assert!(create(&referring, &stored, 1).is_ok());
    assert_eq!(refused(&referring, &Stored::default()).status, 404);
    let unknown = json!({ "model": "m", "input": "hi", "previous_response_id": "resp_x" });
    assert_eq!(refused(&unknown, &stored).code, Some("previous_response_not_found"));
}

#[test]
fn responses_are_stored_unless_they_are_not_to_be() {
    let stored = Stored::default();
    let id = |text: &str| serde_json::from_str::<Value>(text).unwrap()["id"].as_str().unwrap().to_owned();
    let kept = written(&request("hi"), &stored);
    let ask = |method: Method, tail: &str| of_stored(&method, tail, None, &stored);
    assert_eq!(ask(Method::GET, &id(&kept)).unwrap(), kept);
    assert_eq!(ask(Method::POST, &format!("{}/cancel", id(&kept))).unwrap(), kept);
    let items = ask(Method::GET, &format!("{}/input_items", id(&kept))).unwrap();
    assert!(items.contains(r#""text":"hi""#) && items.contains(r#""has_more":false"#), "{items}");
    assert!(ask(Method::DELETE, &id(&kept)).unwrap().contains(r#""deleted":true"#));
    let gone = ask(Method::GET, &id(&kept)).unwrap_err();
    assert_eq!((gone.status, gone.code), (404, None));
    assert!(Dialect::Responses.error(&gone, 1).contains(r#""code":null"#));
    let mut body = request("hi");
    body["store"] = false.into();
    assert_eq!(ask(Method::GET, &id(&written(&body, &stored))).unwrap_err().status, 404);
    for number in 0..257 {
        drop(create(&request("hi"), &stored, 1000 + number).unwrap());
    }
    let first = written(&request("hi"), &Stored::default());
    assert_eq!(ask(Method::GET, &id(&first)).unwrap_err().status, 404, "the oldest is forgotten");
}

#[test]
fn tools_on_offer_are_called_when_named() {
    let mut body = request("please get_weather and sql");
    body["tools"] = json!([
        { "type": "function", "name": "get_weather", "parameters": { "type": "object", "properties": { "city": {} } } },
        { "type": "web_search" },
    ]);
    let named = |body: &Value| {
        let answer: Value = serde_json::from_str(&written(body, &Stored::default())).unwrap();
        (answer["output"][0]["name"].clone(), answer["output"][0]["arguments"].clone())
    };
    assert_eq!(named(&body), (json!("get_weather"), json!(r#"{"city":"Bern"}"#)));
    body["tools"] = json!([{ "type": "custom", "name": "sql" }]);
    assert_eq!(named(&body), (json!("sql"), Value::Null));
    body["tool_choice"] = json!("none");
    assert_eq!(named(&body), (Value::Null, Value::Null));
}
