//! A deadline that moves often and is hardly ever reached. Apart because moving tokio's timer for every chunk
//! would cost more than reading the chunk.
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Of two limits, the one that is over first.
pub(super) fn sooner(one: (Instant, Duration), other: Option<(Instant, Duration)>) -> (Instant, Duration) {
    let due = |(since, limit): (Instant, Duration)| since.checked_add(limit);
    match other {
        Some(other) if due(other).is_some_and(|at| due(one).is_none_or(|first| at < first)) => other,
        Some(_) | None => one,
    }
}

/// One timer for the life of a request: made on the first wait, moved later only when it fires early.
#[derive(Debug, Default)]
pub(super) struct LazyTimer {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl LazyTimer {
    /// Ready once `limit` has passed since `since`. A limit beyond the clock's range is no limit.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>, since: Instant, limit: Duration) -> Poll<()> {
        let Some(due) = since.checked_add(limit) else {
            return Poll::Pending;
        };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if sleep.deadline() > due {
            sleep.as_mut().reset(due);
        }
        loop {
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if sleep.deadline() >= due {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(due);
        }
    }
}
