//! The admin port: probes, metrics, status, reload, calls that wait for a person, records, the page. Never on the
//! agents' port.

mod approvals;
mod explain;
mod overview;
mod page;
mod query;
mod records;

use crate::{
    clock,
    config::{self, Texts},
    fleet::Fleet,
    gateway::{Body, Gateway, MetricsFormat},
    hosts::{Accepted, Hosts},
    json::{self, Value},
    ledger::{Filter, Row},
    offline,
    server::Malformed,
    snapshot::Snapshot,
};
use arc_swap::ArcSwapOption;
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use query::Query;
use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::SystemTime,
};
use tokio::sync::Semaphore;

/// What a reload came to: nothing, or the problems as text.
pub type Reload = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// How the last reload went: whoever reloads tells it, the status shows it.
#[derive(Debug, Default)]
pub struct LastReload {
    told: ArcSwapOption<Told>,
    /// When the last try was, and when what runs was loaded: seconds since 1970, UTC.
    tried: AtomicI64,
    loaded: AtomicI64,
    /// The files of what runs.
    texts: ArcSwapOption<Texts>,
}

/// What there is to say of a reload.
#[derive(Debug)]
struct Told {
    ok: bool,
    problems: String,
}

impl LastReload {
    /// This is what runs from now on.
    pub fn loaded(&self, texts: Texts) {
        self.texts.store(Some(Arc::new(texts)));
        let now = clock::unix_seconds(clock::wall());
        self.loaded.store(now, Ordering::Relaxed);
        self.tried.store(now, Ordering::Relaxed);
    }

    /// The last reload went well, perhaps with something that waits for a restart; or these are the problems.
    pub fn tell(&self, came_to: &Result<Option<String>, String>) {
        let told = match came_to {
            Ok(None) => None,
            Ok(Some(problems)) => Some(Told { ok: true, problems: problems.clone() }),
            Err(problems) => Some(Told { ok: false, problems: problems.clone() }),
        };
        self.told.store(told.map(Arc::new));
        self.tried.store(clock::unix_seconds(clock::wall()), Ordering::Relaxed);
    }

    fn to_json(&self) -> Value<'static> {
        match self.told.load_full() {
            None => Value::object([("ok", Value::Bool(true))]),
            Some(told) => Value::object([
                ("ok", Value::Bool(told.ok)),
                ("problems", Value::string(told.problems.trim_end().to_owned())),
            ]),
        }
    }
}

/// What the admin port answers from.
pub struct Admin {
    pub gateway: Arc<Gateway>,
    pub draining: Arc<AtomicBool>,
    pub reload: Reload,
    pub last_reload: Arc<LastReload>,
    /// `Host` and `Origin` names that are accepted.
    pub hosts: Hosts,
    /// Asked for on everything but probes and metrics; `None` on loopback.
    pub token: Option<Vec<u8>>,
    /// Whether only probes and metrics are served.
    pub scope: Scope,
    /// Where the records are.
    pub data_dir: PathBuf,
    /// When the gateway started.
    pub started: SystemTime,
    /// Places for those who read records, so that they do not keep the disk from the gateway.
    pub readers: Semaphore,
}

/// So many answers that read records, or much else, are made at once.
pub const READERS_MAX: usize = 4;
/// An answer of which nothing came, and why.
type Failed = (StatusCode, String);

/// Where calls that wait for a person are decided.
const APPROVALS: &str = "/admin/approvals/";
/// A request's body is no larger.
const BODY_BYTES_MAX: usize = 16 << 10;
/// Nor is that of a call to be explained.
const CALL_BYTES_MAX: usize = 1 << 20;

/// What becomes of a request once its head was looked at.
enum Routed {
    Answered(Response<Body>),
    Metrics(MetricsFormat),
    /// A person's decision on the call of this id, which its body tells.
    Decision(String),
    /// Who reaches what.
    Access(Query),
    /// What tenants used.
    Usage(Query),
    /// One call that waits.
    Approval(String),
    /// Those that wait.
    Approvals(Query),
    /// A call to be explained.
    Explain,
    Looked(Look, Query),
}

/// What is looked up on a thread that may take its time.
#[derive(Debug, Clone, Copy)]
enum Look {
    Records,
    Rule,
    Series,
    Tenants,
}

