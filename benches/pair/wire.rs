//! HTTP/1.1 messages as bytes, for both ends of the bench.
//!
//! Written by hand, so that mock and load generator cost little beside the proxy that is measured.

use std::io::{Error, ErrorKind, Result};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// What the bench needs of a message's head.
pub(crate) struct Head {
    /// Status of an answer; 0 for a request.
    pub(crate) status: u16,
    /// The sender closes the connection after this message.
    pub(crate) close: bool,
    framing: Framing,
}

enum Framing {
    Length(usize),
    Chunked(State),
}

/// Where a chunked body stands; the numbers are bytes. Trailers and extensions are errors: nobody here sends any.
enum State {
    Size(usize),
    Data(usize),
    /// The line end after a chunk's data.
    DataEnd,
    /// The line end after the last chunk.
    LastEnd,
    Done,
}

/// Reads one message and hands its body on slice by slice, without framing. `None`: closed before the first byte.
///
/// Nothing is pipelined here, so bytes after the message's end are an error, as is a head larger than `buffer`.
pub(crate) async fn receive(
    stream: &mut TcpStream,
    buffer: &mut [u8],
    mut on_body: impl FnMut(&[u8]),
) -> Result<Option<Head>> {
    let mut filled = 0;
    let body_start = loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        match read {
            0 if filled == 0 => return Ok(None),
            0 => return Err(broken("closed, or too large, in the head")),
            _ => filled += read,
        }
        if let Some(at) = buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let mut head = parse_head(&buffer[..body_start])?;
    head.framing.feed(&buffer[body_start..filled], &mut on_body)?;
    while !head.framing.is_complete() {
        let read = stream.read(buffer).await?;
        if read == 0 {
            return Err(broken("closed in the body"));
        }
        head.framing.feed(&buffer[..read], &mut on_body)?;
    }
    Ok(Some(head))
}

fn parse_head(bytes: &[u8]) -> Result<Head> {
    let text = std::str::from_utf8(bytes).map_err(|_| broken("a head that is not text"))?;
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok()).unwrap_or(0);
    let mut head = Head { status, close: false, framing: Framing::Length(0) };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            let length = value.parse().map_err(|_| broken("a content-length that is no number"))?;
            head.framing = Framing::Length(length);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            head.framing = Framing::Chunked(State::Size(0));
        } else if name.eq_ignore_ascii_case("connection") {
            head.close = value.eq_ignore_ascii_case("close");
        }
    }
    Ok(head)
}

impl Framing {
    fn is_complete(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(State::Done))
    }

    fn feed(&mut self, mut bytes: &[u8], on_body: &mut impl FnMut(&[u8])) -> Result<()> {
        while !bytes.is_empty() {
            let state = match self {
                Self::Length(0) | Self::Chunked(State::Done) => return Err(broken("bytes after the end")),
                Self::Length(left) => {
                    *left -= pass(&mut bytes, *left, on_body);
                    continue;
                }
                Self::Chunked(state) => state,
            };
            if let State::Data(left) = state {
                *left -= pass(&mut bytes, *left, on_body);
                if *left == 0 {
                    *state = State::DataEnd;
                }
                continue;
            }
            state.step(bytes[0])?;
            bytes = &bytes[1..];
        }
        Ok(())
    }
}

/// Hands on as much as belongs to the body, and returns how much that was.
fn pass(bytes: &mut &[u8], left: usize, on_body: &mut impl FnMut(&[u8])) -> usize {
    let (body, rest) = bytes.split_at(left.min(bytes.len()));
    on_body(body);
    *bytes = rest;
    body.len()
}

impl State {
    /// One byte of framing.
    fn step(&mut self, byte: u8) -> Result<()> {
        *self = match (&*self, byte) {
            (Self::Size(_) | Self::DataEnd | Self::LastEnd, b'\r') => return Ok(()),
            (Self::Size(0), b'\n') => Self::LastEnd,
            (Self::Size(size), b'\n') => Self::Data(*size),
            (Self::DataEnd, b'\n') => Self::Size(0),
            (Self::LastEnd, b'\n') => Self::Done,
            (Self::Size(size), digit) => {
                let digit =
                    char::from(digit).to_digit(16).ok_or_else(|| broken("a chunk size that is no number"))?;
                Self::Size(size * 16 + digit as usize)
            }
            (Self::Data(_) | Self::DataEnd | Self::LastEnd | Self::Done, _) => {
                return Err(broken("a broken chunk"));
            }
        };
        Ok(())
    }
}

fn broken(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}
