//! Calls that wait for a person: who asked for what, until when, and what was decided. Pure: the time is an argument,
//! and whoever waits is woken by its waker.
//!
//! An approval is for exactly one call: of this tenant and key, of this tool, with these arguments, under this rule. It
//! is good once. Whoever waits for it when it is given uses it up; if nobody does any more, the same call uses it up
//! when it comes again, until it expires. A denial holds as long, so that an agent that tries again is not asked about
//! again. Nothing here outlives the process: after a restart nothing is approved.

use crate::{
    call::Place,
    records::{DecisionEntry, Entry as Record, Journal, Raw},
};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::SystemTime,
};

/// So many calls of a tenant wait at a time; further ones are denied.
pub const WAITING_MAX: usize = 256;
/// So many bytes of arguments of a tenant wait at a time.
pub const WAITING_BYTES_MAX: usize = 16 << 20;
/// What was decided or expired is told for so long, in milliseconds.
const REMEMBERED_MS: u64 = 86_400_000;
/// So many entries are kept; the oldest that nobody waits for is dropped first.
const ENTRIES_MAX: usize = 65_536;

/// A call that a rule wants a person to decide on.
#[derive(Clone)]
pub struct Wanted {
    pub tenant: Arc<str>,
    pub key: Arc<str>,
    pub tool: Arc<str>,
    /// Its arguments as it would run, exactly.
    pub args: Arc<str>,
    /// Where the rule stands, `tenants/acme.yaml:14`.
    pub rule: Arc<str>,
    /// What the rule says beside its words for people: with another text it is another rule.
    pub rule_text: String,
    /// What the rule says of it; may be empty.
    pub reason: Arc<str>,
    /// Where it is recorded, redacted; the redactor reads whatever is shown of it too.
    pub journal: Arc<Journal>,
    pub request_id: Arc<str>,
    /// Where it met the gateway.
    pub place: Place,
    /// Hash of the configuration that asked.
    pub config: Arc<str>,
}

/// A call that waits. Raw: it is shown redacted.
#[derive(Clone)]
pub struct Waiting {
    pub id: Arc<str>,
    pub call: Wanted,
    /// Milliseconds since 1970.
    pub asked: u64,
    /// Milliseconds since 1970; from then on it is denied.
    pub expires: u64,
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    Approved {
        by: Arc<str>,
    },
    Denied {
        by: Arc<str>,
    },
    /// Nobody decided in time.
    Expired,
    /// Too many calls of the tenant wait already.
    Full,
    /// It was approved, and is not allowed any more: the rules changed, or the key.
    Changed,
}

/// Why a decision was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotDecided {
    #[error("no call of this id waits or has waited")]
    Unknown,
    #[error("the call was decided already, or nobody decided in time")]
    Over,
}

/// All calls that wait, of all tenants.
#[derive(Default)]
pub struct Approvals {
    entries: Mutex<BTreeMap<Arc<str>, Entry>>,
}

struct Entry {
    /// Without its arguments once they are of no use.
    waiting: Waiting,
    /// Digest of its tool, arguments and rule.
    digest: [u8; 32],
    state: State,
    /// Whether a call is held for it at the moment.
    waited_for: bool,
    waker: Option<Waker>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Approved {
        by: Arc<str>,
    },
    Denied {
        by: Arc<str>,
    },
    /// Approved, and used up.
    Used,
    Waiting,
}

/// A place where a call waits. Dropping it leaves the place.
pub struct Ticket {
    approvals: Arc<Approvals>,
    id: Arc<str>,
    expires: u64,
    /// The call, if nobody was asked about it before.
    news: Option<Waiting>,
}

