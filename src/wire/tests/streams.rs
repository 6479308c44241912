//! Streams: whatever way a text is cut up, the client gets the same, and no more is held than an open match.

use super::*;
use crate::wire::Restorer;
use proptest::prelude::*;
use serde_json::json;

/// How a dialect tells a text in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Chat,
    Completions,
    Messages,
    Responses,
    Thinking,
}

const ALL: [Told; 5] = [Told::Chat, Told::Completions, Told::Messages, Told::Responses, Told::Thinking];

impl Told {
    fn api(self) -> Api {
        match self {
            Self::Chat => Api::Chat,
            Self::Completions => Api::Completions,
            Self::Messages | Self::Thinking => Api::Messages,
            Self::Responses => Api::Responses,
        }
    }

    fn piece(self, text: &str) -> String {
        let (name, data) = match self {
            Self::Chat => (
                "",
                json!({ "id": "c", "choices": [{ "index": 0, "delta": { "content": text }, "finish_reason": null }] }),
            ),
            Self::Completions => {
                ("", json!({ "id": "c", "choices": [{ "index": 0, "text": text, "finish_reason": null }] }))
            }
            Self::Messages => (
                "content_block_delta",
                json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": text } }),
            ),
            Self::Thinking => (
                "content_block_delta",
                json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "thinking_delta", "thinking": text } }),
            ),
            Self::Responses => (
                "response.output_text.delta",
                json!({ "type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": text }),
            ),
        };
        event(name, &data)
    }

    fn end(self) -> String {
        match self {
            Self::Chat => {
                event(
                    "",
                    &json!({ "id": "c", "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] }),
                ) + "data: [DONE]\n\n"
            }
            Self::Completions => {
                event(
                    "",
                    &json!({ "id": "c", "choices": [{ "index": 0, "text": "", "finish_reason": "stop" }] }),
                ) + "data: [DONE]\n\n"
            }
            Self::Messages => {
                event("content_block_stop", &json!({ "type": "content_block_stop", "index": 0 }))
            }
            Self::Thinking => {
                event(
                    "content_block_delta",
                    &json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "signature_delta", "signature": "s" } }),
                ) + &event("content_block_stop", &json!({ "type": "content_block_stop", "index": 0 }))
            }
            Self::Responses => event(
                "response.output_text.done",
                &json!({ "type": "response.output_text.done", "output_index": 0, "content_index": 0 }),
            ),
        }
    }
}

fn event(name: &str, data: &Value) -> String {
    if name.is_empty() { format!("data: {data}\n\n") } else { format!("event: {name}\ndata: {data}\n\n") }
}

fn placeholders() -> Placeholders {
    static MADE: std::sync::OnceLock<Placeholders> = std::sync::OnceLock::new();
    MADE.get_or_init(|| Placeholders::of(mask(&json!({ "input": [EMAIL, CARD] })).1).unwrap()).clone()
}

fn restorer(api: Api) -> Restorer {
    Restorer::new(placeholders(), api, 64, 4096)
}

/// The text of all pieces in a stream.
fn text(stream: &[u8]) -> String {
    let stream = String::from_utf8(stream.to_vec()).unwrap();
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| {
        let event: Value = serde_json::from_str(data).unwrap();
        let choice = &event["choices"][0];
        let places = [
            &choice["delta"]["content"],
            &choice["text"],
            &event["delta"]["text"],
            &event["delta"]["thinking"],
            &event["delta"],
        ];
        places.into_iter().find_map(Value::as_str).unwrap_or_default().to_owned()
    })
    .collect()
}

fn read(api: Api, pieces: &[&[u8]]) -> Vec<u8> {
    let (mut restorer, mut out) = (restorer(api), Vec::new());
    pieces.iter().for_each(|piece| restorer.read(piece, &mut out).unwrap());
    restorer.end(&mut out);
    out
}

