//! Every "no" that the gateway says, and the one place where it becomes a status and a code.
//! What the client reads is here; what the operator reads is in the records. A dialect puts it in its own shape.

use std::{fmt, sync::Arc, time::Duration};

/// A request or an answer that goes no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The body came slower than a client may pause.
    BodyTimeout,
    /// The request holds what the tenant does not send to providers, or what cannot be taken out of it. Says what and
    /// where, never the values.
    ContentBlocked { message: String, place: Option<String> },
    /// More requests at once than the tenant may have.
    Concurrency { limit: u32 },
    /// A name that is not the gateway's.
    ForeignHost,
    /// A browser's page of another site.
    ForeignOrigin,
    /// The budget is spent: it is renewed in so long.
    BudgetSpent { budget: String, renews_in: Duration },
    /// What is left of the budget is held by calls in flight.
    BudgetHeld,
    /// The body is not what the decision needs; says what and where, never quotes it.
    Invalid { message: String, param: Option<String> },
    /// No, unknown or expired credential: one answer for all three.
    InvalidApiKey,
    /// A request that is not written as HTTP is; says what is wrong with it.
    Malformed { status: u16, message: String },
    /// The path exists, not for this method.
    MethodNotAllowed,
    /// A model that does not exist or is not the tenant's: one answer for both.
    ModelNotFound { model: String },
    /// No such path.
    NotFound,
    /// The answer that is to be continued is not there, or is another tenant's: one answer for both.
    PreviousNotFound { id: String },
    /// The gateway itself failed at the request.
    Internal,
    /// More requests than the tenant's rate allows.
    RateLimit { retry_after: Duration },
    /// More tokens than the tenant's rate allows.
    TokenLimit { retry_after: Duration },
    /// The bodies of all requests, or of the tenant's, take all the memory that they may.
    NoRoom { retry_after: Duration },
    /// The MCP session that a request names is none of its caller's, or is over.
    NoSession,
    /// What is asked cannot be written down, and the tenant's records must not have holes.
    RecordsUnavailable,
    /// The body is larger than `limits.body`.
    TooLarge { limit: u64 },
    /// Nothing is kept under this id, or it is another tenant's: one answer for both.
    StoredNotFound { id: String },
    /// The limit of a rule for the tool is used up.
    ToolLimit { tool: String, reason: String, retry_after: Duration },
    /// The tool may not be called.
    ToolNotAllowed { tool: String, reason: String },
    /// A content type or coding that the gateway does not read.
    UnsupportedMediaType { message: String },
    /// The upstream refused what the tenant asked; its words, redacted.
    UpstreamRefused { status: u16, message: String, retry_after: Option<Duration> },
    /// The upstream did not accept the credential that the gateway has for it, and will not the next time either.
    CredentialRefused,
    /// What was asked for was done, and its answer found no room.
    AnswerLost,
    /// The upstream failed: could not be reached, broke off, answered nonsense.
    UpstreamError { message: &'static str },
    /// There is no place for it where it goes.
    Overloaded { why: Crowded, retry_after: Duration },
    /// A server that the gateway runs ended, or could not be started.
    ServerDown { server: String, retry_after: Duration },
    /// The upstream did not answer in time.
    UpstreamTimeout,
}

/// Why there is no place for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Crowded {
    /// An interactive request of the tenant's took its place in the full queue.
    Displaced { upstream: Arc<str> },
    /// As many of the tenant's wait as may.
    Full { upstream: Arc<str>, waiting: usize },
    /// It waited as long as it may, and none of so many places came free for it.
    Waited { upstream: Arc<str>, waited: Duration, places: u32 },
    /// Writes that came before it were not done in time.
    Writes,
    /// The system opens no more connections towards upstreams.
    Connections,
}

