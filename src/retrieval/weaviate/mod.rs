//! Weaviate's REST API and its GraphQL. Source: its OpenAPI description, its Python client 3.26 and its TypeScript client 2.
//!
//! Tenants share classes, and a property of each record holds its tenant's name; or each has its own of Weaviate's tenants
//! in every class (`scope: collection`), named as it is. A question in GraphQL is read, asks one thing of one class, and is
//! written anew. Weaviate writes without conditions: ids that a write names are looked at first, and claimed meanwhile.
//!
//! A property's tokens decide what `Equal` finds: only where it is one token is a name found exactly. Where records are
//! read, each is verified. Where none is shown (counts, deletes by filter), and before a record is stamped, the class is
//! looked at first.

mod batch;
mod filter;
mod graphql;
mod look;
mod object;
mod print;
mod question;
mod reference;
mod schema;

pub(super) use question::SEARCHES;

use super::{Endpoint, Fence, Operation, Verdict, endpoint::Asking, members::Place};
use crate::{
    json::Value,
    refusal::Refusal,
    tool_api::{self, Request},
};
use Operation::{Count, Delete, Describe, Get, Manage, Query, Write};
use Verdict::{Refuses, Serves};

const ALIAS: &str = "rules speak of classes by their names, and an alias is another one";
const CLUSTER: &str = "it is of the cluster, which all tenants share";
const NO_CLASS: &str = "an id is of a class: name it, `/v1/objects/CLASS/ID`";
const SHARDS: &str = "it tells of the records of all tenants";
const USERS: &str = "who may use the store, the gateway's configuration says";

/// Paths of a class, of a record and of its references.
macro_rules! class {
    ($rest:literal) => {
        concat!("/v1/schema/{class}", $rest)
    };
}
macro_rules! record {
    ($rest:literal) => {
        concat!("/v1/objects/{class}/{id}", $rest)
    };
}

