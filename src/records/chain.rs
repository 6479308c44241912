//! How audit lines hang together: each carries the hash of the one before and its own, so that no line can be
//! changed, moved or taken out of the middle unseen. Apart because writer, recovery and verifier must agree to the
//! byte. What the chain alone cannot show (its own end cut off, all of it computed anew) the head shows.
//!
//! `hash` = SHA-256 over the 64 hex digits of `prev`, then the line's bytes without its `hash` member and newline.
//! The first `prev` is SHA-256("tollgate audit " tenant).

use sha2::{Digest as _, Sha256};

use super::stamp::Day;

const PREV: &[u8] = br#","prev":""#;
const HASH: &[u8] = br#","hash":""#;
const END: &[u8] = br#""}"#;
const TIME: &[u8] = br#"{"time":""#;

/// A SHA-256 as 64 lower-case hex digits, as it stands in a line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 64]);

impl Digest {
    /// The digest as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Reads 64 lower-case hex digits; None for anything else.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let hex = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        text.iter().all(hex).then(|| text.try_into().ok().map(Self)).flatten()
    }

    pub(super) fn of(parts: [&[u8]; 3]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part);
        }
        let sum = hash.finalize();
        let mut hex = [b'0'; 64];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(sum.iter()) {
            pair.copy_from_slice(&[nibble(byte >> 4), nibble(byte & 15)]);
        }
        Self(hex)
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

fn nibble(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + (value - 10) }
}

/// What the first line of a tenant's chain names as the one before it.
pub fn genesis(tenant: &str) -> Digest {
    Digest::of([b"tollgate audit ", tenant.as_bytes(), b""])
}

/// What a line names as the one before it when the gateway found no trustworthy head to continue from: it fits no
/// line, so the verifier reports this place ever after.
pub(super) fn severed(tenant: &str) -> Digest {
    Digest::of([b"tollgate audit continues without a head ", tenant.as_bytes(), b""])
}

/// Closes a line: `out[start..]` is an object without its end (`{"time":…,"by":null`); `prev`, `hash` and the
/// newline are appended. Returns the hash, the next line's `prev`.
pub(super) fn seal(out: &mut Vec<u8>, start: usize, prev: &Digest) -> Digest {
    out.extend_from_slice(PREV);
    out.extend_from_slice(&prev.0);
    out.push(b'"');
    let hash = Digest::of([&prev.0, out.get(start..).unwrap_or_default(), b"}"]);
    out.extend_from_slice(HASH);
    out.extend_from_slice(&hash.0);
    out.extend_from_slice(END);
    out.push(b'\n');
    hash
}

/// The `prev` and `hash` that a line (without its newline) says it has; None if it does not end as a record does.
pub(super) fn links(line: &[u8]) -> Option<(Digest, Digest)> {
    let rest = line.strip_suffix(END)?;
    let (rest, hash) = rest.split_last_chunk::<64>()?;
    let rest = rest.strip_suffix(HASH)?.strip_suffix(b"\"")?;
    let (rest, prev) = rest.split_last_chunk::<64>()?;
    rest.ends_with(PREV).then_some(())?;
    Some((Digest::parse(prev)?, Digest::parse(hash)?))
}

/// What is wrong with a line of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("is not a record (its end is not `prev` and `hash`)")]
    Shape,
    #[error("does not follow the record before it (one was removed, moved, repeated or put in)")]
    Prev,
    #[error("is not the chain's first record (earlier ones were removed, or it is another tenant's)")]
    Genesis,
    #[error("was changed: its hash does not fit what it says")]
    Hash,
    #[error("carries a time that does not belong into this day's file")]
    Time,
    #[error("is longer than any record")]
    TooLong,
    #[error("is one more than a chain can have: its head counts what was never there")]
    Count,
}

/// Walks along a chain, line by line.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    /// What the next line must name as `prev`.
    pub(super) expected: Digest,
    /// Records of the chain so far, those that retention removed included.
    pub(super) records: u64,
    /// The latest day that it reached, if that is known.
    pub(super) latest: Option<Day>,
}

impl Walk {
    /// When a line says that it was made.
    pub(super) fn time_of(line: &[u8]) -> Option<&str> {
        std::str::from_utf8(line.strip_prefix(TIME)?.get(..24)?).ok()
    }

