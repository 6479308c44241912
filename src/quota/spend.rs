//! Money over a calendar: what is spent and held in this hour, day or month of a time zone. Pure: the time is an
//! argument.

use crate::usage::MicroUsd;
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone, Timelike};
use chrono_tz::Tz;
use std::{fmt, time::Duration};

/// What money is counted over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Per {
    Day,
    Hour,
    Month,
}

/// The hours, days or months of a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Calendar {
    pub per: Per,
    pub zone: Tz,
}

/// What may be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    pub limit: MicroUsd,
    pub calendar: Calendar,
}

impl fmt::Display for Budget {
    /// As the configuration writes it: `50 USD/day, Europe/Zurich`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = match self.calendar.per {
            Per::Day => "day",
            Per::Hour => "hour",
            Per::Month => "month",
        };
        write!(f, "{} USD/{per}", self.limit)?;
        if self.calendar.zone == Tz::UTC { Ok(()) } else { write!(f, ", {}", self.calendar.zone) }
    }
}

/// One hour, day or month: seconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub start: i64,
    pub end: i64,
}

impl Calendar {
    /// The hour, day or month that a moment is in.
    pub fn window(&self, now: i64) -> Window {
        let utc = DateTime::from_timestamp(now, 0).unwrap_or_default();
        let local = utc.with_timezone(&self.zone);
        match self.per {
            Per::Hour => {
                let start = now - i64::from(local.minute() * 60 + local.second());
                Window { start, end: start + 3600 }
            }
            Per::Day => {
                let today = local.date_naive();
                self.between(today, today.checked_add_days(Days::new(1)), now)
            }
            Per::Month => {
                let first = local.date_naive().with_day(1).unwrap_or_else(|| local.date_naive());
                self.between(first, first.checked_add_months(Months::new(1)), now)
            }
        }
    }

    fn between(&self, first: NaiveDate, next: Option<NaiveDate>, now: i64) -> Window {
        let start = self.begin(first).min(now);
        let end = next.map_or(i64::MAX, |next| self.begin(next)).max(now.saturating_add(1));
        Window { start, end }
    }

    /// When a day begins. Some days have no midnight: the clocks went forward then.
    fn begin(&self, day: NaiveDate) -> i64 {
        let midnight = day.and_time(NaiveTime::MIN);
        let moments =
            (0..8).filter_map(|quarters| midnight.checked_add_signed(TimeDelta::minutes(30 * quarters)));
        let found = moments.filter_map(|moment| self.zone.from_local_datetime(&moment).earliest()).next();
        found.map_or_else(|| midnight.and_utc().timestamp(), |found| found.timestamp())
    }
}

/// Why nothing more may be spent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoMoney {
    /// All of it is spent; in so long the next window begins.
    Spent { renews_in: Duration },
    /// What is left is held by calls in flight.
    Held,
}

/// What is known of all gateways that share a budget.
#[derive(Debug, Clone, Copy)]
pub(super) struct Others {
    /// What all together spent, as last told.
    pub(super) spent: u64,
    /// What this one spent since.
    pub(super) untold: u64,
    /// Among how many the rest is divided.
    pub(super) divisor: u64,
}

/// What of a budget is spent and held.
#[derive(Debug)]
pub(super) struct Spend {
    pub(super) calendar: Calendar,
    window: Window,
    spent: u64,
    held: u64,
    warned: bool,
}

impl Spend {
    pub(super) fn new(calendar: Calendar, now: i64) -> Self {
        Self { calendar, window: calendar.window(now), spent: 0, held: 0, warned: false }
    }

    /// Whether anything is left. `others` is what is known of other gateways that spend of it too.
    pub(super) fn room(&mut self, limit: MicroUsd, others: Option<Others>, now: i64) -> Result<(), NoMoney> {
        self.turn(now);
        // While they cannot be asked, they are taken to do as this one does.
        let (untold, divisor) = others.map_or((0, 1), |others| (others.untold, others.divisor));
        let spent = self.together(others).saturating_add(untold.saturating_mul(divisor.saturating_sub(1)));
        let held = self.held.saturating_mul(divisor);
        if spent >= limit.0 {
            let seconds = u64::try_from(self.window.end.saturating_sub(now)).unwrap_or(0);
            return Err(NoMoney::Spent { renews_in: Duration::from_secs(seconds) });
        }
        if spent.saturating_add(held) >= limit.0 { Err(NoMoney::Held) } else { Ok(()) }
    }

    /// What is spent by all.
    fn together(&self, others: Option<Others>) -> u64 {
        match others {
            None => self.spent,
            Some(Others { spent, untold, .. }) => self.spent.max(spent.saturating_add(untold)),
        }
    }

    pub(super) fn hold(&mut self, cost: MicroUsd) {
        self.held = self.held.saturating_add(cost.0);
    }

    pub(super) fn release(&mut self, cost: MicroUsd) {
        self.held = self.held.saturating_sub(cost.0);
    }

    /// Money is spent in the window in which it is known.
    pub(super) fn spend(&mut self, cost: MicroUsd, now: i64) {
        self.turn(now);
        self.spent = self.spent.saturating_add(cost.0);
    }

