//! The neutral form as a Messages request. Apart from the reader because Anthropic demands what its clients take
//! for granted: turns that alternate, results first, no blank text, a bound on tokens.

use super::super::conversation::{
    At, Choice, Conversation, Document, DocumentSource, Effort, Format, Outcome, Part, Said, Source, Tool,
    Turn,
};
use crate::{
    json::{self, Value},
    refusal::Refusal,
};

/// Anthropic demands a bound; this one is sent where the client gave none, in tokens.
pub(in crate::translate) const TOKENS_MAX_DEFAULT: u64 = 8_192;

/// Writes a request.
pub(in crate::translate) fn write(conversation: Conversation<'_>) -> Result<Value<'_>, Refusal> {
    let mut body = Value::object([("model", Value::string(conversation.model))]);
    let tokens = conversation.tokens_max.cloned().unwrap_or_else(|| Value::integer(TOKENS_MAX_DEFAULT));
    body.set("max_tokens", tokens);
    settings(&conversation, &mut body)?;
    tools(&conversation, &mut body);
    let mut system = Vec::new();
    let messages = messages(conversation.turns, &mut system)?;
    if !system.is_empty() {
        body.set("system", Value::Array(system));
    }
    body.set("messages", Value::Array(messages));
    Ok(body)
}

fn settings<'v>(conversation: &Conversation<'v>, body: &mut Value<'v>) -> Result<(), Refusal> {
    if let Some(temperature) = conversation.temperature {
        if temperature.as_f64().is_none_or(|degree| degree > 1.0) {
            let why = "may be at most 1 for the API of this model's provider";
            return Err(At("temperature".into()).refuse(why));
        }
        body.set("temperature", temperature.clone());
    }
    if let Some(top_p) = conversation.top_p {
        body.set("top_p", top_p.clone());
    }
    if conversation.stop.iter().any(|text| is_blank(text)) {
        let advice = "it takes no stop sequence without a visible character";
        return Err(At("stop".into()).uncarried_but(advice));
    }
    if !conversation.stop.is_empty() {
        let stop = conversation.stop.iter().map(|&text| Value::string(text));
        body.set("stop_sequences", Value::Array(stop.collect()));
    }
    if let Some(user) = conversation.user {
        body.set("metadata", Value::object([("user_id", Value::string(user))]));
    }
    let mut config = Value::Object(Vec::new());
    match conversation.effort {
        None => {}
        Some(Effort::None) => {
            body.set("thinking", Value::object([("type", Value::string("disabled"))]));
        }
        Some(effort) => {
            // `minimal` has no counterpart; the least there is comes nearest.
            config.set("effort", Value::string(effort.max(Effort::Low).as_str()));
        }
    }
    if let Some(format) = &conversation.format {
        config.set("format", self::format(format)?);
    }
    if config.members().is_some_and(|members| !members.is_empty()) {
        body.set("output_config", config);
    }
    if conversation.stream {
        body.set("stream", Value::Bool(true));
    }
    Ok(())
}

/// A schema's name is a label and is not sent, and it is always strict; its description goes where a schema has its own.
fn format<'v>(format: &Format<'v>) -> Result<Value<'v>, Refusal> {
    match format {
        Format::Object { at } => Err(at.uncarried_but("use `json_schema` instead")),
        Format::Schema { name: _, description, schema, strict: _ } => {
            let mut schema = (*schema).clone();
            if let Some(description) = *description
                && schema.get("description").is_none()
            {
                schema.set("description", Value::string(description));
            }
            Ok(Value::object([("type", Value::string("json_schema")), ("schema", schema)]))
        }
    }
}

fn tools<'v>(conversation: &Conversation<'v>, body: &mut Value<'v>) {
    if conversation.tools.is_empty() {
        return;
    }
    body.set("tools", Value::Array(conversation.tools.iter().map(tool).collect()));
    let choice = match (conversation.choice, conversation.one_call) {
        (None, false) => return,
        (None, true) => Choice::Auto,
        (Some(choice), _) => choice,
    };
    let mut written = Value::object([("type", Value::Null)]);
    let kind = match choice {
        Choice::Any => "any",
        Choice::Auto => "auto",
        Choice::None => "none",
        Choice::One(name) => {
            written.set("name", Value::string(name));
            "tool"
        }
    };
    written.set("type", Value::string(kind));
    if conversation.one_call && choice != Choice::None {
        written.set("disable_parallel_tool_use", Value::Bool(true));
    }
    body.set("tool_choice", written);
}

