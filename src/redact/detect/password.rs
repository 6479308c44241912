//! PASSWORD in speech: "my password is …", "das Kennwort lautet …", "… comme mot de passe", "credentials are admin:…",
//! `--password …`, `curl -u user:…`, and where a table, a tag or an attribute has the word before the value.

use super::assignment::is_long_number;
use super::bytes::{
    Classes, before, byte, digits_end, is_jumbled, is_space, run_end, run_start, slice,
    starts_with_ignoring_case,
};
use super::reference::{is_code, is_reference};
use super::words::{is_passphrase, is_scattered};
use super::{Finding, Scan, column, speech};
use crate::redact::entity::Entity;

const WORDS: &[&[u8]] = &[
    b"passwords",
    b"password",
    b"passworts",
    b"passwort",
    b"passphrase",
    b"passcode",
    b"passwd",
    b"passe",
    b"kennwort",
    b"pass",
    b"pwd",
    b"pw",
    b"p/w",
];
const LINKS: &[&[u8]] = &[
    b"is",
    b"ist",
    b"lautet",
    b"est",
    b"was",
    b"war",
    b"=",
    b":",
    b"becomes",
    b"wird",
    b"now",
    b"to",
    b"auf",
    b"c'est",
    b"sera",
    b"hei\xC3\x9Ft",
    b"heisst",
    b"->",
    b"=>",
    b"are",
    b"sind",
    b"bleibt",
    b"remains",
    b"reads",
    b"vaut",
    b"jetzt",
    b"neu",
    b"be",
    b"being",
    b"equals",
    b"w\xC3\xA4re",
    b"sei",
    b"devient",
    b"\xC3\xA9tait",
    b"zu",
    b"als",
    b"comme",
    b"as",
    b"via",
    b"mit",
    b"with",
    b"avec",
    b"-",
    "\u{2013}".as_bytes(),
    "\u{2014}".as_bytes(),
];
/// Those behind which a number is the password.
const VERBS: &[&[u8]] = &[b"is", b"ist", b"lautet", b"est", b"=", b":", b"->", b"=>"];
/// Words that may stand between the verb and the password.
const ADVERBS: &[&[u8]] = &[
    b"still",
    b"devenu",
    b"now",
    b"currently",
    b"just",
    b"simply",
    b"actually",
    b"always",
    b"noch",
    b"immer",
    b"jetzt",
    b"nun",
    b"aktuell",
    b"derzeit",
    b"weiterhin",
    b"einfach",
    b"toujours",
    b"encore",
    b"maintenant",
    b"d\xC3\xA9sormais",
    b"simplement",
    b"set",
    b"changed",
    b"nur",
    b"bien",
];
/// What makes what stands before it a password: "… as the password", "… ist mein Passwort".
const CALLS: &[&[u8]] = &[
    b"as",
    b"als",
    b"comme",
    b"is",
    b"ist",
    b"est",
    b"are",
    b"sind",
    b"sont",
    b"for",
    b"f\xC3\xBCr",
    b"pour",
    b"was",
    b"war",
    b"=",
    b"c'est",
];
const ARTICLES: &[&[u8]] = &[
    b"the",
    b"a",
    b"my",
    b"your",
    b"our",
    b"his",
    b"her",
    b"its",
    b"their",
    b"new",
    b"das",
    b"ein",
    b"mein",
    b"dein",
    b"unser",
    b"neues",
    b"le",
    b"un",
    b"mon",
    b"ton",
    b"notre",
    b"votre",
    b"nouveau",
    b"mot",
    b"de",
    b"admin",
    b"root",
    b"wifi",
    b"wlan",
    b"current",
    b"temporary",
];
/// Words for a name and a password together.
const LOGINS: &[&[u8]] = &[
    b"credentials",
    b"credential",
    b"creds",
    b"login",
    b"logins",
    b"zugangsdaten",
    b"zugang",
    b"anmeldedaten",
    b"logindaten",
    b"anmeldung",
    b"identifiants",
    b"identifiant",
    b"acc\xC3\xA8s",
    b"connexion",
    b"account",
    b"konto",
    b"log",
    b"sign",
];
/// Words that hold digits and are no password.
const TECHNICAL: &[&[u8]] = &[
    b"sha1",
    b"sha256",
    b"sha512",
    b"sha-256",
    b"sha-512",
    b"md5",
    b"base64",
    b"base32",
    b"argon2",
    b"argon2id",
    b"argon2i",
    b"pbkdf2",
    b"bcrypt2",
    b"oauth2",
    b"oauth2.0",
    b"saml2",
    b"utf8",
    b"utf-8",
    b"ipv4",
    b"ipv6",
    b"x509",
    b"http2",
    b"http/2",
    b"windows10",
    b"windows11",
    b"office365",
    b"microsoft365",
    b"k8s",
    b"ed25519",
    b"rsa2048",
    b"rsa4096",
    b"aes256",
    b"aes-256",
    b"aes128",
    b"ssh-2",
    b"tls1.2",
    b"tls1.3",
    b"web3",
    b"log4j",
    b"scrypt2",
];
/// Words between the noun and the verb: "the password for the staging host is …".
const BETWEEN_MAX: usize = 5;
/// A longer word is no word of a sentence.
const WORD_MAX: usize = 24;
/// How far a sentence is looked at before and behind a password.
const AROUND: usize = 56;

