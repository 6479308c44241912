//! Classes, Weaviate's own tenants in them, and what a client asks of a store when it connects.

use super::{class, graphql, target};
use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        Sending,
        chain::{Chain, Then},
        endpoint::{Asking, Begun},
        members::{self, Place},
        wire,
    },
};
use bytes::Bytes;
use http::Method;

const CLASS: [&str; 13] = [
    "class",
    "description",
    "invertedIndexConfig",
    "moduleConfig",
    "multiTenancyConfig",
    "objectTtlConfig",
    "properties",
    "replicationConfig",
    "shardingConfig",
    "vectorConfig",
    "vectorIndexConfig",
    "vectorIndexType",
    "vectorizer",
];
const PROPERTY: [&str; 11] = [
    "name",
    "dataType",
    "description",
    "indexFilterable",
    "indexInverted",
    "indexRangeFilters",
    "indexSearchable",
    "moduleConfig",
    "nestedProperties",
    "textAnalyzer",
    "tokenization",
];
/// Members of a class in which modules are set up.
const MODULES: [&str; 3] = ["moduleConfig", "vectorConfig", "vectorizer"];
const OF_ALL: &str = "a class is of all tenants, and you have a part of it";

/// What says nothing of records.
fn plain(asking: &Asking<'_>, path: &[&str]) -> Begun {
    members::parameters(asking, &[])?;
    members::no_body(asking)?;
    let sending = Sending::new(Method::GET, target(path), Bytes::new());
    Ok(Chain::once(asking, sending, |reply| {
        let body = reply.body.clone();
        if !body.is_empty() {
            wire::parse(&body)?;
        }
        Ok((body, 0))
    }))
}

pub(super) fn health(asking: &Asking<'_>) -> Begun {
    let path: Vec<&str> = asking.request.path.iter().map(String::as_str).collect();
    plain(asking, &path)
}

/// Whom a client is to log in with: nobody, since its key is the gateway's.
pub(super) fn login(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    members::no_body(asking)?;
    Ok(Chain::new(asking, Then::tell(404, Bytes::from_static(b"{}"), 0)).boxed())
}

pub(super) fn meta(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    members::no_body(asking)?;
    Ok(Chain::once(asking, Sending::of(asking.request), |reply| {
        let mut answer = wire::parse(&reply.body)?;
        let members = answer.members_mut().ok_or_else(wire::unreadable)?;
        members.retain(|(name, _)| ["version", "modules", "grpcMaxMessageSize"].contains(&name.as_ref()));
        Ok((wire::written(&answer), 0))
    }))
}

pub(super) fn list(asking: &Asking<'_>) -> Begun {
    plain(asking, &["v1", "schema"])
}

pub(super) fn describe(asking: &Asking<'_>) -> Begun {
    plain(asking, &["v1", "schema", class(asking)?])
}

/// Goes no further where a tenant has but a part of each class.
fn shared_only(asking: &Asking<'_>) -> Result<(), Refusal> {
    if asking.fence.prefix.is_none() { Ok(()) } else { Err(asking.refuse(OF_ALL)) }
}

fn own_only<'a>(asking: &Asking<'a>) -> Result<&'a str, Refusal> {
    let own = asking.fence.prefix.as_deref();
    own.ok_or_else(|| asking.refuse("tenants share classes here, and Weaviate's own tenants are not read"))
}

/// The property that names the tenant, as one token.
fn naming(field: &str) -> Value<'static> {
    Value::object([
        ("name", Value::string(field.to_owned())),
        ("dataType", Value::Array(vec![Value::string("text")])),
        ("tokenization", Value::string("field")),
        ("indexFilterable", Value::Bool(true)),
        ("indexSearchable", Value::Bool(false)),
    ])
}

/// Whether Weaviate takes the property for the one that names the tenant.
fn names_tenant(asking: &Asking<'_>, property: &Value<'_>, place: &Place<'_>) -> Result<bool, Refusal> {
    let name = members::text(property, "name", place)?.ok_or_else(|| place.bad("has no `name`"))?;
    let there = place.member("name");
    if !graphql::is_name(name) {
        return Err(there.bad("is no name of a property: letters, digits and `_`"));
    }
    Ok(asking.fence.field.as_deref().is_some_and(|field| field.eq_ignore_ascii_case(name)))
}

/// Modules are sent everybody's texts: where to is the operator's, not whoever's who may set a class up.
fn no_address(asking: &Asking<'_>, value: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    for (at, item) in value.items().unwrap_or_default().iter().enumerate() {
        no_address(asking, item, &place.item(at))?;
    }
    for (name, inner) in value.members().unwrap_or_default() {
        let lower = name.to_ascii_lowercase();
        if ["url", "uri", "endpoint", "host", "region"].iter().any(|word| lower.contains(word)) {
            return Err(
                asking.refuse(format!("`{place}` has an address: the operator says where texts are sent"))
            );
        }
        no_address(asking, inner, &place.member(name))?;
    }
    Ok(())
}

