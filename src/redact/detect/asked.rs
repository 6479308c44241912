//! PASSWORD in the answer to a question: "what is the password?", and in the line below "eva: …", or the answer alone.

use super::bytes::{Classes, byte, is_space, run_end, run_start, slice};
use super::lead::is_one_of;
use super::password::{LINKS, is_one, is_strong, password_at};
use super::signed::is_led;
use super::{Finding, noun};

/// How much of a question may stand behind the noun, and before it.
const QUESTION_MAX: usize = 64;
const WORD_MAX: usize = 24;
/// What an answer begins with.
const ANSWERS: &[&str] = &[
    "it's", "its", "it", "es", "das", "try", "ce", "yes", "yep", "yeah", "sure", "ja", "klar", "oui", "si",
    "here", "hier", "voici", "ok", "still", "noch", "immer", "toujours", "think", "glaub", "glaube", "crois",
    "i", "ich", "je", "the", "password", "passwort", "le",
];
/// What a question asks for that is no password, in one of its words.
const OTHERS: &[&str] = &[
    "why",
    "warum",
    "wieso",
    "weshalb",
    "pourquoi",
    "forgot",
    "forgotten",
    "lost",
    "vergessen",
    "oubli\u{e9}",
    "perdu",
    "hashed",
    "hash",
    "rejected",
    "reset",
    "wrong",
    "falsch",
];

const PLEASE: &[&str] = &["", "pls", "plz", "please", "bitte", "svp", "again", "nochmal"];

/// From behind the noun on: the line ends with a question mark, and the next one holds one word, behind who says it or alone.
#[cold]
pub(super) fn answered(text: &[u8], from: usize) -> Option<Finding> {
    let line = asked(text, from)?;
    let said = speaker(text, line);
    if said.is_none() && memchr::memchr(b'?', slice(text, from, line)).is_none() {
        return None;
    }
    let mut at = said.unwrap_or(line);
    for _ in 0..4 {
        let end = run_end(text, at, WORD_MAX, |b| !b.is_ascii_whitespace());
        let word = slice(text, at, end);
        let word = word.strip_suffix(b",").or_else(|| word.strip_suffix(b":")).unwrap_or(word);
        if word.is_empty() || !is_one(word, LINKS) && !is_one_of(word, ANSWERS) {
            break;
        }
        at = run_end(text, end, 2, is_space);
    }
    password_at(text, at).filter(|found| {
        let value = slice(text, found.start, found.end);
        let classes = Classes::of(value);
        let behind =
            run_end(text, found.end, 4, |b| is_space(b) || matches!(b, b'"' | b'\'' | b'`' | b'*' | b'.'));
        let last = matches!(byte(text, behind), b'\r' | b'\n' | 0 | b'"' | b'\\');
        let cased = classes.upper > 0 && (said.is_some() || classes.digit > 1 && classes.lower > 1);
        let made = classes.digit > 0 && cased
            || said.is_some() && classes.digit > 2
            || is_strong(value)
            || is_led(value);
        last && made
            && value.len() > 7
            && !is_one(value, noun::TECHNICAL)
            && (said.is_some() || !is_dated(value))
    })
}

/// `Register2024`: a word and a year.
fn is_dated(value: &[u8]) -> bool {
    let letters = value.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let year = slice(value, letters, value.len());
    year.len() == 4 && (year.starts_with(b"19") || year.starts_with(b"20"))
}

/// Where the line begins that answers.
fn asked(text: &[u8], from: usize) -> Option<usize> {
    let stop = run_end(text, from, QUESTION_MAX, |b| !matches!(b, b'\n' | b'?' | b':'));
    // Without a mark the noun ends the line, or a word that asks.
    if byte(text, stop) != b'?' && !is_one_of(slice(text, from, stop).trim_ascii(), PLEASE) {
        return None;
    }
    let end = run_end(text, stop, 4, |b| is_space(b) || matches!(b, b'?' | b'!' | b'\r' | b'"' | b'*'));
    let line = run_end(text, end, 4, |b| matches!(b, b'\n' | b'\r' | b' ' | b'>'));
    let feeds = run_start(text, line, 4, |b| b != b'\n');
    if byte(text, end) != b'\n' || feeds <= end {
        return None;
    }
    let begin = run_start(text, from, QUESTION_MAX, |b| b != b'\n');
    let other = |word: &[u8]| is_one_of(word, OTHERS);
    let mut words = slice(text, begin, stop).split(|b| is_space(*b) || matches!(b, b',' | b'>' | b'"'));
    (!words.any(other)).then_some(line)
}

/// From the end of a line that asks for a password on: where the answer stands that somebody gives in the next one,
/// `[14:03] Bogdan: …`.
fn speaker(text: &[u8], line: usize) -> Option<usize> {
    let mut at = line;
    if byte(text, at) == b'[' {
        let close = run_end(text, at + 1, 24, |b| b != b']' && b != b'\n');
        at = run_end(text, close + 1, 2, is_space);
    } else {
        let clock = run_end(text, at, 8, |b| b.is_ascii_digit() || b == b':');
        at = if clock > at + 3 { run_end(text, clock, 3, |b| is_space(b) || b == b'-') } else { at };
    }
    at = run_end(text, at, 1, |b| b == b'<');
    let name = run_end(text, at, 24, |b| {
        b.is_ascii_alphanumeric() || b >= 0x80 || matches!(b, b' ' | b'.' | b'_' | b'-' | b'@')
    });
    let sign = matches!(byte(text, name), b':' | b'>');
    let value = run_end(text, name + 1, 3, |b| is_space(b) || b == b'*');
    (sign && name > at && value > name + 1).then_some(value)
}
