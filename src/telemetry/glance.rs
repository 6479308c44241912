//! What each tenant does now, for a person who looks: counts since the start, the last hour by minutes, and how long the
//! slowest of its last requests took. Kept apart from the metrics, which know no tenant's times: their series would be
//! too many. Tenants beyond [`TENANTS_MAX`] are not kept while others are busy.

use crate::ledger::Counts;
use dashmap::DashMap;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

/// So many tenants are kept at once; each takes less than 2 KiB.
const TENANTS_MAX: usize = 20_000;
/// A tenant that did nothing for so many minutes may be forgotten.
const FORGOTTEN_AFTER: i64 = MINUTES as i64;
/// The minutes of which counts are kept.
pub const MINUTES: usize = 60;
/// The minutes whose requests make the percentile.
const SLOW_MINUTES: i64 = 5;
/// Times are sorted into ranges, each a quarter longer than the one before: from 1 ms on to about 3 minutes.
const RANGES: usize = 56;
const RANGE_GROWS: f64 = 1.25;

/// What happened in a minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Minute {
    /// Minutes since 1970, UTC.
    pub minute: i64,
    pub requests: u32,
    pub denied: u32,
    pub input_tokens: u32,
    pub output_tokens: u32,
    pub cost_micro_usd: u32,
}

impl Minute {
    /// The same as counts.
    pub fn counts(&self) -> Counts {
        Counts {
            requests: u64::from(self.requests),
            input_tokens: u64::from(self.input_tokens),
            output_tokens: u64::from(self.output_tokens),
            cost_micro_usd: u64::from(self.cost_micro_usd),
            denied: u64::from(self.denied),
        }
    }
}

/// A tenant, or all of them, at a glance.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Glance {
    /// Since the gateway started.
    pub total: Counts,
    /// The minutes in which something happened, the oldest first.
    pub minutes: Vec<Minute>,
    /// Of the last minutes, 99 of 100 requests took no longer than that.
    pub p99: Option<Duration>,
}

/// The times of a minute's requests.
#[derive(Debug, Clone)]
struct Times {
    minute: i64,
    counts: [u16; RANGES],
}

/// What is kept of a tenant.
#[derive(Debug)]
struct Kept {
    total: Counts,
    minutes: Vec<Minute>,
    times: Vec<Times>,
}

/// All tenants that did something.
#[derive(Debug)]
pub struct Glances {
    tenants: DashMap<Arc<str>, Mutex<Kept>>,
    all: Mutex<Kept>,
    /// When room was made last, in minutes.
    swept: AtomicI64,
}

impl Default for Glances {
    fn default() -> Self {
        Self { tenants: DashMap::new(), all: Mutex::new(Kept::new()), swept: AtomicI64::new(0) }
    }
}

/// The range that a time falls in.
fn range(time: Duration) -> usize {
    let ms = time.as_secs_f64() * 1e3;
    let at = if ms <= 1.0 { 0.0 } else { ms.ln() / RANGE_GROWS.ln() };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and bounded")]
    let at = at.ceil() as usize;
    at.min(RANGES - 1)
}

/// The longest time of a range.
fn longest(range: usize) -> Duration {
    let power = i32::try_from(range).unwrap_or(i32::MAX);
    Duration::from_secs_f64(RANGE_GROWS.powi(power) / 1e3)
}

impl Kept {
    fn new() -> Self {
        Self { total: Counts::default(), minutes: Vec::new(), times: Vec::new() }
    }

    fn count(&mut self, minute: i64, counts: &Counts) {
        self.total.add(counts);
        let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let now = self.minute(minute);
        for (mine, more) in [
            (&mut now.requests, counts.requests),
            (&mut now.denied, counts.denied),
            (&mut now.input_tokens, counts.input_tokens),
            (&mut now.output_tokens, counts.output_tokens),
            (&mut now.cost_micro_usd, counts.cost_micro_usd),
        ] {
            *mine = mine.saturating_add(small(more));
        }
    }

    /// The counts of a minute: a new one's, or those of the last one where the clock was set back.
    fn minute(&mut self, minute: i64) -> &mut Minute {
        if self.minutes.last().is_none_or(|last| last.minute < minute) {
            let first = minute.saturating_sub(MINUTES as i64);
            self.minutes.retain(|kept| kept.minute > first);
            self.minutes.push(Minute { minute, ..Minute::default() });
        }
        let last = self.minutes.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "pushed above, if there was none")]
        &mut self.minutes[last]
    }

    fn took(&mut self, minute: i64, time: Duration) {
        if self.times.last().is_none_or(|last| last.minute < minute) {
            self.times.retain(|times| times.minute > minute - SLOW_MINUTES);
            self.times.push(Times { minute, counts: [0; RANGES] });
        }
        let counts = self.times.last_mut().and_then(|last| last.counts.get_mut(range(time)));
        if let Some(count) = counts {
            *count = count.saturating_add(1);
        }
    }

    fn p99(&self, minute: i64) -> Option<Duration> {
        let times = self.times.iter().filter(|times| times.minute > minute - SLOW_MINUTES);
        let mut counts = [0_u64; RANGES];
        for times in times {
            counts.iter_mut().zip(times.counts).for_each(|(sum, count)| *sum += u64::from(count));
        }
        let all: u64 = counts.iter().sum();
        let mut beyond = all / 100;
        let slow = counts.iter().enumerate().rev().find(|(_, count)| {
            let is_it = **count > beyond;
            beyond = beyond.saturating_sub(**count);
            is_it
        });
        slow.map(|(range, _)| longest(range))
    }

    fn glance(&self, minute: i64) -> Glance {
        let first = minute.saturating_sub(MINUTES as i64);
        let minutes = self.minutes.iter().filter(|kept| kept.minute > first);
        Glance { total: self.total, minutes: minutes.copied().collect(), p99: self.p99(minute) }
    }
}

