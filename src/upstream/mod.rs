//! Everything that talks to the servers behind the gateway. Apart because it is the shell on that side: the
//! rest of the tree sees requests and answers, never sockets. Which server is tried, with which credential and
//! how often stands here; how bytes travel stands in `http1`.

pub mod http1;
pub mod mcp;
pub mod published;
mod route;
pub mod webhook;

pub use route::{Destination, Parcel, Parcels, Received, Target, refusal_for};

use crate::{dialect::Family, names::UpstreamName};
use http::{HeaderName, HeaderValue};
use http1::Client;
use std::sync::atomic::{AtomicUsize, Ordering};

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

impl Upstream {
    /// An upstream of these endpoints, which are taken in turns.
    pub fn new(
        name: UpstreamName,
        speaks: Family,
        endpoints: Vec<Endpoint>,
        credentials: Vec<Credential>,
        retries: u32,
    ) -> Self {
        Self { name, speaks, endpoints, credentials, retries, turn: AtomicUsize::new(0) }
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

    /// A text without the gateway's own credentials, which an upstream may echo in its errors.
    pub fn conceal(&self, text: String) -> String {
        self.credentials.iter().filter_map(|credential| credential.value.to_str().ok()).fold(
            text,
            |text, value| {
                let secret = value.strip_prefix("Bearer ").unwrap_or(value);
                if secret.len() < 4 { text } else { text.replace(secret, "[API_KEY]") }
            },
        )
    }

    /// Closes connections that idled for too long.
    pub fn sweep(&self) {
        for endpoint in &self.endpoints {
            endpoint.client.sweep();
        }
    }
}
