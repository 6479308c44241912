//! Questions in GraphQL: records by similarity and by filter, and how many there are.

use super::{
    class, filter,
    look::{self, Answer},
    tenant, uuid,
};
use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        Fence, Reply,
        chain::{Chain, Then},
        endpoint::{Asking, Begun},
        members::{self, Place},
        wire,
    },
};

/// Arguments that search.
pub(in crate::retrieval) const SEARCHES: [&str; 12] = [
    "ask",
    "bm25",
    "hybrid",
    "nearAudio",
    "nearDepth",
    "nearIMU",
    "nearImage",
    "nearObject",
    "nearText",
    "nearThermal",
    "nearVector",
    "nearVideo",
];
const GET: [&str; 11] = [
    "root",
    "class",
    "fields",
    "where",
    "limit",
    "offset",
    "after",
    "sort",
    "autocut",
    "consistencyLevel",
    "tenant",
];
const COUNT: [&str; 5] = ["root", "class", "fields", "where", "tenant"];
/// What stands in searches, at any depth.
const WITHIN: [&str; 38] = [
    "alpha",
    "audio",
    "autocorrect",
    "beacon",
    "bm25SearchOperator",
    "certainty",
    "combinationMethod",
    "concepts",
    "depth",
    "distance",
    "force",
    "fusionType",
    "id",
    "image",
    "imu",
    "maxVectorDistance",
    "minimumOrTokensMatch",
    "moveAwayFrom",
    "moveTo",
    "nearText",
    "nearVector",
    "objects",
    "operator",
    "properties",
    "query",
    "question",
    "rerank",
    "searchOperator",
    "searches",
    "targetVectors",
    "targets",
    "thermal",
    "vector",
    "vectorPerTarget",
    "video",
    "weight",
    "weights",
    "limit",
];
/// Their members are named after vectors.
const BY_VECTOR: [&str; 2] = ["vectorPerTarget", "weights"];
const ADDITIONAL: [&str; 10] = [
    "answer",
    "certainty",
    "creationTimeUnix",
    "distance",
    "id",
    "isConsistent",
    "lastUpdateTimeUnix",
    "score",
    "vector",
    "vectors",
];
const ANSWER: [&str; 7] =
    ["certainty", "distance", "endPosition", "hasAnswer", "property", "result", "startPosition"];

pub(super) fn ask(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    let root = asking.request.body.as_ref().and_then(|form| form.get("root")?.as_str());
    match root {
        Some("Get") => get(asking),
        Some("Aggregate") => count(asking),
        _ => Err(asking.refuse("it is no question in GraphQL that is known here")),
    }
}

/// The tenant's clause in a question's filter, and its own of Weaviate's tenants.
fn scoped(asking: &Asking<'_>, form: &Value<'_>) -> Result<Value<'static>, Refusal> {
    let own = tenant(asking, members::text(form, "tenant", &Place::Body)?)?;
    let given = form.present("where");
    if let Some(given) = given {
        filter::check(asking, given, &Place::Body.member("where"))?;
    }
    let mut scoped = form.clone().into_owned();
    if let Some(forced) = filter::forced(asking.fence, given) {
        scoped.set("where", forced.into_owned());
    }
    if let Some(own) = own {
        scoped.set("tenant", Value::string(own.to_owned()));
    }
    Ok(scoped)
}

fn get(asking: &Asking<'_>) -> Begun {
    let form = members::body(asking, &[&GET[..], &SEARCHES[..]].concat())?;
    let class = class(asking)?.to_owned();
    for name in ["limit", "offset", "autocut"] {
        members::count(form, name, &Place::Body)?;
    }
    for name in ["after", "consistencyLevel"] {
        members::text(form, name, &Place::Body)?;
    }
    if form.present("after").is_some() && asking.fence.field.is_some() {
        return Err(asking.refuse("Weaviate's cursor does not go with a filter: use `offset`"));
    }
    if let Some(sort) = form.present("sort") {
        check_sort(asking, sort)?;
    }
    let mut scoped = scoped(asking, form)?;
    let mut examples = Vec::new();
    for name in SEARCHES {
        if let Some(search) = scoped.get_mut(name).filter(|search| !search.is_null()) {
            let place = Place::Body.member(name);
            check_search(asking, search, &place, &mut examples)?;
            if search.members().is_none() {
                return Err(place.wrong("an object", search));
            }
        }
    }
    let fields = form
        .get("fields")
        .and_then(Value::items)
        .ok_or_else(|| Place::Body.member("fields").bad("is no list"))?;
    let shows = check_fields(asking, fields)?;
    if let (false, Some(field)) = (shows, &asking.fence.field) {
        let own = Value::string(field.to_string());
        let fields = fields.iter().cloned().map(Value::into_owned);
        scoped.set("fields", Value::Array([own].into_iter().chain(fields).collect()));
    }
    let (fence, of) = (asking.fence.clone(), class.clone());
    let main = Then::send(look::sending(&scoped)?, move |reply| told(&fence, &of, shows, &reply));
    Ok(Chain::new(asking, own_examples(asking, (class, examples), main)?).boxed())
}

