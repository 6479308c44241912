//! The gateways that share limits with this one.

use super::{Reloader, compile};
use crate::{fleet, fleet::Fleet, records::TenantSecrets};

impl Reloader {
    /// Looks for the others, where the configuration says so.
    pub(super) fn join(
        &self,
        serve: &compile::Serve,
        secrets: &TenantSecrets,
    ) -> Result<Option<Fleet>, String> {
        let Some(options) = &serve.shared_state else { return Ok(None) };
        let seal = secrets.shared("shared state v1").map(fleet::Seal::new);
        let fleet = Fleet::join(options, seal, &serve.data_dir).map_err(|bad| bad.to_string())?;
        drop(self.peers.set(fleet.peers()));
        self.share();
        Ok(Some(fleet))
    }

    /// Every tenant's and key's limits are those of all gateways.
    pub(super) fn share(&self) {
        if let Some(peers) = self.peers.get() {
            self.quotas.iter().for_each(|quota| quota.share(quota.key(), peers));
        }
    }
}
