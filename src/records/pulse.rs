//! Whether the records' threads get through to the disk. One that fails says so; one that hangs says nothing, and neither can
//! the thread that waits for it: so each notes when it began what may wait for the disk, and whoever wants to know looks
//! how long ago that is.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use crate::clock;

/// A disk that takes nothing for so long hangs.
pub const HANGS_AFTER: Duration = Duration::from_secs(10);

/// Who waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hand {
    Writer,
    Syncer,
}

/// When each of them began what it does, in milliseconds after `born` and one more; 0: it does nothing.
#[derive(Debug)]
pub(super) struct Pulse {
    born: Instant,
    writer: AtomicU64,
    syncer: AtomicU64,
    is_told: AtomicBool,
}

impl Default for Pulse {
    fn default() -> Self {
        let (writer, syncer) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { born: clock::now(), writer, syncer, is_told: AtomicBool::new(false) }
    }
}

impl Pulse {
    fn of(&self, hand: Hand) -> &AtomicU64 {
        match hand {
            Hand::Writer => &self.writer,
            Hand::Syncer => &self.syncer,
        }
    }

    fn since_born(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.born).as_millis()).unwrap_or(u64::MAX - 1)
    }

    /// It got through to here, and what comes now may wait.
    pub(super) fn beat(&self, hand: Hand) {
        self.of(hand).store(self.since_born(clock::now()) + 1, Relaxed);
    }

    /// It waits for nothing any more.
    pub(super) fn rest(&self, hand: Hand) {
        self.of(hand).store(0, Relaxed);
    }

    /// Whether one of them waits for longer than a disk may take. Cheap where none waits.
    pub(super) fn hangs(&self) -> bool {
        let begun = [Hand::Writer, Hand::Syncer].map(|hand| self.of(hand).load(Relaxed));
        begun != [0, 0] && self.hangs_at(begun, clock::now())
    }

    fn hangs_at(&self, begun: [u64; 2], now: Instant) -> bool {
        let now = self.since_born(now);
        let most = u64::try_from(HANGS_AFTER.as_millis()).unwrap_or(u64::MAX);
        begun.into_iter().any(|begun| begun > 0 && now.saturating_sub(begun - 1) > most)
    }

    /// Whether it is to be told now that it hangs: once, until it goes on.
    pub(super) fn is_news(&self) -> bool {
        !self.is_told.swap(true, Relaxed)
    }

    /// Whether it was told that it hangs, and goes on again: once.
    pub(super) fn goes_on(&self) -> bool {
        self.is_told.load(Relaxed) && !self.hangs() && self.is_told.swap(false, Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_longer_than_a_disk_may_take_hangs() {
        let pulse = Pulse::default();
        let at = |seconds: u64| pulse.born + Duration::from_secs(seconds);
        for begun in [[1, 0], [0, 1], [1, 20_001]] {
            assert!(!pulse.hangs_at(begun, at(10)), "{begun:?}");
            assert!(pulse.hangs_at(begun, at(11)), "{begun:?}");
        }
        assert!(!pulse.hangs_at([0, 0], at(1000)) && !pulse.hangs());
        pulse.beat(Hand::Syncer);
        assert!(pulse.of(Hand::Syncer).load(Relaxed) > 0 && !pulse.hangs());
        pulse.rest(Hand::Syncer);
        assert_eq!(pulse.of(Hand::Syncer).load(Relaxed), 0);
    }

    #[test]
    fn it_is_told_once_and_its_end_too() {
        let pulse = Pulse::default();
        assert!(!pulse.goes_on());
        assert!(pulse.is_news() && !pulse.is_news());
        assert!(pulse.goes_on() && !pulse.goes_on());
        assert!(pulse.is_news());
    }
}
