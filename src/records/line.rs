//! How a record reads: its members, in order, and how text becomes part of a line. Apart from the writer so that the
//! format is pure, and takes raw text only through the redactor.
//!
//! Optional members are `null`; `prompt`, `completion` and `args` are left out when a tenant's content is `none`.
//! Whatever could end a line or turn it around on a screen (controls, U+2028/2029, bidi marks) is escaped.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use super::{
    chain::{Digest, seal},
    entry::{Content, DecisionEntry, Journal, Model, Opened, Raw, RequestEntry},
    escape::{write_document, write_escaped, write_string},
    said::Said,
    stamp::write_time,
    sync::Kind,
};
use crate::{
    redact::{Mark, Redacted, Redactor},
    trace::Traced,
};

/// Longest prompt, completion or arguments in a line; of a longer text the middle is left out, after redaction. An
/// agent sends its whole history with every turn: what is new stands at the end.
pub const TEXT_BYTES_MAX: usize = 32 * 1024;
/// Of a text that loses its middle, so much beyond what is kept at either end is redacted with it,
const WINDOW_MARGIN_BYTES: usize = 16 * 1024;
/// and so much at the cut is never kept, because a value that was cut in two could stand there. Longer than any value
/// that is found only whole: the key of a private key's PEM block is the longest.
const WINDOW_EDGE_BYTES: usize = 8 * 1024;
/// So much of either end is redacted,
const WINDOW_BYTES: usize = TEXT_BYTES_MAX / 2 + WINDOW_MARGIN_BYTES;
/// if the text is longer than this.
const WHOLE_BYTES_MAX: usize = TEXT_BYTES_MAX + 2 * WINDOW_MARGIN_BYTES;
/// Longest name that a client may have chosen (a tool, a model, an approver).
const NAME_BYTES_MAX: usize = 1024;
/// Longest run that is looked back over for the start of a placeholder, which must not be cut in two.
const PLACEHOLDER_BYTES_MAX: usize = 256;
const TOOLS_DENIED_MAX: usize = 128;

/// What happened while a line was made, for the counters.
pub(super) trait Notice {
    /// The redactor took something out.
    fn redacted(&self, tenant: &str, entity: &str, count: u32);
    /// The redactor panicked: the text was left out.
    fn redactor_failed(&self);
    /// A line is made, newline included.
    fn made(&self, tenant: &Arc<str>, kind: Kind, line: &[u8], traced: Option<Traced>);
    /// The analyst gave no answer: the text was left out.
    fn left_out(&self, tenant: &str);
}

/// Appends a request's line, newline included.
pub(super) fn write_request(out: &mut Vec<u8>, entry: RequestEntry, notice: &dyn Notice) {
    let texts = Texts { journal: &entry.journal, notice };
    open_line(out, entry.time, &entry.journal.tenant, [&entry.key, &entry.request_id]);
    member_text(out, "dialect", Some(entry.dialect));
    member(out, "model");
    match entry.model {
        Some(Model::Declared(name)) => write_string(out, &name),
        Some(Model::Asked(raw)) => texts.name(out, raw),
        None => out.extend_from_slice(b"null"),
    }
    member_text(out, "upstream", entry.upstream.as_deref());
    member_number(out, "status", Some(u64::from(entry.status)));
    member_text(out, "error", entry.error);
    member_decimal(out, "latency_ms", Some((micros(entry.latency), 3)));
    member_decimal(out, "ttft_ms", entry.ttft.map(|ttft| (micros(ttft), 3)));
    if entry.queued.is_some() {
        member_decimal(out, "queue_ms", entry.queued.map(|queued| (micros(queued), 3)));
    }
    member_number(out, "input_tokens", entry.input_tokens);
    member_number(out, "output_tokens", entry.output_tokens);
    member_decimal(out, "cost_usd", entry.cost_micro_usd.map(|cost| (cost, 6)));
    if entry.usage_estimated {
        member(out, "usage_estimated");
        out.extend_from_slice(b"true");
    }
    member(out, "tools_denied");
    out.push(b'[');
    for (at, tool) in entry.tools_denied.into_iter().take(TOOLS_DENIED_MAX).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        texts.name(out, tool);
    }
    out.push(b']');
    let prompt = texts.content(out, "prompt", entry.prompt);
    let completion = texts.content(out, "completion", entry.completion);
    say_left_out(out, prompt || completion);
    out.extend_from_slice(b"}\n");
}

