//! Credentials of a row of strings: each of a list that is called after them (`passwords = ["…", "…"]`), and the one behind
//! an option in a command's arguments (`["app", "--password", "…"]`, `- --api-key` above `- …`).

use super::assignment::{named_value, names_key};
use super::bytes::{Classes, before, byte, is_name, is_space, run_end, run_start, slice};
use super::password::is_made_up;
use super::reference::is_reference;
use super::{Finding, Scan, command, cookie, place};
use crate::redact::entity::{Detectors, Entity};

const NAME_MAX: usize = 48;
const VALUE_MAX: usize = 256;
/// Blanks between items.
const GAP_MAX: usize = 512;
/// How far back a command may begin.
const COMMAND_MAX: usize = 160;

fn is_quote(b: u8) -> bool {
    matches!(b, b'"' | b'\'' | b'`' | b'\\')
}

/// Whether a list may stand behind the `:` or `=`: a plural before it, a bracket or the end of a line behind it.
#[inline(always)]
pub(super) fn begins(text: &[u8], at: usize) -> bool {
    let last = before(text, at);
    if last | 0x20 != b's' && !is_quote(last) && !is_space(last) {
        return false;
    }
    let name = run_start(text, at, 4, |b| is_quote(b) || is_space(b));
    let from = run_end(text, at + 1, 2, is_space);
    before(text, name) | 0x20 == b's' && matches!(byte(text, from), b'[' | b'\n' | b'\r' | b'(' | b'{')
}

/// Whether the items of a list stand behind or below a word that ends at `at`.
pub(super) fn is_below(text: &[u8], at: usize) -> bool {
    let sign = run_end(text, at, 4, |b| is_quote(b) || is_space(b));
    let open = run_end(text, sign + 1, 2, is_space);
    let listed = matches!(byte(text, open), b'[' | b'(' | b'{') && is_quote(byte(text, open + 1));
    matches!(byte(text, sign), b':' | b'=')
        && (listed || byte(text, sign) == b':' && item(text, open).is_some())
}

/// Every value of the list that goes; up to where it was looked at.
#[inline(never)]
pub(super) fn find(text: &[u8], at: usize, out: &mut impl FnMut(Finding)) -> usize {
    let end = run_start(text, at, 4, |b| is_quote(b) || is_space(b)).saturating_sub(1);
    let name = slice(text, run_start(text, end, NAME_MAX, is_name), end);
    if !super::names_value(std::str::from_utf8(name).unwrap_or_default()) {
        return at;
    }
    let open = run_end(text, at + 1, 2, is_space);
    let lines = matches!(byte(text, open), b'\n' | b'\r');
    let mut next = if lines { item(text, open) } else { Some(open + 1) };
    let mut seen = at;
    while let Some(from) = next {
        let start = run_end(text, from, GAP_MAX, |b| is_space(b) || b.is_ascii_whitespace() && !lines);
        let (start, end, behind) = match string(text, start) {
            Some(found) => found,
            None => bare(text, start, lines),
        };
        if end - start <= VALUE_MAX
            && let Some(entity) = named_value(name, slice(text, start, end))
        {
            out(Finding::outer(entity, start, end, end));
        }
        seen = behind;
        let sign = run_end(text, behind, GAP_MAX, |b| is_space(b) || b.is_ascii_whitespace() && !lines);
        next = match byte(text, sign) {
            b'\n' | b'\r' if lines => item(text, sign),
            _ if lines && end > start => item(text, run_end(text, sign, usize::MAX, |b| b != b'\n')),
            b',' if !lines => Some(past_comment(text, sign + 1)),
            _ => None,
        };
    }
    seen
}

/// A string in quotes that opens at `at`: where it begins and ends, and what is behind it.
fn string(text: &[u8], at: usize) -> Option<(usize, usize, usize)> {
    let open = run_end(text, at, 4, |b| b == b'\\');
    let (quote, escapes) = (byte(text, open), open - at);
    if !matches!(quote, b'"' | b'\'' | b'`') {
        return None;
    }
    let end = string_end(text, open + 1, quote, escapes)?;
    Some((open + 1, end, end + escapes + 1))
}

