//! What a request's headers say of its message. Nothing is decided by them: they only have to agree with the body.

use super::{
    Request, Revision,
    message::{Fault, HEADER_MISMATCH, INVALID_PARAMS},
    mirror::Stated,
    task::Step,
};
use crate::json::Value;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, header::ACCEPT};
use std::borrow::Cow;

pub(super) const SESSION: &str = "mcp-session-id";
pub(super) const LAST_EVENT: &str = "last-event-id";
pub(super) const VERSION: &str = "mcp-protocol-version";
pub(super) const METHOD: &str = "mcp-method";
pub(super) const NAME: &str = "mcp-name";
/// Members of a modern request's `_meta`.
const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// The headers of a request that speak of its message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    pub session: Option<String>,
    pub version: Option<String>,
    method: Option<String>,
    name: Option<String>,
    /// Behind which event the client wants to go on.
    pub last_event: Option<String>,
    /// Whether the client takes an answer as a stream of events.
    pub streams: bool,
    /// Whether it names that first.
    pub prefers_stream: bool,
    /// What it says of arguments.
    pub arguments: Stated,
}

impl Head {
    /// Reads the headers.
    ///
    /// # Errors
    /// One of them comes twice, or cannot be read.
    pub fn of(headers: &HeaderMap) -> Result<Self, Fault> {
        let one = |name: &str| {
            let mut values = headers.get_all(name).iter();
            let first = values.next().map(|value| value.to_str().map(str::trim));
            match (first, values.next()) {
                (None, _) => Ok(None),
                (Some(Ok(value)), None) => Ok(Some(value.to_owned())),
                (Some(_), _) => {
                    let message = format!("the header `{name}` comes twice, or is not plain text");
                    Err(Fault { status: 400, ..Fault::new(HEADER_MISMATCH, message) })
                }
            }
        };
        let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut accepted = accepted
            .flat_map(|value| value.split(','))
            .filter_map(|range| Some(range.split(';').next()?.trim()));
        let is_stream = |range: &str| range.eq_ignore_ascii_case("text/event-stream");
        let prefers_stream = accepted.next().is_some_and(is_stream);
        let streams = prefers_stream || accepted.any(is_stream);
        Ok(Self {
            session: one(SESSION)?,
            version: one(VERSION)?,
            method: one(METHOD)?,
            name: one(NAME)?,
            last_event: one(LAST_EVENT)?,
            streams,
            prefers_stream,
            arguments: Stated::of(headers),
        })
    }

    /// Whether a request is one of 2026-07-28, and says all that it has to. `None`: it belongs to a session.
    pub fn modern(&self, request: &Request<'_>) -> Option<Result<(), Fault>> {
        let named = request.param("_meta").and_then(|meta| meta.get(META_VERSION));
        let says_modern = self.version.as_deref() == Some(Revision::MODERN.as_str());
        match named {
            None if !says_modern => None,
            None => Some(Err(invalid("the request's `_meta` does not name its protocol version"))),
            Some(named) => Some(self.check(request, named)),
        }
    }

    fn check(&self, request: &Request<'_>, named: &Value<'_>) -> Result<(), Fault> {
        let named =
            named.as_str().ok_or_else(|| invalid("the protocol version in `_meta` is not a string"))?;
        agree(VERSION, self.version.as_deref(), named)?;
        if Revision::named(named) != Some(Revision::MODERN) {
            return Err(Fault::unsupported(named));
        }
        agree(METHOD, self.method.as_deref(), request.method)?;
        let name = match request.method {
            "tools/call" | "prompts/get" => request.param("name"),
            "resources/read" => request.param("uri"),
            method if Step::of(method).is_some() => request.param("taskId"),
            _ => None,
        };
        if let Some(name) = name.and_then(Value::as_str) {
            let stated = self.name.as_deref().map(|name| decoded(NAME, name)).transpose()?;
            agree(NAME, stated.as_deref(), name)?;
        }
        let capabilities = request.meta(META_CAPABILITIES);
        if capabilities.and_then(Value::members).is_none() {
            return Err(invalid("the request's `_meta` does not name the client's capabilities"));
        }
        Ok(())
    }
}

