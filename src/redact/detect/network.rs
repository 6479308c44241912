//! IP_ADDRESS and MAC_ADDRESS.

use std::net::Ipv6Addr;

use super::bytes::{
    before, byte, column, digits_end, holds_word, is_alphanumeric, near, run_end, run_start, slice,
    starts_apart,
};
use super::lead::is_one_of;
use super::number::Number;
use super::{Finding, Scan, lead};
use crate::redact::entity::Entity;

const VERSION_WORDS: &[&str] = &[
    "version",
    "firmware",
    "build",
    "release",
    "driver",
    "chrome",
    "chromium",
    "edge",
    "v",
    "ver",
    "upgrade",
    "upgraded",
    "upgrading",
    "rev",
    "revision",
    "assembly",
    "assemblyversion",
    "fileversion",
    "version_number",
    "treiber",
    "pilote",
    "patch",
    "stand",
];

/// Words before the number of a part of a text.
const HEADINGS: &[&str] = &[
    "section",
    "sections",
    "chapter",
    "figure",
    "table",
    "clause",
    "article",
    "paragraph",
    "abschnitt",
    "kapitel",
    "abbildung",
    "tabelle",
    "punkt",
    "artikel",
    "chapitre",
    "rubrique",
    "appendix",
    "anhang",
    "annexe",
    "exercise",
    "step",
    "schritt",
];

/// Before a heading's word these make it another: "routing table".
const TABLES: &[&str] = &["routing", "arp", "route", "nat"];

/// Words that link what a number is of with the number: "version number is now …".
const LINKS: &[&str] = &[
    "is",
    "ist",
    "est",
    "was",
    "wurde",
    "war",
    "to",
    "from",
    "auf",
    "von",
    "vers",
    "de",
    "du",
    "number",
    "nummer",
    "nr",
    "no",
    "num\u{e9}ro",
    "now",
    "jetzt",
    "currently",
    "aktuell",
    "actuellement",
    "the",
    "der",
    "die",
    "le",
    "la",
];
/// Behind a verb of `CHANGES` a version follows these, whatever is changed: "upgraded the driver to …".
const GOALS: &[&str] = &["to", "auf", "vers", "\u{e0}"];
const SOURCES: &[&str] = &["from", "von", "de"];
const CHANGES: &[&str] = &[
    "upgrade",
    "upgrades",
    "upgraded",
    "upgrading",
    "update",
    "updated",
    "updating",
    "downgrade",
    "downgraded",
    "patch",
    "patched",
    "aktualisiert",
    "aktualisieren",
    "mise \u{e0} jour",
    "mis \u{e0} jour",
];
/// Between two of a kind: "version 1.2.3.4 or 1.2.3.5".
const JOINS: &[&str] = &["and", "und", "et", "or", "oder", "ou"];
/// How far a version's word is looked at, and past how many others.
const VERSION_LOOK: usize = 48;
const VERSION_STEPS: usize = 5;

const HOST_WORDS: &[&str] =
    &["ip", "host", "server", "dns", "address", "addr", "from", "ping", "client", "peer", "gateway"];

/// Four dotted numbers up to 255; not this host, not nothing, not a version.
pub(super) fn ipv4(number: &Number<'_>) -> Option<(usize, usize)> {
    let groups = number.groups.get(..4)?;
    let text = number.scan.text;
    let dotted = groups.iter().take(3).all(|g| g.sep == b'.') && groups.iter().all(|g| g.len <= 3);
    let (start, end) = (groups.first()?.start, groups.last()?.end());
    let next = byte(text, end);
    let joined = matches!(next, b'.' | b'-' | b'+') && byte(text, end + 1).is_ascii_alphanumeric();
    let apart = !joined && !next.is_ascii_alphanumeric();
    if !dotted || !apart {
        return None;
    }
    let mut parts = [0_u32; 4];
    for (part, group) in parts.iter_mut().zip(groups) {
        *part = parse(slice(text, group.start, group.end()))?;
    }
    // This host, no host, a netmask.
    if parts.iter().any(|p| *p > 255) || matches!(parts, [127, ..] | [0, 0, 0, 0] | [255, 255, ..]) {
        return None;
    }
    if is_mask(parts) || is_part(text, parts, start) {
        return None;
    }
    // "section 4.2.8.1": four single digits are an address only where two are alike or a word says so.
    let small = parts.iter().all(|p| *p < 10);
    let known =
        parts.iter().all(|p| Some(p) == parts.first()) || matches!(parts, [8, 8, 4, 4] | [1, 0, 0, 1]);
    let titled = || holds_word(slice(text, start.saturating_sub(24), start), HEADINGS);
    let heading = small && (titled() || !known && !near(text, start, end, HOST_WORDS));
    let version = || is_version(text, start, end) || holds_word(number.scan.key.as_bytes(), VERSION_WORDS);
    let broadcast = is_one_of(lead::words(text, start)[0], &["brd", "broadcast"]);
    (!is_nobody(text, parts, end) && !broadcast && !heading && !version()).then_some((start, end))
}

