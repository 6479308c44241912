//! H: HTTP/2 clients that write frames as no honest client does. After each attack the gateway serves others, holds no
//! request in flight, and no more memory than before.

use crate::{
    before::recorded,
    fault::{Upstream, stream},
    frames::{
        CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, HEADERS, Heard, PING, PRIORITY, RST_STREAM,
        SETTINGS, WINDOW_UPDATE, frame, head, head_of, literal,
    },
    support::{ACME, Gateway, TENANTS, chat},
};
use std::io::Write;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// After an attack.
fn is_well(gateway: &Gateway, rss_before: usize) {
    assert_eq!(gateway.get("/v1/models", ACME).status, 200);
    gateway.in_flight(0);
    let rss = gateway.rss_kib();
    assert!(rss < rss_before + (24 << 10), "{rss_before} KiB -> {rss} KiB");
}

/// Whole requests, reset as soon as they are sent. What the server says may be lost where it closes while more comes: of
/// several tries one is heard.
#[test]
fn h1_rapid_resets_end_the_connection_and_start_little() {
    let (gateway, upstream) = recorded();
    let rss = gateway.rss_kib();
    let body = br#"{"model":"probe","messages":[]}"#;
    let mut codes = Vec::new();
    for _ in 0..5 {
        let before = upstream.requests();
        let mut client = Client::connect(gateway.port, &[]);
        let mut sent = 0;
        for batch in 0..500_u32 {
            let mut bytes = Vec::new();
            for each in 0..100 {
                let stream = (batch * 100 + each) * 2 + 1;
                bytes.extend(frame(HEADERS, END_HEADERS, stream, &head("POST", "/v1/chat/completions")));
                bytes.extend(frame(DATA, END_STREAM, stream, body));
                bytes.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
            }
            if !client.send(&bytes) {
                break;
            }
            sent += 100;
        }
        let heard = client.hear(PATIENCE);
        assert!(heard.ended && sent < 50_000, "{sent}");
        assert!(upstream.requests() - before <= 200, "{} were sent on", upstream.requests() - before);
        codes.extend(heard.goaway);
    }
    assert!(codes.iter().all(|code| *code == 11) && !codes.is_empty(), "{codes:?}");
    is_well(&gateway, rss);
}

/// What is too large to be read is answered at once, and what comes of it meanwhile is read: some clients look at no answer
/// whose stream is reset beside it.
#[test]
fn a_body_that_is_too_large_is_answered_and_its_stream_not_reset() {
    let gateway = Gateway::with(TENANTS, "limits: { body: 100KiB }\n");
    for (key, said) in [(ACME, "larger than"), ("unknown", "invalid_api_key")] {
        let mut client = Client::connect(gateway.port, &[]);
        let head =
            [head_of(key, "POST", "/v1/chat/completions"), literal("content-length", "300000")].concat();
        let part = frame(DATA, 0, 1, &[b' '; 16_000]);
        client.send(&[frame(HEADERS, END_HEADERS, 1, &head), part.clone()].concat());
        let heard = client.hear_until(PATIENCE, |heard| heard.complete.contains(&1));
        assert!(heard.complete == [1] && heard.text(1).contains(said), "{heard:?}");
        assert!(client.send(&part));
        let heard = client.hear(Duration::from_millis(300));
        assert!(heard.resets.is_empty() && !heard.ended, "{heard:?}");
    }
}

