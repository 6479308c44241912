//! One call to whichever upstream answers it: tries, fallbacks, and what a failure is called.
//!
//! A further try is made only before the first byte went to the client, and only where it can help: a failed
//! connect, 429, 502, 503, 504, 529, no answer at all, or a refused credential where there is another one, or another
//! upstream. A 500 is told as it is.
//! What goes to an upstream a second time is paid from its budget of retries; going on to another costs nothing.
//! An upstream that takes so many at a time is waited for: only what would be told that it is overloaded goes to the next.

use super::{
    Came, Chosen, Credential, Endpoint, LIMITED_REST, Place, REFUSED_REST, Turn, Upstream,
    circuit::{Shown, Watch},
    http1::{Again, Answer, ConnectFailure, Outgoing, SendError, SendErrorKind},
    retry_after,
    tries::{Call, Leg},
};
use crate::{
    authorize::Permit,
    clock,
    dialect::Family,
    refusal::{Crowded, Refusal},
    trace::{self, Going, Outbound, Underway},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// What is told while a circuit is open.
pub(super) const LEFT_ALONE: Refusal = Refusal::UpstreamError {
    message: "the upstream failed several times in a row, and is left alone for some seconds",
};

/// Who finds no connection left is told to come again after so long.
const COME_AGAIN: Duration = Duration::from_secs(1);

/// Where a model's calls go: these upstreams, tried in order.
#[derive(Debug, Clone)]
pub struct Destination {
    pub upstreams: Vec<Arc<Upstream>>,
}

/// What is sent, apart from the body, which a permit carries.
#[derive(Debug)]
pub struct Target<'t> {
    pub method: Method,
    /// Behind the upstream's own path: `/chat/completions`.
    pub path: &'t str,
    /// Headers that go upstream as they are.
    pub headers: HeaderMap,
    pub repeat: Repeat,
}

/// When a request may be sent once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Whenever that can help: done twice, it does no more than done once.
    Always,
    /// Only where nothing of it can have reached the upstream. It goes out on a connection that is new or was used just
    /// now: one that rested may be closed by the other side just then, and nobody knows what was read of it.
    IfUnsent,
}

/// What is sent to an upstream, as it was permitted.
#[derive(Debug)]
pub struct Parcel<'t> {
    pub permit: Permit,
    pub target: Target<'t>,
}

/// The same call in the dialect of each kind of upstream that it may go to.
#[derive(Debug, Default)]
pub struct Parcels<'t> {
    parcels: Vec<(Family, Parcel<'t>)>,
}

impl<'t> Parcels<'t> {
    /// A call that goes to upstreams of one kind.
    pub fn one(speaks: Family, parcel: Parcel<'t>) -> Self {
        Self { parcels: vec![(speaks, parcel)] }
    }

    /// Adds what is sent to upstreams that speak so. The first stands.
    pub fn add(&mut self, speaks: Family, parcel: Parcel<'t>) {
        self.parcels.push((speaks, parcel));
    }

    /// What is sent to an upstream that speaks so.
    pub fn of(&self, speaks: Family) -> Option<&Parcel<'t>> {
        self.parcels.iter().find(|(family, _)| *family == speaks).map(|(_, parcel)| parcel)
    }

    /// Whether it can be sent to nobody.
    pub fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }
}

/// An answer, and who gave it.
#[derive(Debug)]
pub struct Received {
    pub upstream: Arc<Upstream>,
    /// Status 2xx: to be inspected and sent on. Any other: to be told in the gateway's words.
    pub answer: Answer,
}

#[expect(clippy::large_enum_variant, reason = "it lives for a moment, and most tries are answered")]
enum Tried {
    Answered(Answer),
    /// Another try may help; this is what is told if there is none.
    Again(Failure),
    Failed(Failure),
}

enum Failure {
    Answer(Box<Answer>),
    /// There was no try at all.
    Untried(Refusal),
    /// Nothing was sent.
    Unsent(Refusal),
    /// It went out on a connection that rested and was closed.
    Stale(Refusal),
    Refusal(Refusal),
}

impl Tried {
    /// The same of a request that is sent again only where nothing of it was.
    fn once(self) -> Self {
        match self {
            Self::Again(failure @ (Failure::Answer(_) | Failure::Refusal(_) | Failure::Stale(_))) => {
                Self::Failed(failure)
            }
            other => other,
        }
    }
}

