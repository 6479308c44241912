//! How an address of an upstream is treated by how it answered: one that fails several times in a row is left alone for
//! some seconds, then asked by one call whether it is back; of two that answer, the one with less to do is asked. And
//! how often calls are sent again: an upstream in trouble is not to be kept there by those who ask twice.
//!
//! Each tenant has a circuit of its own, beside the one of all. What a tenant sends can make an upstream answer with 500, or
//! too late: that opens the tenant's. The one of all opens where no tenant could have done it alone: when there is no
//! connection, or when the calls of at least three tenants fail and nobody's succeeds.
//!
//! An answer is a success once it has come to its end; a stream, to the end that its dialect has. Its head alone closes a circuit that no answer was behind; where
//! answers broke off it says nothing: there the circuit is closed by an answer's end, or when it has gone on for as long
//! as the circuit was open.

use crate::{clock, operator};
use std::{
    collections::HashMap,
    fmt::Display,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// So many failures in a row open a circuit.
const FAILURES_MAX: u32 = 5;
/// Of these, where it is the circuit of all, so many at most may be of calls of one tenant.
const OF_ONE_TENANT_MAX: u32 = 2;
/// So long it stays open until one call tries.
const PAUSE: Duration = Duration::from_secs(10);
/// What a tenant's calls came to is forgotten when it did not ask for so long.
const KEPT: Duration = Duration::from_secs(600);
/// The operator is told of an address' failures so often at most.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Of calls that are sent for the first time, such a share may be sent again: one in so many.
const CALLS_PER_RETRY: u32 = 10;
/// So many more at once, and of these one again every so often: few calls are no storm.
const RETRIES_SAVED_MAX: u32 = 10;
const RETRY_EVERY: Duration = Duration::from_secs(6);

/// One address. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Circuit(Arc<State>);

#[derive(Debug, Default)]
struct State {
    in_flight: AtomicUsize,
    fault: Mutex<Fault>,
}

/// What is known of an address: its circuits, and when the operator was told.
#[derive(Debug, Default)]
struct Fault {
    all: Run,
    /// Whose call found out last whether the address is back, while the circuit of all was open.
    tried: Option<Arc<str>>,
    /// Counts the times that a call succeeded after some had failed.
    recoveries: u64,
    /// Counts the calls.
    calls: u64,
    /// Of tenants whose last call failed.
    tenants: HashMap<Arc<str>, Streak>,
    /// When a tenant's call failed last, whatever has succeeded since.
    lately: HashMap<Arc<str>, Instant>,
    /// When there was no connection last, for anybody.
    unreachable: Option<Instant>,
    told: Option<Instant>,
}

/// Failures in a row, up to now, and the circuit that they open.
#[derive(Debug, Default)]
struct Run {
    failures: u32,
    /// When the next call may try, while the circuit is open.
    open_until: Option<Instant>,
    /// Since when it is open, however many have tried in vain.
    open_since: Option<Instant>,
    /// Whether one of them was an answer that broke off.
    broke_off: bool,
    /// The call whose answer came first while the circuit was open, and when; until one fails.
    answered: Option<(u64, Instant)>,
}

/// A tenant's failures in a row.
#[derive(Debug)]
struct Streak {
    run: Run,
    /// Of them, how many count among everybody's, since so many recoveries.
    counted: (u64, u32),
    last: Instant,
}

/// Whose fault a failure can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// There is no connection, whatever would be sent on it.
    Unreachable,
    /// No answer, or none that is one: it may be for what was asked.
    Unanswered,
    /// Half of an answer, for which the same holds.
    BrokenOff,
}

/// What a failure did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Failed {
    /// Whether the operator is to be told.
    tells: bool,
    opens: Opens,
}

/// Which circuit is open now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opens {
    None,
    Tenants,
    All,
}

impl Run {
    /// When the next call may try; `None` where all may go.
    fn open_until(&self, now: Instant) -> Option<Instant> {
        let goes_on = self.answered.is_some_and(|(_, since)| now >= since + PAUSE);
        self.open_until.filter(|_| !goes_on)
    }

