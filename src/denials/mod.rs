//! Calls that were denied though the rules let them through: a rule's `limit` was used up, or no person approved them. The
//! rules would let a result of one pass, since they allow its name and its arguments; so a tenant's last calls of that
//! kind are remembered, and what became of each.
//!
//! Two things are known of a call: itself (its id, its tool and its arguments) and what it does (its tool and its
//! arguments). A call that once left is good under its id. One that never did is denied, and so is any other that does the
//! same, under whatever id, as long as none that does the same ever left: ids are easily made up, and an agent that asks
//! again and is let through brings the result of a call that left.
//!
//! What is kept is bounded: by thirty days, by so many entries a tenant, and by so many of all. The oldest go first. What is
//! new is told to whoever writes it down, and brought back at a start.

#[cfg(test)]
mod tests;

use crate::{call::Arguments, pins::canonical};
use sha2::{Digest as _, Sha256};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

/// A call is remembered for so long.
pub const KEPT_FOR: Duration = Duration::from_secs(30 * 86_400);
/// So many entries are kept of one tenant. A call takes two.
pub const TENANT_MAX: usize = 4096;
/// So many of all tenants.
pub const ALL_MAX: usize = 1 << 18;

/// An entry is known by half of a SHA-256.
pub type Mark = [u8; 16];

/// A call, by what is remembered of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Call {
    /// Of its id, its tool and its arguments; `None` for a call without an id.
    itself: Option<Mark>,
    /// Of its tool and its arguments.
    deed: Mark,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Denied,
    /// It left for the client, which ran it.
    Left,
}

/// What is remembered of all tenants' calls.
#[derive(Debug)]
pub struct Denials {
    tenants: HashMap<Arc<str>, Known>,
    /// Entries of all tenants.
    count: usize,
    tenant_max: usize,
    all_max: usize,
    /// Whether all of a tenant's calls pass here. What another gateway let through is not known, so that with others
    /// beside this one a call is known by its id alone.
    alone: bool,
}

/// What is remembered of one tenant's.
#[derive(Debug, Default)]
struct Known {
    entries: HashMap<Mark, (Fate, Instant)>,
    /// The same, oldest first. One that was renewed since stands here twice.
    order: VecDeque<(Mark, Instant)>,
}

fn mark(domain: &str, parts: &[&[u8]]) -> Mark {
    let mut hasher = Sha256::new();
    hasher.update(domain);
    for part in parts {
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part);
    }
    let digest: [u8; 32] = hasher.finalize().into();
    let mut mark = Mark::default();
    mark.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    mark
}

impl Call {
    /// What other gateways know it by; `None` for a call without an id.
    pub fn name(&self) -> Option<String> {
        self.itself.map(|mark| name(&mark))
    }

    /// A call as it was written: `text` are its arguments where they cannot be read.
    pub fn of(id: &str, tool: &str, args: &Arguments<'_>, text: &str) -> Self {
        let args = match args {
            Arguments::Known(args) => canonical(args),
            Arguments::Open | Arguments::Unreadable => text.as_bytes().to_vec(),
        };
        let deed = mark("tollgate/denials/deed/1", &[tool.as_bytes(), &args]);
        let itself = (!id.is_empty()).then(|| mark("tollgate/denials/call/1", &[id.as_bytes(), &deed]));
        Self { itself, deed }
    }
}

/// What other gateways know a mark by.
pub fn name(mark: &Mark) -> String {
    mark.iter().fold("call:".to_owned(), |name, byte| name + &format!("{byte:02x}"))
}

impl Fate {
    /// As other gateways are told of it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Left => "left",
        }
    }
}

impl Denials {
    /// Nothing yet. `alone`: all calls of its tenants pass here.
    pub fn new(alone: bool) -> Self {
        Self::bounded(alone, TENANT_MAX, ALL_MAX)
    }

    fn bounded(alone: bool, tenant_max: usize, all_max: usize) -> Self {
        Self { tenants: HashMap::new(), count: 0, tenant_max, all_max, alone }
    }

    /// Whether nothing is remembered of a tenant's calls.
    pub fn knows_none(&self, tenant: &str) -> bool {
        !self.tenants.contains_key(tenant)
    }

