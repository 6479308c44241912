//! Vectors by similarity, by id, by metadata and page by page.

use super::{
    filter,
    namespace::{self, own_only},
};
use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        Fence, Sending,
        chain::Chain,
        clause,
        endpoint::{Asking, Begun},
        members::{self, Place},
        wire,
    },
    tool_api::Request,
};

const QUERY: &[&str] = &[
    "namespace",
    "topK",
    "filter",
    "vector",
    "sparseVector",
    "id",
    "includeValues",
    "includeMetadata",
    "scanFactor",
    "maxCandidates",
];

/// The body in the tenant's bounds: its namespace, and the tenant's clause in its filter.
pub(super) fn scoped<'v>(asking: &Asking<'v>, body: &'v Value<'v>) -> Result<Value<'v>, Refusal> {
    let mut scoped = body.clone();
    members::text(body, "namespace", &Place::Body)?;
    let given = body.present("filter");
    if let Some(given) = given {
        filter::check(asking, given, &Place::Body.member("filter"))?;
    }
    if let Some(forced) = clause::forced(asking.fence, given) {
        scoped.set("filter", forced);
    }
    in_own_namespace(asking, &mut scoped);
    Ok(scoped)
}

/// The body with the store's name of the tenant's namespace.
pub(super) fn in_own_namespace(asking: &Asking<'_>, body: &mut Value<'_>) {
    if asking.fence.prefix.is_some() {
        let name = namespace::outer(asking.fence, asking.collection.unwrap_or_default());
        body.set("namespace", Value::string(name));
    }
}

/// The query with the store's name of the tenant's namespace.
fn query_in_own_namespace<'v>(asking: &Asking<'v>) -> Request<'v> {
    let mut request = asking.request.clone();
    if asking.fence.prefix.is_some() {
        let name = namespace::outer(asking.fence, asking.collection.unwrap_or_default());
        request.query.retain(|(known, _)| known != "namespace");
        request.query.push(("namespace".to_owned(), name));
    }
    request
}

pub(super) fn sending(asking: &Asking<'_>, body: &Value<'_>) -> Sending {
    let mut request = asking.request.clone();
    request.body = None;
    Sending { body: wire::written(body), ..Sending::of(&request) }
}

pub(super) fn query(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    let body = members::body(asking, QUERY)?;
    for name in ["topK", "maxCandidates"] {
        members::count(body, name, &Place::Body)?;
    }
    members::flag(body, "includeValues", &Place::Body)?;
    let shows = members::flag(body, "includeMetadata", &Place::Body)?.unwrap_or(false);
    if members::text(body, "id", &Place::Body)?.is_some() {
        own_only(asking, "whose vector an id names cannot be known here; fetch it and send its values")?;
    }
    let mut scoped = scoped(asking, body)?;
    if asking.fence.field.is_some() {
        scoped.set("includeMetadata", Value::Bool(true));
    }
    let (fence, asked) = (asking.fence.clone(), asking.collection.unwrap_or_default().to_owned());
    Ok(Chain::once(asking, sending(asking, &scoped), move |reply| {
        let mut answer = wire::parse(&reply.body)?;
        let members = answer.members_mut().ok_or_else(wire::unreadable)?;
        // `results` is of an older version, and empty.
        members.retain(|(name, _)| ["matches", "namespace", "usage"].contains(&name.as_ref()));
        namespace::rename(&mut answer, &asked);
        let Some(matches) = answer.get_mut("matches") else { return Ok((wire::written(&answer), 0)) };
        let matches = matches.items_mut().ok_or_else(wire::unreadable)?;
        let before = matches.len();
        matches.retain(|found| fence.owns(found.get("metadata")));
        let foreign = before - matches.len();
        if !shows {
            matches.iter_mut().for_each(|found| drop(found.remove("metadata")));
        }
        Ok((wire::written(&answer), u64::try_from(foreign).unwrap_or(u64::MAX)))
    }))
}

/// Takes the vectors of others out of an answer that has them by their ids, and says how many.
fn verify(fence: &Fence, answer: &mut Value<'_>, asked: &str) -> Result<u64, Refusal> {
    wire::only(answer, &["vectors", "namespace", "usage", "pagination"])?;
    namespace::rename(answer, asked);
    let Some(vectors) = answer.get_mut("vectors") else { return Ok(0) };
    let vectors = vectors.members_mut().ok_or_else(wire::unreadable)?;
    let before = vectors.len();
    vectors.retain(|(_, vector)| fence.owns(vector.get("metadata")));
    Ok(u64::try_from(before - vectors.len()).unwrap_or(u64::MAX))
}

pub(super) fn fetch(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &["ids", "namespace"])?;
    members::no_body(asking)?;
    let (fence, asked) = (asking.fence.clone(), asking.collection.unwrap_or_default().to_owned());
    Ok(Chain::once(asking, Sending::of(&query_in_own_namespace(asking)), move |reply| {
        let mut answer = wire::parse(&reply.body)?;
        // What goes by an id has no filter: another's is what the client named, and no fault of the store's.
        verify(&fence, &mut answer, &asked)?;
        Ok((wire::written(&answer), 0))
    }))
}

pub(super) fn fetch_by_metadata(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    let body = members::body(asking, &["namespace", "filter", "limit", "paginationToken"])?;
    members::count(body, "limit", &Place::Body)?;
    let mut scoped = scoped(asking, body)?;
    let (fence, asked) = (asking.fence.clone(), asking.collection.unwrap_or_default().to_owned());
    fence.open_in(&mut scoped, "paginationToken", &asked)?;
    Ok(Chain::once(asking, sending(asking, &scoped), move |reply| {
        let mut answer = wire::parse(&reply.body)?;
        let foreign = verify(&fence, &mut answer, &asked)?;
        fence.seal_in(&mut answer, &["pagination", "next"], &asked);
        Ok((wire::written(&answer), foreign))
    }))
}

/// Ids alone, which say nothing of whose they are.
pub(super) fn list(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &["namespace", "prefix", "limit", "paginationToken"])?;
    members::no_body(asking)?;
    own_only(asking, "whose the ids are is not told by it; use `fetch_by_metadata`")?;
    let (fence, asked) = (asking.fence.clone(), asking.collection.unwrap_or_default().to_owned());
    let mut request = query_in_own_namespace(asking);
    fence.open_in_query(&mut request, "paginationToken", &asked)?;
    let sent = namespace::outer(&fence, &asked);
    Ok(Chain::once(asking, Sending::of(&request), move |reply| {
        let mut answer = wire::parse(&reply.body)?;
        wire::only(&answer, &["vectors", "namespace", "usage", "pagination"])?;
        let told = answer.present("namespace").and_then(Value::as_str).unwrap_or_default();
        if !told.is_empty() && told != sent {
            return Err(wire::unreadable());
        }
        namespace::rename(&mut answer, &asked);
        fence.seal_in(&mut answer, &["pagination", "next"], &asked);
        Ok((wire::written(&answer), 0))
    }))
}
