//! A streamed answer, with values in the place of its request's placeholders: bytes in, split anywhere, bytes out. It
//! stands before whoever judges the calls, so that rules and records see what the client gets.
//!
//! Of a text, that is held back which can still become a placeholder, and nothing else; it leaves with the next piece,
//! or in an event of its own when the text ends. The arguments of the client's calls stay as they are: they are held
//! until they are complete, and restored when they are judged.

use super::{
    answer::{may_hold, too_long},
    lanes::{self, Ends, Lane, Piece},
    restore::{Placeholders, TooLong},
};
use crate::{
    dialect::Api,
    json::{self, Value},
    refusal::Refusal,
    sse,
};
use std::borrow::Cow;

/// More than this is not made of an event: what judges it takes no more.
const EVENT_BYTES_MAX: usize = 1 << 20;
/// So many texts may be held in a stream.
const LANES_MAX: usize = 1024;

/// Restores one streamed answer.
#[derive(Debug)]
pub struct Restorer {
    placeholders: Placeholders,
    api: Api,
    nesting_max: usize,
    /// A longer event is handed on as it is, and refused there.
    pending_max: usize,
    pending: Vec<u8>,
    scan: sse::Scan,
    held: Vec<Held>,
    /// Blocks that are calls of the client's.
    held_blocks: Vec<u64>,
    /// Nothing more is read: what comes is handed on.
    gave_up: bool,
}

/// The end of a text that can still become a placeholder.
#[derive(Debug)]
struct Held {
    lane: Lane,
    tail: String,
    name: Option<String>,
    event: Value<'static>,
}

impl Restorer {
    /// Restores an answer in the client's dialect, whose calls have arguments of at most so many bytes.
    pub fn new(placeholders: Placeholders, api: Api, nesting_max: usize, tool_arguments: usize) -> Self {
        Self {
            placeholders,
            api,
            nesting_max,
            pending_max: EVENT_BYTES_MAX + tool_arguments,
            pending: Vec::new(),
            scan: sse::Scan::default(),
            held: Vec::new(),
            held_blocks: Vec::new(),
            gave_up: false,
        }
    }

    /// Takes in bytes of the stream, and appends what is to be judged.
    pub fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        if self.gave_up {
            out.extend_from_slice(bytes);
            return Ok(());
        }
        let mut buffer = std::mem::take(&mut self.pending);
        buffer.extend_from_slice(bytes);
        let mut rest = buffer.as_slice();
        // What is incomplete is looked through once, and stays where it is.
        while let Some(sse::Boundary { end }) = sse::boundary_from(rest, &mut self.scan) {
            let (event, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            self.event(event, out)?;
            rest = behind;
        }
        if rest.len() > self.pending_max {
            self.gave_up = true;
            out.extend_from_slice(rest);
        } else {
            let read = buffer.len() - rest.len();
            buffer.drain(..read);
            self.pending = buffer;
        }
        Ok(())
    }

