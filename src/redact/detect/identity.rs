//! Numbers that states give to people. A check of mod 10 or 11 lets a tenth of all numbers through,
//! so such a number needs its usual grouping or a word beside it.

use super::bytes::{self, before, byte, holds_word, slice, starts_free};
use super::checksum::{ean13, mod_11_10, modulo, verhoeff, weighted};
use super::number::{Group, Number, Taken};
use super::{Finding, Scan, lead};
use crate::redact::entity::Entity;

type Range = Option<(usize, usize)>;

fn value(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |n, d| n.saturating_mul(10).saturating_add(u32::from(*d)))
}

fn part(digits: &[u8], from: usize, len: usize) -> u32 {
    value(digits.get(from..from + len).unwrap_or_default())
}

fn is_dashed_or_blank(taken: &Taken<'_>) -> bool {
    let first = taken.separators().next().unwrap_or(0);
    matches!(first, b' ' | b'-') && (taken.separators().all(|s| s == first) || taken.is_spaced())
}

/// CH_AHV: 756 and an EAN-13 check digit.
pub(super) fn ch_ahv(number: &Number<'_>) -> Range {
    if !number.digits.starts_with(&[7, 5, 6]) {
        return None;
    }
    let taken = number.take(13)?;
    let shaped = taken.is_joined()
        || taken.has_lengths(&[3, 4, 4, 2])
        || taken.has_lengths(&[4, 4, 4, 1])
        || taken.is_spaced();
    (shaped && ean13(taken.digits)).then(|| taken.range())?
}

/// FR_NIR: 13 digits and the key 97 - n mod 97; sex, then year, month.
pub(super) fn fr_nir(number: &Number<'_>) -> Range {
    let taken = number.take(15)?;
    let shapes: [&[usize]; 5] =
        [&[15], &[13, 2], &[1, 2, 2, 2, 3, 3, 2], &[1, 2, 2, 5, 3, 2], &[1, 4, 2, 3, 3, 2]];
    let shaped = shapes.iter().any(|s| taken.has_lengths(s)) || taken.is_spaced();
    (shaped && is_nir(taken.digits)).then(|| taken.range())?
}

fn is_nir(digits: &[u8]) -> bool {
    let key = 97 - modulo(digits.get(..13).unwrap_or_default(), 97);
    is_nir_body(digits) && key == part(digits, 13, 2)
}

fn is_nir_body(digits: &[u8]) -> bool {
    let sex = digits.first().is_some_and(|d| matches!(d, 1 | 2 | 3 | 4 | 7 | 8));
    let month = part(digits, 3, 2);
    sex && ((1..=12).contains(&month) || month >= 20)
}

/// FR_NIR without its key, where it is named.
pub(super) fn fr_nir_named(number: &Number<'_>) -> Range {
    const WORDS: &[&str] = &[
        "s\u{e9}cu",
        "secu",
        "s\u{e9}curit\u{e9} sociale",
        "securite sociale",
        "nir",
        "insee",
        "num\u{e9}ro de s\u{e9}cu",
        "n\u{b0} ss",
    ];
    let taken = number.take(13)?;
    let shaped = taken.is_joined() || taken.has_lengths(&[1, 2, 2, 2, 3, 3]);
    (shaped && is_nir_body(taken.digits) && number.near(&taken, WORDS)).then(|| taken.range())?
}

/// FR_NIR of Corsica, 15 characters or 13 and the key apart: 2A and 2B count as 19 and 18.
pub(super) fn fr_nir_corsica(scan: &Scan<'_>, start: usize, _: usize) -> Option<usize> {
    corsican(scan.text, start)
}

/// The same in groups, seen from its digits: `2 44 11 2A 002 802 37`.
pub(super) fn fr_nir_corsica_spaced(number: &Number<'_>) -> Range {
    let start = number.start();
    let sex = matches!(number.digits, [1 | 2, ..]) && number.groups.first()?.len == 1;
    if sex { corsican(number.scan.text, start).map(|end| (start, end)) } else { None }
}

/// Where such a number ends that begins at `start`, with a blank, dash or point between any two groups.
fn corsican(text: &[u8], start: usize) -> Option<usize> {
    let mut digits = [0_u8; 15];
    let mut at = start;
    for (place, to) in digits.iter_mut().enumerate() {
        at += usize::from(place > 0 && place != 6 && matches!(byte(text, at), b' ' | b'-' | b'.'));
        *to = match (place, byte(text, at)) {
            (5, b'2') => 1,
            (6, b'A' | b'a') => 9,
            (6, b'B' | b'b') => 8,
            (5 | 6, _) => return None,
            (_, digit @ b'0'..=b'9') => digit - b'0',
            _ => return None,
        };
        at += 1;
    }
    (is_nir(&digits) && !byte(text, at).is_ascii_alphanumeric()).then_some(at)
}

