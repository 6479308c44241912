//! An answer that takes its time, kept so that a client of a session whose connection breaks can come back for the rest of
//! it (`Last-Event-ID`). The work goes on without its client for a while; what was sent is kept for as long, within bounds.

use super::{
    events::{Events, Out, Sink},
    post::in_room,
    session::ClientSession,
};
use crate::{
    mcp::{Revision, message},
    room::Held,
};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

/// So long the work goes on without its client, and its answer is kept.
const KEPT: Duration = Duration::from_secs(60);
/// So much of an answer is kept that was sent, and may wait to be sent, in bytes.
const BYTES_MAX: usize = 1 << 20;
/// So much is kept of answers that ended, all sessions together, in bytes.
const ENDED_BYTES_MAX: usize = 64 << 20;
/// What the client is told to wait before it comes back, in milliseconds.
const RETRY: u64 = 1000;

static ENDED_BYTES: AtomicUsize = AtomicUsize::new(0);

/// An answer on its way, and how far.
#[derive(Debug)]
pub(super) struct Kept {
    /// Its number in the session.
    pub(super) number: u64,
    /// Whether it begins with an event that says nothing but where it begins.
    primes: bool,
    state: Mutex<State>,
    /// Told when there is more, when something was read, and when a reader comes or goes.
    moved: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// What is kept, oldest first. Comments have no number.
    events: VecDeque<(Option<u64>, Bytes)>,
    bytes: usize,
    /// So many of `events` were handed to the reader.
    read: usize,
    /// The number of the next event.
    next: u64,
    is_over: bool,
    /// The present reader may leave once it has read what there is.
    is_paused: bool,
    /// Which reader is the present one; `None` while there is none.
    reader: Option<u64>,
    readers: u64,
}

/// Where to go on from: an answer of the session's, and the last event of it that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) number: u64,
    event: u64,
}

impl Place {
    /// Reads the id of an event.
    pub(super) fn read(id: &str) -> Option<Self> {
        let (number, event) = id.split_once('-')?;
        Some(Self { number: number.parse().ok()?, event: event.parse().ok()? })
    }
}

impl Kept {
    /// Goes on with the work in the background, and keeps what comes of it. The answer, from its beginning.
    pub(super) fn begin(
        session: &Arc<ClientSession>,
        events: Events,
        first: Option<Out>,
    ) -> Result<Events, Box<Events>> {
        let number = session.next_number();
        let primes = session.revision >= Revision::November2025;
        let kept = Arc::new(Self { number, primes, state: Mutex::default(), moved: Notify::new() });
        if !session.keep(&kept) {
            return Err(Box::new(match first {
                Some(Out::Event(first)) if !first.is_empty() => events.after(first),
                Some(_) | None => events,
            }));
        }
        if primes {
            kept.push(format!("retry: {RETRY}\ndata: \n\n").into_bytes(), None);
        }
        let reader = kept.reader(None);
        match first {
            Some(Out::Event(first)) if !first.is_empty() => kept.push(first.into(), None),
            Some(Out::Pause) => kept.lock().is_paused = true,
            Some(Out::Event(_) | Out::Last(_)) | None => {}
        }
        tokio::spawn(Arc::clone(&kept).pump(events, Arc::clone(session)));
        Ok(reader)
    }

    /// The rest of the answer, behind this event, if all of it is kept. An earlier reader ends.
    pub(super) fn resumed(self: &Arc<Self>, place: Place) -> Option<Events> {
        let is_whole = {
            let state = self.lock();
            let first = state.events.iter().find_map(|(number, _)| *number).unwrap_or(state.next);
            (first..=state.next).contains(&place.event.saturating_add(1))
        };
        is_whole.then(|| self.reader(Some(place.event)))
    }

    /// Whether the work has ended.
    pub(super) fn is_over(&self) -> bool {
        self.lock().is_over
    }

