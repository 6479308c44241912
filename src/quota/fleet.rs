//! Limits that several gateways share. Each tells the others, through a store, what it holds and has used of a limit, and
//! asks before it takes more. While they cannot ask each other, each goes on with its part. Pure: what asks and
//! tells is behind [`Peers`].
//!
//! A limit's own counts ([`super::level`], [`super::spend`]) go on beside this: they know what this gateway alone did,
//! and so what its part is.

use super::{Amount, Budget, Left, Per, Rate, Shortage, level::Level, spend::Window};
use sha2::Digest;
use std::{
    collections::HashMap,
    fmt,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// The gateways that share limits with this one.
pub trait Peers: Send + Sync {
    /// By how many a limit is divided now: by one while they can be asked.
    fn divisor(&self) -> NonZeroU32;
    /// What time it is.
    fn now(&self) -> Instant;
    /// Tells them soon what changed of a limit.
    fn touch(&self, meter: &Arc<Meter>);
}

/// One limit, as the gateways tell each other of it.
pub struct Meter {
    /// What it goes by in the store, behind its prefix: `{acme}:tokens`, `{acme}/prod:requests`.
    name: Box<str>,
    bound: Mutex<Bound>,
    /// What this gateway holds now.
    held: AtomicU64,
    /// What it used and did not tell yet.
    untold: AtomicU64,
    /// It waits to be told already.
    is_touched: AtomicBool,
    /// What all together used, of money in this hour, day or month, as last told.
    spent: AtomicU64,
    /// Of a rate of requests: what this gateway let in, with the others or alone.
    own: Mutex<Level>,
    /// Of a rate: how long, from when, all that is taken takes to come back.
    reset: Mutex<Option<(Duration, Instant)>>,
}

/// What a limit allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// So much comes back with time.
    Rate(Rate),
    /// So many at once.
    Places(u32),
    /// So many micro-dollars, until a moment: seconds since 1970. `known` are spent at least.
    Money { budget: Budget, until: i64, known: u64 },
}

impl Meter {
    pub(super) fn new(name: String, bound: Bound) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            bound: Mutex::new(bound),
            held: AtomicU64::new(0),
            untold: AtomicU64::new(0),
            is_touched: AtomicBool::new(false),
            spent: AtomicU64::new(0),
            own: Mutex::default(),
            reset: Mutex::default(),
        })
    }

    /// Lets in one request if it is within this gateway's part.
    fn take_alone(&self, rate: Rate, gateways: NonZeroU32, now: Instant) -> (Result<(), Duration>, Left) {
        let rate = rate.shared_by(gateways);
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let room = own.room(&rate, now);
        if room.is_ok() {
            own.spend(1, &rate, now);
        }
        (room, own.left(&rate, now))
    }

    /// What it goes by in the store.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the limit allows, as the configuration says now.
    pub fn bound(&self) -> Bound {
        *self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn allow(&self, bound: Bound) {
        *self.bound.lock().unwrap_or_else(PoisonError::into_inner) = bound;
    }

    /// What this gateway holds of it now.
    pub fn held(&self) -> u64 {
        self.held.load(Relaxed)
    }

    /// Takes what was used and has to be told; [`Self::is_back`] if it could not be.
    pub fn take_untold(&self) -> u64 {
        self.is_touched.store(false, Relaxed);
        self.untold.swap(0, Relaxed)
    }

    /// What was used and is not told yet.
    pub fn untold(&self) -> u64 {
        self.untold.load(Relaxed)
    }

    /// So much could not be told after all.
    pub fn is_back(&self, untold: u64) {
        self.untold.fetch_add(untold, Relaxed);
    }

    /// Whether nobody said before that it has to be told.
    pub fn is_first_touch(&self) -> bool {
        !self.is_touched.swap(true, Relaxed)
    }

    /// What all gateways together used of money, as the store says.
    pub fn learn_spent(&self, spent: u64) {
        self.spent.store(spent, Relaxed);
    }

    /// How long all that the gateways have taken of a rate takes to come back, as the store says.
    pub fn learn_reset(&self, reset: Duration, now: Instant) {
        *self.reset.lock().unwrap_or_else(PoisonError::into_inner) = Some((reset, now));
    }

    pub(super) fn spent(&self) -> u64 {
        self.spent.load(Relaxed)
    }

    pub(super) fn take_reset(&self) -> Option<(Duration, Instant)> {
        self.reset.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn count(&self, used: u64) {
        self.untold.fetch_add(used, Relaxed);
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("name", &self.name).field("held", &self.held).finish_non_exhaustive()
    }
}

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
pub(super) enum What {
    Requests,
    Places,
    Tokens,
    Money,
    ModelRequests,
    ModelPlaces,
    ModelTokens,
}

/// What the store says of one limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Of a rate: whole units left. Of places: how many are taken. Of money: micro-dollars spent.
    pub first: u64,
    /// Of a rate: microseconds until all of it is there again.
    pub second: u64,
}