/// Where a string ends that begins at `start`, behind a quote with so many backslashes before it.
pub(super) fn string_end(text: &[u8], start: usize, quote: u8, escapes: usize) -> Option<usize> {
    let mut end = start;
    loop {
        end = run_end(text, end, usize::MAX, |b| b != quote && !matches!(b, b'\n' | b'\r'));
        if byte(text, end) != quote {
            return None;
        }
        if cookie::is_close(text, end, escapes) {
            return Some(end - escapes);
        }
        end += 1;
    }
}

/// A value without quotes; another list that begins ends it.
fn bare(text: &[u8], start: usize, lines: bool) -> (usize, usize, usize) {
    let stops = |b: u8| {
        matches!(b, b'\n' | b'\r' | b'"' | b'\'' | b'`' | b'\\')
            || is_space(b)
            || matches!(b, b',' | b']' | b')' | b'}' | b'[' | b'{') && !lines
    };
    let end = run_end(text, start, VALUE_MAX, |b| !stops(b));
    let opens = matches!(byte(text, end), b'[' | b'{') || before(text, end) == b':';
    let end = if opens { start } else { end };
    (start, end, end)
}

/// Behind a comma: past what the rest of the line says of the item.
fn past_comment(text: &[u8], at: usize) -> usize {
    let sign = run_end(text, at, GAP_MAX, is_space);
    let says = byte(text, sign) == b'#' || slice(text, sign, sign + 2) == b"//";
    if says { run_end(text, sign, usize::MAX, |b| b != b'\n') } else { at }
}

/// Where the item of the next line begins, behind its dash.
fn item(text: &[u8], feed: usize) -> Option<usize> {
    let line = run_end(text, feed, 2, |b| matches!(b, b'\n' | b'\r'));
    let dash = run_end(text, line, 24, is_space);
    (line > feed && byte(text, dash) == b'-' && is_space(byte(text, dash + 1))).then_some(dash + 2)
}

/// At the dash of an option that is a string of its own: what stands in the next one.
#[inline(always)]
pub(super) fn argument(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    // Most dashes stand in a word or a number.
    let apart = matches!(before(scan.text, at), b' ' | b'"' | b'\'' | b'`');
    if apart { behind_option(scan, at) } else { None }
}

#[inline(never)]
fn behind_option(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    let quote = before(text, at);
    let listed = is_space(quote) && at > 1 && byte(text, at - 2) == b'-' && byte(text, at + 1) == b'-';
    if !listed && !matches!(quote, b'"' | b'\'' | b'`') {
        return None;
    }
    let end = run_end(text, at, NAME_MAX, is_name);
    let (start, stop) = if listed { below(text, end)? } else { behind(text, end)? };
    let (option, value) = (slice(text, at, end), slice(text, start, stop));
    if value.is_empty() || value.first() == Some(&b'-') || option.starts_with(b"--no-") {
        return None;
    }
    let found = |entity| Finding::outer(entity, start, stop, at + 1);
    if let Some(entity) = named_value(option, value) {
        return Some(found(entity));
    }
    if option.len() > 2 {
        return None;
    }
    // The command as it would be typed.
    let said = slice(text, at.saturating_sub(COMMAND_MAX), at);
    let said = said.rsplit(|b| *b == b'\n').next().unwrap_or_default();
    let mut line = Vec::with_capacity(COMMAND_MAX + NAME_MAX);
    for b in said {
        let blank = is_quote(*b) || is_space(*b) || matches!(b, b',' | b'[' | b'(');
        if !blank {
            line.push(*b);
        } else if line.last() != Some(&b' ') {
            line.push(b' ');
        }
    }
    line.extend_from_slice(option);
    line.push(b' ');
    let from = line.len();
    line.extend_from_slice(value);
    let start = start + last(&line, from, scan.on)?.start.checked_sub(from)?;
    Some(Finding { start, ..found(Entity::Password) }).filter(|found| found.start < found.end)
}

