//! What happened, counted: every event that is measured is named here, with its metric, once.
//! Labels are bounded: tenants, declared models (`other` for the rest), upstreams, outcomes. Tenants that are not
//! configured any more are forgotten.

mod glance;
mod labels;
mod lines;
mod otlp;
mod series;
mod standing;
#[cfg(test)]
mod tests;
mod text;
mod times;
mod tracer;

pub use glance::{Glance, Glances, MINUTES, Minute};
pub use standing::{BudgetStanding, Standing, UpstreamStanding};

pub use otlp::{BadTarget, Conventions, Protocol, Target};

use crate::{
    asked::{AskedModel, End},
    call::Place,
    clock, ledger,
    pins::watch::Counts as PinCounts,
    policy::Outcome,
    records::{DecisionEntry, Kind, Observer, Warning},
    trace::{Context, Trace, Traced},
    upstream,
};
use labels::{
    DecisionLabels, EntityLabels, LimitLabels, Line, ListenLabels, PinLabels, QueueLabels, TenantLabels,
    TenantUpstreamLabels, UpstreamLabels,
};
use lines::{Counted, Lines};
use otlp::{Manner, Signal};
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::{Registry, Unit},
};
use series::Series;
use standing::Gauges;
use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};
use times::{OVERHEADS, Times};
use tracer::Tracer;

/// With up to four tries a second, about once a minute.
const WARN_EVERY_FAILURES: u64 = 240;

type Counts<L> = Series<L, Counter>;

/// Every metric of the gateway.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    lines: Lines,
    unidentified: Counter,
    overhead: Times,
    decisions: Counts<DecisionLabels>,
    limit_rejections: Counts<LimitLabels>,
    budget_warnings: Counts<TenantLabels>,
    foreign_records: Counts<TenantUpstreamLabels>,
    cached_answers: Counts<TenantLabels>,
    in_flight: Gauge,
    queue_wait: Series<UpstreamLabels, Times>,
    upstream_in_flight: Series<UpstreamLabels, Gauge>,
    queued: Series<QueueLabels, Gauge>,
    pins: Series<PinLabels, Gauge>,
    gauges: Gauges,
    redactions: Arc<Redactions>,
    records_dropped: Counter,
    /// How many of those the writer of records told of.
    records_lost: AtomicU64,
    reload_success: Gauge,
    reload_time: Gauge<f64, AtomicU64>,
    certificates: Series<ListenLabels, Gauge>,
    shared: Shared,
    /// What each tenant does now.
    pub glances: Glances,
}

/// The gateways that share limits.
#[derive(Debug, Default)]
struct Shared {
    up: Gauge,
    gateways: Gauge,
    unanswered: Counter,
}

/// What the records' writer tells, counted.
#[derive(Debug, Default)]
struct Redactions {
    values: Counts<EntityLabels>,
    left_out: Counts<TenantLabels>,
    write_failures: Counter,
    otlp: otlp::Counts,
    exporter: OnceLock<otlp::Exporter>,
    spans: otlp::Counts,
    traces: OnceLock<(Tracer, otlp::Exporter)>,
}

/// What is exported, and where to.
#[derive(Debug, PartialEq, Eq)]
pub struct Exports {
    pub target: Arc<Target>,
    /// Whether the lines of logs and chains are, as log records.
    pub logs: bool,
    pub traces: Option<Traces>,
}

/// How traces are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traces {
    /// So many of a hundred requests.
    pub percent: u8,
    pub conventions: Conventions,
    /// Whether prompts, answers and arguments are in them, redacted.
    pub content: bool,
}

/// A finished request, as it is measured.
#[derive(Debug)]
pub struct Finished<'f> {
    pub tenant: Arc<str>,
    pub model: Option<&'f AskedModel>,
    pub upstream: Option<Arc<str>>,
    pub end: &'f End,
    pub duration: Duration,
    pub ttft: Option<Duration>,
    /// In queues before upstreams, where it came by one.
    pub queued: Option<Duration>,
    pub overhead: Duration,
    /// What the ledger took in of it, if it did.
    pub charged: Option<ledger::Counts>,
    /// Whether that is an estimate.
    pub is_estimate: bool,
    /// Its trace, if it is sampled.
    pub trace: Option<u128>,
}

