//! CREDIT_CARD: 13 to 19 digits, joined or in a card's usual groups, issuer prefix and length, Luhn.
//! Groups that something else than one blank, dash or point stands between, and numbers that are glued to a word, are
//! read apart.

use super::bytes::{
    before, byte, digits_end, is_alphanumeric, is_digit, is_letter, near, run_end, run_start, slice,
};
use super::checksum::luhn;
use super::lead::is_one_of;
use super::number::{Number, Taken};
use super::{Finding, Scan};
use crate::redact::entity::Entity;

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
    "amex",
    "american express",
    "mastercard",
    "cvv",
    "cvc",
];

/// Words of paying, beside which digits in a row of values are a card's.
const PAYS: &[&str] = &[
    "pay",
    "pays",
    "paid",
    "payment",
    "charge",
    "charged",
    "charging",
    "refund",
    "zahle",
    "zahlen",
    "bezahle",
    "bezahlt",
    "bezahlung",
    "zahlung",
    "abbuchen",
    "belasten",
    "payer",
    "pay\u{e9}",
    "paiement",
    "r\u{e8}glement",
];

pub(super) fn card(number: &Number<'_>) -> Option<(usize, usize)> {
    (13..=19).rev().find_map(|count| {
        let taken = number.take(count).filter(|taken| is_issued(taken.digits))?;
        // Long runs are often plain integers, of which a tenth pass the check: they need a word beside them.
        // Thirteen were given up long ago, and are what a product's bar code has.
        let plain = taken.is_joined()
            && (count > 16 || count == 13 || is_maestro(taken.digits))
            && !number.near(&taken, WORDS);
        // Columns of as many digits each.
        let halves = (taken.has_lengths(&[8, 8]) || taken.has_lengths(&[5, 5, 5]))
            && !number.near(&taken, WORDS)
            && !number.near(&taken, PAYS);
        let plain = plain || halves;
        (!plain && is_grouped_as_card(&taken) && luhn(taken.digits)).then(|| taken.range())?
    })
}

/// So many digits are the most of a card.
const DIGITS_MAX: usize = 19;

/// What stands between the groups of a card.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gap {
    /// One blank or dash, as between the groups of any number.
    Usual,
    /// `_`, `/`, blanks.
    Loose,
    /// A line break.
    Line,
    /// A tab or comma, as between values in a row.
    Row,
}

/// At the first digit of `4111  1111  1111  1111`, `4111_1111_…`, `4111,1111,…`, or of one with a line broken in it.
pub(super) fn loose(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    if !matches!(byte(text, at), b'2'..=b'6') || !scan.on.has(Entity::CreditCard) {
        return None;
    }
    let first = digits_end(text, at, 5);
    let (_, behind) = gap(text, first)?;
    if first - at != 4 || !is_digit(byte(text, behind)) || is_alphanumeric(before(text, at)) {
        return None;
    }
    let mut digits = [0_u8; DIGITS_MAX];
    let mut lengths = [0_usize; 4];
    let mut gaps = [Gap::Usual; 3];
    let (mut count, mut end) = (0, at);
    for (place, length) in lengths.iter_mut().enumerate() {
        let from = if let Some(last) = place.checked_sub(1) {
            let (kind, next) = gap(text, end)?;
            *gaps.get_mut(last)? = kind;
            next
        } else {
            at
        };
        end = digits_end(text, from, 8);
        *length = end - from;
        let room = digits.get_mut(count..count + *length)?;
        room.iter_mut().zip(slice(text, from, end)).for_each(|(to, b)| *to = b - b'0');
        count += *length;
        if place == 2 && count > 13 {
            break;
        }
    }
    let digits = digits.get(..count)?;
    let shaped = matches!(lengths, [4, 4, 4, 4] | [4, 6, 5, 0] | [4, 6, 4, 0]);
    let issued = shaped && is_issued(digits) && luhn(digits);
    (issued && is_gapped(text, &gaps, (at, end))).then(|| Finding::whole(Entity::CreditCard, at, end))
}

