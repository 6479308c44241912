//! How things stand, for whoever asks for the metrics.

use super::{Gateway, reserve};
use crate::{
    clock,
    snapshot::Snapshot,
    telemetry::{BudgetStanding, Standing, UpstreamStanding},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

/// How metrics are written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsFormat {
    /// The text format 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0: the same, and exemplars.
    OpenMetrics,
}

impl Gateway {
    /// All metrics, in Prometheus' older text format or as OpenMetrics.
    pub fn metrics(&self, format: MetricsFormat) -> String {
        let snapshot = self.snapshot.load();
        let pinned = snapshot.servers.iter();
        let pinned = pinned.filter_map(|server| Some((server.shared_name(), server.pins()?.counts())));
        self.telemetry.pinned(pinned);
        self.telemetry.queues(&self.queues.standings());
        if let Some(fleet) = &self.fleet {
            self.telemetry.shared(fleet.standing(), fleet.unanswered());
        }
        self.telemetry.lost(self.records.counters().dropped.load(Ordering::Relaxed));
        self.telemetry.stand(self.standing(&snapshot));
        match format {
            MetricsFormat::Prometheus => self.telemetry.render(),
            MetricsFormat::OpenMetrics => self.telemetry.render_open(),
        }
    }

    fn standing(&self, snapshot: &Snapshot) -> Standing {
        let now = reserve::now();
        let upstreams = snapshot.healths().map(|(name, health)| UpstreamStanding {
            name: name.shared(),
            is_up: health.is_up(),
            tries: health.tries().map(|(came, count)| (came.as_str(), count)).collect(),
        });
        let tenants = snapshot.directory.iter().map(|member| member.tenant());
        let budgets = tenants.filter(|tenant| !tenant.is_abstract).flat_map(|tenant| {
            tenant.quota.spending(now).into_iter().map(|(budget, spent, _)| BudgetStanding {
                tenant: tenant.id.shared(),
                per: budget.calendar.per,
                limit: budget.limit,
                spent,
            })
        });
        let mut waiting = BTreeMap::<_, u64>::new();
        for call in self.approvals.waiting(clock::unix_millis(clock::wall())) {
            *waiting.entry(Arc::clone(&call.call.tenant)).or_default() += 1;
        }
        Standing {
            tenants: snapshot.tenants,
            config: Arc::clone(&snapshot.hash),
            records_ok: self.records.are_written() && !self.ledger.is_failing(),
            upstreams: upstreams.collect(),
            budgets: budgets.collect(),
            waiting: waiting.into_iter().collect(),
        }
    }
}
