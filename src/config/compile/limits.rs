//! How much a tenant may use, as it was written, to limits that run.

use super::Compiler;
use crate::{
    config::{
        At,
        lineage::Effective,
        values::{self, MoneyPer},
    },
    policy::glob::Glob,
    quota::{Budget, Calendar, Limits, ModelLimit, OUTPUT_ESTIMATE, Per},
    usage::MicroUsd,
};

impl Compiler<'_> {
    /// Tokens, money and single models.
    pub(super) fn limits(&mut self, effective: &Effective<'_>) -> Limits {
        let mut models = Vec::new();
        for (name, limits) in effective.model_limits.iter().flatten() {
            models.push(ModelLimit {
                name: name.value.as_str().into(),
                requests: limits.requests.and_then(|at| self.rate(&at)),
                tokens: limits.tokens.and_then(|at| self.rate(&at)),
                concurrency: limits.concurrency.map(|at| u32::try_from(at.value).unwrap_or(u32::MAX)),
            });
        }
        Limits {
            tokens: effective.limits.tokens.and_then(|at| self.rate(&at)),
            output_estimate: effective.limits.output_estimate.map_or(OUTPUT_ESTIMATE, |at| at.value),
            models,
            budgets: effective.budgets.iter().filter_map(|at| self.budget(at)).collect(),
            warn: effective.warn.map(|at| at.value.0),
        }
    }

    fn budget(&mut self, at: &At<values::Budget>) -> Option<Budget> {
        let Ok(zone) = at.value.zone.as_deref().unwrap_or("UTC").parse() else {
            let message =
                "there is no such time zone; write it as the IANA database does, like Europe/Zurich";
            self.error("unknown-time-zone", at.at, message);
            return None;
        };
        let per = match at.value.per {
            MoneyPer::Hour => Per::Hour,
            MoneyPer::Day => Per::Day,
            MoneyPer::Month => Per::Month,
        };
        Some(Budget { limit: MicroUsd(at.value.micro_usd), calendar: Calendar { per, zone } })
    }
}

/// What the limits of single models match, in their order.
pub(super) fn model_globs(effective: &Effective<'_>) -> Vec<Glob> {
    effective.model_limits.iter().flatten().map(|(name, _)| Glob::new(&name.value)).collect()
}
