//! A streamed answer: events in, events out. Text leaves at once; a call is held until its choice finishes.
//!
//! Two paths, one result. The slow one reads an event as JSON. The fast one knows the event before: when an
//! event of plain text was read, everything around its text is remembered, and a later event with the same
//! bytes around its text is the same event with another text: after equal bytes, two JSON readers are in the
//! same state. A test holds the two against each other.

use super::{
    errors,
    held::{CALLS_MAX, Choice, HoldLimits, TooMuch},
    whole::{has_error, read_usage, stray_call},
};
use crate::{
    dialect::{Judge, Told, Transcript},
    json::{self, Value},
    refusal::Refusal,
    sse,
};

/// An event larger than this (beyond held arguments) cannot be inspected and ends the stream.
const EVENT_BYTES_MAX: usize = 1 << 20;
/// So many choices are told apart at most (`n`).
const CHOICES_MAX: usize = 128;

/// Reads one streamed answer.
#[derive(Debug)]
pub struct Stream {
    limits: HoldLimits,
    /// An incomplete event; at most `EVENT_BYTES_MAX` and the longest arguments.
    pending: Vec<u8>,
    known: Option<Known>,
    choices: Vec<Choice>,
    phase: Phase,
    pub told: Told,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// `[DONE]` was seen.
    Done,
    /// Ended by an error event of ours.
    Failed,
    Open,
}

/// Why nothing more is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The stream goes on.
    Continue,
    /// `[DONE]` was sent: whatever follows is not.
    Done,
    /// The error event is written; whatever follows is not to be sent.
    Failed(Refusal),
}

impl Stream {
    /// Reads a stream of `api`; the transcript says how much text is kept for the record.
    pub fn new(limits: HoldLimits, transcript: Transcript) -> Self {
        Self {
            limits,
            pending: Vec::new(),
            known: None,
            choices: Vec::new(),
            phase: Phase::Open,
            told: Told { usage: None, completion: transcript },
        }
    }

    /// Whether a call is held at the moment.
    pub fn holds(&self) -> bool {
        self.choices.iter().any(|choice| choice.held() > 0)
    }

    /// Forgets what was learnt of the stream's events, so that the next one is read the slow way.
    #[cfg(test)]
    pub(super) fn forget(&mut self) {
        self.known = None;
    }

    /// How much is held of what came.
    #[cfg(test)]
    pub(super) fn bytes_held(&self) -> usize {
        self.pending.len() + self.choices.iter().map(Choice::bytes_held).sum::<usize>()
    }

    /// Takes in bytes as they come, split anywhere, and appends what may leave.
    pub fn read(&mut self, bytes: &[u8], judge: &mut dyn Judge, out: &mut Vec<u8>) -> Progress {
        let result = if self.pending.is_empty() {
            self.events(bytes, judge, out).map(|rest| self.pending = rest.to_vec())
        } else {
            let mut buffer = std::mem::take(&mut self.pending);
            buffer.extend_from_slice(bytes);
            let rest = self.events(&buffer, judge, out).map(<[u8]>::len);
            rest.map(|rest| {
                let read = buffer.len() - rest;
                buffer.drain(..read);
                if rest > 0 {
                    self.pending = buffer;
                }
            })
        };
        let result = result.and_then(|()| {
            if self.pending.len() < self.event_bytes_max() { Ok(()) } else { Err(unreadable()) }
        });
        match result {
            Ok(()) if self.phase == Phase::Done => Progress::Done,
            Ok(()) => Progress::Continue,
            Err(refusal) => self.fail(refusal, judge, out),
        }
    }

