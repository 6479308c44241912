//! Who is asking: verified data becomes a tenant. Nothing that a client merely says plays a part. Keys are found by their
//! digest; tokens are checked with their issuer's keys (`token`, `key_set`) and then known again by theirs.

pub mod certificate;
pub mod key_set;
#[cfg(test)]
mod tests;
pub mod token;

use crate::{
    names::KeyId,
    quota::fair::Priority,
    tenant::{Key, Offered, Tenant},
};
use dashmap::DashMap;
use http::{HeaderMap, HeaderName, header::AUTHORIZATION};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    fmt,
    sync::Arc,
};
use token::{Issuer, TOKEN_BYTES_MAX, Token};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const API_KEY: HeaderName = HeaderName::from_static("api-key");

/// The SHA-256 of a credential. The credential itself is never kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// The digest of a whole credential.
    pub fn of(credential: &[u8]) -> Self {
        Self(Sha256::digest(credential).into())
    }

    /// A digest as configured.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest")
    }
}

/// So many tokens are known again; beyond, those that ended are forgotten, or all.
const TOKENS_MAX: usize = 4096;
/// So many of their subjects are remembered.
const SUBJECTS_MAX: usize = 1024;
/// What the id of the one caller of `identity.fixed` begins with. No issuer is called so.
pub const FIXED: &str = "fixed";

/// Every key of every tenant, found by digest: the same time for one tenant and for many; and who else callers can be.
/// What reads a configuration finds tenants by name too.
#[derive(Debug, Default)]
pub struct Directory {
    keys: HashMap<KeyDigest, Identity>,
    tenants: BTreeMap<Arc<str>, Member>,
    issuers: Vec<Issuer>,
    /// How client certificates name tenants.
    certificates: Option<certificate::Pattern>,
    /// Who everybody is that shows nothing else.
    fixed: Option<Identity>,
    /// Tokens whose signatures were checked.
    tokens: DashMap<KeyDigest, Remembered>,
    /// Subjects of tokens, by tenant.
    subjects: DashMap<(Arc<str>, KeyId), Arc<Key>>,
}

/// A token whose signature was checked.
#[derive(Debug, Clone)]
struct Remembered {
    identity: Identity,
    /// Since when it is valid: a clock that was ahead when it was checked can be set back.
    begins: f64,
    /// Which of the issuers it is of.
    issuer: usize,
    /// The digest of the key set that it was checked with.
    keys: [u8; 32],
}

/// What a request shows, as far as it can be looked at without an issuer's keys.
#[derive(Debug)]
pub enum Shown<'d, 'h> {
    /// A key.
    Key(&'d Identity),
    /// What may be a token.
    Token { bytes: &'h [u8], digest: KeyDigest },
    /// Nothing.
    Nothing,
    /// What nobody knows, or no longer.
    Unknown,
}

/// A tenant and its keys, in the order of its file.
#[derive(Debug)]
pub struct Member {
    tenant: Arc<Tenant>,
    keys: Vec<Arc<Key>>,
}

/// Who is asking. Only this module makes one out of a request.
#[derive(Debug, Clone)]
pub struct Identity {
    tenant: Arc<Tenant>,
    key: Arc<Key>,
    /// When the token that it shows ends, in seconds since 1970.
    until: Option<f64>,
}

/// No, unknown or expired credential, or two different ones. Deliberately no more than that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no valid credential")]
pub struct Unidentified;

impl Identity {
    /// The tenant that asks.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The key that it shows, or what stands for one.
    pub fn key(&self) -> &Key {
        &self.key
    }

    fn lasts(&self, now: i64) -> bool {
        self.key.expires.is_none_or(|expires| now < expires)
            && self.until.is_none_or(|until| seconds(now) < until)
    }
}

impl Member {
    /// The tenant.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Its keys. None of an abstract tenant's: nobody can show them.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().map(AsRef::as_ref)
    }

    /// The key with this id.
    pub fn key(&self, id: &str) -> Option<&Key> {
        self.keys().find(|key| key.id.as_str() == id)
    }
}

impl Directory {
    /// Adds a tenant, which may come to have keys.
    pub fn enter(&mut self, tenant: &Arc<Tenant>) -> &mut Member {
        self.tenants
            .entry(tenant.id.shared())
            .or_insert_with(|| Member { tenant: Arc::clone(tenant), keys: Vec::new() })
    }

    /// Adds a key. A digest has one owner: the first.
    pub fn add(&mut self, digest: KeyDigest, tenant: &Arc<Tenant>, key: Key) {
        if let Entry::Vacant(place) = self.keys.entry(digest) {
            let key = Arc::new(key);
            place.insert(Identity { tenant: Arc::clone(tenant), key: Arc::clone(&key), until: None });
            self.enter(tenant).keys.push(key);
        }
    }

