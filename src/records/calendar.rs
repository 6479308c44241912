//! The day that retention goes by. Not simply the clock's: a machine can boot with one that is years ahead, and what is
//! removed by it is gone. A day near the last one that was believed is believed at once; any other only after the gateway
//! has run a day with it, by a clock that nobody sets. So nothing is kept for longer than that by a clock that is right.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{disk, entry::is_recordable, recover::Warning, stamp::Day};

/// So far ahead of the last day believed, or behind it, a day is believed at once: a gateway may stand still for a while.
const NEAR: Duration = Duration::from_secs(7 * 86_400);
/// So long the gateway runs, in all, before it believes any other day.
const RUN: Duration = Duration::from_secs(86_400);
/// How often it is noted how long it has run.
const NOTED_EVERY: Duration = Duration::from_secs(600);

/// The day that retention goes by, and where that is kept.
pub(super) struct Calendar {
    path: PathBuf,
    believed: Day,
    /// How long the gateway has run, in all, with a day that is far from it.
    ran: Duration,
    /// Since when that is not counted yet.
    since: Option<Instant>,
    is_saved: bool,
    until: Arc<AtomicI64>,
}

impl Calendar {
    /// As it was left in the data directory. Where there is none, the newest day that has records is believed; without
    /// records, `today`.
    pub(super) fn open(
        data_dir: &Path,
        newest: impl FnOnce() -> io::Result<Option<Day>>,
        today: Day,
    ) -> io::Result<Self> {
        let path = data_dir.join("retention.json");
        let read = match disk::read(&path) {
            Ok(text) => Self::parse(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let is_saved = read.is_some();
        let (believed, ran) = match read {
            Some(read) => read,
            None => (newest()?.unwrap_or(today), Duration::ZERO),
        };
        let until = Arc::new(AtomicI64::new(believed.min(today).end()));
        Ok(Self { path, believed, ran, since: None, is_saved, until })
    }

    /// The last second of the day that it goes by, since 1970: for others who remove what is old.
    pub(super) fn until(&self) -> Arc<AtomicI64> {
        Arc::clone(&self.until)
    }

    fn parse(text: &[u8]) -> Option<(Day, Duration)> {
        let document: Value = serde_json::from_slice(text).ok()?;
        let day = document.get("day")?.as_str().filter(|day| day.len() == 10)?;
        Some((Day::parse(day)?, Duration::from_secs(document.get("doubted_seconds")?.as_u64()?)))
    }

    /// The day to go by now, never one that is ahead of the clock.
    pub(super) fn day(&mut self, today: Day, now: Instant, warnings: &mut Vec<Warning>) -> Day {
        let day = self.judge(today, now, warnings);
        self.until.store(day.end(), Relaxed);
        day
    }

    fn judge(&mut self, today: Day, now: Instant, warnings: &mut Vec<Warning>) -> Day {
        if today >= self.believed.before(NEAR) && today.before(NEAR) <= self.believed {
            self.believe(today);
            return today;
        }
        if self.since.is_none() && today > self.believed {
            warnings.push(Warning::Clock { today, believed: self.believed });
        }
        let since = *self.since.get_or_insert(now);
        let ran = now.saturating_duration_since(since);
        if ran >= NOTED_EVERY {
            self.ran = self.ran.saturating_add(ran);
            (self.since, self.is_saved) = (Some(now), false);
        }
        if self.ran >= RUN {
            self.believe(today);
        }
        today.min(self.believed)
    }

    fn believe(&mut self, today: Day) {
        self.is_saved &= self.believed == today && self.ran.is_zero();
        (self.believed, self.ran, self.since) = (today, Duration::ZERO, None);
    }

    /// Keeps it, where it changed. What fails is tried again with the next change.
    pub(super) fn save(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.is_saved, true) {
            let document = json!({ "day": self.believed.to_string(), "doubted_seconds": self.ran.as_secs() });
            disk::replace(&self.path, &format!("{document}\n"))?;
        }
        Ok(())
    }
}

/// The newest day of which a data directory has records.
pub(super) fn newest(dirs: &[PathBuf]) -> io::Result<Option<Day>> {
    let mut newest = None;
    for dir in dirs {
        // Whatever else lies there is nobody's: a volume's `lost+found`, say.
        for tenant in disk::names(dir)?.into_iter().filter(|name| is_recordable(name)) {
            let tenant = dir.join(tenant);
            if fs::metadata(&tenant).is_ok_and(|meta| meta.is_dir()) {
                newest = newest.max(super::before_base::kept_days(&tenant)?.last().copied());
            }
        }
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(days: u32) -> Day {
        Day::FIRST.after(days)
    }

    fn open(dir: &tempfile::TempDir, newest: Option<Day>, today: Day) -> Calendar {
        Calendar::open(dir.path(), || Ok(newest), today).unwrap()
    }

    #[derive(Debug, Clone)]
    enum Step {
        /// The clock is set to that day.
        Set(u32),
        /// It goes on for so many minutes.
        Run(u64),
        Restart,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            prop_oneof![Just(20_000), 19_990..20_010_u32, 0..30_000_u32].prop_map(Step::Set),
            (0..3000_u64).prop_map(Step::Run),
            Just(Step::Restart),
        ]
    }

    proptest! {
        /// Whatever the clock does, and however often the gateway starts: it goes by no day that is ahead of the clock, and
        /// by none far ahead of all that it went by unless it has run a day since; and it goes by a clock that stays as it is
        /// for a day.
        #[test]
        fn a_jump_is_believed_after_a_day_and_no_later(steps in prop::collection::vec(step(), 1..30)) {
            let dir = tempfile::tempdir().unwrap();
            let epoch = crate::clock::now();
            let (mut today, mut told) = (day(20_000), Vec::new());
            let mut calendar = open(&dir, Some(today), today);
            let (mut newest, mut minutes, mut stayed, mut since_newest) = (today, 0_u64, 0_u64, 0_u64);
            for step in steps {
                let ran = match step {
                    Step::Set(set) => {
                        (today, stayed) = (day(set), 0);
                        0
                    }
                    Step::Run(ran) => ran,
                    Step::Restart => {
                        calendar.save().unwrap();
                        calendar = open(&dir, None, today);
                        // What it had not noted yet is not counted.
                        stayed = stayed.saturating_sub(20);
                        0
                    }
                };
                // The clock is looked at all the time.
                for _ in 0..=ran / 10 {
                    let by = calendar.day(today, epoch + Duration::from_secs(60 * minutes), &mut told);
                    prop_assert!(by <= today);
                    prop_assert!(by <= newest.after(7) || since_newest >= 24 * 60, "{by} after {newest}");
                    prop_assert!(by == today || stayed < 25 * 60, "{by} on {today}");
                    if by > newest {
                        (newest, since_newest) = (by, 0);
                    }
                    minutes += 10;
                    stayed += 10;
                    since_newest += 10;
                }
            }
        }
    }

    #[test]
    fn it_is_told_that_nothing_is_removed_for_now() {
        let dir = tempfile::tempdir().unwrap();
        let mut calendar = open(&dir, Some(day(20_000)), day(21_100));
        let (mut told, now) = (Vec::new(), crate::clock::now());
        for _ in 0..3 {
            assert_eq!(calendar.day(day(21_100), now, &mut told), day(20_000));
        }
        assert_eq!(told, [Warning::Clock { today: day(21_100), believed: day(20_000) }]);
        // A clock that is behind removes nothing in any case.
        assert_eq!(calendar.day(day(3), now, &mut told), day(3));
        assert_eq!(told.len(), 1);
    }

    #[test]
    fn a_file_that_is_none_is_as_if_it_were_not_there() {
        let dir = tempfile::tempdir().unwrap();
        for text in [
            "",
            "{}",
            "null",
            r#"{"day":"2026-11-25x","doubted_seconds":0}"#,
            r#"{"day":1,"doubted_seconds":0}"#,
        ] {
            fs::write(dir.path().join("retention.json"), text).unwrap();
            let mut calendar = open(&dir, Some(day(20_000)), day(20_003));
            assert_eq!(
                calendar.day(day(29_000), crate::clock::now(), &mut Vec::new()),
                day(20_000),
                "{text}"
            );
        }
    }
}
