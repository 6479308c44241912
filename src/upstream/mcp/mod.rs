//! MCP servers behind the gateway: the gateway is a client of each, on its own account. Which era a server speaks is
//! found out once, its sessions are kept a tenant. What it has is in `catalogue`.

mod caller;
mod calling;
mod catalogue;
mod large;
mod link;
mod listening;
mod sending;
mod stdio;
mod wire;

pub use caller::Caller;
use calling::Unanswered;
pub use calling::{Answerer, Calling, Happened};
use large::Large;
pub use large::{Means, Taken};
pub use listening::{Changes, Heard, Wanted};
pub use stdio::Program;

use super::{Health, Upstream, http1::Again, route};
use crate::{
    authorize::ToolPermit,
    clock,
    json::{self, Value},
    mcp::{
        Revision,
        about::About,
        act::{Act, Passed},
        envelope::{self, Ask, Envelope, Retry, Wishes},
        message::{METHOD_NOT_FOUND, UNSUPPORTED_VERSION},
        mirror,
    },
    names::UpstreamName,
    pins::Watch,
    refusal::Refusal,
    upstream::apart::Share,
};
use caller::{Session, Sessions};
use catalogue::Catalogue;
use http::{HeaderMap, StatusCode};
use link::{Link, Reply};
use listening::WatcherPlace;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use stdio::Children;
use wire::{Refused, Said, failed};

/// So long it is remembered which era a server speaks.
const ERA_KEPT: Duration = Duration::from_secs(300);

/// What the protocol leaves to those who implement it.
const OF_LIBRARIES: std::ops::RangeInclusive<i64> = -32019..=-32000;

/// An MCP server.
#[derive(Debug)]
pub struct Server {
    name: UpstreamName,
    link: Link,
    /// A digest of what it is made of, where it is asked by HTTP.
    mark: Option<[u8; 32]>,
    era: Mutex<Option<(Era, Instant)>>,
    /// One finds out; the others wait for it.
    probing: tokio::sync::Mutex<()>,
    sessions: Sessions,
    catalogue: Catalogue,
    /// Of a server that the gateway runs: the tenants' own.
    own: Mutex<HashMap<Arc<str>, Arc<Server>>>,
    pins: Option<Arc<Watch>>,
    /// What it said last of how it is used.
    instructions: Mutex<Option<Arc<str>>>,
    ids: AtomicU64,
    /// What all share, once that is there.
    means: OnceLock<Arc<Means>>,
    watcher: WatcherPlace,
    /// Counts up when a list may have changed.
    changed: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Era {
    Legacy,
    Modern,
}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq)]
pub enum Failed {
    /// The server's own error, in its words.
    Error { code: i64, message: String, data: Option<Value<'static>> },
    /// The client does not want the answer any more.
    Cancelled,
    /// It could not be asked, or gave no answer that can be read.
    Refusal(Refusal),
}

impl Server {
    /// A server of which nothing is known yet.
    pub fn new(upstream: Upstream) -> Self {
        Self::over(upstream.name.clone(), Link::Http(upstream))
    }

    /// A server that the gateway runs, as soon as something is asked of it.
    pub fn over_stdio(name: UpstreamName, program: Program) -> Self {
        let children = Children::new(name.shared(), program);
        Self::over(name, Link::Child { children, tenant: "".into() })
    }

    /// The server as a tenant reaches it: one that the gateway runs has a process, lists and news for each.
    pub fn for_tenant(self: &Arc<Self>, tenant: &Arc<str>) -> Arc<Self> {
        let Link::Child { children, .. } = &self.link else { return Arc::clone(self) };
        let mut own = lock(&self.own);
        let own = own.entry(Arc::clone(tenant)).or_insert_with(|| {
            let link = Link::Child { children: Arc::clone(children), tenant: Arc::clone(tenant) };
            let means = self.means.clone();
            Arc::new(Self { means, ..Self::over(self.name.clone(), link).pinned(self.pins.clone()) })
        });
        Arc::clone(own)
    }

