//! Vector stores: a conversation of `retrieval` is carried to the store and back, within the tenant's bounds.

use super::{Received, Speaker, claims::Claim, denied, headers_for, judge, keep, redacted, rest, told};
use crate::{
    asked::End,
    authorize::{self, Description, Findings, Permit, Reach, ToolPermit},
    call::Place,
    clock,
    gateway::{
        Body, Visit,
        answer::JSON,
        apart,
        gathered::{self, Form},
    },
    json, operator,
    quota::Admission,
    refusal::{Crowded, Refusal},
    retrieval::{Conversation, Cursors, Fence, Found, Lookup, Operation, Reply, Step, Store, Told},
    room::Held,
    snapshot::ToolApi,
    tool_api::Request,
    upstream::{self, Progress, Repeat, Upstream},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response, StatusCode, request::Parts};
use std::{mem, sync::Arc, time::Duration};

const PRODUCT: HeaderName = HeaderName::from_static("x-elastic-product");
/// More is not sent of one request.
const STEPS_MAX: usize = 16;
/// So long a write waits for another tenant's of the same id.
const CLAIM_WAIT: Duration = Duration::from_secs(10);

/// What a conversation may send.
enum Leave {
    Description(Description),
    Tool(ToolPermit),
}

impl Leave {
    fn body(&self, made: Bytes) -> Permit {
        match self {
            Self::Description(description) => description.body(made),
            Self::Tool(permit) => permit.body(made),
        }
    }
}

/// What came of a conversation.
struct Ended {
    outcome: Result<Outcome, Refusal>,
    /// Records of others that the store answered with.
    foreign: u64,
}

enum Outcome {
    Failed(Received),
    Told(Told, HeaderMap),
}

pub(super) async fn respond(
    visit: &mut Visit,
    store: Store,
    (api, upstream, reach): (&ToolApi, Arc<Upstream>, Reach),
    head: &Parts,
    (bytes, mut held): (&Bytes, Held),
) -> Result<Response<Body>, Refusal> {
    let (path, query) = (rest(head), head.uri.query());
    let nesting_max = visit.snapshot().limits.nesting;
    let leave = apart::turn(visit, bytes.len()).await?;
    let body = leave.work(|| store.body(path, bytes, nesting_max))?;
    body.iter().try_for_each(|body| held.keep(body))?;
    let request = Request::read_with_lists(&head.method, path, query, body, store.lists())?;
    let tenant = visit.asked()?.identity.tenant();
    let cursors =
        Cursors::new(&tenant.journal.secret.key("store cursor v1"), clock::unix_seconds(clock::wall()));
    let fence = api.fence(&tenant.id.shared(), cursors);
    let found = store.find(request).map_err(|why| {
        let refusal = Refusal::ToolNotAllowed { tool: fence.upstream.to_string(), reason: why.to_owned() };
        denied(visit, refusal)
    })?;
    let tool = |operation: Operation| tool_of(&fence, operation);
    let description = described(visit, found.operation, &fence)?;
    let name = look_up(visit, &found, (&fence, &upstream, reach)).await?;
    let understood = found.understand(&fence, name.as_deref()).map_err(|refusal| denied(visit, refusal))?;
    let operation = understood.operation();
    let (leave, conversation) = match description {
        Some(description) => (Leave::Description(description), understood.begin()),
        None => {
            let permit = judge(visit, &tool(operation), &understood.arguments, understood.searches()).await?;
            let decided = json::parse(permit.arguments(), json::NESTING_MAX);
            let decided = decided.map_err(|error| Refusal::invalid(error.to_string(), None))?;
            let understood = understood.with(&decided).map_err(|refusal| denied(visit, refusal))?;
            (Leave::Tool(permit), understood.begin())
        }
    };
    let started = clock::now();
    let ended = converse(visit, (conversation, leave), (&upstream, &fence), held).await;
    visit.waited += clock::now().saturating_duration_since(started);
    if operation == Operation::Manage {
        visit.gateway().stores.names.forget(&fence.upstream);
    }
    let ended = ended?;
    if ended.foreign > 0 {
        alarm(visit, &tool(operation), &fence, ended.foreign)?;
    }
    let outcome = ended.outcome.inspect_err(|refusal| visit.rejected(refusal));
    match outcome.map_err(|refusal| denied(visit, refusal))? {
        Outcome::Told(Told { status, body }, headers) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            let response = told(visit, &End::Complete, (status, JSON), body);
            response.map(|response| of_product(response, &headers))
        }
        Outcome::Failed(received) => {
            let response = refused(visit, store, &received);
            response.map(|response| of_product(response, &received.headers))
        }
    }
}

