//! Ed25519 keys as operators have them, in PEM: the private one that signs checkpoints, the public ones that they are
//! checked with. Apart because an auditor needs no more than the public key, and nothing here shows the private one.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

/// What the DER of an Ed25519 public key begins with (RFC 8410); the 32 bytes of the key follow.
const PUBLIC_DER: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const KEY_ID_BYTES: usize = 8;
/// Length of a signature.
pub(super) const SIGNATURE_BYTES: usize = 64;

/// Why a text is no key. Says nothing of what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    #[error(
        "the key is encrypted, and nobody is there to ask for its passphrase; give one without (openssl genpkey -algorithm ed25519)"
    )]
    Encrypted,
    #[error(
        "this is a public key; checkpoints are signed with the private one (openssl genpkey -algorithm ed25519)"
    )]
    PublicForPrivate,
    #[error(
        "this is a private key; keep it where it is, and give the public one (openssl pkey -in KEY -pubout)"
    )]
    PrivateForPublic,
    #[error(
        "no private key in PEM (PKCS#8) is in it; make one with: openssl genpkey -algorithm ed25519 -out KEY"
    )]
    NoPrivate,
    #[error(
        "no public key in PEM is in it; make it of the private one with: openssl pkey -in KEY -pubout -out PUBLIC.pem"
    )]
    NoPublic,
    #[error(
        "the key is of another kind; checkpoints are signed with Ed25519 (openssl genpkey -algorithm ed25519)"
    )]
    Kind,
}

/// What stands under a label in a text in PEM (RFC 7468); None if nothing does.
fn der_of(label: &str, text: &str) -> Option<Vec<u8>> {
    let (_, begun) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = begun.split_once(&format!("-----END {label}-----"))?;
    let body: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(body).ok()
}

/// What a key is called in checkpoints: the first 16 hex digits of the SHA-256 of its public key's DER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyId(String);

impl KeyId {
    fn of(public: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(PUBLIC_DER);
        hash.update(public);
        let sum = hash.finalize();
        Self(sum.iter().take(KEY_ID_BYTES).map(|byte| format!("{byte:02x}")).collect())
    }

    /// Reads an id; None for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (text.len() == 2 * KEY_ID_BYTES && is_hex).then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A private key that signs checkpoints. Shows its id alone.
pub struct Signer {
    pair: Ed25519KeyPair,
    id: KeyId,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("id", &self.id).finish_non_exhaustive()
    }
}

impl PartialEq for Signer {
    fn eq(&self, other: &Self) -> bool {
        self.pair.public_key().as_ref() == other.pair.public_key().as_ref()
    }
}

impl Eq for Signer {}

impl Signer {
    /// Reads a private key in PEM (PKCS#8), as `openssl genpkey -algorithm ed25519` writes it.
    ///
    /// # Errors
    /// When it is none, says why and what to do.
    pub fn from_pem(text: &str) -> Result<Self, BadKey> {
        if text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
            return Err(BadKey::Encrypted);
        }
        let der = der_of("PRIVATE KEY", text).ok_or_else(|| {
            if text.contains("BEGIN PUBLIC KEY") {
                BadKey::PublicForPrivate
            } else if text.contains("PRIVATE KEY-----") {
                BadKey::Kind
            } else {
                BadKey::NoPrivate
            }
        })?;
        let pair = Ed25519KeyPair::from_pkcs8(&der).map_err(|_| BadKey::Kind)?;
        let id = KeyId::of(pair.public_key().as_ref());
        Ok(Self { pair, id })
    }

    /// What the key is called.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// Signs a message; None if that cannot be done now.
    pub(super) fn sign(&self, message: &[u8]) -> Option<[u8; SIGNATURE_BYTES]> {
        self.pair.try_sign(message).ok()?.as_ref().try_into().ok()
    }
}

/// A public key that checkpoints are checked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    bytes: [u8; 32],
    id: KeyId,
}

impl PublicKey {
    /// Reads a public key in PEM, as `openssl pkey -pubout` writes it.
    ///
    /// # Errors
    /// When it is none, says why and what to do.
    pub fn from_pem(text: &str) -> Result<Self, BadKey> {
        let der = der_of("PUBLIC KEY", text).ok_or_else(|| {
            if text.contains("PRIVATE KEY-----") { BadKey::PrivateForPublic } else { BadKey::NoPublic }
        })?;
        let bytes = der.strip_prefix(&PUBLIC_DER).ok_or(BadKey::Kind)?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| BadKey::Kind)?;
        Ok(Self { id: KeyId::of(&bytes), bytes })
    }

    /// What the key is called.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    pub(super) fn is_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.bytes).verify(message, signature).is_ok()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn pem(what: &str, der: &[u8]) -> String {
        format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", STANDARD.encode(der))
    }

    /// A key pair of a seed, in PEM.
    pub(in crate::records) fn pair(seed: u8) -> (Signer, PublicKey) {
        let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
        der.extend([seed; 32]);
        let signer = Signer::from_pem(&pem("PRIVATE KEY", &der)).unwrap();
        let mut public = PUBLIC_DER.to_vec();
        public.extend(signer.pair.public_key().as_ref());
        (signer, PublicKey::from_pem(&pem("PUBLIC KEY", &public)).unwrap())
    }

    #[test]
    fn what_one_signs_the_other_checks_and_nothing_else() {
        let ((signer, public), (_, other)) = (pair(1), pair(2));
        assert_eq!(signer.id(), public.id());
        assert_ne!(public.id(), other.id());
        let signature = signer.sign(b"message").unwrap();
        assert!(public.is_signed(b"message", &signature));
        assert!(!public.is_signed(b"massage", &signature) && !other.is_signed(b"message", &signature));
        assert!(!public.is_signed(b"message", &signature[1..]));
    }

    #[test]
    fn what_is_no_key_is_told_apart_and_not_shown() {
        let body = pem("X", b"hunter2 hunter2 hunter2");
        let named = |name: &str| body.replace('X', name);
        let private = |text: &str| Signer::from_pem(text).unwrap_err();
        assert_eq!(private(&named("ENCRYPTED PRIVATE KEY")), BadKey::Encrypted);
        assert_eq!(private(&named("PUBLIC KEY")), BadKey::PublicForPrivate);
        assert_eq!(private(&named("RSA PRIVATE KEY")), BadKey::Kind);
        assert_eq!(private(&named("PRIVATE KEY")), BadKey::Kind);
        assert_eq!(private("hunter2"), BadKey::NoPrivate);
        let public = |text: &str| PublicKey::from_pem(text).unwrap_err();
        assert_eq!(public(&named("PRIVATE KEY")), BadKey::PrivateForPublic);
        assert_eq!(public(&named("PUBLIC KEY")), BadKey::Kind);
        assert_eq!(public("hunter2"), BadKey::NoPublic);
        assert_eq!(format!("{:?}", pair(1).0), format!("Signer {{ id: {:?}, .. }}", pair(1).1.id()));
    }
}
