//! One request: its path in segments, its query in pairs, its body as JSON; decoded once, written again when it is sent.

use crate::{
    json::{self, ParseError, Value},
    refusal::Refusal,
};
use http::Method;
use std::collections::HashSet;

/// A request to a tool API, as it is decided on.
#[derive(Debug, Clone, PartialEq)]
pub struct Request<'r> {
    pub method: Method,
    /// Decoded; none is empty, `.` or `..`, or holds a slash.
    pub path: Vec<String>,
    /// Decoded, every name once.
    pub query: Vec<(String, String)>,
    /// `None` where the request has no body.
    pub body: Option<Value<'r>>,
}

/// The JSON of a body; `None` where there is none.
pub fn body(bytes: &[u8], nesting_max: usize) -> Result<Option<Value<'_>>, Refusal> {
    if bytes.is_empty() {
        return Ok(None);
    }
    json::parse(bytes, nesting_max).map(Some).map_err(bad_body)
}

/// Why a body cannot be decided on.
pub fn bad_body(error: ParseError) -> Refusal {
    Refusal::invalid(format!("the body is not accepted: {error}"), Some("body"))
}

/// Longer paths and queries are refused, in bytes.
const TARGET_BYTES_MAX: usize = 8 << 10;

impl<'r> Request<'r> {
    /// Reads a request. `path` stands behind the upstream's own part of the path and begins with `/`, or is empty.
    pub fn read(
        method: &Method,
        path: &str,
        query: Option<&str>,
        body: Option<Value<'r>>,
    ) -> Result<Self, Refusal> {
        check_method(method)?;
        if path.len() + query.map_or(0, str::len) > TARGET_BYTES_MAX {
            return Err(Refusal::invalid("the path and the query are too long", None));
        }
        Ok(Self { method: method.clone(), path: segments(path)?, query: pairs(query)?, body })
    }

    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The path and the query, written anew.
    pub fn target(&self) -> String {
        let mut target = String::new();
        for segment in &self.path {
            target.push('/');
            write_segment(segment, &mut target);
        }
        if target.is_empty() {
            target.push('/');
        }
        write_query(&self.query, &mut target);
        target
    }

    /// The body, written anew.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(body) = &self.body {
            json::write(body, &mut out);
        }
        out
    }
}

fn check_method(method: &Method) -> Result<(), Refusal> {
    let served = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    if served.contains(method) { Ok(()) } else { Err(Refusal::MethodNotAllowed) }
}

/// Whether a segment can stand in a path without being read as something else by anybody.
pub(super) fn is_plain(segment: &str) -> bool {
    let is_odd = |c: char| c.is_control() || "/\\;".contains(c);
    !segment.is_empty() && segment != "." && segment != ".." && !segment.contains(is_odd)
}

fn segments(path: &str) -> Result<Vec<String>, Refusal> {
    let path = path.strip_prefix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let bad = |why: &str| Refusal::invalid(format!("the path {why}"), Some("path"));
    let mut segments = Vec::new();
    for segment in path.split('/') {
        if segment.is_empty() {
            return Err(bad("has an empty segment; write each slash once, and none at the end"));
        }
        let decoded = decode(segment, Plus::Plus).ok_or_else(|| bad("is not validly encoded"))?;
        // What is still encoded might be decoded once more behind.
        if !is_plain(&decoded) || decoded.contains('%') {
            return Err(bad(
                "has a segment that servers read differently (`.`, `..`, `;`, `\\`, `%` or a slash in it)",
            ));
        }
        segments.push(decoded);
    }
    Ok(segments)
}

fn pairs(query: Option<&str>) -> Result<Vec<(String, String)>, Refusal> {
    let bad = |why: &str| Refusal::invalid(format!("the query {why}"), Some("query"));
    let mut pairs = Vec::new();
    let mut seen = HashSet::new();
    for pair in query.into_iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded = decode(name, Plus::Space).zip(decode(value, Plus::Space));
        let (name, value) = decoded.ok_or_else(|| bad("is not validly encoded"))?;
        if pair.contains(';') {
            return Err(bad("has a `;`, which some read as an `&`"));
        }
        let is_odd = |text: &str| text.chars().any(char::is_control);
        if name.is_empty() || is_odd(&name) || is_odd(&value) {
            return Err(bad("has a parameter without a name, or one with control characters"));
        }
        if !seen.insert(name.clone()) {
            return Err(bad("has a parameter twice"));
        }
        pairs.push((name, value));
    }
    Ok(pairs)
}

/// What a plus sign means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plus {
    Plus,
    Space,
}

/// Percent-decodes once.
fn decode(text: &str, plus: Plus) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                let digits = std::str::from_utf8(digits).ok()?;
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return None;
                }
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = after;
            }
            b'+' if plus == Plus::Space => bytes.push(b' '),
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// Appends a segment, percent-encoded but for what is unreserved.
pub fn write_segment(segment: &str, out: &mut String) {
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// Appends a query with its question mark, if there is anything in it.
fn write_query(query: &[(String, String)], out: &mut String) {
    for (at, (name, value)) in query.iter().enumerate() {
        out.push(if at == 0 { '?' } else { '&' });
        write_segment(name, out);
        out.push('=');
        write_segment(value, out);
    }
}
