//! Indices: which one a request is for, what it is called in the store, and what becomes of it as a whole.

use super::{mapping, search};
use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        Fence, Sending,
        chain::Chain,
        endpoint::{Asking, Begun},
        members::{self, Place},
        wire,
    },
    tool_api::{self, Request},
};
use bytes::Bytes;
use http::Method;

/// The index that a request is for, as the client calls it.
pub(in super::super) fn named(
    fence: &Fence,
    places: &[(&'static str, String)],
    request: &Request<'_>,
) -> Option<String> {
    if let Some((_, name)) = places.iter().find(|(name, _)| *name == "index") {
        return Some(name.clone());
    }
    let body = request.body.as_ref()?;
    let text = |value: Option<&Value<'_>>| value.and_then(Value::as_str).map(ToOwned::to_owned);
    match request.path.first().map(String::as_str) {
        Some("_bulk") => {
            let (_, first) = body.items()?.first()?.members()?.first()?;
            text(first.get("_index"))
        }
        Some("_mget") => text(body.get("docs")?.items()?.first()?.get("_index")),
        Some("_msearch") => match body.items()?.first()?.get("index") {
            Some(Value::Array(names)) => text(names.first()),
            one => text(one),
        },
        Some("_pit" | "_search") => search::index_of_cursor(fence, request),
        _ => None,
    }
}

/// Whether something is the name of one index, and neither a pattern nor a list nor another cluster's.
fn is_name(name: &str) -> bool {
    !name.starts_with(['_', '-', '.', '+'])
        && !name.is_empty()
        && name.len() <= 255
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

/// The store's name of the index that a request is for.
pub(super) fn outer(asking: &Asking<'_>) -> Result<String, Refusal> {
    match asking.collection {
        Some(name) if is_name(name) => Ok(asking.fence.outer(name)),
        Some(_) => {
            Err(asking.refuse("it names one index: letters, digits, `_`, `-` and `.`, and no pattern"))
        }
        None => Err(asking.refuse("it names no index")),
    }
}

/// Sees to it that a part of a request names no other index than the whole.
pub(super) fn check_name(
    asking: &Asking<'_>,
    given: Option<&Value<'_>>,
    place: &Place<'_>,
) -> Result<(), Refusal> {
    let name = match given {
        Some(Value::Array(names)) if names.len() == 1 => names.first(),
        other => other,
    };
    let is_in_path = !asking.place("index").is_empty();
    match name.map(Value::as_str) {
        None if is_in_path => Ok(()),
        Some(Some(name)) if Some(name) == asking.collection => Ok(()),
        Some(None) | None => Err(place.bad("names no index, or several")),
        Some(Some(_)) => {
            Err(asking.refuse("one request is for one index: rules decide on it; send a request for each"))
        }
    }
}

/// The request with the store's name of the index in its path.
pub(super) fn outside<'v>(asking: &Asking<'v>) -> Result<Request<'v>, Refusal> {
    let mut request = asking.request.clone();
    if !asking.place("index").is_empty() {
        let outer = outer(asking)?;
        if let Some(first) = request.path.first_mut() {
            *first = outer;
        }
    } else if asking.collection.is_some() {
        outer(asking)?;
    }
    Ok(request)
}

/// A request for another part of the index.
pub(super) fn beside(outer: &str, part: &str, body: &Value<'_>) -> Sending {
    let mut target = "/".to_owned();
    tool_api::write_segment(outer, &mut target);
    target.push('/');
    target.push_str(part);
    Sending::new(Method::POST, target, wire::written(body))
}

pub(super) fn info(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    members::no_body(asking)?;
    Ok(Chain::once(asking, Sending::of(asking.request), |reply| Ok((reply.body.clone(), 0))))
}

pub(super) fn exists(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &["allow_no_indices", "expand_wildcards", "ignore_unavailable"])?;
    members::no_body(asking)?;
    Ok(Chain::once(asking, Sending::of(&outside(asking)?), |_| Ok((Bytes::new(), 0))))
}

