//! During each attack another tenant is served, and behind it nothing is left of it. How quickly is measured by
//! `cargo bench --bench hostile`: a test that times it would fail where the machine is busy.

use crate::{
    attacks::{Attack, HTTP1, HTTP2, MODELS, REQUESTS, TENANTS, Target, Upstreams, endless, neighbours},
    before::{ask, before},
    fault::{self, read_until_end, statuses},
    frames::{SETTINGS, frame},
    support::{ACME, Gateway, chat, read_answer},
};
use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

const THREADS: usize = 2;
/// Times that the neighbour asks during each attack.
const ASKED: usize = 10;
const PATIENCE: Duration = Duration::from_secs(60);
/// What it may hold more of, with all that an attack keeps open. A million JSON values take some 64 MiB while they are read,
/// and two are read at a time.
const RSS_KIB_MORE_MAX: usize = 224 << 10;

fn status(port: u16) -> Option<u16> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
    socket.write_all(&neighbours()).ok()?;
    statuses(&read_until_end(&mut socket, PATIENCE).0).first().copied()
}

fn neighbours_are_served(attacks: &[Attack]) {
    let upstreams = Upstreams::beside(endless());
    let yaml = upstreams.yaml();
    let gateway = Gateway::with_all(TENANTS, &|_| yaml.clone(), MODELS, &[]).with_large_bodies();
    assert_eq!(status(gateway.port), Some(200));
    let rss = gateway.rss_kib();
    for attack in attacks {
        let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
        let target = Target { port: gateway.port, stop: &stop, done: &done, held: 50 };
        let answers: Vec<Option<u16>> = std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| (attack.run)(&target));
            }
            let started = Instant::now();
            while done.load(Ordering::SeqCst) < 10 && started.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(10));
            }
            let answers = (0..ASKED).map(|_| status(gateway.port)).collect();
            stop.store(true, Ordering::SeqCst);
            answers
        });
        assert!(done.load(Ordering::SeqCst) >= 10, "{}: it does nothing", attack.name);
        assert_eq!(answers, [Some(200); ASKED], "{}", attack.name);
        let now = gateway.rss_kib();
        assert!(now < rss + RSS_KIB_MORE_MAX, "{}: {rss} -> {now} KiB", attack.name);
        gateway.in_flight(0);
        assert_eq!(status(gateway.port), Some(200), "behind {}", attack.name);
    }
}

#[test]
fn neighbours_are_served_while_http1_is_abused() {
    neighbours_are_served(HTTP1);
}

#[test]
fn neighbours_are_served_while_http2_is_abused() {
    neighbours_are_served(HTTP2);
}

#[test]
fn neighbours_are_served_while_requests_are_abusive() {
    neighbours_are_served(REQUESTS);
}

