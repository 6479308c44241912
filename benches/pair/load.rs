//! The load: connections that ask, each its next question when it has its answer.
//!
//! Counts and CPU are read at the same two moments, so that a window's CPU belongs to a window's answers.

use std::io::{Error, Result};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::process::{Cpu, Peer, resident_kib};
use crate::texts::{Answers, Mode, request};
use crate::wire::{Head, receive};

/// Longest wait for any one thing, before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// Distinct questions of a row.
const VARIANTS: u64 = 8;

/// A kind of load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// How the mock answers.
    pub(crate) mode: Mode,
    /// Connections, each with one request at a time.
    pub(crate) connections: usize,
    /// About the size of a request's body.
    pub(crate) body_bytes: usize,
}

/// What a window showed.
#[derive(Debug)]
pub(crate) struct Window {
    /// CPU microseconds of the proxy per request, or per event of a stream.
    pub(crate) cpu_us: f64,
    /// Requests (events) per second.
    pub(crate) rate: f64,
    /// Median latency, µs: the whole answer, or the first byte of a paced stream.
    pub(crate) p50_us: f64,
    /// The same, 99th percentile.
    pub(crate) p99_us: f64,
    /// Share of the window that the proxy was ready to run and had to wait.
    pub(crate) waited: f64,
}

/// Everything that went wrong, counted; the first few in words.
#[derive(Default)]
pub(crate) struct Failures {
    count: AtomicU64,
    first: Mutex<Vec<String>>,
}

impl Failures {
    /// Counts one.
    pub(crate) fn add(&self, what: String) {
        self.count.fetch_add(1, Relaxed);
        let mut first = self.first.lock().unwrap();
        if first.len() < 10 {
            first.push(what);
        }
    }

    /// How many, and the first few.
    pub(crate) fn all(&self) -> (u64, Vec<String>) {
        (self.count.load(Relaxed), self.first.lock().unwrap().clone())
    }
}

/// One window's shared state.
struct Job {
    load: Load,
    port: u16,
    questions: Questions,
    is_over: AtomicBool,
    requests_done: AtomicU64,
    /// Line ends that arrived; an event has two.
    line_ends: AtomicU64,
    latencies_us: Mutex<Vec<f64>>,
    failures: Arc<Failures>,
}

/// Asks once and checks the answer to the last byte; returns the length of its body.
pub(crate) async fn check_once(
    port: u16,
    load: Load,
    answers: &Answers,
) -> std::result::Result<usize, String> {
    let mut body = Vec::new();
    let asked = async {
        let mut stream = connect(port).await?;
        stream.write_all(&request(port, load.body_bytes, 0, load.mode)).await?;
        receive(&mut stream, &mut vec![0; 16 * 1024], |slice| body.extend_from_slice(slice)).await
    };
    let head = timeout(PATIENCE, asked).await.map_err(|_| "no answer")?.map_err(|error| error.to_string())?;
    match head {
        Some(Head { status: 200, .. }) => answers.check(load.mode, &body).map(|()| body.len()),
        Some(head) => Err(format!("status {}: {}", head.status, String::from_utf8_lossy(&body))),
        None => Err("closed without an answer".to_owned()),
    }
}

/// What is asked in a window.
#[derive(Clone, Debug)]
pub(crate) struct Questions {
    /// Whole requests, in turn.
    pub(crate) requests: Vec<Vec<u8>>,
    /// Length of a right answer's body.
    pub(crate) answer_bytes: usize,
}

impl Questions {
    /// Those of a row of chats.
    pub(crate) fn chats(port: u16, load: Load, answer_bytes: usize) -> Self {
        let requests = (0..VARIANTS).map(|seed| request(port, load.body_bytes, seed, load.mode)).collect();
        Self { requests, answer_bytes }
    }
}

/// Loads the peer with these questions until warm, measures for `length`, lets every request end.
pub(crate) async fn window(
    peer: &Peer,
    load: Load,
    questions: Questions,
    length: Duration,
    failures: &Arc<Failures>,
) -> Window {
    let job = Arc::new(Job::new(peer.port, load, questions, failures));
    let workers: Vec<_> =
        (0..load.connections).map(|seat| tokio::spawn(Arc::clone(&job).work(seat))).collect();
    sleep(Duration::from_millis(600)).await;

    job.latencies_us.lock().unwrap().clear();
    let (cpu, units, begin) = (Cpu::read(peer.pid()), job.units(), Instant::now());
    sleep(length).await;
    let (spent, units, seconds) = (Cpu::read(peer.pid()), job.units() - units, begin.elapsed().as_secs_f64());
    let spent = spent.since(&cpu);
    let mut latencies = std::mem::take(&mut *job.latencies_us.lock().unwrap());

    job.is_over.store(true, Relaxed);
    for worker in workers {
        if timeout(PATIENCE, worker).await.is_err() {
            failures.add(format!("{}: a request never ended", peer.name));
        }
    }
    if units == 0.0 || latencies.is_empty() {
        failures.add(format!("{}: nothing was answered in a window", peer.name));
        latencies.push(f64::NAN);
    }
    latencies.sort_unstable_by(f64::total_cmp);
    Window {
        cpu_us: spent.cpu_ns / 1e3 / units,
        rate: units / seconds,
        p50_us: latencies[latencies.len() / 2],
        p99_us: latencies[latencies.len() * 99 / 100],
        waited: spent.waited_ns / 1e9 / seconds,
    }
}

