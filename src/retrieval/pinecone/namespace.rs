//! Namespaces: which a request is for, what a tenant's own are called in the store, and what is told of them.

use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        Conversation, Fence, Sending,
        chain::Chain,
        endpoint::{Asking, Begun},
        members::{self, Place},
        wire,
    },
    tool_api::Request,
};
use std::borrow::Cow;

/// The namespace of requests that name none.
const DEFAULT: &str = "__default__";

/// The namespace that a request is for, as the client calls it.
pub(in super::super) fn named(places: &[(&'static str, String)], request: &Request<'_>) -> Option<String> {
    let in_path = places.iter().find(|(name, _)| *name == "namespace").map(|(_, value)| value.as_str());
    let first = request.path.first().map(String::as_str);
    if in_path.is_some() || !matches!(first, Some("query" | "vectors")) {
        return in_path.map(ToOwned::to_owned);
    }
    let in_body = || request.body.as_ref()?.present("namespace")?.as_str();
    let name = request.parameter("namespace").or_else(in_body).unwrap_or_default();
    Some(if name.is_empty() { DEFAULT } else { name }.to_owned())
}

/// The store's name of a namespace. A tenant's default one is called as what begins the names of its others: no name of a
/// tenant ends in `_` or `.`, so it is no other tenant's.
pub(super) fn outer(fence: &Fence, name: &str) -> String {
    match &fence.prefix {
        Some(prefix) if name.is_empty() || name == DEFAULT => default_of(prefix).to_owned(),
        _ => fence.outer(name),
    }
}

/// The client's name of a namespace; `None` for one that it does not see.
pub(super) fn inner<'n>(fence: &Fence, name: &'n str) -> Option<&'n str> {
    match &fence.prefix {
        Some(prefix) if name == default_of(prefix) => Some(DEFAULT),
        _ => fence.inner(name).filter(|inner| fence.prefix.is_none() || !inner.is_empty()),
    }
}

fn default_of(prefix: &str) -> &str {
    prefix.trim_end_matches(['_', '.'])
}

/// Goes no further where tenants share namespaces.
pub(super) fn own_only(asking: &Asking<'_>, why: &str) -> Result<(), Refusal> {
    if asking.fence.prefix.is_some() { Ok(()) } else { Err(asking.refuse(why)) }
}

/// The namespace as an answer names it: as the client called it.
pub(super) fn rename(answer: &mut Value<'_>, asked: &str) {
    if answer.get("namespace").is_some() {
        let name = if asked == DEFAULT { "" } else { asked };
        answer.set("namespace", Value::string(name.to_owned()));
    }
}

/// The request with the store's name of the namespace in its path.
fn outside<'v>(asking: &Asking<'v>) -> Request<'v> {
    let mut request = asking.request.clone();
    if let [_, name, ..] = request.path.as_mut_slice() {
        *name = outer(asking.fence, name);
    }
    request
}

/// A namespace, as the client sees it; `None` for one that it does not. What counts everybody's records is not told.
fn described<'v>(fence: &Fence, namespace: &Value<'v>) -> Option<Value<'v>> {
    let mut namespace = namespace.clone();
    let name = inner(fence, namespace.get("name")?.as_str()?)?.to_owned();
    namespace.set("name", Value::string(name));
    if fence.prefix.is_none() {
        namespace.remove("record_count");
        namespace.remove("size_bytes");
    }
    Some(namespace)
}

fn describing(asking: &Asking<'_>, request: &Request<'_>) -> Box<dyn Conversation> {
    let fence = asking.fence.clone();
    Chain::once(asking, Sending::of(request), move |reply| {
        let answer = wire::parse(&reply.body)?;
        Ok((wire::written(&described(&fence, &answer).ok_or_else(wire::unreadable)?), 0))
    })
}

pub(super) fn list(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &["limit", "paginationToken", "prefix"])?;
    members::no_body(asking)?;
    let mut request = asking.request.clone();
    if let Some(prefix) = &asking.fence.prefix {
        let given = asking.request.parameter("prefix").filter(|given| !given.is_empty());
        let own = given.map_or_else(|| default_of(prefix).to_owned(), |given| asking.fence.outer(given));
        request.query.retain(|(name, _)| name != "prefix");
        request.query.push(("prefix".to_owned(), own));
    }
    asking.fence.open_in_query(&mut request, "paginationToken", "namespaces")?;
    let fence = asking.fence.clone();
    Ok(Chain::once(asking, Sending::of(&request), move |reply| {
        let mut answer = wire::parse(&reply.body)?;
        // It counts everybody's.
        answer.remove("total_count");
        wire::only(&answer, &["namespaces", "pagination"])?;
        if let Some(all) = answer.get_mut("namespaces") {
            let own = all.items().ok_or_else(wire::unreadable)?;
            let own = own.iter().filter_map(|namespace| described(&fence, namespace)).collect();
            *all = Value::Array(own);
        }
        fence.seal_in(&mut answer, &["pagination", "next"], "namespaces");
        Ok((wire::written(&answer), 0))
    }))
}

pub(super) fn describe(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    members::no_body(asking)?;
    Ok(describing(asking, &outside(asking)))
}

pub(super) fn create(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    let body = members::body(asking, &["name", "schema"])?;
    let name = members::text(body, "name", &Place::Body)?;
    let name = name.ok_or_else(|| Place::Body.bad("has no `name`"))?;
    let mut request = asking.request.clone();
    if let Some(body) = &mut request.body {
        body.set("name", Value::string(outer(asking.fence, name)));
    }
    Ok(describing(asking, &request))
}

pub(super) fn drop_namespace(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    members::no_body(asking)?;
    Ok(Chain::once(asking, Sending::of(&outside(asking)), |reply| Ok((reply.body.clone(), 0))))
}

/// How many records a tenant's namespaces hold.
pub(super) fn stats(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    own_only(asking, "it counts the records of all tenants, who share namespaces here")?;
    if asking.request.body.is_some() {
        members::body(asking, &[])?;
    }
    let fence = asking.fence.clone();
    Ok(Chain::once(asking, Sending::of(asking.request), move |reply| {
        let mut answer = wire::parse(&reply.body)?;
        let members = answer.members_mut().ok_or_else(wire::unreadable)?;
        // How full the index is, all tenants have a part in.
        members
            .retain(|(name, _)| ["dimension", "metric", "namespaces", "vectorType"].contains(&name.as_ref()));
        let mut total = 0_u64;
        let mut own = Vec::new();
        for (name, summary) in answer.get("namespaces").and_then(Value::members).unwrap_or_default() {
            if let Some(name) = inner(&fence, name) {
                total = total.saturating_add(summary.get("vectorCount").and_then(Value::as_u64).unwrap_or(0));
                own.push((Cow::Owned(name.to_owned()), summary.clone()));
            }
        }
        answer.set("namespaces", Value::Object(own));
        answer.set("totalVectorCount", Value::integer(total));
        answer.set("indexFullness", Value::integer(0));
        Ok((wire::written(&answer), 0))
    }))
}
