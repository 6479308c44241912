//! What a request of Messages asks for: model, stream, the tools it offers and forces, the calls of its history.
//! Reading finds everything that a decision depends on; `restrict` takes out what was denied.

use crate::{
    call::Arguments,
    dialect::{
        Api,
        brought::{
            brings_nothing, brings_nothing_beside, no_inner_tools, no_results_in_part, no_stored_files,
            no_tools_in_part, only_made_files,
        },
        input::Form,
        keys, parameters,
        request::{
            Answered, BUILTIN, Forced, Kept, Offer, Request, array, builtin, keep, missing, model_and_stream,
            not_too_many, only_known, provider_defined, provider_offer, text, undated, wrong,
        },
    },
    json::Value,
    refusal::Refusal,
};
use std::{
    borrow::Cow,
    collections::{BTreeSet, HashSet},
};

/// Members of a body that are decided on, or that say nothing of tools, turns and models. Any other is refused: a
/// `container` keeps files, a `thread` turns of whoever made it, `fallbacks` are models. Source: the parameters of
/// Anthropic's official clients.
const KNOWN: [&str; 25] = [
    "betas",
    "cache_control",
    "compaction",
    "context_management",
    "inference_geo",
    "max_tokens",
    "mcp_servers",
    "messages",
    "metadata",
    "model",
    "output_config",
    "output_format",
    "prefill",
    "service_tier",
    "speed",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
    "user",
];
/// Those of them that are read by themselves.
const READ: [&str; 4] = ["mcp_servers", "messages", "tool_choice", "tools"];
/// Blocks of a message that bring nothing but content. Any other is refused: `tool_addition` offers tools in the middle of
/// a conversation, `container_upload` names a stored file.
const BLOCKS: [&str; 14] = [
    "compaction",
    "document",
    "fallback",
    "image",
    "mcp_tool_listing",
    "mcp_tool_use",
    "redacted_thinking",
    "search_result",
    "server_tool_use",
    "text",
    "thinking",
    "tool_removal",
    "tool_result",
    "tool_use",
];
/// The servers' tools are decided with the server.
const TOOLSET: &str = "mcp_toolset";

/// Reads a request for a message, or for the count of its tokens.
pub fn understand<'v>(api: Api, body: &'v Value<'_>) -> Result<Request<'v>, Refusal> {
    if body.members().is_none() {
        return Err(Refusal::invalid(format!("the body is {}, not an object", body.type_name()), None));
    }
    only_known(body, &KNOWN)?;
    for (key, value) in body.members().unwrap_or_default() {
        if !READ.contains(&key.as_ref()) {
            brings_nothing(value, key)?;
        }
    }
    let (model, stream) = model_and_stream(body)?;
    let mut request = Request::new(api, model, stream);
    not_too_many(array(body, "tools")?.len(), "tools")?;
    not_too_many(array(body, "mcp_servers")?.len(), "mcp_servers")?;
    for tool in array(body, "tools")? {
        request.offers.extend(offer(tool)?);
    }
    one_set_a_server(body)?;
    one_server_a_name(body)?;
    for server in array(body, "mcp_servers")? {
        keys::no_twins(server, &["url", "name", "type", "tool_configuration"], "mcp_servers")?;
        text(server, "url", "mcp_servers")?;
        parameters::check(Api::Messages, "builtin__mcp", server, "mcp_servers")?;
        let args = Arguments::Known(server_parameters(server, body));
        request.offers.push(Offer { tool: Cow::Borrowed("builtin__mcp"), args });
    }
    request.forced = forced(body)?;
    request.answered = answered(body)?;
    Ok(request)
}

/// One entry of `tools`; nothing for a set of tools of a server, which is decided with it.
fn offer<'v>(tool: &'v Value<'_>) -> Result<Option<Offer<'v>>, Refusal> {
    keys::no_twins(tool, &["type", "name", "input_schema", "mcp_server_name", "tools"], "tools")?;
    no_inner_tools(tool, "tools")?;
    let kind = match tool.present("type") {
        None => "custom",
        Some(Value::String(kind)) => kind.as_ref(),
        Some(other) => return Err(wrong("tools.type", "a string", other)),
    };
    Ok(match kind {
        "custom" => {
            let tool = Cow::Borrowed(text(tool, "name", "tools")?);
            Some(Offer { tool, args: Arguments::Open })
        }
        _ if is_toolset(tool) => {
            check_toolset(tool)?;
            None
        }
        _ => Some(provider_offer(Api::Messages, tool, kind)?),
    })
}

