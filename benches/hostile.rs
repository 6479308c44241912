//! How others fare while a tenant attacks, and what connections, streams, bodies and bad credentials cost.
//! `ulimit -n` may bound how many connections there are.
//!
//! `cargo bench --bench hostile [-- WHAT…] [--samples N] [--nginx]`, WHAT being `attacks`, `idle`, `streams`, `bodies`,
//! `credentials`, `models` or `collector`; all of them where none is named. A word of an attack's name takes those attacks alone. `--nginx` (Debian's
//! `nginx-light`) puts nginx in the gateway's place, too, where an attack is one on any proxy: what is the machine's part in a
//! neighbour's wait, and what is the gateway's.
//!
//! An attack is a process of its own that gives way to others (`nice`), and so is the upstream that sends it as much as it
//! takes. Where there are two cores or more, both have the first for themselves, and the gateway and the neighbour have the
//! others: the system's own work for an attacker gives way to nobody, and an attacker has a machine of its own. So has the
//! neighbour: it and its upstream, 50 requests a second, come before the gateway where they share a core with it, if who
//! runs this may say so. What the neighbour waits for is the gateway, not a turn on the gateway's core. It asks on a new
//! connection each time, 50 times a second, from an address of its own: the attackers' closed connections fill the table in
//! which the system looks for a free port, as they would on their own machine.
#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a bench fails by panicking, tells what it measured, and waits for real processes"
)]

#[path = "../tests/it/attacks.rs"]
mod attacks;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/fault.rs"]
mod fault;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/frames.rs"]
mod frames;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/support.rs"]
mod support;

use attacks::{Attack, HTTP1, HTTP2, MODELS, REQUESTS, TENANTS, Target, Upstreams, neighbours};
use socket2::{Domain, Socket, Type};
use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, ExitCode, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};
use support::{ACME, GLOBEX, Gateway, chat, free_port, read_answer};

/// Says to this program that it is the attacker: the attack's name, and the port.
const ATTACKER: &str = "TOLLGATE_ATTACK";
/// Says to this program that it is the upstream whose streams do not end.
const ENDLESS: &str = "TOLLGATE_ENDLESS";
const THREADS: usize = 2;
const HELD: usize = 500;
const GOAL: f64 = 2.0;
const EVERY: Duration = Duration::from_millis(20);
/// What an idle connection and a stream may cost.
const CONNECTION_BYTES_MAX: usize = 10 << 10;
const STREAM_BYTES_MAX: usize = 25 << 10;

fn attacks() -> impl Iterator<Item = &'static Attack> {
    HTTP1.iter().chain(HTTP2).chain(REQUESTS)
}

fn main() -> ExitCode {
    if let Ok(order) = std::env::var(ATTACKER) {
        attack(&order);
        return ExitCode::SUCCESS;
    }
    if std::env::var(ENDLESS).is_ok() {
        println!("{}", attacks::endless().port);
        loop {
            std::thread::park();
        }
    }
    let (mut words, mut samples, mut with_nginx) = (Vec::new(), 500, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(word) = arguments.next() {
        match word.as_str() {
            "--bench" => {}
            "--nginx" => with_nginx = true,
            "--samples" => samples = arguments.next().unwrap().parse().unwrap(),
            _ => words.push(word),
        }
    }
    let known = ["attacks", "idle", "streams", "bodies", "credentials", "models", "collector"];
    let named: Vec<&str> = words.iter().map(String::as_str).filter(|word| !known.contains(word)).collect();
    let asked = |what: &str| words.is_empty() || words.iter().any(|word| word == what);
    leave_first_core();
    let mut good = true;
    if asked("attacks") || !named.is_empty() {
        good &= neighbour(&named, samples, with_nginx);
    }
    if asked("idle") {
        good &= idle(10_000);
    }
    if asked("streams") {
        good &= streams(5_000);
    }
    if asked("bodies") {
        good &= bodies();
    }
    if asked("credentials") {
        good &= credentials();
    }
    if asked("models") {
        good &= models();
    }
    if asked("collector") {
        good &= collector(samples);
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The attacker's process, until it is killed.
fn attack(order: &str) {
    let (name, port) = order.rsplit_once(' ').unwrap();
    let attack = attacks().find(|attack| attack.name == name).unwrap();
    let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let target = Target { port: port.parse().unwrap(), stop: &stop, done: &done, held: HELD };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (attack.run)(&target));
        }
        loop {
            std::thread::sleep(Duration::from_millis(100));
            println!("{}", done.load(Ordering::Relaxed));
        }
    });
}

