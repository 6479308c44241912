//! What is sent: no value is in it, whatever member it stands in, and what is no content stays.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn leaks(sent: &Value) -> Vec<&'static str> {
    let text = sent.to_string();
    let values = [EMAIL, "4111 1111", "4111111111111111", "Tr0ub4dor", IN_BASE64, "AC-123456"];
    values.into_iter().filter(|value| text.contains(value)).collect()
}

#[test]
fn every_content_of_every_dialect_is_masked() {
    let text = format!("write to {EMAIL}, card {CARD}, or {IN_BASE64}; password: {PASSWORD}");
    let args =
        json!({ "to": EMAIL, "card": 4_111_111_111_111_111_u64, "nested": { EMAIL: [text] } }).to_string();
    for body in [
        json!({ "model": "m", "messages": [
            { "role": "system", "content": text }, { "role": "user", "name": "jane", "content": [{ "type": "text", "text": text }] },
            { "role": "assistant", "content": null, "reasoning_content": text, "tool_calls": [{ "id": "call_1", "type": "function", "function": { "name": "send", "arguments": args } }] },
            { "role": "tool", "tool_call_id": "call_1", "content": text }],
            "tools": [{ "type": "function", "function": { "name": "send", "description": text, "parameters": { "properties": { "to": { "enum": [EMAIL] } } } } }],
            "user": EMAIL, "metadata": { "who": EMAIL, EMAIL: 1 }, "stop": [EMAIL], "unknown": { "deep": [{ "id": EMAIL }] } }),
        json!({ "model": "m", "prompt": [text, "b"], "suffix": text }),
        json!({ "model": "m", "input": [text] }),
        json!({ "model": "m", "instructions": text, "input": [
            { "role": "user", "content": [{ "type": "input_text", "text": text }, { "type": "input_image", "image_url": format!("https://x.example/?q={EMAIL}") }] },
            { "type": "function_call", "call_id": "call_1", "name": "send", "arguments": args },
            { "type": "function_call_output", "call_id": "call_1", "output": text },
            { "type": "reasoning", "id": "rs_1", "summary": [{ "type": "summary_text", "text": text }], "encrypted_content": "gAAAA=" },
            { "type": "computer_call", "action": { "type": "type", "text": text } }], "prompt": { "id": "pmpt_1", "variables": { "who": EMAIL } } }),
        json!({ "model": "m", "max_tokens": 5, "system": [{ "type": "text", "text": text }], "messages": [
            { "role": "user", "content": [{ "type": "document", "source": { "type": "text", "media_type": "text/plain", "data": "AC-123456" } }] },
            { "role": "assistant", "content": [{ "type": "thinking", "thinking": text, "signature": "c2ln" }, { "type": "tool_use", "id": "toolu_1", "name": "send", "input": { "to": EMAIL, "id": "AC-123456", "type": EMAIL } }] },
            { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "toolu_1", "content": [{ "type": "text", "text": text }] }] }],
            "metadata": { "user_id": EMAIL } }),
    ] {
        let (sent, masks) = mask(&body);
        assert_eq!(leaks(&sent), Vec::<&str>::new(), "{sent:#}");
        assert!(!masks.is_empty());
        let Err(Refusal::ContentBlocked { message, place: Some(place) }) = block(&body) else {
            panic!("{body}")
        };
        assert!(message.contains("EMAIL_ADDRESS") && message.contains(&format!("`{place}`")), "{message}");
        assert_eq!(leaks(&json!([message, place])), Vec::<&str>::new());
    }
}

