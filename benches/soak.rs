//! Ten minutes among upstreams that fail and clients that misbehave: does anything grow, leak or hang? Each way to fail
//! is drawn from a seed. `cargo bench --bench soak`; `SOAK_SECONDS` and `SOAK_SEED` ask for another time and draw. What is
//! measured begins after two minutes (`SOAK_WARM_UP`): so long, or for about 20,000 requests, the allocator's own lists and
//! what is touched of the binary still grow; over ten minutes nothing does behind that.
#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a bench fails by panicking, tells what it measured, and waits for real processes"
)]

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/fault.rs"]
mod fault;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/support.rs"]
mod support;

use fault::{STREAM_END, Upstream, answer, stream, whole};
use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use support::{ACME, Gateway, chat};

const CLIENTS: usize = 16;
/// Megabytes in ten minutes by which memory may rise; a run of a minute or two may rise by so much.
const SLOPE_MAX: f64 = 1.0;
const RISE_MAX: f64 = 0.5;
const TENANTS: &str = "
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    models: [\"*\"]
    tools: [{ allow: \"*\" }]
";

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) % sides
    }
}

fn asked(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// What the upstream does with its how-manieth request.
fn fail(seed: u64, number: usize, socket: &mut TcpStream) -> bool {
    let mut dice = Dice(seed ^ (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    dice.roll(2);
    let events = stream(20) + STREAM_END;
    match dice.roll(12) {
        0 => false,
        1 => {
            drop(socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-ty"));
            false
        }
        2 => {
            let at = usize::try_from(dice.roll(events.len() as u64)).unwrap();
            drop(socket.write_all(&events.as_bytes()[..at]));
            false
        }
        3 => {
            drop(socket.write_all(stream(5).as_bytes()));
            drop(socket2::SockRef::from(&*socket).set_linger(Some(Duration::ZERO)));
            false
        }
        4 => socket.write_all(whole(if dice.roll(2) == 0 { 429 } else { 503 }, "{}").as_bytes()).is_ok(),
        5 => socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}").is_ok(),
        6 => {
            for piece in events.as_bytes().chunks(97) {
                if socket.write_all(piece).is_err() {
                    return false;
                }
                std::thread::sleep(Duration::from_millis(dice.roll(5)));
            }
            false
        }
        7 => {
            std::thread::sleep(Duration::from_millis(dice.roll(1500)));
            socket.write_all(answer("late").as_bytes()).is_ok()
        }
        8 | 9 => {
            drop(socket.write_all(events.as_bytes()));
            false
        }
        _ => socket.write_all(answer("ok").as_bytes()).is_ok(),
    }
}

/// One request of a client, which may leave, stall or write nonsense. Whether it is to be on record.
fn ask(dice: &mut Dice, port: u16) -> bool {
    let Ok(mut socket) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let is_stream = dice.roll(2) == 0;
    let more = if is_stream { r#","stream":true"# } else { "" };
    let body =
        chat(&"word ".repeat(usize::try_from(dice.roll(2000)).unwrap()), more).replace("gpt-5", "faulty");
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nx-api-key: {ACME}\r\nconnection: close\r\n"
    );
    let mut chunk = [0; 4096];
    match dice.roll(10) {
        // It never says what it wants.
        0 => {
            drop(socket.write_all(&head.as_bytes()[..head.len() / 2]));
            false
        }
        1 => {
            drop(socket.write_all(
                format!("{head}transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n").as_bytes(),
            ));
            drop(socket.read(&mut chunk));
            false
        }
        way => {
            drop(socket.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()));
            // Some leave at once, some in the middle, some read slowly.
            if way == 2 {
                // What was sent last may not have been read when it leaves.
                std::thread::sleep(Duration::from_millis(200));
                return true;
            }
            while let Ok(1..) = socket.read(&mut chunk) {
                if way == 3 {
                    return true;
                }
                if way == 4 {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
            true
        }
    }
}

/// Megabytes in ten minutes by which memory rises, along the line that fits these samples best.
fn slope(samples: &[(f64, usize, usize)]) -> f64 {
    let count = samples.len() as f64;
    let mean = |of: &dyn Fn(&(f64, usize, usize)) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let (time, memory) = (mean(&|sample| sample.0), mean(&|sample| sample.1 as f64));
    let rise = samples.iter().map(|sample| (sample.0 - time) * (sample.1 as f64 - memory)).sum::<f64>();
    let run = samples.iter().map(|sample| (sample.0 - time).powi(2)).sum::<f64>();
    rise / run.max(1.0) * 600.0 / 1024.0
}

/// Seconds, KiB that are allocated, and files: one sample a second behind the warm-up, for memory goes up and down with what
/// is in flight, by more than it may rise.
fn sampled(
    gateway: &Gateway,
    warm_up: u64,
    seconds: u64,
    recorded: &AtomicUsize,
) -> Vec<(f64, usize, usize)> {
    let started = Instant::now();
    let mut samples = Vec::new();
    for second in 1..=warm_up + seconds {
        std::thread::sleep(Duration::from_secs(second).saturating_sub(started.elapsed()));
        // What is allocated; beside it stands what is touched of the binary.
        let sample = (started.elapsed().as_secs_f64(), gateway.proc_status("RssAnon"), gateway.files());
        if second % (seconds / 20).max(1) == 0 {
            println!(
                "{:6.0} s  {:8} KiB of {:8} KiB  {:4} files  {} requests{}",
                sample.0,
                sample.1,
                gateway.rss_kib(),
                sample.2,
                recorded.load(Ordering::SeqCst),
                if second <= warm_up { " (warming up)" } else { "" }
            );
        }
        if second > warm_up {
            samples.push(sample);
        }
    }
    samples
}

fn main() {
    let (seconds, seed) = (asked("SOAK_SECONDS", 600), asked("SOAK_SEED", 7));
    let upstream = Upstream::acting(move |number, socket| fail(seed, number, socket));
    let second = Upstream::acting(move |number, socket| fail(seed + 1, number, socket));
    let yaml = format!(
        "  faulty: {{ kind: openai, urls: [\"http://127.0.0.1:{}/v1\", \"http://127.0.0.1:{}/v1\"], auth: [{{ bearer: key-a }}, {{ bearer: key-b }}], timeout: {{ first_byte: 1s, idle: 2s }} }}\n",
        upstream.port, second.port
    );
    let gateway = Gateway::with_all(TENANTS, &|_| yaml.clone(), "  faulty: { upstream: faulty }\n", &[]);
    let (stop, recorded) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (stop, recorded, port) = (Arc::clone(&stop), Arc::clone(&recorded), gateway.port);
            let mut dice = Dice((seed + 1) * 1000 + number as u64);
            std::thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    recorded.fetch_add(usize::from(ask(&mut dice, port)), Ordering::SeqCst);
                }
            })
        })
        .collect();
    let samples = sampled(&gateway, asked("SOAK_WARM_UP", 120), seconds, &recorded);
    stop.store(true, Ordering::SeqCst);
    clients.into_iter().for_each(|client| client.join().unwrap());
    gateway.in_flight(0);
    let expected = recorded.load(Ordering::SeqCst);
    let kept = gateway.lines("log", "acme", expected).len();
    let (first, last) = (samples[0], samples[samples.len() - 1]);
    let slope = slope(&samples);
    // A line through a short time says little: what it rose by in that time is looked at as well.
    let rise = slope * (last.0 - first.0) / 600.0;
    println!(
        "memory {slope:+.2} MB in ten minutes ({rise:+.2} MB in this time), files {} -> {}, in flight 0",
        first.2, last.2
    );
    println!(
        "{expected} requests, {kept} on record, upstreams {} and {}",
        upstream.requests(),
        second.requests()
    );
    assert_eq!(kept, expected, "one record a request");
    assert!(last.2 <= first.2 + 32, "files grow");
    assert!(slope < SLOPE_MAX || rise < RISE_MAX, "memory grows");
}
