//! `POST /admin/explain` and `GET /admin/rule`: a typed call explained under the configuration that runs, and a rule in
//! the words of its file.

use super::{Failed, query::Query};
use crate::{
    call::{Arguments, Place},
    config::{Excerpt, Texts, test_cases},
    gateway::Gateway,
    identity::Member,
    json::{self, Value},
    offline::{
        Asker, Call,
        explain::{PLACES, Told},
    },
    snapshot::Snapshot,
};
use http::StatusCode;

pub(super) const RULE_PARAMETERS: [&str; 2] = ["tenant", "rule"];
const MEMBERS: [&str; 5] = ["tenant", "key", "tool", "args", "place"];

fn bad(message: impl Into<String>) -> Failed {
    (StatusCode::BAD_REQUEST, message.into())
}

fn missing(what: &str, name: &str, known: impl Iterator<Item = impl AsRef<str>>) -> Failed {
    let known: Vec<String> = known.map(|known| known.as_ref().to_owned()).collect();
    let message = test_cases::no_such(what, name, known.iter().map(String::as_str));
    (StatusCode::NOT_FOUND, message)
}

fn member<'s>(snapshot: &'s Snapshot, name: &str) -> Result<&'s Member, Failed> {
    let names = snapshot.directory.iter().map(|member| member.tenant().id.as_str());
    snapshot.directory.find(name).ok_or_else(|| missing("there is no tenant", name, names))
}

/// Explains a call: `{"tenant", "tool", "key"?, "args"?, "place"?}`. `now` in seconds since 1970, UTC.
pub(super) fn explain(
    gateway: &Gateway,
    texts: Option<&Texts>,
    body: &[u8],
    now: i64,
) -> Result<Value<'static>, Failed> {
    let body = json::parse(body, json::NESTING_MAX);
    let body = body.map_err(|error| bad(format!("the body is not JSON: {error}")))?;
    let members = body.members().ok_or_else(|| bad("the body is a call, as an object"))?;
    if let Some((name, _)) = members.iter().find(|(name, _)| !MEMBERS.contains(&&**name)) {
        let name = crate::config::quoted_key(name);
        return Err(bad(format!("{name} is no part of a call: it has `{}`", MEMBERS.join("`, `"))));
    }
    let text = |name: &str| match body.present(name) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or_else(|| bad(format!("`{name}` is a text"))),
    };
    let needed = |name: &str| {
        let found = text(name)?.filter(|text| !text.is_empty());
        found.ok_or_else(|| bad(format!("`{name}` is missing")))
    };
    let (tenant, tool) = (needed("tenant")?, needed("tool")?);
    let snapshot = gateway.snapshot.load_full();
    let member = member(&snapshot, tenant)?;
    let key = text("key")?.filter(|key| !key.is_empty()).map(|id| {
        let ids = member.keys().map(|key| key.id.as_str());
        member.key(id).ok_or_else(|| missing(&format!("the tenant `{tenant}` has no key"), id, ids))
    });
    // That an argument is null is something else than that there are none.
    let args = body.get("args").map_or(Arguments::Open, |args| Arguments::of(args.clone().into_owned()));
    let otherwise = if args == Arguments::Open { Place::Offered } else { Place::Emitted };
    let place = match text("place")?.filter(|place| !place.is_empty()) {
        None => otherwise,
        Some(name) => {
            let found = PLACES.into_iter().find(|place| place.as_str() == name);
            found.ok_or_else(|| bad("`place` is `offered`, `emitted`, `mcp` or `http`"))?
        }
    };
    let asker = Asker::new(&snapshot, member.tenant(), key.transpose()?);
    let told = Told::of(asker, &Call { tool, args: &args, place, now }, &PLACES);
    let mut answer = told.json();
    answer.set("config", Value::string(snapshot.hash.to_string()));
    let texts = texts.filter(|texts| texts.hash() == &*snapshot.hash);
    if let Some(rules) = answer.get_mut("rules").and_then(Value::items_mut) {
        for rule in rules {
            let place = rule.get("rule").and_then(Value::as_str).unwrap_or_default();
            let found = texts.and_then(|texts| texts.rule(place));
            rule.set("yaml", yaml(found.as_ref()));
        }
    }
    Ok(answer)
}

/// A rule of a tenant's, as it stands in its file (`?tenant=acme&rule=tenants/acme.yaml:14`).
pub(super) fn rule(
    gateway: &Gateway,
    texts: Option<&Texts>,
    query: &Query,
) -> Result<Value<'static>, Failed> {
    let needed = |name: &str| query.given(name).ok_or_else(|| bad(format!("`{name}` is missing")));
    let (tenant, place) = (needed("tenant")?, needed("rule")?);
    let snapshot = gateway.snapshot.load_full();
    let tenant = member(&snapshot, tenant)?.tenant();
    // Only a rule of this tenant's: the place is no way to read other lines.
    let rule = tenant.policy.rules().iter().find(|rule| rule.source.to_string() == place);
    let rule = rule.ok_or_else(|| {
        let message = format!("the tenant `{}` has no rule there in the configuration that runs", tenant.id);
        (StatusCode::NOT_FOUND, message)
    })?;
    let texts = texts.filter(|texts| texts.hash() == &*snapshot.hash);
    let found = texts.and_then(|texts| texts.rule(place));
    Ok(Value::object([
        ("tenant", Value::string(tenant.id.to_string())),
        ("rule", Value::string(place.to_owned())),
        ("effect", Value::string(rule.effect.as_str())),
        ("config", Value::string(snapshot.hash.to_string())),
        ("yaml", yaml(found.as_ref())),
    ]))
}

fn yaml(excerpt: Option<&Excerpt>) -> Value<'static> {
    excerpt.map_or(Value::Null, |excerpt| {
        let lines = excerpt.lines.iter().map(|line| Value::string(line.clone())).collect();
        Value::object([("first", Value::integer(u64::from(excerpt.first))), ("lines", Value::Array(lines))])
    })
}
