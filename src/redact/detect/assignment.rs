//! Credentials known by the name before them: `password=…`, `api_key: "…"`, `?token=…`, `AccountKey=…;`,
//! and values under such a key in JSON.

use super::bytes::{
    Classes, before, byte, is_alphanumeric, is_base64, is_jumbled, is_key_byte, is_name, is_random, is_space,
    pairs_of_capitals, run_end, run_start, slice, starts_with_ignoring_case,
};
use super::reference::{is_code, is_member, is_path, is_reference};
use super::words::{is_passphrase, is_plainly_random_letters, is_random_letters, is_short_key, is_slug};
use super::{Finding, Scan, declared, ends, password, sibling};
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

/// What a name says about the value behind it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Something a person made up.
    Password,
    /// The same, if it looks made up: the name is short and means other things as well.
    MadeUp,
    /// Something a machine made.
    Key(Entity),
    /// The same, if it was made at random.
    Random,
}

impl Kind {
    fn entity(self) -> Entity {
        match self {
            Self::Password | Self::MadeUp => Entity::Password,
            Self::Key(entity) => entity,
            Self::Random => Entity::ApiKey,
        }
    }

    fn is_password(self) -> bool {
        matches!(self, Self::Password | Self::MadeUp)
    }
}

/// Endings of names, without `_`, `-` and `.`, lower case.
const PASSWORDS: &[&[u8]] = &[
    b"password",
    b"passwort",
    b"passwd",
    b"passphrase",
    b"passcode",
    b"pwd",
    b"kennwort",
    b"motdepasse",
    b"passe",
    b"mdp",
    b"contrasena",
    b"wachtwoord",
    b"userpass",
    b"dbpass",
    b"passw",
    b"smtppass",
    b"mailpass",
    b"redispass",
    b"adminpass",
    b"rootpass",
    b"sshpass",
    b"becomepass",
    b"vaultpass",
    b"wifikey",
    b"wlankey",
    b"rediscliauth",
];
/// What a name may end in behind a sign, or as a word that begins with a capital: `SMTP_PASS`, `adminPw`.
const LAST_WORDS: &[(&[u8], Kind)] = &[
    (b"pass", Kind::MadeUp),
    (b"pw", Kind::MadeUp),
    (b"pat", Kind::Key(Entity::ApiKey)),
    (b"salt", Kind::Random),
];
/// Before `pass` these are about something else.
const PASSES: &[&[u8]] = &[
    b"render",
    b"first",
    b"second",
    b"test",
    b"tests",
    b"low",
    b"high",
    b"band",
    b"single",
    b"multi",
    b"two",
    b"shadow",
    b"depth",
    b"last",
    b"next",
    b"by",
    b"compiler",
    b"post",
    b"pre",
];
const KEYS: &[(&[u8], Entity)] = &[
    (b"secretaccesskey", Entity::AwsSecretKey),
    (b"awssecretkey", Entity::AwsSecretKey),
    (b"accountkey", Entity::AzureStorageKey),
    (b"sharedaccesskey", Entity::AzureStorageKey),
    (b"authorization", Entity::Authorization),
    (b"apikey", Entity::ApiKey),
    (b"secret", Entity::ApiKey),
    (b"secretkey", Entity::ApiKey),
    (b"accesskey", Entity::ApiKey),
    (b"signingkey", Entity::ApiKey),
    (b"encryptionkey", Entity::ApiKey),
    (b"subscriptionkey", Entity::ApiKey),
    (b"privatekey", Entity::ApiKey),
    (b"token", Entity::ApiKey),
    (b"credential", Entity::ApiKey),
    (b"credentials", Entity::ApiKey),
    (b"sessionid", Entity::ApiKey),
    (b"clientkey", Entity::ApiKey),
    (b"authkey", Entity::ApiKey),
    (b"sessid", Entity::ApiKey),
    (b"secretkeybase", Entity::ApiKey),
    (b"bearerauth", Entity::Authorization),
];
/// Names that end so hold a key if the value was made at random, unless they are one of the others.
const RANDOM_KEYS: &[u8] = b"key";
const OTHER_KEYS: &[&[u8]] = &[
    b"publickey",
    b"primarykey",
    b"foreignkey",
    b"partitionkey",
    b"sortkey",
    b"cachekey",
    b"idempotencykey",
    b"objectkey",
    b"groupkey",
    b"rowkey",
    b"hashkey",
    b"indexkey",
    b"dedupekey",
    b"routingkey",
    b"keykey",
    b"issuekey",
    b"hotkey",
    b"websocketkey",
    b"monkey",
    b"turkey",
    b"s3key",
    b"bucketkey",
];
/// Whole names; too short to be endings. The second list counts in a query only.
const SHORT_PASSWORDS: &[&[u8]] = &[b"pw", b"pass", b"psk"];
/// Whole names of what was made at random, or of something else.
const RANDOM_NAMES: &[&[u8]] = &[b"auth", b"sid", b"session", b"salt"];
const PARAMETERS: &[&[u8]] = &[
    b"key",
    b"sig",
    b"signature",
    b"auth",
    b"code",
    b"xamzsignature",
    b"xgoogsignature",
    b"xamzsecuritytoken",
    b"session",
];

