//! Searches: one, several at once, page by page; and what is counted.

use super::{
    aggregation, answer,
    indices::{self, outside},
    query, retriever, sort,
    source::{self, Shows},
};
use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        Fence, Operation, Reply, Sending,
        chain::{Chain, Then},
        endpoint::{Asking, Begun},
        fence::NOBODY,
        members::{self, Place},
        wire,
    },
    tool_api::Request,
};
use bytes::Bytes;
use http::Method;

const BODY: [&str; 24] = [
    "_source",
    "aggregations",
    "aggs",
    "collapse",
    "docvalue_fields",
    "fields",
    "from",
    "highlight",
    "knn",
    "min_score",
    "pit",
    "post_filter",
    "query",
    "rank",
    "rescore",
    "retriever",
    "search_after",
    "seq_no_primary_term",
    "size",
    "sort",
    "terminate_after",
    "timeout",
    "track_scores",
    "track_total_hits",
];
/// Parameters that say nothing of what is found.
const PARAMETERS: [&str; 17] = [
    "allow_no_indices",
    "allow_partial_search_results",
    "ccs_minimize_roundtrips",
    "batched_reduce_size",
    "expand_wildcards",
    "from",
    "ignore_unavailable",
    "max_concurrent_shard_requests",
    "pre_filter_shard_size",
    "preference",
    "request_cache",
    "rest_total_hits_as_int",
    "search_type",
    "size",
    "timeout",
    "track_total_hits",
    "typed_keys",
];
/// Parameters that are of the body, too.
const SOURCES: [&str; 6] =
    ["_source", "_source_includes", "_source_excludes", "_source_include", "_source_exclude", "scroll"];
const SCROLL: &str = "scroll";
const PIT: &str = "point in time";

/// A search in the tenant's bounds, and what there is to know of its answer.
struct Scoped<'v> {
    body: Value<'v>,
    shows: Shows,
    /// Whether it counts what it does not show.
    counts: bool,
}

/// Checks a search and puts the tenant's clause where it searches.
fn scoped<'v>(asking: &Asking<'_>, body: &Value<'v>, place: &Place<'_>) -> Result<Scoped<'v>, Refusal> {
    members::object(asking, body, place, &BODY)?;
    let mut scoped = body.clone();
    let given = body.present("query");
    let given = given.map(|given| query::check(asking, given, &place.member("query"))).transpose()?;
    // An empty list searches nothing: beside it everything would be found.
    let is_empty = |value: &&Value<'_>| value.items().is_some_and(<[_]>::is_empty);
    if body.present("knn").filter(is_empty).is_some() {
        return Err(place.member("knn").bad("is empty"));
    }
    let others = body.present("knn").is_some() || body.present("retriever").is_some();
    // Beside a search by vector alone, a query of everything would find everything.
    if (given.is_some() || !others)
        && let Some(forced) = query::beside(asking.fence, given)
    {
        scoped.set("query", forced);
    }
    if let Some(knn) = body.present("knn") {
        let here = place.member("knn");
        let forced = match knn {
            Value::Array(items) => {
                let each = items.iter().enumerate();
                let each = each.map(|(at, item)| query::knn(asking, item, &here.item(at)));
                Value::Array(each.collect::<Result<_, _>>()?)
            }
            one => query::knn(asking, one, &here)?,
        };
        scoped.set("knn", forced);
    }
    if let Some(given) = body.present("retriever") {
        scoped.set("retriever", retriever::check(asking, given, &place.member("retriever"))?);
    }
    let mut counts = members::count(body, "size", place)? == Some(0);
    for name in ["aggs", "aggregations"] {
        if let Some(given) = body.present(name) {
            scoped.set(name, aggregation::check(asking, given, &place.member(name))?);
            counts = true;
        }
    }
    rest(asking, body, place, &mut scoped)?;
    let shows = source::ask_for(asking.fence, &mut scoped, place)?;
    Ok(Scoped { body: scoped, shows, counts })
}

