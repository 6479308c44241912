//! Control characters within a value: a terminal shows none of them.

use super::super::bytes::{before, byte, is_name, run_end, run_start, slice};

/// How far a sequence or a name goes.
const NEAR: usize = 64;

/// How many bytes show nothing: a sequence that colours what follows, or one control between two characters that are
/// seen. Not where it parts fields with names of their own (`A=1` and `B=2`, as in an environment).
pub(super) fn dropped(text: &[u8], at: usize) -> Option<usize> {
    if let Some(end) = sequence(text, at) {
        return Some(end - at);
    }
    let control = |b: u8| b.is_ascii_control() && !matches!(b, b'\n' | b'\r' | b'\t' | 0x0B | 0x0C);
    let (prior, next) = (run_start(text, at, NEAR, control), run_end(text, at, NEAR, control));
    let seen = |b: u8| b >= b' ' && b != 0x7F;
    let name = run_end(text, next, NEAR, is_name);
    let field = name > next && byte(text, name) == b'=';
    (seen(before(text, prior)) && seen(byte(text, next)) && !field).then_some(1)
}

/// `ESC [ 01;31 m`; not before a placeholder.
fn sequence(text: &[u8], at: usize) -> Option<usize> {
    if slice(text, at, at + 2) != b"\x1B[" {
        return None;
    }
    let end = run_end(text, at + 2, NEAR, |b| b.is_ascii_digit() || matches!(b, b';' | b'?' | b':'));
    let name = run_end(text, end, NEAR, |b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    let placeholder = end == at + 2 && byte(text, name) == b':';
    (matches!(byte(text, end), b'@'..=b'~') && !placeholder).then_some(end + 1)
}
