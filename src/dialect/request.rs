//! What a request asks for, in any dialect: model, stream, the tools that it offers and forces, the calls of its
//! history. And what the readers of all dialects share: how a member is read, and how a tool is called.

use super::{
    Api,
    input::{self, Form},
    keys, parameters,
};
use crate::{call::Arguments, json::Value, refusal::Refusal};
use std::borrow::Cow;

/// A request, understood. Borrows from the parsed body.
#[derive(Debug)]
pub struct Request<'v> {
    pub api: Api,
    pub model: &'v str,
    pub stream: bool,
    /// Every tool that is offered to the model, in the order of the body.
    pub offers: Vec<Offer<'v>>,
    /// Tools that a `tool_choice` forces: if one of them is denied, so is the request.
    pub forced: Vec<Forced<'v>>,
    /// Tools that an `allowed_tools` choice narrows the model to.
    pub listed: Listed<'v>,
    /// Calls of earlier turns to which the request brings a result.
    pub answered: Vec<Answered<'v>>,
    /// Ids of calls to which it brings a result, of turns that the provider keeps.
    pub results: Vec<&'v str>,
    /// The kept answer that the request goes on from.
    pub previous: Option<&'v str>,
    /// Items of kept answers that the request names by their ids.
    pub references: Vec<&'v str>,
    /// Containers of the provider's that it names by their ids.
    pub containers: Vec<&'v str>,
    /// Whether the provider keeps the answer, so that a later request can go on from it.
    pub kept: bool,
    /// Whether a stream is to tell its usage though the client did not ask for that.
    pub usage_unasked: bool,
    /// So many choices the answer is to have.
    pub choices: u64,
}

impl<'v> Request<'v> {
    /// A request for a model that offers nothing yet.
    pub(super) fn new(api: Api, model: &'v str, stream: bool) -> Self {
        Self {
            api,
            model,
            stream,
            offers: Vec::new(),
            forced: Vec::new(),
            listed: Listed::default(),
            answered: Vec::new(),
            results: Vec::new(),
            previous: None,
            references: Vec::new(),
            containers: Vec::new(),
            kept: false,
            usage_unasked: false,
            choices: 1,
        }
    }
}

/// A tool that a `tool_choice` forces, or lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forced<'v> {
    pub tool: Cow<'v, str>,
    /// Of several MCP servers, the one that is meant.
    pub server_label: Option<&'v str>,
}

impl<'v> From<Cow<'v, str>> for Forced<'v> {
    fn from(tool: Cow<'v, str>) -> Self {
        Self { tool, server_label: None }
    }
}

impl Forced<'_> {
    /// Whether an offer is of this tool.
    pub fn is(&self, offer: &Offer<'_>) -> bool {
        let label = match &offer.args {
            Arguments::Known(args) => args.get("server_label").and_then(Value::as_str),
            Arguments::Open | Arguments::Unreadable => None,
        };
        offer.tool == self.tool && (self.server_label.is_none() || self.server_label == label)
    }
}

/// What an `allowed_tools` choice lists.
#[derive(Debug, Default)]
pub struct Listed<'v> {
    pub tools: Vec<Forced<'v>>,
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
    /// The id by which its result names it; empty where none is known.
    pub id: &'v str,
    pub tool: Cow<'v, str>,
    /// Its arguments' text.
    pub text: Cow<'v, str>,
    pub(super) form: Form,
}

impl Answered<'_> {
    /// Its arguments, as rules see them.
    pub fn arguments(&self, nesting_max: usize) -> Arguments<'_> {
        input::arguments(self.form, &self.text, nesting_max)
    }
}

/// A tool as a request offers it.
#[derive(Debug)]
pub struct Offer<'v> {
    /// The name that rules speak of.
    pub tool: Cow<'v, str>,
    /// Open for a function; for a tool that the provider runs, its own parameters.
    pub args: Arguments<'v>,
}

/// What the names of tools begin with that the provider runs.
pub(crate) const BUILTIN: &str = "builtin__";

