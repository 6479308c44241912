//! `/mcp/mirrors`: a server of 2026-07-28 that wants arguments repeated in headers. It refuses a call whose headers do not
//! repeat them, and answers with the headers that it got. One of its tools wants more than the protocol allows.

use super::{
    directions::Transport,
    mcp_modes::{at, error, refused_headers, result},
    script::Reply,
};
use hyper::HeaderMap;
use serde_json::{Value, json};

/// The arguments of `transfer` and the headers that repeat them.
const MIRRORED: [(&str, &str); 2] = [("region", "mcp-param-region"), ("amount", "mcp-param-amount")];

pub(super) fn respond(message: &Value, headers: &HeaderMap) -> (Reply, Transport) {
    if let Some(refused) = refused_headers(message, headers) {
        return refused;
    }
    match at(message, &["method"]).as_str() {
        Some("server/discover") => result(
            message,
            &json!({ "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {} }, "resultType": "complete",
                "ttlMs": 0, "cacheScope": "private" }),
        ),
        Some("tools/list") => result(message, &list()),
        Some("tools/call") => call(message, headers),
        _ => error(message, 404, -32601, "unknown method"),
    }
}

fn list() -> Value {
    let mirrored = |kind: &str, name: &str| json!({ "type": kind, "x-mcp-header": name });
    let tool = |name: &str, properties: Value| {
        let schema = json!({ "type": "object", "properties": properties });
        json!({ "name": name, "description": "Moves money.", "inputSchema": schema })
    };
    let tools = [
        tool(
            "transfer",
            json!({
                "region": mirrored("string", "Region"), "amount": mirrored("integer", "Amount"), "note": { "type": "string" },
            }),
        ),
        tool("transfer_any", json!({ "amount": mirrored("number", "Amount") })),
    ];
    json!({ "tools": tools, "resultType": "complete", "ttlMs": 0, "cacheScope": "private" })
}

fn call(message: &Value, headers: &HeaderMap) -> (Reply, Transport) {
    let sent =
        |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    for (argument, header) in MIRRORED {
        let body = at(message, &["params", "arguments", argument]);
        if !body.is_null() && sent(header).is_none() {
            return error(message, 400, -32020, &format!("the header {header} is missing"));
        }
    }
    let mut said: Vec<String> = headers
        .keys()
        .map(hyper::header::HeaderName::as_str)
        .filter(|name| name.starts_with("mcp-param-"))
        .filter_map(|name| Some(format!("{name}: {}", sent(name)?)))
        .collect();
    said.sort();
    let content = json!([{ "type": "text", "text": said.join(", ") }]);
    result(message, &json!({ "content": content, "resultType": "complete" }))
}
