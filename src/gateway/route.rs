//! Which path means what. Anything that is not exactly one of these is 404.

use super::visit::Arrival;
use crate::{
    dialect::{Api, Family},
    names::UpstreamName,
    refusal::Refusal,
    server::Secure,
    telemetry::Telemetry,
    trace::{self, Trace},
};
use http::{Method, request::Parts};

/// What a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    Call(Api),
    /// One MCP server by its name, or all of them. The method is looked at behind the credential.
    Mcp(Option<String>),
    Model(String),
    Models,
    /// Files and vector stores that the provider keeps. The rest of the path is looked at behind the credential.
    Objects,
    /// Something that the provider keeps.
    Stored {
        id: String,
        act: Act,
    },
    /// The API of a tool or a store. What stands behind the upstream's name is looked at behind the credential.
    Tool(UpstreamName),
    /// What the tenant used.
    Usage,
}

/// What is done with a stored response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Cancel,
    Delete,
    Get,
    ListInput,
}

const CALLS: [(&str, Api); 7] = [
    ("/v1/chat/completions", Api::Chat),
    ("/v1/completions", Api::Completions),
    ("/v1/embeddings", Api::Embeddings),
    ("/v1/messages", Api::Messages),
    ("/v1/messages/count_tokens", Api::CountTokens),
    ("/v1/moderations", Api::Moderations),
    ("/v1/responses", Api::Responses),
];

impl Route {
    /// The route of a request; the query plays no part in it.
    pub fn of(head: &Parts) -> Result<Self, Refusal> {
        let path = head.uri.path();
        if asks_for_websocket(head) {
            let message = "WebSocket upgrades are not served; send the request by POST";
            return Err(Refusal::invalid(message, None));
        }
        if let Some((_, api)) = CALLS.iter().find(|(call, _)| *call == path) {
            return on(&head.method, &Method::POST, Self::Call(*api));
        }
        if path == "/mcp" {
            return Ok(Self::Mcp(None));
        }
        if let Some(server) = path.strip_prefix("/mcp/") {
            let name = UpstreamName::try_from(server).map_err(|_| Refusal::NotFound)?;
            return Ok(Self::Mcp(Some(name.as_str().to_owned())));
        }
        if let Some(rest) = path.strip_prefix("/tools/") {
            let name = rest.split_once('/').map_or(rest, |(name, _)| name);
            return UpstreamName::try_from(name).map(Self::Tool).map_err(|_| Refusal::NotFound);
        }
        if path == "/v1/models" {
            return on(&head.method, &Method::GET, Self::Models);
        }
        if path == "/v1/usage" {
            return on(&head.method, &Method::GET, Self::Usage);
        }
        let is_within =
            |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if is_within("/v1/files") || is_within("/v1/vector_stores") {
            return Ok(Self::Objects);
        }
        if let Some(stored) = path.strip_prefix("/v1/responses/") {
            return Self::stored(&head.method, stored);
        }
        match path.strip_prefix("/v1/models/").and_then(decode) {
            Some(id) if !id.is_empty() => on(&head.method, &Method::GET, Self::Model(id)),
            Some(_) | None => Err(Refusal::NotFound),
        }
    }

    fn stored(method: &Method, rest: &str) -> Result<Self, Refusal> {
        let (id, act) = match rest.split_once('/') {
            None if *method == Method::DELETE => (rest, Act::Delete),
            None => (rest, Act::Get),
            Some((id, "cancel")) => (id, Act::Cancel),
            Some((id, "input_items")) => (id, Act::ListInput),
            Some(_) => return Err(Refusal::NotFound),
        };
        // An id is written plainly: it goes into the upstream's path as it is.
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)) {
            return Err(Refusal::NotFound);
        }
        let wanted = match act {
            Act::Cancel => Method::POST,
            Act::Delete => Method::DELETE,
            Act::Get | Act::ListInput => Method::GET,
        };
        on(method, &wanted, Self::Stored { id: id.to_owned(), act })
    }

    /// Its path, as one of few.
    fn pattern(&self) -> &'static str {
        match self {
            Self::Call(api) => CALLS.iter().find(|(_, call)| call == api).map_or("_OTHER", |(path, _)| path),
            Self::Mcp(None) => "/mcp",
            Self::Mcp(Some(_)) => "/mcp/{server}",
            Self::Model(_) => "/v1/models/{id}",
            Self::Models => "/v1/models",
            Self::Objects => "/v1/files",
            Self::Stored { act: Act::Cancel, .. } => "/v1/responses/{id}/cancel",
            Self::Stored { act: Act::Delete | Act::Get, .. } => "/v1/responses/{id}",
            Self::Stored { act: Act::ListInput, .. } => "/v1/responses/{id}/input_items",
            Self::Tool(_) => "/tools/{upstream}",
            Self::Usage => "/v1/usage",
        }
    }

    /// The dialect and API, as records name it.
    pub fn dialect(&self) -> &'static str {
        match self {
            Self::Call(api) => api.as_str(),
            Self::Mcp(_) => "mcp",
            Self::Model(_) | Self::Models => "openai.models",
            Self::Objects => "openai.files",
            Self::Stored { .. } => Api::Responses.as_str(),
            Self::Tool(_) => "tool",
            Self::Usage => "tollgate.usage",
        }
    }
}

