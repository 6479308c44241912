//! THE JOURNEY: what happens to a request, a line a stage, in this order and no other.
//!
//! identify -> admit -> understand -> authorize -> reserve -> forward -> inspect -> settle -> record
//!
//! A stage takes what an earlier one made (`Identity`, `Asked`, `Permit`, `Exchange`), so that none can be
//! left out. Whatever way a request takes, it ends in one line of its tenant's log: `Visit` sees to that.

mod answer;
mod apart;
mod ask;
mod body;
mod cache;
mod form;
mod gathered;
mod identify;
mod mcp;
mod models;
mod pace;
mod person;
mod posted;
mod reserve;
mod resource;
mod rest;
mod route;
mod sent;
mod standing;
mod stored;
mod tools;
mod usage;
mod visit;
mod whole;

pub use answer::{Body, StreamBody};
pub use cache::Cache;
pub use mcp::{ClientSession, Listeners};
pub use person::{Detail, shown};
pub use posted::{decision, record, share_approvals};
pub use rest::Rest;
pub use route::{Act, Route};
pub use standing::MetricsFormat;
pub use tools::Stores;
pub use visit::Visit;

use crate::{
    approvals::Approvals,
    clock,
    denials::{self, Denials},
    dialect::Api,
    exchange::Exchange,
    fleet::Fleet,
    ledger::Ledger,
    mcp::session::Sessions,
    records::Records,
    refusal::Refusal,
    room::Room,
    server::Malformed,
    snapshot::Snapshot,
    stored::{Noted, Shelf},
    telemetry::Telemetry,
    upstream::{Queues, mcp::Means},
};
use arc_swap::ArcSwap;
use http::{HeaderName, HeaderValue, Request, Response, request::Parts};
use hyper::body::Incoming;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// So many webhooks are on their way at once.
pub const WEBHOOKS_MAX: usize = 256;

/// What all requests share.
#[derive(Debug)]
pub struct Gateway {
    pub snapshot: ArcSwap<Snapshot>,
    pub records: Records,
    /// What providers keep for tenants.
    pub stored: Shelf,
    /// Vector stores: what is being written, and what collections are called.
    pub stores: Stores,
    /// What tenants used.
    pub ledger: Ledger,
    pub telemetry: Telemetry,
    /// The gateways that share the limits, where there are others.
    pub fleet: Option<Fleet>,
    /// What request bodies take.
    pub room: Arc<Room>,
    /// What whole answers of upstreams take, and where large bodies are read.
    pub means: Arc<Means>,
    /// Who waits for upstreams that take so many requests at a time.
    pub queues: Queues,
    /// Answers that are kept for tenants that want it.
    pub cache: Cache,
    /// Calls that were denied though their rules let them through.
    pub denials: Mutex<Denials>,
    /// Calls that wait for a person.
    pub approvals: Arc<Approvals>,
    /// Places for webhooks that are on their way.
    pub webhooks: Arc<Semaphore>,
    /// Sessions of MCP clients, over reloads.
    pub sessions: Mutex<Sessions<ClientSession>>,
    /// MCP clients that listen for what answers no request.
    pub listeners: Listeners,
    /// Cancelled when the gateway is told to end: who only listens is let go.
    pub draining: CancellationToken,
    /// Cancelled when the time to drain is over: streams end with an error event.
    pub closing: CancellationToken,
}

impl Gateway {
    /// Has requests decided by this configuration from now on.
    pub fn install(&self, snapshot: Snapshot) {
        self.queues.configure(&snapshot.queues);
        self.snapshot.store(Arc::new(snapshot));
        self.equip();
    }

    /// Lends what all share to what is configured.
    pub fn equip(&self) {
        let snapshot = self.snapshot.load();
        self.means.configure(snapshot.limits.answers);
        snapshot.equip(&self.means);
    }

    /// Lets go of what has been idle, or kept, for long enough.
    pub fn sweep(&self) {
        let snapshot = self.snapshot.load();
        snapshot.sweep();
        let ttl_of = |tenant: &str| snapshot.directory.find(tenant)?.tenant().cache;
        self.cache.sweep(ttl_of, clock::now());
        self.denials().sweep(clock::now());
    }