    fn is_open(&self, now: Instant) -> bool {
        self.open_until(now).is_some_and(|until| now < until)
    }

    /// A call goes there. Where the circuit is open, it is the one that tries.
    fn begin(&mut self, now: Instant) -> bool {
        if self.open_until(now).is_none() {
            self.close();
        }
        if let Some(until) = &mut self.open_until {
            *until = now + PAUSE;
        }
        self.open_until.is_some()
    }

    /// All may go, though no answer has come to its end yet: one more failure opens the circuit again.
    fn close(&mut self) {
        self.open_since = None;
        if self.open_until.take().is_some() {
            self.failures = FAILURES_MAX - 1;
        }
    }

    /// A call is answered, though not to its end yet.
    fn answers(&mut self, call: u64, now: Instant) {
        if self.open_until.is_some() {
            self.answered.get_or_insert((call, now));
            if !self.broke_off {
                self.close();
            }
        }
    }

    /// A call's client left: nobody will know how its answer would have ended.
    fn leaves(&mut self, call: u64) {
        if self.open_until.is_some() && self.is_answered(call) {
            self.answered = None;
        }
    }

    /// Whether this is the call on whose answer it stands that others may go.
    fn is_answered(&self, call: u64) -> bool {
        self.answered.is_some_and(|(answered, _)| answered == call)
    }

    /// Whether that opens the circuit.
    fn fail(&mut self, kind: Kind, now: Instant) -> bool {
        self.answered = None;
        self.broke_off |= kind == Kind::BrokenOff;
        self.failures = self.failures.saturating_add(1);
        let opens = self.failures >= FAILURES_MAX;
        if opens {
            self.open_until = Some(now + PAUSE);
            self.open_since.get_or_insert(now);
        }
        opens
    }
}

impl Fault {
    fn admits(&self, tenant: &str, now: Instant) -> bool {
        // Who tried in vain leaves the next try to others: nobody keeps the circuit of all open by trying.
        let waits = if self.tried.as_deref() == Some(tenant) { PAUSE } else { Duration::ZERO };
        let all = self.all.open_until(now).is_none_or(|until| now >= until + waits);
        // Whose own calls did not fail need not wait for those who try in vain again and again: it is one call of each.
        let is_clean = !self.tenants.contains_key(tenant);
        let all = all || is_clean && self.all.open_since.is_some_and(|since| now >= since + PAUSE);
        all && self.tenants.get(tenant).is_none_or(|streak| !streak.run.is_open(now))
    }

    /// Whether a tenant's call failed there lately, or anybody's found no connection.
    fn failed_lately(&self, tenant: &str, now: Instant) -> bool {
        let is_late = |failed: Option<&Instant>| failed.is_some_and(|failed| now < *failed + PAUSE);
        is_late(self.unreachable.as_ref()) || is_late(self.lately.get(tenant))
    }

    /// A tenant's call came to nothing there.
    fn missed(&mut self, tenant: &Arc<str>, kind: Kind, now: Instant) {
        if kind == Kind::Unreachable {
            self.unreachable = Some(now);
        } else {
            self.lately.insert(Arc::clone(tenant), now);
        }
    }

    /// The number of a call that goes there.
    fn begin(&mut self, tenant: &Arc<str>, now: Instant) -> u64 {
        if self.all.begin(now) {
            self.tried = Some(Arc::clone(tenant));
        }
        if let Some(streak) = self.tenants.get_mut(tenant) {
            streak.run.begin(now);
        }
        self.calls = self.calls.wrapping_add(1);
        self.calls
    }

    fn answers(&mut self, tenant: &str, call: u64, now: Instant) {
        self.all.answers(call, now);
        if let Some(streak) = self.tenants.get_mut(tenant) {
            streak.run.answers(call, now);
        }
    }

    fn leaves(&mut self, tenant: &str, call: u64) {
        self.all.leaves(call);
        if let Some(streak) = self.tenants.get_mut(tenant) {
            streak.run.leaves(call);
        }
    }

