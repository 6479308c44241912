//! A Messages request into the neutral form: its settings, tools and turns. Apart from the writer because it is the
//! only file, with `blocks`, that knows what an Anthropic client may send, and what each member of it becomes.

use super::{
    super::{
        conversation::{Choice, Conversation, Effort, Format, Tool, Turn},
        members::{Members, parts},
    },
    blocks,
};
use crate::{json::Value, refusal::Refusal};

/// Members that may only ask for what happens anyway, and the values that do.
const DEFAULTS: [(&str, &[&str]); 3] = [
    ("speed", &["\"standard\""]),
    ("mcp_servers", &["[]"]),
    // Which capacity an operator's account at another provider uses is the operator's to say.
    ("service_tier", &["\"auto\"", "\"standard_only\""]),
];
/// A thinking budget below this is low effort, in tokens.
const MEDIUM_FROM: u64 = 4_096;
/// A thinking budget from this on is high effort, in tokens.
const HIGH_FROM: u64 = 16_384;

/// Reads a request.
pub(in crate::translate) fn read<'v>(body: &'v Value<'v>) -> Result<Conversation<'v>, Refusal> {
    let mut body = Members::of(body, String::new())?;
    let mut conversation = Conversation::with(body.need_text("model")?);
    for (key, accepted) in DEFAULTS {
        body.only(key, accepted)?;
    }
    // OpenAI-compatible providers cache by themselves.
    body.pass_over(&["cache_control"]);
    conversation.stream = body.truth("stream")?.unwrap_or(false);
    settings(&mut body, &mut conversation)?;
    tools(&mut body, &mut conversation)?;
    let at = body.at("system");
    let system = parts(body.take("system"), &at, |text| text, blocks::text)?;
    if !system.is_empty() {
        conversation.turns.push(Turn::System(system));
    }
    for (at, message) in body.need_items("messages")? {
        turns(Members::of(message, at.0)?, &mut conversation.turns)?;
    }
    body.end()?;
    Ok(conversation)
}

fn settings<'v>(body: &mut Members<'v>, conversation: &mut Conversation<'v>) -> Result<(), Refusal> {
    conversation.tokens_max = body.count("max_tokens")?;
    if conversation.tokens_max.is_none() {
        return Err(body.at("max_tokens").refuse("is missing"));
    }
    conversation.temperature = body.number("temperature")?;
    conversation.top_p = body.number("top_p")?;
    for (at, text) in body.items("stop_sequences")? {
        conversation.stop.push(text.as_str().ok_or_else(|| at.refuse("must be a string"))?);
    }
    if let Some(mut metadata) = body.object("metadata")? {
        conversation.user = metadata.text("user_id")?;
        metadata.end()?;
    }
    if let Some(thinking) = body.object("thinking")? {
        conversation.effort = self::thinking(thinking)?;
    }
    if let Some(mut config) = body.object("output_config")? {
        let at = config.at("effort");
        let effort = config.text("effort")?;
        let known = |name| Effort::named(name).ok_or_else(|| at.refuse("is no effort that is known"));
        // What is said in words is nearer to the other API than a budget.
        conversation.effort = effort.map(known).transpose()?.or(conversation.effort);
        conversation.format = config.object("format")?.map(format).transpose()?;
        config.end()?;
    }
    body.object("context_management")?.map_or(Ok(()), context_management)
}

/// The effort that a thinking budget asks for. The other kinds leave it to the model, or switch off what the other
/// API does not show anyway.
fn thinking(mut thinking: Members<'_>) -> Result<Option<Effort>, Refusal> {
    thinking.pass_over(&["display"]);
    let at = thinking.at("type");
    let effort = match thinking.need_text("type")? {
        "adaptive" | "between_tools" | "disabled" => None,
        "enabled" => {
            let at = thinking.at("budget_tokens");
            let budget = thinking.count("budget_tokens")?.and_then(Value::as_u64);
            Some(match budget.ok_or_else(|| at.refuse("is missing"))? {
                0..MEDIUM_FROM => Effort::Low,
                MEDIUM_FROM..HIGH_FROM => Effort::Medium,
                HIGH_FROM.. => Effort::High,
            })
        }
        _ => return Err(at.uncarried()),
    };
    thinking.end()?;
    Ok(effort)
}

fn format(mut format: Members<'_>) -> Result<Format<'_>, Refusal> {
    let at = format.at("type");
    if format.need_text("type")? != "json_schema" {
        return Err(at.uncarried());
    }
    let schema = format.need("schema")?;
    format.end()?;
    Ok(Format::Schema { name: None, description: None, schema, strict: true })
}

/// Thinking of earlier turns is not sent, so that to clear it asks for nothing. Other edits would change what the
/// model sees.
fn context_management(mut management: Members<'_>) -> Result<(), Refusal> {
    for (at, edit) in management.items("edits")? {
        let mut edit = Members::of(edit, at.0)?;
        let at = edit.at("type");
        if !edit.need_text("type")?.starts_with("clear_thinking_") {
            return Err(at.uncarried());
        }
        edit.pass_over(&["keep"]);
        edit.end()?;
    }
    management.end()
}

fn tools<'v>(body: &mut Members<'v>, conversation: &mut Conversation<'v>) -> Result<(), Refusal> {
    for (at, tool) in body.items("tools")? {
        conversation.tools.push(self::tool(Members::of(tool, at.0)?)?);
    }
    let Some(mut choice) = body.object("tool_choice")? else { return Ok(()) };
    let at = choice.at("type");
    conversation.choice = Some(match choice.need_text("type")? {
        "any" => Choice::Any,
        "auto" => Choice::Auto,
        "none" => Choice::None,
        "tool" => Choice::One(choice.need_text("name")?),
        _ => return Err(at.uncarried()),
    });
    conversation.one_call = choice.truth("disable_parallel_tool_use")?.unwrap_or(false);
    choice.end()
}

fn tool(mut tool: Members<'_>) -> Result<Tool<'_>, Refusal> {
    let at = tool.at("type");
    if tool.text("type")?.is_some_and(|kind| kind != "custom") {
        return Err(at.uncarried_but("only tools that you define yourself, with an `input_schema`, can"));
    }
    // How its input is sent; it is held until it is complete in any case.
    tool.pass_over(&["cache_control", "eager_input_streaming"]);
    tool.only("defer_loading", &["false"])?;
    tool.only("allowed_callers", &["[\"direct\"]"])?;
    tool.only("input_examples", &["[]"])?;
    let found = Tool {
        name: tool.need_text("name")?,
        description: tool.text("description")?,
        parameters: Some(tool.need("input_schema")?),
        strict: tool.truth("strict")?.unwrap_or(false),
    };
    tool.end()?;
    Ok(found)
}

fn turns<'v>(mut message: Members<'v>, turns: &mut Vec<Turn<'v>>) -> Result<(), Refusal> {
    let role = message.need_text("role")?;
    let at = message.at("content");
    let content = Some(message.need("content")?);
    match role {
        "system" => turns.push(Turn::System(parts(content, &at, |text| text, blocks::text)?)),
        "assistant" => turns.push(Turn::Assistant(blocks::said(content, &at)?)),
        "user" => blocks::user(content, &at, turns)?,
        _ => return Err(message.at("role").refuse("is no role that is known")),
    }
    message.end()
}