    /// Checks one line (without its newline) that stands in the file of `day`, and steps over it.
    pub(super) fn step(&mut self, line: &[u8], day: Day) -> Result<(), Broken> {
        let (prev, hash) = links(line).ok_or(Broken::Shape)?;
        if prev != self.expected {
            return Err(if self.records == 0 { Broken::Genesis } else { Broken::Prev });
        }
        let signed = line.len().saturating_sub(HASH.len() + 64 + END.len());
        if Digest::of([&prev.0, line.get(..signed).unwrap_or_default(), b"}"]) != hash {
            return Err(Broken::Hash);
        }
        // A record made just before midnight may be written just after it, a stream's even later: a day's grace.
        let time = line.strip_prefix(TIME).and_then(|rest| rest.get(..10));
        let made =
            time.and_then(|text| std::str::from_utf8(text).ok()).and_then(Day::parse).ok_or(Broken::Time)?;
        // A clock that is set back leaves the chain in the file of the day that it had reached.
        let had_reached = self.latest.is_some_and(|latest| latest >= day);
        if made > day || (made.next() < day && !had_reached) {
            return Err(Broken::Time);
        }
        self.latest = self.latest.max(Some(made));
        self.records = self.records.checked_add(1).ok_or(Broken::Count)?;
        self.expected = hash;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day() -> Day {
        Day::parse("2026-11-25").unwrap()
    }

    fn sealed(body: &str) -> Vec<u8> {
        let mut out = body.as_bytes().to_vec();
        seal(&mut out, 0, &genesis("acme"));
        out.pop();
        out
    }

    #[track_caller]
    fn check(line: &[u8], expected: Result<(), Broken>) {
        let mut walk = Walk { expected: genesis("acme"), records: 0, latest: None };
        assert_eq!(walk.step(line, day()), expected);
        assert_eq!(walk.records, u64::from(expected.is_ok()));
    }

    #[test]
    fn a_line_is_taken_or_named_broken() {
        check(&sealed(r#"{"time":"2026-11-25T00:00:00.000Z","x":1"#), Ok(()));
        check(&sealed(r#"{"time":"2026-11-24T23:59:59.999Z","x":1"#), Ok(()));
        check(&sealed(r#"{"time":"2026-11-23T23:59:59.999Z","x":1"#), Err(Broken::Time));
        check(&sealed(r#"{"time":"2026-11-26T00:00:00.000Z","x":1"#), Err(Broken::Time));
        check(&sealed(r#"{"x":1"#), Err(Broken::Time));
        check(b"", Err(Broken::Shape));
        check(b"{}", Err(Broken::Shape));
        let mut foreign = br#"{"time":"2026-11-25T00:00:00.000Z""#.to_vec();
        seal(&mut foreign, 0, &genesis("globex"));
        foreign.pop();
        check(&foreign, Err(Broken::Genesis));
    }

    #[test]
    fn the_hash_is_what_the_page_says_it_is() {
        let line = sealed(r#"{"time":"2026-11-25T00:00:00.000Z""#);
        let text = String::from_utf8(line.clone()).unwrap();
        let without = format!("{}}}", text.split_once(",\"hash\"").unwrap().0);
        let (prev, hash) = links(&line).unwrap();
        assert_eq!(hash, Digest::of([prev.as_str().as_bytes(), without.as_bytes(), b""]));
        assert_eq!(prev, Digest::of([b"tollgate audit acme", b"", b""]));
    }

    /// The clock was set back by days: the lines stay in the file of the latest day, in which the chain had come to it.
    #[test]
    fn a_line_of_long_ago_belongs_behind_one_of_the_files_day() {
        let mut walk = Walk { expected: genesis("acme"), records: 0, latest: None };
        for (time, expected) in [
            ("2026-11-23T10:00:00.000Z", Err(Broken::Time)),
            ("2026-11-24T10:00:00.000Z", Ok(())),
            ("2026-11-23T10:00:00.000Z", Err(Broken::Time)),
            ("2026-11-25T10:00:00.000Z", Ok(())),
            ("2026-11-20T10:00:00.000Z", Ok(())),
            ("2026-11-26T10:00:00.000Z", Err(Broken::Time)),
        ] {
            let mut line = format!(r#"{{"time":"{time}","x":1"#).into_bytes();
            seal(&mut line, 0, &walk.expected);
            line.pop();
            assert_eq!(walk.step(&line, day()), expected, "{time}");
        }
        assert_eq!(walk.records, 3);
    }

    #[test]
    fn every_flipped_bit_of_a_line_is_seen() {
        let line = sealed(r#"{"time":"2026-11-25T00:00:00.000Z","tool":"get_x""#);
        for bit in 0..line.len() * 8 {
            let mut changed = line.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let mut walk = Walk { expected: genesis("acme"), records: 0, latest: None };
            assert!(walk.step(&changed, day()).is_err(), "bit {bit}");
        }
    }
}
