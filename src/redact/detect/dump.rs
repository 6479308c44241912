//! Rows of `xxd`: an offset, a colon, and eight groups of four hexadecimal digits. Such groups are no numbers.

use super::bytes::{run_start, slice};

/// Up to the last group.
const HEAD: usize = 10;
const GROUP: usize = 5;
const GROUPS: usize = 8;

/// Whether it stands in a whole row.
pub(super) fn is_row(text: &[u8], at: usize) -> bool {
    let line = run_start(text, at, HEAD + GROUP * GROUPS, |b| b != b'\n');
    let [a, b, c, d, e, f, g, b'0', b':', b' '] = slice(text, line, line + HEAD) else { return false };
    let groups = slice(text, line + HEAD, line + HEAD + GROUP * GROUPS);
    let row = groups.chunks(GROUP).all(|group| match group {
        [digits @ .., b' '] => digits.iter().all(u8::is_ascii_hexdigit),
        _ => false,
    });
    row && !groups.is_empty() && [a, b, c, d, e, f, g].iter().all(|b| b.is_ascii_hexdigit())
}
