//! Where traces begin: which requests are sampled, and the first id of each. Drawn anew for every request, so that no client
//! can choose: neither by a flag nor by the id of its trace.

use crate::trace::{Context, Trace};
use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    sync::atomic::{AtomicU64, Ordering},
    time::{Instant, SystemTime},
};

/// Begins traces. Its numbers are those of a keyed hash (SipHash) of a count: nobody who sees some can tell the next.
#[derive(Debug)]
pub(super) struct Tracer {
    keys: RandomState,
    count: AtomicU64,
    /// Of a hundred requests.
    percent: u8,
}

impl Tracer {
    pub(super) fn new(percent: u8) -> Self {
        Self { keys: RandomState::new(), count: AtomicU64::new(0), percent }
    }

    /// A number that was not there before, but never 0.
    pub(super) fn draw(&self) -> u64 {
        self.keys.hash_one(self.count.fetch_add(1, Ordering::Relaxed)).max(1)
    }

    /// A request's trace: the one that its client names, else one of its own, under the request's id.
    pub(super) fn begin(
        &self,
        named: Option<Context>,
        request_id: u128,
        path: (&'static str, &'static str),
        came: (SystemTime, Instant),
    ) -> Trace {
        let is_sampled = self.draw() % 100 < u64::from(self.percent);
        let trace = named.map_or_else(|| request_id.max(1), |named| named.trace);
        let context = Context { trace, span: self.draw(), is_sampled };
        Trace::new(context, named.map(|named| named.span), path, came)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn sampled(percent: u8, named: Option<Context>) -> usize {
        let tracer = Tracer::new(percent);
        let came = (clock::wall(), clock::now());
        (0..2000).filter(|id| tracer.begin(named, *id, ("GET", "/"), came).context.is_sampled).count()
    }

    #[test]
    fn what_is_sampled_is_nobody_s_choice() {
        for is_sampled in [false, true] {
            // The same trace each time, which a client once saw to be sampled.
            let named = Some(Context { trace: 5, span: 6, is_sampled });
            assert_eq!((sampled(0, named), sampled(100, named)), (0, 2000));
            let some = sampled(10, named);
            assert!((100..300).contains(&some), "{some} of 2000 at 10 %");
        }
    }

    #[test]
    fn a_request_is_found_by_its_id_unless_its_client_names_a_trace() {
        let tracer = Tracer::new(100);
        let came = (clock::wall(), clock::now());
        let own = tracer.begin(None, 77, ("GET", "/"), came);
        assert_eq!((own.context.trace, own.parent), (77, None));
        let named = Context { trace: 5, span: 6, is_sampled: false };
        let beneath = tracer.begin(Some(named), 77, ("GET", "/"), came);
        assert_eq!((beneath.context.trace, beneath.parent), (5, Some(6)));
        assert_ne!(beneath.context.span, own.context.span);
    }
}
