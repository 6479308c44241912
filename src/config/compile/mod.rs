//! From what was written to what runs. Pure but for the files that upstreams and listeners name: every problem
//! is reported with its place, none stops the search for the others, and with an error among them nothing runs.

mod analyzer;
mod approvals;
mod credentials;
mod identity;
mod limits;
mod queue;
mod rule;
mod telemetry;
mod tenant;
mod tool_api;
mod upstream;

pub use approvals::webhook_secret;
pub(super) use rule::test_of;
pub use rule::value_of;

use super::{At, FileId, Loaded, Mark, Problem, Secret, SecretMissing, SecretRef, Severity, lineage, raw};
use crate::{
    fleet,
    hosts::Hosts,
    policy::Source,
    quota::Quota,
    records::{OnFailure, Signer, TenantSecrets},
    server::TlsFiles,
    snapshot::{Accounts, Limits, Snapshot},
    telemetry::Exports,
    upstream::http1::Origin,
};
use dashmap::DashMap;
use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// What compiling needs beside the files.
pub struct Context<'c> {
    /// Looks up an environment variable.
    pub env: &'c dyn Fn(&str) -> Option<String>,
    /// The tenants' secrets.
    pub secrets: &'c TenantSecrets,
    /// What tenants have used so far, over reloads.
    pub quotas: &'c DashMap<Arc<str>, Arc<Quota>>,
    /// What runs so far, where this is a reload: what is known of its upstreams is not forgotten.
    pub before: Option<&'c Snapshot>,
    /// Seconds since 1970, UTC.
    pub now: i64,
}

/// A configuration, ready to run.
#[derive(Debug)]
pub struct Compiled {
    pub snapshot: Snapshot,
    pub serve: Serve,
}

/// What is set up once, when the gateway starts.
#[derive(Debug)]
pub struct Serve {
    pub listen: Vec<Listen>,
    pub admin: SocketAddr,
    pub admin_token: Option<Secret>,
    pub probes: Option<SocketAddr>,
    pub data_dir: PathBuf,
    pub allowed_hosts: Vec<String>,
    pub retain: Duration,
    pub compress: bool,
    /// What the tenants' secrets are derived from, where the configuration gives it.
    pub secret: Option<Secret>,
    pub signer: Option<Arc<Signer>>,
    /// What is exported, and where to.
    pub exports: Option<Arc<Exports>>,
    pub on_failure: OnFailure,
    /// Where other gateways share the limits.
    pub shared_state: Option<fleet::Options>,
}

/// An address for agents.
#[derive(Debug)]
pub struct Listen {
    pub address: SocketAddr,
    pub tls: Option<TlsFiles>,
}

/// What is read before anything is compiled: where records are kept, and their secret.
#[derive(Debug)]
pub struct RecordsPlace {
    pub data_dir: PathBuf,
    pub secret: Option<Secret>,
    pub signer: Option<Arc<Signer>>,
}

/// What a configuration is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To be looked at. What only the place has where the gateway runs is not fetched, and not missed: secrets that
    /// do not stand in the configuration itself, certificates and their keys.
    Read,
    Serve,
}

/// Collects problems while compiling.
pub(super) struct Compiler<'c> {
    loaded: &'c Loaded,
    context: &'c Context<'c>,
    purpose: Purpose,
    problems: Vec<Problem>,
    /// What was said already, of which place.
    said: HashSet<(&'static str, Option<Mark>, String)>,
    /// Where an error was told when the files were read: what is made of such a value is no second one.
    wrong: HashSet<(FileId, u32, u32)>,
    /// The directory of `tollgate.yaml` as it is shown; rules are named relative to it.
    shown_dir: String,
}