#[test]
fn every_cut_of_a_text_and_of_its_bytes_gives_the_same() {
    let [email, card] = [EMAIL, CARD].map(placeholder);
    let said = format!("a [{email}] {card}{email}[x {}", email.split_at(12).0);
    let expected = said.replace(&email, EMAIL).replace(&card, CARD);
    for told in ALL {
        for at in 0..=said.len() {
            let (head, tail) = said.split_at(at);
            let stream = told.piece(head) + &told.piece(tail) + &told.end();
            let out = read(told.api(), &[stream.as_bytes()]);
            assert_eq!(text(&out), expected, "{told:?} at {at}");
            // The last text of a completion leaves with its end.
            let ends = out.ends_with(told.end().as_bytes());
            assert!(ends || told == Told::Completions, "the end stays as it is");
        }
        let each: String = said.chars().map(|c| told.piece(&c.to_string())).collect::<String>() + &told.end();
        let out = read(told.api(), &[each.as_bytes()]);
        assert_eq!(text(&out), expected, "{told:?}, a character a piece");
        let pieces: Vec<char> = format!("{email}[x").chars().collect();
        let each: String =
            pieces.chunks(4).map(|piece| told.piece(&piece.iter().collect::<String>())).collect();
        let each = each + &told.end();
        let out = read(told.api(), &[each.as_bytes()]);
        for at in 0..=each.len() {
            let cut = read(told.api(), &[&each.as_bytes()[..at], &each.as_bytes()[at..]]);
            assert_eq!(cut, out, "{told:?}, bytes cut at {at}");
        }
    }
}

#[test]
fn no_more_is_held_than_an_open_match() {
    let email = placeholder(EMAIL);
    for told in ALL {
        let mut restorer = restorer(told.api());
        let mut step = |piece: &str, expected: &str| {
            let mut out = Vec::new();
            restorer.read(told.piece(piece).as_bytes(), &mut out).unwrap();
            assert_eq!(text(&out), expected, "{told:?} {piece}");
        };
        step("hello [", "hello ");
        step("1] and [E", "[1] and ");
        step("MAIL_ADDRESS:", "");
        step("zzz", "[EMAIL_ADDRESS:zzz");
        step(email.split_at(email.len() - 1).0, "");
        step("]!", &format!("{EMAIL}!"));
        step("[[", "[");
        step("", "");
        step("x", "[x");
    }
}

#[test]
fn what_holds_no_placeholder_is_not_touched() {
    for stream in [
        "data: {\"choices\": [ {\"index\":0, \"delta\":{\"content\":\"plain [text]\"}} ] }\n\n: ping\n\nid: 3\ndata: not json\n\ndata: [DONE]\n\n",
        "event: ping\r\ndata: {\"type\": \"ping\"}\r\n\r\ndata: cut",
    ] {
        for api in [Api::Chat, Api::Messages, Api::Responses] {
            assert_eq!(String::from_utf8(read(api, &[stream.as_bytes()])).unwrap(), stream);
        }
    }
}

#[test]
fn texts_of_choices_and_members_are_kept_apart() {
    let email = placeholder(EMAIL);
    let (head, tail) = email.split_at(9);
    let delta = |index: u64, key: &str, text: &str| {
        event("", &json!({ "choices": [{ "index": index, "delta": { key: text }, "finish_reason": null }] }))
    };
    let stream = delta(0, "content", head)
        + &delta(1, "content", head)
        + &delta(1, "content", "x")
        + &delta(0, "content", tail)
        + &delta(2, "reasoning_content", head)
        + &delta(2, "content", tail)
        + "data: [DONE]\n\n";
    let out = String::from_utf8(read(Api::Chat, &[stream.as_bytes()])).unwrap();
    let mut said: std::collections::BTreeMap<(u64, String), String> = std::collections::BTreeMap::new();
    for data in out.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]") {
        let event: Value = serde_json::from_str(data).unwrap();
        let choice = &event["choices"][0];
        for (key, text) in choice["delta"].as_object().unwrap() {
            *said.entry((choice["index"].as_u64().unwrap(), key.clone())).or_default() +=
                text.as_str().unwrap();
        }
    }
    let of = |index, key: &str| said[&(index, key.to_owned())].clone();
    assert_eq!(of(0, "content"), EMAIL);
    assert_eq!(of(1, "content"), format!("{head}x"));
    assert_eq!((of(2, "reasoning_content"), of(2, "content")), (head.to_owned(), tail.to_owned()));
}