fn percentile(sorted: &[Duration], share: f64) -> Duration {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place in a short list"
    )]
    let at = (sorted.len() as f64 * share) as usize;
    sorted[at.min(sorted.len() - 1)]
}

/// The neighbour's connection.
fn connect(port: u16) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 9], 0)).into())?;
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into())?;
    Ok(socket.into())
}

/// How long the neighbour waits, and how often it was not served.
fn waits(port: u16, samples: usize) -> (Vec<Duration>, usize) {
    let (request, mut failed, mut waits) = (neighbours(), 0, Vec::new());
    for _ in 0..samples {
        let begin = Instant::now();
        let answer = connect(port).ok().and_then(|mut socket| {
            socket.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
            socket.write_all(&request).ok()?;
            read_answer(socket)
        });
        let took = begin.elapsed();
        waits.push(took);
        failed += usize::from(answer.is_none_or(|answer| answer.status != 200));
        std::thread::sleep(EVERY.saturating_sub(took));
    }
    waits.sort_unstable();
    (waits, failed)
}

/// Leaves the first core to others: this process, and what it starts from now on.
fn leave_first_core() {
    let cores = std::thread::available_parallelism().unwrap().get();
    if cores > 1 {
        let (rest, own) = (format!("1-{}", cores - 1), std::process::id().to_string());
        let status = Command::new("taskset").args(["-cp", &rest, &own]).stdout(Stdio::null()).status();
        assert!(status.unwrap().success(), "taskset");
    }
}

/// Sets the priority of a process' threads, but for those that give way by themselves; whether this could be done.
fn set_niceness(process: u32, niceness: i32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let threads = threads.map(|thread| thread.unwrap().path()).filter(|thread| {
        let stat = std::fs::read_to_string(thread.join("stat")).unwrap();
        let behind_name = stat.rsplit_once(')').unwrap().1;
        let now: i32 = behind_name.split_whitespace().nth(16).unwrap().parse().unwrap();
        now < 1
    });
    let ids: Vec<_> = threads.map(|thread| thread.file_name().unwrap().to_owned()).collect();
    let mut renice = Command::new("renice");
    renice.args(["-n", &niceness.to_string(), "-p"]).args(ids).stdout(Stdio::null()).stderr(Stdio::null());
    renice.status().is_ok_and(|status| status.success())
}

/// This program again, on the first core, as somebody else who gives way to others.
struct Other(Child);

impl Drop for Other {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn giving_way(role: &str, order: &str) -> Other {
    let child = Command::new("taskset")
        .args(["-c", "0", "nice", "-n", "39"])
        .arg(std::env::current_exe().unwrap())
        .env(role, order)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    Other(child.unwrap())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The neighbour's waits at one server, while it is attacked and while it is not.
struct Waits {
    port: u16,
    samples: usize,
    /// Some before each attack: the machine is not the same all the time.
    alone: Vec<Duration>,
}

/// Of one attack.
struct Found {
    p50: f64,
    p99: f64,
    /// The p99 beside the one alone.
    ratio: f64,
    failed: usize,
    /// What the attack did in a second.
    rate: f64,
}

impl Waits {
    fn at(port: u16, samples: usize) -> Self {
        drop(waits(port, 50));
        let (alone, _) = waits(port, samples);
        Self { port, samples, alone }
    }

    fn alone(&self, share: f64) -> f64 {
        milliseconds(percentile(&self.alone, share))
    }

