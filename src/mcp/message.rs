//! JSON-RPC messages: what came, and what is said back.

use super::Revision;
use crate::json::{self, Value, keys};

/// So many messages may come in one body, where a revision has batches.
pub const BATCH_MAX: usize = 100;

pub const PARSE_ERROR: i64 = -32700;
pub const INVALID_REQUEST: i64 = -32600;
pub const METHOD_NOT_FOUND: i64 = -32601;
pub const INVALID_PARAMS: i64 = -32602;
pub const INTERNAL_ERROR: i64 = -32603;
/// Of the revisions before 2026-07-28.
pub const RESOURCE_NOT_FOUND: i64 = -32002;
/// Of 2026-07-28: header and body do not agree.
pub const HEADER_MISMATCH: i64 = -32020;
/// Of 2026-07-28: the client does not announce what the server needs of it.
pub const MISSING_CAPABILITY: i64 = -32021;
/// Of 2025-11-25: the user has to do something at an address first.
pub const URL_ELICITATION_REQUIRED: i64 = -32042;
/// The client cancelled its request. Outside of what JSON-RPC keeps for itself.
pub const CANCELLED: i64 = -32800;
/// Codes of servers that clients are told as they are, though the protocol keeps them for itself.
pub const PASSED: [i64; 3] = [INVALID_PARAMS, MISSING_CAPABILITY, RESOURCE_NOT_FOUND];
/// Of 2026-07-28: another revision is asked for.
pub const UNSUPPORTED_VERSION: i64 = -32022;

/// A message from a client, or from a server.
#[derive(Debug, Clone, PartialEq)]
pub enum Message<'v> {
    Notification {
        method: &'v str,
        params: Option<&'v Value<'v>>,
    },
    Request(Request<'v>),
    /// An answer to a request of the other side's: its id, and the whole message.
    Response {
        id: Option<&'v Value<'v>>,
    },
}

/// A request that wants an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Request<'v> {
    pub id: &'v Value<'v>,
    pub method: &'v str,
    pub params: Option<&'v Value<'v>>,
}

impl<'v> Request<'v> {
    /// A member of the parameters, unless it is missing or null.
    pub fn param(&self, name: &str) -> Option<&'v Value<'v>> {
        self.params?.present(name)
    }

    /// A member of the request's `_meta`.
    pub fn meta(&self, name: &str) -> Option<&'v Value<'v>> {
        self.param("_meta")?.present(name)
    }
}

/// A request that is answered with an error.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Of the HTTP answer.
    pub status: u16,
    pub code: i64,
    pub message: String,
    pub data: Option<Value<'static>>,
}

impl Fault {
    /// An error within an answer that HTTP calls fine.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { status: 200, code, message: message.into(), data: None }
    }

    /// A body that is no message.
    pub fn bad(message: impl Into<String>) -> Self {
        Self { status: 400, ..Self::new(INVALID_REQUEST, message) }
    }

    /// A method that is not served. 2026-07-28 wants a 404 for it.
    pub fn unknown_method(revision: Revision) -> Self {
        let status = if revision.is_modern() { 404 } else { 200 };
        Self { status, ..Self::new(METHOD_NOT_FOUND, "Method not found") }
    }

    /// A revision that is not served.
    pub fn unsupported(requested: &str) -> Self {
        let requested: String = requested.chars().take(64).collect();
        let data =
            Value::object([("supported", Revision::supported()), ("requested", Value::string(requested))]);
        let fault = Self::new(UNSUPPORTED_VERSION, "Unsupported protocol version");
        Self { status: 400, data: Some(data), ..fault }
    }
}

/// What is decided on in a client's message, in its parameters and in their `_meta`.
const MEMBERS: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];
const PARAMS: [&str; 16] = [
    "_meta",
    "argument",
    "arguments",
    "capabilities",
    "context",
    "cursor",
    "inputResponses",
    "level",
    "name",
    "notifications",
    "protocolVersion",
    "ref",
    "requestId",
    "requestState",
    "taskId",
    "uri",
];
const META: [&str; 5] = [
    "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/logLevel",
    "io.modelcontextprotocol/protocolVersion",
    "progressToken",
    "traceparent",
];

