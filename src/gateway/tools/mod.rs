//! `/tools/UPSTREAM/…`: the API of an HTTP tool or of a vector store. One parsed request is decided on and written again;
//! what a client wrote of a path or a query goes nowhere. What plain tools and stores differ in is in `http` and `store`.

mod claims;
mod http;
mod names;
pub(super) mod objects;
mod store;

use super::{
    Body, Gateway, Visit,
    answer::{self, JSON, SHUTTING_DOWN},
    body,
    gathered::{self, Form, Gathered},
    person::Wait,
    reserve,
};
use crate::{
    asked::End,
    authorize::{self, Findings, Judged, Permit, ToolCall, ToolPermit, Waiting},
    call::Place,
    clock,
    dialect::{self, Family},
    exchange::WaitingCall,
    identity::Identity,
    json::Value,
    mcp::act::Act,
    names::UpstreamName,
    quota::fair::Claim,
    records::{Content, Said},
    refusal::Refusal,
    retrieval::Sending,
    room::Held,
    snapshot::ToolKind,
    upstream::{self, Destination, Parcel, Parcels, Progress, Repeat, Target, Turn, Upstream},
};
use ::http::{HeaderMap, HeaderValue, Response, StatusCode, header, request::Parts};
use bytes::Bytes;
use claims::Claims;
use hyper::body::Incoming;
use names::Names;
use std::{future::poll_fn, num::NonZeroU32, sync::Arc, time::Duration};

/// What stands in a record for an upstream that is not declared: a client chose its name. No upstream can have this one.
const UNKNOWN: &str = "_OTHER";

/// What the requests to vector stores share.
#[derive(Debug, Default)]
pub struct Stores {
    claims: Arc<Claims>,
    names: Names,
}

/// Lines of JSON.
const LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");
/// A client waits so long for a person; then it is told to come again.
const PATIENCE: Duration = Duration::from_secs(45);
/// An upstream's own words are told in so many characters.
const MESSAGE_CHARS_MAX: usize = 2000;

/// What an upstream answered.
struct Received {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    /// The room that it takes.
    held: Held,
}

/// Answers a request.
pub(super) async fn respond(
    visit: &mut Visit,
    name: &UpstreamName,
    head: &Parts,
    mut body: Incoming,
) -> Result<Response<Body>, Refusal> {
    let accepted = visit.check_records().await;
    let mut held = visit.held()?;
    let bytes_max = visit.snapshot().limits.body;
    let read = match accepted {
        Ok(()) => {
            let is_store = visit.snapshot().tool_apis.get(name.as_str()).is_some_and(|api| api.is_store());
            if is_store {
                body::read_for_store(head, &mut body, bytes_max, &mut held).await
            } else {
                body::read(head, &mut body, bytes_max, Some(&mut held)).await
            }
        }
        Err(refusal) => Err(refusal),
    };
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(refusal) => {
            body::discard(head, body, bytes_max).await;
            return Err(refusal);
        }
    };
    let snapshot = Arc::clone(visit.snapshot());
    let asked = visit.asked()?;
    // A tool API that is not there and one that the tenant does not reach are told alike, and both are on record.
    let api = snapshot.tool_apis.get(name.as_str());
    let Some((api, reach)) = api.zip(authorize::reach(asked, name.as_str())) else {
        let declared = api.map_or(UNKNOWN, |_| name.as_str());
        let tool = format!("{declared}__");
        let line =
            asked.evidence_of_denial(Place::Http, &tool, "{}", "there is no such upstream for this tenant");
        visit.tools_denied.push(tool);
        visit.record(vec![line])?;
        return Err(Refusal::NotFound);
    };
    asked.upstream = Some(name.shared());
    let upstream = snapshot.upstream_of(asked.identity.tenant().id.as_str(), &api.upstream);
    if let Some(refusal) = reserve::spent(visit) {
        return Err(refusal);
    }
    match &api.kind {
        ToolKind::Http(operations) => {
            http::respond(visit, operations, upstream, head, (&bytes, &mut held)).await
        }
        ToolKind::Store { store, .. } => {
            store::respond(visit, *store, (api, upstream, reach), head, (&bytes, held)).await
        }
    }
}

