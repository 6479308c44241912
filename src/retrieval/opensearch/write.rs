//! What is written and deleted: one record, several at once, and those that a query finds.

use super::{
    answer::hush,
    change::{self, Action, Change, Fate},
    document, indices,
    indices::{check_name, outside},
    query,
};
use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        Fence, Operation, Reply, Sending,
        chain::{Chain, Then},
        endpoint::{Asking, Begun},
        members::{self, Place},
        wire,
    },
    tool_api::Request,
};
use bytes::Bytes;
use http::Method;
use std::collections::{HashMap, HashSet};

const PARAMETERS: [&str; 5] =
    ["op_type", "refresh", "retry_on_conflict", "timeout", "wait_for_active_shards"];
const UPDATE: [&str; 4] = ["doc", "doc_as_upsert", "upsert", "detect_noop"];

/// A record with the tenant's name in it.
fn stamped(asking: &Asking<'_>, record: &Value<'_>, place: &Place<'_>) -> Result<Value<'static>, Refusal> {
    let found = record.members().ok_or_else(|| place.wrong("an object", record))?;
    if let Some(field) = &asking.fence.field {
        let leads = |name: &str| name.strip_prefix(&**field).is_some_and(|rest| rest.starts_with('.'));
        if found.iter().any(|(name, _)| leads(name)) {
            return Err(asking
                .refuse(format!("`{place}` has a member that leads to the field that holds the tenant")));
        }
    }
    let mut record = record.clone().into_owned();
    asking.fence.stamp(&mut record);
    Ok(record)
}

/// What a change carries.
fn carried(
    asking: &Asking<'_>,
    action: Action,
    body: &Value<'_>,
    place: &Place<'_>,
) -> Result<Value<'static>, Refusal> {
    if action != Action::Update {
        return stamped(asking, body, place);
    }
    members::object(asking, body, place, &UPDATE)?;
    members::flag(body, "doc_as_upsert", place)?;
    members::flag(body, "detect_noop", place)?;
    let mut carried = body.clone().into_owned();
    for name in ["doc", "upsert"] {
        if let Some(part) = body.present(name) {
            carried.set(name, stamped(asking, part, &place.member(name))?);
        }
    }
    Ok(carried)
}

/// What the client is told of one change.
fn retold(fence: &Fence, told: &mut Value<'_>) -> Result<(), Refusal> {
    const KNOWN: [&str; 10] = [
        "_index",
        "_id",
        "_version",
        "result",
        "forced_refresh",
        "_shards",
        "_seq_no",
        "_primary_term",
        "status",
        "error",
    ];
    let members = told.members_mut().ok_or_else(wire::unreadable)?;
    members.retain(|(name, _)| KNOWN.contains(&name.as_ref()));
    if let Some(name) = told.get("_index").and_then(Value::as_str) {
        let inner = fence.inner(name).ok_or_else(wire::unreadable)?.to_owned();
        told.set("_index", Value::string(inner));
    }
    hush(told);
    Ok(())
}

fn tell(fence: &Fence, reply: &Reply) -> Result<Then, Refusal> {
    let mut answer = wire::parse(&reply.body)?;
    retold(fence, &mut answer)?;
    Ok(Then::tell(reply.status, wire::written(&answer), 0))
}

/// The request of one change, with these parts of its path behind the index.
fn sent(request: &Request<'_>, method: Method, parts: &[&str], body: Option<&Value<'_>>) -> Sending {
    let mut request = request.clone();
    request.method = method;
    request.body = None;
    request.path.truncate(1);
    request.path.extend(parts.iter().map(|part| (*part).to_owned()));
    let bytes = body.map(wire::written).unwrap_or_default();
    Sending { body: bytes, ..Sending::of(&request) }
}

/// One change of a record that is named.
fn one(asking: &Asking<'_>, action: Action) -> Begun {
    members::parameters(asking, &PARAMETERS)?;
    let id = asking.place("id").to_owned();
    let body = if action == Action::Delete {
        members::no_body(asking)?;
        Value::Null
    } else {
        let body = asking.request.body.as_ref().unwrap_or(&Value::Null);
        carried(asking, action, body, &Place::Body)?
    };
    let mut request = outside(asking)?;
    // What is written holds for one version of the record anyway.
    request.query.retain(|(name, _)| name != "op_type" && name != "retry_on_conflict");
    let fence = asking.fence.clone();
    let kind = match action {
        Action::Create => "_create",
        Action::Delete | Action::Index => "_doc",
        Action::Update => "_update",
    };
    let method = match action {
        Action::Create | Action::Index => Method::PUT,
        Action::Delete => Method::DELETE,
        Action::Update => Method::POST,
    };
    let payload = (action != Action::Delete).then_some(&body);
    if fence.field.is_none() {
        let sending = sent(&request, method, &[kind, &id], payload);
        return Ok(Chain::new(asking, Then::send(sending, move |reply| tell(&fence, &reply))).boxed());
    }
    let change = Change { action, id: Some(id.clone()), body };
    let (operation, index) = (asking.operation, asking.collection.unwrap_or_default().to_owned());
    let request = Request { body: None, method: request.method, path: request.path, query: request.query };
    let look = document::look(asking, std::slice::from_ref(&id))?;
    let first = Then::send(look, move |reply| {
        let own = change::seen((&fence, operation), std::slice::from_ref(&id), &reply.body)?;
        let sending = match change.fate(&own) {
            Fate::Missing => {
                let told = change.missing(&index);
                return Ok(Then::tell(404, wire::written(&told), 0));
            }
            Fate::Create(record) => sent(&request, Method::PUT, &["_create", &id], Some(&record)),
            Fate::OnSeen(seen) => {
                let mut request = request;
                request.query.push(("if_seq_no".to_owned(), seen.number));
                request.query.push(("if_primary_term".to_owned(), seen.term));
                let payload = (change.action != Action::Delete).then_some(&change.body);
                sent(&request, method, &[kind, &id], payload)
            }
            Fate::WithoutId => return Err(wire::unreadable()),
        };
        Ok(Then::send(sending, move |reply| tell(&fence, &reply)))
    });
    Ok(Chain::new(asking, first).boxed())
}

