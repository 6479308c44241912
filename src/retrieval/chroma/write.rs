//! What is written to Chroma and deleted from it. Ids that a request names are looked at first.

use super::{
    beside,
    read::{ids, select},
    records,
};
use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        Conversation, Fence, Operation, Reply, Sending, Step, Told,
        endpoint::Asking,
        members::{self, Place},
        talk::{OVER, Once},
    },
};
use bytes::Bytes;
use std::collections::{HashMap, HashSet, VecDeque};

type Begun = Result<Box<dyn Conversation>, Refusal>;

const RECORD_LISTS: [&str; 5] = ["ids", "embeddings", "documents", "metadatas", "uris"];

/// What a write does with the ids that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// Ids that are taken are left as they are.
    Add,
    /// Nothing but what is there is changed.
    Update,
    Upsert,
}

pub(super) fn add(asking: &Asking<'_>) -> Begun {
    write(asking, How::Add)
}

pub(super) fn update(asking: &Asking<'_>) -> Begun {
    write(asking, How::Update)
}

pub(super) fn upsert(asking: &Asking<'_>) -> Begun {
    write(asking, How::Upsert)
}

fn write(asking: &Asking<'_>, how: How) -> Begun {
    members::parameters(asking, &[])?;
    let body = members::body(asking, &RECORD_LISTS)?;
    let place = Place::Body.member("ids");
    let ids = ids(body)?.ok_or_else(|| place.bad("is missing"))?;
    let mut seen = HashSet::new();
    if ids.is_empty() || ids.iter().any(|id| !seen.insert(*id)) {
        return Err(place.bad("is empty, or has an id twice"));
    }
    for name in RECORD_LISTS {
        let items = members::items(body, name, &Place::Body)?;
        if items.is_some_and(|items| items.len() != ids.len()) {
            return Err(Place::Body.member(name).bad("is not as long as `ids`"));
        }
    }
    let body = stamped(asking.fence, body, how, ids.len())?;
    if asking.fence.field.is_none() {
        let mut request = asking.request.clone();
        request.body = Some(body);
        return Ok(Once::writing(Sending::of(&request)));
    }
    let ids: Vec<String> = ids.into_iter().map(ToOwned::to_owned).collect();
    Ok(Box::new(Writing {
        fence: asking.fence.clone(),
        operation: asking.operation,
        collection: asking.place("collection_id").to_owned(),
        look: Some(look(asking, &ids)),
        ids,
        then: Then::Records {
            how,
            body: body.into_owned(),
            update: beside(asking, "update", &Value::Null),
            add: beside(asking, "add", &Value::Null),
        },
        left: VecDeque::new(),
    }))
}

