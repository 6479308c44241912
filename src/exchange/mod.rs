//! An answered call, from the upstream's first byte to its record. Pure: bytes in, bytes out, and at the end
//! one entry. The same exchange serves a whole body and a stream.

mod asking;
mod bench;

pub use asking::WaitingCall;

use crate::{
    approvals::Ruling,
    asked::{Asked, End, Outcomes},
    denials::{self, Fate},
    dialect::{
        self, Api, DeniedCall, HoldLimits, Judge, KeptAnswer, Progress, Request, Stream, Told, Transcript,
    },
    records::{Content, Entry, Raw},
    refusal::Refusal,
    tokens,
    trace::Reply,
    translate,
    usage::Usage,
    wire::{Placeholders, Restorer},
};
use asking::{Ended, Ruled, Suspended};
use bench::Bench;
use bytes::Bytes;
use std::time::{Duration, Instant, SystemTime};

/// So much of an answer's text is kept for its record.
const COMPLETION_BYTES_MAX: usize = 1 << 20;

/// Why a call of a whole answer is denied that nobody waits for any more.
const NOBODY_WAITS: &str = "the client left before a person decided";

/// A call that is being answered.
#[derive(Debug)]
pub struct Exchange {
    bench: Bench,
    /// Where the upstream speaks another dialect: its answer is translated first, and judged in the client's.
    translation: Option<translate::Answer>,
    /// Where the provider saw placeholders: values are put in their place before anything is judged.
    restorer: Option<Restorer>,
    stream: Option<Stream>,
    /// A stream that stopped at a call that waits for a person.
    suspended: Option<Suspended>,
    /// A whole answer, in the client's dialect.
    body: Bytes,
    told: Told,
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
    /// Whether the answer is to be a stream.
    pub stream: bool,
    /// Whether a stream tells its usage only because the gateway asked for it.
    pub usage_unasked: bool,
    /// So many choices the answer is to have.
    pub choices: u64,
    pub keeps: Keeps,
    /// What the provider saw placeholders of.
    pub placeholders: Option<Placeholders>,
    /// Whether the answer was judged before, to its end: nobody is asked again, and nothing counts again.
    pub settled: bool,
    /// The tokens that the input is taken for where the provider does not count; 0 where there is nothing to count.
    pub input_estimate: u64,
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
    /// The terms of a request that was understood, and whose input is taken for so many tokens.
    pub fn of(request: &Request<'_>, limits: HoldLimits, offered: Vec<String>, input_estimate: u64) -> Self {
        Self {
            api: request.api,
            limits,
            offered,
            denied: Vec::new(),
            stream: request.stream && dialect::streams(request.api),
            usage_unasked: request.usage_unasked,
            choices: request.choices,
            keeps: if request.kept { Keeps::All } else { Keeps::Items },
            placeholders: None,
            settled: false,
            // A count costs nothing.
            input_estimate: if request.api == Api::CountTokens { 0 } else { input_estimate },
        }
    }

    /// The terms of what is only looked up: it was metered when it was made.
    pub fn plain(api: Api, limits: HoldLimits) -> Self {
        Self {
            api,
            limits,
            offered: Vec::new(),
            denied: Vec::new(),
            stream: false,
            usage_unasked: false,
            choices: 1,
            keeps: Keeps::Nothing,
            placeholders: None,
            settled: false,
            input_estimate: 0,
        }
    }

    /// What was used: as the provider counted, or an estimate where it did not, or not to the end. Whether it is one.
    fn usage(&self, told: &Told, held: u64, end: &End) -> (Option<Usage>, bool) {
        let produced = tokens::of_length(told.produced.saturating_add(held));
        // Of a whole answer that cannot be understood nobody gets anything, and nobody knows what was used.
        let is_void = !self.stream && matches!(end, End::Refused(_)) && told.usage.is_none() && produced == 0;
        if self.input_estimate == 0 || is_void {
            return (None, false);
        }
        // What cannot be true is no usage.
        let seen = |usage: Usage| match end {
            // Providers tell the output of a stream at its end: what came before that may be less than was produced.
            End::ClientGone | End::Refused(_) if self.stream && !told.is_counted => {
                Usage { output: usage.output.max(produced), ..usage }
            }
            End::Complete | End::ClientGone | End::Refused(_) => usage,
        };
        let reported = told.usage.map(seen).filter(|usage| usage.is_plausible(self.input_estimate, produced));
        match reported {
            Some(usage) => (Some(usage), told.usage != reported),
            None => (Some(Usage { input: self.input_estimate, output: produced, ..Usage::default() }), true),
        }
    }
}

