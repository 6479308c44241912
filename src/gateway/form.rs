//! Whether an answer comes in the form that was asked for: whole, or as a stream. A client reads the one or the other.

use crate::refusal::Refusal;
use http::{HeaderMap, header};

/// Whether the head of an answer says that it streams.
pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    media.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// Refuses a stream that nobody asked for, and a whole answer where a stream was asked for.
pub(super) fn check(headers: &HeaderMap, asked_for_stream: bool) -> Result<(), Refusal> {
    let message = match (is_event_stream(headers), asked_for_stream) {
        (true, false) => "the upstream streams an answer that was asked for whole",
        (false, true) => "the upstream answers whole where a stream was asked for",
        (true, true) | (false, false) => return Ok(()),
    };
    Err(Refusal::UpstreamError { message })
}