    fn succeeded(&mut self, tenant: &str) {
        if self.all.failures > 0 {
            (self.all, self.tried) = (Run::default(), None);
            self.recoveries = self.recoveries.wrapping_add(1);
        }
        self.tenants.remove(tenant);
    }

    fn failed(&mut self, tenant: &Arc<str>, call: u64, kind: Kind, now: Instant) -> Failed {
        self.missed(tenant, kind, now);
        let since = self.recoveries;
        let streak = self.tenants.entry(Arc::clone(tenant)).or_insert_with(|| Streak {
            run: Run::default(),
            counted: (since, 0),
            last: now,
        });
        streak.last = now;
        let tenants = streak.run.fail(kind, now);
        if streak.counted.0 != since {
            streak.counted = (since, 0);
        }
        // On whose answer it stood that others may go, counts whosever it is.
        let counts =
            kind == Kind::Unreachable || streak.counted.1 < OF_ONE_TENANT_MAX || self.all.is_answered(call);
        if kind == Kind::Unreachable {
            // It was not for what the tenant asked: anybody may try.
            self.tried = None;
        } else if counts {
            streak.counted.1 += 1;
        }
        let is_new = streak.run.failures == FAILURES_MAX || self.all.failures + 1 == FAILURES_MAX;
        let opens = match (counts && self.all.fail(kind, now), tenants) {
            (true, _) => Opens::All,
            (false, true) => Opens::Tenants,
            (false, false) => Opens::None,
        };
        Failed { tells: self.tells(now, is_new && opens != Opens::None), opens }
    }

    /// Whether the operator is told of something: of what is new at once, of the rest now and then.
    fn tells(&mut self, now: Instant, is_new: bool) -> bool {
        let tells = is_new || self.told.is_none_or(|told| now.saturating_duration_since(told) >= TELL_EVERY);
        if tells {
            self.told = Some(now);
        }
        tells
    }

    fn sweep(&mut self, now: Instant) {
        self.tenants.retain(|_, streak| now.saturating_duration_since(streak.last) < KEPT);
        self.lately.retain(|_, failed| now < *failed + PAUSE);
    }
}

impl Circuit {
    /// Whether a tenant's call may go there.
    pub(super) fn admits(&self, tenant: &str, now: Instant) -> bool {
        self.fault().admits(tenant, now)
    }

    /// Whether a tenant's call failed there lately; `None` where none of its calls may go there.
    pub(super) fn failed_lately(&self, tenant: &str, now: Instant) -> Option<bool> {
        let fault = self.fault();
        fault.admits(tenant, now).then(|| fault.failed_lately(tenant, now))
    }

    /// It takes no more of a tenant's calls at the moment: no failure, but others are asked first for a while.
    pub(super) fn limits(&self, tenant: &Arc<str>, now: Instant) {
        self.fault().missed(tenant, Kind::Unanswered, now);
    }

    /// Calls that are there.
    pub(super) fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Relaxed)
    }

    /// A tenant's call goes there. Where a circuit is open, it is the one that tries.
    pub(super) fn begin(&self, tenant: &Arc<str>, now: Instant, name: Arc<str>) -> Watch {
        let call = self.fault().begin(tenant, now);
        self.0.in_flight.fetch_add(1, Ordering::Relaxed);
        Watch { circuit: self.clone(), name, tenant: Arc::clone(tenant), call, stage: Stage::Sent }
    }

    /// Forgets tenants that do not ask any more.
    pub(super) fn sweep(&self, now: Instant) {
        self.fault().sweep(now);
    }

    fn fault(&self) -> MutexGuard<'_, Fault> {
        self.0.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an upstream is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Nothing,
    /// What all tenants have.
    Shared,
    /// What the tenant has for itself.
    Own,
}

/// A call at an address, until its answer has ended.
#[derive(Debug)]
pub(super) struct Watch {
    circuit: Circuit,
    /// The upstream's.
    name: Arc<str>,
    tenant: Arc<str>,
    call: u64,
    stage: Stage,
}

/// How far a call has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Sent,
    Answered,
    Ended,
}