#[test]
fn h2_h3_h4_floods_of_frames_are_bounded() {
    let (gateway, upstream) = recorded();
    let rss = gateway.rss_kib();
    let open = frame(HEADERS, END_HEADERS, 1, &head("POST", "/v1/chat/completions"));
    let unfinished = frame(HEADERS, 0, 1, &head("POST", "/v1/chat/completions"));
    let floods: &[(&str, &[u8], Vec<u8>)] = &[
        ("CONTINUATION", &unfinished, frame(CONTINUATION, 0, 1, &literal("x", &"y".repeat(100)))),
        ("empty CONTINUATION", &unfinished, frame(CONTINUATION, 0, 1, &[])),
        ("PING", &[], frame(PING, 0, 0, &[0; 8])),
        ("SETTINGS", &[], frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])),
        ("PRIORITY", &[], frame(PRIORITY, 0, 3, &[0, 0, 0, 0, 1])),
        ("WINDOW_UPDATE", &[], frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff])),
        ("empty DATA", &open, frame(DATA, 0, 1, &[])),
    ];
    for (name, before, each) in floods {
        let mut client = Client::connect(gateway.port, &[]);
        assert!(client.send(before), "{name}");
        let flood = each.repeat(1000);
        let mut sent = 0;
        let started = Instant::now();
        while sent < 200_000 && started.elapsed() < Duration::from_secs(3) && client.send(&flood) {
            sent += 1000;
            if sent % 10_000 == 0 {
                assert!(gateway.rss_kib() < rss + (24 << 10), "{name}: {rss} -> {} KiB", gateway.rss_kib());
            }
        }
        let heard = client.hear(Duration::from_millis(500));
        println!("{name}: {sent} frames sent, goaway {:?}, ended {}", heard.goaway, heard.ended);
        if name.contains("CONTINUATION") || name.contains("WINDOW") {
            assert!(heard.ended || heard.goaway.is_some(), "{name}");
        }
        drop(client);
        is_well(&gateway, rss);
    }
    assert_eq!(upstream.requests(), 0);
}

#[test]
fn h5_readers_without_a_window_hold_little() {
    let (gateway, _upstream) = recorded();
    let rss = gateway.rss_kib();
    let get = head("GET", "/v1/models");
    let clients: Vec<Client> = (0..100)
        .map(|_| {
            // SETTINGS_INITIAL_WINDOW_SIZE is 0.
            let mut client = Client::connect(gateway.port, &[0, 4, 0, 0, 0, 0]);
            for stream in 0..20_u32 {
                client.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream * 2 + 1, &get));
            }
            client
        })
        .collect();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(gateway.get("/v1/models", ACME).status, 200);
    let now = gateway.rss_kib();
    assert!(now < rss + (96 << 10), "{rss} -> {now}");
    drop(clients);
    gateway.in_flight(0);
}

#[test]
fn h6_a_small_head_that_unpacks_to_a_large_one_is_refused() {
    let (gateway, upstream) = recorded();
    let rss = gateway.rss_kib();
    let mut client = Client::connect(gateway.port, &[]);
    // Into the dynamic table once, then referred to thousands of times.
    let value = "y".repeat(120);
    let mut packed = head("GET", "/v1/models");
    packed.extend([0x40, 1, b'x', 120]);
    packed.extend(value.bytes());
    packed.extend([0xbe; 8000]);
    client.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &packed));
    let heard = client.hear_until(PATIENCE, |heard| {
        !heard.heads.is_empty() || !heard.resets.is_empty() || heard.goaway.is_some()
    });
    assert_eq!((heard.status(1), heard.goaway), (None, Some(11)), "{heard:?}");
    assert_eq!(upstream.requests(), 0);
    is_well(&gateway, rss);
}

#[test]
fn h7_streams_that_the_server_is_made_to_reset_are_counted() {
    let (gateway, upstream) = recorded();
    let rss = gateway.rss_kib();
    let mut client = Client::connect(gateway.port, &[]);
    let mut sent = 0;
    for batch in 0..100_u32 {
        let mut bytes = Vec::new();
        for each in 0..100 {
            let stream = (batch * 100 + each) * 2 + 1;
            bytes.extend(frame(HEADERS, END_HEADERS, stream, &head("POST", "/v1/chat/completions")));
            bytes.extend(frame(WINDOW_UPDATE, 0, stream, &[0; 4]));
        }
        if !client.send(&bytes) {
            break;
        }
        sent += 100;
    }
    let heard = client.hear(Duration::from_secs(3));
    println!("{sent} streams, {:?} {}", heard.goaway, heard.ended);
    assert!(heard.ended || heard.goaway.is_some());
    assert_eq!(upstream.requests(), 0);
    is_well(&gateway, rss);
}

/// What became of the stream: its answer's status, else how it was reset, else how the connection ended.
fn outcome(heard: &Heard, stream: u32) -> String {
    let reset = heard.resets.iter().find(|(id, _)| *id == stream);
    match (heard.status(stream), reset, heard.goaway) {
        (Some(status), _, _) => format!("{status}"),
        (None, Some((_, code)), _) => format!("reset {code}"),
        (None, None, Some(code)) => format!("goaway {code}"),
        (None, None, None) => "nothing".to_owned(),
    }
}

