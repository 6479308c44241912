//! Where signals are exported to, and one try to get a batch there: HTTP with protobuf, or gRPC.

use super::grpc;
use crate::upstream::{
    Credential, Endpoint,
    http1::{Again, Answer, Client, Origin, Outgoing, Scheme, Timeouts, http2_tls_config, tls_config},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use std::{fmt, time::Duration};

const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_secs(10),
    idle: Duration::from_secs(10),
    total: None,
};
/// The wait that a store asks for is no shorter and no longer.
const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
pub(super) const ANSWER_BYTES_MAX: usize = 64 << 10;
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// How a store is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Grpc,
    Http,
}

/// Where signals are exported to.
pub struct Target {
    pub(super) endpoint: Endpoint,
    pub(super) headers: HeaderMap,
    protocol: Protocol,
    channel: grpc::Channel,
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        let host = |target: &Self| target.endpoint.client.origin().to_string();
        let same_place = host(self) == host(other) && self.endpoint.base_path == other.endpoint.base_path;
        same_place && self.headers == other.headers && self.protocol == other.protocol
    }
}

impl Eq for Target {}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its path and headers may hold tokens.
        f.debug_struct("Target").field("host", &self.host()).finish_non_exhaustive()
    }
}

/// A URL that nothing can be exported to.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadTarget(String);

/// Where a signal goes at a target.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paths {
    pub(super) http: &'static str,
    pub(super) grpc: &'static str,
}

/// What became of a try.
#[derive(Debug)]
pub(super) enum Tried {
    /// Taken, with an answer that may say that it was not all.
    Taken(Bytes),
    /// Not now; perhaps after a time that the store told.
    Again { why: String, after: Option<Duration> },
    /// Never.
    Refused { why: String },
}

impl Target {
    /// The store at the base URL of an OTLP endpoint, to which a signal's path is appended.
    ///
    /// # Errors
    /// When the URL or the certificate authorities are none.
    pub fn new(
        url: &str,
        protocol: Protocol,
        extra_roots_pem: Option<&[u8]>,
        headers: Vec<Credential>,
    ) -> Result<Self, BadTarget> {
        let (origin, base_path) = Origin::parse(url).map_err(|bad| BadTarget(bad.to_string()))?;
        let tls = match (origin.scheme(), protocol) {
            (Scheme::Plain, _) => None,
            (Scheme::Tls, Protocol::Http) => Some(tls_config(extra_roots_pem)),
            (Scheme::Tls, Protocol::Grpc) => Some(http2_tls_config(extra_roots_pem)),
        };
        let tls = tls.transpose().map_err(|bad| BadTarget(bad.to_string()))?;
        let mut all = HeaderMap::new();
        for Credential { header, value } in headers {
            all.insert(header, value);
        }
        if protocol == Protocol::Http {
            all.insert(header::CONTENT_TYPE, PROTOBUF);
        }
        let base_path = base_path.trim_end_matches('/').to_owned();
        let endpoint = Endpoint::new(Client::new(origin, TIMEOUTS, tls), base_path);
        Ok(Self { endpoint, headers: all, protocol, channel: grpc::Channel::default() })
    }

    /// The store's host.
    pub(super) fn host(&self) -> &str {
        self.endpoint.client.origin().host()
    }

    /// Sends a batch once.
    pub(super) async fn send(&self, paths: Paths, body: Bytes) -> Tried {
        match self.protocol {
            Protocol::Grpc => self.channel.send(self, paths.grpc, body).await,
            Protocol::Http => self.post(paths.http, body).await,
        }
    }

    async fn post(&self, path: &str, body: Bytes) -> Tried {
        let path = format!("{}{path}", self.endpoint.base_path);
        let (method, headers) = (&Method::POST, &self.headers);
        let outgoing = Outgoing { method, path: &path, headers, body, again: Again::Freely };
        let Answer { status, headers, body } = match self.endpoint.client.send(outgoing).await {
            Ok(answer) => answer,
            Err(error) => return again(&error),
        };
        let body = body.collect(ANSWER_BYTES_MAX).await;
        let why = format!("it answered with {}", status.as_u16());
        if status.is_success() {
            // An answer that is none was a success all the same.
            return Tried::Taken(body.unwrap_or_default());
        }
        let is_passing = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::BAD_GATEWAY,
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::GATEWAY_TIMEOUT,
        ];
        if is_passing.contains(&status) {
            Tried::Again { why, after: retry_after(&headers) }
        } else {
            Tried::Refused { why }
        }
    }
}

/// Not now.
pub(super) fn again(why: &dyn fmt::Display) -> Tried {
    Tried::Again { why: why.to_string(), after: None }
}

/// How long a store asks to be left alone, in seconds, within bounds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX))
}
