//! A refusal in Anthropic's words.

use crate::{
    json::{self, Value},
    refusal::Refusal,
};

/// Turns that the provider keeps.
const THREAD: &str = "thread";

/// `{"type":"error","error":{"type","message"},"request_id"}`
pub fn error_body(refusal: &Refusal, request_id: &str) -> Vec<u8> {
    let mut body = body(refusal);
    body.set("request_id", Value::string(request_id));
    let mut out = Vec::new();
    json::write(&body, &mut out);
    out
}

/// The event that ends a stream which cannot go on. Both official clients raise on it.
pub fn error_event(refusal: &Refusal) -> Vec<u8> {
    let mut out = b"event: error\ndata: ".to_vec();
    json::write(&body(refusal), &mut out);
    out.extend_from_slice(b"\n\n");
    out
}

fn body(refusal: &Refusal) -> Value<'static> {
    let mut error = Value::object([
        ("type", Value::string(error_type(refusal.status()))),
        ("message", Value::string(refusal.message())),
    ]);
    if refusal.param() == Some(THREAD) {
        // By this the official clients know that they have to go on without.
        let details = Value::object([
            ("error_code", Value::string("thread_unsupported_request")),
            ("unsupported", Value::Array(vec![Value::string(THREAD)])),
        ]);
        error.set("details", details);
    }
    if matches!(refusal, Refusal::ContentBlocked { .. }) {
        error.set("details", Value::object([("error_code", Value::string(refusal.code()))]));
    }
    Value::object([("type", Value::string("error")), ("error", error)])
}

/// Source: Anthropic's API reference, "Errors".
fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 => "overloaded_error",
        504 => "timeout_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}
