//! Values that were found once in a request and stand in it elsewhere: a password is known by the words before it, and
//! may be repeated without them, by the client or in what a model answered before. Two placeholders side by side come
//! back as two values side by side, of which redaction may find neither.

use super::{body::Pen, too_much};
use crate::{
    json::{self, Value},
    redact::{Masks, Redactor, Unstable, between_placeholders, is_telling, spellings, stands_for_itself},
    refusal::Refusal,
};
use aho_corasick::{AhoCorasick, MatchKind};

/// So many bytes of values are all looked for; of more, only those that redaction does not find by themselves.
const ALL_BYTES_MAX: usize = 256 << 10;
/// So many bytes of these.
const BYTES_MAX: usize = 1 << 20;
/// So many bytes of them as they are spelled.
const SPELLED_BYTES_MAX: usize = 8 << 20;
/// JSON within strings of JSON within strings…
const NESTED_MAX: usize = 4;

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
        let mut spelled: Vec<(&str, String)> = Vec::new();
        let mut bytes = 0;
        for (placeholder, value) in chosen {
            let all = spellings(value);
            bytes += all.iter().map(String::len).sum::<usize>();
            if bytes > SPELLED_BYTES_MAX {
                return Err(too_much());
            }
            spelled.extend(all.into_iter().map(|value| (placeholder, value)));
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
        let may_be_json = nested < NESTED_MAX && text.trim_start().starts_with(['{', '[', '"']);
        // Without a backslash a value stands in JSON as it is.
        let escapes = may_be_json && memchr::memchr(b'\\', text.as_bytes()).is_some();
        let changed = self.put(text);
        if !may_be_json || (!escapes && changed.is_none()) {
            return changed;
        }
        let Ok(mut value) = json::parse(text.as_bytes(), json::NESTING_MAX) else { return changed };
        if !self.put_in(&mut value, nested + 1) {
            return changed;
        }
        let mut out = Vec::with_capacity(text.len());
        json::write(&value, &mut out);
        String::from_utf8(out).ok().or(changed)
    }

    /// Whether anything was put.
    fn put_in(&self, value: &mut Value<'_>, nested: usize) -> bool {
        match value {
            Value::Array(items) => items.iter_mut().fold(false, |any, item| self.put_in(item, nested) | any),
            Value::Object(members) => members.iter_mut().fold(false, |any, (name, member)| {
                let changed = self.put(name);
                let named = changed.is_some();
                if let Some(changed) = changed {
                    *name = changed.into();
                }
                self.put_in(member, nested) | named | any
            }),
            Value::String(text) => {
                let changed = self.put_anywhere(text, nested);
                changed.map(|changed| *text = changed.into()).is_some()
            }
            Value::Number(digits) => {
                let changed = self.put(digits);
                changed.map(|changed| *value = Value::string(changed)).is_some()
            }
            Value::Bool(_) | Value::Null => false,
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

fn weight(chosen: &[(&str, &str)]) -> usize {
    chosen.iter().map(|(_, value)| value.len()).sum()
}
