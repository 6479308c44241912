//! What a request asks for: model, stream, the tools it offers and forces, the calls of its history.
//! Reading finds everything that a decision depends on; `restrict` takes out what was denied.

use super::{call_parts, history};
use crate::{
    call::Arguments,
    dialect::{
        Api,
        brought::{
            no_inner_tools, no_results_beside, no_stored_files, no_stored_files_beside, no_tools_beside,
        },
        keys, parameters,
        request::{
            Answered, Forced, Kept, Listed, Offer, Request, array, keep, missing, model_and_stream,
            moderated_by, not_too_many, provider_defined, provider_offer, server_label, text, undecidable,
            wrong,
        },
    },
    json::{self, Value},
    refusal::Refusal,
};
use bytes::Bytes;
use std::borrow::Cow;

/// Members of a body that are decided on.
const DECIDED: [&str; 20] = [
    "model",
    "models",
    "stream",
    "stream_options",
    "messages",
    "tools",
    "functions",
    "tool_choice",
    "function_call",
    "parallel_tool_calls",
    "web_search_options",
    "mcp_servers",
    "plugins",
    "search_parameters",
    "tool_outputs",
    "tool_resources",
    "tool_results",
    // What is held of a budget.
    "max_tokens",
    "max_completion_tokens",
    "n",
];
/// Members by which some providers and proxies are told of other models, of where to send a request, of tools and searches that
/// they run themselves, of what they keep, or what came of calls; and what is taken for more members.
const UNDECIDED: [&str; 26] = [
    "additional_model_request_fields",
    "api_base",
    "api_key",
    "base_url",
    "container",
    "content_policy_fallbacks",
    "context_window_fallback_dict",
    "context_window_fallbacks",
    "conversation",
    "data_sources",
    "enable_search",
    "extra_body",
    "extra_headers",
    "fallbacks",
    "litellm_params",
    "mcp_servers",
    "model_list",
    "models",
    "optional_params",
    "plugins",
    "previous_response_id",
    "search_parameters",
    "tool_outputs",
    "tool_resources",
    "tool_results",
    "vector_store_ids",
];
/// Members that are looked through for themselves, or describe what others are to be.
const LOOKED_THROUGH: [&str; 7] =
    ["functions", "input", "messages", "prompt", "response_format", "tool_choice", "tools"];
/// Members of a message that are decided on.
const MESSAGE: [&str; 7] =
    ["role", "content", "tool_calls", "function_call", "tool_call_id", "name", "tools"];
/// Members of a tool, as it is offered or chosen.
const TOOL: [&str; 9] = [
    "type",
    "function",
    "custom",
    "name",
    "allowed_tools",
    "environment",
    "execution",
    "server_label",
    "tools",
];

/// Reads a request of an API that takes a model.
pub fn understand<'v>(api: Api, body: &'v Value<'_>) -> Result<Request<'v>, Refusal> {
    if body.members().is_none() {
        return Err(Refusal::invalid(format!("the body is {}, not an object", body.type_name()), None));
    }
    keys::no_twins(body, &DECIDED, "model")?;
    keys::no_twins(body, &UNDECIDED, "model")?;
    undecidable(body, &UNDECIDED)?;
    no_tools_beside(body, &LOOKED_THROUGH, "body")?;
    no_stored_files_beside(body, &LOOKED_THROUGH, "body")?;
    if api == Api::Chat {
        // Some take it for one that is kept under an id, with tools of its own.
        undecidable(body, &["prompt"])?;
    }
    let read = if api == Api::Moderations { moderated_by } else { model_and_stream };
    let (model, stream) = read(body)?;
    let mut request = Request::new(api, model, stream);
    if api != Api::Chat
        && let Some(param) = ["tools", "functions"].iter().find(|param| body.present(param).is_some())
    {
        let message = format!("`{param}` belongs to chat completions");
        return Err(Refusal::invalid(message, Some(param)));
    }
    request.usage_unasked = stream && super::generates(api) && !usage_is_asked(body)?;
    request.choices = choices(api, body);
    if api == Api::Chat {
        request.offers = offers(body)?;
        request.forced = forced(body)?;
        request.listed = listed(body)?;
        request.answered = answered(body)?;
    }
    Ok(request)
}

/// How many choices are asked for. What is no number of them is the provider's to refuse.
fn choices(api: Api, body: &Value<'_>) -> u64 {
    let each = body.present("n").and_then(Value::as_u64).unwrap_or(1);
    let prompts = match body.present("prompt").and_then(Value::items) {
        // Texts, or lists of tokens; a list of numbers is one of these itself.
        Some(prompts @ [Value::String(_) | Value::Array(_), ..]) if api == Api::Completions => prompts.len(),
        Some(_) | None => 1,
    };
    each.max(1).saturating_mul(u64::try_from(prompts).unwrap_or(1))
}

