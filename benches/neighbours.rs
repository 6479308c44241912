//! A noisy neighbour: while others flood an upstream with embeddings, a tenant chats. How long it waits and what share it
//! gets, beside being alone, with fair queueing and without.
//!
//! `cargo bench --bench neighbours [-- --quick] [--samples N] [--service MS] [--spread PERCENT] [--row TEXT]`
//! The upstream is in this process: it works on so many requests at a time, each for a fixed time, the others in the order
//! in which they came. Without `max_in_flight` that is where everybody waits.
//!
//! Where a tenant asks for no more than its share, its p99 has to stay within twice of what it is alone. Where it asks for
//! more (without a pause, beside 1,000 others: 18 questions a second of a share of one), being that quick would take from the
//! others what is theirs: there it has to get its share.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench reads the clock, prints, and fails by panicking"
)]

#[path = "pair/wire.rs"]
mod wire;

use sha2::{Digest, Sha256};
use std::{
    env,
    fmt::Write as _,
    fs,
    net::TcpListener as Port,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::sleep,
};
use wire::receive;

/// So many requests the upstream works on at a time.
const PLACES: usize = 16;
/// Connections of a tenant that floods alone; of many together.
const CONNECTIONS: usize = 64;
const CONNECTIONS_OF_MANY: usize = 256;
/// Tenants that chat beside the flood, where they pause between two questions.
const CHATTING: usize = 8;
/// An embedding's body, in bytes; four are taken for a token.
const EMBEDDING_BYTES: usize = 8000;
/// The longest answer of a chat, in tokens.
const CHAT_TOKENS: usize = 200;
/// What fair queueing may add to the 99th percentile of who asks for no more than its share.
const GOAL: f64 = 2.0;
/// What of its share one has to get that asks for more.
const SHARE_GOAL: f64 = 0.95;

#[derive(Clone, Copy)]
struct Options {
    samples: usize,
    service: Duration,
    /// By so much of it the service time differs from one request to the next.
    spread: f64,
}

/// What is measured.
#[derive(Clone, Copy)]
struct Row {
    flooding: usize,
    /// Between an answer and the next question.
    pause: Duration,
    fair: bool,
}

impl Row {
    fn title(&self) -> String {
        let tenants = match self.flooding {
            0 => "alone".to_owned(),
            1 => "1 tenant floods".to_owned(),
            many => format!("{many} tenants flood"),
        };
        let pause = if self.pause.is_zero() { "without a pause" } else { "a question a second" };
        format!("{tenants}, {pause}{}", if self.fair { "" } else { ", no queue" })
    }
}

/// What it came to.
struct Found {
    p50: Duration,
    p99: Duration,
    /// Answers a second of one who chats, and of all who flood.
    chats: f64,
    floods: f64,
    failed: u64,
}

fn main() -> ExitCode {
    let mut options = Options { samples: 400, service: Duration::from_millis(50), spread: 0.0 };
    let mut only = None;
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|word| word.parse::<u32>().ok()).unwrap_or(1);
        match word.as_str() {
            "--quick" => options.samples = 100,
            "--samples" => options.samples = usize::try_from(number()).unwrap().max(10),
            "--service" => options.service = Duration::from_millis(u64::from(number().max(1))),
            "--spread" => options.spread = f64::from(number().min(100)) / 100.0,
            "--row" => only = words.next(),
            "--bench" => {}
            other => {
                eprintln!("unknown word {other}");
                return ExitCode::from(2);
            }
        }
    }
    let second = Duration::from_secs(1);
    let row = |flooding, pause, fair| Row { flooding, pause, fair };
    let mut rows = vec![row(0, Duration::ZERO, true)];
    for fair in [false, true] {
        rows.extend([1, 10, 1000].map(|flooding| row(flooding, Duration::ZERO, fair)));
        rows.extend([1, 10, 1000].map(|flooding| row(flooding, second, fair)));
    }
    rows.retain(|row| row.flooding == 0 || only.as_ref().is_none_or(|only| row.title().contains(only)));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure(&rows, options))
}

