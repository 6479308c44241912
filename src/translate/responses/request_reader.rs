//! A Responses request into the neutral form: its settings and tools. Apart because it is the only file, with
//! `items`, that knows what a Responses client may send, and what each member of it becomes.

use super::{
    super::{
        conversation::{Conversation, Effort, Format, Part, Tool, Turn},
        members::Members,
        offered::{self, Form},
    },
    items,
};
use crate::{json::Value, refusal::Refusal};

/// Members that may only ask for what happens anyway, and the values that do.
const DEFAULTS: [(&str, &[&str]); 6] = [
    ("background", &["false"]),
    ("metadata", &["{}"]),
    ("service_tier", &["\"auto\"", "\"default\""]),
    ("store", &["false"]),
    ("top_logprobs", &["0"]),
    ("truncation", &["\"disabled\""]),
];
/// Hints for OpenAI's cache, and a bound on tools that only OpenAI runs: none of those can be offered.
const WITHOUT_EFFECT: [&str; 5] = [
    "client_metadata",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "max_tool_calls",
];
/// Members that name what OpenAI keeps.
const KEPT_ELSEWHERE: [&str; 3] = ["previous_response_id", "conversation", "prompt"];
const OFFERED: Form = Form { tool, name: |owner| owner.need_text("name"), nests_allowed: false };

/// Reads a request.
pub(in crate::translate) fn read<'v>(body: &'v Value<'v>) -> Result<Conversation<'v>, Refusal> {
    let mut body = Members::of(body, String::new())?;
    let mut conversation = Conversation::with(body.need_text("model")?);
    for key in KEPT_ELSEWHERE {
        body.refuse(key, "send the whole conversation as `input`")?;
    }
    for (key, accepted) in DEFAULTS {
        body.only(key, accepted)?;
    }
    body.pass_over(&WITHOUT_EFFECT);
    for (at, wanted) in body.items("include")? {
        // Reasoning of earlier turns is the other model's own, sealed or not.
        if wanted.as_str() != Some("reasoning.encrypted_content") {
            return Err(at.uncarried());
        }
    }
    conversation.stream = body.truth("stream")?.unwrap_or(false);
    if let Some(mut options) = body.object("stream_options")? {
        options.pass_over(&["include_obfuscation"]);
        options.end()?;
    }
    settings(&mut body, &mut conversation)?;
    offered::read(&mut body, &mut conversation, &OFFERED)?;
    if let Some(instructions) = body.text("instructions")? {
        conversation.turns.push(Turn::System(vec![instructions]));
    }
    let at = body.at("input");
    match body.need("input")? {
        Value::String(text) => conversation.turns.push(Turn::User(vec![Part::Text(text)])),
        Value::Array(input) => {
            for (at, item) in at.each(input) {
                items::add(Members::of(item, at.0)?, &mut conversation.turns)?;
            }
        }
        _ => return Err(at.refuse("must be a string or an array")),
    }
    body.end()?;
    Ok(conversation)
}

fn settings<'v>(body: &mut Members<'v>, conversation: &mut Conversation<'v>) -> Result<(), Refusal> {
    conversation.tokens_max = body.count("max_output_tokens")?;
    conversation.temperature = body.number("temperature")?;
    conversation.top_p = body.number("top_p")?;
    // The newer name wins, as OpenAI replaces `user` by it.
    let user = body.text("user")?;
    conversation.user = body.text("safety_identifier")?.or(user);
    if let Some(mut reasoning) = body.object("reasoning")? {
        // Which summary is wanted is not asked: the provider has one kind, or none. None of earlier turns is sent.
        reasoning.pass_over(&["summary", "generate_summary", "context"]);
        reasoning.only("mode", &["\"standard\""])?;
        let at = reasoning.at("effort");
        let known = |name| Effort::named(name).ok_or_else(|| at.refuse("is no effort that is known"));
        conversation.effort = reasoning.text("effort")?.map(known).transpose()?;
        reasoning.end()?;
    }
    if let Some(mut text) = body.object("text")? {
        text.only("verbosity", &["\"medium\""])?;
        conversation.format = text.object("format")?.map(format).transpose()?.flatten();
        text.end()?;
    }
    Ok(())
}

fn format(mut format: Members<'_>) -> Result<Option<Format<'_>>, Refusal> {
    let found = match format.need_text("type")? {
        "text" => None,
        "json_object" => Some(Format::Object { at: format.here() }),
        "json_schema" => Some(Format::Schema {
            name: format.text("name")?,
            description: format.text("description")?,
            schema: format.need("schema")?,
            strict: format.truth("strict")?.unwrap_or(false),
        }),
        _ => return Err(format.at("type").uncarried()),
    };
    format.end()?;
    Ok(found)
}

fn tool(mut tool: Members<'_>) -> Result<Tool<'_>, Refusal> {
    let at = tool.at("type");
    if tool.need_text("type")? != "function" {
        return Err(at.uncarried_but(offered::ONLY_FUNCTIONS));
    }
    tool.only("defer_loading", &["false"])?;
    tool.only("async", &["false"])?;
    tool.only("allowed_callers", &["[\"direct\"]"])?;
    let found = Tool {
        name: tool.need_text("name")?,
        description: tool.text("description")?,
        parameters: tool.take("parameters"),
        strict: tool.truth("strict")?.unwrap_or(false),
    };
    tool.end()?;
    Ok(found)
}
