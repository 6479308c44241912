//! Policy tests held against the tenants that there are: what no case could be right about, whatever the rules say.
//! `tollgate check` and `tollgate test` tell the same.

use super::{
    At, Loaded, Problem, nearest,
    raw::{self, Expect},
};

/// So many names are listed where none is near.
const LISTED: usize = 10;

/// What is wrong with the tests of a file.
pub fn check_tests(loaded: &Loaded, tests: &raw::Tests) -> Vec<Problem> {
    let mut problems = Vec::new();
    let name = tests.tenant.value.as_str();
    let tenant = loaded.tenants.iter().find(|tenant| tenant.tenant.value == name);
    // A file that could not be read may hold what seems to be nowhere: that is said already.
    let is_broken =
        loaded.is_broken(name) || tenant.is_some_and(|tenant| loaded.broken.contains(&tenant.at.file));
    match tenant {
        None if is_broken => {}
        None => {
            let names = loaded.tenants.iter().map(|tenant| tenant.tenant.value.as_str());
            let message = no_such("there is no tenant", name, names);
            problems.push(Problem::error("unknown-tenant", tests.tenant.at, message));
        }
        Some(tenant) => {
            let keys = tests.cases.iter().filter_map(|case| case.key.as_ref());
            problems.extend(keys.filter(|_| !is_broken).filter_map(|key| unknown_key(tenant, key)));
            problems.extend(tests.cases.iter().filter_map(pointless));
        }
    }
    if tests.cases.is_empty() {
        problems.push(Problem::error("no-cases", tests.at, "there are no cases in this file"));
    }
    problems
}

fn unknown_key(tenant: &raw::Tenant, key: &At<String>) -> Option<Problem> {
    let ids = || tenant.keys.iter().map(|known| known.id.value.as_str());
    if ids().any(|id| id == key.value) {
        return None;
    }
    let message = no_such(&format!("the tenant `{}` has no key", tenant.tenant.value), &key.value, ids());
    Some(Problem::error("unknown-key-id", key.at, message))
}

/// A case that asks for what cannot be.
fn pointless(case: &raw::Case) -> Option<Problem> {
    match (&case.model, &case.becomes, case.expect.value) {
        (Some(model), _, Expect::Ask) => {
            let message = "nobody is asked about a model: it is allowed or denied";
            let problem = Problem::error("never-asked", case.expect.at, message);
            Some(problem.see("this case is about a model", model.at))
        }
        (None, Some(becomes), Expect::Deny) => {
            let message = "nothing goes on of a call that is denied";
            Some(Problem::error("becomes-of-denied", becomes.at, message))
        }
        _ => None,
    }
}

/// That there is no such name, and the one that was probably meant, else those that there are.
pub(crate) fn no_such<'n>(what: &str, name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let mut known: Vec<&str> = known.collect();
    let more = match nearest(name, known.iter().copied()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None if known.is_empty() => "; there are none".to_owned(),
        None => {
            known.sort_unstable();
            let left_out = known.len().saturating_sub(LISTED);
            known.truncate(LISTED);
            let more = if left_out > 0 { format!(" and {left_out} more") } else { String::new() };
            format!("; there are `{}`{more}", known.join("`, `"))
        }
    };
    format!("{what} `{name}`{more}")
}
