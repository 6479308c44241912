//! A streamed message, event by event. Text and thinking leave at once; a call is held until its block stops.
//!
//! Blocks keep their indexes: a text block stands where a denied call was. What comes behind a held call waits for
//! it, since clients take blocks in their order.

use super::{
    block::{Judged, Kind, call_name, judge, judge_ran, restop, text_block},
    whole::{Meter, tell},
};
use crate::{
    dialect::{
        CALLS_MAX, CUT_SHORT, Desk, EVENT_BYTES_MAX, Judge, Seen, keys, kind_of,
        known::{Known, is_plain_named},
        notice, of_stream,
        ran::Ran,
        reported_error,
        stray::{parts_beside, parts_of_a_call, stray_call},
        uninspectable,
    },
    json::{self, Value},
    refusal::Refusal,
};

/// Members of events that are read, here or by clients.
const MEMBERS: [&str; 5] = ["type", "index", "message", "content_block", "delta"];

/// A call that begins with more beside its input is none.
const START_BYTES_MAX: usize = 16 << 10;

/// What is known of a stream so far.
#[derive(Debug, Clone, Default)]
pub(in crate::dialect) struct Reader {
    /// Blocks that have begun and not stopped.
    open: Vec<Block>,
    /// The index of the block that begins next: clients append a block, and find it by its index.
    next_index: u64,
    /// What has to leave behind the calls that are held, by the block that it belongs to.
    behind: Vec<(u64, Vec<u8>)>,
    /// Calls that the provider ran.
    ran: Ran,
    started: bool,
    /// Bytes that were kept of calls beside their input.
    kept: usize,
    released: usize,
    removed: usize,
    meter: Meter,
}

#[derive(Debug, Clone)]
struct Block {
    index: u64,
    part: Part,
}

#[derive(Debug, Clone)]
enum Part {
    /// Replaced by a text; only its end is still to be sent.
    Denied,
    /// A call: what it began with, and its input so far.
    Held(Box<Held>),
    /// It flows.
    Open { hosted: bool },
}

#[derive(Debug, Clone)]
struct Held {
    start: Value<'static>,
    input: String,
    too_long: bool,
}

impl Reader {
    /// Whether a call is held.
    pub(in crate::dialect) fn holds(&self) -> bool {
        self.open.iter().any(|block| matches!(block.part, Part::Held(_)))
    }

    /// How much is held.
    pub(in crate::dialect) fn bytes_held(&self) -> usize {
        let held = |block: &Block| match &block.part {
            Part::Held(held) => held.input.len(),
            Part::Denied | Part::Open { .. } => 0,
        };
        self.behind.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
            + self.open.iter().map(held).sum::<usize>()
    }

    /// Denies what is held: the stream ends before it did.
    pub(in crate::dialect) fn abandon(&mut self, judge: &mut dyn Judge) {
        for block in std::mem::take(&mut self.open) {
            if let Part::Held(held) = block.part {
                judge.withhold(name_of(&held.start), &held.input, CUT_SHORT);
            }
        }
        self.behind = Vec::new();
    }

    /// Takes in one event, of which `raw` are the bytes.
    pub(in crate::dialect) fn event(
        &mut self,
        event: Value<'_>,
        name: Option<&str>,
        raw: &[u8],
        desk: &mut Desk<'_>,
    ) -> Result<Seen, Refusal> {
        let kind = kind_of(&event, name, &MEMBERS)?;
        let raw = is_plain_named(raw, &kind).then_some(raw);
        if self.kept + self.bytes_held() > EVENT_BYTES_MAX + CALLS_MAX * desk.limits.tool_arguments {
            return Err(uninspectable());
        }
        match kind.as_str() {
            "content_block_start" => self.begin(&event, raw, desk),
            "content_block_delta" => self.go_on(&event, raw, desk),
            "content_block_stop" => self.stop(&event, raw, desk),
            "error" => Err(reported_error()),
            _ if stray_call(&event) => Err(uninspectable()),
            "message_start" => {
                let message = event.get("message").ok_or_else(uninspectable)?;
                if message.get("content").and_then(Value::items).is_some_and(|blocks| !blocks.is_empty()) {
                    return Err(uninspectable());
                }
                if std::mem::replace(&mut self.started, true) {
                    return Err(uninspectable());
                }
                self.meter.read(message.get("usage"));
                desk.told.usage = self.meter.usage();
                desk.told.reply(&event);
                self.send(&event, raw, desk.out);
                Ok(Seen::Forget)
            }
            "message_delta" => self.close(event, raw, desk),
            "message_stop" if !self.started => Err(uninspectable()),
            "message_stop" => {
                self.deny_the_rest(desk);
                self.flush(desk.out);
                self.send(&event, raw, desk.out);
                Ok(Seen::Last)
            }
            "ping" => {
                write(&event, raw, desk.out);
                Ok(Seen::Other)
            }
            _ if parts_of_a_call(&event) => Err(uninspectable()),
            _ => {
                self.send(&event, raw, desk.out);
                Ok(Seen::Forget)
            }
        }
    }

