//! What makes a word a password from outside of it: the call that takes it behind a name (`HTTPBasicAuth('svc', '…')`,
//! `auth=("admin", "…")`, `smtp.login("a@b.example", "…")`), and the question that it stands in ("Is … a strong password?").

use super::assignment::names_password;
use super::bytes::{before, byte, is_name, is_space, run_end, run_start, slice};
use super::lead::is_one_of;
use super::words::{is_numbered, is_slug};
use super::{Finding, password, sibling};
use crate::redact::entity::Entity;

/// Endings of what takes a name and a password, in small letters.
const CALLS: &[&[u8]] = &[
    b"creds",
    b"auth",
    b"login",
    b"signin",
    b"sign_in",
    b"log_in",
    b"authenticate",
    b"credential",
    b"credentials",
];
/// What takes them behind the place of a database.
const CONNECTS: &[&[u8]] = &[b"getconnection", b"pdo", b"mysqli", b"mysqli_connect", b"mysql_connect"];
const NAME_MAX: usize = 64;
/// Calls of which each is asked of what the one before gives.
const CHAIN_MAX: usize = 3;

fn is_quote(b: u8) -> bool {
    matches!(b, b'"' | b'\'' | b'`' | b'\\')
}

/// Whether the string at `from..to` is the second of two that such a call takes.
pub(super) fn is_argument(text: &[u8], from: usize, to: usize) -> bool {
    if before(text, from) == b'>' {
        return sibling::tagged(text, from).is_some_and(names_password);
    }
    if !is_quote(before(text, from)) || !is_quote(byte(text, to)) {
        return false;
    }
    let open = run_start(text, from, 4, is_quote);
    let open = if slice(text, open.saturating_sub(5), open) == b"Some(" { open - 5 } else { open };
    let comma = run_start(text, open, 3, is_space);
    let close = run_start(text, comma.saturating_sub(1), 2, is_space);
    let value = slice(text, from, to);
    if before(text, comma) == b'(' {
        let name = slice(text, comma.saturating_sub(6), comma);
        return (!is_slug(value) || is_numbered(value)) && name == b".auth(";
    }
    // A name of something: `page2.html`, `test_login_v2`.
    if before(text, comma) != b','
        || !is_quote(before(text, close))
        || is_slug(value) && !is_numbered(value)
        || value.contains(&b'/')
    {
        return false;
    }
    let end = run_start(text, close, 4, is_quote);
    let open = run_start(text, end, NAME_MAX, |b| !is_quote(b) && !b.is_ascii_whitespace() && b != b'(');
    let quoted = run_start(text, open, 4, is_quote);
    let bracket = run_start(text, quoted, 3, is_space);
    if open < end && before(text, bracket) == b',' {
        let first = run_start(text, bracket - 1, 2 * NAME_MAX, |b| !matches!(b, b'(' | b'\n' | b';'));
        let name = run_start(text, first.saturating_sub(1), NAME_MAX, is_name);
        let name = slice(text, name, first.saturating_sub(1));
        let name = name.rsplit(|b| *b == b'.').next().unwrap_or_default();
        return before(text, first) == b'(' && CONNECTS.iter().any(|call| name.eq_ignore_ascii_case(call));
    }
    if open == end || quoted == open || !matches!(before(text, bracket), b'(' | b'[') {
        return false;
    }
    let sign = run_start(text, bracket - 1, 4, |b| is_space(b) || is_quote(b) || matches!(b, b'=' | b':'));
    let name = slice(text, run_start(text, sign, NAME_MAX, is_name), sign);
    CALLS.iter().any(|call| {
        name.len() >= call.len()
            && slice(name, name.len() - call.len(), name.len()).eq_ignore_ascii_case(call)
    })
}

