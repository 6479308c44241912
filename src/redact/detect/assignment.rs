//! Credentials known by the name before them: `password=…`, `api_key: "…"`, `?token=…`, `AccountKey=…;`,
//! and values under such a key in JSON.

use super::bytes::{
    Classes, before, byte, is_base64, is_jumbled, is_key_byte, is_name, is_random, is_space,
    pairs_of_capitals, run_end, run_start, slice, starts_with_ignoring_case,
};
use super::names::{Kind, kind, may_be_listed};
use super::reference::{is_code, is_member, is_operand, is_path, is_reference};
use super::words::{is_passphrase, is_plainly_random_letters, is_random_letters, is_short_key, is_slug};
use super::{Finding, Scan, declared, ends, password, sibling};
use crate::redact::encoded;
use crate::redact::entity::Entity;

const NAME_MAX: usize = 48;
/// Bytes of a value that are looked at; a key that fills them goes on as far as it can.
const VALUE_MAX: usize = 256;
/// Blanks that put the signs of several lines under each other.
const ALIGNED_MAX: usize = 16;
/// A longer value is no password.
const PASSWORD_MAX: usize = 64;
/// A longer key is not looked into again, so that the work stays linear.
const INNER_MAX: usize = 128;
/// Bytes in which a key shows that it is made of letters and digits.
const HEAD: usize = 64;
/// What stands before the last part of a resource's name.
const RESOURCE_MAX: usize = 96;

/// At `=` or `:`.
pub(super) fn find(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    let colon = byte(text, at) == b':';
    // `userPassword:: …` of LDIF, but no path of code.
    let path = colon && byte(text, at + 1) == b':' && !is_space(byte(text, at + 2));
    if path || before(text, at) == byte(text, at) {
        return None;
    }
    let mut name_end = skip_back(text, at);
    if colon && !may_be_listed(declared::unrepeated(slice(text, 0, name_end))) {
        return None;
    }
    let mut start = run_start(text, name_end, NAME_MAX, is_name);
    let mut typed = false;
    if !colon && let Some(declared) = declared::name(text, start, name_end) {
        (start, name_end, typed) = (declared.0, declared.1, true);
    }
    let query = !colon && matches!(before(text, start), b'?' | b'&');
    let name = slice(text, start, name_end);
    let beside = if sibling::is_value(name) { sibling::name(text, start, colon) } else { None };
    let kind = match beside {
        Some(beside) => {
            kind(beside, false).map(|kind| if kind == Kind::Password { Kind::MadeUp } else { kind })
        }
        None => kind(name, query),
    }?;
    // Of a path or a number with colons the last part only.
    if kind == Kind::Random && before(text, start) == b':' {
        return None;
    }
    let mut value = value(text, at, query, kind)?;
    if typed && value.quotes == Quotes::None {
        return None;
    }
    if value.quotes == Quotes::None
        && let Some(found) = passphrase(text, name_end, value.start)
    {
        return Some(Finding { resume: at + 1, ..found });
    }
    let found = slice(text, value.start, value.end);
    let compared = byte(text, at + 1) == b'=' && !colon && value.quotes == Quotes::None;
    if compared && (!value.tight || is_operand(found)) {
        return None;
    }
    if !is_accepted(text, kind, &value, query) {
        return of_login(text, start, name, &value)
            .then(|| Finding::outer(Entity::Password, value.start, value.end, at + 1));
    }
    if compared {
        value.start -= 1;
    }
    // The identifier of an access key and what it was used for: the first is found by its shape.
    let scope = found.ends_with(b"aws4_request");
    let member = value.quotes == Quotes::None && is_member(found, |last| names_key(last).is_some());
    if scope || member || is_resource(text, start) {
        return None;
    }
    let entity = kind.entity();
    if found.len() == VALUE_MAX {
        value.end = run_end(text, value.end, usize::MAX, is_key_byte);
    }
    let resume = if value.end - value.start > INNER_MAX { value.end } else { at + 1 };
    Some(Finding::outer(entity, value.start, value.end, resume))
}

