//! The one place where the clock is read, and where the time of a core is given up. Everything pure takes the time as an
//! argument.

use std::time::{Instant, SystemTime};

/// The monotonic time, for durations.
#[expect(clippy::disallowed_methods, reason = "the shell's one monotonic clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// The wall clock, for records and calendars.
#[expect(clippy::disallowed_methods, reason = "the shell's one wall clock")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// Lets whoever waits for this thread's core have it: for work that takes longer than others should wait. It has no other
/// effect, so that what is pure may do it.
pub fn give_way() {
    std::thread::yield_now();
}

/// Milliseconds since 1970, UTC.
pub fn unix_millis(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis())
        .unwrap_or(u64::MAX)
}

/// Seconds since 1970, UTC.
pub fn unix_seconds(time: SystemTime) -> i64 {
    i64::try_from(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs())
        .unwrap_or(i64::MAX)
}

/// Minutes since 1970, UTC.
pub fn unix_minutes(time: SystemTime) -> i64 {
    unix_seconds(time).div_euclid(60)
}
