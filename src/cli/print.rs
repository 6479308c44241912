//! Writing to a command's output. A reader that went away (`| head`) is no error.

use super::{Format, Status};
use crate::{
    config::{self, Colour, FileId, Loaded, Problem, Severity},
    json::{self, Value},
    offline::Unfit,
};
use std::{
    io::{self, IsTerminal, Write},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

/// Whether output could not be written.
static IS_LOST: AtomicBool = AtomicBool::new(false);

/// A line on stdout.
pub(super) fn line(text: &str) {
    note_lost(&writeln!(io::stdout().lock(), "{text}"));
}

/// Text on stdout, as it is.
pub(super) fn text(text: &str) {
    note_lost(&io::stdout().lock().write_all(text.as_bytes()));
}

fn note_lost(written: &io::Result<()>) {
    let is_lost = written.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::BrokenPipe);
    IS_LOST.fetch_or(is_lost, Ordering::Relaxed);
}

/// The status of a command whose output is written: what nobody could write was not told.
pub(super) fn finished(status: Status) -> Status {
    note_lost(&io::stdout().lock().flush());
    if IS_LOST.load(Ordering::Relaxed) && matches!(status, Status::Fine) {
        return failed("the output could not be written; is the disk full?");
    }
    status
}

/// Colour only on a terminal that did not refuse it.
pub(super) fn colour(stream: &impl IsTerminal) -> Colour {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if stream.is_terminal() && !refused { Colour::Ansi } else { Colour::Plain }
}

/// `1 error`, `2 errors`.
pub(super) fn plural(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// Rows in columns, each as wide as its widest cell, behind an indent; the text is tame.
pub(super) fn columns(rows: &[Vec<String>], indent: usize) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| tame(cell)).collect()).collect();
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..count).map(|at| width(at).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(format!("{}{}", " ".repeat(indent), cells.join("  ")).trim_end());
        out.push('\n');
    }
    out
}

/// Text that may come from anywhere, for a terminal: control characters, those that begin a line and those that turn
/// the direction of text are escaped.
pub(super) fn tame(text: &str) -> String {
    let turns =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || turns(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

/// The same line by line.
pub(super) fn tame_lines(text: &str) -> String {
    text.split('\n').map(tame).collect::<Vec<_>>().join("\n")
}

/// A configuration that cannot be used: its errors as `check` shows them, on stderr, or as `problems` on stdout.
pub(super) fn unfit(unfit: &Unfit, format: Format) -> Status {
    match format {
        Format::Json => {
            let problems = config::to_json(&unfit.problems, &unfit.files).to_string();
            let problems = json::parse(problems.as_bytes(), json::NESTING_MAX).unwrap_or_default();
            line(&Value::object([("problems", problems)]).to_string());
        }
        Format::Text => {
            let stderr = io::stderr();
            let text = config::to_text(&unfit.problems, &unfit.files, colour(&stderr));
            drop(stderr.lock().write_all(text.as_bytes()));
            error(&format!("{}: the configuration does not load", plural(unfit.problems.len(), "error")));
        }
    }
    Status::Findings
}

/// An error on stderr.
pub(super) fn error(message: &str) {
    drop(writeln!(io::stderr().lock(), "error: {message}"));
}

/// A configuration in which nothing is wrong. The error is for people: what is read from one with an error may be from
/// another place than was meant.
pub(super) fn sound(path: &Path) -> Result<Loaded, String> {
    sound_where(path, |_| true)
}

/// The same where errors in the tenants' files do not matter.
pub(super) fn sound_but_for_tenants(path: &Path) -> Result<Loaded, String> {
    sound_where(path, |file| file == FileId::default())
}

fn sound_where(path: &Path, matters: impl Fn(FileId) -> bool) -> Result<Loaded, String> {
    let mut loaded = config::load(path);
    let is_wrong = |problem: &Problem| {
        problem.severity == Severity::Error && problem.at.is_none_or(|at| matters(at.file))
    };
    let wrong: Vec<Problem> = loaded.problems.extract_if(.., |problem| is_wrong(problem)).collect();
    if loaded.gateway.is_some() && wrong.is_empty() {
        return Ok(loaded);
    }
    let text = config::to_text(&wrong, &loaded.files, colour(&io::stderr()));
    Err(format!("the configuration does not load\n{}", text.trim_end()))
}

/// What is not wrong, and worth knowing, on stderr.
pub(super) fn note(message: &str) {
    drop(writeln!(io::stderr().lock(), "note: {message}"));
}

/// An error on stderr, and the status that goes with it.
pub(super) fn failed(message: &str) -> Status {
    error(message);
    Status::Findings
}