/// The model that OpenAI moderates with where a request names none.
const MODERATION: &str = "omni-moderation-latest";

/// The model, which a moderation need not name, and whether the answer is to be streamed.
pub(super) fn moderated_by<'v>(body: &'v Value<'_>) -> Result<(&'v str, bool), Refusal> {
    if body.present("model").is_none() { Ok((MODERATION, false)) } else { model_and_stream(body) }
}

/// The model and whether the answer is to be streamed.
pub(super) fn model_and_stream<'v>(body: &'v Value<'_>) -> Result<(&'v str, bool), Refusal> {
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
    Ok((model, stream))
}

/// Refuses a member that is none of these: what nobody knows could bring tools, turns or models that nobody checked.
pub(super) fn only_known(body: &Value<'_>, known: &[&str]) -> Result<(), Refusal> {
    let mut members = body.members().unwrap_or_default().iter();
    // A number brings nothing, and clients send `null` for what they know and did not set; a name in capitals is nobody's.
    let harmless = |key: &str, value: &Value<'_>| {
        matches!(value, Value::Null | Value::Number(_)) && key == keys::fold(key)
    };
    match members.find(|(key, value)| !known.contains(&key.as_ref()) && !harmless(key, value)) {
        None => Ok(()),
        Some((key, _)) => {
            let key: String = key.chars().take(64).collect();
            let message = format!("`{key}` cannot be checked against the tenant's rules; leave it out");
            Err(Refusal::invalid(message, Some(&key)))
        }
    }
}

/// Refuses a member that cannot be decided on.
pub(super) fn undecidable(body: &Value<'_>, params: &[&str]) -> Result<(), Refusal> {
    match params.iter().find(|param| body.present(param).is_some()) {
        None => Ok(()),
        Some(param) => {
            let message =
                format!("`{param}` cannot be checked against the tenant's rules, so it is not passed on");
            Err(Refusal::invalid(message, Some(param)))
        }
    }
}

pub(super) fn wrong(param: &str, wanted: &str, found: &Value<'_>) -> Refusal {
    Refusal::invalid(format!("`{param}` must be {wanted}, not {}", found.type_name()), Some(param))
}

pub(super) fn array<'v, 'a>(body: &'v Value<'a>, param: &str) -> Result<&'v [Value<'a>], Refusal> {
    match body.present(param) {
        None => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(other) => Err(wrong(param, "an array", other)),
    }
}

/// `builtin__TYPE`, the type without a date: `web_search_20250305` and `web_search_2025_08_26` are `web_search`.
pub(super) fn builtin(kind: &str) -> String {
    format!("{BUILTIN}{}", undated(kind))
}

/// A type without the date that it ends in.
pub(super) fn undated(kind: &str) -> &str {
    let undated = kind.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_' || c == '-');
    let date = kind.get(undated.len()..).unwrap_or_default();
    if date.bytes().filter(u8::is_ascii_digit).count() >= 6 { undated } else { kind }
}

pub(super) fn text<'v>(value: &'v Value<'_>, key: &str, param: &str) -> Result<&'v str, Refusal> {
    match value.get(key) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(missing(param, key)),
    }
}

pub(super) fn missing(param: &str, key: &str) -> Refusal {
    Refusal::invalid(format!("an entry of `{param}` has no `{key}` of the right type"), Some(param))
}

/// The names of a tool that a provider defined and the client runs, by its type without a date. It has no other: one that
/// the client chose could hide what it is.
fn fixed_names(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "apply_patch" => &["apply_patch"],
        "bash" => &["bash"],
        "computer" => &["computer"],
        "computer_use_preview" => &["computer_use_preview"],
        "local_shell" => &["local_shell"],
        "memory" => &["memory"],
        "shell" => &["shell"],
        "text_editor" => &["str_replace_based_edit_tool", "str_replace_editor"],
        "tool_search" => &["tool_search"],
        _ => return None,
    })
}

