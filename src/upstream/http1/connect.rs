//! A new connection: the name resolved, each address tried, TLS on top, all within one limit.
//! Apart because nothing of a request has been sent while this runs.
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::address::is_private;
use super::error::{ConnectFailure, SendErrorKind};
use super::origin::{Origin, Scheme};
use super::pool;
use super::proxy::Proxy;
use super::tls::handshake_failure;
use super::wire::Wire;

/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 8;

/// How an origin is reached.
pub(super) struct Way<'w> {
    pub(super) origin: &'w Origin,
    pub(super) tls: Option<&'w Arc<ClientConfig>>,
    pub(super) proxy: Option<&'w Proxy>,
    pub(super) deny_private: bool,
}

/// Connects within `limit`, handshake included; each stage has what the ones before it left, and says so when it is over.
pub(super) async fn connect(way: &Way<'_>, limit: Duration) -> Result<Wire, SendErrorKind> {
    let started = Instant::now();
    let left = || limit.saturating_sub(started.elapsed());
    let origin = way.origin;
    let config = match origin.scheme() {
        Scheme::Plain => None,
        Scheme::Tls => Some(way.tls.ok_or(SendErrorKind::Tls("no TLS configuration was given"))?),
    };
    let stream = match way.proxy {
        None => reach((origin.host(), origin.port()), limit, way.deny_private).await,
        Some(proxy) => match reach((proxy.host(), proxy.port()), limit, false).await {
            Ok(stream) => timeout(left(), proxy.tunnel(stream, origin))
                .await
                .unwrap_or(Err(ConnectFailure::ProxySilent)),
            Err(ConnectFailure::Timeout) => Err(ConnectFailure::ProxyTimeout),
            Err(ConnectFailure::NoneLeft) => Err(ConnectFailure::NoneLeft),
            Err(_) => Err(ConnectFailure::Proxy("it cannot be reached")),
        },
    };
    let stream = stream.map_err(SendErrorKind::Connect)?;
    let Some(config) = config else {
        return Ok(Wire::plain(stream));
    };
    let handshake = TlsConnector::from(Arc::clone(config)).connect(origin.server_name(), stream);
    match timeout(left(), handshake).await {
        Ok(Ok(stream)) => Ok(Wire::tls(Box::new(stream))),
        Ok(Err(error)) => Err(SendErrorKind::Tls(handshake_failure(&error))),
        Err(_) => Err(SendErrorKind::Connect(ConnectFailure::TlsTimeout)),
    }
}

/// Where the system gives no more connections, those that rest make room.
async fn open(address: &SocketAddr) -> std::io::Result<TcpStream> {
    match TcpStream::connect(address).await {
        Err(error) if ConnectFailure::of(&error) == ConnectFailure::NoneLeft && pool::close_all() => {
            TcpStream::connect(address).await
        }
        opened => opened,
    }
}

async fn reach(
    server: (&str, u16),
    limit: Duration,
    deny_private: bool,
) -> Result<TcpStream, ConnectFailure> {
    let started = Instant::now();
    let found = timeout(limit, lookup_host(server)).await.map_err(|_| ConnectFailure::Timeout)?;
    let found = found.map_err(|error| ConnectFailure::of_name(&error))?;
    let found: Vec<SocketAddr> = found.collect();
    let allowed = found.iter().filter(|address| !deny_private || !is_private(address.ip()));
    // What is checked is what is connected to: the name is not looked up again.
    let addresses: Vec<SocketAddr> = allowed.take(ADDRESSES_MAX).copied().collect();
    let mut failure = if found.is_empty() { ConnectFailure::NoAddress } else { ConnectFailure::Private };
    for (tried, address) in addresses.iter().enumerate() {
        // A black hole among several addresses must leave time for the rest.
        let waiting = u32::try_from(addresses.len().saturating_sub(tried)).unwrap_or(1).max(1);
        let share = limit.saturating_sub(started.elapsed()) / waiting;
        failure = match timeout(share, open(address)).await {
            Ok(Ok(stream)) => match stream.set_nodelay(true) {
                Ok(()) => return Ok(stream),
                Err(error) => ConnectFailure::Io(error.kind()),
            },
            Ok(Err(error)) => ConnectFailure::of(&error),
            Err(_) => ConnectFailure::Timeout,
        };
    }
    Err(failure)
}
