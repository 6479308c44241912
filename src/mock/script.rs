//! An answer as a row of steps, and the body that plays them: the one place where bytes meet time. What the steps
//! are is decided by pure code (`sse`).

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use super::seen::{Outcome, Ticket};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Write(Bytes),
    Wait(Duration),
    /// Nothing more, with the connection open.
    Stall,
    /// The connection closes in the middle of the body.
    Abort,
}

/// What an endpoint answers. A body with a `length` says so in its head; one without is chunked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) length: Option<u64>,
    pub(super) steps: Vec<Step>,
}

impl Reply {
    pub(super) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), length: Some(0), steps: Vec::new() }
    }
}

/// Plays the steps. Every write is flushed before the next; the ticket learns how it ended.
pub(super) struct Script {
    steps: VecDeque<Step>,
    length: Option<u64>,
    split_bytes: Option<usize>,
    pause: Option<Pin<Box<Sleep>>>,
    flushing: bool,
    ticket: Option<Ticket>,
}

impl Script {
    pub(super) fn new(reply: Reply, split_bytes: Option<usize>, ticket: Option<Ticket>) -> Self {
        Self {
            steps: reply.steps.into(),
            length: reply.length,
            split_bytes,
            pause: None,
            flushing: false,
            ticket,
        }
    }

    fn first_piece(&mut self, mut bytes: Bytes) -> Bytes {
        let size = self.split_bytes.unwrap_or(usize::MAX);
        if bytes.len() > size {
            let rest = bytes.split_off(size);
            self.steps.push_front(Step::Write(rest));
        }
        bytes
    }

    fn ended(&mut self, outcome: Outcome) {
        if let Some(ticket) = self.ticket.take() {
            ticket.close(outcome);
        }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            if std::mem::take(&mut self.flushing) {
                // The server flushes what it has whenever the body has nothing more.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match self.steps.pop_front() {
                Some(Step::Write(bytes)) => {
                    let piece = self.first_piece(bytes);
                    if self.steps.is_empty() {
                        self.ended(Outcome::Answered);
                    }
                    self.flushing = true;
                    return Poll::Ready(Some(Ok(Frame::data(piece))));
                }
                Some(Step::Wait(pause)) => self.pause = Some(Box::pin(tokio::time::sleep(pause))),
                Some(Step::Stall) => {
                    self.steps.push_front(Step::Stall);
                    return Poll::Pending;
                }
                Some(Step::Abort) => {
                    self.ended(Outcome::Cut);
                    return Poll::Ready(Some(Err(io::Error::other("cut, as asked for"))));
                }
                None => {
                    self.ended(Outcome::Answered);
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
