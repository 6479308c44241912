//! What is written down: per tenant, a hash-chained audit log of decisions and a log of requests, redacted. Pure are
//! what a line is (`entry`, `line`, `stamp`), how lines hang together (`chain`) and what a head says (`head`); the
//! rest is the shell around them: files, the writer's thread, recovery, and the verifier, which trusts none of it.
//!
//! No request waits for the disk: [`Records::push`] takes a short mutex, and a thread looks every 50 ms. A power cut
//! costs what was pushed in the last second or so. A record that cannot be written stops admission or is counted.

mod attest;
mod audit_files;
mod before_base;
mod begun;
mod behind;
mod calendar;
mod chain;
mod checkpoint;
mod compress;
mod day_file;
mod disk;
mod entry;
mod erase;
mod escape;
mod head;
mod line;
mod progress;
mod pulse;
pub mod recent;
mod recover;
mod roll;
mod said;
pub mod secret;
mod signed;
mod signing;
mod sink;
mod stamp;
mod strays;
mod stream;
mod study;
mod sync;
mod tenant_secrets;
mod trail;
mod turns;
mod verify;
mod writer;

use std::{
    fs::{File, TryLockError},
    io::{self, Write},
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread::{Builder, JoinHandle},
    time::Duration,
};

use crate::{operator, trace::Traced};
use pulse::Pulse;

pub use attest::{Attested, BadCheckpoint};
pub use audit_files::{NoAuditFiles, audit_files, each_line};
pub use begun::Begun;
use calendar::Calendar;
pub use chain::{Broken, Digest, genesis};
pub use day_file::DayFile;
pub use entry::{Content, DecisionEntry, Entry, Journal, Model, Raw, RequestEntry};
pub use erase::{EraseError, Erasure, Holdings, OPERATOR, acknowledge, holdings, links};
pub use line::TEXT_BYTES_MAX;
pub use pulse::HANGS_AFTER;
pub use recover::Warning;
pub use roll::{BadRoll, Loss};
pub use said::Said;
pub use signing::{BadKey, KeyId, PublicKey, Signer};
pub use stamp::{Day, rfc3339};
pub use study::{Analyst, Answer};
pub use sync::Kind;
pub use tenant_secrets::{Destroyed, Master, TenantSecrets};
pub use turns::{Turn, Turns};
pub use verify::{Fault, Finding, Means, Report, TenantReport, VerifyError, verify};

/// What a gateway does when a record cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Admits no request until it can.
    Fail,
    /// Goes on without, and counts.
    Drop,
}

/// How to keep records.
pub struct Options {
    pub data_dir: PathBuf,
    /// Whose are derived from the master secret ([`secret::master`]); the heads' MACs are made with them.
    pub secrets: Arc<TenantSecrets>,
    pub on_failure: OnFailure,
    /// Most that may wait to be written, in bytes, about. [`QUEUE_BYTES_MAX`] is a good value.
    pub queue_bytes_max: usize,
    /// Day files older than this are removed.
    pub retain: Duration,
    /// Whether day files are compressed once their day is over.
    pub compress: bool,
    /// Signs checkpoints of the audit chains.
    pub signer: Option<Arc<Signer>>,
    pub observer: Arc<dyn Observer>,
}

/// A tenant may fill this fraction of the queue.
const TENANT_SHARE: usize = 8;
/// Whoever waits for the disk looks so often whether it hangs.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The usual [`Options::queue_bytes_max`].
pub const QUEUE_BYTES_MAX: usize = 64 << 20;

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("data_dir", &self.data_dir).finish_non_exhaustive()
    }
}

/// Hears what the writer's thread has to tell, on that thread: it must not wait for anything.
pub trait Observer: Send + Sync {
    /// So many values of an entity were taken out of a tenant's text.
    fn redacted(&self, tenant: &str, entity: &str, count: u32);
    /// A line is made, redacted as it will be written, newline included; with what was noted of its request's trace.
    fn made(&self, _tenant: &Arc<str>, _kind: Kind, _line: &[u8], _traced: Option<Traced>) {}
    /// A tenant's text was left out: its analyst gave no answer.
    fn left_out(&self, tenant: &str);
    /// Something about the files found that an operator should know.
    fn warned(&self, warning: &Warning);
    /// A try to write, sync or remove failed. Comes with every try, up to 4 times a second.
    fn failed(&self, error: &io::Error);
    /// The disk has taken nothing for [`HANGS_AFTER`]. On any thread.
    fn hangs(&self) {
        let seconds = HANGS_AFTER.as_secs();
        operator::warn(&format!(
            "records cannot be written: the disk of `data_dir` has not answered for {seconds} s"
        ));
    }
    /// What failed works again.
    fn recovered(&self) {}
}