/// Appends a decision's line, newline included, as the next of a chain after `prev`. Returns its hash.
pub(super) fn write_decision(
    out: &mut Vec<u8>,
    entry: DecisionEntry,
    prev: &Digest,
    notice: &dyn Notice,
) -> Digest {
    let start = out.len();
    let texts = Texts { journal: &entry.journal, notice };
    open_line(out, entry.time, &entry.journal.tenant, [&entry.key, &entry.request_id]);
    member_text(out, "place", Some(entry.place));
    member(out, "tool");
    texts.name(out, entry.tool);
    let left_out = texts.arguments(out, entry.args);
    say_left_out(out, left_out);
    member_text(out, "decision", Some(entry.decision));
    member_text(out, "rule", entry.rule.as_deref());
    member_text(out, "reason", entry.reason.as_deref());
    member_text(out, "config", Some(&entry.config));
    member_text(out, "mode", Some(entry.mode));
    member(out, "by");
    match entry.by {
        Some(by) => texts.name(out, Raw::text(&*by)),
        None => out.extend_from_slice(b"null"),
    }
    seal(out, start, prev)
}

/// Raw text on its way into a line of one journal.
struct Texts<'a> {
    journal: &'a Journal,
    notice: &'a dyn Notice,
}

/// What of a text will be written.
pub(super) enum Prepared {
    Whole(Ready),
    /// The two ends of a text of so many bytes.
    Ends {
        head: Redacted,
        tail: Redacted,
        bytes: usize,
    },
    /// There is none, or the redactor failed.
    Nothing,
    /// There is one, and nobody could say what stands in it.
    LeftOut,
}

impl Prepared {
    /// What is to be looked over, part by part.
    pub(super) fn readable(&self) -> Vec<String> {
        match self {
            Self::Whole(Ready { text, is_json }) => vec![text.readable(*is_json == IsJson::Yes)],
            Self::Ends { head, tail, .. } => vec![head.readable(false), tail.readable(false)],
            Self::Nothing | Self::LeftOut => Vec::new(),
        }
    }

    /// Without what was found in a part; None if that cannot be.
    pub(super) fn marked(self, part: usize, marks: &[Mark], redactor: &Redactor) -> Option<Self> {
        Some(match self {
            Self::Whole(Ready { text, is_json }) => {
                Self::Whole(Ready { text: redactor.mark(text, is_json == IsJson::Yes, marks)?, is_json })
            }
            Self::Ends { head, tail, bytes } if part == 0 => {
                Self::Ends { head: redactor.mark(head, false, marks)?, tail, bytes }
            }
            Self::Ends { head, tail, bytes } => {
                Self::Ends { head, tail: redactor.mark(tail, false, marks)?, bytes }
            }
            Self::Nothing | Self::LeftOut => self,
        })
    }

    /// What it holds in memory, in bytes.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Whole(ready) => ready.text.as_str().len(),
            Self::Ends { head, tail, .. } => head.as_str().len() + tail.as_str().len(),
            Self::Nothing | Self::LeftOut => 0,
        }
    }
}

/// A prompt or completion, redacted ahead of its line.
pub(super) fn prepare_content(journal: &Journal, raw: Raw, notice: &dyn Notice) -> Prepared {
    Texts { journal, notice }.prepare(raw)
}

/// Arguments, redacted ahead of their line, with their HMAC.
pub(super) fn prepare_arguments(
    journal: &Journal,
    raw: Raw,
    notice: &dyn Notice,
) -> (Prepared, Option<String>) {
    Texts { journal, notice }.prepare_arguments(raw)
}

/// A line says so when a text is missing in it that there was.
fn say_left_out(out: &mut Vec<u8>, is_left_out: bool) {
    if is_left_out {
        member_text(out, "left_out", Some("analyzer"));
    }
}

/// Redacted text and how it may stand in a line.
pub(super) struct Ready {
    text: Redacted,
    is_json: IsJson,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum IsJson {
    Yes,
    No,
}

impl Texts<'_> {
    /// A short text that a client chose, as a string value.
    fn name(&self, out: &mut Vec<u8>, raw: Raw) {
        let ready = self.guarded(|| {
            let opened = raw.open();
            self.journal.redactor.name(&opened.text())
        });
        match ready {
            Some(name) => {
                self.count(&name);
                write_cut(out, name.as_str(), NAME_BYTES_MAX);
            }
            None => out.extend_from_slice(b"null"),
        }
    }

    /// A prompt or completion, as a member. Whether it was left out.
    fn content(&self, out: &mut Vec<u8>, name: &str, raw: Option<Raw>) -> bool {
        if self.journal.content == Content::None {
            return false;
        }
        member(out, name);
        let prepared = match raw {
            Some(raw) if raw.is_prepared() => {
                raw.into_prepared().map_or(Prepared::Nothing, |(prepared, _)| prepared)
            }
            Some(raw) => self.prepare(raw),
            None => Prepared::Nothing,
        };
        self.write(out, prepared)
    }

