//! A whole tool call as it stands in a message: its name and its argument text, in all its forms.

use crate::{
    dialect::input::{Form, string},
    json::Value,
};
use std::borrow::Cow;

/// A call as a message carries it.
#[derive(Debug)]
pub(super) struct Emitted<'v> {
    pub(super) tool: Cow<'v, str>,
    pub(super) text: Cow<'v, str>,
    pub(super) form: Form,
}

/// An entry of `tool_calls`.
pub(super) fn emitted<'v>(call: &'v Value<'_>) -> Emitted<'v> {
    if let Some(custom) = call.present("custom") {
        let tool = string(custom.get("name"));
        return Emitted { tool, text: string(custom.get("input")), form: Form::Custom };
    }
    let nothing = Emitted { tool: Cow::Borrowed(""), text: Cow::Borrowed(""), form: Form::Function };
    call.present("function").map_or(nothing, function)
}

/// A `function` or legacy `function_call` object. Some providers send the arguments as an object.
pub(super) fn function<'v>(function: &'v Value<'_>) -> Emitted<'v> {
    let (tool, text) = (string(function.get("name")), string(function.get("arguments")));
    Emitted { tool, text, form: Form::Function }
}
