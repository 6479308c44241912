//! From a parsed expression to what is evaluated. Unknown names and functions, wrong numbers of arguments, constants
//! that cannot be computed and expressions that are too large are found here, when the configuration is loaded.

use super::{
    VARIABLES,
    datum::Datum,
    evaluate::constant,
    library, names,
    node::{Calculation, Comparison, Fact, Node, TextTest, Walk, WalkKind},
};
use crate::policy::expression::{BadExpression, Expression as Regular};
use cel::{
    common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators},
    parser::Expression,
};

/// Evaluating recurses as deep as the expression: a chain of `+` this long, or so many parentheses.
const DEPTH_MAX: usize = 64;
/// The work that a constant may cost.
const CONSTANT_STEPS: usize = 4096;
/// The functions that are not the library's.
const OWN: [&str; 5] = ["contains", "endsWith", "matches", "size", "startsWith"];

/// What conditions may ask of the tenant and of the key.
const TENANT_MEMBERS: [&str; 2] = ["labels", "name"];
const KEY_MEMBERS: [&str; 1] = ["id"];

/// Why an expression is no condition.
pub(super) struct Refused {
    pub(super) message: String,
    /// The word that it is about, to be found in the expression.
    pub(super) word: Option<String>,
}

type Lowered = Result<Node, Refused>;

fn refused<T>(message: impl Into<String>, word: Option<&str>) -> Result<T, Refused> {
    Err(Refused { message: message.into(), word: word.map(str::to_owned) })
}

/// The walks around the place that is being lowered.
#[derive(Default)]
pub(super) struct Lowering<'e> {
    locals: Vec<&'e str>,
    /// The variables that are read.
    pub(super) facts: Vec<Fact>,
}

impl<'e> Lowering<'e> {
    pub(super) fn node(&mut self, expression: &'e Expression, depth: usize) -> Lowered {
        if depth > DEPTH_MAX {
            return refused("nested too deeply", None);
        }
        match &expression.expr {
            Expr::Call(call) => self.call(call, depth + 1),
            Expr::Comprehension(walk) => self.walk(walk, depth + 1),
            Expr::Ident(name) => self.name(name),
            Expr::List(list) => {
                let items: Result<Vec<Node>, Refused> =
                    list.elements.iter().map(|item| self.node(item, depth + 1)).collect();
                computed(Node::List(items?), None)
            }
            Expr::Literal(literal) => literal_of(literal),
            Expr::Map(map) => {
                let mut members = Vec::new();
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else {
                        return refused("messages are not supported", None);
                    };
                    members.push([self.node(&entry.key, depth + 1)?, self.node(&entry.value, depth + 1)?]);
                }
                computed(Node::Map(members), None)
            }
            Expr::Select(select) => {
                let (of, name) = (Box::new(self.node(&select.operand, depth + 1)?), select.field.as_str());
                member(&of, name)?;
                Ok(if select.test { Node::Has(of, name.into()) } else { Node::Field(of, name.into()) })
            }
            Expr::Struct(message) => refused("messages are not supported", Some(message.type_name.as_str())),
            Expr::Unspecified => refused("cannot be parsed", None),
        }
    }

    fn name(&mut self, name: &str) -> Lowered {
        if let Some(at) = self.locals.iter().rposition(|local| *local == name) {
            return Ok(Node::Local(at));
        }
        if let Some(kind) = names::TYPES.into_iter().find(|kind| *kind == name) {
            return Ok(Node::Constant(Datum::Kind(kind)));
        }
        let Some(fact) = Fact::named(name) else {
            let message = format!("unknown name `{name}`; there are {}", VARIABLES.join(", "));
            return refused(message, Some(name));
        };
        if !self.facts.contains(&fact) {
            self.facts.push(fact);
        }
        Ok(Node::Fact(fact))
    }

    fn call(&mut self, call: &'e CallExpr, depth: usize) -> Lowered {
        let name = call.func_name.as_str();
        if let (operators::LOGICAL_AND | operators::LOGICAL_OR, None) = (name, &call.target) {
            let mut parts = Vec::new();
            for argument in &call.args {
                self.chain(name, argument, depth, &mut parts)?;
            }
            return Ok(if name == operators::LOGICAL_AND { Node::All(parts) } else { Node::Any(parts) });
        }
        let written = call.target.iter().map(|target| &**target).chain(&call.args);
        let given: Result<Vec<Node>, Refused> = written.map(|part| self.node(part, depth)).collect();
        function(name, call.target.is_some(), given?)
    }

    /// `a && b && c` is one row, however the parser nested it.
    fn chain(
        &mut self,
        operator: &str,
        expression: &'e Expression,
        depth: usize,
        parts: &mut Vec<Node>,
    ) -> Result<(), Refused> {
        match &expression.expr {
            Expr::Call(call) if call.func_name == operator && call.target.is_none() && depth < DEPTH_MAX => {
                call.args.iter().try_for_each(|argument| self.chain(operator, argument, depth + 1, parts))
            }
            _ => {
                parts.push(self.node(expression, depth)?);
                Ok(())
            }
        }
    }

    /// The macros: what the parser makes of each is known by its shape.
    fn walk(&mut self, walk: &'e ComprehensionExpr, depth: usize) -> Lowered {
        let over = self.node(&walk.iter_range, depth)?;
        let Some(shape) = Shape::of(walk) else {
            return refused("this kind of loop is not supported", None);
        };
        self.locals.push(&walk.iter_var);
        let only = shape.only.map(|only| self.node(only, depth)).transpose();
        let body = self.node(shape.body, depth);
        self.locals.pop();
        Ok(Node::Walk(Box::new(Walk { over, kind: shape.kind, body: body?, only: only? })))
    }
}

