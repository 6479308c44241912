//! A streamed answer of Chat Completions, event by event. Text leaves at once; a call is held until its choice
//! finishes.

use super::{
    held::{Choice, TooMuch},
    whole::{has_error, read_usage},
};
use crate::{
    dialect::{
        CALLS_MAX, Desk, HoldLimits, Judge, Seen, broke_off,
        known::{Known, is_plain},
        reported_error,
        stray::{is_nothing, stray_call},
        uninspectable,
    },
    json::{self, Value},
    refusal::Refusal,
};

/// So many choices are told apart at most (`n`).
const CHOICES_MAX: usize = 128;
/// What every chunk carries once usage is asked for.
const NO_USAGE: &[u8] = br#","usage":null"#;

/// What is known of a stream so far.
#[derive(Debug, Clone, Default)]
pub(in crate::dialect) struct Reader {
    choices: Vec<Choice>,
    /// So many are asked for.
    asked: u64,
    usage: Usage,
}

/// What becomes of the usage that a stream tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Usage {
    /// The gateway asked for it, not the client.
    Dropped,
    #[default]
    Sent,
}

/// The bytes of an event that may leave as they came, but for a usage of null that was not asked for.
#[derive(Debug, Clone, Copy)]
struct Raw<'r> {
    raw: &'r [u8],
    unsent: bool,
}

impl Raw<'_> {
    /// Appends what may leave of it, if that is plain to see.
    fn write(self, out: &mut Vec<u8>) -> bool {
        if !self.unsent {
            out.extend_from_slice(self.raw);
            return true;
        }
        let mut found = memchr::memmem::find_iter(self.raw, NO_USAGE);
        let (Some(at), None) = (found.next(), found.next()) else { return false };
        out.extend_from_slice(self.raw.get(..at).unwrap_or_default());
        out.extend_from_slice(self.raw.get(at + NO_USAGE.len()..).unwrap_or_default());
        true
    }

    /// What is to be known again of the event, if its only choice carries a text and nothing ends with it.
    fn learn(self, chunk: &Value<'_>) -> Option<Known> {
        let [choice] = chunk.get("choices")?.items()? else { return None };
        let text = text_of(choice)?.as_str()?;
        if is_finish(choice).unwrap_or(true) || chunk.present("usage").is_some() {
            return None;
        }
        let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
        let known = Known::learn(text, self.raw, index)?;
        if self.unsent { known.leaving_out(NO_USAGE) } else { Some(known) }
    }
}

impl Reader {
    /// Usage is read and does not leave.
    pub(in crate::dialect) fn drop_usage(&mut self) {
        self.usage = Usage::Dropped;
    }

    /// So many choices are to come.
    pub(in crate::dialect) fn expect(&mut self, choices: u64) {
        self.asked = choices;
    }

    /// Whether a call is held.
    pub(in crate::dialect) fn holds(&self) -> bool {
        self.choices.iter().any(|choice| choice.held() > 0)
    }

    /// How much is held, beside a constant for each call.
    pub(in crate::dialect) fn bytes_held(&self) -> usize {
        self.choices.iter().map(Choice::bytes_held).sum()
    }

    #[cfg(test)]
    pub(in crate::dialect) fn said(&self) -> Vec<bool> {
        self.choices.iter().map(|choice| choice.said).collect()
    }

    /// Whether every choice that is asked for has finished, so that the stream may end without `[DONE]`.
    pub(in crate::dialect) fn is_finished(&self) -> bool {
        let count = u64::try_from(self.choices.len()).unwrap_or(u64::MAX);
        count >= self.asked.max(1) && self.choices.iter().all(|choice| choice.finished && choice.held() == 0)
    }

    /// Denies what is held: the stream ends before it did.
    pub(in crate::dialect) fn abandon(&mut self, judge: &mut dyn Judge) {
        for choice in &mut self.choices {
            choice.abandon(judge);
        }
    }

    /// Takes in one event, of which `raw` are the bytes.
    pub(in crate::dialect) fn event(
        &mut self,
        chunk: Value<'_>,
        name: Option<&str>,
        raw: &[u8],
        desk: &mut Desk<'_>,
    ) -> Result<Seen, Refusal> {
        if name == Some("error") || has_error(&chunk) {
            return Err(reported_error());
        }
        let usage = chunk.present("usage").or_else(|| chunk.get("x_groq")?.present("usage"));
        let tells_usage = usage.is_some();
        if let Some(usage) = usage {
            // The last one counts, and makes an earlier one void where it is none.
            desk.told.usage = read_usage(usage);
        }
        let seen = self.rest(chunk, raw, desk)?;
        // Some providers tell with each chunk what was used so far.
        desk.told.is_counted = self.is_finished() && (tells_usage || desk.told.is_counted);
        Ok(seen)
    }

