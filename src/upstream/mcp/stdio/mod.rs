//! An MCP server that the gateway runs: a process for each tenant, started when it is first used, stopped when it
//! idles, started again when it failed.

mod backoff;
mod child;
mod complaints;
mod handshake;
mod odd;
mod pipes;
mod program;
#[cfg(test)]
mod tests;

use super::{Era, Failed, lock, wire::failed};
use crate::{clock, json::Value, operator, redact::Redactor, refusal::Refusal};
use backoff::{BACKOFF_MIN, Backoff};
pub(super) use child::{Child, Reply};
pub use program::Program;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};

/// So many processes a server may have.
const CHILDREN_MAX: usize = 64;
/// A process of which nothing was asked for so long is stopped.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// Longer than any of them takes to end.
const END_WAIT: Duration = Duration::from_secs(6);

/// The processes of one server, by tenant.
#[derive(Debug)]
pub(super) struct Children {
    server: Arc<str>,
    program: Arc<Program>,
    redactor: OnceLock<Arc<Redactor>>,
    children_max: usize,
    seats: Mutex<Seats>,
    /// The era that the program spoke when it was last asked.
    era: Mutex<Option<Era>>,
    /// What the clients of a tenant can be asked.
    capabilities: Mutex<HashMap<Arc<str>, Value<'static>>>,
}

#[derive(Debug, Default)]
struct Seats {
    by_tenant: HashMap<Arc<str>, Seat>,
    /// Nothing is started any more.
    closed: bool,
}

/// The place of a tenant's process.
#[derive(Debug, Default)]
struct Seat {
    child: Option<Arc<Child>>,
    /// One starts it; the others wait.
    starting: Arc<tokio::sync::Mutex<()>>,
    backoff: Backoff,
}

impl Children {
    /// None is started yet.
    pub(super) fn new(server: Arc<str>, program: Program) -> Arc<Self> {
        Arc::new(Self {
            server,
            program: Arc::new(program),
            redactor: OnceLock::new(),
            children_max: CHILDREN_MAX,
            seats: Mutex::default(),
            era: Mutex::default(),
            capabilities: Mutex::default(),
        })
    }

