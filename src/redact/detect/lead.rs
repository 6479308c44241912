//! The words that stand right before a value, nearest first, past signs and past words that only link.

use super::bytes::{holds_word, is_alphanumeric, is_digit, run_start, slice};

/// How far they are looked at.
const LOOK: usize = 48;
/// More words than that link nothing.
const LINKS_MAX: usize = 4;

/// Words that join a noun or a verb with the value behind it.
const LINKS: &[&str] = &[
    "is", "ist", "est", "s", "now", "jetzt", "lautet", "le", "la", "les", "at", "on", "an", "au", "auf",
    "unter", "under", "via", "per", "to", "for", "me", "mich", "mir", "moi", "us", "uns", "nous", "here",
    "hier", "new", "neue", "neuer", "nouveau", "private", "privat", "direct", "addr", "address", "adresse",
];

/// Words before a number of something that is no person.
pub(super) const OTHERS: &[&str] = &[
    "part",
    "artikel",
    "art",
    "article",
    "sku",
    "item",
    "order",
    "bestellung",
    "bestellnummer",
    "commande",
    "rechnung",
    "invoice",
    "facture",
    "ticket",
    "case",
    "vorgang",
    "aktenzeichen",
    "ref",
    "r\u{e9}f",
    "reference",
    "model",
    "modell",
    "mod\u{e8}le",
    "serial",
    "seriennummer",
    "isbn",
    "ean",
    "gtin",
    "issue",
    "batch",
    "charge",
    "lot",
    "version",
    "build",
    "firmware",
    "port",
    "ports",
    "rma",
    "tracking",
    "dossier",
    "auftrag",
    "kundennummer",
    "teilenummer",
    "teilenr",
    "artikelnummer",
    "artikelnr",
    "materialnummer",
    "z\u{e4}hlerstand",
    "z\u{e4}hlernummer",
    "z\u{e4}hler",
    "meter",
    "compteur",
    "dpi",
    "perms",
    "permissions",
    "chmod",
    "ids",
    "coords",
];

/// What makes such a word a place, not the name of the number: `put it on the invoice: …`.
pub(super) const PLACES: &[&str] =
    &["on the", "on my", "on your", "auf der", "auf die", "auf meine", "sur la", "sur le", "sur ma"];

/// The same before a moment or a sum.
const SUMS: &[&str] = &[
    "ts",
    "timestamp",
    "created_at",
    "updated_at",
    "expires_at",
    "epoch",
    "unix",
    "time",
    "zeitstempel",
    "horodatage",
    "compute",
    "calculate",
    "berechne",
    "calcule",
    "why is",
    "warum ist",
    "pourquoi",
    "sum",
    "summe",
    "somme",
    "hash",
    "seed",
];

/// Whether what stands right before a number says that it is of something else: `ts=…`, "Order number …", `13! = …`; but
/// not if one of `words` stands there, too.
pub(super) fn names_other(text: &[u8], start: usize, words: &[&str]) -> bool {
    let head = slice(text, start.saturating_sub(LOOK), start);
    let mut from = head
        .iter()
        .rposition(|b| is_digit(*b) || matches!(b, b'\n' | b'\r' | b',' | b';'))
        .map_or(0, |at| at + 1);
    if let Some(end) = head.windows(2).rposition(|two| matches!(two, b". " | b"! " | b"? ")) {
        // A word that a point shortens belongs to the number: "Nr. …".
        let last = run_start(head, end, 12, is_of_word);
        from = from.max(if end - last > 4 { end + 2 } else { from });
    }
    let own = slice(head, from, head.len());
    let sum = own.contains(&b'=')
        && own.iter().any(|b| b"!*^+)".contains(b))
        && !own.iter().any(u8::is_ascii_alphabetic);
    !holds_word(own, words)
        && (sum || holds_word(own, SUMS) || (holds_word(own, OTHERS) && !holds_word(own, PLACES)))
}

/// The last word before `at` that does not link, and the one before it; empty where there is none.
pub(super) fn words(text: &[u8], at: usize) -> [&[u8]; 2] {
    let head = slice(text, at.saturating_sub(LOOK), at);
    let (first, from) = last(head, head.len());
    let (second, _) = last(head, from);
    [first, second]
}

fn last(head: &[u8], mut end: usize) -> (&[u8], usize) {
    for _ in 0..=LINKS_MAX {
        let stop = run_start(head, end, LOOK, is_sign);
        let begin = run_start(head, stop, LOOK, is_of_word);
        let word = slice(head, begin, stop);
        end = begin;
        if word.first().is_none_or(|b| is_digit(*b)) || !is_one_of(word, LINKS) {
            return (word, end);
        }
    }
    (&[], 0)
}

pub(super) fn is_one_of(word: &[u8], of: &[&str]) -> bool {
    of.iter().any(|one| word.eq_ignore_ascii_case(one.as_bytes()))
}

fn is_sign(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r' | b':' | b'=' | b'#' | b'"' | b'\'' | b'(' | b'-' | b'*' | b'`')
}

fn is_of_word(b: u8) -> bool {
    is_alphanumeric(b) || b == b'_' || b >= 0x80
}
