//! What a client sends, through a listener and all that stands behind it: every request that the service sees stands in the
//! bytes as one strict reader finds it, one behind the other, with its body; and whatever is sent, the connection ends.
#![no_main]
use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        LazyLock, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use tollgate::server::{Ending, Listener, Malformed, good_head, serve};

/// A request as the service saw it.
#[derive(Debug)]
struct Seen {
    connection: usize,
    method: String,
    target: String,
    is_http2: bool,
    is_malformed: bool,
    /// `None` where it did not come to its end.
    body: Option<Bytes>,
}

/// Each connection has a copy of the service: with a number of its own, as a request of an earlier one may be told late.
struct Connection(usize);

impl Connection {
    fn number(&self) -> usize {
        self.0
    }
}

impl Clone for Connection {
    fn clone(&self) -> Self {
        Self(CONNECTIONS.fetch_add(1, Ordering::SeqCst))
    }
}

static CONNECTIONS: AtomicUsize = AtomicUsize::new(1);
static SEEN: Mutex<Vec<Seen>> = Mutex::new(Vec::new());
static SERVER: LazyLock<SocketAddr> = LazyLock::new(start);
/// As many as the gateway leaves out.
const EMPTY_LINES_MAX: usize = 4;
const HEAD_BYTES_MAX: usize = 32 << 10;

fn start() -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), None).unwrap();
            tell.send(listener.address().unwrap()).unwrap();
            let (stop, closing) = (CancellationToken::new(), CancellationToken::new());
            let ending = Ending { stop, drain: Duration::from_secs(1), closing };
            let connection = Connection(0);
            let service = move |request| answer(request, connection.number());
            serve(listener, HEAD_BYTES_MAX, ending, service).await;
        });
    });
    told.recv().unwrap()
}

async fn answer(request: Request<Incoming>, connection: usize) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let is_malformed = head.extensions.get::<Malformed>().is_some();
    let body = body.collect().await.ok().map(http_body_util::Collected::to_bytes);
    let seen = Seen {
        connection,
        method: head.method.to_string(),
        target: head.uri.to_string(),
        is_http2: head.version == Version::HTTP_2,
        is_malformed,
        body,
    };
    SEEN.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    Response::new(Full::new(Bytes::from_static(b"{}")))
}

/// The body behind a head, and how long it is with its framing, as a reader has it that knows nothing of the gateway's.
fn body_behind(head: &[u8], rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = |name: &str| head.split("\r\n").find_map(|line| line.strip_prefix(name)).map(str::trim);
    if value("transfer-encoding:").is_some() {
        return chunked(rest);
    }
    let length = value("content-length:").map_or(Some(0), |length| length.parse().ok())?;
    Some((rest.get(..length)?.to_vec(), length))
}

fn chunked(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let line = |at: usize| {
        let length = bytes.get(at..)?.windows(2).position(|pair| pair == b"\r\n")?;
        Some((String::from_utf8_lossy(&bytes[at..at + length]), at + length + 2))
    };
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let (size, from) = line(at)?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            at = from;
            break;
        }
        body.extend_from_slice(bytes.get(from..from.checked_add(size)?)?);
        (_, at) = line(from + size).filter(|(end, _)| end.is_empty())?;
    }
    loop {
        let (trailer, next) = line(at)?;
        at = next;
        if trailer.is_empty() {
            return Some((body, at));
        }
    }
}

fn send(bytes: &[u8]) {
    let mut socket = TcpStream::connect(*SERVER).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
    // A server that has heard enough may close while this is written.
    drop(socket.write_all(bytes));
    drop(socket.shutdown(Shutdown::Write));
    let mut told = [0; 4096];
    loop {
        match socket.read(&mut told) {
            Ok(1..) => {}
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
            {
                panic!("the connection does not end");
            }
            Ok(0) | Err(_) => return,
        }
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let first = CONNECTIONS.load(Ordering::SeqCst);
    send(bytes);
    let seen = std::mem::take(&mut *SEEN.lock().unwrap_or_else(PoisonError::into_inner));
    let mut rest = bytes;
    for request in seen.into_iter().filter(|request| request.connection >= first) {
        if request.is_http2 || request.is_malformed {
            return;
        }
        // A few empty lines before a request are none of it.
        for _ in 0..EMPTY_LINES_MAX {
            rest = rest.strip_prefix(b"\r\n").unwrap_or(rest);
        }
        let head = good_head(rest).unwrap_or_else(|| panic!("no strict reader finds {request:?} there"));
        let line = String::from_utf8_lossy(head);
        let mut words = line.split([' ', '\r']);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        assert_eq!(method, request.method, "another request");
        let path = |target: &str| target.split('#').next().unwrap_or_default().to_owned();
        let is_absolute = !target.starts_with('/');
        assert!(is_absolute || path(target) == path(&request.target), "{target} {}", request.target);
        let Some(body) = request.body else { return };
        let (expected, length) = body_behind(head, &rest[head.len()..]).expect("a body that is not there");
        assert_eq!(expected, body, "another body");
        rest = &rest[head.len() + length..];
    }
});
