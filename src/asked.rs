//! Who asked for what, when, and under which configuration: what every later stage and every record needs.

#[cfg(test)]
pub(crate) mod fixture;

use crate::{
    approvals::Ruling,
    call::Place,
    identity::Identity,
    policy::{Decision, Outcome},
    quota::{Admission, Amount, CallLimit, Hold, Now, Slot, Standing},
    records::{DecisionEntry, Entry, Journal, Model, Raw, RequestEntry, Said},
    refusal::Refusal,
    trace::{Moment, Trace},
    usage::{Price, Usage},
};
use std::{
    borrow::Cow,
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

/// What is said of a call that no person decided on. Replays know such calls by it.
pub(crate) const NOBODY_IN_TIME: &str = "no person approved this call within";
/// The same of one that could not even wait.
pub(crate) const TOO_MANY_WAIT: &str = "too many calls wait for a person already";
/// The same of one that was approved too late.
pub(crate) const CHANGED: &str = "the rules or the key changed while this call waited";
/// What is said of a call that was beyond a rule's `limit`, before and behind the limit. Replays know such calls by it.
pub(crate) const BEYOND_LIMIT: (&str, &str) = ("its limit of", "is used up");

/// A request that was let in. Holds its place among the requests in flight until it is finished.
#[derive(Debug)]
pub struct Asked {
    pub identity: Identity,
    pub request_id: Arc<str>,
    /// The dialect and API, as records name it.
    pub dialect: &'static str,
    /// Hash of the configuration that decides.
    pub config: Arc<str>,
    pub started: Instant,
    pub time: SystemTime,
    pub model: Option<AskedModel>,
    /// The tool that the request itself calls.
    pub tool: Option<Box<str>>,
    pub upstream: Option<Arc<str>>,
    /// What was asked, as text; redacted when the record is written. `None` where records keep no content.
    pub prompt: Option<Said>,
    pub standing: Option<Standing>,
    pub slot: Slot,
    /// Tokens and money that the request may use at most.
    pub hold: Option<Hold>,
    /// How long it waited for its turn at an upstream; `None` where it came by no queue.
    pub queued: Option<Duration>,
    /// Whether its answer was kept from before: nothing is used.
    pub cached: bool,
    /// Where traces are exported.
    pub trace: Option<Box<Trace>>,
    /// The tenant's journal, where it knows what was masked of the request.
    pub knowing: Option<Arc<Journal>>,
}

/// The model that was asked for.
#[derive(Debug, Clone)]
pub enum AskedModel {
    /// It is configured, under this name or glob.
    /// `asked` is what the client wrote, where that is not the name itself but a glob matches it.
    Declared { name: Arc<str>, asked: Option<String>, price: Option<Price> },
    /// It is not: a text of the client's.
    Unknown(String),
}

impl AskedModel {
    /// The model as the client wrote it.
    pub fn name(&self) -> &str {
        match self {
            Self::Declared { asked: Some(asked), .. } | Self::Unknown(asked) => asked,
            Self::Declared { name, .. } => name,
        }
    }
}

impl AskedModel {
    /// What the client wrote, where a glob is configured for it.
    pub fn asked(&self) -> Option<&str> {
        match self {
            Self::Declared { asked, .. } => asked.as_deref(),
            Self::Unknown(_) => None,
        }
    }

    /// The name or glob that is configured, `other` where none is.
    pub fn declared(&self) -> Arc<str> {
        match self {
            Self::Declared { name, .. } => Arc::clone(name),
            Self::Unknown(_) => "other".into(),
        }
    }
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The client went away before the end.
    ClientGone,
    Complete,
    /// It was refused, or its answer broke off.
    Refused(Refusal),
}

/// What came of a call beside what its rules say: a person decided, or none did, or a limit was used up.
#[derive(Debug)]
pub struct Upshot<'r> {
    pub outcome: Outcome,
    pub by: Option<Arc<str>>,
    /// The rule that asked, or whose limit it is.
    pub rule: Option<Arc<str>>,
    pub reason: &'r str,
    /// When it was decided.
    pub time: SystemTime,
}

/// What came of asking a person, and what is told of it. A call may have waited for `within`.
pub fn told_of(ruling: Ruling, within: Duration) -> (Outcome, Option<Arc<str>>, Cow<'static, str>) {
    match ruling {
        Ruling::Approved { by } => (Outcome::Allow, Some(by), Cow::Borrowed("a person approved this call")),
        Ruling::Denied { by } => (Outcome::Deny, Some(by), Cow::Borrowed("a person denied this call")),
        Ruling::Expired => {
            let reason = format!("{NOBODY_IN_TIME} {}", in_words(within));
            (Outcome::Deny, None, Cow::Owned(reason))
        }
        Ruling::Changed => (Outcome::Deny, None, Cow::Borrowed(CHANGED)),
        Ruling::Full => (Outcome::Deny, None, Cow::Borrowed(TOO_MANY_WAIT)),
    }
}

