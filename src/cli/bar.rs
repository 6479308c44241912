//! How far a command is that reads many files: a bar on a terminal, nothing elsewhere.

use crate::{clock, records::DayFile};
use std::{
    io::{IsTerminal, Write, stderr},
    path::PathBuf,
    time::{Duration, Instant},
};

/// The bar is drawn anew so often.
const REDRAWN_EVERY: Duration = Duration::from_millis(200);

/// How far it is, on a terminal.
pub(super) struct Bar {
    shown: bool,
    bytes: u64,
    started: Instant,
    drawn: Option<Instant>,
}

impl Bar {
    pub(super) fn over(files: &[PathBuf]) -> Self {
        let size = |path: &PathBuf| DayFile::open(path).map_or(0, |file| file.size());
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let shown = stderr().is_terminal() && !refused;
        let bytes = if shown { files.iter().map(size).sum() } else { 0 };
        Self { shown, bytes, started: clock::now(), drawn: None }
    }

    pub(super) fn draw(&mut self, bytes: u64) {
        const WIDTH: u64 = 30;
        let now = clock::now();
        let fresh = self.drawn.is_some_and(|drawn| now.duration_since(drawn) < REDRAWN_EVERY);
        if !self.shown || fresh {
            return;
        }
        self.drawn = Some(now);
        let of = |whole: u64| (bytes * whole).checked_div(self.bytes).unwrap_or(whole).min(whole);
        let done = usize::try_from(of(WIDTH)).unwrap_or(0);
        let left = usize::try_from(WIDTH - of(WIDTH)).unwrap_or(0);
        let millis = u64::try_from(now.duration_since(self.started).as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = bytes / millis / 1000;
        let bar = format!("\r[{}{}] {:>3} %  {rate} MB/s ", "#".repeat(done), " ".repeat(left), of(100));
        let mut stderr = stderr().lock();
        drop(stderr.write_all(bar.as_bytes()).and_then(|()| stderr.flush()));
    }

    pub(super) fn clear(&mut self) {
        if self.drawn.take().is_some() {
            drop(stderr().lock().write_all(b"\r\x1b[K"));
        }
    }
}