/// How much of the admin API a port serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    All,
    Probes,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl Admin {
    /// Answers one request.
    pub async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        if let Some(malformed) = head.extensions.get::<Malformed>() {
            let status = StatusCode::from_u16(malformed.status).unwrap_or(StatusCode::BAD_REQUEST);
            return error(status, &malformed.message);
        }
        match self.route(&head) {
            Routed::Answered(response) => response,
            Routed::Metrics(format) => self.metrics(format).await,
            Routed::Decision(id) => match Limited::new(body, BODY_BYTES_MAX).collect().await {
                Ok(body) => self.decide(&id, &body.to_bytes()).await,
                Err(_) => error(StatusCode::BAD_REQUEST, "the body is too large, or broke off"),
            },
            Routed::Access(query) => self.access(query).await,
            Routed::Usage(query) => self.usage(&query).await,
            Routed::Approval(id) => self.call(&id).await,
            Routed::Approvals(query) => self.waiting(&query).await,
            Routed::Explain => match Limited::new(body, CALL_BYTES_MAX).collect().await {
                Ok(body) => self.explain(body.to_bytes()).await,
                Err(_) => error(StatusCode::BAD_REQUEST, "the body is larger than 1 MiB, or broke off"),
            },
            Routed::Looked(look, query) => self.look(look, query).await,
        }
    }

    /// Looks something up, in turn.
    async fn look(&self, look: Look, query: Query) -> Response<Body> {
        let Ok(_place) = self.readers.acquire().await else { return cannot() };
        let (gateway, data_dir) = (Arc::clone(&self.gateway), self.data_dir.clone());
        let texts = self.last_reload.texts.load_full();
        let now = clock::unix_seconds(clock::wall());
        let told = tokio::task::spawn_blocking(move || match look {
            Look::Records => {
                let snapshot = gateway.snapshot.load_full();
                records::read(&data_dir, &query, now, &|name| snapshot.directory.find(name).is_some())
            }
            Look::Rule => explain::rule(&gateway, texts.as_deref(), &query),
            Look::Series => overview::series(&gateway, &query),
            Look::Tenants => overview::tenants(&gateway, &query),
        });
        answered(told.await)
    }

    /// Explains a call under the configuration that runs.
    async fn explain(&self, body: bytes::Bytes) -> Response<Body> {
        let Ok(_place) = self.readers.acquire().await else { return cannot() };
        let gateway = Arc::clone(&self.gateway);
        let texts = self.last_reload.texts.load_full();
        let now = clock::unix_seconds(clock::wall());
        // Conditions have a budget, and many rules take their time.
        let told =
            tokio::task::spawn_blocking(move || explain::explain(&gateway, texts.as_deref(), &body, now));
        answered(told.await)
    }

    /// Answers what needs no body.
    fn route(&self, request: &Parts) -> Routed {
        let (method, path) = (&request.method, request.uri.path());
        // The port of probes is kubelet's and scrapers', which come under any name.
        let is_foreign = self.scope == Scope::All && !self.is_local(request);
        Routed::Answered(match (method, path) {
            (&Method::GET, "/livez" | "/healthz" | "/readyz" | "/metrics") if is_foreign => foreign(),
            (&Method::POST, _) if path.starts_with(APPROVALS) && self.refusal(request).is_none() => {
                return Routed::Decision(path.trim_start_matches(APPROVALS).to_owned());
            }
            (&Method::GET, "/livez" | "/healthz") => text(StatusCode::OK, "ok\n"),
            (&Method::GET, "/readyz") if self.draining.load(Ordering::Relaxed) => {
                text(StatusCode::SERVICE_UNAVAILABLE, "draining\n")
            }
            (&Method::GET, "/readyz") => text(StatusCode::OK, "ready\n"),
            (&Method::GET, "/metrics") => return Routed::Metrics(metrics_format(request)),
            (&Method::GET, "/") if self.scope == Scope::All && self.is_local(request) => page::answer(),
            _ if let Some(refusal) = self.refusal(request) => refusal,
            (&Method::GET, "/admin/status") if request.uri.query().is_some_and(|query| !query.is_empty()) => {
                error(StatusCode::BAD_REQUEST, "there are no parameters")
            }
            (&Method::GET, "/admin/status") => self.status(),
            (&Method::POST, "/admin/explain") => return Routed::Explain,
            (&Method::GET, _) if path.starts_with(APPROVALS) => {
                return Routed::Approval(path.trim_start_matches(APPROVALS).to_owned());
            }
            (&Method::POST, "/admin/reload") => match (self.reload)() {
                Ok(()) => self.status(),
                Err(problems) => error(StatusCode::UNPROCESSABLE_ENTITY, problems),
            },
            (&Method::GET, _) => return asked(path, request.uri.query()),
            _ => error(StatusCode::NOT_FOUND, "no such path here"),
        })
    }

    /// Why a request is not answered here, if it is not.
    fn refusal(&self, request: &Parts) -> Option<Response<Body>> {
        if self.scope == Scope::Probes {
            Some(error(StatusCode::NOT_FOUND, "no such path here"))
        } else if !self.is_local(request) {
            Some(foreign())
        } else if !self.is_authorized(request) {
            Some(error(StatusCode::UNAUTHORIZED, "the admin token is missing or wrong"))
        } else {
            None
        }
    }

    /// Everything that is measured.
    async fn metrics(&self, format: MetricsFormat) -> Response<Body> {
        let gateway = Arc::clone(&self.gateway);
        // With many tenants it takes its time: not on a thread that others wait for.
        match tokio::task::spawn_blocking(move || gateway.metrics(format)).await {
            Ok(metrics) => {
                let mut response = text(StatusCode::OK, metrics);
                let kind = HeaderValue::from_static(match format {
                    MetricsFormat::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
                    MetricsFormat::OpenMetrics => {
                        "application/openmetrics-text; version=1.0.0; charset=utf-8"
                    }
                });
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
                response
            }
            Err(_) => error(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be made"),
        }
    }

    /// Who reaches what, and by which rule: of one tenant (`?tenant=`) or all; or who can call one tool (`?tool=`).
    async fn access(&self, query: Query) -> Response<Body> {
        if let Some(unknown) = self.unknown(&query) {
            return unknown;
        }
        let (snapshot, now) = (self.gateway.snapshot.load_full(), clock::unix_seconds(clock::wall()));
        // With many tenants it takes its time: not a thread that others wait for.
        let told = tokio::task::spawn_blocking(move || {
            offline::access::json(&snapshot, now, query.get("tenant"), query.get("tool"))
        });
        match told.await {
            Ok(told) => respond(StatusCode::OK, &told),
            Err(_) => error(StatusCode::INTERNAL_SERVER_ERROR, "the matrix could not be made"),
        }
    }

    /// What tenants used, of one tenant (`?tenant=`) or all, from a time on (`?since=`): the rows of `tollgate usage`.
    async fn usage(&self, query: &Query) -> Response<Body> {
        let now = clock::unix_seconds(clock::wall());
        let since = query.get("since").map(|since| config::moment(&since.replace("%3A", ":"), now));
        if since == Some(None) {
            let message = "`since` is a date, a time with its zone, or how long ago, such as 7d";
            return error(StatusCode::BAD_REQUEST, message);
        }
        let filter = Filter { tenant: query.get("tenant").map(ToOwned::to_owned), since: since.flatten() };
        let gateway = Arc::clone(&self.gateway);
        match tokio::task::spawn_blocking(move || gateway.ledger.rows(&filter)).await {
            // A tenant that is gone may have used something.
            Ok(Ok(rows)) if rows.is_empty() && self.unknown(query).is_some() => no_tenant(),
            Ok(Ok(rows)) => respond(StatusCode::OK, &Value::Array(rows.iter().map(Row::to_json).collect())),
            Ok(Err(_)) | Err(_) => error(StatusCode::INTERNAL_SERVER_ERROR, "the ledger cannot be read"),
        }
    }

    /// What is told where no tenant has the name that is asked about.
    fn unknown(&self, query: &Query) -> Option<Response<Body>> {
        let name = query.get("tenant")?;
        self.gateway.snapshot.load().directory.find(name).is_none().then(no_tenant)
    }

    /// A browser on another site must not reach this port through its user: foreign names are refused.
    fn is_local(&self, request: &Parts) -> bool {
        let Ok(Accepted { host, origin }) = self.hosts.check(request) else { return false };
        // A page of another port on this machine decides nothing.
        let own = origin.is_none_or(|origin| origin == host || self.hosts.lists(&origin));
        request.method == Method::GET || own
    }

    fn is_authorized(&self, request: &Parts) -> bool {
        use sha2::{Digest, Sha256};
        let Some(token) = &self.token else { return true };
        let mut given = request.headers.get_all(header::AUTHORIZATION).iter();
        let (Some(given), None) = (given.next(), given.next()) else { return false };
        let Some((scheme, given)) = given.as_bytes().split_first_chunk::<7>() else { return false };
        // Compared by digest: the time it takes tells nothing of the token.
        scheme.eq_ignore_ascii_case(b"Bearer ") && Sha256::digest(given) == Sha256::digest(token)
    }

    fn status(&self) -> Response<Body> {
        let snapshot = self.gateway.snapshot.load();
        let records = self.gateway.records.are_written();
        let count = |number: usize| Value::integer(u64::try_from(number).unwrap_or(u64::MAX));
        let now = u64::try_from(clock::unix_seconds(clock::wall())).unwrap_or(0);
        respond(
            StatusCode::OK,
            &Value::object([
                ("version", Value::string(env!("CARGO_PKG_VERSION"))),
                ("config", Value::string(snapshot.hash.to_string())),
                ("tenants", count(snapshot.tenants)),
                ("models", count(snapshot.models.len())),
                ("reload", self.last_reload.to_json()),
                ("reload_time", overview::time(self.last_reload.tried.load(Ordering::Relaxed))),
                ("config_loaded", overview::time(self.last_reload.loaded.load(Ordering::Relaxed))),
                ("started", overview::time(clock::unix_seconds(self.started))),
                ("waiting", count(self.gateway.approvals.waiting(clock::unix_millis(clock::wall())).len())),
                ("upstreams", upstreams(&snapshot)),
                ("records", Value::string(if records { "ok" } else { "failing" })),
                ("shared_state", self.gateway.fleet.as_ref().map_or(Value::Null, shared_state)),
                ("draining", Value::Bool(self.draining.load(Ordering::Relaxed))),
                ("time", Value::integer(now)),
            ]),
        )
    }
}

