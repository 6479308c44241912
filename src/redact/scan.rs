//! The one pass over a text: jump from trigger byte to trigger byte, ask the detectors of that trigger.
//! Apart from the detectors, which know nothing of each other or of the order they run in.

use std::cell::Cell;

use super::block::Places;
use super::detect;
use super::entity::{Detectors, Entity};

/// A stretch of text between placeholders, and what is known about it.
pub(super) struct Scan<'a> {
    /// UTF-8.
    pub(super) text: &'a [u8],
    /// The JSON key that this text is the value of, else empty.
    pub(super) key: &'a str,
    pub(super) on: Detectors,
    /// Up to where pairs of cookies were looked at: a header within them is one of their values.
    pub(super) cookies: Cell<usize>,
    /// The same of lists of credentials.
    pub(super) lists: Cell<usize>,
}

/// Bytes `start..end` are sensitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) what: What,
    /// Where the scan goes on: the end, or earlier when something more specific may stand inside.
    pub(super) resume: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Entity(Entity),
    /// The tenant's pattern of this index.
    Own(usize),
    /// A large data: URL, summarised as its media type and size; `type_end` is where the type ends.
    Data {
        type_end: usize,
        bytes: usize,
    },
}

impl Finding {
    /// A value that nothing else needs to be looked for in.
    pub(super) fn whole(entity: Entity, start: usize, end: usize) -> Self {
        Self { start, end, what: What::Entity(entity), resume: end }
    }

    /// Moves from a stretch of the text to the whole.
    pub(super) fn shift(&mut self, by: usize) {
        self.start += by;
        self.end += by;
        if let What::Data { type_end, .. } = &mut self.what {
            *type_end += by;
        }
    }

    /// A value that may hold a more specific one.
    pub(super) fn outer(entity: Entity, start: usize, end: usize, resume: usize) -> Self {
        Self { start, end, what: What::Entity(entity), resume }
    }
}

/// What a detector answers: what it found, if anything, and from where the scan goes on.
pub(super) enum Step {
    Found(Finding),
    /// Pairs of cookies.
    Cookies(detect::Pairs),
    /// Values that are listed from there on.
    List,
    /// Nothing before this offset.
    Skip(usize),
}

impl<'a> Scan<'a> {
    pub(super) fn of(text: &'a [u8], key: &'a str, on: Detectors) -> Self {
        Self { text, key, on, cookies: Cell::new(0), lists: Cell::new(0) }
    }

    /// All findings, by ascending place of their trigger.
    pub(super) fn run(&self, mut out: impl FnMut(Finding)) {
        let mut at = 0;
        let mut candidates = Places::of(self.text, has_trigger);
        while let Some(found) = next_trigger(&mut candidates, self.text, at) {
            at = found;
            let next = match self.step(at) {
                Step::Found(finding) => {
                    out(finding);
                    finding.resume
                }
                Step::Cookies(pairs) => {
                    self.cookies.set(detect::each_cookie(self.text, &pairs, &mut out));
                    at + 1
                }
                Step::List => {
                    self.lists.set(detect::listed(self.text, at, &mut out));
                    at + 1
                }
                Step::Skip(to) => to,
            };
            at = next.max(at + 1);
        }
    }

    fn step(&self, at: usize) -> Step {
        let kind = trigger(super::bytes::byte(self.text, at));
        if kind == Trigger::Digit {
            return detect::at_digit(self, at);
        }
        if let Some(pairs) = detect::begins_cookies(kind, self, at) {
            return Step::Cookies(pairs);
        }
        match detect::at(kind, self, at) {
            Some(found) => Step::Found(found),
            None if kind.assigns() && detect::begins_list(self, at) => Step::List,
            None => Step::Skip(at + 1),
        }
    }
}

/// Most strings of a JSON document are such: small letters and `_`, and no more of them than an encoded text begins with.
/// No trigger but the `_` stands in one, which needs capitals or digits beside it, and the letters of a password's word,
/// which needs a value behind it.
pub(super) fn is_short_word(text: &str) -> bool {
    text.len() < SHORT && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// No run of this length is decoded.
const SHORT: usize = 16;

/// Why the scan stops at a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trigger {
    None,
    Digit,
    At,
    Colon,
    Equals,
    Dash,
    Underscore,
    /// The first letter of a word for a password.
    Noun,
    /// A capital that stands in the prefix of a credential.
    Capital,
}

impl Trigger {
    fn assigns(self) -> bool {
        matches!(self, Self::Colon | Self::Equals)
    }
}

