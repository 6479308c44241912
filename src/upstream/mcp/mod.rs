//! MCP servers behind the gateway: the gateway is a client of each, on its own account. Which era a server speaks is
//! found out once, its sessions are kept a tenant, its tools are listed by one request at a time and kept for a moment.

mod link;
mod stdio;
mod wire;

use super::{
    Upstream,
    http1::{Answer, Outgoing},
    route,
};
use crate::{
    authorize::ToolPermit,
    clock,
    json::Value,
    mcp::{
        Revision,
        envelope::{self, Ask, Envelope, Wishes},
        list::{self, Tools},
        message::{METHOD_NOT_FOUND, UNSUPPORTED_VERSION},
        names,
    },
    names::UpstreamName,
    operator,
    refusal::Refusal,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use link::{Link, Reply};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use stdio::Children;
pub use stdio::Program;
use wire::{Refused, Said, failed};

/// So long it is remembered which era a server speaks.
const ERA_KEPT: Duration = Duration::from_secs(300);
/// So long a list is kept, and that there is none.
const LIST_KEPT: Duration = Duration::from_secs(5);
/// So long a list may take, all its pages together.
const LIST_WAIT: Duration = Duration::from_secs(15);
/// The session in which the gateway lists tools is nobody's.
const OWN: &str = "";

/// An MCP server.
#[derive(Debug)]
pub struct Server {
    name: UpstreamName,
    link: Link,
    era: Mutex<Option<(Era, Instant)>>,
    /// One finds out; the others wait for it.
    probing: tokio::sync::Mutex<()>,
    /// By tenant: a server of the older era may keep things in a session.
    sessions: Mutex<HashMap<Arc<str>, Session>>,
    list: Arc<tokio::sync::Mutex<Option<Listed>>>,
    ids: AtomicU64,
}

/// What a server listed, or why it did not, and when.
type Listed = (Result<Arc<Tools>, Failed>, Instant);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Era {
    Legacy,
    Modern,
}

#[derive(Debug, Clone)]
struct Session {
    id: Option<HeaderValue>,
    revision: Revision,
}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed {
    /// The server's own error, in its words.
    Error { code: i64, message: String },
    /// It could not be asked, or gave no answer that can be read.
    Refusal(Refusal),
}

/// What comes of a call, one after the other.
#[derive(Debug)]
pub enum Happened {
    /// The server tells of something. Progress is told under the request's own number.
    Notification { method: String, params: Value<'static> },
    /// The end.
    Result(Value<'static>),
}

/// A call on its way. Dropping it cancels it.
#[derive(Debug)]
pub struct Calling<'s> {
    server: &'s Server,
    reply: Reply,
    session: Option<Session>,
    /// The number under which progress is told.
    pub number: u64,
}

impl Server {
    /// A server of which nothing is known yet.
    pub fn new(upstream: Upstream) -> Self {
        Self::over(upstream.name.clone(), Link::Http(upstream))
    }

    /// A server that the gateway runs, as soon as something is asked of it.
    pub fn over_stdio(name: UpstreamName, program: Program) -> Self {
        let children = Children::new(name.shared(), program);
        Self::over(name, Link::Child(children))
    }

    fn over(name: UpstreamName, link: Link) -> Self {
        Self {
            name,
            link,
            era: Mutex::default(),
            probing: tokio::sync::Mutex::default(),
            sessions: Mutex::default(),
            list: Arc::default(),
            ids: AtomicU64::new(1),
        }
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The same, shared.
    pub fn shared_name(&self) -> Arc<str> {
        self.name.shared()
    }

    /// A text without the gateway's own credentials.
    pub fn conceal(&self, text: String) -> String {
        self.link.conceal(text)
    }

    /// Closes connections that idled for too long, and ends processes that did.
    pub fn sweep(&self) {
        self.link.sweep();
    }

    /// Goes on with the processes of the server that it replaces, if that runs the same program.
    pub fn take_over(&mut self, old: &Self) {
        self.link.take_over(&old.link);
    }

    /// Ends what the gateway runs for it.
    pub async fn stop(&self) {
        if let Link::Child(children) = &self.link {
            children.stop().await;
        }
    }

    /// Its tools, as they were within the last seconds. A process lists its tools for its tenant alone.
    pub async fn tools(&self, tenant: &Arc<str>) -> Result<Arc<Tools>, Failed> {
        let (lister, list) = match &self.link {
            Link::Http(_) => (OWN.into(), Arc::clone(&self.list)),
            Link::Child(children) => {
                let child = tokio::time::timeout(LIST_WAIT, children.of(tenant)).await;
                let child = child.unwrap_or(Err(Failed::Refusal(Refusal::UpstreamTimeout)))?;
                (Arc::clone(tenant), Arc::clone(&child.list))
            }
        };
        let mut kept = list.lock().await;
        if let Some((list, since)) = &*kept
            && clock::now().saturating_duration_since(*since) < LIST_KEPT
        {
            return list.clone();
        }
        let found = tokio::time::timeout(LIST_WAIT, self.list_all(&lister)).await;
        let found = found.unwrap_or(Err(Failed::Refusal(Refusal::UpstreamTimeout))).map(Arc::new);
        let is_news = |before: &Option<Listed>| match (before, &found) {
            (Some((Err(before), _)), Err(now)) => before != now,
            (Some((Ok(before), _)), Ok(now)) => self.unfit(before) != self.unfit(now),
            (_, Ok(now)) => self.unfit(now) != (0, 0),
            (_, Err(_)) => true,
        };
        if is_news(&kept) {
            self.tell(&found);
        }
        *kept = Some((found.clone(), clock::now()));
        found
    }

    /// How many tools nobody can call, and how many have names that are too long for the merged list.
    fn unfit(&self, tools: &Tools) -> (usize, usize) {
        let is_long = |tool: &&list::Tool| !names::fits(&names::combined(self.name(), &tool.name));
        (tools.left_out, tools.iter().filter(is_long).count())
    }

    /// Tells the operator what a list lacks.
    fn tell(&self, found: &Result<Arc<Tools>, Failed>) {
        let name = self.name();
        let why = match found {
            Ok(tools) => {
                let (left_out, long) = self.unfit(tools);
                if left_out > 0 {
                    operator::warn(&format!(
                        "{left_out} tools of the MCP server {name} are left out: without a usable name, under a name \
                         that another has too, or too many"
                    ));
                }
                if long > 0 {
                    operator::warn(&format!(
                        "{long} tools of the MCP server {name} are served at /mcp/{name} only: {name}__TOOL is longer \
                         than {} characters",
                        names::MERGED_CHARS_MAX
                    ));
                }
                return;
            }
            Err(Failed::Refusal(refusal)) => refusal.message(),
            Err(Failed::Error { code, .. }) => format!("error {code}"),
        };
        operator::warn(&format!("the MCP server {name} does not list its tools: {why}"));
    }

    async fn list_all(&self, lister: &Arc<str>) -> Result<Tools, Failed> {
        let (mut found, mut left_out, mut weight, mut cursor) = (Vec::new(), 0, 0, None);
        for _ in 0..list::PAGES_MAX {
            let params = envelope::list_params(cursor.as_deref());
            let ask = |id| Ask { id, method: "tools/list", name: None, params: &params, wishes: None };
            let mut listing = self.ask(lister, ask).await?;
            let page = list::page(&listing.result().await?)
                .ok_or_else(|| failed("the upstream's list of tools cannot be read"))?;
            weight += page.weight();
            if weight > list::LIST_BYTES_MAX {
                return Err(failed("the upstream's list of tools is too long"));
            }
            found.extend(page.tools);
            left_out += page.left_out;
            cursor = page.next;
            if cursor.is_none() || found.len() > list::TOOLS_MAX {
                break;
            }
        }
        left_out += usize::from(cursor.is_some()) + found.len().saturating_sub(list::TOOLS_MAX);
        found.truncate(list::TOOLS_MAX);
        let mut tools = Tools::new(found);
        tools.left_out += left_out;
        Ok(tools)
    }

    /// Sends a call that was permitted.
    pub async fn call(
        &self,
        tenant: &Arc<str>,
        permit: &ToolPermit,
        wishes: &Wishes,
    ) -> Result<Calling<'_>, Failed> {
        let params = envelope::call_params(permit.tool(), permit.arguments());
        let name = Some(permit.tool());
        let ask = |id| Ask { id, method: "tools/call", name, params: &params, wishes: Some(wishes) };
        self.ask(tenant, ask).await
    }

    /// Sends a request in the words of the server's era. What a server refused without looking at it is sent once more.
    async fn ask<'a>(&self, tenant: &Arc<str>, ask: impl Fn(u64) -> Ask<'a>) -> Result<Calling<'_>, Failed> {
        if let Link::Child(children) = &self.link {
            return self.ask_child(children, tenant, ask).await;
        }
        for last in [false, true] {
            let id = self.ids.fetch_add(1, Ordering::Relaxed);
            let era = self.era().await?;
            let session = match era {
                Era::Legacy => Some(self.session(tenant).await?),
                Era::Modern => None,
            };
            let revision = session.as_ref().map_or(Revision::MODERN, |session| session.revision);
            let answer = self.post(ask(id).sealed(revision), session.as_ref()).await?;
            let refused = match wire::Reply::of(answer, id).await {
                Ok(reply) => {
                    return Ok(Calling { server: self, reply: Reply::Http(reply), session, number: id });
                }
                Err(Err(failed)) => return Err(failed),
                Err(Ok(refused)) => refused,
            };
            let forgotten = match era {
                // The session is over.
                Era::Legacy => refused.status == StatusCode::NOT_FOUND && self.forget_session(tenant),
                // The server is another one by now.
                Era::Modern => {
                    let old = refused.code.is_none_or(|code| code == UNSUPPORTED_VERSION);
                    old && matches!(refused.status.as_u16(), 400 | 404 | 405) && self.forget_era()
                }
            };
            if last || !forgotten {
                return Err(self.told(refused));
            }
        }
        Err(failed("the upstream failed"))
    }

    fn told(&self, refused: Refused) -> Failed {
        // What is wrong with the gateway's credential, or with the server, is not the client's.
        let is_clients = matches!(refused.status.as_u16(), 400 | 404 | 409 | 422);
        match refused {
            Refused { code: Some(code), message: Some(message), .. } if is_clients => {
                Failed::Error { code, message }
            }
            Refused { status, headers, message, .. } => {
                Failed::Refusal(route::refusal_for(status, &headers, message.map(|text| self.conceal(text))))
            }
        }
    }

    /// Which era the server speaks.
    async fn era(&self) -> Result<Era, Failed> {
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
        *lock(&self.era) = Some((era, clock::now()));
        Ok(era)
    }

    fn forget_era(&self) -> bool {
        *lock(&self.era) = None;
        true
    }

    /// A server that does not know `server/discover` is one of the older era.
    async fn probe(&self) -> Result<Era, Failed> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let ask = Ask { id, method: "server/discover", name: None, params: &[], wishes: None };
        let answer = self.post(ask.sealed(Revision::MODERN), None).await?;
        let mut reply = match wire::Reply::of(answer, id).await {
            Ok(reply) => reply,
            Err(Err(failed)) => return Err(failed),
            Err(Ok(refused)) => {
                return match refused.status.as_u16() {
                    401 | 403 | 429 => Err(self.told(refused)),
                    400..500 => Ok(Era::Legacy),
                    _ => Err(self.told(refused)),
                };
            }
        };
        loop {
            match reply.next().await? {
                Said::Notification { .. } | Said::Request { .. } => {}
                Said::Result(result) => return Ok(era_of(&result)),
                Said::Error { code: METHOD_NOT_FOUND | UNSUPPORTED_VERSION, .. } => return Ok(Era::Legacy),
                // Servers of the older era call a request without a session many things.
                Said::Error { .. } => return Ok(Era::Legacy),
            }
        }
    }

    /// The tenant's session there.
    async fn session(&self, tenant: &Arc<str>) -> Result<Session, Failed> {
        if let Some(session) = lock(&self.sessions).get(tenant) {
            return Ok(session.clone());
        }
        let session = self.open().await?;
        // Two that open one at the same time each go on with theirs; one is kept.
        lock(&self.sessions).entry(Arc::clone(tenant)).or_insert_with(|| session.clone());
        Ok(session)
    }

    fn forget_session(&self, tenant: &Arc<str>) -> bool {
        lock(&self.sessions).remove(tenant).is_some_and(|session| session.id.is_some())
    }

    async fn open(&self) -> Result<Session, Failed> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let params = envelope::initialize_params();
        let ask = Ask { id, method: "initialize", name: None, params: &params, wishes: None };
        // No revision is agreed on yet: no header names one.
        let envelope = Envelope { headers: HeaderMap::new(), ..ask.sealed(Revision::LEGACY) };
        let answer = self.post(envelope, None).await?;
        let session_id = answer.headers.get(envelope::session_header()).cloned();
        let reply = wire::Reply::of(answer, id).await;
        let reply =
            reply.map_err(|refused| refused.map_or_else(|failed| failed, |refused| self.told(refused)))?;
        let session = Session { id: session_id, revision: Revision::LEGACY };
        let reply = Reply::Http(reply);
        let mut calling = Calling { server: self, reply, session: Some(session.clone()), number: id };
        let result = calling.result().await?;
        let revision = agreed(&result)?;
        let session = Session { revision, ..session };
        let mut headers = HeaderMap::new();
        envelope::insert_version(&mut headers, revision);
        let envelope = Envelope { body: envelope::INITIALIZED.to_vec(), headers };
        let answer = self.post(envelope, Some(&session)).await?;
        if !answer.status.is_success() {
            return Err(failed("the upstream does not open a session"));
        }
        drop(answer.body.collect(wire::MESSAGE_BYTES_MAX).await);
        Ok(session)
    }

    /// Answers a request of the server's: nothing that it may ask of a client is served.
    async fn decline(&self, id: &Value<'_>, session: &Session) {
        let mut headers = HeaderMap::new();
        envelope::insert_version(&mut headers, session.revision);
        let envelope = Envelope { body: envelope::not_served(id), headers };
        if let Ok(answer) = self.post(envelope, Some(session)).await {
            drop(answer.body.collect(wire::MESSAGE_BYTES_MAX).await);
        }
    }

    async fn post(&self, envelope: Envelope, session: Option<&Session>) -> Result<Answer, Failed> {
        let Link::Http(upstream) = &self.link else {
            return Err(failed("the upstream is not asked over HTTP"));
        };
        let Some((endpoint, credential)) = upstream.first() else {
            return Err(failed("the upstream has no address"));
        };
        let Envelope { body, mut headers } = envelope;
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(id) = session.and_then(|session| session.id.as_ref()) {
            headers.insert(envelope::session_header(), id.clone());
        }
        if let Some(credential) = credential {
            headers.insert(credential.header.clone(), credential.value.clone());
        }
        let path = if endpoint.base_path.is_empty() { "/" } else { &endpoint.base_path };
        let outgoing = Outgoing { method: &Method::POST, path, headers: &headers, body: Bytes::from(body) };
        endpoint.client.send(outgoing).await.map_err(|error| Failed::Refusal(route::unanswered(error)))
    }
}

impl Calling<'_> {
    /// What happens next. The result is the last of it.
    pub async fn next(&mut self) -> Result<Happened, Failed> {
        loop {
            match self.reply.next().await? {
                Said::Notification { method, params } => {
                    return Ok(Happened::Notification { method, params });
                }
                Said::Request { id } => {
                    if let Some(session) = &self.session {
                        self.server.decline(&id, session).await;
                    }
                }
                Said::Result(result) => return Ok(Happened::Result(result)),
                Said::Error { code, message } => return Err(Failed::Error { code, message }),
            }
        }
    }

    async fn result(&mut self) -> Result<Value<'static>, Failed> {
        loop {
            if let Happened::Result(result) = self.next().await? {
                return Ok(result);
            }
        }
    }
}

/// The era of a server that answers `server/discover` so.
fn era_of(discovered: &Value<'_>) -> Era {
    let versions = discovered.get("supportedVersions").and_then(Value::items).unwrap_or_default();
    let modern = |version: &Value<'_>| version.as_str() == Some(Revision::MODERN.as_str());
    if versions.iter().any(modern) { Era::Modern } else { Era::Legacy }
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
