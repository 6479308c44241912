//! The gateway paired with nginx: CPU time a request, a chunk, and memory a held stream, on the same machine in turns.
//!
//! `cargo bench --bench pair [-- --quick] [--row KEY] [--windows N] [--seconds S] [--peers nginx|none] [--gateway-cmd CMD]`
//! This process is load generator and upstream, pinned to CPU 1; the proxies are pinned to CPU 0. Needs Linux.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench reads the clock, prints, and fails by panicking"
)]

#[path = "pair/collector.rs"]
mod collector;
#[path = "pair/load.rs"]
mod load;
#[path = "pair/mock.rs"]
mod mock;
#[path = "pair/process.rs"]
mod process;
#[path = "pair/report.rs"]
mod report;
#[path = "pair/texts.rs"]
mod texts;
#[path = "pair/wire.rs"]
mod wire;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use load::{Failures, Load, Questions, check_once, held_kib, window};
use mock::Mock;
use process::{FILES, NGINX, PINNED, Peer, Scratch, Setting, gateway_command, pin};
use report::{Goal, Row, disturbance};
use texts::Mode;

/// A row to measure: key, title, the tenant's `records.content`, load, goal.
type Plan = (&'static str, &'static str, &'static str, Load, Goal);

const fn load(mode: Mode, connections: usize, body_bytes: usize) -> Load {
    Load { mode, connections, body_bytes }
}

const REDACTED: &str = "redacted";
const PLANS: [Plan; 5] = [
    ("chat_1k", "chat of 1 KB, 64 connections", REDACTED, load(Mode::Chat, 64, 1_024), Goal::Ratio(2.0)),
    (
        "burst_64",
        "64-chunk stream at once, per event",
        REDACTED,
        load(Mode::Burst, 64, 1_024),
        Goal::Ratio(2.5),
    ),
    ("paced_256", "256 paced streams, per event", REDACTED, load(Mode::Paced, 256, 1_024), Goal::Ratio(1.4)),
    ("chat_100k", "chat of 100 KB, redacted", REDACTED, load(Mode::Chat, 16, 102_400), Goal::Ratio(7.0)),
    (
        "chat_100k_none",
        "chat of 100 KB, content none",
        "none",
        load(Mode::Chat, 16, 102_400),
        Goal::Ratio(2.5),
    ),
];
const MEMORY: Plan =
    ("memory", "held stream, of 2,000", REDACTED, load(Mode::Held, 2_000, 1_024), Goal::Kib(25.0));

/// Here the gateway is paired with itself: with traces of one request in ten, and without any.
const TRACED: Plan = (
    "traced_10",
    "chat of 1 KB, traced at 10 % (in nginx's place: untraced)",
    REDACTED,
    load(Mode::Chat, 64, 1_024),
    Goal::Ratio(1.05),
);

struct Options {
    windows: usize,
    length: Duration,
    row: Option<String>,
    with_nginx: bool,
    gateway: String,
}

fn main() -> ExitCode {
    let options = match parse(env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    if env::var_os(PINNED).is_none() {
        // Comes back only if it failed.
        let nginx = [("nginx", "nginx-light")];
        let tools =
            [("taskset", "util-linux")].into_iter().chain(nginx.into_iter().filter(|_| options.with_nginx));
        eprintln!("{}", pin(&tools.collect::<Vec<_>>()));
        return ExitCode::from(2);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).unwrap();
        // Whichever ends first: dropping the run kills the proxies.
        tokio::select! {
            outcome = run(&options) => outcome,
            _ = tokio::signal::ctrl_c() => Err("interrupted".to_owned()),
            _ = terminate.recv() => Err("terminated".to_owned()),
        }
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        windows: 5,
        length: Duration::from_secs(2),
        row: None,
        with_nginx: true,
        gateway: String::new(),
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--bench" => (),
            "--quick" => (options.windows, options.length) = (2, Duration::from_secs(1)),
            "--windows" => options.windows = value()?.parse().map_err(|_| "--windows needs a number")?,
            "--seconds" => {
                let seconds =
                    value()?.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                options.length = seconds.ok_or("--seconds needs a number")?;
            }
            "--row" => options.row = Some(value()?),
            "--peers" => options.with_nginx = value()? == "nginx",
            "--gateway-cmd" => options.gateway = value()?,
            other => return Err(format!("unknown option {other}")),
        }
    }
    let keys: Vec<&str> = PLANS.iter().chain([&TRACED, &MEMORY]).map(|plan| plan.0).collect();
    if options.row.as_deref().is_some_and(|row| !keys.contains(&row)) {
        return Err(format!("--row takes one of {}", keys.join(" ")));
    }
    if options.gateway.is_empty() {
        options.gateway = gateway_command()?;
    }
    Ok(options)
}

