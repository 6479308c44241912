//! F: connections on which nothing is asked, and requests that are refused before their bodies come.

use crate::{
    before::recorded,
    fault::{read_until_end, statuses, talk},
    support::{ACME, Gateway, read_answer},
};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(30);

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nx-api-key: {ACME}\r\n\r\n")
}

fn asks(socket: &mut TcpStream) -> u16 {
    socket.write_all(get("/v1/models").as_bytes()).unwrap();
    read_answer(socket.try_clone().unwrap()).unwrap().status
}

fn is_closed(socket: &mut TcpStream) -> bool {
    matches!(socket.read(&mut [0]), Ok(0) | Err(_))
}

/// What the contract promises of 10,000 in a release build holds of a thousand without optimization, once they are idle.
#[test]
fn f4_idle_connections_cost_little_and_go_on() {
    const COUNT: usize = 1000;
    // 10 KiB in a release build (`cargo bench --bench hostile -- idle`); this one's tasks are larger.
    const EACH_MAX: usize = 16 << 10;
    let (gateway, _upstream) = recorded();
    let open = |_| {
        let mut socket = gateway.connect();
        assert_eq!(asks(&mut socket), 200);
        socket
    };
    // As many before: what requests took at once has been given back, and is there to be used again.
    let warm: Vec<TcpStream> = (0..COUNT).map(open).collect();
    std::thread::sleep(Duration::from_secs(3));
    let (before, files) = (gateway.rss_kib(), gateway.files());
    let mut idle: Vec<TcpStream> = (0..COUNT).map(open).collect();
    // They are parked a second later, or when a busy machine comes to it.
    let measure = || gateway.rss_kib().saturating_sub(before) * 1024 / COUNT;
    let until = Instant::now() + PATIENCE;
    let mut each = measure();
    while each >= EACH_MAX && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(500));
        each = measure();
    }
    println!("an idle connection costs {each} bytes");
    assert!(each < EACH_MAX, "{each} bytes each");
    assert!(gateway.files() >= files + COUNT);
    // Each is served still, pipelined and cut wherever it may be.
    for (number, socket) in idle.iter_mut().enumerate() {
        let twice = get("/v1/models").repeat(2);
        let (first, rest) = twice.split_at(1 + number % (twice.len() - 1));
        socket.write_all(first.as_bytes()).unwrap();
        socket.write_all(rest.as_bytes()).unwrap();
        let (mut text, mut chunk) = (String::new(), [0; 4096]);
        while text.matches("HTTP/1.1 200").count() < 2 || !text.ends_with('}') {
            let length = socket.read(&mut chunk).unwrap();
            assert!(length > 0, "{number}: {text}");
            text.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
        }
    }
    // Who leaves while it is idle, and who leaves just so.
    std::thread::sleep(Duration::from_secs(2));
    drop(idle.split_off(COUNT / 2));
    let mut last = idle.split_off(COUNT / 4);
    assert_eq!(asks(last.first_mut().unwrap()), 200);
    drop((last, idle));
    gateway.wait("files", |gateway| gateway.files() <= files);
    drop(warm);
    gateway.in_flight(0);
}

/// An end closes what is idle, parked or not, at once.
#[test]
fn f4_an_end_waits_for_nobody_who_is_idle() {
    let mut gateway = Gateway::with(crate::support::TENANTS, "limits: { drain: 60s }\n").watched();
    let open = || {
        let mut socket = gateway.connect();
        assert_eq!(asks(&mut socket), 200);
        socket
    };
    let parked: Vec<TcpStream> = (0..20).map(|_| open()).collect();
    std::thread::sleep(Duration::from_secs(2));
    let fresh: Vec<TcpStream> = (0..20).map(|_| open()).collect();
    gateway.signal("TERM");
    for mut socket in parked.into_iter().chain(fresh) {
        assert!(is_closed(&mut socket));
    }
    assert_eq!(gateway.exit_status(), Some(0));
}

/// A new connection has as long for its first byte as for its head; one that asked something may rest for longer.
#[test]
fn f3_who_says_nothing_at_first_is_let_go_and_who_rests_later_is_not() {
    let (gateway, _upstream) = recorded();
    let mut rests = gateway.connect();
    assert_eq!(asks(&mut rests), 200);
    let started = Instant::now();
    let mut silent = gateway.connect();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    assert!(started.elapsed() > Duration::from_secs(9), "{:?}", started.elapsed());
    assert_eq!(asks(&mut rests), 200);
}

/// By how long it would take otherwise: each was read for two seconds before it was answered.
#[test]
fn f2_a_body_that_is_announced_too_large_is_refused_at_once() {
    const TIMES: usize = 8;
    let (gateway, upstream) = recorded();
    let started = Instant::now();
    for time in 0..TIMES {
        let (path, expect) = [
            ("/v1/chat/completions", ""),
            ("/v1/chat/completions", "Expect: 100-continue\r\n"),
            ("/v1/messages", ""),
            ("/v1/responses", "Expect: 100-continue\r\n"),
        ][time % 4];
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nx-api-key: {ACME}\r\n{expect}Content-Length: 10485761\r\n\r\n"
        );
        let mut socket = gateway.connect();
        socket.write_all(head.as_bytes()).unwrap();
        let (mut text, mut chunk) = (String::new(), [0; 4096]);
        while !text.ends_with('}') {
            let length = socket.read(&mut chunk).unwrap();
            assert!(length > 0, "{text}");
            text.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
        }
        assert_eq!(statuses(&text), [413], "no 100 before it: {text}");
        assert!(text.contains("connection: close"), "{text}");
    }
    let took = started.elapsed();
    assert!(took < Duration::from_secs(2) * u32::try_from(TIMES).unwrap(), "{took:?}");
    // Who sends all of it before it reads does read the answer.
    let length = 12 << 20;
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nx-api-key: {ACME}\r\nContent-Length: {length}\r\n\r\n{}",
        " ".repeat(length)
    );
    let mut socket = gateway.connect();
    socket.write_all(request.as_bytes()).unwrap();
    let (text, _) = read_until_end(&mut socket, PATIENCE);
    assert_eq!(statuses(&text), [413], "{text}");
    // And nothing behind it is taken for a request.
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nx-api-key: {ACME}\r\nContent-Length: 20000000\r\n\r\n"
    );
    let answers = talk(gateway.port, (head + &get("/v1/models")).as_bytes(), Duration::from_secs(5));
    assert_eq!(statuses(&answers), [413], "{answers}");
    assert_eq!(upstream.requests(), 0);
    gateway.in_flight(0);
}

/// Refused for something else, a client that waits to be told to go on is not told so either.
#[test]
fn f5_who_is_refused_is_not_told_to_go_on() {
    let (gateway, upstream) = recorded();
    for (path, more, status) in [
        ("/v1/nothing", "", 404),
        ("/v1/chat/completions", "Content-Encoding: gzip\r\n", 415),
        ("/v1/chat/completions", "Content-Type: text/plain\r\n", 415),
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nx-api-key: {ACME}\r\nExpect: 100-continue\r\n{more}Content-Length: 20\r\n\r\n"
        );
        let answers = talk(gateway.port, head.as_bytes(), PATIENCE);
        assert_eq!(statuses(&answers), [status], "{answers}");
    }
    assert_eq!(upstream.requests(), 0);
}