/// What a macro does with each item.
struct Shape<'e> {
    kind: WalkKind,
    body: &'e Expression,
    only: Option<&'e Expression>,
}

impl<'e> Shape<'e> {
    fn of(walk: &'e ComprehensionExpr) -> Option<Self> {
        let Expr::Call(step) = &walk.loop_step.expr else { return None };
        let is_result =
            |expression: &Expression| matches!(&expression.expr, Expr::Ident(name) if *name == walk.accu_var);
        let start = &walk.accu_init.expr;
        match (step.func_name.as_str(), step.args.as_slice(), start) {
            _ if walk.iter_var2.is_some() || step.target.is_some() => None,
            (operators::LOGICAL_AND, [result, body], Expr::Literal(LiteralValue::Boolean(_)))
                if is_result(result) =>
            {
                Some(Self { kind: WalkKind::Every, body, only: None })
            }
            (operators::LOGICAL_OR, [result, body], Expr::Literal(LiteralValue::Boolean(_)))
                if is_result(result) =>
            {
                Some(Self { kind: WalkKind::Any, body, only: None })
            }
            (operators::CONDITIONAL, [body, _, result], Expr::Literal(LiteralValue::Int(_)))
                if is_result(result) =>
            {
                Some(Self { kind: WalkKind::One, body, only: None })
            }
            (operators::CONDITIONAL, [only, step, result], Expr::List(_)) if is_result(result) => {
                let Expr::Call(step) = &step.expr else { return None };
                Some(Self { kind: WalkKind::Collect, body: appended(step)?, only: Some(only) })
            }
            (operators::ADD, _, Expr::List(_)) => {
                Some(Self { kind: WalkKind::Collect, body: appended(step)?, only: None })
            }
            _ => None,
        }
    }
}

/// The `x` of `@result + [x]`.
fn appended(step: &CallExpr) -> Option<&Expression> {
    match (step.func_name.as_str(), step.args.as_slice()) {
        (operators::ADD, [_, list]) => match &list.expr {
            Expr::List(list) => list.elements.first(),
            _ => None,
        },
        _ => None,
    }
}

fn literal_of(literal: &LiteralValue) -> Lowered {
    Ok(Node::Constant(match literal {
        LiteralValue::Boolean(truth) => Datum::Bool(**truth),
        LiteralValue::Bytes(_) => return refused("bytes are not supported", None),
        LiteralValue::Double(number) => Datum::Double(**number),
        LiteralValue::Int(number) => Datum::Int(**number),
        LiteralValue::Null => Datum::Null,
        LiteralValue::String(text) => Datum::Words(text.inner().into()),
        LiteralValue::UInt(number) => Datum::Uint(**number),
    }))
}

/// A call of a function or an operator; a target is the first of what is given.
fn function(name: &str, on_target: bool, given: Vec<Node>) -> Lowered {
    let count = given.len();
    let mut given = given.into_iter();
    match (given.next(), given.next(), given.next()) {
        (Some(of), None, None) => one(name, on_target, of),
        (Some(a), Some(b), None) => two(name, on_target, [a, b]),
        (Some(a), Some(b), Some(c)) if name == operators::CONDITIONAL && count == 3 => {
            Ok(Node::Choose(Box::new([a, b, c])))
        }
        _ => unknown(name),
    }
}

fn one(name: &str, on_target: bool, of: Node) -> Lowered {
    match name {
        operators::LOGICAL_NOT => Ok(Node::Not(Box::new(of))),
        operators::NEGATE => computed(Node::Negate(Box::new(of)), None),
        "size" => Ok(Node::Size(Box::new(of))),
        // A parenthesis for the type checker, which there is not.
        "dyn" if !on_target => Ok(of),
        "type" if !on_target => Ok(Node::Kind(Box::new(of))),
        _ if (library::PARTS.contains(&name) && on_target)
            || (library::CONVERSIONS.contains(&name) && !on_target) =>
        {
            computed(Node::Library(Box::new(library::prepared(name, on_target, 1)), vec![of]), Some(name))
        }
        _ => unknown(name),
    }
}

