//! The frame that every streamed answer is read in: bytes in, split anywhere, whole events handed to the dialect,
//! and what may leave appended. Knows nothing of what an event means.
//!
//! Two paths, one result. The slow one reads an event as JSON. The fast one knows the event before: when an
//! event of plain text was read, everything around its text is remembered, and a later event with the same
//! bytes around its text is the same event with another text: after equal bytes, two JSON readers are in the
//! same state. A test holds the two against each other.

use super::{
    Api, HoldLimits, Judge, Told, Transcript, anthropic, broke_off, keys, known::Known, openai, responses,
    transcript::Mark, uninspectable,
};
use crate::{
    json::{self, Value},
    refusal::Refusal,
    sse,
};

/// An event larger than this (beyond held arguments) cannot be inspected and ends the stream.
pub(super) const EVENT_BYTES_MAX: usize = 1 << 20;

/// Reads one streamed answer.
#[derive(Debug, Clone)]
pub struct Stream {
    limits: HoldLimits,
    /// An incomplete event; at most `EVENT_BYTES_MAX` and the longest arguments.
    pending: Vec<u8>,
    /// How far it was looked through.
    scan: sse::Scan,
    known: Option<Known>,
    phase: Phase,
    reader: Reader,
    pub told: Told,
}

/// The dialect's part: what the events mean.
#[derive(Debug, Clone)]
enum Reader {
    Chat(openai::Reader),
    Messages(Box<anthropic::Reader>),
    Responses(Box<responses::Reader>),
}

/// A stream as it was.
#[derive(Debug)]
pub struct Saved {
    stream: Stream,
    completion: Mark,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The last event was sent.
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
    /// The last event was sent: whatever follows is not.
    Done,
    /// The error event is written; whatever follows is not to be sent.
    Failed(Refusal),
}

/// What a dialect made of an event.
#[derive(Debug)]
pub(super) enum Seen {
    /// Something began or ended: events that were known may mean something else from here on.
    Forget,
    /// It was an event of plain text, and left as it came: others like it are known by this.
    Known(Known),
    /// It was the last.
    Last,
    /// What was known before is known after it.
    Other,
}

/// What an event is read with.
pub(super) struct Desk<'d> {
    pub(super) limits: HoldLimits,
    pub(super) told: &'d mut Told,
    pub(super) judge: &'d mut dyn Judge,
    pub(super) out: &'d mut Vec<u8>,
}

impl Stream {
    /// Reads a stream of `api`; the transcript says how much text is kept for the record.
    pub fn new(api: Api, limits: HoldLimits, transcript: Transcript) -> Self {
        let reader = match api {
            Api::Chat | Api::Completions | Api::Embeddings | Api::Moderations => {
                Reader::Chat(openai::Reader::default())
            }
            Api::CountTokens | Api::Messages => Reader::Messages(Box::default()),
            Api::Responses | Api::ResponseItems => Reader::Responses(Box::default()),
        };
        let told = Told { completion: transcript, ..Told::default() };
        Self {
            limits,
            pending: Vec::new(),
            scan: sse::Scan::default(),
            known: None,
            phase: Phase::Open,
            reader,
            told,
        }
    }

    /// The client did not ask for the stream's usage: it is read and does not leave.
    #[must_use]
    pub fn without_usage(mut self) -> Self {
        match &mut self.reader {
            Reader::Chat(reader) => reader.drop_usage(),
            // Usage is part of these.
            Reader::Messages(_) | Reader::Responses(_) => {}
        }
        self
    }

    /// So many choices are asked for: without `[DONE]`, a stream has come to its end when so many have.
    #[must_use]
    pub fn of_choices(mut self, choices: u64) -> Self {
        match &mut self.reader {
            Reader::Chat(reader) => reader.expect(choices),
            // There is one.
            Reader::Messages(_) | Reader::Responses(_) => {}
        }
        self
    }

    /// The stream as it is now, to go back to. What its transcript says so far is only marked: it may be long.
    pub fn save(&mut self) -> Saved {
        let completion = std::mem::take(&mut self.told.completion);
        let saved = Saved { stream: self.clone(), completion: completion.mark() };
        self.told.completion = completion;
        saved
    }

    /// Makes the stream what it was.
    pub fn go_back(&mut self, saved: Saved) {
        let mut completion = std::mem::take(&mut self.told.completion);
        completion.rewind(&saved.completion);
        *self = saved.stream;
        self.told.completion = completion;
    }

    /// The same stream, to look ahead on: it keeps no text.
    pub fn look_ahead(&mut self) -> Self {
        let saved = self.save();
        let mut ahead = saved.stream;
        ahead.told.completion = Transcript::keeping(0);
        ahead
    }

    /// Whether a call is held at the moment.
    pub fn holds(&self) -> bool {
        match &self.reader {
            Reader::Chat(reader) => reader.holds(),
            Reader::Messages(reader) => reader.holds(),
            Reader::Responses(reader) => reader.holds(),
        }
    }

    /// Forgets what was learnt of the stream's events, so that the next one is read the slow way.
    #[cfg(test)]
    pub(super) fn forget(&mut self) {
        self.known = None;
    }

