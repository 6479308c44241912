//! The terminal while `tollgate top` has it: keys one by one, a screen of its own, and all of it given back however the
//! command ends.

use rustix::termios::{OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::{self, Read, Write, stdin, stdout};

/// Another screen, no cursor, no wrapping.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
/// A key is waited for so long, in tenths of a second.
const WAIT: u8 = 1;

/// A terminal that is taken. Dropping it gives it back.
pub(super) struct Terminal {
    before: Termios,
}

impl Terminal {
    /// Takes the terminal.
    pub(super) fn take() -> io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        raw.special_codes[SpecialCodeIndex::VMIN] = 0;
        raw.special_codes[SpecialCodeIndex::VTIME] = WAIT;
        tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        let terminal = Self { before };
        stdout().write_all(ENTER.as_bytes())?;
        stdout().flush()?;
        Ok(terminal)
    }

    /// Columns and lines.
    pub(super) fn size() -> (usize, usize) {
        let size = tcgetwinsize(stdout()).map(|size| (usize::from(size.ws_col), usize::from(size.ws_row)));
        size.ok().filter(|(columns, lines)| *columns > 0 && *lines > 0).unwrap_or((80, 24))
    }

    /// The keys that were pressed meanwhile; waits a moment for the first one. Arrows are `k` and `j`, Escape is `q`.
    pub(super) fn keys() -> io::Result<Vec<u8>> {
        let mut keys = [0; 64];
        let read = stdin().lock().read(&mut keys)?;
        let keys = keys.get(..read).unwrap_or_default();
        Ok(match keys {
            b"\x1b[A" | b"\x1bOA" => b"k".to_vec(),
            b"\x1b[B" | b"\x1bOB" => b"j".to_vec(),
            b"\x1b" => b"q".to_vec(),
            keys if keys.starts_with(b"\x1b") => Vec::new(),
            keys => keys.to_vec(),
        })
    }

    /// Shows lines, each in its place, without clearing the screen first: nothing flickers.
    pub(super) fn show(lines: &[String]) -> io::Result<()> {
        let mut out = String::from("\x1b[H");
        for (number, line) in lines.iter().enumerate() {
            if number > 0 {
                out.push_str("\r\n");
            }
            out.push_str(line);
            out.push_str("\x1b[K");
        }
        out.push_str("\x1b[J");
        stdout().write_all(out.as_bytes())?;
        stdout().flush()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Whoever closed the terminal misses nothing.
        drop(stdout().write_all(LEAVE.as_bytes()));
        drop(stdout().flush());
        tcsetattr(stdin(), OptionalActions::Flush, &self.before).ok();
    }
}
