//! A condition as it is evaluated: names found, functions known, constants computed, expressions compiled.

use super::datum::Datum;
use crate::policy::expression::Expression as Regular;
use cel::parser::Expression;
use std::cmp::Ordering;

/// A step of a condition.
#[derive(Debug)]
pub(super) enum Node {
    /// `a || b`: one true is true, whatever the others are.
    Any(Vec<Node>),
    /// `a && b`: one false is false, whatever the others are.
    All(Vec<Node>),
    Calculate(Calculation, Box<[Node; 2]>),
    /// `a ? b : c`.
    Choose(Box<[Node; 3]>),
    Compare(Comparison, Box<[Node; 2]>),
    Constant(Datum<'static>),
    /// `==`, or `!=` where the truth is false.
    Equal(bool, Box<[Node; 2]>),
    Fact(Fact),
    Field(Box<Node>, Box<str>),
    Has(Box<Node>, Box<str>),
    In(Box<[Node; 2]>),
    Index(Box<[Node; 2]>),
    /// A function of the CEL library, as a call of `a` and `b`.
    Library(Box<Expression>, Vec<Node>),
    List(Vec<Node>),
    /// `type(x)`.
    Kind(Box<Node>),
    /// The variable of a walk, counted from the outermost.
    Local(usize),
    Map(Vec<[Node; 2]>),
    /// Whether the expression matches somewhere.
    Matches(Box<Node>, Box<Regular>),
    Negate(Box<Node>),
    Not(Box<Node>),
    Size(Box<Node>),
    Text(TextTest, Box<[Node; 2]>),
    Walk(Box<Walk>),
}

/// A name that every condition knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fact {
    Args,
    Key,
    Now,
    Place,
    Tenant,
    Tool,
}

impl Fact {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Args => "args",
            Self::Key => "key",
            Self::Now => "now",
            Self::Place => "place",
            Self::Tenant => "tenant",
            Self::Tool => "tool",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "tenant" => Self::Tenant,
            "key" => Self::Key,
            "tool" => Self::Tool,
            "args" => Self::Args,
            "place" => Self::Place,
            "now" => Self::Now,
            _ => return None,
        })
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Calculation {
    Add,
    Divide,
    Multiply,
    Remainder,
    Subtract,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Comparison {
    AtLeast,
    AtMost,
    Less,
    More,
}

impl Calculation {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Divide => "/",
            Self::Multiply => "*",
            Self::Remainder => "%",
            Self::Subtract => "-",
        }
    }
}

impl Comparison {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::AtLeast => ">=",
            Self::AtMost => "<=",
            Self::Less => "<",
            Self::More => ">",
        }
    }

    pub(super) fn holds(self, order: Ordering) -> bool {
        match self {
            Self::AtLeast => order.is_ge(),
            Self::AtMost => order.is_le(),
            Self::Less => order.is_lt(),
            Self::More => order.is_gt(),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum TextTest {
    Contains,
    EndsWith,
    StartsWith,
}

impl TextTest {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Contains => "contains",
            Self::EndsWith => "endsWith",
            Self::StartsWith => "startsWith",
        }
    }
}

/// A macro over a list, or over the keys of a map.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) over: Node,
    pub(super) kind: WalkKind,
    /// Of each item: a truth, or what becomes of it.
    pub(super) body: Node,
    /// Only items for which this is true (`filter`, `map` of three).
    pub(super) only: Option<Node>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WalkKind {
    /// `exists`.
    Any,
    /// `all`.
    Every,
    /// `map` and `filter`.
    Collect,
    /// `exists_one`.
    One,
}