impl Destination {
    /// Sends what was permitted to the first upstream that answers, when its turn has come.
    pub async fn forward(
        &self,
        parcels: &Parcels<'_>,
        turn: &mut Turn<'_>,
    ) -> Result<Received, (Arc<str>, Refusal)> {
        let started = clock::now();
        let mut call = Call::new(&self.upstreams, started);
        let mut told = ToTell::default();
        let mut places = Places::default();
        while let Some(leg) = call.next() {
            let upstream = leg.upstream;
            if let Some(refusal) = unfit(leg, turn.tenant(), started) {
                leg.is_over = true;
                told.note(upstream, Failure::Untried(refusal));
                continue;
            }
            if !upstream.affords(turn.tenant(), &leg.tries).await {
                leg.is_over = true;
                continue;
            }
            match places.at(upstream, turn, started).await {
                Ok(()) => {}
                Err(refusal @ Refusal::Overloaded { .. }) => {
                    leg.is_over = true;
                    told.note(upstream, Failure::Refusal(refusal));
                    continue;
                }
                Err(refusal) => return Err((upstream.name.shared(), refusal)),
            }
            turn.sent();
            match try_once(leg, parcels, turn, started).await {
                Tried::Answered(answer) => return Ok(places.received(upstream, answer)),
                Tried::Again(failure) => told.note(upstream, failure),
                Tried::Failed(failure) => {
                    told = ToTell(Some((upstream, failure)));
                    break;
                }
            }
        }
        match told.0 {
            Some((upstream, Failure::Answer(answer))) => Ok(places.received(upstream, *answer)),
            Some((
                upstream,
                Failure::Refusal(refusal)
                | Failure::Stale(refusal)
                | Failure::Unsent(refusal)
                | Failure::Untried(refusal),
            )) => Err((upstream.name.shared(), refusal)),
            None => {
                Err(("".into(), Refusal::UpstreamError { message: "no upstream is configured for this" }))
            }
        }
    }
}

/// Why no try is to be made at an upstream.
fn unfit(leg: &Leg<'_>, tenant: &str, started: Instant) -> Option<Refusal> {
    if !leg.upstream.answers(tenant, &leg.tries, clock::now()) {
        return Some(LEFT_ALONE);
    }
    // A try begins within the time that the request may take, all its tries together.
    let is_over = leg.upstream.left(started).is_some_and(|left| left.is_zero());
    is_over.then_some(Refusal::UpstreamTimeout)
}

/// The failure that a call is told as: of those of all upstreams, the last that says the most.
#[derive(Default)]
struct ToTell<'d>(Option<(&'d Arc<Upstream>, Failure)>);

impl<'d> ToTell<'d> {
    fn note(&mut self, upstream: &'d Arc<Upstream>, failure: Failure) {
        if self.0.as_ref().is_none_or(|(_, known)| known.says() <= failure.says()) {
            self.0 = Some((upstream, failure));
        }
    }
}

impl Failure {
    /// How much it says of what the client can do: first of all, when to come again.
    fn says(&self) -> u8 {
        match self {
            Self::Answer(answer) if answer.status == StatusCode::TOO_MANY_REQUESTS => 4,
            Self::Refusal(Refusal::Overloaded { .. }) => 3,
            Self::Answer(_) | Self::Refusal(_) | Self::Stale(_) => 2,
            Self::Unsent(_) => 1,
            Self::Untried(_) => 0,
        }
    }
}

/// The place that a call has at an upstream, one at a time: whoever waits for a second one keeps no first.
#[derive(Debug, Default)]
struct Places {
    /// The upstream that the last try went to, and the place there, if one is needed.
    held: Option<(Arc<str>, Option<Place>)>,
}

impl Places {
    /// Waits until the call may go to an upstream. Another try there keeps the place.
    async fn at(
        &mut self,
        upstream: &Upstream,
        turn: &mut Turn<'_>,
        started: Instant,
    ) -> Result<(), Refusal> {
        let name = upstream.name.as_str();
        if self.held.as_ref().is_some_and(|(held, _)| **held == *name) {
            return Ok(());
        }
        self.held = None;
        let place = match upstream.left(started) {
            Some(left) => timeout(left, turn.at(name)).await.unwrap_or_else(|_| {
                turn.progress.end();
                Err(Refusal::UpstreamTimeout)
            }),
            None => turn.at(name).await,
        };
        self.held = Some((upstream.name.shared(), place?));
        Ok(())
    }

