//! Work on large bodies, of requests and of whole answers, apart from everybody else's requests: a body of a million values takes a thread for a tenth of a
//! second, and whoever else is served by that thread would wait as long. It is done on threads that serve nobody and give way
//! to those that do (`nice`), and by half of the processors at most, so that the others stay free for small ones; by fewer
//! where there is little memory, of which a body of many small values takes a hundred times its length while it is read. Whose body is next is decided as at
//! a full upstream: a tenant that sends many waits for itself.

use super::{Gateway, Visit};
use crate::{
    identity::Identity,
    quota::fair::{Claim, FairQueue},
    refusal::Refusal,
    room::memory,
    upstream::{Place, Progress, Queues, Turn},
};
use rayon_core::{ThreadPool, ThreadPoolBuilder};
use std::{collections::HashMap, sync::Arc, thread::available_parallelism, time::Duration};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::block_in_place,
};

/// A body of fewer bytes is read where it is.
const LARGE_BYTES: usize = 128 * 1024;
/// A body that waits for longer is told to come again. How many wait is bounded by the room that they take.
const WAIT_MAX: Duration = Duration::from_secs(60);
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

/// Leave to work on a body; if it is large, with a place for that.
#[derive(Debug)]
#[must_use]
pub(super) struct Leave(Option<Room>);

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
        let max_in_flight = places(processors, memory::bytes());
        let queue = FairQueue { max_in_flight, per_tenant: usize::MAX, wait: WAIT_MAX };
        Self { queues: Queues::of(&HashMap::from([(BODIES.into(), queue)])), threads: threads(max_in_flight) }
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

/// Waits for the turn of a request with a body of so many bytes.
pub(super) async fn turn(visit: &mut Visit, bytes: usize) -> Result<Leave, Refusal> {
    if bytes < LARGE_BYTES {
        return Ok(Leave(None));
    }
    turn_of_any(visit, bytes).await
}

/// The same of a body that is to be worked on apart whatever its size.
pub(super) async fn turn_of_any(visit: &mut Visit, bytes: usize) -> Result<Leave, Refusal> {
    let gateway = Arc::clone(visit.gateway());
    wait((&gateway, &visit.asked()?.identity), bytes).await
}

/// Waits for the turn of an answer of so many bytes to this caller.
pub(super) async fn turn_of_answer(
    (gateway, identity): (&Gateway, &Identity),
    bytes: usize,
) -> Result<Leave, Refusal> {
    if bytes < LARGE_BYTES { Ok(Leave(None)) } else { wait((gateway, identity), bytes).await }
}

async fn wait((gateway, identity): (&Gateway, &Identity), bytes: usize) -> Result<Leave, Refusal> {
    if Handle::current().runtime_flavor() != RuntimeFlavor::MultiThread {
        return Ok(Leave(None));
    }
    let (tenant, priority) = (identity.tenant(), identity.key().priority);
    let cost = u64::try_from(bytes / BYTES_PER_TOKEN).unwrap_or(u64::MAX);
    let claim = Claim::new(tenant.id.shared(), tenant.weight, priority, cost);
    let Apart { queues, threads } = &gateway.apart;
    let closing = &gateway.closing;
    // How long it waits here is no wait for an upstream.
    let mut turn = Turn { queues, claim, closing, progress: &mut Progress::default() };
    let place = turn.at(BODIES).await.map_err(|refusal| match refusal {
        Refusal::Overloaded { retry_after, .. } => Refusal::NoRoom { retry_after },
        other => other,
    })?;
    Ok(Leave(place.map(|place| Room { place, threads: threads.clone() })))
}

impl Leave {
    /// Does the work; on a large body on a thread that serves nobody meanwhile.
    pub(super) fn work<T: Send>(self, work: impl FnOnce() -> T + Send) -> T {
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
    use crate::quota::fair::Priority;

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
        let closing = tokio_util::sync::CancellationToken::new();
        let name: Arc<str> = "acme".into();
        let given = niceness();
        for (threads, more) in [(apart.threads.clone(), NICENESS), (None, 0)] {
            let claim = Claim::new(Arc::clone(&name), 1, Priority::Interactive, 1);
            let mut turn =
                Turn { queues: &apart.queues, claim, closing: &closing, progress: &mut Progress::default() };
            let place = turn.at(BODIES).await.unwrap().unwrap();
            let leave = Leave(Some(Room { place, threads }));
            assert_eq!(leave.work(niceness), (given + more).min(19));
        }
        assert_eq!(niceness(), given);
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
