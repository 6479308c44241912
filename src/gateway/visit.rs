//! A request that was let in, until it is on record. Dropped half-way (the client left), it still is.

use super::{Body, Gateway, answer, cache::Pending, reserve, usage};
use crate::{
    asked::{Asked, AskedModel, End, Outcomes},
    clock,
    dialect::Family,
    identity::Identity,
    quota::{Admission, Exceeded, Now, Quota, Standing, fair::Claim},
    records::{Entry, Journal, Raw},
    refusal::Refusal,
    room::Held,
    snapshot::Snapshot,
    telemetry::Finished,
    trace::Trace,
    upstream::{Progress, Turn},
    usage::Usage,
};
use http::Response;
use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

/// A request waits so long for room in the records' queue.
const RECORDS_WAIT_MAX: Duration = Duration::from_secs(2);
const RECORDS_WAIT: Duration = Duration::from_millis(5);

/// When a request came, and the id that it goes by.
#[derive(Debug)]
pub(super) struct Arrival {
    pub started: Instant,
    pub time: SystemTime,
    pub request_id: Arc<str>,
    /// The same, as a number.
    pub id: u128,
    /// In whose words it is answered.
    pub family: Family,
    /// Where traces are exported.
    pub trace: Option<Box<Trace>>,
}

impl Arrival {
    pub(super) fn now(family: Family) -> Self {
        let id = uuid::Uuid::now_v7();
        let request_id = Arc::from(&*id.simple().encode_lower(&mut uuid::Uuid::encode_buffer()));
        let (started, time, id) = (clock::now(), clock::wall(), id.as_u128());
        Self { started, time, request_id, id, family, trace: None }
    }
}

/// A request on its way. Holds what is known of it, and its tenant's place in flight.
#[derive(Debug)]
pub struct Visit {
    gateway: Arc<Gateway>,
    snapshot: Arc<Snapshot>,
    /// `None` once the exchange has it, or it is on record.
    asked: Option<Asked>,
    /// In whose words the request is answered.
    pub(super) family: Family,
    pub(super) tools_denied: Vec<String>,
    /// The tokens that what was sent to a provider is taken for: it counts them whether its answer is read or not.
    pub(super) input_estimate: u64,
    /// The most that it may answer.
    pub(super) output_most: u64,
    /// How far it has come on its way to an upstream.
    pub(super) progress: Progress,
    /// Time spent waiting for others: the client's body, the upstream.
    pub(super) waited: Duration,
    /// Where its answer is to be kept.
    pub(super) keeping: Option<Arc<Pending>>,
    /// A model's answer came and was not read: what was held for it is to be paid.
    pub(super) is_unread: bool,
}

impl Visit {
    /// Lets a request in, if the tenant's limits do; else says what it is to be refused with.
    pub(super) fn admit(
        gateway: &Arc<Gateway>,
        snapshot: &Arc<Snapshot>,
        identity: Identity,
        dialect: &'static str,
        arrival: Arrival,
    ) -> (Self, Option<Refusal>) {
        let admitted = admit(&identity);
        let tenant = identity.tenant().id.shared();
        gateway.telemetry.started();
        let (admission, refused) = match admitted {
            Ok(admission) => (admission, None),
            Err(exceeded) => {
                let (refusal, standing, limit) = match exceeded {
                    Exceeded::Concurrency { limit, standing } => {
                        (Refusal::Concurrency { limit }, standing, "concurrency")
                    }
                    Exceeded::Requests { retry_after, standing } => {
                        (Refusal::RateLimit { retry_after }, Some(standing), "requests")
                    }
                };
                gateway.telemetry.rejected(tenant, limit);
                (Admission::refused(standing), Some(refusal))
            }
        };
        let now = Now { instant: arrival.started, unix_s: clock::unix_seconds(arrival.time) };
        let (tokens, budget) = reserve::left(&identity, None, now);
        let outbound = arrival.trace.as_ref().map(|trace| trace.outbound());
        let visit = Self {
            gateway: Arc::clone(gateway),
            snapshot: Arc::clone(snapshot),
            asked: Some(Asked {
                identity,
                request_id: arrival.request_id,
                dialect,
                config: Arc::clone(&snapshot.hash),
                started: arrival.started,
                time: arrival.time,
                model: None,
                tool: None,
                upstream: None,
                prompt: None,
                standing: Some(Standing { requests: admission.standing, tokens, budget }),
                slot: admission.slot,
                hold: None,
                queued: None,
                cached: false,
                trace: arrival.trace,
                knowing: None,
            }),
            family: arrival.family,
            tools_denied: Vec::new(),
            input_estimate: 0,
            output_most: 0,
            progress: Progress::traced(outbound),
            waited: Duration::ZERO,
            keeping: None,
            is_unread: false,
        };
        (visit, refused)
    }

