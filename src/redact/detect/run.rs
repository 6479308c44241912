//! What a run of characters is, seen at its first digit: a vendor's token that has no `-` or `_` in its prefix, the AWS
//! secret beside an access key, or a random string that the sentence, name or call before it makes a credential.

use super::bytes::{
    Classes, before, byte, is_base64, is_random, is_run, is_run_of_no_digits, is_space, run_end, run_start,
    slice, starts_apart,
};
use super::reference::{is_reference, is_variable};
use super::words::is_scraps;
use super::{Finding, Scan, assignment, behind, lead, password, place, sibling, token, url};
use crate::redact::entity::Entity;

/// A shorter run holds no token.
const RUN_MIN: usize = 16;
/// Characters before the first digit of a run.
const HEAD_MAX: usize = 64;
const RUN_MAX: usize = 512;
/// How far words are looked at before a value.
const BEFORE: usize = 64;
/// Words between what names a credential and the credential.
const WORDS_MAX: usize = 6;
/// A longer word is a value.
const WORD_MAX: usize = 28;
const SECRET_LEN: usize = 40;
const BESIDE: usize = 160;

/// Words that name a credential.
const NOUNS: &[&str] = &[
    "key",
    "keys",
    "token",
    "tokens",
    "secret",
    "secrets",
    "credential",
    "credentials",
    "creds",
    "apikey",
    "schl\u{fc}ssel",
    "geheimnis",
    "geheime",
    "geheimer",
    "jeton",
    "cl\u{e9}",
    "cle",
    "cl\u{e9}s",
    "bearer",
    "pat",
    "zugangstoken",
    "zugangsschl\u{fc}ssel",
    "zugriffstoken",
    "zugriffsschl\u{fc}ssel",
    "secr\u{e8}te",
    "secret_key",
    "api_key",
];
/// Words that join it with its value.
const LINKS: &[&str] = &[
    "is",
    "ist",
    "lautet",
    "est",
    "are",
    "was",
    "war",
    "to",
    "auf",
    "with",
    "mit",
    "avec",
    "this",
    "here",
    "hier",
    "voici",
    "d'acc\u{e8}s",
    "value",
];

/// Words for what was made of something else and tells nothing of it.
const DIGESTS: &[&str] = &[
    "sha1",
    "sha256",
    "sha384",
    "sha512",
    "sha-256",
    "sha-512",
    "md5",
    "digest",
    "checksum",
    "commit",
    "hash",
    "etag",
    "fingerprint",
    "integrity",
    "pr\u{fc}fsumme",
    "empreinte",
];

/// At a digit.
pub(super) fn find(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    let start = run_start(text, at, HEAD_MAX, is_run_of_no_digits);
    let last = before(text, start);
    // Only the first digit of a run is looked at, and a run that is too long before it is none.
    if last.is_ascii_digit() && start < at
        || is_run(last) && !starts_apart(text, start) && at - start == HEAD_MAX
    {
        return None;
    }
    if last.is_ascii_digit() {
        return None;
    }
    let mut end = run_end(text, at, RUN_MAX, is_run);
    while end > at && matches!(before(text, end), b'.' | b'-' | b'/') {
        end -= 1;
    }
    if end - start < RUN_MIN {
        return told(scan, start, end);
    }
    if let Some(found) = token::matched(text, start).or_else(|| token::shaped(text, start, end)) {
        return Some(found);
    }
    // A path before a token is of the same run.
    if let Some(cut) = memchr::memrchr(b'/', slice(text, start, at))
        && let Some(found) = token::matched(text, start + cut + 1)
    {
        return Some(found);
    }
    secret(text, start, end)
        .or_else(|| url::entry(text, start, end))
        .or_else(|| named(scan, start, end))
        .or_else(|| told(scan, start, end))
}

/// Forty characters of base64 within a few lines behind an access key (or a placeholder of one).
fn secret(text: &[u8], start: usize, end: usize) -> Option<Finding> {
    let run = slice(text, start, end);
    if run.len() != SECRET_LEN {
        return None;
    }
    let classes = Classes::of(run);
    let shaped = run.iter().all(|b| is_base64(*b))
        && classes.lower > 0
        && classes.upper > 0
        && byte(text, end) != b'=';
    let beside = slice(text, start.saturating_sub(BESIDE), start);
    let access = |w: &[u8]| w == b"AKIA" || w == b"ASIA" || w == b"_ACC";
    (shaped && beside.windows(4).any(access)).then(|| Finding::whole(Entity::AwsSecretKey, start, end))
}

/// A random string behind its name: `the secret key is …`, `--api-key …`, `setApiKey("…")`, `"ApiKey" value="…"`.
fn named(scan: &Scan<'_>, start: usize, end: usize) -> Option<Finding> {
    let text = scan.text;
    // `derive_poly1305_key(…`.
    if byte(text, end) == b'(' && is_snake(slice(text, start, end)) {
        return None;
    }
    let padded = run_end(text, end, 2, |b| b == b'=');
    let run = slice(text, start, end);
    let body = run.get(..128).unwrap_or(run);
    let dotted = body.contains(&b'.') || body.contains(&b'$');
    let path = body.iter().filter(|b| **b == b'/').count() > 3 + body.len() / 16;
    let classes = Classes::of(body);
    let mixed = classes.lower > 1 && classes.upper > 1;
    // A public key, and a digest that says which it is.
    let public = run.starts_with(b"AAAA") || run.starts_with(b"sha");
    // What looks like it less often needs the word right before it.
    let random = is_random(body);
    if dotted || path || public || !(random || is_scraps(body)) {
        return None;
    }
    let called =
        || random && run.len() >= 20 && behind::may_be_key(text, padded) && behind::is_key(text, padded);
    let tagged = if before(text, start) == b'>' { sibling::tagged(text, start) } else { None };
    let entity = tagged
        .and_then(assignment::names_key)
        .or_else(|| naming(text, (start, padded), random && mixed && run.len() >= 20))
        .or_else(|| called().then_some(Entity::ApiKey))?;
    Some(Finding::outer(entity, start, padded, if run.len() > 128 { padded } else { start }))
}

