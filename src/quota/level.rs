//! What of a rate is used, and what is held. What is used comes back with time; what is held does not, until it is
//! settled. Pure: the time is an argument.

use super::{Left, Rate};
use std::time::{Duration, Instant};

/// While only calls in flight are in the way, nobody knows how long they take.
const HELD_WAIT: Duration = Duration::from_secs(1);

/// How much of a rate is used and held. It knows no rate of its own, so that a reload may change it.
///
/// A unit that is used is kept as so many parts as its rate's time has nanoseconds: in each of them as many parts come
/// back as the rate has units. That is exact, and nothing is divided where a request passes.
#[derive(Debug, Default)]
pub(super) struct Level {
    used: u128,
    held: u64,
    /// The parts of a unit; 0 while nothing was used.
    parts: u64,
    at: Option<Instant>,
}

impl Level {
    /// Whether one unit is left; else how long it takes until there is.
    pub(super) fn room(&mut self, rate: &Rate, now: Instant) -> Result<(), Duration> {
        self.come_back(rate, now);
        let burst = self.units(u64::from(rate.burst.get()));
        let one = u128::from(self.parts);
        if self.taken().saturating_add(one) <= burst {
            return Ok(());
        }
        // What is held may be over any moment: only what is used has to come back.
        let excess = self.used.saturating_add(one).saturating_sub(burst);
        let wait = time(excess, rate);
        Err(if self.held > 0 { wait.max(HELD_WAIT) } else { wait })
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
        self.used = self.used.saturating_add(self.units(count));
    }

    /// Takes over that what is used comes back in so long from a moment on.
    pub(super) fn learn(&mut self, reset: Duration, rate: &Rate, when: Instant) {
        self.convert(rate);
        let used = reset.as_nanos().saturating_mul(u128::from(rate.count.get()));
        self.used = used.saturating_sub(self.units(self.held));
        self.at = Some(when);
    }

    /// Takes back what was used just now, for nothing.
    pub(super) fn unspend(&mut self, count: u64) {
        self.used = self.used.saturating_sub(self.units(count));
    }

    /// What is left of the burst, in whole units.
    pub(super) fn left(&mut self, rate: &Rate, now: Instant) -> Left {
        self.come_back(rate, now);
        let taken = self.taken();
        let remaining = self.units(u64::from(rate.burst.get())).saturating_sub(taken);
        Left {
            limit: rate.count.get(),
            remaining: u32::try_from(divided(remaining, self.parts)).unwrap_or(u32::MAX),
            reset: time(taken, rate),
        }
    }

    /// What is held now.
    #[cfg(test)]
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    fn taken(&self) -> u128 {
        self.used.saturating_add(self.units(self.held))
    }

    /// So many units, in parts.
    fn units(&self, count: u64) -> u128 {
        u128::from(count) * u128::from(self.parts)
    }

    fn come_back(&mut self, rate: &Rate, now: Instant) {
        self.convert(rate);
        let at = *self.at.get_or_insert(now);
        if now > at {
            let elapsed = now.duration_since(at).as_nanos();
            self.used = self.used.saturating_sub(elapsed.saturating_mul(u128::from(rate.count.get())));
            self.at = Some(now);
        }
    }

    /// Keeps what is used by a rate of another time; what is less than a part counts as one.
    fn convert(&mut self, rate: &Rate) {
        let parts = u64::try_from(rate.per.as_nanos()).unwrap_or(u64::MAX).max(1);
        if self.parts != parts {
            // Apart, whole units and the rest of one: multiplied as they are, they could be more than there is room for.
            let (old, new) = (u128::from(self.parts.max(1)), u128::from(parts));
            let (whole, rest) = (self.used / old, self.used % old);
            self.used = whole.saturating_mul(new).saturating_add((rest * new).div_ceil(old));
            self.parts = parts;
        }
    }
}

