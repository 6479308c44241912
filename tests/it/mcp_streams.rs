//! What servers ask of clients, what they tell unasked, and streams that break, on the real binary: whom it reaches, and
//! whom it does not.

use crate::support::{ACME, Answer, GLOBEX, Gateway};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

const TENANTS: &str = r#"
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    tools:
      - allow: ["crm__*", "new__*"]
      - deny: ["crm__elicitation", "new__elicitation"]
        reason: Nobody asks our users.
      - deny: crm__sampling
        args: { systemPrompt: { like: "*secret*" } }
  globex:
    keys: [{ id: prod, sha256: @GLOBEX@ }]
    tools: [{ allow: ["crm__drip", "crm__ask", "new__confirm", "new__export"] }]
"#;

/// An MCP server of both eras (`/old` with sessions, `/new` without) that asks, drips and waits.
#[derive(Clone, Default)]
struct Server {
    seen: Arc<(Mutex<Seen>, Condvar)>,
    tools: Arc<Mutex<Vec<&'static str>>>,
}

#[derive(Default)]
struct Seen {
    /// Every message, with its session.
    messages: Vec<(String, Value)>,
    deleted: Vec<String>,
    sessions: usize,
    /// Streams for what answers no request.
    listeners: Vec<TcpStream>,
}

