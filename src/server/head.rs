//! The head of an HTTP/1 request, before hyper sees it: strictly what RFC 9112 says, without its leniencies. Two servers
//! that read the same bytes in two ways are how requests are smuggled; what can be read in two ways is refused here.
//! Pure.

use memchr::{memchr, memchr_iter};

/// A request line is no longer.
const LINE_BYTES_MAX: usize = 8 << 10;
/// A request has no more headers.
pub(super) const HEADERS_MAX: usize = 100;
/// More digits are no length of anything.
const LENGTH_DIGITS_MAX: usize = 15;

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Bytes(u64),
    Chunked,
}

/// Why a head is refused: a status, and what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) why: &'static str,
}

const fn bad(why: &'static str) -> Refused {
    Refused { status: 400, why }
}

pub(super) const TOO_SLOW: Refused =
    Refused { status: 408, why: "the head of the request came too slowly; send it again" };
pub(super) const TOO_LARGE: Refused =
    Refused { status: 431, why: "the headers are larger than `limits.header`, or more than 100" };
const LINE_TOO_LONG: Refused = Refused { status: 414, why: "the request line is longer than 8 KiB" };

/// Where the head at the start of `bytes` ends, if it does. Of `bytes`, `seen` were looked at before.
pub(super) fn end(bytes: &[u8], seen: usize, bytes_max: usize) -> Result<Option<usize>, Refused> {
    if bytes.first().is_some_and(|&byte| !is_token(byte)) {
        return Err(bad("this is not HTTP; if the client speaks TLS, this listener does not"));
    }
    let rest = bytes.get(seen..).unwrap_or_default();
    for newline in memchr_iter(b'\n', rest) {
        let before = bytes.get(..seen + newline).unwrap_or_default();
        if !before.ends_with(b"\r") {
            return Err(bad("a line of the head ends without a carriage return"));
        }
        if before.ends_with(b"\n\r") {
            let end = seen + newline + 1;
            return if end <= bytes_max { Ok(Some(end)) } else { Err(TOO_LARGE) };
        }
    }
    if bytes.len() > LINE_BYTES_MAX && memchr(b'\n', bytes.get(..LINE_BYTES_MAX).unwrap_or(bytes)).is_none() {
        return Err(LINE_TOO_LONG);
    }
    if bytes.len() > bytes_max { Err(TOO_LARGE) } else { Ok(None) }
}

/// How long the body behind a complete head is, if the head can be read in one way only.
pub(super) fn read(head: &[u8]) -> Result<Length, Refused> {
    let mut lines = lines(head);
    let (is_http_11, authority) = request_line(lines.next().unwrap_or_default())?;
    let mut found = Found::default();
    for (count, line) in lines.enumerate() {
        if count >= HEADERS_MAX {
            return Err(TOO_LARGE);
        }
        found.header(line, is_http_11)?;
    }
    match (found.host, authority) {
        (None, _) if is_http_11 => Err(bad("the header `host` is missing")),
        (Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority) => {
            Err(bad("the request line and the header `host` name two hosts"))
        }
        (None, Some(_)) => Err(bad("the header `host` is missing")),
        _ => match (found.length, found.chunked) {
            (Some(_), true) => Err(bad("`content-length` and `transfer-encoding` stand in one request")),
            (_, true) => Ok(Length::Chunked),
            (length, false) => Ok(Length::Bytes(length.unwrap_or(0))),
        },
    }
}

/// The path of a head that is refused, as far as it can be told: so that the answer is in the words of its API.
pub(super) fn path(head: &[u8]) -> Option<&str> {
    let line = lines(head).next()?;
    let target = line.split(|&byte| byte == b' ').nth(1)?;
    let path = target.split(|&byte| byte == b'?').next()?;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/_-.".contains(byte);
    let is_plain = path.first() == Some(&b'/') && path.len() <= 128 && path.iter().all(plain);
    std::str::from_utf8(path).ok().filter(|_| is_plain)
}

/// The lines of a head up to its empty one.
fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    let lines = memchr_iter(b'\n', head).chain([head.len()]).map(move |end| {
        let line = head.get(start..end).unwrap_or_default();
        start = end + 1;
        line.strip_suffix(b"\r").unwrap_or(line)
    });
    lines.take_while(|line| !line.is_empty())
}

/// Whether a control character other than a tab stands in a header's value.
fn holds_control(value: &[u8]) -> bool {
    let is_control = |byte: u8| (byte < b' ') & (byte != b'\t') | (byte == 0x7f);
    // Without a branch for each: of this the compiler makes vector instructions.
    value.chunks(64).any(|chunk| chunk.iter().fold(false, |any, &byte| any | is_control(byte)))
}

