//! What is sent to an upstream once, and no more: whoever takes a request and dies without an answer may have done it.

use crate::{
    before::{NO_RETRY, ask, ask_as, before, behind},
    fault::{Upstream, answer, whole},
    support::{ACME, Answer, GLOBEX, Gateway},
};
use std::{
    collections::HashSet,
    io::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// What an MCP server does with a call of `deed`: the how-manieth, and its id.
type Deed = fn(usize, &serde_json::Value, &mut std::net::TcpStream) -> bool;

/// An MCP server with a tool `deed`, and one that works. It counts the calls of the former.
pub(crate) fn desk(deed: Deed) -> (Upstream, Arc<AtomicUsize>) {
    let deeds = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&deeds);
    let upstream = Upstream::reading(move |text, socket| {
        let body: serde_json::Value =
            serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap_or_default();
        let id = &body["id"];
        let result = match body["method"].as_str() {
            Some("initialize") => serde_json::json!({
                "protocolVersion": "2025-06-18", "capabilities": { "tools": {} },
                "serverInfo": { "name": "desk", "version": "1" },
            }),
            Some("tools/list") => serde_json::json!({ "tools": [
                { "name": "deed", "inputSchema": { "type": "object" } },
                { "name": "look", "inputSchema": { "type": "object" } },
                { "name": "tell", "inputSchema": { "type": "object" } },
            ] }),
            Some("tools/call") if body["params"]["name"] == "deed" => {
                return deed(counted.fetch_add(1, Ordering::SeqCst), id, socket);
            }
            Some("tools/call") => serde_json::json!({ "content": [{ "type": "text", "text": "ok" }] }),
            Some("server/discover") => return socket.write_all(whole(404, "").as_bytes()).is_ok(),
            _ => return socket.write_all(whole(202, "").as_bytes()).is_ok(),
        };
        let told = serde_json::json!({ "jsonrpc": "2.0", "id": id, "result": result });
        if body["params"]["name"] == "tell" {
            // All in one piece, as most servers do: the result, and the end of its stream.
            let event = format!("event: message\ndata: {told}\n\n");
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            let all = format!("{head}{:x}\r\n{event}\r\n0\r\n\r\n", event.len());
            return socket.write_all(all.as_bytes()).is_ok();
        }
        socket.write_all(whole(200, &told.to_string()).as_bytes()).is_ok()
    });
    (upstream, deeds)
}

pub(crate) fn before_desk(desk: &Upstream, more: &str) -> Gateway {
    behind(&format!("  desk: {{ kind: mcp, url: \"http://127.0.0.1:{}/mcp\"{more} }}\n", desk.port), &[], "")
}

fn call(gateway: &Gateway, key: &str, tool: &str) -> Answer {
    gateway.raw(&calling(key, tool))
}

/// A request that calls a tool.
pub(crate) fn calling(key: &str, tool: &str) -> String {
    let meta = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{{}},"_meta":{meta}}}}}"#
    );
    format!(
        "POST /mcp/desk HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\
        accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n\
        mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: {tool}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn a_tool_is_called_once_whoever_dies_of_it() {
    let (server, deeds) = desk(|_, _, _| false);
    for more in ["", NO_RETRY] {
        let gateway = before_desk(&server, more);
        deeds.store(0, Ordering::SeqCst);
        for number in 1..=3 {
            // There is a connection that was used just now.
            let told = call(&gateway, ACME, "look");
            assert!(told.status == 200 && told.body.contains("ok"), "{told:?}");
            let told = call(&gateway, ACME, "deed");
            assert!(told.body.contains("without an answer"), "{told:?}");
            assert_eq!(deeds.load(Ordering::SeqCst), number);
        }
    }
}

#[test]
fn a_call_to_a_model_is_sent_as_often_as_it_may() {
    let upstream = Upstream::reading(|text, socket| {
        !text.contains("poison") && socket.write_all(answer("ok").as_bytes()).is_ok()
    });
    for (more, expected) in [(NO_RETRY, 1), (", retry: { attempts: 1 }", 2), ("", 3)] {
        let gateway = before(&[("probe", &upstream, more)], "");
        assert_eq!(ask(&gateway, "probe").status, 200);
        let sent = upstream.requests();
        let told = ask_as(&gateway, ACME, "probe", "poison");
        assert_eq!((told.status, upstream.requests() - sent), (502, expected), "{told:?}");
    }
}

