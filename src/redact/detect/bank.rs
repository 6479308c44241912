//! IBAN_CODE: country, the country's length, ISO 7064 mod 97-10; blanks or dashes between groups.

use super::bytes::{before, byte, is_digit, slice, starts_free};
use super::{Finding, Scan, checksum};
use crate::redact::entity::Entity;

/// Length by country (SWIFT registry).
const LENGTHS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18\
FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25\
MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27\
SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30";
const LENGTH_MAX: usize = 34;

pub(super) fn iban(scan: &Scan<'_>, start: usize, word_end: usize) -> Option<usize> {
    if word_end < start + 4 || !is_digit(byte(scan.text, start + 2)) || !is_digit(byte(scan.text, start + 3))
    {
        return None;
    }
    read(scan, start)
}

/// At the first digit of one whose country stands apart: `AT 61 1904 3002 …`.
pub(super) fn behind_country(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    let start = at.checked_sub(3)?;
    let shaped = matches!(before(text, at), b' ' | b'-')
        && is_digit(byte(text, at + 1))
        && slice(text, start, start + 2).iter().all(u8::is_ascii_uppercase)
        && starts_free(text, start);
    if !shaped || !scan.on.has(Entity::IbanCode) {
        return None;
    }
    let end = read(scan, start)?;
    // No sentence: an account holds the letters of a bank at most.
    let letters = slice(text, at, end).iter().filter(|b| b.is_ascii_alphabetic()).count();
    (letters < 8).then(|| Finding::whole(Entity::IbanCode, start, end))
}

fn read(scan: &Scan<'_>, start: usize) -> Option<usize> {
    let country =
        [byte(scan.text, start).to_ascii_uppercase(), byte(scan.text, start + 1).to_ascii_uppercase()];
    let length = LENGTHS.as_bytes().chunks_exact(4).find(|row| row.starts_with(&country))?.get(2..)?;
    let length = length.iter().fold(0, |n, b| n * 10 + usize::from(b - b'0'));
    let mut compact = [0_u8; LENGTH_MAX];
    let mut at = start;
    for cell in compact.iter_mut().take(length) {
        if matches!(byte(scan.text, at), b' ' | b'-' | b'.') {
            // Two blanks, as of a copied page.
            at += if byte(scan.text, at) == b' ' && byte(scan.text, at + 1) == b' ' { 2 } else { 1 };
        }
        let b = byte(scan.text, at);
        // Small letters behind a country in capitals are words.
        let word = b.is_ascii_lowercase() && byte(scan.text, start).is_ascii_uppercase();
        if !b.is_ascii_alphanumeric() || word {
            return None;
        }
        *cell = b.to_ascii_uppercase();
        at += 1;
    }
    let free = !byte(scan.text, at).is_ascii_alphanumeric();
    (free && checksum::iban(compact.get(..length)?)).then_some(at)
}
