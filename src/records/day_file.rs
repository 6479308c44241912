//! A day's file, plain or compressed: what it is called, which days a directory holds, and reading either kind. Apart
//! because everybody who reads records must take both, and take the same one where a crash left both.
//!
//! A day is written plain, `DAY.jsonl`, and becomes `DAY.jsonl.gz` once it is over. Where both are there the plain one
//! counts: the other was not finished, or the plain one was not removed yet. What a file is, its first bytes say.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;

use super::{
    disk::{self, BLOCK_BYTES, names},
    head::{file_name, parse_file_name},
    stamp::Day,
};

/// What the name of a compressed file ends in.
const GZIP: &str = ".gz";
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The file of a day that is being written.
pub(super) fn day_path(dir: &Path, day: Day) -> PathBuf {
    dir.join(file_name(day))
}

/// The file of a day that is there.
pub(super) fn there(dir: &Path, day: Day) -> PathBuf {
    let plain = day_path(dir, day);
    let packed = compressed(&plain);
    if !plain.exists() && packed.exists() { packed } else { plain }
}

/// A file's name when it is compressed.
pub(super) fn compressed(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(GZIP);
    name.into()
}

/// The day of a file's name, compressed or not; None for a file that is not a day's.
pub(super) fn parse_day(name: &str) -> Option<Day> {
    parse_file_name(name.strip_suffix(GZIP).unwrap_or(name))
}

/// The days that a directory has files of, oldest first; none if there is no directory.
pub(super) fn days(dir: &Path) -> io::Result<Vec<Day>> {
    let mut days: Vec<Day> = names(dir)?.iter().filter_map(|name| parse_day(name)).collect();
    days.sort_unstable();
    days.dedup();
    Ok(days)
}

/// The newest day that is compressed: nothing is appended to it any more. A file that holds nothing is nobody's day: it may
/// be of any, and the writer goes on where there is something.
pub(super) fn last_compressed(dir: &Path) -> io::Result<Option<Day>> {
    let names = names(dir)?;
    let mut days: Vec<Day> =
        names.iter().filter_map(|name| parse_file_name(name.strip_suffix(GZIP)?)).collect();
    days.sort_unstable();
    while let Some(day) = days.pop() {
        if !holds_nothing(&compressed(&day_path(dir, day)))? {
            return Ok(Some(day));
        }
    }
    Ok(None)
}

/// Whether a day's file has not a byte of records.
pub(super) fn holds_nothing(path: &Path) -> io::Result<bool> {
    match DayFile::open(path)?.read(&mut [0]) {
        Ok(read) => Ok(read == 0),
        Err(error) if is_damage(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes a day's file, and what a crash left beside it.
pub(super) fn remove_day(dir: &Path, day: Day) -> io::Result<()> {
    let plain = file_name(day);
    // The one that counts goes last: whatever is left of a removal that was interrupted is removed by the next.
    let (own, beside): (Vec<String>, Vec<String>) = names(dir)?
        .into_iter()
        .filter(|name| name.strip_prefix(&plain).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
        .partition(|name| *name == plain);
    beside.iter().chain(&own).try_for_each(|name| fs::remove_file(dir.join(name)))
}

/// A day's records, as they were written, from a plain or a compressed file.
#[derive(Debug)]
pub struct DayFile {
    /// What was opened: not what was asked for where that was compressed meanwhile.
    pub path: PathBuf,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Plain(File),
    Gzip(Box<MultiGzDecoder<io::BufReader<File>>>),
}

impl DayFile {
    /// Opens a file, or the compressed one of its name.
    ///
    /// # Errors
    /// Where neither is there or can be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let (path, mut file) = match disk::open(OpenOptions::new().read(true), path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let path = compressed(path);
                let file = match disk::open(OpenOptions::new().read(true), &path) {
                    Err(own) if own.kind() == io::ErrorKind::NotFound => return Err(error),
                    opened => opened?,
                };
                (path, file)
            }
            opened => (path.to_path_buf(), opened?),
        };
        let mut magic = Vec::new();
        Read::by_ref(&mut file).take(GZIP_MAGIC.len() as u64).read_to_end(&mut magic)?;
        file.seek(SeekFrom::Start(0))?;
        let source = if magic == GZIP_MAGIC {
            let file = io::BufReader::with_capacity(BLOCK_BYTES / 4, file);
            Source::Gzip(Box::new(MultiGzDecoder::new(file)))
        } else {
            Source::Plain(file)
        };
        Ok(Self { path, source })
    }

    /// The file of a day.
    pub(super) fn of(dir: &Path, day: Day) -> io::Result<Self> {
        Self::open(&day_path(dir, day))
    }

    /// Passes over so many bytes. There may be fewer.
    pub(super) fn skip(&mut self, bytes: u64) -> io::Result<()> {
        match &mut self.source {
            Source::Plain(file) => file.seek(SeekFrom::Start(bytes)).map(drop),
            Source::Gzip(decoder) => io::copy(&mut decoder.take(bytes), &mut io::sink()).map(drop),
        }
    }

    /// About how many bytes it holds, for a progress bar: what a compressed file says of itself, to 4 GiB.
    pub fn size(self) -> u64 {
        let of = |mut file: &File| -> io::Result<u64> {
            let mut size = [0; 4];
            file.seek(SeekFrom::End(-4))?;
            file.read_exact(&mut size)?;
            Ok(u64::from(u32::from_le_bytes(size)))
        };
        match &self.source {
            Source::Plain(file) => file.metadata().map_or(0, |meta| meta.len()),
            Source::Gzip(decoder) => of(decoder.get_ref().get_ref()).unwrap_or(0),
        }
    }
}

impl Read for DayFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.source {
            Source::Plain(file) => file.read(buffer),
            Source::Gzip(decoder) => decoder.read(buffer),
        }
    }
}

