//! An answer's head: found in bytes, parsed, and what it says about the body behind it. Pure; apart because these
//! few rules decide where one answer ends and the next begins.
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::framing::Framing;

/// Bytes that a head may have.
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 128;

/// Whether a connection may carry another request after this answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reuse {
    KeepAlive,
    Close,
}

/// A final answer's head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) framing: Framing,
    pub(super) reuse: Reuse,
}

/// What a complete head was.
#[derive(Debug)]
pub(super) enum Parsed {
    /// A 1xx: another head follows.
    Interim,
    Final(Head),
}

/// A head that must not be believed, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// Where the head at the start of `bytes` ends, when it does. `seen` bytes were looked at before, without result.
pub(super) fn end_of_head(bytes: &[u8], seen: usize) -> Result<Option<usize>, Malformed> {
    if bytes.first().is_some_and(|&b| b != b'H') {
        return Err(Malformed("no status line"));
    }
    let mut at = seen;
    while let Some(line) = bytes.get(at..).and_then(|rest| rest.iter().position(|&b| b == b'\n')) {
        let newline = at + line;
        let before = bytes.get(..newline).unwrap_or_default();
        if !before.ends_with(b"\r") {
            return Err(Malformed("bare line feed in the head"));
        }
        at = newline + 1;
        if before.ends_with(b"\n\r") {
            return if at <= HEAD_BYTES_MAX { Ok(Some(at)) } else { Err(Malformed("head too large")) };
        }
    }
    if bytes.len() > HEAD_BYTES_MAX { Err(Malformed("head too large")) } else { Ok(None) }
}

/// Parses a complete head; `bytes` end with its empty line. `method` is the request's.
pub(super) fn parse(bytes: &Bytes, method: &Method) -> Result<Parsed, Malformed> {
    let mut slots = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut slots);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(Malformed("head incomplete")),
        Err(httparse::Error::TooManyHeaders) => return Err(Malformed("too many headers")),
        Err(_) => return Err(Malformed("head not parseable")),
    }
    let status =
        response.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(Malformed("no status"))?;
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Malformed("an upgrade that nobody asked for"));
    }
    if status.is_informational() {
        return Ok(Parsed::Interim);
    }
    let mut headers = HeaderMap::with_capacity(response.headers.len());
    for h in response.headers.iter() {
        let name = HeaderName::from_bytes(h.name.as_bytes()).map_err(|_| Malformed("header name"))?;
        // The values share one allocation with the head instead of having one each.
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(h.value))
            .map_err(|_| Malformed("header value"))?;
        headers.append(name, value);
    }
    let version = if response.version == Some(0) { Version::Http10 } else { Version::Http11 };
    let (framing, reuse) = framing(version, status, method, &headers)?;
    Ok(Parsed::Final(Head { status, headers, framing, reuse }))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

/// RFC 9112, section 6.3, without its leniencies.
fn framing(
    version: Version,
    status: StatusCode,
    method: &Method,
    headers: &HeaderMap,
) -> Result<(Framing, Reuse), Malformed> {
    let length = content_length(headers)?;
    let chunked = is_chunked(headers)?;
    if chunked && (length.is_some() || version == Version::Http10) {
        return Err(Malformed("transfer-encoding beside content-length or in HTTP/1.0"));
    }
    let reuse = match version {
        Version::Http11 if !connection_says(headers, "close") => Reuse::KeepAlive,
        Version::Http10 if connection_says(headers, "keep-alive") => Reuse::KeepAlive,
        Version::Http10 | Version::Http11 => Reuse::Close,
    };
    let announces = chunked || length.is_some_and(|n| n > 0);
    if status == StatusCode::NO_CONTENT {
        // A 204 that announces a body may still send it, and it would be taken for the next answer.
        return Ok((Framing::done(), if announces { Reuse::Close } else { reuse }));
    }
    if status == StatusCode::NOT_MODIFIED || method == Method::HEAD {
        return Ok((Framing::done(), reuse));
    }
    Ok(match length {
        _ if chunked => (Framing::chunked(), reuse),
        Some(length) => (Framing::length(length), reuse),
        None => (Framing::until_close(), Reuse::Close),
    })
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Malformed> {
    let mut length = None;
    for value in headers.get_all(header::CONTENT_LENGTH) {
        let text = value.to_str().map_err(|_| Malformed("content-length"))?;
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Malformed("content-length"));
        }
        let this: u64 = text.parse().map_err(|_| Malformed("content-length"))?;
        if length.is_some_and(|other| other != this) {
            return Err(Malformed("several content-lengths"));
        }
        length = Some(this);
    }
    Ok(length)
}

fn is_chunked(headers: &HeaderMap) -> Result<bool, Malformed> {
    let mut values = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(false),
        (Some(only), None) if only.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(true),
        (Some(_), _) => Err(Malformed("a transfer-encoding other than chunked")),
    }
}

