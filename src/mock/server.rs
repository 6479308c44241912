//! The listener: takes requests off the wire, lets `route` find the answer, and plays it. All of the mock's IO.

use std::{convert::Infallible, io, pin::pin};

use http_body_util::{BodyExt, Limited};
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, header::HeaderName, header::HeaderValue,
    server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{
    dialect::{self, Dialect, Fault},
    directions::{Fate, Transport},
    fixed,
    responses::Stored,
    route::route,
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
    let memory = Memory::default();
    let mut shutdown = pin!(shutdown);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(converse(stream, memory.clone()))),
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

/// What all connections share.
#[derive(Clone, Default)]
struct Memory {
    seen: Seen,
    stored: Stored,
}

async fn converse(stream: TcpStream, memory: Memory) {
    // Without it small writes wait for each other; that it fails only makes the mock slower.
    drop(stream.set_nodelay(true));
    let service = service_fn(move |request| {
        let memory = memory.clone();
        async move { Ok::<_, Infallible>(respond(request, memory).await) }
    });
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    // How a connection ends is told by the ticket of its exchange.
    drop(connection.await);
}

async fn respond(request: Request<Incoming>, Memory { seen, stored }: Memory) -> Response<Script> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if path == "/mock/requests" {
        return play(own(&head.method, &seen), Dialect::OpenAi, None, None);
    }
    let dialect = Dialect::of(path);
    let refuse = |fault: &Fault, number| {
        sse::whole(dialect, fault.status, dialect.error(fault, number), &Transport::default())
    };
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        let fault = Fault::new(413, "the body is too large, or broke off");
        return play(refuse(&fault, 0), dialect, None, None);
    };
    let body = body.to_bytes();
    let headers = head.headers.iter();
    let headers = headers.map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    let whole_path = head.uri.path_and_query().map_or(path, |path| path.as_str());
    let ticket = seen.note(head.method.as_str(), whole_path, headers.collect(), &body);
    let number = ticket.number();
    let (reply, transport) = route(&head, &body, &stored, number)
        .unwrap_or_else(|fault| (refuse(&fault, number), Transport::default()));
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
            let fault = Fault::new(status, fixed::leaky_message(status));
            let mut reply = sse::whole(dialect, status, dialect.error(&fault, number), &transport);
            reply.headers.extend(retry_after_s.map(|seconds| ("retry-after", seconds.to_string())));
            reply
        }
    };
    play(reply, dialect, transport.split_bytes, Some(ticket))
}

fn own(method: &Method, seen: &Seen) -> Reply {
    match *method {
        Method::GET => sse::whole(Dialect::OpenAi, 200, seen.to_json().to_string(), &Transport::default()),
        Method::DELETE => {
            seen.clear();
            Reply::empty(204)
        }
        _ => Reply::empty(405),
    }
}

fn play(
    reply: Reply,
    dialect: Dialect,
    split_bytes: Option<usize>,
    ticket: Option<Ticket>,
) -> Response<Script> {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let number = ticket.as_ref().map_or(0, Ticket::number);
    let mut named = reply.headers.clone();
    named.push((dialect.request_id_header(), dialect::request_id(number)));
    let mut response = Response::new(Script::new(reply, split_bytes, ticket));
    *response.status_mut() = status;
    for (name, value) in named {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    response
}
