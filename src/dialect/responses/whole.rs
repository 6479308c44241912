//! An unstreamed response, and the one that ends a stream: every call in it is judged, what was denied is replaced,
//! the rest stays as it came.

use super::item::{
    Judged, Kind, Shell, call_id, containers_of, is_no_input, judge, judge_hosted, message, remember, tell,
};
use crate::{
    dialect::{
        Api, CALLS_MAX, Desk, HoldLimits, Judge, KeptAnswer, Notice, Told, ran::Ran, reported_error,
        stray::stray_call, tokens, unreadable,
    },
    json::{self, Value},
    refusal::Refusal,
    usage::Usage,
};
use std::collections::BTreeSet;

/// Judges an answer. `None`: it leaves as it came.
pub fn whole(
    api: Api,
    body: &[u8],
    limits: HoldLimits,
    told: &mut Told,
    judge: &mut dyn Judge,
) -> Result<Option<Vec<u8>>, Refusal> {
    let mut answer = json::parse(body, limits.nesting.max(32)).map_err(|_| unreadable())?;
    let list = match api {
        Api::ResponseItems => "data",
        Api::Chat
        | Api::Completions
        | Api::CountTokens
        | Api::Embeddings
        | Api::Messages
        | Api::Moderations
        | Api::Responses => "output",
    };
    let mut unused = Vec::new();
    let mut desk = Desk { limits, told, judge, out: &mut unused };
    if api != Api::ResponseItems {
        keep(&answer, desk.told);
    }
    let response_id = answer.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let Some(Value::Array(mut items)) = answer.get_mut(list).map(std::mem::take) else {
        return Err(if answer.present("error").is_some() { reported_error() } else { unreadable() });
    };
    let mut changed = conceal_error(&mut answer);
    desk.told.failed = has_failed(&answer);
    if stray_call(&answer) {
        return Err(unreadable());
    }
    desk.told.usage = answer.present("usage").and_then(read_usage);
    desk.told.reply(&answer);
    if api == Api::ResponseItems {
        // Results that the gateway brought for calls that the client never saw.
        let before = items.len();
        items.retain(|item| !desk.judge.was_denied(call_id(item)));
        changed |= items.len() < before;
    }
    let mut ran = Ran::default();
    for (at, item) in items.iter_mut().enumerate() {
        let at = u64::try_from(at).unwrap_or(u64::MAX);
        // What went in as a result, or as tools, came from the client.
        let from_client = |kind: &str| {
            kind.ends_with("_output") || matches!(kind, "additional_tools" | "mcp_approval_response")
        };
        if api == Api::ResponseItems && item.get("type").and_then(Value::as_str).is_some_and(from_client) {
            if is_no_input(item) {
                return Err(unreadable());
            }
            continue;
        }
        changed |= judge_item(item, &response_id, at, &mut ran, &mut desk)?;
    }
    items.iter().for_each(|item| keep_item(item, desk.told));
    let status = answer.get("status").and_then(Value::as_str);
    if let Some(kept) = &mut desk.told.kept {
        kept.complete = !matches!(status, Some("in_progress" | "queued"));
    }
    answer.set(list, Value::Array(items));
    Ok(changed.then(|| {
        let mut out = Vec::with_capacity(body.len());
        json::write(&answer, &mut out);
        out
    }))
}

/// Judges a call that the provider ran, or its result. The text that stands in its place, if it is denied.
pub(super) fn judge_ran(
    kind: Kind,
    item: &Value<'_>,
    ran: &mut Ran,
    desk: &mut Desk<'_>,
) -> Result<Option<String>, Refusal> {
    let mut judge = || judge_hosted(item, desk);
    if kind == Kind::HostedResult {
        ran.result(item.get("call_id").and_then(Value::as_str), &mut judge)
    } else {
        ran.call(call_id(item), &mut judge)
    }
}

