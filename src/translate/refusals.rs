//! What is said of an answer that cannot be translated, in the words of the dialects. Apart because every reader of
//! answers says it.

use crate::refusal::Refusal;

/// The upstream says that it failed, in a stream or with a status of 200.
pub(super) fn upstream_error() -> Refusal {
    Refusal::UpstreamError { message: "the upstream reported an error" }
}

/// A stream that may carry what is not understood.
pub(super) fn unreadable_stream() -> Refusal {
    Refusal::UpstreamError { message: "the upstream's stream cannot be inspected" }
}

/// A whole answer that may carry what is not understood.
pub(super) fn unreadable_answer() -> Refusal {
    Refusal::UpstreamError { message: "the upstream's answer cannot be inspected" }
}

/// A stream that says that it is over and is not complete.
pub(super) fn broken_off() -> Refusal {
    Refusal::UpstreamError { message: "the upstream's answer broke off" }
}