/// The words of a passphrase to the end of the line, behind its name that ends at `end`.
fn passphrase(text: &[u8], end: usize, start: usize) -> Option<Finding> {
    if !starts_with_ignoring_case(text, end.saturating_sub(10), b"passphrase") {
        return None;
    }
    let line = run_end(text, start, 128, |b| !matches!(b, b'\n' | b'\r' | b'"' | b'\\' | b'<'));
    is_passphrase(slice(text, start, line)).then(|| Finding::whole(Entity::Password, start, line))
}

/// Whether a secret whose name begins at `start` is a password, by the account beside it: `login: eva, secret: …`.
fn of_login(text: &[u8], start: usize, name: &[u8], value: &Value) -> bool {
    let found = slice(text, value.start, value.end);
    sibling::is_secret(name)
        && password::is_made_up(found)
        && found.len() <= PASSWORD_MAX
        && !is_slug(found)
        && !is_code(text, value.start, value.end)
        && sibling::is_beside_login(text, start)
}

/// Whether the name at `start` is of the name of a resource: `arn:aws:secretsmanager:…:secret:…`.
fn is_resource(text: &[u8], start: usize) -> bool {
    let from = run_start(text, start, RESOURCE_MAX, |b| is_name(b) || b == b':');
    before(text, start) == b':' && slice(text, from, from + 4) == b"arn:"
}

fn is_accepted(text: &[u8], kind: Kind, value: &Value, query: bool) -> bool {
    let found = slice(text, value.start, value.end);
    match kind {
        Kind::Password | Kind::MadeUp => {
            is_password(found, value)
                && (kind == Kind::Password || password::is_made_up(found) || is_random_letters(found))
                && (value.quotes != Quotes::None || !is_code(text, value.start, value.end))
        }
        Kind::Key(_) if byte(text, value.end) == b'<' && byte(text, value.end + 1) != b'/' => false,
        Kind::Random => {
            is_key(found) && is_random(found.get(..HEAD).unwrap_or(found))
                || is_short_key(found) && !is_reference(found)
                || encoded::is_login(found)
        }
        Kind::Key(entity) => {
            is_key_of(entity, found)
                || encoded::is_login(found)
                || (value.quotes != Quotes::None && declared::is_long_secret(found))
                || ((is_short_key(found) || password::is_strong(found))
                    && !is_reference(found)
                    && !is_code(text, value.start, value.end))
                || (query && found.len() >= 8 && Classes::of(found).digit > 0 && !is_reference(found))
        }
    }
}

/// What a person or a machine made, under a name that says so less than others: in a pair, or a column.
pub(super) fn named_value(name: &[u8], value: &[u8]) -> Option<Entity> {
    let kind = kind(name, false)?;
    let accepted = match kind {
        Kind::Password | Kind::MadeUp => {
            value.len() <= PASSWORD_MAX && (password::is_made_up(value) || is_random_letters(value))
        }
        Kind::Key(entity) => {
            is_key_of(entity, value)
                || encoded::is_login(value)
                || ((is_short_key(value) || password::is_strong(value)) && !is_reference(value))
        }
        Kind::Random => is_key(value) && is_random(value.get(..HEAD).unwrap_or(value)),
    };
    accepted.then(|| kind.entity())
}

/// The entity of a JSON string that stands under a key which names a credential, and where it begins.
pub(in crate::redact) fn json_value(key: &str, text: &str) -> Option<(Entity, usize)> {
    // Behind what says how it is kept.
    let from = declared::encoder(text.as_bytes(), 0);
    let bytes = slice(text.as_bytes(), from, text.len());
    let scheme = bytes.iter().take(8).position(|b| *b == b' ').is_some();
    let single = !bytes.iter().any(u8::is_ascii_whitespace);
    let entity = match kind(key.as_bytes(), true)? {
        Kind::Password => (!bytes.is_empty() && !is_reference(bytes)).then_some(Entity::Password),
        Kind::MadeUp => {
            let made = password::is_made_up(bytes) || is_random_letters(bytes);
            (single && made && bytes.len() <= PASSWORD_MAX).then_some(Entity::Password)
        }
        Kind::Key(Entity::Authorization) => {
            (bytes.len() >= 8 && (single || scheme)).then_some(Entity::Authorization)
        }
        Kind::Key(entity) => {
            let short = is_short_key(bytes) || password::is_strong(bytes);
            (single
                && (is_key_of(entity, bytes) || encoded::is_login(bytes) || (short && !is_reference(bytes))))
            .then_some(entity)
        }
        Kind::Random => {
            let random = is_key(bytes) && is_random(bytes.get(..HEAD).unwrap_or(bytes))
                || is_short_key(bytes)
                || encoded::is_login(bytes);
            (single && random).then_some(Entity::ApiKey)
        }
    };
    entity.map(|entity| (entity, from))
}