/// At the first letter of the noun.
pub(super) fn spoken(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    let short = at.checked_sub(2).filter(|start| starts_with_ignoring_case(text, *start, b"mdp"));
    if short.is_none() && !matches!(byte(text, at + 1) | 0x20, b'a' | b'e' | b'w' | b'/') {
        return None;
    }
    let (at, word) = match short {
        Some(start) => (start, &b"mdp"[..]),
        None => (at, *WORDS.iter().find(|word| begins(text, at, word))?),
    };
    let from = at + word.len();
    let prior = before(text, at);
    // `pass_over` is another word; `Einmalpasswort` is one.
    let inside = prior.is_ascii_alphanumeric() && !word.ends_with(b"wort");
    if inside || byte(text, from).is_ascii_alphanumeric() || byte(text, from) == b'_' {
        return None;
    }
    // `my_pass=…` is assigned, and not spoken of.
    if prior == b'_' && byte(text, from) == b'=' {
        return None;
    }
    let option = prior == b'-' && at > 1 && !byte(text, at - 2).is_ascii_alphanumeric();
    if option && is_space(byte(text, from)) {
        return password_at(text, run_end(text, from, 2, is_space));
    }
    if prior != b'-'
        && word != b"pass"
        && let Some(found) = direct(text, from)
    {
        return Some(found);
    }
    linked(text, from).or_else(|| called_before(text, at))
}

/// Whether a word begins there, whatever its case. Most begin alike: what they differ in is looked at first.
fn begins(text: &[u8], at: usize, word: &[u8]) -> bool {
    let fits = |place: usize| {
        word.get(place).is_none_or(|letter| !letter.is_ascii() || *letter == byte(text, at + place) | 0x20)
    };
    fits(4) && fits(5) && starts_with_ignoring_case(text, at, word)
}

/// The verb within a few words, then the password.
fn linked(text: &[u8], from: usize) -> Option<Finding> {
    let mut from = from + owner(text, from);
    if from > 0 && matches!(before(text, from), b's') && matches!(byte(text, from - 2), b'\'' | 0x99) {
        return password_at(text, run_end(text, from, 2, is_space));
    }
    for _ in 0..BETWEEN_MAX {
        from = run_end(text, from, 3, |b| is_space(b) || matches!(b, b'"' | b'\''));
        let end = run_end(text, from, WORD_MAX, |b| !b.is_ascii_whitespace());
        let next = slice(text, from, end);
        if next.len() >= WORD_MAX {
            return None;
        }
        if is_strong(next) || is_scrambled(next) {
            return password_at(text, from);
        }
        if is_one(next, LINKS) || next.ends_with(b":") {
            let mut value = run_end(text, end, 3, |b| is_space(b) || b == b':');
            for _ in 0..2 {
                let adverb = run_end(text, value, WORD_MAX, |b| !b.is_ascii_whitespace());
                let word = slice(text, value, adverb);
                if is_one(word.strip_suffix(b":").unwrap_or(word), ADVERBS) || is_one(word, LINKS) {
                    value = run_end(text, adverb, 2, is_space);
                }
            }
            return password_at(text, value)
                .or_else(|| number_at(text, value).filter(|_| is_one(next, VERBS)))
                .or_else(|| second(text, value));
        }
        if next.is_empty() || matches!(next.last(), Some(b'.' | b'!' | b'?' | b';')) {
            return None;
        }
        from = end;
    }
    None
}

