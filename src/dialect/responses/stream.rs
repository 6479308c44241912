//! A streamed response, event by event. Text and reasoning leave at once; a call is held until its item is complete.
//!
//! Items keep their places: a message stands where a denied call was. What belongs to items behind a held call waits
//! for it, since clients take items in their order. Numbers of events are dense, whatever was taken out.

use super::{
    events::{Numbers, call_events, message_events},
    item::{Call, Judged, Kind, Shell, call_id, judge, message, remember, tell},
    slot::{Held, Queue, Slot, State, id_of, start_of},
    whole::{conceal_error, has_failed, judge_item, judge_ran, keep, keep_item, read_usage, told_instead},
};
use crate::{
    dialect::{
        CALLS_MAX, CUT_SHORT, Desk, EVENT_BYTES_MAX, Judge, Seen, TOO_LONG, Told, kind_of,
        known::is_plain_named,
        notice, of_stream,
        ran::Ran,
        reported_error,
        stray::{is_calls_type, parts_beside, stray_beside, stray_call},
        uninspectable,
    },
    json::Value,
    refusal::Refusal,
};

/// Members of events that are read, here or by clients.
const MEMBERS: [&str; 13] = [
    "type",
    "sequence_number",
    "output_index",
    "content_index",
    "item_id",
    "item",
    "part",
    "response",
    "delta",
    "text",
    "name",
    "arguments",
    "input",
];

/// What is known of a stream so far.
#[derive(Debug, Clone, Default)]
pub(in crate::dialect) struct Reader {
    slots: Vec<Slot>,
    /// Every item that begins has a higher index than those before it: clients append it.
    next_index: u64,
    queue: Queue,
    numbers: Numbers,
    /// Calls that the provider ran.
    ran: Ran,
    /// Bytes that were kept of items, beside arguments that are held.
    kept: usize,
}

/// Where events stand that belong to no item.
const BEHIND_ALL: u64 = u64::MAX;

impl Reader {
    /// Whether a call is held.
    pub(in crate::dialect) fn holds(&self) -> bool {
        self.lowest_held().is_some()
    }

    fn lowest_held(&self) -> Option<u64> {
        let held = self.slots.iter().filter(|slot| matches!(slot.state, State::Held(_)));
        held.map(|slot| slot.index).min()
    }

    /// How much is held.
    pub(in crate::dialect) fn bytes_held(&self) -> usize {
        let held = |slot: &Slot| match &slot.state {
            State::Held(held) => held.text.len(),
            State::Open { .. } | State::Settled { .. } => 0,
        };
        self.queue.bytes + self.slots.iter().map(held).sum::<usize>()
    }

    /// The number that an event of ours carries.
    pub(in crate::dialect) fn next_sequence_number(&self) -> u64 {
        self.numbers.last.map_or(0, |last| last.saturating_add(1))
    }

