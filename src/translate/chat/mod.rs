//! OpenAI Chat Completions, read and written. Source of the shapes: `openai` 3.54.0 (Python), `types/chat`.

mod request_reader;
mod request_writer;

pub(super) use request_reader::read;
pub(super) use request_writer::write;
