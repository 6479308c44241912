//! Tokens, money and the limits of single models: held before a call, settled on what it used.
//!
//! A call is let in while anything is left, and holds what it may use at most: so no limit is exceeded by more than one
//! call. What was used beyond is a debt that later calls wait for. A hold that is dropped gives everything back.

use super::{
    Left, Rate,
    fleet::{Bound, Claim, Claimed, Shared, What},
    level::Level,
    spend::{Budget, Calendar, NoMoney, Others, Spend},
    tighter,
};
use crate::usage::MicroUsd;
use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU32},
    time::{Duration, Instant},
};

/// So much is held for an answer where neither the request nor the tenant says how long it may be.
pub const OUTPUT_ESTIMATE: u64 = 1000;

/// How much a tenant may use of tokens, money and single models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    pub tokens: Option<Rate>,
    /// Tokens held for an answer when its request does not say how long it may be.
    pub output_estimate: u64,
    /// Each that a model matches counts; the tenant knows what they match.
    pub models: Vec<ModelLimit>,
    /// Each counts.
    pub budgets: Vec<Budget>,
    /// From which share of a budget on, in percent, it is told.
    pub warn: Option<u8>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tokens: None,
            output_estimate: OUTPUT_ESTIMATE,
            models: Vec::new(),
            budgets: Vec::new(),
            warn: None,
        }
    }
}

/// How much a tenant may do with the models that a name or glob matches, together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelLimit {
    pub name: Arc<str>,
    pub requests: Option<Rate>,
    pub tokens: Option<Rate>,
    pub concurrency: Option<u32>,
}

/// Now: monotonic for rates, seconds since 1970, UTC, for the calendar.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    pub instant: Instant,
    pub unix_s: i64,
}

/// What a call uses, or may use at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    pub tokens: u64,
    pub cost: MicroUsd,
}

/// Why a call may not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// Too many tokens, of the tenant or of the model.
    Tokens { retry_after: Duration },
    /// Too many requests of the model.
    Requests { retry_after: Duration },
    /// Too many requests of the model at once.
    Concurrency { limit: u32 },
    /// What is left of the budget is held by calls in flight.
    MoneyHeld,
    /// The budget is spent.
    Spent { budget: Budget, renews_in: Duration },
}

impl Shortage {
    /// The limit's name in metrics.
    pub fn limit(self) -> &'static str {
        match self {
            Self::Tokens { .. } => "tokens",
            Self::Requests { .. } => "model_requests",
            Self::Concurrency { .. } => "model_concurrency",
            Self::MoneyHeld | Self::Spent { .. } => "budget",
        }
    }

    /// The one of two that lasts longer.
    #[must_use]
    pub fn longer(self, other: Self) -> Self {
        let lasts = |shortage: &Self| match shortage {
            Self::Tokens { retry_after } | Self::Requests { retry_after } => *retry_after,
            Self::Spent { renews_in, .. } => *renews_in,
            // A moment: a call in flight ends.
            Self::Concurrency { .. } | Self::MoneyHeld => Duration::ZERO,
        };
        if lasts(&other) > lasts(&self) { other } else { self }
    }
}

/// A budget of which more than the warning's share is spent, told once a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warned {
    pub budget: Budget,
    pub percent: u64,
}

/// A tenant's tokens, money and models. What is used is shared with those before and after it.
#[derive(Debug)]
pub(super) struct Reserve {
    limits: Limits,
    /// One for each of the limits of single models.
    models: Vec<Arc<Mutex<ModelState>>>,
    meters: Arc<Meters>,
}

/// What of a tenant's is used, held and in flight: in one piece, since every request reads and writes all of it, and
/// with many tenants nothing of it is in the processor's cache.
#[derive(Debug, Default)]
pub(super) struct Meters {
    pub(super) in_flight: AtomicU32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tokens: Level,
    spends: Spends,
}

impl State {
    /// What is spent of a budget here, and what is known of the other gateways.
    fn spending(
        &mut self,
        budget: &Budget,
        shared: Option<&Shared>,
        now: Now,
    ) -> (&mut Spend, Option<Others>) {
        let spend = self.spends.of(budget.calendar, now.unix_s);
        let (window, known) = (spend.window(now.unix_s), spend.spent().0);
        let others = shared.map(|shared| {
            let meter = shared.of_money(budget, window, known);
            Others {
                spent: meter.spent(),
                untold: meter.untold(),
                divisor: u64::from(shared.divisor().get()),
            }
        });
        (spend, others)
    }
}

/// One a calendar; only ever more. Most tenants have one.
#[derive(Debug, Default)]
struct Spends {
    first: Option<Spend>,
    others: Vec<Spend>,
}

