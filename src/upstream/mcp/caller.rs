//! On whose behalf a server is asked. At a server of the older era each has a session of its own: nothing that a server
//! keeps in a session is shared between tenants, nor between the sessions of two clients.

use super::{Failed, Server};
use crate::{
    json::Value,
    mcp::{Revision, about::About, question},
    quota::fair::Priority,
    upstream::apart::Share,
};
use http::HeaderValue;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::OnceCell;

/// Who asks.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Empty for the gateway itself.
    pub tenant: Arc<str>,
    /// Its share where work on large messages waits for its turn.
    pub weight: u32,
    pub priority: Priority,
    /// The client's own session. Clients without one share their tenant's.
    pub session: Option<u128>,
    /// What the client can be asked, as `initialize` announces it: an object.
    pub capabilities: Arc<Value<'static>>,
    /// Of which resources the client wants to be told that they changed.
    pub resources: Arc<[Arc<str>]>,
    /// How much the server is to tell while it works.
    pub log_level: Option<Arc<str>>,
}

impl Caller {
    /// The gateway, which lists tools: in a session that is nobody's. It announces what any client may: some servers list
    /// what they offer only to those who can be asked.
    pub fn gateway() -> Self {
        Self { capabilities: Arc::new(question::all_that(|_| true)), ..Self::tenant("".into()) }
    }

    /// A tenant, outside of any session.
    pub fn tenant(tenant: Arc<str>) -> Self {
        let capabilities = Arc::new(Value::object([]));
        let (weight, priority) = (1, Priority::default());
        let resources = Arc::default();
        Self { tenant, weight, priority, session: None, capabilities, resources, log_level: None }
    }

    /// Its part of what all share.
    pub(super) fn share(&self) -> Share {
        Share { tenant: Arc::clone(&self.tenant), weight: self.weight, priority: self.priority }
    }

    fn key(&self) -> Key {
        (Arc::clone(&self.tenant), self.session)
    }
}

/// A session at a server of the older era.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// Whose it is.
    pub(super) tenant: Arc<str>,
    pub(super) id: Option<HeaderValue>,
    pub(super) revision: Revision,
    /// What the server says of itself.
    pub(super) about: Arc<About>,
}

type Key = (Arc<str>, Option<u128>);

/// The sessions at one server, by whose they are.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<Key, Arc<OnceCell<Session>>>>);

impl Sessions {
    /// The caller's session; one request opens it, the others wait for it.
    pub(super) async fn of(&self, server: &Arc<Server>, caller: &Caller) -> Result<Session, Failed> {
        let cell = Arc::clone(self.lock().entry(caller.key()).or_default());
        cell.get_or_try_init(|| server.open(caller)).await.cloned()
    }

    /// The caller's session, if it is open.
    pub(super) fn open(&self, caller: &Caller) -> Option<Session> {
        self.lock().get(&caller.key())?.get().cloned()
    }

    /// Forgets a session, unless another took its place. Whether it could have gone on only under an id.
    pub(super) fn forget(&self, caller: &Caller, session: &Session) -> bool {
        let mut sessions = self.lock();
        if let Some(current) = sessions.get(&caller.key()).and_then(|cell| cell.get())
            && current.id == session.id
        {
            sessions.remove(&caller.key());
        }
        session.id.is_some()
    }

    /// Forgets those that go by no id: nothing else would tell that they are over.
    pub(super) fn forget_nameless(&self) {
        self.lock().retain(|_, cell| cell.get().is_none_or(|session| session.id.is_some()));
    }

    /// Takes out the session of a client's, for good.
    pub(super) fn take(&self, tenant: &Arc<str>, session: u128) -> Option<Session> {
        let cell = self.lock().remove(&(Arc::clone(tenant), Some(session)))?;
        cell.get().cloned()
    }

    /// Whoever panicked while holding it left it as it was.
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<OnceCell<Session>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
