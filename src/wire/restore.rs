//! From placeholders back to values: in a text, in the JSON text of a call's arguments, and how much of a text that goes
//! on could still become a placeholder.

use crate::{
    json::{self, Value},
    redact::Masks,
};
use std::{borrow::Cow, sync::Arc};

/// No placeholder is longer: a name of 64, a token of 16, and what stands around them.
const PLACEHOLDER_BYTES_MAX: usize = 64 + 16 + 3;
/// JSON within strings of JSON within strings…
const NESTED_MAX: usize = 4;

/// The placeholders of one request, and what they stand for. It prints nothing of itself.
#[derive(Debug, Clone)]
pub struct Placeholders(Arc<Inner>);

struct Inner {
    masks: Masks,
    /// In order.
    names: Vec<Box<str>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.masks.fmt(f)
    }
}

/// What came of restoring is more than may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

/// How a value is written where its placeholder stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// As within a JSON string.
    Escaped,
    Plain,
}

impl Placeholders {
    /// `None` where nothing was masked: then there is nothing to restore.
    pub fn of(masks: Masks) -> Option<Self> {
        if masks.is_empty() {
            return None;
        }
        let mut names: Vec<Box<str>> = masks.iter().map(|(name, _)| name.into()).collect();
        names.sort_unstable();
        Some(Self(Arc::new(Inner { masks, names })))
    }

    /// The text with values for its placeholders, as far as there is room for them. `None` if none of these stands there.
    pub(super) fn text(
        &self,
        text: &str,
        spelling: Spelling,
        room: &mut usize,
    ) -> Result<Option<String>, TooLong> {
        let mut out = String::new();
        let mut from = 0;
        for open in memchr::memchr_iter(b'[', text.as_bytes()) {
            let near = text.as_bytes().get(open..).unwrap_or_default();
            let near = near.get(..PLACEHOLDER_BYTES_MAX).unwrap_or(near);
            let Some(length) = memchr::memchr(b']', near).map(|close| close + 1) else { continue };
            let Some(value) = text.get(open..open + length).and_then(|name| self.0.masks.value(name)) else {
                continue;
            };
            out.push_str(text.get(from..open).unwrap_or_default());
            match spelling {
                Spelling::Plain => out.push_str(value),
                Spelling::Escaped => out.push_str(&escaped(value)),
            }
            from = open + length;
            *room = room.checked_sub(value.len()).ok_or(TooLong)?;
        }
        if from == 0 {
            return Ok(None);
        }
        out.push_str(text.get(from..).unwrap_or_default());
        Ok(Some(out))
    }

    /// The same in the text of a call's arguments, which is JSON: values are escaped as deep as they stand. `None` if
    /// nothing changes.
    pub(super) fn arguments(&self, text: &str, room: &mut usize) -> Result<Option<String>, TooLong> {
        self.nested(text, room, 0)
    }

    fn nested(&self, text: &str, room: &mut usize, depth: usize) -> Result<Option<String>, TooLong> {
        // Only with escapes, a string holds JSON, and a placeholder is not written as it is.
        let escapes = depth < NESTED_MAX && memchr::memchr(b'\\', text.as_bytes()).is_some();
        let parsed = if escapes { json::parse(text.as_bytes(), json::NESTING_MAX).ok() } else { None };
        let Some(mut value) = parsed else { return self.text(text, Spelling::Escaped, room) };
        if !self.value(&mut value, room, Some(depth + 1))? {
            return Ok(None);
        }
        let mut out = Vec::new();
        json::write(&value, &mut out);
        Ok(Some(String::from_utf8_lossy(&out).into_owned()))
    }

    /// Restores every string and key of a value; strings that are JSON as such, from a depth of nesting on. Whether
    /// anything changed.
    pub(super) fn value(
        &self,
        value: &mut Value<'_>,
        room: &mut usize,
        nested: Option<usize>,
    ) -> Result<bool, TooLong> {
        match value {
            Value::Array(items) => {
                let mut changed = false;
                for item in items {
                    changed |= self.value(item, room, nested)?;
                }
                Ok(changed)
            }
            Value::Bool(_) | Value::Null | Value::Number(_) => Ok(false),
            Value::Object(members) => {
                let mut changed = false;
                for (name, member) in members {
                    changed |= self.string(name, room, None)?;
                    changed |= self.value(member, room, nested)?;
                }
                Ok(changed)
            }
            Value::String(text) => self.string(text, room, nested),
        }
    }

    /// Restores a string. Whether it changed.
    pub(super) fn string(
        &self,
        text: &mut Cow<'_, str>,
        room: &mut usize,
        nested: Option<usize>,
    ) -> Result<bool, TooLong> {
        let is_json = || {
            text.trim_start().starts_with(['{', '[', '"'])
                && json::parse(text.as_bytes(), json::NESTING_MAX).is_ok()
        };
        let restored = match nested {
            Some(depth) if is_json() => self.nested(text, room, depth)?,
            Some(_) | None => self.text(text, Spelling::Plain, room)?,
        };
        let changed = restored.is_some();
        if let Some(restored) = restored {
            *text = Cow::Owned(restored);
        }
        Ok(changed)
    }

    /// Where that begins at the end of a text which can still become one of these placeholders; the text's length, if
    /// nothing can.
    pub(super) fn open_at(&self, text: &str) -> usize {
        let bytes = text.as_bytes();
        let from = bytes.len().saturating_sub(PLACEHOLDER_BYTES_MAX);
        let last = bytes.get(from..).and_then(|near| memchr::memrchr(b'[', near));
        let Some(open) = last.map(|at| from + at) else { return text.len() };
        let begun = text.get(open..).unwrap_or_default();
        let at = self.0.names.partition_point(|name| &**name < begun);
        let goes_on =
            self.0.names.get(at).is_some_and(|name| name.len() > begun.len() && name.starts_with(begun));
        if goes_on { open } else { text.len() }
    }
}

/// A text as it stands between the quotes of a JSON string.
fn escaped(text: &str) -> String {
    let mut quoted = Vec::with_capacity(text.len() + 2);
    json::write_string(text, &mut quoted);
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    String::from_utf8_lossy(inner).into_owned()
}
