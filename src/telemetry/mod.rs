//! What happened, counted: every event that is measured is named here, with its metric, once.
//! Labels are bounded: tenants, declared models (`other` for the rest), upstreams, outcomes.

mod glance;
mod labels;
mod otlp;
mod text;

pub use glance::{Glance, Glances, MINUTES, Minute};
pub use labels::{
    DecisionLabels, DropLabels, EntityLabels, LimitLabels, PinLabels, QueueLabels, RequestLabels,
    RouteLabels, TenantLabels, TenantModelLabels, TenantUpstreamLabels, TokenKind, TokenLabels,
    UpstreamLabels,
};

pub use otlp::{BadTarget, Target};

use crate::{
    asked::AskedModel,
    call::Place,
    clock,
    ledger::Counts as Used,
    pins::watch::Counts as PinCounts,
    policy::Outcome,
    records::{Entry, Kind, Observer, Warning},
    upstream::Standing,
};

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use std::{
    io,
    sync::{Arc, OnceLock, atomic::AtomicU64},
    time::{Duration, SystemTime},
};

const DURATION_BUCKETS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
const OVERHEAD_BUCKETS: [f64; 12] =
    [10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 50e-3, 250e-3];

/// With up to four tries a second, about once a minute.
const WARN_EVERY_FAILURES: u64 = 240;

type Counts<L> = Family<L, Counter>;
type Times<L> = Family<L, Histogram, fn() -> Histogram>;

/// Every metric of the gateway.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    requests: Counts<RequestLabels>,
    unidentified: Counter,
    duration: Times<RouteLabels>,
    time_to_first_token: Times<RouteLabels>,
    overhead: Histogram,
    tokens: Counts<TokenLabels>,
    cost: Family<TenantModelLabels, Counter<f64, AtomicU64>>,
    decisions: Counts<DecisionLabels>,
    limit_rejections: Counts<LimitLabels>,
    budget_warnings: Counts<TenantLabels>,
    usage_estimates: Counts<TenantModelLabels>,
    foreign_records: Counts<TenantUpstreamLabels>,
    in_flight: Gauge,
    queue_wait: Times<UpstreamLabels>,
    upstream_in_flight: Family<UpstreamLabels, Gauge>,
    queued: Family<QueueLabels, Gauge>,
    pins: Family<PinLabels, Gauge>,
    redactions: Arc<Redactions>,
    records_dropped: Counter,
    reload_success: Gauge,
    reload_time: Gauge<f64, AtomicU64>,
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
}

/// A finished request, as it is measured.
#[derive(Debug)]
pub struct Finished<'f> {
    pub tenant: Arc<str>,
    pub model: Option<&'f AskedModel>,
    pub upstream: Option<Arc<str>>,
    /// `ok`, `client_gone` or an error's code.
    pub outcome: &'static str,
    pub duration: Duration,
    pub ttft: Option<Duration>,
    /// In queues before upstreams, where it came by one.
    pub queued: Option<Duration>,
    pub overhead: Duration,
}

fn durations() -> Histogram {
    Histogram::new(DURATION_BUCKETS)
}

