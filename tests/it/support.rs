//! The real binary with a mock upstream: started for a test, ended with it.

#[path = "wellbeing.rs"]
pub(crate) mod wellbeing;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use wellbeing::Before;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_tollgate");
pub(crate) const ACME: &str = "test-key-of-acme";
pub(crate) const GLOBEX: &str = "test-key-of-globex";

/// A running process, killed when it is dropped.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A gateway, its mock upstream, and the directory that they work in.
pub(crate) struct Gateway {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) port: u16,
    pub(crate) admin: u16,
    pub(crate) mock: u16,
    /// Of the TLS listener, where there is one.
    pub(crate) tls: u16,
    process: Running,
    _mock: Running,
    /// How it was when it began to be watched.
    before: Option<Before>,
    is_restarted: bool,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(before) = self.before.filter(|_| !std::thread::panicking()) {
            wellbeing::check(self, before, self.is_restarted);
        }
    }
}

/// A running `tollgate demo`, ended as a user would.
pub(crate) struct Demo {
    dir: tempfile::TempDir,
    process: Child,
}

impl Demo {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let address = || format!("127.0.0.1:{}", free_port());
        let out = std::fs::File::create(dir.path().join("demo.out")).unwrap();
        let process = Command::new(BINARY)
            .args(["demo", "--listen", &address(), "--admin", &address()])
            .env("TMPDIR", dir.path())
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let demo = Self { dir, process };
        let start = Instant::now();
        while !demo.text().contains("Metrics:") {
            assert!(start.elapsed() < Duration::from_secs(10), "the demo does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        demo
    }

    /// What it printed.
    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("demo.out")).unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let pid = self.process.id().to_string();
        drop(Command::new("kill").args(["-s", "TERM", &pid]).status());
        drop(self.process.wait());
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Tenants as most tests want them.
pub(crate) const TENANTS: &str = r#"
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    models: ["gpt-*", fast]
    tools:
      - allow: ["get_*"]
      - deny: "delete_*"
        reason: Deletions go through support.
      - deny: get_shadow
        mode: shadow
  globex:
    keys: [{ id: prod, sha256: @GLOBEX@ }]
    models: [gpt-5]
    limits: { requests: 2/min, concurrency: 1 }
    records: { content: none }
"#;

impl Gateway {
    pub(crate) fn start() -> Self {
        Self::with(TENANTS, "")
    }

    /// With a TLS listener beside the plain one; `files` hold its `cert.crt` and `key.key`.
    pub(crate) fn start_with_files(files: &[(&str, &str)]) -> Self {
        Self::in_dir(TENANTS, &|_| String::new(), "", files)
    }

    /// With more upstreams, written by what is given the mock's port.
    pub(crate) fn with_mock(tenants: &str, upstreams: impl Fn(u16) -> String) -> Self {
        Self::in_dir(tenants, &upstreams, "", &[])
    }

    /// With a directory `tenants/` instead of the inline map; `files` are written as they are, below the gateway's.
    pub(crate) fn with_tenants_in(files: &[(&str, &str)]) -> Self {
        Self::in_dir(" tenants/", &|_| String::new(), "", files)
    }

    /// With all of it.
    pub(crate) fn with_all(
        tenants: &str,
        upstreams: &dyn Fn(u16) -> String,
        more: &str,
        files: &[(&str, &str)],
    ) -> Self {
        Self::in_dir(tenants, upstreams, more, files)
    }

    /// `tenants` is the inline map; `more` goes to the top level of the file.
    pub(crate) fn with(tenants: &str, more: &str) -> Self {
        Self::in_dir(tenants, &|_| String::new(), more, &[])
    }

