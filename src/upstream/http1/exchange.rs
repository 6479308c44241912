//! One request on one connection, until the answer's head is there. Writing and reading go on side by side, so that an
//! early answer is seen while a large body is still on its way out.
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Method;
use tokio::time::Instant;

use super::body::{AnswerBody, Held};
use super::client::{Answer, Timeouts};
use super::error::{Reach, SendError, SendErrorKind};
use super::head::{self, Head, Malformed, Parsed, Reuse};
use super::pool::Pool;
use super::scratch::with_scratch;
use super::timer::{LazyTimer, sooner};
use super::tls;
use super::upload::Upload;
use super::wire::Wire;

/// 1xx answers that are skipped.
const INTERIMS_MAX: u32 = 8;

/// How the request's own bytes stand.
#[derive(Debug)]
enum Sending {
    Going(Upload),
    Sent,
    /// The connection takes no more; an answer may still be there.
    Broken(Reach),
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Exchange {
    wire: Option<Wire>,
    sending: Sending,
    answer: Incoming,
    timer: LazyTimer,
    last_sent: Instant,
    started: Instant,
    timeouts: Timeouts,
    pool: Arc<Pool>,
}

impl Exchange {
    /// `started` is when the request began that `timeouts.total` is for: this may be a further try.
    pub(super) fn new(
        wire: Wire,
        (head, body): (Bytes, Bytes),
        timeouts: Timeouts,
        started: Instant,
        pool: Arc<Pool>,
    ) -> Self {
        Self {
            wire: Some(wire),
            sending: Sending::Going(Upload::new(head, body)),
            answer: Incoming::default(),
            timer: LazyTimer::default(),
            last_sent: Instant::now(),
            started,
            timeouts,
            pool,
        }
    }

    /// Whether not one byte of an answer has arrived.
    pub(super) const fn heard_nothing(&self) -> bool {
        self.answer.bytes == 0
    }

    /// Sends, and waits for the head of the answer to `method`. To be called once.
    pub(super) async fn run(&mut self, method: &Method) -> Result<Answer, SendError> {
        let result = poll_fn(|cx| self.poll_head(cx, method)).await;
        let wire = self.wire.take();
        match (result, wire) {
            (Ok((head, leftover)), Some(wire)) => Ok(self.answer(wire, head, leftover)),
            // Nobody took what was sent.
            (Err(kind @ SendErrorKind::Tls(_)), _) => Err(SendError::before_sending(kind)),
            (Err(kind), _) => Err(SendError::after(self.reach(), kind)),
            (Ok(_), None) => Err(SendError::after(self.reach(), SendErrorKind::ClosedBeforeAnswer)),
        }
    }

    fn reach(&self) -> Reach {
        match &self.sending {
            Sending::Going(upload) => upload.reach(),
            Sending::Sent => Reach::SomethingSent,
            Sending::Broken(reach) => *reach,
        }
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        method: &Method,
    ) -> Poll<Result<(Head, Bytes), SendErrorKind>> {
        let Some(wire) = &mut self.wire else {
            return Poll::Ready(Err(SendErrorKind::ClosedBeforeAnswer));
        };
        if let Sending::Going(upload) = &mut self.sending {
            let left = upload.left();
            let sent = upload.poll_send(wire, cx);
            if upload.left() < left {
                self.last_sent = Instant::now();
            }
            match sent {
                Poll::Ready(Ok(())) => self.sending = Sending::Sent,
                Poll::Ready(Err(_)) => self.sending = Sending::Broken(upload.reach()),
                Poll::Pending => {}
            }
        }
        if let Poll::Ready(result) = self.answer.poll_read(wire, cx, method) {
            return Poll::Ready(result);
        }
        let (since, limit) = sooner(
            (self.last_sent, self.timeouts.first_byte),
            self.timeouts.total.map(|total| (self.started, total)),
        );
        let over = self.timer.poll_over(cx, since, limit);
        over.map(|()| Err(SendErrorKind::FirstByteTimeout))
    }

