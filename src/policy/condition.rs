//! `when`: a CEL expression behind an adapter. Compiled when the configuration is loaded; whatever goes wrong
//! later (a missing field, a wrong type, a result that is no boolean) is "cannot be evaluated", never an answer.

mod names;
mod reads;

pub use reads::{Read, shown};

use super::{Caller, Truth};
use crate::{call::Place, json::Value};
use cel::{
    Context, Env, ExecutionError, Value as Cel,
    objects::Key,
    parser::{Expression, PrattParser},
};
use std::{
    collections::HashMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
};

/// The names that an expression may use.
pub const VARIABLES: [&str; 6] = ["tenant", "key", "tool", "args", "place", "now"];
/// An expression is a condition, not a program.
const SOURCE_BYTES_MAX: usize = 4096;
/// Parsing and evaluating recurse: nesting and size are bounded, so that neither can exhaust the stack.
const DEPTH_MAX: u16 = 48;
const NODES_MAX: usize = 1000;

/// A compiled condition; a copy shares it.
#[derive(Clone)]
pub struct Condition {
    source: Arc<str>,
    program: Arc<Expression>,
    reads_args: bool,
}

/// Why an expression is no condition. `line` and `column` count from 1 inside the expression, the column in bytes;
/// `len` is how many characters are meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadCondition {
    pub message: String,
    pub line: usize,
    pub column: usize,
    pub len: usize,
}

/// Why a condition gave no answer.
#[derive(Debug)]
pub enum Unanswered {
    /// It reads the arguments, and there are none that can be read.
    NoArguments,
    /// Its result is this, no boolean.
    NotBoolean(Cel),
    Failed(ExecutionError),
    /// It brought its evaluation down.
    Broken,
}

/// What a condition is asked about.
#[derive(Debug)]
pub struct Facts<'q> {
    pub caller: &'q Caller,
    pub tool: &'q str,
    pub place: Place,
    /// Seconds since 1970, UTC.
    pub now: i64,
}

impl Condition {
    /// Compiles an expression and checks that it uses only known names.
    pub fn compile(source: &str) -> Result<Self, BadCondition> {
        if source.len() > SOURCE_BYTES_MAX {
            return Err(BadCondition {
                message: format!("longer than {SOURCE_BYTES_MAX} bytes"),
                line: 1,
                column: 1,
                len: 1,
            });
        }
        let parsed = catch_unwind(|| {
            PrattParser::new()
                .max_recursion_depth(DEPTH_MAX)
                .max_expression_node_count(NODES_MAX)
                .parse(source)
        })
        .map_err(|_| BadCondition {
            message: "cannot be parsed".to_owned(),
            line: 1,
            column: 1,
            len: 1,
        })?;
        let program = parsed.map_err(|errors| {
            let first = errors.errors.first();
            BadCondition {
                message: first.map_or_else(|| "cannot be parsed".to_owned(), |error| error.msg.clone()),
                line: first.map_or(1, |error| usize::try_from(error.pos.0).unwrap_or(1).max(1)),
                column: first.map_or(1, |error| usize::try_from(error.pos.1).unwrap_or(1).max(1)),
                len: 1,
            }
        })?;
        if let Some(unknown) = names::unknown(&program, source) {
            return Err(unknown);
        }
        let reads_args = program.references().has_variable("args");
        Ok(Self { source: source.into(), program: Arc::new(program), reads_args })
    }

    /// The expression as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the answer depends on the arguments.
    pub fn reads_args(&self) -> bool {
        self.reads_args
    }

    /// Whether the condition holds. `args` is `None` where they are not JSON; a condition that reads them then
    /// cannot be evaluated.
    pub fn holds(&self, facts: &Facts<'_>, args: Option<&Value<'_>>) -> Truth {
        self.evaluate(facts, args).map_or(Truth::Unknown, Truth::from)
    }

    /// Evaluates the condition; the error says why it cannot be.
    pub fn evaluate(&self, facts: &Facts<'_>, args: Option<&Value<'_>>) -> Result<bool, Unanswered> {
        if self.reads_args && args.is_none() {
            return Err(Unanswered::NoArguments);
        }
        let answer = catch_unwind(AssertUnwindSafe(|| {
            Cel::resolve(&self.program, &context(facts, args.filter(|_| self.reads_args)))
        }));
        match answer {
            Ok(Ok(Cel::Bool(truth))) => Ok(truth),
            Ok(Ok(other)) => Err(Unanswered::NotBoolean(other)),
            Ok(Err(error)) => Err(Unanswered::Failed(error)),
            Err(_) => Err(Unanswered::Broken),
        }
    }
}

