//! PASSWORD where a program or a device is told one: `redis-cli --pass …`, `keytool -storepass …`, `http --auth user:…`,
//! `smbclient -U user%…`, `sudo -S <<< …`, `wpa_passphrase NAME …`, `USER eva` and `PASS …`, an `expect` and its `send`, and what
//! a router's configuration calls a secret.

use super::bytes::{Classes, before, byte, is_name, is_space, run_end, slice};
use super::command::{argument, login};
use super::password::is_made_up;
use super::{Finding, password};
use crate::redact::entity::Entity;

/// A longer option is none of these.
const OPTION_MAX: usize = 24;
/// How far a line goes on behind an option.
const AHEAD: usize = 96;
/// How far a user's line stands before that of the password, and in how many lines.
const LOGIN_MAX: usize = 160;
const LINES_MAX: usize = 4;

fn is_quote(b: u8) -> bool {
    matches!(b, b'"' | b'\'' | b'`' | b'\\')
}

/// At the dash before the name of a long option: `--pass …`, `-storepass …`, `--auth user:…`.
#[inline(always)]
pub(super) fn long(text: &[u8], at: usize) -> Option<Finding> {
    let begins = byte(text, at + 4).is_ascii_lowercase() && byte(text, at + 1).is_ascii_lowercase();
    if !begins || before(text, at) != b'-' && !is_space(before(text, at)) {
        return None;
    }
    named_option(text, at)
}

#[cold]
fn named_option(text: &[u8], at: usize) -> Option<Finding> {
    let end = run_end(text, at + 1, OPTION_MAX, |b| b.is_ascii_alphabetic() || b == b'-');
    let name = slice(text, at + 1, end);
    let sign = byte(text, end);
    if name == b"auth" && before(text, at) == b'-' && (sign == b'=' || is_space(sign)) {
        return login(text, end + 1);
    }
    if !name.ends_with(b"pass") || !is_space(sign) {
        return None;
    }
    argument(text, run_end(text, end, 2, is_space), Entity::Password)
        .filter(|found| is_made_up(slice(text, found.start, found.end)))
}

/// `user%password`, `'DOMAIN/user%password'`, from `at` on. `user%20name` is a name.
#[cold]
pub(super) fn percent(text: &[u8], at: usize) -> Option<Finding> {
    let from = run_end(text, at, 4, |b| is_space(b) || is_quote(b));
    let name = |b: u8| is_name(b) || matches!(b, b'.' | b'@' | b'/' | b'\\' | b'-');
    let sign = run_end(text, from, 64, name);
    if sign == from || byte(text, sign) != b'%' {
        return None;
    }
    let found = argument(text, sign + 1, Entity::Password)?;
    let value = slice(text, found.start, found.end);
    let escaped = value.get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
        && value.get(2).is_none_or(u8::is_ascii_alphabetic)
        && value.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'%');
    (!escaped && is_made_up(value)).then_some(found)
}

/// `mysql -u root -p … database`: behind `-p ` a database stands, unless one more word does, or what no database is called.
#[cold]
pub(super) fn is_before_database(text: &[u8], at: usize) -> bool {
    let from = run_end(text, at, 2, is_space);
    let end = run_end(text, from, 64, |b| !b.is_ascii_whitespace());
    let next = run_end(text, end, 2, is_space);
    let value = slice(text, from, end);
    let classes = Classes::of(value);
    let told = classes.digit > 1 && (classes.upper > 0 || classes.digit > 2 || password::is_strong(value));
    let follows = next > end && byte(text, next).is_ascii_alphabetic() || end == text.len();
    follows && told && is_made_up(value)
}

/// `sudo -S … <<< '…'`, at the dash.
#[cold]
pub(super) fn fed(text: &[u8], at: usize) -> Option<Finding> {
    let line = slice(text, at, text.len().min(at + AHEAD));
    let line = line.split(|b| matches!(b, b'\n' | b'|')).next().unwrap_or_default();
    let sign = line.windows(3).position(|three| three == b"<<<")?;
    let from = run_end(text, at + sign + 3, 2, is_space);
    argument(text, from, Entity::Password).map(|found| Finding { resume: at + 1, ..found })
}

/// `wpa_passphrase NAME …`, at the noun.
#[cold]
pub(super) fn network(text: &[u8], at: usize, from: usize) -> Option<Finding> {
    if slice(text, at.saturating_sub(4), at) != b"wpa_" {
        return None;
    }
    let open = run_end(text, from, 2, is_space);
    let quote = byte(text, open);
    let end = if matches!(quote, b'"' | b'\'') {
        run_end(text, open + 1, 32, |b| b != quote && b != b'\n') + 1
    } else {
        run_end(text, open, 32, |b| !b.is_ascii_whitespace())
    };
    let next = run_end(text, end, 2, is_space);
    argument(text, next, Entity::Password)
        .filter(|found| next > end && is_made_up(slice(text, found.start, found.end)))
}