fn invalid(message: &str) -> Fault {
    Fault { status: 400, ..Fault::new(INVALID_PARAMS, message) }
}

fn agree(header: &str, stated: Option<&str>, body: &str) -> Result<(), Fault> {
    let what = match stated {
        Some(stated) if stated == body => return Ok(()),
        Some(_) => "does not agree with the body",
        None => "is missing",
    };
    Err(Fault { status: 400, ..Fault::new(HEADER_MISMATCH, format!("the header `{header}` {what}")) })
}

/// A header's value: what plain text cannot say stands as `=?base64?…?=`.
pub(super) fn decoded<'v>(header: &str, value: &'v str) -> Result<Cow<'v, str>, Fault> {
    let Some(coded) = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Ok(Cow::Borrowed(value));
    };
    let bytes = STANDARD.decode(coded).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.map(Cow::Owned).ok_or_else(|| {
        let message = format!("the header `{header}` is not valid base64");
        Fault { status: 400, ..Fault::new(HEADER_MISMATCH, message) }
    })
}

/// A text as a header says it.
pub(super) fn encoded(text: &str) -> String {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
        && text.trim() == text
        && !(text.starts_with("=?base64?") && text.ends_with("?="));
    if plain { text.to_owned() } else { format!("=?base64?{}?=", STANDARD.encode(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        json,
        mcp::message::{self, Message},
    };
    use http::{HeaderName, HeaderValue};

    const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

    fn code(headers: &[(&'static str, &str)], body: &str) -> Option<i64> {
        let map: HeaderMap = headers.iter().fold(HeaderMap::new(), |mut map, (name, value)| {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
            map
        });
        let value = json::parse(body.as_bytes(), 16).unwrap();
        let Ok(Message::Request(request)) = message::read(&value) else { panic!("{body}") };
        let head = match Head::of(&map) {
            Ok(head) => head,
            Err(fault) => return Some(fault.code),
        };
        head.modern(&request).map(|checked| checked.err().map_or(0, |fault| fault.code))
    }

    #[test]
    fn headers_agree_with_the_body_or_the_request_is_refused() {
        let call = |name: &str| {
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}",{META}}}}}"#)
        };
        let version = (VERSION, "2026-07-28");
        let method = (METHOD, "tools/call");
        let check = |headers: &[(&'static str, &str)], body: &str, expected: Option<i64>| {
            assert_eq!(code(headers, body), expected, "{headers:?} {body}");
        };
        check(&[version, method, (NAME, "get")], &call("get"), Some(0));
        check(&[version, method, (NAME, "=?base64?w6Q=?=")], &call("ä"), Some(0));
        check(&[version, method, (NAME, "=?base64?!?=")], &call("ä"), Some(HEADER_MISMATCH));
        check(&[version, method, (NAME, "delete")], &call("get"), Some(HEADER_MISMATCH));
        check(&[version, method], &call("get"), Some(HEADER_MISMATCH));
        check(&[version, (NAME, "get")], &call("get"), Some(HEADER_MISMATCH));
        check(&[version, (METHOD, "tools/list"), (NAME, "get")], &call("get"), Some(HEADER_MISMATCH));
        check(&[method, (NAME, "get")], &call("get"), Some(HEADER_MISMATCH));
        check(&[version, method, (NAME, "get"), (NAME, "get")], &call("get"), Some(HEADER_MISMATCH));
        check(&[(VERSION, "2025-11-25"), method, (NAME, "get")], &call("get"), Some(HEADER_MISMATCH));
        let later = call("get").replace("2026-07-28", "2030-01-01");
        check(&[(VERSION, "2030-01-01"), method, (NAME, "get")], &later, Some(-32022));
        check(&[version], r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#, Some(INVALID_PARAMS));
        check(&[], r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#, None);
        let bare = r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
        check(&[version, (METHOD, "ping")], bare, Some(INVALID_PARAMS));
    }

    #[test]
    fn what_a_header_cannot_say_is_coded() {
        for text in ["get", "a b", "ä", " a", "", "a\nb", "=?base64?x?="] {
            assert_eq!(decoded(NAME, &encoded(text)).unwrap(), text);
            assert!(HeaderValue::from_str(&encoded(text)).is_ok());
        }
    }
}
