//! The client of one origin: what a caller gives and gets, and when a request is sent a second time.
//! Apart because this is the only file that other modules need to read.
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use rustls::ClientConfig;
use tokio::time::Instant;

use super::body::AnswerBody;
use super::connect::{Way, connect};
use super::error::{Reach, SendError, SendErrorKind};
use super::exchange::Exchange;
use super::origin::Origin;
use super::pool::Pool;
use super::proxy::{Proxies, Proxy};
use super::request;
use super::wire::Wire;

/// How long an upstream may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Name resolution, TCP and TLS together.
    pub connect: Duration,
    /// From the last byte of the request that was taken to the end of the answer's head. It bounds a stalled
    /// upload too.
    pub first_byte: Duration,
    /// Between two reads of the body.
    pub idle: Duration,
    /// From the request to the end of the answer's body; without it, an answer may go on.
    pub total: Option<Duration>,
}

/// Whether a request may be carried out more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Done twice, it does no more than done once: it goes out once more where a pooled connection turns out to be dead.
    Freely,
    /// It goes out once; the caller sends it again, or not.
    ByCaller,
    /// Nobody sends it again: it goes out on a connection that is new or was used just now, which its server does not close
    /// for having rested.
    Never,
}

/// A request. Hop-by-hop headers in `headers`, and those that `connection` names, are not sent: a caller that relays a
/// client's headers removes the client's `connection` before it adds its own.
#[derive(Debug)]
pub struct Outgoing<'a> {
    pub method: &'a Method,
    /// Path and query as they are sent.
    pub path: &'a str,
    /// `host` replaces the origin's; `content-length` is set by the client.
    pub headers: &'a HeaderMap,
    pub body: Bytes,
    pub again: Again,
}

/// An answer whose head has arrived. The headers are as the upstream wrote them, those of the connection included.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: AnswerBody,
}

/// Sends requests to one origin over pooled connections.
#[derive(Debug)]
pub struct Client {
    origin: Origin,
    timeouts: Timeouts,
    tls: Option<Arc<ClientConfig>>,
    proxy: Option<Proxy>,
    deny_private: bool,
    pool: Arc<Pool>,
}

impl Client {
    /// A client without connections. Without `tls`, sending to an `https` origin fails. Through a proxy where the
    /// environment says so.
    #[must_use]
    pub fn new(origin: Origin, timeouts: Timeouts, tls: Option<Arc<ClientConfig>>) -> Self {
        let proxy = Proxies::here().of(&origin).cloned();
        Self { origin, timeouts, tls, proxy, deny_private: false, pool: Pool::new() }
    }

    /// The same, through this proxy or none.
    #[must_use]
    pub fn through(self, proxy: Option<Proxy>) -> Self {
        Self { proxy, ..self }
    }

    /// The same, which connects to addresses of the public internet alone. What a proxy connects to is its own business.
    #[must_use]
    pub fn denying_private(self, deny_private: bool) -> Self {
        Self { deny_private, ..self }
    }

