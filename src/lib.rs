//! Tollgate: the gateway between tenants' agents and the models and tools they use.

pub mod asked;
pub mod authorize;
pub mod call;
pub mod dialect;
pub mod exchange;
pub mod identity;
pub mod json;
pub mod names;
pub mod policy;
pub mod quota;
pub mod records;
pub mod redact;
pub mod refusal;
pub mod sse;
pub mod tenant;
pub mod upstream;
pub mod usage;
