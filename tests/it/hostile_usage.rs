//! Usage that a provider tells and that cannot be true, in every dialect and form: the estimate stands, a metric counts it,
//! and the client reads its answer.

use crate::{
    fault::{Upstream, whole},
    support::{ACME, Gateway},
};
use serde_json::{Value, json};
use std::{
    io::Write,
    sync::{Arc, Mutex},
};

const TENANTS: &str = "\n  acme:\n    keys: [{ id: prod, sha256: @ACME@ }]\n    models: [\"*\"]\n    limits: { tokens: 100000/day }\n";
/// 40 bytes: ten tokens, where nobody counts.
const TEXT: &str = "Forty bytes of text, neither more or les";
const TAKEN_FOR: u64 = 10;

/// A client's dialect, and the model that it asks for: at an upstream of the same kind, or of the other.
#[derive(Debug, Clone, Copy)]
struct Way {
    path: &'static str,
    model: &'static str,
    /// What the upstream answers in.
    speaks: &'static str,
}

const WAYS: [Way; 6] = [
    Way { path: "/v1/chat/completions", model: "chat", speaks: "chat" },
    Way { path: "/v1/completions", model: "chat", speaks: "completions" },
    Way { path: "/v1/responses", model: "chat", speaks: "responses" },
    Way { path: "/v1/messages", model: "msg", speaks: "messages" },
    Way { path: "/v1/chat/completions", model: "msg", speaks: "messages" },
    Way { path: "/v1/messages", model: "chat", speaks: "chat" },
];

impl Way {
    fn ask(self, stream: bool) -> String {
        let mut body = match self.path {
            "/v1/completions" => json!({ "prompt": "hi", "max_tokens": 50 }),
            "/v1/responses" => json!({ "input": "hi", "store": false }),
            _ => json!({ "messages": [{ "role": "user", "content": "hi" }], "max_tokens": 50 }),
        };
        body["model"] = self.model.into();
        body["stream"] = stream.into();
        body.to_string()
    }

    /// The names of its figures: input, output, what was cached, what was reasoned.
    fn names(self) -> [&'static str; 4] {
        match self.speaks {
            "chat" | "completions" => [
                "prompt_tokens",
                "completion_tokens",
                "prompt_tokens_details.cached_tokens",
                "completion_tokens_details.reasoning_tokens",
            ],
            "responses" => [
                "input_tokens",
                "output_tokens",
                "input_tokens_details.cached_tokens",
                "output_tokens_details.reasoning_tokens",
            ],
            _ => ["input_tokens", "output_tokens", "", ""],
        }
    }

