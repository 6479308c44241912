//! An HTTP/1 connection as hyper gets to see it: whole heads that were found good (`head`), and bodies framed by the
//! book. Empty lines before a head, which some clients send behind a body, are left out (RFC 9112, section 2.2), a few of
//! them. Instead of anything else it sees one request that asks to be refused, and says why; nothing behind it is read.

use super::{
    head::{self, Length, Refused, TOO_SLOW},
    standing::Standing,
    timer::Limit,
};
use crate::upstream::http1::Framing;
use bytes::{Buf, BytesMut};
use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A client has so long for a head that it began.
const HEAD_TIMEOUT: Duration = super::HEAD_TIMEOUT;
/// A client that takes nothing of what is written for so long is gone.
const WRITE_STALL_MAX: Duration = Duration::from_secs(60);
/// Of what a refused client still sends, so much is read, for so long: cut off while it writes, it would not read why.
const LINGER_BYTES_MAX: usize = 64 << 10;
/// The same of a client that was answered in the middle of its body.
const LINGER_BODY_BYTES_MAX: usize = 16 << 20;
const LINGER_MAX: Duration = Duration::from_secs(2);
/// So many empty lines may stand before a head.
const EMPTY_LINES_MAX: u8 = 4;
const EMPTY_LINE: &[u8] = b"\r\n";
/// Bytes that are read at once; and of what is longer than most heads are, or read to be thrown away.
const READ_BYTES: usize = 4096;
const READ_MORE_BYTES: usize = 4 * READ_BYTES;

/// The header of the request that stands for one that is refused: known by a mark that no client knows.
pub(super) const REFUSED: &str = "x-tollgate-refused";

/// What a refused request is told by: random, and never sent to anybody.
pub(super) fn mark() -> &'static str {
    static MARK: OnceLock<String> = OnceLock::new();
    MARK.get_or_init(|| {
        let mut bytes = [0; 16];
        // Without random bytes nothing could be told apart: then no refusal is believed, and hyper answers 404.
        match getrandom::fill(&mut bytes) {
            Ok(()) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            Err(_) => String::new(),
        }
    })
}

/// Where in its requests a connection is.
#[derive(Debug)]
enum Place {
    Head,
    Body(u64),
    Chunks(Framing),
    /// In a body that is not framed by the book: nothing more is read.
    Broken,
    /// Behind a head that was refused: nothing more is read.
    Refused,
}

/// What a read came to.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Passed,
    Kept,
    /// The client ended: in the middle of a head, too.
    End,
}

/// A guarded connection.
#[derive(Debug)]
pub(super) struct Guard<T> {
    inner: T,
    /// Read, and not passed on yet.
    kept: BytesMut,
    /// So much of it may be passed on.
    passed: usize,
    /// Of an incomplete head, so much was looked at.
    seen: usize,
    place: Place,
    /// Empty lines before the head that comes next.
    empty_lines: u8,
    /// Heads that were found good.
    heads: u64,
    standing: Arc<Standing>,
    head_bytes_max: usize,
    head_limit: Limit,
    write_limit: Limit,
    linger: Option<(Limit, usize)>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Guard<T> {
    pub(super) fn new(inner: T, head_bytes_max: usize) -> Self {
        Self {
            inner,
            kept: BytesMut::new(),
            passed: 0,
            seen: 0,
            place: Place::Head,
            empty_lines: 0,
            heads: 0,
            standing: Arc::default(),
            head_bytes_max,
            head_limit: Limit::new(HEAD_TIMEOUT),
            write_limit: Limit::new(WRITE_STALL_MAX),
            linger: None,
        }
    }

    /// How it stands, for those who do not see its bytes.
    pub(super) fn standing(&self) -> Arc<Standing> {
        Arc::clone(&self.standing)
    }

    /// How many of these bytes, which come next, may be passed on now.
    fn judge(&mut self, bytes: &[u8]) -> usize {
        let passed = self.judge_each(bytes);
        self.standing.set_in_body(self.is_in_body().then_some(self.heads));
        passed
    }

    fn is_in_body(&self) -> bool {
        matches!(self.place, Place::Body(_) | Place::Chunks(_) | Place::Broken)
    }

    fn judge_each(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            match &mut self.place {
                Place::Broken | Place::Refused => return at,
                _ if rest.is_empty() => return at,
                Place::Body(left) => {
                    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= u64::try_from(length).unwrap_or(u64::MAX);
                    at += length;
                    if *left == 0 {
                        self.place = Place::Head;
                    }
                }
                Place::Chunks(framing) => {
                    let Ok(behind) = framing.decode(rest, &mut |_| ()) else {
                        self.place = Place::Broken;
                        self.linger = Some((Limit::new(LINGER_MAX), LINGER_BYTES_MAX));
                        return at;
                    };
                    at += rest.len() - behind.len();
                    if framing.is_done() {
                        self.place = Place::Head;
                    }
                }
                Place::Head => {
                    // An empty line is left out once it stands in front.
                    if self.begins_empty(rest) {
                        return at;
                    }
                    let Some(length) = self.head(rest) else { return at };
                    at += length;
                }
            }
        }
    }

