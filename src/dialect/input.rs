//! What a call carries, as it is written: JSON text or free text. The same in every dialect of OpenAI's.

use crate::{call::Arguments, json::Value};
use std::borrow::Cow;

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
pub enum Form {
    /// Free text: the arguments that rules see are `{"input": TEXT}`.
    Custom,
    /// JSON text.
    Function,
    /// Nobody knows its arguments any more.
    Unknown,
}

/// The arguments that rules decide on.
pub(super) fn arguments<'v>(form: Form, text: &'v str, nesting_max: usize) -> Arguments<'v> {
    match form {
        Form::Custom => Arguments::Known(Value::object([("input", Value::string(text))])),
        Form::Function => Arguments::read(text, nesting_max),
        Form::Unknown => Arguments::Open,
    }
}

/// The input that a rewritten call carries, from the arguments that a rule made of it.
pub(super) fn rewritten(form: Form, arguments: String) -> String {
    match form {
        Form::Function | Form::Unknown => arguments,
        Form::Custom => crate::json::parse(arguments.as_bytes(), 64)
            .ok()
            .and_then(|value| value.get("input").and_then(Value::as_str).map(ToOwned::to_owned))
            .unwrap_or(arguments),
    }
}
