//! What Chroma is asked: records by similarity, by id and page by page, how many there are, and its collections.

use super::{
    beside, filter,
    records::{self, Lists},
};
use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        Conversation, Fence, Sending,
        chain::{Chain, Then},
        clause,
        endpoint::{Asking, Begun},
        fence::NOBODY,
        members::{self, Place},
        talk::Once,
        wire::{self, written},
    },
};
use bytes::Bytes;
use http::Method;

const GET: &[&str] = &["ids", "where", "where_document", "limit", "offset", "include"];
const QUERY: &[&str] = &["ids", "where", "where_document", "n_results", "query_embeddings", "include"];
const INCLUDES: [&str; 5] = ["distances", "documents", "embeddings", "metadatas", "uris"];

/// What tells nothing of records.
pub(super) fn plain(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &["limit", "offset"])?;
    members::no_body(asking)?;
    Ok(Once::plain(Sending::of(asking.request)))
}

/// What reaches beyond collections.
pub(super) fn manage(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    if asking.fence.prefix.is_some() {
        return Err(asking.refuse("it reaches beyond your own collections"));
    }
    if asking.request.method == Method::DELETE {
        members::no_body(asking)?;
    } else {
        let body = members::body(asking, &["name", "resource_name"])?;
        members::text(body, "name", &Place::Body)?;
    }
    Ok(Once::writing(Sending::of(asking.request)))
}

/// Lists collections. Where a tenant has its own, the others are not there.
pub(super) fn collections(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &["limit", "offset"])?;
    members::no_body(asking)?;
    let mut request = asking.request.clone();
    let (mut offset, mut limit) = (0, None);
    if asking.fence.prefix.is_some() {
        // Pages are counted in the tenant's own.
        let page = |name: &str| {
            let text = asking.request.parameter(name);
            let parsed = text.map(|text| {
                text.parse::<usize>().map_err(|_| Place::Body.member(name).bad("is not a whole number"))
            });
            parsed.transpose()
        };
        (offset, limit) = (page("offset")?.unwrap_or(0), page("limit")?);
        request.query.clear();
    }
    let fence = asking.fence.clone();
    Ok(Once::retold(Sending::of(&request), move |body| {
        let answer = wire::parse(body)?;
        let all = answer.items().ok_or_else(wire::unreadable)?;
        let own = all.iter().filter_map(|collection| described(&fence, collection)).skip(offset);
        Ok((written(&Value::Array(own.take(limit.unwrap_or(usize::MAX)).collect())), 0))
    }))
}

/// How many collections there are for the tenant.
pub(super) fn collections_count(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    members::no_body(asking)?;
    if asking.fence.prefix.is_none() {
        return plain(asking);
    }
    let mut request = asking.request.clone();
    if let Some(last) = request.path.last_mut() {
        "collections".clone_into(last);
    }
    let fence = asking.fence.clone();
    Ok(Once::retold(Sending::of(&request), move |body| {
        let answer = wire::parse(body)?;
        let all = answer.items().ok_or_else(wire::unreadable)?;
        Ok((all.iter().filter_map(|collection| described(&fence, collection)).count().to_string().into(), 0))
    }))
}

pub(super) fn by_name(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    members::no_body(asking)?;
    Ok(Once::retold(Sending::of(&named(asking)), describe(asking.fence)))
}

pub(super) fn by_id(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    members::no_body(asking)?;
    Ok(Once::retold(Sending::of(asking.request), describe(asking.fence)))
}

pub(super) fn drop_collection(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    members::no_body(asking)?;
    Ok(Once::writing(Sending::of(&named(asking))))
}

pub(super) fn create(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    let known = ["name", "metadata", "configuration", "schema", "get_or_create"];
    renamed(asking, &known, "name")
}

pub(super) fn modify(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    renamed(asking, &["new_name", "new_metadata", "new_configuration"], "new_name")
}

pub(super) fn fork(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    renamed(asking, &["new_name"], "new_name")
}

/// A request whose body names a collection.
fn renamed(asking: &Asking<'_>, known: &[&str], name: &str) -> Begun {
    let body = members::body(asking, known)?;
    let mut request = asking.request.clone();
    if let Some(inner) = members::text(body, name, &Place::Body)?
        && let Some(body) = &mut request.body
    {
        body.set(name, Value::string(asking.fence.outer(inner)));
    }
    Ok(Once::writing_retold(Sending::of(&request), describe(asking.fence)))
}

/// The request with the store's name of the collection at the end of its path.
fn named<'v>(asking: &Asking<'v>) -> crate::tool_api::Request<'v> {
    let mut request = asking.request.clone();
    if let Some(last) = request.path.last_mut() {
        *last = asking.fence.outer(last);
    }
    request
}

/// A collection, as the client sees it; `None` for one that it does not.
fn described<'v>(fence: &Fence, collection: &Value<'v>) -> Option<Value<'v>> {
    let mut collection = collection.clone();
    if let Some(name) = collection.get("name") {
        let inner = fence.inner(name.as_str()?)?.to_owned();
        collection.set("name", Value::string(inner));
    }
    // It counts what all tenants wrote.
    if fence.field.is_some() && collection.get("log_position").is_some() {
        collection.set("log_position", Value::integer(0));
    }
    Some(collection)
}

