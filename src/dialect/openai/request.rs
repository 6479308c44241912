//! What a request asks for: model, stream, the tools it offers and forces, the calls of its history.
//! Reading finds everything that a decision depends on; `restrict` takes out what was denied.

use crate::{call::Arguments, json::Value, refusal::Refusal};
use std::borrow::Cow;

use super::{
    Api,
    call_parts::{self, Emitted},
    keys,
};

/// A request, understood. Borrows from the parsed body.
#[derive(Debug)]
pub struct Request<'v> {
    pub model: &'v str,
    pub stream: bool,
    /// Every tool that is offered to the model, in the order of the body.
    pub offers: Vec<Offer<'v>>,
    /// Tools that a `tool_choice` forces: if one of them is denied, so is the request.
    pub forced: Vec<Cow<'v, str>>,
    /// Tools that an `allowed_tools` choice narrows the model to.
    pub listed: Listed<'v>,
    /// Calls of earlier turns to which the request brings a result.
    pub answered: Vec<Answered<'v>>,
}

/// What an `allowed_tools` choice lists.
#[derive(Debug, Default)]
pub struct Listed<'v> {
    pub tools: Vec<Cow<'v, str>>,
    /// Whether the model must call one of them.
    pub required: bool,
}

/// What becomes of an offer.
#[derive(Debug, Clone, PartialEq)]
pub enum Kept {
    /// It stays, with these parameters forced.
    As(Value<'static>),
    AsIs,
    Out,
}

/// A call of an earlier turn, as the request tells it.
#[derive(Debug)]
pub struct Answered<'v> {
    pub tool: Cow<'v, str>,
    /// Its arguments' text.
    pub text: Cow<'v, str>,
}

/// A tool as a request offers it.
#[derive(Debug)]
pub struct Offer<'v> {
    /// The name that rules speak of.
    pub tool: Cow<'v, str>,
    /// Open for a function; for a tool that the provider runs, its own parameters.
    pub args: Arguments<'v>,
}

/// Members of a body that are decided on.
const DECIDED: [&str; 14] = [
    "model",
    "models",
    "stream",
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
    "tool_resources",
];
/// Members by which some providers are told of other models, or of tools that they run themselves.
const UNDECIDED: [&str; 5] = ["models", "mcp_servers", "plugins", "search_parameters", "tool_resources"];
/// Members of a tool, as it is offered or chosen.
const TOOL: [&str; 5] = ["type", "function", "custom", "name", "allowed_tools"];

/// Reads a request of an API that takes a model.
pub fn understand<'v>(api: Api, body: &'v Value<'_>) -> Result<Request<'v>, Refusal> {
    if body.members().is_none() {
        return Err(Refusal::invalid(format!("the body is {}, not an object", body.type_name()), None));
    }
    keys::no_twins(body, &DECIDED, "model")?;
    if let Some(param) = UNDECIDED.iter().find(|param| body.present(param).is_some()) {
        let message =
            format!("`{param}` cannot be checked against the tenant's rules, so it is not passed on");
        return Err(Refusal::invalid(message, Some(param)));
    }
    let model = match body.get("model") {
        Some(Value::String(model)) => model.as_ref(),
        Some(other) => return Err(wrong("model", "a string", other)),
        None => return Err(Refusal::invalid("`model` is missing", Some("model"))),
    };
    let stream = match body.present("stream") {
        None => false,
        Some(Value::Bool(stream)) => *stream,
        Some(other) => return Err(wrong("stream", "a boolean", other)),
    };
    let mut request = Request {
        model,
        stream,
        offers: Vec::new(),
        forced: Vec::new(),
        listed: Listed::default(),
        answered: Vec::new(),
    };
    if api != Api::Chat
        && let Some(param) = ["tools", "functions"].iter().find(|param| body.present(param).is_some())
    {
        let message = format!("`{param}` belongs to chat completions");
        return Err(Refusal::invalid(message, Some(param)));
    }
    if api == Api::Chat {
        request.offers = offers(body)?;
        request.forced = forced(body)?;
        request.listed = listed(body)?;
        request.answered = answered(body)?;
    }
    Ok(request)
}

fn wrong(param: &str, wanted: &str, found: &Value<'_>) -> Refusal {
    Refusal::invalid(format!("`{param}` must be {wanted}, not {}", found.type_name()), Some(param))
}

fn array<'v, 'a>(body: &'v Value<'a>, param: &str) -> Result<&'v [Value<'a>], Refusal> {
    match body.present(param) {
        None => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(other) => Err(wrong(param, "an array", other)),
    }
}

fn offers<'v>(body: &'v Value<'_>) -> Result<Vec<Offer<'v>>, Refusal> {
    let mut offers = Vec::new();
    for tool in array(body, "tools")? {
        offers.push(offer(tool)?);
    }
    for function in array(body, "functions")? {
        let tool = Cow::Borrowed(text(function, "name", "functions")?);
        offers.push(Offer { tool, args: Arguments::Open });
    }
    if let Some(options) = body.present("web_search_options") {
        let args = Arguments::Known(options.clone());
        offers.push(Offer { tool: Cow::Borrowed("builtin__web_search"), args });
    }
    Ok(offers)
}

/// One entry of `tools`.
fn offer<'v>(tool: &'v Value<'_>) -> Result<Offer<'v>, Refusal> {
    let kind = text(tool, "type", "tools")?;
    let args = match kind {
        "function" | "custom" => Arguments::Open,
        _ => Arguments::Known(tool.clone()),
    };
    Ok(Offer { tool: named(tool, kind, "tools")?, args })
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
        // Tools that the client runs though the provider defined them go by their name, else their type.
        "bash" | "computer" | "local_shell" | "shell" | "apply_patch" | "computer_use_preview" => {
            Ok(Cow::Borrowed(tool.get("name").and_then(Value::as_str).unwrap_or(kind)))
        }
        _ => Ok(Cow::Owned(builtin(kind))),
    }
}

