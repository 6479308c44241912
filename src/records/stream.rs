//! One tenant's audit chain or request log on its way to the disk: lines wait in chunks, a chunk a day file, until
//! they are appended whole. Apart from the sink, which holds the tenants together and decides when and in what order.

use std::{
    collections::{BTreeSet, VecDeque},
    fs::{File, OpenOptions},
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
    time::SystemTime,
};

use super::{
    behind,
    chain::{Digest, Walk},
    day_file::day_path,
    disk,
    head::{Base, Head},
    recover::{Recovered, head_path},
    signed::{Signing, State},
    signing::Signer,
    stamp::Day,
    trail::{self, Append},
};
use crate::redact::TenantSecret;

/// Capacity that an empty buffer keeps.
const BUFFER_KEPT_BYTES: usize = 256 * 1024;

/// Lines for a file that is not appended to any more are never mixed with lines for another.
struct Chunk {
    day: Day,
    bytes: Vec<u8>,
    records: u64,
}

/// A file that has bytes which may not have reached the disk yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dirty {
    pub(super) path: PathBuf,
    /// Where these bytes begin.
    pub(super) from: u64,
    /// Its length: if the file at this path turns out shorter, what was written is gone.
    pub(super) length: u64,
    /// Whether a sync failed: the system takes these bytes for written then, and no later sync writes them.
    pub(super) again: bool,
}

/// The chain of an audit stream.
pub(super) struct Chain {
    pub(super) tenant: Arc<str>,
    pub(super) secret: TenantSecret,
    pub(super) base: Base,
    /// After the last line that was made.
    pub(super) tip: Walk,
    /// After the last line that was written to the file.
    written: Walk,
    signing: Signing,
    /// Days whose files begin with a record of the day before, of which there is no file.
    late: BTreeSet<Day>,
    has_head: bool,
    /// Retention removes what is from before the base, and has not got to the end of it.
    pub(super) is_removing: bool,
    /// Its head says that it ends there.
    is_ended: bool,
    /// Until when records may come behind the head that is in place, as far as that is known,
    placed: Option<SystemTime>,
    /// and behind the last one that was made, which may be on its way there.
    until: Option<SystemTime>,
    /// The newest time of the lines that are pending, or were written last.
    newest: Option<SystemTime>,
    audit: PathBuf,
}

impl Chain {
    /// Whether a line is there that may not stand behind the head, whichever of the two it is.
    fn goes_beyond(&self) -> bool {
        self.newest > self.placed.min(self.until)
    }

    /// The time of a line that is too young for the last checkpoint, if one is there.
    fn unvouched(&self) -> Option<SystemTime> {
        self.newest.filter(|newest| self.signing.is_too_old_for(*newest))
    }
}

pub(super) struct Stream {
    dir: PathBuf,
    file: Option<(Day, File)>,
    /// The file that was written last, and its length when it was left.
    at: Option<(Day, u64)>,
    /// No line goes into a file of a day before it.
    open_from: Day,
    chunks: VecDeque<Chunk>,
    spare: Vec<u8>,
    dirty: Vec<Dirty>,
    /// The file's directory has a new entry that may not have reached the disk yet.
    is_dir_dirty: bool,
    pub(super) chain: Option<Chain>,
    /// For the choice of files to close: the sink's count of writes when this one was written last.
    pub(super) used: u64,
    /// The sync round that took its head last.
    pub(super) taken: u64,
}

/// What a stream needs synced, as of one moment.
pub(super) struct SyncJob {
    pub(super) dirty: Vec<Dirty>,
    pub(super) dir: Option<PathBuf>,
    /// The checkpoint of what is synced then.
    pub(super) checkpoint: Option<Append>,
    /// The head's file and text, to be put in place after that.
    pub(super) head: Option<(PathBuf, String)>,
}

impl Stream {
    pub(super) fn log(dir: PathBuf, compressed: Option<Day>) -> Self {
        Self {
            dir,
            file: None,
            at: None,
            open_from: compressed.map_or(Day::FIRST, Day::next),
            chunks: VecDeque::new(),
            spare: Vec::new(),
            dirty: Vec::new(),
            is_dir_dirty: false,
            chain: None,
            used: 0,
            taken: 0,
        }
    }

    pub(super) fn audit(
        audit: PathBuf,
        (tenant, secret): (Arc<str>, TenantSecret),
        found: Recovered,
        signer: Option<Arc<Signer>>,
    ) -> Self {
        let dir = audit.join(&*tenant);
        let written = found.walk.clone();
        let (base, tip, has_head, is_ended) = (found.base, found.walk, found.has_head, found.is_ended);
        let (is_removing, until) = (found.is_removing, found.until);
        let (signing, late) = (Signing::new(signer, found.checkpoints), found.late);
        let chain = Chain {
            tenant,
            secret,
            base,
            tip,
            written,
            signing,
            late,
            has_head,
            is_removing,
            is_ended,
            placed: until,
            until,
            newest: None,
            audit,
        };
        Self { at: found.at, chain: Some(chain), ..Self::log(dir, found.compressed) }
    }