    fn denials(&self) -> MutexGuard<'_, Denials> {
        self.denials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Results of these calls of a tenant's are let in.
    fn trust<'c>(&self, tenant: &Arc<str>, calls: impl Iterator<Item = &'c denials::Call>) {
        let (mut denials, now) = (self.denials(), clock::now());
        // Others are not told: one of them may be about to say that the call was denied.
        self.note(tenant, None, calls.filter_map(|call| denials.trust(tenant, call, now)));
    }

    /// Remembers what became of calls that a limit or a person could deny, before anything of it leaves.
    fn remember(&self, exchange: &mut Exchange) {
        let fates = exchange.fates();
        if !fates.is_empty() {
            let tenant = exchange.asked().identity.tenant().id.shared();
            let (mut denials, now) = (self.denials(), clock::now());
            let news = fates.iter().flat_map(|(call, fate)| denials.remember(&tenant, call, *fate, now));
            self.note(&tenant, self.fleet.as_ref(), news);
        }
    }

    /// Writes down what is news of calls, and tells these others.
    fn note(
        &self,
        tenant: &Arc<str>,
        others: Option<&Fleet>,
        news: impl Iterator<Item = (denials::Mark, denials::Fate)>,
    ) {
        let time = clock::unix_seconds(clock::wall());
        news.for_each(|(mark, fate)| {
            if let Some(fleet) = others {
                fleet.keep(tenant, &denials::name(&mark), fate.as_str(), denials::KEPT_FOR.as_secs());
            }
            self.stored.note(Noted { tenant: Arc::clone(tenant), mark, fate, time });
        });
    }

    /// Whether what is used cannot be written down, and must be.
    fn ledger_fails(&self) -> bool {
        self.ledger.is_failing() && self.records.must_not_lose()
    }

    /// Answers one request. Where the gateway itself fails at it, its client is told so, and nobody else hears of it.
    pub async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let family = route::family(&head);
        // Pinned here: handed over by value, it would be held twice.
        let journey = std::pin::pin!(self.journey(head, body));
        let answered = caught(journey).await;
        answered.unwrap_or_else(|| {
            let id = visit::Arrival::now(family).request_id;
            answer::refused(&Refusal::Internal, family, &id, None)
        })
    }

    async fn journey(self: Arc<Self>, head: Parts, body: Incoming) -> Response<Body> {
        let (route, mut arrival) = (Route::of(&head), visit::Arrival::now(route::family(&head)));
        if let Some(Malformed { status, message }) = head.extensions.get() {
            self.telemetry.unidentified();
            let refusal = Refusal::Malformed { status: *status, message: message.clone() };
            return answer::refused(&refusal, arrival.family, &arrival.request_id, None);
        }
        let snapshot = self.snapshot.load_full();
        if let Some(told) = resource::metadata(&snapshot, &head) {
            body::discard(&head, body, snapshot.limits.body).await;
            return told.unwrap_or_else(|refusal| {
                answer::refused(&refusal, arrival.family, &arrival.request_id, None)
            });
        }
        let foreign = resource::foreign(&snapshot, &head, arrival.family);
        let now = clock::unix_seconds(arrival.time);
        let Ok(identity) = identify::identify(&snapshot, &head, now).await else {
            self.telemetry.unidentified();
            body::discard(&head, body, snapshot.limits.body).await;
            // That a path does not exist is no secret.
            let refusal = route.err().or(foreign).unwrap_or(Refusal::InvalidApiKey);
            let mut response = answer::refused(&refusal, arrival.family, &arrival.request_id, None);
            resource::challenge(&snapshot, &head, response.headers_mut());
            return response;
        };
        let dialect = route.as_ref().map_or("none", Route::dialect);
        arrival.trace = route::trace(&self.telemetry, &head, route.as_ref().ok(), &arrival);
        let (mut visit, limited) = Visit::admit(&self, &snapshot, identity, dialect, arrival);
        if let Some(refusal) = foreign {
            body::discard(&head, body, snapshot.limits.body).await;
            return visit.refuse(refusal);
        }
        let limited = reserve::limited(&mut visit, &route, limited).await;
        let answered = match route {
            Ok(Route::Mcp(server)) => return mcp::respond(visit, limited, server, head, body).await,
            _ if let Some(refusal) = limited => {
                body::discard(&head, body, snapshot.limits.body).await;
                Err(refusal)
            }
            Ok(Route::Models) => models::list(&mut visit).await,
            Ok(Route::Model(id)) => models::one(&mut visit, &id).await,
            Ok(Route::Stored { id, act }) => {
                body::discard(&head, body, snapshot.limits.body).await;
                stored::respond(&mut visit, id, act, &head).await
            }
            Ok(Route::Objects) => tools::objects::respond(&mut visit, &head, body).await,
            Ok(Route::Usage) => {
                body::discard(&head, body, snapshot.limits.body).await;
                usage::respond(&mut visit, head.uri.query()).await
            }
            Ok(Route::Tool(upstream)) => tools::respond(&mut visit, &upstream, &head, body).await,
            Ok(Route::Call(api)) => call(&mut visit, api, head, body).await,
            Err(refusal) => {
                body::discard(&head, body, snapshot.limits.body).await;
                Err(refusal)
            }
        };
        answered.unwrap_or_else(|refusal| visit.refuse(refusal))
    }
}

