//! A connection whose first bytes were read: enough to tell HTTP/2 from HTTP/1.1, within the time for a head.

use bytes::{Buf, Bytes, BytesMut};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// What an HTTP/2 connection begins with. Source: RFC 9113, section 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream that first gives back what was read of it.
#[derive(Debug)]
pub(super) struct Begun<T> {
    first: BytesMut,
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
        Some(Self { first, inner })
    }

    /// Whether it begins as HTTP/2 does.
    pub(super) fn is_http2(&self) -> bool {
        self.first == PREFACE
    }

    /// What was read, and what comes behind it.
    pub(super) fn into_parts(self) -> (Bytes, T) {
        (self.first.freeze(), self.inner)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Begun<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, out);
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

    #[tokio::test]
    async fn what_was_read_is_given_back() {
        for text in
            ["POST / HTTP/1.1\r\n\r\n", "PUT / HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nframes"]
        {
            let mut stream = Begun::read(text.as_bytes()).await.unwrap();
            let mut back = String::new();
            stream.read_to_string(&mut back).await.unwrap();
            assert_eq!(back, text);
        }
        for text in ["", "P", "PRI * HTTP/2.0\r\n"] {
            assert!(Begun::read(text.as_bytes()).await.is_none(), "{text}");
        }
    }
}