/// What an index is like. Its fields come from the records in it.
pub(super) fn describe(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    members::no_body(asking)?;
    if asking.fence.prefix.is_none() {
        return Err(asking.refuse("it tells of the fields of all tenants' records"));
    }
    let fence = asking.fence.clone();
    Ok(Chain::once(asking, Sending::of(&outside(asking)?), move |reply| {
        let answer = wire::parse(&reply.body)?;
        let mut told = Vec::new();
        for (name, index) in answer.members().ok_or_else(wire::unreadable)? {
            let name = fence.inner(name).ok_or_else(wire::unreadable)?.to_owned();
            let mut index = index.clone();
            index.remove("aliases");
            told.push((name.into(), index));
        }
        Ok((wire::written(&Value::Object(told)), 0))
    }))
}

pub(super) fn refresh(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &["allow_no_indices", "expand_wildcards", "ignore_unavailable"])?;
    if asking.request.body.is_some() {
        members::body(asking, &[])?;
    }
    Ok(Chain::once(asking, Sending::of(&outside(asking)?), |reply| Ok((reply.body.clone(), 0))))
}

const MAPPINGS: [&str; 6] =
    ["properties", "dynamic", "_meta", "date_detection", "numeric_detection", "dynamic_templates"];

/// Mappings in which the tenant's field is an exact word.
fn mapped<'v>(
    asking: &Asking<'_>,
    given: Option<&Value<'v>>,
    place: &Place<'_>,
) -> Result<Value<'v>, Refusal> {
    let mut mapped = given.cloned().unwrap_or_else(|| Value::Object(Vec::new()));
    members::object(asking, &mapped, place, &MAPPINGS)?;
    mapping::check_mappings(asking, &mapped, place)?;
    let mut properties = mapped.present("properties").cloned().unwrap_or_else(|| Value::Object(Vec::new()));
    if properties.members().is_none() {
        return Err(place.member("properties").wrong("an object", &properties));
    }
    if let Some(field) = &asking.fence.field {
        properties.set(field, Value::object([("type", Value::string("keyword"))]));
        mapped.set("properties", properties);
    }
    Ok(mapped)
}

const TIMES: [&str; 3] = ["timeout", "master_timeout", "cluster_manager_timeout"];

pub(super) fn create(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[&TIMES[..], &["wait_for_active_shards"]].concat())?;
    let mut body = Value::Object(Vec::new());
    if asking.request.body.is_some() {
        body = members::body(asking, &["settings", "mappings"])?.clone();
    }
    if let Some(settings) = body.present("settings") {
        mapping::check_settings(asking, settings, &Place::Body.member("settings"))?;
    }
    let mappings = mapped(asking, body.present("mappings"), &Place::Body.member("mappings"))?;
    if mappings.members().is_some_and(|all| !all.is_empty()) {
        body.set("mappings", mappings);
    }
    let mut request = outside(asking)?;
    request.body = None;
    let sending = Sending { body: wire::written(&body), ..Sending::of(&request) };
    let (outer, name) = (outer(asking)?, asking.collection.unwrap_or_default().to_owned());
    Ok(Chain::once(asking, sending, move |reply| {
        let mut answer = wire::parse(&reply.body)?;
        if answer.get("index").and_then(Value::as_str) == Some(&*outer) {
            answer.set("index", Value::string(name));
        }
        Ok((wire::written(&answer), 0))
    }))
}

pub(super) fn map(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &TIMES)?;
    let body = members::body(asking, &MAPPINGS)?;
    let mapped = mapped(asking, Some(body), &Place::Body)?;
    let mut request = outside(asking)?;
    request.body = None;
    let sending = Sending { body: wire::written(&mapped), ..Sending::of(&request) };
    Ok(Chain::once(asking, sending, |reply| Ok((reply.body.clone(), 0))))
}

pub(super) fn drop_index(asking: &Asking<'_>) -> Begun {
    members::parameters(
        asking,
        &[&TIMES[..], &["ignore_unavailable", "allow_no_indices", "expand_wildcards"]].concat(),
    )?;
    members::no_body(asking)?;
    Ok(Chain::once(asking, Sending::of(&outside(asking)?), |reply| Ok((reply.body.clone(), 0))))
}
