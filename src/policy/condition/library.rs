//! The functions that are left to the `cel` crate: conversions, and the parts of a time. Their arguments are single
//! values, so that what they cost is known before.

use super::datum::Datum;
use cel::{
    Context, Env, Value as Cel,
    common::ast::{CallExpr, Expr},
    parser::Expression,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
};

/// What a call costs besides the length of its argument.
pub(super) const STEPS: usize = 32;
/// `f(x)`.
pub(super) const CONVERSIONS: [&str; 7] =
    ["bool", "double", "duration", "int", "string", "timestamp", "uint"];
/// `time.f()`, `time.f(zone)`.
pub(super) const PARTS: [&str; 10] = [
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
];
const NAMES: [&str; 2] = ["a", "b"];

/// A call that is made again and again with other values.
pub(super) fn prepared(function: &str, on_target: bool, arguments: usize) -> Expression {
    let name = |name: &&str| Expression { expr: Expr::Ident((*name).to_owned()), ..Expression::default() };
    let mut names = NAMES.iter().take(arguments).map(name);
    let target = if on_target { names.next().map(Box::new) } else { None };
    let call = CallExpr { func_name: function.to_owned(), target, args: names.collect() };
    Expression { expr: Expr::Call(call), ..Expression::default() }
}

/// The function that is called.
pub(super) fn name(prepared: &Expression) -> &str {
    match &prepared.expr {
        Expr::Call(call) => &call.func_name,
        _ => "",
    }
}

pub(super) fn call<'v>(prepared: &Expression, arguments: Vec<Cel>) -> Option<Datum<'v>> {
    let answer = catch_unwind(AssertUnwindSafe(|| {
        let mut context = Context::with_env(environment());
        for (name, argument) in NAMES.iter().zip(arguments) {
            context.add_variable_from_value(*name, argument);
        }
        Cel::resolve(prepared, &context)
    }));
    answer.ok()?.ok().and_then(Datum::from_cel)
}

fn environment() -> Arc<Env> {
    static STANDARD: OnceLock<Arc<Env>> = OnceLock::new();
    Arc::clone(STANDARD.get_or_init(|| Arc::new(Env::stdlib())))
}