    /// The upstream's body ended. Anything but a clean end becomes an error event.
    pub fn end(&mut self, judge: &mut dyn Judge, out: &mut Vec<u8>) -> Progress {
        // A CR at the very end ends a line after all: no LF follows it any more.
        if self.phase == Phase::Open && self.pending.last() == Some(&b'\r') {
            match self.read(b"\n", judge, out) {
                Progress::Continue => {}
                ended @ (Progress::Done | Progress::Failed(_)) => return ended,
            }
        }
        if self.phase == Phase::Open && !self.pending.is_empty() {
            // A last event without its blank line: clients dispatch nothing of it, and neither do we.
            self.pending = Vec::new();
        }
        let finished = !self.choices.is_empty()
            && self.choices.iter().all(|choice| choice.finished && choice.held() == 0);
        if self.phase != Phase::Open || finished {
            return Progress::Continue;
        }
        self.fail(Refusal::UpstreamError { message: "the upstream's answer broke off" }, judge, out)
    }

    /// Ends the stream with an error event: the upstream failed, or what it sent cannot be inspected.
    pub fn fail(&mut self, refusal: Refusal, judge: &mut dyn Judge, out: &mut Vec<u8>) -> Progress {
        for choice in &mut self.choices {
            choice.abandon(judge);
        }
        if self.phase == Phase::Open {
            out.extend_from_slice(&errors::error_event(&refusal));
            self.phase = Phase::Failed;
        }
        Progress::Failed(refusal)
    }

    /// What is larger cannot be inspected, whether it comes in pieces or at once.
    fn event_bytes_max(&self) -> usize {
        EVENT_BYTES_MAX + self.limits.tool_arguments
    }