/// What nobody would take for a word: letters and a digit with a sign among them.
pub(super) fn is_strong(value: &[u8]) -> bool {
    if value.len() < 8 || !value.iter().any(u8::is_ascii_digit) {
        return false;
    }
    let classes = Classes::of(value);
    let inside = value.get(1..value.len().saturating_sub(1)).unwrap_or_default();
    let signs = inside.iter().filter(|b| b"!@#$%^&*?".contains(b)).count();
    classes.lower + classes.upper > 3
        && (1..4).contains(&signs)
        && !is_reference(value)
        && !value.windows(3).any(|w| w == b"://")
        && !value.contains(&b'=')
        && !is_address(value)
}

/// Random letters with a sign or two among them.
fn is_scrambled(value: &[u8]) -> bool {
    let mut letters = [0; 32];
    let (mut count, mut signs) = (0, 0);
    for b in value {
        match b {
            b'!' | b'@' | b'#' | b'$' | b'%' | b'^' | b'&' | b'*' | b'?' => signs += 1,
            b if !b.is_ascii_alphabetic() => return false,
            b => {
                if let Some(place) = letters.get_mut(count) {
                    *place = *b;
                }
                count += 1;
            }
        }
    }
    let letters = letters.get(..count).unwrap_or_default();
    (1..4).contains(&signs) && count > 6 && is_scattered(letters)
}

/// Before the noun at `at`: "… as the password", "… (password)".
fn called_before(text: &[u8], at: usize) -> Option<Finding> {
    let start = at.saturating_sub(AROUND);
    let line = slice(text, start, at);
    let line = line.strip_suffix(b"mot de ".as_slice()).unwrap_or(line);
    let mut end = line.len();
    let bracket = line.last() == Some(&b'(');
    if bracket {
        end -= 1;
    } else {
        for _ in 0..3 {
            end = run_start(line, end, 2, is_space);
            let word = run_start(line, end, WORD_MAX, |b| !b.is_ascii_whitespace());
            let found = slice(line, word, end);
            end = word;
            if is_one(found, &[b"as", b"als", b"comme"]) {
                break;
            }
            if !is_one(found, ARTICLES) {
                return None;
            }
        }
    }
    let end = start + run_start(line, end, 1, is_space);
    let end = run_start(text, end, 2, |b| matches!(b, b'"' | b'\'' | b'`'));
    let from =
        run_start(text, end, 64, |b| !b.is_ascii_whitespace() && !matches!(b, b'"' | b'\'' | b'`' | b'('));
    let value = slice(text, from, end);
    let classes = Classes::of(value);
    let mixed = bracket && classes.digit > 1 && classes.lower > 1 && classes.upper > 0 && classes.other == 0;
    let made = is_scrambled(value) || is_strong(value) || (mixed && value.len() > 7);
    made.then(|| Finding::outer(Entity::Password, from, end, at + 1))
}

/// `jane@host.example`, which is another detector's.
fn is_address(value: &[u8]) -> bool {
    value.iter().position(|b| *b == b'@').is_some_and(|at| slice(value, at, value.len()).contains(&b'.'))
}

/// "are 1234 and Kestrel!48": one more after `and`.
fn second(text: &[u8], from: usize) -> Option<Finding> {
    let first = run_end(text, from, WORD_MAX, |b| !b.is_ascii_whitespace());
    let word = run_end(text, first, 1, is_space);
    let end = run_end(text, word, 4, |b| !b.is_ascii_whitespace());
    let joins: &[&[u8]] = &[b"and", b"und", b"et", b"or", b"oder", b"ou", b"/"];
    if is_one(slice(text, word, end), joins) {
        password_at(text, run_end(text, end, 2, is_space))
    } else {
        None
    }
}

/// The length of `'s` behind a noun.
fn owner(text: &[u8], from: usize) -> usize {
    let forms: [&[u8]; 2] = [b"'s", "\u{2019}s".as_bytes()];
    let found = forms.iter().find(|form| slice(text, from, from + form.len()) == **form);
    found.filter(|form| is_space(byte(text, from + form.len()))).map_or(0, |form| form.len())
}

fn is_one(word: &[u8], of: &[&[u8]]) -> bool {
    of.iter().any(|one| word.eq_ignore_ascii_case(one))
}

