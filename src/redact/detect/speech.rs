//! What a sentence or a label says about the value behind it: "WLAN-Schlüssel: …", "creds are lena/…", "code d'accès : …",
//! "the API key is …".

use super::bytes::{
    Classes, before, byte, is_alphanumeric, is_letter, is_space, is_url_safe, run_end, run_start, slice,
};
use super::signed::is_broken;
use super::words::{is_numbered, is_plainly_random_letters, is_scattered, is_slug};
use super::{Finding, Scan, lead, pair, password, shell};
use crate::redact::entity::Entity;

/// Endings of what is said right before a password, in small letters. Bytes beyond ASCII stand for themselves.
const LABELS: &[&str] = &[
    "passwort",
    "kennwort",
    "password",
    "wlan-schl\u{fc}ssel",
    "wlan schl\u{fc}ssel",
    "wifi-schl\u{fc}ssel",
    "wlan-key",
    "wlan key",
    "wifi key",
    "wi-fi key",
    "wifi-key",
    "zugangscode",
    "zugriffscode",
    "zugangsschl\u{fc}ssel",
    "geheimwort",
    "losungswort",
    "codewort",
    "geheime wort",
    "secret word",
    "secret phrase",
    "mot secret",
    "phrase secr\u{e8}te",
    "cl\u{e9} wifi",
    "cl\u{e9} wi-fi",
    "cl\u{e9} wpa",
    "cl\u{e9} du wifi",
    "code wifi",
    "code d'acc\u{e8}s",
    "code d\u{2019}acc\u{e8}s",
    "access code",
    "zugriffscode",
    "passe est devenu",
    "wrong password for",
    "requirepass",
    "masterauth",
    "snmp-server community",
    "enable secret",
    "identified by",
    "reset to",
    "reset it to",
    "zur\u{fc}ckgesetzt auf",
];
/// Those of them that a verb may stand behind, where no other word names a password.
const CODES: &[&str] = &[
    "zugangscode",
    "zugriffscode",
    "geheimwort",
    "wlan-schl\u{fc}ssel",
    "wlan-key",
    "code wifi",
    "code d'acc\u{e8}s",
    "code d\u{2019}acc\u{e8}s",
    "access code",
    "wifi key",
    "cl\u{e9} wifi",
    "cl\u{e9} wpa",
];
/// What a key that people type is for, behind a word for it: "Schl\u{fc}ssel f\u{fc}rs WLAN".
const NETS: &[&str] = &["wlan", "w-lan", "wifi", "wi-fi", "hotspot", "gastnetz"];
const NET_KEYS: &[&str] = &["schl\u{fc}ssel", "key", "cl\u{e9}", "cl\u{e9}e", "code", "zugang"];
/// What comes between a word for a password and whose it is.
const OF: &[&str] =
    &["for", "of", "f\u{fc}r", "f\u{fc}rs", "vom", "von", "zum", "zur", "du", "de", "des", "pour"];
/// What a password is now, behind what it was.
const NOW: &[&str] =
    &["now", "jetzt", "nun", "inzwischen", "mittlerweile", "heute", "maintenant", "d\u{e9}sormais"];
const IT_IS: &[&str] = &["it's", "is", "ist", "es", "it", "c'est", "lautet", "est"];
/// The same before a key.
const KEY_LABELS: &[&str] = &[
    "schl\u{fc}ssel",
    "geheimnis",
    "jeton",
    "cl\u{e9} api",
    "cl\u{e9} d'api",
    "cl\u{e9} priv\u{e9}e",
    "cl\u{e9} secr\u{e8}te",
    "secret client",
    "secret",
];
/// Words for a name and a password together.
const BOTH: &[&[u8]] = &[
    b"login",
    b"logins",
    b"credentials",
    b"creds",
    b"cred",
    b"zugangsdaten",
    b"zugang",
    b"anmeldedaten",
    b"logindaten",
    b"identifiants",
];
/// Words for a password that may stand a few words before it.
const NOUNS: &[&[u8]] =
    &[b"password", b"passwort", b"kennwort", b"passe", b"mdp", b"passphrase", b"pw", b"pwd"];
