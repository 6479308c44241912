//! COOKIE, pair by pair: in a header (`Cookie: …`, `document.cookie = "…"`) and under a JSON key that is called so. What
//! names a session or a credential goes, and so does what nobody chose; settings and attributes stay.

use super::bytes::{
    Classes, before, byte, is_alphanumeric, is_escape, is_jumbled, is_name, is_space, run_end, run_start,
    slice, starts_with_ignoring_case,
};
use super::reference::is_reference;
use super::words::{is_plainly_random_letters, is_short_key, is_slug};
use super::{Finding, Scan, password};
use crate::redact::entity::Entity;

const NAME_MAX: usize = 128;
/// Bytes of a value that show what it is; a longer one is no setting.
const VALUE_MAX: usize = 256;
/// A cookie and its attributes.
const LINE_MAX: usize = 8192;
/// Blanks between pairs.
const GAP_MAX: usize = 16;
/// The date of an attribute.
const DATE_MAX: usize = 40;
/// What a session is called: parts of names, small letters.
const SESSIONS: &[&[u8]] =
    &[b"sess", b"token", b"csrf", b"xsrf", b"jwt", b"secret", b"passw", b"ticket", b"identity", b"remember"];
const ATTRIBUTES: &[&[u8]] =
    &[b"path", b"domain", b"expires", b"max-age", b"samesite", b"priority", b"version", b"comment"];
/// Values of a cookie that is gone, or of one that says yes or no.
const NOTHING: &[&[u8]] = &[b"deleted", b"expired", b"removed", b"invalid", b"active", b"none", b"guest"];

/// A pair of a header, and where the next begins if there is one.
struct Pair {
    start: usize,
    end: usize,
    is_secret: bool,
    next: Option<usize>,
}

/// At the `:` of `Cookie: …`, or the `=` of `document.cookie = "…"`: the first value that goes.
#[inline(always)]
pub(super) fn find(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    // Most signs have another letter before them.
    let last = before(scan.text, at);
    let may = last | 0x20 == b'e' || matches!(last, b' ' | b'"' | b'\'' | b']');
    if may && at >= scan.cookies.get() { header(scan, at) } else { None }
}

#[inline(never)]
fn header(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    let colon = byte(text, at) == b':';
    let blank = run_start(text, at, 1, is_space);
    let end = run_start(text, blank, 3, |b| matches!(b, b'"' | b'\'' | b'\\' | b']'));
    if before(text, end) | 0x20 != b'e' || !starts_with_ignoring_case(text, end.checked_sub(6)?, b"cookie") {
        return None;
    }
    let name = run_start(text, end, NAME_MAX, is_name);
    let prior = before(text, name);
    let free =
        matches!(prior, 0 | b'"' | b'\'' | b'`' | b'{' | b'[' | b'(' | b',' | b'>' | b'|' | b':' | b'$')
            || prior.is_ascii_whitespace()
            || is_escape(text, name);
    let open = run_end(text, at + 1, 4, is_space);
    let from = run_end(text, open, 4, |b| matches!(b, b'"' | b'\'' | b'`' | b'\\'));
    // What is assigned without quotes goes on as code does.
    if !free || !is_header(slice(text, name, end)) || !colon && from == open {
        return None;
    }
    let (found, end) = pairs(text, from);
    scan.cookies.set(end);
    found.map(|found| Finding { resume: at + 1, ..found })
}

/// The next value that goes, behind one that ends at `at`.
pub(super) fn next(text: &[u8], at: usize) -> Option<Finding> {
    first(text, run_end(text, (byte(text, at) == b';').then_some(at + 1)?, GAP_MAX, is_space))
}

/// The first value that goes of the pairs from there on.
pub(super) fn first(text: &[u8], from: usize) -> Option<Finding> {
    pairs(text, from).0
}

/// The same, and up to where pairs were looked at.
fn pairs(text: &[u8], from: usize) -> (Option<Finding>, usize) {
    let mut at = from;
    while at - from < LINE_MAX
        && let Some(pair) = pair(text, at)
    {
        if pair.is_secret {
            return (Some(Finding::outer(Entity::Cookie, pair.start, pair.end, at)), pair.end);
        }
        match pair.next {
            Some(next) => at = next,
            None => return (None, pair.end),
        }
    }
    (None, at)
}

fn pair(text: &[u8], at: usize) -> Option<Pair> {
    let name_end =
        run_end(text, at, NAME_MAX, |b| is_name(b) || matches!(b, b'$' | b'%' | b'!' | b'#' | b'*' | b'|'));
    let name = slice(text, at, name_end);
    if name.is_empty() {
        return None;
    }
    let stops = |b: u8| b.is_ascii_whitespace() || matches!(b, b';' | b'"' | b'\'' | b'\\' | b'<' | b'`');
    let (mut start, mut end) = (name_end, name_end);
    if byte(text, name_end) == b'=' {
        start = name_end + 1;
        end = run_end(text, start, LINE_MAX, |b| !stops(b));
    }
    let mut value_end = end;
    if name.eq_ignore_ascii_case(b"expires") {
        end = run_end(text, end, DATE_MAX, |b| is_alphanumeric(b) || matches!(b, b' ' | b':' | b'-' | b','));
    }
    while value_end > start && matches!(before(text, value_end), b'.' | b',' | b')' | b']' | b'}') {
        value_end -= 1;
    }
    let next = run_end(text, end + 1, GAP_MAX, is_space);
    let is_secret = is_secret(name, slice(text, start, value_end));
    let goes_on = byte(text, end) == b';' && next < text.len();
    Some(Pair { start, end: value_end, is_secret, next: goes_on.then_some(next) })
}

