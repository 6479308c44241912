//! An unstreamed response, and the one that ends a stream: every call in it is judged, what was denied is replaced,
//! the rest stays as it came.

use super::item::{Judged, Kind, call_id, is_of, judge, judge_hosted, message, remember, tell};
use crate::{
    dialect::{
        Api, Desk, HoldLimits, Judge, KeptAnswer, Told, reported_error, stray::stray_call, tokens, unreadable,
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
    if stray_call(&answer) {
        return Err(unreadable());
    }
    desk.told.usage = answer.present("usage").and_then(read_usage);
    let mut denied = Vec::new();
    for (at, item) in items.iter_mut().enumerate() {
        let at = u64::try_from(at).unwrap_or(u64::MAX);
        changed |= judge_item(item, &response_id, at, &mut denied, &mut desk)?;
    }
    answer.set(list, Value::Array(items));
    Ok(changed.then(|| {
        let mut out = Vec::with_capacity(body.len());
        json::write(&answer, &mut out);
        out
    }))
}

/// Judges one item and makes it what may leave. `denied` are the calls that the provider ran in vain. Whether
/// anything changed.
pub(super) fn judge_item(
    item: &mut Value<'_>,
    response_id: &str,
    output_index: u64,
    denied: &mut Vec<String>,
    desk: &mut Desk<'_>,
) -> Result<bool, Refusal> {
    let notice = match Kind::of(item)? {
        Kind::Call(call) => match judge(call, item, desk)? {
            Judged::Released { rewritten } => return Ok(rewritten),
            Judged::Removed(notice) => {
                remember(item, &notice, desk.told);
                notice
            }
        },
        Kind::Hosted => match judge_hosted(item, desk)? {
            None => return Ok(false),
            Some(notice) => {
                denied.push(call_id(item).to_owned());
                notice
            }
        },
        Kind::HostedResult if is_of(item, denied) => RESULT_WITHHELD.to_owned(),
        Kind::HostedResult => return Ok(false),
        Kind::Other => {
            tell(item, desk.told);
            return Ok(false);
        }
    };
    desk.told.completion.add(0, &notice);
    *item = message(response_id, output_index, notice);
    Ok(true)
}

/// What stands in the place of a result that the client may not see.
pub(super) const RESULT_WITHHELD: &str = "[The result of a denied tool call is left out.]";

/// Takes down under which id the provider keeps the answer.
pub(super) fn keep(response: &Value<'_>, told: &mut Told) {
    if let Some(id) = response.get("id").and_then(Value::as_str)
        && told.kept.is_none()
    {
        told.kept = Some(KeptAnswer { id: id.to_owned(), denied: Vec::new() });
    }
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
    let cached = usage.get("input_tokens_details").and_then(|details| details.get("cached_tokens"));
    Some(Usage {
        input,
        cached_input: tokens(cached).unwrap_or(0).min(input),
        output: tokens(usage.get("output_tokens")).unwrap_or(0),
    })
}
