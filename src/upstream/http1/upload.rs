//! A request on its way out: head and body in one gathered write, as far as the socket takes them.
//! Apart because it outlives the wait for the head when an answer begins early.
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};

use super::error::Reach;
use super::wire::Wire;

/// What is still to be written. `Ready(Ok)` from `poll_send` is final.
#[derive(Debug)]
pub(super) struct Upload {
    head: Bytes,
    body: Bytes,
    reach: Reach,
}

impl Upload {
    pub(super) const fn new(head: Bytes, body: Bytes) -> Self {
        Self { head, body, reach: Reach::NothingSent }
    }

    pub(super) const fn reach(&self) -> Reach {
        self.reach
    }

    pub(super) fn left(&self) -> usize {
        self.head.len().saturating_add(self.body.len())
    }

    /// Writes as much as the connection takes; ready when all of it is written and flushed.
    pub(super) fn poll_send(&mut self, wire: &mut Wire, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.left() > 0 {
            let slices = [IoSlice::new(&self.head), IoSlice::new(&self.body)];
            let written = if self.head.is_empty() {
                ready!(wire.poll_write(cx, &[IoSlice::new(&self.body)]))?
            } else {
                ready!(wire.poll_write(cx, &slices))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.reach = Reach::SomethingSent;
            self.advance(written);
        }
        wire.poll_flush(cx)
    }

    fn advance(&mut self, written: usize) {
        let of_head = written.min(self.head.len());
        self.head.advance(of_head);
        self.body.advance((written - of_head).min(self.body.len()));
        if self.body.is_empty() {
            self.body = Bytes::new();
        }
    }
}
