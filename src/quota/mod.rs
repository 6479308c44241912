//! What a tenant may use: request rate, requests at once, calls of single rules, tokens, money.
//!
//! `admit` needs only the tenant and comes before the body is read: it guards memory and the parser. `hold` comes once
//! it is known what a call may use at most. What both return gives back what it has when it is dropped, so that no path
//! through the gateway can keep anything.

mod calls;
pub mod fair;
pub mod fleet;
mod level;
mod requests;
mod reserve;
mod spend;

pub use calls::CallLimit;
pub use reserve::{Amount, Hold, Limits, ModelLimit, Now, OUTPUT_ESTIMATE, Shortage, Warned};
pub use spend::{Budget, Calendar, Per};

use crate::usage::MicroUsd;
use calls::Calls;
use fleet::{Bound, Claim, Claimed, Peers, Shared, Unasked, What};
use governor::clock::{Clock, DefaultClock};
use requests::Requests;
use reserve::{Meters, Reserve};
use std::{
    fmt,
    num::NonZeroU32,
    sync::{Arc, LazyLock, OnceLock, atomic::Ordering},
    time::Duration,
};

/// `600/min burst 50`: `count` requests every `per`, of which `burst` may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub count: NonZeroU32,
    pub per: Duration,
    pub burst: NonZeroU32,
}

impl fmt::Display for Rate {
    /// As the configuration writes it: `600/min burst 50`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(86_400, "day"), (3600, "hour"), (60, "min"), (1, "s")];
        let seconds = self.per.as_secs();
        let unit = units.into_iter().find(|(unit, _)| seconds == *unit).map(|(_, name)| name);
        match unit {
            Some(unit) => write!(f, "{}/{unit}", self.count)?,
            None => write!(f, "{} in {seconds} s", self.count)?,
        }
        if self.burst == self.count { Ok(()) } else { write!(f, " burst {}", self.burst) }
    }
}

/// The clock of rates. It is one for all: a tenant's limits hold none of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealClock;

impl Clock for RealClock {
    type Instant = <DefaultClock as Clock>::Instant;

    fn now(&self) -> Self::Instant {
        // Making a clock asks the processor what it can, which costs tens of microseconds in a virtual machine.
        static CLOCK: LazyLock<DefaultClock> = LazyLock::new(DefaultClock::default);
        CLOCK.now()
    }
}

/// The limits of one tenant. Lives as long as the tenant does, over reloads.
pub struct Quota<C: Clock = RealClock> {
    requests: Option<Requests<C>>,
    meters: Arc<Meters>,
    in_flight_max: Option<u32>,
    calls: Arc<Calls<C>>,
    reserve: Arc<Reserve>,
    clock: C,
    /// Where other gateways share the limits.
    shared: OnceLock<Arc<Shared>>,
}

/// What is left of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    pub limit: u32,
    pub remaining: u32,
    /// Until the whole burst is there again.
    pub reset: Duration,
}

/// Of two limits the one of which less is left.
pub fn tighter(one: Option<Left>, other: Option<Left>) -> Option<Left> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.remaining < one.remaining { other } else { one }),
        (one, other) => one.or(other),
    }
}

/// What the `x-ratelimit-*` headers tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    pub requests: Option<Left>,
    pub tokens: Option<Left>,
    /// A budget of which much is spent.
    pub budget: Option<Warned>,
}

/// A place among the requests in flight. Dropping it gives the place back.
#[derive(Debug)]
#[must_use]
pub struct Slot {
    meters: Arc<Meters>,
    /// Another's, which comes back with it.
    also: Option<Box<Slot>>,
    /// The request, until other gateways know of it.
    unasked: Option<Box<Unasked>>,
    /// What they know of it.
    claimed: Option<Box<Claimed>>,
}

impl Slot {
    fn new(meters: Arc<Meters>) -> Self {
        Self { meters, also: None, unasked: None, claimed: None }
    }

    /// The other gateways are asked for this request now. Whether this one's part counts it already.
    pub fn asked(&mut self) -> bool {
        let is_counted = self.unasked.take().is_none_or(|unasked| unasked.asked());
        self.also.as_mut().is_none_or(|also| also.asked()) && is_counted
    }

