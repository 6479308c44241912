//! The files of signed checkpoints, `checkpoints/DAY.jsonl` beside a tenant's chain: appended to, taken up after a
//! restart, read back by the verifier. Apart from the chain's files, whose days they follow but whose lines they are not.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{
    checkpoint::{Checkpoint, Read, Signed},
    day_file::{day_path, remove_day},
    disk::{self, Lines, Next},
    head::parse_file_name,
    stamp::{Day, parse_time},
};

/// The directory of checkpoints below a chain's.
pub(super) const DIR: &str = "checkpoints";

/// A checkpoint's line on its way to the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Append {
    pub(super) path: PathBuf,
    /// How long the file is before it: what is behind that is the rest of a try that failed.
    pub(super) from: u64,
    pub(super) line: Vec<u8>,
}

/// The file of a day.
pub(super) fn path_of(dir: &Path, day: Day) -> PathBuf {
    day_path(&dir.join(DIR), day)
}

/// The days that a tenant's directory has checkpoints of, oldest first.
pub(super) fn days(dir: &Path) -> io::Result<Vec<Day>> {
    Ok(disk::names(&dir.join(DIR))?.iter().filter_map(|name| parse_file_name(name)).collect())
}

/// Appends a line, and waits until it is on the disk.
pub(super) fn append(append: &Append) -> io::Result<()> {
    let dir = append.path.parent().unwrap_or_else(|| Path::new("."));
    disk::create_dir(dir)?;
    let (mut file, length) = disk::open_append(&append.path)?;
    if length < append.from {
        return Err(io::Error::other("the file of checkpoints is shorter than what was written to it"));
    }
    file.set_len(append.from)?;
    file.write_all(&append.line)?;
    file.sync_data()?;
    if append.from > 0 {
        return Ok(());
    }
    disk::sync_dir(dir)?;
    dir.parent().map_or(Ok(()), disk::sync_dir)
}

/// A tenant's checkpoints as they were found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) signed: Signed,
    /// When the last one was made.
    pub(super) time: Option<SystemTime>,
    /// The last file and its length.
    pub(super) at: Option<(Day, u64)>,
    /// How many bytes of a torn last line were moved aside, and where that was.
    pub(super) torn: Option<(PathBuf, u64)>,
    /// The last line is no checkpoint.
    pub(super) is_unreadable: bool,
}

/// Finds where a tenant's checkpoints go on, after mending a torn last line.
pub(super) fn recover(dir: &Path, tenant: &str) -> io::Result<Found> {
    let genesis = Signed::genesis(tenant);
    let mut found = Found { signed: genesis, time: None, at: None, torn: None, is_unreadable: false };
    for day in days(dir)?.into_iter().rev() {
        let path = path_of(dir, day);
        let (length, torn) = disk::mend(&path)?;
        if torn > 0 {
            found.torn = Some((path.clone(), torn));
        }
        found.at = found.at.or(Some((day, length)));
        if let Some(line) = last_line(&path)? {
            match Checkpoint::parse(&line) {
                Some(read) => {
                    found.signed = read.checkpoint.stand(&line);
                    found.time = parse_time(&read.checkpoint.time);
                }
                None => found.is_unreadable = true,
            }
            break;
        }
    }
    Ok(found)
}

fn last_line(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut lines = Lines::open(path)?;
    let mut last = None;
    loop {
        match lines.next()? {
            Next::Line(line) => last = Some(line.to_vec()),
            Next::TooLong => return Ok(Some(Vec::new())),
            Next::Torn(_) | Next::End => return Ok(last),
        }
    }
}

/// The days before `cutoff`, but for the newest one, and the number of the first checkpoint behind them.
pub(super) fn old(dir: &Path, cutoff: Day) -> io::Result<Option<(Vec<Day>, u64)>> {
    let mut days = days(dir)?;
    let newest = days.pop();
    let count = days.iter().take_while(|day| **day < cutoff).count();
    let first_kept = days.get(count).copied().or(newest);
    if let Some(day) = first_kept.filter(|_| count > 0) {
        let mut lines = Lines::open(&path_of(dir, day))?;
        if let Next::Line(line) = lines.next()?
            && let Some(read) = Checkpoint::parse(line)
        {
            days.truncate(count);
            return Ok(Some((days, read.checkpoint.number)));
        }
    }
    Ok(None)
}

/// Removes the checkpoints of a day.
pub(super) fn remove(dir: &Path, day: Day) -> io::Result<()> {
    remove_day(&dir.join(DIR), day)
}

/// A tenant's checkpoints in the order in which they were made, as far as they were there at one moment.
pub(super) struct Trail {
    files: std::vec::IntoIter<(PathBuf, u64)>,
    open: Option<Open>,
}

struct Open {
    lines: Lines,
    path: PathBuf,
    number: u64,
    /// Bytes that were there, less what was read.
    left: u64,
}

/// What comes next of a tenant's checkpoints.
pub(super) enum Step {
    /// A line, what it says if it is a checkpoint, and where the checkpoints stand behind it.
    Line {
        place: (PathBuf, u64),
        read: Option<Box<(Read, Signed)>>,
    },
    End,
}

impl Trail {
    /// What is there now.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let length = |day: Day| {
            let path = path_of(dir, day);
            let length = fs::metadata(&path)?.len();
            Ok((path, length))
        };
        let files = days(dir)?.into_iter().map(length).collect::<io::Result<Vec<_>>>()?;
        Ok(Self { files: files.into_iter(), open: None })
    }

    pub(super) fn next(&mut self) -> io::Result<Step> {
        loop {
            let Some(open) = &mut self.open else {
                let Some((path, left)) = self.files.next() else { return Ok(Step::End) };
                self.open = Some(Open { lines: Lines::open(&path)?, path, number: 0, left });
                continue;
            };
            open.number += 1;
            let place = (open.path.clone(), open.number);
            match open.lines.next()? {
                Next::Line(line) if (line.len() as u64) < open.left => {
                    open.left -= line.len() as u64 + 1;
                    let read = Checkpoint::parse(line).map(|read| {
                        let signed = read.checkpoint.stand(line);
                        Box::new((read, signed))
                    });
                    return Ok(Step::Line { place, read });
                }
                // A line that is still being written, or that a crash cut short, is the last one of all.
                Next::Torn(_) if open.left > 0 && self.files.len() > 0 => {
                    self.open = None;
                    return Ok(Step::Line { place, read: None });
                }
                Next::TooLong => return Ok(Step::Line { place, read: None }),
                Next::Line(_) | Next::Torn(_) | Next::End => self.open = None,
            }
        }
    }
}
