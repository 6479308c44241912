//! Listeners: connections in, requests to the gateway, and an end in good order.
//! HTTP/1.1 and HTTP/2 (also without TLS), told apart by the first bytes.

mod begun;
mod crowd;
mod der;
mod guard;
mod head;
mod opening;
mod paced;
mod parked;
mod standing;
mod timer;
mod tls;
mod uris;
mod validity;

use begun::Begun;
use crowd::{Answering, Crowd, Place};
pub use crowd::{Caller, WaitedFor};
use paced::Paced;
use tls::Peer;
pub use tls::{BadTls, Tls, TlsFiles};
pub use validity::Validity;

use crate::{clock, descriptors, identity::certificate::Certificate};

use bytes::Bytes;
use http::{Request, Response, Version, header};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use socket2::{Domain, Socket, Type};
use std::{convert::Infallible, future::Future, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A client has so long for a request's head and for a TLS handshake.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// At an end, a connection on which nothing was sent is kept for so long.
const SAYS_NOTHING: Duration = Duration::from_secs(1);
/// So many connections are taken one after the other before those that are there have their turn.
const ACCEPTS_AT_ONCE: u32 = 8;
/// After the system refused a connection (no more files, say), the next try waits.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections that wait to be accepted; as many as the system's own limit on most machines. One too many would be asked
/// to try again a second later.
const BACKLOG: i32 = 4096;
/// Of an answer, so much waits in the system that was not sent yet: a client that stops reading holds no more. What is on its
/// way does not count, so that a long way is no slower.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 128 << 10;
/// Connections at once on one listener, where the system allows more.
const CONNECTIONS_MAX: usize = 100_000;
/// A connection of HTTP/2 on which nothing is under way has so long to take leave of its client.
const LEAVE_WITHIN: Duration = Duration::from_millis(100);
/// A connection that was told to go has so many turns to do so.
const LEAVING_TURNS: u32 = 100;
/// A client may keep a connection so long without a request on it.
const IDLE_MAX: Duration = Duration::from_secs(75);
/// Requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 100;
/// Streams that a client ended before they were looked at, and streams that it made the gateway end: beyond, it is cut off.
const RESETS_PENDING_MAX: usize = 20;
const RESETS_LOCAL_MAX: usize = 128;
/// A stream's window, and a connection's: what a client may send before it is read.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Of an answer, so much waits for a client's window.
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// An HTTP/2 connection is asked so often whether it is there, and has so long to say so.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_WAIT: Duration = Duration::from_secs(20);

/// One address that is listened on.
pub struct Listener {
    socket: TcpListener,
    tls: Option<Tls>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Listener {
    /// Binds an address that nobody listens on.
    pub fn bind(address: SocketAddr, tls: Option<Tls>) -> io::Result<Self> {
        if address.port() != 0 {
            // Who shares its port shares it with anybody: whether somebody is there is asked first.
            drop(std::net::TcpListener::bind(address)?);
        }
        Self::share(address, tls)
    }

    /// Binds an address that another gateway may listen on still, whose place is taken: connections go to either, and
    /// to this one alone once the other stops.
    pub fn share(address: SocketAddr, tls: Option<Tls>) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        // Connections inherit what a listener has.
        socket.set_tcp_nodelay(true)?;
        #[cfg(target_os = "linux")]
        socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(Self { socket: TcpListener::from_std(socket.into())?, tls })
    }

    /// The same, with TLS or without.
    #[must_use]
    pub fn speaking(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
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

/// Stands among the extensions of a request that came over TLS: with the certificate that its client showed.
#[derive(Debug, Clone)]
pub struct Secure(pub Option<Certificate>);

/// Stands among the extensions of a request that is to be refused for how it was written: nothing else of it is what
/// the client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    pub status: u16,
    /// What is wrong with it. Holds nothing of the client's.
    pub message: String,
}

impl Malformed {
    /// What is wrong with how a request was written, whose head may be so long.
    fn of(head: &http::request::Parts, header_bytes_max: usize) -> Option<Self> {
        let wrong = match head.version {
            // The guard looked at it, and says so by a header; one that a client writes itself is not believed.
            Version::HTTP_2
                if head.headers.len() > head::HEADERS_MAX || list_bytes(head) > header_bytes_max =>
            {
                let head::Refused { status, why } = head::TOO_LARGE;
                return Some(Self { status, message: why.to_owned() });
            }
            Version::HTTP_2 => ambiguity(head),
            _ => match head.headers.get(guard::REFUSED).and_then(Self::told) {
                Some(told) => return Some(told),
                None => differs(head),
            },
        };
        wrong.map(|message| Self { status: 400, message: message.to_owned() })
    }

    /// What the guard says of a head.
    fn told(refused: &http::HeaderValue) -> Option<Self> {
        let told = refused.to_str().ok().and_then(|told| told.strip_prefix(guard::mark()));
        let (status, message) = told.filter(|_| !guard::mark().is_empty())?.trim_start().split_once(' ')?;
        Some(Self { status: status.parse().ok()?, message: message.to_owned() })
    }
}

/// How long an HTTP/2 request's list of headers is, as RFC 9113, 6.5.2 counts it.
fn list_bytes(head: &http::request::Parts) -> usize {
    /// Each has so much beside its name and value.
    const EACH: usize = 32;
    let uri = &head.uri;
    let path = uri.path_and_query().map(http::uri::PathAndQuery::as_str);
    let parts = [
        (":method", Some(head.method.as_str())),
        (":scheme", uri.scheme_str()),
        (":authority", uri.authority().map(http::uri::Authority::as_str)),
        (":path", path),
    ];
    let parts = parts.into_iter().filter_map(|(name, value)| Some((name, value?.len())));
    let headers = head.headers.iter().map(|(name, value)| (name.as_str(), value.len()));
    parts.chain(headers).map(|(name, length)| name.len() + length + EACH).sum()
}

/// Why the head of an HTTP/2 request can be read in two ways: by the rules that the guard holds HTTP/1 to, as far as the
/// protocol leaves them open.
fn ambiguity(head: &http::request::Parts) -> Option<&'static str> {
    let count = |name| head.headers.get_all(name).iter().count();
    let authority = head.uri.authority().map(http::uri::Authority::as_str);
    if count(header::HOST) > 1 {
        return Some("there are two `host` headers");
    }
    if count(header::CONTENT_LENGTH) > 1 {
        return Some("there are two `content-length` headers");
    }
    if authority.is_none() && count(header::HOST) == 0 {
        return Some("it names no host: neither `:authority` nor `host` is there");
    }
    let mut hosts = authority
        .map(str::as_bytes)
        .into_iter()
        .chain(head.headers.get(header::HOST).map(http::HeaderValue::as_bytes));
    if !hosts.all(head::is_host) {
        return Some("`:authority` or `host` is no host, or more than a host and a port");
    }
    if head.uri.scheme_str().is_some_and(|scheme| scheme != "http" && scheme != "https") {
        return Some("`:scheme` is neither http nor https");
    }
    // RFC 9113, 8.2.1; others take it off.
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let mut values = head.headers.values().map(http::HeaderValue::as_bytes);
    if values.any(|value| is_blank(value.first()) || is_blank(value.last())) {
        return Some("the value of a header begins or ends with a blank");
    }
    differs(head)
}

fn differs(head: &http::request::Parts) -> Option<&'static str> {
    let (host, authority) = (head.headers.get(header::HOST)?, head.uri.authority()?);
    let agree = host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes());
    (!agree).then_some("`:authority` and `host` name two hosts")
}