#[test]
fn h8_h9_heads_that_another_http_would_read_otherwise_are_refused() {
    let (gateway, upstream) = recorded();
    let body = br#"{"model":"probe","messages":[]}"#;
    let length = body.len().to_string();
    let good = || [head("POST", "/v1/chat/completions"), literal("content-length", &length)].concat();
    let without_path =
        [literal(":method", "POST"), literal(":scheme", "http"), literal(":authority", "localhost")].concat();
    let of = |pseudo: &[(&str, &str)]| -> Vec<u8> {
        let pseudo = [(":method", "POST"), (":path", "/v1/chat/completions")].iter().chain(pseudo);
        let names: Vec<u8> = pseudo.flat_map(|(name, value)| literal(name, value)).collect();
        [names, literal("x-api-key", ACME), literal("content-length", &length)].concat()
    };
    let (http, here) = ((":scheme", "http"), (":authority", "localhost"));
    let cases: Vec<(&str, &str, Vec<u8>)> = vec![
        ("no host", "400", of(&[http])),
        ("two hosts", "400", of(&[http, here, ("host", "localhost"), ("host", "localhost")])),
        ("two hosts alone", "400", of(&[http, ("host", "localhost"), ("host", "other")])),
        ("a user in the authority", "400", of(&[http, (":authority", "acme@localhost")])),
        ("another scheme", "400", of(&[(":scheme", "evil"), here])),
        (
            "the guard's mark",
            "400",
            [good(), literal("host", "other"), literal("x-tollgate-refused", "x")].concat(),
        ),
        ("the same length twice", "400", [good(), literal("content-length", &length)].concat()),
        ("authority and host", "400", [good(), literal("host", "other")].concat()),
        ("pseudo-header behind", "reset 1", [good(), literal(":path", "/other")].concat()),
        ("pseudo-header twice", "reset 1", [literal(":path", "/other"), good()].concat()),
        ("status in a request", "reset 1", [literal(":status", "200"), good()].concat()),
        ("unknown pseudo-header", "goaway 1", [literal(":tenant", "acme"), good()].concat()),
        ("upper case", "goaway 1", [good(), literal("X-Upper", "y")].concat()),
        ("connection", "reset 1", [good(), literal("connection", "keep-alive")].concat()),
        ("keep-alive", "reset 1", [good(), literal("keep-alive", "1")].concat()),
        ("proxy-connection", "reset 1", [good(), literal("proxy-connection", "close")].concat()),
        ("transfer-encoding", "reset 1", [good(), literal("transfer-encoding", "chunked")].concat()),
        ("upgrade", "reset 1", [good(), literal("upgrade", "h2c")].concat()),
        ("te", "reset 1", [good(), literal("te", "gzip")].concat()),
        ("cr lf", "goaway 1", [good(), literal("x", "a\r\nhost: other")].concat()),
        ("blank before a value", "400", [good(), literal("x", " y")].concat()),
        ("blank behind a value", "400", [good(), literal("x", "y ")].concat()),
        ("tab behind a value", "400", [good(), literal("x", "y\t")].concat()),
        ("nothing but a blank", "400", [good(), literal("x", " ")].concat()),
        ("101 headers", "431", [good(), literal("x", "y").repeat(101)].concat()),
        ("nul", "goaway 1", [good(), literal("x", "a\0b")].concat()),
        ("name with colon", "goaway 1", [good(), literal("x:y", "z")].concat()),
        ("name with space", "goaway 1", [good(), literal("x y", "z")].concat()),
        (
            "length too small",
            "reset 1",
            [head("POST", "/v1/chat/completions"), literal("content-length", "3")].concat(),
        ),
        (
            "length too large",
            "reset 1",
            [head("POST", "/v1/chat/completions"), literal("content-length", "999")].concat(),
        ),
        (
            "length that is none",
            "reset 1",
            [head("POST", "/v1/chat/completions"), literal("content-length", "+31")].concat(),
        ),
        ("two lengths", "reset 1", [good(), literal("content-length", "3")].concat()),
        ("no path", "reset 1", without_path),
        ("path with space", "reset 1", head("POST", "/v1/chat completions")),
        ("no slash", "reset 1", head("POST", "v1/chat/completions")),
        (
            "connect",
            "404",
            [literal(":method", "CONNECT"), literal(":authority", "localhost:1"), literal("x-api-key", ACME)]
                .concat(),
        ),
    ];
    let mut others = Vec::new();
    for (name, expected, head) in cases {
        let mut client = Client::connect(gateway.port, &[]);
        client.send(&frame(HEADERS, END_HEADERS, 1, &head));
        client.send(&frame(DATA, END_STREAM, 1, body));
        let heard = client.hear_until(PATIENCE, |heard| outcome(heard, 1) != "nothing");
        let outcome = outcome(&heard, 1);
        if outcome != expected {
            others.push(format!("{name}: {outcome}, not {expected}"));
        }
    }
    assert!(others.is_empty(), "{others:#?}");
    assert_eq!(upstream.requests(), 0, "{}", upstream.text());
    let mut client = Client::connect(gateway.port, &[]);
    client.send(&frame(HEADERS, END_HEADERS, 1, &good()));
    client.send(&frame(DATA, END_STREAM, 1, body));
    assert_eq!(outcome(&client.hear_until(PATIENCE, |heard| outcome(heard, 1) != "nothing"), 1), "200");
    assert_eq!(upstream.requests(), 1);
}

