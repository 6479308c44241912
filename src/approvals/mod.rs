//! Calls that wait for a person: who asked for what, until when, and what was decided. Pure: the time is an argument,
//! and whoever waits is woken by its waker.
//!
//! An approval is for exactly one call: of this tenant and key, of this tool, with these arguments, under this rule. It
//! is good once. Whoever waits for it when it is given uses it up; if nobody does any more, the same call uses it up
//! when it comes again, until it expires. A denial holds as long, so that an agent that tries again is not asked about
//! again. Nothing here outlives the process: after a restart nothing is approved.

use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// So many calls of a tenant wait at a time; further ones are denied.
pub const WAITING_MAX: usize = 256;
/// What was decided or expired is told for so long, in milliseconds.
const REMEMBERED_MS: u64 = 86_400_000;
/// So many entries are kept; the oldest that nobody waits for is dropped first.
const ENTRIES_MAX: usize = 65_536;

/// A call that a rule wants a person to decide on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub tenant: Arc<str>,
    pub key: Arc<str>,
    pub tool: String,
    /// Its arguments as it would run, exactly.
    pub args: String,
    /// The same for people, redacted.
    pub shown_args: String,
    /// The tool for people: a model may have made up its name.
    pub shown_tool: String,
    /// Where the rule stands, `tenants/acme.yaml:14`.
    pub rule: Arc<str>,
    /// What the rule says of it; may be empty.
    pub reason: Arc<str>,
}

/// A call that waits, as people are shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub id: Arc<str>,
    pub tenant: Arc<str>,
    pub key: Arc<str>,
    /// Redacted, like the arguments.
    pub tool: String,
    pub args: String,
    pub rule: Arc<str>,
    pub reason: Arc<str>,
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
    listed: Listed,
    /// Digest of its tool and arguments.
    call: [u8; 32],
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
    /// The call as people are shown it, if nobody was asked about it before.
    news: Option<Listed>,
}

impl Wanted {
    /// What tells the call apart from others of its caller: the tool, and the arguments exactly.
    fn digest(&self) -> [u8; 32] {
        let length = u64::try_from(self.tool.len()).unwrap_or(u64::MAX);
        let mut digest = Sha256::new();
        digest.update(length.to_be_bytes());
        digest.update(&self.tool);
        digest.update(&self.args);
        digest.finalize().into()
    }

    /// The call as people are shown it.
    fn listed(&self, id: &Arc<str>, asked: u64, expires: u64) -> Listed {
        Listed {
            id: Arc::clone(id),
            tenant: Arc::clone(&self.tenant),
            key: Arc::clone(&self.key),
            tool: self.shown_tool.clone(),
            args: self.shown_args.clone(),
            rule: Arc::clone(&self.rule),
            reason: Arc::clone(&self.reason),
            asked,
            expires,
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
            let listed = &entry.listed;
            let caller = listed.tenant == wanted.tenant && listed.key == wanted.key;
            caller && entry.call == digest && listed.rule == wanted.rule
        };
        let is_free = |entry: &Entry| match entry.state {
            // A denial answers as many calls as come.
            State::Denied { .. } => true,
            State::Approved { .. } | State::Waiting => !entry.waited_for,
            State::Used => false,
        };
        let mut entries_in_time = entries.values_mut().filter(|entry| now < entry.listed.expires);
        if let Some(entry) = entries_in_time.find(|entry| is_free(entry) && is_same(entry)) {
            entry.waited_for = true;
            let Listed { id, expires, .. } = &entry.listed;
            return Some(self.ticket(id, *expires, None));
        }
        let of_tenant = |entry: &&Entry| {
            entry.listed.tenant == wanted.tenant
                && entry.state == State::Waiting
                && now < entry.listed.expires
        };
        if entries.values().filter(of_tenant).count() >= WAITING_MAX {
            return None;
        }
        let id: Arc<str> = id.into();
        let listed = wanted.listed(&id, now, expires);
        let news = Some(listed.clone());
        let entry = Entry { listed, call: digest, state: State::Waiting, waited_for: true, waker: None };
        entries.insert(Arc::clone(&id), entry);
        Some(self.ticket(&id, expires, news))
    }

    fn ticket(self: &Arc<Self>, id: &Arc<str>, expires: u64, news: Option<Listed>) -> Ticket {
        Ticket { approvals: Arc::clone(self), id: Arc::clone(id), expires, news }
    }

    /// Decides a call that waits; `by` is who did.
    ///
    /// # Errors
    /// When no such call waits, or no longer.
    pub fn decide(&self, id: &str, is_approved: Approved, by: &str, now: u64) -> Result<Listed, NotDecided> {
        let mut entries = self.entries();
        let entry = entries.get_mut(id).ok_or(NotDecided::Unknown)?;
        if entry.state != State::Waiting || now >= entry.listed.expires {
            return Err(NotDecided::Over);
        }
        let by = by.into();
        entry.state = match is_approved {
            Approved::Yes => State::Approved { by },
            Approved::No => State::Denied { by },
        };
        let (waker, listed) = (entry.waker.take(), entry.listed.clone());
        drop(entries);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(listed)
    }

    /// The calls that wait, oldest first.
    pub fn waiting(&self, now: u64) -> Vec<Listed> {
        let entries = self.entries();
        let waits = |entry: &&Entry| entry.state == State::Waiting && now < entry.listed.expires;
        let mut listed: Vec<Listed> =
            entries.values().filter(waits).map(|entry| entry.listed.clone()).collect();
        listed.sort_by(|a, b| (a.asked, &a.id).cmp(&(b.asked, &b.id)));
        listed
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        |entry: &Entry| !entry.waited_for && entry.listed.expires.saturating_add(REMEMBERED_MS) < now;
    entries.retain(|_, entry| !is_over(entry));
    while entries.len() >= ENTRIES_MAX {
        let oldest =
            entries.values().filter(|entry| !entry.waited_for).min_by_key(|entry| entry.listed.asked);
        let Some(id) = oldest.map(|entry| Arc::clone(&entry.listed.id)) else { return };
        entries.remove(&id);
    }
}

impl Ticket {
    /// When it expires, in milliseconds since 1970.
    pub fn expires(&self) -> u64 {
        self.expires
    }

    /// The call as people are shown it, if nobody was asked about it before.
    pub fn news(&self) -> Option<&Listed> {
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
