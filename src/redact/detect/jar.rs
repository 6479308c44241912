//! Cookies that a program is given: the members of an object that is called so (`cookies={"sid": "…"}`, `cookies = dict(sid="…")`,
//! `cookies: [{ name: 'sid', value: '…' }]`), lines below such a key, and the option of a command (`curl -b 'sid=…'`).

use super::bytes::{before, byte, is_name, is_space, run_end, slice};
use super::cookie::{self, Pairs};
use super::{Finding, Scan, list, sibling};

const NAME_MAX: usize = 128;
/// Blanks before a member.
const INDENT_MAX: usize = 256;
/// How far back a command may begin.
const COMMAND_MAX: usize = 512;

/// Where an object or a call opens, or lines begin that are indented, behind the sign of its name.
pub(super) fn opened(text: &[u8], at: usize) -> Option<usize> {
    let open = run_end(text, at, 3, |b| is_space(b) || b == b'>');
    let call = run_end(text, open, NAME_MAX, is_name);
    let opens = matches!(byte(text, open), b'{' | b'[') || call > open && byte(text, call) == b'(';
    let below = || block(text, open).is_some();
    (opens || byte(text, at.saturating_sub(1)) == b':' && below()).then_some(open)
}

/// Each cookie of what opens at `from` that goes; up to where it was looked at.
pub(super) fn members(text: &[u8], from: usize, out: &mut impl FnMut(Finding)) -> usize {
    if matches!(byte(text, from), b'\n' | b'\r') {
        return lines(text, from, out);
    }
    let mut at = from;
    let mut depth = 0_usize;
    let (mut named, mut waits): (&[u8], Option<(usize, usize)>) = (b"", None);
    loop {
        at = run_end(text, at, INDENT_MAX, |b| b.is_ascii_whitespace() || b == b',');
        match byte(text, at) {
            b'{' | b'[' | b'(' => {
                depth += 1;
                (named, waits, at) = (b"", None, at + 1);
            }
            b'}' | b']' | b')' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            _ => {
                let Some(next) = member(text, at, (&mut named, &mut waits), out) else { return at };
                at = next;
            }
        }
        if depth == 0 && at > from && !is_name(byte(text, at.saturating_sub(1))) {
            return at;
        }
    }
}

/// A member: its name, what it is given, where it ends. None where no more follow.
fn member<'a>(
    text: &'a [u8],
    at: usize,
    (named, waits): (&mut &'a [u8], &mut Option<(usize, usize)>),
    out: &mut impl FnMut(Finding),
) -> Option<usize> {
    let own = cookie::opened(text, at);
    let from = own.map_or(at, |own| own.from);
    let end = run_end(text, from, NAME_MAX, is_name);
    let key = slice(text, from, end);
    if key.is_empty() {
        return None;
    }
    let close = run_end(text, end, 5, |b| matches!(b, b'"' | b'\'' | b'`' | b'\\'));
    let sign = run_end(text, close, 3, |b| b.is_ascii_whitespace());
    // `dict(` opens it.
    if byte(text, end) == b'(' {
        return Some(end);
    }
    // `["sid=…", "…"]`.
    if let Some(own) = own.filter(|_| close == end && byte(text, end) == b'=') {
        let end = own.each(text, out);
        return Some(run_end(text, end, 5, |b| matches!(b, b'"' | b'\'' | b'`' | b'\\')));
    }
    if !matches!(byte(text, sign), b':' | b'=') {
        // `{ name: 'sid', url }`.
        return matches!(byte(text, sign), b',' | b'}').then_some(sign);
    }
    let value = run_end(text, sign + 1, 4, |b| b.is_ascii_whitespace() || b == b'>');
    if matches!(byte(text, value), b'{' | b'[' | b'(') {
        return Some(value);
    }
    let Some(string) = cookie::opened(text, value) else {
        // A number or a variable.
        return Some(run_end(text, value, NAME_MAX, |b| !b.is_ascii_whitespace() && !b",)]}".contains(&b)));
    };
    let cookie::Close::Quote(quote, escapes) = string.close else { return None };
    let (start, stop) = (string.from, list::string_end(text, string.from, quote, escapes)?);
    if sibling::is_name_member(key) {
        *named = slice(text, start, stop);
        if let Some((from, to)) = waits.take() {
            cookie::found(named, text, from, to).into_iter().for_each(out);
        }
    } else if !sibling::is_value(key) {
        cookie::found(key, text, start, stop).into_iter().for_each(out);
    } else if named.is_empty() {
        *waits = Some((start, stop));
    } else {
        cookie::found(named, text, start, stop).into_iter().for_each(out);
    }
    Some(stop + escapes + 1)
}

