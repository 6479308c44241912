//! Random answers: what a model says and calls, and one of the many ways in which providers stream it.
//!
//! Everything is drawn from a row of dice, so that a failing plan shrinks towards a small and plain one.

use super::client::{Call, Message};
use crate::dialect::tests::dice::Dice;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// An answer of the model.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) choices: Vec<Spoken>,
}

#[derive(Debug)]
pub(super) struct Spoken {
    pub(super) text: Vec<String>,
    pub(super) calls: Vec<Called>,
    pub(super) legacy: bool,
}

#[derive(Debug)]
pub(super) struct Called {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) input: String,
    pub(super) custom: bool,
    /// A character that is in this call's id and input and nowhere else.
    pub(super) canary: char,
}

impl Called {
    pub(super) fn denied(&self) -> bool {
        self.name.starts_with("delete")
    }

    pub(super) fn rewritten(&self) -> bool {
        self.name.starts_with("set")
    }
}

/// How far a rendering may stray from what OpenAI itself sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Odd,
    Regular,
}

const PIECES: [&str; 10] =
    ["Hello", " ", "\n", "\"quoted\" \\", "ü€", "😀", "", "[DONE]", "data: x", "tool_calls"];

pub(super) fn plan(dice: &mut Dice<'_>) -> Plan {
    let mut canaries = '\u{e000}'..='\u{e0ff}';
    let choices = (0..=dice.roll(3))
        .map(|_| {
            let legacy = dice.one_in(5);
            let calls = if legacy { dice.roll(2) } else { dice.roll(5) };
            Spoken {
                text: (0..dice.roll(4)).map(|_| dice.pick(&PIECES).to_owned()).collect(),
                calls: (0..calls).map(|_| called(dice, legacy, canaries.next().unwrap())).collect(),
                legacy,
            }
        })
        .collect();
    Plan { choices }
}