/// H8, H9: what stands behind a body is no head: what h2 lets through of it is not looked at, and no upstream sees it.
#[test]
fn h8_h9_nothing_behind_a_body_is_believed() {
    let (gateway, upstream) = recorded();
    let body = br#"{"model":"probe","messages":[]}"#;
    let trailers: Vec<(&str, &str, Vec<u8>)> = vec![
        ("none of it", "200", literal("x-checksum", "trailer")),
        ("path", "200", literal(":path", "/trailer")),
        ("authority", "200", literal(":authority", "trailer")),
        ("unknown pseudo-header", "goaway 1", literal(":trailer", "x")),
        ("length", "200", literal("content-length", "3")),
        ("host", "200", literal("host", "trailer")),
        ("key", "200", literal("x-api-key", "trailer")),
        ("connection", "reset 1", literal("connection", "trailer")),
        ("transfer-encoding", "reset 1", literal("transfer-encoding", "trailer")),
        ("upper case", "goaway 1", literal("X-Trailer", "y")),
        ("cr lf", "goaway 1", literal("x", "a\r\nhost: trailer")),
    ];
    let mut others = Vec::new();
    for (name, expected, trailer) in &trailers {
        let mut client = Client::connect(gateway.port, &[]);
        client.send(&frame(HEADERS, END_HEADERS, 1, &head("POST", "/v1/chat/completions")));
        client.send(&frame(DATA, 0, 1, body));
        client.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, trailer));
        let heard = client.hear_until(PATIENCE, |heard| outcome(heard, 1) != "nothing");
        let outcome = outcome(&heard, 1);
        if outcome != *expected {
            others.push(format!("{name}: {outcome}, not {expected}"));
        }
    }
    assert!(others.is_empty(), "{others:#?}");
    // Those that came through are requests like the one without trailers.
    let good = trailers.iter().filter(|(_, expected, _)| *expected == "200").count();
    assert_eq!(upstream.requests(), good);
    let text = upstream.text();
    assert!(!text.to_ascii_lowercase().contains("trailer"), "{text}");
    let heads: std::collections::BTreeSet<&str> = text.split("\r\n\r\n").step_by(2).collect();
    println!("{heads:?}");
    assert_eq!(text.matches("content-length: 31\r\n").count(), good, "{text}");
}

