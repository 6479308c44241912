//! What hostile clients do, one way at a time, for as long as they are let: for tests and the bench that ask how others fare
//! meanwhile.

use crate::{
    fault::{Upstream, answer, read_until_end, stream, whole},
    frames::{
        CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS,
        WINDOW_UPDATE, frame, head_of, literal,
    },
    support::{ACME, GLOBEX},
};
use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

/// Tenants as attacks want them: acme attacks, globex is the neighbour.
pub(crate) const TENANTS: &str = "
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    models: [\"*\"]
    tools: [{ allow: \"get_*\" }, { deny: \"delete_*\", reason: no deletions }]
  globex:
    keys: [{ id: prod, sha256: @GLOBEX@ }]
    models: [probe]
";
pub(crate) const MODELS: &str = "  probe: { upstream: shared }\n  poison: { upstream: shared }\n  endless: { upstream: endless }\n  denied: { upstream: mock }\n";

/// Upstreams that the two share: one that fails where it is asked for `poison`, and one whose streams do not end.
pub(crate) struct Upstreams {
    pub(crate) shared: Upstream,
    endless: Upstream,
}

/// The one whose streams do not end, and come as fast as they are taken; and whose embeddings are a large batch.
pub(crate) fn endless() -> Upstream {
    let batch = whole(200, &embeddings(400));
    Upstream::reading(move |request, socket| {
        if request.starts_with("POST /v1/embeddings") {
            return socket.write_all(batch.as_bytes()).is_ok();
        }
        let text = stream(200);
        let (head, events) = text.split_once("\r\n\r\n").unwrap();
        drop(socket.write_all(format!("{head}\r\n\r\n").as_bytes()));
        while socket.write_all(events.as_bytes()).is_ok() {}
        false
    })
}

/// So many vectors of 1,536 numbers, 15 KB each.
pub(crate) fn embeddings(count: usize) -> String {
    let vector = "-0.012345,".repeat(1535) + "1";
    let each = format!(r#"{{"object":"embedding","index":0,"embedding":[{vector}]}}"#);
    let data = vec![each; count].join(",");
    format!(
        r#"{{"object":"list","model":"m","data":[{data}],"usage":{{"prompt_tokens":7,"total_tokens":7}}}}"#
    )
}

impl Upstreams {
    /// With one that is `endless`.
    pub(crate) fn beside(endless: Upstream) -> Self {
        let shared = Upstream::reading(|request, socket| {
            let reply = if request.contains("poison") { whole(500, "{}") } else { answer("ok") };
            socket.write_all(reply.as_bytes()).is_ok()
        });
        Self { shared, endless }
    }

    pub(crate) fn yaml(&self) -> String {
        let shared = self.shared.yaml("shared", ", retry: { attempts: 0 }");
        shared + &self.endless.yaml("endless", "")
    }
}

/// Who is attacked, and until when.
pub(crate) struct Target<'t> {
    pub(crate) port: u16,
    pub(crate) stop: &'t AtomicBool,
    /// What the attack did so far, as it counts itself: requests, frames, connections.
    pub(crate) done: &'t AtomicUsize,
    /// Connections that an attack holds open which lives by many.
    pub(crate) held: usize,
}

impl Target<'_> {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    fn count(&self, more: usize) {
        self.done.fetch_add(more, Ordering::Relaxed);
    }

    fn connect(&self) -> Option<TcpStream> {
        let socket = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        socket.set_write_timeout(Some(Duration::from_secs(2))).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        Some(socket)
    }

    /// Sends the same request again and again, and reads what is said of it.
    fn again(&self, request: &[u8]) {
        while self.goes_on() {
            let Some(mut socket) = self.connect() else { continue };
            // A server that has heard enough closes while this is written.
            drop(socket.write_all(request));
            let mut chunk = [0; 4096];
            drop(socket.read(&mut chunk));
            self.count(1);
        }
    }

    /// Keeps connections that began so, and adds a byte to each now and then.
    fn drip(&self, begin: &str, byte: &[u8]) {
        let mut sockets: Vec<TcpStream> = Vec::new();
        while self.goes_on() {
            sockets.retain_mut(|socket| socket.write_all(byte).is_ok());
            while sockets.len() < self.held && self.goes_on() {
                let Some(mut socket) = self.connect() else { break };
                if socket.write_all(begin.as_bytes()).is_ok() {
                    sockets.push(socket);
                    self.count(1);
                }
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Writes frames for as long as they are taken, on one connection after the other.
    fn flood(&self, begin: &[u8], each: &[u8]) {
        let batch = each.repeat(200);
        while self.goes_on() {
            let mut client = Client::connect(self.port, &[]);
            client.send(begin);
            while self.goes_on() && client.send(&batch) && client.skim() {
                self.count(200);
            }
        }
    }
}

/// One way to attack. It runs on as many threads as one likes.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Target<'_>),
}

fn post(key: &str, headers: &str, body: &str) -> Vec<u8> {
    post_to("/v1/chat/completions", key, headers, body)
}

fn post_to(path: &str, key: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes()
}

fn chat(model: &str, text: &str, more: &str) -> String {
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"{text}"}}]{more}}}"#)
}

