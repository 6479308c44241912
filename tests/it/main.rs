//! The integration tests, one binary: what the tree looks like, and what the real binary does.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod architecture;