/// `255.128.0.0` and, as routers write it, `0.0.31.255`: ones, then zeros, or the other way round.
fn is_mask(parts: [u32; 4]) -> bool {
    let address = parts.iter().fold(0, |address, part| address << 8 | part);
    let net = address.leading_ones() >= 8 && address.leading_ones() + address.trailing_zeros() == 32;
    net || address.leading_zeros() >= 8 && address.leading_zeros() + address.trailing_ones() == 32
}

/// "section 8.10.6.2", "§ 12.4.1.9": the number of a part of a text, right behind its word or its sign.
#[cold]
fn is_part(text: &[u8], parts: [u32; 4], start: usize) -> bool {
    if parts.iter().any(|part| *part == 0 || *part > 99) {
        return false;
    }
    let blank = run_start(text, start, 1, |b| b == b' ');
    // Behind a blank of its own, too.
    let sign =
        if slice(text, start.saturating_sub(2), start) == "\u{a0}".as_bytes() { start - 2 } else { blank };
    if slice(text, sign.saturating_sub(2), sign) == "\u{a7}".as_bytes() {
        return true;
    }
    let [word, prior] = lead::words(text, start);
    let headed = |word: &[u8]| is_one_of(word, HEADINGS) && !is_one_of(prior, TABLES);
    headed(word)
        || is_one_of(word, JOINS)
            && holds_word(slice(text, start.saturating_sub(VERSION_LOOK), start), HEADINGS)
}

/// Whether a word for a version stands right before, with nothing but signs and words that link between: no comma, no line
/// break, no other number (but that of "from 1.2.3.4 to …"), no word of its own ("client ip"). Or the column's name is one.
fn is_version(text: &[u8], start: usize, end: usize) -> bool {
    let head = slice(text, start.saturating_sub(VERSION_LOOK), start);
    names_version(head, || goes_to_version(text, end))
        || column(text, start).is_some_and(|name| is_heading(name) && holds_word(name, VERSION_WORDS))
}

fn is_heading(name: &[u8]) -> bool {
    name.len() < VERSION_LOOK && !name.iter().any(u8::is_ascii_digit)
}

/// " to 1.2.3.5", the other end of a change.
fn goes_to_version(text: &[u8], end: usize) -> bool {
    let from = end + usize::from(byte(text, end) == b' ');
    let stop = run_end(text, from, 5, |b| is_alphanumeric(b) || b >= 0x80);
    from > end && is_one_of(slice(text, from, stop), GOALS) && byte(text, stop + 1).is_ascii_digit()
}