    async fn pump(self: Arc<Self>, mut events: Events, session: Arc<ClientSession>) {
        loop {
            let out = tokio::select! {
                out = events.next() => out,
                () = self.is_abandoned() => break,
            };
            match out {
                Some(Out::Event(bytes)) => {
                    self.push(bytes.into(), None);
                    if tokio::time::timeout(KEPT, self.has_room()).await.is_err() {
                        break;
                    }
                }
                Some(Out::Pause) => {
                    self.lock().is_paused = true;
                    self.moved.notify_waiters();
                }
                Some(Out::Last(mut reply)) => {
                    if !reply.body.is_empty() {
                        let room = reply.room.take();
                        self.push(message::event(&reply.body), room);
                    }
                    break;
                }
                None => break,
            }
        }
        // Whoever left the work takes with it what it holds upstream.
        drop(events);
        let bytes = {
            let mut state = self.lock();
            state.is_over = true;
            state.bytes
        };
        self.moved.notify_waiters();
        let all = ENDED_BYTES.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if all <= ENDED_BYTES_MAX {
            tokio::time::sleep(KEPT).await;
        }
        ENDED_BYTES.fetch_sub(bytes, Ordering::Relaxed);
        session.forget(self.number);
    }

    /// Appends an event under the next number, or a comment without one; in its room, if it takes any.
    fn push(&self, bytes: Vec<u8>, room: Option<Held>) {
        let mut state = self.lock();
        state.is_paused = false;
        let (number, bytes) = if bytes.starts_with(b":") {
            (None, bytes)
        } else {
            let number = state.next;
            state.next += 1;
            (Some(number), [format!("id: {}-{number}\n", self.number).as_bytes(), &bytes].concat())
        };
        state.bytes += bytes.len();
        state.events.push_back((number, in_room(bytes.into(), room)));
        // What was sent long ago has arrived.
        while state.bytes > BYTES_MAX && state.read > 0 {
            let Some((_, oldest)) = state.events.pop_front() else { break };
            state.bytes -= oldest.len();
            state.read -= 1;
        }
        drop(state);
        self.moved.notify_waiters();
    }

    /// Waits until no more than what is kept waits to be sent.
    async fn has_room(&self) {
        self.until(|state| {
            let unread: usize = state.events.iter().skip(state.read).map(|(_, bytes)| bytes.len()).sum();
            (unread <= BYTES_MAX).then_some(())
        })
        .await;
    }

    /// Waits until nobody came back for too long.
    async fn is_abandoned(&self) {
        loop {
            self.until(|state| state.reader.is_none().then_some(())).await;
            let back = self.until(|state| state.reader.map(drop));
            if tokio::time::timeout(KEPT, back).await.is_err() {
                return;
            }
        }
    }

    async fn until<R>(&self, condition: impl Fn(&mut State) -> Option<R>) -> R {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            // What moves from here on is not missed.
            moved.as_mut().enable();
            if let Some(found) = condition(&mut self.lock()) {
                return found;
            }
            moved.await;
        }
    }

    /// A reader of what is kept behind this event, and of what is to come.
    fn reader(self: &Arc<Self>, behind: Option<u64>) -> Events {
        let mut state = self.lock();
        state.readers += 1;
        let reader = Reader { kept: Arc::clone(self), number: state.readers, can_come_back: self.primes };
        state.reader = Some(reader.number);
        state.is_paused = false;
        state.read = match behind {
            None => 0,
            Some(behind) => {
                let is_old =
                    |(number, _): &&(Option<u64>, Bytes)| number.is_none_or(|number| number <= behind);
                state.events.iter().take_while(is_old).count()
            }
        };
        drop(state);
        self.moved.notify_waiters();
        Events::of(|sink| reader.run(sink))
    }

    /// Whoever panicked while holding it left it as it was.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever reads an answer, until another one does.
struct Reader {
    kept: Arc<Kept>,
    number: u64,
    /// Whether the client knows where to go on from if it is left with nothing.
    can_come_back: bool,
}

