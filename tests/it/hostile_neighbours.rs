//! During each attack another tenant is served, and behind it nothing is left of it. How quickly is measured by
//! `cargo bench --bench hostile`: a test that times it would fail where the machine is busy.

use crate::{
    attacks::{Attack, HTTP1, HTTP2, MODELS, REQUESTS, TENANTS, Target, Upstreams, endless, neighbours},
    fault::{read_until_end, statuses},
    support::Gateway,
};
use std::{
    io::Write,
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
