//! A Chat Completions answer into pieces, whole or event by event. Apart from the writer because what providers send
//! has many forms (see `dialect::openai`, whose way of putting calls together this uses) and what is written has one.

use super::super::{
    answer::Unfinished,
    piece::{Piece, Stop, Tokens, count, start},
    refusals,
};
use crate::{
    dialect::{
        CALLS_MAX, HoldLimits, is_nothing,
        openai::{Assembled, Choice, TooMuch, has_error},
        stray_call,
    },
    json::{self, Value},
    refusal::Refusal,
    sse,
};
use std::borrow::Cow;

/// Reads one answer.
#[derive(Debug)]
pub(in crate::translate) struct Reader {
    limits: HoldLimits,
    /// Calls are held until the choice finishes: until then, any of them may go on.
    choice: Choice,
    started: bool,
    refused: bool,
    calls: usize,
    stop: Option<Stop>,
    tokens: Option<Tokens>,
    counted: Counted,
    done: bool,
}

/// What the tokens are that were told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    SoFar,
    /// They came behind the reason to stop, or with it.
    InAll,
}

type Put<'p> = &'p mut dyn FnMut(Piece<'_>);

impl Reader {
    /// Reads an answer of which no more than this is held.
    pub(in crate::translate) fn new(limits: HoldLimits) -> Self {
        Self {
            limits,
            choice: Choice::new(0),
            started: false,
            refused: false,
            calls: 0,
            stop: None,
            tokens: None,
            counted: Counted::SoFar,
            done: false,
        }
    }

    /// How much is held of what came.
    #[cfg(test)]
    pub(in crate::translate) fn bytes_held(&self) -> usize {
        self.choice.bytes_held()
    }

    /// Whether the answer came to its end.
    pub(in crate::translate) fn is_done(&self) -> bool {
        self.done
    }

    /// What the provider says was used, once it does.
    pub(in crate::translate) fn tokens(&self) -> Option<Tokens> {
        self.tokens
    }

    /// Whether that is all that was used.
    pub(in crate::translate) fn is_counted(&self) -> bool {
        self.counted == Counted::InAll
    }

    /// How many calls are held.
    pub(in crate::translate) fn held(&self) -> usize {
        self.choice.held()
    }

    /// Takes the calls that were held and did not come to their end.
    pub(in crate::translate) fn take_unfinished(&mut self) -> Vec<Unfinished> {
        let unfinished = |call: Assembled| Unfinished { tool: call.name, text: call.text };
        self.choice.take_calls().into_iter().map(unfinished).collect()
    }

    /// Reads one event.
    pub(in crate::translate) fn event(
        &mut self,
        event: &sse::Event<'_>,
        put: Put<'_>,
    ) -> Result<(), Refusal> {
        let Some(data) = &event.data else { return Ok(()) };
        if data.trim() == "[DONE]" {
            return self.finish(put);
        }
        let mut chunk =
            json::parse(data.as_bytes(), self.limits.nesting).map_err(|_| refusals::unreadable_stream())?;
        if event.name == Some("error") || has_error(&chunk) {
            return Err(refusals::upstream_error());
        }
        let tells_usage = chunk.present("usage").is_some();
        if let Some(usage) = chunk.present("usage") {
            // The last one counts, and makes an earlier one void where it is none.
            self.tokens = tokens(usage);
        }
        // What says nothing that a client of this API reads, has no choices.
        if chunk.present("choices").is_some() {
            self.chunk(&mut chunk, put).ok_or_else(refusals::unreadable_stream)??;
        }
        if tells_usage && self.stop.is_some() {
            self.counted = Counted::InAll;
        }
        Ok(())
    }

    /// The upstream's body ended. Some providers send no `[DONE]`; a finished answer is complete without it.
    pub(in crate::translate) fn end(&mut self, put: Put<'_>) -> Result<(), Refusal> {
        if self.done || self.stop.is_none() || self.choice.held() > 0 { Ok(()) } else { self.finish(put) }
    }

    /// Reads a whole answer.
    pub(in crate::translate) fn whole(&mut self, mut body: Value<'_>, put: Put<'_>) -> Result<(), Refusal> {
        if has_error(&body) {
            return Err(refusals::upstream_error());
        }
        self.tokens = body.present("usage").and_then(tokens);
        self.start(&body, put).ok_or_else(refusals::unreadable_answer)?;
        let choices = body.get_mut("choices").and_then(Value::items_mut);
        let Some([choice]) = choices.map(Vec::as_mut_slice) else {
            return Err(refusals::unreadable_answer());
        };
        self.message(choice, put).ok_or_else(refusals::unreadable_answer)??;
        self.stop.get_or_insert(Stop::End);
        self.finish(put)
    }

    /// The end. An answer that did not finish, or still holds calls, has none.
    fn finish(&mut self, put: Put<'_>) -> Result<(), Refusal> {
        let stop = self.stop.take().filter(|_| self.choice.held() == 0).ok_or_else(refusals::broken_off)?;
        let stop = if self.refused { Stop::Refusal } else { stop.after(self.calls > 0) };
        put(Piece::End { stop, tokens: self.tokens });
        self.done = true;
        Ok(())
    }

    fn start(&mut self, chunk: &Value<'_>, put: Put<'_>) -> Option<()> {
        if !self.started {
            put(start(chunk)?);
            self.started = true;
        }
        Some(())
    }

    /// Reads the choices of a chunk; `None` if they cannot be read.
    fn chunk(&mut self, chunk: &mut Value<'_>, put: Put<'_>) -> Option<Result<(), Refusal>> {
        if chunk.get("choices")?.items()?.is_empty() {
            return Some(Ok(()));
        }
        self.start(chunk, put)?;
        for choice in chunk.get_mut("choices")?.items_mut()? {
            if !is_first(choice) || choice.present("message").is_some() || choice.present("text").is_some() {
                return None;
            }
            if let Some(delta) = choice.get_mut("delta").filter(|delta| !delta.is_null()) {
                let calls = take_calls(delta, "tool_calls")?;
                let legacy = take_calls(delta, "function_call")?;
                self.say(delta, put)?;
                let limits = self.limits;
                let absorb = |choice: &mut Choice| -> Result<(), TooMuch> {
                    calls.map_or(Ok(()), |calls| choice.absorb(&calls, limits))?;
                    legacy.map_or(Ok(()), |call| choice.absorb_legacy(&call, limits))
                };
                absorb(&mut self.choice).ok()?;
            }
            if stray_call(choice) {
                return None;
            }
            match finish_reason(choice)? {
                Some(Err(refusal)) => return Some(Err(refusal)),
                Some(Ok(stop)) => {
                    self.stop = Some(stop);
                    self.release(put)?;
                }
                None => {}
            }
        }
        Some(Ok(()))
    }

    /// Reads the choice of a whole answer; `None` if it cannot be read.
    fn message(&mut self, choice: &mut Value<'_>, put: Put<'_>) -> Option<Result<(), Refusal>> {
        if !is_first(choice) {
            return None;
        }
        let message = choice.get_mut("message")?;
        let calls = take_calls(message, "tool_calls")?;
        let legacy = take_calls(message, "function_call")?;
        self.say(message, put)?;
        for call in calls.as_ref().map(Value::items).unwrap_or_default().unwrap_or_default() {
            // Each is a call of its own, whatever its id.
            self.choice = Choice::new(0);
            self.choice.absorb(call, self.limits).ok()?;
            self.release(put)?;
        }
        if calls.is_some_and(|calls| calls.items().is_none()) || stray_call(choice) {
            return None;
        }
        if let Some(call) = legacy {
            self.choice.absorb_legacy(&call, self.limits).ok()?;
            self.release(put)?;
        }
        match finish_reason(choice)? {
            Some(Ok(stop)) => self.stop = Some(stop),
            Some(Err(refusal)) => return Some(Err(refusal)),
            None => {}
        }
        Some(Ok(()))
    }

    /// What a delta or a message says, beside its calls; `None` if it cannot be read.
    fn say(&mut self, message: &Value<'_>, put: Put<'_>) -> Option<()> {
        message.members()?;
        if message.present("audio").is_some() {
            return None;
        }
        let thinking = message.present("reasoning_content").or_else(|| message.present("reasoning"));
        put_text(thinking.and_then(Value::as_str), Piece::Thinking, put);
        match message.present("content") {
            None => {}
            Some(Value::String(text)) => put_text(Some(text), Piece::Text, put),
            Some(content) => {
                for part in content.items()? {
                    match part.get("type").and_then(Value::as_str)? {
                        "text" => put_text(Some(part.get("text")?.as_str()?), Piece::Text, put),
                        "thinking" => {
                            for part in part.get("thinking")?.items()? {
                                put_text(Some(part.get("text")?.as_str()?), Piece::Thinking, put);
                            }
                        }
                        _ => return None,
                    }
                }
            }
        }
        if let Some(refusal) = message.present("refusal") {
            put_text(Some(refusal.as_str()?), Piece::Refusal, put);
            self.refused = true;
        }
        Some(())
    }

    /// Puts out the calls that are complete; `None` if one of them cannot be carried.
    fn release(&mut self, put: Put<'_>) -> Option<()> {
        for call in self.choice.take_calls() {
            self.calls += 1;
            if call.too_long || !call.function || self.calls > CALLS_MAX {
                return None;
            }
            put(Piece::Call { id: call.id.into(), name: call.name.into() });
            if !call.text.trim().is_empty() {
                put(Piece::Arguments(call.text.into()));
            }
            put(Piece::CallEnd);
        }
        Some(())
    }
}

/// Only one choice can be asked for.
fn is_first(choice: &Value<'_>) -> bool {
    choice.present("index").is_none_or(|index| index.as_u64() == Some(0))
}

/// Takes calls out of what says them, if there are any; the outer `None` if one of them hides another.
fn take_calls<'a>(message: &mut Value<'a>, key: &str) -> Option<Option<Value<'a>>> {
    let calls = message.remove(key).filter(|calls| !is_nothing(calls));
    (!calls.as_ref().is_some_and(stray_call)).then_some(calls)
}