    /// Room for the request's body: nothing yet.
    pub(super) fn held(&mut self) -> Result<Held, Refusal> {
        let tenant = self.asked()?.identity.tenant().id.shared();
        let limits = self.snapshot.limits;
        Ok(self.gateway.room.held(tenant, limits.bodies, limits.body))
    }

    /// The configuration that decides.
    pub(super) fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The gateway that is visited.
    pub(super) fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// What is known of the request.
    pub(super) fn asked(&mut self) -> Result<&mut Asked, Refusal> {
        self.asked.as_mut().ok_or(Refusal::UpstreamError { message: "the request is already answered" })
    }

    /// Hands the request over to its exchange, which records it.
    pub(super) fn hand_over(&mut self) -> Result<Asked, Refusal> {
        self.take().ok_or(Refusal::UpstreamError { message: "the request is already answered" })
    }

    /// How the request gets its turn at upstreams, where it may use so many tokens.
    pub(super) fn turn<'v>(&'v mut self, gateway: &'v Gateway, tokens: u64) -> Result<Turn<'v>, Refusal> {
        let identity = &self.asked()?.identity;
        let tenant = identity.tenant();
        let claim = Claim::new(tenant.id.shared(), tenant.weight, identity.key().priority, tokens);
        Ok(Turn { queues: &gateway.queues, claim, closing: &gateway.closing, progress: &mut self.progress })
    }

    /// Counts a request that was sent away from an upstream's queue.
    pub(super) fn rejected(&self, refusal: &Refusal) {
        if let (Some(asked), Refusal::Overloaded { .. }) = (&self.asked, refusal) {
            self.gateway.telemetry.rejected(asked.identity.tenant().id.shared(), "queue");
        }
    }

    /// A tenant's records must not have holes: what cannot be recorded is not done. While the writer only lags
    /// behind, the request waits a little, so that whoever sends faster than can be recorded is slowed down first.
    pub(super) async fn check_records(&mut self) -> Result<(), Refusal> {
        let journal = Arc::clone(&self.asked()?.identity.tenant().journal);
        let records = &self.gateway.records;
        if records.is_failing() || self.gateway.ledger_fails() {
            return Err(Refusal::RecordsUnavailable);
        }
        let nobody_waits = journal.turns.is_free() && records.turns().is_free();
        if nobody_waits && records.has_room_for(&journal) && records.accepts() {
            return Ok(());
        }
        let room = self.room(&journal);
        tokio::time::timeout(RECORDS_WAIT_MAX, room).await.unwrap_or(Err(Refusal::RecordsUnavailable))
    }

    /// Waits in turn, first behind the tenant's own, then behind everybody's.
    async fn room(&self, journal: &Journal) -> Result<(), Refusal> {
        let records = &self.gateway.records;
        let _own = journal.turns.next().await;
        self.until(|| records.has_room_for(journal)).await?;
        let _turn = records.turns().next().await;
        self.until(|| records.accepts()).await
    }

    async fn until(&self, is_open: impl Fn() -> bool) -> Result<(), Refusal> {
        while !is_open() {
            if self.gateway.records.is_failing() || self.gateway.ledger_fails() {
                return Err(Refusal::RecordsUnavailable);
            }
            tokio::time::sleep(RECORDS_WAIT).await;
        }
        Ok(())
    }

    /// Counts offers that were decided and are on record already.
    pub(super) fn repeated_offers(&self, count: u64) {
        if let (Some(asked), 1..) = (&self.asked, count) {
            self.gateway.telemetry.repeated_offers(asked.identity.tenant().id.shared(), count);
        }
    }

    /// Records evidence before the request goes on.
    pub(super) fn record(&mut self, evidence: Vec<Entry>) -> Result<(), Refusal> {
        for entry in evidence {
            record(&self.gateway, entry)?;
        }
        Ok(())
    }

    /// Answers with a refusal, and records it.
    pub(super) fn refuse(&mut self, refusal: Refusal) -> Response<Body> {
        let Some(mut asked) = self.take() else {
            return answer::refused(&refusal, self.family, "", None);
        };
        // Nobody read what it used: it is taken for what was held.
        let usage = self.used_at_least().filter(|_| self.is_unread);
        let usage = usage.map(|usage| Usage { output: self.output_most, ..usage });
        if usage.is_none() {
            reserve::give_back(&mut asked);
        }
        let response = answer::refused(&refusal, self.family, &asked.request_id, asked.standing);
        let end = End::Refused(refusal);
        let usage_estimated = usage.is_some();
        let outcomes = Outcomes { usage, usage_estimated, ..self.outcomes(None) };
        conclude(&self.gateway, asked, &end, outcomes, self.waited);
        response
    }