/// The neighbour's request.
pub(crate) fn neighbours() -> Vec<u8> {
    post(GLOBEX, "", &chat("probe", "hi", ""))
}

fn opening() -> Vec<u8> {
    head_of(ACME, "POST", "/v1/chat/completions")
}

/// By how HTTP/1 is written, read, or not.
pub(crate) const HTTP1: &[Attack] = &[
    Attack {
        name: "heads that drip",
        run: |target| target.drip("POST /v1/chat/completions HTTP/1.1\r\nx: ", b"y"),
    },
    Attack {
        name: "bodies that drip",
        run: |target| {
            let head = format!(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nx-api-key: {ACME}\r\ncontent-length: 100000\r\n\r\n{{"
            );
            target.drip(&head, b" ");
        },
    },
    Attack {
        name: "readers that stop",
        run: |target| {
            let request = post(ACME, "", &chat("endless", "hi", r#","stream":true"#));
            let mut sockets: Vec<TcpStream> = Vec::new();
            while target.goes_on() {
                while sockets.len() < target.held && target.goes_on() {
                    let Some(mut socket) = target.connect() else { break };
                    drop(socket.write_all(&request));
                    sockets.push(socket);
                    target.count(1);
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        },
    },
    Attack {
        name: "connections that come and go",
        run: |target| {
            while target.goes_on() {
                drop(target.connect());
                target.count(1);
            }
        },
    },
    Attack {
        name: "heads of 30 KB",
        run: |target| {
            let headers: String = (0..5).map(|n| format!("x-{n}: {}\r\n", "y".repeat(6000))).collect();
            target.again(format!("GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx-api-key: {ACME}\r\nconnection: close\r\n{headers}\r\n").as_bytes());
        },
    },
    Attack {
        name: "heads of 500 KB",
        run: |target| {
            target.again(
                format!("GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "y".repeat(500_000))
                    .as_bytes(),
            );
        },
    },
];

/// By frames of HTTP/2.
pub(crate) const HTTP2: &[Attack] = &[
    Attack {
        name: "rapid resets",
        run: |target| {
            let body = chat("probe", "hi", "");
            while target.goes_on() {
                let mut client = Client::connect(target.port, &[]);
                for batch in 0.. {
                    let mut bytes = Vec::new();
                    for each in 0..100 {
                        let stream = (batch * 100 + each) * 2 + 1;
                        bytes.extend(frame(HEADERS, END_HEADERS, stream, &opening()));
                        bytes.extend(frame(DATA, END_STREAM, stream, body.as_bytes()));
                        bytes.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
                    }
                    if !target.goes_on() || !client.send(&bytes) || !client.skim() {
                        break;
                    }
                    target.count(100);
                }
            }
        },
    },
    Attack {
        name: "CONTINUATION without an end",
        run: |target| {
            let begin = frame(HEADERS, 0, 1, &opening());
            target.flood(&begin, &frame(CONTINUATION, 0, 1, &literal("x", &"y".repeat(100))));
        },
    },
    Attack { name: "pings", run: |target| target.flood(&[], &frame(PING, 0, 0, &[0; 8])) },
    Attack {
        name: "settings",
        run: |target| target.flood(&[], &frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])),
    },
    Attack { name: "priorities", run: |target| target.flood(&[], &frame(PRIORITY, 0, 3, &[0, 0, 0, 0, 1])) },
    Attack {
        name: "empty data",
        run: |target| target.flood(&frame(HEADERS, END_HEADERS, 1, &opening()), &frame(DATA, 0, 1, &[])),
    },
    Attack {
        name: "resets that are made",
        run: |target| {
            let pair = |stream: u32| {
                [frame(HEADERS, END_HEADERS, stream, &opening()), frame(WINDOW_UPDATE, 0, stream, &[0; 4])]
                    .concat()
            };
            while target.goes_on() {
                let mut client = Client::connect(target.port, &[]);
                for batch in 0.. {
                    let bytes: Vec<u8> =
                        (0..100).flat_map(|each| pair((batch * 100 + each) * 2 + 1)).collect();
                    if !target.goes_on() || !client.send(&bytes) || !client.skim() {
                        break;
                    }
                    target.count(100);
                }
            }
        },
    },
];

/// By what is in a request, or who asks.
pub(crate) const REQUESTS: &[Attack] = &[
    Attack {
        name: "packed bodies of 1 MB",
        run: |target| target.again(&post(ACME, "content-encoding: gzip\r\n", &"\u{1f}".repeat(1 << 20))),
    },
    Attack { name: "JSON of 1 MB depth", run: |target| target.again(&post(ACME, "", &"[".repeat(1 << 20))) },
    Attack {
        name: "JSON of a million values",
        run: |target| {
            let values = format!(r#","x":[{}1]"#, "1,".repeat(1_000_000));
            target.again(&post(ACME, "", &chat("probe", "hi", &values)));
        },
    },
    Attack {
        name: "answers of 600,000 numbers",
        run: |target| {
            let request = post_to(
                "/v1/embeddings",
                ACME,
                "",
                r#"{"model":"endless","input":"hi","encoding_format":"float"}"#,
            );
            while target.goes_on() {
                let Some(mut socket) = target.connect() else { continue };
                drop(socket.write_all(&request));
                let mut chunk = vec![0; 1 << 16];
                while matches!(socket.read(&mut chunk), Ok(1..)) {}
                target.count(1);
            }
        },
    },
    Attack {
        name: "unknown keys",
        run: |target| {
            while target.goes_on() {
                let Some(mut socket) = target.connect() else { continue };
                for n in 0..100 {
                    let request = format!(
                        "GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx-api-key: unknown-{n}\r\n\r\n"
                    );
                    let mut chunk = [0; 4096];
                    if socket.write_all(request.as_bytes()).is_err()
                        || !matches!(socket.read(&mut chunk), Ok(1..))
                    {
                        break;
                    }
                    target.count(1);
                }
            }
        },
    },
    Attack {
        name: "denied tools",
        run: |target| {
            let tools = r#","tools":[{"type":"function","function":{"name":"delete_all"}},{"type":"function","function":{"name":"get_x"}}]"#;
            target.again(&post(ACME, "", &chat("denied", "!call delete_all {}", tools)));
        },
    },
    Attack {
        name: "requests that an upstream fails at",
        run: |target| {
            let request = post(ACME, "", &chat("poison", "poison", ""));
            while target.goes_on() {
                let Some(mut socket) = target.connect() else { continue };
                drop(socket.write_all(&request));
                read_until_end(&mut socket, Duration::from_secs(5));
                target.count(1);
            }
        },
    },
];
