//! COOKIE, pair by pair: in a header (`Cookie: …`, `document.cookie = "…"`) and under a JSON key that is called so. What
//! names a session or a credential goes, and so does what nobody chose; settings and attributes stay.

use super::bytes::{
    Classes, before, byte, is_alphanumeric, is_escape, is_jumbled, is_name, is_space, run_end, run_start,
    slice, starts_with_ignoring_case,
};
use super::reference::is_reference;
use super::words::{is_plainly_random_letters, is_short_key, is_slug};
use super::{Finding, Scan, jar, password};
use crate::redact::entity::Entity;

const NAME_MAX: usize = 128;
/// Bytes of a value that show what it is; a longer one is no setting.
const VALUE_MAX: usize = 256;
/// A cookie and its attributes.
const LINE_MAX: usize = 8192;
/// Blanks and line breaks before what is assigned.
const OPEN_MAX: usize = 24;
const SLASHES_MAX: usize = 8;
/// The date of an attribute.
const DATE_MAX: usize = 40;
/// What a session is called: parts of names, small letters.
const SESSIONS: &[&[u8]] =
    &[b"sess", b"token", b"csrf", b"xsrf", b"jwt", b"secret", b"passw", b"ticket", b"identity", b"remember"];
const ATTRIBUTES: &[&[u8]] =
    &[b"path", b"domain", b"expires", b"max-age", b"samesite", b"priority", b"version", b"comment"];
/// Values of a cookie that is gone, or of one that says yes or no.
const NOTHING: &[&[u8]] = &[b"deleted", b"expired", b"removed", b"invalid", b"active", b"none", b"guest"];

/// What ends pairs of cookies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    /// The quote that opened them, behind so many backslashes.
    Quote(u8, usize),
    /// Any quote, or the end of the line.
    Any,
    /// The end of the line, which is theirs alone.
    Line,
    /// The end of the text.
    Text,
}

/// Where pairs of cookies stand.
#[derive(Clone, Copy)]
pub(in crate::redact) struct Pairs {
    pub(super) from: usize,
    pub(super) close: Close,
    /// Whether the name before them says that a value alone is one of a session.
    pub(super) session: bool,
    /// Members of an object instead: `cookies={"sid": "…"}`.
    pub(super) members: bool,
}

/// At the `:` of `Cookie: …`, or the `=` of `document.cookie = "…"`: the pairs behind it.
#[inline(always)]
pub(super) fn begins(scan: &Scan<'_>, at: usize) -> Option<Pairs> {
    // Most signs have another letter before them.
    let last = before(scan.text, at);
    let third = |back: usize| at.checked_sub(back).is_some_and(|place| byte(scan.text, place) | 0x20 == b'k');
    let may = match last | 0x20 {
        b'e' => third(3),
        b's' => third(4),
        _ => matches!(last, b' ' | b'"' | b'\'' | b']' | b'+'),
    };
    if may && at >= scan.cookies.get() { header(scan.text, at) } else { None }
}

#[inline(never)]
fn header(text: &[u8], at: usize) -> Option<Pairs> {
    let colon = byte(text, at) == b':';
    let sign = if !colon && before(text, at) == b'+' { at - 1 } else { at };
    let blank = run_start(text, sign, 2, is_space);
    let end = run_start(text, blank, 3, |b| matches!(b, b'"' | b'\'' | b'\\' | b']'));
    let many = usize::from(before(text, end) | 0x20 == b's');
    if !starts_with_ignoring_case(text, end.checked_sub(6 + many)?, b"cookie") {
        return None;
    }
    let start = run_start(text, end, NAME_MAX, is_name);
    let prior = before(text, start);
    let free = matches!(
        prior,
        0 | b'"' | b'\'' | b'`' | b'{' | b'[' | b'(' | b',' | b'>' | b'|' | b':' | b'$' | b'='
    ) || prior.is_ascii_whitespace()
        || is_escape(text, start);
    let name = slice(text, start, end);
    if !free || !is_header(name) || matches!(byte(text, at + 1), b':' | b'=') {
        return None;
    }
    let pairs = Pairs { from: at + 1, close: Close::Any, session: is_named_session(name), members: false };
    if many > 0
        && let Some(from) = jar::opened(text, at + 1)
    {
        return Some(Pairs { from, members: true, ..pairs });
    }
    let open = run_end(text, at + 1, OPEN_MAX, |b| is_space(b) || !colon && b.is_ascii_whitespace());
    let open = run_end(text, open, 2, |b| matches!(b, b'(' | b'['));
    if let Some(found) = opened(text, open) {
        return Some(Pairs { session: pairs.session, ..found });
    }
    let pairs = Pairs { from: run_end(text, at + 1, OPEN_MAX, is_space), ..pairs };
    if !colon {
        // What is assigned without quotes goes on as code does.
        return begins_plainly(text, &pairs, pairs.from == at + 1).then_some(pairs);
    }
    let line = run_start(text, start, 2, |b| is_space(b) || matches!(b, b'<' | b'>'));
    let close = match prior {
        b'"' | b'\'' | b'`' if end == blank => Close::Quote(prior, start - 1 - slashes(text, start - 1)),
        _ if matches!(before(text, line), 0 | b'\n') => Close::Line,
        _ => Close::Any,
    };
    Some(Pairs { close, ..pairs })
}

