//! A Chat Completions request into the neutral form. Apart from the writer because it is the only file that knows
//! what an OpenAI client may send, and what each member of it becomes.

use super::super::{
    conversation::{
        At, Conversation, Document, DocumentSource, Effort, Format, Outcome, Part, Said, Source, Tool, Turn,
    },
    members::{Members, parts},
    offered::{self, Form},
};
use crate::{json::Value, refusal::Refusal};
use std::borrow::Cow;

/// Members that may only ask for what happens anyway, and the values that do.
const DEFAULTS: [(&str, &[&str]); 11] = [
    ("n", &["1"]),
    ("logprobs", &["false"]),
    ("top_logprobs", &["0"]),
    ("presence_penalty", &["0", "0.0"]),
    ("frequency_penalty", &["0", "0.0"]),
    ("store", &["false"]),
    ("modalities", &["[\"text\"]"]),
    ("logit_bias", &["{}"]),
    ("metadata", &["{}"]),
    ("service_tier", &["\"auto\"", "\"default\""]),
    ("verbosity", &["\"medium\""]),
];
/// Hints for OpenAI's cache. They change what a request costs, not what it says.
const CACHE_HINTS: [&str; 3] = ["prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"];
/// The same at a part of a message.
const PART_HINTS: [&str; 1] = ["prompt_cache_breakpoint"];
const USE_TOOLS: &str = "use `tools` and `tool_choice` instead";
const OFFERED: Form = Form { tool, name: function_name, nests_allowed: true };

/// Reads a request.
pub(in crate::translate) fn read<'v>(body: &'v Value<'v>) -> Result<Conversation<'v>, Refusal> {
    let mut body = Members::of(body, String::new())?;
    let mut conversation = Conversation::with(body.need_text("model")?);
    for legacy in ["functions", "function_call"] {
        body.refuse(legacy, USE_TOOLS)?;
    }
    for (key, accepted) in DEFAULTS {
        body.only(key, accepted)?;
    }
    body.pass_over(&CACHE_HINTS);
    conversation.stream = body.truth("stream")?.unwrap_or(false);
    if let Some(mut options) = body.object("stream_options")? {
        // Usage is always asked for upstream; whether the client sees it is decided when the answer is inspected.
        options.pass_over(&["include_usage", "include_obfuscation"]);
        options.end()?;
    }
    settings(&mut body, &mut conversation)?;
    offered::read(&mut body, &mut conversation, &OFFERED)?;
    for (at, message) in body.need_items("messages")? {
        conversation.turns.push(turn(Members::of(message, at.0)?)?);
    }
    body.end()?;
    Ok(conversation)
}

fn settings<'v>(body: &mut Members<'v>, conversation: &mut Conversation<'v>) -> Result<(), Refusal> {
    let (older, newer) = (body.count("max_tokens")?, body.count("max_completion_tokens")?);
    if older.is_some() && newer.is_some() && older != newer {
        return Err(body.at("max_tokens").refuse("and `max_completion_tokens` differ; give one of them"));
    }
    conversation.tokens_max = newer.or(older);
    conversation.temperature = body.number("temperature")?;
    conversation.top_p = body.number("top_p")?;
    let stop = body.take("stop");
    conversation.stop = match stop {
        Some(Value::Array(items)) => {
            let texts = body.at("stop").each(items).into_iter();
            let text =
                |(at, item): (At, &'v Value<'v>)| item.as_str().ok_or_else(|| at.refuse("must be a string"));
            texts.map(text).collect::<Result<_, _>>()?
        }
        Some(Value::String(text)) => vec![text],
        Some(_) => return Err(body.at("stop").refuse("must be a string or an array of strings")),
        None => Vec::new(),
    };
    // The newer name wins, as OpenAI replaces `user` by it.
    let user = body.text("user")?;
    conversation.user = body.text("safety_identifier")?.or(user);
    let at = body.at("reasoning_effort");
    let effort = body.text("reasoning_effort")?;
    let known = |name| Effort::named(name).ok_or_else(|| at.refuse("is no effort that is known"));
    conversation.effort = effort.map(known).transpose()?;
    conversation.format = body.object("response_format")?.map(format).transpose()?.flatten();
    Ok(())
}

fn format(mut format: Members<'_>) -> Result<Option<Format<'_>>, Refusal> {
    let found = match format.need_text("type")? {
        "text" => None,
        "json_object" => Some(Format::Object { at: format.here() }),
        "json_schema" => {
            let mut schema = format.need_object("json_schema")?;
            let found = Format::Schema {
                name: schema.text("name")?,
                description: schema.text("description")?,
                schema: schema.need("schema")?,
                strict: schema.truth("strict")?.unwrap_or(false),
            };
            schema.end()?;
            Some(found)
        }
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
    let mut function = tool.need_object("function")?;
    tool.end()?;
    let found = Tool {
        name: function.need_text("name")?,
        description: function.text("description")?,
        parameters: function.take("parameters"),
        strict: function.truth("strict")?.unwrap_or(false),
    };
    function.end()?;
    Ok(found)
}

fn function_name<'v>(owner: &mut Members<'v>) -> Result<&'v str, Refusal> {
    let mut function = owner.need_object("function")?;
    let name = function.need_text("name")?;
    function.end()?;
    Ok(name)
}

