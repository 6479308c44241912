//! Reads a tenant's records from the newest back, and what came since, in bounded memory and bounded reading: for a
//! person who looks at them. The audit trail and the log are two streams, merged by time. Where reading stopped is a
//! cursor: the day and the offset of each stream, so that it goes on there without reading anything twice.

use std::{
    collections::VecDeque,
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use super::{audit_files::each_line, before_base::kept_days as days, day_file::day_path, disk, stamp::Day};

const BLOCK_BYTES: usize = 64 << 10;
/// No record comes near it.
const LINE_BYTES_MAX: usize = 16 << 20;
/// Where the time stands in a line, `{"time":"` being before it.
const TIME_AT: std::ops::Range<usize> = 9..33;

/// One of a tenant's two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Audit,
    Log,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Audit, Self::Log];

    /// The name of its directory, and of the kind in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Log => "log",
        }
    }
}

/// A place between two lines of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub day: Day,
    pub offset: u64,
}

/// A place in both streams. `None` is before everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    pub audit: Option<Position>,
    pub log: Option<Position>,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.day, self.offset)
    }
}

impl Position {
    /// Reads `2026-11-25.1234`.
    pub fn parse(text: &str) -> Option<Self> {
        let (day, offset) = text.split_once('.')?;
        let day = Day::parse(day).filter(|_| day.len() == 10)?;
        let plain = !offset.is_empty() && offset.bytes().all(|byte| byte.is_ascii_digit());
        Some(Self { day, offset: offset.parse().ok().filter(|_| plain)? })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |at: Option<Position>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
        write!(f, "{}_{}", text(self.audit), text(self.log))
    }
}

impl Cursor {
    /// Reads what [`Cursor`]'s text is.
    pub fn parse(text: &str) -> Option<Self> {
        let (audit, log) = text.split_once('_')?;
        let one = |text: &str| if text == "-" { Some(None) } else { Position::parse(text).map(Some) };
        Some(Self { audit: one(audit)?, log: one(log)? })
    }

    /// The place in one of the streams.
    pub fn of(&self, kind: Kind) -> Option<Position> {
        match kind {
            Kind::Audit => self.audit,
            Kind::Log => self.log,
        }
    }

    fn set(&mut self, kind: Kind, at: Option<Position>) {
        match kind {
            Kind::Audit => self.audit = at,
            Kind::Log => self.log = at,
        }
    }
}

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Take,
    Skip,
    /// Nothing of this stream is wanted from here on.
    End,
}

/// A line that was taken, without its newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub kind: Kind,
    /// Where it begins.
    pub at: Position,
    pub text: Vec<u8>,
}

impl Line {
    /// The time that it tells, as text: texts of times sort as times do.
    fn time(&self) -> &[u8] {
        time_of(&self.text)
    }

    fn end(&self) -> Position {
        let length = u64::try_from(self.text.len()).unwrap_or(u64::MAX);
        Position { day: self.at.day, offset: self.at.offset.saturating_add(length).saturating_add(1) }
    }
}

/// The time that a record tells, as it stands there; empty for what is no record.
pub fn time_of(line: &[u8]) -> &[u8] {
    line.get(TIME_AT).unwrap_or_default()
}

/// How much is read at most.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Lines that are taken.
    pub lines: usize,
    /// Bytes of those.
    pub taken_bytes: usize,
    /// Bytes that are looked at, about.
    pub read_bytes: u64,
}

/// A part of a tenant's records.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Newest first.
    pub lines: Vec<Line>,
    /// From where on it goes on to older ones; `None` where there are none.
    pub older: Option<Cursor>,
    /// From where on what came since is read.
    pub newer: Cursor,
}

/// A tenant's records in a data directory. The name must be a tenant's: it becomes part of a path.
#[derive(Debug, Clone)]
pub struct Recent {
    data_dir: PathBuf,
    tenant: String,
    kinds: Vec<Kind>,
}

type Judge<'j> = dyn FnMut(Kind, &[u8]) -> Verdict + 'j;

impl Recent {
    /// Of these streams.
    pub fn new(data_dir: &Path, tenant: &crate::names::TenantId, kinds: &[Kind]) -> Self {
        Self { data_dir: data_dir.to_owned(), tenant: tenant.as_str().to_owned(), kinds: kinds.to_vec() }
    }

    /// Whether anything was ever recorded.
    pub fn is_there(&self) -> bool {
        self.kinds.iter().any(|kind| self.dir(*kind).is_dir())
    }

    fn dir(&self, kind: Kind) -> PathBuf {
        self.data_dir.join(kind.as_str()).join(&self.tenant)
    }