#[test]
fn arguments_of_the_clients_calls_wait_for_their_judge_and_the_providers_own_do_not() {
    let email = placeholder(EMAIL);
    let args = json!({ "to": email }).to_string();
    let chat = event(
        "",
        &json!({ "choices": [{ "index": 0, "delta": { "tool_calls": [{ "index": 0, "function": { "name": "send", "arguments": args } }] } }] }),
    );
    let block = |kind: &str| {
        event(
            "content_block_start",
            &json!({ "type": "content_block_start", "index": 1, "content_block": { "type": kind, "id": "t", "name": "send", "input": {} } }),
        ) + &event(
            "content_block_delta",
            &json!({ "type": "content_block_delta", "index": 1, "delta": { "type": "input_json_delta", "partial_json": args } }),
        ) + &event("content_block_stop", &json!({ "type": "content_block_stop", "index": 1 }))
    };
    let responses = |kind: &str| event(kind, &json!({ "type": kind, "output_index": 0, "delta": args }));
    for (api, stream, restored) in [
        (Api::Chat, chat, false),
        (Api::Messages, block("tool_use"), false),
        (Api::Messages, block("server_tool_use"), true),
        (Api::Responses, responses("response.function_call_arguments.delta"), false),
        (Api::Responses, responses("response.mcp_call_arguments.delta"), true),
    ] {
        let out = String::from_utf8(read(api, &[stream.as_bytes()])).unwrap();
        let expected = if restored { stream.replace(&email, EMAIL) } else { stream };
        let events = |stream: &str| {
            stream
                .lines()
                .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
                .collect::<Vec<Value>>()
        };
        assert_eq!(events(&out), events(&expected), "{api:?}");
    }
}

#[test]
fn an_event_without_end_is_handed_on() {
    let (mut restorer, mut out) = (restorer(Api::Chat), Vec::new());
    let endless = vec![b'x'; 2 << 20];
    restorer.read(b"data: ", &mut out).unwrap();
    restorer.read(&endless, &mut out).unwrap();
    restorer.read(b"more", &mut out).unwrap();
    assert_eq!(out.len(), endless.len() + 10);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_pieces_of_any_text_give_what_the_whole_gives(
        parts in proptest::collection::vec(prop_oneof![Just(0_usize), Just(1), Just(2), Just(3), Just(4)], 1..12),
        cuts in proptest::collection::vec(1..9_usize, 1..60),
        which in 0..5_usize,
    ) {
        let [email, card] = [EMAIL, CARD].map(placeholder);
        let said: String = parts.iter().map(|part| [email.as_str(), &card, "[", "[CREDIT", " é]"][*part]).collect();
        let told = ALL[which];
        let whole = placeholders().text(&said, crate::wire::restore::Spelling::Plain, &mut 100_000).unwrap().unwrap_or_else(|| said.clone());
        let (mut stream, mut rest, mut cuts) = (String::new(), said.as_str(), cuts.iter().cycle());
        while !rest.is_empty() {
            let at = rest.ceil_char_boundary(*cuts.next().unwrap());
            let (piece, behind) = rest.split_at(at);
            stream += &told.piece(piece);
            rest = behind;
        }
        stream += &told.end();
        prop_assert_eq!(text(&read(told.api(), &[stream.as_bytes()])), whole);
    }
}