async fn measure(rows: &[Row], options: Options) -> ExitCode {
    println!(
        "An upstream of {PLACES} places, {} ms (\u{b1}{:.0} %) a request; embeddings of {EMBEDDING_BYTES} bytes, chats of up to {CHAT_TOKENS} tokens.\n",
        options.service.as_millis(),
        options.spread * 100.0
    );
    println!("| | p50 | p99 | p99 beside alone | chats/s | of what is its share | embeddings/s |");
    println!("|---|---|---|---|---|---|---|");
    let (mut alone, mut missed) = (None, false);
    for row in rows {
        let found = one(*row, options).await;
        let (base, most) = *alone.get_or_insert((found.p99, found.chats));
        let beside = found.p99.as_secs_f64() / base.as_secs_f64();
        // Its share of the upstream's time, by tokens, were it to ask for all of it.
        let cost = |tokens: usize| precise(tokens + 500);
        let (chat, embedding) = (cost(CHAT_TOKENS + 40), cost(EMBEDDING_BYTES / 4));
        let given = found.chats * chat + found.floods * embedding;
        let share = found.chats * chat / (given / (precise(row.flooding) + 1.0));
        let asks = if row.pause.is_zero() { most } else { 1.0 / row.pause.as_secs_f64() };
        let is_within = asks * chat <= given / (precise(row.flooding) + 1.0);
        let is_missed = row.fair && if is_within { beside > GOAL } else { share < SHARE_GOAL };
        missed |= is_missed || found.failed > 0;
        println!(
            "| {}{} | {:.0} ms | {:.0} ms | {beside:.2} \u{d7}{} | {:.1} | {} | {:.0} |{}",
            row.title(),
            if is_within { "" } else { " (more than its share)" },
            found.p50.as_secs_f64() * 1000.0,
            found.p99.as_secs_f64() * 1000.0,
            if is_missed { " MISSED" } else { "" },
            found.chats,
            if row.flooding == 0 { "-".to_owned() } else { format!("{:.0} %", share * 100.0) },
            found.floods,
            if found.failed > 0 { format!(" {} FAILED", found.failed) } else { String::new() },
        );
    }
    if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn precise(number: usize) -> f64 {
    number as f64
}

async fn one(row: Row, options: Options) -> Found {
    let upstream = upstream(options).await;
    let chatting = if row.pause.is_zero() { 1 } else { CHATTING };
    let gateway = Gateway::start(row, chatting, upstream).await;
    let job = Arc::new(Job { port: gateway.port, ..Job::default() });
    let mut flooding = JoinSet::new();
    let connections = match row.flooding {
        0 => 0,
        1 => CONNECTIONS,
        _ => CONNECTIONS_OF_MANY.min(row.flooding * CONNECTIONS),
    };
    for connection in 0..connections {
        flooding.spawn(Arc::clone(&job).flood(connection, connections, row.flooding));
    }
    sleep(Duration::from_secs(if row.flooding > 10 { 4 } else { 1 })).await;
    let (begin, floods) = (Instant::now(), job.floods.load(Relaxed));
    let mut chats = JoinSet::new();
    for tenant in 0..chatting {
        chats.spawn(Arc::clone(&job).chat(tenant, options.samples / chatting, row.pause));
    }
    while chats.join_next().await.is_some() {}
    let seconds = begin.elapsed().as_secs_f64();
    let floods = job.floods.load(Relaxed) - floods;
    job.is_over.store(true, Relaxed);
    flooding.abort_all();
    let mut latencies = std::mem::take(&mut *job.latencies.lock().unwrap());
    latencies.sort_unstable();
    let at =
        |percent: usize| latencies.get((latencies.len() * percent / 100).min(latencies.len() - 1)).copied();
    Found {
        p50: at(50).unwrap(),
        p99: at(99).unwrap(),
        chats: precise(latencies.len()) / precise(chatting) / seconds,
        floods: precise(usize::try_from(floods).unwrap()) / seconds,
        failed: job.failed.load(Relaxed),
    }
}

#[derive(Default)]
struct Job {
    port: u16,
    is_over: AtomicBool,
    floods: AtomicU64,
    failed: AtomicU64,
    latencies: Mutex<Vec<Duration>>,
}

impl Job {
    /// Embeddings, one behind the other, of the tenants that this connection speaks for in turn.
    async fn flood(self: Arc<Self>, connection: usize, connections: usize, tenants: usize) {
        let text = "word ".repeat(EMBEDDING_BYTES / 5);
        let body = format!(r#"{{"model":"embed","input":"{text}"}}"#);
        let own: Vec<usize> = match tenants {
            0..=10 => vec![connection % tenants],
            _ => (0..tenants).filter(|tenant| tenant % connections == connection).collect(),
        };
        let mut stream = connect(self.port).await;
        for tenant in own.iter().cycle() {
            if self.is_over.load(Relaxed) {
                break;
            }
            let request = request("/v1/embeddings", &format!("flood-{tenant}"), &body);
            match ask(&mut stream, &request).await {
                Some(200) => drop(self.floods.fetch_add(1, Relaxed)),
                status => {
                    self.fail(&format!("an embedding: {status:?}"));
                    stream = connect(self.port).await;
                }
            }
        }
    }

    /// Questions, one at a time.
    async fn chat(self: Arc<Self>, tenant: usize, samples: usize, pause: Duration) {
        let body = format!(
            r#"{{"model":"chat","max_tokens":{CHAT_TOKENS},"messages":[{{"role":"user","content":"How do I cancel my order? It was placed yesterday, and has not left yet."}}]}}"#
        );
        let request = request("/v1/chat/completions", &format!("chat-{tenant}"), &body);
        let mut stream = connect(self.port).await;
        // Not all at the same moment.
        sleep(pause.mul_f64(precise(tenant) / precise(CHATTING))).await;
        for sample in 0..samples {
            // Not in step with the upstream either.
            let jitter = f64::from(u32::try_from(sample * 7919 % 1000).unwrap()) / 1000.0;
            sleep(pause.mul_f64(0.5 + jitter)).await;
            let begin = Instant::now();
            match ask(&mut stream, &request).await {
                Some(200) => self.latencies.lock().unwrap().push(begin.elapsed()),
                status => {
                    self.fail(&format!("a chat: {status:?}"));
                    stream = connect(self.port).await;
                }
            }
        }
    }

    fn fail(&self, what: &str) {
        if !self.is_over.load(Relaxed) && self.failed.fetch_add(1, Relaxed) < 3 {
            eprintln!("{what}");
        }
    }
}

async fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn request(path: &str, key: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

async fn ask(stream: &mut TcpStream, request: &[u8]) -> Option<u16> {
    stream.write_all(request).await.ok()?;
    let head = receive(stream, &mut vec![0; 16 * 1024], |_| ()).await.ok()??;
    Some(head.status)
}

/// Works on so many at a time, for so long; its port.
async fn upstream(options: Options) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (places, count) = (Arc::new(Semaphore::new(PLACES)), Arc::new(AtomicUsize::new(0)));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (places, count) = (Arc::clone(&places), Arc::clone(&count));
            tokio::spawn(async move {
                stream.set_nodelay(true).ok()?;
                let mut buffer = vec![0; 32 * 1024];
                loop {
                    let mut is_chat = false;
                    receive(&mut stream, &mut buffer, |body| {
                        is_chat |= body.starts_with(b"{\"model\":\"chat");
                    })
                    .await
                    .ok()??;
                    let place = places.acquire().await.ok()?;
                    let at = precise(count.fetch_add(1, Relaxed) * 7919 % 1000) / 500.0 - 1.0;
                    sleep(options.service.mul_f64(1.0 + options.spread * at)).await;
                    drop(place);
                    let body = if is_chat {
                        r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Open your orders, choose it, and press cancel."}}],"usage":{"prompt_tokens":25,"completion_tokens":10,"total_tokens":35}}"#
                    } else {
                        r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,0.2]}],"model":"m","usage":{"prompt_tokens":2000,"total_tokens":2000}}"#
                    };
                    let length = body.len();
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
                    );
                    stream.write_all(answer.as_bytes()).await.ok()?;
                }
                #[expect(unreachable_code, reason = "says what the task gives")]
                Some(())
            });
        }
    });
    port
}

