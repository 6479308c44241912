//! Random messages: what a model says and calls, and one of the many ways in which it may be streamed. A client holds
//! in the end what the model produced, without what was denied.

use super::{GOLDEN, Keys, Run, client, only_released, script};
use crate::{
    dialect::{
        Api, notice,
        tests::{
            dice::{Dice, Manner, PIECES, Wire, in_quotes, is_absent, pieces},
            golden::both_ways,
            script::{FORCED, Script},
        },
    },
    usage::Usage,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A block of a message.
#[derive(Debug)]
enum Part {
    Text(Vec<String>),
    Thinking(Vec<String>),
    Call(Called),
    /// A call that the provider ran, and what came of it.
    Ran(Called),
}

#[derive(Debug)]
struct Called {
    id: String,
    name: String,
    /// As the model wrote it.
    input: String,
    /// A character that is in this call's id and input and nowhere else.
    canary: char,
}

impl Called {
    fn draw(dice: &mut Dice<'_>, kinds: &[&str], canary: char, whole: bool) -> Self {
        let input = match dice.roll(if whole { 4 } else { 6 }) {
            0 => String::new(),
            1 => format!(r#"{{"{canary}":"{canary}{canary}"}}"#),
            2 => format!(r#"{{"v":[1.50,"{canary}",{{"{canary}":null}}]}}"#),
            3 => format!(r#" {{ "q" : "\"{canary}\\ \n{}" }} "#, in_quotes(dice.pick(&PIECES))),
            4 => format!("[\"{canary}\"]"),
            _ => format!("{{\"{canary} is no JSON"),
        };
        let name = format!("{}_{}", dice.pick(kinds), dice.roll(4));
        Self { id: format!("toolu_{canary}{}", dice.roll(3)), name, input, canary }
    }

    fn object(&self) -> Option<Value> {
        let text = if self.input.is_empty() { "{}" } else { &self.input };
        serde_json::from_str(text).ok().filter(Value::is_object)
    }

    fn denied(&self) -> bool {
        self.name.starts_with("delete") || self.object().is_none()
    }

    fn notice(&self, ran: bool) -> String {
        let name = if ran { format!("builtin__{}", self.name) } else { self.name.clone() };
        let broken = !ran && self.object().is_none();
        notice(
            &name,
            if broken { "its arguments are not a JSON object, or are cut short" } else { "not here" },
        )
    }

    /// The block as it begins.
    fn start(&self, kind: &str) -> Value {
        json!({ "type": kind, "id": self.id, "name": self.name, "input": {} })
    }

    fn result(&self) -> Value {
        json!({ "type": "web_tool_result", "tool_use_id": self.id, "content": [{ "type": "found", "text": self.canary }] })
    }
}

/// A random message; one that can be told `whole` has no input that is cut.
fn plan(dice: &mut Dice<'_>, whole: bool) -> Vec<Part> {
    let mut canaries = '\u{e000}'..='\u{e0ff}';
    (0..dice.roll(7))
        .map(|_| {
            let texts =
                |dice: &mut Dice<'_>| (0..dice.roll(4)).map(|_| dice.pick(&PIECES).to_owned()).collect();
            match dice.roll(6) {
                0 | 1 => Part::Text(texts(dice)),
                2 => Part::Thinking(texts(dice)),
                3 | 4 => Part::Call(Called::draw(
                    dice,
                    &["get", "get", "delete", "set"],
                    canaries.next().unwrap(),
                    whole,
                )),
                _ => Part::Ran(Called::draw(dice, &["search", "delete"], canaries.next().unwrap(), true)),
            }
        })
        .collect()
}

/// The message in one body.
fn body(plan: &[Part]) -> Value {
    let mut content = Vec::new();
    for part in plan {
        match part {
            Part::Text(texts) => content.push(json!({ "type": "text", "text": texts.concat() })),
            Part::Thinking(texts) => {
                content.push(json!({ "type": "thinking", "thinking": texts.concat(), "signature": "s" }));
            }
            Part::Call(call) => {
                let mut block = call.start("tool_use");
                block["input"] = call.object().unwrap();
                content.push(block);
            }
            Part::Ran(call) => {
                let mut block = call.start("server_tool_use");
                block["input"] = call.object().unwrap();
                content.extend([block, call.result()]);
            }
        }
    }
    json!({ "type": "message", "role": "assistant", "content": content, "stop_reason": stop(plan),
        "usage": { "input_tokens": 5, "output_tokens": 6 } })
}

fn stop(plan: &[Part]) -> &'static str {
    if plan.iter().any(|part| matches!(part, Part::Call(_))) { "tool_use" } else { "end_turn" }
}

/// What a client must hold in the end: blocks, each with its input's text.
fn expected(plan: &[Part]) -> Vec<(Value, String)> {
    let text = |text: &str| (json!({ "type": "text", "text": text }), String::new());
    let mut blocks = Vec::new();
    for part in plan {
        match part {
            Part::Text(texts) => blocks.push(text(&texts.concat())),
            Part::Thinking(texts) => {
                let block = json!({ "type": "thinking", "thinking": texts.concat(), "signature": "s" });
                blocks.push((block, String::new()));
            }
            Part::Call(call) if call.denied() => blocks.push(text(&call.notice(false))),
            Part::Call(call) => {
                let input = if call.name.starts_with("set") { FORCED } else { &call.input };
                blocks.push((call.start("tool_use"), input.to_owned()));
            }
            Part::Ran(call) if call.denied() => {
                blocks.push(text(&call.notice(true)));
                blocks.push(text("[The result of a denied tool call is left out.]"));
            }
            Part::Ran(call) => {
                blocks.push((call.start("server_tool_use"), call.input.clone()));
                blocks.push((call.result(), String::new()));
            }
        }
    }
    blocks
}

fn expected_stop(plan: &[Part]) -> &'static str {
    let left = plan.iter().any(|part| matches!(part, Part::Call(call) if !call.denied()));
    if left { stop(plan) } else { "end_turn" }
}

/// The message as a stream.
fn stream(plan: &[Part], dice: &mut Dice<'_>, manner: Manner) -> String {
    let mut rows: Vec<Vec<Value>> = Vec::new();
    for part in plan {
        match part {
            Part::Text(texts) => rows.push(said(&json!({ "type": "text", "text": "" }), "text", texts)),
            Part::Thinking(texts) => {
                let mut row =
                    said(&json!({ "type": "thinking", "thinking": "", "signature": "" }), "thinking", texts);
                row.push(json!({ "type": "content_block_delta", "delta": { "type": "signature_delta", "signature": "s" } }));
                rows.push(row);
            }
            Part::Call(call) => rows.push(called(call, "tool_use", dice, manner)),
            Part::Ran(call) => {
                rows.push(called(call, "server_tool_use", dice, Manner::Regular));
                rows.push(vec![json!({ "type": "content_block_start", "content_block": call.result() })]);
            }
        }
    }
    for (index, row) in rows.iter_mut().enumerate() {
        row.push(json!({ "type": "content_block_stop" }));
        row.iter_mut().for_each(|event| event["index"] = json!(index));
    }
    let begin = json!({ "type": "message_start", "message": { "content": [], "usage": { "input_tokens": 5, "output_tokens": 1 } } });
    let end = [
        json!({ "type": "message_delta", "delta": { "stop_reason": stop(plan) }, "usage": { "output_tokens": 6 } }),
        json!({ "type": "message_stop" }),
    ];
    let between = if manner == Manner::Odd { dice.mix(rows) } else { rows.concat() };
    let wire = Wire::draw(dice, manner);
    let mut out = String::new();
    for event in std::iter::once(begin).chain(between).chain(end) {
        if manner == Manner::Odd && dice.one_in(10) {
            wire.event(&json!({ "type": "ping" }), dice, &mut out);
        }
        wire.event(&event, dice, &mut out);
    }
    out
}

fn said(block: &Value, key: &str, texts: &[String]) -> Vec<Value> {
    let mut row = vec![json!({ "type": "content_block_start", "content_block": block })];
    row.extend(texts.iter().map(
        |text| json!({ "type": "content_block_delta", "delta": { "type": format!("{key}_delta"), key: text } }),
    ));
    row
}

fn called(call: &Called, kind: &str, dice: &mut Dice<'_>, manner: Manner) -> Vec<Value> {
    let mut block = call.start(kind);
    let object = call.object().filter(|object| {
        let text = object.to_string();
        text == call.input && manner == Manner::Odd && dice.one_in(3)
    });
    if let Some(object) = object {
        // The whole call as it begins.
        block["input"] = object;
        return vec![json!({ "type": "content_block_start", "content_block": block })];
    }
    let mut row = vec![json!({ "type": "content_block_start", "content_block": block })];
    row.extend(dice.cut(&call.input).into_iter().map(
        |piece| json!({ "type": "content_block_delta", "delta": { "type": "input_json_delta", "partial_json": piece } }),
    ));
    row
}

fn dice() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(any::<u16>(), 0..400)
}

fn held(run: &Run) -> Vec<(Value, String)> {
    let seen = client::read_stream(&run.out, Keys::Exact);
    assert!(seen.done);
    seen.blocks.into_iter().map(|block| (block.value, block.json)).collect()
}

fn nothing_denied_leaks(plan: &[Part], text: &str) -> Result<(), TestCaseError> {
    for part in plan {
        if let Part::Call(call) | Part::Ran(call) = part
            && call.denied()
        {
            prop_assert!(is_absent(call.canary, text), "{:?} leaked: {}", call, text);
        }
    }
    Ok(())
}

/// What the judge was asked, by tool, arguments and verdict, in no order.
fn asked(run: &Run) -> Vec<String> {
    let args = |text: &str| serde_json::from_str::<Value>(if text.is_empty() { "{}" } else { text }).unwrap();
    let of = |ruling: &script::Ruling| {
        // Of a call that the provider ran the input may not be here yet.
        let text = if ruling.tool.starts_with("builtin__") { "" } else { &ruling.text };
        format!("{} {} {:?}", ruling.tool, args(text), ruling.verdict)
    };
    let mut found: Vec<String> = run.log.iter().map(of).collect();
    found.sort();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_client_holds_what_was_allowed_and_nothing_else(dice in dice(), cuts in prop::collection::vec(1..60_usize, 1..8)) {
        let mut dice = Dice(&dice);
        let plan = plan(&mut dice, false);
        let input = stream(&plan, &mut dice, Manner::Odd);
        let found = script::once(GOLDEN.api, input.as_bytes());
        prop_assert_eq!(&found.failed, &None, "{}", input);
        prop_assert_eq!(held(&found), expected(&plan), "{}", input);
        let seen = client::read_stream(&found.out, Keys::Exact);
        prop_assert_eq!(seen.stop.as_deref(), Some(expected_stop(&plan)));
        nothing_denied_leaks(&plan, found.text())?;
        only_released(&found);
        prop_assert_eq!(found.usage, Some(Usage { input: 5, output: 6, ..Usage::default() }));
        // Split anywhere, and without the fast path, it reads the same.
        let split = script::run(GOLDEN.api, pieces(input.as_bytes(), &cuts), Script::default(), script::Reading::Plain);
        prop_assert_eq!(&split, &found);
        for either in both_ways(GOLDEN.api, input.as_bytes(), &Script::default()) {
            prop_assert_eq!(&either, &found);
        }
    }

    #[test]
    fn a_whole_message_and_a_stream_say_the_same(dice in dice()) {
        let mut dice = Dice(&dice);
        let plan = plan(&mut dice, true);
        let body = body(&plan).to_string();
        let whole = script::whole(Api::Messages, body.as_bytes(), Script::default());
        prop_assert_eq!(&whole.failed, &None);
        nothing_denied_leaks(&plan, whole.text())?;
        let called = |part: &Part| matches!(part, Part::Call(call) if call.denied() || call.name.starts_with("set"));
        let changes = plan.iter().any(|part| called(part) || matches!(part, Part::Ran(call) if call.denied()));
        prop_assert_eq!(changes, whole.out != body.as_bytes(), "a message is written anew only where it changed");
        let streamed = script::once(Api::Messages, stream(&plan, &mut dice, Manner::Odd).as_bytes());
        prop_assert_eq!(client::read_stream(&streamed.out, Keys::Exact).whole(), client::read_whole(&whole.out).whole());
        prop_assert_eq!(asked(&streamed), asked(&whole));
        prop_assert_eq!(streamed.usage, whole.usage);
    }

    #[test]
    fn what_is_allowed_and_regular_arrives_as_it_came(dice in dice()) {
        let mut dice = Dice(&dice);
        let mut plan = plan(&mut dice, true);
        for part in &mut plan {
            if let Part::Call(call) | Part::Ran(call) = part {
                call.name.insert_str(0, "get_");
            }
        }
        let input = stream(&plan, &mut dice, Manner::Regular);
        let found = script::once(Api::Messages, input.as_bytes());
        let seen = |stream: &[u8]| client::read_stream(stream, Keys::Exact);
        prop_assert_eq!(seen(&found.out), seen(input.as_bytes()));
        if !plan.iter().any(|part| matches!(part, Part::Call(_))) {
            prop_assert_eq!(&*found.out, input.as_bytes());
        }
    }
}
