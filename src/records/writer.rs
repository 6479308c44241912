//! The writer's thread. It wakes every 50 ms by itself, never for a request: a wake-up a request costs more than all
//! else that recording costs it. Apart from [`super::Records`], which is what the other threads see of it.
//!
//! What a power cut can take: lines not yet taken over (50 ms) and not yet synced: 1 s and the time that a sync takes,
//! or three times that time where it is longer (about 1 ms a tenant that wrote something), so that syncing never
//! takes the disk to itself.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, Instant, SystemTime},
};

use super::{
    OnFailure, Queue, Shared,
    calendar::Calendar,
    compress::Compressor,
    entry::Entry,
    line::Notice,
    pulse::Hand,
    sink::{Sign, Sink},
    stamp::Day,
    study::Room,
    sync::{Kind, Patience, Syncer, sync_round},
};
use crate::trace::Traced;

const WAKE_EVERY: Duration = Duration::from_millis(50);
const STUDY_EVERY: Duration = Duration::from_millis(5);
const RETRY_EVERY: Duration = Duration::from_millis(250);
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// What could not be compressed is tried again after so long.
const COMPRESS_AGAIN_AFTER: Duration = Duration::from_secs(3600);
/// Syncing may take this part of the time at most: one in so many.
const SYNC_SHARE: u32 = 3;

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) sink: Sink,
    pub(super) syncer: Syncer,
    compressor: Option<Compressor>,
    pub(super) on_failure: OnFailure,
    /// Taken over, and not looked at yet.
    fresh: VecDeque<Entry>,
    batch: VecDeque<Entry>,
    /// Weight of the batch and of the lines made of it, as counted in the queue's.
    batch_bytes: usize,
    is_failing: bool,
    /// What failed was given up, so that only the next record shows whether it works again.
    is_unproven: bool,
    /// Entries whose texts are being looked over.
    room: Room,
    /// The last try left something unwritten.
    is_stuck: bool,
    tried: Instant,
    /// When the last sync round began, and how long it took.
    synced: Instant,
    sync_took: Duration,
    calendar: Calendar,
    /// The day on which retention ran last, and the one that it went by.
    pruned: Option<(Day, Day)>,
    /// When compressing failed last, until it is tried again.
    uncompressed: Option<Instant>,
}