const AROUND: usize = 48;
const NAME_MAX: usize = 32;
/// How far behind the word a key may stand, and in how many words.
const AHEAD: usize = 48;
const WORDS_MAX: usize = 5;

/// Verbs that join a label with the value.
const VERBS: &[&str] = &[" est", " ist", " is", " lautet"];
/// What a password is changed from, and to; `à` is the last of these.
const SOURCES: &[&str] = &["from", "von", "de"];
const GOALS: &[&str] = &["to", "auf", "en", "vers"];
const GOAL: &str = "\u{e0}";

/// For each last letter of a label before a password: what stands before it, a bit each, the last for all that is no letter.
static LABEL_ENDS: [u32; 26] = with_ends(
    with_ends(with_ends(with_ends(with_ends(with_ends([0; 26], LABELS), CODES), VERBS), SOURCES), GOALS),
    NETS,
);

/// The same of all that may stand before a colon.
static ENDS: [u32; 26] = {
    let mut table = with_ends(with_ends(with_ends(with_ends([0; 26], LABELS), KEY_LABELS), VERBS), NETS);
    let mut row = 0;
    while row < BOTH.len() {
        #[expect(clippy::indexing_slicing, reason = "within the rows; `get` is not const")]
        let word = BOTH[row];
        table = with_end(table, word);
        row += 1;
    }
    table
};

const fn with_ends(mut table: [u32; 26], labels: &[&str]) -> [u32; 26] {
    let mut row = 0;
    while row < labels.len() {
        #[expect(clippy::indexing_slicing, reason = "within the rows; `get` is not const")]
        let label = labels[row];
        table = with_end(table, label.as_bytes());
        row += 1;
    }
    table
}

#[expect(clippy::indexing_slicing, reason = "labels end in a small letter, which building the table proves")]
const fn with_end(mut table: [u32; 26], label: &[u8]) -> [u32; 26] {
    let [.., before, last] = label else { return table };
    table[(*last - b'a') as usize] |= 1 << place(*before);
    table
}

/// Which letter it is; 26 for all others.
const fn place(b: u8) -> u8 {
    let place = (b | 0x20).wrapping_sub(b'a');
    if place < 26 { place } else { 26 }
}

/// Whether a label of the table may end at `end`: most words do not end so.
fn may_end(text: &[u8], end: usize, table: &[u32; 26]) -> bool {
    let row = table.get(usize::from(place(before(text, end))));
    row.is_some_and(|row| row >> place(before(text, end.saturating_sub(1))) & 1 == 1)
}

/// Whether the line that ends at `end` may announce a password by its last words, behind which blanks may be left.
fn may_announce(text: &[u8], end: usize) -> bool {
    let last = before(text, end);
    // `secret 0 …`.
    let kind = last.is_ascii_digit() && is_space(before(text, end.saturating_sub(1)));
    last >= 0x80 || is_space(last) || kind || may_end(text, end, &LABEL_ENDS)
}

/// Where the line ends that is said before a value at `at`, without what joins it with the value.
fn said_end(text: &[u8], at: usize) -> usize {
    run_start(text, at, 6, |b| is_space(b) || matches!(b, b':' | b'=' | b'"' | b'\'' | b'`' | b'*'))
}

/// The line before `at`, as far as it is looked at, in small letters and without what joins it with a value.
fn said(text: &[u8], at: usize, buffer: &mut [u8; AROUND]) -> usize {
    let end = said_end(text, at);
    let line = slice(text, end.saturating_sub(AROUND), end);
    let line = line.rsplit(|b| matches!(b, b'\n' | b'\r')).next().unwrap_or_default();
    let line = without_verb(line);
    buffer.iter_mut().zip(line).for_each(|(to, from)| *to = from.to_ascii_lowercase());
    line.len()
}

