//! `/mcp` and `/mcp/SERVER`: who may be here, what is read, how it is answered. What a message asks for is in `post`,
//! what comes of a call in `call`.

mod call;
mod events;
mod post;

pub(super) use events::Events;

use super::{
    Body, Visit,
    answer::{self, JSON},
    body,
};
use crate::{
    asked::End,
    authorize, clock,
    dialect::Family,
    json,
    mcp::{
        self, Head, Message, Revision, envelope,
        message::{self, Fault},
        session::{self, Owner},
    },
    quota::Standing,
    refusal::Refusal,
    upstream::mcp::Server,
};
use events::Out;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header, request::Parts};
use hyper::body::Incoming;
use post::{Post, Reply};
use std::sync::{Arc, PoisonError};

/// Of a request that a limit refuses, so much is read to answer it under its own id.
const LIMITED_BYTES_MAX: u64 = 64 << 10;
const ALLOWED: HeaderValue = HeaderValue::from_static("POST, DELETE");

/// Which servers a request speaks to.
#[derive(Debug, Clone)]
enum Target {
    /// All of the tenant's, sorted by name.
    All(Vec<Arc<Server>>),
    One(Arc<Server>),
}

/// Answers a request. `limited` is what a limit of the tenant's refuses it with.
pub(super) async fn respond(
    mut visit: Visit,
    limited: Option<Refusal>,
    server: Option<String>,
    head: Parts,
    body: Incoming,
) -> Response<Body> {
    let refused = match target(&mut visit, server) {
        Ok(target) => match (&head.method, limited) {
            (&Method::POST, Some(refusal)) => return over_limit(visit, refusal, &head, body).await,
            (_, Some(refusal)) => refusal,
            (&Method::POST, None) => return post(visit, target, head, body).await,
            (&Method::DELETE, None) => {
                body::discard(body).await;
                return delete(visit, &target, &head.headers);
            }
            (_, None) => Refusal::MethodNotAllowed,
        },
        Err(refusal) => refusal,
    };
    body::discard(body).await;
    let mut response = visit.refuse(refused);
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, ALLOWED);
    }
    response
}

/// The servers of an endpoint. One of which the tenant may call nothing does not exist for it.
fn target(visit: &mut Visit, server: Option<String>) -> Result<Target, Refusal> {
    let snapshot = Arc::clone(visit.snapshot());
    let asked = visit.asked()?;
    let reached =
        |server: &&Arc<Server>| authorize::may_reach(asked, &mcp::names::combined(server.name(), ""));
    let Some(name) = server else {
        return Ok(Target::All(snapshot.servers.iter().filter(reached).cloned().collect()));
    };
    let found = snapshot.servers.iter().find(|server| server.name() == name).filter(reached);
    found.cloned().map(Target::One).ok_or(Refusal::NotFound)
}

async fn post(mut visit: Visit, target: Target, head: Parts, mut body: Incoming) -> Response<Body> {
    let limit = visit.snapshot().limits.body;
    let read = match visit.check_records().await {
        Ok(()) => body::read(&head, &mut body, limit).await,
        Err(refusal) => Err(refusal),
    };
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(refusal) => {
            body::discard(body).await;
            return visit.refuse(refusal);
        }
    };
    let Ok(asked) = visit.asked() else { return visit.refuse(Refusal::NotFound) };
    let (request_id, standing) = (Arc::clone(&asked.request_id), asked.standing);
    let head = match Head::of(&head.headers) {
        Ok(head) => head,
        Err(fault) => {
            let reply = Reply::fault(None, &fault);
            visit.ended(&reply.end, reply.status, None);
            return whole(reply, &request_id, standing);
        }
    };
    let work = Post { target, head, bytes };
    let mut events = Events::of(|sink| work.answer(visit, sink));
    match events.next().await {
        Some(Out::Last(reply)) => whole(*reply, &request_id, standing),
        Some(Out::Event(first)) => {
            let mut response = Response::new(Body::Events(Box::new(events.after(first))));
            let headers = response.headers_mut();
            answer::label(headers, Family::Mcp, &request_id, standing);
            headers
                .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
            headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
            response
        }
        None => whole(Reply::refusal(None, Refusal::NotFound), &request_id, standing),
    }
}