/// `builtin__TYPE`, the type without a date: `web_search_20250305` and `web_search_2025_08_26` are `web_search`.
fn builtin(kind: &str) -> String {
    let undated = kind.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_' || c == '-');
    let dated =
        kind.get(undated.len()..).is_some_and(|date| date.bytes().filter(u8::is_ascii_digit).count() >= 6);
    let kind = if dated { undated } else { kind };
    format!("builtin__{kind}")
}

fn text<'v>(value: &'v Value<'_>, key: &str, param: &str) -> Result<&'v str, Refusal> {
    match value.get(key) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(missing(param, key)),
    }
}

fn missing(param: &str, key: &str) -> Refusal {
    Refusal::invalid(format!("an entry of `{param}` has no `{key}` of the right type"), Some(param))
}

fn forced<'v>(body: &'v Value<'_>) -> Result<Vec<Cow<'v, str>>, Refusal> {
    let mut forced = Vec::new();
    match body.present("tool_choice") {
        None => {}
        Some(Value::String(mode)) if ["none", "auto", "required", "any"].contains(&mode.as_ref()) => {}
        Some(Value::String(_)) => {
            let message = "`tool_choice` must be `none`, `auto`, `required` or an object";
            return Err(Refusal::invalid(message, Some("tool_choice")));
        }
        Some(choice @ Value::Object(_)) => {
            let kind = text(choice, "type", "tool_choice")?;
            if kind != "allowed_tools" {
                forced.push(named(choice, kind, "tool_choice")?);
            }
        }
        Some(other) => return Err(wrong("tool_choice", "a string or an object", other)),
    }
    match body.present("function_call") {
        None | Some(Value::String(_)) => {}
        Some(choice @ Value::Object(_)) => forced.push(Cow::Borrowed(text(choice, "name", "function_call")?)),
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
    for tool in array(inner, "tools")? {
        listed.tools.push(named(tool, text(tool, "type", "tool_choice")?, "tool_choice")?);
    }
    Ok(listed)
}

/// Calls of earlier assistant turns that some message answers.
fn answered<'v>(body: &'v Value<'_>) -> Result<Vec<Answered<'v>>, Refusal> {
    let messages = array(body, "messages")?;
    let mut results = Vec::new();
    let mut functions = Vec::new();
    for message in messages {
        match message.get("role").and_then(Value::as_str) {
            Some("tool") => results.push(message.get("tool_call_id").and_then(Value::as_str)),
            Some("function") => functions.push(message.get("name").and_then(Value::as_str)),
            _ => {}
        }
    }
    if results.is_empty() && functions.is_empty() {
        return Ok(Vec::new());
    }
    let mut calls = Vec::new();
    for message in messages {
        for call in array(message, "tool_calls")? {
            let Emitted { tool, text } = call_parts::emitted(call);
            let id = call.get("id").and_then(Value::as_str);
            // A result that names no call may be the result of any.
            if results.contains(&id) || results.contains(&None) {
                calls.push(Answered { tool, text });
            }
        }
        if let Some(call) = message.present("function_call") {
            let Emitted { tool, text } = call_parts::function(call);
            if functions.contains(&Some(&*tool)) {
                calls.push(Answered { tool, text });
            }
        }
    }
    Ok(calls)
}

impl Request<'_> {
    /// Takes the denied offers out of a copy of the body, and forces parameters into others; `kept` tells for each
    /// offer, in their order, what becomes of it.
    pub fn restrict<'a>(body: &Value<'a>, kept: &[Kept]) -> Value<'a> {
        let mut body = body.clone();
        let mut kept = kept.iter();
        let mut next = || kept.next().unwrap_or(&Kept::Out);
        for param in ["tools", "functions"] {
            if let Some(items) = body.get_mut(param).and_then(Value::items_mut) {
                items.retain_mut(|item| keep(item, next()));
                if items.is_empty() {
                    body.remove(param);
                }
            }
        }
        if let Some(options) = body.get_mut("web_search_options").filter(|options| !options.is_null())
            && !keep(options, next())
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
}

/// Forces the parameters of an offer that stays. Whether it does.
fn keep(offer: &mut Value<'_>, kept: &Kept) -> bool {
    match kept {
        Kept::As(parameters) => *offer = parameters.clone(),
        Kept::AsIs => {}
        Kept::Out => return false,
    }
    true
}

/// An `allowed_tools` choice names only tools that are still offered; with none left, nothing may be called.
fn restrict_choice(body: &mut Value<'_>) {
    let offered: Vec<String> = body
        .get("tools")
        .and_then(Value::items)
        .unwrap_or_default()
        .iter()
        .filter_map(|tool| offer(tool).ok().map(|offer| offer.tool.into_owned()))
        .collect();
    let Some(tools) = body
        .get_mut("tool_choice")
        .and_then(|choice| choice.get_mut("allowed_tools"))
        .and_then(|inner| inner.get_mut("tools"))
        .and_then(Value::items_mut)
    else {
        return;
    };
    tools.retain(|tool| {
        let kind = tool.get("type").and_then(Value::as_str).unwrap_or_default();
        named(tool, kind, "tool_choice").is_ok_and(|name| offered.iter().any(|offer| *offer == *name))
    });
    if tools.is_empty() {
        body.set("tool_choice", Value::string("none"));
    }
}
