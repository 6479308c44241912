//! A signed token (JWT, RFC 7519 and RFC 8725) and the issuers whose tokens are taken. Nothing of a token is believed
//! before its signature is checked: what is read first only tells which keys to check it with.

use super::key_set::{Algorithm, KeySet};
use crate::json::{self, Value};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::{ops::Range, sync::Arc};

/// A longer token is not read.
pub const TOKEN_BYTES_MAX: usize = 16 << 10;
/// A header or claims that are nested deeper are not read.
const NESTING_MAX: usize = 16;
/// So far the issuer's clock may be ahead of this one, in seconds.
const LEEWAY: f64 = 60.0;

/// Whose tokens are taken.
#[derive(Debug)]
pub struct Issuer {
    /// What callers' ids begin with.
    pub id: Box<str>,
    /// What `iss` must be.
    pub issuer: String,
    /// What `aud` must hold one of.
    pub audiences: Vec<String>,
    pub keys: KeySource,
    /// The path of the claim that names the tenant, its members joined by dots.
    pub tenant: String,
}

/// Where an issuer's keys are.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// Here.
    Here(Arc<KeySet>),
    /// Published, and fetched in this way.
    Url(Arc<str>),
}

/// A token that can be read. Whether it is true is another matter.
#[derive(Debug)]
pub struct Token<'t> {
    algorithm: Algorithm,
    key_id: Option<String>,
    claims: Value<'static>,
    /// What was signed.
    message: &'t [u8],
    signature: Vec<u8>,
}

impl<'t> Token<'t> {
    /// Reads a token; `None` for anything that is not exactly one.
    pub fn read(bytes: &'t [u8]) -> Option<Self> {
        if bytes.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let dot = bytes.iter().rposition(|byte| *byte == b'.')?;
        let (message, signature) = bytes.split_at_checked(dot)?;
        let (header, claims) = std::str::from_utf8(message).ok()?.split_once('.')?;
        let header = object(header)?;
        let text = |name: &str| header.get(name).and_then(Value::as_str);
        // No extension is understood here, and one that is critical may change what all else means.
        if header.get("crit").is_some() || !is_for_bearers(header.get("typ")) {
            return None;
        }
        let key_id = match header.get("kid") {
            Some(id) => Some(id.as_str()?.to_owned()),
            None => None,
        };
        Some(Self {
            algorithm: Algorithm::named(text("alg")?)?,
            key_id,
            claims: object(claims)?,
            message,
            signature: URL_SAFE_NO_PAD.decode(signature.get(1..)?).ok()?,
        })
    }

    /// Whether a key set holds the key that this token names.
    pub fn is_of(&self, keys: &KeySet) -> bool {
        keys.find(self.key_id.as_deref(), self.algorithm).is_some()
    }

    /// Whether the key that this token names signed it.
    pub(super) fn is_signed(&self, keys: &KeySet) -> bool {
        let key = keys.find(self.key_id.as_deref(), self.algorithm);
        key.is_some_and(|key| key.signed(self.algorithm, self.message, &self.signature))
    }

    /// From when until when it is valid, in seconds since 1970; `None` if it is not at `now`.
    pub(super) fn valid(&self, now: f64) -> Option<Range<f64>> {
        let time = |name: &str| match self.claims.get(name) {
            Some(time) => time.as_f64().filter(|time| TIMES.contains(time)).ok_or(()).map(Some),
            None => Ok(None),
        };
        let (expires, not_before, issued) = (time("exp").ok()??, time("nbf").ok()?, time("iat").ok()?);
        let begins = not_before.unwrap_or(0.0).max(issued.unwrap_or(0.0)) - LEEWAY;
        Some(begins..expires).filter(|valid| valid.contains(&now))
    }

    /// Whose token it is.
    pub(super) fn subject(&self) -> Option<&str> {
        self.claims.get("sub").and_then(Value::as_str).filter(|subject| !subject.is_empty())
    }
}

/// Times that an issuer can mean, in seconds since 1970: until the year 10000.
const TIMES: Range<f64> = 0.0..253_402_300_800.0;

impl Issuer {
    /// Whether a token says that it is of this issuer and for this gateway.
    pub(super) fn takes(&self, token: &Token<'_>) -> bool {
        let known = |audience: &Value<'_>| {
            audience.as_str().is_some_and(|audience| self.audiences.iter().any(|own| own == audience))
        };
        let audience = token.claims.get("aud").is_some_and(|audience| match audience.items() {
            Some(several) => {
                several.iter().all(|audience| audience.as_str().is_some()) && several.iter().any(known)
            }
            None => known(audience),
        });
        // A token that is bound to a key of its holder's is worth nothing without a proof, which is not asked for here.
        let is_bound = token.claims.get("cnf").is_some();
        audience && !is_bound && token.claims.get("iss").and_then(Value::as_str) == Some(&self.issuer)
    }

    /// The tenant that a token names.
    pub(super) fn tenant_of<'c>(&self, token: &'c Token<'_>) -> Option<&'c str> {
        let mut found = Vec::new();
        reach(&token.claims, &self.tenant, &mut found);
        match found.as_slice() {
            [only] => only.as_str(),
            _ => None,
        }
    }
}

/// All that a dotted path may mean: a member's name may hold dots itself, as `kubernetes.io` does.
fn reach<'v>(value: &'v Value<'static>, path: &str, found: &mut Vec<&'v Value<'static>>) {
    found.extend(value.get(path));
    for (at, _) in path.match_indices('.') {
        let (Some(name), Some(rest)) = (path.get(..at), path.get(at + 1..)) else { continue };
        if let Some(inner) = value.get(name) {
            reach(inner, rest, found);
        }
    }
}

fn object(part: &str) -> Option<Value<'static>> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    let value = json::parse(&bytes, NESTING_MAX).ok()?;
    value.members()?;
    Some(value.into_owned())
}

/// Whether a token is one that callers show, and not a notice of a logout, say, with the same claims.
fn is_for_bearers(kind: Option<&Value<'_>>) -> bool {
    let Some(kind) = kind else { return true };
    let kind = kind.as_str().unwrap_or("?").to_ascii_lowercase();
    matches!(kind.strip_prefix("application/").unwrap_or(&kind), "jwt" | "at+jwt")
}
