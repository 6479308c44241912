//! Where records are exported to, as it was written.

use super::{Compiler, Purpose};
use crate::{config::raw, telemetry::Target, upstream::Credential};
use http::{HeaderName, HeaderValue};
use std::sync::Arc;

impl Compiler<'_> {
    /// The store that records are exported to, if they are.
    pub(super) fn logs_target(&mut self, gateway: &raw::Gateway) -> Option<Arc<Target>> {
        let exporter = gateway.telemetry.as_ref()?;
        let url = exporter.otlp.as_ref()?;
        let ca = exporter.ca.as_ref().map(|ca| self.read_file(ca));
        let mut headers = Vec::new();
        for (name, secret) in &exporter.headers.0 {
            let Ok(header) = HeaderName::try_from(name.value.as_str()) else {
                self.error("bad-header", name.at, "not the name of a header");
                continue;
            };
            let Some(found) = self.secret(secret) else { continue };
            match HeaderValue::try_from(found.expose()) {
                Ok(mut value) => {
                    value.set_sensitive(true);
                    headers.push(Credential { header, value });
                }
                Err(_) => {
                    let message = "the secret holds characters that a header cannot carry";
                    self.error("bad-secret", secret.at, message);
                }
            }
        }
        let is_on = exporter.logs.as_ref().is_some_and(|logs| logs.value);
        if !is_on || self.purpose == Purpose::Read {
            return None;
        }
        let target = Target::new(&url.value, ca.flatten().as_deref(), headers);
        target.map_err(|bad| self.error("bad-url", url.at, bad.to_string())).ok().map(Arc::new)
    }
}
