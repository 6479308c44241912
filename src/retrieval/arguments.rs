//! A request's arguments for the rules, under the same names for every store, and back.
//!
//! What a request names or asks for is an argument: parameters of the path and the query, members of the body. What it
//! carries is none (vectors, documents, payloads): it is long, and it is the tenant's own.

use super::{Operation, Store, endpoint::Asking, weaviate};
use crate::{
    json::{self, Value},
    tool_api::Request,
};
use http::Method;
use std::borrow::Cow;

/// How a store's names become those of arguments.
struct Names {
    /// The store's own and the argument's.
    renamed: &'static [(&'static str, &'static str)],
    /// Members of bodies that are no arguments.
    contents: &'static [&'static str],
}

const COLLECTION: &str = "collection";
/// Parameters of paths that stand for a collection.
const COLLECTION_PLACES: [&str; 7] =
    ["class", "index", "collection", "collection_id", "collection_name", "name", "namespace"];

static WEAVIATE: Names = Names {
    renamed: &[
        ("class", COLLECTION),
        ("where", "filter"),
        ("id", "ids"),
        // Weaviate's own tenants are not the gateway's.
        ("tenant", "store_tenant"),
    ],
    contents: &["beacon", "fields", "objects", "properties", "root", "vector", "vectors"],
};

fn names(store: Store) -> &'static Names {
    match store {
        Store::Chroma => &Names {
            renamed: &[
                ("where", "filter"),
                ("n_results", "limit"),
                // Chroma's own tenants are not the gateway's.
                ("tenant", "store_tenant"),
                ("tenant_name", "store_tenant"),
            ],
            contents: &["embeddings", "metadatas", "documents", "uris", "query_embeddings"],
        },
        Store::Opensearch => &Names {
            renamed: &[("query", "filter"), ("size", "limit"), ("id", "ids"), ("index", COLLECTION)],
            contents: &["docs", "knn", "pit", "rescore", "retriever", "scroll_id", "search_after"],
        },
        Store::Pinecone => &Names {
            renamed: &[("namespace", COLLECTION), ("topK", "limit"), ("top_k", "limit"), ("id", "ids")],
            contents: &[
                "inputs",
                "setMetadata",
                "sparseValues",
                "sparseVector",
                "values",
                "vector",
                "vectors",
            ],
        },
        Store::Qdrant => &Names {
            renamed: &[("id", "ids"), ("points", "ids")],
            contents: &[
                "batch",
                "context",
                "negative",
                "operations",
                "payload",
                "points",
                "positive",
                "prefetch",
                "query",
                "searches",
                "target",
                "vector",
                "vectors",
            ],
        },
        Store::Weaviate => &WEAVIATE,
    }
}

impl Names {
    fn argument<'n>(&self, name: &'n str) -> Cow<'n, str> {
        let renamed = self.renamed.iter().find(|(own, _)| *own == name);
        renamed.map_or(Cow::Borrowed(name), |(_, argument)| Cow::Owned((*argument).to_owned()))
    }

    fn own<'n>(&self, argument: &'n str, is_there: impl Fn(&str) -> bool) -> &'n str {
        if is_there(argument) {
            return argument;
        }
        let mut named = self.renamed.iter().filter(|(_, known)| *known == argument).map(|(own, _)| *own);
        let first = named.clone().next();
        named.find(|own| is_there(own)).or(first).unwrap_or(argument)
    }
}

/// The collection that a path names.
pub(super) fn collection<'p>(places: &'p [(&'static str, String)]) -> Option<&'p str> {
    let mut named = places.iter().filter(|(name, _)| COLLECTION_PLACES.contains(name));
    named.next().map(|(_, value)| value.as_str())
}

/// What rules see of a request.
pub(super) fn of(store: Store, asking: &Asking<'_>) -> Value<'static> {
    let names = names(store);
    let mut members: Vec<(Cow<'static, str>, Value<'static>)> = Vec::new();
    let mut add = |name: &str, value: Value<'static>| {
        if !members.iter().any(|(known, _)| known == name) {
            members.push((Cow::Owned(name.to_owned()), value));
        }
    };
    if let Some(collection) = asking.collection {
        add(COLLECTION, Value::string(collection.to_owned()));
    }
    for (name, value) in asking.places.iter().filter(|(name, _)| !COLLECTION_PLACES.contains(name)) {
        let value = Value::string(value.clone());
        let is_id = matches!(store, Store::Opensearch | Store::Qdrant | Store::Weaviate) && *name == "id";
        add(&names.argument(name), if is_id { Value::Array(vec![value]) } else { value });
    }
    for (name, value) in &asking.request.query {
        let value = if store.lists().contains(&name.as_str()) {
            let each = asking.request.query.iter().filter(|(known, _)| known == name);
            Value::Array(each.map(|(_, value)| Value::string(value.clone())).collect())
        } else {
            typed(value)
        };
        add(&names.argument(name), value);
    }
    // The ids of what is written are as many as the records.
    let carries_ids = asking.operation == Operation::Write;
    let body = asking.request.body.as_ref().filter(|_| !is_record(store, asking.request));
    let inner = body.and_then(|body| body.get(nested(store, body)?)).and_then(Value::members);
    let outer = body.and_then(Value::members).unwrap_or_default();
    let outer = outer.iter().filter(|(name, _)| {
        inner.is_none() || Some(name.as_ref()) != body.and_then(|body| nested(store, body))
    });
    for (name, value) in inner.unwrap_or_default().iter().chain(outer) {
        let is_carried = match name.as_ref() {
            "ids" => carries_ids,
            "points" if asking.operation == Operation::Delete => false,
            name => {
                let searches = store == Store::Weaviate && weaviate::SEARCHES.contains(&name);
                searches || names.contents.contains(&name)
            }
        };
        if !is_carried && !value.is_null() && value.vector().is_none() {
            let argument =
                if is_name_of_collection(asking, name) { COLLECTION.into() } else { names.argument(name) };
            let value = value.clone().into_owned();
            // One id is a list of one, too.
            let is_id = argument == "ids" && value.as_str().is_some();
            add(&argument, if is_id { Value::Array(vec![value]) } else { value });
        }
    }
    Value::Object(members)
}

/// Whether a member names the collection that is made.
fn is_name_of_collection(asking: &Asking<'_>, member: &str) -> bool {
    member == "name" && makes_collection(asking.request)
}

/// Whether the body of a request is a record, or lines of them.
fn is_record(store: Store, request: &Request<'_>) -> bool {
    let writes = |part: &String| ["_bulk", "_create", "_doc", "_update"].contains(&part.as_str());
    store == Store::Opensearch && request.path.iter().take(2).any(writes)
}

fn makes_collection(request: &Request<'_>) -> bool {
    request.path.last().is_some_and(|last| ["collections", "namespaces"].contains(&last.as_str()))
}

/// The member of a body in which it says what is asked for, where that is not the body itself.
fn nested(store: Store, body: &Value<'_>) -> Option<&'static str> {
    let within = match store {
        Store::Pinecone => "query",
        Store::Weaviate => "match",
        Store::Chroma | Store::Opensearch | Store::Qdrant => return None,
    };
    body.get(within).is_some_and(|inner| inner.members().is_some()).then_some(within)
}

/// Whole numbers and truths of a query are what they look like: `limit=10` is 10.
fn typed(text: &str) -> Value<'static> {
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ if text.len() < 16 && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            json::parse(text.as_bytes(), 1).map_or_else(|_| Value::string(text.to_owned()), Value::into_owned)
        }
        _ => Value::string(text.to_owned()),
    }
}

