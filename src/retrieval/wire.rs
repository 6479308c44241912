//! JSON on its way to a store and back: an answer that cannot be read cannot be verified.

use crate::{
    json::{self, Value},
    refusal::Refusal,
};
use bytes::Bytes;
use std::borrow::Cow;

const NESTING_MAX: usize = 64;

pub(super) fn unreadable() -> Refusal {
    Refusal::UpstreamError { message: "the store's answer cannot be read, so it cannot be verified" }
}

/// An answer, its vectors unread.
pub(super) fn parse(body: &[u8]) -> Result<Value<'_>, Refusal> {
    json::parse_answer_with_vectors(body, NESTING_MAX).map_err(|_| unreadable())
}

pub(super) fn written(value: &Value<'_>) -> Bytes {
    let mut out = Vec::new();
    json::write(value, &mut out);
    out.into()
}

/// No other members than these, but for empty ones: what is not known cannot be verified.
pub(super) fn only(value: &Value<'_>, known: &[&str]) -> Result<(), Refusal> {
    let members = value.members().ok_or_else(unreadable)?;
    let is_known =
        |(name, member): &(Cow<'_, str>, Value<'_>)| member.is_null() || known.contains(&name.as_ref());
    if members.iter().all(is_known) { Ok(()) } else { Err(unreadable()) }
}
