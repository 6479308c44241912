//! The small languages, by tables of what is right and what is not. What is right must also fit the schema's pattern.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::config::{
    FileId, read,
    scalar::Scalar,
    values::{self, Budget, MicroUsd, MoneyPer, Per, Percent, Size, When},
    yaml,
};

const LONGEST: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const LONG: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const DIGEST: &str = "0123456789abcdefABCDEF01234567890123456789abcdefABCDEF0123456789";

/// A kind, what is right, what is wrong.
type Row = (Scalar, &'static [&'static str], &'static [&'static str]);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    (Scalar::Duration, &["250ms", "30s", "5m", "1h", "1d", "0s"], &["", "30", "s", "1.5h", "-1s", "1w", "5 m", "1h30m", "99999999d", "99999999999999999999s"]),
    (Scalar::Size, &["512B", "64KiB", "10MiB", "1GiB", "1024"], &["", "10MB", "1kib", "-1", "1.5MiB", "99999999999GiB", "MiB"]),
    (Scalar::Rate, &["600/min", "600/min burst 50", "5/s", "1/hour", "9/day"], &[ "", "600", "/min", "0/min", "600/minute", "600/m", "6 /min", "5/min burst", "5/min burst 0", "5/min  burst 5", "5/min boost 5", "-5/s", ]),
    (Scalar::Budget, &["50 USD/day", "0.5 USD/hour", "1234.567891 USD/month", "50 USD/day, Europe/Zurich"], &[ "", "50", "50 USD", "50USD/day", "50 EUR/day", "50 USD/week", "50.1234567 USD/day", ". USD/day", "5 USD/day,UTC", "5 USD/day, ../etc", "9999999999 USD/day", ]),
    (Scalar::Dollars, &["0", "10", "1.25", "0.000001"], &["", "-1", "1,5", "1.", ".5", "1e3", "1.0000001"]),
    (Scalar::When, &[ "2027-06-30", "2028-02-29", "2027-06-30T12:00:00Z", "2027-06-30T12:00:00.5+02:00", "2027-06-30 12:00:00z", ], &[ "", "2027-02-29", "2027-13-01", "2027-6-30", "30.06.2027", "2027-06-30T12:00:00", "2027-06-30T24:00:00Z", "2027-06-30T12:00Z", "2027-06-30T12:00:00.Z", "2027-06-30x", "1969-01-01", "é027-06-30", ]),
    (Scalar::TenantName, &["a", "acme", "acme-2", LONGEST], &["", "-a", "a-", "Acme", "a_b", "a.b", "..", LONG]),
    (Scalar::UpstreamName, &["a", "open_ai", "open-ai2"], &["", "a__b", "-a", "_a", "A", LONG]),
    (Scalar::Id, &["prod", "Prod.1_x-2"], &["", "a b", "ä", LONG]),
    (Scalar::Entity, &["EMAIL_ADDRESS", "A1"], &["", "email", "1A", "_A", "A-B"]),
    (Scalar::Variable, &["OPENAI_API_KEY", "_x1"], &["", "1A", "A-B", "A B"]),
    (Scalar::HeaderName, &["x-api-key", "Authorization"], &["", "x:y", "a b", "ä"]),
    (Scalar::Url, &["http://h", "https://h:1/v1?x=1", "http://[::1]:80/"], &[ "", "h", "ftp://h", "http://", "https:///v1", "http://u:p@h", "http://h:x/", "http://h:99999", "http://h/a b", "http://h/\u{e4}", ]),
    (Scalar::Address, &["127.0.0.1:8080", "[::1]:80", "localhost:0", "h.example:65535"], &["", "8080", ":8080", "h:", "h:65536", "[::g]:80", "a b:80", "::1:80", "h:+80"]),
    (Scalar::Operation, &["GET /", "POST /a/{id}"], &["", "GET", "get /", "GET a", "GET /a b", "GET /a?x", "FETCH /"]),
    (Scalar::Glob, &["*", "gpt-*", "a?c", "crm__*"], &["", "a b", "a\u{7}"]),
    (Scalar::Claim, &["claims.org", "claims.a.b"], &["", "org", "claims.", "claims.a..b"]),
    (Scalar::SanPattern, &["spiffe://x/{tenant}/*"], &["", "spiffe://x/*", "{tenant}{tenant}"]),
    (Scalar::Count { min: 2, max: 9 }, &["2", "9"], &["", "1", "10", "-3", "x", "99999999999999999999999"]),
    (Scalar::Number, &["0", "-1.5", "1e3", "100"], &["", "x", ".5", "0x10", "nan", "1 2"]),
    (Scalar::Text, &["x", " x "], &["", " ", "\n"]),
    (Scalar::Path, &["x", "/a b/c"], &["", "a\u{0}"]),
    (Scalar::Bool, &["true", "false"], &["", "yes", "on", "tRUE"]),
    (Scalar::Word(&[("on", ""), ("off", "")]), &["on", "off"], &["", "On"]),
    (Scalar::Sha256, &[DIGEST], &["", "abc", LONGEST, "g123456789abcdefABCDEF01234567890123456789abcdefABCDEF0123456789", "00123456789abcdefABCDEF01234567890123456789abcdefABCDEF0123456789"]),
];

