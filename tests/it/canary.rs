//! Nothing of a client's or an upstream's stands raw where it is kept or told: a marker goes into every place that
//! either of them can write to, on every way a request can end, and then every sink is searched for it. Two markers:
//! an e-mail address, which may stand nowhere at all, and a word that no detector knows, which may stand only in the
//! members of records that hold redacted text by design. What is neither is a field that nobody meant to write.

use crate::{
    collector::Collector,
    signer::Signer,
    support::{ACME, Gateway},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    thread,
    time::{Duration, SystemTime},
};

/// Every marker begins so, and then says where it was put.
const STEM: &str = "quokka";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Marker {
    /// A word like any other.
    Word,
    /// An address of a person.
    Address,
}

impl Marker {
    /// The marker for one place, which is told in small letters.
    fn at(self, place: &str) -> String {
        assert!(place.bytes().all(|b| b.is_ascii_lowercase()), "{place}");
        match self {
            Self::Word => format!("{STEM}{place}"),
            Self::Address => format!("{STEM}{place}@kestrel-mail.com"),
        }
    }
}

/// The members of records that hold text of clients and upstreams, redacted.
const TEXTS: [&str; 12] = [
    "prompt",
    "completion",
    "model",
    "tools_denied",
    "tool",
    "args",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.name",
];

/// What is wrong with a text of JSON documents, a line each: markers in other members than those.
fn strays(sink: &str, text: &str, marker: Marker, found: &mut BTreeSet<String>) {
    for line in text.lines() {
        let Ok(Value::Object(record)) = serde_json::from_str(line) else {
            markers(sink, line, found);
            continue;
        };
        for (name, value) in &record {
            let told = value.to_string();
            // The subject of a token is the name of a key, where it is a plain word.
            let is_subject = name == "key" && told == format!("\"jwt:{}\"", Marker::Word.at("subject"));
            if marker == Marker::Address || !(TEXTS.contains(&name.as_str()) || is_subject) {
                markers(&format!("{sink} .{name}"), &told, found);
            }
            markers(&format!("{sink} a member's name"), name, found);
        }
    }
}

/// Every marker in a text, by its place.
fn markers(sink: &str, text: &str, found: &mut BTreeSet<String>) {
    for (at, _) in text.match_indices(STEM) {
        let place: String = text[at..].chars().take_while(char::is_ascii_lowercase).collect();
        found.insert(format!("{sink}: {place}"));
    }
}

/// An upstream that says whatever a request asks it to: `case-NAME` in the body.
fn upstream(marker: Marker) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            thread::spawn(move || while speak(&socket, marker).is_some() {});
        }
    });
    port
}

/// Answers one request; None when the connection is to end.
fn speak(mut socket: &TcpStream, marker: Marker) -> Option<()> {
    let mut reader = BufReader::new(socket);
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8_lossy(&body).into_owned();
    let is_mcp = head.starts_with("POST /mcp");
    let is_chat = head.starts_with("POST /v1/chat");
    let case = body.split("case-").nth(1).unwrap_or_default();
    let case: String = case.chars().take_while(char::is_ascii_lowercase).collect();
    let answer = if is_mcp { mcp_answer(&body, &case, marker) } else { llm_answer(is_chat, &case, marker) };
    let is_whole = answer.contains("content-length");
    socket.write_all(answer.as_bytes()).ok()?;
    is_whole.then_some(())
}

