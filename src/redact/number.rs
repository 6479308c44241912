//! A JSON number by its value: `4.2e3` and `4200.0` are 4200, whatever their digits look like.

/// So many digits are looked at, more than any value has.
const DIGITS_MAX: usize = 40;

/// The digits of a whole number that is written with a point or an exponent; `None` for any other.
pub(super) fn whole(written: &str) -> Option<String> {
    if !written.contains(['.', 'e', 'E']) || written.len() > 2 * DIGITS_MAX {
        return None;
    }
    let (mantissa, exponent) = written.split_once(['e', 'E']).unwrap_or((written, "0"));
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (before, behind) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i64 = exponent.parse().ok()?;
    // Where the point stands, counted from the first digit.
    let point = usize::try_from(i64::try_from(before.len()).ok()?.checked_add(exponent)?).ok()?;
    let mut digits = format!("{before}{behind}");
    if point > DIGITS_MAX {
        return None;
    }
    if digits.get(point..).is_some_and(|part| part.bytes().any(|digit| digit != b'0')) {
        return None;
    }
    digits.truncate(point);
    digits.extend(std::iter::repeat_n('0', point.saturating_sub(digits.len())));
    let digits = digits.trim_start_matches('0');
    (!digits.is_empty()).then(|| format!("{sign}{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// However a whole number is written, it is the same.
        #[test]
        fn a_whole_number_is_known_however_it_is_written(value in 1_u64.., shift in 0_usize..25, zeros in 0_usize..5, big in any::<bool>()) {
            let digits = value.to_string();
            let e = if big { 'E' } else { 'e' };
            let zeros = "0".repeat(zeros);
            let point = shift.min(digits.len() - 1);
            let (before, behind) = digits.split_at(digits.len() - point);
            let scaled = format!("{before}.{behind}{zeros}0{e}+{point}");
            prop_assert_eq!(whole(&scaled), Some(digits.clone()));
            prop_assert_eq!(whole(&format!("-{digits}.0{zeros}")), Some(format!("-{digits}")));
            let shrunk = format!("{digits}{}{e}-{shift}", "0".repeat(shift));
            prop_assert_eq!(whole(&shrunk), Some(digits.clone()));
            prop_assert_eq!(whole(&digits), None);
            prop_assert_eq!(whole(&format!("{digits}.{zeros}1")), None);
        }

        #[test]
        fn any_number_is_read(text in "-?[0-9]{1,30}(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,25})?") {
            let Some(digits) = whole(&text) else { return Ok(()) };
            prop_assert!(digits.len() <= DIGITS_MAX + 1);
            prop_assert_eq!(digits.parse::<f64>().unwrap(), text.parse::<f64>().unwrap());
        }
    }
}
