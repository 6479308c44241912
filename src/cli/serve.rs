//! `tollgate serve`: the gateway, from its files to its last request.

mod sharing;
mod watching;

use super::{
    Status,
    certificates::Certificates,
    flush, print,
    run::Lent,
    signals,
    take_over::{Shared, bind, lock, share},
    tenant,
};
use crate::{
    admin::{Admin, LastReload, READERS_MAX, Scope},
    clock,
    config::{self, Colour, Loaded, Problem, Secret, Texts, Watched, compile},
    denials::Denials,
    descriptors, fleet,
    gateway::{self, Cache, Gateway, Listeners, Stores},
    hosts::Hosts,
    ledger::{self, Ledger},
    operator,
    quota::{Now, Quota, fleet::Peers},
    records::{self, DataDirLock, OnFailure, QUEUE_BYTES_MAX, Records, Signer, TenantSecrets},
    server::{self, Ending, Tls},
    snapshot::Snapshot,
    stored::Shelf,
    telemetry::{Exports, Telemetry},
    tokens::Vocabulary,
    upstream::{Queues, http1::Proxies, mcp::Means},
};
use arc_swap::ArcSwap;
use dashmap::DashMap;
use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The last records are exported within so long.
const EXPORT_MAX: Duration = Duration::from_secs(5);
/// Idle upstream connections are looked at this often.
const SWEEP_EVERY: Duration = Duration::from_secs(15);

/// What `serve` is told beside its configuration.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: super::Config,
    /// Take the place of the gateway that runs on the same data directory, without a connection refused: it is told
    /// to drain, and this one answers once it has
    #[arg(long)]
    take_over: bool,
}

pub(super) fn run(arguments: &Arguments) -> Status {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return print::failed(&format!("the system gives no threads: {error}")),
    };
    let status = runtime.block_on(async {
        match Running::start(&arguments.config.config, arguments.take_over, None).await {
            Ok(running) => running.until_signal().await,
            Err(message) => print::failed(message.trim_end()),
        }
    });
    // The records end as the last task does. What hangs by now waits for a disk, and was told.
    runtime.shutdown_timeout(flush::PATIENCE);
    status
}

/// One runtime for everything.
pub(super) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// A gateway that serves.
pub(super) struct Running {
    gateway: Arc<Gateway>,
    reloader: Arc<Reloader>,
    draining: Arc<AtomicBool>,
    stop: CancellationToken,
    servers: TaskTracker,
    /// Where agents connect to.
    pub(super) urls: Vec<String>,
    pub(super) admin_url: String,
}

/// Puts a new configuration in the place of the old one, or says why not.
struct Reloader {
    path: PathBuf,
    secrets: Arc<TenantSecrets>,
    /// Shows that the secrets are ours to make; None while nothing is to be made.
    lock: Option<Arc<DataDirLock>>,
    /// For a gateway that is a command's own.
    lent: Option<Lent>,
    quotas: DashMap<Arc<str>, Arc<Quota>>,
    /// The gateways that share the limits.
    peers: OnceLock<Arc<dyn Peers>>,
    /// One reload at a time; what the last one read.
    read: Mutex<LastRead>,
    last: Arc<LastReload>,
    /// How it was when the gateway started.
    started: OnceLock<SetUp>,
    /// What listeners with TLS show.
    certificates: Certificates,
}

/// What is set up when the gateway starts, and stays until it ends.
#[derive(Debug, PartialEq, Eq)]
struct SetUp {
    /// Each address, and whether it has TLS.
    listen: Vec<(SocketAddr, bool)>,
    admin: SocketAddr,
    admin_token: Option<Secret>,
    probes: Option<SocketAddr>,
    data_dir: PathBuf,
    secret: Option<Secret>,
    shared_state: Option<fleet::Options>,
    retain: Duration,
    on_failure: OnFailure,
    compress: bool,
    signer: Option<Arc<Signer>>,
    exports: Option<Arc<Exports>>,
}

impl SetUp {
    fn of(serve: &compile::Serve) -> Self {
        Self {
            listen: serve.listen.iter().map(|listen| (listen.address, listen.tls.is_some())).collect(),
            admin: serve.admin,
            admin_token: serve.admin_token.clone(),
            secret: serve.secret.clone(),
            probes: serve.probes,
            data_dir: serve.data_dir.clone(),
            shared_state: serve.shared_state.clone(),
            retain: serve.retain,
            on_failure: serve.on_failure,
            compress: serve.compress,
            signer: serve.signer.clone(),
            exports: serve.exports.clone(),
        }
    }