/// What the client is told: its own records, and of those what it asked for.
fn told(fence: &Fence, class: &str, shows: bool, reply: &Reply) -> Result<Then, Refusal> {
    let mut rows = match look::rows(reply, "Get", class)? {
        Answer::Fails(reply) => return Ok(Then::Fail(reply)),
        Answer::Rows(rows) => rows,
    };
    let before = rows.len();
    rows.retain(|row| fence.owns(Some(row)));
    let foreign = before - rows.len();
    if let (false, Some(field)) = (shows, &fence.field) {
        rows.iter_mut().for_each(|row| drop(row.remove(field)));
    }
    let answer = answer("Get", class, rows);
    Ok(Then::tell(reply.status, wire::written(&answer), u64::try_from(foreign).unwrap_or(u64::MAX)))
}

fn answer<'v>(root: &'static str, class: &str, rows: Vec<Value<'v>>) -> Value<'v> {
    let of_class = Value::Object(vec![(class.to_owned().into(), Value::Array(rows))]);
    Value::object([("data", Value::object([(root, of_class)]))])
}

/// Goes on once it is known that the records that a search begins at are the tenant's.
fn own_examples(
    asking: &Asking<'_>,
    (class, mut ids): (String, Vec<String>),
    next: Then,
) -> Result<Then, Refusal> {
    if asking.fence.field.is_none() || ids.is_empty() {
        return Ok(next);
    }
    ids.sort_unstable();
    ids.dedup();
    let fence = asking.fence.clone();
    Ok(Then::send(look::at_ids(&fence, &class, &ids)?, move |reply| {
        let seen = match look::seen(&fence, (&class, &ids), &reply)? {
            Err(reply) => return Ok(Then::Fail(reply)),
            Ok(seen) => seen,
        };
        let are_own = ids.iter().all(|id| seen.get(id) == Some(&true));
        Ok(if are_own {
            next
        } else {
            Then::Fail(look::failed(422, "there is no record of this id to search from"))
        })
    }))
}

fn check_sort(asking: &Asking<'_>, sort: &Value<'_>) -> Result<(), Refusal> {
    let place = Place::Body.member("sort");
    let one = [sort.clone()];
    for (at, clause) in sort.items().unwrap_or(&one).iter().enumerate() {
        let here = place.item(at);
        members::object(asking, clause, &here, &["path", "order"])?;
        filter::path(asking, clause.get("path"), &here.member("path"))?;
        members::text(clause, "order", &here)?;
    }
    Ok(())
}