impl Default for Telemetry {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("tollgate"),
            lines: Lines::default(),
            unidentified: Counter::default(),
            overhead: Times::new(OVERHEADS),
            decisions: Series::default(),
            limit_rejections: Series::default(),
            budget_warnings: Series::default(),
            foreign_records: Series::default(),
            cached_answers: Series::default(),
            in_flight: Gauge::default(),
            queue_wait: Series::default(),
            upstream_in_flight: Series::default(),
            queued: Series::default(),
            pins: Series::default(),
            gauges: Gauges::default(),
            redactions: Arc::default(),
            records_dropped: Counter::default(),
            records_lost: AtomicU64::new(0),
            reload_success: Gauge::default(),
            reload_time: Gauge::default(),
            certificates: Series::default(),
            shared: Shared::default(),
            glances: Glances::default(),
        };
        metrics.register();
        metrics.register_queues();
        metrics.register_shared();
        metrics
    }
}

impl Telemetry {
    fn register_shared(&mut self) {
        let r = &mut self.registry;
        r.register(
            "shared_state_up",
            "Whether the gateways that share limits can be asked",
            self.shared.up.clone(),
        );
        r.register("gateways", "Gateways that share limits, as last seen", self.shared.gateways.clone());
        r.register(
            "shared_state_unanswered",
            "Requests on which this gateway's part of the limits decided",
            self.shared.unanswered.clone(),
        );
    }

    /// Of queues before upstreams.
    fn register_queues(&mut self) {
        let r = &mut self.registry;
        r.register_with_unit(
            "queue_wait",
            "Time requests waited for their turn at upstreams with max_in_flight",
            Unit::Seconds,
            self.queue_wait.clone(),
        );
        r.register(
            "upstream_in_flight",
            "Requests at upstreams with max_in_flight",
            self.upstream_in_flight.clone(),
        );
        r.register("queued", "Requests that wait for their turn at an upstream", self.queued.clone());
    }

    fn register(&mut self) {
        let seconds = || Unit::Seconds;
        let r = &mut self.registry;
        r.register_collector(Box::new(self.lines.clone()));
        r.register("unidentified_requests", "Requests without a valid credential", self.unidentified.clone());
        r.register_with_unit(
            "request_duration",
            "Time from a request to the end of its answer",
            seconds(),
            self.lines.durations.clone(),
        );
        r.register_with_unit(
            "time_to_first_token",
            "Time from a request to the first byte of its answer",
            seconds(),
            self.lines.times_to_first_token.clone(),
        );
        r.register_with_unit(
            "overhead",
            "Time a request spent in the gateway itself",
            seconds(),
            self.overhead.clone(),
        );
        r.register("decisions", "Decisions on tool calls", self.decisions.clone());
        r.register("limit_rejections", "Requests refused by a limit", self.limit_rejections.clone());
        r.register(
            "budget_warnings",
            "Budgets of which more than the warning's share was spent",
            self.budget_warnings.clone(),
        );
        r.register(
            "foreign_records",
            "Records of other tenants that a store answered with, and that were taken out",
            self.foreign_records.clone(),
        );
        r.register(
            "cached_answers",
            "Requests that were answered with an answer kept from before, at no cost",
            self.cached_answers.clone(),
        );
        r.register("in_flight", "Requests being answered", self.in_flight.clone());
        r.register(
            "pinned_definitions",
            "Definitions of MCP servers with pins, by how they stood when they were last listed",
            self.pins.clone(),
        );
        self.gauges.register(r);
        self.register_loaded();
        self.register_records();
    }

    /// What was loaded: the configuration, and the certificates that it names.
    fn register_loaded(&mut self) {
        let r = &mut self.registry;
        r.register(
            "config_last_reload_successful",
            "Whether the last reload of the configuration succeeded",
            self.reload_success.clone(),
        );
        r.register_with_unit(
            "config_last_reload_success_timestamp",
            "When the configuration was last loaded",
            Unit::Seconds,
            self.reload_time.clone(),
        );
        r.register_with_unit(
            "certificate_expiry_timestamp",
            "When the certificate that a listener shows is over",
            Unit::Seconds,
            self.certificates.clone(),
        );
    }

