//! What a server tells when nothing is asked of it: that its lists changed, that a resource did, what it asks of a client
//! outside of any call. In the older era that is a stream of a session's, in 2026-07-28 one that is subscribed to.

use super::{
    Failed, Server,
    caller::Caller,
    calling::{Answerer, Happened},
    link::Link,
    stdio::Child,
    wire::{self, Said},
};
use crate::{
    json::Value,
    mcp::{
        envelope::{self, Ask},
        message::METHOD_NOT_FOUND,
    },
};
use http::StatusCode;
use std::{
    sync::{Arc, LazyLock, Weak, atomic::Ordering},
    time::Duration,
};
use tokio::{
    sync::{broadcast, mpsc, watch},
    task::JoinHandle,
};

/// So long is waited before a stream that ended is asked for again, and after failures at most.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(60);
/// A server that does not tell of changes is looked at so often while anybody wants to know.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// So much may wait for whoever listens.
const HEARD_MAX: usize = 16;

/// What is told.
#[derive(Debug)]
pub enum Heard {
    Notification { method: String, params: Value<'static> },
    Question { id: Value<'static>, method: String, params: Value<'static>, answerer: Answerer },
}

/// What is listened for, where the era says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    pub lists: bool,
    /// Resources, by URI.
    pub resources: Vec<String>,
}

/// Told whenever a list of any server may have changed.
static NEWS: LazyLock<watch::Sender<()>> = LazyLock::new(watch::Sender::default);

/// Whoever holds it is told when lists of these servers may have changed.
#[derive(Debug)]
pub struct Changes {
    servers: Vec<Watched>,
    news: watch::Receiver<()>,
}

#[derive(Debug)]
struct Watched {
    server: Arc<Server>,
    /// How often its lists had changed when that was told.
    told: u64,
    _watcher: Arc<Watcher>,
}

/// Watches a server while anybody wants to know.
#[derive(Debug)]
pub(super) struct Watcher(JoinHandle<()>);

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Changes {
    /// Watches these servers from now on.
    pub fn of(servers: &[Arc<Server>]) -> Self {
        let news = NEWS.subscribe();
        let watched = |server: &Arc<Server>| Watched {
            server: Arc::clone(server),
            told: server.changed.load(Ordering::Relaxed),
            _watcher: server.watcher(),
        };
        Self { servers: servers.iter().map(watched).collect(), news }
    }

    /// Waits until a list may have changed. A wait that is given up loses nothing.
    pub async fn next(&mut self) {
        loop {
            // The sender is never dropped.
            drop(self.news.changed().await);
            let mut is_news = false;
            for watched in &mut self.servers {
                let now = watched.server.changed.load(Ordering::Relaxed);
                is_news |= std::mem::replace(&mut watched.told, now) != now;
            }
            if is_news {
                return;
            }
        }
    }
}

/// Why a server is not heard.
enum Deaf {
    /// It tells nothing unasked.
    ForEver,
    /// It may later.
    ForNow,
}

impl Server {
    /// What watches its lists, as long as anybody holds it.
    fn watcher(self: &Arc<Self>) -> Arc<Watcher> {
        let mut place = super::lock(&self.watcher);
        place.upgrade().unwrap_or_else(|| {
            let server = Arc::clone(self);
            let watcher = Arc::new(Watcher(tokio::spawn(async move { server.watch().await })));
            *place = Arc::downgrade(&watcher);
            watcher
        })
    }

    /// Tells whoever wants to know that a list may have changed.
    pub(super) fn tell_of_change(&self) {
        self.changed.fetch_add(1, Ordering::Relaxed);
        NEWS.send_replace(());
    }

    async fn watch(self: Arc<Self>) {
        let (tell, mut heard) = mpsc::channel(HEARD_MAX);
        let wanted = Wanted { lists: true, resources: Vec::new() };
        let hearing = Arc::clone(&self).hear(Caller::gateway(), wanted, tell);
        tokio::pin!(hearing);
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        looks.reset();
        let mut is_deaf = false;
        loop {
            tokio::select! {
                () = &mut hearing, if !is_deaf => is_deaf = true,
                Some(heard) = heard.recv() => self.heard(&heard).await,
                // A list that is read anew and is another one is told to all who want to know.
                _ = looks.tick() => drop(self.tools().await),
            }
        }
    }

    /// Takes note of a list that changed.
    pub async fn heard(&self, heard: &Heard) {
        if let Heard::Notification { method, .. } = heard
            && method.ends_with("/list_changed")
        {
            self.expire_lists().await;
            self.tell_of_change();
        }
    }

