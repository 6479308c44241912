//! How things stand, looked up when somebody asks for the metrics: upstreams, budgets, calls that wait, the configuration.

use super::{
    labels::{BudgetLabels, BuildLabels, TenantLabels, TryLabels, UpstreamLabels},
    lines::usd,
    series::Series,
};
use crate::{quota::Per, usage::MicroUsd};
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// What there is to say at a moment.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    pub tenants: usize,
    /// Hash of the configuration, in hex.
    pub config: Arc<str>,
    /// Whether records can be written.
    pub records_ok: bool,
    pub upstreams: Vec<UpstreamStanding>,
    pub budgets: Vec<BudgetStanding>,
    /// Calls that wait for a person, by tenant.
    pub waiting: Vec<(Arc<str>, u64)>,
}

/// How an upstream answers.
#[derive(Debug, Clone)]
pub struct UpstreamStanding {
    pub name: Arc<str>,
    pub is_up: bool,
    /// Tries, by what came of them.
    pub tries: Vec<(&'static str, u64)>,
}

/// What is spent of a tenant's budget.
#[derive(Debug, Clone)]
pub struct BudgetStanding {
    pub tenant: Arc<str>,
    pub per: Per,
    pub limit: MicroUsd,
    pub spent: MicroUsd,
}

type Money = Gauge<f64, AtomicU64>;

/// The metrics of it.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    build: Series<BuildLabels, Gauge>,
    tenants: Gauge,
    config: Gauge,
    records: Gauge,
    up: Series<UpstreamLabels, Gauge>,
    tries: Series<TryLabels, Counter>,
    limits: Series<BudgetLabels, Money>,
    spent: Series<BudgetLabels, Money>,
    waiting: Series<TenantLabels, Gauge>,
}

impl Gauges {
    pub(super) fn register(&self, r: &mut Registry) {
        self.build.replace([(BuildLabels { version: env!("CARGO_PKG_VERSION") }, gauge(1))]);
        r.register("build_info", "The version that runs", self.build.clone());
        r.register("tenants", "Tenants that are configured", self.tenants.clone());
        r.register(
            "config_hash",
            "The first 48 bits of the configuration's hash: gateways with the same configuration have the same",
            self.config.clone(),
        );
        r.register("records_writable", "Whether records can be written", self.records.clone());
        r.register(
            "upstream_up",
            "Whether an upstream answers: 0 once five tries in a row failed, until one succeeds",
            self.up.clone(),
        );
        r.register("upstream_tries", "Tries at an upstream, by what came of them", self.tries.clone());
        r.register("budget_limit_usd", "A tenant's budget, in US dollars", self.limits.clone());
        r.register(
            "budget_spent_usd",
            "What is spent of a tenant's budget since it was renewed, in US dollars",
            self.spent.clone(),
        );
        r.register("approvals_waiting", "Calls that wait for a person", self.waiting.clone());
    }

    pub(super) fn set(&self, standing: Standing) {
        let whole = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.tenants.set(whole(standing.tenants));
        let start: String = standing.config.chars().take(12).collect();
        self.config.set(i64::from_str_radix(&start, 16).unwrap_or(0));
        self.records.set(i64::from(standing.records_ok));
        let up = |upstream: &UpstreamStanding| {
            let labels = UpstreamLabels { upstream: Arc::clone(&upstream.name) };
            (labels, gauge(u64::from(upstream.is_up)))
        };
        self.up.replace(standing.upstreams.iter().map(up));
        let tries = standing.upstreams.iter().flat_map(|upstream| {
            upstream.tries.iter().map(|(outcome, count)| {
                let counter = Counter::<u64>::default();
                counter.inner().store(*count, Relaxed);
                (TryLabels { upstream: Arc::clone(&upstream.name), outcome }, counter)
            })
        });
        self.tries.replace(tries);
        let budgets = |of: fn(&BudgetStanding) -> MicroUsd| {
            standing.budgets.iter().map(move |budget| {
                let labels = BudgetLabels { tenant: Arc::clone(&budget.tenant), per: per(budget.per) };
                let money = Money::default();
                money.set(usd(of(budget).0));
                (labels, money)
            })
        };
        self.limits.replace(budgets(|budget| budget.limit));
        self.spent.replace(budgets(|budget| budget.spent));
        let waiting = standing.waiting.into_iter();
        self.waiting.replace(waiting.map(|(tenant, count)| (TenantLabels { tenant }, gauge(count))));
    }
}

pub(super) fn gauge(value: u64) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    gauge
}

fn per(per: Per) -> &'static str {
    match per {
        Per::Hour => "hour",
        Per::Day => "day",
        Per::Month => "month",
    }
}