/// How long so many parts take to come back, rounded up.
fn time(parts: u128, rate: &Rate) -> Duration {
    let count = u64::from(rate.count.get());
    let nanos = divided(parts.saturating_add(u128::from(count) - 1), count);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// By one machine's word where it can be: a division of more costs several times as much.
fn divided(dividend: u128, divisor: u64) -> u128 {
    let divisor = divisor.max(1);
    match u64::try_from(dividend) {
        Ok(dividend) => u128::from(dividend / divisor),
        Err(_) => dividend / u128::from(divisor),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use proptest::prelude::*;
    use std::num::NonZeroU32;

    fn rate(count: u32, seconds: u64) -> Rate {
        let count = NonZeroU32::new(count).unwrap();
        Rate { count, per: Duration::from_secs(seconds), burst: count }
    }

    proptest! {
        /// However often a reload changes the rate's time, nothing that is used comes back by it, and no more than a part of
        /// a unit is lost each time.
        #[test]
        fn another_time_gives_nothing_back(used in 0_u64..1_000_000, times in prop::collection::vec(1_u64..1_000_000, 1..20)) {
            let now = clock::now();
            let mut level = Level::default();
            level.spend(used, &rate(2_000_000, times[0]), now);
            for seconds in &times {
                let left = level.left(&rate(2_000_000, *seconds), now);
                let gone = 2_000_000 - u64::from(left.remaining);
                prop_assert!(gone == used || gone == used + 1, "{gone} of {used} after {seconds} s");
            }
        }

        /// Whoever comes again when told to finds room, if what was held is over by then; and none before, where time alone
        /// brings it.
        #[test]
        fn the_wait_is_for_what_is_used_alone(used in 0_u64..300, held in 0_u64..300, burst in 1_u32..200, seconds in 1_u64..100_000) {
            let (now, rate) = (clock::now(), rate(burst, seconds));
            let mut level = Level::default();
            level.spend(used, &rate, now);
            level.hold(held);
            let told = level.room(&rate, now);
            prop_assert_eq!(told.is_ok(), used + held < u64::from(burst));
            let Err(wait) = told else { return Ok(()) };
            level.release(held);
            if wait > HELD_WAIT {
                prop_assert!(level.room(&rate, now + wait - Duration::from_nanos(1)).is_err());
            }
            prop_assert!(held == 0 || wait >= HELD_WAIT);
            prop_assert!(level.room(&rate, now + wait).is_ok());
        }

        /// That holds for any use of any rate: nothing is lost for want of room.
        #[test]
        fn much_is_kept_as_exactly(used in 0_u64..=u64::MAX, times in prop::collection::vec(1_u64..=4_000_000_000, 1..20)) {
            let now = clock::now();
            let mut level = Level::default();
            level.spend(used, &rate(u32::MAX, times[0]), now);
            for seconds in times {
                level.left(&rate(u32::MAX, seconds), now);
                let gone = divided(level.used, level.parts);
                prop_assert!(gone == u128::from(used) || gone == u128::from(used) + 1, "{gone} of {used} after {seconds} s");
            }
        }

        /// What is used comes back to the nanosecond, in however many steps one looks.
        #[test]
        fn it_comes_back_in_its_time(used in 1_u64..1_000_000, count in 1_u32..1_000_000, seconds in 1_u64..100_000, steps in prop::collection::vec(0.0_f64..1.0, 0..20)) {
            let rate = rate(count, seconds);
            let begin = clock::now();
            let mut level = Level::default();
            level.spend(used, &rate, begin);
            let whole = level.left(&rate, begin).reset;
            let mut steps = steps;
            steps.sort_by(f64::total_cmp);
            for step in steps {
                let passed = whole.mul_f64(step);
                prop_assert_eq!(level.left(&rate, begin + passed).reset, whole - passed);
            }
            prop_assert_eq!(level.left(&rate, begin + whole).reset, Duration::ZERO);
        }
    }
}
