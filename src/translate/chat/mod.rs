//! OpenAI Chat Completions, read and written. Source of the shapes: `openai` 3.54.0 (Python), `types/chat`.

mod answer_reader;
mod answer_writer;
mod request_reader;
mod request_writer;

pub(super) use answer_reader::Reader;
pub(super) use answer_writer::{Writer, whole};
pub(super) use request_reader::read;
pub(super) use request_writer::write;
