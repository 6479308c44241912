//! PRIVATE_KEY: PEM from BEGIN to END, whatever stands between (line breaks may be literal `\n`).
//! Without an END, to the end of the text: a key that was cut is still half a key.

use super::bytes::{byte, run_end, slice};
use super::{Finding, Scan};
use crate::redact::entity::Entity;

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";

pub(super) fn find(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    if slice(text, at, at + BEGIN.len()) != BEGIN {
        return None;
    }
    let body = label_end(text, at + BEGIN.len())?;
    let rest = text.get(body..).unwrap_or_default();
    let end = memchr::memmem::find(rest, END).and_then(|n| label_end(text, body + n + END.len()));
    Some(Finding::whole(Entity::PrivateKey, at, end.unwrap_or(text.len())))
}

/// Behind the dashes that close a label which names a private key.
fn label_end(text: &[u8], from: usize) -> Option<usize> {
    let label = run_end(text, from, 48, |b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ');
    let name = slice(text, from, label);
    let private = name.windows(11).any(|w| w == b"PRIVATE KEY");
    let dashes = run_end(text, label, 5, |b| b == b'-');
    (private && byte(text, label) == b'-').then_some(dashes)
}
