//! Everything that talks to the servers behind the gateway. Apart because it is the shell on that side: the
//! rest of the tree sees requests and answers, never sockets. Which server is tried, with which credential and
//! how often stands here; how bytes travel stands in `http1`.

pub mod analyzer;
mod gate;
mod health;
pub mod http1;
pub mod mcp;
pub mod published;
mod route;
pub mod webhook;

pub use gate::{Place, Progress, Queues, Standing, Turn};
pub use health::{Came, Health};
pub use route::{Destination, Parcel, Parcels, Received, Target, refusal_for};

use crate::{dialect::Family, json::Value, names::UpstreamName};
use http::{HeaderName, HeaderValue};
use http1::Client;
use memchr::memmem::Finder;
use sha2::{Digest, Sha256};
use std::{
    borrow::Cow,
    sync::atomic::{AtomicUsize, Ordering},
};

/// A server (or several alike) behind the gateway, as configured.
#[derive(Debug)]
pub struct Upstream {
    pub name: UpstreamName,
    /// Whose dialects it speaks.
    pub speaks: Family,
    /// One a URL, with the path that the URL ends in.
    endpoints: Vec<Endpoint>,
    credentials: Vec<Credential>,
    /// Further tries after a first one that failed.
    pub retries: u32,
    pub health: Health,
    /// Counts tries, so that endpoints and credentials take turns.
    turn: AtomicUsize,
}

/// One URL of an upstream.
#[derive(Debug)]
pub struct Endpoint {
    pub client: Client,
    /// `/v1` of `https://api.openai.com/v1`.
    pub base_path: String,
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
        let (health, turn) = (Health::default(), AtomicUsize::new(0));
        Self { name, speaks, endpoints, credentials, retries, health, turn }
    }

    /// The same upstream with another credential, and connections of its own.
    pub fn on_account(&self, credential: &Credential) -> Self {
        let endpoint = |endpoint: &Endpoint| Endpoint {
            client: endpoint.client.apart(),
            base_path: endpoint.base_path.clone(),
        };
        Self {
            name: self.name.clone(),
            speaks: self.speaks,
            endpoints: self.endpoints.iter().map(endpoint).collect(),
            credentials: vec![credential.clone()],
            retries: self.retries,
            health: self.health.clone(),
            turn: AtomicUsize::new(0),
        }
    }

    /// The endpoint and credential of the next try.
    fn next(&self) -> Option<(&Endpoint, Option<&Credential>)> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let endpoint = self.endpoints.get(turn.checked_rem(self.endpoints.len())?)?;
        let credential = turn.checked_rem(self.credentials.len()).and_then(|at| self.credentials.get(at));
        Some((endpoint, credential))
    }

    /// The endpoint and credential of what has to go to one and the same place: a session lives there.
    fn first(&self) -> Option<(&Endpoint, Option<&Credential>)> {
        Some((self.endpoints.first()?, self.credentials.first()))
    }

    /// Whether another credential could help where one was refused.
    fn has_several_credentials(&self) -> bool {
        self.credentials.len() > 1
    }

    /// What is shown to the upstream, and must come back to nobody.
    fn secrets(&self) -> impl Iterator<Item = &str> {
        let values = self.credentials.iter().filter_map(|credential| credential.value.to_str().ok());
        let secrets = values.map(|value| value.strip_prefix("Bearer ").unwrap_or(value));
        secrets.filter(|secret| secret.len() >= SECRET_BYTES_MIN)
    }

    /// A text without the gateway's own credentials, which an upstream may echo in its errors.
    pub fn conceal(&self, text: String) -> String {
        self.secrets().fold(text, |text, secret| text.replace(secret, CONCEALED))
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
        for credential in &self.credentials {
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
            endpoint.client.sweep();
        }
    }
}
