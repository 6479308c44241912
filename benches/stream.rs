//! A streamed answer through the inspector, beside reading every event as a `serde_json::Value`.
//! Goal: over 1 GB/s where no call is open.
#![expect(clippy::unwrap_used, reason = "a bench ends where its own input is wrong")]

use divan::{Bencher, black_box, counter::BytesCount};
use std::fmt;
use tollgate::{
    call::Arguments,
    dialect::{Api, HoldLimits, Judge, Progress, Stream, Transcript, Verdict},
};

fn main() {
    divan::main();
}

const READ_BYTES: usize = 16 << 10;
const LIMITS: HoldLimits = HoldLimits { nesting: 64, tool_arguments: 256 << 10 };
const HEAD: &str = r#"data: {"id":"chatcmpl-Ab12Cd34Ef56Gh78Ij90Kl12Mn34O","object":"chat.completion.chunk","created":1800000000,"model":"gpt-5-mini","system_fingerprint":"fp_0a1b2c3d4e","choices":[{"index":0,"delta":"#;

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Text only.
    Text,
    /// Text, each event padded with a text of random length, as OpenAI does it.
    Padded,
    /// One call of 40 fragments, then text, and so on, a choice each.
    Calls,
}

#[derive(Debug, Clone, Copy)]
struct Case {
    kind: Kind,
    kib: usize,
}

const CASES: [Case; 5] = [
    Case { kind: Kind::Text, kib: 64 },
    Case { kind: Kind::Text, kib: 1024 },
    Case { kind: Kind::Padded, kib: 64 },
    Case { kind: Kind::Padded, kib: 1024 },
    Case { kind: Kind::Calls, kib: 64 },
];

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            Kind::Text => "text",
            Kind::Padded => "padded text",
            Kind::Calls => "tool calls",
        };
        write!(f, "{what}, {} KiB", self.kib)
    }
}

fn event(delta: &str, finish: &str, padding: &str) -> String {
    format!("{HEAD}{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]{padding}}}\n\n")
}

impl Case {
    fn bytes(self) -> Vec<u8> {
        let words = [" the", " harbour", " was", "\\n", " rebuilt", ",", " \\\"soon", " après", "."];
        let mut text = event(r#"{"role":"assistant","content":"","refusal":null}"#, "null", "");
        let mut number = 0;
        for word in words.into_iter().cycle() {
            if text.len() >= self.kib << 10 {
                break;
            }
            number += 1;
            let (content, padding) =
                (format!(r#"{{"content":"{word}"}}"#), "0123456789".split_at(number % 11).0);
            text.push_str(&match self.kind {
                Kind::Text => event(&content, "null", ""),
                Kind::Padded => event(&content, "null", &format!(r#","obfuscation":"{padding}""#)),
                Kind::Calls if number % 40 == 1 => event(
                    &format!(r#"{{"tool_calls":[{{"index":{},"id":"call_{number}","type":"function","function":{{"name":"send_email","arguments":"[\"a\""}}}}]}}"#, number / 40),
                    "null",
                    "",
                ),
                Kind::Calls => event(
                    &format!(r#"{{"tool_calls":[{{"index":{},"function":{{"arguments":",\"word\""}}}}]}}"#, number / 40),
                    "null",
                    "",
                ),
            });
        }
        let finish = match self.kind {
            Kind::Text | Kind::Padded => r#""stop""#,
            Kind::Calls => r#""tool_calls""#,
        };
        text.push_str(&event("{}", finish, ""));
        text.push_str("data: [DONE]\n\n");
        text.into_bytes()
    }
}

struct AllowAll;

impl Judge for AllowAll {
    fn judge(&mut self, tool: &str, args: &Arguments<'_>, text: &str) -> Verdict {
        black_box((tool, args, text));
        Verdict::Release
    }

    fn offered_as(&self, _: &str) -> Option<String> {
        None
    }

    fn withhold(&mut self, tool: &str, text: &str, _: &'static str) {
        black_box((tool, text));
    }
}

fn inspect(bencher: Bencher<'_, '_>, case: Case, kept: usize) {
    let bytes = case.bytes();
    bencher.counter(BytesCount::of_slice(&bytes)).bench(|| {
        let mut stream = Stream::new(Api::Chat, LIMITS, Transcript::keeping(kept));
        let mut out = Vec::with_capacity(READ_BYTES);
        for read in black_box(&bytes).chunks(READ_BYTES) {
            out.clear();
            assert!(!matches!(stream.read(read, &mut AllowAll, &mut out), Progress::Failed(_)));
            black_box(&out);
        }
        stream.told.completion.len()
    });
}

#[divan::bench(args = CASES)]
fn transcript_kept(bencher: Bencher<'_, '_>, case: Case) {
    inspect(bencher, case, 1 << 20);
}

#[divan::bench(args = CASES)]
fn transcript_not_kept(bencher: Bencher<'_, '_>, case: Case) {
    inspect(bencher, case, 0);
}

/// Every event read as a tree, looked into for calls, and handed on; no call is held.
#[divan::bench(args = CASES)]
fn serde_json_value(bencher: Bencher<'_, '_>, case: Case) {
    let bytes = case.bytes();
    bencher.counter(BytesCount::of_slice(&bytes)).bench(|| {
        let mut pending = Vec::new();
        let mut out = Vec::with_capacity(READ_BYTES);
        let mut calls = 0_usize;
        for read in black_box(&bytes).chunks(READ_BYTES) {
            out.clear();
            pending.extend_from_slice(read);
            let mut rest = pending.as_slice();
            while let Some(end) = memchr::memmem::find(rest, b"\n\n") {
                let (event, after) = rest.split_at(end + 2);
                let data = event.strip_prefix(b"data: ").unwrap();
                if !data.starts_with(b"[DONE]") {
                    let chunk: serde_json::Value = serde_json::from_slice(data).unwrap();
                    let call = chunk.pointer("/choices/0/delta/tool_calls");
                    calls += usize::from(call.is_some());
                }
                out.extend_from_slice(event);
                rest = after;
            }
            pending = rest.to_vec();
            black_box(&out);
        }
        calls
    });
}