    fn during(&mut self, attack: &Attack) -> Found {
        let (more, _) = waits(self.port, self.samples / 4);
        self.alone.extend(more);
        self.alone.sort_unstable();
        let mut process = giving_way(ATTACKER, &format!("{} {}", attack.name, self.port));
        std::thread::sleep(Duration::from_millis(1500));
        let begin = Instant::now();
        let (found, failed) = waits(self.port, self.samples);
        let seconds = begin.elapsed().as_secs_f64() + 1.5;
        drop(process.0.kill());
        let mut told = String::new();
        drop(process.0.stdout.take().unwrap().read_to_string(&mut told));
        let done: f64 = told.lines().last().and_then(|line| line.parse().ok()).unwrap_or(0.0);
        let [p50, p99] = [0.5, 0.99].map(|share| milliseconds(percentile(&found, share)));
        Found { p50, p99, ratio: p99 / self.alone(0.99), failed, rate: done / seconds }
    }
}

/// nginx, in the gateway's place: the neighbour, by its address, is led to the upstream that answers at once, anybody else
/// to the one whose streams do not end.
fn nginx(shared: u16, endless: u16) -> (Other, u16, tempfile::TempDir) {
    let (port, dir) = (free_port(), tempfile::tempdir().unwrap());
    let conf = format!(
        "daemon off; master_process off; worker_processes 1; pid nginx.pid; error_log /dev/null;
        events {{ worker_connections 18000; }}
        http {{
          access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
          uwsgi_temp_path uwsgi; scgi_temp_path scgi; client_max_body_size 16m; client_body_buffer_size 256k;
          map $remote_addr $upstream {{ 127.0.0.9 127.0.0.1:{shared}; default 127.0.0.1:{endless}; }}
          server {{
            listen 127.0.0.1:{port} backlog=4096;
            location / {{ proxy_pass http://$upstream; proxy_http_version 1.1; proxy_buffering off; }}
          }}
        }}"
    );
    std::fs::write(dir.path().join("nginx.conf"), conf).unwrap();
    let path = dir.path();
    let child = Command::new("nginx").arg("-p").arg(path).arg("-c").arg(path.join("nginx.conf")).spawn();
    let child = Other(child.unwrap());
    let begin = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begin.elapsed() < Duration::from_secs(10), "nginx does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    (child, port, dir)
}

/// Whether what it does is as much work for a proxy that looks into nothing.
fn attacks_any_proxy(attack: &Attack) -> bool {
    HTTP1.iter().any(|one| one.name == attack.name) || attack.name.starts_with("answers")
}

fn neighbour(named: &[&str], samples: usize, with_nginx: bool) -> bool {
    println!("\nA neighbour's waits, alone and during each attack ({samples} requests each):\n");
    println!("| | p50 | p99 | p99 beside alone | attack | nginx in its place |");
    println!("|---|---|---|---|---|---|");
    // Before all threads of the neighbour's upstream; what is measured is put back behind its start.
    let comes_first = set_niceness(std::process::id(), -10);
    let mut upstream = giving_way(ENDLESS, "1");
    let mut port = String::new();
    BufReader::new(upstream.0.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let endless: u16 = port.trim().parse().unwrap();
    let upstreams = Upstreams::beside(fault::Upstream::elsewhere(endless));
    let yaml = upstreams.yaml();
    let gateway = Gateway::with_all(TENANTS, &|_| yaml.clone(), MODELS, &[]);
    let nginx = with_nginx.then(|| nginx(upstreams.shared.port, endless));
    if comes_first {
        let measured = [Some(gateway.pid()), nginx.as_ref().map(|(nginx, ..)| nginx.0.id())];
        assert!(measured.into_iter().flatten().all(|process| set_niceness(process, 0)), "renice");
    } else {
        println!(
            "(The neighbour waits for its own turn on the gateway's core, too: no right to set priorities.)\n"
        );
    }
    let mut at_gateway = Waits::at(gateway.port, samples);
    let mut at_nginx = nginx.as_ref().map(|(_, port, _)| Waits::at(*port, samples));
    let also = at_nginx.as_ref().map_or(String::new(), |waits| format!("p99 {:.2} ms", waits.alone(0.99)));
    println!("| alone | {:.2} ms | {:.2} ms | | | {also} |", at_gateway.alone(0.5), at_gateway.alone(0.99));
    let mut good = true;
    for attack in
        attacks().filter(|attack| named.is_empty() || named.iter().any(|word| attack.name.contains(word)))
    {
        let Found { p50, p99, ratio, failed, rate } = at_gateway.during(attack);
        let is_good = ratio <= GOAL && failed == 0;
        good &= is_good;
        gateway.in_flight(0);
        let beside = at_nginx.as_mut().filter(|_| attacks_any_proxy(attack)).map_or(String::new(), |nginx| {
            let found = nginx.during(attack);
            format!(
                "{:.2} ms, {:.2} \u{d7}, {:.0} a second, {} not served",
                found.p99, found.ratio, found.rate, found.failed
            )
        });
        println!(
            "| {} | {p50:.2} ms | {p99:.2} ms | {ratio:.2} \u{d7}{} | {rate:.0} a second{} | {beside} |",
            attack.name,
            if ratio > GOAL { " MISSED" } else { "" },
            if failed > 0 { format!(", {failed} NOT SERVED") } else { String::new() },
        );
    }
    println!("\nalone, all along: p99 {:.2} ms; resident {} KiB", at_gateway.alone(0.99), gateway.rss_kib());
    good
}

/// As many as this process may open, of what is wanted.
fn allowed(wanted: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let files = line.split_whitespace().next().unwrap().parse().unwrap_or(usize::MAX);
    wanted.min(files.saturating_sub(500))
}

/// A gateway that listens on several addresses: each takes only so many connections of what files there are.
fn wide() -> (Gateway, Vec<u16>) {
    let mut gateway = Gateway::with_all(TENANTS, &|_| String::new(), "  probe: { upstream: mock }\n", &[]);
    let path = gateway.dir.path().join("tollgate.yaml");
    let more: Vec<u16> = (0..2).map(|_| free_port()).collect();
    let listen: String = more.iter().fold("listen:\n".to_owned(), |mut all, port| {
        writeln!(all, "  - {{ address: 127.0.0.1:{port} }}").unwrap();
        all
    });
    let text = std::fs::read_to_string(&path).unwrap().replacen("listen:\n", &listen, 1);
    std::fs::write(&path, text).unwrap();
    gateway.restart();
    let ports = [vec![gateway.port], more].concat();
    (gateway, ports)
}

fn idle(wanted: usize) -> bool {
    let count = allowed(wanted);
    let (gateway, ports) = wide();
    let get = format!("GET /v1/models HTTP/1.1\r\nHost: localhost\r\nx-api-key: {ACME}\r\n\r\n");
    let open = |at: usize| {
        let mut socket = TcpStream::connect(("127.0.0.1", ports[at % ports.len()])).unwrap();
        socket.write_all(get.as_bytes()).unwrap();
        assert_eq!(read_answer(socket.try_clone().unwrap()).unwrap().status, 200);
        socket
    };
    let warm: Vec<TcpStream> = (0..100).map(open).collect();
    let before = gateway.rss_kib();
    let begin = Instant::now();
    let held: Vec<TcpStream> = (0..count).map(open).collect();
    let took = begin.elapsed();
    // The first ones may have been closed for being idle, were this slow.
    assert!(took < Duration::from_secs(60), "{took:?}");
    let each = || gateway.rss_kib().saturating_sub(before) * 1024 / count;
    let at_once = each();
    // Idle is who asked nothing for a second; a while later memory is given back.
    std::thread::sleep(Duration::from_secs(5));
    let each = each();
    let (found, failed) =
        (gateway.files(), (0..100).filter(|_| gateway.get("/v1/models", GLOBEX).status != 200).count());
    println!(
        "\n{count} idle connections: {each} bytes each, {at_once} while they were opened ({found} files; another tenant was refused {failed} times of 100)"
    );
    drop((warm, held));
    each < CONNECTION_BYTES_MAX && failed == 0 && found > count
}

/// An upstream whose streams say a word every second, for as long as they are wanted.
async fn speaking() -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut chunk, text) = ([0; 4096], fault::stream(1));
                let (head, event) = text.split_once("\r\n\r\n")?;
                // A request comes in one piece here, and only that it came matters.
                let _length = socket.read(&mut chunk).await.ok()?;
                socket.write_all(format!("{head}\r\n\r\n").as_bytes()).await.ok()?;
                while socket.write_all(event.as_bytes()).await.is_ok() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Some(())
            });
        }
    });
    port
}

