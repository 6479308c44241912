//! When a program that failed is started again: at once for the first use after its wait, which doubles.

use std::time::{Duration, Instant};

pub(super) const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// What lived so long did not fail at its start.
const LIVED_WELL: Duration = Duration::from_secs(60);

/// How often a program failed in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Backoff {
    failures: u32,
    until: Option<Instant>,
}

impl Backoff {
    /// A program that was started at one time failed at another.
    pub(super) fn failed(&mut self, started: Instant, failed: Instant) {
        if failed.saturating_duration_since(started) >= LIVED_WELL {
            self.failures = 0;
        }
        let wait = BACKOFF_MIN.saturating_mul(1_u32.checked_shl(self.failures.min(16)).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        self.until = failed.checked_add(wait.min(BACKOFF_MAX));
    }

    /// So long it is not started yet.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// Whether it can be forgotten that anything failed.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now.saturating_duration_since(until) >= LIVED_WELL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn it_doubles_up_to_half_a_minute_and_a_long_life_resets_it() {
        let mut now = clock::now();
        let mut backoff = Backoff::default();
        assert_eq!(backoff.left(now), None);
        assert!(backoff.is_over(now));
        let mut waits = Vec::new();
        for _ in 0..40 {
            backoff.failed(now, now);
            let wait = backoff.left(now).unwrap();
            assert_eq!(backoff.left(now + wait), None);
            assert!(!backoff.is_over(now + wait));
            now += wait;
            waits.push(wait.as_millis());
        }
        assert_eq!(waits[..10], [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000]);
        assert!(waits[10..].iter().all(|wait| *wait == 30000));
        backoff.failed(now, now + LIVED_WELL);
        assert_eq!(backoff.left(now + LIVED_WELL), Some(BACKOFF_MIN));
        assert!(backoff.is_over(now + LIVED_WELL * 3));
    }
}
