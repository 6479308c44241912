//! PHONE_NUMBER: international (`+`, `00`) by country and length, and the national forms of
//! Austria, Germany, Switzerland, France, Great Britain and North America.
//! A number without `+` and without any separator needs a word that says it is one.

use super::bytes::{self, before, is_word};
use super::number::{Number, Taken};

const WORDS: &[&str] = &[
    "tel",
    "tél",
    "tel.",
    "telefon",
    "telephone",
    "téléphone",
    "phone",
    "mobile",
    "mobil",
    "handy",
    "natel",
    "cell",
    "call",
    "ruf",
    "rufen",
    "anrufen",
    "rufnummer",
    "telefonnummer",
    "handynummer",
    "appelez",
    "appeler",
    "portable",
    "fax",
    "sms",
    "whatsapp",
    "phone_number",
    "mobile_number",
    "dial",
    "ring",
    "rappelez",
    "erreichbar",
    "joindre",
    "numéro",
    "reach",
];

/// Words before a number that is none of a telephone, however it is grouped.
const OTHERS: &[&str] = &[
    "part",
    "artikel",
    "art",
    "article",
    "sku",
    "item",
    "order",
    "bestellung",
    "bestellnummer",
    "commande",
    "rechnung",
    "invoice",
    "facture",
    "ticket",
    "case",
    "vorgang",
    "aktenzeichen",
    "ref",
    "r\u{e9}f",
    "reference",
    "model",
    "modell",
    "mod\u{e8}le",
    "serial",
    "seriennummer",
    "isbn",
    "ean",
    "gtin",
    "issue",
    "batch",
    "charge",
    "lot",
    "version",
    "build",
    "firmware",
    "port",
    "ports",
    "rma",
    "tracking",
    "dossier",
    "auftrag",
    "kundennummer",
];

/// Country codes with the lengths of their national numbers, where we know the plan.
const PLANS: &[(&[u8], usize, usize)] = &[
    (&[4, 3], 5, 13),
    (&[4, 9], 6, 12),
    (&[4, 1], 9, 9),
    (&[3, 3], 9, 9),
    (&[4, 4], 9, 10),
    (&[1], 10, 10),
    (&[3, 9], 6, 11),
    (&[3, 4], 9, 9),
    (&[3, 1], 9, 9),
    (&[3, 2], 8, 9),
    (&[4, 2, 3], 7, 7),
    (&[3, 5, 2], 6, 9),
];

pub(super) fn find(number: &Number<'_>) -> Option<(usize, usize)> {
    let text = number.scan.text;
    let mut start = number.start();
    if before(text, start) == b'-' {
        return None;
    }
    let open = before(text, start) == b'(';
    if open {
        start -= 1;
    }
    if before(text, start) == b'+' && !is_word(before(text, start - 1)) {
        let end = international(number, 0)?;
        return Some((start - 1, end));
    }
    if number.digits.starts_with(&[0, 0])
        && let Some(end) = international(number, 2)
    {
        return Some((start, end));
    }
    let end = trunk(number).or_else(|| north_american(number))?;
    let head = bytes::slice(text, start.saturating_sub(20), start);
    let other = bytes::holds_word(head, OTHERS) || bytes::holds_word(number.scan.key.as_bytes(), OTHERS);
    (!other || bytes::holds_word(head, WORDS)).then_some((start, end))
}

/// After `+` or `00` (`prefix` digits): a known country, or any with 8 to 15 digits in all.
fn international(number: &Number<'_>, prefix: usize) -> Option<usize> {
    let digits = number.digits.get(prefix..)?;
    if digits.first()? == &0 || digits.starts_with(&[9, 9, 9]) {
        return None;
    }
    // "+49 (0) 151": the trunk zero stands in the number but does not count.
    let zero = usize::from(number.groups.iter().take(2).any(|g| g.sep == b'(') && has_bracketed_zero(number));
    let plan = PLANS.iter().find(|(code, ..)| digits.starts_with(code));
    let (least, most) = plan.map_or((8, 15), |(code, least, most)| (code.len() + least, code.len() + most));
    let accept = |count: &usize| number.take(*count).map(|taken| taken.end);
    (least + prefix + zero..=most + prefix + zero).rev().find_map(|count| accept(&count))
}

fn has_bracketed_zero(number: &Number<'_>) -> bool {
    number.groups.iter().zip(number.groups.iter().skip(1)).take(2).any(|(a, b)| {
        a.sep == b'(' && b.len == 1 && b.sep == b')' && bytes::byte(number.scan.text, b.start) == b'0'
    })
}

/// A national number with the trunk prefix 0.
fn trunk(number: &Number<'_>) -> Option<usize> {
    if number.digits.first() != Some(&0) || number.digits.get(1).is_none_or(|d| *d == 0) {
        return None;
    }
    (9..=13).rev().find_map(|count| {
        let taken = number.take(count)?;
        let fits = if taken.is_joined() {
            (10..=12).contains(&count) && number.near(&taken, WORDS)
        } else {
            is_grouped_as_trunk(&taken)
        };
        fits.then_some(taken.end)
    })
}

fn is_grouped_as_trunk(taken: &Taken<'_>) -> bool {
    let first = taken.groups.first().map_or(0, |g| g.len);
    let rest = taken.groups.get(1..).unwrap_or_default();
    let mut separators = taken.separators();
    let opening = separators.next().unwrap_or(0);
    let rest_of_separators: Vec<u8> = separators.collect();
    let uniform = rest_of_separators
        .iter()
        .all(|s| Some(s) == rest_of_separators.first() && !matches!(s, b'(' | b')' | b'/'));
    let pairs = taken.has_lengths(&[2, 2, 2, 2, 2]);
    let long = (2..=6).contains(&first)
        && rest.len() <= 4
        && rest.iter().all(|g| g.len >= 2)
        && (first > 2 || rest.len() < 4);
    let dotted = opening == b'.' && !pairs && first < 3;
    // 3-2-4 is how a social security number is written, one that was never issued here.
    uniform && !dotted && (pairs || (long && !taken.has_lengths(&[3, 2, 4])))
}

/// `(212) 555-0100`, `212-555-0100`, `212.555.0100`, `1-212-555-0100`.
fn north_american(number: &Number<'_>) -> Option<usize> {
    let skip = usize::from(number.digits.first() == Some(&1) && number.groups.first()?.len == 1);
    let taken = number.take(10 + skip)?;
    let digits = taken.digits.get(skip..)?;
    let plan = digits.first().is_some_and(|d| *d > 1) && digits.get(3).is_some_and(|d| *d > 1);
    if !plan {
        return None;
    }
    let shaped = taken.has_lengths(&[3, 3, 4]) || (skip == 1 && taken.has_lengths(&[1, 3, 3, 4]));
    (shaped || (taken.is_joined() && number.near(&taken, WORDS))).then_some(taken.end)
}
