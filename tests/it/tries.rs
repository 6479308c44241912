//! Where a call is sent again: to another URL, with another key, to another upstream, each as often as it may be; and which of
//! its failures it is told as.

use crate::{
    before::{NO_RETRY, ask, ask_stream, before, behind},
    fault::{STREAM_END, Upstream, answer, stream, whole},
    support::{ACME, chat},
};
use std::{
    collections::HashSet,
    io::Write,
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// How an upstream fails.
type Fail = fn(&mut TcpStream) -> bool;

fn always(status: u16) -> Upstream {
    Upstream::acting(move |_, socket| socket.write_all(whole(status, "{}").as_bytes()).is_ok())
}

/// One upstream of two URLs.
fn pair(a: u16, b: u16, more: &str) -> String {
    let url = |port| format!("\"http://127.0.0.1:{port}/v1\"");
    format!("  pair: {{ kind: openai, urls: [{}, {}]{more} }}\n", url(a), url(b))
}

/// Whoever fails at once always has the least to do, and is not asked for that.
#[test]
fn a_further_try_goes_to_another_url_however_busy_it_is() {
    let ways: [(&str, Fail); 4] = [
        ("503", |socket| socket.write_all(whole(503, "{}").as_bytes()).is_ok()),
        ("429", |socket| socket.write_all(whole(429, "{}").as_bytes()).is_ok()),
        ("closes", |_| false),
        ("hangs", |_| {
            std::thread::sleep(Duration::from_secs(3));
            false
        }),
    ];
    for (way, fail) in ways {
        let fails = Arc::new(AtomicUsize::new(0));
        let now = Arc::clone(&fails);
        let bad = Upstream::acting(move |_, socket| match now.load(Ordering::SeqCst) {
            0 => socket.write_all(answer("ok").as_bytes()).is_ok(),
            _ => fail(socket),
        });
        let streams = Arc::new(AtomicUsize::new(0));
        let begun = Arc::clone(&streams);
        // The first that it is asked is a stream, which goes on.
        let good = Upstream::acting(move |number, socket| {
            if number > 0 {
                return socket.write_all(answer("ok").as_bytes()).is_ok();
            }
            drop(socket.write_all(stream(1).as_bytes()));
            begun.store(1, Ordering::SeqCst);
            while begun.load(Ordering::SeqCst) == 1 {
                std::thread::sleep(Duration::from_millis(5));
            }
            false
        });
        let yaml = pair(bad.port, good.port, ", timeout: { first_byte: 1s }, retry: { attempts: 2 }");
        let gateway = behind(&yaml, &["pair"], "");
        let mut open = Vec::new();
        while good.requests() == 0 {
            let body = chat("hi", r#","stream":true"#).replace("gpt-5", "pair");
            open.push(gateway.begin("/v1/chat/completions", ACME, &body));
            let asked = open.len();
            gateway.wait("an upstream to be asked", |_| bad.requests() + good.requests() == asked);
        }
        gateway.wait("the stream", |_| streams.load(Ordering::SeqCst) == 1);
        let before = bad.requests();
        fails.store(1, Ordering::SeqCst);
        for _ in 0..5 {
            let told = ask(&gateway, "pair");
            assert_eq!(told.status, 200, "{way}: {told:?}");
        }
        let asked = bad.requests() - before;
        // What it closes as a connection that had rested is no failure of its.
        assert!(asked <= 2, "{way}: it was asked {asked} times");
        streams.store(2, Ordering::SeqCst);
    }
}

/// One that fails now and then does not use up what is saved for trying again.
#[test]
fn an_url_that_fails_now_and_then_loses_no_call() {
    let flapping = Upstream::acting(|number, socket| {
        let told = if number % 2 == 0 { whole(503, "{}") } else { answer("ok") };
        socket.write_all(told.as_bytes()).is_ok()
    });
    let good = Upstream::answering();
    let gateway = behind(&pair(flapping.port, good.port, ", retry: { attempts: 1 }"), &["pair"], "");
    for number in 0..60 {
        assert_eq!(ask(&gateway, "pair").status, 200, "{number}");
    }
    assert!(good.requests() > 0 && flapping.requests() > 0);
}

/// An upstream that refuses every key, and the keys that it was shown.
fn refusing(status: u16) -> (Upstream, Arc<Mutex<Vec<String>>>) {
    let shown: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&shown);
    let upstream = Upstream::reading(move |text, socket| {
        let key = text.lines().find_map(|line| line.strip_prefix("authorization: Bearer ")).unwrap();
        seen.lock().unwrap().push(key.to_owned());
        socket.write_all(whole(status, "{}").as_bytes()).is_ok()
    });
    (upstream, shown)
}

/// A key that was refused is not shown again for the same call; where all rest, one finds out whether that is still so.
#[test]
fn a_key_that_was_refused_is_shown_to_an_upstream_once() {
    for status in [401, 403, 429] {
        let (upstream, shown) = refusing(status);
        let keys = "auth: [{ bearer: key-one }, { bearer: key-two }, { bearer: key-three }]";
        let gateway = before(&[("pool", &upstream, &format!(", {keys}, retry: {{ attempts: 5 }}"))], "");
        let expected = if status == 429 { 429 } else { 502 };
        assert_eq!(ask(&gateway, "pool").status, expected);
        let first = std::mem::take(&mut *shown.lock().unwrap());
        let distinct: HashSet<&String> = first.iter().collect();
        assert_eq!((first.len(), distinct.len()), (3, 3), "{status}: {first:?}");
        for _ in 0..5 {
            assert_eq!(ask(&gateway, "pool").status, expected);
            assert_eq!(std::mem::take(&mut *shown.lock().unwrap()).len(), 1, "{status}");
        }
    }
    // What is no fault of a key's is tried with any.
    let (upstream, shown) = refusing(503);
    let keys = ", auth: [{ bearer: key-one }, { bearer: key-two }], retry: { attempts: 2 }";
    let gateway = before(&[("pool", &upstream, keys)], "");
    assert_eq!(ask(&gateway, "pool").status, 502);
    assert_eq!(shown.lock().unwrap().len(), 3);
}

/// `attempts` holds for each upstream, whatever those beside it have.
#[test]
fn an_upstream_is_asked_again_as_often_as_it_says() {
    for first in 0..4 {
        for second in 0..4 {
            let (a, b) = (always(503), always(503));
            let retry = |attempts: usize| format!(", retry: {{ attempts: {attempts} }}");
            let list = [("a", &a, &*retry(first)), ("b", &b, &*retry(second))];
            let gateway = before(&list, "  both: { upstream: [a, b] }\n");
            assert_eq!(ask(&gateway, "both").status, 502);
            let (asked_a, asked_b) = (a.requests(), b.requests());
            let told = format!("{first} {second}: {asked_a} {asked_b}");
            assert_eq!((asked_a, asked_b), (first + 1, second + 1), "{told}");
        }
    }
}

/// A key that is the only one of its upstream and refused: the call goes on to the next upstream, with no further tries at all,
/// whole and streamed, and is charged once, as that one's. Who is not known there (401) is not asked again for a while; what
/// may be for the request (403) is asked each time. Behind the last one, the client hears of it.
#[test]
fn a_call_goes_on_where_an_upstreams_only_key_is_refused() {
    for (status, asked_again) in [(401, false), (403, true)] {
        for auth in [", auth: { bearer: key-one }", ""] {
            let (refusing, next) = (
                always(status),
                Upstream::acting(|number, socket| {
                    let told = if number % 2 == 0 { answer("ok") } else { stream(1) + STREAM_END };
                    drop(socket.write_all(told.as_bytes()));
                    number % 2 == 0
                }),
            );
            let list = [("a", &refusing, &*format!("{NO_RETRY}{auth}")), ("b", &next, NO_RETRY)];
            let gateway = before(&list, "  both: { upstream: [a, b] }\n  back: { upstream: [b, a] }\n");
            let told = ask(&gateway, "both");
            assert_eq!(
                (told.status, refusing.requests(), next.requests()),
                (200, 1, 1),
                "{status}{auth}: {told:?}"
            );
            let told = ask_stream(&gateway, "both");
            assert!(told.status == 200 && told.body.contains("[DONE]"), "{status}{auth}: {told:?}");
            let expected = if asked_again || auth.is_empty() { 2 } else { 1 };
            assert_eq!((refusing.requests(), next.requests()), (expected, 2), "{status}{auth}");
            let told = ask(&gateway, "a");
            assert_eq!((told.status, refusing.requests()), (502, expected + 1), "{status}{auth}: {told:?}");
            let lines = gateway.lines("log", "acme", 3);
            let told: Vec<_> = lines
                .iter()
                .map(|line| (line["upstream"].as_str().unwrap(), line["status"].as_u64().unwrap()))
                .collect();
            assert_eq!(told, [("b", 200), ("b", 200), ("a", 502)], "{status}{auth}");
            let tokens: Vec<_> = lines.iter().map(|line| line["input_tokens"].as_u64()).collect();
            assert_eq!(tokens[0], Some(1), "{tokens:?}");
        }
    }
}

/// Where every upstream's keys rest, each is asked all the same, and the last word is told.
#[test]
fn where_all_keys_rest_all_upstreams_are_asked() {
    let (a, b) = (always(401), always(401));
    let list = [("a", &a, ", auth: { bearer: key-a }"), ("b", &b, ", auth: { bearer: key-b }")];
    let gateway = before(&list, "  both: { upstream: [a, b] }\n");
    for asked in 1..4 {
        assert_eq!(ask(&gateway, "both").status, 502);
        assert_eq!((a.requests(), b.requests()), (asked, asked));
    }
}

/// Tries that were not made are left to others.
#[test]
fn an_upstream_that_is_left_alone_uses_up_no_try() {
    let dead = always(500);
    let busy = Upstream::acting(|number, socket| {
        let told = if number < 2 { whole(503, "{}") } else { answer("ok") };
        socket.write_all(told.as_bytes()).is_ok()
    });
    let list = [("dead", &dead, ", retry: { attempts: 2 }"), ("busy", &busy, ", retry: { attempts: 2 }")];
    let gateway = before(&list, "  both: { upstream: [dead, busy] }\n");
    for _ in 0..5 {
        assert_eq!(ask(&gateway, "dead").status, 502);
    }
    let told = ask(&gateway, "both");
    assert_eq!((told.status, dead.requests(), busy.requests()), (200, 5, 3), "{told:?}");
}

/// So are those that were waited for in vain.
#[test]
fn an_upstream_that_is_full_uses_up_no_try() {
    let full = Upstream::acting(|_, socket| {
        drop(socket.write_all(stream(1).as_bytes()));
        std::thread::sleep(Duration::from_secs(20));
        false
    });
    let busy = Upstream::acting(|number, socket| {
        let told = if number < 2 { whole(503, "{}") } else { answer("ok") };
        socket.write_all(told.as_bytes()).is_ok()
    });
    let list = [
        ("full", &full, ", max_in_flight: 1, queue: { wait: 100ms }, retry: { attempts: 2 }"),
        ("busy", &busy, ", retry: { attempts: 2 }"),
    ];
    let gateway = before(&list, "  both: { upstream: [full, busy] }\n");
    let body = chat("hi", r#","stream":true"#).replace("gpt-5", "full");
    let held = gateway.begin("/v1/chat/completions", ACME, &body);
    gateway.wait("the place to be taken", |_| full.requests() == 1);
    let told = ask(&gateway, "both");
    assert_eq!((told.status, full.requests(), busy.requests()), (200, 1, 3), "{told:?}");
    drop(held);
}

/// What says when to come again is told, though another upstream failed behind it.
#[test]
fn of_several_failures_the_one_is_told_that_says_the_most() {
    let limited = Upstream::acting(|_, socket| {
        let told = whole(429, "{}").replace("\r\n\r\n", "\r\nretry-after: 5\r\n\r\n");
        socket.write_all(told.as_bytes()).is_ok()
    });
    let failing = always(503);
    let away = Upstream::elsewhere(1);
    let list = [("limited", &limited, NO_RETRY), ("failing", &failing, NO_RETRY), ("away", &away, NO_RETRY)];
    let models = "  one: { upstream: [limited, away] }\n  two: { upstream: [away, limited] }\n  three: { upstream: [limited, failing] }\n  four: { upstream: [failing, away] }\n";
    let gateway = before(&list, models);
    for model in ["one", "two", "three"] {
        let told = ask(&gateway, model);
        assert_eq!((told.status, told.header("retry-after")), (429, Some("5")), "{model}: {told:?}");
    }
    let told = ask(&gateway, "four");
    assert!(told.status == 502 && told.body.contains("the upstream failed"), "{told:?}");
}
