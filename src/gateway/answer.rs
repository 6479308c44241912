//! Inspect, settle, record: the upstream's answer on its way to the client.

use super::{
    Gateway, Visit,
    cache::Pending,
    form,
    gathered::{self, Form},
    mcp::Events,
    pace::Pace,
    person::Waits,
    rest::Rest,
    stored,
    visit::{self, Summary},
    whole,
};
use crate::{
    asked::End,
    clock,
    dialect::{self, Api, Family, Progress},
    exchange::{Exchange, Terms},
    quota::{Left, Standing},
    records::Entry,
    records::rfc3339,
    refusal::{Refusal, seconds},
    translate,
    upstream::{
        self, Received, Upstream,
        http1::{Answer, AnswerBody, Read},
    },
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use hyper::body::Frame;
use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// Of an upstream's error, more than this is not read.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// A frame towards the client is not made larger than this on purpose.
const FRAME_BYTES: usize = 32 << 10;
/// So long, and so much, is waited for the end of a stream behind its last event.
const LINGER: Duration = Duration::from_millis(200);
const LINGER_BYTES_MAX: usize = 4096;
/// While a call is held for longer, the stream carries comments.
const HOLD_COMMENT_EVERY: Duration = Duration::from_secs(10);

/// What the gateway sends: bytes, or a stream that is inspected as it goes.
#[derive(Debug)]
pub enum Body {
    /// A whole one: what of it is still to be sent.
    Full(Rest),
    /// Events of an MCP call, as they happen.
    Events(Box<Events>),
    Stream(Box<StreamBody>),
}

impl Body {
    /// A whole body.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self::Full(Rest::of(bytes.into()))
    }
}

/// Decides what becomes of an answer: told as a refusal, inspected whole, or inspected as it streams.
pub(super) async fn inspect(
    visit: &mut Visit,
    terms: Terms,
    translation: Option<translate::Answer>,
    received: Received,
) -> Result<Response<Body>, Refusal> {
    let (upstream, answer) = (received.upstream, received.answer);
    if let Some(coding) = answer.headers.get(header::CONTENT_ENCODING)
        && !coding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return Err(Refusal::UpstreamError {
            message: "the upstream's answer is compressed and cannot be inspected",
        });
    }
    if !answer.status.is_success() {
        return Err(told(visit, &upstream, answer).await);
    }
    let Answer { headers, body, .. } = answer;
    let unread = match form::check(&headers, terms.stream) {
        // What it took is told in this form, too, and the provider has it paid.
        Err(refusal) if terms.stream => Some(refusal),
        Err(refusal) if dialect::streams(terms.api) => {
            return whole::unasked_stream(visit, terms, translation, (body, refusal)).await;
        }
        checked => checked.map(|()| None)?,
    };
    if terms.stream && unread.is_none() {
        return stream(visit, terms, translation, body);
    }
    let terms = Terms { stream: false, ..terms };
    let waiting = clock::now();
    let form = if terms.api == Api::Embeddings { Form::Vectors } else { Form::Json };
    let gathered = gathered::with_leave(visit, body, form).await;
    // The provider has it paid, though there is no room to read it.
    visit.is_unread = matches!(&gathered, Err(refusal) if gathered::is_for_room(refusal));
    visit.waited += clock::now().saturating_duration_since(waiting);
    whole::answered(visit, terms, translation, gathered?, unread).await
}

/// An upstream's error in the gateway's words; its own text only redacted.
async fn told(visit: &mut Visit, upstream: &Upstream, answer: Answer) -> Refusal {
    let Answer { status, headers, body } = answer;
    let body = body.collect(ERROR_BYTES_MAX).await.unwrap_or_default();
    let message = dialect::upstream_message(&body).and_then(|message| {
        let asked = visit.asked().ok()?;
        let redacted = asked.journal().redactor.text(&upstream.conceal(message));
        Some(redacted.as_str().chars().take(2000).collect())
    });
    match upstream::refusal_for(status, &headers, message) {
        // Of a pool another key may be good: it is shown next.
        Refusal::CredentialRefused if upstream.has_pool() => REFUSED_OF_A_POOL,
        refusal => refusal,
    }
}

