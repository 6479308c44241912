//! Records and traces on their way to a store that speaks OTLP (any collector, Loki, Tempo, ClickHouse). What is exported is
//! made of the lines of the log and the chain, redacted; nothing else gets here. No request and no record waits for it: the
//! queues are bounded, and what does not fit is dropped and counted.

mod grpc;
mod line;
mod logs;
mod names;
mod queue;
mod spans;
mod target;

use super::{
    labels::{DropLabels, TenantLabels},
    series::Series,
};
use crate::{clock, operator};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceResponse, trace::v1::ExportTraceServiceResponse,
};
use prometheus_client::metrics::counter::Counter;
use prost::Message;
use queue::{Batch, Queue};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use target::{Paths, Tried};
use tokio::task::JoinHandle;

pub(super) use line::Line;
pub use names::Conventions;
pub(super) use spans::Manner;
pub use target::{BadTarget, Protocol, Target};

/// One try takes no longer altogether.
const TRY_MAX: Duration = Duration::from_secs(20);
/// Between two tries of a batch: the first wait, doubled each time, and the longest.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(30);
/// While the gateway ends.
const AGAIN_AFTER_CLOSING: Duration = Duration::from_millis(250);
/// A batch that is not taken in this time is given up, so that one that never will be is in nobody's way.
const BATCH_MAX: Duration = Duration::from_secs(600);

const LOGS: Paths =
    Paths { http: "/v1/logs", grpc: "/opentelemetry.proto.collector.logs.v1.LogsService/Export" };
const TRACES: Paths =
    Paths { http: "/v1/traces", grpc: "/opentelemetry.proto.collector.trace.v1.TraceService/Export" };

/// What is made of lines.
#[derive(Debug, Clone, Copy)]
pub(super) enum Signal {
    /// A log record each.
    Logs,
    /// The spans of the requests that are sampled.
    Traces(Manner),
}

impl Signal {
    fn noun(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Traces(_) => "traces",
        }
    }

    fn paths(self) -> Paths {
        match self {
            Self::Logs => LOGS,
            Self::Traces(_) => TRACES,
        }
    }

    fn encode(self, lines: &[Line], instance: &str) -> Bytes {
        match self {
            Self::Logs => logs::request(lines, instance).encode_to_vec(),
            Self::Traces(manner) => spans::request(lines, instance, manner).encode_to_vec(),
        }
        .into()
    }

    /// How many records or spans a line is.
    fn count(self, line: &Line) -> u64 {
        match self {
            Self::Logs => 1,
            Self::Traces(_) => spans::count(line),
        }
    }

    /// How many of a batch a store did not take, as it says.
    fn rejected(self, answer: Bytes) -> u64 {
        let rejected = match self {
            Self::Logs => ExportLogsServiceResponse::decode(answer)
                .ok()
                .and_then(|told| told.partial_success)
                .map_or(0, |part| part.rejected_log_records),
            Self::Traces(_) => ExportTraceServiceResponse::decode(answer)
                .ok()
                .and_then(|told| told.partial_success)
                .map_or(0, |part| part.rejected_spans),
        };
        u64::try_from(rejected).unwrap_or(0)
    }
}

/// What became of what was to be exported.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    pub(super) exported: Series<TenantLabels, Counter>,
    pub(super) dropped: Series<DropLabels, Counter>,
}

impl Counts {
    fn took(&self, tenant: &Arc<str>, count: u64) {
        self.exported.get_or_create(&TenantLabels { tenant: Arc::clone(tenant) }).inc_by(count);
    }

    fn lost(&self, tenant: &Arc<str>, reason: &'static str, count: u64) {
        self.dropped.get_or_create(&DropLabels { tenant: Arc::clone(tenant), reason }).inc_by(count);
    }
}

