//! The admin port: probes, metrics, status, reload. Never on the agents' port.

use crate::{
    clock,
    gateway::{Body, Gateway},
    json::{self, Value},
};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// What a reload came to: nothing, or the problems as text.
pub type Reload = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What the admin port answers from.
pub struct Admin {
    pub gateway: Arc<Gateway>,
    pub draining: Arc<AtomicBool>,
    pub reload: Reload,
    /// `Host` and `Origin` names that are accepted beside loopback names and the listen address.
    pub allowed_hosts: Vec<String>,
    /// The address that this port listens on.
    pub address: std::net::IpAddr,
    /// Asked for on everything but probes and metrics; `None` on loopback.
    pub token: Option<Vec<u8>>,
    /// Whether only probes and metrics are served.
    pub scope: Scope,
}

/// How much of the admin API a port serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    All,
    Probes,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl Admin {
    /// Answers one request.
    pub fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        let (method, path) = (request.method(), request.uri().path());
        match (method, path) {
            (&Method::GET, "/livez" | "/healthz") => text(StatusCode::OK, "ok\n"),
            (&Method::GET, "/readyz") if self.draining.load(Ordering::Relaxed) => {
                text(StatusCode::SERVICE_UNAVAILABLE, "draining\n")
            }
            (&Method::GET, "/readyz") => text(StatusCode::OK, "ready\n"),
            (&Method::GET, "/metrics") => {
                let mut response = text(StatusCode::OK, self.gateway.telemetry.render());
                let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
                response
            }
            _ if self.scope == Scope::Probes => error(StatusCode::NOT_FOUND, "no such path here"),
            _ if !self.is_local(request) => {
                error(StatusCode::FORBIDDEN, "this Host or Origin is not accepted here")
            }
            _ if !self.is_authorized(request) => {
                error(StatusCode::UNAUTHORIZED, "the admin token is missing or wrong")
            }
            (&Method::GET, "/admin/status") => self.status(),
            (&Method::POST, "/admin/reload") => match (self.reload)() {
                Ok(()) => self.status(),
                Err(problems) => error(StatusCode::UNPROCESSABLE_ENTITY, problems),
            },
            _ => error(StatusCode::NOT_FOUND, "no such path here"),
        }
    }

    /// A browser on another site must not reach this port through its user: foreign names are refused.
    fn is_local<B>(&self, request: &Request<B>) -> bool {
        let alone = |name| {
            let mut values = request.headers().get_all(name).into_iter();
            (values.next(), values.next().is_none())
        };
        let ((host, one_host), (_, one_origin)) = (alone(header::HOST), alone(header::ORIGIN));
        if !one_host || !one_origin {
            return false;
        }
        let host = host.and_then(|host| host.to_str().ok());
        let host = host.or_else(|| request.uri().authority().map(http::uri::Authority::as_str));
        let origin = request.headers().get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or("null"));
        let origin = origin.map(|origin| origin.split_once("://").map_or(origin, |(_, host)| host));
        host.is_some_and(|host| self.accepts(host)) && origin.is_none_or(|origin| self.accepts(origin))
    }

    fn accepts(&self, host: &str) -> bool {
        if host.contains('@') {
            return false;
        }
        let host = host.to_ascii_lowercase();
        let host = host.as_str();
        let name = match host.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or(v6),
            None => host.rsplit_once(':').map_or(host, |(name, _)| name),
        };
        let ip = name.parse::<std::net::IpAddr>().ok();
        // On all addresses, any of them is the listen address: an address is no name that a browser was led to.
        let own =
            ip.is_some_and(|ip| ip.is_loopback() || ip == self.address || self.address.is_unspecified());
        own || name == "localhost"
            || self.allowed_hosts.iter().any(|allowed| allowed == name || allowed == host)
    }

    fn is_authorized<B>(&self, request: &Request<B>) -> bool {
        use sha2::{Digest, Sha256};
        let Some(token) = &self.token else { return true };
        let given = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes());
        // Compared by digest: the time it takes tells nothing of the token.
        given
            .and_then(|given| given.strip_prefix(b"Bearer "))
            .is_some_and(|given| Sha256::digest(given) == Sha256::digest(token))
    }

    fn status(&self) -> Response<Body> {
        let snapshot = self.gateway.snapshot.load();
        let records = self.gateway.records.accepts();
        let count = |number: usize| Value::integer(u64::try_from(number).unwrap_or(u64::MAX));
        let now = u64::try_from(clock::unix_seconds(clock::wall())).unwrap_or(0);
        respond(
            StatusCode::OK,
            &Value::object([
                ("version", Value::string(env!("CARGO_PKG_VERSION"))),
                ("config", Value::string(snapshot.hash.to_string())),
                ("tenants", count(snapshot.tenants)),
                ("models", count(snapshot.models.names().len())),
                ("records", Value::string(if records { "ok" } else { "failing" })),
                ("draining", Value::Bool(self.draining.load(Ordering::Relaxed))),
                ("time", Value::integer(now)),
            ]),
        )
    }
}

fn text(status: StatusCode, text: impl Into<bytes::Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::full(text.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn error(status: StatusCode, message: impl Into<String>) -> Response<Body> {
    let error = Value::object([("message", Value::string(message.into()))]);
    respond(status, &Value::object([("error", error)]))
}

fn respond(status: StatusCode, value: &Value<'_>) -> Response<Body> {
    let mut body = Vec::new();
    json::write(value, &mut body);
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
