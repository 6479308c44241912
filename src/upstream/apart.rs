//! Work on large bodies, of requests and of whole answers, apart from everybody else's requests: a body of a million values takes a thread for a tenth of a
//! second, and whoever else is served by that thread would wait as long. It is done on threads that serve nobody and give way
//! to those that do (`nice`), and by half of the processors at most, so that the others stay free for small ones; by fewer
//! where there is little memory, of which a body of many small values takes a hundred times its length while it is read. Whose body is next is decided as at
//! a full upstream: a tenant that sends many waits for itself.

use super::gate::{Place, Progress, Queues, Turn};
use crate::{
    quota::fair::{Claim, FairQueue, Priority},
    refusal::Refusal,
    room::memory,
};
use rayon_core::{ThreadPool, ThreadPoolBuilder};
use std::{collections::HashMap, sync::Arc, thread::available_parallelism, time::Duration};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::block_in_place,
};
use tokio_util::sync::CancellationToken;

/// A body of fewer bytes is read where it is.
const LARGE_BYTES: usize = 128 * 1024;
/// A request that waits for longer is told to come again: nothing was done for it yet. How many wait is bounded by the room
/// that they take.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// An answer waits for longer: it is there, and perhaps paid.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(60);
/// What the work on one may take: a million values are 140 MB and more.
const MEMORY_EACH: u64 = 256 << 20;
/// So many bytes are as much work as a token counts.
const BYTES_PER_TOKEN: usize = 64;
/// How far a thread for it gives way: where all others are busy, it has a tenth of what one of them has.
const NICENESS: i32 = 10;
/// What the only queue is called.
const BODIES: &str = "bodies";

/// Places for work on large bodies.
#[derive(Debug)]
pub struct Apart {
    queues: Queues,
    /// A thread for each place; `None` where there were none to be had.
    threads: Option<Arc<ThreadPool>>,
}

/// Whose work it is, and what part of the places is theirs beside others'.
#[derive(Debug, Clone)]
pub struct Share {
    pub tenant: Arc<str>,
    pub weight: u32,
    pub priority: Priority,
}

/// What is worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matter {
    Request,
    Answer,
}

/// Leave to work on a body; if it is large, with a place for that.
#[derive(Debug, Default)]
#[must_use]
pub struct Leave(Option<Room>);

/// A place, and the threads that it is a place on.
#[derive(Debug)]
struct Room {
    place: Place,
    threads: Option<Arc<ThreadPool>>,
}

impl Apart {
    /// As many places as this machine has processors and memory for.
    pub fn on_this_machine() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self::of(places(processors, memory::bytes()))
    }

    fn of(max_in_flight: u32) -> Self {
        let queue = FairQueue { max_in_flight, per_tenant: usize::MAX, wait: WAIT_MAX };
        Self { queues: Queues::of(&HashMap::from([(BODIES.into(), queue)])), threads: threads(max_in_flight) }
    }

    /// Waits for the turn of work on so many bytes.
    ///
    /// # Errors
    /// None came in time, or the gateway shuts down.
    pub async fn turn(
        &self,
        share: &Share,
        (matter, bytes): (Matter, usize),
        closing: &CancellationToken,
    ) -> Result<Leave, Refusal> {
        if bytes < LARGE_BYTES {
            Ok(Leave(None))
        } else {
            self.turn_of_any(share, (matter, bytes), closing).await
        }
    }

    /// The same of work that is done apart however little it is.
    ///
    /// # Errors
    /// As of any turn.
    pub async fn turn_of_any(
        &self,
        share: &Share,
        (matter, bytes): (Matter, usize),
        closing: &CancellationToken,
    ) -> Result<Leave, Refusal> {
        if Handle::current().runtime_flavor() != RuntimeFlavor::MultiThread {
            return Ok(Leave(None));
        }
        let cost = u64::try_from(bytes / BYTES_PER_TOKEN).unwrap_or(u64::MAX);
        let claim = Claim::new(Arc::clone(&share.tenant), share.weight, share.priority, cost);
        // How long it waits here is no wait for an upstream.
        let mut turn = Turn { queues: &self.queues, claim, closing, progress: &mut Progress::default() };
        let patience = match matter {
            Matter::Request => None,
            Matter::Answer => Some(ANSWER_WAIT_MAX),
        };
        let place = turn.within(BODIES, patience).await.map_err(|refusal| match refusal {
            Refusal::Overloaded { retry_after, .. } => Refusal::NoRoom { retry_after },
            other => other,
        })?;
        Ok(Leave(place.map(|place| Room { place, threads: self.threads.clone() })))
    }
}

