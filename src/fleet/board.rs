//! What gateways tell each other beside limits: what providers keep for tenants, calls that wait for a person, and what
//! was decided of them. It is sealed: without a secret that all of them have, none of it is told. What cannot be told
//! or found out in time is as if it were not there.

use super::{Fleet, seal::Kind};
use redis::{FromRedisValue, Pipeline};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// So long it may take to find something out.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// That a call is over is known for so long, in seconds.
const OVER_FOR_S: u64 = 86_400;
/// What nobody withdrew is gone then: no call waits for longer.
const POSTED_FOR_S: i64 = 31 * 86_400;
const DECIDE: &str = include_str!("decide.lua");

/// A call that waits at some gateway, as people are shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// Milliseconds since 1970.
    pub expires: u64,
    pub tenant: String,
    /// JSON, redacted.
    pub shown: String,
}

/// What became of a decision on a call that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// It is the one that counts; the gateway where the call waits finds it.
    Taken(Posted),
    /// There was another, or it is too late.
    Over,
    /// No such call is posted.
    Unknown,
}

impl Posted {
    fn to_text(&self) -> String {
        format!("{} {} {}", self.expires, self.tenant, self.shown)
    }

    fn read(text: &str) -> Option<Self> {
        let (expires, rest) = text.split_once(' ')?;
        let (tenant, shown) = rest.split_once(' ')?;
        Some(Self { expires: expires.parse().ok()?, tenant: tenant.to_owned(), shown: shown.to_owned() })
    }
}

impl Fleet {
    /// Whether anything but limits is told: the gateways have a secret in common.
    pub fn shares_all(&self) -> bool {
        self.seal.is_some()
    }

    async fn run<T: FromRedisValue>(&self, pipe: &Pipeline) -> Option<T> {
        let mut line = self.view.line()?;
        timeout(ANSWER_WITHIN, pipe.query_async(&mut line)).await.ok()?.ok()
    }

    fn key(&self, what: &str) -> String {
        format!("{}:{what}", self.prefix)
    }

    fn stored_key(&self, tenant: &str, id: &str) -> String {
        format!("{}:{{{tenant}}}:stored:{id}", self.prefix)
    }

    /// Tells all gateways what a provider keeps for a tenant under an id, for so many seconds; nobody waits for it.
    pub fn keep(&self, tenant: &str, id: &str, text: &str, seconds: u64) {
        let sealed = |seal: super::Seal| seal.close(Kind::Stored, &format!("{tenant} {id}"), text);
        let Some(sealed) = self.seal.and_then(sealed) else { return };
        let mut pipe = redis::pipe();
        pipe.cmd("SET").arg(self.stored_key(tenant, id)).arg(sealed).arg("EX").arg(seconds).ignore();
        self.send(pipe);
    }

    /// It is gone.
    pub fn forget(&self, tenant: &str, id: &str) {
        let mut pipe = redis::pipe();
        pipe.cmd("DEL").arg(self.stored_key(tenant, id)).ignore();
        self.send(pipe);
    }

    /// Sends it, if there is not too much on its way already.
    fn send(&self, pipe: Pipeline) {
        let (Some(mut line), Ok(place)) = (self.view.line(), Arc::clone(&self.places).try_acquire_owned())
        else {
            return;
        };
        tokio::spawn(async move {
            drop(timeout(ANSWER_WITHIN, pipe.query_async::<()>(&mut line)).await);
            drop(place);
        });
    }

    /// What providers keep for a tenant under these ids, as some gateway told.
    pub async fn find(&self, tenant: &str, ids: &[String]) -> Vec<Option<String>> {
        let Some(seal) = self.seal.filter(|_| !ids.is_empty()) else { return vec![None; ids.len()] };
        let mut pipe = redis::pipe();
        for id in ids {
            pipe.cmd("GET").arg(self.stored_key(tenant, id));
        }
        let found: Vec<Option<String>> = self.run(&pipe).await.unwrap_or_default();
        let mut found = found.into_iter();
        let open = |id: &String| {
            let sealed = found.next().flatten()?;
            seal.open(Kind::Stored, &format!("{tenant} {id}"), &sealed).map(ToOwned::to_owned)
        };
        ids.iter().map(open).collect()
    }

