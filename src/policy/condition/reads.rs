//! What a condition reads: the paths that it names, and the values that stood there. Apart from evaluating it, which
//! a decision does and which must stay quick; this serves explanations.

use super::{Condition, Facts, Unanswered, VARIABLES, context};
use crate::json::Value;
use cel::{
    Context, ExecutionError, Value as Cel,
    common::ast::{ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr},
    objects::Key,
    parser::Expression,
};
use std::{
    borrow::Cow,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// A path that a condition reads, as it is written there, and the value that it saw; `None` where none stood.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    pub path: String,
    pub value: Option<Value<'static>>,
}

impl Read {
    /// Whether this is one of the arguments.
    pub fn is_argument(&self) -> bool {
        self.path.strip_prefix("args").is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }
}

impl Condition {
    /// Whether it reads one of these variables.
    pub fn depends_on(&self, variables: &[&str]) -> bool {
        let references = self.program.references();
        variables.iter().any(|variable| references.has_variable(variable))
    }

    /// The longest paths that the condition reads, in its order, each once, with their values.
    pub fn reads(&self, facts: &Facts<'_>, args: Option<&Value<'_>>) -> Vec<Read> {
        let mut paths = Paths::default();
        paths.walk(&self.program);
        let context = context(facts, args);
        let value = |expression: &Expression| value_of(expression, &context);
        paths.found.into_iter().map(|(path, at)| Read { path, value: value(&at) }).collect()
    }
}

fn value_of(expression: &Expression, context: &Context<'_, '_>) -> Option<Value<'static>> {
    let found = catch_unwind(AssertUnwindSafe(|| Cel::resolve(expression, context))).ok()?.ok()?;
    Some(shown(&found))
}

/// Paths that begin at one of our variables.
#[derive(Default)]
struct Paths<'e> {
    found: Vec<(String, Cow<'e, Expression>)>,
    /// Names that a macro such as `all(a, …)` binds where we are.
    bound: Vec<&'e str>,
}

impl<'e> Paths<'e> {
    fn walk(&mut self, at: &'e Expression) {
        let at = asked_of(at);
        if let Some(path) = self.path(&at) {
            if !self.found.iter().any(|(known, _)| *known == path) {
                self.found.push((path, at));
            }
            return;
        }
        // What is no path was not made anew.
        let Cow::Borrowed(at) = at else { return };
        match &at.expr {
            Expr::Call(call) => {
                call.target.iter().for_each(|target| self.walk(target));
                call.args.iter().for_each(|argument| self.walk(argument));
            }
            Expr::Comprehension(macro_call) => self.comprehension(macro_call),
            Expr::List(list) => list.elements.iter().for_each(|element| self.walk(element)),
            Expr::Map(map) => map.entries.iter().for_each(|entry| self.entry(&entry.expr)),
            Expr::Select(select) => self.walk(&select.operand),
            Expr::Struct(made) => made.entries.iter().for_each(|entry| self.entry(&entry.expr)),
            Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
        }
    }

    fn comprehension(&mut self, macro_call: &'e ComprehensionExpr) {
        self.walk(&macro_call.iter_range);
        self.walk(&macro_call.accu_init);
        let outside = self.bound.len();
        self.bound.extend([macro_call.iter_var.as_str(), macro_call.accu_var.as_str()]);
        self.bound.extend(macro_call.iter_var2.as_deref());
        self.walk(&macro_call.loop_cond);
        self.walk(&macro_call.loop_step);
        self.walk(&macro_call.result);
        self.bound.truncate(outside);
    }

    fn entry(&mut self, entry: &'e EntryExpr) {
        match entry {
            EntryExpr::MapEntry(entry) => {
                self.walk(&entry.key);
                self.walk(&entry.value);
            }
            EntryExpr::StructField(field) => self.walk(&field.value),
        }
    }

    /// `args.to`, `args["to"]`, `args.to[0]`; nothing else is a path.
    fn path(&self, at: &Expression) -> Option<String> {
        match &at.expr {
            Expr::Ident(name) => {
                let ours = VARIABLES.contains(&name.as_str()) && !self.bound.contains(&name.as_str());
                ours.then(|| name.clone())
            }
            Expr::Select(select) if !select.test => {
                Some(format!("{}.{}", self.path(&select.operand)?, select.field))
            }
            Expr::Call(call) if call.func_name == "_[_]" && call.target.is_none() => {
                let [operand, index] = call.args.as_slice() else { return None };
                let Expr::Literal(literal) = &index.expr else { return None };
                let index = match literal {
                    LiteralValue::String(text) => Value::string(text.inner()).to_string(),
                    LiteralValue::Int(number) => number.inner().to_string(),
                    LiteralValue::UInt(number) => number.inner().to_string(),
                    LiteralValue::Boolean(_)
                    | LiteralValue::Bytes(_)
                    | LiteralValue::Double(_)
                    | LiteralValue::Null => return None,
                };
                Some(format!("{}[{index}]", self.path(operand)?))
            }
            _ => None,
        }
    }
}

/// `args.x` for `has(args.x)`: whether it is there is told by what is.
fn asked_of(at: &Expression) -> Cow<'_, Expression> {
    match &at.expr {
        Expr::Select(select) if select.test => {
            let select = SelectExpr { test: false, ..select.clone() };
            Cow::Owned(Expression { id: at.id, expr: Expr::Select(select) })
        }
        _ => Cow::Borrowed(at),
    }
}

