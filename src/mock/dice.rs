//! Made-up ids and vectors that are the same for the same seed, so that a streamed answer can be compared with a
//! whole one and a test can be run twice.

const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// An endless row of numbers: FNV-1a of the seed, then splitmix64.
fn rolls(seed: &str) -> impl Iterator<Item = u64> {
    let mut state = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

/// `length` letters and digits.
pub(super) fn letters(seed: &str, length: usize) -> String {
    let among = u64::try_from(LETTERS.len()).unwrap_or(1);
    rolls(seed)
        .take(length)
        .filter_map(|roll| LETTERS.get(usize::try_from(roll % among).ok()?))
        .map(|letter| char::from(*letter))
        .collect()
}

/// A vector of length 1 with `dimensions` entries.
pub(super) fn unit_vector(seed: &str, dimensions: usize) -> Vec<f32> {
    let entries: Vec<f32> =
        rolls(seed).take(dimensions).map(|roll| (roll >> 40) as f32 / 8_388_608.0 - 1.0).collect();
    let norm = entries.iter().map(|entry| entry * entry).sum::<f32>().sqrt();
    let scale = if norm > 0.0 { norm } else { 1.0 };
    entries.into_iter().map(|entry| entry / scale).collect()
}
