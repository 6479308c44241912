//! What of a record's source is asked for and shown: the tenant's field has to come back, so that it can be verified.

use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{Fence, members::Place},
    tool_api::Request,
};

/// What a client sees of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    All,
    /// All that it asked for, without the tenant's field.
    AllButField,
    Nothing,
}

impl Shows {
    /// As a part of what a cursor was given for.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::AllButField => "all but field",
            Self::Nothing => "nothing",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::All, Self::AllButField, Self::Nothing].into_iter().find(|shows| shows.as_str() == name)
    }
}

/// Sees to it that the tenant's field comes back in sources. What the client asked to see of them.
pub(super) fn ask_for(fence: &Fence, body: &mut Value<'_>, place: &Place<'_>) -> Result<Shows, Refusal> {
    let here = place.member("_source");
    let Some(field) = fence.field.as_deref() else { return Ok(Shows::All) };
    let only = || Value::Array(vec![Value::string(field.to_owned())]);
    let (wanted, shows) = match body.present("_source") {
        None | Some(Value::Bool(true)) => return Ok(Shows::All),
        Some(Value::Bool(false)) => (only(), Shows::Nothing),
        Some(Value::String(one)) => with_field(field, &[Value::String(one.clone())], &here)?,
        Some(Value::Array(items)) => with_field(field, items, &here)?,
        Some(Value::Object(parts)) => {
            let listed = |names: [&str; 2]| parts.iter().find(|(name, _)| names.contains(&name.as_ref()));
            if parts
                .iter()
                .any(|(name, _)| !["includes", "include", "excludes", "exclude"].contains(&name.as_ref()))
            {
                return Err(here.bad("has other members than `includes` and `excludes`"));
            }
            let mut both = Value::Object(Vec::new());
            let mut shows = Shows::All;
            if let Some((_, includes)) = listed(["includes", "include"]) {
                let (includes, shown) = with_field(field, list(includes, &here)?, &here.member("includes"))?;
                both.set("includes", includes);
                shows = shown;
            }
            if let Some((_, excludes)) = listed(["excludes", "exclude"]) {
                let (excludes, hides) =
                    without_field(field, list(excludes, &here)?, &here.member("excludes"))?;
                both.set("excludes", excludes);
                shows = if hides { Shows::AllButField } else { shows };
            }
            (both, shows)
        }
        Some(other @ (Value::Null | Value::Number(_))) => {
            return Err(here.wrong("a boolean, strings, or `includes` and `excludes`", other));
        }
    };
    body.set("_source", wanted.into_owned());
    Ok(shows)
}

/// One pattern is a list of one.
pub(super) fn list<'v, 'r>(value: &'v Value<'r>, place: &Place<'_>) -> Result<&'v [Value<'r>], Refusal> {
    match value {
        Value::Array(items) => Ok(items),
        Value::String(_) => Ok(std::slice::from_ref(value)),
        _ => Err(place.wrong("a list of strings", value)),
    }
}

/// Patterns of what is shown, with the tenant's field.
fn with_field<'v>(
    field: &str,
    items: &[Value<'v>],
    place: &Place<'_>,
) -> Result<(Value<'v>, Shows), Refusal> {
    if let Some((at, item)) = items.iter().enumerate().find(|(_, item)| item.as_str().is_none()) {
        return Err(place.item(at).wrong("a string", item));
    }
    let is_shown =
        items.is_empty() || items.iter().any(|item| item.as_str().is_some_and(|item| fits(item, field)));
    let mut items = items.to_vec();
    if !is_shown {
        items.push(Value::string(field.to_owned()));
    }
    Ok((Value::Array(items), if is_shown { Shows::All } else { Shows::AllButField }))
}

/// Patterns of what is not shown, without the tenant's field; whether it was among them.
fn without_field<'v>(
    field: &str,
    items: &[Value<'v>],
    place: &Place<'_>,
) -> Result<(Value<'v>, bool), Refusal> {
    let mut left = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let text = item.as_str().ok_or_else(|| place.item(at).wrong("a string", item))?;
        if text == field {
            continue;
        }
        if fits(text, field) {
            return Err(place
                .item(at)
                .bad("fits the field that holds the tenant, too; name what is not to be shown"));
        }
        left.push(item.clone());
    }
    Ok((Value::Array(left.clone()), left.len() < items.len()))
}

/// Whether a pattern with `*` fits a name.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((front, rest)) => name.strip_prefix(front).is_some_and(|left| {
            let ends = left.char_indices().map(|(at, _)| at).chain([left.len()]);
            ends.filter_map(|at| left.get(at..)).any(|left| fits(rest, left))
        }),
    }
}

/// What a query of a request says of the source, taken out of it.
pub(super) fn take(request: &mut Request<'_>) -> Option<Value<'static>> {
    let mut take = |names: [&str; 2]| {
        let at = request.query.iter().position(|(known, _)| names.contains(&known.as_str()))?;
        Some(request.query.remove(at).1)
    };
    let listed =
        |text: &str| Value::Array(text.split(',').map(|name| Value::string(name.to_owned())).collect());
    let includes = take(["_source_includes", "_source_include"]).map(|text| ("includes", listed(&text)));
    let excludes = take(["_source_excludes", "_source_exclude"]).map(|text| ("excludes", listed(&text)));
    let whole = take(["_source", "_source"]).map(|text| match text.as_str() {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        text => listed(text),
    });
    let parts: Vec<_> =
        includes.into_iter().chain(excludes).map(|(name, list)| (name.into(), list)).collect();
    whole.or_else(|| (!parts.is_empty()).then_some(Value::Object(parts)))
}
