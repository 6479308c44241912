//! U4: which calls open the circuit of an upstream's address, and what closes it again.

use crate::{
    before::{NO_RETRY, TENANTS, ask, ask_stream, before, behind},
    fault::{STREAM_END, Upstream, answer, stream, whole},
    once::{calling, desk},
    support::{ACME, Answer, Gateway},
};
use std::{
    io::Write,
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until the upstream is asked.
fn asked(ask: impl Fn() -> Answer) -> Answer {
    let started = Instant::now();
    loop {
        let told = ask();
        if !told.body.contains("left alone") {
            return told;
        }
        assert!(started.elapsed() < PATIENCE, "it is not tried again");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn reaches(phase: &AtomicUsize, least: usize) {
    let started = Instant::now();
    while phase.load(Ordering::SeqCst) < least && started.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_credential_that_is_refused_is_told_as_whose_it_is() {
    let upstream = Upstream::acting(|_, socket| socket.write_all(whole(401, "{}").as_bytes()).is_ok());
    let port = upstream.port;
    let yaml: String = [("shared", ", auth: { bearer: sk-shared-key }"), ("bare", ""), ("own", "")]
        .map(|(name, auth)| {
            format!("  {name}: {{ kind: openai, url: \"http://127.0.0.1:{port}/v1\"{auth} }}\n")
        })
        .concat();
    let tenants = TENANTS.replacen(
        "    models: [\"*\"]\n",
        "    models: [\"*\"]\n    credentials: { own: { bearer: sk-acme-key } }\n",
        1,
    );
    let models = "  shared: { upstream: shared }\n  bare: { upstream: bare }\n  own: { upstream: own }\n";
    let gateway = Gateway::with_all(&tenants, &|_| yaml.clone(), models, &[]);
    for (model, why) in [
        ("shared", "upstream shared: it refuses the credential that `auth` has for it (401)"),
        ("bare", "upstream bare: it asks for a credential, and `auth` has none for it (401)"),
        ("own", "upstream own: it refuses the credential that `credentials` of tenant acme has for it (401)"),
    ] {
        let told = ask(&gateway, model);
        assert_eq!((told.status, told.code().as_str()), (502, "upstream_error"), "{told:?}");
        assert_eq!(told.header("x-should-retry"), Some("false"), "the same credential is refused again");
        gateway.wait(why, |gateway| gateway.stderr().contains(why));
    }
}

#[test]
fn u4_calls_that_are_sent_once_open_a_circuit_and_close_it() {
    let well = Arc::new(AtomicUsize::new(0));
    let is_well = Arc::clone(&well);
    let billing = Upstream::acting(move |_, socket| {
        let is_well = is_well.load(Ordering::SeqCst) == 1;
        socket.write_all(whole(if is_well { 200 } else { 500 }, "{}").as_bytes()).is_ok()
    });
    let yaml = format!(
        "  billing:\n    kind: http\n    url: http://127.0.0.1:{}/api\n    operations: {{ refund: \"POST /refunds\" }}\n",
        billing.port
    );
    let gateway = behind(&yaml, &[], "");
    let ask = || gateway.post("/tools/billing/refunds", ACME, r#"{"amount":1}"#);
    for _ in 0..7 {
        let told = ask();
        assert_eq!(told.status, 502, "{told:?}");
    }
    assert_eq!(billing.requests(), 5, "the rest were not sent");
    // The first that is sent again tells that it is back.
    well.store(1, Ordering::SeqCst);
    let told = asked(ask);
    assert_eq!((told.status, billing.requests()), (200, 6), "{told:?}");
    assert_eq!((ask().status, ask().status, billing.requests()), (200, 200, 8));
}

/// A chunk of a body.
fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// The head and first words of a stream that says how it ends.
fn begin(socket: &mut TcpStream) {
    let told = stream(2).replace("connection: close", "transfer-encoding: chunked");
    let (head, events) = told.split_once("\r\n\r\n").unwrap();
    drop(socket.write_all(format!("{head}\r\n\r\n{}", chunk(events)).as_bytes()));
}

#[test]
fn u4_where_streams_died_a_head_lets_nobody_in() {
    let phase = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&phase);
    let dying = Upstream::acting(move |number, socket| match number {
        0..5 => {
            begin(socket);
            false
        }
        5 => {
            begin(socket);
            reaches(&now, 1);
            false
        }
        6 => {
            begin(socket);
            reaches(&now, 2);
            socket.write_all((chunk(STREAM_END) + "0\r\n\r\n").as_bytes()).is_ok()
        }
        _ => socket.write_all(answer("ok").as_bytes()).is_ok(),
    });
    let gateway = before(&[("dying", &dying, NO_RETRY)], "");
    let stream = || ask_stream(&gateway, "dying");
    let ask = || ask(&gateway, "dying");
    for _ in 0..5 {
        let told = stream();
        assert!(told.status == 200 && !told.body.contains("[DONE]"), "{told:?}");
    }
    let left_alone = |requests| {
        let told = ask();
        assert!(told.status == 502 && told.body.contains("left alone"), "{told:?}");
        assert_eq!(dying.requests(), requests);
    };
    left_alone(5);
    std::thread::scope(|scope| {
        // One tries, and has its head: nobody else is let in.
        let first = scope.spawn(|| asked(stream));
        wait_for(&dying, 6);
        left_alone(6);
        phase.store(1, Ordering::SeqCst);
        let told = first.join().unwrap();
        assert!(told.status == 200 && !told.body.contains("[DONE]"), "{told:?}");
        left_alone(6);
        let second = scope.spawn(|| asked(stream));
        wait_for(&dying, 7);
        left_alone(7);
        phase.store(2, Ordering::SeqCst);
        let told = second.join().unwrap();
        assert!(told.body.ends_with("data: [DONE]\n\n"), "{told:?}");
    });
    assert_eq!((ask().status, ask().status, dying.requests()), (200, 200, 9), "one came to its end");
}

/// Waits until the upstream was asked so often.
fn wait_for(upstream: &Upstream, requests: usize) {
    let started = Instant::now();
    while upstream.requests() < requests {
        assert!(started.elapsed() < PATIENCE, "{} requests", upstream.requests());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A stream can end as its framing says and still be cut: it is told as one that broke off, and counts as one.
#[test]
fn u4_streams_that_are_cut_count_however_they_are_framed() {
    let end = |framing: &'static str, behind: &'static str| {
        Upstream::acting(move |_, socket| {
            let told = stream(2).replace("connection: close", framing);
            let (head, events) = told.split_once("\r\n\r\n").unwrap();
            let events = events.to_owned() + behind;
            let body = if framing.contains("chunked") { chunk(&events) + "0\r\n\r\n" } else { events };
            drop(socket.write_all(format!("{head}\r\n\r\n{body}").as_bytes()));
            false
        })
    };
    let (closed, chunked) =
        (end("connection: close", ""), end("connection: close\r\ntransfer-encoding: chunked", ""));
    let (well, chunked_well) = (
        end("connection: close", STREAM_END),
        end("connection: close\r\ntransfer-encoding: chunked", STREAM_END),
    );
    // What a chat ends with may be left out by who says why it ends.
    let finished = end("connection: close", STREAM_END.split_inclusive("\n\n").next().unwrap());
    let upstreams = [
        ("closed", &closed, 5),
        ("chunked", &chunked, 5),
        ("well", &well, 8),
        ("chunkedwell", &chunked_well, 8),
        ("finished", &finished, 8),
    ];
    let gateway = before(&upstreams.map(|(name, upstream, _)| (name, upstream, NO_RETRY)), "");
    for (name, upstream, requests) in upstreams {
        for _ in 0..8 {
            let told = ask_stream(&gateway, name);
            let is_cut = told.body.contains(r#""code":"upstream_error""#);
            assert_eq!(is_cut, requests == 5, "{name}: {told:?}");
        }
        assert_eq!(upstream.requests(), requests, "{name}");
    }
    let stderr = gateway.stderr();
    for name in ["closed", "chunked"] {
        let said = format!("upstream {name}: its stream ended too early; it is left alone");
        assert!(stderr.contains(&said), "{stderr}");
    }
}

/// Changes the configuration as an operator does.
fn rewrite(gateway: &Gateway, change: impl Fn(&str) -> String) {
    let path = gateway.dir.path().join("tollgate.yaml");
    let yaml = std::fs::read_to_string(&path).unwrap();
    let changed = change(&yaml);
    assert!(changed != yaml);
    std::fs::write(path, changed).unwrap();
    let told = gateway.reload();
    assert_eq!(told.status, 200, "{told:?}");
}

/// With another upstream.
fn with_another(yaml: &str) -> String {
    yaml.replace("\nmodels:\n", "\n  another: { kind: openai, url: \"http://127.0.0.1:1/v1\" }\nmodels:\n")
}

#[test]
fn a_reload_forgets_no_circuit() {
    let failing = Upstream::acting(|_, socket| socket.write_all(whole(500, "{}").as_bytes()).is_ok());
    let (server, deeds) = desk(|_, _, socket| socket.write_all(whole(500, "").as_bytes()).is_ok());
    let yaml = failing.yaml("failing", NO_RETRY)
        + &format!("  desk: {{ kind: mcp, url: \"http://127.0.0.1:{}/mcp\" }}\n", server.port)
        + &format!(
            "  api: {{ kind: http, url: \"http://127.0.0.1:{}\", operations: {{ refund: \"POST /refunds\" }} }}\n",
            failing.port
        );
    let gateway = behind(&yaml, &["failing"], "");
    for _ in 0..5 {
        assert_eq!(ask(&gateway, "failing").status, 502);
        assert_eq!(gateway.post("/tools/api/refunds", ACME, r#"{"amount":1}"#).status, 502);
        let told = gateway.raw(&calling(ACME, "deed"));
        assert!(!told.body.contains("left alone"), "{told:?}");
    }
    let told_alone = |when: &str| {
        for told in [
            ask(&gateway, "failing"),
            gateway.post("/tools/api/refunds", ACME, r#"{"amount":1}"#),
            gateway.raw(&calling(ACME, "deed")),
        ] {
            assert!(told.body.contains("left alone"), "{when}: {told:?}");
        }
        assert_eq!((failing.requests(), deeds.load(Ordering::SeqCst)), (10, 5), "{when}");
    };
    told_alone("before");
    assert_eq!(gateway.reload().status, 200);
    told_alone("nothing changed");
    rewrite(&gateway, with_another);
    told_alone("an upstream more");
    rewrite(&gateway, |yaml| yaml.replace("attempts: 0 } }\n  desk", "attempts: 1 } }\n  desk"));
    told_alone("it may be tried again");
    // Another URL is another server.
    rewrite(&gateway, |yaml| {
        yaml.replace(&format!("{}/v1\", retry", failing.port), &format!("{}/v2\", retry", failing.port))
    });
    assert!(!ask(&gateway, "failing").body.contains("left alone"));
}

#[test]
fn a_reload_forgets_neither_keys_that_rest_nor_connections_nor_the_budget() {
    let refused = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&refused);
    let pool = Upstream::reading(move |text, socket| {
        let is_bad = text.contains("Bearer key-bad");
        counted.fetch_add(usize::from(is_bad), Ordering::SeqCst);
        let told = if is_bad { whole(401, "{}") } else { answer("ok") };
        socket.write_all(told.as_bytes()).is_ok()
    });
    let calm = Upstream::answering();
    let busy = Upstream::acting(|_, socket| socket.write_all(whole(503, "{}").as_bytes()).is_ok());
    let other = Upstream::acting(|_, socket| socket.write_all(whole(429, "{}").as_bytes()).is_ok());
    let gateway = before(
        &[
            ("pool", &pool, ", auth: [{ bearer: key-bad }, { bearer: key-good }]"),
            ("calm", &calm, ", auth: { bearer: key-old }"),
            ("busy", &busy, NO_RETRY),
            ("other", &other, ", retry: { attempts: 1 }"),
        ],
        "",
    );
    let started = Instant::now();
    for _ in 0..4 {
        assert_eq!((ask(&gateway, "pool").status, ask(&gateway, "calm").status), (200, 200));
    }
    for _ in 0..15 {
        assert_eq!(ask(&gateway, "other").status, 429);
    }
    for change in 0..3 {
        if change == 0 {
            assert_eq!(gateway.reload().status, 200);
        } else {
            rewrite(&gateway, |yaml| {
                yaml.replace(
                    "\nmodels:\n",
                    &format!(
                        "\n  more{change}: {{ kind: openai, url: \"http://127.0.0.1:1/v1\" }}\nmodels:\n"
                    ),
                )
            });
        }
        for _ in 0..4 {
            assert_eq!((ask(&gateway, "pool").status, ask(&gateway, "calm").status), (200, 200));
            assert_eq!(ask(&gateway, "other").status, 429);
        }
        assert_eq!(refused.load(Ordering::SeqCst), 1, "the key rests");
        assert_eq!(calm.connections.load(Ordering::SeqCst), 1, "its connection goes on");
    }
    // Ten that were saved up, one for ten calls, and one every 6 s.
    let seconds = usize::try_from(started.elapsed().as_secs()).unwrap();
    let (calls, retries) = (27, other.requests() - 27);
    assert!(retries <= 10 + calls / 10 + 1 + seconds / 6, "{retries}");
    // What changed is renewed: the credential, and with it the connections.
    rewrite(&gateway, |yaml| yaml.replace("key-old", "key-new").replace("key-bad", "key-well"));
    assert_eq!(ask(&gateway, "calm").status, 200);
    assert_eq!(calm.connections.load(Ordering::SeqCst), 2);
    assert!(calm.text().contains("Bearer key-new"));
    for _ in 0..4 {
        assert_eq!(ask(&gateway, "pool").status, 200);
    }
    assert!(pool.text().contains("Bearer key-well"), "another key does not rest");
}