    /// Says what the clients of a tenant can be asked (an object), before its process is started.
    pub fn can_ask(&self, capabilities: impl FnOnce() -> Value<'static>) {
        if let Link::Child { children, tenant } = &self.link {
            children.can_ask(tenant, capabilities);
        }
    }

    /// Goes on with the processes of the server that it replaces, if that runs the same program.
    pub fn take_over(&mut self, old: &Self) {
        self.link.take_over(&old.link);
    }

    /// Ends what the gateway runs for it.
    pub async fn stop(&self) {
        if let Link::Child { children, .. } = &self.link {
            children.stop().await;
        }
    }

    fn over(name: UpstreamName, link: Link) -> Self {
        Self {
            name,
            link,
            mark: None,
            era: Mutex::default(),
            probing: tokio::sync::Mutex::default(),
            sessions: Sessions::default(),
            catalogue: Catalogue::default(),
            own: Mutex::default(),
            pins: None,
            instructions: Mutex::default(),
            ids: AtomicU64::new(1),
            means: OnceLock::new(),
            watcher: WatcherPlace::default(),
            changed: AtomicU64::new(0),
        }
    }

    /// With pins that watch what it says of itself.
    #[must_use]
    pub fn pinned(self, pins: Option<Arc<Watch>>) -> Self {
        Self { pins, ..self }
    }

    /// With a digest of all that it is made of.
    #[must_use]
    pub fn marked(self, mark: [u8; 32]) -> Self {
        Self { mark: Some(mark), ..self }
    }

    /// Whether both are made of the same: then the one can go on in the other's place.
    pub fn is_same(&self, other: &Self) -> bool {
        self.mark.is_some() && self.mark == other.mark && self.name == other.name
    }

    /// Its pins.
    pub fn pins(&self) -> Option<&Watch> {
        self.pins.as_deref()
    }