/// So many threads that give way. Where the system has none to give, work is done where it is.
fn threads(count: u32) -> Option<Arc<ThreadPool>> {
    // One that cannot give way works all the same.
    let give_way = |_| {
        let given = rustix::process::getpriority_process(None).unwrap_or_default();
        rustix::process::setpriority_process(None, (given + NICENESS).min(19)).unwrap_or_default();
    };
    let builder = ThreadPoolBuilder::new()
        .num_threads(usize::try_from(count).unwrap_or(1))
        .thread_name(|_| BODIES.to_owned())
        .start_handler(give_way);
    builder.build().ok().map(Arc::new)
}

/// As many places as half of the processors, and no more than there is memory for; one at least.
fn places(processors: usize, memory: Option<u64>) -> u32 {
    let half = u32::try_from(processors.div_ceil(2)).unwrap_or(u32::MAX);
    let for_memory = memory.map_or(u32::MAX, |bytes| u32::try_from(bytes / MEMORY_EACH).unwrap_or(u32::MAX));
    half.min(for_memory).max(1)
}

impl Leave {
    /// Does the work; on a large body on a thread that serves nobody meanwhile. If it panics, so does whoever asked for it;
    /// the thread goes on, and the place is the next one's.
    pub fn work<T: Send>(self, work: impl FnOnce() -> T + Send) -> T {
        let Some(Room { place, threads }) = self.0 else { return work() };
        let done = block_in_place(|| match threads {
            Some(threads) => threads.install(work),
            None => work(),
        });
        drop(place);
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn share() -> Share {
        Share { tenant: "acme".into(), weight: 1, priority: Priority::Interactive }
    }

    async fn turn(apart: &Apart, matter: Matter) -> Result<Leave, Refusal> {
        apart.turn(&share(), (matter, LARGE_BYTES), &CancellationToken::new()).await
    }

    /// Another thread does it, one that gives way; without any it is done all the same.
    #[tokio::test(flavor = "multi_thread")]
    async fn work_is_done_by_a_thread_that_gives_way() {
        // The command may hold blanks; behind it the niceness is the seventeenth.
        let niceness = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let niceness = stat.rsplit(')').next().unwrap().split_whitespace().nth(16).unwrap();
            niceness.parse::<i32>().unwrap()
        };
        let apart = Apart::on_this_machine();
        let given = niceness();
        let without = Apart { threads: None, ..Apart::on_this_machine() };
        for (apart, more) in [(apart, NICENESS), (without, 0)] {
            let leave = turn(&apart, Matter::Request).await.unwrap();
            assert_eq!(leave.work(niceness), (given + more).min(19));
        }
        assert_eq!(niceness(), given);
    }

    /// A panic is whoever's asked for the work, and nobody else's: there is one place, and it is free again each time.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_takes_neither_the_place_nor_the_thread() {
        let apart = Apart::of(1);
        for threads in [apart.threads.clone(), None] {
            let apart = Apart { threads, ..Apart::of(1) };
            for _ in 0..5 {
                let leave = turn(&apart, Matter::Answer).await.unwrap();
                assert_eq!(apart.queues.standings()[0].in_flight, 1);
                let ended = catch_unwind(AssertUnwindSafe(|| leave.work(|| panic!("within a test"))));
                assert!(ended.is_err());
                assert_eq!(apart.queues.standings()[0].in_flight, 0);
                assert_eq!(turn(&apart, Matter::Request).await.unwrap().work(|| 7), 7);
            }
        }
    }

    /// Small work takes no turn. What waits in vain is told so: a request sooner than an answer.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_request_waits_for_a_shorter_time_than_an_answer() {
        let apart = Apart::of(1);
        let held = turn(&apart, Matter::Request).await.unwrap();
        let closing = CancellationToken::new();
        let small = apart.turn(&share(), (Matter::Request, LARGE_BYTES - 1), &closing).await.unwrap();
        assert!(small.0.is_none() && held.0.is_some());
        closing.cancel();
        assert!(apart.turn(&share(), (Matter::Answer, LARGE_BYTES), &closing).await.is_err());
        assert_eq!(apart.queues.standings()[0].waiting, []);
        drop(held);
        assert!(turn(&apart, Matter::Answer).await.unwrap().0.is_some());
    }

    #[test]
    fn places_are_for_half_of_the_processors_and_within_the_memory() {
        for (processors, memory, expected) in [
            (1, None, 1),
            (2, None, 1),
            (3, None, 2),
            (64, None, 32),
            (64, Some(64 << 30), 32),
            (64, Some(2 << 30), 8),
            (64, Some(256 << 20), 1),
            (64, Some(1 << 20), 1),
            (2, Some(u64::MAX), 1),
        ] {
            assert_eq!(places(processors, memory), expected, "{processors} {memory:?}");
        }
    }
}
