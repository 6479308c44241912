//! A whole body on its way. A large one goes in pieces, between which others have their turn: it would keep them waiting for as
//! long as its client takes it as fast as it comes.

use bytes::Bytes;
use std::{
    pin::pin,
    task::{Context, Poll},
};
use tokio::task::yield_now;

/// So much is sent at once.
const PIECE_BYTES: usize = 64 << 10;

/// What is left of a whole body.
#[derive(Debug)]
pub struct Rest {
    bytes: Bytes,
    pauses: bool,
}

impl Rest {
    pub(super) fn of(bytes: Bytes) -> Self {
        Self { bytes, pauses: false }
    }

    /// How many bytes are left.
    pub(super) fn bytes(&self) -> u64 {
        u64::try_from(self.bytes.len()).unwrap_or(u64::MAX)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next piece; `None` behind the last.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        // Whoever wakes itself is polled again before sockets are looked after; this one is woken behind that.
        if std::mem::take(&mut self.pauses) && pin!(yield_now()).poll(cx).is_pending() {
            return Poll::Pending;
        }
        let piece = self.bytes.split_to(self.bytes.len().min(PIECE_BYTES));
        self.pauses = !self.bytes.is_empty();
        Poll::Ready(Some(piece).filter(|piece| !piece.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::future::poll_fn;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    proptest! {
        #[test]
        fn all_of_it_is_sent_in_order_and_a_piece_at_a_time(length in 0..(PIECE_BYTES * 4)) {
            let whole: Bytes = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let (mut rest, mut sent) = (Rest::of(whole.clone()), Vec::new());
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                while !rest.is_empty() {
                    let left = rest.bytes();
                    let piece = poll_fn(|cx| rest.poll(cx)).await.unwrap();
                    assert!((1..=PIECE_BYTES).contains(&piece.len()));
                    assert_eq!(rest.bytes() + u64::try_from(piece.len()).unwrap(), left);
                    sent.extend_from_slice(&piece);
                }
                assert_eq!(poll_fn(|cx| rest.poll(cx)).await, None);
            });
            prop_assert_eq!(sent, whole);
        }
    }

    /// Between two pieces whoever waits at a socket is served, though the body could go on for ever. The one thread looks at
    /// sockets behind 61 polls at the latest, or where there is nothing else to do.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn others_have_their_turn() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        let other = tokio::spawn(async move { far.read_u8().await.unwrap() });
        let sending = tokio::spawn(async move {
            near.write_u8(7).await.unwrap();
            let mut rest = Rest::of(vec![0; PIECE_BYTES * 20].into());
            while !other.is_finished() && poll_fn(|cx| rest.poll(cx)).await.is_some() {}
            rest.is_empty()
        });
        assert!(!sending.await.unwrap(), "the other's turn comes before the end");
    }
}