/// H8: what stands behind a `#` is no part of a path. h2 takes it off and says nothing of it: what is decided on and done is
/// what the path says without it, and nobody sees the rest.
#[test]
fn h8_what_stands_behind_a_number_sign_is_nothing() {
    let (gateway, upstream) = recorded();
    let body = br#"{"model":"probe","messages":[]}"#;
    for (path, status) in [
        ("/v1/chat/completions#", 200),
        ("/v1/chat/completions#/../models", 200),
        ("/v1/chat/completions#?x=trailer", 200),
        ("/v1/chat#/completions", 404),
        ("/#/v1/chat/completions", 404),
        ("#/v1/chat/completions", 0),
    ] {
        let mut client = Client::connect(gateway.port, &[]);
        client.send(&frame(HEADERS, END_HEADERS, 1, &head("POST", path)));
        client.send(&frame(DATA, END_STREAM, 1, body));
        let heard = client.hear_until(PATIENCE, |heard| outcome(heard, 1) != "nothing");
        println!("{path}: {}", outcome(&heard, 1));
        assert!(status == 0 || outcome(&heard, 1) == status.to_string(), "{path}: {}", outcome(&heard, 1));
    }
    assert_eq!(upstream.requests(), 3);
    assert!(!upstream.text().contains('#') && !upstream.text().contains("trailer"), "{}", upstream.text());
}

/// T2: whatever host a client of HTTP/2 names, its credential says who it is.
#[test]
fn t2_the_authority_decides_nothing() {
    let (gateway, _upstream) = recorded();
    for authority in ["localhost", "globex.example", "127.0.0.1:1", "admin", "acme.internal:443", "[::1]"] {
        let ask = |key: &[u8]| {
            let pseudo =
                [(":method", "GET"), (":scheme", "http"), (":authority", authority), (":path", "/v1/models")];
            let mut head: Vec<u8> = pseudo.iter().flat_map(|(name, value)| literal(name, value)).collect();
            head.extend(key);
            let mut client = Client::connect(gateway.port, &[]);
            client.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &head));
            client.hear_until(PATIENCE, |heard| heard.complete.contains(&1)).status(1)
        };
        assert_eq!(ask(&literal("x-api-key", ACME)), Some(200), "{authority}");
        // 401 is not in the static table.
        assert_eq!((ask(&[]), ask(&literal("x-api-key", "unknown"))), (Some(0), Some(0)), "{authority}");
    }
}

/// F3, H5: who stops reading a stream, by the socket or by its window, is left after a minute, and gives its place back.
#[test]
fn f3_h5_readers_that_stop_are_left_after_a_minute() {
    let endless = Upstream::acting(|_, socket| {
        let text = stream(200);
        let (head, events) = text.split_once("\r\n\r\n").unwrap();
        drop(socket.write_all(format!("{head}\r\n\r\n").as_bytes()));
        while socket.write_all(events.as_bytes()).is_ok() {}
        false
    });
    let yaml = endless.yaml("endless", "");
    let gateway =
        Gateway::with_all(TENANTS, &|_| yaml.clone(), "  gpt-endless: { upstream: endless }\n", &[])
            .watched();
    let rss = gateway.rss_kib();
    let body = chat("hi", r#","stream":true"#).replace("gpt-5", "gpt-endless");
    let begin = Instant::now();
    let sockets: Vec<_> = (0..10).map(|_| gateway.begin("/v1/chat/completions", ACME, &body)).collect();
    let mut clients: Vec<Client> = (0..10).map(|_| Client::connect(gateway.port, &[])).collect();
    for client in &mut clients {
        client.send(&frame(HEADERS, END_HEADERS, 1, &head("POST", "/v1/chat/completions")));
        client.send(&frame(DATA, END_STREAM, 1, body.as_bytes()));
    }
    gateway.in_flight(20);
    let is_left = |gateway: &Gateway| gateway.admin_get("/metrics").body.contains("\ntollgate_in_flight 0\n");
    let mut most = rss;
    while !is_left(&gateway) {
        most = most.max(gateway.rss_kib());
        assert!(begin.elapsed() < Duration::from_secs(180), "they are kept");
        assert_eq!(gateway.get("/v1/models", ACME).status, 200);
        std::thread::sleep(Duration::from_millis(500));
    }
    assert!(begin.elapsed() > Duration::from_secs(50), "{:?}", begin.elapsed());
    println!("20 readers: {} KiB", most - rss);
    // A build without optimization holds more than the 256 KiB that each may.
    assert!(most < rss + 20 * 512 + (4 << 10), "{rss} -> {most} KiB");
    drop((sockets, clients));
}
