//! Everything that talks to the servers behind the gateway. Apart because it is the shell on that side: the
//! rest of the tree sees requests and answers, never sockets. Which server is tried, with which credential and
//! how often stands here; how bytes travel stands in `http1`.

pub mod analyzer;
pub mod apart;
mod circuit;
mod gate;
mod health;
pub mod http1;
pub mod mcp;
pub mod published;
mod retry_after;
mod route;
mod tries;
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
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tries::Tries;

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

/// A credential, and until when it rests, over reloads.
#[derive(Debug)]
struct Kept {
    credential: Credential,
    rests_until: Arc<Mutex<Option<Instant>>>,
}

impl Kept {
    fn new(credential: Credential) -> Self {
        Self { credential, rests_until: Arc::default() }
    }

    fn rests_until(&self) -> Option<Instant> {
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_awake(&self, now: Instant) -> bool {
        self.rests_until().is_none_or(|until| now >= until)
    }
}

/// Where a try goes, and what it shows there.
#[derive(Debug, Clone, Copy)]
struct Chosen<'u> {
    endpoint: &'u Endpoint,
    kept: Option<&'u Kept>,
}

impl Chosen<'_> {
    /// This credential is not shown again for so long, where there is another one or another upstream.
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
    /// A digest of the certificates that it trusts beside the public ones.
    roots: Option<[u8; 32]>,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.client.origin(), self.base_path)
    }
}

impl Endpoint {
    /// A URL that nothing is known of yet.
    pub fn new(client: Client, base_path: String) -> Self {
        Self { client, base_path, circuit: Circuit::default(), roots: None }
    }

    /// The same, whose client trusts these certificates, too.
    #[must_use]
    pub fn trusting(self, roots: Option<&[u8]>) -> Self {
        Self { roots: roots.map(|roots| Sha256::digest(roots).into()), ..self }
    }

    /// Goes on with what is known of the same URL; and, where it `is_shown` the same and trusts the same, with its connections.
    fn continuing(self, before: &[Self], is_shown: bool) -> Self {
        let is_same =
            |old: &&Self| old.client.origin() == self.client.origin() && old.base_path == self.base_path;
        let Some(old) = before.iter().find(is_same) else { return self };
        let circuit = old.circuit.clone();
        let client = if is_shown && old.roots == self.roots {
            self.client.continuing(&old.client)
        } else {
            self.client
        };
        Self { client, circuit, ..self }
    }
}

