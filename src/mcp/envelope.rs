//! What the gateway sends to servers: each request in the words of the era that the server speaks.

use super::{Revision, answer, head, message};
use crate::{
    json::{self, Value},
    trace,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// A request to a server, apart from its connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    pub body: Vec<u8>,
    /// The headers that speak of the message.
    pub headers: HeaderMap,
}

/// What a call says beside its tool and arguments.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wishes {
    /// Whether progress is reported, under the request's id.
    pub progress: bool,
    /// How much is told while it runs, where the era says it with each request.
    pub log_level: Option<String>,
    /// Arguments that headers repeat, where the era has that.
    pub mirrored: HeaderMap,
    /// Where the request is in its trace.
    pub trace: Option<trace::Context>,
}

/// What a client brings back to a server that asked for input before it answers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Retry {
    /// `inputResponses`: an answer by the name of each question.
    pub responses: Option<Value<'static>>,
    /// `requestState`, as the server gave it.
    pub state: Option<String>,
}

impl Retry {
    /// Appends it to the members of `params`.
    pub fn write(&self, params: &mut Vec<u8>) {
        if let Some(responses) = &self.responses {
            params.extend_from_slice(b",\"inputResponses\":");
            json::write(responses, params);
        }
        if let Some(state) = &self.state {
            params.extend_from_slice(b",\"requestState\":");
            json::write_string(state, params);
        }
    }
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
    /// The request for a server of this revision, of a client that can be asked these things (an object).
    pub fn sealed(&self, revision: Revision, capabilities: &Value<'_>) -> Envelope {
        let mut meta: Value<'_> = Value::object([]);
        if revision.is_modern() {
            meta.set("io.modelcontextprotocol/protocolVersion", Value::string(revision.as_str()));
            meta.set("io.modelcontextprotocol/clientCapabilities", capabilities.clone());
            meta.set("io.modelcontextprotocol/clientInfo", answer::info());
        }
        if let Some(wishes) = self.wishes {
            if wishes.progress {
                meta.set("progressToken", Value::integer(self.id));
            }
            if let (true, Some(level)) = (revision.is_modern(), &wishes.log_level) {
                meta.set("io.modelcontextprotocol/logLevel", Value::string(level.clone()));
            }
            if let Some(trace) = wishes.trace {
                meta.set("traceparent", Value::string(trace.to_string()));
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
            if let Some(wishes) = self.wishes {
                headers.extend(wishes.mirrored.clone());
            }
            if let Some(name) = self.name.and_then(|name| HeaderValue::from_str(&head::encoded(name)).ok()) {
                headers.insert(HeaderName::from_static(head::NAME), name);
            }
        }
        if let Some(trace) = self.wishes.and_then(|wishes| wishes.trace) {
            trace.tell(&mut headers);
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

/// The name of the header that says behind which event a stream goes on.
pub fn last_event_header() -> HeaderName {
    HeaderName::from_static(head::LAST_EVENT)
}

/// The parameters of `initialize` for a client that can be asked these things.
pub fn initialize_params(capabilities: &Value<'_>) -> Vec<u8> {
    let version = Revision::LEGACY.as_str();
    let mut out = format!(r#""protocolVersion":"{version}","capabilities":"#).into_bytes();
    json::write(capabilities, &mut out);
    out.extend_from_slice(b",\"clientInfo\":");
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

/// The parameters of `subscriptions/listen` for these kinds of news.
pub fn listen_params(lists: bool, resources: &[String]) -> Vec<u8> {
    let mut wanted = Value::object([]);
    for list in ["toolsListChanged", "promptsListChanged", "resourcesListChanged"].iter().filter(|_| lists) {
        wanted.set(list, Value::Bool(true));
    }
    if !resources.is_empty() {
        let resources = resources.iter().map(|uri| Value::string(uri.as_str())).collect();
        wanted.set("resourceSubscriptions", Value::Array(resources));
    }
    let mut out = b"\"notifications\":".to_vec();
    json::write(&wanted, &mut out);
    out
}

/// The parameters of a request about a task of this id.
pub fn task_params(id: &str, responses: Option<&Value<'_>>) -> Vec<u8> {
    let mut out = b"\"taskId\":".to_vec();
    json::write_string(id, &mut out);
    if let Some(responses) = responses {
        out.extend_from_slice(b",\"inputResponses\":");
        json::write(responses, &mut out);
    }
    out
}

/// The parameters of `logging/setLevel`.
pub fn level_params(level: &str) -> Vec<u8> {
    let mut out = b"\"level\":".to_vec();
    json::write_string(level, &mut out);
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

/// What a server is told whose request nobody answers.
pub fn not_served(id: &Value<'_>) -> Vec<u8> {
    let fault = message::Fault::new(message::METHOD_NOT_FOUND, "the client cannot be asked this");
    message::error(Some(id), &fault)
}

/// What a server is told when nobody waits for its answer any more.
pub fn cancelled(number: u64) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{number}}}}}"#)
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_in_the_words_of_each_era() {
        let mirrored = HeaderMap::from_iter([(HeaderName::from_static("mcp-param-a"), HeaderValue::from(1))]);
        let trace = trace::Context::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let wishes = Wishes { progress: true, log_level: Some("debug".into()), mirrored, trace };
        let params = call_params("gét", br#"{"a":1.50}"#);
        let ask =
            Ask { id: 7, method: "tools/call", name: Some("gét"), params: &params, wishes: Some(&wishes) };
        let text = |revision| String::from_utf8(ask.sealed(revision, &Value::object([])).body).unwrap();
        assert_eq!(
            text(Revision::LEGACY),
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"gét","arguments":{"a":1.50},"_meta":{"progressToken":7,"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}}"#
        );
        let modern = ask.sealed(Revision::MODERN, &Value::object([]));
        let headers = ["mcp-method", "mcp-name", "mcp-protocol-version"].map(|name| &modern.headers[name]);
        assert_eq!(headers, ["tools/call", "=?base64?Z8OpdA==?=", "2026-07-28"]);
        assert_eq!(modern.headers["mcp-param-a"], "1");
        assert!(!ask.sealed(Revision::LEGACY, &Value::object([])).headers.contains_key("mcp-param-a"));
        let parsed = json::parse(&modern.body, 16).unwrap();
        let meta = parsed.get("params").unwrap().get("_meta").unwrap();
        assert_eq!(meta.get("io.modelcontextprotocol/logLevel"), Some(&Value::string("debug")));
        assert_eq!(
            meta.get("traceparent").and_then(Value::as_str),
            trace.map(|trace| trace.to_string()).as_deref()
        );
        let oldest = ask.sealed(Revision::March2025, &Value::object([])).headers;
        assert_eq!((oldest.len(), oldest.contains_key("traceparent")), (1, true));
    }

    #[test]
    fn a_request_without_parameters_has_none() {
        let ask = Ask { id: 1, method: "tools/list", name: None, params: &[], wishes: None };
        let body = ask.sealed(Revision::LEGACY, &Value::object([])).body;
        assert_eq!(body, br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    }
}
