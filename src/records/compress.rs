//! Days that are over, compressed: `DAY.jsonl` becomes `DAY.jsonl.gz`. Apart from the writer, which it never holds up:
//! a thread of its own does it, at half of a core at most, and whatever fails leaves the plain file as it was.
//!
//! A day is written aside, synced, read back and compared, then renamed, and only then is the plain file removed. So at
//! any moment one of the two is whole, and where both are there the plain one counts.

use std::{
    fs,
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    thread::{self, Builder, JoinHandle},
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};

use super::{
    Warning,
    before_base::kept_days,
    day_file::{DayFile, compressed, day_path},
    disk::{self, BLOCK_BYTES},
    entry::is_recordable,
    stamp::Day,
};

/// The thread that compresses. Dropping it stops it, in the middle of a file too.
pub(super) struct Compressor {
    rounds: Option<mpsc::SyncSender<Day>>,
    results: mpsc::Receiver<Option<Warning>>,
    is_busy: bool,
    is_stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Compressor {
    /// Starts it, for the day files below these directories, a directory a tenant.
    pub(super) fn start(dirs: [PathBuf; 2]) -> io::Result<Self> {
        let (rounds, to_do) = mpsc::sync_channel::<Day>(1);
        let (done, results) = mpsc::sync_channel(1);
        let is_stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&is_stopping);
        let work = move || {
            while let Ok(today) = to_do.recv() {
                let failed = round(&dirs, today, &stop).err();
                let warning =
                    failed.map(|(file, error)| Warning::Uncompressed { file, why: error.to_string() });
                if done.send(warning).is_err() {
                    return;
                }
            }
        };
        let thread = Some(Builder::new().name("records-gzip".into()).spawn(work)?);
        Ok(Self { rounds: Some(rounds), results, is_busy: false, is_stopping, thread })
    }

    /// Begins to compress all days before `today`. It must not be busy.
    pub(super) fn begin(&mut self, today: Day) {
        self.is_busy = self.rounds.as_ref().is_some_and(|rounds| rounds.send(today).is_ok());
    }

    /// Whether it is at work.
    pub(super) fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// What came of the round under way, if it is over: what kept it from its end.
    pub(super) fn outcome(&mut self) -> Option<Option<Warning>> {
        let outcome = self.results.try_recv().ok()?;
        self.is_busy = false;
        Some(outcome)
    }
}

impl Drop for Compressor {
    fn drop(&mut self) {
        self.is_stopping.store(true, Relaxed);
        self.rounds = None;
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// Compresses what is plain of days before `today`, until something fails: that of one tenant will fail for all.
fn round(dirs: &[PathBuf], today: Day, is_stopping: &AtomicBool) -> Result<(), (PathBuf, io::Error)> {
    for dir in dirs {
        let told = |error| (dir.clone(), error);
        for tenant in disk::names(dir).map_err(told)?.into_iter().filter(|name| is_recordable(name)) {
            let dir = dir.join(tenant);
            if !dir.is_dir() {
                continue;
            }
            let days = kept_days(&dir).map_err(|error| (dir.clone(), error))?;
            for day in days.into_iter().filter(|day| *day < today) {
                let plain = day_path(&dir, day);
                if plain.exists() {
                    match compress(&plain, is_stopping) {
                        Err(_) if is_stopping.load(Relaxed) => return Ok(()),
                        done => done.map_err(|error| (plain, error))?,
                    }
                }
            }
        }
    }
    Ok(())
}

/// Compresses one file.
fn compress(plain: &Path, is_stopping: &AtomicBool) -> io::Result<()> {
    let aside = aside(plain);
    if let Err(error) = write_aside(plain, &aside, is_stopping) {
        // A full disk is not helped by half a file.
        fs::remove_file(&aside).ok();
        return Err(error);
    }
    put_in_place(plain, &aside)?;
    remove_plain(plain)
}

/// Where a file is compressed to before it has its name.
pub(super) fn aside(plain: &Path) -> PathBuf {
    let mut name = compressed(plain).into_os_string();
    name.push(".tmp");
    name.into()
}

/// The first step: all of it is beside, synced and read back. Fails when it is told to stop.
pub(super) fn write_aside(plain: &Path, aside: &Path, is_stopping: &AtomicBool) -> io::Result<()> {
    let file = disk::open(disk::private().write(true).create(true).truncate(true), aside)?;
    let mut encoder = GzEncoder::new(BufWriter::with_capacity(BLOCK_BYTES / 4, file), Compression::default());
    let written = copy(&mut DayFile::open(plain)?, &mut encoder, is_stopping)?;
    let file = encoder.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    let back = copy(&mut DayFile::open(aside)?, &mut io::sink(), is_stopping)?;
    if back == written { Ok(()) } else { Err(io::Error::other("what was compressed does not read back")) }
}

/// The second: it has its name, for good.
pub(super) fn put_in_place(plain: &Path, aside: &Path) -> io::Result<()> {
    fs::rename(aside, compressed(plain))?;
    plain.parent().map_or(Ok(()), disk::sync_dir)
}

/// The last: the plain file goes.
pub(super) fn remove_plain(plain: &Path) -> io::Result<()> {
    fs::remove_file(plain)?;
    plain.parent().map_or(Ok(()), disk::sync_dir)
}

/// Copies block by block, and rests as long as it worked. Returns the digest and length of what was copied.
fn copy(from: &mut DayFile, to: &mut dyn Write, is_stopping: &AtomicBool) -> io::Result<([u8; 32], u64)> {
    let mut block = vec![0; BLOCK_BYTES];
    let (mut digest, mut length) = (Sha256::new(), 0);
    loop {
        if is_stopping.load(Relaxed) {
            return Err(io::Error::other("told to stop"));
        }
        let started = clock();
        let read = match from.read(&mut block) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let bytes = block.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            return Ok((digest.finalize().into(), length));
        }
        digest.update(bytes);
        to.write_all(bytes)?;
        length += read as u64;
        thread::sleep(started.elapsed().min(Duration::from_millis(200)));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the compressing thread is the shell: it paces itself by this clock"
)]
fn clock() -> Instant {
    Instant::now()
}
