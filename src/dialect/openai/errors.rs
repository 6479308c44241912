//! A refusal in OpenAI's words, and an upstream's refusal in ours.

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

fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

/// The message of an upstream's error body, if it has one where OpenAI's and its relatives put it.
pub fn upstream_message(body: &[u8]) -> Option<String> {
    let body = json::parse(body, 32).ok()?;
    let error = body.get("error");
    let message = error
        .and_then(|error| error.get("message").or(Some(error)))
        .or_else(|| body.get("message"))
        .or_else(|| body.get("detail"))?;
    message.as_str().map(ToOwned::to_owned)
}
