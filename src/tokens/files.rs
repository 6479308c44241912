//! What pictures, documents and recordings in a request are taken for. They stand as base64, as a link or as an id in parts
//! of their own; the same letters anywhere else are text.

use crate::json::Value;

/// So many tokens a picture or a page costs, about. Source: OpenAI's and Anthropic's guides to vision.
const PICTURE_TOKENS: u64 = 1600;
/// So many bytes of base64 of a document or a recording are taken for a token: some hundred pages a MiB cost less.
const FILE_BYTES_A_TOKEN: u64 = 64;
/// The same of text in base64.
const TEXT_BYTES_A_TOKEN: u64 = 5;

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Picture,
    /// A document or a recording.
    File,
    /// A document that is text as it stands.
    Text,
}

/// The kind of part that an object is or stands in; `around` is that of what it stands in.
pub(super) fn part(object: &Value<'_>, around: Option<Kind>) -> Option<Kind> {
    let word = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    match word("type") {
        "image" | "image_url" | "input_image" => return Some(Kind::Picture),
        "document" | "file" | "input_audio" | "input_file" => return Some(Kind::File),
        "text" | "content" | "input_text" if around.is_some() => return Some(Kind::Text),
        _ => {}
    }
    match (around, word("media_type")) {
        (Some(_), media) if media.starts_with("text/") => Some(Kind::Text),
        (around, _) => around,
    }
}

/// The tokens that a string is taken for as a picture or a file; `None` where it is text.
pub(super) fn of(key: &str, part: Option<Kind>, text: &str) -> Option<u64> {
    let kind = part.filter(|kind| *kind != Kind::Text)?;
    let size = super::length(text.len());
    let of_file = |kind| match kind {
        Kind::Picture => PICTURE_TOKENS,
        Kind::File => PICTURE_TOKENS.max(size / FILE_BYTES_A_TOKEN),
        Kind::Text => size / TEXT_BYTES_A_TOKEN,
    };
    match key {
        "data" | "file_data" | "file_id" | "file_url" | "image_url" | "url" => {}
        _ => return None,
    }
    if !begins(text, "data:") {
        return Some(of_file(kind));
    }
    let media = text.get("data:".len()..).unwrap_or_default();
    Some(of_file(if begins(media, "image/") {
        Kind::Picture
    } else if begins(media, "text/") || begins(media, "application/json") {
        Kind::Text
    } else {
        Kind::File
    }))
}

/// Schemes and types of media are the same in small letters and capitals.
fn begins(text: &str, with: &str) -> bool {
    text.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with))
}