/// Whether the gateways that share limits can be asked, and how many there are.
fn shared_state(fleet: &Fleet) -> Value<'static> {
    let (is_joined, gateways) = fleet.standing();
    let state = Value::string(if is_joined { "joined" } else { "alone" });
    Value::object([("state", state), ("gateways", Value::integer(u64::from(gateways)))])
}

fn no_tenant() -> Response<Body> {
    error(StatusCode::NOT_FOUND, "there is no tenant of this name")
}

fn foreign() -> Response<Body> {
    let message = "this Host or Origin is not accepted here: use the address that `admin` has, or list the name in `allowed_hosts`";
    error(StatusCode::FORBIDDEN, message)
}

/// All upstreams by name: those of models, MCP servers, tool APIs and vector stores.
fn upstreams(snapshot: &Snapshot) -> Value<'static> {
    let models = snapshot.upstreams.iter().map(|upstream| upstream.name.to_string());
    let servers = snapshot.servers.iter().map(|server| server.shared_name().to_string());
    let tools = snapshot.tool_apis.keys().map(|name| name.to_string());
    let names: BTreeSet<String> = models.chain(servers).chain(tools).collect();
    Value::Array(names.into_iter().map(Value::string).collect())
}

/// What a path with parameters asks for.
/// OpenMetrics for those who say that they read it.
fn metrics_format(request: &Parts) -> MetricsFormat {
    let accepted = request.headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let reads = |kind: &str| {
        let mut parts = kind.split(';').map(str::trim);
        let is_it =
            parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/openmetrics-text"));
        is_it && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "version=0.0.1"))
    };
    let is_read = accepted.flat_map(|value| value.split(',')).any(reads);
    if is_read { MetricsFormat::OpenMetrics } else { MetricsFormat::Prometheus }
}