    fn in_dir(tenants: &str, upstreams: &dyn Fn(u16) -> String, more: &str, files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tls = free_port();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, with_digests(text)).unwrap();
        }
        kubelet_links(&dir.path().join("tenants"));
        let [port, admin, mock] = [free_port(), free_port(), free_port()];
        let mock_process = spawn(&["mock", "--listen", &format!("127.0.0.1:{mock}")], dir.path());
        let tenants = with_digests(tenants);
        let client_ca = if files.iter().any(|(name, _)| *name == "clients.pem") {
            ", client_ca: clients.pem"
        } else {
            ""
        };
        let secure = match files {
            [("cert.crt", _), ..] => {
                format!(
                    "  - {{ address: \"127.0.0.1:{tls}\", tls: {{ cert: cert.crt, key: key.key{client_ca} }} }}\n"
                )
            }
            _ => String::new(),
        };
        let upstreams = upstreams(mock);
        let yaml = format!(
            "listen:\n  - {{ address: 127.0.0.1:{port} }}\n{secure}admin: 127.0.0.1:{admin}\ndata_dir: data\ntenants:{tenants}\nupstreams:\n  mock: {{ kind: openai, url: \"http://127.0.0.1:{mock}/v1\", auth: {{ bearer: sk-upstream-secret }}, retry: {{ attempts: 1 }} }}\n  gone: {{ kind: openai, url: \"http://127.0.0.1:1/v1\", retry: {{ attempts: 0 }} }}\n  anthropic: {{ kind: anthropic, url: \"http://127.0.0.1:{mock}/v1\", auth: {{ header: {{ name: x-api-key, value: sk-ant-upstream }} }}, retry: {{ attempts: 0 }} }}\n{upstreams}models:\n  gpt-5: {{ upstream: mock, price: {{ input: 1, output: 10 }} }}\n  gpt-gone: {{ upstream: gone }}\n  fast: {{ upstream: [gone, mock], as: llama }}\n  claude: {{ upstream: anthropic, price: {{ input: 1, output: 10 }} }}\n  either: {{ upstream: [gone, anthropic] }}\n{more}"
        );
        std::fs::write(dir.path().join("tollgate.yaml"), yaml).unwrap();
        let process = spawn(&["serve", "--config", "tollgate.yaml"], dir.path());
        let gateway = Self {
            dir,
            port,
            admin,
            mock,
            tls,
            process,
            _mock: mock_process,
            before: None,
            is_restarted: false,
        };
        gateway.wait("the mock", |gateway| try_get(gateway.mock, "/mock/requests").is_some());
        gateway.wait("the gateway", |gateway| {
            try_get(gateway.admin, "/readyz").is_some_and(|answer| answer.status == 200)
        });
        gateway
    }

    /// Looks in the end whether it is as well as it is now.
    pub(crate) fn watched(mut self) -> Self {
        self.before = Some(Before { rss_kib: self.rss_kib(), stays_kib: wellbeing::LITTLE_KIB });
        self
    }

    /// The same of one that gets large bodies.
    pub(crate) fn with_large_bodies(mut self) -> Self {
        self.before = Some(Before { rss_kib: self.rss_kib(), stays_kib: wellbeing::MUCH_KIB });
        self
    }

    /// Ends the gateway as an operator does, and starts it again on the same directory.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// Ends the gateway as an operator does.
    pub(crate) fn stop(&mut self) {
        self.signal("TERM");
        self.exit_status();
    }

    /// Starts it on the same directory.
    pub(crate) fn start_again(&mut self) {
        self.is_restarted = true;
        self.process = spawn(&["serve", "--config", "tollgate.yaml"], self.dir.path());
        self.wait("the gateway", |gateway| {
            try_get(gateway.admin, "/readyz").is_some_and(|answer| answer.status == 200)
        });
    }

    /// Waits, up to 10 s, until something holds.
    pub(crate) fn wait(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            let told = || std::fs::read_to_string(self.dir.path().join("serve.err")).unwrap_or_default();
            assert!(start.elapsed() < Duration::from_secs(10), "{what} is not there; it said: {}", told());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn chat(&self, key: &str, body: &str) -> Answer {
        self.post("/v1/chat/completions", key, body)
    }

    pub(crate) fn post(&self, path: &str, key: &str, body: &str) -> Answer {
        let length = body.len();
        self.raw(&format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"))
    }

    pub(crate) fn get(&self, path: &str, key: &str) -> Answer {
        self.raw(&format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n"
        ))
    }

    /// A request of Anthropic's clients.
    pub(crate) fn messages(&self, path: &str, key: &str, body: &str) -> Answer {
        let length = body.len();
        self.raw(&format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}\r\nanthropic-version: 2023-06-01\r\nanthropic-beta: interleaved-thinking-2025-05-14\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"))
    }

    pub(crate) fn delete(&self, path: &str, key: &str) -> Answer {
        self.raw(&format!(
            "DELETE {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n"
        ))
    }

    pub(crate) fn raw(&self, request: &str) -> Answer {
        exchange(self.port, request).unwrap()
    }

    /// The same to another port.
    pub(crate) fn raw_to(&self, port: u16, request: &str) -> Answer {
        let known = [self.port, self.admin, self.tls].contains(&port);
        exchange(port, request).filter(|_| known).unwrap()
    }

    /// Sends a request, and leaves its answer to be read.
    pub(crate) fn begin(&self, path: &str, key: &str, body: &str) -> TcpStream {
        let mut socket = self.connect();
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-length: {length}\r\n\r\n"
        );
        socket.write_all(format!("{head}{body}").as_bytes()).unwrap();
        socket
    }

    /// Waits until so many requests are in flight.
    pub(crate) fn in_flight(&self, count: usize) {
        let line = format!("\ntollgate_in_flight {count}\n");
        self.wait("as many requests in flight", |gateway| gateway.admin_get("/metrics").body.contains(&line));
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket
    }

    /// `POST /admin/reload`.
    pub(crate) fn reload(&self) -> Answer {
        let request = "POST /admin/reload HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        exchange(self.admin, request).unwrap()
    }

    pub(crate) fn admin_get(&self, path: &str) -> Answer {
        try_get(self.admin, path).unwrap()
    }

    pub(crate) fn admin_post(&self, path: &str, body: &str) -> Answer {
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        exchange(self.admin, &request).unwrap()
    }

    /// What the mock upstream answers, asked directly.
    pub(crate) fn mock_get(&self, path: &str) -> Answer {
        try_get(self.mock, path).unwrap()
    }

    /// What the mock upstream saw.
    pub(crate) fn seen(&self) -> serde_json::Value {
        try_get(self.mock, "/mock/requests").unwrap().json()
    }

    /// What it told the operator.
    pub(crate) fn stderr(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("serve.err")).unwrap()
    }

    /// What `/proc` says of it, by name.
    pub(crate) fn proc_status(&self, name: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Its resident memory.
    pub(crate) fn rss_kib(&self) -> usize {
        self.proc_status("VmRSS")
    }

    /// Lets it have so many files open; whether that could be done.
    pub(crate) fn limit_files(&self, count: usize) -> bool {
        self.limit(&format!("--nofile={count}"))
    }

    /// Limits a resource of it, as `prlimit` writes that; whether that could be done.
    pub(crate) fn limit(&self, limit: &str) -> bool {
        let pid = self.pid().to_string();
        let status = Command::new("prlimit").args(["--pid", &pid, limit]).status();
        status.is_ok_and(|status| status.success())
    }

    /// Starts it again in a cgroup that may use so much memory; whether there can be such a group.
    pub(crate) fn restart_in(&mut self, group: &Path, bytes_max: usize) -> bool {
        let is_bounded = std::fs::create_dir(group).is_ok()
            && std::fs::write(group.join("memory.limit_in_bytes"), bytes_max.to_string()).is_ok();
        let enter =
            if is_bounded { format!("echo $$ > {}/cgroup.procs; ", group.display()) } else { String::new() };
        assert!(self.restart_by(&format!("{enter}exec SERVE")), "it does not start");
        is_bounded
    }

    /// Starts it again by a script of the shell, in which `SERVE` serves; whether it is there in the end.
    pub(crate) fn restart_by(&mut self, script: &str) -> bool {
        self.stop();
        self.is_restarted = true;
        let script = script.replace("SERVE", &format!("{BINARY} serve --config tollgate.yaml"));
        let err = std::fs::File::create(self.dir.path().join("serve.err")).unwrap();
        let child = Command::new("sh")
            .args(["-c", &script])
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(err)
            .spawn();
        self.process = Running(child.unwrap());
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(20) {
            if try_get(self.admin, "/readyz").is_some_and(|answer| answer.status == 200) {
                return true;
            }
            if self.process.0.try_wait().unwrap().is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// Starts it again on the same directory, so that a file that may not grow is an error, as a full disk is, and no signal.
    pub(crate) fn start_again_without_signals_of_files(&mut self) {
        self.is_restarted = true;
        let script = format!("trap '' XFSZ; exec {BINARY} serve --config tollgate.yaml 2>/dev/null");
        let child = Command::new("sh")
            .args(["-c", &script])
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        self.process = Running(child.unwrap());
        self.wait("the gateway", |gateway| {
            try_get(gateway.admin, "/readyz").is_some_and(|answer| answer.status == 200)
        });
    }

    /// A path below its directory as it sees it, whatever it mounted there.
    pub(crate) fn seen_by_it(&self, path: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.pid()));
        root.join(self.dir.path().strip_prefix("/").unwrap()).join(path)
    }

    /// Files that it has open.
    pub(crate) fn files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for the process to end by itself, and gives its exit status.
    pub(crate) fn exit_status(&mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.process.0.try_wait().unwrap() {
                return status.code();
            }
            assert!(start.elapsed() < Duration::from_secs(20), "the gateway does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until decisions of acme's are on record.
    pub(crate) fn lines_of_audit(&self) {
        let dir = self.dir.path().join("data/audit/acme");
        self.wait("a decision on record", |_| {
            let files = std::fs::read_dir(&dir).into_iter().flatten().flatten();
            files
                .filter(|file| file.path().is_file())
                .any(|file| file.metadata().is_ok_and(|meta| meta.len() > 0))
        });
    }

    /// The lines of a tenant's files below `data/KIND`, once there are so many.
    pub(crate) fn lines(&self, kind: &str, tenant: &str, at_least: usize) -> Vec<serde_json::Value> {
        let read = |gateway: &Self| {
            let dir = gateway.dir.path().join("data").join(kind).join(tenant);
            let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
            // Of a line that is being written, the end is not there yet.
            let whole = |text: String| text.rfind('\n').map_or(String::new(), |end| text[..=end].to_owned());
            let text: String = files.map(|file| whole(wellbeing::text_of(&file.path()))).collect();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>()
        };
        self.wait("a record", |gateway| read(gateway).len() >= at_least);
        read(self)
    }
}

/// `tollgate ARGS…` with this text on stdin: exit status, stdout, stderr.
pub(crate) fn run(args: &[&str], dir: &Path, stdin: &str) -> (i32, String, String) {
    let mut child = Command::new(BINARY)
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A chat request of one user message, and more members.
pub(crate) fn chat(message: &str, more: &str) -> String {
    let message = serde_json::Value::from(message);
    format!(r#"{{"model":"gpt-5","messages":[{{"role":"user","content":{message}}}]{more}}}"#)
}

/// `,"tools":[…]` of functions by these names.
pub(crate) fn tools(names: &[&str]) -> String {
    let tool = |name: &&str| format!(r#"{{"type":"function","function":{{"name":"{name}"}}}}"#);
    format!(r#","tools":[{}]"#, names.iter().map(tool).collect::<Vec<_>>().join(","))
}

/// `@ACME@` and `@GLOBEX@` are the digests of their keys.
pub(crate) fn with_digests(text: &str) -> String {
    use sha2::Digest;
    let digest =
        |key: &str| sha2::Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    text.replace("@ACME@", &digest(ACME)).replace("@GLOBEX@", &digest(GLOBEX))
}

/// A directory that holds generations, such as `..old/acme.yaml`, is linked to the first of them as kubelet does.
fn kubelet_links(tenants: &Path) {
    let entries = std::fs::read_dir(tenants).into_iter().flatten().flatten();
    let mut generations: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir() && path.file_name().unwrap().to_string_lossy().starts_with(".."))
        .collect();
    generations.sort_unstable();
    let Some(first) = generations.first() else { return };
    std::os::unix::fs::symlink(first.file_name().unwrap(), tenants.join("..data")).unwrap();
    for file in std::fs::read_dir(first).unwrap().flatten() {
        let name = file.file_name();
        std::os::unix::fs::symlink(Path::new("..data").join(&name), tenants.join(&name)).unwrap();
    }
}

fn spawn(args: &[&str], dir: &Path) -> Running {
    let log = |name: &str| std::fs::File::create(PathBuf::from(dir).join(name)).unwrap();
    let name = args.first().copied().unwrap_or_default();
    let child = Command::new(BINARY)
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(log(&format!("{name}.out")))
        .stderr(log(&format!("{name}.err")))
        .spawn()
        .unwrap();
    Running(child)
}

/// A port that nobody listens on, for a process that is to be started.
///
/// Below the range that the kernel gives to outgoing connections: out of that one, another test's connection could take it
/// before the process does, or a client that waits for the process could be connected with itself. Each test is a process, so
/// its id says where to look first.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 22_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id() % (COUNT / 16) * 16;
    loop {
        let next = TAKEN.fetch_add(1, Ordering::Relaxed);
        assert!(next < COUNT, "there is no free port");
        let port = u16::try_from(FIRST + (start + next) % COUNT).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

pub(crate) fn try_get(port: u16, path: &str) -> Option<Answer> {
    exchange(port, &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"))
}

fn exchange(port: u16, request: &str) -> Option<Answer> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    socket.write_all(request.as_bytes()).ok()?;
    read_answer(socket)
}

/// Reads one answer; a chunked body is put together.
pub(crate) fn read_answer(socket: TcpStream) -> Option<Answer> {
    let mut reader = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let (first, headers) = head.split_once("\r\n")?;
    let status = first.split(' ').nth(1)?.parse().ok()?;
    let answer = Answer { status, headers: headers.to_owned(), body: String::new() };
    let mut body = Vec::new();
    if answer.header("transfer-encoding").is_some() {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).ok()?;
            let size = usize::from_str_radix(size.trim(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).ok()?;
            if size == 0 {
                break;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    } else {
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        body.resize(length, 0);
        reader.read_exact(&mut body).ok()?;
    }
    Some(Answer { body: String::from_utf8(body).unwrap(), ..answer })
}
