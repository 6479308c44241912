//! What a condition reads: the paths that it names, and the values that stood there. Apart from evaluating it, which
//! a decision does and which must stay quick; this serves explanations.

use super::{
    Condition, Facts,
    datum::Datum,
    evaluate::Run,
    node::{Fact, Node},
};
use crate::{
    json::Value,
    policy::budget::{Budget, STEPS_MAX},
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
        let rest = self.path.strip_prefix(Fact::Args.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }
}

impl Condition {
    /// Whether it reads one of these variables.
    pub fn depends_on(&self, variables: &[&str]) -> bool {
        self.facts.iter().any(|fact| variables.contains(&fact.as_str()))
    }

    /// The longest paths that the condition reads, in its order, each once, with their values.
    pub fn reads(&self, facts: &Facts<'_>, args: Option<&Value<'_>>) -> Vec<Read> {
        let mut paths = Paths::default();
        paths.walk(&self.program);
        let value = |at: &Node| {
            let mut run = Run::new(facts, args, Budget::new(STEPS_MAX));
            // Whether it is there is told by what is.
            let found = match at {
                Node::Has(of, name) => run.field(of, name).ok()?,
                _ => run.value(at).ok(),
            };
            found.as_ref().map(Datum::shown)
        };
        paths.found.into_iter().map(|(path, at)| Read { path, value: value(at) }).collect()
    }
}

/// Paths that begin at one of our variables.
#[derive(Default)]
struct Paths<'n> {
    found: Vec<(String, &'n Node)>,
}

impl<'n> Paths<'n> {
    fn walk(&mut self, at: &'n Node) {
        if let Some(path) = path(at) {
            if !self.found.iter().any(|(known, _)| *known == path) {
                self.found.push((path, at));
            }
            return;
        }
        match at {
            Node::All(parts) | Node::Any(parts) | Node::Library(_, parts) | Node::List(parts) => {
                self.all(parts);
            }
            Node::Calculate(_, sides)
            | Node::Compare(_, sides)
            | Node::Equal(_, sides)
            | Node::In(sides)
            | Node::Index(sides)
            | Node::Text(_, sides) => self.all(&**sides),
            Node::Choose(parts) => self.all(&**parts),
            Node::Field(of, _)
            | Node::Has(of, _)
            | Node::Kind(of)
            | Node::Matches(of, _)
            | Node::Negate(of)
            | Node::Not(of)
            | Node::Size(of) => self.walk(of),
            Node::Map(members) => members.iter().for_each(|member| self.all(member)),
            Node::Walk(walk) => self.all([&walk.over].into_iter().chain(&walk.only).chain([&walk.body])),
            Node::Constant(_) | Node::Fact(_) | Node::Local(_) => {}
        }
    }

    fn all(&mut self, parts: impl IntoIterator<Item = &'n Node>) {
        parts.into_iter().for_each(|part| self.walk(part));
    }
}

/// `args.to`, `args["to"]`, `args.to[0]`, `has(args.to)`; nothing else is a path.
fn path(at: &Node) -> Option<String> {
    match at {
        Node::Fact(fact) => Some(fact.as_str().to_owned()),
        Node::Field(of, name) | Node::Has(of, name) => Some(format!("{}.{name}", path(of)?)),
        Node::Index(sides) => match &**sides {
            [of, Node::Constant(index @ (Datum::Int(_) | Datum::Uint(_) | Datum::Words(_)))] => {
                Some(format!("{}[{}]", path(of)?, index.shown()))
            }
            _ => None,
        },
        _ => None,
    }
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
        let unheld = format!(r#"{{"n":0.{}1}}"#, "0".repeat(400));
        check("args.n <= 100", &unheld, "`<=` does not work on a number that no double holds and int");
        check("args.n.startsWith('x')", r#"{"n":5}"#, "`startsWith` does not work on int and string");
    }
}