/// What is typed into the field that a word names: `('#password').fill('…')`, `"[name=password]").first().type("…")`. The
/// outer is None where nothing of that kind stands behind the word at `from`.
pub(super) fn typed(text: &[u8], from: usize) -> Option<Option<Finding>> {
    if !matches!(byte(text, from), b'"' | b'\'' | b'`' | b'\\' | b']' | b')' | b'-') {
        return None;
    }
    let end = run_end(text, from, NAME_MAX, |b| b.is_ascii_alphanumeric() || b == b'-');
    let mut close = run_end(text, end, 8, |b| is_quote(b) || matches!(b, b']' | b')'));
    for _ in 0..CHAIN_MAX {
        let name = run_end(text, close + 1, NAME_MAX, |b| b.is_ascii_alphanumeric() || b == b'_');
        if before(text, close) != b')'
            || byte(text, close) != b'.'
            || byte(text, name) != b'('
            || name == close + 1
        {
            return None;
        }
        if byte(text, name + 1) == b')' {
            close = name + 2;
            continue;
        }
        let start = run_end(text, name + 1, 2, is_quote);
        let stop = run_end(text, start, NAME_MAX, |b| b >= b' ' && b != before(text, start));
        let value = slice(text, start, stop);
        let made = start > name + 1 && byte(text, stop) == before(text, start) && password::is_made_up(value);
        return Some(made.then(|| Finding::outer(Entity::Password, start, stop, stop)));
    }
    None
}

/// Verbs that a question begins with, and how a password is judged in it.
const ASKS: &[&str] = &["is", "ist", "est", "was", "war", "que", "w\u{e4}re", "would", "be"];
const ARTICLES: &[&str] = &[
    "a", "an", "the", "my", "your", "ein", "eine", "mein", "kein", "un", "une", "le", "mon", "as", "als",
    "comme",
];
const VERBS: &[&str] =
    &["est", "serait", "fait", "is", "be", "really", "actually", "wirklich", "vraiment", "still", "noch"];
const NOUNS: &[&str] =
    &["password", "passwort", "kennwort", "passphrase", "passcode", "passe", "mdp", "pw", "pwd"];
/// Words behind the noun; another noun makes it one for something else: "a good password manager".
const GOES_ON: &[&str] =
    &["for", "to", "or", "then", "f\u{fc}r", "oder", "gut", "sicher", "pour", "ou", "and", "und", "et"];
/// Words between the article and the noun: "a really strong password", "un bon mot de passe".
const BETWEEN_MAX: usize = 4;
const AHEAD: usize = 64;

/// "Is … a strong password?", "Ist … ein gutes Passwort?", "Est-ce que … est un bon mot de passe ?"
pub(super) fn is_asked(text: &[u8], from: usize, to: usize) -> bool {
    let word = |b: u8| b.is_ascii_alphabetic() || b >= 0x80;
    let open = run_start(text, from, 3, |b| is_quote(b) || is_space(b));
    let verb = slice(text, run_start(text, open, 8, word), open);
    if open == from || !is_one_of(verb, ASKS) {
        return false;
    }
    let line = slice(text, to, text.len().min(to + AHEAD));
    let line = line.split(|b| matches!(b, b'\n' | b'.' | b'!' | b'?' | b',')).next().unwrap_or_default();
    let mut words = line.split(|b| is_space(*b) || is_quote(*b)).filter(|word| !word.is_empty()).peekable();
    if words.peek().is_some_and(|first| is_one_of(first, VERBS)) {
        words.next();
    }
    words.next().is_some_and(|article| is_one_of(article, ARTICLES))
        && words.by_ref().take(BETWEEN_MAX).any(|word| is_one_of(word, NOUNS))
        && words.next().is_none_or(|next| is_one_of(next, GOES_ON))
}

/// Where a value ends whose last sign is a question mark in the middle of a sentence: "use … as the password".
pub(super) fn past_question_mark(text: &[u8], to: usize) -> usize {
    let behind = run_end(text, to, 2, |b| b == b'?');
    let next = run_end(text, behind, 3, |b| is_space(b) || is_quote(b));
    if behind > to && next > behind && byte(text, next).is_ascii_lowercase() { behind } else { to }
}

/// `cn=admin,dc=acme / …`, as who binds to a directory is written.
pub(super) fn is_of_directory(text: &[u8], from: usize) -> bool {
    let slash = run_start(text, from, 2, is_space);
    let end = run_start(text, slash.saturating_sub(1), 2, is_space);
    let word = slice(text, run_start(text, end, AHEAD, |b| !b.is_ascii_whitespace()), end);
    before(text, slash) == b'/' && slash < from && word.windows(4).any(|w| w.eq_ignore_ascii_case(b",dc="))
}
