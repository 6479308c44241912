//! Calls of an answer that wait for a person. Apart from the dialects, which know nothing of it: an answer is read as
//! far as it can be, and read again from there once every call that waits is decided.
//!
//! A reader is a pure function of its bytes and of the verdicts on its calls. So a piece that holds a call to ask about
//! is tried, undone, and kept; what comes behind it is looked at ahead, on a copy, so that all calls of an answer are
//! asked about at once. Only the last reading is sent, and recorded.

use crate::{
    approvals::Ruling,
    dialect::{Judge, Progress, Stream},
    refusal::Refusal,
};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// So much of a stream is kept behind a call that waits; then the upstream waits too.
pub(super) const KEPT_BYTES_MAX: usize = 4 << 20;

/// A call that a person has to decide on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingCall {
    pub tool: String,
    /// Its arguments as the model produced them.
    pub produced: String,
    /// The same as rules see them, as JSON; `None` where they cannot be read.
    pub judged: Option<String>,
    /// Its arguments as it would run: with what rules force into them.
    pub args: String,
    /// Where the rule stands, `tenants/acme.yaml:14`.
    pub rule: Arc<str>,
    /// What the rule says beside its words for people.
    pub rule_text: String,
    /// What the rule says of it; may be empty.
    pub reason: Arc<str>,
    /// How long it may wait.
    pub within: Duration,
}

/// What was decided of a call, and when.
#[derive(Debug, Clone)]
pub(super) struct Ruled {
    pub(super) ruling: Ruling,
    pub(super) time: SystemTime,
}

/// What came of calls beside what their rules say, in the order in which they come: said once, however often the answer
/// is read.
#[derive(Debug)]
pub(super) struct Sequence<K, V> {
    entries: Vec<(K, V)>,
    /// Calls of the readings that were sent.
    settled: usize,
    /// Calls that the present reading came across.
    seen: usize,
}

impl<K, V> Default for Sequence<K, V> {
    fn default() -> Self {
        Self { entries: Vec::new(), settled: 0, seen: 0 }
    }
}

impl<K: PartialEq, V: Clone> Sequence<K, V> {
    /// What came of the next call; `make` says it of one that is new. Whether it is.
    pub(super) fn next(&mut self, key: K, make: impl FnOnce() -> V) -> (V, IsNew) {
        let at = self.seen;
        self.seen += 1;
        if let Some((known, value)) = self.entries.get(at)
            && *known == key
        {
            return (value.clone(), IsNew::No);
        }
        self.entries.truncate(at);
        let value = make();
        self.entries.push((key, value.clone()));
        (value, IsNew::Yes)
    }

    /// The present reading is sent.
    pub(super) fn settle(&mut self) {
        self.settled = self.seen;
    }

    /// The present reading is undone.
    pub(super) fn go_back(&mut self) {
        self.seen = self.settled;
    }
}

/// The calls of an answer that wait or waited for a person.
#[derive(Debug, Default)]
pub(super) struct Docket {
    calls: Sequence<WaitingCall, Option<Ruled>>,
    /// Calls that somebody was told of.
    told: usize,
    /// Whether the present reading came across a call that is not decided.
    pub(super) waits: bool,
}

impl Docket {
    /// What was decided of the next call, if it was. Whether the call is a new one.
    pub(super) fn next(&mut self, call: WaitingCall) -> (Option<Ruled>, IsNew) {
        let (ruled, is_new) = self.calls.next(call, || None);
        self.waits |= ruled.is_none();
        if is_new == IsNew::Yes {
            self.told = self.told.min(self.calls.entries.len() - 1);
        }
        (ruled, is_new)
    }

    pub(super) fn settle(&mut self) {
        self.calls.settle();
    }

    pub(super) fn go_back(&mut self) {
        self.calls.go_back();
        self.waits = false;
    }

    /// Calls that nobody was told of yet, each with its number.
    pub(super) fn untold(&mut self) -> Vec<(usize, WaitingCall)> {
        let from = std::mem::replace(&mut self.told, self.calls.entries.len());
        let untold = self.calls.entries.iter().enumerate().skip(from);
        untold.filter(|(_, (_, ruled))| ruled.is_none()).map(|(at, (call, _))| (at, call.clone())).collect()
    }

    pub(super) fn rule(&mut self, at: usize, ruled: Ruled) {
        if let Some((_, place)) = self.calls.entries.get_mut(at) {
            *place = Some(ruled);
        }
    }

    /// The calls that are not decided.
    pub(super) fn undecided(&self) -> Vec<WaitingCall> {
        let undecided = self.calls.entries.iter().filter(|(_, ruled)| ruled.is_none());
        undecided.map(|(call, _)| call.clone()).collect()
    }

    /// Whether every call is decided.
    pub(super) fn is_decided(&self) -> bool {
        self.calls.entries.iter().all(|(_, ruled)| ruled.is_some())
    }
}

/// Whether a call was come across before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IsNew {
    No,
    Yes,
}

/// How an upstream's stream ended while a call waited.
#[derive(Debug)]
pub(super) enum Ended {
    BrokeOff(Refusal),
    Properly,
}

/// A stream whose reading stopped at a call that waits.
#[derive(Debug)]
pub(super) struct Suspended {
    /// What is read again.
    pub(super) bytes: Vec<u8>,
    /// What came since, read ahead.
    ahead: Stream,
    /// Nothing behind this is read.
    ahead_ended: bool,
    pub(super) ended: Option<Ended>,
}

impl Suspended {
    /// Stops a stream before these bytes.
    pub(super) fn before(bytes: &[u8], stream: &mut Stream, judge: &mut dyn Judge) -> Self {
        let ahead = stream.look_ahead();
        let mut suspended = Self { bytes: Vec::new(), ahead, ahead_ended: false, ended: None };
        suspended.hear(bytes, judge);
        suspended
    }

    /// Takes in what comes while the call waits.
    pub(super) fn hear(&mut self, bytes: &[u8], judge: &mut dyn Judge) {
        self.bytes.extend_from_slice(bytes);
        if !self.ahead_ended {
            let progress = self.ahead.read(bytes, judge, &mut Vec::new());
            self.ahead_ended = progress != Progress::Continue;
        }
    }

    /// Whether more of the stream is to be read now.
    pub(super) fn has_room(&self) -> bool {
        !self.ahead_ended && self.ended.is_none() && self.bytes.len() < KEPT_BYTES_MAX
    }
}
