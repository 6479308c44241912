//! Signs that mean something else than themselves only beside others: one star of emphasis, one byte of quoted-printable
//! text.

use super::super::bytes::{before, byte, is_alphanumeric, is_digit, run_end, run_start, slice};

/// Whether a star within a word begins or ends emphasis of which the other star stands at an edge of a word: `12*34*`,
/// `*12*34`; not `12*34`, which is a product.
pub(super) fn is_emphasis(text: &[u8], at: usize) -> bool {
    const NEAR: usize = 48;
    let inner = |b: u8| is_alphanumeric(b);
    // Between digits a blank or dash may stand beside the star.
    let gap = |b: u8| matches!(b, b' ' | b'-');
    let next = at + 1 + usize::from(gap(byte(text, at + 1)) && is_digit(byte(text, at + 2)));
    let prior = at - usize::from(at > 1 && gap(before(text, at)) && is_digit(byte(text, at - 2)));
    let edges = next > at + 1 && prior < at;
    if edges
        || !inner(before(text, prior))
        || !inner(byte(text, next))
        || prior < at && !is_digit(byte(text, next))
    {
        return false;
    }
    let of_line = |b: u8| !matches!(b, b'*' | b'\n' | b'\r');
    let end = run_end(text, at + 1, NEAR, of_line);
    let start = run_start(text, at, NEAR, of_line);
    let closes = byte(text, end) == b'*' && !inner(byte(text, end + 1)) && inner(before(text, end));
    let open = start.saturating_sub(1);
    closes || (before(text, start) == b'*' && !inner(before(text, open)) && inner(byte(text, start)))
}

/// Whether another byte is encoded near the one at `at`, in the same word.
pub(super) fn stands_in_quoted_printable(text: &[u8], at: usize) -> bool {
    const NEAR: usize = 12;
    let holds = |part: &[u8]| {
        part.windows(3).any(|w| {
            matches!(w, [b'=', a, b] if [a, b].iter().all(|b| b.is_ascii_digit() || matches!(b, b'A'..=b'F')))
        })
    };
    let end = run_end(text, at + 3, NEAR, |b| !b.is_ascii_whitespace());
    let start = run_start(text, at, NEAR, |b| !b.is_ascii_whitespace());
    holds(slice(text, at + 3, end)) || holds(slice(text, start, at))
}