    /// What a new configuration has otherwise, in words.
    fn waits_for_restart(&self, new: &Self) -> Option<String> {
        let keys = [
            ("`listen`", self.listen != new.listen),
            ("`admin`", self.admin != new.admin),
            ("`admin_token`", self.admin_token != new.admin_token),
            ("`records.secret`", self.secret != new.secret),
            ("`probes`", self.probes != new.probes),
            ("`data_dir`", self.data_dir != new.data_dir),
            ("`shared_state`", self.shared_state != new.shared_state),
            ("`records.retain`", self.retain != new.retain),
            ("`records.on_failure`", self.on_failure != new.on_failure),
            ("`records.compress`", self.compress != new.compress),
            ("`records.sign`", self.signer != new.signer),
            ("`telemetry`", self.exports != new.exports),
        ];
        let changed: Vec<&str> =
            keys.into_iter().filter(|(_, is_changed)| *is_changed).map(|(key, _)| key).collect();
        let changed = changed.join(", ");
        (!changed.is_empty())
            .then(|| format!("{changed} changed: this takes effect when the gateway is restarted"))
    }
}

/// The files of a configuration, and how they were before they were read: what changed meanwhile is seen as a change.
struct LastRead {
    watched: Watched,
    fingerprint: [u8; 32],
}

impl Reloader {
    fn compile(
        &self,
        loaded: &Loaded,
        before: Option<&Snapshot>,
    ) -> Result<(compile::Compiled, Vec<Problem>), String> {
        let env = |name: &str| std::env::var(name).ok();
        let now = clock::unix_seconds(clock::wall());
        let context =
            compile::Context { env: &env, secrets: &self.secrets, quotas: &self.quotas, before, now };
        let (compiled, problems) = compile::compile(loaded, &context);
        let text = |problems: &[Problem]| config::to_text(problems, &loaded.files, Colour::Plain);
        match compiled {
            Some(mut compiled) => {
                self.lent.iter().try_for_each(|lent| lent.set_up(&mut compiled))?;
                if self.quotas.iter().any(|quota| quota.limits_calls()) {
                    Vocabulary::prepare(compiled.snapshot.models.names_sent());
                }
                // A tenant's first token must not be made with a secret that could be lost.
                self.share();
                self.lock
                    .iter()
                    .try_for_each(|lock| self.secrets.save(lock))
                    .map_err(|error| error.to_string())?;
                Ok((compiled, problems))
            }
            None => Err(format!("the configuration does not load\n{}", text(&problems))),
        }
    }

    /// An address stays open until the gateway ends: what everybody there would be must not be changed meanwhile.
    fn admit<P>(
        &self,
        (compiled, problems): (compile::Compiled, P),
    ) -> Result<(compile::Compiled, P), String> {
        let is_wide = |setup: &SetUp| setup.listen.iter().any(|(address, _)| !address.ip().is_loopback());
        if compiled.snapshot.directory.is_fixed() && self.started.get().is_some_and(is_wide) {
            return Err(
                "`identity.fixed` cannot be loaded while the gateway listens beyond loopback: restart it"
                    .into(),
            );
        }
        Ok((compiled, problems))
    }

    /// Takes from the ledger what was spent in the hours, days and months that budgets are in.
    fn remember(&self, ledger: &Ledger) -> Result<(), String> {
        let now = Now { instant: clock::now(), unix_s: clock::unix_seconds(clock::wall()) };
        for tenant in &self.quotas {
            for (budget, _, start) in tenant.spending(now) {
                let spent = ledger.spent(tenant.key(), start).map_err(|error| error.to_string())?;
                tenant.remember(budget.calendar, spent, now);
            }
        }
        Ok(())
    }

    fn reload(&self, gateway: &Gateway) -> Result<(), String> {
        let came_to = self.try_reload(gateway);
        self.last.tell(&came_to);
        came_to.map(drop)
    }