    /// Nothing is written into files of days before `day` any more. Nothing must be pending.
    pub(super) fn close_before(&mut self, day: Day) {
        self.open_from = self.open_from.max(day);
        self.file.take_if(|(open, _)| *open < day);
    }

    /// Lets `write` append one line for `time`. It goes into its day's file, or a later one that was begun already:
    /// a chain never goes back.
    pub(super) fn line(&mut self, time: SystemTime, write: impl FnOnce(&mut Vec<u8>, Option<&mut Walk>)) {
        let is_first = self.chunks.is_empty();
        let begun = self.chunks.back().map(|chunk| chunk.day).or_else(|| self.at.map(|(day, _)| day));
        // What retention let go by a clock that was ahead is gone: no record is from before that.
        let base = self.chain.as_ref().and_then(|chain| chain.base.day);
        let day = begun.into_iter().chain(base).fold(Day::of(time).max(self.open_from), Day::max);
        if let Some(chain) = self.chain.as_mut().filter(|_| begun.is_none_or(|begun| begun.next() < day)) {
            // A file that begins late, where there is none before it, could be the one before it under another name.
            chain.late.extend((Day::of(time) < day).then_some(day));
        }
        if let Some(chain) = &mut self.chain {
            chain.newest = chain.newest.filter(|_| !is_first).max(Some(time));
        }
        if self.chunks.back().is_none_or(|chunk| chunk.day != day) {
            self.chunks.push_back(Chunk { day, bytes: std::mem::take(&mut self.spare), records: 0 });
        }
        if let Some(chunk) = self.chunks.back_mut() {
            write(&mut chunk.bytes, self.chain.as_mut().map(|chain| &mut chain.tip));
            chunk.records += 1;
        }
    }

    pub(super) fn is_pending(&self) -> bool {
        !self.chunks.is_empty()
    }

    pub(super) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    pub(super) fn is_open(&self) -> bool {
        self.file.is_some()
    }

    pub(super) fn close(&mut self) {
        self.file = None;
    }

    /// Appends what is pending, and adds to `records` how many that were. After an error what was not appended is
    /// pending still, and the next call starts with the file opened anew.
    pub(super) fn write(&mut self, records: &mut u64) -> io::Result<()> {
        while let Some(mut chunk) = self.chunks.pop_front() {
            if let Err(error) = self.append(chunk.day, &chunk.bytes) {
                self.file = None;
                self.chunks.push_front(chunk);
                return Err(error);
            }
            *records += chunk.records;
            if let (Some(chain), Some(last)) = (&mut self.chain, last_hash(&chunk.bytes)) {
                chain.written.records += chunk.records;
                chain.written.expected = last;
            }
            chunk.bytes.clear();
            chunk.bytes.shrink_to(BUFFER_KEPT_BYTES);
            self.spare = chunk.bytes;
        }
        Ok(())
    }

    /// Gives up what is pending: the chain goes on from what is written. Returns how many records are lost.
    pub(super) fn discard(&mut self) -> u64 {
        if let Some(chain) = &mut self.chain {
            chain.tip = chain.written.clone();
        }
        self.chunks.drain(..).map(|chunk| chunk.records).sum()
    }

    fn append(&mut self, day: Day, bytes: &[u8]) -> io::Result<()> {
        self.follow_rotation();
        self.renew_head()?;
        self.vouch()?;
        if self.file.as_ref().is_none_or(|(open, _)| *open != day) {
            self.open(day)?;
        }
        let Some((_, file)) = &mut self.file else { return Ok(()) };
        file.write_all(bytes)?;
        let from = self.at.map_or(0, |(_, length)| length);
        let length = from + bytes.len() as u64;
        self.at = Some((day, length));
        let path = day_path(&self.dir, day);
        match self.dirty.last_mut().filter(|dirty| dirty.path == path) {
            Some(dirty) => dirty.length = length,
            None => self.dirty.push(Dirty { path, from, length, again: false }),
        }
        Ok(())
    }

    /// A log may be emptied, moved or removed by its operator (a chain may not): what comes goes on in what is there.
    fn follow_rotation(&mut self) {
        let (None, Some((day, file))) = (&self.chain, &self.file) else { return };
        match disk::is_still(&day_path(&self.dir, *day), file) {
            Some(length) if self.at.is_none_or(|(_, known)| length >= known) => {}
            Some(length) => self.at = Some((*day, length)),
            None => (self.file, self.at) = (None, None),
        }
    }

