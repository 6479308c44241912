//! Laws of redaction, and tables of what must go and what must stay. All values are made up.

use proptest::prelude::*;

use super::*;

fn redactor() -> Redactor {
    Redactor::new(TenantSecret::derive(b"test", "acme"), Detectors::all(), Vec::new())
}

/// The redacted text with tokens taken out: `[JWT]`.
fn shape(text: &str) -> String {
    let mut parts = text.split(':');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let token = part.bytes().take_while(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7')).count();
        match part.get(16..) {
            Some(rest) if token == 16 && rest.starts_with(']') => out.push_str(rest),
            _ => out.extend([":", part]),
        }
    }
    out
}

#[track_caller]
fn check(input: &str, expected: &str) {
    let redacted = redactor().line(input);
    assert_eq!(shape(redacted.as_str()), expected);
    assert_eq!(redactor().line(redacted.as_str()).as_str(), redacted.as_str(), "twice is once");
}

#[track_caller]
fn stays(input: &str) {
    check(input, input);
}

/// Letters and digits without meaning, from a fixed recurrence.
fn random(len: usize) -> String {
    const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let mut state = 7_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(ALPHABET[usize::try_from(state >> 16).unwrap() % ALPHABET.len()])
    };
    (0..len).map(next).collect()
}

mod arguments;
mod clean;
mod cookies;
mod credentials;
mod forms;
mod found;
mod hidden;
mod kept;
mod laws;
mod neighbours;
mod placed;
mod said;
mod told;
mod varied;
mod written;