fn put_text<'p>(text: Option<&'p str>, piece: impl Fn(Cow<'p, str>) -> Piece<'p>, put: Put<'_>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        put(piece(Cow::Borrowed(text)));
    }
}

/// Why a choice finished, if it did; the outer `None` for what cannot be read.
fn finish_reason(choice: &Value<'_>) -> Option<Option<Result<Stop, Refusal>>> {
    let reason = match choice.present("finish_reason") {
        None => return Some(None),
        // Some providers send an empty reason until there is one.
        Some(reason) => reason.as_str()?,
    };
    Some(match reason {
        "" => None,
        "length" | "max_tokens" => Some(Ok(Stop::Length)),
        "tool_calls" | "function_call" => Some(Ok(Stop::Calls)),
        "content_filter" => Some(Ok(Stop::Refusal)),
        "error" | "insufficient_system_resource" => Some(Err(refusals::upstream_error())),
        _ => Some(Ok(Stop::End)),
    })
}

/// `usage` as OpenAI reports it: what was cached is part of the prompt.
fn tokens(usage: &Value<'_>) -> Option<Tokens> {
    let input = count(usage.get("prompt_tokens"))?;
    let detail = |of: &str, key: &str| count(usage.get(of).and_then(|details| details.get(key)));
    let cache_read = detail("prompt_tokens_details", "cached_tokens").unwrap_or(0);
    let cache_written = detail("prompt_tokens_details", "cache_write_tokens").unwrap_or(0);
    Some(Tokens {
        // More from a cache than there was is no figure.
        fresh: input.checked_sub(cache_read)?.checked_sub(cache_written)?,
        cache_read,
        cache_written,
        output: count(usage.get("completion_tokens")).unwrap_or(0),
        thinking: detail("completion_tokens_details", "reasoning_tokens"),
    })
}
