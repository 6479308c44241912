//! A conversation in steps: what is sent, and what follows from its answer.

use super::{
    Conversation, Operation, Reply, Sending, Step, Told,
    endpoint::Asking,
    talk::{IGNORES_FILTERS, OVER},
};
use crate::refusal::Refusal;
use bytes::Bytes;
use std::fmt::{self, Debug};

/// What follows from an answer of the store's.
pub(super) type Next = Box<dyn FnOnce(Reply) -> Result<Then, Refusal> + Send>;

/// What follows.
pub(super) enum Then {
    /// The store refuses, or it is as if it did.
    Fail(Reply),
    /// So many records of others were found where there can be none.
    IgnoresFilters(u64),
    Send(Sending, Next),
    /// The client is told this; so many records were taken out of it.
    Tell(Told, u64),
}

impl Then {
    pub(super) fn send(
        sending: Sending,
        next: impl FnOnce(Reply) -> Result<Self, Refusal> + Send + 'static,
    ) -> Self {
        Self::Send(sending, Box::new(next))
    }

    pub(super) fn tell(status: u16, body: Bytes, foreign: u64) -> Self {
        Self::Tell(Told { status, body }, foreign)
    }
}

/// A conversation of such steps. What the store refuses ends it.
pub(super) struct Chain {
    first: Option<Then>,
    next: Option<Next>,
    operation: Operation,
    claims: Vec<String>,
    foreign: u64,
}

impl Chain {
    pub(super) fn new(asking: &Asking<'_>, first: Then) -> Self {
        Self { first: Some(first), next: None, operation: asking.operation, claims: Vec::new(), foreign: 0 }
    }

    /// One request, and what the client is told of its answer.
    pub(super) fn once(
        asking: &Asking<'_>,
        sending: Sending,
        retell: impl FnOnce(&Reply) -> Result<(Bytes, u64), Refusal> + Send + 'static,
    ) -> Box<dyn Conversation> {
        let next = move |reply: Reply| {
            let (body, foreign) = retell(&reply)?;
            Ok(Then::tell(reply.status, body, foreign))
        };
        Self::new(asking, Then::send(sending, next)).boxed()
    }

    /// The same of an operation that only the body tells.
    pub(super) fn of_operation(mut self, operation: Operation) -> Self {
        self.operation = operation;
        self
    }

    /// The same where nobody else may write these ids meanwhile; their collection stands in front.
    pub(super) fn claiming(mut self, claims: Vec<String>) -> Self {
        self.claims = claims;
        self
    }

    pub(super) fn boxed(self) -> Box<dyn Conversation> {
        Box::new(self)
    }

    fn take(&mut self, then: Then) -> Result<Step, Refusal> {
        match then {
            Then::Fail(reply) => Ok(Step::Fail(reply)),
            Then::IgnoresFilters(foreign) => {
                self.foreign = foreign;
                Err(IGNORES_FILTERS)
            }
            Then::Send(sending, next) => {
                self.next = Some(next);
                Ok(Step::Send(sending))
            }
            Then::Tell(told, foreign) => {
                self.foreign = foreign;
                Ok(Step::Tell(told))
            }
        }
    }
}

impl Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("operation", &self.operation).finish_non_exhaustive()
    }
}

impl Conversation for Chain {
    fn next(&mut self, reply: Option<Reply>) -> Result<Step, Refusal> {
        match (self.first.take(), reply) {
            (Some(first), _) => self.take(first),
            (None, Some(reply)) if !reply.is_success() => Ok(Step::Fail(reply)),
            (None, reply) => {
                let (next, reply) = self.next.take().zip(reply).ok_or(OVER)?;
                let then = next(reply)?;
                self.take(then)
            }
        }
    }

    fn claims(&self) -> Vec<String> {
        self.claims.clone()
    }

    fn operation(&self) -> Option<Operation> {
        Some(self.operation)
    }

    fn writes(&self) -> bool {
        matches!(self.operation, Operation::Delete | Operation::Manage | Operation::Write)
    }

    fn foreign(&self) -> u64 {
        self.foreign
    }
}
