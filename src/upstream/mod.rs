//! Everything that talks to the servers behind the gateway. Apart because it is the shell on that side: the
//! rest of the tree sees requests and answers, never sockets. Which server is tried, with which credential and
//! how often stands here; how bytes travel stands in `http1`.

pub mod analyzer;
mod circuit;
mod gate;
mod health;
pub mod http1;
pub mod mcp;
pub mod published;
mod retry_after;
mod route;
pub mod webhook;

pub use gate::{Place, Progress, Queues, Standing, Turn};
pub use health::{Came, Health};
pub use route::{Destination, Parcel, Parcels, Received, Repeat, Target, refusal_for};

use crate::{clock, dialect::Family, json::Value, names::UpstreamName};
use bytes::Bytes;
use circuit::{Budget, Circuit, Shown};
use http::{HeaderName, HeaderValue};
use http1::Client;
use memchr::memmem::{self, Finder};
use sha2::{Digest, Sha256};
use std::{
    borrow::Cow,
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// A server (or several alike) behind the gateway, as configured.
#[derive(Debug)]
pub struct Upstream {
    pub name: UpstreamName,
    /// Whose dialects it speaks.
    pub speaks: Family,
    /// One a URL, with the path that the URL ends in.
    endpoints: Vec<Endpoint>,
    credentials: Vec<Kept>,
    /// They are a tenant's, for itself.
    is_own: bool,
    /// Further tries after a first one that failed.
    pub retries: u32,
    pub health: Health,
    /// Counts tries, so that endpoints and credentials take turns.
    turn: AtomicUsize,
    /// How often calls may be sent there again.
    budget: Budget,
}

/// A credential, and until when it rests.
#[derive(Debug)]
struct Kept {
    credential: Credential,
    rests_until: Mutex<Option<Instant>>,
}

impl Kept {
    fn new(credential: Credential) -> Self {
        Self { credential, rests_until: Mutex::new(None) }
    }

    fn rests_until(&self) -> Option<Instant> {
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a try goes, and what it shows there.
#[derive(Debug)]
struct Chosen<'u> {
    endpoint: &'u Endpoint,
    kept: Option<&'u Kept>,
}

impl Chosen<'_> {
    /// Of several credentials, this one is not shown again for so long.
    fn rest(&self, until: Instant) {
        if let Some(kept) = self.kept {
            *kept.rests_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        }
    }
}

/// So long a second try waits, a third twice as long.
const PAUSE_BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// A credential that was refused, or used too often, rests for so long.
const REFUSED_REST: Duration = Duration::from_secs(300);
const LIMITED_REST: Duration = Duration::from_secs(10);

/// One URL of an upstream.
#[derive(Debug)]
pub struct Endpoint {
    pub client: Client,
    /// `/v1` of `https://api.openai.com/v1`.
    pub base_path: String,
    circuit: Circuit,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.client.origin(), self.base_path)
    }
}

impl Endpoint {
    /// A URL that nothing is known of yet.
    pub fn new(client: Client, base_path: String) -> Self {
        Self { client, base_path, circuit: Circuit::default() }
    }
}

/// What the gateway shows to an upstream. The value is marked sensitive and never printed.
#[derive(Debug, Clone)]
pub struct Credential {
    pub header: HeaderName,
    pub value: HeaderValue,
}

/// Instead of a credential.
const CONCEALED: &str = "[API_KEY]";
/// Anything shorter would be found everywhere.
const SECRET_BYTES_MIN: usize = 4;

fn conceal_in(value: &mut Value<'_>, secret: &str, finder: &Finder<'_>) {
    let conceal = |text: &mut Cow<'_, str>| {
        if finder.find(text.as_bytes()).is_some() {
            *text = Cow::Owned(text.replace(secret, CONCEALED));
        }
    };
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| conceal_in(item, secret, finder)),
        Value::Object(members) => {
            for (name, value) in members {
                conceal(name);
                conceal_in(value, secret, finder);
            }
        }
        Value::String(text) => conceal(text),
        Value::Bool(_) | Value::Null | Value::Number(_) => {}
    }
}

impl Upstream {
    /// An upstream of these endpoints, which are taken in turns.
    pub fn new(
        name: UpstreamName,
        speaks: Family,
        endpoints: Vec<Endpoint>,
        credentials: Vec<Credential>,
        retries: u32,
    ) -> Self {
        let credentials = credentials.into_iter().map(Kept::new).collect();
        let (health, turn, budget) = (Health::default(), AtomicUsize::new(0), Budget::default());
        Self { name, speaks, endpoints, credentials, is_own: false, retries, health, turn, budget }
    }

    /// Whose credential it is shown.
    fn shows(&self) -> Shown {
        match (self.credentials.is_empty(), self.is_own) {
            (true, _) => Shown::Nothing,
            (false, false) => Shown::Shared,
            (false, true) => Shown::Own,
        }
    }

    /// The same upstream with another credential, and connections of its own.
    pub fn on_account(&self, credential: &Credential) -> Self {
        let endpoint = |endpoint: &Endpoint| Endpoint {
            client: endpoint.client.apart(),
            base_path: endpoint.base_path.clone(),
            circuit: endpoint.circuit.clone(),
        };
        Self {
            name: self.name.clone(),
            speaks: self.speaks,
            endpoints: self.endpoints.iter().map(endpoint).collect(),
            credentials: vec![Kept::new(credential.clone())],
            is_own: true,
            retries: self.retries,
            health: self.health.clone(),
            turn: AtomicUsize::new(0),
            budget: Budget::default(),
        }
    }

