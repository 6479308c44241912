//! Who looks over a tenant's records: the analyzer as it was written to the one that is asked.

use super::{Compiler, Purpose};
use crate::{
    config::raw,
    records::Analyst,
    redact::entities,
    upstream::analyzer::{Analyzer, Question},
};
use std::{sync::Arc, time::Duration};

/// What is set where nothing is written.
const TIMEOUT: Duration = Duration::from_secs(2);
/// A text that takes longer holds up its tenant's records.
const TIMEOUT_MAX: Duration = Duration::from_secs(30);
const ENTITIES: [&str; 2] = ["PERSON", "LOCATION"];
const THRESHOLD: u8 = 40;

impl Compiler<'_> {
    pub(super) fn analyzer(&mut self, raw: &raw::Analyzer) -> Option<Arc<dyn Analyst>> {
        let timeout = raw.timeout.as_ref().map_or(TIMEOUT, |at| at.value);
        if timeout.is_zero() || timeout > TIMEOUT_MAX {
            self.error(
                "bad-duration",
                raw.timeout.as_ref()?.at,
                "an analyzer has between 1ms and 30s for a text",
            );
            return None;
        }
        for at in raw.entities.iter().flatten() {
            if entities().any(|known| known == at.value) {
                let message = format!("{} is found without an analyzer: leave it out here", at.value);
                self.error("bad-entity", at.at, message);
            }
        }
        let asked = raw.entities.as_ref().map(|list| list.iter().map(|at| at.value.clone()).collect());
        let question = Question {
            language: raw.language.as_ref().map_or("en", |at| at.value.as_str()).to_owned(),
            entities: asked.unwrap_or_else(|| ENTITIES.map(str::to_owned).to_vec()),
            threshold: raw.threshold.as_ref().map_or(THRESHOLD, |at| at.value.0),
        };
        if self.purpose == Purpose::Read {
            return None;
        }
        let roots = raw.ca.as_ref().and_then(|ca| self.read_file(ca));
        match Analyzer::new(&raw.url.value, roots.as_deref(), question, timeout) {
            Ok(analyzer) => Some(Arc::new(analyzer)),
            Err(bad) => {
                self.error("bad-url", raw.url.at, bad.to_string());
                None
            }
        }
    }
}
