//! Many bytes at once: what a loop asks of each byte, asked of sixty-four in a few steps. Plain loops over arrays, without a
//! branch or a table: of these the compiler makes vector instructions, of shorter ones it does not always.

/// So many bytes.
pub(super) const LEN: usize = 64;

pub(super) type Block = [u8; LEN];

/// The places of a text whose bytes satisfy a predicate.
pub(super) struct Places<'a, F> {
    text: &'a [u8],
    is: F,
    /// Where the block begins that `found` is of.
    block: usize,
    found: u64,
}

impl<'a, F: Fn(u8) -> bool> Places<'a, F> {
    #[inline(always)]
    pub(super) fn of(text: &'a [u8], is: F) -> Self {
        let found = places(text, 0, &is);
        Self { text, is, block: 0, found }
    }

    /// The first from `at` on.
    #[inline(always)]
    pub(super) fn next(&mut self, at: usize) -> Option<usize> {
        let mut rest = match at.checked_sub(self.block) {
            Some(passed @ 0..LEN) => self.found & u64::MAX << passed,
            _ => self.go_to(at),
        };
        while rest == 0 {
            if self.block + LEN >= self.text.len() {
                return None;
            }
            rest = self.go_to(self.block + LEN);
        }
        // Behind the end zeros stand.
        Some(self.block + rest.trailing_zeros() as usize).filter(|at| *at < self.text.len())
    }

    #[inline(always)]
    fn go_to(&mut self, at: usize) -> u64 {
        self.block = at;
        self.found = places(self.text, at, &self.is);
        self.found
    }
}

/// A bit for each byte of the block at `at` that satisfies `is`, the lowest for the first.
#[inline(always)]
fn places(text: &[u8], at: usize, is: impl Fn(u8) -> bool) -> u64 {
    let marks = marks(block(text, at, &mut [0; LEN]), is);
    if marks.iter().fold(0, |any, word| any | word) == 0 { 0 } else { gathered(&marks) }
}

/// The bytes from `at` on: where they stand, or, before the end of the text, in `room`, which is zeros.
#[inline(always)]
fn block<'a>(text: &'a [u8], at: usize, room: &'a mut Block) -> &'a Block {
    let rest = text.get(at..).unwrap_or_default();
    if let Some(block) = rest.first_chunk() {
        return block;
    }
    if let Some(room) = room.get_mut(..rest.len()) {
        room.copy_from_slice(rest);
    }
    room
}

/// Eight bytes each: all bits of those that satisfy `is`.
#[inline(always)]
fn marks(block: &Block, is: impl Fn(u8) -> bool) -> [u64; LEN / 8] {
    let mut marks = [0; LEN];
    for (mark, b) in marks.iter_mut().zip(block) {
        *mark = if is(*b) { u8::MAX } else { 0 };
    }
    let mut words = [0; LEN / 8];
    words.iter_mut().zip(marks.as_chunks().0).for_each(|(to, from)| *to = u64::from_le_bytes(*from));
    words
}

/// A bit for each byte: of eight the product brings together, none twice.
#[inline(always)]
fn gathered(marks: &[u64; LEN / 8]) -> u64 {
    const ONES: u64 = u64::MAX / 0xFF;
    const TOGETHER: u64 = 0x0102_0408_1020_4080;
    let eight = |word: u64| (word & ONES).wrapping_mul(TOGETHER) >> 56;
    marks.iter().rev().fold(0, |all, word| all << 8 | eight(*word))
}

/// The first place from `at` on whose byte satisfies `is`.
#[inline(always)]
pub(super) fn find(text: &[u8], mut at: usize, is: impl Fn(u8) -> bool) -> Option<usize> {
    while at < text.len() {
        let places = places(text, at, &is);
        if places != 0 {
            return Some(at + places.trailing_zeros() as usize).filter(|at| *at < text.len());
        }
        at += LEN;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_place_is_passed_over(text in "[a-c\n\0]{0,40}(z{0,99}[a-c\n]{0,9}){0,3}", steps in prop::collection::vec(0..90_usize, 1..9)) {
            let text = text.as_bytes();
            let is = |b: u8| (b == b'b') | (b == b'\n') | (b == 0);
            let plain = |from: usize| (from..text.len()).find(|at| is(text[*at]));
            let mut places = Places::of(text, is);
            let mut at = 0;
            for step in steps {
                prop_assert_eq!(places.next(at), plain(at));
                prop_assert_eq!(find(text, at, is), plain(at));
                at += step;
            }
        }
    }
}