fn connection_says(headers: &HeaderMap, token: &str) -> bool {
    headers.get_all(header::CONNECTION).iter().any(|value| {
        value.as_bytes().split(|&b| b == b',').any(|t| t.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &str, expected: Result<(Framing, Reuse), &'static str>) {
        check_for(&Method::POST, head, expected);
    }

    #[track_caller]
    fn check_for(method: &Method, head: &str, expected: Result<(Framing, Reuse), &'static str>) {
        let bytes = Bytes::from(head.replace('\n', "\r\n") + "\r\n\r\n");
        let parsed = end_of_head(&bytes, 0).and_then(|end| {
            assert_eq!(end, Some(bytes.len()));
            parse(&bytes, method)
        });
        let summary = match parsed {
            Ok(Parsed::Final(head)) => Ok((head.framing, head.reuse)),
            Ok(Parsed::Interim) => Err("interim"),
            Err(Malformed(why)) => Err(why),
        };
        assert_eq!((head, summary), (head, expected));
    }

    #[test]
    fn how_the_body_is_framed() {
        check("HTTP/1.1 200 OK\ncontent-length: 5", Ok((Framing::length(5), Reuse::KeepAlive)));
        check(
            "HTTP/1.1 200 OK\ncontent-length: 5\nContent-Length: 5",
            Ok((Framing::length(5), Reuse::KeepAlive)),
        );
        check("HTTP/1.1 200\ntransfer-encoding: Chunked", Ok((Framing::chunked(), Reuse::KeepAlive)));
        check(
            "HTTP/1.1 200 OK\nconnection: x, Close\ncontent-length: 0",
            Ok((Framing::length(0), Reuse::Close)),
        );
        check("HTTP/1.1 200 OK", Ok((Framing::until_close(), Reuse::Close)));
        check("HTTP/1.0 200 OK", Ok((Framing::until_close(), Reuse::Close)));
        check("HTTP/1.0 200 OK\ncontent-length: 5", Ok((Framing::length(5), Reuse::Close)));
        check(
            "HTTP/1.0 200 OK\ncontent-length: 5\nconnection: keep-alive",
            Ok((Framing::length(5), Reuse::KeepAlive)),
        );
        check("HTTP/1.1 204 No Content", Ok((Framing::done(), Reuse::KeepAlive)));
        check("HTTP/1.1 204 No Content\ncontent-length: 3", Ok((Framing::done(), Reuse::Close)));
        check("HTTP/1.1 304 Not Modified\ncontent-length: 3", Ok((Framing::done(), Reuse::KeepAlive)));
        check_for(
            &Method::HEAD,
            "HTTP/1.1 200 OK\ncontent-length: 3",
            Ok((Framing::done(), Reuse::KeepAlive)),
        );
        check("HTTP/1.1 100 Continue", Err("interim"));
        check("HTTP/1.1 103 Early Hints\nlink: x", Err("interim"));
    }

    #[test]
    fn heads_that_must_not_be_believed() {
        let te = "a transfer-encoding other than chunked";
        let both = "transfer-encoding beside content-length or in HTTP/1.0";
        check("HTTP/1.1 200 OK\ncontent-length: 5\ntransfer-encoding: chunked", Err(both));
        check("HTTP/1.1 200 OK\ntransfer-encoding: chunked\ncontent-length: 0", Err(both));
        check("HTTP/1.0 200 OK\ntransfer-encoding: chunked", Err(both));
        check("HTTP/1.1 200 OK\ncontent-length: 5\ncontent-length: 6", Err("several content-lengths"));
        for bad in ["5, 5", "+5", "-1", "0x5", "", "5 5", "18446744073709551616"] {
            check(&format!("HTTP/1.1 200 OK\ncontent-length: {bad}"), Err("content-length"));
        }
        for bad in ["gzip, chunked", "chunked, gzip", "xchunked", "identity", "", "chunked, chunked"] {
            check(&format!("HTTP/1.1 200 OK\ntransfer-encoding: {bad}"), Err(te));
        }
        check("HTTP/1.1 200 OK\ntransfer-encoding: chunked\ntransfer-encoding: chunked", Err(te));
        check("HTTP/1.1 101 Switching\nupgrade: x", Err("an upgrade that nobody asked for"));
        check("HTTP/1.1 200 OK\nx : y", Err("head not parseable"));
        check("HTTP/1.1 200 OK\nx: y\n z", Err("head not parseable"));
        check("HTTP/2.0 200 OK", Err("head not parseable"));
        check("HTTP/1.1 20 OK", Err("head not parseable"));
        check("HTTP/1.1 200 OK\nx: a\0b", Err("head not parseable"));
        check("http/1.1 200 OK", Err("no status line"));
        check(&format!("HTTP/1.1 200 OK{}", "\nx: y".repeat(129)), Err("too many headers"));
        check(&format!("HTTP/1.1 200 OK\nx: {}", "y".repeat(HEAD_BYTES_MAX)), Err("head too large"));
    }

    #[test]
    fn a_head_is_found_at_its_end_and_not_before() {
        let bytes = b"HTTP/1.1 200 OK\r\nx: y\r\n\r\nbody\n\n";
        for end in 0..25 {
            assert_eq!(end_of_head(&bytes[..end], end.saturating_sub(3)), Ok(None));
        }
        for seen in 0..25 {
            assert_eq!(end_of_head(bytes, seen), Ok(Some(25)));
        }
        assert_eq!(end_of_head(b"HTTP/1.1 200 OK\n", 0), Err(Malformed("bare line feed in the head")));
        assert_eq!(end_of_head(b"\r\nHTTP", 0), Err(Malformed("no status line")));
        assert_eq!(end_of_head(&vec![b'H'; HEAD_BYTES_MAX + 1], 0), Err(Malformed("head too large")));
    }
}
