//! A streamed answer of each dialect, 64 chunks of text and two calls, through its inspector: under a tenant's 100 rules
//! that deny one of the calls, and under one rule that allows everything. Goals: the first at most 1.3 times the second;
//! a few microseconds a chunk. The counter is chunks.
#![expect(clippy::unwrap_used, reason = "a bench ends where its own input is wrong")]

use divan::{Bencher, black_box, counter::ItemsCount};
use std::fmt::{self, Write};
use tollgate::{
    call::{Arguments, Place},
    dialect::{Api, HoldLimits, Judge, Progress, Stream, Transcript, Verdict, notice},
    policy::{
        Caller, Effect, Outcome, Policy, Question, Rule, Source,
        glob::{Glob, Globs},
    },
};

fn main() {
    divan::main();
}

const CHUNKS: usize = 64;
const LIMITS: HoldLimits = HoldLimits { nesting: 64, tool_arguments: 256 << 10 };
const WORDS: [&str; 8] = [" the", " harbour", " was", "\\n", " rebuilt", " \\\"soon", " après", "."];
const CALLS: [&str; 2] = ["crm__get_invoice_7", "crm__delete_invoice_7"];

#[derive(Debug, Clone, Copy)]
enum Rules {
    All,
    Hundred,
}

#[derive(Debug, Clone, Copy)]
struct Case {
    api: Api,
    rules: Rules,
}

const CASES: [Case; 6] = [
    Case { api: Api::Chat, rules: Rules::All },
    Case { api: Api::Chat, rules: Rules::Hundred },
    Case { api: Api::Messages, rules: Rules::All },
    Case { api: Api::Messages, rules: Rules::Hundred },
    Case { api: Api::Responses, rules: Rules::All },
    Case { api: Api::Responses, rules: Rules::Hundred },
];

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = match self.rules {
            Rules::All => "allow *",
            Rules::Hundred => "100 rules, one call denied",
        };
        write!(f, "{}, {rules}", self.api.as_str())
    }
}

fn rule(effect: Effect, glob: &str) -> Rule {
    Rule::plain(effect, Globs::from_iter([Glob::new(glob)]), Source::new("tenants/acme.yaml", 1))
}

struct Bench {
    policy: Policy,
    caller: Caller,
}

impl Bench {
    fn new(rules: Rules) -> Self {
        let policy = match rules {
            Rules::All => Policy::new(vec![rule(Effect::Allow, "*")]),
            Rules::Hundred => {
                let mut rules: Vec<Rule> =
                    (0..98).map(|at| rule(Effect::Allow, &format!("crm__get_invoice_{at}"))).collect();
                rules.push(rule(Effect::Deny, "*__delete_*"));
                rules.push(rule(Effect::Allow, "read_*"));
                Policy::new(rules)
            }
        };
        Self { policy, caller: Caller::new("acme", "prod", &[]) }
    }
}

impl Judge for Bench {
    fn judge(&mut self, tool: &str, args: &Arguments<'_>, _: &str) -> Verdict {
        let decision = self.policy.decide(&Question {
            caller: &self.caller,
            key_tools: None,
            tool,
            args,
            place: Place::Emitted,
            now: 1_800_000_000,
        });
        match decision.outcome {
            Outcome::Allow => Verdict::Release,
            Outcome::Ask | Outcome::Deny => Verdict::Remove { notice: notice(tool, &decision.reason) },
        }
    }

    fn offered_as(&self, _: &str) -> Option<String> {
        None
    }

