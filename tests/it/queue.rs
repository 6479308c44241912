//! Upstreams with `max_in_flight` on the real binary: who waits, who goes, who is sent away, and that no place is lost.

use crate::{
    mcp::modern,
    support::{ACME, Answer, GLOBEX, Gateway, chat},
};
use serde_json::json;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// An upstream that counts what is there at a time. A message `NAME 200` is answered after 200 ms.
#[derive(Default)]
struct Upstream {
    port: u16,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    now: usize,
    most: usize,
    /// The names, as they came.
    order: Vec<String>,
}

impl Upstream {
    fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let upstream = Arc::new(Self { port: listener.local_addr().unwrap().port(), ..Self::default() });
        let accepting = Arc::clone(&upstream);
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let upstream = Arc::clone(&accepting);
                thread::spawn(move || while upstream.answer(&socket).is_some() {});
            }
        });
        upstream
    }

    fn answer(&self, mut socket: &TcpStream) -> Option<()> {
        let mut reader = BufReader::with_capacity(1 << 16, socket);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let body: serde_json::Value = serde_json::from_slice(&body).ok()?;
        let message = body["messages"][0]["content"].as_str()?;
        let (name, millis) = message.split_once(' ')?;
        {
            let mut state = self.state.lock().unwrap();
            state.now += 1;
            state.most = state.most.max(state.now);
            state.order.push(name.to_owned());
        }
        thread::sleep(Duration::from_millis(millis.parse().ok()?));
        self.state.lock().unwrap().now -= 1;
        let text = json!({"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"hi"}}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}).to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            text.len()
        );
        socket.write_all(format!("{head}{text}").as_bytes()).ok()
    }

    fn most(&self) -> usize {
        self.state.lock().unwrap().most
    }

    fn order(&self) -> Vec<String> {
        self.state.lock().unwrap().order.clone()
    }

    /// Waits until so many requests have come.
    fn came(&self, count: usize) {
        let start = Instant::now();
        while self.order().len() < count {
            assert!(start.elapsed() < Duration::from_secs(10), "{:?}", self.order());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The model `slow` is at an upstream with this `max_in_flight` and more; `slow-or-mock` may go on to the mock.
fn gateway(upstream: &Upstream, queue: &str, tenants: &str) -> Gateway {
    let port = upstream.port;
    let upstreams = |_| format!("  slow: {{ kind: openai, url: \"http://127.0.0.1:{port}/v1\", {queue} }}\n");
    let models = "  slow: { upstream: slow, price: { input: 1, output: 1 } }\n  slow-or-mock: { upstream: [slow, mock] }\n";
    Gateway::with_all(tenants, &upstreams, models, &[])
}

const TWO: &str = r#"
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    models: ["*"]
  globex:
    keys: [{ id: prod, sha256: @GLOBEX@ }]
    models: ["*"]
"#;

fn ask(model: &str, message: &str) -> String {
    chat(message, r#","max_tokens":100"#).replace("gpt-5", model)
}

fn begin(gateway: &Gateway, key: &str, message: &str) -> TcpStream {
    gateway.begin("/v1/chat/completions", key, &ask("slow", message))
}

/// The answer of a connection that stays open.
fn answer(mut socket: TcpStream) -> Answer {
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut text = Vec::new();
    loop {
        let mut byte = [0; 1024];
        let read = socket.read(&mut byte).unwrap();
        text.extend_from_slice(&byte[..read]);
        let so_far = String::from_utf8_lossy(&text);
        let whole = so_far.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned)
            });
            length.is_some_and(|length| body.len() >= length.parse().unwrap())
        });
        if whole || read == 0 {
            break;
        }
    }
    let text = String::from_utf8(text).unwrap();
    let (headers, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = headers.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, headers: headers.to_owned(), body: body.to_owned() }
}

fn metric(gateway: &Gateway, name: &str) -> Option<String> {
    let metrics = gateway.admin_get("/metrics").body;
    metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned))
}

#[track_caller]
fn waits(gateway: &Gateway, tenant: &str, count: usize) {
    let name = format!("tollgate_queued{{upstream=\"slow\",tenant=\"{tenant}\"}}");
    let count = (count > 0).then(|| count.to_string());
    gateway.wait("as many that wait", |gateway| metric(gateway, &name) == count);
}

fn at_upstream(gateway: &Gateway) -> String {
    metric(gateway, "tollgate_upstream_in_flight{upstream=\"slow\"}").unwrap()
}

