//! How an address of an upstream is treated by how it answered: one that fails several times in a row is left alone for
//! some seconds, then asked by one call whether it is back; of two that answer, the one with less to do is asked. And
//! how often calls are sent again: an upstream in trouble is not to be kept there by those who ask twice.

use crate::{clock, operator};
use std::{
    fmt::Display,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// So many failures in a row open a circuit.
const FAILURES_MAX: u32 = 5;
/// So long it stays open until one call tries.
const PAUSE: Duration = Duration::from_secs(10);
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

#[derive(Debug, Default)]
struct Fault {
    /// In a row, up to now.
    failures: u32,
    /// When the next call may try, while the circuit is open.
    open_until: Option<Instant>,
    told: Option<Instant>,
}

impl Circuit {
    /// Whether a call may go there.
    pub(super) fn admits(&self, now: Instant) -> bool {
        self.fault().open_until.is_none_or(|until| now >= until)
    }

    /// Calls that are there.
    pub(super) fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Relaxed)
    }

    /// A call goes there. Where the circuit is open, it is the one that tries.
    pub(super) fn begin(&self, now: Instant, name: Arc<str>) -> Watch {
        if let Some(until) = &mut self.fault().open_until {
            *until = now + PAUSE;
        }
        self.0.in_flight.fetch_add(1, Ordering::Relaxed);
        Watch { circuit: self.clone(), name }
    }

    /// It answers, though not to its end yet.
    fn answers(&self) {
        let mut fault = self.fault();
        if fault.open_until.take().is_some() {
            // If this one breaks off, the circuit is open again.
            fault.failures = FAILURES_MAX - 1;
        }
    }

    fn succeeded(&self) {
        let mut fault = self.fault();
        (fault.failures, fault.open_until) = (0, None);
    }

    /// Whether the operator is to be told, and whether the circuit is open now.
    fn failed(&self, now: Instant) -> (bool, bool) {
        let mut fault = self.fault();
        fault.failures = fault.failures.saturating_add(1);
        let opens = fault.failures >= FAILURES_MAX;
        if opens {
            fault.open_until = Some(now + PAUSE);
        }
        let tells = fault.told.is_none_or(|told| now.saturating_duration_since(told) >= TELL_EVERY)
            || fault.failures == FAILURES_MAX;
        if tells {
            fault.told = Some(now);
        }
        (tells, opens)
    }

    /// Whether the operator is to be told of something that is no failure.
    fn tells(&self, now: Instant) -> bool {
        let mut fault = self.fault();
        let tells = fault.told.is_none_or(|told| now.saturating_duration_since(told) >= TELL_EVERY);
        if tells {
            fault.told = Some(now);
        }
        tells
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
}

impl Watch {
    /// The head of an answer is there.
    pub(super) fn answers(&self) {
        self.circuit.answers();
    }

    /// The answer is complete, or says what the caller did wrong.
    pub(super) fn succeeded(&self) {
        self.circuit.succeeded();
    }

    /// The gateway's own credential was refused: the operator's business, and no failure of the address.
    pub(super) fn refused(&self, status: u16) {
        self.circuit.succeeded();
        if self.circuit.tells(clock::now()) {
            operator::warn(&format!(
                "upstream {}: it refuses the credential that `auth` has for it ({status}); clients are told 502",
                self.name
            ));
        }
    }

    /// There was no answer, none that is one, or half of one. `why` holds nothing that others wrote.
    pub(super) fn failed(&self, why: &dyn Display) {
        let (tells, opens) = self.circuit.failed(clock::now());
        if tells {
            let then = if opens { "; it is left alone for 10 s, then one call tries" } else { "" };
            operator::warn(&format!("upstream {}: {why}{then}", self.name));
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

    #[test]
    fn a_circuit_opens_after_five_failures_in_a_row_and_lets_one_call_try() {
        let (circuit, start) = (Circuit::default(), clock::now());
        for _ in 0..FAILURES_MAX - 1 {
            circuit.failed(start);
        }
        circuit.succeeded();
        for _ in 0..FAILURES_MAX {
            assert!(circuit.admits(start));
            circuit.failed(start);
        }
        assert!(!circuit.admits(start) && !circuit.admits(start + PAUSE - Duration::from_millis(1)));
        let later = start + PAUSE;
        assert!(circuit.admits(later));
        let probe = circuit.begin(later, "up".into());
        assert!(!circuit.admits(later), "a second one does not try as well");
        assert_eq!(circuit.in_flight(), 1);
        // A probe that never ends, or whose client leaves, is followed by another.
        drop(probe);
        assert!(circuit.admits(later + PAUSE) && circuit.in_flight() == 0);
        let probe = circuit.begin(later + PAUSE, "up".into());
        probe.answers();
        assert!(circuit.admits(later + PAUSE));
        circuit.failed(later + PAUSE);
        assert!(!circuit.admits(later + PAUSE), "it broke off: open again at once");
        circuit.begin(later + 2 * PAUSE, "up".into()).succeeded();
        assert!(circuit.admits(later + 2 * PAUSE));
    }

    proptest! {
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
