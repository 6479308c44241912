//! What keeps a tenant to its own: the field of a record that names it, or collections of its own.

use super::Operation;
use crate::{json::Value, refusal::Refusal};
use std::sync::Arc;

/// The bounds of one tenant in one store.
#[derive(Debug, Clone)]
pub struct Fence {
    /// The store's name in the configuration.
    pub upstream: Arc<str>,
    pub tenant: Arc<str>,
    /// The member of every record that holds the tenant's name; `None` where collections alone keep tenants apart.
    pub field: Option<Arc<str>>,
    /// What the names of the tenant's own collections begin with; `None` where tenants share collections.
    pub prefix: Option<Arc<str>>,
}

/// A name that no tenant has: what is found under it shows that a store ignores filters.
pub(super) const NOBODY: &str = "!nobody";

impl Fence {
    /// Whether a record with these members (metadata, a payload) is the tenant's: exactly its name, as text.
    pub fn owns(&self, members: Option<&Value<'_>>) -> bool {
        let Some(field) = &self.field else { return true };
        members.and_then(|members| members.get(field)?.as_str()) == Some(&*self.tenant)
    }

    /// A record's members, stamped with the tenant's name.
    pub fn stamp(&self, members: &mut Value<'_>) {
        if let Some(field) = &self.field {
            members.set(field, Value::string(self.tenant.to_string()));
        }
    }

    /// The store's name of a collection that the client calls so.
    pub fn outer(&self, name: &str) -> String {
        format!("{}{name}", self.prefix.as_deref().unwrap_or_default())
    }

    /// The client's name of a collection; `None` for one that it does not see.
    pub fn inner<'n>(&self, name: &'n str) -> Option<&'n str> {
        name.strip_prefix(self.prefix.as_deref().unwrap_or_default())
    }

    /// Why an operation goes no further: the same words whether something exists or not.
    pub fn refuse(&self, operation: Operation, reason: impl Into<String>) -> Refusal {
        let tool = format!("{}__{}", self.upstream, operation.as_str());
        Refusal::ToolNotAllowed { tool, reason: reason.into() }
    }

    /// Why nothing is written: a record that is named is not the tenant's.
    pub fn refuse_foreign(&self, operation: Operation) -> Refusal {
        self.refuse(operation, "an id in it is taken, and not yours; nothing was changed")
    }
}