fn whole(status: &str, kind: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

fn llm_answer(is_chat: bool, case: &str, marker: Marker) -> String {
    let m = |place: &str| marker.at(place);
    let json = "application/json";
    let headers = format!(
        "x-request-id: {}\r\nset-cookie: a={}\r\nx-{}: 1\r\nretry-after: {}\r\n",
        m("upstreamid"),
        m("upstreamcookie"),
        m("upstreamheadername").replace('@', "-"),
        m("upstreamretryafter")
    );
    let error = json!({ "type": "error", "error": { "message": m("upstreammessage"), "type": m("upstreamtype"), "code": m("upstreamcode"), "param": m("upstreamparam") }, m("upstreammember"): 1 }).to_string();
    match case {
        "unprocessable" => whole("422 Unprocessable", json, &headers, &error),
        "toomany" => whole("429 Slow", json, &headers, &error),
        "forbidden" => whole("403 Forbidden", json, &headers, &error),
        "broken" => whole("500 Broken", json, &headers, &error),
        "plaintext" => whole("404 Not Found", "text/plain", &headers, &m("upstreamplain")),
        "moved" => {
            let there = format!("location: http://{}/\r\n", m("upstreamlocation"));
            whole("302 Found", json, &there, "{}")
        }
        "garbage" => whole("200 OK", json, &headers, &format!("{{\"id\": {}", m("upstreamgarbage"))),
        "kind" => whole("200 OK", &format!("text/{}", m("upstreamkind")), "", &m("upstreamkindbody")),
        "reason" => format!("HTTP/1.1 2x0 {}\r\n{}\r\n\r\n", m("upstreamreason"), m("upstreamhead")),
        "cut" | "badevent" | "unknownevent" | "errorevent" => broken_stream(is_chat, case, marker),
        _ => {
            let call = |name: &str, arguments: &str| json!({ "id": m("callid"), "type": "function", "function": { "name": name, "arguments": arguments } });
            let calls = [
                call(
                    &format!("get_{}", m("emittedtool")),
                    &json!({ m("emittedkey"): m("emittedvalue") }).to_string(),
                ),
                call(&format!("delete_{}", m("deniedtool")), &format!("{{not JSON {}", m("emittedgarbage"))),
            ];
            let message = json!({ "role": "assistant", "content": m("completion"), "tool_calls": calls });
            let body = json!({ "id": m("answerid"), "object": "chat.completion", "model": m("answermodel"), "system_fingerprint": m("answerprint"), "choices": [{ "index": 0, "message": message, "finish_reason": m("answerfinish") }], "usage": { "prompt_tokens": 1, "completion_tokens": 1 } });
            whole("200 OK", json, &headers, &body.to_string())
        }
    }
}

/// A stream that goes wrong.
fn broken_stream(is_chat: bool, case: &str, marker: Marker) -> String {
    let m = |place: &str| marker.at(place);
    let stream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    match case {
        "cut" if is_chat => format!(
            "{stream}data: {{\"id\":\"{}\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n",
            m("streamid"),
            m("streamtext")
        ),
        "cut" => format!(
            "{stream}event: message_start\ndata: {{\"type\":\"message_start\",\"message\":{{\"id\":\"{}\",\"model\":\"{}\"}}}}\n\n",
            m("streamid"),
            m("streammodel")
        ),
        "badevent" => format!("{stream}id: {}\ndata: {{{}\n\n", m("streameventid"), m("streambad")),
        "unknownevent" => format!(
            "{stream}event: {}\ndata: {{\"type\":\"{}\"}}\n\n",
            m("streameventname"),
            m("streameventtype")
        ),
        _ => {
            format!(
                "{stream}event: error\ndata: {{\"type\":\"error\",\"error\":{{\"message\":\"{}\",\"type\":\"{}\"}}}}\n\n",
                m("streamerror"),
                m("streamerrortype")
            )
        }
    }
}

fn mcp_answer(body: &str, case: &str, marker: Marker) -> String {
    let m = |place: &str| marker.at(place);
    let message: Value = serde_json::from_str(body).unwrap_or_default();
    let Some(id) = message.get("id") else {
        return whole("202 Accepted", "application/json", "", "");
    };
    let session = format!("mcp-session-id: {}\r\n", m("serversession").replace('@', "-"));
    let told = |result: Value| {
        let body = json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string();
        whole("200 OK", "application/json", &session, &body)
    };
    let failed = |status: &str| {
        let error = json!({ "code": -32000, "message": m("serverfault"), "data": { m("serverdatakey"): m("serverdata") } });
        whole(
            status,
            "application/json",
            "",
            &json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string(),
        )
    };
    match (message["method"].as_str().unwrap_or_default(), case) {
        ("initialize", _) => told(
            json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {}, "logging": {} }, "serverInfo": { "name": m("servername"), "version": m("serverversion") }, "instructions": m("serverinstructions") }),
        ),
        ("tools/list", _) => {
            let tool = |name: &str| json!({ "name": name, "title": m("tooltitle"), "description": m("tooldescription"), "inputSchema": { "type": "object", "properties": { m("toolproperty"): { "type": "string", "description": m("toolschema") } } } });
            told(
                json!({ "tools": [tool("get_it"), tool("get_it"), tool(&format!("get_{}", m("servertool"))), tool(TOKEN), { "name": m("brokentool"), "inputSchema": m("brokenschema") }] }),
            )
        }
        ("tools/call", "fault") => failed("200 OK"),
        ("tools/call", "failed") => failed("500 Broken"),
        ("tools/call", "garbage") => {
            whole("200 OK", "application/json", "", &format!("{{{}", m("servergarbage")))
        }
        ("tools/call", "stranger") => whole(
            "200 OK",
            "application/json",
            "",
            &json!({ "jsonrpc": "2.0", "id": m("strangeid"), "result": { "content": [] } }).to_string(),
        ),
        ("tools/call", "events") => {
            let log = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "logger": m("logger"), "data": m("logdata") } });
            let odd = json!({ "jsonrpc": "2.0", "method": m("serverasks"), "id": m("serveraskid"), "params": { "message": m("elicitation") } });
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nid: {}\ndata: {log}\n\ndata: {odd}\n\ndata: {{{}\n\n",
                m("servereventid"),
                m("serverbadevent")
            )
        }
        ("tools/call", _) => told(json!({ "content": [{ "type": "text", "text": m("servertext") }] })),
        _ => whole(
            "404 Not Found",
            "application/json",
            "",
            &json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32601, "message": m("servermethod") } })
                .to_string(),
        ),
    }
}