    /// Handles every complete event and returns the incomplete rest.
    fn events<'b>(
        &mut self,
        input: &'b [u8],
        judge: &mut dyn Judge,
        out: &mut Vec<u8>,
    ) -> Result<&'b [u8], Refusal> {
        let mut rest = input;
        // Bytes before `rest` that leave as they are, and are not yet written.
        let mut run = 0;
        while self.phase == Phase::Open {
            if let Some((known, (text, len))) =
                self.known.as_ref().and_then(|known| Some((known, known.text(rest)?)))
            {
                self.told.completion.add_escaped(known.choice, text);
                rest = rest.get(len..).unwrap_or_default();
                run += len;
                continue;
            }
            let done = input.len() - rest.len();
            out.extend_from_slice(input.get(done - run..done).unwrap_or_default());
            run = 0;
            let Some(sse::Boundary { end }) = sse::boundary(rest) else { return Ok(rest) };
            if end > self.event_bytes_max() {
                return Err(unreadable());
            }
            let (event, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            self.event(event, judge, out)?;
            rest = after;
        }
        Ok(&[])
    }

    fn event(&mut self, raw: &[u8], judge: &mut dyn Judge, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let event = sse::event(raw).ok_or_else(unreadable)?;
        let Some(data) = event.data else {
            // Comments keep a connection alive; `id:` and `retry:` without data break clients.
            if event.comment {
                out.extend_from_slice(b":\n\n");
            }
            return Ok(());
        };
        if data.trim() == "[DONE]" {
            return self.done(judge, out);
        }
        let chunk = json::parse(data.as_bytes(), self.limits.nesting).map_err(|_| unreadable())?;
        if event.name == Some("error") || has_error(&chunk) {
            return Err(Refusal::UpstreamError { message: "the upstream reported an error" });
        }
        if let Some(usage) = chunk.present("usage").and_then(read_usage) {
            self.told.usage = Some(usage);
        }
        if chunk.get("choices").and_then(Value::items).is_none() && chunk.present("usage").is_none() {
            // It says nothing that a client of this API reads: an error in another's words, perhaps.
            return Ok(());
        }
        let plain = plain_bytes(raw);
        self.chunk(chunk, plain.then_some(raw), judge, out)
    }

    fn done(&mut self, judge: &mut dyn Judge, out: &mut Vec<u8>) -> Result<(), Refusal> {
        for choice in &mut self.choices {
            if let Some(notice) = choice.abandon(judge) {
                self.told.completion.add(choice.index, &notice);
                let envelope = Value::object([("object", Value::string("chat.completion.chunk"))]);
                emit(&envelope, choice.index, text_delta(notice), Value::Null, out);
            }
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        self.phase = Phase::Done;
        Ok(())
    }

    /// One chunk. `raw` are its bytes where they may leave as they came.
    fn chunk(
        &mut self,
        mut chunk: Value<'_>,
        raw: Option<&[u8]>,
        judge: &mut dyn Judge,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let mut absorbed = false;
        let mut settling = Vec::new();
        for choice in chunk.get_mut("choices").and_then(Value::items_mut).into_iter().flatten() {
            let index = match choice.get("index") {
                None | Some(Value::Null) => 0,
                Some(index) => index.as_u64().ok_or_else(unreadable)?,
            };
            let (limits, held) = (self.limits, held(&mut self.choices, index)?);
            absorbed |= absorb(held, choice, limits).map_err(|TooMuch| unreadable())?;
            if is_finish(choice)? {
                held.finished = true;
                if held.held() > 0 {
                    settling.push(index);
                }
            }
        }
        let too_many = absorbed && self.choices.iter().map(Choice::held).sum::<usize>() > CALLS_MAX;
        if too_many || stray_call(&chunk) {
            return Err(unreadable());
        }
        self.tell(&chunk);
        if !absorbed && settling.is_empty() {
            match raw {
                Some(raw) => {
                    out.extend_from_slice(raw);
                    self.known = Known::learn(&chunk, raw).or_else(|| self.known.take());
                }
                None => write_event(&chunk, out),
            }
            return Ok(());
        }
        self.settle(chunk, &settling, judge, out)
    }

    /// Keeps a chunk's text for the record.
    fn tell(&mut self, chunk: &Value<'_>) {
        for choice in chunk.get("choices").and_then(Value::items).unwrap_or_default() {
            let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
            if let Some(text) = text_of(choice).and_then(Value::as_str) {
                self.told.completion.add(index, text);
                if let Some(held) = self.choices.iter_mut().find(|held| held.index == index) {
                    held.said |= !text.is_empty();
                }
            }
        }
    }

    /// Sends what flows of a chunk, then the verdicts on finished choices, then their finish.
    fn settle(
        &mut self,
        mut chunk: Value<'_>,
        settling: &[u64],
        judge: &mut dyn Judge,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
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
            write_event(&flow, out);
        }
        for (index, finish) in finishing {
            let held = held(&mut self.choices, index)?;
            let settled = held.settle(judge, self.limits, &mut self.told.completion)?;
            let finish = finish_after(finish, !held.has_released());
            if let Some(notice) = settled.notice {
                self.told.completion.add(index, &notice);
                emit(&chunk, index, text_delta(notice), Value::Null, out);
            }
            for delta in settled.deltas {
                emit(&chunk, index, delta, Value::Null, out);
            }
            emit(&chunk, index, Value::Object(Vec::new()), finish, out);
        }
        if let Some(usage) = usage {
            chunk.set("choices", Value::Array(Vec::new()));
            chunk.set("usage", usage);
            write_event(&chunk, out);
        }
        Ok(())
    }
}

/// Whether a chunk finishes a choice. Some providers send an empty reason until there is one.
fn is_finish(choice: &Value<'_>) -> Result<bool, Refusal> {
    match choice.get("finish_reason") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::String(reason)) => Ok(!reason.is_empty()),
        Some(_) => Err(unreadable()),
    }
}

fn unreadable() -> Refusal {
    Refusal::UpstreamError { message: "the upstream's stream cannot be inspected" }
}

fn held(choices: &mut Vec<Choice>, index: u64) -> Result<&mut Choice, Refusal> {
    let at = choices.iter().position(|choice| choice.index == index).unwrap_or(choices.len());
    if at == choices.len() {
        if at >= CHOICES_MAX {
            return Err(unreadable());
        }
        choices.push(Choice::new(index));
    }
    choices.get_mut(at).ok_or_else(unreadable)
}

