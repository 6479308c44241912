//! When a certificate is good: clients that check it refuse it before and behind. Source: RFC 5280, section 4.1.2.5. Pure.

use super::der::{Elements, SEQUENCE};
use chrono::NaiveDateTime;

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// Two digits of a year below this are of this century.
const CENTURY_TURNS: u32 = 50;

/// From when until when, both in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    pub from: i64,
    pub until: i64,
}

impl Validity {
    /// What a certificate says; `None` where that cannot be read.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let fields = Elements(Elements(certificate).of(SEQUENCE)?).of(SEQUENCE)?;
        // Behind the signature's algorithm and the issuer; what stands before and between is none.
        let mut sequences = Elements(fields).map_while(|field| field).filter(|(tag, _)| *tag == SEQUENCE);
        let mut times = Elements(sequences.nth(2)?.1);
        Some(Self { from: seconds(times.next()??)?, until: seconds(times.next()??)? })
    }
}

fn seconds((tag, text): (u8, &[u8])) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let whole = match tag {
        UTC_TIME => {
            let year: u32 = text.get(..2)?.parse().ok()?;
            format!("{}{text}", if year < CENTURY_TURNS { 20 } else { 19 })
        }
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    NaiveDateTime::parse_from_str(&whole, "%Y%m%d%H%M%SZ").ok().map(|time| time.and_utc().timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    fn certificate(from: (i32, u8), until: (i32, u8)) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from.0, from.1, 1);
        params.not_after = date_time_ymd(until.0, until.1, 1);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn both_times_are_read_as_they_were_written() {
        // Of years up to 2049 two digits are written, of later ones four.
        for from in [1970, 1999, 2000, 2026, 2049] {
            for until in [2000, 2049, 2050, 2100, 9999] {
                for month in 1..=12 {
                    let read = Validity::of(&certificate((from, month), (until, month))).unwrap();
                    let expected = [from, until].map(|year| date_time_ymd(year, month, 1).unix_timestamp());
                    assert_eq!([read.from, read.until], expected, "{from} {until} {month}");
                }
            }
        }
    }

    #[test]
    fn what_is_cut_off_cannot_be_read() {
        let bytes = certificate((2020, 1), (2030, 1));
        for end in 0..bytes.len() {
            assert_eq!(Validity::of(&bytes[..end]), None, "{end}");
        }
    }
}