    /// A client of the same origin, with connections of its own.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self {
            origin: self.origin.clone(),
            timeouts: self.timeouts,
            tls: self.tls.clone(),
            proxy: self.proxy.clone(),
            deny_private: self.deny_private,
            pool: Pool::new(),
        }
    }

    /// The same with the connections of another, if both connect to the same place, in the same way.
    #[must_use]
    pub fn continuing(self, other: &Self) -> Self {
        let is_same = self.origin == other.origin
            && self.proxy == other.proxy
            && self.deny_private == other.deny_private
            && self.tls.is_some() == other.tls.is_some();
        if is_same { Self { pool: Arc::clone(&other.pool), ..self } } else { self }
    }

    /// Whether a connection of one can be used by the other.
    #[cfg(test)]
    pub fn shares_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pool, &other.pool)
    }

    /// How long a request may take, all tries together.
    #[must_use]
    pub const fn total(&self) -> Option<Duration> {
        self.timeouts.total
    }

    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Connections that rest in the pool.
    #[must_use]
    pub fn idle_connections(&self) -> usize {
        self.pool.len()
    }

    /// Closes the connections that have rested for too long; sending does the same in passing.
    pub fn sweep(&self) {
        self.pool.sweep(Instant::now());
    }

    /// Sends `request` and waits for the answer's head. When a pooled connection turns out to be dead before the first
    /// byte of an answer, the request goes out once more on a new one, if it may.
    ///
    /// # Errors
    /// No connection, no answer in time, or none that can be believed; see [`SendErrorKind`].
    pub async fn send(&self, request: Outgoing<'_>) -> Result<Answer, SendError> {
        self.send_since(request, Instant::now()).await
    }

    /// The same of a request that began at `started`: `timeouts.total` is what all tries take together.
    ///
    /// # Errors
    /// As of `send`.
    pub async fn send_since(&self, request: Outgoing<'_>, started: Instant) -> Result<Answer, SendError> {
        let head = request::head(self.origin.authority(), &request)
            .ok_or(SendError::before_sending(SendErrorKind::InvalidRequest))?;
        let now = Instant::now();
        let pooled = match request.again {
            Again::Freely | Again::ByCaller => self.pool.take(now),
            Again::Never => self.pool.take_warm(now),
        };
        if let Some(wire) = pooled {
            let mut exchange = self.exchange(wire, &request, head.clone(), started);
            // Only of a connection's first exchange an alert says that nobody took what was sent.
            let result = exchange.run(request.method).await.map_err(|error| match error.kind {
                SendErrorKind::Tls(_) => {
                    SendError::after(Reach::SomethingSent, SendErrorKind::ClosedBeforeAnswer)
                }
                _ => error,
            });
            let is_closed = |error: &SendError| error.kind == SendErrorKind::ClosedBeforeAnswer;
            let is_dead = exchange.heard_nothing() && result.as_ref().is_err_and(is_closed);
            if is_dead {
                // The others rested for longer: whoever tries next is not to find them dead one by one.
                self.pool.close();
            }
            if !is_dead || request.again != Again::Freely {
                return result.map_err(|error| error.stale(is_dead && request.again != Again::Never));
            }
        }
        let wire = self.dial_before(started).await?;
        self.exchange(wire, &request, head, started).run(request.method).await
    }

    /// A new connection that belongs to the caller, for another protocol than HTTP/1.1.
    ///
    /// # Errors
    /// No connection; see [`SendErrorKind`].
    pub async fn dial(&self) -> Result<Wire, SendError> {
        self.connect(self.timeouts.connect).await
    }

    /// The same for a request that began at `started`, while it has time.
    async fn dial_before(&self, started: Instant) -> Result<Wire, SendError> {
        let limit = self.timeouts.connect;
        match self.timeouts.total.map(|total| total.saturating_sub(started.elapsed())) {
            Some(left) if left < limit => self.connect(left).await.map_err(|error| match error.kind {
                // What was too short is not the time to connect.
                SendErrorKind::Connect(failure) if failure.is_timeout() => {
                    SendError::before_sending(SendErrorKind::FirstByteTimeout)
                }
                _ => error,
            }),
            Some(_) | None => self.connect(limit).await,
        }
    }

    async fn connect(&self, limit: Duration) -> Result<Wire, SendError> {
        let way = Way {
            origin: &self.origin,
            tls: self.tls.as_ref(),
            proxy: self.proxy.as_ref(),
            deny_private: self.deny_private,
        };
        connect(&way, limit).await.map_err(SendError::before_sending)
    }

    fn exchange(&self, wire: Wire, request: &Outgoing<'_>, head: Bytes, started: Instant) -> Exchange {
        let sent = (head, request.body.clone());
        Exchange::new(wire, sent, self.timeouts, started, Arc::clone(&self.pool))
    }
}
