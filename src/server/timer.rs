//! A limit on how long something waits: it costs nothing until something does.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Sleep, sleep};

/// A limit that begins when it is first polled, and again after it was stopped.
#[derive(Debug)]
pub(super) struct Limit {
    limit: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Limit {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, sleep: None }
    }

    /// Ready once the limit is over.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        self.sleep.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(cx)
    }

    /// What was waited for came.
    pub(super) fn stop(&mut self) {
        self.sleep = None;
    }
}
