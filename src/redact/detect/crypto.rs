//! CRYPTO: Bitcoin addresses in base58check and bech32 (BIP 173, 350), Ethereum's in hexadecimal.

use sha2::{Digest, Sha256};

use super::Scan;
use super::bytes::slice;

const BASE58: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const BECH32: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

pub(super) fn address(scan: &Scan<'_>, start: usize, end: usize) -> Option<usize> {
    let word = slice(scan.text, start, end);
    let is = match word {
        [b'1' | b'3', ..] => (26..=35).contains(&word.len()) && is_base58check(word),
        [b'b' | b'B', b'c' | b'C', b'1', rest @ ..] => (39..=87).contains(&rest.len()) && is_bech32(rest),
        [b'0', b'x', rest @ ..] => rest.len() == 40 && rest.iter().all(u8::is_ascii_hexdigit),
        _ => false,
    };
    is.then_some(end)
}

/// 25 bytes in base 58, the last four the head of a double SHA-256.
fn is_base58check(word: &[u8]) -> bool {
    // 28 bytes, the highest four first.
    let mut number = [0_u32; 7];
    for symbol in word {
        let Some(mut carry) = WORTHS.get(usize::from(*symbol)).copied().filter(|worth| *worth < 58) else {
            return false;
        };
        for part in number.iter_mut().rev() {
            carry += u64::from(*part) * 58;
            *part = u32::try_from(carry & 0xFFFF_FFFF).unwrap_or(0);
            carry >>= 32;
        }
        if carry != 0 {
            return false;
        }
    }
    let mut bytes = [0_u8; 28];
    let (parts, _) = bytes.as_chunks_mut();
    parts.iter_mut().zip(number).for_each(|(to, part)| *to = part.to_be_bytes());
    let [0, 0, 0, body @ .., a, b, c, d] = bytes else { return false };
    let twice = Sha256::digest(Sha256::digest(body));
    twice.starts_with(&[a, b, c, d])
}

/// What a symbol of base 58 is worth; 58 for what is none.
static WORTHS: [u64; 256] = {
    let mut table = [58; 256];
    let mut worth = 0;
    while worth < BASE58.len() {
        #[expect(clippy::indexing_slicing, reason = "within the alphabet, and of a byte; `get` is not const")]
        {
            table[BASE58[worth] as usize] = worth as u64;
        }
        worth += 1;
    }
    table
};

/// The checksum of what follows `bc1`; 1 for version 0, another constant for later ones.
fn is_bech32(data: &[u8]) -> bool {
    let prefix = [3_u32, 3, 0, 2, 3];
    let mut state = prefix.iter().fold(1, |state, v| step(state, *v));
    for symbol in data {
        let Some(worth) = BECH32.iter().position(|b| *b == symbol.to_ascii_lowercase()) else { return false };
        state = step(state, u32::try_from(worth).unwrap_or(0));
    }
    state == 1 || state == 0x2BC8_30A3
}

fn step(state: u32, value: u32) -> u32 {
    const GENERATOR: [u32; 5] = [0x3B6A_57B2, 0x2650_8E6D, 0x1EA1_19FA, 0x3D42_33DD, 0x2A14_62B3];
    let top = state >> 25;
    let shifted = ((state & 0x01FF_FFFF) << 5) ^ value;
    GENERATOR.iter().enumerate().filter(|(i, _)| top >> i & 1 == 1).fold(shifted, |state, (_, g)| state ^ g)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_published_addresses_only_whole() {
        assert!(is_base58check(b"1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"));
        assert!(!is_base58check(b"1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3"));
        assert!(is_bech32(b"qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"));
        assert!(!is_bech32(b"qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5"));
    }
}
