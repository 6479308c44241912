//! The listener: takes requests off the wire, finds who answers them, and plays the answer. All of the mock's IO.

use std::{convert::Infallible, io, pin::pin};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, header::HeaderName, header::HeaderValue,
    server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{
    chat, completion,
    directions::{Directions, Fate, Transport},
    fixed, mcp,
    plan::{Delivery, Plan, last_text},
    script::{Reply, Script},
    seen::{Seen, Ticket},
    sse,
};

const BODY_BYTES_MAX: usize = 64 << 20;

/// Serves until `shutdown` is done, then closes what is open and returns.
///
/// # Errors
/// When the listener fails for good; a connection that fails is only its own end.
pub async fn serve(listener: TcpListener, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let seen = Seen::default();
    let mut shutdown = pin!(shutdown);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(converse(stream, seen.clone()))),
                Err(error) if is_passing(&error) => tokio::task::yield_now().await,
                Err(error) => return Err(error),
            }
        }
    }
    connections.shutdown().await;
    Ok(())
}

/// Errors of one connection that `accept` reports, or of a moment without file descriptors.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, NotConnected};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | NotConnected)
        || matches!(error.raw_os_error(), Some(23 | 24))
}

async fn converse(stream: TcpStream, seen: Seen) {
    // Without it small writes wait for each other; that it fails only makes the mock slower.
    drop(stream.set_nodelay(true));
    let service = service_fn(move |request| {
        let seen = seen.clone();
        async move { Ok::<_, Infallible>(respond(request, seen).await) }
    });
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    // How a connection ends is told by the ticket of its exchange.
    drop(connection.await);
}

async fn respond(request: Request<Incoming>, seen: Seen) -> Response<Script> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if path == "/mock/requests" {
        return play(own(&head.method, &seen), None, None);
    }
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return play(error(413, "the body is too large, or broke off"), None, None);
    };
    let body = body.to_bytes();
    let headers = head.headers.iter();
    let headers = headers.map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    let whole_path = head.uri.path_and_query().map_or(path, |path| path.as_str());
    let ticket = seen.note(head.method.as_str(), whole_path, headers.collect(), &body);
    let (reply, transport) =
        route(&head.method, path, &body, &ticket).unwrap_or_else(|reply| (reply, Transport::default()));
    tokio::time::sleep(transport.slow_head).await;
    let reply = match transport.fate {
        Fate::Answer => reply,
        Fate::Hang => std::future::pending().await,
        Fate::Fail { times: Some(times), .. }
            if !seen.still_fails(&String::from_utf8_lossy(&body), times) =>
        {
            reply
        }
        Fate::Fail { status, retry_after_s, .. } => {
            let mut reply =
                sse::whole(status, fixed::error(status, &fixed::leaky_message(status)), &transport);
            reply.headers.extend(retry_after_s.map(|seconds| ("retry-after", seconds.to_string())));
            reply
        }
    };
    play(reply, transport.split_bytes, Some(ticket))
}

fn own(method: &Method, seen: &Seen) -> Reply {
    match *method {
        Method::GET => sse::whole(200, seen.to_json().to_string(), &Transport::default()),
        Method::DELETE => {
            seen.clear();
            empty(204)
        }
        _ => empty(405),
    }
}

/// Finds the answer. An early error is `Err`, since it has no directions to heed.
fn route(method: &Method, path: &str, body: &Bytes, ticket: &Ticket) -> Result<(Reply, Transport), Reply> {
    let number = ticket.number();
    match (method, path) {
        (&Method::POST, "/v1/chat/completions") => {
            let plan = Plan::chat(&json(body)?).map_err(|bad| error(400, &bad.to_string()))?;
            Ok(spoken(plan, number, chat::whole, chat::chunks))
        }
        (&Method::POST, "/v1/completions") => {
            let plan = Plan::completion(&json(body)?).map_err(|bad| error(400, &bad.to_string()))?;
            Ok(spoken(plan, number, completion::whole, completion::chunks))
        }
        (&Method::POST, "/v1/embeddings") => directed(&json(body)?, fixed::embeddings),
        (&Method::POST, "/v1/moderations") => directed(&json(body)?, |body| fixed::moderations(body, number)),
        (&Method::GET, "/v1/models") => Ok(ordinary(&fixed::models())),
        (&Method::GET, path) if path.starts_with("/v1/models/") => {
            let model = path.strip_prefix("/v1/models/").and_then(fixed::model);
            model.map(|model| ordinary(&model)).ok_or_else(|| error(404, "there is no such model"))
        }
        (&Method::POST, "/mcp") => Ok(match mcp::answer(body) {
            mcp::Answer::Accepted => (empty(202), Transport::default()),
            mcp::Answer::Message { status, body } => {
                (sse::whole(status, body.to_string(), &Transport::default()), Transport::default())
            }
        }),
        (_, "/mcp") => Err(empty(405)),
        _ => Err(error(404, "the mock has no such endpoint")),
    }
}

fn spoken(
    plan: Plan,
    number: u64,
    whole: fn(&Plan, u64) -> String,
    chunks: fn(&Plan, u64) -> Vec<String>,
) -> (Reply, Transport) {
    let reply = match plan.delivery {
        Delivery::Whole => sse::whole(200, whole(&plan, number), &plan.transport),
        Delivery::Stream | Delivery::StreamWithUsage => sse::stream(chunks(&plan, number), &plan.transport),
    };
    (reply, plan.transport)
}

fn directed(body: &Value, answer: impl Fn(&Value) -> Option<Value>) -> Result<(Reply, Transport), Reply> {
    let steering = body.get("input").map(last_text).unwrap_or_default();
    let directions = Directions::read(&steering).map_err(|bad| error(400, &bad.to_string()))?;
    let answer = answer(body).ok_or_else(|| error(400, "`input` is missing"))?;
    Ok((sse::whole(200, answer.to_string(), &directions.transport), directions.transport))
}

fn ordinary(body: &Value) -> (Reply, Transport) {
    (sse::whole(200, body.to_string(), &Transport::default()), Transport::default())
}

fn json(body: &Bytes) -> Result<Value, Reply> {
    serde_json::from_slice(body).map_err(|bad| error(400, &format!("the body is not JSON: {bad}")))
}

fn error(status: u16, message: &str) -> Reply {
    sse::whole(status, fixed::error(status, message), &Transport::default())
}

fn empty(status: u16) -> Reply {
    Reply { status, headers: Vec::new(), length: Some(0), steps: Vec::new() }
}

fn play(reply: Reply, split_bytes: Option<usize>, ticket: Option<Ticket>) -> Response<Script> {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let number = ticket.as_ref().map_or(0, Ticket::number);
    let mut named = reply.headers.clone();
    named.push(("x-request-id", format!("req_mock{number:08}")));
    let mut response = Response::new(Script::new(reply, split_bytes, ticket));
    *response.status_mut() = status;
    for (name, value) in named {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    response
}
