//! Searches: `query` with everything that it prefetches, and the endpoints that came before it.

use super::{
    answer::{self, Shape, Shows, Verifier},
    filter, id,
    talk::{Named, Retell, Talk},
};
use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        Conversation,
        endpoint::Asking,
        members::{self, Place},
    },
};

type Begun = Result<Box<dyn Conversation>, Refusal>;

const READS: [&str; 2] = ["consistency", "timeout"];

/// What every search may have.
macro_rules! search_members {
    ($($own:literal),*) => {
        &["shard_key", "filter", "params", "score_threshold", "limit", "offset", "with_payload", "with_vector", "using", $($own),*]
    };
}
/// The same of one that groups.
macro_rules! group_members {
    ($($own:literal),*) => {
        &["shard_key", "filter", "params", "score_threshold", "limit", "with_payload", "with_vector", "using", "group_by", "group_size", $($own),*]
    };
}

const PREFETCH: &[&str] = &["prefetch", "query", "using", "filter", "params", "score_threshold", "limit"];
/// Without `idf`: its corpus counts whatever its filter selects, of all tenants.
const PARAMS: [&str; 5] = ["hnsw_ef", "exact", "quantization", "indexed_only", "acorn"];
/// Members whose texts and numbers are examples; everything else of that kind is a vector.
const RECOMMEND: [&str; 3] = ["positive", "negative", "strategy"];

/// A kind of search.
struct Kind {
    known: &'static [&'static str],
    shape: Shape,
    examples: fn(&Asking<'_>, &Value<'_>, &Place<'_>, &mut Vec<Value<'static>>) -> Result<(), Refusal>,
}

const QUERY: Kind =
    Kind { known: search_members!("query", "prefetch"), shape: Shape::Points, examples: query_and_prefetch };
const QUERY_GROUPS: Kind =
    Kind { known: group_members!("query", "prefetch"), shape: Shape::Groups, examples: query_and_prefetch };
const SEARCH: Kind = Kind { known: search_members!("vector"), shape: Shape::List, examples: no_examples };
const SEARCH_GROUPS: Kind =
    Kind { known: group_members!("vector"), shape: Shape::Groups, examples: no_examples };
const RECOMMENDS: Kind = Kind {
    known: search_members!("positive", "negative", "strategy"),
    shape: Shape::List,
    examples: recommended,
};
const RECOMMEND_GROUPS: Kind = Kind {
    known: group_members!("positive", "negative", "strategy"),
    shape: Shape::Groups,
    examples: recommended,
};
const DISCOVER: Kind =
    Kind { known: search_members!("target", "context"), shape: Shape::List, examples: discovered };

pub(super) fn query(asking: &Asking<'_>) -> Begun {
    one(asking, &QUERY)
}

pub(super) fn query_batch(asking: &Asking<'_>) -> Begun {
    batch(asking, &QUERY)
}

pub(super) fn query_groups(asking: &Asking<'_>) -> Begun {
    one(asking, &QUERY_GROUPS)
}

pub(super) fn search(asking: &Asking<'_>) -> Begun {
    one(asking, &SEARCH)
}

pub(super) fn search_batch(asking: &Asking<'_>) -> Begun {
    batch(asking, &SEARCH)
}

pub(super) fn search_groups(asking: &Asking<'_>) -> Begun {
    one(asking, &SEARCH_GROUPS)
}

pub(super) fn recommend(asking: &Asking<'_>) -> Begun {
    one(asking, &RECOMMENDS)
}

pub(super) fn recommend_batch(asking: &Asking<'_>) -> Begun {
    batch(asking, &RECOMMENDS)
}

pub(super) fn recommend_groups(asking: &Asking<'_>) -> Begun {
    one(asking, &RECOMMEND_GROUPS)
}

pub(super) fn discover(asking: &Asking<'_>) -> Begun {
    one(asking, &DISCOVER)
}

pub(super) fn discover_batch(asking: &Asking<'_>) -> Begun {
    batch(asking, &DISCOVER)
}

fn one(asking: &Asking<'_>, kind: &Kind) -> Begun {
    members::parameters(asking, &READS)?;
    let body = members::body(asking, kind.known)?;
    let mut ids = Vec::new();
    let (scoped, shows) = scoped(asking, kind, body, &Place::Body, &mut ids)?;
    Ok(talk(asking, kind, &scoped, (false, vec![shows]), ids))
}

