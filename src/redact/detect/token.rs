//! Vendors' tokens. Those with `-` or `_` in their prefix are found there, the others at the first digit of the run of
//! characters that they are; what vendors write behind or within a token is looked for there, too.

use super::bytes::{
    Classes, before, byte, is_dotted, is_random, is_url_safe, is_word, run_end, run_start, slice,
    starts_apart,
};
use super::vendors::{self, Body, Vendor};
use super::words::is_slug;
use super::{Finding, Scan};
use crate::redact::entity::Entity;

/// Characters of a dotted body, and before its first dot: a body can begin inside another, or the work would be quadratic.
const DOTTED_MAX: usize = 256;
const DOTTED_HEAD: usize = 12;
/// Characters of a prefix before its first `-` or `_`.
const WORD_MAX: usize = 9;

/// At `-` or `_`: the word that it ends begins a prefix.
pub(super) fn at_sign(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let start = run_start(scan.text, at, WORD_MAX, is_dotted);
    if start == at { None } else { matched(scan.text, start) }
}

/// `AIza…` and `SG.…`, at their second letter.
pub(super) fn lettered(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    at.checked_sub(1).and_then(|start| matched(scan.text, start))
}

/// A token that begins at `start`.
pub(super) fn matched(text: &[u8], start: usize) -> Option<Finding> {
    let rest = text.get(start..)?;
    let second = rest.get(1);
    let begins = |v: &&Vendor| v.prefix.get(1) == second && rest.starts_with(v.prefix);
    let vendor = vendors::beginning(*rest.first()?).iter().find(begins)?;
    let glued = !starts_apart(text, start);
    if glued && before(text, start) != b'_' {
        return None;
    }
    let from = start + vendor.prefix.len();
    // A body can begin inside another behind the sign of a name: it is looked at whole when it is one.
    let most = if glued { DOTTED_MAX } else { usize::MAX };
    let end = body_end(text, from, vendor.body, most)?;
    let body = slice(text, from, end);
    // Our own prefix is short: what is made of words is the name of something.
    let words = || vendor.entity == Entity::TollgateKey && is_slug(&body.to_ascii_lowercase());
    if !fits(body, vendor) || body.len() < vendor.least || words() || (glued && !is_sure(body, vendor)) {
        return None;
    }
    let end = if glued { body_end(text, from, vendor.body, usize::MAX)? } else { end };
    Some(Finding::whole(vendor.entity, start, end))
}

/// Whether it is a token behind the `_` of a name, too (`fn_ghp_…`): its prefix is no word, and its body was made by a
/// machine.
fn is_sure(body: &[u8], vendor: &Vendor) -> bool {
    let classes = Classes::of(body.get(..DOTTED_MAX).unwrap_or(body));
    let made = classes.digit > 1 && classes.lower + classes.upper > 1 && classes.other * 12 <= body.len();
    made && vendor.entity != Entity::VendorToken
}

fn body_end(text: &[u8], from: usize, body: Body, most: usize) -> Option<usize> {
    if body == Body::Dotted
        && run_end(text, from, DOTTED_HEAD, |b| is_url_safe(b) || b == b'.') < from + DOTTED_HEAD
    {
        return None;
    }
    let most = if body == Body::Dotted { DOTTED_MAX } else { most };
    let mut end = run_end(text, from, most, |b| match body {
        Body::Random | Body::UrlSafe => is_url_safe(b),
        Body::Alphanumeric => is_word(b),
        Body::Dotted => is_url_safe(b) || matches!(b, b'.' | b'$'),
        Body::Hex => b.is_ascii_hexdigit() || matches!(b, b'-' | b'_'),
        Body::Base64 => is_url_safe(b) || matches!(b, b'+' | b'/' | b'.'),
    });
    while end > from && matches!(before(text, end), b'.' | b'/') {
        end -= 1;
    }
    if body == Body::Base64 {
        end = run_end(text, end, 2, |b| b == b'=');
        // A checksum behind the padding's sign.
        if before(text, end) == b'=' {
            end = run_end(text, end, 8, |b| b.is_ascii_hexdigit());
        }
    }
    Some(end)
}

fn fits(body: &[u8], vendor: &Vendor) -> bool {
    let classes = Classes::of(body.get(..DOTTED_MAX).unwrap_or(body));
    match vendor.body {
        Body::Random => {
            let mixed = classes.digit > 0 && classes.upper > 0 && classes.lower > 0;
            // An identifier is words with signs between; what a machine makes holds few signs.
            let whole = classes.digit > 1 && classes.other * 12 <= body.len() && !is_repeated(body);
            (mixed && (vendor.entity != Entity::VendorToken || is_random(body))) || whole
        }
        Body::UrlSafe => true,
        // An identifier such as `npm_config_registry_path_of_the_user` is all lower case.
        Body::Alphanumeric => classes.kinds() > 1 && (classes.digit + classes.upper) > 2,
        Body::Dotted => classes.upper + classes.digit > 2,
        Body::Hex => classes.digit > 2 && classes.lower + classes.upper > 2,
        Body::Base64 => classes.upper > 0 && classes.lower > 0,
    }
}

