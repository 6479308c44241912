//! JWT: base64url of `{"`, a dot, a payload, and a signature that may be missing or cut.

use super::bytes::{byte, is_url_safe, run_end, slice, starts_apart};
use super::{Finding, Scan};
use crate::redact::entity::Entity;

pub(super) fn find(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    let start = at.checked_sub(2)?;
    if byte(text, at) != b'J' || slice(text, start, at) != b"ey" || !starts_apart(text, start) {
        return None;
    }
    let header = segment(text, start);
    if header - start < 12 || byte(text, header) != b'.' {
        return None;
    }
    let mut end = segment(text, header + 1);
    if end - header < 5 {
        return None;
    }
    // A signed token has one more segment, an encrypted one three.
    for _ in 0..3 {
        if byte(text, end) != b'.' {
            break;
        }
        end = segment(text, end + 1);
    }
    if slice(text, end - 1, end) == b"." {
        end -= 1;
    }
    Some(Finding::whole(Entity::Jwt, start, end))
}

/// The scan goes on behind what is found, so that length costs nothing twice.
fn segment(text: &[u8], from: usize) -> usize {
    run_end(text, from, usize::MAX, is_url_safe)
}
