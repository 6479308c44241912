//! Changes of records by their ids: what is sent of each, once it is known whose the ids are.

use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{Fence, Operation, wire},
};
use std::collections::HashMap;

/// What is done with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Create,
    Delete,
    Index,
    Update,
}

impl Action {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Index => "index",
            Self::Update => "update",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Create, Self::Delete, Self::Index, Self::Update]
            .into_iter()
            .find(|action| action.as_str() == name)
    }
}

/// The version of a record of the tenant's: what is written holds for it alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) number: String,
    pub(super) term: String,
}

/// The tenant's own of the ids that were looked at. One of another's is refused.
pub(super) fn seen(
    (fence, operation): (&Fence, Operation),
    ids: &[String],
    body: &[u8],
) -> Result<HashMap<String, Seen>, Refusal> {
    let answer = wire::parse(body)?;
    let docs = answer.get("docs").and_then(Value::items).filter(|docs| docs.len() == ids.len());
    let mut own = HashMap::new();
    for (doc, id) in docs.ok_or_else(wire::unreadable)?.iter().zip(ids) {
        if doc.get("_id").and_then(Value::as_str) != Some(id) {
            return Err(wire::unreadable());
        }
        if doc.get("found").and_then(Value::as_bool) != Some(true) {
            continue;
        }
        if !fence.owns(doc.get("_source")) {
            return Err(fence.refuse_foreign(operation));
        }
        let digits = |name: &str| {
            let number = doc.get(name).filter(|number| number.as_u64().is_some())?;
            number.digits().map(ToOwned::to_owned)
        };
        let (number, term) = digits("_seq_no").zip(digits("_primary_term")).ok_or_else(wire::unreadable)?;
        own.insert(id.clone(), Seen { number, term });
    }
    Ok(own)
}

/// One change, as the client wrote it, stamped.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) action: Action,
    pub(super) id: Option<String>,
    /// A record, or what is changed of one; nothing of a delete.
    pub(super) body: Value<'static>,
}

/// What becomes of a change.
#[derive(Debug)]
pub(super) enum Fate {
    /// It holds only for a record that is not there.
    Create(Value<'static>),
    /// There is nothing to change.
    Missing,
    /// It holds only for the record as it was seen.
    OnSeen(Seen),
    /// The store makes an id that is new.
    WithoutId,
}

impl Change {
    pub(super) fn fate(&self, own: &HashMap<String, Seen>) -> Fate {
        let Some(id) = &self.id else { return Fate::WithoutId };
        match (self.action, own.get(id)) {
            (Action::Create, _) | (Action::Index, None) => Fate::Create(self.body.clone()),
            (_, Some(seen)) => Fate::OnSeen(seen.clone()),
            (Action::Delete, None) => Fate::Missing,
            (Action::Update, None) => {
                let doc_as_upsert = self.body.get("doc_as_upsert").and_then(Value::as_bool) == Some(true);
                let made = self.body.present(if doc_as_upsert { "doc" } else { "upsert" });
                made.map_or(Fate::Missing, |made| Fate::Create(made.clone()))
            }
        }
    }

    /// What the client is told of a change of nothing.
    pub(super) fn missing(&self, index: &str) -> Value<'static> {
        let id = self.id.clone().unwrap_or_default();
        let mut told =
            Value::object([("_index", Value::string(index.to_owned())), ("_id", Value::string(id))]);
        if self.action == Action::Delete {
            told.set("result", Value::string("not_found"));
        } else {
            let error = [("type", "document_missing_exception"), ("reason", "there is no such record")];
            told.set("error", Value::object(error.map(|(name, text)| (name, Value::string(text)))));
        }
        told.set("status", Value::integer(404));
        told
    }
}
