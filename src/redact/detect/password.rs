//! PASSWORD in speech: "my password is …", "das Kennwort lautet …", "mot de passe est …", "with password …", `--password …`, `curl -u user:…`.

use super::assignment::is_reference;
use super::bytes::{Classes, before, byte, is_space, run_end, run_start, slice, starts_with_ignoring_case};
use super::{Finding, Scan};
use crate::redact::entity::Entity;

const WORDS: &[&[u8]] = &[
    b"password",
    b"passwort",
    b"passphrase",
    b"passcode",
    b"passwd",
    b"passe",
    b"kennwort",
    b"pass",
    b"pwd",
    b"pw",
];
const LINKS: &[&[u8]] = &[
    b"is",
    b"ist",
    b"lautet",
    b"est",
    b"was",
    b"war",
    b"=",
    b":",
    b"becomes",
    b"wird",
    b"now",
    b"to",
    b"auf",
    b"c'est",
    b"sera",
    b"hei\xC3\x9Ft",
    b"heisst",
    b"->",
    b"=>",
    b"are",
    b"sind",
    b"bleibt",
    b"remains",
    b"reads",
    b"vaut",
    b"jetzt",
    b"neu",
    b"be",
    b"being",
    b"equals",
    b"w\xC3\xA4re",
    b"sei",
    b"devient",
    b"\xC3\xA9tait",
    b"zu",
    b"als",
    b"comme",
    b"as",
];
/// Words between the noun and the verb: "the password for the staging host is …".
const BETWEEN_MAX: usize = 5;
/// A longer word is no word of a sentence.
const WORD_MAX: usize = 24;

/// At the first letter of the noun.
pub(super) fn spoken(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    let short = at.checked_sub(2).filter(|start| starts_with_ignoring_case(text, *start, b"mdp"));
    if short.is_none() && !matches!(byte(text, at + 1) | 0x20, b'a' | b'e' | b'w') {
        return None;
    }
    let (at, word) = match short {
        Some(start) => (start, &b"mdp"[..]),
        None => (at, *WORDS.iter().find(|w| starts_with_ignoring_case(text, at, w))?),
    };
    let mut from = at + word.len();
    let prior = before(text, at);
    if prior.is_ascii_alphanumeric() || byte(text, from).is_ascii_alphanumeric() {
        return None;
    }
    let option = prior == b'-' && at > 1 && !byte(text, at - 2).is_ascii_alphanumeric();
    if option && is_space(byte(text, from)) {
        return password_at(text, run_end(text, from, 2, is_space));
    }
    if prior != b'-'
        && word != b"pass"
        && let Some(found) = direct(text, from)
    {
        return Some(found);
    }
    for _ in 0..BETWEEN_MAX {
        from = run_end(text, from, 3, |b| is_space(b) || matches!(b, b'"' | b'\''));
        let end = run_end(text, from, WORD_MAX, |b| !b.is_ascii_whitespace());
        let next = slice(text, from, end);
        if next.len() >= WORD_MAX {
            return None;
        }
        if LINKS.iter().any(|l| {
            next.eq_ignore_ascii_case(l) || next.strip_suffix(b":").is_some_and(|n| n.eq_ignore_ascii_case(l))
        }) {
            return password_at(text, run_end(text, end, 3, |b| is_space(b) || b == b':'));
        }
        if next.is_empty() || matches!(next.last(), Some(b'.' | b'!' | b'?' | b';')) {
            return None;
        }
        from = end;
    }
    None
}

/// "with password Kestrel48": without a verb, only what no word of a sentence looks like.
fn direct(text: &[u8], from: usize) -> Option<Finding> {
    let start = run_end(text, from, 2, is_space);
    let found = if start > from { password_at(text, start) } else { None }?;
    let value = slice(text, found.start, found.end);
    let classes = Classes::of(value);
    let symbol = value.iter().any(|b| b"!@#$%^&*+?".contains(b));
    let letters = classes.lower + classes.upper;
    let made_up = value.len() >= 8
        && classes.digit > 0
        && letters > 2
        && (symbol || classes.lower.min(classes.upper) > 0);
    made_up.then_some(found)
}

fn password_at(text: &[u8], from: usize) -> Option<Finding> {
    let start = run_end(text, from, 4, |b| matches!(b, b'"' | b'\'' | b'`' | b'\\' | b'*'));
    let mut end =
        run_end(text, start, 128, |b| !b.is_ascii_whitespace() && !matches!(b, b'"' | b'\\' | b'`' | b'<'));
    while end > start && matches!(before(text, end), b'.' | b',' | b';' | b':' | b')' | b'\'' | b'?' | b'*') {
        end -= 1;
    }
    let value = slice(text, start, end);
    let classes = Classes::of(value);
    let symbol = value.iter().any(|b| b"!@#$%^&*+=~|?".contains(b));
    let made_up =
        value.len() >= 6 && classes.kinds() > 1 && (classes.digit > 0 || symbol) && !is_reference(value);
    made_up.then(|| Finding::outer(Entity::Password, start, end, from))
}

/// At the dash of `-u user:password`.
pub(super) fn curl_user(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    let long = slice(text, at, at + 6) == b"-user ";
    let short = slice(text, at, at + 3) == b"-u " && !before(text, at).is_ascii_alphanumeric();
    if !long && !short {
        return None;
    }
    let from = run_end(text, at + if long { 6 } else { 3 }, 4, |b| is_space(b) || matches!(b, b'"' | b'\''));
    let colon = run_end(text, from, 64, |b| {
        b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'@' | b'+')
    });
    let start = colon + 1;
    let end = run_end(text, start, 256, |b| !b.is_ascii_whitespace() && !matches!(b, b'"' | b'\'' | b'\\'));
    let end = run_start(text, end, 1, |b| matches!(b, b',' | b';')).max(start);
    let value = slice(text, start, end);
    let real = byte(text, colon) == b':' && colon > from && value.len() >= 4 && !is_reference(value);
    real.then(|| Finding::outer(Entity::UrlPassword, start, end, start))
}