/// A tool's name that a detector knows, but not behind `desk__`.
const TOKEN: &str = "gsk_Zq7Wm3Lt5Vb2Nx9Rk4Hc6Jd1Pf0GsAa8Bb2Cc5Dd9Ee";

const TENANTS: &str = r#"
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    models: ["gpt-*", "claude*"]
    tools:
      - allow: ["get_*", "desk__*"]
      - deny: "delete_*"
        reason: Deletions go through support.
      - { ask: "refund_*", within: 3s }
"#;

fn gateway(marker: Marker, jwks: &str, collector: &Collector) -> Gateway {
    let fake = upstream(marker);
    let upstreams = move |_| {
        format!(
            "  fake: {{ kind: openai, url: \"http://127.0.0.1:{fake}/v1\", retry: {{ attempts: 0 }} }}\n  fakea: {{ kind: anthropic, url: \"http://127.0.0.1:{fake}/v1\", retry: {{ attempts: 0 }} }}\n  desk: {{ kind: mcp, url: \"http://127.0.0.1:{fake}/mcp\", pin: record }}\n"
        )
    };
    let more = "  gpt-fake: { upstream: fake }\n  \"gpt-glob-*\": { upstream: fake }\n  claude-fake: { upstream: fakea }\nidentity:\n  jwt: [{ issuer: \"https://idp.example\", audience: tollgate, jwks: { file: jwks.json }, tenant: claims.org }]\n";
    let export = format!(
        "telemetry: {{ otlp: \"http://127.0.0.1:{}\", logs: true, content: redacted }}\n",
        collector.port
    );
    Gateway::with_all(TENANTS, &upstreams, &format!("{more}{export}"), &[("jwks.json", jwks)])
}

