//! References from one record to others: both are the tenant's own.

use super::{class, graphql, id, look, object, uuid};
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
use std::collections::BTreeMap;

/// More records are not referred to in one request.
const RECORDS_MAX: usize = 1000;
/// Nor of more classes: each is asked by itself.
const CLASSES_MAX: usize = 4;

/// Adds a reference, takes one away, or writes all of a property anew.
pub(super) fn write(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &["consistency_level", "tenant"])?;
    let property = asking.place("property");
    if !graphql::is_name(property)
        || asking.fence.field.as_deref().is_some_and(|field| field.eq_ignore_ascii_case(property))
    {
        return Err(asking.refuse("it is no property that refers to records"));
    }
    let mut body = asking.request.body.clone().unwrap_or_default().into_owned();
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    match &mut body {
        Value::Array(items) if items.len() <= RECORDS_MAX => {
            for (at, item) in items.iter_mut().enumerate() {
                check(asking, item, &Place::Body.item(at), &mut named)?;
            }
        }
        Value::Array(_) => return Err(Place::Body.bad("refers to more than 1,000 records")),
        one => check(asking, one, &Place::Body, &mut named)?,
    }
    if named.len() > CLASSES_MAX {
        return Err(Place::Body.bad("refers to records of more than 4 classes"));
    }
    let mut request = object::at_record(asking)?;
    request.path.extend(["references".to_owned(), property.to_owned()]);
    // A reference that is added twice is there twice.
    let adds = asking.request.method == Method::POST;
    let sending = Sending { body: wire::written(&body), ..Sending::of(&request) }.only(adds);
    let mut then = Then::send(sending, |reply| Ok(Then::tell(reply.status, Bytes::new(), 0)));
    if asking.fence.field.is_some() {
        for (class, ids) in named {
            then = own(asking, class, ids, then)?;
        }
    }
    let ids = vec![id(asking)?];
    let claims = object::claims(asking, &ids);
    Ok(Chain::new(asking, look::none_foreign(asking, ids, then)?).claiming(claims).boxed())
}

/// One reference, and which record it names.
fn check(
    asking: &Asking<'_>,
    reference: &mut Value<'_>,
    place: &Place<'_>,
    named: &mut BTreeMap<String, Vec<String>>,
) -> Result<(), Refusal> {
    members::object(asking, reference, place, &["beacon"])?;
    let here = place.member("beacon");
    let beacon = members::text(reference, "beacon", place)?
        .and_then(|text| text.strip_prefix("weaviate://localhost/"));
    let found = beacon.and_then(|beacon| beacon.split_once('/'));
    let found = found
        .filter(|(class, _)| class.starts_with(|c: char| c.is_ascii_uppercase()) && graphql::is_name(class));
    let (class, id) = found
        .and_then(|(class, id)| Some((class, uuid(id)?)))
        .ok_or_else(|| here.bad("is not `weaviate://localhost/CLASS/ID`"))?;
    let beacon = format!("weaviate://localhost/{class}/{id}");
    let ids = named.entry(class.to_owned()).or_default();
    if !ids.contains(&id) {
        ids.push(id);
    }
    reference.set("beacon", Value::string(beacon));
    Ok(())
}

/// Goes on once it is known that these records are there and the tenant's.
fn own(asking: &Asking<'_>, named: String, ids: Vec<String>, next: Then) -> Result<Then, Refusal> {
    class(asking)?;
    let fence = asking.fence.clone();
    Ok(Then::send(look::at_ids(&fence, &named, &ids)?, move |reply| {
        match look::seen(&fence, (&named, &ids), &reply)? {
            Err(reply) => Ok(Then::Fail(reply)),
            Ok(seen) if ids.iter().all(|id| seen.get(id) == Some(&true)) => Ok(next),
            Ok(_) => Ok(Then::Fail(look::failed(422, "there is no record of this id to refer to"))),
        }
    }))
}
