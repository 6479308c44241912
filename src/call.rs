//! The neutral form of a tool call: what every place and dialect turns into before it is decided.

use crate::json::{self, Value};

/// Where a call met the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// A model produced the call, in an answer or a stream.
    Emitted,
    /// A direct request to a tool API.
    Http,
    /// A `tools/call` of an MCP client.
    Mcp,
    /// A request offers the tool to a model.
    Offered,
}

impl Place {
    /// The place as records, CEL and the command line name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Emitted => "emitted",
            Self::Http => "http",
            Self::Mcp => "mcp",
            Self::Offered => "offered",
        }
    }

    /// The place of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Emitted, Self::Http, Self::Mcp, Self::Offered].into_iter().find(|place| place.as_str() == name)
    }
}

/// What is known of a call's arguments when it is decided.
#[derive(Debug, Clone, PartialEq)]
pub enum Arguments<'a> {
    /// They are there and are JSON.
    Known(Value<'a>),
    /// They are not known yet: the tool is only offered or listed.
    Open,
    /// They are there and cannot be read: not JSON, or JSON that two readers could read differently.
    Unreadable,
}

impl<'a> Arguments<'a> {
    /// Reads argument text as a model emits it. Nothing at all means no arguments.
    pub fn read(text: &'a str, nesting_max: usize) -> Self {
        if text.trim().is_empty() {
            return Self::Known(Value::Object(Vec::new()));
        }
        json::parse(text.as_bytes(), nesting_max).map_or(Self::Unreadable, Self::of)
    }

    /// Arguments that are JSON, unless two readers could read them differently: one that folds the case of keys takes
    /// `Amount` beside `amount` for the same.
    pub fn of(value: Value<'a>) -> Self {
        if json::keys::has_twins(&value) { Self::Unreadable } else { Self::Known(value) }
    }
}
