//! What the MCP server has beside tools: prompts, resources, a template, suggestions, and instructions.

use super::mcp::Fault;
use serde_json::{Value, json};

pub(super) const INSTRUCTIONS: &str = "Tickets are opened with create_ticket.";
const NOTES: [(&str, &str); 2] =
    [("note://welcome", "Welcome to the desk."), ("note://secret", "The key is under the mat.")];
const TICKET: &str = "note://tickets/";

/// What it says that it can do.
pub(super) fn capabilities() -> Value {
    json!({ "tools": {}, "prompts": {}, "resources": {}, "completions": {} })
}

/// Answers what is no business of tools; `None` where it knows no such method.
pub(super) fn result(method: &str, params: &Value) -> Option<Result<Value, Fault>> {
    Some(match method {
        "prompts/list" => Ok(json!({ "prompts": prompts() })),
        "prompts/get" => prompt(params),
        "resources/list" => Ok(json!({ "resources": resources() })),
        "resources/templates/list" => Ok(json!({ "resourceTemplates": [
            { "uriTemplate": "note://tickets/{id}", "name": "ticket", "mimeType": "text/plain" },
        ] })),
        "resources/read" => read(params),
        "completion/complete" => complete(params),
        _ => return None,
    })
}

/// Whether a result of 2026-07-28 says how long it lasts.
pub(super) fn lasts(method: &str) -> bool {
    method.ends_with("/list") || matches!(method, "server/discover" | "resources/read")
}

fn prompts() -> Value {
    let argument = |name: &str| json!([{ "name": name, "required": true }]);
    json!([
        { "name": "greet", "description": "Greets somebody.", "arguments": argument("name") },
        { "name": "fire", "description": "Dismisses somebody.", "arguments": argument("name") },
    ])
}

fn prompt(params: &Value) -> Result<Value, Fault> {
    let verb = match params.get("name").and_then(Value::as_str) {
        Some("greet") => "Greet",
        Some("fire") => "Dismiss",
        _ => return Err(Fault::new(-32602, "no such prompt")),
    };
    let name = params.get("arguments").and_then(|arguments| arguments.get("name")).and_then(Value::as_str);
    let name = name.ok_or_else(|| Fault::new(-32602, "the argument `name` is missing"))?;
    let content = json!({ "type": "text", "text": format!("{verb} {name}.") });
    Ok(json!({ "messages": [{ "role": "user", "content": content }] }))
}

fn resources() -> Value {
    NOTES.iter().map(|(uri, _)| json!({ "uri": uri, "name": uri, "mimeType": "text/plain" })).collect()
}

fn read(params: &Value) -> Result<Value, Fault> {
    let uri = params.get("uri").and_then(Value::as_str).unwrap_or_default();
    let note = NOTES.iter().find(|(known, _)| *known == uri).map(|(_, text)| (*text).to_owned());
    let ticket = || {
        let id = uri.strip_prefix(TICKET).filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()))?;
        Some(format!("Ticket {id}: the printer is on fire."))
    };
    let text = note.or_else(ticket).ok_or_else(|| Fault::new(-32002, "no such resource here"))?;
    Ok(json!({ "contents": [{ "uri": uri, "mimeType": "text/plain", "text": text }] }))
}

fn complete(params: &Value) -> Result<Value, Fault> {
    let member = |of: &str, key: &str| params.get(of).and_then(|of| of.get(key)).and_then(Value::as_str);
    let all = match (member("ref", "name"), member("ref", "uri")) {
        (Some("greet" | "fire"), _) => ["Ada", "Alan", "Grace"],
        (_, Some("note://tickets/{id}")) => ["1001", "1002", "2001"],
        _ => return Err(Fault::new(-32602, "nothing is known of it")),
    };
    let typed = member("argument", "value").unwrap_or_default();
    let values: Vec<&str> = all.into_iter().filter(|value| value.starts_with(typed)).collect();
    Ok(json!({ "completion": { "values": values, "hasMore": false } }))
}
