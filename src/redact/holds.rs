//! What a text holds at all, seen once: what is not in it is looked for no further, not in the passes behind the first either.
//!
//! Those see what the first left, with placeholders in it. A placeholder holds no blank, no line break and no character beyond
//! ASCII; its bracket opens nothing that reads as something else, for a colon stands behind its name. So they see nothing of
//! what was not in the text before.

use std::ops::Range;

use super::reading;

/// Each is true where it is not known.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is of another kind of thing, and all can be together"
)]
pub(super) struct Holds {
    /// Characters that may read as others.
    pub(super) folded: bool,
    /// What may begin something that reads as something else.
    pub(super) marks: bool,
    pub(super) feeds: bool,
    /// Words for a point.
    pub(super) points: bool,
    /// Runs that may be encoded text.
    pub(super) runs: bool,
    /// Placeholders.
    pub(super) walls: bool,
    /// The stretches between those that the pass before wrote, if all are.
    pub(super) free: Option<Vec<Range<usize>>>,
}

impl Holds {
    /// What can be told of a text at a glance.
    pub(super) fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let plain = reading::is_plain(bytes);
        Self {
            folded: !plain && !text.is_ascii(),
            marks: reading::holds_mark(bytes) || !plain && reading::holds_control(bytes),
            feeds: memchr::memchr(b'\n', bytes).is_some(),
            points: reading::holds_point(bytes),
            runs: true,
            walls: true,
            free: None,
        }
    }
}
