//! Large messages of MCP servers take room, whichever way they come: a call's result, over HTTP or from a process, a list,
//! suggestions, what came of a task.

use crate::{
    before::TENANTS,
    fault::{Upstream, whole},
    support::{ACME, Answer, Gateway},
};
use serde_json::{Value, json};
use std::io::Write;

const TASKS: &str = "io.modelcontextprotocol/tasks";
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// Three times this, which a message of it takes at least, is less than half of the room that is configured.
const FITS: usize = 1 << 20;
/// And of this it is more.
const NEVER_FITS: usize = 4 << 20;

/// A server whose answers are as long as they are asked to be; its list is as long as its path says.
fn server() -> Upstream {
    Upstream::reading(|text, socket| {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let asked: Value = serde_json::from_str(body).unwrap_or_default();
        let params = &asked["params"];
        let length = |value: &Value| value.as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
        let said = |bytes: usize| json!({ "content": [{ "type": "text", "text": "x".repeat(bytes) }] });
        let result = match asked["method"].as_str() {
            Some("server/discover") => json!({
                "supportedVersions": ["2026-07-28"],
                "capabilities": { "tools": {}, "prompts": {}, "completions": {}, "extensions": { TASKS: {} } },
            }),
            Some("tools/list") => {
                let bytes = head
                    .split(' ')
                    .nth(1)
                    .and_then(|path| path.rsplit('/').next()?.parse().ok())
                    .unwrap_or(0);
                json!({ "tools": [
                    { "name": "tell", "description": "x".repeat(bytes), "inputSchema": { "type": "object" } },
                    { "name": "later", "inputSchema": { "type": "object" } },
                ] })
            }
            Some("prompts/list") => json!({ "prompts": [{ "name": "greet" }] }),
            Some("completion/complete") => {
                json!({ "completion": { "values": ["x".repeat(length(&params["argument"]["value"]))] } })
            }
            Some("tools/call") if params["name"] == "later" => {
                json!({ "resultType": "task", "taskId": params["arguments"]["bytes"], "status": "working" })
            }
            Some("tools/call") => said(length(&params["arguments"]["bytes"])),
            Some("tasks/get") => {
                json!({ "taskId": params["taskId"], "status": "completed", "result": said(length(&params["taskId"])) })
            }
            _ => json!({}),
        };
        let answer = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result });
        socket.write_all(whole(200, &answer.to_string()).as_bytes()).is_ok()
    })
}

fn ask(gateway: &Gateway, server: &str, method: &str, mut params: Value) -> Answer {
    params["_meta"] = json!({ VERSION: "2026-07-28", "io.modelcontextprotocol/clientCapabilities": { "extensions": { TASKS: {} } } });
    let name = params["name"].as_str().or_else(|| params["taskId"].as_str());
    let name = name.map(|name| format!("mcp-name: {name}\r\n")).unwrap_or_default();
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }).to_string();
    gateway.raw(&format!(
        "POST /mcp/{server} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ACME}\r\ncontent-type: application/json\r\naccept: application/json\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\n{name}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
}

/// Asks for a message of so many bytes.
type Way = fn(&Gateway, usize) -> Answer;

#[test]
fn large_messages_of_servers_take_room_whichever_way_they_come() {
    let server = server();
    let url = |path: &str| format!("kind: mcp, url: \"http://127.0.0.1:{}/{path}\"", server.port);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mcp_stdio_server.py");
    let yaml = format!(
        "  crm: {{ {} }}\n  list{FITS}: {{ {} }}\n  list{NEVER_FITS}: {{ {} }}\n  run: {{ kind: mcp, command: [python3, {script}, modern] }}\n",
        url("mcp"),
        url(&FITS.to_string()),
        url(&NEVER_FITS.to_string()),
    );
    let more = "limits: { answers: 16MiB }\n";
    let gateway = Gateway::with_all(TENANTS, &|_| yaml.clone(), more, &[]).watched().with_large_bodies();
    let ways: [(&str, Way); 5] = [
        ("a call over HTTP", |gateway, bytes| {
            let arguments = json!({ "bytes": bytes.to_string() });
            ask(gateway, "crm", "tools/call", json!({ "name": "tell", "arguments": arguments }))
        }),
        ("a call of a process", |gateway, bytes| {
            let arguments = json!({ "bytes": bytes });
            ask(gateway, "run", "tools/call", json!({ "name": "large", "arguments": arguments }))
        }),
        ("a list", |gateway, bytes| ask(gateway, &format!("list{bytes}"), "tools/list", json!({}))),
        ("suggestions", |gateway, bytes| {
            let argument = json!({ "name": "a", "value": bytes.to_string() });
            let wanted = json!({ "ref": { "type": "ref/prompt", "name": "greet" }, "argument": argument });
            ask(gateway, "crm", "completion/complete", wanted)
        }),
        ("a task", |gateway, bytes| {
            let arguments = json!({ "bytes": bytes.to_string() });
            let made =
                ask(gateway, "crm", "tools/call", json!({ "name": "later", "arguments": arguments })).json();
            ask(gateway, "crm", "tasks/get", json!({ "taskId": made["result"]["taskId"] }))
        }),
    ];
    for (way, ask) in ways {
        for _ in 0..3 {
            let told = ask(&gateway, FITS);
            assert!(told.status == 200 && told.json()["error"].is_null(), "{way}: {told:.400?}");
            assert!(told.body.len() > FITS, "{way}: {told:.400?}");
            let told = ask(&gateway, NEVER_FITS);
            let error = told.json()["error"]["message"].to_string();
            assert!(error.contains("too large"), "{way}: {} {error}", told.status);
        }
    }
    gateway.in_flight(0);
}
