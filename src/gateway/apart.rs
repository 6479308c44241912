//! Work on large bodies, apart from everybody else's requests: a body of a million values takes a thread for a tenth of a
//! second, and whoever else is served by that thread would wait as long. It is done on a thread that serves nobody, and by
//! half of the processors at most, so that the others stay free for small ones.

use std::thread::available_parallelism;
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::Semaphore,
    task::block_in_place,
};

/// A body of fewer bytes is read where it is.
const LARGE_BYTES: usize = 128 * 1024;

/// Places for work on large bodies.
#[derive(Debug)]
pub struct Apart(Semaphore);

impl Apart {
    /// As many places as half of the processors, and one at least.
    pub fn on_this_machine() -> Self {
        Self(Semaphore::new(available_parallelism().map_or(1, |count| count.get().div_ceil(2).max(1))))
    }

    /// Does work on so many bytes; if they are many, once a place is free, on a thread that serves nobody meanwhile.
    pub(super) async fn work<T>(&self, bytes: usize, work: impl FnOnce() -> T) -> T {
        if bytes < LARGE_BYTES || Handle::current().runtime_flavor() != RuntimeFlavor::MultiThread {
            return work();
        }
        // Nobody closes the semaphore.
        let _place = self.0.acquire().await;
        block_in_place(work)
    }
}
