//! Collections: listed, described, made and changed.

use super::{
    answer::{self, written},
    talk::outer,
};
use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        Conversation, Sending,
        endpoint::Asking,
        members::{self, Place},
        talk::Once,
    },
};

type Begun = Result<Box<dyn Conversation>, Refusal>;

const WRITES: [&str; 3] = ["timeout", "wait", "ordering"];
const CREATE: &[&str] = &[
    "vectors",
    "shard_number",
    "sharding_method",
    "replication_factor",
    "write_consistency_factor",
    "on_disk_payload",
    "payload",
    "id_tracker",
    "hnsw_config",
    "wal_config",
    "optimizers_config",
    "quantization_config",
    "sparse_vectors",
    "strict_mode_config",
    "metadata",
];
const UPDATE: &[&str] = &[
    "vectors",
    "optimizers_config",
    "params",
    "hnsw_config",
    "quantization_config",
    "sparse_vectors",
    "strict_mode_config",
    "metadata",
];

fn sending(asking: &Asking<'_>) -> Sending {
    let mut request = asking.request.clone();
    outer(asking, &mut request.path);
    Sending::of(&request)
}

/// What tells nothing of points.
pub(super) fn plain(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    members::no_body(asking)?;
    Ok(Once::plain(sending(asking)))
}

pub(super) fn exists(asking: &Asking<'_>) -> Begun {
    plain(asking)
}

pub(super) fn list(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    members::no_body(asking)?;
    let fence = asking.fence.clone();
    Ok(Once::retold(sending(asking), move |body| {
        let mut answer = answer::parse(body)?;
        let result = answer.get_mut("result").and_then(|result| result.get_mut("collections"));
        let all = result.and_then(Value::items_mut).ok_or_else(answer::unreadable)?;
        all.retain_mut(|collection| {
            let inner = collection.get("name").and_then(Value::as_str).and_then(|name| fence.inner(name));
            let inner = inner.map(ToOwned::to_owned);
            let is_own = inner.is_some();
            if let Some(inner) = inner {
                collection.set("name", Value::string(inner));
            }
            is_own
        });
        Ok((written(&answer), 0))
    }))
}

/// A collection without its figures: they count the points of all tenants.
pub(super) fn describe(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &[])?;
    members::no_body(asking)?;
    let shared = asking.fence.field.is_some();
    Ok(Once::retold(sending(asking), move |body| {
        if !shared {
            return Ok((body.clone(), 0));
        }
        let mut answer = answer::parse(body)?;
        if let Some(result) = answer.get_mut("result") {
            for name in ["points_count", "indexed_vectors_count", "vectors_count"] {
                if result.get(name).is_some() {
                    result.set(name, Value::Null);
                }
            }
            result.remove("update_queue");
            if let Some(Value::Object(fields)) = result.get_mut("payload_schema") {
                for (_, field) in fields {
                    if field.get("points").is_some() {
                        field.set("points", Value::integer(0));
                    }
                }
            }
        }
        Ok((written(&answer), 0))
    }))
}

pub(super) fn create(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &WRITES)?;
    members::body(asking, CREATE)?;
    Ok(Once::writing(sending(asking)))
}

pub(super) fn update(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &WRITES)?;
    members::body(asking, UPDATE)?;
    Ok(Once::writing(sending(asking)))
}

pub(super) fn drop_collection(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &WRITES)?;
    members::no_body(asking)?;
    Ok(Once::writing(sending(asking)))
}

pub(super) fn index(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &WRITES)?;
    let body = members::body(asking, &["field_name", "field_schema"])?;
    members::text(body, "field_name", &Place::Body)?;
    Ok(Once::writing(sending(asking)))
}

pub(super) fn vector(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &WRITES)?;
    if asking.request.body.as_ref().is_some_and(|body| body.members().is_none()) {
        return Err(Place::Body.bad("is not an object"));
    }
    Ok(Once::writing(sending(asking)))
}

/// Takes away an index, or a vector of all points.
pub(super) fn drop_part(asking: &Asking<'_>) -> Begun {
    drop_collection(asking)
}