/// A set of tools can be read in one way.
fn check_toolset(toolset: &Value<'_>) -> Result<(), Refusal> {
    text(toolset, "mcp_server_name", "tools")?;
    parameters::check(Api::Messages, TOOLSET, toolset, "tools")?;
    let configs = toolset.get("configs").and_then(Value::members).unwrap_or_default();
    let configs = configs.iter().map(|(_, config)| config);
    for config in configs.chain(toolset.get("default_config")) {
        keys::no_twins(config, &["enabled"], "tools")?;
        if config.present("enabled").is_some_and(|enabled| enabled.as_bool().is_none()) {
            return Err(Refusal::invalid("`enabled` of a `mcp_toolset` must be a boolean", Some("tools")));
        }
    }
    Ok(())
}

/// The tools of a server are narrowed in one place.
fn one_set_a_server(body: &Value<'_>) -> Result<(), Refusal> {
    for server in array(body, "mcp_servers")? {
        if server.present("tool_configuration").is_some() && toolset_of(server, body).is_some() {
            let message =
                "a server has both a `tool_configuration` and a `mcp_toolset`; narrow it in one place";
            return Err(Refusal::invalid(message, Some("mcp_servers")));
        }
    }
    let sets = array(body, "tools")?.iter().filter(|tool| is_toolset(tool));
    let mut names: Vec<_> = sets.map(|set| set.get("mcp_server_name").and_then(Value::as_str)).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    if names.len() == all {
        return Ok(());
    }
    let message = "two `mcp_toolset` entries name one server; put them into one";
    Err(Refusal::invalid(message, Some("tools")))
}

/// A set of tools names its server.
fn one_server_a_name(body: &Value<'_>) -> Result<(), Refusal> {
    let mut names = HashSet::new();
    for server in array(body, "mcp_servers")? {
        if !names.insert(text(server, "name", "mcp_servers")?) {
            let message = "two entries of `mcp_servers` have one name";
            return Err(Refusal::invalid(message, Some("mcp_servers")));
        }
    }
    Ok(())
}

/// The set of tools that names a server.
fn toolset_of<'v, 'a>(server: &Value<'_>, body: &'v Value<'a>) -> Option<&'v Value<'a>> {
    let name = server.get("name").and_then(Value::as_str);
    let mut tools = body.get("tools").and_then(Value::items).unwrap_or_default().iter();
    tools.find(|tool| is_toolset(tool) && tool.get("mcp_server_name").and_then(Value::as_str) == name)
}

/// A server's parameters as rules see them, with the tools that a set of tools narrows it to.
fn server_parameters<'a>(server: &Value<'a>, body: &Value<'a>) -> Value<'a> {
    let mut seen = parameters::seen(server, parameters::MCP_SERVER);
    let Some(toolset) = toolset_of(server, body) else { return seen };
    let enabled = |config: &Value<'_>| config.present("enabled").and_then(Value::as_bool);
    if toolset.get("default_config").and_then(enabled) == Some(false) && seen.get("allowed_tools").is_none() {
        let configs = toolset.get("configs").and_then(Value::members).unwrap_or_default();
        let on = configs.iter().filter(|(_, config)| enabled(config) == Some(true));
        let names = on.map(|(name, _)| Value::String(name.clone())).collect();
        seen.set("allowed_tools", Value::Array(names));
    }
    seen
}

fn forced<'v>(body: &'v Value<'_>) -> Result<Vec<Forced<'v>>, Refusal> {
    let choice = match body.present("tool_choice") {
        None => return Ok(Vec::new()),
        Some(choice @ Value::Object(_)) => choice,
        Some(other) => return Err(wrong("tool_choice", "an object", other)),
    };
    keys::no_twins(choice, &["type", "name"], "tool_choice")?;
    match text(choice, "type", "tool_choice")? {
        "auto" | "any" | "none" => Ok(Vec::new()),
        "tool" => Ok(vec![offered_as(body, text(choice, "name", "tool_choice")?)?.into()]),
        _ => {
            let message = "`tool_choice.type` must be `auto`, `any`, `tool` or `none`";
            Err(Refusal::invalid(message, Some("tool_choice")))
        }
    }
}

