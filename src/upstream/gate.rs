//! Places at upstreams that take so many requests at a time: a request waits here until it has one, and gives it back
//! when its answer has ended. Who is next says `quota::fair`. An upstream's queue is found by its name: it is one for all
//! its addresses and accounts, and outlives reloads.

use crate::{
    clock,
    quota::fair::{Claim, FairQueue, Queued, Scheduler, Ticket},
    refusal::{Crowded, Refusal},
    trace::Outbound,
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
    /// What goes along with each try, where traces are exported.
    trace: Option<Outbound>,
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
    /// Queues that are all empty.
    pub fn of(settings: &HashMap<Arc<str>, FairQueue>) -> Self {
        let queues = Self::default();
        queues.configure(settings);
        queues
    }

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

    fn before(&self, upstream: &str) -> Option<Arc<Gate>> {
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
        self.within(upstream, None).await
    }

    /// The same, for so long instead of as long as the queue has it.
    pub(super) async fn within(
        &mut self,
        upstream: &str,
        patience: Option<Duration>,
    ) -> Result<Option<Place>, Refusal> {
        match self.queues.before(upstream) {
            Some(gate) => gate.enter(upstream, self, patience).await,
            None => Ok(None),
        }
    }

    /// Whose request it is.
    pub fn tenant(&self) -> &Arc<str> {
        &self.claim.tenant
    }

    /// What goes along with a try.
    pub fn trace(&self) -> Option<&Outbound> {
        self.progress.trace.as_ref()
    }

    /// The request is on its way to an upstream now.
    pub fn sent(&mut self) {
        self.progress.is_sent = true;
    }
}

