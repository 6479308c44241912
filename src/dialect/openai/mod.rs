//! OpenAI: Chat Completions with its legacy forms, Completions, Embeddings and Moderations, and their errors.
//! Source of the shapes: the OpenAI API reference and its official Python and JavaScript clients.

mod call_parts;
mod errors;
mod held;
mod history;
mod prompt;
mod request;
mod stream;
mod whole;

pub(super) use errors::error_type;
pub use errors::{error_body, error_event};
pub(crate) use held::{Assembled, Choice, TooMuch};
pub use prompt::prompt;
pub use request::{ask_for_usage, restrict, understand, usage_bytes, with_usage};
pub(super) use stream::Reader;
pub(crate) use whole::has_error;
pub use whole::whole;

use super::Api;

/// Whether an answer of this API can carry tool calls and text.
fn generates(api: Api) -> bool {
    match api {
        Api::Chat | Api::Completions => true,
        Api::CountTokens
        | Api::Embeddings
        | Api::Messages
        | Api::Moderations
        | Api::Responses
        | Api::ResponseItems => false,
    }
}

/// All notices of a choice as one text, apart from what the model said. The same for a stream and a whole answer.
fn told_together(said: bool, notices: &[String]) -> Option<String> {
    let joined = notices.join("\n");
    (!notices.is_empty()).then(|| if said { format!("\n\n{joined}") } else { joined })
}

#[cfg(test)]
mod tests;