impl Server {
    fn start() -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self::default();
        *server.tools.lock().unwrap() = vec!["ask", "drip", "slow", "confirm", "export"];
        let serving = server.clone();
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let serving = serving.clone();
                thread::spawn(move || drop(serving.serve(&socket)));
            }
        });
        (server, port)
    }

    fn serve(&self, socket: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(socket);
        loop {
            let mut head = String::new();
            while reader.read_line(&mut head)? > 2 {}
            let header = |name: &str| {
                let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(name))?;
                Some(line.split_once(':')?.1.trim().to_owned())
            };
            let length = header("content-length").map_or(0, |value| value.parse().unwrap());
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            let session = header("mcp-session-id").unwrap_or_default();
            match head.split(' ').next() {
                Some("POST") => {}
                Some("GET") => {
                    (&mut &*socket).write_all(STREAM.as_bytes())?;
                    self.seen.0.lock().unwrap().listeners.push(socket.try_clone()?);
                    return Ok(());
                }
                Some("DELETE") => {
                    self.seen.0.lock().unwrap().deleted.push(session);
                    (&mut &*socket).write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
                    continue;
                }
                _ => return Ok(()),
            }
            let Ok(message) = serde_json::from_slice::<Value>(&body) else { return Ok(()) };
            self.note(&session, &message);
            if message["id"].is_null() || message["method"].is_null() {
                (&mut &*socket).write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")?;
                continue;
            }
            let is_new = head.contains(" /new");
            if is_new == message["params"]["_meta"].get(VERSION).is_none() {
                let refused = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
                (&mut &*socket).write_all(refused)?;
                continue;
            }
            self.answer(socket, &message)?;
        }
    }

    fn note(&self, session: &str, message: &Value) {
        self.seen.0.lock().unwrap().messages.push((session.to_owned(), message.clone()));
        self.seen.1.notify_all();
    }

    /// The first message that fits, within a few seconds.
    fn wait(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        let mut seen = self.seen.0.lock().unwrap();
        loop {
            if let Some((_, message)) = seen.messages.iter().find(|(_, message)| fits(message)) {
                return message.clone();
            }
            assert!(start.elapsed() < Duration::from_secs(10), "{what}: {:?}", seen.messages);
            seen = self.seen.1.wait_timeout(seen, Duration::from_millis(100)).unwrap().0;
        }
    }

    fn has(&self, fits: impl Fn(&Value) -> bool) -> bool {
        self.seen.0.lock().unwrap().messages.iter().any(|(_, message)| fits(message))
    }

    fn answer(&self, socket: &TcpStream, message: &Value) -> std::io::Result<()> {
        let (id, params) = (&message["id"], &message["params"]);
        let result = |result: Value| json!({ "jsonrpc": "2.0", "id": id, "result": result });
        let text = |text: String| result(json!({ "content": [{ "type": "text", "text": text }] }));
        let mut session = String::new();
        let answer = match (message["method"].as_str().unwrap(), params["name"].as_str().unwrap_or_default())
        {
            ("initialize", _) => {
                let mut seen = self.seen.0.lock().unwrap();
                seen.sessions += 1;
                session = format!("mcp-session-id: s-{}\r\n", seen.sessions);
                result(
                    json!({ "protocolVersion": "2025-11-25", "capabilities": CAPABILITIES.clone(), "serverInfo": {} }),
                )
            }
            ("server/discover", _) => {
                result(json!({ "supportedVersions": ["2026-07-28"], "capabilities": CAPABILITIES.clone() }))
            }
            ("tools/list", _) => {
                let tools = self.tools.lock().unwrap();
                result(
                    json!({ "tools": tools.iter().map(|name| json!({ "name": name, "inputSchema": { "type": "object" } })).collect::<Vec<_>>() }),
                )
            }
            ("tools/call", name @ ("ask" | "drip")) => return self.stream(socket, name, message),
            ("tools/call", "slow") => {
                thread::sleep(Duration::from_secs(20));
                text("slow".into())
            }
            ("tools/call", "confirm") if params.get("inputResponses").is_none() => {
                let asked = json!({ "method": params["arguments"]["method"], "params": {} });
                result(
                    json!({ "resultType": "input_required", "inputRequests": { "sure": asked }, "requestState": "inner" }),
                )
            }
            ("tools/call", "confirm") => {
                text(format!("{} {}", params["requestState"], params["inputResponses"]))
            }
            ("tools/call", "export") => {
                result(json!({ "resultType": "task", "taskId": "t-1", "status": "working" }))
            }
            ("tasks/get", _) => result(
                json!({ "resultType": "complete", "taskId": params["taskId"], "status": "completed", "result": { "content": [] } }),
            ),
            _ => result(json!({})),
        };
        let body = answer.to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\n{session}content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        (&mut &*socket).write_all(format!("{head}{body}").as_bytes())
    }

    /// Answers with a stream of events.
    fn stream(&self, socket: &TcpStream, name: &str, message: &Value) -> std::io::Result<()> {
        let params = &message["params"];
        let event = |message: &Value| format!("event: message\ndata: {message}\n\n");
        let text = |text: String| json!({ "jsonrpc": "2.0", "id": message["id"], "result": { "content": [{ "type": "text", "text": text }] } });
        let mut out = socket;
        out.write_all(STREAM.as_bytes())?;
        if name == "ask" {
            let method = params["arguments"]["method"].as_str().unwrap();
            let number = params["arguments"]["number"].as_u64().unwrap();
            let asked = json!({ "jsonrpc": "2.0", "id": number, "method": method, "params": params["arguments"]["params"] });
            out.write_all(event(&asked).as_bytes())?;
            let told =
                self.wait("an answer", |message| message["id"] == number && message["method"].is_null());
            return out.write_all(event(&text(told.to_string())).as_bytes());
        }
        for number in 0..6 {
            let told = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": number } });
            out.write_all(event(&told).as_bytes())?;
            thread::sleep(Duration::from_millis(150));
        }
        out.write_all(event(&text("dripped".into())).as_bytes())
    }

    /// Tells all that listen that the list changed.
    fn change(&self, tools: &[&'static str]) {
        *self.tools.lock().unwrap() = tools.to_vec();
        let told = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n";
        for socket in &mut self.seen.0.lock().unwrap().listeners {
            drop(socket.write_all(told.as_bytes()));
        }
    }
}

const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
static CAPABILITIES: std::sync::LazyLock<Value> = std::sync::LazyLock::new(
    || json!({ "tools": { "listChanged": true }, "logging": {}, "extensions": { TASKS: {} } }),
);
const TASKS: &str = "io.modelcontextprotocol/tasks";

fn gateway() -> (Gateway, Server) {
    let (server, port) = Server::start();
    let gateway = Gateway::with_mock(TENANTS, |_| {
        ["crm: old", "new: new"]
            .map(|entry| {
                let (name, path) = entry.split_once(": ").unwrap();
                format!("  {name}: {{ kind: mcp, url: \"http://127.0.0.1:{port}/{path}\" }}\n")
            })
            .concat()
    });
    (gateway, server)
}

/// A client's session, as `2025-11-25` has it.
struct Session<'g> {
    gateway: &'g Gateway,
    key: &'static str,
    id: String,
}

/// A stream that is read event by event.
struct Stream(BufReader<TcpStream>);

