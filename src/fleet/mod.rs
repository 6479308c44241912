//! Several gateways as one, over Redis: each asks before it lets a request in, and tells what it used. While Redis is
//! slow or gone each goes on with its part of every limit, and nothing waits for it. One task speaks with Redis
//! (`link`); what it says there is in `message`, what is done there in the two Lua scripts beside it.

mod board;
mod link;
mod message;
mod seal;

pub use board::{Placed, Posted};
pub use seal::Seal;

pub use crate::quota::fleet::{Answer, Refused};
use crate::{
    clock,
    quota::{
        Now,
        fleet::{Claim, Meter, Peers},
    },
};
use redis::{Client, TlsCertificates, aio::MultiplexedConnection};
use std::{
    fmt,
    num::NonZeroU32,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

/// A request waits so long for the others where nothing else is said; then this gateway's part decides.
pub const WAIT: Duration = Duration::from_millis(3);
/// What all that is kept in Redis begins with where nothing else is said.
pub const PREFIX: &str = "tollgate";
/// After so many answers in a row that came too late nobody waits any more, until one is quick again.
const LATE_MAX: u32 = 3;
/// So many requests may wait to be asked for.
const QUESTIONS_MAX: usize = 4096;
/// So much may be on its way that nobody waits for.
const PLACES: usize = 1024;

/// How the gateways find each other.
#[derive(Clone, PartialEq, Eq)]
pub struct Options {
    /// `redis://…` or `rediss://…`, with its credential.
    pub url: String,
    /// Authorities to trust there instead of the usual ones, PEM.
    pub ca: Option<Vec<u8>>,
    /// What all that is kept there begins with: gateways with another do not know of these.
    pub prefix: String,
    /// How long a request waits for the others.
    pub wait: Duration,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("prefix", &self.prefix)
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}

/// Why gateways cannot be found at an address. Shows nothing of it: it may hold a password.
#[derive(Debug, thiserror::Error)]
#[error(
    "`shared_state.redis` is no address of a Redis (redis://HOST:PORT/DATABASE, or rediss:// over TLS), or `ca` is not for it"
)]
pub struct BadAddress;

impl Options {
    /// Who speaks with Redis. Nobody is spoken to yet.
    ///
    /// # Errors
    /// When no Redis can be at this address.
    pub fn client(&self) -> Result<Client, BadAddress> {
        let client = match &self.ca {
            Some(ca) => {
                let certificates = TlsCertificates { client_tls: None, root_cert: Some(ca.clone()) };
                Client::build_with_tls(self.url.as_str(), certificates)
            }
            None => Client::open(self.url.as_str()),
        };
        client.map_err(|_| BadAddress)
    }
}

/// The gateways that share limits, as one of them sees them.
#[derive(Debug)]
pub struct Fleet {
    view: Arc<View>,
    questions: mpsc::Sender<Question>,
    prefix: String,
    /// None where the gateways have no secret in common: then they share limits alone.
    seal: Option<Seal>,
    /// For what is told and not waited for.
    places: Arc<Semaphore>,
}

/// A claim on its way, and where its answer goes.
struct Question {
    claim: Claim,
    answer: oneshot::Sender<Answer>,
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
    /// The connection, while there is one.
    line: Mutex<Option<MultiplexedConnection>>,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("is_joined", &self.is_joined)
            .field("gateways", &self.gateways)
            .finish_non_exhaustive()
    }
}

impl Fleet {
    /// Looks for the others from now on, in a task of its own that lives as long as this. How many they are is kept in
    /// `data_dir` over a restart.
    pub fn join(options: &Options, seal: Option<Seal>, data_dir: &Path) -> Result<Self, BadAddress> {
        let client = options.client()?;
        let kept = message::Kept::read(data_dir);
        let view = Arc::new(View {
            is_joined: AtomicBool::new(false),
            gateways: AtomicU32::new(kept.gateways.max(1)),
            wait: options.wait,
            late: AtomicU32::new(0),
            touched: Mutex::default(),
            wake: Notify::new(),
            unanswered: AtomicU64::new(0),
            line: Mutex::default(),
        });
        let (questions, asked) = mpsc::channel(QUESTIONS_MAX);
        tokio::spawn(link::run(
            (client, options.prefix.clone()),
            Arc::clone(&view),
            asked,
            (data_dir.to_path_buf(), kept),
        ));
        let (prefix, places) = (options.prefix.clone(), Arc::new(Semaphore::new(PLACES)));
        Ok(Self { view, questions, prefix, seal, places })
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
    pub async fn ask(&self, claim: Claim, now: Now) -> Answer {
        let (answer, answered) = oneshot::channel();
        if self.view.is_joined.load(Relaxed)
            && self.questions.try_send(Question { claim: claim.clone(), answer }).is_ok()
        {
            match tokio::time::timeout(self.view.wait, answered).await {
                Ok(Ok(answer)) => return answer,
                Ok(Err(_)) => {}
                Err(_) => self.view.was_late(),
            }
        }
        self.view.unanswered.fetch_add(1, Relaxed);
        claim.unanswered(self.view.seen(), now.instant)
    }
}

impl View {
    /// How many gateways there are, as last seen.
    fn seen(&self) -> NonZeroU32 {
        NonZeroU32::new(self.gateways.load(Relaxed)).unwrap_or(NonZeroU32::MIN)
    }

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

    fn line(&self) -> Option<MultiplexedConnection> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn connected(&self, line: Option<MultiplexedConnection>) {
        *self.line.lock().unwrap_or_else(PoisonError::into_inner) = line;
    }

    fn touched(&self) -> MutexGuard<'_, Vec<Arc<Meter>>> {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_touched(&self, most: usize) -> Vec<Arc<Meter>> {
        let mut touched = self.touched();
        let rest = touched.len().saturating_sub(most);
        touched.split_off(rest)
    }
}

impl Peers for View {
    fn divisor(&self) -> NonZeroU32 {
        if self.is_joined.load(Relaxed) {
            return NonZeroU32::MIN;
        }
        self.seen()
    }

    fn now(&self) -> Instant {
        clock::now()
    }

    fn touch(&self, meter: &Arc<Meter>) {
        if meter.is_first_touch() {
            self.touched().push(Arc::clone(meter));
            self.wake.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
