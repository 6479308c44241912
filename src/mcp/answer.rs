//! What the gateway answers by itself: who it is, what there is, and how a call is denied.

use super::{
    Fault, Revision,
    about::Told,
    act::Act,
    list::{Definition, Kind},
    message::{INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, RESOURCE_NOT_FOUND},
};
use crate::{json::Value, refusal::Refusal};

/// What `initialize` is answered with.
pub fn initialized(revision: Revision, told: Told) -> Value<'static> {
    let mut result = Value::object([("protocolVersion", Value::string(revision.as_str()))]);
    introduce(&mut result, told);
    result
}

/// What `server/discover` is answered with.
pub fn discovered(told: Told) -> Value<'static> {
    let mut result = Value::object([("supportedVersions", Revision::supported())]);
    introduce(&mut result, told);
    mark(&mut result, Revision::MODERN);
    keep_private(&mut result);
    result.set("_meta", Value::object([("io.modelcontextprotocol/serverInfo", info())]));
    result
}

fn introduce(result: &mut Value<'static>, told: Told) {
    result.set("capabilities", told.capabilities);
    result.set("serverInfo", info());
    if let Some(instructions) = told.instructions {
        result.set("instructions", Value::string(instructions));
    }
}

/// How the gateway calls itself, to both sides.
pub fn info() -> Value<'static> {
    Value::object([
        ("name", Value::string("tollgate")),
        ("version", Value::string(env!("CARGO_PKG_VERSION"))),
    ])
}

/// Appends a list: one page, these definitions under these names.
pub fn write_list<'d>(
    kind: Kind,
    definitions: impl Iterator<Item = (&'d str, &'d Definition)>,
    revision: Revision,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(kind.key().as_bytes());
    out.extend_from_slice(b"\":[");
    for (at, (name, definition)) in definitions.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        definition.write_as(kind, name, out);
    }
    out.push(b']');
    if revision.is_modern() {
        // What one tenant sees is nobody else's.
        out.extend_from_slice(br#","ttlMs":0,"cacheScope":"private","resultType":"complete""#);
    }
    out.push(b'}');
}

/// What is said of what is not there, and of what the tenant cannot see: the same bytes.
pub fn unknown(act: Act, name: &str, revision: Revision) -> Fault {
    let name: String = name.chars().take(256).collect();
    match act {
        Act::CallTool => Fault::new(INVALID_PARAMS, format!("Unknown tool: {name}")),
        Act::GetPrompt => Fault::new(INVALID_PARAMS, format!("Unknown prompt: {name}")),
        Act::ReadResource => {
            let code = if revision.is_modern() { INVALID_PARAMS } else { RESOURCE_NOT_FOUND };
            let data = Value::object([("uri", Value::string(name.clone()))]);
            Fault { data: Some(data), ..Fault::new(code, format!("Resource not found: {name}")) }
        }
    }
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

/// Why there is no answer, where no result could tell of it.
pub fn denial(text: &str, code: &'static str) -> Fault {
    let data = Value::object([("code", Value::string(code))]);
    Fault { data: Some(data), ..Fault::new(INVALID_PARAMS, text) }
}

/// A server's result of anything but a call, as a client of this revision reads it. `kept`: whether the revision has it
/// say how long it lasts.
pub fn passed_on(
    mut result: Value<'static>,
    kept: bool,
    revision: Revision,
) -> Result<Value<'static>, Fault> {
    let kind = result.remove("resultType");
    let text = match kind.as_ref().map(Value::as_str) {
        None | Some(Some("complete")) => {
            mark(&mut result, revision);
            if kept {
                result.remove("ttlMs");
                result.remove("cacheScope");
            }
            if kept && revision.is_modern() {
                keep_private(&mut result);
            }
            return Ok(result);
        }
        Some(Some("input_required")) => {
            "The server asks for input before it answers, which this gateway does not serve yet."
        }
        Some(_) => "The server answered in a way that this gateway does not serve yet.",
    };
    Err(Fault::new(INTERNAL_ERROR, text))
}

/// No suggestions.
pub fn completed_with_nothing(revision: Revision) -> Value<'static> {
    let completion = Value::object([("values", Value::Array(Vec::new())), ("hasMore", Value::Bool(false))]);
    let mut result = Value::object([("completion", completion)]);
    mark(&mut result, revision);
    result
}

/// What one tenant sees is nobody else's.
fn keep_private(result: &mut Value<'static>) {
    result.set("ttlMs", Value::integer(0));
    result.set("cacheScope", Value::string("private"));
}

/// What a server tells of a task, to a client of 2026-07-28.
pub fn told(mut result: Value<'static>) -> Value<'static> {
    mark(&mut result, Revision::MODERN);
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
    fn what_lasts_is_private_to_the_tenant() {
        let passed = |text: &str, kept, revision| {
            let result = json::parse(text.as_bytes(), 16).unwrap().into_owned();
            passed_on(result, kept, revision).map(|result| result.to_string())
        };
        let (old, new) = (Revision::LEGACY, Revision::MODERN);
        let said = r#"{"contents":[],"ttlMs":9000,"cacheScope":"public","resultType":"complete"}"#;
        assert_eq!(passed(said, true, old).unwrap(), r#"{"contents":[]}"#);
        let private = r#"{"contents":[],"resultType":"complete","ttlMs":0,"cacheScope":"private"}"#;
        assert_eq!(passed(said, true, new).unwrap(), private);
        assert_eq!(passed(r#"{"contents":[]}"#, true, new).unwrap(), private);
        assert_eq!(passed(r#"{"x":1}"#, false, new).unwrap(), r#"{"x":1,"resultType":"complete"}"#);
        for kind in [r#""input_required""#, r#""task""#, "7"] {
            let fault = passed(&format!(r#"{{"resultType":{kind}}}"#), true, new).unwrap_err();
            assert_eq!((fault.status, fault.code), (200, INTERNAL_ERROR));
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