impl Default for Telemetry {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("tollgate"),
            requests: Counts::default(),
            unidentified: Counter::default(),
            duration: Times::new_with_constructor(durations),
            time_to_first_token: Times::new_with_constructor(durations),
            overhead: Histogram::new(OVERHEAD_BUCKETS),
            tokens: Counts::default(),
            cost: Family::default(),
            decisions: Counts::default(),
            limit_rejections: Counts::default(),
            budget_warnings: Counts::default(),
            usage_estimates: Counts::default(),
            foreign_records: Counts::default(),
            in_flight: Gauge::default(),
            queue_wait: Times::new_with_constructor(durations),
            upstream_in_flight: Family::default(),
            queued: Family::default(),
            pins: Family::default(),
            redactions: Arc::default(),
            records_dropped: Counter::default(),
            reload_success: Gauge::default(),
            reload_time: Gauge::default(),
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
        r.register("requests", "Requests of known tenants, by outcome", self.requests.clone());
        r.register("unidentified_requests", "Requests without a valid credential", self.unidentified.clone());
        r.register_with_unit(
            "request_duration",
            "Time from a request to the end of its answer",
            seconds(),
            self.duration.clone(),
        );
        r.register_with_unit(
            "time_to_first_token",
            "Time from a request to the first byte of its answer",
            seconds(),
            self.time_to_first_token.clone(),
        );
        r.register_with_unit(
            "overhead",
            "Time a request spent in the gateway itself",
            seconds(),
            self.overhead.clone(),
        );
        r.register("tokens", "Tokens that upstreams reported", self.tokens.clone());
        r.register("cost_usd", "Cost by configured prices, in US dollars", self.cost.clone());
        r.register("decisions", "Decisions on tool calls", self.decisions.clone());
        r.register("limit_rejections", "Requests refused by a limit", self.limit_rejections.clone());
        r.register(
            "budget_warnings",
            "Budgets of which more than the warning's share was spent",
            self.budget_warnings.clone(),
        );
        r.register(
            "usage_estimates",
            "Requests whose usage is an estimate: reported by nobody, cut short, or not to be believed",
            self.usage_estimates.clone(),
        );
        r.register(
            "foreign_records",
            "Records of other tenants that a store answered with, and that were taken out",
            self.foreign_records.clone(),
        );
        r.register("in_flight", "Requests being answered", self.in_flight.clone());
        r.register(
            "pinned_definitions",
            "Definitions of MCP servers with pins, by how they stood when they were last listed",
            self.pins.clone(),
        );
        r.register(
            "config_last_reload_successful",
            "Whether the last reload of the configuration succeeded",
            self.reload_success.clone(),
        );
        r.register_with_unit(
            "config_last_reload_success_timestamp",
            "When the configuration was last loaded",
            seconds(),
            self.reload_time.clone(),
        );
        self.register_records();
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
    }

    /// A request came from a known tenant.
    pub fn started(&self) {
        self.in_flight.inc();
    }

    /// A request was answered or refused.
    pub fn finished(&self, finished: &Finished<'_>) {
        self.in_flight.dec();
        let model = labels::model(finished.model);
        let upstream: Arc<str> = finished.upstream.clone().unwrap_or_else(|| "none".into());
        let route = RouteLabels { model: Arc::clone(&model), upstream: Arc::clone(&upstream) };
        self.duration.get_or_create(&route).observe(finished.duration.as_secs_f64());
        if let Some(ttft) = finished.ttft {
            self.time_to_first_token.get_or_create(&route).observe(ttft.as_secs_f64());
        }
        self.overhead.observe(finished.overhead.as_secs_f64());
        self.glances.took(&finished.tenant, clock::unix_minutes(clock::wall()), finished.duration);
        if let Some(queued) = finished.queued {
            let upstream = Arc::clone(&upstream);
            self.queue_wait.get_or_create(&UpstreamLabels { upstream }).observe(queued.as_secs_f64());
        }
        let tenant = Arc::clone(&finished.tenant);
        self.requests
            .get_or_create(&RequestLabels { tenant, model, upstream, outcome: finished.outcome })
            .inc();
    }

    /// A tenant used something.
    pub fn used(&self, tenant: &Arc<str>, counts: &Used) {
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

    /// More than the warning's share of a budget was spent.
    pub fn budget_warned(&self, tenant: Arc<str>) {
        self.budget_warnings.get_or_create(&TenantLabels { tenant }).inc();
    }

    /// An entry is on its way to the records; what it tells is counted.
    pub fn recorded(&self, entry: &Entry, model: Option<&AskedModel>) {
        match entry {
            Entry::Decision(entry) => {
                let tenant = Arc::clone(&entry.journal.tenant);
                let labels =
                    DecisionLabels { tenant, place: entry.place, outcome: entry.decision, mode: entry.mode };
                self.decisions.get_or_create(&labels).inc();
            }
            Entry::Request(entry) => {
                let (tenant, model) = (Arc::clone(&entry.journal.tenant), labels::model(model));
                let kinds =
                    [(TokenKind::Input, entry.input_tokens), (TokenKind::Output, entry.output_tokens)];
                for (kind, tokens) in kinds {
                    if let Some(tokens) = tokens {
                        let labels =
                            TokenLabels { tenant: Arc::clone(&tenant), model: Arc::clone(&model), kind };
                        self.tokens.get_or_create(&labels).inc_by(tokens);
                    }
                }
                if entry.usage_estimated {
                    let labels = TenantModelLabels { tenant: Arc::clone(&tenant), model: Arc::clone(&model) };
                    self.usage_estimates.get_or_create(&labels).inc();
                }
                if let Some(micro_usd) = entry.cost_micro_usd {
                    #[expect(clippy::cast_precision_loss, reason = "a metric, exact to 2^53 micro-dollars")]
                    let usd = micro_usd as f64 / 1e6;
                    self.cost.get_or_create(&TenantModelLabels { tenant, model }).inc_by(usd);
                }
            }
        }
    }

    /// So many offers were allowed that are on record for today already.
    pub fn repeated_offers(&self, tenant: Arc<str>, count: u64) {
        let (place, outcome) = (Place::Offered.as_str(), Outcome::Allow.as_str());
        let labels = DecisionLabels { tenant, place, outcome, mode: "enforce" };
        self.decisions.get_or_create(&labels).inc_by(count);
    }

    /// How the definitions of the servers stand that have pins, and of no others.
    pub fn pinned(&self, servers: impl Iterator<Item = (Arc<str>, PinCounts)>) {
        self.pins.clear();
        for (upstream, counts) in servers {
            for (state, count) in counts {
                let labels = PinLabels { upstream: Arc::clone(&upstream), state };
                self.pins.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
    }

    /// Whether the gateways that share limits can be asked, how many there are, and how often they could not be in time.
    pub fn shared(&self, (is_joined, gateways): (bool, u32), unanswered: u64) {
        self.shared.up.set(is_joined.into());
        self.shared.gateways.set(gateways.into());
        self.shared.unanswered.inner().store(unanswered, std::sync::atomic::Ordering::Relaxed);
    }

    /// How full the upstreams are that take so many requests at a time, and of no others.
    pub fn queues(&self, standings: Vec<Standing>) {
        self.upstream_in_flight.clear();
        self.queued.clear();
        for Standing { upstream, in_flight, waiting } in standings {
            for (tenant, count) in waiting {
                let labels = QueueLabels { upstream: Arc::clone(&upstream), tenant };
                self.queued.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
            }
            self.upstream_in_flight.get_or_create(&UpstreamLabels { upstream }).set(i64::from(in_flight));
        }
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

    /// All metrics in Prometheus' text format 0.0.4.
    pub fn render(&self) -> String {
        let mut open_metrics = String::new();
        match prometheus_client::encoding::text::encode(&mut open_metrics, &self.registry) {
            Ok(()) => text::classic(&open_metrics),
            Err(std::fmt::Error) => String::new(),
        }
    }

    /// Exports records from now on. On the runtime that this is called on, once.
    pub fn export_logs(&self, target: Arc<Target>) {
        let counts = self.redactions.otlp.clone();
        self.redactions.exporter.get_or_init(|| otlp::Exporter::start(target, counts));
    }

    /// Exports what is left, within a time.
    pub async fn finish(&self, within: Duration) {
        if let Some(exporter) = self.redactions.exporter.get() {
            exporter.finish(within).await;
        }
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

    fn made(&self, tenant: &Arc<str>, kind: Kind, line: &[u8]) {
        if let Some(exporter) = self.exporter.get() {
            exporter.push(otlp::Line::new(tenant, kind, line, clock::wall()));
        }
    }

    fn left_out(&self, tenant: &str) {
        self.left_out.get_or_create(&TenantLabels { tenant: tenant.into() }).inc();
    }

    fn warned(&self, warning: &Warning) {
        crate::operator::warn(&format!("records: {warning}"));
    }

    fn failed(&self, error: &io::Error) {
        // A disk that is gone fails several times a second: the metric counts each, the operator is told now and then.
        if self.write_failures.inc().is_multiple_of(WARN_EVERY_FAILURES) {
            crate::operator::warn(&format!("records cannot be written: {error}"));
        }
    }
}
