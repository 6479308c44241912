//! A [`Plan`] as an answer of `POST /v1/chat/completions`: the chunks of a stream, or the whole body. Pure. Every odd
//! form in which providers write tool calls down is here and nowhere else.

use serde_json::{Map, Value, json};

use super::{
    dice,
    directions::{CallKind, Form, IndexForm, Order, PlannedCall, Speech, Usage},
    layout::{self, in_turn, pieces},
    plan::{Delivery, Plan},
};

/// The time that every answer was made at.
pub(super) const CREATED: u64 = 1_790_000_000;

/// The whole body, as JSON text. `number` is the request's, for the id.
pub(super) fn whole(plan: &Plan, number: u64) -> String {
    let choices: Vec<String> = (0..plan.choices)
        .map(|choice| {
            let message = message(plan, choice);
            let finish = plan.finish.word();
            format!(r#"{{"index":{choice},"message":{message},"logprobs":null,"finish_reason":"{finish}"}}"#)
        })
        .collect();
    let usage = plan.usage.map_or_else(String::new, |usage| format!(r#","usage":{}"#, usage_json(usage)));
    let head = head(plan, number, "chat.completion");
    format!(r#"{{{head},"choices":[{}]{usage},"system_fingerprint":"fp_mock"}}"#, choices.join(","))
}

/// The payloads of the stream, without `[DONE]`. The choices take turns.
pub(super) fn chunks(plan: &Plan, number: u64) -> Vec<String> {
    let head = head(plan, number, "chat.completion.chunk");
    let no_usage = match plan.delivery {
        Delivery::StreamWithUsage => r#","usage":null"#,
        Delivery::Whole | Delivery::Stream => "",
    };
    let chunk = |choice: usize, Delta { delta, last }: Delta| {
        let finish = if last { format!(r#""{}""#, plan.finish.word()) } else { "null".to_owned() };
        format!(
            r#"{{{head},"choices":[{{"index":{choice},"delta":{delta},"finish_reason":{finish}}}]{no_usage}}}"#
        )
    };
    let rows = (0..plan.choices)
        .map(|choice| deltas(plan, choice).into_iter().map(|delta| chunk(choice, delta)).collect())
        .collect();
    let mut chunks = in_turn(rows);
    if let (Delivery::StreamWithUsage, Some(usage)) = (plan.delivery, plan.usage) {
        chunks.push(format!(r#"{{{head},"choices":[],"usage":{}}}"#, usage_json(usage)));
    }
    chunks
}

/// `{"prompt_tokens": …}` as OpenAI writes it, with details where there are any.
pub(super) fn usage_json(Usage { input, output, cached, reasoning }: Usage) -> String {
    let total = input.saturating_add(output);
    let details = match (cached, reasoning) {
        (0, 0) => String::new(),
        _ => format!(
            r#","prompt_tokens_details":{{"cached_tokens":{cached}}},"completion_tokens_details":{{"reasoning_tokens":{reasoning}}}"#
        ),
    };
    format!(r#"{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{total}{details}}}"#)
}

/// The text of a choice, which says which one it is when there are several.
pub(super) fn text_of(plan: &Plan, choice: usize, text: &str) -> String {
    if plan.choices > 1 { format!("[choice {choice}] {text}") } else { text.to_owned() }
}

fn head(plan: &Plan, number: u64, object: &str) -> String {
    let model = Value::from(plan.model.as_str());
    format!(r#""id":"chatcmpl-mock{number:08}","object":"{object}","created":{CREATED},"model":{model}"#)
}

fn message(plan: &Plan, choice: usize) -> Value {
    let (content, refusal) = match &plan.speech {
        Some(Speech::Text(text)) => (Value::from(text_of(plan, choice, text)), Value::Null),
        Some(Speech::Refusal(text)) => (Value::Null, Value::from(text_of(plan, choice, text))),
        None => (Value::Null, Value::Null),
    };
    let calls = calls(plan, choice);
    let tools = match (plan.form.kind, calls.first()) {
        (_, None) => None,
        (CallKind::Legacy, Some(call)) => Some(("function_call", call.all())),
        (CallKind::Function | CallKind::Custom, Some(_)) => {
            let entries = calls.iter().map(|call| call.entry(call.all(), Id::Shown, IndexForm::Absent));
            Some(("tool_calls", entries.collect()))
        }
    };
    let reasoning = plan.reasoning.as_deref().map(|text| ("reasoning_content", Value::from(text)));
    [("role", "assistant".into()), ("content", content), ("refusal", refusal)]
        .into_iter()
        .chain(reasoning)
        .chain(tools)
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// One delta of one choice; with the finish reason if it is the `last`.
struct Delta {
    delta: Value,
    last: bool,
}

fn deltas(plan: &Plan, choice: usize) -> Vec<Delta> {
    let (key, text) = match &plan.speech {
        Some(Speech::Text(text)) => ("content", text.as_str()),
        Some(Speech::Refusal(text)) => ("refusal", text.as_str()),
        None => ("content", ""),
    };
    let first = if plan.speech.is_some() { Value::from("") } else { Value::Null };
    let mut row = vec![json!({ "role": "assistant", "content": first })];
    let thoughts = plan.reasoning.iter().flat_map(|text| pieces(text, &plan.form));
    row.extend(thoughts.map(|piece| json!({ "reasoning_content": piece })));
    if !text.is_empty() {
        let spoken = pieces(&text_of(plan, choice, text), &plan.form);
        row.extend(spoken.into_iter().map(|piece| json!({ key: piece })));
    }
    row.extend(call_deltas(plan, choice));
    let whole = plan.form.order == Order::Whole && plan.calls().next().is_some();
    if !whole {
        row.push(json!({}));
    }
    let total = row.len();
    row.into_iter().enumerate().map(|(at, delta)| Delta { delta, last: at + 1 == total }).collect()
}

fn call_deltas(plan: &Plan, choice: usize) -> Vec<Value> {
    let calls = calls(plan, choice);
    let form = &plan.form;
    if form.kind == CallKind::Legacy {
        return calls.iter().flat_map(Call::legacy_deltas).collect();
    }
    let rows = calls.iter().map(Call::entries).collect::<Vec<_>>();
    let entries = match form.order {
        Order::Whole if calls.is_empty() => return Vec::new(),
        Order::Whole => {
            let entries: Vec<Value> =
                calls.iter().map(|call| call.entry(call.all(), Id::Shown, form.index)).collect();
            return vec![json!({ "tool_calls": entries })];
        }
        Order::OneByOne => rows.into_iter().flatten().collect(),
        Order::Interleaved => in_turn(rows),
    };
    entries.into_iter().map(|entry| json!({ "tool_calls": [entry] })).collect()
}

/// A call of one choice, with its place and id.
struct Call<'a> {
    name: &'a str,
    arguments: &'a str,
    position: usize,
    id: String,
    form: &'a Form,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Id {
    Shown,
    Hidden,
}

fn calls(plan: &Plan, choice: usize) -> Vec<Call<'_>> {
    let numbered = plan.calls().enumerate();
    let calls = numbered.map(|(position, PlannedCall { name, arguments })| {
        let seed = format!("{}\0{name}\0{arguments}\0{choice}\0{position}", plan.seed);
        let id = format!("call_{}", dice::letters(&seed, 24));
        Call { name, arguments, position, id, form: &plan.form }
    });
    calls.collect()
}

impl Call<'_> {
    /// `{"name": …, "arguments": …}`, or one of the two: `key` is how the name is called, nothing if it is empty.
    fn body(&self, key: &str, name: &str, arguments: Option<&str>) -> Value {
        let mut body = Map::new();
        if !name.is_empty() {
            body.insert(key.to_owned(), name.into());
        }
        let Some(text) = arguments else { return body.into() };
        let object = self.form.object_args.then(|| serde_json::from_str(text).ok()).flatten();
        let key = if self.form.kind == CallKind::Custom { "input" } else { "arguments" };
        body.insert(key.to_owned(), object.unwrap_or_else(|| text.into()));
        body.into()
    }

    fn all(&self) -> Value {
        self.body("name", self.name, Some(self.arguments))
    }

    /// An element of `tool_calls`. The id comes with the type, as on a call's first delta.
    fn entry(&self, body: Value, id: Id, index: IndexForm) -> Value {
        let kind = if self.form.kind == CallKind::Custom { "custom" } else { "function" };
        let mut entry = Map::new();
        match index {
            IndexForm::Dense => drop(entry.insert("index".to_owned(), self.position.into())),
            IndexForm::Zero => drop(entry.insert("index".to_owned(), 0.into())),
            IndexForm::Absent => {}
        }
        if id == Id::Shown {
            entry.insert("id".to_owned(), self.id.as_str().into());
            entry.insert("type".to_owned(), kind.into());
        }
        entry.insert(kind.to_owned(), body);
        entry.into()
    }

    /// The call over several deltas: the head, then the fragments of its arguments.
    fn entries(&self) -> Vec<Value> {
        let Form { repeat_id, name_split, object_args, index, .. } = *self.form;
        if object_args {
            return vec![self.entry(self.all(), Id::Shown, index)];
        }
        let middle = (self.name.len() / 2..).find(|at| self.name.is_char_boundary(*at)).unwrap_or(0);
        let (start, rest) = if name_split { self.name.split_at(middle) } else { (self.name, "") };
        let later = if repeat_id { Id::Shown } else { Id::Hidden };
        let mut entries = vec![self.entry(self.body("name", start, Some("")), Id::Shown, index)];
        if !rest.is_empty() {
            entries.push(self.entry(self.body("name", rest, None), later, index));
        }
        let fragments = layout::fragments(self.arguments, self.form).into_iter();
        entries
            .extend(fragments.map(|fragment| self.entry(self.body("", "", Some(&fragment)), later, index)));
        entries
    }

    fn legacy_deltas(&self) -> Vec<Value> {
        if self.form.order == Order::Whole || self.form.object_args {
            return vec![json!({ "function_call": self.all() })];
        }
        let head = self.body("name", self.name, Some(""));
        let bodies = layout::fragments(self.arguments, self.form)
            .into_iter()
            .map(|fragment| self.body("", "", Some(&fragment)));
        std::iter::once(head).chain(bodies).map(|body| json!({ "function_call": body })).collect()
    }
}
