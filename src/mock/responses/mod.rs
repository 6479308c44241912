//! OpenAI's Responses: `POST /v1/responses`, and what becomes of an answer that is stored. Pure but for the store.

mod events;
mod hosted;
mod item;
mod request;
mod response;
mod stored;
#[cfg(test)]
mod tests;

use serde_json::Value;

use super::{
    dialect::{Dialect, Fault},
    directions::Transport,
    plan::{Delivery, Plan},
    script::Reply,
    sse,
};
use stored::Record;
pub(super) use stored::{Stored, of_stored};

/// A request and what will be answered.
struct Turn<'b> {
    id: String,
    body: &'b Value,
    plan: Plan,
}

/// Answers `POST /v1/responses`, and stores the answer unless it is not to be.
///
/// # Errors
/// What OpenAI refuses too: an unknown earlier response, a call that got no output, an output that no call asked for.
pub(super) fn create(body: &Value, stored: &Stored, number: u64) -> Result<(Reply, Transport), Fault> {
    let before = match body.get("previous_response_id").and_then(Value::as_str) {
        None => Vec::new(),
        Some(id) => stored.output(id).ok_or_else(|| request::no_previous(id))?,
    };
    let input = request::input(body, stored)?;
    request::settled(&input, &before)?;
    let plan = request::plan(body, &input)?;
    let id = plan.id("resp", &number.to_string());
    let turn = Turn { id, body, plan };
    let items = item::items(&turn.plan);
    let output: Vec<Value> = items.iter().map(|item| item.done.clone()).collect();
    let whole = response::ended(&turn, &output);
    if body.get("store") != Some(&Value::Bool(false)) {
        stored.keep(Record { id: turn.id.clone(), response: whole.clone(), output, input });
    }
    let transport = turn.plan.transport.clone();
    let reply = match turn.plan.delivery {
        Delivery::Whole => sse::whole(Dialect::Responses, 200, whole, &transport),
        Delivery::Stream | Delivery::StreamWithUsage => {
            sse::stream(Dialect::Responses, events::events(&turn, items), &transport)
        }
    };
    Ok((reply, transport))
}