impl Stream {
    /// The next event: its id, and its message (null for one without).
    fn next(&mut self) -> Option<(String, Value)> {
        let (mut id, mut data, mut lines) = (String::new(), String::new(), 0);
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end();
            if let Some(value) = line.strip_prefix("id: ") {
                id = value.to_owned();
            } else if let Some(value) = line.strip_prefix("data: ") {
                data = value.to_owned();
            } else if line.is_empty() && lines > 0 {
                return Some((id, serde_json::from_str(&data).unwrap_or_default()));
            }
            // Sizes of chunks and comments are no lines of an event.
            lines += usize::from(line.starts_with("id:") || line.starts_with("data:"));
        }
    }

    fn message(&mut self) -> Value {
        loop {
            let (_, message) = self.next().unwrap();
            if !message.is_null() {
                return message;
            }
        }
    }
}

impl<'g> Session<'g> {
    fn open(gateway: &'g Gateway, key: &'static str, capabilities: &Value) -> Self {
        let params =
            json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": {} });
        let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
        let answer = gateway.raw(&request("POST", key, "", &body.to_string()));
        let id = answer.header("mcp-session-id").unwrap().to_owned();
        Self { gateway, key, id }
    }

    fn post(&self, message: &Value) -> Answer {
        let session = format!("mcp-session-id: {}\r\n", self.id);
        self.gateway.raw(&request("POST", self.key, &session, &message.to_string()))
    }

    /// Calls a tool and reads on event by event.
    fn call(&self, tool: &str, arguments: &Value) -> Stream {
        let params = json!({ "name": tool, "arguments": arguments });
        let body = json!({ "jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params }).to_string();
        self.stream("POST", "", &body)
    }

    fn stream(&self, method: &str, headers: &str, body: &str) -> Stream {
        let headers = format!(
            "mcp-session-id: {}\r\naccept: text/event-stream, application/json\r\n{headers}",
            self.id
        );
        let mut socket = self.gateway.connect();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.write_all(request(method, self.key, &headers, body).as_bytes()).unwrap();
        let mut reader = BufReader::new(socket);
        let mut head = String::new();
        while reader.read_line(&mut head).unwrap() > 2 {}
        assert!(head.starts_with("HTTP/1.1 200") || method == "GET", "{head}");
        Stream(reader)
    }
}

fn request(method: &str, key: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// A request of 2026-07-28 by a client with these capabilities.
fn modern(gateway: &Gateway, key: &str, method: &str, mut params: Value) -> Answer {
    params["_meta"] = json!({ VERSION: "2026-07-28", "io.modelcontextprotocol/clientCapabilities": { "sampling": {}, "elicitation": {}, "extensions": { TASKS: {} } } });
    let name = params["name"].as_str().or_else(|| params["taskId"].as_str());
    let name = name.map(|name| format!("mcp-name: {name}\r\n")).unwrap_or_default();
    let headers = format!("mcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\n{name}");
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
    gateway.raw(&request("POST", key, &headers, &body.to_string()))
}

fn question(number: u64, method: &str, params: &Value) -> Value {
    json!({ "number": number, "method": method, "params": params })
}

#[test]
fn a_server_asks_the_client_of_its_call_where_the_rules_let_it() {
    let (gateway, server) = gateway();
    let can = json!({ "sampling": {}, "elicitation": {}, "roots": {} });
    let acme = Session::open(&gateway, ACME, &can);
    let bystander = Session::open(&gateway, ACME, &can);
    let globex = Session::open(&gateway, GLOBEX, &can);
    let mut call = acme.call(
        "crm__ask",
        &question(
            41,
            "sampling/createMessage",
            &json!({ "messages": [], "maxTokens": 1.50, "systemPrompt": "plain" }),
        ),
    );
    let asked = call.message();
    assert_eq!(asked["method"], "sampling/createMessage", "{asked}");
    assert_eq!(asked["params"].to_string(), r#"{"maxTokens":1.5,"messages":[],"systemPrompt":"plain"}"#);
    // Whoever else answers it answers nothing.
    let forged = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "forged": true } });
    for other in [&bystander, &globex] {
        assert_eq!(other.post(&forged).status, 202);
    }
    let answer =
        json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "model": "m", "role": "assistant" } });
    assert_eq!(acme.post(&answer).status, 202);
    let told = call.message()["result"]["content"][0]["text"].to_string();
    assert!(
        told.contains(r#"\"id\":41"#) && told.contains("assistant") && !told.contains("forged"),
        "{told}"
    );
    // What the rules deny is not asked: by its arguments, by its name, of a tenant without a rule for it.
    let secret = question(42, "sampling/createMessage", &json!({ "systemPrompt": "the secret" }));
    let told = acme.call("crm__ask", &secret).message();
    assert!(told["result"]["content"][0]["text"].as_str().unwrap().contains("-1"), "{told}");
    let told = acme.call("crm__ask", &question(43, "elicitation/create", &json!({}))).message();
    assert!(told["result"]["content"][0]["text"].as_str().unwrap().contains("decline"), "{told}");
    let told = globex.call("crm__ask", &question(44, "sampling/createMessage", &json!({}))).message();
    assert!(told["result"]["content"][0]["text"].as_str().unwrap().contains("-1"), "{told}");
    // A server is told what its client can be asked, and no more.
    let told: Vec<Value> = server
        .seen
        .0
        .lock()
        .unwrap()
        .messages
        .iter()
        .filter(|(_, message)| message["method"] == "initialize")
        .map(|(_, message)| message["params"]["capabilities"].clone())
        .collect();
    assert!(told.contains(&json!({ "sampling": {}, "roots": {} })), "{told:?}");
    // The gateway, which lists, announces whatever any client may.
    let with_elicitation = told.iter().filter(|told| told.get("elicitation").is_some());
    assert_eq!(with_elicitation.count(), 1, "{told:?}");
    let audit = gateway.lines("audit", "acme", 5);
    let decided: Vec<_> = audit
        .iter()
        .filter(|line| line["tool"] == "crm__sampling")
        .map(|line| line["decision"].as_str().unwrap())
        .collect();
    assert_eq!(decided, ["allow", "deny"], "{audit:?}");
}