/// The parts of a search that order and show what was found.
fn rest<'v>(
    asking: &Asking<'_>,
    body: &Value<'v>,
    place: &Place<'_>,
    scoped: &mut Value<'v>,
) -> Result<(), Refusal> {
    if let Some(given) = body.present("post_filter") {
        scoped.set("post_filter", query::check(asking, given, &place.member("post_filter"))?);
    }
    if let Some(given) = body.present("sort") {
        sort::check(asking, given, &place.member("sort"))?;
    }
    if let Some(given) = body.present("collapse") {
        members::object(asking, given, &place.member("collapse"), &["field"])?;
    }
    if let Some(given) = body.present("rank") {
        let here = place.member("rank");
        members::object(asking, given, &here, &["rrf"])?;
    }
    for name in ["fields", "docvalue_fields"] {
        if let Some(given) = body.present(name) {
            answer::check_fields(given, &place.member(name))?;
        }
    }
    if let Some(given) = body.present("rescore") {
        let here = place.member("rescore");
        let rescored = match given {
            Value::Array(items) => {
                let each = items.iter().enumerate();
                let each = each.map(|(at, item)| rescore(asking, item, &here.item(at)));
                Value::Array(each.collect::<Result<_, _>>()?)
            }
            one => rescore(asking, one, &here)?,
        };
        scoped.set("rescore", rescored);
    }
    body.present("highlight").map_or(Ok(()), |given| highlight(asking, given, &place.member("highlight")))
}

fn rescore<'v>(asking: &Asking<'_>, value: &Value<'v>, place: &Place<'_>) -> Result<Value<'v>, Refusal> {
    members::object(asking, value, place, &["window_size", "query"])?;
    let here = place.member("query");
    let inner = value.get("query").ok_or_else(|| here.bad("is missing"))?;
    let known = ["rescore_query", "query_weight", "rescore_query_weight", "score_mode"];
    members::object(asking, inner, &here, &known)?;
    let there = here.member("rescore_query");
    let given = inner.get("rescore_query").ok_or_else(|| there.bad("is missing"))?;
    let mut inner = inner.clone();
    inner.set("rescore_query", query::check(asking, given, &there)?);
    let mut rescored = value.clone();
    rescored.set("query", inner);
    Ok(rescored)
}

/// What of the text is marked: no query of its own.
fn highlight(asking: &Asking<'_>, value: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    let is_query = |(name, _): &&(std::borrow::Cow<'_, str>, Value<'_>)| name == "highlight_query";
    let all = value.members().ok_or_else(|| place.wrong("an object", value))?;
    let fields = value.get("fields").and_then(Value::members).unwrap_or_default();
    let options = fields.iter().filter_map(|(_, options)| options.members()).flatten();
    match all.iter().chain(options).find(is_query) {
        Some(_) => Err(asking.refuse(format!("`{place}` has a query of its own, which is not known here"))),
        None if value.get("fields").is_some_and(|fields| fields.members().is_none()) => {
            Err(place.member("fields").bad("is not an object"))
        }
        None => Ok(()),
    }
}

/// The body of a search, with what of it stands in the query of the request.
fn whole<'v>(asking: &Asking<'v>) -> Result<(Value<'v>, Request<'v>), Refusal> {
    let known: Vec<&str> = PARAMETERS.iter().chain(&SOURCES).copied().collect();
    members::parameters(asking, &known)?;
    let mut body = asking.request.body.clone().unwrap_or_else(|| Value::Object(Vec::new()));
    let mut request = outside(asking)?;
    if let Some(wanted) = source::take(&mut request) {
        body.set("_source", wanted);
    }
    Ok((body, request))
}