    /// Adds a key that may do whatever its tenant may. Whether there is such a tenant.
    pub fn lend(&mut self, digest: KeyDigest, name: &str, id: KeyId) -> bool {
        let member = self.tenants.get(name).filter(|member| !member.tenant.is_abstract);
        let Some(tenant) = member.map(|member| Arc::clone(&member.tenant)) else { return false };
        let key = key_of(&tenant, id);
        self.add(digest, &tenant, key);
        true
    }

    /// The tenant of this name, abstract ones too.
    pub fn find(&self, name: &str) -> Option<&Member> {
        self.tenants.get(name)
    }

    /// All tenants, abstract ones too, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.tenants.values()
    }

    /// Takes tokens of these issuers too. The first whose issuer and audience are a token's is the one that counts.
    pub fn trust(&mut self, issuers: Vec<Issuer>) {
        self.issuers = issuers;
    }

    /// Whoever shows nothing else is this tenant from now on.
    pub fn fix(&mut self, name: &str) {
        let member = self.tenants.get(name).filter(|member| !member.tenant.is_abstract);
        self.fixed = member.map(|member| {
            let id = KeyId::of_caller(FIXED, "loopback");
            Identity {
                tenant: Arc::clone(&member.tenant),
                key: Arc::new(key_of(&member.tenant, id)),
                until: None,
            }
        });
    }

    /// Whether some callers need not show anything.
    pub fn is_fixed(&self) -> bool {
        self.fixed.is_some()
    }

    /// Whose tokens are taken.
    pub fn issuers(&self) -> &[Issuer] {
        &self.issuers
    }

    /// Identifies a request by its key. `now` in seconds since 1970, UTC.
    pub fn identify(&self, headers: &HeaderMap, now: i64) -> Result<&Identity, Unidentified> {
        match self.look(headers, now)? {
            Shown::Key(identity) => Ok(identity),
            Shown::Nothing | Shown::Token { .. } | Shown::Unknown => Err(Unidentified),
        }
    }

    /// What a request shows. Two different credentials are an error, whatever they are.
    pub fn look<'d, 'h>(&'d self, headers: &'h HeaderMap, now: i64) -> Result<Shown<'d, 'h>, Unidentified> {
        let Some(bytes) = credential(headers)? else { return Ok(Shown::Nothing) };
        let digest = KeyDigest::of(bytes);
        Ok(match self.keys.get(&digest) {
            Some(Identity { key, .. }) if key.expires.is_some_and(|expires| now >= expires) => Shown::Unknown,
            Some(identity) => Shown::Key(identity),
            None if self.issuers.is_empty() || bytes.len() > TOKEN_BYTES_MAX => Shown::Unknown,
            None => Shown::Token { bytes, digest },
        })
    }

    /// Who showed this token before, which of the issuers it is of, and the digest of the keys that it was checked with:
    /// only while these are its issuer's keys it is good.
    pub fn remembered(&self, digest: &KeyDigest, now: i64) -> Option<(Identity, &Issuer, [u8; 32])> {
        let known = self.tokens.get(digest)?;
        let issuer = self.issuers.get(known.issuer)?;
        let is_valid = known.begins <= seconds(now) && known.identity.lasts(now);
        is_valid.then(|| (known.identity.clone(), issuer, known.keys))
    }

    /// The issuer whose token this may be, if it is valid now. Its signature is not looked at.
    pub fn issuer_of(&self, token: &Token<'_>, now: i64) -> Option<&Issuer> {
        token.valid(seconds(now))?;
        self.issuers.iter().find(|issuer| issuer.takes(token))
    }

    /// Who shows a token, if its signature is by the key that it names. Remembers it under its digest.
    pub fn verify(
        &self,
        token: &Token<'_>,
        keys: &key_set::KeySet,
        digest: KeyDigest,
        now: i64,
    ) -> Result<Identity, Unidentified> {
        let found = || {
            let valid = token.valid(seconds(now))?;
            let index = self.issuers.iter().position(|issuer| issuer.takes(token))?;
            let issuer = self.issuers.get(index)?;
            if !token.is_signed(keys) {
                return None;
            }
            let member = self.tenants.get(issuer.tenant_of(token)?)?;
            let tenant = Some(&member.tenant).filter(|tenant| !tenant.is_abstract)?;
            let key = self.subject(tenant, KeyId::of_caller(&issuer.id, token.subject()?));
            let identity = Identity { tenant: Arc::clone(tenant), key, until: Some(valid.end) };
            Some(Remembered { identity, begins: valid.start, issuer: index, keys: *keys.digest() })
        };
        let found = found().ok_or(Unidentified)?;
        if self.tokens.len() >= TOKENS_MAX {
            self.tokens.retain(|_, known| known.identity.lasts(now));
        }
        if self.tokens.len() >= TOKENS_MAX {
            self.tokens.clear();
        }
        let identity = found.identity.clone();
        self.tokens.insert(digest, found);
        Ok(identity)
    }

