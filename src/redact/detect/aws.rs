//! AWS_ACCESS_KEY by its prefix. The AWS_SECRET_KEY that stands beside one is found in `run`.

use super::bytes::{before, byte, slice, starts_apart};
use super::{Finding, Scan};
use crate::redact::entity::Entity;

const PREFIXES: &[&[u8]] = &[b"AKIA", b"ASIA", b"ABIA", b"ACCA"];
const KEY_LEN: usize = 20;

/// Anchored at the third letter, which is rarer than the `A`.
pub(super) fn access_key(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let start = at.checked_sub(2)?;
    is_access_key(scan.text, start).then(|| Finding::whole(Entity::AwsAccessKey, start, start + KEY_LEN))
}

/// Whether one begins at `start`.
pub(super) fn is_access_key(text: &[u8], start: usize) -> bool {
    let word = slice(text, start, start + KEY_LEN);
    // `AKIAXXXXXXXXXXXXXXXX` stands for one.
    let body = slice(word, 4, word.len());
    PREFIXES.iter().any(|p| word.starts_with(p))
        && word.len() == KEY_LEN
        && body.iter().any(|b| Some(b) != body.first())
        && word.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        && (starts_apart(text, start) || before(text, start) == b'_' && word.iter().any(u8::is_ascii_digit))
        && !byte(text, start + KEY_LEN).is_ascii_alphanumeric()
}
