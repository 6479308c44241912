//! MCP through the gateway: a call's CPU beside a plain chat's, the list of a thousand tools, memory an idle session.
//!
//! `cargo bench --bench mcp [-- --quick] [--windows N] [--seconds S]`
//! As `pair`: this process is load generator and upstream, pinned to CPU 1; the gateway is pinned to CPU 0. Needs Linux.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench reads the clock, prints, and fails by panicking"
)]

#[path = "mcp/wire.rs"]
mod ask;
#[expect(dead_code, reason = "`pair` uses the rest")]
#[path = "pair/load.rs"]
mod load;
#[expect(dead_code, reason = "`pair` uses the rest")]
#[path = "pair/process.rs"]
mod process;
#[expect(dead_code, reason = "`pair` uses the rest")]
#[path = "pair/texts.rs"]
mod texts;
#[path = "mcp/upstream.rs"]
mod upstream;
#[path = "pair/wire.rs"]
mod wire;

use std::env;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::sleep;

use load::{Failures, Load, Questions, Window, precise, window};
use process::{PINNED, Peer, Scratch, Setting, gateway_command, pin, resident_kib};
use texts::Mode;
use upstream::{SERVERS, TOOLS};

const SESSIONS: usize = 2_000;
const CHAT: Load = Load { mode: Mode::Chat, connections: 64, body_bytes: 1_024 };
/// The most that each figure may be.
const CALL_GOAL: f64 = 1.5;
const LIST_GOAL_MS: f64 = 5.0;
const SESSION_GOAL_KIB: f64 = 20.0;

struct Options {
    windows: usize,
    length: Duration,
}

