//! Chroma's REST API, version 2. Source: its own OpenAPI description, server 1.5.
//!
//! A write that names ids is preceded by a look at them: is one of them another tenant's, nothing is written. Chroma has
//! no conditional writes, so an upsert is sent as what cannot overwrite what it did not see: an `update` of the ids that
//! were the tenant's own, an `add` (which leaves ids alone that exist) of those that were not there. What is left of the
//! race: another gateway's tenant adds an id after its own of that name was deleted by this tenant, between look and
//! update. A delete carries the tenant's clause beside the ids.

mod filter;
mod read;
mod records;
mod write;

use super::{Endpoint, Lookup, Operation, Sending, Verdict, endpoint::Asking};
use crate::{
    json::{self, Value},
    tool_api,
};
use Operation::{Count, Delete, Describe, Get, Manage, Query, Write};
use Verdict::{Refuses, Serves};
use bytes::Bytes;
use http::Method;

const fn endpoint(method: &'static str, path: &'static str, verdict: Verdict) -> Endpoint {
    Endpoint { method, path, verdict }
}

const FUNCTIONS: &str = "a function reads the records of all tenants";

/// Paths below a database's collections.
macro_rules! collection {
    ($rest:literal) => {
        concat!("/api/v2/tenants/{tenant}/databases/{database}/collections/", $rest)
    };
}

/// The whole API, with what becomes of each endpoint.
pub const ENDPOINTS: &[Endpoint] = &[
    endpoint("GET", "/api/v2/auth/identity", Serves(Describe, read::plain)),
    endpoint("GET", "/api/v2/healthcheck", Serves(Describe, read::plain)),
    endpoint("GET", "/api/v2/heartbeat", Serves(Describe, read::plain)),
    endpoint("GET", "/api/v2/pre-flight-checks", Serves(Describe, read::plain)),
    endpoint("GET", "/api/v2/version", Serves(Describe, read::plain)),
    endpoint("POST", "/api/v2/reset", Refuses("it empties the store for all tenants")),
    endpoint("POST", "/api/v2/tenants", Serves(Manage, read::manage)),
    endpoint("GET", "/api/v2/tenants/{tenant_name}", Serves(Describe, read::plain)),
    endpoint("PATCH", "/api/v2/tenants/{tenant_name}", Serves(Manage, read::manage)),
    endpoint("GET", "/api/v2/tenants/{tenant}/databases", Serves(Describe, read::plain)),
    endpoint("POST", "/api/v2/tenants/{tenant}/databases", Serves(Manage, read::manage)),
    endpoint("GET", "/api/v2/tenants/{tenant}/databases/{database}", Serves(Describe, read::plain)),
    endpoint("DELETE", "/api/v2/tenants/{tenant}/databases/{database}", Serves(Manage, read::manage)),
    endpoint(
        "GET",
        "/api/v2/tenants/{tenant}/databases/{database}/collections",
        Serves(Describe, read::collections),
    ),
    endpoint(
        "POST",
        "/api/v2/tenants/{tenant}/databases/{database}/collections",
        Serves(Manage, read::create),
    ),
    endpoint(
        "GET",
        "/api/v2/tenants/{tenant}/databases/{database}/collections_count",
        Serves(Describe, read::collections_count),
    ),
    endpoint("GET", collection!("by-id/{collection_id}"), Serves(Describe, read::by_id)),
    endpoint("GET", collection!("{name}"), Serves(Describe, read::by_name)),
    endpoint("PUT", collection!("{collection_id}"), Serves(Manage, read::modify)),
    endpoint("DELETE", collection!("{name}"), Serves(Manage, read::drop_collection)),
    endpoint("POST", collection!("{collection_id}/add"), Serves(Write, write::add)),
    endpoint("GET", collection!("{collection_id}/count"), Serves(Count, read::count)),
    endpoint("POST", collection!("{collection_id}/delete"), Serves(Delete, write::delete)),
    endpoint("POST", collection!("{collection_id}/fork"), Serves(Manage, read::fork)),
    endpoint("GET", collection!("{collection_id}/fork_count"), Serves(Manage, read::by_id)),
    endpoint("POST", collection!("{collection_id}/get"), Serves(Get, read::get)),
    endpoint("GET", collection!("{collection_id}/indexing_status"), Serves(Manage, read::by_id)),
    endpoint("POST", collection!("{collection_id}/query"), Serves(Query, read::query)),
    endpoint(
        "POST",
        collection!("{collection_id}/search"),
        Refuses("use `query`: expressions of `search` are not read"),
    ),
    endpoint("POST", collection!("{collection_id}/update"), Serves(Write, write::update)),
    endpoint("POST", collection!("{collection_id}/upsert"), Serves(Write, write::upsert)),
    endpoint("POST", collection!("{collection_id}/functions/attach"), Refuses(FUNCTIONS)),
    endpoint("GET", collection!("{collection_id}/functions/{function_name}"), Refuses(FUNCTIONS)),
    endpoint("POST", collection!("{collection_id}/attached_functions/{name}/detach"), Refuses(FUNCTIONS)),
    endpoint("GET", "/api/v2/collections/{crn}", Refuses("collections go by their names")),
];

/// Whether a collection's id has one spelling alone: Chroma takes capitals, braces, `urn:uuid:` and a UUID without its
/// hyphens for the same id, and what is claimed and remembered under one would be free under another.
pub(super) fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.bytes().all(plain) && !(text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// What is asked first of a request for a collection that goes by an id: its name.
pub(super) fn lookup(verdict: &Verdict, places: &[(&'static str, String)]) -> Option<Lookup> {
    let place = |name: &str| places.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
    let (tenant, database, id) = (place("tenant")?, place("database")?, place("collection_id")?);
    matches!(verdict, Serves(..)).then_some(())?;
    let path = ["api", "v2", "tenants", tenant, "databases", database, "collections", "by-id", id];
    let sending = Sending { method: Method::GET, target: target(&path), body: Bytes::new() };
    Some(Lookup { key: format!("{tenant}/{database}/{id}"), sending })
}

fn target(path: &[&str]) -> String {
    let mut target = String::new();
    for segment in path {
        target.push('/');
        tool_api::write_segment(segment, &mut target);
    }
    target
}

/// A request for another part of the collection that is asked about.
fn beside(asking: &Asking<'_>, part: &str, body: &Value<'_>) -> Sending {
    let (tenant, database, id) =
        (asking.place("tenant"), asking.place("database"), asking.place("collection_id"));
    let path = ["api", "v2", "tenants", tenant, "databases", database, "collections", id, part];
    let mut bytes = Vec::new();
    json::write(body, &mut bytes);
    Sending { method: Method::POST, target: target(&path), body: bytes.into() }
}