fn describe(fence: &Fence) -> impl Fn(&Bytes) -> Result<(Bytes, u64), Refusal> + Send + 'static {
    let fence = fence.clone();
    move |body| {
        let answer = wire::parse(body)?;
        Ok((written(&described(&fence, &answer).ok_or_else(wire::unreadable)?), 0))
    }
}

/// Checks what a body selects records by, and forces the tenant's clause into it.
pub(super) fn select<'v>(asking: &Asking<'v>, body: &'v Value<'v>) -> Result<Value<'v>, Refusal> {
    let filter = body.present("where");
    if let Some(filter) = filter {
        filter::check(asking, filter, &Place::Body.member("where"))?;
    }
    if let Some(filter) = body.present("where_document") {
        filter::check_document(filter, &Place::Body.member("where_document"))?;
    }
    ids(body)?;
    for name in ["limit", "offset", "n_results"] {
        members::count(body, name, &Place::Body)?;
    }
    let mut selected = body.clone();
    if let Some(forced) = clause::forced(asking.fence, filter) {
        selected.set("where", forced);
    }
    Ok(selected)
}

/// The ids that a body names.
pub(super) fn ids<'v>(body: &'v Value<'_>) -> Result<Option<Vec<&'v str>>, Refusal> {
    let place = Place::Body.member("ids");
    let items = members::items(body, "ids", &Place::Body)?;
    let each = |items: &'v [Value<'_>]| {
        let texts = items.iter().enumerate();
        texts.map(|(at, id)| id.as_str().ok_or_else(|| place.item(at).wrong("a string", id))).collect()
    };
    items.map(each).transpose()
}

/// Sees to it that metadata comes back. Whether the client asked for it.
fn include(body: &mut Value<'_>, otherwise: &[&'static str]) -> Result<bool, Refusal> {
    let place = Place::Body.member("include");
    let mut wanted: Vec<Value<'_>> = match members::items(body, "include", &Place::Body)? {
        Some(items) => items.to_vec(),
        None => otherwise.iter().map(|name| Value::string(*name)).collect(),
    };
    for (at, name) in wanted.iter().enumerate() {
        if !name.as_str().is_some_and(|name| INCLUDES.contains(&name)) {
            return Err(place
                .item(at)
                .bad("is not one of distances, documents, embeddings, metadatas and uris"));
        }
    }
    let shows = wanted.iter().any(|name| name.as_str() == Some("metadatas"));
    if !shows {
        wanted.push(Value::string("metadatas"));
    }
    body.set("include", Value::Array(wanted.into_iter().map(Value::into_owned).collect()));
    Ok(shows)
}

pub(super) fn get(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    let body = members::body(asking, GET)?;
    let mut selected = select(asking, body)?;
    let shows = include(&mut selected, &["documents", "metadatas"])?;
    Ok(read(asking, "get", &selected, (Lists::One, shows)))
}

pub(super) fn query(asking: &Asking<'_>) -> Begun {
    // `limit` stands in the query, too, where rules could take it for `n_results`.
    members::parameters(asking, &[])?;
    let body = members::body(asking, QUERY)?;
    let mut selected = select(asking, body)?;
    let shows = include(&mut selected, &["documents", "metadatas", "distances"])?;
    Ok(read(asking, "query", &selected, (Lists::EachQuery, shows)))
}

fn read(
    asking: &Asking<'_>,
    part: &str,
    body: &Value<'_>,
    (lists, shows): (Lists, bool),
) -> Box<dyn Conversation> {
    let sending = beside(asking, part, body);
    let fence = asking.fence.clone();
    Once::retold(sending, move |body| {
        let verified = records::verify(&fence, lists, shows, body)?;
        Ok((verified.body, verified.foreign))
    })
}

/// Chroma counts all records: the tenant's own are listed by id. First it is asked for those of nobody: a store that
/// finds any does not keep to filters.
pub(super) fn count(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &["read_level"])?;
    members::no_body(asking)?;
    let Some(field) = asking.fence.field.as_deref() else {
        return Ok(Once::plain(Sending::of(asking.request)));
    };
    let listing = |tenant: &str| {
        Value::object([("where", clause::equals(field, tenant)), ("include", Value::Array(Vec::new()))])
    };
    let mut canary = listing(NOBODY);
    canary.set("limit", Value::integer(1));
    let own = listing(&asking.fence.tenant);
    let (canary, own) = (beside(asking, "get", &canary), beside(asking, "get", &own));
    let look = Then::send(canary, move |reply| match found(&reply.body)? {
        0 => Ok(Then::send(own, |reply| Ok(Then::tell(200, found(&reply.body)?.to_string().into(), 0)))),
        alien => Ok(Then::IgnoresFilters(alien)),
    });
    Ok(Chain::new(asking, look).boxed())
}

/// How many records an answer lists.
fn found(body: &[u8]) -> Result<u64, Refusal> {
    let answer = wire::parse(body)?;
    let ids = answer.get("ids").and_then(Value::items).ok_or_else(wire::unreadable)?;
    Ok(u64::try_from(ids.len()).unwrap_or(u64::MAX))
}