/// Of an answer that its client does not read, the system holds no more than the gateway does; without a bound it takes as
/// much as the upstream sends, up to megabytes each.
#[cfg(target_os = "linux")]
#[test]
fn f3_little_of_an_answer_waits_in_the_system() {
    let upstreams = Upstreams::beside(endless());
    let yaml = upstreams.yaml();
    let gateway = Gateway::with_all(TENANTS, &|_| yaml.clone(), MODELS, &[]);
    let body = chat("hi", r#","stream":true"#).replace("gpt-5", "endless");
    let held: Vec<TcpStream> = (0..10).map(|_| gateway.begin("/v1/chat/completions", ACME, &body)).collect();
    let waiting = || unsent(gateway.port);
    let (begin, mut last) = (Instant::now(), Vec::new());
    // Until nothing moves any more.
    while last.len() < held.len() || last != waiting() {
        assert!(begin.elapsed() < PATIENCE, "{last:?}");
        last = waiting();
        std::thread::sleep(Duration::from_millis(500));
    }
    assert!(last.iter().all(|bytes| (1..=256 << 10).contains(bytes)), "{last:?}");
    drop(held);
    gateway.in_flight(0);
}

/// What waits to be sent, or to be acknowledged, on each connection to this port. Source: Linux, `proc_net_tcp.rst`.
#[cfg(target_os = "linux")]
fn unsent(port: u16) -> Vec<u64> {
    let local = format!(":{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let columns = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    columns
        .filter(|column| column[1].ends_with(&local) && column[3] == "01")
        .map(|column| u64::from_str_radix(column[4].split(':').next().unwrap(), 16).unwrap())
        .collect()
}

/// Whether somebody who comes now, and asks at once, is served.
fn newcomer(port: u16) -> bool {
    let Ok(mut socket) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.write_all(&neighbours()).is_ok() && read_answer(socket).is_some_and(|answer| answer.status == 200)
}

/// However many connections wait for clients that ask nothing, and however they do, who asks is served: they make room.
#[test]
fn f4_connections_that_ask_nothing_keep_nobody_out() {
    let upstreams = Upstreams::beside(endless());
    let yaml = upstreams.yaml();
    let mut gateway = Gateway::with_all(TENANTS, &|_| yaml.clone(), MODELS, &[]);
    // 96 connections.
    assert!(gateway.restart_by("ulimit -n 256; exec SERVE"));
    let preface = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, &[])].concat();
    let half = |key: &str| {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n{key}content-length: 1000\r\n\r\n{{"
        )
    };
    let (nobody, bad) = (half(""), half("x-api-key: nobody\r\n"));
    let elsewhere = half(&format!("x-api-key: {ACME}\r\n")).replace("chat/completions", "nowhere");
    let ways: [(&str, &[u8]); 8] = [
        ("half a body of nobody's", nobody.as_bytes()),
        ("half a body with a key that is none", bad.as_bytes()),
        ("half a body that nobody wants", elsewhere.as_bytes()),
        ("silent", b""),
        ("a head that is not whole", b"POST /v1/chat/completions HTTP/1.1\r\nx: "),
        ("idle behind a refusal", b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n"),
        ("half a preface", b"PRI * HTTP"),
        ("idle HTTP/2", &preface),
    ];
    for (way, begin) in ways {
        let mut held = Vec::new();
        for round in 0..10 {
            for _ in 0..40 {
                let mut socket = TcpStream::connect(("127.0.0.1", gateway.port)).unwrap();
                drop(socket.write_all(begin));
                held.push(socket);
            }
            assert!(newcomer(gateway.port), "{way}, {} connections", (round + 1) * 40);
        }
        drop(held);
        gateway.in_flight(0);
    }
}

/// Connections with requests under way make no room: one too many is closed at once, and nobody is cut off for it.
#[test]
fn f4_one_too_many_is_closed_at_once() {
    let upstreams = Upstreams::beside(endless());
    let yaml = upstreams.yaml();
    let mut gateway = Gateway::with_all(TENANTS, &|_| yaml.clone(), MODELS, &[]);
    assert!(gateway.restart_by("ulimit -n 256; exec SERVE"));
    let body = chat("hi", r#","stream":true"#).replace("gpt-5", "endless");
    let mut held: Vec<TcpStream> =
        (0..96).map(|_| gateway.begin("/v1/chat/completions", ACME, &body)).collect();
    gateway.in_flight(96);
    for _ in 0..20 {
        let mut socket = TcpStream::connect(("127.0.0.1", gateway.port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let told = socket.read(&mut [0; 16]);
        assert!(!told.is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "it stays open");
    }
    gateway.in_flight(96);
    held.truncate(90);
    gateway.in_flight(90);
    assert!(newcomer(gateway.port));
    drop(held);
    gateway.in_flight(0);
}

/// Where the system gives no more files, who comes is told to come again: it is no failure of the upstream, which is asked
/// again as soon as there are some.
#[test]
fn o8_files_that_run_out_are_no_fault_of_an_upstreams() {
    let upstreams = Upstreams::beside(endless());
    let yaml = upstreams.yaml();
    let gateway = Gateway::with_all(TENANTS, &|_| yaml.clone(), MODELS, &[]);
    // What is written for both tenants is open.
    assert!(newcomer(gateway.port) && ask(&gateway, "probe").status == 200);
    // A few more than are open: for clients, and for some of their requests.
    let body = chat("hi", r#","stream":true"#).replace("gpt-5", "endless");
    assert!(gateway.limit_files(gateway.files() + 30));
    let held: Vec<TcpStream> = (0..20).map(|_| gateway.begin("/v1/chat/completions", ACME, &body)).collect();
    let mut told = BTreeMap::new();
    for mut socket in &held {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut head = [0; 4096];
        let length = socket.read(&mut head).unwrap();
        let head = String::from_utf8_lossy(&head[..length]).into_owned();
        let status = head.get(9..12).unwrap_or_default().to_owned();
        assert!(status != "503" || head.contains("retry-after: 1\r\n"), "{head}");
        *told.entry(status).or_insert(0) += 1;
    }
    assert!(told.keys().eq(["200", "503"]), "{told:?}");
    drop(held);
    gateway.in_flight(0);
    // Records may need a moment to be written again; the upstream needs none.
    let begin = Instant::now();
    loop {
        let told = ask(&gateway, "probe");
        match told.status {
            200 => break,
            status => assert!(status == 503 && begin.elapsed() < PATIENCE, "{told:?} {}", gateway.stderr()),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!gateway.stderr().contains("left alone"), "{}", gateway.stderr());
}

/// Connections to upstreams that rest share what files there are, whoever's they are: they keep nobody from asking others.
#[test]
fn o8_connections_that_rest_make_room() {
    let upstreams: Vec<(String, fault::Upstream)> = (0..4)
        .map(|number| {
            let slow = fault::Upstream::acting(|_, socket| {
                std::thread::sleep(Duration::from_millis(300));
                socket.write_all(fault::answer("ok").as_bytes()).is_ok()
            });
            (format!("up{number}"), slow)
        })
        .collect();
    let named: Vec<(&str, &fault::Upstream, &str)> =
        upstreams.iter().map(|(name, upstream)| (name.as_str(), upstream, "")).collect();
    let mut gateway = before(&named, "");
    assert!(gateway.restart_by("ulimit -n 256; exec SERVE"));
    for (name, _) in &upstreams {
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..80).map(|_| scope.spawn(|| ask(&gateway, name).status)).collect();
            asking.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        assert!(statuses.iter().all(|status| *status == 200), "{name}: {statuses:?}");
    }
    // Its own, and those that rest.
    assert!(gateway.files() < 128, "{}", gateway.files());
}