const fn table() -> [Trigger; 256] {
    let mut table = [Trigger::None; 256];
    let mut at = 0_usize;
    while at < 256 {
        #[expect(clippy::cast_possible_truncation, clippy::indexing_slicing, reason = "at < 256")]
        {
            table[at] = match at as u8 {
                b'0'..=b'9' => Trigger::Digit,
                b'@' => Trigger::At,
                b':' => Trigger::Colon,
                b'=' => Trigger::Equals,
                b'-' => Trigger::Dash,
                b'_' => Trigger::Underscore,
                b'p' | b'P' | b'k' | b'K' => Trigger::Noun,
                b'I' | b'J' | b'G' | b'B' | b'C' => Trigger::Capital,
                _ => Trigger::None,
            };
        }
        at += 1;
    }
    table
}

static TABLE: [Trigger; 256] = table();

/// The next place from `at` where a detector has to look.
fn next_trigger(
    candidates: &mut Places<'_, impl Fn(u8) -> bool>,
    text: &[u8],
    mut at: usize,
) -> Option<usize> {
    loop {
        at = candidates.next(at)?;
        if is_trigger(text, at) {
            return Some(at);
        }
        at += 1;
    }
}

/// As the table has it, without a look into one.
#[inline(always)]
fn has_trigger(b: u8) -> bool {
    (b.wrapping_sub(b'0') < 11)
        | (b == b'@')
        | (b & 0xFE == b'B')
        | (b == b'G')
        | (b.wrapping_sub(b'I') < 3)
        | (b | 0x20 == b'p')
        | (b == b'k')
        | (b == b'=')
        | (b == b'-')
        | (b == b'_')
}

fn is_trigger(text: &[u8], at: usize) -> bool {
    match trigger(super::bytes::byte(text, at)) {
        Trigger::None => false,
        Trigger::Noun => may_be_noun(text, at),
        Trigger::Capital => may_be_prefix(text, at),
        _ => true,
    }
}

/// Whether the letter may begin one of the words for a password: it begins a word, and the next letters fit.
/// `mdp` is seen at its last letter and `token` at its third, which are the rarer ones.
fn may_be_noun(text: &[u8], at: usize) -> bool {
    let next = |ahead: usize| text.get(at + ahead).map_or(0, |b| b | 0x20);
    let begins =
        at.checked_sub(1).and_then(|prior| text.get(prior)).is_none_or(|b| !b.is_ascii_alphanumeric());
    // `/` with the bit of small letters is itself.
    let fits = matches!((next(1), next(2)), (b'a', b's') | (b'w', _) | (b'e', b'n' | b'y') | (b'/', b'w'));
    if begins || !fits {
        // `token`, and `mdp` at its end, begin elsewhere.
        return fits || is_late_letter(text, at);
    }
    // At the end of a German word: `Einmalpasswort`.
    text.get(at..at + 8)
        .is_some_and(|word| word.eq_ignore_ascii_case(b"passwort") || word.eq_ignore_ascii_case(b"kennwort"))
        || is_late_letter(text, at)
}

/// Whether a word is seen here that has no `p` or `k` at its beginning: the `p` of `mdp`, the `k` of `token`.
fn is_late_letter(text: &[u8], at: usize) -> bool {
    at.checked_sub(2).and_then(|start| text.get(start..at)).is_some_and(|head| {
        head.eq_ignore_ascii_case(b"md")
            || (head.eq_ignore_ascii_case(b"to") && text.get(at + 1).is_some_and(|b| b | 0x20 == b'e'))
    })
}

/// Whether the capital may stand in one of the prefixes: `eyJ`, `AKIA` and its like, `AIza`, `SG.`, `ABSK`, `Bearer `, `Basic `.
fn may_be_prefix(text: &[u8], at: usize) -> bool {
    let before = super::bytes::before(text, at);
    match super::bytes::byte(text, at) {
        b'J' => before == b'y',
        // Of `ACCA`, the second one.
        b'C' => match super::bytes::byte(text, at + 1) {
            b'A' => before == b'C',
            // `SECRET`.
            b'R' => before == b'E',
            _ => false,
        },
        b'I' => matches!(before, b'K' | b'S' | b'B' | b'A'),
        b'G' => matches!(before, b'S' | b'A'),
        // `IDENTIFIED BY`, and the others.
        _ => {
            let next = super::bytes::byte(text, at + 1);
            before == b'A' || matches!(next | 0x20, b'e' | b'a') || (next == b'Y' && before == b' ')
        }
    }
}

fn trigger(byte: u8) -> Trigger {
    TABLE.get(usize::from(byte)).copied().unwrap_or(Trigger::None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_trigger_is_passed_over(text in proptest::collection::vec(any::<u8>(), 0..200), steps in proptest::collection::vec(1..80_usize, 200)) {
            let (mut candidates, mut at) = (Places::of(&text, has_trigger), 0);
            for step in steps {
                let plain = (at..text.len()).find(|place| is_trigger(&text, *place));
                let found = next_trigger(&mut candidates, &text, at);
                prop_assert_eq!(found, plain);
                at = found.unwrap_or(at) + if step > 40 { step - 40 } else { 1 };
            }
        }
    }
}