    fn register_records(&mut self) {
        let r = &mut self.registry;
        r.register(
            "texts_left_out",
            "Texts left out of records for want of an analyzer's answer",
            self.redactions.left_out.clone(),
        );
        r.register("redactions", "Values taken out of records", self.redactions.values.clone());
        r.register(
            "record_write_failures",
            "Failed tries to write records",
            self.redactions.write_failures.clone(),
        );
        r.register("dropped_records", "Records that could not be kept", self.records_dropped.clone());
        r.register(
            "otlp_exported_log_records",
            "Records that an OTLP store took",
            self.redactions.otlp.exported.clone(),
        );
        r.register(
            "otlp_dropped_log_records",
            "Records that were to be exported and were not: the queue was full, the store refused them, or the end came",
            self.redactions.otlp.dropped.clone(),
        );
        r.register(
            "otlp_exported_spans",
            "Spans of traces that an OTLP store took",
            self.redactions.spans.exported.clone(),
        );
        r.register(
            "otlp_dropped_spans",
            "Spans that were to be exported and were not: the queue was full, the store refused them, or the end came",
            self.redactions.spans.dropped.clone(),
        );
    }

    /// A request came from a known tenant.
    pub fn started(&self) {
        self.in_flight.inc();
    }

    /// A request was answered or refused.
    pub fn finished(&self, finished: Finished<'_>) {
        self.in_flight.dec();
        self.overhead.observe(finished.overhead);
        self.glances.took(&finished.tenant, clock::unix_minutes(clock::wall()), finished.duration);
        let upstream = finished.upstream.unwrap_or_else(labels::none);
        if let Some(queued) = finished.queued {
            let labels = UpstreamLabels { upstream: Arc::clone(&upstream) };
            self.queue_wait.get_or_create(&labels).observe(queued);
        }
        let line = Line { tenant: finished.tenant, model: labels::model(finished.model), upstream };
        let counted = Counted {
            outcome: labels::outcome(finished.end),
            duration: finished.duration,
            ttft: finished.ttft,
            charged: finished.charged,
            is_estimate: finished.is_estimate,
            trace: finished.trace,
        };
        self.lines.count(line, &counted);
    }

    /// A tenant used something.
    pub fn used(&self, tenant: &Arc<str>, counts: &ledger::Counts) {
        self.glances.count(tenant, clock::unix_minutes(clock::wall()), counts);
    }

    /// A request came without a valid credential.
    pub fn unidentified(&self) {
        self.unidentified.inc();
    }

    /// A limit refused a request.
    pub fn rejected(&self, tenant: Arc<str>, limit: &'static str) {
        self.limit_rejections.get_or_create(&LimitLabels { tenant, limit }).inc();
    }

    /// A store answered with records that are not the tenant's.
    pub fn foreign_records(&self, tenant: Arc<str>, upstream: Arc<str>, count: u64) {
        self.foreign_records.get_or_create(&TenantUpstreamLabels { tenant, upstream }).inc_by(count);
    }

    /// A request was answered with what was kept from before.
    pub fn cached(&self, tenant: Arc<str>) {
        self.cached_answers.get_or_create(&TenantLabels { tenant }).inc();
    }

    /// More than the warning's share of a budget was spent.
    pub fn budget_warned(&self, tenant: Arc<str>) {
        self.budget_warnings.get_or_create(&TenantLabels { tenant }).inc();
    }

    /// A decision is on its way to the records.
    pub fn decided(&self, entry: &DecisionEntry) {
        let tenant = Arc::clone(&entry.journal.tenant);
        let labels = DecisionLabels { tenant, place: entry.place, outcome: entry.decision, mode: entry.mode };
        self.decisions.get_or_create(&labels).inc();
    }