    fn withhold(&mut self, tool: &str, _: &str, _: &'static str) {
        black_box(tool);
    }
}

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
    for (at, call) in CALLS.iter().enumerate() {
        stream.push_str(&chunk(
            &format!(r#"{{"tool_calls":[{{"index":{at},"id":"call_{at}","type":"function","function":{{"name":"{call}","arguments":"{{\"id\":"}}}}]}}"#),
            "null",
        ));
        stream.push_str(&chunk(
            &format!(r#"{{"tool_calls":[{{"index":{at},"function":{{"arguments":"7}}"}}}}]}}"#),
            "null",
        ));
    }
    stream + &chunk("{}", r#""tool_calls""#) + "data: [DONE]\n\n"
}

fn messages() -> String {
    let event = |kind: &str, rest: &str| format!("event: {kind}\ndata: {{\"type\":\"{kind}\"{rest}}}\n\n");
    let mut stream = event(
        "message_start",
        r#","message":{"id":"msg_01Ab","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":1}}"#,
    );
    stream.push_str(&event("content_block_start", r#","index":0,"content_block":{"type":"text","text":""}"#));
    for word in WORDS.iter().cycle().take(CHUNKS) {
        let delta = format!(r#","index":0,"delta":{{"type":"text_delta","text":"{word}"}}"#);
        stream.push_str(&event("content_block_delta", &delta));
    }
    stream.push_str(&event("content_block_stop", r#","index":0"#));
    for (at, call) in CALLS.iter().enumerate() {
        let index = at + 1;
        let start = format!(
            r#","index":{index},"content_block":{{"type":"tool_use","id":"toolu_{at}","name":"{call}","input":{{}}}}"#
        );
        stream.push_str(&event("content_block_start", &start));
        for piece in [r#"{\"id\":"#, "7}"] {
            let delta =
                format!(r#","index":{index},"delta":{{"type":"input_json_delta","partial_json":"{piece}"}}"#);
            stream.push_str(&event("content_block_delta", &delta));
        }
        stream.push_str(&event("content_block_stop", &format!(r#","index":{index}"#)));
    }
    let usage = r#","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":70}"#;
    stream + &event("message_delta", usage) + &event("message_stop", "")
}

fn responses() -> String {
    let mut stream = String::new();
    let mut number = 0;
    let mut event = |kind: &str, rest: &str| {
        write!(stream, "event: {kind}\ndata: {{\"type\":\"{kind}\",\"sequence_number\":{number}{rest}}}\n\n")
            .unwrap();
        number += 1;
    };
    let response = |status: &str, output: &str| {
        format!(
            r#","response":{{"id":"resp_1","object":"response","status":"{status}","error":null,"model":"gpt-5","output":[{output}]}}"#
        )
    };
    let message = |content: &str| {
        format!(
            r#"{{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{content}]}}"#
        )
    };
    let part =
        |text: &str| format!(r#"{{"type":"output_text","annotations":[],"logprobs":[],"text":"{text}"}}"#);
    event("response.created", &response("in_progress", ""));
    event("response.output_item.added", &format!(r#","output_index":0,"item":{}"#, message("")));
    event(
        "response.content_part.added",
        &format!(r#","item_id":"msg_1","output_index":0,"content_index":0,"part":{}"#, part("")),
    );
    for word in WORDS.iter().cycle().take(CHUNKS) {
        let delta = format!(
            r#","item_id":"msg_1","output_index":0,"content_index":0,"delta":"{word}","logprobs":[],"obfuscation":"abcdef""#
        );
        event("response.output_text.delta", &delta);
    }
    let whole = message(&part("the text"));
    event("response.output_item.done", &format!(r#","output_index":0,"item":{whole}"#));
    let mut output = whole;
    for (at, call) in CALLS.iter().enumerate() {
        let index = at + 1;
        let item = |arguments: &str| {
            format!(
                r#"{{"id":"fc_{at}","type":"function_call","status":"completed","call_id":"call_{at}","name":"{call}","arguments":"{arguments}"}}"#
            )
        };
        event("response.output_item.added", &format!(r#","output_index":{index},"item":{}"#, item("")));
        for piece in [r#"{\"id\":"#, "7}"] {
            let delta = format!(r#","item_id":"fc_{at}","output_index":{index},"delta":"{piece}""#);
            event("response.function_call_arguments.delta", &delta);
        }
        let item = item(r#"{\"id\":7}"#);
        event("response.output_item.done", &format!(r#","output_index":{index},"item":{item}"#));
        write!(output, ",{item}").unwrap();
    }
    event("response.completed", &response("completed", &output));
    stream
}

#[divan::bench(args = CASES)]
fn inspected(bencher: Bencher<'_, '_>, case: Case) {
    let stream = match case.api {
        Api::Messages => messages(),
        Api::Responses => responses(),
        _ => chat(),
    };
    let chunks = stream.matches("\n\n").count();
    let mut judge = Bench::new(case.rules);
    bencher.counter(ItemsCount::new(chunks)).bench_local(|| {
        let mut reader = Stream::new(case.api, LIMITS, Transcript::keeping(1 << 20));
        let mut out = Vec::with_capacity(4096);
        // An event a read, as they come while a model speaks.
        for event in black_box(&stream).split_inclusive("\n\n") {
            out.clear();
            assert!(!matches!(reader.read(event.as_bytes(), &mut judge, &mut out), Progress::Failed(_)));
            black_box(&out);
        }
        reader.told.completion.len()
    });
}