/// Whether it is HTTP/1.1, and the authority that the target names.
fn request_line(line: &[u8]) -> Result<(bool, Option<&[u8]>), Refused> {
    if line.len() > LINE_BYTES_MAX {
        return Err(LINE_TOO_LONG);
    }
    let mut parts = line.split(|&byte| byte == b' ');
    let (method, target, version) = (parts.next(), parts.next(), parts.next());
    let (Some(method), Some(target), Some(version), None) = (method, target, version, parts.next()) else {
        return Err(bad("the request line is not `METHOD PATH HTTP/1.1`"));
    };
    let is_http_11 = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        _ => return Err(bad("the version of the request line is neither HTTP/1.1 nor HTTP/1.0")),
    };
    if method == b"CONNECT" {
        return Err(Refused { status: 405, why: "the gateway is no proxy: CONNECT is not served" });
    }
    if method.is_empty() || method.len() > 32 || !method.iter().copied().all(is_token) {
        return Err(bad("the method is none"));
    }
    if target.is_empty() || !target.iter().all(|&byte| byte.is_ascii_graphic() && !b"#\\".contains(&byte)) {
        return Err(bad("the path holds a character that has to be percent-encoded"));
    }
    if target.first() == Some(&b'/') {
        return Ok((is_http_11, None));
    }
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| {
            let (start, rest) = target.split_at_checked(scheme.len())?;
            start.eq_ignore_ascii_case(scheme.as_bytes()).then_some(rest)
        })
        .ok_or(bad("the path does not begin with a slash"))?;
    let end = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
    Ok((is_http_11, rest.get(..end)))
}

/// What the headers say of the body and of whom the request is for.
#[derive(Debug, Default)]
struct Found<'h> {
    host: Option<&'h [u8]>,
    length: Option<u64>,
    chunked: bool,
}

impl<'h> Found<'h> {
    fn header(&mut self, line: &'h [u8], is_http_11: bool) -> Result<(), Refused> {
        let colon = memchr(b':', line).unwrap_or(0);
        let (name, value) = line.split_at_checked(colon).unwrap_or_default();
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return Err(bad("a header's name is none, or there is space before its colon"));
        }
        let value = value.strip_prefix(b":").unwrap_or(value);
        if holds_control(value) {
            return Err(bad("a header's value holds a control character"));
        }
        let value = value.trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            self.content_length(value)
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let is_known = value.eq_ignore_ascii_case(b"chunked") && !self.chunked && is_http_11;
            self.chunked = true;
            if is_known { Ok(()) } else { Err(bad("a transfer-encoding other than one `chunked`")) }
        } else if name.eq_ignore_ascii_case(b"host") {
            if self.host.is_some() || !is_host(value) {
                return Err(bad("the header `host` stands twice, or is no host with or without a port"));
            }
            self.host = Some(value);
            Ok(())
        } else {
            Ok(())
        }
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Refused> {
        let digits = (1..=LENGTH_DIGITS_MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
        let length = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
        if length.is_none() || self.length.is_some() {
            return Err(bad("`content-length` stands twice, or is no number"));
        }
        self.length = length;
        Ok(())
    }
}

/// Whether it is a name or an address, with or without a port.
pub(super) fn is_host(text: &[u8]) -> bool {
    let end = match text.first() {
        Some(b'[') => memchr(b']', text).map(|end| end + 1),
        _ => Some(memchr(b':', text).unwrap_or(text.len())),
    };
    let Some((name, rest)) = end.and_then(|end| text.split_at_checked(end)) else { return false };
    let is_name = match name {
        [b'[', address @ .., b']'] => {
            address.contains(&b':')
                && address.iter().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(byte))
        }
        _ => {
            !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(byte))
        }
    };
    // RFC 3986 lets a port be empty.
    let port = match rest {
        [] => Some("0"),
        [b':', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => std::str::from_utf8(digits).ok(),
        _ => None,
    };
    is_name && port.is_some_and(|port| port.is_empty() || port.parse::<u16>().is_ok())
}

/// Which bytes may stand in a method or in a header's name. Source: RFC 9110, section 5.6.2.
static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = 0_u8;
    loop {
        let stands = matches!(
            at,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        );
        #[expect(clippy::indexing_slicing, reason = "a table of all bytes")]
        {
            table[at as usize] = stands || at.is_ascii_alphanumeric();
        }
        if at == u8::MAX {
            break table;
        }
        at += 1;
    }
};

