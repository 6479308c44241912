//! The declared operations of a plain HTTP tool API: which one a request is, its arguments for the rules, and the request
//! that is written of what was decided.

use super::request::{Request, is_plain};
use crate::{json::Value, refusal::Refusal};
use http::Method;
use std::borrow::Cow;

/// An operation: `GET /invoices/{id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    pub name: Box<str>,
    method: Method,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Parameter(Box<str>),
    Word(Box<str>),
}

/// Why an operation is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadOperation {
    #[error("expected a method and a path, such as `GET /invoices/{{id}}`")]
    Form,
    #[error("a part of its path is neither a word nor one parameter in braces")]
    Part,
    #[error("its path has the parameter `{0}` twice")]
    Twice(String),
}

impl Operation {
    /// Reads what is declared.
    pub fn parse(name: &str, text: &str) -> Result<Self, BadOperation> {
        let (method, path) = text.split_once(' ').ok_or(BadOperation::Form)?;
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| BadOperation::Form)?;
        let path = path.strip_prefix('/').ok_or(BadOperation::Form)?;
        let mut parts: Vec<Part> = Vec::new();
        for part in path.split('/').filter(|_| !path.is_empty()) {
            let part = match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                Some(inner) if inner.is_empty() || inner.contains(['{', '}']) => {
                    return Err(BadOperation::Part);
                }
                Some(inner) => {
                    let parameter = Part::Parameter(inner.into());
                    if parts.contains(&parameter) {
                        return Err(BadOperation::Twice(inner.to_owned()));
                    }
                    parameter
                }
                None if !is_plain(part) || part.contains(['{', '}', '%']) => return Err(BadOperation::Part),
                None => Part::Word(part.into()),
            };
            parts.push(part);
        }
        Ok(Self { name: name.into(), method, parts })
    }

    /// What stands for the parameters of the path, if the request is this operation.
    fn places<'r>(&self, request: &'r Request<'_>) -> Option<Vec<(&str, &'r str)>> {
        if request.method != self.method || request.path.len() != self.parts.len() {
            return None;
        }
        let mut places = Vec::new();
        for (part, segment) in self.parts.iter().zip(&request.path) {
            match part {
                Part::Parameter(name) => places.push((&**name, segment.as_str())),
                Part::Word(word) if **word == **segment => {}
                Part::Word(_) => return None,
            }
        }
        Some(places)
    }

    /// Whether a request could be this operation and another one, and neither is the more exact.
    pub fn collides(&self, other: &Self) -> bool {
        let alike = |(a, b): (&Part, &Part)| match (a, b) {
            (Part::Word(a), Part::Word(b)) => a == b,
            (Part::Parameter(_), Part::Parameter(_)) => true,
            (Part::Parameter(_), Part::Word(_)) | (Part::Word(_), Part::Parameter(_)) => false,
        };
        self.method == other.method
            && self.parts.len() == other.parts.len()
            && self.parts.iter().zip(&other.parts).all(alike)
    }

    /// How exact its path is: where words stand, from the left.
    fn exactness(&self) -> Vec<bool> {
        self.parts.iter().map(|part| matches!(part, Part::Word(_))).collect()
    }
}

/// Where an argument came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Body,
    Path,
    Query,
}

/// All operations of an API.
#[derive(Debug, Clone, Default)]
pub struct Operations(Vec<Operation>);

/// A request that is a declared operation.
#[derive(Debug)]
pub struct Call<'r> {
    pub name: Box<str>,
    /// Parameters of the path and the query, and members of the body.
    pub arguments: Value<'r>,
    sources: Vec<(String, Source)>,
    parts: Vec<Part>,
    method: Method,
    /// Whether the request has a body, be it an empty one.
    has_body: bool,
}

