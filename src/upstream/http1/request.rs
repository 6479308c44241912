//! A request's head as bytes. Pure; apart because this is the one place where a header could be smuggled
//! or written twice.
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, header};

use super::client::Outgoing;

/// The head of `request`, or nothing when it cannot be one: a path that is not in origin form, or CONNECT.
pub(super) fn head(authority: &str, request: &Outgoing<'_>) -> Option<Bytes> {
    let path_ok =
        request.path.starts_with('/') && request.path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    if !path_ok || request.method == Method::CONNECT {
        return None;
    }
    let mut out = Vec::with_capacity(512);
    for part in [request.method.as_str(), " ", request.path, " HTTP/1.1\r\nhost: "] {
        out.extend_from_slice(part.as_bytes());
    }
    let host = request.headers.get(header::HOST).map_or(authority.as_bytes(), |v| v.as_bytes());
    out.extend_from_slice(host);
    out.extend_from_slice(b"\r\n");
    for (name, value) in request.headers {
        if !is_ours(name) && !is_named_by_connection(name, request.headers) {
            line(&mut out, name.as_str(), value.as_bytes());
        }
    }
    let expects_body = matches!(*request.method, Method::POST | Method::PUT | Method::PATCH);
    if expects_body || !request.body.is_empty() {
        line(&mut out, "content-length", request.body.len().to_string().as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    Some(Bytes::from(out))
}

fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// Headers that belong to the connection, or that this client writes itself.
fn is_ours(name: &HeaderName) -> bool {
    [
        header::HOST,
        header::CONTENT_LENGTH,
        header::CONNECTION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ]
    .contains(name)
        || name == "keep-alive"
        || name.as_str().starts_with("proxy-")
}

fn is_named_by_connection(name: &HeaderName, headers: &HeaderMap) -> bool {
    headers.get_all(header::CONNECTION).iter().any(|value| {
        value
            .as_bytes()
            .split(|&b| b == b',')
            .any(|t| t.trim_ascii().eq_ignore_ascii_case(name.as_str().as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::super::client::Again;
    use super::*;

    fn written(
        method: &Method,
        path: &str,
        headers: &[(&'static str, &'static str)],
        body: &'static str,
    ) -> Option<String> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(n, v)| (HeaderName::from_static(n), http::HeaderValue::from_static(v)))
            .fold(HeaderMap::new(), |mut map, (n, v)| {
                map.append(n, v);
                map
            });
        let (body, again) = (Bytes::from_static(body.as_bytes()), Again::Freely);
        let request = Outgoing { method, path, headers: &headers, body, again };
        head("up.example:8000", &request).map(|h| String::from_utf8(h.to_vec()).unwrap())
    }

    #[test]
    fn a_post_says_how_long_it_is() {
        let head = written(&Method::POST, "/v1/x?y=1", &[("content-type", "application/json")], "{}");
        let expected = "POST /v1/x?y=1 HTTP/1.1\r\nhost: up.example:8000\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n";
        assert_eq!(head.as_deref(), Some(expected));
    }

    #[test]
    fn an_empty_post_says_zero_and_a_get_says_nothing() {
        assert!(written(&Method::POST, "/", &[], "").unwrap().ends_with("content-length: 0\r\n\r\n"));
        assert!(!written(&Method::GET, "/", &[], "").unwrap().contains("content-length"));
    }

    #[test]
    fn what_belongs_to_the_connection_is_not_passed_on() {
        let head = written(
            &Method::POST,
            "/",
            &[
                ("connection", "x-hop, Close"),
                ("connection", "x-other"),
                ("x-hop", "1"),
                ("x-other", "1"),
                ("keep-alive", "timeout=5"),
                ("proxy-authorization", "fake"),
                ("proxy-connection", "keep-alive"),
                ("te", "trailers"),
                ("trailer", "x"),
                ("transfer-encoding", "chunked"),
                ("upgrade", "h2c"),
                ("content-length", "99"),
                ("host", "given.example"),
                ("x-kept", "1"),
                ("x-kept", "2"),
            ],
            "abc",
        );
        let expected =
            "POST / HTTP/1.1\r\nhost: given.example\r\nx-kept: 1\r\nx-kept: 2\r\ncontent-length: 3\r\n\r\n";
        assert_eq!(head.as_deref(), Some(expected));
    }

    #[test]
    fn a_path_cannot_end_the_request_line() {
        for path in ["", "x", "*", "/a b", "/a\r\nx: y", "/a\n", "/\0", "/ä", "/a#b", "http://x/"] {
            assert_eq!(written(&Method::GET, path, &[], ""), None, "{path:?}");
        }
        assert_eq!(written(&Method::CONNECT, "/", &[], ""), None);
    }
}
