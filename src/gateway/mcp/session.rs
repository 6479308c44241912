//! What is kept for a client's session: what the client can be asked, what it was asked and has not answered yet, which of
//! its requests run, and which servers were used in it.

use super::kept::Kept;
use crate::{
    clock,
    gateway::Gateway,
    json::Value,
    mcp::{Revision, question, session::Owner},
    upstream::mcp::Server,
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

/// So many questions of servers may wait for one client.
const QUESTIONS_MAX: usize = 32;

/// Of so many resources a client may be told.
const SUBSCRIBED_MAX: usize = 1000;
/// So many answers are kept for one client; others end with their connection.
const KEPT_MAX: usize = 16;

/// A client's session.
#[derive(Debug)]
pub struct ClientSession {
    pub(super) tenant: Arc<str>,
    pub(super) id: u128,
    pub(super) revision: Revision,
    /// What the client announced that it can be asked.
    pub(super) capabilities: Value<'static>,
    state: Mutex<State>,
    numbers: AtomicU64,
    /// Told when a server is used for the first time.
    pub(super) news: Notify,
}

#[derive(Debug, Default)]
struct State {
    log_level: Option<Arc<str>>,
    /// By the id under which the client was asked.
    questions: HashMap<String, oneshot::Sender<Told>>,
    /// By the client's own id, as JSON.
    running: HashMap<String, (u64, CancellationToken)>,
    /// Those at which there may be a session for this one.
    servers: Vec<Arc<Server>>,
    /// Ends the stream for what answers no request, when another takes its place.
    listening: Option<CancellationToken>,
    /// Resources of which the client wants to be told that they changed, by server.
    subscribed: BTreeSet<(Arc<str>, Arc<str>)>,
    /// Answers that the client can come back for.
    kept: Vec<Arc<Kept>>,
}

/// What a client answers a server's question with.
#[derive(Debug)]
pub(super) enum Told {
    Result(Value<'static>),
    Error(Value<'static>),
}

/// A question that waits for the client. Dropping it takes it back.
#[derive(Debug)]
pub(super) struct Waiting {
    session: Arc<ClientSession>,
    pub(super) id: String,
    answer: oneshot::Receiver<Told>,
}

/// A request that runs, until it is dropped.
#[derive(Debug)]
pub(super) struct Running {
    session: Arc<ClientSession>,
    id: String,
    /// Tells it from another under the same id.
    number: u64,
    pub(super) cancelled: CancellationToken,
}

impl ClientSession {
    pub(super) fn new(tenant: Arc<str>, id: u128, revision: Revision, capabilities: &Value<'_>) -> Self {
        let capabilities = question::kept(capabilities);
        let (state, numbers, news) = (Mutex::default(), AtomicU64::new(1), Notify::new());
        Self { tenant, id, revision, capabilities, state, numbers, news }
    }

    /// The next number under which this client is told something.
    pub(super) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Makes place for a question. `None` where too many wait already.
    pub(super) fn ask(self: &Arc<Self>) -> Option<Waiting> {
        let id = format!("tollgate-{}", self.next_number());
        let (told, answer) = oneshot::channel();
        let mut state = self.lock();
        if state.questions.len() >= QUESTIONS_MAX {
            return None;
        }
        state.questions.insert(id.clone(), told);
        Some(Waiting { session: Arc::clone(self), id, answer })
    }

    /// Brings the client's answer to whoever asked. One that nobody waits for is dropped.
    pub(super) fn answered(&self, message: &Value<'_>) {
        let Some(id) = message.get("id").and_then(Value::as_str) else { return };
        let Some(asker) = self.lock().questions.remove(id) else { return };
        let told = match (message.get("result"), message.get("error")) {
            (Some(result), None) => Told::Result(result.clone().into_owned()),
            (_, error) => Told::Error(error.cloned().unwrap_or(Value::Null).into_owned()),
        };
        // The asker may have gone.
        drop(asker.send(told));
    }

    /// Marks a request as running, so that the client can cancel it.
    pub(super) fn runs(self: &Arc<Self>, id: &Value<'_>) -> Running {
        let (id, number, cancelled) = (id.to_string(), self.next_number(), CancellationToken::new());
        self.lock().running.insert(id.clone(), (number, cancelled.clone()));
        Running { session: Arc::clone(self), id, number, cancelled }
    }

    /// The client does not want the answer to a request any more.
    pub(super) fn cancel(&self, id: &Value<'_>) {
        if let Some((_, running)) = self.lock().running.get(&id.to_string()) {
            running.cancel();
        }
    }

    /// Notes that a server is used in this session.
    pub(super) fn uses(&self, server: &Arc<Server>) {
        let mut state = self.lock();
        if state.servers.iter().any(|used| Arc::ptr_eq(used, server)) {
            return;
        }
        // After a reload the server is another one.
        state.servers.retain(|used| used.name() != server.name());
        state.servers.push(Arc::clone(server));
        drop(state);
        self.news.notify_waiters();
    }

    /// The servers that were used in this session.
    pub(super) fn servers(&self) -> Vec<Arc<Server>> {
        self.lock().servers.clone()
    }

    /// How much servers are to tell.
    pub(super) fn log_level(&self) -> Option<Arc<str>> {
        self.lock().log_level.clone()
    }

    /// Sets how much servers are to tell.
    pub(super) fn set_log_level(&self, level: &str) {
        self.lock().log_level = Some(level.into());
    }

    /// The stream for what answers no request begins; an earlier one ends. What ends this one.
    pub(super) fn listens(&self) -> CancellationToken {
        let ends = CancellationToken::new();
        if let Some(earlier) = self.lock().listening.replace(ends.clone()) {
            earlier.cancel();
        }
        ends
    }

    /// Notes that the client wants to be told of a resource, or no longer. `false` where there are too many.
    pub(super) fn subscribes(&self, server: &Arc<str>, uri: &str, wants: bool) -> bool {
        let mut state = self.lock();
        let entry = (Arc::clone(server), Arc::from(uri));
        if !wants {
            state.subscribed.remove(&entry);
            return true;
        }
        let has_room = state.subscribed.len() < SUBSCRIBED_MAX || state.subscribed.contains(&entry);
        if has_room {
            state.subscribed.insert(entry);
        }
        has_room
    }

    /// The resources of a server of which the client wants to be told.
    pub(super) fn subscribed(&self, server: &str) -> Arc<[Arc<str>]> {
        let state = self.lock();
        state.subscribed.iter().filter(|(of, _)| **of == *server).map(|(_, uri)| Arc::clone(uri)).collect()
    }

    /// Keeps an answer, unless there are too many.
    pub(super) fn keep(&self, kept: &Arc<Kept>) -> bool {
        let mut state = self.lock();
        if state.kept.len() >= KEPT_MAX
            && let Some(ended) = state.kept.iter().position(|kept| kept.is_over())
        {
            state.kept.remove(ended);
        }
        let has_room = state.kept.len() < KEPT_MAX;
        if has_room {
            state.kept.push(Arc::clone(kept));
        }
        has_room
    }

    /// The answer of this number, if it is kept.
    pub(super) fn kept(&self, number: u64) -> Option<Arc<Kept>> {
        self.lock().kept.iter().find(|kept| kept.number == number).cloned()
    }

    /// Keeps an answer no longer.
    pub(super) fn forget(&self, number: u64) {
        self.lock().kept.retain(|kept| kept.number != number);
    }

    /// Ends what belongs to the session, here and at the servers.
    pub(super) fn end(&self) {
        let state = std::mem::take(&mut *self.lock());
        let running = state.running.into_values().map(|(_, running)| running);
        for running in running.chain(state.listening) {
            running.cancel();
        }
        for server in state.servers {
            server.end(&self.tenant, self.id);
        }
    }

    /// Whoever panicked while holding it left it as it was.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// What the client answers; `None` when its session ended.
    pub(super) async fn answer(mut self) -> Option<Told> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.session.lock().questions.remove(&self.id);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.session.lock();
        if state.running.get(&self.id).is_some_and(|(number, _)| *number == self.number) {
            state.running.remove(&self.id);
        }
    }
}

/// The session of this id, if it is this owner's.
pub(super) fn find(gateway: &Gateway, owner: &Owner, id: &str) -> Option<Arc<ClientSession>> {
    let now = clock::unix_seconds(clock::wall());
    gateway.sessions.lock().unwrap_or_else(PoisonError::into_inner).find(owner, id, now)
}

/// Opens a session. The one whose place it takes ends.
pub(super) fn open(gateway: &Gateway, owner: Owner, session: ClientSession) -> Arc<ClientSession> {
    let now = clock::unix_seconds(clock::wall());
    let session = Arc::new(session);
    let kept = Arc::clone(&session);
    let mut sessions = gateway.sessions.lock().unwrap_or_else(PoisonError::into_inner);
    let ended = sessions.open(owner, session.id, kept, now);
    drop(sessions);
    if let Some(ended) = ended {
        ended.end();
    }
    session
}

/// Ends a session of this owner's. Whether there was one.
pub(super) fn close(gateway: &Gateway, owner: &Owner, id: &str) -> bool {
    let now = clock::unix_seconds(clock::wall());
    let mut sessions = gateway.sessions.lock().unwrap_or_else(PoisonError::into_inner);
    let closed = sessions.close(owner, id, now);
    drop(sessions);
    closed.inspect(|session| session.end()).is_some()
}