impl Exchange {
    /// An exchange for a request that was forwarded; `tools_denied` are those that its request already lost.
    pub fn new(asked: Asked, terms: Terms, tools_denied: Vec<String>) -> Self {
        let keeps = match asked.identity.tenant().journal.content {
            Content::Redacted => COMPLETION_BYTES_MAX,
            Content::None => 0,
        };
        let is_sampled = asked.trace.as_ref().is_some_and(|trace| trace.context.is_sampled);
        let reply = is_sampled.then(Reply::default);
        let told = Told { completion: Transcript::keeping(keeps), reply, ..Told::default() };
        let bench = Bench::new(asked, terms, tools_denied);
        Self {
            bench,
            translation: None,
            restorer: None,
            stream: None,
            suspended: None,
            body: Bytes::new(),
            told,
            ttft: None,
        }
    }

    /// The answer comes in another dialect.
    #[must_use]
    pub fn translated(mut self, translation: Option<translate::Answer>) -> Self {
        self.translation = translation;
        self
    }

    /// The answer comes as a stream.
    pub fn streamed(mut self) -> Self {
        if let Some(trace) = &mut self.bench.asked.trace {
            trace.is_stream = true;
        }
        let completion = std::mem::take(&mut self.told.completion);
        let terms = &self.bench.terms;
        let limits = terms.limits;
        self.restorer = terms.placeholders.clone().map(|placeholders| {
            Restorer::new(placeholders, terms.api, limits.nesting, limits.tool_arguments)
        });
        let mut stream = Stream::new(terms.api, limits, completion).of_choices(terms.choices);
        stream.told.reply = self.told.reply.take();
        self.stream = Some(if terms.usage_unasked { stream.without_usage() } else { stream });
        self
    }

    /// Takes in a whole answer, to be judged.
    pub fn take_whole(&mut self, body: Bytes, now: Instant) -> Result<(), Refusal> {
        self.ttft = Some(now.saturating_duration_since(self.bench.asked.started));
        self.body = match &mut self.translation {
            Some(translation) => Bytes::from(translation.whole(&body)?),
            None => body,
        };
        if let Some(placeholders) = &self.bench.terms.placeholders
            && let Some(restored) = placeholders.whole(&self.body)?
        {
            self.body = restored.into();
        }
        Ok(())
    }

    /// Judges the whole answer; what it returns is what leaves. `None`: calls in it wait for a person, and it is to be
    /// judged again once they are decided.
    pub fn whole(&mut self) -> Result<Option<Bytes>, Refusal> {
        let (mark, told) = (self.bench.mark(), self.bench.may_ask().then(|| self.told.clone()));
        let Terms { api, limits, .. } = self.bench.terms;
        let changed = dialect::whole(api, &self.body, limits, &mut self.told, &mut self.bench);
        if self.bench.docket.waits {
            self.bench.go_back(mark);
            // What it took is known, whatever becomes of its calls.
            let usage = self.told.usage.take();
            self.told = Told { usage, ..told.unwrap_or_default() };
            return Ok(None);
        }
        Ok(Some(changed?.map_or_else(|| self.body.clone(), Bytes::from)))
    }

    /// Takes in bytes of a stream and appends what may leave.
    pub fn read(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<u8>) -> Progress {
        self.ttft.get_or_insert_with(|| now.saturating_duration_since(self.bench.asked.started));
        match &mut self.translation {
            None => self.restore(bytes, out),
            Some(translation) => {
                let mut translated = Vec::new();
                let result = translation.read(bytes, &mut translated);
                self.feed_translated(&translated, result, out)
            }
        }
    }

