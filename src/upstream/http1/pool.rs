//! Connections at rest, last in first out. Apart because its lock must be held for a push or a pop and nothing more:
//! connections are looked at and dropped outside it.
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::wire::Wire;
use crate::descriptors;

const IDLE_MAX: usize = 512;
const IDLE_AGE_MAX: Duration = Duration::from_secs(60);
/// A connection that rested for less was used just now. Servers close those that rest after two seconds and more: gunicorn
/// after 2, Node.js, uvicorn and Apache after 5.
const WARM: Duration = Duration::from_secs(1);
/// A connection that is older is not used again: its origin's name may lead elsewhere by now.
const AGE_MAX: Duration = Duration::from_secs(300);

#[derive(Debug)]
struct Idle {
    wire: Wire,
    since: Instant,
    _counted: Counted,
}

/// The idle connections of one origin, oldest in front.
#[derive(Debug, Default)]
pub(super) struct Pool {
    idle: Mutex<VecDeque<Idle>>,
}

/// Every pool: all of them share the files that there are.
static POOLS: Mutex<Vec<Weak<Pool>>> = Mutex::new(Vec::new());
/// Connections at rest in all of them.
static RESTING: AtomicUsize = AtomicUsize::new(0);

/// One that rests.
#[derive(Debug)]
struct Counted;

impl Counted {
    fn one() -> Self {
        RESTING.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        RESTING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// So many may rest in all pools together: what they keep nobody else can open.
fn resting_max() -> usize {
    static MAX: OnceLock<usize> = OnceLock::new();
    *MAX.get_or_init(|| descriptors::allowed().map_or(usize::MAX, |files| (files / 8).max(4)))
}

/// Closes every connection that rests: whoever needs one that the system does not give can have it then. Whether there
/// was any.
pub(super) fn close_all() -> bool {
    all().iter().filter(|pool| pool.close()).count() > 0
}

/// Closes some of those that have rested the longest: so many that all pools are not looked through for every answer.
fn close_oldest() {
    let some = (resting_max() / 16).max(1);
    let mut oldest = Vec::new();
    for pool in all() {
        let since: Vec<Instant> = pool.lock().iter().take(some).map(|idle| idle.since).collect();
        oldest.extend(since.into_iter().map(|since| (since, Arc::clone(&pool))));
    }
    oldest.sort_unstable_by_key(|(since, _)| *since);
    for (_, pool) in oldest.into_iter().take(some) {
        let closed = pool.lock().pop_front();
        drop(closed);
    }
}

fn all() -> Vec<Arc<Pool>> {
    POOLS.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade).collect()
}

impl Pool {
    /// An empty one, among all the others.
    pub(super) fn new() -> Arc<Self> {
        let pool = Arc::default();
        let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
        if pools.len() == pools.capacity() {
            pools.retain(|pool| pool.strong_count() > 0);
        }
        pools.push(Arc::downgrade(&pool));
        pool
    }

    /// The connection that rested last, if it is neither old, closed nor holding bytes that nobody asked for.
    pub(super) fn take(&self, now: Instant) -> Option<Wire> {
        self.take_of(now, IDLE_AGE_MAX)
    }

    /// The same, if it was used just now.
    pub(super) fn take_warm(&self, now: Instant) -> Option<Wire> {
        self.take_of(now, WARM)
    }

    fn take_of(&self, now: Instant, rested_max: Duration) -> Option<Wire> {
        loop {
            let idle = self.lock().pop_back_if(|idle| now.saturating_duration_since(idle.since) < rested_max);
            let Some(idle) = idle else {
                // Those below it rested for even longer.
                self.sweep(now);
                return None;
            };
            if idle.wire.is_quiet() {
                return Some(idle.wire);
            }
        }
    }

    /// Puts a connection to rest, unless something is to be read from it.
    pub(super) fn put(&self, mut wire: Wire, now: Instant) {
        if wire.age(now) >= AGE_MAX || !wire.is_drained() {
            return;
        }
        let evicted = {
            let mut idle = self.lock();
            let evicted = if idle.len() >= IDLE_MAX { idle.pop_front() } else { None };
            idle.push_back(Idle { wire, since: now, _counted: Counted::one() });
            evicted
        };
        drop(evicted);
        if RESTING.load(Ordering::Relaxed) > resting_max() {
            close_oldest();
        }
        self.sweep(now);
    }

    /// Closes all that rest in it. Whether there were any.
    pub(super) fn close(&self) -> bool {
        let closed = std::mem::take(&mut *self.lock());
        !closed.is_empty()
    }

    /// Drops the connections that rested for too long.
    pub(super) fn sweep(&self, now: Instant) {
        while let Some(old) = self.pop_old(now) {
            drop(old);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn pop_old(&self, now: Instant) -> Option<Idle> {
        let mut idle = self.lock();
        let is_old = idle.front().is_some_and(|i| now.saturating_duration_since(i.since) >= IDLE_AGE_MAX);
        if is_old { idle.pop_front() } else { None }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