/// At `=` or `:`.
pub(super) fn find(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    let colon = byte(text, at) == b':';
    if colon && byte(text, at + 1) == b':' || before(text, at) == byte(text, at) {
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
        && starts_with_ignoring_case(text, name_end.saturating_sub(10), b"passphrase")
    {
        let line = run_end(text, value.start, 128, |b| !matches!(b, b'\n' | b'\r' | b'"' | b'\\' | b'<'));
        if is_passphrase(slice(text, value.start, line)) {
            return Some(Finding::outer(Entity::Password, value.start, line, at + 1));
        }
    }
    let found = slice(text, value.start, value.end);
    let compared = byte(text, at + 1) == b'=' && !colon && value.quotes == Quotes::None;
    if compared || !is_accepted(text, kind, &value, query) {
        return None;
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
        }
        Kind::Key(entity) => {
            is_key_of(entity, found)
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
                || ((is_short_key(value) || password::is_strong(value)) && !is_reference(value))
        }
        Kind::Random => is_key(value) && is_random(value.get(..HEAD).unwrap_or(value)),
    };
    accepted.then(|| kind.entity())
}

/// The entity of a JSON string that stands under a key which names a credential.
pub(in crate::redact) fn json_value(key: &str, text: &str) -> Option<Entity> {
    let bytes = text.as_bytes();
    let scheme = bytes.iter().take(8).position(|b| *b == b' ').is_some();
    let single = !bytes.iter().any(u8::is_ascii_whitespace);
    if key == super::COOKIE_VALUE {
        return Some(Entity::Cookie);
    }
    match kind(key.as_bytes(), true)? {
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
            (single && (is_key_of(entity, bytes) || (short && !is_reference(bytes)))).then_some(entity)
        }
        Kind::Random => {
            let random =
                is_key(bytes) && is_random(bytes.get(..HEAD).unwrap_or(bytes)) || is_short_key(bytes);
            (single && random).then_some(Entity::ApiKey)
        }
    }
}

