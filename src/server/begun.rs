//! A connection whose first bytes were read: enough to tell HTTP/2 from HTTP/1.1, within the time for a head. They are
//! given back to whoever reads it; of HTTP/2, as far as its first frame is the right one (`opening`).

use super::opening::{FRAME_HEAD_BYTES, Opening, WRONG};
use bytes::{Buf, BytesMut};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// What an HTTP/2 connection begins with. Source: RFC 9113, section 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream that first gives back what was read of it.
#[derive(Debug)]
pub(super) struct Begun<T> {
    first: BytesMut,
    /// Of an HTTP/2 connection: what its first frame is, and what came of that one's head.
    opening: Option<Opening>,
    head: BytesMut,
    inner: T,
}

impl<T: AsyncRead + Unpin> Begun<T> {
    /// Reads until it is plain whether the stream begins with the preface; `None` if it ends before.
    pub(super) async fn read(mut inner: T) -> Option<Self> {
        let mut first = BytesMut::with_capacity(PREFACE.len());
        while PREFACE.starts_with(&first) && first.len() < PREFACE.len() {
            let mut chunk = [0; PREFACE.len()];
            let room = chunk.get_mut(..PREFACE.len() - first.len())?;
            let read = inner.read(room).await.ok().filter(|&read| read > 0)?;
            first.extend_from_slice(chunk.get(..read)?);
        }
        let opening = (first == PREFACE).then_some(Opening::Unknown);
        Some(Self { first, opening, head: BytesMut::new(), inner })
    }

    /// Whether it begins as HTTP/2 does.
    pub(super) fn is_http2(&self) -> bool {
        self.opening.is_some()
    }

    /// Reads to where it can be told which frame is the first.
    fn poll_opening(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.opening == Some(Opening::Unknown) {
            let mut chunk = [0; FRAME_HEAD_BYTES];
            let room = chunk.get_mut(self.head.len()..).unwrap_or_default();
            let mut room = ReadBuf::new(room);
            ready!(Pin::new(&mut self.inner).poll_read(cx, &mut room))?;
            self.head.extend_from_slice(room.filled());
            // What ends before it can be told is given back as it is.
            let ended = room.filled().is_empty();
            self.opening = Some(if ended { Opening::Settings } else { Opening::of(&self.head) });
        }
        let head = std::mem::take(&mut self.head);
        self.first = if self.opening == Some(Opening::Other) { BytesMut::from(&WRONG[..]) } else { head };
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Begun<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() && self.opening == Some(Opening::Unknown) {
            ready!(self.poll_opening(cx))?;
        }
        if self.first.is_empty() {
            return match self.opening {
                Some(Opening::Other) => Poll::Ready(Ok(())),
                _ => Pin::new(&mut self.inner).poll_read(cx, out),
            };
        }
        let length = self.first.len().min(out.remaining());
        out.put_slice(self.first.get(..length).unwrap_or_default());
        self.first.advance(length);
        if self.first.is_empty() {
            self.first = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Begun<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncWriteExt, duplex};

    /// What comes through of these bytes, written in pieces of this size; `None` where it ends too early.
    async fn through(bytes: &[u8], size: usize) -> Option<Vec<u8>> {
        let (mut client, server) = duplex(1 << 10);
        let pieces: Vec<Vec<u8>> = bytes.chunks(size).map(<[u8]>::to_vec).collect();
        let writing = tokio::spawn(async move {
            for piece in pieces {
                // Who reads may have read enough.
                drop(client.write_all(&piece).await);
                tokio::task::yield_now().await;
            }
        });
        let mut out = Vec::new();
        let begun = Begun::read(server).await;
        if let Some(mut begun) = begun {
            begun.read_to_end(&mut out).await.unwrap();
            writing.await.unwrap();
            return Some(out);
        }
        None
    }

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, u8::try_from(payload.len()).unwrap(), kind, flags, 0, 0, 0, 0];
        bytes.extend(payload);
        bytes
    }

    #[tokio::test]
    async fn what_was_read_is_given_back() {
        for text in
            ["POST / HTTP/1.1\r\n\r\n", "PUT / HTTP/1.1\r\n", "PRI * HTTP/1.1\r\n\r\nSM\r\n\r\nframes"]
        {
            for size in 1..text.len() {
                assert_eq!(through(text.as_bytes(), size).await.unwrap(), text.as_bytes());
            }
        }
        for text in ["", "P", "PRI * HTTP/2.0\r\n"] {
            assert!(through(text.as_bytes(), 1).await.is_none(), "{text}");
        }
    }

    #[tokio::test]
    async fn settings_pass_as_they_are_and_no_other_frame_does() {
        let (settings, acknowledged) = (frame(4, 0, &[0, 3, 0, 0, 0, 100]), frame(4, 1, &[]));
        let ping = frame(6, 0, &[7; 8]);
        let good = [PREFACE, &settings, &ping, &settings].concat();
        for size in 1..good.len() {
            assert_eq!(through(&good, size).await.unwrap(), good);
            let others = (0..=u8::MAX).filter(|kind| *kind != 4).map(|kind| frame(kind, 0, &[1; 8]));
            for other in others.chain([acknowledged.clone()]) {
                let bad = [PREFACE, &other, &settings].concat();
                assert_eq!(through(&bad, size).await.unwrap(), [PREFACE, &WRONG].concat(), "{other:?}");
            }
        }
        // What ends before it can be told is passed on as it is.
        for length in 0..FRAME_HEAD_BYTES {
            let cut = [PREFACE, &settings[..length]].concat();
            assert_eq!(through(&cut, 2).await.unwrap(), cut);
        }
    }
}
