//! The neutral form as a Chat Completions request. Apart from the reader because what an OpenAI-compatible provider
//! takes is less than what OpenAI's clients may send.

use super::super::conversation::{
    Choice, Conversation, Document, DocumentSource, Format, Outcome, Part, Said, Source, Tool, Turn,
};
use crate::{json::Value, refusal::Refusal};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// So many stop sequences an OpenAI request takes at most.
const STOP_MAX: usize = 4;
/// A user's label is no longer than this for OpenAI's `safety_identifier`, and others refuse longer ones.
const USER_BYTES_MAX: usize = 64;
/// What a schema is called where the client gave it no name; OpenAI demands one.
const SCHEMA_NAME: &str = "answer";
/// What a document is called where the client gave it no title; OpenAI demands one.
const FILE_NAME: &str = "document.pdf";

/// Writes a request.
pub(in crate::translate) fn write(conversation: Conversation<'_>) -> Result<Value<'_>, Refusal> {
    let mut body = Value::object([("model", Value::string(conversation.model)), ("messages", Value::Null)]);
    settings(&conversation, &mut body)?;
    tools(&conversation, &mut body);
    body.set("messages", Value::Array(messages(conversation.turns)?));
    Ok(body)
}

fn settings<'v>(conversation: &Conversation<'v>, body: &mut Value<'v>) -> Result<(), Refusal> {
    let numbers = [
        ("max_completion_tokens", conversation.tokens_max),
        ("temperature", conversation.temperature),
        ("top_p", conversation.top_p),
    ];
    for (key, value) in numbers {
        if let Some(value) = value {
            body.set(key, value.clone());
        }
    }
    if conversation.stop.len() > STOP_MAX {
        let why =
            format!("`stop_sequences` may hold at most {STOP_MAX} for the API of this model's provider");
        return Err(Refusal::invalid(why, Some("stop_sequences")));
    }
    if !conversation.stop.is_empty() {
        let stop = conversation.stop.iter().map(|&text| Value::string(text));
        body.set("stop", Value::Array(stop.collect()));
    }
    if let Some(user) = conversation.user {
        body.set("user", Value::string(label(user)));
    }
    // OpenAI's newer models take an effort in Chat Completions only where no tools are offered.
    if let Some(effort) = conversation.effort.filter(|_| conversation.tools.is_empty()) {
        body.set("reasoning_effort", Value::string(effort.as_str()));
    }
    match &conversation.format {
        None => {}
        Some(Format::Object { .. }) => {
            body.set("response_format", Value::object([("type", Value::string("json_object"))]));
        }
        Some(Format::Schema { name, description, schema, strict }) => {
            let mut inner = Value::object([("name", Value::string(name.unwrap_or(SCHEMA_NAME)))]);
            if let Some(description) = *description {
                inner.set("description", Value::string(description));
            }
            inner.set("schema", (*schema).clone());
            if *strict {
                inner.set("strict", Value::Bool(true));
            }
            let kind = ("type", Value::string("json_schema"));
            body.set("response_format", Value::object([kind, ("json_schema", inner)]));
        }
    }
    if conversation.stream {
        body.set("stream", Value::Bool(true));
        body.set("stream_options", Value::object([("include_usage", Value::Bool(true))]));
    }
    Ok(())
}

/// What tells the provider one user from another: the client's own label, or its SHA-256 where that is longer than a
/// provider takes. Claude Code's is a JSON text of 150 characters.
fn label(user: &str) -> Cow<'_, str> {
    if user.len() <= USER_BYTES_MAX {
        return Cow::Borrowed(user);
    }
    Cow::Owned(Sha256::digest(user).iter().map(|byte| format!("{byte:02x}")).collect())
}

fn tools<'v>(conversation: &Conversation<'v>, body: &mut Value<'v>) {
    if conversation.tools.is_empty() {
        return;
    }
    body.set("tools", Value::Array(conversation.tools.iter().map(tool).collect()));
    if let Some(choice) = conversation.choice {
        let choice = match choice {
            Choice::Any => Value::string("required"),
            Choice::Auto => Value::string("auto"),
            Choice::None => Value::string("none"),
            Choice::One(name) => {
                let function = Value::object([("name", Value::string(name))]);
                Value::object([("type", Value::string("function")), ("function", function)])
            }
        };
        body.set("tool_choice", choice);
    }
    if conversation.one_call {
        body.set("parallel_tool_calls", Value::Bool(false));
    }
}

fn tool<'v>(tool: &Tool<'v>) -> Value<'v> {
    let mut function = Value::object([("name", Value::string(tool.name))]);
    if let Some(description) = tool.description {
        function.set("description", Value::string(description));
    }
    if let Some(parameters) = tool.parameters {
        function.set("parameters", parameters.clone());
    }
    if tool.strict {
        function.set("strict", Value::Bool(true));
    }
    Value::object([("type", Value::string("function")), ("function", function)])
}

