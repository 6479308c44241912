//! The content blocks of a Messages request. Apart from `request_reader` because they are a language of their own.

use super::super::{
    conversation::{At, Document, DocumentSource, Outcome, Part, Said, Source, Turn},
    members::{Members, parts},
};
use crate::{json::Value, refusal::Refusal};
use std::borrow::Cow;

/// Members of a block that say nothing to another provider, which caches by itself.
const HINTS: [&str; 1] = ["cache_control"];

/// A block where only text may stand.
pub(super) fn text(mut block: Members<'_>) -> Result<&str, Refusal> {
    let at = block.at("type");
    if block.need_text("type")? != "text" {
        return Err(at.uncarried_but("only text can stand here"));
    }
    text_of(block)
}

/// The rest of a text block. What it cites is in its text.
fn text_of(mut block: Members<'_>) -> Result<&str, Refusal> {
    block.pass_over(&HINTS);
    block.pass_over(&["citations"]);
    let text = block.need_text("text")?;
    block.end()?;
    Ok(text)
}

/// What an assistant said, without its thinking.
pub(super) fn said<'v>(content: Option<&'v Value<'v>>, at: &At) -> Result<Vec<Said<'v>>, Refusal> {
    let said = parts(
        content,
        at,
        |text| Some(Said::Text(text)),
        |mut block| {
            let at = block.at("type");
            match block.need_text("type")? {
                "text" => Ok(Some(Said::Text(text_of(block)?))),
                "tool_use" => call(block).map(Some),
                // The other model's own, sealed for its provider.
                "thinking" | "redacted_thinking" => Ok(None),
                _ => Err(at.uncarried()),
            }
        },
    )?;
    Ok(said.into_iter().flatten().collect())
}

fn call(mut block: Members<'_>) -> Result<Said<'_>, Refusal> {
    block.pass_over(&HINTS);
    block.only("caller", &[r#"{"type":"direct"}"#])?;
    let at = block.at("input");
    let input = block.need("input")?;
    let arguments = Cow::Owned(input.to_string());
    let call = Said::Call { id: block.need_text("id")?, name: block.need_text("name")?, arguments, at };
    block.end()?;
    Ok(call)
}

enum Block<'v> {
    Part(Vec<Part<'v>>),
    Result(Outcome<'v>),
}

/// What a user said. Results stand first, as both APIs demand it.
pub(super) fn user<'v>(
    content: Option<&'v Value<'v>>,
    at: &At,
    turns: &mut Vec<Turn<'v>>,
) -> Result<(), Refusal> {
    let blocks = parts(
        content,
        at,
        |text| Block::Part(vec![Part::Text(text)]),
        |mut block| {
            let kind = block.need_text("type")?;
            if kind == "tool_result" {
                return result(block).map(Block::Result);
            }
            part(kind, block).map(Block::Part)
        },
    )?;
    let mut said = Vec::new();
    for block in blocks {
        match block {
            Block::Part(parts) => said.extend(parts),
            Block::Result(outcome) => turns.push(Turn::Result(outcome)),
        }
    }
    if !said.is_empty() {
        turns.push(Turn::User(said));
    }
    Ok(())
}

fn result(mut block: Members<'_>) -> Result<Outcome<'_>, Refusal> {
    block.pass_over(&HINTS);
    let at = block.at("content");
    let content = parts(
        block.take("content"),
        &at,
        |text| vec![Part::Text(text)],
        |mut block| {
            let kind = block.need_text("type")?;
            part(kind, block)
        },
    )?;
    let error = block.truth("is_error")?.unwrap_or(false);
    let call = block.need_text("tool_use_id")?;
    block.end()?;
    Ok(Outcome { call, content: content.into_iter().flatten().collect(), error })
}

/// A block of what was said, as one part or, for a document made of blocks, as several.
fn part<'v>(kind: &str, mut block: Members<'v>) -> Result<Vec<Part<'v>>, Refusal> {
    match kind {
        "text" => Ok(vec![Part::Text(text_of(block)?)]),
        "image" => {
            block.pass_over(&HINTS);
            let mut from = block.need_object("source")?;
            block.end()?;
            let kind = from.need_text("type")?;
            Ok(vec![Part::Image(source(kind, from)?)])
        }
        "document" => document(block),
        _ => Err(block.at("type").uncarried()),
    }
}

fn source<'v>(kind: &str, mut source: Members<'v>) -> Result<Source<'v>, Refusal> {
    let at = source.at("type");
    let found = match kind {
        "base64" => {
            Source::Base64 { media_type: source.need_text("media_type")?, data: source.need_text("data")? }
        }
        "url" => Source::Url(source.need_text("url")?),
        "file" => return Err(at.uncarried_but("send it in Base64")),
        _ => return Err(at.uncarried()),
    };
    source.end()?;
    Ok(found)
}

fn document(mut block: Members<'_>) -> Result<Vec<Part<'_>>, Refusal> {
    block.pass_over(&HINTS);
    if let Some(mut citations) = block.object("citations")? {
        citations.only("enabled", &["false"])?;
        citations.end()?;
    }
    let (title, context) = (block.text("title")?, block.text("context")?);
    let at = block.at("source");
    let mut from = block.need_object("source")?;
    let content = match from.need_text("type")? {
        "text" => {
            from.only("media_type", &["\"text/plain\""])?;
            let text = from.need_text("data")?;
            from.end()?;
            DocumentSource::Text(text)
        }
        "content" => {
            block.end()?;
            let about = [context, title].into_iter().flatten().map(Part::Text);
            return Ok(about.chain(blocks_of(from)?).collect());
        }
        kind => {
            let media_type = from.at("media_type");
            let source = source(kind, from)?;
            if matches!(source, Source::Base64 { media_type, .. } if media_type != "application/pdf") {
                return Err(media_type.refuse("must be `application/pdf`"));
            }
            DocumentSource::Pdf(source)
        }
    };
    block.end()?;
    Ok(vec![Part::Document(Document { title, context, source: content, at })])
}

/// The content of a document that is made of blocks.
fn blocks_of(mut source: Members<'_>) -> Result<Vec<Part<'_>>, Refusal> {
    let at = source.at("content");
    let content = parts(
        source.take("content"),
        &at,
        |text| vec![Part::Text(text)],
        |mut block| {
            let at = block.at("type");
            match block.need_text("type")? {
                "document" => Err(at.refuse("cannot stand within a document")),
                kind => part(kind, block),
            }
        },
    )?;
    source.end()?;
    Ok(content.into_iter().flatten().collect())
}
