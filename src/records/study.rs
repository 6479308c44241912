//! Entries whose texts somebody else looks over before they are written: names and streets, which no detector here
//! finds. The text that is asked about is redacted already. An answer that does not come in time, or cannot be
//! believed, costs the text, never the record: it is left out, said so in the line, and counted.
//!
//! Entries wait by tenant, in their order, so a chain's lines stay in order and no tenant waits for another's analyst.
//! The writer's thread never waits: it looks every time that it wakes.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use super::{
    entry::{Content, Entry, Journal, Raw},
    line::{Notice, Prepared, prepare_arguments, prepare_content},
};
use crate::redact::Mark;

/// Finds what detectors do not. Works on threads of its own.
pub trait Analyst: Send + Sync + fmt::Debug {
    /// Begins to look over a text, and does not wait. The answer is given once; without one, the text is left out.
    fn begin(&self, text: String, answer: Answer);
    /// After that no answer counts.
    fn timeout(&self) -> Duration;
}

/// Where an analyst puts what it found, or None when it failed.
#[derive(Debug, Clone, Default)]
pub struct Answer(Arc<OnceLock<Option<Vec<Mark>>>>);

impl Answer {
    /// Gives the answer; a second one is no answer.
    pub fn give(&self, found: Option<Vec<Mark>>) {
        self.0.set(found).ok();
    }
}

/// Which text of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Prompt,
    Completion,
    Arguments,
}

struct Waiting {
    entry: Entry,
    /// Which text, which part of it, and what is found there.
    asked: Vec<(Which, usize, Answer)>,
    until: Instant,
    /// What it weighed when it came.
    weight: usize,
}

/// All entries that wait.
#[derive(Default)]
pub(super) struct Room {
    tenants: HashMap<Arc<str>, VecDeque<Waiting>>,
}

impl Room {
    pub(super) fn len(&self) -> usize {
        self.tenants.values().map(VecDeque::len).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tenants.is_empty()
    }

    /// Takes an entry that has to wait, or gives it back.
    pub(super) fn take(&mut self, mut entry: Entry, now: Instant, notice: &dyn Notice) -> Option<Entry> {
        let journal = entry.shared_journal();
        let analyst = journal.analyst.as_ref().filter(|_| journal.content == Content::Redacted);
        if analyst.is_none() && !self.tenants.contains_key(&journal.tenant) {
            return Some(entry);
        }
        let weight = entry.weight();
        let mut asked = Vec::new();
        let mut until = now;
        if let Some(analyst) = analyst {
            until += analyst.timeout();
            for (which, raw) in texts(&mut entry) {
                let Some(taken) = raw.take() else { continue };
                let prepared = match which {
                    Which::Prompt | Which::Completion => (prepare_content(&journal, taken, notice), None),
                    Which::Arguments => prepare_arguments(&journal, taken, notice),
                };
                for (part, text) in prepared.0.readable().into_iter().enumerate() {
                    if !text.trim().is_empty() {
                        let answer = Answer::default();
                        analyst.begin(text, answer.clone());
                        asked.push((which, part, answer));
                    }
                }
                *raw = Some(Raw::prepared(prepared.0, prepared.1));
            }
        }
        let waiting = Waiting { entry, asked, until, weight };
        self.tenants.entry(Arc::clone(&journal.tenant)).or_default().push_back(waiting);
        None
    }

    /// Takes out what waits no longer, with what it weighed when it came.
    pub(super) fn ready(&mut self, now: Instant, notice: &dyn Notice) -> Vec<(Entry, usize)> {
        let mut out = Vec::new();
        for queue in self.tenants.values_mut() {
            while let Some(waiting) = queue.pop_front_if(|waiting| waiting.is_done(now)) {
                let weight = waiting.weight;
                out.push((waiting.finish(notice), weight));
            }
        }
        self.tenants.retain(|_, queue| !queue.is_empty());
        out
    }
}

impl Waiting {
    fn is_done(&self, now: Instant) -> bool {
        now >= self.until || self.asked.iter().all(|(_, _, answer)| answer.0.get().is_some())
    }

    fn finish(mut self, notice: &dyn Notice) -> Entry {
        let journal = self.entry.shared_journal();
        for (which, raw) in texts(&mut self.entry) {
            let Some((prepared, hmac)) = raw.take().and_then(Raw::into_prepared) else { continue };
            let answers = self.asked.iter().filter(|(of, ..)| *of == which);
            let prepared = answers
                .fold(prepared, |prepared, (_, part, answer)| answered(prepared, *part, answer, &journal));
            if matches!(prepared, Prepared::LeftOut) {
                notice.left_out(&journal.tenant);
            }
            *raw = Some(Raw::prepared(prepared, hmac));
        }
        self.entry
    }
}

fn answered(prepared: Prepared, part: usize, answer: &Answer, journal: &Journal) -> Prepared {
    let Some(Some(marks)) = answer.0.get() else { return Prepared::LeftOut };
    prepared.marked(part, marks, &journal.redactor).unwrap_or(Prepared::LeftOut)
}

/// The texts of an entry that are looked over; names that a client chose are not among them.
fn texts(entry: &mut Entry) -> Vec<(Which, &mut Option<Raw>)> {
    match entry {
        Entry::Request(entry) => {
            vec![(Which::Prompt, &mut entry.prompt), (Which::Completion, &mut entry.completion)]
        }
        Entry::Decision(entry) => vec![(Which::Arguments, &mut entry.args)],
    }
}
