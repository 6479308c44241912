//! The MCP server in other tempers, each under its own path, for tests of what stands before it:
//! `/mcp/legacy` knows only revisions with sessions and wants its session named, `/mcp/modern` only 2026-07-28 and
//! checks its headers, `/mcp/pages` lists one tool a page, `/mcp/tools` has tools alone, `/mcp/events` answers calls with a stream of events,
//! `/mcp/forgetful` is like `legacy`, and each session ends after a few requests of anybody's,
//! `/mcp/curious` wants input before it answers, `/mcp/silent` never answers a call, `/mcp/mirrors` (a file of its own)
//! wants arguments repeated in headers.

use super::{
    dialect::{Dialect, Event},
    directions::{Fate, Transport},
    mcp::{self, Answer},
    mcp_mirrors,
    script::Reply,
    sse,
};
use hyper::{HeaderMap, Method};
use serde_json::{Value, json};

const SESSION: &str = "mock-session";
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// Answers a request below `/mcp/`; `None` where there is no such temper.
pub(super) fn respond(
    method: &Method,
    mode: &str,
    headers: &HeaderMap,
    body: &[u8],
    number: u64,
) -> Option<(Reply, Transport)> {
    const MODES: [&str; 9] =
        ["legacy", "forgetful", "modern", "pages", "events", "curious", "silent", "mirrors", "tools"];
    if !MODES.contains(&mode) {
        return None;
    }
    if *method != Method::POST {
        return Some((Reply::empty(405), Transport::default()));
    }
    let message: Value = serde_json::from_slice(body).unwrap_or_default();
    let is = |name: &str| at(&message, &["method"]) == name;
    Some(match mode {
        "legacy" => legacy(&message, headers, body, SESSION, |id| id == SESSION),
        "forgetful" => legacy(&message, headers, body, &number.to_string(), |id| {
            id.parse().is_ok_and(|opened: u64| number < opened + 4)
        }),
        "modern" => match refused_headers(&message, headers) {
            Some(refused) => refused,
            None => plain(mcp::answer(body)),
        },
        "mirrors" => mcp_mirrors::respond(&message, headers),
        "pages" if is("tools/list") => page(&message, body),
        "events" if is("tools/call") => events(&message, body),
        "curious" if is("tools/call") => result(&message, &json!({ "resultType": "input_required" })),
        "tools" if is("initialize") || is("server/discover") => tools_alone(body),
        "silent" if is("tools/call") => {
            (Reply::empty(200), Transport { fate: Fate::Hang, ..Transport::default() })
        }
        _ => plain(mcp::answer(body)),
    })
}

/// A member of a member, `null` where there is none.
pub(super) fn at<'v>(value: &'v Value, path: &[&str]) -> &'v Value {
    path.iter().try_fold(value, |value, key| value.get(key)).unwrap_or(&Value::Null)
}

/// An answer as it is.
pub(super) fn plain(answer: Answer) -> (Reply, Transport) {
    match answer {
        Answer::Accepted => (Reply::empty(202), Transport::default()),
        Answer::Message { status, body } => told(status, &body),
    }
}

fn told(status: u16, body: &Value) -> (Reply, Transport) {
    let transport = Transport::default();
    (sse::whole(Dialect::OpenAi, status, body.to_string(), &transport), transport)
}

pub(super) fn error(message: &Value, status: u16, code: i64, text: &str) -> (Reply, Transport) {
    told(
        status,
        &json!({ "jsonrpc": "2.0", "id": at(message, &["id"]), "error": { "code": code, "message": text } }),
    )
}

pub(super) fn result(message: &Value, result: &Value) -> (Reply, Transport) {
    told(200, &json!({ "jsonrpc": "2.0", "id": at(message, &["id"]), "result": result }))
}