/// The messages. Files that tools answered with follow their results in a message of the user, because a tool's
/// message holds text alone.
fn messages(turns: Vec<Turn<'_>>) -> Result<Vec<Value<'_>>, Refusal> {
    let mut messages = Vec::with_capacity(turns.len());
    let mut files = Vec::new();
    for turn in turns {
        if !matches!(turn, Turn::Result(_) | Turn::User(_)) {
            flush(&mut files, &mut messages);
        }
        match turn {
            // An assistant that only thought has said nothing here.
            Turn::Assistant(said) if said.is_empty() => {}
            Turn::Assistant(said) => messages.push(assistant(said)),
            Turn::Result(outcome) => messages.push(result(outcome, &mut files)?),
            Turn::System(texts) => {
                let text = Value::string(texts.join("\n\n"));
                messages.push(Value::object([("role", Value::string("system")), ("content", text)]));
            }
            Turn::User(parts) => {
                for part in parts {
                    self::part(part, &mut files)?;
                }
                flush(&mut files, &mut messages);
            }
        }
    }
    flush(&mut files, &mut messages);
    Ok(messages)
}

/// Sends the parts that wait as a message of the user.
fn flush<'v>(parts: &mut Vec<Value<'v>>, messages: &mut Vec<Value<'v>>) {
    let content = match (parts.pop(), parts.is_empty()) {
        (None, _) => return,
        (Some(mut only), true) => match (only.remove("text"), only) {
            (Some(text), _) => text,
            (None, only) => Value::Array(vec![only]),
        },
        (Some(last), false) => {
            parts.push(last);
            Value::Array(std::mem::take(parts))
        }
    };
    messages.push(Value::object([("role", Value::string("user")), ("content", content)]));
}

fn part<'v>(part: Part<'v>, parts: &mut Vec<Value<'v>>) -> Result<(), Refusal> {
    match part {
        Part::Text(text) => parts.push(text_part(text)),
        Part::Image(source) => {
            let url = match source {
                Source::Base64 { media_type, data } => Value::string(data_url(media_type, data)),
                Source::Url(url) => Value::string(url),
            };
            let image = Value::object([("url", url)]);
            parts.push(Value::object([("type", Value::string("image_url")), ("image_url", image)]));
        }
        Part::Document(document) => self::document(&document, parts)?,
    }
    Ok(())
}

fn document<'v>(document: &Document<'v>, parts: &mut Vec<Value<'v>>) -> Result<(), Refusal> {
    parts.extend(document.context.map(text_part));
    match document.source {
        DocumentSource::Text(text) => {
            parts.extend(document.title.map(text_part));
            parts.push(text_part(text));
        }
        DocumentSource::Pdf(Source::Base64 { media_type, data }) => {
            let file = Value::object([
                ("filename", Value::string(document.title.unwrap_or(FILE_NAME))),
                ("file_data", Value::string(data_url(media_type, data))),
            ]);
            parts.push(Value::object([("type", Value::string("file")), ("file", file)]));
        }
        DocumentSource::Pdf(Source::Url(_)) => {
            return Err(document.at.uncarried_but("send the document itself, in Base64"));
        }
    }
    Ok(())
}

fn data_url(media_type: &str, data: &str) -> String {
    format!("data:{media_type};base64,{data}")
}

fn text_part(text: &str) -> Value<'_> {
    Value::object([("type", Value::string("text")), ("text", Value::string(text))])
}

/// A tool's message. Its files wait for the next message of the user.
fn result<'v>(outcome: Outcome<'v>, files: &mut Vec<Value<'v>>) -> Result<Value<'v>, Refusal> {
    let mut texts = Vec::new();
    let before = files.len();
    for part in outcome.content {
        match part {
            Part::Text(text) => texts.push(text),
            Part::Image(_) | Part::Document(_) => {
                if files.len() == before {
                    let text = format!("What the call {} returned:", outcome.call);
                    files.push(Value::object([
                        ("type", Value::string("text")),
                        ("text", Value::string(text)),
                    ]));
                }
                self::part(part, files)?;
            }
        }
    }
    let error = if outcome.error { "Error: " } else { "" };
    let text = if files.len() > before && texts.is_empty() {
        format!("{error}see the next message")
    } else {
        format!("{error}{}", texts.join("\n"))
    };
    Ok(Value::object([
        ("role", Value::string("tool")),
        ("tool_call_id", Value::string(outcome.call)),
        ("content", Value::string(text)),
    ]))
}

fn assistant(said: Vec<Said<'_>>) -> Value<'_> {
    let mut content = String::new();
    let mut calls = Vec::new();
    for said in said {
        match said {
            Said::Text(text) => content.push_str(text),
            Said::Call { id, name, arguments, at: _ } => {
                let text = if arguments.is_empty() { "{}".into() } else { arguments };
                let function =
                    Value::object([("name", Value::string(name)), ("arguments", Value::String(text))]);
                calls.push(Value::object([
                    ("id", Value::string(id)),
                    ("type", Value::string("function")),
                    ("function", function),
                ]));
            }
        }
    }
    let content = if content.is_empty() && !calls.is_empty() { Value::Null } else { Value::string(content) };
    let mut message = Value::object([("role", Value::string("assistant")), ("content", content)]);
    if !calls.is_empty() {
        message.set("tool_calls", Value::Array(calls));
    }
    message
}
