//! What of a rate is used, and what is held. What is used comes back with time; what is held does not, until it is
//! settled. Pure: the time is an argument.

use super::{Left, Rate};
use std::time::{Duration, Instant};

/// What is used is kept in this part of a unit, so that the slowest rate comes back without loss.
const PART: u128 = 1_000_000_000_000;
/// Longer than this nothing needs to come back.
const ELAPSED_MAX_NS: u128 = 10_000_000_000_000_000;
/// While only calls in flight are in the way, nobody knows how long they take.
const HELD_WAIT: Duration = Duration::from_secs(1);

/// How much of a rate is used and held. It knows no rate of its own, so that a reload may change it.
#[derive(Debug, Default)]
pub(super) struct Level {
    used: u128,
    held: u64,
    at: Option<Instant>,
    /// What of a part has come back.
    rest: u128,
}

impl Level {
    /// Whether one unit is left; else how long it takes until there is.
    pub(super) fn room(&mut self, rate: &Rate, now: Instant) -> Result<(), Duration> {
        self.come_back(rate, now);
        let wanted = self.taken().saturating_add(PART);
        let excess = wanted.saturating_sub(u128::from(rate.burst.get()) * PART);
        if excess == 0 {
            return Ok(());
        }
        let wait = time(excess.min(self.used), rate);
        Err(if excess > self.used { wait.max(HELD_WAIT) } else { wait })
    }

    /// Holds so many: they count as used until they are released.
    pub(super) fn hold(&mut self, count: u64) {
        self.held = self.held.saturating_add(count);
    }

    /// Releases what was held.
    pub(super) fn release(&mut self, count: u64) {
        self.held = self.held.saturating_sub(count);
    }

    /// Uses so many, whether they are left or not: what is beyond the rate is a debt.
    pub(super) fn spend(&mut self, count: u64, rate: &Rate, now: Instant) {
        self.come_back(rate, now);
        self.used = self.used.saturating_add(u128::from(count).saturating_mul(PART));
    }

    /// Takes over that what is used comes back in so long from a moment on.
    pub(super) fn learn(&mut self, reset: Duration, rate: &Rate, when: Instant) {
        let parts = reset.as_nanos().saturating_mul(u128::from(rate.count.get())).saturating_mul(PART);
        self.used = (parts / rate.per.as_nanos().max(1)).saturating_sub(u128::from(self.held) * PART);
        (self.rest, self.at) = (0, Some(when));
    }

    /// Takes back what was used just now, for nothing.
    pub(super) fn unspend(&mut self, count: u64) {
        self.used = self.used.saturating_sub(u128::from(count).saturating_mul(PART));
    }

    /// What is left of the burst, in whole units.
    pub(super) fn left(&mut self, rate: &Rate, now: Instant) -> Left {
        self.come_back(rate, now);
        let burst = u128::from(rate.burst.get()) * PART;
        let remaining = burst.saturating_sub(self.taken()) / PART;
        Left {
            limit: rate.count.get(),
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            reset: time(self.taken(), rate),
        }
    }

    /// What is held now.
    #[cfg(test)]
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    fn taken(&self) -> u128 {
        self.used.saturating_add(u128::from(self.held) * PART)
    }

    fn come_back(&mut self, rate: &Rate, now: Instant) {
        let at = *self.at.get_or_insert(now);
        let elapsed = now.saturating_duration_since(at).as_nanos().min(ELAPSED_MAX_NS);
        let per = rate.per.as_nanos().max(1);
        let back = elapsed.saturating_mul(u128::from(rate.count.get())).saturating_mul(PART);
        let back = back.saturating_add(self.rest.min(per));
        self.used = self.used.saturating_sub(back / per);
        self.rest = back % per;
        self.at = Some(now.max(at));
    }
}

/// How long so many parts take to come back, rounded up.
fn time(parts: u128, rate: &Rate) -> Duration {
    let nanos =
        parts.saturating_mul(rate.per.as_nanos()).div_ceil(u128::from(rate.count.get()).saturating_mul(PART));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