/// Sets a member of the body, or of what of it says what is asked for.
fn set_in_body(
    store: Store,
    request: &mut Request<'_>,
    (own, value): (&str, &Value<'_>),
) -> Result<(), &'static str> {
    let within = request.body.as_ref().and_then(|body| nested(store, body));
    if is_record(store, request) {
        return Err("a rule sets what cannot stand in a record");
    }
    let searches_beside =
        |body: &Value<'_>| ["knn", "retriever"].iter().any(|name| body.present(name).is_some());
    if store == Store::Opensearch && own == "query" && request.body.as_ref().is_some_and(searches_beside) {
        return Err(
            "a rule sets a filter, and `knn` and `retriever` search beside it; search by `query` alone",
        );
    }
    let whole = request.body.get_or_insert_with(|| Value::Object(Vec::new()));
    let within = within.filter(|_| whole.get(own).is_none());
    let body = match within {
        Some(within) => whole.get_mut(within).ok_or("a rule sets what cannot stand in the body")?,
        None => whole,
    };
    if body.members().is_none() {
        return Err("a rule sets what cannot stand in the body");
    }
    body.set(own, value.clone().into_owned());
    Ok(())
}

/// Puts what rules changed where it came from; what they add goes into the body. Else why it cannot be done.
pub(super) fn put(
    (store, operation): (Store, Operation),
    request: &mut Request<'_>,
    (before, forced): (&Value<'_>, &Value<'_>),
    place_of: impl Fn(&str) -> Option<usize>,
) -> Result<(), &'static str> {
    let names = names(store);
    let members = forced.members().unwrap_or_default();
    for (argument, value) in members.iter().filter(|(argument, value)| before.get(argument) != Some(value)) {
        let within = request.body.as_ref().and_then(|body| nested(store, body));
        let asked = |body: &Value<'_>, own: &str| {
            within.and_then(|within| body.get(within)).unwrap_or(body).get(own).is_some()
        };
        let is_in_body = |own: &str| request.body.as_ref().is_some_and(|body| asked(body, own));
        let is_in_query = |own: &str| request.query.iter().any(|(name, _)| name == own);
        let makes_collection = makes_collection(request);
        let own = match argument.as_ref() {
            COLLECTION if makes_collection => "name",
            // What is called `n_results` in a query is `limit` elsewhere.
            "limit" if store == Store::Chroma && operation != Operation::Query => "limit",
            argument => names.own(argument, |own| is_in_body(own) || is_in_query(own)),
        };
        let mut places = COLLECTION_PLACES.iter().filter(|_| argument == COLLECTION).copied().chain([own]);
        if let Some((name, at)) = places.find_map(|name| Some((name, place_of(name)?))) {
            let text = value.as_str().filter(|_| name != "collection_id");
            let text = text.ok_or("a rule sets what cannot stand in the path")?;
            let plain =
                !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
            let segment = request.path.get_mut(at).filter(|_| plain && text != "." && text != "..");
            *segment.ok_or("a rule sets what cannot stand in the path")? = text.to_owned();
        } else if is_in_query(own) || (request.method == Method::GET && request.body.is_none()) {
            let text = match value {
                Value::String(text) => text.to_string(),
                Value::Number(digits) => digits.to_string(),
                Value::Bool(truth) => truth.to_string(),
                Value::Array(_) | Value::Null | Value::Object(_) => {
                    return Err("a rule sets what cannot stand in the query");
                }
            };
            request.query.retain(|(name, _)| name != own);
            request.query.push((own.to_owned(), text));
        } else {
            set_in_body(store, request, (own, value))?;
        }
    }
    Ok(())
}
