//! The input items of a Responses request. Apart from `request_reader` because they are a language of their own.

use super::super::{
    conversation::{At, Document, DocumentSource, Outcome, Part, Said, Source, Turn},
    members::{Members, parts},
};
use crate::refusal::Refusal;
use std::borrow::Cow;

/// Members of an item or a part that say nothing to another provider: where OpenAI keeps it, how far it was when it
/// was said, and a hint for OpenAI's cache.
const HINTS: [&str; 4] = ["id", "status", "phase", "prompt_cache_breakpoint"];

/// Adds what an item says. What an assistant said in several items in a row is one turn.
pub(super) fn add<'v>(mut item: Members<'v>, turns: &mut Vec<Turn<'v>>) -> Result<(), Refusal> {
    let at = item.at("type");
    match item.text("type")? {
        None | Some("message") => message(item, turns),
        Some("function_call") => {
            let call = call(item)?;
            say(vec![call], turns);
            Ok(())
        }
        Some("function_call_output") => {
            turns.push(Turn::Result(output(item)?));
            Ok(())
        }
        // The other model's own, sealed for its provider.
        Some("reasoning") => Ok(()),
        Some("item_reference") => Err(at.uncarried_but("send the item itself")),
        Some(_) => Err(at.uncarried()),
    }
}

fn say<'v>(said: Vec<Said<'v>>, turns: &mut Vec<Turn<'v>>) {
    match turns.last_mut() {
        Some(Turn::Assistant(earlier)) => earlier.extend(said),
        Some(Turn::Result(_) | Turn::System(_) | Turn::User(_)) | None => turns.push(Turn::Assistant(said)),
    }
}

fn message<'v>(mut item: Members<'v>, turns: &mut Vec<Turn<'v>>) -> Result<(), Refusal> {
    item.pass_over(&HINTS);
    let role = item.need_text("role")?;
    let at = item.at("content");
    let content = Some(item.need("content")?);
    match role {
        "system" | "developer" => turns.push(Turn::System(parts(content, &at, |text| text, text_part)?)),
        "user" => turns.push(Turn::User(parts(content, &at, Part::Text, input_part)?)),
        "assistant" => {
            let said = parts(content, &at, Said::Text, |part| text_part(part).map(Said::Text))?;
            say(said, turns);
        }
        _ => return Err(item.at("role").refuse("is no role that is known")),
    }
    item.end()
}

/// A part where only text may stand.
fn text_part(mut part: Members<'_>) -> Result<&str, Refusal> {
    part.pass_over(&HINTS);
    part.pass_over(&["annotations", "logprobs"]);
    let at = part.at("type");
    let text = match part.need_text("type")? {
        "input_text" | "output_text" | "text" => part.need_text("text")?,
        "refusal" => part.need_text("refusal")?,
        _ => return Err(at.uncarried_but("only text can stand here")),
    };
    part.end()?;
    Ok(text)
}

fn input_part(mut part: Members<'_>) -> Result<Part<'_>, Refusal> {
    part.pass_over(&HINTS);
    let at = part.at("type");
    let found = match part.need_text("type")? {
        "input_text" | "text" => Part::Text(part.need_text("text")?),
        "input_image" => {
            part.refuse("file_id", "send the image itself as `image_url`")?;
            // How closely to look is a hint; the other APIs decide by the image's size.
            part.pass_over(&["detail"]);
            let at = part.at("image_url");
            Part::Image(Source::url(part.need_text("image_url")?, &at)?)
        }
        "input_file" => Part::Document(file(&mut part)?),
        _ => return Err(at.uncarried()),
    };
    part.end()?;
    Ok(found)
}

fn file<'v>(part: &mut Members<'v>) -> Result<Document<'v>, Refusal> {
    part.refuse("file_id", "send the file itself as `file_data`")?;
    part.pass_over(&["detail"]);
    let title = part.text("filename")?;
    let at = part.at("file_url");
    let (source, at) = match part.text("file_url")? {
        Some(url) => (Source::Url(url), at),
        None => {
            let at = part.at("file_data");
            (Source::pdf(part.need_text("file_data")?, &at)?, at)
        }
    };
    Ok(Document { title, context: None, source: DocumentSource::Pdf(source), at })
}

fn call(mut item: Members<'_>) -> Result<Said<'_>, Refusal> {
    item.pass_over(&HINTS);
    direct(&mut item)?;
    let at: At = item.at("arguments");
    let arguments = Cow::Borrowed(item.text("arguments")?.unwrap_or_default());
    let call = Said::Call { id: item.need_text("call_id")?, name: item.need_text("name")?, arguments, at };
    item.end()?;
    Ok(call)
}

fn output(mut item: Members<'_>) -> Result<Outcome<'_>, Refusal> {
    item.pass_over(&HINTS);
    // The name says nothing that the call does not.
    item.pass_over(&["name"]);
    direct(&mut item)?;
    let at = item.at("output");
    let content = parts(Some(item.need("output")?), &at, Part::Text, input_part)?;
    let outcome = Outcome { call: item.need_text("call_id")?, content, error: false };
    item.end()?;
    Ok(outcome)
}

/// Refuses calls that a program made.
fn direct(item: &mut Members<'_>) -> Result<(), Refusal> {
    item.only("caller", &[r#"{"type":"direct"}"#])?;
    item.only("async", &["false"])
}