/// The API, with what becomes of each endpoint. A question in GraphQL that searches is a `query`; one without a search a
/// `get`, and one that counts a `count`: [`operation`].
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new("GET", "/v1/.well-known/live", Serves(Describe, schema::health)),
    Endpoint::new("GET", "/v1/.well-known/ready", Serves(Describe, schema::health)),
    Endpoint::new("GET", "/v1/.well-known/openid-configuration", Serves(Describe, schema::login)),
    Endpoint::new("GET", "/v1/meta", Serves(Describe, schema::meta)),
    Endpoint::new("POST", "/v1/graphql", Serves(Query, question::ask)),
    Endpoint::new("GET", "/v1/objects", Serves(Get, object::list)),
    Endpoint::new("GET", record!(""), Serves(Get, object::get)),
    Endpoint::new("HEAD", record!(""), Serves(Get, object::exists)),
    Endpoint::new("POST", "/v1/objects", Serves(Write, object::create)),
    Endpoint::new("PUT", record!(""), Serves(Write, object::change)),
    Endpoint::new("PATCH", record!(""), Serves(Write, object::change)),
    Endpoint::new("POST", record!("/references/{property}"), Serves(Write, reference::write)),
    Endpoint::new("PUT", record!("/references/{property}"), Serves(Write, reference::write)),
    Endpoint::new("DELETE", record!("/references/{property}"), Serves(Write, reference::write)),
    Endpoint::new("POST", "/v1/batch/objects", Serves(Write, batch::write)),
    Endpoint::new("DELETE", record!(""), Serves(Delete, object::delete)),
    Endpoint::new("DELETE", "/v1/batch/objects", Serves(Delete, batch::delete)),
    Endpoint::new("GET", "/v1/schema", Serves(Describe, schema::list)),
    Endpoint::new("GET", class!(""), Serves(Describe, schema::describe)),
    Endpoint::new("GET", class!("/tenants"), Serves(Describe, schema::tenants)),
    Endpoint::new("GET", class!("/tenants/{tenant}"), Serves(Describe, schema::tenant)),
    Endpoint::new("HEAD", class!("/tenants/{tenant}"), Serves(Describe, schema::tenant)),
    Endpoint::new("POST", "/v1/schema", Serves(Manage, schema::create)),
    Endpoint::new("PUT", class!(""), Serves(Manage, schema::update)),
    Endpoint::new("DELETE", class!(""), Serves(Manage, schema::drop_class)),
    Endpoint::new("POST", class!("/properties"), Serves(Manage, schema::add_property)),
    Endpoint::new("POST", class!("/tenants"), Serves(Manage, schema::change_tenants)),
    Endpoint::new("PUT", class!("/tenants"), Serves(Manage, schema::change_tenants)),
    Endpoint::new("DELETE", class!("/tenants"), Serves(Manage, schema::drop_tenants)),
    Endpoint::new("GET", "/v1", Refuses("it tells nothing that this table does not")),
    Endpoint::new(
        "POST",
        "/v1/graphql/batch",
        Refuses("rules decide on one question: send a request for each"),
    ),
    Endpoint::new("POST", "/v1/objects/validate", Refuses("a record is validated where it is written")),
    Endpoint::new("GET", "/v1/objects/{id}", Refuses(NO_CLASS)),
    Endpoint::new("HEAD", "/v1/objects/{id}", Refuses(NO_CLASS)),
    Endpoint::new("PUT", "/v1/objects/{id}", Refuses(NO_CLASS)),
    Endpoint::new("PATCH", "/v1/objects/{id}", Refuses(NO_CLASS)),
    Endpoint::new("DELETE", "/v1/objects/{id}", Refuses(NO_CLASS)),
    Endpoint::new("POST", "/v1/objects/{id}/references/{property}", Refuses(NO_CLASS)),
    Endpoint::new("PUT", "/v1/objects/{id}/references/{property}", Refuses(NO_CLASS)),
    Endpoint::new("DELETE", "/v1/objects/{id}/references/{property}", Refuses(NO_CLASS)),
    Endpoint::new("POST", "/v1/batch/references", Refuses("write references one by one, at their records")),
    Endpoint::new("GET", class!("/shards"), Refuses(SHARDS)),
    Endpoint::new("PUT", class!("/shards/{shard}"), Refuses(CLUSTER)),
    Endpoint::new("GET", "/v1/nodes", Refuses(SHARDS)),
    Endpoint::new("GET", "/v1/nodes/{class}", Refuses(SHARDS)),
    Endpoint::new("GET", "/v1/cluster/statistics", Refuses(CLUSTER)),
    Endpoint::new("GET", "/v1/tasks", Refuses(CLUSTER)),
    Endpoint::new("POST", "/v1/replication/replicate", Refuses(CLUSTER)),
    Endpoint::new("GET", "/v1/replication/sharding-state", Refuses(SHARDS)),
    Endpoint::new("POST", "/v1/backups/{backend}", Refuses("a backup holds the records of all tenants")),
    Endpoint::new("GET", "/v1/backups/{backend}/{id}", Refuses("a backup holds the records of all tenants")),
    Endpoint::new(
        "POST",
        "/v1/backups/{backend}/{id}/restore",
        Refuses("a backup holds the records of all tenants"),
    ),
    Endpoint::new("POST", "/v1/export/{backend}", Refuses("an export holds the records of all tenants")),
    Endpoint::new("POST", "/v1/classifications", Refuses("it reads and changes the records of all tenants")),
    Endpoint::new(
        "GET",
        "/v1/classifications/{id}",
        Refuses("it reads and changes the records of all tenants"),
    ),
    Endpoint::new("GET", "/v1/aliases", Refuses(ALIAS)),
    Endpoint::new("POST", "/v1/aliases", Refuses(ALIAS)),
    Endpoint::new("GET", "/v1/aliases/{alias}", Refuses(ALIAS)),
    Endpoint::new("PUT", "/v1/aliases/{alias}", Refuses(ALIAS)),
    Endpoint::new("DELETE", "/v1/aliases/{alias}", Refuses(ALIAS)),
    Endpoint::new("GET", "/v1/authz/roles", Refuses(USERS)),
    Endpoint::new("POST", "/v1/authz/roles", Refuses(USERS)),
    Endpoint::new("GET", "/v1/users/own-info", Refuses(USERS)),
    Endpoint::new("POST", "/v1/users/db/{user}", Refuses(USERS)),
    Endpoint::new("POST", "/v1/tokenize", Refuses("it is asked at no record")),
];

/// Whether a property can name tenants: by its one spelling, in which Weaviate keeps it.
pub fn is_property(name: &str) -> bool {
    graphql::is_name(name) && name.starts_with(|c: char| c.is_ascii_lowercase()) && name != "id"
}

/// Whether the body of a request is a question in GraphQL.
pub(super) fn is_question(path: &str) -> bool {
    // However the letters of the path are written: what is not plain is taken for one, and then is one or is refused.
    let path = path.trim_start_matches('/');
    path == "v1/graphql"
        || path.starts_with("v1/") && path.contains('%') && !path.trim_start_matches("v1/").contains('/')
}

/// A question as a form: see [`graphql`].
pub(super) fn question<'v>(body: &Value<'v>) -> Result<Value<'v>, Refusal> {
    let found = body.members().ok_or_else(|| Place::Body.wrong("an object", body))?;
    for (name, value) in found {
        let is_empty = value.is_null() || value.members().is_some_and(<[_]>::is_empty);
        match name.as_ref() {
            "query" | "operationName" => {}
            "variables" if is_empty => {}
            "variables" => {
                return Err(Place::Body.member(name).bad("is not read: write the values into the query"));
            }
            _ => return Err(Place::Body.bad("has a member that is not known here: send `query` alone")),
        }
    }
    let query = found.iter().find(|(name, _)| name == "query").and_then(|(_, query)| query.as_str());
    graphql::parse(query.ok_or_else(|| Place::Body.member("query").bad("is no text"))?)
}

