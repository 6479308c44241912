//! An unstreamed answer: every call in it is judged, what was denied is taken out, the rest stays as it came.

use super::{call_parts, stream::finish_after, told_together};
use crate::{
    dialect::{
        Api, HoldLimits, Judge, TOO_LONG, Told, Verdict,
        input::{self, Form},
        notice, reported_error,
        stray::{is_nothing, stray_call},
        tokens, unreadable,
    },
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
    // Nothing in a batch of vectors is looked at, and there are millions of numbers in one.
    let parse = if api == Api::Embeddings { json::parse_with_vectors } else { json::parse };
    let mut answer = parse(body, limits.nesting.max(32)).map_err(|_| unreadable())?;
    if has_error(&answer) {
        // With a status of 200 too, an upstream's error is told in the gateway's words.
        return Err(reported_error());
    }
    let result = match api {
        Api::Embeddings => "data",
        Api::Moderations => "results",
        Api::Chat
        | Api::Completions
        | Api::CountTokens
        | Api::Messages
        | Api::Responses
        | Api::ResponseItems => "choices",
    };
    answer.get(result).and_then(Value::items).ok_or_else(unreadable)?;
    told.usage = answer.present("usage").and_then(read_usage);
    told.reply(&answer);
    let mut changed = false;
    let mut calls = Vec::new();
    for choice in answer.get_mut("choices").and_then(Value::items_mut).into_iter().flatten() {
        calls.push(take_calls(choice));
    }
    if stray_call(&answer) {
        return Err(unreadable());
    }
    if !super::generates(api) {
        return Ok(None);
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
        if is_nothing(message.get(key)?) {
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
                if stray_call(&call) {
                    return Err(unreadable());
                }
                changed |= only_what_is_judged(&mut call, part, form);
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
            return Err(unreadable());
        }
        if let Some((at, call)) = calls.legacy {
            let mut wrapped = Value::object([("function", call)]);
            changed |= only_what_is_judged(&mut wrapped, "function", Form::Function);
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
            self.told.produce(text.len());
            self.told.completion.add(index, text);
        }
    }

    /// Judges the call whose name and input stand in the member `part`.
    fn call(&mut self, index: u64, call: &mut Value<'_>, part: &str, form: Form) -> Result<Kept, Refusal> {
        let input = if form == Form::Custom { "input" } else { "arguments" };
        let (tool, verdict) = {
            let emitted = call_parts::emitted(call);
            if emitted.text.len() > self.limits.tool_arguments {
                self.judge.withhold(&emitted.tool, &emitted.text, TOO_LONG);
                return Ok(Kept::Not(notice(&emitted.tool, TOO_LONG)));
            }
            let args = input::arguments(form, &emitted.text, self.limits.nesting);
            let id = call.get("id").and_then(Value::as_str).unwrap_or_default();
            (emitted.tool.to_string(), self.judge.judge_call(id, &emitted.tool, &args, &emitted.text))
        };
        let rewritten = match verdict {
            Verdict::Abort(refusal) => return Err(refusal),
            Verdict::Remove { notice } => return Ok(Kept::Not(notice)),
            Verdict::Release => false,
            Verdict::Rewrite { arguments } => {
                if let Some(part) = call.get_mut(part) {
                    part.set(input, Value::string(input::rewritten(form, arguments)));
                }
                true
            }
        };
        let text = input::string(call.get(part).and_then(|part| part.get(input)));
        self.told.completion.add_call(index, &tool, &text);
        Ok(Kept::As { rewritten })
    }

    /// Says what was taken out, where the answer's text stands.
    fn explain(&mut self, index: u64, choice: &mut Value<'_>, notices: &[String]) {
        let Some(message) = choice.get_mut("message") else { return };
        let said = message.get("content").and_then(Value::as_str).unwrap_or_default();
        let notice = told_together(!said.is_empty(), notices).unwrap_or_default();
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

/// Leaves of a call what is judged, and what clients echo unread: a client that reads another member, or another
/// spelling of one, could find another call there. Whether something was taken out.
fn only_what_is_judged(call: &mut Value<'_>, part: &str, form: Form) -> bool {
    let kept = |value: &mut Value<'_>, known: &[&str]| {
        let Value::Object(members) = value else { return false };
        let before = members.len();
        members.retain(|(key, _)| known.contains(&key.as_ref()));
        members.len() < before
    };
    let mut changed = kept(call, &["id", "index", "type", part, ECHOED]);
    let input = if form == Form::Custom { "input" } else { "arguments" };
    if let Some(inner) = call.get_mut(part) {
        changed |= kept(inner, &["name", input]);
    }
    let kind = if form == Form::Custom { "custom" } else { "function" };
    if call.get("type").is_some_and(|found| found.as_str() != Some(kind)) {
        call.set("type", Value::string(kind));
        changed = true;
    }
    changed
}

/// A member of a call that carries a provider's own state (thought signatures, say) and has to come back to it.
pub(super) const ECHOED: &str = "extra_content";

/// Whether an upstream's error stands in an answer or a chunk, or in one of its choices.
pub(crate) fn has_error(answer: &Value<'_>) -> bool {
    let choices = answer.get("choices").and_then(Value::items).unwrap_or_default();
    answer.present("error").is_some() || choices.iter().any(|choice| choice.present("error").is_some())
}

enum Kept {
    As { rewritten: bool },
    Not(String),
}

/// `usage` as OpenAI's relatives report it. Some count reasoning beside the completion's tokens, not among them:
/// then the total says so.
pub(super) fn read_usage(usage: &Value<'_>) -> Option<Usage> {
    let input = tokens(usage.get("prompt_tokens").or_else(|| usage.get("input_tokens")))?;
    let completion = usage.get("completion_tokens").or_else(|| usage.get("output_tokens"));
    let completion = match completion {
        None | Some(Value::Null) => 0,
        // An absurd figure is no usage.
        figure => tokens(figure)?,
    };
    let cached = usage.get("prompt_tokens_details").and_then(|details| details.get("cached_tokens"));
    let cached_input = tokens(cached.or_else(|| usage.get("prompt_cache_hit_tokens"))).unwrap_or(0);
    let written = usage.get("prompt_tokens_details").and_then(|details| details.get("cache_write_tokens"));
    let cache_write = tokens(written).unwrap_or(0);
    let reasoning =
        usage.get("completion_tokens_details").and_then(|details| details.get("reasoning_tokens"));
    let reasoning = tokens(reasoning).unwrap_or(0);
    let apart = tokens(usage.get("total_tokens")) == Some(input + completion + reasoning);
    if reasoning > completion && !apart {
        return None;
    }
    let output = if apart { completion + reasoning } else { completion };
    Some(Usage { input, cached_input, cache_write, output })
}
