//! The small languages inside scalars: durations, sizes, rates, money, dates, percentages, digests.
//! Each is a pure function from text to a value, or to the reason why not. The reasons never repeat the text,
//! which could be a secret in the wrong place.

use std::{num::NonZeroU64, time::Duration};

/// Why a text is not what was expected, in words that fit behind "not a rate: ".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Bad(pub &'static str);

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// The time that a rate counts over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Per {
    Second,
    Minute,
    Hour,
    Day,
}

impl Per {
    /// Its length.
    pub fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        })
    }
}

/// `count` things in each `per`; `burst` is how many may come at once, the whole count where it is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub count: NonZeroU64,
    pub per: Per,
    pub burst: Option<NonZeroU64>,
}

/// The time that money is counted over; a month is a calendar month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MoneyPer {
    Hour,
    Day,
    Month,
}

/// Millionths of a US dollar in each `per`, whose borders lie in the time zone `zone`, UTC where it is absent.
/// The zone's name has the form of one; whether it exists is not checked here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    pub micro_usd: u64,
    pub per: MoneyPer,
    pub zone: Option<String>,
}

/// An amount in millionths of a US dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MicroUsd(pub u64);

/// A day, or a moment, in seconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// A whole day in UTC, by its first second.
    Day {
        start_unix_s: i64,
    },
    Moment {
        unix_s: i64,
    },
}

impl When {
    /// Its first second.
    pub fn start_unix_s(self) -> i64 {
        match self {
            Self::Day { start_unix_s } => start_unix_s,
            Self::Moment { unix_s } => unix_s,
        }
    }

    /// The first second that is no longer before or within it: a key that expires on a day works through that day.
    pub fn end_unix_s(self) -> i64 {
        match self {
            Self::Day { start_unix_s } => start_unix_s.saturating_add(86_400),
            Self::Moment { unix_s } => unix_s,
        }
    }
}

/// Whole percent, 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(pub u8);

/// A SHA-256 digest. Not shown by `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sha256Hex(pub [u8; 32]);

impl std::fmt::Debug for Sha256Hex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sha256Hex(…)")
    }
}

/// A JSON number as it was written, so that no digit is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberText(pub String);

/// `250ms`, `30s`, `5m`, `1h`, `1d`.
pub fn duration(text: &str) -> Result<Duration, Bad> {
    let (count, unit) = split_unit(text).ok_or(Bad("expected a whole number and a unit"))?;
    let count = whole(count)?;
    let seconds = |each: u64| count.checked_mul(each).map(Duration::from_secs);
    let found = match unit {
        "ms" => Some(Duration::from_millis(count)),
        "s" => Some(Duration::from_secs(count)),
        "m" => seconds(60),
        "h" => seconds(3_600),
        "d" => seconds(86_400),
        "" => return Err(Bad("the unit is missing")),
        _ => return Err(Bad("unknown unit; the units are ms, s, m, h and d")),
    };
    found.filter(|found| *found <= DURATION_MAX).ok_or(Bad("more than 100 years"))
}

const DURATION_MAX: Duration = Duration::from_secs(100 * 366 * 86_400);

/// `512B`, `64KiB`, `10MiB`, `1GiB`, or a whole number of bytes.
pub fn size(text: &str) -> Result<Size, Bad> {
    let (count, unit) = split_unit(text).ok_or(Bad("expected a whole number and a unit"))?;
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err(Bad("unknown unit; the units are B, KiB, MiB and GiB")),
    };
    let bytes = whole(count)?.checked_mul(1 << shift).ok_or(Bad("too large"))?;
    Ok(Size(bytes))
}

/// `600/min`, `600/min burst 50`; units s, min, hour, day.
pub fn rate(text: &str) -> Result<Rate, Bad> {
    let (count, rest) = text.split_once('/').ok_or(Bad("expected a count, `/` and a unit"))?;
    let (unit, burst) = match rest.split_once(' ') {
        None => (rest, None),
        Some((unit, tail)) => {
            let burst =
                tail.strip_prefix("burst ").ok_or(Bad("only `burst` and a number may follow the unit"))?;
            (unit, Some(positive(burst)?))
        }
    };
    let per = match unit {
        "s" => Per::Second,
        "min" => Per::Minute,
        "hour" => Per::Hour,
        "day" => Per::Day,
        _ => return Err(Bad("unknown unit; the units are s, min, hour and day")),
    };
    Ok(Rate { count: positive(count)?, per, burst })
}

/// `50 USD/day`, `12.5 USD/month, Europe/Zurich`; units hour, day, month.
pub fn budget(text: &str) -> Result<Budget, Bad> {
    let (amount, rest) = text.split_once(' ').ok_or(Bad("expected an amount, ` USD/` and a unit"))?;
    let rest = rest.strip_prefix("USD/").ok_or(Bad("the amount must be followed by ` USD/` and a unit"))?;
    let (unit, zone) = match rest.split_once(", ") {
        None => (rest, None),
        Some((unit, zone)) => (unit, Some(time_zone(zone)?)),
    };
    let per = match unit {
        "hour" => MoneyPer::Hour,
        "day" => MoneyPer::Day,
        "month" => MoneyPer::Month,
        _ => return Err(Bad("unknown unit; the units are hour, day and month")),
    };
    Ok(Budget { micro_usd: dollars(amount)?.0, per, zone })
}

fn time_zone(text: &str) -> Result<String, Bad> {
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b))
    };
    let fits = text.len() <= 64 && text.split('/').all(is_part);
    fits.then(|| text.to_owned()).ok_or(Bad("not the name of a time zone; write it like Europe/Zurich"))
}

