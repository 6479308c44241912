//! A request of Responses, understood: its input as items, what it leaves open, the plan of the answer.

use serde_json::{Value, json};

use super::{
    super::{
        dialect::Fault,
        plan::{self, BadRequest, Plan, Question},
    },
    stored::Stored,
};

/// Calls that a client answers; the item that does has the same name and `_output`.
const CALLS: [&str; 6] = [
    "function_call",
    "custom_tool_call",
    "computer_call",
    "local_shell_call",
    "shell_call",
    "apply_patch_call",
];

/// The input as items: a string is a message, a reference is the stored item.
///
/// # Errors
/// No input, or a reference to nothing.
pub(super) fn input(body: &Value, stored: &Stored) -> Result<Vec<Value>, Fault> {
    match body.get("input") {
        Some(Value::String(text)) => {
            let content = json!([{ "type": "input_text", "text": text }]);
            Ok(vec![json!({ "type": "message", "role": "user", "content": content })])
        }
        Some(Value::Array(items)) => items.iter().map(|item| resolved(item, stored)).collect(),
        _ => Err(BadRequest::Field("input").into()),
    }
}

fn resolved(item: &Value, stored: &Stored) -> Result<Value, Fault> {
    if kind(item) != "item_reference" {
        return Ok(item.clone());
    }
    let id = item.get("id").and_then(Value::as_str).unwrap_or_default();
    stored.item(id).ok_or_else(|| Fault {
        code: None,
        param: Some("input"),
        ..Fault::new(404, format!("Item with id '{id}' not found."))
    })
}

/// What a message without a type is too.
fn kind(item: &Value) -> &str {
    item.get("type").and_then(Value::as_str).unwrap_or("message")
}

/// The call that an item is, or is the output of; a local shell's output has it as its own id.
fn call_id(item: &Value) -> &str {
    let local = || item.get("id").filter(|_| kind(item) == "local_shell_call_output");
    item.get("call_id").or_else(local).and_then(Value::as_str).unwrap_or_default()
}

/// Whether every call, of the response `before` or in the input itself, has its output in the input, and every output
/// its call.
///
/// # Errors
/// Otherwise, in OpenAI's words.
pub(super) fn settled(input: &[Value], before: &[Value]) -> Result<(), Fault> {
    let refuse = |message: String| Err(Fault { param: Some("input"), ..Fault::bad(message) });
    for call in CALLS {
        let output = format!("{call}_output");
        let named = call.replace('_', " ");
        let calls = || before.iter().chain(input).filter(|item| kind(item) == call).map(call_id);
        let outputs = || input.iter().filter(|item| kind(item) == output).map(call_id);
        if let Some(open) = calls().find(|call| !outputs().any(|output| output == *call)) {
            return refuse(format!("No tool output found for {named} {open}."));
        }
        if let Some(stray) = outputs().find(|output| !calls().any(|call| call == *output)) {
            return refuse(format!("No tool call found for {named} output with call_id {stray}."));
        }
    }
    Ok(())
}

/// # Errors
/// A directive that is not understood, or no model.
pub(super) fn plan(body: &Value, input: &[Value]) -> Result<Plan, Fault> {
    let user = |item: &&Value| item.get("role").and_then(Value::as_str) == Some("user");
    let seed = input.iter().rev().find(user).map(plan::content).unwrap_or_default();
    let result = input.last().filter(|last| is_result(kind(last))).map(output);
    let directions = plan::directions(body, &seed, result)?;
    let prompt_bytes = input.iter().map(|item| plan::content(item).len() + output(item).len()).sum();
    Ok(Plan::new(Question::of(body, seed, 1, prompt_bytes)?, directions))
}

fn is_result(kind: &str) -> bool {
    kind.ends_with("_call_output") || kind == "mcp_approval_response"
}

/// The text of a tool's result: a string, the texts of its parts, or whatever it is as JSON.
fn output(item: &Value) -> String {
    match item.get("output") {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(parts @ Value::Array(_)) => plan::content(&json!({ "content": parts })),
        Some(other) => other.to_string(),
    }
}

pub(super) fn no_previous(id: &str) -> Fault {
    Fault {
        code: Some("previous_response_not_found"),
        param: Some("previous_response_id"),
        ..Fault::bad(format!("Previous response with id '{id}' not found."))
    }
}