/// "with password Kestrel48", `password "…"`, `| password | … |`, `<password>…</password>`: without a verb, only what no
/// word of a sentence looks like.
fn direct(text: &[u8], from: usize) -> Option<Finding> {
    let start = run_end(text, from, 6, |b| {
        is_space(b) || matches!(b, b'(' | b'>' | b'|' | b'"' | b'\\' | b'\'' | b'`' | b',')
    });
    if start == from {
        return None;
    }
    // `name="password" value="…"`.
    let start =
        if slice(text, start, start + 7).eq_ignore_ascii_case(b"value=\"") { start + 7 } else { start };
    let found = password_at(text, start)?;
    let value = slice(text, found.start, found.end);
    let classes = Classes::of(value);
    let letters = classes.lower + classes.upper;
    let symbol = value.iter().any(|b| b"!@#$%^&*+?".contains(b));
    let told = classes.digit > 0 && letters > 2 && !is_one(value, TECHNICAL);
    (told || is_jumbled(value) || is_scattered(value) || (symbol && letters > 3 && classes.kinds() > 2))
        .then_some(found)
}

pub(super) fn password_at(text: &[u8], from: usize) -> Option<Finding> {
    let start = run_end(text, from, 4, |b| matches!(b, b'"' | b'\'' | b'`' | b'\\' | b'*' | b'('));
    let mut end = run_end(text, start, 128, |b| {
        !b.is_ascii_whitespace() && !matches!(b, b'"' | b'\\' | b'`' | b'<' | b'|')
    });
    while end > start && matches!(before(text, end), b'.' | b',' | b';' | b':' | b')' | b'\'' | b'?' | b'*') {
        end -= 1;
    }
    let is_one = is_made_up(slice(text, start, end)) && !is_code(text, start, end);
    is_one.then(|| Finding::outer(Entity::Password, start, end, from))
}

fn number_at(text: &[u8], start: usize) -> Option<Finding> {
    let end = digits_end(text, start, 64);
    let behind = byte(text, end);
    let ends = !behind.is_ascii_alphanumeric() && !matches!(behind, b'-' | b'/' | b'_');
    (ends && is_long_number(slice(text, start, end)))
        .then(|| Finding::outer(Entity::Password, start, end, start))
}

pub(super) fn is_made_up(value: &[u8]) -> bool {
    let classes = Classes::of(value);
    let symbol = value.iter().any(|b| b"!@#$%^&*+=~|?".contains(b));
    value.len() >= 6
        && classes.kinds() > 1
        && (classes.digit > 0 || symbol || is_jumbled(value) || is_scattered(value) || is_passphrase(value))
        && !is_reference(value)
        && !value.windows(3).any(|w| w == b"://")
}

/// A word with a digit at `start..end`, which a sentence may call a password behind it ("… as the password") or, with a
/// name, before it ("credentials are admin:…").
pub(super) fn around(scan: &Scan<'_>, start: usize, end: usize) -> Option<Finding> {
    let text = scan.text;
    let stops = |b: u8| {
        b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'`' | b'\\' | b'<' | b'>' | b'(' | b'|' | b',')
    };
    let from = run_start(text, start, 64, |b| !stops(b));
    let mut to = run_end(text, end, 64, |b| !stops(b));
    while to > end && matches!(before(text, to), b'.' | b':' | b';' | b')' | b'?') {
        to -= 1;
    }
    let whole = slice(text, from, to);
    // The common case, a number: nothing was made up.
    if whole.len() < 6 || whole.len() > 64 || !whole.iter().any(u8::is_ascii_alphabetic) {
        return None;
    }
    let pair = whole.iter().position(|b| *b == b':');
    // "root/… are the credentials".
    let both = || is_called(text, to, LOGINS) || speech::is_pair(text, from, to);
    let pair = pair.or_else(|| whole.iter().position(|b| *b == b'/').filter(|_| both()));
    let value = from + pair.map_or(0, |at| at + 1);
    let secret = slice(text, value, to);
    let classes = Classes::of(secret);
    if secret.len() < 6 || classes.digit == 0 || classes.lower + classes.upper < 3 {
        return None;
    }
    let behind = run_end(text, to, 2, |b| matches!(b, b'"' | b'\'' | b'`' | b'\\'));
    let called = value == from && is_space(byte(text, behind)) && is_called(text, to, WORDS);
    let pair = value > from && is_called(text, to, LOGINS);
    let meant = called || pair || is_login(text, from, value) || speech::is_announced(text, from, secret);
    let found = (meant && is_made_up(secret) && !is_one(secret, TECHNICAL))
        .then(|| Finding::outer(Entity::Password, value, to, end));
    found.or_else(|| column::find(scan, start))
}