    /// What the ledger says was spent since the window began: never less than what is known here.
    pub(super) fn remember(&mut self, spent: MicroUsd, now: i64) {
        self.turn(now);
        self.spent = self.spent.max(spent.0);
    }

    /// The share that is spent, in percent.
    pub(super) fn share(&mut self, limit: MicroUsd, others: Option<Others>, now: i64) -> u64 {
        self.turn(now);
        let share = (u128::from(self.together(others)) * 100).checked_div(u128::from(limit.0)).unwrap_or(100);
        u64::try_from(share).unwrap_or(u64::MAX)
    }

    /// Whether this is the first time in the window that the share of it has come to so many percent.
    pub(super) fn warns(&mut self, share: u64, percent: u8) -> bool {
        let reached = share >= u64::from(percent);
        reached && !std::mem::replace(&mut self.warned, true)
    }

    pub(super) fn window(&mut self, now: i64) -> Window {
        self.turn(now);
        self.window
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> MicroUsd {
        MicroUsd(self.held)
    }

    /// What this gateway spent.
    pub(super) fn spent(&self) -> MicroUsd {
        MicroUsd(self.spent)
    }

    /// What all gateways spent.
    pub(super) fn spent_together(&mut self, others: Option<Others>, now: i64) -> MicroUsd {
        self.turn(now);
        MicroUsd(self.together(others))
    }

    /// A new window begins with nothing spent. A clock that was set back gives nothing back: the window that had begun goes
    /// on, so that it does not begin twice. One that was set back by more than a window was wrong before, and is believed.
    fn turn(&mut self, now: i64) {
        let Window { start, end } = self.window;
        if now >= end {
            (self.spent, self.warned) = (0, false);
        }
        if now >= end || start.saturating_sub(now) > end.saturating_sub(start) {
            self.window = self.calendar.window(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp()
    }

    #[test]
    fn windows_are_those_of_the_zone() {
        let check = |per, zone: Tz, now: &str, start: &str, end: &str| {
            let window = Calendar { per, zone }.window(at(now));
            assert_eq!(window, Window { start: at(start), end: at(end) }, "{per:?} {zone} {now}");
        };
        let day = |now, start, end| check(Per::Day, Tz::Europe__Zurich, now, start, end);
        day("2026-11-27T23:30:00Z", "2026-11-28T00:00:00+01:00", "2026-11-29T00:00:00+01:00");
        // 23 and 25 hours.
        day("2026-03-29T12:00:00Z", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00");
        day("2026-10-25T12:00:00Z", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00");
        let utc = |per, now, start, end| check(per, Tz::UTC, now, start, end);
        utc(Per::Month, "2028-02-29T23:59:59Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z");
        utc(Per::Month, "2026-12-31T00:00:00Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z");
        utc(Per::Hour, "2026-12-31T10:20:30Z", "2026-12-31T10:00:00Z", "2026-12-31T11:00:00Z");
        let (start, end) = ("2026-12-31T15:30:00+05:30", "2026-12-31T16:30:00+05:30");
        check(
            Per::Hour,
            Tz::Asia__Kolkata,
            "2026-12-31T10:20:30Z",
            "2026-12-31T15:00:00+05:30",
            "2026-12-31T16:00:00+05:30",
        );
        assert_ne!(at(start), at(end));
        // A day without a midnight.
        let gap = "2018-11-04T01:00:00-02:00";
        check(Per::Day, Tz::America__Sao_Paulo, "2018-11-04T12:00:00Z", gap, "2018-11-05T00:00:00-02:00");
    }

    proptest! {
        #[test]
        fn a_moment_is_in_its_window_and_windows_meet(now in 0..4_000_000_000_i64, per in 0..3_usize, zone in 0..chrono_tz::TZ_VARIANTS.len()) {
            let calendar = Calendar { per: [Per::Hour, Per::Day, Per::Month][per], zone: chrono_tz::TZ_VARIANTS[zone] };
            let window = calendar.window(now);
            prop_assert!(window.start <= now && now < window.end, "{calendar:?} {window:?}");
            prop_assert!(calendar.window(window.end).start >= window.start);
        }
    }

    #[test]
    fn a_clock_that_is_set_back_gives_nothing_back() {
        let calendar = Calendar { per: Per::Day, zone: Tz::UTC };
        let mut spend = Spend::new(calendar, at("2026-11-27T12:00:00Z"));
        spend.spend(MicroUsd(100), at("2026-11-27T12:00:00Z"));
        assert!(spend.room(MicroUsd(100), None, at("2026-11-20T00:00:00Z")).is_err());
        assert!(spend.room(MicroUsd(100), None, at("2026-11-21T00:00:00Z")).is_ok());
        // Back over midnight, and forward again: it is the same day.
        let mut spend = Spend::new(calendar, at("2026-11-27T23:59:50Z"));
        spend.spend(MicroUsd(60), at("2026-11-28T00:00:05Z"));
        spend.spend(MicroUsd(60), at("2026-11-27T23:59:53Z"));
        assert!(spend.room(MicroUsd(100), None, at("2026-11-27T23:59:54Z")).is_err());
        assert!(spend.room(MicroUsd(100), None, at("2026-11-28T00:00:10Z")).is_err());
        assert!(spend.room(MicroUsd(100), None, at("2026-11-29T00:00:00Z")).is_ok());
    }
}
