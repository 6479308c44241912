//! Upstreams and models as they were written to those that are called.

use super::{Compiler, credentials::Own};
use crate::{
    config::{At, Mark, Problem, SecretRef, nearest, raw},
    dialect::Family,
    mcp,
    names::UpstreamName,
    pins::{Mode, Watch, hygiene::Neighbours},
    snapshot::{Accounts, Model, Models},
    upstream::{
        Credential, Destination, Endpoint, Upstream,
        http1::{Client, Origin, Scheme, Timeouts, tls_config},
        mcp::{Program, Server},
    },
    usage::{MicroUsd, Price},
};
use http::{HeaderName, HeaderValue, header};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

impl Compiler<'_> {
    /// The upstreams that calls can go to, by name.
    pub(super) fn upstreams(
        &mut self,
        gateway: &raw::Gateway,
        own: &Own,
        accounts: &mut Accounts,
    ) -> BTreeMap<String, Arc<Upstream>> {
        let mut upstreams: BTreeMap<String, Arc<Upstream>> = BTreeMap::new();
        for (name, raw) in &gateway.upstreams.0 {
            self.no_time(raw);
            match raw.kind.value {
                raw::UpstreamKind::Anthropic => {
                    let upstream = self.upstream(name, raw, Family::Anthropic);
                    upstreams.extend(upstream.map(|upstream| (name.value.clone(), Arc::new(upstream))));
                }
                raw::UpstreamKind::Openai => {
                    let upstream = self.upstream(name, raw, Family::OpenAi);
                    upstreams.extend(upstream.map(|upstream| (name.value.clone(), Arc::new(upstream))));
                }
                raw::UpstreamKind::Chroma
                | raw::UpstreamKind::Http
                | raw::UpstreamKind::Mcp
                | raw::UpstreamKind::Opensearch
                | raw::UpstreamKind::Pinecone
                | raw::UpstreamKind::Qdrant
                | raw::UpstreamKind::Weaviate => {}
            }
            for (tenant, credential) in own.get(&name.value).into_iter().flatten() {
                let upstream = upstreams.get(&name.value);
                let upstream = upstream.map(|upstream| self.account(upstream, tenant, credential));
                let known = accounts.upstreams.entry(Arc::clone(tenant)).or_default();
                known.extend(upstream.map(Arc::new));
            }
        }
        upstreams
    }

    /// The MCP servers, sorted by name.
    pub(super) fn mcp_servers(
        &mut self,
        gateway: &raw::Gateway,
        own: &Own,
        accounts: &mut Accounts,
    ) -> Vec<Arc<Server>> {
        let mut servers = Vec::new();
        let is_server = |raw: &raw::Upstream| raw.kind.value == raw::UpstreamKind::Mcp;
        for (name, raw) in gateway.upstreams.0.iter().filter(|(_, raw)| is_server(raw)) {
            if let Some(second) = raw.urls.get(1) {
                let message = "an MCP server is asked at its first address only by this version";
                self.warn("not-enforced-yet", second.at, message);
            }
            if !mcp::names::is_distinct(&name.value) {
                let message = "an MCP server's name must not end in `_`: its tools are `SERVER__tool`";
                self.error("bad-name", name.at, message);
            }
            let pins = self.pins(gateway, name, raw).map(Arc::new);
            if let Some(program) = raw.command.first() {
                let server = self.program(name, raw, program);
                servers.extend(server.map(|server| Arc::new(server.pinned(pins))));
                continue;
            }
            let Some(upstream) = self.upstream(name, raw, Family::Mcp) else { continue };
            let written = self.written(gateway, raw);
            let server = |upstream: Upstream| {
                let mark = upstream.mark(&written);
                Arc::new(Server::new(upstream).pinned(pins.clone()).marked(mark))
            };
            for (tenant, credential) in own.get(&name.value).into_iter().flatten() {
                let own = accounts.servers.entry(Arc::clone(tenant)).or_default();
                own.push(server(self.account(&upstream, tenant, credential)));
            }
            servers.push(server(upstream));
        }
        servers.sort_by(|a, b| a.name().cmp(b.name()));
        servers
    }

    /// A timeout of nothing lets nothing through.
    fn no_time(&mut self, raw: &raw::Upstream) {
        let Some(timeout) = &raw.timeout else { return };
        let times = [
            ("connect", &timeout.connect),
            ("first_byte", &timeout.first_byte),
            ("idle", &timeout.idle),
            ("total", &timeout.total),
        ];
        for (key, time) in times {
            if let Some(at) = time.as_ref().filter(|at| at.value.is_zero()) {
                let message = format!("`{key}` is no time at all: no call could come to its end");
                let problem = Problem::error("bad-duration", at.at, message);
                self.say(problem.hint("write how long it may take, such as `30s`, or leave it away"));
            }
        }
    }

    /// All that a server is made of beside its credentials: one for which it stays the same goes on over a reload.
    fn written(&mut self, gateway: &raw::Gateway, raw: &raw::Upstream) -> Vec<u8> {
        let urls = raw.url.iter().chain(&raw.urls).map(|at| at.value.as_str());
        let names = gateway.upstreams.0.iter().map(|(name, _)| name.value.as_str());
        let timeout = raw.timeout.as_ref();
        let timeouts = [
            timeout.and_then(|timeout| timeout.connect.as_ref()),
            timeout.and_then(|timeout| timeout.first_byte.as_ref()),
            timeout.and_then(|timeout| timeout.idle.as_ref()),
            timeout.and_then(|timeout| timeout.total.as_ref()),
        ];
        let timeouts = timeouts.map(|at| at.map(|at| at.value));
        let deny_private = raw.deny_private.as_ref().map(|at| at.value);
        let pin = raw.pin.as_ref().map(|at| at.value);
        let (urls, names): (Vec<_>, Vec<_>) = (urls.collect(), names.collect());
        let mut written = format!("{urls:?}{names:?}{timeouts:?}{pin:?}{deny_private:?}").into_bytes();
        written.extend(raw.ca.as_ref().and_then(|ca| self.read_file(ca)).unwrap_or_default());
        written
    }

    /// What watches an MCP server's definitions.
    fn pins(&self, gateway: &raw::Gateway, name: &At<String>, raw: &raw::Upstream) -> Option<Watch> {
        let mode = match raw.pin.as_ref()?.value {
            raw::Pin::Off => return None,
            raw::Pin::Record => Mode::Record,
            raw::Pin::Enforce => Mode::Enforce,
        };
        let address = raw.url.iter().chain(&raw.urls).chain(&raw.command).map(|at| at.value.as_str());
        let address = address.collect::<Vec<_>>().join("\n");
        let others = gateway.upstreams.0.iter().filter(|(other, _)| other.value != name.value);
        let servers = others.map(|(other, _)| other.value.clone()).collect();
        let neighbours = Neighbours { servers, ..Neighbours::default() };
        let data_dir = super::records_place(self.loaded, self.context.env).data_dir;
        Some(Watch::new(&name.value, mode, &address, data_dir, neighbours))
    }

    /// A server that the gateway runs.
    fn program(&mut self, name: &At<String>, raw: &raw::Upstream, program: &At<String>) -> Option<Server> {
        let unused = [
            ("`auth`", raw.auth.as_ref().and_then(|auth| auth.0.first()).map(mark_of)),
            ("`ca`", raw.ca.as_ref().map(|ca| ca.at)),
        ];
        for (key, at) in unused {
            if let Some(at) = at {
                let message = format!("{key} is not for `command`: write what the program needs into `env`");
                self.error("not-used", at, message);
            }
        }
        let (mut environment, mut secrets) = (Vec::new(), Vec::new());
        for (variable, secret) in &raw.env.0 {
            // Most of what stands here in plain text is no secret.
            let value = match &secret.value {
                SecretRef::Plain(plain) if !sounds_secret(&variable.value) => Some(plain.expose().to_owned()),
                _ => {
                    let value = self.secret(secret).map(|value| value.expose().to_owned());
                    secrets.extend(value.clone());
                    value
                }
            };
            environment.extend(value.map(|value| (variable.value.clone(), value)));
        }
        let base = self.loaded.files.base_dir(program.at.file);
        let directory = std::path::absolute(base).unwrap_or_else(|_| base.to_path_buf());
        let timeout = raw.timeout.as_ref();
        let or = |at: Option<&At<Duration>>, seconds| {
            at.map_or_else(|| Duration::from_secs(seconds), |at| at.value)
        };
        let program = Program {
            name: program.value.clone(),
            arguments: raw.command.iter().skip(1).map(|at| at.value.clone()).collect(),
            environment,
            secrets,
            directory,
            first_byte: or(timeout.and_then(|timeout| timeout.first_byte.as_ref()), 60),
            idle: or(timeout.and_then(|timeout| timeout.idle.as_ref()), 120),
        };
        match UpstreamName::try_from(name.value.as_str()) {
            Ok(name) => Some(Server::over_stdio(name, program)),
            Err(bad) => {
                self.error("bad-name", name.at, format!("an upstream's name {bad}"));
                None
            }
        }
    }

    pub(super) fn upstream(
        &mut self,
        name: &At<String>,
        raw: &raw::Upstream,
        speaks: Family,
    ) -> Option<Upstream> {
        let urls: Vec<&At<String>> = raw.url.iter().chain(&raw.urls).collect();
        if urls.is_empty() {
            self.error("missing-key", name.at, "the upstream has no `url`");
        }
        let extra_roots = raw.ca.as_ref().and_then(|ca| self.read_file(ca));
        let mut endpoints = Vec::new();
        for url in urls {
            endpoints.extend(self.endpoint(url, raw, extra_roots.as_deref()));
        }
        let mut credentials = Vec::new();
        for auth in raw.auth.iter().flat_map(|many| &many.0) {
            credentials.extend(self.credential(auth));
        }
        let attempts = raw.retry.as_ref().and_then(|retry| retry.attempts.as_ref()).map_or(2, |at| at.value);
        let attempts = u32::try_from(attempts).unwrap_or(u32::MAX).min(10);
        match UpstreamName::try_from(name.value.as_str()) {
            Ok(name) => {
                let upstream = Upstream::new(name, speaks, endpoints, credentials, attempts);
                let before = self.context.before.and_then(|before| before.upstream(upstream.name.as_str()));
                Some(match before {
                    Some(before) => upstream.continuing(before),
                    None => upstream,
                })
            }
            Err(bad) => {
                self.error("bad-name", name.at, format!("an upstream's name {bad}"));
                None
            }
        }
    }

    /// An upstream as a tenant with a credential of its own reaches it.
    pub(super) fn account(&self, upstream: &Upstream, tenant: &str, credential: &Credential) -> Upstream {
        let account = upstream.on_account(credential);
        let before = self.context.before.and_then(|before| before.account(tenant, account.name.as_str()));
        match before {
            Some(before) => account.continuing(before),
            None => account,
        }
    }

    fn endpoint(
        &mut self,
        url: &At<String>,
        raw: &raw::Upstream,
        extra_roots: Option<&[u8]>,
    ) -> Option<Endpoint> {
        let (origin, base_path) =
            Origin::parse(&url.value).map_err(|bad| self.error("bad-url", url.at, bad.to_string())).ok()?;
        let timeout = |pick: fn(&raw::Timeout) -> Option<&At<Duration>>, otherwise: u64| {
            raw.timeout.as_ref().and_then(pick).map_or_else(|| Duration::from_secs(otherwise), |at| at.value)
        };
        let timeouts = Timeouts {
            connect: timeout(|timeout| timeout.connect.as_ref(), 5),
            first_byte: timeout(|timeout| timeout.first_byte.as_ref(), 60),
            idle: timeout(|timeout| timeout.idle.as_ref(), 120),
            total: raw.timeout.as_ref().and_then(|timeout| timeout.total.as_ref()).map(|at| at.value),
        };
        let tls = match origin.scheme() {
            Scheme::Plain => None,
            Scheme::Tls => Some(
                tls_config(extra_roots).map_err(|bad| self.error("bad-tls", url.at, bad.to_string())).ok()?,
            ),
        };
        let deny_private = raw.deny_private.as_ref().is_some_and(|at| at.value);
        let client = Client::new(origin, timeouts, tls).denying_private(deny_private);
        Some(Endpoint::new(client, base_path).trusting(extra_roots))
    }

    pub(super) fn credential(&mut self, auth: &raw::Auth) -> Option<Credential> {
        let (header, secret, prefix) = match auth {
            raw::Auth::Bearer(secret) => (header::AUTHORIZATION, secret, "Bearer "),
            raw::Auth::Header(raw) => match HeaderName::try_from(raw.name.value.as_str()) {
                Ok(name) => (name, &raw.value, ""),
                Err(_) => {
                    self.error("bad-header", raw.name.at, "not the name of a header");
                    return None;
                }
            },
        };
        if let raw::Auth::Header(raw) = auth
            && is_no_credential(&header)
        {
            let message =
                format!("`{header}` is written by the gateway itself: no credential can stand in it");
            let problem = Problem::error("bad-header", raw.name.at, message);
            self.say(
                problem.hint("name the header that the upstream looks for its key in, such as `x-api-key`"),
            );
            return None;
        }
        let at = secret.at;
        let secret = self.secret(secret)?;
        let value = HeaderValue::try_from(format!("{prefix}{}", secret.expose()));
        match value {
            Ok(mut value) => {
                value.set_sensitive(true);
                Some(Credential { header, value })
            }
            Err(_) => {
                self.error("bad-secret", at, "the secret holds characters that a header cannot carry");
                None
            }
        }
    }

    /// What clients may ask for.
    pub(super) fn models(
        &mut self,
        gateway: &raw::Gateway,
        upstreams: &BTreeMap<String, Arc<Upstream>>,
    ) -> Models {
        let mut models = Vec::new();
        for (name, raw) in &gateway.models.0 {
            let mut targets = Vec::new();
            for upstream in &raw.upstream.0 {
                match upstreams.get(&upstream.value) {
                    Some(found) => targets.push(Arc::clone(found)),
                    None => self.unknown_upstream(gateway, upstream),
                }
            }
            if let (true, Some(at)) = (name.value.contains(['*', '?']), &raw.upstream_name) {
                self.warn("glob-with-as", at.at, "every model that matches becomes this one");
            }
            models.push(Model {
                name: name.value.as_str().into(),
                destination: Destination { upstreams: targets },
                model_as: raw.upstream_name.as_ref().map(|at| at.value.clone()),
                price: raw.price.as_ref().map(price),
            });
        }
        Models::new(models)
    }

    fn unknown_upstream(&mut self, gateway: &raw::Gateway, upstream: &At<String>) {
        let found = gateway.upstreams.0.iter().find(|(name, _)| name.value == upstream.value);
        let what = match found.map(|(_, raw)| raw.kind.value) {
            Some(raw::UpstreamKind::Mcp) => Some("an MCP server"),
            Some(raw::UpstreamKind::Http) => Some("an HTTP tool API"),
            Some(raw::UpstreamKind::Anthropic | raw::UpstreamKind::Openai) | None => None,
            Some(_) => Some("a vector store"),
        };
        if let Some(what) = what {
            let message = format!("the upstream `{}` is {what}, which answers for no model", upstream.value);
            self.error("not-a-model", upstream.at, message);
        }
        self.no_such_upstream(gateway, upstream);
    }

    /// Says that there is no upstream of this name, unless there is.
    pub(super) fn no_such_upstream(&mut self, gateway: &raw::Gateway, upstream: &At<String>) {
        let names = gateway.upstreams.0.iter().map(|(name, _)| name.value.as_str());
        let unread = gateway.upstreams.1.iter().map(String::as_str);
        let names = names.chain(unread);
        if names.clone().any(|name| name == upstream.value) {
            return;
        }
        let message = format!("there is no upstream `{}`", upstream.value);
        let problem = |message: String| Problem::error("unknown-upstream", upstream.at, message);
        self.say(match nearest(&upstream.value, names.clone()) {
            Some(near) => problem(format!("{message}; did you mean `{near}`?")),
            None if names.clone().next().is_none() => {
                problem(message).hint("declare it under `upstreams`, where there is none yet")
            }
            None => {
                let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
                problem(message).hint(format!("the upstreams are {}", names.join(", ")))
            }
        });
    }
}