/// A value of CEL's as JSON, to be shown: times and whatever JSON lacks become text, members are sorted.
pub fn shown(value: &Cel) -> Value<'static> {
    match value {
        Cel::Bool(truth) => Value::Bool(*truth),
        Cel::Float(number) if number.is_finite() => Value::Number(Cow::Owned(format!("{number:?}"))),
        Cel::Int(number) => Value::Number(Cow::Owned(number.to_string())),
        Cel::List(items) => Value::Array(items.iter().map(shown).collect()),
        Cel::Map(map) => {
            let mut members: Vec<(Cow<'static, str>, Value<'static>)> =
                map.map.iter().map(|(key, value)| (Cow::Owned(name(key)), shown(value))).collect();
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(members)
        }
        Cel::Null => Value::Null,
        Cel::String(text) => Value::string(text.to_string()),
        Cel::Timestamp(time) => Value::string(time.format("%Y-%m-%dT%H:%M:%SZ").to_string()),
        Cel::UInt(number) => Value::Number(Cow::Owned(number.to_string())),
        Cel::Duration(duration) => Value::string(format!("{}s", duration.num_seconds())),
        other => Value::string(format!("a {}", other.type_of())),
    }
}

fn name(key: &Key) -> String {
    match key {
        Key::Bool(truth) => truth.to_string(),
        Key::Int(number) => number.to_string(),
        Key::String(text) => text.to_string(),
        Key::Uint(number) => number.to_string(),
    }
}

impl std::fmt::Display for Unanswered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Broken => f.write_str("its evaluation broke down"),
            Self::Failed(ExecutionError::NoSuchKey(key)) => write!(f, "`{key}` is missing"),
            Self::Failed(ExecutionError::NoSuchOverload(error)) => {
                let types = error.argument_types().join(" and ");
                write!(f, "`{}` does not work on {types}", operator(error.function()))
            }
            Self::Failed(ExecutionError::ValuesNotComparable(a, b)) => {
                write!(f, "{} cannot be compared with {}", shown(a), shown(b))
            }
            Self::Failed(ExecutionError::UnsupportedBinaryOperator(what, a, b)) => {
                write!(f, "`{}` does not work on {} and {}", operator(what), shown(a), shown(b))
            }
            Self::Failed(ExecutionError::UnexpectedType { got, want }) => {
                write!(f, "`{got}` stands where `{want}` is needed")
            }
            Self::Failed(error) => write!(f, "{error}"),
            Self::NoArguments => f.write_str("the arguments are not JSON"),
            Self::NotBoolean(value) => write!(f, "its result is {}, not true or false", shown(value)),
        }
    }
}

/// `_<=_` as it is written.
fn operator(name: &str) -> &str {
    name.trim_matches('_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{call::Place, json::parse, policy::Caller};

    fn asked<T>(source: &str, args: &str, ask: impl FnOnce(&Condition, &Facts<'_>, &Value<'_>) -> T) -> T {
        let caller = Caller::new("acme", "prod", &[("plan", "pro")]);
        let facts = Facts { caller: &caller, tool: "send", place: Place::Emitted, now: 1_700_000_000 };
        let args = parse(args.as_bytes(), 16).unwrap().into_owned();
        ask(&Condition::compile(source).unwrap(), &facts, &args)
    }

    #[test]
    fn paths_and_their_values() {
        let check = |source: &str, args: &str, expected: &[(&str, Option<&str>)]| {
            let reads = asked(source, args, |condition, facts, args| condition.reads(facts, Some(args)));
            let found: Vec<(String, Option<String>)> = reads
                .iter()
                .map(|read| (read.path.clone(), read.value.as_ref().map(ToString::to_string)))
                .collect();
            let expected: Vec<(String, Option<String>)> =
                expected.iter().map(|(path, value)| ((*path).into(), value.map(Into::into))).collect();
            assert_eq!(found, expected, "{source}");
        };
        let all = r#"args.to.all(a, a.endsWith("@acme.example"))"#;
        check(all, r#"{"to":["x"]}"#, &[("args.to", Some(r#"["x"]"#))]);
        check(all, "{}", &[("args.to", None)]);
        check("args.n > 1 && args.n < 5", r#"{"n":2.5}"#, &[("args.n", Some("2.5"))]);
        check(r#"args["a"].b[0] == 1"#, r#"{"a":{"b":[7]}}"#, &[(r#"args["a"].b[0]"#, Some("7"))]);
        check("has(args.x) && args.x.y == 1", r#"{"x":3}"#, &[("args.x", Some("3")), ("args.x.y", None)]);
        check(
            r#"tenant.labels.plan == "pro" || key.id == tool || place == "mcp""#,
            "{}",
            &[
                ("tenant.labels.plan", Some("\"pro\"")),
                ("key.id", Some("\"prod\"")),
                ("tool", Some("\"send\"")),
                ("place", Some("\"emitted\"")),
            ],
        );
        check("now > timestamp('2020-01-01T00:00:00Z')", "{}", &[("now", Some("\"2023-11-14T22:13:20Z\""))]);
        // What a macro binds is no variable of ours, whatever its name.
        check("args.to.exists(tool, tool == 'x')", r#"{"to":[]}"#, &[("args.to", Some("[]"))]);
        check("true", "{}", &[]);
    }

    #[test]
    fn why_there_is_no_answer() {
        let check = |source: &str, args: &str, expected: &str| {
            let why = asked(source, args, |condition, facts, args| {
                condition.evaluate(facts, Some(args)).unwrap_err().to_string()
            });
            assert_eq!(why, expected, "{source}");
        };
        check("args.to == 1", "{}", "`to` is missing");
        check("args.n", r#"{"n":1}"#, "its result is 1, not true or false");
        check("args.n <= 100", r#"{"n":"5"}"#, "`<=` does not work on string and int");
        check("args.n.startsWith('x')", r#"{"n":5}"#, "`startsWith` does not work on int and string");
    }
}
