//! What a request asks of all limits that it falls under, and what it holds of them once it is let in.

use super::{
    super::{Amount, Left, Rate, Shortage, tighter},
    Bound, Meter, Peers, Told,
};
use std::{
    fmt,
    num::NonZeroU32,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

/// What a request asks of one limit.
#[derive(Debug, Clone)]
pub struct Item {
    pub meter: Arc<Meter>,
    /// Used at once.
    pub spend: u64,
    /// Held until the request is over.
    pub hold: u64,
    what: What,
}

/// Which limit it is: what is told where it is used up, and what of a call counts in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::quota) enum What {
    Requests,
    Places,
    Tokens,
    Money,
    ModelRequests,
    ModelPlaces,
    ModelTokens,
}

impl What {
    fn is_of_tokens(self) -> bool {
        matches!(self, Self::Tokens | Self::ModelTokens)
    }
}

/// What is left of a rate of which so much was told, once so many are given back.
fn given_back(rate: &Rate, told: &Told, count: u64) -> Left {
    let (per, limit) = (rate.per.as_micros().max(1), u128::from(rate.count.get()));
    // All that is taken comes back in the time that was told. Rounded up, so that never too much is told to be left.
    let taken = (u128::from(told.second) * limit).div_ceil(per).saturating_sub(u128::from(count));
    let remaining = u128::from(rate.burst.get()).saturating_sub(taken);
    let reset = u64::try_from((taken * per).div_ceil(limit)).unwrap_or(u64::MAX);
    Left {
        limit: rate.count.get(),
        remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
        reset: Duration::from_micros(reset),
    }
}

/// What the store says of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All of it is held and used.
    Granted(Vec<Told>),
    /// None of it: the limit of this number is used up, for so long.
    Refused { at: usize, wait: Duration, told: Vec<Told> },
}

/// What a request asks of all limits that it falls under, at once. It holds nothing of them yet.
#[derive(Clone)]
#[must_use]
pub struct Claim {
    peers: Arc<dyn Peers>,
    items: Vec<Item>,
    /// This gateway's part has room for the request, and counts it.
    is_counted: bool,
}

/// What became of a claim.
#[derive(Debug)]
pub enum Answer {
    /// It is held; and what is left of the requests and of the tokens, where the store was asked.
    Admitted(Claimed, [Option<Left>; 2]),
    /// And what is left, where the store was asked.
    Refused(Refused, [Option<Left>; 2]),
}

impl Claim {
    pub(in crate::quota) fn new(peers: &Arc<dyn Peers>, is_counted: bool) -> Self {
        Self { peers: Arc::clone(peers), items: Vec::with_capacity(4), is_counted }
    }

    pub(in crate::quota) fn add(&mut self, meter: Arc<Meter>, what: What, (spend, hold): (u64, u64)) {
        self.items.push(Item { meter, spend, hold, what });
    }

    /// Asks for what another asks for too.
    pub fn with(mut self, mut other: Self) -> Self {
        self.items.append(&mut other.items);
        self.is_counted &= other.is_counted;
        self
    }

    /// What is asked of each limit.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The store has decided.
    pub fn decided(&self, verdict: &Verdict, now: Instant) -> Answer {
        let (Verdict::Granted(told) | Verdict::Refused { told, .. }) = verdict;
        for (item, told) in self.items.iter().zip(told) {
            item.meter.learn(*told, now);
        }
        let left = self.left(told);
        let refused = match verdict {
            Verdict::Granted(_) => None,
            Verdict::Refused { at, wait, .. } => self.items.get(*at).map(|item| item.refused(*wait)),
        };
        if let Some(refused) = refused {
            return Answer::Refused(refused, left);
        }
        for item in self.items.iter().filter(|_| !self.is_counted) {
            if let (What::Requests, Bound::Rate(rate)) = (item.what, item.meter.bound()) {
                item.meter.own().spend(item.spend, &rate, now);
            }
        }
        Answer::Admitted(self.hold(self.left_without(told)), left)
    }

    /// What is left of the tokens, of which these are told to be left, once what this holds of them is given back.
    fn left_without(&self, told: &[Told]) -> Option<Left> {
        let tokens = self.items.iter().zip(told).filter(|(item, _)| item.what.is_of_tokens());
        let left = tokens.filter_map(|(item, told)| match item.meter.bound() {
            Bound::Rate(rate) => Some(given_back(&rate, told, item.hold)),
            Bound::Places(_) | Bound::Money { .. } => None,
        });
        left.map(Some).fold(None, tighter)
    }

    /// What is left of the requests and of the tokens.
    fn left(&self, told: &[Told]) -> [Option<Left>; 2] {
        let mut left = [None, None];
        for (item, told) in self.items.iter().zip(told) {
            let Bound::Rate(rate) = item.meter.bound() else { continue };
            let at = match item.what {
                What::Requests => 0,
                What::Tokens | What::ModelTokens => 1,
                What::Places | What::Money | What::ModelRequests | What::ModelPlaces => continue,
            };
            let here = Left {
                limit: rate.count.get(),
                remaining: u32::try_from(told.first).unwrap_or(u32::MAX),
                reset: Duration::from_micros(told.second),
            };
            if let Some(left) = left.get_mut(at) {
                *left = tighter(*left, Some(here));
            }
        }
        left
    }

    /// It goes on, and tells later.
    fn unasked(&self) -> Claimed {
        for item in &self.items {
            item.meter.count(item.spend);
            self.peers.touch(&item.meter);
        }
        self.hold(None)
    }