    fn answer(&mut self, wire: Wire, head: Head, leftover: Bytes) -> Answer {
        let sending = std::mem::replace(&mut self.sending, Sending::Sent);
        let (upload, sent) = match sending {
            Sending::Sent => (None, true),
            // An upstream that refuses does not need the rest of what it refused.
            Sending::Going(upload) if head.status.as_u16() < 400 => (Some(Box::new(upload)), true),
            Sending::Going(_) | Sending::Broken(_) => (None, false),
        };
        let pool = (head.reuse == Reuse::KeepAlive && sent).then(|| Arc::clone(&self.pool));
        let timer = std::mem::take(&mut self.timer);
        let held = Held { wire, framing: head.framing, leftover, upload, pool, timer };
        let total = self.timeouts.total.map(|total| (self.started, total));
        let body = AnswerBody::new(held, self.timeouts.idle, total);
        Answer { status: head.status, headers: head.headers, body }
    }
}

/// What has arrived of an answer's head.
#[derive(Debug, Default)]
struct Incoming {
    /// The unparsed start of a head; empty while heads arrive in one piece.
    partial: Vec<u8>,
    interims: u32,
    bytes: usize,
}

impl Incoming {
    fn poll_read(
        &mut self,
        wire: &mut Wire,
        cx: &mut Context<'_>,
        method: &Method,
    ) -> Poll<Result<(Head, Bytes), SendErrorKind>> {
        with_scratch(|scratch| {
            loop {
                let read = match wire.poll_read(cx, scratch) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(failure(&error, self.bytes == 0))),
                    Poll::Ready(Ok(read)) => scratch.get(..read).unwrap_or_default(),
                };
                if read.is_empty() {
                    return Poll::Ready(Err(SendErrorKind::ClosedBeforeAnswer));
                }
                self.bytes = self.bytes.saturating_add(read.len());
                match self.take(read, method) {
                    Ok(Some(found)) => return Poll::Ready(Ok(found)),
                    Ok(None) => {}
                    Err(Malformed(why)) => {
                        return Poll::Ready(Err(SendErrorKind::MalformedAnswer(why)));
                    }
                }
            }
        })
    }

    /// Looks for the final head in what was there and what was `read`; the second value is what follows it.
    fn take(&mut self, read: &[u8], method: &Method) -> Result<Option<(Head, Bytes)>, Malformed> {
        let joined;
        let mut seen = self.partial.len();
        let mut rest = if self.partial.is_empty() {
            read
        } else {
            self.partial.extend_from_slice(read);
            joined = std::mem::take(&mut self.partial);
            &joined
        };
        while let Some(end) = head::end_of_head(rest, seen)? {
            let (this, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            match head::parse(&Bytes::copy_from_slice(this), method)? {
                Parsed::Final(head) => return Ok(Some((head, Bytes::copy_from_slice(behind)))),
                Parsed::Interim if self.interims >= INTERIMS_MAX => {
                    return Err(Malformed("too many interim answers"));
                }
                Parsed::Interim => self.interims += 1,
            }
            (rest, seen) = (behind, 0);
        }
        self.partial = rest.to_vec();
        Ok(None)
    }
}

/// A connection that fails while an answer is due is one that closed, and so is one that ends with an alert; a broken TLS
/// record is a malformed answer. A server that asks for a client's certificate ends its side of the handshake after ours:
/// what it says of that is the first that is heard of it.
fn failure(error: &io::Error, heard_nothing: bool) -> SendErrorKind {
    match tls::alert(error) {
        Some(alert) if heard_nothing && tls::refuses_client(alert) => {
            SendErrorKind::Tls(tls::alert_failure(alert))
        }
        Some(_) => SendErrorKind::ClosedBeforeAnswer,
        None if error.kind() == io::ErrorKind::InvalidData => {
            SendErrorKind::MalformedAnswer("broken TLS record")
        }
        None => SendErrorKind::ClosedBeforeAnswer,
    }
}
