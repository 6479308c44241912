//! Lines that wait to be exported: bounded, and each tenant's part of it too, so that one that sends a lot takes no
//! other's place. What is full takes nothing more.

use super::Line;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Most that waits or is on its way, in bytes, of all and of one tenant.
const BYTES_MAX: usize = 16 << 20;
const TENANT_BYTES_MAX: usize = BYTES_MAX / 4;
/// A batch goes out when it has so many lines or bytes, or when it is so old.
const BATCH_LINES: usize = 512;
const BATCH_BYTES: usize = 1 << 20;
const BATCH_AFTER: Duration = Duration::from_secs(1);

/// Lines that are sent together.
pub(super) type Batch = Arc<Vec<Line>>;

#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Wakes the sender: something waits, or enough of it.
    wake: Notify,
    closing: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Line>,
    bytes: usize,
    of_tenants: HashMap<Arc<str>, usize>,
    /// The batch on its way.
    in_hand: Batch,
}

impl State {
    fn leave(&mut self, lines: &[Line]) {
        for line in lines {
            self.bytes = self.bytes.saturating_sub(line.weight());
            if let Some(bytes) = self.of_tenants.get_mut(&line.tenant) {
                *bytes = bytes.saturating_sub(line.weight());
            }
        }
        self.of_tenants.retain(|_, bytes| *bytes > 0);
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a line, or gives it back.
    pub(super) fn push(&self, line: Line) -> Result<(), Line> {
        let weight = line.weight();
        let mut state = self.state();
        let own = state.of_tenants.get(&line.tenant).copied().unwrap_or(0);
        if self.is_closing() || state.bytes + weight > BYTES_MAX || own + weight > TENANT_BYTES_MAX {
            return Err(line);
        }
        state.bytes += weight;
        state.of_tenants.insert(Arc::clone(&line.tenant), own + weight);
        state.lines.push_back(line);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// The next batch, once there is one; None when it is closed and empty.
    pub(super) async fn take(&self) -> Option<Batch> {
        while self.state().lines.is_empty() {
            if self.is_closing() {
                return None;
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = self.closing() => {}
            }
        }
        let filled = async {
            while !self.is_full() {
                self.wake.notified().await;
            }
        };
        tokio::select! {
            () = tokio::time::sleep(BATCH_AFTER) => {}
            () = self.closing() => {}
            () = filled => {}
        }
        let mut state = self.state();
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < BATCH_LINES
            && bytes < BATCH_BYTES
            && let Some(line) = state.lines.pop_front()
        {
            bytes += line.weight();
            batch.push(line);
        }
        state.in_hand = Arc::new(batch);
        Some(Arc::clone(&state.in_hand))
    }

    fn is_full(&self) -> bool {
        let state = self.state();
        state.lines.len() >= BATCH_LINES || state.lines.iter().map(Line::weight).sum::<usize>() >= BATCH_BYTES
    }

    /// The batch that was taken is gone, whatever became of it.
    pub(super) fn done(&self) {
        let mut state = self.state();
        let batch = std::mem::take(&mut state.in_hand);
        state.leave(&batch);
    }

    /// Nothing more is taken, and what is left goes out at once.
    pub(super) fn close(&self) {
        self.closing.cancel();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// Waits until it is closed.
    pub(super) async fn closing(&self) {
        self.closing.cancelled().await;
    }

    /// What was taken in and not sent.
    pub(super) fn take_rest(&self) -> Vec<Line> {
        let mut state = self.state();
        let in_hand = std::mem::take(&mut state.in_hand);
        let mut rest = Arc::unwrap_or_clone(in_hand);
        rest.extend(state.lines.drain(..));
        state.leave(&rest);
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Kind;

    fn line(tenant: &str, bytes: usize) -> Line {
        Line::new(&tenant.into(), Kind::Log, &vec![b'x'; bytes], std::time::SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn one_tenant_fills_its_own_part_and_all_together_the_whole() {
        let queue = Queue::default();
        let fill = |tenant: &str| {
            let mut taken = 0;
            while queue.push(line(tenant, 100_000)).is_ok() {
                taken += 1;
                assert!(taken < 1000, "nothing bounds it");
            }
            taken
        };
        let first = fill("acme");
        assert!((30..=42).contains(&first), "{first}");
        assert_eq!(fill("acme"), 0);
        assert_eq!(fill("globex"), first, "another tenant has its own part");
        let others: usize = (0..10).map(|at| fill(&format!("t{at}"))).sum();
        assert!(first * 2 + others <= BYTES_MAX / 100_000, "{others}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_bounded_and_counts_until_it_is_done() {
        let queue = Queue::default();
        for _ in 0..BATCH_LINES + 5 {
            queue.push(line("acme", 10)).unwrap();
        }
        assert_eq!(queue.take().await.unwrap().len(), BATCH_LINES);
        assert!(queue.state().bytes > BATCH_LINES * 10);
        queue.done();
        assert_eq!(queue.take().await.unwrap().len(), 5);
        queue.done();
        assert_eq!(queue.state().bytes, 0);
        assert!(queue.state().of_tenants.is_empty());
        for _ in 0..30 {
            queue.push(line("acme", 100_000)).unwrap();
        }
        assert!(queue.take().await.unwrap().len() <= 11);
    }

    #[tokio::test(start_paused = true)]
    async fn closing_takes_no_more_and_leaves_nothing_waiting() {
        let queue = Queue::default();
        queue.push(line("acme", 10)).unwrap();
        queue.close();
        assert!(queue.push(line("acme", 10)).is_err());
        assert_eq!(queue.take().await.unwrap().len(), 1);
        assert_eq!(queue.take_rest().len(), 1, "what is in hand was not sent");
        assert!(queue.take().await.is_none());
    }
}