const REFUSED_OF_A_POOL: Refusal =
    Refusal::UpstreamError { message: "the upstream did not accept the gateway's credential" };
/// What is told to those who wait when the time to drain is over.
pub(super) const SHUTTING_DOWN: Refusal =
    Refusal::UpstreamError { message: "the gateway is shutting down; try again" };

fn stream(
    visit: &mut Visit,
    terms: Terms,
    translation: Option<translate::Answer>,
    body: AnswerBody,
) -> Result<Response<Body>, Refusal> {
    let gateway = Arc::clone(visit.gateway());
    let denied = std::mem::take(&mut visit.tools_denied);
    let started = visit.asked()?.started;
    let busy = clock::now().saturating_duration_since(started).saturating_sub(visit.waited);
    let asked = visit.hand_over()?;
    let mut headers = HeaderMap::new();
    label(&mut headers, visit.family, &asked.request_id, asked.standing);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    let closing = Box::pin(gateway.closing.clone().cancelled_owned());
    let exchange = Exchange::new(asked, terms, denied).translated(translation).streamed();
    let (waits, pace, keeping) = (Waits::default(), Pace::default(), visit.keeping.take());
    let (upstream, exchange) = (Some(body.judged()), Some(exchange));
    let body = StreamBody { gateway, upstream, exchange, waits, pace, closing, comment: None, busy, keeping };
    let mut response = Response::new(Body::Stream(Box::new(body)));
    *response.headers_mut() = headers;
    Ok(response)
}

/// A stream on its way: reads the upstream, lets the exchange inspect, and records when it ends.
#[derive(Debug)]
pub struct StreamBody {
    gateway: Arc<Gateway>,
    /// `None` once the stream has ended; dropping it cancels the upstream.
    upstream: Option<AnswerBody>,
    exchange: Option<Exchange>,
    /// Calls that wait for a person.
    waits: Waits,
    pace: Pace,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    comment: Option<Pin<Box<Sleep>>>,
    /// Time that the gateway itself worked for this request.
    busy: Duration,
    keeping: Option<Arc<Pending>>,
}

