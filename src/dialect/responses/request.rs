//! What a request of Responses asks for: model, stream, the tools it offers and forces, the calls of its history.
//! Reading finds everything that a decision depends on; `restrict` takes out what was denied.

use super::item::{Call, Kind, call_id};
use crate::{
    call::Arguments,
    dialect::{
        Api, keys, parameters,
        request::{
            Answered, BUILTIN, Kept, Listed, Offer, Request, array, keep, missing, model_and_stream,
            no_stored_files, provider_defined, provider_offer, text, undecidable, wrong,
        },
    },
    json::Value,
    refusal::Refusal,
};
use std::borrow::Cow;

/// Members of a body that are decided on.
const DECIDED: [&str; 18] = [
    "background",
    "background_options",
    "conversation",
    "input",
    "mcp_servers",
    "model",
    "models",
    "parallel_tool_calls",
    "plugins",
    "previous_response_id",
    "prompt",
    "prompt_cache_options",
    "search_parameters",
    "store",
    "stream",
    "tool_choice",
    "tool_resources",
    "tools",
];
/// Members by which a provider is told of tools, models or turns that do not stand in the request.
const UNDECIDED: [&str; 8] = [
    "background_options",
    "conversation",
    "mcp_servers",
    "models",
    "plugins",
    "prompt",
    "search_parameters",
    "tool_resources",
];
/// Members of a tool, as it is offered or chosen.
const TOOL: [&str; 7] = ["type", "name", "environment", "tools", "function", "custom", "mode"];

/// Reads a request.
pub fn understand<'v>(body: &'v Value<'_>) -> Result<Request<'v>, Refusal> {
    if body.members().is_none() {
        return Err(Refusal::invalid(format!("the body is {}, not an object", body.type_name()), None));
    }
    keys::no_twins(body, &DECIDED, "model")?;
    undecidable(body, &UNDECIDED)?;
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
    if let Some(options) = body.present("prompt_cache_options") {
        undecidable(options, &["comparison_response_id"])?;
    }
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
    for tool in array(body, "tools")? {
        offer(tool, &mut request.offers)?;
    }
    choice(body, &mut request)?;
    input(body, &mut request)?;
    Ok(request)
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
    match text(tool, "type", "tools")? {
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
        kind => offers.push(hosted_or_not(tool, kind)),
    }
    Ok(())
}

/// A tool of a type that the provider defined; a shell runs where its environment is.
fn hosted_or_not<'v>(tool: &'v Value<'_>, kind: &'v str) -> Offer<'v> {
    let environment = tool.present("environment").and_then(|environment| environment.get("type"));
    if kind == "shell" && environment.and_then(Value::as_str).is_some_and(|place| place != "local") {
        let args = Arguments::Known(parameters::seen(tool, &[]));
        return Offer { tool: Cow::Owned(format!("{BUILTIN}shell")), args };
    }
    provider_offer(tool, kind)
}

/// The name that rules speak of, of a tool choice.
fn chosen<'v>(choice: &'v Value<'_>, body: &'v Value<'_>) -> Result<Cow<'v, str>, Refusal> {
    one_name(choice, "tool_choice")?;
    match text(choice, "type", "tool_choice")? {
        "function" | "custom" => Ok(Cow::Borrowed(text(choice, "name", "tool_choice")?)),
        kind => {
            // Of several tools of a type, where it runs is told by the offer.
            let offered = array(body, "tools")?
                .iter()
                .find(|tool| tool.get("type").and_then(Value::as_str) == Some(kind));
            Ok(offered.map_or_else(|| provider_defined(choice, kind), |tool| hosted_or_not(tool, kind).tool))
        }
    }
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
            for tool in array(choice, "tools")? {
                request.listed.tools.push(chosen(tool, body)?);
            }
        }
        Some(choice @ Value::Object(_)) => request.forced.push(chosen(choice, body)?),
        Some(other) => return Err(wrong("tool_choice", "a string or an object", other)),
    }
    Ok(())
}

