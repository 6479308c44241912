//! Writing to a command's output. A reader that went away (`| head`) is no error.

use super::Status;
use std::io::Write;

/// A line on stdout.
pub(super) fn line(text: &str) {
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}

/// Text on stdout, as it is.
pub(super) fn text(text: &str) {
    drop(std::io::stdout().lock().write_all(text.as_bytes()));
}

/// An error on stderr.
pub(super) fn error(message: &str) {
    drop(writeln!(std::io::stderr().lock(), "error: {message}"));
}

/// An error on stderr, and the status that goes with it.
pub(super) fn failed(message: &str) -> Status {
    error(message);
    Status::Findings
}