impl Reader {
    async fn run(self, sink: Sink) {
        loop {
            let next = self.kept.until(|state| {
                if state.reader != Some(self.number) {
                    return Some(None);
                }
                let next = state.events.get(state.read).map(|(_, bytes)| bytes.clone());
                state.read += usize::from(next.is_some());
                match next {
                    None if state.is_paused && self.can_come_back => Some(None),
                    None if !state.is_over => None,
                    next => Some(next),
                }
            });
            let Some(bytes) = next.await else { return };
            self.kept.moved.notify_waiters();
            if sink.send(Out::Event(bytes)).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.kept.lock();
        if state.reader == Some(self.number) {
            state.reader = None;
        }
        drop(state);
        self.kept.moved.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{gateway::mcp::post::Reply, json::Value};

    fn session() -> Arc<ClientSession> {
        let capabilities = Value::object([]);
        Arc::new(ClientSession::new("acme".into(), 1, Revision::November2025, &capabilities))
    }

    /// Work that says five things and ends.
    fn work() -> Events {
        Events::of(|sink| async move {
            for number in 0..5 {
                sink.send(Out::Event(format!("data: {number}\n\n").into())).await.unwrap();
                tokio::task::yield_now().await;
            }
            let reply = Reply { status: 200, body: b"end".to_vec(), ..Reply::accepted() };
            sink.send(Out::Last(Box::new(reply))).await.unwrap();
        })
    }

    /// Reads so many events, and then leaves. The ids and the data.
    async fn read(mut events: Events, count: usize) -> Vec<(String, String)> {
        let mut found = Vec::new();
        while found.len() < count
            && let Some(Out::Event(bytes)) = events.next().await
        {
            let event = crate::sse::event(&bytes).unwrap();
            found.push((event.id.unwrap().to_owned(), event.data.unwrap().into_owned()));
        }
        found
    }

    #[tokio::test(start_paused = true)]
    async fn wherever_a_client_breaks_off_it_gets_the_rest_once() {
        let all = read(Kept::begin(&session(), work(), None).unwrap(), 99).await;
        let data: Vec<_> = all.iter().map(|(_, data)| data.as_str()).collect();
        assert_eq!(data, ["", "0", "1", "2", "3", "4", "end"]);
        for first in 1..all.len() {
            for second in 1..=all.len() - first {
                let session = session();
                let mut found = read(Kept::begin(&session, work(), None).unwrap(), first).await;
                for count in [second, 99] {
                    let place = Place::read(&found.last().unwrap().0).unwrap();
                    let kept = session.kept(place.number).unwrap();
                    found.extend(read(kept.resumed(place).unwrap(), count).await);
                }
                assert_eq!(found, all, "{first} {second}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_is_let_go_while_there_is_nothing_to_tell() {
        let session = session();
        let pausing = Events::of(|sink| async move {
            sink.send(Out::Event("data: 0\n\n".into())).await.unwrap();
            sink.send(Out::Pause).await.unwrap();
            tokio::time::sleep(KEPT / 2).await;
            sink.send(Out::Event("data: 1\n\n".into())).await.unwrap();
        });
        let begun = read(Kept::begin(&session, pausing, None).unwrap(), 99).await;
        assert_eq!(begun.len(), 2, "it ended before the work did");
        let place = Place::read(&begun[1].0).unwrap();
        let rest = read(session.kept(place.number).unwrap().resumed(place).unwrap(), 99).await;
        assert_eq!(rest.iter().map(|(_, data)| data.as_str()).collect::<Vec<_>>(), ["1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_come_back_ends_the_work() {
        let session = session();
        let works = Arc::new(());
        let weak = Arc::downgrade(&works);
        let never = Events::of(|sink| async move {
            let _works = (works, sink);
            std::future::pending::<()>().await;
        });
        let begun = Kept::begin(&session, never, None).unwrap();
        drop(read(begun, 1).await);
        tokio::time::sleep(KEPT / 2).await;
        assert!(weak.upgrade().is_some() && session.kept(1).is_some());
        tokio::time::sleep(KEPT).await;
        assert!(weak.upgrade().is_none());
        tokio::time::sleep(KEPT).await;
        assert!(session.kept(1).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_holds_up_the_work() {
        let session = session();
        let said = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&said);
        let much = Events::of(|sink| async move {
            loop {
                let event = format!("data: {}\n\n", "x".repeat(100_000));
                sink.send(Out::Event(event.into())).await.unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        let unread = Kept::begin(&session, much, None).unwrap();
        tokio::time::sleep(KEPT / 2).await;
        let said = said.load(Ordering::Relaxed);
        assert!((10..40).contains(&said), "{said}");
        // What was pushed out cannot be gone on from; what is not there yet neither.
        drop(read(unread, 30).await);
        let kept = session.kept(1).unwrap();
        assert!(kept.resumed(Place { number: 1, event: 0 }).is_none());
        assert!(kept.resumed(Place { number: 1, event: 9999 }).is_none());
        assert!(kept.resumed(Place { number: 1, event: 29 }).is_some());
    }
}
