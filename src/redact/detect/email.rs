//! EMAIL_ADDRESS: local part, `@`, a domain with a top-level name of letters.
//! Not what only looks like one: `git@host:path`, `pkg@1.2.3`, `logo@2x.png`, the user of a URL.

use super::bytes::{before, byte, is_space, run_end, run_start, slice};
use super::{Finding, Scan};
use crate::redact::entity::Entity;

const LOCAL_MAX: usize = 64;
const DOMAIN_MAX: usize = 253;
const FILES: &[&[u8]] =
    &[b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp", b"css", b"js", b"mjs", b"ts", b"json", b"html"];

pub(super) fn find(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    if !scan.on.has(Entity::EmailAddress)
        || !byte(text, at + 1).is_ascii_alphanumeric() && byte(text, at + 1) < 0x80
    {
        return None;
    }
    let start = local_start(text, at);
    let end = domain_end(text, at + 1)?;
    // What is longer than any name: a token before its host, `pypi-\u{2026}@host`.
    if at - start >= LOCAL_MAX && slice(text, start, at).iter().filter(|b| b.is_ascii_digit()).count() > 3 {
        return None;
    }
    if is_nobody(slice(text, start, at), slice(text, at + 1, end)) {
        return None;
    }
    if is_no_local(text, start, at, end) || is_scp(text, start, at, end) || is_in_url(text, start) {
        return None;
    }
    Some(Finding::whole(Entity::EmailAddress, start, end))
}

/// Letters with accents count; the bytes of other scripts do not, so that text written without blanks stays.
fn local_start(text: &[u8], at: usize) -> usize {
    let mut start = at;
    while at - start < LOCAL_MAX {
        let plain = run_start(text, start, LOCAL_MAX, |b| {
            b.is_ascii_alphanumeric()
                || matches!(b, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'' | b'~' | b'#' | b'!' | b'$' | b'*')
        });
        let accented = plain.checked_sub(2).is_some_and(|lead| matches!(byte(text, lead), 0xC3..=0xC9));
        start = plain;
        if !accented {
            break;
        }
        start -= 2;
    }
    start
        + slice(text, start, at)
            .iter()
            .take_while(|b| matches!(b, b'.' | b'\'' | b'-' | b'*' | b'#' | b'!' | b'~'))
            .count()
}

fn domain_end(text: &[u8], from: usize) -> Option<usize> {
    let mut end = run_end(text, from, DOMAIN_MAX, |b| {
        b.is_ascii_alphanumeric() || b >= 0x80 || matches!(b, b'.' | b'-')
    });
    while end > from && matches!(before(text, end), b'.' | b'-') {
        end -= 1;
    }
    let domain = slice(text, from, end);
    let top_start = domain.iter().rposition(|b| *b == b'.')?;
    let mut top = domain.get(top_start + 1..)?;
    // "jane@x.com。そして": a top-level name in letters of ASCII ends where they do.
    let ascii = top.iter().take_while(|b| b.is_ascii()).count();
    if ascii >= 2 {
        end -= top.len() - ascii;
        top = top.get(..ascii)?;
    }
    let named = top.len() >= 2
        && (top.iter().all(|b| b.is_ascii_alphabetic() || *b >= 0x80) || top.starts_with(b"xn--"));
    let labelled = domain.split(|b| *b == b'.').all(|label| !label.is_empty());
    let file = FILES.iter().any(|f| top.eq_ignore_ascii_case(f));
    (named && labelled && !file && byte(text, end) != b'(' && byte(text, end) != b'_').then_some(end)
}

/// `aes256-gcm@openssh.com`, the name of an algorithm with who made it; `git@github.com`, a program; `j***@e.com`, hidden.
fn is_nobody(local: &[u8], domain: &[u8]) -> bool {
    const MAKERS: &[&[u8]] = &[b"openssh.com", b"libssh.org", b"ssh.com", b"lysator.liu.se"];
    let hidden = local.len() > 2 && local.ends_with(b"**");
    let named = || {
        let letters = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
        let sign = |b: &u8| b.is_ascii_digit() || *b == b'-';
        local.iter().all(letters) && (local.iter().any(sign) || local == b"zlib")
    };
    hidden || matches!(local, b"git" | b"hg") || (MAKERS.contains(&domain) && named())
}

/// Signs alone, as before a decorator in a patch (`+@app.cached`), or one character at the start of a line that a
/// definition stands below.
fn is_no_local(text: &[u8], start: usize, at: usize, end: usize) -> bool {
    let named = |b: &u8| b.is_ascii_alphanumeric() || *b >= 0x80 || *b == b'_';
    if !slice(text, start, at).iter().any(named) {
        return true;
    }
    let alone = at - start == 1 && matches!(before(text, start), b'\n' | 0) && byte(text, end) == b'\n';
    let below = run_end(text, end + 1, 16, |b| is_space(b) || b == byte(text, start));
    alone
        && [b"def ".as_slice(), b"async def ", b"class "]
            .iter()
            .any(|word| text.get(below..).is_some_and(|rest| rest.starts_with(word)))
}

/// `git@host:path`: a user that is a program, then a path.
fn is_scp(text: &[u8], start: usize, at: usize, end: usize) -> bool {
    let user = slice(text, start, at);
    byte(text, end) == b':' && (user == b"git" || user == b"hg") && !byte(text, end + 1).is_ascii_whitespace()
}

/// Schemes whose user is an account of a machine's.
const ACCOUNTS: &[&[u8]] = &[
    b"ssh",
    b"git",
    b"sftp",
    b"ftp",
    b"ftps",
    b"svn",
    b"rsync",
    b"scp",
    b"postgres",
    b"postgresql",
    b"mysql",
    b"mariadb",
    b"mongodb",
    b"srv",
    b"redis",
    b"rediss",
    b"amqp",
    b"amqps",
    b"mssql",
    b"sqlserver",
    b"smb",
    b"ldap",
    b"ldaps",
    b"nats",
    b"kafka",
    b"http",
    b"https",
];

/// The local part belongs to the user or password of a URL, which is another detector's; one in a path or query does not,
/// and `note://jane@host` is an address behind a scheme of anything.
fn is_in_url(text: &[u8], start: usize) -> bool {
    // Most addresses stand in no URL: one look tells.
    memchr::memchr(b':', slice(text, start.saturating_sub(URL_MAX), start)).is_some() && is_user(text, start)
}

/// How far before a local part its URL may begin.
const URL_MAX: usize = 96;

fn is_user(text: &[u8], start: usize) -> bool {
    let from = run_start(text, start, URL_MAX, |b| {
        !b.is_ascii_whitespace() && !matches!(b, b'"' | b'<' | b'>' | b'?')
    });
    let head = slice(text, from, start);
    let Some(at) = head.windows(3).rposition(|w| w == b"://") else { return false };
    let user = head.get(at + 3..).unwrap_or_default();
    let scheme = head.get(run_start(head, at, 16, |b| b.is_ascii_alphabetic())..at).unwrap_or_default();
    let account = ACCOUNTS.iter().any(|known| scheme.eq_ignore_ascii_case(known));
    !user.contains(&b'/') && (account || !user.is_empty())
}
