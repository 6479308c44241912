//! What stands where a credential would, and is none: a reference to one, a stand-in, code.

use super::bytes::{Classes, before, byte, is_alphanumeric, is_word, run_start, slice};
use super::message::is_about;
use super::noun::is_standard;
use super::words::{is_numbered, is_slug};

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
    // `(self.password.encode('utf-8') …`: a call of a member, whatever its quote did to the end.
    let bare = value.iter().position(|b| *b != b'(').map_or(value, |from| slice(value, from, value.len()));
    let head = bare.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')).count();
    let quoted = matches!(byte(text, end), b'"' | b'\'') && bare.len() == head + 1;
    let cut = byte(bare, head) == b'('
        && slice(bare, 0, head).contains(&b'.')
        && (quoted || bare.len() < value.len() || matches!(byte(bare, head + 1), b'"' | b'\''));
    let name =
        value.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':')).count();
    let close = match byte(value, name) {
        b'[' => b']',
        b'(' => b')',
        _ => 0,
    };
    // `K(nt7)er2x` calls nothing.
    let behind = value.iter().position(|b| *b == close).map_or(0, |at| byte(value, at + 1));
    let close = if behind.is_ascii_alphanumeric() { 0 } else { close };
    let path = value.windows(2).any(|w| w == b"![" || w == b"!(" || w == b"::");
    let called = path || close != 0 && name > 0 && (value.contains(&close) || byte(text, end) == close);
    let counts = value.iter().all(|b| b.is_ascii_digit() || *b == b'/');
    called
        || cut
        || (counts && value.contains(&b'/'))
        || is_slug(value) && is_test(value) && !is_numbered(value)
        || value.contains(&b'.') && is_member(value, is_standard)
        || is_generic(text, start, end)
}

/// `/home/jane/app2`, `~/src/app2`: where a file or a page is.
pub(super) fn is_path(value: &[u8]) -> bool {
    let rest =
        value.strip_prefix(b"~").or_else(|| value.strip_prefix(b"..")).or_else(|| value.strip_prefix(b"."));
    let rest = rest.unwrap_or(value);
    rest.first() == Some(&b'/')
        && (rest.len() < value.len() || rest.iter().filter(|b| **b == b'/').count() > 1)
        && rest.iter().all(|b| b.is_ascii_alphanumeric() || *b >= 0x80 || b"/._-@+".contains(b))
}

/// `PASSWORD`, `DB_PASSWORT`: a word in capitals that the value is to be put in the place of.
fn is_capital_noun(value: &[u8]) -> bool {
    const NOUNS: &[&[u8]] =
        &[b"PASSWORD", b"PASSWORT", b"PASSWD", b"KENNWORT", b"PASSPHRASE", b"MOT_DE_PASSE", b"MOTDEPASSE"];
    value.iter().all(|b| b.is_ascii_uppercase() || matches!(b, b'_' | b'-'))
        && NOUNS.iter().any(|noun| value.ends_with(noun))
}

/// `%s:%s`, `{}:{}`: what is filled in later, and signs.
fn is_format(value: &[u8]) -> bool {
    let percent = value.windows(2).any(|w| matches!(w, [b'%', b's' | b'd' | b'v' | b'@']) || w == b"{}");
    percent
        && value.iter().zip([b' '].iter().chain(value)).all(|(b, last)| {
            !b.is_ascii_alphanumeric() || (*last == b'%' && matches!(b, b's' | b'd' | b'v' | b'@'))
        })
}