    /// The stream ended: what is held leaves.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        self.flush(out, |_| true);
        out.append(&mut self.pending);
        self.gave_up = true;
    }

    fn event(&mut self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        let begins_or_ends = |word: &[u8]| memchr::memmem::find(raw, word).is_some();
        let told = self.api == Api::Messages && begins_or_ends(b"content_block_st");
        if self.held.is_empty() && !told && !may_hold(raw, true) {
            out.extend_from_slice(raw);
            return Ok(());
        }
        let Some((name, data)) = sse::event(raw).and_then(|event| Some((event.name, event.data?))) else {
            out.extend_from_slice(raw);
            return Ok(());
        };
        if data.trim() == "[DONE]" {
            self.flush(out, |_| true);
            out.extend_from_slice(raw);
            return Ok(());
        }
        // What cannot be read is handed on, and refused where it is judged.
        let Ok(mut event) = json::parse(data.as_bytes(), self.nesting_max) else {
            out.extend_from_slice(raw);
            return Ok(());
        };
        self.note_block(&event);
        let Ends { all, groups } = lanes::ends(self.api, &event);
        self.flush(out, |lane| all || groups.contains(&lane.group));
        let changed = self.pieces(&mut event, name, out).map_err(|TooLong| too_long())?;
        let changed = self.rest(&mut event).map_err(|TooLong| too_long())? || changed;
        if changed {
            write(name, &event, out);
        } else {
            out.extend_from_slice(raw);
        }
        Ok(())
    }

    /// Keeps which blocks are calls.
    fn note_block(&mut self, event: &Value<'_>) {
        let index = event.get("index").and_then(Value::as_u64).unwrap_or(0);
        match event.get("type").and_then(Value::as_str) {
            Some("content_block_start") => {
                let block = event.get("content_block").and_then(|block| block.get("type")?.as_str());
                if block == Some("tool_use") && self.held_blocks.len() < LANES_MAX {
                    self.held_blocks.push(index);
                }
            }
            Some("content_block_stop") => self.held_blocks.retain(|block| *block != index),
            Some(_) | None => {}
        }
    }

    /// Restores the pieces of texts in an event, each behind what is held of its text. Whether anything changed.
    fn pieces(
        &mut self,
        event: &mut Value<'_>,
        name: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Result<bool, TooLong> {
        self.end_those_before(event, out)?;
        let (placeholders, held) = (&self.placeholders, &mut self.held);
        let (mut changed, mut open, mut room) = (false, Vec::new(), EVENT_BYTES_MAX);
        lanes::pieces(self.api, event, &self.held_blocks, &mut |piece: Piece<'_, '_>| {
            let Piece { lane, text, spelling, last } = piece;
            let before = held.iter().position(|held| held.lane == lane).map(|at| held.remove(at).tail);
            let whole = match &before {
                Some(tail) => format!("{tail}{text}"),
                None => text.to_string(),
            };
            // What is open in the piece is open in what comes of it: a value is no beginning of a placeholder.
            let end = if last { whole.len() } else { placeholders.open_at(&whole) };
            let (told, tail) = whole.split_at_checked(end).unwrap_or((&whole, ""));
            let restored = placeholders.text(told, spelling, &mut room)?;
            if before.is_some() || restored.is_some() || !tail.is_empty() {
                changed = true;
                if !tail.is_empty() && open.len() < LANES_MAX {
                    open.push((lane, tail.to_owned()));
                }
                *text = restored.unwrap_or_else(|| told.to_owned()).into();
            }
            Ok(())
        })?;
        for (lane, tail) in open {
            let event = lanes::emptied(self.api, event, lane.group);
            self.held.push(Held { lane, tail, name: name.map(ToOwned::to_owned), event });
        }
        Ok(changed)
    }

    /// A text of a choice ends where another of it goes on, and where the choice does.
    fn end_those_before(&mut self, event: &mut Value<'_>, out: &mut Vec<u8>) -> Result<(), TooLong> {
        if self.held.is_empty() {
            return Ok(());
        }
        let mut going_on: Vec<(Lane, bool)> = Vec::new();
        lanes::pieces(self.api, event, &self.held_blocks, &mut |piece: Piece<'_, '_>| {
            if !piece.text.is_empty() || piece.last {
                going_on.push((piece.lane, piece.last));
            }
            Ok::<(), TooLong>(())
        })?;
        let finished = lanes::finished(self.api, event);
        self.flush(out, |lane| {
            let goes_on = going_on.iter().any(|(other, _)| other == lane);
            let other = going_on.iter().any(|(other, _)| other.group == lane.group && other != lane);
            !goes_on && (other || finished.contains(&lane.group))
        });
        Ok(())
    }

    /// Restores what comes whole in an event: all but its pieces, and the arguments of held calls.
    fn rest(&self, event: &mut Value<'_>) -> Result<bool, TooLong> {
        if lanes::is_of_a_held_call(self.api, event) {
            return Ok(false);
        }
        let (mut changed, mut room) = (false, EVENT_BYTES_MAX);
        for (key, member) in event.members_mut().into_iter().flatten() {
            changed |= match (key.as_ref(), &mut *member) {
                // Pieces.
                ("delta", Value::String(_)) => false,
                ("delta", Value::Object(delta)) => self.all_but(delta, &lanes::IN_A_DELTA, &mut room)?,
                ("choices", Value::Array(choices)) => {
                    let mut changed = false;
                    for choice in choices.iter_mut().filter_map(Value::members_mut) {
                        changed |= self.all_but(choice, &["delta", "text"], &mut room)?;
                    }
                    changed
                }
                _ => self.placeholders.members(member, &mut room)?,
            };
        }
        Ok(changed)
    }

    fn all_but<'v>(
        &self,
        members: &mut [(Cow<'v, str>, Value<'v>)],
        known: &[&str],
        room: &mut usize,
    ) -> Result<bool, TooLong> {
        let mut changed = false;
        for (_, member) in members.iter_mut().filter(|(key, _)| !known.contains(&key.as_ref())) {
            changed |= self.placeholders.members(member, room)?;
        }
        Ok(changed)
    }

    /// Sends what is held of some texts: it became no placeholder.
    fn flush(&mut self, out: &mut Vec<u8>, ended: impl Fn(&Lane) -> bool) {
        let api = self.api;
        self.held.retain_mut(|held| {
            if !ended(&held.lane) {
                return true;
            }
            let Held { lane, tail, name, event } = held;
            let done: Result<(), TooLong> = lanes::pieces(api, event, &[], &mut |piece: Piece<'_, '_>| {
                let told = if piece.lane == *lane { std::mem::take(tail) } else { String::new() };
                *piece.text = told.into();
                Ok(())
            });
            if done.is_ok() {
                write(name.as_deref(), event, out);
            }
            false
        });
    }
}

fn write(name: Option<&str>, event: &Value<'_>, out: &mut Vec<u8>) {
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    json::write(event, out);
    out.extend_from_slice(b"\n\n");
}