/// What of a request's path stands behind the upstream's name: it begins with a slash, or there is nothing.
fn rest(head: &Parts) -> &str {
    let rest = head.uri.path().strip_prefix("/tools/").unwrap_or_default();
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default()
}

/// Decides on a call with these arguments, which counts for so many, and waits for a person where a rule says so.
async fn judge(
    visit: &mut Visit,
    name: &str,
    arguments: &Value<'_>,
    count: NonZeroU32,
) -> Result<ToolPermit, Refusal> {
    let arguments_max = visit.snapshot().limits.tool_arguments;
    let asked = visit.asked()?;
    asked.tool = Some(name.into());
    if asked.identity.tenant().journal.content == Content::Redacted {
        asked.prompt = Some(Said::called(name, arguments));
    }
    let mut findings = Findings::default();
    let call = ToolCall {
        act: Act::CallTool,
        place: Place::Http,
        name,
        tool: name,
        arguments,
        arguments_max,
        count,
    };
    let judged = authorize::tool_call(asked, &call, &mut findings);
    keep(visit, findings)?;
    let tool = name.to_owned();
    match judged {
        Judged::Permitted(permit) => Ok(permit),
        Judged::Denied { reason, wait: Some(retry_after) } => {
            Err(Refusal::ToolLimit { tool, reason, retry_after })
        }
        Judged::Denied { reason, wait: None } => Err(Refusal::ToolNotAllowed { tool, reason }),
        Judged::Waits(waiting) => ask_a_person(visit, waiting).await,
    }
}

/// Records what was found, before anything is done.
fn keep(visit: &mut Visit, findings: Findings) -> Result<(), Refusal> {
    let Findings { evidence, mut tools_denied, .. } = findings;
    visit.tools_denied.append(&mut tools_denied);
    visit.record(evidence)
}

/// Records that a call was denied without asking a rule, where it was; what else goes wrong is no decision.
fn denied(visit: &mut Visit, refusal: Refusal) -> Refusal {
    let Refusal::ToolNotAllowed { tool, reason } = &refusal else { return refusal };
    let Ok(asked) = visit.asked() else { return refusal };
    let line = asked.evidence_of_denial(Place::Http, tool, "{}", reason);
    visit.tools_denied.push(tool.clone());
    visit.record(vec![line]).map_or_else(|unrecorded| unrecorded, |()| refusal)
}

async fn ask_a_person(visit: &mut Visit, waiting: Waiting) -> Result<ToolPermit, Refusal> {
    let gateway = Arc::clone(visit.gateway());
    let call = WaitingCall {
        tool: waiting.tool.clone(),
        produced: waiting.asked_args.clone(),
        judged: Some(waiting.asked_args.clone()),
        args: waiting.args.clone(),
        rule: Arc::clone(&waiting.rule),
        rule_text: waiting.rule_text.clone(),
        reason: Arc::clone(&waiting.reason),
        within: waiting.within,
    };
    let started = clock::now();
    let tool = waiting.tool.clone();
    let asked = visit.asked()?;
    let mut wait = Wait::ask(&gateway, asked, call, Place::Http);
    let ruling = tokio::select! {
        biased;
        ruling = poll_fn(|cx| wait.poll(cx, &gateway, asked)) => Some(ruling),
        () = gateway.closing.cancelled() => return Err(SHUTTING_DOWN),
        () = tokio::time::sleep(PATIENCE) => None,
    };
    visit.waited += clock::now().saturating_duration_since(started);
    let Some(ruling) = ruling else {
        let id = wait.id();
        let reason = format!(
            "it waits for a person to approve it ({id}); make the same call again later: it passes once it is approved"
        );
        return Err(Refusal::ToolNotAllowed { tool, reason });
    };
    let mut findings = Findings::default();
    let ruled = waiting.ruled(visit.asked()?, ruling, clock::wall(), &mut findings);
    keep(visit, findings)?;
    ruled.map_err(|reason| Refusal::ToolNotAllowed { tool, reason })
}

