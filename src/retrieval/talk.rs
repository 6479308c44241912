//! A conversation with a store, without a socket: what is sent, what came back, what the client is told.

use crate::{refusal::Refusal, tool_api::Request};
use bytes::Bytes;
use http::Method;
use std::fmt::Debug;

/// What is to be sent to a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sending {
    pub method: Method,
    /// Path and query, behind the upstream's own path.
    pub target: String,
    /// Empty where there is none.
    pub body: Bytes,
}

impl Sending {
    /// A request as it is written anew.
    pub fn of(request: &Request<'_>) -> Self {
        Self { method: request.method.clone(), target: request.target(), body: request.bytes().into() }
    }
}

/// What a store answered, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub body: Bytes,
}

impl Reply {
    /// Whether the store did what it was asked.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// What happens next.
#[derive(Debug)]
pub enum Step {
    /// This is sent; its answer goes to [`Conversation::next`].
    Send(Sending),
    /// The client is told this, and nothing follows.
    Tell(Told),
    /// The store refused or failed: what the client is told of it, the journey says.
    Fail(Reply),
}

/// What the client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub status: u16,
    /// JSON.
    pub body: Bytes,
}

/// One request of a client's, from the first thing sent to what the client is told.
pub trait Conversation: Debug + Send {
    /// What happens next: `None` at the beginning, then each answer in turn.
    fn next(&mut self, reply: Option<Reply>) -> Result<Step, Refusal>;

    /// Ids that nobody else may write while this lasts, with their collection in front.
    fn claims(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether something is written, so that it goes on to its end though the client left.
    fn writes(&self) -> bool {
        false
    }

    /// Records of others that the store answered with and that were taken out.
    fn foreign(&self) -> u64 {
        0
    }
}

/// What a store is asked before a request can be understood: the name of a collection that goes by an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The id, with everything that it depends on: a name is remembered under it.
    pub key: String,
    pub sending: Sending,
}
