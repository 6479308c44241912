//! What the gateway sends to servers: each request in the words of the era that the server speaks.

use super::{Revision, answer, head, message};
use crate::json::{self, Value};
use http::{HeaderMap, HeaderName, HeaderValue};

/// A request to a server, apart from its connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    pub body: Vec<u8>,
    /// The headers that speak of the message.
    pub headers: HeaderMap,
}

/// What a call asks for beside its tool and arguments.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wishes {
    /// Whether progress is reported, under the request's id.
    pub progress: bool,
    /// How much is told while it runs, where the era says it with each request.
    pub log_level: Option<String>,
}

/// What a request says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ask<'a> {
    pub id: u64,
    pub method: &'static str,
    /// What `Mcp-Name` repeats.
    pub name: Option<&'a str>,
    /// Members of `params` as JSON, without braces: `"name":"x","arguments":{}`.
    pub params: &'a [u8],
    pub wishes: Option<&'a Wishes>,
}

impl Ask<'_> {
    /// The request for a server of this revision.
    pub fn sealed(&self, revision: Revision) -> Envelope {
        let mut meta = Value::object([]);
        if revision.is_modern() {
            meta.set("io.modelcontextprotocol/protocolVersion", Value::string(revision.as_str()));
            meta.set("io.modelcontextprotocol/clientCapabilities", Value::object([]));
            meta.set("io.modelcontextprotocol/clientInfo", answer::info());
        }
        if let Some(wishes) = self.wishes {
            if wishes.progress {
                meta.set("progressToken", Value::integer(self.id));
            }
            if let (true, Some(level)) = (revision.is_modern(), &wishes.log_level) {
                meta.set("io.modelcontextprotocol/logLevel", Value::string(level.clone()));
            }
        }
        let has_meta = meta.members().is_some_and(|members| !members.is_empty());
        let mut body = format!(r#"{{"jsonrpc":"2.0","id":{},"method":"#, self.id).into_bytes();
        json::write_string(self.method, &mut body);
        if has_meta || !self.params.is_empty() {
            body.extend_from_slice(b",\"params\":{");
            body.extend_from_slice(self.params);
            if has_meta {
                body.extend_from_slice(if self.params.is_empty() { b"\"_meta\":" } else { b",\"_meta\":" });
                json::write(&meta, &mut body);
            }
            body.push(b'}');
        }
        body.push(b'}');
        Envelope { body, headers: self.headers(revision) }
    }

    fn headers(&self, revision: Revision) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if revision.is_modern() {
            headers.insert(HeaderName::from_static(head::METHOD), HeaderValue::from_static(self.method));
            if let Some(name) = self.name.and_then(|name| HeaderValue::from_str(&head::encoded(name)).ok()) {
                headers.insert(HeaderName::from_static(head::NAME), name);
            }
        }
        insert_version(&mut headers, revision);
        headers
    }
}

/// Names the revision where its requests do.
pub fn insert_version(headers: &mut HeaderMap, revision: Revision) {
    if revision.is_in_headers() {
        headers.insert(HeaderName::from_static(head::VERSION), HeaderValue::from_static(revision.as_str()));
    }
}

/// The name of the header that carries a session's id.
pub fn session_header() -> HeaderName {
    HeaderName::from_static(head::SESSION)
}

/// The parameters of `initialize`.
pub fn initialize_params() -> Vec<u8> {
    let mut out =
        format!(r#""protocolVersion":"{}","capabilities":{{}},"clientInfo":"#, Revision::LEGACY.as_str())
            .into_bytes();
    json::write(&answer::info(), &mut out);
    out
}

/// The parameters of `tools/list` from this page on.
pub fn list_params(cursor: Option<&str>) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(cursor) = cursor {
        out.extend_from_slice(b"\"cursor\":");
        json::write_string(cursor, &mut out);
    }
    out
}

/// The parameters of a call of this tool with these arguments, which are JSON.
pub fn call_params(tool: &str, arguments: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(arguments.len() + tool.len() + 32);
    out.extend_from_slice(b"\"name\":");
    json::write_string(tool, &mut out);
    out.extend_from_slice(b",\"arguments\":");
    out.extend_from_slice(arguments);
    out
}

/// What is said once a session is open.
pub const INITIALIZED: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// What is said of a request that nobody waits for any more.
pub fn cancelled(id: u64) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#)
        .into_bytes()
}

/// What a request of a server's is answered with: none is served.
pub fn not_served(id: &Value<'_>) -> Vec<u8> {
    let fault = message::Fault::new(message::METHOD_NOT_FOUND, "requests to clients are not served");
    message::error(Some(id), &fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_in_the_words_of_each_era() {
        let wishes = Wishes { progress: true, log_level: Some("debug".into()) };
        let params = call_params("gét", br#"{"a":1.50}"#);
        let ask =
            Ask { id: 7, method: "tools/call", name: Some("gét"), params: &params, wishes: Some(&wishes) };
        let text = |revision| String::from_utf8(ask.sealed(revision).body).unwrap();
        assert_eq!(
            text(Revision::LEGACY),
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"gét","arguments":{"a":1.50},"_meta":{"progressToken":7}}}"#
        );
        let modern = ask.sealed(Revision::MODERN);
        let headers = ["mcp-method", "mcp-name", "mcp-protocol-version"].map(|name| &modern.headers[name]);
        assert_eq!(headers, ["tools/call", "=?base64?Z8OpdA==?=", "2026-07-28"]);
        let parsed = json::parse(&modern.body, 16).unwrap();
        let meta = parsed.get("params").unwrap().get("_meta").unwrap();
        assert_eq!(meta.get("io.modelcontextprotocol/logLevel"), Some(&Value::string("debug")));
        assert!(ask.sealed(Revision::March2025).headers.is_empty());
    }

    #[test]
    fn a_request_without_parameters_has_none() {
        let ask = Ask { id: 1, method: "tools/list", name: None, params: &[], wishes: None };
        let body = ask.sealed(Revision::LEGACY).body;
        assert_eq!(body, br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    }
}
