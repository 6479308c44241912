//! Anthropic Messages, read and written. Source of the shapes: `anthropic` 2.12.0 (Python), `types`.

mod blocks;
mod request_reader;
mod request_writer;

pub(super) use request_reader::read;
pub(super) use request_writer::write;
