//! The few things that records do to a disk: private directories and files, whole lines appended, a small file
//! replaced at once, lines read back. Apart so that modes, fsyncs and limits stand in one place.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use super::{
    day_file::{DayFile, day_path},
    stamp::Day,
};

/// Longest line that is read back; no record comes near it.
const LINE_BYTES_MAX: usize = 16 << 20;
pub(super) const BLOCK_BYTES: usize = 1 << 20;

/// Makes a directory and its parents, readable to the owner alone.
pub(super) fn create_dir(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

/// Options for a file that is readable to the owner alone, when it is created.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Opens a file. What is no regular one is refused: a named pipe would be waited for, and a device has no end.
pub(super) fn open(options: &OpenOptions, path: &Path) -> io::Result<File> {
    match fs::metadata(path) {
        Ok(meta) if !meta.is_file() => {
            let what = if meta.is_dir() { "a directory" } else { "a pipe, socket or device" };
            Err(io::Error::other(format!("{} is {what}, not a file: remove it", path.display())))
        }
        Ok(_) | Err(_) => options.open(path),
    }
}

/// What a small file holds.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut held = Vec::new();
    open(OpenOptions::new().read(true), path)?.read_to_end(&mut held)?;
    Ok(held)
}

/// The names in a directory that are UTF-8, sorted; none if there is no directory.
pub(super) fn names(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// Puts `text` in the place of a file: either the old or the new one is there at any time, power cuts included once
/// the directory is synced.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let fresh = path.with_extension("tmp");
    let mut file = open(private().write(true).create(true).truncate(true), &fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_data()?;
    fs::rename(&fresh, path)
}

/// Makes what was created or renamed in a directory last.
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Opens a file to append lines to, and returns its length too.
pub(super) fn open_append(path: &Path) -> io::Result<(File, u64)> {
    let file = open(private().read(true).append(true).create(true), path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

/// Writes what a file holds there once more: after a failed sync no other writes it.
pub(super) fn write_again(path: &Path, from: u64, to: u64) -> io::Result<()> {
    let mut file = open(OpenOptions::new().read(true).write(true), path)?;
    let (mut at, mut block) = (from, Vec::new());
    while at < to {
        let wanted = (to - at).min(BLOCK_BYTES as u64);
        block.clear();
        file.seek(SeekFrom::Start(at))?;
        let read = (&file).take(wanted).read_to_end(&mut block)?;
        if read == 0 {
            break;
        }
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&block)?;
        at += read as u64;
    }
    Ok(())
}

/// The length of an open file, if it is the one at its path still.
pub(super) fn is_still(path: &Path, file: &File) -> Option<u64> {
    let (open, there) = (file.metadata().ok()?, fs::metadata(path).ok()?);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if (open.dev(), open.ino()) != (there.dev(), there.ino()) {
            return None;
        }
    }
    Some(open.len().min(there.len()))
}

/// Moves a last line without its end (a crash in the middle of a write) into `NAME.torn` beside the file. Returns the
/// length of what is whole, and how many bytes were moved.
pub(super) fn mend(path: &Path) -> io::Result<(u64, u64)> {
    let mut file = open(OpenOptions::new().read(true).write(true), path)?;
    let length = file.metadata()?.len();
    let whole = whole_length(&mut file, length)?;
    if whole == length {
        return Ok((length, 0));
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".torn");
    let mut aside = open(private().append(true).create(true), Path::new(&name))?;
    file.seek(SeekFrom::Start(whole))?;
    io::copy(&mut file, &mut aside)?;
    aside.sync_data()?;
    file.set_len(whole)?;
    file.sync_data()?;
    Ok((whole, length - whole))
}

/// The length of a file up to its last newline, which it looks for from the end.
fn whole_length(file: &mut File, length: u64) -> io::Result<u64> {
    let mut block = [0_u8; 4096];
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(4096);
        let part = block.get_mut(..usize::try_from(end - start).unwrap_or(0)).unwrap_or_default();
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(newline) = memchr::memrchr(b'\n', part) {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Reads a file line by line, in bounded memory.
pub(super) struct Lines {
    file: DayFile,
    buffer: Vec<u8>,
    /// What of the buffer was not given out yet.
    unread: std::ops::Range<usize>,
}

/// What comes next in a file.
pub(super) enum Next<'a> {
    /// A line, without its newline.
    Line(&'a [u8]),
    /// The file ends in this many bytes that no newline closes.
    Torn(usize),
    /// A line is longer than any record. Reading cannot go on.
    TooLong,
    End,
}

impl Lines {
    /// The lines of a file, or of the compressed one of its name.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: DayFile::open(path)?, buffer: vec![0; BLOCK_BYTES], unread: 0..0 })
    }

    /// The lines of a day's file from an offset on.
    pub(super) fn of(dir: &Path, day: Day, from: u64) -> io::Result<Self> {
        let mut lines = Self::open(&day_path(dir, day))?;
        lines.file.skip(from)?;
        Ok(lines)
    }

    /// The file that is read.
    pub(super) fn path(&self) -> &Path {
        &self.file.path
    }

    pub(super) fn next(&mut self) -> io::Result<Next<'_>> {
        let mut searched = 0;
        loop {
            let unread = self.buffer.get(self.unread.clone()).unwrap_or_default();
            if let Some(at) = memchr::memchr(b'\n', unread.get(searched..).unwrap_or_default()) {
                let start = self.unread.start;
                let end = start + searched + at;
                self.unread.start = end + 1;
                return Ok(Next::Line(self.buffer.get(start..end).unwrap_or_default()));
            }
            searched = unread.len();
            if searched >= LINE_BYTES_MAX {
                return Ok(Next::TooLong);
            }
            if !self.fill()? {
                self.unread = 0..0;
                return Ok(if searched == 0 { Next::End } else { Next::Torn(searched) });
            }
        }
    }

    /// Reads more behind what is unread. False at the end of the file.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        if self.unread.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let read = self.file.read(self.buffer.get_mut(self.unread.end..).unwrap_or_default())?;
        self.unread.end += read;
        Ok(read > 0)
    }
}