/// What is between two groups at `at`, and where the next begins.
fn gap(text: &[u8], at: usize) -> Option<(Gap, usize)> {
    let blanks = run_end(text, at, 3, |b| b == b' ');
    let digit = |next: usize| is_digit(byte(text, next));
    match byte(text, at) {
        b' ' if digit(blanks) => Some((if blanks == at + 1 { Gap::Usual } else { Gap::Loose }, blanks)),
        b'-' | b'.' if digit(at + 1) => Some((Gap::Usual, at + 1)),
        b'_' | b'/' if digit(at + 1) => Some((Gap::Loose, at + 1)),
        b',' | b'\t' => {
            let next = run_end(text, at + 1, 1, |b| b == b' ');
            digit(next).then_some((Gap::Row, next))
        }
        b'\r' | b'\n' | b' ' => {
            let feed = run_end(text, blanks, 2, |b| matches!(b, b'\r' | b'\n'));
            (feed > blanks && digit(feed)).then_some((Gap::Line, feed))
        }
        _ => None,
    }
}

/// All gaps alike, or one line break in a number of the usual ones; nothing that goes on before or behind; in a row or
/// column of values only beside a word.
fn is_gapped(text: &[u8], gaps: &[Gap; 3], (start, end): (usize, usize)) -> bool {
    let goes_on =
        gap(text, end).is_some() || is_alphanumeric(byte(text, end)) || stands_behind_group(text, start);
    let lines = gaps.iter().filter(|g| **g == Gap::Line).count();
    let usual = gaps.iter().filter(|g| **g == Gap::Usual).count();
    let loose = gaps.iter().filter(|g| **g == Gap::Loose).count();
    let told = || near(text, start, end, WORDS) || near(text, start, end, PAYS);
    !goes_on && (loose == 3 || (lines == 1 && usual == 2) || (usual < 3 && told()))
}

/// Whether another four digits stand before, with what separates values or blanks between.
fn stands_behind_group(text: &[u8], start: usize) -> bool {
    let sign = |b: u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b',' | b'_' | b'/');
    let end = run_start(text, start, 3, sign);
    let one_blank = start - end == 1 && before(text, start) == b' ';
    let digits = end - run_start(text, end, 5, is_digit);
    end < start && !one_blank && digits == 4
}

/// At the first digit behind letters or `_`: `id_4111111111111111`, `card4111111111111111`, and the first track of a
/// magnetic stripe, `%B4111111111111111^`.
pub(super) fn glued(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    let end = digits_end(text, at, DIGITS_MAX + 1);
    let letters = slice(text, run_start(text, at, 12, is_letter), at);
    let track = letters == b"B" && before(text, at - 1) == b'%' && byte(text, end) == b'^';
    let apart = before(text, at) == b'_' || is_one_of(letters, WORDS);
    if !(15..=16).contains(&(end - at)) || !(track || apart) || is_alphanumeric(byte(text, end)) {
        return None;
    }
    let mut digits = [0_u8; DIGITS_MAX];
    digits.iter_mut().zip(slice(text, at, end)).for_each(|(to, b)| *to = b - b'0');
    let digits = digits.get(..end - at)?;
    (scan.on.has(Entity::CreditCard) && is_issued(digits) && !is_maestro(digits) && luhn(digits))
        .then(|| Finding::whole(Entity::CreditCard, at, end))
}

fn is_maestro(digits: &[u8]) -> bool {
    matches!(digits, [5, 0 | 6..=8, ..] | [6, 1 | 3 | 6..=9, ..])
}

fn is_grouped_as_card(taken: &Taken<'_>) -> bool {
    let shapes: [&[usize]; 8] = [
        &[4, 4, 4, 4],
        &[4, 6, 5],
        &[4, 6, 4],
        &[4, 4, 4, 4, 3],
        &[4, 4, 4, 3],
        &[4, 4, 4, 1],
        &[8, 8],
        &[5, 5, 5],
    ];
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
