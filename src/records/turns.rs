//! Whoever waits for room in the records' queue goes in the order of coming. Apart because without turns a newcomer that
//! meets the queue at the right moment passes those who look now and then, who then wait for ever under load.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::sync::{Mutex, MutexGuard};

/// A row of those who wait; the first has the turn until it drops it.
#[derive(Debug, Default)]
pub struct Turns {
    /// Whoever waits or has the turn.
    waiting: AtomicUsize,
    first: Mutex<()>,
}

/// The turn, or a place on the way to it.
#[derive(Debug)]
pub struct Turn<'t> {
    turns: &'t Turns,
    first: Option<MutexGuard<'t, ()>>,
}

impl Turns {
    /// Whether nobody waits: then a newcomer need not either.
    pub fn is_free(&self) -> bool {
        self.waiting.load(Relaxed) == 0
    }

    /// Waits for the turn, behind all that came before. Whoever gives up leaves the row.
    pub async fn next(&self) -> Turn<'_> {
        self.waiting.fetch_add(1, Relaxed);
        let mut turn = Turn { turns: self, first: None };
        turn.first = Some(self.first.lock().await);
        turn
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.first = None;
        self.turns.waiting.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn the_first_to_come_is_the_first_to_go() {
        let (turns, gone) = (Arc::new(Turns::default()), Arc::new(std::sync::Mutex::new(Vec::new())));
        let first = turns.next().await;
        let mut waiting = Vec::new();
        for number in 0..20 {
            let (turns, gone) = (Arc::clone(&turns), Arc::clone(&gone));
            waiting.push(tokio::spawn(async move {
                let _turn = turns.next().await;
                gone.lock().unwrap().push(number);
                tokio::task::yield_now().await;
            }));
            tokio::task::yield_now().await;
        }
        // One in the middle gives up.
        waiting.remove(7).abort();
        tokio::task::yield_now().await;
        assert!(!turns.is_free());
        drop(first);
        for task in waiting {
            task.await.unwrap();
        }
        let expected: Vec<i32> = (0..20).filter(|number| *number != 7).collect();
        assert_eq!(*gone.lock().unwrap(), expected);
        assert!(turns.is_free());
    }
}
