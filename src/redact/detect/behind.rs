//! What a sentence says behind a value that is a password: "… as the password", "… ist mein neues Passwort".

use super::bytes::{byte, is_space, run_end, slice};
use super::lead::is_one_of;
use super::password::is_one;

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
    b"en",
];
pub(super) const ARTICLES: &[&[u8]] = &[
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
/// How far a sentence is looked at.
const AROUND: usize = 56;

/// "… as the password", "… ist mein neues Passwort", "… comme mot de passe".
pub(super) fn is_called(text: &[u8], end: usize, what: &[&[u8]]) -> bool {
    let ends = |b: u8| is_space(b) || matches!(b, b'"' | b'\'' | b'`' | b'\\' | b',' | b';' | b')');
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

/// Whether a blank and one of its verbs may follow: behind most of what a machine made neither does.
pub(super) fn may_be_key(text: &[u8], end: usize) -> bool {
    let quote = usize::from(matches!(byte(text, end), b'"' | b'\'' | b'`'));
    byte(text, end + quote) == b' ' && matches!(byte(text, end + quote + 1) | 0x20, b'i' | b'e' | b'w')
}

/// What a key is of that lets nobody in.
pub(super) const OTHERS: &[&str] = &[
    "public",
    "\u{f6}ffentlicher",
    "\u{f6}ffentliche",
    "publique",
    "primary",
    "foreign",
    "cache",
    "partition",
    "idempotency",
    "object",
    "sort",
    "map",
    "hash",
    "commit",
    "contract",
    "digest",
    "fingerprint",
    "row",
    "routing",
    "dedupe",
    "deduplication",
    "correlation",
    "message",
    "grouping",
    "lookup",
    "issue",
    "registry",
];

/// "… is my private key", "… ist der geheime Schl\u{fc}ssel": what a machine made, before what it is.
#[cold]
pub(super) fn is_key(text: &[u8], end: usize) -> bool {
    const KEYS: &[&str] = &[
        "key",
        "token",
        "secret",
        "schl\u{fc}ssel",
        "api-key",
        "apikey",
        "cl\u{e9}",
        "jeton",
        "api-schl\u{fc}ssel",
    ];
    let from = run_end(text, end, 3, |b| is_space(b) || matches!(b, b'"' | b'\'' | b'`' | b','));
    if !may_call(byte(text, from), byte(text, from + 1)) {
        return false;
    }
    let rest = slice(text, from, text.len().min(from + AROUND));
    let sentence =
        rest.split(|b| matches!(b, b'\n' | b'.' | b'!' | b'?' | b',' | b';')).next().unwrap_or_default();
    let mut words = sentence.split(|b| is_space(*b)).filter(|word| !word.is_empty());
    words.next().is_some_and(|word| is_one(word, &[b"is", b"ist", b"est", b"was", b"war"]))
        && words.take(5).take_while(|word| !is_one_of(word, OTHERS)).any(|word| is_one_of(word, KEYS))
}

/// Whether one of `CALLS` may begin so: most words begin otherwise.
fn may_call(first: u8, second: u8) -> bool {
    matches!(
        (first | 0x20, second | 0x20),
        (b'a', b's' | b'l' | b'r')
            | (b'c', b'o' | b'\'')
            | (b'i', b's')
            | (b'e', b's' | b'n')
            | (b's', b'i' | b'o')
            | (b'f' | b'=', _)
            | (b'p', b'o')
            | (b'w', b'a')
    )
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
    }
}