/// A name of small letters and digits with `_` between.
fn is_snake(run: &[u8]) -> bool {
    run.contains(&b'_') && run.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_')
}

/// Whether signs end what stands before them, behind one more word or not: the sentence, the member or the statement before
/// is about something else.
fn is_end(signs: &[u8], is_further: bool, certain: bool) -> bool {
    is_further && signs.contains(&b'>')
        || signs.iter().any(|b| matches!(b, b'!' | b'?' | b'}' | b'{' | b'&'))
        || signs.windows(2).any(|w| w == b". " || w == b"; " || w == b", " && is_further && !certain)
}

/// What the words before a value say that it is. `certain`: the value alone says that it is a credential, so a word in
/// the same sentence is enough; else the word, and what joins it with the value, stand right before it.
fn naming(text: &[u8], (start, stop): (usize, usize), certain: bool) -> Option<Entity> {
    let from = start.saturating_sub(BEFORE);
    let line = slice(text, from, start);
    let line = match line.iter().rposition(|b| matches!(b, b'\n' | b'\r')) {
        None => line,
        Some(at) => label_above(line, at)
            .filter(|_| matches!(byte(text, stop), b'\r' | b'\n' | 0 | b'"' | b'\'' | b'`' | b'*'))
            .unwrap_or_else(|| line.get(at + 1..).unwrap_or_default()),
    };
    let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'\'') || b >= 0x80;
    let mut end = line.len();
    for back in 0..WORDS_MAX {
        let gap = run_start(line, end, BEFORE, |b| !word(b));
        let between = slice(line, gap, end);
        if is_end(between, back > 0, certain) {
            return None;
        }
        let begin = run_start(line, gap, 48, word);
        let found = slice(line, begin, gap);
        // Another value stands there.
        let value = found.len() > 15 && is_random(found);
        if found.is_empty() || found.len() > WORD_MAX || value {
            return None;
        }
        let found = found.strip_prefix(b"--").unwrap_or(found);
        // A digest says what it is; a variable's name and a stand-in name nothing behind them.
        if lead::is_one_of(found, DIGESTS)
            || found.len() > 3 && is_reference(found)
            || is_variable(line, begin, gap)
        {
            return None;
        }
        if back < 2
            && let Some(entity) = assignment::names_key(found)
        {
            return Some(entity);
        }
        let session = found.eq_ignore_ascii_case(b"id") && {
            let blank = run_start(line, begin, 1, |b| matches!(b, b' ' | b'-'));
            blank < begin && ends_with(slice(line, blank.saturating_sub(7), blank), b"session")
        };
        if session && back < 2 {
            return Some(Entity::ApiKey);
        }
        let blank = run_start(line, begin, 1, is_space);
        let of = slice(line, run_start(line, blank, 24, word), blank);
        if blank < begin && ends_with(found, b"key") && lead::is_one_of(of, behind::OTHERS) {
            return None;
        }
        if NOUNS.iter().any(|w| ends_with(found, w.as_bytes()) && (w.len() > 4 || found.len() == w.len())) {
            return Some(Entity::ApiKey);
        }
        // The value alone says little: what joins it with the word stands right before it.
        let joins = between.iter().any(|b| matches!(b, b':' | b'='))
            || found.starts_with(b"d'")
            || LINKS.iter().any(|w| found.eq_ignore_ascii_case(w.as_bytes()));
        if !certain && back == 0 && !joins {
            return None;
        }
        end = begin;
    }
    None
}

/// The line before a value that begins one, if a colon at its end says that the value is below.
fn label_above(head: &[u8], feed: usize) -> Option<&[u8]> {
    let indents = |b: &u8| is_space(*b) || matches!(b, b'>' | b'*' | b'-' | b'"' | b'\'' | b'`');
    let above = slice(head, 0, feed);
    let above = slice(above, 0, run_start(above, feed, 4, |b| matches!(b, b'\r' | b'\n' | b' ')));
    if above.last() != Some(&b':') || !slice(head, feed + 1, head.len()).iter().all(indents) {
        return None;
    }
    above.rsplit(|b| matches!(b, b'\r' | b'\n')).next()
}

fn ends_with(word: &[u8], ending: &[u8]) -> bool {
    let last = |word: &[u8]| word.last().map(|b| b | 0x20);
    last(word) == last(ending)
        && word
            .len()
            .checked_sub(ending.len())
            .is_some_and(|at| slice(word, at, word.len()).eq_ignore_ascii_case(ending))
}

/// A password that is named behind it, or before it without a verb.
fn told(scan: &Scan<'_>, start: usize, end: usize) -> Option<Finding> {
    // A number, an amount, a date: what no letter stands in is looked at no further.
    let mut letters = slice(scan.text, start, end).iter().filter(|b| b.is_ascii_alphabetic());
    if letters.nth(1).is_some() {
        password::around(scan, start, end).or_else(|| place::find(scan.text, start))
    } else {
        password::behind_sign(scan, start, end)
    }
}
