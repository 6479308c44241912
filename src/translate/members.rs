//! Reads an object member by member and refuses what is left over, so that nothing of a request is dropped in
//! silence. Apart from the readers because it is the one place that words their refusals and names parameters.

use super::conversation::At;
use crate::{json::Value, refusal::Refusal};
use std::borrow::Cow;

/// The members of an object that were not read yet. A member that is null is no member.
#[derive(Debug)]
pub(super) struct Members<'v> {
    left: Vec<&'v (Cow<'v, str>, Value<'v>)>,
    /// The object's place, empty for the body itself.
    at: String,
}

impl<'v> Members<'v> {
    /// The members of what must be an object.
    pub(super) fn of(value: &'v Value<'v>, at: String) -> Result<Self, Refusal> {
        let Some(members) = value.members() else {
            return Err(if at.is_empty() {
                Refusal::invalid(format!("the body is {}, not an object", value.type_name()), None)
            } else {
                wrong(&at, "an object", value)
            });
        };
        let left = members.iter().filter(|(_, value)| !value.is_null()).collect();
        Ok(Self { left, at })
    }

    /// The place of a member.
    pub(super) fn at(&self, key: &str) -> At {
        At(if self.at.is_empty() { key.to_owned() } else { format!("{}.{key}", self.at) })
    }

    /// The place of this object.
    pub(super) fn here(&self) -> At {
        At(self.at.clone())
    }

    /// Takes a member.
    pub(super) fn take(&mut self, key: &str) -> Option<&'v Value<'v>> {
        let at = self.left.iter().position(|(name, _)| name == key)?;
        Some(&self.left.remove(at).1)
    }

    /// Takes a member that must be there.
    pub(super) fn need(&mut self, key: &str) -> Result<&'v Value<'v>, Refusal> {
        let value = self.take(key);
        value.ok_or_else(|| self.at(key).refuse("is missing"))
    }

    /// Takes a string.
    pub(super) fn text(&mut self, key: &str) -> Result<Option<&'v str>, Refusal> {
        self.take(key).map(|value| self.as_text(key, value)).transpose()
    }

    /// Takes a string that must be there.
    pub(super) fn need_text(&mut self, key: &str) -> Result<&'v str, Refusal> {
        let value = self.need(key)?;
        self.as_text(key, value)
    }

    fn as_text(&self, key: &str, value: &'v Value<'v>) -> Result<&'v str, Refusal> {
        value.as_str().ok_or_else(|| wrong(&self.at(key).0, "a string", value))
    }

    /// Takes a boolean.
    pub(super) fn truth(&mut self, key: &str) -> Result<Option<bool>, Refusal> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let truth = value.as_bool().ok_or_else(|| wrong(&self.at(key).0, "a boolean", value))?;
        Ok(Some(truth))
    }

    /// Takes a number.
    pub(super) fn number(&mut self, key: &str) -> Result<Option<&'v Value<'v>>, Refusal> {
        let Some(value) = self.take(key) else { return Ok(None) };
        if value.digits().is_none() {
            return Err(wrong(&self.at(key).0, "a number", value));
        }
        Ok(Some(value))
    }

    /// Takes a whole number above zero.
    pub(super) fn count(&mut self, key: &str) -> Result<Option<&'v Value<'v>>, Refusal> {
        let Some(value) = self.number(key)? else { return Ok(None) };
        if value.as_u64().is_none_or(|count| count == 0) {
            return Err(self.at(key).refuse("must be a whole number above zero"));
        }
        Ok(Some(value))
    }

    /// Takes an array, with the place of each item.
    pub(super) fn items(&mut self, key: &str) -> Result<Vec<(At, &'v Value<'v>)>, Refusal> {
        let Some(value) = self.take(key) else { return Ok(Vec::new()) };
        let at = self.at(key);
        let items = value.items().ok_or_else(|| wrong(&at.0, "an array", value))?;
        Ok(at.each(items))
    }

    /// Takes an array that must be there.
    pub(super) fn need_items(&mut self, key: &str) -> Result<Vec<(At, &'v Value<'v>)>, Refusal> {
        let there = self.left.iter().any(|(name, _)| name == key);
        if there { self.items(key) } else { Err(self.at(key).refuse("is missing")) }
    }

    /// Takes an object.
    pub(super) fn object(&mut self, key: &str) -> Result<Option<Self>, Refusal> {
        self.take(key).map(|value| Self::of(value, self.at(key).0)).transpose()
    }

    /// Takes an object that must be there.
    pub(super) fn need_object(&mut self, key: &str) -> Result<Self, Refusal> {
        Self::of(self.need(key)?, self.at(key).0)
    }

    /// Takes members that have no effect on what the model is asked.
    pub(super) fn pass_over(&mut self, keys: &[&str]) {
        self.left.retain(|(name, _)| !keys.contains(&name.as_ref()));
    }

    /// Takes a member that may ask only for what happens anyway: one of these JSON texts.
    pub(super) fn only(&mut self, key: &str, accepted: &[&str]) -> Result<(), Refusal> {
        match self.take(key) {
            Some(value) if !accepted.contains(&value.to_string().as_str()) => Err(self.at(key).uncarried()),
            Some(_) | None => Ok(()),
        }
    }

    /// Refuses a member if it is there, and says what to do.
    pub(super) fn refuse(&self, key: &str, advice: &str) -> Result<(), Refusal> {
        let found = self.left.iter().any(|(name, _)| name == key);
        if found { Err(self.at(key).uncarried_but(advice)) } else { Ok(()) }
    }

    /// Refuses whatever was not read.
    pub(super) fn end(self) -> Result<(), Refusal> {
        self.left.first().map_or(Ok(()), |(name, _)| Err(self.at(name).uncarried()))
    }
}

impl At {
    /// The places of an array's items.
    pub(super) fn each<'v>(&self, items: &'v [Value<'v>]) -> Vec<(Self, &'v Value<'v>)> {
        items.iter().enumerate().map(|(at, item)| (Self(format!("{}[{at}]", self.0)), item)).collect()
    }

    /// A parameter that cannot be carried over.
    pub(super) fn uncarried(&self) -> Refusal {
        self.uncarried_but("leave it out")
    }

    /// A parameter that cannot be carried over, and what to do about it.
    pub(super) fn uncarried_but(&self, advice: &str) -> Refusal {
        self.refuse(&format!("cannot be carried over to the API of this model's provider; {advice}"))
    }

    /// A parameter that is not as it must be.
    pub(super) fn refuse(&self, why: &str) -> Refusal {
        Refusal::invalid(format!("`{}` {why}", self.0), Some(&self.0))
    }
}

fn wrong(at: &str, wanted: &str, found: &Value<'_>) -> Refusal {
    At(at.to_owned()).refuse(&format!("must be {wanted}, not {}", found.type_name()))
}

/// Text that is a string, or an array of parts that `part` reads; nothing for nothing.
pub(super) fn parts<'v, T>(
    value: Option<&'v Value<'v>>,
    at: &At,
    whole: impl Fn(&'v str) -> T,
    part: impl Fn(Members<'v>) -> Result<T, Refusal>,
) -> Result<Vec<T>, Refusal> {
    match value {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![whole(text)]),
        Some(Value::Array(items)) => {
            let items = at.each(items).into_iter();
            items.map(|(at, item)| part(Members::of(item, at.0)?)).collect()
        }
        Some(other) => Err(wrong(&at.0, "a string or an array", other)),
    }
}