/// Elasticsearch's clients speak to what calls itself so.
fn of_product(mut response: Response<Body>, headers: &HeaderMap) -> Response<Body> {
    if let Some(product) = headers.get(&PRODUCT) {
        response.headers_mut().insert(PRODUCT, product.clone());
    }
    response
}

/// The operation as rules name it.
fn tool_of(fence: &Fence, operation: Operation) -> String {
    format!("{}__{}", fence.upstream, operation.as_str())
}

/// Leave to describe collections, where nothing else is asked. Whoever may not do at all what is asked learns nothing of
/// collections by it.
fn described(visit: &mut Visit, operation: Operation, fence: &Fence) -> Result<Option<Description>, Refusal> {
    let tool = tool_of(fence, operation);
    if operation == Operation::Describe {
        let tools = Operation::RULED.into_iter().map(|ruled| tool_of(fence, ruled));
        let found = authorize::describe(visit.asked()?, tools);
        let none = || Refusal::ToolNotAllowed { tool, reason: "no rule allows it".to_owned() };
        return found.ok_or_else(none).map(Some).map_err(|refusal| denied(visit, refusal));
    }
    let mut findings = Findings::default();
    let refused = authorize::denied_over_http(visit.asked()?, &tool, &mut findings);
    keep(visit, findings)?;
    refused.map_or(Ok(None), |reason| Err(Refusal::ToolNotAllowed { tool, reason }))
}

/// The store's name of the collection that a request names by an id.
async fn look_up(
    visit: &mut Visit,
    found: &Found<'_>,
    (fence, upstream, reach): (&Fence, &Arc<Upstream>, Reach),
) -> Result<Option<Arc<str>>, Refusal> {
    let Some(Lookup { key, sending }) = found.lookup() else { return Ok(None) };
    let gateway = Arc::clone(visit.gateway());
    // A tenant with an account of its own has other collections.
    let id = format!("{}/{key}", fence.tenant);
    if let Some(name) = gateway.stores.names.find(&fence.upstream, &id, clock::now()) {
        return Ok(Some(name));
    }
    let started = clock::now();
    let permit = reach.asks(sending.body.clone());
    let mut speaker = Speaker::new(visit, Arc::clone(upstream), Form::Vectors)?;
    let received = speaker.send(permit, &sending, (HeaderMap::new(), Repeat::Always)).await;
    visit.progress = speaker.progress;
    visit.waited += clock::now().saturating_duration_since(started);
    let received = received.inspect_err(|refusal| visit.rejected(refusal))?;
    let missing = || Refusal::StoredNotFound { id: key.rsplit('/').next().unwrap_or_default().to_owned() };
    let reply = Reply { status: received.status.as_u16(), body: received.body };
    match Lookup::name_in(&reply) {
        Some(name) if fence.inner(&name).is_some() => {
            let name: Arc<str> = name.into();
            gateway.stores.names.keep(&fence.upstream, id, Arc::clone(&name), clock::now());
            Ok(Some(name))
        }
        // Another tenant's is not there.
        Some(_) => Err(missing()),
        None if [400, 404, 422].contains(&reply.status) => Err(missing()),
        None => Err(upstream::refusal_for(received.status, &received.headers, None)),
    }
}