#[test]
fn no_more_than_so_many_are_there_at_a_time_and_all_are_answered() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, "max_in_flight: 3", TWO);
    thread::scope(|scope| {
        for client in 0..12 {
            let gateway = &gateway;
            scope.spawn(move || {
                let key = if client % 2 == 0 { ACME } else { GLOBEX };
                for _ in 0..4 {
                    assert_eq!(gateway.chat(key, &ask("slow", "x 10")).status, 200);
                }
            });
        }
    });
    assert_eq!((upstream.most(), upstream.order().len()), (3, 48));
    assert_eq!(at_upstream(&gateway), "0");
    // What waited is told, and is no overhead of the gateway's.
    let lines = gateway.lines("log", "acme", 24);
    let waited: Vec<f64> = lines.iter().map(|line| line["queue_ms"].as_f64().unwrap()).collect();
    assert!(waited.iter().any(|waited| *waited > 5.0), "{waited:?}");
    let count = metric(&gateway, "tollgate_queue_wait_seconds_count{upstream=\"slow\"}");
    assert_eq!(count.as_deref(), Some("48"));
    let overhead: f64 = metric(&gateway, "tollgate_overhead_seconds_sum").unwrap().parse().unwrap();
    assert!(overhead < waited.iter().sum::<f64>() / 1000.0, "{overhead} s of overhead");
    // Where no number is said, nobody waits, and nothing is told of it.
    assert_eq!(gateway.chat(ACME, &chat("hi", "")).status, 200);
    assert!(gateway.lines("log", "acme", 25).last().unwrap().get("queue_ms").is_none());
}

#[test]
fn who_fills_its_own_queue_is_sent_away_and_nobody_else() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, "max_in_flight: 1, queue: { per_tenant: 2 }", TWO);
    let first = begin(&gateway, ACME, "first 600");
    upstream.came(1);
    let waiting = [begin(&gateway, ACME, "second 1"), begin(&gateway, ACME, "third 1")];
    waits(&gateway, "acme", 2);
    let refused = gateway.chat(ACME, &ask("slow", "fourth 1"));
    assert_eq!((refused.status, refused.code().as_str()), (503, "overloaded"));
    assert!(refused.header("retry-after").is_some() && refused.header("x-should-retry").is_none());
    assert!(refused.body.contains("2 requests of yours wait for the upstream `slow` already"), "{refused:?}");
    let rejected = "tollgate_limit_rejections_total{tenant=\"acme\",limit=\"queue\"}";
    assert_eq!(metric(&gateway, rejected).as_deref(), Some("1"));
    let other = begin(&gateway, GLOBEX, "other 1");
    let answers: Vec<u16> =
        waiting.into_iter().chain([first, other]).map(|socket| answer(socket).status).collect();
    assert_eq!(answers, [200; 4]);
    assert!(!upstream.order().contains(&"fourth".to_owned()));
    // What came to nothing costs nothing.
    let last = gateway.lines("log", "acme", 4);
    let refused = last.iter().find(|line| line["status"] == 503).unwrap();
    assert_eq!((&refused["input_tokens"], &refused["upstream"]), (&json!(null), &json!("slow")));
}

/// A tenant that always has one request there and one that waits is not first again each time its last one goes.
#[test]
fn who_comes_anew_waits_for_the_request_that_is_there_and_no_other() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, "max_in_flight: 1", TWO);
    let mut sent = vec![begin(&gateway, ACME, "first 400")];
    upstream.came(1);
    sent.push(begin(&gateway, ACME, "second 600"));
    // Nobody waits for a moment.
    upstream.came(2);
    sent.push(begin(&gateway, ACME, "third 1"));
    waits(&gateway, "acme", 1);
    sent.push(begin(&gateway, GLOBEX, "anew 1"));
    waits(&gateway, "globex", 1);
    let answers: Vec<u16> = sent.into_iter().map(|socket| answer(socket).status).collect();
    assert_eq!(answers, [200; 4]);
    assert_eq!(upstream.order(), ["first", "second", "anew", "third"]);
}

#[test]
fn who_waits_for_too_long_is_sent_away_or_goes_on_to_the_next_upstream() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, "max_in_flight: 1, queue: { wait: 200ms }", TWO);
    let first = begin(&gateway, ACME, "first 3000");
    upstream.came(1);
    let start = Instant::now();
    let refused = gateway.chat(GLOBEX, &ask("slow", "second 1"));
    assert_eq!((refused.status, refused.code().as_str()), (503, "overloaded"));
    assert!(start.elapsed() >= Duration::from_millis(200) && start.elapsed() < Duration::from_millis(2500));
    // It is the only one of its tenant, so there are not too many of them.
    let told = "waited 0.2s for a place at the upstream `slow`, which takes 1 at a time";
    assert!(refused.body.contains(told), "{refused:?}");
    assert_eq!(gateway.chat(GLOBEX, &ask("slow-or-mock", "!say from the mock")).status, 200);
    let line = gateway.lines("log", "globex", 2).remove(1);
    assert_eq!(line["upstream"], json!("mock"));
    assert!(line["queue_ms"].as_f64().unwrap() >= 199.0, "{line}");
    assert_eq!(answer(first).status, 200);
    assert_eq!(upstream.order(), ["first"]);
}

