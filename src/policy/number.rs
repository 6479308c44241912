//! Exact comparison of JSON numbers by their digits: `100.00000000000000001` is more than `100`, though no
//! double tells them apart.

use std::cmp::Ordering;

/// Compares two valid JSON numbers by value.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (Decimal::read(a), Decimal::read(b));
    match (a.sign(), b.sign()) {
        (1, 1) => a.magnitude(&b),
        (-1, -1) => b.magnitude(&a),
        (sign_a, sign_b) => sign_a.cmp(&sign_b),
    }
}

/// A number as `0.d1d2d3… × 10^exponent`, without zeros at either end; zero has no digits.
struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    fn read(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        // An exponent that does not fit is beyond a double on either side, where the reader let it through
        // only for a zero or a number that rounds to zero.
        let written: i64 =
            exponent.parse().unwrap_or_else(|_| if exponent.starts_with('-') { -(1 << 40) } else { 1 << 40 });
        let negative = mantissa.starts_with('-');
        let (whole, fraction) = mantissa
            .trim_start_matches('-')
            .split_once('.')
            .unwrap_or_else(|| (mantissa.trim_start_matches('-'), ""));
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let leading = digits.iter().take_while(|&&digit| digit == b'0').count();
        digits.drain(..leading);
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        let shift = i64::try_from(whole.len()).unwrap_or(i64::MAX) - i64::try_from(leading).unwrap_or(0);
        Self { negative, digits, exponent: written.saturating_add(shift) }
    }

    fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    fn magnitude(&self, other: &Self) -> Ordering {
        self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_value_and_exact() {
        let check = |a: &str, b: &str, expected| {
            assert_eq!(compare(a, b), expected, "{a} {b}");
            assert_eq!(compare(b, a), expected.reverse(), "{b} {a}");
        };
        check("100.00000000000000001", "100", Ordering::Greater);
        check("9007199254740993", "9007199254740992", Ordering::Greater);
        check("1.0", "1", Ordering::Equal);
        check("1e2", "100", Ordering::Equal);
        check("-0", "0", Ordering::Equal);
        check("0e999999999999999999999", "0", Ordering::Equal);
        check("1e-999999999999999999999", "0", Ordering::Greater);
        check("-5", "3", Ordering::Less);
        check("-5", "-3", Ordering::Less);
        check("0.05", "0.5", Ordering::Less);
        check("120", "12", Ordering::Greater);
    }

    proptest! {
        #[test]
        fn agrees_with_integers(a in any::<i64>(), b in any::<i64>()) {
            prop_assert_eq!(compare(&a.to_string(), &b.to_string()), a.cmp(&b));
        }
        #[test]
        fn agrees_with_doubles(a in -1e9..1e9f64, b in -1e9..1e9f64) {
            prop_assert_eq!(compare(&a.to_string(), &b.to_string()), a.partial_cmp(&b).unwrap());
        }
    }
}