impl Operations {
    /// Operations in any order.
    pub fn new(operations: Vec<Operation>) -> Self {
        Self(operations)
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|operation| &*operation.name)
    }

    /// The operation that a request is; a word in a path is preferred to a parameter.
    fn find(&self, request: &Request<'_>) -> Option<&Operation> {
        let fits = self.0.iter().filter(|operation| operation.places(request).is_some());
        fits.max_by_key(|operation| operation.exactness())
    }

    /// Reads a request as a declared operation; `None` where it is none.
    pub fn read<'r>(&self, request: Request<'r>) -> Result<Option<Call<'r>>, Refusal> {
        let Some(operation) = self.find(&request) else { return Ok(None) };
        let mut members: Vec<(Cow<'r, str>, Value<'r>)> = Vec::new();
        let mut sources: Vec<(String, Source)> = Vec::new();
        let places = operation.places(&request).unwrap_or_default();
        for (name, value) in places {
            members.push((Cow::Owned(name.to_owned()), Value::string(value.to_owned())));
            sources.push((name.to_owned(), Source::Path));
        }
        for (name, value) in &request.query {
            members.push((Cow::Owned(name.clone()), Value::string(value.clone())));
            sources.push((name.clone(), Source::Query));
        }
        let has_body = request.body.is_some();
        match request.body {
            None => {}
            Some(Value::Object(body)) => {
                for (name, value) in body {
                    sources.push((name.to_string(), Source::Body));
                    members.push((name, value));
                }
            }
            Some(_) => return Err(Refusal::invalid("the body is not a JSON object", Some("body"))),
        }
        let mut names: Vec<&str> = sources.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if let Some([twice, _]) = names.windows(2).find(|pair| matches!(pair, [a, b] if a == b)) {
            let message = "an argument stands in two of the path, the query and the body";
            return Err(Refusal::invalid(message, Some(twice)));
        }
        let (name, parts, method) =
            (operation.name.clone(), operation.parts.clone(), operation.method.clone());
        Ok(Some(Call { name, arguments: Value::Object(members), sources, parts, method, has_body }))
    }
}

impl Call<'_> {
    /// The request that is sent of the arguments that were decided on: each where it came from; what rules force, be it
    /// there or not, where this operation takes what is its own, so that no client chooses a place for it where the API
    /// does not look. Else why it cannot be sent.
    pub fn request<'a>(
        &self,
        operations: &Operations,
        arguments: &Value<'a>,
        forced: &[String],
    ) -> Result<Request<'a>, String> {
        let mut path = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            match part {
                Part::Word(word) => path.push(word.to_string()),
                Part::Parameter(name) => {
                    let text = arguments
                        .get(name)
                        .and_then(text_of)
                        .filter(|text| is_plain(text) && !text.contains('%'));
                    path.push(text.ok_or_else(|| format!("`{name}` cannot stand in a path"))?);
                }
            }
        }
        let takes_body = [Method::POST, Method::PUT, Method::PATCH].contains(&self.method);
        let (mut query, mut body) = (Vec::new(), Vec::new());
        for (name, value) in arguments.members().unwrap_or_default() {
            let known = self.sources.iter().find(|(known, _)| known == name).map(|(_, source)| *source);
            match known
                .filter(|source| *source == Source::Path || !forced.iter().any(|forced| forced == name))
            {
                Some(Source::Path) => {}
                Some(Source::Query) => query.push((name.to_string(), query_text(name, value)?)),
                Some(Source::Body) => body.push((name.clone(), value.clone())),
                None if takes_body => body.push((name.clone(), value.clone())),
                None => query.push((name.to_string(), query_text(name, value)?)),
            }
        }
        let body = (self.has_body || !body.is_empty()).then_some(Value::Object(body));
        let request = Request { method: self.method.clone(), path, query, body };
        // What a rule put into the path must not make it another operation.
        match operations.find(&request) {
            Some(operation) if operation.name == self.name => Ok(request),
            Some(_) | None => Err("with what a rule sets, this would be another operation".to_owned()),
        }
    }
}

fn text_of(value: &Value<'_>) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_string()),
        Value::Number(digits) => Some(digits.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Array(_) | Value::Null | Value::Object(_) => None,
    }
}

fn query_text(name: &str, value: &Value<'_>) -> Result<String, String> {
    text_of(value).ok_or_else(|| format!("`{name}` cannot stand in a query"))
}
