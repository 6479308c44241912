//! A small MCP server (Streamable HTTP, JSON answers, no session): three tools to list and to call, and what is in
//! `mcp_catalog`. Pure: the body of a POST in, an answer out. It speaks the revisions with a handshake and, where a request carries the `_meta` of
//! 2026-07-28, that one.

use super::mcp_catalog;
use serde_json::{Value, json};

const REVISIONS: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];
const STATELESS: &str = "2026-07-28";
const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// A notification: 202 and no body.
    Accepted,
    Message {
        status: u16,
        body: Value,
    },
}

/// Answers the body of `POST /mcp`.
pub(super) fn answer(body: &[u8]) -> Answer {
    let Ok(message) = serde_json::from_slice::<Value>(body) else {
        return refuse(400, &Value::Null, Fault::new(-32700, "not JSON"));
    };
    let Some(method) = message.get("method").and_then(Value::as_str) else {
        return refuse(400, &Value::Null, Fault::new(-32600, "not a request"));
    };
    let Some(id) = message.get("id") else { return Answer::Accepted };
    let params = message.get("params").unwrap_or(&Value::Null);
    let stated = params.get("_meta").and_then(|meta| meta.get(VERSION_KEY)).and_then(Value::as_str);
    match (stated, result(method, params)) {
        (Some(version), _) if version != STATELESS => refuse(400, id, unsupported(version)),
        (Some(_), Ok(result)) => accept(id, &with_stateless_fields(method, result)),
        (Some(_), Err(fault)) if fault.code == -32601 => refuse(404, id, fault),
        (None, Ok(result)) => accept(id, &result),
        (Some(_) | None, Err(fault)) => refuse(200, id, fault),
    }
}

#[derive(Debug)]
pub(super) struct Fault {
    code: i64,
    message: String,
    data: Option<Value>,
}

impl Fault {
    pub(super) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }
}

fn unsupported(version: &str) -> Fault {
    let data = json!({ "supported": supported(), "requested": version });
    Fault { data: Some(data), ..Fault::new(-32022, "unsupported protocol version") }
}

fn supported() -> Vec<&'static str> {
    std::iter::once(STATELESS).chain(REVISIONS).collect()
}

fn accept(id: &Value, result: &Value) -> Answer {
    Answer::Message { status: 200, body: json!({ "jsonrpc": "2.0", "id": id, "result": result }) }
}

fn refuse(status: u16, id: &Value, fault: Fault) -> Answer {
    let data = fault.data.map(|data| ("data", data));
    let error: Value = [("code", fault.code.into()), ("message", fault.message.into())]
        .into_iter()
        .chain(data)
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    Answer::Message { status, body: json!({ "jsonrpc": "2.0", "id": id, "error": error }) }
}

/// 2026-07-28 wants every result to say that it is complete, and lists to say how long they last.
fn with_stateless_fields(method: &str, mut result: Value) -> Value {
    let Some(fields) = result.as_object_mut() else { return result };
    fields.insert("resultType".to_owned(), "complete".into());
    if mcp_catalog::lasts(method) {
        fields.insert("ttlMs".to_owned(), 0.into());
        fields.insert("cacheScope".to_owned(), "private".into());
    }
    result
}

fn result(method: &str, params: &Value) -> Result<Value, Fault> {
    match method {
        "initialize" => Ok(initialize(params)),
        "server/discover" => Ok(json!({
            "supportedVersions": supported(), "capabilities": mcp_catalog::capabilities(), "serverInfo": server(),
            "instructions": mcp_catalog::INSTRUCTIONS,
        })),
        "ping" => Ok(json!({})),
        "tools/list" => Ok(json!({ "tools": tools() })),
        "tools/call" => call(params),
        _ => mcp_catalog::result(method, params)
            .unwrap_or_else(|| Err(Fault::new(-32601, format!("unknown method: {method}")))),
    }
}

fn server() -> Value {
    json!({ "name": "tollgate-mock", "version": env!("CARGO_PKG_VERSION") })
}

fn initialize(params: &Value) -> Value {
    let asked = params.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
    let version = REVISIONS.into_iter().find(|known| *known == asked).unwrap_or("2025-11-25");
    json!({
        "protocolVersion": version, "capabilities": mcp_catalog::capabilities(), "serverInfo": server(),
        "instructions": mcp_catalog::INSTRUCTIONS,
    })
}

fn tools() -> Value {
    let tool = |name: &str, description: &str, properties: Value, required: &[&str]| {
        let schema = json!({ "type": "object", "properties": properties, "required": required });
        json!({ "name": name, "description": description, "inputSchema": schema })
    };
    let text = || json!({ "type": "string" });
    json!([
        tool("get_weather", "The weather in a city.", json!({ "city": text() }), &["city"]),
        tool("create_ticket", "Opens a ticket.", json!({ "title": text(), "body": text() }), &["title"]),
        tool("delete_ticket", "Deletes a ticket.", json!({ "id": text() }), &["id"]),
    ])
}

fn call(params: &Value) -> Result<Value, Fault> {
    let name = params.get("name").and_then(Value::as_str).unwrap_or_default();
    let (needed, sentence): (&str, fn(&str) -> String) = match name {
        "get_weather" => ("city", |city| format!("Sunny and 21 degrees in {city}.")),
        "create_ticket" => ("title", |title| format!("Opened ticket T-1001: {title}")),
        "delete_ticket" => ("id", |id| format!("Deleted ticket {id}.")),
        _ => return Err(Fault::new(-32602, format!("Unknown tool: {name}"))),
    };
    let argument =
        params.get("arguments").and_then(|arguments| arguments.get(needed)).and_then(Value::as_str);
    let text = argument.map_or_else(|| format!("The argument `{needed}` is missing."), sentence);
    Ok(json!({ "content": [{ "type": "text", "text": text }], "isError": argument.is_none() }))
}
