//! What gateways leave in Redis for each other is sealed with a key that only they have: who can write there can make
//! up nothing, nor pass one thing off as another.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt::Write;

/// The key, where the gateways share one.
#[derive(Clone, Copy)]
pub struct Seal([u8; 32]);

/// What a sealed text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What a provider keeps for a tenant.
    Stored,
    /// A call that waits, as it is listed.
    Waiting,
    /// The same with all of its arguments.
    Whole,
    Decision,
}

/// So many characters of a sealed text are the seal.
const SEAL_LENGTH: usize = 64;

impl Seal {
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    fn mac(&self, kind: Kind, name: &str, text: &str) -> Option<Hmac<Sha256>> {
        let kind = match kind {
            Kind::Stored => "stored",
            Kind::Waiting => "waiting",
            Kind::Whole => "whole",
            Kind::Decision => "decision",
        };
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        for part in [kind, name, text] {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part.as_bytes());
        }
        Some(mac)
    }

    /// Seals a text that goes by a name.
    pub(super) fn close(&self, kind: Kind, name: &str, text: &str) -> Option<String> {
        let digest = self.mac(kind, name, text)?.finalize().into_bytes();
        let mut sealed = String::with_capacity(SEAL_LENGTH + text.len());
        for byte in digest {
            write!(sealed, "{byte:02x}").ok()?;
        }
        sealed.push_str(text);
        Some(sealed)
    }

    /// The text, if it is of this kind and name.
    pub(super) fn open<'s>(&self, kind: Kind, name: &str, sealed: &'s str) -> Option<&'s str> {
        let (seal, text) = sealed.split_at_checked(SEAL_LENGTH)?;
        let mut digest = [0; SEAL_LENGTH / 2];
        for (at, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(seal.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        self.mac(kind, name, text)?.verify_slice(&digest).ok().map(|()| text)
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KINDS: [Kind; 4] = [Kind::Stored, Kind::Waiting, Kind::Whole, Kind::Decision];

    proptest! {
        #[test]
        fn only_what_was_sealed_opens(
            (kind, other) in (0..4_usize, 0..4_usize),
            (name, text) in (".{0,9}", ".{0,40}"),
            (another, cut) in (".{0,9}", 0..110_usize),
        ) {
            let seal = Seal::new([7; 32]);
            let sealed = seal.close(KINDS[kind], &name, &text).unwrap();
            prop_assert_eq!(seal.open(KINDS[kind], &name, &sealed), Some(text.as_str()));
            prop_assert_eq!(Seal::new([8; 32]).open(KINDS[kind], &name, &sealed), None);
            prop_assert_eq!(seal.open(KINDS[other], &name, &sealed).is_some(), kind == other);
            prop_assert_eq!(seal.open(KINDS[kind], &another, &sealed).is_some(), name == another);
            prop_assert_eq!(seal.open(KINDS[kind], &name, &text), None);
            if let Some(part) = sealed.get(..cut).filter(|part| part.len() < sealed.len()) {
                prop_assert_eq!(seal.open(KINDS[kind], &name, part), None);
            }
        }
    }
}
