//! Key sets that issuers of tokens publish under a URL. Fetched when a token needs one, kept, and fetched again when it
//! is old or a token names a key that it lacks. An old set is used while a new one is on its way; without any, no token
//! is good. Apart from the upstreams: nothing of a request goes there.

use super::{
    Endpoint,
    http1::{Again, Answer, Client, Origin, Outgoing, Scheme, Timeouts, tls_config},
};
use crate::{
    clock,
    identity::key_set::{KEY_SET_BYTES_MAX, KeySet},
    operator,
};
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(4),
    first_byte: Duration::from_secs(5),
    idle: Duration::from_secs(5),
    total: None,
};
/// A set takes no longer altogether.
const FETCH_MAX: Duration = Duration::from_secs(10);
/// No request waits longer for one.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// So long a set is fresh where the issuer does not say, and the bounds of what it may say.
const FRESH: Duration = Duration::from_secs(600);
const FRESH_MIN: Duration = Duration::from_secs(60);
const FRESH_MAX: Duration = Duration::from_secs(3600);
/// So long one is used that cannot be fetched again.
const KEPT_MAX: Duration = Duration::from_secs(86_400);
/// Between two tries because a key is not known.
const UNKNOWN_AFTER: Duration = Duration::from_secs(30);
/// Between two tries after one that failed, with a set and without.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
const AGAIN_AFTER_NONE: Duration = Duration::from_secs(2);

/// A key set under a URL.
#[derive(Debug)]
pub struct Published {
    endpoint: Endpoint,
    kept: ArcSwapOption<Kept>,
    /// Held while it is fetched.
    tries: Mutex<Tries>,
}

#[derive(Debug)]
struct Kept {
    keys: Arc<KeySet>,
    since: Instant,
    fresh: Duration,
}

#[derive(Debug, Default)]
struct Tries {
    last: Option<Instant>,
    /// The last one because a key was not known.
    unknown: Option<Instant>,
    is_failing: bool,
}

/// Why a URL cannot be fetched from.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadUrl(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// There is none, or it is old.
    Old,
    /// A key is not in it.
    Unknown,
}

impl Published {
    /// What is published under this URL. Nothing is fetched yet.
    ///
    /// # Errors
    /// When the URL or the certificate authorities are none.
    pub fn new(url: &str, extra_roots_pem: Option<&[u8]>) -> Result<Self, BadUrl> {
        let (origin, path) = place(url)?;
        let tls = match origin.scheme() {
            Scheme::Plain => None,
            Scheme::Tls => Some(tls_config(extra_roots_pem).map_err(|bad| BadUrl(bad.to_string()))?),
        };
        let endpoint = Endpoint::new(Client::new(origin, TIMEOUTS, tls), path);
        Ok(Self { endpoint, kept: ArcSwapOption::empty(), tries: Mutex::default() })
    }

    /// Takes what another one has kept.
    pub fn keep_from(&self, other: &Self) {
        self.kept.store(other.kept.load_full());
    }

    /// The set as it is kept. Fetched anew behind the request's back when it is old.
    pub fn current(self: &Arc<Self>) -> Option<Arc<KeySet>> {
        let kept = self.kept.load_full()?;
        let age = clock::now().saturating_duration_since(kept.since);
        if age > kept.fresh
            && let Ok(tries) = self.tries.try_lock()
            && tries.allow(Why::Old, clock::now(), true)
        {
            drop(tries);
            tokio::spawn(Arc::clone(self).fetch(Why::Old));
        }
        (age < KEPT_MAX).then(|| Arc::clone(&kept.keys))
    }

    /// A set that holds what is looked for, if there is one: the one that is kept, or a new one.
    pub async fn with(self: &Arc<Self>, holds: impl Fn(&KeySet) -> bool) -> Option<Arc<KeySet>> {
        let kept = self.current();
        if let Some(keys) = kept.as_ref().filter(|keys| holds(keys)) {
            return Some(Arc::clone(keys));
        }
        let why = if kept.is_some() { Why::Unknown } else { Why::Old };
        // Whoever comes while it is fetched waits too.
        let is_due =
            self.tries.try_lock().map_or(true, |tries| tries.allow(why, clock::now(), kept.is_some()));
        if is_due {
            // A client that leaves does not take away what others wait for.
            let fetching = tokio::spawn(Arc::clone(self).fetch(why));
            drop(tokio::time::timeout(WAIT_MAX, fetching).await);
        }
        self.current().filter(|keys| holds(keys))
    }

    async fn fetch(self: Arc<Self>, why: Why) {
        let mut tries = self.tries.lock().await;
        let now = clock::now();
        if !tries.allow(why, now, self.kept.load().is_some()) {
            return;
        }
        tries.last = Some(now);
        if why == Why::Unknown {
            tries.unknown = Some(now);
        }
        let fetched = tokio::time::timeout(FETCH_MAX, self.ask()).await;
        let host = self.endpoint.client.origin().host();
        match fetched.unwrap_or_else(|_| Err("it does not come to an end".to_owned())) {
            Ok((keys, fresh)) => {
                if std::mem::take(&mut tries.is_failing) {
                    operator::info(&format!("the key set at {host} can be fetched again"));
                }
                if keys.is_empty() && self.kept.load().as_ref().is_none_or(|kept| !kept.keys.is_empty()) {
                    operator::warn(&format!(
                        "the key set at {host} holds no key that tokens can be checked with: every token of its issuer is refused"
                    ));
                }
                let kept = Kept { keys: Arc::new(keys), since: clock::now(), fresh };
                self.kept.store(Some(Arc::new(kept)));
            }
            Err(why) => {
                if !std::mem::replace(&mut tries.is_failing, true) {
                    operator::warn(&format!("the key set at {host} cannot be fetched: {why}"));
                }
            }
        }
    }

