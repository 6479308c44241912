//! What a call has tried so far: a further try goes where it was not yet, and no upstream is asked more often than it may be.

use super::{Chosen, Endpoint, Kept, Upstream};
use std::{ptr, sync::Arc, time::Instant};

/// So often a call is sent, to all of its upstreams together: long lists that all fail would keep their client for
/// minutes. To each of them it goes once, however many there are.
pub(super) const SENT_MAX: u32 = 12;

/// A call on its way along the upstreams of its model.
#[derive(Debug)]
pub(super) struct Call<'d> {
    legs: Vec<Leg<'d>>,
    /// Which of them is looked at next.
    next: usize,
    /// So often it may be sent, to all of them together.
    sent_max: u32,
}

/// What it has tried at one of them.
#[derive(Debug)]
pub(super) struct Leg<'d> {
    pub(super) upstream: &'d Arc<Upstream>,
    pub(super) tries: Tries<'d>,
    /// Whether nothing more is to be had there for this call.
    pub(super) is_over: bool,
}

/// Tries at one upstream.
#[derive(Debug, Default)]
pub(super) struct Tries<'u> {
    /// How often the call was sent.
    pub(super) sent: u32,
    /// Whether the last one went out on a connection that had rested and was closed: none that the upstream failed at.
    pub(super) is_stale: bool,
    failed: Vec<Chosen<'u>>,
    refused: Vec<&'u Kept>,
}

impl<'d> Call<'d> {
    /// Upstreams none of whose credentials is taken at the moment come behind the others.
    pub(super) fn new(upstreams: &'d [Arc<Upstream>], now: Instant) -> Self {
        let mut legs: Vec<Leg<'_>> = Vec::with_capacity(upstreams.len());
        for upstream in upstreams {
            // One that is named twice is asked as often as one that is named once.
            if !legs.iter().any(|leg| Arc::ptr_eq(leg.upstream, upstream)) {
                legs.push(Leg { upstream, tries: Tries::default(), is_over: false });
            }
        }
        legs.sort_by_key(|leg| !leg.upstream.shows_what_is_taken(now));
        let sent_max = u32::try_from(legs.len()).unwrap_or(u32::MAX).max(SENT_MAX);
        Self { legs, next: 0, sent_max }
    }

    /// Where it goes next: to the first upstream behind the last one that may be asked (once more).
    pub(super) fn next(&mut self) -> Option<&mut Leg<'d>> {
        let sent: u32 = self.legs.iter().map(|leg| leg.tries.sent).sum();
        let count = self.legs.len();
        let may = |at: &usize| self.legs.get(*at).is_some_and(Leg::may_be_asked);
        let at = (0..count).map(|step| (self.next + step) % count).find(may)?;
        self.next = at + 1;
        if sent < self.sent_max { self.legs.get_mut(at) } else { None }
    }
}

impl Leg<'_> {
    fn may_be_asked(&self) -> bool {
        !self.is_over && self.tries.sent <= self.upstream.retries
    }
}

impl<'u> Tries<'u> {
    /// Notes where a try failed.
    pub(super) fn fail(&mut self, chosen: Chosen<'u>) {
        self.failed.push(chosen);
    }

    /// Notes that what was shown was not taken.
    pub(super) fn refuse(&mut self, chosen: Chosen<'u>) {
        self.refused.extend(chosen.kept);
    }

    /// Whether a try failed there.
    pub(super) fn failed_at(&self, endpoint: &Endpoint) -> bool {
        self.failed.iter().any(|chosen| ptr::eq(chosen.endpoint, endpoint))
    }

    /// Whether a try failed with it.
    pub(super) fn failed_with(&self, kept: &Kept) -> bool {
        self.failed.iter().any(|chosen| chosen.kept.is_some_and(|shown| ptr::eq(shown, kept)))
    }

    /// Whether it was not taken.
    pub(super) fn is_refused(&self, kept: &Kept) -> bool {
        self.refused.iter().any(|refused| ptr::eq(*refused, kept))
    }

    /// Whether any was not taken.
    pub(super) fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }
}
