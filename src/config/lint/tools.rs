//! Tools that rules name and nothing has. What an agent declares itself is known to nobody here; so a name counts as
//! wrong where it is of an upstream that there is not, or where the tenant's tests never call it.

use super::{Found, View, globs};
use crate::{
    config::{At, Problem, nearest, raw},
    policy::glob::Glob,
    retrieval::Operation,
};

/// Tools that the provider runs itself.
const BUILTIN: &str = "builtin";

pub(super) fn lint(view: &View<'_>, found: &mut Found) {
    if !view.whole {
        return;
    }
    for held in &view.tenants {
        let called = calls(view, &held.raw.tenant.value);
        for rule in held.raw.settings.tools.iter().flatten() {
            for glob in globs(rule) {
                name(view, glob, &called, found);
            }
        }
    }
    let defaults = view.gateway.defaults.as_ref().and_then(|defaults| defaults.tools.as_ref());
    for glob in defaults.into_iter().flatten().flat_map(globs) {
        name(view, glob, &[], found);
    }
}

/// The tools that a tenant's tests call.
fn calls<'l>(view: &View<'l>, tenant: &str) -> Vec<&'l str> {
    let tests = view.tests.iter().filter(|tests| tests.tenant.value == tenant);
    tests
        .flat_map(|tests| &tests.cases)
        .filter_map(|case| case.call.as_ref())
        .map(|call| call.value.as_str())
        .collect()
}

fn name(view: &View<'_>, glob: &At<String>, called: &[&str], found: &mut Found) {
    let literal = glob.value.split(['*', '?']).next().unwrap_or_default();
    let is_literal = literal.len() == glob.value.len();
    let matcher = Glob::new(&glob.value);
    if called.iter().any(|tool| matcher.matches(tool)) {
        return;
    }
    match literal.split_once("__") {
        Some((BUILTIN, _)) => {}
        Some((upstream, operation)) => of_upstream(view, glob, upstream, (operation, is_literal), found),
        // Only where the tenant has tests is a tool that none of them calls likely to be a slip of the pen.
        None if is_literal && !called.is_empty() => {
            let near = nearest(&glob.value, called.iter().copied());
            let message = format!("no test of this tenant calls `{}`", glob.value);
            let problem = Problem::warning(
                "unknown-tool",
                glob.at,
                match near {
                    Some(near) => format!("{message}; did you mean `{near}`?"),
                    None => message,
                },
            );
            found.push(problem.hint("add a case that calls it to the tenant's `.test.yaml`"));
        }
        None => {}
    }
}

fn is_of_store(operation: &str) -> bool {
    Operation::RULED.into_iter().any(|known| known.as_str() == operation)
}

fn of_upstream(
    view: &View<'_>,
    glob: &At<String>,
    upstream: &str,
    (operation, is_literal): (&str, bool),
    found: &mut Found,
) {
    let names = view.gateway.upstreams.0.iter().map(|(name, _)| name.value.as_str());
    let (message, near) = match view.gateway.upstreams.get(upstream) {
        None => (format!("there is no upstream `{upstream}`"), nearest(upstream, names)),
        Some(raw::Upstream { kind, operations, .. })
            if kind.value == raw::UpstreamKind::Http && is_literal && operations.get(operation).is_none() =>
        {
            let known = operations.0.iter().map(|(name, _)| name.value.as_str());
            (format!("`{upstream}` has no operation `{operation}`"), nearest(operation, known))
        }
        Some(raw::Upstream { kind, .. })
            if super::upstreams::is_store(kind.value) && is_literal && !is_of_store(operation) =>
        {
            let known = Operation::RULED.into_iter().map(Operation::as_str);
            (
                format!("`{upstream}` is a vector store, which has no operation `{operation}`"),
                nearest(operation, known),
            )
        }
        Some(_) => return,
    };
    let message = match near {
        Some(near) => format!("{message}; did you mean `{near}`?"),
        None => message,
    };
    let problem = Problem::warning("unknown-tool", glob.at, message);
    found.push(problem.hint(
        "a tool of an upstream is named `upstream__operation`; a test that calls it says that it is right",
    ));
}
