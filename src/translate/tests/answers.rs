//! Laws over answers: a stream reads the same however it is cut into pieces, a whole answer says what a stream says,
//! a stream that breaks off never looks complete, and whatever comes, what leaves is well-formed.

use super::{
    About, Answer, Client, Upstream, client,
    client::Seen,
    golden::streams,
    run::{ABOUT, PAIRS, Pair, once, pairs_of, run},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// Every golden stream with each of its clients.
fn streams_of_pairs() -> impl Iterator<Item = (Pair, String, Vec<u8>)> {
    let streams = streams().into_iter();
    streams.flat_map(|(upstream, name, input)| {
        pairs_of(upstream).map(move |pair| (pair, name.clone(), input.clone()))
    })
}

/// Every place of a short stream, and a hundred of a long one.
fn places(input: &[u8]) -> impl Iterator<Item = usize> {
    (0..input.len()).step_by(1 + input.len() / 100)
}

#[test]
fn every_split_reads_the_same() {
    for (pair, name, input) in streams_of_pairs() {
        let whole = once(pair, &input);
        for at in places(&input) {
            let (first, second) = input.split_at(at);
            assert_eq!(run(pair, ABOUT, [first, second]), whole, "{name} split at {at}");
        }
        for size in [1, 2, 3, 7] {
            assert_eq!(run(pair, ABOUT, input.chunks(size)), whole, "{name} by {size} bytes");
        }
    }
}

#[test]
fn a_stream_that_breaks_off_never_looks_complete() {
    for (pair @ (upstream, client), name, input) in streams_of_pairs() {
        let last = client::read_stream(client, &once(pair, &input).out);
        for at in places(&input) {
            let found = once(pair, &input[..at]);
            let seen = client::read_stream(client, &found.out);
            if seen.done {
                // Only what had come to its end before the cut. Some Chat providers send nothing behind the finish.
                assert!(found.failed.is_none(), "{name} cut at {at}");
                match upstream {
                    Upstream::Chat => {
                        assert!(String::from_utf8_lossy(&input[..at]).contains("finish_reason"));
                    }
                    Upstream::Messages => assert_eq!(seen, last, "{name} cut at {at}"),
                }
            } else {
                let text = String::from_utf8_lossy(&found.out).into_owned();
                assert!(
                    ["[DONE]", "message_stop", "response.completed", "response.incomplete"]
                        .iter()
                        .all(|last| !text.contains(last)),
                    "{name} cut at {at}"
                );
                assert_eq!(seen.stop, None, "{name} cut at {at}: {text}");
            }
        }
    }
}

/// A whole answer of this upstream, and the stream that says the same, its texts cut at every `cut` characters.
fn both(upstream: Upstream, plan: &Plan, cut: usize) -> (Value, String) {
    match upstream {
        Upstream::Chat => (plan.chat(), plan.chat_stream(cut)),
        Upstream::Messages => (plan.messages(), plan.messages_stream(cut)),
    }
}

/// What a model says, in an order that both dialects can keep.
#[derive(Debug, Clone)]
struct Plan {
    thinking: String,
    text: String,
    calls: Vec<(String, Value)>,
    stop: usize,
    /// Fresh, read from a cache, written to a cache, output.
    tokens: [u64; 4],
}

fn json_object() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![any::<i64>().prop_map(|n| json!(n)), ".{0,8}".prop_map(|s| json!(s)), Just(Value::Null)];
    let value = leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::hash_map(".{0,6}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    });
    prop::collection::hash_map("[a-z\"é]{0,6}", value, 0..4).prop_map(|map| json!(map))
}

fn plan() -> impl Strategy<Value = Plan> {
    let call = ("[a-z_]{1,8}", json_object());
    let calls = prop::collection::vec(call, 0..4);
    let tokens = prop::array::uniform4(0..1000_u64);
    (".{0,12}", ".{0,40}", calls, 0..3_usize, tokens).prop_map(|(thinking, text, calls, stop, tokens)| Plan {
        thinking,
        text,
        calls,
        stop,
        tokens,
    })
}

fn cut(text: &str, every: usize) -> Vec<String> {
    let all: Vec<char> = text.chars().collect();
    all.chunks(every).map(|piece| piece.iter().collect()).collect()
}

impl Plan {
    fn chat_stop(&self) -> &'static str {
        [if self.calls.is_empty() { "stop" } else { "tool_calls" }, "length", "content_filter"][self.stop]
    }

    fn messages_stop(&self) -> &'static str {
        [if self.calls.is_empty() { "end_turn" } else { "tool_use" }, "max_tokens", "refusal"][self.stop]
    }

    fn chat_usage(&self) -> Value {
        let [fresh, read, written, output] = self.tokens;
        let prompt = fresh + read + written;
        let mut details = json!({ "cached_tokens": read });
        if written > 0 {
            details["cache_write_tokens"] = json!(written);
        }
        json!({
            "prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output,
            "prompt_tokens_details": details,
        })
    }

    fn responses_usage(&self) -> Value {
        let [fresh, read, written, output] = self.tokens;
        let input = fresh + read + written;
        json!({
            "input_tokens": input, "output_tokens": output, "total_tokens": input + output,
            "input_tokens_details": { "cached_tokens": read, "cache_write_tokens": written },
            "output_tokens_details": { "reasoning_tokens": 0 },
        })
    }

    fn messages_usage(&self) -> Value {
        let [fresh, read, written, output] = self.tokens;
        json!({
            "input_tokens": fresh, "cache_read_input_tokens": read, "cache_creation_input_tokens": written,
            "output_tokens": output,
        })
    }

    fn chat(&self) -> Value {
        let call = |(at, (name, input)): (usize, &(String, Value))| json!({ "id": format!("c{at}"), "type": "function", "function": { "name": name, "arguments": input.to_string() } });
        let calls: Vec<Value> = self.calls.iter().enumerate().map(call).collect();
        let message = json!({ "role": "assistant", "content": self.text, "reasoning_content": self.thinking, "tool_calls": calls });
        json!({
            "id": "a1", "model": "m", "object": "chat.completion", "usage": self.chat_usage(),
            "choices": [{ "index": 0, "message": message, "finish_reason": self.chat_stop() }],
        })
    }

    fn chat_stream(&self, every: usize) -> String {
        let mut out = String::new();
        let mut chunk = |delta: Value, finish: Option<&str>| {
            let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
            let chunk =
                json!({ "id": "a1", "model": "m", "object": "chat.completion.chunk", "choices": [choice] });
            out.push_str(&format!("data: {chunk}\n\n"));
        };
        chunk(json!({ "role": "assistant" }), None);
        cut(&self.thinking, every).iter().for_each(|text| chunk(json!({ "reasoning_content": text }), None));
        cut(&self.text, every).iter().for_each(|text| chunk(json!({ "content": text }), None));
        for (at, (name, input)) in self.calls.iter().enumerate() {
            chunk(
                json!({ "tool_calls": [{ "index": at, "id": format!("c{at}"), "function": { "name": name, "arguments": "" } }] }),
                None,
            );
            for text in cut(&input.to_string(), every) {
                let call = json!({ "index": at, "function": { "arguments": text } });
                chunk(json!({ "tool_calls": [call] }), None);
            }
        }
        chunk(json!({}), Some(self.chat_stop()));
        let last = json!({ "id": "a1", "model": "m", "choices": [], "usage": self.chat_usage() });
        format!("{out}data: {last}\n\ndata: [DONE]\n\n")
    }

    fn messages(&self) -> Value {
        let mut content = Vec::new();
        if !self.thinking.is_empty() {
            content.push(json!({ "type": "thinking", "thinking": self.thinking, "signature": "s" }));
        }
        if !self.text.is_empty() {
            content.push(json!({ "type": "text", "text": self.text }));
        }
        for (at, (name, input)) in self.calls.iter().enumerate() {
            content.push(json!({ "type": "tool_use", "id": format!("c{at}"), "name": name, "input": input }));
        }
        json!({
            "id": "a1", "model": "m", "type": "message", "role": "assistant", "content": content,
            "stop_reason": self.messages_stop(), "stop_sequence": null, "usage": self.messages_usage(),
        })
    }

    fn messages_stream(&self, every: usize) -> String {
        let mut out = String::new();
        let mut event = |data: Value| {
            out.push_str(&format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap()));
        };
        let message = self.messages();
        let mut start = message.clone();
        (start["content"], start["stop_reason"]) = (json!([]), Value::Null);
        event(json!({ "type": "message_start", "message": start }));
        for (index, block) in message["content"].as_array().unwrap().iter().enumerate() {
            let (key, kind, delta) = match block["type"].as_str().unwrap() {
                "text" => ("text", "text_delta", "text"),
                "thinking" => ("thinking", "thinking_delta", "thinking"),
                _ => ("input", "input_json_delta", "partial_json"),
            };
            let (mut empty, all) =
                (block.clone(), block[key].as_str().map_or_else(|| block[key].to_string(), Into::into));
            empty[key] = if key == "input" { json!({}) } else { json!("") };
            event(json!({ "type": "content_block_start", "index": index, "content_block": empty }));
            for text in cut(&all, every) {
                event(
                    json!({ "type": "content_block_delta", "index": index, "delta": { "type": kind, delta: text } }),
                );
            }
            event(json!({ "type": "content_block_stop", "index": index }));
        }
        let delta = json!({ "stop_reason": self.messages_stop(), "stop_sequence": null });
        event(json!({ "type": "message_delta", "delta": delta, "usage": self.messages_usage() }));
        event(json!({ "type": "message_stop" }));
        out
    }

    /// What a client of this dialect must hold in the end.
    fn expected(&self, client: Client) -> Seen {
        let call = |(at, (name, input)): (usize, &(String, Value))| client::Call {
            id: format!("c{at}"),
            name: name.clone(),
            input: input.clone(),
        };
        let (stop, usage) = match client {
            Client::Chat => (self.chat_stop(), self.chat_usage()),
            Client::Messages => (self.messages_stop(), self.messages_usage()),
            Client::Responses => {
                (["completed", "max_output_tokens", "content_filter"][self.stop], self.responses_usage())
            }
        };
        Seen {
            id: if client == Client::Responses { "resp_a1" } else { "a1" }.into(),
            model: "m".into(),
            text: self.text.clone(),
            thinking: self.thinking.clone(),
            calls: self.calls.iter().enumerate().map(call).collect(),
            stop: Some(stop.into()),
            usage: Some(usage),
            done: true,
            ..Seen::default()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_whole_answer_and_a_stream_say_what_the_model_said(plan in plan(), every in 1..9_usize, pieces in 1..50_usize) {
        for pair @ (upstream, client) in PAIRS {
            let (body, stream) = both(upstream, &plan, every);
            let mut answer = Answer::new(upstream, client, ABOUT);
            let whole = answer.whole(body.to_string().as_bytes()).unwrap();
            prop_assert_eq!(client::read_whole(client, &whole), plan.expected(client));
            let streamed = run(pair, ABOUT, stream.as_bytes().chunks(pieces));
            prop_assert_eq!(&streamed.failed, &None);
            prop_assert_eq!(client::read_stream(client, &streamed.out), plan.expected(client));
            prop_assert_eq!(streamed.usage, answer.usage());
            let usage = streamed.usage.unwrap();
            prop_assert_eq!((usage.input, usage.cached_input, usage.output), (plan.tokens[0] + plan.tokens[1] + plan.tokens[2], plan.tokens[1], plan.tokens[3]));
        }
    }

    #[test]
    fn thinking_is_shown_only_to_those_who_asked(plan in plan()) {
        let about = About { thinking: false, ..ABOUT };
        let (body, stream) = both(Upstream::Chat, &plan, 3);
        let expected = Plan { thinking: String::new(), ..plan }.expected(Client::Messages);
        let whole = Answer::new(Upstream::Chat, Client::Messages, about).whole(body.to_string().as_bytes()).unwrap();
        prop_assert_eq!(&client::read_whole(Client::Messages, &whole), &expected);
        let streamed = run((Upstream::Chat, Client::Messages), about, [stream.as_bytes()]);
        prop_assert_eq!(client::read_stream(Client::Messages, &streamed.out), expected);
    }

    #[test]
    fn an_answer_comes_back_as_it_was(plan in plan()) {
        for (upstream, client, other, own) in [
                (Upstream::Chat, Client::Messages, Upstream::Messages, Client::Chat),
                (Upstream::Messages, Client::Chat, Upstream::Chat, Client::Messages),
            ] {
            let (body, _) = both(upstream, &plan, 1);
            let there = Answer::new(upstream, client, ABOUT).whole(body.to_string().as_bytes()).unwrap();
            let back = Answer::new(other, own, ABOUT).whole(&there).unwrap();
            prop_assert_eq!(client::read_whole(own, &back), plan.expected(own));
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300), pieces in 1..40_usize) {
        for pair @ (upstream, client) in PAIRS {
            well_formed(pair, &bytes, pieces);
            let whole = Answer::new(upstream, client, ABOUT).whole(&bytes);
            prop_assert!(whole.is_err() || serde_json::from_slice::<Value>(&bytes).is_ok());
        }
    }

    #[test]
    fn changed_streams_do_no_harm(changes in prop::collection::vec(change(), 1..6), stream in any::<usize>(), pieces in 1..200_usize) {
        let (upstream, _, input) = &STREAMS[stream % STREAMS.len()];
        let mut input = input.clone();
        changes.iter().for_each(|change| apply(*upstream, &mut input, change));
        for pair in pairs_of(*upstream) {
            well_formed(pair, &input, pieces);
        }
        // What comes whole is read by the same rules.
        for data in input.split(|&b| b == b'\n').filter_map(|line| line.strip_prefix(b"data: ")) {
            for (upstream, client) in pairs_of(*upstream) {
                if let Ok(body) = Answer::new(upstream, client, ABOUT).whole(data) {
                    client::read_whole(client, &body);
                }
            }
        }
    }
}

static STREAMS: LazyLock<Vec<(Upstream, String, Vec<u8>)>> = LazyLock::new(streams);

/// What leaves is in the one form that all clients read alike, and the same however the input was cut.
fn well_formed(pair: Pair, input: &[u8], pieces: usize) {
    let found = once(pair, input);
    let seen = client::read_stream(pair.1, &found.out);
    assert!(!(seen.done && found.failed.is_some()));
    assert_eq!(run(pair, ABOUT, input.chunks(pieces)), found);
}

/// One change of a stream.
#[derive(Debug, Clone)]
enum Change {
    Byte {
        at: usize,
        byte: u8,
    },
    Cut {
        at: usize,
        len: usize,
    },
    /// A whole event of some stream comes in between.
    Event {
        at: usize,
        stream: usize,
        from: usize,
    },
}

fn change() -> impl Strategy<Value = Change> {
    let byte = prop_oneof![prop::sample::select(&b"\"\\{}[]:,0 \n\rn1"[..]), any::<u8>()];
    prop_oneof![
        3 => (any::<usize>(), byte).prop_map(|(at, byte)| Change::Byte { at, byte }),
        1 => (any::<usize>(), 0..40_usize).prop_map(|(at, len)| Change::Cut { at, len }),
        4 => (any::<usize>(), any::<usize>(), any::<usize>()).prop_map(|(at, stream, from)| Change::Event { at, stream, from }),
    ]
}

fn apply(upstream: Upstream, input: &mut Vec<u8>, change: &Change) {
    match *change {
        Change::Byte { at, byte } => {
            let at = at % input.len().max(1);
            input.get_mut(at).into_iter().for_each(|old| *old = byte);
        }
        Change::Cut { at, len } => {
            let at = at % input.len().max(1);
            input.drain(at..(at + len).min(input.len()));
        }
        Change::Event { at, stream, from } => {
            let own: Vec<_> = STREAMS.iter().filter(|(other, ..)| *other == upstream).collect();
            let other = String::from_utf8_lossy(&own[stream % own.len()].2).into_owned();
            let events: Vec<&str> = other.split_inclusive("\n\n").collect();
            let event = events[from % events.len()].as_bytes();
            let text = String::from_utf8_lossy(input).into_owned();
            let places: Vec<usize> = text.match_indices("\n\n").map(|(at, _)| at + 2).collect();
            if let Some(&place) = places.get(at % places.len().max(1)) {
                *input = [&text.as_bytes()[..place], event, &text.as_bytes()[place..]].concat();
            }
        }
    }
}

#[test]
fn what_is_too_large_ends_the_answer() {
    for (upstream, client) in PAIRS {
        let mut answer = Answer::new(upstream, client, ABOUT);
        let mut out = Vec::new();
        let piece = vec![b'x'; 64 << 10];
        let mut came = 0;
        while answer.read(&piece, &mut out).is_ok() {
            came += piece.len();
            assert!(came < 2 << 20, "held without end");
        }
        assert_eq!((answer.bytes_held(), out.len()), (0, 0));
    }
}

#[test]
fn a_call_that_is_too_long_or_one_too_many_ends_the_answer() {
    let fragment = |index: usize, text: &str| {
        let call = json!({ "index": index, "id": format!("c{index}"), "function": { "name": "a", "arguments": text } });
        format!("data: {}\n\n", json!({ "choices": [{ "delta": { "tool_calls": [call] } }] }))
    };
    let finish = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n";
    let check = |calls: String, fails: bool| {
        let found = once((Upstream::Chat, Client::Messages), (calls + finish).as_bytes());
        assert_eq!(found.failed.is_some(), fails);
        assert_eq!(client::read_stream(Client::Messages, &found.out).done, !fails);
    };
    check(fragment(0, &"x".repeat(4096)), false);
    check(fragment(0, &"x".repeat(4097)), true);
    check((0..128).map(|at| fragment(at, "{}")).collect(), false);
    check((0..129).map(|at| fragment(at, "{}")).collect(), true);
}

#[test]
fn a_responses_answer_is_not_held_without_end() {
    let start = r#"{"type":"message_start","message":{"id":"a","model":"m","content":[]}}"#;
    let mut answer = Answer::new(Upstream::Messages, Client::Responses, ABOUT);
    let mut out = Vec::new();
    answer.read(format!("data: {start}\n\n").as_bytes(), &mut out).unwrap();
    let mut came = 0;
    for index in 0.. {
        let kind = ["text", "thinking"][index % 2];
        let events = [
            json!({ "type": "content_block_start", "index": index, "content_block": { "type": kind, kind: "x" } }),
            json!({ "type": "content_block_stop", "index": index }),
        ];
        let events: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        came += events.len();
        out.clear();
        if answer.read(events.as_bytes(), &mut out).is_err() {
            break;
        }
        assert!(came < 16 << 20, "many small items are held without end");
    }
}

#[test]
fn words_that_stand_in_every_event_are_short() {
    let long = "x".repeat(1025);
    let chunk = json!({ "id": long, "choices": [{ "delta": { "content": "x" } }] });
    let start = json!({ "type": "message_start", "message": { "id": "a", "model": long, "content": [] } });
    for (upstream, event) in [(Upstream::Chat, chunk), (Upstream::Messages, start)] {
        for pair in pairs_of(upstream) {
            let found = once(pair, format!("data: {event}\n\n").as_bytes());
            assert!(found.failed.is_some() && found.out.is_empty());
        }
    }
}

#[test]
fn what_is_held_is_told_when_the_answer_breaks_off() {
    let call = json!({ "index": 0, "id": "c", "function": { "name": "pay", "arguments": "{\"sum\":" } });
    let chunk = json!({ "choices": [{ "delta": { "tool_calls": [call] } }] });
    let mut answer = Answer::new(Upstream::Chat, Client::Messages, ABOUT);
    let mut out = Vec::new();
    assert!(!answer.holds());
    answer.read(format!("data: {chunk}\n\n").as_bytes(), &mut out).unwrap();
    assert!(answer.holds());
    answer.end(&mut out).unwrap();
    assert!(!String::from_utf8(out).unwrap().contains("pay"));
    let unfinished = answer.take_unfinished();
    assert_eq!(
        unfinished.iter().map(|call| (&*call.tool, &*call.text)).collect::<Vec<_>>(),
        [("pay", "{\"sum\":")]
    );
    assert!(!answer.holds() && answer.take_unfinished().is_empty());
}