#[test]
fn what_is_structure_or_no_text_stays() {
    let picture = format!("data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA{}", "/x8A".repeat(400));
    for body in [
        json!({ "model": "org/model:4111111111111111", "seed": 4_111_111_111_111_111_u64, "max_tokens": 100_000, "temperature": 0.25, "messages": [
            { "role": "user", "content": [{ "type": "image_url", "image_url": { "url": picture } }, { "type": "input_audio", "input_audio": { "data": "UklGRv//", "format": "wav" } }] },
            { "role": "tool", "tool_call_id": "AC-123456", "content": "ok" }],
            "tools": [{ "type": "function", "function": { "name": "AC-123456" } }], "tool_choice": { "type": "function", "function": { "name": "AC-123456" } } }),
        json!({ "model": "m", "input": [[4_111_111, 5], [411_111_111]], "dimensions": 1024 }),
        json!({ "model": "m", "previous_response_id": "resp_4111111111111111", "input": [{ "type": "item_reference", "id": "msg_4111111111111111" },
            { "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": format!("gAAAA{IN_BASE64}") }] }),
        json!({ "model": "m", "messages": [{ "role": "assistant", "content": [
            { "type": "thinking", "thinking": "AC minor", "signature": IN_BASE64 }, { "type": "redacted_thinking", "data": IN_BASE64.replace('=', "") },
            { "type": "tool_use", "id": "toolu_4111111111111111", "name": "get", "input": {} }] }] }),
    ] {
        let text = body.to_string();
        let covered = cover(Wire::Mask, &redactor(), text.as_bytes());
        let data = json!(IN_BASE64.replace('=', ""));
        // Only bytes that are text inside are looked into.
        if body["messages"][0]["content"][1]["data"] == data {
            assert_ne!(covered.unwrap().body, None);
            continue;
        }
        assert_eq!(covered, Ok(Covered { body: None, masks: Masks::default() }), "{body}");
        assert!(block(&body).is_ok());
    }
    let off = json!({ "messages": [{ "content": EMAIL }] }).to_string();
    assert_eq!(cover(Wire::Off, &redactor(), off.as_bytes()).unwrap().body, None);
}

#[test]
fn structure_that_holds_anything_but_words_is_content() {
    for body in [
        json!({ "messages": [{ "role": EMAIL, "content": "x" }] }),
        json!({ "messages": [{ "role": "tool", "tool_call_id": format!("card {CARD}") }] }),
        json!({ "messages": [{ "content": [{ "type": "thinking", "thinking": "x", "signature": EMAIL }] }] }),
        json!({ "messages": [{ "content": [{ "type": "image_url", "image_url": { "url": format!("data:image/png;base64,{EMAIL}") } }] }] }),
        json!({ "input": [{ "type": "reasoning", "encrypted_content": { "x": EMAIL } }] }),
        json!({ "max_tokens": EMAIL }),
        json!({ EMAIL: 1 }),
        json!([EMAIL]),
    ] {
        let (sent, masks) = mask(&body);
        assert_eq!(leaks(&sent), Vec::<&str>::new(), "{sent}");
        assert!(!masks.is_empty());
    }
}

#[test]
fn a_text_in_base64_is_masked_inside() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let text = format!("name;mail\nJane;{EMAIL}\n");
    let (sent, masks) = mask(
        &json!({ "messages": [{ "content": [{ "type": "file", "file": { "file_data": format!("data:text/csv;base64,{}", STANDARD.encode(&text)) } }] }] }),
    );
    let sent = sent["messages"][0]["content"][0]["file"]["file_data"].as_str().unwrap().to_owned();
    let sent =
        String::from_utf8(STANDARD.decode(sent.strip_prefix("data:text/csv;base64,").unwrap()).unwrap())
            .unwrap();
    assert_eq!(sent, text.replace(EMAIL, &placeholder(EMAIL)));
    assert_eq!(masks.value(&placeholder(EMAIL)), Some(EMAIL));
}

#[test]
fn the_place_of_what_is_found_is_told_without_the_clients_words() {
    let check = |body: Value, expected: &str| match block(&body) {
        Err(Refusal::ContentBlocked { place, .. }) => {
            assert_eq!(place.unwrap_or_default(), expected, "{body}");
        }
        other => panic!("{other:?}"),
    };
    check(
        json!({ "messages": [{ "content": "x" }, { "content": [{ "type": "text", "text": EMAIL }] }] }),
        "messages[1].content[0].text",
    );
    check(json!({ "input": EMAIL }), "input");
    check(
        json!({ "messages": [{ "content": [{ "type": "tool_use", "input": { "a": { "b": EMAIL } } }] }] }),
        "messages[0].content[0].input",
    );
    check(json!({ "metadata": { EMAIL: 1 } }), "metadata");
    check(json!({ EMAIL: 1 }), "");
    check(
        json!({ "messages": [{ "content": [{ "type": "thinking", "thinking": EMAIL, "signature": "s" }] }] }),
        "messages",
    );
}