    fn begin(&mut self, event: &Value<'_>, raw: Option<&[u8]>, desk: &mut Desk<'_>) -> Result<Seen, Refusal> {
        let index = index_of(event)?;
        let block = event.get("content_block").ok_or_else(uninspectable)?;
        if index != self.next_index || self.open.len() >= CALLS_MAX {
            return Err(uninspectable());
        }
        let mut outside = event.clone();
        outside.remove("content_block");
        if stray_call(&outside) {
            return Err(uninspectable());
        }
        self.next_index = index.saturating_add(1);
        let part = match Kind::of(block).map_err(|_| uninspectable())? {
            Kind::Call => {
                let input = match block.get("input") {
                    None | Some(Value::Null) => String::new(),
                    Some(Value::Object(members)) if members.is_empty() => String::new(),
                    Some(input) => input.to_string(),
                };
                let too_long = input.len() > desk.limits.tool_arguments;
                let input = if too_long { String::new() } else { input };
                call_name(block).map_err(of_stream)?;
                self.kept += block.to_string().len();
                Part::Held(Box::new(Held { start: start_of(block)?, input, too_long }))
            }
            kind @ (Kind::Hosted | Kind::HostedResult) => {
                match judge_ran(kind, block, &mut self.ran, desk).map_err(of_stream)? {
                    None => Part::Open { hosted: true },
                    Some(notice) => {
                        self.begin_text(index, notice, desk);
                        Part::Denied
                    }
                }
            }
            Kind::Other => {
                tell(block, desk.told);
                Part::Open { hosted: false }
            }
        };
        if matches!(part, Part::Open { .. }) {
            self.send(event, raw, desk.out);
        }
        self.open.push(Block { index, part });
        Ok(Seen::Forget)
    }

    fn go_on(&mut self, event: &Value<'_>, raw: Option<&[u8]>, desk: &mut Desk<'_>) -> Result<Seen, Refusal> {
        let index = index_of(event)?;
        let delta = event.get("delta").ok_or_else(uninspectable)?;
        let kind = delta.get("type").and_then(Value::as_str).ok_or_else(uninspectable)?;
        keys::no_twins(delta, &["type", "text", "partial_json"], "").map_err(|_| uninspectable())?;
        let piece =
            delta.get("partial_json").map(|piece| piece.as_str().ok_or_else(uninspectable)).transpose()?;
        let block = self.open.iter_mut().find(|block| block.index == index).ok_or_else(uninspectable)?;
        match (&mut block.part, piece) {
            (Part::Held(held), Some(piece)) if kind == "input_json_delta" => {
                held.too_long |= held.input.len() + piece.len() > desk.limits.tool_arguments;
                if !held.too_long {
                    held.input.push_str(piece);
                }
                return Ok(Seen::Other);
            }
            (Part::Denied, _) => return Ok(Seen::Other),
            (Part::Open { hosted: true }, _) | (Part::Open { hosted: false }, None) => {}
            (Part::Held(_) | Part::Open { hosted: false }, _) => return Err(uninspectable()),
        }
        let hosted = matches!(block.part, Part::Open { hosted: true });
        let own: &[&str] = if hosted { &["partial_json"] } else { &[] };
        if stray_call(event) || parts_beside(event, &["delta"]) || parts_beside(delta, own) {
            return Err(uninspectable());
        }
        tell(delta, desk.told);
        self.send(event, raw, desk.out);
        let text = delta.get("text").and_then(Value::as_str);
        let known = match (raw, text) {
            (Some(raw), Some(text)) if kind == "text_delta" && !self.holds() => Known::learn(text, raw, 0),
            _ => None,
        };
        Ok(known.map_or(Seen::Other, Seen::Known))
    }

    fn stop(&mut self, event: &Value<'_>, raw: Option<&[u8]>, desk: &mut Desk<'_>) -> Result<Seen, Refusal> {
        let index = index_of(event)?;
        if stray_call(event) {
            return Err(uninspectable());
        }
        let at = self.open.iter().position(|block| block.index == index).ok_or_else(uninspectable)?;
        let block = self.open.remove(at);
        match block.part {
            Part::Held(held) => self.settle(index, *held, desk)?,
            Part::Denied => self.send(&block_event("content_block_stop", index, []), None, desk.out),
            Part::Open { .. } => self.send(event, raw, desk.out),
        }
        if !self.holds() {
            self.flush(desk.out);
        }
        Ok(Seen::Forget)
    }