/// One request as it is, and its answer, whatever that is.
fn send(gateway: &Gateway, line: &str, headers: &str, body: &str) -> String {
    let mut socket = gateway.connect();
    let length = body.len();
    let head = format!(
        "{line} HTTP/1.1\r\nhost: localhost\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    // A refusal may come before all was sent.
    drop(socket.write_all(format!("{head}{body}").as_bytes()));
    let mut answer = Vec::new();
    drop(socket.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}

fn bearer(key: &str) -> String {
    format!("authorization: Bearer {key}\r\ncontent-type: application/json\r\n")
}

/// Requests that are refused before anybody looks at what they ask for.
fn heads(gateway: &Gateway, marker: Marker) {
    let m = |place: &str| marker.at(place);
    let ok = bearer(ACME);
    let chat = "POST /v1/chat/completions";
    let plain = r#"{"model":"gpt-fake","messages":[]}"#;
    let mut others = Vec::new();
    for (line, headers, body, status) in [
        (format!("GET /v1/{}?{}={}", m("path"), m("queryname"), m("queryvalue")), ok.clone(), String::new(), "404"),
        (format!("GET /{}", m("anypath")), String::new(), String::new(), "404"),
        (format!("POST /mcp/{}", m("mcppath")), ok.clone(), "{}".into(), "404"),
        (format!("GET /v1/responses/{}", m("responseid")), ok.clone(), String::new(), "404"),
        (format!("GET /v1/models/{}", m("modelpath")), ok.clone(), String::new(), "404"),
        (format!("{} /v1/models", m("method").replace('@', "-")), ok.clone(), String::new(), "405"),
        (chat.into(), bearer(&m("credential")), plain.into(), "401"),
        (chat.into(), format!("x-api-key: {}\r\n{ok}", m("secondkey")), plain.into(), "401"),
        (chat.into(), format!("authorization: {} {}\r\n", m("scheme"), m("schemed")), plain.into(), "401"),
        (chat.into(), ok.replace("application/json", &format!("text/{}", m("contenttype"))), plain.into(), "415"),
        (chat.into(), format!("content-encoding: {}\r\n{ok}", m("encoding")), plain.into(), "415"),
        (chat.into(), format!("transfer-encoding: {}\r\n{ok}", m("transfer")), plain.into(), "400"),
        (chat.into(), format!("expect: {}\r\n{ok}", m("expect")), plain.into(), "200"),
        (chat.into(), format!("x-{}: {}\r\nuser-agent: {}\r\nx-request-id: {}\r\ntraceparent: {}\r\nx-tenant-id: {}\r\ncookie: {}\r\nopenai-organization: {}\r\n{ok}", m("headername").replace('@', "-"), m("headervalue"), m("agent"), m("requestid"), m("trace"), m("tenantheader"), m("cookie"), m("organization")), plain.into(), ""),
        (chat.into(), ok.clone(), format!("{{{}", m("malformed")), "400"),
        (chat.into(), ok.clone(), json!({ "model": m("unknownmodel"), "messages": [] }).to_string(), "404"),
        (chat.into(), ok.clone(), json!({ "model": { m("modelkey"): m("modelvalue") }, "messages": m("messages") }).to_string(), "400"),
        (chat.into(), ok.clone(), format!("{{\"{0}\":1,\"{0}\":2}}", m("twice")), "400"),
        (chat.into(), ok.clone(), json!({ "model": "gpt-fake", "messages": [], "x": m("large").repeat(1_000_000) }).to_string(), "413"),
        ("POST /v1/messages".into(), ok.clone(), json!({ "model": "claude-fake", "max_tokens": 5, "messages": [], m("member"): m("membervalue") }).to_string(), "400"),
        ("POST /v1/responses".into(), ok.clone(), json!({ "model": "gpt-fake", "input": "x", m("responsemember"): m("responsevalue") }).to_string(), "400"),
        ("POST /v1/responses".into(), ok.clone(), json!({ "model": "gpt-fake", "input": [{ "type": m("itemtype"), "id": m("itemid") }], "previous_response_id": m("previous") }).to_string(), "40"),
        ("POST /v1/embeddings".into(), ok.clone(), json!({ "model": "gpt-fake", "input": m("embedded") }).to_string(), ""),
    ] {
        let answer = send(gateway, &line, &headers, &body);
        if !answer.starts_with(&format!("HTTP/1.1 {status}")) {
            let told: String = answer.chars().take(400).collect();
            others.push(format!("{line}: {status}, but {headers}{told}"));
        }
    }
    assert!(others.is_empty(), "{others:#?}");
    // No HTTP at all, and a host of another's.
    let mut socket = gateway.connect();
    drop(socket.write_all(format!("{}\r\n{}\r\n\r\n", m("nohttp"), m("noheader")).as_bytes()));
    drop(socket.read_to_end(&mut Vec::new()));
    let mut socket = gateway.connect();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: {}\r\norigin: http://{}\r\n{ok}connection: close\r\ncontent-length: 2\r\n\r\n{{}}",
        m("host"),
        m("origin")
    );
    drop(socket.write_all(head.as_bytes()));
    drop(socket.read_to_end(&mut Vec::new()));
    // Half a body, and then nobody.
    let mut socket = gateway.connect();
    let head = format!(
        "{chat} HTTP/1.1\r\nhost: localhost\r\n{ok}content-length: 500\r\n\r\n{{\"x\":\"{}",
        m("halfbody")
    );
    drop(socket.write_all(head.as_bytes()));
}

/// Requests that an upstream answers, in every way it can.
fn bodies(gateway: &Gateway, marker: Marker) {
    let m = |place: &str| marker.at(place);
    let cases = [
        "answer",
        "unprocessable",
        "toomany",
        "forbidden",
        "broken",
        "plaintext",
        "moved",
        "garbage",
        "kind",
        "reason",
        "cut",
        "badevent",
        "unknownevent",
        "errorevent",
    ];
    for case in cases {
        for stream in [false, true] {
            let text = format!("{} case-{case}", m("prompt"));
            let function = json!({ "name": format!("get_{}", m("offered")), "description": m("offereddescription"), "parameters": { "type": "object", "properties": { m("offeredproperty"): {} } } });
            let denied = json!({ "name": format!("delete_{}", m("offereddenied")) });
            let tools = [
                json!({ "type": "function", "function": function }),
                json!({ "type": "function", "function": denied }),
            ];
            let body = json!({ "model": "gpt-fake", "stream": stream, "user": m("user"), "metadata": { m("metadatakey"): m("metadata") }, m("chatmember"): m("chatvalue"), "messages": [{ "role": "system", "content": m("system") }, { "role": "user", "name": m("speaker"), "content": text }], "tools": tools });
            assert!(
                send(gateway, "POST /v1/chat/completions", &bearer(ACME), &body.to_string())
                    .starts_with("HTTP/1.1 ")
            );
            let glob = json!({ "model": format!("gpt-glob-{}", m("globmodel")), "stream": stream, "messages": [{ "role": "user", "content": text }] });
            send(gateway, "POST /v1/chat/completions", &bearer(ACME), &glob.to_string());
            let body = json!({ "model": "claude-fake", "max_tokens": 9, "stream": stream, "system": m("system"), "metadata": { "user_id": m("userid") }, "messages": [{ "role": "user", "content": text }], "tools": [{ "name": format!("get_{}", m("messagestool")), "input_schema": { "type": "object" } }] });
            let headers = format!(
                "anthropic-version: {}\r\nanthropic-beta: {}\r\n{}",
                m("version"),
                m("beta"),
                bearer(ACME)
            );
            send(gateway, "POST /v1/messages", &headers, &body.to_string());
            let body = json!({ "model": "gpt-fake", "stream": stream, "instructions": m("instructions"), "input": text, "tools": [{ "type": "function", "name": format!("get_{}", m("responsestool")), "parameters": {} }] });
            send(gateway, "POST /v1/responses", &bearer(ACME), &body.to_string());
        }
    }
}

/// Calls of denied tools, and one that waits for a person, looked at while it does.
fn denials(gateway: &Gateway, marker: Marker) {
    let m = |place: &str| marker.at(place);
    let history = json!({ "model": "gpt-fake", "messages": [{ "role": "user", "content": "x" }, { "role": "assistant", "tool_calls": [{ "id": m("historyid"), "type": "function", "function": { "name": format!("delete_{}", m("historytool")), "arguments": m("historyargs") } }] }, { "role": "tool", "tool_call_id": m("historyid"), "content": m("toolresult") }] });
    send(gateway, "POST /v1/chat/completions", &bearer(ACME), &history.to_string());
    let forced = json!({ "model": "gpt-fake", "messages": [{ "role": "user", "content": "x" }], "tools": [{ "type": "function", "function": { "name": format!("delete_{}", m("forced")) } }], "tool_choice": { "type": "function", "function": { "name": format!("delete_{}", m("forced")) } } });
    send(gateway, "POST /v1/chat/completions", &bearer(ACME), &forced.to_string());
    let text = format!("!call refund_{} {{\"{}\":\"{}\"}}", m("askedtool"), m("askedkey"), m("askedvalue"));
    let asked = json!({ "model": "gpt-5", "messages": [{ "role": "user", "content": text }], "tools": [{ "type": "function", "function": { "name": format!("refund_{}", m("askedtool")) } }] }).to_string();
    thread::scope(|scope| {
        scope.spawn(|| send(gateway, "POST /v1/chat/completions", &bearer(ACME), &asked));
        gateway.wait("a call that waits", |gateway| gateway.admin_get("/admin/approvals").body.len() > 5);
        let mut found = BTreeSet::new();
        let listed = gateway.admin_get("/admin/approvals").json();
        for call in listed.as_array().unwrap() {
            let path = format!("/admin/approvals/{}", call["id"].as_str().unwrap());
            strays("/admin/approvals", &call.to_string(), marker, &mut found);
            strays("/admin/approvals/ID", &gateway.admin_get(&path).json().to_string(), marker, &mut found);
        }
        assert_eq!(found, BTreeSet::new());
    });
    gateway.admin_post(
        &format!("/admin/approvals/{}", m("approval")),
        &json!({ "approve": true, "by": m("approver") }).to_string(),
    );
    gateway.admin_get(&format!("/admin/{}", m("adminpath")));
}

/// Requests of every method, with their parameters.
fn requests(marker: Marker) -> Vec<(String, Value)> {
    let m = |place: &str| marker.at(place);
    let mut requests = vec![
        (m("rpcmethod"), json!({ m("paramkey"): m("paramvalue") })),
        (
            "prompts/get".into(),
            json!({ "name": format!("desk__{}", m("promptname")), "arguments": { m("promptkey"): m("promptvalue") } }),
        ),
        ("resources/read".into(), json!({ "uri": format!("note://x/{}", m("uri")) })),
        ("resources/subscribe".into(), json!({ "uri": format!("note://x/{}", m("subscribed")) })),
        (
            "completion/complete".into(),
            json!({ "ref": { "type": "ref/prompt", "name": m("refname") }, "argument": { "name": m("argumentname"), "value": m("argumentvalue") } }),
        ),
        ("logging/setLevel".into(), json!({ "level": m("level") })),
        ("tools/list".into(), json!({ "cursor": m("cursor") })),
        ("tasks/get".into(), json!({ "taskId": m("taskid") })),
        ("tools/call".into(), json!({ "name": m("unknowntool"), "arguments": { "x": m("unknownargs") } })),
        ("tools/call".into(), json!({ "name": "desk__get_it", "arguments": m("arguments") })),
        ("tools/call".into(), json!({ "name": { m("namekey"): 1 } })),
    ];
    for case in ["fault", "failed", "garbage", "stranger", "events", "well"] {
        for name in ["desk__get_it", "get_it"] {
            requests.push(("tools/call".into(), json!({ "name": name, "arguments": { "case": format!("case-{case}"), m("argkey"): m("argvalue") }, "inputResponses": { m("answerkey"): { "action": "accept", "content": { "x": m("elicited") } } }, "requestState": m("requeststate") })));
        }
    }
    requests
}

/// A message of MCP at both of the paths.
fn ask(gateway: &Gateway, headers: &str, body: &Value) -> [String; 2] {
    let headers = format!("accept: application/json, text/event-stream\r\n{headers}{}", bearer(ACME));
    ["/mcp", "/mcp/desk"].map(|path| send(gateway, &format!("POST {path}"), &headers, &body.to_string()))
}

/// Messages of MCP, whole and broken, in and out of sessions.
fn messages(gateway: &Gateway, marker: Marker) {
    let m = |place: &str| marker.at(place);
    let ask = |headers: &str, body: &Value| ask(gateway, headers, body);
    let request = |method: &str, params: &Value| json!({ "jsonrpc": "2.0", "id": m("messageid"), "method": method, "params": params });
    let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": { "elicitation": {}, m("capability"): {} }, "clientInfo": { "name": m("clientname"), "version": m("clientversion") } });
    let open = ask("", &request("initialize", &hello));
    let session = |answer: &String| {
        let line = answer.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
        format!("mcp-session-id: {}\r\n", line.unwrap())
    };
    let sessions = open.each_ref().map(session);
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}, "io.modelcontextprotocol/clientInfo": { "name": m("metaclient") }, "progressToken": m("progress"), m("metakey"): m("metavalue") });
    for (method, mut params) in requests(marker) {
        for session in &sessions {
            ask(session, &request(&method, &params));
        }
        params["_meta"] = meta.clone();
        let name = params["name"].as_str().or_else(|| params["uri"].as_str()).unwrap_or_default().to_owned();
        ask(
            &format!("mcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\nmcp-name: {name}\r\n"),
            &request(&method, &params),
        );
    }
    let fine = request("tools/list", &json!({ "_meta": meta }));
    for headers in [
        format!("mcp-session-id: {}\r\n", m("session")),
        format!("mcp-protocol-version: {}\r\n", m("revision")),
        format!("mcp-protocol-version: 2026-07-28\r\nmcp-method: {}\r\n", m("methodheader")),
        format!(
            "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/list\r\nmcp-name: {}\r\nmcp-param-{}: {}\r\n",
            m("nameheader"),
            m("paramheader").replace('@', "-"),
            m("paramheadervalue")
        ),
    ] {
        ask(&headers, &fine);
        ask(&headers, &request("initialize", &hello));
    }
    in_sessions(gateway, marker, &sessions);
}