impl fmt::Display for Crowded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Displaced { upstream } => write!(
                f,
                "this batch request made way for an interactive one of yours: your queue for the upstream `{upstream}` is full; try again later"
            ),
            Self::Full { upstream, waiting } => write!(
                f,
                "{waiting} requests of yours wait for the upstream `{upstream}` already, and no more may; wait for some of them to end"
            ),
            Self::Waited { upstream, waited, places } => write!(
                f,
                "this request waited {} for a place at the upstream `{upstream}`, which takes {places} at a time, and none came free for it; try again later",
                seconds(*waited)
            ),
            Self::Writes => {
                f.write_str("writes that came before this one were not done in time; try again later")
            }
            Self::Connections => f.write_str(
                "the gateway has no connection left for this; try again in a second, and tell its operator, who reads why on stderr",
            ),
        }
    }
}

const NO_ROOM: &str = "the gateway holds as many requests and answers as it has memory for; try again later";
const INTERNAL: &str =
    "the gateway failed at this request, and only at this one; its operator reads where on stderr";
const ANSWER_LOST: &str =
    "the call was carried out, but there is no room here for its answer: look before you make it again";

impl Refusal {
    /// A body that cannot be decided on.
    pub fn invalid(message: impl Into<String>, param: Option<&str>) -> Self {
        Self::Invalid { message: message.into(), param: param.map(Into::into) }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::ContentBlocked { .. } | Self::Invalid { .. } | Self::PreviousNotFound { .. } => 400,
            Self::InvalidApiKey => 401,
            Self::ForeignHost | Self::ForeignOrigin | Self::ToolNotAllowed { .. } => 403,
            Self::ModelNotFound { .. } | Self::NoSession | Self::NotFound | Self::StoredNotFound { .. } => {
                404
            }
            Self::MethodNotAllowed => 405,
            Self::BodyTimeout => 408,
            Self::TooLarge { .. } => 413,
            Self::UnsupportedMediaType { .. } => 415,
            Self::BudgetHeld
            | Self::BudgetSpent { .. }
            | Self::Concurrency { .. }
            | Self::RateLimit { .. }
            | Self::TokenLimit { .. }
            | Self::ToolLimit { .. } => 429,
            Self::Internal => 500,
            Self::AnswerLost
            | Self::CredentialRefused
            | Self::ServerDown { .. }
            | Self::UpstreamError { .. } => 502,
            Self::NoRoom { .. } | Self::RecordsUnavailable | Self::Overloaded { .. } => 503,
            Self::UpstreamTimeout => 504,
            Self::Malformed { status, .. } | Self::UpstreamRefused { status, .. } => *status,
        }
    }

    /// The stable, machine-readable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BodyTimeout => "request_timeout",
            Self::BudgetHeld
            | Self::Concurrency { .. }
            | Self::RateLimit { .. }
            | Self::TokenLimit { .. }
            | Self::ToolLimit { .. } => "rate_limit_exceeded",
            Self::BudgetSpent { .. } => "insufficient_quota",
            Self::ContentBlocked { .. } => "content_blocked",
            Self::ForeignHost => "host_not_allowed",
            Self::ForeignOrigin => "origin_not_allowed",
            Self::Invalid { .. } => "invalid_request",
            Self::Malformed { status, .. } => match *status {
                405 => "method_not_allowed",
                408 => "request_timeout",
                _ => "invalid_request",
            },
            Self::Internal => "internal_error",
            Self::InvalidApiKey => "invalid_api_key",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::ModelNotFound { .. } => "model_not_found",
            Self::NoSession | Self::NotFound | Self::StoredNotFound { .. } => "not_found",
            Self::PreviousNotFound { .. } => "previous_response_not_found",
            Self::RecordsUnavailable => "records_unavailable",
            Self::TooLarge { .. } => "request_too_large",
            Self::ToolNotAllowed { .. } => "tool_not_allowed",
            Self::UnsupportedMediaType { .. } => "unsupported_media_type",
            Self::AnswerLost
            | Self::CredentialRefused
            | Self::ServerDown { .. }
            | Self::UpstreamError { .. } => "upstream_error",
            Self::NoRoom { .. } | Self::Overloaded { .. } => "overloaded",
            Self::UpstreamRefused { status: 429, .. } => "rate_limit_exceeded",
            Self::UpstreamRefused { .. } => "upstream_error",
            Self::UpstreamTimeout => "upstream_timeout",
        }
    }

    /// What is wrong and what to do, for the client.
    pub fn message(&self) -> String {
        match self {
            Self::BodyTimeout => "the request body came too slowly; send it again".into(),
            Self::BudgetHeld => {
                "what is left of the budget is held by requests in flight; wait for one of them to end".into()
            }
            Self::BudgetSpent { budget, renews_in } => {
                format!("the budget of {budget} is spent; it is renewed in {}", seconds(*renews_in))
            }
            Self::TokenLimit { retry_after } => {
                format!("too many tokens; try again in {}", seconds(*retry_after))
            }
            Self::Concurrency { limit } => {
                format!("more than {limit} requests at once; wait for one of them to end")
            }
            Self::ForeignHost => {
                "this Host is not accepted here; its operator can add it to allowed_hosts in tollgate.yaml"
                    .into()
            }
            Self::ForeignOrigin => {
                "this Origin is not accepted here; its operator can add it to allowed_hosts in tollgate.yaml"
                    .into()
            }
            Self::AnswerLost => ANSWER_LOST.into(),
            Self::CredentialRefused => "the upstream did not accept the gateway's credential".into(),
            Self::ContentBlocked { message, .. }
            | Self::Invalid { message, .. }
            | Self::Malformed { message, .. }
            | Self::UnsupportedMediaType { message } => message.clone(),
            Self::Internal => INTERNAL.into(),
            Self::InvalidApiKey => {
                "no valid credential; send your key as `Authorization: Bearer …`, `x-api-key` or `api-key`"
                    .into()
            }
            Self::MethodNotAllowed => "this path does not take this method".into(),
            Self::ModelNotFound { model } => {
                format!(
                    "the model `{model}` does not exist or you do not have access to it; GET /v1/models lists yours"
                )
            }
            Self::NoRoom { .. } => NO_ROOM.into(),
            Self::NoSession => "there is no such session; begin with `initialize`".into(),
            Self::NotFound => "no such path here: the base URL of an OpenAI client ends in /v1, that of an Anthropic client does not; MCP is at /mcp, stores and HTTP APIs are below /tools/".into(),
            Self::PreviousNotFound { id } => format!("the previous response `{id}` was not found"),
            Self::StoredNotFound { id } => format!("`{id}` was not found"),
            Self::ServerDown { server, retry_after } => format!(
                "the MCP server `{server}` ended or could not be started; it is started anew: try again in {}",
                seconds(*retry_after)
            ),
            Self::RateLimit { retry_after } => {
                format!("too many requests; try again in {}", seconds(*retry_after))
            }
            Self::RecordsUnavailable => "requests cannot be recorded at the moment; try again later".into(),
            Self::TooLarge { limit } => format!("the request body is larger than {limit} bytes"),
            Self::ToolLimit { tool, reason, .. } => format!("the tool `{tool}` is not called: {reason}"),
            Self::ToolNotAllowed { tool, reason } => format!("the tool `{tool}` is not allowed: {reason}"),
            Self::UpstreamError { message } => (*message).into(),
            Self::Overloaded { why, .. } => why.to_string(),
            Self::UpstreamRefused { message, .. } => message.clone(),
            Self::UpstreamTimeout => "the upstream did not answer in time".into(),
        }
    }

    /// When a retry can help, how long to wait before it.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NoRoom { retry_after }
            | Self::Overloaded { retry_after, .. }
            | Self::RateLimit { retry_after }
            | Self::TokenLimit { retry_after }
            | Self::ToolLimit { retry_after, .. }
            | Self::ServerDown { retry_after, .. } => Some(*retry_after),
            Self::BudgetHeld | Self::Concurrency { .. } | Self::RecordsUnavailable => {
                Some(Duration::from_secs(1))
            }
            // An upstream that has too many requests does not always say until when.
            Self::UpstreamRefused { status: 429, retry_after, .. } => {
                Some(retry_after.unwrap_or(Duration::from_secs(1)))
            }
            Self::UpstreamRefused { retry_after, .. } => *retry_after,
            Self::BodyTimeout
            | Self::BudgetSpent { .. }
            | Self::ContentBlocked { .. }
            | Self::AnswerLost
            | Self::CredentialRefused
            | Self::ForeignHost
            | Self::ForeignOrigin
            | Self::Internal
            | Self::Invalid { .. }
            | Self::InvalidApiKey
            | Self::Malformed { .. }
            | Self::MethodNotAllowed
            | Self::ModelNotFound { .. }
            | Self::NoSession
            | Self::NotFound
            | Self::PreviousNotFound { .. }
            | Self::StoredNotFound { .. }
            | Self::TooLarge { .. }
            | Self::ToolNotAllowed { .. }
            | Self::UnsupportedMediaType { .. }
            | Self::UpstreamError { .. }
            | Self::UpstreamTimeout => None,
        }
    }

    /// Whether the same request can ever succeed when it is sent again.
    pub fn retry_can_help(&self) -> bool {
        matches!(self.status(), 408 | 409 | 429 | 500..)
            && !matches!(self, Self::AnswerLost | Self::BudgetSpent { .. } | Self::CredentialRefused)
    }

    /// The member of the request that is at fault.
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::ContentBlocked { place, .. } => place.as_deref(),
            Self::Invalid { param, .. } => param.as_deref(),
            Self::ModelNotFound { .. } => Some("model"),
            Self::PreviousNotFound { .. } => Some("previous_response_id"),
            Self::BodyTimeout
            | Self::BudgetHeld
            | Self::BudgetSpent { .. }
            | Self::TokenLimit { .. }
            | Self::Concurrency { .. }
            | Self::AnswerLost
            | Self::CredentialRefused
            | Self::ForeignHost
            | Self::ForeignOrigin
            | Self::Internal
            | Self::InvalidApiKey
            | Self::Malformed { .. }
            | Self::MethodNotAllowed
            | Self::NoRoom { .. }
            | Self::NoSession
            | Self::NotFound
            | Self::StoredNotFound { .. }
            | Self::RateLimit { .. }
            | Self::RecordsUnavailable
            | Self::ServerDown { .. }
            | Self::TooLarge { .. }
            | Self::ToolLimit { .. }
            | Self::ToolNotAllowed { .. }
            | Self::UnsupportedMediaType { .. }
            | Self::UpstreamError { .. }
            | Self::Overloaded { .. }
            | Self::UpstreamRefused { .. }
            | Self::UpstreamTimeout => None,
        }
    }
}

