//! Values that were found once in a request and stand in it elsewhere: a password is known by the words before it, and
//! may be repeated without them, by the client or in what a model answered before. Two placeholders side by side come
//! back as two values side by side, of which redaction may find neither.

use super::{body::Pen, too_much};
use crate::{
    redact::{Masks, Redactor, Unstable, between_placeholders},
    refusal::Refusal,
};
use aho_corasick::{AhoCorasick, MatchKind};
use std::ops::Range;

/// So many bytes of values are all looked for; of more, only those that redaction does not find by themselves.
const ALL_BYTES_MAX: usize = 256 << 10;
/// So many bytes of these.
const BYTES_MAX: usize = 1 << 20;
/// A shorter value may be any word.
const VALUE_BYTES_MIN: usize = 6;
/// A longer one is told from any other text: it counts within a word too. One of small letters has to be as long.
const TELLING: usize = 12;

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
        let values = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(chosen.iter().map(|(_, value)| value));
        match values {
            Ok(values) => {
                let placeholders = chosen.iter().map(|(placeholder, _)| (*placeholder).into()).collect();
                Ok(Some(Self { values, placeholders }))
            }
            Err(_) => Err(too_much()),
        }
    }

    /// The text with placeholders for the values. `None` if none stands there.
    pub(super) fn put(&self, text: &str) -> Option<String> {
        let mut out = String::new();
        let mut from = 0;
        for stretch in between_placeholders(text) {
            for found in self.values.find_iter(text.get(stretch.clone()).unwrap_or_default()) {
                let range = stretch.start + found.start()..stretch.start + found.end();
                if range.len() < TELLING && !stands_alone(text, &range) {
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

impl Pen for Known {
    fn text(&mut self, text: &str, _: &str) -> Result<Option<String>, Unstable> {
        Ok(self.put(text))
    }

    fn number(&mut self, _: &str, _: &str) -> Result<Option<String>, Unstable> {
        Ok(None)
    }
}

fn is_telling(value: &str) -> bool {
    let letters = value.bytes().all(|byte| byte.is_ascii_lowercase());
    value.len() >= if letters { TELLING } else { VALUE_BYTES_MIN }
}

fn weight(chosen: &[(&str, &str)]) -> usize {
    chosen.iter().map(|(_, value)| value.len()).sum()
}

/// Whether no letter or digit goes on where the value begins or ends with one.
fn stands_alone(text: &str, range: &Range<usize>) -> bool {
    let joined = |a: Option<char>, b: Option<char>| {
        a.is_some_and(char::is_alphanumeric) && b.is_some_and(char::is_alphanumeric)
    };
    let before = text.get(..range.start).and_then(|before| before.chars().next_back());
    let after = text.get(range.end..).and_then(|after| after.chars().next());
    let value = text.get(range.clone()).unwrap_or_default();
    !joined(before, value.chars().next()) && !joined(value.chars().next_back(), after)
}
