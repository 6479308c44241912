//! What the translator promises, as laws over golden pairs, generated conversations and arbitrary bytes.

mod answers;
mod client;
mod golden;
mod refusals;
mod requests;
mod run;

use super::*;
use crate::json;

/// How deep test bodies nest at most.
const NESTING: usize = 64;

/// A body in one API as one of another, as JSON.
fn translated(from: Client, to: Upstream, body: &[u8]) -> Result<String, Refusal> {
    let body = json::parse(body, NESTING).expect("a test's body is JSON");
    request(from, to, &body).map(|body| body.to_string())
}
