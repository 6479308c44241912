//! When a word for a password speaks of none: `pass` as a verb, "the password length", "temps passé".

use super::bytes::{before, byte, is_space, run_end, run_start, slice};
use super::lead::is_one_of;

const WORD_MAX: usize = 24;
/// Words that hold digits and are no password.
pub(super) const TECHNICAL: &[&[u8]] = &[
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
    b"utf8mb4",
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
/// How far a sentence is looked at.
const AHEAD: usize = 64;

/// Behind the noun these make it say what kind of thing they are.
const THINGS: &[&str] = &[
    "length",
    "policy",
    "policies",
    "hashing",
    "algorithm",
    "manager",
    "managers",
    "generator",
    "strength",
    "encryption",
    "authentication",
    "expiry",
    "expiration",
    "rotation",
    "prompt",
    "page",
    "screen",
    "form",
    "dialog",
    "column",
    "complexity",
    "based",
    "protected",
    "protection",
    "rules",
    "requirements",
    "validation",
    "validator",
    "checker",
    "hasher",
    "input",
    "box",
    "table",
    "endpoint",
    "flow",
    "feature",
    "grant",
    "storage",
    "regex",
    "regexp",
    "pattern",
    "rule",
];
/// What a password is said to be with.
const VERBS: &[&str] = &[
    "is",
    "are",
    "was",
    "ist",
    "sind",
    "war",
    "lautet",
    "est",
    "\u{e9}tait",
    "sont",
    "becomes",
    "wird",
    "reads",
    "equals",
    "bleibt",
    "remains",
    "has",
    "changed",
    "got",
    "now",
    "jetzt",
    "neu",
];
/// Before `pass` these make it a noun.
const OWNERS: &[&str] = &[
    "my",
    "your",
    "our",
    "his",
    "her",
    "their",
    "the",
    "new",
    "old",
    "current",
    "temp",
    "temporary",
    "admin",
    "root",
    "user",
    "username",
    "db",
    "database",
    "wifi",
    "wi-fi",
    "wlan",
    "login",
    "email",
    "mail",
    "ftp",
    "ssh",
    "smtp",
    "vpn",
    "das",
    "dein",
    "mein",
    "unser",
    "neues",
    "le",
    "mon",
    "ton",
    "notre",
    "votre",
    "nouveau",
];
/// What is done to a password; `pass` behind it is one.
const SETS: &[&str] = &[
    "set",
    "sets",
    "reset",
    "change",
    "changed",
    "changing",
    "update",
    "updated",
    "switch",
    "switched",
    "rotate",
    "rotated",
    "setze",
    "\u{e4}ndere",
    "change\u{301}",
    "chang\u{e9}",
];
/// Joins that need such a verb behind `pass`.
const WEAK: &[&str] = &["to", "as", "with", "via", "auf", "zu", "als", "mit", "avec", "comme", "-"];

/// Whether the noun at `at..from` names no password.
pub(super) fn is_other(text: &[u8], at: usize, from: usize) -> bool {
    // `passé`, `/etc/passwd`.
    if byte(text, from) == 0xC3 || slice(text, at.saturating_sub(4), at) == b"etc/" {
        return true;
    }
    let gap = run_end(text, from, 2, |b| is_space(b) || b == b'-');
    let end = run_end(text, gap, WORD_MAX, |b| b.is_ascii_alphabetic());
    let next = slice(text, gap, end);
    if gap > from && is_one_of(next, THINGS) {
        return true;
    }
    slice(text, at, from).eq_ignore_ascii_case(b"pass") && is_verb(text, at, from)
}

/// "Tests pass, deploy to …", "pass the file to …".
fn is_verb(text: &[u8], at: usize, from: usize) -> bool {
    let gap = run_end(text, from, 3, |b| is_space(b) || matches!(b, b'"' | b'\'' | b'`'));
    let sign = byte(text, gap);
    // `pass: …`, `user/pass`, `db_pass`.
    if matches!(sign, b':' | b'=' | b'|' | b'>') || matches!(before(text, at), b'/' | b'_') {
        return false;
    }
    let next = slice(text, gap, run_end(text, gap, WORD_MAX, |b| !b.is_ascii_whitespace()));
    if matches!(next, b"->" | b"=>") || is_one_of(next, VERBS) || super::password::is_strong(next) {
        return false;
    }
    if matches!(sign, b',' | b'.' | b';' | b'!' | b'?') {
        return true;
    }
    // "pass for the wifi is …".
    if is_one_of(next, &["for", "f\u{fc}r", "pour", "du", "vom"]) && goes_on(text, gap) {
        return false;
    }
    let mut prior: [&[u8]; 4] = [b""; 4];
    let mut end = at;
    for place in &mut prior {
        end = run_start(text, end, 2, is_space);
        let begin = run_start(text, end, WORD_MAX, |b| !b.is_ascii_whitespace());
        *place = slice(text, begin, end);
        end = begin;
    }
    let set = prior.iter().any(|word| is_one_of(word, SETS));
    let owned = prior.first().is_some_and(|word| is_one_of(word, OWNERS));
    !set && (!owned || is_one_of(next, WEAK))
}

/// Whether a sentence goes on to say what the password is, past the comma at `from`: "the password, as agreed, is …".
pub(super) fn goes_on(text: &[u8], from: usize) -> bool {
    let rest = slice(text, from, text.len().min(from + AHEAD));
    let sentence = rest.split(|b| matches!(b, b'\n' | b'.' | b'!' | b'?' | b';')).next().unwrap_or_default();
    sentence.split(|b| is_space(*b) || matches!(b, b',' | b':')).any(|word| is_one_of(word, VERBS))
        || sentence.iter().any(|b| matches!(b, b':' | b'='))
}

/// Whether the word before `at` says that the password goes to a place: "sent to …", "stored with …".
pub(super) fn is_moved(text: &[u8], at: usize) -> bool {
    const MOVES: &[&str] = &[
        "sent",
        "send",
        "sends",
        "stored",
        "saved",
        "written",
        "logged",
        "passed",
        "forwarded",
        "copied",
        "emailed",
        "mailed",
        "submitted",
        "redirected",
        "given",
        "points",
        "leads",
        "posted",
        "exposed",
        "gesendet",
        "geschickt",
        "gespeichert",
        "\u{fc}bergeben",
        "envoy\u{e9}",
        "transmis",
        "enregistr\u{e9}",
        "hashed",
        "compared",
        "encrypted",
        "gehasht",
    ];
    let end = run_start(text, at, 2, is_space);
    let begin = run_start(text, end, WORD_MAX, |b| !b.is_ascii_whitespace());
    is_one_of(slice(text, begin, end), MOVES)
}

/// `12chars`, `14Zeichen`: how many.
fn is_count(value: &[u8]) -> bool {
    const UNITS: &[&str] = &[
        "chars",
        "char",
        "characters",
        "zeichen",
        "caract\u{e8}res",
        "digits",
        "ziffern",
        "stellen",
        "chiffres",
        "letters",
    ];
    let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
    digits > 0 && is_one_of(slice(value, run_end(value, digits, 1, |b| b == b'-'), value.len()), UNITS)
}

/// `Argon2id`, `rfc7613`, `SHA-256`, `MD5-Authentifizierung`: a standard's name and its number.
pub(super) fn is_standard(value: &[u8]) -> bool {
    const NAMES: &[&str] = &[
        "rfc", "md", "sha", "utf", "aes", "pkcs", "iso", "cve", "tls", "ssl", "http", "ipv", "rsa", "bcrypt",
        "argon", "oauth", "saml", "pbkdf", "base", "ed", "curve", "secp", "win", "windows", "python", "java",
        "node", "vue", "es", "php", "hmac", "x", "ecdsa", "chacha", "blake", "crc", "scrypt", "ntlm",
        "ntlmv", "http/", "tlsv", "nist", "fips",
    ];
    let letters = value.iter().take_while(|b| b.is_ascii_alphabetic() || **b == b'/').count();
    let number = run_end(value, letters, 1, |b| matches!(b, b'-' | b'_'));
    let digits = run_end(value, number, 8, |b| b.is_ascii_digit() || b == b'.');
    let tail = slice(value, digits, value.len());
    let words = tail.iter().all(|b| b.is_ascii_lowercase() || *b >= 0x80)
        || letters > 1
            && matches!(tail, [b'-', rest @ ..] if rest.iter().all(|b| b.is_ascii_alphabetic() || *b >= 0x80 || *b == b'-' || b.is_ascii_digit()));
    is_count(value) || digits > number && words && is_one_of(slice(value, 0, letters), NAMES)
}