fn called(dice: &mut Dice<'_>, legacy: bool, canary: char) -> Called {
    let kind = dice.pick(&["get", "get", "delete", "set"]);
    let input = match dice.roll(4) {
        0 => format!(r#"{{"{canary}":"{canary}{canary}"}}"#),
        1 => format!(r#"{{"v":[1.50,"{canary}",{{"{canary}":null}}]}}"#),
        2 => format!(r#" {{ "q" : "\"{canary}\\ \n{}" }} "#, dice.pick(&PIECES).escape_default()),
        _ => format!("{canary} is no JSON {{"),
    };
    Called {
        id: format!("call_{canary}{}", dice.roll(3)),
        name: format!("{kind}_{}", dice.roll(4)),
        input,
        custom: !legacy && dice.one_in(5),
        canary,
    }
}

impl Plan {
    /// The answer as one body.
    pub(super) fn whole(&self) -> Value {
        let choices: Vec<Value> = (0_u64..)
            .zip(&self.choices)
            .map(|(index, spoken)| {
                let text = spoken.text.concat();
                let content = if text.is_empty() { Value::Null } else { json!(text) };
                let mut message = json!({ "role": "assistant", "content": content });
                let calls: Vec<Value> = spoken.calls.iter().map(Called::whole).collect();
                if let Some(call) = spoken.legacy.then(|| calls.first()).flatten() {
                    message["function_call"] = call["function"].clone();
                } else if !calls.is_empty() {
                    message["tool_calls"] = json!(calls);
                }
                json!({ "index": index, "message": message, "finish_reason": spoken.finish() })
            })
            .collect();
        json!({ "object": "chat.completion", "choices": choices })
    }

    /// What a client must hold in the end, beside the notices.
    pub(super) fn expected(&self) -> BTreeMap<u64, Message> {
        (0..).zip(&self.choices).map(|(index, spoken)| (index, spoken.expected())).collect()
    }

    /// The answer as a stream.
    pub(super) fn stream(&self, dice: &mut Dice<'_>, manner: Manner) -> String {
        let mut queues: Vec<Vec<Step>> =
            self.choices.iter().map(|spoken| steps(spoken, dice, manner)).collect();
        queues.iter_mut().for_each(|steps| steps.reverse());
        let wire = Wire::draw(dice, manner);
        let mut out = String::new();
        while queues.iter().any(|steps| !steps.is_empty()) {
            let ready: Vec<usize> = (0..queues.len()).filter(|&at| !queues[at].is_empty()).collect();
            let mut choices = Vec::new();
            for &index in &ready {
                let chosen =
                    dice.roll(ready.len()) == 0 || (choices.is_empty() && ready.last() == Some(&index));
                if chosen && (choices.is_empty() || manner == Manner::Odd) {
                    let Some(step) = queues[index].pop() else { continue };
                    choices.push(step.choice(index));
                }
            }
            let mut chunk =
                json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": choices });
            if manner == Manner::Odd && dice.one_in(6) {
                chunk["obfuscation"] = json!(dice.pick(&["a", "bcd", "efghi"]));
            }
            wire.event(&chunk, dice, &mut out);
        }
        let usage = json!({ "prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11 });
        wire.event(
            &json!({ "object": "chat.completion.chunk", "choices": [], "usage": usage }),
            dice,
            &mut out,
        );
        if manner == Manner::Regular || !dice.one_in(5) {
            out.push_str(&format!("data: [DONE]{0}{0}", wire.end));
        }
        out
    }
}

impl Spoken {
    fn finish(&self) -> &'static str {
        match (self.calls.is_empty(), self.legacy) {
            (true, _) => "stop",
            (false, true) => "function_call",
            (false, false) => "tool_calls",
        }
    }

    fn expected(&self) -> Message {
        let kept = || self.calls.iter().filter(|call| !call.denied());
        let none = kept().next().is_none();
        let finish = if none { "stop" } else { self.finish() };
        let mut message =
            Message { content: self.text.concat(), finish: Some(finish.into()), ..Message::default() };
        for call in kept() {
            let input = match (call.rewritten(), call.custom) {
                (true, true) => "forced".to_owned(),
                (true, false) => super::script::FORCED.to_owned(),
                (false, _) => call.input.clone(),
            };
            if self.legacy {
                message.function_call = Some((call.name.clone(), input));
            } else {
                let kind = if call.custom { "custom" } else { "function" };
                let id = Some(call.id.clone());
                message.calls.push(Call { id, kind: Some(kind.into()), name: call.name.clone(), input });
            }
        }
        message
    }
}

impl Called {
    fn whole(&self) -> Value {
        if self.custom {
            json!({ "id": self.id, "type": "custom", "custom": { "name": self.name, "input": self.input } })
        } else {
            json!({ "id": self.id, "type": "function", "function": { "name": self.name, "arguments": self.input } })
        }
    }
}

/// What one chunk carries of one choice.
#[derive(Debug, Default)]
struct Step {
    delta: serde_json::Map<String, Value>,
    finish: Option<&'static str>,
}

impl Step {
    fn choice(self, index: usize) -> Value {
        json!({ "index": index, "delta": self.delta, "finish_reason": self.finish })
    }
}

/// The chunks of one choice, in order.
fn steps(spoken: &Spoken, dice: &mut Dice<'_>, manner: Manner) -> Vec<Step> {
    let mut steps = vec![Step::default()];
    steps[0].delta.insert("role".into(), json!("assistant"));
    for text in &spoken.text {
        let mut step = Step::default();
        step.delta.insert("content".into(), json!(text));
        steps.push(step);
    }
    let fragments = if spoken.legacy { legacy(spoken, dice) } else { fragments(spoken, dice, manner) };
    for (key, fragment) in fragments {
        let last = steps.last_mut().filter(|_| manner == Manner::Odd);
        let joined = dice.one_in(4);
        match last.filter(|last| joined && (key == "tool_calls" || !last.delta.contains_key(key))) {
            Some(step) => add(step, key, fragment),
            None => {
                let mut step = Step::default();
                if manner == Manner::Odd && dice.one_in(8) {
                    step.delta.insert("content".into(), Value::Null);
                }
                add(&mut step, key, fragment);
                steps.push(step);
            }
        }
    }
    if manner == Manner::Regular || dice.one_in(2) {
        steps.push(Step::default());
    }
    let finish = spoken.finish();
    steps.last_mut().unwrap().finish = Some(finish);
    steps
}

fn add(step: &mut Step, key: &'static str, fragment: Value) {
    if key == "function_call" {
        step.delta.insert(key.into(), fragment);
        return;
    }
    let calls = step.delta.entry(key).or_insert_with(|| json!([]));
    calls.as_array_mut().unwrap().push(fragment);
}

fn legacy(spoken: &Spoken, dice: &mut Dice<'_>) -> Vec<(&'static str, Value)> {
    let mut found = Vec::new();
    for call in &spoken.calls {
        found.push(("function_call", json!({ "name": call.name, "arguments": "" })));
        found.extend(
            dice.cut(&call.input).into_iter().map(|text| ("function_call", json!({ "arguments": text }))),
        );
    }
    found
}

/// How a provider numbers and names the fragments of its calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Indexes {
    Dense,
    Gaps,
    Missing,
    Same,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ids {
    EmptyLater,
    First,
    NullLater,
    Repeated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    First,
    Repeated,
    Split,
}

/// The fragments of all calls: each call's in order, their beginnings in order, else interleaved.
fn fragments(spoken: &Spoken, dice: &mut Dice<'_>, manner: Manner) -> Vec<(&'static str, Value)> {
    let odd = manner == Manner::Odd;
    let indexes = if odd {
        dice.pick(&[Indexes::Dense, Indexes::Gaps, Indexes::Missing, Indexes::Same])
    } else {
        Indexes::Dense
    };
    let ids = if odd {
        dice.pick(&[Ids::First, Ids::Repeated, Ids::EmptyLater, Ids::NullLater])
    } else {
        Ids::First
    };
    let names = if odd { dice.pick(&[Names::First, Names::Repeated, Names::Split]) } else { Names::First };
    let mut queues: Vec<Vec<Value>> = Vec::new();
    for (at, call) in spoken.calls.iter().enumerate() {
        let mut fragments = call_fragments(call, dice, names, odd);
        for (number, fragment) in fragments.iter_mut().enumerate() {
            match indexes {
                Indexes::Dense => fragment["index"] = json!(at),
                Indexes::Gaps => fragment["index"] = json!(at * 3 + 2),
                Indexes::Missing => {}
                Indexes::Same => fragment["index"] = json!(0),
            }
            match ids {
                _ if number == 0 => fragment["id"] = json!(call.id),
                Ids::EmptyLater => fragment["id"] = json!(""),
                Ids::First => {}
                Ids::NullLater => fragment["id"] = Value::Null,
                Ids::Repeated => fragment["id"] = json!(call.id),
            }
        }
        fragments.reverse();
        queues.push(fragments);
    }
    // Fragments that say nothing of where they belong can only come in order.
    let told_apart = ids == Ids::Repeated || matches!(indexes, Indexes::Dense | Indexes::Gaps);
    let (mut begun, mut found) = (0, Vec::new());
    while queues.iter().any(|queue| !queue.is_empty()) {
        let open: Vec<usize> = (0..begun).filter(|&at| !queues[at].is_empty()).collect();
        let begin = begun < queues.len() && (open.is_empty() || (told_apart && odd && dice.one_in(3)));
        let at = if begin { begun } else { dice.pick(&open) };
        begun += usize::from(begin);
        found.extend(queues[at].pop().map(|fragment| ("tool_calls", fragment)));
    }
    found
}

fn call_fragments(call: &Called, dice: &mut Dice<'_>, names: Names, odd: bool) -> Vec<Value> {
    let (part, input) = if call.custom { ("custom", "input") } else { ("function", "arguments") };
    let fragment = |members: Value| json!({ part: members });
    let mut found = Vec::new();
    match names {
        Names::First | Names::Repeated => found.push(fragment(json!({ "name": call.name, input: "" }))),
        Names::Split => {
            let (first, second) = call.name.split_at(1 + dice.roll(call.name.len() - 1));
            found.push(fragment(json!({ "name": first })));
            found.push(fragment(json!({ "name": second })));
        }
    }
    found[0]["type"] = json!(part);
    let as_object = odd && dice.one_in(4) && !call.custom;
    let object: Option<Value> = serde_json::from_str(&call.input).ok().filter(|_| as_object);
    // Only where the object reads back as the very same text.
    if let Some(object) = object.filter(|object| serde_json::to_string(object).unwrap() == call.input) {
        found.push(fragment(json!({ input: object })));
    } else {
        found.extend(dice.cut(&call.input).into_iter().map(|text| fragment(json!({ input: text }))));
    }
    if names == Names::Repeated {
        found.iter_mut().for_each(|fragment| fragment[part]["name"] = json!(call.name));
    }
    if odd && dice.one_in(4) {
        // The whole call in one fragment.
        let whole = fragment(json!({ "name": call.name, input: call.input }));
        found = vec![whole];
        found[0]["type"] = json!(part);
    }
    found
}

/// How events are put on the wire.
#[derive(Debug, Clone, Copy)]
struct Wire {
    end: &'static str,
    field: &'static str,
    escaped: bool,
    manner: Manner,
}

impl Wire {
    fn draw(dice: &mut Dice<'_>, manner: Manner) -> Self {
        if manner == Manner::Regular {
            return Self { end: "\n", field: "data: ", escaped: false, manner };
        }
        let (end, field) =
            (dice.pick(&["\n", "\n", "\r\n", "\r"]), dice.pick(&["data: ", "data: ", "data:"]));
        Self { end, field, escaped: dice.one_in(3), manner }
    }

    fn event(self, chunk: &Value, dice: &mut Dice<'_>, out: &mut String) {
        let Self { end, field, .. } = self;
        if self.manner == Manner::Odd {
            match dice.roll(12) {
                0 => out.push_str(&format!(": wait{end}{end}")),
                1 => out.push_str(&format!("id: 7{end}retry: 1{end}{end}")),
                2 => out.push_str(&format!("event: message{end}")),
                _ => {}
            }
        }
        let text = chunk.to_string();
        let text = if self.escaped { ascii(&text) } else { text };
        out.push_str(&format!("{field}{text}{end}{end}"));
    }
}

/// The same JSON with everything beyond ASCII escaped, and the letter `l` of two names too.
fn ascii(json: &str) -> String {
    let mut out = String::new();
    for c in json.replace("\"tool_calls\":", "\"too\\u006c_calls\":").chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        }
    }
    out
}
