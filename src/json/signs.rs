//! What the signs of a document tell of what it takes once it is read, piece by piece as it comes: a look at all of a large
//! one at once would keep others waiting.

use super::Value;
use std::borrow::Cow;

/// The words that are values, and are no numbers.
const WORDS: [&[u8]; 3] = [b"null", b"true", b"false"];
/// A word may be cut after so many bytes.
const CUT_MAX: usize = 4;

/// How many there are of each, in strings too.
#[derive(Debug, Default)]
pub struct Signs {
    bytes: usize,
    arrays: usize,
    objects: usize,
    members: usize,
    items: usize,
    quotes: usize,
    is_escaped: bool,
    /// It holds a value that is no number, string, array or object.
    is_mixed: bool,
    /// The end of what came, in which a word may have begun.
    last: Vec<u8>,
}

impl Signs {
    /// The next piece.
    pub fn add(&mut self, piece: &[u8]) {
        let count = |sign: u8| memchr::memchr_iter(sign, piece).count();
        self.bytes += piece.len();
        self.arrays += count(b'[');
        self.objects += count(b'{');
        self.members += count(b':');
        self.items += count(b',');
        self.quotes += count(b'"');
        self.is_escaped = self.is_escaped || memchr::memchr(b'\\', piece).is_some();
        let holds = |text: &[u8]| WORDS.iter().any(|word| memchr::memmem::find(text, word).is_some());
        self.last.extend_from_slice(piece.get(..CUT_MAX).unwrap_or(piece));
        self.is_mixed = self.is_mixed || holds(&self.last) || holds(piece);
        if let Some(end) = piece.len().checked_sub(CUT_MAX).and_then(|at| piece.get(at..)) {
            self.last.clear();
            self.last.extend_from_slice(end);
        } else {
            self.last.drain(..self.last.len().saturating_sub(CUT_MAX));
        }
    }

    /// More than the document takes once it is read, in bytes, beside its text; `with_vectors` where numbers beside each
    /// other stay text.
    pub fn weight_max(&self, with_vectors: bool) -> usize {
        let items = if with_vectors && !self.is_mixed { self.quotes / 2 } else { self.items };
        let of_arrays = (2 * items + 4 * self.arrays).saturating_mul(size_of::<Value<'_>>());
        let of_objects =
            (2 * self.members + 4 * self.objects).saturating_mul(size_of::<(Cow<'_, str>, Value<'_>)>());
        let unescaped = if self.is_escaped { self.bytes * 2 } else { 0 };
        of_arrays.saturating_add(of_objects).saturating_add(unescaped)
    }
}