impl Waiting {
    /// The audit line of what a person decided while nobody waited for it: whoever uses it writes one of its own.
    pub fn record(&self, is_approved: Approved, by: &str, time: SystemTime) -> Record {
        let (decision, reason) = match is_approved {
            Approved::Yes => ("allow", "a person approved this call; nobody waits for it at the moment"),
            Approved::No => ("deny", "a person denied this call; nobody waits for it at the moment"),
        };
        let call = &self.call;
        Record::Decision(Box::new(DecisionEntry {
            journal: Arc::clone(&call.journal),
            time,
            key: Arc::clone(&call.key),
            request_id: Arc::clone(&call.request_id),
            place: call.place.as_str(),
            tool: Raw::text(&*call.tool),
            args: Some(Raw::json(call.args.to_string())),
            decision,
            rule: Some(Arc::clone(&call.rule)),
            reason: Some(reason.into()),
            config: Arc::clone(&call.config),
            mode: "enforce",
            by: Some(by.into()),
            // Whoever asked is long gone.
            trace: None,
        }))
    }
}

impl Wanted {
    /// What tells the call apart from others of its caller: the tool, the arguments exactly, and what the rule says.
    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for text in [&*self.tool, &*self.args, &self.rule_text] {
            digest.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(text);
        }
        digest.finalize().into()
    }
}

impl Entry {
    fn is_waiting(&self, now: u64) -> bool {
        self.state == State::Waiting && now < self.waiting.expires
    }

    /// Its arguments can be of no use any more.
    fn is_settled(&self, now: u64) -> bool {
        let is_over = now >= self.waiting.expires;
        match self.state {
            State::Approved { .. } | State::Waiting => is_over,
            State::Denied { .. } | State::Used => true,
        }
    }
}

impl Approvals {
    /// Asks about a call, which waits until `expires`, in milliseconds since 1970; `id` is the one that it gets where it
    /// is new. `None` where too many of the tenant's wait.
    pub fn ask(self: &Arc<Self>, wanted: &Wanted, id: &str, now: u64, expires: u64) -> Option<Ticket> {
        let digest = wanted.digest();
        let mut entries = self.entries();
        forget(&mut entries, now);
        let is_same = |entry: &Entry| {
            let call = &entry.waiting.call;
            let caller = call.tenant == wanted.tenant && call.key == wanted.key;
            caller && entry.digest == digest && call.rule == wanted.rule
        };
        let is_free = |entry: &Entry| match entry.state {
            // A denial answers as many calls as come.
            State::Denied { .. } => true,
            State::Approved { .. } | State::Waiting => !entry.waited_for,
            State::Used => false,
        };
        let mut entries_in_time = entries.values_mut().filter(|entry| now < entry.waiting.expires);
        if let Some(entry) = entries_in_time.find(|entry| is_free(entry) && is_same(entry)) {
            entry.waited_for = true;
            let Waiting { id, expires, .. } = &entry.waiting;
            return Some(self.ticket(id, *expires, None));
        }
        let of_tenant = |entry: &&Entry| entry.waiting.call.tenant == wanted.tenant && entry.is_waiting(now);
        let waiting: Vec<usize> =
            entries.values().filter(of_tenant).map(|entry| entry.waiting.call.args.len()).collect();
        let bytes = waiting.iter().sum::<usize>() + wanted.args.len();
        if waiting.len() >= WAITING_MAX || bytes > WAITING_BYTES_MAX {
            return None;
        }
        let id: Arc<str> = id.into();
        let waiting = Waiting { id: Arc::clone(&id), call: wanted.clone(), asked: now, expires };
        let news = Some(waiting.clone());
        let entry = Entry { waiting, digest, state: State::Waiting, waited_for: true, waker: None };
        entries.insert(Arc::clone(&id), entry);
        Some(self.ticket(&id, expires, news))
    }

    fn ticket(self: &Arc<Self>, id: &Arc<str>, expires: u64, news: Option<Waiting>) -> Ticket {
        Ticket { approvals: Arc::clone(self), id: Arc::clone(id), expires, news }
    }