pub(super) const SSN_WORDS: &[&str] =
    &["ssn", "ssns", "social", "social security", "social security number", "socialsecuritynumber"];

/// US_SSN: area, group and serial are never zero, the area never 666 or 9xx.
pub(super) fn us_ssn(number: &Number<'_>) -> Range {
    let taken = number.take(9)?;
    let (area, group, serial) =
        (part(taken.digits, 0, 3), part(taken.digits, 3, 2), part(taken.digits, 5, 4));
    let issued = !matches!(area, 0 | 666 | 900..)
        && group != 0
        && serial != 0
        && (area, group, serial) != (78, 5, 1120);
    if !issued {
        return None;
    }
    let grouped = taken.has_lengths(&[3, 2, 4]) && is_dashed_or_blank(&taken);
    let spaced = taken.is_spaced() && taken.separators().filter(|s| *s == b'-').count() == 2;
    let plain = taken.is_joined() || taken.is_spaced() || taken.has_lengths(&[3, 2, 4]);
    (grouped || spaced || (plain && number.near(&taken, SSN_WORDS))).then(|| taken.range())?
}

pub(super) const ITIN_WORDS: &[&str] = &["itin", "taxpayer", "tax id", "tin", "tax identification"];

/// US_ITIN: 9xx and a group of 50-65, 70-88, 90-92, 94-99; only where it is named.
pub(super) fn us_itin(number: &Number<'_>) -> Range {
    let taken = number.take(9)?;
    let group = part(taken.digits, 3, 2);
    let issued = taken.digits.first() == Some(&9) && matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99);
    let shaped = taken.is_joined() || taken.has_lengths(&[3, 2, 4]);
    (issued && shaped && number.near(&taken, ITIN_WORDS)).then(|| taken.range())?
}

pub(super) const NHS_WORDS: &[&str] =
    &["nhs", "nhs_number", "nhsnumber", "patient", "patient_id", "health service"];

/// UK_NHS where it is named, in any grouping.
pub(super) fn uk_nhs_named(number: &Number<'_>) -> Range {
    let taken = number.take(10)?;
    let shaped = taken.is_joined() || taken.is_spaced() || taken.has_lengths(&[3, 3, 4]);
    let named = || number.near(&taken, NHS_WORDS);
    (shaped && is_nhs(taken.digits) && named()).then(|| taken.range())?
}

/// UK_NHS in its usual grouping, where it is no telephone number.
pub(super) fn uk_nhs(number: &Number<'_>) -> Range {
    let taken = number.take(10)?;
    let grouped = taken.has_lengths(&[3, 3, 4]) && is_dashed_or_blank(&taken);
    (grouped && is_nhs(taken.digits)).then(|| taken.range())?
}