/// Reads one message of a client's. No key in it may be read as one that is decided on by a reader who folds case.
///
/// # Errors
/// As of `read`, and such keys.
pub fn read_of_client<'v>(value: &'v Value<'v>) -> Result<Message<'v>, Fault> {
    no_twins(value, &MEMBERS)?;
    if let Some(params) = value.get("params") {
        no_twins(params, &PARAMS)?;
        params.get("_meta").map_or(Ok(()), |meta| no_twins(meta, &META))?;
    }
    read(value)
}

fn no_twins(object: &Value<'_>, names: &[&str]) -> Result<(), Fault> {
    let keys = object.members().unwrap_or_default().iter().map(|(key, _)| key);
    let twin = keys.flat_map(|key| names.iter().filter(move |name| keys::are_twins(key, name))).next();
    twin.map_or(Ok(()), |name| {
        Err(Fault::bad(format!("a key could be read as `{name}`; write it exactly so, or leave it out")))
    })
}

/// Reads one message.
///
/// # Errors
/// What is neither a request, a notification nor a response.
pub fn read<'v>(value: &'v Value<'v>) -> Result<Message<'v>, Fault> {
    if value.members().is_none() || value.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err(Fault::bad("not a JSON-RPC 2.0 message"));
    }
    let params = value.present("params");
    if params.is_some_and(|params| params.members().is_none()) {
        return Err(Fault::bad("`params` is not an object"));
    }
    let id = value.get("id");
    if id.is_some_and(|id| !is_id(id) && value.get("method").is_some()) {
        return Err(Fault::bad("`id` is neither a string nor a whole number"));
    }
    let answers = value.get("result").is_some() || value.get("error").is_some();
    match (value.get("method"), id) {
        (Some(_), _) if answers => Err(Fault::bad("both a request and a response")),
        (Some(Value::String(method)), Some(id)) => Ok(Message::Request(Request { id, method, params })),
        (Some(Value::String(method)), None) => Ok(Message::Notification { method, params }),
        (Some(_), _) => Err(Fault::bad("`method` is not a string")),
        (None, id) if answers => Ok(Message::Response { id }),
        (None, _) => Err(Fault::bad("neither a request, a notification nor a response")),
    }
}

fn is_id(id: &Value<'_>) -> bool {
    match id {
        Value::String(_) => true,
        Value::Number(digits) => digits.parse::<i64>().is_ok(),
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Object(_) => false,
    }
}

/// A request of the gateway's to a client, whose parameters are JSON.
pub fn request(id: &str, method: &str, params: &[u8]) -> Vec<u8> {
    let mut out = br#"{"jsonrpc":"2.0","id":"#.to_vec();
    json::write_string(id, &mut out);
    out.extend_from_slice(b",\"method\":");
    json::write_string(method, &mut out);
    out.extend_from_slice(b",\"params\":");
    out.extend_from_slice(params);
    out.push(b'}');
    out
}

/// Something that is told, and wants no answer. Parameters that say nothing are left out.
pub fn notification(method: &str, params: &Value<'_>) -> Vec<u8> {
    let mut out = br#"{"jsonrpc":"2.0","method":"#.to_vec();
    json::write_string(method, &mut out);
    if params.members().is_some_and(|members| !members.is_empty()) {
        out.extend_from_slice(b",\"params\":");
        json::write(params, &mut out);
    }
    out.push(b'}');
    out
}

/// An answer with an error that came from the other side.
pub fn error_as_it_is(id: &Value<'_>, error: &Value<'_>) -> Vec<u8> {
    answered(Some(id), "error", |out| json::write(error, out))
}

