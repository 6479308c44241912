//! The one pass over a text: jump from trigger byte to trigger byte, ask the detectors of that trigger.
//! Apart from the detectors, which know nothing of each other or of the order they run in.

use super::detect;
use super::entity::{Detectors, Entity};

/// A stretch of text between placeholders, and what is known about it.
pub(super) struct Scan<'a> {
    /// UTF-8.
    pub(super) text: &'a [u8],
    /// The JSON key that this text is the value of, else empty.
    pub(super) key: &'a str,
    pub(super) on: Detectors,
}

/// Bytes `start..end` are sensitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) what: What,
    /// Where the scan goes on: the end, or earlier when something more specific may stand inside.
    pub(super) resume: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Entity(Entity),
    /// The tenant's pattern of this index.
    Own(usize),
    /// A large data: URL, summarised as its media type and size; `type_end` is where the type ends.
    Data {
        type_end: usize,
        bytes: usize,
    },
}

impl Finding {
    /// A value that nothing else needs to be looked for in.
    pub(super) fn whole(entity: Entity, start: usize, end: usize) -> Self {
        Self { start, end, what: What::Entity(entity), resume: end }
    }

    /// Moves from a stretch of the text to the whole.
    pub(super) fn shift(&mut self, by: usize) {
        self.start += by;
        self.end += by;
        if let What::Data { type_end, .. } = &mut self.what {
            *type_end += by;
        }
    }

    /// A value that may hold a more specific one.
    pub(super) fn outer(entity: Entity, start: usize, end: usize, resume: usize) -> Self {
        Self { start, end, what: What::Entity(entity), resume }
    }
}

/// What a detector answers: what it found, if anything, and from where the scan goes on.
pub(super) enum Step {
    Found(Finding),
    /// Nothing before this offset.
    Skip(usize),
}

impl Scan<'_> {
    /// All findings, by ascending place of their trigger.
    pub(super) fn run(&self, out: &mut Vec<Finding>) {
        let mut at = 0;
        while let Some(skip) =
            self.text.get(at..).and_then(|rest| rest.iter().position(|b| trigger(*b) != Trigger::None))
        {
            at += skip;
            let next = match self.step(at) {
                Step::Found(finding) => {
                    out.push(finding);
                    finding.resume
                }
                Step::Skip(to) => to,
            };
            at = next.max(at + 1);
        }
    }

    fn step(&self, at: usize) -> Step {
        let kind = trigger(super::bytes::byte(self.text, at));
        if kind == Trigger::Digit {
            return detect::at_digit(self, at);
        }
        let found = detect::at(kind).iter().find_map(|detector| detector(self, at));
        found.map_or(Step::Skip(at + 1), Step::Found)
    }
}

/// Why the scan stops at a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trigger {
    None,
    Digit,
    At,
    Colon,
    Equals,
    Dash,
    Underscore,
    /// The first letter of a word for a password.
    Noun,
    /// A capital that stands in the prefix of a credential.
    Capital,
}

const fn table() -> [Trigger; 256] {
    let mut table = [Trigger::None; 256];
    let mut at = 0_usize;
    while at < 256 {
        #[expect(clippy::cast_possible_truncation, clippy::indexing_slicing, reason = "at < 256")]
        {
            table[at] = match at as u8 {
                b'0'..=b'9' => Trigger::Digit,
                b'@' => Trigger::At,
                b':' => Trigger::Colon,
                b'=' => Trigger::Equals,
                b'-' => Trigger::Dash,
                b'_' => Trigger::Underscore,
                b'p' | b'P' | b'k' | b'K' => Trigger::Noun,
                b'I' | b'J' | b'G' | b'B' => Trigger::Capital,
                _ => Trigger::None,
            };
        }
        at += 1;
    }
    table
}

static TABLE: [Trigger; 256] = table();

fn trigger(byte: u8) -> Trigger {
    TABLE.get(usize::from(byte)).copied().unwrap_or(Trigger::None)
}