/// Weights 10 to 2, mod 11.
fn is_nhs(digits: &[u8]) -> bool {
    weighted(digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

pub(super) const TAX_WORDS: &[&str] =
    &["steuer", "steuerid", "steuernummer", "steueridentifikationsnummer", "idnr", "tin", "tax"];

/// DE_TAX_ID: ISO 7064 mod 11,10; of the first ten digits one stands twice or thrice, the others once.
pub(super) fn de_tax_id(number: &Number<'_>) -> Range {
    let taken = number.take(11)?;
    let mut counts = [0_u8; 10];
    for digit in taken.digits.iter().take(10) {
        if let Some(count) = counts.get_mut(usize::from(*digit)) {
            *count += 1;
        }
    }
    let repeated = counts.iter().filter(|c| **c > 1).count() == 1 && counts.iter().all(|c| *c < 4);
    let shaped = taken.is_joined() || taken.has_lengths(&[2, 3, 3, 3]) || taken.is_spaced();
    let issued = taken.digits.first() != Some(&0) && repeated && mod_11_10(taken.digits);
    let other = || taken.is_joined() && lead::names_other(number.scan.text, taken.start, TAX_WORDS);
    (shaped && issued && !other()).then(|| taken.range())?
}

pub(super) const AADHAAR_WORDS: &[&str] = &[
    "aadhaar",
    "aadhar",
    "adhaar",
    "aadhaar_number",
    "aadhaar_no",
    "uidai",
    "uid",
    "\u{906}\u{927}\u{93e}\u{930}",
];

/// IN_AADHAAR: Verhoeff; does not begin with 0 or 1.
pub(super) fn in_aadhaar(number: &Number<'_>) -> Range {
    let taken = number.take(12)?;
    let issued = taken.digits.first().is_some_and(|d| *d > 1) && verhoeff(taken.digits);
    let grouped = taken.has_lengths(&[4, 4, 4]) && is_dashed_or_blank(&taken);
    // Three groups of four of a longer row of them are none.
    let alike = |group: Option<&Group>| group.is_some_and(|group| group.len == 4);
    let listed = alike(number.prior.as_ref()) || alike(number.groups.get(taken.groups.len()));
    let named = || number.near(&taken, AADHAAR_WORDS);
    let other = || lead::names_other(number.scan.text, taken.start, AADHAAR_WORDS);
    let shaped = taken.is_joined() || taken.is_spaced() || (taken.has_lengths(&[4, 4, 4]));
    (issued && ((grouped && !listed && !other()) || (shaped && named()))).then(|| taken.range())?
}

pub(super) const SVNR_WORDS: &[&str] = &[
    "svnr",
    "sv",
    "sv-nr",
    "svnummer",
    "sozialversicherungsnummer",
    "sozialversicherung",
    "versicherungsnummer",
    "versicherungsnr",
    "vers",
    "sozialversicherungs",
    "vsnr",
    "versnr",
    "sozialvers",
    "e-card",
    "ecard",
    "social insurance",
    "insurance number",
    "social security",
    "socialsecurity",
    "social_security",
    "social-security",
    "socialinsurance",
    "social_insurance",
    "social-insurance",
    "assurance sociale",
    "s\u{e9}curit\u{e9} sociale",
    "versichert",
    "versicherte",
    "versicherter",
    "svnr",
    "sozialvers.nr",
    "hauptverband",
    "\u{f6}gk",
    "krankenkasse",
];

/// AT_SVNR: four digits with the check in fourth place, then the birthday.
pub(super) fn at_svnr(number: &Number<'_>) -> Range {
    let taken = number.take(10)?;
    let sum = weighted(taken.digits, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]) % 11;
    let (day, month) = (part(taken.digits, 4, 2), part(taken.digits, 6, 2));
    let issued = taken.digits.first() != Some(&0)
        && taken.digits.get(3).is_some_and(|check| u32::from(*check) == sum)
        && (1..=31).contains(&day)
        && (1..=15).contains(&month);
    if !issued {
        return None;
    }
    let slashed = taken.has_lengths(&[4, 6])
        && taken.separators().all(|s| s == b'/')
        && number.near(&taken, SVNR_WORDS);
    let grouped = slashed
        || (taken.has_lengths(&[4, 6]) || taken.has_lengths(&[4, 2, 2, 2])) && is_dashed_or_blank(&taken);
    let shaped = taken.is_joined() || taken.is_spaced() || taken.is_wide();
    (grouped || (shaped && number.near(&taken, SVNR_WORDS))).then(|| taken.range())?
}

/// Words for a DE_SOCIAL_SECURITY.
pub(super) const PENSION_WORDS: &[&str] = &[
    "rentenversicherungsnummer",
    "rentenversicherung",
    "rentenversicherungs-nr",
    "rvnr",
    "rv-nummer",
    "rv-nr",
    "sozialversicherungsnummer",
    "sozialversicherung",
    "sv-nummer",
    "sv-nr",
    "svnr",
    "vsnr",
    "versicherungsnummer",
    "pension",
    "social security",
    "insurance number",
];

/// DE_SOCIAL_SECURITY: area, birthday, initial, serial, check digit over cross sums.
pub(super) fn de_social_security(scan: &Scan<'_>, start: usize, end: usize) -> Option<usize> {
    is_social_security(slice(scan.text, start, end)).then_some(end)
}

fn is_social_security(word: &[u8]) -> bool {
    let Some(letter) = word.get(8).map(u8::to_ascii_uppercase) else { return false };
    if word.len() != 12 || !letter.is_ascii_uppercase() {
        return false;
    }
    let ordinal = letter - b'A' + 1;
    let mut digits = [0_u8; 13];
    let source = word.iter().take(8).map(|b| b.wrapping_sub(b'0')).chain([ordinal / 10, ordinal % 10]);
    let source = source.chain(word.iter().skip(9).map(|b| b.wrapping_sub(b'0')));
    digits.iter_mut().zip(source).for_each(|(to, from)| *to = from);
    if digits.iter().any(|d| *d > 9) {
        return false;
    }
    let weights = [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1];
    let sum: u32 = digits.iter().zip(weights).map(|(d, w)| u32::from(*d) * w).map(|p| p / 10 + p % 10).sum();
    let (day, month) = (part(&digits, 2, 2) % 50, part(&digits, 4, 2));
    digits.last().is_some_and(|check| sum % 10 == u32::from(*check))
        && (1..=31).contains(&day)
        && (1..=12).contains(&month)
}

/// The same in groups, seen from its digits: `65 170839 J 008`.
pub(super) fn de_social_security_spaced(number: &Number<'_>) -> Range {
    let taken = number.take(8)?;
    let text = number.scan.text;
    let gap = |at: usize| matches!(byte(text, at), b' ' | b'-');
    let grouped = taken.has_lengths(&[2, 6]) || taken.has_lengths(&[2, 2, 2, 2]) || taken.is_joined();
    if !grouped || !gap(taken.end) || !gap(taken.end + 2) {
        return None;
    }
    let mut word = [0_u8; 12];
    let serial = slice(text, taken.end + 3, taken.end + 6);
    let source = taken
        .digits
        .iter()
        .map(|d| d + b'0')
        .chain([byte(text, taken.end + 1)])
        .chain(serial.iter().copied());
    word.iter_mut().zip(source).for_each(|(to, from)| *to = from);
    let end = taken.end + 6;
    (is_social_security(&word) && !byte(text, end).is_ascii_alphanumeric()).then_some((taken.start, end))
}

pub(super) const CARD_WORDS: &[&str] = &[
    "personalausweis",
    "personalausweisnummer",
    "ausweisnummer",
    "ausweis",
    "ausweis-nr",
    "reisepass",
    "passnummer",
    "reisepassnummer",
    "id card",
    "idcardnumber",
    "id_card_number",
    "identity card",
    "passport",
    "perso",
    "personalausweis-nr",
    "ausweisnr",
    "personalausweisnr",
    "ausweisdokument",
    "dokumentennummer",
    "document number",
    "document no",
    "num\u{e9}ro de document",
    "passnr",
    "pass-nr",
    "passeport",
    "id-card",
    "id_card",
    "identity document",
    "carte d'identit",
    "carte d'identit\u{e9}",
    "identit\u{e9}",
];

/// DE_ID_CARD: nine characters without look-alikes, or ten with an ICAO 9303 check digit; only where it is named.
pub(super) fn de_id_card(scan: &Scan<'_>, start: usize, end: usize) -> Option<usize> {
    let word = slice(scan.text, start, end);
    let alphabet = |b: &u8| b.is_ascii_digit() || b"CFGHJKLMNPRTVWXYZ".contains(b);
    let shaped = matches!(word.len(), 9 | 10)
        && word.first().is_some_and(u8::is_ascii_uppercase)
        && word.iter().all(alphabet);
    if !shaped || (word.len() == 10 && !icao_check(word)) {
        return None;
    }
    let named = bytes::near(scan.text, start, end, CARD_WORDS) || holds_word(scan.key.as_bytes(), CARD_WORDS);
    named.then_some(end)
}

/// ICAO 9303: weights 7, 3, 1; A is 10.
fn icao_check(word: &[u8]) -> bool {
    let worth = |b: &u8| u32::from(if b.is_ascii_digit() { b - b'0' } else { b.saturating_sub(b'A') + 10 });
    let Some((check, body)) = word.split_last() else { return false };
    let sum: u32 = body.iter().zip([7, 3, 1].iter().cycle()).map(|(b, w)| worth(b) * w).sum();
    check.is_ascii_digit() && sum % 10 == worth(check)
}

/// Words beside which the letters of a UK_NINO may be small.
pub(super) const NINO_WORDS: &[&str] = &["ni", "nino", "national insurance", "ni_number", "nin"];

/// UK_NINO in one word, `QQ123456C`, or without its last letter.
pub(super) fn uk_nino(scan: &Scan<'_>, start: usize, end: usize) -> Option<usize> {
    let word = slice(scan.text, start, end);
    if word.len() == 8 {
        return if word.get(2..)?.iter().all(u8::is_ascii_digit) {
            uk_nino_cut(scan, start, end)
        } else {
            None
        };
    }
    if word.len() != 9 || !word.get(2..8)?.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let named =
        || bytes::near(scan.text, start, end, NINO_WORDS) || holds_word(scan.key.as_bytes(), NINO_WORDS);
    is_nino(word.get(..2)?, *word.last()?, named).then_some(end)
}

/// UK_NINO with a sign behind its letters: `QQ-12-34-56-C`; `QQ 123456 C` and the like where it is named.
pub(super) fn uk_nino_apart(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    let sign = before(text, at);
    let wide = usize::from(sign == b' ' && byte(text, at.saturating_sub(2)) == b' ');
    let start = at.checked_sub(3 + wide)?;
    if !is_between(sign)
        || !byte(text, start + 1).is_ascii_alphabetic()
        || !byte(text, start).is_ascii_alphabetic()
        || !starts_free(text, start)
    {
        return None;
    }
    let (end, alike) = nino_tail(text, at)?;
    let named = || is_named_nino(scan, start, end);
    let prefix = slice(text, start, start + 2);
    let found = is_nino(prefix, before(text, end), named) && (alike == Some(sign) || named());
    (found && scan.on.has(Entity::UkNino)).then(|| Finding::whole(Entity::UkNino, start, end))
}

fn is_between(sign: u8) -> bool {
    matches!(sign, b' ' | b'-' | b'.' | b'/')
}

#[cold]
fn is_named_nino(scan: &Scan<'_>, start: usize, end: usize) -> bool {
    bytes::near(scan.text, start, end, NINO_WORDS) || holds_word(scan.key.as_bytes(), NINO_WORDS)
}

/// From the first of six digits on, to behind the last letter: where it ends, and the sign that stands before the letter and
/// between all pairs or none.
#[cold]
fn nino_tail(text: &[u8], at: usize) -> Option<(usize, Option<u8>)> {
    let mut end = at;
    let mut signs = [None; 3];
    for pair in 0..4_usize {
        let next = byte(text, end);
        if let Some(sign) = pair.checked_sub(1).and_then(|place| signs.get_mut(place))
            && is_between(next)
        {
            *sign = Some(next);
            end += 1 + usize::from(next == b' ' && byte(text, end + 1) == b' ');
        }
        let digits = if pair < 3 { 2 } else { 0 };
        if !slice(text, end, end + digits).iter().all(u8::is_ascii_digit) {
            return None;
        }
        end += digits;
    }
    let ends = byte(text, end).is_ascii_alphabetic() && !byte(text, end + 1).is_ascii_alphanumeric();
    let [first, second, last] = signs;
    let alike = first == second && (first.is_none() || first == last);
    ends.then_some((end + 1, last.filter(|_| alike)))
}

/// UK_NINO whose last letter stands apart, `QQ123456 C`, where it is named.
#[cold]
fn uk_nino_cut(scan: &Scan<'_>, start: usize, end: usize) -> Option<usize> {
    let (to, _) = nino_tail(scan.text, start + 2).filter(|(to, _)| *to > end)?;
    is_nino(slice(scan.text, start, start + 2), before(scan.text, to), || true)
        .then(|| is_named_nino(scan, start, to).then_some(to))?
}

/// UK_NINO in pairs: `QQ 12 34 56 C`, seen from its digits.
pub(super) fn uk_nino_spaced(number: &Number<'_>) -> Range {
    let text = number.scan.text;
    let first = number.start();
    let start = first.checked_sub(3)?;
    let groups = number.groups.get(..3)?;
    let last = groups.last()?.end();
    let shaped = groups.iter().all(|g| g.len == 2)
        && matches!(before(text, first), b' ' | b'-')
        && matches!(byte(text, last), b' ' | b'-')
        && starts_free(text, start)
        && !byte(text, last + 2).is_ascii_alphanumeric();
    let named = || bytes::near(text, start, last + 2, NINO_WORDS);
    (shaped && is_nino(slice(text, start, first - 1), byte(text, last + 1), named))
        .then_some((start, last + 2))
}

/// Capitals, or small letters where a word names it.
fn is_nino(prefix: &[u8], suffix: u8, named: impl Fn() -> bool) -> bool {
    let [first, second] = prefix else { return false };
    let letters = [first.to_ascii_uppercase(), second.to_ascii_uppercase()];
    let big = [*first, *second, suffix].iter().all(u8::is_ascii_uppercase);
    is_nino_prefix(&letters) && is_nino_suffix(suffix.to_ascii_uppercase()) && (big || named())
}

fn is_nino_prefix(letters: &[u8]) -> bool {
    let [first, second] = letters else { return false };
    let barred: [&[u8]; 7] = [b"BG", b"GB", b"NK", b"KN", b"TN", b"NT", b"ZZ"];
    first.is_ascii_uppercase()
        && second.is_ascii_uppercase()
        && !b"DFIQUV".contains(first)
        && !b"DFIOQUV".contains(second)
        && !barred.contains(&letters)
}

fn is_nino_suffix(letter: u8) -> bool {
    matches!(letter, b'A'..=b'D')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_card_specimen_checks_out_on_its_tenth_character() {
        assert!(icao_check(b"L01X00T471"));
        assert!(!icao_check(b"L01X00T472"));
    }
}
