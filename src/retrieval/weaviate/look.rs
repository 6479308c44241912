//! What the store is asked before anything is done: whose ids are, whether a class tells tenants apart exactly, and
//! whether the store keeps to filters.

use super::{class, filter, print, target};
use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{Fence, Operation, Reply, Sending, chain::Then, endpoint::Asking, fence::NOBODY, wire},
};
use bytes::Bytes;
use http::Method;
use std::collections::HashMap;

/// A question, on its way.
pub(super) fn sending(form: &Value<'_>) -> Result<Sending, Refusal> {
    let unwritten = || Refusal::invalid("the query holds what cannot be written in GraphQL", Some("query"));
    let text = print::print(form).ok_or_else(unwritten)?;
    let body = Value::object([("query", Value::string(text))]);
    Ok(Sending::new(Method::POST, "/v1/graphql".to_owned(), wire::written(&body)))
}

/// What a question is answered with.
pub(super) enum Answer<'v> {
    /// The store refused it: that it does with 200, too.
    Fails(Reply),
    Rows(Vec<Value<'v>>),
}

/// The rows of an answer, of this root and class alone.
pub(super) fn rows<'r>(reply: &'r Reply, root: &str, class: &str) -> Result<Answer<'r>, Refusal> {
    let mut answer = wire::parse(&reply.body)?;
    wire::only(&answer, &["data", "errors"])?;
    if let Some(first) = answer.get("errors").and_then(Value::items).and_then(<[_]>::first) {
        return Ok(Answer::Fails(failed(
            422,
            first.get("message").and_then(Value::as_str).unwrap_or_default(),
        )));
    }
    let mut found = answer.get_mut("data").ok_or_else(wire::unreadable)?;
    for name in [root, class] {
        wire::only(found, &[name])?;
        found = found.get_mut(name).ok_or_else(wire::unreadable)?;
    }
    match std::mem::take(found) {
        Value::Null => Ok(Answer::Rows(Vec::new())),
        Value::Array(rows) => Ok(Answer::Rows(rows)),
        _ => Err(wire::unreadable()),
    }
}

/// A refusal of the store's, or what the client is to take for one.
pub(super) fn failed(status: u16, message: &str) -> Reply {
    let error = Value::object([("message", Value::string(message))]);
    let body = Value::object([("error", Value::Array(vec![error]))]);
    Reply { status, body: if message.is_empty() { Bytes::new() } else { wire::written(&body) } }
}

/// How a class is asked: the arguments that every question has, and what it shows.
fn question(
    root: &'static str,
    (class, tenant): (&str, Option<&str>),
    (filter, limit): (Value<'static>, usize),
    fields: Vec<Value<'static>>,
) -> Value<'static> {
    let mut form = Value::object([("root", Value::string(root)), ("class", Value::string(class.to_owned()))]);
    if let Some(tenant) = tenant {
        form.set("tenant", Value::string(tenant.to_owned()));
    }
    form.set("where", filter);
    if limit > 0 {
        form.set("limit", Value::integer(u64::try_from(limit).unwrap_or(u64::MAX)));
    }
    form.set("fields", Value::Array(fields));
    form
}

/// Whose records have these ids?
pub(super) fn at_ids(fence: &Fence, class: &str, ids: &[String]) -> Result<Sending, Refusal> {
    let id = Value::object([
        ("name", Value::string("_additional")),
        ("fields", Value::Array(vec![Value::string("id")])),
    ]);
    let own = fence.field.as_deref().map(|field| Value::string(field.to_owned()));
    let fields = own.into_iter().chain([id]).collect();
    sending(&question("Get", (class, fence.prefix.as_deref()), (filter::among(ids), ids.len()), fields))
}

/// Which of the ids that were looked at are there, and whether they are the tenant's; else what ends the conversation.
pub(super) fn seen(
    fence: &Fence,
    (class, ids): (&str, &[String]),
    reply: &Reply,
) -> Result<Result<HashMap<String, bool>, Reply>, Refusal> {
    let rows = match rows(reply, "Get", class)? {
        Answer::Fails(reply) => return Ok(Err(reply)),
        Answer::Rows(rows) => rows,
    };
    let mut seen = HashMap::new();
    for row in &rows {
        let id = row.get("_additional").and_then(|shown| shown.get("id")?.as_str()).and_then(super::uuid);
        // Who answers for others may not have answered for these.
        let id = id.filter(|id| ids.contains(id)).ok_or_else(wire::unreadable)?;
        if seen.insert(id, fence.owns(Some(row))).is_some() {
            return Err(wire::unreadable());
        }
    }
    Ok(Ok(seen))
}