    /// What is known of the stream's events.
    #[cfg(test)]
    pub(super) fn known(&self) -> Option<&Known> {
        self.known.as_ref()
    }

    /// Bytes of calls that are held.
    pub fn bytes_held(&self) -> usize {
        match &self.reader {
            Reader::Chat(reader) => reader.bytes_held(),
            Reader::Messages(reader) => reader.bytes_held(),
            Reader::Responses(reader) => reader.bytes_held(),
        }
    }

    /// Bytes of an event that has not come whole.
    #[cfg(test)]
    pub(super) fn bytes_pending(&self) -> usize {
        self.pending.len()
    }

    /// Which choices have said something.
    #[cfg(test)]
    pub(super) fn said(&self) -> Vec<bool> {
        match &self.reader {
            Reader::Chat(reader) => reader.said(),
            Reader::Messages(_) | Reader::Responses(_) => Vec::new(),
        }
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
            if self.pending.len() < self.event_bytes_max() { Ok(()) } else { Err(uninspectable()) }
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
        let finished = match &self.reader {
            Reader::Chat(reader) => reader.is_finished(),
            // Their last event says that they are.
            Reader::Messages(_) | Reader::Responses(_) => false,
        };
        if self.phase != Phase::Open || finished {
            return Progress::Continue;
        }
        self.fail(broke_off(), judge, out)
    }

    /// Ends the stream with an error event: the upstream failed, or what it sent cannot be inspected.
    pub fn fail(&mut self, refusal: Refusal, judge: &mut dyn Judge, out: &mut Vec<u8>) -> Progress {
        let event = match &mut self.reader {
            Reader::Chat(reader) => {
                reader.abandon(judge);
                openai::error_event(&refusal)
            }
            Reader::Messages(reader) => {
                reader.abandon(judge);
                anthropic::error_event(&refusal)
            }
            Reader::Responses(reader) => {
                reader.abandon(judge, &mut self.told);
                responses::error_event(&refusal, reader.next_sequence_number())
            }
        };
        if self.phase == Phase::Open {
            out.extend_from_slice(&event);
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
                self.told.produce(text.len());
                self.told.completion.add_escaped(known.choice, text);
                let (event, after) = rest.split_at_checked(len).unwrap_or((rest, &[]));
                let done = input.len() - rest.len();
                let before = input.get(done - run..done).unwrap_or_default();
                rest = after;
                self.scan = sse::Scan::default();
                if known.sends_less() {
                    out.extend_from_slice(before);
                    known.write_less(event, out);
                    run = 0;
                } else {
                    run += len;
                }
                continue;
            }
            let done = input.len() - rest.len();
            out.extend_from_slice(input.get(done - run..done).unwrap_or_default());
            run = 0;
            let Some(sse::Boundary { end }) = sse::boundary_from(rest, &mut self.scan) else {
                return Ok(rest);
            };
            if end > self.event_bytes_max() {
                return Err(uninspectable());
            }
            let (event, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            self.event(event, judge, out)?;
            rest = after;
        }
        Ok(&[])
    }

    fn event(&mut self, raw: &[u8], judge: &mut dyn Judge, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let event = sse::event(raw).ok_or_else(uninspectable)?;
        let Some(data) = event.data else {
            // Comments keep a connection alive; `id:` and `retry:` without data break clients.
            if event.comment {
                out.extend_from_slice(b":\n\n");
            }
            return Ok(());
        };
        let mut desk = Desk { limits: self.limits, told: &mut self.told, judge, out };
        let seen = if data.trim() == "[DONE]" {
            match &mut self.reader {
                Reader::Chat(reader) => reader.done(&mut desk)?,
                // Some providers end every stream so. Only the dialect's own last event ends these.
                Reader::Messages(_) | Reader::Responses(_) => Seen::Other,
            }
        } else {
            let value = json::parse(data.as_bytes(), self.limits.nesting).map_err(|_| uninspectable())?;
            match &mut self.reader {
                Reader::Chat(reader) => reader.event(value, event.name, raw, &mut desk)?,
                Reader::Messages(reader) => reader.event(value, event.name, raw, &mut desk)?,
                Reader::Responses(reader) => reader.event(value, event.name, raw, &mut desk)?,
            }
        };
        match seen {
            Seen::Last => self.phase = Phase::Done,
            Seen::Known(known) => self.known = Some(known),
            Seen::Other => {}
            Seen::Forget => self.known = None,
        }
        Ok(())
    }
}

/// The type of a named event, of which these members are read. It is written into a line of its own, which it must
/// not end, and no other key may be read as one of its members.
pub(super) fn kind_of(event: &Value<'_>, name: Option<&str>, members: &[&str]) -> Result<String, Refusal> {
    let kind = event.get("type").and_then(Value::as_str).ok_or_else(uninspectable)?;
    let is_word = kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.');
    if !is_word || name.is_some_and(|name| name != kind) {
        return Err(uninspectable());
    }
    keys::no_twins(event, members, "").map_err(|_| uninspectable())?;
    Ok(kind.to_owned())
}

impl Told {
    /// Counts text that the model produced.
    pub(super) fn produce(&mut self, bytes: usize) {
        self.produced = self.produced.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}
