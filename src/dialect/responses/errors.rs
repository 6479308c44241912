//! A refusal as the event that ends a stream. Whole answers carry OpenAI's error body.

use crate::{
    dialect::openai::error_type,
    json::{self, Value},
    refusal::Refusal,
};

/// The event that ends a stream which cannot go on. The error stands in a member of its own, in which form both
/// official clients raise on it; in the flat form one of them hands it on as an event like any other.
pub fn error_event(refusal: &Refusal, sequence_number: u64) -> Vec<u8> {
    let error = Value::object([
        ("type", Value::string(error_type(refusal.status()))),
        ("message", Value::string(refusal.message())),
        ("param", refusal.param().map_or(Value::Null, |param| Value::string(param.to_owned()))),
        ("code", Value::string(refusal.code())),
    ]);
    let event = Value::object([
        ("type", Value::string("error")),
        ("sequence_number", Value::integer(sequence_number)),
        ("error", error),
    ]);
    let mut out = b"event: error\ndata: ".to_vec();
    json::write(&event, &mut out);
    out.extend_from_slice(b"\n\n");
    out
}
