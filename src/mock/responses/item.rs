//! The items of a response's output: each as it is in the end, as it is when it is announced, and what a stream tells
//! in between.

use serde_json::{Value, json};

use super::{
    super::{
        directions::{Act, ArgumentsIn, CallKind, Finish, PlannedCall, Speech},
        layout::{fragments, pieces},
        plan::Plan,
        write::{object, text},
    },
    hosted,
};

pub(super) struct Item {
    /// As `output` has it in the end.
    pub(super) done: Value,
    /// As it is announced.
    pub(super) added: Value,
    pub(super) between: Vec<Happening>,
    /// A tool call of the model's, which some upstreams repeat differently.
    pub(super) is_call: bool,
}

/// An event about an item: its name, and its members beside the item's id and place.
pub(super) struct Happening {
    pub(super) name: String,
    pub(super) members: Vec<(&'static str, String)>,
}

impl Happening {
    pub(super) fn new(name: impl Into<String>, members: Vec<(&'static str, String)>) -> Self {
        Self { name: format!("response.{}", name.into()), members }
    }
}

/// All items: reasoning, message, then what the model did.
pub(super) fn items(plan: &Plan) -> Vec<Item> {
    let reasoning = plan.reasoning.as_deref().map(|thought| reasoning(plan, thought));
    let message = plan.speech.as_ref().map(|speech| message(plan, speech));
    let acts = plan.acts.iter().enumerate().map(|(at, act)| match act {
        Act::Call(called) => call(plan, called, at),
        Act::Hosted(kind) => hosted::ran(plan, kind, at),
        Act::Item { kind, members } => hosted::to_run(plan, kind, members, at),
    });
    let mut items: Vec<Item> = reasoning.into_iter().chain(message).chain(acts).collect();
    if matches!(plan.finish, Finish::Length | Finish::ContentFilter)
        && let Some(status) = items.last_mut().and_then(|last| last.done.get_mut("status"))
    {
        *status = "incomplete".into();
    }
    items
}

/// `item` with `members` over its own.
pub(super) fn with(item: &Value, members: Value) -> Value {
    let both = [item.clone(), members];
    both.into_iter().filter_map(|each| each.as_object().cloned()).flatten().collect()
}

fn reasoning(plan: &Plan, thought: &str) -> Item {
    let part = |text: &str| json!({ "type": "summary_text", "text": text });
    let id = plan.id("rs", thought);
    let encrypted = plan.id("gAAAAAB", thought);
    let added = json!({ "id": id, "type": "reasoning", "summary": [], "encrypted_content": encrypted });
    let place = || ("summary_index", "0".to_owned());
    let mut between =
        vec![Happening::new("reasoning_summary_part.added", vec![place(), ("part", part("").to_string())])];
    between.extend(
        pieces(thought, &plan.form).into_iter().map(|piece| {
            Happening::new("reasoning_summary_text.delta", vec![place(), ("delta", text(&piece))])
        }),
    );
    between.push(Happening::new("reasoning_summary_text.done", vec![place(), ("text", text(thought))]));
    between.push(Happening::new(
        "reasoning_summary_part.done",
        vec![place(), ("part", part(thought).to_string())],
    ));
    Item { done: with(&added, json!({ "summary": [part(thought)] })), added, between, is_call: false }
}

fn message(plan: &Plan, speech: &Speech) -> Item {
    let (said, word, key) = match speech {
        Speech::Text(said) => (said, "output_text", "text"),
        Speech::Refusal(said) => (said, "refusal", "refusal"),
    };
    let more = || match speech {
        Speech::Text(_) => Some(("logprobs", "[]".to_owned())),
        Speech::Refusal(_) => None,
    };
    let part = |said: &str| {
        let annotations = more().map(|_| ("annotations", "[]".to_owned()));
        let members = [("type", text(word))].into_iter().chain(annotations).chain(more());
        object(members.chain([(key, text(said))]))
    };
    let place = || ("content_index", "0".to_owned());
    let mut between = vec![Happening::new("content_part.added", vec![place(), ("part", part(""))])];
    between.extend(pieces(said, &plan.form).into_iter().map(|piece| {
        let members = [place(), ("delta", text(&piece))].into_iter().chain(more());
        Happening::new(format!("{word}.delta"), members.collect())
    }));
    let members = [place(), (key, text(said))].into_iter().chain(more());
    between.push(Happening::new(format!("{word}.done"), members.collect()));
    between.push(Happening::new("content_part.done", vec![place(), ("part", part(said))]));
    let id = plan.id("msg", said);
    let added =
        json!({ "id": id, "type": "message", "status": "in_progress", "role": "assistant", "content": [] });
    let whole = match speech {
        Speech::Text(said) => {
            json!([{ "type": "output_text", "text": said, "annotations": [], "logprobs": [] }])
        }
        Speech::Refusal(said) => json!([{ "type": "refusal", "refusal": said }]),
    };
    let done = with(&added, json!({ "status": "completed", "content": whole }));
    Item { done, added, between, is_call: false }
}

fn call(plan: &Plan, PlannedCall { name, arguments }: &PlannedCall, at: usize) -> Item {
    let custom = plan.form.kind == CallKind::Custom;
    let (kind, prefix, key, event) = match custom {
        true => ("custom_tool_call", "ctc", "input", "custom_tool_call_input"),
        false => ("function_call", "fc", "arguments", "function_call_arguments"),
    };
    let what = format!("{name}\0{arguments}\0{at}");
    let mut added = json!({ "id": plan.id(prefix, &what), "type": kind, "call_id": plan.id("call", &what), "name": name });
    let parsed = plan.form.object_args.then(|| serde_json::from_str(arguments).ok()).flatten();
    let is_object = parsed.is_some();
    let mut done = with(&added, json!({ key: parsed.unwrap_or_else(|| Value::from(arguments.as_str())) }));
    added = with(&added, json!({ key: "" }));
    if !custom {
        added = with(&added, json!({ "status": "in_progress" }));
        done = with(&done, json!({ "status": "completed" }));
    }
    let ended = || {
        let named = (!custom).then(|| ("name", text(name)));
        let members = [(key, text(arguments))].into_iter().chain(named);
        Happening::new(format!("{event}.done"), members.collect())
    };
    let between = match plan.form.arguments_in {
        _ if is_object => Vec::new(),
        ArgumentsIn::ItemDone => Vec::new(),
        ArgumentsIn::Done => vec![ended()],
        ArgumentsIn::Deltas => {
            let delta =
                |piece: String| Happening::new(format!("{event}.delta"), vec![("delta", text(&piece))]);
            fragments(arguments, &plan.form).into_iter().map(delta).chain([ended()]).collect()
        }
    };
    Item { done, added, between, is_call: true }
}