/// Whether what stands under a JSON key may be a credential whatever it looks like.
pub(in crate::redact) fn names_value(key: &str) -> bool {
    !key.is_empty() && kind(key.as_bytes(), true).is_some()
}

/// Whether a word names a credential.
pub(super) fn is_named(word: &[u8]) -> bool {
    kind(word, false).is_some()
}

/// Whether a word names a password.
pub(super) fn names_password(word: &[u8]) -> bool {
    kind(word, false).is_some_and(Kind::is_password)
}

/// What a word names, if it names a credential that a machine made.
pub(super) fn names_key(word: &[u8]) -> Option<Entity> {
    // A session in a sentence is none of a key, and of a resource's name neither.
    match kind(word, false)? {
        Kind::Random if word.eq_ignore_ascii_case(b"session") => None,
        Kind::Password | Kind::MadeUp => None,
        kind => Some(kind.entity()),
    }
}

/// From `=` or `:` back over blanks and quotes to the end of the name.
fn skip_back(text: &[u8], at: usize) -> usize {
    let blank = run_start(text, at, ALIGNED_MAX, is_space);
    run_start(text, blank, 4, |b| matches!(b, b'"' | b'\'' | b'`' | b'\\' | b']' | b'*'))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    None,
    Any,
    /// A string of JSON, under a key of JSON.
    Json,
}

/// A value, and how it was written.
struct Value {
    start: usize,
    end: usize,
    quotes: Quotes,
    /// Directly behind the sign, as in configuration.
    tight: bool,
    /// Between semicolons.
    member: bool,
    /// Behind what says how it is kept: a digest is as long as it is.
    kept: bool,
}

fn value(text: &[u8], at: usize, query: bool, kind: Kind) -> Option<Value> {
    let sign = run_end(text, at, 2, |b| matches!(b, b'=' | b':' | b'>'));
    let open = run_end(text, sign, 3, is_space);
    let open = declared::behind_marks(text, open);
    let quote_start = run_end(text, open, 4, |b| b == b'\\');
    let quote = byte(text, quote_start);
    let quoted = matches!(quote, b'"' | b'\'' | b'`');
    let mut start = if quoted { quote_start + 1 } else { open };
    for scheme in [b"bearer ".as_slice(), b"basic ", b"token "] {
        if starts_with_ignoring_case(text, start, scheme) {
            start += scheme.len();
        }
    }
    let encoder = declared::encoder(text, start);
    start += encoder;
    let kept = encoder > 0 || before(text, start) == b'}' && start > sign && kind.is_password();
    let most = if kind.is_password() && !kept { PASSWORD_MAX + 1 } else { VALUE_MAX };
    let stops = |b: u8| match b {
        b'"' | b'\'' | b'`' | b'\n' | b'\r' | b'\\' | b'<' => true,
        b' ' | b'\t' | b';' => !quoted,
        b'&' | b'#' => query,
        _ => false,
    };
    let json =
        quote == b'"' && byte(text, at) == b':' && before(text, run_start(text, at, 2, is_space)) == b'"';
    let mut end = run_end(text, start, most, |b| !stops(b));
    if json && kind.is_password() && quote_start == open {
        end = ends::string(text, start, most);
    }
    // A quote within a word opens and closes nothing.
    if kind.is_password() && !quoted {
        end = ends::unquoted(text, start, end, most, stops);
    } else if kind.is_password()
        && quote_start == open
        && let Some(close) = ends::quoted(text, start, most, quote)
    {
        end = close;
    }
    // A sign of a query may be one of the password, where no other parameter follows.
    while query && kind.is_password() && matches!(byte(text, end), b'&' | b'#') {
        let next = run_end(text, end + 1, most, |b| !stops(b));
        if byte(text, end) == b'&' && slice(text, end, next).contains(&b'=') || next == end + 1 {
            break;
        }
        end = next;
    }
    if !kind.is_password() && !quoted {
        // Of a row of values the first.
        end = run_end(text, start, end - start, |b| b != b',');
    }
    while !quoted
        && end > start
        && matches!(before(text, end), b'.' | b',' | b':' | b')' | b']' | b'}' | b'>')
    {
        end -= 1;
    }
    let member = byte(text, end) == b';' && byte(text, at) == b'=';
    let quotes = match (quoted, json) {
        (false, _) => Quotes::None,
        (true, false) => Quotes::Any,
        (true, true) => Quotes::Json,
    };
    (start < end).then_some(Value { start, end, quotes, tight: open == sign, member, kept })
}

