//! A request of Messages, understood: what Anthropic would refuse, and the plan of the answer.

use serde_json::{Value, json};

use super::super::{
    dialect::Fault,
    plan::{self, Plan, Question},
};

/// The members of a request; any other is refused, as by Anthropic.
const MEMBERS: [&str; 22] = [
    "model",
    "messages",
    "max_tokens",
    "cache_control",
    "container",
    "context_management",
    "inference_geo",
    "mcp_servers",
    "metadata",
    "output_config",
    "output_format",
    "service_tier",
    "speed",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];

/// # Errors
/// What Anthropic refuses too, and a directive that is not understood.
pub(super) fn plan(body: &Value) -> Result<Plan, Fault> {
    if !body.get("max_tokens").is_some_and(Value::is_u64) {
        return Err(Fault::bad("max_tokens: Field required"));
    }
    question(body)
}

/// The same for a request that only counts.
pub(super) fn question(body: &Value) -> Result<Plan, Fault> {
    let members = body.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    if let Some(stray) = members.into_iter().find(|name| !MEMBERS.contains(name)) {
        return Err(Fault::bad(format!("{stray}: Extra inputs are not permitted")));
    }
    let messages = body.get("messages").and_then(Value::as_array).filter(|messages| !messages.is_empty());
    let messages = messages.ok_or_else(|| Fault::bad("messages: at least one message is required"))?;
    for (at, message) in messages.iter().enumerate() {
        check_message(at, message)?;
    }
    if blocks(&json!({ "content": body.get("system") })).iter().any(is_empty_text) {
        return Err(Fault::bad("system: text content blocks must be non-empty"));
    }
    check_results(messages)?;
    check_tools(body)?;
    answer(body, messages)
}

fn check_message(at: usize, message: &Value) -> Result<(), Fault> {
    let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
    // A turn of the system's may stand among the others, never before them.
    let in_between = role == "system" && at > 0;
    if !in_between && !matches!(role, "user" | "assistant") {
        return Err(Fault::bad(format!(
            "messages: Unexpected role \"{role}\". The Messages API accepts a top-level `system` parameter."
        )));
    }
    let blocks = blocks(message);
    if blocks.is_empty() {
        return Err(Fault::bad(format!("messages.{at}: all messages must have non-empty content")));
    }
    if blocks.iter().any(is_empty_text) {
        return Err(Fault::bad("messages: text content blocks must be non-empty"));
    }
    Ok(())
}

fn is_empty_text(block: &Value) -> bool {
    kind(block) == "text" && text(block).is_empty()
}

/// Every call of an assistant's turn has its result at the beginning of the next user's turn, and every result its
/// call. Messages of one role in a row are one turn.
fn check_results(messages: &[Value]) -> Result<(), Fault> {
    let mut turns: Vec<(&Value, Vec<Value>)> = Vec::new();
    for message in messages {
        let role = message.get("role").unwrap_or(&Value::Null);
        match turns.last_mut() {
            Some((known, turn)) if *known == role => turn.extend(blocks(message)),
            _ => turns.push((role, blocks(message))),
        }
    }
    let mut open: Vec<String> = Vec::new();
    for (role, turn) in &turns {
        let first = turn.iter().take_while(|block| *role == "user" && kind(block) == "tool_result");
        let answered: Vec<String> = first.map(|block| id(block, "tool_use_id")).collect();
        let left: Vec<&str> = open.iter().filter(|id| !answered.contains(id)).map(String::as_str).collect();
        if !left.is_empty() {
            return Err(Fault::bad(format!(
                "messages: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each \
                 `tool_use` block must have a corresponding `tool_result` block in the next message.",
                left.join(", ")
            )));
        }
        let results = turn.iter().filter(|block| kind(block) == "tool_result");
        if let Some(stray) = results.map(|block| id(block, "tool_use_id")).find(|id| !open.contains(id)) {
            return Err(Fault::bad(format!(
                "messages: unexpected `tool_use_id` found in `tool_result` blocks: {stray}. Each `tool_result` block \
                 must have a corresponding `tool_use` block in the previous message."
            )));
        }
        let calls = turn.iter().filter(|block| *role == "assistant" && kind(block) == "tool_use");
        open = calls.map(|block| id(block, "id")).collect();
    }
    Ok(())
}

fn check_tools(body: &Value) -> Result<(), Fault> {
    let tools = body.get("tools").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for (at, tool) in tools.iter().enumerate() {
        let plain = matches!(tool.get("type").and_then(Value::as_str), None | Some("custom"));
        if !tool.get("name").is_some_and(Value::is_string) && kind(tool) != "mcp_toolset" {
            return Err(Fault::bad(format!("tools.{at}.custom.name: Field required")));
        }
        if plain && !tool.get("input_schema").is_some_and(Value::is_object) {
            return Err(Fault::bad(format!("tools.{at}.custom.input_schema: Field required")));
        }
    }
    if tools.is_empty() && body.get("tool_choice").is_some_and(|choice| !choice.is_null()) {
        return Err(Fault::bad("tool_choice may only be specified while providing tools"));
    }
    Ok(())
}

fn answer(body: &Value, messages: &[Value]) -> Result<Plan, Fault> {
    // A user's message of nothing but results steers nothing: what was said before it does.
    let said = |message: &&Value| {
        let user = message.get("role").and_then(Value::as_str) == Some("user");
        user && !plan::content(message).is_empty()
    };
    let seed = messages.iter().rev().find(said).map(plan::content).unwrap_or_default();
    let result = messages.last().filter(|last| !said(last)).and_then(|last| {
        let mut results = blocks(last).into_iter().filter(|block| kind(block) == "tool_result");
        results.next_back().map(|result| plan::content(&result))
    });
    let directions = plan::directions(body, &seed, result)?;
    let prompt_bytes = messages.iter().map(bytes).sum::<usize>()
        + plan::content(&json!({ "content": body.get("system") })).len();
    Ok(Plan::new(Question::of(body, seed, 1, prompt_bytes)?, directions))
}

fn bytes(message: &Value) -> usize {
    blocks(message).iter().map(|block| text(block).len() + plan::content(block).len()).sum()
}

/// The blocks of a content that is a list, or the one that a string stands for.
fn blocks(message: &Value) -> Vec<Value> {
    match message.get("content") {
        Some(Value::String(text)) if !text.is_empty() => vec![json!({ "type": "text", "text": text })],
        Some(Value::Array(blocks)) => blocks.clone(),
        _ => Vec::new(),
    }
}

fn kind(block: &Value) -> &str {
    block.get("type").and_then(Value::as_str).unwrap_or_default()
}

fn text(block: &Value) -> &str {
    block.get("text").and_then(Value::as_str).unwrap_or_default()
}

fn id(block: &Value, key: &str) -> String {
    block.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}