#[test]
fn who_leaves_the_queue_costs_nothing_and_is_never_sent() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, "max_in_flight: 1", TWO);
    let first = begin(&gateway, ACME, "first 700");
    upstream.came(1);
    drop((begin(&gateway, GLOBEX, "gone 1"), waits(&gateway, "globex", 1)));
    let stays = begin(&gateway, GLOBEX, "stays 1");
    let line = gateway.lines("log", "globex", 1).remove(0);
    assert_eq!((&line["error"], &line["input_tokens"]), (&json!("client_gone"), &json!(null)), "{line}");
    assert!(line["queue_ms"].as_f64().unwrap() > 0.0, "{line}");
    assert_eq!((answer(first).status, answer(stays).status), (200, 200));
    assert_eq!(upstream.order(), ["first", "stays"]);
    waits(&gateway, "globex", 0);
}

/// A place is held until an answer's last byte, and comes back when its client leaves.
#[test]
fn a_stream_holds_its_place_until_it_ends_or_its_client_leaves() {
    let gateway = Gateway::with_all(
        TWO,
        &|mock| {
            format!("  slow: {{ kind: openai, url: \"http://127.0.0.1:{mock}/v1\", max_in_flight: 1 }}\n")
        },
        "  slow: { upstream: slow }\n",
        &[],
    );
    let streamed = |message: &str| chat(message, r#","stream":true"#).replace("gpt-5", "slow");
    let body = streamed("!chunks 5\n!delay 100ms\n!say one two three four five");
    let stream = gateway.begin("/v1/chat/completions", ACME, &body);
    gateway.wait("the stream", |gateway| at_upstream(gateway) == "1");
    let start = Instant::now();
    assert_eq!(gateway.chat(GLOBEX, &ask("slow", "hi")).status, 200);
    assert!(start.elapsed() > Duration::from_millis(250), "{:?}", start.elapsed());
    drop(stream);
    // This one would never end.
    let stream =
        gateway.begin("/v1/chat/completions", ACME, &streamed("!chunks 9\n!stall 2\n!say a b c d e f g h i"));
    gateway.wait("the stream", |gateway| at_upstream(gateway) == "1");
    let next = gateway.begin("/v1/chat/completions", GLOBEX, &ask("slow", "hi"));
    waits(&gateway, "globex", 1);
    drop(stream);
    assert_eq!(answer(next).status, 200);
    assert_eq!(at_upstream(&gateway), "0");
    // So do places of calls that fail.
    for message in ["!status 500", "!status 503", "!status 400", "!garbage", "!cut 0"] {
        assert!(gateway.chat(ACME, &ask("slow", message)).status >= 400, "{message}");
    }
    assert_eq!(gateway.chat(ACME, &ask("slow", "hi")).status, 200);
    assert_eq!(at_upstream(&gateway), "0");
}

#[test]
fn places_go_by_weight_and_interactive_before_batch() {
    let upstream = Upstream::start();
    let tenants = r#"
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    models: ["*"]
    weight: 3
  globex:
    keys: [{ id: prod, sha256: @GLOBEX@ }]
    models: ["*"]
"#;
    let gateway = gateway(&upstream, "max_in_flight: 1", tenants);
    let first = begin(&gateway, ACME, "first 500");
    upstream.came(1);
    let mut all = vec![first];
    for count in 1..=16 {
        all.push(begin(&gateway, ACME, "acme 1"));
        all.push(begin(&gateway, GLOBEX, "globex 1"));
        waits(&gateway, "acme", count);
        waits(&gateway, "globex", count);
    }
    all.into_iter().for_each(|socket| assert_eq!(answer(socket).status, 200));
    let order = upstream.order();
    let acme = order[1..17].iter().filter(|name| *name == "acme").count();
    assert!((11..=13).contains(&acme), "{order:?}");
}

#[test]
fn batch_waits_while_interactive_goes() {
    let upstream = Upstream::start();
    let tenants = r#"
  acme:
    keys: [{ id: prod, sha256: @ACME@ }, { id: jobs, sha256: @GLOBEX@, priority: batch }]
    models: ["*"]
"#;
    let gateway = gateway(&upstream, "max_in_flight: 1, queue: { per_tenant: 3 }", tenants);
    let first = begin(&gateway, ACME, "first 600");
    upstream.came(1);
    let jobs: Vec<TcpStream> = (1..=3)
        .map(|count| {
            let job = begin(&gateway, GLOBEX, &format!("job{count} 1"));
            waits(&gateway, "acme", count);
            job
        })
        .collect();
    // It takes the place of the youngest job in the queue.
    let urgent = begin(&gateway, ACME, "urgent 1");
    let answers: Vec<u16> =
        jobs.into_iter().chain([first, urgent]).map(|socket| answer(socket).status).collect();
    assert_eq!(answers, [200, 200, 503, 200, 200]);
    assert_eq!(upstream.order(), ["first", "urgent", "job1", "job2"]);
}

#[test]
fn a_reload_changes_the_number_and_loses_nobody() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, "max_in_flight: 1", TWO);
    let set = |from: &str, to: &str| {
        let file = gateway.dir.path().join("tollgate.yaml");
        let yaml = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, yaml.replace(from, to)).unwrap();
        assert_eq!(gateway.reload().status, 200);
    };
    let mut all = vec![begin(&gateway, ACME, "a 800")];
    upstream.came(1);
    for (count, name) in ["b 800", "c 800", "d 1"].iter().enumerate() {
        all.push(begin(&gateway, ACME, name));
        waits(&gateway, "acme", count + 1);
    }
    set("max_in_flight: 1", "max_in_flight: 3");
    upstream.came(3);
    waits(&gateway, "acme", 1);
    assert_eq!(at_upstream(&gateway), "3");
    set("max_in_flight: 3", "max_in_flight: 1");
    all.drain(..).for_each(|socket| assert_eq!(answer(socket).status, 200));
    assert_eq!((upstream.most(), upstream.order().len()), (3, 4));
    // Three left before one came: `d` was there alone.
    assert_eq!(at_upstream(&gateway), "0");
    let first = begin(&gateway, ACME, "e 600");
    upstream.came(5);
    let second = begin(&gateway, GLOBEX, "f 1");
    waits(&gateway, "globex", 1);
    set(", max_in_flight: 1", "");
    let start = Instant::now();
    assert_eq!(answer(second).status, 200);
    assert!(start.elapsed() < Duration::from_millis(400), "nobody waits any more");
    assert_eq!(answer(first).status, 200);
}