    /// What became of a tenant's call. What is news of it is to be written down.
    pub fn remember(
        &mut self,
        tenant: &Arc<str>,
        call: &Call,
        fate: Fate,
        now: Instant,
    ) -> Vec<(Mark, Fate)> {
        let marks = [call.itself, Some(call.deed)];
        marks.into_iter().flatten().filter_map(|mark| self.put(tenant, mark, fate, now)).collect()
    }

    /// What was written down before a restart, the oldest first.
    pub fn restore(&mut self, tenant: &Arc<str>, mark: Mark, fate: Fate, at: Instant) {
        self.put(tenant, mark, fate, at);
    }

    /// A request brings the result of this call, and nothing speaks against it: it left before this gateway could know, and
    /// is not taken for another that does the same and is denied later.
    pub fn trust(&mut self, tenant: &Arc<str>, call: &Call, now: Instant) -> Option<(Mark, Fate)> {
        self.put(tenant, call.itself?, Fate::Left, now)
    }

    /// What became of a call of a tenant's whose result a request brings; `None` where nothing is known of it. One that is
    /// not known under its id is taken for another that does the same, where that was denied.
    pub fn fate(&self, tenant: &str, call: &Call, now: Instant) -> Option<Fate> {
        let known = self.tenants.get(tenant)?;
        if let Some(fate) = call.itself.and_then(|mark| known.fate(&mark, now)) {
            return Some(fate);
        }
        known.fate(&call.deed, now).filter(|fate| match fate {
            Fate::Denied => self.alone,
            Fate::Left => call.itself.is_none(),
        })
    }

    /// Forgets what is too old.
    pub fn sweep(&mut self, now: Instant) {
        let mut gone = 0;
        self.tenants.retain(|_, known| {
            while known.order.front().is_some_and(|(_, at)| is_old(*at, now)) {
                gone += known.forget_oldest();
            }
            !known.entries.is_empty()
        });
        self.count = self.count.saturating_sub(gone);
    }

    /// What is known of it from now on, where that is news.
    fn put(&mut self, tenant: &Arc<str>, mark: Mark, fate: Fate, now: Instant) -> Option<(Mark, Fate)> {
        let known = self.tenants.entry(Arc::clone(tenant)).or_default();
        let before = known.entries.get(&mark).copied().filter(|(_, at)| !is_old(*at, now));
        let fate = match before {
            // What left once is never taken for denied.
            Some((Fate::Left, _)) => Fate::Left,
            Some((Fate::Denied, _)) | None => fate,
        };
        let at = match before {
            // Renewed only now and then: an agent brings its results with every turn.
            Some((known, at)) if known == fate && now.saturating_duration_since(at) < KEPT_FOR / 2 => {
                return None;
            }
            Some(_) | None => now,
        };
        self.count += usize::from(known.entries.insert(mark, (fate, at)).is_none());
        known.order.push_back((mark, at));
        let mut gone = 0;
        while known.entries.len() > self.tenant_max || known.order.len() > self.tenant_max.saturating_mul(2) {
            gone += known.forget_oldest();
        }
        self.count = self.count.saturating_sub(gone);
        if self.count > self.all_max {
            self.make_room();
        }
        Some((mark, fate))
    }

    /// Whoever has the most loses an eighth of it, so that no tenant's calls push out those of one that has few.
    fn make_room(&mut self) {
        let Some(known) = self.tenants.values_mut().max_by_key(|known| known.entries.len()) else { return };
        let fewer = known.entries.len() - known.entries.len().div_ceil(8);
        let mut gone = 0;
        while known.entries.len() > fewer {
            gone += known.forget_oldest();
        }
        self.count = self.count.saturating_sub(gone);
        self.tenants.retain(|_, known| !known.entries.is_empty());
    }
}

fn is_old(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) >= KEPT_FOR
}

impl Known {
    fn fate(&self, mark: &Mark, now: Instant) -> Option<Fate> {
        self.entries.get(mark).filter(|(_, at)| !is_old(*at, now)).map(|(fate, _)| *fate)
    }

    /// How many entries went: none where the oldest was renewed since.
    fn forget_oldest(&mut self) -> usize {
        let Some((mark, at)) = self.order.pop_front() else {
            // Nothing stands in no order; were it so, nothing would be kept.
            return std::mem::take(&mut self.entries).len();
        };
        let is_it = self.entries.get(&mark).is_some_and(|(_, known)| *known == at);
        if is_it { usize::from(self.entries.remove(&mark).is_some()) } else { 0 }
    }
}
