//! How long an upstream asks to be left alone, in every form that providers say it: whole seconds, seconds with a
//! fraction, a date, milliseconds in a header of their own.

use chrono::DateTime;
use http::{HeaderMap, header};
use std::time::{Duration, SystemTime};

/// A longer wait than this is cut to it.
const MAX: Duration = Duration::from_secs(3600);
/// What is more exact than `retry-after`, where it is there.
const MILLIS: &str = "retry-after-ms";

/// The wait that the headers of an answer ask for, if they ask for one that can be understood and is not over.
pub(super) fn read(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let millis = text(MILLIS).and_then(number).map(|millis| millis / 1000.0).and_then(seconds);
    let told = text(header::RETRY_AFTER.as_str());
    millis
        .or_else(|| told.and_then(number).and_then(seconds))
        .or_else(|| told.and_then(|told| until(told, now)))
        .map(|wait| wait.min(MAX))
}

/// A number without sign or exponent.
fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|_| plain)
}

fn seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds.min(MAX.as_secs_f64())).ok()
}

/// The time until a date of HTTP; none for one that is past.
fn until(date: &str, now: SystemTime) -> Option<Duration> {
    SystemTime::from(DateTime::parse_from_rfc2822(date).ok()?).duration_since(now).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn every_form_is_understood_and_bounded() {
        // 2026-11-27 12:00:00 UTC, and a half.
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_780_800_500);
        let check = |seconds: Option<&str>, millis: Option<&str>, expected: Option<u64>| {
            let mut headers = HeaderMap::new();
            for (name, value) in [("retry-after", seconds), ("retry-after-ms", millis)] {
                headers.extend(value.map(|value| {
                    (name.parse::<http::HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
                }));
            }
            let found = read(&headers, now).map(|wait| wait.as_millis());
            assert_eq!(found, expected.map(u128::from), "{seconds:?} {millis:?}");
        };
        check(None, None, None);
        check(Some("7"), None, Some(7_000));
        check(Some(" 2.5 "), None, Some(2_500));
        check(None, Some("1500"), Some(1_500));
        check(None, Some("1500.5"), Some(1_500));
        check(Some("2"), Some("1500"), Some(1_500));
        check(Some("2"), Some("soon"), Some(2_000));
        check(Some("0"), None, Some(0));
        check(Some("Fri, 27 Nov 2026 12:00:30 GMT"), None, Some(29_500));
        check(Some("Fri, 27 Nov 2026 11:59:30 GMT"), None, None);
        check(Some("Fri, 27 Nov 2099 12:00:30 GMT"), None, Some(3_600_000));
        let digits = "9".repeat(400);
        for absurd in ["99999999999", &digits] {
            check(Some(absurd), None, Some(3_600_000));
            check(None, Some(absurd), Some(3_600_000));
        }
        for nothing in ["", "soon", "-1", "+1", "1e3", "inf", "NaN", ".", "1.2.3", "Fri, 40 Nov 2026"] {
            check(Some(nothing), None, None);
            check(None, Some(nothing), None);
        }
    }
}