    /// Reads bytes in the client's dialect, with their values.
    fn restore(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Progress {
        let Some(restorer) = &mut self.restorer else { return self.feed(bytes, out) };
        let mut restored = Vec::with_capacity(bytes.len());
        let result = restorer.read(bytes, &mut restored);
        self.feed_before(&restored, result, out)
    }

    /// Nothing goes on any more of what was held to be restored.
    fn restore_the_rest(&mut self, out: &mut Vec<u8>) -> Progress {
        let Some(restorer) = &mut self.restorer else { return Progress::Continue };
        let mut restored = Vec::new();
        restorer.end(&mut restored);
        self.feed(&restored, out)
    }

    /// The upstream's stream ended.
    pub fn end(&mut self, out: &mut Vec<u8>) -> Progress {
        if let Some(translation) = &mut self.translation {
            let mut translated = Vec::new();
            let result = translation.end(&mut translated);
            match self.feed_translated(&translated, result, out) {
                Progress::Continue => {}
                ended @ (Progress::Done | Progress::Failed(_)) => return ended,
            }
        }
        match self.restore_the_rest(out) {
            Progress::Continue => {}
            ended @ (Progress::Done | Progress::Failed(_)) => return ended,
        }
        if let Some(suspended) = &mut self.suspended {
            suspended.ended.get_or_insert(Ended::Properly);
            return Progress::Continue;
        }
        self.with_stream(|stream, bench| stream.end(bench, out))
    }

    fn feed_translated(
        &mut self,
        translated: &[u8],
        result: Result<(), Refusal>,
        out: &mut Vec<u8>,
    ) -> Progress {
        match (self.restore(translated, out), result) {
            (Progress::Continue, Err(refusal)) => self.break_off(refusal, out),
            (progress, _) => progress,
        }
    }

    /// Reads what came before something could not be read.
    fn feed_before(&mut self, bytes: &[u8], result: Result<(), Refusal>, out: &mut Vec<u8>) -> Progress {
        match (self.feed(bytes, out), result) {
            (Progress::Continue, Err(refusal)) => self.break_off(refusal, out),
            (progress, _) => progress,
        }
    }

    /// Reads bytes in the client's dialect, up to a call that waits for a person.
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Progress {
        if let Some(suspended) = &mut self.suspended {
            self.bench.look_ahead(|judge| suspended.hear(bytes, judge));
            return Progress::Continue;
        }
        if !self.bench.may_ask() {
            return self.with_stream(|stream, bench| stream.read(bytes, bench, out));
        }
        if let Some(progress) = self.try_to_read(bytes, out) {
            return progress;
        }
        // What comes before the call leaves at once, as far as a line can tell it apart.
        let mut rest = bytes;
        while !rest.is_empty() {
            let line = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            let (piece, behind) = rest.split_at_checked(line).unwrap_or((rest, &[]));
            match self.try_to_read(piece, out) {
                None => break,
                Some(Progress::Continue) => rest = behind,
                Some(ended @ (Progress::Done | Progress::Failed(_))) => return ended,
            }
        }
        if let Some(stream) = &mut self.stream {
            let suspended = self.bench.look_ahead(|judge| Suspended::before(rest, stream, judge));
            self.suspended = Some(suspended);
        }
        Progress::Continue
    }

    /// Reads bytes, unless a call in them waits for a person.
    fn try_to_read(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Option<Progress> {
        let Some(stream) = &mut self.stream else { return Some(Progress::Continue) };
        let (saved, mark, sent) = (stream.save(), self.bench.mark(), out.len());
        let progress = stream.read(bytes, &mut self.bench, out);
        if self.bench.docket.waits {
            stream.go_back(saved);
            self.bench.go_back(mark);
            out.truncate(sent);
            return None;
        }
        self.bench.settle();
        Some(progress)
    }

    /// Calls that wait for a person since the last time, each with its number.
    pub fn asks(&mut self) -> Vec<(usize, WaitingCall)> {
        self.bench.docket.untold()
    }

    /// What was decided of the call of this number. Whether all that wait are decided: then the stream goes on by
    /// `resume`, and a whole answer is judged again.
    pub fn rule(&mut self, number: usize, ruling: Ruling, time: SystemTime) -> bool {
        self.bench.docket.rule(number, Ruled { ruling, time });
        self.bench.docket.is_decided()
    }

    /// Goes on with a stream whose calls are decided.
    pub fn resume(&mut self, out: &mut Vec<u8>) -> Progress {
        let Some(suspended) = self.suspended.take() else { return Progress::Continue };
        // What was read ahead is read again.
        self.bench.start_again();
        let progress = self.feed(&suspended.bytes, out);
        if let Some(again) = &mut self.suspended {
            again.ended = suspended.ended;
            return Progress::Continue;
        }
        match (progress, suspended.ended) {
            (Progress::Continue, Some(Ended::Properly)) => {
                self.with_stream(|stream, bench| stream.end(bench, out))
            }
            (Progress::Continue, Some(Ended::BrokeOff(refusal))) => self.fail(refusal, out),
            (progress, _) => progress,
        }
    }

    /// Whether more of the upstream's stream is to be read now.
    pub fn has_room(&self) -> bool {
        self.suspended.as_ref().is_none_or(Suspended::has_room)
    }

    /// Whether a call waits for a person.
    pub fn is_suspended(&self) -> bool {
        self.suspended.is_some()
    }

    /// The upstream's stream broke off: told once what came before is decided.
    pub fn break_off(&mut self, refusal: Refusal, out: &mut Vec<u8>) -> Progress {
        match self.restore_the_rest(out) {
            Progress::Continue => {}
            ended @ (Progress::Done | Progress::Failed(_)) => return ended,
        }
        match &mut self.suspended {
            Some(suspended) => {
                suspended.ended.get_or_insert(Ended::BrokeOff(refusal));
                Progress::Continue
            }
            None => self.fail(refusal, out),
        }
    }

    /// Ends the stream at once.
    pub fn fail(&mut self, refusal: Refusal, out: &mut Vec<u8>) -> Progress {
        self.suspended = None;
        if self.stream.is_none() {
            for call in self.bench.docket.undecided() {
                self.bench.withhold(&call.tool, &call.produced, NOBODY_WAITS);
            }
        }
        let unfinished = self.translation.as_mut().map(translate::Answer::take_unfinished);
        for call in unfinished.into_iter().flatten() {
            self.bench.withhold(&call.tool, &call.text, dialect::CUT_SHORT);
        }
        self.with_stream(|stream, bench| stream.fail(refusal, bench, out))
    }

    fn with_stream(&mut self, act: impl FnOnce(&mut Stream, &mut dyn Judge) -> Progress) -> Progress {
        match &mut self.stream {
            Some(stream) => act(stream, &mut self.bench),
            None => Progress::Continue,
        }
    }

    /// The client left: what is held never came to its end for it.
    pub fn leave(&mut self) {
        let refusal = Refusal::UpstreamError { message: "the client left" };
        self.fail(refusal, &mut Vec::new());
    }

    /// Whether a call is held back at the moment.
    pub fn holds(&self) -> bool {
        self.is_suspended()
            || self.stream.as_ref().is_some_and(Stream::holds)
            || self.translation.as_ref().is_some_and(translate::Answer::holds)
    }

    /// The audit lines since the last time.
    pub fn evidence(&mut self) -> Vec<Entry> {
        let mut evidence = std::mem::take(&mut self.bench.asks);
        evidence.append(&mut self.bench.court.evidence);
        evidence
    }

    /// What became of calls that a limit or a person could deny, since the last time.
    pub fn fates(&mut self) -> Vec<(denials::Call, Fate)> {
        std::mem::take(&mut self.bench.court.fates)
    }

    /// The answer as the provider keeps it, once it is known.
    pub fn kept(&self) -> Option<&KeptAnswer> {
        let told = self.stream.as_ref().map_or(&self.told, |stream| &stream.told);
        told.kept.as_ref().filter(|_| self.bench.terms.keeps != Keeps::Nothing)
    }

    /// What of it the provider knows again.
    pub fn keeps(&self) -> Keeps {
        self.bench.terms.keeps
    }

    /// Tools that the request offered and that calls may name otherwise.
    pub fn offered(&self) -> &[String] {
        &self.bench.terms.offered
    }

    /// Calls that were denied in this answer and the turns before it.
    pub fn denied(&self) -> Vec<DeniedCall> {
        let own = self.kept().map(|kept| kept.denied.as_slice()).unwrap_or_default();
        crate::stored::remembered(own, &self.bench.terms.denied)
    }

    /// The tokens that this answer used, input and output: what a request that goes on from it is billed for again. 0 where
    /// that is not known.
    pub fn tokens(&self, end: &End) -> u64 {
        let (told, held) = match &self.stream {
            Some(stream) => (&stream.told, stream.bytes_held()),
            None => (&self.told, 0),
        };
        let (used, _) = self.bench.terms.usage(told, u64::try_from(held).unwrap_or(0), end);
        // Of an answer that is only looked up nothing is metered; what it says counts all the same.
        let used = used.or_else(|| told.usage.filter(|usage| usage.is_plausible(0, 0)));
        used.map_or(0, |usage| usage.tokens())
    }

    /// Who asked.
    pub fn asked(&self) -> &Asked {
        &self.bench.asked
    }

    /// The line in the request log; `status` is what the client saw.
    pub fn finish(self, end: &End, status: u16, now: Instant) -> (Vec<Entry>, Entry) {
        let held = self.stream.as_ref().map_or(0, Stream::bytes_held);
        let told = self.stream.map_or(self.told, |stream| stream.told);
        let mut told = told;
        if let Some(translation) = &self.translation {
            told.usage = translation.usage();
            told.is_counted = translation.is_counted();
        }
        let Bench { mut asked, terms, court, mut asks, .. } = self.bench;
        if let Some(trace) = &mut asked.trace {
            trace.reply = told.reply.take();
        }
        let (usage, usage_estimated) = terms.usage(&told, u64::try_from(held).unwrap_or(0), end);
        let weight = told.completion.len();
        let completion = (!told.completion.is_empty())
            .then(|| Raw::lazy(Box::new(move || told.completion.into_said()), weight));
        let outcomes = Outcomes {
            usage,
            usage_estimated,
            completion,
            tools_denied: court.tools_denied,
            ttft: self.ttft,
            // One that is only looked up is there, whatever it says.
            failed: told.failed && terms.input_estimate > 0,
            status: Some(status),
        };
        asks.extend(court.evidence);
        (asks, asked.finish(end, outcomes, now))
    }
}

#[cfg(test)]
mod tests;