    /// Whether both would run the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.server == other.server && self.program == other.program
    }

    /// A text without what the program was given.
    pub(super) fn conceal(&self, text: String) -> String {
        self.program.conceal(text)
    }

    /// Takes the secrets that the program was given out of every text in a value.
    pub(super) fn conceal_in(&self, value: &mut Value<'_>) {
        self.program.conceal_in(value);
    }

    /// Says what the clients of a tenant can be asked, unless that is known: a process is told as it starts.
    pub(in crate::upstream::mcp) fn can_ask(
        &self,
        tenant: &Arc<str>,
        capabilities: impl FnOnce() -> Value<'static>,
    ) {
        lock(&self.capabilities).entry(Arc::clone(tenant)).or_insert_with(capabilities);
    }

    /// The tenant's process, ready to be asked.
    pub(super) async fn of(self: &Arc<Self>, tenant: &Arc<str>) -> Result<Arc<Child>, Failed> {
        if let Some(child) = self.ready(tenant) {
            return Ok(child);
        }
        let (children, tenant) = (Arc::clone(self), Arc::clone(tenant));
        // Whoever leaves meanwhile leaves the process to the others.
        let started = tokio::spawn(async move { children.start(&tenant).await }).await;
        started.unwrap_or_else(|_| Err(failed("the upstream failed")))
    }

    /// The tenant's process, if it runs and is ready.
    pub(in crate::upstream::mcp) fn ready(&self, tenant: &str) -> Option<Arc<Child>> {
        let seats = lock(&self.seats);
        let child = seats.by_tenant.get(tenant)?.child.as_ref()?;
        (child.serves() && child.revision().is_some()).then(|| Arc::clone(child))
    }

    async fn start(&self, tenant: &Arc<str>) -> Result<Arc<Child>, Failed> {
        let starting =
            Arc::clone(&lock(&self.seats).by_tenant.entry(Arc::clone(tenant)).or_default().starting);
        let _alone = starting.lock().await;
        if let Some(child) = self.ready(tenant) {
            return Ok(child);
        }
        let known = *lock(&self.era);
        match self.begin(tenant, known).await {
            // What does not know the question may end of it; what is another program by now is asked anew.
            Err((child, why)) => match (known, &why) {
                (None, _) if child.failed_at().is_some() => self.begin_again(tenant, Some(Era::Legacy)).await,
                (Some(Era::Legacy), Failed::Error { .. }) => {
                    child.retire();
                    self.begin_again(tenant, None).await
                }
                _ => Err(self.gave_up(&child, why)),
            },
            Ok(begun) => begun,
        }
    }

    /// Starts the process once more: that it ended of what it was asked is no failure.
    async fn begin_again(&self, tenant: &Arc<str>, known: Option<Era>) -> Result<Arc<Child>, Failed> {
        if let Some(seat) = lock(&self.seats).by_tenant.get_mut(tenant) {
            seat.child = None;
        }
        let begun = self.begin(tenant, known).await;
        begun.unwrap_or_else(|(child, why)| Err(self.gave_up(&child, why)))
    }

    /// Starts the process and begins to talk to it. The outer error is that of the conversation.
    async fn begin(
        &self,
        tenant: &Arc<str>,
        known: Option<Era>,
    ) -> Result<Result<Arc<Child>, Failed>, (Arc<Child>, Failed)> {
        let child = match self.launch(tenant) {
            Ok(child) => child,
            Err(failed) => return Ok(Err(failed)),
        };
        let capabilities = lock(&self.capabilities).get(tenant).cloned();
        let capabilities = capabilities.unwrap_or_else(|| Value::object([]));
        match handshake::with(&child, known, &capabilities).await {
            Ok((era, revision, about)) => {
                *lock(&self.era) = Some(era);
                child.spoken.get_or_init(|| (revision, Arc::new(about)));
                Ok(Ok(child))
            }
            Err(why) => Err((child, why)),
        }
    }

    fn gave_up(&self, child: &Child, why: Failed) -> Failed {
        child.give_up();
        *lock(&self.era) = None;
        operator::warn(&format!("the MCP server {} does not open a session over stdio", self.server));
        why
    }

    /// Starts the process, if it may be and there is room.
    fn launch(&self, tenant: &Arc<str>) -> Result<Arc<Child>, Failed> {
        let redactor = self.redactor().ok_or_else(|| failed("the system gives no random numbers"))?;
        let now = clock::now();
        let mut seats = lock(&self.seats);
        if seats.closed {
            return Err(failed("the gateway is shutting down; try again"));
        }
        seats.by_tenant.entry(Arc::clone(tenant)).or_default().settle();
        if let Some(left) = seats.by_tenant.get(tenant).and_then(|seat| seat.backoff.left(now)) {
            return Err(down(&self.server, left));
        }
        if !seats.make_room(self.children_max) {
            return Err(failed("the upstream serves too many tenants at once; try again later"));
        }
        let seat = seats.by_tenant.entry(Arc::clone(tenant)).or_default();
        match Child::start(&self.program, &redactor, &self.server, tenant) {
            Ok(child) => {
                seat.child = Some(Arc::clone(&child));
                Ok(child)
            }
            Err(error) => {
                seat.backoff.failed(now, now);
                let (server, why) = (&self.server, error.kind());
                operator::warn(&format!(
                    "the MCP server {server} cannot be started: {why}; see its `command`"
                ));
                Err(down(server, seat.backoff.left(now).unwrap_or(BACKOFF_MIN)))
            }
        }
    }

    fn redactor(&self) -> Option<Arc<Redactor>> {
        if let Some(redactor) = self.redactor.get() {
            return Some(Arc::clone(redactor));
        }
        let redactor = Arc::new(complaints::redactor()?);
        Some(Arc::clone(self.redactor.get_or_init(|| redactor)))
    }

    /// Stops what idled for too long.
    pub(super) fn sweep(&self) {
        lock(&self.seats).sweep(clock::now(), IDLE_MAX);
    }

    /// Ends all of them, and waits until they are gone.
    pub(super) async fn stop(&self) {
        let children: Vec<Arc<Child>> = {
            let mut seats = lock(&self.seats);
            seats.closed = true;
            seats.by_tenant.values().filter_map(|seat| seat.child.clone()).collect()
        };
        children.iter().for_each(|child| child.retire());
        let gone = async {
            for child in &children {
                child.gone.cancelled().await;
            }
        };
        drop(tokio::time::timeout(END_WAIT, gone).await);
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        let seats = lock(&self.seats);
        seats.by_tenant.values().filter_map(|seat| seat.child.as_ref()).for_each(|child| child.retire());
    }
}

impl Seats {
    /// Whether one more may run. Where there are too many, the one that idled longest ends.
    fn make_room(&mut self, children_max: usize) -> bool {
        loop {
            let running: Vec<&Arc<Child>> = self.running().collect();
            if running.len() < children_max {
                return true;
            }
            let idle = running.iter().filter_map(|child| Some((child.idle_since()?, *child)));
            match idle.min_by_key(|(since, _)| *since) {
                Some((_, child)) => _ = child.retire_if_idle(),
                None => return false,
            }
        }
    }

    fn running(&self) -> impl Iterator<Item = &Arc<Child>> {
        self.by_tenant.values().filter_map(|seat| seat.child.as_ref()).filter(|child| child.serves())
    }

    fn sweep(&mut self, now: Instant, idle_max: Duration) {
        for child in self.running() {
            if child.idle_since().is_some_and(|since| now.saturating_duration_since(since) >= idle_max) {
                child.retire_if_idle();
            }
        }
        self.by_tenant.retain(|_, seat| {
            seat.settle();
            // Whoever starts it holds the other.
            seat.child.is_some() || Arc::strong_count(&seat.starting) > 1 || !seat.backoff.is_over(now)
        });
    }
}

impl Seat {
    /// Takes note of a process that failed, and forgets one that is gone.
    fn settle(&mut self) {
        let Some(child) = &self.child else { return };
        if let Some(failed) = child.failed_at() {
            self.backoff.failed(child.started, failed);
            self.child = None;
        } else if !child.serves() && child.gone.is_cancelled() {
            self.child = None;
        }
    }
}

/// A server that is not running.
fn down(server: &str, retry_after: Duration) -> Failed {
    Failed::Refusal(Refusal::ServerDown { server: server.to_owned(), retry_after })
}