/// What the store says of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All of it is held and used.
    Granted(Vec<Told>),
    /// None of it: the limit of this number is used up, for so long.
    Refused { at: usize, wait: Duration, told: Vec<Told> },
}

/// What a request asks of all limits that it falls under, at once.
#[must_use]
pub struct Claim {
    peers: Arc<dyn Peers>,
    items: Vec<Item>,
}

impl Claim {
    pub(super) fn new(peers: &Arc<dyn Peers>) -> Self {
        Self { peers: Arc::clone(peers), items: Vec::with_capacity(4) }
    }

    pub(super) fn add(&mut self, meter: Arc<Meter>, what: What, (spend, hold): (u64, u64)) {
        meter.held.fetch_add(hold, Relaxed);
        self.items.push(Item { meter, spend, hold, what });
    }

    /// Asks for what another asks for too.
    pub fn with(mut self, mut other: Self) -> Self {
        self.items.append(&mut other.items);
        self
    }

    /// What holds nothing.
    pub fn nothing(peers: &Arc<dyn Peers>) -> Claimed {
        Claimed { peers: Arc::clone(peers), items: Vec::new() }
    }

    /// What is asked of each limit.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// It was granted: what is left of the requests and of the tokens.
    pub fn granted(self, told: &[Told], now: Instant) -> (Claimed, [Option<Left>; 2]) {
        self.learn(told, now);
        for item in &self.items {
            if let (What::Requests, Bound::Rate(rate)) = (item.what, item.meter.bound()) {
                item.meter.own.lock().unwrap_or_else(PoisonError::into_inner).spend(item.spend, &rate, now);
            }
        }
        let left = self.left(told);
        (self.held(), left)
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
                *left = super::tighter(*left, Some(here));
            }
        }
        left
    }

    /// It was refused; why, and what is left.
    pub fn refused(
        mut self,
        (at, wait): (usize, Duration),
        told: &[Told],
        now: Instant,
    ) -> Option<(Refused, [Option<Left>; 2])> {
        self.learn(told, now);
        let why = self.items.get(at).map(|item| (item.refused(wait), self.left(told)));
        for item in self.items.drain(..) {
            item.meter.held.fetch_sub(item.hold, Relaxed);
        }
        why
    }

    /// Nobody could be asked: this gateway goes on with its part, and tells later.
    pub fn unasked(self) -> Claimed {
        for item in &self.items {
            item.meter.count(item.spend);
            self.peers.touch(&item.meter);
        }
        self.held()
    }

    /// It was asked for, and not answered in time: this gateway's part decides, one of so many.
    pub fn unanswered(mut self, gateways: NonZeroU32, now: Instant) -> Result<Claimed, Refused> {
        for item in &self.items {
            if let (What::Requests, Bound::Rate(rate)) = (item.what, item.meter.bound())
                && let (Err(wait), _) = item.meter.take_alone(rate, gateways, now)
            {
                let refused = item.refused(wait);
                self.give_back();
                return Err(refused);
            }
        }
        // Whether it arrived is not known: what is held is told, once more perhaps.
        self.items.iter().for_each(|item| self.peers.touch(&item.meter));
        Ok(self.held())
    }

    fn give_back(&mut self) {
        for item in self.items.drain(..) {
            item.meter.held.fetch_sub(item.hold, Relaxed);
            self.peers.touch(&item.meter);
        }
    }

    fn held(mut self) -> Claimed {
        Claimed { peers: Arc::clone(&self.peers), items: std::mem::take(&mut self.items) }
    }

    fn learn(&self, told: &[Told], now: Instant) {
        for (item, told) in self.items.iter().zip(told) {
            item.meter.learn(*told, now);
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Whoever asked has gone; the store may have granted it.
        self.give_back();
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").field("items", &self.items).finish_non_exhaustive()
    }
}