/// Pairs in the quotes that open at `at`, behind the letter of a string that is formatted or raw.
pub(super) fn opened(text: &[u8], at: usize) -> Option<Pairs> {
    let quote = |at: usize| {
        let place = run_end(text, at, 4, |b| b == b'\\');
        matches!(byte(text, place), b'"' | b'\'' | b'`').then_some(place)
    };
    let at = at + usize::from(matches!(byte(text, at), b'f' | b'r' | b'b' | b'u') && quote(at + 1).is_some());
    let place = quote(at)?;
    let of = |place: usize, escapes: usize| Pairs {
        from: place + 1,
        close: Close::Quote(byte(text, place), escapes),
        session: false,
        members: false,
    };
    // `"'sid=…'"`.
    Some(match quote(place + 1) {
        Some(inner) if inner == place + 1 && byte(text, inner) != byte(text, place) => of(inner, 0),
        _ => of(place, place - at),
    })
}

/// Whether a name, its sign and a value follow without a blank, or what nobody chose: `HTTP_COOKIE=sid=…`.
fn begins_plainly(text: &[u8], pairs: &Pairs, tight: bool) -> bool {
    let name = run_end(text, pairs.from, NAME_MAX, is_name);
    let named = byte(text, name) == b'='
        && name > pairs.from
        && !matches!(byte(text, name + 1), b'=' | b'>' | b'"' | b'\'')
        && !byte(text, name + 1).is_ascii_whitespace();
    named || tight && alone(text, pairs).is_some()
}

impl Pairs {
    /// All of a text that stands under a name.
    pub(super) fn of_key(name: &[u8], text: &[u8]) -> Self {
        let all = Self { from: 0, close: Close::Text, session: false, members: false };
        let own = if byte(text, 0).is_ascii_alphabetic() { all } else { opened(text, 0).unwrap_or(all) };
        Self { session: is_named_session(name), ..own }
    }

    /// Whether the quote at `at` closes them.
    fn closes(&self, text: &[u8], at: usize) -> bool {
        let b = byte(text, at);
        match self.close {
            Close::Quote(quote, escapes) => b == quote && is_close(text, at, escapes),
            Close::Any => matches!(b, b'"' | b'\'' | b'`'),
            Close::Line | Close::Text => false,
        }
    }

    fn ends(&self, text: &[u8], at: usize) -> bool {
        match byte(text, at) {
            0 => at >= text.len(),
            _ if self.close == Close::Text => false,
            b'\n' | b'\r' => true,
            b'\\' => {
                let next = run_end(text, at, 4, |b| b == b'\\');
                matches!(byte(text, next), b'n' | b'r') || self.closes(text, next)
            }
            _ => self.closes(text, at),
        }
    }

