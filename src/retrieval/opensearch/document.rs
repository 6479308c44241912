//! Records by their ids. They are asked for in a list, in which one that is not there and another tenant's answer alike.

use super::{
    answer,
    indices::{self, check_name, outside},
    source::{self, Shows},
};
use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        Conversation, Reply, Sending,
        chain::{Chain, Then},
        endpoint::{Asking, Begun},
        members::{self, Place},
        wire,
    },
};
use bytes::Bytes;

const PARAMETERS: [&str; 8] = [
    "_source",
    "_source_includes",
    "_source_excludes",
    "_source_include",
    "_source_exclude",
    "preference",
    "realtime",
    "refresh",
];

/// A record that is asked for.
fn asked<'v>(id: &str, wanted: Option<Value<'v>>) -> Value<'v> {
    let mut asked = Value::object([("_id", Value::string(id.to_owned()))]);
    if let Some(wanted) = wanted {
        asked.set("_source", wanted);
    }
    asked
}

/// A list of records that are asked for, and what the client is told of them.
fn ask(
    asking: &Asking<'_>,
    docs: Vec<Value<'_>>,
    tell: impl FnOnce(&Reply, Vec<Value<'static>>) -> Then + Send + 'static,
    shows: Vec<Shows>,
) -> Result<Box<dyn Conversation>, Refusal> {
    let mut request = outside(asking)?;
    source::take(&mut request);
    let outer = indices::outer(asking)?;
    let ids: Vec<String> = docs.iter().filter_map(|doc| Some(doc.get("_id")?.as_str()?.to_owned())).collect();
    let body = Value::object([("docs", Value::Array(docs))]);
    let mut sending = indices::beside(&outer, "_mget", &body);
    request.path.clear();
    if let Some(query) = request.target().strip_prefix('/') {
        sending.target.push_str(query);
    }
    let fence = asking.fence.clone();
    let main = Then::send(sending, move |reply| {
        let mut answer = wire::parse(&reply.body)?;
        wire::only(&answer, &["docs"])?;
        let found = answer.get_mut("docs").and_then(Value::items_mut).map(std::mem::take);
        let found = found.filter(|found| found.len() == ids.len()).ok_or_else(wire::unreadable)?;
        let mut told = Vec::new();
        for ((doc, id), shows) in found.into_iter().zip(&ids).zip(shows) {
            if doc.get("_id").and_then(Value::as_str) != Some(id) {
                return Err(wire::unreadable());
            }
            told.push(answer::document(&fence, doc, shows));
        }
        Ok(tell(&reply, told))
    });
    Ok(Chain::new(asking, main).boxed())
}

fn one(asking: &Asking<'_>, tell: impl FnOnce(&Value<'static>) -> Bytes + Send + 'static) -> Begun {
    members::parameters(asking, &PARAMETERS)?;
    members::no_body(asking)?;
    let mut holder = Value::Object(Vec::new());
    if let Some(wanted) = source::take(&mut asking.request.clone()) {
        holder.set("_source", wanted);
    }
    let shows = source::ask_for(asking.fence, &mut holder, &Place::Body)?;
    let docs = vec![asked(asking.place("id"), holder.remove("_source"))];
    let tell = |_: &Reply, mut docs: Vec<Value<'static>>| {
        let doc = docs.pop().unwrap_or_default();
        let found = doc.get("found").and_then(Value::as_bool) == Some(true);
        Then::tell(if found { 200 } else { 404 }, tell(&doc), 0)
    };
    ask(asking, docs, tell, vec![shows])
}

pub(super) fn get(asking: &Asking<'_>) -> Begun {
    one(asking, wire::written)
}

pub(super) fn exists(asking: &Asking<'_>) -> Begun {
    one(asking, |_| Bytes::new())
}

/// The source alone.
pub(super) fn source(asking: &Asking<'_>) -> Begun {
    one(asking, |doc| {
        let missing = || {
            let error = [("type", "resource_not_found_exception"), ("reason", "there is no such record")];
            let error = Value::object(error.map(|(name, text)| (name, Value::string(text))));
            Value::object([("error", error), ("status", Value::integer(404))])
        };
        wire::written(&doc.get("_source").cloned().unwrap_or_else(missing))
    })
}

pub(super) fn several(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &PARAMETERS)?;
    let body = members::body(asking, &["ids", "docs"])?;
    let all = source::take(&mut asking.request.clone());
    let (mut docs, mut shows) = (Vec::new(), Vec::new());
    let mut add = |id: &Value<'_>, wanted: Option<Value<'static>>, place: &Place<'_>| {
        let id = id.as_str().ok_or_else(|| place.wrong("a string", id))?;
        let mut holder = Value::Object(Vec::new());
        if let Some(wanted) = wanted.or_else(|| all.clone()) {
            holder.set("_source", wanted);
        }
        shows.push(source::ask_for(asking.fence, &mut holder, place)?);
        docs.push(asked(id, holder.remove("_source")));
        Ok::<_, Refusal>(())
    };
    let place = Place::Body.member("ids");
    for (at, id) in members::items(body, "ids", &Place::Body)?.unwrap_or_default().iter().enumerate() {
        add(id, None, &place.item(at))?;
    }
    let place = Place::Body.member("docs");
    for (at, doc) in members::items(body, "docs", &Place::Body)?.unwrap_or_default().iter().enumerate() {
        let here = place.item(at);
        members::object(asking, doc, &here, &["_id", "_index", "_source"])?;
        check_name(asking, doc.get("_index"), &here)?;
        let wanted = doc.present("_source").cloned().map(Value::into_owned);
        add(doc.get("_id").unwrap_or(&Value::Null), wanted, &here)?;
    }
    if docs.is_empty() {
        return Err(Place::Body.bad("names no record"));
    }
    let tell = |reply: &Reply, docs: Vec<Value<'static>>| {
        Then::tell(reply.status, wire::written(&Value::object([("docs", Value::Array(docs))])), 0)
    };
    ask(asking, docs, tell, shows)
}

/// Whose records have these ids?
pub(super) fn look(asking: &Asking<'_>, ids: &[String]) -> Result<Sending, Refusal> {
    let field = asking.fence.field.as_deref().unwrap_or_default();
    let wanted = || Value::Array(vec![Value::string(field.to_owned())]);
    let docs = ids.iter().map(|id| asked(id, Some(wanted()))).collect();
    Ok(indices::beside(&indices::outer(asking)?, "_mget", &Value::object([("docs", Value::Array(docs))])))
}
