//! An answer's body as it arrives. A held one owns a socket, a few integers and at most one timer; the bytes it reads
//! pass through the thread's scratch buffer straight into the caller's sink.
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::error::BodyError;
use super::framing::{Framing, MalformedFraming};
use super::pool::Pool;
use super::scratch::with_scratch;
use super::timer::{LazyTimer, sooner};
use super::upload::Upload;
use super::wire::Wire;
use crate::upstream::{Place, circuit::Watch};

/// Bytes that one `poll_read` takes from the connection before the caller has its turn again.
const TURN_BYTES: usize = 64 * 1024;
/// What `collect` sets aside on the upstream's word alone.
const COLLECT_BYTES_AHEAD: u64 = 64 * 1024;

/// What a read came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// Payload was handed out, or the turn is over; read again.
    More,
    /// The body is complete.
    End,
}

/// A body on its way in. Dropping it before its end closes the connection.
#[derive(Debug)]
pub struct AnswerBody {
    state: State,
    idle: Duration,
    /// When it was asked for, and how long it may take altogether.
    total: Option<(Instant, Duration)>,
    last_read: Instant,
    /// Told how it ends.
    watch: Option<Watch>,
    /// Whether its owner says how it ended, where its framing does not say that it broke off.
    is_judged: bool,
    /// Given back with the last byte.
    place: Option<Place>,
    /// Gets a copy of all of it, once it has come to its end.
    copy: Option<Box<Copy>>,
}

/// A copy of a body as it is read.
struct Copy {
    bytes: Vec<u8>,
    bytes_max: usize,
    done: Box<dyn FnOnce(Bytes) + Send + Sync>,
}

impl std::fmt::Debug for Copy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copy").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum State {
    Open(Held),
    /// Nobody sends it: it is there.
    Whole(Bytes),
    Ended,
    Failed(BodyError),
}

/// A connection with an unfinished body on it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) wire: Wire,
    pub(super) framing: Framing,
    /// What was read together with the head.
    pub(super) leftover: Bytes,
    /// The rest of a request whose answer began early.
    pub(super) upload: Option<Box<Upload>>,
    /// Where the connection goes when it may be used again.
    pub(super) pool: Option<Arc<Pool>>,
    pub(super) timer: LazyTimer,
}

impl AnswerBody {
    pub(super) fn new(held: Held, idle: Duration, total: Option<(Instant, Duration)>) -> Self {
        let last_read = Instant::now();
        let state = if held.framing.is_done() {
            held.release(last_read);
            State::Ended
        } else {
            State::Open(held)
        };
        Self { state, idle, total, last_read, watch: None, is_judged: false, place: None, copy: None }
    }

    /// A body that is there already.
    pub fn whole(bytes: Bytes) -> Self {
        let (idle, last_read) = (Duration::MAX, Instant::now());
        Self {
            state: State::Whole(bytes),
            idle,
            total: None,
            last_read,
            watch: None,
            is_judged: false,
            place: None,
            copy: None,
        }
    }

    /// Hands a copy to `done` once it has been read to its end, unless it is longer than `bytes_max`.
    #[must_use]
    pub fn copied(self, bytes_max: usize, done: impl FnOnce(Bytes) + Send + Sync + 'static) -> Self {
        let copy = Copy { bytes: Vec::new(), bytes_max, done: Box::new(done) };
        Self { copy: Some(Box::new(copy)), ..self }
    }

    /// Tells how it ends.
    #[must_use]
    pub(in crate::upstream) fn watched(self, watch: Watch) -> Self {
        match self.state {
            State::Ended => {
                watch.succeeded();
                self
            }
            State::Open(_) | State::Whole(_) | State::Failed(_) => Self { watch: Some(watch), ..self },
        }
    }

    /// Its owner says how it ended: a stream that is cut can end as its framing says.
    #[must_use]
    pub fn judged(self) -> Self {
        Self { is_judged: true, ..self }
    }

    /// What is read to its end was whole, or was cut. What has not ended yet is whole once its framing says so.
    pub fn judge(&mut self, is_whole: bool) {
        self.is_judged = false;
        let watch = self.watch.take_if(|_| matches!(self.state, State::Ended));
        match watch {
            Some(watch) if is_whole => watch.succeeded(),
            Some(watch) => watch.failed(&"its stream ended too early"),
            None => {}
        }
    }