    /// Opens a day's file so that it ends where this stream's last whole line does.
    fn open(&mut self, day: Day) -> io::Result<()> {
        disk::create_dir(&self.dir)?;
        self.ensure_head()?;
        let path = day_path(&self.dir, day);
        let (file, mut length) = disk::open_append(&path)?;
        match self.at.filter(|(last, _)| *last == day) {
            // The rest of a write of ours that failed half-way.
            Some((_, known)) if length > known => {
                file.set_len(known)?;
                length = known;
            }
            Some(_) => {}
            None => length = disk::mend(&path)?.0,
        }
        self.is_dir_dirty |= length == 0;
        self.at = Some((day, length));
        self.file = Some((day, file));
        Ok(())
    }

    /// Whether a record is pending that may not stand behind the head, or the last checkpoint.
    pub(super) fn goes_beyond(&self) -> bool {
        let is_beyond = |chain: &Chain| {
            let has_open_head = chain.has_head && !chain.is_ended;
            has_open_head && chain.goes_beyond() || chain.unvouched().is_some()
        };
        self.is_pending() && self.chain.as_ref().is_some_and(is_beyond)
    }

    /// The round that took its head last is over, and it did not fail.
    pub(super) fn settle(&mut self) {
        if let Some(chain) = &mut self.chain {
            chain.placed = chain.until;
            chain.signing.settle();
        }
    }

    /// Puts a head in place that allows what comes now. None must be on its way there.
    fn renew_head(&mut self) -> io::Result<()> {
        let is_beyond = |chain: &Chain| chain.has_head && !chain.is_ended && chain.goes_beyond();
        if !self.chain.as_ref().is_some_and(is_beyond) {
            return Ok(());
        }
        self.sync_written()?;
        if let Some(chain) = &mut self.chain {
            chain.has_head = false;
        }
        self.ensure_head()
    }

    /// What a head or a checkpoint is to count has to be on the disk.
    fn sync_written(&self) -> io::Result<()> {
        for dirty in &self.dirty {
            disk::open(OpenOptions::new().append(true), &dirty.path)?.sync_data()?;
        }
        if self.is_dir_dirty { disk::sync_dir(&self.dir) } else { Ok(()) }
    }

    /// Signs how the chain stands where what comes now would be too young for the last checkpoint: a crash, or somebody who
    /// looks before it is signed itself, must not find it look forged. None must be on its way to the disk.
    fn vouch(&mut self) -> io::Result<()> {
        let Some(time) = self.chain.as_ref().and_then(Chain::unvouched) else { return Ok(()) };
        disk::create_dir(&self.dir)?;
        self.sync_written()?;
        self.ensure_head()?;
        let Some(checkpoint) = self.sign(time, None) else { return Ok(()) };
        let appended = trail::append(&checkpoint);
        if let Some(chain) = &mut self.chain {
            match appended {
                Ok(()) => chain.signing.vouched(),
                Err(_) => chain.signing.take_back(),
            }
        }
        appended
    }

    /// A chain has a head before it has a record, so that a missing one always tells of a removal; and none that says
    /// that it ends, so that a record behind such a one always tells of an addition.
    fn ensure_head(&mut self) -> io::Result<()> {
        if let Some(chain) = self.chain.as_mut().filter(|chain| chain.is_ended) {
            (chain.is_ended, chain.has_head) = (false, false);
        }
        if self.has_head() {
            return Ok(());
        }
        let head = self.next_head(Signing::last_sure);
        if let Some(chain) = self.chain.as_mut().filter(|chain| !chain.has_head)
            && let Some((path, text)) = head
        {
            let heads = chain.audit.join(".heads");
            disk::create_dir(&heads)?;
            disk::replace(&path, &text)?;
            disk::sync_dir(&heads)?;
            chain.has_head = true;
            chain.placed = chain.until;
        }
        Ok(())
    }

    /// The head that is put in place next: what is pending may come behind it.
    fn next_head(&mut self, signed: impl Fn(&Signing) -> Option<(u64, Digest)>) -> Option<(PathBuf, String)> {
        let chain = self.chain.as_mut()?;
        chain.placed = chain.placed.min(chain.until);
        chain.until = chain.newest.map(behind::until).or(chain.until);
        let signed = signed(&chain.signing);
        self.head(signed)
    }

    /// The head's file and text for what is written, and signed.
    fn head(&self, signed: Option<(u64, Digest)>) -> Option<(PathBuf, String)> {
        let chain = self.chain.as_ref()?;
        let head = Head {
            records: chain.written.records,
            last: chain.written.expected,
            at: self.at.filter(|(_, length)| *length > 0),
            base: chain.base.clone(),
            signed,
            late: chain
                .late
                .iter()
                .copied()
                .filter(|day| chain.base.day.is_none_or(|base| *day >= base))
                .collect(),
            is_removing: chain.is_removing,
            is_end: chain.is_ended,
            until: chain.until.filter(|_| !chain.is_ended),
        };
        Some((head_path(&chain.audit, &chain.tenant), head.render(&chain.tenant, &chain.secret)))
    }

