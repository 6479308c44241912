//! MCP requests as bytes, and one exchange at a time.

use std::io::{Error, Result};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::texts::KEY;

const MODERN: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"}}"#;
const ARGUMENTS: &str = r#"{"reference":"the oak table","limit":5,"with_lines":true}"#;

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header's value; names are compared in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }
}

fn post(port: u16, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {KEY}\r\n\
         Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         User-Agent: tollgate-bench\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A call in the words of 2026-07-28.
pub(crate) fn call(port: u16) -> Vec<u8> {
    let headers = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: s00__find_07\r\n";
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"s00__find_07","arguments":{ARGUMENTS},{MODERN}}}}}"#
    );
    post(port, headers, &body)
}

/// A call within a session.
pub(crate) fn call_in(port: u16, session: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"s00__find_07","arguments":{ARGUMENTS}}}}}"#
    );
    post(port, &in_session(session), &body)
}

/// The list of all tools.
pub(crate) fn list(port: u16) -> Vec<u8> {
    let headers = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list\r\n";
    post(port, headers, &format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{{{MODERN}}}}}"#))
}

/// What opens a session.
pub(crate) fn initialize(port: u16) -> Vec<u8> {
    let body = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
    post(port, "", body)
}

/// What is said once it is open.
pub(crate) fn initialized(port: u16, session: &str) -> Vec<u8> {
    post(port, &in_session(session), r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
}

/// What asks for the session's stream.
pub(crate) fn stream(port: u16, session: &str) -> Vec<u8> {
    format!(
        "GET /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {KEY}\r\n\
         Accept: text/event-stream\r\nUser-Agent: tollgate-bench\r\n{}\r\n",
        in_session(session)
    )
    .into_bytes()
}

fn in_session(session: &str) -> String {
    format!("MCP-Protocol-Version: 2025-11-25\r\nMcp-Session-Id: {session}\r\n")
}

/// Sends a request and reads its answer: the head, and as much of a body as has a length.
pub(crate) async fn exchange(socket: &mut TcpStream, request: &[u8]) -> Result<Answer> {
    socket.write_all(request).await?;
    let mut bytes = Vec::new();
    let head_end = loop {
        if socket.read_buf(&mut bytes).await? == 0 {
            return Err(Error::other("closed without an answer"));
        }
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let status = head.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    let mut answer = Answer { status, head, body: bytes.split_off(head_end) };
    let length = answer.header("content-length").and_then(|digits| digits.parse().ok()).unwrap_or(0);
    while answer.body.len() < length {
        if socket.read_buf(&mut answer.body).await? == 0 {
            return Err(Error::other("closed in the body"));
        }
    }
    Ok(answer)
}