/// Moves the calls of a choice's delta out of the chunk. Whether there were any.
fn absorb(held: &mut Choice, choice: &mut Value<'_>, limits: HoldLimits) -> Result<bool, TooMuch> {
    let Some(delta) = choice.get_mut("delta") else { return Ok(false) };
    let mut absorbed = false;
    if delta.get("tool_calls").is_some_and(|calls| !is_empty(calls)) {
        let calls = delta.remove("tool_calls").unwrap_or(Value::Null);
        if stray_call(&calls) {
            return Err(TooMuch);
        }
        held.absorb(&calls, limits)?;
        absorbed = true;
    }
    if delta.get("function_call").is_some_and(|call| !is_empty(call)) {
        let call = delta.remove("function_call").unwrap_or(Value::Null);
        held.absorb_legacy(&call, limits)?;
        absorbed = true;
    }
    Ok(absorbed)
}

pub(crate) fn is_empty(calls: &Value<'_>) -> bool {
    calls.is_null() || calls.items().is_some_and(<[_]>::is_empty)
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

/// Whether the event is exactly `data: …`, a line feed and a blank line: the one form that all clients read alike.
fn plain_bytes(raw: &[u8]) -> bool {
    let Some(line) = raw.strip_prefix(b"data: ").and_then(|rest| rest.strip_suffix(b"\n\n")) else {
        return false;
    };
    memchr::memchr2(b'\n', b'\r', line).is_none()
}

/// OpenAI pads events with a text of random length, so that their sizes do not tell the text's.
const PADDING: &[u8] = br#""obfuscation":""#;

/// An event of plain text that was read before: what stands before and behind its text.
#[derive(Debug)]
struct Known {
    prefix: Box<[u8]>,
    /// Up to the end of the event, or to its padding.
    suffix: Box<[u8]>,
    /// What stands behind the padding, if there is one.
    behind_padding: Option<Box<[u8]>>,
    choice: u64,
}

impl Known {
    /// Remembers an event if its only choice carries a text and nothing ends with it. The text's place is where
    /// it was borrowed from: to look for its key could find another member of that name. An empty text is not
    /// remembered, because the choice has said something only after one that is not.
    fn learn(chunk: &Value<'_>, raw: &[u8]) -> Option<Self> {
        let [choice] = chunk.get("choices")?.items()? else { return None };
        let text = text_of(choice)?.as_str().filter(|text| !text.is_empty())?;
        if is_finish(choice).unwrap_or(true) || chunk.present("usage").is_some() {
            return None;
        }
        // A text with escapes was not borrowed; it lies elsewhere in memory.
        let start = text.as_ptr().addr().checked_sub(raw.as_ptr().addr())?;
        let (prefix, rest) = raw.split_at_checked(start)?;
        let suffix = rest.strip_prefix(text.as_bytes())?;
        let choice = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
        let mut padded = memchr::memmem::find_iter(suffix, PADDING);
        let (suffix, behind_padding) = match (padded.next(), padded.next()) {
            (Some(at), None) => {
                let (suffix, padding) = suffix.split_at_checked(at + PADDING.len())?;
                (suffix, Some(text_and_rest(padding)?.1.into()))
            }
            _ => (suffix, None),
        };
        Some(Self { prefix: prefix.into(), suffix: suffix.into(), behind_padding, choice })
    }

    /// The escaped text of the event at the start of `bytes`, and the event's length, if it is this one.
    fn text<'b>(&self, bytes: &'b [u8]) -> Option<(&'b [u8], usize)> {
        let (text, rest) = text_and_rest(bytes.strip_prefix(&*self.prefix)?)?;
        let rest = rest.strip_prefix(&*self.suffix)?;
        let rest = match &self.behind_padding {
            Some(behind) => text_and_rest(rest)?.1.strip_prefix(&**behind)?,
            None => rest,
        };
        Some((text, bytes.len() - rest.len()))
    }
}