/// What is no request, and streams that are taken up.
fn in_sessions(gateway: &Gateway, marker: Marker, sessions: &[String; 2]) {
    let m = |place: &str| marker.at(place);
    let ask = |headers: &str, body: &Value| ask(gateway, headers, body);
    for session in sessions {
        ask(
            session,
            &json!({ "jsonrpc": "2.0", "id": m("answered"), "result": { "action": "accept", "content": { m("contentkey"): m("content") } } }),
        );
        ask(
            session,
            &json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": 1, "message": m("clientfault") } }),
        );
        ask(
            session,
            &json!({ "jsonrpc": "2.0", "method": m("notification"), "params": { "requestId": m("cancelled"), "reason": m("cancelreason") } }),
        );
        ask(session, &json!([m("batch")]));
        for path in ["/mcp", "/mcp/desk"] {
            let headers = format!(
                "accept: {}\r\nlast-event-id: {}\r\n{session}{}",
                m("accept"),
                m("lasteventid"),
                bearer(ACME)
            );
            send(gateway, &format!("GET {path}"), &headers, "");
            send(
                gateway,
                &format!("POST {path}"),
                &format!("{session}{}", bearer(ACME)),
                &format!("{{{}", m("rpcgarbage")),
            );
            let headers = format!(
                "accept: text/event-stream\r\nlast-event-id: {}\r\n{session}{}",
                m("eventid"),
                bearer(ACME)
            );
            let mut socket = gateway.connect();
            drop(
                socket
                    .write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n").as_bytes()),
            );
            socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            drop(socket.read(&mut [0; 64]));
        }
    }
}