/// Whatever bytes follow, and wherever it stands.
#[test]
fn the_head_of_a_data_url_is_masked() {
    const KEY: &str = "AKIAQ3EGXY7PLM4TZ2WD";
    let heads = [
        "data:AC-123456",
        "data:image/png;name=AC-123456",
        "data:4111111111111111",
        "data:text/plain;x=4111111111111111",
    ];
    for head in
        heads.map(str::to_owned).into_iter().chain([format!("data:{KEY}"), format!("DATA:a/b;c={KEY}.d")])
    {
        for base64 in ["", "/w==", "iVBORw0KGgoAAAANSUhEUg==", IN_BASE64, "aGkgdGhlcmU="] {
            let url = format!("{head};base64,{base64}");
            for content in [
                json!(url),
                json!([{ "type": "image_url", "image_url": { "url": url } }]),
                json!([{ "type": "input_image", "image_url": url }]),
                json!([{ "type": "file", "file": { "file_data": url } }]),
            ] {
                let body = json!({ "messages": [{ "role": "user", "content": content }] });
                let (sent, masks) = mask(&body);
                let text = sent.to_string();
                assert_eq!(leaks(&sent), Vec::<&str>::new(), "{url}");
                assert!(
                    !text.contains(KEY) && (base64 == IN_BASE64 || text.contains(base64)),
                    "{url}: {text}"
                );
                assert!(restored(masks, &sent).to_string().contains(&head), "{text}");
                assert!(block(&body).is_err(), "{url}");
            }
        }
    }
}

#[test]
fn a_value_known_once_is_masked_wherever_it_stands_by_itself() {
    let said = |content: &str| json!({ "messages": [{ "role": "user", "content": "password: Hunter2hunter" }, { "role": "assistant", "content": content }] });
    let sent = |content: &str| mask(&said(content)).0["messages"][1]["content"].as_str().unwrap().to_owned();
    let known = placeholder("password: Hunter2hunter");
    assert_eq!(sent("It is Hunter2hunter."), format!("It is {known}."));
    assert_eq!(
        sent("XHunter2hunter Hunter2hunters"),
        format!("X{known} {known}s"),
        "what is long is no chance"
    );
    let short =
        json!({ "messages": [{ "content": "password: Hunter2x" }, { "content": "MyHunter2x, Hunter2x" }] });
    let masked = mask(&short).0["messages"][1]["content"].as_str().unwrap().to_owned();
    assert_eq!(masked, format!("MyHunter2x, {}", placeholder("password: Hunter2x")), "what is short may be");
    let short = json!({ "messages": [{ "content": "password: sesame" }, { "content": "a sesame seed" }] });
    assert!(mask(&short).0.to_string().contains("a sesame seed"), "a short word may be any word");
}

#[test]
fn a_value_known_once_is_masked_as_a_number_and_however_it_is_escaped() {
    let known = |first: &str, value: Value| {
        let body = json!({ "messages": [{ "role": "user", "content": first }], "metadata": { "x": value } });
        mask(&body).0["metadata"]["x"].clone()
    };
    let number = placeholder("password=8392746291");
    assert_eq!(known("password=8392746291", json!(8_392_746_291_u64)), json!(number));
    assert_eq!(
        known("password=8392746291", json!(83_927_462_912_u64)),
        json!(83_927_462_912_u64),
        "another number"
    );
    let args = known("password=8392746291", json!("{ \"x\": [8392746291, \"8392746291\", 1.50] }"));
    assert_eq!(args, json!(format!("{{\"x\":[\"{number}\",\"{number}\",1.50]}}")), "it stays JSON");
    let odd = "password: Hun\"ter2xyzQ9";
    let mut value = json!({ "k": "say Hun\"ter2xyzQ9" });
    for _ in 0..3 {
        let text = value.to_string();
        let masked = known(odd, json!(format!("in prose {text}"))).as_str().unwrap().to_owned();
        assert!(masked.contains(&placeholder(odd)) && !masked.contains("ter2xyz"), "{text}: {masked}");
        value = json!([text]);
    }
}