/// The variables of an expression; `args` only where it is read, since it has to be copied.
fn context(facts: &Facts<'_>, args: Option<&Value<'_>>) -> Context<'static, 'static> {
    let mut context = Context::with_env(environment());
    context.add_variable_from_value("tenant", facts.caller.tenant_value());
    context.add_variable_from_value("key", facts.caller.key_value());
    context.add_variable_from_value("tool", facts.tool.to_owned());
    context.add_variable_from_value("place", facts.place.as_str().to_owned());
    if let Some(now) = chrono::DateTime::from_timestamp(facts.now, 0) {
        context.add_variable_from_value("now", Cel::Timestamp(now.fixed_offset()));
    }
    if let Some(args) = args {
        context.add_variable_from_value("args", to_cel(args));
    }
    context
}

fn environment() -> Arc<Env> {
    static STANDARD: OnceLock<Arc<Env>> = OnceLock::new();
    Arc::clone(STANDARD.get_or_init(|| Arc::new(Env::stdlib())))
}

/// A whole number becomes an int (or uint above 2^63), any other number a double.
fn to_cel(value: &Value<'_>) -> Cel {
    match value {
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Bool(truth) => Cel::Bool(*truth),
        Value::Null => Cel::Null,
        Value::Number(digits) => digits
            .parse()
            .map(Cel::Int)
            .or_else(|_| digits.parse().map(Cel::UInt))
            .or_else(|_| digits.parse().map(Cel::Float))
            .unwrap_or(Cel::Null),
        Value::Object(members) => {
            let map: HashMap<Key, Cel> =
                members.iter().map(|(key, value)| (Key::from(key.to_string()), to_cel(value))).collect();
            Cel::from(map)
        }
        Value::String(text) => Cel::from(text.as_ref()),
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condition({})", self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    fn holds(source: &str, args: &str) -> Truth {
        let caller = Caller::new("acme", "prod", &[("plan", "pro")]);
        let facts = Facts { caller: &caller, tool: "send_email", place: Place::Emitted, now: 1_700_000_000 };
        let args = parse(args.as_bytes(), 16).unwrap();
        Condition::compile(source).unwrap().holds(&facts, Some(&args))
    }

    #[test]
    fn table() {
        let check =
            |source: &str, args: &str, expected| assert_eq!(holds(source, args), expected, "{source} {args}");
        let all = r#"args.to.all(a, a.endsWith("@acme.example"))"#;
        check(all, r#"{"to":["x@acme.example"]}"#, Truth::True);
        check(all, r#"{"to":["x@acme.example","y@evil.example"]}"#, Truth::False);
        check(all, "{}", Truth::Unknown);
        check(all, r#"{"to":[1]}"#, Truth::Unknown);
        check("args.amount <= 100", r#"{"amount":100}"#, Truth::True);
        check("args.amount <= 100", r#"{"amount":99.5}"#, Truth::True);
        check("args.amount <= 100", r#"{"amount":"5"}"#, Truth::Unknown);
        check("args.amount", r#"{"amount":1}"#, Truth::Unknown);
        check(
            r#"tenant.name == "acme" && tenant.labels.plan == "pro" && key.id == "prod""#,
            "{}",
            Truth::True,
        );
        check(r#"tool == "send_email" && place == "emitted""#, "{}", Truth::True);
        check(r#"now > timestamp("2020-01-01T00:00:00Z")"#, "{}", Truth::True);
        check("has(args.x) && args.x == 1", "{}", Truth::False);
        check("!has(args.x)", "{}", Truth::True);
    }

    #[test]
    fn bad_expressions_are_refused_with_their_place() {
        let bad = Condition::compile("args.x ==").unwrap_err();
        assert_eq!(bad.line, 1);
        assert!(Condition::compile("arg.x == 1").unwrap_err().message.contains("unknown name `arg`"));
        assert!(Condition::compile("").is_err());
        for piece in ["(", "1+", "!", "-", "[", "a.", "{", "1?1:"] {
            assert!(Condition::compile(&piece.repeat(1000)).is_err());
            assert!(Condition::compile(&piece.repeat(40)).is_err());
        }
        let long = format!("{}true", "true && ".repeat(100));
        assert!(Condition::compile(&long).is_ok());
    }
}