/// "code d'accès est", "Zugriffscode lautet": the verb joins, too.
fn without_verb(line: &[u8]) -> &[u8] {
    VERBS.iter().find_map(|verb| line.strip_suffix(verb.as_bytes())).unwrap_or(line)
}

/// Whether what stands before `from` announces a password, which `secret` has a digit and letters to be.
pub(super) fn is_announced(text: &[u8], from: usize, secret: &[u8]) -> bool {
    let classes = Classes::of(secret);
    // Where nothing that announces may end, the line has to tell; of small letters and digits alone only behind `/`.
    let end = said_end(text, from);
    let (signs, plain) = secret.iter().fold((false, true), |(signs, plain), b| {
        let sign = is_sign(*b);
        (signs | sign, plain & (sign | is_url_safe(*b) | (*b == b'.')))
    });
    let plain = plain
        && secret.split(|b| *b == b'.').skip(1).all(|part| part.first().is_some_and(u8::is_ascii_digit));
    let broken = || secret.iter().position(|b| *b == b'=').is_some_and(|sign| is_broken(secret, sign));
    let numbered = classes.upper == 0 && classes.other > 0 && is_numbered(secret);
    let meant = (plain || numbered || broken()) && (signs || classes.digit > 1) && !is_dated(secret);
    let cased = classes.lower > 1 && (classes.upper > 0 || signs || classes.digit > 1) && secret.len() >= 8;
    let told =
        meant && cased && (classes.upper > 0 || signs || numbered || !is_alphanumeric(before(text, end)));
    if !told && !may_announce(text, end) {
        return false;
    }
    let mut buffer = [0; AROUND];
    let length = said(text, from, &mut buffer);
    let line = buffer.get(..length).unwrap_or_default();
    // "le code d'accès est …".
    if ends_with_one(line, CODES) && classes.digit > 0 && secret.len() > 5 {
        return true;
    }
    let made = classes.digit > 1 || classes.digit > 0 && classes.upper > 0;
    let may = matches!(line.last(), Some(b't' | b'd' | b'y' | b's' | b'h' | b'0' | b'4'..=b'9'));
    if may && made && secret.len() > 7 && secret.iter().all(is_written) && shell::is_configured(line) {
        return true;
    }
    if !meant {
        return false;
    }
    if ends_with_one(line, LABELS) || is_changed(line, classes.digit > 1) || is_of_net(line) {
        return true;
    }
    if !cased {
        return false;
    }
    let joined = || {
        let verb = |verb: &&str| slice(text, end.saturating_sub(verb.len()), end) == verb.as_bytes();
        slice(text, end, from).iter().any(|b| matches!(b, b':' | b'=')) || VERBS.iter().any(verb)
    };
    if told && (joined() && is_owned(line) || is_now(line)) {
        return true;
    }
    let sentence = line.rsplit(|b| matches!(b, b'.' | b'!' | b'?' | b';' | b'(')).next().unwrap_or_default();
    let mut words =
        sentence.rsplit(|b| is_space(*b) || matches!(b, b':' | b',')).filter(|word| !word.is_empty());
    // A mark at the end of the sentence: `WebAuthn2!`, `OAuth2.0!`.
    let dots = secret.iter().filter(|b| **b == b'.').count();
    let marked =
        classes.digit < 2 + dots && classes.other == 1 + dots && matches!(secret.last(), Some(b'!' | b'?'));
    // "credentials: lena …", "als Kennwort hat er … gesetzt".
    let mut near = words.by_ref().take(3);
    let (first, second, third) = (near.next(), near.next(), near.next());
    let is = |word: Option<&[u8]>, of: &[&[u8]]| word.is_some_and(|word| of.contains(&word));
    // Of the words behind the noun one may be its value already.
    let passed = [first, second, third].into_iter().take_while(|word| !word.is_some_and(is_value));
    let spoken = (classes.upper > 0 || signs) && passed.into_iter().any(|word| is(word, NOUNS));
    spoken
        || (is(second, BOTH) && ((signs && !marked) || (classes.upper > 0 && sentence.contains(&b':'))))
        || (first == Some(b"/") && is(third, BOTH))
}