    /// So many offers were allowed that are on record for today already.
    pub fn repeated_offers(&self, tenant: Arc<str>, offers: u64) {
        let (place, outcome) = (Place::Offered.as_str(), Outcome::Allow.as_str());
        let labels = DecisionLabels { tenant, place, outcome, mode: "enforce" };
        self.decisions.get_or_create(&labels).inc_by(offers);
    }

    /// How the definitions of the servers stand that have pins, and of no others.
    pub fn pinned(&self, servers: impl Iterator<Item = (Arc<str>, PinCounts)>) {
        let of = |(upstream, counts): (Arc<str>, PinCounts)| {
            counts.into_iter().map(move |(state, count)| {
                (PinLabels { upstream: Arc::clone(&upstream), state }, standing::gauge(count))
            })
        };
        self.pins.replace(servers.flat_map(of));
    }

    /// How things stand when somebody asks for the metrics.
    pub fn stand(&self, standing: Standing) {
        self.gauges.set(standing);
    }

    /// Forgets the tenants that are not kept.
    pub fn keep(&self, kept: &dyn Fn(&str) -> bool) {
        self.lines.keep(kept);
        self.decisions.keep(kept);
        self.limit_rejections.keep(kept);
        self.foreign_records.keep(kept);
        self.cached_answers.keep(kept);
        self.budget_warnings.keep(kept);
        self.redactions.values.keep(kept);
        self.redactions.left_out.keep(kept);
        self.redactions.otlp.exported.keep(kept);
        self.redactions.otlp.dropped.keep(kept);
        self.redactions.spans.exported.keep(kept);
        self.redactions.spans.dropped.keep(kept);
    }

    /// Whether the gateways that share limits can be asked, how many there are, and how often they could not be in time.
    pub fn shared(&self, (is_joined, gateways): (bool, u32), unanswered: u64) {
        self.shared.up.set(is_joined.into());
        self.shared.gateways.set(gateways.into());
        self.shared.unanswered.inner().store(unanswered, Ordering::Relaxed);
    }

    /// How full the upstreams are that take so many requests at a time, and of no others.
    pub fn queues(&self, standings: &[upstream::Standing]) {
        let in_flight = standings.iter().map(|standing| {
            let labels = UpstreamLabels { upstream: Arc::clone(&standing.upstream) };
            (labels, standing::gauge(u64::from(standing.in_flight)))
        });
        self.upstream_in_flight.replace(in_flight);
        let queued = standings.iter().flat_map(|standing| {
            standing.waiting.iter().map(|(tenant, count)| {
                let (upstream, tenant) = (Arc::clone(&standing.upstream), Arc::clone(tenant));
                let count = u64::try_from(*count).unwrap_or(u64::MAX);
                (QueueLabels { upstream, tenant }, standing::gauge(count))
            })
        });
        self.queued.replace(queued);
    }

    /// So many records were given up since the start.
    pub fn lost(&self, count: u64) {
        let before = self.records_lost.fetch_max(count, Ordering::Relaxed);
        self.records_dropped.inc_by(count.saturating_sub(before));
    }

    /// A record could not be kept.
    pub fn unrecorded(&self) {
        self.records_dropped.inc();
    }