fn names_version(head: &[u8], goes_on: impl Fn() -> bool) -> bool {
    let (mut end, mut last, mut other) = (head.len(), &b""[..], false);
    for _ in 0..VERSION_STEPS {
        let stop = run_start(head, end, VERSION_LOOK, is_gap);
        let abbreviated = before(head, stop) == b'.';
        let stop = stop - usize::from(abbreviated);
        let from = run_start(head, stop, VERSION_LOOK, |b| is_alphanumeric(b) || b == b'_' || b >= 0x80);
        let word = slice(head, from, stop);
        if word.is_empty() || (abbreviated && !is_one_of(word, &["v", "ver", "vers", "rev"])) {
            return false;
        }
        if word.iter().any(u8::is_ascii_digit) {
            let from = run_start(head, stop, VERSION_LOOK, |b| b.is_ascii_digit() || b == b'.');
            let parts = slice(head, from, stop).split(|b| *b == b'.').filter(|part| !part.is_empty()).count();
            let pair = is_one_of(last, JOINS) || is_one_of(last, GOALS);
            if parts != 4 || other || !pair {
                // "Upgrade V8 to …", "upgrade to V8 …".
                let thing = word.first().is_some_and(u8::is_ascii_alphabetic);
                return thing && (last.is_empty() || is_one_of(last, GOALS)) && is_changed(head, stop);
            }
            (end, other) = (from, true);
            continue;
        }
        // "Deploy release 1.2.3.4 to …" is no way from one version to another.
        if other && is_one_of(last, GOALS) && !is_one_of(word, SOURCES) {
            return false;
        }
        if !is_one_of(word, LINKS) && !is_one_of(word, JOINS) && !is_one_of(word, GOALS) {
            let end = is_one_of(last, GOALS) || (is_one_of(last, SOURCES) && (other || goes_on()));
            return holds_word(word, VERSION_WORDS) || (end && is_changed(head, stop));
        }
        (end, last) = (from, word);
    }
    false
}

/// Whether the clause before `end` says that something is brought to a version; not that a machine is.
fn is_changed(head: &[u8], end: usize) -> bool {
    let clause = slice(head, 0, end)
        .rsplit(|b| matches!(b, b',' | b';' | b'\n' | b'.' | b':'))
        .next()
        .unwrap_or_default();
    holds_word(clause, CHANGES) && !holds_word(clause, HOST_WORDS)
}

fn is_gap(b: u8) -> bool {
    matches!(
        b,
        b' ' | b'\t'
            | b':'
            | b'='
            | b'"'
            | b'\''
            | b'`'
            | b'('
            | b'['
            | b'>'
            | b'|'
            | b'*'
            | b'#'
            | b'/'
            | b'-'
            | b'\\'
    )
}

/// All routers', all hosts' (224.0.0.…), or the name of a network: `10.0.0.0/8`, where the part that tells
/// hosts apart is 0. A host in its network (`10.1.2.3/8`) and the name of no more than sixteen hosts stay a person's.
fn is_nobody(text: &[u8], parts: [u32; 4], end: usize) -> bool {
    let address = parts.iter().fold(0, |address, part| address << 8 | part);
    let bits = prefix(text, end).filter(|bits| *bits <= 28);
    let network = bits.is_some_and(|bits| address.checked_shl(bits).unwrap_or(0) == 0);
    matches!(parts, [224, 0, 0, _]) || network
}

/// `/24`.
fn prefix(text: &[u8], at: usize) -> Option<u32> {
    let end = digits_end(text, at + 1, 4);
    if byte(text, at) != b'/' || end > at + 4 {
        return None;
    }
    parse(slice(text, at + 1, end))
}

