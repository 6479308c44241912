//! What a request of Responses asks for: model, stream, the tools it offers and forces, the calls of its history.
//! Reading finds everything that a decision depends on; `restrict` takes out what was denied.

use super::input::{brings_tools, input};
use crate::{
    call::Arguments,
    dialect::{
        Api,
        brought::{brings_nothing, no_inner_tools},
        keys,
        request::{
            Forced, Kept, Listed, Offer, Request, array, keep, model_and_stream, not_too_many, only_known,
            provider_defined, provider_offer, server_label, text, undated, wrong,
        },
    },
    json::Value,
    refusal::Refusal,
};
use std::borrow::Cow;

/// Members of a body that are decided on, or that say nothing of tools, turns and models. Any other is refused: a
/// `conversation` keeps turns of whoever made it, a `prompt` tools that do not stand in the request. Source: the
/// parameters of OpenAI's official clients; `client_metadata` is Codex's.
const KNOWN: [&str; 30] = [
    "background",
    "client_metadata",
    "context_management",
    "image",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];
/// Those of them that are read by themselves, or are the client's own words under names of its own.
const READ: [&str; 6] =
    ["client_metadata", "input", "metadata", "previous_response_id", "tool_choice", "tools"];
/// Members of a tool, as it is offered or chosen.
const TOOL: [&str; 9] =
    ["type", "name", "environment", "execution", "tools", "function", "custom", "mode", "server_label"];

/// Reads a request.
pub fn understand<'v>(body: &'v Value<'_>) -> Result<Request<'v>, Refusal> {
    if body.members().is_none() {
        return Err(Refusal::invalid(format!("the body is {}, not an object", body.type_name()), None));
    }
    only_known(body, &KNOWN)?;
    let (model, stream) = model_and_stream(body)?;
    match body.present("background") {
        None | Some(Value::Bool(false)) => {}
        Some(Value::Bool(true)) => {
            let message =
                "`background` answers are not served: their calls could not be checked as they come";
            return Err(Refusal::invalid(message, Some("background")));
        }
        Some(other) => return Err(wrong("background", "a boolean", other)),
    }
    match body.present("instructions") {
        None | Some(Value::String(_)) => {}
        // A list of items would bring turns past those that are checked.
        Some(other) => return Err(wrong("instructions", "a string", other)),
    }
    only_says_how(body)?;
    let mut request = Request::new(Api::Responses, model, stream);
    request.kept = match body.present("store") {
        None => true,
        Some(Value::Bool(store)) => *store,
        Some(other) => return Err(wrong("store", "a boolean", other)),
    };
    request.previous = match body.present("previous_response_id") {
        None => None,
        Some(Value::String(id)) => Some(id.as_ref()),
        Some(other) => return Err(wrong("previous_response_id", "a string", other)),
    };
    for tools in tool_lists(body)? {
        for tool in tools {
            offer(tool, &mut request.offers)?;
        }
    }
    choice(body, &mut request)?;
    input(body, &mut request)?;
    Ok(request)
}

/// Members that say how to answer bring nothing else. Of metadata the names are the client's; what is inside is not.
fn only_says_how(body: &Value<'_>) -> Result<(), Refusal> {
    for (key, value) in body.members().unwrap_or_default() {
        if !READ.contains(&key.as_ref()) {
            brings_nothing(value, key)?;
        }
    }
    for key in ["metadata", "client_metadata"] {
        let values = body.get(key).and_then(Value::members).unwrap_or_default();
        values.iter().try_for_each(|(_, value)| brings_nothing(value, key))?;
    }
    Ok(())
}

/// Every list of tools in a request: its own, and those that items of its input bring.
fn tool_lists<'v, 'a>(body: &'v Value<'a>) -> Result<Vec<&'v [Value<'a>]>, Refusal> {
    let mut lists = vec![array(body, "tools")?];
    for item in body.get("input").and_then(Value::items).unwrap_or_default() {
        if brings_tools(item) {
            lists.push(array(item, "tools")?);
        }
    }
    Ok(lists)
}

/// No key of a tool may be read as another, and none be named twice: here, and in the form of chat.
fn one_name(tool: &Value<'_>, param: &str) -> Result<(), Refusal> {
    keys::no_twins(tool, &TOOL, param)?;
    if tool.present("function").is_some() || tool.present("custom").is_some() {
        let message = format!("an entry of `{param}` has the parts of two kinds of tool");
        return Err(Refusal::invalid(message, Some(param)));
    }
    Ok(())
}

/// One entry of `tools`, or those of a namespace.
fn offer<'v>(tool: &'v Value<'_>, offers: &mut Vec<Offer<'v>>) -> Result<(), Refusal> {
    one_name(tool, "tools")?;
    let kind = text(tool, "type", "tools")?;
    if kind != "namespace" {
        no_inner_tools(tool, "tools")?;
    }
    match kind {
        "function" | "custom" => {
            offers.push(Offer { tool: Cow::Borrowed(text(tool, "name", "tools")?), args: Arguments::Open });
        }
        "namespace" => {
            for tool in array(tool, "tools")? {
                if text(tool, "type", "tools")? == "namespace" {
                    return Err(Refusal::invalid("a namespace stands in another", Some("tools")));
                }
                offer(tool, offers)?;
            }
        }
        kind => offers.push(provider_offer(Api::Responses, tool, kind)?),
    }
    not_too_many(offers.len(), "tools")
}

