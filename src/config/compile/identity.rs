//! How callers are known besides keys, held against the tenants and listeners that there are.

use super::{Compiler, address_of};
use crate::config::{Problem, lineage::Held, nearest, raw};

impl Compiler<'_> {
    pub(super) fn identity(&mut self, gateway: &raw::Gateway, all: &[Held<'_>]) {
        let fixed = gateway.identity.as_ref().and_then(|identity| identity.fixed.as_ref());
        let Some(fixed) = fixed else { return };
        let name = fixed.value.as_str();
        match all.iter().find(|held| held.raw.tenant.value == name) {
            Some(held) if held.is_abstract() => {
                let message = format!("`{name}` is abstract: nobody can be this tenant");
                let problem = Problem::error("abstract-tenant", fixed.at, message)
                    .see("it is only there to be extended", held.raw.tenant.at);
                self.say(problem.hint("name a tenant that extends it"));
            }
            Some(_) => {}
            // A file that could not be read may be the one that is meant: that is said already.
            None if self.loaded.is_broken(name) => {}
            None => {
                let running = all.iter().filter(|held| !held.is_abstract());
                let near = nearest(name, running.map(|held| held.raw.tenant.value.as_str()));
                let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                self.error("unknown-tenant", fixed.at, format!("there is no tenant `{name}`{near}"));
            }
        }
        for listener in gateway.listen.iter().flat_map(|many| &many.0) {
            let at = &listener.address;
            if address_of(&at.value).is_some_and(|address| !address.ip().is_loopback()) {
                let message = format!("this is not on loopback, and whoever reaches it is `{name}`");
                let problem = Problem::error("fixed-not-loopback", at.at, message)
                    .see("`identity.fixed` is here", fixed.at);
                self.say(problem.hint("listen on 127.0.0.1 or [::1], or remove `identity.fixed`"));
            }
        }
    }
}
