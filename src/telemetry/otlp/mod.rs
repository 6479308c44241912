//! Records on their way to a store that speaks OTLP (Loki, ClickHouse, any collector): HTTP, protobuf. What is exported is
//! the line that was made for the log or the chain, redacted; nothing else gets here. Apart from records, which do not
//! wait for it: the queue is bounded, and what does not fit is dropped and counted.

mod logs;
mod queue;

use super::{
    labels::{DropLabels, TenantLabels},
    series::Series,
};
use crate::{
    clock, operator,
    upstream::{
        Credential, Endpoint,
        http1::{Answer, Client, Origin, Outgoing, Scheme, Timeouts, tls_config},
    },
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use prometheus_client::metrics::counter::Counter;
use prost::Message;
use queue::{Batch, Queue};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::task::JoinHandle;

pub(super) use logs::Line;

const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_secs(10),
    idle: Duration::from_secs(10),
    total: None,
};
/// One try takes no longer altogether.
const TRY_MAX: Duration = Duration::from_secs(20);
/// Between two tries of a batch: the first wait, doubled each time, and the longest.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(30);
/// While the gateway ends.
const AGAIN_AFTER_CLOSING: Duration = Duration::from_millis(250);
/// The longest wait that a store may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// A batch that is not taken in this time is given up, so that one that never will be is in nobody's way.
const BATCH_MAX: Duration = Duration::from_secs(600);
const ANSWER_BYTES_MAX: usize = 64 << 10;
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// Where logs are exported to.
pub struct Target {
    endpoint: Endpoint,
    path: String,
    headers: HeaderMap,
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        let host = |target: &Self| target.endpoint.client.origin().to_string();
        self.path == other.path && self.headers == other.headers && host(self) == host(other)
    }
}

impl Eq for Target {}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its path and headers may hold tokens.
        f.debug_struct("Target").field("host", &self.endpoint.client.origin().host()).finish_non_exhaustive()
    }
}

/// A URL that nothing can be exported to.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadTarget(String);

impl Target {
    /// The store at the base URL of an OTLP endpoint, to which `/v1/logs` is appended.
    ///
    /// # Errors
    /// When the URL or the certificate authorities are none.
    pub fn new(
        url: &str,
        extra_roots_pem: Option<&[u8]>,
        headers: Vec<Credential>,
    ) -> Result<Self, BadTarget> {
        let (origin, base_path) = Origin::parse(url).map_err(|bad| BadTarget(bad.to_string()))?;
        let tls = match origin.scheme() {
            Scheme::Plain => None,
            Scheme::Tls => Some(tls_config(extra_roots_pem).map_err(|bad| BadTarget(bad.to_string()))?),
        };
        let path = format!("{}/v1/logs", base_path.trim_end_matches('/'));
        let mut all = HeaderMap::new();
        for Credential { header, value } in headers {
            all.insert(header, value);
        }
        all.insert(header::CONTENT_TYPE, PROTOBUF);
        Ok(Self {
            endpoint: Endpoint::new(Client::new(origin, TIMEOUTS, tls), base_path),
            path,
            headers: all,
        })
    }
}

/// What became of records that were to be exported.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    pub(super) exported: Series<TenantLabels, Counter>,
    pub(super) dropped: Series<DropLabels, Counter>,
}

impl Counts {
    fn dropped<'l>(&self, lines: impl IntoIterator<Item = &'l Line>, reason: &'static str) {
        for line in lines {
            self.dropped.get_or_create(&DropLabels { tenant: Arc::clone(&line.tenant), reason }).inc();
        }
    }
}

/// Exports logs, in a task of its own.
#[derive(Debug)]
pub(super) struct Exporter {
    queue: Arc<Queue>,
    counts: Counts,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Exporter {
    /// Starts it on the runtime that this is called on.
    pub(super) fn start(target: Arc<Target>, counts: Counts) -> Self {
        let queue = Arc::new(Queue::default());
        let instance = uuid::Uuid::now_v7().to_string();
        let sender =
            Sender { target, queue: Arc::clone(&queue), counts: counts.clone(), instance, is_failing: false };
        let task = Mutex::new(Some(tokio::spawn(sender.run())));
        Self { queue, counts, task }
    }

    /// Takes a line, unless the queue is full. Waits for nothing but a short mutex.
    pub(super) fn push(&self, line: Line) {
        if let Err(line) = self.queue.push(line) {
            self.counts.dropped([&line], "queue_full");
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
            self.counts.dropped(left.iter(), "unsent");
            operator::warn(&format!("{} log records could not be exported before the end", left.len()));
        }
    }
}

struct Sender {
    target: Arc<Target>,
    queue: Arc<Queue>,
    counts: Counts,
    /// What this process is called among others.
    instance: String,
    is_failing: bool,
}

/// What became of a try.
enum Tried {
    /// Taken, but for so many.
    Taken { rejected: u64 },
    /// Not now; perhaps after a time that the store told.
    Again { why: String, after: Option<Duration> },
    /// Never.
    Refused { why: String },
}

impl Sender {
    async fn run(mut self) {
        while let Some(batch) = self.queue.take().await {
            self.send(&batch).await;
            self.queue.done();
        }
    }

