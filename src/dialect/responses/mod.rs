//! OpenAI's Responses: requests, answers whole and streamed, and what the provider keeps of them.
//! Source of the shapes: the OpenAI API reference and its official Python and JavaScript clients.
//!
//! An answer tells every call several times: when its item begins, piece by piece, when it is complete, and once more
//! in the response that ends the stream. One of them is judged, and all others are written anew from it.

mod errors;
mod events;
mod history;
mod input;
mod item;
mod prompt;
mod request;
mod slot;
mod stream;
mod whole;

pub use errors::error_event;
pub use history::{answer_denied, spell_out};
pub use prompt::prompt;
pub use request::{restrict, understand};
pub(super) use stream::Reader;
pub use whole::whole;

#[cfg(test)]
mod tests;
