//! Whose the vector stores are that a request lets the provider search. They lie in an account that all tenants share: one
//! has to be the tenant's own, or the operator's rules name it.

use super::decide;
use crate::{
    asked::Asked,
    call::{Arguments, Place},
    dialect::Request,
    json::Value,
    policy::Outcome,
    refusal::Refusal,
};

/// The tool that searches vector stores, whoever runs it.
pub const FILE_SEARCH: &str = "builtin__file_search";
const STORES: &str = "vector_store_ids";
/// An id that no store has: where a rule lets it pass, it looks at no ids.
const NOBODYS: &str = "vs_!nobody";

/// The ids in the arguments of a search.
fn ids<'v>(arguments: &'v Value<'_>) -> Result<Vec<&'v str>, Refusal> {
    let wrong = || Refusal::invalid(format!("`{STORES}` is not an array of strings"), Some("tools"));
    let Some(ids) = arguments.present(STORES) else { return Ok(Vec::new()) };
    let ids = ids.items().ok_or_else(wrong)?;
    ids.iter().map(|id| id.as_str().ok_or_else(wrong)).collect()
}

/// The vector stores that a request names and that may have to be the tenant's own.
///
/// # Errors
/// When they are no list of ids.
pub fn stores_of(request: &Request<'_>) -> Result<Vec<String>, Refusal> {
    let mut named = Vec::new();
    for offer in request.offers.iter().filter(|offer| offer.tool == FILE_SEARCH) {
        if let Arguments::Known(arguments) = &offer.args {
            named.extend(ids(arguments)?.into_iter().map(ToOwned::to_owned));
        }
    }
    Ok(named)
}

/// Refuses a search of a store that is neither the tenant's own nor named by its rules, in the words in which one is
/// refused that does not exist.
///
/// # Errors
/// That it was not found.
pub fn check_stores(
    asked: &Asked,
    request: &Request<'_>,
    is_own: &dyn Fn(&str) -> bool,
) -> Result<(), Refusal> {
    for offer in request.offers.iter().filter(|offer| offer.tool == FILE_SEARCH) {
        let Arguments::Known(arguments) = &offer.args else { continue };
        let given = ids(arguments)?;
        let decision = decide(asked, FILE_SEARCH, &offer.args, Place::Offered);
        // What is not allowed is taken out; what a rule forces is the operator's.
        if decision.outcome != Outcome::Allow {
            continue;
        }
        let sent = decision.rewritten.as_ref().map_or_else(|| Ok(given.clone()), ids)?;
        let foreign = sent.into_iter().find(|id| given.contains(id) && !is_own(id));
        if let Some(id) = foreign.filter(|_| !names_stores(asked, arguments)) {
            return Err(Refusal::StoredNotFound { id: id.chars().take(256).collect() });
        }
    }
    Ok(())
}

/// Whether the tenant's rules look at which stores are searched.
fn names_stores(asked: &Asked, arguments: &Value<'_>) -> bool {
    let mut probe = arguments.clone().into_owned();
    probe.set(STORES, Value::Array(vec![Value::string(NOBODYS)]));
    let probed = Arguments::Known(probe.clone());
    let decision = decide(asked, FILE_SEARCH, &probed, Place::Offered);
    let sent = decision.rewritten.as_ref().unwrap_or(&probe);
    decision.outcome != Outcome::Allow || !ids(sent).is_ok_and(|ids| ids.contains(&NOBODYS))
}