    fn prepare(&self, raw: Raw) -> Prepared {
        let prepared = self.guarded(|| match raw.open() {
            Opened::Said(said) => self.prepare_said(&said),
            Opened::Text(text) => self.prepare_said(&text.into()),
            opened @ Opened::Json(_) => Prepared::Whole(self.redact(opened)),
        });
        prepared.unwrap_or(Prepared::Nothing)
    }

    /// Documents first: what they are is lost where they are cut.
    fn prepare_said(&self, said: &Said) -> Prepared {
        let redactor = &self.journal.redactor;
        let mut count = |found: &Redacted| self.count(found);
        if said.is_covered_whole(WHOLE_BYTES_MAX) {
            let text = said.covered(redactor, &mut count);
            if text.len() > WHOLE_BYTES_MAX {
                return self.ends([&text, &text], said.len());
            }
            return Prepared::Whole(Ready { text: redactor.owned(text), is_json: IsJson::No });
        }
        let head = said.head(WINDOW_BYTES, redactor, &mut count);
        let tail = said.tail(WINDOW_BYTES, redactor, &mut count);
        self.ends([&head, &tail], said.len())
    }

    /// Whether it was left out.
    fn write(&self, out: &mut Vec<u8>, prepared: Prepared) -> bool {
        let is_left_out = matches!(prepared, Prepared::LeftOut);
        match prepared {
            Prepared::Whole(ready) => self.value(out, ready),
            Prepared::Ends { head, tail, bytes } => {
                self.count(&head);
                self.count(&tail);
                write_ends(out, [head.as_str(), tail.as_str()], bytes);
            }
            Prepared::Nothing | Prepared::LeftOut => out.extend_from_slice(b"null"),
        }
        is_left_out
    }

    /// Texts of which only the first begins, and the last ends, what is kept of so many bytes: only that is redacted, so
    /// that nobody can keep the writer busy with a text that is not written.
    fn ends(&self, [head, tail]: [&str; 2], bytes: usize) -> Prepared {
        let head = head.get(..head.floor_char_boundary(WINDOW_BYTES));
        let tail = tail.get(tail.ceil_char_boundary(tail.len().saturating_sub(WINDOW_BYTES))..);
        let [head, tail] = [head, tail].map(|part| self.journal.redactor.text(part.unwrap_or_default()));
        let (first, last) = (head.as_str(), tail.as_str());
        let head_end = head_end(first, first.len().saturating_sub(WINDOW_EDGE_BYTES).min(TEXT_BYTES_MAX / 2));
        let tail_start = tail_start(
            last,
            WINDOW_EDGE_BYTES.max(last.len().saturating_sub(TEXT_BYTES_MAX / 2)).min(last.len()),
        );
        let tail_end = last.len();
        Prepared::Ends { head: head.part(0..head_end), tail: tail.part(tail_start..tail_end), bytes }
    }

    /// `args` and `args_hmac`, which stands for the arguments as they came, whatever is written of them. Whether they
    /// were left out.
    fn arguments(&self, out: &mut Vec<u8>, raw: Option<Raw>) -> bool {
        let (prepared, hmac) = match raw {
            Some(raw) if raw.is_prepared() => raw.into_prepared().unwrap_or((Prepared::Nothing, None)),
            Some(raw) => self.prepare_arguments(raw),
            None => (Prepared::Nothing, None),
        };
        let mut is_left_out = false;
        if self.journal.content == Content::Redacted {
            member(out, "args");
            is_left_out = self.write(out, prepared);
        }
        member_text(out, "args_hmac", hmac.as_deref());
        is_left_out
    }

    fn prepare_arguments(&self, raw: Raw) -> (Prepared, Option<String>) {
        let opened = self.guarded(|| raw.open());
        let hmac = opened.as_ref().map(|opened| self.journal.secret.hmac_hex("args", opened.bytes()));
        if self.journal.content == Content::None {
            return (Prepared::Nothing, hmac);
        }
        let ready = opened.and_then(|opened| {
            let document = match opened {
                Opened::Text(text) => Opened::Json(text.into()),
                Opened::Said(_) | Opened::Json(_) => opened,
            };
            self.guarded(|| self.redact(document))
        });
        (ready.map_or(Prepared::Nothing, Prepared::Whole), hmac)
    }

    fn redact(&self, opened: Opened) -> Ready {
        let redactor = &self.journal.redactor;
        match opened {
            Opened::Text(text) => Ready { text: redactor.owned(text), is_json: IsJson::No },
            Opened::Said(said) => {
                let text = said.covered(redactor, &mut |found| self.count(found));
                Ready { text: redactor.owned(text), is_json: IsJson::No }
            }
            Opened::Json(_) => {
                let text = opened.text();
                match redactor.json(&text) {
                    Some(text) => Ready { text, is_json: IsJson::Yes },
                    None => Ready { text: redactor.text(&text), is_json: IsJson::No },
                }
            }
        }
    }