/// What a server or a network is given behind the word for a password at `at..from`.
pub(super) fn given(text: &[u8], at: usize, from: usize) -> Option<Finding> {
    let is_pass = slice(text, at, from).eq_ignore_ascii_case(b"pass");
    let login = if is_pass { login_pass(text, at, from) } else { None };
    login.or_else(|| if before(text, at) == b'_' { network(text, at, from) } else { None })
}

/// At `pass`, not of a sentence: `user eva pass …` in one line, or `USER eva` in a line before.
#[cold]
fn login_pass(text: &[u8], at: usize, from: usize) -> Option<Finding> {
    if !is_space(byte(text, from)) {
        return None;
    }
    let head = slice(text, at.saturating_sub(LOGIN_MAX), at);
    let mut lines = head.rsplit(|b| *b == b'\n');
    let own = lines.next().unwrap_or_default();
    let found = argument(text, run_end(text, from, 2, is_space), Entity::Password)?;
    let value = slice(text, found.start, found.end);
    let mut words = own.rsplit(|b| is_space(*b)).filter(|word| !word.is_empty());
    let user = |word: &[u8]| word.eq_ignore_ascii_case(b"user") || word.eq_ignore_ascii_case(b"login");
    if words.next().is_some() && words.next().is_some_and(user) {
        return is_made_up(value).then_some(found);
    }
    // `> `, `C: `, `---> `: whose line it is.
    let marked = |line: &[u8]| line.iter().all(|b| b"->:*[] \tCS".contains(b));
    let ends = matches!(byte(text, found.end), b'\r' | b'\n' | 0 | b'"' | b'\\');
    // Behind whatever a log puts before it: the word, and the name that ends the line.
    let names = |line: &[u8]| {
        let mut words =
            line.rsplit(|b| b.is_ascii_whitespace() || *b == b'>').filter(|word| !word.is_empty());
        words.next().is_some() && words.next() == Some(b"USER".as_slice())
    };
    (marked(own) && ends && lines.take(LINES_MAX).any(names)).then_some(found)
}

/// `expect "password:" { send "…\r" }`, behind the noun: what is sent when it is asked for.
#[cold]
pub(super) fn sent(text: &[u8], from: usize) -> Option<Finding> {
    let quoted = run_end(text, from, 4, |b| matches!(b, b':' | b'*' | b'?') || is_space(b));
    let closed = run_end(text, quoted, 3, is_quote);
    if closed == quoted {
        return None;
    }
    let word = run_end(text, closed, 16, |b| {
        b.is_ascii_whitespace() || matches!(b, b'{' | b'}' | b')' | b';' | b',')
    });
    let end = run_end(text, word, 32, |b| is_name(b) || b == b'.');
    let verb = slice(text, word, end).rsplit(|b| *b == b'.').next();
    if !matches!(verb, Some(b"send" | b"sendline" | b"exp_send")) {
        return None;
    }
    let open = run_end(text, end, 6, |b| is_space(b) || matches!(b, b'(' | b'-'));
    if is_quote(byte(text, open)) { argument(text, open, Entity::Password) } else { None }
}

/// Whether a line in small letters, up to a value, is one of a device's configuration that sets a secret: `enable secret 5`,
/// `username admin privilege 15 secret`, `snmp-server community`.
#[cold]
pub(super) fn is_configured(line: &[u8]) -> bool {
    let mut words = line.rsplit(|b| is_space(*b)).filter(|word| !word.is_empty()).peekable();
    // How it is written: 0 as it is, others as a digest.
    if words.peek().is_some_and(|word| matches!(word, [b'0' | b'4'..=b'9'])) {
        words.next();
    }
    let what = words.next().unwrap_or_default();
    let first = words.next().unwrap_or_default();
    match what {
        b"requirepass" | b"masterauth" => true,
        b"community" => first == b"snmp-server",
        b"secret" | b"password" => first == b"enable" || words.take(3).any(|word| word == b"username"),
        _ => false,
    }
}

/// Where a value stands behind how it is written: `password 0 …`, `password 7 …`.
pub(super) fn past_kind(text: &[u8], start: usize) -> usize {
    let kind = matches!(byte(text, start), b'0' | b'4'..=b'9') && byte(text, start + 1) == b' ';
    if kind { start + 2 } else { start }
}
