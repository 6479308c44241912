//! One limit, as the gateways tell each other of it: what this one holds and uses, and what it hears of the others.

use super::super::{Budget, Left, Rate, level::Level};
use std::{
    fmt,
    num::NonZeroU32,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// One limit, as the gateways tell each other of it.
pub struct Meter {
    /// What it goes by in the store, behind its prefix: `{acme}:tokens`, `{acme}/prod:requests`.
    name: Box<str>,
    bound: Mutex<Bound>,
    /// What this gateway holds now.
    pub(super) held: AtomicU64,
    /// What it used and did not tell yet; of money all that it spent.
    used: AtomicU64,
    /// Of money: what of it the store knows.
    told: AtomicU64,
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
    /// So many micro-dollars, until a moment: seconds since 1970.
    Money { budget: Budget, until: i64 },
}

impl Meter {
    pub(super) fn new(name: String, bound: Bound) -> Self {
        Self {
            name: name.into(),
            bound: Mutex::new(bound),
            held: AtomicU64::new(0),
            used: AtomicU64::new(0),
            told: AtomicU64::new(0),
            is_touched: AtomicBool::new(false),
            spent: AtomicU64::new(0),
            own: Mutex::default(),
            reset: Mutex::default(),
        }
    }

    /// Lets in one request if it is within this gateway's part.
    pub(super) fn take_alone(
        &self,
        rate: Rate,
        gateways: NonZeroU32,
        now: Instant,
    ) -> (Result<(), Duration>, Left) {
        let rate = rate.shared_by(gateways);
        let mut own = self.own();
        let room = own.room(&rate, now);
        if room.is_ok() {
            own.spend(1, &rate, now);
        }
        (room, own.left(&rate, now))
    }

    pub(super) fn own(&self) -> MutexGuard<'_, Level> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// What is to be told, and then arrived ([`Self::arrived`]) or did not ([`Self::is_lost`]): of money all that this
    /// gateway spent, so that it may be told twice; else what it used since.
    pub fn tell(&self) -> u64 {
        self.is_touched.store(false, Relaxed);
        if self.is_money() { self.used.load(Relaxed) } else { self.used.swap(0, Relaxed) }
    }

    /// What was told is known to all.
    pub fn arrived(&self, told: u64) {
        if self.is_money() {
            self.told.fetch_max(told, Relaxed);
        }
    }

    /// What was told is not known, as far as can be said.
    pub fn is_lost(&self, told: u64) {
        if !self.is_money() {
            self.used.fetch_add(told, Relaxed);
        }
    }

    /// What was used and is not told yet.
    pub fn untold(&self) -> u64 {
        self.used.load(Relaxed).saturating_sub(self.told.load(Relaxed))
    }

    fn is_money(&self) -> bool {
        matches!(self.bound(), Bound::Money { .. })
    }

    /// Whether a store that forgot everything would have to be told of it, at a moment in seconds since 1970.
    pub fn matters(&self, unix_s: i64) -> bool {
        let is_spent = match self.bound() {
            Bound::Money { until, .. } => until > unix_s && self.used.load(Relaxed) > 0,
            Bound::Rate(_) | Bound::Places(_) => false,
        };
        is_spent || self.held() > 0
    }

    /// Whether nobody said before that it has to be told.
    pub fn is_first_touch(&self) -> bool {
        !self.is_touched.swap(true, Relaxed)
    }

    /// What all gateways together used of money, as last told.
    pub fn spent(&self) -> u64 {
        self.spent.load(Relaxed)
    }

    pub(super) fn take_reset(&self) -> Option<(Duration, Instant)> {
        self.reset.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn count(&self, used: u64) {
        self.used.fetch_add(used, Relaxed);
    }

    /// Has used so much of money at least, as the ledger says.
    pub(super) fn remember(&self, spent: u64) {
        self.used.fetch_max(spent, Relaxed);
    }

    /// So much is known already.
    pub(super) fn uncount(&self, used: u64) {
        let less = |untold: u64| Some(untold.saturating_sub(used));
        self.used.fetch_update(Relaxed, Relaxed, less).ok();
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("name", &self.name).field("held", &self.held).finish_non_exhaustive()
    }
}

/// What the store says of one limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Of a rate: whole units left. Of places: how many are taken. Of money: micro-dollars spent.
    pub first: u64,
    /// Of a rate: microseconds until all of it is there again.
    pub second: u64,
}

impl Meter {
    /// Takes in what the store says.
    pub fn learn(&self, told: Told, now: Instant) {
        match self.bound() {
            Bound::Rate(_) => {
                let reset = Some((Duration::from_micros(told.second), now));
                *self.reset.lock().unwrap_or_else(PoisonError::into_inner) = reset;
            }
            Bound::Places(_) => {}
            Bound::Money { .. } => self.spent.store(told.first, Relaxed),
        }
    }
}
