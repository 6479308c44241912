//! Connections that wait for their clients to ask something. Where a listener has as many connections as it may, one of
//! these makes room for whoever comes: else a few hundred that say nothing would keep everybody out.

use crate::clock;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// A connection that has asked nothing yet has so long before it is the first to go: a client that means to ask does so at
/// once.
const FRESH: Duration = Duration::from_secs(1);

/// Those of one listener.
#[derive(Debug, Clone, Default)]
pub(super) struct Crowd(Arc<Mutex<Lines>>);

/// Who waits, the longest first.
#[derive(Debug, Default)]
struct Lines {
    next: u64,
    /// They have asked nothing yet, or nothing that is answered by more than a refusal.
    fresh: BTreeMap<u64, (Instant, Arc<Notify>)>,
    /// They were answered.
    served: BTreeMap<u64, Arc<Notify>>,
}

/// One connection. It waits, unless a request of it is under way.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Crowd,
    go: Arc<Notify>,
    standing: Mutex<Standing>,
}

#[derive(Debug)]
struct Standing {
    /// Requests under way.
    requests: usize,
    at: u64,
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Busy(Arc<Place>);

/// Stands among the extensions of a request: the connection that it came on.
#[derive(Debug, Clone)]
pub struct Caller(Arc<Place>);

/// Of a request under way nothing more is wanted but its end: its connection waits for its client, as one that asked nothing.
#[derive(Debug)]
#[must_use]
pub struct WaitedFor(Arc<Place>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Crowd {
    /// A connection that was just accepted.
    pub(super) fn place(&self) -> Arc<Place> {
        let go = Arc::new(Notify::new());
        let at = lock(&self.0).begin(&go);
        Arc::new(Place { crowd: self.clone(), go, standing: Mutex::new(Standing { requests: 0, at }) })
    }

    /// Lets one go. False where none waits.
    pub(super) fn make_room(&self, now: Instant) -> bool {
        let mut lines = lock(&self.0);
        let is_late = |(since, _): &(Instant, _)| now.saturating_duration_since(*since) >= FRESH;
        let late = lines.fresh.first_entry().filter(|first| is_late(first.get()));
        let go = match late.map(|first| first.remove().1) {
            Some(go) => Some(go),
            None => lines.served.pop_first().map(|(_, go)| go).or_else(|| Some(lines.fresh.pop_first()?.1.1)),
        };
        go.inspect(|go| go.notify_one()).is_some()
    }
}

impl Lines {
    /// Places one at the end of those that asked nothing.
    fn begin(&mut self, go: &Arc<Notify>) -> u64 {
        let at = self.number();
        self.fresh.insert(at, (clock::now(), Arc::clone(go)));
        at
    }

    /// Places one at the end of those that were answered.
    fn idle(&mut self, go: &Arc<Notify>) -> u64 {
        let at = self.number();
        self.served.insert(at, Arc::clone(go));
        at
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl Place {
    /// A request is under way for as long as this is held.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.one_more();
        Busy(Arc::clone(self))
    }

    fn one_more(&self) {
        let mut standing = lock(&self.standing);
        standing.requests += 1;
        if standing.requests == 1 {
            self.leave(standing.at);
        }
    }

    fn one_less(&self, to: fn(&mut Lines, &Arc<Notify>) -> u64) {
        let mut standing = lock(&self.standing);
        let Some(left) = standing.requests.checked_sub(1) else { return };
        standing.requests = left;
        if left == 0 {
            standing.at = to(&mut lock(&self.crowd.0), &self.go);
        }
    }

    /// For the extensions of a request that came on it.
    pub(super) fn caller(self: &Arc<Self>) -> Caller {
        Caller(Arc::clone(self))
    }

    /// Whether a request is under way.
    pub(super) fn is_busy(&self) -> bool {
        lock(&self.standing).requests > 0
    }

    /// Waits until the connection is to make room.
    pub(super) async fn let_go(&self) {
        self.go.notified().await;
    }

    /// The same; one that was told so just when a request came stays.
    pub(super) async fn let_go_idle(&self) {
        loop {
            self.let_go().await;
            if !self.is_busy() {
                return;
            }
        }
    }

    fn leave(&self, at: u64) {
        let mut lines = lock(&self.crowd.0);
        if lines.fresh.remove(&at).is_none() {
            lines.served.remove(&at);
        }
    }
}

impl Caller {
    /// As long as this is held, the connection may be told to make room, and goes with what is under way on it. One at a
    /// time for each request.
    pub fn is_waited_for(&self) -> WaitedFor {
        self.0.one_less(Lines::begin);
        WaitedFor(Arc::clone(&self.0))
    }
}

impl Drop for WaitedFor {
    fn drop(&mut self) {
        self.0.one_more();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.one_less(Lines::idle);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let at = lock(&self.standing).at;
        self.leave(at);
    }
}

/// The body of an answer: its request is under way until it is gone.
#[derive(Debug)]
pub(super) struct Answering<B> {
    body: B,
    _request: Busy,
}

impl<B> Answering<B> {
    pub(super) fn new(body: B, request: Busy) -> Self {
        Self { body, _request: request }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Answering<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{future::Future, pin::pin, task::Poll};

    fn is_told(place: &Place) -> bool {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        matches!(pin!(place.let_go()).poll(&mut cx), Poll::Ready(()))
    }

    /// What a test knows of a connection.
    struct Known {
        place: Arc<Place>,
        /// For whose clients it waits within a request.
        waited_for: Vec<WaitedFor>,
        requests: Vec<Busy>,
        was_served: bool,
        since: u64,
    }

    impl Known {
        fn waits(&self) -> bool {
            self.requests.len() == self.waited_for.len()
        }
    }

    proptest! {
        /// Whatever comes, asks, is answered and ends in whatever order: who is told to go has waited the longest, a late one
        /// that never asked before one that did, that before one that has just come; one whose request is under way never is.
        /// None is told while none waits, and nothing is kept of who is gone.
        #[test]
        fn the_longest_waiting_makes_room(steps in prop::collection::vec((0..7_u8, any::<prop::sample::Index>(), 0..900_u64), 0..200)) {
            let (crowd, start) = (Crowd::default(), clock::now());
            let (mut all, mut now, mut number): (Vec<Known>, _, _) = (Vec::new(), start, 0);
            for (step, which, pause) in steps {
                now += Duration::from_millis(pause);
                number += 1;
                let at = if all.is_empty() { 0 } else { which.index(all.len()) };
                match step {
                    0 => {
                        let place = crowd.place();
                        let since = lock(&place.standing).at;
                        lock(&crowd.0).fresh.get_mut(&since).unwrap().0 = now;
                        all.push(Known { place, requests: Vec::new(), waited_for: Vec::new(), was_served: false, since: number });
                    }
                    1 if !all.is_empty() => {
                        let busy = all[at].place.busy();
                        all[at].requests.push(busy);
                    }
                    2 if !all.is_empty() && !all[at].waits() => {
                        all[at].requests.pop();
                        if all[at].waits() {
                            (all[at].was_served, all[at].since) = (true, number);
                        }
                    }
                    5 if !all.is_empty() && !all[at].waits() => {
                        let caller = all[at].place.caller();
                        all[at].waited_for.push(caller.is_waited_for());
                        if all[at].waits() {
                            (all[at].was_served, all[at].since) = (false, number);
                            let since = lock(&all[at].place.standing).at;
                            lock(&crowd.0).fresh.get_mut(&since).unwrap().0 = now;
                        }
                    }
                    6 if !all.is_empty() => drop(all[at].waited_for.pop()),
                    3 if !all.is_empty() => drop(all.swap_remove(at)),
                    _ => {
                        let late = |one: &Known| {
                            let lines = lock(&crowd.0);
                            let since = lines.fresh.get(&lock(&one.place.standing).at).unwrap().0;
                            now.saturating_duration_since(since) >= FRESH
                        };
                        let waits = |one: &&Known| one.waits();
                        let rank = |one: &Known| match one.was_served {
                            false if late(one) => 0,
                            true => 1,
                            false => 2,
                        };
                        let expected = all.iter().filter(waits).map(|one| ((rank(one), one.since), &one.place)).min_by_key(|(key, _)| *key);
                        let expected = expected.map(|(_, place)| Arc::clone(place));
                        prop_assert_eq!(crowd.make_room(now), expected.is_some());
                        if let Some(expected) = expected {
                            prop_assert!(is_told(&expected) && !expected.is_busy());
                            all.retain(|one| !Arc::ptr_eq(&one.place, &expected));
                        }
                    }
                }
                prop_assert!(all.iter().all(|one| !is_told(&one.place)));
            }
            drop(all);
            let lines = lock(&crowd.0);
            prop_assert!(lines.fresh.is_empty() && lines.served.is_empty());
        }
    }
}