/// Whether what stands under a JSON key may be a credential whatever it looks like.
pub(in crate::redact) fn names_value(key: &str) -> bool {
    !key.is_empty() && (kind(key.as_bytes(), true).is_some() || key == super::COOKIE_VALUE)
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

/// Whether a name may be on one of the lists, by its last two bytes: most names are not.
fn may_be_listed(name: &[u8]) -> bool {
    let [.., before, last] = name else { return false };
    let place = |b: u8| usize::from((b | 0x20).wrapping_sub(b'a'));
    match ENDINGS.get(place(*last)) {
        Some(befores) if before.is_ascii_alphabetic() => befores >> place(*before) & 1 == 1,
        Some(_) => !before.is_ascii_digit(),
        // Signs do not count.
        None => !last.is_ascii_digit(),
    }
}

/// For each last letter of a name: the letters that stand before it in one of the lists, a bit each.
static ENDINGS: [u32; 26] = {
    let mut table = with_ending([0; 26], RANDOM_KEYS);
    let mut row = 0;
    while let Some(name) = row_of(sibling::VALUES, row) {
        table = with_ending(table, name);
        row += 1;
    }
    row = 0;
    while let Some((name, _)) = row_of(KEYS, row) {
        table = with_ending(table, name);
        row += 1;
    }
    row = 0;
    while let Some(name) = row_of(PASSWORDS, row) {
        table = with_ending(table, name);
        row += 1;
    }
    row = 0;
    while let Some(name) = row_of(SHORT_PASSWORDS, row) {
        table = with_ending(table, name);
        row += 1;
    }
    row = 0;
    while let Some((name, _)) = row_of(LAST_WORDS, row) {
        table = with_ending(table, name);
        row += 1;
    }
    row = 0;
    while let Some(name) = row_of(RANDOM_NAMES, row) {
        table = with_ending(table, name);
        row += 1;
    }
    row = 0;
    while let Some(name) = row_of(PARAMETERS, row) {
        table = with_ending(table, name);
        row += 1;
    }
    table
};

#[expect(clippy::indexing_slicing, reason = "within the rows; `get` is not const")]
const fn row_of<T: Copy>(rows: &[T], at: usize) -> Option<T> {
    if at < rows.len() { Some(rows[at]) } else { None }
}

#[expect(clippy::indexing_slicing, reason = "the lists hold small letters, which building the table proves")]
const fn with_ending(mut table: [u32; 26], name: &[u8]) -> [u32; 26] {
    let [.., before, last] = name else { return table };
    table[(*last - b'a') as usize] |= 1 << (*before - b'a');
    table
}

/// From `=` or `:` back over blanks and quotes to the end of the name.
fn skip_back(text: &[u8], at: usize) -> usize {
    let blank = run_start(text, at, ALIGNED_MAX, is_space);
    run_start(text, blank, 4, |b| matches!(b, b'"' | b'\'' | b'`' | b'\\' | b']' | b'*'))
}

fn kind(name: &[u8], query: bool) -> Option<Kind> {
    let name = declared::unrepeated(name);
    if name.len() <= NAME_MAX && !may_be_listed(name) {
        return None;
    }
    let last = last_word(name);
    // `AWS::Macie::Session`.
    let path = name.contains(&b':');
    let mut letters = [0_u8; NAME_MAX];
    let mut length = 0;
    for b in name {
        let Some(to) = letters.get_mut(length) else { break };
        *to = b.to_ascii_lowercase();
        length += usize::from(is_alphanumeric(*b));
    }
    let name = letters.get(..length)?;
    if PASSWORDS.iter().any(|p| ends(name, p)) || SHORT_PASSWORDS.contains(&name) {
        return Some(Kind::Password);
    }
    if let Some((_, entity)) = KEYS.iter().find(|(ending, _)| ends(name, ending)) {
        return Some(Kind::Key(*entity));
    }
    let other = name.len() < 5 || OTHER_KEYS.iter().any(|other| ends(name, other));
    if (RANDOM_NAMES.contains(&name) && !path) || (name.ends_with(RANDOM_KEYS) && !other) {
        return Some(Kind::Random);
    }
    if let Some((word, kind)) = LAST_WORDS.iter().find(|(word, _)| last.eq_ignore_ascii_case(word))
        && let Some(first) = name.strip_suffix(*word)
        && !first.is_empty()
        && !(*word == b"pass" && PASSES.iter().any(|other| first.ends_with(other)))
    {
        return Some(*kind);
    }
    (query && PARAMETERS.contains(&name)).then_some(Kind::Key(Entity::ApiKey))
}

/// As `ends_with`, which is slower where most of a list ends otherwise.
fn ends(name: &[u8], ending: &[u8]) -> bool {
    let first = name.len().checked_sub(ending.len()).and_then(|at| name.get(at));
    name.last() == ending.last() && first == ending.first() && name.ends_with(ending)
}

/// The last word of a name: behind its last sign, or from its last capital behind a small letter.
fn last_word(name: &[u8]) -> &[u8] {
    let begins = |at: &usize| {
        let (last, here) = (before(name, *at), byte(name, *at));
        !last.is_ascii_alphanumeric() || (last.is_ascii_lowercase() && here.is_ascii_uppercase())
    };
    let from = (name.len().saturating_sub(8)..name.len()).rev().find(begins).unwrap_or(0);
    slice(name, from, name.len())
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
}

fn value(text: &[u8], at: usize, query: bool, kind: Kind) -> Option<Value> {
    let sign = run_end(text, at, 2, |b| matches!(b, b'=' | b':' | b'>'));
    let open = run_end(text, sign, 3, is_space);
    let open = declared::behind_marks(text, open);
    let quote_start = run_end(text, open, 4, |b| b == b'\\');
    let quote = byte(text, quote_start);
    let quoted = matches!(quote, b'"' | b'\'' | b'`');
    let mut start = if quoted { quote_start + 1 } else { open };
    for scheme in [b"Bearer ".as_slice(), b"Basic ", b"Token ", b"token "] {
        if slice(text, start, start + scheme.len()) == scheme {
            start += scheme.len();
        }
    }
    let most = if kind.is_password() { PASSWORD_MAX + 1 } else { VALUE_MAX };
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
    (start < end).then_some(Value { start, end, quotes, tight: open == sign, member })
}

/// What a person would choose, told apart from code, templates and prose.
fn is_password(value: &[u8], how: &Value) -> bool {
    if value.len() > PASSWORD_MAX || is_reference(value) || is_path(value) {
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