pub(super) fn search(asking: &Asking<'_>) -> Begun {
    let (mut body, mut request) = whole(asking)?;
    let index = asking.collection.unwrap_or_default().to_owned();
    let pit = body.present("pit").cloned();
    if let Some(pit) = &pit {
        let here = Place::Body.member("pit");
        members::object(asking, pit, &here, &["id", "keep_alive"])?;
        let id = members::text(pit, "id", &here)?.ok_or_else(|| here.bad("has no `id`"))?;
        let (_, id) = opened(asking.fence, id, PIT, &here)?;
        let mut pit = pit.clone();
        pit.set("id", Value::string(id));
        body.set("pit", pit);
        if request.path.len() != 1 {
            return Err(here.bad("names its index itself: send it to `/_search`"));
        }
    } else if request.path.len() == 1 {
        return Err(asking.refuse("a search names its index"));
    }
    let scrolls = request.parameter("scroll").is_some();
    let Scoped { body, shows, counts } = scoped(asking, &body, &Place::Body)?;
    let counts = counts || request.parameter("size").is_some_and(|size| size.parse() == Ok(0_u64));
    // A body goes with it in any case.
    request.method = Method::POST;
    request.body = None;
    let sending = Sending { body: wire::written(&body), ..Sending::of(&request) };
    let fence = asking.fence.clone();
    let canary = if counts && pit.is_none() { canary(asking)? } else { None };
    let main = Then::send(sending, move |reply| told(&fence, &reply, (&index, shows)));
    let operation = if scrolls { Operation::Get } else { Operation::Query };
    let refuses_counting = counts && pit.is_some() && asking.fence.field.is_some();
    if refuses_counting {
        return Err(
            asking.refuse("what is counted in a point in time cannot be verified; count in the index")
        );
    }
    Ok(Chain::new(asking, after(canary, main)).of_operation(operation).boxed())
}

/// What the client is told of a search.
fn told(fence: &Fence, reply: &Reply, (index, shows): (&str, Shows)) -> Result<Then, Refusal> {
    let mut answer = wire::parse(&reply.body)?;
    let foreign = answer::verify(fence, &mut answer, shows)?;
    for (name, purpose) in [("_scroll_id", SCROLL), ("pit_id", PIT)] {
        if let Some(id) = answer.get(name).and_then(Value::as_str) {
            let sealed = sealed(fence, id, purpose, (index, shows));
            answer.set(name, Value::string(sealed));
        }
    }
    Ok(Then::tell(reply.status, wire::written(&answer), foreign))
}

/// Asks first how many records nobody has, where nothing but a count is told.
fn canary(asking: &Asking<'_>) -> Result<Option<Sending>, Refusal> {
    let Some(field) = asking.fence.field.as_deref() else { return Ok(None) };
    let filter = Value::Array(vec![query::term(field, NOBODY)]);
    let bool = Value::object([("bool", Value::object([("filter", filter)]))]);
    let body = Value::object([("query", bool)]);
    Ok(Some(indices::beside(&indices::outer(asking)?, "_count", &body)))
}

fn after(canary: Option<Sending>, main: Then) -> Then {
    let Some(canary) = canary else { return main };
    Then::send(canary, move |reply| match answer::counted(&wire::parse(&reply.body)?)? {
        0 => Ok(main),
        alien => Ok(Then::IgnoresFilters(alien)),
    })
}

pub(super) fn count(asking: &Asking<'_>) -> Begun {
    let known =
        ["allow_no_indices", "expand_wildcards", "ignore_unavailable", "preference", "terminate_after"];
    members::parameters(asking, &known)?;
    let mut request = outside(asking)?;
    let mut scoped = Value::Object(Vec::new());
    let mut given = None;
    if asking.request.body.is_some() {
        let body = members::body(asking, &["query"])?;
        let place = Place::Body.member("query");
        given = body.present("query").map(|given| query::check(asking, given, &place)).transpose()?;
    }
    if let Some(forced) = query::beside(asking.fence, given) {
        scoped.set("query", forced);
    }
    request.method = Method::POST;
    request.body = None;
    let sending = Sending { body: wire::written(&scoped), ..Sending::of(&request) };
    let canary = canary(asking)?;
    let main = Then::send(sending, |reply| {
        let answer = wire::parse(&reply.body)?;
        let told = Value::object([
            ("count", Value::integer(answer::counted(&answer)?)),
            ("_shards", answer.get("_shards").cloned().unwrap_or_default()),
        ]);
        Ok(Then::tell(reply.status, wire::written(&told), 0))
    });
    Ok(Chain::new(asking, after(canary, main)).boxed())
}