/// KiB of resident memory that each of `load.connections` held streams costs a peer that was at rest.
pub(crate) async fn held_kib(peer: &Peer, load: Load, failures: &Arc<Failures>) -> f64 {
    let rest = resident_kib(peer.pid());
    let request = request(peer.port, load.body_bytes, 0, load.mode);
    let events: Arc<Vec<AtomicU64>> = Arc::new((0..load.connections).map(|_| AtomicU64::new(0)).collect());
    let mut holders = tokio::task::JoinSet::new();
    for seat in 0..load.connections {
        let (events, request, port) = (Arc::clone(&events), request.clone(), peer.port);
        holders.spawn(async move {
            let mut stream = connect(port).await?;
            stream.write_all(&request).await?;
            let count = |slice: &[u8]| _ = events[seat].fetch_add(line_ends(slice), Relaxed);
            receive(&mut stream, &mut vec![0; 2048], count).await.map(|_| ())
        });
        // About 1,000 new streams a second.
        if seat % 10 == 0 {
            sleep(Duration::from_millis(10)).await;
        }
    }
    sleep(Duration::from_secs(4)).await;
    let before: Vec<u64> = events.iter().map(|count| count.load(Relaxed)).collect();
    sleep(Duration::from_millis(2500)).await;
    let held = resident_kib(peer.pid());
    let alive =
        events.iter().zip(before).filter(|(now, before)| now.load(Relaxed) > *before && *before > 4).count();
    if alive < load.connections {
        failures.add(format!("{}: {alive} of {} held streams were alive", peer.name, load.connections));
    }
    holders.shutdown().await;
    (held - rest) / precise(load.connections)
}

impl Job {
    fn new(port: u16, load: Load, questions: Questions, failures: &Arc<Failures>) -> Self {
        Self {
            load,
            port,
            questions,
            is_over: AtomicBool::new(false),
            requests_done: AtomicU64::new(0),
            line_ends: AtomicU64::new(0),
            latencies_us: Mutex::new(Vec::with_capacity(1 << 18)),
            failures: Arc::clone(failures),
        }
    }

    fn question(&self, turn: usize) -> &[u8] {
        &self.questions.requests[turn % self.questions.requests.len()]
    }

    /// What the row counts: answers, or events.
    fn units(&self) -> f64 {
        match self.load.mode {
            Mode::Chat => precise(self.requests_done.load(Relaxed)),
            Mode::Burst | Mode::Paced | Mode::Held => precise(self.line_ends.load(Relaxed)) / 2.0,
        }
    }

    /// One connection's work, until the job is over.
    async fn work(self: Arc<Self>, seat: usize) {
        if self.load.mode == Mode::Paced {
            // Streams start apart, so that their chunks do not come in step.
            sleep(Duration::from_micros(1250) * u32::try_from(seat).unwrap()).await;
        }
        let (mut stream, mut buffer, mut turn) = (None, vec![0; 32 * 1024], seat);
        while !self.is_over.load(Relaxed) {
            turn += 1;
            match self.ask(stream.take(), &mut buffer, self.question(turn)).await {
                Ok(kept) => stream = kept,
                Err(error) => {
                    self.failures.add(format!("port {}, {:?}: {error}", self.port, self.load.mode));
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// One request and its answer; the connection comes back if it may be used again.
    async fn ask(
        &self,
        kept: Option<TcpStream>,
        buffer: &mut [u8],
        request: &[u8],
    ) -> Result<Option<TcpStream>> {
        let mut stream = match kept {
            Some(stream) => stream,
            None => connect(self.port).await?,
        };
        let begin = Instant::now();
        stream.write_all(request).await?;
        let (mut bytes, mut first_byte, mut tail) = (0, None, [0; 8]);
        let head = receive(&mut stream, buffer, |slice| {
            bytes += slice.len();
            match self.load.mode {
                Mode::Chat => return,
                Mode::Paced if first_byte.is_none() => first_byte = Some(begin.elapsed()),
                Mode::Burst | Mode::Paced | Mode::Held => (),
            }
            self.line_ends.fetch_add(line_ends(slice), Relaxed);
            if let Some(last) = slice.last_chunk() {
                tail = *last;
            }
        })
        .await?
        .ok_or_else(|| Error::other("closed without an answer"))?;
        let latency = first_byte.unwrap_or_else(|| begin.elapsed());
        let is_whole =
            bytes == self.questions.answer_bytes && (self.load.mode == Mode::Chat || tail == *b"[DONE]\n\n");
        if head.status != 200 || !is_whole {
            return Err(Error::other(format!(
                "status {}, {bytes} of {} bytes",
                head.status, self.questions.answer_bytes
            )));
        }
        self.requests_done.fetch_add(1, Relaxed);
        self.latencies_us.lock().unwrap().push(latency.as_secs_f64() * 1e6);
        Ok((!head.close).then_some(stream))
    }
}

async fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn line_ends(slice: &[u8]) -> u64 {
    slice.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

/// A count as a float; counts here stay far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
pub(crate) fn precise(count: impl TryInto<u64, Error: std::fmt::Debug>) -> f64 {
    count.try_into().unwrap() as f64
}
