//! What is exported and where to, as it was written.

use super::{Compiler, Purpose};
use crate::{
    config::{raw, values::Percent},
    telemetry::{Conventions, Exports, Protocol, Target, Traces},
    upstream::Credential,
};
use http::{HeaderName, HeaderValue};
use std::sync::Arc;

impl Compiler<'_> {
    /// What is exported, if anything is.
    pub(super) fn exports(&mut self, gateway: &raw::Gateway) -> Option<Arc<Exports>> {
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
        let logs = exporter.logs.as_ref().is_some_and(|logs| logs.value);
        let traces = traces(exporter);
        if self.purpose == Purpose::Read || (!logs && traces.is_none()) {
            return None;
        }
        let protocol = match exporter.protocol.as_ref().map(|protocol| protocol.value) {
            Some(raw::ExportProtocol::Grpc) => Protocol::Grpc,
            Some(raw::ExportProtocol::Http) | None => Protocol::Http,
        };
        let target = Target::new(&url.value, protocol, ca.flatten().as_deref(), headers);
        let target = target.map_err(|bad| self.error("bad-url", url.at, bad.to_string())).ok()?;
        Some(Arc::new(Exports { target: Arc::new(target), logs, traces }))
    }
}

fn traces(exporter: &raw::Exporter) -> Option<Traces> {
    if exporter.traces.as_ref().is_some_and(|traces| !traces.value) {
        return None;
    }
    let conventions = match exporter.genai_semconv.as_ref().map(|names| names.value) {
        Some(raw::GenaiNames::Latest) => Conventions::Latest,
        Some(raw::GenaiNames::Classic) | None => Conventions::Classic,
    };
    let Percent(percent) = exporter.sample.as_ref().map_or(Percent(100), |sample| sample.value);
    let content = exporter.content.as_ref().is_some_and(|content| content.value == raw::Content::Redacted);
    Some(Traces { percent, conventions, content })
}