impl Glances {
    /// A tenant used something. `minute` is the one that it is, since 1970, UTC.
    pub fn count(&self, tenant: &Arc<str>, minute: i64, counts: &Counts) {
        self.with(tenant, minute, &|kept| kept.count(minute, counts));
    }

    /// A tenant's request ended after so long.
    pub fn took(&self, tenant: &Arc<str>, minute: i64, time: Duration) {
        self.with(tenant, minute, &|kept| kept.took(minute, time));
    }

    /// A tenant at a glance; `None` where nothing is kept of it.
    pub fn of(&self, tenant: &str, minute: i64) -> Option<Glance> {
        let kept = self.tenants.get(tenant)?;
        Some(lock(&kept).glance(minute))
    }

    /// What each tenant used in the last hour.
    pub fn last_hour(&self, minute: i64) -> HashMap<String, Counts> {
        let of = |kept: &Mutex<Kept>| {
            let mut sum = Counts::default();
            lock(kept).glance(minute).minutes.iter().for_each(|minute| sum.add(&minute.counts()));
            sum
        };
        self.tenants.iter().map(|entry| (entry.key().to_string(), of(entry.value()))).collect()
    }

    /// All tenants together.
    pub fn all(&self, minute: i64) -> Glance {
        lock(&self.all).glance(minute)
    }

    fn with(&self, tenant: &Arc<str>, minute: i64, change: &dyn Fn(&mut Kept)) {
        change(&mut lock(&self.all));
        if let Some(kept) = self.tenants.get(tenant) {
            change(&mut lock(&kept));
            return;
        }
        if self.tenants.len() >= TENANTS_MAX {
            self.make_room(minute);
        }
        if self.tenants.len() < TENANTS_MAX {
            let kept = self.tenants.entry(Arc::clone(tenant)).or_insert_with(|| Mutex::new(Kept::new()));
            change(&mut lock(&kept));
        }
    }

    /// Forgets who did nothing for an hour, once a minute at most.
    fn make_room(&self, minute: i64) {
        if self.swept.swap(minute, Relaxed) != minute {
            let busy = |kept: &Mutex<Kept>| {
                let kept = lock(kept);
                kept.minutes.last().is_some_and(|last| last.minute > minute - FORGOTTEN_AFTER)
            };
            self.tenants.retain(|_, kept| busy(kept));
        }
    }
}

fn lock(kept: &Mutex<Kept>) -> std::sync::MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: Counts =
        Counts { requests: 1, input_tokens: 10, output_tokens: 2, cost_micro_usd: 7, denied: 1 };

    #[test]
    fn an_hour_is_kept_by_minutes_and_each_tenant_by_itself() {
        let glances = Glances::default();
        let [acme, globex]: [Arc<str>; 2] = ["acme".into(), "globex".into()];
        for minute in 0..200 {
            glances.count(&acme, minute, &ONE);
            glances.count(&acme, minute, &ONE);
        }
        glances.count(&globex, 199, &ONE);
        let acme = glances.of("acme", 199).unwrap();
        assert_eq!((acme.total.requests, acme.minutes.len()), (400, MINUTES));
        let last = Minute {
            minute: 199,
            requests: 2,
            denied: 2,
            input_tokens: 20,
            output_tokens: 4,
            cost_micro_usd: 14,
        };
        assert_eq!(acme.minutes.last(), Some(&last));
        assert_eq!(glances.of("globex", 199).unwrap().total, ONE);
        assert_eq!(glances.all(199).total.requests, 401);
        let hour = glances.last_hour(199);
        assert_eq!((hour["acme"].requests, hour["globex"]), (120, ONE));
        assert_eq!(glances.of("acme", 250).unwrap().minutes.first().unwrap().minute, 191);
        assert_eq!(glances.of("nobody", 199), None);
        // A clock that is set back counts into the last minute there was.
        glances.count(&"acme".into(), 5, &ONE);
        assert_eq!(glances.of("acme", 199).unwrap().minutes.last().unwrap().requests, 3);
    }

    #[test]
    fn no_more_tenants_are_kept_than_there_is_room_for() {
        let glances = Glances::default();
        for tenant in 0..TENANTS_MAX + 10 {
            glances.count(&tenant.to_string().into(), 1, &ONE);
        }
        assert_eq!((glances.tenants.len(), glances.of(&TENANTS_MAX.to_string(), 1)), (TENANTS_MAX, None));
        assert_eq!(glances.all(1).total.requests, TENANTS_MAX as u64 + 10);
        glances.count(&"late".into(), 1 + FORGOTTEN_AFTER, &ONE);
        assert_eq!(glances.tenants.len(), 1);
    }

    proptest! {
        #[test]
        fn the_percentile_is_within_a_range_of_the_true_one(times in prop::collection::vec(1_000..100_000_000_u64, 1..400)) {
            let glances = Glances::default();
            for time in &times {
                glances.took(&"acme".into(), 3, Duration::from_micros(*time));
            }
            let mut sorted = times;
            sorted.sort_unstable();
            let exact = sorted[sorted.len() - 1 - sorted.len() / 100];
            let told = glances.of("acme", 3).unwrap().p99.unwrap().as_micros() as f64;
            let exact = exact as f64;
            prop_assert!(exact <= told * 1.000_001 && told <= exact * RANGE_GROWS * 1.000_001, "{exact} {told}");
            prop_assert_eq!(glances.of("acme", 3 + SLOW_MINUTES).unwrap().p99, None);
        }
    }
}