/// The lines of a block below a key of YAML.
fn lines(text: &[u8], from: usize, out: &mut impl FnMut(Finding)) -> usize {
    let mut at = from;
    while let Some((start, _)) = block(text, at) {
        let start = run_end(text, start, 1, |b| matches!(b, b'"' | b'\''));
        let end = run_end(text, start, NAME_MAX, is_name);
        let sign = run_end(text, end, 1, |b| matches!(b, b'"' | b'\''));
        let value = run_end(text, sign + 1, 3, |b| is_space(b) || matches!(b, b'"' | b'\''));
        if end == start || byte(text, sign) != b':' || value == sign + 1 {
            return start;
        }
        let stop = run_end(text, value, usize::MAX, |b| {
            !b.is_ascii_whitespace() && (b != b'"' && b != b'\'' || !is_quote(before(text, value)))
        });
        cookie::found(slice(text, start, end), text, value, stop).into_iter().for_each(&mut *out);
        at = run_end(text, stop, usize::MAX, |b| !matches!(b, b'\n' | b'\r'));
    }
    at
}

fn is_quote(b: u8) -> bool {
    matches!(b, b'"' | b'\'' | b'`')
}

/// Where the next line begins, if it is indented, behind its blanks; and how many they are.
fn block(text: &[u8], feed: usize) -> Option<(usize, usize)> {
    let line = run_end(text, feed, 2, |b| matches!(b, b'\n' | b'\r'));
    let start = run_end(text, line, INDENT_MAX, is_space);
    (line > feed && start > line && byte(text, start) != b'-').then_some((start, start - line))
}

/// At the dash of `-b 'sid=…'` or `--cookie 'sid=…'`: the pairs behind it.
#[inline(always)]
pub(super) fn option(scan: &Scan<'_>, at: usize) -> Option<Pairs> {
    // Most dashes stand in a word or a number.
    let apart = matches!(before(scan.text, at), 0 | b' ' | b'\t' | b'\n' | b'"' | b'\'');
    let (next, second) = (byte(scan.text, at + 1), byte(scan.text, at + 2));
    let may =
        next == b'b' || second == b'b' || byte(scan.text, at + 3) == b'b' || next == b'-' && second == b'c';
    if apart && may && at >= scan.cookies.get() { given(scan.text, at) } else { None }
}

#[cold]
fn given(text: &[u8], at: usize) -> Option<Pairs> {
    let end = run_end(text, at, 8, |b| b.is_ascii_alphabetic() || b == b'-');
    let name = slice(text, at, end);
    let long = name == b"--cookie";
    if !long && (name.last() != Some(&b'b') || name.len() > 5) {
        return None;
    }
    let listed = run_end(text, end, 4, |b| matches!(b, b'"' | b'\'' | b'\\'));
    let comma = if listed > end && byte(text, listed) == b',' { listed + 1 } else { end };
    let from = run_end(text, comma, 3, is_space);
    // `-bsid=…` is no option of other commands.
    let head = slice(text, at.saturating_sub(COMMAND_MAX), at);
    let curl = || {
        memchr::memmem::rfind(head, b"curl").is_some_and(|from| {
            let line = slice(head, from, head.len());
            !line.contains(&b'\n') || line.contains(&b'\\')
        })
    };
    if from == end || byte(text, end) == b'=' {
        return None;
    }
    let pairs = cookie::opened(text, from);
    let from = pairs.map_or(from, |pairs| pairs.from);
    let name = run_end(text, from, NAME_MAX, is_name);
    let plain = name > from && byte(text, name) == b'=';
    match pairs {
        Some(pairs) if plain || long || curl() => Some(pairs),
        None if plain && (long || curl()) => {
            Some(Pairs { from, close: cookie::Close::Any, session: false, members: false })
        }
        _ => None,
    }
}
