//! U: upstreams that fail, in every way that one can, and what the gateway makes of it.

use crate::{
    before::{NO_RETRY, TENANTS, ask, ask_stream, before, behind},
    fault::{STREAM_END, Upstream, answer, read_until_end, stream, whole},
    support::{ACME, Answer, Gateway, chat, read_answer},
};
use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

#[track_caller]
fn broke(answer: &Answer, code: &str) {
    assert!(answer.status == 200 && answer.body.contains("w0"), "{answer:?}");
    assert!(answer.body.contains(&format!(r#""code":"{code}""#)), "{answer:?}");
    assert!(!answer.body.contains("[DONE]"), "never a clean end: {answer:?}");
}

#[test]
fn u1_death_before_and_in_the_head_is_tried_again_and_told() {
    let dying = Upstream::acting(|_, _| false);
    let half = Upstream::acting(|_, socket| socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-le").is_err());
    let half_closing = Upstream::acting(|_, socket| {
        drop(socket.shutdown(Shutdown::Write));
        true
    });
    let once = Upstream::acting(|n, socket| n > 0 && socket.write_all(answer("ok").as_bytes()).is_ok());
    let gateway = before(
        &[
            ("dying", &dying, ""),
            ("half", &half, NO_RETRY),
            ("halfclosing", &half_closing, NO_RETRY),
            ("once", &once, ""),
        ],
        "",
    );
    let told = ask(&gateway, "dying");
    assert_eq!((told.status, told.code().as_str(), dying.requests()), (502, "upstream_error", 3));
    for model in ["half", "halfclosing"] {
        assert_eq!(ask(&gateway, model).status, 502, "{model}");
    }
    assert_eq!((ask(&gateway, "once").status, once.requests()), (200, 2));
    gateway.in_flight(0);
    assert_eq!(gateway.lines("log", "acme", 4).len(), 4, "one record a request");
}

#[test]
fn u1_death_in_a_stream_is_an_error_event_and_never_tried_again() {
    let cut = Upstream::acting(|_, socket| {
        drop(socket.write_all(stream(3).as_bytes()));
        false
    });
    let reset = Upstream::acting(|_, socket| {
        drop(socket.write_all(stream(3).as_bytes()));
        std::thread::sleep(Duration::from_millis(100));
        socket2::SockRef::from(&*socket).set_linger(Some(Duration::ZERO)).unwrap();
        false
    });
    let short = Upstream::acting(|_, socket| {
        let head = stream(3).replace("connection: close", "content-length: 999999");
        drop(socket.write_all(head.as_bytes()));
        false
    });
    let done = Upstream::acting(|_, socket| {
        drop(socket.write_all((stream(3) + STREAM_END).as_bytes()));
        false
    });
    let gateway =
        before(&[("cut", &cut, ""), ("reset", &reset, ""), ("short", &short, ""), ("done", &done, "")], "");
    for (model, upstream) in [("cut", &cut), ("reset", &reset), ("short", &short)] {
        broke(&ask_stream(&gateway, model), "upstream_error");
        assert_eq!(upstream.requests(), 1, "{model}");
    }
    let whole = ask_stream(&gateway, "done");
    assert!(whole.body.ends_with("data: [DONE]\n\n"), "{whole:?}");
    gateway.in_flight(0);
    // What arrived is metered.
    let log = gateway.lines("log", "acme", 4);
    assert!(
        log.iter().all(|line| line["output_tokens"].as_u64().is_some_and(|tokens| tokens > 0)),
        "{log:?}"
    );
}

#[test]
fn u2_slow_upstreams_meet_their_timeouts() {
    let silent = Upstream::acting(|_, _| {
        std::thread::sleep(Duration::from_secs(20));
        false
    });
    let stalling = Upstream::acting(|_, socket| {
        drop(socket.write_all(stream(3).as_bytes()));
        std::thread::sleep(Duration::from_secs(20));
        false
    });
    let dripping = Upstream::acting(|_, socket| {
        drop(socket.write_all(stream(1).as_bytes()));
        while socket.write_all(b": drip\n\n").is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
        false
    });
    let short = |which: &str| format!(", timeout: {{ {which}: 1s }}{NO_RETRY}");
    let gateway = before(
        &[
            ("silent", &silent, &short("first_byte")),
            ("stalling", &stalling, &short("idle")),
            ("dripping", &dripping, &short("total")),
            ("silenttotal", &silent, &short("total")),
        ],
        "",
    );
    for model in ["silent", "silenttotal"] {
        let started = Instant::now();
        let told = ask(&gateway, model);
        assert_eq!((told.status, told.code().as_str()), (504, "upstream_timeout"), "{model}");
        assert!((1..5).contains(&started.elapsed().as_secs()), "{model} {:?}", started.elapsed());
    }
    for model in ["stalling", "dripping"] {
        let started = Instant::now();
        broke(&ask_stream(&gateway, model), "upstream_timeout");
        assert!((1..5).contains(&started.elapsed().as_secs()), "{model} {:?}", started.elapsed());
    }
    gateway.in_flight(0);
}

#[test]
fn u3_an_event_that_never_ends_is_cut_off() {
    let endless = Upstream::acting(|_, socket| {
        drop(socket.write_all((stream(1) + "data: {\"x\":\"").as_bytes()));
        let megabyte = "x".repeat(1 << 20);
        for _ in 0..200 {
            if socket.write_all(megabyte.as_bytes()).is_err() {
                break;
            }
        }
        false
    });
    let gateway = before(&[("endless", &endless, "")], "");
    let rss = gateway.rss_kib();
    let told = ask_stream(&gateway, "endless");
    assert!(
        told.body.contains(r#""code":"upstream_error""#) && !told.body.contains("[DONE]"),
        "{}",
        told.status
    );
    assert!(gateway.rss_kib() < rss + (64 << 10), "{} -> {}", rss, gateway.rss_kib());
}

#[test]
fn u4_a_circuit_opens_and_one_call_finds_out_that_it_is_back() {
    let well = Arc::new(AtomicUsize::new(0));
    let is_well = Arc::clone(&well);
    let failing = Upstream::acting(move |_, socket| {
        let reply = if is_well.load(Ordering::SeqCst) == 1 { answer("ok") } else { whole(500, "{}") };
        socket.write_all(reply.as_bytes()).is_ok()
    });
    let gateway = before(&[("failing", &failing, NO_RETRY)], "");
    for _ in 0..20 {
        assert_eq!(ask(&gateway, "failing").status, 502);
    }
    assert_eq!(failing.requests(), 5, "the rest were not sent");
    assert!(
        gateway.stderr().contains("upstream failing: it answers with 500; it is left alone"),
        "{}",
        gateway.stderr()
    );
    well.store(1, Ordering::SeqCst);
    let started = Instant::now();
    while ask(&gateway, "failing").status != 200 {
        assert!(started.elapsed() < Duration::from_secs(30), "it is not tried again");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!((ask(&gateway, "failing").status, failing.requests()), (200, 7));
}

#[test]
fn u4_a_storm_is_not_answered_by_a_storm_of_retries() {
    let busy = Upstream::acting(|_, socket| socket.write_all(whole(429, "{}").as_bytes()).is_ok());
    let gateway = before(
        &[("busy", &busy, ", auth: [{ bearer: key-a }, { bearer: key-b }], retry: { attempts: 3 }")],
        "",
    );
    for _ in 0..100 {
        assert_eq!(ask(&gateway, "busy").status, 429);
    }
    let seconds_allowed = 5;
    assert!(busy.requests() <= 100 + 10 + 10 + seconds_allowed, "{} requests for 100 calls", busy.requests());
}

#[test]
fn u4_failover_least_loaded_and_resting_keys() {
    let gone = Upstream::acting(|_, _| false);
    let here = Upstream::answering();
    let slow = Upstream::acting(|_, socket| {
        std::thread::sleep(Duration::from_secs(2));
        socket.write_all(answer("slow").as_bytes()).is_ok()
    });
    let urls = format!(
        "  pair: {{ kind: openai, urls: [\"http://127.0.0.1:{}/v1\", \"http://127.0.0.1:{}/v1\"] }}\n",
        slow.port, here.port
    );
    let list = [gone.yaml("dead", NO_RETRY), here.yaml("here", "")].concat() + &urls;
    let gateway = behind(&list, &["pair"], "  both: { upstream: [dead, here] }\n");
    for _ in 0..20 {
        assert_eq!(ask(&gateway, "both").status, 200);
    }
    assert!(gone.requests() <= 5, "{}", gone.requests());
    assert_eq!(here.requests(), 20);
    // While one answers slowly, the other one has less to do.
    let held = gateway.begin("/v1/chat/completions", ACME, &chat("hi", "").replace("gpt-5", "pair"));
    let second = gateway.begin("/v1/chat/completions", ACME, &chat("hi", "").replace("gpt-5", "pair"));
    gateway.wait("the slow one to be asked", |_| slow.requests() == 1);
    let started = Instant::now();
    for _ in 0..10 {
        assert_eq!(ask(&gateway, "pair").status, 200);
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(slow.requests(), 1);
    drop((held, second));
}

#[test]
fn u4_a_key_that_is_refused_or_used_up_rests() {
    for status in [401, 403, 429] {
        let count = Arc::new(AtomicUsize::new(0));
        let refused = Arc::clone(&count);
        // The first key that comes is the one that is not taken.
        let bad: Arc<Mutex<Option<String>>> = Arc::default();
        let pool = keyed(move |key, socket| {
            let bad = bad.lock().unwrap().get_or_insert_with(|| key.to_owned()).clone();
            if *key == bad {
                refused.fetch_add(1, Ordering::SeqCst);
                socket.write_all(whole(status, "{}").as_bytes()).is_ok()
            } else {
                socket.write_all(answer("ok").as_bytes()).is_ok()
            }
        });
        let yaml = format!(
            "  pool: {{ kind: openai, url: \"http://127.0.0.1:{pool}/v1\", auth: [{{ bearer: key-one }}, {{ bearer: key-two }}] }}\n"
        );
        let gateway = behind(&yaml, &["pool"], "");
        for _ in 0..10 {
            assert_eq!(ask(&gateway, "pool").status, 200, "{status}");
        }
        assert_eq!(count.load(Ordering::SeqCst), 1, "{status}");
    }
}

/// An upstream that looks at the key of each request.
fn keyed(act: impl Fn(&str, &mut TcpStream) -> bool + Send + Sync + 'static) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let act = Arc::new(act);
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let act = Arc::clone(&act);
            std::thread::spawn(move || {
                let mut chunk = vec![0; 65536];
                while let Ok(length @ 1..) = socket.read(&mut chunk) {
                    let text = String::from_utf8_lossy(&chunk[..length]).into_owned();
                    let key = text.lines().find_map(|line| line.strip_prefix("authorization: Bearer "));
                    if !act(key.unwrap_or_default(), &mut socket) {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[test]
fn u5_what_is_wrong_with_a_connection_is_told_to_the_operator_alone() {
    let pair = rcgen::generate_simple_self_signed(vec!["other.example".to_owned()]).unwrap();
    // A gateway is a TLS server as good as any.
    let secure = Gateway::start_with_files(&[
        ("cert.crt", pair.cert.pem().as_str()),
        ("key.key", pair.signing_key.serialize_pem().as_str()),
    ])
    .watched();
    let pem = pair.cert.pem();
    let plain = Upstream::answering();
    let list = format!(
        "  selfsigned: {{ kind: openai, url: \"https://127.0.0.1:{0}/v1\"{NO_RETRY} }}\n  othername: {{ kind: openai, url: \"https://localhost:{0}/v1\", ca: ca.pem{NO_RETRY} }}\n  plain: {{ kind: openai, url: \"https://127.0.0.1:{2}/v1\"{NO_RETRY} }}\n  nowhere: {{ kind: openai, url: \"http://nowhere.invalid/v1\"{NO_RETRY} }}\n  closed: {{ kind: openai, url: \"http://127.0.0.1:1/v1\"{NO_RETRY} }}\n  private: {{ kind: openai, url: \"http://localhost:{1}/v1\", deny_private: true{NO_RETRY} }}\n",
        secure.tls, plain.port, secure.port
    );
    let names = ["selfsigned", "othername", "plain", "nowhere", "closed", "private"];
    let models: String = names.iter().map(|name| format!("  {name}: {{ upstream: {name} }}\n")).collect();
    let gateway = Gateway::with_all(TENANTS, &|_| list.clone(), &models, &[("ca.pem", &pem)]).watched();
    let answers: Vec<Answer> = names.iter().map(|name| ask(&gateway, name)).collect();
    for told in &answers {
        assert_eq!((told.status, told.code().as_str()), (502, "upstream_error"));
        assert_eq!(told.json()["error"]["message"], answers[0].json()["error"]["message"]);
    }
    let stderr = gateway.stderr();
    for (name, why) in names.iter().zip([
        "the certificate's issuer is not trusted",
        "the certificate is for another name",
        "the upstream does not speak TLS",
        "no connection to the upstream: the name",
        "connection refused",
        "private addresses alone",
    ]) {
        let found =
            stderr.lines().any(|line| line.contains(&format!("upstream {name}: ")) && line.contains(why));
        assert!(found, "{name}: {why}: {stderr}");
    }
    assert_eq!(plain.requests(), 0);
}

#[test]
fn u6_answers_that_lie_are_not_believed() {
    let answers: &[(&str, &str)] = &[
        ("short", "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n{}"),
        (
            "tecl",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        ),
        ("twolengths", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}"),
        ("interims", &"HTTP/1.1 103 Early\r\n\r\n".repeat(1000)),
        ("nocontent", "HTTP/1.1 204 No\r\ncontent-length: 2\r\n\r\n{}"),
        ("upgrade", "HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
        (
            "redirect",
            "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest\r\ncontent-length: 0\r\n\r\n",
        ),
        ("gzip", "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n\x1f\x1e"),
        ("nothttp", "SSH-2.0-OpenSSH_9.6\r\n"),
        ("chunks", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
    ];
    let bomb = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(100_000));
    let all: Vec<(&str, String)> =
        answers.iter().map(|(name, text)| (*name, (*text).to_owned())).chain([("bomb", bomb)]).collect();
    let upstreams: Vec<(&str, Upstream)> = all
        .into_iter()
        .map(|(name, text)| {
            let upstream = Upstream::acting(move |_, socket| {
                drop(socket.write_all(text.as_bytes()));
                drop(socket.shutdown(Shutdown::Write));
                true
            });
            (name, upstream)
        })
        .collect();
    let list: Vec<(&str, &Upstream, &str)> =
        upstreams.iter().map(|(name, upstream)| (*name, upstream, NO_RETRY)).collect();
    let gateway = before(&list, "");
    for (name, upstream) in &upstreams {
        let told = ask(&gateway, name);
        assert_eq!((told.status, told.code().as_str()), (502, "upstream_error"), "{name} {told:?}");
        assert_eq!(upstream.requests(), 1, "{name}");
    }
    gateway.in_flight(0);
}

/// U7: who leaves in a stream leaves the upstream too. How soon is counted in what the upstream still sends: an event every
/// 10 ms, as it goes by the clock of a machine that may be busy.
#[test]
fn u7_who_leaves_in_a_stream_cancels_it_and_gives_its_place_back() {
    const ROUNDS: usize = 50;
    let (left, behind) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let (is_left, told) = (Arc::clone(&left), Arc::clone(&behind));
    let endless = Upstream::acting(move |_, socket| {
        drop(socket.write_all(stream(1).as_bytes()));
        let (mut events, mut since) = (0_usize, None);
        while socket.write_all(b": more\n\n").is_ok() {
            std::thread::sleep(Duration::from_millis(10));
            if is_left.load(Ordering::SeqCst) {
                events += 1;
                since.get_or_insert_with(Instant::now);
            }
        }
        told.lock().unwrap().push((events, since.map_or(Duration::ZERO, |since| since.elapsed())));
        false
    });
    let tenants = TENANTS.replacen("models:", "limits: { concurrency: 1 }\n    models:", 1);
    let yaml = endless.yaml("endless", NO_RETRY);
    let gateway =
        Gateway::with_all(&tenants, &|_| yaml.clone(), "  endless: { upstream: endless }\n", &[]).watched();
    let body = chat("hi", r#","stream":true"#).replace("gpt-5", "endless");
    let mut refused = 0;
    for round in 0..ROUNDS {
        left.store(false, Ordering::SeqCst);
        // The only place is the next one's as soon as the upstream is left.
        let socket = loop {
            let mut socket = gateway.begin("/v1/chat/completions", ACME, &body);
            let mut read = String::new();
            let mut chunk = [0; 4096];
            while !read.contains("w0") && !read.contains("429") {
                let length = socket.read(&mut chunk).unwrap();
                assert!(length > 0, "{read}");
                read.push_str(&String::from_utf8_lossy(&chunk[..length]));
            }
            if read.contains("w0") {
                break socket;
            }
            refused += 1;
            assert!(refused < ROUNDS, "places do not come back");
        };
        left.store(true, Ordering::SeqCst);
        drop(socket);
        gateway.wait("the upstream to be left", |_| behind.lock().unwrap().len() == round + 1);
    }
    let mut all = behind.lock().unwrap().clone();
    all.sort_unstable();
    let (median, worst) = (all[ROUNDS / 2], all[ROUNDS - 1]);
    println!("events behind, and time: median {median:?}, worst {worst:?}; {refused} refused");
    assert!(median.0 <= 10, "{all:?}");
    assert!(worst.0 <= 100, "{all:?}");
    gateway.in_flight(0);
    let log = gateway.lines("log", "acme", ROUNDS + refused);
    let used = log.iter().filter(|line| line["output_tokens"].as_u64().is_some_and(|tokens| tokens > 0));
    assert_eq!(used.count(), ROUNDS, "{log:?}");
}

#[test]
fn u8_error_bodies_are_not_relayed() {
    let secret = "sk-upstream-secret-0123456789abcdef";
    let echo = format!(
        r#"{{"error":{{"message":"Incorrect API key {secret} for jane.doe@example.com","internal":"trace-4711"}}}}"#
    );
    let statuses = [400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504];
    let upstreams: Vec<(String, Upstream)> = statuses
        .iter()
        .map(|status| {
            let reply = whole(*status, &echo);
            (
                format!("s{status}"),
                Upstream::acting(move |_, socket| socket.write_all(reply.as_bytes()).is_ok()),
            )
        })
        .collect();
    let more = format!(", auth: {{ bearer: {secret} }}{NO_RETRY}");
    let list: Vec<(&str, &Upstream, &str)> =
        upstreams.iter().map(|(name, upstream)| (name.as_str(), upstream, more.as_str())).collect();
    let gateway = before(&list, "");
    for (status, (name, _)) in statuses.iter().zip(&upstreams) {
        for told in [ask(&gateway, name), ask_stream(&gateway, name)] {
            let expected = match status {
                400 | 404 | 409 | 422 | 429 => *status,
                504 => 504,
                _ => 502,
            };
            assert_eq!(told.status, expected, "{name} {told:?}");
            let text = format!("{told:?}");
            for hidden in [secret, "jane.doe", "trace-4711"] {
                assert!(!text.contains(hidden), "{name} {text}");
            }
        }
    }
    let log = gateway.lines("log", "acme", 2 * statuses.len());
    assert!(!format!("{log:?}{}", gateway.stderr()).contains(secret));
}

/// A client that does not read an answer is left, and nobody else waits for it.
#[test]
fn f3_a_client_that_does_not_read_holds_little() {
    let fast = Upstream::acting(|_, socket| {
        drop(socket.write_all(stream(1).as_bytes()));
        let event = stream(200);
        let events = event.split_once("\r\n\r\n").unwrap().1.to_owned();
        while socket.write_all(events.as_bytes()).is_ok() {}
        false
    });
    let gateway = before(&[("flood", &fast, "")], "");
    let rss = gateway.rss_kib();
    let body = chat("hi", r#","stream":true"#).replace("gpt-5", "flood");
    let held: Vec<TcpStream> = (0..10).map(|_| gateway.begin("/v1/chat/completions", ACME, &body)).collect();
    std::thread::sleep(Duration::from_secs(3));
    assert!(gateway.rss_kib() < rss + (16 << 10), "{rss} -> {}", gateway.rss_kib());
    assert_eq!(gateway.get("/v1/models", ACME).status, 200);
    drop(held);
    gateway.in_flight(0);
}

#[test]
fn a_stream_is_read_whole_behind_an_early_answer() {
    let here = Upstream::answering();
    let gateway = before(&[("here", &here, "")], "");
    let mut socket = gateway.begin("/v1/chat/completions", ACME, &chat("hi", "").replace("gpt-5", "here"));
    assert_eq!(read_answer(socket.try_clone().unwrap()).unwrap().status, 200);
    socket.shutdown(Shutdown::Write).unwrap();
    assert!(read_until_end(&mut socket, Duration::from_secs(5)).1);
}

/// U2: `total` is for the request, whatever is tried meanwhile; what does not connect in time is too late as well.
#[test]
fn u2_total_holds_for_all_tries_together_and_a_connection_has_its_time() {
    let silent = Upstream::acting(|_, _| {
        std::thread::sleep(Duration::from_secs(20));
        false
    });
    let busy = Upstream::acting(|_, socket| {
        std::thread::sleep(Duration::from_millis(1500));
        socket.write_all(whole(503, "{}").as_bytes()).is_ok()
    });
    let short = ", timeout: { first_byte: 2s, total: 3s }, retry: { attempts: 3 }";
    let short_busy = ", timeout: { total: 2s }, retry: { attempts: 3 }";
    let (port, black) = (silent.port, ", timeout: { connect: 1s }, retry: { attempts: 0 }");
    let tls = format!(
        "  black: {{ kind: openai, url: \"https://127.0.0.1:{port}/v1\"{black} }}\n  blacktotal: {{ kind: openai, url: \"https://127.0.0.1:{port}/v1\", timeout: {{ connect: 20s, total: 1s }}, retry: {{ attempts: 3 }} }}\n  refused: {{ kind: openai, url: \"https://127.0.0.1:1/v1\"{black} }}\n  nameless: {{ kind: openai, url: \"https://nothing.invalid/v1\"{black} }}\n"
    );
    let yaml = [silent.yaml("silent", short), busy.yaml("busy", short_busy), tls].concat();
    let models: String = ["silent", "busy", "black", "blacktotal", "refused", "nameless"]
        .map(|name| format!("  {name}: {{ upstream: {name} }}\n"))
        .concat();
    let gateway = Gateway::with_all(TENANTS, &|_| yaml.clone(), &models, &[]);
    let timed = |model: &str| {
        let started = Instant::now();
        let told = ask(&gateway, model);
        (told.status, told.code(), started.elapsed())
    };
    // A second try began, and had the second that was left.
    let (status, code, took) = timed("silent");
    assert_eq!((status, code.as_str(), silent.requests()), (504, "upstream_timeout", 2));
    assert!(took > Duration::from_millis(2900) && took < Duration::from_millis(3900), "{took:?}");
    let (status, _, took) = timed("busy");
    assert!(status == 504 && busy.requests() == 2, "{status}, {} tries", busy.requests());
    assert!(took < Duration::from_millis(2900), "{took:?}");
    for (model, expected) in [("black", 504), ("blacktotal", 504), ("refused", 502), ("nameless", 502)] {
        let (status, code, took) = timed(model);
        assert_eq!(status, expected, "{model}: {code}");
        assert!(took < Duration::from_millis(1900), "{model}: {took:?}");
    }
    gateway.in_flight(0);
}
