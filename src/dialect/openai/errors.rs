//! A refusal in OpenAI's words.

use crate::{
    json::{self, Value},
    refusal::Refusal,
};

/// `{"error":{"message","type","param","code"}}`
pub fn error_body(refusal: &Refusal) -> Vec<u8> {
    let param = refusal.param().map_or(Value::Null, |param| Value::string(param.to_owned()));
    let error = Value::object([
        ("message", Value::string(refusal.message())),
        ("type", Value::string(error_type(refusal.status()))),
        ("param", param),
        ("code", Value::string(refusal.code())),
    ]);
    let mut out = Vec::new();
    json::write(&Value::object([("error", error)]), &mut out);
    out
}

/// The event that ends a stream which cannot go on. Both official clients raise on it.
pub fn error_event(refusal: &Refusal) -> Vec<u8> {
    [b"data: ".as_slice(), &error_body(refusal), b"\n\n"].concat()
}

pub(in crate::dialect) fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}