/// The name that rules speak of, of a tool that is called by its own.
fn offered_as<'v>(body: &'v Value<'_>, name: &'v str) -> Result<Cow<'v, str>, Refusal> {
    let tools = body.get("tools").and_then(Value::items).unwrap_or_default();
    let tool = tools.iter().find(|tool| tool.get("name").and_then(Value::as_str) == Some(name));
    match tool.and_then(|tool| Some((tool, tool.get("type")?.as_str()?))) {
        Some((tool, kind)) if kind != "custom" => provider_defined(tool, kind, "tools"),
        Some(_) | None => Ok(Cow::Borrowed(name)),
    }
}

/// Calls of earlier turns that some block answers, wherever they ran.
fn answered<'v>(body: &'v Value<'_>) -> Result<Vec<Answered<'v>>, Refusal> {
    let mut results = Vec::new();
    let mut calls = Vec::new();
    for message in array(body, "messages")? {
        keys::no_twins(message, &["role", "content"], "messages")?;
        let content = message.get("content").unwrap_or(&Value::Null);
        if !matches!(content, Value::String(_) | Value::Array(_) | Value::Null) {
            return Err(wrong("messages.content", "a string or an array", content));
        }
        brings_nothing_beside(message, &["content"], "messages")?;
        for block in content.items().unwrap_or_default() {
            keys::no_twins(block, &["type", "id", "name", "input", "tool_use_id"], "messages")?;
            known_block(block)?;
            no_tools_in_part(block, "messages")?;
            no_results_in_part(block, "messages")?;
            let kind = text(block, "type", "messages")?;
            if kind.ends_with("code_execution_tool_result") {
                only_made_files(block, "messages")?;
            } else {
                no_stored_files(block, "messages")?;
            }
            if kind.ends_with("tool_result") || block.get("tool_use_id").is_some() {
                results.push((kind, block.get("tool_use_id").and_then(Value::as_str)));
            }
            if matches!(kind, "tool_use" | "server_tool_use" | "mcp_tool_use") {
                calls.push((kind, block));
            }
        }
    }
    let id_of = |call: &'v Value<'_>| call.get("id").and_then(Value::as_str);
    let called: HashSet<&str> = calls.iter().filter_map(|(_, call)| id_of(call)).collect();
    let names_a_call = |id: Option<&str>| id.is_some_and(|id| called.contains(id));
    // A result that names no call may be the result of any.
    let of_any = results.iter().any(|(_, id)| !names_a_call(*id));
    let named: HashSet<&str> = results.iter().filter_map(|(_, id)| *id).collect();
    let mut answered = Vec::new();
    for (kind, call) in calls {
        if of_any || id_of(call).is_some_and(|id| named.contains(id)) {
            answered.push(answered_call(kind, call)?);
        }
    }
    // What the provider found says itself of which tool it is.
    let strays = results.iter().filter(|(_, id)| !names_a_call(*id));
    let found: BTreeSet<&str> = strays.filter_map(|(kind, _)| kind.strip_suffix("_tool_result")).collect();
    answered.extend(found.into_iter().map(|kind| at_the_provider(hosted(kind))));
    Ok(answered)
}

fn answered_call<'v>(kind: &str, call: &'v Value<'_>) -> Result<Answered<'v>, Refusal> {
    let name = text(call, "name", "messages")?;
    Ok(match kind {
        "mcp_tool_use" => at_the_provider(format!("{BUILTIN}mcp")),
        "server_tool_use" => at_the_provider(hosted(name)),
        _ => {
            let input = call.get("input").ok_or_else(|| missing("messages", "input"))?;
            let text = Cow::Owned(input.to_string());
            let id = call.get("id").and_then(Value::as_str).unwrap_or_default();
            Answered { id, tool: Cow::Borrowed(name), text, form: Form::Function }
        }
    })
}

/// A call that the provider ran. What the model wrote are not the parameters that rules see: those were of an offer that
/// was decided on then, and may be gone now. So it is denied where no parameters could pass.
fn at_the_provider(tool: String) -> Answered<'static> {
    Answered { id: "", tool: Cow::Owned(tool), text: Cow::Borrowed("{}"), form: Form::Unknown }
}