/// Whether a compressed file is not what it was: it was cut or changed. Then what can be read counts, and the verifier
/// finds the rest.
pub(super) fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof)
}

/// The last `N` bytes before `end` of what a day's file holds; None if that is shorter.
pub(super) fn bytes_before<const N: usize>(dir: &Path, day: Day, end: u64) -> io::Result<Option<[u8; N]>> {
    let mut file = DayFile::of(dir, day)?;
    let Some(start) = end.checked_sub(N as u64) else { return Ok(None) };
    let mut bytes = [0; N];
    match file.skip(start).and_then(|()| file.read_exact(&mut bytes)) {
        Err(error) if is_damage(&error) => Ok(None),
        read => read.map(|()| Some(bytes)),
    }
}

/// Whether a day has a plain and a compressed file that do not hold the same.
pub(super) fn differs_beside(dir: &Path, day: Day) -> io::Result<bool> {
    let plain = day_path(dir, day);
    let packed = compressed(&plain);
    if !packed.exists() || !plain.exists() {
        return Ok(false);
    }
    let open = |path: &Path| disk::open(OpenOptions::new().read(true), path);
    let mut plain = io::BufReader::with_capacity(BLOCK_BYTES, open(&plain)?);
    let packed = MultiGzDecoder::new(io::BufReader::new(open(&packed)?));
    let mut packed = io::BufReader::with_capacity(BLOCK_BYTES, packed);
    loop {
        let (left, right) = match (plain.fill_buf(), packed.fill_buf()) {
            (Ok(left), Ok(right)) => (left, right),
            (_, Err(error)) if is_damage(&error) => return Ok(true),
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        let length = left.len().min(right.len());
        if left.get(..length) != right.get(..length) || (length == 0 && left.len() != right.len()) {
            return Ok(true);
        }
        if length == 0 {
            return Ok(false);
        }
        plain.consume(length);
        packed.consume(length);
    }
}

/// How many bytes of records a day's file holds.
pub(super) fn length(dir: &Path, day: Day) -> io::Result<u64> {
    let file = DayFile::of(dir, day)?;
    if let Source::Plain(file) = &file.source {
        return Ok(file.metadata()?.len());
    }
    let mut length = 0;
    each_block(file, |block| length += block.len() as u64)?;
    Ok(length)
}

/// How many whole lines a day's file has.
pub(super) fn count_lines(dir: &Path, day: Day) -> io::Result<u64> {
    let mut count = 0;
    each_block(DayFile::of(dir, day)?, |block| count += memchr::memchr_iter(b'\n', block).count() as u64)?;
    Ok(count)
}

/// Reads on as far as it goes.
fn each_block(mut file: DayFile, mut heard: impl FnMut(&[u8])) -> io::Result<()> {
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(read) => heard(block.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_damage(&error) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