/// `settings.API_KEY`, `win32api.RegEnumKey`: a member, by the dots between names; `names` says whether the last is one of a
/// credential.
pub(super) fn is_member(value: &[u8], names: impl Fn(&[u8]) -> bool) -> bool {
    let mut parts = value.rsplit(|b| *b == b'.');
    let last = parts.next().unwrap_or_default();
    let is_name = |part: &[u8]| {
        part.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
            && part.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
    };
    last.len() < value.len() && is_name(last) && names(last) && parts.all(is_name)
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

/// `[nt7er2xQ!`: a bracket that nothing closes, before what no code looks like.
fn is_bracketed(value: &[u8]) -> bool {
    let close = match value.first() {
        Some(b'[') => b']',
        Some(b'{') => b'}',
        _ => return false,
    };
    let inner = slice(value, 2, value.len());
    inner.iter().any(|b| b"!#%^?".contains(b))
        && inner.iter().any(u8::is_ascii_digit)
        && !value.iter().any(|b| *b == close || b"\"'$:=,;()".contains(b))
}

/// What a reference begins with.
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
/// Whole words that stand for a value.
const STAND_INS: &[&[u8]] = &[
    b"!vault",
    b"!sub",
    b"!getatt",
    b"!env",
    b"!env_var",
    b"!encrypted",
    b"!reference",
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
    b"fail",
    b"failed",
];

/// What a stand-in begins with, by the five bits that are the same in both cases.
const FIRSTS: u32 = {
    let mut firsts = 0;
    let mut row = 0;
    while row < STAND_INS.len() {
        #[expect(clippy::indexing_slicing, reason = "within the rows; `get` is not const")]
        if let [first, ..] = STAND_INS[row] {
            firsts |= 1 << (*first & 31);
        }
        row += 1;
    }
    firsts
};

/// A reference to a secret, or a stand-in for one: `${X}`, `<your-key>`, `****`, `os.environ[…]`.
pub(super) fn is_reference(value: &[u8]) -> bool {
    let first = value.first().copied().unwrap_or(0);
    let shell = first == b'$'
        && value.iter().skip(1).all(|b| b.is_ascii_uppercase() || *b == b'_')
        && value.len() > 1;
    let windows = value.strip_prefix(b"%").and_then(|rest| rest.strip_suffix(b"%")).is_some_and(|name| {
        name.len() > 2 && name.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
    });
    shell
        || windows
        || is_capital_noun(value)
        || is_about(value)
        || (matches!(first, b'%' | b'{') && is_format(value))
        || value.iter().all(|b| *b == first)
        || (first >= 0xC0 && is_repeated(value))
        || (first == b'$' && is_arrow(value))
        || is_markup(value)
        || (first.is_ascii_uppercase() && is_instruction(value))
        || value.contains(&b'.') && value.windows(3).any(|w| w == b"...")
        || OPENINGS.iter().any(|o| o.first() == Some(&first) && value.starts_with(o)) && !is_bracketed(value)
        || (FIRSTS >> (first & 31) & 1 == 1 && STAND_INS.iter().any(|s| value.eq_ignore_ascii_case(s)))
}

/// `\u{2022}\u{2022}\u{2022}\u{2022}`: one character beyond ASCII again and again.
#[cold]
fn is_repeated(value: &[u8]) -> bool {
    let len = match value.first() {
        Some(0xC0..0xE0) => 2,
        Some(0xE0..0xF0) => 3,
        _ => 4,
    };
    value.len() > 2 * len && value.chunks(len).all(|one| Some(one) == value.get(..len))
}

/// `$ftp->pwd`, `$this->password`: a member.
#[cold]
fn is_arrow(value: &[u8]) -> bool {
    let name = value.iter().skip(1).take_while(|b| is_word(**b)).count();
    let member = slice(value, name + 3, value.len());
    name > 0
        && slice(value, name + 1, name + 3) == b"->"
        && member.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
        && member.iter().all(|b| is_word(*b) || b"->()".contains(b))
}

/// `C<$pass>`: a variable in Perl's documentation.
fn is_markup(value: &[u8]) -> bool {
    matches!(value, [b'A'..=b'Z', b'<', b'$' | b'@' | b'%', name @ ..] if name.iter().all(|b| is_word(*b) || matches!(b, b'>' | b'-')))
}

/// `INSERT_TOKEN_HERE`, `REPLACE_ME`.
#[cold]
fn is_instruction(value: &[u8]) -> bool {
    const VERBS: &[&[u8]] = &[b"INSERT", b"REPLACE", b"CHANGE", b"ENTER", b"PUT"];
    const OBJECTS: &[&[u8]] = &[
        b"ME",
        b"YOUR",
        b"THIS",
        b"KEY",
        b"TOKEN",
        b"SECRET",
        b"PASSWORD",
        b"CREDENTIAL",
        b"VALUE",
        b"PASS",
    ];
    (VERBS.iter().any(|verb| value.starts_with(verb)) || value.ends_with(b"_HERE"))
        && value.split(|b| *b == b'_').any(|word| OBJECTS.contains(&word))
        && value.iter().all(|b| b.is_ascii_uppercase() || *b == b'_')
}

/// What stands behind `==` in code: a name, a member, a number, a version, a call, more conditions. A password may begin
/// with the sign.
pub(super) fn is_operand(value: &[u8]) -> bool {
    let classes = Classes::of(value);
    let plain = value.iter().all(|b| is_alphanumeric(*b) || matches!(b, b'_' | b'.'));
    let begins = value.first().is_some_and(u8::is_ascii_digit);
    let mixed = classes.lower > 0 && classes.upper > 0 && classes.digit > 1 && classes.other == 0;
    let version = begins && (value.contains(&b'.') || classes.lower + classes.upper < 2);
    let joined = value.windows(2).any(|two| matches!(two, b"&&" | b"||" | b"==" | b"->" | b"::"));
    plain && (version || !begins && !mixed)
        || joined
        || value.iter().any(|b| b"()[]{}<>,".contains(b))
        || value.starts_with(b"=")
}