/// An answer that is not streamed.
fn whole(reply: Reply, request_id: &str, standing: Option<Standing>) -> Response<Body> {
    let is_empty = reply.body.is_empty();
    let mut response = Response::new(Body::full(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    answer::label(headers, Family::Mcp, request_id, standing);
    if !is_empty {
        headers.insert(header::CONTENT_TYPE, JSON);
    }
    if let Some(id) = reply.session.and_then(|id| HeaderValue::from_str(&session::shown(id)).ok()) {
        headers.insert(envelope::session_header(), id);
    }
    response
}

/// Ends a session.
fn delete(mut visit: Visit, target: &Target, headers: &HeaderMap) -> Response<Body> {
    let session = Head::of(headers).ok().and_then(|head| head.session);
    let (Some(id), Ok(owner)) = (session, owner(&mut visit, target)) else {
        let mut response = visit.refuse(Refusal::MethodNotAllowed);
        response.headers_mut().insert(header::ALLOW, ALLOWED);
        return response;
    };
    let now = clock::unix_seconds(clock::wall());
    let sessions = &visit.gateway().sessions;
    let closed = sessions.lock().unwrap_or_else(PoisonError::into_inner).close(&owner, &id, now);
    if !closed {
        return visit.refuse(Refusal::NotFound);
    }
    let labels = visit.asked().map(|asked| (Arc::clone(&asked.request_id), asked.standing));
    visit.ended(&End::Complete, 204, None);
    let reply = Reply { status: 204, ..Reply::accepted() };
    match labels {
        Ok((request_id, standing)) => whole(reply, &request_id, standing),
        Err(_) => whole(reply, "", None),
    }
}

/// Whose sessions a request may use.
fn owner(visit: &mut Visit, target: &Target) -> Result<Owner, Refusal> {
    let identity = &visit.asked()?.identity;
    let server = match target {
        Target::All(_) => None,
        Target::One(server) => Some(server.shared_name()),
    };
    Ok(Owner { tenant: identity.tenant().id.shared(), key: identity.key().id.shared(), server })
}

/// A limit of the tenant's is told within the protocol: clients take an HTTP status for the end of the connection.
async fn over_limit(mut visit: Visit, refusal: Refusal, head: &Parts, mut body: Incoming) -> Response<Body> {
    let labels = visit.asked().map(|asked| (Arc::clone(&asked.request_id), asked.standing));
    let read = body::read(head, &mut body, LIMITED_BYTES_MAX).await;
    let reply = read.ok().and_then(|bytes| {
        let value = json::parse(&bytes, 32).ok()?;
        let modern = Head::of(&head.headers)
            .is_ok_and(|head| head.version.as_deref() == Some(Revision::MODERN.as_str()));
        let revision = if modern { Revision::MODERN } else { Revision::LEGACY };
        Some(match message::read(&value).ok()? {
            Message::Request(request) => post::limited(&request, refusal.clone(), revision),
            Message::Notification { .. } | Message::Response { .. } => {
                Reply { end: End::Refused(refusal.clone()), ..Reply::accepted() }
            }
        })
    });
    body::discard(body).await;
    let (Some(reply), Ok((request_id, standing))) = (reply, labels) else { return visit.refuse(refusal) };
    visit.ended(&reply.end, reply.status, None);
    whole(reply, &request_id, standing)
}

/// What the log calls a message that could not be read.
fn unread(fault: &Fault) -> Refusal {
    match fault.status {
        404 => Refusal::NotFound,
        _ => Refusal::invalid(fault.message.clone(), None),
    }
}
