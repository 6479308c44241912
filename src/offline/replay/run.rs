//! Reads audit files block by block and decides their lines on several threads, in bounded memory; what changes comes
//! in the order of the files.

use super::{Change, Configuration, Decider, Totals};
use crate::records::DayFile;
use std::{
    io::{self, Read},
    path::{Path, PathBuf},
    thread,
};

/// So much is read at once and decided by one thread; more where a line is longer.
const BLOCK_BYTES: usize = 4 << 20;
/// No record comes near it.
const LINE_BYTES_MAX: usize = 64 << 20;

/// What came of some more records.
#[derive(Debug)]
pub struct Progress<'p> {
    pub changes: &'p [Change],
    /// Bytes read so far.
    pub bytes: u64,
}

/// Decides all records of some files again. `heard` is told what changes, while it goes on.
pub fn replay(
    configuration: &Configuration,
    files: &[PathBuf],
    threads: usize,
    heard: &mut dyn FnMut(&Progress<'_>),
) -> Result<Totals, (PathBuf, io::Error)> {
    let mut deciders: Vec<Decider<'_>> = (0..threads.max(1)).map(|_| Decider::new(configuration)).collect();
    let (mut totals, mut bytes) = (Totals::default(), 0);
    let mut blocks = Blocks::new(files);
    loop {
        let mut batch = Vec::with_capacity(deciders.len());
        while batch.len() < deciders.len()
            && let Some(block) = blocks.next()?
        {
            batch.push(block);
        }
        if batch.is_empty() {
            return Ok(totals);
        }
        let done = thread::scope(|scope| {
            let work = deciders.iter_mut().zip(&batch);
            let running: Vec<_> =
                work.map(|(decider, block)| scope.spawn(move || decide(decider, block))).collect();
            running.into_iter().map(|thread| thread.join().ok()).collect::<Vec<_>>()
        });
        for (block, done) in batch.iter().zip(done) {
            // A thread that broke down has decided nothing: its records count as unreadable.
            let (found, changes) = done.unwrap_or_else(|| (lost(block), Vec::new()));
            totals.add(found);
            bytes += u64::try_from(block.len()).unwrap_or(u64::MAX);
            heard(&Progress { changes: &changes, bytes });
        }
    }
}

fn decide(decider: &mut Decider<'_>, block: &[u8]) -> (Totals, Vec<Change>) {
    let (mut totals, mut changes) = (Totals::default(), Vec::new());
    for line in lines(block) {
        decider.line(line, &mut totals, &mut changes);
    }
    (totals, changes)
}

fn lost(block: &[u8]) -> Totals {
    let records = u64::try_from(lines(block).count()).unwrap_or(u64::MAX);
    Totals { records, unreadable: records, ..Totals::default() }
}

fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = block;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let (line, after) = rest.split_at_checked(end)?;
            rest = after.strip_prefix(b"\n").unwrap_or_default();
            if !line.is_empty() {
                return Some(line);
            }
        }
        None
    })
}

/// Files, in blocks of whole lines.
struct Blocks<'f> {
    files: std::slice::Iter<'f, PathBuf>,
    open: Option<(&'f Path, DayFile)>,
    /// The beginning of a line whose end was not read yet.
    rest: Vec<u8>,
}

impl<'f> Blocks<'f> {
    fn new(files: &'f [PathBuf]) -> Self {
        Self { files: files.iter(), open: None, rest: Vec::new() }
    }

    fn next(&mut self) -> Result<Option<Vec<u8>>, (PathBuf, io::Error)> {
        loop {
            let Some((path, file)) = &mut self.open else {
                let Some(path) = self.files.next() else { return Ok(None) };
                let file = DayFile::open(path).map_err(|error| (path.clone(), error))?;
                self.open = Some((path, file));
                continue;
            };
            let block = fill(file, std::mem::take(&mut self.rest));
            let (mut block, is_end) = block.map_err(|error| (path.to_path_buf(), error))?;
            if is_end {
                self.open = None;
            } else {
                let end = memchr::memrchr(b'\n', &block).map_or(0, |at| at + 1);
                self.rest = block.split_off(end);
            }
            if !block.is_empty() {
                return Ok(Some(block));
            }
        }
    }
}

/// Reads on behind what is there, until a whole block and the end of a line are there, or the file ends.
fn fill(file: &mut DayFile, mut block: Vec<u8>) -> io::Result<(Vec<u8>, bool)> {
    loop {
        let before = block.len();
        let read = file.take(BLOCK_BYTES as u64).read_to_end(&mut block)?;
        if read < BLOCK_BYTES {
            return Ok((block, true));
        }
        if memchr::memchr(b'\n', block.get(before..).unwrap_or_default()).is_some() {
            return Ok((block, false));
        }
        if block.len() > LINE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is longer than any record"));
        }
    }
}