/// The escaped text of a JSON string behind its opening quote, and what begins with its closing one.
fn text_and_rest(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(text_end(bytes)?)?;
    (text.is_ascii() || std::str::from_utf8(text).is_ok()).then_some((text, rest))
}

/// The place of the quote that ends a JSON string; `None` if it holds what needs the strict reader.
fn text_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => match bytes.get(at + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                _ => return None,
            },
            0..0x20 => return None,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{call::Arguments, dialect::Verdict};
    use proptest::prelude::*;

    struct NoCalls;

    impl Judge for NoCalls {
        fn judge(&mut self, tool: &str, _: &Arguments<'_>, _: &str) -> Verdict {
            panic!("{tool} was judged")
        }

        fn incomplete(&mut self, tool: &str, _: &str) {
            panic!("{tool} was held")
        }
    }

    fn stream() -> Stream {
        Stream::new(HoldLimits { nesting: 16, tool_arguments: 100 }, Transcript::keeping(10_000))
    }

    /// What leaves, what is kept, and which choices have said something.
    fn result(stream: Stream, out: Vec<u8>) -> (String, String, Vec<bool>) {
        let said = stream.choices.iter().map(|choice| choice.said).collect();
        (String::from_utf8(out).unwrap(), stream.told.completion.into_text(), said)
    }

    fn event() -> impl Strategy<Value = String> {
        let text = r#"([a-c é]|\\n|\\"|\\u00e9){0,3}"#;
        let padding = prop_oneof![Just(None), "[a-z0-9]{0,5}".prop_map(Some), Just(Some(r#"\""#.to_owned()))];
        (0..2_u8, text, padding, any::<bool>()).prop_map(|(index, text, padding, role)| {
            let role = if role { r#""role":"assistant","# } else { "" };
            let padding = padding.map_or(String::new(), |text| format!(r#","obfuscation":"{text}""#));
            format!(
                "data: {{\"choices\":[{{\"index\":{index},\"delta\":{{{role}\"content\":\"{text}\"}}}}]{padding}}}\n\n"
            )
        })
    }

    proptest! {
        #[test]
        fn the_fast_path_is_the_slow_one(events in proptest::collection::vec(event(), 1..12), split in 1..80_usize) {
            let (mut fast, mut slow) = ((stream(), Vec::new()), (stream(), Vec::new()));
            for part in events.concat().as_bytes().chunks(split) {
                prop_assert_eq!(fast.0.read(part, &mut NoCalls, &mut fast.1), Progress::Continue);
            }
            for event in &events {
                slow.0.known = None;
                prop_assert_eq!(slow.0.read(event.as_bytes(), &mut NoCalls, &mut slow.1), Progress::Continue);
            }
            prop_assert_eq!(result(fast.0, fast.1), result(slow.0, slow.1));
        }
    }

    #[test]
    fn a_padded_text_is_known_again() {
        let event = |text: &str, padding: &str| {
            format!(r#"data: {{"choices":[{{"delta":{{"content":"{text}"}}}}],"obfuscation":"{padding}"}}"#)
                + "\n\n"
        };
        let mut stream = stream();
        stream.read(event("a", "xyz").as_bytes(), &mut NoCalls, &mut Vec::new());
        let known = stream.known.unwrap();
        let check = |text: &str, padding: &str, expected| {
            let event = event(text, padding);
            assert_eq!(known.text(event.as_bytes()).is_some_and(|(_, len)| len == event.len()), expected);
        };
        check("b", "", true);
        check("", "0123456789", true);
        check("é", r#"\""#, true);
        check("b", r#"x","choices":[],"y":""#, false);
        check("b", r"\u0041", false);
        check(r#"b"},"x":{"y":""#, "", false);
    }
}