    /// Denies what is held: the stream ends before it did.
    pub(in crate::dialect) fn abandon(&mut self, judge: &mut dyn Judge, told: &mut Told) {
        for slot in std::mem::take(&mut self.slots) {
            if let State::Held(held) = slot.state {
                let tool = held.call.tool(&held.start).unwrap_or_default().into_owned();
                judge.withhold(&tool, &held.text, CUT_SHORT);
                remember(&held.start, &notice(&tool, CUT_SHORT), told);
            }
        }
        self.queue = Queue::default();
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
        match kind.as_str() {
            "error" => return Err(reported_error()),
            "response.created" | "response.in_progress" | "response.queued" => {
                self.tell_of_response(event, raw, desk)?;
            }
            "response.output_item.added" => self.begin(event, raw, desk)?,
            "response.output_item.done" => self.finish(event, raw, desk)?,
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.close(event, raw, desk)?;
                return Ok(Seen::Last);
            }
            _ => self.go_on(&kind, event, raw, desk)?,
        }
        let room = EVENT_BYTES_MAX + CALLS_MAX * desk.limits.tool_arguments;
        let full = self.queue.bytes > EVENT_BYTES_MAX || self.kept + self.bytes_held() > room;
        if full || self.slots.len() > 8 * CALLS_MAX {
            return Err(uninspectable());
        }
        Ok(Seen::Other)
    }

    /// The response as it begins: nothing in it yet.
    fn tell_of_response(
        &mut self,
        event: Value<'_>,
        raw: Option<&[u8]>,
        desk: &mut Desk<'_>,
    ) -> Result<(), Refusal> {
        let mut event = event;
        let response = event.get_mut("response").ok_or_else(uninspectable)?;
        let items = response.get("output").and_then(Value::items).unwrap_or_default();
        if !items.is_empty() {
            return Err(uninspectable());
        }
        keep(response, desk.told);
        let concealed = conceal_error(response);
        if stray_call(&event) {
            return Err(uninspectable());
        }
        self.send(BEHIND_ALL, event, raw.filter(|_| !concealed), desk.out);
        Ok(())
    }

    /// Takes the place of an item that begins.
    fn take_place(&mut self, index: u64) -> Result<(), Refusal> {
        if index < self.next_index {
            return Err(uninspectable());
        }
        self.next_index = index.saturating_add(1);
        Ok(())
    }

    fn begin(&mut self, event: Value<'_>, raw: Option<&[u8]>, desk: &mut Desk<'_>) -> Result<(), Refusal> {
        let index = index_of(&event)?;
        self.take_place(index)?;
        let item = item_of(&event)?;
        let kind = Self::kind(item, desk)?;
        match kind {
            Kind::Call(call) => {
                let start = start_of(item);
                self.kept += item.to_string().len();
                let held = Held { call, start, text: String::new(), too_long: false };
                self.slots.push(Slot { index, id: None, state: State::Held(Box::new(held)) });
            }
            Kind::Hosted | Kind::HostedResult => {
                self.slots.push(Slot { index, id: id_of(item), state: State::open(item, true) });
                match judge_ran(kind, item, &mut self.ran, desk).map_err(of_stream)? {
                    None => {
                        keep_item(item, desk.told);
                        self.send(index, event, raw, desk.out);
                    }
                    Some(notice) => {
                        let id = call_id(item).to_owned();
                        self.replace(index, id, &notice, desk);
                    }
                }
            }
            Kind::Other => {
                keep_item(item, desk.told);
                self.slots.push(Slot { index, id: id_of(item), state: State::open(item, false) });
                self.send(index, event, raw, desk.out);
            }
        }
        Ok(())
    }

    /// What an item is. Its id must be one.
    fn kind(item: &Value<'_>, desk: &Desk<'_>) -> Result<Kind, Refusal> {
        if call_id(item).len() > 1024 {
            return Err(uninspectable());
        }
        Kind::of(item, Shell::offered(desk.judge)).map_err(of_stream)
    }

    /// Any event between an item's begin and its end, or of no item at all.
    fn go_on(
        &mut self,
        kind: &str,
        event: Value<'_>,
        raw: Option<&[u8]>,
        desk: &mut Desk<'_>,
    ) -> Result<(), Refusal> {
        let of_call = is_calls_type(kind) || kind.contains("arguments");
        let part = event.get("part").and_then(|part| part.get("type")?.as_str());
        if part.is_some_and(is_calls_type) {
            return Err(uninspectable());
        }
        let mut own: &[&str] = &[];
        let index = event.get("output_index").and_then(Value::as_u64);
        let slot = index.and_then(|index| self.slots.iter_mut().find(|slot| slot.index == index));
        match slot.map(|slot| &mut slot.state) {
            Some(State::Held(held)) => {
                held.absorb(kind, &event, desk.limits.tool_arguments);
                return Ok(());
            }
            Some(State::Settled { .. }) => return Ok(()),
            Some(State::Open { hosted: true, kind: item, id }) => {
                // Only what is told of the item itself: another call's arguments could come under its index.
                let told = kind.strip_prefix("response.").and_then(|told| told.strip_prefix(item.as_str()));
                let is_own = told.is_some_and(|rest| rest.starts_with(['.', '_']));
                let item_id = event.present("item_id").and_then(Value::as_str);
                if !is_own || item_id.is_some_and(|item_id| item_id != id) {
                    return Err(uninspectable());
                }
                // Only the call of a server has a name and arguments that it tells of.
                let calls = event.present("name").is_some() || kind.contains("arguments");
                match item.as_str() {
                    "mcp_call" => own = &["arguments"],
                    _ if calls => return Err(uninspectable()),
                    _ => {}
                }
            }
            Some(State::Open { hosted: false, .. }) | None if of_call => return Err(uninspectable()),
            Some(State::Open { hosted: false, .. }) | None => {}
        }
        if stray_call(&event) || parts_beside(&event, own) {
            return Err(uninspectable());
        }
        if let Some(delta) = event.get("delta").and_then(Value::as_str) {
            // A recording has no tokens for its letters.
            desk.told.produce(if kind.ends_with("audio.delta") { 0 } else { delta.len() });
            if kind == "response.output_text.delta" || kind == "response.refusal.delta" {
                desk.told.completion.add(0, delta);
            }
        }
        self.send(index.unwrap_or(BEHIND_ALL), event, raw, desk.out);
        Ok(())
    }

    fn finish(&mut self, event: Value<'_>, raw: Option<&[u8]>, desk: &mut Desk<'_>) -> Result<(), Refusal> {
        let index = index_of(&event)?;
        let item = item_of(&event)?;
        let kind = Self::kind(item, desk)?;
        let at = self.slots.iter().position(|slot| slot.index == index);
        let state = at.and_then(|at| self.slots.get(at)).map(|slot| &slot.state);
        match (state, kind) {
            (Some(State::Settled { .. }), _) => Ok(()),
            (Some(open @ State::Open { .. }), Kind::Hosted | Kind::HostedResult | Kind::Other) => {
                if !open.is_of(item) {
                    return Err(uninspectable());
                }
                keep_item(item, desk.told);
                self.send(index, event, raw, desk.out);
                Ok(())
            }
            // An item that comes whole, without a begin.
            (None, Kind::Other | Kind::Hosted | Kind::HostedResult) => {
                if kind == Kind::Other {
                    tell(item, desk.told);
                }
                let mut begin = event.clone();
                begin.set("type", Value::string("response.output_item.added"));
                self.begin(begin, None, desk)?;
                self.finish(event, raw, desk)
            }
            (Some(State::Held(_)) | None, Kind::Call(call)) => {
                let mut item = item.clone().into_owned();
                match at.map(|at| self.slots.remove(at).state) {
                    Some(State::Held(held)) => {
                        if !held.complete(call, &mut item) {
                            self.deny(index, &held, TOO_LONG, desk);
                            return Ok(());
                        }
                    }
                    Some(State::Open { .. } | State::Settled { .. }) | None => self.take_place(index)?,
                }
                self.settle(index, call, item, desk)
            }
            (Some(State::Held(_) | State::Open { .. }), _) => Err(uninspectable()),
        }
    }

    /// Judges a complete call and sends it as it was judged, or the message that stands for it.
    fn settle(
        &mut self,
        index: u64,
        call: Call,
        item: Value<'static>,
        desk: &mut Desk<'_>,
    ) -> Result<(), Refusal> {
        let mut item = item;
        self.no_id_twice(&item)?;
        let id = call_id(&item).to_owned();
        let judged = match judge(call, &mut item, desk) {
            Ok(judged) => judged,
            Err(refusal) => {
                remember(&item, &notice(&call.tool(&item).unwrap_or_default(), CUT_SHORT), desk.told);
                return Err(of_stream(refusal));
            }
        };
        match judged {
            Judged::Removed(notice) => {
                remember(&item, &notice, desk.told);
                self.ran.deny(&id);
                self.replace(index, id, &notice, desk);
            }
            Judged::Released { .. } => {
                keep_item(&item, desk.told);
                self.settled(index, id, item.clone());
                for event in call_events(index, call, &item) {
                    self.send(index, event, None, desk.out);
                }
            }
        }
        self.release(desk.out);
        Ok(())
    }

    /// Some clients find the item that a piece of a call belongs to by its id.
    fn no_id_twice(&self, item: &Value<'_>) -> Result<(), Refusal> {
        let id = id_of(item);
        let has_left = id.is_some() && self.slots.iter().any(|slot| slot.id == id);
        if has_left { Err(uninspectable()) } else { Ok(()) }
    }

    /// Sends a message in the place of a call.
    fn replace(&mut self, index: u64, call_id: String, notice: &str, desk: &mut Desk<'_>) {
        desk.told.completion.add(0, notice);
        let response = desk.told.kept.as_ref().map(|kept| kept.id.as_str()).unwrap_or_default();
        let item = message(response, index, notice.to_owned());
        told_instead(&item, notice.to_owned(), desk.told);
        self.settled(index, call_id, item.clone());
        for event in message_events(index, &item, notice) {
            self.send(index, event, None, desk.out);
        }
        self.release(desk.out);
    }

    fn settled(&mut self, index: u64, call_id: String, item: Value<'static>) {
        self.kept += item.to_string().len();
        self.slots.retain(|slot| slot.index != index);
        self.slots.push(Slot { index, id: id_of(&item), state: State::Settled { call_id, item } });
    }

    /// The response as it ends: its copy of every call is the one that was judged.
    fn close(&mut self, event: Value<'_>, raw: Option<&[u8]>, desk: &mut Desk<'_>) -> Result<(), Refusal> {
        let mut event = event;
        let response = event.get_mut("response").ok_or_else(uninspectable)?;
        keep(response, desk.told);
        let mut changed = conceal_error(response);
        desk.told.failed = has_failed(response);
        if let Some(usage) = response.present("usage") {
            desk.told.usage = read_usage(usage);
            desk.told.is_counted = true;
        }
        desk.told.reply(response);
        let output = response.get_mut("output").filter(|output| !output.is_null()).map(std::mem::take);
        if stray_call(&event) {
            return Err(uninspectable());
        }
        let mut output = match output {
            None => None,
            Some(Value::Array(items)) => Some(items),
            Some(_) => return Err(uninspectable()),
        };
        self.deny_the_rest(output.as_deref().unwrap_or_default(), desk)?;
        let id = desk.told.kept.as_ref().map(|kept| kept.id.clone()).unwrap_or_default();
        for (at, item) in output.iter_mut().flatten().enumerate() {
            let at = u64::try_from(at).unwrap_or(u64::MAX);
            changed |= self.copy(at, item, &id, desk)?;
        }
        if let (Some(output), Some(response)) = (output, event.get_mut("response")) {
            output.iter().for_each(|item| keep_item(item, desk.told));
            response.set("output", Value::Array(output));
        }
        if let Some(kept) = &mut desk.told.kept {
            kept.complete = true;
        }
        self.send(BEHIND_ALL, event, raw.filter(|_| !changed), desk.out);
        Ok(())
    }

    /// Makes the copy of an item what left of it. Whether that changed it.
    fn copy(
        &mut self,
        index: u64,
        item: &mut Value<'_>,
        response_id: &str,
        desk: &mut Desk<'_>,
    ) -> Result<bool, Refusal> {
        let kind = Self::kind(item, desk)?;
        if kind == Kind::Other {
            // Its text was told as it came, unless nothing came before.
            if self.slots.is_empty() {
                tell(item, desk.told);
            }
            return Ok(false);
        }
        if let Some(at) = self.left_as(index, kind, item) {
            return Ok(match self.slots.remove(at).state {
                State::Settled { item: known, .. } => {
                    let changed = *item != known;
                    *item = known;
                    changed
                }
                State::Open { .. } | State::Held(_) => false,
            });
        }
        judge_item(item, response_id, index, &mut self.ran, desk).map_err(of_stream)
    }

    /// Denies a call of which not all is known.
    fn deny(&mut self, index: u64, held: &Held, why: &'static str, desk: &mut Desk<'_>) {
        let tool = held.call.tool(&held.start).unwrap_or_default().into_owned();
        desk.judge.withhold(&tool, &held.text, why);
        let notice = notice(&tool, why);
        remember(&held.start, &notice, desk.told);
        self.replace(index, call_id(&held.start).to_owned(), &notice, desk);
    }

    /// The place of what left of an item of the response: its own, or else one of the same id; one that flowed is of the
    /// same type.
    fn left_as(&self, index: u64, kind: Kind, item: &Value<'_>) -> Option<usize> {
        let ran = matches!(kind, Kind::Hosted | Kind::HostedResult);
        let is_it = |slot: &Slot| match &slot.state {
            State::Settled { call_id: id, .. } => id == call_id(item),
            open @ State::Open { hosted: true, .. } => ran && slot.index == index && open.is_of(item),
            State::Open { hosted: false, .. } | State::Held(_) => false,
        };
        let own = self.slots.iter().position(|slot| slot.index == index && is_it(slot));
        own.or_else(|| self.slots.iter().position(is_it))
    }

    /// Calls whose item did not end before the response did: the response may tell the whole of them.
    fn deny_the_rest(&mut self, output: &[Value<'_>], desk: &mut Desk<'_>) -> Result<(), Refusal> {
        let shell = Shell::offered(desk.judge);
        while let Some(index) = self.lowest_held() {
            let Some(at) = self.slots.iter().position(|slot| slot.index == index) else { return Ok(()) };
            let State::Held(held) = self.slots.remove(at).state else { return Ok(()) };
            let id = call_id(&held.start);
            let whole = output.iter().find(|item| {
                call_id(item) == id
                    && matches!(Kind::of(item, shell), Ok(Kind::Call(call)) if call == held.call)
            });
            if let Some(whole) = whole {
                let mut whole = whole.clone().into_owned();
                if held.complete(held.call, &mut whole) {
                    self.settle(index, held.call, whole, desk)?;
                    continue;
                }
            }
            self.deny(index, &held, if held.too_long { TOO_LONG } else { CUT_SHORT }, desk);
        }
        self.release(desk.out);
        Ok(())
    }

    /// Sends an event of the item at `index`, behind what is held before it.
    fn send(&mut self, index: u64, event: Value<'_>, raw: Option<&[u8]>, out: &mut Vec<u8>) {
        if self.lowest_held().is_some_and(|held| index > held) {
            self.queue.bytes += raw.map_or_else(|| event.to_string().len(), <[u8]>::len);
            self.queue.events.push((index, event.into_owned()));
        } else {
            self.numbers.write(event, raw, out);
        }
    }

    /// Sends what waited for calls that are held no longer.
    fn release(&mut self, out: &mut Vec<u8>) {
        let lowest = self.lowest_held().unwrap_or(u64::MAX);
        let (mut free, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.queue.events)
            .into_iter()
            .partition(|(index, _)| *index < lowest || lowest == u64::MAX);
        free.sort_by_key(|(index, _)| *index);
        self.queue.bytes = waiting.iter().map(|(_, event)| event.to_string().len()).sum();
        self.queue.events = waiting;
        for (_, event) in free {
            self.numbers.write(event, None, out);
        }
    }
}

fn index_of(event: &Value<'_>) -> Result<u64, Refusal> {
    event
        .get("output_index")
        .and_then(Value::as_u64)
        .filter(|index| *index < BEHIND_ALL)
        .ok_or_else(uninspectable)
}

/// The item of an event. Beside it nothing of the event may carry a call.
fn item_of<'v, 'a>(event: &'v Value<'a>) -> Result<&'v Value<'a>, Refusal> {
    if stray_beside(event, &["item"]) {
        return Err(uninspectable());
    }
    event.get("item").ok_or_else(uninspectable)
}