/// Several searches of one index: a line that says where, and one that says what.
pub(super) fn searches(asking: &Asking<'_>) -> Begun {
    members::parameters(
        asking,
        &["max_concurrent_searches", "rest_total_hits_as_int", "ccs_minimize_roundtrips"],
    )?;
    let lines = asking.request.body.as_ref().and_then(Value::items).unwrap_or_default();
    let (mut sent, mut shows, mut counts) = (Vec::new(), Vec::new(), false);
    let index =
        asking.collection.ok_or_else(|| asking.refuse("each search names the index, the same in all"))?;
    for (at, pair) in lines.chunks(2).enumerate() {
        let [header, body] = pair else { return Err(Place::Body.bad("has a line without its search")) };
        let (here, there) = (Place::Body.item(2 * at), Place::Body.item(2 * at + 1));
        members::object(asking, header, &here, &["index", "preference", "request_cache", "search_type"])?;
        let mut header = header.clone();
        indices::check_name(asking, header.get("index"), &here)?;
        header.set("index", Value::string(asking.fence.outer(index)));
        if body.present("pit").is_some() {
            return Err(there.bad("has a point in time; send it to `/_search`"));
        }
        let scoped = scoped(asking, body, &there)?;
        counts |= scoped.counts;
        shows.push(scoped.shows);
        sent.extend([header, scoped.body]);
    }
    let request = outside(asking)?;
    let fence = asking.fence.clone();
    let canary = if counts { canary(asking)? } else { None };
    let main = Then::send(Sending::of_lines(&request, &sent), move |reply| {
        let mut answer = wire::parse(&reply.body)?;
        wire::only(&answer, &["took", "responses"])?;
        let all = answer.get_mut("responses").and_then(Value::items_mut);
        let all = all.filter(|all| all.len() == shows.len()).ok_or_else(wire::unreadable)?;
        let mut foreign = 0_u64;
        for (one, shows) in all.iter_mut().zip(shows) {
            foreign = foreign.saturating_add(answer::verify(&fence, one, shows)?);
        }
        Ok(Then::tell(reply.status, wire::written(&answer), foreign))
    });
    Ok(Chain::new(asking, after(canary, main)).boxed())
}

/// A cursor with what it was given for, so that the next page is shown as the first was.
fn sealed(fence: &Fence, id: &str, purpose: &str, (index, shows): (&str, Shows)) -> String {
    fence.seal(&format!("{index}\n{}\n{id}", shows.as_str()), purpose)
}

type Opened = ((String, Shows), String);

fn opened(fence: &Fence, sealed: &str, purpose: &str, place: &Place<'_>) -> Result<Opened, Refusal> {
    let text = fence.open(sealed, purpose, place)?;
    let mut parts = text.splitn(3, '\n');
    let mut next = || parts.next().ok_or_else(|| place.bad("cannot be read"));
    let (index, shows, id) = (next()?.to_owned(), next()?, next()?.to_owned());
    Ok(((index, Shows::named(shows).ok_or_else(|| place.bad("cannot be read"))?), id))
}