/// Whether a stream is to tell its usage.
fn usage_is_asked(body: &Value<'_>) -> Result<bool, Refusal> {
    match body.present("stream_options") {
        None => Ok(false),
        Some(options @ Value::Object(_)) => match options.present("include_usage") {
            None => Ok(false),
            Some(Value::Bool(asked)) => Ok(*asked),
            Some(other) => Err(wrong("stream_options.include_usage", "a boolean", other)),
        },
        Some(other) => Err(wrong("stream_options", "an object", other)),
    }
}

fn offers<'v>(body: &'v Value<'_>) -> Result<Vec<Offer<'v>>, Refusal> {
    let mut offers = Vec::new();
    not_too_many(array(body, "tools")?.len(), "tools")?;
    not_too_many(array(body, "functions")?.len(), "functions")?;
    for tool in array(body, "tools")? {
        offers.push(offer(tool)?);
    }
    for function in array(body, "functions")? {
        keys::no_twins(function, &["name"], "functions")?;
        let tool = Cow::Borrowed(text(function, "name", "functions")?);
        offers.push(Offer { tool, args: Arguments::Open });
    }
    if let Some(options) = body.present("web_search_options") {
        parameters::check(Api::Chat, "builtin__web_search", options, "web_search_options")?;
        let args = Arguments::Known(parameters::seen(options, &[]));
        offers.push(Offer { tool: Cow::Borrowed("builtin__web_search"), args });
    }
    Ok(offers)
}

/// One entry of `tools`.
fn offer<'v>(tool: &'v Value<'_>) -> Result<Offer<'v>, Refusal> {
    let kind = text(tool, "type", "tools")?;
    no_inner_tools(tool, "tools")?;
    let name = named(tool, kind, "tools")?;
    Ok(match kind {
        "function" | "custom" => Offer { tool: name, args: Arguments::Open },
        _ => provider_offer(Api::Chat, tool, kind)?,
    })
}

/// The name that rules speak of, of a tool definition or a tool choice.
fn named<'v>(tool: &'v Value<'_>, kind: &'v str, param: &str) -> Result<Cow<'v, str>, Refusal> {
    keys::no_twins(tool, &TOOL, param)?;
    match kind {
        "function" | "custom" => {
            let inner = tool.get(kind).ok_or_else(|| missing(param, kind))?;
            keys::no_twins(inner, &["name"], param)?;
            let other = if kind == "function" { "custom" } else { "function" };
            if tool.present(other).is_some() || tool.present("name").is_some() {
                let message = format!("an entry of `{param}` has the parts of two kinds of tool");
                return Err(Refusal::invalid(message, Some(param)));
            }
            Ok(Cow::Borrowed(text(inner, "name", param)?))
        }
        _ => provider_defined(tool, kind, param),
    }
}

/// A tool that a choice names.
fn chosen<'v>(choice: &'v Value<'_>) -> Result<Forced<'v>, Refusal> {
    let tool = named(choice, text(choice, "type", "tool_choice")?, "tool_choice")?;
    Ok(Forced { tool, server_label: server_label(choice, "tool_choice")? })
}

fn forced<'v>(body: &'v Value<'_>) -> Result<Vec<Forced<'v>>, Refusal> {
    let mut forced = Vec::new();
    match body.present("tool_choice") {
        None => {}
        Some(Value::String(mode)) if ["none", "auto", "required", "any"].contains(&mode.as_ref()) => {}
        Some(Value::String(_)) => {
            let message = "`tool_choice` must be `none`, `auto`, `required` or an object";
            return Err(Refusal::invalid(message, Some("tool_choice")));
        }
        Some(choice @ Value::Object(_)) => {
            let lists = text(choice, "type", "tool_choice")? == "allowed_tools";
            forced.extend((!lists).then(|| chosen(choice)).transpose()?);
        }
        Some(other) => return Err(wrong("tool_choice", "a string or an object", other)),
    }
    match body.present("function_call") {
        None | Some(Value::String(_)) => {}
        Some(choice @ Value::Object(_)) => {
            forced.push(Cow::Borrowed(text(choice, "name", "function_call")?).into());
        }
        Some(other) => return Err(wrong("function_call", "a string or an object", other)),
    }
    Ok(forced)
}

fn listed<'v>(body: &'v Value<'_>) -> Result<Listed<'v>, Refusal> {
    let choice = body.present("tool_choice");
    let Some(choice) =
        choice.filter(|choice| choice.get("type").and_then(Value::as_str) == Some("allowed_tools"))
    else {
        return Ok(Listed::default());
    };
    let inner = choice.get("allowed_tools").ok_or_else(|| missing("tool_choice", "allowed_tools"))?;
    let mut listed =
        Listed { tools: Vec::new(), required: text(inner, "mode", "tool_choice")? == "required" };
    not_too_many(array(inner, "tools")?.len(), "tool_choice")?;
    for tool in array(inner, "tools")? {
        listed.tools.push(chosen(tool)?);
    }
    Ok(listed)
}

