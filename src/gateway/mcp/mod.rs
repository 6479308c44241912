//! `/mcp` and `/mcp/SERVER`: who may be here, what is read, how it is answered. What a message asks for is in `post`,
//! what comes of a call in `call`, what else servers have in `catalogue`.

mod call;
mod catalogue;
mod events;
mod input;
mod kept;
mod listen;
mod post;
mod session;
mod task;

pub(super) use events::Events;
pub use session::ClientSession;

use super::{
    Body, Visit,
    answer::{self, JSON},
    body,
};
use crate::{
    asked::End,
    authorize,
    dialect::Family,
    json,
    mcp::{
        self, Head, Message, Revision, envelope,
        message::{self, Fault},
        session::{Owner, shown},
    },
    quota::Standing,
    refusal::Refusal,
    upstream::mcp::Server,
};
use bytes::Bytes;
use events::{Out, Sink};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header, request::Parts};
use hyper::body::Incoming;
use kept::{Kept, Place};
pub use listen::Listeners;
use listen::{For, Listener, Seat};
use post::{Post, Reply};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// Of a request that a limit refuses, so much is read to answer it under its own id.
const LIMITED_BYTES_MAX: u64 = 64 << 10;
/// An answer that takes longer is streamed to clients that can come back for it.
const SOON: Duration = Duration::from_secs(2);
const ALLOWED: HeaderValue = HeaderValue::from_static("GET, POST, DELETE");

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
    let body_max = visit.snapshot().limits.body;
    let refused = match target(&mut visit, server) {
        Ok(target) => match (&head.method, limited) {
            (&Method::POST, Some(refusal)) => return over_limit(visit, &target, refusal, &head, body).await,
            (_, Some(refusal)) => refusal,
            (&Method::POST, None) => return post(visit, target, head, body).await,
            (&Method::GET, None) => {
                body::discard(&head, body, body_max).await;
                return get(visit, &target, &head.headers);
            }
            (&Method::DELETE, None) => {
                body::discard(&head, body, body_max).await;
                return delete(visit, &target, &head.headers);
            }
            (_, None) => Refusal::MethodNotAllowed,
        },
        Err(refusal) => refusal,
    };
    body::discard(&head, body, body_max).await;
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
        |server: &Arc<Server>| authorize::may_reach(asked, &mcp::names::combined(server.name(), ""));
    let tenant = asked.identity.tenant().id.shared();
    let mut servers = snapshot.servers_of(&tenant).inspect(|server| {
        server.can_ask(|| {
            mcp::question::all_that(|question| authorize::sees(asked, &question.name(server.name())))
        });
    });
    let Some(name) = server else {
        // Of each, what the tenant reaches is decided by what is asked for.
        return Ok(Target::All(servers.collect()));
    };
    let found = servers.find(|server| server.name() == name).filter(reached);
    found.map(Target::One).ok_or(Refusal::NotFound)
}

