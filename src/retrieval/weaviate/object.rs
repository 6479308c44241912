//! Records by their ids: read, listed, written and deleted.

use super::{class, graphql, id, is_in_bounds, look, outside, tenant, uuid};
use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        Fence, Reply, Sending,
        chain::{Chain, Then},
        endpoint::{Asking, Begun},
        members::{self, Place},
        wire,
    },
    tool_api::Request,
};
use bytes::Bytes;
use http::Method;

const RECORD: [&str; 6] = ["class", "id", "properties", "tenant", "vector", "vectors"];
const SHOWN: [&str; 10] = [
    "additional",
    "class",
    "creationTimeUnix",
    "id",
    "lastUpdateTimeUnix",
    "properties",
    "tenant",
    "vector",
    "vectorWeights",
    "vectors",
];
const CONSISTENCY: &str = "consistency_level";

/// The request for the record in the path, by its id in its one spelling.
pub(super) fn at_record(asking: &Asking<'_>) -> Result<Request<'static>, Refusal> {
    outside(asking, &["v1", "objects", class(asking)?, &id(asking)?])
}

/// A record that is not there: another's is not either.
fn missing() -> Then {
    Then::Fail(Reply { status: 404, body: Bytes::new() })
}

/// Sees to it that nothing else is asked to be shown than what is known.
fn check_include(asking: &Asking<'_>) -> Result<(), Refusal> {
    let asked = asking.request.parameter("include").unwrap_or_default();
    let is_known = |name: &str| ["", "vector", "classification"].contains(&name);
    if asked.split(',').all(is_known) {
        Ok(())
    } else {
        Err(asking.refuse("`include` asks for what is not known here, and nothing unknown is forwarded"))
    }
}

/// A record as the client sees it.
pub(super) fn shown(record: &mut Value<'_>) {
    if let Some(found) = record.members_mut() {
        found.retain(|(name, _)| SHOWN.contains(&name.as_ref()));
    }
}

pub(super) fn get(asking: &Asking<'_>) -> Begun {
    read(asking, |reply, record| Then::tell(reply.status, wire::written(record), 0))
}

pub(super) fn exists(asking: &Asking<'_>) -> Begun {
    read(asking, |_, _| Then::tell(204, Bytes::new(), 0))
}

fn read(asking: &Asking<'_>, tell: impl FnOnce(&Reply, &Value<'_>) -> Then + Send + 'static) -> Begun {
    members::parameters(asking, &["include", CONSISTENCY, "tenant"])?;
    members::no_body(asking)?;
    check_include(asking)?;
    let (fence, class, id) = (asking.fence.clone(), class(asking)?.to_owned(), id(asking)?);
    let request = Request { method: Method::GET, ..at_record(asking)? };
    let main = Then::send(Sending::of(&request), move |reply| {
        let mut record = wire::parse(&reply.body)?;
        if !is_record(&record, &class, Some(&id)) {
            return Err(wire::unreadable());
        }
        // What goes by an id has no filter: another's is what the client named, and no fault of the store's.
        if !is_in_bounds(&fence, &record) {
            return Ok(missing());
        }
        shown(&mut record);
        Ok(tell(&reply, &record))
    });
    Ok(Chain::new(asking, main).boxed())
}

/// Whether this is a record of the class, and the one with this id.
pub(super) fn is_record(record: &Value<'_>, class: &str, id: Option<&str>) -> bool {
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    let found = text("id").and_then(uuid);
    text("class") == Some(class) && found.is_some() && (id.is_none() || found.as_deref() == id)
}

/// Records page by page. No filter stands in it: only where each tenant has its own.
pub(super) fn list(asking: &Asking<'_>) -> Begun {
    let known = ["class", "limit", "offset", "after", "sort", "order", "include", CONSISTENCY, "tenant"];
    members::parameters(asking, &known)?;
    members::no_body(asking)?;
    check_include(asking)?;
    let class = class(asking)?.to_owned();
    if asking.fence.prefix.is_none() {
        return Err(asking.refuse(
            "it lists the records of all tenants, who share classes here: ask by GraphQL, `{ Get { … } }`",
        ));
    }
    let mut request = outside(asking, &["v1", "objects"])?;
    request.query.push(("class".to_owned(), class.clone()));
    let fence = asking.fence.clone();
    Ok(Chain::once(asking, Sending::of(&request), move |reply| {
        let mut answer = wire::parse(&reply.body)?;
        let members = answer.members_mut().ok_or_else(wire::unreadable)?;
        members.retain(|(name, _)| ["objects", "totalResults"].contains(&name.as_ref()));
        let mut foreign = 0;
        if let Some(records) = answer.get_mut("objects").filter(|records| !records.is_null()) {
            let records = records.items_mut().ok_or_else(wire::unreadable)?;
            let before = records.len();
            records.retain(|record| is_record(record, &class, None) && is_in_bounds(&fence, record));
            records.iter_mut().for_each(shown);
            foreign = before - records.len();
            let left = u64::try_from(records.len()).unwrap_or(u64::MAX);
            answer.set("totalResults", Value::integer(left));
        }
        Ok((wire::written(&answer), u64::try_from(foreign).unwrap_or(u64::MAX)))
    }))
}

