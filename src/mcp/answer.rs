//! What the gateway answers by itself: who it is, what there is, and how a call is denied.

use super::{
    Fault, Revision,
    list::Tool,
    message::{INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST},
};
use crate::{json::Value, refusal::Refusal};

/// What `initialize` is answered with.
pub fn initialized(revision: Revision) -> Value<'static> {
    Value::object([
        ("protocolVersion", Value::string(revision.as_str())),
        ("capabilities", capabilities()),
        ("serverInfo", info()),
    ])
}

/// What `server/discover` is answered with.
pub fn discovered() -> Value<'static> {
    let mut result = Value::object([
        ("supportedVersions", Revision::supported()),
        ("capabilities", capabilities()),
        ("serverInfo", info()),
    ]);
    mark(&mut result, Revision::MODERN);
    result.set("ttlMs", Value::integer(0));
    result.set("cacheScope", Value::string("private"));
    result.set("_meta", Value::object([("io.modelcontextprotocol/serverInfo", info())]));
    result
}

/// How the gateway calls itself, to both sides.
pub fn info() -> Value<'static> {
    Value::object([
        ("name", Value::string("tollgate")),
        ("version", Value::string(env!("CARGO_PKG_VERSION"))),
    ])
}

fn capabilities() -> Value<'static> {
    Value::object([("tools", Value::object([("listChanged", Value::Bool(false))]))])
}

/// Appends the result of `tools/list`: one page, these tools under these names.
pub fn write_list<'t>(
    tools: impl Iterator<Item = (&'t str, &'t Tool)>,
    revision: Revision,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"{\"tools\":[");
    for (at, (name, tool)) in tools.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        tool.write_as(name, out);
    }
    out.push(b']');
    if revision.is_modern() {
        // What one tenant sees is nobody else's.
        out.extend_from_slice(br#","ttlMs":0,"cacheScope":"private","resultType":"complete""#);
    }
    out.push(b'}');
}

/// What a call of an unknown tool is answered with, and of one that the tenant cannot see: the same bytes.
pub fn unknown_tool(name: &str) -> Fault {
    let name: String = name.chars().take(256).collect();
    Fault::new(INVALID_PARAMS, format!("Unknown tool: {name}"))
}

/// A result that tells the model why there is none.
pub fn failed(text: &str, revision: Revision) -> Value<'static> {
    let content = Value::object([("type", Value::string("text")), ("text", Value::string(text.to_owned()))]);
    let mut result =
        Value::object([("content", Value::Array(vec![content])), ("isError", Value::Bool(true))]);
    mark(&mut result, revision);
    result
}

/// A result that tells the model why its call is denied.
pub fn denied(reason: &str, revision: Revision) -> Value<'static> {
    failed(&format!("Denied: {reason}"), revision)
}

/// Whether a result is none yet: the server asks for input first.
pub fn asks_for_input(result: &Value<'_>) -> bool {
    result.get("resultType").and_then(Value::as_str) == Some("input_required")
}

/// What a client is asked before its request is answered, and what it brings back with its answers.
pub fn input_required(questions: Value<'static>, state: Option<String>) -> Value<'static> {
    let mut result = Value::object([("resultType", Value::string("input_required"))]);
    if questions.members().is_some_and(|questions| !questions.is_empty()) {
        result.set("inputRequests", questions);
    }
    if let Some(state) = state {
        result.set("requestState", Value::string(state));
    }
    result
}

/// A server's result as a client of this revision reads it.
pub fn passed(mut result: Value<'static>, revision: Revision) -> Value<'static> {
    let kind = result.remove("resultType");
    match kind.as_ref().map(Value::as_str) {
        None | Some(Some("complete")) => {
            mark(&mut result, revision);
            result
        }
        Some(_) => failed("The server answered in a way that this gateway does not serve yet.", revision),
    }
}

/// 2026-07-28 wants every result to say that it is complete.
fn mark(result: &mut Value<'static>, revision: Revision) {
    if revision.is_modern() {
        result.set("resultType", Value::string("complete"));
    }
}

/// A refusal of the gateway's as an error of this protocol.
pub fn refused(refusal: &Refusal) -> Fault {
    let code = match refusal {
        Refusal::Invalid { .. } | Refusal::MethodNotAllowed | Refusal::NotFound => INVALID_REQUEST,
        _ => INTERNAL_ERROR,
    };
    let data = Value::object([("code", Value::string(refusal.code()))]);
    Fault { status: refusal.status(), data: Some(data), ..Fault::new(code, refusal.message()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn passes(result: &str, revision: Revision, expected: &str) {
        let result = json::parse(result.as_bytes(), 16).unwrap().into_owned();
        assert_eq!(passed(result, revision).to_string(), expected);
    }

    #[test]
    fn results_are_marked_for_those_who_want_it() {
        let (old, new) = (Revision::LEGACY, Revision::MODERN);
        passes(r#"{"content":[]}"#, old, r#"{"content":[]}"#);
        passes(r#"{"resultType":"complete","content":[]}"#, old, r#"{"content":[]}"#);
        passes(r#"{"content":[]}"#, new, r#"{"content":[],"resultType":"complete"}"#);
        for kind in [r#""input_required""#, r#""task""#, "7"] {
            let result = format!(r#"{{"resultType":{kind},"content":[]}}"#);
            let result = json::parse(result.as_bytes(), 16).unwrap().into_owned();
            assert_eq!(passed(result, old).get("isError"), Some(&Value::Bool(true)), "{kind}");
        }
    }

    #[test]
    fn a_denial_is_a_result() {
        let expected = r#"{"content":[{"type":"text","text":"Denied: no"}],"isError":true}"#;
        assert_eq!(denied("no", Revision::LEGACY).to_string(), expected);
        let modern = denied("no", Revision::MODERN);
        assert_eq!(modern.get("resultType"), Some(&Value::string("complete")));
    }
}