    /// The endpoint and credential of a tenant's next try: of two endpoints that answer, the one with less to do. None
    /// while none answers.
    fn next(&self, tenant: &str, now: Instant) -> Option<Chosen<'_>> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let endpoint = self.endpoint(turn, tenant, now)?;
        let count = self.credentials.len();
        let in_turn = (0..count).filter_map(|step| self.credentials.get((turn + step) % count));
        let awake = in_turn.clone().find(|kept| kept.rests_until().is_none_or(|until| now >= until));
        // Where all of them rest, the one that rests the shortest is shown: somebody has to find out.
        let kept = awake.or_else(|| in_turn.min_by_key(|kept| kept.rests_until()));
        Some(Chosen { endpoint, kept })
    }

    fn endpoint(&self, turn: usize, tenant: &str, now: Instant) -> Option<&Endpoint> {
        let count = self.endpoints.len();
        let from =
            |start: usize| (0..count).filter_map(move |step| self.endpoints.get((start + step) % count));
        let mut answering = from(turn).filter(|endpoint| endpoint.circuit.admits(tenant, now));
        let first = answering.next()?;
        // The other one is another each time round.
        let second = from(turn + 1 + turn / count.max(1))
            .find(|other| !std::ptr::eq(*other, first) && other.circuit.admits(tenant, now));
        match second {
            Some(second) if second.circuit.in_flight() < first.circuit.in_flight() => Some(second),
            Some(_) | None => Some(first),
        }
    }

    /// The endpoint and credential of what has to go to one and the same place: a session lives there.
    fn first(&self) -> Option<(&Endpoint, Option<&Credential>)> {
        Some((self.endpoints.first()?, self.credentials.first().map(|kept| &kept.credential)))
    }

    /// Whether a tenant's call may go there at all.
    fn answers(&self, tenant: &str, now: Instant) -> bool {
        self.endpoints.is_empty()
            || self.endpoints.iter().any(|endpoint| endpoint.circuit.admits(tenant, now))
    }

    /// Whether a call may go there for the how-manieth time, and waits before it does.
    async fn affords(&self, round: usize) -> bool {
        if round == 0 {
            self.budget.earn();
            return true;
        }
        let affords = self.budget.spend(clock::now());
        if affords {
            tokio::time::sleep(self.pause_before(round)).await;
        }
        affords
    }

    /// What a request that began at `started` has left of the time that it may take here. `None` where that has no end.
    fn left(&self, started: Instant) -> Option<Duration> {
        let total = self.endpoints.first()?.client.total()?;
        Some(total.saturating_sub(clock::now().saturating_duration_since(started)))
    }

    /// How long a further try waits: only where it goes to the same place, in the same way.
    fn pause_before(&self, round: usize) -> Duration {
        let elsewhere = self.endpoints.len() > 1 || self.credentials.len() > 1;
        let doublings = u32::try_from(round.saturating_sub(1)).unwrap_or(u32::MAX).min(4);
        if elsewhere { Duration::ZERO } else { PAUSE_BETWEEN_TRIES * 2_u32.pow(doublings) }
    }

    /// Whether another credential could help where one was refused.
    fn has_several_credentials(&self) -> bool {
        self.credentials.len() > 1
    }

    /// What is shown to the upstream, and must come back to nobody.
    fn secrets(&self) -> impl Iterator<Item = &str> {
        let values = self.credentials.iter().filter_map(|kept| kept.credential.value.to_str().ok());
        let secrets = values.map(|value| value.strip_prefix("Bearer ").unwrap_or(value));
        secrets.filter(|secret| secret.len() >= SECRET_BYTES_MIN)
    }

    /// A text without the gateway's own credentials, which an upstream may echo in its errors.
    pub fn conceal(&self, text: String) -> String {
        self.secrets().fold(text, |text, secret| text.replace(secret, CONCEALED))
    }

    /// The same of the bytes of an answer.
    pub fn conceal_bytes(&self, bytes: Bytes) -> Bytes {
        if !self.secrets().any(|secret| memmem::find(&bytes, secret.as_bytes()).is_some()) {
            return bytes;
        }
        self.conceal(String::from_utf8_lossy(&bytes).into_owned()).into()
    }

    /// The same of every text in a value.
    pub fn conceal_in(&self, value: &mut Value<'_>) {
        for secret in self.secrets() {
            conceal_in(value, secret, &Finder::new(secret));
        }
    }

    /// A digest of its credentials and of what else it is made of.
    pub fn mark(&self, written: &[u8]) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for Kept { credential, .. } in &self.credentials {
            for part in [credential.header.as_str().as_bytes(), credential.value.as_bytes()] {
                hasher.update((part.len() as u64).to_be_bytes());
                hasher.update(part);
            }
        }
        hasher.update(written);
        hasher.finalize().into()
    }

    /// Closes connections that idled for too long.
    pub fn sweep(&self) {
        for endpoint in &self.endpoints {
            endpoint.circuit.sweep(clock::now());
            endpoint.client.sweep();
        }
    }
}
