//! An answered call, from the upstream's first byte to its record. Pure: bytes in, bytes out, and at the end
//! one entry. The same exchange serves a whole body and a stream.

use crate::{
    asked::{Asked, End, Outcomes},
    call::{Arguments, Place},
    dialect::{
        Judge, Told, Transcript, Verdict,
        openai::{self, Api, HoldLimits, Progress, Stream},
    },
    policy::{Outcome, Question},
    records::{Content, Entry, Raw},
    refusal::Refusal,
    tenant::OnDeny,
};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// So much of an answer's text is kept for its record.
const COMPLETION_BYTES_MAX: usize = 1 << 20;

/// A call that is being answered.
#[derive(Debug)]
pub struct Exchange {
    asked: Asked,
    api: Api,
    limits: HoldLimits,
    stream: Option<Stream>,
    told: Told,
    court: Court,
    ttft: Option<Duration>,
}

/// What was decided in this answer.
#[derive(Debug, Default)]
struct Court {
    evidence: Vec<Entry>,
    tools_denied: Vec<String>,
}

impl Exchange {
    /// An exchange for a request that was forwarded; `tools_denied` are those that its request already lost.
    pub fn new(asked: Asked, api: Api, limits: HoldLimits, tools_denied: Vec<String>) -> Self {
        let keeps = match asked.identity.tenant().journal.content {
            Content::Redacted => COMPLETION_BYTES_MAX,
            Content::None => 0,
        };
        let told = Told { usage: None, completion: Transcript::keeping(keeps) };
        let court = Court { evidence: Vec::new(), tools_denied };
        Self { asked, api, limits, stream: None, told, court, ttft: None }
    }

    /// The answer comes as a stream.
    pub fn streamed(mut self) -> Self {
        self.stream = Some(Stream::new(self.limits, std::mem::take(&mut self.told.completion)));
        self
    }

    /// Judges a whole answer; what it returns is what leaves.
    pub fn whole(&mut self, body: Bytes, now: Instant) -> Result<Bytes, Refusal> {
        self.ttft = Some(now.saturating_duration_since(self.asked.started));
        let mut bench = Bench { asked: &self.asked, court: &mut self.court };
        let changed = openai::whole(self.api, &body, self.limits, &mut self.told, &mut bench)?;
        Ok(changed.map_or(body, Bytes::from))
    }

    /// Takes in bytes of a stream and appends what may leave.
    pub fn read(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<u8>) -> Progress {
        self.ttft.get_or_insert_with(|| now.saturating_duration_since(self.asked.started));
        self.with_stream(|stream, bench| stream.read(bytes, bench, out))
    }

    /// The upstream's stream ended.
    pub fn end(&mut self, out: &mut Vec<u8>) -> Progress {
        self.with_stream(|stream, bench| stream.end(bench, out))
    }

    /// The upstream's stream broke off.
    pub fn fail(&mut self, refusal: Refusal, out: &mut Vec<u8>) -> Progress {
        self.with_stream(|stream, bench| stream.fail(refusal, bench, out))
    }

    fn with_stream(&mut self, act: impl FnOnce(&mut Stream, &mut dyn Judge) -> Progress) -> Progress {
        let Some(stream) = &mut self.stream else { return Progress::Continue };
        let mut bench = Bench { asked: &self.asked, court: &mut self.court };
        act(stream, &mut bench)
    }

    /// Whether a call is held back at the moment.
    pub fn holds(&self) -> bool {
        self.stream.as_ref().is_some_and(Stream::holds)
    }

    /// The audit lines since the last time.
    pub fn evidence(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.court.evidence)
    }

    /// Who asked.
    pub fn asked(&self) -> &Asked {
        &self.asked
    }

    /// The line in the request log; `status` is what the client saw.
    pub fn finish(self, end: &End, status: u16, now: Instant) -> (Vec<Entry>, Entry) {
        let told = self.stream.map_or(self.told, |stream| stream.told);
        let weight = told.completion.len();
        let completion = (!told.completion.is_empty())
            .then(|| Raw::lazy(Box::new(move || told.completion.into_text()), weight));
        let outcomes = Outcomes {
            usage: told.usage,
            completion,
            tools_denied: self.court.tools_denied,
            ttft: self.ttft,
            status: Some(status),
        };
        (self.court.evidence, self.asked.finish(end, outcomes, now))
    }
}

/// The judge of emitted calls: the tenant's policy, with every verdict on record.
struct Bench<'e> {
    asked: &'e Asked,
    court: &'e mut Court,
}

impl Judge for Bench<'_> {
    fn judge(&mut self, tool: &str, args: &Arguments<'_>, text: &str) -> Verdict {
        let (tenant, key) = (self.asked.identity.tenant(), self.asked.identity.key());
        let decision = tenant.policy.decide(&Question {
            caller: &key.caller,
            key_tools: key.tools.as_ref(),
            tool,
            args,
            place: Place::Emitted,
            now: self.asked.unix_seconds(),
        });
        self.court.evidence.extend(self.asked.evidence(Place::Emitted, tool, Some(text), &decision));
        match (decision.outcome, tenant.on_deny) {
            (Outcome::Allow, _) => match decision.rewritten {
                Some(arguments) => Verdict::Rewrite { arguments: arguments.to_string() },
                None => Verdict::Release,
            },
            (Outcome::Ask | Outcome::Deny, on_deny) => {
                self.court.tools_denied.push(tool.to_owned());
                match on_deny {
                    OnDeny::Error => Verdict::Abort(Refusal::ToolNotAllowed {
                        tool: tool.to_owned(),
                        reason: decision.reason.into_owned(),
                    }),
                    OnDeny::Notice => Verdict::Remove { notice: openai::notice(tool, &decision.reason) },
                }
            }
        }
    }

    fn incomplete(&mut self, tool: &str, text: &str) {
        let reason = "its arguments did not come to their end, or are too long";
        self.court.evidence.push(self.asked.evidence_of_denial(Place::Emitted, tool, text, reason));
        self.court.tools_denied.push(tool.to_owned());
    }
}
