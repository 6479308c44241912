//! The public keys of an issuer of tokens (JWK set, RFC 7517), and the signatures that are checked with them. A key is
//! good for the algorithms of its own kind and for no other: what a token says of its algorithm only chooses among them.

use crate::json::{self, Value};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// A larger set is not read.
pub const KEY_SET_BYTES_MAX: usize = 256 << 10;
/// A set of more keys is not read.
const KEYS_MAX: usize = 100;
/// The length of an RSA modulus, in bytes: 2048 to 8192 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// The algorithms by which tokens may be signed (RFC 7518, RFC 8037). None of them has a shared secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    EdDsa,
    Es256,
    Es384,
    Ps256,
    Ps384,
    Ps512,
    Rs256,
    Rs384,
    Rs512,
}

impl Algorithm {
    /// The algorithm of this name, exactly so written.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "EdDSA" => Self::EdDsa,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            _ => return None,
        })
    }

    fn kind(self) -> Kind {
        match self {
            Self::EdDsa => Kind::Ed25519,
            Self::Es256 => Kind::P256,
            Self::Es384 => Kind::P384,
            Self::Ps256 | Self::Ps384 | Self::Ps512 | Self::Rs256 | Self::Rs384 | Self::Rs512 => Kind::Rsa,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ed25519,
    P256,
    P384,
    Rsa,
}

/// The keys of an issuer.
#[derive(Debug)]
pub struct KeySet {
    /// Of the text that it was read from.
    digest: [u8; 32],
    keys: Vec<PublicKey>,
}

/// A key that signatures of tokens are checked with.
#[derive(Debug, PartialEq, Eq)]
pub struct PublicKey {
    id: Option<Box<str>>,
    /// The only algorithm that it is good for, where the set says so.
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Debug, PartialEq, Eq)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A point of a curve, uncompressed, or a key of Ed25519.
    Point(Kind, Vec<u8>),
}

/// Why a text is no key set that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKeySet {
    #[error("the key set is not a JSON object with an array `keys`")]
    NotASet,
    #[error("the key set holds no public key that tokens can be checked with (RSA, P-256, P-384 or Ed25519)")]
    NoKey,
    #[error("the key set is larger than 256 KiB, or has more than 100 keys")]
    TooLarge,
}

impl KeySet {
    /// Reads a key set. Keys that are for something else, or of a kind that is not taken, are left out.
    ///
    /// # Errors
    /// When it is none, or holds no key that can be used.
    pub fn read(bytes: &[u8]) -> Result<Self, BadKeySet> {
        let set = Self::published(bytes)?;
        if set.is_empty() { Err(BadKeySet::NoKey) } else { Ok(set) }
    }

    /// The same of what an issuer publishes, which may take back all of its keys.
    ///
    /// # Errors
    /// When it is no key set.
    pub fn published(bytes: &[u8]) -> Result<Self, BadKeySet> {
        if bytes.len() > KEY_SET_BYTES_MAX {
            return Err(BadKeySet::TooLarge);
        }
        let value = json::parse(bytes, 16).map_err(|_| BadKeySet::NotASet)?;
        let listed = value.get("keys").and_then(Value::items).ok_or(BadKeySet::NotASet)?;
        if listed.len() > KEYS_MAX {
            return Err(BadKeySet::TooLarge);
        }
        let mut keys: Vec<PublicKey> = Vec::new();
        for key in listed.iter().filter_map(PublicKey::read) {
            // One that stands there twice is one.
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        Ok(Self { digest: Sha256::digest(bytes).into(), keys })
    }

    /// Whether nothing can be checked with it.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The name that two different keys of one kind have: no token that names it can be checked.
    pub fn twins(&self) -> Option<&str> {
        let same = |a: &PublicKey, b: &PublicKey| {
            let (kinds, algorithms) = ((a.material.kind(), b.material.kind()), (a.algorithm, b.algorithm));
            // For different algorithms they are told apart.
            let apart = algorithms.0.zip(algorithms.1).is_some_and(|(a, b)| a != b);
            a.id == b.id && a.id.is_some() && kinds.0 == kinds.1 && !apart
        };
        let mut keys = self.keys.iter().enumerate();
        let twin = keys.find(|(at, key)| self.keys.iter().take(*at).any(|first| same(first, key)));
        twin.and_then(|(_, key)| key.id.as_deref())
    }

    /// Whether a text of a key set holds a key with which tokens can be signed.
    pub fn holds_private(bytes: &[u8]) -> bool {
        let Ok(value) = json::parse(bytes, 16) else { return false };
        let keys = value.get("keys").and_then(Value::items).unwrap_or_default();
        let is_private = |key: &Value<'_>| {
            let is_shared = key.get("kty").and_then(Value::as_str) == Some("oct") && key.get("k").is_some();
            key.get("d").is_some() || is_shared
        };
        keys.iter().any(is_private)
    }