/// Judges one item and makes it what may leave. `ran` are the calls that the provider ran. Whether anything changed.
pub(super) fn judge_item(
    item: &mut Value<'_>,
    response_id: &str,
    output_index: u64,
    ran: &mut Ran,
    desk: &mut Desk<'_>,
) -> Result<bool, Refusal> {
    let kind = Kind::of(item, Shell::offered(desk.judge))?;
    let notice = match kind {
        Kind::Call(call) => match judge(call, item, desk)? {
            Judged::Released { rewritten } => return Ok(rewritten),
            Judged::Removed(notice) => {
                remember(item, &notice, desk.told);
                ran.deny(call_id(item));
                notice
            }
        },
        Kind::Hosted | Kind::HostedResult => match judge_ran(kind, item, ran, desk)? {
            None => return Ok(false),
            Some(notice) => notice,
        },
        Kind::Other => {
            tell(item, desk.told);
            return Ok(false);
        }
    };
    desk.told.completion.add(0, &notice);
    *item = message(response_id, output_index, notice.clone());
    told_instead(item, notice, desk.told);
    Ok(true)
}

/// Takes down under which id the provider keeps the answer.
pub(super) fn keep(response: &Value<'_>, told: &mut Told) {
    if let Some(id) = response.get("id").and_then(Value::as_str)
        && told.kept.is_none()
    {
        told.kept = Some(KeptAnswer { id: id.to_owned(), ..KeptAnswer::default() });
    }
}

/// So many ids of an answer are taken down; later ones are nobody's.
const IDS_MAX: usize = 8 * CALLS_MAX;

/// Takes down what a later request may name of a kept answer: an item, and the container that it ran in.
pub(super) fn keep_item(item: &Value<'_>, told: &mut Told) {
    let Some(kept) = &mut told.kept else { return };
    let keep = |id: &str, known: &mut BTreeSet<String>| {
        if !id.is_empty() && known.len() < IDS_MAX {
            known.insert(id.to_owned());
        }
    };
    item.get("id").and_then(Value::as_str).into_iter().for_each(|id| keep(id, &mut kept.items));
    containers_of(item).for_each(|id| keep(id, &mut kept.containers));
}

/// Takes down what stands in the place of a denied call.
pub(super) fn told_instead(message: &Value<'_>, text: String, told: &mut Told) {
    if let (Some(kept), Some(id)) = (&mut told.kept, message.get("id").and_then(Value::as_str)) {
        kept.notices.push(Notice { id: id.to_owned(), text });
    }
}

pub(super) fn has_failed(response: &Value<'_>) -> bool {
    response.get("status").and_then(Value::as_str) == Some("failed")
}

/// A failed response tells why in the provider's words; these stay here. Whether there were any.
pub(super) fn conceal_error(response: &mut Value<'_>) -> bool {
    let Some(error) = response.get_mut("error").filter(|error| !error.is_null()) else { return false };
    let code = error.get("code").and_then(Value::as_str).filter(|code| {
        code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    });
    *error = Value::object([
        ("code", Value::string(code.unwrap_or("server_error").to_owned())),
        ("message", Value::string("the upstream reported an error")),
    ]);
    true
}

/// `usage` as OpenAI reports it of a response: reasoning is among the output.
pub(super) fn read_usage(usage: &Value<'_>) -> Option<Usage> {
    let input = tokens(usage.get("input_tokens"))?;
    let details = usage.get("input_tokens_details");
    let detail = |name| tokens(details.and_then(|details| details.get(name))).unwrap_or(0);
    let output = tokens(usage.get("output_tokens")).unwrap_or(0);
    let reasoning = usage.get("output_tokens_details").and_then(|details| details.get("reasoning_tokens"));
    // More reasoning than output is no figure.
    if tokens(reasoning).is_some_and(|reasoning| reasoning > output) {
        return None;
    }
    Some(Usage {
        input,
        cached_input: detail("cached_tokens"),
        cache_write: detail("cache_write_tokens"),
        output,
    })
}