/// `10`, `1.25`: US dollars, at most six decimals.
pub fn dollars(text: &str) -> Result<MicroUsd, Bad> {
    let (units, decimals) = text.split_once('.').unwrap_or((text, "0"));
    if decimals.len() > 6 {
        return Err(Bad("more than six decimals"));
    }
    let scale = 10_u64.checked_pow(6_u32.saturating_sub(u32::try_from(decimals.len()).unwrap_or(6)));
    let part = whole(decimals)?.checked_mul(scale.unwrap_or(1));
    let micro =
        whole(units)?.checked_mul(1_000_000).zip(part).and_then(|(units, part)| units.checked_add(part));
    micro.filter(|micro| *micro <= MICRO_USD_MAX).map(MicroUsd).ok_or(Bad("more than a billion dollars"))
}

const MICRO_USD_MAX: u64 = 1_000_000_000_000_000;

/// `80%`.
pub fn percent(text: &str) -> Result<Percent, Bad> {
    let count = text.strip_suffix('%').ok_or(Bad("the `%` is missing"))?;
    let count = u8::try_from(whole(count)?).ok().filter(|count| *count <= 100);
    count.map(Percent).ok_or(Bad("more than 100%"))
}

/// A whole number without sign or separators.
pub fn whole(text: &str) -> Result<u64, Bad> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Bad("expected digits only"));
    }
    text.parse().map_err(|_| Bad("too large"))
}

fn positive(text: &str) -> Result<NonZeroU64, Bad> {
    NonZeroU64::new(whole(text)?).ok_or(Bad("must be at least 1"))
}

fn split_unit(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).filter(|(count, _)| !count.is_empty())
}

/// `2027-06-30`, or RFC 3339 with a zone: `2027-06-30T12:00:00Z`, `2027-06-30T12:00:00+02:00`.
pub fn when(text: &str) -> Result<When, Bad> {
    const SHAPE: Bad = Bad("expected a date or a time with its zone");
    let date = text.get(..10).ok_or(SHAPE)?;
    let start_unix_s = date_start(date).ok_or(Bad("no such day"))?;
    let Some(rest) = text.get(10..).filter(|rest| !rest.is_empty()) else {
        return Ok(When::Day { start_unix_s });
    };
    let time = rest.strip_prefix(['T', 't', ' ']).ok_or(SHAPE)?;
    let clock = time.get(..8).and_then(clock_seconds).ok_or(Bad("no such time of day"))?;
    let tail = time.get(8..).ok_or(SHAPE)?;
    let zone = match tail.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if zone.len() == fraction.len() {
                return Err(SHAPE);
            }
            zone
        }
        None => tail,
    };
    let offset = zone_seconds(zone).ok_or(Bad("the zone is missing or wrong; write Z or +02:00"))?;
    Ok(When::Moment { unix_s: start_unix_s + clock - offset })
}

/// A date, a time with its zone, or how long ago: `2026-11-01`, `7d`. Seconds since 1970, UTC.
pub fn moment(text: &str, now: i64) -> Option<i64> {
    match duration(text) {
        Ok(ago) => Some(now.saturating_sub(i64::try_from(ago.as_secs()).ok()?)),
        Err(_) => when(text).ok().map(When::start_unix_s),
    }
}

fn date_start(date: &str) -> Option<i64> {
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days).contains(&day) || year < 1970 {
        return None;
    }
    // Days since 1970-01-01 by counting years from March, so that the leap day is the last of its year.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400)
}

fn clock_seconds(clock: &str) -> Option<i64> {
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3_600 + minute * 60 + second)
}

fn zone_seconds(zone: &str) -> Option<i64> {
    if zone == "Z" || zone == "z" {
        return Some(0);
    }
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let [hour, minute] = numbers(zone.get(1..)?, ':', [2, 2])?;
    (hour < 24 && minute < 60).then_some(sign * (hour * 3_600 + minute * 60))
}

/// The numbers of `text`, separated by `mark`, each of exactly as many digits as told.
fn numbers<const N: usize>(text: &str, mark: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut found = [0; N];
    let mut parts = text.split(mark);
    for (number, digits) in found.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits)?;
        *number = i64::try_from(whole(part).ok()?).ok()?;
    }
    parts.next().is_none().then_some(found)
}

/// 64 hexadecimal digits.
pub fn sha256_hex(text: &str) -> Result<Sha256Hex, Bad> {
    const SHAPE: Bad = Bad("expected 64 hexadecimal digits, as `tollgate key new` prints them");
    let bytes = text.as_bytes();
    if bytes.len() != 64 {
        return Err(SHAPE);
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(bytes.chunks_exact(2)) {
        let [high, low] = pair else { return Err(SHAPE) };
        let nibble = |b: u8| char::from(b).to_digit(16).and_then(|n| u8::try_from(n).ok()).ok_or(SHAPE);
        *byte = nibble(*high)? * 16 + nibble(*low)?;
    }
    Ok(Sha256Hex(digest))
}

/// A number as JSON writes it.
pub fn number(text: &str) -> Result<NumberText, Bad> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let fits = text.len() <= 64 && digits.starts_with(|c: char| c.is_ascii_digit());
    let parsed: Option<serde_json::Number> = serde_json::from_str(text).ok().filter(|_| fits);
    parsed
        .map(|_| NumberText(text.to_owned()))
        .ok_or(Bad("expected digits, perhaps with a sign and decimals"))
}
