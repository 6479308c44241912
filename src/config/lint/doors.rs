//! Ways to the gateway that are open to more than are meant.

use super::{Found, View};
use crate::config::{Problem, raw};

pub(super) fn lint(view: &View<'_>, found: &mut Found) {
    let identity = view.gateway.identity.as_ref();
    identity.into_iter().for_each(|identity| same_issuers(&identity.jwt, found));
    let Some(fixed) = identity.and_then(|identity| identity.fixed.as_ref()) else { return };
    if view.gateway.admin_token.is_some() {
        return;
    }
    let message = "whoever reaches the agents' port without a key reaches the admin port without a token: an agent could \
                   approve its own calls";
    let problem = Problem::warning("open-admin", fixed.at, message);
    found.push(problem.hint("set `admin_token` to a secret that the agent cannot read"));
}

/// Issuers of which a token could be either's.
fn same_issuers(all: &[raw::Jwt], found: &mut Found) {
    for (at, jwt) in all.iter().enumerate() {
        let shares = |other: &&raw::Jwt| {
            let takes = |audience: &str| other.audience.0.iter().any(|own| own.value == audience);
            other.issuer.value == jwt.issuer.value && jwt.audience.0.iter().any(|own| takes(&own.value))
        };
        if let Some(first) = all.iter().take(at).find(shares) {
            let message =
                "this issuer stands above with an audience of this one: tokens for it are the first one's";
            let problem = Problem::warning("same-issuer", jwt.issuer.at, message);
            let problem = problem.see("the first is here", first.issuer.at);
            found.push(problem.hint("remove one of them, or give each audiences of its own"));
        }
    }
}