    /// Whether what it says of how it is used may be shown to clients.
    pub fn shows_instructions(&self) -> bool {
        let Some(pins) = &self.pins else { return true };
        let text = lock(&self.instructions).clone();
        text.is_some_and(|text| pins.shows_instructions(&text))
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The same, checked.
    pub fn upstream_name(&self) -> &UpstreamName {
        &self.name
    }

    /// The same, shared.
    pub fn shared_name(&self) -> Arc<str> {
        self.name.shared()
    }

    /// Its host and port; a process has none.
    pub fn address(&self) -> Option<(&str, u16)> {
        self.link.address()
    }

    /// How it answers; not known of one that the gateway runs.
    pub fn health(&self) -> Option<&Health> {
        self.link.health()
    }

    /// Where it is asked; a process is asked nowhere.
    pub fn upstream(&self) -> Option<&Upstream> {
        self.link.upstream()
    }

    /// A text without the gateway's own credentials.
    pub fn conceal(&self, text: String) -> String {
        self.link.conceal(text)
    }

    /// Lends it what all share, unless it has that.
    pub fn equip(&self, means: &Arc<Means>) {
        self.means.get_or_init(|| Arc::clone(means));
    }

    /// What large messages on somebody's behalf take.
    fn large(&self, share: Share) -> Option<Large> {
        self.means.get().map(|means| means.large(share))
    }

    /// Closes connections that idled for too long.
    pub fn sweep(&self) {
        self.link.sweep();
    }

    fn hear_instructions(&self, result: &Value<'_>) {
        let text = result.get("instructions").and_then(Value::as_str).filter(|text| !text.is_empty());
        *lock(&self.instructions) = text.map(Arc::from);
    }

    async fn speaks_modern(self: &Arc<Self>) -> Result<bool, Failed> {
        self.era().await.map(|era| era == Era::Modern)
    }

    /// Sends a call that was permitted.
    pub async fn call(
        self: &Arc<Self>,
        caller: &Caller,
        permit: &ToolPermit,
        retry: &Retry,
        wishes: &Wishes,
    ) -> Result<Calling, Failed> {
        let act = permit.act();
        let mut params = act.params(permit.tool(), permit.arguments());
        // A server of the older era asks for nothing before it answers.
        if self.era().await? == Era::Modern {
            retry.write(&mut params);
        }
        let mirrored = match act {
            Act::CallTool => self.mirrored(permit).await,
            Act::GetPrompt | Act::ReadResource => HeaderMap::new(),
        };
        let (name, wishes) = (Some(permit.tool()), &Wishes { mirrored, ..wishes.clone() });
        let ask = |id| Ask { id, method: act.method(), name, params: &params, wishes: Some(wishes) };
        self.ask(caller, ask).await
    }

    /// The arguments that the headers of a call repeat, as the tool is described now.
    async fn mirrored(self: &Arc<Self>, permit: &ToolPermit) -> HeaderMap {
        let Ok(tools) = self.tools().await else { return HeaderMap::new() };
        let mirrors = tools.find(permit.tool()).map(|tool| &*tool.mirrors).unwrap_or_default();
        if mirrors.is_empty() {
            return HeaderMap::new();
        }
        let arguments = json::parse(permit.arguments(), json::NESTING_MAX);
        arguments.map_or_else(|_| HeaderMap::new(), |arguments| mirror::headers(mirrors, &arguments))
    }

    /// Sends a request in the words of the server's era. What a server refused without looking at it is sent once more.
    async fn ask<'a>(
        self: &Arc<Self>,
        caller: &Caller,
        ask: impl Fn(u64) -> Ask<'a>,
    ) -> Result<Calling, Failed> {
        if let Link::Child { .. } = &self.link {
            return self.ask_child(ask, caller).await;
        }
        for last in [false, true] {
            let id = self.next_id();
            let era = self.era().await?;
            let session = match era {
                Era::Legacy => Some(self.sessions.of(self, caller).await?),
                Era::Modern => None,
            };
            let revision = session.as_ref().map_or(Revision::MODERN, |session| session.revision);
            let ask = ask(id);
            let again = sending::again(&ask);
            let sealed = ask.sealed(revision, &caller.capabilities);
            let unanswered = Unanswered::new(self, session.as_ref(), id);
            let answer = self.post(sealed, (&caller.tenant, session.as_ref()), again).await;
            unanswered.answered();
            let answer = answer?;
            let refused = match wire::Reply::of(answer, id).await {
                Ok(reply) => {
                    let reply = reply.within(self.large(caller.share()));
                    return Ok(Calling::new(self, session, Reply::Http(reply.into()), id));
                }
                Err(Err(failed)) => return Err(failed),
                Err(Ok(refused)) => refused,
            };
            let forgotten = match &session {
                // The session is over.
                Some(session) => is_over(&refused) && self.sessions.forget(caller, session),
                // The server is another one by now.
                None => {
                    let old = refused.error.as_ref().is_none_or(|(code, ..)| *code == UNSUPPORTED_VERSION);
                    old && matches!(refused.status.as_u16(), 400 | 404 | 405) && self.forget_era()
                }
            };
            if last || !forgotten {
                return Err(self.told(refused));
            }
        }
        Err(failed("the upstream failed"))
    }

    fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    fn told(&self, refused: Refused) -> Failed {
        // What is wrong with the gateway's credential, or with the server, is not the client's.
        let is_clients = matches!(refused.status.as_u16(), 400 | 404 | 409 | 422);
        match refused {
            Refused { error: Some((code, message, data)), .. } if is_clients => {
                Failed::Error { code, message, data }
            }
            Refused { status, headers, error } => {
                let message = error.map(|(_, message, _)| message);
                Failed::Refusal(route::refusal_for(status, &headers, message.map(|text| self.conceal(text))))
            }
        }
    }

    /// Which era the server speaks.
    async fn era(&self) -> Result<Era, Failed> {
        if let Some(child) = self.link.child().await? {
            let is_modern = child.revision().is_some_and(Revision::is_modern);
            return Ok(if is_modern { Era::Modern } else { Era::Legacy });
        }
        let known = || {
            let era = *lock(&self.era);
            era.filter(|(_, since)| clock::now().saturating_duration_since(*since) < ERA_KEPT)
        };
        if let Some((era, _)) = known() {
            return Ok(era);
        }
        let _alone = self.probing.lock().await;
        if let Some((era, _)) = known() {
            return Ok(era);
        }
        let era = self.probe().await?;
        // Whoever names no session is asked anew who it is.
        self.sessions.forget_nameless();
        *lock(&self.era) = Some((era, clock::now()));
        Ok(era)
    }

