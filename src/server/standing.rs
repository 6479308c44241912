//! How an HTTP/1 connection stands, as its guard sees it; and the clock that hyper gets, which goes by it: a connection
//! on which something waits to be written is not idle.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// Set by the guard, within the task that reads it.
#[derive(Debug, Default)]
pub(super) struct Standing {
    writing: AtomicBool,
    /// The request, counted from one, of whose body more is to come; zero for none.
    in_body: AtomicU64,
    /// Requests that hyper handed over.
    requests: AtomicU64,
    timer: Mutex<Option<Pin<Box<Sleep>>>>,
}

impl Standing {
    /// Whether something waits to be written.
    pub(super) fn set_writing(&self, writing: bool) {
        self.writing.store(writing, Ordering::Relaxed);
    }

    pub(super) fn is_writing(&self) -> bool {
        self.writing.load(Ordering::Relaxed)
    }

    /// Of whose body more is to come: others may be behind those that hyper looks at.
    pub(super) fn set_in_body(&self, request: Option<u64>) {
        self.in_body.store(request.unwrap_or(0), Ordering::Relaxed);
    }

    /// Counts a request that hyper hands over.
    pub(super) fn next(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn is_in_body_of(&self, request: u64) -> bool {
        self.in_body.load(Ordering::Relaxed) == request
    }
}

/// Times how long hyper waits for a request.
#[derive(Debug)]
pub(super) struct Clock(pub(super) Arc<Standing>);

impl hyper::rt::Timer for Clock {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        let deadline = Instant::from_std(deadline);
        let length = deadline.saturating_duration_since(Instant::now());
        Box::pin(Idle { length, deadline, standing: Arc::clone(&self.0) })
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into_std()
    }
}

/// Over once a connection was idle for so long. All of one connection go by one timer, which is set anew where it goes
/// off too early: a connection that is asked again and again costs no timer each time.
#[derive(Debug)]
struct Idle {
    length: Duration,
    deadline: Instant,
    standing: Arc<Standing>,
}

impl hyper::rt::Sleep for Idle {}

impl Future for Idle {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { length, deadline, standing } = &mut *self;
        let mut timer = standing.timer.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let sleep = timer.get_or_insert_with(|| Box::pin(sleep_until(*deadline)));
            ready!(sleep.as_mut().poll(cx));
            if Instant::now() >= *deadline {
                if !standing.writing.load(Ordering::Relaxed) {
                    *timer = None;
                    return Poll::Ready(());
                }
                // At least so long that the writing gets its turn.
                *deadline = Instant::now() + (*length).max(Duration::from_millis(1));
            }
            sleep.as_mut().reset(*deadline);
        }
    }
}
