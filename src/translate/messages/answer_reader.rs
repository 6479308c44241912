//! A Messages answer into pieces, whole or event by event. Apart from the writer because it has to doubt what it
//! reads: blocks that no request could ask for, or that come out of order, end the answer.

use super::super::{
    piece::{Piece, Stop, Tokens, count, start},
    refusals,
};
use crate::{
    dialect::{CALLS_MAX, HoldLimits},
    json::{self, Value},
    refusal::Refusal,
    sse,
};
use std::borrow::Cow;

/// Reads one answer.
#[derive(Debug)]
pub(in crate::translate) struct Reader {
    limits: HoldLimits,
    started: bool,
    open: Option<Open>,
    calls: usize,
    stop: Option<Stop>,
    tokens: Option<Tokens>,
    /// Whether they are told with the reason to stop.
    is_counted: bool,
    done: bool,
}

/// The block that is being said. Blocks do not overlap.
#[derive(Debug)]
struct Open {
    index: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Call {
        /// Input that came with the block's start, as text; empty for none.
        input: String,
        /// Whether argument text has come.
        fed: bool,
    },
    /// Thinking that only its provider can read.
    Sealed,
    Text,
    Thinking,
}

type Put<'p> = &'p mut dyn FnMut(Piece<'_>);

impl Reader {
    /// Reads an answer of which no more than this is held.
    pub(in crate::translate) fn new(limits: HoldLimits) -> Self {
        Self {
            limits,
            started: false,
            open: None,
            calls: 0,
            stop: None,
            tokens: None,
            is_counted: false,
            done: false,
        }
    }

    /// How much is held of what came.
    #[cfg(test)]
    pub(in crate::translate) fn bytes_held(&self) -> usize {
        match self.open.as_ref().map(|open| &open.kind) {
            Some(Kind::Call { input, .. }) => input.len(),
            Some(Kind::Sealed | Kind::Text | Kind::Thinking) | None => 0,
        }
    }

    /// Whether the answer came to its end.
    pub(in crate::translate) fn is_done(&self) -> bool {
        self.done
    }

    /// What the provider says was used, so far.
    pub(in crate::translate) fn tokens(&self) -> Option<Tokens> {
        self.tokens
    }

    /// Whether that is all that was used.
    pub(in crate::translate) fn is_counted(&self) -> bool {
        self.is_counted
    }

    /// Reads one event.
    pub(in crate::translate) fn event(
        &mut self,
        event: &sse::Event<'_>,
        put: Put<'_>,
    ) -> Result<(), Refusal> {
        let Some(data) = &event.data else { return Ok(()) };
        let data =
            json::parse(data.as_bytes(), self.limits.nesting).map_err(|_| refusals::unreadable_stream())?;
        let kind = data.get("type").and_then(Value::as_str);
        if event.name == Some("error") || kind == Some("error") || data.present("error").is_some() {
            return Err(refusals::upstream_error());
        }
        let read = match kind {
            Some("message_start") => self.message_start(&data, put),
            Some("content_block_start") => self.block_start(&data, put),
            Some("content_block_delta") => self.block_delta(&data, put),
            Some("content_block_stop") => self.block_stop(&data, put),
            Some("message_delta") => self.message_delta(&data),
            Some("message_stop") => return self.finish(put),
            // `ping`, and whatever is new: it must not be able to say anything.
            Some(_) | None => {
                let says = ["message", "content_block", "delta", "content"];
                (!says.iter().any(|key| data.present(key).is_some())).then_some(())
            }
        };
        read.ok_or_else(refusals::unreadable_stream)
    }

    /// Reads a whole answer.
    pub(in crate::translate) fn whole(&mut self, body: &Value<'_>, put: Put<'_>) -> Result<(), Refusal> {
        let kind = body.get("type").and_then(Value::as_str);
        if kind == Some("error") || body.present("error").is_some() {
            return Err(refusals::upstream_error());
        }
        self.message(body, put).ok_or_else(refusals::unreadable_answer)?;
        self.finish(put)
    }

    fn message(&mut self, body: &Value<'_>, put: Put<'_>) -> Option<()> {
        self.start(body, put)?;
        self.add_tokens(body.get("usage"));
        for (index, block) in (0..).zip(body.get("content")?.items()?) {
            self.open(index, block, put)?;
            self.close(put)?;
        }
        self.stopped(body);
        Some(())
    }

    /// The end. An answer that did not say why it stopped, or stopped within a block, has none.
    fn finish(&mut self, put: Put<'_>) -> Result<(), Refusal> {
        let stop = self.stop.take().filter(|_| self.open.is_none()).ok_or_else(refusals::broken_off)?;
        put(Piece::End { stop: stop.after(self.calls > 0), tokens: self.tokens });
        self.done = true;
        Ok(())
    }

    fn start(&mut self, message: &Value<'_>, put: Put<'_>) -> Option<()> {
        put(start(message)?);
        self.started = true;
        Some(())
    }

    fn message_start(&mut self, data: &Value<'_>, put: Put<'_>) -> Option<()> {
        let message = data.get("message")?;
        let says = message.get("content").and_then(Value::items).is_some_and(|content| !content.is_empty());
        if self.started || says {
            return None;
        }
        self.add_tokens(message.get("usage"));
        self.start(message, put)
    }

    fn block_start(&mut self, data: &Value<'_>, put: Put<'_>) -> Option<()> {
        if !self.started || self.open.is_some() || self.stop.is_some() {
            return None;
        }
        self.open(data.get("index")?.as_u64()?, data.get("content_block")?, put)
    }

    /// A block begins, with what it says already.
    fn open(&mut self, index: u64, block: &Value<'_>, put: Put<'_>) -> Option<()> {
        let kind = match block.get("type")?.as_str()? {
            "text" => {
                put_text(block.get("text"), Piece::Text, put)?;
                Kind::Text
            }
            "thinking" => {
                put_text(block.get("thinking"), Piece::Thinking, put)?;
                Kind::Thinking
            }
            "redacted_thinking" => Kind::Sealed,
            "tool_use" => {
                self.calls += 1;
                let by_model = block
                    .present("caller")
                    .is_none_or(|caller| caller.get("type").and_then(Value::as_str) == Some("direct"));
                if !by_model || self.calls > CALLS_MAX {
                    return None;
                }
                let text = |key| block.get(key).and_then(Value::as_str).map(Cow::Borrowed);
                put(Piece::Call { id: text("id")?, name: text("name")? });
                let input = block.present("input").filter(|input| **input != Value::Object(Vec::new()));
                Kind::Call { input: input.map(Value::to_string).unwrap_or_default(), fed: false }
            }
            _ => return None,
        };
        self.open = Some(Open { index, kind });
        Some(())
    }

    fn block_delta(&mut self, data: &Value<'_>, put: Put<'_>) -> Option<()> {
        let index = data.get("index")?.as_u64()?;
        let open = self.open.as_mut().filter(|open| open.index == index)?;
        let delta = data.get("delta")?;
        match (delta.get("type")?.as_str()?, &mut open.kind) {
            ("text_delta", Kind::Text) => put_text(delta.get("text"), Piece::Text, put),
            ("thinking_delta", Kind::Thinking) => put_text(delta.get("thinking"), Piece::Thinking, put),
            ("input_json_delta", Kind::Call { fed, .. }) => {
                *fed |= !delta.get("partial_json")?.as_str()?.is_empty();
                put_text(delta.get("partial_json"), Piece::Arguments, put)
            }
            ("signature_delta" | "citations_delta", _) => Some(()),
            // Something new: it must not be able to say anything.
            (_, Kind::Call { .. } | Kind::Sealed | Kind::Text | Kind::Thinking) => {
                let says = ["text", "thinking", "partial_json", "input", "content", "name"];
                (!says.iter().any(|key| delta.present(key).is_some())).then_some(())
            }
        }
    }

    fn block_stop(&mut self, data: &Value<'_>, put: Put<'_>) -> Option<()> {
        let index = data.get("index")?.as_u64()?;
        self.open.as_ref().filter(|open| open.index == index)?;
        self.close(put)
    }

    fn close(&mut self, put: Put<'_>) -> Option<()> {
        match self.open.take()?.kind {
            Kind::Call { input, fed } => {
                if fed && !input.is_empty() {
                    // Two inputs: one reader would take the first, another the second.
                    return None;
                }
                if !input.is_empty() {
                    put(Piece::Arguments(input.into()));
                }
                put(Piece::CallEnd);
            }
            Kind::Sealed | Kind::Text | Kind::Thinking => {}
        }
        Some(())
    }

    fn message_delta(&mut self, data: &Value<'_>) -> Option<()> {
        if !self.started {
            return None;
        }
        self.add_tokens(data.get("usage"));
        if let Some(delta) = data.get("delta") {
            self.stopped(delta);
        }
        self.is_counted |= self.stop.is_some() && data.present("usage").is_some();
        Some(())
    }

    fn stopped(&mut self, message: &Value<'_>) {
        let Some(reason) = message.get("stop_reason").and_then(Value::as_str) else { return };
        self.stop = Some(match reason {
            "tool_use" => Stop::Calls,
            "max_tokens" | "model_context_window_exceeded" => Stop::Length,
            "refusal" => Stop::Refusal,
            "stop_sequence" => {
                let sequence = message.get("stop_sequence").and_then(Value::as_str);
                Stop::Sequence(sequence.map(ToOwned::to_owned))
            }
            _ => Stop::End,
        });
    }

    /// Counts are totals so far; one that is not told stays as it was.
    fn add_tokens(&mut self, usage: Option<&Value<'_>>) {
        let Some(usage) = usage.filter(|usage| !usage.is_null()) else { return };
        let figures =
            ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"];
        if figures.iter().any(|key| usage.present(key).is_some_and(|figure| count(Some(figure)).is_none())) {
            // A figure is none: nothing of it is believed.
            self.tokens = None;
            return;
        }
        let tokens = self.tokens.get_or_insert_default();
        for (key, total) in [
            ("input_tokens", &mut tokens.fresh),
            ("cache_read_input_tokens", &mut tokens.cache_read),
            ("cache_creation_input_tokens", &mut tokens.cache_written),
            ("output_tokens", &mut tokens.output),
        ] {
            *total = count(usage.get(key)).unwrap_or(*total);
        }
        let details = usage.get("output_tokens_details");
        tokens.thinking =
            count(details.and_then(|details| details.get("thinking_tokens"))).or(tokens.thinking);
    }
}

/// Puts out a text that must be one, unless it is empty.
fn put_text<'p>(
    text: Option<&'p Value<'_>>,
    piece: impl Fn(Cow<'p, str>) -> Piece<'p>,
    put: Put<'_>,
) -> Option<()> {
    let text = text?.as_str()?;
    if !text.is_empty() {
        put(piece(Cow::Borrowed(text)));
    }
    Some(())
}