/// The index that a cursor in a body is of.
pub(super) fn index_of_cursor(fence: &Fence, request: &Request<'_>) -> Option<String> {
    let body = request.body.as_ref()?;
    let pit = body.get("pit").and_then(|pit| pit.get("id")).and_then(Value::as_str);
    let first = |value: &Value<'_>| {
        value
            .items()
            .and_then(|items| items.first()?.as_str().map(ToOwned::to_owned))
            .or_else(|| value.as_str().map(ToOwned::to_owned))
    };
    let scroll = body.get("scroll_id").and_then(first);
    let (id, purpose) = match (pit, scroll) {
        (Some(id), _) => (id.to_owned(), PIT),
        (None, Some(id)) => (id, SCROLL),
        (None, None) => (["id", "pit_id"].iter().find_map(|name| first(body.get(name)?))?, PIT),
    };
    Some(opened(fence, &id, purpose, &Place::Body).ok()?.0.0)
}

pub(super) fn scroll(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &["rest_total_hits_as_int"])?;
    let body = members::body(asking, &["scroll", "scroll_id"])?;
    members::text(body, "scroll", &Place::Body)?;
    let place = Place::Body.member("scroll_id");
    let id = members::text(body, "scroll_id", &Place::Body)?.ok_or_else(|| place.bad("is missing"))?;
    let ((index, shows), id) = opened(asking.fence, id, SCROLL, &place)?;
    let mut body = body.clone();
    body.set("scroll_id", Value::string(id));
    let mut request = asking.request.clone();
    (request.method, request.body) = (Method::POST, None);
    let sending = Sending { body: wire::written(&body), ..Sending::of(&request) };
    let fence = asking.fence.clone();
    Ok(Chain::new(asking, Then::send(sending, move |reply| told(&fence, &reply, (&index, shows)))).boxed())
}

/// Gives cursors back.
fn closed(asking: &Asking<'_>, names: &[&'static str], purpose: &str) -> Begun {
    members::parameters(asking, &[])?;
    let body = members::body(asking, names)?;
    let mut sent = body.clone();
    for name in names {
        let place = Place::Body.member(name);
        let own = |value: &Value<'_>, place: &Place<'_>| {
            let text = value.as_str().ok_or_else(|| place.wrong("a string", value))?;
            Ok::<_, Refusal>(Value::string(opened(asking.fence, text, purpose, place)?.1))
        };
        match body.get(name) {
            None => {}
            Some(Value::Array(items)) => {
                let each = items.iter().enumerate().map(|(at, item)| own(item, &place.item(at)));
                sent.set(name, Value::Array(each.collect::<Result<_, _>>()?));
            }
            Some(one) => sent.set(name, own(one, &place)?),
        }
    }
    if sent.members().is_none_or(<[_]>::is_empty) {
        return Err(Place::Body.bad("names nothing"));
    }
    let mut request = asking.request.clone();
    request.body = None;
    let sending = Sending { body: wire::written(&sent), ..Sending::of(&request) };
    Ok(Chain::once(asking, sending, |_| Ok((Bytes::from_static(b"{\"succeeded\":true}"), 0))))
}

pub(super) fn close_scroll(asking: &Asking<'_>) -> Begun {
    closed(asking, &["scroll_id"], SCROLL)
}

pub(super) fn close_point_in_time(asking: &Asking<'_>) -> Begun {
    closed(asking, &["id", "pit_id"], PIT)
}

pub(super) fn point_in_time(asking: &Asking<'_>) -> Begun {
    members::parameters(
        asking,
        &["keep_alive", "preference", "ignore_unavailable", "allow_partial_pit_creation"],
    )?;
    members::no_body(asking)?;
    let index = asking.collection.unwrap_or_default().to_owned();
    let fence = asking.fence.clone();
    Ok(Chain::once(asking, Sending::of(&outside(asking)?), move |reply| {
        let mut answer = wire::parse(&reply.body)?;
        for name in ["id", "pit_id"] {
            if let Some(id) = answer.get(name).and_then(Value::as_str) {
                let id = sealed(&fence, id, PIT, (&index, Shows::All));
                answer.set(name, Value::string(id));
            }
        }
        Ok((wire::written(&answer), 0))
    }))
}
