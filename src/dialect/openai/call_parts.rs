//! A whole tool call as it stands in a message: its name and its argument text, in all its forms.

use crate::{call::Arguments, json::Value};
use std::borrow::Cow;

/// A call as a message carries it.
#[derive(Debug)]
pub(super) struct Emitted<'v> {
    pub(super) tool: Cow<'v, str>,
    pub(super) text: Cow<'v, str>,
}

/// An entry of `tool_calls`.
pub(super) fn emitted<'v>(call: &'v Value<'_>) -> Emitted<'v> {
    if let Some(custom) = call.present("custom") {
        let tool = string(custom.get("name"));
        return Emitted { tool, text: string(custom.get("input")) };
    }
    call.present("function").map_or(Emitted { tool: Cow::Borrowed(""), text: Cow::Borrowed("") }, function)
}

/// A `function` or legacy `function_call` object. Some providers send the arguments as an object.
pub(super) fn function<'v>(function: &'v Value<'_>) -> Emitted<'v> {
    Emitted { tool: string(function.get("name")), text: string(function.get("arguments")) }
}

/// The text of a string, nothing for null or nothing, else the value's own JSON.
pub(super) fn string<'v>(value: Option<&'v Value<'_>>) -> Cow<'v, str> {
    match value {
        None | Some(Value::Null) => Cow::Borrowed(""),
        Some(Value::String(text)) => Cow::Borrowed(text.as_ref()),
        Some(other) => Cow::Owned(other.to_string()),
    }
}

/// How a call's input is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Free text: the arguments that rules see are `{"input": TEXT}`.
    Custom,
    /// JSON text.
    Function,
}

/// The arguments that rules decide on.
pub(super) fn arguments<'v>(form: Form, text: &'v str, nesting_max: usize) -> Arguments<'v> {
    match form {
        Form::Custom => Arguments::Known(Value::object([("input", Value::string(text))])),
        Form::Function => Arguments::read(text, nesting_max),
    }
}

/// The input that a rewritten call carries, from the arguments that a rule made of it.
pub(super) fn rewritten(form: Form, arguments: String) -> String {
    match form {
        Form::Function => arguments,
        Form::Custom => crate::json::parse(arguments.as_bytes(), 64)
            .ok()
            .and_then(|value| value.get("input").and_then(Value::as_str).map(ToOwned::to_owned))
            .unwrap_or(arguments),
    }
}