impl StreamBody {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let started = clock::now();
        let mut out = Vec::new();
        let ended = self.advance(cx, &mut out);
        self.busy += clock::now().saturating_duration_since(started);
        let unrecorded = self.record_evidence().is_err();
        if unrecorded {
            out.clear();
        }
        match ended {
            _ if unrecorded => {
                let mut last = Vec::new();
                self.fail(Refusal::RecordsUnavailable, &mut last);
                return Poll::Ready(Some(last.into()));
            }
            Some(end) => self.finish(&end),
            None => {}
        }
        match (out.is_empty(), self.upstream.is_none()) {
            (false, _) => Poll::Ready(Some(out.into())),
            (true, true) => Poll::Ready(None),
            (true, false) => self.poll_comment(cx),
        }
    }

    /// Reads what is there. `Some` when the stream has ended.
    fn advance(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Option<End> {
        let exchange = self.exchange.as_mut()?;
        if self.closing.as_mut().poll(cx).is_ready() {
            exchange.fail(SHUTTING_DOWN, out);
            return Some(End::Refused(SHUTTING_DOWN));
        }
        let mut progress = Progress::Continue;
        if exchange.is_suspended() && self.waits.poll(cx, &self.gateway, exchange) {
            progress = exchange.resume(out);
        }
        while progress == Progress::Continue && out.len() < FRAME_BYTES {
            if exchange.is_suspended() {
                self.waits.ask(&self.gateway, exchange);
                // Polled once, so that it wakes this task; what is decided already is looked at next time.
                if self.waits.poll(cx, &self.gateway, exchange) {
                    cx.waker().wake_by_ref();
                }
                if !exchange.has_room() {
                    return None;
                }
            }
            progress = match read(self.upstream.as_mut()?, cx, (exchange, &mut self.pace), out) {
                Poll::Pending => return None,
                Poll::Ready(Some(progress)) => progress,
                Poll::Ready(None) => return Some(End::Complete),
            };
        }
        let end = match progress {
            Progress::Continue => return None,
            Progress::Done => End::Complete,
            Progress::Failed(refusal) => End::Refused(refusal),
        };
        if let (End::Complete, Some(mut rest)) = (&end, self.upstream.take()) {
            rest.judge(true);
            tokio::spawn(until_its_end(rest));
        }
        Some(end)
    }

    fn record_evidence(&mut self) -> Result<(), Refusal> {
        let Some(exchange) = &mut self.exchange else { return Ok(()) };
        self.gateway.remember(exchange);
        let evidence = exchange.evidence();
        evidence.into_iter().try_for_each(|entry| visit::record(&self.gateway, entry))
    }

    fn fail(&mut self, refusal: Refusal, out: &mut Vec<u8>) {
        if let Some(exchange) = &mut self.exchange {
            exchange.fail(refusal.clone(), out);
        }
        self.finish(&End::Refused(refusal));
    }

    fn finish(&mut self, end: &End) {
        self.upstream = None;
        self.comment = None;
        if let Some(mut exchange) = self.exchange.take() {
            if *end == End::ClientGone {
                exchange.leave();
            }
            let summary = Summary::of(exchange.asked());
            self.gateway.remember(&mut exchange);
            stored::shelve(&self.gateway, &exchange, end);
            let (evidence, entry) = exchange.finish(end, 200, clock::now());
            self.keeping.take().into_iter().for_each(|pending| pending.ended(end, &entry));
            for line in evidence {
                drop(visit::record(&self.gateway, line));
            }
            let waited = match &entry {
                Entry::Request(request) => request.latency.saturating_sub(self.busy),
                Entry::Decision(_) => Duration::ZERO,
            };
            summary.tell(&self.gateway, end, entry, waited);
        }
    }

    /// Nothing to send now. While a call is held for long, a comment keeps the connection alive.
    fn poll_comment(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if !self.exchange.as_ref().is_some_and(Exchange::holds) {
            self.comment = None;
            return Poll::Pending;
        }
        let timer = self.comment.get_or_insert_with(|| Box::pin(tokio::time::sleep(HOLD_COMMENT_EVERY)));
        match timer.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                self.comment = None;
                Poll::Ready(Some(Bytes::from_static(b": a tool call is being checked\n\n")))
            }
        }
    }
}

/// Reads once. `None`: the body ended, and all of it was told. Behind a call that waits for a person its framing's word is taken.
fn read(
    upstream: &mut AnswerBody,
    cx: &mut Context<'_>,
    (exchange, pace): (&mut Exchange, &mut Pace),
    out: &mut Vec<u8>,
) -> Poll<Option<Progress>> {
    let (mut progress, now) = (Progress::Continue, clock::now());
    ready!(pace.poll(cx, now));
    let read = upstream.poll_read(cx, &mut |bytes| {
        pace.passed(bytes.len(), now);
        if progress == Progress::Continue {
            progress = exchange.read(bytes, now, out);
        }
    });
    if progress != Progress::Continue {
        return Poll::Ready(Some(progress));
    }
    read.map(|read| match read {
        Ok(Read::More) => Some(Progress::Continue),
        Ok(Read::End) => {
            let progress = exchange.end(out);
            upstream.judge(!matches!(progress, Progress::Failed(_)));
            (progress != Progress::Continue || exchange.is_suspended()).then_some(progress)
        }
        Err(error) => Some(exchange.break_off(gathered::broke_off(error), out)),
    })
}

/// The end of a body whose last event was sent comes with it, or just behind: then the connection can be used again.
async fn until_its_end(body: AnswerBody) {
    drop(tokio::time::timeout(LINGER, body.collect(LINGER_BYTES_MAX)).await);
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        self.finish(&End::ClientGone);
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match &mut *self {
            Self::Full(rest) => rest.poll(cx),
            Self::Events(events) => events.poll(cx),
            Self::Stream(stream) => stream.poll(cx),
        };
        bytes.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(rest) => rest.is_empty(),
            Self::Events(_) | Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Full(rest) => hyper::body::SizeHint::with_exact(rest.bytes()),
            Self::Events(_) | Self::Stream(_) => hyper::body::SizeHint::default(),
        }
    }
}

