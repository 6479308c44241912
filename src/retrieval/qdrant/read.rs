//! Points by id and page by page, and what is counted of them.

use super::{
    answer::{self, Shape, Verifier},
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
use http::Method;

type Begun = Result<Box<dyn Conversation>, Refusal>;

const READS: [&str; 2] = ["consistency", "timeout"];
/// How many points a page has where the client does not say.
const PAGE: u64 = 10;

/// The body with the tenant's clause in its filter.
fn filtered<'v>(asking: &Asking<'v>, body: &'v Value<'v>) -> Result<Value<'v>, Refusal> {
    let given = body.present("filter");
    if let Some(given) = given {
        filter::check(asking, given, &Place::Body.member("filter"))?;
    }
    let mut filtered = body.clone();
    if let Some(forced) = filter::forced(asking.fence, given) {
        filtered.set("filter", forced);
    }
    Ok(filtered)
}

pub(super) fn scroll(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &READS)?;
    let known = ["shard_key", "offset", "limit", "filter", "with_payload", "with_vector", "order_by"];
    let body = members::body(asking, &known)?;
    let mut scoped = filtered(asking, body)?;
    let limit = members::count(body, "limit", &Place::Body)?.unwrap_or(PAGE);
    if let Some(offset) = body.present("offset") {
        id::check(offset, &Place::Body.member("offset"))?;
    }
    let shows = answer::ask_for_payload(asking.fence, &mut scoped, true)?;
    // The next page is told by a point that was verified: one more is asked for. What is ordered has no next page.
    let page = body.present("order_by").is_none().then(|| usize::try_from(limit).unwrap_or(usize::MAX));
    if page.is_some() && asking.fence.field.is_some() {
        scoped.set("limit", Value::integer(limit.saturating_add(1)));
    }
    let verifier = Verifier {
        fence: asking.fence.clone(),
        shape: Shape::Page,
        batch: false,
        shows: vec![shows],
        by_id: false,
        page,
    };
    Ok(Talk::new(asking, Some(&scoped)).retold(Retell::Verified(verifier)).boxed())
}

pub(super) fn points(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &READS)?;
    let body = members::body(asking, &["shard_key", "ids", "with_payload", "with_vector"])?;
    let place = Place::Body.member("ids");
    id::check_all(body.get("ids").unwrap_or(&Value::Null), &place)?;
    let mut scoped = body.clone();
    let shows = answer::ask_for_payload(asking.fence, &mut scoped, true)?;
    let verifier = Verifier {
        fence: asking.fence.clone(),
        shape: Shape::List,
        batch: false,
        shows: vec![shows],
        by_id: true,
        page: None,
    };
    Ok(Talk::new(asking, Some(&scoped)).retold(Retell::Verified(verifier)).boxed())
}

/// One point: asked for in a list of one, in which it is verified.
pub(super) fn point(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &READS)?;
    members::no_body(asking)?;
    let text = asking.place("id");
    let is_number = !text.is_empty() && text.len() < 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    let id = match text.parse::<u64>() {
        Ok(number) if is_number => Value::integer(number),
        _ => Value::string(text.to_owned()),
    };
    id::check(&id, &Place::Body.member("id"))?;
    let body = Value::object([
        ("ids", Value::Array(vec![id.clone()])),
        ("with_payload", Value::Bool(true)),
        ("with_vector", Value::Bool(true)),
    ]);
    let shows = vec![answer::Shows::All];
    let verifier = Verifier {
        fence: asking.fence.clone(),
        shape: Shape::List,
        batch: false,
        shows,
        by_id: true,
        page: None,
    };
    let talk = Talk::new(asking, Some(&body)).to(Method::POST, "/points");
    Ok(talk.retold(Retell::One { id, verifier }).boxed())
}

pub(super) fn count(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &READS)?;
    let body = members::body(asking, &["shard_key", "filter", "exact"])?;
    members::flag(body, "exact", &Place::Body)?;
    Ok(Talk::new(asking, Some(&exact(filtered(asking, body)?))).counting().boxed())
}

pub(super) fn facet(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &READS)?;
    let body = members::body(asking, &["shard_key", "key", "limit", "filter", "exact"])?;
    members::flag(body, "exact", &Place::Body)?;
    members::count(body, "limit", &Place::Body)?;
    members::text(body, "key", &Place::Body)?.ok_or_else(|| Place::Body.bad("has no `key`"))?;
    Ok(Talk::new(asking, Some(&exact(filtered(asking, body)?))).counting().boxed())
}

/// Counts one by one: an estimate is made of the whole collection, other tenants' records among it.
fn exact(mut body: Value<'_>) -> Value<'_> {
    body.set("exact", Value::Bool(true));
    body
}

pub(super) fn matrix(asking: &Asking<'_>) -> Begun {
    members::parameters(asking, &READS)?;
    let body = members::body(asking, &["shard_key", "filter", "sample", "limit", "using"])?;
    for name in ["sample", "limit"] {
        members::count(body, name, &Place::Body)?;
    }
    members::text(body, "using", &Place::Body)?;
    let talk = Talk::new(asking, Some(&filtered(asking, body)?));
    Ok(talk.naming(Named::Examples, Vec::new()).retold(Retell::Matrix).boxed())
}
