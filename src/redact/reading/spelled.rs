//! Addresses that are spelled in words: `jane at kestrel dot io`, `ueli punkt moser@uni-graz punkt ac punkt at`.
//! The words are everyday ones: a top-level name that is known stands at the end, and where nothing but the two words says
//! that it is an address (`look at kestrel dot io`), a word of mail stands near.

use std::sync::LazyLock;

use aho_corasick::packed::Searcher;

use super::super::bytes::{before, byte, holds_word, is_alphanumeric, is_word, run_end, run_start, slice};
use super::{Reading, Writer};

/// A shorter text holds none.
const SHORTEST: usize = 12;
/// So many labels are read on either side.
const LABELS_MAX: usize = 5;
const LABEL_MAX: usize = 63;

/// What a point is called, between blanks: all small, all capitals, as a noun.
const DOTS: [&str; 8] = [" dot ", " DOT ", " Dot ", " punkt ", " PUNKT ", " Punkt ", " point ", " POINT "];
/// And the sign before the domain.
const ATS: &[&str] = &["at", "\u{e4}t", "arobase", "arobas"];

const TOPS: &[&str] = &[
    "com", "org", "net", "io", "de", "at", "ch", "fr", "uk", "eu", "us", "info", "biz", "dev", "app", "ai",
    "co", "edu", "gov", "tv", "nl", "es", "pt", "pl", "cz", "se", "dk", "fi", "ie", "li", "lu", "hu", "ro",
    "gr", "au", "nz", "ca", "br", "jp", "xyz", "online", "shop", "cloud", "tech", "email", "name", "pro",
    "example", "test", "gmbh", "wien", "berlin", "swiss", "me", "it", "be", "in", "no", "is", "to",
];
/// Top-level names that are words, too.
const WORDS: &[&str] =
    &["me", "it", "be", "in", "no", "is", "to", "at", "us", "pro", "name", "test", "de", "co"];
/// Who stands before "at" in a sentence is often nobody.
const NOBODY: &[&str] = &[
    "me",
    "us",
    "them",
    "him",
    "her",
    "you",
    "it",
    "i",
    "we",
    "is",
    "are",
    "was",
    "were",
    "be",
    "been",
    "look",
    "looks",
    "looking",
    "looked",
    "here",
    "there",
    "available",
    "live",
    "page",
    "site",
    "website",
    "docs",
    "blog",
    "found",
    "hosted",
    "work",
    "works",
    "working",
    "meet",
    "online",
    "and",
    "or",
    "not",
    "only",
    "seite",
    "ist",
    "sind",
    "work",
    "point",
    "dot",
    "one",
    "hello",
];
/// Words of mail.
const MAIL: &[&str] = &[
    "mail",
    "e-mail",
    "email",
    "mails",
    "courriel",
    "m\u{e9}l",
    "write",
    "contact",
    "reach",
    "address",
    "adresse",
    "schreib",
    "kontakt",
    "send",
    "cc",
    "sende",
    "\u{e9}crivez",
    "contacter",
    "inbox",
    "invite",
    "reply",
];

static SEARCHER: LazyLock<Option<Searcher>> = LazyLock::new(|| Searcher::new(DOTS));

/// Places that read as one character: where, as what, and how many bytes do.
type Marks = Vec<(usize, char, usize)>;

impl Reading {
    /// With addresses that are spelled in words written as addresses. None if there are none.
    pub(in crate::redact) fn spelled(source: &str) -> Option<Self> {
        let bytes = source.as_bytes();
        let mut from = 0;
        let mut writer: Option<Writer<'_>> = None;
        while let Some(dot) = next_dot(bytes, from) {
            from = dot + 1;
            let Some(marks) = address(bytes, dot) else { continue };
            for (at, value, length) in marks {
                let writer = writer.get_or_insert_with(|| Writer::new(bytes, at));
                if at < writer.until {
                    continue;
                }
                writer.keep(writer.until..at);
                writer.read(at, value, length);
                writer.until = at + length;
                from = from.max(at + length - 1);
            }
        }
        let mut writer = writer?;
        writer.keep(writer.until..bytes.len());
        writer.finish()
    }
}

/// Whether a word for a point may stand in a text, or in a longer one that comes of it.
pub(in crate::redact) fn holds_point(text: &[u8]) -> bool {
    text.len() < SHORTEST || next_dot(text, 0).is_some()
}

/// The blank before the next word for a point.
fn next_dot(text: &[u8], from: usize) -> Option<usize> {
    let rest = text.get(from..).filter(|rest| rest.len() >= SHORTEST)?;
    let found = match &*SEARCHER {
        Some(searcher) => searcher.find(rest).map(|found| found.start()),
        None => (0..rest.len())
            .find(|at| DOTS.iter().any(|dot| slice(rest, *at, rest.len()).starts_with(dot.as_bytes()))),
    };
    found.map(|at| from + at)
}

