//! An answered call, from the upstream's first byte to its record. Pure: bytes in, bytes out, and at the end
//! one entry. The same exchange serves a whole body and a stream.

use crate::{
    asked::{Asked, End, Outcomes},
    call::{Arguments, Place},
    dialect::{
        self, Api, DeniedCall, HoldLimits, Judge, KeptAnswer, Progress, Request, Stream, Told, Transcript,
        Verdict,
    },
    policy::{Outcome, Question},
    records::{Content, Entry, Raw},
    refusal::Refusal,
    tenant::OnDeny,
    translate,
    usage::Usage,
};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// So much of an answer's text is kept for its record.
const COMPLETION_BYTES_MAX: usize = 1 << 20;

/// So many bytes of text are taken for a token where the provider does not count.
const BYTES_A_TOKEN: u64 = 4;

/// What was used by a request of so many bytes, of whose answer nothing is known.
pub fn estimate(sent: usize) -> Usage {
    let input = u64::try_from(sent).unwrap_or(u64::MAX).div_ceil(BYTES_A_TOKEN);
    Usage { input, cached_input: 0, output: 0 }
}

/// A call that is being answered.
#[derive(Debug)]
pub struct Exchange {
    asked: Asked,
    terms: Terms,
    /// Where the upstream speaks another dialect: its answer is translated first, and judged in the client's.
    translation: Option<translate::Answer>,
    stream: Option<Stream>,
    told: Told,
    court: Court,
    ttft: Option<Duration>,
}

/// How an answer is read: what is known of its request.
#[derive(Debug, Clone)]
pub struct Terms {
    pub api: Api,
    pub limits: HoldLimits,
    /// Tools that the request offered and that calls may name otherwise: those of the provider, and computers.
    pub offered: Vec<String>,
    /// Calls that were denied in the turns before.
    pub denied: Vec<DeniedCall>,
    /// Whether a stream tells its usage only because the gateway asked for it.
    pub usage_unasked: bool,
    pub keeps: Keeps,
    /// Bytes that were sent upstream, by which input is estimated where the provider does not count.
    pub sent: u64,
}

/// What of an answer the provider knows again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// The answer itself, so that a request can go on from it.
    All,
    /// What it names: its items, and containers.
    Items,
    Nothing,
}

impl Terms {
    /// The terms of a request that was understood, of which so many bytes are sent.
    pub fn of(request: &Request<'_>, limits: HoldLimits, offered: Vec<String>, sent: usize) -> Self {
        Self {
            api: request.api,
            limits,
            offered,
            denied: Vec::new(),
            usage_unasked: request.usage_unasked,
            keeps: if request.kept { Keeps::All } else { Keeps::Items },
            // A count costs nothing.
            sent: if request.api == Api::CountTokens { 0 } else { u64::try_from(sent).unwrap_or(u64::MAX) },
        }
    }

    /// The terms of what is only looked up: it was metered when it was made.
    pub fn plain(api: Api, limits: HoldLimits) -> Self {
        Self {
            api,
            limits,
            offered: Vec::new(),
            denied: Vec::new(),
            usage_unasked: false,
            keeps: Keeps::Nothing,
            sent: 0,
        }
    }

    /// What was used: as the provider counted, or an estimate where it did not, or not to the end. Whether it is one.
    fn usage(&self, told: &Told, held: u64, end: &End) -> (Option<Usage>, bool) {
        let produced = told.produced.saturating_add(held).div_ceil(BYTES_A_TOKEN);
        if self.sent == 0 {
            return (None, false);
        }
        match (told.usage, end) {
            (Some(usage), End::Complete) => (Some(usage), false),
            (Some(usage), End::ClientGone | End::Refused(_)) => {
                (Some(Usage { output: usage.output.max(produced), ..usage }), produced > usage.output)
            }
            (None, _) => {
                let input = self.sent.div_ceil(BYTES_A_TOKEN);
                (Some(Usage { input, cached_input: 0, output: produced }), true)
            }
        }
    }
}

/// What was decided in this answer.
#[derive(Debug, Default)]
struct Court {
    evidence: Vec<Entry>,
    tools_denied: Vec<String>,
}

