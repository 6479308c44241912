//! What each dialect does in its own way around an answer: errors, the end of a stream, the provider's headers.

use serde_json::{Value, json};

use super::plan::BadRequest;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// OpenAI's API, all but Responses.
    OpenAi,
    Responses,
    /// Anthropic's Messages.
    Anthropic,
}

/// An event of a stream; in OpenAI's older endpoints without a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) name: Option<String>,
    pub(super) data: String,
}

/// A request that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) status: u16,
    pub(super) message: String,
    pub(super) code: Option<&'static str>,
    pub(super) param: Option<&'static str>,
}

impl Fault {
    /// With the code that goes with the status.
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        let code = match status {
            401 => Some("invalid_api_key"),
            404 => Some("model_not_found"),
            429 => Some("rate_limit_exceeded"),
            _ => None,
        };
        Self { status, message: message.into(), code, param: None }
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }
}

impl<E: Into<BadRequest>> From<E> for Fault {
    fn from(bad: E) -> Self {
        Self::bad(bad.into().to_string())
    }
}

impl Dialect {
    pub(super) fn of(path: &str) -> Self {
        match path {
            _ if path.starts_with("/v1/messages") => Self::Anthropic,
            _ if path.starts_with("/v1/responses") => Self::Responses,
            _ => Self::OpenAi,
        }
    }

    /// The header in which the provider names a request.
    pub(super) fn request_id_header(self) -> &'static str {
        match self {
            Self::OpenAi | Self::Responses => "x-request-id",
            Self::Anthropic => "request-id",
        }
    }

    /// The body of an error, for the request of this number.
    pub(super) fn error(self, fault: &Fault, number: u64) -> String {
        let Fault { status, message, code, param } = fault;
        if self == Self::Anthropic {
            return anthropic_error(anthropic_kind(*status), message, number);
        }
        let kind = match status {
            429 => "requests",
            500.. => "server_error",
            _ => "invalid_request_error",
        };
        json!({ "error": { "message": message, "type": kind, "param": param, "code": code } }).to_string()
    }

    /// What stands at the end of a stream beside the events that have something to say.
    pub(super) fn done_marker(self) -> Option<Event> {
        (self == Self::OpenAi).then(|| Event { name: None, data: "[DONE]".to_owned() })
    }

    /// The event of an error after `events` others.
    pub(super) fn error_event(self, events: usize) -> Event {
        let message = "The mock was asked to fail here.";
        let name = |name: &str| Some(name.to_owned());
        match self {
            Self::OpenAi => {
                let error =
                    json!({ "message": message, "type": "server_error", "param": null, "code": null });
                Event { name: None, data: json!({ "error": error }).to_string() }
            }
            Self::Responses => {
                let error = json!({ "type": "server_error", "code": "server_error", "message": message, "param": null });
                let data = json!({ "type": "error", "sequence_number": events, "error": error });
                Event { name: name("error"), data: data.to_string() }
            }
            Self::Anthropic => {
                let error = json!({ "type": "overloaded_error", "message": message });
                let data = json!({ "type": "error", "error": error, "request_id": null });
                Event { name: name("error"), data: data.to_string() }
            }
        }
    }

    /// Headers of the provider that are no tenant's business.
    pub(super) fn provider_headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::OpenAi | Self::Responses => &[
                ("openai-organization", "org-of-the-mock"),
                ("openai-processing-ms", "7"),
                ("set-cookie", "__mock=tasty; Path=/; HttpOnly"),
                ("x-ratelimit-limit-requests", "10000"),
                ("x-ratelimit-remaining-requests", "9999"),
                ("x-ratelimit-reset-requests", "6ms"),
                ("x-ratelimit-limit-tokens", "2000000"),
                ("x-ratelimit-remaining-tokens", "1999990"),
                ("x-ratelimit-reset-tokens", "1ms"),
            ],
            Self::Anthropic => &[
                ("anthropic-organization-id", "org-of-the-mock"),
                ("set-cookie", "__mock=tasty; Path=/; HttpOnly"),
                ("anthropic-ratelimit-requests-limit", "10000"),
                ("anthropic-ratelimit-requests-remaining", "9999"),
                ("anthropic-ratelimit-requests-reset", "2026-10-01T00:00:00Z"),
                ("anthropic-ratelimit-tokens-limit", "2000000"),
                ("anthropic-ratelimit-tokens-remaining", "1999990"),
                ("anthropic-ratelimit-tokens-reset", "2026-10-01T00:00:00Z"),
            ],
        }
    }
}

fn anthropic_kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        504 => "timeout_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

fn anthropic_error(kind: &str, message: &str, number: u64) -> String {
    let error: Value = json!({ "type": kind, "message": message });
    json!({ "type": "error", "error": error, "request_id": request_id(number) }).to_string()
}

/// How the mock calls the request of this number.
pub(super) fn request_id(number: u64) -> String {
    format!("req_mock{number:08}")
}
