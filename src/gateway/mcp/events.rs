//! Work that answers one request, whole or as events while it goes on. It runs where it is polled: a client that leaves
//! drops it, and with it what it holds upstream.

use super::post::Reply;
use bytes::Bytes;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::sync::mpsc;

/// So many events wait for the client; then the work waits.
const EVENTS_MAX: usize = 16;

/// What comes of the work.
#[derive(Debug)]
pub(super) enum Out {
    /// Bytes of a stream of events.
    Event(Bytes),
    /// It goes on after a while: a client that can come back may leave meanwhile.
    Pause,
    /// The end.
    Last(Box<Reply>),
}

/// Where the work puts what comes of it.
pub(super) type Sink = mpsc::Sender<Out>;

/// Work in progress, and what came of it so far.
pub struct Events {
    work: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// What was read before there was anybody to send it to.
    first: Option<Bytes>,
    out: mpsc::Receiver<Out>,
}

impl Events {
    /// Begins work that puts what comes of it into the sink.
    pub(super) fn of<W: Future<Output = ()> + Send + 'static>(work: impl FnOnce(Sink) -> W) -> Self {
        let (sink, out) = mpsc::channel(EVENTS_MAX);
        Self { work: Some(Box::pin(work(sink))), first: None, out }
    }

    /// What comes first.
    pub(super) async fn next(&mut self) -> Option<Out> {
        std::future::poll_fn(|cx| self.poll_out(cx)).await
    }

    /// An answer that is there already, as a stream.
    pub(super) fn once(reply: Reply) -> Self {
        Self::of(|sink| async move {
            drop(sink.send(Out::Last(Box::new(reply))).await);
        })
    }

    /// The same, with an event before what is to come.
    pub(super) fn after(self, first: Bytes) -> Self {
        Self { first: Some(first), ..self }
    }

    /// The next bytes of the stream.
    pub(in crate::gateway) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        loop {
            let Poll::Ready(out) = self.poll_out(cx) else { return Poll::Pending };
            return Poll::Ready(match out {
                None => None,
                Some(Out::Pause) => continue,
                Some(Out::Event(bytes)) => Some(bytes),
                Some(Out::Last(reply)) if reply.body.is_empty() => None,
                Some(Out::Last(reply)) => Some(reply.into_event()),
            });
        }
    }

    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<Option<Out>> {
        loop {
            if let Poll::Ready(out) = self.out.poll_recv(cx) {
                return Poll::Ready(out);
            }
            let Some(work) = &mut self.work else { return Poll::Pending };
            if work.as_mut().poll(cx).is_pending() {
                // It may have put something there meanwhile.
                return self.out.poll_recv(cx);
            }
            self.work = None;
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("works", &self.work.is_some()).finish_non_exhaustive()
    }
}
