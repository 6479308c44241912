//! What a request asks for, in any dialect: model, stream, the tools that it offers and forces, the calls of its
//! history. And what the readers of all dialects share: how a member is read, and how a tool is called.

use super::{
    Api,
    input::{self, Form},
    parameters,
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
    pub forced: Vec<Cow<'v, str>>,
    /// Tools that an `allowed_tools` choice narrows the model to.
    pub listed: Listed<'v>,
    /// Calls of earlier turns to which the request brings a result.
    pub answered: Vec<Answered<'v>>,
    /// Ids of calls to which it brings a result, of turns that the provider keeps.
    pub results: Vec<&'v str>,
    /// The kept answer that the request goes on from.
    pub previous: Option<&'v str>,
    /// Whether the provider keeps the answer, so that a later request can go on from it.
    pub kept: bool,
    /// Whether a stream is to tell its usage though the client did not ask for that.
    pub usage_unasked: bool,
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
            kept: false,
            usage_unasked: false,
        }
    }
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
pub(super) const BUILTIN: &str = "builtin__";

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

/// The name of a tool of a type that the provider defined: one that the client runs goes by its name, else its
/// type; any other runs at the provider.
pub(super) fn provider_defined<'v>(tool: &'v Value<'_>, kind: &'v str) -> Cow<'v, str> {
    match undated(kind) {
        "bash"
        | "computer"
        | "local_shell"
        | "shell"
        | "apply_patch"
        | "computer_use_preview"
        | "text_editor"
        | "memory" => {
            let name = tool.get("name").and_then(Value::as_str);
            Cow::Borrowed(name.unwrap_or_else(|| undated(kind)))
        }
        _ => Cow::Owned(builtin(kind)),
    }
}

/// A tool of a type that the provider defined. What the client runs has its arguments when the model calls it; what the
/// provider runs has them now.
pub(super) fn provider_offer<'v>(tool: &'v Value<'_>, kind: &'v str) -> Offer<'v> {
    let name = provider_defined(tool, kind);
    let args = if name.starts_with(BUILTIN) {
        Arguments::Known(parameters::seen(tool, parameters::aliases(&name)))
    } else {
        Arguments::Open
    };
    Offer { tool: name, args }
}

/// Forces the parameters of an offer that stays. Whether it does.
pub(super) fn keep(offer: &mut Value<'_>, kept: &Kept) -> bool {
    match kept {
        Kept::As(forced) => {
            let kind = offer.get("type").and_then(Value::as_str).map(builtin).unwrap_or_default();
            parameters::force(offer, forced, parameters::aliases(&kind));
        }
        Kept::AsIs => {}
        Kept::Out => return false,
    }
    true
}

/// Refuses content that is named by the id of a file: whose file it is cannot be known.
pub(super) fn no_stored_files(content: &Value<'_>, param: &str) -> Result<(), Refusal> {
    // A screenshot is one part, not a list of them.
    let parts = match content {
        Value::Array(parts) => parts,
        Value::Object(_) => std::slice::from_ref(content),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => return Ok(()),
    };
    for part in parts {
        let places = [Some(part), part.get("file"), part.get("source")];
        let named = places.into_iter().flatten().any(|place| place.present("file_id").is_some());
        if named || part.get("type").and_then(Value::as_str) == Some("container_upload") {
            let message = format!("`{param}` names a stored file by its id; send the content itself");
            return Err(Refusal::invalid(message, Some(param)));
        }
        for inner in ["content", "output"] {
            no_stored_files(part.get(inner).unwrap_or(&Value::Null), param)?;
        }
    }
    Ok(())
}
