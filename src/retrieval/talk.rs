//! A conversation with a store, without a socket: what is sent, what came back, what the client is told.

use super::Operation;
use crate::{
    json::{self, Value},
    refusal::Refusal,
    tool_api::Request,
};
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
    /// Whether the body is not JSON but lines of it.
    pub lines: bool,
    /// Done twice, it does more than done once: the store chooses an id, or adds to what is there.
    pub once: bool,
}

impl Sending {
    /// A request as it is written anew.
    pub fn of(request: &Request<'_>) -> Self {
        Self::new(request.method.clone(), request.target(), request.bytes().into())
    }

    pub(super) fn new(method: Method, target: String, body: Bytes) -> Self {
        Self { method, target, body, lines: false, once: false }
    }

    /// The same, which may do more when it is done twice, if `once`.
    pub(super) fn only(self, once: bool) -> Self {
        Self { once, ..self }
    }

    /// A request whose body is read and written in lines.
    pub(super) fn of_lines(request: &Request<'_>, lines: &[Value<'_>]) -> Self {
        let mut body = Vec::new();
        for line in lines {
            json::write(line, &mut body);
            body.push(b'\n');
        }
        Self { lines: true, ..Self::new(request.method.clone(), request.target(), body.into()) }
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

    /// What it does, where only the body tells.
    fn operation(&self) -> Option<Operation> {
        None
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

impl Lookup {
    /// The name in what the store answered.
    pub fn name_in(reply: &Reply) -> Option<String> {
        let answer = json::parse(&reply.body, 64).ok().filter(|_| reply.is_success())?;
        Some(answer.get("name")?.as_str()?.to_owned())
    }
}

/// What the client is told of a store's answer, and how many records were taken out of it.
pub(super) type Retell = Box<dyn Fn(&Bytes) -> Result<(Bytes, u64), Refusal> + Send>;

/// One request and its answer.
pub(super) struct Once {
    sending: Option<Sending>,
    retell: Option<Retell>,
    writes: bool,
    foreign: u64,
}

impl Debug for Once {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Once").field("sending", &self.sending).finish_non_exhaustive()
    }
}

impl Once {
    /// A request whose answer is told as it is.
    pub(super) fn plain(sending: Sending) -> Box<dyn Conversation> {
        Box::new(Self { sending: Some(sending), retell: None, writes: false, foreign: 0 })
    }

    /// The same of one that changes something.
    pub(super) fn writing(sending: Sending) -> Box<dyn Conversation> {
        Box::new(Self { sending: Some(sending), retell: None, writes: true, foreign: 0 })
    }

    /// A request whose answer is told in other words.
    pub(super) fn retold(
        sending: Sending,
        retell: impl Fn(&Bytes) -> Result<(Bytes, u64), Refusal> + Send + 'static,
    ) -> Box<dyn Conversation> {
        Box::new(Self { sending: Some(sending), retell: Some(Box::new(retell)), writes: false, foreign: 0 })
    }

    /// The same of one that changes something.
    pub(super) fn writing_retold(
        sending: Sending,
        retell: impl Fn(&Bytes) -> Result<(Bytes, u64), Refusal> + Send + 'static,
    ) -> Box<dyn Conversation> {
        Box::new(Self { sending: Some(sending), retell: Some(Box::new(retell)), writes: true, foreign: 0 })
    }
}

impl Conversation for Once {
    fn next(&mut self, reply: Option<Reply>) -> Result<Step, Refusal> {
        match (self.sending.take(), reply) {
            (Some(sending), _) => Ok(Step::Send(sending)),
            (None, Some(reply)) if reply.is_success() => {
                let body = match &self.retell {
                    Some(retell) => {
                        let (body, foreign) = retell(&reply.body)?;
                        self.foreign = foreign;
                        body
                    }
                    None => reply.body,
                };
                Ok(Step::Tell(Told { status: reply.status, body }))
            }
            (None, Some(reply)) => Ok(Step::Fail(reply)),
            (None, None) => Err(OVER),
        }
    }

    fn writes(&self) -> bool {
        self.writes
    }

    fn foreign(&self) -> u64 {
        self.foreign
    }
}

/// A conversation was asked on behind its end.
pub(super) const OVER: Refusal = Refusal::UpstreamError { message: "the store was asked nothing" };
/// A store answers for somebody that there is not.
pub(super) const IGNORES_FILTERS: Refusal =
    Refusal::UpstreamError { message: "the store does not keep to filters, so nothing of it can be counted" };