fn dot_len(text: &[u8], at: usize) -> Option<usize> {
    DOTS.iter().find(|dot| slice(text, at, text.len()).starts_with(dot.as_bytes())).map(|dot| dot.len())
}

/// The word for a point that ends at `end`, with its blanks: where it begins.
fn dot_before(text: &[u8], end: usize) -> Option<usize> {
    DOTS.iter().find(|dot| slice(text, 0, end).ends_with(dot.as_bytes())).map(|dot| end - dot.len())
}

fn label_start(text: &[u8], end: usize) -> usize {
    run_start(text, end, LABEL_MAX, |b| is_word(b) || matches!(b, b'-' | b'+' | b'.'))
}

fn label_end(text: &[u8], at: usize) -> usize {
    run_end(text, at, LABEL_MAX, |b| is_alphanumeric(b) || b == b'-')
}

/// The marks of the address whose domain's first point is spelled at `dot`.
fn address(text: &[u8], dot: usize) -> Option<Marks> {
    let host = label_start(text, dot);
    let (sign, plain) = at_before(text, host)?;
    let mut marks = vec![(sign, '@', host - sign)];
    // Back over the local part, whose points may be spelled too.
    let mut start = label_start(text, sign);
    let local = slice(text, start, sign);
    let mut pointed = false;
    while marks.len() < LABELS_MAX
        && let Some(point) = dot_before(text, start)
        && label_start(text, point) < point
    {
        marks.insert(0, (point, '.', start - point));
        start = label_start(text, point);
        pointed = true;
    }
    let (top, dots) = domain(text, dot, &mut marks)?;
    let is_of = |word: &[u8], of: &[&str]| of.iter().any(|one| word.eq_ignore_ascii_case(one.as_bytes()));
    let french = matches!(byte(text, dot + 2), b'o' | b'O') && byte(text, dot + 1) | 0x20 == b'p';
    if local.is_empty() || host == dot || !is_of(top, TOPS) || (plain && french) {
        return None;
    }
    let capitals = slice(text, sign, host) == b" AT " && byte(text, dot + 1).is_ascii_uppercase();
    let odd = local.iter().any(|b| !b.is_ascii_alphabetic()) || pointed || dots > 1;
    let near = || holds_word(slice(text, start.saturating_sub(40), start), MAIL);
    let told =
        !is_of(local, NOBODY) && (odd || near() && !is_of(top, WORDS) || near() && is_of(top, &["de", "at"]));
    (!plain || capitals || told).then_some(marks)
}

/// The sign before the domain that begins at `host`, with its blanks: where it begins, and whether it is an everyday word.
fn at_before(text: &[u8], host: usize) -> Option<(usize, bool)> {
    if before(text, host) == b'@' {
        return Some((host - 1, false));
    }
    let end = host.checked_sub(1).filter(|end| byte(text, *end) == b' ')?;
    let begin = run_start(text, end, 12, |b| is_alphanumeric(b) || b >= 0x80 || b == b'@');
    let word = slice(text, begin, end);
    let known = word == b"@" || ATS.iter().any(|at| word.eq_ignore_ascii_case(at.as_bytes()));
    (known && before(text, begin) == b' ').then(|| (begin - 1, word.eq_ignore_ascii_case(b"at")))
}

/// From the first spelled point on: the top-level name, and how many points there are.
fn domain<'a>(text: &'a [u8], dot: usize, marks: &mut Marks) -> Option<(&'a [u8], usize)> {
    let mut at = dot;
    let mut dots = 0;
    let mut top: &[u8] = &[];
    while dots < LABELS_MAX
        && let Some(length) = dot_len(text, at)
    {
        let end = label_end(text, at + length);
        top = slice(text, at + length, end);
        if top.is_empty() {
            return None;
        }
        marks.push((at, '.', length));
        dots += 1;
        at = end;
    }
    (!is_word(byte(text, at)) && byte(text, at) < 0x80).then_some((top, dots))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_signs() {
        let reads = |source: &str, expected: &str| {
            assert_eq!(Reading::spelled(source).as_ref().map_or(source, Reading::text), expected);
        };
        reads("é jane AT web DOT de, x", "é jane@web.de, x");
        reads("a punkt b@c punkt ac punkt at and d arobase e point fr.", "a.b@c.ac.at and d@e.fr.");
        reads("mail ann at web dot com and ben at web dot org", "mail ann@web.com and ben@web.org");
        reads("look at web dot com", "look at web dot com");
        reads("ann AT web DOT comé", "ann AT web DOT comé");
    }
}
