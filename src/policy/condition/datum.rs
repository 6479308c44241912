//! The values of a condition: the caller's JSON is borrowed and read only where the condition looks; what a
//! condition makes itself is shared. Whatever costs more than a moment is paid for from a [`Budget`].

use crate::{
    json::{Value, keys},
    policy::{
        budget::{Budget, Stop},
        number,
    },
};
use cel::Value as Cel;
use chrono::{DateTime, FixedOffset, TimeDelta};
use std::{borrow::Cow, cmp::Ordering, sync::Arc};

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Datum<'v> {
    Bool(bool),
    Double(f64),
    Int(i64),
    /// An array or an object of the caller's. A whole number in it becomes an int (or uint above 2^63), any other a
    /// double.
    Json(&'v Value<'v>),
    /// A type, by its name.
    Kind(&'static str),
    List(Arc<[Datum<'v>]>),
    Map(Arc<[(Datum<'v>, Datum<'v>)]>),
    Null,
    Span(TimeDelta),
    Text(&'v str),
    Time(DateTime<FixedOffset>),
    Uint(u64),
    /// A number of the caller's that no int and no double is: held against nothing, as the nearest double is another one.
    Unheld(&'v str),
    /// A text that the condition made.
    Words(Arc<str>),
}

impl<'v> Datum<'v> {
    /// What a value of the caller's is.
    pub(super) fn of(value: &'v Value<'v>) -> Self {
        match value {
            Value::Array(_) | Value::Object(_) => Self::Json(value),
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Null => Self::Null,
            Value::Number(digits) => of_digits(digits),
            Value::String(text) => Self::Text(text),
        }
    }

    /// The same value for a moment: nothing is copied.
    pub(super) fn share(&'v self) -> Self {
        match self {
            Self::Words(text) => Self::Text(text),
            other => other.clone(),
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Words(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn items(&self) -> Option<Items<'v>> {
        match self {
            Self::Json(Value::Array(items)) => Some(Items::Json(items)),
            Self::List(items) => Some(Items::Own(Arc::clone(items))),
            _ => None,
        }
    }

    pub(super) fn members(&self) -> Option<Members<'v>> {
        match self {
            Self::Json(Value::Object(members)) => Some(Members::Json(members)),
            Self::Map(members) => Some(Members::Own(Arc::clone(members))),
            _ => None,
        }
    }

    /// Whether two values can be held against each other: they are of one type, all numbers being one, or one is null.
    pub(super) fn is_like(&self, other: &Datum<'_>) -> bool {
        let class = |kind: &'static str| if matches!(kind, "double" | "uint") { "int" } else { kind };
        let (a, b) = (class(self.kind()), class(other.kind()));
        let is_held = |datum: &Datum<'_>| !matches!(datum, Datum::Unheld(_));
        a == "null" || b == "null" || a == b && is_held(self) && is_held(other)
    }

    /// Equality as CEL has it: numbers by value whatever their types, values of two types differ.
    pub(super) fn equals(&self, other: &Datum<'_>, budget: &mut Budget) -> Result<bool, Stop> {
        budget.spend(1)?;
        if let (Some(a), Some(b)) = (self.text(), other.text()) {
            budget.spend_bytes(a.len().min(b.len()))?;
            return Ok(a == b);
        }
        if let (Some(a), Some(b)) = (self.items(), other.items()) {
            return same_items(&a, &b, budget);
        }
        if let (Some(a), Some(b)) = (self.members(), other.members()) {
            return same_members(&a, &b, budget);
        }
        match (self, other) {
            (Self::Null, Datum::Null) => Ok(true),
            (Self::Kind(a), Datum::Kind(b)) => Ok(a == b),
            _ => Ok(self.compare(other, budget)? == Some(Ordering::Equal)),
        }
    }

    /// The order of two values; `None` where there is none, between two types or with a NaN.
    pub(super) fn compare(&self, other: &Datum<'_>, budget: &mut Budget) -> Result<Option<Ordering>, Stop> {
        if let (Some(a), Some(b)) = (self.text(), other.text()) {
            budget.spend_bytes(a.len().min(b.len()))?;
            return Ok(Some(a.cmp(b)));
        }
        Ok(match (self, other) {
            (Self::Bool(a), Datum::Bool(b)) => Some(a.cmp(b)),
            (Self::Int(a), Datum::Int(b)) => Some(a.cmp(b)),
            (Self::Uint(a), Datum::Uint(b)) => Some(a.cmp(b)),
            (Self::Int(a), Datum::Uint(b)) => Some(whole(*a, *b)),
            (Self::Uint(a), Datum::Int(b)) => Some(whole(*b, *a).reverse()),
            (Self::Time(a), Datum::Time(b)) => Some(a.cmp(b)),
            (Self::Span(a), Datum::Span(b)) => Some(a.cmp(b)),
            (Self::Double(a), Datum::Double(b)) => a.partial_cmp(b),
            (Self::Double(a), b) => b.digits().and_then(|b| by_digits(*a, &b)),
            (a, Datum::Double(b)) => a.digits().and_then(|a| by_digits(*b, &a)).map(Ordering::reverse),
            _ => None,
        })
    }

    /// A whole number, written out.
    fn digits(&self) -> Option<String> {
        match self {
            Self::Int(number) => Some(number.to_string()),
            Self::Uint(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A value that is no list or map, for the library.
    pub(super) fn to_cel(&self) -> Option<Cel> {
        Some(match self {
            Self::Bool(truth) => Cel::Bool(*truth),
            Self::Double(number) => Cel::Float(*number),
            Self::Int(number) => Cel::Int(*number),
            Self::Null => Cel::Null,
            Self::Span(span) => Cel::Duration(*span),
            Self::Text(text) => Cel::from(*text),
            Self::Time(time) => Cel::Timestamp(*time),
            Self::Uint(number) => Cel::UInt(*number),
            Self::Words(text) => Cel::from(&**text),
            Self::Json(_) | Self::Kind(_) | Self::List(_) | Self::Map(_) | Self::Unheld(_) => return None,
        })
    }

    /// What it is in words, where it is neither true nor false.
    pub(super) fn no_truth(&self) -> Option<&'static str> {
        match self {
            Self::Bool(_) | Self::Json(_) => None,
            Self::Double(_) | Self::Int(_) | Self::Uint(_) | Self::Unheld(_) => Some("a number"),
            Self::Kind(_) => Some("a type"),
            Self::List(_) => Some("a list"),
            Self::Map(_) => Some("a map"),
            Self::Null => Some("nothing"),
            Self::Span(_) => Some("a duration"),
            Self::Text(_) | Self::Words(_) => Some("a text"),
            Self::Time(_) => Some("a time"),
        }
    }

    /// What it is, in CEL's words.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "bool",
            Self::Double(_) | Self::Unheld(_) => "double",
            Self::Int(_) => "int",
            Self::Json(Value::Object(_)) | Self::Map(_) => "map",
            Self::Json(_) | Self::List(_) => "list",
            Self::Kind(_) => "type",
            Self::Null => "null",
            Self::Span(_) => "duration",
            Self::Text(_) | Self::Words(_) => "string",
            Self::Time(_) => "timestamp",
            Self::Uint(_) => "uint",
        }
    }

    /// As JSON, to be shown: times and whatever JSON lacks become text.
    pub(super) fn shown(&self) -> Value<'static> {
        let digits = |digits: String| Value::Number(Cow::Owned(digits));
        match self {
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Double(number) if number.is_finite() => digits(format!("{number:?}")),
            Self::Double(number) => Value::string(number.to_string()),
            Self::Int(number) => digits(number.to_string()),
            Self::Json(value) => Value::clone(value).into_owned(),
            Self::Kind(name) => Value::string(*name),
            Self::List(items) => Value::Array(items.iter().map(Self::shown).collect()),
            Self::Map(members) => {
                let name = |key: &Self| match key.shown() {
                    Value::String(text) => text,
                    other => Cow::Owned(other.to_string()),
                };
                Value::Object(members.iter().map(|(key, value)| (name(key), value.shown())).collect())
            }
            Self::Null => Value::Null,
            Self::Span(span) => Value::string(format!("{}s", span.num_seconds())),
            Self::Text(text) => Value::string((*text).to_owned()),
            Self::Time(time) => Value::string(time.format("%Y-%m-%dT%H:%M:%SZ").to_string()),
            Self::Uint(number) => digits(number.to_string()),
            Self::Unheld(written) => digits((*written).to_owned()),
            Self::Words(text) => Value::string(text.to_string()),
        }
    }

    pub(super) fn from_cel(value: Cel) -> Option<Self> {
        Some(match value {
            Cel::Bool(truth) => Self::Bool(truth),
            Cel::Float(number) => Self::Double(number),
            Cel::Int(number) => Self::Int(number),
            Cel::Null => Self::Null,
            Cel::Duration(span) => Self::Span(span),
            Cel::String(text) => Self::Words(text.as_str().into()),
            Cel::Timestamp(time) => Self::Time(time),
            Cel::UInt(number) => Self::Uint(number),
            _ => return None,
        })
    }
}

fn of_digits(digits: &str) -> Datum<'_> {
    // No int and no double is written so long, but for one that somebody made long: it costs as much each time it is read.
    if digits.len() > DIGITS_MAX {
        return Datum::Unheld(digits);
    }
    let whole = digits.parse().map(Datum::Int).or_else(|_| digits.parse().map(Datum::Uint));
    whole.unwrap_or_else(|_| match digits.parse::<f64>() {
        Ok(double) if number::compare(&written(double), digits) == Ordering::Equal => Datum::Double(double),
        Ok(_) | Err(_) => Datum::Unheld(digits),
    })
}

const DIGITS_MAX: usize = 32;

/// The shortest digits that are this double and no other; where doubles are further apart than whole numbers, all of them.
fn written(double: f64) -> String {
    const APART: f64 = 9_007_199_254_740_992.0;
    if double.abs() < APART { format!("{double:?}") } else { format!("{double:.0}") }
}

/// A double beside a whole number, as they are: made a double, a large one is another number.
fn by_digits(double: f64, whole: &str) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    if double.is_infinite() {
        return Some(if double > 0.0 { Ordering::Greater } else { Ordering::Less });
    }
    Some(number::compare(&written(double), whole))
}

fn whole(int: i64, uint: u64) -> Ordering {
    u64::try_from(int).map_or(Ordering::Less, |int| int.cmp(&uint))
}

fn same_items(a: &Items<'_>, b: &Items<'_>, budget: &mut Budget) -> Result<bool, Stop> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for at in 0..a.len() {
        let (Some(a), Some(b)) = (a.at(at), b.at(at)) else { continue };
        if !alike(&a, &b)?.equals(&b, budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Within lists and maps, too, values of two types are not held against each other.
fn alike<'d, 'v>(datum: &'d Datum<'v>, other: &Datum<'_>) -> Result<&'d Datum<'v>, Stop> {
    if datum.is_like(other) { Ok(datum) } else { Err(Stop::Fails) }
}

fn same_members(a: &Members<'_>, b: &Members<'_>, budget: &mut Budget) -> Result<bool, Stop> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for at in 0..a.len() {
        let Some((key, value)) = a.at(at) else { continue };
        match b.find(&key, budget)? {
            Some(other) if alike(&value, &other)?.equals(&other, budget)? => {}
            Some(_) | None => return Ok(false),
        }
    }
    Ok(true)
}

/// The items of a list.
#[derive(Clone)]
pub(super) enum Items<'v> {
    Json(&'v [Value<'v>]),
    Own(Arc<[Datum<'v>]>),
}

impl<'v> Items<'v> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Json(items) => items.len(),
            Self::Own(items) => items.len(),
        }
    }

    pub(super) fn at(&self, at: usize) -> Option<Datum<'v>> {
        match self {
            Self::Json(items) => items.get(at).map(Datum::of),
            Self::Own(items) => items.get(at).cloned(),
        }
    }
}