fn batch(asking: &Asking<'_>, kind: &Kind) -> Begun {
    members::parameters(asking, &READS)?;
    let body = members::body(asking, &["searches"])?;
    let place = Place::Body.member("searches");
    let searches = members::items(body, "searches", &Place::Body)?.ok_or_else(|| place.bad("is missing"))?;
    let (mut ids, mut each, mut shows) = (Vec::new(), Vec::new(), Vec::new());
    for (at, search) in searches.iter().enumerate() {
        let here = place.item(at);
        members::object(asking, search, &here, kind.known)?;
        let (search, shown) = scoped(asking, kind, search, &here, &mut ids)?;
        each.push(search);
        shows.push(shown);
    }
    let scoped = Value::object([("searches", Value::Array(each))]);
    Ok(talk(asking, kind, &scoped, (true, shows), ids))
}

fn talk(
    asking: &Asking<'_>,
    kind: &Kind,
    body: &Value<'_>,
    (batch, shows): (bool, Vec<Shows>),
    ids: Vec<Value<'static>>,
) -> Box<dyn Conversation> {
    let verifier =
        Verifier { fence: asking.fence.clone(), shape: kind.shape, batch, shows, by_id: false, page: None };
    Talk::new(asking, Some(body)).naming(Named::Examples, ids).retold(Retell::Verified(verifier)).boxed()
}

/// A search with the tenant's clause in it and in all that it prefetches.
fn scoped<'v>(
    asking: &Asking<'_>,
    kind: &Kind,
    search: &Value<'v>,
    place: &Place<'_>,
    ids: &mut Vec<Value<'static>>,
) -> Result<(Value<'v>, Shows), Refusal> {
    (kind.examples)(asking, search, place, ids)?;
    for name in ["limit", "offset", "group_size"] {
        members::count(search, name, place)?;
    }
    for name in ["using", "group_by"] {
        members::text(search, name, place)?;
    }
    let mut scoped = filtered(asking, search, place)?;
    let shows = answer::ask_for_payload(asking.fence, &mut scoped, false)?;
    Ok((scoped, shows))
}

/// The same filter, and the tenant's clause, here and in every branch below.
fn filtered<'v>(asking: &Asking<'_>, search: &Value<'v>, place: &Place<'_>) -> Result<Value<'v>, Refusal> {
    let given = search.present("filter");
    if let Some(given) = given {
        filter::check(asking, given, &place.member("filter"))?;
    }
    if let Some(params) = search.present("params") {
        members::object(asking, params, &place.member("params"), &PARAMS)?;
    }
    let mut filtered_search = search.clone();
    if let Some(forced) = filter::forced(asking.fence, given) {
        filtered_search.set("filter", forced);
    }
    let here = place.member("prefetch");
    match search.present("prefetch") {
        None => {}
        Some(Value::Array(items)) => {
            let each = items.iter().enumerate().map(|(at, item)| prefetched(asking, item, &here.item(at)));
            filtered_search.set("prefetch", Value::Array(each.collect::<Result<_, _>>()?));
        }
        Some(single) => filtered_search.set("prefetch", prefetched(asking, single, &here)?),
    }
    Ok(filtered_search)
}

fn prefetched<'v>(asking: &Asking<'_>, item: &Value<'v>, place: &Place<'_>) -> Result<Value<'v>, Refusal> {
    members::object(asking, item, place, PREFETCH)?;
    filtered(asking, item, place)
}

fn no_examples(
    _: &Asking<'_>,
    search: &Value<'_>,
    place: &Place<'_>,
    _: &mut Vec<Value<'static>>,
) -> Result<(), Refusal> {
    match search.get("vector") {
        Some(vector)
            if vector.vector().is_some() || vector.members().is_some() || vector.items().is_some() =>
        {
            Ok(())
        }
        Some(other) => Err(place.member("vector").wrong("a vector", other)),
        None => Err(place.bad("has no `vector`")),
    }
}

fn query_and_prefetch(
    asking: &Asking<'_>,
    search: &Value<'_>,
    place: &Place<'_>,
    ids: &mut Vec<Value<'static>>,
) -> Result<(), Refusal> {
    if let Some(query) = search.present("query") {
        examples_of_query(asking, query, &place.member("query"), ids)?;
    }
    let here = place.member("prefetch");
    match search.present("prefetch") {
        None => Ok(()),
        Some(Value::Array(items)) => {
            let mut each = items.iter().enumerate();
            each.try_for_each(|(at, item)| query_and_prefetch(asking, item, &here.item(at), ids))
        }
        Some(single) => query_and_prefetch(asking, single, &here, ids),
    }
}

