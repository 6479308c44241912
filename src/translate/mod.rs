//! One client reaches every provider: a request of one dialect becomes one of another, and its answer comes back in
//! the client's own. Apart from `dialect`, which decides and must be trusted: here nothing is decided. A request was
//! judged before it is translated, and an answer is judged after, both in the client's dialect.
//!
//! Everything goes through one neutral form (`conversation`, `piece`), so that a further dialect is one reader and
//! one writer more. What cannot be carried over is a 400 that names the parameter, never dropped in silence;
//! `docs/translation.md` has the whole table.

mod answer;
mod chat;
mod conversation;
mod members;
mod messages;
mod offered;
mod piece;
mod refusals;
mod responses;
mod whole;

pub use answer::{About, Answer, Unfinished};

use crate::{json::Value, refusal::Refusal};
use conversation::{At, Choice};

/// The API that a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// OpenAI Chat Completions.
    Chat,
    /// Anthropic Messages.
    Messages,
    /// OpenAI Responses.
    Responses,
}

/// The API that an upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upstream {
    /// OpenAI Chat Completions, and its many relatives.
    Chat,
    /// Anthropic Messages.
    Messages,
}

/// The body for an upstream that speaks another API than the client. The name of the model stays as it is.
/// `Err`: a 400 that names the parameter that cannot be carried over, and says what to do.
pub fn request<'v>(from: Client, to: Upstream, body: &'v Value<'v>) -> Result<Value<'v>, Refusal> {
    let conversation = match from {
        Client::Chat => chat::read(body),
        Client::Messages => messages::read(body),
        Client::Responses => responses::read(body),
    }?;
    if conversation.tools.is_empty()
        && let Some(Choice::Any | Choice::One(_)) = conversation.choice
    {
        return Err(At("tool_choice".into()).refuse("demands a call, but no tools are offered"));
    }
    match to {
        Upstream::Chat => chat::write(conversation),
        Upstream::Messages => messages::write(conversation),
    }
}

/// The id of a call; where the provider gave none, one made of the answer's id and the number of calls before it, so
/// that no two calls of a conversation share theirs.
fn made_up(kind: &str, id: &str, answer: &str, calls: u64) -> String {
    if !id.is_empty() {
        return id.to_owned();
    }
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    format!("{kind}_{}_{calls}", answer.chars().map(plain).collect::<String>())
}

#[cfg(test)]
mod tests;
