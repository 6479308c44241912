//! Several gateways as one, over Redis: each asks before it lets a request in, and tells what it used. While Redis is
//! slow or gone each goes on with its part of every limit, and nothing waits for it. One task speaks with Redis
//! (`link`); what it says there is in `message`, what is done there in the two Lua scripts beside it.

mod link;
mod message;

pub use crate::quota::fleet::Refused;
use crate::{
    clock,
    quota::fleet::{Claim, Claimed, Meter, Peers, Verdict},
    quota::{Left, Now},
};
use std::{
    fmt,
    num::NonZeroU32,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::{Notify, mpsc, oneshot};

/// A request waits so long for the others where nothing else is said; then this gateway's part decides.
pub const WAIT: Duration = Duration::from_millis(4);
/// After so many answers in a row that came too late nobody waits any more, until one is quick again.
const LATE_MAX: u32 = 3;
/// So many requests may wait to be asked for.
const CLAIMS_MAX: usize = 4096;

/// How the gateways find each other.
pub struct Options {
    /// `redis://…` or `rediss://…`, with its credential.
    pub url: String,
    /// How long a request waits for the others.
    pub wait: Duration,
    /// Where the number of gateways last seen is kept over a restart.
    pub data_dir: PathBuf,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("data_dir", &self.data_dir).finish_non_exhaustive()
    }
}

/// Why gateways cannot be found at an address. Shows nothing of it: it may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("`shared_state.redis` is no address of a Redis: redis://HOST:PORT/DATABASE or rediss://…")]
pub struct BadAddress;

/// Whether a Redis can be at an address.
pub fn is_address(url: &str) -> bool {
    redis::Client::open(url).is_ok()
}

/// The gateways that share limits, as one of them sees them.
#[derive(Debug)]
pub struct Fleet {
    view: Arc<View>,
    claims: mpsc::Sender<Question>,
}

/// A claim on its way, and where its answer goes.
struct Question {
    items: Vec<message::Item>,
    answer: oneshot::Sender<Verdict>,
}

/// What is known of the others.
struct View {
    /// Whether they can be asked.
    is_joined: AtomicBool,
    /// How many there are, this one included, as last seen.
    gateways: AtomicU32,
    wait: Duration,
    /// Answers in a row that came too late.
    late: AtomicU32,
    /// Limits of which something has to be told.
    touched: Mutex<Vec<Arc<Meter>>>,
    wake: Notify,
    unanswered: AtomicU64,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("is_joined", &self.is_joined)
            .field("gateways", &self.gateways)
            .finish_non_exhaustive()
    }
}

/// What came of asking.
#[derive(Debug)]
pub enum Asked {
    /// Let in; what is left of the requests and the tokens, where the others were asked.
    Admitted(Claimed, [Option<Left>; 2]),
    /// And what is left, where the others were asked.
    Refused(Refused, [Option<Left>; 2]),
}

impl Fleet {
    /// Looks for the others from now on, in a task of its own that lives as long as this.
    pub fn join(options: Options) -> Result<Self, BadAddress> {
        let client = redis::Client::open(options.url.as_str()).map_err(|_| BadAddress)?;
        let seen = message::read_seen(&options.data_dir).unwrap_or(1);
        let view = Arc::new(View {
            is_joined: AtomicBool::new(false),
            gateways: AtomicU32::new(seen),
            wait: options.wait,
            late: AtomicU32::new(0),
            touched: Mutex::default(),
            wake: Notify::new(),
            unanswered: AtomicU64::new(0),
        });
        let (claims, questions) = mpsc::channel(CLAIMS_MAX);
        tokio::spawn(link::run(client, Arc::clone(&view), questions, options.data_dir));
        Ok(Self { view, claims })
    }

    /// What limits are shared by.
    pub fn peers(&self) -> Arc<dyn Peers> {
        Arc::<View>::clone(&self.view)
    }

    /// Whether the others can be asked, and how many gateways there are, this one included, as last seen.
    pub fn standing(&self) -> (bool, u32) {
        (self.view.is_joined.load(Relaxed), self.view.gateways.load(Relaxed))
    }

    /// How many requests this gateway's part decided on, because the others could not be asked in time.
    pub fn unanswered(&self) -> u64 {
        self.view.unanswered.load(Relaxed)
    }

    /// Asks for all that a request needs, at once. Waits as long as is configured, at most.
    pub async fn ask(&self, claim: Claim, now: Now) -> Asked {
        if claim.items().is_empty() {
            return Asked::Admitted(Claim::nothing(&self.peers()), [None, None]);
        }
        if !self.view.is_joined.load(Relaxed) {
            return self.unasked(claim);
        }
        let (answer, verdict) = oneshot::channel();
        let items = claim.items().iter().map(message::Item::of).collect();
        if self.claims.try_send(Question { items, answer }).is_err() {
            return self.unasked(claim);
        }
        match tokio::time::timeout(self.view.wait, verdict).await {
            Ok(Ok(Verdict::Granted(told))) => {
                let (claimed, left) = claim.granted(&told, now.instant);
                Asked::Admitted(claimed, left)
            }
            Ok(Ok(Verdict::Refused { at, wait, told })) => {
                match claim.refused((at, wait), &told, now.instant) {
                    Some((refused, left)) => Asked::Refused(refused, left),
                    None => Asked::Admitted(Claim::nothing(&self.peers()), [None, None]),
                }
            }
            late => {
                if late.is_err() {
                    self.view.was_late();
                }
                self.view.unanswered.fetch_add(1, Relaxed);
                let gateways = NonZeroU32::new(self.view.gateways.load(Relaxed)).unwrap_or(NonZeroU32::MIN);
                match claim.unanswered(gateways, now.instant) {
                    Ok(claimed) => Asked::Admitted(claimed, [None, None]),
                    Err(refused) => Asked::Refused(refused, [None, None]),
                }
            }
        }
    }

    fn unasked(&self, claim: Claim) -> Asked {
        self.view.unanswered.fetch_add(1, Relaxed);
        Asked::Admitted(claim.unasked(), [None, None])
    }
}

impl View {
    fn was_late(&self) {
        if self.late.fetch_add(1, Relaxed) + 1 >= LATE_MAX {
            self.is_joined.store(false, Relaxed);
        }
    }

    /// An answer took so long.
    fn answered(&self, took: Duration) {
        if took < self.wait {
            self.late.store(0, Relaxed);
            self.is_joined.store(true, Relaxed);
        }
    }

    fn take_touched(&self, most: usize) -> Vec<Arc<Meter>> {
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = touched.len().saturating_sub(most);
        touched.split_off(rest)
    }
}

impl Peers for View {
    fn divisor(&self) -> NonZeroU32 {
        if self.is_joined.load(Relaxed) {
            return NonZeroU32::MIN;
        }
        NonZeroU32::new(self.gateways.load(Relaxed)).unwrap_or(NonZeroU32::MIN)
    }

    fn now(&self) -> Instant {
        clock::now()
    }

    fn touch(&self, meter: &Arc<Meter>) {
        if meter.is_first_touch() {
            self.touched.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(meter));
            self.wake.notify_one();
        }
    }
}