    /// Decides a call that waits; `by` is who did.
    ///
    /// # Errors
    /// When no such call waits, or no longer.
    pub fn decide(&self, id: &str, is_approved: Approved, by: &str, now: u64) -> Result<Decided, NotDecided> {
        let mut entries = self.entries();
        let entry = entries.get_mut(id).ok_or(NotDecided::Unknown)?;
        if !entry.is_waiting(now) {
            return Err(NotDecided::Over);
        }
        let by = by.into();
        entry.state = match is_approved {
            Approved::Yes => State::Approved { by },
            Approved::No => State::Denied { by },
        };
        let (waker, waited_for) = (entry.waker.take(), entry.waited_for);
        let waiting = entry.waiting.clone();
        drop(entries);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(Decided { waiting, waited_for })
    }

    /// The calls that wait, oldest first.
    pub fn waiting(&self, now: u64) -> Vec<Waiting> {
        let entries = self.entries();
        let mut waiting: Vec<Waiting> = entries
            .values()
            .filter(|entry| entry.is_waiting(now))
            .map(|entry| entry.waiting.clone())
            .collect();
        drop(entries);
        waiting.sort_by(|a, b| (a.asked, &a.id).cmp(&(b.asked, &b.id)));
        waiting
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that was decided.
#[derive(Debug)]
pub struct Decided {
    pub waiting: Waiting,
    /// Whether a call is held for it at the moment: then that is recorded.
    pub waited_for: bool,
}

/// What a person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approved {
    No,
    Yes,
}

/// Drops what is old, and what is too much.
fn forget(entries: &mut BTreeMap<Arc<str>, Entry>, now: u64) {
    let is_over =
        |entry: &Entry| !entry.waited_for && entry.waiting.expires.saturating_add(REMEMBERED_MS) < now;
    entries.retain(|_, entry| !is_over(entry));
    for entry in entries.values_mut().filter(|entry| entry.is_settled(now)) {
        entry.waiting.call.args = Arc::from("");
    }
    while entries.len() >= ENTRIES_MAX {
        // What is settled goes first.
        let free = entries.values().filter(|entry| !entry.waited_for);
        let oldest = free.min_by_key(|entry| (!entry.is_settled(now), entry.waiting.asked));
        let Some(id) = oldest.map(|entry| Arc::clone(&entry.waiting.id)) else { return };
        entries.remove(&id);
    }
}

impl Ticket {
    /// The id under which a person decides.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// When it expires, in milliseconds since 1970.
    pub fn expires(&self) -> u64 {
        self.expires
    }

    /// The call, if nobody was asked about it before.
    pub fn news(&self) -> Option<&Waiting> {
        self.news.as_ref()
    }

    /// What became of the call. An approval is used up by this.
    pub fn poll(&self, now: u64, cx: &mut Context<'_>) -> Poll<Ruling> {
        let mut entries = self.approvals.entries();
        let Some(entry) = entries.get_mut(&self.id) else { return Poll::Ready(Ruling::Expired) };
        match &entry.state {
            State::Approved { by } => {
                let by = Arc::clone(by);
                entry.state = State::Used;
                Poll::Ready(Ruling::Approved { by })
            }
            State::Denied { by } => Poll::Ready(Ruling::Denied { by: Arc::clone(by) }),
            State::Waiting if now < self.expires => {
                entry.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            State::Used | State::Waiting => Poll::Ready(Ruling::Expired),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(entry) = self.approvals.entries().get_mut(&self.id) {
            entry.waited_for = false;
            entry.waker = None;
        }
    }
}

impl fmt::Debug for Wanted {
    /// Nothing of the call's own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wanted")
            .field("tenant", &self.tenant)
            .field("rule", &self.rule)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("id", &self.id).field("call", &self.call).finish_non_exhaustive()
    }
}

impl fmt::Debug for Approvals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Approvals").field("entries", &self.entries().len()).finish()
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("id", &self.id).field("expires", &self.expires).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