impl Exchange {
    /// An exchange for a request that was forwarded; `tools_denied` are those that its request already lost.
    pub fn new(asked: Asked, terms: Terms, tools_denied: Vec<String>) -> Self {
        let keeps = match asked.identity.tenant().journal.content {
            Content::Redacted => COMPLETION_BYTES_MAX,
            Content::None => 0,
        };
        let told = Told { completion: Transcript::keeping(keeps), ..Told::default() };
        let court = Court { evidence: Vec::new(), tools_denied };
        Self { asked, terms, translation: None, stream: None, told, court, ttft: None }
    }

    /// The answer comes in another dialect.
    #[must_use]
    pub fn translated(mut self, translation: Option<translate::Answer>) -> Self {
        self.translation = translation;
        self
    }

    /// The answer comes as a stream.
    pub fn streamed(mut self) -> Self {
        let completion = std::mem::take(&mut self.told.completion);
        let stream = Stream::new(self.terms.api, self.terms.limits, completion);
        self.stream = Some(if self.terms.usage_unasked { stream.without_usage() } else { stream });
        self
    }

    /// Judges a whole answer; what it returns is what leaves.
    pub fn whole(&mut self, body: Bytes, now: Instant) -> Result<Bytes, Refusal> {
        self.ttft = Some(now.saturating_duration_since(self.asked.started));
        let body = match &mut self.translation {
            Some(translation) => Bytes::from(translation.whole(&body)?),
            None => body,
        };
        let mut bench = Bench {
            asked: &self.asked,
            offered: &self.terms.offered,
            denied: &self.terms.denied,
            court: &mut self.court,
        };
        let changed = dialect::whole(self.terms.api, &body, self.terms.limits, &mut self.told, &mut bench)?;
        Ok(changed.map_or(body, Bytes::from))
    }

    /// Takes in bytes of a stream and appends what may leave.
    pub fn read(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<u8>) -> Progress {
        self.ttft.get_or_insert_with(|| now.saturating_duration_since(self.asked.started));
        match &mut self.translation {
            None => self.with_stream(|stream, bench| stream.read(bytes, bench, out)),
            Some(translation) => {
                let mut translated = Vec::new();
                let result = translation.read(bytes, &mut translated);
                self.read_translated(&translated, result, out)
            }
        }
    }

    /// The upstream's stream ended.
    pub fn end(&mut self, out: &mut Vec<u8>) -> Progress {
        if let Some(translation) = &mut self.translation {
            let mut translated = Vec::new();
            let result = translation.end(&mut translated);
            match self.read_translated(&translated, result, out) {
                Progress::Continue => {}
                ended @ (Progress::Done | Progress::Failed(_)) => return ended,
            }
        }
        self.with_stream(|stream, bench| stream.end(bench, out))
    }

    fn read_translated(
        &mut self,
        translated: &[u8],
        result: Result<(), Refusal>,
        out: &mut Vec<u8>,
    ) -> Progress {
        let progress = self.with_stream(|stream, bench| stream.read(translated, bench, out));
        match (progress, result) {
            (Progress::Continue, Err(refusal)) => self.fail(refusal, out),
            (progress, _) => progress,
        }
    }

    /// The upstream's stream broke off.
    pub fn fail(&mut self, refusal: Refusal, out: &mut Vec<u8>) -> Progress {
        let unfinished = self.translation.as_mut().map(translate::Answer::take_unfinished);
        let mut bench = Bench {
            asked: &self.asked,
            offered: &self.terms.offered,
            denied: &self.terms.denied,
            court: &mut self.court,
        };
        for call in unfinished.into_iter().flatten() {
            bench.withhold(&call.tool, &call.text, dialect::CUT_SHORT);
        }
        self.with_stream(|stream, bench| stream.fail(refusal, bench, out))
    }

    fn with_stream(&mut self, act: impl FnOnce(&mut Stream, &mut dyn Judge) -> Progress) -> Progress {
        let Some(stream) = &mut self.stream else { return Progress::Continue };
        let mut bench = Bench {
            asked: &self.asked,
            offered: &self.terms.offered,
            denied: &self.terms.denied,
            court: &mut self.court,
        };
        act(stream, &mut bench)
    }