/// The data directory and the records' secret of a configuration; problems are reported by `compile` too.
pub fn records_place(loaded: &Loaded, env: &dyn Fn(&str) -> Option<String>) -> RecordsPlace {
    let gateway = loaded.gateway.as_ref();
    let base = |at: Mark| loaded.files.base_dir(at.file).to_path_buf();
    let data_dir = gateway.and_then(|gateway| gateway.data_dir.as_ref());
    let data_dir = data_dir.map_or_else(|| PathBuf::from("data"), |dir| base(dir.at).join(&dir.value));
    let secret =
        gateway.and_then(|gateway| gateway.records.as_ref()).and_then(|records| records.secret.as_ref());
    let resolve = |secret: &At<SecretRef>| secret.value.resolve(env, &base(secret.at)).ok();
    let signer = gateway.and_then(|gateway| gateway.records.as_ref()?.sign.as_ref());
    let signer = signer.and_then(|sign| Signer::from_pem(resolve(sign)?.expose()).ok()).map(Arc::new);
    RecordsPlace { data_dir, secret: secret.and_then(resolve), signer }
}

/// Where the admin port of a running gateway is, and the token that it asks for.
#[derive(Debug)]
pub struct AdminPlace {
    pub address: SocketAddr,
    pub token: Option<Secret>,
}

/// The admin port of a configuration, for those who want something of the gateway that runs with it.
///
/// # Errors
/// When the token cannot be fetched here; an address that is none is reported by `compile`.
pub fn admin_place(
    loaded: &Loaded,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<AdminPlace, SecretMissing> {
    let gateway = loaded.gateway.as_ref();
    let written = gateway.and_then(|gateway| gateway.admin.as_ref());
    let address = written.and_then(|at| address_of(&at.value)).unwrap_or(ADMIN);
    let token = gateway.and_then(|gateway| gateway.admin_token.as_ref());
    let token = token.map(|token| token.value.resolve(env, loaded.files.base_dir(token.at.file)));
    Ok(AdminPlace { address, token: token.transpose()? })
}

/// Where the admin port is, unless the configuration says something else.
const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8081);

fn address_of(text: &str) -> Option<SocketAddr> {
    let text = text.replace("localhost:", "127.0.0.1:");
    text.parse().or_else(|_| format!("127.0.0.1:{text}").parse()).ok()
}

/// Whether the second of two sockets could not be opened. Port 0 is any that is free.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let wide = (a.ip().is_unspecified() || b.ip().is_unspecified()) && a.is_ipv4() == b.is_ipv4();
    a.port() != 0 && a.port() == b.port() && (a.ip() == b.ip() || wide)
}

/// Compiles a loaded configuration. With an error among the problems there is nothing to run.
pub fn compile(loaded: &Loaded, context: &Context<'_>) -> (Option<Compiled>, Vec<Problem>) {
    compile_for(Purpose::Serve, loaded, context)
}

/// Compiles a configuration to be looked at, in any place: all is as it would run, but for what only the place has where
/// the gateway runs, which is left out. Nothing comes back that could be served. `now` in seconds since 1970, UTC.
pub fn compile_to_read(loaded: &Loaded, now: i64) -> (Option<Snapshot>, Vec<Problem>) {
    let (quotas, secrets) = (DashMap::new(), TenantSecrets::of_master([0; 32]));
    let context = Context { env: &|_| None, secrets: &secrets, quotas: &quotas, before: None, now };
    let (compiled, problems) = compile_for(Purpose::Read, loaded, &context);
    (compiled.map(|compiled| compiled.snapshot), problems)
}