fn two(name: &str, on_target: bool, sides: [Node; 2]) -> Lowered {
    if name == "matches" {
        return matches(sides);
    }
    let calculation = match name {
        operators::ADD => Some(Calculation::Add),
        operators::SUBSTRACT => Some(Calculation::Subtract),
        operators::MULTIPLY => Some(Calculation::Multiply),
        operators::DIVIDE => Some(Calculation::Divide),
        operators::MODULO => Some(Calculation::Remainder),
        _ => None,
    };
    if let Some(calculation) = calculation {
        return computed(Node::Calculate(calculation, Box::new(sides)), None);
    }
    if library::PARTS.contains(&name) && on_target {
        let call = Box::new(library::prepared(name, true, 2));
        return computed(Node::Library(call, sides.into()), Some(name));
    }
    let sides = Box::new(sides);
    Ok(match (name, on_target) {
        (operators::EQUALS, _) => Node::Equal(true, sides),
        (operators::NOT_EQUALS, _) => Node::Equal(false, sides),
        (operators::LESS, _) => Node::Compare(Comparison::Less, sides),
        (operators::LESS_EQUALS, _) => Node::Compare(Comparison::AtMost, sides),
        (operators::GREATER, _) => Node::Compare(Comparison::More, sides),
        (operators::GREATER_EQUALS, _) => Node::Compare(Comparison::AtLeast, sides),
        (operators::IN, _) => Node::In(sides),
        (operators::INDEX, _) => {
            let [of, name] = &*sides;
            if let Node::Constant(constant) = name
                && let Some(name) = constant.text()
            {
                member(of, name)?;
            }
            Node::Index(sides)
        }
        ("contains", true) => Node::Text(TextTest::Contains, sides),
        ("endsWith", true) => Node::Text(TextTest::EndsWith, sides),
        ("startsWith", true) => Node::Text(TextTest::StartsWith, sides),
        _ => return unknown(name),
    })
}

/// A tenant and a key have few members: another could never be read.
fn member(of: &Node, name: &str) -> Result<(), Refused> {
    let (fact, known) = match of {
        Node::Fact(Fact::Tenant) => ("tenant", &TENANT_MEMBERS[..]),
        Node::Fact(Fact::Key) => ("key", &KEY_MEMBERS[..]),
        _ => return Ok(()),
    };
    if known.contains(&name) {
        return Ok(());
    }
    let message = match names::nearest(name, known.iter().copied()) {
        Some(near) => format!("`{fact}` has no `{name}`; did you mean `{fact}.{near}`?"),
        None => format!("`{fact}` has no `{name}`, only {}", known.join(", ")),
    };
    refused(message, Some(&format!("{fact}.{name}")))
}

/// The expression is compiled once, so it must stand in the condition; a caller's would be a caller's work to do.
fn matches([of, expression]: [Node; 2]) -> Lowered {
    let word = Some("matches");
    let Node::Constant(constant) = &expression else {
        return refused("the expression of `matches` must be a literal", word);
    };
    let Some(text) = constant.text() else {
        return refused("the expression of `matches` must be a string", word);
    };
    match Regular::anywhere(text) {
        Ok(regular) => Ok(Node::Matches(Box::new(of), Box::new(regular))),
        Err(bad @ (BadExpression::Syntax(_) | BadExpression::TooLarge)) => {
            refused(format!("the expression of `matches` is not usable: {bad}"), word)
        }
    }
}

/// What is constant is computed now.
fn computed(node: Node, word: Option<&str>) -> Lowered {
    let is_constant = |node: &Node| matches!(node, Node::Constant(_));
    let whole = match &node {
        Node::Calculate(_, sides) => sides.iter().all(is_constant),
        Node::Library(_, arguments) => arguments.iter().all(is_constant),
        Node::List(items) => items.iter().all(is_constant),
        Node::Map(members) => members.iter().flatten().all(is_constant),
        Node::Negate(of) => is_constant(of),
        _ => false,
    };
    if !whole {
        return Ok(node);
    }
    match constant(&node, CONSTANT_STEPS) {
        Some(found) => Ok(Node::Constant(found)),
        None => refused("there is a constant in it that cannot be computed", word),
    }
}

fn unknown(name: &str) -> Lowered {
    if library::CONVERSIONS.iter().chain(&library::PARTS).chain(&OWN).any(|known| *known == name) {
        return refused(format!("`{name}` is not called like this"), Some(name));
    }
    if let Some(operator) = name.strip_prefix('_').and_then(|rest| rest.strip_suffix('_')) {
        return refused(format!("`{operator}` is not supported here"), None);
    }
    let known: Vec<&str> = OWN.into_iter().chain(library::CONVERSIONS).chain(library::PARTS).collect();
    refused(format!("unknown function `{name}`; there are {}", known.join(", ")), Some(name))
}
