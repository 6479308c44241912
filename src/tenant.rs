//! A tenant as it runs: all that belongs to one customer, compiled from one file.

use crate::{
    names::{KeyId, TenantId},
    policy::{Caller, Policy, glob::Globs},
    quota::Quota,
    records::Journal,
};
use std::sync::Arc;

/// A customer of the platform; the root of identity, permissions, limits and records.
#[derive(Debug)]
pub struct Tenant {
    pub id: TenantId,
    pub policy: Policy,
    /// The models that it may ask for.
    pub models: Globs,
    pub on_deny: OnDeny,
    pub quota: Arc<Quota>,
    pub journal: Arc<Journal>,
}

/// What becomes of an answer that holds a denied call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDeny {
    /// The answer ends in an error.
    Error,
    /// The call is taken out and a text says so.
    Notice,
}

/// A credential of a tenant. It can only narrow what the tenant may.
#[derive(Debug)]
pub struct Key {
    pub id: KeyId,
    /// Seconds since 1970, UTC; from then on the key is unknown.
    pub expires: Option<i64>,
    pub models: Option<Globs>,
    pub tools: Option<Globs>,
    /// The tenant and this key, as conditions see them.
    pub caller: Caller,
}

impl Tenant {
    /// Whether a key of this tenant may ask for a model.
    pub fn may_use(&self, key: &Key, model: &str) -> bool {
        self.models.matches(model) && key.models.as_ref().is_none_or(|globs| globs.matches(model))
    }
}