    /// Records a request that the gateway answered by itself.
    pub(super) fn answered(&mut self) {
        if let Some(asked) = self.take() {
            let outcomes = self.outcomes(Some(200));
            conclude(&self.gateway, asked, &End::Complete, outcomes, self.waited);
        }
    }

    /// Records how a request ended, with what the client sees of it.
    pub(super) fn ended(&mut self, end: &End, status: u16, completion: Option<Raw>) {
        if let Some(asked) = self.take() {
            let outcomes = Outcomes { completion, ..self.outcomes(Some(status)) };
            conclude(&self.gateway, asked, end, outcomes, self.waited);
        }
    }

    /// What a call of a model used, if nobody says it: what it was sent.
    fn used_at_least(&self) -> Option<Usage> {
        (self.input_estimate > 0).then(|| Usage { input: self.input_estimate, ..Usage::default() })
    }

    /// What is known of the request, for its record.
    fn take(&mut self) -> Option<Asked> {
        let queued = self.progress.queued(clock::now());
        self.asked.take().map(|asked| Asked { queued, ..asked })
    }

    fn outcomes(&mut self, status: Option<u16>) -> Outcomes {
        Outcomes { tools_denied: std::mem::take(&mut self.tools_denied), status, ..Outcomes::default() }
    }
}

/// Lets a request in by the limits of its key and of its tenant. A key that is beyond its own uses up nothing of its
/// tenant's.
fn admit(identity: &Identity) -> Result<Admission, Exceeded> {
    let own = identity.key().quota.as_ref().map(|quota| quota.admit()).transpose()?;
    let admission = identity.tenant().quota.admit()?;
    Ok(match own {
        Some(own) => admission.with(own),
        None => admission,
    })
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(asked) = self.take() {
            let usage = self.used_at_least().filter(|_| self.progress.is_sent());
            let usage_estimated = usage.is_some();
            let outcomes = Outcomes { usage, usage_estimated, ..self.outcomes(None) };
            // Who panics drops it, too.
            let failed = std::thread::panicking();
            let end = if failed { End::Refused(Refusal::Internal) } else { End::ClientGone };
            conclude(&self.gateway, asked, &end, outcomes, self.waited);
        }
    }
}

/// Measures and records a finished request.
fn conclude(gateway: &Gateway, asked: Asked, end: &End, outcomes: Outcomes, waited: Duration) {
    let now = clock::now();
    let finished = Summary::of(&asked);
    let entry = asked.finish(end, outcomes, now);
    finished.tell(gateway, end, entry, waited);
}

/// What is measured of a request, kept while its entry is made.
#[derive(Debug)]
pub(super) struct Summary {
    tenant: Arc<str>,
    pub(super) model: Option<AskedModel>,
    pub(super) tool: Option<Box<str>>,
    quota: Arc<Quota>,
    upstream: Option<Arc<str>>,
}

impl Summary {
    pub(super) fn of(asked: &Asked) -> Self {
        Self {
            tenant: asked.identity.tenant().id.shared(),
            model: asked.model.clone(),
            tool: asked.tool.clone(),
            quota: Arc::clone(&asked.identity.tenant().quota),
            upstream: asked.upstream.clone(),
        }
    }

    /// Counts the request and hands its entry to the records.
    pub(super) fn tell(self, gateway: &Gateway, end: &End, entry: Entry, waited: Duration) {
        if let Entry::Request(request) = &entry {
            let charged = usage::charge(gateway, &self, request, end);
            usage::warn(gateway, &self.tenant, &self.quota);
            gateway.telemetry.finished(Finished {
                tenant: self.tenant,
                model: self.model.as_ref(),
                upstream: self.upstream,
                end,
                duration: request.latency,
                ttft: request.ttft,
                queued: request.queued,
                overhead: request.latency.saturating_sub(waited),
                charged,
                is_estimate: request.usage_estimated,
                trace: request
                    .trace
                    .as_ref()
                    .filter(|trace| trace.context.is_sampled)
                    .map(|trace| trace.context.trace),
            });
        }
        // Whoever asked has been answered: a record that is lost now is counted.
        drop(record(gateway, entry));
    }
}

/// Hands an entry to the records, counted.
pub(super) fn record(gateway: &Gateway, mut entry: Entry) -> Result<(), Refusal> {
    if let Entry::Decision(decision) = &mut entry {
        if let Some(moment) = &mut decision.trace {
            moment.at = clock::wall();
        }
        gateway.telemetry.decided(decision);
        usage::charge_denial(gateway, decision);
    }
    gateway.records.push(entry).map_err(|_| Refusal::RecordsUnavailable)
}
