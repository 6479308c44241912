//! What stands where a credential would, and is none: a reference to one, a stand-in, code.

use super::bytes::{before, byte, is_word, run_start, slice};
use super::words::is_slug;

const NAME_MAX: usize = 48;

/// `Uint8Array<ArrayBuffer>`: a type.
fn is_generic(text: &[u8], start: usize, end: usize) -> bool {
    byte(text, end) == b'<'
        && byte(text, end + 1).is_ascii_uppercase()
        && byte(text, end + 2).is_ascii_lowercase()
        && slice(text, start, end).iter().all(u8::is_ascii_alphanumeric)
}

/// An element, a call, a type, a row of counts or a test's name, where a value without quotes would stand.
pub(super) fn is_code(text: &[u8], start: usize, end: usize) -> bool {
    let value = slice(text, start, end);
    let name =
        value.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':')).count();
    let close = match byte(value, name) {
        b'[' => b']',
        b'(' => b')',
        _ => 0,
    };
    let path = value.windows(2).any(|w| w == b"![" || w == b"!(" || w == b"::");
    let called = path || close != 0 && name > 0 && (value.contains(&close) || byte(text, end) == close);
    let counts = value.iter().all(|b| b.is_ascii_digit() || *b == b'/');
    called
        || (counts && value.contains(&b'/'))
        || is_slug(value) && is_test(value)
        || is_generic(text, start, end)
}

/// `test_login_v2`, `customer_id_v2`, `user.password_2`.
fn is_test(value: &[u8]) -> bool {
    value.starts_with(b"test_") || value.contains(&b'.') || value.iter().filter(|b| **b == b'_').count() > 1
}

/// Whether a word at `start..end` is of the name of a variable: `${X}`, `$X`, `%X%`.
pub(super) fn is_variable(text: &[u8], start: usize, end: usize) -> bool {
    let sign = before(text, run_start(text, start, NAME_MAX, is_word));
    match sign {
        b'$' => true,
        b'{' => byte(text, end) == b'}',
        b'%' => byte(text, end) == b'%',
        _ => false,
    }
}

/// A reference to a secret, or a stand-in for one: `${X}`, `<your-key>`, `****`, `os.environ[…]`.
pub(super) fn is_reference(value: &[u8]) -> bool {
    const OPENINGS: &[&[u8]] = &[
        b"${",
        b"$(",
        b"{",
        b"<",
        b"[",
        b"%(",
        b"***",
        b"...",
        b"os.environ",
        b"os.getenv",
        b"process.env",
        b"env.",
        b"getenv",
        b"secrets.",
        b"vault:",
        b"your",
        b"YOUR",
        b"sk-...",
        b"*const",
        b"*mut",
        b"&mut",
        b"&[",
        b"&str",
        b"!ref",
        b"!secret",
        b"op://",
        b"arn:aws",
        b"vault://",
        b"ssm:",
        b"ENC[",
    ];
    const STAND_INS: &[&[u8]] = &[
        b"none",
        b"null",
        b"true",
        b"false",
        b"nil",
        b"undefined",
        b"string",
        b"str",
        b"redacted",
        b"required",
        b"optional",
        b"xxx",
    ];
    let first = value.first().copied().unwrap_or(0);
    let shell = first == b'$'
        && value.iter().skip(1).all(|b| b.is_ascii_uppercase() || *b == b'_')
        && value.len() > 1;
    let windows = value.strip_prefix(b"%").and_then(|rest| rest.strip_suffix(b"%")).is_some_and(|name| {
        name.len() > 2 && name.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
    });
    shell
        || windows
        || value.iter().all(|b| *b == first)
        || value.contains(&b'.') && value.windows(3).any(|w| w == b"...")
        || OPENINGS.iter().any(|o| o.first() == Some(&first) && value.starts_with(o))
        || STAND_INS.iter().any(|s| value.eq_ignore_ascii_case(s))
}
