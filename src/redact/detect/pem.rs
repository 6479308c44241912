//! PRIVATE_KEY: PEM from BEGIN to END, whatever stands between (line breaks may be literal `\n`).
//! Without an END, to the end of the text: a key that was cut is still half a key. Without a BEGIN, the lines before END.
//! And the private lines of PuTTY's own format.

use super::bytes::{before, byte, is_base64, is_space, run_end, run_start, slice, starts_with_ignoring_case};
use super::{Finding, Scan};
use crate::redact::entity::Entity;

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
/// Bytes of a line, lines of a key, and the least that one of its lines has before its last.
const LINE_MAX: usize = 4096;
const LINES_MAX: usize = 256;
const WIDTH_MIN: usize = 32;

pub(super) fn find(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    if slice(text, at, at + BEGIN.len()) != BEGIN {
        return tail(text, at);
    }
    let body = label_end(text, at + BEGIN.len())?;
    let rest = text.get(body..).unwrap_or_default();
    let end = memchr::memmem::find(rest, END).and_then(|n| label_end(text, body + n + END.len()));
    Some(Finding::whole(Entity::PrivateKey, at, end.unwrap_or(text.len())))
}

/// Behind the dashes that close a label which names a private key.
fn label_end(text: &[u8], from: usize) -> Option<usize> {
    let label = run_end(text, from, 48, |b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ');
    let name = slice(text, from, label);
    let private = name.windows(11).any(|w| w == b"PRIVATE KEY");
    let dashes = run_end(text, label, 5, |b| b == b'-');
    (private && byte(text, label) == b'-').then_some(dashes)
}

/// The lines before `-----END … PRIVATE KEY-----` whose BEGIN is missing.
fn tail(text: &[u8], at: usize) -> Option<Finding> {
    if slice(text, at, at + END.len()) != END {
        return None;
    }
    let end = label_end(text, at + END.len())?;
    let mut start = at;
    let mut body = 0;
    for _ in 0..LINES_MAX {
        let stop = before_break(text, start);
        let begin = run_start(text, stop, LINE_MAX, is_of_body);
        // The `n` of a literal `\n` before the line is of the same letters.
        let begin = if begin < stop && before(text, begin) == b'\\' && byte(text, begin) == b'n' {
            begin + 1
        } else {
            begin
        };
        let len = stop - begin;
        let whole =
            matches!(before(text, begin), 0 | b'\n' | b'\r' | b'"' | b'\'' | b'`' | b'n' | b' ' | b'>');
        let last = start == at;
        if len == 0 || !whole || (len < WIDTH_MIN && !last) || (last && stop < at && len < 4) {
            break;
        }
        body += len;
        start = begin;
    }
    (body >= WIDTH_MIN).then(|| Finding::whole(Entity::PrivateKey, start, end))
}

/// Back over one line break, real or literal, and what indents or quotes the line behind it.
fn before_break(text: &[u8], at: usize) -> usize {
    let at = run_start(text, at, 8, |b| is_space(b) || b == b'>');
    let real = run_start(text, at, 2, |b| matches!(b, b'\n' | b'\r'));
    if real < at {
        return real;
    }
    let mut end = at;
    for letter in [b'n', b'r'] {
        let escaped = end > 1 && byte(text, end - 1) == letter && byte(text, end - 2) == b'\\';
        end = if escaped { run_start(text, end - 1, 4, |b| b == b'\\') } else { end };
    }
    end
}

fn is_of_body(b: u8) -> bool {
    is_base64(b) || b == b'='
}

/// `Private-Lines: 14` and so many lines, at the colon.
pub(super) fn putty(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    if before(text, at) | 0x20 != b's'
        || !starts_with_ignoring_case(text, at.checked_sub(13)?, b"private-lines")
    {
        return None;
    }
    let digits = run_end(text, at + 1, 2, is_space);
    let from = run_end(text, digits, 4, |b| b.is_ascii_digit());
    let mut lines = 0_usize;
    for b in slice(text, digits, from) {
        lines = lines * 10 + usize::from(b - b'0');
    }
    let (mut start, mut end, mut next) = (from, from, from);
    let mut found = 0;
    for line in 0..lines.min(LINES_MAX) {
        let begin = behind_break(text, next);
        let stop = run_end(text, begin, LINE_MAX, is_of_body);
        if begin == next || stop == begin {
            break;
        }
        start = if line == 0 { begin } else { start };
        (end, next) = (stop, stop);
        found += 1;
    }
    // Fewer, if what follows was cut.
    let whole = found == lines || matches!(byte(text, end), 0 | b'"' | b'\'' | b'`');
    (whole && end - start >= WIDTH_MIN / 2).then(|| Finding::whole(Entity::PrivateKey, start, end))
}

/// Behind one line break, real or literal, and what indents the line behind it.
fn behind_break(text: &[u8], at: usize) -> usize {
    let mut end = run_end(text, at, 2, |b| matches!(b, b'\n' | b'\r'));
    for letter in [b'r', b'n'] {
        let slashes = run_end(text, end, 4, |b| b == b'\\');
        end = if slashes > end && byte(text, slashes) == letter { slashes + 1 } else { end };
    }
    if end > at { run_end(text, end, 8, is_space) } else { at }
}