#[test]
fn who_waits_is_answered_while_the_gateway_drains() {
    let upstream = Upstream::start();
    let limits = "limits: { drain: 2s }\n";
    let port = upstream.port;
    let upstreams =
        |_| format!("  slow: {{ kind: openai, url: \"http://127.0.0.1:{port}/v1\", max_in_flight: 1 }}\n");
    let models = format!("  slow: {{ upstream: slow }}\n{limits}");
    let mut gateway = Gateway::with_all(TWO, &upstreams, &models, &[]);
    let first = begin(&gateway, ACME, "first 600");
    upstream.came(1);
    let second = begin(&gateway, ACME, "second 4000");
    waits(&gateway, "acme", 1);
    let third = begin(&gateway, ACME, "third 1");
    waits(&gateway, "acme", 2);
    gateway.signal("TERM");
    assert_eq!(answer(first).status, 200);
    let third = answer(third);
    assert_eq!((third.status, third.code().as_str()), (502, "upstream_error"), "{third:?}");
    drop(second);
    gateway.exit_status();
    assert_eq!(upstream.order(), ["first", "second"]);
}

#[test]
fn calls_of_mcp_servers_wait_too() {
    let tenants = r#"
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    tools: [{ allow: "*" }]
"#;
    let gateway = Gateway::with_mock(tenants, |mock| {
        format!(
            "  slow: {{ kind: mcp, url: \"http://127.0.0.1:{mock}/mcp/silent\", max_in_flight: 1, timeout: {{ first_byte: 2s }}, queue: {{ wait: 300ms, per_tenant: 1 }} }}\n"
        )
    });
    let call = || {
        modern(
            &gateway,
            "/mcp/slow",
            ACME,
            "tools/call",
            json!({"name": "get_weather", "arguments": {"city": "Bern"}}),
        )
    };
    thread::scope(|scope| {
        let first = scope.spawn(call);
        gateway.wait("the first call", |gateway| at_upstream(gateway) == "1");
        let start = Instant::now();
        let second = call();
        assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
        let result = &second.json()["result"];
        assert_eq!((second.status, &result["isError"]), (200, &json!(true)), "{second:?}");
        assert!(
            result["content"][0]["text"]
                .as_str()
                .unwrap()
                .contains("waited 0.3s for a place at the upstream `slow`"),
            "{second:?}"
        );
        first.join().unwrap();
    });
    assert_eq!(at_upstream(&gateway), "0");
    let lines = gateway.lines("log", "acme", 2);
    assert!(lines.iter().any(|line| line["queue_ms"].as_f64().unwrap() >= 299.0), "{lines:?}");
}
