//! The words that stand right before a value, nearest first, past signs and past words that only link.

use super::bytes::{is_alphanumeric, is_digit, run_start, slice};

/// How far they are looked at.
const LOOK: usize = 48;
/// More words than that link nothing.
const LINKS_MAX: usize = 4;

/// Words that join a noun or a verb with the value behind it.
const LINKS: &[&str] = &[
    "is", "ist", "est", "s", "now", "jetzt", "lautet", "le", "la", "les", "at", "on", "an", "au", "auf",
    "unter", "under", "via", "per", "to", "for", "me", "mich", "mir", "moi", "us", "uns", "nous", "here",
    "hier", "new", "neue", "neuer", "nouveau", "private", "privat", "direct", "addr", "address", "adresse",
];

/// The last word before `at` that does not link, and the one before it; empty where there is none.
pub(super) fn words(text: &[u8], at: usize) -> [&[u8]; 2] {
    let head = slice(text, at.saturating_sub(LOOK), at);
    let (first, from) = last(head, head.len());
    let (second, _) = last(head, from);
    [first, second]
}

fn last(head: &[u8], mut end: usize) -> (&[u8], usize) {
    for _ in 0..=LINKS_MAX {
        let stop = run_start(head, end, LOOK, is_sign);
        let begin = run_start(head, stop, LOOK, is_of_word);
        let word = slice(head, begin, stop);
        end = begin;
        if word.first().is_none_or(|b| is_digit(*b)) || !is_one_of(word, LINKS) {
            return (word, end);
        }
    }
    (&[], 0)
}

pub(super) fn is_one_of(word: &[u8], of: &[&str]) -> bool {
    of.iter().any(|one| word.eq_ignore_ascii_case(one.as_bytes()))
}

fn is_sign(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r' | b':' | b'=' | b'#' | b'"' | b'\'' | b'(' | b'-' | b'*' | b'`')
}

fn is_of_word(b: u8) -> bool {
    is_alphanumeric(b) || b == b'_' || b >= 0x80
}
