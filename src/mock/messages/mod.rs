//! Anthropic's Messages: `POST /v1/messages` and `/v1/messages/count_tokens`. Pure.

mod block;
mod message;
mod request;
#[cfg(test)]
mod tests;

use hyper::HeaderMap;
use serde_json::{Value, json};

use super::{
    dialect::{Dialect, Fault},
    directions::Transport,
    plan::Delivery,
    script::Reply,
    sse,
};

/// Answers `POST /v1/messages`.
///
/// # Errors
/// What Anthropic refuses too.
pub(super) fn create(headers: &HeaderMap, body: &Value, number: u64) -> Result<(Reply, Transport), Fault> {
    head(headers)?;
    let plan = request::plan(body)?;
    let transport = plan.transport.clone();
    let reply = match plan.delivery {
        Delivery::Whole => sse::whole(Dialect::Anthropic, 200, message::whole(&plan, number), &transport),
        Delivery::Stream | Delivery::StreamWithUsage => {
            sse::stream(Dialect::Anthropic, message::events(&plan, number), &transport)
        }
    };
    Ok((reply, transport))
}

/// Answers `POST /v1/messages/count_tokens`: the tokens that an answer would count as its input.
///
/// # Errors
/// As [`create`], but nothing says how long an answer may be.
pub(super) fn count_tokens(headers: &HeaderMap, body: &Value) -> Result<(Reply, Transport), Fault> {
    head(headers)?;
    let plan = request::question(body)?;
    let counted = json!({ "input_tokens": plan.usage.map_or(0, |usage| usage.input) });
    Ok((sse::whole(Dialect::Anthropic, 200, counted.to_string(), &plan.transport), plan.transport))
}

fn head(headers: &HeaderMap) -> Result<(), Fault> {
    if !headers.contains_key("x-api-key") && !headers.contains_key("authorization") {
        return Err(Fault::new(401, "x-api-key header is required"));
    }
    if !headers.contains_key("anthropic-version") {
        return Err(Fault::bad("anthropic-version: header is required"));
    }
    Ok(())
}