/// What the last argument of a command line holds, which begins at `from`: by the option before it, or by its own.
pub(super) fn last(line: &[u8], from: usize, on: Detectors) -> Option<Finding> {
    let value = slice(line, from, line.len());
    if command::is_auth(line, from, line.len()) && is_made_up(value) {
        return Some(Finding::outer(Entity::Password, from, line.len(), from));
    }
    let own = byte(line, from) == b'-';
    let prior = run_start(line, from.saturating_sub(1), NAME_MAX, |b| !is_space(b));
    let dash = if own { from } else { prior };
    let placed = || place::behind(line, from).map(|found| Finding { end: line.len(), ..found });
    if byte(line, dash) != b'-' {
        return placed();
    }
    let scan = Scan::of(line, "", on);
    let Some(found) = command::option(&scan, dash) else {
        return if own { None } else { placed() };
    };
    (found.start >= from && found.start < line.len() && (!own || found.start > from))
        .then_some(Finding { end: line.len(), ..found })
}

/// The string behind one that ends at `end`, past its quote and a comma.
fn behind(text: &[u8], end: usize) -> Option<(usize, usize)> {
    let comma = run_end(text, end, 4, is_quote);
    let open = run_end(text, comma + 1, 3, |b| b.is_ascii_whitespace());
    let start = run_end(text, open, 4, is_quote);
    let stop = run_end(text, start, VALUE_MAX, |b| !is_quote(b) && !matches!(b, b'\n' | b'\r'));
    (comma > end && byte(text, comma) == b',' && start > open && is_quote(byte(text, stop)))
        .then_some((start, stop))
}

/// The item of the line below.
fn below(text: &[u8], end: usize) -> Option<(usize, usize)> {
    let start = run_end(text, item(text, end)?, 1, is_quote);
    Some((start, run_end(text, start, VALUE_MAX, |b| !is_quote(b) && !b.is_ascii_whitespace())))
}

/// At a `_` in the name of a constant, `define('AUTH_KEY', '…')`: the string behind it.
#[inline(always)]
pub(super) fn constant(text: &[u8], at: usize) -> Option<Finding> {
    let capitals = before(text, at).is_ascii_uppercase() && byte(text, at + 1).is_ascii_uppercase();
    if capitals { behind_constant(text, at) } else { None }
}

#[inline(never)]
fn behind_constant(text: &[u8], at: usize) -> Option<Finding> {
    let end = run_end(text, at, NAME_MAX, |b| b.is_ascii_uppercase() || b == b'_');
    if !is_quote(byte(text, end)) {
        return None;
    }
    let comma = run_end(text, end, 3, is_quote);
    let open = run_end(text, comma + 1, 3, is_space);
    let start = run_end(text, open, 2, is_quote);
    if byte(text, comma) != b',' || start == open {
        return None;
    }
    let quote = before(text, start);
    let stop = run_end(text, start, VALUE_MAX, |b| b != quote && !matches!(b, b'\n' | b'\r'));
    let from = run_start(text, end, NAME_MAX, is_name);
    let (name, value) = (slice(text, from, end), slice(text, start, stop));
    let call = run_start(text, run_start(text, from, 2, is_quote), 1, is_space);
    if byte(text, stop) != quote || quote == b'`' || !matches!(before(text, call), b'(' | b'[' | b'{') {
        return None;
    }
    let entity = named_value(name, value).or_else(|| names_key(name).filter(|_| is_salt(value)))?;
    Some(Finding::outer(entity, start, stop, at + 1))
}

/// Signs of all kinds without an order, as salts are made of.
fn is_salt(value: &[u8]) -> bool {
    let classes = Classes::of(value);
    let words = value.iter().filter(|b| is_space(**b)).count();
    value.len() >= 32
        && classes.kinds() == 4
        && classes.other * 8 > value.len()
        && words * 8 < value.len()
        && !value.windows(3).any(|three| three == b"://")
        && !is_reference(value)
}
