//! Anthropic Messages, read and written. Source of the shapes: `anthropic` 2.12.0 (Python), `types`.

mod answer_reader;
mod answer_writer;
mod blocks;
mod request_reader;
mod request_writer;

pub(super) use answer_reader::Reader;
pub(super) use answer_writer::{Writer, whole};
pub(super) use request_reader::read;
pub(super) use request_writer::write;
