//! A histogram of times that many threads add to without waiting for each other; its sum is exact to the nanosecond.

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, TypedMetric},
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// The upper bounds of a histogram's buckets, in microseconds, ascending. A last one without a bound follows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds(pub &'static [u32]);

/// Of whole requests.
const DURATIONS: Bounds = Bounds(&[
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
]);
/// Of the gateway's own part of them.
pub(super) const OVERHEADS: Bounds =
    Bounds(&[10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000]);

/// How often it took how long. Clones are the same histogram.
#[derive(Debug, Clone)]
pub(super) struct Times {
    bounds: Bounds,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    buckets: Box<[AtomicU64]>,
    nanos: AtomicU64,
}

impl Times {
    pub(super) fn new(bounds: Bounds) -> Self {
        let buckets = (0..=bounds.0.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, inner: Arc::new(Inner { buckets, nanos: AtomicU64::new(0) }) }
    }

    pub(super) fn observe(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let at = self.bounds.0.partition_point(|bound| u64::from(*bound) * 1000 < nanos);
        if let Some(bucket) = self.inner.buckets.get(at) {
            bucket.fetch_add(1, Relaxed);
            self.inner.nanos.fetch_add(nanos, Relaxed);
        }
    }
}

impl Default for Times {
    fn default() -> Self {
        Self::new(DURATIONS)
    }
}

impl TypedMetric for Times {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Times {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let bounds = self.bounds.0.iter().map(|bound| f64::from(*bound) / 1e6);
        let counts = self.inner.buckets.iter().map(|bucket| bucket.load(Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.chain([f64::INFINITY]).zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_nanos(self.inner.nanos.load(Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_where_it_is_within_the_bound() {
        let times = Times::new(Bounds(&[10, 20]));
        for micros in [0, 9, 10, 11, 20, 21, 1_000_000] {
            times.observe(Duration::from_micros(micros));
        }
        times.observe(Duration::from_nanos(10_001));
        let counts: Vec<u64> = times.inner.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        assert_eq!(counts, [3, 3, 2]);
        assert_eq!(times.inner.nanos.load(Relaxed), 1_000_081_001);
    }
}