    /// Takes what has to be synced. With a time, what is not signed yet is signed as of then.
    pub(super) fn sync_job(&mut self, sign: Option<SystemTime>) -> SyncJob {
        let checkpoint = sign.filter(|_| self.is_behind()).and_then(|now| self.sign(now, None));
        SyncJob {
            dirty: std::mem::take(&mut self.dirty),
            dir: std::mem::take(&mut self.is_dir_dirty).then(|| self.dir.clone()),
            checkpoint,
            head: self.next_head(Signing::last),
        }
    }

    /// Puts a head in place that says that the chain ends there, if it has one that does not. Everything must be synced.
    pub(super) fn end(&mut self) -> Option<SyncJob> {
        let is_open = self.is_pending() || self.is_dirty();
        let chain = self.chain.as_mut().filter(|chain| chain.has_head && !chain.is_ended && !is_open)?;
        chain.is_ended = true;
        let head = self.chain.as_ref().and_then(|chain| self.head(chain.signing.last()));
        Some(SyncJob { dirty: Vec::new(), dir: None, checkpoint: None, head })
    }

    /// Whether the chain has a head.
    pub(super) fn has_head(&self) -> bool {
        self.chain.as_ref().is_some_and(|chain| chain.has_head)
    }

    /// Whether there are records that no checkpoint counts, and one should.
    pub(super) fn is_behind(&self) -> bool {
        self.chain.as_ref().is_some_and(|chain| chain.signing.is_behind(&chain.written))
    }

    /// When a checkpoint is due, if there is anything to sign.
    pub(super) fn sign_due(&self) -> Option<SystemTime> {
        self.chain.as_ref().map(|chain| chain.signing.due())
    }

    /// What retention changes, in order: checkpoints say that it did so, then the head does. The base is set already.
    /// Everything must be written and synced.
    pub(super) fn rebased(&mut self, now: SystemTime, removed_checkpoints: Option<u64>) -> Option<SyncJob> {
        let is_signed = self.chain.as_ref()?.signing.is_on();
        let checkpoint = if is_signed { self.sign(now, removed_checkpoints) } else { None };
        let head = self.next_head(Signing::last);
        Some(SyncJob { dirty: Vec::new(), dir: None, checkpoint, head })
    }

    /// The head alone, as it has to be now. Everything must be written and synced.
    pub(super) fn head_job(&self) -> Option<SyncJob> {
        let head = self.chain.as_ref().and_then(|chain| self.head(chain.signing.last()));
        head.map(|head| SyncJob { dirty: Vec::new(), dir: None, checkpoint: None, head: Some(head) })
    }

    fn sign(&mut self, now: SystemTime, removed_checkpoints: Option<u64>) -> Option<Append> {
        let day = self.at.filter(|(_, length)| *length > 0).map(|(day, _)| day);
        let chain = self.chain.as_mut()?;
        let (tenant, dir, written, base) = (&*chain.tenant, &*self.dir, &chain.written, &chain.base);
        chain.signing.sign(&State { tenant, dir, written, day, base }, now, removed_checkpoints)
    }

    /// Takes back a job that failed. The file may not be the one at its path any more, so it is opened anew, and what
    /// is there counts from now on; the verifier will find what is missing.
    pub(super) fn sync_failed(&mut self, job: SyncJob) {
        self.file = None;
        self.is_dir_dirty = true;
        if let Some(chain) = &mut self.chain {
            (chain.has_head, chain.is_ended) = (false, false);
            if job.checkpoint.is_some() {
                chain.signing.take_back();
            }
        }
        for dirty in job.dirty {
            match self.dirty.iter_mut().find(|own| own.path == dirty.path) {
                Some(own) => (own.from, own.again) = (own.from.min(dirty.from), true),
                None => self.dirty.push(Dirty { again: true, ..dirty }),
            }
        }
    }

    /// Opens the last file again after a failed sync, and expects of every dirty file no more than it holds.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if self.file.is_none()
            && let Some((day, _)) = self.at
            && day >= self.open_from
        {
            self.open(day)?;
        }
        for dirty in &mut self.dirty {
            dirty.length = std::fs::metadata(&dirty.path).map_or(0, |meta| dirty.length.min(meta.len()));
        }
        let here = |dirty: &Dirty| std::fs::metadata(&dirty.path).is_ok();
        self.dirty.retain(here);
        Ok(())
    }
}

/// The hash of the last line of whole lines, if they are audit lines.
fn last_hash(lines: &[u8]) -> Option<Digest> {
    let hex = lines.strip_suffix(b"\"}\n")?.last_chunk::<64>()?;
    Digest::parse(hex)
}