    /// The end of both streams, as far as they are written.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn end(&self) -> io::Result<Cursor> {
        let mut end = Cursor::default();
        for kind in Kind::ALL {
            let dir = self.dir(kind);
            let last = days(&dir)?.last().copied();
            let at = last.map(|day| Ok::<_, io::Error>(Position { day, offset: whole_length(&dir, day)? }));
            end.set(kind, at.transpose()?);
        }
        Ok(end)
    }

    /// Lines before a place, the newest first.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn older(&self, from: Option<Cursor>, bounds: Bounds, judge: &mut Judge<'_>) -> io::Result<Part> {
        let newer = self.end()?;
        let from = from.unwrap_or(newer);
        let mut left = bounds;
        let mut streams = Vec::new();
        for &kind in &self.kinds {
            let days = days(&self.dir(kind))?;
            let mut stream = Stream {
                dir: self.dir(kind),
                kind,
                days,
                at: from.of(kind),
                open: None,
                held: VecDeque::new(),
                all_held: None,
                next: None,
                read_bytes: bounds.read_bytes,
            };
            stream.advance(&left, judge)?;
            streams.push(stream);
        }
        let mut part = Part { newer, ..Part::default() };
        while left.lines > 0 && left.taken_bytes > 0 {
            // What one of them would have next is not known: it could be newer than what the other has.
            if streams.iter().any(|stream| stream.next.is_none() && stream.at.is_some()) {
                break;
            }
            let latest = streams.iter_mut().filter(|stream| stream.next.is_some());
            let latest = latest.max_by(|a, b| a.next_time().cmp(&b.next_time()));
            let Some(stream) = latest else { break };
            if let Some(line) = stream.next.take() {
                left.lines -= 1;
                left.taken_bytes = left.taken_bytes.saturating_sub(line.text.len());
                part.lines.push(line);
            }
            stream.advance(&left, judge)?;
        }
        let mut older = Cursor::default();
        for stream in &streams {
            older.set(stream.kind, stream.next.as_ref().map_or(stream.at, |next| Some(next.end())));
        }
        part.older = Some(older).filter(|older| *older != Cursor::default());
        Ok(part)
    }

    /// What came behind a place, the newest first; of too much the oldest, so that nothing is passed over.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn newer(&self, from: Cursor, bounds: Bounds, judge: &mut Judge<'_>) -> io::Result<Part> {
        let mut part = Part { newer: from, ..Part::default() };
        for &kind in &self.kinds {
            // Each has its own: a stream that grows fast leaves the other its part.
            let mut left = bounds;
            let dir = self.dir(kind);
            let start = from.of(kind);
            let is_over = |day: &Day| {
                start.is_some_and(|start| *day < start.day || (*day == start.day && start.offset == u64::MAX))
            };
            for day in days(&dir)?.into_iter().filter(|day| !is_over(day)) {
                let offset = start.filter(|start| start.day == day).map_or(0, |start| start.offset);
                let reached = forward(&dir, Position { day, offset }, &mut left, &mut |at, line| {
                    let takes = judge(kind, line) == Verdict::Take;
                    if takes {
                        part.lines.push(Line { kind, at, text: line.to_owned() });
                    }
                    takes
                })?;
                part.newer.set(kind, Some(Position { day, offset: reached }));
                if left.is_used_up() {
                    break;
                }
            }
        }
        part.lines.sort_by(|a, b| b.time().cmp(a.time()));
        Ok(part)
    }

    /// The line that begins at a place.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn line(&self, kind: Kind, at: Position) -> io::Result<Option<Vec<u8>>> {
        let dir = self.dir(kind);
        if !days(&dir)?.contains(&at.day) {
            return Ok(None);
        }
        let mut found = None;
        let mut one = Bounds { lines: 1, taken_bytes: usize::MAX, read_bytes: u64::MAX };
        forward(&dir, at, &mut one, &mut |place, line| {
            if place == at {
                found = Some(line.to_owned());
            }
            true
        })?;
        // What begins in the middle of a line is none.
        Ok(found.filter(|line| line.starts_with(b"{\"time\":\"")))
    }
}

impl Bounds {
    fn is_used_up(&self) -> bool {
        self.lines == 0 || self.taken_bytes == 0 || self.read_bytes == 0
    }

    fn looked_at(&mut self, bytes: usize) {
        self.read_bytes = less(self.read_bytes, bytes);
    }
}

fn less(budget: u64, bytes: usize) -> u64 {
    budget.saturating_sub(u64::try_from(bytes).unwrap_or(u64::MAX))
}

