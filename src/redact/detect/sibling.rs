//! Names beside values: of `- name: DB_PASSWORD` above `value: …`, `{"key": "apiKey", "value": "…"}`, `key="…" value="…"` the
//! name says what the value is.

use super::bytes::{before, byte, is_name, run_start, slice};

/// The member whose value it is.
pub(in crate::redact) const VALUE: &[u8] = b"value";
/// Members that hold the name.
const NAMES: &[&[u8]] = &[
    b"name",
    b"key",
    b"id",
    b"field",
    b"header",
    b"param",
    b"parameter",
    b"variable",
    b"var",
    b"label",
    b"property",
];
const NAME_MAX: usize = 48;
/// Blanks, quotes and signs between the two members.
const BETWEEN_MAX: usize = 48;

fn quotes(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'"' | b'\'' | b'\\')
}

/// The name in the member before `value`, which begins at `start`, or of the object that it begins.
pub(super) fn name(text: &[u8], start: usize) -> Option<&[u8]> {
    let gap = |b: u8| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'\\' | b',' | b';');
    // The letter of a literal line break is none of a name.
    let mut end = start;
    while end > 0 && start - end < BETWEEN_MAX {
        if gap(before(text, end)) {
            end -= 1;
        } else if end > 1 && before(text, end) == b'n' && byte(text, end - 2) == b'\\' {
            end -= 2;
        } else {
            break;
        }
    }
    let open = run_start(text, end, 3, |b| matches!(b, b'{' | b' '));
    if before(text, open) == b':' && end < start {
        let end = run_start(text, open - 1, 4, quotes);
        let from = run_start(text, end, NAME_MAX, is_name);
        return Some(slice(text, from, end));
    }
    let from = run_start(text, end, NAME_MAX, is_name);
    let sign = run_start(text, from, 6, quotes);
    if end == start || from == end || !matches!(before(text, sign), b':' | b'=') {
        return None;
    }
    let member_end = run_start(text, sign - 1, 4, quotes);
    let member = slice(text, run_start(text, member_end, 12, is_name), member_end);
    is_name_member(member).then(|| slice(text, from, end))
}

/// Whether a member says how the value beside it is called.
pub(in crate::redact) fn is_name_member(member: &[u8]) -> bool {
    NAMES.iter().any(|name| member.eq_ignore_ascii_case(name))
}