/// The members of a map; the keys are unique.
#[derive(Clone)]
pub(super) enum Members<'v> {
    Json(&'v [(Cow<'v, str>, Value<'v>)]),
    Own(Arc<[(Datum<'v>, Datum<'v>)]>),
}

impl<'v> Members<'v> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Json(members) => members.len(),
            Self::Own(members) => members.len(),
        }
    }

    pub(super) fn at(&self, at: usize) -> Option<(Datum<'v>, Datum<'v>)> {
        match self {
            Self::Json(members) => {
                members.get(at).map(|(key, value)| (Datum::Text(key.as_ref()), Datum::of(value)))
            }
            Self::Own(members) => members.get(at).cloned(),
        }
    }

    /// The value of a key, found by trying them in turn.
    pub(super) fn find(&self, key: &Datum<'_>, budget: &mut Budget) -> Result<Option<Datum<'v>>, Stop> {
        match self {
            Self::Json(members) => {
                let Some(key) = key.text() else { return Ok(None) };
                let Some(at) = members.iter().position(|(name, _)| name == key) else {
                    budget.spend(members.len() / 4)?;
                    // Missing, and yet there for a reader that folds case: nothing can be said.
                    if members.iter().any(|(name, _)| keys::are_twins(name, key)) {
                        return Err(Stop::Fails);
                    }
                    return Ok(None);
                };
                budget.spend(at / 4)?;
                Ok(members.get(at).map(|(_, value)| Datum::of(value)))
            }
            Self::Own(members) => {
                for (name, value) in members.iter() {
                    if name.equals(key, budget)? {
                        return Ok(Some(value.clone()));
                    }
                }
                Ok(None)
            }
        }
    }
}
