//! The integration tests, one binary: what the tree looks like, and what the real binary does.
#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod architecture;
mod commands;
mod journey;
mod licences;
mod support;
