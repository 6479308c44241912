//! Calls that wait for a person, listed and decided: those of this gateway, and of the others that share its state.

use super::{Admin, cannot, error, query::Query, respond};
use crate::{
    approvals::{Approved, Decided, NotDecided},
    clock,
    fleet::{Placed, Posted},
    gateway::{self, Body, Detail},
    json::{self, Value},
};
use http::{Response, StatusCode};

/// Longer names of who decides are refused.
const BY_BYTES_MAX: usize = 256;
const BAD_DECISION: &str =
    "the body must be {\"approve\": true or false, \"by\": who decides, at most 256 bytes}";
/// The members of a decision. One that is not understood could be meant to bound it.
const MEMBERS: [&str; 2] = ["approve", "by"];
/// Of the name of a member, no more is told.
const NAME_CHARS_MAX: usize = 64;

impl Admin {
    /// The calls that wait for a person, of one tenant (`?tenant=`) or all.
    pub(super) async fn waiting(&self, query: &Query) -> Response<Body> {
        if let Some(unknown) = self.unknown(query) {
            return unknown;
        }
        let now = clock::unix_millis(clock::wall());
        let is_asked_for = |tenant: &str| query.get("tenant").is_none_or(|asked| asked == tenant);
        let mut waiting = self.gateway.approvals.waiting(now);
        waiting.retain(|call| is_asked_for(&call.call.tenant));
        let mut elsewhere = match &self.gateway.fleet {
            Some(fleet) => fleet.posted(now).await,
            None => Vec::new(),
        };
        elsewhere.retain(|(id, posted)| {
            is_asked_for(&posted.tenant) && !waiting.iter().any(|call| *call.id == **id)
        });
        // Redacting takes its time: not on a thread that others wait for.
        let told = tokio::task::spawn_blocking(move || {
            let here = waiting.iter().map(|call| gateway::shown(call, Detail::Brief));
            let mut told: Vec<_> =
                here.chain(elsewhere.iter().filter_map(|(_, call)| read(&call.shown))).collect();
            told.sort_by_key(|call| call.get("asked").and_then(Value::as_str).map(ToOwned::to_owned));
            Value::Array(told)
        });
        told.await.map_or_else(|_| cannot(), |told| respond(StatusCode::OK, &told))
    }

    /// One of them with all of its arguments.
    pub(super) async fn call(&self, id: &str) -> Response<Body> {
        let waiting = self.gateway.approvals.waiting(clock::unix_millis(clock::wall()));
        if let Some(call) = waiting.into_iter().find(|call| *call.id == *id) {
            let told = tokio::task::spawn_blocking(move || gateway::shown(&call, Detail::Whole));
            return told.await.map_or_else(|_| cannot(), |told| respond(StatusCode::OK, &told));
        }
        let elsewhere = match &self.gateway.fleet {
            Some(fleet) => fleet.whole(id).await,
            None => None,
        };
        match elsewhere.as_deref().and_then(read) {
            Some(told) => respond(StatusCode::OK, &told),
            None => error(StatusCode::NOT_FOUND, "no call of this id waits"),
        }
    }

    /// Takes a person's decision on a call that waits: `{"approve": true, "by": "ada"}`.
    pub(super) async fn decide(&self, id: &str, body: &[u8]) -> Response<Body> {
        let (word, by) = match decision(body) {
            Ok(decision) => decision,
            Err(message) => return error(StatusCode::BAD_REQUEST, message),
        };
        let said = gateway::decision(word, &by);
        // Of two that decide at two gateways the first one counts.
        let placed = match &self.gateway.fleet {
            Some(fleet) => fleet.decide(id, &said).await,
            None => None,
        };
        if placed == Some(Placed::Over) {
            return error(StatusCode::CONFLICT, NotDecided::Over.to_string());
        }
        let now = clock::unix_millis(clock::wall());
        match (self.gateway.approvals.decide(id, word, &by, now), placed) {
            (Ok(decided), _) => {
                gateway::record(&self.gateway, &decided, word, &by);
                let Decided { waiting, .. } = decided;
                let told = tokio::task::spawn_blocking(move || gateway::shown(&waiting, Detail::Brief));
                told.await.map_or_else(|_| cannot(), |told| decided_on(told, word, &by))
            }
            (Err(NotDecided::Unknown), Some(Placed::Taken(Posted { shown, .. }))) => {
                read(&shown).map_or_else(cannot, |told| decided_on(told, word, &by))
            }
            (Err(NotDecided::Unknown), None)
                if self.gateway.fleet.as_ref().is_some_and(|fleet| fleet.shares_all()) =>
            {
                let message = "no call of this id waits at this gateway, and the shared state that knows of the others cannot be asked";
                error(StatusCode::SERVICE_UNAVAILABLE, message)
            }
            (Err(not @ NotDecided::Unknown), _) => error(StatusCode::NOT_FOUND, not.to_string()),
            (Err(not @ NotDecided::Over), _) => error(StatusCode::CONFLICT, not.to_string()),
        }
    }
}

fn decision(body: &[u8]) -> Result<(Approved, String), String> {
    let body = json::parse(body, 4).map_err(|_| BAD_DECISION)?;
    let mut members = body.members().unwrap_or_default().iter();
    if let Some((name, _)) = members.find(|(name, _)| !MEMBERS.contains(&&**name)) {
        let name: String = name.chars().take(NAME_CHARS_MAX).collect();
        return Err(format!("there is no member `{name}`; {BAD_DECISION}"));
    }
    let by = body.get("by").and_then(Value::as_str).map(str::trim);
    let by = by.filter(|by| !by.is_empty() && by.len() <= BY_BYTES_MAX).ok_or(BAD_DECISION)?;
    let word = body.get("approve").and_then(Value::as_bool).ok_or(BAD_DECISION)?;
    let word = if word { Approved::Yes } else { Approved::No };
    Ok((word, by.to_owned()))
}

/// The call that was decided, and what.
fn decided_on(mut call: Value<'static>, word: Approved, by: &str) -> Response<Body> {
    call.set("approved", Value::Bool(word == Approved::Yes));
    call.set("by", Value::string(by.to_owned()));
    respond(StatusCode::OK, &call)
}

fn read(shown: &str) -> Option<Value<'static>> {
    json::parse(shown.as_bytes(), json::NESTING_MAX).ok().map(Value::into_owned)
}
