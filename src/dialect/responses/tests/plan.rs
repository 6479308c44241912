//! Random responses: what a model says and calls, and one of the many ways in which it may be streamed. A client holds
//! in the end what the model produced, without what was denied, in every copy.

use super::{By, GOLDEN, Keys, Run, client, only_released, script};
use crate::{
    dialect::{
        Api, notice,
        tests::{
            dice::{Dice, Manner, PIECES, Wire, in_quotes, is_absent, pieces},
            script::{FORCED, Script},
        },
    },
    usage::Usage,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// An item of a response.
#[derive(Debug)]
enum Part {
    Text(Vec<String>),
    Reasoning(String),
    Call(Called),
    /// A call that the provider ran.
    Ran(Called),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Function,
    Custom,
    Computer,
}

#[derive(Debug)]
struct Called {
    form: Form,
    id: String,
    name: String,
    /// As the model wrote it.
    input: String,
    /// A character that is in this call's ids and input and nowhere else.
    canary: char,
}

impl Called {
    fn draw(dice: &mut Dice<'_>, canary: char) -> Self {
        let form = dice.pick(&[Form::Function, Form::Function, Form::Custom, Form::Computer]);
        let input = match dice.roll(if form == Form::Computer { 1 } else { 5 }) {
            0 => format!(r#"{{"{canary}":"{canary}{canary}"}}"#),
            1 => String::new(),
            2 => format!(r#"{{"v":[1.50,"{canary}",{{"{canary}":null}}]}}"#),
            3 => format!(r#" {{ "q" : "\"{canary}\\ \n{}" }} "#, in_quotes(dice.pick(&PIECES))),
            _ => format!("{canary} is no JSON {{"),
        };
        let name = match form {
            Form::Computer => "computer".to_owned(),
            Form::Custom | Form::Function => {
                format!("{}_{}", dice.pick(&["get", "get", "delete", "set"]), dice.roll(4))
            }
        };
        Self { form, id: format!("{canary}{}", dice.roll(3)), name, input, canary }
    }

    fn ran(dice: &mut Dice<'_>, canary: char) -> Self {
        let name = dice.pick(&["web_search", "delete"]).to_owned();
        Self { form: Form::Function, id: format!("{canary}x"), name, input: String::new(), canary }
    }

    fn denied(&self) -> bool {
        self.name.starts_with("delete")
    }

    fn member(&self) -> &'static str {
        match self.form {
            Form::Function => "arguments",
            Form::Custom => "input",
            Form::Computer => "action",
        }
    }

    /// The item with these arguments.
    fn item(&self, input: &str) -> Value {
        let kind = match self.form {
            Form::Function => "function_call",
            Form::Custom => "custom_tool_call",
            Form::Computer => "computer_call",
        };
        let mut item = json!({ "type": kind, "id": format!("i_{}", self.id), "call_id": format!("c_{}", self.id), "status": "completed" });
        if self.form == Form::Computer {
            item["action"] = serde_json::from_str(input).unwrap();
        } else {
            item["name"] = json!(self.name);
            item[self.member()] = json!(input);
        }
        item
    }

    fn hosted(&self) -> Value {
        json!({ "type": format!("{}_call", self.name), "id": format!("w_{}", self.id), "status": "completed", "found": self.canary })
    }

    /// What a client must hold of it.
    fn left(&self) -> Value {
        let input = match (self.name.starts_with("set"), self.form) {
            (true, Form::Function) => FORCED,
            (true, Form::Custom) => "forced",
            (true, Form::Computer) | (false, _) => &self.input,
        };
        self.item(input)
    }
}

fn plan(dice: &mut Dice<'_>) -> Vec<Part> {
    let mut canaries = '\u{e000}'..='\u{e0ff}';
    (0..dice.roll(7))
        .map(|_| match dice.roll(6) {
            0 | 1 => Part::Text((0..dice.roll(4)).map(|_| dice.pick(&PIECES).to_owned()).collect()),
            2 => Part::Reasoning(dice.pick(&PIECES).to_owned()),
            3 | 4 => Part::Call(Called::draw(dice, canaries.next().unwrap())),
            _ => Part::Ran(Called::ran(dice, canaries.next().unwrap())),
        })
        .collect()
}

fn message(id: &str, text: &str, part: &Value) -> Value {
    let mut part = part.clone();
    part["text"] = json!(text);
    json!({ "type": "message", "id": id, "status": "completed", "role": "assistant", "content": [part] })
}

fn part() -> Value {
    json!({ "type": "output_text", "text": "", "annotations": [] })
}

/// The items as the model produced them.
fn items(plan: &[Part]) -> Vec<Value> {
    let item = |(at, part_of): (usize, &Part)| match part_of {
        Part::Text(texts) => message(&format!("m_{at}"), &texts.concat(), &part()),
        Part::Reasoning(text) => {
            json!({ "type": "reasoning", "id": format!("r_{at}"), "status": "completed", "summary": [{ "type": "summary_text", "text": text }] })
        }
        Part::Call(call) => call.item(&call.input),
        Part::Ran(call) => call.hosted(),
    };
    plan.iter().enumerate().map(item).collect()
}

/// What a client must hold in the end.
fn expected(plan: &[Part]) -> Vec<Value> {
    let mut expected = items(plan);
    for (at, (item, part_of)) in expected.iter_mut().zip(plan).enumerate() {
        let told = json!({ "type": "output_text", "annotations": [], "logprobs": [] });
        let notice_of = |name: &str| message(&format!("msg_1_{at}"), &notice(name, "not here"), &told);
        match part_of {
            Part::Call(call) if call.denied() => *item = notice_of(&call.name),
            Part::Ran(call) if call.denied() => *item = notice_of(&format!("builtin__{}", call.name)),
            Part::Call(call) => *item = call.left(),
            Part::Ran(_) | Part::Reasoning(_) | Part::Text(_) => {}
        }
    }
    expected
}

fn response(output: &[Value], status: &str) -> Value {
    json!({ "id": "resp_1", "status": status, "output": output, "usage": { "input_tokens": 5, "output_tokens": 6 } })
}

/// The response as a stream.
fn stream(plan: &[Part], dice: &mut Dice<'_>, manner: Manner) -> String {
    let items = items(plan);
    let mut rows: Vec<Vec<Value>> = Vec::new();
    for (part_of, item) in plan.iter().zip(&items) {
        rows.push(match part_of {
            Part::Text(texts) => said(texts, item),
            Part::Call(call) => called(call, item, dice, manner),
            Part::Reasoning(_) | Part::Ran(_) => {
                let mut begun = item.clone();
                begun["status"] = json!("in_progress");
                vec![event("output_item.added", "item", &begun), event("output_item.done", "item", item)]
            }
        });
    }
    for (index, row) in rows.iter_mut().enumerate() {
        row.iter_mut().for_each(|event| event["output_index"] = json!(index));
    }
    let begin = event("created", "response", &response(&[], "in_progress"));
    let between = if manner == Manner::Odd { dice.mix(rows) } else { rows.concat() };
    let end = event("completed", "response", &response(&items, "completed"));
    let numbered = manner == Manner::Regular || !dice.one_in(4);
    let wire = Wire::draw(dice, manner);
    let mut out = String::new();
    for (number, mut event) in std::iter::once(begin).chain(between).chain([end]).enumerate() {
        if numbered {
            event["sequence_number"] = json!(number);
        }
        wire.event(&event, dice, &mut out);
    }
    out
}

fn event(kind: &str, member: &str, value: &Value) -> Value {
    json!({ "type": format!("response.{kind}"), member: value })
}

fn said(texts: &[String], item: &Value) -> Vec<Value> {
    let mut begun = item.clone();
    begun["content"] = json!([]);
    let mut row = vec![event("output_item.added", "item", &begun)];
    let mut part_begun = event("content_part.added", "part", &part());
    part_begun["content_index"] = json!(0);
    row.push(part_begun);
    for text in texts {
        let mut delta = event("output_text.delta", "delta", &json!(text));
        delta["content_index"] = json!(0);
        row.push(delta);
    }
    row.push(event("output_item.done", "item", item));
    row.iter_mut().for_each(|event| event["item_id"] = item["id"].clone());
    row
}

/// The events of a call. What comes before its end may say less, or something else, where the stream is odd.
fn called(call: &Called, item: &Value, dice: &mut Dice<'_>, manner: Manner) -> Vec<Value> {
    let odd = manner == Manner::Odd;
    let done = event("output_item.done", "item", item);
    if odd && dice.one_in(5) {
        return vec![done];
    }
    let mut begun = item.clone();
    begun["status"] = json!("in_progress");
    let family = match call.form {
        Form::Function => "function_call_arguments",
        Form::Custom => "custom_tool_call_input",
        Form::Computer => return vec![event("output_item.added", "item", &begun), done],
    };
    begun[call.member()] = json!("");
    let mut row = vec![event("output_item.added", "item", &begun)];
    let said = if odd && !call.input.is_empty() && dice.one_in(5) { "{\"other\":1}" } else { &call.input };
    let by_pieces = !odd || !dice.one_in(4);
    if by_pieces {
        row.extend(
            dice.cut(said).into_iter().map(|piece| event(&format!("{family}.delta"), "delta", &json!(piece))),
        );
    }
    let told = !odd || !dice.one_in(4);
    if told {
        let mut all = event(&format!("{family}.done"), call.member(), &json!(said));
        if call.form == Form::Function {
            all["name"] = json!(call.name);
        }
        row.push(all);
    }
    let mut last = done;
    if odd && said == call.input && (by_pieces || told) && dice.one_in(3) {
        last["item"][call.member()] = json!("");
    }
    row.push(last);
    row.iter_mut().for_each(|event| event["item_id"] = item["id"].clone());
    row
}

fn dice() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(any::<u16>(), 0..400)
}

/// What a client holds: all copies of every item are the same.
fn held(run: &Run) -> Vec<Value> {
    let mut found = Vec::new();
    for by in [By::Id, By::Index] {
        let seen = client::read_stream(&run.out, Keys::Exact, by);
        let mut ended = seen.ended.clone();
        ended.sort_by_key(|(index, _)| *index);
        let ended: Vec<Value> = ended.into_iter().map(|(_, item)| item).collect();
        assert_eq!(ended, seen.output());
        for ((_, piece), ended) in seen.pieces.iter().zip(&ended) {
            let mut piece = piece.clone();
            piece["status"] = ended["status"].clone();
            assert_eq!(&piece, ended);
        }
        for (place, arguments) in &seen.arguments {
            let item = &ended[place.unwrap()];
            assert!(item["arguments"] == **arguments || item["input"] == **arguments, "{arguments} {item}");
        }
        found = ended;
    }
    found
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

/// What the judge was asked, in no order.
fn asked(run: &Run) -> Vec<String> {
    let of = |ruling: &script::Ruling| {
        let text = if ruling.tool.starts_with("builtin__") { "" } else { &ruling.text };
        format!("{} {text} {:?}", ruling.tool, ruling.verdict)
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
        let plan = plan(&mut dice);
        let input = stream(&plan, &mut dice, Manner::Odd);
        let found = script::once(GOLDEN.api, input.as_bytes());
        prop_assert_eq!(&found.failed, &None, "{}", input);
        prop_assert_eq!(held(&found), expected(&plan), "{}", input);
        nothing_denied_leaks(&plan, found.text())?;
        only_released(&found);
        prop_assert_eq!(found.usage, Some(Usage { input: 5, output: 6, ..Usage::default() }));
        let numbers = client::read_stream(&found.out, Keys::Exact, By::Index).numbers;
        let dense: Vec<Option<u64>> = (0..).map(Some).take(numbers.len()).collect();
        prop_assert!(numbers == dense || numbers.iter().all(Option::is_none), "{:?}", numbers);
        // Split anywhere it reads the same.
        let split = script::run(GOLDEN.api, pieces(input.as_bytes(), &cuts), Script::default(), script::Reading::Plain);
        prop_assert_eq!(&split, &found);
    }

    #[test]
    fn a_whole_response_and_a_stream_say_the_same(dice in dice()) {
        let mut dice = Dice(&dice);
        let plan = plan(&mut dice);
        let body = response(&items(&plan), "completed").to_string();
        let whole = script::whole(Api::Responses, body.as_bytes(), Script::default());
        prop_assert_eq!(&whole.failed, &None);
        nothing_denied_leaks(&plan, whole.text())?;
        let called = |part: &Part| matches!(part, Part::Call(call) if call.denied() || call.name.starts_with("set"));
        let changes = plan.iter().any(|part| called(part) || matches!(part, Part::Ran(call) if call.denied()));
        prop_assert_eq!(changes, whole.out != body.as_bytes(), "a response is written anew only where it changed");
        let streamed = script::once(Api::Responses, stream(&plan, &mut dice, Manner::Odd).as_bytes());
        let seen = client::read_stream(&streamed.out, Keys::Exact, By::Index);
        prop_assert_eq!(seen.last, serde_json::from_slice::<Value>(&whole.out).ok());
        prop_assert_eq!(asked(&streamed), asked(&whole));
        prop_assert_eq!(streamed.usage, whole.usage);
        let denied = |run: &Run| {
            let mut ids: Vec<String> = run.kept.iter().flat_map(|kept| kept.denied.iter().map(|call| format!("{call:?}"))).collect();
            ids.sort();
            ids
        };
        prop_assert_eq!(denied(&streamed), denied(&whole));
    }

    #[test]
    fn what_is_allowed_and_regular_arrives_as_it_came(dice in dice()) {
        let mut dice = Dice(&dice);
        let mut plan = plan(&mut dice);
        for part in &mut plan {
            if let Part::Call(call) | Part::Ran(call) = part && call.form != Form::Computer {
                call.name.insert_str(0, "get_");
            }
        }
        let input = stream(&plan, &mut dice, Manner::Regular);
        let found = script::once(Api::Responses, input.as_bytes());
        let mut seen = client::read_stream(&found.out, Keys::Exact, By::Index);
        let mut came = client::read_stream(input.as_bytes(), Keys::Exact, By::Index);
        // Arguments come in fewer pieces.
        seen.numbers.clear();
        came.numbers.clear();
        prop_assert_eq!(seen, came);
        if !plan.iter().any(|part| matches!(part, Part::Call(_))) {
            prop_assert_eq!(&*found.out, input.as_bytes());
        }
    }
}