#[test]
fn every_kind_accepts_what_is_right_and_refuses_what_is_not() {
    for (kind, right, wrong) in TABLE {
        let schema = jsonschema::draft202012::new(&kind.schema()).unwrap();
        let is_text = kind.schema()["type"] == json!("string") || matches!(kind, Scalar::Size);
        for text in *right {
            assert_eq!(kind.check(text), Ok(()), "{kind:?} {text}");
            assert!(!is_text || schema.is_valid(&json!(text)), "{kind:?} {text} does not fit the schema");
        }
        for text in *wrong {
            let reason = kind.check(text).expect_err(&format!("{kind:?} {text}"));
            assert!(text.len() < 4 || !reason.contains(text), "{kind:?} repeats {text}");
        }
        let about = kind.about();
        let example = kind.check(about.example).is_ok();
        assert!(
            example || matches!(kind, Scalar::Sha256 | Scalar::Count { .. }),
            "{kind:?}: {}",
            about.example
        );
    }
}

#[test]
fn values_are_what_they_say() {
    assert_eq!(values::duration("250ms"), Ok(Duration::from_millis(250)));
    assert_eq!(values::duration("1d"), Ok(Duration::from_secs(86_400)));
    assert_eq!(values::size("64KiB"), Ok(Size(65_536)));
    assert_eq!(values::size("7"), Ok(Size(7)));
    let rate = values::rate("600/min burst 50").unwrap();
    assert_eq!((rate.count.get(), rate.per, rate.burst.map(|n| n.get())), (600, Per::Minute, Some(50)));
    assert_eq!(values::rate("1/s").unwrap().per.duration(), Duration::from_secs(1));
    let budget =
        Budget { micro_usd: 12_500_000, per: MoneyPer::Month, zone: Some("Europe/Zurich".to_owned()) };
    assert_eq!(values::budget("12.5 USD/month, Europe/Zurich"), Ok(budget));
    assert_eq!(values::dollars("0.125"), Ok(MicroUsd(125_000)));
    assert_eq!((values::percent("80%"), values::percent("0%")), (Ok(Percent(80)), Ok(Percent(0))));
    assert!(["", "80", "101%", "-1%", "8.5%", "300%"].iter().all(|text| values::percent(text).is_err()));
    let moment = |text: &str| values::when(text).map(When::end_unix_s);
    assert_eq!(moment("1970-01-01"), Ok(86_400));
    assert_eq!(moment("2027-06-30"), Ok(1_814_400_000));
    assert_eq!(moment("2000-02-29T12:00:00+02:00"), Ok(951_818_400));
    assert_eq!(values::sha256_hex(&"0F".repeat(32)).unwrap().0, [15; 32]);
}

#[test]
fn scalars_follow_the_core_schema() {
    let check = |text: &str, expected: Value| {
        let source = format!("- {text}");
        let found = read::json(&yaml::parse(FileId(0), &source).0.unwrap()).ok().unwrap();
        assert_eq!(found, json!([expected]), "{text}");
    };
    check("", json!(null));
    check("~", json!(null));
    check("Null", json!(null));
    check("True", json!(true));
    check("yes", json!("yes"));
    check("off", json!("off"));
    check("12", json!(12));
    check("-12", json!(-12));
    check("+12", json!(12));
    check("007", json!(7));
    check("0x1F", json!(31));
    check("0o17", json!(15));
    check("18446744073709551615", json!(u64::MAX));
    check("-9223372036854775808", json!(i64::MIN));
    check("1.5", json!(1.5));
    check("1.", json!(1.0));
    check(".5", json!(0.5));
    check("1e3", json!(1000.0));
    check("1.2.3", json!("1.2.3"));
    check("2027-06-30", json!("2027-06-30"));
    check("0x", json!("0x"));
    check("e5", json!("e5"));
    check("-", json!([null]));
    check("--", json!("--"));
    check("'12'", json!("12"));
    check("\"true\"", json!("true"));
    check("{ a: [1, b] }", json!({ "a": [1, "b"] }));
    for text in [
        "18446744073709551616",
        "-9223372036854775809",
        "0xFFFFFFFFFFFFFFFFF",
        ".inf",
        "-.INF",
        ".nan",
        "1e999",
    ] {
        assert!(read::json(&yaml::parse(FileId(0), text).0.unwrap()).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        for kind in [Scalar::Address, Scalar::Budget, Scalar::Duration, Scalar::Operation, Scalar::Rate, Scalar::Sha256, Scalar::Size, Scalar::Url, Scalar::When, Scalar::Claim] {
            drop(kind.check(&text));
        }
    }

    #[test]
    fn money_is_exact(units in 0..1_000_000_000_u64, micro in 0..1_000_000_u64) {
        let found = values::dollars(&format!("{units}.{micro:06}"));
        prop_assert_eq!(found, Ok(MicroUsd(units * 1_000_000 + micro)));
    }

    #[test]
    fn days_are_counted_without_gaps(day in 0..60_000_i64) {
        // Counts from the first day forward, independently of the formula.
        let (mut year, mut rest) = (1970, day);
        let length = |year: i64| if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) { 366 } else { 365 };
        while rest >= length(year) {
            rest -= length(year);
            year += 1;
        }
        let february = length(year) - 337;
        let mut month = 1;
        for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
            if rest < days {
                break;
            }
            rest -= days;
            month += 1;
        }
        let text = format!("{year:04}-{month:02}-{:02}", rest + 1);
        prop_assert_eq!(values::when(&text), Ok(When::Day { start_unix_s: day * 86_400 }));
    }
}
