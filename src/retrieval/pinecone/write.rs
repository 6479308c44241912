//! Vectors that are written and deleted. Ids are the tenant's own where its namespaces are; elsewhere nothing goes by them.

use super::{
    filter,
    namespace::own_only,
    read::{in_own_namespace, scoped, sending},
};
use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        chain::Chain,
        clause,
        endpoint::{Asking, Begun},
        members::{self, Place},
    },
};
use bytes::Bytes;

/// Why nothing goes by an id where namespaces are shared.
pub(super) const SHARED: &str =
    "Pinecone cannot keep to a tenant's own ids in a namespace that tenants share; give each its own";

/// The metadata of a record with the tenant's name in it.
fn stamp(asking: &Asking<'_>, record: &mut Value<'_>, name: &str, place: &Place<'_>) -> Result<(), Refusal> {
    let mut metadata = record.present(name).cloned().unwrap_or_else(|| Value::Object(Vec::new()));
    if metadata.members().is_none() {
        return Err(place.member(name).wrong("an object", &metadata));
    }
    asking.fence.stamp(&mut metadata);
    record.set(name, metadata);
    Ok(())
}

pub(super) fn upsert(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    let body = members::body(asking, &["namespace", "vectors"])?;
    members::text(body, "namespace", &Place::Body)?;
    own_only(asking, SHARED)?;
    let place = Place::Body.member("vectors");
    let mut scoped = body.clone();
    in_own_namespace(asking, &mut scoped);
    let vectors = scoped.get_mut("vectors").unwrap_or(&mut Value::Null).items_mut().map(std::mem::take);
    let mut vectors = vectors.ok_or_else(|| place.bad("is not an array"))?;
    for (at, vector) in vectors.iter_mut().enumerate() {
        let here = place.item(at);
        members::object(asking, vector, &here, &["id", "values", "sparseValues", "metadata"])?;
        members::text(vector, "id", &here)?.ok_or_else(|| here.bad("has no `id`"))?;
        if asking.fence.field.is_some() || vector.get("metadata").is_some() {
            stamp(asking, vector, "metadata", &here)?;
        }
    }
    scoped.set("vectors", Value::Array(vectors));
    Ok(Chain::once(asking, sending(asking, &scoped), |reply| Ok((reply.body.clone(), 0))))
}

pub(super) fn update(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    let known = ["namespace", "id", "filter", "values", "sparseValues", "setMetadata", "dryRun"];
    let body = members::body(asking, &known)?;
    members::text(body, "namespace", &Place::Body)?;
    members::flag(body, "dryRun", &Place::Body)?;
    let by_id = members::text(body, "id", &Place::Body)?.is_some();
    if by_id {
        own_only(asking, SHARED)?;
    }
    let given = body.present("filter");
    if by_id == given.is_some() {
        return Err(Place::Body.bad("has to have either `id` or `filter`"));
    }
    let mut scoped = if by_id { body.clone() } else { scoped(asking, body)? };
    in_own_namespace(asking, &mut scoped);
    if scoped.present("setMetadata").is_some() {
        stamp(asking, &mut scoped, "setMetadata", &Place::Body)?;
    }
    // How many there are is shown by no record.
    let shared = asking.fence.prefix.is_none();
    Ok(Chain::once(asking, sending(asking, &scoped), move |reply| {
        Ok((if shared { Bytes::from_static(b"{}") } else { reply.body.clone() }, 0))
    }))
}

pub(super) fn delete(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    let body = members::body(asking, &["namespace", "ids", "filter", "deleteAll"])?;
    members::text(body, "namespace", &Place::Body)?;
    let everything = members::flag(body, "deleteAll", &Place::Body)?.unwrap_or(false);
    let place = Place::Body.member("ids");
    let ids = members::items(body, "ids", &Place::Body)?.unwrap_or_default();
    if let Some((at, id)) = ids.iter().enumerate().find(|(_, id)| id.as_str().is_none()) {
        return Err(place.item(at).wrong("a string", id));
    }
    let given = body.present("filter");
    if usize::from(everything) + usize::from(!ids.is_empty()) + usize::from(given.is_some()) != 1 {
        return Err(Place::Body.bad("has to have one of `ids`, `filter` and `deleteAll`"));
    }
    let mut scoped = body.clone();
    in_own_namespace(asking, &mut scoped);
    if !ids.is_empty() {
        own_only(asking, SHARED)?;
    } else if let Some(given) = given {
        filter::check(asking, given, &Place::Body.member("filter"))?;
        scoped.set("filter", clause::forced(asking.fence, Some(given)).unwrap_or_else(|| given.clone()));
    } else if asking.fence.prefix.is_none() {
        // All of a namespace that tenants share is all of the tenant's in it.
        scoped.remove("deleteAll");
        let own = clause::forced(asking.fence, None).ok_or_else(|| asking.refuse(SHARED))?;
        scoped.set("filter", own);
    }
    Ok(Chain::once(asking, sending(asking, &scoped), |reply| Ok((reply.body.clone(), 0))))
}