/// A class with the property that names the tenant.
fn scoped(asking: &Asking<'_>) -> Result<Value<'static>, Refusal> {
    members::parameters(asking, &[])?;
    shared_only(asking)?;
    let body = members::body(asking, &CLASS)?;
    if members::text(body, "class", &Place::Body)? != Some(class(asking)?) {
        return Err(Place::Body.member("class").bad("is not the class in the path"));
    }
    if let Some(config) = body.present("multiTenancyConfig") {
        let place = Place::Body.member("multiTenancyConfig");
        members::object(asking, config, &place, &["autoTenantActivation", "autoTenantCreation", "enabled"])?;
        if members::flag(config, "enabled", &place)? == Some(true) {
            return Err(asking
                .refuse("tenants share classes here: Weaviate's own tenants are for `scope: collection`"));
        }
    }
    for name in MODULES {
        no_address(asking, body.get(name).unwrap_or(&Value::Null), &Place::Body.member(name))?;
    }
    let place = Place::Body.member("properties");
    let mut properties = Vec::new();
    for (at, property) in
        members::items(body, "properties", &Place::Body)?.unwrap_or_default().iter().enumerate()
    {
        members::object(asking, property, &place.item(at), &PROPERTY)?;
        if !names_tenant(asking, property, &place.item(at))? {
            properties.push(property.clone().into_owned());
        }
    }
    properties.extend(asking.fence.field.as_deref().map(naming));
    let mut scoped = body.clone().into_owned();
    scoped.set("properties", Value::Array(properties));
    Ok(scoped)
}

fn sending(asking: &Asking<'_>, path: &[&str], body: &Value<'_>) -> Sending {
    Sending::new(asking.request.method.clone(), target(path), wire::written(body))
}

/// A class as the client is told of it: what it is made of, and nothing of records.
fn told(asking: &Asking<'_>, sending: Sending) -> Begun {
    Ok(Chain::once(asking, sending, |reply| {
        if !reply.body.is_empty() {
            wire::parse(&reply.body)?;
        }
        Ok((reply.body.clone(), 0))
    }))
}

pub(super) fn create(asking: &Asking<'_>) -> Begun {
    let scoped = scoped(asking)?;
    told(asking, sending(asking, &["v1", "schema"], &scoped))
}

pub(super) fn update(asking: &Asking<'_>) -> Begun {
    let scoped = scoped(asking)?;
    told(asking, sending(asking, &["v1", "schema", class(asking)?], &scoped))
}

pub(super) fn drop_class(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    members::no_body(asking)?;
    shared_only(asking)?;
    told(asking, Sending::new(Method::DELETE, target(&["v1", "schema", class(asking)?]), Bytes::new()))
}

pub(super) fn add_property(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    shared_only(asking)?;
    let body = members::body(asking, &PROPERTY)?;
    no_address(
        asking,
        body.get("moduleConfig").unwrap_or(&Value::Null),
        &Place::Body.member("moduleConfig"),
    )?;
    let naming = names_tenant(asking, body, &Place::Body)?.then(|| asking.fence.field.as_deref().map(naming));
    let property = naming.flatten().unwrap_or_else(|| body.clone().into_owned());
    told(asking, sending(asking, &["v1", "schema", class(asking)?, "properties"], &property))
}

/// Weaviate's own tenants in a class: the tenant's own alone.
pub(super) fn tenants(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    members::no_body(asking)?;
    let own = own_only(asking)?.to_owned();
    let sending =
        Sending::new(Method::GET, target(&["v1", "schema", class(asking)?, "tenants"]), Bytes::new());
    Ok(Chain::once(asking, sending, move |reply| {
        let answer = wire::parse(&reply.body)?;
        let all = answer.items().ok_or_else(wire::unreadable)?;
        let named = all.iter().filter(|one| one.get("name").and_then(Value::as_str) == Some(&*own));
        Ok((wire::written(&Value::Array(named.cloned().collect())), 0))
    }))
}

/// The tenant's own of Weaviate's tenants; there is no other.
pub(super) fn tenant(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    members::no_body(asking)?;
    let own = own_only(asking)?;
    if asking.place("tenant") != own {
        return Ok(Chain::new(asking, Then::tell(404, Bytes::new(), 0)).boxed());
    }
    let target = target(&["v1", "schema", class(asking)?, "tenants", own]);
    let sending = Sending::new(asking.request.method.clone(), target, Bytes::new());
    Ok(Chain::once(asking, sending, |reply| Ok((reply.body.clone(), 0))))
}

fn of_own(asking: &Asking<'_>, names: &Value<'_>) -> Begun {
    let path = ["v1", "schema", class(asking)?, "tenants"];
    Ok(Chain::once(asking, sending(asking, &path, names), |reply| Ok((reply.body.clone(), 0))))
}

/// Makes the tenant's own of Weaviate's tenants in a class, or has it loaded and put away.
pub(super) fn change_tenants(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    let own = own_only(asking)?;
    let body = asking.request.body.as_ref().unwrap_or(&Value::Null);
    for (at, one) in body.items().ok_or_else(|| Place::Body.wrong("a list", body))?.iter().enumerate() {
        let here = Place::Body.item(at);
        members::object(asking, one, &here, &["name", "activityStatus"])?;
        check_own(asking, own, members::text(one, "name", &here)?)?;
        members::text(one, "activityStatus", &here)?;
    }
    of_own(asking, body)
}

pub(super) fn drop_tenants(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    let own = own_only(asking)?;
    let body = asking.request.body.as_ref().unwrap_or(&Value::Null);
    for name in body.items().ok_or_else(|| Place::Body.wrong("a list", body))? {
        check_own(asking, own, name.as_str())?;
    }
    of_own(asking, body)
}

fn check_own(asking: &Asking<'_>, own: &str, given: Option<&str>) -> Result<(), Refusal> {
    if given == Some(own) {
        Ok(())
    } else {
        Err(asking.refuse(format!("of Weaviate's tenants you have one: `{own}`")))
    }
}
