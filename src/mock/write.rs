//! JSON objects written member by member, in the order in which providers write them: a map would sort its keys, and
//! a gateway that knows plain events again by their bytes would never meet them.

use serde_json::Value;

/// `{"key":value,…}`; the values are JSON already.
pub(super) fn object<'a>(members: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let members: Vec<String> =
        members.into_iter().map(|(key, value)| format!("{}:{value}", text(key))).collect();
    format!("{{{}}}", members.join(","))
}

/// `[value,…]`; the values are JSON already.
pub(super) fn list(values: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", values.into_iter().collect::<Vec<_>>().join(","))
}

/// A string as JSON.
pub(super) fn text(text: &str) -> String {
    Value::from(text).to_string()
}