fn compile_for(purpose: Purpose, loaded: &Loaded, context: &Context<'_>) -> (Option<Compiled>, Vec<Problem>) {
    let Some(gateway) = &loaded.gateway else { return (None, loaded.problems.clone()) };
    let shown_dir = shown_dir(loaded);
    let (held, mut problems) = lineage::resolve(loaded);
    problems.splice(0..0, loaded.problems.iter().cloned());
    let errors = loaded.problems.iter().filter(|problem| problem.severity == Severity::Error);
    let wrong = errors.filter_map(|problem| problem.at).map(spot).collect();
    let mut compiler =
        Compiler { loaded, context, purpose, problems, said: HashSet::new(), wrong, shown_dir };
    let own = compiler.credentials(gateway, &held);
    let mut accounts = Accounts::default();
    let upstreams = compiler.upstreams(gateway, &own, &mut accounts);
    let servers = compiler.mcp_servers(gateway, &own, &mut accounts);
    let tool_apis = compiler.tool_apis(gateway, &own, &mut accounts);
    let models = compiler.models(gateway, &upstreams);
    let queues = compiler.queues(gateway);
    let (mut directory, tenants) = compiler.tenants(&held);
    let key_sets = compiler.callers(gateway, &mut directory);
    let webhooks = compiler.webhooks(&held);
    let serve = compiler.serve(gateway);
    let public_url = compiler.public_url(gateway);
    let hosts = hosts(gateway, serve.as_ref(), public_url.as_deref());
    let limits = limits(gateway);
    compiler.lets_requests_in(gateway);
    compiler.identity(gateway, &held);
    let problems = compiler.problems;
    let failed = problems.iter().any(|problem| problem.severity == Severity::Error);
    let compiled = serve.filter(|_| !failed).map(|serve| Compiled {
        snapshot: Snapshot {
            hash: loaded.hash.as_str().into(),
            directory,
            key_sets,
            models,
            upstreams: upstreams.into_values().collect(),
            tool_apis,
            servers,
            accounts,
            queues,
            hosts,
            public_url,
            limits,
            webhooks,
            tenants,
        },
        serve,
    });
    (compiled, problems)
}

/// Where a place begins.
fn spot(at: Mark) -> (FileId, u32, u32) {
    (at.file, at.line, at.col)
}

/// The directory of `tollgate.yaml`, as it is shown.
pub(super) fn shown_dir(loaded: &Loaded) -> String {
    let Some(gateway) = &loaded.gateway else { return String::new() };
    let shown = Path::new(loaded.files.path(gateway.at.file));
    shown.parent().map(|dir| dir.display().to_string()).unwrap_or_default()
}

/// A path as records name it.
pub(super) fn inner_path<'p>(path: &'p str, shown_dir: &str) -> &'p str {
    path.strip_prefix(shown_dir).map_or(path, |rest| rest.trim_start_matches('/'))
}

/// A place as records name it: relative to the directory of `tollgate.yaml`.
pub fn place(loaded: &Loaded, at: Mark) -> Source {
    place_in(loaded, &shown_dir(loaded), at)
}

fn place_in(loaded: &Loaded, shown_dir: &str, at: Mark) -> Source {
    Source::new(inner_path(loaded.files.path(at.file), shown_dir), at.line)
}

/// By which names agents speak to the gateway.
fn hosts(gateway: &raw::Gateway, serve: Option<&Serve>, public_url: Option<&str>) -> Hosts {
    let addresses = serve.iter().flat_map(|serve| &serve.listen).map(|listen| listen.address.ip()).collect();
    let public = public_url.and_then(|url| url.split_once("://")).map(|(_, authority)| authority);
    Hosts::new(addresses, gateway.allowed_hosts.iter().map(|at| at.value.as_str()).chain(public))
}

fn limits(gateway: &raw::Gateway) -> Limits {
    let mut limits = Limits::default();
    let Some(raw) = &gateway.limits else { return limits };
    let size = |at: &At<super::values::Size>| usize::try_from(at.value.0).unwrap_or(usize::MAX);
    if let Some(body) = &raw.body {
        limits.body = body.value.0;
    }
    limits.bodies = raw.bodies.as_ref().map(|bodies| bodies.value.0);
    limits.answers = raw.answers.as_ref().map(|answers| answers.value.0);
    if let Some(nesting) = &raw.nesting {
        limits.nesting = usize::try_from(nesting.value).unwrap_or(usize::MAX).min(crate::json::NESTING_MAX);
    }
    if let Some(arguments) = &raw.tool_arguments {
        limits.tool_arguments = size(arguments);
    }
    if let Some(header) = &raw.header {
        limits.header = size(header);
    }
    if let Some(drain) = &raw.drain {
        limits.drain = drain.value;
    }
    limits
}