/// An answer of the gateway's own.
pub(super) fn own(visit: &mut Visit, body: Vec<u8>) -> Result<Response<Body>, Refusal> {
    let family = visit.family;
    let asked = visit.asked()?;
    let mut response = Response::new(Body::full(body));
    label(response.headers_mut(), family, &asked.request_id, asked.standing);
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    visit.answered();
    Ok(response)
}

/// A refusal as an answer in the words of a family.
pub(super) fn refused(
    refusal: &Refusal,
    family: Family,
    request_id: &str,
    standing: Option<Standing>,
) -> Response<Body> {
    let mut response = Response::new(Body::full(dialect::error_body(family, refusal, request_id)));
    *response.status_mut() =
        StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    label(headers, family, request_id, standing);
    if let Some(wait) = refusal.retry_after() {
        let whole = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(whole.max(1)));
        let millis = wait.as_millis() + u128::from(wait.subsec_nanos() % 1_000_000 > 0);
        headers.insert(RETRY_AFTER_MS, HeaderValue::from(u64::try_from(millis).unwrap_or(u64::MAX)));
    }
    if !refusal.retry_can_help() {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    if *refusal == Refusal::InvalidApiKey {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// The headers that every answer carries.
pub(super) fn label(headers: &mut HeaderMap, family: Family, request_id: &str, standing: Option<Standing>) {
    if let Ok(id) = HeaderValue::from_str(request_id) {
        if family == Family::Anthropic {
            headers.insert(ANTHROPIC_REQUEST_ID, id.clone());
        }
        headers.insert(REQUEST_ID, id);
    }
    let Some(standing) = standing else { return };
    if let Some(left) = standing.requests {
        tell_left(headers, family, &REQUESTS, left);
    }
    if let Some(left) = standing.tokens {
        tell_left(headers, family, &TOKENS, left);
    }
    if let Some(warned) = standing.budget
        && let Ok(told) = HeaderValue::from_str(&format!("{}% of {}", warned.percent, warned.budget))
    {
        headers.insert(BUDGET, told);
    }
}

/// The headers of one limit: OpenAI's, and Anthropic's, in which a reset is a time. Source: both API references, "Rate
/// limits".
struct Names {
    openai: [HeaderName; 3],
    anthropic: [HeaderName; 3],
}

static REQUESTS: Names = Names {
    openai: [
        HeaderName::from_static("x-ratelimit-limit-requests"),
        HeaderName::from_static("x-ratelimit-remaining-requests"),
        HeaderName::from_static("x-ratelimit-reset-requests"),
    ],
    anthropic: [
        HeaderName::from_static("anthropic-ratelimit-requests-limit"),
        HeaderName::from_static("anthropic-ratelimit-requests-remaining"),
        HeaderName::from_static("anthropic-ratelimit-requests-reset"),
    ],
};

static TOKENS: Names = Names {
    openai: [
        HeaderName::from_static("x-ratelimit-limit-tokens"),
        HeaderName::from_static("x-ratelimit-remaining-tokens"),
        HeaderName::from_static("x-ratelimit-reset-tokens"),
    ],
    anthropic: [
        HeaderName::from_static("anthropic-ratelimit-tokens-limit"),
        HeaderName::from_static("anthropic-ratelimit-tokens-remaining"),
        HeaderName::from_static("anthropic-ratelimit-tokens-reset"),
    ],
};

/// A budget of which much is spent.
const BUDGET: HeaderName = HeaderName::from_static("x-tollgate-budget-used");

fn tell_left(headers: &mut HeaderMap, family: Family, names: &Names, left: Left) {
    let mut tell = |names: &[HeaderName; 3], reset: String| {
        let [limit, remaining, resets] = names;
        headers.insert(limit, HeaderValue::from(left.limit));
        headers.insert(remaining, HeaderValue::from(left.remaining));
        if let Ok(reset) = HeaderValue::from_str(&reset) {
            headers.insert(resets, reset);
        }
    };
    tell(&names.openai, seconds(left.reset));
    if family == Family::Anthropic
        && let Some(time) = clock::wall().checked_add(left.reset)
    {
        tell(&names.anthropic, rfc3339(time));
    }
}
