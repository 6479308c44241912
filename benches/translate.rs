//! A streamed text of 64 chunks through the translator, each way. Goal: a few microseconds a chunk.
#![expect(clippy::unwrap_used, reason = "a bench ends where its own input is wrong")]

use divan::{Bencher, black_box, counter::ItemsCount};
use tollgate::{
    dialect::HoldLimits,
    translate::{About, Answer, Client, Upstream},
};

fn main() {
    divan::main();
}

const CHUNKS: usize = 64;
const ABOUT: About = About {
    created: 1_800_000_000,
    limits: HoldLimits { nesting: 64, tool_arguments: 256 << 10 },
    thinking: true,
};
const WORDS: [&str; 8] = [" the", " harbour", " was", "\\n", " rebuilt", " \\\"soon", " après", "."];

fn chat() -> String {
    let chunk = |delta: &str, finish: &str| {
        format!(
            r#"data: {{"id":"chatcmpl-Ab12Cd34Ef56Gh78Ij90Kl12Mn34O","object":"chat.completion.chunk","created":1800000000,"model":"gpt-5-mini","system_fingerprint":"fp_0a1b2c3d4e","choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}]}}"#
        ) + "\n\n"
    };
    let mut stream = chunk(r#"{"role":"assistant","content":"","refusal":null}"#, "null");
    for word in WORDS.iter().cycle().take(CHUNKS) {
        stream.push_str(&chunk(&format!(r#"{{"content":"{word}"}}"#), "null"));
    }
    stream + &chunk("{}", r#""stop""#) + "data: [DONE]\n\n"
}

fn messages() -> String {
    let event = |kind: &str, rest: &str| format!("event: {kind}\ndata: {{\"type\":\"{kind}\"{rest}}}\n\n");
    let message = r#","message":{"id":"msg_01Ab","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":1}}"#;
    let mut stream = event("message_start", message);
    stream.push_str(&event("content_block_start", r#","index":0,"content_block":{"type":"text","text":""}"#));
    for word in WORDS.iter().cycle().take(CHUNKS) {
        let delta = format!(r#","index":0,"delta":{{"type":"text_delta","text":"{word}"}}"#);
        stream.push_str(&event("content_block_delta", &delta));
    }
    stream.push_str(&event("content_block_stop", r#","index":0"#));
    let end = r#","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":64}"#;
    stream + &event("message_delta", end) + &event("message_stop", "")
}

fn translate(bencher: Bencher<'_, '_>, upstream: Upstream, client: Client, stream: &str) {
    let events: Vec<&str> = stream.split_inclusive("\n\n").collect();
    bencher.counter(ItemsCount::new(CHUNKS)).bench(|| {
        let mut answer = Answer::new(upstream, client, ABOUT);
        let mut out = Vec::with_capacity(1 << 10);
        for event in black_box(&events) {
            out.clear();
            answer.read(event.as_bytes(), &mut out).unwrap();
            black_box(&out);
        }
        answer.end(&mut out).unwrap();
    });
}

#[divan::bench]
fn chat_to_messages(bencher: Bencher<'_, '_>) {
    translate(bencher, Upstream::Chat, Client::Messages, &chat());
}

#[divan::bench]
fn messages_to_chat(bencher: Bencher<'_, '_>) {
    translate(bencher, Upstream::Messages, Client::Chat, &messages());
}