    /// Sends a held call as it was judged, or the text that stands for it.
    fn settle(&mut self, index: u64, held: Held, desk: &mut Desk<'_>) -> Result<(), Refusal> {
        let Held { start, input, too_long } = held;
        if too_long {
            let name = name_of(&start);
            desk.judge.withhold(name, &input, crate::dialect::TOO_LONG);
            self.begin_text(index, notice(name, crate::dialect::TOO_LONG), desk);
        } else {
            match judge(&start, input, desk)? {
                Judged::Removed(notice) => self.begin_text(index, notice, desk),
                Judged::Released { input, .. } => {
                    self.released += 1;
                    self.begin_call(index, start, &input, desk.out);
                }
            }
        }
        self.send(&block_event("content_block_stop", index, []), None, desk.out);
        Ok(())
    }

    fn begin_call(&mut self, index: u64, start: Value<'static>, input: &str, out: &mut Vec<u8>) {
        let mut start = start;
        start.set("input", Value::Object(Vec::new()));
        self.send(&block_event("content_block_start", index, [("content_block", start)]), None, out);
        if !input.is_empty() {
            let delta = Value::object([
                ("type", Value::string("input_json_delta")),
                ("partial_json", Value::string(input)),
            ]);
            self.send(&block_event("content_block_delta", index, [("delta", delta.into_owned())]), None, out);
        }
    }

    fn begin_text(&mut self, index: u64, text: String, desk: &mut Desk<'_>) {
        self.removed += 1;
        desk.told.completion.add(0, &text);
        let start = text_block(String::new());
        self.send(&block_event("content_block_start", index, [("content_block", start)]), None, desk.out);
        let delta = Value::object([("type", Value::string("text_delta")), ("text", Value::string(text))]);
        self.send(&block_event("content_block_delta", index, [("delta", delta)]), None, desk.out);
    }

    fn close(&mut self, event: Value<'_>, raw: Option<&[u8]>, desk: &mut Desk<'_>) -> Result<Seen, Refusal> {
        let mut event = event;
        self.deny_the_rest(desk);
        self.flush(desk.out);
        self.meter.read(event.get("usage"));
        desk.told.usage = self.meter.usage();
        // Its counts are totals, and nothing is said behind the reason to stop.
        let stops = event.get("delta").is_some_and(|delta| delta.present("stop_reason").is_some());
        desk.told.is_counted = stops && event.present("usage").is_some();
        desk.told.reply(&event);
        let removed = self.removed > 0;
        let changed = removed && event.get_mut("delta").is_some_and(|delta| restop(delta, self.released));
        self.send(&event, raw.filter(|_| !changed), desk.out);
        Ok(Seen::Forget)
    }

    /// Calls whose block did not stop before the message did.
    fn deny_the_rest(&mut self, desk: &mut Desk<'_>) {
        for block in std::mem::take(&mut self.open) {
            if let Part::Held(held) = block.part {
                let name = name_of(&held.start);
                desk.judge.withhold(name, &held.input, CUT_SHORT);
                self.begin_text(block.index, notice(name, CUT_SHORT), desk);
                self.send(&block_event("content_block_stop", block.index, []), None, desk.out);
            }
        }
    }

    /// Sends an event, behind what is held.
    fn send(&mut self, event: &Value<'_>, raw: Option<&[u8]>, out: &mut Vec<u8>) {
        if self.holds() || !self.behind.is_empty() {
            let mut bytes = Vec::new();
            write(event, raw, &mut bytes);
            let index = event.get("index").and_then(Value::as_u64).unwrap_or(u64::MAX);
            self.behind.push((index, bytes));
        } else {
            write(event, raw, out);
        }
    }

    /// Sends what waited, in the order of the blocks.
    fn flush(&mut self, out: &mut Vec<u8>) {
        let mut behind = std::mem::take(&mut self.behind);
        behind.sort_by_key(|(index, _)| *index);
        for (_, bytes) in behind {
            out.extend_from_slice(&bytes);
        }
    }
}

/// What a call begins with, without its input: bounded, since it is kept until the call is complete.
fn start_of(block: &Value<'_>) -> Result<Value<'static>, Refusal> {
    let mut start = block.clone().into_owned();
    start.set("input", Value::Object(Vec::new()));
    if start.to_string().len() > START_BYTES_MAX { Err(uninspectable()) } else { Ok(start) }
}

fn write(event: &Value<'_>, raw: Option<&[u8]>, out: &mut Vec<u8>) {
    if let Some(raw) = raw {
        out.extend_from_slice(raw);
        return;
    }
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(event.get("type").and_then(Value::as_str).unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\ndata: ");
    json::write(event, out);
    out.extend_from_slice(b"\n\n");
}

fn index_of(event: &Value<'_>) -> Result<u64, Refusal> {
    event.get("index").and_then(Value::as_u64).ok_or_else(uninspectable)
}

fn name_of<'v>(start: &'v Value<'_>) -> &'v str {
    start.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn block_event<const N: usize>(
    kind: &'static str,
    index: u64,
    more: [(&'static str, Value<'static>); N],
) -> Value<'static> {
    let mut event = Value::object([("type", Value::string(kind)), ("index", Value::integer(index))]);
    for (key, value) in more {
        event.set(key, value);
    }
    event
}
