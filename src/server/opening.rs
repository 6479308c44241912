//! The first frame of an HTTP/2 connection, which has to be SETTINGS (RFC 9113, section 3.4). Where it is another, hyper
//! sees one that no connection survives: it says that the protocol was not kept, and ends.

use bytes::{Buf, Bytes, BytesMut};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const FRAME_HEAD_BYTES: usize = 9;
const SETTINGS: u8 = 4;
const ACK: u8 = 1;
/// An empty DATA frame of the connection itself.
const WRONG: &[u8] = &[0; FRAME_HEAD_BYTES];

/// A stream that begins with the preface.
#[derive(Debug)]
pub(super) struct Opening<T> {
    inner: T,
    /// Looked at, and not passed on yet.
    passed: Bytes,
    /// Of the first frame's head, what came.
    head: BytesMut,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    First,
    Good,
    Wrong,
}

impl<T: AsyncRead + Unpin> Opening<T> {
    /// `inner` comes behind the preface.
    pub(super) fn new(preface: Bytes, inner: T) -> Self {
        Self { inner, passed: preface, head: BytesMut::new(), state: State::First }
    }

    /// Reads to where it can be told which frame is the first.
    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.state == State::First {
            let mut chunk = [0; FRAME_HEAD_BYTES];
            let room = chunk.get_mut(self.head.len()..).unwrap_or_default();
            let mut room = ReadBuf::new(room);
            ready!(Pin::new(&mut self.inner).poll_read(cx, &mut room))?;
            self.head.extend_from_slice(room.filled());
            let head = (self.head.get(3).copied(), self.head.get(4).copied(), self.head.len());
            self.state = match head {
                (Some(kind), _, _) if kind != SETTINGS => State::Wrong,
                (_, Some(flags), _) if flags & ACK != 0 => State::Wrong,
                (_, _, FRAME_HEAD_BYTES) => State::Good,
                // It ended.
                _ if room.filled().is_empty() => State::Good,
                _ => State::First,
            };
        }
        let head = std::mem::take(&mut self.head);
        self.passed = if self.state == State::Wrong { Bytes::from_static(WRONG) } else { head.freeze() };
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Opening<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.passed.is_empty() && self.state == State::First {
            ready!(self.poll_first(cx))?;
        }
        if !self.passed.is_empty() {
            let length = self.passed.len().min(out.remaining());
            out.put_slice(self.passed.get(..length).unwrap_or_default());
            self.passed.advance(length);
            return Poll::Ready(Ok(()));
        }
        match self.state {
            State::Wrong => Poll::Ready(Ok(())),
            State::First | State::Good => Pin::new(&mut self.inner).poll_read(cx, out),
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Opening<T> {
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    /// What comes through of these bytes, written in pieces of this size.
    async fn through(bytes: &[u8], size: usize) -> Vec<u8> {
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
        Opening::new(Bytes::from_static(PREFACE), server).read_to_end(&mut out).await.unwrap();
        writing.await.unwrap();
        out
    }

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, u8::try_from(payload.len()).unwrap(), kind, flags, 0, 0, 0, 0];
        bytes.extend(payload);
        bytes
    }

    #[tokio::test]
    async fn settings_pass_as_they_are_and_no_other_frame_does() {
        let settings = frame(SETTINGS, 0, &[0, 3, 0, 0, 0, 100]);
        let ping = frame(6, 0, &[7; 8]);
        let good = [settings.clone(), ping.clone(), settings.clone()].concat();
        for size in 1..good.len() {
            assert_eq!(through(&good, size).await, [PREFACE, &good].concat());
            for kind in (0..=u8::MAX).filter(|kind| *kind != SETTINGS) {
                let bad = [frame(kind, 0, &[1; 8]), settings.clone()].concat();
                assert_eq!(through(&bad, size).await, [PREFACE, WRONG].concat(), "{kind}");
            }
            let answers = [frame(SETTINGS, ACK, &[]), settings.clone()].concat();
            assert_eq!(through(&answers, size).await, [PREFACE, WRONG].concat());
        }
        // What ends before it can be told is passed on as it is.
        for length in 0..FRAME_HEAD_BYTES {
            assert_eq!(through(&settings[..length], 2).await, [PREFACE, &settings[..length]].concat());
        }
    }
}