    /// Figures under their names. `IN`, `OUT`, `CACHED` and `REASONED` stand for these.
    fn usage(self, figures: &[(usize, &str)]) -> String {
        let mut members = Vec::new();
        for (at, figure) in figures {
            let name = self.names()[*at];
            members.push(match name.split_once('.') {
                Some((outer, inner)) => format!(r#""{outer}":{{"{inner}":{figure}}}"#),
                None => format!(r#""{name}":{figure}"#),
            });
        }
        format!("{{{}}}", members.join(","))
    }

    /// A whole answer with this usage, or none.
    fn whole(self, usage: Option<&str>) -> String {
        let usage = usage.map_or_else(String::new, |usage| format!(r#","usage":{usage}"#));
        let body = match self.speaks {
            "chat" => format!(
                r#"{{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{TEXT}"}},"finish_reason":"stop"}}]{usage}}}"#
            ),
            "completions" => format!(
                r#"{{"id":"c","object":"text_completion","created":1,"model":"m","choices":[{{"index":0,"text":"{TEXT}","finish_reason":"stop"}}]{usage}}}"#
            ),
            "responses" => {
                format!(
                    r#"{{"id":"resp_1","object":"response","status":"completed","output":[{}]{usage}}}"#,
                    item()
                )
            }
            _ => format!(
                r#"{{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{{"type":"text","text":"{TEXT}"}}],"stop_reason":"end_turn","stop_sequence":null{usage}}}"#
            ),
        };
        whole(200, &body)
    }

    /// A stream that tells one usage at its end, and another before.
    fn stream(self, usages: &[Option<&str>]) -> String {
        let usage = |at: usize| usages.get(at).copied().flatten();
        let member = |at: usize| usage(at).map_or_else(String::new, |usage| format!(r#","usage":{usage}"#));
        let mut events = Vec::new();
        let chunk = |rest: &str| {
            format!(r#"{{"id":"c","object":"chat.completion.chunk","created":1,"model":"m"{rest}}}"#)
        };
        match self.speaks {
            "chat" | "completions" => {
                let say = if self.speaks == "chat" {
                    format!(r#""delta":{{"content":"{TEXT}"}}"#)
                } else {
                    format!(r#""text":"{TEXT}""#)
                };
                let end = if self.speaks == "chat" { r#""delta":{}"# } else { r#""text":"""# };
                let early = if usages.len() > 1 { member(0) } else { String::new() };
                events
                    .push(chunk(&format!(r#","choices":[{{"index":0,{say},"finish_reason":null}}]{early}"#)));
                events.push(chunk(&format!(r#","choices":[{{"index":0,{end},"finish_reason":"stop"}}]"#)));
                events.push(chunk(&format!(r#","choices":[]{}"#, member(usages.len() - 1))));
                events.push("[DONE]".to_owned());
            }
            "responses" => {
                events.push(format!(r#"{{"type":"response.created","response":{{"id":"resp_1","object":"response","status":"in_progress","output":[]{}}}}}"#, if usages.len() > 1 { member(0) } else { String::new() }));
                events.push(format!(
                    r#"{{"type":"response.output_item.added","output_index":0,"item":{}}}"#,
                    item().replace(TEXT, "")
                ));
                events.push(format!(r#"{{"type":"response.output_text.delta","output_index":0,"content_index":0,"item_id":"i","delta":"{TEXT}"}}"#));
                events.push(format!(
                    r#"{{"type":"response.output_item.done","output_index":0,"item":{}}}"#,
                    item()
                ));
                events.push(format!(r#"{{"type":"response.completed","response":{{"id":"resp_1","object":"response","status":"completed","output":[{}]{}}}}}"#, item(), member(usages.len() - 1)));
            }
            _ => {
                let (first, last) =
                    if usages.len() > 1 { (member(0), member(1)) } else { (String::new(), member(0)) };
                events.push(format!(r#"{{"type":"message_start","message":{{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null{first}}}}}"#));
                events.push(
                    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#
                        .to_owned(),
                );
                events.push(format!(r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{TEXT}"}}}}"#));
                events.push(r#"{"type":"content_block_stop","index":0}"#.to_owned());
                events.push(format!(r#"{{"type":"message_delta","delta":{{"stop_reason":"end_turn","stop_sequence":null}}{last}}}"#));
                events.push(r#"{"type":"message_stop"}"#.to_owned());
            }
        }
        let named = |event: &String| {
            let parsed: Option<Value> = serde_json::from_str(event).ok();
            let name = parsed.and_then(|event| event["type"].as_str().map(|name| format!("event: {name}\n")));
            format!("{}data: {event}\n\n", name.unwrap_or_default())
        };
        let events: String = events.iter().map(named).collect();
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{events}",
            events.len()
        )
    }
}

fn item() -> String {
    format!(
        r#"{{"id":"i","type":"message","role":"assistant","status":"completed","content":[{{"type":"output_text","text":"{TEXT}","annotations":[]}}]}}"#
    )
}

/// A gateway whose upstreams answer whatever is set.
struct Hostile {
    gateway: Gateway,
    answer: Arc<Mutex<String>>,
    _upstream: Upstream,
    /// What each is to be settled on, and what it is.
    expected: Vec<(Option<(u64, u64)>, String)>,
}

impl Hostile {
    fn start() -> Self {
        let answer = Arc::new(Mutex::new(String::new()));
        let given = Arc::clone(&answer);
        let upstream = Upstream::acting(move |_, socket| {
            let answer = given.lock().unwrap().clone();
            socket.write_all(answer.as_bytes()).is_ok()
        });
        let yaml = upstream.yaml("plain", ", retry: { attempts: 0 }")
            + &upstream.yaml("other", ", retry: { attempts: 0 }").replace("openai", "anthropic");
        let models = "  chat: { upstream: plain }\n  msg: { upstream: other }\n";
        let gateway = Gateway::with_all(TENANTS, &|_| yaml.clone(), models, &[]);
        Self { gateway, answer, _upstream: upstream, expected: Vec::new() }
    }

    /// Has an answer told, which is to be settled so: on these figures, or on an estimate.
    #[track_caller]
    fn told(&mut self, way: Way, answer: String, settled: Option<(u64, u64)>, what: &str) {
        let stream = answer.contains("event-stream");
        *self.answer.lock().unwrap() = answer;
        let told = if way.path == "/v1/messages" {
            self.gateway.messages(way.path, ACME, &way.ask(stream))
        } else {
            self.gateway.post(way.path, ACME, &way.ask(stream))
        };
        assert!(told.status == 200 && told.body.contains(TEXT), "{way:?} {what} {told:?}");
        self.expected.push((settled, format!("{way:?} stream: {stream} {what}")));
    }

    /// What was settled, request by request. How many were estimates.
    fn check(&self) -> usize {
        let lines = self.gateway.lines("log", "acme", self.expected.len());
        for (line, (settled, what)) in lines.iter().zip(&self.expected) {
            let figure = |name: &str| {
                assert!(line[name].is_u64(), "no {name}: {what} {line}");
                line[name].as_u64().unwrap()
            };
            let (input, output) = (figure("input_tokens"), figure("output_tokens"));
            assert_eq!(line["usage_estimated"] == true, settled.is_none(), "{what} {line}");
            match settled {
                Some(settled) => assert_eq!((input, output), *settled, "{what}"),
                None => assert!((1..60).contains(&input) && output == TAKEN_FOR, "{what}: {input} {output}"),
            }
        }
        self.expected.iter().filter(|(settled, _)| settled.is_none()).count()
    }
}

const IN: usize = 0;
const OUT: usize = 1;
const CACHED: usize = 2;
const REASONED: usize = 3;

/// Figures that cannot be true.
fn untrue(way: Way) -> Vec<Option<String>> {
    let mut all: Vec<_> =
        ["null", "{}", r#""10""#, "[10,5]", "true", "15"].map(|usage| Some(usage.to_owned())).into();
    all.push(None);
    for figure in [
        "-1",
        "-0.5",
        "10.5",
        r#""10""#,
        "null",
        "[]",
        "{}",
        "true",
        "1e30",
        "100000000",
        "18446744073709551616",
    ] {
        all.push(Some(way.usage(&[(IN, figure), (OUT, "5")])));
        all.push(Some(way.usage(&[(IN, "10"), (OUT, figure)])));
    }
    for figures in [
        &[(IN, "10")][..],
        &[(OUT, "5")],
        &[(IN, "0"), (OUT, "5")],
        &[(IN, "10"), (OUT, "0")],
        &[(IN, "9000000"), (OUT, "5")],
    ] {
        all.push(Some(way.usage(figures)));
    }
    if !way.names()[CACHED].is_empty() {
        all.push(Some(way.usage(&[(IN, "10"), (OUT, "5"), (CACHED, "11")])));
        all.push(Some(way.usage(&[(IN, "10"), (OUT, "5"), (REASONED, "6")])));
    }
    all
}

#[test]
fn usage_that_cannot_be_true_is_estimated_in_every_dialect_and_form() {
    let mut hostile = Hostile::start();
    for way in WAYS {
        let good = way.usage(&[(IN, "10"), (OUT, "5")]);
        hostile.told(way, way.whole(Some(&good)), Some((10, 5)), "");
        hostile.told(way, way.stream(&[Some(&good)]), Some((10, 5)), "");
        for usage in untrue(way) {
            let usage = usage.as_deref();
            // A client of Messages reads reasoning as output.
            if way.path == "/v1/messages" && usage.is_some_and(|usage| usage.contains("reasoning")) {
                continue;
            }
            for answer in [way.whole(usage), way.stream(&[usage])] {
                hostile.told(way, answer, None, &format!("{usage:?}"));
            }
        }
    }
    let estimates = hostile.check();
    let metrics = hostile.gateway.admin_get("/metrics").body;
    let mut told = 0;
    for line in
        metrics.lines().filter(|line| line.starts_with("tollgate_usage_estimates_total{tenant=\"acme\""))
    {
        told += line.rsplit(' ').next().unwrap().parse::<usize>().unwrap();
    }
    assert_eq!(told, estimates);
    // What was settled is what the ledger has.
    let usage = hostile.gateway.get("/v1/usage", ACME).json();
    let rows = usage["data"].as_array().unwrap().iter();
    let tokens: u64 =
        rows.map(|row| row["input_tokens"].as_u64().unwrap() + row["output_tokens"].as_u64().unwrap()).sum();
    let left = hostile.gateway.get("/v1/models", ACME);
    let left: u64 = left.header("x-ratelimit-remaining-tokens").unwrap().parse().unwrap();
    assert!((100_000 - tokens..100_002 - tokens).contains(&left), "{left} {tokens}");
}

/// A provider that answers in another form than was asked for has done its work: the client cannot read it, and what it took
/// is settled all the same.
#[test]
fn an_answer_in_another_form_costs_what_its_provider_says() {
    let hostile = Hostile::start();
    for (way, stream) in WAYS.into_iter().flat_map(|way| [(way, true), (way, false)]) {
        let good = way.usage(&[(IN, "10"), (OUT, "5")]);
        let (answer, said) = if stream {
            (way.whole(Some(&good)), "answers whole")
        } else {
            (way.stream(&[Some(&good)]), "asked for whole")
        };
        *hostile.answer.lock().unwrap() = answer;
        let told = if way.path == "/v1/messages" {
            hostile.gateway.messages(way.path, ACME, &way.ask(stream))
        } else {
            hostile.gateway.post(way.path, ACME, &way.ask(stream))
        };
        assert!(told.status == 502 && told.body.contains(said), "{way:?} {told:?}");
        assert!(!told.body.contains(TEXT), "{way:?} {told:?}");
    }
    for line in hostile.gateway.lines("log", "acme", 2 * WAYS.len()) {
        assert_eq!((&line["input_tokens"], &line["output_tokens"]), (&10.into(), &5.into()), "{line}");
        assert_eq!((&line["status"], &line["error"]), (&502.into(), &"upstream_error".into()), "{line}");
    }
}

/// A stream that nobody asked for and that breaks off, says nothing of its usage or cannot be read costs what a cut stream
/// does: what was sent, and what came.
#[test]
fn a_stream_that_nobody_asked_for_costs_what_was_seen_of_it() {
    let hostile = Hostile::start();
    let way = WAYS[0];
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
    let whole = |events: &str| format!("{head}content-length: {}\r\n\r\n{events}", events.len());
    let cut = |events: &str| {
        format!("{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n{events}\r\nno length\r\n", events.len())
    };
    let silent = way.stream(&[None]);
    let (_, events) = silent.split_once("\r\n\r\n").unwrap();
    let first = events.split_inclusive("\n\n").next().unwrap();
    let ask = way.ask(false);
    let input = ask.len().div_ceil(4) as u64;
    let answers = [
        (silent.clone(), TAKEN_FOR),
        (cut(first), TAKEN_FOR),
        (whole(first), TAKEN_FOR),
        (whole("data: {\n\n"), 0),
        (whole(""), 0),
    ];
    for (answer, _) in &answers {
        hostile.answer.lock().unwrap().clone_from(answer);
        let told = hostile.gateway.post(way.path, ACME, &ask);
        assert!(told.status == 502 && !told.body.contains(TEXT), "{told:?}");
    }
    let lines = hostile.gateway.lines("log", "acme", answers.len());
    for (line, (answer, output)) in lines.iter().zip(&answers) {
        let told = (line["input_tokens"].as_u64(), line["output_tokens"].as_u64(), &line["usage_estimated"]);
        assert_eq!(told, (Some(input), Some(*output), &true.into()), "{answer} {line}");
    }
}

/// What the gateway adds to a request for its own sake is no text of the client's.
#[test]
fn that_usage_is_asked_for_counts_for_nothing() {
    let hostile = Hostile::start();
    let way = WAYS[0];
    *hostile.answer.lock().unwrap() = way.stream(&[None]);
    let mut body: Value = serde_json::from_str(&way.ask(true)).unwrap();
    let mut expected = Vec::new();
    for options in [
        None,
        Some(json!(null)),
        Some(json!({})),
        Some(json!({ "include_usage": false })),
        Some(json!({ "x": 1 })),
    ] {
        if let Some(options) = options {
            body["stream_options"] = options;
        }
        let ask = body.to_string();
        expected.push(ask.len().div_ceil(4) as u64);
        let told = hostile.gateway.post(way.path, ACME, &ask);
        assert_eq!(told.status, 200, "{told:?}");
    }
    let lines = hostile.gateway.lines("log", "acme", expected.len());
    let told: Vec<u64> = lines.iter().map(|line| line["input_tokens"].as_u64().unwrap()).collect();
    assert_eq!(told, expected);
}

/// A response that says that it failed is the client's to read as it is, and on record for what it is.
#[test]
fn a_response_that_failed_is_on_record_as_that() {
    let hostile = Hostile::start();
    let way = WAYS.into_iter().find(|way| way.path == "/v1/responses" && way.speaks == "responses").unwrap();
    let good = way.usage(&[(IN, "10"), (OUT, "5")]);
    let failed = |text: String| {
        let error = r#""status":"failed","error":{"code":"server_error","message":"of the provider"}"#;
        let text = text.replace("response.completed", "response.failed");
        let at = text.rfind(r#""status":"completed","output""#).unwrap();
        let (before, behind) = text.split_at(at);
        let text = before.to_owned() + &behind.replacen(r#""status":"completed""#, error, 1);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let head: Vec<&str> = head.lines().filter(|line| !line.starts_with("content-length")).collect();
        format!("{}\r\ncontent-length: {}\r\n\r\n{body}", head.join("\r\n"), body.len())
    };
    for (stream, answer) in [(false, way.whole(Some(&good))), (true, way.stream(&[Some(&good)]))] {
        *hostile.answer.lock().unwrap() = failed(answer);
        let told = hostile.gateway.post(way.path, ACME, &way.ask(stream));
        assert!(told.status == 200 && told.body.contains("server_error"), "{told:?}");
        assert!(!told.body.contains("of the provider"), "{told:?}");
    }
    for line in hostile.gateway.lines("log", "acme", 2) {
        assert_eq!((&line["status"], &line["error"]), (&200.into(), &"upstream_error".into()), "{line}");
        assert_eq!((&line["input_tokens"], &line["output_tokens"]), (&10.into(), &5.into()), "{line}");
    }
}

/// Of several the last one counts; one that cannot be true makes those before it void.
#[test]
fn of_two_usages_in_a_stream_the_last_counts() {
    let mut hostile = Hostile::start();
    for way in WAYS {
        let (first, last) = (way.usage(&[(IN, "10"), (OUT, "1")]), way.usage(&[(IN, "12"), (OUT, "7")]));
        hostile.told(way, way.stream(&[Some(&first), Some(&last)]), Some((12, 7)), "");
        for figure in ["-1", "10.5", r#""5""#, "1e30"] {
            let broken = way.usage(&[(IN, "12"), (OUT, figure)]);
            hostile.told(way, way.stream(&[Some(&first), Some(&broken)]), None, figure);
        }
    }
    // Anthropic tells the input at the start and the output at the end; figures that are left out stay.
    let [.., messages, chat_of_messages, _] = WAYS;
    for way in [messages, chat_of_messages] {
        let mut split = |start: &str, end: &str, settled| {
            hostile.told(way, way.stream(&[Some(start), Some(end)]), settled, &format!("{start} {end}"));
        };
        let start = r#"{"input_tokens":10,"output_tokens":1,"cache_read_input_tokens":4}"#;
        split(start, r#"{"output_tokens":5}"#, Some((14, 5)));
        split(start, r#"{"output_tokens":5,"input_tokens":null}"#, Some((14, 5)));
        let end = r#"{"output_tokens":5}"#;
        split(r#"{"input_tokens":-10,"output_tokens":1}"#, end, None);
        split(r#"{"input_tokens":10,"output_tokens":1,"cache_read_input_tokens":1e12}"#, end, None);
        split(r#"{"input_tokens":10,"cache_creation_input_tokens":-1}"#, end, None);
        split(r#"{"output_tokens":1}"#, end, None);
    }
    hostile.check();
}
