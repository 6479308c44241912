//! Large data: URLs (images, audio) become their media type and size: time saved, chance hits avoided.
//! Text stays, and so do small ones, which are scanned like anything else.

use super::bytes::{is_base64, run_end, slice, starts_with_ignoring_case};
use super::{Finding, Scan};
use crate::redact::scan::What;

/// Base64 characters from which on a payload is summarised.
const LARGE: usize = 1024;

pub(super) fn find(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    let start = at.checked_sub(4)?;
    if !starts_with_ignoring_case(text, start, b"data") {
        return None;
    }
    let type_end =
        run_end(text, at + 1, 80, |b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'+' | b'-'));
    let media = slice(text, at + 1, type_end);
    let comma = run_end(text, type_end, 80, |b| !matches!(b, b',' | b'"' | b' ' | b'\n'));
    if media.is_empty()
        || media.starts_with(b"text/")
        || !slice(text, type_end, comma + 1).ends_with(b";base64,")
    {
        return None;
    }
    let body = run_end(text, comma + 1, usize::MAX, |b| is_base64(b) || matches!(b, b'-' | b'_'));
    let end = run_end(text, body, 2, |b| b == b'=');
    let length = body - comma - 1;
    let what = What::Data { type_end, bytes: length * 3 / 4 };
    (length >= LARGE).then_some(Finding { start, end, what, resume: end })
}
