//! Listeners: connections in, requests to the gateway, and an end in good order.
//! HTTP/1.1 and HTTP/2 (also without TLS), told apart by the first bytes.

mod begun;
mod tls;

use begun::Begun;
pub use tls::{BadTls, TlsFiles, acceptor};

use http::{Request, Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use std::{convert::Infallible, future::Future, io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A client has so long for a request's head and for a TLS handshake.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// After the system refused a connection (no more files, say), the next try waits.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections at once on one listener, where the system allows more.
const CONNECTIONS_MAX: usize = 100_000;
/// Requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 100;

/// One address that is listened on.
pub struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Listener {
    /// Binds an address.
    pub async fn bind(address: SocketAddr, tls: Option<TlsAcceptor>) -> io::Result<Self> {
        Ok(Self { socket: TcpListener::bind(address).await?, tls })
    }

    /// The address, with the port that the system chose.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Where a client connects to.
    pub fn url(&self) -> io::Result<String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        Ok(format!("{scheme}://{}", self.address()?))
    }
}

/// Stands among the extensions of a request that came over TLS.
#[derive(Debug, Clone, Copy)]
pub struct Secure;

/// What ends a server: `stop` stops accepting and lets what runs end, within `drain`.
#[derive(Debug, Clone)]
pub struct Ending {
    pub stop: CancellationToken,
    pub drain: Duration,
    /// Cancelled when `drain` is over: streams end now.
    pub closing: CancellationToken,
}

/// Serves until `ending.stop`, then until what runs has ended. `header_bytes_max` bounds a request's head.
pub async fn serve<S, F, B>(listener: Listener, header_bytes_max: usize, ending: Ending, service: S)
where
    S: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: hyper::body::Body<Error = Infallible> + Send + 'static,
    B::Data: Send,
{
    let graceful = GracefulShutdown::new();
    let connections = TaskTracker::new();
    let http = connection_builder(header_bytes_max);
    let connections_max = connections_max();
    loop {
        let accepted = tokio::select! {
            accepted = listener.socket.accept() => accepted,
            () = ending.stop.cancelled() => break,
        };
        // Beyond the limit a connection is closed at once, so that upstreams, records and probes keep their files.
        let accepted = accepted.ok().filter(|_| connections.len() < connections_max);
        let Some((socket, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (tls, http, service, watcher) =
            (listener.tls.clone(), http.clone(), service.clone(), graceful.watcher());
        let is_secure = tls.is_some();
        let service = service_fn(move |mut request: Request<Incoming>| {
            if is_secure {
                request.extensions_mut().insert(Secure);
            }
            // Boxed: it is large, and would be held for as long as its answer streams.
            let answer = Box::pin(service(request));
            async move { Ok::<_, Infallible>(answer.await) }
        });
        connections.spawn(async move {
            let Some(stream) = handshake(socket, tls).await else { return };
            // A broken connection is the client's business; what it asked for is on record.
            drop(
                Box::pin(watcher.watch(http.serve_connection(TokioIo::new(stream), service).into_owned()))
                    .await,
            );
        });
    }
    drop(listener);
    connections.close();
    let all = async {
        graceful.shutdown().await;
        connections.wait().await;
    };
    tokio::pin!(all);
    if tokio::time::timeout(ending.drain, &mut all).await.is_err() {
        ending.closing.cancel();
        // Streams write their last event; whoever does not read it is left behind.
        drop(tokio::time::timeout(Duration::from_secs(2), all).await);
    }
}

/// A connection needs a file, and one towards an upstream; a quarter is kept for everything else.
fn connections_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok());
    files.map_or(CONNECTIONS_MAX, |files: usize| files / 8 * 3).clamp(16, CONNECTIONS_MAX)
}

fn connection_builder(header_bytes_max: usize) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(header_bytes_max.max(8192));
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(header_bytes_max).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(30));
    http
}

/// Either kind of connection.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

async fn handshake(socket: TcpStream, tls: Option<TlsAcceptor>) -> Option<Box<dyn Stream>> {
    socket.set_nodelay(true).ok()?;
    // Which HTTP a client speaks is told by its first bytes, for which hyper would wait without end.
    let opened = async {
        match tls {
            None => Begun::read(socket).await.map(|stream| Box::new(stream) as Box<dyn Stream>),
            Some(tls) => {
                let stream = tls.accept(socket).await.ok()?;
                Begun::read(stream).await.map(|stream| Box::new(stream) as Box<dyn Stream>)
            }
        }
    };
    tokio::time::timeout(HEAD_TIMEOUT, opened).await.ok().flatten()
}