/// What a request does, where only its body tells.
pub(super) fn operation(request: &Request<'_>) -> Option<Operation> {
    let form = request.body.as_ref().filter(|_| request.path.last().is_some_and(|last| last == "graphql"))?;
    let searches = || SEARCHES.iter().any(|search| form.present(search).is_some());
    match form.get("root")?.as_str()? {
        "Aggregate" => Some(Count),
        "Get" if !searches() => Some(Get),
        _ => None,
    }
}

/// The class that a request is for.
pub(super) fn named(places: &[(&'static str, String)], request: &Request<'_>) -> Option<String> {
    if let Some((_, class)) = places.iter().find(|(name, _)| *name == "class") {
        return Some(class.clone());
    }
    let body = request.body.as_ref();
    let in_body = || body?.get("class").or_else(|| body?.get("match")?.get("class"))?.as_str();
    let first = || body?.get("objects")?.items()?.first()?.get("class")?.as_str();
    in_body().or_else(first).or_else(|| request.parameter("class")).map(ToOwned::to_owned)
}

/// The class, by its one spelling: Weaviate takes a small letter in front for the same.
fn class<'a>(asking: &Asking<'a>) -> Result<&'a str, Refusal> {
    let is_class = |name: &&str| {
        name.starts_with(|c: char| c.is_ascii_uppercase()) && name.len() <= 255 && graphql::is_name(name)
    };
    asking
        .collection
        .filter(is_class)
        .ok_or_else(|| asking.refuse("it names one class: a capital letter, then letters, digits and `_`"))
}

/// An id in its one spelling. Weaviate takes others for the same.
fn uuid(text: &str) -> Option<String> {
    let fits = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    (text.len() == 36 && text.bytes().enumerate().all(fits)).then(|| text.to_ascii_lowercase())
}

/// The id in a path, in its one spelling.
fn id(asking: &Asking<'_>) -> Result<String, Refusal> {
    let place = Place::Body.member("id");
    uuid(asking.place("id")).ok_or_else(|| place.bad("is no UUID in groups of 8, 4, 4, 4 and 12 digits"))
}

/// Weaviate's own tenant that a request is for; a client names its own or none.
fn tenant<'f>(asking: &Asking<'f>, given: Option<&str>) -> Result<Option<&'f str>, Refusal> {
    let own = asking.fence.prefix.as_deref();
    match given {
        None => Ok(own),
        Some(given) if Some(given) == own => Ok(own),
        Some(_) if own.is_some() => {
            Err(asking.refuse("of Weaviate's tenants you have one: leave `tenant` out"))
        }
        Some(_) => Err(asking.refuse(
            "tenants share classes here, and Weaviate's own tenants are not read: leave `tenant` out",
        )),
    }
}

/// The request with these as its path, in the bounds of the tenant's own of Weaviate's tenants.
fn outside(asking: &Asking<'_>, path: &[&str]) -> Result<Request<'static>, Refusal> {
    let own = tenant(asking, asking.request.parameter("tenant"))?;
    let mut query = asking.request.query.clone();
    query.retain(|(name, _)| name != "tenant" && name != "class");
    query.extend(own.map(|own| ("tenant".to_owned(), own.to_owned())));
    let path = path.iter().map(|part| (*part).to_owned()).collect();
    Ok(Request { method: asking.request.method.clone(), path, query, body: None })
}

/// The path and query of a class, or of what is of it.
fn target(path: &[&str]) -> String {
    let mut target = String::new();
    for segment in path {
        target.push('/');
        tool_api::write_segment(segment, &mut target);
    }
    target
}

/// Whether a record's own of Weaviate's tenants is the tenant's, as far as it shows one.
fn is_in_bounds(fence: &Fence, record: &Value<'_>) -> bool {
    let shown = record.present("tenant").and_then(Value::as_str).filter(|shown| !shown.is_empty());
    fence.owns(record.get("properties")) && (shown.is_none() || shown == fence.prefix.as_deref())
}

/// Reads a question as a store in the tests does.
#[cfg(test)]
pub(super) fn parse_for_test(text: &str) -> Result<Value<'static>, Refusal> {
    graphql::parse(text)
}

/// Writes a question, for the tests.
#[cfg(test)]
pub(super) fn print_for_test(form: &Value<'_>) -> Option<String> {
    print::print(form)
}