fn legacy(
    message: &Value,
    headers: &HeaderMap,
    body: &[u8],
    opened: &str,
    is_open: impl Fn(&str) -> bool,
) -> (Reply, Transport) {
    if at(message, &["method"]) == "initialize" {
        let (mut reply, transport) = plain(mcp::answer(body));
        reply.headers.push(("mcp-session-id", opened.to_owned()));
        return (reply, transport);
    }
    match headers.get("mcp-session-id").map(|id| id.to_str().is_ok_and(&is_open)) {
        None => error(message, 400, -32600, "no session"),
        Some(false) => error(message, 404, -32600, "another session"),
        Some(true) if !at(message, &["params", "_meta", VERSION]).is_null() => {
            error(message, 400, -32600, "unknown revision")
        }
        Some(true) => plain(mcp::answer(body)),
    }
}

pub(super) fn refused_headers(message: &Value, headers: &HeaderMap) -> Option<(Reply, Transport)> {
    let stated = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(Value::from);
    let named = at(message, &["params", "_meta", VERSION]);
    if named.is_null() {
        return Some(error(message, 400, -32022, "only 2026-07-28 is spoken here"));
    }
    let method = at(message, &["method"]).as_str().unwrap_or_default();
    let named_by = match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        _ => None,
    };
    let agrees = stated("mcp-protocol-version").as_ref() == Some(named)
        && stated("mcp-method").as_ref() == Some(at(message, &["method"]))
        && named_by.is_none_or(|key| stated("mcp-name").as_ref() == Some(at(message, &["params", key])));
    (!agrees).then(|| error(message, 400, -32020, "header mismatch"))
}

fn tools_alone(body: &[u8]) -> (Reply, Transport) {
    let mut answer = mcp::answer(body);
    if let Answer::Message { body, .. } = &mut answer
        && let Some(result) = body.get_mut("result").and_then(Value::as_object_mut)
    {
        result.insert("capabilities".to_owned(), json!({ "tools": {} }));
        result.remove("instructions");
    }
    plain(answer)
}

fn page(message: &Value, body: &[u8]) -> (Reply, Transport) {
    let Answer::Message { body: mut answer, .. } = mcp::answer(body) else {
        return (Reply::empty(202), Transport::default());
    };
    let cursor = at(message, &["params", "cursor"]).as_str();
    let number = cursor.and_then(|cursor| cursor.parse::<usize>().ok()).unwrap_or(0);
    if let Some(result) = answer.get_mut("result").and_then(Value::as_object_mut) {
        let tools = result.get("tools").and_then(Value::as_array).cloned().unwrap_or_default();
        if number + 1 < tools.len() {
            result.insert("nextCursor".to_owned(), (number + 1).to_string().into());
        }
        result.insert("tools".to_owned(), tools.get(number).into_iter().cloned().collect());
    }
    told(200, &answer)
}

fn events(message: &Value, body: &[u8]) -> (Reply, Transport) {
    let Answer::Message { body: answer, .. } = mcp::answer(body) else {
        return (Reply::empty(202), Transport::default());
    };
    let tells = |method: &str, params: Value| json!({ "jsonrpc": "2.0", "method": method, "params": params });
    let mut told = vec![
        tells("notifications/message", json!({ "level": "info", "data": "working" })),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "sampling/createMessage", "params": { "messages": [] } }),
        tells("notifications/progress", json!({ "progressToken": "another", "progress": 1 })),
    ];
    let token = at(message, &["params", "_meta", "progressToken"]);
    if !token.is_null() {
        told.push(tells(
            "notifications/progress",
            json!({ "progressToken": token, "progress": 1, "total": 2 }),
        ));
    }
    told.push(answer);
    let events =
        told.into_iter().map(|event| Event { name: Some("message".into()), data: event.to_string() });
    // Nothing marks the end but the answer.
    let transport = Transport { end: super::directions::End::NoDone, ..Transport::default() };
    let mut reply = sse::stream(Dialect::OpenAi, events.collect(), &transport);
    reply.headers.push(("cache-control", "no-cache".to_owned()));
    (reply, transport)
}