/// Whether a key or a variable is called after cookies: `Set-Cookie`, `cookies`, `HTTP_COOKIE`, `cookieHeader`.
pub(super) fn is_header(name: &[u8]) -> bool {
    if name.len() < 6 {
        return false;
    }
    // Most names have no `k` where it would stand.
    let is_k = |back: usize| name.len().checked_sub(back).is_some_and(|at| byte(name, at) | 0x20 == b'k');
    if !(is_k(3) || is_k(4) || is_k(9) || is_k(10)) {
        return false;
    }
    let name = [&b"Header"[..], b"String", b"_header", b"_string", b"s", b"2"]
        .iter()
        .find_map(|tail| name.strip_suffix(*tail))
        .unwrap_or(name);
    let Some(from) = name.len().checked_sub(6) else { return false };
    let word = slice(name, from, name.len());
    let prior = before(name, from);
    let begins =
        !prior.is_ascii_alphanumeric() || (prior.is_ascii_lowercase() && word.first() == Some(&b'C'));
    begins && word.eq_ignore_ascii_case(b"cookie")
}

/// Whether the value of a cookie of that name is one that somebody could use.
pub(super) fn is_secret(name: &[u8], value: &[u8]) -> bool {
    let name = name.strip_prefix(b"__Secure-").or_else(|| name.strip_prefix(b"__Host-")).unwrap_or(name);
    let is = |of: &[&[u8]], what: &[u8]| of.iter().any(|one| what.eq_ignore_ascii_case(one));
    if value.is_empty() || is(NOTHING, value) || is_stand_in(value) {
        return false;
    }
    let made = value.len() > VALUE_MAX || is_made(value);
    // A path is as long as it likes, and a domain.
    if is(ATTRIBUTES, name) {
        return made && !matches!(value.first(), Some(b'/')) && !value.contains(&b'.');
    }
    made || is_of_session(name)
}

fn is_stand_in(value: &[u8]) -> bool {
    let variable =
        value.strip_prefix(b"$").is_some_and(|name| name.iter().all(|b| is_alphanumeric(*b) || *b == b'_'));
    variable || is_reference(value)
}

/// `PHPSESSID`, `connect.sid`, `csrftoken`, `.AspNetCore.Identity.Application`, `auth`.
fn is_of_session(name: &[u8]) -> bool {
    let mut letters = [0_u8; NAME_MAX];
    let count = letters.iter_mut().zip(name).map(|(to, b)| *to = b.to_ascii_lowercase()).count();
    let name = letters.get(..count).unwrap_or_default();
    let holds = |word: &[u8]| name.windows(word.len()).any(|part| part == word);
    let author = |at: usize| slice(name, at, at + 6) == b"author" && slice(name, at, at + 8) != b"authoriz";
    let auth = name.windows(4).enumerate().any(|(at, part)| part == b"auth" && !author(at));
    name.ends_with(b"sid") || auth || SESSIONS.iter().any(|word| holds(word))
}

/// What a machine made: no word, date, place or number that somebody would set.
fn is_made(value: &[u8]) -> bool {
    // `%7B%22theme%22…` is as long as it is because of how it is written.
    let escaped = value.iter().filter(|b| **b == b'%').count();
    let decoded: Vec<u8>;
    let value = if escaped == 0 {
        value
    } else {
        decoded = unescaped(value);
        &decoded
    };
    let classes = Classes::of(value);
    let letters = classes.lower + classes.upper;
    let place = value.windows(3).any(|three| three == b"://");
    let parts = value.iter().filter(|b| **b == b'/').count();
    let long =
        value.len() >= 16 && letters > 3 && classes.digit > 1 && !is_slug(value) && !place && parts < 2;
    let padded = value.len() >= 16 && value.ends_with(b"=") && classes.upper > 0 && classes.lower > 0;
    long || padded
        || classes.digit > 16
        || is_short_key(value)
        || password::is_strong(value)
        || is_jumbled(value)
        || is_plainly_random_letters(value)
}

/// Without what `%` and two digits stand for.
fn unescaped(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut at = 0;
    while at < value.len() {
        let escape =
            byte(value, at) == b'%' && slice(value, at + 1, at + 3).iter().all(u8::is_ascii_hexdigit);
        out.push(if escape { b' ' } else { byte(value, at) });
        at += if escape { 3 } else { 1 };
    }
    out
}
