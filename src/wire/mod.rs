//! What a provider gets to see: values that redaction finds become placeholders before a body is sent, and values again
//! in its answer; or the request is refused. Pure; which of it a tenant wants is `tenant::Wire`.
//!
//! A request's placeholders are its own. They live as long as its answer is read, and nothing else is restored: not
//! what the client wrote itself, nor what a model makes up, nor what another request masked.

mod answer;
mod body;
mod known;
mod lanes;
mod restore;
mod stream;
#[cfg(test)]
mod tests;
mod thinking;
mod within;

pub use body::keys;
pub use restore::Placeholders;
pub use stream::Restorer;

use crate::{
    json::{self, Value},
    redact::{Masks, Redactor, Unstable, entity_of},
    refusal::Refusal,
    tenant::Wire,
};
use std::collections::BTreeSet;

/// A body in which something else is found so many times is not masked.
const ROUNDS_MAX: usize = 4;

/// What is sent of a body.
#[derive(Debug, PartialEq)]
pub struct Covered {
    /// `None`: the body as it is.
    pub body: Option<Vec<u8>>,
    pub masks: Masks,
}

/// Covers a body that is about to be sent to a provider, in whatever dialect it is.
pub fn cover(wire: Wire, redactor: &Redactor, body: &[u8]) -> Result<Covered, Refusal> {
    if wire == Wire::Off {
        return Ok(Covered { body: None, masks: Masks::default() });
    }
    let mut value =
        json::parse(body, json::NESTING_MAX).map_err(|error| Refusal::invalid(error.to_string(), None))?;
    let mut masks = Masks::default();
    let set_aside = thinking::take(&mut value);
    let found = {
        let mut finder = Finder { redactor, masks: &mut masks };
        let mut walk = body::Walk::new(&mut finder);
        walk.body(&mut value).map_err(unmaskable)?;
        walk.place()
    };
    let mut thought = Masks::default();
    for text in set_aside.texts() {
        redactor.mask(text, "thinking", &mut thought).map_err(unmaskable)?;
    }
    if wire == Wire::Block {
        let place = found.or_else(|| (!thought.is_empty()).then(|| "messages".to_owned()));
        masks.add(thought);
        return match place {
            Some(place) => Err(blocked(&masks, place)),
            None => Ok(Covered { body: None, masks }),
        };
    }
    let mut changed = found.is_some();
    // What is known by a model's thinking alone may stand elsewhere too.
    let known_with_thought = |masks: &Masks| {
        if thought.is_empty() {
            return known::Known::of(redactor, masks);
        }
        let mut all = masks.clone();
        all.add(thought.clone());
        known::Known::of(redactor, &all)
    };
    let mut known = known_with_thought(&masks)?;
    let mut rounds = 0;
    // What stood beside a value can be found once the value is gone.
    while put_known(known.as_mut(), &mut value)? {
        changed = true;
        let mut finder = Finder { redactor, masks: &mut masks };
        let mut walk = body::Walk::new(&mut finder);
        walk.body(&mut value).map_err(unmaskable)?;
        rounds += 1;
        if walk.place().is_none() {
            break;
        } else if rounds == ROUNDS_MAX {
            return Err(unmaskable(Unstable));
        }
        known = known_with_thought(&masks)?;
    }
    if !thought.is_empty() {
        known = known::Known::of(redactor, &masks)?;
    }
    changed |= set_aside.put_back(&mut value, redactor, known.as_ref(), &mut masks)?;
    masks.add(thought);
    if !changed {
        return Ok(Covered { body: None, masks });
    }
    let mut out = Vec::with_capacity(body.len());
    json::write(&value, &mut out);
    Ok(Covered { body: Some(out), masks })
}

/// Puts placeholders in the place of values that are known. Whether there were any.
fn put_known(known: Option<&mut known::Known>, body: &mut Value<'_>) -> Result<bool, Refusal> {
    let Some(known) = known else { return Ok(false) };
    let mut walk = body::Walk::new(known);
    walk.body(body).map_err(unmaskable)?;
    Ok(walk.place().is_some())
}

/// Finds values, and puts placeholders in their place.
struct Finder<'w> {
    redactor: &'w Redactor,
    masks: &'w mut Masks,
}

impl body::Pen for Finder<'_> {
    fn text(&mut self, text: &str, key: &str) -> Result<Option<String>, Unstable> {
        self.redactor.mask(text, key, self.masks)
    }

    fn number(&mut self, digits: &str, key: &str) -> Result<Option<String>, Unstable> {
        self.redactor.mask_number(digits, key, self.masks)
    }
}

fn unmaskable(_: Unstable) -> Refusal {
    let message = "a text of this request cannot be masked for the provider, and is not sent as it is: it holds \
                   something else each time something is taken out; leave out what is no prose";
    Refusal::ContentBlocked { message: message.to_owned(), place: None }
}

fn too_much() -> Refusal {
    let message = "this request holds more passwords and the like than can be masked for the provider; send less at \
                   once";
    Refusal::ContentBlocked { message: message.to_owned(), place: None }
}

/// Names what was found, and never the values.
fn blocked(masks: &Masks, place: String) -> Refusal {
    let names: BTreeSet<&str> = masks.iter().map(|(placeholder, _)| entity_of(placeholder)).collect();
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    let at = if place.is_empty() { String::new() } else { format!(", first at `{place}`") };
    let message = format!(
        "the request holds what may not be sent to the provider: {names}{at}; take it out and send the request again"
    );
    Refusal::ContentBlocked { message, place: (!place.is_empty()).then_some(place) }
}

/// Whether a member is there and says something.
fn says(object: &Value<'_>, key: &str) -> bool {
    object.get(key).and_then(Value::as_str).is_some_and(|text| !text.is_empty())
}
