//! An unstreamed answer: every call in it is judged, what was denied is taken out, the rest stays as it came.

use super::{
    Api,
    call_parts::{self, Form},
    held::HoldLimits,
    stream::{finish_after, is_empty},
};
use crate::{
    dialect::{Judge, Told, Verdict},
    json::{self, Value},
    refusal::Refusal,
    usage::Usage,
};

/// Judges an answer. `None`: it leaves as it came.
pub fn whole(
    api: Api,
    body: &[u8],
    limits: HoldLimits,
    told: &mut Told,
    judge: &mut dyn Judge,
) -> Result<Option<Vec<u8>>, Refusal> {
    let parsed = json::parse(body, limits.nesting.max(32));
    let mut answer = match parsed {
        Ok(answer) => answer,
        // Numbers and flags alone: no rule can concern them.
        Err(_) if !api.generates() => return Ok(None),
        Err(_) => {
            return Err(Refusal::UpstreamError { message: "the upstream's answer cannot be inspected" });
        }
    };
    told.usage = answer.present("usage").and_then(read_usage);
    if !api.generates() {
        return Ok(None);
    }
    let mut changed = false;
    let mut calls = Vec::new();
    for choice in answer.get_mut("choices").and_then(Value::items_mut).into_iter().flatten() {
        calls.push(take_calls(choice));
    }
    if stray_call(&answer) {
        return Err(Refusal::UpstreamError { message: "the upstream's answer cannot be inspected" });
    }
    let choices = answer.get_mut("choices").and_then(Value::items_mut).into_iter().flatten();
    for (choice, calls) in choices.zip(calls) {
        changed |= Judging { judge, limits, told }.choice(choice, calls)?;
    }
    Ok(changed.then(|| {
        let mut out = Vec::with_capacity(body.len());
        json::write(&answer, &mut out);
        out
    }))
}

/// The calls of a choice's message, taken out of it, with their places among its members.
#[derive(Default)]
struct Calls<'a> {
    tools: Option<(usize, Value<'a>)>,
    legacy: Option<(usize, Value<'a>)>,
}

fn take_calls<'a>(choice: &mut Value<'a>) -> Calls<'a> {
    let Some(message) = choice.get_mut("message") else { return Calls::default() };
    let mut take = |key: &str| {
        if is_empty(message.get(key)?) {
            return None;
        }
        let at = message.members()?.iter().position(|(name, _)| name == key)?;
        Some((at, message.remove(key)?))
    };
    // In this order, so that each is put back where it stood before the other was taken.
    let legacy = take("function_call");
    let tools = take("tool_calls");
    Calls { tools, legacy }
}

fn put_back<'a>(choice: &mut Value<'a>, key: &'static str, at: usize, value: Value<'a>) {
    if let Some(Value::Object(members)) = choice.get_mut("message") {
        members.insert(at.min(members.len()), (key.into(), value));
    }
}

struct Judging<'j> {
    judge: &'j mut dyn Judge,
    limits: HoldLimits,
    told: &'j mut Told,
}