fn asked(path: &str, query: Option<&str>) -> Routed {
    let looked = |look: Look| move |query: Query| Routed::Looked(look, query);
    let (known, make): (&[&str], &dyn Fn(Query) -> Routed) = match path {
        "/admin/access" => (&["tenant", "tool"], &Routed::Access),
        "/admin/usage" => (&["tenant", "since"], &Routed::Usage),
        "/admin/approvals" => (&["tenant"], &Routed::Approvals),
        "/admin/records" => (&records::PARAMETERS, &looked(Look::Records)),
        "/admin/rule" => (&explain::RULE_PARAMETERS, &looked(Look::Rule)),
        "/admin/series" => (&overview::SERIES_PARAMETERS, &looked(Look::Series)),
        "/admin/tenants" => (&overview::TENANTS_PARAMETERS, &looked(Look::Tenants)),
        _ => return Routed::Answered(error(StatusCode::NOT_FOUND, "no such path here")),
    };
    match Query::read(query, known) {
        Ok(query) => make(query),
        Err(message) => Routed::Answered(error(StatusCode::BAD_REQUEST, message)),
    }
}

/// What was looked up, or why not.
fn answered<E>(told: Result<Result<Value<'static>, Failed>, E>) -> Response<Body> {
    match told {
        Ok(Ok(told)) => respond(StatusCode::OK, &told),
        Ok(Err((status, message))) => error(status, message),
        Err(_) => cannot(),
    }
}

fn cannot() -> Response<Body> {
    error(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be made")
}

fn text(status: StatusCode, text: impl Into<bytes::Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::full(text.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn error(status: StatusCode, message: impl Into<String>) -> Response<Body> {
    let error = Value::object([("message", Value::string(message.into()))]);
    respond(status, &Value::object([("error", error)]))
}

fn respond(status: StatusCode, value: &Value<'_>) -> Response<Body> {
    let mut body = Vec::new();
    json::write(value, &mut body);
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
