//! What a program writes to its stderr, for the operator: redacted, a line each, and not more than anybody reads.

use super::program::Program;
use crate::{
    clock,
    mcp::lines::{Line, Lines},
    operator,
    redact::{Detectors, Redactor, TenantSecret},
};
use bytes::BytesMut;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::timeout,
};

/// So much of a line is redacted. It is more than is shown: what is cut in two is not shown.
const READ_BYTES_MAX: usize = 8 << 10;
const SHOWN_BYTES_MAX: usize = 2 << 10;
/// So many lines are passed on in a window.
const LINES_MAX: u32 = 50;
const WINDOW: Duration = Duration::from_secs(10);

/// Reads a program's stderr to its end.
pub(super) async fn relay(
    stderr: impl AsyncRead + Unpin,
    who: String,
    program: Arc<Program>,
    redactor: Arc<Redactor>,
) {
    let mut stderr = stderr;
    let (mut lines, mut piece) = (Lines::new(READ_BYTES_MAX), BytesMut::with_capacity(READ_BYTES_MAX));
    let mut allowance = Allowance::new(clock::now());
    loop {
        piece.clear();
        let read = timeout(WINDOW, stderr.read_buf(&mut piece)).await;
        tell_left_out(&who, allowance.turned(clock::now()));
        let ended = match read {
            Err(_) => continue,
            Ok(Ok(0) | Err(_)) => true,
            Ok(Ok(_)) => false,
        };
        lines.push(&piece);
        let rest = |lines: &mut Lines| ended.then(|| lines.rest().map(Line::Whole)).flatten();
        while let Some(Line::Whole(line) | Line::Cut(line)) = lines.next_line().or_else(|| rest(&mut lines)) {
            if allowance.spend() {
                let line = program.conceal(String::from_utf8_lossy(&line).into_owned());
                operator::info(&format!("{who}: {}", shown(&redactor, &line)));
            }
        }
        if ended {
            tell_left_out(&who, allowance.left_out);
            return;
        }
    }
}

fn tell_left_out(who: &str, left_out: u64) {
    if left_out > 0 {
        operator::info(&format!("{who}: {left_out} lines of its stderr were left out"));
    }
}

/// For people who did not choose the program's words.
pub(super) fn redactor() -> Option<Redactor> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).ok()?;
    Some(Redactor::new(TenantSecret::derive(&secret, "stderr"), Detectors::all(), Vec::new()))
}

/// A line as the operator reads it: redacted, short, and without what would steer a terminal.
fn shown(redactor: &Redactor, line: &str) -> String {
    let text: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut text = redactor.line(text.trim()).into_string();
    if text.len() > SHOWN_BYTES_MAX {
        text.truncate(text.floor_char_boundary(SHOWN_BYTES_MAX));
        text.push('…');
    }
    text
}

/// How much may be passed on.
#[derive(Debug)]
struct Allowance {
    since: Instant,
    spent: u32,
    left_out: u64,
}

impl Allowance {
    fn new(now: Instant) -> Self {
        Self { since: now, spent: 0, left_out: 0 }
    }

    /// Whether one more line may be passed on.
    fn spend(&mut self) -> bool {
        let may = self.spent < LINES_MAX;
        if may {
            self.spent += 1;
        } else {
            self.left_out += 1;
        }
        may
    }

    /// Begins another window once one is over, and says how many lines were left out in it.
    fn turned(&mut self, now: Instant) -> u64 {
        if now.saturating_duration_since(self.since) < WINDOW {
            return 0;
        }
        std::mem::replace(self, Self::new(now)).left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_so_many_lines_and_the_rest_is_counted() {
        let start = clock::now();
        let mut allowance = Allowance::new(start);
        assert_eq!((0..60).filter(|_| allowance.spend()).count(), 50);
        assert_eq!(allowance.turned(start + WINDOW / 2), 0);
        assert!(!allowance.spend());
        assert_eq!(allowance.turned(start + WINDOW), 11);
        assert!(allowance.spend());
    }

    #[test]
    fn a_line_is_redacted_before_it_is_cut() {
        let redactor = redactor().unwrap();
        let told = shown(&redactor, "\u{1b}[31mfor ada@acme.example\tgone");
        assert!(told.starts_with("[31mfor [EMAIL_ADDRESS:") && told.ends_with("] gone"), "{told}");
        let long = format!("{} ada@acme.example {}", "é".repeat(1018), "x".repeat(3000));
        let told = shown(&redactor, &long);
        assert!(told.len() <= SHOWN_BYTES_MAX + 3 && !told.contains("ada"), "{told}");
    }
}
