//! A new connection: the name resolved, each address tried, TLS on top, all within one limit.
//! Apart because nothing of a request has been sent while this runs.
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::error::{ConnectFailure, SendErrorKind};
use super::origin::{Origin, Scheme};
use super::tls::handshake_failure;
use super::wire::Wire;

/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 8;

/// Connects within `limit`, handshake included.
pub(super) async fn connect(
    origin: &Origin,
    tls: Option<&Arc<ClientConfig>>,
    limit: Duration,
) -> Result<Wire, SendErrorKind> {
    timeout(limit, connect_unbounded(origin, tls, limit))
        .await
        .unwrap_or(Err(SendErrorKind::Connect(ConnectFailure::Timeout)))
}

async fn connect_unbounded(
    origin: &Origin,
    tls: Option<&Arc<ClientConfig>>,
    limit: Duration,
) -> Result<Wire, SendErrorKind> {
    let config = match origin.scheme() {
        Scheme::Plain => None,
        Scheme::Tls => Some(tls.ok_or(SendErrorKind::Tls("no TLS configuration was given"))?),
    };
    let stream = reach(origin, limit).await.map_err(SendErrorKind::Connect)?;
    let Some(config) = config else {
        return Ok(Wire::Plain(stream));
    };
    let handshake = TlsConnector::from(Arc::clone(config)).connect(origin.server_name(), stream);
    match handshake.await {
        Ok(stream) => Ok(Wire::Tls(Box::new(stream))),
        Err(error) => Err(SendErrorKind::Tls(handshake_failure(&error))),
    }
}

async fn reach(origin: &Origin, limit: Duration) -> Result<TcpStream, ConnectFailure> {
    let started = Instant::now();
    let found = lookup_host((origin.host(), origin.port())).await;
    let addresses: Vec<SocketAddr> =
        found.map_err(|e| ConnectFailure::Resolve(e.kind()))?.take(ADDRESSES_MAX).collect();
    let mut failure = ConnectFailure::NoAddress;
    for (tried, address) in addresses.iter().enumerate() {
        // A black hole among several addresses must leave time for the rest.
        let waiting = u32::try_from(addresses.len().saturating_sub(tried)).unwrap_or(1).max(1);
        let share = limit.saturating_sub(started.elapsed()) / waiting;
        failure = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => match stream.set_nodelay(true) {
                Ok(()) => return Ok(stream),
                Err(error) => ConnectFailure::Io(error.kind()),
            },
            Ok(Err(error)) => ConnectFailure::Io(error.kind()),
            Err(_) => ConnectFailure::Timeout,
        };
    }
    Err(failure)
}
