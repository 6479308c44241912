//! A tenant as it runs: all that belongs to one customer, compiled from one file.

use crate::{
    names::{KeyId, TenantId},
    policy::{
        Caller, Policy,
        glob::{Glob, Globs},
    },
    quota::{Quota, fair::Priority},
    records::Journal,
};
use dashmap::DashMap;
use std::sync::Arc;

/// A customer of the platform; the root of identity, permissions, limits and records.
#[derive(Debug)]
pub struct Tenant {
    pub id: TenantId,
    /// Only there to be extended by others: nobody is this tenant.
    pub is_abstract: bool,
    /// The tenant as conditions see it where no key is known.
    pub caller: Caller,
    pub policy: Policy,
    /// The models that it may ask for.
    pub models: Globs,
    pub on_deny: OnDeny,
    pub quota: Arc<Quota>,
    /// Its share of a contended upstream, beside the others'.
    pub weight: u32,
    /// What the limits of single models match, in the quota's order.
    pub model_limits: Vec<Glob>,
    pub journal: Arc<Journal>,
    pub wire: Wire,
}

/// What becomes of an answer that holds a denied call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDeny {
    /// The answer ends in an error.
    Error,
    /// The call is taken out and a text says so.
    Notice,
}

/// What a provider gets to see of a value that the tenant's redaction finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Nothing of the request: it is refused.
    Block,
    /// A placeholder, which is restored in the answer.
    Mask,
    /// The value.
    Off,
}

/// A credential of a tenant. It can only narrow what the tenant may.
#[derive(Debug)]
pub struct Key {
    pub id: KeyId,
    /// Seconds since 1970, UTC; from then on the key is unknown.
    pub expires: Option<i64>,
    pub models: Option<Globs>,
    pub tools: Option<Globs>,
    /// What may be done with it, within the tenant's limits.
    pub quota: Option<Arc<Quota>>,
    /// Which of the tenant's requests go first.
    pub priority: Priority,
    /// The tenant and this key, as conditions see them.
    pub caller: Caller,
    pub offered: Offered,
}

/// The tools that were offered with a key and allowed, since this configuration was loaded.
///
/// An agent offers the same tools with every turn. That they may be offered is one decision, and one line of
/// the audit trail a day; what is denied, and what a model then calls, is recorded each time.
#[derive(Debug)]
pub struct Offered {
    tools: DashMap<Box<str>, i64>,
    /// Beyond so many, every offer is recorded.
    tools_max: usize,
}

/// So many tools are remembered a key.
const OFFERED_MAX: usize = 1024;
/// So many where there are as many callers as an issuer names.
const OFFERED_FEW: usize = 64;

impl Default for Offered {
    fn default() -> Self {
        Self { tools: DashMap::default(), tools_max: OFFERED_MAX }
    }
}

impl Offered {
    /// What is remembered of one of very many callers.
    pub fn small() -> Self {
        Self { tools: DashMap::with_shard_amount(2), tools_max: OFFERED_FEW }
    }

    /// Whether this is the first offer of a tool on a day (days since 1970).
    pub fn is_first(&self, tool: &str, day: i64) -> bool {
        if let Some(mut last) = self.tools.get_mut(tool) {
            return std::mem::replace(&mut *last, day) != day;
        }
        if self.tools.len() < self.tools_max {
            self.tools.insert(tool.into(), day);
        }
        true
    }
}

impl Tenant {
    /// The limits of single models that a model falls under, by their number.
    pub fn limits_of(&self, model: &str) -> impl Iterator<Item = usize> {
        self.model_limits.iter().enumerate().filter(move |(_, glob)| glob.matches(model)).map(|(at, _)| at)
    }

    /// Whether a key of this tenant may ask for a model.
    pub fn may_use(&self, key: &Key, model: &str) -> bool {
        self.models.matches(model) && key.models.as_ref().is_none_or(|globs| globs.matches(model))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_is_new_once_a_day() {
        let offered = Offered::default();
        let check =
            |tool: &str, day, expected| assert_eq!(offered.is_first(tool, day), expected, "{tool} {day}");
        check("a", 1, true);
        check("a", 1, false);
        check("b", 1, true);
        check("a", 2, true);
        for tool in 0..2 * OFFERED_MAX {
            offered.is_first(&tool.to_string(), 2);
        }
        assert!(offered.tools.len() <= OFFERED_MAX);
        check("one more", 2, true);
        check("one more", 2, true);
    }
}