/// The tool that a tool choice names, by the name that rules speak of.
fn chosen<'v>(choice: &'v Value<'_>, body: &'v Value<'_>) -> Result<Forced<'v>, Refusal> {
    one_name(choice, "tool_choice")?;
    let server_label = server_label(choice, "tool_choice")?;
    let tool = match text(choice, "type", "tool_choice")? {
        "function" | "custom" => Cow::Borrowed(text(choice, "name", "tool_choice")?),
        kind => {
            let own = provider_defined(choice, kind, "tool_choice")?;
            // Of several tools of a type, where it runs is told by the offer.
            let mut offered = tool_lists(body)?.into_iter().flatten();
            let offered = offered.find_map(|tool| {
                let offered = tool.get("type")?.as_str()?;
                (undated(offered) == undated(kind)).then_some((tool, offered))
            });
            match offered {
                Some((tool, kind)) => provider_defined(tool, kind, "tools")?,
                None => own,
            }
        }
    };
    Ok(Forced { tool, server_label })
}

fn choice<'v>(body: &'v Value<'_>, request: &mut Request<'v>) -> Result<(), Refusal> {
    match body.present("tool_choice") {
        None => {}
        Some(Value::String(mode)) if ["none", "auto", "required"].contains(&mode.as_ref()) => {}
        Some(Value::String(_)) => {
            let message = "`tool_choice` must be `none`, `auto`, `required` or an object";
            return Err(Refusal::invalid(message, Some("tool_choice")));
        }
        Some(choice @ Value::Object(_))
            if choice.get("type").and_then(Value::as_str) == Some("allowed_tools") =>
        {
            let required = text(choice, "mode", "tool_choice")? == "required";
            request.listed = Listed { tools: Vec::new(), required };
            not_too_many(array(choice, "tools")?.len(), "tool_choice")?;
            for tool in array(choice, "tools")? {
                request.listed.tools.push(chosen(tool, body)?);
            }
        }
        Some(choice @ Value::Object(_)) => {
            request.forced.push(chosen(choice, body)?);
        }
        Some(other) => return Err(wrong("tool_choice", "a string or an object", other)),
    }
    Ok(())
}

/// Takes the denied offers out of a copy of the body, and forces parameters into others; `kept` tells for each
/// offer, in their order, what becomes of it.
pub fn restrict<'a>(body: &Value<'a>, kept: &[Kept]) -> Value<'a> {
    let mut body = body.clone();
    let mut kept = kept.iter();
    let mut next = || kept.next().unwrap_or(&Kept::Out);
    if let Some(tools) = body.get_mut("tools").and_then(Value::items_mut) {
        retain(tools, &mut next);
        if tools.is_empty() {
            body.remove("tools");
        }
    }
    let mut brought = false;
    for item in body.get_mut("input").and_then(Value::items_mut).into_iter().flatten() {
        if brings_tools(item)
            && let Some(tools) = item.get_mut("tools").and_then(Value::items_mut)
        {
            retain(tools, &mut next);
            brought |= !tools.is_empty();
        }
    }
    if body.get("tools").is_none() && !brought {
        body.remove("tool_choice");
        body.remove("parallel_tool_calls");
    }
    restrict_choice(&mut body);
    body
}

fn retain<'k>(tools: &mut Vec<Value<'_>>, next: &mut dyn FnMut() -> &'k Kept) {
    tools.retain_mut(|tool| {
        if tool.get("type").and_then(Value::as_str) != Some("namespace") {
            return keep(Api::Responses, tool, next());
        }
        let Some(inner) = tool.get_mut("tools").and_then(Value::items_mut) else { return true };
        inner.retain_mut(|tool| keep(Api::Responses, tool, next()));
        !inner.is_empty()
    });
}

/// An `allowed_tools` choice names only tools that are still offered; with none left, nothing may be called.
fn restrict_choice(body: &mut Value<'_>) {
    if body.get("tool_choice").and_then(|choice| choice.get("type")?.as_str()) != Some("allowed_tools") {
        return;
    }
    let mut offers = Vec::new();
    for tool in tool_lists(body).unwrap_or_default().into_iter().flatten() {
        if offer(tool, &mut offers).is_err() {
            return;
        }
    }
    let listed = body.get("tool_choice").and_then(|choice| choice.get("tools")).and_then(Value::items);
    let stays = |tool| chosen(tool, body).is_ok_and(|chosen| offers.iter().any(|offer| chosen.is(offer)));
    let stay: Vec<bool> = listed.unwrap_or_default().iter().map(stays).collect();
    let choice = body.get_mut("tool_choice");
    let Some(tools) = choice.and_then(|choice| choice.get_mut("tools")).and_then(Value::items_mut) else {
        return;
    };
    let mut stay = stay.into_iter();
    tools.retain(|_| stay.next() == Some(true));
    if tools.is_empty() {
        body.set("tool_choice", Value::string("none"));
    }
}
