//! How often single rules let calls through: a limiter a rule that has a `limit`, made when it is first asked.

use super::{Rate, Requests, fleet::Shared, level::Level};
use dashmap::DashMap;
use governor::clock::Clock;
use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// A rule's `limit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallLimit {
    pub rate: Rate,
    /// What the rule says beside its limit, and which it is of those that say the same: it is the same after a reload.
    pub rule: Arc<str>,
    /// The names that it is for.
    pub names: Arc<[Box<str>]>,
}

impl CallLimit {
    /// Whether this could be the other as somebody wrote it anew: they are for a name in common.
    fn is_kin_of(&self, other: &Self) -> bool {
        self.names.iter().any(|name| other.names.contains(name))
    }
}

/// The limiters of a tenant's rules. They live as long as the tenant does, over reloads.
pub(super) struct Calls<C: Clock> {
    /// By what their rules say.
    rules: DashMap<Arc<str>, Arc<Requests<C>>>,
    /// The same where other gateways count them too.
    shared: DashMap<Arc<str>, Level>,
    /// The limits that the tenant's rules have now.
    expected: Mutex<Vec<CallLimit>>,
}

impl<C: Clock> Default for Calls<C> {
    fn default() -> Self {
        // Few rules have limits; the usual number of shards, four a processor, would weigh more than all else of a tenant.
        Self {
            rules: DashMap::with_shard_amount(2),
            shared: DashMap::with_shard_amount(2),
            expected: Mutex::default(),
        }
    }
}

impl<C: Clock + Clone> Calls<C> {
    /// These are the limits of the tenant's rules from now on. A rule that is written anew goes on with what was used of
    /// the one before it.
    pub(super) fn expect(&self, limits: &[CallLimit]) {
        let mut expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        let is_in = |list: &[CallLimit], limit: &CallLimit| list.iter().any(|known| known.rule == limit.rule);
        let mut gone: Vec<&CallLimit> = expected.iter().filter(|known| !is_in(limits, known)).collect();
        for new in limits.iter().filter(|new| !is_in(&expected, new)) {
            let Some(at) = gone.iter().position(|known| new.is_kin_of(known)) else { continue };
            let before = gone.remove(at);
            // Both go on by one count: the configuration may yet be refused.
            let used = self.rules.get(&before.rule).map(|used| Arc::clone(&used));
            if let Some(used) = used {
                self.rules.insert(Arc::clone(&new.rule), used);
            }
        }
        *expected = limits.to_vec();
    }

    /// Hears from now on what other gateways let through by these limits.
    pub(super) fn hear_of(&self, shared: &Shared) {
        shared.hear_of(&self.expected.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Takes so many calls of a rule's that other gateways count too. What is beyond the limit is a debt.
    pub(super) fn take_shared(
        &self,
        limit: &CallLimit,
        count: NonZeroU32,
        shared: &Shared,
    ) -> Result<(), Duration> {
        let mut level = self.shared.entry(Arc::clone(&limit.rule)).or_default();
        shared.take_calls(&limit.rule, limit.rate, count, &mut level)
    }

    /// Takes so many calls of a rule's, or none; then how long it takes until they are there.
    pub(super) fn take(&self, limit: &CallLimit, count: NonZeroU32, clock: &C) -> Result<(), Duration> {
        let known = self.rules.get(&limit.rule).map(|known| Arc::clone(&known));
        let limiter = known.filter(|known| known.rate == limit.rate).unwrap_or_else(|| {
            let mut place = self
                .rules
                .entry(Arc::clone(&limit.rule))
                .or_insert_with(|| Arc::new(Requests::new(limit.rate, clock)));
            if place.rate != limit.rate {
                *place = Arc::new(Requests::new(limit.rate, clock).after(&place));
            }
            Arc::clone(&place)
        });
        limiter.take_all(count)
    }
}