#[test]
fn the_state_of_an_exchange_is_its_callers_and_each_retry_is_decided() {
    let (gateway, _server) = gateway();
    let call = |key: &str, method: &str, more: Value| {
        let mut params = json!({ "name": "new__confirm", "arguments": { "method": method } });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        modern(&gateway, key, "tools/call", params).json()
    };
    let asked = call(ACME, "sampling/createMessage", json!({}));
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    assert_eq!(asked["result"]["inputRequests"]["sure"]["method"], "sampling/createMessage");
    let state = asked["result"]["requestState"].as_str().unwrap();
    assert!(state != "inner");
    let retry = |state: &str| json!({ "requestState": state, "inputResponses": { "sure": { "ok": 1 } } });
    let answered = call(ACME, "sampling/createMessage", retry(state));
    assert_eq!(answered["result"]["content"][0]["text"], r#""inner" {"sure":{"ok":1}}"#);
    // Another tenant's, another call's, a changed one, the server's own: all unknown.
    let tampered = format!("{state}A");
    for (key, method, state) in [
        (GLOBEX, "sampling/createMessage", state),
        (ACME, "elicitation/create", state),
        (ACME, "sampling/createMessage", tampered.as_str()),
        (ACME, "sampling/createMessage", "inner"),
    ] {
        let refused = call(key, method, retry(state));
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
    }
    // What may not be asked denies the call.
    let denied = call(ACME, "elicitation/create", json!({}));
    assert_eq!(denied["result"]["isError"], true, "{denied}");
    let denied = call(GLOBEX, "sampling/createMessage", json!({}));
    assert_eq!(denied["result"]["isError"], true, "{denied}");
}

#[test]
fn a_task_is_asked_for_by_its_caller_alone() {
    let (gateway, server) = gateway();
    let created =
        modern(&gateway, ACME, "tools/call", json!({ "name": "new__export", "arguments": {} })).json();
    let id = created["result"]["taskId"].as_str().unwrap();
    assert!(id != "t-1" && created["result"]["resultType"] == "task", "{created}");
    let told = modern(&gateway, ACME, "tasks/get", json!({ "taskId": id })).json();
    assert_eq!((&told["result"]["taskId"], &told["result"]["status"]), (&json!(id), &json!("completed")));
    let unknown = modern(&gateway, ACME, "tasks/get", json!({ "taskId": "t-1" })).json();
    let others = modern(&gateway, GLOBEX, "tasks/get", json!({ "taskId": id })).json();
    assert_eq!((&unknown["error"]["code"], &unknown), (&json!(-32602), &others));
    let asked = |message: &Value| message["method"] == "tasks/get";
    assert_eq!(server.wait("it", asked)["params"]["taskId"], "t-1");
}

#[test]
fn a_stream_that_breaks_is_taken_up_again_by_its_session_alone() {
    let (gateway, _server) = gateway();
    let acme = Session::open(&gateway, ACME, &json!({}));
    let other = Session::open(&gateway, ACME, &json!({}));
    let mut stream = acme.call("crm__drip", &json!({}));
    let mut found = Vec::new();
    for _ in 0..3 {
        found.push(stream.next().unwrap());
    }
    drop(stream);
    let resume = |session: &Session<'_>, id: &str| {
        let mut stream = session.stream("GET", &format!("last-event-id: {id}\r\n"), "");
        std::iter::from_fn(move || stream.next()).collect::<Vec<_>>()
    };
    let last = found.last().unwrap().0.clone();
    assert_eq!(resume(&other, &last), []);
    found.extend(resume(&acme, &last));
    let told: Vec<String> = found
        .iter()
        .filter(|(_, message)| !message.is_null())
        .map(|(_, message)| {
            message["params"]["data"].as_u64().map_or_else(|| "end".into(), |number| number.to_string())
        })
        .collect();
    assert_eq!(told, ["0", "1", "2", "3", "4", "5", "end"], "{found:?}");
    // All of it again, from its beginning.
    assert_eq!(resume(&acme, &found[0].0), found[1..]);
}

