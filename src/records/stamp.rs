//! Days and times as records write them: UTC, RFC 3339, milliseconds. Apart because the calendar is the only thing
//! here that files, lines and the verifier must agree on, and it needs no crate and no clock.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const DAY_SECONDS: u64 = 86_400;
/// The last second of the year 9999, after which RFC 3339 has no name.
const SECONDS_MAX: u64 = 253_402_300_799;

/// A day of UTC, in days since 1970-01-01. Shown and parsed as `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(u32);

impl Day {
    /// 1970-01-01.
    pub(super) const FIRST: Self = Self(0);
    /// The last one that has a name.
    const LAST: Self = Self(2_932_896);

    /// The day that a time lies in; times before 1970 count as its first day.
    pub fn of(time: SystemTime) -> Self {
        Self(u32::try_from(seconds(time).0 / DAY_SECONDS).unwrap_or(u32::MAX))
    }

    /// The day a span before this one.
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(u32::try_from(span.as_secs() / DAY_SECONDS).unwrap_or(u32::MAX)))
    }

    /// Its last second, since 1970.
    pub(super) fn end(self) -> i64 {
        i64::from(self.0).saturating_add(1) * 86_400 - 1
    }

    /// The day so many days after this one.
    #[cfg(test)]
    pub(super) fn after(self, days: u32) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// The day after, if it has a name.
    pub(super) fn next(self) -> Self {
        Self(self.0.saturating_add(1)).min(Self::LAST.max(self))
    }

    /// Reads the `YYYY-MM-DD` at the start of a text; None if there is no real day there.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: &[u8; 10] = text.as_bytes().first_chunk()?;
        let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = *bytes else { return None };
        let number = |digits: &[u8]| {
            digits.iter().try_fold(0_u32, |sum, b| b.is_ascii_digit().then(|| sum * 10 + u32::from(b - b'0')))
        };
        let (year, month, day) = (number(&[y0, y1, y2, y3])?, number(&[m0, m1])?, number(&[d0, d1])?);
        let found = Self(days_from_civil(year, month, day)?);
        (civil(found.0) == (year, month, day)).then_some(found)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// `2026-11-25T20:11:49.123Z`.
pub fn rfc3339(time: SystemTime) -> String {
    let mut out = Vec::with_capacity(24);
    write_time(&mut out, time);
    String::from_utf8(out).unwrap_or_default()
}

/// Appends `2026-11-25T20:11:49.123Z`.
pub(super) fn write_time(out: &mut Vec<u8>, time: SystemTime) {
    let (seconds, ms) = seconds(time);
    let (year, month, day) = civil(u32::try_from(seconds / DAY_SECONDS).unwrap_or(u32::MAX));
    let clock = u32::try_from(seconds % DAY_SECONDS).unwrap_or(0);
    digits(out, year, 4);
    for (mark, value, width) in [
        (b'-', month, 2),
        (b'-', day, 2),
        (b'T', clock / 3600, 2),
        (b':', clock / 60 % 60, 2),
        (b':', clock % 60, 2),
        (b'.', ms, 3),
    ] {
        out.push(mark);
        digits(out, value, width);
    }
    out.push(b'Z');
}

/// Reads what [`write_time`] writes.
pub(super) fn parse_time(text: &str) -> Option<SystemTime> {
    let day = Day::parse(text)?;
    let number = |range: std::ops::Range<usize>| {
        text.get(range).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?.parse::<u64>().ok()
    };
    let (hours, minutes, seconds, ms) = (number(11..13)?, number(14..16)?, number(17..19)?, number(20..23)?);
    let of_day = hours * 3600 + minutes * 60 + seconds;
    let since = u64::from(day.0) * DAY_SECONDS + of_day;
    let time = UNIX_EPOCH + Duration::from_secs(since) + Duration::from_millis(ms);
    (of_day < DAY_SECONDS && rfc3339(time) == text).then_some(time)
}

fn digits(out: &mut Vec<u8>, value: u32, width: u32) {
    for place in (0..width).rev() {
        out.push(b'0' + u8::try_from(value / 10_u32.pow(place) % 10).unwrap_or(0));
    }
}

/// Whole seconds since 1970 and the milliseconds beyond, kept within what RFC 3339 can say.
fn seconds(time: SystemTime) -> (u64, u32) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    (since.as_secs().min(SECONDS_MAX), since.subsec_millis())
}

/// Year, month, day of a day number: the proleptic Gregorian calendar counted from 1 March, in eras of 400 years.
fn civil(days: u32) -> (u32, u32, u32) {
    let days = u64::from(days) + 719_468;
    let (era, in_era) = (days / 146_097, days % 146_097);
    let year_of_era = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * in_year + 2) / 153;
    let day = in_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let narrow = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    (narrow(year), narrow(month), narrow(day))
}

/// The inverse of [`civil`]; None before 1970 or with a month or day that no calendar has.
fn days_from_civil(year: u32, month: u32, day: u32) -> Option<u32> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = year.checked_sub(u32::from(month <= 2))?;
    let march_month = if month > 2 { month - 3 } else { month + 9 };
    let (era, year_of_era) = (year / 400, year % 400);
    let in_year = (153 * march_month + 2) / 5 + day - 1;
    let in_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + in_year;
    (era * 146_097 + in_era).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(seconds: u64, ms: u64, expected: &str) {
        let mut out = Vec::new();
        write_time(&mut out, UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(ms));
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_time_reads_back_and_nothing_else_does() {
        for ms in [0, 1, 86_399_999, 1_795_600_800_123_u64, SECONDS_MAX * 1000 + 999] {
            let time = UNIX_EPOCH + Duration::from_millis(ms);
            let text = rfc3339(time);
            assert_eq!(parse_time(&text), Some(time));
            for at in 0..text.len() {
                assert_eq!(parse_time(text.get(..at).unwrap()), None);
            }
        }
        for text in [
            "2026-11-25T24:00:00.000Z",
            "2026-11-25T00:60:00.000Z",
            "2026-11-25 00:00:00.000Z",
            "2026-11-25T00:00:00.000Z ",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn known_times() {
        check(0, 0, "1970-01-01T00:00:00.000Z");
        check(951_782_399, 999, "2000-02-28T23:59:59.999Z");
        check(951_782_400, 7, "2000-02-29T00:00:00.007Z");
        check(1_767_225_599, 0, "2025-12-31T23:59:59.000Z");
        check(4_107_542_400, 0, "2100-03-01T00:00:00.000Z");
        check(u64::MAX >> 2, 0, "9999-12-31T23:59:59.000Z");
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in [
            "",
            "2026-11-2",
            "2026-13-01",
            "2026-02-29",
            "2026-00-10",
            "2026-04-31",
            "1969-12-31",
            "2026/11/25",
            "２026-11-25",
        ] {
            assert_eq!(Day::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_day_reads_back_as_itself_and_sorts_as_text(a in 0_u32..2_900_000, b in 0_u32..2_900_000) {
            let (a, b) = (Day(a), Day(b));
            prop_assert_eq!(Day::parse(&a.to_string()), Some(a));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
            prop_assert_eq!(Day::parse(&a.next().to_string()), Some(a.next()));
        }
    }
}