/// Speaks with the store. A write goes on to its end though the client leaves: what it claims stays claimed until then,
/// the room that its body takes stays taken, and its tenant's place in flight its own.
async fn converse(
    visit: &mut Visit,
    (conversation, leave): (Box<dyn Conversation>, Leave),
    (upstream, fence): (&Arc<Upstream>, &Fence),
    held: Held,
) -> Result<Ended, Refusal> {
    let claims = conversation.claims();
    let claim = if claims.is_empty() {
        None
    } else {
        let ids = claims.iter().map(|id| format!("{}/{id}", fence.upstream).into()).collect();
        let claiming = Arc::clone(&visit.gateway().stores.claims).claim(&fence.tenant, ids);
        let claimed = tokio::time::timeout(CLAIM_WAIT, claiming).await;
        let late = |_| Refusal::Overloaded { why: Crowded::Writes, retry_after: Duration::from_secs(1) };
        Some(claimed.map_err(late)?)
    };
    let speaker = Speaker::new(visit, Arc::clone(upstream), Form::Vectors)?;
    let (ended, progress) = if conversation.writes() {
        let slot = mem::replace(&mut visit.asked()?.slot, Admission::refused(None).slot);
        let carried = tokio::spawn(async move {
            let carried = carry(conversation, leave, speaker, claim).await;
            drop((held, slot));
            carried
        });
        carried.await.map_err(|_| Refusal::UpstreamError { message: "the request broke off" })?
    } else {
        carry(conversation, leave, speaker, claim).await
    };
    visit.progress = progress;
    Ok(ended)
}

async fn carry(
    mut conversation: Box<dyn Conversation>,
    leave: Leave,
    mut speaker: Speaker,
    claim: Option<Claim>,
) -> (Ended, Progress) {
    let outcome = steps(conversation.as_mut(), &leave, &mut speaker).await;
    drop(claim);
    (Ended { outcome, foreign: conversation.foreign() }, speaker.progress)
}

async fn steps(
    conversation: &mut dyn Conversation,
    leave: &Leave,
    speaker: &mut Speaker,
) -> Result<Outcome, Refusal> {
    let (mut reply, mut headers): (Option<Reply>, _) = (None, HeaderMap::new());
    let mut room = gathered::room((&speaker.gateway, &speaker.identity));
    for _ in 0..STEPS_MAX {
        let length = reply.as_ref().map_or(0, |reply| reply.body.len());
        let turn = apart::turn_of_answer((&speaker.gateway, &speaker.identity), length).await;
        let turn =
            turn.map_err(|refusal| if conversation.writes() { Refusal::AnswerLost } else { refusal })?;
        match turn.work(|| conversation.next(reply.take()))? {
            Step::Send(sending) => {
                let repeat = if sending.once { Repeat::IfUnsent } else { Repeat::Always };
                let sent = (headers_for(&sending), repeat);
                room.shrink_to(0);
                let received = speaker.send(leave.body(sending.body.clone()), &sending, sent).await?;
                headers = received.headers;
                room = received.held;
                reply = Some(Reply { status: received.status.as_u16(), body: received.body });
            }
            Step::Tell(told) => {
                let body = room.until_sent(told.body);
                return Ok(Outcome::Told(Told { body, ..told }, headers));
            }
            Step::Fail(Reply { status, body }) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
                return Ok(Outcome::Failed(Received { status, headers, body, held: room }));
            }
        }
    }
    Err(Refusal::UpstreamError { message: "the store is asked again and again" })
}

/// The store answered with what is not the tenant's: the operator has to know.
fn alarm(visit: &mut Visit, tool: &str, fence: &Fence, foreign: u64) -> Result<(), Refusal> {
    visit.gateway().telemetry.foreign_records(
        Arc::clone(&fence.tenant),
        Arc::clone(&fence.upstream),
        foreign,
    );
    operator::warn(&format!(
        "the store `{}` answered {} with {foreign} records that are not its own; they were taken out",
        fence.upstream, fence.tenant
    ));
    let reason = format!("{foreign} records of others were taken out of the store's answer");
    let line = visit.asked()?.evidence_of_denial(Place::Http, tool, "{}", &reason);
    visit.record(vec![line])
}

/// A store's refusal, in the shape in which its clients read it.
fn refused(visit: &mut Visit, store: Store, received: &Received) -> Result<Response<Body>, Refusal> {
    let error = store.error_in(&received.body);
    let message = error.as_ref().and_then(|error| redacted(visit, &error.message));
    let refusal = upstream::refusal_for(received.status, &received.headers, message);
    let Refusal::UpstreamRefused { status, message, retry_after: None } = &refusal else {
        return Err(refusal);
    };
    let body = store.error_body(error.and_then(|error| error.kind).as_deref(), message);
    let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY);
    told(visit, &End::Refused(refusal.clone()), (status, JSON), body.into())
}