    /// Nobody could be asked, or answered in time: this gateway's part decides, one of so many.
    pub fn unanswered(&self, gateways: NonZeroU32, now: Instant) -> Answer {
        let no_place = |item: &&Item| match item.meter.bound() {
            Bound::Places(limit) => item.meter.held() >= u64::from((limit / gateways).max(1)),
            Bound::Rate(_) | Bound::Money { .. } => false,
        };
        if let Some(item) = self.items.iter().find(no_place) {
            return Answer::Refused(item.refused(Duration::ZERO), [None, None]);
        }
        for item in self.items.iter().filter(|_| !self.is_counted) {
            if let (What::Requests, Bound::Rate(rate)) = (item.what, item.meter.bound())
                && let (Err(wait), _) = item.meter.take_alone(rate, gateways, now)
            {
                return Answer::Refused(item.refused(wait), [None, None]);
            }
        }
        Answer::Admitted(self.unasked(), [None, None])
    }

    fn hold(&self, without: Option<Left>) -> Claimed {
        for item in &self.items {
            item.meter.held.fetch_add(item.hold, Relaxed);
        }
        Claimed { peers: Arc::clone(&self.peers), items: self.items.clone(), without }
    }
}

impl Answer {
    /// Nobody waits for it any more: who asked went on without it, and has counted what it used, or has gone.
    pub fn comes_late(self, claim: &Claim) {
        let Self::Admitted(claimed, _) = self else { return };
        for item in &claimed.items {
            item.meter.uncount(item.spend);
            if item.what == What::Requests && !claim.is_counted {
                item.meter.own().unspend(item.spend);
            }
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").field("items", &self.items).finish_non_exhaustive()
    }
}

/// Why a claim is refused, and the limit's name in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    pub shortage: Shortage,
    pub limit: &'static str,
}

impl Item {
    /// `wait` is nothing where what is held has to come back.
    fn refused(&self, wait: Duration) -> Refused {
        let retry_after = wait;
        let limit = match self.meter.bound() {
            Bound::Places(limit) => limit,
            Bound::Rate(_) | Bound::Money { .. } => 0,
        };
        let (shortage, limit) = match (self.what, self.meter.bound()) {
            (What::Requests, _) => (Shortage::Requests { retry_after }, "requests"),
            (What::ModelRequests, _) => (Shortage::Requests { retry_after }, "model_requests"),
            (What::Tokens | What::ModelTokens, _) => (Shortage::Tokens { retry_after }, "tokens"),
            (What::Places, _) => (Shortage::Concurrency { limit }, "concurrency"),
            (What::ModelPlaces, _) => (Shortage::Concurrency { limit }, "model_concurrency"),
            (What::Money, Bound::Money { budget, .. }) if !wait.is_zero() => {
                (Shortage::Spent { budget, renews_in: wait }, "budget")
            }
            (What::Money, _) => (Shortage::MoneyHeld, "budget"),
        };
        Refused { shortage, limit }
    }
}

/// What a request holds of the limits. Dropped, it gives it back.
#[must_use]
pub struct Claimed {
    peers: Arc<dyn Peers>,
    items: Vec<Item>,
    /// What was left of the tokens but for what this holds, where the store was asked.
    without: Option<Left>,
}

impl Claimed {
    /// What was left of the tokens but for what this holds, where that was told.
    pub(in crate::quota) fn left_without(&self) -> Option<Left> {
        self.without
    }

    /// Takes what was used, and gives the rest back.
    pub fn settle(self, used: Amount) {
        for item in &self.items {
            match item.what {
                What::Tokens | What::ModelTokens => item.meter.count(used.tokens),
                What::Money => item.meter.count(used.cost.0),
                What::Requests | What::Places | What::ModelRequests | What::ModelPlaces => {}
            }
        }
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        for item in &self.items {
            item.meter.held.fetch_sub(item.hold, Relaxed);
            if item.hold > 0 || item.meter.untold() > 0 {
                self.peers.touch(&item.meter);
            }
        }
    }
}

impl fmt::Debug for Claimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claimed").field("items", &self.items).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What is told while something is held says what is left without it: never more, and no more than a unit less.
        #[test]
        fn what_is_held_is_given_back_in_what_is_told(
            count in 1..1_000_000_u32,
            burst in 1..1_000_000_u32,
            seconds in prop::sample::select(vec![1_u64, 60, 3600, 86_400]),
            used in 0..2_000_000_u64,
            hold in 0..2_000_000_u64,
        ) {
            let number = |number| NonZeroU32::new(number).unwrap();
            let rate = Rate { count: number(count), per: Duration::from_secs(seconds), burst: number(burst) };
            let micros = u128::from(seconds) * 1_000_000;
            let second = u64::try_from((u128::from(used + hold) * micros).div_ceil(u128::from(count))).unwrap();
            let told = Told { first: u64::from(burst).saturating_sub(used + hold), second };
            let left = given_back(&rate, &told, hold);
            let truth = u64::from(burst).saturating_sub(used);
            prop_assert!(u64::from(left.remaining) <= truth && truth <= u64::from(left.remaining) + 1, "{left:?} {truth}");
            let reset = Duration::from_secs_f64(seconds as f64 * used as f64 / f64::from(count));
            let unit = Duration::from_secs(seconds) / count + Duration::from_micros(2);
            prop_assert!(left.reset + Duration::from_micros(2) >= reset && left.reset <= reset + unit, "{left:?} {reset:?}");
        }
    }
}
