//! Strict JSON beside `serde_json::Value`, which takes duplicate keys and rounds numbers.
#![expect(clippy::unwrap_used, reason = "a bench ends where its own input is wrong")]

use divan::{Bencher, black_box, counter::BytesCount};
use std::fmt;
use tollgate::json;

fn main() {
    divan::main();
}

const NESTING_MAX: usize = 64;
const SENTENCE: &str =
    r#"She said: \"The harbour should be rebuilt.\"\nMost agreed, some asked for a ferry — until spring. "#;

#[derive(Debug, Clone, Copy)]
enum Body {
    SmallChat,
    LargeChat,
    Embedding,
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SmallChat => "chat, 1 KB",
            Self::LargeChat => "chat, 100 KB",
            Self::Embedding => "embedding, 20 KB",
        })
    }
}

const BODIES: [Body; 3] = [Body::SmallChat, Body::LargeChat, Body::Embedding];

impl Body {
    fn text(self) -> String {
        match self {
            Self::SmallChat => chat(2, 2),
            Self::LargeChat => chat(100, 9),
            Self::Embedding => embedding(1536),
        }
    }
}

/// A request with so many messages of so many sentences, and one tool.
fn chat(messages: usize, sentences: usize) -> String {
    let messages: Vec<String> = (0..messages)
        .map(|at| {
            let role = if at % 2 == 0 { "user" } else { "assistant" };
            format!(r#"{{"role":"{role}","content":"{}"}}"#, SENTENCE.repeat(sentences))
        })
        .collect();
    let tool = r#"{"type":"function","function":{"name":"get_weather","description":"The weather at a place",
        "parameters":{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer","minimum":1}},
        "required":["city"],"additionalProperties":false}}}"#;
    format!(
        r#"{{"model":"gpt-5-mini","messages":[{}],"tools":[{tool}],"temperature":0.7,"stream":true,"max_tokens":1024}}"#,
        messages.join(",")
    )
}

fn embedding(dimensions: u32) -> String {
    let numbers: Vec<String> =
        (0..dimensions).map(|n| format!("{:.9}", (f64::from(n) * 0.37).sin() / 20.0)).collect();
    format!(
        r#"{{"object":"list","data":[{{"object":"embedding","index":0,"embedding":[{}]}}],"model":"text-embedding-3-small","usage":{{"prompt_tokens":8,"total_tokens":8}}}}"#,
        numbers.join(",")
    )
}

#[divan::bench(args = BODIES)]
fn strict(bencher: Bencher<'_, '_>, body: Body) {
    let text = body.text();
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| json::parse(black_box(text.as_bytes()), NESTING_MAX).unwrap());
}

#[divan::bench(args = BODIES)]
fn serde_json_value(bencher: Bencher<'_, '_>, body: Body) {
    let text = body.text();
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| serde_json::from_slice::<serde_json::Value>(black_box(text.as_bytes())).unwrap());
}