fn known_block(block: &Value<'_>) -> Result<(), Refusal> {
    let kind = text(block, "type", "messages")?;
    if BLOCKS.contains(&kind) || kind.ends_with("_tool_result") {
        return Ok(());
    }
    let kind: String = kind.chars().take(64).collect();
    let message =
        format!("a block of type `{kind}` cannot be checked against the tenant's rules; leave it out");
    Err(Refusal::invalid(message, Some("messages")))
}

/// Takes the denied offers out of a copy of the body, and forces parameters into others; `kept` tells for each
/// offer, in their order, what becomes of it.
pub fn restrict<'a>(before: &Value<'a>, kept: &[Kept]) -> Value<'a> {
    let mut body = before.clone();
    let mut kept = kept.iter();
    let mut next = || kept.next().unwrap_or(&Kept::Out);
    if let Some(tools) = body.get_mut("tools").and_then(Value::items_mut) {
        tools.retain_mut(|tool| is_toolset(tool) || keep(Api::Messages, tool, next()));
    }
    let mut servers = Vec::new();
    if let Some(items) = body.get_mut("mcp_servers").and_then(Value::items_mut) {
        items.retain_mut(|server| {
            let kept = next();
            let has_set = toolset_of(server, before).is_some();
            let stays = keep_server(server, has_set, kept);
            if let (true, Some(name)) = (stays, server.get("name").and_then(Value::as_str)) {
                servers.push((name.to_owned(), kept));
            }
            stays
        });
        if items.is_empty() {
            body.remove("mcp_servers");
        }
    }
    if let Some(tools) = body.get_mut("tools").and_then(Value::items_mut) {
        tools.retain_mut(|tool| !is_toolset(tool) || keep_toolset(tool, &servers));
        if tools.is_empty() {
            body.remove("tools");
        }
    }
    if body.get("tools").is_none() && body.get("mcp_servers").is_none() {
        body.remove("tool_choice");
    }
    body
}

fn is_toolset(tool: &Value<'_>) -> bool {
    tool.get("type").and_then(Value::as_str).is_some_and(|kind| undated(kind) == TOOLSET)
}

/// Keeps a set of tools whose server stays, narrowed as a rule narrowed the server. Whether it does.
fn keep_toolset(toolset: &mut Value<'_>, servers: &[(String, &Kept)]) -> bool {
    let name = toolset.get("mcp_server_name").and_then(Value::as_str);
    let Some((_, kept)) = servers.iter().find(|(server, _)| Some(server.as_str()) == name) else {
        return false;
    };
    if let Kept::As(forced) = kept
        && let Some(allowed) = forced.get("allowed_tools").and_then(Value::items)
    {
        let enabled = |enabled| Value::object([("enabled", Value::Bool(enabled))]);
        let configs =
            allowed.iter().filter_map(|tool| Some((Cow::Owned(tool.as_str()?.to_owned()), enabled(true))));
        toolset.set("configs", Value::Object(configs.collect()));
        toolset.set("default_config", enabled(false));
    }
    true
}

/// Keeps a server as a rule made it. Its tools are narrowed where the request does: in its set of tools, if it has one.
/// Whether it stays.
fn keep_server(server: &mut Value<'_>, has_set: bool, kept: &Kept) -> bool {
    match kept {
        Kept::As(forced) if has_set => {
            let allowed = forced.present("allowed_tools");
            if allowed.is_some_and(|allowed| allowed.items().is_none()) {
                return false;
            }
            parameters::force(server, forced, parameters::MCP_SERVER_WITH_SET);
            server.remove("allowed_tools");
            // What a rule forces there would narrow it in two places, which no provider has to take.
            return server.present("tool_configuration").is_none();
        }
        Kept::As(forced) => parameters::force(server, forced, parameters::MCP_SERVER),
        Kept::AsIs => {}
        Kept::Out => return false,
    }
    true
}

/// The name that rules speak of, of a tool that the provider ran: the name in an answer is not always its type.
pub(super) fn hosted(name: &str) -> String {
    if name.ends_with("code_execution") {
        return format!("{BUILTIN}code_execution");
    }
    builtin(name)
}