/// What the thread was woken to.
struct Orders {
    flush: u64,
    is_closing: bool,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        (sink, calendar): (Sink, Calendar),
        (syncer, compressor): (Syncer, Option<Compressor>),
        on_failure: OnFailure,
    ) -> Self {
        let now = clock();
        Self {
            shared,
            sink,
            syncer,
            compressor,
            on_failure,
            fresh: VecDeque::new(),
            batch: VecDeque::new(),
            batch_bytes: 0,
            room: Room::default(),
            is_failing: false,
            is_unproven: false,
            is_stuck: false,
            tried: now,
            synced: now,
            sync_took: Duration::ZERO,
            calendar,
            pruned: None,
            uncompressed: None,
        }
    }

    /// Runs until told to close.
    pub(super) fn run(mut self) {
        let _last_words = LastWords(Arc::clone(&self.shared));
        loop {
            let orders = self.wait();
            self.sink.pulse.beat(Hand::Writer);
            self.turn(&orders);
            if orders.is_closing {
                self.end();
                let queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner).entries.len();
                let lost = (queue + self.fresh.len() + self.batch.len() + self.room.len()) as u64
                    + self.sink.discard();
                self.shared.give_up(lost);
                return;
            }
            self.sink.pulse.rest(Hand::Writer);
            if self.sink.pulse.goes_on() && !self.is_failing {
                self.shared.observer.recovered();
            }
        }
    }

    fn wait(&mut self) -> Orders {
        let shared = Arc::clone(&self.shared);
        let mut queue = shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.flush_asked == queue.flush_done && !queue.is_closing {
            let waited = shared.wake.wait_timeout(queue, WAKE_EVERY);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        self.take_over(&mut queue);
        Orders { flush: queue.flush_asked, is_closing: queue.is_closing }
    }

    /// Takes what waits, unless what was taken before is not written yet: then the queue holds, and bounds, the rest.
    fn take_over(&mut self, queue: &mut Queue) {
        if self.batch.is_empty() && self.fresh.is_empty() && !self.sink.is_pending() {
            let mut taken = Vec::from(std::mem::take(&mut self.fresh));
            std::mem::swap(&mut taken, &mut queue.entries);
            self.fresh = taken.into();
            self.batch_bytes += std::mem::take(&mut queue.fresh_bytes);
        }
    }

    /// Lets wait what has to be looked over first, and takes what waits no longer.
    fn study(&mut self) {
        let now = clock();
        for entry in std::mem::take(&mut self.fresh) {
            let weight = entry.weight();
            match self.room.take(entry, now, &*self.shared) {
                Some(entry) => self.batch.push_back(entry),
                // Counted in the queue's bytes as long as it waits.
                None => self.batch_bytes -= weight,
            }
        }
        for (entry, weight) in self.room.ready(now, &*self.shared) {
            self.batch_bytes += weight;
            let journal = entry.shared_journal();
            journal.queued.fetch_add(entry.weight(), Relaxed);
            journal.queued.fetch_sub(weight, Relaxed);
            self.batch.push_back(entry);
        }
    }

    fn turn(&mut self, orders: &Orders) {
        let is_asked = orders.is_closing || orders.flush > self.shared.flush_done();
        self.collect(Patience::Look);
        self.study();
        if !self.is_failing || is_asked || self.tried.elapsed() >= RETRY_EVERY {
            self.write();
        }
        if is_asked {
            // What was left from an earlier failure may have been in the way of what waits.
            let shared = Arc::clone(&self.shared);
            self.take_over(&mut shared.queue.lock().unwrap_or_else(PoisonError::into_inner));
            self.study();
            self.write();
            // Each waits for its analyst no longer than the analyst may take.
            while !self.room.is_empty() && !self.is_stuck {
                std::thread::sleep(STUDY_EVERY);
                self.sink.pulse.beat(Hand::Writer);
                self.study();
                self.write();
            }
            self.finish_flush(orders.flush);
        } else if self.has_to_sync() && !self.syncer.is_busy() && self.is_sync_due() {
            self.begin_sync(Sign::Due);
        }
        self.compress();
        self.prune();
        for warning in std::mem::take(&mut self.sink.warnings) {
            self.shared.observer.warned(&warning);
        }
    }

    fn has_to_sync(&self) -> bool {
        self.sink.is_dirty() || self.sink.is_sign_due(wall_clock())
    }

    fn is_sync_due(&self) -> bool {
        let pace = if self.is_failing { RETRY_EVERY } else { SYNC_EVERY };
        self.synced.elapsed() >= pace.max(self.sync_took * SYNC_SHARE)
    }

    /// Makes lines of the batch and appends them. The sink works again once all of that, and the last sync, succeeded.
    fn write(&mut self) {
        self.tried = clock();
        let rendered = self.render();
        // A head that is on its way would be put in the place of the new one.
        if self.sink.waits_for_round() {
            self.collect(Patience::Wait);
        }
        let mut written = 0;
        let appended = self.sink.write(&mut written);
        let outcome = rendered.and(appended);
        self.shared.counters.written.fetch_add(written, Relaxed);
        self.is_stuck = outcome.is_err();
        match outcome {
            Ok(()) => {
                self.is_unproven &= written == 0;
                self.release();
            }
            Err(error) => {
                self.fail(&error);
                if self.on_failure == OnFailure::Drop {
                    let lost = self.batch.len() as u64 + self.sink.discard();
                    self.batch.clear();
                    self.shared.give_up(lost);
                    self.is_unproven = lost > 0;
                    self.release();
                }
                return;
            }
        }
        // What was written now still has to be synced before it counts as working.
        if self.is_failing
            && !self.is_unproven
            && !self.sink.is_dirty()
            && !self.sink.is_owing()
            && !self.syncer.is_busy()
        {
            self.recovered();
        }
    }

    fn render(&mut self) -> io::Result<()> {
        let mut outcome = Ok(());
        while let Some(entry) = self.batch.pop_front() {
            let (journal, weight) = (entry.shared_journal(), entry.weight());
            journal.queued.fetch_sub(weight, Relaxed);
            if let Err((entry, error)) = self.sink.render(entry, &*self.shared) {
                journal.queued.fetch_add(weight, Relaxed);
                self.batch.push_front(entry);
                outcome = Err(error);
                break;
            }
        }
        outcome
    }

    /// Gives the batch's share of the queue back.
    fn release(&mut self) {
        self.shared.queued_bytes.fetch_sub(std::mem::take(&mut self.batch_bytes), Relaxed);
    }

    fn fail(&mut self, error: &io::Error) {
        self.shared.counters.write_failures.fetch_add(1, Relaxed);
        self.shared.observer.failed(error);
        self.is_failing = true;
        self.shared.is_failing.store(true, Relaxed);
    }

    fn recovered(&mut self) {
        self.shared.observer.recovered();
        self.is_failing = false;
        self.shared.is_failing.store(false, Relaxed);
    }

    /// Whether something fails, as far as is known: where all of it was given up, nobody knows.
    fn is_stopped(&self) -> bool {
        self.is_failing && !self.is_unproven
    }

    fn begin_sync(&mut self, sign: Sign) {
        self.synced = clock();
        let round = self.sink.sync_round(wall_clock(), sign);
        self.syncer.begin(round);
    }

    /// Takes the outcome of a sync round that is over.
    fn collect(&mut self, patience: Patience) {
        let Some(failed) = self.syncer.outcome(patience) else { return };
        self.sync_took = self.synced.elapsed();
        if failed.is_empty() {
            self.sink.settle();
            if self.is_failing && !self.is_stuck && !self.is_unproven {
                self.recovered();
            }
            return;
        }
        let reopened = self.sink.sync_failed(failed);
        self.sink.settle();
        self.fail(
            &reopened.err().unwrap_or_else(|| io::Error::other("what was written could not be synced")),
        );
    }

    /// Syncs and signs all that is written, and waits for it.
    fn sync_all(&mut self) {
        self.collect(Patience::Wait);
        if self.sink.is_dirty() || self.sink.is_unsigned() {
            self.begin_sync(Sign::All);
            self.collect(Patience::Wait);
        }
    }

    /// The last words: every chain ends here, unless something is left that could not be written.
    fn end(&mut self) {
        if !self.is_stopped() && !self.sink.is_pending() && !self.sink.is_dirty() && !self.sink.is_owing() {
            // Where it fails, the next start tells what a crash would have it tell.
            drop(sync_round(self.sink.end()));
        }
    }

    /// Syncs what is written, waits for it, and answers who asked for it.
    fn finish_flush(&mut self, flush: u64) {
        self.sync_all();
        let is_done = self.batch.is_empty()
            && self.fresh.is_empty()
            && self.room.is_empty()
            && !self.sink.is_pending()
            && !self.sink.is_dirty()
            && !self.is_failing;
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.flush_done = flush;
        queue.is_flush_whole = is_done;
        drop(queue);
        self.shared.flushed.notify_all();
    }

    /// Once a day: retention, and compression of the days before, when nothing is under way that they could get between.
    fn prune(&mut self) {
        let now = wall_clock();
        let today = Day::of(now);
        let goes_by = self.calendar.day(today, clock(), &mut self.sink.warnings);
        if let Err(error) = self.calendar.save() {
            self.shared.observer.failed(&error);
        }
        // Nothing is removed while it is being compressed.
        let is_busy = self.compressor.as_ref().is_some_and(Compressor::is_busy);
        let is_under_way = self.sink.is_pending() || !self.batch.is_empty() || !self.fresh.is_empty();
        if self.pruned == Some((today, goes_by)) || self.is_stopped() || is_busy || is_under_way {
            return;
        }
        self.sync_all();
        if self.is_stopped() {
            return;
        }
        // A file that cannot be removed is no record that cannot be written: it is told, and tried again tomorrow.
        self.pruned = Some((today, goes_by));
        if let Err(error) = self.sink.prune(now, goes_by) {
            self.shared.observer.failed(&error);
        }
        if let Some(compressor) = &mut self.compressor {
            self.sink.close_days(today);
            compressor.begin(today);
        }
    }

    /// Hears of the thread that compresses, and lets it try again what failed.
    fn compress(&mut self) {
        let Some(compressor) = &mut self.compressor else { return };
        if let Some(failed) = compressor.outcome() {
            self.uncompressed = failed.as_ref().map(|_| clock());
            failed.iter().for_each(|warning| self.shared.observer.warned(warning));
        }
        let is_due = self.uncompressed.is_some_and(|since| since.elapsed() >= COMPRESS_AGAIN_AFTER);
        if let Some((today, _)) = self.pruned.filter(|_| is_due) {
            self.uncompressed = None;
            compressor.begin(today);
        }
    }
}

impl Notice for Shared {
    fn redacted(&self, tenant: &str, entity: &str, count: u32) {
        self.observer.redacted(tenant, entity, count);
    }

    fn redactor_failed(&self) {
        self.counters.redactor_failures.fetch_add(1, Relaxed);
    }

    fn made(&self, tenant: &Arc<str>, kind: Kind, line: &[u8], traced: Option<Traced>) {
        self.observer.made(tenant, kind, line, traced);
    }

    fn left_out(&self, tenant: &str) {
        self.counters.left_out.fetch_add(1, Relaxed);
        self.observer.left_out(tenant);
    }
}

/// However the thread ends: nobody waits for it, and nothing is admitted that could not be recorded.
struct LastWords(Arc<Shared>);

impl Drop for LastWords {
    fn drop(&mut self) {
        self.0.is_failing.store(true, Relaxed);
        let mut queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.is_gone = true;
        drop(queue);
        self.0.flushed.notify_all();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the writer's thread is the shell: it paces itself by this clock"
)]
fn clock() -> Instant {
    Instant::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the writer's thread is the shell: retention goes by the calendar"
)]
pub(super) fn wall_clock() -> SystemTime {
    SystemTime::now()
}