/// Exports one signal, in a task of its own.
#[derive(Debug)]
pub(super) struct Exporter {
    signal: Signal,
    queue: Arc<Queue>,
    counts: Counts,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Exporter {
    /// Starts it on the runtime that this is called on.
    pub(super) fn start(signal: Signal, target: Arc<Target>, counts: Counts, instance: &str) -> Self {
        let queue = Arc::new(Queue::default());
        let sender = Sender {
            signal,
            target,
            queue: Arc::clone(&queue),
            counts: counts.clone(),
            instance: instance.to_owned(),
            is_failing: false,
        };
        let task = Mutex::new(Some(tokio::spawn(sender.run())));
        Self { signal, queue, counts, task }
    }

    /// Takes a line, unless the queue is full. Waits for nothing but a short mutex.
    pub(super) fn push(&self, line: Line) {
        if let Err(line) = self.queue.push(line) {
            self.counts.lost(&line.tenant, "queue_full", self.signal.count(&line));
        }
    }

    /// Sends what is left, within a time; what cannot be sent by then is dropped and counted.
    pub(super) async fn finish(&self, within: Duration) {
        self.queue.close();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut task) = task else { return };
        if tokio::time::timeout(within, &mut task).await.is_err() {
            task.abort();
            drop(task.await);
        }
        let left = self.queue.take_rest();
        if !left.is_empty() {
            for line in &left {
                self.counts.lost(&line.tenant, "unsent", self.signal.count(line));
            }
            operator::warn(&format!(
                "the {} of {} records could not be exported before the end",
                self.signal.noun(),
                left.len()
            ));
        }
    }
}

struct Sender {
    signal: Signal,
    target: Arc<Target>,
    queue: Arc<Queue>,
    counts: Counts,
    /// What this process is called among others.
    instance: String,
    is_failing: bool,
}

impl Sender {
    async fn run(mut self) {
        while let Some(batch) = self.queue.take().await {
            self.send(&batch).await;
            self.queue.done();
        }
    }

    async fn send(&mut self, batch: &Batch) {
        let body = self.signal.encode(batch, &self.instance);
        let (started, mut wait) = (clock::now(), AGAIN_AFTER);
        loop {
            let sent = self.target.send(self.signal.paths(), body.clone());
            let tried = tokio::time::timeout(TRY_MAX, sent).await;
            match tried.unwrap_or_else(|_| target::again(&"it does not answer in time")) {
                Tried::Taken(answer) => {
                    self.recovered();
                    self.count(batch, self.signal.rejected(answer));
                    return;
                }
                Tried::Refused { why } => {
                    self.fails(&why);
                    self.drop_all(batch, "refused");
                    return;
                }
                Tried::Again { why, after } => {
                    self.fails(&why);
                    if clock::now().duration_since(started) >= BATCH_MAX {
                        self.drop_all(batch, "unsent");
                        return;
                    }
                    let pause = after.unwrap_or(wait);
                    wait = (wait * 2).min(AGAIN_AFTER_MAX);
                    self.rest(pause).await;
                }
            }
        }
    }

    async fn rest(&self, pause: Duration) {
        if self.queue.is_closing() {
            tokio::time::sleep(AGAIN_AFTER_CLOSING).await;
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.queue.closing() => {}
        }
    }

    fn drop_all(&self, batch: &Batch, reason: &'static str) {
        for line in batch.iter() {
            self.counts.lost(&line.tenant, reason, self.signal.count(line));
        }
    }

    /// The store tells how many it rejected, not which: they are counted with the batch's last ones.
    fn count(&self, batch: &Batch, rejected: u64) {
        let all: u64 = batch.iter().map(|line| self.signal.count(line)).sum();
        let mut left = all.saturating_sub(rejected);
        for line in batch.iter() {
            let count = self.signal.count(line);
            let taken = count.min(left);
            left -= taken;
            if taken > 0 {
                self.counts.took(&line.tenant, taken);
            }
            if taken < count {
                self.counts.lost(&line.tenant, "refused", count - taken);
            }
        }
    }

    fn fails(&mut self, why: &str) {
        if !std::mem::replace(&mut self.is_failing, true) {
            operator::warn(&format!(
                "{} cannot be exported to {}: {why}; what does not fit in the queue is dropped",
                self.signal.noun(),
                self.target.host()
            ));
        }
    }

    fn recovered(&mut self) {
        if std::mem::take(&mut self.is_failing) {
            operator::info(&format!("{} are exported to {} again", self.signal.noun(), self.target.host()));
        }
    }
}