/// Reads whole lines of a day from a place on, until `taken` so many; returns the offset behind the last one.
fn forward(
    dir: &Path,
    from: Position,
    left: &mut Bounds,
    takes: &mut dyn FnMut(Position, &[u8]) -> bool,
) -> io::Result<u64> {
    let mut at = 0_u64;
    let path = day_path(dir, from.day);
    let mut hear = |line: &[u8], at: &mut u64| {
        let begins = *at;
        let bytes = u64::try_from(line.len()).unwrap_or(u64::MAX).saturating_add(1);
        if begins >= from.offset {
            left.looked_at(line.len() + 1);
            if takes(Position { day: from.day, offset: begins }, line) {
                left.lines -= 1;
                left.taken_bytes = left.taken_bytes.saturating_sub(line.len());
            }
        }
        *at = begins.saturating_add(bytes);
        if left.is_used_up() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    match disk::open(OpenOptions::new().read(true), &path) {
        Ok(mut file) => {
            at = file.metadata()?.len().min(from.offset);
            file.seek(SeekFrom::Start(at))?;
            lines_of(&mut file, &mut |line| hear(line, &mut at))?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut broke = false;
            each_line(&path, &mut |line| {
                let flow = hear(line, &mut at);
                broke = flow.is_break();
                flow
            })?;
            // A compressed day is over, and read once.
            at = if broke { at } else { u64::MAX };
        }
        Err(error) => return Err(error),
    }
    Ok(at)
}

/// The whole lines of what is read, in bounded memory.
fn lines_of(from: &mut impl Read, heard: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let before = buffer.len();
        let read = from.take(BLOCK_BYTES as u64).read_to_end(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        let Some(last) = memchr::memrchr(b'\n', buffer.get(before..).unwrap_or_default()) else {
            if buffer.len() > LINE_BYTES_MAX {
                return Err(too_long());
            }
            continue;
        };
        let whole = before + last;
        for line in buffer.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n') {
            if heard(line).is_break() {
                return Ok(());
            }
        }
        buffer.drain(..=whole);
    }
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a line is longer than any record")
}

/// The length of a day's file up to its last newline.
fn whole_length(dir: &Path, day: Day) -> io::Result<u64> {
    match Backwards::open(&day_path(dir, day), u64::MAX) {
        Ok(lines) => Ok(lines.end()),
        // A compressed day is over: its end is behind whatever it holds.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(u64::MAX),
        Err(error) => Err(error),
    }
}

/// One stream, read backwards.
struct Stream {
    dir: PathBuf,
    kind: Kind,
    /// Oldest first.
    days: Vec<Day>,
    /// Everything from there on was looked at. `None`: all of it.
    at: Option<Position>,
    /// The day's file, while it is read.
    open: Option<(Day, Backwards)>,
    /// The last lines of a compressed day that are wanted, oldest first.
    held: VecDeque<Line>,
    /// The day of which no others are wanted than were held.
    all_held: Option<Day>,
    /// The line that was found and not given out yet.
    next: Option<Line>,
    /// So much more is looked at. Its own, so that each answer gets further in both streams.
    read_bytes: u64,
}

impl Stream {
    fn next_time(&self) -> Option<&[u8]> {
        self.next.as_ref().map(Line::time)
    }