/// What the gateway shows to an upstream. The value is marked sensitive and never printed.
#[derive(Debug, Clone, PartialEq, Eq)]
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

    /// Whether it has several credentials, which take turns.
    pub fn has_pool(&self) -> bool {
        self.credentials.len() > 1
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
            roots: endpoint.roots,
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

    /// The same, going on where the upstream of this name in the configuration before was: with the circuits of URLs that it had,
    /// the rests of credentials that it had, its budget, and connections that it would open no other way.
    #[must_use]
    pub fn continuing(self, before: &Self) -> Self {
        let shown = |upstream: &Self| -> Vec<Credential> {
            upstream.credentials.iter().map(|kept| kept.credential.clone()).collect()
        };
        let is_shown = shown(&self) == shown(before);
        let endpoints = self.endpoints.into_iter();
        let endpoints = endpoints.map(|endpoint| endpoint.continuing(&before.endpoints, is_shown));
        let kept = |kept: Kept| match before.credentials.iter().find(|old| old.credential == kept.credential)
        {
            Some(old) => Kept { rests_until: Arc::clone(&old.rests_until), ..kept },
            None => kept,
        };
        Self {
            endpoints: endpoints.collect(),
            credentials: self.credentials.into_iter().map(kept).collect(),
            budget: before.budget.clone(),
            ..self
        }
    }

    /// The endpoint and credential of a tenant's next try, where the call failed at neither yet if there is such. None while
    /// there is no endpoint that answers, or no credential left to show.
    fn next<'u>(&'u self, tenant: &str, tries: &Tries<'u>, now: Instant) -> Option<Chosen<'u>> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let endpoint = self.endpoint(turn, tenant, tries, now)?;
        self.has_to_show(tries, now).then(|| Chosen { endpoint, kept: self.kept(turn, tries, now) })
    }

    /// Of the endpoints that answer, those at which the call did not fail yet; of these, those at which the tenant's calls did
    /// not fail lately (who fails at once always has the least to do); of two of these, the one with less to do.
    fn endpoint(&self, turn: usize, tenant: &str, tries: &Tries<'_>, now: Instant) -> Option<&Endpoint> {
        let standing = |endpoint: &Endpoint| {
            let lately = endpoint.circuit.failed_lately(tenant, now)?;
            Some((tries.failed_at(endpoint), lately))
        };
        if let [endpoint] = &*self.endpoints {
            return standing(endpoint).map(|_| endpoint);
        }
        let standings: Vec<_> = self.endpoints.iter().map(standing).collect();
        let best = standings.iter().flatten().min()?;
        let best =
            self.endpoints.iter().zip(&standings).filter(|(_, standing)| standing.as_ref() == Some(best));
        let best: Vec<&Endpoint> = best.map(|(endpoint, _)| endpoint).collect();
        let count = best.len();
        let first = best.get(turn % count)?;
        // The other one is another each time round.
        let second = (turn / count % (count - 1).max(1) + 1 + turn) % count;
        let second = best.get(second).filter(|second| second.circuit.in_flight() < first.circuit.in_flight());
        Some(second.unwrap_or(first))
    }

    /// Whether there is something to show. A call that was refused with one credential tries no other that rests.
    fn has_to_show(&self, tries: &Tries<'_>, now: Instant) -> bool {
        !tries.has_refused()
            || self.credentials.iter().any(|kept| !tries.is_refused(kept) && kept.is_awake(now))
    }

    fn kept(&self, turn: usize, tries: &Tries<'_>, now: Instant) -> Option<&Kept> {
        let count = self.credentials.len();
        let in_turn = (0..count).filter_map(|step| self.credentials.get((turn + step) % count));
        let mut awake = in_turn.clone().filter(|kept| !tries.is_refused(kept) && kept.is_awake(now));
        let again = awake.clone().next();
        // Where all of them rest, the one that rests the shortest is shown: somebody has to find out.
        let shortest = || in_turn.min_by_key(|kept| kept.rests_until());
        awake.find(|kept| !tries.failed_with(kept)).or(again).or_else(shortest)
    }

    /// The endpoint and credential of what has to go to one and the same place: a session lives there.
    fn first(&self) -> Option<(&Endpoint, Option<&Credential>)> {
        Some((self.endpoints.first()?, self.credentials.first().map(|kept| &kept.credential)))
    }

    /// Whether a tenant's call may go there (once more).
    fn answers(&self, tenant: &str, tries: &Tries<'_>, now: Instant) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.circuit.admits(tenant, now))
            && self.has_to_show(tries, now)
    }

    /// Whether a tenant's call may be sent there after these tries, and waits before it is.
    async fn affords(&self, tenant: &str, tries: &Tries<'_>) -> bool {
        if tries.sent == 0 {
            self.budget.earn();
            return true;
        }
        let affords = tries.is_stale || self.budget.spend(clock::now());
        if affords && !tries.is_stale {
            tokio::time::sleep(self.pause_before(tenant, tries)).await;
        }
        affords
    }

    /// What a request that began at `started` has left of the time that it may take here. `None` where that has no end.
    fn left(&self, started: Instant) -> Option<Duration> {
        let total = self.endpoints.first()?.client.total()?;
        Some(total.saturating_sub(clock::now().saturating_duration_since(started)))
    }

    /// How long a further try waits: only where it goes to the same place, in the same way.
    fn pause_before(&self, tenant: &str, tries: &Tries<'_>) -> Duration {
        let now = clock::now();
        let other_url = |other: &Endpoint| !tries.failed_at(other) && other.circuit.admits(tenant, now);
        let other_key = |other: &Kept| !tries.failed_with(other) && other.is_awake(now);
        let elsewhere = self.endpoints.iter().any(other_url) || self.credentials.iter().any(other_key);
        let doublings = tries.sent.saturating_sub(1).min(4);
        if elsewhere { Duration::ZERO } else { PAUSE_BETWEEN_TRIES * 2_u32.pow(doublings) }
    }

    /// Whether it has a credential that does not rest, or needs none.
    fn shows_what_is_taken(&self, now: Instant) -> bool {
        self.credentials.is_empty() || self.credentials.iter().any(|kept| kept.is_awake(now))
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

#[cfg(test)]
mod tests;
