//! Requests of Responses: what each offers and chooses, what its input says, what is refused, what is left of it.

mod input;
mod left;
mod offers;
mod refused;

use crate::{
    dialect::{Api, Request, tests::request},
    refusal::Refusal,
};
use serde_json::{Value, json};

/// Understands a request of these members beside its model.
fn with<T>(members: &Value, read: impl FnOnce(Result<Request<'_>, Refusal>) -> T) -> T {
    request::with(Api::Responses, &json!({ "model": "gpt-5" }), members, read)
}

fn offered(members: &Value) -> Vec<(String, Option<Value>)> {
    with(members, |request| request::offered(&request.unwrap()))
}

fn function(name: &str) -> Value {
    json!({ "type": "function", "name": name, "parameters": { "type": "object" } })
}

fn server(label: &str) -> Value {
    json!({ "type": "mcp", "server_label": label, "server_url": format!("https://{label}"), "require_approval": "never" })
}

fn namespace(tools: &Value) -> Value {
    json!({ "type": "namespace", "name": "shop", "tools": tools })
}

#[track_caller]
fn refused(members: &Value, param: &str) {
    with(members, |request| match request.unwrap_err() {
        refusal @ Refusal::Invalid { .. } => {
            assert_eq!((refusal.status(), refusal.param()), (400, Some(param)), "{members}");
        }
        other => panic!("{other:?} for {members}"),
    });
}

/// An input of a message and this item.
fn input(item: &Value) -> Value {
    json!({ "input": [{ "role": "user", "content": "hi" }, item] })
}
