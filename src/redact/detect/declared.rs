//! Names that are declared with a type before their value: `password: string = "…"`; and keys with signs, as such a value
//! may be.

use super::bytes::{Classes, before, is_name, is_space, run_start, slice};
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
