//! A request's arguments for the rules, under the same names for every store, and back.
//!
//! What a request names or asks for is an argument: parameters of the path and the query, members of the body. What it
//! carries is none (vectors, documents, payloads): it is long, and it is the tenant's own.

use super::{Operation, Store, endpoint::Asking};
use crate::{
    json::{self, Value},
    tool_api::Request,
};
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
const COLLECTION_PLACES: [&str; 4] = ["collection", "collection_id", "collection_name", "name"];

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
        let is_id = store == Store::Qdrant && *name == "id";
        add(&names.argument(name), if is_id { Value::Array(vec![value]) } else { value });
    }
    for (name, value) in &asking.request.query {
        add(&names.argument(name), typed(value));
    }
    // The ids of what is written are as many as the records.
    let carries_ids = asking.operation == Operation::Write;
    for (name, value) in asking.request.body.iter().filter_map(Value::members).flatten() {
        let is_carried = match name.as_ref() {
            "ids" => carries_ids,
            "points" if asking.operation == Operation::Delete => false,
            name => names.contents.contains(&name),
        };
        if !is_carried && !value.is_null() && value.vector().is_none() {
            let argument =
                if is_name_of_collection(asking, name) { COLLECTION.into() } else { names.argument(name) };
            add(&argument, value.clone().into_owned());
        }
    }
    Value::Object(members)
}

/// Whether a member names the collection that is made.
fn is_name_of_collection(asking: &Asking<'_>, member: &str) -> bool {
    member == "name" && asking.request.path.last().is_some_and(|last| last == "collections")
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
        let is_in_body = |own: &str| request.body.as_ref().is_some_and(|body| body.get(own).is_some());
        let makes_collection = request.path.last().is_some_and(|last| last == "collections");
        let own = match argument.as_ref() {
            COLLECTION if makes_collection => "name",
            // What is called `n_results` in a query is `limit` elsewhere.
            "limit" if store == Store::Chroma && operation != Operation::Query => "limit",
            argument => names.own(argument, is_in_body),
        };
        let mut places = COLLECTION_PLACES.iter().filter(|_| argument == COLLECTION).copied().chain([own]);
        if let Some((name, at)) = places.find_map(|name| Some((name, place_of(name)?))) {
            let text = value.as_str().filter(|_| name != "collection_id");
            let text = text.ok_or("a rule sets what cannot stand in the path")?;
            let plain =
                !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
            let segment = request.path.get_mut(at).filter(|_| plain && text != "." && text != "..");
            *segment.ok_or("a rule sets what cannot stand in the path")? = text.to_owned();
        } else if let Some((_, there)) = request.query.iter_mut().find(|(name, _)| name == own) {
            *there = match value {
                Value::String(text) => text.to_string(),
                Value::Number(digits) => digits.to_string(),
                Value::Bool(truth) => truth.to_string(),
                Value::Array(_) | Value::Null | Value::Object(_) => {
                    return Err("a rule sets what cannot stand in the query");
                }
            };
        } else {
            let body = request.body.get_or_insert_with(|| Value::Object(Vec::new()));
            if body.members().is_none() {
                return Err("a rule sets what cannot stand in the body");
            }
            body.set(own, value.clone().into_owned());
        }
    }
    Ok(())
}
