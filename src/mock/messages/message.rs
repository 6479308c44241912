//! The message around the blocks: whole, or as a stream of events in Anthropic's order.

use super::{
    super::{
        dialect::Event,
        dice,
        directions::{Act, Finish, IndexForm, Speech, Usage},
        layout,
        plan::Plan,
        write::{object, text},
    },
    block::{self, Block},
};

/// The whole body, as JSON text. `number` is the request's, for the id.
pub(super) fn whole(plan: &Plan, number: u64) -> String {
    let stop = text(stop_reason(plan));
    message(plan, number, block::content(plan), stop, plan.usage.map(|used| usage(plan, used, used.output)))
}

fn message(plan: &Plan, number: u64, content: String, stop: String, usage: Option<String>) -> String {
    let id = format!("msg_mock{}", dice::letters(&number.to_string(), 20));
    let members = [
        ("id", text(&id)),
        ("type", text("message")),
        ("role", text("assistant")),
        ("model", text(&plan.model)),
        ("content", content),
        ("stop_reason", stop),
        ("stop_sequence", "null".to_owned()),
    ];
    object(members.into_iter().chain(usage.map(|usage| ("usage", usage))))
}

/// All events of the stream.
pub(super) fn events(plan: &Plan, number: u64) -> Vec<Event> {
    let null = || "null".to_owned();
    let started = plan.usage.map(|used| usage(plan, used, used.output.min(1)));
    let start = message(plan, number, "[]".to_owned(), null(), started);
    let (talk, acts) = block::blocks(plan);
    let talks = talk.len();
    let mut rows =
        talk.into_iter().chain(acts).enumerate().map(|(at, block)| row(at, block, plan.form.index));
    let mut events = vec![event("message_start", [("message", start)]), event("ping", [])];
    events.extend(rows.by_ref().take(talks).flatten());
    events.extend(layout::ordered(rows.collect(), &plan.form));
    let delta = object([("stop_reason", text(stop_reason(plan))), ("stop_sequence", null())]);
    let used = plan.usage.map(|used| ("usage", usage(plan, used, used.output)));
    events.push(event("message_delta", [("delta", delta)].into_iter().chain(used)));
    events.push(event("message_stop", []));
    events
}

fn event<'a>(name: &'a str, members: impl IntoIterator<Item = (&'a str, String)>) -> Event {
    let data = object([("type", text(name))].into_iter().chain(members));
    Event { name: Some(name.to_owned()), data }
}

fn row(at: usize, block: Block, index: IndexForm) -> Vec<Event> {
    let place = || match index {
        IndexForm::Dense => Some(("index", at.to_string())),
        IndexForm::Zero => Some(("index", "0".to_owned())),
        IndexForm::Absent => None,
    };
    let about = |word: &str, member: Option<(&'static str, String)>| {
        event(&format!("content_block_{word}"), place().into_iter().chain(member))
    };
    let mut row = vec![about("start", Some(("content_block", block.start)))];
    row.extend(block.deltas.into_iter().map(|delta| about("delta", Some(("delta", delta)))));
    row.push(about("stop", None));
    row
}

fn stop_reason(plan: &Plan) -> &'static str {
    match (plan.finish, &plan.speech) {
        (Finish::Stop, Some(Speech::Refusal(_))) | (Finish::ContentFilter, _) => "refusal",
        (Finish::Stop, _) => "end_turn",
        (Finish::Length, _) => "max_tokens",
        (Finish::ToolCalls | Finish::FunctionCall, _) => "tool_use",
    }
}

/// What was cached is no part of Anthropic's `input_tokens`.
fn usage(plan: &Plan, Usage { input, cached, reasoning, .. }: Usage, output: u64) -> String {
    let ran = |what: &str| {
        plan.acts.iter().filter(|act| matches!(act, Act::Hosted(kind) if kind.starts_with(what))).count()
    };
    let ran = match (ran("web_search"), ran("web_fetch")) {
        (0, 0) => None,
        (searches, fetches) => Some((
            "server_tool_use",
            format!(r#"{{"web_search_requests":{searches},"web_fetch_requests":{fetches}}}"#),
        )),
    };
    let reasoned =
        (reasoning > 0).then(|| ("output_tokens_details", format!(r#"{{"thinking_tokens":{reasoning}}}"#)));
    let members = [
        ("input_tokens", input.saturating_sub(cached).to_string()),
        ("cache_creation_input_tokens", "0".to_owned()),
        ("cache_read_input_tokens", cached.to_string()),
        ("output_tokens", output.to_string()),
    ];
    object(members.into_iter().chain(reasoned).chain(ran))
}
