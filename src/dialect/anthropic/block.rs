//! A block of an answer that is a call: what rules see of it, and what is left of it after they decided.

use super::request::hosted;
use crate::{
    call::Arguments,
    dialect::{
        self, Desk, Form, TOO_LONG, Verdict, keys, notice, parameters,
        ran::{RESULT_WITHHELD, Ran},
        stray::{is_calls_type, parts_beside, parts_of_a_call, stray_beside, stray_call},
        unreadable,
    },
    json::Value,
    refusal::Refusal,
};

/// Why a call is denied whose input is not what a call's input is.
const NO_OBJECT: &str = "its arguments are not a JSON object, or are cut short";

/// What a block of an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A call that the client is to run.
    Call,
    /// A call that the provider ran already.
    Hosted,
    /// What came of such a call.
    HostedResult,
    /// Text, thinking, and whatever else carries no call.
    Other,
}

/// What becomes of a call.
#[derive(Debug)]
pub(super) enum Judged {
    /// It leaves with this input; the same as it came with where `rewritten` says so.
    Released { input: String, rewritten: bool },
    /// This text stands in its place.
    Removed(String),
}

impl Kind {
    /// The kind of a block.
    pub(super) fn of(block: &Value<'_>) -> Result<Self, Refusal> {
        let kind = block.get("type").and_then(Value::as_str).ok_or_else(unreadable)?;
        Ok(match kind {
            "tool_use" => Self::Call,
            "server_tool_use" | "mcp_tool_use" => Self::Hosted,
            _ if stray_call(block) || keys::no_twins(block, &DECIDED, "").is_err() => {
                return Err(unreadable());
            }
            _ if kind.ends_with("_tool_result") => {
                if parts_beside(block, &["tool_use_id", "content"]) {
                    return Err(unreadable());
                }
                Self::HostedResult
            }
            _ if parts_of_a_call(block) => return Err(unreadable()),
            "text" | "thinking" | "redacted_thinking" | "mcp_tool_listing" => Self::Other,
            _ if is_calls_type(kind) => return Err(unreadable()),
            _ => Self::Other,
        })
    }
}

/// Members of blocks that are decided on.
const DECIDED: [&str; 4] = ["type", "id", "name", "input"];

/// Judges a call that the client is to run, by the text of its input.
pub(super) fn judge(block: &Value<'_>, input: String, desk: &mut Desk<'_>) -> Result<Judged, Refusal> {
    let name = call_name(block)?;
    desk.told.produce(input.len());
    let mut input = input;
    let fits = desk.judge.restore(&mut input, Form::Function, desk.limits.tool_arguments);
    if !fits || input.len() > desk.limits.tool_arguments {
        desk.judge.withhold(name, &input, TOO_LONG);
        return Ok(Judged::Removed(notice(name, TOO_LONG)));
    }
    let args = Arguments::read(&input, desk.limits.nesting);
    if !matches!(&args, Arguments::Known(Value::Object(_))) {
        desk.judge.withhold(name, &input, NO_OBJECT);
        return Ok(Judged::Removed(notice(name, NO_OBJECT)));
    }
    let id = block.get("id").and_then(Value::as_str).unwrap_or_default();
    let verdict = desk.judge.judge_call(id, name, &args, &input);
    drop(args);
    let (input, rewritten) = match verdict {
        Verdict::Abort(refusal) => return Err(refusal),
        Verdict::Remove { notice } => return Ok(Judged::Removed(notice)),
        Verdict::Release => (input, false),
        Verdict::Rewrite { arguments } => (arguments, true),
    };
    desk.told.completion.add_call(0, name, &input);
    Ok(Judged::Released { input, rewritten })
}

/// Judges a call that the provider ran: it was decided by its parameters when it was offered, and one that was not
/// offered is not waved through. The text that stands in its place, if it is denied.
fn judge_hosted(block: &Value<'_>, desk: &mut Desk<'_>) -> Result<Option<String>, Refusal> {
    let name = call_name(block)?;
    let tool = match block.get("type").and_then(Value::as_str) {
        Some("mcp_tool_use") => "builtin__mcp".to_owned(),
        Some(_) | None => hosted(name),
    };
    let input = block.get("input").map(|input| parameters::hidden(input).to_string()).unwrap_or_default();
    match dialect::judge_hosted(&tool, &input, desk.judge) {
        Verdict::Abort(refusal) => Err(refusal),
        Verdict::Remove { notice } => Ok(Some(notice)),
        Verdict::Release | Verdict::Rewrite { .. } => Ok(None),
    }
}

/// Judges a call that the provider ran, or its result. The text that stands in its place, if it is denied.
pub(super) fn judge_ran(
    kind: Kind,
    block: &Value<'_>,
    ran: &mut Ran,
    desk: &mut Desk<'_>,
) -> Result<Option<String>, Refusal> {
    let id = |key: &str| block.get(key).and_then(Value::as_str);
    if kind == Kind::HostedResult {
        ran.result(id("tool_use_id"), &mut || judge_result(block, desk))
    } else {
        ran.call(id("id").unwrap_or_default(), &mut || judge_hosted(block, desk))
    }
}

fn judge_result(block: &Value<'_>, desk: &mut Desk<'_>) -> Result<Option<String>, Refusal> {
    let kind = block.get("type").and_then(Value::as_str).unwrap_or_default();
    let tool = hosted(kind.strip_suffix("_tool_result").unwrap_or(kind));
    match dialect::judge_hosted(&tool, "{}", desk.judge) {
        Verdict::Abort(refusal) => Err(refusal),
        Verdict::Remove { .. } => Ok(Some(RESULT_WITHHELD.to_owned())),
        Verdict::Release | Verdict::Rewrite { .. } => Ok(None),
    }
}

/// The name of a call. No member of the call may be read as another of them, and no call may hide in it.
pub(super) fn call_name<'v>(block: &'v Value<'_>) -> Result<&'v str, Refusal> {
    keys::no_twins(block, &DECIDED, "").map_err(|_| unreadable())?;
    let own = ["type", "input"];
    if stray_beside(block, &own) || parts_beside(block, &own) {
        return Err(unreadable());
    }
    block.get("name").and_then(Value::as_str).ok_or_else(unreadable)
}

/// The block that stands where a denied call was.
pub(super) fn text_block(text: String) -> Value<'static> {
    Value::object([("type", Value::string("text")), ("text", Value::string(text))])
}

/// The reason that fits what is left: a message without calls did not end for calls.
pub(super) fn restop(delta: &mut Value<'_>, calls_left: usize) -> bool {
    let Some(reason) = delta.get_mut("stop_reason") else { return false };
    if calls_left > 0 || reason.as_str() != Some("tool_use") {
        return false;
    }
    *reason = Value::string("end_turn");
    true
}