    fn value(&self, out: &mut Vec<u8>, ready: Ready) {
        let Ready { text, is_json } = ready;
        self.count(&text);
        // Checked once more: an embedded value that is no JSON would break the line, not only itself.
        let fits = text.as_str().len() <= TEXT_BYTES_MAX
            && is_json == IsJson::Yes
            && serde_json::from_str::<&serde_json::value::RawValue>(text.as_str()).is_ok();
        if fits {
            write_document(out, text.as_str());
        } else {
            write_cut(out, text.as_str(), TEXT_BYTES_MAX);
        }
    }

    /// Runs what touches raw text. A panic in there costs the text, never the record, and its payload is dropped
    /// unread, since it may quote the text.
    fn guarded<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let done = catch_unwind(AssertUnwindSafe(work)).ok();
        if done.is_none() {
            self.notice.redactor_failed();
        }
        done
    }

    fn count(&self, text: &Redacted) {
        for (entity, count) in text.counts() {
            self.notice.redacted(&self.journal.tenant, entity, count);
        }
    }
}

fn open_line(
    out: &mut Vec<u8>,
    time: std::time::SystemTime,
    tenant: &str,
    [key, request_id]: [&Arc<str>; 2],
) {
    out.extend_from_slice(b"{\"time\":\"");
    write_time(out, time);
    out.push(b'"');
    member_text(out, "tenant", Some(tenant));
    member_text(out, "key", Some(key));
    member_text(out, "request_id", Some(request_id));
}

fn member(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn member_text(out: &mut Vec<u8>, name: &str, text: Option<&str>) {
    member(out, name);
    match text {
        Some(text) => write_string(out, text),
        None => out.extend_from_slice(b"null"),
    }
}

fn member_number(out: &mut Vec<u8>, name: &str, value: Option<u64>) {
    member_decimal(out, name, value.map(|value| (value, 0)));
}

/// A number given in units of 10^-places, without trailing zeros.
fn member_decimal(out: &mut Vec<u8>, name: &str, value: Option<(u64, u32)>) {
    member(out, name);
    let Some((mut value, mut places)) = value else {
        out.extend_from_slice(b"null");
        return;
    };
    while places > 0 && value.is_multiple_of(10) {
        value /= 10;
        places -= 1;
    }
    // Backwards, digit by digit: a leading zero before the point, at least one digit at all.
    let start = out.len();
    let mut written = 0;
    while value > 0 || written <= places {
        if written == places && places > 0 {
            out.push(b'.');
        }
        out.push(b'0' + u8::try_from(value % 10).unwrap_or(0));
        value /= 10;
        written += 1;
    }
    if let Some(number) = out.get_mut(start..) {
        number.reverse();
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// Appends a string value of at most `bytes_max` of `text`: its first and last half of that, and between them a note
/// of how much is left out. It is cut between characters and never inside a placeholder.
fn write_cut(out: &mut Vec<u8>, text: &str, bytes_max: usize) {
    if text.len() <= bytes_max {
        write_string(out, text);
        return;
    }
    let head_end = head_end(text, bytes_max / 2);
    let tail_start = tail_start(text, text.len() - bytes_max / 2);
    let ends = [text.get(..head_end).unwrap_or_default(), text.get(tail_start..).unwrap_or_default()];
    write_ends(out, ends, text.len());
}

/// Appends a string value of a text's two ends, with a note of how much of `bytes` is not there.
fn write_ends(out: &mut Vec<u8>, [head, tail]: [&str; 2], bytes: usize) {
    out.push(b'"');
    write_escaped(out, head);
    out.extend_from_slice(
        format!(" [cut: {} bytes] ", bytes.saturating_sub(head.len() + tail.len())).as_bytes(),
    );
    write_escaped(out, tail);
    out.push(b'"');
}

/// The last place up to `at` that is between characters and outside of a placeholder.
fn head_end(text: &str, at: usize) -> usize {
    let end = text.floor_char_boundary(at);
    let from = end.saturating_sub(PLACEHOLDER_BYTES_MAX);
    let near = text.as_bytes().get(from..end).unwrap_or_default();
    match memchr::memrchr(b'[', near) {
        Some(open) if !near.get(open..).unwrap_or_default().contains(&b']') => from + open,
        Some(_) | None => end,
    }
}

/// The first place from `at` that is between characters and outside of a placeholder.
fn tail_start(text: &str, at: usize) -> usize {
    let start = text.ceil_char_boundary(at);
    let near = text.as_bytes().get(start..text.len().min(start + PLACEHOLDER_BYTES_MAX)).unwrap_or_default();
    match memchr::memchr2(b']', b'[', near) {
        Some(close) if near.get(close) == Some(&b']') => start + close + 1,
        Some(_) | None => start,
    }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