/// Who speaks to an upstream, and how it gets its turn there. Apart from the visit, because a write goes on when its
/// client has left.
struct Speaker {
    gateway: Arc<Gateway>,
    identity: Identity,
    upstream: Arc<Upstream>,
    progress: Progress,
    /// What answers are read as.
    form: Form,
}

impl Speaker {
    fn new(visit: &mut Visit, upstream: Arc<Upstream>, form: Form) -> Result<Self, Refusal> {
        let progress = std::mem::take(&mut visit.progress);
        Ok(Self {
            gateway: Arc::clone(visit.gateway()),
            identity: visit.asked()?.identity.clone(),
            upstream,
            progress,
            form,
        })
    }

    /// Sends what was permitted and reads the answer whole.
    async fn send(
        &mut self,
        permit: Permit,
        sending: &Sending,
        (headers, repeat): (HeaderMap, Repeat),
    ) -> Result<Received, Refusal> {
        let target = Target { method: sending.method.clone(), path: &sending.target, headers, repeat };
        let destination = Destination { upstreams: vec![Arc::clone(&self.upstream)] };
        let parcels = Parcels::one(Family::OpenAi, Parcel { permit, target });
        let (tenant, key) = (self.identity.tenant(), self.identity.key());
        let claim = Claim::new(tenant.id.shared(), tenant.weight, key.priority, 0);
        let (queues, closing) = (&self.gateway.queues, &self.gateway.closing);
        let mut turn = Turn { queues, claim, closing, progress: &mut self.progress };
        let received = destination.forward(&parcels, &mut turn).await.map_err(|(_, refusal)| refusal)?;
        let answer = received.answer;
        if let Some(coding) = answer.headers.get(header::CONTENT_ENCODING)
            && !coding.as_bytes().eq_ignore_ascii_case(b"identity")
        {
            let message = "the upstream's answer is compressed and cannot be inspected";
            return Err(Refusal::UpstreamError { message });
        }
        let gathered = gathered::gather((&self.gateway, &self.identity), answer.body, self.form).await;
        let Gathered { bytes, held } = gathered.map_err(|refusal| match repeat {
            Repeat::IfUnsent if gathered::is_for_room(&refusal) => Refusal::AnswerLost,
            Repeat::Always | Repeat::IfUnsent => refusal,
        })?;
        let body = self.upstream.conceal_bytes(bytes);
        Ok(Received { status: answer.status, headers: answer.headers, body, held })
    }
}

/// The headers that a request is sent with.
fn headers_for(sending: &Sending) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if !sending.body.is_empty() {
        headers.insert(header::CONTENT_TYPE, if sending.lines { LINES } else { JSON });
    }
    headers
}

/// An upstream's text as the client may read it.
fn redacted(visit: &mut Visit, message: &str) -> Option<String> {
    let redactor = &visit.asked().ok()?.identity.tenant().journal.redactor;
    Some(redactor.text(message).as_str().chars().take(MESSAGE_CHARS_MAX).collect())
}

/// An upstream's error in the gateway's words.
fn failed(visit: &mut Visit, received: &Received) -> Refusal {
    let message = dialect::upstream_message(&received.body).and_then(|message| redacted(visit, &message));
    upstream::refusal_for(received.status, &received.headers, message)
}

/// The answer to the client, on record.
fn told(
    visit: &mut Visit,
    end: &End,
    (status, content_type): (StatusCode, HeaderValue),
    body: Bytes,
) -> Result<Response<Body>, Refusal> {
    let family = visit.family;
    let asked = visit.asked()?;
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    answer::label(response.headers_mut(), family, &asked.request_id, asked.standing);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    visit.ended(end, status.as_u16(), None);
    Ok(response)
}
