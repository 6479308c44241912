//! How an address of an upstream is treated by how it answered: one that fails several times in a row is left alone for
//! some seconds, then asked by one call whether it is back; of two that answer, the one with less to do is asked. And
//! how often calls are sent again: an upstream in trouble is not to be kept there by those who ask twice.
//!
//! Each tenant has a circuit of its own, beside the one of all. What a tenant sends can make an upstream answer with 500, or
//! too late: that opens the tenant's. The one of all opens where no tenant could have done it alone: when there is no
//! connection, or when the calls of at least three tenants fail and nobody's succeeds.

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
    /// Of tenants whose last call failed.
    tenants: HashMap<Arc<str>, Streak>,
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
    /// No answer, none that is one, or half of one: it may be for what was asked.
    Unanswered,
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
    fn is_open(&self, now: Instant) -> bool {
        self.open_until.is_some_and(|until| now < until)
    }

    /// A call goes there. Where the circuit is open, it is the one that tries.
    fn begin(&mut self, now: Instant) -> bool {
        if let Some(until) = &mut self.open_until {
            *until = now + PAUSE;
        }
        self.open_until.is_some()
    }

    /// A call is answered, though not to its end yet. If it breaks off, the circuit is open again.
    fn answers(&mut self) {
        self.open_since = None;
        if self.open_until.take().is_some() {
            self.failures = FAILURES_MAX - 1;
        }
    }

    /// Whether that opens the circuit.
    fn fail(&mut self, now: Instant) -> bool {
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
        let all = self.all.open_until.is_none_or(|until| now >= until + waits);
        // Whose own calls did not fail need not wait for those who try in vain again and again: it is one call of each.
        let is_clean = !self.tenants.contains_key(tenant);
        let all = all || is_clean && self.all.open_since.is_some_and(|since| now >= since + PAUSE);
        all && self.tenants.get(tenant).is_none_or(|streak| !streak.run.is_open(now))
    }

    fn begin(&mut self, tenant: &Arc<str>, now: Instant) {
        if self.all.begin(now) {
            self.tried = Some(Arc::clone(tenant));
        }
        if let Some(streak) = self.tenants.get_mut(tenant) {
            streak.run.begin(now);
        }
    }

    fn answers(&mut self, tenant: &str) {
        self.all.answers();
        if let Some(streak) = self.tenants.get_mut(tenant) {
            streak.run.answers();
        }
    }

    fn succeeded(&mut self, tenant: &str) {
        if self.all.failures > 0 {
            (self.all, self.tried) = (Run::default(), None);
            self.recoveries = self.recoveries.wrapping_add(1);
        }
        self.tenants.remove(tenant);
    }

    fn failed(&mut self, tenant: &Arc<str>, kind: Kind, now: Instant) -> Failed {
        let since = self.recoveries;
        let streak = self.tenants.entry(Arc::clone(tenant)).or_insert_with(|| Streak {
            run: Run::default(),
            counted: (since, 0),
            last: now,
        });
        streak.last = now;
        let tenants = streak.run.fail(now);
        if streak.counted.0 != since {
            streak.counted = (since, 0);
        }
        let counts = kind == Kind::Unreachable || streak.counted.1 < OF_ONE_TENANT_MAX;
        if kind == Kind::Unreachable {
            // It was not for what the tenant asked: anybody may try.
            self.tried = None;
        } else if counts {
            streak.counted.1 += 1;
        }
        let is_new = streak.run.failures == FAILURES_MAX || self.all.failures + 1 == FAILURES_MAX;
        let opens = match (counts && self.all.fail(now), tenants) {
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
    }
}

impl Circuit {
    /// Whether a tenant's call may go there.
    pub(super) fn admits(&self, tenant: &str, now: Instant) -> bool {
        self.fault().admits(tenant, now)
    }

    /// Calls that are there.
    pub(super) fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Relaxed)
    }

    /// A tenant's call goes there. Where a circuit is open, it is the one that tries.
    pub(super) fn begin(&self, tenant: &Arc<str>, now: Instant, name: Arc<str>) -> Watch {
        self.fault().begin(tenant, now);
        self.0.in_flight.fetch_add(1, Ordering::Relaxed);
        Watch { circuit: self.clone(), name, tenant: Arc::clone(tenant) }
    }

    /// Forgets tenants that do not ask any more.
    pub(super) fn sweep(&self, now: Instant) {
        self.fault().sweep(now);
    }

    fn fault(&self) -> MutexGuard<'_, Fault> {
        self.0.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call at an address, until its answer has ended.