/// Calls of earlier assistant turns that some message answers.
fn answered<'v>(body: &'v Value<'_>) -> Result<Vec<Answered<'v>>, Refusal> {
    let messages = array(body, "messages")?;
    let mut results = Vec::new();
    for message in messages {
        keys::no_twins(message, &MESSAGE, "messages")?;
        no_stored_files(message.get("content").unwrap_or(&Value::Null), "messages")?;
        no_tools_beside(message, &["tool_calls", "function_call"], "messages")?;
        no_results_beside(message, &["tool_call_id", "tool_calls", "function_call"], "messages")?;
        if message.present("audio").is_some() {
            let message = "`audio` names a stored answer, which may be another tenant's; send its text";
            return Err(Refusal::invalid(message, Some("messages")));
        }
        results.extend(history::result(message)?);
    }
    if results.is_empty() {
        return Ok(Vec::new());
    }
    let mut calls = Vec::new();
    for message in messages {
        for call in array(message, "tool_calls")? {
            keys::no_twins(call, &["id", "type", "function", "custom"], "messages")?;
            for part in ["function", "custom"] {
                let part = call.get(part).unwrap_or(&Value::Null);
                keys::no_twins(part, &["name", "arguments", "input"], "messages")?;
            }
            calls.push((call.get("id").and_then(Value::as_str), call_parts::emitted(call)));
        }
        if let Some(call) = message.present("function_call") {
            keys::no_twins(call, &["name", "arguments"], "messages")?;
            calls.push((None, call_parts::function(call)));
        }
    }
    Ok(history::answered(&results, calls))
}

/// Takes the denied offers out of a copy of the body, and forces parameters into others; `kept` tells for each
/// offer, in their order, what becomes of it.
pub fn restrict<'a>(body: &Value<'a>, kept: &[Kept]) -> Value<'a> {
    let mut body = body.clone();
    let mut kept = kept.iter();
    let mut next = || kept.next().unwrap_or(&Kept::Out);
    for param in ["tools", "functions"] {
        if let Some(items) = body.get_mut(param).and_then(Value::items_mut) {
            items.retain_mut(|item| keep(Api::Chat, item, next()));
            if items.is_empty() {
                body.remove(param);
            }
        }
    }
    if let Some(options) = body.get_mut("web_search_options").filter(|options| !options.is_null())
        && !keep(Api::Chat, options, next())
    {
        body.remove("web_search_options");
    }
    if body.get("tools").is_none() {
        body.remove("tool_choice");
        body.remove("parallel_tool_calls");
    }
    if body.get("functions").is_none() {
        body.remove("function_call");
    }
    restrict_choice(&mut body);
    body
}

/// Has a stream tell its usage, whatever the client asked for.
pub fn ask_for_usage(body: &mut Value<'_>) {
    if !matches!(body.get("stream_options"), Some(Value::Object(_))) {
        body.set("stream_options", Value::Object(Vec::new()));
    }
    if let Some(options) = body.get_mut("stream_options") {
        options.set("include_usage", Value::Bool(true));
    }
}

/// How many bytes `ask_for_usage` adds to a body as it is written.
pub fn usage_bytes(body: &Value<'_>) -> usize {
    let length = |value: &Value<'_>| {
        let mut out = Vec::new();
        json::write(value, &mut out);
        out.len()
    };
    // A member of the client's stands before it in any body.
    let mut asked = Value::object([("model", Value::Null)]);
    if let Some(options) = body.get("stream_options") {
        asked.set("stream_options", options.clone());
    }
    let before = length(&asked);
    ask_for_usage(&mut asked);
    length(&asked).saturating_sub(before)
}

/// The bytes of a body without `stream_options`, with that put in front of its members.
pub fn with_usage(body: &Bytes) -> Option<Bytes> {
    let start = memchr::memchr(b'{', body)?;
    let (open, rest) = body.split_at_checked(start + 1)?;
    let mut out = Vec::with_capacity(body.len() + 48);
    out.extend_from_slice(open);
    out.extend_from_slice(br#""stream_options":{"include_usage":true},"#);
    out.extend_from_slice(rest);
    Some(out.into())
}

/// An `allowed_tools` choice names only tools that are still offered; with none left, nothing may be called.
fn restrict_choice(body: &mut Value<'_>) {
    let Ok(offers) = offers(body) else { return };
    let listed = body.get("tool_choice").and_then(|choice| choice.get("allowed_tools"));
    let listed = listed.and_then(|inner| inner.get("tools")).and_then(Value::items).unwrap_or_default();
    let stays = |tool| chosen(tool).is_ok_and(|chosen| offers.iter().any(|offer| chosen.is(offer)));
    let stay: Vec<bool> = listed.iter().map(stays).collect();
    let choice = body.get_mut("tool_choice").and_then(|choice| choice.get_mut("allowed_tools"));
    let Some(tools) = choice.and_then(|inner| inner.get_mut("tools")).and_then(Value::items_mut) else {
        return;
    };
    let mut stay = stay.into_iter();
    tools.retain(|_| stay.next() == Some(true));
    if tools.is_empty() {
        body.set("tool_choice", Value::string("none"));
    }
}