    /// What an event says beside its usage.
    fn rest(&mut self, chunk: Value<'_>, raw: &[u8], desk: &mut Desk<'_>) -> Result<Seen, Refusal> {
        let mut chunk = chunk;
        desk.told.reply(&chunk);
        if chunk.get("choices").and_then(Value::items).is_none() && chunk.present("usage").is_none() {
            // It says nothing that a client of this API reads: an error in another's words, perhaps.
            return Ok(Seen::Other);
        }
        let mut plain = is_plain(raw);
        let mut unsent = false;
        if self.usage == Usage::Dropped
            && let Some(usage) = chunk.remove("usage")
        {
            unsent = usage.is_null();
            if !unsent && chunk.get("choices").and_then(Value::items).is_none_or(<[_]>::is_empty) {
                return Ok(Seen::Other);
            }
            plain &= unsent;
        }
        self.chunk(chunk, plain.then_some(Raw { raw, unsent }), desk)
    }

    /// The provider says that this was all. A call whose choice did not finish was cut short, as if nothing had come.
    pub(in crate::dialect) fn done(&mut self, desk: &mut Desk<'_>) -> Result<Seen, Refusal> {
        if self.holds() {
            return Err(broke_off());
        }
        desk.out.extend_from_slice(b"data: [DONE]\n\n");
        Ok(Seen::Last)
    }

    /// One chunk. `raw` are its bytes where they may leave as they came.
    fn chunk(
        &mut self,
        chunk: Value<'_>,
        raw: Option<Raw<'_>>,
        desk: &mut Desk<'_>,
    ) -> Result<Seen, Refusal> {
        let mut chunk = chunk;
        let mut absorbed = false;
        let mut settling = Vec::new();
        for choice in chunk.get_mut("choices").and_then(Value::items_mut).into_iter().flatten() {
            let index = match choice.get("index") {
                None | Some(Value::Null) => 0,
                Some(index) => index.as_u64().ok_or_else(uninspectable)?,
            };
            let (limits, held) = (desk.limits, held(&mut self.choices, index)?);
            absorbed |= absorb(held, choice, limits).map_err(|TooMuch| uninspectable())?;
            if is_finish(choice)? {
                held.finished = true;
                if held.held() > 0 {
                    settling.push(index);
                }
            }
        }
        let too_many = absorbed && self.choices.iter().map(Choice::held).sum::<usize>() > CALLS_MAX;
        if too_many || stray_call(&chunk) {
            return Err(uninspectable());
        }
        self.tell(&chunk, desk);
        if !absorbed && settling.is_empty() {
            return Ok(match raw {
                Some(raw) if raw.write(desk.out) => raw.learn(&chunk).map_or(Seen::Other, Seen::Known),
                Some(_) | None => {
                    write_event(&chunk, desk.out);
                    Seen::Other
                }
            });
        }
        self.settle(chunk, &settling, desk)?;
        Ok(Seen::Other)
    }

    /// Keeps a chunk's text for the record.
    fn tell(&mut self, chunk: &Value<'_>, desk: &mut Desk<'_>) {
        for choice in chunk.get("choices").and_then(Value::items).unwrap_or_default() {
            let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
            for key in ["reasoning_content", "reasoning", "refusal"] {
                let text = choice.get("delta").and_then(|delta| delta.get(key)).and_then(Value::as_str);
                desk.told.produce(text.map_or(0, str::len));
            }
            if let Some(text) = text_of(choice).and_then(Value::as_str) {
                desk.told.produce(text.len());
                desk.told.completion.add(index, text);
                if let Some(held) = self.choices.iter_mut().find(|held| held.index == index) {
                    held.said |= !text.is_empty();
                }
            }
        }
    }