/// The records with the tenant's name in each.
fn stamped<'v>(fence: &Fence, body: &'v Value<'v>, how: How, records: usize) -> Result<Value<'v>, Refusal> {
    let place = Place::Body.member("metadatas");
    let mut stamped = body.clone();
    let given = members::items(body, "metadatas", &Place::Body)?;
    if given.is_none() && how == How::Update {
        return Ok(stamped);
    }
    let mut metadatas = given.map_or_else(|| vec![Value::Null; records], <[Value<'_>]>::to_vec);
    for (at, metadata) in metadatas.iter_mut().enumerate() {
        match metadata {
            Value::Object(_) => fence.stamp(metadata),
            // What is not mentioned stays as it is.
            Value::Null if how == How::Update || fence.field.is_none() => {}
            Value::Null => {
                *metadata = Value::Object(Vec::new());
                fence.stamp(metadata);
            }
            _ => return Err(place.item(at).wrong("an object", metadata)),
        }
    }
    if given.is_some() || fence.field.is_some() {
        stamped.set("metadatas", Value::Array(metadatas));
    }
    Ok(stamped)
}

pub(super) fn delete(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    let body = members::body(asking, &["ids", "where", "where_document", "limit"])?;
    let named = ids(body)?;
    if named.is_none() && body.present("where").is_none() && body.present("where_document").is_none() {
        return Err(
            Place::Body.bad("says nothing of what is to be deleted; give `ids`, `where` or `where_document`")
        );
    }
    let sending = beside(asking, "delete", &select(asking, body)?);
    match named {
        Some(ids) if asking.fence.field.is_some() && !ids.is_empty() => {
            let ids: Vec<String> = ids.into_iter().map(ToOwned::to_owned).collect();
            Ok(Box::new(Writing {
                fence: asking.fence.clone(),
                operation: asking.operation,
                collection: asking.place("collection_id").to_owned(),
                look: Some(look(asking, &ids)),
                ids,
                then: Then::Send(sending),
                left: VecDeque::new(),
            }))
        }
        _ => Ok(Once::writing(sending)),
    }
}

/// Whose records have these ids?
fn look(asking: &Asking<'_>, ids: &[String]) -> Sending {
    let ids = ids.iter().map(|id| Value::string(id.clone())).collect();
    let include = Value::Array(vec![Value::string("metadatas")]);
    beside(asking, "get", &Value::object([("ids", Value::Array(ids)), ("include", include)]))
}

/// A write that names ids.
#[derive(Debug)]
struct Writing {
    fence: Fence,
    operation: Operation,
    /// Chroma's id of it.
    collection: String,
    look: Option<Sending>,
    ids: Vec<String>,
    then: Then,
    /// What is still to be sent once the ids were looked at.
    left: VecDeque<Sending>,
}

/// What follows the look at the ids.
#[derive(Debug)]
enum Then {
    Send(Sending),
    /// Records, and where those go that are there and those that are not.
    Records {
        how: How,
        body: Value<'static>,
        update: Sending,
        add: Sending,
    },
    Sent,
}

impl Writing {
    /// What is sent, now that it is known whose the ids are.
    fn decide(&mut self, looked: &Bytes) -> Result<(), Refusal> {
        let owners: HashMap<String, bool> = records::owners(&self.fence, looked)?.into_iter().collect();
        // An id of another's is refused, and so is an answer with ids that nobody asked for.
        let asked: HashSet<&str> = self.ids.iter().map(String::as_str).collect();
        if owners.iter().any(|(id, own)| !own || !asked.contains(id.as_str())) {
            return Err(self.fence.refuse_foreign(self.operation));
        }
        match std::mem::replace(&mut self.then, Then::Sent) {
            Then::Send(sending) => self.left.push_back(sending),
            Then::Records { how: How::Add, body, add, .. } => self.left.push_back(with(add, &body)),
            Then::Records { how, body, update, add } => {
                let is_there: Vec<bool> = self.ids.iter().map(|id| owners.contains_key(id)).collect();
                if is_there.contains(&true) {
                    self.left.push_back(with(update, &part(&body, &is_there, true)));
                }
                if how == How::Upsert && is_there.contains(&false) {
                    self.left.push_back(with(add, &part(&body, &is_there, false)));
                }
            }
            Then::Sent => {}
        }
        Ok(())
    }
}

fn with(sending: Sending, body: &Value<'_>) -> Sending {
    Sending { body: super::read::written(body), ..sending }
}

/// The records that are there, or those that are not.
fn part(body: &Value<'static>, is_there: &[bool], wanted: bool) -> Value<'static> {
    if is_there.iter().all(|there| *there == wanted) {
        return body.clone();
    }
    let mut part = body.clone();
    for name in RECORD_LISTS {
        if let Some(items) = part.get_mut(name).and_then(Value::items_mut) {
            let mut there = is_there.iter();
            items.retain(|_| there.next() == Some(&wanted));
        }
    }
    part
}

impl Conversation for Writing {
    fn next(&mut self, reply: Option<Reply>) -> Result<Step, Refusal> {
        if let Some(look) = self.look.take() {
            return Ok(Step::Send(look));
        }
        let reply = reply.ok_or(OVER)?;
        if !reply.is_success() {
            return Ok(Step::Fail(reply));
        }
        if !matches!(self.then, Then::Sent) {
            self.decide(&reply.body)?;
            // Nothing of what is to be changed is there.
            return Ok(self.left.pop_front().map_or_else(nothing, Step::Send));
        }
        match self.left.pop_front() {
            Some(sending) => Ok(Step::Send(sending)),
            None => Ok(Step::Tell(Told { status: reply.status, body: reply.body })),
        }
    }

    fn claims(&self) -> Vec<String> {
        self.ids.iter().map(|id| format!("{}/{id}", self.collection)).collect()
    }

    fn writes(&self) -> bool {
        true
    }
}

fn nothing() -> Step {
    Step::Tell(Told { status: 200, body: Bytes::from_static(b"{}") })
}