fn parse(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// At the first colon of either address, behind which most colons have a blank.
pub(super) fn colons(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let next = byte(scan.text, at + 1);
    if !next.is_ascii_hexdigit() && next != b':' {
        return None;
    }
    ipv6(scan, at).or_else(|| mac(scan, at))
}

/// At the first colon of an IPv6 address.
fn ipv6(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    let start = run_start(text, at, 5, |b| b.is_ascii_hexdigit());
    if at - start > 4
        || (start == at && byte(text, at + 1) != b':')
        || !starts_apart(text, start)
        || before(text, start) == b':' && !is_mechanism(text, start - 1)
    {
        return None;
    }
    let mut end = run_end(text, at, 42, |b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'));
    while end > at
        && (before(text, end) == b'.'
            || (before(text, end) == b':' && byte(text, end.saturating_sub(2)) != b':'))
    {
        end -= 1;
    }
    let word = slice(text, start, end);
    let groups = word.split(|b| *b == b':').filter(|g| !g.is_empty()).count();
    let global = at - start == 4 && matches!(byte(text, start), b'2' | b'3' | b'f' | b'F');
    let plausible = word.iter().any(u8::is_ascii_digit) && (groups > 3 || (global && groups > 1));
    let follows = byte(text, end);
    if !scan.on.has(Entity::IpAddress) || !plausible || follows.is_ascii_alphanumeric() || follows == b'_' {
        return None;
    }
    let read = |word: &[u8]| std::str::from_utf8(word).ok()?.parse::<Ipv6Addr>().ok();
    // Behind all eight groups a port may stand.
    let port = || {
        let cut = memchr::memrchr(b':', word)?;
        let digits = slice(word, cut + 1, word.len()).iter().all(u8::is_ascii_digit);
        let full = memchr::memchr_iter(b':', word).count() == 8 && digits;
        read(slice(word, 0, cut)).filter(|_| full).map(|address| (address, start + cut))
    };
    let (address, end) = read(word).map(|address| (address, end)).or_else(port)?;
    let network = prefix(text, end)
        .is_some_and(|bits| bits <= 64 && u128::from(address).checked_shl(bits).unwrap_or(0) == 0);
    // Eight pairs are the bytes of a fingerprint.
    let bytes = word.split(|b| *b == b':').all(|g| g.len() == 2);
    // All hosts' and routers' on the link.
    let everybody = matches!(address.segments(), [0xFF01 | 0xFF02, ..]);
    (!network && !bytes && !everybody && !address.is_loopback() && !address.is_unspecified())
        .then(|| Finding::whole(Entity::IpAddress, start, end))
}

/// `ip6:`, `address:`: a word before the colon, as in the records of who may send mail; no part of an address or a path.
fn is_mechanism(text: &[u8], colon: usize) -> bool {
    let from = run_start(text, colon, 16, |b| is_alphanumeric(b) || b == b'_');
    let word = slice(text, from, colon);
    before(text, from) != b':' && word.iter().any(|b| b.is_ascii_alphabetic() && !b.is_ascii_hexdigit())
}

/// At the first separator of six pairs of hexadecimal digits.
pub(super) fn mac(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    let separator = byte(text, at);
    let start = at.checked_sub(2)?;
    let end = start + 17;
    let word = text.get(start..end)?;
    let shaped = word.chunks(3).all(|pair| {
        pair.iter().take(2).all(u8::is_ascii_hexdigit) && pair.get(2).is_none_or(|s| *s == separator)
    });
    let apart = starts_apart(text, start)
        && before(text, start) != b':'
        && !before(text, start).is_ascii_alphanumeric();
    let longer = byte(text, end) == separator && byte(text, end + 1).is_ascii_hexdigit();
    let ends = !longer && !byte(text, end).is_ascii_alphanumeric();
    let nobody =
        [b'0', b'f'].iter().any(|all| word.iter().all(|b| b | 0x20 == all | 0x20 || *b == separator));
    (scan.on.has(Entity::MacAddress) && shaped && apart && ends && !nobody)
        .then(|| Finding::whole(Entity::MacAddress, start, end))
}

/// At the first digit of `a0b1.c2d3.e4f5`, as switches write it.
pub(super) fn mac_dotted(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    let of = |b: u8| b.is_ascii_hexdigit() || b == b'.';
    let start = run_start(text, at, 14, of);
    let word = text.get(start..start + 14)?;
    let shaped = word.iter().enumerate().all(|(i, b)| (i % 5 == 4) == (*b == b'.') && of(*b))
        && word.iter().any(u8::is_ascii_alphabetic);
    let apart = starts_apart(text, start) && !of(before(text, start));
    let next = byte(text, start + 14);
    let longer = next == b'.' && byte(text, start + 15).is_ascii_alphanumeric();
    let found =
        shaped && apart && !longer && !next.is_ascii_alphanumeric() && scan.on.has(Entity::MacAddress);
    found.then(|| Finding::whole(Entity::MacAddress, start, start + 14))
}

/// Twelve hexadecimal digits right behind a word for them.
pub(super) fn mac_named(scan: &Scan<'_>, start: usize, end: usize) -> Option<usize> {
    const WORDS: &[&str] =
        &["mac", "mac_address", "mac_addr", "macaddress", "hwaddr", "hw_addr", "bssid", "hwaddress"];
    let hex = slice(scan.text, start, end).iter().all(u8::is_ascii_hexdigit);
    let named =
        || is_one_of(scan.key.as_bytes(), WORDS) || is_one_of(lead::words(scan.text, start)[0], WORDS);
    (hex && named()).then_some(end)
}
