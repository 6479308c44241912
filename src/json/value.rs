//! A JSON value that borrows from the text it was read from.

use super::Signs;
use std::borrow::Cow;

/// A JSON value. Object keys are unique, in the order of the text; a number is its digits.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Value<'a> {
    Array(Vec<Value<'a>>),
    Bool(bool),
    #[default]
    Null,
    /// The number as it was written, a valid JSON number within a double's range.
    Number(Cow<'a, str>),
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
    String(Cow<'a, str>),
}

impl<'a> Value<'a> {
    /// A string value.
    pub fn string(text: impl Into<Cow<'a, str>>) -> Self {
        Self::String(text.into())
    }

    /// A whole number.
    pub fn integer(number: u64) -> Self {
        Self::Number(Cow::Owned(number.to_string()))
    }

    /// An object of these members.
    pub fn object<const N: usize>(members: [(&'static str, Value<'a>); N]) -> Self {
        Self::Object(members.into_iter().map(|(key, value)| (Cow::Borrowed(key), value)).collect())
    }

    /// The bytes that it takes in memory beside the text that it was read from.
    pub fn weight(&self) -> usize {
        let text = |text: &Cow<'_, str>| match text {
            Cow::Borrowed(_) => 0,
            Cow::Owned(owned) => owned.capacity(),
        };
        match self {
            Self::Array(items) => {
                let own = items.capacity().saturating_mul(size_of::<Self>());
                items.iter().map(Self::weight).fold(own, usize::saturating_add)
            }
            Self::Object(members) => {
                let own = members.capacity().saturating_mul(size_of::<(Cow<'_, str>, Self)>());
                let of_each = members.iter().map(|(key, value)| text(key).saturating_add(value.weight()));
                of_each.fold(own, usize::saturating_add)
            }
            Self::Number(digits) => text(digits),
            Self::String(string) => text(string),
            Self::Bool(_) | Self::Null => 0,
        }
    }

    /// The most that a document may weigh once it is read, told by its signs: an array has room for twice its items, and
    /// for four at least. `with_vectors`: where numbers beside each other stay text, and other arrays hold strings.
    pub fn weight_max(document: &[u8], with_vectors: bool) -> usize {
        let mut signs = Signs::default();
        signs.add(document);
        signs.weight_max(with_vectors)
    }

    /// The member of an object, `None` for a missing one or for anything else.
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.members()?.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The member of an object, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value<'a>> {
        self.members_mut()?.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The member of an object unless it is missing or null.
    pub fn present(&self, key: &str) -> Option<&Value<'a>> {
        self.get(key).filter(|value| !value.is_null())
    }

    /// Sets a member of an object, in its place if it is there, else at the end. No effect on other values.
    pub fn set(&mut self, key: &str, value: Value<'a>) {
        if let Some(old) = self.get_mut(key) {
            *old = value;
        } else if let Self::Object(members) = self {
            members.push((Cow::Owned(key.to_owned()), value));
        }
    }

    /// Takes a member out of an object.
    pub fn remove(&mut self, key: &str) -> Option<Value<'a>> {
        let Self::Object(members) = self else { return None };
        let at = members.iter().position(|(name, _)| name == key)?;
        Some(members.remove(at).1)
    }

    /// The members of an object.
    pub fn members(&self) -> Option<&[(Cow<'a, str>, Value<'a>)]> {
        match self {
            Self::Object(members) => Some(members),
            Self::Array(_) | Self::Bool(_) | Self::Null | Self::Number(_) | Self::String(_) => None,
        }
    }

    /// The members of an object, to be changed.
    pub fn members_mut(&mut self) -> Option<&mut Vec<(Cow<'a, str>, Value<'a>)>> {
        match self {
            Self::Object(members) => Some(members),
            Self::Array(_) | Self::Bool(_) | Self::Null | Self::Number(_) | Self::String(_) => None,
        }
    }

    /// The items of an array.
    pub fn items(&self) -> Option<&[Value<'a>]> {
        match self {
            Self::Array(items) => Some(items),
            Self::Object(_) | Self::Bool(_) | Self::Null | Self::Number(_) | Self::String(_) => None,
        }
    }

    /// The items of an array, to be changed.
    pub fn items_mut(&mut self) -> Option<&mut Vec<Value<'a>>> {
        match self {
            Self::Array(items) => Some(items),
            Self::Object(_) | Self::Bool(_) | Self::Null | Self::Number(_) | Self::String(_) => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Array(_) | Self::Object(_) | Self::Bool(_) | Self::Null | Self::Number(_) => None,
        }
    }

    /// The truth of a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            Self::Array(_) | Self::Object(_) | Self::String(_) | Self::Null | Self::Number(_) => None,
        }
    }

    /// A number that is a whole one between 0 and 2^64 - 1, written as such.
    pub fn as_u64(&self) -> Option<u64> {
        self.digits()?.parse().ok()
    }

    /// A number as a double.
    pub fn as_f64(&self) -> Option<f64> {
        self.digits()?.parse().ok()
    }

    /// The digits of a number, as written.
    pub fn digits(&self) -> Option<&str> {
        match self {
            Self::Number(digits) => Some(digits),
            Self::Array(_) | Self::Object(_) | Self::String(_) | Self::Null | Self::Bool(_) => None,
        }
    }

    /// The text of an array of numbers that was read by `parse_with_vectors`.
    pub fn vector(&self) -> Option<&str> {
        self.digits().filter(|text| text.starts_with('['))
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// What this is, in the words of an error message.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Array(_) => "an array",
            Self::Bool(_) => "a boolean",
            Self::Null => "null",
            Self::Number(_) if self.vector().is_some() => "an array",
            Self::Number(_) => "a number",
            Self::Object(_) => "an object",
            Self::String(_) => "a string",
        }
    }

    /// The same value, owning its texts.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Array(items) => Value::Array(items.into_iter().map(Value::into_owned).collect()),
            Self::Bool(truth) => Value::Bool(truth),
            Self::Null => Value::Null,
            Self::Number(digits) => Value::Number(Cow::Owned(digits.into_owned())),
            Self::Object(members) => Value::Object(
                members
                    .into_iter()
                    .map(|(key, value)| (Cow::Owned(key.into_owned()), value.into_owned()))
                    .collect(),
            ),
            Self::String(text) => Value::String(Cow::Owned(text.into_owned())),
        }
    }
}