/// The name of a tool of a type that the provider defined: one that the client runs goes by its name, else its
/// type; any other runs at the provider.
pub(super) fn provider_defined<'v>(
    tool: &'v Value<'_>,
    kind: &'v str,
    param: &str,
) -> Result<Cow<'v, str>, Refusal> {
    let plain = undated(kind);
    let Some(names) = fixed_names(plain) else { return Ok(Cow::Owned(builtin(kind))) };
    let name = match tool.present("name") {
        None => plain,
        Some(Value::String(name)) if names.contains(&name.as_ref()) => name,
        Some(_) => {
            let name = names.first().copied().unwrap_or_default();
            let message = format!("a `{plain}` is called `{name}` in this API; give it no other `name`");
            return Err(Refusal::invalid(message, Some(param)));
        }
    };
    let at_the_provider = match plain {
        "local_shell" if tool.present("environment").is_some() => {
            let message = "a `local_shell` has no `environment`; leave it out";
            return Err(Refusal::invalid(message, Some(param)));
        }
        "shell" => runs_in_a_container(tool, param)?,
        "tool_search" => tool.get("execution").and_then(Value::as_str) != Some("client"),
        _ => false,
    };
    Ok(if at_the_provider { Cow::Owned(builtin(kind)) } else { Cow::Borrowed(name) })
}

/// Whether a shell runs in a container of the provider's.
fn runs_in_a_container(shell: &Value<'_>, param: &str) -> Result<bool, Refusal> {
    let Some(environment) = shell.present("environment") else { return Ok(false) };
    keys::no_twins(environment, &["type"], param)?;
    match environment.get("type").and_then(Value::as_str) {
        Some(place) => Ok(place != "local"),
        None => {
            Err(Refusal::invalid("the `environment` of a shell must be an object with a `type`", Some(param)))
        }
    }
}

/// Of several MCP servers, the one that a choice means.
pub(super) fn server_label<'v>(choice: &'v Value<'_>, param: &str) -> Result<Option<&'v str>, Refusal> {
    match choice.present("server_label") {
        None => Ok(None),
        Some(Value::String(label)) => Ok(Some(label)),
        Some(_) => Err(Refusal::invalid("`server_label` must be a string", Some(param))),
    }
}

/// So many tools are offered in a request, or listed by a choice, at most.
pub(super) const TOOLS_MAX: usize = 2048;

/// Refuses more tools than are looked at.
pub(super) fn not_too_many(count: usize, param: &str) -> Result<(), Refusal> {
    if count <= TOOLS_MAX {
        return Ok(());
    }
    Err(Refusal::invalid(format!("`{param}` has more than {TOOLS_MAX} tools"), Some(param)))
}

/// A tool of a type that the provider defined. What the client runs has its arguments when the model calls it; what the
/// provider runs has them now.
pub(super) fn provider_offer<'v>(api: Api, tool: &'v Value<'_>, kind: &'v str) -> Result<Offer<'v>, Refusal> {
    let name = provider_defined(tool, kind, "tools")?;
    parameters::check(api, &name, tool, "tools")?;
    if !name.starts_with(BUILTIN) {
        return Ok(Offer { tool: name, args: Arguments::Open });
    }
    let args = Arguments::Known(parameters::seen(tool, parameters::aliases(api, &name)));
    Ok(Offer { tool: name, args })
}

/// Forces the parameters of an offer that stays. Whether it does.
pub(super) fn keep(api: Api, offer: &mut Value<'_>, kept: &Kept) -> bool {
    match kept {
        Kept::As(forced) => {
            let kind = offer.get("type").and_then(Value::as_str).map(builtin);
            // Chat's only tool without a type.
            let kind = kind.unwrap_or_else(|| builtin("web_search"));
            parameters::force(offer, forced, parameters::aliases(api, &kind));
            // What a rule forces has a place that the provider reads, or the tool is not offered.
            return parameters::is_readable(api, &kind, offer);
        }
        Kept::AsIs => {}
        Kept::Out => return false,
    }
    true
}