    /// They know of this request.
    pub fn claimed(&mut self, claimed: Claimed) {
        self.claimed = Some(Box::new(claimed));
    }
}

/// A request that was let in.
#[derive(Debug)]
#[must_use]
pub struct Admission {
    pub slot: Slot,
    pub standing: Option<Left>,
}

impl Admission {
    /// Let in by another's limits too, of which the tighter is told.
    pub fn with(mut self, other: Self) -> Self {
        self.standing = tighter(self.standing, other.standing);
        self.slot.also = Some(Box::new(other.slot));
        self
    }

    /// The place of a request that is refused: it takes none.
    pub fn refused(standing: Option<Left>) -> Self {
        let meters = Arc::new(Meters::default());
        meters.in_flight.store(1, Ordering::Relaxed);
        Self { slot: Slot::new(meters), standing }
    }
}

/// Which limit is exceeded, and what the client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exceeded {
    Concurrency { limit: u32, standing: Option<Left> },
    Requests { retry_after: Duration, standing: Left },
}

impl Quota {
    /// Limits by the real clock.
    pub fn new(requests: Option<Rate>, in_flight_max: Option<u32>) -> Self {
        Self::with_clock(requests, in_flight_max, &RealClock)
    }
}

impl<C: Clock + Clone> Quota<C> {
    /// Limits by a clock of the caller's.
    pub fn with_clock(requests: Option<Rate>, in_flight_max: Option<u32>, clock: &C) -> Self {
        let meters = Arc::<Meters>::default();
        Self {
            requests: requests.map(|rate| Requests::new(rate, clock)),
            reserve: Arc::new(Reserve::new(Limits::default(), Arc::clone(&meters))),
            meters,
            in_flight_max,
            calls: Arc::default(),
            clock: C::clone(clock),
            shared: OnceLock::new(),
        }
    }

    /// Shares the limits with other gateways from now on. `owner` is whose they are: a tenant, or a tenant and a key
    /// behind a slash.
    pub fn share(&self, owner: &str, peers: &Arc<dyn Peers>) {
        let shared = self.shared.get_or_init(|| Arc::new(Shared::new(owner, Arc::clone(peers))));
        self.calls.hear_of(shared);
    }

    /// These are the limits of the tenant's rules.
    pub fn expect(&self, limits: &[CallLimit]) {
        self.calls.expect(limits);
    }

    fn shared(&self) -> Option<&Shared> {
        self.shared.get().map(|shared| &**shared)
    }

    /// With limits for tokens, money and single models.
    #[must_use]
    pub fn limited(self, limits: Limits) -> Self {
        Self { reserve: Arc::new(Reserve::new(limits, Arc::clone(&self.meters))), ..self }
    }

    /// The same tenant's limits before: what is used stays used, and what is in flight stays counted.
    #[must_use]
    pub fn after(mut self, before: &Self) -> Self {
        self.calls = Arc::clone(&before.calls);
        self.meters = Arc::clone(&before.meters);
        self.shared.clone_from(&before.shared);
        let limits = self.reserve.limits().clone();
        let reserve = Reserve::new(limits, Arc::clone(&self.meters));
        self.reserve = Arc::new(reserve.after(&before.reserve));
        self.requests = match (self.requests, &before.requests) {
            (Some(requests), Some(before)) => Some(requests.after(before)),
            (requests, _) => requests,
        };
        self
    }

    /// Counts one more request of one that was let in: a batch holds several.
    pub fn count(&self) -> Result<(), Exceeded> {
        let (_, is_counted) = self.take()?;
        drop(self.unasked(is_counted));
        Ok(())
    }

    /// Takes a request; and what is left, and whether this gateway's part counts it.
    fn take(&self) -> Result<(Option<Left>, bool), Exceeded> {
        let Some(requests) = &self.requests else { return Ok((None, true)) };
        let divisor = self.shared.get().map(|shared| (shared, shared.divisor()));
        let Some((shared, gateways)) = divisor.filter(|(_, gateways)| gateways.get() > 1) else {
            return requests.take().map(|left| (Some(left), false));
        };
        let (taken, standing) = shared.take_alone(requests.rate, gateways);
        taken
            .map(|()| (Some(standing), true))
            .map_err(|retry_after| Exceeded::Requests { retry_after, standing })
    }

