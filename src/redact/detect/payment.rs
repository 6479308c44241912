//! CREDIT_CARD: 13 to 19 digits, joined or in a card's usual groups, issuer prefix and length, Luhn.

use super::checksum::luhn;
use super::number::{Number, Taken};

const WORDS: &[&str] = &[
    "card",
    "credit",
    "debit",
    "karte",
    "kreditkarte",
    "kartennummer",
    "carte",
    "visa",
    "maestro",
    "mastercard",
    "unionpay",
    "pan",
    "cc",
    "card_number",
    "cardnumber",
    "bancaire",
    "discover",
    "jcb",
];

pub(super) fn card(number: &Number<'_>) -> Option<(usize, usize)> {
    (13..=19).rev().find_map(|count| {
        let taken = number.take(count).filter(|taken| is_issued(taken.digits))?;
        // Long runs are often plain integers, of which a tenth pass the check: they need a word beside them.
        // Thirteen were given up long ago, and are what a product's bar code has.
        let plain = taken.is_joined()
            && (count > 16 || count == 13 || is_maestro(taken.digits))
            && !number.near(&taken, WORDS);
        (!plain && is_grouped_as_card(&taken) && luhn(taken.digits)).then(|| taken.range())?
    })
}

fn is_maestro(digits: &[u8]) -> bool {
    matches!(digits, [5, 0 | 6..=8, ..] | [6, 1 | 3 | 6..=9, ..])
}

fn is_grouped_as_card(taken: &Taken<'_>) -> bool {
    let shapes: [&[usize]; 6] =
        [&[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4], &[4, 4, 4, 4, 3], &[4, 4, 4, 3], &[4, 4, 4, 1]];
    if taken.is_joined() {
        return true;
    }
    let same = taken.separators().all(|s| matches!(s, b' ' | b'-' | b'.'));
    same && (shapes.iter().any(|s| taken.has_lengths(s)) || taken.is_spaced())
}

/// Issuer ranges with the lengths they are issued in.
fn is_issued(digits: &[u8]) -> bool {
    let first = digits.iter().take(4).fold(0_u32, |n, d| n * 10 + u32::from(*d));
    let distinct = digits.iter().fold(0_u16, |set, d| set | 1 << d).count_ones();
    let known = matches!(
        (first, digits.len()),
        (4000..=4999, 13 | 16 | 19)
            | (5100..=5599 | 2221..=2720, 16)
            | (3400..=3499 | 3700..=3799, 15)
            | (3000..=3059 | 3095 | 3600..=3699 | 3800..=3999, 14)
            | (6011 | 6440..=6599 | 6000..=6010 | 3528..=3589 | 6200..=6299 | 8100..=8199 | 2200..=2204, 16..=19)
            | (5000..=5099 | 5600..=5899 | 6012..=6199 | 6300..=6439 | 6600..=6999, 13 | 15..=19)
    );
    known && distinct > 1
}