    /// Finds the next line that is wanted.
    fn advance(&mut self, left: &Bounds, judge: &mut Judge<'_>) -> io::Result<()> {
        while let Some(at) = self.at {
            if let Some(line) = self.held.pop_back() {
                self.at = Some(line.at);
                self.next = Some(line);
                return Ok(());
            }
            if at.offset == 0 || self.all_held == Some(at.day) || !self.days.contains(&at.day) {
                let before = self.days.iter().rev().find(|day| **day < at.day);
                self.at = before.map(|&day| Position { day, offset: u64::MAX });
                self.open = None;
                continue;
            }
            if self.read_bytes == 0 {
                return Ok(());
            }
            if self.look(at, left, judge)? == ControlFlow::Break(()) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Looks at the line before a place, or at all of a compressed day. Breaks where one is found, or the stream ends.
    fn look(&mut self, at: Position, left: &Bounds, judge: &mut Judge<'_>) -> io::Result<ControlFlow<()>> {
        if self.open.as_ref().is_none_or(|(day, _)| *day != at.day) {
            match Backwards::open(&day_path(&self.dir, at.day), at.offset) {
                Ok(lines) => self.open = Some((at.day, lines)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return self.look_at_compressed(at, left, judge).map(|()| ControlFlow::Continue(()));
                }
                Err(error) => return Err(error),
            }
        }
        let Some((_, lines)) = &mut self.open else { return Ok(ControlFlow::Continue(())) };
        let Some((offset, text)) = lines.previous()? else {
            self.at = Some(Position { day: at.day, offset: 0 });
            return Ok(ControlFlow::Continue(()));
        };
        let place = Position { day: at.day, offset };
        self.read_bytes = less(self.read_bytes, text.len() + 1);
        self.at = Some(place);
        match judge(self.kind, text) {
            Verdict::Skip => Ok(ControlFlow::Continue(())),
            Verdict::Take => {
                self.next = Some(Line { kind: self.kind, at: place, text: text.to_owned() });
                Ok(ControlFlow::Break(()))
            }
            Verdict::End => {
                self.at = None;
                Ok(ControlFlow::Break(()))
            }
        }
    }

    /// What is compressed can only be read from its beginning: its last wanted lines before the place are held.
    fn look_at_compressed(&mut self, at: Position, left: &Bounds, judge: &mut Judge<'_>) -> io::Result<()> {
        let (mut offset, mut bytes, kind) = (0_u64, 0_usize, self.kind);
        let (mut cut, mut read_bytes) = (false, self.read_bytes);
        let mut held: VecDeque<Line> = VecDeque::new();
        let read = each_line(&day_path(&self.dir, at.day), &mut |text| {
            if offset >= at.offset {
                return ControlFlow::Break(());
            }
            read_bytes = less(read_bytes, text.len() + 1);
            match judge(kind, text) {
                Verdict::Skip => {}
                // Everything up to here is too old.
                Verdict::End => (bytes, cut) = (drop_all(&mut held), false),
                Verdict::Take => {
                    let place = Position { day: at.day, offset };
                    bytes += text.len();
                    held.push_back(Line { kind, at: place, text: text.to_owned() });
                    while held.len() > left.lines.max(1) || (bytes > left.taken_bytes && held.len() > 1) {
                        cut = true;
                        bytes -= held.pop_front().map_or(0, |line| line.text.len());
                    }
                }
            }
            offset += u64::try_from(text.len()).unwrap_or(0) + 1;
            ControlFlow::Continue(())
        });
        match read {
            // Removed since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            read => read?,
        }
        (self.held, self.read_bytes) = (held, read_bytes);
        self.all_held = Some(at.day).filter(|_| !cut);
        Ok(())
    }
}

/// Nothing is left, which has no bytes.
fn drop_all(held: &mut VecDeque<Line>) -> usize {
    held.clear();
    0
}

/// A plain file's lines, the last one first.
struct Backwards {
    file: File,
    /// Where the buffer begins in the file.
    start: u64,
    buffer: Vec<u8>,
    /// Up to here the buffer was not given out; a newline is before it.
    end: usize,
}

impl Backwards {
    /// Before an offset, from the last whole line on.
    fn open(path: &Path, before: u64) -> io::Result<Self> {
        let file = disk::open(OpenOptions::new().read(true), path)?;
        let start = file.metadata()?.len().min(before);
        let mut lines = Self { file, start, buffer: Vec::new(), end: 0 };
        while lines.fill()? {
            if let Some(newline) = memchr::memrchr(b'\n', &lines.buffer) {
                lines.end = newline + 1;
                return Ok(lines);
            }
            lines.end = lines.buffer.len();
        }
        lines.end = 0;
        Ok(lines)
    }

    fn end(&self) -> u64 {
        self.start.saturating_add(u64::try_from(self.end).unwrap_or(0))
    }

    /// Where a line begins, and the line.
    fn previous(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        if self.end == 0 && !self.fill()? {
            return Ok(None);
        }
        loop {
            let last = self.end.saturating_sub(1);
            if let Some(newline) = memchr::memrchr(b'\n', self.buffer.get(..last).unwrap_or_default()) {
                self.end = newline + 1;
                let at = self.end();
                return Ok(Some((at, self.buffer.get(newline + 1..last).unwrap_or_default())));
            }
            if !self.fill()? {
                self.end = 0;
                return Ok(Some((0, self.buffer.get(..last).unwrap_or_default())));
            }
        }
    }

    /// Reads a block more before the buffer. False at the beginning of the file.
    fn fill(&mut self) -> io::Result<bool> {
        if self.start == 0 {
            return Ok(false);
        }
        if self.end > LINE_BYTES_MAX {
            return Err(too_long());
        }
        let from = self.start.saturating_sub(BLOCK_BYTES as u64);
        let mut block = vec![0; usize::try_from(self.start - from).unwrap_or(0)];
        self.file.seek(SeekFrom::Start(from))?;
        self.file.read_exact(&mut block)?;
        self.end += block.len();
        block.extend_from_slice(self.buffer.get(..self.end - block.len()).unwrap_or_default());
        self.buffer = block;
        self.start = from;
        Ok(true)
    }
}

#[cfg(test)]
#[path = "tests/recent.rs"]
mod tests;