    /// A request that the other gateways do not know of.
    fn unasked(&self, is_counted: bool) -> Option<Unasked> {
        let rate = self.requests.as_ref().map(|requests| requests.rate);
        self.shared.get().map(|shared| Unasked { shared: Arc::clone(shared), rate, is_counted })
    }

    /// Takes a call of a rule's; else how long it takes until there is one.
    pub fn call(&self, limit: &CallLimit) -> Result<(), Duration> {
        self.calls(limit, NonZeroU32::MIN)
    }

    /// Takes so many calls of a rule's at once; else how long it takes until they are there. More than may ever come at
    /// once are never there.
    pub fn calls(&self, limit: &CallLimit, count: NonZeroU32) -> Result<(), Duration> {
        if count > limit.rate.burst {
            return Err(limit.rate.per);
        }
        match self.shared.get() {
            Some(shared) => self.calls.take_shared(limit, count, shared),
            None => self.calls.take(limit, count, &self.clock),
        }
    }

    /// What a request asks of the gateways that share the limits, if any do: its place and itself, and, of a call whose
    /// size is known, all that `hold` holds of it.
    pub fn claim<M: Iterator<Item = usize>>(
        &self,
        call: Option<(M, Amount)>,
        is_counted: bool,
        now: Now,
    ) -> Option<Claim> {
        let shared = self.shared.get()?;
        let mut claim = Claim::new(&shared.peers, is_counted);
        if let Some(requests) = &self.requests {
            claim.add(shared.of("requests", Bound::Rate(requests.rate)), What::Requests, (1, 0));
        }
        if let Some(places) = self.in_flight_max {
            claim.add(shared.of("concurrency", Bound::Places(places)), What::Places, (0, 1));
        }
        match call {
            Some((models, amount)) => self.reserve.claim(&mut claim, models, amount, (shared, now)),
            None => self.reserve.refresh(shared, now),
        }
        shared.refresh_rules();
        Some(claim)
    }

    /// Whether these are the limits, so that a reload may keep what is used.
    pub fn is(&self, requests: Option<Rate>, in_flight_max: Option<u32>, limits: &Limits) -> bool {
        self.requests.as_ref().map(|requests| requests.rate) == requests
            && self.in_flight_max == in_flight_max
            && self.reserve.limits() == limits
    }

    /// Holds what a call may use at most. `models` are the limits of single models that it falls under, by their number.
    pub fn hold(
        &self,
        models: impl Iterator<Item = usize>,
        amount: Amount,
        now: Now,
    ) -> Result<Hold, Shortage> {
        self.reserve.hold(models, amount, (self.shared(), now))
    }

    /// Whether money is left for a call that costs none itself.
    pub fn check_money(&self, now: Now) -> Result<(), Shortage> {
        self.reserve.check_money(self.shared(), now)
    }

    /// Whether tokens or money of calls are limited.
    pub fn limits_calls(&self) -> bool {
        let limits = self.reserve.limits();
        limits.tokens.is_some()
            || !limits.budgets.is_empty()
            || limits.models.iter().any(|model| model.tokens.is_some())
    }

    /// Tokens held for an answer when its request does not say how long it may be.
    pub fn output_estimate(&self) -> u64 {
        self.reserve.limits().output_estimate
    }

    /// What is left of the tokens, and whether a budget is nearly spent. `models` are the limits of single models that
    /// count too, by their number.
    pub fn tokens_and_money(
        &self,
        models: impl Iterator<Item = usize>,
        now: Now,
    ) -> (Option<Left>, Option<Warned>) {
        let (shared, reserve) = (self.shared(), &self.reserve);
        (reserve.tokens_left(models, (shared, now)), reserve.warning(shared, now))
    }

    /// Budgets whose warning's share is reached, each told once an hour, day or month.
    pub fn warned_now(&self, now: Now) -> Vec<Warned> {
        self.reserve.warned_now(self.shared(), now)
    }

    /// The budgets with what is spent of each, and since when.
    pub fn spending(&self, now: Now) -> Vec<(Budget, MicroUsd, i64)> {
        self.reserve.spending(self.shared(), now)
    }

