//! Dotted paths into arguments: `filter.tenant`, `to.0`. Reading says exactly what was found; setting forces.

use crate::json::{Value, keys};
use std::borrow::Cow;

/// A path of member names; a number also names an item of an array.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(Vec<Box<str>>);

/// What stands at a path.
#[derive(Debug, PartialEq)]
pub enum Found<'v, 'a> {
    /// This value.
    Here(&'v Value<'a>),
    /// An object or array on the way has no such member.
    Missing,
    /// Something on the way is neither object nor array: nothing can be said.
    Unreachable,
}

/// A value could not be forced: an array on the way is too short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CannotSet;

impl Path {
    /// Reads a dotted path; `None` if it or a part of it is empty.
    pub fn new(text: &str) -> Option<Self> {
        let parts: Vec<Box<str>> = text.split('.').map(Into::into).collect();
        (!parts.iter().any(|part| part.is_empty())).then_some(Self(parts))
    }

    /// How many steps the path has.
    pub fn depth(&self) -> usize {
        self.0.len()
    }

    /// The argument that it begins with.
    pub fn head(&self) -> &str {
        self.0.first().map_or("", |part| part)
    }

    /// Looks the path up.
    pub fn find<'v, 'a>(&self, value: &'v Value<'a>) -> Found<'v, 'a> {
        let mut here = value;
        for part in &self.0 {
            let next = match here {
                Value::Object(members) => match here.get(part) {
                    // Some reader takes another key for it.
                    None if members.iter().any(|(key, _)| keys::are_twins(key, part)) => {
                        return Found::Unreachable;
                    }
                    found => found,
                },
                // A name is no place in a list: whoever asks for one expects an object.
                Value::Array(items) => match part.parse::<usize>() {
                    Ok(at) => items.get(at),
                    Err(_) => return Found::Unreachable,
                },
                Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {
                    return Found::Unreachable;
                }
            };
            match next {
                Some(next) => here = next,
                None => return Found::Missing,
            }
        }
        Found::Here(here)
    }

    /// Forces a value: objects are made where they are missing or where something else stands in the way.
    pub fn set<'a>(&self, value: &mut Value<'a>, forced: &Value<'static>) -> Result<(), CannotSet> {
        let mut here = value;
        for part in &self.0 {
            here = step(here, part)?;
        }
        *here = forced.clone();
        Ok(())
    }
}

fn step<'v, 'a>(here: &'v mut Value<'a>, part: &str) -> Result<&'v mut Value<'a>, CannotSet> {
    if let Value::Array(items) = here {
        let at: usize = part.parse().map_err(|_| CannotSet)?;
        if at == items.len() {
            items.push(Value::Null);
        }
        return items.get_mut(at).ok_or(CannotSet);
    }
    if here.members().is_none() {
        *here = Value::Object(Vec::new());
    }
    let Value::Object(members) = here else { return Err(CannotSet) };
    let at = members.iter().position(|(name, _)| name == part).unwrap_or(members.len());
    if members.iter().any(|(name, _)| keys::may_mean(name, part)) {
        return Err(CannotSet);
    }
    if at == members.len() {
        members.push((Cow::Owned(part.to_owned()), Value::Null));
    }
    members.get_mut(at).map(|(_, value)| value).ok_or(CannotSet)
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    #[test]
    fn sets_into_objects_and_arrays() {
        let check = |json: &str, path: &str, expected: Result<&str, CannotSet>| {
            let mut value = parse(json.as_bytes(), 8).unwrap();
            let set = Path::new(path).unwrap().set(&mut value, &Value::string("acme"));
            assert_eq!(set.map(|()| value.to_string()).as_deref().map_err(|e| *e), expected, "{json} {path}");
        };
        check("{}", "filter.tenant", Ok(r#"{"filter":{"tenant":"acme"}}"#));
        check(r#"{"filter":"x","q":1}"#, "filter.tenant", Ok(r#"{"filter":{"tenant":"acme"},"q":1}"#));
        check(
            r#"{"filter":{"tenant":"globex","a":1}}"#,
            "filter.tenant",
            Ok(r#"{"filter":{"tenant":"acme","a":1}}"#),
        );
        check(r#"{"to":["a","b"]}"#, "to.0", Ok(r#"{"to":["acme","b"]}"#));
        for odd in ["Filter", "filter[]", "filter.tenant", "filter[tenant]", "FILTER.x"] {
            check(&format!(r#"{{"{odd}":"globex"}}"#), "filter.tenant", Err(CannotSet));
        }
        check(r#"{"filters":1}"#, "filter", Ok(r#"{"filters":1,"filter":"acme"}"#));
        check(r#"{"to":[]}"#, "to.0.x", Ok(r#"{"to":[{"x":"acme"}]}"#));
        check(r#"{"to":[]}"#, "to.1", Err(CannotSet));
        check(r#"{"to":[]}"#, "to.x", Err(CannotSet));
        check("null", "a", Ok(r#"{"a":"acme"}"#));
        // Some reader would read the other key.
        check(r#"{"Filter":{"tenant":"globex"}}"#, "filter.tenant", Err(CannotSet));
        check(r#"{"filter":{"Tenant":"globex"}}"#, "filter.tenant", Err(CannotSet));
    }

    #[test]
    fn finds() {
        let value = parse(br#"{"a":{"b":[1,null]},"s":"x"}"#, 8).unwrap();
        let find = |path: &str| Path::new(path).unwrap().find(&value);
        assert_eq!(find("a.b.1"), Found::Here(&Value::Null));
        assert_eq!(find("a.b.2"), Found::Missing);
        assert_eq!(find("a.c"), Found::Missing);
        assert_eq!(find("s.x"), Found::Unreachable);
        assert_eq!(find("a.b.x"), Found::Unreachable);
        assert_eq!(find("A.b"), Found::Unreachable);
        assert!(Path::new("a..b").is_none() && Path::new("").is_none());
    }
}
