//! A whole answer, and a call's arguments: values for the placeholders of its request.

use super::restore::{Placeholders, Spelling, TooLong};
use crate::{
    json::{self, Value},
    refusal::Refusal,
};
use std::borrow::Cow;

/// More than this is not made of an answer.
const WHOLE_BYTES_MAX: usize = 64 << 20;

impl Placeholders {
    /// A whole answer with its values, in the client's dialect. `None`: it stays as it is. What is no JSON is refused
    /// where it is judged.
    pub fn whole(&self, body: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        if !may_hold(body, false) {
            return Ok(None);
        }
        let Ok(mut answer) = json::parse(body, json::NESTING_MAX) else { return Ok(None) };
        let changed = self.members(&mut answer, &mut { WHOLE_BYTES_MAX }).map_err(|TooLong| too_long())?;
        Ok(changed.then(|| {
            let mut out = Vec::with_capacity(body.len());
            json::write(&answer, &mut out);
            out
        }))
    }

    /// Restores the arguments of a call, which are JSON or free text. Whether they are not longer than that.
    pub fn call(&self, text: &mut String, is_json: bool, bytes_max: usize) -> bool {
        let restored = match is_json {
            true => self.arguments(text, &mut { bytes_max }),
            false => self.text(text, Spelling::Plain, &mut { bytes_max }),
        };
        match restored {
            Ok(None) => true,
            Ok(Some(restored)) => {
                let fits = restored.len() <= bytes_max;
                if fits {
                    *text = restored;
                }
                fits
            }
            Err(TooLong) => false,
        }
    }

    /// Restores whatever stands in an object of an answer: arguments as the JSON that they are. Whether it changed.
    pub(super) fn members(&self, value: &mut Value<'_>, room: &mut usize) -> Result<bool, TooLong> {
        match value {
            Value::Array(items) => {
                let mut changed = false;
                for item in items {
                    changed |= self.members(item, room)?;
                }
                Ok(changed)
            }
            Value::Object(members) => {
                let mut changed = false;
                for (name, member) in members {
                    changed |= match (name.as_ref(), &mut *member) {
                        ("arguments" | "partial_json", Value::String(text)) => {
                            let restored = self.arguments(text, room)?;
                            let changed = restored.is_some();
                            if let Some(restored) = restored {
                                *text = Cow::Owned(restored);
                            }
                            changed
                        }
                        // A call's input, or what it does: strings in it may be JSON.
                        ("input" | "arguments" | "action" | "operation", Value::Object(_)) => {
                            self.value(member, room, Some(0))?
                        }
                        _ => self.members(member, room)?,
                    };
                    changed |= self.string(name, room, None)?;
                }
                Ok(changed)
            }
            Value::String(text) => self.string(text, room, None),
            Value::Bool(_) | Value::Null | Value::Number(_) => Ok(false),
        }
    }
}

/// Whether a placeholder may stand in JSON text, or begin at the end of a string of it.
pub(super) fn may_hold(json: &[u8], begun: bool) -> bool {
    memchr::memmem::find(json, b"\\u").is_some()
        || memchr::memchr_iter(b'[', json).any(|at| match json.get(at + 1) {
            Some(b'A'..=b'Z') => true,
            Some(b'"') => begun,
            _ => false,
        })
}

pub(super) fn too_long() -> Refusal {
    Refusal::UpstreamError { message: "the upstream's answer is too long once its values are restored" }
}