impl Meter {
    /// Takes in what the store says.
    pub fn learn(&self, told: Told, now: Instant) {
        match self.bound() {
            Bound::Rate(_) => self.learn_reset(Duration::from_micros(told.second), now),
            Bound::Places(_) => {}
            Bound::Money { .. } => self.learn_spent(told.first),
        }
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
}

impl Claimed {
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

impl Rate {
    /// The part of one of so many gateways.
    #[must_use]
    pub fn shared_by(self, gateways: NonZeroU32) -> Self {
        let burst = NonZeroU32::new(self.burst.get() / gateways).unwrap_or(NonZeroU32::MIN);
        Self { per: self.per.saturating_mul(gateways.get()), burst, ..self }
    }
}

/// The limits of one tenant or key, as the gateways tell each other of them.
pub(super) struct Meters {
    /// `{acme}` or `{acme}/prod`: what is in braces is in one place of a store that is divided.
    name: Box<str>,
    pub(super) peers: Arc<dyn Peers>,
    made: Mutex<HashMap<Box<str>, Arc<Meter>>>,
}

impl Meters {
    /// `owner` is a tenant, or a tenant and a key behind a slash.
    pub(super) fn new(owner: &str, peers: Arc<dyn Peers>) -> Self {
        let (tenant, key) = owner.split_at(owner.find('/').unwrap_or(owner.len()));
        Self { name: format!("{{{tenant}}}{key}").into(), peers, made: Mutex::default() }
    }

    pub(super) fn divisor(&self) -> NonZeroU32 {
        self.peers.divisor()
    }

    /// The meter of a limit.
    pub(super) fn of(&self, limit: &str, bound: Bound) -> Arc<Meter> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(meter) = made.get(limit) {
            meter.allow(bound);
            return Arc::clone(meter);
        }
        let meter = Meter::new(format!("{}:{limit}", self.name), bound);
        made.insert(limit.into(), Arc::clone(&meter));
        meter
    }

    /// The meter of the money of an hour, day or month.
    pub(super) fn of_money(&self, budget: &Budget, window: Window, known: u64) -> Arc<Meter> {
        let calendar = budget.calendar;
        let per = match calendar.per {
            Per::Hour => "hour",
            Per::Day => "day",
            Per::Month => "month",
        };
        let prefix = format!("spent:{per}:{}:", calendar.zone);
        let bound = Bound::Money { budget: *budget, until: window.end, known };
        let meter = self.of(&format!("{prefix}{}", window.start), bound);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        // What is over and told is forgotten.
        made.retain(|name, old| {
            !name.starts_with(&prefix) || Arc::ptr_eq(old, &meter) || old.untold() > 0 || old.held() > 0
        });
        meter
    }

    /// Has all limits of rules told, and so heard of.
    pub(super) fn refresh_rules(&self) {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.iter().filter(|(name, _)| name.starts_with(RULE)).for_each(|(_, meter)| self.peers.touch(meter));
    }

    /// Takes one call of a rule's limit, of which `level` is what is known here; else how long it takes until there is one.
    pub(super) fn take_call(&self, rule: &str, rate: Rate, level: &mut Level) -> Result<(), Duration> {
        let now = self.peers.now();
        let digest = sha2::Sha256::digest(rule);
        let name = digest.iter().take(16).fold(RULE.to_owned(), |name, byte| format!("{name}{byte:02x}"));
        let meter = self.of(&name, Bound::Rate(rate));
        if let Some((reset, when)) = meter.take_reset() {
            level.learn(reset, &rate, when);
            level.spend(meter.untold(), &rate, now);
        }
        level.room(&rate.shared_by(self.divisor()), now)?;
        level.spend(1, &rate, now);
        meter.count(1);
        self.peers.touch(&meter);
        Ok(())
    }

    /// Lets in one request of those that this gateway may let in alone.
    pub(super) fn take_alone(&self, rate: Rate, gateways: NonZeroU32) -> (Result<(), Duration>, Left) {
        self.of("requests", Bound::Rate(rate)).take_alone(rate, gateways, self.peers.now())
    }
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meters").field("name", &self.name).finish_non_exhaustive()
    }
}

const RULE: &str = "rule:";

/// A request that the others do not know of yet. Dropped, they are told.
#[derive(Debug)]
#[must_use]
pub(super) struct Unasked {
    pub(super) meters: Arc<Meters>,
    pub(super) rate: Option<Rate>,
}

impl Drop for Unasked {
    fn drop(&mut self) {
        if let Some(rate) = self.rate.take() {
            let meter = self.meters.of("requests", Bound::Rate(rate));
            meter.count(1);
            self.meters.peers.touch(&meter);
        }
    }
}
