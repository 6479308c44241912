//! URL_PASSWORD: the password (or lone token) before the `@` of a URL. And webhooks, which are secrets whole.

use super::assignment::names_password;
use super::bytes::{Classes, byte, is_random, is_url_safe, run_end, run_start, slice};
use super::lead::is_one_of;
use super::reference::is_reference;
use super::{Finding, Scan};
use crate::redact::entity::Entity;

const AUTHORITY_MAX: usize = 512;
/// What stands where somebody's name would.
const USERS: &[&str] = &["user", "username", "login", "me", "benutzer", "utilisateur"];
const WEBHOOKS: &[(Entity, &[u8])] = &[
    (Entity::SlackWebhook, b"hooks.slack.com/services/"),
    (Entity::SlackWebhook, b"hooks.slack.com/workflows/"),
    (Entity::DiscordWebhook, b"discord.com/api/webhooks/"),
    (Entity::DiscordWebhook, b"discordapp.com/api/webhooks/"),
];

pub(super) fn find(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    if slice(text, at + 1, at + 3) != b"//" {
        return None;
    }
    webhook(text, at).or_else(|| user_info(text, at + 3))
}

fn webhook(text: &[u8], at: usize) -> Option<Finding> {
    let from = at + 3;
    let rest = text.get(from..)?;
    let (entity, prefix) = WEBHOOKS.iter().find(|(_, prefix)| rest.starts_with(prefix))?;
    let path = from + prefix.len();
    let end = run_end(text, path, 256, |b| is_url_safe(b) || b == b'/');
    let start = run_start(text, at, 8, |b| b.is_ascii_alphabetic());
    (end - path >= 16).then(|| Finding::whole(*entity, start, end))
}

/// Parts of a path behind which a token lets its holder in.
const ENTRIES: &[&[u8]] = &[
    b"reset",
    b"reset-password",
    b"reset_password",
    b"password-reset",
    b"passwordreset",
    b"magic",
    b"magic-link",
    b"recover",
    b"activate",
    b"activation",
    b"unlock",
    b"invite",
    b"invitation",
];
/// The same, behind which digests and numbers stand as well.
const CHECKS: &[&[u8]] =
    &[b"verify", b"verification", b"confirm", b"confirmation", b"token", b"signin", b"login"];

/// `…/reset/TOKEN`, of a run that has slashes.
pub(super) fn entry(text: &[u8], start: usize, end: usize) -> Option<Finding> {
    let run = slice(text, start, end);
    let cut = memchr::memrchr(b'/', run)?;
    let head = run.get(..cut)?;
    let part = memchr::memrchr(b'/', head).map_or(head, |at| slice(head, at + 1, cut));
    let token = run.get(cut + 1..)?;
    let is = |of: &[&[u8]]| of.iter().any(|one| part.eq_ignore_ascii_case(one));
    let classes = Classes::of(token);
    let mixed = classes.lower > 1 && classes.upper > 1 && classes.digit > 0;
    let asks = is(ENTRIES) || (mixed && is(CHECKS));
    let fits = (20..=256).contains(&token.len()) && token.iter().all(|b| is_url_safe(*b)) && asks;
    (fits && is_random(token) && !is_title(token))
        .then(|| Finding::whole(Entity::ApiKey, start + cut + 1, end))
}

/// `team-platform-2026-q4`: short words of small letters and numbers.
fn is_title(token: &[u8]) -> bool {
    let mut parts = 0;
    let short = token.split(|b| matches!(b, b'-' | b'_')).all(|part| {
        parts += 1;
        part.len() < 14 && !part.iter().any(u8::is_ascii_uppercase)
    });
    short && parts > 2
}

/// Up to the last `@` before the host ends; a password may hold `/`, `#` or `@` that should have been escaped.
fn user_info(text: &[u8], from: usize) -> Option<Finding> {
    let stops = |b: u8| {
        b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'<' | b'>' | b'`' | b'\\' | b'/' | b'?')
    };
    let end = run_end(text, from, AUTHORITY_MAX, |b| !stops(b));
    let at = from
        + slice(text, from, end).iter().rposition(|b| *b == b'@').or_else(|| unescaped(text, from, end))?;
    let colon = slice(text, from, at).iter().position(|b| *b == b':');
    let start = colon.map_or(from, |n| from + n + 1);
    let secret = slice(text, start, at);
    // The key of a project, as Sentry has them.
    let hex = secret.len() == 32 && secret.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    // Behind `;` the members of a connection stand, each with its name: what is before them may be a token all the same.
    let head = secret.split(|b| *b == b';').next().unwrap_or_default();
    let token = Classes::of(head);
    let long = head.len() >= 20 && token.digit > 0 && token.kinds() > 2;
    let random = colon.is_some() || hex || long;
    // `$password` of a shell.
    let variable = secret
        .strip_prefix(b"$")
        .is_some_and(|name| name.len() > 2 && name.iter().all(|b| b.is_ascii_lowercase() || *b == b'_'));
    // `user:password@localhost`: the words for what stands there. Behind anybody's name the word is a password.
    let user = slice(text, from, start.saturating_sub(1));
    let word = secret.iter().all(u8::is_ascii_lowercase) && names_password(secret) && is_one_of(user, USERS);
    let real = !secret.is_empty() && random && !variable && !word && !is_reference(secret);
    // A vendor's token may stand here: let the scan look inside, with a bound that it has seen already.
    real.then(|| Finding::outer(Entity::UrlPassword, start, at, start))
}

/// `user:pa/ss@host`: an `@` behind a slash counts when a colon that is no port stands before the slash.
fn unescaped(text: &[u8], from: usize, end: usize) -> Option<usize> {
    let head = slice(text, from, end);
    let colon = head.iter().position(|b| *b == b':')?;
    let port = head.get(colon + 1..)?.iter().all(u8::is_ascii_digit);
    let stop = run_end(text, end, 64, |b| {
        !b.is_ascii_whitespace() && !matches!(b, b'"' | b'\'' | b'<' | b'>' | b'\\' | b',')
    });
    let at = slice(text, end, stop).iter().position(|b| *b == b'@')?;
    (!port && byte(text, end) == b'/').then_some(end - from + at)
}
