//! F: requests that two servers could read in two ways, and requests that never end. Each is sent between two good ones,
//! and an upstream that keeps every byte says what went through.

use crate::{
    before::recorded,
    fault::{read_until_end, statuses, talk},
    support::ACME,
};
use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(5);

fn body(marker: &str) -> String {
    format!(r#"{{"model":"probe","messages":[{{"role":"user","content":"{marker}"}}]}}"#)
}

fn good(marker: &str) -> String {
    let body = body(marker);
    let length = body.len();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nx-api-key: {ACME}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// The probes of F1: what is sent (`@` is the key's header, `LEN` the body's length), and the status; 200 goes through.
const PROBES: &[(&str, &str, u16)] = &[
    ("plain", "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Content-Length: LEN\r\n\r\nBODY", 200),
    (
        "cl_te",
        "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Content-Length: LEN\r\nTransfer-Encoding: chunked\r\n\r\nCHUNKS",
        400,
    ),
    (
        "te_cl",
        "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Transfer-Encoding: chunked\r\nContent-Length: LEN\r\n\r\nCHUNKS",
        400,
    ),
    (
        "cl_twice_same",
        "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Content-Length: LEN\r\nContent-Length: LEN\r\n\r\nBODY",
        400,
    ),
    (
        "cl_twice_other",
        "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Content-Length: LEN\r\nContent-Length: 2\r\n\r\nBODY",
        400,
    ),
    ("cl_list", "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Content-Length: LEN, LEN\r\n\r\nBODY", 400),
    ("cl_plus", "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Content-Length: +LEN\r\n\r\nBODY", 400),
    ("cl_hex", "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Content-Length: 0xLEN\r\n\r\nBODY", 400),
    ("cl_minus", "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Content-Length: -1\r\n\r\nBODY", 400),
    (
        "cl_huge",
        "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Content-Length: 18446744073709551617\r\n\r\nBODY",
        400,
    ),
    ("cl_empty", "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Content-Length:\r\n\r\nBODY", 400),
    ("cl_inner_space", "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Content-Length: 1 2\r\n\r\nBODY", 400),
    ("te_chunked", "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Transfer-Encoding: chunked\r\n\r\nCHUNKS", 200),
    (
        "te_gzip_chunked",
        "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Transfer-Encoding: gzip, chunked\r\n\r\nCHUNKS",
        400,
    ),
    (
        "te_chunked_gzip",
        "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Transfer-Encoding: chunked, gzip\r\n\r\nCHUNKS",
        400,
    ),
    (
        "te_xchunked",
        "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Transfer-Encoding: xchunked\r\n\r\nCHUNKS",
        400,
    ),
    (
        "te_twice",
        "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\nCHUNKS",
        400,
    ),
    (
        "te_identity",
        "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Transfer-Encoding: identity\r\nContent-Length: LEN\r\n\r\nBODY",
        400,
    ),
    (
        "te_space_colon",
        "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Transfer-Encoding : chunked\r\n\r\nCHUNKS",
        400,
    ),
    (
        "te_tab_value",
        "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Transfer-Encoding:\tchunked\r\n\r\nCHUNKS",
        200,
    ),
    (
        "te_vt_value",
        "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Transfer-Encoding: \x0bchunked\r\n\r\nCHUNKS",
        400,
    ),
    (
        "te_in_http10",
        "POST PATH HTTP/1.0\r\nHost: localhost\r\n@Transfer-Encoding: chunked\r\n\r\nCHUNKS",
        400,
    ),
    (
        "obs_fold",
        "POST PATH HTTP/1.1\r\nHost: localhost\r\n@X: a\r\n b\r\nContent-Length: LEN\r\n\r\nBODY",
        400,
    ),
    ("bare_cr", "POST PATH HTTP/1.1\r\nHost: localhost\r\n@X: a\rb\r\nContent-Length: LEN\r\n\r\nBODY", 400),
    ("nul", "POST PATH HTTP/1.1\r\nHost: localhost\r\n@X: a\0b\r\nContent-Length: LEN\r\n\r\nBODY", 400),
    ("leading_space", "POST PATH HTTP/1.1\r\n Host: localhost\r\n@Content-Length: LEN\r\n\r\nBODY", 400),
    ("bare_lf", "POST PATH HTTP/1.1\nHost: localhost\n@Content-Length: LEN\n\nBODY", 400),
    ("bare_lf_once", "POST PATH HTTP/1.1\r\nHost: localhost\r\n@X: y\nContent-Length: LEN\r\n\r\nBODY", 400),
    ("lower_case_http", "POST PATH http/1.1\r\nHost: localhost\r\n@Content-Length: LEN\r\n\r\nBODY", 400),
    ("http_2_0", "POST PATH HTTP/2.0\r\nHost: localhost\r\n@Content-Length: LEN\r\n\r\nBODY", 400),
    ("http_0_9", "GET PATH\r\n\r\n", 400),
    ("two_spaces", "POST  PATH HTTP/1.1\r\nHost: localhost\r\n@Content-Length: LEN\r\n\r\nBODY", 400),
    ("no_host", "POST PATH HTTP/1.1\r\n@Content-Length: LEN\r\n\r\nBODY", 400),
    (
        "two_hosts",
        "POST PATH HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n@Content-Length: LEN\r\n\r\nBODY",
        400,
    ),
    ("empty_host", "POST PATH HTTP/1.1\r\nHost:\r\n@Content-Length: LEN\r\n\r\nBODY", 400),
    (
        "absolute_other",
        "POST http://other/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n@Content-Length: LEN\r\n\r\nBODY",
        400,
    ),
    (
        "absolute_same",
        "POST http://localhost/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n@Content-Length: LEN\r\n\r\nBODY",
        200,
    ),
    (
        "absolute_user",
        "POST http://localhost@other/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n@Content-Length: LEN\r\n\r\nBODY",
        400,
    ),
    ("raw_utf8_path", "POST PATH\u{e4} HTTP/1.1\r\nHost: localhost\r\n@Content-Length: LEN\r\n\r\nBODY", 400),
    ("fragment", "POST PATH#x HTTP/1.1\r\nHost: localhost\r\n@Content-Length: LEN\r\n\r\nBODY", 400),
    ("backslash", "POST \\v1\\chat HTTP/1.1\r\nHost: localhost\r\n@Content-Length: LEN\r\n\r\nBODY", 400),
    (
        "chunk_0x",
        "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Transfer-Encoding: chunked\r\n\r\n0xLENX\r\nBODY\r\n0\r\n\r\n",
        400,
    ),
    (
        "chunk_overflow",
        "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Transfer-Encoding: chunked\r\n\r\n10000000000000000LENX\r\nBODY\r\n0\r\n\r\n",
        400,
    ),
    (
        "chunk_lf",
        "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Transfer-Encoding: chunked\r\n\r\nLENX\nBODY\n0\n\n",
        400,
    ),
    (
        "chunk_bad_end",
        "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Transfer-Encoding: chunked\r\n\r\nLENX\r\nBODYXX0\r\n\r\n",
        400,
    ),
    (
        "chunk_extension_long",
        "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Transfer-Encoding: chunked\r\n\r\nLENX;LONG\r\nBODY\r\n0\r\n\r\n",
        400,
    ),
    (
        "chunk_negative",
        "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Transfer-Encoding: chunked\r\n\r\n-LENX\r\nBODY\r\n0\r\n\r\n",
        400,
    ),
    (
        "trailers",
        "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Transfer-Encoding: chunked\r\n\r\nLENX\r\nBODY\r\n0\r\nX-Tenant-Id: globex\r\nContent-Length: 9\r\n\r\n",
        200,
    ),
    ("headers_101", "POST PATH HTTP/1.1\r\nHost: localhost\r\n@MANYContent-Length: LEN\r\n\r\nBODY", 431),
    (
        "header_300k",
        "POST PATH HTTP/1.1\r\nHost: localhost\r\n@X: HUGE\r\nContent-Length: LEN\r\n\r\nBODY",
        431,
    ),
    ("uri_70k", "POST PATH?BIG HTTP/1.1\r\nHost: localhost\r\n@Content-Length: LEN\r\n\r\nBODY", 414),
    (
        "upgrade_h2c",
        "POST PATH HTTP/1.1\r\nHost: localhost\r\n@Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: LEN\r\n\r\nBODY",
        200,
    ),
    ("connect", "CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n@\r\n", 405),
    (
        "own_refusal",
        "POST PATH HTTP/1.1\r\nHost: localhost\r\n@X-Tollgate-Refused: 400 x\r\nContent-Length: LEN\r\n\r\nBODY",
        200,
    ),
];

/// Empty lines in front of a request (RFC 9112, section 2.2) are left out, where they end as lines do and are few. Whatever
/// is behind them is what it would be without.
#[test]
fn empty_lines_before_a_request_are_left_out() {
    let (gateway, upstream) = recorded();
    let good = good("behind");
    let of = |text: &str| statuses(&talk(gateway.port, text.as_bytes(), Duration::from_millis(1200)));
    assert_eq!(of(&format!("\r\n{good}")), [200]);
    assert_eq!(of(&format!("\r\n\r\n{good}\r\n{good}\r\n\r\n\r\n{good}\r\n")), [200, 200, 200]);
    assert_eq!(upstream.requests(), 4);
    for bad in ["\n", "\r\n\n", "\r", "\r\r\n", " \r\n", "\r\n \r\n", &"\r\n".repeat(100)] {
        assert_eq!(of(&format!("{bad}{good}")), [400], "{bad:?}");
        assert_eq!(of(&format!("{good}{bad}{good}")), [200, 400], "{bad:?}");
    }
    // What smuggles does so behind them as little.
    for text in ["bare_lf", "cl_te", "te_space_colon", "two_hosts", "nul"] {
        let (_, text, status) = PROBES.iter().find(|(name, ..)| *name == text).unwrap();
        assert_eq!(of(&format!("\r\n{}{good}", probe(text))), [*status], "{text}");
    }
    // One that idles with an empty line, as some clients send behind a body, is still good.
    let mut socket = gateway.connect();
    for _ in 0..3 {
        socket.write_all(format!("{good}\r\n").as_bytes()).unwrap();
        let (text, ended) = read_until_end(&mut socket, Duration::from_millis(1500));
        assert!(!ended, "{text}");
        assert_eq!(statuses(&text), [200]);
    }
}

fn probe(text: &str) -> String {
    let body = body("probe");
    let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    text.replace("PATH", "/v1/chat/completions")
        .replace('@', &format!("x-api-key: {ACME}\r\n"))
        .replace("CHUNKS", &chunks)
        .replace("LENX", &format!("{:x}", body.len()))
        .replace("LEN", &body.len().to_string())
        .replace("BODY", &body)
        .replace("MANY", &"x: y\r\n".repeat(100))
        .replace("HUGE", &"x".repeat(300_000))
        .replace("LONG", &"x".repeat(20_000))
        .replace("BIG", &"x".repeat(70_000))
}

/// The at-sign of the one probe that needs it in its target.
fn probe_named(name: &str, text: &str) -> String {
    match name {
        "absolute_user" => {
            probe(&text.replacen("localhost@other", "localhost%AT%other", 1)).replace("%AT%", "@")
        }
        _ => probe(text),
    }
}

#[test]
fn f1_probes_have_their_verdict_and_smuggle_nothing() {
    let (gateway, upstream) = recorded();
    assert!(PROBES.len() >= 46);
    let mut expected = String::new();
    for (name, text, status) in PROBES {
        let alone = probe_named(name, text).replace("probe\"}]", "alone\"}]");
        let answers = talk(gateway.port, alone.as_bytes(), Duration::from_millis(700));
        assert_eq!(statuses(&answers).first(), Some(status), "{name} alone: {answers}");
        let pipeline =
            [&good("before"), &probe_named(name, text), &good("behind")].map(String::as_str).concat();
        let answers = talk(gateway.port, pipeline.as_bytes(), Duration::from_millis(1500));
        let wanted = if *status == 200 { vec![200, 200, 200] } else { vec![200, *status] };
        assert_eq!(statuses(&answers), wanted, "{name} in a pipeline: {answers}");
        let through = if *status == 200 { "alone before probe behind " } else { "before " };
        expected.push_str(through);
        if *status != 200 {
            let told = answers.rsplit("\r\n\r\n").next().unwrap();
            let told: serde_json::Value =
                serde_json::from_str(told).unwrap_or_else(|_| panic!("{name}: {answers}"));
            assert!(told["error"]["message"].as_str().is_some_and(|why| why.len() > 10), "{name}: {told}");
        }
    }
    let text = upstream.text();
    let markers: Vec<&str> = text
        .match_indices(r#""content":""#)
        .map(|(at, tag)| text[at + tag.len()..].split('"').next().unwrap())
        .collect();
    assert_eq!(markers.join(" "), expected.trim());
    // What went upstream was written by the gateway alone.
    assert!(!text.to_ascii_lowercase().contains("transfer-encoding"), "{text}");
    assert!(!text.contains("X-Tenant-Id") && !text.contains("globex") && !text.contains("h2c"), "{text}");
}

#[test]
fn f2_a_body_that_is_too_large_is_refused_before_it_is_read() {
    let (gateway, upstream) = recorded();
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nx-api-key: {ACME}\r\n");
    let announced = format!("{head}Content-Length: 10485761\r\n\r\n");
    let started = Instant::now();
    assert_eq!(statuses(&talk(gateway.port, announced.as_bytes(), PATIENCE)), [413]);
    assert!(started.elapsed() < PATIENCE);
    let mut socket = gateway.connect();
    socket.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).unwrap();
    let chunk = format!("100000\r\n{}\r\n", " ".repeat(0x10_0000));
    for _ in 0..11 {
        drop(socket.write_all(chunk.as_bytes()));
    }
    let (text, _) = read_until_end(&mut socket, PATIENCE);
    assert_eq!(statuses(&text), [413]);
    assert_eq!(upstream.requests(), 0);
}

#[test]
fn f3_a_head_that_drips_is_closed_within_ten_seconds() {
    let (gateway, _upstream) = recorded();
    let started = Instant::now();
    let mut socket = gateway.connect();
    let mut head =
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nx: ".bytes().chain(std::iter::repeat(b'x'));
    let mut ended = false;
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut answer = Vec::new();
    while !ended && started.elapsed() < Duration::from_secs(15) {
        drop(socket.write_all(&[head.next().unwrap()]));
        let mut chunk = [0; 4096];
        match socket.read(&mut chunk) {
            Ok(0) => ended = true,
            Ok(length) => answer.extend_from_slice(&chunk[..length]),
            Err(error) => ended = error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
    assert!(ended && started.elapsed() < Duration::from_secs(13), "{:?}", started.elapsed());
    assert_eq!(statuses(&String::from_utf8_lossy(&answer)), [408]);
    // Others were served meanwhile, and are.
    assert_eq!(gateway.get("/v1/models", ACME).status, 200);
}

#[test]
fn f3_a_body_that_drips_is_told_so() {
    let (gateway, upstream) = recorded();
    let mut socket = gateway.connect();
    let started = Instant::now();
    socket
        .write_all(format!("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nx-api-key: {ACME}\r\nContent-Length: 100000\r\n\r\n").as_bytes())
        .unwrap();
    let mut writer = socket.try_clone().unwrap();
    // No pause is longer than allowed, yet it would take a day.
    std::thread::spawn(move || {
        while writer.write_all(b" ").is_ok() {
            std::thread::sleep(Duration::from_millis(500));
        }
    });
    let (text, _) = read_until_end(&mut socket, Duration::from_secs(30));
    assert_eq!(statuses(&text), [408], "{text}");
    assert!((19..26).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    assert_eq!(upstream.requests(), 0);
}

#[test]
fn f5_nothing_is_upgraded_and_only_known_clients_are_told_to_go_on() {
    let (gateway, upstream) = recorded();
    for (key, expected) in [(ACME, vec![100, 200]), ("unknown", vec![401])] {
        let mut socket = gateway.connect();
        let body = body("expected");
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nx-api-key: {key}\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        socket.write_all(head.as_bytes()).unwrap();
        let (mut text, mut chunk) = (String::new(), [0; 4096]);
        let length = socket.read(&mut chunk).unwrap();
        text.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
        drop(socket.write_all(body.as_bytes()));
        let (rest, _) = read_until_end(&mut socket, PATIENCE);
        assert_eq!(statuses(&(text.clone() + &rest)), expected, "{text}{rest}");
    }
    assert_eq!(upstream.requests(), 1);
    let websocket = format!(
        "GET /v1/models HTTP/1.1\r\nHost: localhost\r\nx-api-key: {ACME}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
    let answers = talk(gateway.port, (websocket + &good("after")).as_bytes(), Duration::from_secs(1));
    assert_eq!(statuses(&answers), [400, 200], "{answers}");
}

/// A body that nobody read is never taken for the next request.
#[test]
fn f6_what_follows_an_early_refusal_is_not_a_request() {
    let (gateway, upstream) = recorded();
    let inner = good("smuggled");
    for (key, length, status) in [("unknown", inner.len(), 401), (ACME, 20 << 20, 413)] {
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nx-api-key: {key}\r\nContent-Length: {length}\r\n\r\n"
        );
        let answers = talk(gateway.port, (head + &inner).as_bytes(), Duration::from_secs(3));
        assert_eq!(statuses(&answers), [status], "{answers}");
    }
    assert_eq!(upstream.requests(), 0);
}
