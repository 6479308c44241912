//! A connection's bytes, plain or through TLS. Apart so that nothing else asks which of the two it is.
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

/// An open connection to an origin.
#[derive(Debug)]
pub(super) struct Wire {
    kind: Kind,
    since: Instant,
}

#[derive(Debug)]
enum Kind {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self { kind: Kind::Plain(stream), since: Instant::now() }
    }

    pub(super) fn tls(stream: Box<TlsStream<TcpStream>>) -> Self {
        Self { kind: Kind::Tls(stream), since: Instant::now() }
    }

    /// How long it has been open.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// Reads once into `buffer`; `Ok(0)` is the peer's clean end. A TLS stream cut without its closing alert is
    /// `UnexpectedEof`.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        let polled = match &mut self.kind {
            Kind::Plain(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
            Kind::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, &mut buffer),
        };
        polled.map_ok(|()| buffer.filled().len())
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.kind {
            Kind::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Kind::Tls(stream) => Pin::new(&mut **stream).poll_write_vectored(cx, slices),
        }
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Kind::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
        }
    }

    /// Whether the runtime knows of nothing to read. It also takes the last task's waker off the socket, which would
    /// otherwise keep that task's memory for as long as the connection rests.
    pub(super) fn is_drained(&mut self) -> bool {
        let mut byte = [0_u8; 1];
        self.poll_read(&mut Context::from_waker(Waker::noop()), &mut byte).is_pending()
    }

    /// Whether the kernel holds neither bytes nor an end for this resting connection. It asks the kernel itself:
    /// the runtime's own view is as old as its last turn.
    pub(super) fn is_quiet(&self) -> bool {
        let stream = match &self.kind {
            Kind::Plain(stream) => stream,
            Kind::Tls(stream) => stream.get_ref().0,
        };
        let mut byte = [MaybeUninit::uninit(); 1];
        matches!(SockRef::from(stream).peek(&mut byte), Err(e) if e.kind() == io::ErrorKind::WouldBlock)
    }
}
