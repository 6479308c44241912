//! A tenant's secret and the pseudonyms made from it.
//! Apart, because nothing else may touch key material: everyone else asks for a token.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Characters of a token: 80 bits, so that a collision below ten million values is out of reach.
pub(super) const TOKEN_LEN: usize = 16;
const TOKEN_BYTES: usize = 10;
const BLOCK: usize = 64;
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// 32 secret bytes of one tenant. Prints nothing of itself.
#[derive(Clone)]
pub struct TenantSecret([u8; 32]);

impl TenantSecret {
    /// The tenant's secret under a master secret of any length (HMAC-SHA-256 as the derivation).
    pub fn derive(master: &[u8], tenant: &str) -> Self {
        let mut mac = keyed(master);
        mac.update(b"tollgate tenant secret v1\0");
        mac.update(tenant.as_bytes());
        Self(mac.finalize().into_bytes().into())
    }

    /// The same, of a salt too: without it nobody can derive the secret again.
    pub fn derive_with(master: &[u8], tenant: &str, salt: &[u8]) -> Self {
        let mut mac = keyed(master);
        mac.update(b"tollgate tenant secret v2\0");
        mac.update(tenant.as_bytes());
        mac.update(&[0]);
        mac.update(salt);
        Self(mac.finalize().into_bytes().into())
    }

    /// A key of the tenant's for one purpose.
    pub fn key(&self, purpose: &str) -> [u8; 32] {
        self.hmac(purpose, &[])
    }

    /// The tenant's secret for the tokens of an epoch: those of two cannot be linked without the tenant's secret.
    #[must_use]
    pub fn of_epoch(&self, epoch: &str) -> Self {
        Self(self.hmac("epoch of tokens v1", epoch.as_bytes()))
    }

    /// HMAC-SHA-256 of `data` for one purpose.
    /// The leading 1 keeps it apart from every pseudonym, which starts with an entity's name.
    fn hmac(&self, purpose: &str, data: &[u8]) -> [u8; 32] {
        let mut mac = keyed(&self.0);
        mac.update(&[1]);
        mac.update(purpose.as_bytes());
        mac.update(&[0]);
        mac.update(data);
        mac.finalize().into_bytes().into()
    }

    /// The same, as 64 lower-case hex digits.
    pub fn hmac_hex(&self, purpose: &str, data: &[u8]) -> String {
        self.hmac(purpose, data).iter().flat_map(|b| [b >> 4, b & 15]).map(hex_digit).collect()
    }

    /// The pseudonym key, ready to be cloned for each value.
    pub(super) fn into_pseudonyms(self) -> Pseudonyms {
        Pseudonyms(keyed(&self.0))
    }
}

impl fmt::Debug for TenantSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TenantSecret(..)")
    }
}

/// Makes tokens under one tenant's secret; the key schedule is paid once.
#[derive(Clone)]
pub(super) struct Pseudonyms(Hmac<Sha256>);

impl Pseudonyms {
    /// The token of a normalised value: the first 80 bits of HMAC(secret, entity || 0 || value) in base32.
    pub(super) fn token(&self, entity: &str, value: &[u8]) -> String {
        let mut out = String::with_capacity(TOKEN_LEN);
        self.write_token(&mut out, entity, value);
        out
    }

    pub(super) fn write_token(&self, out: &mut String, entity: &str, value: &[u8]) {
        let mut mac = self.0.clone();
        let mut short = [0; BLOCK];
        let (name, length) = (entity.as_bytes(), entity.len() + 1 + value.len());
        // Most are short: hashing takes one piece sooner than three.
        if let Some((head, tail)) =
            short.get_mut(..length).and_then(|room| room.split_at_mut_checked(name.len()))
            && let Some(body) = tail.get_mut(1..)
        {
            head.copy_from_slice(name);
            body.copy_from_slice(value);
            mac.update(short.get(..length).unwrap_or_default());
        } else {
            mac.update(name);
            mac.update(&[0]);
            mac.update(value);
        }
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        base32(out, digest.into_iter());
    }
}

fn base32(out: &mut String, bytes: impl Iterator<Item = u8>) {
    let bits = bytes.take(TOKEN_BYTES).fold(0_u128, |bits, byte| bits << 8 | u128::from(byte));
    let symbol = |place: usize| {
        let index = usize::try_from(bits >> (5 * (TOKEN_LEN - 1 - place)) & 31).unwrap_or(0);
        BASE32.get(index).copied().unwrap_or(b'a')
    };
    let token: [u8; TOKEN_LEN] = std::array::from_fn(symbol);
    out.push_str(std::str::from_utf8(&token).unwrap_or_default());
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).unwrap_or('0')
}

/// HMAC keyed as RFC 2104 says: a key over the block size is hashed, a shorter one padded with zeros.
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    let mut block = [0_u8; BLOCK];
    if key.len() > BLOCK {
        let digest: [u8; 32] = Sha256::digest(key).into();
        block.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    } else {
        block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    }
    Hmac::new(&block.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_rfc_4231_case_1() {
        let mut mac = keyed(&[0x0b; 20]);
        mac.update(b"Hi There");
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        assert_eq!(digest[..4], [0xb0, 0x34, 0x4c, 0x61]);
    }

    #[test]
    fn matches_rfc_4231_case_6_with_a_key_longer_than_a_block() {
        let mut mac = keyed(&[0xaa; 131]);
        mac.update(b"Test Using Larger Than Block-Size Key - Hash Key First");
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        assert_eq!(digest[..4], [0x60, 0xe4, 0x31, 0x59]);
    }

    #[test]
    fn base32_is_that_of_rfc_4648() {
        let mut out = String::new();
        base32(&mut out, b"foobarfoob".iter().copied());
        assert_eq!(out, "mzxw6ytbojtg633c");
    }

    #[test]
    fn purposes_and_tenants_are_unlinkable_and_debug_is_silent() {
        let (a, b) = (TenantSecret::derive(b"m", "a"), TenantSecret::derive(b"m", "b"));
        assert_ne!(a.hmac_hex("args", b"x"), b.hmac_hex("args", b"x"));
        assert_ne!(a.hmac_hex("args", b"x"), a.hmac_hex("body", b"x"));
        assert_eq!(a.hmac_hex("args", b"x").len(), 64);
        assert_eq!(format!("{a:?}"), "TenantSecret(..)");
    }
}