    /// The configuration was loaded, or could not be.
    pub fn reloaded(&self, succeeded: Result<SystemTime, ()>) {
        self.reload_success.set(i64::from(succeeded.is_ok()));
        if let Ok(time) = succeeded {
            self.reload_time
                .set(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        }
    }

    /// When the certificate of each listener is over, in seconds since 1970.
    pub fn certificates(&self, until: impl Iterator<Item = (String, i64)>) {
        self.certificates.replace(until.map(|(listen, until)| {
            let gauge = Gauge::default();
            gauge.set(until);
            (ListenLabels { listen }, gauge)
        }));
    }

    /// All metrics in Prometheus' text format 0.0.4.
    pub fn render(&self) -> String {
        text::classic(&self.encoded())
    }

    /// All metrics as OpenMetrics 1.0, durations with exemplars.
    pub fn render_open(&self) -> String {
        let durations = self.lines.durations.all().into_iter();
        let exemplars =
            durations.map(|(route, times)| (labels::written(&route), times.exemplars())).collect();
        text::with_exemplars(&self.encoded(), "tollgate_request_duration_seconds", &exemplars)
    }

    fn encoded(&self) -> String {
        let mut open_metrics = String::new();
        match prometheus_client::encoding::text::encode(&mut open_metrics, &self.registry) {
            Ok(()) => open_metrics,
            Err(std::fmt::Error) => String::new(),
        }
    }

    /// Exports records and traces from now on. On the runtime that this is called on, once.
    pub fn export(&self, exports: &Exports) {
        let instance = uuid::Uuid::now_v7().to_string();
        let start = |signal, counts: &otlp::Counts| {
            otlp::Exporter::start(signal, Arc::clone(&exports.target), counts.clone(), &instance)
        };
        if exports.logs {
            self.redactions.exporter.get_or_init(|| start(Signal::Logs, &self.redactions.otlp));
        }
        if let Some(Traces { percent, conventions, content }) = exports.traces {
            let signal = Signal::Traces(Manner { conventions, content });
            let traces = || (Tracer::new(percent), start(signal, &self.redactions.spans));
            self.redactions.traces.get_or_init(traces);
        }
    }

    /// A request's trace, where traces are exported: the one that its client names, else one under its id.
    pub fn trace(
        &self,
        named: Option<Context>,
        request_id: u128,
        path: (&'static str, &'static str),
        came: (SystemTime, Instant),
    ) -> Option<Box<Trace>> {
        let (tracer, _) = self.redactions.traces.get()?;
        Some(Box::new(tracer.begin(named, request_id, path, came)))
    }

    /// Exports what is left, within a time.
    pub async fn finish(&self, within: Duration) {
        let logs = async {
            if let Some(exporter) = self.redactions.exporter.get() {
                exporter.finish(within).await;
            }
        };
        let traces = async {
            if let Some((_, exporter)) = self.redactions.traces.get() {
                exporter.finish(within).await;
            }
        };
        tokio::join!(logs, traces);
    }

    /// What the records' writer reports to.
    pub fn observer(&self) -> Arc<dyn Observer> {
        Arc::clone(&self.redactions) as Arc<dyn Observer>
    }
}

impl Observer for Redactions {
    fn redacted(&self, tenant: &str, entity: &str, count: u32) {
        let labels = EntityLabels { tenant: tenant.into(), entity: entity.into() };
        self.values.get_or_create(&labels).inc_by(u64::from(count));
    }

    fn made(&self, tenant: &Arc<str>, kind: Kind, line: &[u8], traced: Option<Traced>) {
        let traces = self.traces.get();
        let sampled = traces.filter(|_| traced.as_ref().is_some_and(|traced| traced.context().is_sampled));
        let logs = self.exporter.get();
        if logs.is_none() && sampled.is_none() {
            return;
        }
        let span = sampled.map_or(0, |(tracer, _)| tracer.draw());
        let line = otlp::Line::new(tenant, kind, line, clock::wall()).traced(traced, span);
        if let Some((_, exporter)) = sampled {
            exporter.push(line.clone());
        }
        if let Some(exporter) = logs {
            exporter.push(line);
        }
    }

    fn left_out(&self, tenant: &str) {
        self.left_out.get_or_create(&TenantLabels { tenant: tenant.into() }).inc();
    }

    fn warned(&self, warning: &Warning) {
        let told = format!("records: {warning}");
        // What it does every day is no cause for concern.
        if matches!(warning, Warning::Removed { .. }) {
            crate::operator::info(&told);
        } else {
            crate::operator::warn(&told);
        }
    }

    fn failed(&self, error: &io::Error) {
        // A disk that is gone fails several times a second: the metric counts each, the operator is told now and then.
        if self.write_failures.inc().is_multiple_of(WARN_EVERY_FAILURES) {
            crate::operator::warn(&format!("records cannot be written: {error}"));
        }
    }

    fn recovered(&self) {
        crate::operator::info("records can be written again");
    }
}