    /// The client left: what is held never came to its end for it.
    pub fn leave(&mut self) {
        let refusal = Refusal::UpstreamError { message: "the client left" };
        self.fail(refusal, &mut Vec::new());
    }

    /// Whether a call is held back at the moment.
    pub fn holds(&self) -> bool {
        self.stream.as_ref().is_some_and(Stream::holds)
            || self.translation.as_ref().is_some_and(translate::Answer::holds)
    }

    /// The audit lines since the last time.
    pub fn evidence(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.court.evidence)
    }

    /// The answer as the provider keeps it, once it is known.
    pub fn kept(&self) -> Option<&KeptAnswer> {
        let told = self.stream.as_ref().map_or(&self.told, |stream| &stream.told);
        told.kept.as_ref().filter(|_| self.terms.keeps != Keeps::Nothing)
    }

    /// What of it the provider knows again.
    pub fn keeps(&self) -> Keeps {
        self.terms.keeps
    }

    /// Calls that were denied in this answer and the turns before it.
    pub fn denied(&self) -> Vec<DeniedCall> {
        let own = self.kept().map(|kept| kept.denied.as_slice()).unwrap_or_default();
        crate::stored::remembered(own, &self.terms.denied)
    }

    /// Who asked.
    pub fn asked(&self) -> &Asked {
        &self.asked
    }

    /// The line in the request log; `status` is what the client saw.
    pub fn finish(self, end: &End, status: u16, now: Instant) -> (Vec<Entry>, Entry) {
        let held = self.stream.as_ref().map_or(0, Stream::bytes_held);
        let told = self.stream.map_or(self.told, |stream| stream.told);
        let mut told = told;
        if let Some(translation) = &self.translation {
            told.usage = translation.usage();
        }
        let (usage, usage_estimated) = self.terms.usage(&told, u64::try_from(held).unwrap_or(0), end);
        let weight = told.completion.len();
        let completion = (!told.completion.is_empty())
            .then(|| Raw::lazy(Box::new(move || told.completion.into_text()), weight));
        let outcomes = Outcomes {
            usage,
            usage_estimated,
            completion,
            tools_denied: self.court.tools_denied,
            ttft: self.ttft,
            status: Some(status),
        };
        (self.court.evidence, self.asked.finish(end, outcomes, now))
    }
}

/// Tools whose calls go by another name than the one under which they were offered.
const OLDER_NAMES: [(&str, &str); 2] =
    [("computer", "computer_use_preview"), ("builtin__web_search", "builtin__web_search_preview")];