    /// What waits for a restart, else the problems.
    fn try_reload(&self, gateway: &Gateway) -> Result<Option<String>, String> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.fingerprint = read.watched.fingerprint();
        let loaded = config::load(&self.path);
        let watched = Watched::of(&self.path, &loaded);
        if watched != read.watched {
            *read = LastRead::new(watched);
        }
        let old = gateway.snapshot.load();
        let reloaded = self.compile(&loaded, Some(&old)).and_then(|compiled| self.admit(compiled));
        // A budget of a kind that is new begins with what was spent, as far as it is on disk.
        let reloaded = reloaded.and_then(|compiled| self.remember(&gateway.ledger).map(|()| compiled));
        gateway.telemetry.reloaded(reloaded.as_ref().map(|_| clock::wall()).map_err(|_| ()));
        match reloaded {
            Ok((compiled, problems)) => {
                tell(&problems, &loaded);
                operator::info("configuration reloaded");
                let mut snapshot = compiled.snapshot;
                snapshot.keep_from(&old);
                snapshot.take_over(&old);
                self.last.loaded(Texts::of(&loaded));
                gateway.install(snapshot);
                let now = gateway.snapshot.load();
                gateway.telemetry.keep(&|tenant| now.directory.find(tenant).is_some());
                self.certificates.renew(&compiled.serve);
                self.certificates.look(&gateway.telemetry);
                let waits =
                    self.started.get().and_then(|old| old.waits_for_restart(&SetUp::of(&compiled.serve)));
                if let Some(waits) = &waits {
                    operator::warn(waits);
                }
                Ok(waits)
            }
            Err(problems) => {
                let told = "the configuration was not reloaded: the last good one goes on serving";
                operator::warn(&format!("{told}\n{}", problems.trim_end()));
                Err(problems)
            }
        }
    }
}

impl Running {
    /// Loads, opens the records, binds; serves from then on. The error is for people.
    pub(super) async fn start(path: &Path, take_over: bool, lent: Option<Lent>) -> Result<Self, String> {
        descriptors::raise();
        signals::of_files_are_errors().map_err(|error| format!("signals cannot be received: {error}"))?;
        Proxies::read(|name| std::env::var_os(name)).map_err(|bad| bad.to_string())?;
        let loaded = config::load(path);
        let place = compile::records_place(&loaded, &|name| std::env::var(name).ok());
        let (lock, shared) = take_place(path, &loaded, &place, take_over).await?;
        let secrets = Arc::new(tenant::secrets(&place)?);
        let locked = Some(Arc::clone(&lock));
        let reloader = Reloader::new(path, Arc::clone(&secrets), locked, &loaded);
        let reloader = Arc::new(Reloader { lent, ..reloader });
        let (compile::Compiled { snapshot, serve }, problems) = reloader.compile(&loaded, None)?;
        drop(reloader.started.set(SetUp::of(&serve)));
        reloader.last.loaded(Texts::of(&loaded));
        tell(&problems, &loaded);
        let telemetry = Telemetry::default();
        serve.exports.iter().for_each(|exports| telemetry.export(exports));
        let options = kept_records(&serve, Arc::clone(&secrets), &telemetry);
        let records = Records::open_locked(options, lock).map_err(|error| chain(&error))?;
        let (stored, ledger) = kept(&serve, &records)?;
        let fleet = reloader.join(&serve, &secrets)?;
        reloader.remember(&ledger)?;
        telemetry.reloaded(Ok(clock::wall()));
        let closing = CancellationToken::new();
        let gateway = Arc::new(Gateway {
            denials: Mutex::new(known(&stored, fleet.is_none())),
            queues: Queues::of(&snapshot.queues),
            snapshot: ArcSwap::from_pointee(snapshot),
            records,
            stored,
            ledger,
            telemetry,
            fleet,
            room: Arc::default(),
            cache: Cache::default(),
            approvals: Arc::default(),
            webhooks: Arc::new(Semaphore::new(gateway::WEBHOOKS_MAX)),
            means: Means::on_this_machine(closing.clone()),
            sessions: Mutex::default(),
            listeners: Listeners::default(),
            stores: Stores::default(),
            draining: CancellationToken::new(),
            closing,
        });
        gateway.equip();
        let mut running = Self {
            gateway,
            reloader,
            draining: Arc::default(),
            stop: CancellationToken::new(),
            servers: TaskTracker::new(),
            urls: Vec::new(),
            admin_url: String::new(),
        };
        running.listen(&serve, shared)?;
        running.reloader.certificates.look(&running.gateway.telemetry);
        tokio::spawn(watching::watch(Arc::clone(&running.reloader), Arc::clone(&running.gateway)));
        tokio::spawn(gateway::share_approvals(Arc::clone(&running.gateway)));
        Ok(running)
    }

