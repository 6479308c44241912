//! OpenAI: Chat Completions with its legacy forms, Completions and Embeddings, and their errors.
//! Source of the shapes: the OpenAI API reference and its official Python and JavaScript clients.

mod call_parts;
mod errors;
mod held;
mod keys;
mod request;
mod stream;
mod transcript;
mod whole;

pub use errors::{error_body, error_event, upstream_message};
pub use held::HoldLimits;
pub(crate) use held::{Assembled, CALLS_MAX, Choice, TooMuch};
pub use request::{Answered, Kept, Listed, Offer, Request, understand};
pub(crate) use stream::is_empty;
pub use stream::{Progress, Stream};
pub use transcript::prompt;
pub use whole::whole;
pub(crate) use whole::{has_error, stray_call};

/// Which of OpenAI's answers is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    Chat,
    Completions,
    Embeddings,
    Moderations,
}

impl Api {
    /// The API as records name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "openai.chat",
            Self::Completions => "openai.completions",
            Self::Embeddings => "openai.embeddings",
            Self::Moderations => "openai.moderations",
        }
    }

    /// Whether an answer of this API can carry tool calls and text.
    fn generates(self) -> bool {
        match self {
            Self::Chat | Self::Completions => true,
            Self::Embeddings | Self::Moderations => false,
        }
    }
}

/// The text that stands where a denied call was.
pub fn notice(tool: &str, reason: &str) -> String {
    format!("[The tool call `{tool}` was denied: {reason}]")
}

/// All notices of a choice as one text, apart from what the model said. The same for a stream and a whole answer.
fn notices(said: bool, notices: &[String]) -> Option<String> {
    let joined = notices.join("\n");
    (!notices.is_empty()).then(|| if said { format!("\n\n{joined}") } else { joined })
}

#[cfg(test)]
mod tests;