async fn post(mut visit: Visit, target: Target, head: Parts, mut body: Incoming) -> Response<Body> {
    let limit = visit.snapshot().limits.body;
    let mut held = match visit.held() {
        Ok(held) => held,
        Err(refusal) => return visit.refuse(refusal),
    };
    let read = match visit.check_records().await {
        Ok(()) => body::read(&head, &mut body, limit, Some(&mut held)).await,
        Err(refusal) => Err(refusal),
    };
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(refusal) => {
            body::discard(&head, body, limit).await;
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
    let session = resumable(&mut visit, &target, &head);
    let prefers_stream = head.prefers_stream;
    let work = Post { target, head, bytes, held };
    let mut events = Events::of(|sink| work.answer(visit, sink));
    let first = tokio::select! {
        first = events.next() => first,
        () = tokio::time::sleep(SOON), if session.is_some() => Some(Out::Event(Bytes::new())),
    };
    match (first, session) {
        (Some(Out::Last(reply)), _) if prefers_stream && reply.status == 200 && reply.session.is_none() => {
            streamed(Events::once(*reply), &request_id, standing)
        }
        (Some(Out::Last(reply)), _) => whole(*reply, &request_id, standing),
        (Some(first @ (Out::Event(_) | Out::Pause)), Some(session)) => {
            let events = Kept::begin(&session, events, Some(first)).unwrap_or_else(|events| *events);
            streamed(events, &request_id, standing)
        }
        (Some(Out::Event(first)), None) => streamed(events.after(first), &request_id, standing),
        (Some(Out::Pause), None) => streamed(events, &request_id, standing),
        (None, _) => whole(Reply::refusal(None, Refusal::NotFound), &request_id, standing),
    }
}

/// The session whose client can come back for the rest of an answer.
fn resumable(visit: &mut Visit, target: &Target, head: &Head) -> Option<Arc<ClientSession>> {
    let id = head.session.as_deref().filter(|_| head.streams)?;
    let owner = owner(visit, target).ok()?;
    session::find(visit.gateway(), &owner, id)
}

/// An answer that is streamed.
fn streamed(events: Events, request_id: &str, standing: Option<Standing>) -> Response<Body> {
    let mut response = Response::new(Body::Events(Box::new(events)));
    let headers = response.headers_mut();
    answer::label(headers, Family::Mcp, request_id, standing);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// Opens the stream of a session for what answers no request.
fn get(mut visit: Visit, target: &Target, headers: &HeaderMap) -> Response<Body> {
    let not_allowed = |visit: &mut Visit| {
        let mut response = visit.refuse(Refusal::MethodNotAllowed);
        response.headers_mut().insert(header::ALLOW, ALLOWED);
        response
    };
    let head = Head::of(headers).ok().filter(|head| head.streams);
    let Some(Head { session: Some(id), last_event, .. }) = head else { return not_allowed(&mut visit) };
    let Ok(owner) = owner(&mut visit, target) else { return not_allowed(&mut visit) };
    let Some(session) = session::find(visit.gateway(), &owner, &id) else {
        return visit.refuse(Refusal::NoSession);
    };
    let labels = visit.asked().map(|asked| (Arc::clone(&asked.request_id), asked.standing));
    let Ok((request_id, standing)) = labels else { return not_allowed(&mut visit) };
    if let Some(last_event) = last_event {
        let place = Place::read(&last_event);
        let Some(rest) = place.and_then(|place| session.kept(place.number)?.resumed(place)) else {
            let message = "nothing is kept behind this `last-event-id`".to_owned();
            return visit.refuse(Refusal::invalid(message, None));
        };
        visit.ended(&End::Complete, 200, None);
        return streamed(rest, &request_id, standing);
    }
    let ends = session.listens();
    let listens_for = For::Session(session, ends);
    let mut refused = None;
    let events = Events::of(|sink| {
        let listener = listener(&mut visit, owner.server, listens_for, sink);
        let listener = listener.map_err(|refusal| refused = Some(refusal)).ok();
        async move {
            if let Some(listener) = listener {
                listener.run().await;
            }
        }
    });
    match refused {
        Some(refusal) => visit.refuse(refusal),
        None => streamed(events, &request_id, standing),
    }
}

/// Somebody who listens from now on. Listening holds no place in flight: the request is on record as of now.
fn listener(
    visit: &mut Visit,
    server: Option<Arc<str>>,
    listens_for: For,
    sink: Sink,
) -> Result<Listener, Refusal> {
    let (gateway, snapshot) = (Arc::clone(visit.gateway()), Arc::clone(visit.snapshot()));
    let asked = visit.asked()?.without_place();
    let seat = Seat::take(&gateway, &asked.identity.tenant().id.shared())?;
    visit.ended(&End::Complete, 200, None);
    Ok(Listener { seat, snapshot, asked, server, listens_for, sink, seen: HashMap::new() })
}

/// An answer that is not streamed.
fn whole(reply: Reply, request_id: &str, standing: Option<Standing>) -> Response<Body> {
    let (is_empty, status, session) = (reply.body.is_empty(), reply.status, reply.session);
    let mut response = Response::new(Body::full(reply.into_body()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    answer::label(headers, Family::Mcp, request_id, standing);
    if !is_empty {
        headers.insert(header::CONTENT_TYPE, JSON);
    }
    if let Some(id) = session.and_then(|id| HeaderValue::from_str(&shown(id)).ok()) {
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
    if !session::close(visit.gateway(), &owner, &id) {
        return visit.refuse(Refusal::NoSession);
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
async fn over_limit(
    mut visit: Visit,
    target: &Target,
    refusal: Refusal,
    head: &Parts,
    mut body: Incoming,
) -> Response<Body> {
    let labels = visit.asked().map(|asked| (Arc::clone(&asked.request_id), asked.standing));
    let read = body::read(head, &mut body, LIMITED_BYTES_MAX, None).await;
    let reply = read.ok().and_then(|bytes| {
        let value = json::parse(&bytes, 32).ok()?;
        let modern = Head::of(&head.headers)
            .is_ok_and(|head| head.version.as_deref() == Some(Revision::MODERN.as_str()));
        let revision = if modern { Revision::MODERN } else { Revision::LEGACY };
        Some(match message::read_of_client(&value).ok()? {
            Message::Request(request) => post::limited(&request, refusal.clone(), revision),
            told @ (Message::Notification { .. } | Message::Response { .. }) => {
                // It belongs to a call that was let in.
                let head = Head::of(&head.headers).ok();
                let id = head.as_ref().and_then(|head| head.session.as_deref());
                let session = id.zip(owner(&mut visit, target).ok());
                let session = session.and_then(|(id, owner)| session::find(visit.gateway(), &owner, id));
                if let Some(session) = session {
                    post::hear(&session, &told, &value);
                }
                Reply { end: End::Refused(refusal.clone()), ..Reply::accepted() }
            }
        })
    });
    let limit = visit.snapshot().limits.body;
    body::discard(head, body, limit).await;
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