    /// What stands for a subject where a key would.
    fn subject(&self, tenant: &Arc<Tenant>, id: KeyId) -> Arc<Key> {
        let place = (tenant.id.shared(), id);
        if let Some(known) = self.subjects.get(&place) {
            return Arc::clone(&known);
        }
        if self.subjects.len() >= SUBJECTS_MAX {
            self.subjects.clear();
        }
        let key = Arc::new(key_of(tenant, place.1.clone()));
        self.subjects.insert(place, Arc::clone(&key));
        key
    }

    /// Who somebody is to this port: where it is one tenant's, nobody is another's.
    pub fn settle(&self, found: Result<Identity, Unidentified>) -> Result<Identity, Unidentified> {
        match (&self.fixed, found) {
            (None, found) => found,
            (Some(fixed), Ok(found)) if fixed.tenant.id == found.tenant.id => Ok(found),
            (Some(_), Ok(_)) => Err(Unidentified),
            (Some(fixed), Err(Unidentified)) => Ok(fixed.clone()),
        }
    }

    /// The same caller as this configuration has it, if it still can be one.
    pub fn today(&self, identity: &Identity) -> Option<Identity> {
        let member = self.tenants.get(identity.tenant.id.as_str()).filter(|m| !m.tenant.is_abstract)?;
        let id = &identity.key.id;
        let key = match id.issuer() {
            None => Arc::clone(member.keys.iter().find(|key| key.id == *id)?),
            Some(FIXED) => Arc::clone(&self.fixed.as_ref().filter(|f| f.tenant.id == member.tenant.id)?.key),
            Some(certificate::MTLS) if self.takes_certificates() => self.subject(&member.tenant, id.clone()),
            Some(issuer) if self.issuers.iter().any(|known| &*known.id == issuer) => {
                self.subject(&member.tenant, id.clone())
            }
            Some(_) => return None,
        };
        Some(Identity { tenant: Arc::clone(&member.tenant), key, until: identity.until })
    }

    /// The same, if its key or token is good at `now` still.
    pub fn renewed(&self, identity: &Identity, now: i64) -> Option<Identity> {
        self.today(identity).filter(|today| today.lasts(now))
    }
}

/// What stands for a caller without a key where a key would. It narrows nothing.
fn key_of(tenant: &Tenant, id: KeyId) -> Key {
    Key {
        quota: None,
        priority: Priority::default(),
        caller: tenant.caller.with_key(id.as_str()),
        id,
        expires: None,
        models: None,
        tools: None,
        offered: Offered::small(),
    }
}

fn seconds(now: i64) -> f64 {
    // Exact for 285 million years.
    std::time::Duration::from_secs(u64::try_from(now).unwrap_or(0)).as_secs_f64()
}

/// The one credential of a request, if it shows one. The same one in several headers is one; two different ones are an
/// error, and so is what is none.
fn credential(headers: &HeaderMap) -> Result<Option<&[u8]>, Unidentified> {
    let bearer = headers.get_all(AUTHORIZATION).into_iter().map(|value| bearer(value.as_bytes()));
    let plain = [X_API_KEY, API_KEY];
    let plain = plain.iter().flat_map(|name| headers.get_all(name)).map(|value| Some(value.as_bytes()));
    let mut found = None;
    for credential in bearer.chain(plain) {
        let credential = credential.filter(|credential| !credential.is_empty()).ok_or(Unidentified)?;
        if found.is_some_and(|other| other != credential) {
            return Err(Unidentified);
        }
        found = Some(credential);
    }
    Ok(found)
}

/// The token of `Bearer TOKEN`, the scheme in any case.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod credentials {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &'static str)], expected: Option<&str>) {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        let found = credential(&headers).ok().flatten().map(|found| std::str::from_utf8(found).unwrap());
        assert_eq!(found, expected, "{headers:?}");
    }

    #[test]
    fn one_credential_wherever_it_stands() {
        check(&[("authorization", "Bearer abc")], Some("abc"));
        check(&[("authorization", "bearer abc")], Some("abc"));
        check(&[("x-api-key", "abc")], Some("abc"));
        check(&[("api-key", "abc")], Some("abc"));
        check(&[("api-key", "abc"), ("authorization", "Bearer abc")], Some("abc"));
        check(&[("api-key", "abc"), ("x-api-key", "abd")], None);
        check(&[("authorization", "Bearer abc"), ("authorization", "Bearer abd")], None);
        check(&[("authorization", "Basic abc")], None);
        check(&[("authorization", "Basic abc"), ("x-api-key", "abc")], None);
        check(&[("authorization", "Bearer ")], None);
        check(&[("authorization", "Bearer")], None);
        check(&[("x-api-key", "")], None);
        check(&[("x-tenant-id", "acme")], None);
        check(&[], None);
    }
}