/// Tokens that are refused for every reason, and one that is not.
fn tokens(gateway: &Gateway, marker: Marker, signer: &Signer) {
    let m = |place: &str| marker.at(place);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let good = json!({ "iss": "https://idp.example", "aud": "tollgate", "exp": now + 300, "sub": m("subject"), "org": "acme", "jti": m("tokenid"), m("claimname"): m("claim"), "email": m("claimmail") });
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let head = json!({ "alg": "ES256", "kid": "k" });
    for (head, claims, status) in [
        (head.clone(), good.clone(), "200"),
        (head.clone(), with("org", m("unknowntenant").into()), "401"),
        (head.clone(), with("org", json!({ m("orgkey"): 1 })), "401"),
        (head.clone(), with("iss", m("issuer").into()), "401"),
        (head.clone(), with("aud", m("audience").into()), "401"),
        (head, with("exp", m("expiry").into()), "401"),
        (json!({ "alg": "ES256", "kid": m("keyid") }), good.clone(), "401"),
        (json!({ "alg": m("algorithm"), "kid": "k" }), good.clone(), "401"),
        (json!({ "alg": "ES256", "kid": "k", "crit": [m("critical")] }), good.clone(), "401"),
    ] {
        let token = signer.token(&head.to_string(), &claims.to_string());
        let answer = send(gateway, "GET /v1/models", &bearer(&token), "");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{head} {claims}: {answer}");
    }
}

