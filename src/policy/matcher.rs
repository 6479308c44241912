//! Conditions on one argument, written in YAML: `is in like regex min max absent`.

use super::{
    Truth,
    budget::{Budget, STEPS_MAX, Stop},
    expression::{BadExpression, Expression},
    glob::Glob,
    number,
    path::{Found, Path},
};
use crate::json::Value;
use std::{cmp::Ordering, fmt, sync::Arc};

/// What is asked of the value at a path.
#[derive(Debug, Clone)]
pub struct Matcher {
    pub path: Path,
    /// All of them must hold.
    pub tests: Vec<Test>,
}

/// One question about a value.
#[derive(Debug, Clone)]
pub enum Test {
    /// Whether the value must be missing (true) or there (false).
    Absent(bool),
    In(Vec<Value<'static>>),
    Is(Value<'static>),
    Like(Glob),
    /// A number at most this, as digits.
    Max(String),
    /// A number at least this, as digits.
    Min(String),
    /// Matches the whole value.
    Regex(Arc<Expression>),
}

impl Test {
    /// A regex test; the expression matches a value as a whole, and is bounded in size and work.
    pub fn regex(expression: &str) -> Result<Self, BadExpression> {
        Expression::whole(expression).map(Arc::new).map(Self::Regex)
    }
}

impl Matcher {
    /// Whether the arguments satisfy this. Missing fields and wrong types cannot be evaluated.
    pub fn holds(&self, args: &Value<'_>) -> Truth {
        let found = self.path.find(args);
        Truth::all(self.tests.iter().map(|test| holds(test, &found)))
    }
}

pub(super) fn holds(test: &Test, found: &Found<'_, '_>) -> Truth {
    let value = match (found, test) {
        (Found::Missing, Test::Absent(absent)) => return Truth::from(*absent),
        (Found::Here(_), Test::Absent(absent)) => return Truth::from(!absent),
        (Found::Missing | Found::Unreachable, _) => return Truth::Unknown,
        (Found::Here(value), _) => *value,
    };
    match (test, value) {
        (Test::Is(wanted), _) => equal(value, wanted),
        (Test::In(wanted), _) => Truth::any(wanted.iter().map(|wanted| equal(value, wanted))),
        (Test::Like(glob), Value::String(text)) => Truth::from(glob.matches(text)),
        (Test::Regex(expression), Value::String(text)) => {
            match expression.matches(text, &mut Budget::new(STEPS_MAX)) {
                Ok(truth) => Truth::from(truth),
                Err(Stop::Fails | Stop::Spent) => Truth::Unknown,
            }
        }
        (Test::Max(max), Value::Number(digits)) => {
            Truth::from(number::compare(digits, max) != Ordering::Greater)
        }
        (Test::Min(min), Value::Number(digits)) => {
            Truth::from(number::compare(digits, min) != Ordering::Less)
        }
        (Test::Absent(_) | Test::Like(_) | Test::Regex(_) | Test::Max(_) | Test::Min(_), _) => Truth::Unknown,
    }
}

impl fmt::Display for Test {
    /// As it is written in a rule: `max 100`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(absent) => write!(f, "absent {absent}"),
            Self::In(values) => {
                let values: Vec<String> = values.iter().map(Value::to_string).collect();
                write!(f, "in [{}]", values.join(", "))
            }
            Self::Is(value) => write!(f, "is {value}"),
            Self::Like(glob) => write!(f, "like {}", glob.as_str()),
            Self::Max(max) => write!(f, "max {max}"),
            Self::Min(min) => write!(f, "min {min}"),
            Self::Regex(expression) => write!(f, "regex {}", expression.as_str()),
        }
    }
}

/// Whether two values are the same, numbers by value and members in any order.
pub fn same(a: &Value<'_>, b: &Value<'_>) -> bool {
    equal(a, b) == Truth::True
}

/// Equality of values of one type; values of two types cannot be compared.
fn equal(a: &Value<'_>, b: &Value<'_>) -> Truth {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => Truth::from(number::compare(a, b) == Ordering::Equal),
        (Value::String(a), Value::String(b)) => Truth::from(a == b),
        (Value::Bool(a), Value::Bool(b)) => Truth::from(a == b),
        (Value::Null, Value::Null) => Truth::True,
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            Truth::all(a.iter().zip(b).map(|(a, b)| equal(a, b)))
        }
        (Value::Array(_), Value::Array(_)) => Truth::False,
        (Value::Object(a), Value::Object(b)) if a.len() == b.len() => {
            Truth::all(a.iter().map(|(key, a)| match b.iter().find(|(name, _)| name == key) {
                Some((_, b)) => equal(a, b),
                None => Truth::False,
            }))
        }
        (Value::Object(_), Value::Object(_)) => Truth::False,
        _ => Truth::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    fn value(text: &str) -> Value<'static> {
        parse(text.as_bytes(), 8).unwrap().into_owned()
    }

    #[test]
    fn table() {
        let check = |path: &str, test: Test, args: &str, expected: Truth| {
            let shown = format!("{path} {test:?} {args}");
            let matcher = Matcher { path: Path::new(path).unwrap(), tests: vec![test] };
            assert_eq!(matcher.holds(&value(args)), expected, "{shown}");
        };
        let max = || Test::Max("100".into());
        check("amount", max(), r#"{"amount":100}"#, Truth::True);
        check("amount", max(), r#"{"amount":100.0000000000000000001}"#, Truth::False);
        check("amount", max(), r#"{"amount":"5"}"#, Truth::Unknown);
        check("amount", max(), "{}", Truth::Unknown);
        check("amount", max(), "[]", Truth::Unknown);
        check("amount", Test::Min("-1".into()), r#"{"amount":-2}"#, Truth::False);
        let currency = || Test::In(vec![value("\"EUR\""), value("\"CHF\"")]);
        check("currency", currency(), r#"{"currency":"CHF"}"#, Truth::True);
        check("currency", currency(), r#"{"currency":"USD"}"#, Truth::False);
        check("currency", currency(), r#"{"currency":null}"#, Truth::Unknown);
        check("currency", currency(), r#"{"currency":["EUR"]}"#, Truth::Unknown);
        check("iban", Test::Like(Glob::new("DE*")), r#"{"iban":"DE1"}"#, Truth::True);
        check("iban", Test::Like(Glob::new("DE*")), r#"{"iban":"xDE1"}"#, Truth::False);
        check("id", Test::regex("a|b").unwrap(), r#"{"id":"ab"}"#, Truth::False);
        check("id", Test::regex("a|b").unwrap(), r#"{"id":"b"}"#, Truth::True);
        check("id", Test::regex("a").unwrap(), "{\"id\":\"a\\n\"}", Truth::False);
        check("a.b", Test::Absent(true), r#"{"a":{}}"#, Truth::True);
        check("a.b", Test::Absent(true), r#"{"a":{"b":null}}"#, Truth::False);
        check("a.b", Test::Absent(true), r#"{"a":"x"}"#, Truth::Unknown);
        check("a", Test::Absent(false), "{}", Truth::False);
        check("a", Test::Is(value(r#"{"x":[1,2.0]}"#)), r#"{"a":{"x":[1.0,2]}}"#, Truth::True);
        check("a", Test::Is(value("1")), r#"{"a":"1"}"#, Truth::Unknown);
        assert!(Test::regex("a)(b").is_err());
        assert_eq!(Test::regex("a|b").unwrap().to_string(), "regex a|b");
    }
}