impl Spends {
    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Spend> {
        self.first.iter_mut().chain(&mut self.others)
    }

    /// That of a calendar, which begins now if there was none.
    fn of(&mut self, calendar: Calendar, now: i64) -> &mut Spend {
        let Self { first, others } = self;
        let first = first.get_or_insert_with(|| Spend::new(calendar, now));
        if first.calendar == calendar {
            return first;
        }
        let at = others.iter().position(|spend| spend.calendar == calendar).unwrap_or_else(|| {
            others.push(Spend::new(calendar, now));
            others.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found or pushed above")]
        &mut others[at]
    }
}

#[derive(Debug, Default)]
struct ModelState {
    tokens: Level,
    requests: Level,
    in_flight: u32,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reserve {
    pub(super) fn new(limits: Limits, meters: Arc<Meters>) -> Self {
        Self { models: limits.models.iter().map(|_| Arc::default()).collect(), limits, meters }
    }

    /// Goes on with what is used and held of another's.
    pub(super) fn after(self, before: &Self) -> Self {
        let kept = |(limit, state): (&ModelLimit, Arc<Mutex<ModelState>>)| {
            let known = before.limits.models.iter().position(|known| known.name == limit.name);
            known.and_then(|at| before.models.get(at)).map_or(state, Arc::clone)
        };
        let models = self.limits.models.iter().zip(self.models).map(kept).collect();
        Self { models, limits: self.limits, meters: Arc::clone(&before.meters) }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Holds what a call may use at most. `models` are the limits of single models that it falls under.
    pub(super) fn hold(
        self: &Arc<Self>,
        models: impl Iterator<Item = usize>,
        amount: Amount,
        (shared, now): (Option<&Shared>, Now),
    ) -> Result<Hold, Shortage> {
        let mut state = lock(&self.meters.state);
        self.money_left(&mut state, shared, now)?;
        let gateways = shared.map_or(NonZeroU32::MIN, Shared::divisor);
        let part = self.limits.tokens.map(|rate| rate.shared_by(gateways));
        let room = part.map(|rate| state.tokens.room(&rate, now.instant));
        let mut short = room.and_then(Result::err).map(|retry_after| Shortage::Tokens { retry_after });
        state.tokens.hold(amount.tokens);
        state.spends.iter_mut().for_each(|spend| spend.hold(amount.cost));
        let spends = state.spends.len();
        let tightest = part.map(|rate| state.tokens.left(&rate, now.instant));
        drop(state);
        let mut hold = Hold {
            reserve: Arc::clone(self),
            models: Models::default(),
            amount,
            spends,
            tightest,
            also: None,
            claimed: None,
        };
        for at in models {
            let Some((limit, state)) = self.model(at) else { continue };
            match lock(state).hold(limit, amount.tokens, gateways, now.instant) {
                Ok(left) => {
                    hold.models.push(at);
                    hold.tightest = tighter(hold.tightest, left);
                }
                // Whoever waits is to wait once: for the limit that takes longest.
                Err(shortage) => short = Some(short.map_or(shortage, |short| short.longer(shortage))),
            }
        }
        let Some(shortage) = short else { return Ok(hold) };
        hold.take_back();
        Err(shortage)
    }

    /// The limit of a single model, and what of it is used.
    fn model(&self, at: usize) -> Option<(&ModelLimit, &Mutex<ModelState>)> {
        Some((self.limits.models.get(at)?, self.models.get(at)?))
    }

    /// What a call asks of the other gateways: all that `hold` holds.
    pub(super) fn claim(
        &self,
        claim: &mut Claim,
        models: impl Iterator<Item = usize>,
        amount: Amount,
        (shared, now): (&Shared, Now),
    ) {
        if let Some(rate) = self.limits.tokens {
            claim.add(shared.of("tokens", Bound::Rate(rate)), What::Tokens, (0, amount.tokens));
        }
        for limit in models.filter_map(|at| self.limits.models.get(at)) {
            let of = |what, bound| shared.of(&format!("model:{}:{what}", limit.name), bound);
            if let Some(rate) = limit.requests {
                claim.add(of("requests", Bound::Rate(rate)), What::ModelRequests, (1, 0));
            }
            if let Some(places) = limit.concurrency {
                claim.add(of("concurrency", Bound::Places(places)), What::ModelPlaces, (0, 1));
            }
            if let Some(rate) = limit.tokens {
                claim.add(of("tokens", Bound::Rate(rate)), What::ModelTokens, (0, amount.tokens));
            }
        }
        let mut state = lock(&self.meters.state);
        for budget in &self.limits.budgets {
            let spend = state.spends.of(budget.calendar, now.unix_s);
            let (window, known) = (spend.window(now.unix_s), spend.spent().0);
            let meter = shared.of_money(budget, window, known);
            claim.add(meter, What::Money, (0, amount.cost.0));
        }
    }

    /// Has what is spent told, and so heard of.
    pub(super) fn refresh(&self, shared: &Shared, now: Now) {
        let mut state = lock(&self.meters.state);
        for budget in &self.limits.budgets {
            let spend = state.spends.of(budget.calendar, now.unix_s);
            let (window, known) = (spend.window(now.unix_s), spend.spent().0);
            shared.peers.touch(&shared.of_money(budget, window, known));
        }
    }

    /// Whether money is left.
    pub(super) fn check_money(&self, shared: Option<&Shared>, now: Now) -> Result<(), Shortage> {
        self.money_left(&mut lock(&self.meters.state), shared, now)
    }

    fn money_left(&self, state: &mut State, shared: Option<&Shared>, now: Now) -> Result<(), Shortage> {
        for budget in &self.limits.budgets {
            let (spend, others) = state.spending(budget, shared, now);
            let room = spend.room(budget.limit, others, now.unix_s);
            room.map_err(|short| match short {
                NoMoney::Held => Shortage::MoneyHeld,
                NoMoney::Spent { renews_in } => Shortage::Spent { budget: *budget, renews_in },
            })?;
        }
        Ok(())
    }

    /// What is left of the tenant's tokens and of those of these models: the tightest.
    pub(super) fn tokens_left(
        &self,
        models: impl Iterator<Item = usize>,
        (shared, now): (Option<&Shared>, Now),
    ) -> Option<Left> {
        let gateways = shared.map_or(NonZeroU32::MIN, Shared::divisor);
        let own = self.limits.tokens.map(|rate| rate.shared_by(gateways));
        let own = own.map(|rate| lock(&self.meters.state).tokens.left(&rate, now.instant));
        models.filter_map(|at| self.model(at)).fold(own, |tightest, (limit, state)| {
            let rate = limit.tokens.map(|rate| rate.shared_by(gateways));
            tighter(tightest, rate.map(|rate| lock(state).tokens.left(&rate, now.instant)))
        })
    }

    /// The budgets with what is spent of each by all gateways, and since when.
    pub(super) fn spending(&self, shared: Option<&Shared>, now: Now) -> Vec<(Budget, MicroUsd, i64)> {
        let mut state = lock(&self.meters.state);
        let spending = |budget: &Budget| {
            let (spend, others) = state.spending(budget, shared, now);
            (*budget, spend.spent_together(others, now.unix_s), spend.window(now.unix_s).start)
        };
        self.limits.budgets.iter().map(spending).collect()
    }

    /// Takes in what was spent in a calendar's window before this process knew of it.
    pub(super) fn remember(&self, calendar: Calendar, spent: MicroUsd, now: Now) {
        lock(&self.meters.state).spends.of(calendar, now.unix_s).remember(spent, now.unix_s);
    }

    /// The budget of which the largest share is spent, from the warning's share on.
    pub(super) fn warning(&self, shared: Option<&Shared>, now: Now) -> Option<Warned> {
        let percent = u64::from(self.limits.warn?);
        let mut state = lock(&self.meters.state);
        let warned = |budget: &Budget| {
            let (spend, others) = state.spending(budget, shared, now);
            Warned { budget: *budget, percent: spend.share(budget.limit, others, now.unix_s) }
        };
        let budgets = self.limits.budgets.iter().map(warned);
        budgets.filter(|warned| warned.percent >= percent).max_by_key(|warned| warned.percent)
    }

    /// Budgets whose warning's share is reached, each once a window.
    pub(super) fn warned_now(&self, shared: Option<&Shared>, now: Now) -> Vec<Warned> {
        let Some(percent) = self.limits.warn else { return Vec::new() };
        let mut state = lock(&self.meters.state);
        let mut warned = Vec::new();
        for budget in &self.limits.budgets {
            let (spend, others) = state.spending(budget, shared, now);
            let share = spend.share(budget.limit, others, now.unix_s);
            if spend.warns(share, percent) {
                warned.push(Warned { budget: *budget, percent: share });
            }
        }
        warned
    }

    /// What is held now, of the tenant and of each model.
    #[cfg(test)]
    fn held(&self) -> Vec<u64> {
        let mut state = lock(&self.meters.state);
        let held = state.tokens.held();
        let spends: Vec<u64> = state.spends.iter_mut().map(|spend| spend.held().0).collect();
        let models = self.models.iter().flat_map(|state| {
            let state = lock(state);
            [state.tokens.held(), u64::from(state.in_flight)]
        });
        std::iter::once(held).chain(spends).chain(models).collect()
    }
}

impl ModelState {
    fn hold(
        &mut self,
        limit: &ModelLimit,
        tokens: u64,
        gateways: NonZeroU32,
        now: Instant,
    ) -> Result<Option<Left>, Shortage> {
        let part = limit.concurrency.map(|limit| (limit / gateways).max(1));
        if let Some(limit) = part.filter(|&limit| self.in_flight >= limit) {
            return Err(Shortage::Concurrency { limit });
        }
        if let Some(rate) = &limit.tokens {
            let room = self.tokens.room(&rate.shared_by(gateways), now);
            room.map_err(|retry_after| Shortage::Tokens { retry_after })?;
        }
        if let Some(rate) = &limit.requests {
            let room = self.requests.room(&rate.shared_by(gateways), now);
            room.map_err(|retry_after| Shortage::Requests { retry_after })?;
            self.requests.spend(1, rate, now);
        }
        self.in_flight = self.in_flight.saturating_add(1);
        self.tokens.hold(tokens);
        Ok(limit.tokens.map(|rate| self.tokens.left(&rate.shared_by(gateways), now)))
    }
}

/// The limits of single models that a call falls under, by their number: none or one, mostly.
#[derive(Debug, Default)]
struct Models {
    first: Option<usize>,
    others: Vec<usize>,
}

impl Models {
    fn push(&mut self, at: usize) {
        match self.first {
            None => self.first = Some(at),
            Some(_) => self.others.push(at),
        }
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        self.first.into_iter().chain(self.others.iter().copied())
    }
}

/// What a call holds. Dropped, it gives everything back; settled, what was used stays used.
#[derive(Debug)]
#[must_use]
pub struct Hold {
    reserve: Arc<Reserve>,
    models: Models,
    amount: Amount,
    /// The first so many calendars are those that it holds money of.
    spends: usize,
    tightest: Option<Left>,
    /// Another's, which is settled with it.
    also: Option<Box<Hold>>,
    /// What other gateways know of it.
    claimed: Option<Box<Claimed>>,
}

impl Hold {
    /// Holds of another's too.
    pub fn with(mut self, other: Self) -> Self {
        self.tightest = tighter(self.tightest, other.tightest);
        self.also = Some(Box::new(other));
        self
    }

    /// Other gateways know of it too.
    pub fn claimed(&mut self, claimed: Claimed) {
        self.claimed = Some(Box::new(claimed));
    }

    /// What was left of the tightest limit of tokens once this was held.
    pub fn left(&self) -> Option<Left> {
        self.tightest
    }

    /// Gives everything back, the request that it counted as too: another limit refused it.
    pub fn take_back(self) {
        self.each_model(|state, _| state.requests.unspend(1));
    }

    /// Gives everything back. What is left of the tightest limit of tokens then, as far as other gateways told.
    pub fn give_back(self) -> Option<Left> {
        let claimed = |hold: &Self| hold.claimed.as_ref().and_then(|claimed| claimed.left_without());
        tighter(claimed(&self), self.also.as_deref().and_then(claimed))
    }

    /// Takes what was used, and gives the rest back.
    pub fn settle(mut self, used: Amount, now: Now) {
        if let Some(also) = self.also.take() {
            also.settle(used, now);
        }
        if let Some(claimed) = self.claimed.take() {
            claimed.settle(used);
        }
        let limits = &self.reserve.limits;
        {
            let mut state = lock(&self.reserve.meters.state);
            if let Some(rate) = &limits.tokens {
                state.tokens.spend(used.tokens, rate, now.instant);
            }
            state.spends.iter_mut().for_each(|spend| spend.spend(used.cost, now.unix_s));
        }
        self.each_model(|state, limit| {
            if let Some(rate) = &limit.tokens {
                state.tokens.spend(used.tokens, rate, now.instant);
            }
        });
    }

    /// What is used of the limits of single models, each in turn.
    fn each_model(&self, mut with: impl FnMut(&mut ModelState, &ModelLimit)) {
        for (limit, state) in self.models.iter().filter_map(|at| self.reserve.model(at)) {
            with(&mut lock(state), limit);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        {
            let mut state = lock(&self.reserve.meters.state);
            state.tokens.release(self.amount.tokens);
            state.spends.iter_mut().take(self.spends).for_each(|spend| spend.release(self.amount.cost));
        }
        self.each_model(|state, _| {
            state.tokens.release(self.amount.tokens);
            state.in_flight = state.in_flight.saturating_sub(1);
        });
    }
}

#[cfg(test)]
mod tests;
