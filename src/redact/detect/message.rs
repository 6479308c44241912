//! What is said about a password where one would stand: a validator's rule (`required|min:12`), a message ("Please enter your
//! password"), a pattern (`^(?=.*[A-Z]).{12,}$`).

use super::lead::is_one_of;
use super::words::is_passphrase;

const VALUE_MAX: usize = 256;
/// Names of rules; those of the second list are followed by a number.
const RULES: &[&str] = &[
    "required",
    "nullable",
    "string",
    "confirmed",
    "sometimes",
    "present",
    "filled",
    "bail",
    "email",
    "unique",
    "same",
    "different",
    "regex",
    "current_password",
    "alpha_num",
    "alpha_dash",
    "required_with",
    "required_if",
    "required_without",
    "trim",
    "matches",
];
const COUNTS: &[&str] = &[
    "min",
    "max",
    "len",
    "length",
    "size",
    "between",
    "digits",
    "minlength",
    "maxlength",
    "min_length",
    "max_length",
    "minlen",
    "maxlen",
];
/// What is counted in messages: of another number there nobody speaks.
const COUNTED: &[&str] = &["characters", "chars", "letters", "zeichen", "caract\u{e8}res"];
/// What messages speak of. That something must be, or is asked for, passphrases say too.
const WORDS: &[&str] = &[
    "password",
    "passwords",
    "passwort",
    "passw\u{f6}rter",
    "kennwort",
    "passphrase",
    "passe",
    "required",
    "empty",
    "field",
];

/// Whether a value is a rule, a message or a pattern.
#[inline(always)]
pub(super) fn is_about(value: &[u8]) -> bool {
    // Most values hold none of these.
    (value.first() == Some(&b'^') || memchr::memchr3(b' ', b'|', b':', value).is_some()) && speaks(value)
}

#[cold]
fn speaks(value: &[u8]) -> bool {
    is_pattern(value) || is_rule(value) || value.contains(&b' ') && is_message(value)
}

fn is_pattern(value: &[u8]) -> bool {
    let holds = |part: &[u8]| value.windows(part.len()).any(|w| w == part);
    value.starts_with(b"^")
        && (value.ends_with(b"$") || holds(b"(?"))
        && (holds(b"(?") || holds(b"[A-Z") || holds(b"[a-z") || holds(b".*") || holds(b".{") || holds(b"\\d"))
}

fn is_rule(value: &[u8]) -> bool {
    let (mut count, mut known, mut counted) = (0, 0, false);
    let fits = value.len() <= VALUE_MAX
        && value.split(|b| *b == b'|').all(|part| {
            count += 1;
            let colon = part.iter().position(|b| *b == b':');
            let name = part.get(..colon.unwrap_or(part.len())).unwrap_or_default();
            let number = colon.and_then(|at| part.get(at + 1..)).unwrap_or_default();
            let digits = !number.is_empty() && number.iter().all(|b| b.is_ascii_digit() || *b == b',');
            let of_count = digits && is_one_of(name, COUNTS);
            counted |= of_count;
            known += u32::from(is_one_of(name, RULES));
            !name.is_empty() && name.iter().all(|b| b.is_ascii_lowercase() || *b == b'_')
        });
    fits && (counted || count > 1 && known > 1)
}

/// Words, of which one speaks of passwords or of a form's field, and none is one.
#[cold]
fn is_message(value: &[u8]) -> bool {
    let mut words = value.split(|b| *b == b' ').filter(|word| !word.is_empty());
    let bare =
        |word: &[u8]| word.iter().any(|b| b.is_ascii_alphabetic()) && word.iter().any(u8::is_ascii_digit);
    let sign = |b: &u8| b"!@#$%^&*=+~".contains(b);
    let speaks_of = |names| {
        let apart = |b: &u8| b.is_ascii_whitespace() || b".,!?:\"'-".contains(b);
        value.split(apart).any(|word| is_one_of(word, names))
    };
    let digits = value.iter().any(u8::is_ascii_digit);
    let spoken = speaks_of(COUNTED) || !digits && speaks_of(WORDS);
    spoken
        && value.len() <= VALUE_MAX
        && !words.any(|word| bare(word) || word.get(..word.len() - 1).unwrap_or_default().iter().any(sign))
        && !is_passphrase(value)
}
