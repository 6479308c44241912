//! Vectors are most of what is sent to a store and back, and nobody here looks at them: they are checked and stay text.

use crate::{
    json::{self, Value},
    refusal::Refusal,
    tool_api,
};
use std::borrow::Cow;

/// Members that hold a vector where they hold an array of numbers.
const VECTORS: [&str; 9] = [
    "embedding",
    "embeddings",
    "indices",
    "nearest",
    "query",
    "query_embeddings",
    "target",
    "values",
    "vector",
];
/// Members that hold vectors by name.
const NAMED: [&str; 2] = ["vector", "vectors"];

/// The JSON of a body for a store; `None` where there is none.
pub fn body(bytes: &[u8], nesting_max: usize) -> Result<Option<Value<'_>>, Refusal> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut body = json::parse_with_vectors(bytes, nesting_max).map_err(tool_api::bad_body)?;
    expand(&mut body, false);
    Ok(Some(body))
}

/// Makes arrays of numbers what they are, but for vectors.
fn expand(value: &mut Value<'_>, named: bool) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member.vector() {
                    Some(_) if named || VECTORS.contains(&name.as_ref()) => {}
                    Some(_) => array(member),
                    None => expand(member, NAMED.contains(&name.as_ref())),
                }
            }
        }
        // A vector among others stays what it is.
        Value::Array(items) => {
            items.iter_mut().filter(|item| item.vector().is_none()).for_each(|item| expand(item, false));
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
    }
}

/// The items of an array of numbers that is text so far.
fn array(value: &mut Value<'_>) {
    let Value::Number(text) = value else { return };
    let digits = |part: &str| Value::Number(Cow::Owned(part.trim().to_owned()));
    let inner = text.trim_start_matches('[').trim_end_matches(']');
    let items = inner.split(',').map(digits).collect();
    *value = Value::Array(items);
}
