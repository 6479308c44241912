//! Masking: values become placeholders that can be turned back, as long as somebody holds the `Masks`. The text that
//! comes of it is not `Redacted`: it is for whoever may see everything but the values, and the way back is kept.
//! Apart from redaction, which keeps no way back.
//!
//! A token is made from the value exactly as it stands, so that one placeholder stands for one text: `Jane@x.com` and
//! `jane@x.com` have one each. A value that stands as redaction spells it has the token that records have for it.

use std::collections::HashMap;
use std::fmt;

use super::resolve::Tally;
use super::{Entity, Redactor, Under, placeholder};

/// What stands behind the placeholders of masked texts. It prints nothing of itself.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Masks {
    values: HashMap<Box<str>, Box<str>>,
}

/// A text changed with every pass: what would stand in the place of its values is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text cannot be masked: it holds something else each time something is taken out")]
pub struct Unstable;

impl Masks {
    /// Whether nothing was masked.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// What a placeholder stands for, if it is one of these.
    pub fn value(&self, placeholder: &str) -> Option<&str> {
        self.values.get(placeholder).map(|value| &**value)
    }

    /// Each placeholder, and what it stands for, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(placeholder, value)| (&**placeholder, &**value))
    }

    /// Takes in those of another text.
    pub fn add(&mut self, other: Self) {
        self.values.extend(other.values);
    }

    pub(super) fn keep(&mut self, placeholder: &str, value: &str) {
        if !self.values.contains_key(placeholder) {
            // A later pass may cover what an earlier one wrote.
            let value = self.unmasked(value);
            self.values.insert(placeholder.into(), value.into());
        }
    }

    fn unmasked(&self, text: &str) -> String {
        let mut text = text.to_owned();
        if placeholder::holds_placeholder(text.as_bytes()) {
            for (placeholder, value) in &self.values {
                text = text.replace(&**placeholder, value);
            }
        }
        text
    }
}

impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masks").field("values", &self.values.len()).finish()
    }
}

impl Redactor {
    /// Masks the text of a string that stands under a JSON key, and JSON within it. `None` if nothing is found.
    pub fn mask(&self, text: &str, key: &str, masks: &mut Masks) -> Result<Option<String>, Unstable> {
        masked(masks, |tally| self.any(text, Under::Key(key), 0, tally))
    }

    /// Masks the digits of a number that stands under a JSON key: what comes of them is a text.
    pub fn mask_number(
        &self,
        digits: &str,
        key: &str,
        masks: &mut Masks,
    ) -> Result<Option<String>, Unstable> {
        masked(masks, |tally| self.number(digits, Under::Key(key), tally))
    }
}

fn masked(
    masks: &mut Masks,
    act: impl FnOnce(&mut Tally) -> Option<String>,
) -> Result<Option<String>, Unstable> {
    let mut tally = Tally::masking(std::mem::take(masks));
    let masked = act(&mut tally);
    let unstable = tally.iter().any(|(name, _)| name == Entity::Unstable.name());
    *masks = tally.into_masks();
    if unstable { Err(Unstable) } else { Ok(masked) }
}

/// The name in a placeholder.
pub fn entity_of(placeholder: &str) -> &str {
    placeholder.strip_prefix('[').and_then(|rest| rest.split_once(':')).map_or("", |(name, _)| name)
}

/// The stretches of a text that stand between placeholders, whatever their names.
pub fn between_placeholders(text: &str) -> Vec<std::ops::Range<usize>> {
    placeholder::stretches_of_any(text)
}