pub(super) fn index(asking: &Asking<'_>) -> Begun {
    match asking.request.parameter("op_type") {
        None | Some("index") => one(asking, Action::Index),
        Some("create") => one(asking, Action::Create),
        Some(_) => Err(Place::Body.member("op_type").bad("is neither `index` nor `create`")),
    }
}

pub(super) fn create(asking: &Asking<'_>) -> Begun {
    one(asking, Action::Create)
}

pub(super) fn update(asking: &Asking<'_>) -> Begun {
    one(asking, Action::Update)
}

pub(super) fn delete(asking: &Asking<'_>) -> Begun {
    one(asking, Action::Delete)
}

/// A record whose id the store makes.
pub(super) fn add(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &["refresh", "timeout", "wait_for_active_shards"])?;
    let body = asking.request.body.as_ref().unwrap_or(&Value::Null);
    let record = stamped(asking, body, &Place::Body)?;
    let sending = sent(&outside(asking)?, Method::POST, &["_doc"], Some(&record)).only(true);
    let fence = asking.fence.clone();
    Ok(Chain::new(asking, Then::send(sending, move |reply| tell(&fence, &reply))).boxed())
}

/// The changes in the lines of a body.
fn changes(asking: &Asking<'_>, lines: &[Value<'_>]) -> Result<Vec<Change>, Refusal> {
    let mut changes = Vec::new();
    let mut ids = HashSet::new();
    let mut lines = lines.iter().enumerate();
    while let Some((at, line)) = lines.next() {
        let here = Place::Body.item(at);
        let [(name, target)] = line.members().ok_or_else(|| here.wrong("an object", line))? else {
            return Err(here.bad("has to have one member: what is to be done"));
        };
        let action = Action::named(name)
            .ok_or_else(|| asking.refuse(format!("`{here}` is an action that is not known here")))?;
        let there = here.member(name);
        members::object(asking, target, &there, &["_index", "_id", "retry_on_conflict"])?;
        check_name(asking, target.get("_index"), &there)?;
        let id = members::text(target, "_id", &there)?.map(ToOwned::to_owned);
        if id.as_ref().is_some_and(|id| id.is_empty() || !ids.insert(id.clone())) {
            return Err(there.member("_id").bad("is empty, or stands here twice; send two requests"));
        }
        if id.is_none() && matches!(action, Action::Delete | Action::Update) {
            return Err(there.bad("has no `_id`"));
        }
        let body = if action == Action::Delete {
            Value::Null
        } else {
            let (at, body) = lines.next().ok_or_else(|| here.bad("is followed by no line"))?;
            carried(asking, action, body, &Place::Body.item(at))?
        };
        changes.push(Change { action, id, body });
    }
    Ok(changes)
}

/// The lines of what is sent of a change, and whether anything is.
fn lines_of(change: &Change, fate: Fate, outer: &str) -> Vec<Value<'static>> {
    let mut target = Value::object([("_index", Value::string(outer.to_owned()))]);
    if let Some(id) = &change.id {
        target.set("_id", Value::string(id.clone()));
    }
    let (action, body) = match fate {
        Fate::Missing => return Vec::new(),
        Fate::Create(record) => (Action::Create, record),
        Fate::OnSeen(seen) => {
            target.set("if_seq_no", Value::Number(seen.number.into()));
            target.set("if_primary_term", Value::Number(seen.term.into()));
            (change.action, change.body.clone())
        }
        Fate::WithoutId => (change.action, change.body.clone()),
    };
    let line = Value::Object(vec![(action.as_str().into(), target)]);
    if action == Action::Delete { vec![line] } else { vec![line, body] }
}

