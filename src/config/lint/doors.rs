//! Ways to the gateway that are open to more than are meant.

use super::{Found, View};
use crate::config::Problem;

pub(super) fn lint(view: &View<'_>, found: &mut Found) {
    let identity = view.gateway.identity.as_ref();
    let Some(fixed) = identity.and_then(|identity| identity.fixed.as_ref()) else { return };
    if view.gateway.admin_token.is_some() {
        return;
    }
    let message = "whoever reaches the agents' port without a key reaches the admin port without a token: an agent could \
                   approve its own calls";
    let problem = Problem::warning("open-admin", fixed.at, message);
    found.push(problem.hint("set `admin_token` to a secret that the agent cannot read"));
}
