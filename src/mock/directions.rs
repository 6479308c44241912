//! The directives of the last user message: text in, [`Directions`] out. Apart from `plan` because every endpoint
//! obeys them, and only chat has a plan. The table of them is in this module's parent.

use std::{str::FromStr, time::Duration};

/// Bounds of what one message can ask for.
const COUNT_MAX: usize = 1 << 20;
const BIG_KIB_MAX: usize = 64 * 1024;
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// A line that starts with `!` and is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadDirective {
    #[error("unknown directive `!{0}`")]
    Unknown(String),
    #[error("`!{0}`: expected {1}")]
    Argument(String, &'static str),
}

/// What the message asks for; `Default` is an ordinary answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Directions {
    /// The lines that are not directives.
    pub(super) plain: String,
    pub(super) speech: Option<Speech>,
    pub(super) calls: Vec<PlannedCall>,
    pub(super) finish: Option<Finish>,
    pub(super) form: Form,
    pub(super) usage: UsageForm,
    pub(super) transport: Transport,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Speech {
    Text(String),
    Refusal(String),
}

/// A tool call: `arguments` is whatever text, valid JSON or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlannedCall {
    pub(super) name: String,
    pub(super) arguments: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    Stop,
    Length,
    ToolCalls,
    FunctionCall,
    ContentFilter,
}

impl Finish {
    /// The word on the wire.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::FunctionCall => "function_call",
            Self::ContentFilter => "content_filter",
        }
    }
}

