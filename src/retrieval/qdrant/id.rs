//! Ids of points: whole numbers and UUIDs, which may be written in several ways.

use crate::{json::Value, refusal::Refusal, retrieval::members::Place};

/// One way to write an id, for comparing; `None` for what is none.
pub(super) fn key(id: &Value<'_>) -> Option<String> {
    if let Some(number) = id.as_u64() {
        return Some(number.to_string());
    }
    let text = id.as_str()?;
    let text = text.strip_prefix("urn:uuid:").unwrap_or(text);
    let text = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    let hex: String = text.chars().filter(|c| *c != '-').collect::<String>().to_ascii_lowercase();
    (hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(hex)
}

/// Checks that something is an id.
pub(super) fn check(id: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    key(id).map(drop).ok_or_else(|| place.wrong("an id: a whole number or a UUID", id))
}

/// Checks a list of ids.
pub(super) fn check_all<'v, 'r>(value: &'v Value<'r>, place: &Place<'_>) -> Result<&'v [Value<'r>], Refusal> {
    let items = value.items().ok_or_else(|| place.wrong("an array of ids", value))?;
    items.iter().enumerate().try_for_each(|(at, id)| check(id, &place.item(at)))?;
    Ok(items)
}
