//! How many requests, or calls of a rule, a rate lets through.

use super::{Exceeded, Left, Rate};
use governor::{
    RateLimiter,
    clock::{Clock, Reference},
    middleware::StateInformationMiddleware,
    state::{InMemoryState, direct::NotKeyed},
};
use std::{
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub(super) struct Requests<C: Clock> {
    pub(super) rate: Rate,
    /// The time that one request takes to come back.
    period: Duration,
    limiter: RateLimiter<NotKeyed, InMemoryState, C, StateInformationMiddleware>,
    clock: C,
    /// When the last request was let in, and what was left after it.
    last: Mutex<Option<(C::Instant, u32)>>,
}

impl<C: Clock + Clone> Requests<C> {
    pub(super) fn new(rate: Rate, clock: &C) -> Self {
        let period = (rate.per / rate.count.get()).max(Duration::from_nanos(1));
        let quota = governor::Quota::with_period(period)
            .unwrap_or(governor::Quota::per_second(NonZeroU32::MIN))
            .allow_burst(rate.burst);
        let limiter = RateLimiter::direct_with_clock(quota, C::clone(clock))
            .with_middleware::<StateInformationMiddleware>();
        Self { rate, period, limiter, clock: C::clone(clock), last: Mutex::default() }
    }
}

impl<C: Clock> Requests<C> {
    /// Begins with what is used of another now. The other stays as it is: it may go on being asked.
    pub(super) fn after(self, before: &Self) -> Self {
        let used = before.used().min(self.rate.burst.get());
        if let Some(used) = NonZeroU32::new(used)
            && let Ok(Ok(left)) = self.limiter.check_n(used)
        {
            self.remember(left.remaining_burst_capacity());
        }
        self
    }

    /// What of the burst has not come back yet.
    fn used(&self) -> u32 {
        let last = self.last();
        let Some((when, remaining)) = *last else { return 0 };
        let since: Duration = self.clock.now().duration_since(when).into();
        let back = since.as_nanos() / self.period.as_nanos().max(1);
        let missing = self.rate.burst.get().saturating_sub(remaining);
        missing.saturating_sub(u32::try_from(back).unwrap_or(u32::MAX))
    }

    fn remember(&self, remaining: u32) {
        *self.last() = Some((self.clock.now(), remaining));
    }

    fn last(&self) -> MutexGuard<'_, Option<(C::Instant, u32)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take(&self) -> Result<Left, Exceeded> {
        match self.limiter.check() {
            Ok(snapshot) => {
                let remaining = snapshot.remaining_burst_capacity();
                self.remember(remaining);
                Ok(self.standing(remaining))
            }
            Err(until) => Err(Exceeded::Requests {
                retry_after: until.wait_time_from(self.clock.now()),
                standing: self.standing(0),
            }),
        }
    }

    /// Takes so many, or none; then how long it takes until they are there.
    pub(super) fn take_all(&self, count: NonZeroU32) -> Result<(), Duration> {
        match self.limiter.check_n(count) {
            Ok(Ok(snapshot)) => {
                self.remember(snapshot.remaining_burst_capacity());
                Ok(())
            }
            Ok(Err(until)) => Err(until.wait_time_from(self.clock.now())),
            Err(_) => Err(self.rate.per),
        }
    }

    /// The standing of a tenant of whose rate nothing is taken: as it was last, which is never too much.
    pub(super) fn untouched(&self) -> Left {
        let last = self.last().map(|(_, remaining)| remaining);
        self.standing(last.unwrap_or_else(|| self.rate.burst.get()))
    }

    fn standing(&self, remaining: u32) -> Left {
        let missing = self.rate.burst.get().saturating_sub(remaining);
        Left { limit: self.rate.count.get(), remaining, reset: self.period.saturating_mul(missing) }
    }
}