#[derive(Debug)]
pub(super) struct Watch {
    circuit: Circuit,
    /// The upstream's.
    name: Arc<str>,
    tenant: Arc<str>,
}

impl Watch {
    /// The head of an answer is there.
    pub(super) fn answers(&self) {
        self.circuit.fault().answers(&self.tenant);
    }

    /// The answer is complete, or says what the caller did wrong.
    pub(super) fn succeeded(&self) {
        self.circuit.fault().succeeded(&self.tenant);
    }

    /// The gateway's own credential was refused: the operator's business, and no failure of the address.
    pub(super) fn refused(&self, status: u16) {
        self.succeeded();
        if self.circuit.fault().tells(clock::now(), false) {
            operator::warn(&format!(
                "upstream {}: it refuses the credential that `auth` has for it ({status}); clients are told 502",
                self.name
            ));
        }
    }

    /// There was no connection. `why` holds nothing that others wrote.
    pub(super) fn unreachable(&self, why: &dyn Display) {
        self.fails(Kind::Unreachable, why);
    }

    /// There was no answer, none that is one, or half of one. `why` holds nothing that others wrote.
    pub(super) fn failed(&self, why: &dyn Display) {
        self.fails(Kind::Unanswered, why);
    }

    fn fails(&self, kind: Kind, why: &dyn Display) {
        let Failed { tells, opens } = self.circuit.fault().failed(&self.tenant, kind, clock::now());
        if !tells {
            return;
        }
        let (name, tenant) = (&self.name, &self.tenant);
        match opens {
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
        self.circuit.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many calls may be sent again.
#[derive(Debug, Default)]
pub(super) struct Budget(Mutex<Saved>);

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
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UNANSWERED: Kind = Kind::Unanswered;

    fn tenant(number: usize) -> Arc<str> {
        format!("tenant-{number}").into()
    }

    #[test]
    fn a_circuit_opens_after_five_failures_in_a_row_and_lets_one_call_try() {
        for kind in [Kind::Unreachable, UNANSWERED] {
            let (circuit, start, a) = (Circuit::default(), clock::now(), tenant(0));
            for _ in 0..FAILURES_MAX - 1 {
                circuit.fault().failed(&a, kind, start);
            }
            circuit.fault().succeeded(&a);
            for _ in 0..FAILURES_MAX {
                assert!(circuit.admits(&a, start));
                circuit.fault().failed(&a, kind, start);
            }
            assert!(
                !circuit.admits(&a, start) && !circuit.admits(&a, start + PAUSE - Duration::from_millis(1))
            );
            let later = start + PAUSE;
            assert!(circuit.admits(&a, later));
            let probe = circuit.begin(&a, later, "up".into());
            assert!(!circuit.admits(&a, later), "a second one does not try as well");
            assert_eq!(circuit.in_flight(), 1);
            // A probe that never ends, or whose client leaves, is followed by another.
            drop(probe);
            let later = later + 2 * PAUSE;
            assert!(circuit.admits(&a, later) && circuit.in_flight() == 0);
            let probe = circuit.begin(&a, later, "up".into());
            probe.answers();
            assert!(circuit.admits(&a, later));
            circuit.fault().failed(&a, kind, later);
            assert!(!circuit.admits(&a, later), "it broke off: open again at once");
            circuit.begin(&a, later + 2 * PAUSE, "up".into()).succeeded();
            assert!(circuit.admits(&a, later + 2 * PAUSE));
        }
    }

    #[test]
    fn where_there_is_no_connection_all_leave_it_alone() {
        let (circuit, start) = (Circuit::default(), clock::now());
        for _ in 0..FAILURES_MAX {
            circuit.fault().failed(&tenant(0), Kind::Unreachable, start);
        }
        assert!(!circuit.admits(&tenant(1), start) && circuit.admits(&tenant(1), start + PAUSE));
        // Any one of them tries, and its success is everybody's but of who has failures of its own.
        circuit.begin(&tenant(0), start + PAUSE, "up".into()).unreachable(&"gone");
        assert!(circuit.admits(&tenant(0), clock::now() + 2 * PAUSE));
        circuit.begin(&tenant(1), start + 2 * PAUSE, "up".into()).succeeded();
        assert!(circuit.admits(&tenant(2), start + 2 * PAUSE));
    }

    #[test]
    fn where_the_calls_of_three_tenants_fail_all_leave_it_alone() {
        let (mut fault, start) = (Fault::default(), clock::now());
        let opens: Vec<Opens> =
            [0, 0, 0, 1, 1, 2].map(|number| fault.failed(&tenant(number), UNANSWERED, start).opens).into();
        assert_eq!(opens, [[Opens::None; 5].as_slice(), &[Opens::All]].concat());
        // One of them tries in vain: the next try is another's.
        let (first, second) = (start + PAUSE, start + 2 * PAUSE);
        fault.begin(&tenant(0), first);
        fault.failed(&tenant(0), UNANSWERED, first);
        assert!(!fault.admits(&tenant(0), second) && fault.admits(&tenant(7), second));
        fault.begin(&tenant(7), second);
        fault.succeeded("tenant-7");
        assert!((1..9).all(|number| fault.admits(&tenant(number), second)));
    }

    #[test]
    fn who_does_not_ask_any_more_is_forgotten() {
        let (mut fault, start) = (Fault::default(), clock::now());
        for number in 0..1000 {
            fault.failed(&tenant(number), UNANSWERED, start);
        }
        fault.failed(&tenant(5), UNANSWERED, start + KEPT);
        fault.sweep(start + KEPT);
        assert_eq!(fault.tenants.len(), 1);
    }

    /// What calls of some tenants do: who, what comes of it, and how long it is until the next.
    fn calls(tenants: usize) -> impl Strategy<Value = Vec<(usize, u8, u64)>> {
        prop::collection::vec((0..tenants, 0_u8..5, 0_u64..12_000), 0..200)
    }

    /// One call where it may go; when the next begins.
    fn call(fault: &mut Fault, (number, way, wait): (usize, u8, u64), now: Instant) -> Instant {
        let who = tenant(number);
        if fault.admits(&who, now) {
            fault.begin(&who, now);
            match way {
                0 => fault.succeeded(&who),
                1 => {
                    fault.answers(&who);
                    fault.failed(&who, UNANSWERED, now);
                }
                // Its client leaves.
                2 => {}
                _ => drop(fault.failed(&who, UNANSWERED, now)),
            }
        }
        now + Duration::from_millis(wait)
    }

    proptest! {
        /// Whatever two tenants send, together or alone: as long as there are connections, no third is kept away.
        #[test]
        fn no_two_tenants_open_the_circuit_of_another(calls in calls(2)) {
            let (mut fault, mut now) = (Fault::default(), clock::now());
            for each in calls {
                now = call(&mut fault, each, now);
                prop_assert!(fault.admits("tenant-9", now));
            }
        }

        /// Whatever came before, nobody is kept away for more than 30 s by failures that are over.
        #[test]
        fn every_circuit_is_tried_again(calls in calls(5)) {
            let (mut fault, mut now) = (Fault::default(), clock::now());
            for each in calls {
                now = call(&mut fault, each, now);
                let later = now + 2 * PAUSE;
                prop_assert!((0..6).all(|number| fault.admits(&tenant(number), later)));
            }
        }

        /// However many tenants ask, and in whatever order: an upstream that answers nobody is asked five times by each at
        /// most, and where three or more ask, by none of them for long.
        #[test]
        fn an_upstream_that_answers_nobody_is_left_alone(order in prop::collection::vec(0_usize..12, 60..400)) {
            let (mut fault, now) = (Fault::default(), clock::now());
            let mut asked = HashMap::<usize, u32>::new();
            for number in order {
                if fault.admits(&tenant(number), now) {
                    fault.begin(&tenant(number), now);
                    fault.failed(&tenant(number), UNANSWERED, now);
                    *asked.entry(number).or_default() += 1;
                }
            }
            prop_assert!(asked.values().all(|count| *count <= FAILURES_MAX));
            let counted: u32 = asked.values().map(|count| (*count).min(OF_ONE_TENANT_MAX)).sum();
            prop_assert!(counted <= FAILURES_MAX, "{asked:?}");
        }

        /// However calls and retries come, retries are a tenth of the calls, ten, and one every six seconds.
        #[test]
        fn retries_stay_within_their_budget(steps in prop::collection::vec((0_u8..4, 0_u64..2000), 0..400)) {
            let (budget, start) = (Budget::default(), clock::now());
            let (mut now, mut calls, mut retries) = (start, 0_u64, 0_u64);
            for (calls_now, milliseconds) in steps {
                now += Duration::from_millis(milliseconds);
                for _ in 0..calls_now {
                    budget.earn();
                    calls += 1;
                }
                retries += u64::from(budget.spend(now));
            }
            let timed = now.duration_since(start).as_secs() / RETRY_EVERY.as_secs();
            prop_assert!(retries <= 10 + calls.div_ceil(10) + timed + 1, "{retries} of {calls}");
        }
    }
}
