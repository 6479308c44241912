//! Arguments that are repeated in headers (`x-mcp-header`): a server gets what was decided on, a client has to agree with
//! itself, and no header decides.

use crate::support::{ACME, Answer, GLOBEX, Gateway};
use serde_json::{Value, json};

const TENANTS: &str = r#"
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    tools:
      - allow: bank__*
        set: { region: eu }
  globex:
    keys: [{ id: prod, sha256: @GLOBEX@ }]
    tools:
      - allow: bank__transfer
        args: { amount: { max: 100 } }
"#;

fn gateway() -> Gateway {
    Gateway::with_mock(TENANTS, |mock| {
        format!("  bank: {{ kind: mcp, url: \"http://127.0.0.1:{mock}/mcp/mirrors\" }}\n")
    })
}

/// A request of 2026-07-28, with these headers besides the usual ones.
fn ask(gateway: &Gateway, key: &str, method: &str, headers: &str, mut params: Value) -> Answer {
    let name = params["name"].as_str().map(|name| format!("mcp-name: {name}\r\n")).unwrap_or_default();
    params["_meta"] = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {} });
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }).to_string();
    let length = body.len();
    gateway.raw(&format!(
        "POST /mcp/bank HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\n{name}{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    ))
}

fn transfer(gateway: &Gateway, key: &str, headers: &str, arguments: &Value) -> Answer {
    ask(gateway, key, "tools/call", headers, json!({ "name": "transfer", "arguments": arguments }))
}

fn text(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["result"]["content"][0]["text"].as_str().unwrap().to_owned()
}

#[test]
fn a_server_gets_the_headers_of_the_arguments_that_were_decided_on() {
    let gateway = gateway();
    // What a rule forces is what the header says, whatever the client's said.
    let headers =
        "mcp-param-region: us\r\nmcp-param-amount: 7.0\r\nmcp-param-note: x\r\nmcp-param-other: y\r\n";
    let answer = transfer(&gateway, ACME, headers, &json!({ "region": "us", "amount": 7, "note": "x" }));
    assert_eq!(text(&answer), "mcp-param-amount: 7, mcp-param-region: eu");
    // A client of the older era repeats nothing; the server gets it all the same.
    let open = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } } });
    let post = |headers: &str, body: &str| {
        let length = body.len();
        gateway.raw(&format!(
            "POST /mcp/bank HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {GLOBEX}\r\ncontent-type: application/json\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
    };
    let session = post("", &open.to_string()).header("mcp-session-id").unwrap().to_owned();
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "transfer", "arguments": { "region": "Zürich", "amount": 7 } } });
    let answer = post(&format!("mcp-session-id: {session}\r\n"), &call.to_string());
    assert_eq!(text(&answer), "mcp-param-amount: 7, mcp-param-region: =?base64?WsO8cmljaA==?=");
}

#[test]
fn a_client_whose_headers_say_something_else_is_refused() {
    let gateway = gateway();
    let refused = |headers: &str, arguments: &Value| {
        let answer = transfer(&gateway, GLOBEX, headers, arguments);
        let code = answer.json()["error"]["code"].as_i64();
        assert!(matches!((answer.status, code), (200, None) | (400, Some(-32020))), "{headers:?} {answer:?}");
        answer.status == 400
    };
    for (headers, arguments, expected) in [
        ("", json!({ "amount": 7 }), true),
        ("mcp-param-amount: 8\r\n", json!({ "amount": 7 }), true),
        ("mcp-param-amount: 7\r\nmcp-param-amount: 7\r\n", json!({ "amount": 7 }), true),
        ("mcp-param-amount: =?base64?Nw?=\r\n", json!({ "amount": 7 }), true),
        ("mcp-param-amount: 7\r\n", json!({ "amount": 7 }), false),
        ("Mcp-Param-Amount:  =?base64?Nw==?=  \r\n", json!({ "amount": 7 }), false),
        ("mcp-param-amount: 7\r\n", json!({ "amount": 7, "region": null }), false),
        ("mcp-param-amount: 7\r\nmcp-param-other: 7\r\n", json!({ "amount": 7 }), false),
    ] {
        assert_eq!(refused(headers, &arguments), expected, "{headers:?} {arguments}");
    }
    // Nothing of it reached the server but what agreed.
    assert_eq!(gateway.seen().to_string().matches("\"tools/call\"").count(), 4);
    // The body is decided on: a small amount in the header helps nobody.
    let denied = transfer(&gateway, GLOBEX, "mcp-param-amount: 101\r\n", &json!({ "amount": 101 }));
    assert!(text(&denied).starts_with("Denied: "), "{denied:?}");
}

#[test]
fn a_tool_that_wants_what_the_protocol_does_not_allow_is_left_out() {
    let gateway = gateway();
    let listed = ask(&gateway, ACME, "tools/list", "", json!({})).json();
    let tools = listed["result"]["tools"].as_array().unwrap();
    assert_eq!(tools.iter().map(|tool| &tool["name"]).collect::<Vec<_>>(), ["transfer"]);
    let params = json!({ "name": "transfer_any", "arguments": { "amount": 1 } });
    let answer = ask(&gateway, ACME, "tools/call", "mcp-param-amount: 1\r\n", params).json();
    assert_eq!(answer["error"]["message"], "Unknown tool: transfer_any");
    let stderr = gateway.stderr();
    assert!(stderr.contains("1 tools of the MCP server bank are left out, `transfer_any` first"), "{stderr}");
}