/// The gateway as it was built, killed by its own process id when this is dropped.
struct Gateway {
    port: u16,
    directory: PathBuf,
    child: Child,
}

impl Gateway {
    async fn start(row: Row, chatting: usize, upstream: u16) -> Self {
        let built = option_env!("CARGO_BIN_EXE_tollgate").unwrap_or("target/release/tollgate");
        let binary = PathBuf::from(env::var_os("TOLLGATE_BIN").unwrap_or_else(|| built.into()));
        let (port, admin) = (free_port(), free_port());
        let directory = env::temp_dir().join(format!("tollgate-neighbours-{port}"));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("tollgate.yaml"), configuration(row, chatting, [port, admin, upstream]))
            .unwrap();
        let child = Command::new(binary.canonicalize().unwrap())
            .args(["serve", "--config", "tollgate.yaml"])
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.join("err")).unwrap())
            .spawn()
            .unwrap();
        let gateway = Self { port, directory, child };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(begin.elapsed() < Duration::from_secs(20), "{}", said(&gateway.directory));
            sleep(Duration::from_millis(20)).await;
        }
        gateway
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
        fs::remove_dir_all(&self.directory).ok();
    }
}

fn said(directory: &Path) -> String {
    fs::read_to_string(directory.join("err")).unwrap_or_default()
}

fn configuration(row: Row, chatting: usize, [port, admin, upstream]: [u16; 3]) -> String {
    let queue = if row.fair { format!(", max_in_flight: {PLACES}") } else { String::new() };
    let mut yaml = format!(
        "listen: 127.0.0.1:{port}\nadmin: 127.0.0.1:{admin}\ndata_dir: data\nupstreams:\n  mock: {{ kind: openai, url: \"http://127.0.0.1:{upstream}/v1\"{queue} }}\nmodels:\n  embed: {{ upstream: mock }}\n  chat: {{ upstream: mock }}\nrecords: {{ content: none }}\ntenants:\n"
    );
    let names = (0..row.flooding).map(|tenant| format!("flood-{tenant}"));
    for name in names.chain((0..chatting).map(|tenant| format!("chat-{tenant}"))) {
        let digest = Sha256::digest(&name).iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        });
        writeln!(yaml, "  {name}: {{ keys: [{{ id: main, sha256: {digest} }}], models: [\"*\"] }}").unwrap();
    }
    yaml
}

fn free_port() -> u16 {
    Port::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
