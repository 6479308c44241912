//! Small checks of bodies: what is not known is 403, what is of the wrong type and unknown operators are 400 with their place.

use super::endpoint::Asking;
use crate::{json::Value, refusal::Refusal};
use std::fmt;

/// Where something stands in a body: `prefetch.0.filter`. Written out only where something is wrong with it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'p> {
    Body,
    Member(&'p Place<'p>, &'p str),
    Item(&'p Place<'p>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => f.write_str("body"),
            Self::Member(Self::Body, name) => f.write_str(name),
            Self::Member(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, at) => write!(f, "{parent}.{at}"),
        }
    }
}

impl<'p> Place<'p> {
    pub(super) fn member(&'p self, name: &'p str) -> Self {
        Self::Member(self, name)
    }

    pub(super) fn item(&'p self, at: usize) -> Self {
        Self::Item(self, at)
    }

    /// 400: this is not what can stand here.
    pub(super) fn wrong(&self, expected: &str, found: &Value<'_>) -> Refusal {
        let place = self.to_string();
        Refusal::invalid(format!("`{place}` is {}, not {expected}", found.type_name()), Some(&place))
    }

    /// 400: an operator that is not known here. What is not known of a filter beside is 403.
    pub(super) fn no_operator(&self) -> Refusal {
        self.bad("is no operator that is known here, and nothing unknown is forwarded")
    }

    /// 400, in other words.
    pub(super) fn bad(&self, what: &str) -> Refusal {
        let place = self.to_string();
        Refusal::invalid(format!("`{place}` {what}"), Some(&place))
    }
}

pub(super) type Members<'v, 'r> = &'v [(std::borrow::Cow<'r, str>, Value<'r>)];

/// Checks each item of a list that may not be empty.
pub(super) fn each(
    value: &Value<'_>,
    place: &Place<'_>,
    check: impl Fn(&Value<'_>, &Place<'_>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let items = value.items().ok_or_else(|| place.wrong("an array", value))?;
    if items.is_empty() {
        return Err(place.bad("is empty"));
    }
    items.iter().enumerate().try_for_each(|(at, item)| check(item, &place.item(at)))
}

/// The members of an object; any other than these is 403.
pub(super) fn object<'v, 'r>(
    asking: &Asking<'_>,
    value: &'v Value<'r>,
    place: &Place<'_>,
    known: &[&str],
) -> Result<Members<'v, 'r>, Refusal> {
    let members = value.members().ok_or_else(|| place.wrong("an object", value))?;
    match members.iter().find(|(name, _)| !known.contains(&name.as_ref())) {
        Some((name, _)) => {
            // What a client wrote is repeated only where it is a plain word.
            let plain =
                name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_$#-".contains(&b));
            let name =
                if plain { format!("`{}`", place.member(name)) } else { format!("a member of `{place}`") };
            Err(asking.refuse(format!("{name} is not known here, and nothing unknown is forwarded")))
        }
        None => Ok(members),
    }
}

/// The body, an object of these members alone.
pub(super) fn body<'v>(asking: &Asking<'v>, known: &[&str]) -> Result<&'v Value<'v>, Refusal> {
    let body = asking.request.body.as_ref();
    let body = body.ok_or_else(|| Place::Body.bad("is missing; send a JSON object"))?;
    object(asking, body, &Place::Body, known)?;
    Ok(body)
}

/// No other parameters in the query than these, and no body.
pub(super) fn no_body(asking: &Asking<'_>) -> Result<(), Refusal> {
    match &asking.request.body {
        None => Ok(()),
        Some(_) => Err(Place::Body.bad("is not for this endpoint")),
    }
}

/// No other parameters in the query than these.
pub(super) fn parameters(asking: &Asking<'_>, known: &[&str]) -> Result<(), Refusal> {
    match asking.request.query.iter().any(|(name, _)| !known.contains(&name.as_str())) {
        true => Err(asking
            .refuse("the query has a parameter that is not known here, and nothing unknown is forwarded")),
        false => Ok(()),
    }
}

/// A whole number, where there is one.
pub(super) fn count(body: &Value<'_>, name: &str, place: &Place<'_>) -> Result<Option<u64>, Refusal> {
    let value = body.present(name);
    value
        .map(|value| value.as_u64().ok_or_else(|| place.member(name).wrong("a whole number", value)))
        .transpose()
}

/// A text, where there is one.
pub(super) fn text<'v>(
    body: &'v Value<'_>,
    name: &str,
    place: &Place<'_>,
) -> Result<Option<&'v str>, Refusal> {
    let value = body.present(name);
    value.map(|value| value.as_str().ok_or_else(|| place.member(name).wrong("a string", value))).transpose()
}

/// A truth, where there is one.
pub(super) fn flag(body: &Value<'_>, name: &str, place: &Place<'_>) -> Result<Option<bool>, Refusal> {
    let value = body.present(name);
    value.map(|value| value.as_bool().ok_or_else(|| place.member(name).wrong("a boolean", value))).transpose()
}

/// A list, where there is one.
pub(super) fn items<'v, 'r>(
    body: &'v Value<'r>,
    name: &str,
    place: &Place<'_>,
) -> Result<Option<&'v [Value<'r>]>, Refusal> {
    let value = body.present(name);
    value.map(|value| value.items().ok_or_else(|| place.member(name).wrong("an array", value))).transpose()
}

/// A string, a number or a boolean: one value, to be compared with.
pub(super) fn scalar(value: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    match value {
        Value::Bool(_) | Value::String(_) => Ok(()),
        Value::Number(_) if value.vector().is_none() => Ok(()),
        Value::Array(_) | Value::Null | Value::Number(_) | Value::Object(_) => {
            Err(place.wrong("a string, a number or a boolean", value))
        }
    }
}