/// A duration as people and the `x-ratelimit-reset-*` headers write it: `1.2s`, `60s`, `0.05s`.
pub fn seconds(duration: Duration) -> String {
    let millis = duration.as_millis() + u128::from(!duration.subsec_nanos().is_multiple_of(1_000_000));
    let fraction = format!("{:03}", millis % 1000);
    match fraction.trim_end_matches('0') {
        "" => format!("{}s", millis / 1000),
        fraction => format!("{}.{fraction}s", millis / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_up_to_a_millisecond() {
        let check = |micros, expected: &str| assert_eq!(seconds(Duration::from_micros(micros)), expected);
        check(0, "0s");
        check(1, "0.001s");
        check(1_200_000, "1.2s");
        check(60_000_000, "60s");
        check(50_000, "0.05s");
    }

    #[test]
    fn a_retry_helps_only_where_something_can_change() {
        assert!(!Refusal::InvalidApiKey.retry_can_help());
        assert!(!Refusal::CredentialRefused.retry_can_help() && !Refusal::AnswerLost.retry_can_help());
        assert!(!Refusal::ToolNotAllowed { tool: "x".into(), reason: "y".into() }.retry_can_help());
        let renews_in = Duration::from_secs(60);
        assert!(!Refusal::BudgetSpent { budget: "5 USD/day".into(), renews_in }.retry_can_help());
        let upstreams = |status, retry_after| {
            Refusal::UpstreamRefused { status, message: String::new(), retry_after }.retry_after()
        };
        let (one, seven) = (Some(Duration::from_secs(1)), Some(Duration::from_secs(7)));
        assert_eq!((upstreams(429, None), upstreams(429, seven), upstreams(404, None)), (one, seven, None));
        assert!(Refusal::RateLimit { retry_after: Duration::ZERO }.retry_can_help());
        assert!(Refusal::UpstreamTimeout.retry_can_help());
    }
}