/// Every file under a directory.
fn files(dir: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        if entry.path().is_dir() {
            files(&entry.path(), found);
        } else {
            found.push(entry.path());
        }
    }
}

/// What was exported: the lines as they were written, and attributes of theirs, of which none is text of a prompt.
fn exported(collector: &Collector, text: &str, marker: Marker, found: &mut BTreeSet<String>) {
    let records = collector.records();
    assert_eq!(records.len(), text.lines().count(), "all is exported by the end");
    for record in records {
        assert!(text.contains(&record.body), "{}", record.body);
        strays("otlp attributes", &record.attributes.to_string(), marker, found);
        for told in [record.resource.to_string(), record.event, record.severity] {
            markers("otlp", &told, found);
        }
        for text in ["prompt", "completion", "args"] {
            assert!(record.attributes.get(text).is_none());
        }
    }
    let spans = collector.spans();
    let of = |kind: i32| spans.iter().filter(|span| span.kind == kind).count();
    let requests = text.lines().filter(|line| line.contains("\"dialect\":")).count();
    assert_eq!(of(2), requests, "each request is a span");
    assert_eq!(of(1), text.lines().count() - requests, "each decision is one");
    for span in spans {
        strays("span attributes", &span.attributes.to_string(), marker, found);
        // A model's or a tool's name is part of it.
        if marker == Marker::Address {
            markers("span names", &span.name, found);
        }
    }
}