    /// What mattered of it is there: how it ends says nothing any more.
    pub fn suffices(&mut self) {
        self.watch.take().into_iter().for_each(Watch::succeeded);
    }

    /// Holds a place at the upstream until its end.
    #[must_use]
    pub fn holding(self, place: Option<Place>) -> Self {
        let place = place.filter(|_| matches!(self.state, State::Open(_)));
        Self { place, ..self }
    }

    /// Its place at the upstream is another's from now on, though it has not come to its end.
    pub fn gives_its_place_back(&mut self) {
        self.place = None;
    }

    /// Reads what is ready now, up to 64 KiB, and hands the payload to `sink` slice by slice. `Ready(More)` registers no
    /// waker: call again. After `End` or an error every further call says the same, without payload.
    ///
    /// # Errors
    /// The body did not end as its framing says, broke it, or nothing arrived for the idle time. What was handed
    /// to `sink` before stands.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Poll<Result<Read, BodyError>> {
        let held = match &mut self.state {
            State::Open(held) => held,
            State::Whole(bytes) => {
                sink(bytes);
                self.state = State::Ended;
                self.place = None;
                return Poll::Ready(Ok(Read::More));
            }
            State::Ended => return Poll::Ready(Ok(Read::End)),
            State::Failed(error) => return Poll::Ready(Err(*error)),
        };
        if self.total.is_some_and(|(since, total)| since.elapsed() >= total) {
            return self.fail(BodyError::TotalTimeout);
        }
        held.poll_upload(cx);
        let turn = match &mut self.copy {
            None => held.read(cx, sink),
            Some(copy) => held.read(cx, &mut |data: &[u8]| {
                copy.add(data);
                sink(data);
            }),
        };
        if turn.read_any {
            self.last_read = Instant::now();
        }
        match turn.outcome {
            Outcome::End => {
                if let State::Open(held) = std::mem::replace(&mut self.state, State::Ended) {
                    held.release(self.last_read);
                }
                let watch = self.watch.take_if(|_| !self.is_judged);
                watch.into_iter().for_each(|watch| watch.succeeded());
                self.place = None;
                self.copy.take().into_iter().for_each(|copy| copy.finish());
                Poll::Ready(Ok(Read::End))
            }
            Outcome::More => Poll::Ready(Ok(Read::More)),
            Outcome::Failed(error) => self.fail(error),
            Outcome::Wait => {
                // Even with payload in hand the timer must be armed by whoever waits next, not for every chunk.
                if turn.payload_any {
                    return Poll::Ready(Ok(Read::More));
                }
                let idle = (self.last_read, self.idle);
                let (since, limit) = sooner(idle, self.total);
                match held.timer.poll_over(cx, since, limit) {
                    Poll::Ready(()) if (since, limit) == idle => self.fail(BodyError::IdleTimeout),
                    Poll::Ready(()) => self.fail(BodyError::TotalTimeout),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }

    /// How many bytes are announced to come, if that is known.
    ///
    /// # Errors
    /// It broke off already.
    pub fn announced(&self) -> Result<Option<u64>, BodyError> {
        match &self.state {
            State::Open(held) => Ok(held.framing.bytes_left()),
            State::Whole(bytes) => Ok(u64::try_from(bytes.len()).ok()),
            State::Ended => Ok(Some(0)),
            State::Failed(error) => Err(*error),
        }
    }

    /// Reads on into `whole`.
    ///
    /// # Errors
    /// As for [`Self::poll_read`], and `TooLarge` where it holds more than `bytes_max` bytes then.
    pub async fn read_into(&mut self, whole: &mut Vec<u8>, bytes_max: usize) -> Result<Read, BodyError> {
        let mut too_large = false;
        let read = poll_fn(|cx| {
            self.poll_read(cx, &mut |data| {
                too_large |= data.len() > bytes_max.saturating_sub(whole.len());
                if !too_large {
                    whole.extend_from_slice(data);
                }
            })
        })
        .await;
        if too_large { Err(BodyError::TooLarge) } else { read }
    }

    /// The whole body.
    ///
    /// # Errors
    /// As for [`Self::poll_read`], and `TooLarge` for more than `bytes_max` bytes.
    pub async fn collect(mut self, bytes_max: usize) -> Result<Bytes, BodyError> {
        let announced = self.announced()?.unwrap_or(0);
        if usize::try_from(announced).map_or(true, |n| n > bytes_max) {
            return Err(BodyError::TooLarge);
        }
        let mut whole = Vec::with_capacity(usize::try_from(announced.min(COLLECT_BYTES_AHEAD)).unwrap_or(0));
        while self.read_into(&mut whole, bytes_max).await? == Read::More {}
        Ok(Bytes::from(whole))
    }

    fn fail(&mut self, error: BodyError) -> Poll<Result<Read, BodyError>> {
        self.state = State::Failed(error);
        self.watch.take().into_iter().for_each(|watch| watch.failed(&error));
        self.place = None;
        Poll::Ready(Err(error))
    }
}

impl Copy {
    fn add(&mut self, data: &[u8]) {
        // One that grows too long is left as it is: too long.
        if self.bytes.len() <= self.bytes_max {
            self.bytes.extend_from_slice(data);
        }
    }

    fn finish(self) {
        if self.bytes.len() <= self.bytes_max {
            (self.done)(self.bytes.into());
        }
    }
}

/// One turn of reading.
struct Turn {
    outcome: Outcome,
    read_any: bool,
    payload_any: bool,
}

enum Outcome {
    Wait,
    More,
    End,
    Failed(BodyError),
}

impl Held {
    fn poll_upload(&mut self, cx: &mut Context<'_>) {
        let Some(upload) = &mut self.upload else {
            return;
        };
        match upload.poll_send(&mut self.wire, cx) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => self.upload = None,
            Poll::Ready(Err(_)) => (self.upload, self.pool) = (None, None),
        }
    }

    fn read(&mut self, cx: &mut Context<'_>, sink: &mut dyn FnMut(&[u8])) -> Turn {
        let mut payload_any = false;
        let mut sink = |data: &[u8]| {
            payload_any |= !data.is_empty();
            sink(data);
        };
        let leftover = std::mem::take(&mut self.leftover);
        let mut read_bytes = 0_usize;
        let mut outcome = self.decode(&leftover, &mut sink);
        if matches!(outcome, Outcome::More) {
            outcome = with_scratch(|scratch| {
                while read_bytes < TURN_BYTES {
                    match self.read_once(cx, scratch, &mut sink) {
                        (Outcome::More, read) => read_bytes = read_bytes.saturating_add(read),
                        (other, read) => {
                            read_bytes = read_bytes.saturating_add(read);
                            return other;
                        }
                    }
                }
                Outcome::More
            });
        }
        Turn { outcome, read_any: read_bytes > 0, payload_any }
    }

    fn read_once(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        sink: &mut dyn FnMut(&[u8]),
    ) -> (Outcome, usize) {
        match self.wire.poll_read(cx, scratch) {
            Poll::Pending => (Outcome::Wait, 0),
            Poll::Ready(Err(error)) => (Outcome::Failed(read_failure(&error)), 0),
            Poll::Ready(Ok(0)) if self.framing.ends_by_close() => (Outcome::End, 0),
            Poll::Ready(Ok(0)) => (Outcome::Failed(BodyError::Truncated), 0),
            Poll::Ready(Ok(read)) => (self.decode(scratch.get(..read).unwrap_or_default(), sink), read),
        }
    }

    fn decode(&mut self, input: &[u8], sink: &mut dyn FnMut(&[u8])) -> Outcome {
        match self.framing.decode(input, sink) {
            Err(MalformedFraming) => Outcome::Failed(BodyError::MalformedFraming),
            Ok(surplus) => {
                if !surplus.is_empty() {
                    self.pool = None;
                }
                if self.framing.is_done() { Outcome::End } else { Outcome::More }
            }
        }
    }

    /// After the body's end: back to the pool, or closed.
    fn release(self, now: Instant) {
        if let Some(pool) = self.pool
            && self.upload.is_none()
            && self.leftover.is_empty()
        {
            pool.put(self.wire, now);
        }
    }
}

fn read_failure(error: &io::Error) -> BodyError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => BodyError::Truncated,
        kind => BodyError::Io(kind),
    }
}