impl Watch {
    /// The head of an answer is there.
    pub(super) fn answers(&mut self) {
        self.stage = Stage::Answered;
        self.circuit.fault().answers(&self.tenant, self.call, clock::now());
    }

    /// The answer is complete, or says what the caller did wrong.
    pub(super) fn succeeded(mut self) {
        self.succeeds();
    }

    fn succeeds(&mut self) {
        self.stage = Stage::Ended;
        self.circuit.fault().succeeded(&self.tenant);
    }

    /// The gateway's own credential was refused: the operator's business, and no failure of the address.
    pub(super) fn refused(mut self, status: u16, shown: Shown) {
        self.succeeds();
        if self.circuit.fault().tells(clock::now(), false) {
            let (name, tenant) = (&self.name, &self.tenant);
            let why = match shown {
                Shown::Nothing => "it asks for a credential, and `auth` has none for it".to_owned(),
                Shown::Shared => "it refuses the credential that `auth` has for it".to_owned(),
                Shown::Own => {
                    format!("it refuses the credential that `credentials` of tenant {tenant} has for it")
                }
            };
            operator::warn(&format!(
                "upstream {name}: {why} ({status}); clients whose calls can go to no other upstream are told 502"
            ));
        }
    }

    /// Nothing was tried, for want of something here: no failure of the address.
    pub(super) fn untried(self, why: &dyn Display) {
        if self.circuit.fault().tells(clock::now(), false) {
            operator::warn(&format!("upstream {}: {why}; clients are told 503", self.name));
        }
    }

    /// There was no connection. `why` holds nothing that others wrote.
    pub(super) fn unreachable(self, why: &dyn Display) {
        self.fails(Kind::Unreachable, why);
    }

    /// There was no answer, none that is one, or half of one. `why` holds nothing that others wrote.
    pub(super) fn failed(self, why: &dyn Display) {
        let kind = if self.stage == Stage::Answered { Kind::BrokenOff } else { Kind::Unanswered };
        self.fails(kind, why);
    }

    fn fails(mut self, kind: Kind, why: &dyn Display) {
        self.stage = Stage::Ended;
        let failed = self.circuit.fault().failed(&self.tenant, self.call, kind, clock::now());
        if !failed.tells {
            return;
        }
        let (name, tenant) = (&self.name, &self.tenant);
        match failed.opens {
            Opens::None => operator::warn(&format!("upstream {name}: {why}")),
            Opens::Tenants => operator::warn(&format!(
                "upstream {name}: {why}; it is left alone by tenant {tenant} for 10 s, then one call tries"
            )),
            Opens::All => operator::warn(&format!(
                "upstream {name}: {why}; it is left alone for 10 s, then one call tries"
            )),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.stage == Stage::Answered {
            self.circuit.fault().leaves(&self.tenant, self.call);
        }
        self.circuit.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many calls may be sent again. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Budget(Arc<Mutex<Saved>>);

#[derive(Debug)]
struct Saved {
    /// In tenths of a retry.
    tenths: u32,
    since: Option<Instant>,
}

impl Default for Saved {
    fn default() -> Self {
        Self { tenths: RETRIES_SAVED_MAX * CALLS_PER_RETRY, since: None }
    }
}

impl Budget {
    /// A call is sent for the first time.
    pub(super) fn earn(&self) {
        let mut saved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        saved.tenths = (saved.tenths + 1).min(RETRIES_SAVED_MAX * CALLS_PER_RETRY);
    }

    /// Whether one may be sent again.
    pub(super) fn spend(&self, now: Instant) -> bool {
        let mut saved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = *saved.since.get_or_insert(now);
        if now.saturating_duration_since(since) >= RETRY_EVERY {
            saved.since = Some(now);
            saved.tenths = (saved.tenths + CALLS_PER_RETRY).min(RETRIES_SAVED_MAX * CALLS_PER_RETRY);
        }
        match saved.tenths.checked_sub(CALLS_PER_RETRY) {
            Some(left) => saved.tenths = left,
            None => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests;
