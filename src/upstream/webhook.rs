//! Webhooks: an operator's URL that is told of something, signed. Apart from upstreams, because nothing of an answer is
//! read but whether it came: a webhook that fails costs nobody anything but a line on stderr.

use super::{
    Endpoint,
    http1::{Again, Client, Origin, Outgoing, Scheme, Timeouts, tls_config},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use sha2::Sha256;
use std::{fmt, time::Duration};

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Waits before the second try and those after it.
const TRY_AGAIN_AFTER: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(25)];
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_secs(10),
    idle: Duration::from_secs(10),
    total: None,
};

/// A URL that is told of something. Signatures are those of Standard Webhooks (standardwebhooks.com, symmetric, `v1`).
pub struct Webhook {
    endpoint: Endpoint,
    secret: [u8; 32],
}

/// Why a URL cannot be told of anything.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadWebhook(String);

/// A message that could not be handed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    #[error("it cannot be reached")]
    Unreachable,
    #[error("it answered with {0}")]
    Status(u16),
}

impl Webhook {
    /// A webhook of this URL, signed with this secret.
    ///
    /// # Errors
    /// When the URL is none, or the system has no roots to check certificates against.
    pub fn new(url: &str, secret: [u8; 32]) -> Result<Self, BadWebhook> {
        let (origin, base_path) = Origin::parse(url).map_err(|bad| BadWebhook(bad.to_string()))?;
        let tls = match origin.scheme() {
            Scheme::Plain => None,
            Scheme::Tls => Some(tls_config(None).map_err(|bad| BadWebhook(bad.to_string()))?),
        };
        let base_path = if base_path.is_empty() { "/".to_owned() } else { base_path };
        Ok(Self { endpoint: Endpoint::new(Client::new(origin, TIMEOUTS, tls), base_path), secret })
    }

    /// Hands a message over; `now` in seconds since 1970. The same id comes with every try.
    pub async fn tell(&self, id: &str, now: i64, body: &str) -> Result<(), Undelivered> {
        let headers = self.headers(id, now, body);
        let mut waits = TRY_AGAIN_AFTER.iter();
        loop {
            let tried = self.try_once(&headers, body).await;
            match (tried, waits.next()) {
                (Ok(()), _) => return Ok(()),
                (Err(failed), None) => return Err(failed),
                (Err(_), Some(wait)) => tokio::time::sleep(*wait).await,
            }
        }
    }

    async fn try_once(&self, headers: &HeaderMap, body: &str) -> Result<(), Undelivered> {
        let Endpoint { client, base_path, .. } = &self.endpoint;
        let body = Bytes::copy_from_slice(body.as_bytes());
        // Whoever is told knows it by its id.
        let outgoing =
            Outgoing { method: &Method::POST, path: base_path, headers, body, again: Again::Freely };
        match client.send(outgoing).await {
            Ok(answer) if answer.status.is_success() => Ok(()),
            Ok(answer) => Err(Undelivered::Status(answer.status.as_u16())),
            Err(_) => Err(Undelivered::Unreachable),
        }
    }

    fn headers(&self, id: &str, now: i64, body: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, JSON);
        headers.insert(TIMESTAMP, HeaderValue::from(now));
        let signature = signature(&self.secret, id, now, body);
        for (name, value) in [(ID, id), (SIGNATURE, signature.as_str())] {
            headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        }
        headers
    }
}

/// The signature of a message: HMAC-SHA-256 of `ID.TIMESTAMP.BODY`, `v1,` and base64.
fn signature(secret: &[u8; 32], id: &str, now: i64, body: &str) -> String {
    // A key of any length is one.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return String::new() };
    mac.update(format!("{id}.{now}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// A secret as receivers are given it: `whsec_` and base64.
pub fn shown_secret(secret: &[u8; 32]) -> String {
    format!("whsec_{}", STANDARD.encode(secret))
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its path may hold a token.
        f.debug_struct("Webhook").field("host", &self.endpoint.client.origin().host()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_standard_webhooks() {
        // Source of the figure: the same message signed with Python's hmac and base64.
        let secret = [7; 32];
        let expected = "v1,4tb+MnkCTqymlrGQQ6f66PPeMjMas7AHx6XI40qL5MA=";
        assert_eq!(signature(&secret, "msg_1", 1_614_265_330, r#"{"test": 2432232314}"#), expected);
        assert_eq!(shown_secret(&secret), "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
    }

    #[test]
    fn nothing_of_a_path_is_shown() {
        let webhook = Webhook::new("https://hooks.example/T0KEN", [7; 32]).unwrap();
        let shown = format!("{webhook:?}");
        assert!(
            shown.contains("hooks.example") && !shown.contains("T0KEN") && !shown.contains('7'),
            "{shown}"
        );
        assert!(Webhook::new("ftp://hooks.example", [7; 32]).is_err());
    }
}
