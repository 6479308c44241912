//! What a server hands out for a client to bring back (the state of an exchange, a task's id, where a listing goes on) goes
//! out sealed: bound to the tenant, its key, the server and what it was handed out for. To everybody else, and for anything
//! else, it is unknown.
//! The seal says who may bring a text back; it does not hide the text, which the server gave to the client.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;

/// Bytes of the seal.
const MAC_BYTES: usize = 32;
/// HMAC-SHA-256 takes a key of a block's length, padded with zeros (RFC 2104).
const BLOCK_BYTES: usize = 64;
/// Bytes of the time at which it ends.
const EXPIRY_BYTES: usize = 8;

/// Makes and checks seals under one tenant's secret.
#[derive(Clone)]
pub struct Seals(Hmac<Sha256>);

/// What a text is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bond<'a> {
    /// What it is: the state of an exchange, a task's id.
    pub purpose: &'a str,
    /// The id of the tenant's key.
    pub key: &'a str,
    pub server: &'a str,
    /// What it was handed out for: a method and what it is called with.
    pub subject: &'a [&'a str],
}

impl Seals {
    /// Seals under a tenant's key for this purpose.
    pub fn new(key: &[u8; 32]) -> Self {
        let mut block = [0_u8; BLOCK_BYTES];
        block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
        Self(Hmac::new(&block.into()))
    }

    /// The text as it goes out, good until then (seconds since 1970).
    pub fn seal(&self, bond: &Bond<'_>, text: &str, until: i64) -> String {
        let until = until.to_be_bytes();
        let mac: [u8; MAC_BYTES] = self.mac(bond, &until, text).finalize().into_bytes().into();
        URL_SAFE_NO_PAD.encode([&mac, &until[..], text.as_bytes()].concat())
    }

    /// The text that was sealed, if it was sealed for this and is still good.
    pub fn open(&self, bond: &Bond<'_>, sealed: &str, now: i64) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (mac, rest) = bytes.split_at_checked(MAC_BYTES)?;
        let (until, text) = rest.split_at_checked(EXPIRY_BYTES)?;
        let text = str::from_utf8(text).ok()?;
        self.mac(bond, until, text).verify_slice(mac).ok()?;
        let until = i64::from_be_bytes(until.try_into().ok()?);
        (now <= until).then(|| text.to_owned())
    }

    /// Every part with its length before it: no two bonds make the same bytes.
    fn mac(&self, bond: &Bond<'_>, until: &[u8], text: &str) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        let parts = [bond.purpose, bond.key, bond.server].into_iter().chain(bond.subject.iter().copied());
        mac.update(&(bond.subject.len() as u64).to_be_bytes());
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.update(until);
        mac.update(text.as_bytes());
        mac
    }
}

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seals(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOND: Bond<'_> =
        Bond { purpose: "state", key: "prod", server: "crm", subject: &["tools/call", "get", "{}"] };

    #[test]
    fn what_is_sealed_comes_back_for_the_same_alone() {
        let seals = Seals::new(&[7; 32]);
        let sealed = seals.seal(&BOND, "inner", 100);
        assert_eq!(seals.open(&BOND, &sealed, 100).as_deref(), Some("inner"));
        assert_eq!(seals.open(&BOND, &sealed, 101), None);
        assert_eq!(Seals::new(&[8; 32]).open(&BOND, &sealed, 1), None, "another tenant");
        for other in [
            Bond { purpose: "task", ..BOND },
            Bond { key: "batch", ..BOND },
            Bond { server: "kb", ..BOND },
            Bond { subject: &["tools/call", "get", "[]"], ..BOND },
            Bond { subject: &["tools/call", "get"], ..BOND },
            Bond { subject: &["tools/call", "get", "{", "}"], ..BOND },
            Bond { key: "prodcrm", server: "", ..BOND },
        ] {
            assert_eq!(seals.open(&other, &sealed, 1), None, "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn no_other_text_opens(text in "\\PC{0,20}", at in any::<prop::sample::Index>(), by in "[A-Za-z0-9_=+/-]") {
            let seals = Seals::new(&[7; 32]);
            let sealed = seals.seal(&BOND, &text, 100);
            prop_assert_eq!(seals.open(&BOND, &sealed, 1), Some(text));
            let at = at.index(sealed.len());
            let (before, behind) = (sealed.get(..at).unwrap(), sealed.get(at + 1..).unwrap());
            let changed = format!("{before}{by}{behind}");
            if changed != sealed {
                prop_assert_eq!(seals.open(&BOND, &changed, 1), None);
            }
            prop_assert_eq!(seals.open(&BOND, &format!("{sealed}{by}"), 1), None);
            prop_assert_eq!(seals.open(&BOND, before, 1), None);
        }
    }
}
