//! `when`: a CEL expression behind an adapter. Parsed by the `cel` crate, evaluated here, within a budget of steps,
//! over arguments that are read only where the condition looks. Compiled when the configuration is loaded; whatever
//! goes wrong later (a missing field, a wrong type, a result that is no boolean, a spent budget) is "cannot be
//! evaluated", never an answer.

mod datum;
mod evaluate;
mod library;
mod lower;
mod names;
mod node;
mod reads;
mod result;

pub use reads::Read;

use super::{
    Caller, Truth,
    budget::{Budget, STEPS_MAX, Stop},
};
use crate::{call::Place, json::Value};
use cel::parser::{Expression, PrattParser};
use datum::Datum;
use evaluate::Run;
use lower::{Lowering, Refused};
use node::{Fact, Node};
use std::{fmt, panic::catch_unwind, sync::Arc};

/// The names that an expression may use.
pub const VARIABLES: [&str; 6] = ["tenant", "key", "tool", "args", "place", "now"];
/// An expression is a condition, not a program.
const SOURCE_BYTES_MAX: usize = 4096;
/// Parsing recurses: nesting and size are bounded, so that it cannot exhaust the stack.
const DEPTH_MAX: u16 = 48;
const NODES_MAX: usize = 1000;

/// A compiled condition; a copy shares it.
#[derive(Clone)]
pub struct Condition {
    source: Arc<str>,
    program: Arc<Node>,
    /// The variables that it reads.
    facts: Arc<[Fact]>,
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
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Unanswered {
    #[error("{0}")]
    Failed(String),
    /// It reads the arguments, and there are none that can be read.
    #[error("the arguments are not JSON that can be read in one way")]
    NoArguments,
    #[error("its result is {0}, not true or false")]
    NotBoolean(Value<'static>),
    #[error("it is too much work with these arguments")]
    TooMuchWork,
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
    /// Compiles an expression and checks that it uses only known names and functions.
    pub fn compile(source: &str) -> Result<Self, BadCondition> {
        if source.len() > SOURCE_BYTES_MAX {
            return Err(BadCondition::at_start(&format!("longer than {SOURCE_BYTES_MAX} bytes")));
        }
        let parsed = parse(source)?;
        if let Some(unknown) = names::unknown(&parsed, source) {
            return Err(unknown);
        }
        let mut lowering = Lowering::default();
        let program = lowering.node(&parsed, 0).map_err(|refused| BadCondition::of(source, refused))?;
        if let Some(what) = result::no_truth(&program) {
            let message = format!("its result is {what}; a condition is true or false");
            let len = source.lines().next().unwrap_or_default().chars().count().max(1);
            return Err(BadCondition { len, ..BadCondition::at_start(&message) });
        }
        Ok(Self { source: source.into(), program: Arc::new(program), facts: lowering.facts.into() })
    }

    /// The expression as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the answer depends on the arguments.
    pub fn reads_args(&self) -> bool {
        self.facts.contains(&Fact::Args)
    }

    /// Evaluates the condition. `args` is `None` where they are not JSON; a condition that reads them then
    /// cannot be evaluated.
    pub fn holds(&self, facts: &Facts<'_>, args: Option<&Value<'_>>) -> Truth {
        self.weigh(facts, args).0
    }

    /// The answer while the arguments are not known: open, unless it is the same whatever they are.
    pub fn holds_open(&self, facts: &Facts<'_>) -> Truth {
        let mut run = Run::new(facts, None, Budget::new(STEPS_MAX));
        match run.truth(&self.program) {
            Ok(truth) => Truth::from(truth),
            Err(Stop::Fails | Stop::Spent) if self.reads_args() => Truth::Open,
            Err(Stop::Fails | Stop::Spent) => Truth::Unknown,
        }
    }

    /// The answer that `holds` gives; the error says why there is none.
    pub fn evaluate(&self, facts: &Facts<'_>, args: Option<&Value<'_>>) -> Result<bool, Unanswered> {
        if self.reads_args() && args.is_none() {
            return Err(Unanswered::NoArguments);
        }
        let mut run = Run::new(facts, args, Budget::new(STEPS_MAX)).explaining();
        match run.value(&self.program) {
            Ok(Datum::Bool(truth)) => Ok(truth),
            Ok(other) => Err(Unanswered::NotBoolean(other.shown())),
            Err(Stop::Fails) => Err(Unanswered::Failed(run.why())),
            Err(Stop::Spent) => Err(Unanswered::TooMuchWork),
        }
    }

    /// The answer, and the steps that it took.
    pub fn weigh(&self, facts: &Facts<'_>, args: Option<&Value<'_>>) -> (Truth, usize) {
        if self.reads_args() && args.is_none() {
            return (Truth::Unknown, 0);
        }
        let mut run = Run::new(facts, args, Budget::new(STEPS_MAX));
        let truth = match run.truth(&self.program) {
            Ok(truth) => Truth::from(truth),
            Err(Stop::Fails | Stop::Spent) => Truth::Unknown,
        };
        (truth, STEPS_MAX - run.left())
    }
}

/// A parser's own panic is an expression that cannot be parsed.
fn parse(source: &str) -> Result<Expression, BadCondition> {
    let parsed = catch_unwind(|| {
        PrattParser::new().max_recursion_depth(DEPTH_MAX).max_expression_node_count(NODES_MAX).parse(source)
    });
    parsed.map_err(|_| BadCondition::at_start("cannot be parsed"))?.map_err(|errors| {
        let first = errors.errors.first();
        let place = |at: isize| usize::try_from(at).unwrap_or(1).max(1);
        BadCondition {
            message: first.map_or_else(|| "cannot be parsed".to_owned(), |error| error.msg.clone()),
            line: first.map_or(1, |error| place(error.pos.0)),
            column: first.map_or(1, |error| place(error.pos.1)),
            len: 1,
        }
    })
}

impl BadCondition {
    fn at_start(message: &str) -> Self {
        Self { message: message.to_owned(), line: 1, column: 1, len: 1 }
    }

    /// At the first place where the word stands that it is about.
    fn of(source: &str, refused: Refused) -> Self {
        let len = refused.word.as_ref().map_or(1, |word| word.chars().count());
        let found = refused.word.and_then(|word| {
            let is_part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
            let whole = |at: &usize| {
                let (before, after) = (source.get(..*at), source.get(at + word.len()..));
                !is_part(before.and_then(|text| text.chars().next_back()))
                    && !is_part(after.and_then(|text| text.chars().next()))
            };
            let places = || source.match_indices(&word).map(|(at, _)| at);
            places().find(whole).or_else(|| places().next())
        });
        let before = source.get(..found.unwrap_or(0)).unwrap_or("");
        let line = before.rsplit('\n').next().unwrap_or("");
        Self { message: refused.message, line: before.matches('\n').count() + 1, column: line.len() + 1, len }
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condition({})", self.source)
    }
}

#[cfg(test)]
mod laws;
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

    /// A wrong type is nothing that can be answered: else a deny on `1` would let `"1"` through.
    #[test]
    fn values_of_two_types_are_not_held_against_each_other() {
        let check =
            |source: &str, args: &str, expected| assert_eq!(holds(source, args), expected, "{source} {args}");
        for args in [r#"{"n":"1"}"#, r#"{"n":[1]}"#, r#"{"n":true}"#, r#"{"n":{}}"#] {
            check("args.n == 1", args, Truth::Unknown);
            check("args.n != 1", args, Truth::Unknown);
            check("args.n in [1, 2]", args, Truth::Unknown);
        }
        check("tenant.labels.plan == 3", "{}", Truth::Unknown);
        check("args.n == [1]", r#"{"n":["1"]}"#, Truth::Unknown);
        check("args.n in [[1]]", r#"{"n":["1"]}"#, Truth::Unknown);
        check("args.n == {'a': 1}", r#"{"n":{"a":"1"}}"#, Truth::Unknown);
        check("args.n in {1: true}", r#"{"n":"1"}"#, Truth::Unknown);
        check("1 in args.n", r#"{"n":{"1":2}}"#, Truth::Unknown);
        check("'1' in args.n", r#"{"n":{"1":2}}"#, Truth::True);
        check("args.n in [1, 'a']", r#"{"n":"a"}"#, Truth::True);
        check("args.n in [1, 'a']", r#"{"n":"b"}"#, Truth::Unknown);
        check("1 in args.n", r#"{"n":["x",1.0]}"#, Truth::True);
        check("args.n == 1", r#"{"n":1.0}"#, Truth::True);
        check("args.n == 'a' || true", r#"{"n":1}"#, Truth::True);
        // Null is what anything may be instead.
        for source in ["args.n == 1", "args.n in [1, 2]", "1 == args.n"] {
            check(source, r#"{"n":null}"#, Truth::False);
        }
        check("args.n != null && args.n == 'a'", r#"{"n":"a"}"#, Truth::True);
    }

    /// A number that its double is not is held against nothing: `args` compares by digits, and digits reach the upstream.
    #[test]
    fn a_number_that_no_double_is_cannot_be_evaluated() {
        let check =
            |source: &str, args: &str, expected| assert_eq!(holds(source, args), expected, "{source} {args}");
        for n in [
            "100.00000000000000001",
            "0.30000000000000000001",
            "9007199254740993.0",
            "1e-400",
            "18446744073709551617",
        ] {
            let args = format!(r#"{{"n":{n},"l":[{n}],"m":{{"a":{n}}}}}"#);
            for source in [
                "args.n <= 100",
                "args.n > 100",
                "args.n == 100",
                "args.n != 100.0",
                "args.n in [100, 100.0]",
                "args.n + 0.0 > 1.0",
                "-args.n < 0.0",
                "double(args.n) > 1.0",
                "int(args.n) > 1",
                "string(args.n) == '100'",
                "args.l == [100.0]",
                "args.l.exists(x, x > 100)",
                "args.m == {'a': 100.0}",
                "100.0 in args.l",
                "args.l[0] > 1",
                "args.m.a < 1",
                "[1][args.n] == 1",
                "{1: 2}[args.n] == 2",
                "args.n == args.n",
            ] {
                check(source, &args, Truth::Unknown);
            }
            check("args.n != null && has(args.n)", &args, Truth::True);
        }
        // However long, it costs no more than that.
        let long = format!(r#"{{"n":5.{}}}"#, "0".repeat(200_000));
        check("args.n == 5", &long, Truth::Unknown);
        // What is written otherwise is the same number.
        for n in ["0.1", "0.10", "1e-1", "100e-3", "1.0E-1"] {
            check("args.n == 0.1 && args.n < 1", &format!(r#"{{"n":{n}}}"#), Truth::True);
        }
        check("args.n == 100", r#"{"n":1e2}"#, Truth::True);
        check("args.n > 1", r#"{"n":18446744073709551616}"#, Truth::True);
        // Beside a double an int is what it is.
        check("args.n == 9007199254740993", r#"{"n":9007199254740992.0}"#, Truth::False);
        check("args.n < 9007199254740993", r#"{"n":9007199254740992.0}"#, Truth::True);
        check("args.n > 9007199254740991", r#"{"n":9007199254740992.0}"#, Truth::True);
        check("args.n == -9223372036854775808", r#"{"n":-9223372036854775808.0}"#, Truth::True);
    }

    #[test]
    fn bad_expressions_are_refused_with_their_place() {
        let bad = Condition::compile("args.x ==").unwrap_err();
        assert_eq!(bad.line, 1);
        assert!(Condition::compile("arg.x == 1").unwrap_err().message.contains("unknown name `arg`"));
        assert!(Condition::compile("").is_err());
        let check = |source: &str, message: &str, place: (usize, usize)| {
            let bad = Condition::compile(source).unwrap_err();
            assert!(bad.message.contains(message), "{source}: {bad}");
            assert_eq!((bad.column, bad.len), place, "{source}");
        };
        check("tool", "its result is a text", (1, 4));
        check("1 + 2", "a number", (1, 5));
        check("args.a + 1", "a sum", (1, 10));
        check("'yes'", "a text", (1, 5));
        check("tenant.labels.plan", "write what it is to be", (1, 18));
        check("has(args.a) ? 'x' : tenant", "a text", (1, 26));
        check("args.a.map(x, x)", "a list", (1, 16));
        check("timestamp(args.a)", "made by a function", (1, 17));
        check("tenant.name == tenant.nam", "did you mean `tenant.name`", (16, 10));
        check("has(tenant.plan)", "only labels, name", (5, 11));
        check("key.ids == 'x'", "did you mean `key.id`", (1, 7));
        check("key['name'] == 'x'", "`key` has no `name`", (1, 8));
        for fine in [
            "args.a",
            "args",
            "bool(args.a)",
            "args.a[0]",
            "args.a ? args.b : 1",
            "args.l.all(x, x)",
            "tenant.labels['x'] == 'y'",
            "true",
        ] {
            assert!(Condition::compile(fine).is_ok(), "{fine}");
        }
        for piece in ["(", "1+", "!", "-", "[", "a.", "{", "1?1:"] {
            assert!(Condition::compile(&piece.repeat(1000)).is_err());
            assert!(Condition::compile(&piece.repeat(40)).is_err());
        }
        let long = format!("{}true", "true && ".repeat(100));
        assert!(Condition::compile(&long).is_ok());
    }
}