    /// An answer, which has the place until its end.
    fn received(self, upstream: &Arc<Upstream>, answer: Answer) -> Received {
        let held = self.held.filter(|(held, _)| *held == upstream.name.shared());
        let place = held.and_then(|(_, place)| place);
        let body = answer.body.holding(place);
        Received { upstream: Arc::clone(upstream), answer: Answer { body, ..answer } }
    }
}

async fn try_once(leg: &mut Leg<'_>, parcels: &Parcels<'_>, turn: &Turn<'_>, started: Instant) -> Tried {
    let upstream = leg.upstream;
    let Some(Parcel { permit, target }) = parcels.of(upstream.speaks) else {
        return Tried::Failed(Failure::Refusal(Refusal::UpstreamError {
            message: "the upstream does not speak what is asked of it",
        }));
    };
    let now = clock::now();
    let Some(chosen) = upstream.next(turn.tenant(), &leg.tries, now) else {
        leg.is_over = true;
        return Tried::Again(Failure::Untried(LEFT_ALONE));
    };
    leg.tries.sent += 1;
    let endpoint = chosen.endpoint;
    let watch = endpoint.circuit.begin(turn.tenant(), now, upstream.name.shared());
    let mut headers = target.headers.clone();
    // What the gateway sets is set last: nothing that came with the request can stand in its place.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some(Credential { header, value }) = chosen.kept.map(|kept| &kept.credential) {
        headers.insert(header.clone(), value.clone());
    }
    let underway = turn.trace().map(|outbound| begin(outbound, upstream, endpoint, &target.method));
    if let Some(underway) = &underway {
        underway.context.tell(&mut headers);
    }
    let path = format!("{}{}", endpoint.base_path, target.path);
    let again = match target.repeat {
        Repeat::Always if upstream.retries > 0 => Again::ByCaller,
        Repeat::Always | Repeat::IfUnsent => Again::Never,
    };
    let (method, body) = (&target.method, permit.body().clone());
    let outgoing = Outgoing { method, path: &path, headers: &headers, body, again };
    let sent = endpoint.client.send_since(outgoing, started.into()).await;
    end(underway, &sent);
    upstream.health.note(Came::of(&sent));
    let tried = match sent {
        Ok(answer) => {
            if answer.status == StatusCode::TOO_MANY_REQUESTS && !upstream.has_several_credentials() {
                endpoint.circuit.limits(turn.tenant(), now);
            }
            if rest(&chosen, &answer, upstream.has_several_credentials(), now) {
                leg.tries.refuse(chosen);
                // There is nothing else to show.
                leg.is_over |= !upstream.has_several_credentials();
            }
            judge(watched(answer, watch, upstream.shows()))
        }
        Err(error) => {
            tell(watch, &error);
            failed(error)
        }
    };
    leg.tries.is_stale = matches!(tried, Tried::Again(Failure::Stale(_)));
    if !leg.tries.is_stale {
        leg.tries.fail(chosen);
    }
    match target.repeat {
        Repeat::Always => tried,
        Repeat::IfUnsent => tried.once(),
    }
}

/// Notes how the address answers; of what is not complete yet, how it ends.
pub(super) fn watched(answer: Answer, mut watch: Watch, shown: Shown) -> Answer {
    let status = answer.status;
    if status.is_success() {
        watch.answers();
        return Answer { body: answer.body.watched(watch), ..answer };
    }
    if status.is_server_error() {
        watch.failed(&format_args!("it answers with {}", status.as_u16()));
    } else if [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status) {
        watch.refused(status.as_u16(), shown);
    } else {
        watch.succeeded();
    }
    answer
}

/// Notes that there was no answer.
pub(super) fn tell(watch: Watch, error: &SendError) {
    // Whoever closes a connection that rested did not fail at what was sent on it.
    if error.is_stale {
        return;
    }
    match error.kind {
        SendErrorKind::Connect(ConnectFailure::NoneLeft) => watch.untried(error),
        SendErrorKind::Connect(_) | SendErrorKind::Tls(_) => watch.unreachable(error),
        _ => watch.failed(error),
    }
}

/// Notes a try in the request's trace.
fn begin(outbound: &Outbound, upstream: &Upstream, endpoint: &Endpoint, method: &Method) -> Underway {
    let origin = endpoint.client.origin();
    let going = Going {
        upstream: upstream.name.shared(),
        method: trace::method(method.as_str()),
        server: Some((origin.host(), origin.port())),
        url: Some(endpoint),
        mcp: None,
    };
    outbound.begin(going, clock::now())
}