impl Judging<'_> {
    /// Judges one choice. Whether it changed.
    fn choice<'a>(&mut self, choice: &mut Value<'a>, calls: Calls<'a>) -> Result<bool, Refusal> {
        let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
        self.tell(index, choice);
        let mut notices = Vec::new();
        let (mut changed, mut left) = (false, false);
        if let Some((at, Value::Array(items))) = calls.tools {
            let mut kept = Vec::with_capacity(items.len());
            for mut call in items {
                let form = if call.present("custom").is_some() { Form::Custom } else { Form::Function };
                let part = if form == Form::Custom { "custom" } else { "function" };
                // A client that goes by the type could read another call than the one that is judged.
                if form == Form::Custom && call.present("function").is_some() {
                    call.remove("function");
                    call.set("type", Value::string("custom"));
                    changed = true;
                }
                match self.call(index, &mut call, part, form)? {
                    Kept::As { rewritten } => {
                        changed |= rewritten;
                        kept.push(call);
                    }
                    Kept::Not(notice) => notices.push(notice),
                }
            }
            if !kept.is_empty() {
                left = true;
                put_back(choice, "tool_calls", at, Value::Array(kept));
            }
        } else if calls.tools.is_some() {
            return Err(Refusal::UpstreamError { message: "the upstream's answer cannot be inspected" });
        }
        if let Some((at, call)) = calls.legacy {
            let mut wrapped = Value::object([("function", call)]);
            match self.call(index, &mut wrapped, "function", Form::Function)? {
                Kept::As { rewritten } => {
                    changed |= rewritten;
                    left = true;
                    put_back(choice, "function_call", at, wrapped.remove("function").unwrap_or(Value::Null));
                }
                Kept::Not(notice) => notices.push(notice),
            }
        }
        if notices.is_empty() {
            return Ok(changed);
        }
        self.explain(index, choice, &notices);
        if let Some(finish) = choice.remove("finish_reason") {
            choice.set("finish_reason", finish_after(finish, !left));
        }
        Ok(true)
    }

    fn tell(&mut self, index: u64, choice: &Value<'_>) {
        let text =
            choice.get("message").and_then(|message| message.get("content")).or_else(|| choice.get("text"));
        if let Some(text) = text.and_then(Value::as_str) {
            self.told.completion.add(index, text);
        }
    }

    /// Judges the call whose name and input stand in the member `part`.
    fn call(&mut self, index: u64, call: &mut Value<'_>, part: &str, form: Form) -> Result<Kept, Refusal> {
        let input = if form == Form::Custom { "input" } else { "arguments" };
        let (tool, verdict) = {
            let emitted = call_parts::emitted(call);
            if emitted.text.len() > self.limits.tool_arguments {
                self.judge.incomplete(&emitted.tool, &emitted.text);
                return Ok(Kept::Not(super::notice(&emitted.tool, "its arguments are too long")));
            }
            let args = call_parts::arguments(form, &emitted.text, self.limits.nesting);
            (emitted.tool.to_string(), self.judge.judge(&emitted.tool, &args, &emitted.text))
        };
        let rewritten = match verdict {
            Verdict::Abort(refusal) => return Err(refusal),
            Verdict::Remove { notice } => return Ok(Kept::Not(notice)),
            Verdict::Release => false,
            Verdict::Rewrite { arguments } => {
                if let Some(part) = call.get_mut(part) {
                    part.set(input, Value::string(call_parts::rewritten(form, arguments)));
                }
                true
            }
        };
        let text = call_parts::string(call.get(part).and_then(|part| part.get(input)));
        self.told.completion.add(index, &super::transcript::call(&tool, &text));
        Ok(Kept::As { rewritten })
    }

    /// Says what was taken out, where the answer's text stands.
    fn explain(&mut self, index: u64, choice: &mut Value<'_>, notices: &[String]) {
        let Some(message) = choice.get_mut("message") else { return };
        let said = message.get("content").and_then(Value::as_str).unwrap_or_default();
        let notice = super::notices(!said.is_empty(), notices).unwrap_or_default();
        self.told.completion.add(index, &notice);
        let text = format!("{said}{notice}");
        // Some providers answer in parts; these stay.
        if let Some(parts) = message.get_mut("content").and_then(Value::items_mut) {
            parts.push(Value::object([("type", Value::string("text")), ("text", Value::string(text))]));
        } else {
            message.set("content", Value::string(text));
        }
    }
}

enum Kept {
    As { rewritten: bool },
    Not(String),
}

/// Whether a call stands anywhere in a value: after the known places were emptied, a place that nobody judges.
pub(super) fn stray_call(value: &Value<'_>) -> bool {
    match value {
        Value::Array(items) => items.iter().any(stray_call),
        Value::Object(members) => members.iter().any(|(key, value)| {
            let call = key.eq_ignore_ascii_case("tool_calls") || key.eq_ignore_ascii_case("function_call");
            (call && !is_empty(value)) || stray_call(value)
        }),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => false,
    }
}

/// `usage` as OpenAI reports it. Negative or absurd figures are no usage.
pub(super) fn read_usage(usage: &Value<'_>) -> Option<Usage> {
    let count = |value: Option<&Value<'_>>| value.and_then(Value::as_u64).filter(|&tokens| tokens < 1 << 40);
    let input = count(usage.get("prompt_tokens").or_else(|| usage.get("input_tokens")))?;
    let output = count(usage.get("completion_tokens").or_else(|| usage.get("output_tokens"))).unwrap_or(0);
    let details = usage.get("prompt_tokens_details").or_else(|| usage.get("input_tokens_details"));
    let cached_input = count(details.and_then(|details| details.get("cached_tokens"))).unwrap_or(0);
    Some(Usage { input, cached_input: cached_input.min(input), output })
}