    fn forget_era(&self) -> bool {
        *lock(&self.era) = None;
        true
    }

    /// A server that does not know `server/discover` is one of the older era.
    async fn probe(&self) -> Result<Era, Failed> {
        let id = self.next_id();
        let ask = Ask { id, method: "server/discover", name: None, params: &[], wishes: None };
        let sealed = ask.sealed(Revision::MODERN, &Value::object([]));
        let answer = self.post(sealed, (&"".into(), None), Again::Freely).await?;
        let mut reply = match wire::Reply::of(answer, id).await {
            Ok(reply) => reply.within(self.large(Caller::gateway().share())),
            Err(Err(failed)) => return Err(failed),
            Err(Ok(refused)) => {
                return match refused.status.as_u16() {
                    401 | 403 | 429 => Err(self.told(refused)),
                    // It names the revision that it was asked in among those that it speaks.
                    400..500 if refused.error.as_ref().is_some_and(names_modern) => {
                        *lock(&self.catalogue.discovered) = Some(Arc::new(About::untold()));
                        Ok(Era::Modern)
                    }
                    400..500 => Ok(Era::Legacy),
                    _ => Err(self.told(refused)),
                };
            }
        };
        loop {
            match reply.next(self).await? {
                Said::Notification { .. } | Said::Request { .. } => {}
                Said::Result(result) => {
                    if !lists_modern(result.get("supportedVersions")) {
                        return Ok(Era::Legacy);
                    }
                    *lock(&self.catalogue.discovered) = Some(Arc::new(About::of(&result)));
                    self.hear_instructions(&result);
                    return Ok(Era::Modern);
                }
                Said::Error { code: METHOD_NOT_FOUND | UNSUPPORTED_VERSION, .. } => return Ok(Era::Legacy),
                // Servers of the older era call a request without a session many things.
                Said::Error { .. } => return Ok(Era::Legacy),
            }
        }
    }

    async fn open(self: &Arc<Self>, caller: &Caller) -> Result<Session, Failed> {
        let id = self.next_id();
        // Without a session of its own a client cannot be asked anything.
        let nothing = Value::object([]);
        let is_asked = caller.session.is_some() || caller.tenant.is_empty();
        let capabilities = if is_asked { &*caller.capabilities } else { &nothing };
        let params = envelope::initialize_params(capabilities);
        let ask = Ask { id, method: "initialize", name: None, params: &params, wishes: None };
        // No revision is agreed on yet: no header names one.
        let envelope = Envelope { headers: HeaderMap::new(), ..ask.sealed(Revision::LEGACY, capabilities) };
        let answer = self.post(envelope, (&caller.tenant, None), Again::Freely).await?;
        let session_id = answer.headers.get(envelope::session_header()).cloned();
        let reply = wire::Reply::of(answer, id).await;
        let reply =
            reply.map_err(|refused| refused.map_or_else(|failed| failed, |refused| self.told(refused)))?;
        let reply = reply.within(self.large(caller.share()));
        let tenant = Arc::clone(&caller.tenant);
        let session = Session { tenant, id: session_id, revision: Revision::LEGACY, about: Arc::default() };
        let mut calling = Calling::new(self, Some(session.clone()), Reply::Http(reply.into()), id);
        let result = calling.result().await?;
        let revision = agreed(&result)?;
        // What a server tells a tenant is that tenant's.
        if caller.tenant.is_empty() {
            self.hear_instructions(&result);
        }
        let session = Session { revision, about: Arc::new(About::of(&result)), ..session };
        let mut headers = HeaderMap::new();
        envelope::insert_version(&mut headers, revision);
        let envelope = Envelope { body: envelope::INITIALIZED.to_vec(), headers };
        let answer = self.post_in(&session, envelope).await?;
        if !answer.status.is_success() {
            return Err(failed("the upstream does not open a session"));
        }
        drop(answer.body.collect(wire::MESSAGE_BYTES_MAX).await);
        let logs = result.get("capabilities").is_some_and(|announced| announced.present("logging").is_some());
        if let Some(level) = caller.log_level.as_ref().filter(|_| logs) {
            self.set_level(&session, level).await;
        }
        for uri in caller.resources.iter() {
            let params = Act::ReadResource.params(uri, b"");
            let method = Passed::Subscribe.method();
            self.ask_in(
                &session,
                &Ask { id: self.next_id(), method, name: None, params: &params, wishes: None },
            )
            .await;
        }
        Ok(session)
    }

