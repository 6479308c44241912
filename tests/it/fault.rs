//! Upstreams and clients that misbehave, in the test's own process: every byte as the test wants it.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// An upstream that keeps every byte it was sent.
pub(crate) struct Upstream {
    pub(crate) port: u16,
    pub(crate) seen: Arc<Mutex<Vec<u8>>>,
    /// Connections so far.
    pub(crate) connections: Arc<AtomicUsize>,
    /// Requests so far.
    pub(crate) requests: Arc<AtomicUsize>,
}

/// What an upstream does with the request that came as the how-manieth, and its text: `true` to go on with the connection.
type Act = dyn Fn(usize, &dyn Fn() -> String, &mut TcpStream) -> bool + Send + Sync;

impl Upstream {
    /// Does `act` with each whole request that it has read.
    pub(crate) fn acting(act: impl Fn(usize, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        Self::serving(move |number, _, socket| act(number, socket))
    }

    fn serving(
        act: impl Fn(usize, &dyn Fn() -> String, &mut TcpStream) -> bool + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let upstream = Self::elsewhere(port);
        let (seen, connections, requests) =
            (Arc::clone(&upstream.seen), Arc::clone(&upstream.connections), Arc::clone(&upstream.requests));
        let act: Arc<Act> = Arc::new(act);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                connections.fetch_add(1, Ordering::SeqCst);
                let (seen, requests, act) = (Arc::clone(&seen), Arc::clone(&requests), Arc::clone(&act));
                std::thread::spawn(move || serve(socket, &seen, &requests, &*act));
            }
        });
        upstream
    }

    /// Does `act` with the text of each whole request that it has read.
    pub(crate) fn reading(act: impl Fn(&str, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        Self::serving(move |_, text, socket| act(&text(), socket))
    }

    /// One of another process.
    pub(crate) fn elsewhere(port: u16) -> Self {
        Self { port, seen: Arc::default(), connections: Arc::default(), requests: Arc::default() }
    }

    /// Answers every chat request.
    pub(crate) fn answering() -> Self {
        Self::acting(|_, socket| socket.write_all(answer("ok").as_bytes()).is_ok())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// `upstreams:` and `models:` of a gateway whose model `MODEL` is served here.
    pub(crate) fn yaml(&self, name: &str, more: &str) -> String {
        let port = self.port;
        format!("  {name}: {{ kind: openai, url: \"http://127.0.0.1:{port}/v1\"{more} }}\n")
    }
}

fn serve(mut socket: TcpStream, seen: &Mutex<Vec<u8>>, requests: &AtomicUsize, act: &Act) {
    let mut read = Vec::new();
    let mut chunk = [0; 65536];
    loop {
        while let Some(end) = request_end(&read) {
            let request: Vec<u8> = read.drain(..end).collect();
            let number = requests.fetch_add(1, Ordering::SeqCst);
            if !act(number, &|| String::from_utf8_lossy(&request).into_owned(), &mut socket) {
                return;
            }
        }
        match socket.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(length) => {
                read.extend_from_slice(&chunk[..length]);
                seen.lock().unwrap().extend_from_slice(&chunk[..length]);
            }
        }
    }
}

/// Where the request at the start of these bytes ends.
fn request_end(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let end = head + length.unwrap_or(0);
    (bytes.len() >= end).then_some(end)
}

/// A whole answer to a chat request.
pub(crate) fn answer(text: &str) -> String {
    let body = format!(
        r#"{{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}}}"#
    );
    whole(200, &body)
}

/// A whole JSON answer.
pub(crate) fn whole(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The head of a stream, and events of so many words.
pub(crate) fn stream(words: usize) -> String {
    let event = |n| {
        format!(
            "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"w{n} \"}},\"finish_reason\":null}}]}}\n\n"
        )
    };
    let events: String = (0..words).map(event).collect();
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{events}")
}

/// The events that end a stream well.
pub(crate) const STREAM_END: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

/// Sends bytes and reads all that comes back until the other side ends, or `patience` is over.
pub(crate) fn talk(port: u16, bytes: &[u8], patience: Duration) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    // A server that has heard enough may close while this is written.
    drop(socket.write_all(bytes));
    let (text, _) = read_until_end(&mut socket, patience);
    text
}

/// What comes until the other side ends, and whether it did within `patience`.
pub(crate) fn read_until_end(socket: &mut TcpStream, patience: Duration) -> (String, bool) {
    let started = Instant::now();
    let (mut read, mut chunk) = (Vec::new(), [0; 65536]);
    let ended = loop {
        let Some(left) = patience.checked_sub(started.elapsed()).filter(|left| !left.is_zero()) else {
            break false;
        };
        socket.set_read_timeout(Some(left)).unwrap();
        match socket.read(&mut chunk) {
            Ok(0) => break true,
            Ok(length) => read.extend_from_slice(&chunk[..length]),
            Err(error) => {
                break !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
            }
        }
    };
    (String::from_utf8_lossy(&read).into_owned(), ended)
}

/// The statuses of the answers in a text, in order.
pub(crate) fn statuses(text: &str) -> Vec<u16> {
    text.match_indices("HTTP/1.1 ")
        .filter_map(|(at, tag)| text[at + tag.len()..].get(..3)?.parse().ok())
        .collect()
}
