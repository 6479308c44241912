//! Which path means what. Anything that is not exactly one of these is 404.

use crate::{dialect::openai::Api, refusal::Refusal};
use http::{Method, request::Parts};

/// What a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    Call(Api),
    Model(String),
    Models,
}

const CALLS: [(&str, Api); 4] = [
    ("/v1/chat/completions", Api::Chat),
    ("/v1/completions", Api::Completions),
    ("/v1/embeddings", Api::Embeddings),
    ("/v1/moderations", Api::Moderations),
];

impl Route {
    /// The route of a request; the query plays no part in it.
    pub fn of(head: &Parts) -> Result<Self, Refusal> {
        let path = head.uri.path();
        if let Some((_, api)) = CALLS.iter().find(|(call, _)| *call == path) {
            return on(&head.method, &Method::POST, Self::Call(*api));
        }
        if path == "/v1/models" {
            return on(&head.method, &Method::GET, Self::Models);
        }
        match path.strip_prefix("/v1/models/").and_then(decode) {
            Some(id) if !id.is_empty() => on(&head.method, &Method::GET, Self::Model(id)),
            Some(_) | None => Err(Refusal::NotFound),
        }
    }

    /// The dialect and API, as records name it.
    pub fn dialect(&self) -> &'static str {
        match self {
            Self::Call(api) => api.as_str(),
            Self::Model(_) | Self::Models => "openai.models",
        }
    }
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
    }
}