/// `xxxx…`, which stands for a token.
fn is_repeated(body: &[u8]) -> bool {
    body.windows(5).any(|five| five.iter().all(|b| Some(b) == five.first()))
}

/// TWILIO_KEY: `SK` or `AC` and 32 hexadecimal digits.
pub(super) fn twilio(scan: &Scan<'_>, start: usize, end: usize) -> Option<usize> {
    let word = slice(scan.text, start, end);
    if word.len() != 34 {
        return None;
    }
    let prefixed = word.starts_with(b"SK") || word.starts_with(b"AC");
    let hex = word.get(2..)?.iter().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
    (prefixed && hex).then_some(end)
}

/// TELEGRAM_TOKEN: the bot's number, a colon, 35 characters that begin with `AA`.
pub(super) fn telegram(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    if slice(text, at + 1, at + 3) != b"AA" {
        return None;
    }
    let start = run_start(text, at, 11, |b| b.is_ascii_digit());
    let end = run_end(text, at + 1, 40, is_url_safe);
    let free = starts_apart(text, start) || slice(text, start.saturating_sub(3), start) == b"bot";
    let shaped = (8..=10).contains(&(at - start)) && (33..=36).contains(&(end - at - 1)) && free;
    (shaped && !is_url_safe(byte(text, end))).then(|| Finding::whole(Entity::TelegramToken, start, end))
}

/// What stands within or behind a token, of a run that has no prefix.
pub(super) fn shaped(text: &[u8], start: usize, end: usize) -> Option<Finding> {
    let run = slice(text, start, end);
    let found = |from: usize, to: usize| Some(Finding::whole(Entity::VendorToken, start + from, start + to));
    let alphanumeric = |part: &[u8]| part.iter().all(u8::is_ascii_alphanumeric);
    let hex = |part: &[u8]| part.iter().all(u8::is_ascii_hexdigit);
    if run.len() < 26 {
        return None;
    }
    let mut places = [0_usize; 4];
    let mut count = 0;
    for (place, at) in places.iter_mut().zip(memchr::memchr_iter(b'.', run)) {
        *place = at;
        count += 1;
    }
    let dots = places.get(..count).unwrap_or_default();
    let part = |from: usize, to: usize| run.get(from..to).unwrap_or_default();
    match (run.len(), dots) {
        // Airtable, Vault before it had prefixes, Terraform, Harness, Discord: parts of fixed lengths between dots.
        (82, [17]) if run.starts_with(b"pat") && alphanumeric(part(0, 17)) && hex(part(18, 82)) => {
            found(0, 82)
        }
        (26, [1])
            if matches!(run.first(), Some(b's' | b'b' | b'r'))
                && alphanumeric(part(2, 26))
                && is_random(part(2, 26)) =>
        {
            found(0, 26)
        }
        (60.., [14, 22]) if part(15, 22) == b"atlasv1" => found(0, run.len()),
        (60.., [3, 26, 51]) if run.starts_with(b"pat") => found(0, run.len()),
        (57..=80, [first @ 23..=28, second])
            if *second == first + 7
                && matches!(run.first(), Some(b'M' | b'N' | b'O'))
                && is_random(part(second + 1, run.len())) =>
        {
            found(0, run.len())
        }
        // Azure client secrets, DevOps and other keys with a signature at a fixed place.
        (36..=44, _)
            if slice(run, 4, 6) == b"Q~" || slice(run, 3, 6) == b"8Q~" || slice(run, 3, 6) == b"7Q~" =>
        {
            found(0, run.len())
        }
        (84, []) if slice(run, 76, 80) == b"AZDO" || slice(run, 52, 56) == b"JQQJ" => found(0, 84),
        // New Relic, Mailchimp, MaxMind say so at the end.
        (40, []) if run.ends_with(b"NRAL") && hex(part(0, 36)) => found(0, 40),
        (36..=37, []) if hex(part(0, 32)) && slice(run, 32, 35) == b"-us" => found(0, run.len()),
        (40, []) if run.ends_with(b"_mmk") => found(0, 40),
        // Google's refresh tokens.
        (40.., _) if run.starts_with(b"1//0") && is_random(part(4, run.len())) => found(0, run.len()),
        _ => None,
    }
}