    /// Posts a call that waits here; `whole` is what is shown of it when all is asked for. `now` is
    /// in milliseconds since 1970. Whether it is there.
    pub async fn post(&self, id: &str, posted: &Posted, whole: &str, now: u64) -> bool {
        let Some(seal) = self.seal else { return false };
        let sealed = seal.close(Kind::Waiting, id, &posted.to_text());
        let (Some(sealed), Some(whole)) = (sealed, seal.close(Kind::Whole, id, whole)) else { return false };
        let mut pipe = redis::pipe();
        pipe.cmd("HSET").arg(self.key("approvals")).arg(id).arg(sealed).ignore();
        pipe.cmd("EXPIRE").arg(self.key("approvals")).arg(POSTED_FOR_S).ignore();
        let left = posted.expires.saturating_sub(now).max(1);
        pipe.cmd("SET").arg(self.key(&format!("approval:{id}"))).arg(whole).arg("PX").arg(left).ignore();
        self.run::<()>(&pipe).await.is_some()
    }

    /// Takes down calls that do not wait here any more. Whether they are gone.
    pub async fn withdraw(&self, ids: &[Arc<str>]) -> bool {
        let mut pipe = redis::pipe();
        for id in ids {
            let over = self.key(&format!("over:{id}"));
            pipe.cmd("SET").arg(over).arg(1).arg("EX").arg(OVER_FOR_S).ignore();
            pipe.cmd("HDEL").arg(self.key("approvals")).arg(&**id).ignore();
            pipe.cmd("HDEL").arg(self.key("decisions")).arg(&**id).ignore();
            pipe.cmd("DEL").arg(self.key(&format!("approval:{id}"))).ignore();
        }
        self.run::<()>(&pipe).await.is_some()
    }

    /// The calls that wait at all gateways, by id; `now` in milliseconds since 1970.
    pub async fn posted(&self, now: u64) -> Vec<(String, Posted)> {
        let Some(seal) = self.seal else { return Vec::new() };
        let mut pipe = redis::pipe();
        pipe.cmd("HGETALL").arg(self.key("approvals"));
        let found: Vec<Vec<(String, String)>> = self.run(&pipe).await.unwrap_or_default();
        let read = |(id, sealed): (String, String)| {
            let posted = Posted::read(seal.open(Kind::Waiting, &id, &sealed)?)?;
            Some((id, posted)).filter(|(_, posted)| posted.expires > now)
        };
        found.into_iter().flatten().filter_map(read).collect()
    }

    /// A call that waits somewhere, with all of its arguments.
    pub async fn whole(&self, id: &str) -> Option<String> {
        let mut pipe = redis::pipe();
        pipe.cmd("GET").arg(self.key(&format!("approval:{id}")));
        let (sealed,): (Option<String>,) = self.run(&pipe).await?;
        self.seal?.open(Kind::Whole, id, &sealed?).map(ToOwned::to_owned)
    }

    /// Decides a call that is posted. None where nobody can be asked.
    pub async fn decide(&self, id: &str, decision: &str) -> Option<Placed> {
        let seal = self.seal?;
        let mut pipe = redis::pipe();
        let keys = ["approvals".to_owned(), "decisions".to_owned(), format!("over:{id}")];
        pipe.cmd("EVAL").arg(DECIDE).arg(keys.len());
        for key in &keys {
            pipe.arg(self.key(key));
        }
        pipe.arg(id).arg(seal.close(Kind::Decision, id, decision)?);
        let (answer,): (Vec<redis::Value>,) = self.run(&pipe).await?;
        match answer.as_slice() {
            [redis::Value::Int(0)] => Some(Placed::Unknown),
            [redis::Value::Int(2), redis::Value::BulkString(sealed)] => {
                let text = seal.open(Kind::Waiting, id, std::str::from_utf8(sealed).ok()?);
                // Somebody else's writing is no call.
                Some(text.and_then(Posted::read).map_or(Placed::Unknown, Placed::Taken))
            }
            _ => Some(Placed::Over),
        }
    }

    /// What was decided of calls that wait here.
    pub async fn decisions(&self, ids: &[Arc<str>]) -> Vec<(Arc<str>, String)> {
        let Some(seal) = self.seal.filter(|_| !ids.is_empty()) else { return Vec::new() };
        let mut pipe = redis::pipe();
        pipe.cmd("HMGET").arg(self.key("decisions"));
        for id in ids {
            pipe.arg(&**id);
        }
        let found: Vec<Vec<Option<String>>> = self.run(&pipe).await.unwrap_or_default();
        let open = |(id, sealed): (&Arc<str>, Option<String>)| {
            let decision = seal.open(Kind::Decision, id, &sealed?)?.to_owned();
            Some((Arc::clone(id), decision))
        };
        ids.iter().zip(found.into_iter().flatten()).filter_map(open).collect()
    }
}
