//! What is counted of every request, by tenant, model and upstream: found once a request, then added to. What was used
//! is counted in whole tokens and micro-dollars as the ledger has them, so that both always tell the same.

use super::{
    labels::{Line, RequestLabels, RouteLabels, TokenKind, TokenLabels},
    series::Series,
    times::Times,
};
use crate::ledger::Counts;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeCounterValue, EncodeLabelSet, MetricEncoder, NoLabelSet},
    metrics::MetricType,
};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

/// A request, as it is counted.
#[derive(Debug)]
pub(super) struct Counted {
    pub outcome: &'static str,
    pub duration: Duration,
    pub ttft: Option<Duration>,
    /// What the ledger took in of it, if it did.
    pub charged: Option<Counts>,
    pub is_estimate: bool,
}

#[derive(Debug, Clone, Default)]
struct Figures {
    /// Few: the codes of refusals.
    outcomes: Vec<(&'static str, u64)>,
    charged: Counts,
    estimates: u64,
}

#[derive(Debug)]
struct Entry {
    figures: Mutex<Figures>,
    /// Those of all tenants' requests of the model at the upstream.
    duration: Times,
    ttft: Times,
}

/// Everything that is counted by requests. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines {
    entries: Arc<RwLock<HashMap<Line, Entry>>>,
    pub durations: Series<RouteLabels, Times>,
    pub times_to_first_token: Series<RouteLabels, Times>,
}

impl Lines {
    pub(super) fn count(&self, line: Line, counted: &Counted) {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(&line) {
            return entry.count(counted);
        }
        drop(entries);
        let route = RouteLabels { model: Arc::clone(&line.model), upstream: Arc::clone(&line.upstream) };
        let entry = || Entry {
            figures: Mutex::default(),
            duration: self.durations.get_or_create(&route),
            ttft: self.times_to_first_token.get_or_create(&route),
        };
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.entry(line).or_insert_with(entry).count(counted);
    }

    /// Forgets the tenants that are not kept.
    pub(super) fn keep(&self, kept: &dyn Fn(&str) -> bool) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|line, _| kept(&line.tenant));
    }

    /// All figures as they are now. Nobody waits while they are written out.
    fn now(&self) -> Vec<(Line, Figures)> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let figures = |entry: &Entry| entry.figures.lock().unwrap_or_else(PoisonError::into_inner).clone();
        entries.iter().map(|(line, entry)| (line.clone(), figures(entry))).collect()
    }
}

impl Entry {
    fn count(&self, counted: &Counted) {
        self.duration.observe(counted.duration);
        if let Some(ttft) = counted.ttft {
            self.ttft.observe(ttft);
        }
        let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        match figures.outcomes.iter_mut().find(|(outcome, _)| *outcome == counted.outcome) {
            Some((_, count)) => *count += 1,
            None => figures.outcomes.push((counted.outcome, 1)),
        }
        if let Some(charged) = &counted.charged {
            figures.charged.add(charged);
        }
        figures.estimates += u64::from(counted.is_estimate);
    }
}

impl Collector for Lines {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut lines = self.now();
        lines.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let (name, help) = ("requests", "Requests of known tenants, by outcome.");
        let mut requests = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (line, figures) in &lines {
            for (outcome, count) in &figures.outcomes {
                counter(&mut requests, &RequestLabels::of(line, outcome), count)?;
            }
        }
        let (name, help) = ("tokens", "Tokens as the ledger has them: told by upstreams, else estimated.");
        let mut tokens = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (line, Figures { charged, .. }) in &lines {
            let kinds =
                [(TokenKind::Input, charged.input_tokens), (TokenKind::Output, charged.output_tokens)];
            for (kind, count) in kinds.into_iter().filter(|(_, count)| *count > 0) {
                counter(&mut tokens, &TokenLabels::of(line, kind), &count)?;
            }
        }
        let (name, help) = ("cost_usd", "Cost by configured prices as the ledger has it, in US dollars.");
        let mut cost = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (line, figures) in lines.iter().filter(|(_, figures)| figures.charged.cost_micro_usd > 0) {
            counter(&mut cost, line, &usd(figures.charged.cost_micro_usd))?;
        }
        let name = "usage_estimates";
        let help = "Requests whose usage is an estimate: told by nobody, cut short, or not to be believed.";
        let mut estimates = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (line, figures) in lines.iter().filter(|(_, figures)| figures.estimates > 0) {
            counter(&mut estimates, line, &figures.estimates)?;
        }
        Ok(())
    }
}

fn counter(
    encoder: &mut MetricEncoder<'_>,
    labels: &impl EncodeLabelSet,
    value: &impl EncodeCounterValue,
) -> Result<(), fmt::Error> {
    encoder.encode_family(labels)?.encode_counter::<NoLabelSet, _, u64>(value, None)
}

/// Exact up to nine billion dollars.
#[expect(clippy::cast_precision_loss, reason = "a metric is a double")]
pub(super) fn usd(micro_usd: u64) -> f64 {
    micro_usd as f64 / 1e6
}
