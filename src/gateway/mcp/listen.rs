//! Streams for what answers no request: the GET stream of a session, and `subscriptions/listen`. A tenant is told that a
//! list changed when the list that it sees did, whether a server changed it or the tenant's rules. What the client of a
//! session is told and asked by its servers outside of any call comes here too.

use super::{
    ClientSession, catalogue,
    events::{Out, Sink},
    input::{self, Desk},
};
use crate::{
    asked::Asked,
    authorize, clock,
    gateway::{Gateway, apart},
    json::Value,
    mcp::{list::Kind, message, names, question, uri},
    refusal::Refusal,
    snapshot::Snapshot,
    upstream::{
        apart::Share,
        mcp::{Caller, Changes, Heard, Server, Wanted},
    },
};
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// So often a stream carries a comment, so that both sides see when it is dead.
const COMMENT_EVERY: Duration = Duration::from_secs(15);
const COMMENT: &[u8] = b": still here\n\n";
/// So often it is seen whether the configuration changed, and whether the key is still good.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// So long the first look at the lists may take.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// Changes that come together are told once.
const SETTLE: Duration = Duration::from_millis(50);
/// So many questions of servers may wait in one stream.
const QUESTIONS_MAX: usize = 64;
/// So many resources a subscription may name.
const RESOURCES_MAX: usize = 1000;
/// So much of what servers tell may wait.
const HEARD_MAX: usize = 16;

/// The notice of a change of each list, and the member of a subscription that asks for it. Templates are resources.
const NEWS: [(Kind, &str, &str); 4] = [
    (Kind::Tools, "notifications/tools/list_changed", "toolsListChanged"),
    (Kind::Prompts, "notifications/prompts/list_changed", "promptsListChanged"),
    (Kind::Resources, "notifications/resources/list_changed", "resourcesListChanged"),
    (Kind::Templates, "notifications/resources/list_changed", "resourcesListChanged"),
];

/// What a stream is for.
#[derive(Debug)]
pub(super) enum For {
    /// A session, until this is cancelled.
    Session(Arc<ClientSession>, CancellationToken),
    /// A subscription: the id of its request, and what it asked for.
    Subscription { id: Value<'static>, wishes: Vec<&'static str>, resources: Vec<String> },
}

/// So many may listen for a tenant at once.
const LISTENERS_MAX: u32 = 2_000;

/// Who listens, by tenant.
#[derive(Debug, Default)]
pub struct Listeners(Mutex<HashMap<Arc<str>, u32>>);

/// A place among those who listen. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Seat {
    gateway: Arc<Gateway>,
    tenant: Arc<str>,
}

impl Seat {
    /// A place for one more of this tenant.
    pub(super) fn take(gateway: &Arc<Gateway>, tenant: &Arc<str>) -> Result<Self, Refusal> {
        let mut listeners = gateway.listeners.lock();
        let count = listeners.entry(Arc::clone(tenant)).or_default();
        if *count >= LISTENERS_MAX {
            return Err(Refusal::Concurrency { limit: LISTENERS_MAX });
        }
        *count += 1;
        Ok(Self { gateway: Arc::clone(gateway), tenant: Arc::clone(tenant) })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut listeners = self.gateway.listeners.lock();
        if let Some(count) = listeners.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                listeners.remove(&self.tenant);
            }
        }
    }
}

impl Listeners {
    /// Whoever panicked while holding it left it as it was.
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who listens.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) seat: Seat,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) asked: Asked,
    /// The server of the endpoint; `None` for all of the tenant's.
    pub(super) server: Option<Arc<str>>,
    pub(super) listens_for: For,
    pub(super) sink: Sink,
    /// What was seen of each server's lists.
    pub(super) seen: HashMap<(Arc<str>, Kind), u64>,
}