/// What is done with a password, behind it.
const DONE: &[&str] = &[
    "genommen",
    "gesetzt",
    "gew\u{e4}hlt",
    "ge\u{e4}ndert",
    "verwendet",
    "vergeben",
    "benutzt",
    "eingegeben",
    "eingestellt",
    "festgelegt",
    "hinterlegt",
    "verwenden",
    "nehmen",
    "setzen",
    "benutzen",
    "\u{e4}ndern",
    "eingeben",
];

/// "als Passwort hab ich … genommen": what is no word and no machine's name, between the noun and what was done with it.
pub(super) fn is_set(text: &[u8], from: usize, to: usize, secret: &[u8]) -> bool {
    // Most words behind one are none of these.
    let next = byte(text, to + 1);
    if byte(text, to) != b' '
        || secret.len() < 8
        || !matches!(next, b'g' | b'v' | b'b' | b'e' | b'f' | b'h' | b'n' | b's' | 0xC3)
    {
        return false;
    }
    is_done(text, from, to, secret)
}

#[cold]
fn is_done(text: &[u8], from: usize, to: usize, secret: &[u8]) -> bool {
    let end = run_end(text, to + 1, 16, |b| b.is_ascii_alphabetic() || b >= 0x80);
    if !lead::is_one_of(slice(text, to + 1, end), DONE) || !secret.iter().all(is_written) {
        return false;
    }
    let classes = Classes::of(secret);
    let mixed = classes.upper > 1 && classes.lower > 1 || classes.upper > 0 && classes.digit > 1;
    let signed = classes.other > 0 && classes.digit > 1 && !is_slug(secret);
    let made = classes.digit > 0 && mixed || classes.lower > 3 && classes.digit > 2 || signed;
    if !made || is_dated(secret) {
        return false;
    }
    let mut buffer = [0; AROUND];
    let length = said(text, from, &mut buffer);
    let line = buffer.get(..length).unwrap_or_default();
    let sentence = line.rsplit(|b| matches!(b, b'.' | b'!' | b'?' | b';' | b'(')).next().unwrap_or_default();
    sentence
        .rsplit(|b| is_space(*b))
        .filter(|word| !word.is_empty())
        .take(4)
        .any(|word| NOUNS.contains(&word))
}

fn is_written(b: &u8) -> bool {
    is_url_safe(*b) || is_sign(*b) || matches!(b, b'=' | b'.')
}

/// What a password has that a word has not.
fn is_sign(b: u8) -> bool {
    matches!(b, b'!' | b'@' | b'#' | b'$' | b'%' | b'^' | b'&' | b'*' | b'?' | b'+')
}

/// "… the password from A to", "Passwort von A auf"; and, of what holds two digits, "… the password from".
fn is_changed(line: &[u8], digits: bool) -> bool {
    let is = |word: &[u8], of: &[&str]| of.iter().any(|one| one.as_bytes() == word);
    let mut words = line.rsplit(|b| is_space(*b)).filter(|word| !word.is_empty());
    let Some(mut last) = words.next() else { return false };
    let goal = is(last, GOALS) || last == GOAL.as_bytes();
    if goal {
        if !words.next().is_some_and(is_value) {
            return false;
        }
        last = words.next().unwrap_or_default();
    }
    let mut nouns = words.take(if goal { 3 } else { 1 });
    (goal || digits) && is(last, SOURCES) && nouns.any(|word| NOUNS.contains(&word))
}

/// "der Schl\u{fc}ssel f\u{fc}rs WLAN", "the key for the wifi".
fn is_of_net(line: &[u8]) -> bool {
    let one = |word: &[u8], of: &[&str]| of.iter().any(|one| one.as_bytes() == word);
    let mut words = line.rsplit(|b| is_space(*b)).filter(|word| !word.is_empty());
    words.next().is_some_and(|word| one(word, NETS)) && words.take(3).any(|word| one(word, NET_KEYS))
}