    fn listen(&mut self, serve: &compile::Serve, shared: Vec<Shared>) -> Result<(), String> {
        let take_over = !shared.is_empty();
        let mut shared = shared.into_iter();
        let header = self.gateway.snapshot.load().limits.header;
        for listen in &serve.listen {
            let tls = listen.tls.as_ref().map(Tls::new).transpose().map_err(|bad| bad.to_string())?;
            self.reloader.certificates.keep(listen.address, tls.as_ref());
            let known = shared.find(|shared| shared.address == listen.address);
            let listener = match known {
                Some(Shared { listener, .. }) => listener.speaking(tls),
                None => bind(listen.address, tls, take_over)?,
            };
            let url = listener.url().map_err(|error| error.to_string())?;
            operator::info(&format!("listening on {url}"));
            self.urls.push(url);
            let gateway = Arc::clone(&self.gateway);
            // A connection that idles holds no place for the journey of a request.
            let service = move |request| Box::pin(Arc::clone(&gateway).answer(request));
            self.servers.spawn(server::serve(listener, header, self.ending(), service));
        }
        let mut ports = vec![(serve.admin, Scope::All)];
        ports.extend(serve.probes.map(|address| (address, Scope::Probes)));
        for (address, scope) in ports {
            let listener = bind(address, None, take_over)?;
            let url = listener.url().map_err(|error| error.to_string())?;
            operator::info(&format!("{} on {url}", if scope == Scope::All { "admin" } else { "probes" }));
            if scope == Scope::All {
                self.admin_url = url;
            }
            let (gateway, reloader) = (Arc::clone(&self.gateway), Arc::clone(&self.reloader));
            let last_reload = Arc::clone(&self.reloader.last);
            let admin = Arc::new(Admin {
                gateway: Arc::clone(&self.gateway),
                draining: Arc::clone(&self.draining),
                // Reading many tenants takes its time: other requests go on on other threads.
                reload: Box::new(move || tokio::task::block_in_place(|| reloader.reload(&gateway))),
                last_reload,
                hosts: Hosts::new(vec![address.ip()], serve.allowed_hosts.iter().map(String::as_str)),
                token: serve.admin_token.as_ref().map(|token| token.expose().as_bytes().to_vec()),
                scope,
                data_dir: serve.data_dir.clone(),
                started: clock::wall(),
                readers: Semaphore::new(READERS_MAX),
            });
            let service = move |request| {
                let admin = Arc::clone(&admin);
                async move { admin.answer(request).await }
            };
            // Probes are answered while agents' connections drain: this port stops after them.
            let ending = Ending { stop: self.gateway.closing.clone(), ..self.ending() };
            tokio::spawn(server::serve(listener, header, ending, service));
        }
        Ok(())
    }

    fn ending(&self) -> Ending {
        Ending {
            stop: self.stop.clone(),
            drain: self.gateway.snapshot.load().limits.drain,
            closing: self.gateway.closing.clone(),
        }
    }

    /// Serves until SIGTERM or SIGINT, then drains. A second signal ends at once.
    async fn until_signal(self) -> Status {
        let (Ok(mut terminate), Ok(mut hangup)) =
            (signal(SignalKind::terminate()), signal(SignalKind::hangup()))
        else {
            return print::failed("signals cannot be received");
        };
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = tokio::signal::ctrl_c() => break,
                _ = hangup.recv() => {
                    // Told where it belongs: in the metric, the status and on stderr.
                    drop(tokio::task::block_in_place(|| self.reloader.reload(&self.gateway)));
                }
                _ = sweep.tick() => {
                    self.gateway.sweep();
                    self.reloader.certificates.look(&self.gateway.telemetry);
                }
            }
        }
        operator::info("draining");
        let at_once = CancellationToken::new();
        let _left = at_once.clone().drop_guard();
        tokio::select! {
            is_whole = self.drain(&at_once) => if is_whole { Status::Fine } else { Status::Findings },
            _ = terminate.recv() => Status::Findings,
            _ = tokio::signal::ctrl_c() => Status::Findings,
        }
    }

    /// No new connections; what runs may end; then the records are closed. Whether all are on disk: a full one may get room yet.
    pub(super) async fn drain(&self, at_once: &CancellationToken) -> bool {
        let until = clock::now() + self.gateway.snapshot.load().limits.drain;
        self.draining.store(true, Ordering::Relaxed);
        self.gateway.draining.cancel();
        self.stop.cancel();
        self.servers.close();
        self.servers.wait().await;
        self.gateway.closing.cancel();
        let mut stopping = JoinSet::new();
        for server in self.gateway.snapshot.load().servers.iter().map(Arc::clone) {
            stopping.spawn(async move { server.stop().await });
        }
        stopping.join_all().await;
        let is_whole = flush::to_disk(&self.gateway, until, at_once).await;
        self.gateway.telemetry.finish(EXPORT_MAX).await;
        is_whole || !self.gateway.records.must_not_lose()
    }
}