#[track_caller]
fn check(marker: Marker) {
    let signer = Signer::of("ES256");
    let jwks = json!({ "keys": [signer.jwk("k")] }).to_string();
    let collector = Collector::start();
    let mut gateway = gateway(marker, &jwks, &collector);
    heads(&gateway, marker);
    bodies(&gateway, marker);
    denials(&gateway, marker);
    messages(&gateway, marker);
    tokens(&gateway, marker, &signer);
    let mut found = BTreeSet::new();
    for path in ["/metrics", "/admin/status", "/admin/access"] {
        markers(path, &gateway.admin_get(path).body, &mut found);
    }
    gateway.stop();
    let dir = gateway.dir.path();
    let mut sinks = vec![dir.join("serve.out"), dir.join("serve.err")];
    files(&dir.join("data"), &mut sinks);
    let mut text = String::new();
    for sink in &sinks {
        let name = sink.strip_prefix(dir).unwrap().display().to_string();
        let content = String::from_utf8_lossy(&std::fs::read(sink).unwrap()).into_owned();
        match name.as_str() {
            _ if name.ends_with(".jsonl") => {
                strays(&name, &content, marker, &mut found);
                text.push_str(&content);
            }
            // What an MCP server says of its tools is kept word for word: it is what a person approves.
            _ if name.starts_with("data/pins/") => {
                let mut kept = BTreeSet::new();
                markers("", &content, &mut kept);
                let own = ["tool", "broken", "server"].map(|who| format!(": {STEM}{who}"));
                found.extend(
                    kept.into_iter()
                        .filter(|place| !own.iter().any(|own| place.starts_with(own)))
                        .map(|place| format!("{name}{place}")),
                );
            }
            // The ledger counts by the names of keys, models and tools; they are redacted (the other marker shows it).
            _ if name.starts_with("data/usage.sqlite") => {}
            // Answers are found again by the ids that providers gave them, and by nothing else of theirs.
            _ if name.starts_with("data/stored.sqlite") => {
                let mut kept = BTreeSet::new();
                markers(&name, &content, &mut kept);
                found.extend(kept.into_iter().filter(|place| !place.contains(&format!(": {STEM}answerid"))));
            }
            _ => markers(&name, &content, &mut found),
        }
        markers("a file's name", &name, &mut found);
    }
    exported(&collector, &text, marker, &mut found);
    assert_eq!(found, BTreeSet::new(), "stands where it must not");
    // The search can find something: prompts, arguments and tools' names are there, redacted.
    let lines = text.lines().count();
    assert!(lines > 150, "{lines} records");
    for place in
        ["prompt", "emittedtool", "emittedvalue", "offereddenied", "unknowntool", "argvalue", "unknownmodel"]
    {
        let is_there = text.contains(&Marker::Word.at(place));
        assert_eq!(is_there, marker == Marker::Word, "{place}");
    }
    assert_eq!(text.contains("[EMAIL_ADDRESS:"), marker == Marker::Address);
}

#[test]
fn a_word_stands_only_where_redacted_text_does() {
    check(Marker::Word);
}

#[test]
fn an_address_stands_nowhere() {
    check(Marker::Address);
}

#[test]
fn a_value_behind_a_servers_name_stands_nowhere() {
    let collector = Collector::start();
    let jwks = json!({ "keys": [Signer::of("ES256").jwk("k")] }).to_string();
    let mut gateway = gateway(Marker::Word, &jwks, &collector);
    let name = format!("desk__{TOKEN}");
    let headers = |method: &str| {
        format!(
            "accept: application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\nmcp-name: {name}\r\n{}",
            bearer(ACME)
        )
    };
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": name, "arguments": {}, "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}, "io.modelcontextprotocol/clientInfo": { "name": "x", "version": "1" } } } });
    let answer = send(&gateway, "POST /mcp", &headers("tools/call"), &call.to_string());
    assert!(answer.contains("quokkaservertext"), "the tool was called: {answer}");
    let usage = gateway.admin_get("/admin/usage").body;
    assert!(usage.contains("desk__[VENDOR_TOKEN:"), "{usage}");
    gateway.stop();
    let dir = gateway.dir.path();
    let mut sinks = vec![dir.join("serve.out"), dir.join("serve.err")];
    files(&dir.join("data"), &mut sinks);
    for sink in sinks {
        // What an MCP server says of its tools is kept word for word: it is what a person approves.
        if sink.starts_with(dir.join("data/pins")) {
            continue;
        }
        let content = std::fs::read(&sink).unwrap();
        assert!(!String::from_utf8_lossy(&content).contains(TOKEN), "{}", sink.display());
    }
    let spans = collector.spans();
    assert!(spans.iter().any(|span| span.kind == 3), "the server's call is a span");
    for span in spans {
        assert!(!format!("{} {}", span.name, span.attributes).contains(TOKEN), "{}", span.name);
    }
}
