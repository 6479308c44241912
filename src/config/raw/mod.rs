//! The configuration as it was written: typed, with the place of everything, and without any logic. `compile` turns
//! it into what runs. A key that is absent is None or empty; its default is a matter of `compile`.
//! Where problems were found, what did not fit is missing: nothing may run on it then.

mod gateway;
mod tenant;
mod tests_file;

pub use gateway::{
    Auth, Exporter, Gateway, GenaiNames, Header, Identity, Jwks, Jwt, Limits, Listener, Model, Mtls,
    OnFailure, Pin, Price, Queue, Records, Retry, Scope, SharedState, Tenants, Timeout, Tls, Upstream,
    UpstreamKind,
};
pub use tenant::{
    Analyzer, Approvals, Content, Detectors, Effect, Key, Matcher, Mode, OnDeny, Priority, Quota, Redact,
    Rule, Settings, Tenant, TenantLimits, TenantRecords, Wire,
};
pub use tests_file::{Case, Expect, Place, Tests};

pub use super::read::{Entries, Many};

#[cfg(test)]
pub(super) use gateway::{AuthKeys, JwksKeys, ListenerKeys};
#[cfg(test)]
pub(super) use tenant::{RuleKeys, TenantKeys};
