//! Credentials in tables (CSV, TSV, Markdown): the first of the rows above says what the column holds.

use super::bytes::{Classes, before, byte, is_field, run_end, run_start, slice};
use super::{Finding, Scan, assignment};

/// How far above a row its column's name may stand, in bytes and in rows.
const TABLE_MAX: usize = 1024;
const ROWS_MAX: usize = 32;
/// A longer heading is a sentence.
const HEADING_MAX: usize = 32;
const VALUE_MAX: usize = 64;

fn separates(b: u8) -> bool {
    matches!(b, b',' | b';' | b'\t' | b'|')
}

/// A field with the byte at `at` in it, if its column's name names a credential.
pub(super) fn find(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    let edges = |b: u8| b == 0 || separates(b) || matches!(b, b'\n' | b'\r' | b'"');
    let start = run_start(text, at, VALUE_MAX, is_field);
    let open = run_start(text, start, 2, |b| matches!(b, b' ' | b'"'));
    // The common case, a word of a sentence.
    if !edges(before(text, open)) && !edges(before(text, start)) {
        return None;
    }
    let end = run_end(text, at, VALUE_MAX, is_field);
    let value = slice(text, start, end);
    let close = run_end(text, end, 2, |b| b == b' ' || b == b'"');
    if value.len() < 6 || !edges(byte(text, close)) {
        return None;
    }
    let classes = Classes::of(value);
    let constant = classes.lower == 0 && value.contains(&b'_');
    if constant || classes.lower + classes.upper < 2 || classes.kinds() < 2 {
        return None;
    }
    let name = name(text, open, close)?;
    let entity = assignment::named_value(name, value)?;
    Some(Finding::outer(entity, start, end, end))
}

/// The name of the column of the field `start..end`.
fn name(text: &[u8], start: usize, end: usize) -> Option<&[u8]> {
    let above = slice(text, start.saturating_sub(TABLE_MAX), start);
    let row = memchr::memrchr(b'\n', above)?;
    let before = slice(above, row + 1, above.len());
    let sign = match before.iter().rev().find(|b| separates(**b)) {
        Some(sign) => *sign,
        // The first field of a row.
        None if separates(byte(text, end)) && !byte(text, end + 1).is_ascii_whitespace() => byte(text, end),
        None => return None,
    };
    let place = memchr::memchr_iter(sign, before).count();
    let mut top = None;
    let mut bottom = row;
    for _ in 0..ROWS_MAX {
        let from = memchr::memrchr(b'\n', slice(above, 0, bottom)).map_or(0, |at| at + 1);
        let line = slice(above, from, bottom);
        if memchr::memchr(sign, line).is_none() {
            break;
        }
        top = Some(line);
        if from == 0 {
            break;
        }
        bottom = from - 1;
    }
    let name = top?.split(|b| *b == sign).nth(place)?;
    // A heading, and no expression.
    let written =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'_' | b'-' | b'.' | b'"' | b'\r' | b'*');
    (name.len() <= HEADING_MAX && name.iter().all(written)).then_some(name)
}