/// What the input tells of earlier calls, and what it may not tell at all.
fn input<'v>(body: &'v Value<'_>, request: &mut Request<'v>) -> Result<(), Refusal> {
    let items = match body.present("input") {
        None | Some(Value::String(_)) => return Ok(()),
        Some(Value::Array(items)) => items,
        Some(other) => return Err(wrong("input", "a string or an array", other)),
    };
    let mut calls = Vec::new();
    for item in items {
        keys::no_twins(
            item,
            &["type", "id", "call_id", "name", "arguments", "input", "role", "tools"],
            "input",
        )?;
        let kind = match item.present("type") {
            None => "message",
            Some(Value::String(kind)) => kind.as_ref(),
            Some(other) => return Err(wrong("input.type", "a string", other)),
        };
        match kind {
            "item_reference" => {
                let message =
                    "`item_reference` names a stored item whose owner cannot be known; send the item itself";
                return Err(Refusal::invalid(message, Some("input")));
            }
            "additional_tools" | "tool_search_output" if item.present("tools").is_some() => {
                let message = format!("`{kind}` brings tools; offer them in `tools`, where they are checked");
                return Err(Refusal::invalid(message, Some("input")));
            }
            "mcp_approval_response" => request.results.extend(id(item, "approval_request_id")),
            "local_shell_call_output" => {
                request.results.extend(id(item, "call_id").or_else(|| id(item, "id")));
            }
            _ if kind.ends_with("_output") => request.results.extend(id(item, "call_id")),
            "message" => {}
            _ => {
                if let Ok(Kind::Call(call)) = Kind::of(item) {
                    calls.push((call, item));
                }
            }
        }
        for content in ["content", "output"] {
            no_stored_files(item.get(content).unwrap_or(&Value::Null), "input")?;
        }
    }
    answered(&calls, request)
}

fn id<'v>(item: &'v Value<'_>, key: &str) -> Option<&'v str> {
    item.get(key).and_then(Value::as_str)
}

/// Calls of the input to which it brings a result too.
fn answered<'v>(calls: &[(Call, &'v Value<'_>)], request: &mut Request<'v>) -> Result<(), Refusal> {
    for (call, item) in calls {
        if !request.results.contains(&call_id(item)) {
            continue;
        }
        let tool = call.tool(item).map_err(|_| missing("input", "name"))?;
        let text = call.text(item);
        request.answered.push(Answered { tool, text, form: call.form() });
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
        tools.retain_mut(|tool| {
            if tool.get("type").and_then(Value::as_str) != Some("namespace") {
                return keep(tool, next());
            }
            let Some(inner) = tool.get_mut("tools").and_then(Value::items_mut) else { return true };
            inner.retain_mut(|tool| keep(tool, next()));
            !inner.is_empty()
        });
        if tools.is_empty() {
            body.remove("tools");
        }
    }
    if body.get("tools").is_none() {
        body.remove("tool_choice");
        body.remove("parallel_tool_calls");
    }
    restrict_choice(&mut body);
    body
}

/// An `allowed_tools` choice names only tools that are still offered; with none left, nothing may be called.
fn restrict_choice(body: &mut Value<'_>) {
    let mut offers = Vec::new();
    for tool in body.get("tools").and_then(Value::items).unwrap_or_default() {
        if offer(tool, &mut offers).is_err() {
            return;
        }
    }
    let label = |tool: &Value<'_>| tool.get("server_label").and_then(Value::as_str).map(ToOwned::to_owned);
    let tools = body.get("tools").and_then(Value::items).unwrap_or_default();
    let inner = tools.iter().flat_map(|tool| tool.get("tools").and_then(Value::items).unwrap_or_default());
    let labels: Vec<String> = tools.iter().chain(inner).filter_map(label).collect();
    let offered: Vec<String> = offers.into_iter().map(|offer| offer.tool.into_owned()).collect();
    let before = body.clone();
    let Some(choice) = body.get_mut("tool_choice") else { return };
    if choice.get("type").and_then(Value::as_str) != Some("allowed_tools") {
        return;
    }
    let Some(tools) = choice.get_mut("tools").and_then(Value::items_mut) else { return };
    tools.retain(|tool| {
        let named = chosen(tool, &before).is_ok_and(|name| offered.iter().any(|offer| *offer == *name));
        named && label(tool).is_none_or(|label| labels.contains(&label))
    });
    if tools.is_empty() {
        body.set("tool_choice", Value::string("none"));
    }
}
