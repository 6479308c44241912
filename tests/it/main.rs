//! The integration tests, one binary: what the tree looks like, and what the real binary does.
#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and waits for real processes"
)]

mod approvals;
mod architecture;
mod canary;
mod commands;
mod dialects;
mod erase;
mod fleet;
mod identity;
mod journey;
mod licences;
mod limits;
mod mcp;
mod mcp_catalog;
mod mcp_stdio;
mod mcp_streams;
mod mirrors;
mod pins;
mod reload;
#[path = "../../src/identity/tests/signer.rs"]
mod signer;
mod support;
mod transcripts;