    /// Hears what the server tells this caller, until nobody listens or the server has nothing of the kind.
    pub async fn hear(self: Arc<Self>, caller: Caller, wanted: Wanted, tell: mpsc::Sender<Heard>) {
        let (mut wait, mut behind) = (AGAIN_AFTER, None);
        loop {
            match self.hear_once(&caller, &wanted, &tell, &mut behind).await {
                Ok(after) => wait = after.unwrap_or(AGAIN_AFTER),
                Err(Deaf::ForEver) => return,
                Err(Deaf::ForNow) => wait = wait.saturating_mul(2),
            }
            if tell.is_closed() {
                return;
            }
            wait = wait.clamp(AGAIN_AFTER, AGAIN_AFTER_MAX);
            tokio::time::sleep(wait).await;
        }
    }

    /// One stream, until it ends. When the server wants to be asked again.
    async fn hear_once(
        self: &Arc<Self>,
        caller: &Caller,
        wanted: &Wanted,
        tell: &mpsc::Sender<Heard>,
        behind: &mut Option<String>,
    ) -> Result<Option<Duration>, Deaf> {
        if let Link::Child { children, tenant } = &self.link {
            let Some(child) = children.ready(tenant) else { return Ok(None) };
            return self.hear_child(child, tell).await;
        }
        if self.speaks_modern().await.map_err(|_| Deaf::ForNow)? {
            return self.hear_subscribed(caller, wanted, tell).await;
        }
        let session = self.sessions.of(self, caller).await.map_err(|_| Deaf::ForNow)?;
        let answer = self.get(&session, behind.as_deref()).await.map_err(|_| Deaf::ForNow)?;
        let status = answer.status;
        let Ok(reply) = wire::Reply::unasked(answer).await else {
            return Err(match status {
                StatusCode::NOT_FOUND if self.sessions.forget(caller, &session) => Deaf::ForNow,
                StatusCode::BAD_REQUEST
                | StatusCode::NOT_FOUND
                | StatusCode::METHOD_NOT_ALLOWED
                | StatusCode::NOT_ACCEPTABLE
                | StatusCode::NOT_IMPLEMENTED
                | StatusCode::OK => Deaf::ForEver,
                _ => Deaf::ForNow,
            });
        };
        let answerer = Answerer::in_session(self, &session);
        let mut reply = reply.within(self.large(caller.share()));
        while let Ok(said) = reply.next(self).await {
            let heard = match said {
                Said::Notification { method, params } => Heard::Notification { method, params },
                Said::Request { id, method, params } => {
                    Heard::Question { id, method, params, answerer: answerer.clone() }
                }
                Said::Result(_) | Said::Error { .. } => continue,
            };
            if tell.send(heard).await.is_err() {
                break;
            }
            reply.frees();
        }
        *behind = reply.resumes_from().map(ToOwned::to_owned);
        Ok(reply.retry)
    }

    /// What a process says that runs; one that does not is not started for it.
    async fn hear_child(
        &self,
        child: Arc<Child>,
        tell: &mpsc::Sender<Heard>,
    ) -> Result<Option<Duration>, Deaf> {
        let mut told = child.told();
        // It may end meanwhile.
        drop(child);
        loop {
            match told.recv().await {
                Ok(said) => {
                    if let Said::Notification { method, params } = said
                        && tell.send(Heard::Notification { method, params }).await.is_err()
                    {
                        return Ok(None);
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return Ok(None),
            }
        }
    }

    async fn hear_subscribed(
        self: &Arc<Self>,
        caller: &Caller,
        wanted: &Wanted,
        tell: &mpsc::Sender<Heard>,
    ) -> Result<Option<Duration>, Deaf> {
        let params = envelope::listen_params(wanted.lists, &wanted.resources);
        let ask = |id| Ask { id, method: "subscriptions/listen", name: None, params: &params, wishes: None };
        let mut calling = match self.ask(caller, ask).await {
            Ok(calling) => calling,
            Err(Failed::Error { code: METHOD_NOT_FOUND, .. }) => return Err(Deaf::ForEver),
            Err(_) => return Err(Deaf::ForNow),
        };
        loop {
            match calling.next().await {
                Ok(Happened::Notification { method, params }) => {
                    if tell.send(Heard::Notification { method, params }).await.is_err() {
                        return Ok(None);
                    }
                }
                Ok(Happened::Question { .. } | Happened::Paused) => {}
                Ok(Happened::Result(_)) => return Ok(None),
                Err(Failed::Error { code: METHOD_NOT_FOUND, .. }) => return Err(Deaf::ForEver),
                Err(_) => return Err(Deaf::ForNow),
            }
        }
    }
}

/// Where a server keeps its watcher: it lives as long as somebody wants to know.
pub(super) type WatcherPlace = std::sync::Mutex<Weak<Watcher>>;
