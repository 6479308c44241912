//! Values that were found once in a request and stand in it elsewhere: a password is known by the words before it, and
//! may be repeated without them, by the client or in what a model answered before. Two placeholders side by side come
//! back as two values side by side, of which redaction may find neither.

use super::{body::Pen, restore::escaped, too_much};
use crate::{
    json::{self, Value},
    redact::{Masks, Redactor, Unstable, between_placeholders, is_telling, stands_for_itself},
    refusal::Refusal,
};
use aho_corasick::{AhoCorasick, MatchKind};
use std::{borrow::Cow, iter};

/// So many bytes of values are all looked for; of more, only those that redaction does not find by themselves.
const ALL_BYTES_MAX: usize = 256 << 10;
/// So many bytes of these.
const BYTES_MAX: usize = 1 << 20;
/// So many bytes of them as they are spelled.
const SPELLED_BYTES_MAX: usize = 8 << 20;
/// As it is, and in strings of JSON within each other.
const SPELLINGS_MAX: usize = 4;

/// Values, each with its placeholder.
pub(super) struct Known {
    values: AhoCorasick,
    placeholders: Vec<Box<str>>,
}

impl Known {
    /// The values of a request. `None` if there are none that tell themselves from other words.
    pub(super) fn of(redactor: &Redactor, masks: &Masks) -> Result<Option<Self>, Refusal> {
        let mut chosen: Vec<_> = masks.iter().filter(|(_, value)| is_telling(value)).collect();
        if weight(&chosen) > ALL_BYTES_MAX {
            let found = |placeholder: &str, value: &str| {
                let masked = redactor.mask(value, "", &mut Masks::default());
                masked.is_ok_and(|masked| masked.as_deref() == Some(placeholder))
            };
            chosen.retain(|(placeholder, value)| !found(placeholder, value));
        }
        if chosen.is_empty() {
            return Ok(None);
        }
        if weight(&chosen) > BYTES_MAX {
            return Err(too_much());
        }
        let spelled: Vec<(&str, Cow<'_, str>)> = chosen
            .iter()
            .flat_map(|(placeholder, value)| spellings(value).map(|value| (*placeholder, value)))
            .collect();
        if spelled.iter().map(|(_, value)| value.len()).sum::<usize>() > SPELLED_BYTES_MAX {
            return Err(too_much());
        }
        let values = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(spelled.iter().map(|(_, value)| value.as_bytes()));
        let values = values.map_err(|_| too_much())?;
        let placeholders = spelled.iter().map(|(placeholder, _)| (*placeholder).into()).collect();
        Ok(Some(Self { values, placeholders }))
    }

    /// The text with placeholders for the values. `None` if none stands there.
    pub(super) fn put(&self, text: &str) -> Option<String> {
        let mut out = String::new();
        let mut from = 0;
        for stretch in between_placeholders(text) {
            for found in self.values.find_iter(text.get(stretch.clone()).unwrap_or_default()) {
                let range = stretch.start + found.start()..stretch.start + found.end();
                if !stands_for_itself(text, &range) {
                    continue;
                }
                out.push_str(text.get(from..range.start).unwrap_or_default());
                out.push_str(self.placeholders.get(found.pattern().as_usize()).map_or("", |name| name));
                from = range.end;
            }
        }
        if from == 0 {
            return None;
        }
        out.push_str(text.get(from..).unwrap_or_default());
        Some(out)
    }
}

impl Known {
    /// The same; a text that is JSON stays JSON.
    fn put_anywhere(&self, text: &str, nested: usize) -> Option<String> {
        let may_be_json = nested < SPELLINGS_MAX && text.trim_start().starts_with(['{', '[']);
        let changed = self.put(text)?;
        let parsed = may_be_json.then(|| json::parse(text.as_bytes(), json::NESTING_MAX).ok()).flatten();
        let Some(mut value) = parsed else { return Some(changed) };
        self.put_in(&mut value, nested + 1);
        let mut out = Vec::with_capacity(text.len());
        json::write(&value, &mut out);
        String::from_utf8(out).ok().or(Some(changed))
    }

    fn put_in(&self, value: &mut Value<'_>, nested: usize) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.put_in(item, nested)),
            Value::Object(members) => {
                for (name, member) in members {
                    if let Some(changed) = self.put(name) {
                        *name = changed.into();
                    }
                    self.put_in(member, nested);
                }
            }
            Value::String(text) => {
                if let Some(changed) = self.put_anywhere(text, nested) {
                    *text = changed.into();
                }
            }
            Value::Number(digits) => {
                if let Some(changed) = self.put(digits) {
                    *value = Value::string(changed);
                }
            }
            Value::Bool(_) | Value::Null => {}
        }
    }
}

impl Pen for Known {
    fn text(&mut self, text: &str, _: &str) -> Result<Option<String>, Unstable> {
        Ok(self.put_anywhere(text, 0))
    }

    fn number(&mut self, digits: &str, _: &str) -> Result<Option<String>, Unstable> {
        Ok(self.put(digits))
    }
}

/// A value as it is, and as it stands in JSON, and in strings of JSON that are JSON.
fn spellings(value: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let next = |before: &Cow<'_, str>| {
        let next = escaped(before);
        (next != *before).then_some(Cow::Owned(next))
    };
    iter::successors(Some(Cow::Borrowed(value)), next).take(SPELLINGS_MAX)
}

fn weight(chosen: &[(&str, &str)]) -> usize {
    chosen.iter().map(|(_, value)| value.len()).sum()
}
