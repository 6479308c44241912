//! The client against servers that do exactly what a script says, over real loopback sockets.
mod answers;
mod pooling;
mod timing;
mod tls;
mod uploads;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{Again, Answer, BodyError, Client, Origin, Outgoing, SendError, SendErrorKind, Timeouts};

const PATIENT: Timeouts = Timeouts {
    connect: Duration::from_secs(20),
    first_byte: Duration::from_secs(20),
    idle: Duration::from_secs(20),
    total: None,
};

async fn listen() -> (TcpListener, Client) {
    listen_with(PATIENT).await
}

async fn listen_with(timeouts: Timeouts) -> (TcpListener, Client) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (origin, _) = Origin::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    (listener, Client::new(origin, timeouts, None))
}

async fn accept(listener: &TcpListener) -> Peer<TcpStream> {
    let (stream, _) = listener.accept().await.unwrap();
    stream.set_nodelay(true).unwrap();
    Peer { stream, read: Vec::new() }
}

/// The server's end of a connection.
struct Peer<S> {
    stream: S,
    read: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    /// A whole request: its head and a body of its content-length.
    async fn request(&mut self) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.read).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head
                    .lines()
                    .find_map(|l| l.strip_prefix("content-length: "))
                    .map_or(0, |n| n.parse().unwrap());
                if body.len() >= length {
                    self.read.drain(..head.len() + 4 + length);
                    return text.chars().take(head.len() + 4 + length).collect();
                }
            }
            assert!(
                self.stream.read_buf(&mut self.read).await.unwrap() > 0,
                "closed within a request: {text:?}"
            );
        }
    }

    async fn put(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Writes the pieces so that the client reads each by itself: on a single-threaded runtime a yielded task goes on
    /// only after the reactor was asked, and everyone who became ready had a turn.
    async fn put_apart<'a>(&mut self, pieces: impl IntoIterator<Item = &'a [u8]>) {
        for piece in pieces {
            // The client may have seen enough.
            if self.stream.write_all(piece).await.is_err() || self.stream.flush().await.is_err() {
                return;
            }
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Waits until the client closes, by whatever means.
    async fn closed(&mut self) {
        let mut bytes = [0; 4096];
        while matches!(self.stream.read(&mut bytes).await, Ok(n) if n > 0) {}
    }
}

async fn send(client: &Client, method: &Method, body: impl Into<Bytes>) -> Result<Answer, SendError> {
    send_again(client, method, body, Again::Freely).await
}

async fn send_again(
    client: &Client,
    method: &Method,
    body: impl Into<Bytes>,
    again: Again,
) -> Result<Answer, SendError> {
    client
        .send(Outgoing { method, path: "/v1/x", headers: &HeaderMap::new(), body: body.into(), again })
        .await
}

/// Status and body of a POST.
async fn post(client: &Client) -> (StatusCode, Result<Bytes, BodyError>) {
    let answer = send(client, &Method::POST, "{}").await.unwrap();
    (answer.status, answer.body.collect(1 << 20).await)
}

/// Answers one request with `answer` and a close; how a new client sees it. One listener serves many of these, since
/// every closed connection keeps its server's port busy for a minute.
async fn answered(
    listener: &TcpListener,
    method: &Method,
    answer: &[u8],
    split: Split,
) -> Result<(u16, Result<Bytes, BodyError>), SendErrorKind> {
    let (origin, _) = Origin::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let client = Client::new(origin, PATIENT, None);
    let serving = async {
        let mut peer = accept(listener).await;
        peer.request().await;
        match split {
            Split::At(at) => peer.put_apart([&answer[..at], &answer[at..]]).await,
            Split::Everywhere => peer.put_apart(answer.chunks(1)).await,
        }
    };
    let asking = async {
        let answer = send(&client, method, "{}").await.map_err(|e| e.kind)?;
        Ok((answer.status.as_u16(), answer.body.collect(1 << 20).await))
    };
    tokio::join!(serving, asking).1
}

#[derive(Clone, Copy, Debug)]
enum Split {
    At(usize),
    Everywhere,
}
