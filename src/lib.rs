//! Tollgate: the gateway between tenants' agents and the models and tools they use.
#![forbid(unsafe_code)]

pub mod admin;
pub mod approvals;
pub mod asked;
pub mod authorize;
pub mod call;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dialect;
pub mod exchange;
pub mod gateway;
pub mod hosts;
pub mod identity;
pub mod json;
pub mod ledger;
pub mod mcp;
pub mod mock;
pub mod names;
pub mod offline;
pub mod operator;
pub mod pins;
pub mod policy;
pub mod quota;
pub mod records;
pub mod redact;
pub mod refusal;
pub mod server;
pub mod snapshot;
pub mod sse;
pub mod stored;
pub mod telemetry;
pub mod tenant;
pub mod translate;
pub mod upstream;
pub mod usage;
