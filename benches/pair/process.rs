//! The proxies under test: their files, their processes, and what the kernel says that they spend.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::load::precise;
use crate::texts::KEY_SHA256;

/// The CPU that proxies run on; the bench itself is on the other one.
const PROXY_CPU: &str = "0";
/// nginx as started here; `$DIR/nginx.conf` is written for every peer.
pub(crate) const NGINX: &str = "nginx -e $DIR/error.log -p $DIR -c $DIR/nginx.conf";

/// What a peer of `pair` finds in its directory; `$NAMES` are filled in.
pub(crate) const FILES: [(&str, &str); 3] = [
    ("nginx.conf", include_str!("nginx.conf")),
    ("tollgate.yaml", include_str!("tollgate.yaml")),
    ("tenants/bench.yaml", include_str!("bench.yaml")),
];

/// Set in the pinned process; its value is of no account.
pub(crate) const PINNED: &str = "TOLLGATE_PAIR_PINNED";

/// Checks that the tools are there (each with the package that has it), then becomes this same program on CPU 1, with
/// enough open files for thousands of connections. Comes back with the reason if it failed.
pub(crate) fn pin(tools: &[(&str, &str)]) -> String {
    let is_there = |name: &str| {
        env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|at| at.join(name).exists())
    };
    let missing: Vec<_> = tools.iter().filter(|tool| !is_there(tool.0)).map(|tool| tool.1).collect();
    if !missing.is_empty() {
        return format!(
            "missing tools; install them with: apt-get install --no-install-recommends {}",
            missing.join(" ")
        );
    }
    if std::thread::available_parallelism().map_or(0, usize::from) < 2 {
        return "two CPUs are needed: one for the proxies, one for the load".to_owned();
    }
    let raise =
        "ulimit -S -n 18000 2>/dev/null || ulimit -S -n $(ulimit -H -n); exec taskset -c 1 \"$0\" \"$@\"";
    let program = env::current_exe().unwrap();
    let error =
        Command::new("sh").args(["-c", raise]).arg(program).args(env::args().skip(1)).env(PINNED, "1").exec();
    format!("sh: {error}")
}

/// What starts the gateway that was built, or the one that TOLLGATE_BIN names.
pub(crate) fn gateway_command() -> Result<String, String> {
    let built = option_env!("CARGO_BIN_EXE_tollgate").unwrap_or("target/release/tollgate");
    let binary = PathBuf::from(env::var_os("TOLLGATE_BIN").unwrap_or_else(|| built.into()));
    let binary = binary.canonicalize().map_err(|error| format!("{}: {error}", binary.display()))?;
    Ok(format!("'{}' serve --config $DIR/tollgate.yaml", binary.display()))
}

/// A directory that goes when the bench ends.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing can be done about a directory that stays.
        fs::remove_dir_all(&self.0).ok();
    }
}

/// What a peer is started with.
pub(crate) struct Setting<'s> {
    /// Its files, with `$NAMES` to be filled in.
    pub(crate) files: &'s [(&'s str, &'s str)],
    /// The tenant's `records.content`.
    pub(crate) content: &'s str,
    pub(crate) upstream_port: u16,
    /// Lines of its configuration that only some have.
    pub(crate) more: &'s str,
}

/// A running proxy; it is killed, by its own process id, when this is dropped.
pub(crate) struct Peer {
    /// What it is called in messages.
    pub(crate) name: &'static str,
    /// Where it listens, on 127.0.0.1.
    pub(crate) port: u16,
    directory: PathBuf,
    child: Child,
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
        // What a failed removal leaves goes with the scratch directory.
        fs::remove_dir_all(&self.directory).ok();
    }
}

