//! Requests to HTTP APIs that are tools: read once, strictly, into a parsed form that rules decide on and that is written
//! again when it is sent. Apart from the journey because no byte of a client's own path or query may reach an upstream:
//! what two servers could read differently (`..`, encoded slashes, a parameter that stands there twice) is refused.

pub mod operation;
mod request;

pub use request::{Request, bad_body, body, write_segment};

#[cfg(test)]
mod tests;