impl LastRead {
    fn new(watched: Watched) -> Self {
        Self { fingerprint: watched.fingerprint(), watched }
    }
}

impl Reloader {
    fn new(
        path: &Path,
        secrets: Arc<TenantSecrets>,
        lock: Option<Arc<DataDirLock>>,
        loaded: &Loaded,
    ) -> Self {
        let read = Mutex::new(LastRead::new(Watched::of(path, loaded)));
        Self {
            path: path.to_owned(),
            secrets,
            lock,
            lent: None,
            quotas: DashMap::new(),
            peers: OnceLock::new(),
            read,
            last: Arc::default(),
            started: OnceLock::new(),
            certificates: Certificates::default(),
        }
    }

    /// How the files are now, and whether they were otherwise when they were read.
    fn look(&self) -> ([u8; 32], bool) {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let now = read.watched.fingerprint();
        (now, now != read.fingerprint)
    }
}

/// How records are kept.
fn kept_records(
    serve: &compile::Serve,
    secrets: Arc<TenantSecrets>,
    telemetry: &Telemetry,
) -> records::Options {
    records::Options {
        data_dir: serve.data_dir.clone(),
        secrets,
        on_failure: serve.on_failure,
        queue_bytes_max: QUEUE_BYTES_MAX,
        retain: serve.retain,
        compress: serve.compress,
        signer: serve.signer.clone(),
        observer: telemetry.observer(),
    }
}

/// Warnings about a configuration that serves, with their places.
fn tell(problems: &[Problem], loaded: &Loaded) {
    for problem in problems {
        let place = problem.at.map(|at| format!("{}: ", loaded.files.place(at))).unwrap_or_default();
        operator::warn(&format!("{place}{}", problem.message));
    }
}

/// What became of calls before the restart.
fn known(stored: &Shelf, alone: bool) -> Denials {
    let (now, at, mut denials) = (clock::unix_seconds(clock::wall()), clock::now(), Denials::new(alone));
    for noted in stored.noted(now) {
        let age = Duration::from_secs(u64::try_from(now.saturating_sub(noted.time)).unwrap_or(0));
        // The clock of a machine that has just begun may not reach back so far.
        denials.restore(&noted.tenant, noted.mark, noted.fate, at.checked_sub(age).unwrap_or(at));
    }
    denials
}

/// What providers keep for tenants, and what these used.
fn kept(serve: &compile::Serve, records: &Records) -> Result<(Shelf, Ledger), String> {
    let now = clock::unix_seconds(clock::wall());
    let stored = Shelf::open(&serve.data_dir, now).map_err(|error| error.to_string())?;
    let ledger = ledger::Options {
        data_dir: serve.data_dir.clone(),
        retain: serve.retain,
        now,
        removes_until: records.removes_until(),
    };
    Ok((stored, Ledger::open(&ledger).map_err(|error| error.to_string())?))
}

/// The data directory, and where another gateway listens whose place is taken. Nothing is made on disk, and nobody told to
/// end, for a configuration that does not load.
async fn take_place(
    path: &Path,
    loaded: &Loaded,
    place: &compile::RecordsPlace,
    take_over: bool,
) -> Result<(Arc<DataDirLock>, Vec<Shared>), String> {
    let dry = Reloader::new(path, Arc::new(TenantSecrets::of_master([0; 32])), None, loaded);
    let (compile::Compiled { serve, .. }, _) = dry.compile(loaded, None)?;
    let shared = if take_over { share(&serve)? } else { Vec::new() };
    Ok((Arc::new(lock(&place.data_dir, take_over).await?), shared))
}

/// An error with its causes, one behind the other.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