/// What is told of a call beyond the limit of a rule, when there is another one after `wait`.
pub fn told_of_limit(limit: &CallLimit, wait: Duration) -> String {
    let (before, behind) = BEYOND_LIMIT;
    format!(
        "{before} {} {behind}; there is another call in {}",
        limit.rate,
        in_words(Duration::from_secs(wait.as_secs().saturating_add(1)))
    )
}

/// A duration as the configuration writes it, in its largest whole unit.
fn in_words(duration: Duration) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
    let ms = duration.as_millis();
    let whole = units.into_iter().find(|(unit, _)| ms.is_multiple_of(*unit) && ms > 0);
    whole.map_or_else(|| "0s".to_owned(), |(unit, name)| format!("{}{name}", ms / unit))
}

/// The names in their order, each once.
fn once_each(names: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    names.into_iter().filter(|name| seen.insert(name.clone())).collect()
}

/// What an answer came to.
#[derive(Debug, Default)]
pub struct Outcomes {
    pub usage: Option<Usage>,
    /// Whether the usage is an estimate of ours.
    pub usage_estimated: bool,
    pub completion: Option<Raw>,
    pub tools_denied: Vec<String>,
    pub ttft: Option<Duration>,
    /// Whether the answer, which came to its end, says that it failed.
    pub failed: bool,
    /// The HTTP status that the client saw, once it did.
    pub status: Option<u16>,
}

impl Asked {
    /// Where its records go.
    pub fn journal(&self) -> &Arc<Journal> {
        self.knowing.as_ref().unwrap_or_else(|| &self.identity.tenant().journal)
    }

    /// The same who, apart from the request: what follows it long after takes no place in flight.
    pub fn without_place(&self) -> Self {
        Self {
            identity: self.identity.clone(),
            request_id: Arc::clone(&self.request_id),
            dialect: self.dialect,
            config: Arc::clone(&self.config),
            started: self.started,
            time: self.time,
            model: None,
            tool: None,
            upstream: None,
            prompt: None,
            standing: None,
            slot: Admission::refused(None).slot,
            hold: None,
            queued: None,
            cached: false,
            trace: self.trace.clone(),
            knowing: self.knowing.clone(),
        }
    }

    /// Where a decision on this request belongs in its trace.
    fn moment(&self) -> Option<Moment> {
        self.trace.as_ref().map(|trace| trace.moment())
    }

    /// Its trace, with all that is known now.
    fn noted(&mut self, outcomes: &Outcomes, now: Instant) -> Option<Box<Trace>> {
        let mut trace = self.trace.take()?;
        trace.lasted = now.saturating_duration_since(self.started);
        trace.usage = outcomes.usage;
        let redactor = &self.journal().redactor;
        if let (true, Some(tool)) = (trace.context.is_sampled, &self.tool) {
            trace.tool = Some(redactor.name(tool).as_str().into());
        }
        if let Some(model) = trace.reply.as_mut().and_then(|reply| reply.model.as_mut()) {
            *model = redactor.text(model).as_str().to_owned();
        }
        Some(trace)
    }

    /// Seconds since 1970, UTC, when the request came.
    pub fn unix_seconds(&self) -> i64 {
        let since = self.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }

    /// Seconds since 1970, UTC, at a moment behind that.
    pub fn unix_seconds_at(&self, now: Instant) -> i64 {
        let time = self.time.checked_add(now.saturating_duration_since(self.started)).unwrap_or(self.time);
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }

    /// The audit lines of a decision: the decision, and what a shadow rule would have made of it.
    pub fn evidence(
        &self,
        place: Place,
        tool: &str,
        args: Option<&str>,
        decision: &Decision<'_>,
    ) -> Vec<Entry> {
        let line =
            |outcome: Outcome, rule: Option<Arc<str>>, reason: Option<Arc<str>>, mode: &'static str| {
                Entry::Decision(Box::new(DecisionEntry {
                    journal: Arc::clone(self.journal()),
                    time: self.time,
                    key: self.identity.key().id.shared(),
                    request_id: Arc::clone(&self.request_id),
                    place: place.as_str(),
                    tool: Raw::text(tool),
                    args: args.map(|args| Raw::json(args.to_owned())),
                    decision: outcome.as_str(),
                    rule,
                    reason,
                    config: Arc::clone(&self.config),
                    mode,
                    by: None,
                    trace: self.moment(),
                }))
            };
        let reason = (!decision.reason.is_empty()).then(|| Arc::from(&*decision.reason));
        let rule = decision.source().map(|source| source.shared());
        let mut lines = vec![line(decision.outcome, rule, reason, "enforce")];
        if let Some((outcome, rule)) = &decision.shadow {
            lines.push(line(*outcome, Some(rule.source.shared()), rule.reason.clone(), "shadow"));
        }
        lines
    }

    /// The audit line of what came of a call beside what its rules say.
    pub fn evidence_of_upshot(&self, place: Place, tool: &str, args: &str, upshot: Upshot<'_>) -> Entry {
        let Upshot { outcome, by, rule, reason, time } = upshot;
        Entry::Decision(Box::new(DecisionEntry {
            journal: Arc::clone(self.journal()),
            time,
            key: self.identity.key().id.shared(),
            request_id: Arc::clone(&self.request_id),
            place: place.as_str(),
            tool: Raw::text(tool),
            args: Some(Raw::json(args.to_owned())),
            decision: outcome.as_str(),
            rule,
            reason: Some(reason.into()),
            config: Arc::clone(&self.config),
            mode: "enforce",
            by,
            trace: self.moment(),
        }))
    }

    /// The audit line of a call that was denied without asking a rule.
    pub fn evidence_of_denial(&self, place: Place, tool: &str, args: &str, reason: &str) -> Entry {
        Entry::Decision(Box::new(DecisionEntry {
            journal: Arc::clone(self.journal()),
            time: self.time,
            key: self.identity.key().id.shared(),
            request_id: Arc::clone(&self.request_id),
            place: place.as_str(),
            tool: Raw::text(tool),
            args: Some(Raw::json(args.to_owned())),
            decision: Outcome::Deny.as_str(),
            rule: None,
            reason: Some(reason.into()),
            config: Arc::clone(&self.config),
            mode: "enforce",
            by: None,
            trace: self.moment(),
        }))
    }

    /// The request's line in the log. Gives the place in flight back, and settles what was held on what was used.
    pub fn finish(mut self, end: &End, outcomes: Outcomes, now: Instant) -> Entry {
        let (status, error) = match end {
            End::ClientGone => (outcomes.status.unwrap_or(499), Some("client_gone")),
            End::Complete => (outcomes.status.unwrap_or(200), outcomes.failed.then_some("upstream_error")),
            End::Refused(refusal) => {
                (outcomes.status.unwrap_or_else(|| refusal.status()), Some(refusal.code()))
            }
        };
        let trace = self.noted(&outcomes, now);
        let price = match &self.model {
            Some(AskedModel::Declared { price, .. }) => *price,
            Some(AskedModel::Unknown(_)) | None => None,
        };
        let nothing = |usage: Usage| if self.cached { Usage::default() } else { usage };
        let used = outcomes.usage.map(nothing);
        let cost = price.zip(used).map(|(price, usage)| price.cost(usage));
        if let (Some(hold), Some(usage)) = (self.hold.take(), used) {
            let unix_s = self.unix_seconds_at(now);
            let amount = Amount { tokens: usage.tokens(), cost: cost.unwrap_or_default() };
            hold.settle(amount, Now { instant: now, unix_s });
        }
        Entry::Request(Box::new(RequestEntry {
            journal: Arc::clone(self.journal()),
            time: self.time,
            key: self.identity.key().id.shared(),
            request_id: self.request_id,
            dialect: self.dialect,
            model: self.model.map(|model| match model {
                AskedModel::Declared { asked: Some(asked), .. } => Model::Asked(Raw::text(asked)),
                AskedModel::Declared { name, .. } => Model::Declared(name),
                AskedModel::Unknown(name) => Model::Asked(Raw::text(name)),
            }),
            upstream: self.upstream,
            status,
            error,
            latency: now.saturating_duration_since(self.started),
            ttft: outcomes.ttft,
            queued: self.queued,
            input_tokens: used.map(|usage| usage.input),
            output_tokens: used.map(|usage| usage.output),
            usage_estimated: outcomes.usage_estimated,
            cost_micro_usd: cost.map(|cost| cost.0),
            tools_denied: once_each(outcomes.tools_denied).into_iter().map(Raw::text).collect(),
            prompt: self.prompt.map(Raw::said),
            completion: outcomes.completion,
            trace,
        }))
    }
}
