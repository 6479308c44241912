//! What a client asks a server for and rules decide on: calls of tools, prompts, resources. And what is passed on
//! undecided. The methods that servers are sent stand here alone.

use super::{envelope, list::Kind, names};
use crate::json;

/// A request that is decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    CallTool,
    GetPrompt,
    ReadResource,
}

/// A request that is passed on where the tenant reaches what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    Complete,
    Subscribe,
    Unsubscribe,
}

/// Methods of clients, for those who tell of them.
const METHODS: [&str; 24] = [
    "completion/complete",
    "initialize",
    "logging/setLevel",
    "notifications/cancelled",
    "notifications/initialized",
    "notifications/progress",
    "notifications/roots/list_changed",
    "ping",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "resources/unsubscribe",
    "server/discover",
    "subscriptions/listen",
    "tasks/cancel",
    "tasks/get",
    "tasks/list",
    "tasks/result",
    "tasks/update",
    "tools/call",
    "tools/list",
];

/// A method by its name: a client may write any.
pub fn method_named(name: &str) -> &'static str {
    METHODS.into_iter().find(|method| *method == name).unwrap_or("_OTHER")
}

impl Act {
    const ALL: [Self; 3] = [Self::CallTool, Self::GetPrompt, Self::ReadResource];

    /// What a method asks for.
    pub fn asked_by(method: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.method() == method)
    }

    /// Its method.
    pub fn method(self) -> &'static str {
        match self {
            Self::CallTool => "tools/call",
            Self::GetPrompt => "prompts/get",
            Self::ReadResource => "resources/read",
        }
    }

    /// What it is about.
    pub fn noun(self) -> &'static str {
        match self {
            Self::CallTool => "tool",
            Self::GetPrompt => "prompt",
            Self::ReadResource => "resource",
        }
    }

    /// The name that rules and records have for a server's own one.
    pub fn ruled(self, server: &str, own: &str) -> String {
        match self {
            Self::CallTool => Kind::Tools.ruled(server, own),
            Self::GetPrompt => Kind::Prompts.ruled(server, own),
            Self::ReadResource => Kind::Resources.ruled(server, own),
        }
    }

    /// The name that records have for one of which no server is known.
    pub fn nowhere(self, asked: &str) -> String {
        match self {
            Self::CallTool => asked.to_owned(),
            Self::GetPrompt => names::PROMPT.to_owned() + asked,
            Self::ReadResource => names::RESOURCE.to_owned() + asked,
        }
    }

    /// The members of `params` for what has this name and takes these arguments, which are JSON.
    pub fn params(self, own: &str, arguments: &[u8]) -> Vec<u8> {
        match self {
            Self::CallTool | Self::GetPrompt => envelope::call_params(own, arguments),
            Self::ReadResource => {
                let mut out = b"\"uri\":".to_vec();
                json::write_string(own, &mut out);
                out
            }
        }
    }
}

impl Passed {
    /// Its method.
    pub fn method(self) -> &'static str {
        match self {
            Self::Complete => "completion/complete",
            Self::Subscribe => "resources/subscribe",
            Self::Unsubscribe => "resources/unsubscribe",
        }
    }
}