    /// Whether an empty line that may be left out stands at the start of these bytes, or may come to.
    fn begins_empty(&self, bytes: &[u8]) -> bool {
        let is_one = bytes.starts_with(EMPTY_LINE) || (!bytes.is_empty() && EMPTY_LINE.starts_with(bytes));
        is_one && self.empty_lines < EMPTY_LINES_MAX
    }

    /// Leaves out the empty lines before a head.
    fn leave_out(&mut self) {
        while matches!(self.place, Place::Head)
            && self.kept.starts_with(EMPTY_LINE)
            && self.begins_empty(&self.kept)
        {
            self.kept.advance(EMPTY_LINE.len());
            self.empty_lines += 1;
            // The time of a head is its own.
            self.head_limit.stop();
        }
    }

    /// The length of the head at the start of these bytes, once it is complete and good.
    fn head(&mut self, bytes: &[u8]) -> Option<usize> {
        let end = head::end(bytes, self.seen, self.head_bytes_max);
        let (end, length) = match end {
            Ok(None) => {
                self.seen = bytes.len();
                return None;
            }
            Ok(Some(end)) => (end, head::read(bytes.get(..end).unwrap_or_default())),
            Err(refused) => (0, Err(refused)),
        };
        self.seen = 0;
        match length {
            Ok(length) => {
                self.head_limit.stop();
                self.heads += 1;
                self.empty_lines = 0;
                self.place = match length {
                    Length::Bytes(0) => Place::Head,
                    Length::Bytes(left) => Place::Body(left),
                    Length::Chunked => Place::Chunks(Framing::chunked()),
                };
                Some(end)
            }
            Err(refused) => {
                self.refuse(refused, head::path(bytes));
                None
            }
        }
    }

