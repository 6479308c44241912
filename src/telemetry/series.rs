//! A metric with labels. Other than the library's it can forget series, so that tenants that come and go leave none behind.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder},
    metrics::{MetricType, TypedMetric},
};
use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, PoisonError, RwLock},
};

/// Labels that name a tenant.
pub(super) trait OfTenant {
    fn tenant(&self) -> &str;
}

/// One metric for each set of labels. Clones are the same metric.
#[derive(Debug)]
pub(super) struct Series<L, M> {
    metrics: Arc<RwLock<HashMap<L, M>>>,
}

impl<L, M> Default for Series<L, M> {
    fn default() -> Self {
        Self { metrics: Arc::default() }
    }
}

impl<L, M> Clone for Series<L, M> {
    fn clone(&self) -> Self {
        Self { metrics: Arc::clone(&self.metrics) }
    }
}

impl<L: Hash + Eq + Clone, M: Default + Clone> Series<L, M> {
    /// The metric of these labels.
    pub(super) fn get_or_create(&self, labels: &L) -> M {
        let metrics = self.metrics.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(metric) = metrics.get(labels) {
            return metric.clone();
        }
        drop(metrics);
        let mut metrics = self.metrics.write().unwrap_or_else(PoisonError::into_inner);
        metrics.entry(labels.clone()).or_default().clone()
    }

    /// Puts these in the place of all.
    pub(super) fn replace(&self, with: impl IntoIterator<Item = (L, M)>) {
        let new = with.into_iter().collect();
        *self.metrics.write().unwrap_or_else(PoisonError::into_inner) = new;
    }
}

impl<L: OfTenant, M> Series<L, M> {
    /// Forgets the tenants that are not kept.
    pub(super) fn keep(&self, kept: &dyn Fn(&str) -> bool) {
        let mut metrics = self.metrics.write().unwrap_or_else(PoisonError::into_inner);
        metrics.retain(|labels, _| kept(labels.tenant()));
    }
}

impl<L, M: TypedMetric> TypedMetric for Series<L, M> {
    const TYPE: MetricType = M::TYPE;
}

impl<L: EncodeLabelSet + Clone + Ord, M: EncodeMetric + TypedMetric + Clone> EncodeMetric for Series<L, M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let metrics = self.metrics.read().unwrap_or_else(PoisonError::into_inner);
        // Nobody waits while they are written out.
        let mut told: Vec<(L, M)> =
            metrics.iter().map(|(labels, metric)| (labels.clone(), metric.clone())).collect();
        drop(metrics);
        told.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        told.iter().try_for_each(|(labels, metric)| metric.encode(encoder.encode_family(labels)?))
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }

    fn is_empty(&self) -> bool {
        self.metrics.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}
