//! An issuer of tokens for tests: a key of each kind, its public half as a JWK, and tokens that it signed.

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
        RSA_PSS_SHA512,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

pub(crate) enum Signer {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    /// A new key that can sign so.
    pub(crate) fn of(algorithm: &str) -> Self {
        match algorithm {
            "EdDSA" => Self::Ed25519(Ed25519KeyPair::generate().unwrap()),
            "ES256" => Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()),
            "ES384" => Self::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()),
            _ => Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
        }
    }

    /// The public half.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let point = |crv: &str, key: &[u8]| {
            let (x, y) = key[1..].split_at(key.len() / 2);
            json!({ "kty": "EC", "crv": crv, "x": base64url(x), "y": base64url(y), "kid": kid })
        };
        match self {
            Self::Ed25519(key) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(key.public_key()), "kid": kid })
            }
            Self::P256(key) => point("P-256", key.public_key().as_ref()),
            Self::P384(key) => point("P-384", key.public_key().as_ref()),
            Self::Rsa(key) => {
                let public = key.public_key();
                let (n, e) = (public.modulus(), public.exponent());
                let bytes =
                    |number: aws_lc_rs::io::Positive<'_>| base64url(number.big_endian_without_leading_zero());
                json!({ "kty": "RSA", "n": bytes(n), "e": bytes(e), "kid": kid, "use": "sig" })
            }
        }
    }

    /// The signature of a message. What the algorithm's name says beside the key's kind counts for RSA only.
    pub(crate) fn signature(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            Self::P256(key) | Self::P384(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Rsa(key) => {
                let padding = match algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    /// A token of this header and these claims, as texts.
    pub(crate) fn token(&self, header: &str, claims: &str) -> String {
        let algorithm: Value = serde_json::from_str(header).unwrap_or_default();
        let message = format!("{}.{}", base64url(header), base64url(claims));
        let signature = self.signature(algorithm["alg"].as_str().unwrap_or_default(), message.as_bytes());
        format!("{message}.{}", base64url(signature))
    }
}
