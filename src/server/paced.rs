//! Answers at the pace of those who read them. A client that keeps its window shut (HTTP/2) would hold an answer, and its
//! tenant's place in flight, without end: after a minute in which it took nothing, its connection is given up. Over
//! HTTP/1 the guard sees to that.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// Answers are looked at so often.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// So many times in a row nobody asked for more: the client takes nothing.
const LOOKS_MAX: u32 = 6;
/// A larger piece goes out in several, so that no more than this waits for a client outside of its answer.
const PIECE_BYTES_MAX: usize = 16 << 10;

/// An answer that waits for its client.
#[derive(Debug)]
struct Waiting {
    /// How often it was looked at since it handed something out; `MOVING` while it waits for others.
    looks: AtomicU32,
    connection: CancellationToken,
}

const MOVING: u32 = u32::MAX;

/// Where answers of one listener are looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Stalls(Arc<Mutex<Vec<Weak<Waiting>>>>);

/// The same for one connection.
#[derive(Debug, Clone)]
pub(super) struct Stalled {
    stalls: Stalls,
    connection: CancellationToken,
}

impl Stalls {
    /// Looks at answers until `until`.
    pub(super) fn watched(until: CancellationToken) -> Self {
        let stalls = Self::default();
        let looked_at = stalls.clone();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(LOOK_EVERY);
            while !until.is_cancelled() {
                ticks.tick().await;
                looked_at.look();
            }
        });
        stalls
    }

    pub(super) fn connection(&self) -> Stalled {
        Stalled { stalls: self.clone(), connection: CancellationToken::new() }
    }

    fn look(&self) {
        self.lock().retain(|waiting| {
            let Some(waiting) = waiting.upgrade() else { return false };
            let looks = waiting.looks.load(Ordering::Relaxed);
            if looks != MOVING {
                let more = looks.saturating_add(1);
                let counted =
                    waiting.looks.compare_exchange(looks, more, Ordering::Relaxed, Ordering::Relaxed);
                // Who took something meanwhile is seen the next time.
                if counted.is_ok() && looks >= LOOKS_MAX {
                    waiting.connection.cancel();
                }
            }
            true
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Waiting>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stalled {
    /// Cancelled when the connection is given up.
    pub(super) fn given_up(&self) -> CancellationToken {
        self.connection.clone()
    }
}

/// A body that is looked at, in pieces.
#[derive(Debug)]
pub(super) struct Paced<B> {
    body: B,
    left: Bytes,
    waiting: Option<Arc<Waiting>>,
}

impl<B: Body<Data = Bytes, Error = Infallible> + Unpin> Paced<B> {
    pub(super) fn new(body: B, Stalled { stalls, connection }: Stalled) -> Self {
        // One that is over already is the body as it is.
        let waiting = (!body.is_end_stream()).then(|| {
            let waiting = Arc::new(Waiting { looks: AtomicU32::new(0), connection });
            stalls.lock().push(Arc::downgrade(&waiting));
            waiting
        });
        Self { body, left: Bytes::new(), waiting }
    }
}

impl<B: Body<Data = Bytes, Error = Infallible> + Unpin> Body for Paced<B> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let Some(waiting) = &this.waiting else { return Pin::new(&mut this.body).poll_frame(cx) };
        if this.left.is_empty() {
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Pending => {
                    waiting.looks.store(MOVING, Ordering::Relaxed);
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => this.left = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Poll::Ready(other) => return Poll::Ready(other),
            }
        }
        waiting.looks.store(0, Ordering::Relaxed);
        let piece = this.left.len().min(PIECE_BYTES_MAX);
        Poll::Ready(Some(Ok(Frame::data(this.left.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.left.is_empty() { self.body.size_hint() } else { SizeHint::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};

    fn looked_at(stalls: &Stalls, times: u32) {
        for _ in 0..times {
            stalls.look();
        }
    }

    #[tokio::test]
    async fn a_large_body_goes_in_pieces_and_stays_whole() {
        let whole = Bytes::from(vec![7; 3 * PIECE_BYTES_MAX + 1]);
        let stalls = Stalls::default();
        let mut body = Paced::new(Full::new(whole.clone()), stalls.connection());
        let mut back = Vec::new();
        while let Some(Ok(frame)) = body.frame().await {
            let data = frame.into_data().unwrap();
            assert!(data.len() <= PIECE_BYTES_MAX);
            back.extend_from_slice(&data);
        }
        assert_eq!(back, whole);
        drop(body);
        looked_at(&stalls, 1);
        assert!(stalls.lock().is_empty());
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up() {
        let stalls = Stalls::default();
        let connection = stalls.connection();
        let whole = Bytes::from(vec![7; 3 * PIECE_BYTES_MAX]);
        let mut body = Paced::new(Full::new(whole), connection.clone());
        looked_at(&stalls, LOOKS_MAX);
        drop(body.frame().await);
        looked_at(&stalls, LOOKS_MAX);
        assert!(!connection.given_up().is_cancelled(), "it took something meanwhile");
        looked_at(&stalls, 1);
        assert!(connection.given_up().is_cancelled());
    }

    /// An upstream that thinks is not the client's fault.
    #[tokio::test]
    async fn an_answer_that_waits_for_others_is_left_alone() {
        struct Silent;
        impl Body for Silent {
            type Data = Bytes;
            type Error = Infallible;
            fn poll_frame(
                self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
                Poll::Pending
            }
        }
        let stalls = Stalls::default();
        let connection = stalls.connection();
        let mut body = Paced::new(Silent, connection.clone());
        assert!(tokio::time::timeout(Duration::from_millis(1), body.frame()).await.is_err());
        looked_at(&stalls, 10 * LOOKS_MAX);
        assert!(!connection.given_up().is_cancelled());
    }
}
