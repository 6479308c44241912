//! OpenAI Responses, for clients only: its requests are read and its answers written. Source of the shapes: `openai`
//! 3.54.0 (Python), `types/responses`.

mod answer_writer;
mod items;
mod output;
mod request_reader;

pub(super) use answer_writer::{Writer, whole};
pub(super) use request_reader::read;