/// "la phrase secr\u{e8}te de la sauvegarde", "the access code for the vault": a label, and whose it is in up to three words.
#[cold]
fn is_owned(line: &[u8]) -> bool {
    let mut end = line.len();
    for place in 0..4 {
        let stop = run_start(line, end, 2, is_space);
        let from = run_start(line, stop, NAME_MAX, |b| !is_space(b) && b != b':' && b != b',');
        let word = slice(line, from, stop);
        if from == stop || from == 0 {
            return false;
        }
        let head = slice(line, 0, run_start(line, from, 2, is_space));
        if place > 0 && OF.iter().any(|of| of.as_bytes() == word) {
            return ends_with_one(head, CODES) || ends_with_one(head, LABELS);
        }
        end = from;
    }
    false
}

/// "Passwort lautete fr\u{fc}her …, jetzt": a noun, what it was, and a word for now.
#[cold]
fn is_now(line: &[u8]) -> bool {
    let one = |word: &[u8], of: &[&str]| of.iter().any(|one| one.as_bytes() == word);
    let words = || line.rsplit(|b| is_space(*b) || *b == b',').filter(|word| !word.is_empty());
    let now = words().take(3).find(|word| !one(word, IT_IS)).is_some_and(|word| one(word, NOW));
    now && words().any(|word| NOUNS.contains(&word)) && words().any(is_value)
}

/// What a password looks like, of at least six characters with a digit; or what stands for one.
fn is_value(word: &[u8]) -> bool {
    if matches!(word, [b'$' | b'%' | b'{' | b'<', ..]) {
        return true;
    }
    word.len() > 5 && word.iter().any(u8::is_ascii_digit) && word.iter().any(u8::is_ascii_alphabetic)
}

