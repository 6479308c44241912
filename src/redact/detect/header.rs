//! AUTHORIZATION as it is pasted from logs: `Bearer` or `Basic` anywhere.

use super::bytes::{
    Classes, before, byte, is_base64, is_random, is_space, is_url_safe, run_end, run_start, slice,
    starts_free, starts_with_ignoring_case,
};
use super::{Finding, Scan, pair};
use crate::redact::encoded;
use crate::redact::entity::Entity;

const LINE_MAX: usize = 8192;
/// A longer run is decoded without a word.
const SHORT_MAX: usize = 24;

/// `Bearer TOKEN`, `Basic BASE64`.
pub(super) fn scheme(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    let bearer = starts_with_ignoring_case(text, at, b"bearer ");
    if byte(text, at) != b'B'
        || !starts_free(text, at)
        || !(bearer || starts_with_ignoring_case(text, at, b"basic "))
    {
        return None;
    }
    let word = if bearer { 7 } else { 6 };
    let from = run_end(text, at + word, 3, is_space);
    let body = run_end(text, from, LINE_MAX, |b| is_base64(b) || is_url_safe(b) || matches!(b, b'.' | b'~'));
    let end = run_end(text, body, 2, |b| b == b'=');
    let token = slice(text, from, end);
    let token =
        token.get(..token.len() - token.iter().rev().take_while(|b| **b == b'.').count()).unwrap_or_default();
    let classes = Classes::of(token);
    let random = if bearer {
        token.len() >= 16 && classes.digit > 0
    } else {
        token.len() >= 8
            && token.len().is_multiple_of(4)
            && classes.upper > 0
            && classes.lower > 0
            && (classes.digit > 0 || classes.other > 0 || is_random(token))
            || encoded::is_login(token)
    };
    // A long token was paid for once: the scan goes on behind it.
    let resume = if token.len() > 512 && !token.starts_with(b"eyJ") { from + token.len() } else { from };
    random.then(|| Finding::outer(Entity::Authorization, from, from + token.len(), resume))
}

/// At the `=` that pads `ZXZhOng=`: a name and a password in base64, behind a word that says so.
#[inline(always)]
pub(super) fn padded(text: &[u8], at: usize) -> Option<Finding> {
    // Most are signs of something else.
    let next = byte(text, at + 1);
    let last = before(text, at);
    let may = is_base64(last)
        && (next == b'='
            || !next.is_ascii_graphic()
            || matches!(next, b'"' | b'\'' | b'`' | b')' | b',' | b'.'));
    if may { encoded_login(text, at) } else { None }
}

#[cold]
fn encoded_login(text: &[u8], at: usize) -> Option<Finding> {
    let start = run_start(text, at, SHORT_MAX, is_base64);
    let end = run_end(text, at, 2, |b| b == b'=');
    let run = slice(text, start, end);
    (at - start > 2
        && run.len().is_multiple_of(4)
        && starts_free(text, start)
        && encoded::is_login(run)
        && pair::is_encoded(text, start))
    .then(|| Finding::whole(Entity::Authorization, start, end))
}
