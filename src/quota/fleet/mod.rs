//! Limits that several gateways share. Each tells the others, through a store, what it holds and has used of a limit, and
//! asks before it takes more. While they cannot ask each other, each goes on with its part. Pure: what asks and
//! tells is behind [`Peers`].
//!
//! A limit's own counts ([`super::level`], [`super::spend`]) go on beside this: they know what this gateway alone did,
//! and so what its part is.

mod claim;
mod meter;

pub(super) use claim::What;
pub use claim::{Answer, Claim, Claimed, Item, Refused, Verdict};
pub use meter::{Bound, Meter, Told};

use super::{Budget, CallLimit, Left, Per, Rate, level::Level, spend::Window};
use sha2::Digest;
use std::{
    collections::HashMap,
    fmt,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
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

impl Rate {
    /// The part of one of so many gateways.
    #[must_use]
    pub fn shared_by(self, gateways: NonZeroU32) -> Self {
        let burst = NonZeroU32::new(self.burst.get() / gateways).unwrap_or(NonZeroU32::MIN);
        Self { per: self.per.saturating_mul(gateways.get()), burst, ..self }
    }
}

/// The limits of one tenant or key, as the gateways tell each other of them.
pub(super) struct Shared {
    /// `{acme}` or `{acme}/prod`: what is in braces is in one place of a store that is divided.
    name: Box<str>,
    pub(super) peers: Arc<dyn Peers>,
    made: Mutex<HashMap<Box<str>, Arc<Meter>>>,
}

impl Shared {
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
        let meter = Arc::new(Meter::new(format!("{}:{limit}", self.name), bound));
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
        let bound = Bound::Money { budget: *budget, until: window.end };
        let meter = self.of(&format!("{prefix}{}", window.start), bound);
        meter.remember(known);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        // What is over and told is forgotten.
        made.retain(|name, old| {
            !name.starts_with(&prefix) || Arc::ptr_eq(old, &meter) || old.untold() > 0 || old.held() > 0
        });
        meter
    }

    /// These are all the rules that have limits.
    pub(super) fn hear_of(&self, rules: &[CallLimit]) {
        let names: Vec<String> = rules.iter().map(|limit| of_rule(&limit.rule)).collect();
        for (limit, name) in rules.iter().zip(&names) {
            drop(self.of(name, Bound::Rate(limit.rate)));
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.retain(|name, meter| {
            !name.starts_with(RULE) || meter.untold() > 0 || names.iter().any(|rule| **rule == **name)
        });
    }

    /// Has all limits of rules told, and so heard of.
    pub(super) fn refresh_rules(&self) {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.iter().filter(|(name, _)| name.starts_with(RULE)).for_each(|(_, meter)| self.peers.touch(meter));
    }

    /// Takes so many calls of a rule's limit, of which `level` is what is known here, if there is one; else how long it
    /// takes until there is.
    pub(super) fn take_calls(
        &self,
        rule: &str,
        rate: Rate,
        count: NonZeroU32,
        level: &mut Level,
    ) -> Result<(), Duration> {
        let now = self.peers.now();
        let meter = self.of(&of_rule(rule), Bound::Rate(rate));
        if let Some((reset, when)) = meter.take_reset() {
            level.learn(reset, &rate, when);
            level.spend(meter.untold(), &rate, now);
        }
        level.room(&rate.shared_by(self.divisor()), now)?;
        level.spend(count.get().into(), &rate, now);
        meter.count(count.get().into());
        self.peers.touch(&meter);
        Ok(())
    }

    /// Lets in one request of those that this gateway may let in alone.
    pub(super) fn take_alone(&self, rate: Rate, gateways: NonZeroU32) -> (Result<(), Duration>, Left) {
        self.of("requests", Bound::Rate(rate)).take_alone(rate, gateways, self.peers.now())
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("name", &self.name).finish_non_exhaustive()
    }
}

const RULE: &str = "rule:";

/// What a rule's limit goes by.
fn of_rule(rule: &str) -> String {
    let digest = sha2::Sha256::digest(rule);
    digest.iter().take(16).fold(RULE.to_owned(), |name, byte| format!("{name}{byte:02x}"))
}

/// A request that the others do not know of yet. Dropped, they are told.
#[derive(Debug)]
#[must_use]
pub(super) struct Unasked {
    pub(super) shared: Arc<Shared>,
    pub(super) rate: Option<Rate>,
    /// This gateway's part counts it.
    pub(super) is_counted: bool,
}

impl Unasked {
    /// They are asked now. Whether this gateway's part counts it.
    pub(super) fn asked(mut self) -> bool {
        self.rate = None;
        self.is_counted
    }
}

impl Drop for Unasked {
    fn drop(&mut self) {
        if let Some(rate) = self.rate.take() {
            let meter = self.shared.of("requests", Bound::Rate(rate));
            meter.count(1);
            if !self.is_counted {
                meter.own().spend(1, &rate, self.shared.peers.now());
            }
            self.shared.peers.touch(&meter);
        }
    }
}
