//! A model's thinking of earlier turns, which its provider signed: it has to come back as the model wrote it, and the
//! client has it with values in it.
//!
//! Restoring put the values of a request in the place of their placeholders; here the same values are turned back. What
//! comes of it is what the model wrote, unless it wrote a value out by itself, or the client left out where a value
//! came from. Then redaction finds a value that the rest of the request does not hold. Whether the model made it up
//! cannot be told, so it is not sent; and a block that is not as it was signed would be refused: it is left out.

use super::{known::Known, says, unmaskable};
use crate::{
    json::Value,
    redact::{Masks, Redactor},
    refusal::Refusal,
};
use std::borrow::Cow;

/// The thinking of a request, taken out of it.
pub(super) struct SetAside<'v> {
    /// The message, the block in it, and the text.
    texts: Vec<(usize, usize, Cow<'v, str>)>,
}

/// Takes the signed thinking out of a body of Anthropic's.
pub(super) fn take<'v>(body: &mut Value<'v>) -> SetAside<'v> {
    let mut texts = Vec::new();
    let messages = body.get_mut("messages").and_then(Value::items_mut).into_iter().flatten();
    for (at, message) in messages.enumerate() {
        let blocks = message.get_mut("content").and_then(Value::items_mut).into_iter().flatten();
        for (number, block) in blocks.enumerate() {
            if block.get("type").and_then(Value::as_str) == Some("thinking")
                && says(block, "signature")
                && let Some(Value::String(text)) = block.get_mut("thinking")
            {
                texts.push((at, number, std::mem::take(text)));
            }
        }
    }
    SetAside { texts }
}

impl<'v> SetAside<'v> {
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|(_, _, text)| &**text)
    }

    /// Puts it back as it was signed, the last block first, and leaves out what is not. Whether anything changed.
    pub(super) fn put_back(
        self,
        body: &mut Value<'v>,
        redactor: &Redactor,
        known: Option<&Known>,
        masks: &mut Masks,
    ) -> Result<bool, Refusal> {
        let mut changed = false;
        for (at, number, text) in self.texts.into_iter().rev() {
            let turned_back = known.and_then(|known| known.put(&text));
            changed |= turned_back.is_some();
            let text = turned_back.map_or(text, Cow::Owned);
            let mut more = Masks::default();
            let masked = redactor.mask(&text, "thinking", &mut more).map_err(unmaskable)?;
            let is_as_signed = more.iter().all(|(placeholder, _)| masks.value(placeholder).is_some());
            changed |= masked.is_some();
            let Some(Value::Array(blocks)) = message_content(body, at) else { continue };
            if is_as_signed || blocks.len() == 1 {
                let text = masked.map_or(text, Cow::Owned);
                masks.add(more);
                if let Some(place) = blocks.get_mut(number).and_then(|block| block.get_mut("thinking")) {
                    *place = Value::String(text);
                }
            } else if number < blocks.len() {
                blocks.remove(number);
            }
        }
        Ok(changed)
    }
}

fn message_content<'b, 'v>(body: &'b mut Value<'v>, at: usize) -> Option<&'b mut Value<'v>> {
    body.get_mut("messages")?.items_mut()?.get_mut(at)?.get_mut("content")
}
