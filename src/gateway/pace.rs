//! How fast streams go that are faster than any model. A thousand of them, each as fast as its client takes, would keep a
//! request waiting that has just come. Such streams, of whatever tenant, share a part of what the cores can do.

use std::{
    pin::Pin,
    sync::{Mutex, OnceLock, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tokio::{
    task::coop,
    time::{Sleep, sleep},
};

/// So much is passed on at a go.
const RUN_BYTES: usize = 64 << 10;
/// A stream that takes longer for it is not held up.
const SLOW: Duration = Duration::from_millis(64);
/// A core is busy for about a quarter of this with as much.
const RUN_TIME: Duration = Duration::from_micros(160);
/// Nobody waits for longer until its next go.
const WAIT_MAX: Duration = Duration::from_millis(250);
/// A shorter wait is none: the runtime's clock is no finer.
const WAIT_MIN: Duration = Duration::from_millis(1);
/// What a task may read and write before the runtime looks after others, as the runtime counts it.
const TURN: usize = 128;

/// When the next stream may go on that goes as fast as it can.
#[derive(Debug, Default)]
struct Line {
    next: Option<Instant>,
}

impl Line {
    /// How long whoever comes now waits, if goes are `apart`.
    fn wait(&mut self, now: Instant, apart: Duration) -> Duration {
        let next = self.next.unwrap_or(now).clamp(now, now + WAIT_MAX);
        self.next = Some(next + apart);
        next.saturating_duration_since(now)
    }
}

fn wait(now: Instant) -> Duration {
    static LINE: Mutex<Line> = Mutex::new(Line { next: None });
    static APART: OnceLock<Duration> = OnceLock::new();
    let apart = *APART.get_or_init(|| {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        RUN_TIME / u32::try_from(cores).unwrap_or(1)
    });
    LINE.lock().unwrap_or_else(PoisonError::into_inner).wait(now, apart)
}

/// The pace of one stream.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// What it passed on in this go, and since when.
    run: usize,
    since: Option<Instant>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// Ready when the stream may go on.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
        if self.is_fast(now) {
            let wait = wait(now);
            if wait < WAIT_MIN {
                end_turn(cx);
            } else {
                self.pause = Some(Box::pin(sleep(wait)));
            }
        }
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        Poll::Ready(())
    }

    /// Whether a go is over, and was a fast one.
    fn is_fast(&mut self, now: Instant) -> bool {
        if self.run < RUN_BYTES {
            return false;
        }
        self.run = 0;
        self.since.take().is_some_and(|since| now.saturating_duration_since(since) < SLOW)
    }

    /// It passed on so much.
    pub(super) fn passed(&mut self, bytes: usize, now: Instant) {
        self.since.get_or_insert(now);
        self.run = self.run.saturating_add(bytes);
    }
}

/// Uses up what the task may do in this turn: its sockets are not ready until others had theirs.
fn end_turn(cx: &mut Context<'_>) {
    for _ in 0..TURN {
        match coop::poll_proceed(cx) {
            Poll::Ready(spent) => spent.made_progress(),
            Poll::Pending => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use proptest::prelude::*;
    use std::future::poll_fn;

    proptest! {
        /// Whoever comes whenever: goes are `apart`, unless the line is as long as it gets, and nobody waits for longer.
        #[test]
        fn goes_are_apart_and_no_wait_is_long(pauses in prop::collection::vec(0_u64..3000, 1..400), apart in 1_u64..2000) {
            let apart = Duration::from_micros(apart);
            let (mut line, mut now, mut last) = (Line::default(), clock::now(), None);
            for pause in pauses {
                now += Duration::from_micros(pause);
                let wait = line.wait(now, apart);
                prop_assert!(wait <= WAIT_MAX);
                let go = now + wait;
                if let Some(last) = last {
                    prop_assert!(go >= last + apart || wait == WAIT_MAX);
                    // Nobody waits for nothing.
                    prop_assert!(wait.is_zero() || go <= last + apart);
                }
                last = Some(go);
            }
        }
    }

    /// A task that could go on for ever leaves a turn to others.
    #[tokio::test]
    async fn others_get_their_turn() {
        let (mut pace, (sender, receiver)) = (Pace::default(), tokio::sync::oneshot::channel());
        let other = tokio::spawn(async move { sender.send(()).unwrap() });
        let mut receiver = std::pin::pin!(receiver);
        let mut goes = 0_u32;
        poll_fn(|cx| {
            while receiver.as_mut().poll(cx).is_pending() {
                let now = clock::now();
                ready!(pace.poll(cx, now));
                pace.passed(RUN_BYTES, now);
                goes += 1;
                // The socket of a stream would say so.
                if !coop::has_budget_remaining() {
                    return Poll::Pending;
                }
            }
            Poll::Ready(())
        })
        .await;
        other.await.unwrap();
        assert!(goes <= 3, "{goes}");
    }

    /// A megabyte a second is more than any model says, however it is cut; much more is fast.
    #[test]
    fn who_is_slow_is_not_held_up() {
        for (piece, every, fast) in
            [(1 << 10, 1000, 0), (1 << 6, 63, 0), (1 << 10, 500, 1), (1 << 16, 1, 1), (1 << 20, 64_000, 0)]
        {
            let (mut pace, mut now, mut goes, mut held) = (Pace::default(), clock::now(), 0, 0);
            for _ in 0..10_000 {
                goes += usize::from(pace.run >= RUN_BYTES);
                held += usize::from(pace.is_fast(now));
                pace.passed(piece, now);
                now += Duration::from_micros(every);
            }
            assert!(goes > 0 && held == goes * fast, "{piece} bytes every {every} \u{b5}s: {held} of {goes}");
        }
    }
}