/// What a person would choose, told apart from code, templates and prose.
fn is_password(value: &[u8], how: &Value) -> bool {
    if value.len() > PASSWORD_MAX && !how.kept || is_reference(value) || is_path(value) {
        return false;
    }
    let classes = Classes::of(value);
    let code = value.iter().any(|b| matches!(b, b'(' | b'[' | b'{'))
        || value.iter().all(|b| b.is_ascii_alphabetic() || *b >= 0x80 || matches!(b, b'_' | b'.'));
    if how.quotes != Quotes::None {
        let whole = how.quotes == Quotes::Json || !value.contains(&b' ') || is_passphrase(value);
        return value.len() >= 4 && whole;
    }
    if is_long_number(value) {
        return true;
    }
    let strong = classes.kinds() > 1 && value.len() >= 6;
    let long_word = how.tight && classes.kinds() == 1 && value.len() >= 8 && classes.lower == 0;
    // A member of a connection string is nothing else.
    let member = how.tight && how.member && value.len() >= 4;
    (strong && !(code && classes.digit == 0))
        || long_word
        || member
        || is_jumbled(value)
        || is_random_letters(value)
}

/// More digits than a count or a port has, and no day.
pub(super) fn is_long_number(value: &[u8]) -> bool {
    let is_day = value.len() == 8 && (value.starts_with(b"19") || value.starts_with(b"20"));
    value.len() >= 8 && value.iter().all(u8::is_ascii_digit) && !is_day
}

/// The same, where the name says what it looks like: one of a thousand secrets of AWS has no digit.
fn is_key_of(entity: Entity, value: &[u8]) -> bool {
    let classes = Classes::of(value.get(..HEAD).unwrap_or(value));
    let secret = entity == Entity::AwsSecretKey
        && value.len() == 40
        && classes.lower > 4
        && classes.upper > 4
        && pairs_of_capitals(value) > 1
        && value.iter().all(|b| is_base64(*b));
    secret || is_key(value)
}

/// What a machine would make: long, with letters and digits or both cases.
fn is_key(value: &[u8]) -> bool {
    if value.len() < 16 {
        return false;
    }
    let classes = Classes::of(value.get(..HEAD).unwrap_or(value));
    let constant = classes.lower == 0 && classes.digit < 3 && value.contains(&b'_');
    // Without a digit: capitals beside each other, as no name in code has them between small letters.
    let letters = classes.digit + classes.other == 0
        && classes.upper > 3
        && classes.lower > 3
        && (pairs_of_capitals(value) > 1 || is_plainly_random_letters(value));
    let mixed = (classes.digit > 0 && classes.lower + classes.upper > 0 && !constant) || letters;
    mixed && value.iter().all(|b| is_key_byte(*b)) && !is_reference(value) && !is_slug(value)
}