fn main() -> ExitCode {
    let mut options = Options { windows: 5, length: Duration::from_secs(2) };
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|word| word.parse::<u32>().ok()).unwrap_or(1).max(1);
        match word.as_str() {
            "--bench" => (),
            "--quick" => (options.windows, options.length) = (2, Duration::from_secs(1)),
            "--windows" => options.windows = usize::try_from(number()).unwrap(),
            "--seconds" => options.length = Duration::from_secs(number().into()),
            other => {
                eprintln!("unknown option {other}");
                return ExitCode::from(2);
            }
        }
    }
    if env::var_os(PINNED).is_none() {
        // Comes back only if it failed.
        eprintln!("{}", pin(&[("taskset", "util-linux")]));
        return ExitCode::from(2);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match runtime.block_on(run(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The middle one, the lower of two.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// Measures everything; true if nothing failed.
async fn run(options: &Options) -> Result<bool, String> {
    let scratch = Scratch(env::temp_dir().join(format!("tollgate-mcp-{}", std::process::id())));
    let upstream_port = upstream::start().await.map_err(|error| error.to_string())?;
    let servers = (0..SERVERS).map(|number| {
        format!("  s{number:02}: {{ kind: mcp, url: \"http://127.0.0.1:$UPSTREAM_PORT/s{number:02}\" }}\n")
    });
    let gateway_yaml = include_str!("mcp/tollgate.yaml").replace("$SERVERS\n", &servers.collect::<String>());
    let tenant_yaml = include_str!("pair/bench.yaml")
        .replace("  - allow: get_order\n", "  - allow: [get_order, \"s??__*\"]\n");
    let files = [("tollgate.yaml", &*gateway_yaml), ("tenants/bench.yaml", &*tenant_yaml)];
    let setting = Setting { files: &files, content: "redacted", upstream_port, more: "" };
    let command = gateway_command()?;
    let start = || Peer::start("gateway", &command, &setting, &scratch.0);
    let failures: Arc<Failures> = Arc::default();

    println!("| figure | goal | measured |\n|---|---|---|");
    let bench = Bench { options, peer: start()?, failures: Arc::clone(&failures) };
    let (_socket, session) = open(&bench.peer).await?;
    bench.calls("tools/call of 2026-07-28", ask::call(bench.peer.port)).await?;
    bench.calls("tools/call in a session", ask::call_in(bench.peer.port, &session)).await?;
    bench.lists().await?;
    drop(bench);
    for (title, streamed) in [("idle session", false), ("idle session with its stream", true)] {
        let mut figures = Vec::new();
        for _ in 0..options.windows.div_ceil(2) {
            figures.push(idle_kib(&start()?, streamed).await?);
        }
        let kib = median(figures);
        let title = format!("{title}, of {SESSIONS}, each with its client's connection");
        row(
            &title,
            &format!("≤ {SESSION_GOAL_KIB:.0} KiB"),
            &format!("{kib:.1} KiB"),
            kib <= SESSION_GOAL_KIB,
        );
    }

    let (count, first) = failures.all();
    if count > 0 {
        eprintln!("{count} FAILURES, the first: {first:#?}");
    }
    Ok(count == 0)
}

struct Bench<'o> {
    options: &'o Options,
    peer: Peer,
    failures: Arc<Failures>,
}

impl Bench<'_> {
    /// A call's CPU beside a chat's, in turns on one gateway.
    async fn calls(&self, title: &str, call: Vec<u8>) -> Result<(), String> {
        let chats = Questions::chats(self.peer.port, CHAT, 0);
        let chats = Questions { answer_bytes: length(&self.peer, &chats.requests[0]).await?, ..chats };
        let calls = Questions { answer_bytes: length(&self.peer, &call).await?, requests: vec![call] };
        let (mut of_chats, mut of_calls) = (Vec::new(), Vec::new());
        for _ in 0..self.options.windows {
            of_chats.push(self.window(CHAT, &chats).await.cpu_us);
            of_calls.push(self.window(CHAT, &calls).await.cpu_us);
            // Each call is two lines of the log and the audit: they are written before the next chat counts.
            sleep(Duration::from_secs(2)).await;
            self.peer.empty_logs();
        }
        let ratio = median(of_calls.iter().zip(&of_chats).map(|(call, chat)| call / chat));
        let figure = format!("{ratio:.2} ({:.1} µs to {:.1} µs)", median(of_calls), median(of_chats));
        let title = format!("{title}, CPU beside a chat of 1 KB");
        row(&title, &format!("≤ {CALL_GOAL:.1}x"), &figure, ratio <= CALL_GOAL);
        Ok(())
    }

    /// How long the list of all tools takes, from the first byte asked to the last byte got.
    async fn lists(&self) -> Result<(), String> {
        let list = ask::list(self.peer.port);
        let lists = Questions { answer_bytes: length(&self.peer, &list).await?, requests: vec![list] };
        let (mut latencies, mut cpu) = (Vec::new(), Vec::new());
        for _ in 0..self.options.windows {
            let window = self.window(Load { connections: 1, ..CHAT }, &lists).await;
            latencies.push(window.p50_us / 1e3);
            cpu.push(window.cpu_us / 1e3);
        }
        let (milliseconds, cpu) = (median(latencies), median(cpu));
        let (tools, kib) = (SERVERS * TOOLS, lists.answer_bytes / 1_024);
        let title = format!("tools/list of {tools} tools of {SERVERS} servers, {kib} KiB");
        let figure = format!("{milliseconds:.2} ms (CPU {cpu:.2} ms)");
        row(&title, &format!("≤ {LIST_GOAL_MS:.0} ms"), &figure, milliseconds <= LIST_GOAL_MS);
        Ok(())
    }

    async fn window(&self, load: Load, questions: &Questions) -> Window {
        window(&self.peer, load, questions.clone(), self.options.length, &self.failures).await
    }
}

fn row(title: &str, goal: &str, figure: &str, is_met: bool) {
    let mark = if is_met { "" } else { " **missed**" };
    println!("| {title} | {goal} | {figure}{mark} |");
}

async fn connect(peer: &Peer) -> Result<TcpStream, String> {
    let socket = TcpStream::connect(("127.0.0.1", peer.port)).await.map_err(|error| error.to_string())?;
    socket.set_nodelay(true).map_err(|error| error.to_string())?;
    Ok(socket)
}

/// Asks once; the length of the body of a right answer.
async fn length(peer: &Peer, request: &[u8]) -> Result<usize, String> {
    let answer =
        ask::exchange(&mut connect(peer).await?, request).await.map_err(|error| error.to_string())?;
    let body = String::from_utf8_lossy(&answer.body);
    let is_right = answer.status == 200 && !body.contains("\"error\"") && !body.contains("isError");
    if is_right { Ok(answer.body.len()) } else { Err(format!("{}{body}", answer.head)) }
}

/// Opens a session, on a connection of its own.
async fn open(peer: &Peer) -> Result<(TcpStream, String), String> {
    let mut socket = connect(peer).await?;
    let answer =
        ask::exchange(&mut socket, &ask::initialize(peer.port)).await.map_err(|error| error.to_string())?;
    let session =
        answer.header("mcp-session-id").ok_or_else(|| format!("no session: {}", answer.head))?.to_owned();
    let request = ask::initialized(peer.port, &session);
    let answer = ask::exchange(&mut socket, &request).await.map_err(|error| error.to_string())?;
    if answer.status == 202 { Ok((socket, session)) } else { Err(format!("not accepted: {}", answer.head)) }
}

/// KiB of resident memory that each idle session costs, with the connection that its client keeps.
async fn idle_kib(peer: &Peer, streamed: bool) -> Result<f64, String> {
    let mut held = vec![open(peer).await?];
    sleep(Duration::from_secs(1)).await;
    let rest = resident_kib(peer.pid());
    for number in 0..SESSIONS {
        let (mut socket, session) = open(peer).await?;
        if streamed {
            let request = ask::stream(peer.port, &session);
            let answer = ask::exchange(&mut socket, &request).await.map_err(|error| error.to_string())?;
            if answer.status != 200 {
                return Err(format!("no stream: {}", answer.head));
            }
        }
        held.push((socket, session));
        if number % 100 == 0 {
            sleep(Duration::from_millis(10)).await;
        }
    }
    sleep(Duration::from_secs(2)).await;
    Ok((resident_kib(peer.pid()) - rest) / precise(SESSIONS))
}
