//! What a large message of a server takes of what all share: memory, from its first byte to the last one that a client is sent
//! of it, and turns on threads that serve nobody.

use super::Failed;
use crate::{
    json::Signs,
    refusal::Refusal,
    room::{Held, Room},
    upstream::apart::{Apart, Leave, Matter, Share},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// A message of fewer bytes takes no room.
pub(super) const SMALL_BYTES: usize = 64 << 10;
/// Of one that does not say how long it is, room for so much is taken at a time.
const STEP_BYTES: usize = 1 << 20;
/// A message takes so many times its length: as it came, what was read of it, and as it goes out.
const COPIES: usize = 3;
/// So long a message waits for room.
const ROOM_WAIT: Duration = Duration::from_secs(10);
/// So much of one is looked at before others have their turn.
const LOOK_BYTES: usize = 1 << 20;

const TOO_LARGE: Refusal =
    Refusal::UpstreamError { message: "the upstream's answer is too large to be inspected" };

/// What all share.
#[derive(Debug)]
pub struct Means {
    /// What whole answers of upstreams take.
    pub answers: Arc<Room>,
    /// What they may take where something is configured; else 0.
    answers_max: AtomicU64,
    /// Where large bodies are worked on.
    pub apart: Apart,
    /// Whoever still waits when this is cancelled is sent away.
    closing: CancellationToken,
}

/// What the messages of one answer may take.
#[derive(Debug)]
pub(super) struct Large {
    means: Arc<Means>,
    share: Share,
    held: Held,
    /// So many bytes of it are a message's.
    taken: usize,
}

/// What a result takes that is its owner's now.
#[derive(Debug, Default)]
pub struct Taken {
    /// So long its message was.
    pub bytes: usize,
    /// The room that it takes.
    pub held: Option<Held>,
}

impl Means {
    /// Of this machine's, until `closing` is cancelled.
    pub fn on_this_machine(closing: CancellationToken) -> Arc<Self> {
        let (answers, apart) = (Arc::default(), Apart::on_this_machine());
        Arc::new(Self { answers, answers_max: AtomicU64::new(0), apart, closing })
    }

    /// From now on answers may take so much, or what is usual.
    pub fn configure(&self, answers_max: Option<u64>) {
        self.answers_max.store(answers_max.unwrap_or(0), Ordering::Relaxed);
    }

    /// Nothing yet, of answers to a tenant's requests.
    pub fn room(&self, tenant: Arc<str>) -> Held {
        let configured = Some(self.answers_max.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0);
        self.answers.for_answers(tenant, configured)
    }

    /// Nothing yet, of a message on somebody's behalf.
    pub(super) fn large(self: &Arc<Self>, share: Share) -> Large {
        let held = self.room(Arc::clone(&share.tenant));
        Large { means: Arc::clone(self), share, held, taken: 0 }
    }

    /// Leave to work on what an answer of so many bytes brought.
    pub(super) async fn turn(&self, share: &Share, bytes: usize) -> Result<Leave, Failed> {
        let turn = self.apart.turn(share, (Matter::Answer, bytes), &self.closing);
        turn.await.map_err(Failed::Refusal)
    }
}

impl Large {
    /// Nothing yet, on the same behalf.
    pub(super) fn another(&self) -> Self {
        self.means.large(self.share.clone())
    }

    /// Takes room for a message that is announced to be so long.
    pub(super) async fn announced(&mut self, length: usize) -> Result<(), Failed> {
        if length > SMALL_BYTES { self.take(length.saturating_mul(COPIES)).await } else { Ok(()) }
    }

    /// Takes room for a message of which so much has come.
    pub(super) async fn reach(&mut self, length: usize) -> Result<(), Failed> {
        if length > SMALL_BYTES && length > self.taken {
            self.take(length + STEP_BYTES).await
        } else {
            Ok(())
        }
    }

    /// Takes room for what a message is once it is read, its text in pieces and what holds them; and waits for its turn.
    pub(super) async fn admit(&mut self, message: &[u8]) -> Result<Leave, Failed> {
        let length = message.len();
        if length <= SMALL_BYTES {
            self.frees();
            return Ok(Leave::default());
        }
        let mut signs = Signs::default();
        for piece in message.chunks(LOOK_BYTES) {
            signs.add(piece);
            tokio::task::yield_now().await;
        }
        self.take(length.saturating_mul(COPIES).saturating_add(signs.weight_max(false))).await?;
        self.means.turn(&self.share, length).await
    }

    /// Gives back what the last message took.
    pub(super) fn frees(&mut self) {
        self.held.shrink_to(0);
        self.taken = 0;
    }

    /// The room of the last message.
    pub(super) fn into_held(self) -> Held {
        self.held
    }

    /// Takes so much in all.
    async fn take(&mut self, bytes: usize) -> Result<(), Failed> {
        self.taken = 0;
        let taken = self.held.wait_to_hold(u64::try_from(bytes).unwrap_or(u64::MAX), ROOM_WAIT).await;
        taken.map_err(|refusal| Failed::Refusal(refusal.unwrap_or(TOO_LARGE)))?;
        self.taken = bytes;
        Ok(())
    }
}