fn streams(wanted: usize) -> bool {
    let count = allowed(wanted * 2) / 2;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let port = runtime.block_on(speaking());
    let yaml = format!("  speaking: {{ kind: openai, url: \"http://127.0.0.1:{port}/v1\" }}\n");
    let gateway = Gateway::with_all(TENANTS, &|_| yaml.clone(), "  probe: { upstream: speaking }\n", &[]);
    let body = chat("hi", r#","stream":true"#).replace("gpt-5", "probe");
    let open = |_| {
        let mut socket = gateway.begin("/v1/chat/completions", ACME, &body);
        let mut chunk = [0; 4096];
        while !String::from_utf8_lossy(&chunk).contains("w0") {
            assert!(socket.read(&mut chunk).unwrap() > 0);
        }
        socket
    };
    let warm: Vec<TcpStream> = (0..100).map(open).collect();
    let before = gateway.rss_kib();
    let held: Vec<TcpStream> = (0..count).map(open).collect();
    let each = gateway.rss_kib().saturating_sub(before) * 1024 / count;
    std::thread::sleep(Duration::from_secs(5));
    let later = gateway.rss_kib().saturating_sub(before) * 1024 / count;
    gateway.in_flight(count + warm.len());
    println!("\n{count} streams at once: {each} bytes each, {later} after 5 s");
    drop((warm, held));
    gateway.in_flight(0);
    each.max(later) < STREAM_BYTES_MAX
}

/// 2,000 bodies of 1 MB by 100 clients at once, in 256 MB: in a cgroup where this may make one, else by what was resident.
fn bodies() -> bool {
    let dense = format!(r#","x":[{}1]"#, "1,".repeat(500_000));
    bodies_of("one string", &chat(&"x".repeat(1 << 20), ""))
        & bodies_of("500,000 values", &chat("hi", &dense))
}

fn bodies_of(what: &str, body: &str) -> bool {
    let slow = fault::Upstream::acting(|_, socket| {
        std::thread::sleep(Duration::from_millis(200));
        socket.write_all(fault::answer("ok").as_bytes()).is_ok()
    });
    let yaml = slow.yaml("slow", "");
    let mut gateway = Gateway::with_all(
        TENANTS,
        &|_| yaml.clone(),
        "  probe: { upstream: slow }\nlimits: { bodies: 32MiB }\n",
        &[],
    );
    let group =
        std::path::Path::new("/sys/fs/cgroup/memory").join(format!("tollgate-{}", std::process::id()));
    let is_bounded = gateway.restart_in(&group, 256 << 20);
    let body = body.replace("gpt-5", "probe");
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nx-api-key: {ACME}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let (served, shed, other) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let port = gateway.port;
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let status = TcpStream::connect(("127.0.0.1", port)).ok().and_then(|mut socket| {
                        drop(socket.write_all(request.as_bytes()));
                        let (text, _) = fault::read_until_end(&mut socket, Duration::from_secs(60));
                        fault::statuses(&text).first().copied()
                    });
                    let count = match status {
                        Some(200) => &served,
                        Some(503) => &shed,
                        _ => &other,
                    };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let [served, shed, other] = [served, shed, other].map(|count| count.load(Ordering::Relaxed));
    let peak = gateway.proc_status("VmHWM") >> 10;
    let behind = gateway.raw(&request).status;
    println!(
        "\n2,000 bodies of 1 MB, {what}, 100 at once, {}: {served} served, {shed} told to come again, {other} cut off; {peak} MiB resident at most; {behind} behind it",
        if is_bounded { "in a cgroup of 256 MB" } else { "no cgroup" }
    );
    gateway.stop();
    drop(std::fs::remove_dir(&group));
    served > 0 && shed > 0 && peak < 256 && behind == 200 && served + shed + other == 2000
}

/// Whether keys that are no good can be told apart by how long their refusal takes: Welch's t of each two kinds, the slowest
/// tenth left out, as dudect has it.
fn credentials() -> bool {
    let tenants = TENANTS.replacen(
        "keys: [",
        "keys: [{ id: expired, sha256: @GLOBEX@, expires: 2020-01-01T00:00:00Z }, ",
        1,
    );
    let tenants = tenants
        .replacen("  globex:", "  other:", 1)
        .replace("prod, sha256: @GLOBEX@", &format!("prod, sha256: {}", "ab".repeat(32)));
    let gateway = Gateway::with_all(&tenants, &|_| String::new(), "  probe: { upstream: mock }\n", &[]);
    let mut wrong = ACME.to_owned();
    wrong.pop();
    wrong.push('f');
    let kinds = [
        ("unknown", "test-key-of-nobo".to_owned()),
        ("wrong last byte", wrong),
        ("expired", GLOBEX[..16].to_owned() + &GLOBEX[16..]),
    ];
    let requests = kinds.map(|(name, key)| {
        (name, format!("GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key:<18}\r\n\r\n"))
    });
    alike(&gateway, "A refused credential", &requests, "401")
}

/// A model that is not the tenant's against one that is nobody's.
fn models() -> bool {
    let tenants = TENANTS.replacen("models: [\"*\"]", "models: [denied]", 1);
    assert_ne!(tenants, TENANTS);
    let more = "  probe: { upstream: mock }\n  denied: { upstream: mock }\n";
    let gateway = Gateway::with_all(&tenants, &|_| String::new(), more, &[]);
    let requests = [("another's", "probe"), ("nobody's", "prope")].map(|(name, model)| {
        let body = chat("hi", "").replace("gpt-5", model);
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nx-api-key: {ACME}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        (name, head + &body)
    });
    alike(&gateway, "A refused model", &requests, "404")
}

/// Whether how long it takes tells one refused request from another (Welch's t, as dudect has it).
fn alike(gateway: &Gateway, what: &str, requests: &[(&str, String)], status: &str) -> bool {
    const SAMPLES: usize = 200_000;
    const BOUND: f64 = 4.5;
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); requests.len()];
    let mut state = 88_172_645_463_325_252_u64;
    let mut socket = gateway.connect();
    socket.set_nodelay(true).unwrap();
    let status = format!("HTTP/1.1 {status}");
    for sample in 0..SAMPLES * requests.len() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let kind = usize::try_from(state >> 33).unwrap() % requests.len();
        let mut chunk = [0; 4096];
        let begin = Instant::now();
        socket.write_all(requests[kind].1.as_bytes()).unwrap();
        let length = socket.read(&mut chunk).unwrap();
        let took = begin.elapsed().as_secs_f64() * 1e6;
        assert!(chunk.starts_with(status.as_bytes()), "{}", String::from_utf8_lossy(&chunk[..length]));
        if sample > 10_000 {
            times[kind].push(took);
        }
    }
    println!("\n{what}, {} samples each:", times[0].len());
    let mut good = true;
    let cropped: Vec<(f64, f64, f64, f64)> = times.iter_mut().map(crop).collect();
    for (kind, (mean, _, _, median)) in requests.iter().zip(&cropped) {
        println!("  {}: median {median:.2} µs, mean {mean:.3} µs", kind.0);
    }
    for a in 0..cropped.len() {
        for b in a + 1..cropped.len() {
            let ((m1, v1, n1, _), (m2, v2, n2, _)) = (cropped[a], cropped[b]);
            let t = (m1 - m2) / (v1 / n1 + v2 / n2).sqrt();
            good &= t.abs() < BOUND;
            let (a, b) = (requests[a].0, requests[b].0);
            println!("  {a} against {b}: {:+.3} µs, |t| = {:.2}", m1 - m2, t.abs());
        }
    }
    good
}

