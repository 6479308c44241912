//! What an expression comes to, as far as it can be known before it is asked: a condition that never answers true or
//! false would never allow, and always deny. Of what the arguments decide nothing is known.

use super::node::{Calculation, Fact, Node, WalkKind};
use cel::common::ast::Expr;

/// What the result is in words, where it is certainly neither true nor false.
pub(super) fn no_truth(node: &Node) -> Option<&'static str> {
    match node {
        Node::Calculate(Calculation::Add, _) => Some("a sum"),
        Node::Calculate(..) | Node::Negate(_) | Node::Size(_) => Some("a number"),
        Node::Choose(parts) => {
            let [_, yes, no] = &**parts;
            no_truth(yes).filter(|_| no_truth(no).is_some())
        }
        Node::Constant(constant) => constant.no_truth(),
        Node::Fact(Fact::Key | Fact::Tenant) => Some("a map"),
        Node::Fact(Fact::Now) => Some("a time"),
        Node::Fact(Fact::Place | Fact::Tool) => Some("a text"),
        Node::Field(of, name) => match (&**of, &**name) {
            (Node::Fact(Fact::Tenant), "labels") => Some("a map"),
            (Node::Fact(Fact::Tenant | Fact::Key), _) => Some("a text"),
            (Node::Field(of, name), _) if matches!(**of, Node::Fact(Fact::Tenant)) && &**name == "labels" => {
                Some("a text: write what it is to be, such as `== \"pro\"`")
            }
            _ => None,
        },
        Node::Kind(_) => Some("a type"),
        Node::Library(call, _) => match &call.expr {
            Expr::Call(call) if call.func_name == "bool" => None,
            _ => Some("a value made by a function"),
        },
        Node::List(_) => Some("a list"),
        Node::Map(_) => Some("a map"),
        Node::Walk(walk) if walk.kind == WalkKind::Collect => Some("a list"),
        Node::All(_)
        | Node::Any(_)
        | Node::Compare(..)
        | Node::Equal(..)
        | Node::Fact(Fact::Args)
        | Node::Has(..)
        | Node::In(_)
        | Node::Index(_)
        | Node::Local(_)
        | Node::Matches(..)
        | Node::Not(_)
        | Node::Text(..)
        | Node::Walk(_) => None,
    }
}