    /// Takes in what the ledger says was spent since a calendar's hour, day or month began.
    pub fn remember(&self, calendar: Calendar, spent: MicroUsd, now: Now) {
        self.reserve.remember(calendar, spent, now);
    }

    /// Requests in flight now.
    pub fn in_flight(&self) -> u32 {
        self.meters.in_flight.load(Ordering::Relaxed)
    }

    /// Lets one request in. The place is taken first: a request without a place uses up no rate.
    pub fn admit(&self) -> Result<Admission, Exceeded> {
        let mut slot = Slot::new(Arc::clone(&self.meters));
        let before = self.meters.in_flight.fetch_add(1, Ordering::AcqRel);
        let gateways = self.shared.get().map_or(NonZeroU32::MIN, |shared| shared.divisor());
        let part = self.in_flight_max.map(|limit| (limit / gateways).max(1));
        if let Some(limit) = part.filter(|&limit| before >= limit) {
            let standing = self.requests.as_ref().map(Requests::untouched);
            return Err(Exceeded::Concurrency { limit, standing });
        }
        let (standing, is_counted) = self.take()?;
        slot.unasked = self.unasked(is_counted).map(Box::new);
        Ok(Admission { slot, standing })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.meters.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<C: Clock + Clone> fmt::Debug for Quota<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quota").field("in_flight", &self.in_flight()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;
    use proptest::prelude::*;

    fn rate(count: u32, seconds: u64, burst: u32) -> Rate {
        Rate {
            count: NonZeroU32::new(count).unwrap(),
            per: Duration::from_secs(seconds),
            burst: NonZeroU32::new(burst).unwrap(),
        }
    }

    #[test]
    fn the_burst_comes_at_once_then_the_rate() {
        let clock = FakeRelativeClock::default();
        let quota = Quota::with_clock(Some(rate(60, 60, 3)), None, &clock);
        for remaining in [2, 1, 0] {
            let standing = quota.admit().unwrap().standing.unwrap();
            assert_eq!((standing.limit, standing.remaining), (60, remaining));
        }
        let Err(Exceeded::Requests { retry_after, standing }) = quota.admit() else { panic!("let in") };
        assert_eq!((retry_after, standing.remaining), (Duration::from_secs(1), 0));
        assert_eq!(standing.reset, Duration::from_secs(3));
        clock.advance(Duration::from_secs(1));
        assert!(quota.admit().is_ok());
        assert!(quota.admit().is_err());
    }

    #[test]
    fn a_place_comes_back_when_the_request_ends() {
        let quota = Quota::new(Some(rate(60, 60, 1)), Some(1));
        let first = quota.admit().unwrap();
        assert!(matches!(quota.admit(), Err(Exceeded::Concurrency { limit: 1, .. })));
        drop(first);
        assert!(matches!(quota.admit(), Err(Exceeded::Requests { .. })));
        assert_eq!(quota.in_flight(), 0);
    }

    #[test]
    fn a_rule_has_its_own_calls_over_reloads_too() {
        let clock = FakeRelativeClock::default();
        let limit = |count, rule: &str| CallLimit {
            rate: rate(count, 60, count),
            rule: rule.into(),
            names: Arc::new([]),
        };
        let quota = Quota::with_clock(None, None, &clock);
        assert!(quota.call(&limit(2, "allow a")).is_ok() && quota.call(&limit(2, "allow a")).is_ok());
        assert_eq!(quota.call(&limit(2, "allow a")), Err(Duration::from_secs(30)));
        assert!(quota.call(&limit(1, "allow b")).is_ok());
        let reloaded = Quota::with_clock(Some(rate(1, 1, 1)), None, &clock).after(&quota);
        assert!(reloaded.call(&limit(2, "allow a")).is_err());
        clock.advance(Duration::from_secs(30));
        assert!(reloaded.call(&limit(2, "allow a")).is_ok());
        // Of three, two are used: one is left, whatever the limit was before.
        assert!(reloaded.call(&limit(3, "allow a")).is_ok());
        assert!(reloaded.call(&limit(3, "allow a")).is_err());
        assert!(reloaded.call(&limit(1, "allow a")).is_err());
    }

    #[test]
    fn a_rule_that_is_written_anew_goes_on_with_what_was_used() {
        let clock = FakeRelativeClock::default();
        let limit = |names: &[&str], count| CallLimit {
            rate: rate(count, 60, count),
            rule: names.concat().into(),
            names: names.iter().map(|name| (*name).into()).collect(),
        };
        let quota = Quota::with_clock(None, None, &clock);
        let before = [limit(&["a", "b"], 3), limit(&["c"], 1)];
        quota.expect(&before);
        assert!(
            quota.call(&before[0]).is_ok()
                && quota.call(&before[0]).is_ok()
                && quota.call(&before[1]).is_ok()
        );
        let after = [limit(&["b", "x"], 3), limit(&["c"], 1), limit(&["y"], 1)];
        quota.expect(&after);
        // The configuration may yet be refused: both count, together.
        assert!(quota.call(&before[0]).is_ok());
        assert!(quota.call(&before[0]).is_err() && quota.call(&after[0]).is_err());
        assert!(quota.call(&after[1]).is_err());
        assert!(quota.call(&after[2]).is_ok(), "it is another rule");
    }

    #[test]
    fn a_batch_is_as_many_calls_or_none() {
        let clock = FakeRelativeClock::default();
        let limit = CallLimit { rate: rate(5, 50, 5), rule: "q".into(), names: Arc::new([]) };
        let quota = Quota::with_clock(None, None, &clock);
        let take = |count| quota.calls(&limit, NonZeroU32::new(count).unwrap());
        assert_eq!(take(3), Ok(()));
        assert_eq!(take(3), Err(Duration::from_secs(10)));
        assert_eq!(take(2), Ok(()));
        assert!(take(1).is_err());
        clock.advance(Duration::from_secs(50));
        assert_eq!(take(6), Err(Duration::from_secs(50)), "never");
        assert_eq!(take(5), Ok(()));
    }

    #[test]
    fn a_changed_limit_keeps_what_is_used_and_what_is_in_flight() {
        let clock = FakeRelativeClock::default();
        let before = Quota::with_clock(Some(rate(60, 60, 10)), Some(5), &clock);
        let running: Vec<_> = (0..4).map(|_| before.admit().unwrap()).collect();
        let after = Quota::with_clock(Some(rate(60, 60, 6)), Some(5), &clock).after(&before);
        assert_eq!(after.in_flight(), 4);
        // The older one goes on: a request may still be admitted by it, and a reload fail after all.
        for _ in 0..6 {
            assert!(before.admit().is_ok());
        }
        assert!(before.admit().is_err());
        assert!(after.admit().is_ok(), "five of six");
        assert!(after.admit().is_ok(), "six of six");
        assert!(matches!(after.admit(), Err(Exceeded::Requests { .. })));
        drop(running);
        assert_eq!(after.in_flight(), 0);
        clock.advance(Duration::from_secs(100));
        let later = Quota::with_clock(Some(rate(60, 60, 2)), None, &clock).after(&after);
        assert!(later.admit().is_ok() && later.admit().is_ok() && later.admit().is_err());
    }

    proptest! {
        #[test]
        fn never_more_than_burst_and_rate(waits in proptest::collection::vec(0..3000u64, 1..60), burst in 1..5u32) {
            let clock = FakeRelativeClock::default();
            let quota = Quota::with_clock(Some(rate(60, 60, burst)), None, &clock);
            let (mut elapsed, mut admitted) = (0, 0u64);
            for wait in waits {
                clock.advance(Duration::from_millis(wait));
                elapsed += wait;
                match quota.admit() {
                    Ok(_) => admitted += 1,
                    Err(Exceeded::Requests { retry_after, .. }) => {
                        // Whoever waits as told gets in.
                        clock.advance(retry_after);
                        elapsed += u64::try_from(retry_after.as_millis()).unwrap() + 1;
                        prop_assert!(quota.admit().is_ok());
                        admitted += 1;
                    }
                    Err(other) => prop_assert!(false, "{other:?}"),
                }
            }
            prop_assert!(admitted <= u64::from(burst) + elapsed / 1000 + 1);
            prop_assert_eq!(quota.in_flight(), 0);
        }
    }
}