#[test]
fn a_value_of_the_thinking_alone_is_masked_wherever_it_stands() {
    for alone in [true, false] {
        let mut blocks = vec![
            json!({ "type": "thinking", "thinking": "the password is Hunter2xyzQ9", "signature": "c2ln" }),
        ];
        blocks.extend((!alone).then(|| json!({ "type": "text", "text": "so Hunter2xyzQ9 it is" })));
        let body = json!({ "messages": [
            { "role": "user", "content": "Hunter2xyzQ9, in my note" },
            { "role": "assistant", "content": blocks },
            { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t", "content": "Hunter2xyzQ9" }] }] });
        let (sent, masks) = mask(&body);
        assert!(!sent.to_string().contains("Hunter2"), "{sent:#}");
        assert!(masks.iter().any(|(_, value)| value == "Hunter2xyzQ9"));
    }
}

#[test]
fn a_token_is_that_of_the_records_where_the_value_is_spelled_as_there() {
    for (text, same) in
        [(EMAIL, true), ("Jane.Roe@example.com", false), ("4111111111111111", true), (CARD, false)]
    {
        let recorded = redactor().text(text).into_string();
        assert_eq!(placeholder(text) == recorded, same, "{text}");
        assert_eq!(redactor().text(&placeholder(text)).as_str(), placeholder(text), "redaction leaves it");
    }
}

#[test]
fn thinking_comes_back_as_it_was_signed_or_not_at_all() {
    let (email, password) = (placeholder(EMAIL), placeholder("password: Hunter2hunter"));
    let asked = format!("I am {EMAIL}, password: Hunter2hunter");
    let turn = |thinking: &str| {
        let body = json!({ "messages": [{ "role": "user", "content": asked }, { "role": "assistant", "content": [
            { "type": "thinking", "thinking": thinking, "signature": "c2ln" }, { "type": "text", "text": "x" }] }] });
        mask(&body).0["messages"][1]["content"].clone()
    };
    let placeholders = Placeholders::of(mask(&json!({ "messages": [{ "content": asked }] })).1).unwrap();
    let as_text = |text: &str| {
        let answer = json!({ "content": [{ "type": "thinking", "thinking": text }] }).to_string();
        let whole =
            placeholders.whole(answer.as_bytes()).unwrap().unwrap_or_else(|| answer.clone().into_bytes());
        serde_json::from_slice::<Value>(&whole).unwrap()["content"][0]["thinking"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    for signed in
        [format!("They are {email}; key {password}!"), format!("{email}{email}"), "nothing".to_owned()]
    {
        let client_has = as_text(&signed);
        assert!(!client_has.contains('['));
        assert_eq!(
            turn(&client_has)[0],
            json!({ "type": "thinking", "thinking": signed, "signature": "c2ln" })
        );
    }
    // Made up by the model, or of a turn that the client left out.
    assert_eq!(turn("perhaps it is john@example.org"), json!([{ "type": "text", "text": "x" }]));
}

#[test]
fn a_text_that_cannot_be_masked_is_refused() {
    // Whatever is found in it makes room for the next.
    let unstable = (0..12).fold(EMAIL.to_owned(), |text, _| {
        use base64::{Engine, engine::general_purpose::STANDARD};
        format!("data {} {text}", STANDARD.encode(&text))
    });
    let covered = cover(Wire::Mask, &redactor(), json!({ "input": unstable }).to_string().as_bytes());
    match covered {
        Ok(Covered { body: Some(body), .. }) => assert!(!String::from_utf8(body).unwrap().contains(EMAIL)),
        Ok(Covered { body: None, .. }) => panic!("sent as it is"),
        Err(refusal) => assert_eq!(refusal.code(), "content_blocked"),
    }
}

fn fragment() -> impl Strategy<Value = String> {
    let values = [
        EMAIL,
        "Jane.Roe@Example.com",
        CARD,
        "4111-1111-1111-1111",
        "DE89 3704 0044 0532 0130 00",
        "+49 30 901820",
        IN_BASE64,
        "jane (at) example [dot] com",
        "jane%2Eroe%40example.com",
        "AC-123456",
        "sk-proj-aB3dE6gH9jK2mN5pQ8rS1tU4vW7xY0z",
        "password: Hunter2!x",
    ];
    let other = [
        "[",
        "]",
        "[EMAIL_ADDRESS:",
        "{\"a\":1}",
        "\"",
        "\\",
        "é",
        "日本",
        "\u{200b}",
        "\n",
        " ",
        " and ",
        "[EMAIL_ADDRESS:abcdefghijklmnop]",
    ];
    prop_oneof![
        proptest::sample::select(values.to_vec()).prop_map(ToOwned::to_owned),
        proptest::sample::select(other.to_vec()).prop_map(ToOwned::to_owned),
        "[ -~]{0,12}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// restore(mask(x)) == x, mask(mask(x)) == mask(x), and redaction leaves what is masked. But for a value with a quote or
    /// a backslash in what begins as JSON and is none: it comes back as a string of JSON writes it.
    #[test]
    fn what_is_masked_comes_back(fragments in proptest::collection::vec(fragment(), 0..12)) {
        let text = fragments.concat();
        prop_assume!(!text.trim_start().starts_with(['{', '[', '"']));
        let body = json!({ "messages": [{ "role": "user", "content": text }] });
        let (sent, masks) = mask(&body);
        prop_assert_eq!(&mask(&sent).0, &sent);
        let masked = sent["messages"][0]["content"].as_str().unwrap();
        let redacted = redactor().text(masked);
        prop_assert_eq!(redacted.as_str(), masked);
        let taken: Vec<String> = masks.iter().map(|(_, value)| value.to_owned()).collect();
        let is_plain = |value: &String| !value.contains(['"', '\\']);
        prop_assume!(taken.iter().all(is_plain) || !text.contains(['{', '[']));
        for value in taken.iter().filter(|value| value.len() >= 12) {
            prop_assert!(!masked.contains(value.as_str()), "{} in {}", value, masked);
        }
        if !masks.is_empty() {
            let answer = json!({ "choices": [{ "message": { "content": masked } }] });
            let restored = restored(masks, &answer);
            prop_assert_eq!(restored["choices"][0]["message"]["content"].as_str().unwrap(), text);
        }
    }
}

/// Who writes JSON may escape all that is not ASCII, and slashes: a value that is known goes there too, in JSON and in
/// prose that holds some.
#[test]
fn a_known_value_is_masked_however_json_spells_it() {
    for (value, spelled) in [
        ("Grün4711!x", r"Gr\u00fcn4711!x"),
        ("Grün4711!x", r"Gr\u00FCn4711!x"),
        ("Zebra/4711!x", r"Zebra\/4711!x"),
        ("Zoë/7Falke42x", r"Zo\u00eb/7Falke42x"),
        ("Zoë/7Falke42x", r"Zo\u00eb\/7Falke42x"),
        ("Kx\"7\\Falke42", r#"Kx\"7\\Falke42"#),
    ] {
        let told = format!("The password is {value} ok");
        let args = format!(r#"{{"note": "{spelled}"}}"#);
        let nested = format!(r#"{{"body": {}}}"#, json!(args));
        let prose = format!("result: {args} end");
        let in_prose = json!(prose).to_string();
        for text in [args, nested, prose, in_prose, format!("x\n{{\"a\":\"\\n{spelled}\"}}")] {
            for body in [
                json!({ "model": "m", "messages": [{ "role": "user", "content": told },
                    { "role": "assistant", "tool_calls": [{ "id": "c", "type": "function", "function": { "name": "note", "arguments": text } }] },
                    { "role": "tool", "tool_call_id": "c", "content": text }] }),
                json!({ "model": "m", "input": [{ "role": "user", "content": told },
                    { "type": "function_call", "call_id": "c", "name": "note", "arguments": text },
                    { "type": "function_call_output", "call_id": "c", "output": text }] }),
                json!({ "model": "m", "max_tokens": 5, "messages": [{ "role": "user", "content": told },
                    { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t", "content": [{ "type": "text", "text": text }] }] }] }),
            ] {
                let (sent, _) = mask(&body);
                let sent = sent.to_string();
                let leak = ["4711", "Falke"].iter().any(|part| sent.contains(part));
                assert!(!leak, "{text}\n{sent}");
            }
        }
    }
}