impl Peer {
    /// Starts `command` (a shell's words, `$DIR` its directory; one process, so wrappers `exec`) in front of the upstream, and waits until it listens.
    ///
    /// Errors are told in words, with the proxy's own last ones.
    pub(crate) fn start(
        name: &'static str,
        command: &str,
        setting: &Setting<'_>,
        scratch: &Path,
    ) -> Result<Self, String> {
        let (port, admin_port) = (free_port()?, free_port()?);
        let directory = scratch.join(format!("{name}-{port}"));
        let values = [
            ("$UPSTREAM_PORT", setting.upstream_port.to_string()),
            ("$ADMIN_PORT", admin_port.to_string()),
            ("$PORT", port.to_string()),
            ("$KEY_SHA256", KEY_SHA256.to_owned()),
            ("$CONTENT", setting.content.to_owned()),
            ("$MORE", setting.more.to_owned()),
        ];
        fs::create_dir_all(directory.join("tenants")).map_err(|error| error.to_string())?;
        for (file, template) in setting.files {
            let text =
                values.iter().fold((*template).to_owned(), |text, (name, value)| text.replace(name, value));
            fs::write(directory.join(file), text).map_err(|error| error.to_string())?;
        }
        let output = || fs::File::options().create(true).append(true).open(directory.join("output")).unwrap();
        let child = Command::new("taskset")
            .args(["-c", PROXY_CPU, "sh", "-c", &format!("exec {command}")])
            .env("DIR", &directory)
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .spawn()
            .map_err(|error| format!("{name}: {error}"))?;
        let mut peer = Self { name, port, directory, child };
        peer.wait_until_ready()?;
        Ok(peer)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Empties the request logs that the peer wrote, so that a long run does not fill the disk.
    pub(crate) fn empty_logs(&self) {
        let tenants = fs::read_dir(self.directory.join("data/log")).into_iter().flatten().flatten();
        for file in tenants.filter_map(|tenant| fs::read_dir(tenant.path()).ok()).flatten().flatten() {
            // A file that cannot be emptied only takes space.
            fs::File::options().write(true).open(file.path()).and_then(|file| file.set_len(0)).ok();
        }
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) || begin.elapsed().as_secs() > 10 {
                let said = fs::read_to_string(self.directory.join("output")).unwrap_or_default();
                return Err(format!("{} did not start: {said}", self.name));
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(|error| error.to_string())
}

/// What a process has used of the CPU so far.
pub(crate) struct Cpu {
    /// By thread: nanoseconds on a CPU, nanoseconds ready and waiting for one.
    threads: BTreeMap<String, [f64; 2]>,
    /// The whole process, threads that ended included, to 10 ms.
    process_ns: f64,
}

/// What a process used in between.
pub(crate) struct Spent {
    /// On a CPU.
    pub(crate) cpu_ns: f64,
    /// Ready to run, and waiting.
    pub(crate) waited_ns: f64,
}

impl Cpu {
    /// What `/proc` says now; nothing for a process that is gone, which its requests will show.
    pub(crate) fn read(pid: u32) -> Self {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let threads = tasks.filter_map(|task| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            let mut numbers = text.split_whitespace().map(|number| number.parse().ok());
            Some((task.file_name().into_string().ok()?, [numbers.next()??, numbers.next()??]))
        });
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        // User and system time, in ticks of 10 ms.
        let ticks =
            after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
        Self { threads: threads.collect(), process_ns: precise(ticks.sum::<u64>()) * 1e7 }
    }

    /// The difference. Where threads ended in between, or came and went, the process's own coarser figure counts.
    pub(crate) fn since(&self, before: &Self) -> Spent {
        let sum = |which: usize| -> f64 {
            let used = |(id, now): (&String, &[f64; 2])| {
                now[which] - before.threads.get(id).map_or(0.0, |was| was[which])
            };
            self.threads.iter().map(used).sum()
        };
        let (by_threads, by_process) = (sum(0), self.process_ns - before.process_ns);
        let has_lost = before.threads.keys().any(|id| !self.threads.contains_key(id));
        let cpu_ns = if has_lost || by_process > by_threads + 5e7 { by_process } else { by_threads };
        Spent { cpu_ns, waited_ns: sum(1) }
    }
}

/// Resident memory, KiB.
pub(crate) fn resident_kib(pid: u32) -> f64 {
    // The first of these is exact; the second lags by some pages a thread.
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .or_else(|_| fs::read_to_string(format!("/proc/{pid}/status")))
        .unwrap_or_default();
    let line =
        text.lines().find_map(|line| line.strip_prefix("Rss:").or_else(|| line.strip_prefix("VmRSS:")));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(f64::NAN)
}