    /// Hands on each value that goes; up to where they were looked at.
    #[inline(never)]
    pub(super) fn each(&self, text: &[u8], out: &mut impl FnMut(Finding)) -> usize {
        if self.members {
            return jar::members(text, self.from, out);
        }
        let mut at = self.from;
        if let Some(found) = alone(text, self) {
            at = found.end;
            out(found);
        }
        loop {
            at = run_end(text, at, usize::MAX, |b| {
                is_space(b)
                    || matches!(b, b';' | b',')
                    || self.close == Close::Text && matches!(b, b'\n' | b'\r')
            });
            if self.ends(text, at) {
                return at;
            }
            let (found, end) = self.pair(text, at);
            if let Some(found) = found {
                out(found);
            }
            let passed = end > at && before(text, end) == b',';
            match if passed { Ok(end) } else { self.next(text, end) } {
                Ok(next) => at = next,
                Err(end) => return end,
            }
        }
    }

    /// The value of the pair at `at` if it goes, and where the pair ends.
    fn pair(&self, text: &[u8], at: usize) -> (Option<Finding>, usize) {
        let name_end = run_end(text, at, NAME_MAX, |b| {
            is_name(b) || matches!(b, b'$' | b'%' | b'!' | b'#' | b'*' | b'|')
        });
        let name = slice(text, at, name_end);
        let sign = run_end(text, name_end, 1, is_space);
        if name.is_empty() || byte(text, sign) != b'=' {
            return (None, name_end);
        }
        let start = run_end(text, sign + 1, 1, is_space);
        if let Some((from, end, behind)) = self.quoted(text, start) {
            return (found(name, text, from, end), behind);
        }
        if let Some((from, end)) = self.joined(text, start) {
            return (found(name, text, from, end), end);
        }
        let stops = |b: u8| b.is_ascii_whitespace() || matches!(b, b';' | b'"' | b'\'' | b'\\' | b'<' | b'`');
        let stop = run_end(text, start, usize::MAX, |b| !stops(b));
        let mut end = before_next(text, start, stop);
        let mut value_end = end;
        if name.eq_ignore_ascii_case(b"expires") {
            end = run_end(text, end, DATE_MAX, |b| is_alphanumeric(b) || matches!(b, b' ' | b':' | b'-'));
        }
        while value_end > start && matches!(before(text, value_end), b'.' | b',' | b')' | b']' | b'}') {
            value_end -= 1;
        }
        (found(name, text, start, value_end), end)
    }

    /// A value in quotes of its own: where it begins and ends, and what is behind it.
    fn quoted(&self, text: &[u8], at: usize) -> Option<(usize, usize, usize)> {
        let open = run_end(text, at, 4, |b| b == b'\\');
        let quote = byte(text, open);
        if !matches!(quote, b'"' | b'\'') || self.close != Close::Any && self.closes(text, open) {
            return None;
        }
        let mut end = open + 1;
        loop {
            end = run_end(text, end, usize::MAX, |b| !matches!(b, b'"' | b'\'' | b'`' | b'\n' | b'\r'));
            if byte(text, end) == quote && end - slashes(text, end) == open - at {
                break;
            }
            let line = end >= text.len() || matches!(byte(text, end), b'\n' | b'\r');
            if line || self.close != Close::Any && self.closes(text, end) {
                return None;
            }
            end += 1;
        }
        let value_end = end - (open - at);
        let value = slice(text, open + 1, value_end);
        let next = byte(text, end + 1);
        let free = matches!(next, 0 | b';' | b',' | b'\\' | b'"' | b'\'' | b'`' | b')' | b'}')
            || next.is_ascii_whitespace();
        // Put together of several: `sid=' + v + '; b=c`.
        let put = value.windows(2).any(|two| matches!(two, b"+ " | b" +"));
        (free && !put).then_some((open + 1, value_end, end + 1))
    }

    /// `"sid=" + "…"`: a value in the next string.
    fn joined(&self, text: &[u8], at: usize) -> Option<(usize, usize)> {
        let quoted = matches!(self.close, Close::Quote(..));
        if !quoted || !self.closes(text, run_end(text, at, 4, |b| b == b'\\')) {
            return None;
        }
        let close = run_end(text, at, 5, |b| matches!(b, b'\\' | b'"' | b'\'' | b'`'));
        let plus = run_end(text, close, 3, |b| b.is_ascii_whitespace());
        if byte(text, plus) != b'+' {
            return None;
        }
        let from = run_end(text, plus + 1, 24, |b| b.is_ascii_whitespace());
        let call = run_end(text, from, NAME_MAX, is_name);
        let inner = opened(text, if byte(text, call) == b'(' { call + 1 } else { from })?;
        let end =
            run_end(text, inner.from, LINE_MAX, |b| !matches!(b, b'"' | b'\'' | b'`' | b'\\' | b'\n' | b';'));
        Some((inner.from, end))
    }

