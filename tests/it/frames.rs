//! HTTP/2 by the frame, as no client writes it: a writer of bytes, and what comes back.

#[path = "tls.rs"]
pub(crate) mod tls;

use crate::support::ACME;
use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;
pub(crate) const PRIORITIZED: u8 = 32;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header that is not indexed.
pub(crate) fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0, u8::try_from(name.len()).unwrap()];
    bytes.extend(name.bytes());
    bytes.push(u8::try_from(value.len()).unwrap());
    bytes.extend(value.bytes());
    bytes
}

pub(crate) fn head(method: &str, path: &str) -> Vec<u8> {
    head_of(ACME, method, path)
}

/// The same with another key.
pub(crate) fn head_of(key: &str, method: &str, path: &str) -> Vec<u8> {
    [
        literal(":method", method),
        literal(":scheme", "http"),
        literal(":authority", "localhost"),
        literal(":path", path),
        literal("x-api-key", key),
    ]
    .concat()
}

pub(crate) struct Client {
    socket: TcpStream,
    /// The same, or TLS on it.
    stream: Box<dyn Both>,
    read: Vec<u8>,
}

trait Both: Read + Write {}
impl<T: Read + Write> Both for T {}

/// What came back.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Stream and the first bytes of the head.
    pub(crate) heads: Vec<(u32, Vec<u8>)>,
    /// Streams that were answered to their end.
    pub(crate) complete: Vec<u32>,
    pub(crate) resets: Vec<(u32, u32)>,
    pub(crate) goaway: Option<u32>,
    /// Acknowledged pings.
    pub(crate) pings: Vec<Vec<u8>>,
    /// Acknowledged settings.
    pub(crate) settings: usize,
    /// Data, by stream.
    pub(crate) data: BTreeMap<u32, Vec<u8>>,
    pub(crate) ended: bool,
}

impl Heard {
    /// The data of a stream.
    pub(crate) fn text(&self, stream: u32) -> String {
        String::from_utf8_lossy(self.data.get(&stream).map_or(&[], Vec::as_slice)).into_owned()
    }

    /// 200 is 0x88 in HPACK's static table, 400 is 0x8c; 431 is none of it, and written in Huffman's code.
    pub(crate) fn status(&self, stream: u32) -> Option<u16> {
        let (_, head) = self.heads.iter().find(|(id, _)| *id == stream)?;
        if head.starts_with(&[0x48, 0x83, 0x69, 0x90, 0xff]) {
            return Some(431);
        }
        Some(match head.iter().find(|byte| **byte >= 0x80).copied() {
            Some(0x88) => 200,
            Some(0x8c) => 400,
            Some(0x8d) => 404,
            _ => 0,
        })
    }

    fn of(mut bytes: &[u8], ended: bool) -> Self {
        let mut heard = Self { ended, ..Self::default() };
        while bytes.len() >= 9 {
            let length = usize::try_from(u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]])).unwrap();
            let (kind, flags) = (bytes[3], bytes[4]);
            let stream = u32::from_be_bytes([bytes[5], bytes[6], bytes[7], bytes[8]]);
            let Some(payload) = bytes.get(9..9 + length) else { break };
            let code = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
            match kind {
                HEADERS => heard.heads.push((stream, payload.to_vec())),
                RST_STREAM => heard.resets.push((stream, code(0))),
                // Of several, the last one says why.
                GOAWAY => heard.goaway = Some(code(4)),
                PING if flags & ACK != 0 => heard.pings.push(payload.to_vec()),
                SETTINGS if flags & ACK != 0 => heard.settings += 1,
                DATA => heard.data.entry(stream).or_default().extend_from_slice(payload),
                _ => {}
            }
            if [HEADERS, DATA].contains(&kind) && flags & END_STREAM != 0 {
                heard.complete.push(stream);
            }
            bytes = &bytes[9 + length..];
        }
        heard
    }
}

impl Client {
    pub(crate) fn connect(port: u16, settings: &[u8]) -> Self {
        let mut client = Self::silent(port);
        client.send(PREFACE);
        client.send(&frame(SETTINGS, 0, 0, settings));
        client.send(&frame(SETTINGS, ACK, 0, &[]));
        client
    }

    /// One that has said nothing yet.
    pub(crate) fn silent(port: u16) -> Self {
        let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
        let stream = Box::new(socket.try_clone().unwrap());
        Self { socket, stream, read: Vec::new() }
    }

    /// One that speaks TLS, and has said its preface.
    pub(crate) fn secure(port: u16, pem: &str) -> Self {
        let (socket, stream) = tls::connect(port, pem, b"h2");
        let mut client = Self { socket, stream: Box::new(stream), read: Vec::new() };
        client.send(PREFACE);
        client.send(&frame(SETTINGS, 0, 0, &[]));
        client
    }

    /// Whether it could be written.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// All that comes until the other side ends, or `patience` is over.
    pub(crate) fn hear(&mut self, patience: Duration) -> Heard {
        self.hear_until(patience, |_| false)
    }

    /// All that came, from the beginning, once `enough` says so, the other side ended or `patience` is over.
    pub(crate) fn hear_until(&mut self, patience: Duration, enough: impl Fn(&Heard) -> bool) -> Heard {
        let (started, mut chunk) = (Instant::now(), [0; 65536]);
        loop {
            let heard = Heard::of(&self.read, false);
            let left = patience.checked_sub(started.elapsed()).filter(|left| !left.is_zero());
            let Some(left) = left.filter(|_| !enough(&heard)) else { return heard };
            self.socket.set_read_timeout(Some(left)).unwrap();
            match self.stream.read(&mut chunk) {
                Ok(length @ 1..) => self.read.extend_from_slice(&chunk[..length]),
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) => {}
                Ok(_) | Err(_) => return Heard::of(&self.read, true),
            }
        }
    }

    /// Reads what comes without looking at it; whether the other side is still there.
    pub(crate) fn skim(&mut self) -> bool {
        let mut chunk = [0; 65536];
        self.socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        loop {
            match self.stream.read(&mut chunk) {
                Ok(1..) => {}
                Ok(_) => return false,
                Err(error) => {
                    return matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    );
                }
            }
        }
    }
}