/// An answer with an error; without an id where none could be read.
pub fn error(id: Option<&Value<'_>>, fault: &Fault) -> Vec<u8> {
    let mut error = Value::object([
        ("code", Value::Number(fault.code.to_string().into())),
        ("message", Value::string(&*fault.message)),
    ]);
    if let Some(data) = &fault.data {
        error.set("data", data.clone());
    }
    answered(id, "error", |out| json::write(&error, out))
}

/// An answer with a result.
pub fn result(id: &Value<'_>, result: &Value<'_>) -> Vec<u8> {
    result_of(id, |out| json::write(result, out))
}

/// An answer with a result that is written by `write`.
pub fn result_of(id: &Value<'_>, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    answered(Some(id), "result", write)
}

fn answered(id: Option<&Value<'_>>, what: &str, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = br#"{"jsonrpc":"2.0""#.to_vec();
    if let Some(id) = id {
        out.extend_from_slice(b",\"id\":");
        json::write(id, &mut out);
    }
    out.extend_from_slice(b",\"");
    out.extend_from_slice(what.as_bytes());
    out.extend_from_slice(b"\":");
    write(&mut out);
    out.push(b'}');
    out
}

/// A message as an event of a stream.
pub fn event(message: &[u8]) -> Vec<u8> {
    [b"event: message\ndata: ", message, b"\n\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> String {
        let value = json::parse(text.as_bytes(), 16).unwrap();
        match read(&value) {
            Ok(Message::Request(request)) => format!("request {}", request.method),
            Ok(Message::Notification { method, .. }) => format!("notification {method}"),
            Ok(Message::Response { .. }) => "response".into(),
            Err(fault) => format!("{} {}", fault.status, fault.code),
        }
    }

    #[test]
    fn what_is_a_message() {
        let check = |text: &str, expected: &str| assert_eq!(kind(text), expected, "{text}");
        check(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, "request ping");
        check(r#"{"jsonrpc":"2.0","id":"a","method":"ping","params":{}}"#, "request ping");
        check(r#"{"jsonrpc":"2.0","method":"notifications/x"}"#, "notification notifications/x");
        check(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, "response");
        check(r#"{"jsonrpc":"2.0","id":null,"error":{}}"#, "response");
        for bad in [
            "[]",
            "1",
            r#"{"id":1,"method":"ping"}"#,
            r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":2}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
        ] {
            check(bad, "400 -32600");
        }
    }

    #[test]
    fn nothing_a_client_says_can_be_read_in_two_ways() {
        let text = r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"name":"n","arguments":{"Name":1,"name":2},"taskId":"t","_meta":{"progressToken":1,"Free":1,"free":2}}}"#;
        let read = |text: &str| {
            let value = json::parse(text.as_bytes(), 16).unwrap();
            read_of_client(&value).map(|_| ()).map_err(|fault| fault.status)
        };
        assert_eq!(read(text), Ok(()));
        for name in [MEMBERS.as_slice(), &PARAMS, &META].concat() {
            for twin in [name.to_uppercase(), name.to_lowercase(), name.replace('s', "\u{17f}")] {
                if twin == name {
                    continue;
                }
                let member = format!("\"{twin}\":0");
                let place = match name {
                    _ if MEMBERS.contains(&name) => r#""jsonrpc""#,
                    _ if PARAMS.contains(&name) => r#""name""#,
                    _ => r#""progressToken""#,
                };
                let text = text.replacen(place, &format!("{member},{place}"), 1);
                assert_eq!(read(&text), Err(400), "{text}");
            }
        }
    }

    #[test]
    fn answers_carry_the_clients_id_as_it_was_written() {
        let id = Value::string("a\"b");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        assert_eq!(text(result(&id, &Value::object([]))), r#"{"jsonrpc":"2.0","id":"a\"b","result":{}}"#);
        assert_eq!(
            text(error(None, &Fault::bad("x"))),
            r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"x"}}"#
        );
    }
}
