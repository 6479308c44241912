//! Names that are declared with a type before their value: `password: string = "…"`; and keys with signs, as such a value
//! may be. How else a value or its name may be written: in a block, behind an encoder's mark, typed again.

use super::bytes::{
    Classes, before, byte, is_name, is_space, run_end, run_start, slice, starts_with_ignoring_case,
};
use super::words::is_slug;

const NAME_MAX: usize = 48;

/// The name before a type: `NAME: string =`, `NAME?: &'static str =`, `var NAME string =`.
pub(super) fn name(text: &[u8], start: usize, end: usize) -> Option<(usize, usize)> {
    const TYPES: &[&[u8]] = &[b"string", b"str", b"secretstr"];
    let kind = slice(text, start, end);
    if !TYPES.iter().any(|name| kind.eq_ignore_ascii_case(name)) {
        return None;
    }
    let life = if slice(text, start.saturating_sub(8), start) == b"'static " { start - 8 } else { start };
    let from = run_start(text, life, 1, |b| b == b'&');
    let gap = run_start(text, from, 2, is_space);
    let name_end = run_start(text, gap, 2, |b| matches!(b, b':' | b'?' | b'!'));
    let colon = name_end < gap && before(text, gap) == b':';
    let start_of_name = run_start(text, name_end, NAME_MAX, is_name);
    let var = matches!(slice(text, start_of_name.saturating_sub(4), start_of_name), b"var " | b"nst ");
    (colon || (from == start && gap < from && var)).then_some((start_of_name, name_end))
}

/// A long key with signs among its letters and digits, as Django makes them.
pub(super) fn is_long_secret(value: &[u8]) -> bool {
    let classes = Classes::of(value);
    let body = value.strip_prefix(b"django-insecure-").unwrap_or(value);
    let signs = body.iter().filter(|b| b"!@#$%^&*(-_=+)".contains(b)).count();
    (40..=128).contains(&body.len())
        && body.iter().all(|b| b.is_ascii_alphanumeric() || b"!@#$%^&*(-_=+)".contains(b))
        && (signs > 2 && classes.digit > 1 && classes.lower > 7)
        && !value.windows(2).any(|w| w == b"${" || w == b"$(")
        && !body.starts_with(b"**")
        && !is_slug(body)
}

/// Where a value begins behind what says how it is written.
pub(super) fn behind_marks(text: &[u8], at: usize) -> usize {
    let from = block(text, at).unwrap_or(at);
    from + encoder(text, from)
}

/// Where the line below begins, behind the sign of a block of YAML: `password: |`, `password: >-`.
fn block(text: &[u8], at: usize) -> Option<usize> {
    if !matches!(byte(text, at), b'|' | b'>') {
        return None;
    }
    let feed = run_end(text, at + 1, 2, |b| matches!(b, b'-' | b'+' | b'1'..=b'9'));
    let line = run_end(text, feed, 2, |b| matches!(b, b'\r' | b'\n'));
    let from = run_end(text, line, 24, is_space);
    (line > feed && from > line).then_some(from)
}

/// The length of `{noop}` or `{bcrypt}`, which says how the password behind it is kept.
pub(super) fn encoder(text: &[u8], at: usize) -> usize {
    const ENCODERS: &[&[u8]] = &[
        b"noop", b"plain", b"clear", b"crypt", b"bcrypt", b"scrypt", b"argon2", b"pbkdf2", b"md4", b"md5",
        b"smd5", b"sha", b"ssha", b"ldap", b"pkcs5s2",
    ];
    if byte(text, at) != b'{' {
        return 0;
    }
    let end = run_end(text, at + 1, 24, |b| b.is_ascii_alphanumeric() || b"-_@.".contains(&b));
    let known = ENCODERS.iter().any(|name| starts_with_ignoring_case(text, at + 1, name));
    let follows =
        byte(text, end + 1).is_ascii_graphic() && !matches!(byte(text, end + 1), b'{' | b'"' | b'\'' | b'}');
    if known && byte(text, end) == b'}' && follows { end + 1 - at } else { 0 }
}

/// A name without what says that the value is typed again: `password_confirmation`, `passwordRepeat`, `password2`.
#[inline(always)]
pub(super) fn unrepeated(name: &[u8]) -> &[u8] {
    let [.., second, last] = name else { return name };
    let tail: &[u8] = match (second | 0x20, last | 0x20) {
        (_, b'1' | b'2') => return without(name, slice(name, name.len() - 1, name.len())),
        (b'o', b'n') => b"confirmation",
        (b'r', b'm') => b"confirm",
        (b'f', b'y') => b"verify",
        (b'i', b'n') => b"again",
        (b'a', b't') => b"repeat",
        _ => return name,
    };
    // Most that end so end in another word.
    let first = name.len().checked_sub(tail.len()).and_then(|at| name.get(at));
    if first.map(|b| b | 0x20) == tail.first().copied() { without(name, tail) } else { name }
}

fn without<'a>(name: &'a [u8], tail: &[u8]) -> &'a [u8] {
    let end = name.len().saturating_sub(tail.len());
    let ends = end > 3 && slice(name, end, name.len()).eq_ignore_ascii_case(tail);
    if ends { slice(name, 0, run_start(name, end, 1, |b| matches!(b, b'_' | b'-' | b' '))) } else { name }
}
