//! Numbers of businesses, which name a person where one trades alone: DE_VAT_ID, AT_VAT_ID, CH_UID. The letters before
//! them are part of the number, and each has a check digit.

use super::bytes::{before, byte, digits_end, holds_word, near, slice, starts_free};
use super::checksum::{mod_11_10, weighted};
use super::{Finding, Scan};
use crate::redact::entity::Entity;

/// What names one.
pub(super) const WORDS: &[&str] = &[
    "vat",
    "ust",
    "ustid",
    "ust-id",
    "ust-idnr",
    "ustidnr",
    "uid",
    "tva",
    "umsatzsteuer",
    "mwst",
    "umsatzsteuer-id",
    "uid-nr",
    "uid-nummer",
    "ide",
    "unternehmens-id",
    "umsatzsteuer-identifikationsnummer",
    "vat_id",
    "vat_number",
];

/// `DE123456789`.
pub(super) fn german(scan: &Scan<'_>, start: usize, end: usize) -> Option<usize> {
    let digits = digits::<9>(slice(scan.text, start, end).strip_prefix(b"DE")?)?;
    (digits.first() != Some(&0) && mod_11_10(&digits)).then_some(end)
}

/// `ATU12345678`: every second digit doubled, 4 added.
pub(super) fn austrian(scan: &Scan<'_>, start: usize, end: usize) -> Option<usize> {
    let digits = digits::<8>(slice(scan.text, start, end).strip_prefix(b"ATU")?)?;
    is_austrian(&digits).then_some(end)
}

fn is_austrian(digits: &[u8; 8]) -> bool {
    let [body @ .., check] = digits;
    let worth = |(place, digit): (usize, &u8)| {
        let twice = if place % 2 == 0 { *digit } else { digit * 2 };
        u32::from(twice / 10 + twice % 10)
    };
    let sum = body.iter().enumerate().map(worth).sum::<u32>() + 4;
    (10 - sum % 10) % 10 == u32::from(*check)
}

/// `CHE123456789`.
pub(super) fn swiss(scan: &Scan<'_>, start: usize, end: usize) -> Option<usize> {
    let digits = digits::<9>(slice(scan.text, start, end).strip_prefix(b"CHE")?)?;
    is_swiss(&digits).then_some(end)
}

fn is_swiss(digits: &[u8; 9]) -> bool {
    let check = (11 - weighted(digits, &[5, 4, 3, 2, 7, 6, 5, 4]) % 11) % 11;
    let [.., last] = digits;
    u32::from(*last) == check
}

/// Digits in so many bytes from `at` on, with a blank, dash or point between groups, and where they end.
fn grouped<const N: usize>(text: &[u8], at: usize) -> Option<([u8; N], usize)> {
    let mut found = [0_u8; N];
    let mut end = at;
    for (place, digit) in found.iter_mut().enumerate() {
        end += usize::from(place > 1 && matches!(byte(text, end), b' ' | b'-' | b'.'));
        *digit = byte(text, end).checked_sub(b'0').filter(|digit| *digit < 10)?;
        end += 1;
    }
    (!byte(text, end).is_ascii_alphanumeric()).then_some((found, end))
}

/// At the first digit of `DE 123456789`, `ATU 12345678`, `CHE-123456789`, `CHE-123.456.789` or `CHE 123 456 789`.
pub(super) fn behind_letters(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    if !before(text, at.saturating_sub(1)).is_ascii_uppercase() {
        return None;
    }
    let head = |letters: &[u8]| {
        let start = at.checked_sub(letters.len() + 1)?;
        (slice(text, start, at - 1) == letters && starts_free(text, start)).then_some(start)
    };
    if let Some(start) = head(b"DE") {
        if let Some(end) = german_in_groups(scan, start, at) {
            return Some(Finding::whole(Entity::DeVatId, start, end));
        }
        let end = digits_end(text, at, 10);
        let digits = digits::<9>(slice(text, at, end))?;
        let issued = digits.first() != Some(&0) && mod_11_10(&digits) && scan.on.has(Entity::DeVatId);
        return (issued && !byte(text, end).is_ascii_alphanumeric())
            .then(|| Finding::whole(Entity::DeVatId, start, end));
    }
    if let Some(start) = head(b"ATU") {
        let (digits, end) = grouped::<8>(text, at)?;
        return (is_austrian(&digits) && scan.on.has(Entity::AtVatId))
            .then(|| Finding::whole(Entity::AtVatId, start, end));
    }
    let start = head(b"CHE")?;
    let (digits, end) = grouped::<9>(text, at)?;
    (is_swiss(&digits) && scan.on.has(Entity::ChUid)).then(|| Finding::whole(Entity::ChUid, start, end))
}

/// `DE 157 543 000`, where it is named: a tenth of all numbers passes the check.
fn german_in_groups(scan: &Scan<'_>, start: usize, at: usize) -> Option<usize> {
    let end = at + 11;
    let found = scan.text.get(at..end)?;
    let shaped = found
        .iter()
        .enumerate()
        .all(|(i, b)| if i % 4 == 3 { matches!(b, b' ' | b'.') } else { b.is_ascii_digit() });
    if !shaped || byte(scan.text, end).is_ascii_alphanumeric() || !scan.on.has(Entity::DeVatId) {
        return None;
    }
    let mut compact = [0_u8; 9];
    compact
        .iter_mut()
        .zip(found.iter().filter(|b| b.is_ascii_digit()))
        .for_each(|(to, from)| *to = from - b'0');
    let named = || near(scan.text, start, end, WORDS) || holds_word(scan.key.as_bytes(), WORDS);
    (compact.first() != Some(&0) && mod_11_10(&compact) && named()).then_some(end)
}

fn digits<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut out = [0_u8; N];
    if text.len() != N {
        return None;
    }
    for (to, from) in out.iter_mut().zip(text) {
        *to = from.checked_sub(b'0').filter(|digit| *digit < 10)?;
    }
    Some(out)
}