/// The head of an HTTP/1 request at the start of these bytes, if it is complete and taken. For those who look for heads
/// that should not be.
pub fn good_head(bytes: &[u8]) -> Option<&[u8]> {
    let head = bytes.get(..head::end(bytes, 0, 32 << 10).ok()??)?;
    head::read(head).ok().map(|_| head)
}

/// What ends a server: `stop` stops accepting and lets what runs end, within `drain`.
#[derive(Debug, Clone)]
pub struct Ending {
    pub stop: CancellationToken,
    pub drain: Duration,
    /// Cancelled when `drain` is over: streams end now.
    pub closing: CancellationToken,
}

/// What the connections of a listener have in common.
struct Listening<S> {
    tls: Option<Tls>,
    header_bytes_max: usize,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    stalls: paced::Stalls,
    crowd: Crowd,
    stop: CancellationToken,
    service: S,
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
struct Client {
    is_secure: bool,
    peer: Option<Arc<Peer>>,
    header_bytes_max: usize,
}

impl Client {
    /// Notes on a request what its connection says of it.
    fn mark(&self, head: &mut http::request::Parts) {
        if self.is_secure {
            head.extensions.insert(Secure(self.peer.as_deref().map(Peer::certificate)));
        }
        if let Some(malformed) = Malformed::of(head, self.header_bytes_max) {
            head.extensions.insert(malformed);
        }
    }
}

/// Serves until `ending.stop`, then until what runs has ended. `header_bytes_max` bounds a request's head.
pub async fn serve<S, F, B>(listener: Listener, header_bytes_max: usize, ending: Ending, service: S)
where
    S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: hyper::body::Body<Data = Bytes, Error = Infallible> + Unpin + Send + 'static,
{
    let Listener { socket: listener, tls } = listener;
    let connections = TaskTracker::new();
    let listening = Arc::new(Listening {
        tls,
        header_bytes_max,
        http1: http1_builder(header_bytes_max),
        http2: http2_builder(header_bytes_max),
        stalls: paced::Stalls::watched(ending.closing.clone()),
        crowd: Crowd::default(),
        stop: ending.stop.clone(),
        service,
    });
    let connections_max = connections_max();
    let mut waiting = BACKLOG;
    let mut accepted_since = 0;
    // Who is connected already is served at an end, too: closing the socket would cut them off.
    while waiting > 0 {
        waiting -= i32::from(ending.stop.is_cancelled());
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            () = ending.stop.cancelled() => break,
        };
        if accepted.as_ref().is_err_and(is_its_own) {
            continue;
        }
        let Ok((socket, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Beyond the limit it is closed at once, so that upstreams, records and probes keep their files.
        if !has_room(&connections, connections_max, &listening.crowd).await {
            continue;
        }
        connections.spawn(connection(socket, Arc::clone(&listening)));
        accepted_since += 1;
        if accepted_since == ACCEPTS_AT_ONCE {
            accepted_since = 0;
            // Who comes and goes all the time does not hold up those who are there: their turn.
            tokio::task::yield_now().await;
        }
    }
    drop(listener);
    connections.close();
    let all = connections.wait();
    tokio::pin!(all);
    if tokio::time::timeout(ending.drain, &mut all).await.is_err() {
        ending.closing.cancel();
        // Streams write their last event; whoever does not read it is left behind.
        drop(tokio::time::timeout(Duration::from_secs(2), all).await);
    }
}

/// Whether there is room for one more. At the limit one that waits for its client makes room; some may be about to go, and
/// are waited for where there are many.
async fn has_room(connections: &TaskTracker, connections_max: usize, crowd: &Crowd) -> bool {
    if connections.len() < connections_max {
        return true;
    }
    if !crowd.make_room(clock::now()) {
        return false;
    }
    let with_those_that_go = connections_max + connections_max / 8;
    for turn in 0..LEAVING_TURNS {
        if connections.len() < with_those_that_go {
            return true;
        }
        match turn {
            0..32 => tokio::task::yield_now().await,
            _ => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
    false
}

/// Whether it is a connection that failed before it was accepted, and not the system that gives no more: the system tells
/// what became of the one as it would of the other. Whoever makes such connections does not hold up others.
/// Source: Linux, accept(2).
fn is_its_own(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let told = Errno::from_io_error(error);
    #[cfg(target_os = "linux")]
    if told == Some(Errno::NONET) {
        return true;
    }
    matches!(
        told,
        Some(
            Errno::CONNABORTED
                | Errno::CONNRESET
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::INTR
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::NOPROTOOPT
                | Errno::OPNOTSUPP
                | Errno::PERM
                | Errno::PROTO
        )
    )
}

/// A connection from its handshake to its end. What is large of it is boxed: it takes no place while it is not needed.
async fn connection<S, F, B>(socket: TcpStream, listening: Arc<Listening<S>>)
where
    S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: hyper::body::Body<Data = Bytes, Error = Infallible> + Unpin + Send + 'static,
{
    let place = listening.crowd.place();
    let opened = Box::pin(handshake(socket, &place, &listening)).await;
    let Some((stream, client)) = opened else { return };
    if stream.is_http2() {
        Box::pin(serve_http2(stream, client, &place, &listening)).await;
    } else {
        parked::serve(stream, client, &place, &listening).await;
    }
}

async fn serve_http2<S, F, B>(
    stream: Begun<Box<dyn Stream>>,
    client: Client,
    place: &Arc<Place>,
    listening: &Listening<S>,
) where
    S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: hyper::body::Body<Data = Bytes, Error = Infallible> + Unpin + Send + 'static,
{
    let stalled = listening.stalls.connection();
    let given_up = stalled.given_up();
    let (service, requests) = (listening.service.clone(), Arc::clone(place));
    let service = service_fn(move |request: Request<Incoming>| {
        let (mut head, body) = request.into_parts();
        client.mark(&mut head);
        let (stalled, busy) = (stalled.clone(), requests.busy());
        place_of(&requests, &mut head, &body);
        // Boxed: it is large, and would be held for as long as its answer streams.
        let answer = Box::pin(service(Request::from_parts(head, body)));
        async move {
            Ok::<_, Infallible>(answer.await.map(|body| Answering::new(Paced::new(body, stalled), busy)))
        }
    });
    let connection = listening.http2.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let served = async {
        tokio::select! {
            biased;
            ended = connection.as_mut() => return drop(ended),
            () = listening.stop.cancelled() => {}
            () = place.let_go_idle() => {
                connection.as_mut().graceful_shutdown();
                return drop(tokio::time::timeout(LEAVE_WITHIN, connection).await);
            }
        }
        connection.as_mut().graceful_shutdown();
        // A broken connection is the client's business; what it asked for is on record.
        drop(connection.await);
    };
    tokio::select! {
        () = served => {}
        () = given_up.cancelled() => {}
    }
}

/// Notes on a request with a body where it came on.
fn place_of(place: &Arc<Place>, head: &mut http::request::Parts, body: &Incoming) {
    if !hyper::body::Body::is_end_stream(body) {
        head.extensions.insert(place.caller());
    }
}

/// A connection needs a file, and one towards an upstream; of the last quarter connections that rest have one half, and
/// everything else the other.
fn connections_max() -> usize {
    descriptors::allowed().map_or(CONNECTIONS_MAX, |files| files / 8 * 3).clamp(16, CONNECTIONS_MAX)
}

fn http1_builder(header_bytes_max: usize) -> http1::Builder {
    let mut http1 = http1::Builder::new();
    // The guard hands over whole heads: what passes is time without a request.
    http1.header_read_timeout(parked::PARK_AFTER).max_buf_size(header_bytes_max.max(8192));
    http1
}

fn http2_builder(header_bytes_max: usize) -> http2::Builder<TokioExecutor> {
    let mut http2 = http2::Builder::new(TokioExecutor::new());
    http2
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_pending_accept_reset_streams(RESETS_PENDING_MAX)
        .max_local_error_reset_streams(RESETS_LOCAL_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        // The library refuses without a word: what is not beyond this is told why.
        .max_header_list_size(u32::try_from(header_bytes_max.saturating_mul(2)).unwrap_or(u32::MAX))
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_WAIT);
    http2
}

/// Either kind of connection.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Which HTTP a client speaks is told by its first bytes: who says nothing, or does not end its handshake, is let go.
async fn handshake<S>(
    socket: TcpStream,
    place: &Place,
    listening: &Listening<S>,
) -> Option<(Begun<Box<dyn Stream>>, Client)> {
    // Linux hands it on from the listener.
    #[cfg(not(target_os = "linux"))]
    socket.set_nodelay(true).ok()?;
    let opened = async {
        let (stream, peer): (Box<dyn Stream>, _) = match &listening.tls {
            None => (Box::new(socket), None),
            Some(tls) => {
                let stream = tls.acceptor().accept(socket).await.ok()?;
                let peer = Peer::of(stream.get_ref().1.peer_certificates(), tls);
                (Box::new(stream), peer.map(Arc::new))
            }
        };
        let (is_secure, header_bytes_max) = (listening.tls.is_some(), listening.header_bytes_max);
        Some((Begun::read(stream).await?, Client { is_secure, peer, header_bytes_max }))
    };
    tokio::select! {
        opened = tokio::time::timeout(HEAD_TIMEOUT, opened) => opened.ok().flatten(),
        () = place.let_go() => None,
        () = nothing_to_lose(&listening.stop) => None,
    }
}

/// Over when a client that has said nothing has nothing to lose: the server ends.
async fn nothing_to_lose(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(SAYS_NOTHING).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is sent goes out at once, whoever sets that: the listener or the connection's first step.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn connections_have_what_their_listener_has() {
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), None).unwrap();
        let address = listener.address().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.socket.accept());
        let (socket, _) = accepted.unwrap();
        assert!(socket.nodelay().unwrap() && !client.unwrap().nodelay().unwrap());
        assert_eq!(socket2::SockRef::from(&socket).tcp_notsent_lowat().unwrap(), UNSENT_BYTES);
    }

    #[test]
    fn a_connection_that_failed_is_told_from_a_system_that_gives_no_more() {
        use rustix::io::Errno;
        let of = |errno: Errno| is_its_own(&errno.into());
        assert!([Errno::CONNABORTED, Errno::HOSTUNREACH, Errno::PROTO, Errno::INTR].into_iter().all(of));
        assert!(![Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].into_iter().any(of));
    }
}
