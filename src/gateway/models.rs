//! `GET /v1/models`: what a tenant may ask for, and nothing that tells of other models.

use super::{Body, Visit, answer};
use crate::{
    dialect::Family,
    json::{self, Value},
    policy::glob::{Glob, Globs},
    refusal::Refusal,
};
use http::Response;

/// The models of the tenant and key, in the shape that the client knows.
pub(super) async fn list(visit: &mut Visit) -> Result<Response<Body>, Refusal> {
    visit.check_records().await?;
    let snapshot = visit.snapshot().clone();
    let family = visit.family;
    let asked = visit.asked()?;
    let (tenant, key) = (asked.identity.tenant(), asked.identity.key());
    // What is configured by name, and what the tenant or key names of what a glob is configured for.
    let mut names = snapshot.models.names();
    let listed = tenant.models.iter().chain(key.models.iter().flat_map(Globs::iter)).map(Glob::as_str);
    names.extend(listed.filter(|name| !name.contains(['*', '?']) && snapshot.models.find(name).is_some()));
    names.sort_unstable();
    names.dedup();
    let mine = names.into_iter().filter(|name| tenant.may_use(key, name));
    let mine: Vec<_> = mine.map(|name| model(name, family).into_owned()).collect();
    let list = match family {
        Family::Anthropic => {
            let id = |model: Option<&Value<'static>>| model.and_then(|model| model.get("id")).cloned();
            let (first, last) = (id(mine.first()).unwrap_or_default(), id(mine.last()).unwrap_or_default());
            Value::object([
                ("data", Value::Array(mine)),
                ("has_more", Value::Bool(false)),
                ("first_id", first),
                ("last_id", last),
            ])
        }
        Family::Mcp | Family::OpenAi => {
            Value::object([("object", Value::string("list")), ("data", Value::Array(mine))])
        }
    };
    respond(visit, &list)
}

/// One model; one that is not the tenant's does not exist.
pub(super) async fn one(visit: &mut Visit, id: &str) -> Result<Response<Body>, Refusal> {
    visit.check_records().await?;
    let snapshot = visit.snapshot().clone();
    let asked = visit.asked()?;
    let mine = asked.identity.tenant().may_use(asked.identity.key(), id);
    if !mine || snapshot.models.find(id).is_none() {
        return Err(Refusal::ModelNotFound { model: id.chars().take(256).collect() });
    }
    let model = model(id, visit.family);
    respond(visit, &model)
}

fn model(id: &str, family: Family) -> Value<'_> {
    match family {
        Family::Anthropic => Value::object([
            ("type", Value::string("model")),
            ("id", Value::string(id)),
            ("display_name", Value::string(id)),
            ("created_at", Value::string("1970-01-01T00:00:00Z")),
        ]),
        Family::Mcp | Family::OpenAi => Value::object([
            ("id", Value::string(id)),
            ("object", Value::string("model")),
            ("created", Value::integer(0)),
            ("owned_by", Value::string("tollgate")),
        ]),
    }
}

fn respond(visit: &mut Visit, value: &Value<'_>) -> Result<Response<Body>, Refusal> {
    let mut body = Vec::new();
    json::write(value, &mut body);
    answer::own(visit, body)
}
