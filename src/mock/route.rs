//! Which endpoint answers a request. Apart from `server` because it needs no socket.

use bytes::Bytes;
use hyper::{Method, http::request::Parts};
use serde_json::Value;

use super::{
    chat, completion,
    dialect::{Dialect, Event, Fault},
    directions::{Directions, Transport},
    fixed, mcp, mcp_modes, messages,
    plan::{Delivery, Plan, last_text},
    responses::{self, Stored},
    script::Reply,
    sse,
};

type Answered = Result<(Reply, Transport), Fault>;

/// Finds the answer to the request of this number.
///
/// # Errors
/// What is refused before there are directions to heed.
pub(super) fn route(head: &Parts, body: &Bytes, stored: &Stored, number: u64) -> Answered {
    let path = head.uri.path();
    match (&head.method, path) {
        (&Method::POST, "/v1/chat/completions") => {
            Ok(spoken(Plan::chat(&json(body)?)?, number, chat::whole, chat::chunks))
        }
        (&Method::POST, "/v1/completions") => {
            Ok(spoken(Plan::completion(&json(body)?)?, number, completion::whole, completion::chunks))
        }
        (&Method::POST, "/v1/responses") => responses::create(&json(body)?, stored, number),
        (&Method::POST, "/v1/messages") => messages::create(&head.headers, &json(body)?, number),
        (&Method::POST, "/v1/messages/count_tokens") => messages::count_tokens(&head.headers, &json(body)?),
        (&Method::POST, "/v1/embeddings") => directed(&json(body)?, fixed::embeddings),
        (&Method::POST, "/v1/moderations") => directed(&json(body)?, |body| fixed::moderations(body, number)),
        (&Method::GET, "/v1/models") => Ok(ordinary(200, fixed::models().to_string())),
        (method, path) => {
            if let Some(tail) = path.strip_prefix("/v1/responses/") {
                let told = responses::of_stored(method, tail, head.uri.query(), stored)?;
                return Ok(ordinary(200, told));
            }
            other(head, body, number)
        }
    }
}

fn other(head: &Parts, body: &Bytes, number: u64) -> Answered {
    match (&head.method, head.uri.path()) {
        (&Method::GET, path) if path.starts_with("/v1/models/") => {
            let model = path.strip_prefix("/v1/models/").and_then(fixed::model);
            let model = model.ok_or_else(|| Fault::new(404, "there is no such model"))?;
            Ok(ordinary(200, model.to_string()))
        }
        (&Method::POST, "/mcp") => Ok(mcp_modes::plain(mcp::answer(body))),
        (_, "/mcp") => Ok((Reply::empty(405), Transport::default())),
        (method, path) if path.starts_with("/mcp/") => {
            let mode = path.strip_prefix("/mcp/").unwrap_or_default();
            let answered = mcp_modes::respond(method, mode, &head.headers, body, number);
            answered.ok_or_else(|| Fault::new(404, "the mock has no such MCP server"))
        }
        _ => Err(Fault::new(404, "the mock has no such endpoint")),
    }
}

fn spoken(
    plan: Plan,
    number: u64,
    whole: fn(&Plan, u64) -> String,
    chunks: fn(&Plan, u64) -> Vec<String>,
) -> (Reply, Transport) {
    let reply = match plan.delivery {
        Delivery::Whole => sse::whole(Dialect::OpenAi, 200, whole(&plan, number), &plan.transport),
        Delivery::Stream | Delivery::StreamWithUsage => {
            let events = chunks(&plan, number).into_iter().map(|data| Event { name: None, data });
            sse::stream(Dialect::OpenAi, events.collect(), &plan.transport)
        }
    };
    (reply, plan.transport)
}

fn directed(body: &Value, answer: impl Fn(&Value) -> Option<Value>) -> Answered {
    let steering = body.get("input").map(last_text).unwrap_or_default();
    let directions = Directions::read(&steering)?;
    let answer = answer(body).ok_or_else(|| Fault::bad("`input` is missing"))?;
    Ok((sse::whole(Dialect::OpenAi, 200, answer.to_string(), &directions.transport), directions.transport))
}

fn ordinary(status: u16, body: String) -> (Reply, Transport) {
    (sse::whole(Dialect::OpenAi, status, body, &Transport::default()), Transport::default())
}

fn json(body: &Bytes) -> Result<Value, Fault> {
    serde_json::from_slice(body).map_err(|bad| Fault::bad(format!("the body is not JSON: {bad}")))
}