fn turn(mut message: Members<'_>) -> Result<Turn<'_>, Refusal> {
    let role = message.need_text("role")?;
    let at = message.at("content");
    let turn = match role {
        "system" | "developer" => {
            Turn::System(parts(Some(message.need("content")?), &at, |text| text, text_part)?)
        }
        "user" => Turn::User(parts(Some(message.need("content")?), &at, Part::Text, user_part)?),
        "assistant" => Turn::Assistant(said(&mut message)?),
        "tool" => {
            // The name says nothing that the call does not.
            message.pass_over(&["name"]);
            let content = parts(Some(message.need("content")?), &at, Part::Text, |part| {
                text_part(part).map(Part::Text)
            })?;
            Turn::Result(Outcome { call: message.need_text("tool_call_id")?, content, error: false })
        }
        "function" => return Err(message.at("role").uncarried_but(USE_TOOLS)),
        _ => return Err(message.at("role").refuse("is no role that is known")),
    };
    message.end()?;
    Ok(turn)
}

fn text_part(mut part: Members<'_>) -> Result<&str, Refusal> {
    part.pass_over(&PART_HINTS);
    let at = part.at("type");
    if part.need_text("type")? != "text" {
        return Err(at.uncarried_but("only text can stand here"));
    }
    let text = part.need_text("text")?;
    part.end()?;
    Ok(text)
}

fn user_part(mut part: Members<'_>) -> Result<Part<'_>, Refusal> {
    part.pass_over(&PART_HINTS);
    let at = part.at("type");
    let found = match part.need_text("type")? {
        "text" => Part::Text(part.need_text("text")?),
        "image_url" => {
            let mut image = part.need_object("image_url")?;
            // How closely to look is a hint; the other API decides by the image's size.
            image.pass_over(&["detail"]);
            let at = image.at("url");
            let source = Source::url(image.need_text("url")?, &at)?;
            image.end()?;
            Part::Image(source)
        }
        "file" => Part::Document(file(part.need_object("file")?)?),
        "input_audio" => return Err(at.uncarried_but("send text, images or a PDF")),
        _ => return Err(at.uncarried()),
    };
    part.end()?;
    Ok(found)
}

fn file(mut file: Members<'_>) -> Result<Document<'_>, Refusal> {
    file.refuse("file_id", "send the file itself as `file_data`")?;
    let at = file.at("file_data");
    let source = Source::pdf(file.need_text("file_data")?, &at)?;
    let title = file.text("filename")?;
    file.end()?;
    Ok(Document { title, context: None, source: DocumentSource::Pdf(source), at })
}

fn said<'v>(message: &mut Members<'v>) -> Result<Vec<Said<'v>>, Refusal> {
    message.refuse("function_call", "use `tool_calls` instead")?;
    message.refuse("audio", "send what was said as text")?;
    // What clients echo of an answer: its thinking is the other model's own, its citations are in its text.
    message.pass_over(&["reasoning_content", "reasoning", "reasoning_details", "annotations"]);
    let at = message.at("content");
    let mut said = parts(message.take("content"), &at, Said::Text, |mut part| {
        part.pass_over(&PART_HINTS);
        let at = part.at("type");
        let text = match part.need_text("type")? {
            kind @ ("text" | "refusal") => part.need_text(kind)?,
            _ => return Err(at.uncarried_but("only text and refusals can stand here")),
        };
        part.end()?;
        Ok(Said::Text(text))
    })?;
    said.extend(message.text("refusal")?.map(Said::Text));
    for (at, call) in message.items("tool_calls")? {
        said.push(self::call(Members::of(call, at.0)?)?);
    }
    Ok(said)
}

fn call(mut call: Members<'_>) -> Result<Said<'_>, Refusal> {
    // The first is another provider's own state, the second some clients' echo of a stream.
    call.pass_over(&["extra_content", "index"]);
    let at = call.at("type");
    if call.text("type")?.is_some_and(|kind| kind != "function") {
        return Err(at.uncarried_but("only calls of type `function` can"));
    }
    let id = call.need_text("id")?;
    let mut function = call.need_object("function")?;
    call.end()?;
    let at = function.at("arguments");
    let arguments = Cow::Borrowed(function.text("arguments")?.unwrap_or_default());
    let name = function.need_text("name")?;
    function.end()?;
    Ok(Said::Call { id, name, arguments, at })
}