/// What happened since the start, in records (failures in tries).
#[derive(Debug, Default)]
pub struct Counters {
    /// Taken to be written.
    pub taken: AtomicU64,
    pub written: AtomicU64,
    /// Not taken, or given up.
    pub dropped: AtomicU64,
    /// Taken, and dropped later.
    pub given_up: AtomicU64,
    pub write_failures: AtomicU64,
    /// Texts left out of their record because the redactor panicked.
    pub redactor_failures: AtomicU64,
    /// Texts left out of their record because the analyst gave no answer that could be believed in time.
    pub left_out: AtomicU64,
}

/// Why records cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{path} is in use by another gateway: set another `data_dir`, end the other, or take its place with `serve --take-over`", path = path.display())]
    InUse { path: PathBuf },
    #[error("cannot use {path} as data_dir", path = path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error("cannot take up the records in {path}", path = path.display())]
    Recover { path: PathBuf, source: io::Error },
    #[error("{0}")]
    Secret(#[from] secret::SecretError),
    #[error(
        "the records in {path} were made under another secret, and would read as forged for good: put the secret back that `records.secret` named, or that was made there, or begin with a new data_dir (docs/records.md tells how)", path = path.display()
    )]
    OtherSecret { path: PathBuf },
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// A record is not, or not yet, safe: what it records must not go on. Never with [`OnFailure::Drop`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unrecorded {
    #[error("too much waits to be recorded")]
    Full,
    /// The record is kept, and written once that works again.
    #[error("records cannot be written at the moment")]
    Failing,
    #[error("the tenant's name cannot name a directory")]
    Name,
}

/// The records of a data directory, open for appending. One gateway's, by a lock on `data_dir/lock`.
pub struct Records {
    shared: Arc<Shared>,
    on_failure: OnFailure,
    queue_bytes_max: usize,
    thread: Option<JoinHandle<()>>,
    /// Those of all tenants who wait for room.
    turns: Turns,
    removes_until: Arc<AtomicI64>,
    /// Held until all is written.
    lock: Arc<DataDirLock>,
}

/// What the writer's thread shares with all others.
struct Shared {
    queue: Mutex<Queue>,
    /// Wakes the writer, for a flush or because much waits.
    wake: Condvar,
    /// Wakes those who wait for a flush.
    flushed: Condvar,
    /// Bytes in the queue and in the writer's hands.
    queued_bytes: AtomicUsize,
    is_failing: AtomicBool,
    pulse: Arc<Pulse>,
    counters: Counters,
    observer: Arc<dyn Observer>,
}

#[derive(Default)]
struct Queue {
    entries: Vec<Entry>,
    /// Weight of those entries.
    fresh_bytes: usize,
    flush_asked: u64,
    flush_done: u64,
    /// Whether the last flush left nothing behind.
    is_flush_whole: bool,
    is_closing: bool,
    /// The writer's thread has ended.
    is_gone: bool,
}

impl Shared {
    /// Counts records that are given up.
    fn give_up(&self, records: u64) {
        self.counters.given_up.fetch_add(records, Relaxed);
        self.counters.dropped.fetch_add(records, Relaxed);
    }

    /// Whether the last try to write failed, or waits for a disk that hangs.
    fn gets_stuck(&self) -> bool {
        self.is_failing.load(Relaxed) || self.hangs()
    }

    fn hangs(&self) -> bool {
        let hangs = self.pulse.hangs();
        if hangs && self.pulse.is_news() {
            self.observer.hangs();
        }
        hangs
    }

    /// Waits for word of the writer's. None: it waits for a disk that hangs.
    fn wait_for_the_disk<'q>(&self, queue: MutexGuard<'q, Queue>) -> Option<MutexGuard<'q, Queue>> {
        let waited = self.flushed.wait_timeout(queue, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner);
        let (queue, waited) = waited;
        (!waited.timed_out() || !self.hangs()).then_some(queue)
    }

    fn flush_done(&self) -> u64 {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).flush_done
    }
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").field("counters", self.counters()).finish_non_exhaustive()
    }
}