    async fn ask(&self) -> Result<(KeySet, Duration), String> {
        let Endpoint { client, base_path, .. } = &self.endpoint;
        let mut headers = HeaderMap::new();
        headers
            .insert(header::ACCEPT, HeaderValue::from_static("application/jwk-set+json, application/json"));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let outgoing = Outgoing {
            method: &Method::GET,
            path: base_path,
            headers: &headers,
            body: Bytes::new(),
            again: Again::Freely,
        };
        let answer = client.send(outgoing).await.map_err(|error| error.to_string())?;
        let Answer { status, headers, body } = answer;
        if status != StatusCode::OK {
            return Err(format!("it answered with {}", status.as_u16()));
        }
        let bytes = body.collect(KEY_SET_BYTES_MAX).await.map_err(|error| error.to_string())?;
        let keys = KeySet::published(&bytes).map_err(|bad| bad.to_string())?;
        Ok((keys, fresh_for(&headers)))
    }

    /// Closes connections that idled for too long.
    pub fn sweep(&self) {
        self.endpoint.client.sweep();
    }
}

/// The origin of a URL and its path as it is asked for, with a query, where some issuers name which of their sets it is.
fn place(url: &str) -> Result<(Origin, String), BadUrl> {
    let (address, query) = url.split_once('?').map_or((url, None), |(address, query)| (address, Some(query)));
    let (origin, path) = Origin::parse(address).map_err(|bad| BadUrl(bad.to_string()))?;
    let path = if path.is_empty() { "/".to_owned() } else { path };
    match query {
        None => Ok((origin, path)),
        Some(query) if query.contains('#') => Err(BadUrl("a fragment does not belong in the url".to_owned())),
        Some(query) if !query.bytes().all(|b| b.is_ascii_graphic()) => {
            Err(BadUrl("the query holds a character that is not allowed".to_owned()))
        }
        Some(query) => Ok((origin, format!("{path}?{query}"))),
    }
}

impl Tries {
    fn allow(&self, why: Why, now: Instant, is_kept: bool) -> bool {
        let after = |last: Option<Instant>, wait: Duration| {
            last.is_none_or(|last| now.saturating_duration_since(last) >= wait)
        };
        match why {
            Why::Old => after(self.last, if is_kept { AGAIN_AFTER } else { AGAIN_AFTER_NONE }),
            Why::Unknown => after(self.unknown, UNKNOWN_AFTER),
        }
    }
}

/// How long an answer says that it is fresh, within bounds.
fn fresh_for(headers: &HeaderMap) -> Duration {
    let said = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut ages = said.flat_map(|value| value.split(',')).filter_map(|directive| {
        let (name, age) = directive.trim().split_once('=')?;
        name.eq_ignore_ascii_case("max-age").then(|| age.trim_matches('"').parse().ok())?
    });
    ages.next().map_or(FRESH, |age| Duration::from_secs(age).clamp(FRESH_MIN, FRESH_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_may_say_how_long_its_set_is_fresh() {
        let check = |said: &'static str, expected: u64| {
            let headers = HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static(said))]);
            assert_eq!(fresh_for(&headers).as_secs(), expected, "{said}");
        };
        check("public", 600);
        check("public, max-age=900, must-revalidate", 900);
        check("Max-Age=\"90\"", 90);
        check("max-age=0", 60);
        check("max-age=31536000", 3600);
        check("max-age=-1", 600);
        check("s-maxage=900", 600);
    }

    #[test]
    fn a_query_is_asked_for_as_it_is_written() {
        let place = |url: &str| place(url).map(|(origin, path)| format!("{origin} {path}"));
        for (url, expected) in [
            ("https://idp.example/keys?p=B2C_1_x&v=%2F", "https://idp.example /keys?p=B2C_1_x&v=%2F"),
            ("https://idp.example?p=a?b", "https://idp.example /?p=a?b"),
            ("https://idp.example", "https://idp.example /"),
        ] {
            assert_eq!(place(url).unwrap(), expected);
        }
        for bad in [
            "https://i.example/k#a",
            "https://i.example/k?a#b",
            "https://i.example/k?a b",
            "https://i.example/k?a\r\nx",
        ] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unknown_key_is_asked_for_once_in_a_while() {
        let start = clock::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let tries = Tries { last: Some(start), unknown: None, is_failing: false };
        assert!(tries.allow(Why::Unknown, start, true), "a key that is new since just now");
        assert!(!tries.allow(Why::Old, after(29), true) && tries.allow(Why::Old, after(30), true));
        assert!(!tries.allow(Why::Old, after(1), false) && tries.allow(Why::Old, after(2), false));
        let tries = Tries { unknown: Some(start), ..tries };
        assert!(!tries.allow(Why::Unknown, after(29), true) && tries.allow(Why::Unknown, after(30), true));
    }
}