impl Progress {
    /// Progress whose tries are noted.
    pub fn traced(trace: Option<Outbound>) -> Self {
        Self { trace, ..Self::default() }
    }

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
    pub(super) fn end(&mut self) -> Duration {
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

    async fn enter(
        self: &Arc<Self>,
        upstream: &str,
        turn: &mut Turn<'_>,
        patience: Option<Duration>,
    ) -> Result<Option<Place>, Refusal> {
        let (mut waiting, wait) = {
            let mut state = self.lock();
            let Some(queue) = state.queue else { return Ok(None) };
            if state.scheduler.try_take(&turn.claim) {
                turn.progress.queued.get_or_insert(Duration::ZERO);
                return Ok(Some(Place { gate: Some(Arc::clone(self)) }));
            }
            let (sender, receiver) = oneshot::channel();
            match state.scheduler.wait(&turn.claim, sender) {
                Queued::Full(_) => {
                    turn.progress.queued.get_or_insert(Duration::ZERO);
                    let waiting = queue.per_tenant.max(1);
                    return Err(state.overloaded(Crowded::Full { upstream: upstream.into(), waiting }));
                }
                // Whoever had to leave learns it by its end of the channel.
                Queued::Waits { ticket, displaced: _ } => {
                    (Waiting { gate: Arc::clone(self), ticket, receiver }, patience.unwrap_or(queue.wait))
                }
            }
        };
        turn.progress.begin();
        let granted = tokio::select! {
            biased;
            granted = &mut waiting.receiver => granted.map_err(|_| Sent::Away),
            () = tokio::time::sleep(wait) => waiting.give_up().ok_or(Sent::Late),
            () = turn.closing.cancelled() => {
                turn.progress.end();
                return Err(SHUTTING_DOWN);
            }
        };
        let waited = turn.progress.end();
        let (mut state, upstream) = (self.lock(), upstream.into());
        let places = state.queue.map_or(0, |queue| queue.max_in_flight);
        let place = granted.map_err(|sent| {
            state.overloaded(match sent {
                Sent::Away => Crowded::Displaced { upstream },
                Sent::Late => Crowded::Waited { upstream, waited: wait, places },
            })
        })?;
        state.lately = (state.lately * 7 + waited) / 8;
        Ok(Some(place))
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
    fn overloaded(&self, why: Crowded) -> Refusal {
        let most = self.queue.map_or(RETRY_AFTER_MIN, |queue| queue.wait.max(RETRY_AFTER_MIN));
        Refusal::Overloaded { why, retry_after: self.lately.clamp(RETRY_AFTER_MIN, most) }
    }
}

/// Why a request waits no longer and has no place.
#[derive(Debug, Clone, Copy)]
enum Sent {
    /// Another of its tenant's stands where it stood.
    Away,
    /// It waited as long as it may.
    Late,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::fair::Priority;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn queues(max_in_flight: u32, per_tenant: usize, wait: u64) -> Queues {
        let (queues, queue) =
            (Queues::default(), FairQueue { max_in_flight, per_tenant, wait: Duration::from_millis(wait) });
        queues.configure(&HashMap::from([("u".into(), queue)]));
        queues
    }

    async fn at(queues: &Queues, tenant: &str) -> Result<Option<Place>, Refusal> {
        let claim = Claim::new(tenant.into(), 1, Priority::Interactive, 100);
        let (closing, progress) = (&CancellationToken::new(), &mut Progress::default());
        Turn { queues, claim, closing, progress }.at("u").await
    }

    fn standing(queues: &Queues) -> (u32, usize) {
        let standing = queues.standings().remove(0);
        (standing.in_flight, standing.waiting.iter().map(|(_, count)| count).sum())
    }

    #[tokio::test]
    async fn a_place_that_was_granted_to_who_left_goes_to_the_next() {
        let queues = queues(1, 10, 10_000);
        let first = at(&queues, "a").await.unwrap();
        let mut left = by_hand(at(&queues, "b"));
        let mut next = by_hand(at(&queues, "c"));
        assert!(left.poll().is_none() && next.poll().is_none());
        assert_eq!(standing(&queues), (1, 2));
        drop(first);
        // Granted, and dropped before it could see it.
        assert_eq!(standing(&queues), (1, 1));
        drop(left);
        assert_eq!(standing(&queues), (1, 0));
        let place = next.poll().unwrap().unwrap();
        assert!(place.is_some());
        drop(place);
        assert_eq!(standing(&queues), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_and_leaves_no_trace() {
        let queues = queues(1, 1, 30);
        let first = at(&queues, "a").await.unwrap();
        let Err(refusal @ Refusal::Overloaded { retry_after, .. }) = at(&queues, "a").await else {
            panic!("let in")
        };
        assert_eq!((retry_after, standing(&queues)), (RETRY_AFTER_MIN, (1, 0)));
        let told = "this request waited 0.03s for a place at the upstream `u`, which takes 1 at a time, and none came free";
        assert!(refusal.message().starts_with(told), "{}", refusal.message());
        drop(first);
        assert!(at(&queues, "a").await.unwrap().is_some());
        assert_eq!(standing(&queues), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_a_patience_of_its_own_waits_as_long_as_that() {
        let queues = queues(1, 10, 30_000);
        let _held = at(&queues, "a").await.unwrap();
        for (patience, expected) in [(Some(60), 60), (Some(5), 5), (None, 30)] {
            let claim = Claim::new("b".into(), 1, Priority::Interactive, 100);
            let (closing, progress) = (&CancellationToken::new(), &mut Progress::default());
            let began = tokio::time::Instant::now();
            let mut turn = Turn { queues: &queues, claim, closing, progress };
            assert!(turn.within("u", patience.map(Duration::from_secs)).await.is_err());
            assert_eq!(began.elapsed(), Duration::from_secs(expected));
        }
    }

    #[tokio::test]
    async fn an_upstream_without_a_number_takes_all_and_gives_nobody_a_place() {
        let queues = queues(1, 1, 30);
        let place = at(&queues, "a").await.unwrap();
        queues.configure(&HashMap::new());
        assert!(at(&queues, "a").await.unwrap().is_none());
        assert!(queues.standings().is_empty());
        drop(place);
    }

    /// Many tasks, of which many leave while they wait: never more than may, and in the end nobody.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn places_are_not_lost_between_threads() {
        let (queues, now) = (Arc::new(queues(3, 1000, 10_000)), Arc::new(AtomicU32::new(0)));
        let tasks: Vec<_> = (0..400_u64)
            .map(|task| {
                let (queues, now) = (Arc::clone(&queues), Arc::clone(&now));
                tokio::spawn(async move {
                    for round in 0..20_u64 {
                        let tenant = format!("t{}", task % 7);
                        let patience = Duration::from_micros((task * 37 + round * 101) % 3000);
                        if let Ok(place) = tokio::time::timeout(patience, at(&queues, &tenant)).await {
                            assert!(now.fetch_add(1, Ordering::SeqCst) < 3, "more than may");
                            tokio::time::sleep(Duration::from_micros(task % 50)).await;
                            now.fetch_sub(1, Ordering::SeqCst);
                            drop(place.unwrap());
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(standing(&queues), (0, 0));
    }

    /// A future that is polled by hand.
    struct ByHand<F: Future>(std::pin::Pin<Box<F>>);

    fn by_hand<F: Future>(future: F) -> ByHand<F> {
        ByHand(Box::pin(future))
    }

    impl<F: Future> ByHand<F> {
        fn poll(&mut self) -> Option<F::Output> {
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            match self.0.as_mut().poll(&mut cx) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            }
        }
    }
}
