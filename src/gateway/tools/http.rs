//! Plain HTTP tools: what is declared is decided on and sent, and nothing else.

use super::{Speaker, denied, failed, headers_for, judge, keep, rest, told};
use crate::{
    asked::End,
    authorize::{self, Findings},
    clock,
    gateway::{Body, Visit, apart, gathered::Form},
    json,
    refusal::Refusal,
    retrieval::Sending,
    room::Held,
    tool_api::{self, Request, operation::Operations},
    upstream::{Repeat, Upstream},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header, request::Parts};
use sha2::{Digest, Sha256};
use std::{num::NonZeroU32, sync::Arc};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Headers of an answer that go to the client.
const PASSED: [HeaderName; 4] =
    [header::CONTENT_DISPOSITION, header::CONTENT_LANGUAGE, header::ETAG, header::LAST_MODIFIED];
/// The same whether an operation is not declared or not the tenant's.
const NO_OPERATION: &str = "no operation that you may call has this method and path";

pub(super) async fn respond(
    visit: &mut Visit,
    operations: &Operations,
    upstream: Arc<Upstream>,
    head: &Parts,
    (bytes, held): (&Bytes, &mut Held),
) -> Result<Response<Body>, Refusal> {
    let nesting_max = visit.snapshot().limits.nesting;
    let leave = apart::turn(visit, bytes.len()).await?;
    let body = leave.work(|| tool_api::body(bytes, nesting_max))?;
    body.iter().try_for_each(|body| held.keep(body))?;
    let request = Request::read(&head.method, rest(head), head.uri.query(), body)?;
    let name = upstream.name.as_str().to_owned();
    let unknown = || Refusal::ToolNotAllowed { tool: name.clone(), reason: NO_OPERATION.to_owned() };
    let Some(call) = operations.read(request)? else { return Err(denied(visit, unknown())) };
    let tool = format!("{name}__{}", call.name);
    let mut findings = Findings::default();
    let refused = authorize::denied_over_http(visit.asked()?, &tool, &mut findings);
    keep(visit, findings)?;
    if refused.is_some() {
        return Err(unknown());
    }
    let permit = judge(visit, &tool, &call.arguments, NonZeroU32::MIN).await?;
    let arguments = json::parse(permit.arguments(), json::NESTING_MAX)
        .map_err(|error| Refusal::invalid(error.to_string(), None))?;
    let policy = &visit.asked()?.identity.tenant().policy;
    let forced: Vec<String> = policy.forced(&tool).map(ToOwned::to_owned).collect();
    let request = call.request(operations, &arguments, &forced);
    let request =
        request.map_err(|reason| denied(visit, Refusal::ToolNotAllowed { tool: tool.clone(), reason }))?;
    let sending = Sending::of(&request);
    let headers = headers(visit, head, &sending)?;
    // Whoever asks for money twice gets it twice.
    let repeats = [Method::GET, Method::HEAD, Method::PUT, Method::DELETE].contains(&sending.method);
    let repeat = if repeats { Repeat::Always } else { Repeat::IfUnsent };
    let started = clock::now();
    let mut speaker = Speaker::new(visit, upstream, Form::Text)?;
    let received = speaker.send(permit.body(sending.body.clone()), &sending, (headers, repeat)).await;
    visit.progress = speaker.progress;
    visit.waited += clock::now().saturating_duration_since(started);
    let received = received.inspect_err(|refusal| visit.rejected(refusal))?;
    if !received.status.is_success() {
        return Err(failed(visit, &received));
    }
    let json = HeaderValue::from_static("application/json");
    let content_type = received.headers.get(header::CONTENT_TYPE).cloned().unwrap_or(json);
    let body = received.held.until_sent(received.body);
    let mut response = told(visit, &End::Complete, (received.status, content_type), body)?;
    for name in PASSED {
        if let Some(value) = received.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    // What is one tenant's is kept by nobody on the way.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    Ok(response)
}

/// What goes with a call: how the answer is liked, and the key under which it is done once. That is made the tenant's
/// own: the account behind the gateway is shared, and so are the answers that are kept under such a key.
fn headers(visit: &mut Visit, head: &Parts, sending: &Sending) -> Result<HeaderMap, Refusal> {
    let mut headers = headers_for(sending);
    for name in [header::ACCEPT, header::ACCEPT_LANGUAGE] {
        if let Some(value) = head.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    let mut keys = head.headers.get_all(&IDEMPOTENCY_KEY).iter();
    if let Some(key) = keys.next() {
        if keys.next().is_some() {
            return Err(Refusal::invalid("there are two `idempotency-key` headers", Some("idempotency-key")));
        }
        let tenant = visit.asked()?.identity.tenant().id.shared();
        let digest =
            Sha256::new().chain_update(tenant.as_bytes()).chain_update([0]).chain_update(key.as_bytes());
        let hex: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        headers.extend(HeaderValue::from_str(&hex).ok().map(|value| (IDEMPOTENCY_KEY, value)));
    }
    Ok(headers)
}
