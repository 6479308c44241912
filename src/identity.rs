//! Who is asking: verified data becomes a tenant. Nothing that a client merely says plays a part.

use crate::tenant::{Key, Tenant};
use http::{HeaderMap, HeaderName, header::AUTHORIZATION};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    fmt,
    sync::Arc,
};

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

/// Every key of every tenant, found by digest: the same time for one tenant and for many. Requests are identified by
/// nothing else; what reads a configuration finds tenants by name too.
#[derive(Debug, Default)]
pub struct Directory {
    keys: HashMap<KeyDigest, Identity>,
    tenants: BTreeMap<Arc<str>, Member>,
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

    /// The key that it shows.
    pub fn key(&self) -> &Key {
        &self.key
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
            place.insert(Identity { tenant: Arc::clone(tenant), key: Arc::clone(&key) });
            self.enter(tenant).keys.push(key);
        }
    }

    /// The tenant of this name, abstract ones too.
    pub fn find(&self, name: &str) -> Option<&Member> {
        self.tenants.get(name)
    }

    /// All tenants, abstract ones too, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.tenants.values()
    }

    /// Identifies a request by its headers. `now` in seconds since 1970, UTC.
    pub fn identify(&self, headers: &HeaderMap, now: i64) -> Result<&Identity, Unidentified> {
        let credential = credential(headers)?;
        let identity = self.keys.get(&KeyDigest::of(credential)).ok_or(Unidentified)?;
        match identity.key.expires {
            Some(expires) if now >= expires => Err(Unidentified),
            Some(_) | None => Ok(identity),
        }
    }
}

impl Directory {
    /// The same tenant and key as they are here, if they still are and the key is good at `now`.
    pub fn renewed(&self, identity: &Identity, now: i64) -> Option<Identity> {
        let member = self.tenants.get(identity.tenant.id.as_str())?;
        let key = member.keys.iter().find(|key| key.id == identity.key.id)?;
        let is_good = key.expires.is_none_or(|expires| now < expires);
        is_good.then(|| Identity { tenant: Arc::clone(&member.tenant), key: Arc::clone(key) })
    }
}

/// The one credential of a request. The same one in several headers is one; two different ones are none.
fn credential(headers: &HeaderMap) -> Result<&[u8], Unidentified> {
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
    found.ok_or(Unidentified)
}

/// The token of `Bearer TOKEN`, the scheme in any case.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &'static str)], expected: Option<&str>) {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        let found = credential(&headers).ok().map(|found| std::str::from_utf8(found).unwrap());
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