/// A short number at the end of a word with a sign in it, `Kestrel!48`.
pub(super) fn behind_sign(scan: &Scan<'_>, start: usize, end: usize) -> Option<Finding> {
    let sign = before(scan.text, start);
    let glued = matches!(sign, b'!' | b'#' | b'%' | b'^' | b'*' | b'?' | b'&' | b'@')
        && before(scan.text, start - 1).is_ascii_alphabetic();
    if glued { around(scan, start, end) } else { None }
}

/// "… as the password", "… ist mein neues Passwort", "… comme mot de passe".
fn is_called(text: &[u8], end: usize, what: &[&[u8]]) -> bool {
    let ends = |b: u8| is_space(b) || matches!(b, b'"' | b'\'' | b'`' | b'\\' | b',' | b')');
    let first = run_end(text, end, AROUND, ends);
    if !may_call(byte(text, first), byte(text, first + 1)) {
        return false;
    }
    let rest = slice(text, end, text.len().min(end + AROUND));
    let sentence = rest.split(|b| matches!(b, b'\n' | b'.' | b'!' | b'?')).next().unwrap_or_default();
    let mut words = sentence.split(|b| ends(*b)).filter(|w| !w.is_empty());
    if !words.next().is_some_and(|word| is_one(word, CALLS)) {
        return false;
    }
    words
        .take(4)
        .find(|word| !is_one(word, ARTICLES))
        .is_some_and(|word| is_one(word, what) || is_one(word, &[b"mdp"]))
}

/// Whether one of `CALLS` may begin so: most words begin otherwise.
fn may_call(first: u8, second: u8) -> bool {
    matches!(
        (first | 0x20, second | 0x20),
        (b'a', b's' | b'l' | b'r')
            | (b'c', b'o' | b'\'')
            | (b'i' | b'e', b's')
            | (b's', b'i' | b'o')
            | (b'f' | b'=', _)
            | (b'p', b'o')
            | (b'w', b'a')
    )
}

/// What stands between the words before a value.
fn parts(b: u8) -> bool {
    is_space(b) || matches!(b, b':' | b'=' | b'(' | b'"' | b'\'' | b'`' | b',')
}

/// What stands between the word for both and the value.
const JOINS: &[&[u8]] = &[b"/", b"|", b"with", b"mit", b"avec", b"and", b"und", b"et", b"-"];

/// Whether one of them may end so: most words end otherwise.
fn may_join(last: u8) -> bool {
    matches!(last | 0x20, b'/' | b'|' | b'-' | b'h' | b't' | b'c' | b'd')
}

/// "credentials are admin:…", "Zugangsdaten: admin / …", "login eva mit …": a word for both, then a name and the value.
fn is_login(text: &[u8], from: usize, value: usize) -> bool {
    // Without a name before it only what joins it with one.
    if value == from && !may_join(before(text, run_start(text, from, AROUND, parts))) {
        return false;
    }
    let head = slice(text, from.saturating_sub(AROUND), from);
    let line = head.rsplit(|b| matches!(b, b'\n' | b'.' | b'!' | b'?')).next().unwrap_or_default();
    let mut words = line.rsplit(|b| parts(*b)).filter(|w| !w.is_empty()).take(5);
    let Some(last) = words.next() else { return false };
    (value > from && is_one(last, LOGINS))
        || ((value > from || is_one(last, JOINS)) && words.any(|word| is_one(word, LOGINS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_is_passed_over_by_its_letters() {
        for word in CALLS {
            for word in [word.to_ascii_lowercase(), word.to_ascii_uppercase()] {
                assert!(may_call(byte(&word, 0), byte(&word, 1)), "{word:?}");
            }
        }
        for word in JOINS {
            for word in [word.to_ascii_lowercase(), word.to_ascii_uppercase()] {
                assert!(may_join(before(&word, word.len())), "{word:?}");
            }
        }
    }
}
