//! What a program says that nobody can use, counted.

use crate::operator;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the program said that nobody could use. Each kind is told once.
#[derive(Debug, Default)]
pub(super) struct Odd {
    pub(super) unreadable: AtomicU64,
    pub(super) unwanted: AtomicU64,
    pub(super) dropped: AtomicU64,
}

impl Odd {
    /// Counts one, and tells the operator of the first.
    pub(super) fn tell(kind: &AtomicU64, who: &str, what: &str) {
        if kind.fetch_add(1, Ordering::Relaxed) == 0 {
            operator::warn(&format!(
                "{who} wrote {what}; it is left out, and more of its kind are only counted"
            ));
        }
    }

    /// Tells the operator how many there were.
    pub(super) fn sum_up(&self, who: &str) {
        let [unreadable, unwanted, dropped] =
            [&self.unreadable, &self.unwanted, &self.dropped].map(|kind| kind.load(Ordering::Relaxed));
        if unreadable.max(unwanted).max(dropped) > 1 {
            operator::warn(&format!(
                "{who} had written {unreadable} lines that are no messages, {unwanted} answers that nobody waited for, \
                 and {dropped} messages too many"
            ));
        }
    }
}