/// The news of lists that a subscription asks for, and the resources.
pub(super) fn wishes(params: &Value<'_>) -> (Vec<&'static str>, Vec<String>) {
    let mut wishes: Vec<&'static str> = NEWS.iter().map(|(_, _, wish)| *wish).collect();
    wishes.dedup();
    wishes.retain(|wish| params.get(wish) == Some(&Value::Bool(true)));
    let resources = params.get("resourceSubscriptions").and_then(Value::items).unwrap_or_default();
    let resources = resources.iter().filter_map(|uri| uri.as_str().map(ToOwned::to_owned));
    (wishes, resources.take(RESOURCES_MAX).collect())
}

impl Listener {
    /// Tells what there is to tell, until the client leaves, its key ends, or the gateway does.
    pub(super) async fn run(mut self) {
        let ends = match &self.listens_for {
            For::Session(_, ends) => ends.clone(),
            For::Subscription { .. } => CancellationToken::new(),
        };
        let mut is_told = false;
        let mut comments = tokio::time::interval(COMMENT_EVERY);
        let mut looks = tokio::time::interval(LOOK_EVERY);
        comments.reset();
        looks.reset();
        loop {
            let (tell, mut heard) = mpsc::channel(HEARD_MAX);
            let mut changes = Changes::of(&self.servers());
            let mut tasks = JoinSet::new();
            let mut hearing = JoinSet::new();
            let mut heard_of = Vec::new();
            if is_told {
                // Under another configuration: other servers, other rules.
                Box::pin(self.look(true)).await;
            } else {
                // What changes from here on is told. Who does not answer is not waited for.
                drop(tokio::time::timeout(FIRST_LOOK, Box::pin(self.look(false))).await);
                self.acknowledge().await;
                is_told = true;
            }
            loop {
                self.hear_more(&mut heard_of, &mut hearing, &tell);
                let used = self.used();
                tokio::select! {
                    () = ends.cancelled() => return,
                    () = self.seat.gateway.draining.cancelled() => return self.close().await,
                    () = changes.next() => {
                        tokio::time::sleep(SETTLE).await;
                        Box::pin(self.look(true)).await;
                    }
                    Some(told) = heard.recv() => {
                        let (server, heard) = *told;
                        Box::pin(self.pass(&server, heard, &mut tasks)).await;
                    }
                    () = used => {}
                    Some(_) = tasks.join_next() => {}
                    Some(_) = hearing.join_next() => {}
                    _ = comments.tick() => drop(self.sink.send(Out::Event(COMMENT.into())).await),
                    _ = looks.tick() => match self.renew() {
                        None => return self.close().await,
                        Some(true) => break,
                        Some(false) => {}
                    },
                }
                if self.sink.is_closed() {
                    return;
                }
            }
        }
    }