/// "creds are lena/…": `from..to` is a name, a slash and what nobody takes for a path.
pub(super) fn is_pair(text: &[u8], from: usize, to: usize) -> bool {
    let whole = slice(text, from, to);
    let Some(slash) = whole.iter().position(|b| *b == b'/') else { return false };
    let (name, secret) = (slice(whole, 0, slash), slice(whole, slash + 1, whole.len()));
    let classes = Classes::of(secret);
    let signs = secret.iter().any(|b| is_sign(*b));
    let named = name.len() > 1 && name.iter().any(u8::is_ascii_lowercase);
    if !named || secret.contains(&b'/') || classes.digit < 2 || !(signs || classes.upper > 0) {
        return false;
    }
    let mut buffer = [0; AROUND];
    let length = said(text, from, &mut buffer);
    let line = buffer.get(..length).unwrap_or_default();
    let words = line.rsplit(|b| !b.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.take(3).any(|word| BOTH.contains(&word))
}

/// `Office2019`, `October27`: a name and a year or a small number.
fn is_dated(value: &[u8]) -> bool {
    let letters = value.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let digits = slice(value, letters, value.len());
    digits.len() == 4
        && digits.iter().all(u8::is_ascii_digit)
        && (digits.starts_with(b"19") || digits.starts_with(b"20"))
}

fn ends_with_one(line: &[u8], of: &[&str]) -> bool {
    let last = line.last();
    of.iter().any(|label| label.as_bytes().last() == last && line.ends_with(label.as_bytes()))
}

/// At a colon: "login: lena / …", "WLAN-Schlüssel: …".
pub(super) fn labelled(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    let end = run_start(text, at, 1, is_space);
    // The last letters of the labels.
    if !matches!(before(text, end) | 0x20, b'n' | b's' | b'l' | b'y' | b'e' | b'i' | b'a' | b'g' | b't')
        || !is_space(byte(text, at + 1))
        || !may_end(text, end, &ENDS)
    {
        return None;
    }
    let mut buffer = [0; AROUND];
    let length = said(text, end, &mut buffer);
    let line = buffer.get(..length).unwrap_or_default();
    let from = run_end(text, at + 1, 2, is_space);
    if (ends_with_one(line, LABELS) || is_of_net(line))
        && let Some(found) = password::password_at(text, from).filter(|found| is_meant(text, found))
    {
        return Some(found);
    }
    if ends_with_one(line, KEY_LABELS) {
        let end = run_end(text, from, 256, is_letter);
        return (!is_alphanumeric(byte(text, end)) && is_plainly_random_letters(slice(text, from, end)))
            .then(|| Finding::outer(Entity::ApiKey, from, end, end));
    }
    let word = line.rsplit(|b| !b.is_ascii_alphanumeric()).next().unwrap_or_default();
    if !BOTH.contains(&word) {
        return None;
    }
    let name =
        run_end(text, from, NAME_MAX, |b| is_alphanumeric(b) || matches!(b, b'.' | b'_' | b'-' | b'@'));
    let value = run_end(text, name, 3, |b| is_space(b) || matches!(b, b'/' | b'|'));
    if name == from || value == name {
        return None;
    }
    // A blank alone may stand between two words of a sentence.
    let apart = slice(text, name, value).iter().any(|b| !is_space(*b));
    password::password_at(text, value).filter(|found| {
        let secret = slice(text, found.start, found.end);
        let signs = secret.iter().any(|b| is_sign(*b));
        is_meant(text, found) && !secret.contains(&b'/') && !pair::is_file(secret) && (apart || signs)
    })
}

/// Whether a password looks like no word and no number.
pub(super) fn is_meant(text: &[u8], found: &Finding) -> bool {
    let value = slice(text, found.start, found.end);
    let classes = Classes::of(value);
    let signs = value.iter().any(|b| is_sign(*b));
    let made = classes.digit > 1 || (signs && (classes.digit > 0 || classes.upper > 1));
    classes.lower + classes.upper > 2 && (made || is_scattered(value))
}

/// At the `k` of `key` or `token`, or the `C` of `SECRET`: a run of letters alone, made at random, a few words on.
pub(super) fn key(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    let back = if byte(text, at) == b'C' || slice(text, at.saturating_sub(2), at).eq_ignore_ascii_case(b"to")
    {
        2
    } else {
        0
    };
    let word: &[u8] = match (byte(text, at) | 0x20, back) {
        (b'c', _) => b"secret",
        (_, 2) => b"token",
        _ => b"key",
    };
    let start = at.checked_sub(back)?;
    let mut from = start + word.len();
    if !slice(text, start, from).eq_ignore_ascii_case(word) || is_letter(byte(text, from)) {
        return None;
    }
    let last = from + AHEAD;
    for _ in 0..WORDS_MAX {
        let next = run_end(text, from, 6, |b| {
            is_space(b) || matches!(b, b'"' | b'\'' | b'`' | b':' | b'=' | b',' | b'(' | b'\\')
        });
        let end = run_end(text, next, 256, is_letter);
        if next == from || end == next || next > last {
            return None;
        }
        let value = slice(text, next, end);
        let alone =
            !matches!(byte(text, end), b'(' | b'_' | b'/' | b'=' | b'+') && !byte(text, end).is_ascii_digit();
        if value.len() > 15 {
            let ends = byte(text, end) != b'.' || !is_letter(byte(text, end + 1));
            return (alone && ends && is_plainly_random_letters(value))
                .then(|| Finding::outer(Entity::ApiKey, next, end, end));
        }
        from = end;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_is_passed_over_by_its_letters() {
        let labels = || LABELS.iter().chain(VERBS).map(|label| label.as_bytes());
        let keys = KEY_LABELS.iter().map(|label| label.as_bytes());
        for label in labels().chain(keys).chain(BOTH.iter().copied()) {
            for label in [label.to_vec(), label.to_ascii_uppercase()] {
                assert!(may_end(&label, label.len(), &ENDS), "{label:?}");
            }
        }
        let words = CODES.iter().chain(SOURCES).chain(GOALS).chain([&GOAL]).map(|word| word.as_bytes());
        for label in labels().chain(words) {
            for label in [label.to_vec(), label.to_ascii_uppercase(), [label, b"  "].concat()] {
                assert!(may_announce(&label, label.len()), "{label:?}");
            }
        }
    }
}
