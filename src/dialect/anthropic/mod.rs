//! Anthropic: Messages and the count of their tokens, and their errors.
//! Source of the shapes: Anthropic's API reference and its official Python and TypeScript clients.

mod block;
mod errors;
mod prompt;
mod request;
mod stream;
mod whole;

pub use errors::{error_body, error_event};
pub use prompt::prompt;
pub use request::{restrict, understand};
pub(super) use stream::Reader;
pub use whole::whole;

#[cfg(test)]
mod tests;
