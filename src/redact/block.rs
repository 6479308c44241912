//! Many bytes at once: what a loop asks of each byte, asked of thirty-two in a few steps. Plain loops over arrays, without a
//! branch or a table, of which the compiler makes vector instructions.

/// So many bytes.
pub(super) const LEN: usize = 32;

pub(super) type Block = [u8; LEN];

/// The bytes from `at` on; zeros behind the end.
pub(super) fn block(text: &[u8], at: usize) -> Block {
    let rest = text.get(at..).unwrap_or_default();
    rest.first_chunk().copied().unwrap_or_else(|| {
        let mut block = [0; LEN];
        block.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        block
    })
}

/// A bit for each byte that satisfies `of`, the lowest for the first.
#[inline(always)]
pub(super) fn places(block: &Block, of: impl Fn(u8) -> bool) -> u32 {
    gathered(block.map(|b| u8::from(of(b))))
}

/// The lowest bits of all bytes: of eight the product brings together, none twice.
#[inline(always)]
fn gathered(marks: Block) -> u32 {
    const TOGETHER: u64 = 0x0102_0408_1020_4080;
    let (words, _) = marks.as_chunks::<8>();
    let eight = |word: &[u8; 8]| u64::from_le_bytes(*word).wrapping_mul(TOGETHER).to_be_bytes()[0];
    words.iter().rev().fold(0, |all, word| all << 8 | u32::from(eight(word)))
}