/// What a future comes to; `None` where it panicked.
async fn caught<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}

/// Says that an answer was kept from before.
const CACHE_HEADER: HeaderName = HeaderName::from_static("x-tollgate-cache");

/// A call to a model, from its body to its answer.
async fn call(visit: &mut Visit, api: Api, head: Parts, body: Incoming) -> Result<Response<Body>, Refusal> {
    let mut body = body;
    let accepted = visit.check_records().await;
    let mut held = visit.held()?;
    let body_max = visit.snapshot().limits.body;
    let read = match accepted {
        Ok(()) => body::read(&head, &mut body, body_max, Some(&mut held)).await,
        Err(refusal) => Err(refusal),
    };
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(refusal) => {
            body::discard(&head, body, body_max).await;
            return Err(refusal);
        }
    };
    let nesting_max = visit.snapshot().limits.nesting;
    let leave = apart::turn(visit, bytes.len()).await?;
    let named = leave.work(|| ask::named(api, &bytes, nesting_max))?;
    let recalled = stored::recall(visit, named).await?;
    let leave = apart::turn(visit, bytes.len()).await?;
    let mut ask = leave.work(|| ask::understand_and_authorize(visit, api, &bytes, &recalled))?;
    stored::check_brought(visit, std::mem::take(&mut ask.unknown)).await?;
    if let Some(tokens) = ask.counted_here() {
        return answer::own(visit, format!(r#"{{"input_tokens":{tokens}}}"#).into_bytes());
    }
    reserve::reserve(visit, api, ask.amount).await?;
    let received = ask.forward(visit, &head.headers).await?;
    let (terms, translation) = ask.answered_by(received.upstream.speaks);
    let cached = visit.asked()?.cached;
    let mut response = answer::inspect(visit, terms, translation, received).await?;
    if cached {
        response.headers_mut().insert(CACHE_HEADER, HeaderValue::from_static("hit"));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever it has done before, and whether it waited; what it holds is given back.
    #[tokio::test]
    async fn a_panic_is_told_and_takes_nothing_with_it() {
        let held = Arc::new(());
        for waits in [false, true] {
            let mine = Arc::clone(&held);
            let mut failing = Box::pin(async move {
                if waits {
                    tokio::task::yield_now().await;
                }
                assert_eq!(Arc::strong_count(&mine), 1, "within a test");
            });
            assert_eq!((caught(failing.as_mut()).await, Arc::strong_count(&held)), (None, 1));
        }
        assert_eq!(caught(Box::pin(async { 7 }).as_mut()).await, Some(7));
    }
}