    /// Sends what flows of a chunk, then the verdicts on finished choices, then their finish.
    fn settle(&mut self, mut chunk: Value<'_>, settling: &[u64], desk: &mut Desk<'_>) -> Result<(), Refusal> {
        let choices = chunk.remove("choices").unwrap_or(Value::Null);
        let usage = chunk.remove("usage").filter(|usage| !usage.is_null());
        let mut flowing = Vec::new();
        let mut finishing = Vec::new();
        for mut choice in choices.items().unwrap_or_default().iter().cloned() {
            let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
            if settling.contains(&index) {
                finishing.push((index, choice.remove("finish_reason").unwrap_or(Value::Null)));
                choice.set("finish_reason", Value::Null);
            }
            if says_something(&choice) {
                flowing.push(choice);
            }
        }
        if !flowing.is_empty() {
            let mut flow = chunk.clone();
            flow.set("choices", Value::Array(flowing));
            write_event(&flow, desk.out);
        }
        for (index, finish) in finishing {
            let held = held(&mut self.choices, index)?;
            let settled = held.settle(desk)?;
            let finish = finish_after(finish, !held.has_released());
            if let Some(notice) = settled.notice {
                desk.told.completion.add(index, &notice);
                emit(&chunk, index, text_delta(notice), Value::Null, desk.out);
            }
            for delta in settled.deltas {
                emit(&chunk, index, delta, Value::Null, desk.out);
            }
            emit(&chunk, index, Value::Object(Vec::new()), finish, desk.out);
        }
        if let Some(usage) = usage {
            chunk.set("choices", Value::Array(Vec::new()));
            chunk.set("usage", usage);
            write_event(&chunk, desk.out);
        }
        Ok(())
    }
}

/// Whether a chunk finishes a choice. Some providers send an empty reason until there is one.
fn is_finish(choice: &Value<'_>) -> Result<bool, Refusal> {
    match choice.get("finish_reason") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::String(reason)) => Ok(!reason.is_empty()),
        Some(_) => Err(uninspectable()),
    }
}

fn held(choices: &mut Vec<Choice>, index: u64) -> Result<&mut Choice, Refusal> {
    let at = choices.iter().position(|choice| choice.index == index).unwrap_or(choices.len());
    if at == choices.len() {
        if at >= CHOICES_MAX {
            return Err(uninspectable());
        }
        choices.push(Choice::new(index));
    }
    choices.get_mut(at).ok_or_else(uninspectable)
}

/// Moves the calls of a choice's delta out of the chunk. Whether there were any.
fn absorb(held: &mut Choice, choice: &mut Value<'_>, limits: HoldLimits) -> Result<bool, TooMuch> {
    let Some(delta) = choice.get_mut("delta") else { return Ok(false) };
    let mut absorbed = false;
    if delta.get("tool_calls").is_some_and(|calls| !is_nothing(calls)) {
        let calls = delta.remove("tool_calls").unwrap_or(Value::Null);
        if stray_call(&calls) {
            return Err(TooMuch);
        }
        held.absorb(&calls, limits)?;
        absorbed = true;
    }
    if delta.get("function_call").is_some_and(|call| !is_nothing(call)) {
        let call = delta.remove("function_call").unwrap_or(Value::Null);
        held.absorb_legacy(&call, limits)?;
        absorbed = true;
    }
    Ok(absorbed)
}

/// The reason that fits what is left: a choice without calls did not end for calls.
pub(super) fn finish_after(finish: Value<'_>, none_left: bool) -> Value<'_> {
    match finish.as_str() {
        Some("tool_calls" | "function_call") if none_left => Value::string("stop"),
        _ => finish,
    }
}

/// Whether anything but an empty delta is left of a choice.
fn says_something(choice: &Value<'_>) -> bool {
    let delta = choice.get("delta").and_then(Value::members).unwrap_or_default();
    is_finish(choice).unwrap_or(true) || delta.iter().any(|(_, value)| !value.is_null())
}

fn text_of<'v, 'a>(choice: &'v Value<'a>) -> Option<&'v Value<'a>> {
    choice.get("delta").and_then(|delta| delta.get("content")).or_else(|| choice.get("text"))
}

fn text_delta(text: String) -> Value<'static> {
    Value::object([("content", Value::string(text))])
}

/// A chunk of one choice, with the members that all chunks of the stream share.
fn emit(envelope: &Value<'_>, index: u64, delta: Value<'static>, finish: Value<'_>, out: &mut Vec<u8>) {
    let mut chunk = envelope.clone();
    let mut choice = Value::object([("index", Value::integer(index)), ("delta", delta)]);
    choice.set("finish_reason", finish.into_owned());
    chunk.set("choices", Value::Array(vec![choice]));
    write_event(&chunk, out);
}

fn write_event(chunk: &Value<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    json::write(chunk, out);
    out.extend_from_slice(b"\n\n");
}
