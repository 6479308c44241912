//! The gateway as a resource server of OAuth 2.1: what it tells clients that have no token yet (RFC 9728), and whom it
//! speaks to at all. Nothing here needs a credential, and nothing tells one server's or tenant's name from another.

use super::{Body, answer::JSON};
use crate::{
    dialect::Family,
    hosts::Foreign,
    json::{self, Value},
    names::UpstreamName,
    refusal::Refusal,
    server::Secure,
    snapshot::Snapshot,
};
use http::{
    HeaderMap, HeaderValue, Method, Response,
    header::{self, AUTHORIZATION},
    request::Parts,
};

/// Where clients look for metadata; the resource's path follows.
const METADATA: &str = "/.well-known/oauth-protected-resource";

/// Why a request is refused before it is known whose it is: it names a host that is not this one, or comes from a page
/// of another site. Asked of MCP clients, and of all where nothing needs to be shown.
pub(super) fn foreign(snapshot: &Snapshot, head: &Parts, family: Family) -> Option<Refusal> {
    let is_asked = family == Family::Mcp || snapshot.directory.is_fixed();
    is_asked.then(|| snapshot.hosts.check(head).err().map(refusal)).flatten()
}

fn refusal(foreign: Foreign) -> Refusal {
    match foreign {
        Foreign::Host => Refusal::ForeignHost,
        Foreign::Malformed => Refusal::invalid("the header `host` is missing, repeated or not a host", None),
        Foreign::Origin => Refusal::ForeignOrigin,
    }
}

/// The answer to a request for metadata; `None` for a request for anything else.
pub(super) fn metadata(snapshot: &Snapshot, head: &Parts) -> Option<Result<Response<Body>, Refusal>> {
    let resource = head.uri.path().strip_prefix(METADATA)?;
    let is_resource = match resource {
        "" | "/mcp" => true,
        _ => resource.strip_prefix("/mcp/").is_some_and(|server| UpstreamName::try_from(server).is_ok()),
    };
    Some(if !is_resource || snapshot.directory.issuers().is_empty() {
        Err(Refusal::NotFound)
    } else if head.method != Method::GET {
        Err(Refusal::MethodNotAllowed)
    } else {
        base(snapshot, head).map(|base| document(snapshot, &format!("{base}{resource}")))
    })
}

fn document(snapshot: &Snapshot, resource: &str) -> Response<Body> {
    let mut servers: Vec<Value<'_>> = Vec::new();
    for issuer in snapshot.directory.issuers() {
        let server = Value::string(issuer.issuer.as_str());
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    let document = Value::object([
        ("resource", Value::string(resource)),
        ("authorization_servers", Value::Array(servers)),
        ("bearer_methods_supported", Value::Array(vec![Value::string("header")])),
        ("resource_name", Value::string("Tollgate")),
    ]);
    let mut body = Vec::new();
    json::write(&document, &mut body);
    let mut response = Response::new(Body::full(body));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Where clients find the gateway: as configured, else by the name that they called it by, if it is one of its own.
fn base(snapshot: &Snapshot, head: &Parts) -> Result<String, Refusal> {
    let accepted = snapshot.hosts.check(head).map_err(refusal)?;
    Ok(snapshot.public_url.clone().unwrap_or_else(|| {
        let scheme = if head.extensions.get::<Secure>().is_some() { "https" } else { "http" };
        format!("{scheme}://{}", accepted.host)
    }))
}

/// Tells an MCP client without a valid credential where it learns who gives out tokens.
pub(super) fn challenge(snapshot: &Snapshot, head: &Parts, headers: &mut HeaderMap) {
    let path = head.uri.path();
    let is_mcp = path == "/mcp" || path.starts_with("/mcp/");
    if !is_mcp || snapshot.directory.issuers().is_empty() || !headers.contains_key(header::WWW_AUTHENTICATE) {
        return;
    }
    let Ok(base) = base(snapshot, head) else { return };
    let error = if head.headers.contains_key(AUTHORIZATION) { ", error=\"invalid_token\"" } else { "" };
    let challenge = format!("Bearer resource_metadata=\"{base}{METADATA}{path}\"{error}");
    if let Ok(challenge) = HeaderValue::try_from(challenge) {
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
}