    /// Waits until a server is used in the session for the first time.
    fn used(&self) -> impl Future<Output = ()> + 'static {
        let session = match &self.listens_for {
            For::Session(session, _) => Some(Arc::clone(session)),
            For::Subscription { .. } => None,
        };
        async move {
            match session {
                Some(session) => session.news.notified().await,
                None => std::future::pending().await,
            }
        }
    }

    /// The servers that the tenant reaches here.
    fn servers(&self) -> Vec<Arc<Server>> {
        let named = |server: &Arc<Server>| self.server.as_ref().is_none_or(|name| **name == *server.name());
        let reached =
            |server: &Arc<Server>| authorize::may_reach(&self.asked, &names::combined(server.name(), ""));
        let tenant = self.asked.identity.tenant().id.shared();
        self.snapshot.servers_of(&tenant).filter(named).filter(reached).collect()
    }

    /// Hears servers that were not heard so far: those that the session uses, those of the resources subscribed to.
    fn hear_more(
        &self,
        heard_of: &mut Vec<Arc<Server>>,
        hearing: &mut JoinSet<()>,
        tell: &mpsc::Sender<Box<(Arc<Server>, Heard)>>,
    ) {
        let (servers, wanted) = match &self.listens_for {
            For::Session(session, _) => (session.servers(), Wanted::default()),
            For::Subscription { resources, .. } if resources.is_empty() => return,
            For::Subscription { resources, .. } => {
                (self.servers(), Wanted { lists: false, resources: resources.clone() })
            }
        };
        for server in servers {
            if heard_of.iter().any(|known| Arc::ptr_eq(known, &server)) {
                continue;
            }
            heard_of.push(Arc::clone(&server));
            let mut wanted = wanted.clone();
            wanted.resources.retain(|uri| self.may_hear_of(&server, uri));
            if wanted.resources.is_empty() && matches!(self.listens_for, For::Subscription { .. }) {
                continue;
            }
            let (caller, tell) = (self.caller(&server), tell.clone());
            hearing.spawn(async move {
                let (told, mut heard) = mpsc::channel(HEARD_MAX);
                let hears = Arc::clone(&server).hear(caller, wanted, told);
                let passes = async {
                    while let Some(heard) = heard.recv().await {
                        drop(tell.send(Box::new((Arc::clone(&server), heard))).await);
                    }
                };
                tokio::join!(hears, passes);
            });
        }
    }

    fn caller(&self, server: &Server) -> Caller {
        let Share { tenant, weight, priority } = apart::share(&self.asked.identity);
        let For::Session(session, _) = &self.listens_for else { return Caller::tenant(tenant) };
        let may_ask =
            |question: question::Question| authorize::sees(&self.asked, &question.name(server.name()));
        Caller {
            tenant,
            weight,
            priority,
            session: Some(session.id),
            capabilities: Arc::new(question::narrowed(&session.capabilities, may_ask)),
            resources: session.subscribed(server.name()),
            log_level: session.log_level(),
        }
    }

    /// Looks at what the tenant sees of each list, and tells of those that are others than before. A server that does not
    /// answer keeps what was seen of it: that it is gone for a moment is no news.
    async fn look(&mut self, tells: bool) {
        let servers = self.servers();
        let mut changed: Vec<Kind> = Vec::new();
        self.seen.retain(|(server, kind), _| {
            let is_there = servers.iter().any(|there| *there.name() == **server);
            if !is_there {
                changed.push(*kind);
            }
            is_there
        });
        for (kind, _, wish) in NEWS {
            if !self.wants(wish) {
                continue;
            }
            let lists = catalogue::ask_all(&servers, move |server| async move { server.list(kind).await });
            for (server, list) in lists.await {
                let mut hasher = DefaultHasher::new();
                let is_seen = |name: &str| catalogue::is_seen(&self.asked, kind, &server, name);
                list.iter().filter(|each| is_seen(&each.name)).for_each(|each| each.hash(&mut hasher));
                let (key, digest) = ((server.shared_name(), kind), hasher.finish());
                if self.seen.insert(key, digest).map_or(tells, |before| before != digest) {
                    changed.push(kind);
                }
            }
        }
        let mut told = Vec::new();
        for (kind, notice, wish) in NEWS {
            if changed.contains(&kind) && self.wants(wish) && !told.contains(&notice) {
                self.tell(notice, Value::object([])).await;
                told.push(notice);
            }
        }
    }

    fn wants(&self, wish: &str) -> bool {
        match &self.listens_for {
            For::Session(..) => true,
            For::Subscription { wishes, .. } => wishes.contains(&wish),
        }
    }

    /// The configuration of today. `None`: the key is not good any more; else whether it is another one.
    fn renew(&mut self) -> Option<bool> {
        let snapshot = self.seat.gateway.snapshot.load_full();
        let time = clock::wall();
        let is_other = !Arc::ptr_eq(&snapshot, &self.snapshot);
        let identity = snapshot.directory.renewed(&self.asked.identity, clock::unix_seconds(time))?;
        self.asked.identity = identity;
        self.asked.config = Arc::clone(&snapshot.hash);
        self.asked.time = time;
        self.snapshot = snapshot;
        Some(is_other)
    }

    /// Passes on what a server tells or asks.
    async fn pass(&mut self, server: &Arc<Server>, heard: Heard, tasks: &mut JoinSet<()>) {
        match heard {
            // Who asks too much at once gets no answer.
            Heard::Question { .. } if tasks.len() >= QUESTIONS_MAX => {}
            Heard::Question { id, method, params, answerer } => {
                let session = match &self.listens_for {
                    For::Session(session, _) => Some(Arc::clone(session)),
                    For::Subscription { .. } => None,
                };
                let desk = Desk {
                    gateway: &self.seat.gateway,
                    asked: &self.asked,
                    session: session.as_ref(),
                    sink: &self.sink,
                };
                let asking = input::put(&desk, server, (&id, &method), &params, &mut Vec::new()).await;
                tasks.spawn(async move { answerer.answer(asking.answer().await).await });
            }
            Heard::Notification { method, .. } if method.ends_with("/list_changed") => {
                server.heard(&Heard::Notification { method, params: Value::Null }).await;
            }
            Heard::Notification { method, params } => match method.as_str() {
                "notifications/resources/updated" if self.sees_resource(server, &params) => {
                    self.tell(&method, params).await;
                }
                "notifications/message" | "notifications/elicitation/complete"
                    if matches!(self.listens_for, For::Session(..)) =>
                {
                    self.tell(&method, params).await;
                }
                _ => {}
            },
        }
    }

    /// Whether a resource is one that the client wants to be told of, and may be.
    fn sees_resource(&self, server: &Server, params: &Value<'_>) -> bool {
        let Some(uri) = params.get("uri").and_then(Value::as_str) else { return false };
        let is_wanted = match &self.listens_for {
            For::Session(session, _) => session.subscribed(server.name()).iter().any(|each| **each == *uri),
            For::Subscription { resources, .. } => resources.iter().any(|each| each == uri),
        };
        is_wanted && self.may_hear_of(server, uri)
    }

    /// Whether a resource could be read just now, without asking anybody.
    fn may_hear_of(&self, server: &Server, uri: &str) -> bool {
        uri::is_plain(uri) && authorize::may_read(&self.asked, &names::resource(server.name(), uri), uri)
    }

    /// The first that a subscription is told: what it gets of what it asked for.
    async fn acknowledge(&mut self) {
        let For::Subscription { wishes, resources, .. } = &self.listens_for else { return };
        let mut taken = Value::object([]);
        for wish in wishes {
            taken.set(wish, Value::Bool(true));
        }
        let servers = self.servers();
        let is_heard = |uri: &&String| servers.iter().any(|server| self.may_hear_of(server, uri));
        let resources: Vec<&String> = resources.iter().filter(is_heard).collect();
        if !resources.is_empty() {
            let resources = resources.into_iter().map(|uri| Value::string(uri.clone())).collect();
            taken.set("resourceSubscriptions", Value::Array(resources));
        }
        let params = Value::object([("notifications", taken)]);
        self.tell("notifications/subscriptions/acknowledged", params).await;
    }

    async fn tell(&self, method: &str, mut params: Value<'static>) {
        if let For::Subscription { id, .. } = &self.listens_for {
            params.set("_meta", subscription(id));
        }
        let told = message::notification(method, &params);
        drop(self.sink.send(Out::Event(message::event(&told).into())).await);
    }

    /// Ends the stream so that the client knows.
    async fn close(&self) {
        if let For::Subscription { id, .. } = &self.listens_for {
            let mut result = Value::object([("resultType", Value::string("complete"))]);
            result.set("_meta", subscription(id));
            let told = message::result(id, &result);
            drop(self.sink.send(Out::Event(message::event(&told).into())).await);
        }
    }
}

/// What every message of a subscription carries: the id of its request.
fn subscription(id: &Value<'static>) -> Value<'static> {
    Value::object([("io.modelcontextprotocol/subscriptionId", id.clone())])
}