#[test]
fn what_a_client_cancels_or_ends_ends_at_the_server() {
    let (gateway, server) = gateway();
    let acme = Session::open(&gateway, ACME, &json!({}));
    let mut slow = acme.call_later("crm__slow");
    let asked = server.wait("the call", |message| message["params"]["name"] == "slow");
    // Another session's request of the same id is another one.
    let other = Session::open(&gateway, ACME, &json!({}));
    let cancel =
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 5 } });
    assert_eq!(other.post(&cancel).status, 202);
    thread::sleep(Duration::from_millis(300));
    let cancelled = |message: &Value| message["method"] == "notifications/cancelled";
    assert!(!server.has(cancelled));
    assert_eq!(acme.post(&cancel).status, 202);
    assert_eq!(server.wait("the cancellation", cancelled)["params"]["requestId"], asked["id"]);
    let mut head = String::new();
    slow.0.read_line(&mut head).unwrap();
    assert!(head.contains("200"), "{head}");
    let ended = format!("mcp-session-id: {}\r\n", acme.id);
    assert_eq!(gateway.raw(&request("DELETE", ACME, &ended, "")).status, 204);
    gateway.wait("the end of its session", |_| server.seen.0.lock().unwrap().deleted.len() == 1);
    assert_eq!(acme.post(&cancel).status, 404);
}

#[test]
fn who_sees_another_list_is_told_of_it() {
    let (gateway, server) = gateway();
    let acme = Session::open(&gateway, ACME, &json!({}));
    let globex = Session::open(&gateway, GLOBEX, &json!({}));
    let (mut acmes, mut globexs) = (acme.stream("GET", "", ""), globex.stream("GET", "", ""));
    gateway.wait("a listener", |_| !server.seen.0.lock().unwrap().listeners.is_empty());
    thread::sleep(Duration::from_millis(2500));
    server.change(&["ask", "drip", "slow", "confirm", "export", "brand_new"]);
    assert_eq!(acmes.message()["method"], "notifications/tools/list_changed");
    // Globex does not see the new one, but sees that another goes.
    server.change(&["ask", "slow", "confirm", "export", "brand_new"]);
    assert_eq!(globexs.message()["method"], "notifications/tools/list_changed");
    assert_eq!(acmes.message()["method"], "notifications/tools/list_changed");
    globexs.0.get_ref().set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    assert!(globexs.next().is_none(), "it was told of one change");
}

impl Session<'_> {
    /// Calls a tool, and does not wait for the head of its answer.
    fn call_later(&self, tool: &str) -> Stream {
        let body = json!({ "jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": { "name": tool, "arguments": {} } });
        let headers =
            format!("mcp-session-id: {}\r\naccept: application/json, text/event-stream\r\n", self.id);
        let mut socket = self.gateway.connect();
        socket.write_all(request("POST", self.key, &headers, &body.to_string()).as_bytes()).unwrap();
        Stream(BufReader::new(socket))
    }
}
