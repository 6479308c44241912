//! The admin port of a gateway that runs, asked by a command: where it is, with which token, and what it says.

use crate::{
    config::{self, compile},
    json::{self, Value},
    upstream::http1::{Again, Client, Origin, Outgoing, Timeouts},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

/// The gateway runs on this machine, or near: longer than this it does not take.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_secs(10),
    idle: Duration::from_secs(10),
    total: None,
};
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// An admin port.
pub(super) struct AdminClient {
    client: Client,
    headers: HeaderMap,
    url: String,
    /// What may be done where nobody answers.
    hint: String,
}

impl AdminClient {
    /// That of the gateway that runs with a configuration. The error is for people.
    pub(super) fn of_config(config: &Path) -> Result<Self, String> {
        // The gateway goes on with the last good one while a tenant's file is broken.
        let loaded = super::print::sound_but_for_tenants(config)?;
        let env = |name: &str| std::env::var(name).ok();
        let place =
            compile::admin_place(&loaded, &env).map_err(|missing| format!("`admin_token`: {missing}"))?;
        let url = format!("http://{}", reachable(place.address));
        let hint = format!("is `tollgate serve` running with {}?", config.display());
        Self::new(url, place.token.as_ref().map(config::Secret::expose), hint)
    }

    /// One by its URL. The error is for people.
    pub(super) fn of_url(url: &str, token: Option<&str>) -> Result<Self, String> {
        let url = url.trim_end_matches('/').to_owned();
        if !url.starts_with("http://") {
            return Err("the admin port's URL is like http://127.0.0.1:8081".to_owned());
        }
        Self::new(url, token, "is a gateway's admin port there?".to_owned())
    }

    fn new(url: String, token: Option<&str>, hint: String) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(token) = token {
            let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                .map_err(|_| "the admin token holds characters that a header cannot carry".to_owned())?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let (origin, path) = Origin::parse(&url).map_err(|bad| format!("`{url}`: {bad}"))?;
        if !path.is_empty() {
            return Err(format!("`{url}` has a path; the admin port's URL is like http://127.0.0.1:8081"));
        }
        Ok(Self { client: Client::new(origin, TIMEOUTS, None), headers, url, hint })
    }

    /// Where it is.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// What it answers. The error is for people.
    pub(super) async fn call(
        &self,
        method: &Method,
        path: &str,
        body: String,
    ) -> Result<Value<'static>, String> {
        let (headers, body) = (&self.headers, Bytes::from(body));
        let outgoing = Outgoing { method, path, headers, body, again: Again::Never };
        let answer = self.client.send(outgoing).await;
        let answer = answer.map_err(|_| format!("no gateway answers at {}; {}", self.url, self.hint))?;
        let (status, body) = (answer.status, answer.body.collect(ANSWER_BYTES_MAX).await);
        let body = body.map_err(|_| format!("the answer of {} broke off", self.url))?;
        let told = json::parse(&body, json::NESTING_MAX).map(Value::into_owned).unwrap_or_default();
        if status == StatusCode::OK {
            return Ok(told);
        }
        let message = told.get("error").and_then(|error| error.get("message")).and_then(Value::as_str);
        Err(message.map_or_else(|| format!("the gateway answered with {status}"), ToOwned::to_owned))
    }
}

/// Where an address is reached that is listened on.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = if address.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address.ip() };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_url_is_that_of_an_admin_port() {
        for bad in ["127.0.0.1:8081", "https://h", "http://", "http://h/admin", "http://u:p@h", "ftp://h", ""]
        {
            assert!(AdminClient::of_url(bad, None).is_err(), "{bad}");
        }
        assert_eq!(AdminClient::of_url("http://h:1/", Some("t")).unwrap().url(), "http://h:1");
        assert!(AdminClient::of_url("http://h:1", Some("a\nb")).is_err());
    }
}
