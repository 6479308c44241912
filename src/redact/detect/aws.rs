//! AWS_ACCESS_KEY by its prefix, and the AWS_SECRET_KEY that stands beside one.

use super::bytes::{Classes, byte, is_base64, run_end, run_start, slice, starts_apart};
use super::{Finding, Scan};
use crate::redact::entity::Entity;

const PREFIXES: &[&[u8]] = &[b"AKIA", b"ASIA"];
const KEY_LEN: usize = 20;
const SECRET_LEN: usize = 40;
const BESIDE: usize = 160;

/// Anchored at the `I`, which is rarer than the `A`.
pub(super) fn access_key(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let start = at.checked_sub(2)?;
    is_access_key(scan.text, start).then(|| Finding::whole(Entity::AwsAccessKey, start, start + KEY_LEN))
}

fn is_access_key(text: &[u8], start: usize) -> bool {
    let word = slice(text, start, start + KEY_LEN);
    PREFIXES.iter().any(|p| word.starts_with(p))
        && word.len() == KEY_LEN
        && word.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        && starts_apart(text, start)
        && !byte(text, start + KEY_LEN).is_ascii_alphanumeric()
}

/// Forty characters of base64 within a few lines behind an access key (or a placeholder of one).
pub(super) fn secret_key(scan: &Scan<'_>, start: usize, _: usize) -> Option<usize> {
    let text = scan.text;
    let from = run_start(text, start, SECRET_LEN, is_base64);
    if from != start {
        return None;
    }
    let end = run_end(text, start, SECRET_LEN + 1, is_base64);
    let classes = Classes::of(slice(text, start, end));
    let shaped = end - start == SECRET_LEN && classes.lower > 0 && classes.upper > 0 && classes.digit > 0;
    if !shaped || byte(text, end) == b'=' {
        return None;
    }
    let beside = slice(text, start.saturating_sub(BESIDE), start);
    beside.windows(4).any(|w| PREFIXES.contains(&w)).then_some(end)
}
