//! Calls that were denied, as the provider remembers them: it waits for a result that no client can bring, since none
//! saw the call. The next request brings it in the client's stead, and tells the model why.

use super::item::text_part;
use crate::{
    dialect::{DeniedCall, Notice},
    json::Value,
};

/// A picture of one white pixel: a denied use of the computer is answered by a screenshot, for want of another form.
const WHITE_PIXEL: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mP8/x8AAwMCAO+ip1sAAAAASUVORK5CYII=";

/// Puts the results of denied calls before the input of a request.
pub fn answer_denied(body: &mut Value<'_>, denied: &[DeniedCall]) {
    let mut items: Vec<Value<'_>> = denied.iter().map(result).collect();
    match body.remove("input") {
        Some(Value::Array(input)) => items.extend(input),
        None | Some(Value::Null) => {}
        Some(text) => {
            items.push(Value::object([("role", Value::string("user")), ("content", text)]));
        }
    }
    body.set("input", Value::Array(items));
}

/// Puts what the client was told in the place of denied calls where the request names it: the provider never had it.
pub fn spell_out(body: &mut Value<'_>, notices: &[Notice]) {
    for item in body.get_mut("input").and_then(Value::items_mut).into_iter().flatten() {
        let kind = item.present("type").and_then(Value::as_str);
        if !matches!(kind, None | Some("item_reference")) || item.present("role").is_some() {
            continue;
        }
        let id = item.get("id").and_then(Value::as_str);
        let Some(notice) = notices.iter().find(|notice| Some(notice.id.as_str()) == id) else { continue };
        *item = Value::object([
            ("type", Value::string("message")),
            ("role", Value::string("assistant")),
            ("content", Value::Array(vec![text_part(notice.text.clone())])),
        ]);
    }
}

/// The item that answers a call of its kind.
fn result(call: &DeniedCall) -> Value<'static> {
    let text = |text: &str| Value::string(text.to_owned());
    let (kind, id, outcome) = match call.kind.as_str() {
        "custom_tool_call" => ("custom_tool_call_output", "call_id", ("output", text(&call.notice))),
        "local_shell_call" => ("local_shell_call_output", "id", ("output", text(&call.notice))),
        "apply_patch_call" => ("apply_patch_call_output", "call_id", ("output", text(&call.notice))),
        "shell_call" => ("shell_call_output", "call_id", ("output", Value::Array(vec![shell(&call.notice)]))),
        "tool_search_call" => ("tool_search_output", "call_id", ("tools", Value::Array(Vec::new()))),
        "computer_call" => {
            let screenshot = Value::object([
                ("type", Value::string("computer_screenshot")),
                ("image_url", Value::string(WHITE_PIXEL)),
            ]);
            ("computer_call_output", "call_id", ("output", screenshot))
        }
        "mcp_approval_request" => {
            ("mcp_approval_response", "approval_request_id", ("reason", text(&call.notice)))
        }
        _ => ("function_call_output", "call_id", ("output", text(&call.notice))),
    };
    let mut item = Value::object([("type", Value::string(kind)), (id, text(&call.call_id)), outcome]);
    match kind {
        "apply_patch_call_output" => item.set("status", Value::string("failed")),
        "mcp_approval_response" => item.set("approve", Value::Bool(false)),
        _ => {}
    }
    item
}

fn shell(notice: &str) -> Value<'static> {
    let outcome = Value::object([("type", Value::string("exit")), ("exit_code", Value::integer(126))]);
    Value::object([
        ("stdout", Value::string("")),
        ("stderr", Value::string(notice.to_owned())),
        ("outcome", outcome),
    ])
}
