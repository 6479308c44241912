//! Places at upstreams that take so many requests at a time: a request waits here until it has one, and gives it back
//! when its answer has ended. Who is next says `quota::fair`. An upstream's queue is found by its name: it is one for all
//! its addresses and accounts, and outlives reloads.

use crate::{
    clock,
    quota::fair::{Claim, FairQueue, Queued, Scheduler, Ticket},
    refusal::Refusal,
};
use arc_swap::ArcSwap;
use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Whoever is sent away is told to come again no sooner.
const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);

const SHUTTING_DOWN: Refusal = Refusal::UpstreamError { message: "the gateway is shutting down; try again" };

/// The queues of all upstreams that have one.
#[derive(Debug, Default)]
pub struct Queues {
    /// By the upstream's name. One that takes any number by now stays, for those that still have a place.
    gates: ArcSwap<HashMap<Arc<str>, Arc<Gate>>>,
}

/// How full an upstream is.
#[derive(Debug)]
pub struct Standing {
    pub upstream: Arc<str>,
    pub in_flight: u32,
    /// Requests that wait, by tenant.
    pub waiting: Vec<(Arc<str>, usize)>,
}

/// The places at one upstream.
#[derive(Debug)]
struct Gate {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    scheduler: Scheduler<oneshot::Sender<Place>>,
    queue: Option<FairQueue>,
    /// How long those waited that got a place lately.
    lately: Duration,
}

/// A place at an upstream. Dropping it hands it on.
#[derive(Debug)]
#[must_use]
pub struct Place {
    gate: Option<Arc<Gate>>,
}

/// How far a request has come on its way to an upstream.
#[derive(Debug, Default)]
pub struct Progress {
    /// How long it waited in queues; `None` where it came by none.
    queued: Option<Duration>,
    /// Since when it waits.
    since: Option<Instant>,
    is_sent: bool,
}

/// How a request gets its turn at upstreams.
#[derive(Debug)]
pub struct Turn<'t> {
    pub queues: &'t Queues,
    pub claim: Claim,
    /// Whoever still waits when this is cancelled is sent away.
    pub closing: &'t CancellationToken,
    pub progress: &'t mut Progress,
}

impl Queues {
    /// Gives every upstream the queue that it is configured with. Nobody who waits or has a place is touched.
    pub fn configure(&self, queues: &HashMap<Arc<str>, FairQueue>) {
        let mut gates = HashMap::clone(&self.gates.load());
        for (upstream, queue) in queues {
            gates.entry(Arc::clone(upstream)).or_insert_with(|| Gate::new(*queue));
        }
        for (upstream, gate) in &gates {
            gate.configure(queues.get(upstream).copied());
        }
        self.gates.store(Arc::new(gates));
    }

    /// How full the upstreams are that take so many at a time.
    pub fn standings(&self) -> Vec<Standing> {
        let gates = self.gates.load();
        let standing = |(upstream, gate): (&Arc<str>, &Arc<Gate>)| {
            let state = gate.lock();
            state.queue?;
            let waiting = state.scheduler.waiting().map(|(tenant, count)| (Arc::clone(tenant), count));
            let (in_flight, waiting) = (state.scheduler.in_flight(), waiting.collect());
            Some(Standing { upstream: Arc::clone(upstream), in_flight, waiting })
        };
        gates.iter().filter_map(standing).collect()
    }

    fn of(&self, upstream: &str) -> Option<Arc<Gate>> {
        let gates = self.gates.load();
        if gates.is_empty() { None } else { gates.get(upstream).cloned() }
    }
}

impl Turn<'_> {
    /// Waits for a place at an upstream; `None` where it takes any number.
    ///
    /// # Errors
    /// The tenant's own queue is full, the wait was too long, or the gateway shuts down.
    pub async fn at(&mut self, upstream: &str) -> Result<Option<Place>, Refusal> {
        match self.queues.of(upstream) {
            Some(gate) => gate.enter(self).await,
            None => Ok(None),
        }
    }

    /// The request is on its way to an upstream now.
    pub fn sent(&mut self) {
        self.progress.is_sent = true;
    }
}