/// What a request waits for its telemetry where nobody takes it: beside one without any, asked in turn.
fn collector(samples: usize) -> bool {
    const MORE: f64 = 1.2;
    // One that takes connections and says nothing, as the system does for it.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = |port: u16| format!("telemetry: {{ otlp: \"http://127.0.0.1:{port}\" }}\n");
    let ports = [
        ("without", None),
        ("refused", Some(free_port())),
        ("silent", Some(silent.local_addr().unwrap().port())),
    ];
    let gateways = ports.map(|(name, port)| {
        let more = format!("  probe: {{ upstream: mock }}\n{}", port.map(to).unwrap_or_default());
        (name, Gateway::with_all(TENANTS, &|_| String::new(), &more, &[]), Vec::new())
    });
    let mut gateways = gateways;
    let body = chat("hi", "").replace("gpt-5", "probe");
    for _ in 0..samples {
        for (name, gateway, waits) in &mut gateways {
            let begin = Instant::now();
            assert_eq!(gateway.chat(GLOBEX, &body).status, 200, "{name}");
            waits.push(begin.elapsed());
        }
    }
    println!("\nA request where nobody takes its telemetry, {samples} each:");
    let mut medians = Vec::new();
    for (name, _, waits) in &mut gateways {
        waits.sort_unstable();
        let (median, p99) = (percentile(waits, 0.5), percentile(waits, 0.99));
        println!("  {name}: median {median:.2?}, p99 {p99:.2?}");
        medians.push(median);
    }
    medians.iter().all(|median| *median <= medians[0].mul_f64(MORE))
}

/// Mean, variance, count and median without the slowest tenth.
#[expect(clippy::cast_precision_loss, reason = "fewer than a million")]
fn crop(times: &mut Vec<f64>) -> (f64, f64, f64, f64) {
    times.sort_unstable_by(f64::total_cmp);
    times.truncate(times.len() / 10 * 9);
    let count = times.len() as f64;
    let mean = times.iter().sum::<f64>() / count;
    let variance = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, variance, count, times[times.len() / 2])
}