/// A request's trace, where traces are exported.
pub(super) fn trace(
    telemetry: &Telemetry,
    head: &Parts,
    route: Option<&Route>,
    arrival: &Arrival,
) -> Option<Box<Trace>> {
    let path = (trace::method(head.method.as_str()), route.map_or("_OTHER", Route::pattern));
    let named = trace::named(&head.headers);
    let mut trace = telemetry.trace(named, arrival.id, path, (arrival.time, arrival.started))?;
    trace.is_secure = head.extensions.get::<Secure>().is_some();
    Some(trace)
}

/// In whose words a request is answered, whatever its path comes to.
pub(super) fn family(head: &Parts) -> Family {
    let path = head.uri.path();
    let lists_models = path == "/v1/models" || path.starts_with("/v1/models/");
    let anthropic = path == "/v1/messages" || path.starts_with("/v1/messages/");
    if anthropic || (lists_models && head.headers.contains_key("anthropic-version")) {
        Family::Anthropic
    } else if path == "/mcp" || path.starts_with("/mcp/") {
        Family::Mcp
    } else {
        Family::OpenAi
    }
}

fn asks_for_websocket(head: &Parts) -> bool {
    let upgrades = head.headers.get_all(http::header::UPGRADE).iter();
    upgrades
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.to_ascii_lowercase().contains("websocket"))
}

fn on(method: &Method, wanted: &Method, route: Route) -> Result<Route, Refusal> {
    if method == wanted { Ok(route) } else { Err(Refusal::MethodNotAllowed) }
}

/// A percent-encoded segment, decoded once; `None` for what no model name is made of. A slash is part of
/// many model names, so that it may stand there plainly.
fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digits =
            std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    let name = String::from_utf8(bytes).ok()?;
    (!name.chars().any(char::is_control)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_paths() {
        let check = |method: &str, path: &str, expected: Result<Route, Refusal>| {
            let request = http::Request::builder().method(method).uri(path).body(()).unwrap();
            assert_eq!(Route::of(&request.into_parts().0), expected, "{method} {path}");
        };
        check("POST", "/v1/chat/completions", Ok(Route::Call(Api::Chat)));
        check("POST", "/v1/chat/completions?x=1", Ok(Route::Call(Api::Chat)));
        check("GET", "/v1/chat/completions", Err(Refusal::MethodNotAllowed));
        for path in [
            "/v1/chat/completions/",
            "//v1/chat/completions",
            "/v1/chat/%63ompletions",
            "/V1/models",
            "/",
            "/v1/models/",
        ] {
            check("POST", path, Err(Refusal::NotFound));
        }
        check("GET", "/v1/models", Ok(Route::Models));
        check("GET", "/v1/models/org%2Fm", Ok(Route::Model("org/m".into())));
        check("GET", "/v1/models/org/m", Ok(Route::Model("org/m".into())));
        check("GET", "/v1/models/%00", Err(Refusal::NotFound));
        check("GET", "/v1/models/%+1", Err(Refusal::NotFound));
        check("DELETE", "/v1/models/x", Err(Refusal::MethodNotAllowed));
        let stored = |act| Ok(Route::Stored { id: "resp_1".into(), act });
        check("GET", "/v1/responses/resp_1", stored(Act::Get));
        check("GET", "/v1/responses/resp_1?include[]=x", stored(Act::Get));
        check("DELETE", "/v1/responses/resp_1", stored(Act::Delete));
        check("POST", "/v1/responses/resp_1/cancel", stored(Act::Cancel));
        check("GET", "/v1/responses/resp_1/input_items", stored(Act::ListInput));
        check("POST", "/v1/responses/compact", Err(Refusal::MethodNotAllowed));
        check("GET", "/v1/responses", Err(Refusal::MethodNotAllowed));
        for path in [
            "/v1/responses/",
            "/v1/responses/a/b",
            "/v1/responses/a%2Fb",
            "/v1/responses/..",
            "/v1/responses/a/cancel/",
        ] {
            check("GET", path, Err(Refusal::NotFound));
        }
        check("POST", "/mcp", Ok(Route::Mcp(None)));
        check("GET", "/mcp/crm", Ok(Route::Mcp(Some("crm".into()))));
        for path in ["/mcp/", "/mcp/crm/", "/mcp/a__b", "/mcp/%63rm", "/mcp/Crm"] {
            check("POST", path, Err(Refusal::NotFound));
        }
        check("POST", "/v1/files", Ok(Route::Objects));
        check("GET", "/v1/vector_stores/v/files?limit=1", Ok(Route::Objects));
        check("GET", "/v1/filesystem", Err(Refusal::NotFound));
        let tool = |name: &str| Ok(Route::Tool(UpstreamName::try_from(name).unwrap()));
        check("GET", "/tools/docs", tool("docs"));
        check("DELETE", "/tools/docs/api/v2/%2e%2e/x?y=1", tool("docs"));
        for path in ["/tools", "/tools/", "/tools//x", "/tools/a__b/x", "/tools/%64ocs/x"] {
            check("GET", path, Err(Refusal::NotFound));
        }
        check("POST", "/v1/messages", Ok(Route::Call(Api::Messages)));
        check("POST", "/v1/messages/batches", Err(Refusal::NotFound));
    }
}