/// No request's head is shorter, with a path, a host and a credential.
const HEADER_MIN: u64 = 1 << 10;
/// A few answers of some length.
const ANSWERS_MIN: u64 = 16 << 20;
/// `{}`.
const JSON_MIN: u64 = 2;

impl Compiler<'_> {
    /// Says what would keep every request out.
    fn lets_requests_in(&mut self, gateway: &raw::Gateway) {
        for host in gateway.allowed_hosts.iter().filter(|host| !Hosts::can_be(&host.value)) {
            let message = format!("`{}` is no host, so no request is for it", host.value);
            let problem = Problem::error("bad-host", host.at, message);
            self.say(
                problem.hint("write a name or an address, with a port or without: no scheme, path or `*`"),
            );
        }
        let Some(limits) = &gateway.limits else { return };
        let sizes = [
            (&limits.header, HEADER_MIN, "the head of a request", "1KiB"),
            (&limits.body, JSON_MIN, "a body", "2B"),
            (&limits.tool_arguments, JSON_MIN, "arguments", "2B"),
            (&limits.answers, ANSWERS_MIN, "what answers may take", "16MiB"),
        ];
        for (size, least, what, written) in sizes {
            if let Some(size) = size.as_ref().filter(|size| size.value.0 < least) {
                self.error(
                    "too-small",
                    size.at,
                    format!("{what} cannot be as small as this; {written} is the least"),
                );
            }
        }
    }

    fn error(&mut self, code: &'static str, at: Mark, message: impl Into<String>) {
        self.say(Problem::error(code, at, message));
    }

    fn warn(&mut self, code: &'static str, at: Mark, message: impl Into<String>) {
        self.say(Problem::warning(code, at, message));
    }

    /// What is written for several tenants is wrong once, and so is what was found wrong when it was read.
    fn say(&mut self, problem: Problem) {
        let told = problem.severity == Severity::Error
            && problem.at.is_some_and(|at| self.wrong.contains(&spot(at)));
        if !told && self.said.insert((problem.code, problem.at, problem.message.clone())) {
            self.problems.push(problem);
        }
    }

    /// A path relative to the file that names it.
    fn file(&self, at: &At<PathBuf>) -> PathBuf {
        self.loaded.files.base_dir(at.at.file).join(&at.value)
    }

    /// The content of a file of the place where the gateway runs, such as a certificate.
    fn read_file(&mut self, at: &At<PathBuf>) -> Option<Vec<u8>> {
        if self.purpose == Purpose::Read {
            return None;
        }
        let path = self.file(at);
        std::fs::read(&path)
            .map_err(|error| {
                let message =
                    format!("the file {} cannot be read: {}", path.display(), super::why_unread(&error));
                self.error("not-found", at.at, message);
            })
            .ok()
    }

    fn secret(&mut self, secret: &At<SecretRef>) -> Option<Secret> {
        if secret.value.is_bare() {
            let problem = Problem::warning("bare-secret", secret.at, "a secret stands in the file itself");
            self.say(problem.hint(
                "write { env: NAME } or { file: PATH }, and give out a new one if others can read this file",
            ));
        } else if self.purpose == Purpose::Read {
            return None;
        }
        let base = self.loaded.files.base_dir(secret.at.file).to_path_buf();
        if let SecretRef::File(path) = &secret.value {
            self.look_at_mode(&base.join(path), Some(secret.at));
        }
        secret
            .value
            .resolve(self.context.env, &base)
            .map_err(|missing| {
                let hint = match &missing {
                    SecretMissing::Env(name) => format!(
                        "set it, as in `export {name}=…`; where only the configuration is looked at (in CI), `tollgate check --without-secrets` does without"
                    ),
                    SecretMissing::Empty | SecretMissing::File(..) | SecretMissing::Unfit => {
                        "the whole content of the variable or file is the secret; paths are relative to this file".to_owned()
                    }
                };
                self.say(Problem::error("secret-missing", secret.at, missing.to_string()).hint(hint));
            })
            .ok()
    }

    /// Warns of a secret's file that others can read.
    fn look_at_mode(&mut self, path: &Path, at: Option<Mark>) {
        if let Some(mode) = super::secret::open_mode(path) {
            let path = path.display();
            let message = format!(
                "the secret's file {path} has mode {mode:04o}: others can read it, or change it; `chmod 600 {path}`"
            );
            self.say(Problem::warning("open-secret", at, message));
        }
    }

    fn address(&mut self, at: &At<String>) -> Option<SocketAddr> {
        let address = address_of(&at.value);
        if address.is_none() {
            self.error("bad-address", at.at, "not an address; write IP:PORT, such as 127.0.0.1:8080");
        }
        address
    }

    /// Where clients find the gateway: scheme, host and port.
    fn public_url(&mut self, gateway: &raw::Gateway) -> Option<String> {
        let url = gateway.public_url.as_ref()?;
        match Origin::parse(&url.value) {
            Ok((origin, path)) if path.is_empty() => Some(origin.to_string()),
            Ok(_) => {
                self.error("bad-url", url.at, "`public_url` has no path: the gateway's own begin behind it");
                None
            }
            Err(bad) => {
                self.error("bad-url", url.at, bad.to_string());
                None
            }
        }
    }

    fn serve(&mut self, gateway: &raw::Gateway) -> Option<Serve> {
        let mut listen = Vec::new();
        for listener in gateway.listen.iter().flat_map(|many| &many.0) {
            let tls = listener.tls.as_ref().map(|tls| self.tls(tls));
            if let Some(address) = self.address(&listener.address) {
                listen.push(Listen { address, tls: tls.flatten() });
            }
        }
        if gateway.listen.is_none() {
            listen.push(Listen { address: SocketAddr::from(([127, 0, 0, 1], 8080)), tls: None });
        }
        let admin = match &gateway.admin {
            Some(at) => self.address(at),
            None => Some(ADMIN),
        };
        let probes = gateway.probes.as_ref().and_then(|at| self.address(at));
        self.same_address(gateway, &listen, admin, probes);
        let admin_token = gateway.admin_token.as_ref().and_then(|token| self.secret(token));
        if let (Some(address), Some(at), None) = (admin, &gateway.admin, &gateway.admin_token)
            && !address.ip().is_loopback()
        {
            let message = "the admin port is not on loopback, and anyone could use it";
            let problem = Problem::error("admin-without-token", at.at, message);
            let next = "set `admin_token`, or listen on 127.0.0.1; probes and metrics alone have `probes`";
            self.say(problem.hint(next));
        }
        let records = gateway.records.as_ref();
        let secret = records.and_then(|records| self.records_secret(records.secret.as_ref()?));
        let signer = records.and_then(|records| self.signer(records.sign.as_ref()?));
        let data_dir = records_place(self.loaded, self.context.env).data_dir;
        if secret.is_none() && self.purpose != Purpose::Read {
            self.look_at_mode(&data_dir.join("secret"), None);
        }
        let exports = self.exports(gateway);
        let on_failure = records.and_then(|records| records.on_failure.as_ref()).map(|at| at.value);
        let shared_state = gateway.shared_state.as_ref().and_then(|state| self.shared_state(state));
        Some(Serve {
            shared_state,
            listen,
            admin: admin?,
            admin_token,
            probes,
            data_dir,
            allowed_hosts: gateway.allowed_hosts.iter().map(|at| at.value.clone()).collect(),
            retain: records
                .and_then(|records| records.retain.as_ref())
                .map_or(Duration::from_secs(400 * 86_400), |at| at.value),
            compress: records
                .and_then(|records| records.compress.as_ref())
                .is_none_or(|compress| compress.value),
            secret,
            signer,
            exports,
            on_failure: match on_failure {
                Some(raw::OnFailure::Drop) => OnFailure::Drop,
                Some(raw::OnFailure::Fail) | None => OnFailure::Fail,
            },
        })
    }

    fn records_secret(&mut self, at: &At<SecretRef>) -> Option<Secret> {
        let found = self.secret(at)?;
        if found.expose().len() < 16 {
            let message = "the records' secret is shorter than 16 bytes";
            self.say(Problem::error("short-secret", at.at, message).hint("`openssl rand -hex 32` makes one"));
        }
        Some(found)
    }

    fn shared_state(&mut self, state: &raw::SharedState) -> Option<fleet::Options> {
        let ca = state.ca.as_ref().map(|ca| self.read_file(ca));
        let url = self.redis(&state.redis)?;
        let ca = match ca {
            Some(read) => Some(read?),
            None => None,
        };
        let options = fleet::Options {
            url: url.expose().to_owned(),
            ca,
            prefix: state.prefix.as_ref().map_or(fleet::PREFIX, |at| &at.value).to_owned(),
            wait: state.wait.as_ref().map_or(fleet::WAIT, |at| at.value),
        };
        if let Err(bad) = options.client() {
            self.error("bad-url", state.redis.at, bad.to_string());
        }
        Some(options)
    }

    /// The address of a Redis. Only one that holds a credential is a secret.
    fn redis(&mut self, at: &At<SecretRef>) -> Option<Secret> {
        let base = self.loaded.files.base_dir(at.at.file).to_path_buf();
        let open = at.value.is_bare().then(|| at.value.resolve(self.context.env, &base).ok()).flatten();
        match open {
            Some(found) if !found.expose().contains('@') => Some(found),
            _ => self.secret(at),
        }
    }

    fn signer(&mut self, sign: &At<SecretRef>) -> Option<Arc<Signer>> {
        let read = Signer::from_pem(self.secret(sign)?.expose());
        read.map_err(|bad| self.error("bad-key", sign.at, format!("`records.sign`: {bad}")))
            .ok()
            .map(Arc::new)
    }

    /// No two ports of the gateway in one place: the second could not be opened.
    fn same_address(
        &mut self,
        gateway: &raw::Gateway,
        listen: &[Listen],
        admin: Option<SocketAddr>,
        probes: Option<SocketAddr>,
    ) {
        let written = gateway.listen.iter().flat_map(|many| &many.0).map(|listener| &listener.address);
        let mut marks = written.filter(|at| address_of(&at.value).is_some()).map(|at| at.at);
        let mut all: Vec<(&str, SocketAddr, Option<Mark>)> =
            listen.iter().map(|listen| ("listen", listen.address, marks.next())).collect();
        all.extend(admin.map(|address| ("admin", address, gateway.admin.as_ref().map(|at| at.at))));
        all.extend(probes.map(|address| ("probes", address, gateway.probes.as_ref().map(|at| at.at))));
        for (index, (name, address, at)) in all.iter().enumerate() {
            let first = all.iter().take(index).find(|(_, other, _)| collide(*address, *other));
            let Some((other, _, first_at)) = first else { continue };
            let message = if name == other {
                format!("`{name}` has this address and port twice")
            } else {
                format!("`{name}` is on the same address and port as `{other}`")
            };
            let problem = Problem::error("same-address", at.or(*first_at), message);
            let problem = match (at, first_at) {
                (Some(_), Some(first)) => problem.see("the other is here", *first),
                _ => problem.hint(format!("`{name}` is {address} where nothing else is written")),
            };
            self.say(problem.hint("give each a port of its own"));
        }
    }

    fn tls(&mut self, tls: &raw::Tls) -> Option<TlsFiles> {
        let (cert, key) = (self.read_file(&tls.cert), self.read_file(&tls.key));
        let client_ca = match &tls.client_ca {
            Some(at) => Some(self.read_file(at)?),
            None => None,
        };
        let files = TlsFiles { cert: cert?, key: key?, client_ca };
        match crate::server::Tls::new(&files) {
            Ok(_) => Some(files),
            Err(bad) => {
                self.error("bad-tls", tls.cert.at, bad.to_string());
                None
            }
        }
    }
}