/// Points that a query takes as examples.
fn examples_of_query(
    asking: &Asking<'_>,
    query: &Value<'_>,
    place: &Place<'_>,
    ids: &mut Vec<Value<'static>>,
) -> Result<(), Refusal> {
    let Some(found) = query.members() else { return example(asking, query, place, ids) };
    let Some((name, operand)) =
        found.iter().find(|(name, _)| !INPUTS.contains(&name.as_ref()) && name != "mmr")
    else {
        return example(asking, query, place, ids);
    };
    let here = place.member(name);
    match name.as_ref() {
        "nearest" => {
            members::object(asking, query, place, &["nearest", "mmr"])?;
            example(asking, operand, &here, ids)
        }
        "recommend" => {
            members::object(asking, query, place, &["recommend"])?;
            members::object(asking, operand, &here, &RECOMMEND)?;
            recommended(asking, operand, &here, ids)
        }
        "discover" => {
            members::object(asking, query, place, &["discover"])?;
            members::object(asking, operand, &here, &["target", "context"])?;
            discovered(asking, operand, &here, ids)
        }
        "context" => {
            members::object(asking, query, place, &["context"])?;
            pairs(asking, operand, &here, ids)
        }
        "relevance_feedback" => {
            members::object(asking, query, place, &["relevance_feedback"])?;
            feedback(asking, operand, &here, ids)
        }
        "order_by" | "fusion" | "rrf" | "sample" => {
            members::object(asking, query, place, &["order_by", "fusion", "rrf", "sample"]).map(drop)
        }
        _ => members::object(
            asking,
            query,
            place,
            &[
                "nearest",
                "recommend",
                "discover",
                "context",
                "relevance_feedback",
                "order_by",
                "fusion",
                "rrf",
                "sample",
            ],
        )
        .map(drop),
    }
}

fn feedback(
    asking: &Asking<'_>,
    value: &Value<'_>,
    place: &Place<'_>,
    ids: &mut Vec<Value<'static>>,
) -> Result<(), Refusal> {
    members::object(asking, value, place, &["target", "feedback", "strategy"])?;
    example(asking, value.get("target").unwrap_or(&Value::Null), &place.member("target"), ids)?;
    let here = place.member("feedback");
    for (at, item) in members::items(value, "feedback", place)?.unwrap_or_default().iter().enumerate() {
        members::object(asking, item, &here.item(at), &["example", "score"])?;
        example(asking, item.get("example").unwrap_or(&Value::Null), &here.item(at), ids)?;
    }
    Ok(())
}

/// Members of what stands for a vector: a sparse one, or what an embedding is made of.
const INPUTS: [&str; 7] = ["indices", "values", "text", "image", "object", "model", "options"];

/// What stands for a vector: one, or the id of a point that has it.
fn example(
    asking: &Asking<'_>,
    value: &Value<'_>,
    place: &Place<'_>,
    ids: &mut Vec<Value<'static>>,
) -> Result<(), Refusal> {
    match value {
        Value::Number(_) if value.vector().is_some() => Ok(()),
        Value::Array(items)
            if items.iter().all(|item| item.vector().is_some() || item.as_f64().is_some()) =>
        {
            Ok(())
        }
        Value::Number(_) | Value::String(_) => {
            id::check(value, place)?;
            ids.push(value.clone().into_owned());
            Ok(())
        }
        Value::Object(_) => members::object(asking, value, place, &INPUTS).map(drop),
        Value::Array(_) | Value::Bool(_) | Value::Null => {
            Err(place.wrong("a vector or the id of a point", value))
        }
    }
}

fn recommended(
    asking: &Asking<'_>,
    search: &Value<'_>,
    place: &Place<'_>,
    ids: &mut Vec<Value<'static>>,
) -> Result<(), Refusal> {
    members::text(search, "strategy", place)?;
    for name in ["positive", "negative"] {
        let here = place.member(name);
        for (at, item) in members::items(search, name, place)?.unwrap_or_default().iter().enumerate() {
            example(asking, item, &here.item(at), ids)?;
        }
    }
    Ok(())
}

fn discovered(
    asking: &Asking<'_>,
    search: &Value<'_>,
    place: &Place<'_>,
    ids: &mut Vec<Value<'static>>,
) -> Result<(), Refusal> {
    if let Some(target) = search.present("target") {
        example(asking, target, &place.member("target"), ids)?;
    }
    search.present("context").map_or(Ok(()), |context| pairs(asking, context, &place.member("context"), ids))
}

fn pairs(
    asking: &Asking<'_>,
    value: &Value<'_>,
    place: &Place<'_>,
    ids: &mut Vec<Value<'static>>,
) -> Result<(), Refusal> {
    let items = value.items().unwrap_or_else(|| std::slice::from_ref(value));
    for (at, pair) in items.iter().enumerate() {
        let here = place.item(at);
        for (name, item) in members::object(asking, pair, &here, &["positive", "negative"])? {
            example(asking, item, &here.member(name), ids)?;
        }
    }
    Ok(())
}