    /// Where the next pair may begin, behind what ends at `at`; else where they end.
    fn next(&self, text: &[u8], mut at: usize) -> Result<usize, usize> {
        while !self.ends(text, at) {
            match byte(text, at) {
                b';' | b',' | b'\n' | b'\r' => return Ok(at + 1),
                // A session, behind nothing but a blank.
                b' ' | b'\t' => {
                    let end = run_end(text, at + 1, NAME_MAX, is_name);
                    if byte(text, end) == b'=' && is_of_session(slice(text, at + 1, end)) {
                        return Ok(at + 1);
                    }
                    at = end.max(at + 1);
                }
                _ => at += 1,
            }
        }
        Err(at)
    }
}

/// Where the backslashes before a quote begin.
fn slashes(text: &[u8], at: usize) -> usize {
    let mut start = at;
    while at - start < SLASHES_MAX && before(text, start) == b'\\' {
        start -= 1;
    }
    start
}

/// Whether a quote closes what one opened with so many backslashes before it.
pub(super) fn is_close(text: &[u8], at: usize, escapes: usize) -> bool {
    let found = at - slashes(text, at);
    found == escapes || escapes == 0 && found.is_multiple_of(2)
}

/// The finding for a value of a cookie, if it goes.
pub(super) fn found(name: &[u8], text: &[u8], start: usize, end: usize) -> Option<Finding> {
    is_secret(name, slice(text, start, end)).then(|| Finding::outer(Entity::Cookie, start, end, start))
}

/// Where a value ends: before a comma, behind which the next name stands and its sign.
fn before_next(text: &[u8], start: usize, stop: usize) -> usize {
    memchr::memchr_iter(b',', slice(text, start, stop))
        .map(|comma| start + comma)
        .find(|comma| {
            let from = run_end(text, comma + 1, 2, is_space);
            let name = run_end(text, from, NAME_MAX, is_name);
            name > from && byte(text, name) == b'=' && byte(text, name + 1) != b'='
        })
        .unwrap_or(stop)
}

/// A value without a name at the beginning, `session_cookie: …`: what nobody chose, or what is called one of a session.
fn alone(text: &[u8], pairs: &Pairs) -> Option<Finding> {
    let symbol = |b: u8| is_name(b) || matches!(b, b'%' | b'+' | b'/' | b'~' | b':' | b'|' | b'!');
    let symbols = run_end(text, pairs.from, VALUE_MAX, symbol);
    let end = run_end(text, symbols, 2, |b| b == b'=');
    let next = byte(text, end);
    let ends = next.is_ascii_whitespace() || matches!(next, b';' | b',') || pairs.ends(text, end);
    let value = slice(text, pairs.from, end);
    if value.len() < 8 || !ends || end == symbols + 1 && !is_made(value) || is_stand_in(value) {
        return None;
    }
    let classes = Classes::of(value);
    let letters = classes.lower + classes.upper;
    let named = pairs.session && classes.digit > 0 && letters > 2 && !is_slug(value) && end == symbols;
    let place = value.windows(3).any(|three| three == b"://") || value.first() == Some(&b'/');
    let made = named || !value.iter().all(u8::is_ascii_alphabetic) && is_made(value);
    (made && !place).then(|| Finding::outer(Entity::Cookie, pairs.from, end, pairs.from))
}

/// Whether what stands before `cookie` in a name says that it is one of a session: `session_cookie`, `authCookie`.
fn is_named_session(name: &[u8]) -> bool {
    let Some(cookie) = name.windows(6).rposition(|word| word.eq_ignore_ascii_case(b"cookie")) else {
        return false;
    };
    let end = run_start(name, cookie, 1, |b| !b.is_ascii_alphanumeric());
    end > 0 && is_of_session(slice(name, 0, end))
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