/// What is told of changes: each under the name that the client gave it, those of nothing among them.
fn told_of(
    (fence, index): (&Fence, &str),
    changes: &[Change],
    is_sent: &[bool],
    answer: &mut Value<'_>,
) -> Result<Bytes, Refusal> {
    let items = answer.get_mut("items").and_then(Value::items_mut).map(std::mem::take);
    let mut items = items.ok_or_else(wire::unreadable)?.into_iter();
    let (mut told, mut errors) = (Vec::new(), false);
    for (change, is_sent) in changes.iter().zip(is_sent) {
        let item = if *is_sent {
            let item = items.next().ok_or_else(wire::unreadable)?;
            let [(_, item)] = item.members().ok_or_else(wire::unreadable)? else {
                return Err(wire::unreadable());
            };
            let mut item = item.clone();
            retold(fence, &mut item)?;
            item
        } else {
            change.missing(index)
        };
        errors |= item.get("error").is_some();
        told.push(Value::Object(vec![(change.action.as_str().into(), item)]));
    }
    if items.next().is_some() {
        return Err(wire::unreadable());
    }
    let took = answer.get("took").cloned().unwrap_or_else(|| Value::integer(0));
    let told = [("took", took), ("errors", Value::Bool(errors)), ("items", Value::Array(told))];
    Ok(wire::written(&Value::object(told)))
}

/// Several changes of one index. Rules tell deletes from writes, so a request holds one kind of them.
pub(super) fn bulk(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &["refresh", "timeout", "wait_for_active_shards"])?;
    let lines = asking.request.body.as_ref().and_then(Value::items).unwrap_or_default();
    let changes = changes(asking, lines)?;
    let deletes = changes.iter().filter(|change| change.action == Action::Delete).count();
    if changes.is_empty() {
        return Err(Place::Body.bad("is empty; send an action a line, and its record behind it"));
    }
    if deletes > 0 && deletes < changes.len() {
        return Err(asking.refuse("deletes and writes are allowed apart from each other: send two requests"));
    }
    let operation = if deletes > 0 { Operation::Delete } else { Operation::Write };
    let ids: Vec<String> = changes.iter().filter_map(|change| change.id.clone()).collect();
    let outer = indices::outer(asking)?;
    let (fence, index) = (asking.fence.clone(), asking.collection.unwrap_or_default().to_owned());
    let mut request = outside(asking)?;
    request.body = None;
    let request = Request { body: None, method: request.method, path: request.path, query: request.query };
    let send = move |own: &HashMap<String, change::Seen>, fence: Fence| {
        let plans = changes.iter().map(|change| {
            let fate = if fence.field.is_some() { change.fate(own) } else { Fate::WithoutId };
            lines_of(change, fate, &outer)
        });
        let plans: Vec<_> = plans.collect();
        let is_sent: Vec<bool> = plans.iter().map(|lines| !lines.is_empty()).collect();
        let lines = plans.concat();
        if lines.is_empty() {
            let mut none = Value::object([("items", Value::Array(Vec::new()))]);
            let body = told_of((&fence, &index), &changes, &is_sent, &mut none)?;
            return Ok(Then::tell(200, body, 0));
        }
        let makes_ids = changes.iter().any(|change| change.id.is_none());
        let sending = Sending::of_lines(&request, &lines).only(makes_ids);
        Ok(Then::send(sending, move |reply| {
            let mut answer = wire::parse(&reply.body)?;
            let body = told_of((&fence, &index), &changes, &is_sent, &mut answer)?;
            Ok(Then::tell(reply.status, body, 0))
        }))
    };
    let first = if fence.field.is_none() || ids.is_empty() {
        send(&HashMap::new(), fence)?
    } else {
        Then::send(document::look(asking, &ids)?, move |reply| {
            let own = change::seen((&fence, operation), &ids, &reply.body)?;
            send(&own, fence)
        })
    };
    Ok(Chain::new(asking, first).of_operation(operation).boxed())
}

/// Deletes what a query finds.
pub(super) fn delete_by_query(asking: &Asking<'_>) -> Begun {
    const KNOWN: [&str; 12] = [
        "allow_no_indices",
        "conflicts",
        "expand_wildcards",
        "ignore_unavailable",
        "max_docs",
        "refresh",
        "requests_per_second",
        "scroll_size",
        "search_timeout",
        "slices",
        "timeout",
        "wait_for_active_shards",
    ];
    members::parameters(asking, &KNOWN)?;
    let body = members::body(asking, &["query", "max_docs"])?;
    members::count(body, "max_docs", &Place::Body)?;
    let place = Place::Body.member("query");
    let given = body.present("query").ok_or_else(|| place.bad("is missing"))?;
    let given = query::check(asking, given, &place)?;
    let mut scoped = body.clone();
    scoped.set("query", query::beside(asking.fence, Some(given.clone())).unwrap_or(given));
    let mut request = outside(asking)?;
    request.body = None;
    // As many more would go each time.
    let is_part = body.present("max_docs").is_some() || asking.request.parameter("max_docs").is_some();
    let sending = Sending { body: wire::written(&scoped), ..Sending::of(&request) }.only(is_part);
    Ok(Chain::once(asking, sending, |reply| {
        let mut answer = wire::parse(&reply.body)?;
        let members = answer.members_mut().ok_or_else(wire::unreadable)?;
        // Texts of failures may be of anybody's records.
        members.retain(|(_, value)| value.digits().is_some() || value.as_bool().is_some());
        answer.set("failures", Value::Array(Vec::new()));
        Ok((wire::written(&answer), 0))
    }))
}
