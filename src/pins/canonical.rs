//! One form for all ways of writing the same definition, and its digest: RFC 8785 (members sorted by their UTF-16 code
//! units, no white space, strings escaped no more than needed). Of numbers all digits count: what a double holds is
//! written as RFC 8785 wants it, and digits beyond a double's are kept, for a client may read them.

use crate::json::{self, Value};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// The SHA-256 of something in its canonical form, apart by what it is of.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of a tool's definition.
    pub fn of_tool(definition: &Value<'_>) -> Self {
        Self::of("tollgate/pin/tool/1", &canonical(definition))
    }

    /// Of a tool's definition but for its name, by which it is known again under another.
    pub(super) fn of_nameless(definition: &Value<'_>) -> Self {
        let members = definition.members().unwrap_or_default().iter().filter(|(key, _)| key != "name");
        let nameless = Value::Object(members.cloned().collect());
        Self::of("tollgate/pin/nameless/1", &canonical(&nameless))
    }

    /// Of a server's instructions.
    pub fn of_instructions(text: &str) -> Self {
        Self::of("tollgate/pin/instructions/1", text.as_bytes())
    }

    /// Of anything else, such as a server's address.
    pub fn of(domain: &str, bytes: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(domain);
        hasher.update([0]);
        hasher.update(bytes);
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The canonical form of a value.
pub fn canonical(value: &Value<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut out);
    out
}

fn write(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Value::Object(_) => {
            out.push(b'{');
            for (at, (key, member)) in sorted(value).into_iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                json::write_string(key, out);
                out.push(b':');
                write(member, out);
            }
            out.push(b'}');
        }
        Value::Number(digits) => out.extend_from_slice(number(digits).as_bytes()),
        Value::Bool(_) | Value::Null | Value::String(_) => json::write(value, out),
    }
}

/// The members of an object in the order of RFC 8785.
pub(super) fn sorted<'v>(value: &'v Value<'_>) -> Vec<(&'v str, &'v Value<'v>)> {
    let members = value.members().unwrap_or_default();
    let mut members: Vec<(&str, &Value<'_>)> = members.iter().map(|(key, member)| (&**key, member)).collect();
    members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    members
}

/// A number in the form that ECMAScript gives it, with all the digits that it was written with.
fn number(written: &str) -> String {
    let (mantissa, exponent) = written.split_once(['e', 'E']).unwrap_or((written, "0"));
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0');
    let leading = all.len() - digits.len();
    let digits = digits.trim_end_matches('0');
    if digits.is_empty() {
        return "0".to_owned();
    }
    // Where the point stands, counted from the first digit. An exponent that no number holds stays as it is.
    let point = exponent.parse::<i64>().ok().and_then(|exponent| {
        let before = i64::try_from(whole.len()).ok()?.checked_sub(i64::try_from(leading).ok()?)?;
        exponent.checked_add(before)
    });
    let Some(point) = point else { return written.to_owned() };
    format!("{sign}{}", placed(digits, point))
}

/// Digits with the point at its place.
fn placed(digits: &str, point: i64) -> String {
    let count = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    if count <= point && point <= 21 {
        return format!("{digits}{}", zeros(point - count));
    }
    if 0 < point && point <= 21 {
        let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
        return format!("{whole}.{fraction}");
    }
    if -6 < point && point <= 0 {
        return format!("0.{}{digits}", zeros(-point));
    }
    let (first, rest) = digits.split_at(1);
    let rest = if rest.is_empty() { String::new() } else { format!(".{rest}") };
    let exponent = i128::from(point) - 1;
    let sign = if exponent < 0 { "" } else { "+" };
    format!("{first}{rest}e{sign}{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn form(text: &str) -> String {
        String::from_utf8(canonical(&json::parse(text.as_bytes(), 64).unwrap())).unwrap()
    }

    #[test]
    fn the_examples_of_rfc_8785() {
        let numbers = "[333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001]";
        // The first has more digits than a double: they are kept.
        assert_eq!(form(numbers), "[333333333.33333329,1e+30,4.5,0.002,1e-27]");
        let keys = r#"{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}"#;
        let expected = "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\u{fb33}\":3}";
        assert_eq!(form(keys), expected);
        assert_eq!(form(r#""\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/""#), r#""€$\u000f\nA'B\"\\\\\"/""#);
        for (written, expected) in [
            ("-0", "0"),
            ("0.0e7", "0"),
            ("1.0", "1"),
            ("100", "100"),
            ("1e21", "1e+21"),
            ("1e20", "100000000000000000000"),
            ("123456789012345678901234", "1.23456789012345678901234e+23"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1e-7"),
            ("-12.50e1", "-125"),
            ("1e-99999999999999999999", "1e-99999999999999999999"),
        ] {
            assert_eq!(form(written), expected, "{written}");
        }
    }

    proptest! {
        #[test]
        fn numbers_that_a_double_holds_are_as_ecmascript_writes_them(number in prop::num::f64::NORMAL) {
            // The shortest digits of a double, which both languages agree on; only their places differ.
            let shortest = format!("{number:e}");
            let (mantissa, exponent) = shortest.split_once('e').unwrap();
            let exponent: i64 = exponent.parse().unwrap();
            let form = form(&shortest);
            prop_assert_eq!(form.parse::<f64>().unwrap(), number);
            let plain = (-6..21).contains(&exponent);
            prop_assert_eq!(form.contains('e'), !plain, "{} {}", form, mantissa);
        }

        #[test]
        fn numbers_are_alike_only_when_their_values_are(digits in 1..10_000_u64, places in 0..6_usize, zeros in 0..4_usize) {
            let whole = format!("{digits:07}");
            let (before, after) = whole.split_at(7 - places);
            let padded = format!("{}.{after}{}", before.trim_start_matches('0').parse::<u64>().unwrap_or(0), "0".repeat(zeros + 1));
            prop_assert_eq!(form(&padded), form(&format!("{digits}e-{places}")));
            prop_assert_ne!(form(&padded), form(&format!("{}e-{places}", digits + 1)));
        }
    }
}
