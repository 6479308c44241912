//! What a request of Responses asks for: model, stream, the tools it offers and forces, the calls of its history.
//! Reading finds everything that a decision depends on; `restrict` takes out what was denied.

use super::item::{Call, Kind, Shell, call_id, container_of};
use crate::{
    call::Arguments,
    dialect::{
        Api, keys, parameters,
        request::{
            Answered, BUILTIN, Forced, Kept, Listed, Offer, Request, array, keep, missing, model_and_stream,
            no_stored_files, not_too_many, only_known, provider_defined, provider_offer, text, undated,
            undecidable, wrong,
        },
    },
    json::Value,
    refusal::Refusal,
};
use std::{borrow::Cow, collections::HashSet};

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
/// Members of a tool, as it is offered or chosen.
const TOOL: [&str; 7] = ["type", "name", "environment", "tools", "function", "custom", "mode"];

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
    for tools in tool_lists(body)? {
        for tool in tools {
            offer(tool, &mut request.offers)?;
        }
    }
    choice(body, &mut request)?;
    input(body, &mut request)?;
    Ok(request)
}

/// Items of an input that bring tools.
const BRINGS_TOOLS: [&str; 2] = ["additional_tools", "tool_search_output"];

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

fn brings_tools(item: &Value<'_>) -> bool {
    item.get("type").and_then(Value::as_str).is_some_and(|kind| BRINGS_TOOLS.contains(&kind))
}

/// No key of a tool may be read as another, and none be named twice: here, and in the form of chat.
fn one_name(tool: &Value<'_>, param: &str) -> Result<(), Refusal> {
    keys::no_twins(tool, &TOOL, param)?;
    let kind = tool.get("type").and_then(Value::as_str).map(undated).unwrap_or_default();
    if NAMELESS.contains(&kind) && tool.present("name").is_some() {
        let message = format!("a `{kind}` has no `name` in this API; leave it out");
        return Err(Refusal::invalid(message, Some(param)));
    }
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
        kind => offers.push(hosted_or_not(tool, kind)?),
    }
    not_too_many(offers.len(), "tools")
}

/// A tool of a type that the provider defined; a shell runs where its environment is.
fn hosted_or_not<'v>(tool: &'v Value<'_>, kind: &'v str) -> Result<Offer<'v>, Refusal> {
    let name = type_name(tool, kind);
    if !name.starts_with(BUILTIN) || name != format!("{BUILTIN}shell") {
        return match name.as_ref() {
            "tool_search" => Ok(Offer { tool: name, args: Arguments::Open }),
            _ => provider_offer(Api::Responses, tool, kind),
        };
    }
    parameters::check(Api::Responses, &name, tool, "tools")?;
    let args = Arguments::Known(parameters::seen(tool, &[]));
    Ok(Offer { tool: name, args })
}

/// Tools of these types have no name in this API: one would only hide the type.
const NAMELESS: [&str; 6] =
    ["apply_patch", "computer", "computer_use_preview", "local_shell", "shell", "tool_search"];

/// The name that rules speak of, of a tool of a type that the provider defined.
fn type_name<'v>(tool: &'v Value<'_>, kind: &'v str) -> Cow<'v, str> {
    let environment = tool.present("environment").and_then(|environment| environment.get("type"));
    if kind == "shell" && environment.and_then(Value::as_str).is_some_and(|place| place != "local") {
        return Cow::Owned(format!("{BUILTIN}shell"));
    }
    if kind == "tool_search" && tool.get("execution").and_then(Value::as_str) == Some("client") {
        return Cow::Borrowed(kind);
    }
    provider_defined(tool, kind)
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
            Ok(type_name(offered.unwrap_or(choice), kind))
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
            not_too_many(array(choice, "tools")?.len(), "tool_choice")?;
            for tool in array(choice, "tools")? {
                request.listed.tools.push(chosen(tool, body)?);
            }
        }
        Some(choice @ Value::Object(_)) => {
            let server_label = id(choice, "server_label");
            request.forced.push(Forced { tool: chosen(choice, body)?, server_label });
        }
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
    let (mut calls, mut unnamed) = (Vec::new(), false);
    for item in items {
        keys::no_twins(
            item,
            &["type", "id", "call_id", "name", "arguments", "input", "role", "tools"],
            "input",
        )?;
        let kind = match item.present("type") {
            // The one that names nothing but an id is a reference, whatever its type is left at.
            None if item.present("role").is_none() => "item_reference",
            None => "message",
            Some(Value::String(kind)) => kind.as_ref(),
            Some(other) => return Err(wrong("input.type", "a string", other)),
        };
        if item.present("tools").is_some() && !BRINGS_TOOLS.contains(&kind) && kind != "mcp_list_tools" {
            let message = "an item brings tools in a way that is not known here; offer them in `tools`";
            return Err(Refusal::invalid(message, Some("input")));
        }
        if !says_all(item, kind) {
            request.references.extend(id(item, "id"));
        }
        match kind {
            "item_reference" => request.references.push(text(item, "id", "input")?),
            // What it brings is an offer, and taken out like one.
            "additional_tools" => {}
            "mcp_approval_response" => request.results.extend(id(item, "approval_request_id")),
            "local_shell_call_output" => {
                request.results.extend(id(item, "call_id").into_iter().chain(id(item, "id")));
            }
            _ if kind.ends_with("_output") => match item.present("call_id") {
                Some(Value::String(call)) => request.results.push(call),
                Some(other) => return Err(wrong("input.call_id", "a string", other)),
                // It may be the result of any.
                None => unnamed = true,
            },
            "message" => plain_message(item)?,
            _ => {
                if let Ok(Kind::Call(call)) = Kind::of(item, Shell::Here) {
                    calls.push((call, item));
                }
            }
        }
        request.containers.extend(container_of(item).filter(|_| kind.ends_with("_call")));
        stored_files(item, kind)?;
    }
    answered(&calls, unnamed, request)
}

