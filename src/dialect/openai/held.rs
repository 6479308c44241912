//! The calls of one choice of a stream, held until their arguments are complete.
//!
//! Providers differ in how they cut a call up. Here every form becomes the same thing: a name, an id and one
//! argument text. A new, non-empty id starts a new call, whatever its index says; a fragment without an index
//! belongs to the last call; a repeated name or id is one. What is released is written anew from what was
//! decided, so that no client can read another call out of the fragments than the one that was judged.

use super::{told_together, whole::ECHOED};
use crate::{
    dialect::{
        CALLS_MAX, CUT_SHORT, Desk, HoldLimits, Judge, TOO_LONG, Verdict,
        input::{self, Form},
        notice,
    },
    json::Value,
    refusal::Refusal,
};
use std::borrow::Cow;

/// A call with a longer id or name is denied.
const WORD_BYTES_MAX: usize = 1024;

/// One choice of a stream.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(super) index: u64,
    pub(super) finished: bool,
    /// Whether the choice has said any text, from which a notice then stands apart.
    pub(super) said: bool,
    calls: Vec<Call>,
    /// Tool calls that were released. A choice that finishes again goes on counting: a second call under the
    /// same index would be joined to the first by clients, to one that nobody judged.
    released: usize,
    /// Whether a legacy call was released, of which a client keeps one.
    legacy_released: bool,
}

#[derive(Debug, Clone)]
struct Call {
    /// The index that the provider gave, if any.
    at: Option<u64>,
    id: String,
    name: String,
    text: String,
    form: Form,
    legacy: bool,
    /// Members that the provider added (`extra_content` with thought signatures, say); released with the call.
    extra: Vec<(Cow<'static, str>, Value<'static>)>,
    too_long: bool,
}

/// More was to be held than a stream may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TooMuch;

/// A call of a choice, put together from its fragments.
#[derive(Debug, Clone)]
pub(crate) struct Assembled {
    /// Empty where the provider gave none.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) text: String,
    /// Whether it is a call of a function, not of a custom tool.
    pub(crate) function: bool,
    /// Whether it is longer than may be held: its parts are not all here.
    pub(crate) too_long: bool,
}

/// What is left of a choice's calls after judgement.
#[derive(Debug, Clone, Default)]
pub(super) struct Settled {
    /// The text that stands for what was taken out.
    pub(super) notice: Option<String>,
    /// Deltas to send, one a call, indexes dense.
    pub(super) deltas: Vec<Value<'static>>,
}

impl Choice {
    pub(crate) fn new(index: u64) -> Self {
        Self { index, finished: false, said: false, calls: Vec::new(), released: 0, legacy_released: false }
    }

    /// How many calls are held.
    pub(crate) fn held(&self) -> usize {
        self.calls.len()
    }

    /// How much is held, beside a constant for each call.
    pub(crate) fn bytes_held(&self) -> usize {
        let extra = |call: &Call| {
            call.extra.iter().map(|(key, value)| key.len() + value.to_string().len()).sum::<usize>()
        };
        self.calls.iter().map(|call| call.id.len() + call.name.len() + call.text.len() + extra(call)).sum()
    }

    /// Whether any call of this choice has left.
    pub(super) fn has_released(&self) -> bool {
        self.released > 0 || self.legacy_released
    }

    /// Takes in a `delta.tool_calls` array.
    pub(crate) fn absorb(&mut self, fragments: &Value<'_>, limits: HoldLimits) -> Result<(), TooMuch> {
        let single = std::slice::from_ref(fragments);
        for fragment in fragments.items().unwrap_or(single) {
            self.fragment(fragment, limits)?;
        }
        Ok(())
    }

    /// Takes in a legacy `delta.function_call`: one a choice.
    pub(crate) fn absorb_legacy(&mut self, fragment: &Value<'_>, limits: HoldLimits) -> Result<(), TooMuch> {
        if self.legacy_released {
            return Err(TooMuch);
        }
        let at = self.calls.iter().position(|call| call.legacy);
        let call = match at {
            Some(at) => self.calls.get_mut(at),
            None => {
                let call = self.start(None, Form::Function)?;
                call.legacy = true;
                Some(call)
            }
        };
        if let Some(call) = call {
            call.name(&input::string(fragment.get("name")));
            call.text(&input::string(fragment.get("arguments")), limits);
        }
        Ok(())
    }

    /// Takes the calls, unjudged: for what is judged in another dialect.
    pub(crate) fn take_calls(&mut self) -> Vec<Assembled> {
        let assembled = |call: Call| Assembled {
            function: call.form == Form::Function,
            id: call.id,
            name: call.name,
            text: call.text,
            too_long: call.too_long,
        };
        std::mem::take(&mut self.calls).into_iter().map(assembled).collect()
    }

    fn fragment(&mut self, fragment: &Value<'_>, limits: HoldLimits) -> Result<(), TooMuch> {
        let (form, part) = match fragment.present("custom") {
            Some(custom) => (Form::Custom, Some(custom)),
            None => (Form::Function, fragment.present("function")),
        };
        let at = fragment.get("index").and_then(Value::as_u64);
        let id = input::string(fragment.get("id"));
        let name = input::string(part.and_then(|part| part.get("name")));
        let input = if form == Form::Custom { "input" } else { "arguments" };
        let text = input::string(part.and_then(|part| part.get(input)));
        let call = match self.position(at, &id, &name) {
            Some(position) => self.calls.get_mut(position).ok_or(TooMuch)?,
            None => self.start(at, form)?,
        };
        call.id(&id);
        call.name(&name);
        call.text(&text, limits);
        call.extras(fragment, limits);
        Ok(())
    }