/// Goes on once it is known that none of these ids is another's.
pub(super) fn none_foreign(asking: &Asking<'_>, ids: Vec<String>, next: Then) -> Result<Then, Refusal> {
    if asking.fence.field.is_none() || ids.is_empty() {
        return Ok(next);
    }
    let (fence, operation, class) = (asking.fence.clone(), asking.operation, class(asking)?.to_owned());
    Ok(Then::send(at_ids(&fence, &class, &ids)?, move |reply| match seen(&fence, (&class, &ids), &reply)? {
        Err(reply) => Ok(Then::Fail(reply)),
        Ok(seen) if seen.values().all(|own| *own) => Ok(next),
        Ok(_) => Err(fence.refuse_foreign(operation)),
    }))
}

/// Goes on once it is known that the class tells tenants apart exactly.
pub(super) fn exactly(asking: &Asking<'_>, next: Then) -> Result<Then, Refusal> {
    if asking.fence.field.is_none() {
        return Ok(next);
    }
    let (fence, operation) = (asking.fence.clone(), asking.operation);
    let sending = Sending::new(Method::GET, target(&["v1", "schema", class(asking)?]), Bytes::new());
    Ok(Then::send(sending, move |reply| {
        let class = wire::parse(&reply.body)?;
        if is_exact(&fence, &class) { Ok(next) } else { Err(inexact(&fence, operation)) }
    }))
}

fn is_exact(fence: &Fence, class: &Value<'_>) -> bool {
    let Some(field) = fence.field.as_deref() else { return true };
    let mut properties = class.get("properties").and_then(Value::items).unwrap_or_default().iter();
    let property = properties.find(|property| property.get("name").and_then(Value::as_str) == Some(field));
    property.is_some_and(|property| {
        let kinds = property.get("dataType").and_then(Value::items);
        let is_text =
            matches!(kinds, Some([kind]) if kind.as_str() == Some("text") || kind.as_str() == Some("string"));
        is_text && property.get("tokenization").and_then(Value::as_str) == Some("field")
    })
}

fn inexact(fence: &Fence, operation: Operation) -> Refusal {
    let field = fence.field.as_deref().unwrap_or_default();
    fence.refuse(
        operation,
        format!("the class does not tell tenants apart exactly: make `{field}` a property of `text` with `tokenization: field`"),
    )
}

/// How many records a question counts.
pub(super) fn counting(fence: &Fence, class: &str, filter: Option<Value<'_>>) -> Result<Sending, Refusal> {
    let count = Value::object([
        ("name", Value::string("meta")),
        ("fields", Value::Array(vec![Value::string("count")])),
    ]);
    let filter = filter.map_or(Value::Null, Value::into_owned);
    sending(&question("Aggregate", (class, fence.prefix.as_deref()), (filter, 0), vec![count]))
}

pub(super) fn counted(class: &str, reply: &Reply) -> Result<Result<u64, Reply>, Refusal> {
    match rows(reply, "Aggregate", class)? {
        Answer::Fails(reply) => Ok(Err(reply)),
        Answer::Rows(rows) => {
            let [row] = rows.as_slice() else { return Err(wire::unreadable()) };
            wire::only(row, &["meta"])?;
            let count = row.get("meta").and_then(|meta| meta.get("count")?.as_u64());
            count.map(Ok).ok_or_else(wire::unreadable)
        }
    }
}

/// Goes on once it is known that the store finds nothing for a name that nobody has.
pub(super) fn filtered(asking: &Asking<'_>, next: Then) -> Result<Then, Refusal> {
    let fence = asking.fence;
    if fence.field.is_none() {
        return Ok(next);
    }
    let class = class(asking)?.to_owned();
    let sending = counting(fence, &class, filter::forced_to(fence, NOBODY, None))?;
    Ok(Then::send(sending, move |reply| match counted(&class, &reply)? {
        Err(reply) => Ok(Then::Fail(reply)),
        Ok(0) => Ok(next),
        Ok(alien) => Ok(Then::IgnoresFilters(alien)),
    }))
}