fn id<'v>(item: &'v Value<'_>, key: &str) -> Option<&'v str> {
    item.get(key).and_then(Value::as_str)
}

/// A message says something, and neither calls nor brings results: those are items of their own here.
fn plain_message(item: &Value<'_>) -> Result<(), Refusal> {
    let role = text(item, "role", "input")?;
    let parts = item.get("content").and_then(Value::items).unwrap_or_default();
    let foreign = |part: &Value<'_>| {
        part.get("type")
            .and_then(Value::as_str)
            .is_some_and(|kind| kind.contains("tool") || kind.contains("call"))
    };
    let calls = ["tool_calls", "function_call", "tools", "tool_call_id"];
    if matches!(role, "tool" | "function")
        || calls.iter().any(|key| item.present(key).is_some())
        || parts.iter().any(foreign)
    {
        let message =
            "a message carries a call or a result in the form of another API; make it an item of its own";
        return Err(Refusal::invalid(message, Some("input")));
    }
    Ok(())
}

/// Whether an item says all that there is to say of it: of any other the provider looks up the rest by its id, such as
/// the results of a search.
fn says_all(item: &Value<'_>, kind: &str) -> bool {
    let text = |key: &str| id(item, key).is_some_and(|text| !text.is_empty());
    let parts = |key: &str| {
        let parts = item.get("content").and_then(Value::items).unwrap_or_default();
        let said = |part: &Value<'_>| id(part, key).is_some_and(|text| !text.is_empty());
        !parts.is_empty() && parts.iter().all(said)
    };
    match kind {
        // It is looked up whatever it says.
        "item_reference" => true,
        "message" => text("content") || parts("type"),
        "reasoning" => text("encrypted_content") || parts("text"),
        "compaction" | "compaction_summary" => text("encrypted_content"),
        "image_generation_call" => text("result"),
        "additional_tools" | "tool_search_output" | "mcp_approval_response" => true,
        _ if kind.ends_with("_output") => item.present("output").is_some(),
        _ => match Kind::of(item, Shell::Here) {
            Ok(Kind::Call(Call::Function)) => item.get("arguments").is_some(),
            Ok(Kind::Call(Call::Custom)) => item.get("input").is_some(),
            Ok(Kind::Call(Call::Action { member, .. })) => {
                item.present(member).is_some() || item.present("actions").is_some()
            }
            Ok(Kind::Call(Call::Approval) | Kind::Hosted | Kind::HostedResult | Kind::Other) | Err(_) => {
                false
            }
        },
    }
}

/// Files that an item names by their ids: only what a search of the provider's found comes back as it came. A container
/// that a call ran in is looked up.
fn stored_files(item: &Value<'_>, kind: &str) -> Result<(), Refusal> {
    if kind == "file_search_call" {
        return Ok(());
    }
    if !kind.ends_with("_call") || container_of(item).is_none() {
        return no_stored_files(item, "input");
    }
    let mut rest = item.clone();
    rest.remove("container_id");
    if let Some(environment) = rest.get_mut("environment") {
        environment.remove("container_id");
    }
    no_stored_files(&rest, "input")
}

/// Calls of the input to which it brings a result too.
fn answered<'v>(
    calls: &[(Call, &'v Value<'_>)],
    unnamed: bool,
    request: &mut Request<'v>,
) -> Result<(), Refusal> {
    let results: HashSet<&str> = request.results.iter().copied().collect();
    let offers = |name: &str| request.offers.iter().any(|offer| offer.tool == name);
    let computer = offers("computer_use_preview");
    let hosted = offers("builtin__shell") && !offers("shell");
    for (call, item) in calls {
        let names = [Some(call_id(item)), id(item, "id"), id(item, "call_id")];
        if !unnamed && !names.into_iter().flatten().any(|name| results.contains(name)) {
            continue;
        }
        let mut tool = call.tool(item).map_err(|_| missing("input", "name"))?;
        // A computer goes by the type under which it was offered.
        if computer && tool == "computer" {
            tool = Cow::Borrowed("computer_use_preview");
        }
        // So does a shell: in a container of the provider's it ran under the parameters of its offer.
        if hosted && tool == "shell" {
            tool = Cow::Borrowed("builtin__shell");
        }
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
    let mut offers = Vec::new();
    for tool in tool_lists(body).unwrap_or_default().into_iter().flatten() {
        if offer(tool, &mut offers).is_err() {
            return;
        }
    }
    let label = |tool: &Value<'_>| tool.get("server_label").and_then(Value::as_str).map(ToOwned::to_owned);
    let tools = body.get("tools").and_then(Value::items).unwrap_or_default();
    let inner = tools.iter().flat_map(|tool| tool.get("tools").and_then(Value::items).unwrap_or_default());
    let labels: HashSet<String> = tools.iter().chain(inner).filter_map(label).collect();
    let offered: HashSet<String> = offers.into_iter().map(|offer| offer.tool.into_owned()).collect();
    let before = body.clone();
    let Some(choice) = body.get_mut("tool_choice") else { return };
    if choice.get("type").and_then(Value::as_str) != Some("allowed_tools") {
        return;
    }
    let Some(tools) = choice.get_mut("tools").and_then(Value::items_mut) else { return };
    tools.retain(|tool| {
        let named = chosen(tool, &before).is_ok_and(|name| offered.contains(&*name));
        named && label(tool).is_none_or(|label| labels.contains(&label))
    });
    if tools.is_empty() {
        body.set("tool_choice", Value::string("none"));
    }
}
