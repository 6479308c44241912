//! What marks look like at a glance: by their first two bytes most are none.

use super::super::block;
use super::super::bytes::is_alphanumeric;
use super::TAGS;

/// What may begin something that reads as something else: `%` and `&`, `(` and `*`, `<` and `=`, `[` and `{`, and single ones;
/// controls but tabs, line breaks and those of pages.
#[inline(always)]
pub(super) fn may_be_mark(b: u8) -> bool {
    may_be_sign(b) | is_control(b)
}

#[inline(always)]
fn may_be_sign(b: u8) -> bool {
    (b == b'%')
        | (b == b'&')
        | (b & 0xFD == b'(')
        | (b & 0xFE == b'<')
        | (b & 0xDF == b'[')
        | (b == b'\\')
        | (b == b'`')
        | (b == b'~')
}

/// One that shows nothing: no tab, line break or the like.
#[inline(always)]
fn is_control(b: u8) -> bool {
    (b < 9) | (b.wrapping_sub(0x0E) < 0x12) | (b == 0x7F)
}

/// Whether a text holds one.
pub(in crate::redact) fn holds_control(text: &[u8]) -> bool {
    block::find(text, 0, is_control).is_some()
}

/// Whether a text is ASCII without them.
pub(in crate::redact) fn is_plain(text: &[u8]) -> bool {
    // A byte beyond ASCII is below zero.
    let odd = |b: i8| (b < 9) | ((b > 13) & (b < 32)) | (b == 0x7F);
    block::find(text, 0, |b| odd(b.cast_signed())).is_none()
}

/// Whether a mark may go on so behind its first byte: most are none by their second.
pub(super) fn may_go_on(first: u8, next: u8) -> bool {
    let letter = next | 0x20;
    match first {
        b'<' if next == b'/' || TAGS.iter().any(|tag| tag.first() == Some(&letter)) => true,
        b'(' | b'[' | b'{' | b'<' => {
            matches!(next, b' ' | b'\t' | b'@' | b'.' | 0xC3) || matches!(letter, b'a' | b'k' | b'd' | b'p')
        }
        // One star of emphasis stands in a word, or beside a blank or dash between digits.
        b'*' => is_alphanumeric(next) || matches!(next, b'*' | b' ' | b'-'),
        b'~' => next == b'~',
        b'=' => matches!(next, b'\r' | b'\n' | b'0'..=b'9' | b'A'..=b'F'),
        b'%' => next.is_ascii_hexdigit(),
        b'&' => next == b'#' || next.is_ascii_alphabetic(),
        b'\\' => matches!(next, b'\\' | b'u' | b'x' | b'/'),
        _ => true,
    }
}

/// Whether anything in a text may read as something else, controls apart.
pub(in crate::redact) fn holds_mark(text: &[u8]) -> bool {
    block::find(text, 0, may_be_sign).is_some()
}

#[cfg(test)]
mod tests {
    use super::super::super::bytes::byte;
    use super::super::mark;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_plain_is_ascii_without_controls(text in prop::collection::vec(prop_oneof![9 => 32..127_u8, 1 => any::<u8>()], 0..20)) {
            prop_assert_eq!(is_plain(&text), text.is_ascii() && !holds_control(&text));
        }

        /// What `may_go_on` says is no mark, is none.
        #[test]
        fn no_mark_is_passed_over(text in "([ (<\\[{*~%=&\\\\`\\]][ \t@.äÄaAkKdDpPtT/#<xXu0-9a-fA-F\\r\\n*~bBsSwW()>;-]{0,5}){1,4}|[a4]{0,2}[ -]?\\*[ -]?[a4]{1,2}[ -]?\\*?") {
            let bytes = text.as_bytes();
            for at in 0..bytes.len() {
                let first = at + usize::from(byte(bytes, at) == b' ');
                if mark(bytes, at).is_some() {
                    prop_assert!(may_be_mark(byte(bytes, first)) && may_go_on(byte(bytes, first), byte(bytes, first + 1)));
                }
            }
        }
    }
}