/// The judge of emitted calls: the tenant's policy, with every verdict on record.
struct Bench<'e> {
    asked: &'e Asked,
    offered: &'e [String],
    denied: &'e [DeniedCall],
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
                    OnDeny::Notice => Verdict::Remove { notice: dialect::notice(tool, &decision.reason) },
                }
            }
        }
    }

    fn offered_as(&self, tool: &str) -> Option<String> {
        let older = OLDER_NAMES.iter().find(|(name, _)| *name == tool).map(|(_, older)| *older);
        let names = [Some(tool), older];
        let mut offered =
            names.into_iter().flatten().filter(|name| self.offered.iter().any(|offer| offer == name));
        offered.next().map(ToOwned::to_owned)
    }

    fn was_denied(&self, call_id: &str) -> bool {
        self.denied.iter().any(|call| call.call_id == call_id)
    }

    fn withhold(&mut self, tool: &str, text: &str, reason: &'static str) {
        self.court.evidence.push(self.asked.evidence_of_denial(Place::Emitted, tool, text, reason));
        self.court.tools_denied.push(tool.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        asked::fixture::{asked, decisions},
        clock,
    };
    use serde_json::{Value, json};

    const LIMITS: HoldLimits = HoldLimits { nesting: 32, tool_arguments: 4096 };

    fn exchange(on_deny: OnDeny) -> Exchange {
        let terms = Terms { sent: 40, ..Terms::plain(Api::Chat, LIMITS) };
        Exchange::new(asked(on_deny), terms, vec!["delete_offered".into()])
    }

    fn answer(names: &[&str]) -> Bytes {
        let call = |name: &&str| json!({ "id": "a", "function": { "name": name, "arguments": "{}" } });
        let calls: Vec<Value> = names.iter().map(call).collect();
        let choice = json!({ "message": { "tool_calls": calls }, "finish_reason": "tool_calls" });
        json!({ "choices": [choice], "usage": { "prompt_tokens": 3, "completion_tokens": 4 } })
            .to_string()
            .into()
    }

    fn request(entry: Entry) -> Box<crate::records::RequestEntry> {
        match entry {
            Entry::Request(request) => request,
            Entry::Decision(_) => panic!("a request's line was expected"),
        }
    }

    #[test]
    fn a_whole_answer_is_judged_by_the_tenants_policy() {
        let mut exchange = exchange(OnDeny::Notice);
        let allowed = answer(&["get"]);
        assert_eq!(exchange.whole(allowed.clone(), clock::now()).unwrap(), allowed);
        let left = exchange.whole(answer(&["get", "delete", "pay", "kb__get"]), clock::now()).unwrap();
        let left: Value = serde_json::from_slice(&left).unwrap();
        let message = &left["choices"][0]["message"];
        let calls: Vec<(&str, &str)> = message["tool_calls"]
            .as_array()
            .unwrap()
            .iter()
            .map(|call| (&call["function"]["name"], &call["function"]["arguments"]))
            .map(|(name, arguments)| (name.as_str().unwrap(), arguments.as_str().unwrap()))
            .collect();
        assert_eq!(calls, [("get", "{}"), ("kb__get", r#"{"tenant":"acme"}"#)]);
        let content = message["content"].as_str().unwrap();
        assert!(content.contains("`delete` was denied: Ask support."), "{content}");
        assert!(content.contains("`pay` was denied: a person has to approve this call"), "{content}");
        let evidence = exchange.evidence();
        let expected = ["allow", "allow", "deny", "ask", "allow"].map(|decision| ("emitted", decision));
        assert_eq!(decisions(&evidence), expected);
        let (rest, entry) = exchange.finish(&End::Complete, 200, clock::now());
        let entry = request(entry);
        assert!(rest.is_empty());
        assert_eq!((entry.status, entry.error, entry.tools_denied.len()), (200, None, 3));
        assert_eq!((entry.input_tokens, entry.output_tokens), (Some(3), Some(4)));
        assert!(entry.completion.is_some() && entry.ttft.is_some());
    }

    #[test]
    fn a_tenant_may_want_an_error_instead() {
        let mut exchange = exchange(OnDeny::Error);
        let refused = exchange.whole(answer(&["get", "delete"]), clock::now()).unwrap_err();
        assert_eq!((refused.status(), refused.code()), (403, "tool_not_allowed"));
        let (evidence, entry) = exchange.finish(&End::Refused(refused), 403, clock::now());
        assert_eq!(decisions(&evidence), [("emitted", "allow"), ("emitted", "deny")]);
        assert_eq!(request(entry).error, Some("tool_not_allowed"));
    }

    #[test]
    fn a_stream_that_breaks_off_denies_what_it_held() {
        let mut exchange = exchange(OnDeny::Notice).streamed();
        let mut out = Vec::new();
        let chunk = json!({ "choices": [{ "index": 0, "delta": { "content": "Hi", "tool_calls": [{ "index": 0, "id": "a", "function": { "name": "get", "arguments": "{" } }] } }] });
        let read = exchange.read(format!("data: {chunk}\n\n").as_bytes(), clock::now(), &mut out);
        assert_eq!(read, Progress::Continue);
        assert!(exchange.holds() && exchange.evidence().is_empty());
        assert!(matches!(exchange.end(&mut out), Progress::Failed(Refusal::UpstreamError { .. })));
        assert!(!exchange.holds());
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("Hi") && out.contains("\"error\"") && !out.contains("get"), "{out}");
        let (evidence, entry) = exchange.finish(&End::ClientGone, 200, clock::now());
        assert_eq!(decisions(&evidence), [("emitted", "deny")]);
        assert_eq!(request(entry).tools_denied.len(), 2);
    }
}
