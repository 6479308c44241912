//! Who is told of calls that wait for a person: webhooks as they were written to those that are called.

use super::{Compiler, Purpose};
use crate::{
    config::lineage::Held,
    redact::TenantSecret,
    upstream::webhook::{Webhook, shown_secret},
};
use std::{collections::HashMap, sync::Arc};

/// The secret by which a tenant's receivers know that a webhook is the gateway's. Of the gateway's own master secret.
fn secret(master: &[u8], tenant: &str) -> [u8; 32] {
    TenantSecret::derive(master, tenant).key("approvals webhook v1")
}

/// The same, as it is given to receivers.
pub fn webhook_secret(master: &[u8], tenant: &str) -> String {
    shown_secret(&secret(master, tenant))
}

impl Compiler<'_> {
    /// The webhook of each tenant that has one.
    pub(super) fn webhooks(&mut self, all: &[Held<'_>]) -> HashMap<Arc<str>, Arc<Webhook>> {
        let loaded = self.loaded;
        let mut webhooks = HashMap::new();
        if self.purpose == Purpose::Read {
            return webhooks;
        }
        for held in all {
            let (tenant, Some(url)) = (held.raw, held.effective.webhook) else { continue };
            let base = loaded.files.base_dir(url.at.file);
            // A URL that stands in the file itself need not be a secret.
            let found = match url.value.resolve(self.context.env, base) {
                Ok(found) => found,
                Err(missing) => {
                    self.error("secret-missing", url.at, missing.to_string());
                    continue;
                }
            };
            let name = tenant.tenant.value.as_str();
            match Webhook::new(found.expose(), secret(self.context.secrets.master(), name)) {
                Ok(webhook) => drop(webhooks.insert(Arc::from(name), Arc::new(webhook))),
                Err(bad) => self.error("bad-url", url.at, bad.to_string()),
            }
        }
        webhooks
    }
}