fn tool<'v>(tool: &Tool<'v>) -> Value<'v> {
    let mut written = Value::object([("name", Value::string(tool.name))]);
    if let Some(description) = tool.description {
        written.set("description", Value::string(description));
    }
    let mut schema = tool.parameters.cloned().unwrap_or_else(|| Value::Object(Vec::new()));
    if schema.get("type").is_none() {
        // Anthropic demands what OpenAI takes for granted: parameters are an object.
        schema.set("type", Value::string("object"));
    }
    written.set("input_schema", schema);
    if tool.strict {
        written.set("strict", Value::Bool(true));
    }
    written
}

/// The messages, and the texts of the system wherever they stood. Results and the turn of the user behind them are
/// one message, results first.
fn messages<'v>(turns: Vec<Turn<'v>>, system: &mut Vec<Value<'v>>) -> Result<Vec<Value<'v>>, Refusal> {
    let mut messages = Vec::with_capacity(turns.len());
    let mut results = Vec::new();
    for turn in turns {
        match turn {
            Turn::System(texts) => system.extend(texts.into_iter().filter_map(text)),
            Turn::Result(outcome) => results.push(result(outcome)),
            Turn::User(parts) => {
                results.extend(parts.into_iter().filter_map(part));
                push("user", &mut results, &mut messages);
            }
            Turn::Assistant(said) => {
                push("user", &mut results, &mut messages);
                let mut content = Vec::new();
                for said in said {
                    content.extend(self::said(said)?);
                }
                push("assistant", &mut content, &mut messages);
            }
        }
    }
    push("user", &mut results, &mut messages);
    Ok(messages)
}

/// Sends the blocks that wait as one message. A turn that says nothing is none.
fn push<'v>(role: &'static str, content: &mut Vec<Value<'v>>, messages: &mut Vec<Value<'v>>) {
    if !content.is_empty() {
        let content = Value::Array(std::mem::take(content));
        messages.push(Value::object([("role", Value::string(role)), ("content", content)]));
    }
}

/// Anthropic refuses text blocks without a visible character.
fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn text(text: &str) -> Option<Value<'_>> {
    let block = || Value::object([("type", Value::string("text")), ("text", Value::string(text))]);
    (!is_blank(text)).then(block)
}

fn part(part: Part<'_>) -> Option<Value<'_>> {
    match part {
        Part::Text(text) => self::text(text),
        Part::Image(source) => {
            Some(Value::object([("type", Value::string("image")), ("source", self::source(source))]))
        }
        Part::Document(document) => Some(self::document(&document)),
    }
}

fn source(source: Source<'_>) -> Value<'_> {
    match source {
        Source::Base64 { media_type, data } => Value::object([
            ("type", Value::string("base64")),
            ("media_type", Value::string(media_type)),
            ("data", Value::string(data)),
        ]),
        Source::Url(url) => Value::object([("type", Value::string("url")), ("url", Value::string(url))]),
    }
}

fn document<'v>(document: &Document<'v>) -> Value<'v> {
    let source = match document.source {
        DocumentSource::Pdf(source) => self::source(source),
        DocumentSource::Text(text) => Value::object([
            ("type", Value::string("text")),
            ("media_type", Value::string("text/plain")),
            ("data", Value::string(text)),
        ]),
    };
    let mut written = Value::object([("type", Value::string("document")), ("source", source)]);
    for (key, value) in [("title", document.title), ("context", document.context)] {
        if let Some(value) = value {
            written.set(key, Value::string(value));
        }
    }
    written
}

fn result(outcome: Outcome<'_>) -> Value<'_> {
    let mut written =
        Value::object([("type", Value::string("tool_result")), ("tool_use_id", Value::string(outcome.call))]);
    let content: Vec<_> = outcome.content.into_iter().filter_map(part).collect();
    if !content.is_empty() {
        written.set("content", Value::Array(content));
    }
    if outcome.error {
        written.set("is_error", Value::Bool(true));
    }
    written
}

fn said(said: Said<'_>) -> Result<Option<Value<'_>>, Refusal> {
    match said {
        Said::Text(text) => Ok(self::text(text)),
        Said::Call { id, name, arguments, at } => {
            let text = if is_blank(&arguments) { "{}" } else { &*arguments };
            let input = json::parse(text.as_bytes(), json::NESTING_MAX).ok();
            let input = input.filter(|input| input.members().is_some());
            let input = input.ok_or_else(|| at.refuse("must be the text of a JSON object"))?;
            Ok(Some(Value::object([
                ("type", Value::string("tool_use")),
                ("id", Value::string(id)),
                ("name", Value::string(name)),
                ("input", input.into_owned()),
            ])))
        }
    }
}