/// Whether a byte may stand in a method or in a header's name.
fn is_token(byte: u8) -> bool {
    TOKEN.get(usize::from(byte)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_whole(head: &[u8]) -> Result<Length, u16> {
        let mut seen = 0;
        // Any split of the bytes gives the same verdict.
        for length in 1..head.len() {
            match end(&head[..length], seen, 32 << 10) {
                Ok(None) => seen = length,
                Ok(Some(end)) => panic!("ended at {end} of {}", head.len()),
                Err(refused) => return Err(refused.status),
            }
        }
        match end(head, seen, 32 << 10) {
            Ok(Some(end)) => read(&head[..end]).map_err(|refused| refused.status),
            Ok(None) => Err(0),
            Err(refused) => Err(refused.status),
        }
    }

    #[track_caller]
    fn check(head: &str, expected: Result<Length, u16>) {
        assert_eq!(read_whole(head.as_bytes()), expected, "{head:?}");
    }

    #[test]
    fn heads_that_can_be_read_in_one_way() {
        check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok(Length::Bytes(0)));
        check("GET / HTTP/1.0\r\n\r\n", Ok(Length::Bytes(0)));
        check("POST /x?y HTTP/1.1\r\nhOST:a:80\r\nContent-Length:\t2 \r\n\r\n", Ok(Length::Bytes(2)));
        check("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", Ok(Length::Chunked));
        check("POST HTTP://A/x HTTP/1.1\r\nHost: a\r\n\r\n", Ok(Length::Bytes(0)));
        check("GET / HTTP/1.1\r\nHost: a_b-c.d:\r\n\r\n", Ok(Length::Bytes(0)));
        check("GET / HTTP/1.1\r\nHost: [::ffff:1.2.3.4]\r\n\r\n", Ok(Length::Bytes(0)));
        check("GET / HTTP/1.1\r\nHost: 10.0.0.1:65535\r\n\r\n", Ok(Length::Bytes(0)));
        check("GET /x HTTP/1.1\r\nHost: [::1]:8080\r\nX: \u{e4}\r\n\r\n", Ok(Length::Bytes(0)));
    }

    #[test]
    fn a_control_character_is_seen_wherever_it_stands() {
        for length in [1, 63, 64, 65, 130] {
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    let mut value = vec![b'v'; length];
                    value[place] = byte;
                    let expected = byte != b'\t' && byte.is_ascii_control();
                    assert_eq!(holds_control(&value), expected, "{byte} at {place} of {length}");
                }
            }
        }
    }

    #[test]
    fn heads_that_cannot() {
        let with = |headers: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n");
        for headers in [
            "Content-Length: 2\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 2",
            "Content-Length: 2\r\nContent-Length: 2",
            "Content-Length: 2, 2",
            "Content-Length: +2",
            "Content-Length: -1",
            "Content-Length: 0x2",
            "Content-Length:",
            "Content-Length: 99999999999999999999",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked, gzip",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding : chunked",
            "Transfer-Encoding: \u{b}chunked",
            "X: a\r\n b",
            "X: a\rb",
            "X: a\0b",
            "X",
            ": x",
            "X Y: z",
            "Host: a",
        ] {
            check(&with(headers), Err(400));
        }
        for head in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost:\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a:x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a:+1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: :80\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: [a]\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: ::1\r\n\r\n",
            "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http://b/ HTTP/1.0\r\n\r\n",
            "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / http/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
            "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /\u{e4} HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\n\n",
            "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\u{16}\u{3}\u{1}",
        ] {
            check(head, Err(400));
        }
        check("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", Err(405));
    }

    #[test]
    fn heads_that_are_too_large() {
        let long = "x".repeat(LINE_BYTES_MAX);
        check(&format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), Err(414));
        check(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(32 << 10)), Err(431));
        check(&format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "x: y\r\n".repeat(100)), Err(431));
        // A header's line has no bound of its own: that of all of them is it, to the byte.
        let of = |length: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(length));
        let most = (32 << 10) - of(0).len();
        check(&of(most), Ok(Length::Bytes(0)));
        check(&of(most + 1), Err(431));
        check(&format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "x: y\r\n".repeat(99)), Ok(Length::Bytes(0)));
    }

    #[test]
    fn the_path_of_a_refused_head() {
        assert_eq!(path(b"POST /v1/messages?x HTTP/1.1\r\n"), Some("/v1/messages"));
        assert_eq!(path(b"POST /v1/mess ages"), Some("/v1/mess"));
        assert_eq!(path(b"POST /%0d HTTP/1.1"), None);
        assert_eq!(path(b"GET"), None);
    }
}