/// How text and calls are laid out in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Form {
    pub(super) kind: CallKind,
    pub(super) index: IndexForm,
    pub(super) order: Order,
    /// Deltas of text; without it one a word.
    pub(super) text_chunks: Option<usize>,
    pub(super) fragment_bytes: Option<usize>,
    pub(super) repeat_id: bool,
    pub(super) name_split: bool,
    pub(super) object_args: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum CallKind {
    #[default]
    Function,
    Legacy,
    Custom,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum IndexForm {
    #[default]
    Dense,
    Absent,
    Zero,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Order {
    #[default]
    OneByOne,
    Interleaved,
    Whole,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum UsageForm {
    #[default]
    Estimated,
    Absent,
    Stated {
        input: u64,
        output: u64,
    },
}

/// How the answer travels; every endpoint heeds it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Transport {
    pub(super) fate: Fate,
    pub(super) end: End,
    pub(super) slow_head: Duration,
    pub(super) delay: Duration,
    pub(super) split_bytes: Option<usize>,
    pub(super) crlf: bool,
    pub(super) garbage: bool,
    pub(super) headers: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fate {
    #[default]
    Answer,
    Hang,
    /// `times`: how often before it answers; always without it.
    Fail {
        status: u16,
        retry_after_s: Option<u64>,
        times: Option<usize>,
    },
}

/// The end of a stream. The numbers count events from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum End {
    #[default]
    Done,
    NoDone,
    Cut(usize),
    Stall(usize),
    Error(usize),
}

impl Directions {
    /// Reads a message.
    ///
    /// # Errors
    /// The first directive that is unknown, or whose argument is.
    pub(super) fn read(text: &str) -> Result<Self, BadDirective> {
        let mut directions = Self::default();
        let mut plain = Vec::new();
        for line in text.lines() {
            match line.strip_prefix('!') {
                None => plain.push(line),
                Some(directive) => {
                    let (word, rest) = directive.split_once(' ').unwrap_or((directive, ""));
                    directions.obey(word, rest)?;
                }
            }
        }
        directions.plain = plain.join("\n").trim().to_owned();
        Ok(directions)
    }

    fn obey(&mut self, word: &str, rest: &str) -> Result<(), BadDirective> {
        let bad = |expected| BadDirective::Argument(word.to_owned(), expected);
        let count = || count(rest).ok_or_else(|| bad("a number"));
        let pause = || pause(rest).ok_or_else(|| bad("a duration like 5ms or 2s"));
        match word {
            "call" => self.calls.push(call(rest).ok_or_else(|| bad("the name of a tool"))?),
            "say" => self.say(rest),
            "big" => self.speech = Some(Speech::Text(filler(count()?.min(BIG_KIB_MAX)))),
            "refusal" => self.speech = Some(Speech::Refusal(refusal(rest))),
            "finish" => self.finish = Some(finish(rest).ok_or_else(|| bad("a finish reason"))?),
            "usage" => self.usage = usage(rest).ok_or_else(|| bad("two numbers"))?,
            "usage-none" => self.usage = UsageForm::Absent,
            "chunks" => self.form.text_chunks = Some(count()?.max(1)),
            "arg-chunk" => self.form.fragment_bytes = Some(count()?.max(1)),
            "interleave" => self.form.order = Order::Interleaved,
            "whole" => self.form.order = Order::Whole,
            "no-index" => self.form.index = IndexForm::Absent,
            "same-index" => self.form.index = IndexForm::Zero,
            "repeat-id" => self.form.repeat_id = true,
            "name-split" => self.form.name_split = true,
            "object-args" => self.form.object_args = true,
            "function-call" => self.form.kind = CallKind::Legacy,
            "custom" => self.form.kind = CallKind::Custom,
            "delay" => self.transport.delay = pause()?,
            "split" => self.transport.split_bytes = Some(count()?.max(1)),
            "crlf" => self.transport.crlf = true,
            "cut" => self.transport.end = End::Cut(count()?),
            "stall" => self.transport.end = End::Stall(count()?),
            "error" => self.transport.end = End::Error(count()?),
            "no-done" => self.transport.end = End::NoDone,
            "garbage" => self.transport.garbage = true,
            "status" => self.transport.fate = status(rest).ok_or_else(|| bad("CODE [retry-after S]"))?,
            "status-times" => self.transport.fate = status_times(rest).ok_or_else(|| bad("TIMES CODE"))?,
            "hang" => self.transport.fate = Fate::Hang,
            "slow-head" => self.transport.slow_head = pause()?,
            "headers" => self.transport.headers = true,
            _ => return Err(BadDirective::Unknown(word.to_owned())),
        }
        Ok(())
    }

    fn say(&mut self, line: &str) {
        self.speech = Some(Speech::Text(match self.speech.take() {
            Some(Speech::Text(earlier)) => format!("{earlier}\n{line}"),
            Some(Speech::Refusal(_)) | None => line.to_owned(),
        }));
    }
}

fn call(rest: &str) -> Option<PlannedCall> {
    let (name, arguments) = rest.split_once(' ').unwrap_or((rest, ""));
    (!name.is_empty()).then(|| PlannedCall { name: name.to_owned(), arguments: arguments.to_owned() })
}

fn refusal(rest: &str) -> String {
    if rest.is_empty() { "I cannot help with that.".to_owned() } else { rest.to_owned() }
}

fn filler(kib: usize) -> String {
    "The quick brown fox jumps over the lazy dog; sixty-four letters.".repeat(kib * 16)
}

fn finish(word: &str) -> Option<Finish> {
    use Finish::{ContentFilter, FunctionCall, Length, Stop, ToolCalls};
    [Stop, Length, ToolCalls, FunctionCall, ContentFilter].into_iter().find(|finish| finish.word() == word)
}

fn usage(rest: &str) -> Option<UsageForm> {
    let [input, output] = numbers(rest)?;
    Some(UsageForm::Stated { input, output })
}

fn status(rest: &str) -> Option<Fate> {
    let (code, wait) =
        rest.split_once(" retry-after ").map_or((rest, None), |(code, wait)| (code, Some(wait)));
    let retry_after_s = match wait {
        Some(seconds) => Some(seconds.parse().ok()?),
        None => None,
    };
    Some(Fate::Fail { status: code_of(code)?, retry_after_s, times: None })
}

fn status_times(rest: &str) -> Option<Fate> {
    let (times, code) = rest.split_once(' ')?;
    Some(Fate::Fail { status: code_of(code)?, retry_after_s: None, times: Some(count(times)?) })
}

fn code_of(text: &str) -> Option<u16> {
    text.parse().ok().filter(|code| (400..600).contains(code))
}

fn count(text: &str) -> Option<usize> {
    text.parse().ok().filter(|count| *count <= COUNT_MAX)
}

fn numbers<T: FromStr, const N: usize>(text: &str) -> Option<[T; N]> {
    let read: Result<Vec<T>, _> = text.split_whitespace().map(str::parse).collect();
    read.ok()?.try_into().ok()
}

fn pause(text: &str) -> Option<Duration> {
    let pause = match text.strip_suffix("ms") {
        Some(number) => Duration::from_millis(number.parse().ok()?),
        None => Duration::from_secs(text.strip_suffix('s')?.parse().ok()?),
    };
    (pause <= PAUSE_MAX).then_some(pause)
}