    /// From now on there is one request only, which says why.
    fn refuse(&mut self, refused: Refused, path: Option<&str>) {
        let path = path.unwrap_or("/");
        let (mark, Refused { status, why }) = (mark(), refused);
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: refused.invalid\r\nconnection: close\r\n{REFUSED}: {mark} {status} {why}\r\n\r\n"
        );
        self.place = Place::Refused;
        self.kept = BytesMut::from(request.as_bytes());
        self.linger = Some((Limit::new(LINGER_MAX), LINGER_BYTES_MAX));
    }

    /// Judges what is kept, where that was not done yet.
    fn judge_kept(&mut self) {
        if self.passed == 0 {
            self.leave_out();
        }
        if self.passed == 0 && !self.kept.is_empty() && !matches!(self.place, Place::Broken | Place::Refused)
        {
            let kept = std::mem::take(&mut self.kept);
            let passed = self.judge(&kept);
            if matches!(self.place, Place::Refused) {
                // What came before it in good order goes first.
                let mut all = kept;
                all.truncate(passed);
                all.extend_from_slice(&self.kept);
                self.passed = all.len();
                self.kept = all;
            } else {
                (self.kept, self.passed) = (kept, passed);
            }
        }
    }

    /// Hands out what may be passed on.
    fn hand_out(&mut self, out: &mut ReadBuf<'_>) -> bool {
        self.judge_kept();
        if self.passed == 0 {
            return false;
        }
        let length = self.passed.min(out.remaining());
        out.put_slice(self.kept.get(..length).unwrap_or_default());
        self.kept.advance(length);
        self.passed -= length;
        if self.kept.is_empty() {
            // A connection that idles keeps no buffer.
            self.kept = BytesMut::new();
        }
        true
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Guard<T> {
    /// Reads to where it goes, the most of a body; what may not pass yet is kept.
    fn read_straight(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<Got>> {
        let before = out.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, out))?;
        let read = out.filled().get(before..).unwrap_or_default();
        if read.is_empty() {
            return Poll::Ready(Ok(Got::End));
        }
        let passed = self.judge(read);
        if passed < read.len() {
            match self.place {
                Place::Refused => self.passed = self.kept.len(),
                Place::Broken => {}
                Place::Body(_) | Place::Chunks(_) | Place::Head => {
                    self.kept = BytesMut::from(read.get(passed..).unwrap_or_default());
                }
            }
            out.set_filled(before + passed);
        }
        Poll::Ready(Ok(if passed > 0 { Got::Passed } else { Got::Kept }))
    }

    /// Ready once a client began a request (`true`), or ended.
    pub(super) fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            if self.passed == 0 {
                self.leave_out();
            }
            if !self.kept.is_empty() {
                return Poll::Ready(true);
            }
            if !matches!(self.place, Place::Head) {
                return Poll::Ready(false);
            }
            if !ready!(self.read_more(cx)).is_ok_and(|got| got == Got::Kept) {
                return Poll::Ready(false);
            }
        }
    }

    /// Ready once a whole head, or a refusal, can be passed on (`true`), or the client ended.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            self.judge_kept();
            if self.passed > 0 {
                return Poll::Ready(true);
            }
            if !matches!(self.place, Place::Head) {
                return Poll::Ready(false);
            }
            let read = self.read_more(cx);
            // What came was an empty line, and nothing comes behind it.
            if read.is_pending() && self.kept.is_empty() && self.head_limit.poll(cx).is_ready() {
                return Poll::Ready(false);
            }
            if !ready!(read).is_ok_and(|got| got == Got::Kept) {
                return Poll::Ready(false);
            }
        }
    }

    /// Reads more of a head; one that began has its time.
    fn read_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Got>> {
        if self.kept.len() < READ_BYTES {
            self.read_chunk(cx, &mut [0; READ_BYTES])
        } else {
            self.read_chunk(cx, &mut [0; READ_MORE_BYTES])
        }
    }

    fn read_chunk(&mut self, cx: &mut Context<'_>, chunk: &mut [u8]) -> Poll<io::Result<Got>> {
        let mut chunk = ReadBuf::new(chunk);
        if Pin::new(&mut self.inner).poll_read(cx, &mut chunk)?.is_pending() {
            if self.kept.is_empty() {
                return Poll::Pending;
            }
            ready!(self.head_limit.poll(cx));
            let path = head::path(&self.kept).map(ToOwned::to_owned);
            self.refuse(TOO_SLOW, path.as_deref());
            self.passed = self.kept.len();
            return Poll::Ready(Ok(Got::Kept));
        }
        self.kept.extend_from_slice(chunk.filled());
        Poll::Ready(Ok(if chunk.filled().is_empty() { Got::End } else { Got::Kept }))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guard<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guard = &mut *self;
        loop {
            if guard.hand_out(out) {
                return Poll::Ready(Ok(()));
            }
            match guard.place {
                Place::Broken => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                // The answer ends the connection.
                Place::Refused => return Poll::Pending,
                Place::Body(_) | Place::Chunks(_) | Place::Head => {}
            }
            let got = if guard.kept.is_empty() { guard.read_straight(cx, out) } else { guard.read_more(cx) };
            if ready!(got)? != Got::Kept {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Guard<T> {
    /// A write that waits, waits for so long and no longer.
    fn bounded<V>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<V>>) -> Poll<io::Result<V>> {
        self.standing.set_writing(polled.is_pending());
        if polled.is_ready() {
            self.write_limit.stop();
            return polled;
        }
        self.write_limit.poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.bounded(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.bounded(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.bounded(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guard = &mut *self;
        let polled = Pin::new(&mut guard.inner).poll_shutdown(cx);
        ready!(guard.bounded(cx, polled))?;
        if guard.linger.is_none() && guard.is_in_body() {
            guard.linger = Some((Limit::new(LINGER_MAX), LINGER_BODY_BYTES_MAX));
        }
        let Some((limit, left)) = &mut guard.linger else { return Poll::Ready(Ok(())) };
        loop {
            let mut chunk = [0; READ_MORE_BYTES];
            let mut chunk = ReadBuf::new(&mut chunk);
            match Pin::new(&mut guard.inner).poll_read(cx, &mut chunk) {
                Poll::Ready(Ok(())) if !chunk.filled().is_empty() => {
                    *left = left.saturating_sub(chunk.filled().len());
                    if *left == 0 {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return limit.poll(cx).map(Ok),
            }
        }
    }
}

#[cfg(test)]
mod tests;
