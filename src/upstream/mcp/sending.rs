//! One message to a server over HTTP: what is shown to it, whether it is asked at all while it fails, and whether the
//! message may go out a second time. A tool's call never does: nobody knows what a server did that died without an answer.

use super::{Failed, Server, caller::Session, link::Link, wire::failed};
use crate::{
    clock,
    mcp::{
        act::Act,
        envelope::{self, Ask, Envelope},
    },
    upstream::{
        Came, Credential, Endpoint, Upstream,
        http1::{Again, Answer, Outgoing, SendError},
        route,
    },
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use std::sync::Arc;

/// A tenant (empty for the gateway itself), and its session where there is one.
type OnBehalf<'b> = (&'b Arc<str>, Option<&'b Session>);

/// Whether what is asked may be done twice: reading, listing and saying what is wanted may.
pub(super) fn again(ask: &Ask<'_>) -> Again {
    if ask.method == Act::CallTool.method() { Again::Never } else { Again::Freely }
}

/// What is sent, and how.
struct Message<'m> {
    method: &'m Method,
    headers: HeaderMap,
    session: Option<&'m Session>,
    body: Bytes,
    again: Again,
}

impl Message<'_> {
    async fn send(
        self,
        upstream: &Upstream,
        (endpoint, credential): (&Endpoint, Option<&Credential>),
    ) -> Result<Answer, SendError> {
        let Self { method, mut headers, session, body, again } = self;
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(id) = session.and_then(|session| session.id.as_ref()) {
            headers.insert(envelope::session_header(), id.clone());
        }
        if let Some(credential) = credential {
            headers.insert(credential.header.clone(), credential.value.clone());
        }
        let path = if endpoint.base_path.is_empty() { "/" } else { &endpoint.base_path };
        let sent = endpoint.client.send(Outgoing { method, path, headers: &headers, body, again }).await;
        upstream.health.note(Came::of(&sent));
        sent
    }
}

impl Server {
    /// Sends a message. Of an address that failed several times in a row it says so, and sends nothing.
    pub(super) async fn post(
        &self,
        envelope: Envelope,
        (tenant, session): OnBehalf<'_>,
        again: Again,
    ) -> Result<Answer, Failed> {
        let Envelope { body, mut headers } = envelope;
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        let (upstream, place) = self.place()?;
        let (endpoint, now) = (place.0, clock::now());
        if !endpoint.circuit.admits(tenant, now) {
            return Err(Failed::Refusal(route::LEFT_ALONE));
        }
        let watch = endpoint.circuit.begin(tenant, now, upstream.name.shared());
        let message = Message { method: &Method::POST, headers, session, body: body.into(), again };
        match message.send(upstream, place).await {
            Ok(answer) => Ok(route::watched(answer, watch, upstream.shows())),
            Err(error) => {
                route::tell(watch, &error);
                Err(Failed::Refusal(route::unanswered(error)))
            }
        }
    }

    /// The same within a session, of which only the effect matters.
    pub(super) async fn post_in(&self, session: &Session, envelope: Envelope) -> Result<Answer, Failed> {
        self.post(envelope, (&session.tenant, Some(session)), Again::Freely).await
    }

    /// Asks for a stream of a session's: for what answers no request, or for the rest of one behind this event. How it ends
    /// says nothing of the server: such streams are cut whenever nothing is told for long.
    pub(super) async fn get(&self, session: &Session, behind: Option<&str>) -> Result<Answer, Failed> {
        let mut headers = HeaderMap::new();
        envelope::insert_version(&mut headers, session.revision);
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(behind) = behind {
            let value = HeaderValue::from_str(behind);
            let value = value.map_err(|_| failed("the upstream's event id cannot be sent back"))?;
            headers.insert(envelope::last_event_header(), value);
        }
        self.send_in(session, &Method::GET, headers).await
    }

    /// Says that a session is over.
    pub(super) async fn delete(&self, session: &Session) {
        let mut headers = HeaderMap::new();
        envelope::insert_version(&mut headers, session.revision);
        drop(self.send_in(session, &Method::DELETE, headers).await);
    }

    async fn send_in(
        &self,
        session: &Session,
        method: &Method,
        headers: HeaderMap,
    ) -> Result<Answer, Failed> {
        let (body, again) = (Bytes::new(), Again::Freely);
        let message = Message { method, headers, session: Some(session), body, again };
        let (upstream, place) = self.place()?;
        let sent = message.send(upstream, place).await;
        sent.map_err(|error| Failed::Refusal(route::unanswered(error)))
    }

    /// Where it is asked by HTTP, and what is shown there.
    fn place(&self) -> Result<(&Upstream, (&Endpoint, Option<&Credential>)), Failed> {
        let Link::Http(upstream) = &self.link else {
            return Err(failed("the upstream is not asked by HTTP"));
        };
        let place = upstream.first().ok_or_else(|| failed("the upstream has no address"))?;
        Ok((upstream, place))
    }
}