/// Connections that rested and are closed just when they are used again are no failures of the upstream: however many calls
/// find one so, each is tried again, and nobody is kept away.
#[test]
fn what_may_be_done_twice_is_tried_again() {
    for (method, tries) in [("GET", 3), ("PUT", 3), ("DELETE", 3), ("POST", 1), ("PATCH", 1)] {
        let billing = Upstream::acting(|_, socket| socket.write_all(whole(503, "{}").as_bytes()).is_ok());
        let yaml = format!(
            "  billing:\n    kind: http\n    url: http://127.0.0.1:{}/api\n    operations: {{ it: \"{method} /it\" }}\n",
            billing.port
        );
        let gateway = behind(&yaml, &[], "");
        let body = if matches!(method, "GET" | "DELETE") { "" } else { "{\"a\":1}" };
        let length = body.len();
        let told = gateway.raw(&format!(
            "{method} /tools/billing/it HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ACME}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        ));
        assert_eq!(told.status, 502, "{method} {told:?}");
        assert_eq!(billing.requests(), tries, "{method}");
    }
}

#[test]
fn connections_that_close_at_rest_open_no_circuit() {
    // Each connection answers one request, and is closed at the next, unheard.
    let upstream = Upstream::acting({
        let seen = Mutex::new(HashSet::new());
        move |_, socket| {
            let first = seen.lock().unwrap().insert(socket.peer_addr().unwrap().port());
            std::thread::sleep(Duration::from_millis(100));
            first && socket.write_all(answer("ok").as_bytes()).is_ok()
        }
    });
    let gateway = before(&[("probe", &upstream, "")], "");
    for _ in 0..4 {
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..16).map(|_| scope.spawn(|| ask(&gateway, "probe").status)).collect();
            asking.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?} {}", gateway.stderr());
    }
}

/// Where a store chooses a record's id, the same write is another record.
#[test]
fn a_record_whose_id_the_store_makes_is_written_once() {
    let upstream = Upstream::acting(|_, _| false);
    let yaml = format!(
        "  found: {{ kind: opensearch, url: \"http://127.0.0.1:{}\", scope: collection }}\n",
        upstream.port
    );
    let lines = |id: &str| format!("{{\"index\":{{{id}}}}}\n{{\"a\":1}}\n");
    let cases = [
        ("found/notes/_doc", r#"{"a":1}"#.to_owned(), 1),
        ("found/notes/_bulk", lines(""), 1),
        ("found/notes/_bulk", lines("\"_id\":\"1\""), 3),
        ("found/notes/_delete_by_query", r#"{"query":{"match_all":{}}}"#.to_owned(), 3),
        ("found/notes/_delete_by_query", r#"{"query":{"match_all":{}},"max_docs":1}"#.to_owned(), 1),
    ];
    for (path, body, expected) in cases {
        let gateway = behind(&yaml, &[], "");
        let sent = upstream.requests();
        let told = gateway.post(&format!("/tools/{path}"), ACME, &body);
        assert_eq!((told.status, upstream.requests() - sent), (502, expected), "{path} {body} {told:?}");
    }
}

/// U4 of MCP servers: one that fails several times in a row is left alone by whoever it fails.
#[test]
fn u4_an_mcp_server_that_fails_is_left_alone() {
    let ways: [(&str, Deed); 3] = [
        ("500", |_, _, socket| socket.write_all(whole(500, "").as_bytes()).is_ok()),
        ("closes", |_, _, _| false),
        ("a stream that is cut", |_, _, socket| {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n2\r\n:\n\r\n";
            drop(socket.write_all(head.as_bytes()));
            false
        }),
    ];
    for (way, deed) in ways {
        let (server, deeds) = desk(deed);
        let gateway = before_desk(&server, "");
        assert_eq!(call(&gateway, ACME, "look").status, 200);
        // Streams that end with their result are no failures.
        for _ in 0..7 {
            let told = call(&gateway, ACME, "tell");
            assert!(told.status == 200 && told.body.contains("\"ok\""), "{way}: {told:?}");
        }
        for _ in 0..5 {
            let told = call(&gateway, ACME, "deed");
            assert!(!told.body.contains("left alone"), "{way}: {told:?}");
        }
        let told = call(&gateway, ACME, "deed");
        assert!(told.body.contains("left alone") && deeds.load(Ordering::SeqCst) == 5, "{way}: {told:?}");
        // It may be for what that tenant asks: another one is not kept away.
        let told = call(&gateway, GLOBEX, "look");
        assert!(told.status == 200 && told.body.contains("\"ok\""), "{way}: {told:?}");
    }
}