/// Measures everything that was asked for; true if nothing failed.
async fn run(options: &Options) -> Result<bool, String> {
    let scratch = Scratch(env::temp_dir().join(format!("tollgate-pair-{}", std::process::id())));
    let (mock, upstream_port) = Mock::start().map_err(|error| error.to_string())?;
    let bench = Bench { options, mock, upstream_port, scratch, failures: Arc::default() };
    let is_wanted = |plan: &&Plan| options.row.as_deref().is_none_or(|row| row == plan.0);
    let mut rows = Vec::new();
    for plan in PLANS.iter().chain([&TRACED, &MEMORY]).filter(is_wanted) {
        eprintln!("{} …", plan.0);
        let row = if plan.0 == MEMORY.0 { bench.memory_row().await } else { bench.cpu_row(plan).await };
        match row {
            Ok(row) => rows.push(row),
            Err(error) => bench.failures.add(error),
        }
    }
    println!("{}", report::markdown(&rows));
    if let Some(word) = disturbance(&rows) {
        eprintln!("warning: {word}");
    }
    let failures = bench.failures.all();
    let is_clean = failures.0 == 0;
    if !is_clean {
        eprintln!("{} FAILURES, the first: {:#?}", failures.0, failures.1);
    }
    let settings = serde_json::json!({
        "windows": options.windows, "seconds": options.length.as_secs_f64(), "gateway": options.gateway,
    });
    let target =
        PathBuf::from(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into())).join("bench");
    let text = format!("{:#}\n", report::json(&rows, &failures, &settings));
    std::fs::create_dir_all(&target).map_err(|error| error.to_string())?;
    std::fs::write(target.join("pair.json"), text).map_err(|error| error.to_string())?;
    Ok(is_clean)
}

struct Bench<'a> {
    options: &'a Options,
    mock: Arc<Mock>,
    upstream_port: u16,
    scratch: Scratch,
    failures: Arc<Failures>,
}

impl Bench<'_> {
    /// Fresh proxies for a row: nginx, if wanted, then the gateway.
    fn peers(&self, content: &str) -> Result<[Option<Peer>; 2], String> {
        let setting = Setting { files: &FILES, content, upstream_port: self.upstream_port, more: "" };
        let start = |name, command: &str| Peer::start(name, command, &setting, &self.scratch.0);
        let nginx = self.options.with_nginx.then(|| start("nginx", NGINX)).transpose()?;
        Ok([nginx, Some(start("gateway", &self.options.gateway)?)])
    }

    /// The gateway without traces and with them.
    async fn traced(&self, content: &str) -> Result<[Option<Peer>; 2], String> {
        let port = collector::start().await?;
        let traced = format!("telemetry: {{ otlp: \"http://127.0.0.1:{port}\", sample: 10% }}");
        let start = |name, more: &str| {
            let setting = Setting { files: &FILES, content, upstream_port: self.upstream_port, more };
            Peer::start(name, &self.options.gateway, &setting, &self.scratch.0)
        };
        Ok([Some(start("untraced", "")?), Some(start("gateway", &traced)?)])
    }

    async fn cpu_row(&self, &(key, title, content, load, goal): &Plan) -> Result<Row, String> {
        let peers = if key == TRACED.0 { self.traced(content).await? } else { self.peers(content)? };
        self.mock.set(load.mode);
        let mut answer_bytes = [0; 2];
        for (bytes, peer) in answer_bytes.iter_mut().zip(&peers) {
            if let Some(peer) = peer {
                *bytes = self.check(peer, load).await?;
            }
        }
        let mut windows = [Vec::new(), Vec::new()];
        for _ in 0..self.options.windows {
            for ((peer, bytes), windows) in peers.iter().zip(answer_bytes).zip(&mut windows) {
                if let Some(peer) = peer {
                    let questions = Questions::chats(peer.port, load, bytes);
                    let window = window(peer, load, questions, self.options.length, &self.failures);
                    windows.push(window.await);
                    peer.empty_logs();
                }
            }
        }
        let [nginx, gateway] =
            [0, 1].map(|of: usize| windows[of].iter().map(|window| window.cpu_us).collect());
        Ok(Row { key, title, goal, nginx, gateway, windows })
    }

    async fn memory_row(&self) -> Result<Row, String> {
        let (key, title, content, load, goal) = MEMORY;
        let mut figures = [Vec::new(), Vec::new()];
        for _ in 0..self.options.windows.div_ceil(2) {
            for (peer, figures) in self.peers(content)?.iter().zip(&mut figures) {
                let Some(peer) = peer else { continue };
                // One whole stream first, so that what is set up once counts as at rest.
                self.mock.set(Mode::Paced);
                self.check(peer, Load { mode: Mode::Paced, ..load }).await?;
                self.mock.set(load.mode);
                figures.push(held_kib(peer, load, &self.failures).await);
            }
        }
        let [nginx, gateway] = figures;
        Ok(Row { key, title, goal, nginx, gateway, windows: [Vec::new(), Vec::new()] })
    }

    /// One whole answer, checked to the last byte; the length of its body.
    async fn check(&self, peer: &Peer, load: Load) -> Result<usize, String> {
        let checked = check_once(peer.port, load, &self.mock.answers).await;
        checked.map_err(|error| format!("{}, {:?}: {error}", peer.name, load.mode))
    }
}
