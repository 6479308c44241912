//! The integration tests, one binary: what the tree looks like, and what the real binary does.
#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::too_many_lines,
    clippy::too_many_arguments,
    clippy::print_stdout,
    reason = "a test fails by panicking, and waits for real processes"
)]

mod admin;
mod analyzer;
mod approvals;
mod architecture;
mod attacks;
mod audit_loss;
mod before;
mod cache;
mod canary;
mod circuits;
mod clock_jumps;
mod collector;
mod commands;
mod denials;
mod dialects;
mod disk_errors;
mod erase;
mod export;
mod fault;
mod files;
mod fleet;
mod frames;
mod hostile_framing;
mod hostile_h2spec;
mod hostile_http2;
mod hostile_idle;
mod hostile_ids;
mod hostile_input;
mod hostile_names;
mod hostile_neighbours;
mod hostile_operations;
mod hostile_restart;
mod hostile_tenants;
mod hostile_upstream;
mod hostile_usage;
mod identity;
mod journey;
mod large_bodies;
mod licences;
mod limits;
mod looking;
mod mcp;
mod mcp_catalog;
mod mcp_large;
mod mcp_stdio;
mod mcp_streams;
mod metrics;
mod mirrors;
mod mtls;
mod once;
mod pins;
mod queue;
mod record_files;
mod record_secret;
mod redact_quality;
mod reload;
mod rule_limits;
#[path = "../../src/identity/tests/signer.rs"]
mod signer;
mod signing;
mod stream_ends;
mod support;
mod tools;
mod traces;
mod transcripts;
mod tries;
mod wire;