    /// Tells this set from another one.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The key that a token names; without a name, the only one that can be meant.
    pub fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&PublicKey> {
        let named = |key: &&PublicKey| id.is_none() || key.id.as_deref() == id;
        let mut fitting = self.keys.iter().filter(named).filter(|key| key.fits(algorithm));
        fitting.next().filter(|_| fitting.next().is_none())
    }
}

impl PublicKey {
    fn read(value: &Value<'_>) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        if value.get("use").is_some() && text("use") != Some("sig") {
            return None;
        }
        if let Some(operations) = value.get("key_ops")
            && !operations.items()?.iter().any(|operation| operation.as_str() == Some("verify"))
        {
            return None;
        }
        let algorithm = match value.get("alg") {
            Some(name) => Some(Algorithm::named(name.as_str()?)?),
            None => None,
        };
        let id = match value.get("kid") {
            Some(id) => Some(id.as_str()?.into()),
            None => None,
        };
        let key = Self { id, algorithm, material: Material::read(value)? };
        algorithm.is_none_or(|algorithm| key.fits(algorithm)).then_some(key)
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|own| own == algorithm) && self.material.kind() == algorithm.kind()
    }

    /// Whether this key signed a message so.
    pub fn signed(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.fits(algorithm) {
            return false;
        }
        match (&self.material, rsa_parameters(algorithm)) {
            (Material::Rsa { n, e }, Some(parameters)) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }
            (Material::Point(kind, point), None) => curve(*kind)
                .is_some_and(|curve| UnparsedPublicKey::new(curve, point).verify(message, signature).is_ok()),
            (Material::Rsa { .. }, None) | (Material::Point(..), Some(_)) => false,
        }
    }
}

impl Material {
    fn read(value: &Value<'_>) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        let kind = match (text("kty")?, text("crv")) {
            ("RSA", _) => {
                let (n, e) = (bytes("n")?, bytes("e")?);
                let fits = MODULUS_BYTES.contains(&n.len());
                let components = RsaPublicKeyComponents { n: &n, e: &e };
                let is_key = fits && components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).is_ok();
                return is_key.then_some(Self::Rsa { n, e });
            }
            ("EC", Some("P-256")) => Kind::P256,
            ("EC", Some("P-384")) => Kind::P384,
            ("OKP", Some("Ed25519")) => Kind::Ed25519,
            _ => return None,
        };
        let (x, length) = (bytes("x")?, if kind == Kind::P384 { 48 } else { 32 });
        let point = match kind {
            Kind::Ed25519 => x.clone(),
            Kind::P256 | Kind::P384 | Kind::Rsa => [&[4], x.as_slice(), bytes("y")?.as_slice()].concat(),
        };
        let whole = if kind == Kind::Ed25519 { length } else { 1 + 2 * length };
        let fits = x.len() == length && point.len() == whole;
        (fits && ParsedPublicKey::new(curve(kind)?, &point).is_ok()).then_some(Self::Point(kind, point))
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Rsa { .. } => Kind::Rsa,
            Self::Point(kind, _) => *kind,
        }
    }
}

fn curve(kind: Kind) -> Option<&'static dyn VerificationAlgorithm> {
    match kind {
        Kind::Ed25519 => Some(&ED25519),
        Kind::P256 => Some(&ECDSA_P256_SHA256_FIXED),
        Kind::P384 => Some(&ECDSA_P384_SHA384_FIXED),
        Kind::Rsa => None,
    }
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::Ps256 => Some(&RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&RSA_PSS_2048_8192_SHA512),
        Algorithm::Rs256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&RSA_PKCS1_2048_8192_SHA512),
        Algorithm::EdDsa | Algorithm::Es256 | Algorithm::Es384 => None,
    }
}