/// Whether a header says how a message is sent, or what it is: the gateway writes it, or leaves it out.
fn is_no_credential(name: &HeaderName) -> bool {
    let names = [
        header::ACCEPT,
        header::ACCEPT_ENCODING,
        header::CONNECTION,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::EXPECT,
        header::HOST,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    names.contains(name) || name == "keep-alive" || name.as_str().starts_with("proxy-")
}

/// Whether a variable is one that holds a secret, by its name.
fn sounds_secret(variable: &str) -> bool {
    let variable = variable.to_ascii_uppercase();
    ["AUTH", "CREDENTIAL", "KEY", "PASS", "PRIVATE", "SECRET", "TOKEN"]
        .iter()
        .any(|word| variable.contains(word))
}

/// Where a credential stands.
fn mark_of(auth: &raw::Auth) -> Mark {
    match auth {
        raw::Auth::Bearer(secret) => secret.at,
        raw::Auth::Header(header) => header.name.at,
    }
}

fn price(raw: &raw::Price) -> Price {
    let of = |at: &Option<At<crate::config::values::MicroUsd>>| at.as_ref().map(|at| MicroUsd(at.value.0));
    let input = of(&raw.input).unwrap_or_default();
    Price {
        input,
        cached_input: of(&raw.cached_input).unwrap_or(input),
        cache_write: of(&raw.cache_write).unwrap_or(input),
        output: of(&raw.output).unwrap_or_default(),
    }
}
