//! An unstreamed message: every call in it is judged, what was denied is replaced, the rest stays as it came.

use super::block::{Judged, Kind, judge, judge_ran, restop, text_block};
use crate::{
    dialect::{
        Api, Desk, HoldLimits, Judge, Told, ran::Ran, reported_error, stray::stray_call, tokens, unreadable,
    },
    json::{self, Value},
    refusal::Refusal,
    usage::Usage,
};

/// Judges an answer. `None`: it leaves as it came.
pub fn whole(
    api: Api,
    body: &[u8],
    limits: HoldLimits,
    told: &mut Told,
    judge: &mut dyn Judge,
) -> Result<Option<Vec<u8>>, Refusal> {
    let mut answer = json::parse(body, limits.nesting.max(32)).map_err(|_| unreadable())?;
    if answer.present("error").is_some() || answer.get("type").and_then(Value::as_str) == Some("error") {
        return Err(reported_error());
    }
    if api == Api::CountTokens {
        answer.get("input_tokens").and_then(Value::as_u64).ok_or_else(unreadable)?;
        return if stray_call(&answer) { Err(unreadable()) } else { Ok(None) };
    }
    let Some(Value::Array(mut blocks)) = answer.get_mut("content").map(std::mem::take) else {
        return Err(unreadable());
    };
    if stray_call(&answer) {
        return Err(unreadable());
    }
    let mut meter = Meter::default();
    meter.read(answer.get("usage"));
    told.usage = meter.usage();
    told.reply(&answer);
    let mut unused = Vec::new();
    let mut desk = Desk { limits, told, judge, out: &mut unused };
    let changed = judge_all(&mut blocks, &mut answer, &mut desk)?;
    answer.set("content", Value::Array(blocks));
    Ok(changed.then(|| {
        let mut out = Vec::with_capacity(body.len());
        json::write(&answer, &mut out);
        out
    }))
}

/// Judges the blocks, and makes the answer's reason to stop fit. Whether anything changed.
fn judge_all(blocks: &mut [Value<'_>], answer: &mut Value<'_>, desk: &mut Desk<'_>) -> Result<bool, Refusal> {
    let mut changed = false;
    let mut left = 0;
    let mut ran = Ran::default();
    for block in blocks {
        match Kind::of(block)? {
            Kind::Call => {
                let input = block.get("input").map_or_else(|| "{}".to_owned(), ToString::to_string);
                match judge(block, input, desk)? {
                    Judged::Removed(notice) => {
                        changed = true;
                        replace(block, notice, desk);
                    }
                    Judged::Released { input, rewritten } => {
                        left += 1;
                        if rewritten {
                            changed = true;
                            let input = json::parse(input.as_bytes(), json::NESTING_MAX);
                            block.set("input", input.map_err(|_| unreadable())?.into_owned());
                        }
                    }
                }
            }
            kind @ (Kind::Hosted | Kind::HostedResult) => {
                if let Some(notice) = judge_ran(kind, block, &mut ran, desk)? {
                    changed = true;
                    replace(block, notice, desk);
                }
            }
            Kind::Other => tell(block, desk.told),
        }
    }
    if changed {
        restop(answer, left);
    }
    Ok(changed)
}

fn replace(block: &mut Value<'_>, text: String, desk: &mut Desk<'_>) {
    desk.told.completion.add(0, &text);
    *block = text_block(text);
}

/// Keeps a block's text for the record.
pub(super) fn tell(block: &Value<'_>, told: &mut Told) {
    if let Some(text) = block.get("text").and_then(Value::as_str) {
        told.produce(text.len());
        told.completion.add(0, text);
    }
    if let Some(thinking) = block.get("thinking").and_then(Value::as_str) {
        told.produce(thinking.len());
    }
}

/// Tokens as Anthropic reports them, in pieces: cached ones are not among its `input_tokens`, and later figures
/// replace earlier ones. Source: Anthropic's API reference, "Streaming" and "Prompt caching".
#[derive(Debug, Clone, Default)]
pub(super) struct Meter {
    input: Option<u64>,
    cache_creation: u64,
    cache_read: u64,
    output: u64,
    /// A figure was none: nothing of it is believed any more.
    broken: bool,
}

impl Meter {
    /// Takes in a `usage`.
    pub(super) fn read(&mut self, usage: Option<&Value<'_>>) {
        let Some(usage) = usage else { return };
        let mut figure = |name: &str| {
            let figure = usage.present(name)?;
            let figure = tokens(Some(figure));
            self.broken |= figure.is_none();
            figure
        };
        let (input, output) = (figure("input_tokens"), figure("output_tokens"));
        let created = figure("cache_creation_input_tokens");
        let read = figure("cache_read_input_tokens");
        self.input = input.or(self.input);
        self.cache_creation = created.unwrap_or(self.cache_creation);
        self.cache_read = read.unwrap_or(self.cache_read);
        self.output = output.unwrap_or(self.output);
    }

    /// What was used so far; `None` while nothing was reported, or where a figure was none.
    pub(super) fn usage(&self) -> Option<Usage> {
        Some(Usage {
            input: self
                .input
                .filter(|_| !self.broken)?
                .saturating_add(self.cache_creation)
                .saturating_add(self.cache_read),
            cached_input: self.cache_read,
            cache_write: self.cache_creation,
            output: self.output,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_from_a_cache_and_written_to_it_is_input() {
        let mut meter = Meter::default();
        let mut check = |usage: &str, expected| {
            meter.read(Some(&json::parse(usage.as_bytes(), 8).unwrap()));
            assert_eq!(meter.usage(), expected, "{usage}");
        };
        check(r#"{"cache_creation_input_tokens":3}"#, None);
        let first = Usage { input: 17, cached_input: 4, cache_write: 3, output: 1 };
        check(r#"{"input_tokens":10,"output_tokens":1,"cache_read_input_tokens":4}"#, Some(first));
        check(r#"{"output_tokens":9}"#, Some(Usage { output: 9, ..first }));
        check(r#"{"output_tokens":null,"input_tokens":null}"#, Some(Usage { output: 9, ..first }));
        check(r#"{"output_tokens":-9}"#, None);
        check(r#"{"output_tokens":9}"#, None);
    }
}
