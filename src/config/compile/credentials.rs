//! Credentials of single tenants, as they were written to upstreams that are called with them. Each is an account of its
//! own there: its connections, sessions and lists are nobody else's.

use super::Compiler;
use crate::{
    config::{At, Problem, lineage::Held, raw},
    upstream::Credential,
};
use std::{collections::HashMap, sync::Arc};

/// What tenants show to an upstream instead of the gateway's credential, by the upstream's name.
pub(super) type Own = HashMap<String, Vec<(Arc<str>, Credential)>>;

impl Compiler<'_> {
    pub(super) fn credentials(&mut self, gateway: &raw::Gateway, all: &[Held<'_>]) -> Own {
        let mut own = Own::new();
        for held in all {
            let tenant: Arc<str> = held.raw.tenant.value.as_str().into();
            if let Some((first, _)) = held.raw.credentials.0.first().filter(|_| held.is_abstract()) {
                let message = "a tenant with `abstract: true` calls nothing: it needs no credentials";
                let problem = Problem::error("credentials-of-abstract", first.at, message);
                self.say(problem.hint("write them in the files of the tenants that extend it"));
            }
            for (name, auth) in &held.raw.credentials.0 {
                self.takes_credentials(gateway, name);
                let credential = self.credential(auth);
                let known = own.entry(name.value.clone()).or_default();
                known.extend(credential.map(|credential| (Arc::clone(&tenant), credential)));
            }
        }
        own
    }

    fn takes_credentials(&mut self, gateway: &raw::Gateway, name: &At<String>) {
        let found = gateway.upstreams.0.iter().find(|(known, _)| known.value == name.value);
        let Some((known, upstream)) = found else { return self.no_such_upstream(gateway, name) };
        let is_served = matches!(
            upstream.kind.value,
            raw::UpstreamKind::Anthropic
                | raw::UpstreamKind::Chroma
                | raw::UpstreamKind::Http
                | raw::UpstreamKind::Mcp
                | raw::UpstreamKind::Openai
                | raw::UpstreamKind::Qdrant
        );
        let message = if !upstream.command.is_empty() {
            "a tenant's credential is sent in a header: it cannot be shown to a program that is started by `command`"
        } else if !is_served {
            "upstreams of this kind are not called with tenants' credentials by this version"
        } else {
            return;
        };
        let problem = Problem::error("no-credential-there", name.at, message);
        self.say(problem.see("the upstream is here", known.at));
    }
}
