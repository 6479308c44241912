//! What may stand behind a head that does not say that the chain ends there: a head is put in place about once a second
//! while records come, so that a crash leaves little behind it. Without a bound, whoever has kept an old head could put
//! it back, and anything behind it. So a head says until when records may come behind it, and before one that is
//! younger is written, a new head is put in place: after a pause, a jump of the clock, or a disk that hung for so long.

use std::time::{Duration, SystemTime};

use super::{chain::Walk, head::Head, stamp::parse_time};

/// So much younger than the last record before a head a record behind it may be. As long as for checkpoints.
const GRACE: Duration = Duration::from_secs(300);

/// Until when records may come behind a head whose newest line is of `newest`.
pub(super) fn until(newest: SystemTime) -> SystemTime {
    newest.checked_add(GRACE).unwrap_or(newest)
}

/// Passes the records behind a head.
#[derive(Debug, Clone, Copy)]
pub(super) struct Behind {
    /// A head of a version that did not say it: then the first record behind it counts.
    until: Option<SystemTime>,
}

impl Behind {
    pub(super) fn of(head: &Head) -> Self {
        Self { until: head.until }
    }

    /// Whether a record may stand there.
    pub(super) fn admits(&mut self, line: &[u8]) -> bool {
        let Some(made) = Walk::time_of(line).and_then(parse_time) else { return false };
        made <= *self.until.get_or_insert_with(|| until(made))
    }
}
