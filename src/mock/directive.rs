//! The directives of the last user message: text in, [`Directions`] out. The table of them is in this module's parent.

use std::time::Duration;

use super::directions::{
    Act, ArgumentsIn, CallKind, Directions, End, Fate, Finish, IndexForm, LastCopy, Order, PlannedCall,
    Speech, Usage, UsageForm,
};

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
        let known = self.content(word, rest)? || self.form(word, rest)? || self.transport(word, rest)?;
        if known { Ok(()) } else { Err(BadDirective::Unknown(word.to_owned())) }
    }

    /// Obeys what is about the content of the answer; false for anything else.
    fn content(&mut self, word: &str, rest: &str) -> Result<bool, BadDirective> {
        let bad = |expected| BadDirective::Argument(word.to_owned(), expected);
        match word {
            "call" => self.acts.push(Act::Call(call(rest).ok_or_else(|| bad("the name of a tool"))?)),
            "hosted" => self.acts.push(Act::Hosted(named(rest).ok_or_else(|| bad("the type of a tool"))?)),
            "item" => self.acts.push(item(rest).ok_or_else(|| bad("TYPE [a JSON object]"))?),
            "reasoning" => self.reasoning = Some(or_else(rest, "Let me think.")),
            "say" => self.say(rest),
            "big" => self.speech = Some(Speech::Text(filler(counted(word, rest)?.min(BIG_KIB_MAX)))),
            "refusal" => self.speech = Some(Speech::Refusal(or_else(rest, "I cannot help with that."))),
            "finish" => self.finish = Some(finish(rest).ok_or_else(|| bad("a finish reason"))?),
            "usage" => self.usage = usage(rest).ok_or_else(|| bad("two to four numbers"))?,
            "usage-none" => self.usage = UsageForm::Absent,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Obeys what is about how text and calls are laid out; false for anything else.
    fn form(&mut self, word: &str, rest: &str) -> Result<bool, BadDirective> {
        let form = &mut self.form;
        match word {
            "chunks" => form.text_chunks = Some(counted(word, rest)?.max(1)),
            "arg-chunk" => form.fragment_bytes = Some(counted(word, rest)?.max(1)),
            "interleave" => form.order = Order::Interleaved,
            "whole" => form.order = Order::Whole,
            "no-index" => form.index = IndexForm::Absent,
            "same-index" => form.index = IndexForm::Zero,
            "repeat-id" => form.repeat_id = true,
            "name-split" => form.name_split = true,
            "object-args" => form.object_args = true,
            "function-call" => form.kind = CallKind::Legacy,
            "custom" => form.kind = CallKind::Custom,
            "done-only" => form.arguments_in = ArgumentsIn::Done,
            "item-only" => form.arguments_in = ArgumentsIn::ItemDone,
            "completed-only" => form.last_copy = LastCopy::Only,
            "completed-differs" => form.last_copy = LastCopy::Differs(or_else(rest, r#"{"differs":true}"#)),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Obeys what is about how the answer travels; false for anything else.
    fn transport(&mut self, word: &str, rest: &str) -> Result<bool, BadDirective> {
        let bad = |expected| BadDirective::Argument(word.to_owned(), expected);
        let count = || counted(word, rest);
        let pause = || pause(rest).ok_or_else(|| bad("a duration like 5ms or 2s"));
        let transport = &mut self.transport;
        match word {
            "delay" => transport.delay = pause()?,
            "split" => transport.split_bytes = Some(count()?.max(1)),
            "crlf" => transport.crlf = true,
            "cut" => transport.end = End::Cut(count()?),
            "stall" => transport.end = End::Stall(count()?),
            "error" => transport.end = End::Error(count()?),
            "no-done" => transport.end = End::NoDone,
            "garbage" => transport.garbage = true,
            "status" => transport.fate = status(rest).ok_or_else(|| bad("CODE [retry-after S]"))?,
            "status-times" => transport.fate = status_times(rest).ok_or_else(|| bad("TIMES CODE"))?,
            "hang" => transport.fate = Fate::Hang,
            "slow-head" => transport.slow_head = pause()?,
            "headers" => transport.headers = true,
            _ => return Ok(false),
        }
        Ok(true)
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

fn named(rest: &str) -> Option<String> {
    (!rest.is_empty() && !rest.contains(' ')).then(|| rest.to_owned())
}

fn item(rest: &str) -> Option<Act> {
    let (kind, members) = rest.split_once(' ').unwrap_or((rest, "{}"));
    Some(Act::Item { kind: named(kind)?, members: serde_json::from_str(members).ok()? })
}

fn or_else(rest: &str, otherwise: &str) -> String {
    if rest.is_empty() { otherwise.to_owned() } else { rest.to_owned() }
}

fn filler(kib: usize) -> String {
    "The quick brown fox jumps over the lazy dog; sixty-four letters.".repeat(kib * 16)
}

fn finish(word: &str) -> Option<Finish> {
    use Finish::{ContentFilter, FunctionCall, Length, Stop, ToolCalls};
    [Stop, Length, ToolCalls, FunctionCall, ContentFilter].into_iter().find(|finish| finish.word() == word)
}

fn usage(rest: &str) -> Option<UsageForm> {
    let numbers: Result<Vec<u64>, _> = rest.split_whitespace().map(str::parse).collect();
    let numbers = numbers.ok().filter(|numbers| numbers.len() <= 4)?;
    let mut numbers = numbers.into_iter();
    let (input, output) = (numbers.next()?, numbers.next()?);
    let (cached, reasoning) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    Some(UsageForm::Stated(Usage { input, output, cached, reasoning }))
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

fn counted(word: &str, rest: &str) -> Result<usize, BadDirective> {
    count(rest).ok_or_else(|| BadDirective::Argument(word.to_owned(), "a number"))
}

fn count(text: &str) -> Option<usize> {
    text.parse().ok().filter(|count| *count <= COUNT_MAX)
}

fn pause(text: &str) -> Option<Duration> {
    let pause = match text.strip_suffix("ms") {
        Some(number) => Duration::from_millis(number.parse().ok()?),
        None => Duration::from_secs(text.strip_suffix('s')?.parse().ok()?),
    };
    (pause <= PAUSE_MAX).then_some(pause)
}