impl Progress {
    /// How long the request waited in queues, if it came by one.
    pub fn queued(&self, now: Instant) -> Option<Duration> {
        let waits = self.since.map(|since| now.saturating_duration_since(since));
        match (self.queued, waits) {
            (Some(queued), Some(waits)) => Some(queued.saturating_add(waits)),
            (queued, waits) => queued.or(waits),
        }
    }

    /// Whether anything was sent to an upstream.
    pub fn is_sent(&self) -> bool {
        self.is_sent
    }

    fn begin(&mut self) {
        self.since = Some(clock::now());
    }

    /// Says how long this wait took.
    fn end(&mut self) -> Duration {
        let now = clock::now();
        let waited = self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.queued = self.queued(now);
        self.since = None;
        waited
    }
}

impl Gate {
    fn new(queue: FairQueue) -> Arc<Self> {
        let scheduler = Scheduler::new(Some(&queue));
        Arc::new(Self { state: Mutex::new(State { scheduler, queue: Some(queue), lately: Duration::ZERO }) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn configure(self: &Arc<Self>, queue: Option<FairQueue>) {
        let granted = {
            let mut state = self.lock();
            state.queue = queue;
            state.scheduler.configure(queue.as_ref())
        };
        granted.into_iter().for_each(|next| self.grant(next));
    }

    async fn enter(self: &Arc<Self>, turn: &mut Turn<'_>) -> Result<Option<Place>, Refusal> {
        let (mut waiting, wait) = {
            let mut state = self.lock();
            let Some(queue) = state.queue else { return Ok(None) };
            if state.scheduler.try_take() {
                turn.progress.queued.get_or_insert(Duration::ZERO);
                return Ok(Some(Place { gate: Some(Arc::clone(self)) }));
            }
            let (sender, receiver) = oneshot::channel();
            match state.scheduler.wait(&turn.claim, sender) {
                Queued::Full(_) => {
                    turn.progress.queued.get_or_insert(Duration::ZERO);
                    return Err(state.overloaded());
                }
                // Whoever had to leave learns it by its end of the channel.
                Queued::Waits { ticket, displaced: _ } => {
                    (Waiting { gate: Arc::clone(self), ticket, receiver }, queue.wait)
                }
            }
        };
        turn.progress.begin();
        let granted = tokio::select! {
            biased;
            granted = &mut waiting.receiver => granted.ok(),
            () = tokio::time::sleep(wait) => waiting.give_up(),
            () = turn.closing.cancelled() => {
                turn.progress.end();
                return Err(SHUTTING_DOWN);
            }
        };
        let waited = turn.progress.end();
        let mut state = self.lock();
        if granted.is_none() {
            return Err(state.overloaded());
        }
        state.lately = (state.lately * 7 + waited) / 8;
        Ok(granted)
    }

    /// Hands a place on.
    fn release(self: &Arc<Self>) {
        let next = self.lock().scheduler.release();
        if let Some(next) = next {
            self.grant(next);
        }
    }

    /// Hands a place to whoever is next. One that is not there any more passes it on.
    fn grant(self: &Arc<Self>, next: oneshot::Sender<Place>) {
        let mut next = Some(next);
        while let Some(sender) = next {
            let Err(mut place) = sender.send(Place { gate: Some(Arc::clone(self)) }) else { return };
            drop(mem::take(&mut place.gate));
            next = self.lock().scheduler.release();
        }
    }
}

impl State {
    fn overloaded(&self) -> Refusal {
        let most = self.queue.map_or(RETRY_AFTER_MIN, |queue| queue.wait.max(RETRY_AFTER_MIN));
        Refusal::Overloaded { retry_after: self.lately.clamp(RETRY_AFTER_MIN, most) }
    }
}

/// A request that waits. Dropped, it waits no longer.
struct Waiting {
    gate: Arc<Gate>,
    ticket: Ticket,
    receiver: oneshot::Receiver<Place>,
}

impl Waiting {
    /// Waits no longer; a place that just came is taken.
    fn give_up(&mut self) -> Option<Place> {
        drop(self.gate.lock().scheduler.leave(&self.ticket));
        self.receiver.try_recv().ok()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.gate.lock().scheduler.leave(&self.ticket));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(gate) = &self.gate {
            gate.release();
        }
    }
}