/// Checks a search, and takes down the records that it begins at: each goes by its id in the class that is asked.
fn check_search(
    asking: &Asking<'_>,
    value: &mut Value<'_>,
    place: &Place<'_>,
    examples: &mut Vec<String>,
) -> Result<(), Refusal> {
    if let Some(beacon) = value.remove("beacon") {
        let here = place.member("beacon");
        let class = class(asking)?;
        let id = beacon.as_str().and_then(|text| text.strip_prefix("weaviate://localhost/"));
        let id = id.map(|id| id.strip_prefix(class).and_then(|id| id.strip_prefix('/')).unwrap_or(id));
        let id = id.and_then(uuid).ok_or_else(|| here.bad("names no record of the class that is asked"))?;
        if value.present("id").is_some() {
            return Err(here.bad("stands beside an `id`"));
        }
        value.set("id", Value::string(id));
    }
    match value {
        Value::Object(found) => {
            for (name, member) in found {
                let here = place.member(name);
                if !WITHIN.contains(&name.as_ref()) {
                    return Err(asking.refuse(format!(
                        "`{place}` has a member that is not known here, and nothing unknown is forwarded"
                    )));
                }
                if name == "id" {
                    let id = member.as_str().and_then(uuid).ok_or_else(|| here.bad("is no UUID"))?;
                    *member = Value::string(id.clone());
                    examples.push(id);
                } else if !BY_VECTOR.contains(&name.as_ref()) {
                    check_search(asking, member, &here, examples)?;
                } else if !member.members().unwrap_or_default().iter().all(|(_, value)| is_plain(value)) {
                    return Err(here.bad("is not numbers by the names of vectors"));
                }
            }
            Ok(())
        }
        Value::Array(items) => items
            .iter_mut()
            .enumerate()
            .try_for_each(|(at, item)| check_search(asking, item, &place.item(at), examples)),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// Numbers, and lists of them.
fn is_plain(value: &Value<'_>) -> bool {
    match value {
        Value::Array(items) => items.iter().all(is_plain),
        value => value.digits().is_some(),
    }
}

/// Checks what is asked for. Whether the property that names the tenant is among it.
fn check_fields(asking: &Asking<'_>, fields: &[Value<'_>]) -> Result<bool, Refusal> {
    let place = Place::Body.member("fields");
    let unknown =
        || asking.refuse("it asks for a field that is not known here, and nothing unknown is forwarded");
    let field = asking.fence.field.as_deref();
    let mut shows = false;
    for (at, asked) in fields.iter().enumerate() {
        if let Some(name) = asked.as_str() {
            shows |= Some(name) == field;
            if name.starts_with("__") || name == "_additional" {
                return Err(unknown());
            }
            continue;
        }
        let here = place.item(at);
        members::object(asking, asked, &here, &["name", "fields"])?;
        let name = members::text(asked, "name", &here)?.unwrap_or_default();
        let inner = members::items(asked, "fields", &here)?.unwrap_or_default();
        if name == "_additional" {
            check_additional(inner).ok_or_else(unknown)?;
        } else if name.starts_with('_') || Some(name) == field || !are_nested(inner) {
            return Err(unknown());
        }
    }
    Ok(shows)
}

fn check_additional(fields: &[Value<'_>]) -> Option<()> {
    for asked in fields {
        match (asked.as_str(), asked.get("name").and_then(Value::as_str)) {
            (Some(name), _) if ADDITIONAL.contains(&name) => {}
            (None, Some(name @ ("answer" | "vectors"))) => {
                let mut inner = asked.get("fields").and_then(Value::items)?.iter();
                let is_known = |field: &Value<'_>| {
                    field.as_str().is_some_and(|inner| name == "vectors" || ANSWER.contains(&inner))
                };
                inner.all(is_known).then_some(())?;
            }
            _ => return None,
        }
    }
    Some(())
}

/// Parts of a property that is an object. A reference is asked for with fragments: it cannot stand here.
fn are_nested(fields: &[Value<'_>]) -> bool {
    fields.iter().all(|asked| match asked {
        Value::String(name) => !name.starts_with('_'),
        asked => {
            let name = asked.get("name").and_then(Value::as_str);
            name.is_some_and(|name| !name.starts_with('_'))
                && asked.get("fields").and_then(Value::items).is_some_and(are_nested)
        }
    })
}

/// How many records there are. None is shown: that the store keeps to filters is seen before.
fn count(asking: &Asking<'_>) -> Begun {
    let form = members::body(asking, &COUNT)?;
    let class = class(asking)?.to_owned();
    let asked = form.get("fields").and_then(Value::items).unwrap_or_default();
    let is_count = |field: &Value<'_>| {
        let inner = field.get("fields").and_then(Value::items).unwrap_or_default();
        field.get("name").and_then(Value::as_str) == Some("meta")
            && matches!(inner, [count] if count.as_str() == Some("count"))
    };
    if !matches!(asked, [field] if is_count(field)) {
        return Err(asking.refuse("of aggregations `meta { count }` alone is served"));
    }
    let scoped = scoped(asking, form)?;
    let main = Then::send(look::sending(&scoped)?, move |reply| match look::counted(&class, &reply)? {
        Err(reply) => Ok(Then::Fail(reply)),
        Ok(count) => {
            let meta = Value::object([("count", Value::integer(count))]);
            let row = Value::object([("meta", meta)]);
            Ok(Then::tell(200, wire::written(&answer("Aggregate", &class, vec![row])), 0))
        }
    });
    Ok(Chain::new(asking, look::exactly(asking, look::filtered(asking, main)?)?).boxed())
}