    /// Asks something in a session of which only the effect matters.
    async fn ask_in(self: &Arc<Self>, session: &Session, ask: &Ask<'_>) {
        let sealed = ask.sealed(session.revision, &Value::object([]));
        let Ok(answer) = self.post_in(session, sealed).await else { return };
        if let Ok(reply) = wire::Reply::of(answer, ask.id).await {
            let reply = reply.within(self.large(Caller::tenant(Arc::clone(&session.tenant)).share()));
            drop(Calling::new(self, Some(session.clone()), Reply::Http(reply.into()), ask.id).result().await);
        }
    }

    /// Says how much is to be told in a session. A server that does not take it tells what it likes.
    async fn set_level(self: &Arc<Self>, session: &Session, level: &str) {
        let id = self.next_id();
        let params = envelope::level_params(level);
        let ask = Ask { id, method: "logging/setLevel", name: None, params: &params, wishes: None };
        self.ask_in(session, &ask).await;
    }

    /// Says how much is to be told in the caller's session, if it has one here.
    pub async fn level_set(self: &Arc<Self>, caller: &Caller) {
        let Some(level) = &caller.log_level else { return };
        if let Link::Child { .. } = &self.link {
            let params = envelope::level_params(level);
            let ask = |id| Ask { id, method: "logging/setLevel", name: None, params: &params, wishes: None };
            // One that does not take it tells what it likes.
            if let Ok(mut asked) = self.ask(caller, ask).await {
                drop(asked.result().await);
            }
        } else if let Some(session) = self.sessions.open(caller) {
            self.set_level(&session, level).await;
        }
    }

    /// Ends the session that a client had here, and tells the server.
    pub fn end(self: &Arc<Self>, tenant: &Arc<str>, session: u128) {
        let Some(session) = self.sessions.take(tenant, session) else { return };
        if session.id.is_none() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let server = Arc::clone(self);
            runtime.spawn(async move {
                server.delete(&session).await;
            });
        }
    }
}

/// Whether a session is over. Servers should say so with 404; many say 400 with a code of their library's.
fn is_over(refused: &Refused) -> bool {
    match refused.status {
        StatusCode::NOT_FOUND => true,
        StatusCode::BAD_REQUEST => {
            refused.error.as_ref().is_none_or(|(code, ..)| OF_LIBRARIES.contains(code))
        }
        _ => false,
    }
}

/// The era of a server that answers `server/discover` so.
fn era_of(discovered: &Value<'_>) -> Era {
    if lists_modern(discovered.get("supportedVersions")) { Era::Modern } else { Era::Legacy }
}

/// Whether 2026-07-28 is one of these revisions.
fn lists_modern(versions: Option<&Value<'_>>) -> bool {
    let versions = versions.and_then(Value::items).unwrap_or_default();
    versions.iter().any(|version| version.as_str() == Some(Revision::MODERN.as_str()))
}

fn names_modern((code, _, data): &(i64, String, Option<Value<'_>>)) -> bool {
    *code == UNSUPPORTED_VERSION && lists_modern(data.as_ref().and_then(|data| data.get("supported")))
}

/// The revision that a server agrees to in its answer to `initialize`.
fn agreed(initialized: &Value<'_>) -> Result<Revision, Failed> {
    let agreed = initialized.get("protocolVersion").and_then(Value::as_str).and_then(Revision::named);
    agreed
        .filter(|revision| !revision.is_modern())
        .ok_or_else(|| failed("the upstream speaks no revision of the protocol that is served here"))
}

/// Whoever panicked while holding one of these left it as it was.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