    async fn send(&mut self, batch: &Batch) {
        let body = Bytes::from(logs::request(batch, &self.instance).encode_to_vec());
        let (started, mut wait) = (clock::now(), AGAIN_AFTER);
        loop {
            let tried = tokio::time::timeout(TRY_MAX, self.try_once(body.clone())).await;
            match tried.unwrap_or_else(|_| again("it does not answer in time")) {
                Tried::Taken { rejected } => {
                    self.recovered();
                    self.count(batch, rejected);
                    return;
                }
                Tried::Refused { why } => {
                    self.fails(&why);
                    self.counts.dropped(batch.iter(), "refused");
                    return;
                }
                Tried::Again { why, after } => {
                    self.fails(&why);
                    if clock::now().duration_since(started) >= BATCH_MAX {
                        self.counts.dropped(batch.iter(), "unsent");
                        return;
                    }
                    let pause = after.unwrap_or(wait);
                    wait = (wait * 2).min(AGAIN_AFTER_MAX);
                    if self.queue.is_closing() {
                        tokio::time::sleep(AGAIN_AFTER_CLOSING).await;
                    } else {
                        tokio::select! {
                            () = tokio::time::sleep(pause) => {}
                            () = self.queue.closing() => {}
                        }
                    }
                }
            }
        }
    }

    async fn try_once(&self, body: Bytes) -> Tried {
        let Target { endpoint, path, headers } = &*self.target;
        let outgoing = Outgoing { method: &Method::POST, path, headers, body };
        let Answer { status, headers, body } = match endpoint.client.send(outgoing).await {
            Ok(answer) => answer,
            Err(error) => return again(&error.to_string()),
        };
        let body = body.collect(ANSWER_BYTES_MAX).await;
        let why = format!("it answered with {}", status.as_u16());
        if status.is_success() {
            // An answer that is none was a success all the same.
            let told = body.ok().and_then(|body| ExportLogsServiceResponse::decode(body).ok());
            let rejected =
                told.and_then(|told| told.partial_success).map_or(0, |part| part.rejected_log_records);
            return Tried::Taken { rejected: u64::try_from(rejected).unwrap_or(0) };
        }
        let is_passing = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::BAD_GATEWAY,
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::GATEWAY_TIMEOUT,
        ];
        if is_passing.contains(&status) {
            Tried::Again { why, after: retry_after(&headers) }
        } else {
            Tried::Refused { why }
        }
    }

    /// The store tells how many it rejected, not which: they are counted with the batch's last ones.
    fn count(&self, batch: &Batch, rejected: u64) {
        let taken = batch.len().saturating_sub(usize::try_from(rejected).unwrap_or(usize::MAX));
        for line in batch.iter().take(taken) {
            self.counts.exported.get_or_create(&TenantLabels { tenant: Arc::clone(&line.tenant) }).inc();
        }
        self.counts.dropped(batch.iter().skip(taken), "refused");
    }

    fn fails(&mut self, why: &str) {
        if !std::mem::replace(&mut self.is_failing, true) {
            let host = self.target.endpoint.client.origin().host();
            operator::warn(&format!(
                "logs cannot be exported to {host}: {why}; what does not fit in the queue is dropped"
            ));
        }
    }

    fn recovered(&mut self) {
        if std::mem::take(&mut self.is_failing) {
            operator::info(&format!(
                "logs are exported to {} again",
                self.target.endpoint.client.origin().host()
            ));
        }
    }
}

fn again(why: &str) -> Tried {
    Tried::Again { why: why.to_owned(), after: None }
}

/// How long a store asks to be left alone, in seconds, within bounds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).clamp(AGAIN_AFTER, RETRY_AFTER_MAX))
}