impl Records {
    /// Locks the data directory, takes up what is in it, and starts writing.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let lock = Arc::new(DataDirLock::take(&options.data_dir)?);
        Self::open_locked(options, lock)
    }

    /// The same of a data directory that is locked already.
    pub fn open_locked(options: Options, lock: Arc<DataDirLock>) -> Result<Self, OpenError> {
        let path = options.data_dir;
        let secrets = Arc::clone(&options.secrets);
        match sink::are_anothers(&path, &secrets) {
            Ok(false) => {}
            Ok(true) => return Err(OpenError::OtherSecret { path }),
            Err(source) => return Err(OpenError::Recover { path, source }),
        }
        let now = writer::wall_clock();
        let today = Day::of(now);
        let opened = sink::Sink::open(&path, options.secrets, options.signer, options.retain, now);
        let opened = opened.and_then(|sink| {
            let calendar = Calendar::open(&path, || calendar::newest(&sink.dirs()), today)?;
            Ok((sink, calendar))
        });
        let (mut sink, calendar) = opened.map_err(|source| OpenError::Recover { path, source })?;
        let removes_until = calendar.until();
        secrets.save(&lock)?;
        for warning in std::mem::take(&mut sink.warnings) {
            options.observer.warned(&warning);
        }
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            flushed: Condvar::new(),
            queued_bytes: AtomicUsize::new(0),
            is_failing: AtomicBool::new(false),
            pulse: Arc::clone(&sink.pulse),
            counters: Counters::default(),
            observer: options.observer,
        });
        let syncer = sync::Syncer::start(Arc::clone(&sink.pulse)).map_err(OpenError::Thread)?;
        let compressor = options.compress.then(|| compress::Compressor::start(sink.dirs()));
        let compressor = compressor.transpose().map_err(OpenError::Thread)?;
        let writer = writer::Writer::new(
            Arc::clone(&shared),
            (sink, calendar),
            (syncer, compressor),
            options.on_failure,
        );
        let thread =
            Builder::new().name("records".into()).spawn(move || writer.run()).map_err(OpenError::Thread)?;
        Ok(Self {
            shared,
            on_failure: options.on_failure,
            queue_bytes_max: options.queue_bytes_max,
            thread: Some(thread),
            turns: Turns::default(),
            removes_until,
            lock,
        })
    }

    /// Hands an entry to the writer. Waits for nothing but a short mutex.
    pub fn push(&self, entry: Entry) -> Result<(), Unrecorded> {
        if !entry::is_recordable(&entry.journal().tenant) {
            return self.refuse(Unrecorded::Name);
        }
        let bytes = entry.weight();
        let before = self.shared.queued_bytes.fetch_add(bytes, Relaxed);
        if before.saturating_add(bytes) > self.queue_bytes_max {
            self.shared.queued_bytes.fetch_sub(bytes, Relaxed);
            return self.refuse(Unrecorded::Full);
        }
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.is_gone {
            return self.refuse(Unrecorded::Failing);
        }
        entry.journal().queued.fetch_add(bytes, Relaxed);
        self.shared.counters.taken.fetch_add(1, Relaxed);
        queue.entries.push(entry);
        queue.fresh_bytes += bytes;
        let (waiting, much) = (queue.fresh_bytes, self.queue_bytes_max / 4);
        drop(queue);
        if waiting >= much && waiting - bytes < much {
            self.shared.wake.notify_one();
        }
        match self.on_failure {
            OnFailure::Fail if self.shared.gets_stuck() => Err(Unrecorded::Failing),
            OnFailure::Fail | OnFailure::Drop => Ok(()),
        }
    }

    /// Counts an entry that is not kept, and says whether what it records may go on.
    fn refuse(&self, why: Unrecorded) -> Result<(), Unrecorded> {
        self.shared.counters.dropped.fetch_add(1, Relaxed);
        match self.on_failure {
            OnFailure::Fail => Err(why),
            OnFailure::Drop => Ok(()),
        }
    }

    /// Whether a new request may be admitted, as far as records go. Cheap. The last quarter of the queue is kept for
    /// what was admitted before.
    pub fn accepts(&self) -> bool {
        match self.on_failure {
            OnFailure::Drop => true,
            OnFailure::Fail => {
                let room = self.queue_bytes_max - self.queue_bytes_max / 4;
                !self.shared.gets_stuck() && self.shared.queued_bytes.load(Relaxed) < room
            }
        }
    }

    /// Whether a tenant has room left in its share: whoever sends what takes long to redact fills an own share of the
    /// queue, and no other's. One entry may be larger than the share.
    pub fn has_room_for(&self, journal: &Journal) -> bool {
        let share = self.queue_bytes_max / TENANT_SHARE;
        self.on_failure == OnFailure::Drop || journal.queued.load(Relaxed) < share
    }

    /// Where retention takes the present to be at most, in seconds since 1970: a clock that jumped is not believed at once.
    pub fn removes_until(&self) -> Arc<AtomicI64> {
        Arc::clone(&self.removes_until)
    }

    /// Those who wait until [`Records::accepts`].
    pub fn turns(&self) -> &Turns {
        &self.turns
    }

    /// Whether a record that cannot be written must stop requests.
    pub fn must_not_lose(&self) -> bool {
        self.on_failure == OnFailure::Fail
    }

    /// Whether the last try to write failed, or does not come to its end, and no record may be lost.
    pub fn is_failing(&self) -> bool {
        self.on_failure == OnFailure::Fail && self.shared.gets_stuck()
    }

    /// Whether records are written, as far as is known, and there is room for more; whatever requests do where they are not.
    pub fn are_written(&self) -> bool {
        self.accepts() && !self.shared.gets_stuck()
    }

    /// How many of the records that were taken are not written yet.
    pub fn unwritten(&self) -> u64 {
        let counters = self.counters();
        let over = counters.written.load(Relaxed).saturating_add(counters.given_up.load(Relaxed));
        counters.taken.load(Relaxed).saturating_sub(over)
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Waits until all that was pushed before is on disk, or a try to get it there failed or hangs.
    pub fn flush(&self) -> Result<(), Unrecorded> {
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.flush_asked += 1;
        let asked = queue.flush_asked;
        self.shared.wake.notify_one();
        while queue.flush_done < asked && !queue.is_gone {
            queue = self.shared.wait_for_the_disk(queue).ok_or(Unrecorded::Failing)?;
        }
        if queue.flush_done >= asked && queue.is_flush_whole { Ok(()) } else { Err(Unrecorded::Failing) }
    }

    /// Writes all that is left, and ends the writer's thread. What cannot be written now is lost, and counted.
    pub fn close(mut self) -> Result<(), Unrecorded> {
        self.end()
    }

    fn end(&mut self) -> Result<(), Unrecorded> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        let flushed = self.flush();
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.is_closing = true;
        self.shared.wake.notify_one();
        while !queue.is_gone {
            let Some(waited) = self.shared.wait_for_the_disk(queue) else {
                // The thread may go on to write: the directory stays its own until the process is over.
                std::mem::forget(Arc::clone(&self.lock));
                return Err(Unrecorded::Failing);
            };
            queue = waited;
        }
        drop(queue);
        thread.join().map_err(|_| Unrecorded::Failing).and(flushed)
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        // Who wants to know calls close; the counters know too.
        self.end().ok();
    }
}