    /// The call that a fragment continues; `None` if it starts one.
    fn position(&self, at: Option<u64>, id: &str, name: &str) -> Option<usize> {
        let position = match at {
            Some(_) => self.calls.iter().rposition(|call| call.at == at && !call.legacy),
            None => self.calls.iter().rposition(|call| !call.legacy),
        }?;
        let call = self.calls.get(position)?;
        if !id.is_empty() && !call.id.is_empty() && call.id != id {
            // Its own call, perhaps one that began earlier under the same index.
            return self.calls.iter().position(|call| call.id == id);
        }
        let named_again = !name.is_empty() && !call.text.is_empty() && call.name != name;
        (!(named_again && (id.is_empty() || call.id.is_empty()))).then_some(position)
    }

    fn start(&mut self, at: Option<u64>, form: Form) -> Result<&mut Call, TooMuch> {
        if self.calls.len() >= CALLS_MAX {
            return Err(TooMuch);
        }
        self.calls.push(Call {
            at,
            id: String::new(),
            name: String::new(),
            text: String::new(),
            form,
            legacy: false,
            extra: Vec::new(),
            too_long: false,
        });
        self.calls.last_mut().ok_or(TooMuch)
    }

    /// Judges every held call, now that the choice has finished.
    pub(super) fn settle(&mut self, desk: &mut Desk<'_>) -> Result<Settled, Refusal> {
        let mut settled = Settled::default();
        let mut notices = Vec::new();
        let mut told = Vec::new();
        let mut calls = std::mem::take(&mut self.calls).into_iter();
        while let Some(mut call) = calls.next() {
            desk.told.produce(call.text.len());
            call.too_long |= !desk.judge.restore(&mut call.text, call.form, desk.limits.tool_arguments);
            if call.too_long {
                desk.judge.withhold(&call.name, &call.text, TOO_LONG);
                notices.push(notice(&call.name, TOO_LONG));
                continue;
            }
            let verdict = {
                let args = input::arguments(call.form, &call.text, desk.limits.nesting);
                desk.judge.judge_call(&call.id, &call.name, &args, &call.text)
            };
            match verdict {
                Verdict::Abort(refusal) => {
                    // The rest is abandoned with the stream.
                    self.calls = calls.collect();
                    return Err(refusal);
                }
                Verdict::Release => {}
                Verdict::Remove { notice } => {
                    notices.push(notice);
                    continue;
                }
                Verdict::Rewrite { arguments } => call.text = input::rewritten(call.form, arguments),
            }
            told.push((call.name.clone(), call.text.clone()));
            self.legacy_released |= call.legacy;
            let index = self.released;
            self.released += usize::from(!call.legacy);
            settled.deltas.push(call.delta(index));
        }
        for (name, text) in told {
            desk.told.completion.add_call(self.index, &name, &text);
        }
        settled.notice = told_together(self.said, &notices);
        self.said |= settled.notice.is_some();
        Ok(settled)
    }

    /// Denies every held call: the stream ended before they did.
    pub(super) fn abandon(&mut self, judge: &mut dyn Judge) {
        for call in std::mem::take(&mut self.calls) {
            judge.withhold(&call.name, &call.text, CUT_SHORT);
        }
    }
}

impl Call {
    /// An id comes once, or again with every fragment.
    fn id(&mut self, id: &str) {
        if id.len() > WORD_BYTES_MAX {
            self.too_long = true;
        } else if self.id.is_empty() {
            self.id.push_str(id);
        }
    }

    /// A name comes whole, in pieces, or again with every fragment.
    fn name(&mut self, fragment: &str) {
        if self.name != fragment && self.text.is_empty() {
            let room = WORD_BYTES_MAX.saturating_sub(self.name.len());
            let fitting = fragment.get(..fragment.floor_char_boundary(room)).unwrap_or_default();
            self.too_long |= fitting.len() < fragment.len();
            self.name.push_str(fitting);
        }
    }

    fn text(&mut self, fragment: &str, limits: HoldLimits) {
        if self.text.len() + fragment.len() > limits.tool_arguments {
            self.too_long = true;
        } else {
            self.text.push_str(fragment);
        }
    }

    fn extras(&mut self, fragment: &Value<'_>, limits: HoldLimits) {
        for (key, value) in fragment.members().unwrap_or_default() {
            if key != ECHOED || self.extra.iter().any(|(known, _)| known == key) {
                continue;
            }
            let size = |key: &str, value: &Value<'_>| key.len() + value.to_string().len();
            let held: usize = self.extra.iter().map(|(key, value)| size(key, value)).sum();
            if self.extra.len() >= 8 || held + size(key, value) > limits.tool_arguments {
                self.too_long = true;
                return;
            }
            self.extra.push((Cow::Owned(key.to_string()), value.clone().into_owned()));
        }
    }

    /// The whole call in one delta.
    fn delta(self, index: usize) -> Value<'static> {
        let function = |input: &'static str| {
            Value::object([
                ("name", Value::string(self.name.clone())),
                (input, Value::string(self.text.clone())),
            ])
        };
        if self.legacy {
            return Value::object([("function_call", function("arguments"))]);
        }
        let mut call = Value::object([("index", Value::integer(u64::try_from(index).unwrap_or(u64::MAX)))]);
        if !self.id.is_empty() {
            call.set("id", Value::string(self.id.clone()));
        }
        match self.form {
            Form::Custom => {
                call.set("type", Value::string("custom"));
                call.set("custom", function("input"));
            }
            Form::Function | Form::Unknown => {
                call.set("type", Value::string("function"));
                call.set("function", function("arguments"));
            }
        }
        for (key, value) in self.extra {
            call.set(&key, value);
        }
        Value::object([("tool_calls", Value::Array(vec![call]))])
    }
}