/// Notes what came of it.
fn end(underway: Option<Underway>, sent: &Result<Answer, SendError>) {
    let Some(underway) = underway else { return };
    let came = match (sent, Came::of(sent)) {
        (Ok(answer), _) => trace::Came::Status(answer.status.as_u16()),
        (Err(_), came) => trace::Came::Failed(came.map_or("unsent", Came::as_str)),
    };
    underway.end(came, clock::now());
}

/// A credential that the upstream does not take at the moment is not shown for a while: others are, or another upstream is
/// asked. Whether it was not taken.
fn rest(chosen: &Chosen<'_>, answer: &Answer, is_of_several: bool, now: Instant) -> bool {
    match answer.status {
        StatusCode::UNAUTHORIZED => chosen.rest(now + REFUSED_REST),
        // What is asked can be why, too: it takes away no upstream's only one from everybody.
        StatusCode::FORBIDDEN if is_of_several => chosen.rest(now + REFUSED_REST),
        StatusCode::FORBIDDEN => {}
        StatusCode::TOO_MANY_REQUESTS if is_of_several => {
            let asked = retry_after::read(&answer.headers, clock::wall());
            chosen.rest(now + asked.unwrap_or(LIMITED_REST).min(REFUSED_REST));
        }
        _ => return false,
    }
    true
}

fn judge(answer: Answer) -> Tried {
    match answer.status {
        status if status.is_success() => Tried::Answered(answer),
        // Anthropic's word for being overloaded.
        status if status.as_u16() == 529 => Tried::Again(Failure::Answer(answer.into())),
        StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Tried::Again(Failure::Answer(answer.into())),
        _ => Tried::Failed(Failure::Answer(answer.into())),
    }
}

/// What a request that got no answer is told as.
pub(super) fn unanswered(error: SendError) -> Refusal {
    match error.kind {
        SendErrorKind::Connect(failure) if failure.is_timeout() => Refusal::UpstreamTimeout,
        SendErrorKind::FirstByteTimeout => Refusal::UpstreamTimeout,
        SendErrorKind::Connect(ConnectFailure::NoneLeft) => {
            Refusal::Overloaded { why: Crowded::Connections, retry_after: COME_AGAIN }
        }
        SendErrorKind::Connect(_) | SendErrorKind::Tls(_) => {
            Refusal::UpstreamError { message: "the upstream cannot be reached" }
        }
        SendErrorKind::ClosedBeforeAnswer => {
            Refusal::UpstreamError { message: "the upstream closed the connection without an answer" }
        }
        SendErrorKind::MalformedAnswer(_) => {
            Refusal::UpstreamError { message: "the upstream's answer is not valid HTTP" }
        }
        SendErrorKind::InvalidRequest => {
            Refusal::UpstreamError { message: "the request cannot be sent upstream" }
        }
    }
}

fn failed(error: SendError) -> Tried {
    let refusal = unanswered(error);
    match error.kind {
        SendErrorKind::Connect(ConnectFailure::NoneLeft) => Tried::Failed(Failure::Unsent(refusal)),
        SendErrorKind::Connect(_) | SendErrorKind::Tls(_) => Tried::Again(Failure::Unsent(refusal)),
        SendErrorKind::ClosedBeforeAnswer if error.is_stale => Tried::Again(Failure::Stale(refusal)),
        SendErrorKind::ClosedBeforeAnswer | SendErrorKind::FirstByteTimeout => {
            Tried::Again(Failure::Refusal(refusal))
        }
        SendErrorKind::MalformedAnswer(_) | SendErrorKind::InvalidRequest => {
            Tried::Failed(Failure::Refusal(refusal))
        }
    }
}

/// What an upstream's error is told as. `message` is its own text, already redacted.
pub fn refusal_for(status: StatusCode, headers: &HeaderMap, message: Option<String>) -> Refusal {
    let retry_after = retry_after::read(headers, clock::wall());
    match status.as_u16() {
        400 | 404 | 409 | 422 | 429 => Refusal::UpstreamRefused {
            status: status.as_u16(),
            message: message
                .unwrap_or_else(|| format!("the upstream refused the request with {}", status.as_u16())),
            retry_after,
        },
        504 => Refusal::UpstreamTimeout,
        401 | 403 => Refusal::CredentialRefused,
        _ => Refusal::UpstreamError { message: "the upstream failed" },
    }
}