/// A data directory that nobody else uses, until this is dropped.
#[derive(Debug)]
pub struct DataDirLock(#[expect(dead_code, reason = "the lock lasts as long as the file is open")] File);

impl DataDirLock {
    /// Makes the directory where there is none, and locks it.
    pub fn take(data_dir: &std::path::Path) -> Result<Self, OpenError> {
        lock(data_dir).map(Self)
    }

    /// The process that has taken it, as far as it is written down.
    pub fn holder(data_dir: &std::path::Path) -> Option<i32> {
        String::from_utf8(disk::read(&data_dir.join("lock")).ok()?).ok()?.trim().parse().ok()
    }
}

fn lock(data_dir: &std::path::Path) -> Result<File, OpenError> {
    let path = data_dir.to_owned();
    let opened = disk::create_dir(data_dir).and_then(|()| {
        disk::open(disk::private().write(true).create(true).truncate(false), &data_dir.join("lock"))
    });
    let file = match opened {
        Ok(file) => file,
        Err(source) => return Err(OpenError::Directory { path, source }),
    };
    match file.try_lock() {
        Ok(()) => {
            // Who it is, for one that is to take its place: nothing depends on it.
            drop(file.set_len(0).and_then(|()| writeln!(&file, "{}", std::process::id())));
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path }),
        Err(TryLockError::Error(source)) => Err(OpenError::Directory { path, source }),
    }
}

#[cfg(test)]
mod tests;