/// A record that is written, stamped, and its id where it has one.
pub(super) fn stamped(
    asking: &Asking<'_>,
    record: &Value<'_>,
    place: &Place<'_>,
) -> Result<(Value<'static>, Option<String>), Refusal> {
    members::object(asking, record, place, &RECORD)?;
    if let Some(named) = members::text(record, "class", place)?
        && Some(named) != asking.collection
    {
        return Err(
            asking.refuse("one request is for one class, since rules decide on it; send a request for each")
        );
    }
    let mut record = record.clone().into_owned();
    record.set("class", Value::string(class(asking)?.to_owned()));
    let id = members::text(&record, "id", place)?
        .map(|text| uuid(text).ok_or_else(|| place.member("id").bad("is no UUID")));
    let id = id.transpose()?;
    match &id {
        Some(id) => record.set("id", Value::string(id.clone())),
        None => drop(record.remove("id")),
    }
    let own = tenant(asking, members::text(&record, "tenant", place)?)?;
    match own {
        Some(own) => record.set("tenant", Value::string(own.to_owned())),
        None => drop(record.remove("tenant")),
    }
    let there = place.member("properties");
    let mut properties = record.present("properties").cloned().unwrap_or_else(|| Value::Object(Vec::new()));
    check_properties(asking, &properties, &there)?;
    asking.fence.stamp(&mut properties);
    record.set("properties", properties);
    Ok((record, id))
}

/// Weaviate takes a capital letter in front of a property for a small one: `Tenant_id` would write over the stamp.
fn check_properties(asking: &Asking<'_>, properties: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    for (name, value) in properties.members().ok_or_else(|| place.wrong("an object", properties))? {
        if !graphql::is_name(name) {
            return Err(place.bad("has a member that is no name of a property: letters, digits and `_`"));
        }
        let field = asking.fence.field.as_deref();
        if field.is_some_and(|field| field.eq_ignore_ascii_case(name) && field != name) {
            return Err(asking.refuse("a property may be taken for the one that names the tenant"));
        }
        let is_beacon = |item: &Value<'_>| item.get("beacon").is_some() || item.get("href").is_some();
        if is_beacon(value) || value.items().is_some_and(|items| items.iter().any(is_beacon)) {
            return Err(asking.refuse(format!(
                "`{}` refers to other records: write references at `/references/PROPERTY`",
                place.member(name)
            )));
        }
    }
    Ok(())
}

/// What the client is told of a record that was written: itself.
pub(super) fn written(
    fence: &Fence,
    record: &mut Value<'_>,
    (class, id): (&str, Option<&str>),
) -> Result<(), Refusal> {
    if !is_record(record, class, id) || !is_in_bounds(fence, record) {
        return Err(wire::unreadable());
    }
    shown(record);
    Ok(())
}

pub(super) fn claims(asking: &Asking<'_>, ids: &[String]) -> Vec<String> {
    if asking.fence.field.is_none() {
        return Vec::new();
    }
    ids.iter().map(|id| format!("{}/{id}", asking.collection.unwrap_or_default())).collect()
}

pub(super) fn create(asking: &Asking<'_>) -> Begun {
    let body = asking.request.body.as_ref().unwrap_or(&Value::Null);
    let (record, id) = stamped(asking, body, &Place::Body)?;
    put(asking, outside(asking, &["v1", "objects"])?, &record, id)
}

/// Replaces a record, or changes it in parts.
pub(super) fn change(asking: &Asking<'_>) -> Begun {
    let body = asking.request.body.as_ref().unwrap_or(&Value::Null);
    let (mut record, given) = stamped(asking, body, &Place::Body)?;
    let id = id(asking)?;
    if given.is_some_and(|given| given != id) {
        return Err(Place::Body.member("id").bad("is not the one in the path"));
    }
    record.set("id", Value::string(id.clone()));
    put(asking, outside(asking, &["v1", "objects", class(asking)?, &id])?, &record, Some(id))
}

fn put(asking: &Asking<'_>, mut request: Request<'static>, record: &Value<'_>, id: Option<String>) -> Begun {
    members::parameters(asking, &[CONSISTENCY])?;
    // It stands in the record.
    request.query.retain(|(name, _)| name != "tenant");
    let sending = Sending { body: wire::written(record), ..Sending::of(&request) }.only(id.is_none());
    let (fence, class, ids) = (asking.fence.clone(), class(asking)?.to_owned(), Vec::from_iter(id.clone()));
    let claims = claims(asking, &ids);
    let main = Then::send(sending, move |reply| {
        if reply.body.is_empty() {
            return Ok(Then::tell(reply.status, Bytes::new(), 0));
        }
        let mut record = wire::parse(&reply.body)?;
        written(&fence, &mut record, (&class, id.as_deref()))?;
        Ok(Then::tell(reply.status, wire::written(&record), 0))
    });
    let looked = look::exactly(asking, look::none_foreign(asking, ids, main)?)?;
    Ok(Chain::new(asking, looked).claiming(claims).boxed())
}

pub(super) fn delete(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[CONSISTENCY, "tenant"])?;
    members::no_body(asking)?;
    let ids = vec![id(asking)?];
    let claims = claims(asking, &ids);
    let main =
        Then::send(Sending::of(&at_record(asking)?), |reply| Ok(Then::tell(reply.status, Bytes::new(), 0)));
    Ok(Chain::new(asking, look::none_foreign(asking, ids, main)?).claiming(claims).boxed())
}
